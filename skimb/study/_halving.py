"""Successive halving: many candidates on one fold, the better ones on the next, and so on."""

import numpy as np

__all__ = ["halve", "survivors"]


def survivors(n_candidates, n_rungs, n_finalists):
    """Return how many candidates there are in each rung.

    Parameters
    ----------
    n_candidates, n_rungs, n_finalists : int

    Returns
    -------
    list of int
        From all candidates down, by about equal factors; each rung has more than the finalists.

    Examples
    --------
    >>> from skimb.study._halving import survivors
    >>> survivors(21, 3, 2)
    [21, 10, 4]
    """
    factor = (n_finalists / n_candidates) ** (1 / n_rungs)
    return [
        max(min(n_candidates, n_finalists + 1), round(n_candidates * factor**rung))
        for rung in range(n_rungs)
    ]


def halve(candidates, rungs, score, *, n_finalists):
    """Score candidates on one fold after another, and drop the worse ones in between [1]_.

    Parameters
    ----------
    candidates : list
    rungs : iterable
        The folds, each asked for when its turn comes.
    score : callable
        ``score(rung, candidates)`` returns an array of scores, larger for better; NaN drops a
        candidate.
    n_finalists : int

    Returns
    -------
    finalists : list of int
        Positions of the candidates of the best means, the best first.
    scores : ndarray of shape (n_rungs, n_candidates)
        NaN where a candidate was not scored.

    References
    ----------
    .. [1] Jamieson and Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter
       Optimization, AISTATS 2016, arXiv:1502.07943.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study._halving import halve
    >>> def score(rung, candidates):
    ...     return np.array(candidates) * rung
    >>> finalists, scores = halve([1.0, 3.0, 2.0, 0.5], [1, 10], score, n_finalists=1)
    >>> finalists, scores.tolist()
    ([1], [[1.0, 3.0, 2.0, 0.5], [nan, 30.0, 20.0, nan]])
    """
    rungs = list(rungs)
    numbers = survivors(len(candidates), len(rungs), n_finalists)
    scores = np.full((len(rungs), len(candidates)), np.nan)
    left = np.arange(len(candidates))
    for rung, (fold, number) in enumerate(zip(rungs, numbers, strict=True)):
        if rung:
            left = _best(scores[:rung, left].mean(axis=0), left, number)
        scores[rung, left] = score(fold, [candidates[place] for place in left])
    left = _best(scores[:, left].mean(axis=0), left, n_finalists)
    return left.tolist(), scores


def _best(means, places, number):
    """Return the places of the largest means, the largest first; the first of equals first."""
    order = np.argsort(-means, kind="stable")
    return places[order[~np.isnan(means[order])]][:number]
