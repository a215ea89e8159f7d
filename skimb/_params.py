"""The one edge to scikit-learn's private helpers: parameter tables and their check, scorers.

Everything else in skimb uses scikit-learn's public names. Should one of these move, this file is
the only place to mend.
"""

from typing import Any

from sklearn import base
from sklearn.metrics import _scorer
from sklearn.utils import _param_validation, validation

__all__ = [
    "BaseScorer",
    "HasMethods",
    "Interval",
    "StrOptions",
    "check_sample_weight",
    "fit_context",
]

BaseScorer: Any = _scorer._BaseScorer
HasMethods: Any = _param_validation.HasMethods
Interval: Any = _param_validation.Interval
StrOptions: Any = _param_validation.StrOptions
check_sample_weight: Any = validation._check_sample_weight
fit_context: Any = base._fit_context
