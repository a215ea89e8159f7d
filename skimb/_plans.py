"""Resampling plans: samples are chosen first, and pixels are computed later, here alone.

A plan is an array of sample indices (a selection), or pairs of samples with a factor (an
interpolation). Both are made from labels and distances alone. This module applies them to arrays of
any dimension, sparse matrices and frames, at once or, as `ResampledRows`, when samples are asked
for.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from skimb._containers import column_like, plain_rows, select_rows
from skimb._frames import as_pandas, as_pyarrow, is_polars, is_pyarrow
from skimb._lazy_rows import ResampledRows, blend_into
from skimb._rounding import is_integer
from skimb._unpacking import as_array

__all__ = [
    "append_rows",
    "apply_plan",
    "hold_rows",
    "indexed_as",
    "interpolate_rows",
    "origin_of",
    "sample_indices",
]


def sample_indices(sampler):
    """Return the samples that a fitted sampler chose, as integers; None if it does not tell.

    Parameters
    ----------
    sampler : sampler

    Returns
    -------
    ndarray of int, or None
    """
    indices = getattr(sampler, "sample_indices_", None)
    # imbalanced-learn's InstanceHardnessThreshold gives floats.
    return None if indices is None else np.asarray(indices).astype(np.intp)


def origin_of(sampler):
    """Return, for each sample that a fitted sampler returned, its index in X.

    Parameters
    ----------
    sampler : sampler
        A sampler of skimb.

    Returns
    -------
    ndarray of int
        -1 if the sample was made.
    """
    origin = np.array(sampler.sample_indices_, dtype=np.intp)
    origin[len(origin) - len(getattr(sampler, "parents_", ())) :] = -1
    return origin


def indexed_as(sampler, selected, given, origin):
    """Return a frame or Series with the index that imbalanced-learn gives it.

    Over-samplers number their samples from 0, even where none is added; others keep the labels of
    the samples that stay, even where one is drawn twice.

    Parameters
    ----------
    sampler : sampler
        The fitted sampler.
    selected : object of m samples
        What it returned; only frames and Series of pandas have an index.
    given : object
        The samples that it got.
    origin : ndarray of shape (m,), int
        For each returned sample its index among those; negative if it was made.

    Returns
    -------
    object
    """
    if not (hasattr(selected, "iloc") and hasattr(given, "iloc")):
        return selected
    kind = getattr(getattr(sampler, "sampler_", sampler), "_sampling_type", None)
    if kind == "over-sampling":
        return selected.reset_index(drop=True)
    if kind in ("under-sampling", "clean-sampling") and np.all(origin >= 0):
        return selected.set_axis(given.index[origin])
    return selected


def interpolate_rows(X, first, second, gaps, *, chosen=None, lazy=False) -> Any:
    """Return X and, below it, one synthetic sample for each pair of parents.

    The samples are ``X[first] + gaps * (X[second] - X[first])``, computed in float and rounded
    where X is integer: uint8 differences would wrap around.

    Parameters
    ----------
    X : ndarray of any dimension or sparse matrix
        The original samples.
    first, second : ndarray of shape (m,), int
        The parents.
    gaps : ndarray of shape (m,)
        The interpolation factors, in [0, 1].
    chosen : ndarray of int, default=None
        The original samples that are returned; None: all.
    lazy : bool, default=False
        Return `ResampledRows`.

    Returns
    -------
    ndarray or sparse matrix of the chosen samples and m more, of the dtype of X

    Raises
    ------
    ValueError
        If X is sparse and `lazy` is True.
    """
    if sparse.issparse(X):
        if lazy:
            raise ValueError("`lazy=True` takes arrays, but X is a sparse matrix. Use lazy=False.")
        base, other = X[first].astype(np.float64), X[second].astype(np.float64)
        made = base + sparse.diags_array(gaps) @ (other - base)
        if is_integer(X.dtype):
            made.data = np.rint(made.data)
        return sparse.vstack([_chosen(X, chosen), made.astype(X.dtype)], format=X.format)
    if lazy:
        return _view_with_rows_below(X, chosen, first, second, gaps)
    n_rows = len(X) if chosen is None else len(chosen)
    out = np.empty((n_rows + len(first), *X.shape[1:]), dtype=X.dtype)
    out[:n_rows] = _chosen(X, chosen)
    blend_into(out[n_rows:], X, first, second, gaps)
    return out


def append_rows(X, made, seeds, *, chosen=None, lazy=False):
    """Return X and, below it, samples that were made elsewhere.

    Parameters
    ----------
    X : ndarray of shape (n, ...)
        The original samples.
    made : ndarray of shape (m, ...)
        The samples, of the dtype of X.
    seeds : ndarray of shape (m, 2), int
        The parents of each.
    chosen : ndarray of int, default=None
        The original samples that are returned; None: all.
    lazy : bool, default=False
        Return `ResampledRows`.

    Returns
    -------
    ndarray of the chosen samples and m more, or ResampledRows
    """
    if not lazy:
        # Without `dtype`, the byte order would become that of the machine.
        return np.concatenate([np.asarray(_chosen(X, chosen)), made], dtype=X.dtype)
    gaps = np.zeros(len(made))
    view = _view_with_rows_below(X, chosen, seeds[:, 0], seeds[:, 1], gaps)
    return hold_rows(view, made, np.arange(len(view) - len(made), len(view)))


def hold_rows(view, made, places):
    """Return a view some of whose samples are held as they are.

    Parameters
    ----------
    view : ResampledRows of m samples
        A view that holds none.
    made : ndarray of shape (k, ...)
        The samples, of the dtype of the view.
    places : ndarray of shape (k,), int
        Their positions in the view.

    Returns
    -------
    ResampledRows
    """
    held = np.full(len(view), -1)
    held[places] = np.arange(len(made))
    return ResampledRows(view.base, view.first, view.second, view.gaps, made=made, places=held)


def _chosen(X, chosen):
    return X if chosen is None else X[chosen]


def _view_with_rows_below(X, chosen, first, second, gaps):
    own = np.arange(len(X)) if chosen is None else chosen
    return ResampledRows(
        X,
        np.concatenate([own, first]),
        np.concatenate([own, second]),
        np.concatenate([np.zeros(len(own)), gaps]),
    )


def apply_plan(sampler: Any, values: Any) -> Any:
    """Resample a further array (weights, groups, a table) as a sampler resampled X.

    A sample that was chosen keeps its entry. A synthetic sample lies between two parents: floats
    and columns of floats are interpolated by the same factor, and anything else is taken from the
    first parent. The group of the second parent is therefore lost: to split by groups, split first
    and resample each part.

    Parameters
    ----------
    sampler : sampler, list of samplers or Pipeline of samplers
        They are fitted by ``fit_resample``. Several of them were applied in sequence.
    values : array-like of shape (n, ...), sparse matrix, Series or frame
        One entry for each sample of the X that the (first) sampler got. Series and frames are those
        of pandas or polars.

    Returns
    -------
    ndarray, sparse matrix, Series or frame
        One entry for each sample that the (last) sampler returned.

    Raises
    ------
    ValueError
        If a sampler does not tell which samples it returned, or the number of entries does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.over_sampling import SMOTE, apply_plan
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> age, site = np.linspace(20, 80, len(X)), np.arange(len(X)) // 300
    >>> smote = SMOTE(random_state=0)
    >>> X_res, y_res = smote.fit_resample(X, y)
    >>> apply_plan(smote, age).shape, apply_plan(smote, site).dtype
    ((3246,), dtype('int64'))
    """
    steps = getattr(sampler, "steps", None)
    if steps is not None:
        sampler = [step for _, step in steps]
    if isinstance(sampler, list | tuple):
        for step in sampler:
            values = apply_plan(step, values)
        return values
    indices = sample_indices(sampler)
    if indices is None:
        raise ValueError(
            f"{type(sampler).__name__} does not tell which samples it returned: it has no "
            "`sample_indices_`. Call `fit_resample` first; a sampler that makes samples up without "
            "naming their parents cannot be followed."
        )
    if is_pyarrow(values):
        return as_pyarrow(apply_plan(sampler, as_pandas(values)), values)
    if not (hasattr(values, "iloc") or sparse.issparse(values) or is_polars(values)):
        values = _entries(values)
    parents = getattr(sampler, "parents_", np.empty((0, 2), dtype=np.intp))
    n_rows, n_made = values.shape[0], len(parents)
    wanted = getattr(sampler, "_n_rows", None)
    if wanted is None and np.max(indices, initial=-1) >= n_rows:
        wanted = f"at least {np.max(indices) + 1}"
    if wanted not in (None, n_rows):
        raise ValueError(
            f"`values` must have an entry for each sample that {type(sampler).__name__} got: "
            f"{wanted}. Got {n_rows}."
        )
    followed = indexed_as(sampler, select_rows(values, indices), values, indices)
    if n_made == 0:
        return followed
    if is_polars(values):
        return _blended_polars(sampler, values, followed)
    if hasattr(values, "columns"):
        for place, column in enumerate(values.columns):
            followed.isetitem(place, apply_plan(sampler, values.iloc[:, place]).rename(column))
        return followed
    if not pd.api.types.is_float_dtype(values.dtype):
        return followed
    rows = values
    if hasattr(values, "iloc"):
        rows = values.to_numpy(dtype=np.float64, na_value=np.nan)
    # Chosen samples come first, whether all, as from over-samplers, or some.
    chosen = indices[: len(indices) - n_made]
    blended = interpolate_rows(rows, parents[:, 0], parents[:, 1], sampler.gaps_, chosen=chosen)
    if hasattr(values, "iloc"):
        made = column_like(blended, values).rename(followed.name)
        return made.set_axis(followed.index)
    return blended


def _blended_polars(sampler, values, followed):
    """Return a followed frame or Series of polars whose floats are interpolated."""
    if hasattr(values, "columns"):
        columns = [apply_plan(sampler, values.get_column(name)) for name in values.columns]
        return followed.with_columns(columns)
    if not values.dtype.is_float():
        return followed
    blended = apply_plan(sampler, values.to_numpy())
    return type(values)(values.name, blended).cast(values.dtype)


def _entries(values):
    """Return further values as an array whose entries are what they were."""
    if not isinstance(values, list | tuple):
        return np.asarray(as_array(values))
    found = np.asarray(plain_rows(values)) if len(values) else np.empty(0)
    if found.dtype.kind in "UT":
        objects = np.asarray(values, dtype=object)
        # Numbers among strings would become strings.
        if not all(isinstance(value, str) for value in objects.flat):
            return objects
    return found
