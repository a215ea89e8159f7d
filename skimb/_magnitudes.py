"""Numbers so large or small that their squares overflow or vanish."""

import numpy as np

__all__ = ["deviation", "scaling_exponents"]


def scaling_exponents(values, dtype):
    """Return the powers of two by which columns are divided so that their squares can be summed.

    Parameters
    ----------
    values : ndarray of shape (n, ...)
        Finite numbers.
    dtype : dtype
        The dtype of floats in which squares are computed.

    Returns
    -------
    ndarray of shape (...), int
        The exponents; 0 where no division is needed.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb._magnitudes import scaling_exponents
    >>> scaling_exponents(np.array([[1e300, 5.0]]), np.float64).tolist()
    [997, 0]
    """
    if values.dtype.kind != "f":
        return np.zeros(values.shape[1:], dtype=int)
    exponents = np.frexp(np.maximum(values.max(axis=0), -values.min(axis=0)))[1]
    # The sum of 2**24 squares is finite, too.
    most = np.finfo(dtype).maxexp // 2 - 12
    return np.where(np.abs(exponents) > most, exponents, 0)


def deviation(values, *, dtype=None, ddof=0):
    """Return the standard deviation of each column, of whatever magnitude.

    Parameters
    ----------
    values : ndarray of shape (n, d)
        Finite numbers.
    dtype : dtype, default=None
        The dtype of the computation. None: that of NumPy's function, but at least float32.
    ddof : int, default=0
        The degrees of freedom that n is reduced by.

    Returns
    -------
    ndarray of shape (d,)
        To the bit that of ``values.std(axis=0)``, where squares neither overflow nor vanish.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb._magnitudes import deviation
    >>> deviation(np.array([[1e300, 1.0], [3e300, 5.0]]))
    array([1.e+300, 2.e+000])
    """
    if dtype is None:
        dtype = np.promote_types(values.dtype, np.float32 if values.dtype.kind == "f" else float)
    exponents = scaling_exponents(values, dtype)
    if exponents.any():
        values = np.ldexp(values.astype(dtype), -exponents)
    return np.ldexp(values.std(axis=0, dtype=dtype, ddof=ddof), exponents)
