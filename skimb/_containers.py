"""Containers of samples and targets: reading them, and returning resampled data in the same form.

Samplers compute with arrays. A sample that was chosen is taken by its index from the container
that was given, so that no conversion can change it; only synthetic samples are converted.
"""

import sys
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from skimb._dataset_images import images_of_column, is_dataset_column
from skimb._frames import as_pandas, is_foreign, rows_of_foreign, with_made_rows
from skimb._image_source import ImageSource
from skimb._lazy_rows import ResampledRows, is_array, is_lazy
from skimb._params import safe_indexing
from skimb._pil_images import as_pil, is_pil_images
from skimb._refusals import refuse_masked, refuse_mixed_depths, refuse_no_samples
from skimb._rounding import in_dtype
from skimb._stored_arrays import StoredImages, is_stored_array
from skimb._unpacking import as_array, is_tensor, plain_vector

__all__ = [
    "column_like",
    "columns_without_numbers",
    "in_container",
    "like",
    "matched_rows",
    "plain_labels",
    "plain_rows",
    "plain_target",
    "select_rows",
    "select_target",
]


def like(X, values):
    """Return an array as a tensor if X is one, on its device, and floats in its dtype."""
    if is_tensor(X) and isinstance(values, np.ndarray):
        values = sys.modules["torch"].from_numpy(values).to(X.device)
        if X.is_floating_point() and values.is_floating_point():
            values = values.to(X.dtype)
    return values


def plain_rows(X) -> Any:
    """Return samples in a form of pandas, numpy or skimb.

    Tensors, and lists, object arrays and Series of arrays, become one array; frames and columns of
    polars and pyarrow those of pandas; arrays of h5py and zarr, and columns of data sets, become
    sources of images.

    Parameters
    ----------
    X : object
        Samples as they were given.

    Returns
    -------
    ndarray, frame, Series, ImageSource, or X if it is of another type; a tuple is returned as a
    list

    Raises
    ------
    ValueError
        If the arrays have different shapes or dtypes, or X has no samples that can be indexed.
    """
    is_rows = any(hasattr(X, name) for name in ("shape", "__array__", "__getitem__"))
    if not is_rows and X is not None:
        refuse_no_samples(X)
    if isinstance(X, Mapping) or not is_rows:
        raise ValueError(
            "X must be an array, a tensor, a sparse matrix, a frame or a list of samples. Got "
            f"{'None' if X is None else type(X)}. Give the samples as one array."
        )
    if isinstance(X, ImageSource):
        return X
    refuse_no_samples(X)
    if is_dataset_column(X):
        return images_of_column(X)
    if is_stored_array(X) and not isinstance(X, np.ndarray):
        return StoredImages(X)
    X = _listed(X, "X")
    rows, kinds = X, (np.ndarray, list, tuple)
    if hasattr(X, "iloc") and (X.ndim == 1 or X.shape[1] == 1):
        rows = X.to_numpy().ravel()
    if isinstance(rows, list):
        # numpy reads a list of lists as an array.
        kinds = np.ndarray
    elif not (isinstance(rows, np.ndarray) and rows.ndim == 1 and rows.dtype.kind == "O"):
        return X
    if len(rows) == 0 or not all((isinstance(row, kinds) or is_tensor(row)) for row in rows):
        return X
    rows = [np.asarray(as_array(row)) for row in rows]
    for place, row in enumerate(rows):
        if row.shape != rows[0].shape:
            raise ValueError(
                "Samples of X must be arrays of one shape. Sample 0 has shape "
                f"{rows[0].shape}, and sample {place} has {row.shape}. Resize the images, or give "
                "their paths."
            )
    if rows[0].ndim == 0:
        return X
    refuse_mixed_depths(rows, "X")
    return np.stack(rows)


def plain_target(y, estimator) -> Any:
    """Return a target in a form that scikit-learn can read.

    Parameters
    ----------
    y : array-like of shape (n,)
        The target as it was given.
    estimator : estimator
        The estimator that needs the target; errors name it.

    Returns
    -------
    array-like of shape (n,)

    Raises
    ------
    ValueError
        If y is None.
    """
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None."
        )
    return _listed(y, "y")


def _listed(given, name) -> Any:
    refuse_masked(given, name)
    is_listed = isinstance(given, tuple) or is_dataset_column(given)
    return list(given) if is_listed else as_array(as_pandas(given))


def plain_labels(y, estimator):
    """Return labels as `plain_target` does, as an array of the values that they are.

    Parameters
    ----------
    y, estimator
        As in `plain_target`.

    Returns
    -------
    array-like of shape (n,)

    Raises
    ------
    ValueError
        If y is None, or a label is missing.
    """
    y = plain_target(y, estimator)
    return plain_vector(y) if np.ndim(y) == 1 else y


def select_rows(X, indices, *, lazy=False) -> Any:
    """Return the samples of X at these indices.

    Parameters
    ----------
    X : array of any dimension, sparse matrix or frame
        The samples.
    indices : ndarray of shape (m,), int
        The indices of the samples to return, in this order; they may repeat.
    lazy : bool, default=False
        Whether to return `ResampledRows` where X is an array or such a view.

    Returns
    -------
    The same container; a frame keeps its index if no sample is repeated.
    """
    if isinstance(X, ResampledRows) and not lazy:
        return np.asarray(X[indices])
    X = as_pandas(X) if hasattr(X, "iloc") else X
    # A copy of paths costs nothing.
    if lazy and isinstance(X, np.ndarray) and X.ndim > 1:
        return ResampledRows(X, indices, indices, np.broadcast_to(0.0, len(indices)))
    selected = safe_indexing(X, indices)
    if hasattr(selected, "iloc") and len(np.unique(indices)) < len(indices):
        selected = selected.reset_index(drop=True)
    return selected


def select_target(y, indices, X_resampled) -> Any:
    """Return labels at these indices, in their container.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels.
    indices : ndarray of shape (m,), int
        The indices of the labels to return.
    X_resampled : object
        The samples that the labels belong to; if they have an index, the labels get it too.

    Returns
    -------
    array-like of shape (m,)
    """
    if isinstance(y, list | tuple | range):
        return (tuple if isinstance(y, tuple) else list)(y[i] for i in indices.tolist())
    if is_foreign(y):
        return rows_of_foreign(y, indices)
    if is_dataset_column(y):
        return list(y[indices.tolist()])
    if hasattr(y, "iloc"):
        y = as_pandas(y).iloc[indices].reset_index(drop=True)
        if hasattr(X_resampled, "iloc"):
            y.index = X_resampled.index
        return y
    return like(y, as_array(y)[indices])


def in_container(given, rows: Any, origin) -> Any:
    """Return resampled samples in the same container as X; chosen samples are taken from X itself.

    Parameters
    ----------
    given : object
        X as it was given.
    rows : ndarray, sparse matrix, frame or ResampledRows of m samples
        The resampled samples as they were computed.
    origin : ndarray of shape (m,), int
        For each resampled sample, its index in X; -1 if it is synthetic.

    Returns
    -------
    object

    Raises
    ------
    ValueError
        If there are synthetic samples, and X has columns that hold no numbers.
    """
    is_made = origin < 0
    if isinstance(given, pd.Index) and not is_made.any():
        return given.take(origin)
    if is_foreign(given):
        if not is_made.any():
            return rows_of_foreign(given, origin)
        made = rows.loc[is_made] if hasattr(rows, "iloc") else np.asarray(rows)[is_made]
        places = np.where(is_made, len(given) + np.cumsum(is_made) - 1, origin)
        return with_made_rows(given, made, places)
    if isinstance(rows, ImageSource):
        return rows
    if is_lazy(rows) and is_array(given):
        is_same = rows.dtype == given.dtype or given.ndim == 1 or is_made.any()
        return rows if is_same else select_rows(given, origin, lazy=True)
    if is_tensor(given):
        return like(given, rows)
    if hasattr(rows, "iloc") or is_lazy(given) or sparse.issparse(given):
        return rows
    if type(given) in (np.ndarray, np.memmap) and given.dtype == rows.dtype:
        return rows
    if not (hasattr(given, "iloc") or isinstance(given, np.ndarray | list | tuple)):
        return rows
    chosen = _chosen(given, origin[~is_made])
    if not is_made.any():
        return chosen
    made: Any = rows[is_made]
    made = made.toarray() if sparse.issparse(rows) else np.asarray(made)
    if is_pil_images(given):
        made = [as_pil(image) for image in made]
    # The place of each sample among the chosen samples, followed by the synthetic ones.
    places = np.argsort(np.argsort(is_made, kind="stable"))
    if hasattr(given, "iloc"):
        both = pd.concat([chosen, _made_like(made, given)], ignore_index=True)
        return both.iloc[places].reset_index(drop=True)
    if isinstance(given, np.ndarray):
        made = made.astype(given.dtype) if given.ndim > 1 else _objects(made)
        return np.concatenate([chosen, made])[places]
    if isinstance(made, list):
        both = [*chosen, *made]
    elif isinstance(given[0], np.ndarray) or is_tensor(given[0]):
        both = [*chosen, *(like(given[0], row) for row in made)]
    else:
        both = [*chosen, *made.tolist()]
    return type(given)(both[place] for place in places)


def _chosen(given, rows):
    if isinstance(given, list | tuple):
        return type(given)(given[row] for row in rows.tolist())
    return select_rows(given, rows)


def _objects(rows):
    """Return samples as an array of objects of shape (m,)."""
    objects = np.empty(len(rows), dtype=object)
    for place, row in enumerate(rows):
        objects[place] = row
    return objects


def _made_like(made, given):
    """Return synthetic samples as a frame or Series with the dtypes of another."""
    if given.ndim == 1:
        return pd.Series(_objects(made), name=given.name)
    if given.shape[1] == 1 and np.shape(made)[1:] != (1,):
        return pd.DataFrame({given.columns[0]: _objects(made)})
    columns = [column_like(values, given.iloc[:, place]) for place, values in enumerate(made.T)]
    return pd.concat(columns, axis=1).set_axis(given.columns, axis=1)


def column_like(values, column):
    """Return numbers as a column with the dtype of another; they are rounded if it holds integers.

    Parameters
    ----------
    values : ndarray of shape (m,)
        Numbers.
    column : Series
        A column of numbers, whose dtype is used.

    Returns
    -------
    Series of shape (m,)
    """
    inferred = column.infer_objects().dtype
    # Sparse and nullable dtypes hold the numpy dtype that they are based on.
    plain = getattr(inferred, "subtype", getattr(inferred, "numpy_dtype", inferred))
    return pd.Series(in_dtype(values, np.dtype(plain))).astype(column.dtype)


def columns_without_numbers(X: Any):
    """Return the names and dtypes of the columns that do not hold numbers.

    Parameters
    ----------
    X : object
        Only frames and 2-D arrays of objects can have such columns.

    Returns
    -------
    list of str
    """
    is_object = isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind == "O"
    frame: Any = pd.DataFrame(X) if is_object else as_pandas(X)
    if not isinstance(frame, pd.DataFrame):
        return []
    return [
        f"{name!r} ({dtype})"
        for name, dtype in zip(frame.columns, frame.infer_objects().dtypes, strict=True)
        if not pd.api.types.is_numeric_dtype(dtype)
    ]


def matched_rows(rows, labels, points, target):
    """Return for each sample the index of the point that equals it to the bit, label included.

    Where several points are equal, the first such sample gets the first, the second the next, and
    so on.

    Parameters
    ----------
    rows : array or sparse matrix of shape (m, d)
        The samples that a sampler returned.
    labels : ndarray of shape (m,)
        Their labels.
    points : array or sparse matrix of shape (n, d)
        The samples that it was given.
    target : ndarray of shape (n,)
        Their labels.

    Returns
    -------
    ndarray of shape (m,), int
        The index of the point; -1 where no point equals the sample.
    """
    if rows.shape[1:] != points.shape[1:]:
        return np.full(rows.shape[0], -1)
    dtype = np.promote_types(rows.dtype, points.dtype)
    known: dict = {}
    for place, key in enumerate(zip(_keys(points, dtype), target.tolist(), strict=True)):
        known.setdefault(key, []).append(place)
    seen: dict = {}
    matched = np.full(rows.shape[0], -1)
    for row, key in enumerate(zip(_keys(rows, dtype), labels.tolist(), strict=True)):
        places = known.get(key)
        if places is not None:
            turn = seen.get(key, 0)
            matched[row], seen[key] = places[turn % len(places)], turn + 1
    return matched


def _keys(rows, dtype):
    """Yield a key for each sample; equal samples have equal keys."""
    if sparse.issparse(rows):
        rows = sparse.csr_array(rows, dtype=dtype)
        rows.sum_duplicates()
        for start, stop in zip(rows.indptr, rows.indptr[1:], strict=False):
            yield (
                rows.indices[start:stop].astype(np.int64).tobytes()
                + rows.data[start:stop].tobytes()
            )
    elif dtype.kind == "O":
        yield from map(tuple, rows.tolist())
    else:
        for row in np.asarray(rows, dtype=dtype):
            yield blake2b(row.tobytes(), digest_size=16).digest()
