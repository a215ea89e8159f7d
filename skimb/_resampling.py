"""Choose rows first, touch pixels later: the one place where a resampling plan meets the rows.

A plan is an array of row indices (a selection), or pairs of rows with a gap (an interpolation).
Both are made from labels and distances alone; this module applies them to arrays of any dimension,
sparse matrices and frames, at once or, as `ResampledRows`, when rows are asked for.
"""

import numpy as np
from imblearn.utils import check_target_type
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import _safe_indexing, check_consistent_length

from skimb._images import check_rows

__all__ = [
    "ImageSamplerMixin",
    "ResampledRows",
    "interpolate_rows",
    "seeded_clone",
    "select_rows",
]

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
        if isinstance(X, ResampledRows):
            # Rows between finite rows are finite: checking the root makes none of them.
            check_consistent_length(X, y)
            check_rows(self, X.root, np.zeros(len(X.root)), numeric=self._computes)
            return X, np.asarray(y), is_one_vs_all
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


def select_rows(X, indices, *, lazy=False):
    """Return the rows of X at these indices.

    Parameters
    ----------
    X : array of any dimension, sparse matrix or frame
        The rows.
    indices : ndarray of shape (m,), int
        Which rows, in which order; a row may come more than once.
    lazy : bool, default=False
        Return `ResampledRows` where X is an array or such a view.

    Returns
    -------
    The same container; a frame keeps its index where no row comes twice.
    """
    if isinstance(X, ResampledRows):
        return X[indices] if lazy else np.asarray(X[indices])
    if lazy and isinstance(X, np.ndarray):
        return ResampledRows(X, indices, indices, np.zeros(len(indices)))
    selected = _safe_indexing(X, indices)
    if hasattr(selected, "iloc") and len(np.unique(indices)) < len(indices):
        selected = selected.reset_index(drop=True)
    return selected


def interpolate_rows(X, first, second, gaps, *, lazy=False):
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
    lazy : bool, default=False
        Return `ResampledRows`.

    Returns
    -------
    ndarray or sparse matrix with n + m rows, of the dtype of X

    Raises
    ------
    ValueError
        If a sparse matrix shall be resampled lazily.
    """
    if sparse.issparse(X):
        if lazy:
            raise ValueError("`lazy=True` takes arrays, but X is a sparse matrix. Use lazy=False.")
        base, other = X[first].astype(np.float64), X[second].astype(np.float64)
        made = base + sparse.diags_array(gaps) @ (other - base)
        if _is_integer(X.dtype):
            made.data = np.rint(made.data)
        return sparse.vstack([X, made.astype(X.dtype)], format=X.format)
    n_rows = len(X)
    if lazy:
        own = np.arange(n_rows)
        return ResampledRows(
            X,
            np.concatenate([own, first]),
            np.concatenate([own, second]),
            np.concatenate([np.zeros(n_rows), gaps]),
        )
    out = np.empty((n_rows + len(first), *X.shape[1:]), dtype=X.dtype)
    out[:n_rows] = X
    _blend_into(out[n_rows:], X, first, second, gaps)
    return out


def _is_integer(dtype):
    return np.issubdtype(dtype, np.integer) or np.issubdtype(dtype, np.bool_)


def _blend_into(out, X, first, second, gaps):
    """Write one row for each pair of parents, block by block."""
    is_integer = _is_integer(X.dtype)
    # 16 bits and less fit float32 exactly; the rest is computed in double precision, as
    # imbalanced-learn does.
    work = np.float32 if is_integer and X.dtype.itemsize <= 2 else np.float64
    per_row = int(np.prod(X.shape[1:]))
    block = max(1, BLOCK // max(1, per_row))
    gaps = gaps.reshape(-1, *[1] * (X.ndim - 1)).astype(work)
    for start in range(0, len(first), block):
        part = slice(start, start + block)
        base = np.asarray(X[first[part]])
        if is_integer:
            base = base.astype(work)
            made = np.asarray(X[second[part]]).astype(work)
            made -= base
        else:
            # In float32 or more, then scaled in double: equal to imbalanced-learn to the bit.
            base = base.astype(np.promote_types(X.dtype, np.float32), copy=False)
            made = np.asarray(X[second[part]]) - base
        made = gaps[part] * made
        made += base
        if is_integer:
            np.rint(made, out=made)
        out[start : start + len(made)] = made


class ResampledRows:
    """The result of a resampler as a view over its input: rows are made when they are asked for.

    It holds the input and, for each row, two parents and a gap; a copy is its own two parents.
    Indexing by a slice, a mask or an array of indices returns such a view again, by an integer the
    row itself; ``numpy.asarray`` makes all rows.

    Parameters
    ----------
    base : ndarray of any dimension, or ResampledRows
        What was resampled. A view over a view knows the ancestors of its rows.
    first, second : ndarray of shape (m,), int
        The parents of each row.
    gaps : ndarray of shape (m,)
        How far each row lies from its first parent to its second, in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from skimb._resampling import ResampledRows
    >>> X = np.array([[0, 0], [10, 20]], dtype=np.uint8)
    >>> view = ResampledRows(X, np.array([0, 1, 0]), np.array([0, 1, 1]), np.array([0, 0, 0.3]))
    >>> view.shape, np.asarray(view[1:]).tolist(), view.ancestry()[[2]].indices.tolist()
    ((3, 2), [[10, 20], [3, 6]], [0, 1])
    """

    def __init__(self, base, first, second, gaps):
        self.base, self.first, self.second, self.gaps = base, first, second, gaps

    @property
    def shape(self):
        """The shape of the array that it stands for."""
        return (len(self.first), *self.base.shape[1:])

    @property
    def ndim(self):
        """The number of dimensions."""
        return self.base.ndim

    @property
    def dtype(self):
        """The type of the values."""
        return self.base.dtype

    @property
    def root(self):
        """The array at the end of a chain of views."""
        return self.base.root if isinstance(self.base, ResampledRows) else self.base

    def __len__(self):
        return len(self.first)

    def __repr__(self):
        return f"ResampledRows(shape={self.shape}, dtype={self.dtype})"

    def __getitem__(self, key):
        key, *others = key if isinstance(key, tuple) else (key,)
        is_row = np.ndim(key) == 0 and not isinstance(key, slice)
        # (rows, ...) is how scikit-learn indexes arrays; anything more wants values.
        if is_row or [other for other in others if other is not Ellipsis]:
            made = np.asarray(self[[key] if is_row else key])
            return made[(0 if is_row else slice(None), *others)]
        key = key if isinstance(key, slice) else np.asarray(key)
        return ResampledRows(self.base, self.first[key], self.second[key], self.gaps[key])

    def __iter__(self):
        return (self[row] for row in range(len(self)))

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("The rows of a view are made anew: `copy=False` cannot be kept.")
        out = np.empty(self.shape, dtype=self.dtype)
        per_row = max(1, int(np.prod(self.shape[1:])))
        step = max(1, BLOCK // per_row)
        for start in range(0, len(self), step):
            part = slice(start, start + step)
            first, second, gaps = self.first[part], self.second[part], self.gaps[part]
            blends = np.flatnonzero(first != second)
            out[part] = np.asarray(self.base[first])
            made = np.empty((len(blends), *self.shape[1:]), dtype=self.dtype)
            _blend_into(made, self.base, first[blends], second[blends], gaps[blends])
            out[start + blends] = made
        return out if dtype is None else out.astype(dtype, copy=False)

    def tolist(self):
        """Return all rows as nested lists."""
        return np.asarray(self).tolist()

    def ancestry(self):
        """Return which rows of the array at the root each row is made of.

        Returns
        -------
        csr_array of shape (m, n), bool
        """
        n_rows = len(self)
        pairs = sparse.coo_array(
            (
                np.ones(2 * n_rows, dtype=np.int32),
                (np.tile(np.arange(n_rows), 2), np.concatenate([self.first, self.second])),
            ),
            shape=(n_rows, len(self.base)),
        ).tocsr()
        if isinstance(self.base, ResampledRows):
            pairs = pairs @ self.base.ancestry().astype(np.int32)
        return pairs.astype(bool)
