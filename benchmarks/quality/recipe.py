"""Find one set of parameters that is good on all sets of images with a rare class.

Ways to train are compared on real sets: the strategies of `compare`, single ingredients of a
training (augmentation, mixing, length, small batches), and combinations of these, each with the
decisions for the class prior of the training and for a uniform one, which cost nothing.

    python benchmarks/quality/recipe.py FOLDER [--seeds 3] [--jobs 2] [--minutes M] [--sets ...]
    python benchmarks/quality/recipe.py FOLDER --table

Every fit is kept in benchmarks/results/fits, and only those that are missing are made.
"""

import argparse

import pandas as pd
from fit_tables import frame
from fits import Store, add_options, chosen, make
from image_sets import SETS
from ways import WAYS


def main():
    """Make the fits, and print the tables."""
    parser = add_options(argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]))
    arguments = parser.parse_args()
    names = chosen(SETS, arguments.sets, "set")
    make(arguments, [(names, chosen(WAYS, arguments.ways, "way"))])
    found = frame(Store(arguments.results), names, at="train", seeds=arguments.seeds)
    with pd.option_context("display.width", 200, "display.max_rows", 1000):
        for measure in ("f1", "balanced_accuracy"):
            print(measure)
            print(found.pivot_table(measure, ["way", "decides"], "data").round(3))


if __name__ == "__main__":
    main()
