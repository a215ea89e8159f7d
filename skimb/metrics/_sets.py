"""Coverage of sets of labels and of intervals, by class and by range."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import check_array, check_consistent_length

from skimb._label_columns import by_label, column_labels, unknown_labels
from skimb._messages import shown
from skimb._unpacking import plain_vector
from skimb.relevance import check_target

__all__ = ["interval_coverage", "set_coverage"]


def set_coverage(y_true: ArrayLike, sets: Any, *, labels: Any = None) -> pd.DataFrame:
    """Report, for each class, how many sets hold the true label, and how large the sets are.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Labels.
    sets : array-like of bool of shape (n, n_classes)
        Which labels are in the set of each sample, as of ``ConformalClassifier.predict_set``. A
        frame is read by the labels of its columns.
    labels : array-like of shape (n_classes,), default=None
        The labels of the columns: ``classes_`` of the classifier. None: those in `y_true`, sorted,
        or those of the columns of a frame.

    Returns
    -------
    DataFrame
        A row for each label; columns ``support`` (the number of samples), ``coverage`` (the
        fraction of them whose set holds the label) and ``set_size`` (the mean size of their sets).
        NaN if there is no sample.

    Raises
    ------
    ValueError
        If lengths or the number of columns do not fit, or `sets` does not hold booleans.

    Examples
    --------
    >>> from skimb.metrics import set_coverage
    >>> sets = [[True, False], [True, True], [True, True], [True, False]]
    >>> set_coverage(["a", "a", "b", "b"], sets)
       support  coverage  set_size
    a        2       1.0       1.5
    b        2       0.5       1.5
    """
    y_true = plain_vector(y_true, "y_true")
    labels = column_labels(sets, y_true, name="sets") if labels is None else labels
    labels = plain_vector(labels, "labels")
    sets = np.asarray(by_label(sets, labels, name="sets"))
    if sets.dtype != bool or sets.ndim != 2:
        raise ValueError(
            "`sets` must hold booleans, a row for each sample and a column for each class, as of "
            f"`predict_set`. Got {sets.dtype} of shape {sets.shape}."
        )
    check_consistent_length(y_true, sets)
    if sets.shape[1] != len(labels):
        raise ValueError(
            f"`sets` has {sets.shape[1]} columns, but there are {len(labels)} labels: "
            f"{shown(labels)}. Give the `classes_` of the classifier as `labels`."
        )
    unknown = unknown_labels(y_true, labels)
    if unknown:
        raise ValueError(f"`y_true` holds {shown(unknown)}, which `labels` lacks: {shown(labels)}.")
    rows = [
        (members.sum(), _mean(sets[members, k]), _mean(sets[members].sum(axis=1)))
        for k, members in enumerate(y_true == label for label in labels)
    ]
    return pd.DataFrame(rows, index=labels, columns=["support", "coverage", "set_size"])


def interval_coverage(y_true: ArrayLike, intervals: Any, *, edges: ArrayLike = ()) -> pd.DataFrame:
    """Report, for each range of a target, how many intervals hold the value, and how wide they are.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Values.
    intervals : array-like of shape (n, 2)
        The lower and the upper end for each sample, as of ``ConformalRegressor.predict_interval``.
    edges : array-like of shape (n_ranges - 1,), default=()
        The inner edges of the ranges, increasing. A value at an edge belongs to the range above it.

    Returns
    -------
    DataFrame
        A row for each range, by increasing values; columns ``support`` (the number of samples),
        ``coverage`` (the fraction of them whose interval holds the value) and ``width`` (the mean
        width of their intervals). NaN if there is no sample.

    Raises
    ------
    ValueError
        If lengths do not fit, values are not finite, a lower end is above the upper one, or edges
        do not increase.

    Examples
    --------
    >>> from skimb.metrics import interval_coverage
    >>> intervals = [[0, 2], [1, 3], [2, 4], [5, 9]]
    >>> interval_coverage([1, 2, 3, 10], intervals, edges=[5])
                 support  coverage  width
    [-inf, 5.0)        3       1.0    2.0
    [5.0, inf)         1       0.0    4.0
    """
    y_true = check_target(y_true, name="y_true")
    intervals = check_array(intervals, dtype=np.float64, input_name="intervals")
    check_consistent_length(y_true, intervals)
    if intervals.shape[1] != 2:
        raise ValueError(
            "`intervals` must have two columns, the lower and the upper end. Got shape "
            f"{intervals.shape}."
        )
    reverse = np.flatnonzero(intervals[:, 0] > intervals[:, 1])
    if len(reverse):
        raise ValueError(
            "`intervals` must have the lower end in the first column. The lower end is above the "
            f"upper one in {len(reverse)} of {len(intervals)} rows; row {reverse[0]} is "
            f"{shown(intervals[reverse[0]])}. Give np.sort(intervals, axis=1) if the ends are "
            "right."
        )
    edges = np.asarray(edges, dtype=np.float64)
    if edges.ndim != 1 or not np.all(np.isfinite(edges)) or not np.all(np.diff(edges) > 0):
        raise ValueError(f"`edges` must be finite numbers that increase. Got {edges.tolist()}.")
    place = np.searchsorted(edges, y_true, side="right")
    is_in = (y_true >= intervals[:, 0]) & (y_true <= intervals[:, 1])
    width = intervals[:, 1] - intervals[:, 0]
    rows = [
        (members.sum(), _mean(is_in[members]), _mean(width[members]))
        for members in (place == r for r in range(len(edges) + 1))
    ]
    index = pd.IntervalIndex.from_breaks([-np.inf, *edges, np.inf], closed="left")
    return pd.DataFrame(rows, index=index, columns=["support", "coverage", "width"])


def _mean(values):
    return np.mean(values) if len(values) else np.nan
