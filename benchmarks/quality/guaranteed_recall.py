"""False alarms at a guaranteed recall: skimb against MAPIE's Learn-then-Test.

Both promise a recall of 0.9 with a confidence of 95 %, for one fitted classifier and many simulated
calibration sets. The recall on new samples and the rate of false alarms of each threshold are known
from the distributions. A violation is a calibration set whose threshold has a lower recall. MAPIE
(`pip install mapie`) tests a grid of thresholds; its modes are the default (Bonferroni-Holm on 100
thresholds), and fixed-sequence testing on 100 and on 1000 thresholds with the lowest rate of false
alarms among those that pass. Prints a table for each distribution.

    python benchmarks/quality/guaranteed_recall.py [--sets 200] [--json FILE]
"""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
from mapie.risk_control import BinaryClassificationController
from scipy.special import expit, logit
from scipy.stats import binom, norm
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from skimb.model_selection import GuaranteedRecallClassifier

RECALL, LEVEL = 0.9, 0.95
GRIDS = {100: np.linspace(0, 0.99, 100), 1000: np.linspace(0, 0.999, 1000)}
MODES = {
    "MAPIE, default": (100, {}),
    "MAPIE, fixed sequence, 100": (
        100,
        {"fwer_method": "fixed_sequence", "best_predict_param_choice": "fpr"},
    ),
    "MAPIE, fixed sequence, 1000": (
        1000,
        {"fwer_method": "fixed_sequence", "best_predict_param_choice": "fpr"},
    ),
}
TREES = np.arange(11) / 10


class Normal:
    """Log-odds of two normal distributions."""

    def __init__(self, own, others):
        self.means = np.array([others, own])

    def draw(self, target, rng):
        """Return the scores of samples of these classes."""
        return expit(rng.normal(self.means[target]))

    def rates(self, threshold):
        """Return the rate of false alarms and the recall."""
        cut = -np.inf if threshold <= 0 else logit(threshold)
        return norm.sf(cut - self.means)


class Votes:
    """The fraction of ten trees that vote for the class."""

    def __init__(self, own, others):
        self.chances = np.array([others, own])

    def draw(self, target, rng):
        """Return the scores of samples of these classes."""
        return rng.binomial(10, self.chances[target]) / 10

    def rates(self, threshold):
        """Return the rate of false alarms and the recall."""
        return binom.sf(np.ceil(10 * threshold - 1e-3) - 1, 10, self.chances)


CASES = {
    "separated classes": (Normal(2.0, -2.0), 60, 240),
    "a rare class, probabilities near zero": (Normal(-3.5, -6.0), 60, 540),
    "29 samples, the fewest possible": (Normal(1.0, -1.0), 29, 171),
    "equal scores: votes of ten trees": (Votes(0.8, 0.2), 60, 240),
}


def probabilities_as_given():
    """Return a classifier whose probability of class 1 is expit of its input."""
    one = LogisticRegression()
    one.classes_, one.coef_, one.intercept_ = np.array([0, 1]), np.array([[1.0]]), np.zeros(1)
    one.n_features_in_ = 1
    return FrozenEstimator(one)


def skimb_threshold(score, target, frozen):
    """Return our threshold."""
    with np.errstate(divide="ignore"):
        X = np.clip(logit(score), -700, 700)[:, None]
    clf = GuaranteedRecallClassifier(frozen, label=1, recall=RECALL, confidence_level=LEVEL)
    return clf.fit(X, target).threshold_


def mapie_threshold(score, target, n_grid, options):
    """Return MAPIE's threshold; zero, which predicts the class always, where none passes."""
    controller = BinaryClassificationController(
        lambda X: np.column_stack([1 - X, X]),
        "recall",
        RECALL,
        confidence_level=LEVEL,
        list_predict_params=GRIDS[n_grid],
        **options,
    )
    with warnings.catch_warnings():
        # Of thresholds that do not pass, and of votes that are all 0 or 1.
        warnings.simplefilter("ignore")
        controller.calibrate(score, target)
    found = controller.best_predict_param
    return 0.0 if found is None else found


def study(case, n_sets):
    """Return the violations and the mean rate of false alarms of each method."""
    scores, n_own, n_others = CASES[case]
    target = np.repeat([1, 0], [n_own, n_others])
    frozen = probabilities_as_given()
    rates = {name: [] for name in ("skimb", *MODES)}
    rng = np.random.RandomState(0)
    for _ in range(n_sets):
        score = scores.draw(target, rng)
        rates["skimb"].append(scores.rates(skimb_threshold(score, target, frozen)))
        for name, (n_grid, options) in MODES.items():
            rates[name].append(scores.rates(mapie_threshold(score, target, n_grid, options)))
    table = {}
    for name, values in rates.items():
        alarms, recall = np.array(values).T
        table[name] = {
            "violations": float((recall < RECALL).mean()),
            "recall": float(recall.mean()),
            "false_alarm_rate": float(alarms.mean()),
        }
    return table


def main():
    """Run the study, and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", type=int, default=200, help="calibration sets")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = {}
    for case in CASES:
        found[case] = study(case, arguments.sets)
        print(f"\n{case} ({arguments.sets} calibration sets)\n")
        print("| method | violations | recall | false alarms |")
        print("| --- | --- | --- | --- |")
        for name, row in found[case].items():
            print(
                f"| {name} | {row['violations']:.3f} | {row['recall']:.3f} "
                f"| {row['false_alarm_rate']:.4f} |"
            )
        best = min(row["false_alarm_rate"] for name, row in found[case].items() if name in MODES)
        assert found[case]["skimb"]["false_alarm_rate"] <= best * (1 + 1e-4), case
    print("\nThe false alarms of skimb are at most those of each mode of MAPIE.")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
