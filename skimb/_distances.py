"""Distances within a range of the target: Euclidean, or of numbers and categories together."""

import numpy as np
from sklearn.metrics import euclidean_distances
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import gen_batches

from skimb._process import within_thread_limit

__all__ = ["are_far", "by_range", "centred", "half_medians", "nearest"]

#: Ratio of the squared distances from 0 and between points from which on rounding errors of the
#: former show in the latter.
FAR = 1e6

#: Number of distances in memory at once.
DISTANCES_AT_ONCE = 4_000_000


def centred(points):
    """Return points around 0, because products of large numbers hide small distances.

    Parameters
    ----------
    points : ndarray of shape (m, d)
        Numbers.

    Returns
    -------
    ndarray of shape (m, d)
    """
    return points - points.mean(axis=0)


def are_far(points):
    """Tell whether points are so far from 0 that their distances suffer from it.

    Parameters
    ----------
    points : ndarray of shape (m, d)
        Numbers.

    Returns
    -------
    bool
    """
    mean = points.mean(axis=0, dtype=np.float64)
    squares = np.einsum("ij,ij->", points, points, dtype=np.float64) / len(points)
    return bool(mean @ mean > FAR * (squares - mean @ mean))


def by_range(points):
    """Return points whose columns span 1 each; a constant column counts for nothing.

    Parameters
    ----------
    points : ndarray of shape (m, d)
        Numbers.

    Returns
    -------
    ndarray of shape (m, d), float64
    """
    points = points.astype(np.float64)
    span = np.ptp(points, axis=0)
    return np.divide(points - points.min(axis=0), span, out=np.zeros_like(points), where=span > 0)


def nearest(points, codes, k):
    """Return the nearest other points of each.

    Parameters
    ----------
    points : ndarray of shape (m, d)
        Numbers. Columns are not scaled.
    codes : ndarray of shape (m, c), int
        Categories: two that differ are 1 apart.
    k : int
        Number of neighbours, less than m.

    Returns
    -------
    neighbors : ndarray of shape (m, k), int
        Their positions, in no order if there are categories.
    distances : ndarray of shape (m, k)
    """
    if codes.shape[1] == 0:
        with within_thread_limit():
            search = NearestNeighbors(n_neighbors=k).fit(centred(points))
            distances, neighbors = search.kneighbors()
        return neighbors, distances
    neighbors = np.empty((len(points), k), dtype=np.intp)
    distances = np.empty((len(points), k))
    for part, block in _blocks(points, codes):
        own = np.arange(part.start, part.stop)
        block[own - part.start, own] = np.inf
        neighbors[part] = np.argpartition(block, k - 1, axis=1)[:, :k]
        distances[part] = np.take_along_axis(block, neighbors[part], axis=1)
    return neighbors, distances


def half_medians(points, codes):
    """Return half the median distance of each point to all of them, itself included.

    Parameters
    ----------
    points, codes
        As in `nearest`.

    Returns
    -------
    ndarray of shape (m,)
    """
    halves = [np.median(block, axis=1) / 2 for _, block in _blocks(points, codes)]
    return np.concatenate(halves)


def _blocks(points, codes):
    """Yield, for some points at a time, their distances to all."""
    n_points = len(points)
    points = centred(points)
    for part in gen_batches(n_points, max(1, DISTANCES_AT_ONCE // n_points)):
        squared = np.zeros((part.stop - part.start, n_points))
        if points.shape[1]:
            squared += euclidean_distances(points[part], points, squared=True)
        for column in codes.T:
            squared += column[part, None] != column
        own = np.arange(part.start, part.stop)
        squared[own - part.start, own] = 0
        yield part, np.sqrt(squared)
