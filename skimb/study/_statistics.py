"""The interval of a difference between two strategies, and its verdict."""

import numpy as np
from scipy import stats

__all__ = ["corrected_interval", "judge"]


def corrected_interval(differences, *, test_share, confidence=0.95):
    r"""Return the interval of a mean difference over repeated splits of one data set.

    Scores of overlapping training sets are not independent, and the usual t interval is too
    narrow. The corrected resampled t-test [1]_ widens its variance: with J differences d,

    .. math:: \bar d \pm t_{J-1} \sqrt{\left(\tfrac{1}{J} + \tfrac{n_{test}}{n_{train}}\right)
              s_d^2}.

    Parameters
    ----------
    differences : ndarray of shape (J,)
        Paired differences, one a split.
    test_share : float
        Test samples for each training sample; 0 for a fixed training set.
    confidence : float, default=0.95
        The probability with which the interval is to hold the true difference.

    Returns
    -------
    low, high : float
        NaN where there is one difference only, or a score is NaN.

    References
    ----------
    .. [1] Nadeau and Bengio, Inference for the Generalization Error, Machine Learning 2003,
       doi:10.1023/A:1024068626366.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study._statistics import corrected_interval
    >>> low, high = corrected_interval(np.array([0.1, 0.2, 0.3, 0.2, 0.2]), test_share=0.25)
    >>> round(low, 3), round(high, 3)
    (0.068, 0.332)
    """
    n = len(differences)
    if n < 2:
        return np.nan, np.nan
    scale = np.sqrt((1 / n + test_share) * np.var(differences, ddof=1))
    half = float(stats.t.ppf(0.5 + confidence / 2, n - 1) * scale)
    mean = float(np.mean(differences))
    return mean - half, mean + half


def judge(low, high, *, n_runs):
    """Put an interval of a difference into words.

    Parameters
    ----------
    low, high : float
        The interval.
    n_runs : int
        The number of differences that it was made from.

    Returns
    -------
    {"better", "worse", "within noise", "one run", "undefined"}
    """
    if n_runs < 2:
        return "one run"
    if not np.isfinite(low) or not np.isfinite(high):
        return "undefined"
    if low > 0:
        return "better"
    return "worse" if high < 0 else "within noise"
