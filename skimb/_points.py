"""Samples as points between which distances are measured: as they are, or by an embedder."""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils import check_random_state

from skimb._image_files import is_paths
from skimb._lazy_rows import is_array
from skimb._magnitudes import scaling_exponents
from skimb._params import safe_indexing
from skimb._pil_images import is_pil_images, pil_pixels
from skimb._rounding import is_integer
from skimb._sub_estimators import seeded_clone, takes_images

__all__ = ["Points"]


class Points:
    """The samples of X as points: their values, or what a fitted embedder makes of them.

    Calling it with indices, or with nothing for all samples, returns points of shape (m, d).

    Parameters
    ----------
    X : ndarray of shape (n, ...), ResampledRows, ImageSource, sparse matrix, frame or n paths
        The samples.
    embedder : transformer, default=None
        A fitted one. None: the values of the samples are the points.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb._points import Points
    >>> images = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    >>> Points(images)([1])
    array([[4., 5., 6., 7.]], dtype=float32)
    """

    def __init__(self, X, embedder: Any = None):
        self.X = X
        self.embedder = embedder

    @classmethod
    def fit(cls, X, y, embedder, random_state):
        """Fit a clone of an embedder, if one is given.

        Parameters
        ----------
        X
            As above.
        y : ndarray of shape (n,)
            The target.
        embedder : transformer or None
            It is cloned.
        random_state : int, RandomState instance or None
            The source of the clone's seeds, where it has none.

        Returns
        -------
        Points
        """
        if embedder is None:
            return cls(X)
        clone = seeded_clone(embedder, check_random_state(random_state))
        return cls(X, clone.fit(_readable(X, embedder), y))

    def __call__(self, rows=None):
        members = self.X if rows is None else safe_indexing(self.X, rows)
        if self.embedder is None:
            return _values(members)
        points = self.embedder.transform(_readable(members, self.embedder))
        # A ColumnTransformer with many categories gives a sparse matrix.
        points = points.toarray() if sparse.issparse(points) else np.asarray(points)
        n_samples = members.shape[0] if hasattr(members, "shape") else len(members)
        if points.ndim != 2 or len(points) != n_samples:
            raise ValueError(
                "`embedder` must turn n samples into an array of shape (n, d). "
                f"For {n_samples} samples it gave {points.shape}."
            )
        return points


def _values(X):
    """Return the values of samples as points."""
    points = X if sparse.issparse(X) else _flat(X)
    if points.dtype.kind == "O":
        # Columns of several types, categories among them.
        points = points.astype(np.float64)
    if is_integer(points.dtype):
        # 16 bits and less fit float32 exactly.
        points = points.astype(np.float32 if points.dtype.itemsize <= 2 else np.float64)
    return points if sparse.issparse(points) else _with_squares(points)


def _with_squares(points):
    """Return points in a dtype that holds the squares of their distances, or refuse them."""
    if points.dtype == np.float32 and scaling_exponents(points, np.float32).any():
        points = points.astype(np.float64)
    if np.any(scaling_exponents(points, np.float64) > 0):
        raise ValueError(
            "Distances between samples are computed from squares of numbers, and those of X reach "
            f"from {points.min():g} to {points.max():g}, so that squares overflow. Divide them by "
            "one number, or replace those that mark missing values."
        )
    return points


def _readable(X, embedder):
    """Return samples as an embedder reads them: as they are, or flat."""
    parts = _first_parts(embedder)
    # A ColumnTransformer takes the column of paths out of a frame.
    reads_paths = any(_takes_images(part) or isinstance(part, ColumnTransformer) for part in parts)
    if is_paths(X) and not reads_paths:
        raise ValueError(
            f"X holds paths, and `embedder`={embedder!r} reads numbers. Give one that "
            "reads image files, or read them first: skimb.datasets.read_images(paths, "
            "image_shape=...)."
        )
    reads_images = all(_takes_images(part) for part in parts)
    if is_pil_images(X) and not reads_images:
        return _flat(pil_pixels(X))
    if not is_array(X) or reads_images:
        return X
    return _flat(X)


def _first_parts(embedder):
    """Return the transformers that read X itself: in a Pipeline this is the first step."""
    if isinstance(embedder, FrozenEstimator):
        return _first_parts(embedder.estimator)
    if isinstance(embedder, Pipeline):
        return _first_parts(embedder.steps[0][1])
    if isinstance(embedder, FeatureUnion):
        return [part for _, step in embedder.transformer_list for part in _first_parts(step)]
    return [embedder]


def _takes_images(part):
    # "passthrough" and "drop" are no estimators.
    return not isinstance(part, str | None) and takes_images(part)


def _flat(X):
    return np.asarray(X).reshape(len(X), -1)
