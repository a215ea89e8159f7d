"""Choose rows first, touch pixels later: the one place where a resampling plan meets the rows.

A plan is an array of row indices (a selection), or pairs of rows with a gap (an interpolation).
Both are made from labels and distances alone; this module applies them to arrays of any dimension,
sparse matrices and frames.
"""

import numpy as np
from imblearn.utils import check_target_type
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from skimb._images import check_rows

__all__ = ["ImageSamplerMixin", "interpolate_rows", "seeded_clone", "select_rows"]

#: Values a block of interpolated rows may hold: bounds the memory beside the output.
BLOCK = 4_000_000


class ImageSamplerMixin:
    """What turns a sampler on imbalanced-learn's bases into one of rows of any dimension.

    Put it before the base. ``_computes`` says whether rows take part in arithmetic; a sampler that
    only selects takes strings and missing values too.
    """

    _computes = False

    def _check_X_y(self, X, y, accept_sparse=None):
        y, is_one_vs_all = check_target_type(y, indicate_one_vs_all=True)
        X, y = check_rows(self, X, y, numeric=self._computes)
        return X, y, is_one_vs_all

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()  # pyright: ignore[reportAttributeAccessIssue] - the base
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = not self._computes
        tags.input_tags.string = not self._computes
        tags.sampler_tags.sample_indices = True
        return tags


def seeded_clone(estimator, rng):
    """Clone an estimator and give a seed to each of its random states that has none.

    Parameters
    ----------
    estimator : estimator
        What is cloned.
    rng : RandomState
        The source of the seeds.

    Returns
    -------
    estimator
    """
    copy = clone(estimator)
    seeds = {
        name: int(rng.randint(np.iinfo(np.int32).max))
        for name, value in sorted(copy.get_params(deep=True).items())
        if (name == "random_state" or name.endswith("__random_state")) and value is None
    }
    return copy.set_params(**seeds) if seeds else copy


def select_rows(X, indices):
    """Return the rows of X at these indices.

    Parameters
    ----------
    X : array of any dimension, sparse matrix or frame
        The rows.
    indices : ndarray of shape (m,), int
        Which rows, in which order; a row may come more than once.

    Returns
    -------
    The same container; a frame keeps its index where no row comes twice.
    """
    selected = _safe_indexing(X, indices)
    if hasattr(selected, "iloc") and len(np.unique(indices)) < len(indices):
        selected = selected.reset_index(drop=True)
    return selected


def interpolate_rows(X, first, second, gaps):
    """Return X and, below it, one synthetic row for each pair of parents.

    The rows are ``X[first] + gaps * (X[second] - X[first])``, computed in float and rounded where
    X is integer: uint8 differences would wrap around.

    Parameters
    ----------
    X : ndarray of any dimension or sparse matrix
        The original rows.
    first, second : ndarray of shape (m,), int
        The parents.
    gaps : ndarray of shape (m,)
        How far from the first parent to the second, in [0, 1].

    Returns
    -------
    ndarray or sparse matrix with n + m rows, of the dtype of X
    """
    is_integer = np.issubdtype(X.dtype, np.integer) or X.dtype == bool
    if sparse.issparse(X):
        base, other = X[first].astype(np.float64), X[second].astype(np.float64)
        made = base + sparse.diags_array(gaps) @ (other - base)
        if is_integer:
            made.data = np.rint(made.data)
        return sparse.vstack([X, made.astype(X.dtype)], format=X.format)
    n_rows = len(X)
    out = np.empty((n_rows + len(first), *X.shape[1:]), dtype=X.dtype)
    out[:n_rows] = X
    # 16 bits and less fit float32 exactly; the rest is computed in double precision, as
    # imbalanced-learn does.
    work = np.float32 if is_integer and X.dtype.itemsize <= 2 else np.float64
    per_row = int(np.prod(X.shape[1:]))
    block = max(1, BLOCK // max(1, per_row))
    gaps = gaps.reshape(-1, *[1] * (X.ndim - 1)).astype(work)
    for start in range(0, len(first), block):
        part = slice(start, start + block)
        base = X[first[part]]
        if is_integer:
            base = base.astype(work)
            made = X[second[part]].astype(work)
            made -= base
        else:
            # In float32 or more, then scaled in double: equal to imbalanced-learn to the bit.
            base = base.astype(np.promote_types(X.dtype, np.float32), copy=False)
            made = X[second[part]] - base
        made = gaps[part] * made
        made += base
        if is_integer:
            np.rint(made, out=made)
        out[n_rows + start : n_rows + start + len(made)] = made
    return out
