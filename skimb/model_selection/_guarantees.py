r"""Thresholds with a guarantee: order statistics and exact binomial bounds.

Let :math:`S_{(1)} \le \dots \le S_{(n)}` be the scores of n independent samples of a class, of
which the classifier has seen none. The recall of the rule "score at least :math:`S_{(k)}`" is at
least that of a uniform order statistic, :math:`1 - U_{(k)}` (exactly, where scores are continuous;
ties only add samples that are found). As :math:`U_{(k)} \sim \mathrm{Beta}(k, n + 1 - k)`,

.. math:: P(\text{recall} \ge r) \ge P(U_{(k)} \le 1 - r) = P(\mathrm{Binomial}(n, 1 - r) \ge k).
"""

from numbers import Integral, Real

import numpy as np
from scipy.stats import beta, binom
from sklearn.utils.validation import check_is_fitted

from skimb._decision_rule import DecisionRule
from skimb._messages import shown

__all__ = [
    "below",
    "check_counts",
    "check_prior",
    "clopper_pearson",
    "least_samples",
    "lower_bound",
    "precision_bound",
    "recall_bound",
    "recall_rank",
    "recall_refusal",
    "recall_threshold",
    "rule_of",
    "upper_bound",
]

#: By how much the log-odds of a threshold are lowered, so that equal scores still reach it where
#: another machine, or a network that was exported, rounds them otherwise in float32.
ROUNDING = 1e-5


def least_samples(recall, confidence_level):
    r"""Return how many samples of a class it takes to guarantee a recall.

    The lowest of n scores is the safest threshold; it promises a recall of r where
    :math:`r^n \le \alpha`.

    Parameters
    ----------
    recall, confidence_level : float
        Between 0 and 1.

    Returns
    -------
    int

    Examples
    --------
    >>> from skimb.model_selection._guarantees import least_samples
    >>> [least_samples(recall, 0.95) for recall in (0.9, 0.95, 0.99)]
    [29, 59, 299]
    """
    n_samples = max(1, int(np.log(1 - confidence_level) / np.log(recall)))
    # The quotient may be rounded to either side.
    while recall_rank(n_samples, recall, confidence_level) < 1:
        n_samples += 1
    return n_samples


def recall_rank(n_samples, recall, confidence_level):
    """Return the largest k for which the k-th lowest score guarantees a recall.

    Parameters
    ----------
    n_samples : int
        Scores of the class.
    recall, confidence_level : float
        Between 0 and 1.

    Returns
    -------
    int
        From 1; 0 where there are too few samples.

    Examples
    --------
    >>> from skimb.model_selection._guarantees import recall_rank
    >>> [recall_rank(n, 0.9, 0.95) for n in (28, 29, 46, 100)]
    [0, 1, 2, 5]
    """
    if n_samples < 1:
        return 0
    alpha = 1 - confidence_level
    # The smallest x with P(Binomial <= x) >= alpha: all smaller numbers of misses are too few.
    rank = int(binom.ppf(alpha, n_samples, 1 - recall))
    # Where the probability equals alpha, x itself serves.
    return rank + int(binom.cdf(rank, n_samples, 1 - recall) <= alpha)


def recall_bound(n_samples, rank, confidence_level):
    """Return the recall that the k-th lowest score guarantees.

    Parameters
    ----------
    n_samples : int
        Scores of the class.
    rank : int
        From 1 to `n_samples`.
    confidence_level : float
        Between 0 and 1.

    Returns
    -------
    float

    Examples
    --------
    >>> from skimb.model_selection._guarantees import recall_bound
    >>> round(recall_bound(29, 1, 0.95), 4)
    0.9019
    """
    # As many scores as are not below the threshold: the bound is Clopper and Pearson's.
    return float(lower_bound(n_samples - rank + 1, n_samples, confidence_level))


def recall_threshold(scores, recall, confidence_level):
    """Return the largest score that guarantees a recall, where scores of at least that are found.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Scores of independent samples of the class, of which the classifier has seen none.
    recall, confidence_level : float
        Between 0 and 1.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If there are too few scores.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.model_selection._guarantees import recall_threshold
    >>> recall_threshold(np.arange(100) / 100, 0.9, 0.95)
    0.04
    """
    rank = recall_rank(len(scores), recall, confidence_level)
    if rank < 1:
        raise ValueError(recall_refusal(len(scores), recall, confidence_level))
    return float(np.partition(scores, rank - 1)[rank - 1])


def recall_refusal(n_samples, recall, confidence_level, kind="samples", source=""):
    """Return the message where there are too few samples for a guarantee.

    Parameters
    ----------
    n_samples : int
        Samples of the class.
    recall, confidence_level : float
        Between 0 and 1.
    kind : str, default="samples"
        The word for samples, with their class.
    source : str, default=""
        The end of the sentence that says how many there are.

    Returns
    -------
    str
    """
    found = (
        f"A recall of {recall:g} with a confidence of {confidence_level:g} takes at least "
        f"{least_samples(recall, confidence_level)} {kind} that the classifier was not trained "
        f"on, but there are {n_samples}{source}. "
    )
    if n_samples < 1:
        return found + "Nothing can be promised without any."
    alpha = 1 - confidence_level
    return found + (
        f"These {n_samples} can promise a recall of {_floored(alpha ** (1 / n_samples))} with a "
        f"confidence of {confidence_level:g}, or a recall of {recall:g} with a confidence of "
        f"{_floored(1 - recall**n_samples)}."
    )


def _floored(value):
    """Return the text of a number that can be promised: rounded downwards."""
    return f"{np.floor(value * 1000) / 1000:.3f}"


def lower_bound(n_successes, n_trials, confidence_level):
    """Return the one-sided lower bound of a probability, by Clopper and Pearson.

    Parameters
    ----------
    n_successes, n_trials : int or ndarray of int
    confidence_level : float
        Between 0 and 1.

    Returns
    -------
    float or ndarray
        0 without successes.

    References
    ----------
    C. J. Clopper and E. S. Pearson, Biometrika 26 (1934), doi:10.1093/biomet/26.4.404.

    Examples
    --------
    >>> from skimb.model_selection._guarantees import lower_bound, upper_bound
    >>> round(float(lower_bound(9, 10, 0.95)), 4), round(float(upper_bound(1, 10, 0.95)), 4)
    (0.6058, 0.3942)
    """
    n_successes = np.asarray(n_successes)
    found = beta.ppf(1 - confidence_level, np.maximum(n_successes, 1), n_trials - n_successes + 1)
    return np.where(n_successes > 0, found, 0.0)


def upper_bound(n_successes, n_trials, confidence_level):
    """Return the one-sided upper bound of a probability, by Clopper and Pearson.

    Parameters
    ----------
    n_successes, n_trials : int or ndarray of int
    confidence_level : float
        Between 0 and 1.

    Returns
    -------
    float or ndarray
        1 where all trials, or none, are successes.
    """
    return 1 - lower_bound(n_trials - np.asarray(n_successes), n_trials, confidence_level)


def clopper_pearson(n_successes, n_trials, confidence_level):
    """Return the two-sided interval of a probability, by Clopper and Pearson.

    Parameters
    ----------
    n_successes, n_trials : int
    confidence_level : float
        Between 0 and 1.

    Returns
    -------
    tuple of float

    Examples
    --------
    >>> from skimb.model_selection._guarantees import clopper_pearson
    >>> [round(value, 4) for value in clopper_pearson(2, 20, 0.95)]
    [0.0123, 0.317]
    """
    one_sided = (1 + confidence_level) / 2
    return (
        float(lower_bound(n_successes, n_trials, one_sided)),
        float(upper_bound(n_successes, n_trials, one_sided)),
    )


def precision_bound(recall, false_alarm_rate, prior):
    """Return the precision at a prior, from a lower bound of the recall and an upper one of alarms.

    Parameters
    ----------
    recall, false_alarm_rate : float
        The bounds.
    prior : float
        The fraction of the class.

    Returns
    -------
    float
        0 where the recall is.

    Examples
    --------
    >>> from skimb.model_selection._guarantees import precision_bound
    >>> round(precision_bound(0.9, 0.1, 0.1), 6)
    0.5
    """
    found = recall * prior
    alarms = false_alarm_rate * (1 - prior)
    return found / (found + alarms) if found > 0 else 0.0


def below(score):
    """Return a threshold that a probability reaches even if it is rounded otherwise.

    Parameters
    ----------
    score : float
        A probability.

    Returns
    -------
    float
        Slightly less: lower thresholds keep a recall.

    Examples
    --------
    >>> from skimb.model_selection._guarantees import below
    >>> 0 < 0.25 - below(0.25) < 1e-5
    True
    """
    return float(score - np.maximum(4 * np.spacing(score), ROUNDING * score * (1 - score)))


def check_prior(prior):
    """Refuse a prior that is no fraction.

    Parameters
    ----------
    prior : float

    Raises
    ------
    ValueError
        If it is not between 0 and 1.
    """
    is_number = isinstance(prior, Real) and not isinstance(prior, bool)
    if not is_number or not 0 < float(prior) < 1:
        raise ValueError(
            "`prior` must be the fraction of the class among new samples, between 0 and 1. "
            f"Got {shown(prior)}."
        )


def check_counts(n_successes, n_trials, names):
    """Refuse numbers of a fitted wrapper, which a file may hold, that cannot be.

    Parameters
    ----------
    n_successes, n_trials : int
        The second at least as large as the first.
    names : str
        Their names, for the message.

    Raises
    ------
    ValueError
        If they are no whole numbers, negative, or in the wrong order.
    """
    whole = isinstance(n_successes, Integral) and isinstance(n_trials, Integral)
    if not whole or not 0 <= int(n_successes) <= int(n_trials):
        raise ValueError(
            f"{names} must be whole numbers, the first from 0 to the second. "
            f"Got {shown(n_successes)} and {shown(n_trials)}. Fit again."
        )


def rule_of(fitted):
    """Return the rule of a fitted wrapper: a threshold on the probability of one class.

    Parameters
    ----------
    fitted : estimator
        With ``label_``, ``classes_`` and ``threshold_``.

    Returns
    -------
    DecisionRule

    Raises
    ------
    ValueError
        If these do not fit together, as in a damaged file.
    """
    check_is_fitted(fitted)
    labels = fitted.classes_.tolist()
    if fitted.label_ not in labels:
        raise ValueError(
            f"`label_` must be one of the classes, {shown(labels)}. Got {shown(fitted.label_)}."
        )
    if not isinstance(fitted.threshold_, Real) or not 0 <= float(fitted.threshold_) <= 1:
        raise ValueError(
            f"`threshold_` must be a number from 0 to 1. Got {shown(fitted.threshold_)}. Fit again."
        )
    return DecisionRule(threshold=float(fitted.threshold_), positive=labels.index(fitted.label_))
