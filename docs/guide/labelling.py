"""Which images to label next: ``python docs/guide/labelling.py`` writes labelling.png.

Images of three rare digits that are found, by the number of images that were labelled: chosen at
random, by the smallest margin, and by `suggest`; and the mean F1 of these digits.
"""

import argparse
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
from _colours import BASELINE, METHOD, OTHER_METHOD
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skimb.study import suggest

mpl.use("agg")
import matplotlib.pyplot as plt

#: Images a round.
N = 10


def at_random(classifier, pool, rng):
    """Choose at random."""
    return rng.permutation(len(pool))[:N]


def by_margin(classifier, pool, rng):
    """Choose those whose two most probable classes are nearly as probable."""
    two = np.sort(classifier.predict_proba(pool), axis=1)[:, -2:]
    return (two[:, 1] - two[:, 0]).argsort()[:N]


def by_suggest(classifier, pool, rng):
    """Choose by `suggest`."""
    return suggest(classifier, pool, n=N, random_state=rng).table["row"].to_numpy()


METHODS = {"at random": at_random, "smallest margin": by_margin, "suggest": by_suggest}
MARKS = ((BASELINE, "o"), (OTHER_METHOD, "s"), (METHOD, "D"))


def draw(seed):
    """Return a pool in which 8, 9 and 3 are rare, its labels, and the test images."""
    digits = load_digits()
    X, y = digits.data / 16, digits.target
    rng = np.random.RandomState(seed)
    rows = rng.permutation(len(X))
    pool, test = rows[:1200], rows[1200:]
    keep = np.ones(len(pool), dtype=bool)
    for label, count in ((8, 12), (9, 20), (3, 20)):
        keep[np.flatnonzero(y[pool] == label)[count:]] = False
    return X[pool[keep]], y[pool[keep]], X[test], y[test]


def found_in_rounds(choose, seed, n_rounds):
    """Return the images of rare digits that were found, and their mean F1, after each round."""
    X, y, X_test, y_test = draw(seed)
    rng = np.random.RandomState(seed)
    known = np.zeros(len(y), dtype=bool)
    known[rng.permutation(len(y))[:40]] = True
    for label in range(10):
        known[np.flatnonzero(y == label)[:1]] = True
    start, rare, curve = known.copy(), [8, 9, 3], []
    for _ in range(n_rounds + 1):
        classifier = make_pipeline(
            FunctionTransformer(), LogisticRegression(C=10, max_iter=500)
        ).fit(X[known], y[known])
        f1 = f1_score(y_test, classifier.predict(X_test), labels=rare, average="macro")
        curve.append((np.isin(y[known & ~start], rare).sum(), f1))
        pool = np.flatnonzero(~known)
        known[pool[choose(classifier, X[pool], rng)]] = True
    return curve


def main():
    """Label in rounds, print and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent, help="for the figure")
    parser.add_argument("--quick", action="store_true", help="few rounds, to see that it runs")
    arguments = parser.parse_args()
    n_seeds, n_rounds = (1, 2) if arguments.quick else (20, 10)
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for (name, choose), (color, marker) in zip(METHODS.items(), MARKS, strict=True):
            curves = np.array([found_in_rounds(choose, seed, n_rounds) for seed in range(n_seeds)])
            mean = curves.mean(axis=0)
            error = curves.std(axis=0) / np.sqrt(n_seeds)
            print(f"{name:16} found {mean[-1, 0]:5.1f}   F1 {mean[-1, 1]:.3f}")
            x = N * np.arange(n_rounds + 1)
            for k, axis in enumerate(axes):
                style = {"color": color, "marker": marker, "capsize": 2}
                axis.errorbar(x, mean[:, k], error[:, k], label=name, **style)
    for axis, title in zip(
        axes, ("images of rare digits found", "mean F1 of the rare digits"), strict=True
    ):
        axis.set_title(title)
        axis.set_xlabel("images labelled")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False)
    figure.savefig(arguments.folder / "labelling.png", dpi=120)


if __name__ == "__main__":
    main()
