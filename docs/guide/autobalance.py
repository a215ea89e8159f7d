"""A class that is hard, not rare: ``python docs/guide/autobalance.py`` writes autobalance.png.

Three classes of points: two are common, and one of these is hard, because a part of it lies behind
the other one; the third is rare and easy. The script draws the decisions of logit adjustment of the
best strength, and those of `AutoBalanceClassifier`, and prints the errors of both.
"""

import argparse
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
from _colours import MAJORITY, MINORITY
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import recall_score

from skimb.model_selection import AutoBalanceClassifier
from skimb.neural_network import CNNClassifier

mpl.use("agg")
import matplotlib.pyplot as plt

NAMES = ["common, hard", "common, easy", "rare, easy"]
COLOURS = ["#56B4E9", MAJORITY, MINORITY]


def draw_points(counts, seed):
    """Return points and their classes."""
    rng = np.random.RandomState(seed)
    hard, easy, rare = (0.6 * rng.randn(n, 2) for n in counts)
    hard[:, 0] += np.where(rng.rand(len(hard)) < 0.1, -6.0, 1.5)
    rare[:, 1] += 3.5
    return np.concatenate([hard, easy, rare]).astype(np.float32), np.repeat([0, 1, 2], counts)


def decide_adjusted(clf, X, log_prior):
    """Return the decisions of the plain network after logit adjustment."""
    plain = clf.estimator_.estimator_
    tau = clf.search_results_["tau_of_network"]
    return (plain.predict_log_proba(X) - tau * log_prior).argmax(axis=1)


def main():
    """Train, print the errors, and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few points")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    counts = (150, 150, 20) if arguments.quick else (1500, 1500, 60)
    X, y = draw_points(counts, 0)
    X_test, y_test = draw_points((300,) * 3 if arguments.quick else (3000,) * 3, 1)
    network = CNNClassifier("linear", lr=0.05, max_epochs=40, batch_size=128, random_state=0)
    clf = AutoBalanceClassifier(network, random_state=0).fit(X, y)
    log_prior = np.log(np.bincount(y) / len(y))
    decisions = {
        "logit adjustment": lambda rows: decide_adjusted(clf, rows, log_prior),
        f"AutoBalance (chosen: {clf.chosen_})": clf.predict,
    }
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    columns, rows = np.meshgrid(np.linspace(-8, 4, 300), np.linspace(-2.5, 5.5, 200))
    grid = np.column_stack([columns.ravel(), rows.ravel()]).astype(np.float32)
    shown = np.random.RandomState(0).permutation(len(y))[:900]
    for ax, (name, decide) in zip(axes, decisions.items(), strict=True):
        areas = decide(grid).reshape(columns.shape)
        ax.contourf(columns, rows, areas, levels=[-0.5, 0.5, 1.5, 2.5], colors=COLOURS, alpha=0.2)
        for k, label in enumerate(NAMES):
            own = shown[y[shown] == k]
            ax.scatter(*X[own].T, s=4, color=COLOURS[k], label=label)
        errors = 1 - recall_score(y_test, decide(X_test), average=None)
        ax.set_title(f"{name}\nbalanced error {100 * errors.mean():.1f} %", fontsize=10)
        of_classes = ", ".join(f"{n} {100 * e:.1f} %" for n, e in zip(NAMES, errors, strict=True))
        print(f"{name}: balanced error {100 * errors.mean():.1f} %; {of_classes}")
        ax.set_xlabel("first feature")
    axes[0].set_ylabel("second feature")
    axes[0].legend(loc="upper left", fontsize=8, markerscale=2)
    figure.savefig(arguments.folder / "autobalance.png", dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
