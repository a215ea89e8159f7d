"""Long-tailed CIFAR-10 with a factor of 100 and ResNet-32, as published, and a stronger recipe.

    python benchmarks/quality/cifar10_long_tailed.py FOLDER [--seeds 3] [--minutes M]
    python benchmarks/quality/cifar10_long_tailed.py FOLDER --table [--write PAGE]

A training has 200 epochs, as in the articles, which takes minutes on a GPU and five hours of one
core. FOLDER holds cifar10/, whose images are JPEG copies: not comparable with articles to the
decimal. Every fit is kept in benchmarks/results/fits, and only those that are missing are made.

Errors in percent at a uniform class prior; published: Cao et al. 2019 (arXiv:1906.07413), Menon et
al. 2021 (arXiv:2007.07314), for balanced softmax and LDAM the repository
zhangyongshun/BagofTricks-LT, and, for mixup with deferred weights, ntucllab/imbalanced-DL.
"""

import argparse
from pathlib import Path

from fit_tables import frame, made, markdown, shown, write_between
from kept_fits import Store, add_options, make
from ways import PUBLISHED

DATA = "cifar10_long_tailed_100"

#: Published errors in percent.
ERRORS = {
    "resnet32": {"own": "29.6", "uniform": "22 to 23"},
    "resnet32, balanced softmax": {"own": "22.5"},
    "resnet32, ldam, deferred weights": {"own": "22.3"},
    "resnet32, mixup, deferred weights": {"own": "17.9 to 20"},
}


def table(found):
    """Return the errors of all ways and decisions, beside the published ones."""
    rows = [["way", "decides for", "error in percent", "published", "worst recall", "minutes"]]
    for way, decides in shown(found, [way for way in PUBLISHED if way in set(found["way"])]):
        one = found[(found["way"] == way) & (found["decides"] == decides)]
        error = 100 * (1 - one["balanced_accuracy"])
        deviation = f" ± {error.std(ddof=1):.1f}" if len(one) > 1 else ""
        known = ERRORS.get(way, {}).get(decides, "")
        minutes = f"{one['seconds'].mean() / 60:.0f}"
        worst = f"{one['worst_recall'].mean():.2f}"
        rows.append([way, decides, f"{error.mean():.1f}{deviation}", known, worst, minutes])
    return f"{markdown(rows)}\n\n{made(found)}"


def main():
    """Make the fits, and print or write the table."""
    parser = add_options(argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]))
    parser.add_argument("--write", type=Path, metavar="PAGE")
    arguments = parser.parse_args()
    make(arguments, [([DATA], list(PUBLISHED))])
    found = frame(Store(arguments.results), [DATA], at="uniform", seeds=arguments.seeds)
    text = "No fit has been made." if found.empty else table(found)
    if arguments.write:
        write_between(arguments.write, "CIFAR-10", text)
    else:
        print(text)


if __name__ == "__main__":
    main()
