r"""A bounded power law of scores over numbers of images, and a band of what may come.

With n images of a class, the score of a network is taken for

.. math:: s(n) = c - a\, n^{-b}, \qquad 0 \le c \le 1, \quad a \ge 0, \quad 0.1 \le b \le 1.5,

the usual form of learning curves [1]_. Few points say little about the exponent b, and an estimate
of it alone would promise too much: every exponent that the scores allow is part of the band.

References
----------
.. [1] Viering and Loog, The Shape of Learning Curves: A Review, IEEE TPAMI 2023,
   doi:10.1109/TPAMI.2022.3220744.
"""

import numpy as np

__all__ = ["EXPONENTS", "draw_curves", "fit_curves"]

#: The exponents that are tried, evenly in their logarithm.
EXPONENTS = np.geomspace(0.1, 1.5, 40)

#: The standard deviation of scores from a power law that is added to that of the scores: learning
#: curves follow one only roughly.
MISFIT = 0.01


def fit_curves(sizes, scores, variance):
    r"""Fit the two linear numbers of a bounded power law for each exponent.

    Parameters
    ----------
    sizes : ndarray of shape (n_sizes,)
        Numbers of images, at least two different ones.
    scores : ndarray of shape (n_draws, n_sizes)
        Scores between 0 and 1.
    variance : ndarray of shape (n_sizes,)
        The variance of each score, positive.

    Returns
    -------
    limit, factor : ndarray of shape (n_draws, n_exponents)
        The numbers c, and a for sizes as fractions of the largest one.
    deviance : ndarray of shape (n_draws, n_exponents)
        The weighted sum of squares.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study._power_curve import EXPONENTS, fit_curves
    >>> sizes = np.array([10.0, 20, 40, 80])
    >>> true = 0.9 - 0.1 * (sizes / 80) ** -EXPONENTS[20]
    >>> limit, factor, deviance = fit_curves(sizes, true[np.newaxis], np.ones(4))
    >>> int(deviance[0].argmin()), round(float(limit[0, 20]), 6), round(float(factor[0, 20]), 6)
    (20, 0.9, 0.1)
    """
    weight = 1 / variance
    powers = (sizes / sizes.max())[np.newaxis] ** -EXPONENTS[:, np.newaxis]
    total, first, second = weight.sum(), powers @ weight, powers**2 @ weight
    level, along = scores @ weight, scores @ (weight * powers).T
    determinant = total * second - first**2
    # Weighted least squares of s = c - a p, in closed form.
    factor = (level[:, np.newaxis] * first - total * along) / determinant
    limit = (level[:, np.newaxis] + factor * first) / total
    # On a bound, the other number is the best one there: the problem is convex.
    over = limit > 1
    at_one = (first - along) / second
    factor, limit = np.where(over, at_one, factor), np.where(over, 1.0, limit)
    falls = factor < 0
    flat = np.clip(level / total, 0, 1)[:, np.newaxis]
    factor, limit = np.where(falls, 0.0, factor), np.where(falls, flat, limit)
    fitted = limit[..., np.newaxis] - factor[..., np.newaxis] * powers
    deviance = ((scores[:, np.newaxis] - fitted) ** 2) @ weight
    return limit, factor, deviance


def draw_curves(sizes, scores, drawn, grid, rng):
    """Draw curves that the scores allow.

    Each draw of the scores, as a bootstrap gives it, is fitted with an exponent that is drawn by
    its likelihood.

    Parameters
    ----------
    sizes : ndarray of shape (n_sizes,)
    scores : ndarray of shape (n_sizes,)
        The scores as they are.
    drawn : ndarray of shape (n_draws, n_sizes)
        Draws of the scores.
    grid : ndarray of shape (n_grid,)
        Numbers of images to look at.
    rng : RandomState

    Returns
    -------
    best : ndarray of shape (n_grid,)
        The mean of all draws.
    curves : ndarray of shape (n_draws, n_grid)
    """
    variance = drawn.var(axis=0, ddof=1) + MISFIT**2
    moved = drawn + rng.normal(0, MISFIT, size=drawn.shape)
    limit, factor, deviance = fit_curves(sizes, moved, variance)
    # Draws scatter around the scores: the likelihood of an exponent is that of the scores.
    likelihood = fit_curves(sizes, scores[np.newaxis], variance)[2]
    odds = -(deviance - deviance.min(axis=1, keepdims=True)) / 2 - likelihood / 2
    # The largest of logarithms with Gumbel noise is a draw by their exponentials.
    chosen = (odds + rng.gumbel(size=odds.shape)).argmax(axis=1)
    rows = np.arange(len(chosen))
    powers = (grid / sizes.max())[np.newaxis] ** -EXPONENTS[chosen][:, np.newaxis]
    curves = limit[rows, chosen][:, np.newaxis] - factor[rows, chosen][:, np.newaxis] * powers
    curves = np.clip(curves, 0, 1)
    return curves.mean(axis=0), curves
