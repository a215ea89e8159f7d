"""Errors for a continuous target whose important range is rare."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import clone

from skimb._magnitudes import scaling_exponents
from skimb._scored_values import checked_values
from skimb.relevance import LabelDensity, Relevance

__all__ = [
    "balanced_mean_absolute_error",
    "geometric_mean_error",
    "prediction_slope",
    "rows_by_shot",
    "sera_score",
    "shot_report",
]

#: An exact hit counts as an error of this size, so that a product does not vanish for it.
LEAST_ERROR = 1e-10


def sera_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    relevance: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Compute the squared error-relevance area (SERA); lower is better.

    .. math:: \int_0^1 \sum_{\phi(y_i) \ge t} (\hat y_i - y_i)^2 \, dt
              = \sum_i \phi(y_i) (\hat y_i - y_i)^2

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Values and predictions.
    relevance : Relevance or callable, default=None
        The relevance of values, for example fitted to the training targets, or with `points`. It is
        not fitted here. None: ``Relevance()``, fitted to `y_true`.
    sample_weight : array-like of shape (n,), default=None
        The weight of each sample.

    Returns
    -------
    float
        The area, in squared units of the target.

    Raises
    ------
    ValueError
        If shapes differ, values are not finite, or nothing in `y_true` is relevant.

    References
    ----------
    .. [1] Ribeiro and Moniz, Imbalanced regression and extreme value prediction, Machine Learning
       2020, doi:10.1007/s10994-020-05900-9.

    Examples
    --------
    >>> from skimb.metrics import sera_score
    >>> y_true = [1, 2, 2, 3, 3, 3, 4, 4, 5, 12, 20]
    >>> sera_score(y_true, [1, 2, 3, 3, 3, 4, 4, 4, 6, 8, 9])
    138.0
    """
    y_true, y_pred, weight = checked_values(y_true, y_pred, sample_weight)
    if relevance is None:
        relevance = Relevance().fit(y_true)
    return float(relevance(y_true) @ (weight * (y_pred - y_true) ** 2))


def balanced_mean_absolute_error(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    density: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the mean over bins of the target of their mean absolute errors.

    Each bin that holds samples has the same weight, however many it holds [1]_.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Values and predictions.
    density : LabelDensity, default=None
        It defines the bins. A clone is fitted to `y_true`. None: ``LabelDensity()``.
    sample_weight : array-like of shape (n,), default=None
        The weight of each sample in the mean of its bin.

    Returns
    -------
    float
        The error, in units of the target.

    Raises
    ------
    ValueError
        If shapes differ, or values are not finite.

    References
    ----------
    .. [1] Ren et al., Balanced MSE for Imbalanced Visual Regression, CVPR 2022, arXiv:2203.16427.

    Examples
    --------
    >>> from skimb.metrics import balanced_mean_absolute_error
    >>> from skimb.relevance import LabelDensity
    >>> bins = LabelDensity(bins=[0, 1, 2])
    >>> balanced_mean_absolute_error([0.5, 0.5, 0.5, 1.5], [0.5, 0.5, 0.5, 3.5], density=bins)
    1.0
    """
    y_true, y_pred, weight = checked_values(y_true, y_pred, sample_weight)
    error = np.abs(y_pred - y_true)
    means = _fitted(density, y_true).means(y_true, error, sample_weight=weight)
    return float(np.nanmean(means))


def geometric_mean_error(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Compute the geometric mean of the absolute errors, which a few large ones do not dominate.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Values and predictions. An exact hit counts as an error of 1e-10.
    sample_weight : array-like of shape (n,), default=None
        The weight of each sample.

    Returns
    -------
    float
        The error, in units of the target.

    Raises
    ------
    ValueError
        If shapes differ, or values are not finite.

    References
    ----------
    .. [1] Yang et al., Delving into Deep Imbalanced Regression, ICML 2021, arXiv:2102.09554.

    Examples
    --------
    >>> from skimb.metrics import geometric_mean_error
    >>> round(geometric_mean_error([0, 0], [1, 4]), 6)
    2.0
    """
    y_true, y_pred, weight = checked_values(y_true, y_pred, sample_weight)
    return _geometric_mean(y_pred - y_true, weight)


def _geometric_mean(difference, weight):
    logarithms = np.log(np.maximum(np.abs(difference), LEAST_ERROR))
    return float(np.exp(np.average(logarithms, weights=weight)))


def prediction_slope(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Compute the slope of the least-squares line of predictions on values.

    It measures how far predictions shrink to the mean, the typical failure of a regressor on a rare
    range: 1 if predictions are right, 0 if they do not follow the values at all. Even predictions
    that are right on average (calibrated) have a slope of only r2, so that some shrinking is sound.
    Read it together with the errors. A model that is selected by it will overshoot.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Values and predictions.
    sample_weight : array-like of shape (n,), default=None
        The weight of each sample.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If shapes differ, values are not finite, or `y_true` is constant.

    Examples
    --------
    >>> from skimb.metrics import prediction_slope
    >>> round(prediction_slope([1, 2, 3, 10], [2.5, 3, 3.5, 7]), 6)
    0.5
    """
    y_true, y_pred, weight = checked_values(y_true, y_pred, sample_weight)
    if np.ptp(y_true) == 0:
        raise ValueError(
            f"No line has a slope over one value: `y_true` holds {y_true[0]:g} only. Give samples "
            "that differ."
        )
    exponent = -scaling_exponents(y_true, np.float64)
    y_true, y_pred = np.ldexp(y_true, exponent), np.ldexp(y_pred, exponent)
    centred = y_true - np.average(y_true, weights=weight)
    spread = y_pred - np.average(y_pred, weights=weight)
    return float((weight * centred) @ spread / ((weight * centred) @ centred))


def shot_report(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    y_train: ArrayLike,
    density: Any = None,
    many: int = 100,
    few: int = 20,
    sample_weight: ArrayLike | None = None,
) -> pd.DataFrame:
    """Report errors in bins of many, a medium number of, and few training samples.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Values and predictions.
    y_train : array-like of shape (m,)
        Training targets, which are counted in bins.
    density : LabelDensity, default=None
        It defines the bins. A clone is fitted to `y_train`. None: ``LabelDensity()``.
    many, few : int, default=100, 20
        A bin of more than `many` training samples is ``many``, one of fewer than `few` is ``few``.
    sample_weight : array-like of shape (n,), default=None
        The weight of each sample in the means.

    Returns
    -------
    DataFrame
        Rows ``all``, ``many``, ``medium``, ``few``, ``zero`` (bins without training samples);
        columns ``n``, ``mae``, ``mse``, ``gmean``, and ``bias``, the mean of prediction minus
        value. NaN if there is no sample.

    Raises
    ------
    ValueError
        If shapes differ, values are not finite, or `few` is more than `many`.

    References
    ----------
    .. [1] Yang et al., Delving into Deep Imbalanced Regression, ICML 2021, arXiv:2102.09554.

    Examples
    --------
    >>> from skimb.metrics import shot_report
    >>> from skimb.relevance import LabelDensity
    >>> y_train = [0.5] * 200 + [1.5] * 5
    >>> report = shot_report([0.5, 1.5, 1.5], [0.5, 1.0, 0.5], y_train=y_train,
    ...                      density=LabelDensity(bins=[0, 1, 2]))
    >>> report.loc[["many", "few"], ["n", "mae", "bias"]]
          n   mae  bias
    many  1  0.00  0.00
    few   2  0.75 -0.75
    """
    y_true, y_pred, weight = checked_values(y_true, y_pred, sample_weight)
    difference = y_pred - y_true
    groups = {"all": np.ones(len(y_true), dtype=bool)}
    groups |= rows_by_shot(y_true, density=_fitted(density, y_train), many=many, few=few)
    rows = {}
    for name, members in groups.items():
        some = difference[members]
        if not len(some):
            rows[name] = (0, *[np.nan] * 4)
            continue
        mean = partial(np.average, weights=weight[members])
        gmean = _geometric_mean(some, weight[members])
        rows[name] = len(some), mean(np.abs(some)), mean(some**2), gmean, mean(some)
    return pd.DataFrame.from_dict(
        rows, orient="index", columns=["n", "mae", "mse", "gmean", "bias"]
    )


def rows_by_shot(y, *, density, many, few):
    """Tell which values lie in bins of many, a medium number of, few, and no training samples.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Values.
    density : LabelDensity
        Fitted to the targets of the training.
    many, few : int
        As in `shot_report`.

    Returns
    -------
    dict of str to ndarray of shape (n,), bool
        ``many``, ``medium``, ``few``, ``zero``.

    Raises
    ------
    ValueError
        If `few` is more than `many`.
    """
    if few > many:
        raise ValueError(
            f"`few` must be at most `many`, or a bin could be both. Got few={few!r}, many={many!r}."
        )
    counts = density.counts_[density.bin_of(y)]
    # Beyond the bins there are no training samples, whatever the outermost bins hold.
    counts = np.where((y < density.edges_[0]) | (y > density.edges_[-1]), 0, counts)
    return {
        "many": counts > many,
        "medium": (counts >= few) & (counts <= many),
        "few": (counts > 0) & (counts < few),
        "zero": counts == 0,
    }


def _fitted(density, y):
    return (LabelDensity() if density is None else clone(density)).fit(y)
