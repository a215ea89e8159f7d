"""Recall promised and achieved: ``python docs/guide/guarantees.py`` writes guarantees.png.

The digit 8 is to be found among all digits. In each split, 34 images of it train a linear
classifier together with other digits, 40 choose the threshold, and 100 tell the recall.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from _colours import METHOD
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skimb.model_selection import GuaranteedRecallClassifier

mpl.use("agg")
import matplotlib.pyplot as plt

PROMISES = (0.5, 0.6, 0.7, 0.8, 0.9)


def recalls_of_split(X, y, seed):
    """Return the recall of the most probable class, and that of each promise."""
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.575, stratify=y, random_state=seed)
    own = y_test == 8
    inner = LogisticRegression(C=1e-4, max_iter=1000)
    found = []
    for recall in PROMISES:
        clf = GuaranteedRecallClassifier(inner, label=8, recall=recall, cv=0.54, random_state=seed)
        clf.fit(X, y)
        assert (clf.n_calibration_, own.sum()) == (40, 100)
        found.append(((clf.predict(X_test) == 8)[own]).mean())
        usual = (clf.estimator_.predict(X_test) == 8)[own].mean()
    return usual, found


def main():
    """Fit, print a table in Markdown, and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent, help="for the figure")
    parser.add_argument("--quick", action="store_true", help="few splits, to see that it runs")
    arguments = parser.parse_args()
    X, y = load_digits(return_X_y=True)
    results = [recalls_of_split(X, y, seed) for seed in range(3 if arguments.quick else 100)]
    usual = np.array([one[0] for one in results])
    achieved = np.array([one[1] for one in results])

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    print("| promised | achieved: mean | lowest of 20 splits | below the promise |")
    print("| --- | --- | --- | --- |")
    rng = np.random.RandomState(0)
    for recall, values in zip(PROMISES, achieved.T, strict=True):
        low, missed = np.quantile(values, 0.05), (values < recall).mean()
        print(f"| {recall:.2f} | {values.mean():.2f} | {low:.2f} | {missed:.2f} |")
        spread = recall + rng.uniform(-0.012, 0.012, len(values))
        left.plot(spread, values, ".", color=METHOD, markersize=4, alpha=0.5)
        left.plot([recall - 0.02, recall + 0.02], [low, low], color="black")
    print(f"\nThe most probable class: {usual.mean():.3f}, at least {usual.min():.3f}")
    left.plot([0.45, 1], [0.45, 1], color="0.4", linestyle="--", linewidth=1)
    left.text(0.62, 0.53, "recall as promised", color="0.3", rotation=32)
    left.plot([], [], ".", color=METHOD, label="one split")
    left.plot([], [], color="black", label="19 of 20 splits are above")
    left.legend(loc="lower right", frameon=False)
    left.set(
        xlabel="recall promised, with a confidence of 95 %",
        ylabel="recall on test images",
        xlim=(0.45, 1),
        ylim=(0.4, 1.02),
    )

    recalls = np.linspace(0.5, 0.995, 200)
    for level, color in ((0.8, "0.75"), (0.9, "0.5"), (0.95, METHOD), (0.99, "black")):
        n_samples = np.log(1 - level) / np.log(recalls)
        right.plot(recalls, n_samples, color=color, label=f"confidence {100 * level:.0f} %")
    for recall, n_samples in ((0.9, 29), (0.95, 59), (0.99, 299)):
        right.plot(recall, n_samples, "o", color=METHOD)
        right.annotate(
            str(n_samples),
            (recall, n_samples),
            (-34, 14),
            textcoords="offset points",
            arrowprops={"arrowstyle": "-", "color": "0.4", "linewidth": 0.8},
        )
    right.set(
        xlabel="recall promised",
        ylabel="calibration samples of the class",
        yscale="log",
        ylim=(1, 1000),
    )
    right.legend(loc="upper left", frameon=False)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(arguments.folder / "guarantees.png", dpi=110)


if __name__ == "__main__":
    main()
