"""The one edge to scikit-learn's private helpers: parameter tables and their check.

Everything else in skimb uses scikit-learn's public names. Should one of these move, this file is
the only place to mend.
"""

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn import base
from sklearn.utils import _param_validation, validation

__all__ = ["HasMethods", "Interval", "StrOptions", "check_sample_weight", "fit_context", "plain"]

HasMethods: Any = _param_validation.HasMethods
Interval: Any = _param_validation.Interval
StrOptions: Any = _param_validation.StrOptions
check_sample_weight: Any = validation._check_sample_weight
fit_context: Any = base._fit_context


def plain(value) -> Any:
    """Return a number as Python's own: torch takes no other, and small ones of NumPy overflow.

    Parameters
    ----------
    value : object
        A parameter as it was given.

    Returns
    -------
    bool, int or float; or what is no real number, as it is

    Examples
    --------
    >>> import numpy as np
    >>> from skimb._params import plain
    >>> plain(np.uint8(200)), plain(np.float32(0.5)), plain("auto")
    (200, 0.5, 'auto')
    """
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value
