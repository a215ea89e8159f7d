"""Ranges of a continuous target that each hold enough samples for a bound of their own."""

from numbers import Integral
from typing import Any

import numpy as np

from skimb._messages import told_apart
from skimb.relevance import fit_relevance

__all__ = ["find_ranges", "range_of", "range_texts"]

#: A relevance of at least this is rare, as everywhere in skimb.
RARE = 0.5

#: Halvings of an interval after which its ends are neighbours among floats.
N_HALVINGS = 80


def range_of(y, edges):
    """Return the range of each value, counted from 0; a value at an edge belongs to the upper one.

    Parameters
    ----------
    y : ndarray of shape (n,)
    edges : ndarray of shape (n_ranges - 1,)
        Inner edges, increasing.

    Returns
    -------
    ndarray of int of shape (n,)
    """
    return np.searchsorted(edges, y, side="right")


def range_texts(edges):
    """Return the ranges as they are written in messages, such as ``[4.2, inf)``."""
    ends = told_apart(-np.inf, *edges, np.inf)
    return [f"{'(' if k == 0 else '['}{ends[k]}, {ends[k + 1]})" for k in range(len(ends) - 1)]


def find_ranges(ranges: Any, y, least):
    """Return inner edges of ranges, and the samples that may be counted in them.

    Parameters
    ----------
    ranges : "auto", int, array-like or callable
        As in `ConformalRegressor`.
    y : ndarray of shape (n,)
        Targets of held-out samples, of which each counts.
    least : int
        The least number of samples that a range needs.

    Returns
    -------
    edges : ndarray of shape (n_ranges - 1,)
        Increasing.
    is_edge : ndarray of shape (n,), bool
        Samples whose value is an edge because it was chosen. Given the edges, all others in a range
        are like new samples there.

    Raises
    ------
    ValueError
        If edges do not increase or are not finite, or a relevance does not fit y.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.model_selection._target_ranges import find_ranges
    >>> edges, is_edge = find_ranges("auto", np.arange(100.0), least=9)
    >>> edges, int(is_edge.sum())
    (array([19., 80.]), 2)
    """
    is_edge = np.zeros(len(y), dtype=bool)
    if callable(ranges):
        return _edges_of_relevance(ranges, y), is_edge
    if not isinstance(ranges, str | Integral):
        return _checked_edges(ranges), is_edge
    order = np.argsort(y, kind="stable")
    ranks = _tail_ranks(len(y), least) if isinstance(ranges, str) else _even_ranks(len(y), ranges)
    # Equal values may make a range too small, which then joins the next one.
    ranks = _large_enough(np.sort(y), ranks, least)
    is_edge[order[ranks]] = True
    return y[order[ranks]], is_edge


def _even_ranks(n, n_ranges):
    return np.unique(np.arange(1, n_ranges) * n // n_ranges)


def _tail_ranks(n, least):
    """Return ranks of edges: small ranges at both ends, and each next one twice as large."""
    # Of k (least + 1) - 1 samples, a rank covers exactly the confidence level, where 1 minus this
    # level is one over an integer.
    sizes, size = [], 2 * (least + 1)
    while 2 * sum(sizes) + 3 * size <= n:
        sizes.append(size)
        size *= 2
    reach = np.cumsum(sizes, dtype=np.intp)
    return np.unique(np.append(reach - 1, n - reach))


def _large_enough(values, ranks, least):
    """Leave out edges that coincide, or would cut off too few values."""
    kept, first = [], 0
    for rank in ranks:
        below = np.searchsorted(values, values[rank])
        # The edge itself counts nowhere.
        if below - first >= least and len(values) - rank - 1 >= least:
            kept.append(rank)
            first = below + 1
    return np.array(kept, dtype=np.intp)


def _edges_of_relevance(relevance, y):
    """Return where the relevance crosses one half, between neighbouring values of y."""
    phi = fit_relevance(relevance, y)
    values = np.unique(y)
    is_rare = phi(values) >= RARE
    place = np.flatnonzero(is_rare[1:] != is_rare[:-1])
    low, high, below = values[place], values[place + 1], is_rare[place]
    if not len(place):
        return low
    for _ in range(N_HALVINGS):
        middle = low / 2 + high / 2
        is_below = (phi(middle) >= RARE) == below
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    return high


def _checked_edges(edges):
    try:
        found = np.asarray(edges, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.array(np.nan)
    if found.ndim != 1 or not np.all(np.isfinite(found)) or not np.all(np.diff(found) > 0):
        raise ValueError(
            "`ranges` must be 'auto', a number of ranges, finite inner edges that increase, or a "
            f"relevance. Got {edges!r}."
        )
    return found
