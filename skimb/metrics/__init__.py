"""Scores and errors for minority classes, for probabilities, and for rare ranges of a target.

A ``*_score`` is better when larger and an ``*_error`` when smaller, except for `sera_score`, whose
name comes from the literature. A class that neither occurs nor is predicted scores 0, without a
warning. Averages of recalls are over the classes that occur in ``y_true``.
"""

# pandas carries no types, so functions that return frames are partly unknown.
# pyright: reportUnknownVariableType=false

from skimb.metrics._calibration import (
    calibration_scoring,
    classwise_calibration_error,
    expected_calibration_error,
)
from skimb.metrics._classification import imbalance_scoring, per_class_report
from skimb.metrics._cost import cost_scoring, expected_cost, net_benefit
from skimb.metrics._regression import (
    balanced_mean_absolute_error,
    geometric_mean_error,
    prediction_slope,
    sera_score,
    shot_report,
)
from skimb.metrics._regression_scoring import regression_scoring
from skimb.metrics._sets import interval_coverage, set_coverage

__all__ = [
    "balanced_mean_absolute_error",
    "calibration_scoring",
    "classwise_calibration_error",
    "cost_scoring",
    "expected_calibration_error",
    "expected_cost",
    "geometric_mean_error",
    "imbalance_scoring",
    "interval_coverage",
    "net_benefit",
    "per_class_report",
    "prediction_slope",
    "regression_scoring",
    "sera_score",
    "set_coverage",
    "shot_report",
]
