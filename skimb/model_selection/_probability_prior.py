"""The class prior for which the probabilities of a fitted classifier hold."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline

from skimb._class_prior import resolve_target_prior
from skimb._messages import shown
from skimb.model_selection._classifier_wrapper import ClassifierWrapper

__all__ = ["ProbabilityPrior", "at_train_prior", "prior_of_probabilities"]

#: Samplers of these types make as many samples of each class as their `sampling_strategy_` says.
COUNTED = ("over-sampling", "under-sampling")
#: Parameters by which a sampler holds others, after which the counts are not known.
WITH_OTHERS = ("smote", "enn", "tomek", "over_sampler", "cleaner")

#: Parameters that change the prior inside a classifier that holds others.
INNER = ("batch_sampling", "class_weight", "target_prior")


@dataclass(frozen=True, eq=False)
class ProbabilityPrior:
    """The class prior for which the probabilities of a fitted classifier hold.

    Parameters
    ----------
    prior : ndarray of shape (n_classes,) or None
        None: it is not known.
    train : ndarray of shape (n_classes,)
        The class fractions of the training samples, each of which counts once.
    cause : str or None
        The method that moved the one away from the other without being asked for a prior.
    """

    prior: Any
    train: np.ndarray
    cause: str | None = None


def _is_network(fitted):
    """Tell whether a fitted classifier moves its own probabilities to a `target_prior`."""
    return (
        not isinstance(fitted, ClassifierWrapper)
        and "target_prior" in fitted.get_params(deep=False)
        and _class_count(fitted) is not None
    )


def at_train_prior(fitted) -> Any:
    """Return a fitted classifier in which a network without a `target_prior` has the training's.

    The probabilities of a network without one are those of its loss, which may hold for no prior.

    Parameters
    ----------
    fitted : classifier
        It may be a network, or hold one as the last step of a Pipeline, in a search, in a wrapper
        or frozen. It stays as it is.

    Returns
    -------
    classifier
        A copy where it was changed, of which all other parts are shared.
    """
    if isinstance(fitted, Pipeline):
        name, last = fitted.steps[-1]
        moved = at_train_prior(last)
        if moved is last:
            return fitted
        made = copy.copy(fitted)
        made.steps = [*fitted.steps[:-1], (name, moved)]
        return made
    held = _name_of_held(fitted)
    if held is not None:
        inner = getattr(fitted, held)
        moved = at_train_prior(inner)
        if moved is inner:
            return fitted
        made = copy.copy(fitted)
        setattr(made, held, moved)
        return made
    if _is_network(fitted) and fitted.target_prior is None:
        return copy.copy(fitted).set_params(target_prior="train")
    return fitted


def prior_of_probabilities(fitted, target, *, weight=None) -> ProbabilityPrior:
    """Return the class prior for which the probabilities of a fitted classifier hold.

    - A network has its `target_prior`, or the prior of its batches, weights included.
    - Naive Bayes and discriminant analysis know their prior.
    - A wrapper with an attribute ``predicted_prior_`` says so.
    - Otherwise the prior is that of the samples: their class fractions, changed by `weight`, by
      ``class_weight`` and by the samplers of a Pipeline that make a known number of samples.

    Parameters
    ----------
    fitted : classifier
        Fitted; it may be in Pipelines, searches, wrappers and `FrozenEstimator`.
    target : ndarray of int of shape (n,)
        The position of the label of each sample in ``classes_``. For a classifier that was fitted
        before, these samples stand for those that it was fitted on.
    weight : ndarray of shape (n,), default=None
        The sample weights of its training.

    Returns
    -------
    ProbabilityPrior
    """
    classes = fitted.classes_
    weight = np.ones(len(target)) if weight is None else np.asarray(weight, dtype=np.float64)
    counted = np.bincount(target[weight > 0], minlength=len(classes)).astype(np.float64)
    mass = np.bincount(target, weights=weight, minlength=len(classes))
    train = counted / counted.sum()
    is_frozen, is_known, cause = False, True, None
    while True:
        own = getattr(fitted, "predicted_prior_", None)
        held = _name_of_held(fitted)
        if isinstance(fitted, ClassifierWrapper) and own is not None:
            return ProbabilityPrior(np.asarray(own, dtype=np.float64), train)
        if isinstance(fitted, ClassifierWrapper) and _moves_probabilities(fitted.decision_rule()):
            # It was calibrated on samples like these.
            return ProbabilityPrior(mass / mass.sum(), train)
        if isinstance(fitted, Pipeline):
            for name, step in fitted.steps[:-1]:
                if hasattr(step, "fit_resample"):
                    cause = f"the step {name!r} ({type(step).__name__})"
                    counts = None if is_frozen else _counts_after(step, classes, counted)
                    is_known = is_known and counts is not None
                    if is_known:
                        mass = mass * (counts / np.maximum(counted, 1))
                        counted = counts
            fitted = fitted.steps[-1][1]
        elif held is not None:
            if isinstance(fitted, FrozenEstimator) and not is_frozen:
                # Samplers and weights around it did not reach it.
                is_frozen, is_known, cause = True, True, None
                counted = mass = np.bincount(target, minlength=len(classes)).astype(np.float64)
            fitted = getattr(fitted, held)
        else:
            break
    if _is_network(fitted):
        if is_frozen:
            counts = _class_count(fitted)
            train = counts / counts.sum()
        return _of_network(fitted, train, classes)
    for name in ("class_prior_", "priors_"):
        own = getattr(fitted, name, None)
        if own is not None and np.shape(own) == train.shape:
            return _compared(np.asarray(own, dtype=np.float64), train, cause)
    parameters = fitted.get_params(deep=True)
    # Its calibration is that of the samples, whatever is inside.
    if not isinstance(fitted, CalibratedClassifierCV):
        if "class_weight" in parameters and parameters["class_weight"] is not None:
            asked = parameters["class_weight"]
            cause = f"class_weight={shown(asked)} of {type(fitted).__name__}"
            mass = mass * _class_weight(asked, classes, counted)
        inner = _inner_cause(parameters)
        if inner is not None:
            cause, is_known = f"{inner} of {type(fitted).__name__}", False
    if not is_known:
        return ProbabilityPrior(None, train, cause)
    return _compared(mass / mass.sum(), train, cause)


def _compared(prior, train, cause):
    """Keep the cause only where it makes a difference that is no rounding of a split."""
    if cause is None:
        return ProbabilityPrior(prior, train)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.abs(np.log(prior / train))
    return ProbabilityPrior(prior, train, cause if np.nanmax(ratio) > np.log(2) else None)


def _of_network(fitted, train, classes):
    asked = fitted.target_prior
    if asked is not None:
        return ProbabilityPrior(
            resolve_target_prior(asked, classes=classes, train_prior=train), train
        )
    name = type(fitted).__name__
    if getattr(getattr(fitted, "loss_", None), "adjusts_prior", False):
        return ProbabilityPrior(None, train, f"loss={fitted.loss!r:.60} of {name}")
    effective = getattr(fitted, "effective_prior_", None)
    if effective is None:
        return ProbabilityPrior(None, train)
    cause = f"the weights, batches or sampler of {name}"
    return _compared(np.asarray(effective, dtype=np.float64), train, cause)


def _class_count(fitted) -> Any:
    """Return the samples of each class that a network was trained on, None if it is none."""
    part: Any
    for part in (fitted, getattr(fitted, "estimator_", None)):
        if hasattr(part, "effective_prior_"):
            return part.class_count_
    return None


def _moves_probabilities(rule):
    return rule is not None and rule.log_offsets is not None and rule.changes_probabilities


def _name_of_held(fitted):
    """Return the attribute of the classifier that a fitted one asks for its probabilities."""
    if isinstance(fitted, FrozenEstimator):
        return "estimator"
    if hasattr(fitted, "best_estimator_"):
        return "best_estimator_"
    if isinstance(fitted, FixedThresholdClassifier):
        return "estimator_" if hasattr(fitted, "estimator_") else "estimator"
    if isinstance(fitted, TunedThresholdClassifierCV | ClassifierWrapper):
        return "estimator_"
    return None


def _counts_after(sampler, classes, counts):
    """Return the samples of each class after a fitted sampler, None if they are not known."""
    strategy: Any = getattr(sampler, "sampling_strategy_", None)
    kind = getattr(sampler, "_sampling_type", None)
    if kind not in COUNTED or not hasattr(strategy, "items"):
        return None
    if set(WITH_OTHERS) & set(sampler.get_params(deep=False)):
        return None
    made = counts.copy()
    for label, number in strategy.items():
        place = np.searchsorted(classes, label)
        made[place] = made[place] + number if kind == "over-sampling" else number
    return made


def _class_weight(asked, classes, counts):
    """Return the weight of each class, as scikit-learn has it."""
    if isinstance(asked, str):
        return 1 / np.maximum(counts, 1)
    return np.array([asked.get(label, 1.0) for label in classes.tolist()])


def _inner_cause(parameters):
    """Return a parameter by which a classifier changes the prior in an unknown way, or None."""
    for name, value in parameters.items():
        last = name.rpartition("__")[2]
        # Ensembles of imbalanced-learn resample each of their training sets.
        if last == "sampling_strategy" or hasattr(value, "fit_resample"):
            return name
        if value is not None and name != last and last in INNER:
            return name
    return None
