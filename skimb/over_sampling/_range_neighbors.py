"""The neighbours of a sample in its range of the target."""

from typing import Any

import numpy as np

from skimb._distances import by_range, nearest
from skimb._params import plain
from skimb._points import Points
from skimb.over_sampling._row_makers import TableRows

__all__ = ["RangeNeighbors", "refuse_metric"]


def refuse_metric(metric, embedder, rows):
    """Refuse Euclidean distances between categories.

    Parameters
    ----------
    metric : {"auto", "euclidean", "heom"}
        The distance.
    embedder : transformer or None
        If there is one, it reads the categories.
    rows : ArrayRows or TableRows
        The samples of X.

    Raises
    ------
    ValueError
        If there are categories that only numbers could be compared with.
    """
    if metric == "euclidean" and embedder is None and rows.codes.shape[1]:
        raise ValueError(
            "`metric='euclidean'` compares numbers, and X has categories. Use 'heom' or "
            "'auto', or give an `embedder` that encodes them."
        )


class RangeNeighbors:
    """Finds neighbours among the members of a range.

    Parameters
    ----------
    rows : ArrayRows or TableRows
        The samples of X.
    points : Points
        The same samples as points.
    metric : {"auto", "euclidean", "heom"}
        The distance: see `SMOTER`.
    k_neighbors : int
        Neighbours to choose from.
    """

    def __init__(self, rows, points: Points, *, metric, k_neighbors):
        self.rows = rows
        self.points = points
        self.metric = metric
        self.k_neighbors: Any = plain(k_neighbors)

    def measured(self, members):
        """Return the members of a range as points, and their categories as codes.

        Parameters
        ----------
        members : ndarray of shape (m,), int
            The members.

        Returns
        -------
        points : ndarray of shape (m, d)
        codes : ndarray of shape (m, c), int
        """
        is_table = self.points.embedder is None and isinstance(self.rows, TableRows)
        points = self.rows.numbers[members] if is_table else self.points(members)
        codes = self.rows.codes[members, : None if is_table else 0]
        if self.metric == "heom" or (self.metric == "auto" and is_table):
            points = by_range(points)
        return points, codes

    def drawn(self, points, codes, seeds, rng):
        """Draw a neighbour for each seed; a single member is its own neighbour.

        Parameters
        ----------
        points, codes
            As `measured` returns them.
        seeds : ndarray of shape (s,), int
            Positions among the members.
        rng : RandomState
            The source.

        Returns
        -------
        neighbors : ndarray of shape (s,), int
            Positions among the members.
        distances : ndarray of shape (s,)
        """
        k_neighbors = min(self.k_neighbors, len(points) - 1)
        if k_neighbors == 0:
            return seeds, np.zeros(len(seeds))
        neighbors, distances = nearest(points, codes, k_neighbors)
        choice = rng.randint(k_neighbors, size=len(seeds))
        return neighbors[seeds, choice], distances[seeds, choice]
