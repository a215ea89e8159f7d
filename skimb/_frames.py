"""Frames of other libraries than pandas become frames of pandas.

polars is recognised without being imported: if it is not imported yet, X cannot be an object of it.
"""

import sys
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["as_pandas", "in_schema_of", "is_polars"]


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


def in_schema_of(values, given) -> Any:
    """Return numbers as a frame of polars with the columns and dtypes of another.

    Parameters
    ----------
    values : ndarray of shape (m, d)
        Numbers; they are rounded where a column holds integers.
    given : polars.DataFrame of d columns of numbers
        The frame whose names and dtypes are used.

    Returns
    -------
    polars.DataFrame of shape (m, d)
    """
    polars = sys.modules["polars"]
    columns = []
    for (name, dtype), column in zip(given.schema.items(), values.T, strict=True):
        column = column if dtype.is_float() else np.rint(column)
        columns.append(polars.Series(name, column).cast(dtype))
    return polars.DataFrame(columns)
