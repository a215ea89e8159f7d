"""Precision, recall and F1 of each class, with intervals."""

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.utils import check_consistent_length, check_random_state

from skimb._frames import with_any_text
from skimb._label_columns import sorted_labels
from skimb._messages import shown
from skimb._unpacking import plain_vector

__all__ = ["MEASURES", "per_class_intervals", "wilson_interval"]

#: The measures of a class.
MEASURES = ("precision", "recall", "f1")


def wilson_interval(successes, n, *, confidence_level=0.95):
    """Return the interval of Wilson for a fraction [1]_.

    Parameters
    ----------
    successes, n : array-like of shape (m,)
        How often the event happened, of how many trials.
    confidence_level : float, default=0.95
        How often the interval holds the true fraction.

    Returns
    -------
    low, high : ndarray of shape (m,)
        NaN where there was no trial.

    References
    ----------
    .. [1] E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
       Journal of the American Statistical Association 22(158), 1927,
       doi:10.1080/01621459.1927.10502953.

    Examples
    --------
    >>> from skimb._class_intervals import wilson_interval
    >>> low, high = wilson_interval([0, 8], [10, 10])
    >>> low.round(3), high.round(3)
    (array([0.  , 0.49]), array([0.278, 0.943]))
    """
    successes, n = np.asarray(successes, dtype=float), np.asarray(n, dtype=float)
    z = norm.ppf((1 + confidence_level) / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        fraction = successes / n
        middle = (fraction + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z * np.sqrt(fraction * (1 - fraction) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    # Without rounding, the ends at no and at all successes are exact.
    low = np.where(successes == 0, np.where(n > 0, 0.0, np.nan), middle - half)
    high = np.where((successes == n) & (n > 0), 1.0, middle + half)
    return low, high


@with_any_text
def per_class_intervals(
    y_true,
    y_pred,
    labels: Any = None,
    *,
    confidence_level=0.95,
    n_resamples=1000,
    random_state=0,
):
    """Return precision, recall and F1 of each class, with intervals.

    The intervals of precision and recall are those of Wilson; that of F1, which is no fraction of
    independent trials, is a percentile bootstrap over the samples. Where F1 is 0 or 1, all
    resamples give the same; then Wilson's interval of hits among hits, misses and false alarms is
    turned into one of F1 [1]_. Intervals tell how far the figures would move with other test
    samples of the same kind, and not what another training would give. Samples are taken as
    independent.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        True and predicted labels.
    labels : array-like of shape (n_classes,), default=None
        The classes, in the order of the rows. None: all labels, sorted.
    confidence_level : float, default=0.95
        How often an interval holds the true figure.
    n_resamples : int, default=1000
        Bootstrap resamples for F1.
    random_state : int, RandomState instance or None, default=0
        It determines the resamples.

    Returns
    -------
    DataFrame
        The index holds the classes. Columns: ``precision``, ``precision_low``, ``precision_high``,
        the same of ``recall`` and ``f1``, ``n_true`` and ``n_predicted``. Precision is NaN where
        nothing was predicted as the class, recall where no sample is of it, F1 where both are so.

    Raises
    ------
    ValueError
        If lengths differ, there is no sample, no label occurs, or a number is out of range.

    References
    ----------
    .. [1] K. F. Y. Lam, V. Gopal and J. Qian, "Confidence intervals for the F1 score: a comparison
       of four methods", arXiv:2309.14621.

    Examples
    --------
    >>> from skimb._class_intervals import per_class_intervals
    >>> y_true = ["dog"] * 8 + ["cat"] * 4
    >>> y_pred = ["dog"] * 8 + ["cat"] * 3 + ["dog"]
    >>> found = per_class_intervals(y_true, y_pred)
    >>> found.loc["cat", ["recall", "recall_low", "recall_high"]].round(3).tolist()
    [0.75, 0.301, 0.954]
    """
    if not (isinstance(confidence_level, float) and 0 < confidence_level < 1):
        raise ValueError(
            f"`confidence_level` must be between 0 and 1, such as 0.95. Got {confidence_level!r}."
        )
    is_count = isinstance(n_resamples, Integral) and not isinstance(n_resamples, bool)
    if not is_count or n_resamples < 1:
        raise ValueError(
            f"`n_resamples` must be a whole number from 1 on, such as 1000. Got {n_resamples!r}."
        )
    y_true = plain_vector(y_true, "y_true")
    y_pred = plain_vector(y_pred, "y_pred")
    check_consistent_length(y_true, y_pred)
    if not len(y_true):
        raise ValueError("`y_true` holds no sample, and at least one is needed.")
    known = sorted_labels({"y_true": y_true, "y_pred": y_pred})
    labels = known if labels is None else plain_vector(labels, "labels")
    if not set(labels.tolist()) & set(known.tolist()):
        raise ValueError(
            f"`labels` are {shown(labels)}, but y_true and y_pred hold {shown(known)}. Give the "
            "labels as they stand there."
        )
    if len(set(labels.tolist())) < len(labels):
        raise ValueError(f"`labels` holds a label twice: {shown(labels)}.")
    # All other labels count as one more class.
    place = {label: k for k, label in enumerate(labels.tolist())}
    n_classes = len(labels)
    true, predicted = (
        np.array([place.get(label, n_classes) for label in y.tolist()]) for y in (y_true, y_pred)
    )
    hits, n_true, n_predicted = _counts(true, predicted, n_classes)
    found = {}
    for name, n in (("precision", n_predicted), ("recall", n_true)):
        low, high = wilson_interval(hits, n, confidence_level=confidence_level)
        with np.errstate(invalid="ignore"):
            found |= {name: hits / n, f"{name}_low": low, f"{name}_high": high}
    low, high = _f1_bands(true, predicted, n_classes, confidence_level, n_resamples, random_state)
    f1 = _f1(hits, n_true, n_predicted)
    ends = wilson_interval(hits, n_true + n_predicted - hits, confidence_level=confidence_level)
    is_end = (f1 == 0) | (f1 == 1)
    low, high = (
        np.where(is_end, 2 * wilson / (1 + wilson), drawn)
        for wilson, drawn in zip(ends, (low, high), strict=True)
    )
    found |= {"f1": f1, "f1_low": np.minimum(low, f1), "f1_high": np.maximum(high, f1)}
    found |= {"n_true": n_true, "n_predicted": n_predicted}
    return pd.DataFrame(found, index=pd.Index(labels, name="class"))


def _counts(true, predicted, n_classes):
    """Return hits, true and predicted samples of each class."""
    hits = np.bincount(true[true == predicted], minlength=n_classes + 1)
    counts = [np.bincount(y, minlength=n_classes + 1) for y in (true, predicted)]
    return (each[:n_classes] for each in (hits, *counts))


def _f1(hits, n_true, n_predicted):
    with np.errstate(invalid="ignore"):
        return 2 * hits / (n_true + n_predicted)


def _f1_bands(true, predicted, n_classes, confidence_level, n_resamples, random_state):
    """Return the ends of bootstrap intervals of F1.

    A resample is a multinomial draw of the cells of hits, misses and false alarms: the samples of a
    cell are the same.
    """
    cells, sizes = np.unique(true * (n_classes + 1) + predicted, return_counts=True)
    rows, columns = np.divmod(cells, n_classes + 1)
    rng = check_random_state(random_state)
    draws = rng.multinomial(len(true), sizes / len(true), size=n_resamples)
    per_class = np.eye(n_classes + 1)
    of_true, of_predicted = draws @ per_class[rows], draws @ per_class[columns]
    hits = draws[:, rows == columns] @ per_class[rows[rows == columns]]
    values = _f1(hits, of_true, of_predicted)[:, :n_classes]
    ends = [(1 - confidence_level) / 2, (1 + confidence_level) / 2]
    seen = ~np.isnan(values)
    low, high = np.full((2, n_classes), np.nan)
    for k in np.flatnonzero(seen.any(axis=0)):
        low[k], high[k] = np.quantile(values[seen[:, k], k], ends)
    return low, high
