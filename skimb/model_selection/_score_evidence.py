r"""Evidence that mean scores have left a reference, at any number of looks.

For scores in [0, 1] whose mean is at most m, the product of :math:`1 + \lambda (s_i - m)` over
independent samples is a fair or unfavourable bet: its expectation is at most 1 at all times. By
Ville's inequality, the probability that it *ever* reaches :math:`1 / \alpha` is at most
:math:`\alpha`, however long the stream is and however often it is looked at [1]_. Mixtures of such
bets have the same property, so one bet is started with every batch, of weight 1 / (j (j + 1)), and
a change after a long quiet time is found as well as an early one [2]_.

References
----------
.. [1] I. Waudby-Smith and A. Ramdas, "Estimating Means of Bounded Random Variables by Betting",
   Journal of the Royal Statistical Society B 86, 2024. DOI 10.1093/jrsssb/qkad009
.. [2] J. Shin, A. Ramdas and A. Rinaldo, "E-detectors: a Nonparametric Framework for Sequential
   Change Detection", New England Journal of Statistics in Data Science 2, 2024. arXiv 2203.03532
"""

import numpy as np
from scipy.optimize import brentq

__all__ = ["Evidence", "mean_bounds"]

#: Bets as fractions of the largest one for which all factors stay positive.
BETS = np.geomspace(0.02, 0.9, 12)


def mean_bounds(values, error):
    """Return bounds of the expectation of the mean of independent numbers in [0, 1].

    They are the numbers that bets on the values do not refute, hold for any number of samples and
    any distribution, and are narrow where the values vary little.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Numbers in [0, 1].
    error : float
        The probability that one of the two bounds does not hold is at most this number.

    Returns
    -------
    low, high : float

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.model_selection._score_evidence import mean_bounds
    >>> low, high = mean_bounds(np.repeat([0.0, 0.2], 500), 0.05)
    >>> round(low, 3), round(high, 3)
    (0.09, 0.11)
    """
    level = np.log(2 / error)

    def low(values):
        """Return the number below which bets on larger values refute each mean."""

        def beyond(mean):
            growth = np.log1p(np.outer(BETS / mean, values - mean)).sum(axis=1)
            return np.logaddexp.reduce(growth) - np.log(len(BETS)) - level

        mean = values.mean()
        # The factors of all bets decrease with the mean that they are against.
        return brentq(beyond, 1e-9, mean) if mean > 1e-9 and beyond(1e-9) > 0 else 0.0

    return float(low(values)), float(1 - low(1 - values))


class Evidence:
    """The evidence against reference bounds of mean scores, over a stream of batches.

    Parameters
    ----------
    low, high : ndarray of shape (n_scores,)
        The bounds of the expectation of each score in the reference.
    """

    def __init__(self, low, high):
        low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
        # Upwards a bet is on s - high, downwards on low - s; factors stay above 1 - 0.9.
        self.centre = np.concatenate([high, low])
        self.sign = np.repeat([1.0, -1.0], len(high))
        room = np.concatenate([high, 1 - low])
        self.bets = BETS / np.maximum(room, 1e-3)[:, None]
        #: The logarithm of the sum of the bets that have been started, each with its weight.
        self.log_started = np.full(self.bets.shape, -np.inf)
        self.n_batches = 0

    def update(self, scores):
        """Take the scores of one batch into account.

        Parameters
        ----------
        scores : ndarray of shape (n, n_scores)
            Numbers in [0, 1].

        Returns
        -------
        log_evidence : float
            The logarithm of the evidence of all batches: a mixture of bets, of which the
            probability that it ever exceeds log(1 / alpha) is at most alpha.
        by_side : ndarray of shape (2, n_scores)
            That of each score alone: up, and down.
        """
        self.n_batches += 1
        j = self.n_batches
        gains = self.sign[:, None] * (
            np.concatenate([scores, scores], axis=1).T - self.centre[:, None]
        )
        growth = np.log1p(self.bets[:, :, None] * gains[:, None, :]).sum(axis=2)
        self.log_started = np.logaddexp(self.log_started, -np.log(j * (j + 1))) + growth
        # Bets of later batches still have their stake, 1 / (j + 1) in all.
        total = np.logaddexp(self.log_started, -np.log(j + 1))
        by_side = np.logaddexp.reduce(total, axis=1) - np.log(len(BETS))
        log_evidence = np.logaddexp.reduce(by_side) - np.log(len(by_side))
        return float(log_evidence), by_side.reshape(2, -1)
