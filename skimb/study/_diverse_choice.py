"""A choice of samples around thresholds: equal budgets for classes, and no two nearly equal."""

from itertools import cycle

import numpy as np
from sklearn.metrics import pairwise_distances

__all__ = ["budgets_of", "choose_around"]

#: The next sample is the most different one of so many times the samples that a side will get.
WINDOW = 3


def budgets_of(n, order, n_classes):
    """Divide a budget among classes: equal parts, and what is left over for the first ones.

    Parameters
    ----------
    n : int
        The budget.
    order : sequence of int
        The classes, those first that come first where the budget cannot be divided.
    n_classes : int

    Returns
    -------
    ndarray of int of shape (n_classes,)

    Examples
    --------
    >>> from skimb.study._diverse_choice import budgets_of
    >>> budgets_of(7, [2, 0, 1], 3).tolist()
    [2, 2, 3]
    """
    budgets = np.full(n_classes, n // n_classes)
    budgets[list(order)[: n % n_classes]] += 1
    return budgets


class _Side:
    """The samples on one side of the threshold of a class, the nearest first."""

    def __init__(self, rows, width):
        self.rows, self.width = rows, width
        self.ranks = {row: rank for rank, row in enumerate(rows, 1)}
        self.window, self.position = [], 0

    def next(self, pool):
        """Return the sample among the nearest ones that differs most from all chosen, or None."""
        window = pool.without_copies(self.window)
        while len(window) < self.width and self.position < len(self.rows):
            end = self.position + self.width - len(window)
            window += pool.without_copies(self.rows[self.position : end])
            self.position = end
        self.window = window
        return pool.most_different(window) if window else None


class _Pool:
    """The samples to choose from, and those that are chosen."""

    def __init__(self, embedding, keys, least_distance):
        self.embedding, self.keys, self.least = embedding, keys, least_distance
        self.chosen: list[int] = []
        self.copies: set[int] = set()
        self.chosen_keys = set()

    def _distances(self, rows):
        return pairwise_distances(self.embedding[rows], self.embedding[self.chosen]).min(axis=1)

    def without_copies(self, rows):
        """Return the samples that are neither chosen nor copies of chosen ones."""
        chosen = set(self.chosen)
        rows = [row for row in rows if row not in self.copies and row not in chosen]
        left = [row for row in rows if self.keys[row] not in self.chosen_keys]
        if self.least is not None and self.chosen and left:
            is_far = self._distances(left) > self.least
            left = [row for row, far in zip(left, is_far, strict=True) if far]
        self.copies.update(set(rows).difference(left))
        return left

    def most_different(self, rows):
        """Return the sample that is farthest from all chosen; without any, the first."""
        return rows[int(self._distances(rows).argmax())] if self.chosen else rows[0]

    def choose(self, row):
        self.chosen.append(row)
        self.chosen_keys.add(self.keys[row])


def choose_around(scores, thresholds, budgets, order, *, embedding, keys, least_distance, rng):
    """Choose samples on both sides of the threshold of each class.

    Parameters
    ----------
    scores : ndarray of shape (n, n_classes)
        The score of each class for each sample.
    thresholds : ndarray of shape (n_classes,)
    budgets : ndarray of int of shape (n_classes,)
        How many samples each class may ask for. What a class cannot use goes to the others.
    order : sequence of int
        The classes, in the order of their turns.
    embedding : ndarray of shape (n, d)
        Distances in it say how much samples differ.
    keys : sequence of n hashables
        Equal for samples that are copies of each other.
    least_distance : float or None
        Samples that are not farther apart than this are copies too; None: only those of equal keys.
    rng : RandomState
        Samples that are equally near come in a random order.

    Returns
    -------
    chosen : list of tuple
        A sample, the class that it is chosen for, its rank on its side of the threshold, and the
        number of samples there; in the order in which they were chosen.
    n_copies : int
        How many samples were passed over as copies of chosen ones.
    """
    pool = _Pool(embedding, keys, least_distance)
    mixed = rng.permutation(len(scores))
    turns = {}
    for k in order:
        distance = scores[mixed, k] - thresholds[k]
        nearest = np.abs(distance).argsort(kind="stable")
        width = max(1, WINDOW * int(np.ceil(max(1, budgets[k]) / 2)))
        above = mixed[nearest[distance[nearest] >= 0]].tolist()
        below = mixed[nearest[distance[nearest] < 0]].tolist()
        turns[k] = _both_sides(_Side(above, width), _Side(below, width), pool)
    chosen, left, total = [], dict(zip(range(len(budgets)), budgets, strict=True)), sum(budgets)
    while len(chosen) < total:
        before = len(chosen)
        # A class without budget has a turn only where another one could not use its own.
        with_budget = [k for k in order if left[k] > 0 and turns[k] is not None]
        for k in with_budget or [k for k in order if turns[k] is not None]:
            if len(chosen) == total:
                break
            found = next(turns[k], None)
            if found is None:
                turns[k] = None
                continue
            row, rank, n_rows = found
            pool.choose(row)
            left[k] -= 1
            chosen.append((row, k, rank, n_rows))
        if len(chosen) == before and all(turn is None for turn in turns.values()):
            break
    return chosen, len(pool.copies)


def _both_sides(above, below, pool):
    """Yield samples above and below a threshold in turn, and where one side ends, of the other."""
    ended = set()
    for side in cycle((above, below)):
        if side not in ended and (row := side.next(pool)) is not None:
            yield row, side.ranks[row], len(side.rows)
        else:
            ended.add(side)
            if len(ended) == 2:
                return
