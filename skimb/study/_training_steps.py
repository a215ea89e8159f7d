"""The gradient steps of a strategy: of the network that it ends with, and of those on parts."""

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from skimb.model_selection import (
    AutoBalanceClassifier,
    SpreadCorrectedRegressor,
    TunedOffsetsClassifierCV,
)
from skimb.neural_network import DecoupledClassifier, training_length
from skimb.study._tuned_baseline import is_search

__all__ = [
    "FOLDS_OF_AUTOBALANCE",
    "FOLDS_OF_HEADS",
    "FOLDS_OF_SPREAD",
    "FOLDS_OF_THRESHOLD",
    "gradient_steps",
    "search_steps",
]

#: The folds of the training part, by default, of the estimators that these strategies are.
FOLDS_OF_THRESHOLD, FOLDS_OF_AUTOBALANCE, FOLDS_OF_SPREAD = 2, 3, 2
#: Those of last layers that a threshold is tuned on.
FOLDS_OF_HEADS = 5

#: Estimators that hold a network as ``estimator_``.
HOLDERS = (
    AutoBalanceClassifier,
    DecoupledClassifier,
    SpreadCorrectedRegressor,
    TunedOffsetsClassifierCV,
)


def gradient_steps(fitted):
    """Return the gradient steps of the network that an estimator is, holds, or ends in.

    Parameters
    ----------
    fitted : estimator
        Fitted.

    Returns
    -------
    int or None
        None: it holds no such network, or does not tell.
    """
    history = getattr(getattr(_network_of(fitted), "net_", None), "history", None)
    try:
        return int(sum(epoch["train_batch_count"] for epoch in history))  # pyright: ignore
    except (TypeError, KeyError):
        return None


def search_steps(fitted):
    """Return the gradient steps of all networks that were trained on parts of the training part.

    Parameters
    ----------
    fitted : estimator
        A built-in strategy, fitted.

    Returns
    -------
    int or None
        By the lengths of their trainings; None: it trains none on parts.
    """
    network = _network_of(fitted)
    if is_search(fitted):
        candidates = (
            clone(fitted.estimator).set_params(**params) for params in fitted.cv_results_["params"]
        )
        n_samples = int(network.class_count_.sum())
        parts = _parts(n_samples, fitted.n_splits_)
        return sum(_length(each, int(n)).n_steps for each in candidates for n in parts)
    if isinstance(fitted, TunedOffsetsClassifierCV):
        if fitted.shared_network:
            # Last layers, and no network.
            return None
        n_folds = FOLDS_OF_THRESHOLD
    elif isinstance(fitted, AutoBalanceClassifier):
        n_folds = fitted.n_trainings_ - 1
    elif isinstance(fitted, SpreadCorrectedRegressor):
        n_folds = FOLDS_OF_SPREAD
    else:
        return None
    # Folds hold every sample out.
    is_number = isinstance(fitted, SpreadCorrectedRegressor)
    n_samples = fitted.n_held_out_ if is_number else int(network.class_count_.sum())
    # Their steps of an epoch are fewer, as their samples are.
    length = _length(network, n_samples)
    shares = (n / n_samples for n in _parts(n_samples, n_folds))
    steps = (max(1, round(length.steps_per_epoch * share)) for share in shares)
    return length.max_epochs * sum(steps)


def _parts(n_samples, n_folds):
    """Return the number of samples of each training part; folds of whole groups may differ."""
    return n_samples - np.diff(np.linspace(0, n_samples, n_folds + 1).astype(int))


def _length(network, n_samples):
    return training_length(
        n_samples,
        batch_size=network.batch_size,
        max_epochs=network.max_epochs,
        steps_per_epoch=network.steps_per_epoch,
    )


def _network_of(fitted):
    while True:
        if isinstance(fitted, Pipeline):
            fitted = fitted.steps[-1][1]
        elif is_search(fitted):
            fitted = fitted.best_estimator_
        elif isinstance(fitted, FrozenEstimator):
            fitted = fitted.estimator
        elif isinstance(fitted, HOLDERS):
            fitted = fitted.estimator_
        else:
            return fitted
