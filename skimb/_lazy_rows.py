"""The result of a resampler as a view over its input: samples are made when they are asked for."""

from typing import Any

import numpy as np
from scipy import sparse

from skimb._image_source import ImageSource
from skimb._rounding import in_dtype, is_integer
from skimb._shared_jobs import size_of_attributes

__all__ = ["VALUES_AT_ONCE", "ResampledRows", "blend_into", "is_array", "is_lazy"]

#: Number of values that are computed at once: it bounds the memory in addition to the output.
VALUES_AT_ONCE = 65_536


def blend_into(out, X, first, second, gaps):
    """Write one sample for each pair of parents, block by block.

    Parameters
    ----------
    out : ndarray of shape (m, ...)
        The array that is written to.
    X : ndarray of shape (n, ...), or ResampledRows
        The samples.
    first, second : ndarray of shape (m,), int
        The parents.
    gaps : ndarray of shape (m,)
        The interpolation factors, in [0, 1].
    """
    rounds = is_integer(X.dtype)
    # 16 bits and less fit float32 exactly; the rest is computed in double precision, as
    # imbalanced-learn does.
    work = np.float32 if rounds and X.dtype.itemsize <= 2 else np.float64
    per_row = int(np.prod(X.shape[1:]))
    block = max(1, VALUES_AT_ONCE // max(1, per_row))
    gaps = gaps.reshape(-1, *[1] * (X.ndim - 1)).astype(work)
    for start in range(0, len(first), block):
        part = slice(start, start + block)
        base = np.asarray(X[first[part]])
        if rounds:
            base = base.astype(work)
            made = np.asarray(X[second[part]]).astype(work)
            made -= base
        else:
            # In float32 or more, then scaled in double: equal to imbalanced-learn to the bit.
            base = base.astype(np.promote_types(X.dtype, np.float32), copy=False)
            made = np.asarray(X[second[part]]) - base
        made = gaps[part] * made
        made += base
        if rounds:
            made = in_dtype(made, X.dtype) if X.dtype.itemsize == 8 else np.rint(made, out=made)
        out[start : start + len(made)] = made


class ResampledRows:
    """The samples of a resampler's result, each known by its parents.

    It holds the input and, for each sample, two parents and an interpolation factor; both parents
    of a copy are the same. Samples that are not interpolated (augmented ones, for example) are held
    as they are. Indexing by a slice, a mask or an array of indices returns a view; indexing by an
    integer returns the sample itself; ``numpy.asarray`` makes all samples.

    Parameters
    ----------
    base : ndarray of any dimension, or ResampledRows
        The input of the resampler. A view over a view knows the ancestors of its samples.
    first, second : ndarray of shape (m,), int
        The parents of each sample.
    gaps : ndarray of shape (m,)
        The interpolation factor of each sample, in [0, 1]: 0 at its first parent, 1 at its second.
    made : ndarray of shape (k, ...), default=None
        Samples that are held as they are.
    places : ndarray of shape (m,), int, default=None
        The position of each sample in `made`; -1 if it is not there.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb._lazy_rows import ResampledRows
    >>> X = np.array([[0, 0], [10, 20]], dtype=np.uint8)
    >>> view = ResampledRows(X, np.array([0, 1, 0]), np.array([0, 1, 1]), np.array([0, 0, 0.3]))
    >>> view.shape, np.asarray(view[1:]).tolist(), view.ancestry()[[2]].indices.tolist()
    ((3, 2), [[10, 20], [3, 6]], [0, 1])
    """

    def __init__(self, base, first, second, gaps, *, made: Any = None, places: Any = None):
        self.base, self.first, self.second, self.gaps = base, first, second, gaps
        self.made, self.places = made, places
        #: The view that this one is over, if it is over one.
        self.older = base if isinstance(base, ResampledRows) else None
        if made is None:
            # One number for all: a view shall cost almost no memory.
            self.made, self.places = np.empty((0, *base.shape[1:])), np.broadcast_to(-1, len(first))

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
        return self.base if self.older is None else self.older.root

    def __len__(self):
        return len(self.first)

    def __repr__(self):
        return f"ResampledRows(shape={self.shape}, dtype={self.dtype})"

    def __sizeof__(self):
        return object.__sizeof__(self) + size_of_attributes(self)

    def __getitem__(self, key: Any):
        key, *others = key if isinstance(key, tuple) else (key,)
        if key is Ellipsis:
            key = slice(None)
        is_row = not isinstance(key, slice) and np.ndim(key) == 0
        # (rows, ...) is how scikit-learn indexes arrays; any other index needs values.
        if is_row or [other for other in others if other is not Ellipsis]:
            made = np.asarray(self[[key] if is_row else key])
            return made[(0 if is_row else slice(None), *others)]
        if not isinstance(key, slice):
            key = np.asarray(key) if len(key) else np.empty(0, dtype=np.intp)
        return ResampledRows(
            self.base,
            self.first[key],
            self.second[key],
            self.gaps[key],
            made=self.made,
            places=self.places[key],
        )

    def __iter__(self):
        return (self[row] for row in range(len(self)))

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError(
                "A view computes its samples: `copy=False` is not possible. Use copy=None."
            )
        out = np.empty(self.shape, dtype=self.dtype)
        per_row = max(1, int(np.prod(self.shape[1:])))
        step = max(1, VALUES_AT_ONCE // per_row)
        for start in range(0, len(self), step):
            part = slice(start, start + step)
            first, second, gaps = self.first[part], self.second[part], self.gaps[part]
            is_held, is_blend = self.places[part] >= 0, first != second
            held, copies = np.flatnonzero(is_held), np.flatnonzero(~is_held & ~is_blend)
            blends = np.flatnonzero(~is_held & is_blend)
            out[start + held] = self.made[self.places[part][held]]
            out[start + copies] = np.asarray(self.base[first[copies]])
            made = np.empty((len(blends), *self.shape[1:]), dtype=self.dtype)
            blend_into(made, self.base, first[blends], second[blends], gaps[blends])
            out[start + blends] = made
        return out if dtype is None else out.astype(dtype, copy=False)

    def tolist(self):
        """Return all samples as nested lists."""
        return np.asarray(self).tolist()

    def are_copies(self):
        """Tell which samples are exact copies from the array at the root.

        Returns
        -------
        ndarray of shape (m,), bool
        """
        copies = (self.first == self.second) & (self.places < 0)
        if self.older is not None:
            copies &= self.older.are_copies()[self.first]
        return copies

    def ancestry(self):
        """Return the samples of the array at the root of which each sample is made.

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
        if self.older is not None:
            pairs = pairs @ self.older.ancestry().astype(np.int32)
        return pairs.astype(bool)


def is_lazy(X):
    """Tell whether X stands for an array whose samples are made, or read, when asked for."""
    return isinstance(X, ResampledRows | ImageSource)


def is_array(X):
    """Tell whether X is an array, or stands for one."""
    return isinstance(X, np.ndarray) or is_lazy(X)
