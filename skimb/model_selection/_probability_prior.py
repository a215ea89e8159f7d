"""The class prior for which the probabilities of a fitted classifier hold."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.naive_bayes import ComplementNB
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC, NuSVC

from skimb._messages import shown
from skimb.model_selection._classifier_wrapper import ClassifierWrapper

__all__ = ["ProbabilityPrior", "at_train_prior", "prior_of_probabilities"]

#: Samplers of these types make as many samples of each class as their `sampling_strategy_` says.
COUNTED = ("over-sampling", "under-sampling")
#: Parameters by which a sampler holds others, after which the counts are not known.
WITH_OTHERS = ("smote", "enn", "tomek", "over_sampler", "cleaner")

#: Parameters that change the prior inside a classifier that holds others.
INNER = ("batch_sampling", "class_prior", "class_weight", "priors", "target_prior")
#: Parameters of boosting libraries that change it, with the values that do not.
WEIGHTS = {
    "auto_class_weights": (None, "None"),
    "class_weights": (None,),
    "is_unbalance": (None, False),
    "scale_pos_weight": (None, 1),
}
#: The calibrations that give each class the fraction that it has in the samples.
BY_CLASS = ("isotonic", "sigmoid")


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
        The method that moved the one away from the other without being asked for a prior, or
        because of which it is not known.
    """

    prior: Any
    train: np.ndarray
    cause: str | None = None

    @property
    def can_move(self):
        """Whether probabilities can be moved away from it: it is known, and has every class."""
        return self.prior is not None and bool(
            np.isfinite(self.prior).all() and (self.prior > 0).all()
        )

    def known(self, classes, need, advice) -> np.ndarray:
        """Return the prior; refuse one that is not known, or in which a class is missing.

        Parameters
        ----------
        classes : ndarray of shape (n_classes,)
            Labels.
        need : str
            The parameter that needs it, for the message.
        advice : str
            How to do without it, for the message.

        Returns
        -------
        ndarray of shape (n_classes,)
        """
        if self.prior is None:
            because = "" if self.cause is None else f" because of {self.cause}"
            raise ValueError(
                f"{need} needs the class fractions for which the probabilities hold, and these are "
                f"not known{because}. {advice}"
            )
        missing = classes[self.prior <= 0]
        if len(missing):
            raise ValueError(
                f"{need} needs samples of every class, but y holds none, or none of positive "
                f"weight, of {shown(missing)}. Give samples of all classes."
            )
        return self.prior


def _is_network(fitted):
    """Tell whether a fitted classifier moves its own probabilities to a `target_prior`."""
    return (
        not isinstance(fitted, ClassifierWrapper)
        and "target_prior" in _parameters(fitted, deep=False)
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
    - A wrapper with an attribute ``predicted_prior_`` says so. One that has offsets and does not
      say so has an unknown prior.
    - Platt scaling, of `SVC` and `CalibratedClassifierCV`, and isotonic calibration give each class
      the fraction that it has in the samples, whatever the classifier in them.
    - Otherwise the prior is that of the samples: their class fractions, changed by `weight`, by
      ``class_weight`` and by the samplers of a Pipeline that make a known number of samples.

    Parameters
    ----------
    fitted : classifier
        Fitted; it may be in Pipelines, searches, wrappers and `FrozenEstimator`.
    target : ndarray of int of shape (n,), or None
        The position of the label of each sample in ``classes_``. For a classifier that was fitted
        before, these samples stand for those that it was fitted on. None: there are none, and only
        what the classifier itself says is known.
    weight : ndarray of shape (n,), default=None
        The sample weights of its training.

    Returns
    -------
    ProbabilityPrior
    """
    classes = fitted.classes_
    counted: Any
    mass: Any
    counted, mass, unweighted = _counts(target, weight, len(classes))
    train = counted / counted.sum()
    is_frozen, is_part, is_known, cause = False, False, True, None
    while True:
        own = getattr(fitted, "predicted_prior_", None)
        held = _name_of_held(fitted)
        if isinstance(fitted, ClassifierWrapper) and own is not None:
            return ProbabilityPrior(np.asarray(own, dtype=np.float64), train)
        if isinstance(fitted, ClassifierWrapper) and _moves_probabilities(fitted.decision_rule()):
            return ProbabilityPrior(None, train, f"the offsets of {type(fitted).__name__}")
        if isinstance(fitted, Pipeline):
            for name, step in fitted.steps[:-1]:
                if hasattr(step, "fit_resample"):
                    cause = f"the step {name!r} ({type(step).__name__})"
                    unknown = is_frozen or is_part
                    counts = None if unknown else _counts_after(step, classes, counted)
                    is_known = is_known and counts is not None
                    if is_known:
                        mass = mass * (counts / np.maximum(counted, 1))
                        counted = counts
            fitted = fitted.steps[-1][1]
        elif held is not None:
            if isinstance(fitted, FrozenEstimator) and not is_frozen:
                # Samplers and weights around it did not reach it.
                is_frozen, is_known, cause = True, True, None
                counted = mass = unweighted
            fitted = getattr(fitted, held)
        elif isinstance(fitted, CalibratedClassifierCV) and fitted.method not in BY_CLASS:
            # A temperature leaves the prior as it is. The classifiers are those of parts.
            fitted, is_part = fitted.calibrated_classifiers_[0].estimator, True
        else:
            break
    if _is_network(fitted):
        if is_frozen:
            counts = _class_count(fitted)
            train = counts / counts.sum()
        return _of_network(fitted, train)
    own = _own_prior(fitted, train.shape)
    if own is not None:
        return _compared(own, train, cause)
    parameters = _parameters(fitted, deep=True)
    if isinstance(fitted, ComplementNB):
        is_known, cause = False, type(fitted).__name__
    elif isinstance(fitted, SVC | NuSVC):
        # Platt scaling knows no weights.
        mass = counted
    elif not isinstance(fitted, CalibratedClassifierCV):
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
    if not np.isfinite(prior).all():
        return ProbabilityPrior(None, train, cause)
    if cause is None:
        return ProbabilityPrior(prior, train)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.abs(np.log(prior / train))
    return ProbabilityPrior(prior, train, cause if (ratio > np.log(2)).any() else None)


def _parameters(fitted, *, deep):
    """Return the parameters of an object, none for one that is no estimator of scikit-learn."""
    try:
        return fitted.get_params(deep=deep)
    except AttributeError:
        return {}


def _counts(target, weight, n_classes):
    """Return the samples of positive weight of each class, their weight, and all samples."""
    if target is None:
        nothing = np.full(n_classes, np.nan)
        return nothing, nothing, nothing
    unweighted = np.bincount(target, minlength=n_classes).astype(np.float64)
    if weight is None:
        return unweighted, unweighted, unweighted
    weight = np.asarray(weight, dtype=np.float64)
    counted = np.bincount(target[weight > 0], minlength=n_classes).astype(np.float64)
    return counted, np.bincount(target, weights=weight, minlength=n_classes), unweighted


def _own_prior(fitted, shape) -> Any:
    """Return the prior that naive Bayes or a discriminant analysis uses, None for others."""
    for name, read in (
        ("class_prior_", np.array),
        ("priors_", np.array),
        ("class_log_prior_", np.exp),
    ):
        own = getattr(fitted, name, None)
        # ComplementNB has one that it does not use.
        if own is not None and np.shape(own) == shape and not isinstance(fitted, ComplementNB):
            return read(np.asarray(own, dtype=np.float64))
    return None


def _of_network(fitted, train):
    """Return the prior of a network, which refuses a `target_prior` that it cannot reach."""
    name, asked = type(fitted).__name__, fitted.target_prior
    part: Any = fitted
    if not hasattr(type(fitted), "predicted_prior_"):
        part = getattr(fitted, "head_", None)
        if not hasattr(type(part), "predicted_prior_"):
            return ProbabilityPrior(None, train, f"head={part!r:.60} of {name}")
        # As in predictions: it may have been set after the fit.
        part = copy.copy(part).set_params(target_prior=asked)
    prior: Any = part.predicted_prior_
    if asked is not None:
        return ProbabilityPrior(prior, train)
    if prior is None:
        loss = part.loss_
        balances = (
            getattr(loss, "adjusts_prior", False) or getattr(loss, "weight", None) is not None
        )
        cause = f"loss={part.loss!r:.60} of {name}" if balances else None
        return ProbabilityPrior(None, train, cause)
    cause = f"the weights, batches or sampler of {name}"
    return _compared(np.asarray(prior, dtype=np.float64), train, cause)


def _class_count(fitted) -> Any:
    """Return the samples of each class that a network was trained on, None if it is none."""
    part: Any
    for part in (fitted, getattr(fitted, "estimator_", None)):
        if hasattr(part, "effective_prior_"):
            return part.class_count_
    return None


def _moves_probabilities(rule):
    if rule is None or rule.log_offsets is None:
        return False
    return rule.changes_probabilities and np.any(rule.log_offsets)


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
        if last in WEIGHTS and not any(value is one or value == one for one in WEIGHTS[last]):
            return name
        if name == last or value is None:
            continue
        if last in INNER or (last == "fit_prior" and not value):
            return name
        # The loss of a network, which may be one that balances the classes.
        is_network = f"{name.removesuffix(last)}target_prior" in parameters
        if last == "loss" and is_network and str(value) != "cross_entropy":
            return name
    return None
