"""Frames of other libraries than pandas become frames of pandas; frames with any text.

polars is recognised without being imported: if it is not imported yet, X cannot be an object of it.
"""

import sys
from functools import wraps
from typing import Any

import pandas as pd

__all__ = ["as_pandas", "is_polars", "with_any_text"]


def with_any_text(function):
    """Let a function make frames of pandas with any text in them.

    Where pyarrow is installed, pandas keeps text in UTF-8, which the names of some files do not
    have.

    Parameters
    ----------
    function : callable
        It returns a frame, and may be called twice.

    Returns
    -------
    callable
    """

    @wraps(function)
    def made(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except UnicodeEncodeError:
            with pd.option_context("mode.string_storage", "python"):
                return function(*args, **kwargs)

    return made


def is_polars(X):
    """Tell whether X is a frame or a Series of polars, without importing it."""
    polars = sys.modules.get("polars")
    return polars is not None and isinstance(X, polars.DataFrame | polars.Series)


def as_pandas(X) -> Any:
    """Return a frame or Series of polars as one of pandas, and anything else as it is.

    Parameters
    ----------
    X : object
        Samples as they were given.

    Returns
    -------
    DataFrame, Series, or X

    Notes
    -----
    The method ``to_pandas`` of polars needs pyarrow, which users of polars need not have.
    """
    if not is_polars(X):
        return X
    if hasattr(X, "columns"):
        return pd.DataFrame({name: _as_series(X.get_column(name)) for name in X.columns})
    return _as_series(X)


def _as_series(column):
    polars = sys.modules["polars"]
    name = column.name or None
    if column.dtype in (polars.Categorical, polars.Enum):
        return pd.Series(pd.Categorical(column.cast(polars.String).to_list()), name=name)
    if column.dtype.is_decimal():
        column = column.cast(polars.Float64)
    if column.dtype.is_numeric() or column.dtype.is_temporal():
        # Missing numbers are NaN.
        return pd.Series(column.to_numpy(), name=name)
    # Strings, booleans, and objects such as arrays.
    return pd.Series(column.to_list(), name=name, dtype=None if len(column) else object)
