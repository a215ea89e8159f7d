"""Scores of rankings: one class against all others, for resampled test samples."""

import numpy as np

__all__ = ["MEASURES", "ranking_scores", "resampled_scores"]

#: The measures, in words.
MEASURES = {
    "average_precision": "its average precision",
    "best_f1": "its F1 at the best threshold",
}


def ranking_scores(ranked, is_positive, weights, measure):
    """Score a ranking for several weightings of its samples.

    Parameters
    ----------
    ranked : ndarray of shape (n,)
        The larger, the more likely is the class.
    is_positive : ndarray of bool of shape (n,)
    weights : ndarray of shape (n_draws, n)
        The number of times that each sample counts.
    measure : {"average_precision", "best_f1"}

    Returns
    -------
    ndarray of shape (n_draws,)
        0 where no sample of the class counts.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study._ranking_scores import ranking_scores
    >>> ranked, truth = np.array([3.0, 2, 1, 0]), np.array([True, False, True, False])
    >>> ranking_scores(ranked, truth, np.ones((1, 4)), "average_precision").round(4)
    array([0.8333])
    """
    order = np.argsort(-ranked, kind="stable")
    # A threshold between equal scores does not exist.
    last = np.append(np.flatnonzero(np.diff(ranked[order])), len(order) - 1)
    counted = weights[:, order]
    hits = np.cumsum(counted * is_positive[order], axis=1)[:, last]
    called = np.cumsum(counted, axis=1)[:, last]
    support = hits[:, -1:]
    precision = hits / np.maximum(called, 1e-12)
    if measure == "best_f1":
        return (2 * hits / np.maximum(called + support, 1e-12)).max(axis=1)
    steps = np.diff(hits, axis=1, prepend=0) / np.maximum(support, 1e-12)
    return (steps * precision).sum(axis=1)


def resampled_scores(ranked, is_positive, groups, *, measure, n_draws, rng):
    """Score rankings of several folds, and draw the means of these scores by a bootstrap.

    A draw takes folds, orders of each, and groups of test samples with replacement; all sizes of a
    draw have the same ones, so that the shape of the curve is drawn and not its noise.

    Parameters
    ----------
    ranked : list of ndarray of shape (n_orders, n_sizes, n_test)
        The rankings of each fold.
    is_positive : list of ndarray of bool of shape (n_test,)
    groups : list of ndarray of shape (n_test,), int
    measure : {"average_precision", "best_f1"}
    n_draws : int
    rng : RandomState

    Returns
    -------
    scores : ndarray of shape (n_folds, n_orders, n_sizes)
    draws : ndarray of shape (n_draws, n_sizes)
    """
    n_folds, (n_orders, n_sizes, _) = len(ranked), ranked[0].shape
    scores = np.empty((n_folds, n_orders, n_sizes))
    drawn = np.empty((n_draws, n_folds, n_orders, n_sizes))
    for fold, (of_fold, truth, of_group) in enumerate(
        zip(ranked, is_positive, groups, strict=True)
    ):
        weights = _weights(truth, of_group, n_draws, rng)
        for order in range(n_orders):
            for size in range(n_sizes):
                found = ranking_scores(of_fold[order, size], truth, weights, measure)
                scores[fold, order, size] = found[0]
                drawn[:, fold, order, size] = found[1:]
    folds = rng.randint(n_folds, size=(n_draws, n_folds, 1))
    orders = rng.randint(n_orders, size=(n_draws, n_folds, n_orders))
    rows = np.arange(n_draws)[:, np.newaxis, np.newaxis]
    return scores, drawn[rows, folds, orders].mean(axis=(1, 2))


def _weights(truth, groups, n_draws, rng):
    """Return how often each sample counts: once in the first row, by a draw in all others.

    Groups with and without the class are drawn apart, so that the class is in every draw.
    """
    weights = np.ones((n_draws + 1, len(truth)))
    names, number = np.unique(groups, return_inverse=True)
    holds_class = np.bincount(number, weights=truth) > 0
    for kind in (True, False):
        members = np.flatnonzero(holds_class == kind)
        if len(members):
            odds = np.full(len(members), 1 / len(members))
            counts = np.zeros((n_draws, len(names)))
            counts[:, members] = rng.multinomial(len(members), odds, size=n_draws)
            mask = np.isin(number, members)
            weights[1:, mask] = counts[:, number[mask]]
    return weights
