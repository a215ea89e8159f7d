"""Predicted numbers of samples for which a regressor was not trained, and the final regressor."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import column_or_1d
from sklearn.utils.validation import check_is_fitted

from skimb._groups import are_shared
from skimb._params import safe_indexing
from skimb._sub_estimators import seeded_clone
from skimb.model_selection._held_out_splits import given_splits, one_split
from skimb.model_selection._splitters import BinnedStratifiedKFold
from skimb.model_selection._wrapped_fits import fit_as_task

__all__ = ["HeldOutValues", "fit_and_hold_out_values", "predicted_values"]


@dataclass(frozen=True, eq=False)
class HeldOutValues:
    """Predictions for samples, by regressors that were not trained on them.

    Parameters
    ----------
    predicted : ndarray of shape (m,), float64
        The predictions.
    rows : ndarray of int of shape (m,)
        The position of each sample among those of `fit`. A splitter may hold samples out
        repeatedly, or never.
    is_exact : bool
        Whether the final regressor itself gave these predictions.
    """

    predicted: np.ndarray
    rows: np.ndarray
    is_exact: bool


def predicted_values(regressor, X):
    """Return the predictions of a regressor of one number, float64 of shape (n,)."""
    return column_or_1d(regressor.predict(X)).astype(np.float64)


def fit_and_hold_out_values(owner, samples, *, cv: Any, rng, metadata=None, task=None, check=None):
    """Fit the regressor of a wrapper, and return predictions for samples that were held out.

    Sets ``estimator_`` and, where they are known, ``n_features_in_`` and ``feature_names_in_`` of
    the wrapper.

    Parameters
    ----------
    owner : estimator
        The wrapper, with the regressor as ``estimator``.
    samples : Samples
        With numbers as y.
    cv : float, int, splitter or iterable
        A fraction: as many samples are drawn and held out, and the regressor is fitted on the
        others, once. A number of folds, a splitter of scikit-learn or pairs of positions: a
        regressor is fitted for each fold, and the final one on all samples. With a
        `FrozenEstimator` all samples are held out, and `cv` is not read.
    rng : RandomState
        The source of the folds, and of seeds for random states that have none.
    metadata : dict, default=None
        The metadata that the regressor gets in ``fit``, by name.
    task : CallbackContext, default=None
        The task of the wrapper's fit.
    check : callable, default=None
        ``check(rows)`` gets the positions of all samples that are held out, before anything is
        fitted, and may refuse them.

    Returns
    -------
    HeldOutValues

    Raises
    ------
    ValueError
        If the samples cannot be divided.
    """
    X, y = samples.X, samples.y
    if isinstance(owner.estimator, FrozenEstimator):
        check_is_fitted(owner.estimator)
        if check is not None:
            check(np.arange(len(y)))
        _take_fitted(owner, owner.estimator)
        return HeldOutValues(predicted_values(owner.estimator_, X), np.arange(len(y)), True)
    splits = _splits(samples, cv, rng)
    if check is not None:
        check(np.concatenate([held for _, held in splits]))
    estimator = seeded_clone(owner.estimator, rng)
    found: Any = []
    for train, held in splits:
        part = clone(estimator)
        own = {name: safe_indexing(value, train) for name, value in (metadata or {}).items()}
        fit_as_task(part, safe_indexing(X, train), y[train], own, owner, task, "fit on a part")
        found.append(predicted_values(part, safe_indexing(X, held)))
    is_single = isinstance(cv, float)
    if is_single:
        estimator = part
    else:
        fit_as_task(estimator, X, y, metadata, owner, task, "fit on all samples")
    _take_fitted(owner, estimator)
    return HeldOutValues(
        np.concatenate(found), np.concatenate([held for _, held in splits]), is_single
    )


def _take_fitted(owner, fitted):
    owner.estimator_ = fitted
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(fitted, name) and not hasattr(owner, name):
            setattr(owner, name, getattr(fitted, name))


def _splits(samples, cv: Any, rng) -> Any:
    """Return pairs of positions: to train on, and to hold out."""
    seed = int(rng.randint(np.iinfo(np.int32).max))
    y, groups = samples.y, samples.groups
    if isinstance(cv, Integral):
        folds = BinnedStratifiedKFold(int(cv), shuffle=True, random_state=seed)
        return list(folds.split(y, y, groups if are_shared(groups) else None))
    if isinstance(cv, float):
        n_groups = len(y) if groups is None else len(np.unique(groups))
        if n_groups < 2:
            raise ValueError(
                f"No samples can be held out: n_samples={len(y)}, all of one group, or equal. Give "
                "more samples or groups."
            )
        # Drawn without regard to y: held-out samples are then like any new ones.
        return [one_split(samples, np.zeros(len(y), dtype=np.intp), cv, seed, kind="sample")]
    return given_splits(samples, cv)
