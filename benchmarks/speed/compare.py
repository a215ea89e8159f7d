"""Time a comparison of ten strategies end to end, and with shared features.

One class has about a tenth of the images of the other, and there is a test set, so each strategy is
trained once. Each way runs once: it takes minutes.

    python benchmarks/speed/compare.py FOLDER [--only shared] [--threads 2] [--json FILE]

FOLDER holds the cats and dogs: index.csv with columns file, label, split and rank. Cats of a rank
below 1000 and all dogs are the training images (1000 : 11000). Without FOLDER, or with --quick,
scikit-learn's digits are used.
"""

import warnings
from pathlib import Path

import pandas as pd
from harness import Benchmark, parser_of
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from skimb.datasets import load_imbalanced_digits, read_images
from skimb.neural_network import CNNClassifier
from skimb.study import compare

STRATEGIES = [
    *("class_weight", "focal", "focal_weighted", "over", "under", "smote_embedding"),
    *("balanced_batches", "threshold", "prior_shift"),
]


def cats_and_dogs(folder):
    """Return training and test images, and their labels."""
    table = pd.read_csv(folder / "index.csv")
    train = table[
        (table["split"] == "train") & ((table["label"] == "dog") | (table["rank"] < 1000))
    ]
    test = table[table["split"] == "validation"]
    return [
        part
        for each in (train, test)
        for part in (
            read_images([str(folder / file) for file in each["file"]]),
            each["label"].to_numpy(),
        )
    ]


def main():
    """Add one table."""
    parser = parser_of(__doc__, repeats=1)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--only", choices=["shared", "end to end"])
    arguments = parser.parse_args()
    benchmark = Benchmark(arguments)
    if arguments.folder is None or benchmark.quick:
        X, y = load_imbalanced_digits(return_X_y=True)
        X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)
    else:
        X, y, X_test, y_test = cats_and_dogs(arguments.folder)
    estimator = CNNClassifier(max_epochs=1) if benchmark.quick else CNNClassifier()
    warnings.simplefilter("ignore", ConvergenceWarning)

    def comparison(name):
        return lambda: compare(
            X,
            y,
            strategies=STRATEGIES,
            estimator=estimator,
            shared_features=name == "shared",
            X_test=X_test,
            y_test=y_test,
            random_state=0,
            verbose=1,
        )

    ways = [arguments.only] if arguments.only else ["end to end", "shared"]
    benchmark.compare(
        f"A comparison of {len(STRATEGIES) + 1} strategies, {len(X)} images",
        {way: comparison(way) for way in ways},
        warm_up=False,
        control=False,
    )


if __name__ == "__main__":
    main()
