"""The parts that the fits of all wrappers share, whether of a classifier or of a regressor."""

from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from skimb._callback_tasks import part_of_fit
from skimb._params import Interval, check_handed_in, check_sample_weight, plain, safe_indexing
from skimb._routing import metadata_of_estimator, router_of, routes
from skimb._sub_estimators import seeded_clone

__all__ = [
    "CV_VALUES",
    "cv_of",
    "fit_as_task",
    "fit_on_parts",
    "forget_fit",
    "last_step",
    "metadata_of_wrapped",
    "routing_of_wrapped",
    "take_fitted",
    "wrapped_by",
]


#: The largest fraction that may be held out: a tenth of the samples is left to train on.
MOST_HELD_OUT = 0.9
#: The values that `cv` of a wrapper may have.
CV_VALUES = ["cv_object", Interval(Real, 0, MOST_HELD_OUT, closed="right")]


def cv_of(owner, default) -> Any:
    """Return how a wrapper holds samples out, with numbers of NumPy as Python's.

    Parameters
    ----------
    owner : estimator
        The wrapper, with the parameter `cv`.
    default : float or int
        What None stands for.

    Returns
    -------
    float, int, splitter or list of pairs
    """
    cv = default if owner.cv is None else plain(owner.cv)
    # A generator of pairs can be read once only.
    return cv if isinstance(cv, int | float) or hasattr(cv, "split") else list(cv)


def wrapped_by(owner) -> Any:
    """Return the estimator that a wrapper wraps: `estimator`, or its default where that is None.

    Parameters
    ----------
    owner : estimator
        The wrapper. If it has a default, its method ``_default_estimator`` makes it.

    Returns
    -------
    estimator or None
    """
    if owner.estimator is None and hasattr(owner, "_default_estimator"):
        return owner._default_estimator()
    return owner.estimator


def last_step(estimator):
    """Return the estimator that predicts: the last step of a Pipeline, or what is frozen."""
    while isinstance(estimator, Pipeline | FrozenEstimator):
        estimator = (
            estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator.estimator
        )
    return estimator


def forget_fit(owner):
    """Forget an earlier fit, so that a fit that fails leaves no mixture; check parameters.

    Parameters
    ----------
    owner : estimator
        The wrapper.

    Raises
    ------
    ValueError
        If a parameter of the wrapped estimator has a value that is not allowed.
    """
    for name in [n for n in vars(owner) if n.endswith("_") and not n.startswith("_")]:
        delattr(owner, name)
    check_handed_in(owner)


def metadata_of_wrapped(owner, X, sample_weight, groups):
    """Return the metadata that the wrapped estimator gets in ``fit``, by name.

    Parameters
    ----------
    owner : estimator
        The wrapper, with the other one as ``estimator``.
    X : array-like of n samples
    sample_weight, groups : array-like of shape (n,), or None
        As they were given to the wrapper. Groups are passed on by metadata routing alone.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If weights are negative, not finite, or not one for each sample.
    """
    if sample_weight is not None:
        sample_weight = check_sample_weight(sample_weight, X, ensure_non_negative=True)
    given = {"sample_weight": sample_weight}
    if routes():
        given["groups"] = groups
    return metadata_of_estimator(owner, given, {})


def routing_of_wrapped(owner):
    """Return which metadata the wrapped estimator requests; a frozen one counts too.

    Parameters
    ----------
    owner : estimator
        The wrapper, with the other one as ``estimator``.

    Returns
    -------
    MetadataRouter
    """
    estimator = wrapped_by(owner)
    is_frozen = isinstance(estimator, FrozenEstimator)
    return router_of(owner, estimator.estimator if is_frozen else estimator)


def fit_as_task(estimator, X, y, metadata, owner, task, name):
    """Fit the wrapped estimator as a part of the wrapper's fit.

    Parameters
    ----------
    estimator : estimator
    X, y : array-like
        The samples.
    metadata : dict, or None
        The metadata that it gets in ``fit``, by name.
    owner : estimator
        The wrapper.
    task : CallbackContext, or None
        The task of the wrapper's fit.
    name : str
        The name of the part.
    """
    given = metadata or {}
    if task is None:
        estimator.fit(X, y, **given)
        return
    with part_of_fit(task, name, owner, estimator, X=X, y=y):
        estimator.fit(X, y, **given)


def fit_on_parts(
    owner, estimator, samples, splits, predict, *, is_single, rng, metadata=None, task=None,
    shortened=None, fitted=None,
):  # fmt: skip
    """Fit an estimator on each training part, and predict the samples that are held out from it.

    Parameters
    ----------
    owner : estimator
        The wrapper.
    estimator : estimator
        The wrapped one, which is cloned.
    samples : Samples
    splits : list of (ndarray, ndarray)
        Positions of the samples to train on, and of those that are held out.
    predict : callable
        ``predict(fitted, X)`` returns an array with one entry for each sample.
    is_single : bool
        Whether the estimator of the only part is the final one. If not, that is fitted on all
        samples.
    rng : RandomState
        The source of seeds for random states that have none.
    metadata : dict, default=None
        The metadata that the estimator gets in ``fit``, by name.
    task : CallbackContext, default=None
        The task of the wrapper's fit.
    shortened : callable, default=None
        ``shortened(estimator, n_samples, n_train)`` returns the estimator for a training part.
    fitted : estimator, default=None
        The final estimator, where it has been fitted on all samples before.

    Returns
    -------
    fitted : estimator
        The final estimator.
    predicted : ndarray of m predictions
        In the order of the held-out samples of all splits.
    """
    X, y = samples.X, samples.y
    estimator = seeded_clone(estimator, rng)
    found: Any = []
    part: Any = None
    for train, held in splits:
        part = clone(estimator)
        if shortened is not None:
            part = shortened(part, len(y), len(train))
        own = {name: safe_indexing(value, train) for name, value in (metadata or {}).items()}
        fit_as_task(part, safe_indexing(X, train), y[train], own, owner, task, "fit on a part")
        found.append(predict(part, safe_indexing(X, held)))
    if is_single:
        fitted = part
    elif fitted is None:
        fitted = estimator
        fit_as_task(fitted, X, y, metadata, owner, task, "fit on all samples")
    return fitted, np.concatenate(found)


def take_fitted(owner, fitted):
    """Make a fitted estimator that of a wrapper, with what it knows of the features."""
    owner.estimator_ = fitted
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(fitted, name) and not hasattr(owner, name):
            setattr(owner, name, getattr(fitted, name))
