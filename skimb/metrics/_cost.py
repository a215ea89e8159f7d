"""The cost of decisions under any class prior, and the net benefit of one class."""

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.metrics import make_scorer
from sklearn.utils import check_consistent_length

from skimb._class_prior import resolve_target_prior
from skimb._cost_matrix import labels_of_costs, read_cost_matrix
from skimb._label_columns import sorted_labels, unknown_labels
from skimb._messages import shown
from skimb._net_benefits import (
    checked_probabilities,
    checked_thresholds,
    counts_between,
    is_of_class,
    net_benefits,
    treat_all,
)
from skimb._params import check_sample_weight
from skimb._unpacking import plain_vector, unpacked

__all__ = ["cost_scoring", "expected_cost", "net_benefit"]


def expected_cost(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    cost_matrix: Any,
    labels: Any = None,
    prior: Any = None,
    sample_weight: ArrayLike | None = None,
    normalize: bool = False,
) -> float:
    r"""Return the expected cost of a decision, under any class prior.

    .. math:: \sum_i \pi_i \sum_j P(\mathrm{predicted}\ j \mid \mathrm{true}\ i)\; C_{ij}

    Without a prior, this is the mean cost of the samples. For the cost of 1000 samples, multiply by
    1000.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        True and predicted labels.
    cost_matrix : array-like of shape (n_classes, n_classes), DataFrame, dict or None
        The cost of each predicted class (column) for each true class (row), as in
        `skimb.model_selection.MinimumCostClassifier`. None: each error costs 1.
    labels : array-like of shape (n_classes,), default=None
        All labels, in the order of an array of costs. None: those of a DataFrame or dict of costs;
        otherwise those that occur among the true and predicted labels, sorted.
    prior : {"uniform"}, dict or None, default=None
        The class fractions of the samples on which decisions will be made. A dict holds a fraction
        for each label. None: those of `y_true`.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights.
    normalize : bool, default=False
        Whether to divide by the cost of the best decision that does not look at the sample: below
        1, the predictions are worth more than it.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If lengths differ, labels are unknown, costs or the prior do not fit the labels, a class of
        the prior has no sample, or `normalize` would divide by a number that is not positive.

    Examples
    --------
    >>> from skimb.metrics import expected_cost
    >>> y_true = ["ok"] * 8 + ["crack"] * 2
    >>> y_pred = ["ok"] * 6 + ["crack"] * 3 + ["ok"]
    >>> costs = {"ok": {"crack": 1}, "crack": {"ok": 10}}
    >>> expected_cost(y_true, y_pred, cost_matrix=costs)
    1.2
    >>> expected_cost(y_true, y_pred, cost_matrix=costs, prior={"ok": 0.99, "crack": 0.01})
    0.2975
    >>> round(expected_cost(y_true, y_pred, cost_matrix=costs, normalize=True), 3)
    1.5
    """
    y_true, y_pred, weight = _checked(y_true, y_pred, sample_weight)
    if labels is None:
        found = sorted_labels({"`y_true`": y_true, "`y_pred`": y_pred})
        labels = labels_of_costs(cost_matrix, found)
    labels = plain_vector(labels, "labels")
    order = np.argsort(labels, kind="stable")
    if len(np.unique(labels)) < len(labels):
        raise ValueError(f"`labels` must be different. Got {shown(labels)}.")
    _refuse_unknown(y_true, y_pred, labels)
    costs = read_cost_matrix(cost_matrix, labels)[np.ix_(order, order)]
    return _cost(
        y_true,
        y_pred,
        costs=costs,
        labels=labels[order],
        prior=resolve_target_prior(prior, classes=labels[order], name="prior"),
        sample_weight=weight,
        normalize=normalize,
    )


def cost_scoring(y: ArrayLike, *, cost_matrix: Any, prior: Any = None) -> Any:
    """Make a scorer of the expected cost, for `GridSearchCV` and similar searches.

    Pass the whole y, not that of a fold: costs and prior are read by its labels, and checked at
    once. A class that a fold lacks is left out there, and the fractions of the others are divided
    by their sum. This is the same for all candidates and does not change their order in that fold.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels.
    cost_matrix, prior
        As in `expected_cost`. Without a prior, the class fractions are those of each fold.

    Returns
    -------
    scorer
        The negative expected cost: larger is better. It takes `sample_weight`.

    Raises
    ------
    ValueError
        If y holds one class only, or costs or prior do not fit its labels.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.metrics import cost_scoring
    >>> from skimb.model_selection import MinimumCostClassifier
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> costs = [[0, 1], [10, 0]]
    >>> search = GridSearchCV(
    ...     MinimumCostClassifier(LogisticRegression(max_iter=5000), cost_matrix=costs),
    ...     {"estimator__C": [1e-6, 1e-3]},
    ...     scoring=cost_scoring(y, cost_matrix=costs),
    ... ).fit(X.reshape(len(X), -1), y)
    >>> search.best_params_
    {'estimator__C': 0.001}
    """
    labels = sorted_labels({"y": y})
    if len(labels) < 2:
        raise ValueError(f"y holds one class only, {shown(labels)}; costs need at least two.")
    return make_scorer(
        _cost_of_fold,
        greater_is_better=False,
        costs=read_cost_matrix(cost_matrix, labels),
        labels=labels,
        prior=resolve_target_prior(prior, classes=labels, name="prior"),
    )


def net_benefit(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    thresholds: ArrayLike,
    *,
    label: Any,
    prior: Any = None,
    sample_weight: ArrayLike | None = None,
) -> pd.DataFrame:
    r"""Return the net benefit of one class against the rest, at threshold probabilities.

    Acting on samples whose probability is at least t is right where a false alarm costs
    :math:`t / (1 - t)` of a miss. So the net benefit [1]_ counts false alarms at that price, as a
    fraction of all samples:

    .. math:: \pi\, \mathrm{TPR} - (1 - \pi)\, \mathrm{FPR}\; \frac{t}{1 - t}

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Labels.
    y_proba : array-like of shape (n_samples,)
        The probability of the class. They are compared with thresholds as they are, also where
        `prior` is another than that for which they hold. Of a frame with a column for each label,
        that of `label` is read.
    thresholds : array-like of shape (m,)
        Probabilities from 0 to below 1.
    label : label
        The class. All others are the rest.
    prior : float, default=None
        The fraction of the class among the samples on which decisions will be made, between 0 and
        1. None: its fraction in `y_true`. The mixture of the classes inside of the rest stays that
        of `y_true`; `sample_weight` changes it.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights.

    Returns
    -------
    DataFrame
        A row for each threshold, which is the index; columns ``net_benefit``, ``treat_all``, which
        acts on all samples, and ``treat_none``, which is zero.

    Raises
    ------
    ValueError
        If lengths differ, probabilities, thresholds or the prior are out of range, or the class or
        the rest has no sample.

    References
    ----------
    .. [1] A. J. Vickers and E. B. Elkin, "Decision curve analysis: a novel method for evaluating
       prediction models", Medical Decision Making 26(6), 2006, doi:10.1177/0272989X06295361.

    Examples
    --------
    >>> from skimb.metrics import net_benefit
    >>> y_true = ["ill"] * 2 + ["well"] * 8
    >>> y_proba = [0.9, 0.3, 0.6, 0.3, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
    >>> net_benefit(y_true, y_proba, [0.1, 0.5], label="ill").round(3)
               net_benefit  treat_all  treat_none
    threshold
    0.1              0.111      0.111         0.0
    0.5              0.000     -0.600         0.0
    """
    y_proba = _column_of(y_proba, label)
    y_true, y_proba, weight = _checked(y_true, y_proba, sample_weight, name="y_proba")
    thresholds = checked_thresholds(thresholds)
    if prior is not None and not (isinstance(prior, Real) and 0 < float(prior) < 1):
        raise ValueError(f"`prior` must be a fraction between 0 and 1. Got {shown(prior)}.")
    is_label = is_of_class(y_true, label)
    order = np.argsort(thresholds, kind="stable")
    counts = counts_between(is_label, checked_probabilities(y_proba), thresholds[order], weight)
    support = counts.sum(axis=1)
    if not support.all():
        raise ValueError(
            f"`sample_weight` is zero for all samples of {shown(label)}, or for all others."
        )
    found = np.empty(len(thresholds))
    found[order] = net_benefits(counts, thresholds[order], prior)
    return pd.DataFrame(
        {
            "net_benefit": found,
            "treat_all": treat_all(
                thresholds, support[0] / support.sum() if prior is None else prior
            ),
            "treat_none": 0.0,
        },
        index=pd.Index(thresholds, name="threshold"),
    )


def _column_of(y_proba, label):
    """Return the column of a label of a frame, and anything else as it is."""
    y_proba = unpacked(y_proba, "y_proba")
    if isinstance(y_proba, pd.DataFrame):
        if label not in y_proba.columns:
            raise ValueError(
                f"The frame `y_proba` has no column {shown(label)}. Its columns are "
                f"{shown(y_proba.columns.tolist())}. Give the column of the probabilities of "
                f"{shown(label)}."
            )
        return y_proba[label]
    return y_proba


# ----------------------------------------------------------------------- costs of labels


def _checked(y_true, y_other, sample_weight, *, name="y_pred"):
    y_true = plain_vector(y_true, "y_true")
    y_other = plain_vector(y_other, name)
    check_consistent_length(y_true, y_other)
    if not len(y_true):
        raise ValueError("Costs need at least one sample. Got none.")
    weight = check_sample_weight(sample_weight, y_true, dtype=np.float64)
    if (weight < 0).any():
        raise ValueError(f"`sample_weight` must not be negative. Got {weight.min():.6g}.")
    return y_true, y_other, weight


def _refuse_unknown(y_true, y_pred, labels):
    found = (one for y in (y_true, y_pred) for one in unknown_labels(y, labels))
    unknown = list(dict.fromkeys(found))
    if unknown:
        raise ValueError(
            f"The true or predicted labels hold {shown(unknown)}, for which there are no costs. "
            f"The labels are {shown(labels)}. Give costs, and `labels`, of all of them."
        )


def _cost(y_true, y_pred, *, costs, labels, prior, sample_weight, normalize=False, skips=False):
    """Return the expected cost; `labels` are sorted, and hold all that occur."""
    n = len(labels)
    true, predicted = np.searchsorted(labels, y_true), np.searchsorted(labels, y_pred)
    mass = np.bincount(true * n + predicted, weights=sample_weight, minlength=n * n).reshape(n, n)
    support = mass.sum(axis=1)
    if prior is None:
        prior = support / support.sum()
    else:
        absent = (support == 0) & (prior > 0)
        if absent.any() and not skips:
            raise ValueError(
                f"`prior` has fractions of {shown(labels[absent])}, but y_true holds no sample of "
                "them, so that their cost is not known. Give such samples, or leave these classes "
                "out."
            )
        prior = np.where(absent, 0, prior)
        prior = prior / prior.sum()
    rates = mass / np.where(support > 0, support, 1)[:, None]
    cost = float(prior @ (rates * costs).sum(axis=1))
    if not normalize:
        return cost
    constant = float((prior @ costs).min())
    if constant <= 0:
        raise ValueError(
            "`normalize=True` divides by the cost of the best constant decision, which is "
            f"{constant:.6g} here. Use normalize=False, and compare the costs themselves."
        )
    return cost / constant


def _cost_of_fold(y_true, y_pred, *, costs, labels, prior, sample_weight=None):
    y_true, y_pred, weight = _checked(y_true, y_pred, sample_weight)
    _refuse_unknown(y_true, y_pred, labels)
    return _cost(
        y_true,
        y_pred,
        costs=costs,
        labels=labels,
        prior=prior,
        sample_weight=weight,
        skips=True,
    )
