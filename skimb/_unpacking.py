"""Conversion of other containers of images: tensors, columns of arrays, data sets of torch.

Objects of torch and skorch are recognised without importing these packages: if a package is not
imported yet, X cannot be an object of it.
"""

import sys
from typing import Any, cast

import numpy as np
import pandas as pd
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import column_or_1d

from skimb._dataset_images import is_dataset_column
from skimb._frames import as_pandas
from skimb._image_source import ImageSource
from skimb._optional_libraries import is_of
from skimb._refusals import refuse_masked, refuse_mixed_depths, refuse_no_samples
from skimb._warnings import warn

__all__ = [
    "as_array",
    "is_tensor",
    "plain_vector",
    "refuse_missing",
    "unpacked",
    "unpacked_rows",
    "vector_of",
]


def is_tensor(X):
    """Tell whether X is a tensor of torch, without importing it."""
    return "torch" in sys.modules and isinstance(X, sys.modules["torch"].Tensor)


def as_array(X):
    """Return a tensor as an array, and anything else as it is."""
    if not is_tensor(X):
        return X
    if X.layout is not sys.modules["torch"].strided:
        raise ValueError(
            f"Tensors must be dense. Got one of layout {X.layout}. Give tensor.to_dense()."
        )
    values = X.detach().cpu()
    try:
        return values.numpy()
    except TypeError:
        # numpy lacks the type (bfloat16, for instance), but float32 holds each of its values.
        return values.float().numpy()


def unpacked(X: Any, name="X") -> Any:
    """Return images, or a target, in a form that scikit-learn can validate.

    Parameters
    ----------
    X : object
        The images: a tensor, with or without a gradient, on any device; a list of tensors; an
        object array, Series or one-column frame of arrays; skorch's `SliceDataset`; or a frame or
        column of polars or pyarrow, which becomes one of pandas. Any other object is returned as it
        is.
    name : str, default="X"
        The name of the argument in error messages.

    Returns
    -------
    array-like

    Raises
    ------
    ValueError
        If it is one path, bytes or an open file, if it has masked values, if it is a container that
        may hold more than images, or that can be read only once, or if it holds arrays of several
        shapes or dtypes.
    """
    refuse_masked(X, name)
    if isinstance(X, np.ndarray) and X.dtype.kind != "O":
        return X
    if is_tensor(X):
        return as_array(X)
    if isinstance(X, ImageSource):
        return X
    refuse_no_samples(X, name)
    X = as_pandas(X)
    if is_dataset_column(X) and name != "X":
        return list(X)
    if is_of("skorch.helper", "SliceDataset", X):
        return _stacked([X[row] for row in range(len(X))], name)
    if isinstance(X, list | tuple):
        # A list of arrays of uint8 would become one of float32.
        is_of_arrays = len(X) > 0 and all(isinstance(row, np.ndarray) and row.ndim for row in X)
        is_mixed = any(is_tensor(row) for row in X) or _are_ragged(X)
        return _stacked(X, name) if is_of_arrays or is_mixed else X
    values = cast(Any, X).to_numpy() if hasattr(X, "iloc") else cast(Any, X)
    if isinstance(values, np.ndarray) and values.dtype == object and values.size:
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if values.ndim == 1 and _is_array(values[0]):
            return _stacked(values, name)
    return X


def unpacked_rows(X) -> Any:
    """Return samples in a form whose rows can be chosen, for an estimator that reads X itself.

    A frame stays one, even if it has a single column of arrays, which `unpacked` makes an array of:
    the estimator may know the column by its name (`image_column`).

    Parameters
    ----------
    X : object
        Samples as they were given.

    Returns
    -------
    DataFrame, or what `unpacked` returns

    Raises
    ------
    ValueError
        As `unpacked`.
    """
    frame = as_pandas(X)
    return frame if isinstance(frame, pd.DataFrame) else unpacked(X)


def _is_array(row):
    return is_tensor(row) or (isinstance(row, np.ndarray | list | tuple) and np.ndim(row) > 0)


def _are_ragged(rows):
    """Tell whether the items are arrays of different shapes."""
    return len({row.shape for row in rows if isinstance(row, np.ndarray)}) > 1


def _stacked(rows, name):
    """Stack items, which must all have one shape, into one array."""
    rows = [np.asarray(as_array(row)) for row in rows]
    shapes = {row.shape for row in rows}
    if len(shapes) > 1:
        raise ValueError(
            f"{name} holds arrays of different shapes: {sorted(shapes)[:5]}. All images must have "
            "one shape. Resize them, or give paths and `image_shape`."
        )
    refuse_mixed_depths(rows, name)
    return np.stack(rows)


def refuse_missing(y, name="y"):
    """Refuse a target with missing values, which NumPy would sort, compare or write as text.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels or values.
    name : str, default="y"
        The name of the target in the message.

    Raises
    ------
    ValueError
        If a value is None, NaN or NA.
    """
    if isinstance(y, list | tuple):
        # As an array, a list of text and NaN would hold the text "nan".
        y = pd.Series(y, dtype=object)
    elif not hasattr(y, "dtype"):
        y = np.asarray(y)
    if y.ndim != 1 or (isinstance(y.dtype, np.dtype) and y.dtype.kind in "biuSU"):
        return
    is_missing = np.asarray(pd.isna(y))
    if is_missing.any():
        # In the words of scikit-learn, which users and filters know.
        raise ValueError(
            f"Input {name} contains NaN, None or NA: {np.count_nonzero(is_missing)} of {len(y)} "
            f"values, the first that of sample {np.argmax(is_missing)}. Leave these samples out, "
            "or give them a value."
        )


def plain_vector(y, name="y"):
    """Return a target as an array of NumPy that holds the same values.

    Nullable integers stay integers, which would become floats, and objects that all are numbers or
    booleans become such.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, 1)
        Labels or values, in any container.
    name : str, default="y"
        The name of the target in messages.

    Returns
    -------
    ndarray of shape (n,)
        In the byte order of the machine.

    Raises
    ------
    ValueError
        If y has another shape, or a value is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> from skimb._unpacking import plain_vector
    >>> plain_vector(pd.Series([2**60, 2**60 + 1], dtype="Int64")).tolist()
    [1152921504606846976, 1152921504606846977]
    """
    y = unpacked(y, name)
    if isinstance(y, pd.DataFrame) and y.shape[1] == 1:
        y = y.iloc[:, 0]
    refuse_missing(y, name)
    nullable = getattr(getattr(y, "dtype", None), "numpy_dtype", None)
    values = column_or_1d(y if nullable is None else np.asarray(y, dtype=nullable))
    if values.dtype.kind in "OT":
        values = pd.Series(values.astype(object)).infer_objects().to_numpy()
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def vector_of(y) -> Any:
    """Return a target of shape (n, 1) as one of shape (n,), and warn at the line of the user.

    Parameters
    ----------
    y : array-like
        A target, in a form that scikit-learn can validate.

    Returns
    -------
    array-like
        Any other target as it is.

    Warns
    -----
    DataConversionWarning
        If y is a column.

    Raises
    ------
    ValueError
        If a value is missing, or y holds nullable integers that scikit-learn would make equal.

    Examples
    --------
    >>> import warnings
    >>> from skimb._unpacking import vector_of
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     vector_of([[0], [1]])
    array([0, 1])
    """
    refuse_missing(y)
    _refuse_merged(y)
    try:
        shape = np.asarray(y).shape
    except ValueError:
        # Lists of different lengths are refused later.
        return y
    if len(shape) != 2 or shape[1] != 1:
        return y
    # In the words of scikit-learn, which users and filters know.
    warn(
        "A column-vector y was passed when a 1d array was expected. Please change the shape of y "
        "to (n_samples,), for example using ravel().",
        DataConversionWarning,
    )
    return column_or_1d(y)


def _refuse_merged(y):
    """Refuse nullable integers that are equal as floats: scikit-learn reads and scores them so."""
    plain = getattr(getattr(y, "dtype", None), "numpy_dtype", None)
    if plain is None or plain.kind not in "iu" or not len(y) or max(y.max(), -y.min()) <= 2**53:
        return
    values = y.to_numpy(dtype=plain)
    if len(np.unique(values)) > len(np.unique(values.astype(np.float64))):
        raise ValueError(
            f"y holds {y.dtype} beyond 2**53, of which scikit-learn makes floats, so that some "
            f"become equal. Give y.to_numpy(dtype={plain.name!r})."
        )
