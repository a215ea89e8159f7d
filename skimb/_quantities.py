"""The one rule that tells labels from numbers, in Python and on the command line.

A target of numbers is a quantity, and its task is regression, if some of the numbers are fractions
or more than `MOST_LABELS` of them differ. All other targets are labels. Users can choose the task
themselves by ``estimator=`` of `skimb.study.compare`, or by ``--task`` on the command line.
"""

import numpy as np

__all__ = ["MOST_LABELS", "has_fractions", "has_many_values", "is_quantity", "refuse_times"]

#: The most different whole numbers with which a target is taken for labels.
MOST_LABELS = 20


def is_quantity(values):
    """Tell whether values are a quantity, and not labels.

    Parameters
    ----------
    values : ndarray of shape (n,)
        The target, of any type. Text and booleans are labels, and so are objects.

    Returns
    -------
    bool

    Examples
    --------
    >>> import numpy as np
    >>> from skimb._quantities import is_quantity
    >>> is_quantity(np.array([0.5, 1.0])), is_quantity(np.arange(20)), is_quantity(np.arange(21))
    (True, False, True)
    """
    if values.dtype.kind not in "iuf":
        return False
    return has_fractions(values) or has_many_values(values)


def has_fractions(numbers):
    """Tell whether any of the finite numbers is not a whole number.

    Parameters
    ----------
    numbers : ndarray of shape (n,)

    Returns
    -------
    bool
    """
    return bool(np.any(numbers[np.isfinite(numbers)] % 1 != 0))


def has_many_values(numbers):
    """Tell whether there are more different numbers than labels usually have.

    Parameters
    ----------
    numbers : ndarray of shape (n,)

    Returns
    -------
    bool
    """
    return len(np.unique(numbers)) > MOST_LABELS


def refuse_times(values, name="y"):
    """Refuse times and spans of time where numbers are needed.

    NumPy turns them into numbers of some unit, from nanoseconds to days.

    Parameters
    ----------
    values : array-like
        The values as they were given.
    name : str, default="y"
        Their name in the error.

    Raises
    ------
    ValueError
        If they are of a dtype of times.
    """
    dtype = getattr(values, "dtype", None)
    kind = getattr(dtype, "kind", None)
    if kind in ("m", "M"):
        span = name if kind == "m" else f"({name} - {name}.min())"
        raise ValueError(
            f"{name} must hold numbers. It holds times, of dtype {dtype}. Give their number of "
            f"days, say: {span} / np.timedelta64(1, 'D')."
        )
