"""Offsets of classes: ``python docs/guide/offsets.py`` writes offsets.png.

The samples are drawn from known distributions, so that every measure can be computed on many new
samples. The script prints the tables of the page.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from _colours import BASELINE, METHOD, OTHER_METHOD
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import balanced_accuracy_score, f1_score

from skimb.model_selection import TunedOffsetsClassifierCV

mpl.use("agg")
import matplotlib.pyplot as plt
from matplotlib.patches import Patch


class Softmax(ClassifierMixin, BaseEstimator):
    """A classifier whose samples are its logits."""

    def fit(self, X, y):
        """Note the labels."""
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        """Return the probabilities."""
        return softmax(X, axis=1)

    def predict(self, X):
        """Return the most probable labels."""
        return self.classes_[X.argmax(axis=1)]


def drawn(counts, rng, *, is_balanced=False):
    """Return logits and labels; the classifier has the prior of the samples, or a uniform one."""
    y = np.repeat(np.arange(len(counts)), counts)
    bias = 0.0 if is_balanced else np.log(np.array(counts) / sum(counts))
    return bias + 1.2 * rng.standard_normal((len(y), len(counts))) + 2 * np.eye(len(counts))[y], y


def of_quantiles(X, y):
    """Return the offset of the last class that is best among 50 quantiles of all margins."""
    margins = X[:, :-1].max(axis=1) - X[:, -1]
    place = np.arange(X.shape[1]) == X.shape[1] - 1
    tried = [
        (f1_score(y, (X + offset * place).argmax(axis=1), average="macro"), offset)
        for offset in np.quantile(margins, np.linspace(0, 1, 50))
    ]
    return max(tried)[1] * place


def tuned(X, y, scoring):
    """Return a classifier whose offsets are chosen on X and y."""
    frozen = FrozenEstimator(Softmax().fit(X, y))
    return TunedOffsetsClassifierCV(frozen, scoring=scoring).fit(X, y)


def rare_classes(n, n_fresh, n_repeats):
    """Return macro F1 on new samples: without offsets, by quantiles, by margins, for each prior."""
    rows = {}
    for prior in (0.05, 0.005, 0.001):
        found = []
        for seed in range(n_repeats):
            rng = np.random.RandomState(seed)
            X, y = drawn(counts_of(prior, n), rng)
            fresh, truth = drawn(counts_of(prior, n_fresh), rng)
            decided = (
                fresh.argmax(axis=1),
                (fresh + of_quantiles(X, y)).argmax(axis=1),
                tuned(X, y, "f1_macro").predict(fresh),
            )
            found.append([f1_score(truth, each, average="macro") for each in decided])
        rows[prior] = np.mean(found, axis=0)
    return rows


def counts_of(prior, n):
    """Return the counts of three classes, of which the last one is rare."""
    rare = round(n * prior)
    half = (n - rare) // 2
    return [n - rare - half, half, rare]


def few_samples(n_fresh, n_repeats):
    """Return balanced accuracy by number of held-out samples of the rare class."""
    curves = {}
    for is_balanced in (True, False):
        rows = {}
        for n_rare in (1, 2, 3, 5, 7, 9):
            found = []
            for seed in range(n_repeats):
                rng = np.random.RandomState(seed)
                X, y = drawn([600, n_rare], rng, is_balanced=is_balanced)
                # Recalls do not depend on the prior of the new samples.
                fresh, truth = drawn([n_fresh, n_fresh], rng, is_balanced=True)
                fresh += (
                    0 if is_balanced else np.log([600 / (600 + n_rare), n_rare / (600 + n_rare)])
                )
                clf = tuned(X, y, "balanced_accuracy")
                # Ten copies of each sample are the same margins, and are not shrunk.
                full = tuned(np.repeat(X, 10, axis=0), np.repeat(y, 10), "balanced_accuracy")
                decided = fresh.argmax(axis=1), full.predict(fresh), clf.predict(fresh)
                found.append([balanced_accuracy_score(truth, each) for each in decided])
            rows[n_rare] = np.mean(found, axis=0)
        curves[is_balanced] = rows
    return curves


def main():
    """Draw the samples, print two tables in Markdown, and draw the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent, help="for the figure")
    parser.add_argument("--quick", action="store_true", help="few samples, to see that it runs")
    arguments = parser.parse_args()
    n, n_fresh, n_repeats = (2000, 1000, 1) if arguments.quick else (20_000, 100_000, 8)
    names = ["no offsets", "50 quantiles of all samples", "margins of the own samples"]
    colors = [BASELINE, OTHER_METHOD, METHOD]
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.8), layout="constrained")

    by_prior = rare_classes(n, n_fresh, n_repeats)
    print("| prior of the rare class |", " | ".join(names), "|")
    print("| --- | --- | --- | --- |")
    for place, (prior, values) in enumerate(by_prior.items()):
        print(f"| {prior:.1%} |", " | ".join(f"{value:.3f}" for value in values), "|")
        for k, value in enumerate(values):
            axes[0].bar(place + 0.27 * (k - 1), value, 0.25, color=colors[k])
    axes[0].set(title="macro F1 of three classes", ylim=(0, 1))
    axes[0].set_xticks(range(len(by_prior)), [f"{prior:.1%}" for prior in by_prior])
    axes[0].set_xlabel("prior of the rare class")
    axes[0].legend([Patch(color=color) for color in colors], names, fontsize=8.5, frameon=False)

    curves = few_samples(n_fresh // 10, 5 * n_repeats)
    names = ["no offsets", "tuned, not shrunk", "tuned, shrunk"]
    for ax, (is_balanced, rows) in zip(axes[1:], curves.items(), strict=True):
        print("\n| held-out samples |", " | ".join(names), "|")
        print("| --- | --- | --- | --- |")
        for n_rare, values in rows.items():
            print(f"| {n_rare} |", " | ".join(f"{value:.3f}" for value in values), "|")
        for k, name in enumerate(names):
            line = [values[k] for values in rows.values()]
            ax.plot(list(rows), line, "o-", color=colors[k], markersize=4, label=name)
        state = "no offset is best" if is_balanced else "an offset is needed"
        ax.set(title=f"balanced accuracy,\n{state}", xlabel="held-out samples of the rare class")
        ax.set_xticks(list(rows))
        ax.set_ylim(0.48, 0.92)
    axes[1].legend(fontsize=8.5, frameon=False, loc="lower right")
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(arguments.folder / "offsets.png", dpi=110)


if __name__ == "__main__":
    main()
