"""Choose pairs of near neighbours in a class, between which rows are made."""

from abc import abstractmethod
from typing import Any

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from scipy import sparse
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_random_state

from skimb._distances import are_far, centred
from skimb._params import plain
from skimb._sampler_base import ImageSamplerMixin
from skimb._warnings import warn

__all__ = ["BaseSMOTE"]


class BaseSMOTE(ImageSamplerMixin, BaseOverSampler):
    """Template of samplers that make a row of two neighbours in a class.

    A subclass has the parameters ``random_state`` and ``k_neighbors``, prepares in ``_prepare``,
    says in ``_points`` where neighbours are sought, and makes rows in ``_rows``.
    """

    _makes_rows = True
    k_neighbors: int
    random_state: Any

    @abstractmethod
    def _prepare(self, X, y):
        """Fit what the points or the rows need."""

    @abstractmethod
    def _points(self, X, rows) -> Any:
        """Return rows as points, of shape (m, d)."""

    @abstractmethod
    def _rows(self, X, first, second) -> Any:
        """Return X and, below it, the synthetic rows."""

    def _fit_resample(self, X, y):
        for label, n_new in self.sampling_strategy_.items():
            if n_new and np.sum(y == label) < 2:
                raise ValueError(
                    f"Class {y[y == label].tolist()[0]!r} has one row only, and "
                    f"{type(self).__name__} needs two to interpolate. Use RandomOverSampler for "
                    "it, or leave it out of `sampling_strategy`."
                )
        if any(self.sampling_strategy_.values()):
            self._prepare(X, y)
        firsts, seconds, gaps, labels = [], [], [], []
        for label, n_new in self.sampling_strategy_.items():
            if n_new == 0:
                continue
            rows = np.flatnonzero(y == label)
            first, second, gap = self._plan(self._points(X, rows), y[rows[:1]].tolist()[0], n_new)
            firsts.append(rows[first])
            seconds.append(rows[second])
            gaps.append(gap)
            labels.append(np.full(n_new, label, dtype=y.dtype))
        first, second = _joined(firsts, np.intp), _joined(seconds, np.intp)
        self.parents_ = np.column_stack([first, second])
        self.gaps_ = _joined(gaps, np.float64)
        self.sample_indices_ = np.concatenate([np.arange(len(y)), first])
        return self._rows(X, first, second), np.concatenate([y, *labels])

    def _plan(self, members, label, n_new):
        """Choose parents, as positions within the class, and gaps."""
        n_rows = members.shape[0]
        k_neighbors = min(plain(self.k_neighbors), n_rows - 1)
        if k_neighbors < self.k_neighbors:
            warn(
                f"Class {label!r} has {n_rows} rows only: {type(self).__name__} uses {k_neighbors} "
                f"neighbours there instead of k_neighbors={self.k_neighbors}."
            )
        if not sparse.issparse(members) and are_far(members):
            # Elsewhere as they are: a last digit decides which of equal neighbours is first.
            members = centred(members)
        search = NearestNeighbors(n_neighbors=k_neighbors + 1).fit(members)
        # The first neighbour of a row is the row itself.
        neighbors = search.kneighbors(members, return_distance=False)[:, 1:]
        # As imbalanced-learn draws: each class from the start of an int seed.
        rng = check_random_state(self.random_state)
        drawn = rng.randint(low=0, high=neighbors.size, size=n_new)
        gap = rng.uniform(size=n_new)
        first, choice = np.divmod(drawn, k_neighbors)
        return first, neighbors[first, choice], gap


def _joined(parts, dtype):
    return np.concatenate(parts) if parts else np.empty(0, dtype=dtype)
