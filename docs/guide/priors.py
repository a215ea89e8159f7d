"""Class priors that shift: ``python docs/guide/priors.py`` writes priors.png.

Left: the estimated fraction of the digit 8 among new images, against the true one, by a random
forest after SMOTE. Right: a stream of batches in which that fraction rises from 10 % to 30 %.
"""

import argparse
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
from _colours import BASELINE, METHOD, MINORITY
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

from skimb.model_selection import PriorMonitor, estimate_prior

mpl.use("agg")
import matplotlib.pyplot as plt


class Digits:
    """Noisy digits, 8 against the rest, drawn from three parts that share no image."""

    def __init__(self, seed):
        digits = load_digits()
        self.X, self.is_eight = digits.data * 15.9, digits.target == 8
        self.rng = np.random.default_rng(seed)
        self.parts = np.array_split(self.rng.permutation(len(self.X)), 3)

    def draw(self, part, n, fraction):
        """Return n flat images of a part and their labels, with this fraction of the digit 8."""
        rows = self.parts[part]
        labels = self.rng.random(n) < fraction
        chosen = np.where(
            labels,
            self.rng.choice(rows[self.is_eight[rows]], n),
            self.rng.choice(rows[~self.is_eight[rows]], n),
        )
        noisy = self.X[chosen] + 80 * self.rng.standard_normal((n, 64))
        return noisy.clip(0, 255), np.where(labels, "eight", "rest")


def main():
    """Estimate, watch, print and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent, help="for the figure")
    parser.add_argument("--quick", action="store_true", help="few images, to see that it runs")
    arguments = parser.parse_args()
    n_trees, n_labelled, n_new, n_draws = (
        (10, 200, 100, 10)
        if arguments.quick
        else (
            200,
            1000,
            500,
            200,
        )
    )
    digits = Digits(0)
    forest = RandomForestClassifier(n_trees, min_samples_leaf=3, random_state=0)
    clf = make_pipeline(SMOTE(random_state=0), forest)
    clf.fit(*digits.draw(0, n_labelled, 0.1))
    X_val, y_val = digits.draw(1, n_labelled, 0.1)
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    fractions = np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8])
    trained = {"eight": 0.1, "rest": 0.9}
    print("| true fraction | probabilities as they are | calibrated (interval) | p-value |")
    print("| --- | --- | --- | --- |")
    found = []
    for fraction in fractions:
        X, _ = digits.draw(2, n_new, fraction)
        with warnings.catch_warnings():
            # That nothing is tested without labelled samples, and that a class seems absent.
            warnings.simplefilter("ignore", UserWarning)
            raw = estimate_prior(clf, X, train_prior=trained, n_bootstrap=0).prior[0]
            one = estimate_prior(
                clf, X, X_val=X_val, y_val=y_val, n_bootstrap=n_draws, random_state=0
            )
        found.append([raw, one.prior[0], *one.interval[0]])
        print(
            f"| {fraction:.2f} | {raw:.2f} | {one.prior[0]:.2f} "
            f"({one.interval[0, 0]:.2f} to {one.interval[0, 1]:.2f}) | {one.pvalue:.2f} |"
        )
    raw, calibrated, low, high = np.array(found).T
    axes[0].plot([0, 1], [0, 1], color="black", linewidth=1, label="truth")
    axes[0].plot(fractions, raw, "o--", color=BASELINE, label="probabilities as they are")
    axes[0].errorbar(
        fractions,
        calibrated,
        yerr=np.maximum([calibrated - low, high - calibrated], 0),
        fmt="o-",
        color=METHOD,
        capsize=3,
        label="calibrated on labelled images",
    )
    axes[0].set(xlabel="true fraction of the digit 8", ylabel="estimated fraction")
    axes[0].spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False)
    monitor = PriorMonitor(
        clf, X_val=X_val, y_val=y_val, window=3, n_bootstrap=n_draws // 2, random_state=0
    )
    n_batches = 4 if arguments.quick else 20
    for batch in range(2 * n_batches):
        monitor.update(digits.draw(2, 100, 0.1 if batch < n_batches else 0.3)[0])
    axes[1].set_prop_cycle(color=[MINORITY])
    monitor.plot(labels=["eight"], ax=axes[1])
    axes[1].axvline(n_batches + 0.5, color="grey", linestyle="--", linewidth=1)
    axes[1].text(
        n_batches - 0.3,
        0.97,
        "10 % before,\n30 % after",
        transform=axes[1].get_xaxis_transform(),
        ha="right",
        va="top",
    )
    raised = [record["batch"] for record in monitor.history_ if record["alarm"]]
    print(f"\nThe change is in batch {n_batches + 1}; the alarm is raised in {raised[:1]}.")
    figure.savefig(arguments.folder / "priors.png", dpi=110)


if __name__ == "__main__":
    main()
