"""Frames and columns of other libraries than pandas: polars, pyarrow; and frames with any text.

An object of these libraries is recognised without an import: if a library is not imported yet, X
cannot be an object of it.
"""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import pandas as pd

__all__ = [
    "as_pandas",
    "as_pyarrow",
    "column_values",
    "in_schema_of",
    "is_foreign",
    "is_polars",
    "is_pyarrow",
    "rows_of_foreign",
    "with_any_text",
    "with_made_rows",
]


P = ParamSpec("P")
R = TypeVar("R")


def with_any_text(function: Callable[P, R]) -> Callable[P, R]:
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
    def made(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except UnicodeEncodeError:
            with pd.option_context("mode.string_storage", "python"):
                return function(*args, **kwargs)

    return made


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


def is_pyarrow(X):
    """Tell whether X is an array or a table of pyarrow, without importing it."""
    pyarrow = sys.modules.get("pyarrow")
    return pyarrow is not None and isinstance(
        X, pyarrow.Array | pyarrow.ChunkedArray | pyarrow.Table
    )


def is_foreign(X):
    """Tell whether X is a frame or a column of polars or pyarrow."""
    return is_polars(X) or is_pyarrow(X)


def as_pandas(X) -> Any:
    """Return a frame or a column of polars or pyarrow as one of pandas, and an index as a column.

    pandas takes no rows of columns in the byte order of other machines, as readers of FITS and
    NetCDF make them: such columns get that of this one.

    Parameters
    ----------
    X : object
        Samples as they were given.

    Returns
    -------
    DataFrame, Series, or X if it is anything else

    Notes
    -----
    The method ``to_pandas`` of polars needs pyarrow, which users of polars need not have.
    """
    if isinstance(X, pd.Index):
        return X.to_series(index=range(len(X)))
    if is_pyarrow(X):
        return X.to_pandas()
    if isinstance(X, pd.DataFrame | pd.Series):
        return _native(X)
    if not is_polars(X):
        return X
    if hasattr(X, "columns"):
        return pd.DataFrame({name: _as_series(X.get_column(name)) for name in X.columns})
    return _as_series(X)


def _native(X):
    """Return a frame or Series whose values have the byte order of the machine."""
    dtypes = X.dtypes if X.ndim == 2 else [X.dtype]
    foreign = {
        place: dtype.newbyteorder("=")
        for place, dtype in enumerate(dtypes)
        if isinstance(dtype, np.dtype) and not dtype.isnative
    }
    if not foreign:
        return X
    if X.ndim == 1:
        return X.astype(foreign[0])
    X = X.copy(deep=False)
    for place, dtype in foreign.items():
        X.isetitem(place, X.iloc[:, place].astype(dtype))
    return X


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


def column_values(X) -> Any:
    """Return the values of a Series, an index or a frame of one column, and anything else as it is.

    Parameters
    ----------
    X : object
        Samples as they were given.

    Returns
    -------
    ndarray of shape (n,), or X; a frame of several columns is not converted
    """
    if isinstance(X, pd.Index):
        return X.to_numpy()
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
    X : DataFrame, Series, Array, ChunkedArray or Table
        Of polars or pyarrow.
    indices : ndarray of shape (m,), int
        Which rows, in which order; they may repeat.

    Returns
    -------
    The same container of m rows
    """
    return X[indices.tolist()] if is_polars(X) else X.take(indices)


def with_made_rows(given, made, places) -> Any:
    """Return rows of a frame or column of polars or pyarrow, and rows that were made.

    Parameters
    ----------
    given : DataFrame or Series of polars, or Table, Array or ChunkedArray of pyarrow, of n rows
        Its rows are unchanged. A column holds arrays.
    made : ndarray of numbers of shape (k, ...), or DataFrame of pandas
        The rows that were made; they get the dtypes of `given`.
    places : ndarray of shape (m,), int
        For each row to return, its place among the rows of `given`, followed by those of `made`.

    Returns
    -------
    The same container of m rows
    """
    if is_polars(given):
        polars = sys.modules["polars"]
        if hasattr(given, "columns"):
            return polars.concat([given, in_schema_of(made, given)])[places]
        below = polars.Series(given.name, np.asarray(made).tolist()).cast(given.dtype)
        return polars.concat([given, below])[places]
    pyarrow = sys.modules["pyarrow"]
    if not hasattr(given, "column_names"):
        below = pyarrow.array(np.asarray(made).tolist(), type=given.type)
        above = given.chunks if isinstance(given, pyarrow.ChunkedArray) else [given]
        rows = pyarrow.chunked_array([*above, below]).take(places)
        return rows if isinstance(given, pyarrow.ChunkedArray) else rows.combine_chunks()
    frame = pd.DataFrame(np.asarray(made), columns=given.column_names)
    return pyarrow.concat_tables([given, as_pyarrow(frame, given)]).take(places)


def as_pyarrow(values, given):
    """Return a frame or a Series of pandas with the types of a table or an array of pyarrow.

    Parameters
    ----------
    values : DataFrame or Series
        Of pandas; floats are rounded where `given` holds integers.
    given : pyarrow.Table, Array or ChunkedArray

    Returns
    -------
    The container of `given`
    """
    pyarrow = sys.modules["pyarrow"]
    if hasattr(given, "column_names"):
        columns = [as_pyarrow(values[name], given[name]) for name in given.column_names]
        return pyarrow.table(columns, schema=given.schema)
    if pyarrow.types.is_integer(given.type) and values.dtype.kind == "f":
        values = values.round()
    made = pyarrow.array(values, type=given.type, from_pandas=True, safe=False)
    return pyarrow.chunked_array([made]) if isinstance(given, pyarrow.ChunkedArray) else made
