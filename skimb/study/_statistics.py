"""Tests of a difference between two strategies, what they need, and the words for them."""

import numpy as np
from scipy import optimize, stats

__all__ = [
    "corrected_interval",
    "corrected_p_value",
    "holm",
    "judge",
    "largest_shrinkage",
    "mcnemar",
    "needed_factor",
    "repeats_can_settle",
]


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


def corrected_p_value(differences, *, test_share):
    """Return the p-value of a mean difference, by the test of `corrected_interval`.

    Parameters
    ----------
    differences : ndarray of shape (J,)
    test_share : float
        As for `corrected_interval`.

    Returns
    -------
    float
        Below 0.05 exactly where the 95 % interval excludes zero; NaN where there is no interval.
    """
    n = len(differences)
    if n < 2 or not np.isfinite(differences).all():
        return np.nan
    mean = abs(float(np.mean(differences)))
    scale = np.sqrt((1 / n + test_share) * np.var(differences, ddof=1))
    if scale == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stats.t.sf(mean / scale, n - 1))


def largest_shrinkage(n_runs, test_share, *, confidence=0.95):
    r"""Return by which fraction further repeats can shrink a corrected interval, at most.

    The half-width is :math:`t_{J-1} s_d \sqrt{1/J + n_{test}/n_{train}}`. With more and more
    repeats the first term of the root vanishes, and Student's quantile becomes that of the normal
    distribution; the second term stays, because all repeats share the same images.

    Parameters
    ----------
    n_runs : int
        The number of runs J, at least 2.
    test_share : float
        Test samples for each training sample.
    confidence : float, default=0.95

    Returns
    -------
    float
        From 0 to 1.

    Examples
    --------
    Three repeats of five folds:

    >>> from skimb.study._statistics import largest_shrinkage
    >>> round(largest_shrinkage(15, 0.25), 2)
    0.19
    """
    level = 0.5 + confidence / 2
    now = stats.t.ppf(level, n_runs - 1) * np.sqrt(1 / n_runs + test_share)
    return float(1 - stats.norm.ppf(level) * np.sqrt(test_share) / now)


def repeats_can_settle(differences, *, test_share):
    """Tell whether a difference of this size would exclude zero after any number of repeats.

    Parameters
    ----------
    differences : ndarray of shape (J,)
    test_share : float
        As for `corrected_interval`.

    Returns
    -------
    bool
    """
    scale = np.sqrt(test_share * np.var(differences, ddof=1))
    return bool(abs(np.mean(differences)) > stats.norm.ppf(0.975) * scale)


def holm(p_values):
    """Adjust p-values for their number, so that any false discovery is as rare as the level.

    Parameters
    ----------
    p_values : ndarray of shape (n,)

    Returns
    -------
    ndarray of shape (n,)

    References
    ----------
    .. [1] Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of
       Statistics 1979, 6(2), 65-70, https://www.jstor.org/stable/4615733.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study._statistics import holm
    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    n, order = len(p_values), np.argsort(p_values)
    adjusted = np.empty(n)
    adjusted[order] = np.maximum.accumulate(np.minimum((n - np.arange(n)) * p_values[order], 1.0))
    return adjusted


def mcnemar(n_first, n_second):
    """Return the p-value of McNemar's exact test.

    Of the images on which exactly one of two strategies is right, each is equally often the one,
    if both are right equally often: their number follows a binomial distribution.

    Parameters
    ----------
    n_first, n_second : int
        The number of images on which the first alone is right, and the second alone.

    Returns
    -------
    float

    References
    ----------
    .. [1] McNemar, Note on the sampling error of the difference between correlated proportions or
       percentages, Psychometrika 1947, doi:10.1007/BF02295996.

    Examples
    --------
    >>> from skimb.study._statistics import mcnemar
    >>> mcnemar(6, 0)
    0.03125
    """
    if n_first + n_second == 0:
        return 1.0
    return float(stats.binomtest(n_first, n_first + n_second).pvalue)


def needed_factor(difference, variance, *, critical=None, df=np.inf, fixed_variance=0.0, power=0.8):
    r"""Return how many times as many test images would settle a difference of this size.

    A difference d whose estimate has the variance V from n images has V n / N from N. The test
    compares it with `critical` times its standard error, and finds it with the wanted power where
    :math:`d^2 = \delta^2 (V n / N + V_0)`; for the normal test :math:`\delta = z_{0.975} +
    z_{power}`. For the recall of one class n V is the fraction of images on which two
    strategies differ, less :math:`d^2`, and this is the number of pairs for McNemar's test [1]_.

    Parameters
    ----------
    difference : float
    variance : float
        Of the estimate, from the choice of the test images alone.
    critical : float, default=None
        The quantile of the test, in true standard errors. None: 1.96.
    df : float, default=inf
        Degrees of freedom of the variance that the test uses.
    fixed_variance : float, default=0.0
        The part of the variance that further images leave as it is, as that of seeds.
    power : float, default=0.8
        How often the interval is to exclude zero, if the difference is what it seems.

    Returns
    -------
    float
        At least 1; infinite where no number of images would do.

    References
    ----------
    .. [1] Connor, Sample size for testing differences in proportions for the paired-sample design,
       Biometrics 1987, doi:10.2307/2531961.

    Examples
    --------
    >>> from skimb.study._statistics import needed_factor
    >>> round(needed_factor(0.1, 0.1**2), 2)
    7.85
    """
    if critical is None:
        critical = stats.norm.ppf(0.975)
    delta = critical + stats.norm.ppf(power)
    if np.isfinite(df):
        delta = optimize.brentq(
            lambda shift: stats.nct.sf(critical, df, shift) - power, 0.0, 10 * critical + 10
        )
    rest = (difference / delta) ** 2 - fixed_variance
    return float(max(1.0, variance / rest)) if rest > 0 else np.inf
