"""Order statistics of held-out scores, by which conformal sets and intervals are exact."""

import math
from fractions import Fraction

import numpy as np

__all__ = ["conformal_quantile", "least_samples"]


def least_samples(confidence_level):
    """Return the least number of samples whose largest score is a valid bound.

    Parameters
    ----------
    confidence_level : float

    Returns
    -------
    int

    Examples
    --------
    >>> from skimb.model_selection._conformal_ranks import least_samples
    >>> [least_samples(level) for level in (0.5, 0.9, 0.95, 0.99)]
    [1, 9, 19, 99]
    """
    level = _decimal(confidence_level)
    return math.ceil(level / (1 - level))


def conformal_quantile(scores, confidence_level):
    r"""Return a bound that the score of one more sample exceeds with at most a given probability.

    It is the :math:`\lceil (n + 1) \gamma \rceil`-th smallest score, for a confidence level
    :math:`\gamma`. If the new sample is exchangeable with the n samples, each rank of its score is
    equally probable, so that it is at most the bound with a probability of at least
    :math:`\gamma`.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Scores; a larger one means that a sample fits less.
    confidence_level : float

    Returns
    -------
    float
        Infinity, if the samples are fewer than `least_samples`.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.model_selection._conformal_ranks import conformal_quantile
    >>> conformal_quantile(np.arange(1.0, 20.0), 0.9), conformal_quantile(np.ones(8), 0.9)
    (18.0, inf)
    """
    # With the decimal that the user wrote: 20 * 0.55 is more than 11 in floats.
    rank = math.ceil((len(scores) + 1) * _decimal(confidence_level))
    if rank > len(scores):
        return np.inf
    return float(np.partition(scores, rank - 1)[rank - 1])


def _decimal(number):
    return Fraction(repr(float(number)))
