"""Probabilities after resampling: ``python docs/guide/calibration.py`` writes calibration.png.

A random forest is trained on samples that SMOTE has balanced. The script prints the scores of its
probabilities on new samples, raw and with each calibration.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier

from skimb.inspection import ReliabilityDisplay
from skimb.metrics import calibration_scoring
from skimb.model_selection import BiasCorrectedCalibrator

mpl.use("agg")
import matplotlib.pyplot as plt

LABELS = np.array(["very common", "common", "less common", "rare", "very rare"])
PRIOR = np.array([0.6, 0.25, 0.1, 0.035, 0.015])
DISTANCE = 2.0
#: The first two colours of a display are those of majority and minority in all figures.
DRAWN = ["very common", "very rare", "common", "less common", "rare"]


def draw(counts, rng):
    """Return samples of normal classes, and their labels."""
    y = np.repeat(np.arange(5), counts)
    X = DISTANCE * np.eye(5, 8)[y] + rng.normal(size=(len(y), 8))
    return X, LABELS[y]


def scores_and_figure(n_train, n_new, n_trees, folder):
    """Print the scores of a forest after SMOTE, and draw its probabilities."""
    rng = np.random.RandomState(0)
    X, y = draw((n_train * PRIOR).round().astype(int), rng)
    X_new, y_new = draw((n_new * PRIOR).round().astype(int), rng)
    forest = RandomForestClassifier(n_trees, min_samples_leaf=3, random_state=0)
    model = make_pipeline(SMOTE(k_neighbors=3, random_state=0), forest)
    figure, axes = plt.subplots(1, 3, figsize=(10, 5.4), layout="constrained")
    print("| probabilities | log loss | Brier score | calibration error | of each class |")
    print("| --- | --- | --- | --- | --- |")
    for ax, name in zip(axes, ("raw", "temperature", "bias_corrected"), strict=True):
        clf = clone(model)
        if name != "raw":
            clf = BiasCorrectedCalibrator(model, method=name, random_state=0)
        clf.fit(X, y)
        scorers = calibration_scoring(y)
        values = {key: -scorer(clf, X_new, y_new) for key, scorer in scorers.items()}
        print(
            f"| {name} | {values['neg_log_loss']:.3f} | {values['neg_brier_score']:.3f} | "
            f"{values['neg_expected_calibration_error']:.3f} | "
            f"{values['neg_classwise_calibration_error']:.4f} |"
        )
        display = ReliabilityDisplay.from_estimator(clf, X_new, y_new, classes=DRAWN, ax=ax)
        handles, texts = ax.get_legend_handles_labels()
        of_class = dict(zip((text.split(":")[0] for text in texts), handles, strict=True))
        ax.legend(
            [of_class[label] for label in LABELS],
            [f"{label}: {display.errors[label]:.3f}" for label in LABELS],
            title="class: error",
            loc="upper center",
            bbox_to_anchor=(0.5, -0.14),
            frameon=False,
            fontsize=9,
            handlelength=1.4,
        )
        error = np.mean(list(display.errors.values()))
        ax.set_title(f"{name}\nclasswise calibration error {error:.3f}", fontsize=11)
        if ax is not axes[0]:
            ax.set_ylabel("")
    figure.savefig(folder / "calibration.png", dpi=90, bbox_inches="tight")


def main():
    """Print a table in Markdown, and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent, help="for the figure")
    parser.add_argument("--quick", action="store_true", help="few samples, to see that it runs")
    arguments = parser.parse_args()
    if arguments.quick:
        scores_and_figure(600, 500, 5, arguments.folder)
    else:
        scores_and_figure(2000, 20000, 200, arguments.folder)


if __name__ == "__main__":
    main()
