"""Scorers for a continuous target whose important range is rare."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.metrics import (
    make_scorer,
    mean_absolute_error,
    r2_score,
    root_mean_squared_error,
)

from skimb._scored_values import checked_values
from skimb.metrics._regression import (
    balanced_mean_absolute_error,
    geometric_mean_error,
    prediction_slope,
    rows_by_shot,
    sera_score,
)
from skimb.relevance import LabelDensity, check_target, fit_relevance

__all__ = ["regression_scoring"]


def regression_scoring(
    y: ArrayLike,
    *,
    relevance: Any = None,
    threshold: float = 0.5,
    density: Any = None,
    many: int = 100,
    few: int = 20,
    absent: float = 0.0,
) -> dict[str, Any]:
    """Make the scorers for imbalanced targets, for `GridSearchCV` and similar searches.

    Pass the whole y, not the y of a fold: relevance, bins and their counts are computed once from
    it, so that a small fold is scored by the bins of the whole.

    Parameters
    ----------
    y : array-like of shape (n,)
        Values of the target.
    relevance : Relevance, callable or None, default=None
        As in `fit_relevance`. None: the box plot of y; if it has no extreme value, the scorers that
        need a relevance are left out.
    threshold : float, default=0.5
        Samples whose relevance is at least this are rare.
    density : LabelDensity, default=None
        It defines the bins. None: ``LabelDensity()``.
    many, few : int, default=100, 20
        A bin of more than `many` samples of y is ``many``, one of fewer than `few` is ``few``, as
        in `shot_report`.
    absent : float, default=0.0
        The error of a part in a fold that has no sample of it. A search fails with NaN.

    Returns
    -------
    dict of str to scorer
        All but the last are better when larger, because the sign of errors is turned. All take
        `sample_weight`.

        - ``neg_mean_absolute_error``, ``neg_root_mean_squared_error``, ``r2``: scikit-learn's, of
          all samples;
        - ``neg_balanced_mean_absolute_error``, ``neg_geometric_mean_error``, ``neg_sera``: the
          errors of `skimb.metrics`;
        - ``neg_mean_absolute_error[rare]`` and ``[normal]``: of the samples that are relevant, and
          of the others;
        - ``neg_mean_absolute_error[many]``, ``[medium]`` and ``[few]``: of the samples in bins of
          many, a medium number of, and few samples of y. Of these five, those parts are scored
          that y has. A fold without such a sample scores `absent`, by default 0, as if there were
          no error. This is the same for all candidates and does not change their order, but it
          makes the mean over folds too good. `BinnedStratifiedKFold` spreads such samples over the
          folds;
        - ``prediction_slope``: to be read, not for selection. 1 is best; NaN if all values of a
          fold are equal.

    Raises
    ------
    ValueError
        If y is not finite, `relevance` cannot be fitted on it, or `few` is more than `many`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> from skimb.metrics import regression_scoring
    >>> from skimb.model_selection import BinnedStratifiedKFold
    >>> rng = np.random.RandomState(0)
    >>> X = rng.uniform(size=(300, 2))
    >>> y = np.exp(3 * X[:, 0] * X[:, 1]) + 0.2 * rng.normal(size=300)
    >>> search = GridSearchCV(
    ...     DecisionTreeRegressor(random_state=0),
    ...     {"min_samples_leaf": [2, 30]},
    ...     scoring=regression_scoring(y),
    ...     refit="neg_sera",
    ...     cv=BinnedStratifiedKFold(),
    ... ).fit(X, y)
    >>> search.best_params_
    {'min_samples_leaf': 2}
    >>> search.cv_results_["mean_test_neg_mean_absolute_error[rare]"].round(1)
    array([-0.9, -2.4])
    """
    y = check_target(y)
    density = (LabelDensity() if density is None else clone(density)).fit(y)
    # Edges instead of a number: a fold keeps the bins of the whole.
    bins = clone(density).set_params(bins=density.edges_)
    scorers = {
        "neg_mean_absolute_error": _negated(mean_absolute_error),
        "neg_root_mean_squared_error": _negated(root_mean_squared_error),
        "r2": make_scorer(r2_score),
        "neg_balanced_mean_absolute_error": _negated(balanced_mean_absolute_error, density=bins),
        "neg_geometric_mean_error": _negated(geometric_mean_error),
    }
    phi = _checked_relevance(relevance, y)
    parts = {}
    if phi is not None:
        scorers["neg_sera"] = _negated(sera_score, relevance=phi)
        parts["rare"] = partial(_is_rare, phi=phi, threshold=threshold)
        parts["normal"] = partial(_is_normal, phi=phi, threshold=threshold)
    for shot in ("many", "medium", "few"):
        parts[shot] = partial(_is_shot, shot=shot, density=density, many=many, few=few)
    scorers |= {
        f"neg_mean_absolute_error[{name}]": _negated(
            _mean_absolute_error_of_part, part=part, absent=absent
        )
        for name, part in parts.items()
        if part(y).any()
    }
    scorers["prediction_slope"] = make_scorer(_slope)
    return scorers


def _negated(error, **params):
    return make_scorer(error, greater_is_better=False, **params)


def _checked_relevance(relevance, y):
    """Return the fitted relevance; None if no value is relevant."""
    if relevance is None:
        try:
            return fit_relevance(None, y)
        except ValueError:
            # y is valid, so that the reason is that there is no extreme value.
            return None
    phi = fit_relevance(relevance, y)
    phi(y)
    return phi


def _is_rare(y, *, phi, threshold):
    return phi(y) >= threshold


def _is_normal(y, *, phi, threshold):
    return phi(y) < threshold


def _is_shot(y, *, shot, density, many, few):
    return rows_by_shot(y, density=density, many=many, few=few)[shot]


def _mean_absolute_error_of_part(y_true, y_pred, *, part, absent, sample_weight=None):
    y_true, y_pred, weight = checked_values(y_true, y_pred, sample_weight)
    weight = weight * part(y_true)
    return float(np.average(np.abs(y_pred - y_true), weights=weight)) if weight.any() else absent


def _slope(y_true, y_pred, *, sample_weight=None):
    y_true, y_pred, weight = checked_values(y_true, y_pred, sample_weight)
    if np.ptp(y_true) == 0:
        return np.nan
    return prediction_slope(y_true, y_pred, sample_weight=weight)
