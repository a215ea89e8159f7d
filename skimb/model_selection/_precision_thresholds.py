r"""The lowest threshold that guarantees a precision.

The precision of a threshold t at a class prior :math:`\pi` is at least p where

.. math:: F(t) \le c \, R(t), \qquad c = \frac{\pi}{1 - \pi} \cdot \frac{1 - p}{p}

with the recall R and the rate of false alarms F. A candidate is the j-th highest score of the n
calibration samples of the class. Whatever the distribution, its recall is at least a variable of
the distribution Beta(j, n + 1 - j), and given it, the false alarms among the m samples of other
classes follow Binomial(m, F), independently. So if the precision is too low, at most a false alarms
are found with a probability of at most

.. math:: E[P(\mathrm{Binomial}(m, \min(1, c R)) \le a)], \qquad R \sim \mathrm{Beta}(j, n + 1 - j),

which is an exact p-value. There are at most ten candidates, whose ranks j are fixed beforehand, and
each is tested at a tenth of the allowed errors: with the probability that is asked for, no
candidate passes whose precision is too low, and the lowest one that passes is taken. This is
Learn-then-Test (Angelopoulos 2021, arXiv 2110.01052) with Bonferroni's correction. Fixed-sequence
testing needs thresholds that do not depend on the samples, and loses more by such a grid.
"""

import numpy as np
from scipy.stats import beta, binom

__all__ = ["allowed_alarms", "best_precision", "candidate_ranks"]

#: The largest number of thresholds that are tried.
N_CANDIDATES = 10
#: Parts of the distribution of the recall, by their probability. Each stands for its lowest
#: recall, so that sums over them are never less than the p-value.
EDGES = np.concatenate([[0.0], np.geomspace(1e-7, 1, 200)])


def candidate_ranks(n_own):
    """Return the ranks of the scores of a class that are candidates.

    Parameters
    ----------
    n_own : int
        Scores of the class.

    Returns
    -------
    ndarray of int
        Increasing; 1 is the highest score.

    Examples
    --------
    >>> from skimb.model_selection._precision_thresholds import candidate_ranks
    >>> candidate_ranks(55).tolist(), candidate_ranks(3).tolist()
    ([6, 11, 17, 22, 28, 33, 39, 44, 50, 55], [1, 2, 3])
    """
    parts = np.arange(1, N_CANDIDATES + 1) / N_CANDIDATES
    # Rounded first, so that a product that is a whole number stays one.
    ranks = np.unique(np.ceil(np.round(n_own * parts, 9)).astype(int))
    return ranks[ranks > 0]


def allowed_alarms(n_own, n_others, *, precision, prior, errors):
    """Return how many false alarms each candidate may have.

    Parameters
    ----------
    n_own, n_others : int
        Calibration samples of the class, and of other classes.
    precision : float
        The precision to guarantee.
    prior : float
        The fraction of the class.
    errors : float
        The probability that any candidate passes whose precision is too low.

    Returns
    -------
    ndarray of int
        For each of `candidate_ranks`; -1 where not even none is few enough.

    Examples
    --------
    >>> from skimb.model_selection._precision_thresholds import allowed_alarms
    >>> allowed_alarms(100, 2000, precision=0.8, prior=0.1, errors=0.05).tolist()
    [-1, 2, 5, 9, 13, 17, 21, 26, 31, 36]
    """
    ranks = candidate_ranks(n_own)
    ratio = prior / (1 - prior) * (1 - precision) / precision
    low = np.full(len(ranks), -1)
    high = np.full(len(ranks), n_others)
    if not len(ranks) or not n_others:
        return low
    recalls = beta.ppf(EDGES[1:-1], ranks[:, None], n_own + 1 - ranks[:, None])
    rates = np.minimum(ratio * np.column_stack([np.zeros(len(ranks)), recalls]), 1)
    weights = np.diff(EDGES)
    level = errors / len(ranks)
    # A rate of one cannot be exceeded, so that the precision cannot be too low there.
    low[(rates < 1) @ weights <= level] = n_others
    while (high - low > 1).any():
        middle = (low + high) // 2
        pvalues = np.where(rates < 1, binom.cdf(middle[:, None], n_others, rates), 0) @ weights
        passes = pvalues <= level
        low, high = np.where(passes, middle, low), np.where(passes, high, middle)
    return low


def best_precision(alarms, n_own, n_others, *, prior, errors):
    """Return the largest precision for which any candidate passes, in thousandths.

    Parameters
    ----------
    alarms : ndarray of int
        False alarms at each of `candidate_ranks`.
    n_own, n_others, prior, errors
        As in `allowed_alarms`.

    Returns
    -------
    float
        0 if there is none.
    """
    low, high = 0, 1000
    while high - low > 1:
        middle = (low + high) // 2
        allowed = allowed_alarms(
            n_own, n_others, precision=middle / 1000, prior=prior, errors=errors
        )
        if (alarms <= allowed).any():
            low = middle
        else:
            high = middle
    return low / 1000
