"""The one edge to scikit-learn's private helpers: parameter tables and their check.

Everything else in skimb uses scikit-learn's public names. Should one of these move, this file is
the only place to mend.
"""

from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

__all__ = ["HasMethods", "Interval", "StrOptions", "check_sample_weight", "fit_context"]
