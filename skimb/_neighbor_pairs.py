"""Choose pairs of near neighbours in a class, between which samples are made."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_random_state

from skimb._distances import are_far, centred, warn_of_long_search
from skimb._messages import shown
from skimb._params import plain
from skimb._warnings import warn

__all__ = ["NeighborPairs", "choose_pairs"]


@dataclass(frozen=True)
class NeighborPairs:
    """The parents, interpolation factors and labels of m synthetic samples.

    Parameters
    ----------
    parents : ndarray of shape (m, 2), int
        Samples of the same class.
    gaps : ndarray of shape (m,)
        The interpolation factor of each synthetic sample: 0 at its first parent, 1 at its second.
    labels : ndarray of shape (m,)
        The class of each.
    """

    parents: Any
    gaps: Any
    labels: Any

    def sample_indices(self, n_samples):
        """Return the index of each original and, below, the first parent of each synthetic sample.

        Parameters
        ----------
        n_samples : int
            Number of originals.

        Returns
        -------
        ndarray of shape (n_samples + m,), int
        """
        return np.concatenate([np.arange(n_samples), self.parents[:, 0]])


def choose_pairs(y, n_new, fit_points, *, k_neighbors, random_state, name):
    """Choose the parents of the samples that SMOTE and its relatives make.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels.
    n_new : dict
        Label to number of new samples.
    fit_points : callable
        It is called without arguments, once, if a sample is to be made, and returns a function
        that turns indices of samples into points of shape (m, d), between which neighbours are
        sought.
    k_neighbors : int or estimator
        Neighbours to choose from, or an object that finds them, each sample among its own.
    random_state : int, RandomState instance or None
        The source of pairs and factors.
    name : str
        The name of the sampler, for messages.

    Returns
    -------
    NeighborPairs

    Raises
    ------
    ValueError
        If a class that shall grow has one sample only.
    """
    for label, n_made in n_new.items():
        if n_made and np.sum(y == label) < 2:
            raise ValueError(
                f"Class {shown(y[y == label][0])} has one sample only, and {name} needs two to "
                "interpolate. Use RandomOverSampler for it, or leave it out of "
                "`sampling_strategy`."
            )
    searcher = None if isinstance(k_neighbors, Integral) else k_neighbors
    if searcher is not None:
        k_neighbors = _neighbors_of(searcher)
    growing = {label: n_made for label, n_made in n_new.items() if n_made}
    points_of: Any = fit_points() if growing else None
    firsts, seconds = [np.empty(0, dtype=np.intp)], [np.empty(0, dtype=np.intp)]
    gaps, labels = [np.empty(0)], [y[:0]]
    for label, n_made in growing.items():
        members = np.flatnonzero(y == label)
        points = points_of(members)
        _warn_of_few(y[members[:1]].tolist()[0], len(members), k_neighbors, name)
        first, second, gap = _pairs_in_class(
            points, n_made, k_neighbors, searcher, random_state, name
        )
        firsts.append(members[first])
        seconds.append(members[second])
        gaps.append(gap)
        labels.append(np.full(n_made, label, dtype=y.dtype))
    parents = np.column_stack([np.concatenate(firsts), np.concatenate(seconds)])
    return NeighborPairs(parents, np.concatenate(gaps), np.concatenate(labels))


def _warn_of_few(label, n_members, k_neighbors, name):
    if n_members - 1 < k_neighbors:
        warn(
            f"Class {shown(label)} has {n_members} samples only: {name} uses {n_members - 1} "
            f"neighbours there instead of k_neighbors={k_neighbors}."
        )


def _neighbors_of(searcher):
    """Return how many others an object finds that counts a sample as its own first neighbour."""
    n_neighbors = getattr(searcher, "n_neighbors", None)
    if not isinstance(n_neighbors, Integral) or n_neighbors < 2:
        raise ValueError(
            "An object as `k_neighbors` counts a sample as its own first neighbour, so that its "
            f"`n_neighbors` must be an int of at least 2. Got {searcher!r}. For 5 neighbours: "
            "k_neighbors=5, or NearestNeighbors(n_neighbors=6)."
        )
    return int(n_neighbors) - 1


def _pairs_in_class(points, n_made, k_neighbors, searcher, random_state, name):
    """Return parents, as positions within the class, and interpolation factors."""
    k_neighbors = min(plain(k_neighbors), points.shape[0] - 1)
    if not sparse.issparse(points) and are_far(points):
        # Elsewhere as they are: a last digit decides which of equal neighbours is first.
        points = centred(points)
    if searcher is None:
        warn_of_long_search(points, name)
    search: Any = NearestNeighbors() if searcher is None else clone(searcher)
    search.set_params(n_neighbors=k_neighbors + 1).fit(points)
    # The first neighbour of a sample is the sample itself.
    neighbors = search.kneighbors(points, return_distance=False)[:, 1:]
    # As imbalanced-learn draws: each class from the start of an int seed.
    rng = check_random_state(random_state)
    drawn = rng.randint(low=0, high=neighbors.size, size=n_made)
    gaps = rng.uniform(size=n_made)
    first, choice = np.divmod(drawn, k_neighbors)
    return first, neighbors[first, choice], gaps
