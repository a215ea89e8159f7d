"""Class probabilities of samples for which a classifier was not trained, and the final classifier.

Whatever is tuned after a training (offsets, temperatures, thresholds with a guarantee) must be
tuned on such samples, because a network, or a forest, is almost certain of the samples that it was
trained on.
"""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array, column_or_1d, indexable
from sklearn.utils.validation import check_is_fitted

from skimb._class_probabilities import class_positions, log_probabilities
from skimb._groups import checked_groups, group_numbers
from skimb._images import checked_once, fit_images
from skimb._label_columns import check_labels
from skimb._messages import shown
from skimb._reading import view_of
from skimb._sub_estimators import seeded_clone, takes_images
from skimb._unpacking import unpacked, unpacked_rows, vector_of
from skimb.model_selection._held_out_splits import (
    Samples,
    class_splits,
    groups_of_lineage,
    lineage_of,
)
from skimb.model_selection._nested_decisions import warn_of_dropped_decisions
from skimb.model_selection._wrapped_fits import (
    fit_as_task,
    fit_on_parts,
    take_fitted,
    wrapped_by,
)

__all__ = [
    "HeldOut",
    "fit_and_hold_out",
    "fit_on_all",
    "n_fits",
    "read_inputs",
    "read_samples",
    "take_classifier",
]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Class probabilities of samples, by classifiers that were not trained on them.

    Parameters
    ----------
    log_proba : ndarray of shape (m, n_classes)
        Finite log-probabilities; columns in the order of ``classes_``.
    target : ndarray of int of shape (m,)
        The position of the label of each sample in ``classes_``.
    rows : ndarray of int of shape (m,)
        The position of each sample among those of `fit`. A splitter may hold samples out
        repeatedly, or never.
    folds : ndarray of int of shape (m,)
        The number of the fold of each sample.
    is_exact : bool
        Whether the final classifier itself gave these probabilities. Otherwise they come from other
        classifiers, which were trained on parts of the samples.
    """

    log_proba: np.ndarray
    target: np.ndarray
    rows: np.ndarray
    folds: np.ndarray
    is_exact: bool

    def weights(self):
        """Return weights of which those of each sample add up to one.

        A splitter may hold a sample out repeatedly. Its predictions then share its weight; they are
        not averaged, because the mean of several classifiers is less certain than the final one.

        Returns
        -------
        ndarray of shape (m,)
        """
        _, place, counts = np.unique(self.rows, return_inverse=True, return_counts=True)
        return 1 / counts[place]


def _read_by(estimator):
    """Return the estimator that reads X: the first step of a Pipeline, or what is frozen."""
    while isinstance(estimator, Pipeline | FrozenEstimator):
        estimator = (
            estimator.steps[0][1] if isinstance(estimator, Pipeline) else estimator.estimator
        )
    return estimator


def read_inputs(owner, X, y, groups=None):
    """Check X, y and groups, before any work, whether y holds labels or numbers.

    Parameters
    ----------
    owner : estimator
        The wrapper, with the other one as ``estimator``. Where this reads images, the attributes
        of `fit_images` are set on the wrapper.
    X : array-like of n samples
        Whatever the other one reads.
    y : array-like of shape (n,)
        Labels or numbers.
    groups : array-like of shape (n,), default=None
        Samples that belong together.

    Returns
    -------
    Samples

    Raises
    ------
    ValueError
        If lengths differ, y is missing or not finite, or groups are missing.
    NotFittedError
        If a frozen estimator is not fitted.
    """
    wrapped = wrapped_by(owner)
    if isinstance(wrapped, FrozenEstimator):
        check_is_fitted(wrapped)
    reader = _read_by(wrapped)
    images = None
    if not isinstance(reader, str) and reader is not None and takes_images(reader):
        X = view_of(unpacked_rows(X), channels=getattr(reader, "channels", None))
        if reader is _without_frozen(wrapped):
            images, y = fit_images(
                owner,
                X,
                y,
                image_shape=getattr(reader, "image_shape", None),
                channels=getattr(reader, "channels", None),
                image_column=getattr(reader, "image_column", None),
            )
            X = checked_once(X, images)
        lineage = lineage_of(X if images is None else images)
        numbers = checked_groups(X if images is None else images, groups)
    else:
        lineage = lineage_of(X)
        numbers = None if groups is None else group_numbers(groups, X)
        if lineage is not None:
            numbers = groups_of_lineage(lineage, numbers)
    if y is None:
        raise ValueError(
            f"{type(owner).__name__} requires y to be passed, but the target y is None."
        )
    y = column_or_1d(vector_of(unpacked(y, "y")))
    # It refuses values that are not finite.
    y = check_array(y, ensure_2d=False, dtype=None, input_name="y")
    X, y = indexable(X, y)
    return Samples(X, y, numbers, lineage)


def read_samples(owner, X, y, groups=None):
    """Check X, labels and groups, before any work.

    Parameters
    ----------
    owner : estimator
        The wrapper, with the classifier as ``estimator``. Where this reads images, the attributes
        of `fit_images` are set on the wrapper.
    X : array-like of n samples
        Whatever the classifier reads.
    y : array-like of shape (n,)
        Labels.
    groups : array-like of shape (n,), default=None
        Samples that belong together.

    Returns
    -------
    Samples

    Raises
    ------
    ValueError
        If lengths differ, y holds no labels or a single one, or groups are missing.

    Warns
    -----
    UserWarning
        If the classifier has decisions of its own, which the wrapper replaces.
    """
    samples = read_inputs(owner, X, y, groups)
    check_labels(samples.y)
    labels = np.unique(samples.y)
    if len(labels) < 2 and not isinstance(wrapped_by(owner), FrozenEstimator):
        raise ValueError(
            f"{type(owner).__name__} needs at least two classes, but y holds one class only: "
            f"{shown(labels)}."
        )
    warn_of_dropped_decisions(owner)
    return samples


def _without_frozen(estimator):
    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator


def fit_on_all(owner, samples, *, rng, metadata=None, task=None):
    """Fit the classifier of a wrapper on all samples; one in a `FrozenEstimator` stays as it is.

    Sets ``estimator_``, ``classes_`` and, where they are known, ``n_features_in_`` and
    ``feature_names_in_`` of the wrapper.

    Parameters
    ----------
    owner : estimator
        The wrapper, with the classifier as ``estimator``.
    samples : Samples
    rng : RandomState or None
        The source of seeds for random states that have none. None: these stay as they are.
    metadata : dict, default=None
        What the classifier gets in ``fit``, by name.
    task : CallbackContext, default=None
        The task of the wrapper's fit.

    Returns
    -------
    ndarray of int of shape (n,)
        The position of each label in ``classes_``.

    Raises
    ------
    ValueError
        If y holds a label that a frozen classifier does not know.
    """
    fitted = wrapped_by(owner)
    if isinstance(fitted, FrozenEstimator):
        check_is_fitted(fitted)
    else:
        fitted = clone(fitted) if rng is None else seeded_clone(fitted, rng)
        fit_as_task(fitted, samples.X, samples.y, metadata, owner, task, "fit on all samples")
    return take_classifier(owner, fitted, samples.y)


def take_classifier(owner, fitted, y):
    """Make a fitted classifier that of a wrapper; return the positions of labels.

    Parameters
    ----------
    owner : estimator
        The wrapper.
    fitted : classifier
    y : ndarray of shape (n,)
        Labels.

    Returns
    -------
    ndarray of int of shape (n,)
    """
    target = class_positions(y, fitted.classes_)
    owner.classes_ = fitted.classes_
    take_fitted(owner, fitted)
    return target


def fit_and_hold_out(
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
    strata=None,
):
    """Fit the classifier of a wrapper, and return probabilities of samples that were held out.

    Sets the attributes that `fit_on_all` sets.

    Parameters
    ----------
    owner : estimator
        The wrapper, with the classifier as ``estimator``.
    samples : Samples
    cv : float, int, splitter or iterable
        A fraction of each class, or of the groups of each class: these samples are held out, and
        the classifier is fitted on the others, once. A number of folds, a splitter of scikit-learn
        or pairs of positions: a classifier is fitted for each fold, and the final one on all
        samples. With a `FrozenEstimator` all samples are held out, and `cv` is not read.
    rng : RandomState
        The source of the folds, and of seeds for random states that have none.
    metadata : dict, default=None
        What the classifier gets in ``fit``, by name.
    task : CallbackContext, default=None
        The task of the wrapper's fit.
    shortened : callable, default=None
        ``shortened(estimator, n_samples, n_train)`` returns the classifier for a training part.
    fitted : classifier, default=None
        The final classifier, where it has been fitted on all samples before.
    check : callable, default=None
        ``check(rows)`` gets the positions of all samples that are held out, before anything is
        fitted, and may refuse them.
    strata : ndarray of int of shape (n,), default=None
        The strata of which a fraction of the groups is held out, where samples have groups. None:
        the classes.

    Returns
    -------
    HeldOut

    Raises
    ------
    ValueError
        If the samples cannot be divided, or y holds a label that a frozen classifier does not know.
    """
    X, y, n_samples = samples.X, samples.y, len(samples.y)
    wrapped = wrapped_by(owner)
    if isinstance(wrapped, FrozenEstimator) and fitted is None:
        everything = np.arange(n_samples)
        if check is not None:
            check(everything)
        target = fit_on_all(owner, samples, rng=rng)
        log_proba = log_probabilities(owner.estimator_, X)
        return HeldOut(log_proba, target, everything, np.zeros(n_samples, dtype=np.intp), True)
    splits = class_splits(samples, cv, rng, strata=strata)
    rows = np.concatenate([held for _, held in splits])
    if check is not None:
        check(rows)
    is_single = isinstance(cv, float)
    classes = np.unique(y)
    fitted, log_proba = fit_on_parts(
        owner,
        _without_frozen(wrapped),
        samples,
        splits,
        lambda part, held: log_probabilities(part, held, classes),
        is_single=is_single,
        rng=rng,
        metadata=metadata,
        task=task,
        shortened=shortened,
        fitted=fitted,
    )
    target = take_classifier(owner, fitted, y)
    folds = np.repeat(np.arange(len(splits)), [len(held) for _, held in splits])
    return HeldOut(log_proba, target[rows], rows, folds, is_single)


def n_fits(owner, samples, cv: Any):
    """Return the largest number of fits of `fit_and_hold_out`."""
    if isinstance(wrapped_by(owner), FrozenEstimator):
        return 0
    if isinstance(cv, Integral | float):
        return int(cv) + 1
    if not hasattr(cv, "split"):
        return 1 + len(cv)
    return 1 + cv.get_n_splits(np.empty((len(samples.y), 1)), samples.y, samples.groups)
