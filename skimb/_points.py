"""Rows as points between which distances are measured: as they are, or by an embedder."""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state

from skimb._image_files import is_paths
from skimb._lazy_rows import ResampledRows
from skimb._params import safe_indexing
from skimb._rounding import is_integer
from skimb._sub_estimators import seeded_clone, takes_images

__all__ = ["EmbeddingMixin"]


class EmbeddingMixin:
    """What a sampler needs that compares rows in themselves or in an embedding.

    Put it before `ImageSamplerMixin`.
    """

    embedder: Any
    random_state: Any
    _makes_rows: bool

    def _computes(self):
        # What an embedder reads is its own affair.
        return self._makes_rows or self.embedder is None

    def _fit_embedder(self, X, y):
        if self.embedder is not None:
            embedder = seeded_clone(self.embedder, check_random_state(self.random_state))
            self.embedder_ = embedder.fit(self._readable(X), y)

    def _readable(self, X):
        """Return rows as the embedder reads them: as they are, or flat."""
        if is_paths(X) and not takes_images(self.embedder):
            raise ValueError(
                f"X holds paths, and `embedder`={self.embedder!r} reads numbers. Give one that "
                "reads image files, or read them first: skimb.datasets.read_images(paths, "
                "image_shape=...)."
            )
        if not isinstance(X, np.ndarray | ResampledRows) or takes_images(self.embedder):
            return X
        return _flat(X)

    def _points(self, X, rows=None):
        """Return rows, or all of them, as points of shape (m, d)."""
        members = X if rows is None else safe_indexing(X, rows)
        if self.embedder is None:
            points = members if sparse.issparse(X) else _flat(members)
            if points.dtype.kind == "O":
                # Columns of several types, categories among them.
                points = points.astype(np.float64)
            if is_integer(points.dtype):
                # 16 bits and less fit float32 exactly.
                points = points.astype(np.float32 if points.dtype.itemsize <= 2 else np.float64)
            return points
        points = np.asarray(self.embedder_.transform(self._readable(members)))
        if points.ndim != 2 or len(points) != len(members):
            raise ValueError(
                "`embedder` must turn n rows into an array of shape (n, d). "
                f"For {len(members)} rows it gave {points.shape}."
            )
        return points


def _flat(X):
    return np.asarray(X).reshape(len(X), -1)
