"""Predicted numbers of samples for which a regressor was not trained, and the final regressor."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.utils import column_or_1d
from sklearn.utils.validation import check_is_fitted

from skimb.model_selection._held_out_splits import value_splits
from skimb.model_selection._wrapped_fits import fit_on_parts, take_fitted

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


def fit_and_hold_out_values(
    owner,
    samples,
    *,
    cv: Any,
    rng,
    metadata=None,
    task=None,
    shortened=None,
    fitted=None,
    check=None,
):
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
        A fraction: as many samples, or groups, are drawn and held out, and the regressor is fitted
        on the others, once. A number of folds, a splitter of scikit-learn or pairs of positions: a
        regressor is fitted for each fold, and the final one on all samples. With a
        `FrozenEstimator` all samples are held out, and `cv` is not read.
    rng : RandomState
        The source of the folds, and of seeds for random states that have none.
    metadata : dict, default=None
        The metadata that the regressor gets in ``fit``, by name.
    task : CallbackContext, default=None
        The task of the wrapper's fit.
    shortened : callable, default=None
        ``shortened(estimator, n_samples, n_train)`` returns the regressor for a training part.
    fitted : regressor, default=None
        The final regressor, where it has been fitted on all samples before.
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
    if isinstance(owner.estimator, FrozenEstimator):
        check_is_fitted(owner.estimator)
        everything = np.arange(len(samples.y))
        if check is not None:
            check(everything)
        take_fitted(owner, owner.estimator)
        predicted = predicted_values(owner.estimator_, samples.X)
        return HeldOutValues(predicted, everything, True)
    splits = value_splits(samples, cv, rng)
    rows = np.concatenate([held for _, held in splits])
    if check is not None:
        check(rows)
    is_single = isinstance(cv, float)
    fitted, predicted = fit_on_parts(
        owner,
        owner.estimator,
        samples,
        splits,
        predicted_values,
        is_single=is_single,
        rng=rng,
        metadata=metadata,
        task=task,
        shortened=shortened,
        fitted=fitted,
    )
    take_fitted(owner, fitted)
    return HeldOutValues(predicted, rows, is_single)
