"""Scores and scorers that see the rare classes, and errors that see the rare range of a target.

The laws of this room: a ``*_score`` is better when larger, an ``*_error`` when smaller (but for
`sera_score`, which the literature named so); a class that neither occurs nor is predicted scores 0,
without a warning; averages of recalls go over the classes that occur in ``y_true``.
"""

from skimb.metrics._classification import imbalance_scoring, per_class_report
from skimb.metrics._regression import (
    balanced_mean_absolute_error,
    geometric_mean_error,
    prediction_slope,
    sera_score,
    shot_report,
)
from skimb.metrics._regression_scoring import regression_scoring

__all__ = [
    "balanced_mean_absolute_error",
    "geometric_mean_error",
    "imbalance_scoring",
    "per_class_report",
    "prediction_slope",
    "regression_scoring",
    "sera_score",
    "shot_report",
]
