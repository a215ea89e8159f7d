"""Numbers that are so far from zero that they are equal as floats."""

import numpy as np

__all__ = ["refuse_lost_differences", "refuse_lost_in_blocks"]


def refuse_lost_differences(given, values, name):
    """Refuse numbers that are so far from zero that they are equal as floats.

    Parameters
    ----------
    given : array-like
        Numbers as they were given.
    values : ndarray of the same shape
        The same numbers in the dtype of the computation.
    name : str
        The name of the numbers in the message.

    Raises
    ------
    ValueError
        If they were rounded, and their range holds fewer different floats than an image of 8 bits
        has values.
    """
    if values.dtype.kind != "f" or not values.size or getattr(given, "dtype", None) == values.dtype:
        return
    if not _is_narrow(float(values.min()), float(values.max()), values.dtype):
        return
    given = np.asarray(given)
    if not (_is_exact(given, values) or np.all(given == given.flat[0])):
        _refuse(given.min(), given.max(), values.dtype, name)


def refuse_lost_in_blocks(blocks, dtype, name):
    """Refuse such numbers where they are read block by block.

    Parameters
    ----------
    blocks : iterable of ndarray
        Numbers as they are stored, in parts.
    dtype : dtype
        The dtype of the computation.
    name : str
        The name of the numbers in the message.

    Raises
    ------
    ValueError
        As `refuse_lost_differences`.
    """
    ends, is_exact = [], True
    for block in blocks:
        ends.append((block.min(), block.max()))
        is_exact = is_exact and _is_exact(block, block.astype(dtype))
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    if not is_exact and low != high and _is_narrow(float(low), float(high), np.dtype(dtype)):
        _refuse(low, high, np.dtype(dtype), name)


def _step(low, high, dtype):
    """Return the distance between neighbouring floats at the far end of a range."""
    return float(np.spacing(dtype.type(max(abs(low), abs(high)))))


def _is_narrow(low, high, dtype):
    return high - low < 256 * _step(low, high, dtype)


def _is_exact(given, values):
    with np.errstate(invalid="ignore"):
        return np.array_equal(values.astype(given.dtype), given)


def _refuse(low, high, dtype, name):
    raise ValueError(
        f"The values of {name} lie from {low} to {high}. The computation uses {dtype}, whose "
        f"numbers are {_step(float(low), float(high), dtype):g} apart there, so their differences "
        f"would be lost. Subtract the same number from all of {name} first, such as the least, or "
        "scale them."
    )
