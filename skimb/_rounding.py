"""Real numbers as values of a dtype, rounded and clipped if it holds integers."""

import numpy as np

__all__ = ["in_dtype", "is_integer"]


def is_integer(dtype):
    """Tell whether values are rounded when they are computed."""
    return np.issubdtype(dtype, np.integer) or np.issubdtype(dtype, np.bool_)


def in_dtype(values, dtype):
    """Return values in a dtype, rounded and clipped if it holds integers.

    Parameters
    ----------
    values : ndarray
        Real numbers.
    dtype : dtype
        The dtype that is wanted.

    Returns
    -------
    ndarray
    """
    if is_integer(dtype):
        values = np.rint(values)
        real = np.promote_types(values.dtype, np.float32).type
        values = np.clip(values, *_range_of(dtype, real))
    return values.astype(dtype)


def _range_of(dtype, real):
    """Return the least and the largest of the floats that fit a dtype of integers."""
    if dtype == np.bool_:
        return real(0), real(1)
    low, high = (real(bound) for bound in (np.iinfo(dtype).min, np.iinfo(dtype).max))
    # The largest integer may be no float: the next one above it would wrap around.
    return low, high if int(high) <= np.iinfo(dtype).max else np.nextafter(high, low)
