"""Distances and neighbours of samples: Euclidean, or of numbers and categories together."""

import time

import numpy as np
from sklearn.metrics import euclidean_distances
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import gen_batches

from skimb._process import within_thread_limit
from skimb._warnings import warn

__all__ = ["are_far", "by_range", "centred", "half_medians", "nearest", "warn_of_long_search"]

#: Ratio of the squared distances from 0 and between points from which on rounding errors of the
#: former show in the latter.
FAR = 1e6

#: Number of distances in memory at once.
DISTANCES_AT_ONCE = 4_000_000

#: Seconds from which on a search is announced before it starts.
LONG = 600

#: Products of numbers in a search that is not long on any machine, and in one that is timed to tell
#: how long another will take.
NEVER_LONG, TRIED = 5e11, 1e9

#: Number of columns up to which scikit-learn finds neighbours by a tree.
MOST_COLUMNS_OF_TREES = 15


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
    n_at_once = max(1, DISTANCES_AT_ONCE // n_points)
    start = time.perf_counter()
    for part in gen_batches(n_points, n_at_once):
        if part.start == n_at_once:
            # The first block, and what was done with it.
            seconds = (time.perf_counter() - start) * n_points / n_at_once
            _announce(seconds, n_points, "The sampler")
        squared = np.zeros((part.stop - part.start, n_points))
        if points.shape[1]:
            squared += euclidean_distances(points[part], points, squared=True)
        for column in codes.T:
            squared += column[part, None] != column
        own = np.arange(part.start, part.stop)
        squared[own - part.start, own] = 0
        yield part, np.sqrt(squared)


def warn_of_long_search(points, name):
    """Warn before the neighbours of all points among all points are sought, if it will take long.

    The time grows with the square of the number of points, so that of a search among some of them
    tells that of all. Memory is no concern: scikit-learn keeps few distances at a time.

    Parameters
    ----------
    points : ndarray or sparse matrix of shape (m, d)
        Numbers.
    name : str
        The name of the sampler, for the message.
    """
    n_points, n_columns = points.shape
    if n_columns <= MOST_COLUMNS_OF_TREES or n_points**2 * n_columns < NEVER_LONG:
        return
    n_tried = max(100, int(np.sqrt(TRIED / n_columns)))
    start = time.perf_counter()
    NearestNeighbors().fit(points[:n_tried]).kneighbors()
    _announce((time.perf_counter() - start) * (n_points / n_tried) ** 2, n_points, name)


def _announce(seconds, n_points, name):
    """Warn if a search will take long."""
    if seconds > LONG:
        minutes = seconds / 60
        duration = f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:.0f} hours"
        warn(
            f"{name} compares {n_points:,} samples with one another, which will take about "
            f"{duration} on this machine. The time grows with the square of their "
            "number: resample a part of them, or choose a sampler without neighbours."
        )
