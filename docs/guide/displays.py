"""Displays of imbalanced classes: ``python docs/guide/displays.py`` writes displays.png.

A small network is trained on the digits of scikit-learn, of which 9 and 5 are rare.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skimb.inspection import (
    ClassDistributionDisplay,
    EmbeddingDisplay,
    ImageGalleryDisplay,
    PerClassDisplay,
    ReliabilityDisplay,
    TrainingHistoryDisplay,
)
from skimb.neural_network import CNNClassifier
from skimb.over_sampling import SMOTE

mpl.use("agg")
import matplotlib.pyplot as plt

#: The digits, and how many of each are kept.
KEPT = {"three": 180, "eight": 60, "nine": 25, "five": 14}
DIGITS = {3: "three", 5: "five", 8: "eight", 9: "nine"}


def rare_digits():
    """Return images of four digits, two of them rare, and a balanced test part."""
    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, 8, 8).astype(np.uint8) * 15
    is_used = np.isin(y, list(DIGITS))
    X, y = X[is_used], np.array([DIGITS[digit] for digit in y[is_used]])
    X, X_test, y, y_test = train_test_split(X, y, stratify=y, test_size=0.5, random_state=0)
    rows = np.concatenate([np.flatnonzero(y == name)[:n] for name, n in KEPT.items()])
    return X[rows], X_test, y[rows], y_test


def main():
    """Write the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="train for two epochs")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    X, X_test, y, y_test = rare_digits()
    clf = CNNClassifier(
        batch_sampling="progressive",
        max_epochs=2 if options.quick else 12,
        batch_size=16,
        early_stopping=True,
        n_iter_no_change=100,
        random_state=0,
    ).fit(X, y)
    figure, axes = plt.subplots(4, 2, figsize=(12, 16.5), layout="constrained")
    PerClassDisplay.from_estimator(clf, X_test, y_test, ax=axes[0, 0])
    ClassDistributionDisplay.from_predictions(y, X, ax=axes[0, 1])
    TrainingHistoryDisplay.from_estimator(clf, ax=axes[1:3, 0])
    ReliabilityDisplay.from_estimator(clf, X_test, y_test, ax=axes[1, 1])
    EmbeddingDisplay.from_estimator(clf, X, y, sampler=SMOTE(random_state=0), ax=axes[2, 1])
    ImageGalleryDisplay.from_estimator(clf, X_test, y_test, n_images=5, ax=axes[3, 0])
    EmbeddingDisplay.from_estimator(clf, X, y, projection="tsne", ax=axes[3, 1])
    figure.savefig(options.folder / "displays.png", dpi=80)


if __name__ == "__main__":
    main()
