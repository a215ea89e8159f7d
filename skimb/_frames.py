"""Frames of other libraries than pandas become frames of pandas.

polars is recognised without being imported: if it is not imported yet, X cannot be an object of it.
"""

import sys
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["as_pandas", "in_schema_of", "is_polars"]


def is_polars(X):
    """Tell whether X is a frame or a Series of polars, without importing it.

    Parameters
    ----------
    X : object
        Samples as they were given.

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        If it is a frame of polars that is not computed yet.
    """
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(X, polars.LazyFrame):
        raise ValueError("X is a LazyFrame, whose rows are not computed yet. Give X.collect().")
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


def in_schema_of(made, given) -> Any:
    """Return samples as a frame of polars with the columns and dtypes of another.

    Parameters
    ----------
    made : ndarray of numbers of shape (m, d), or DataFrame of pandas
        Numbers are rounded where a column holds integers.
    given : polars.DataFrame of d columns
        The frame whose names and dtypes are used.

    Returns
    -------
    polars.DataFrame of shape (m, d)
    """
    polars = sys.modules["polars"]
    columns = []
    for (name, dtype), (_, column) in zip(
        given.schema.items(), pd.DataFrame(made).items(), strict=True
    ):
        is_to_round = dtype.is_integer() and column.dtype.kind == "f"
        values = np.rint(column.to_numpy()) if is_to_round else column.tolist()
        columns.append(polars.Series(name, values).cast(dtype))
    return polars.DataFrame(columns)
