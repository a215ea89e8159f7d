"""Frames and columns of other libraries than pandas: polars, pyarrow.

An object of these libraries is recognised without an import: if a library is not imported yet, X
cannot be an object of it.
"""

import sys
from typing import Any

import pandas as pd

__all__ = [
    "as_pandas",
    "column_values",
    "in_library_of",
    "is_foreign",
    "is_polars",
    "rows_of_foreign",
]


def is_polars(X):
    """Tell whether X is a frame or a Series of polars, without importing it."""
    polars = sys.modules.get("polars")
    return polars is not None and isinstance(X, polars.DataFrame | polars.Series)


def _is_pyarrow(X):
    """Tell whether X is an array or a table of pyarrow, without importing it."""
    pyarrow = sys.modules.get("pyarrow")
    return pyarrow is not None and isinstance(
        X, pyarrow.Array | pyarrow.ChunkedArray | pyarrow.Table | pyarrow.RecordBatch
    )


def is_foreign(X):
    """Tell whether X is a frame or a column of polars or pyarrow."""
    return is_polars(X) or _is_pyarrow(X)


def as_pandas(X) -> Any:
    """Return a frame or a column of polars or pyarrow as one of pandas, and anything else as it is.

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
    if _is_pyarrow(X):
        return X.to_pandas()
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


def column_values(X) -> Any:
    """Return the values of a Series or of a frame of one column, and anything else as it is.

    Parameters
    ----------
    X : object
        Samples as they were given.

    Returns
    -------
    ndarray of shape (n,), or X; a frame of several columns is not converted
    """
    if not (hasattr(X, "iloc") or is_foreign(X)):
        return X
    shape = getattr(X, "shape", ())
    if len(shape) == 2 and shape[1] != 1:
        return X
    X = as_pandas(X)
    return (X.iloc[:, 0] if X.ndim == 2 else X).to_numpy()


def rows_of_foreign(X, indices):
    """Return rows of a frame or a column of polars or pyarrow, unchanged.

    Parameters
    ----------
    X : DataFrame, Series, Array, ChunkedArray, Table or RecordBatch
        Of polars or pyarrow.
    indices : ndarray of shape (m,), int
        Which rows, in which order; they may repeat.

    Returns
    -------
    The same container of m rows
    """
    return X[indices.tolist()] if is_polars(X) else X.take(indices)


def in_library_of(given, values):
    """Return a frame or a Series of pandas in the library, and with the dtypes, of another.

    Parameters
    ----------
    given : DataFrame, Series, Array, ChunkedArray, Table or RecordBatch
        Of polars or pyarrow.
    values : DataFrame or Series
        Of pandas, with the columns of `given`.

    Returns
    -------
    The container of `given`
    """
    if is_polars(given):
        polars = sys.modules["polars"]
        if hasattr(given, "columns"):
            columns = {name: values[name].to_list() for name in given.columns}
            return polars.DataFrame(columns, schema=given.schema, strict=False)
        return polars.Series(given.name, values.to_list(), dtype=given.dtype, strict=False)
    pyarrow = sys.modules["pyarrow"]
    if isinstance(given, pyarrow.Table | pyarrow.RecordBatch):
        return type(given).from_pandas(values, schema=given.schema, preserve_index=False)
    made = pyarrow.array(values.to_list(), type=given.type)
    return pyarrow.chunked_array([made]) if isinstance(given, pyarrow.ChunkedArray) else made
