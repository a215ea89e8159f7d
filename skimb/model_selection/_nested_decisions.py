"""Decisions of a classifier that are lost where a wrapper around it decides by probabilities."""

from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline

from skimb._params import GRIDS
from skimb._warnings import warn
from skimb.model_selection._wrapped_fits import wrapped_by

__all__ = ["deciding_in", "warn_of_dropped_decisions"]


def deciding_in(estimator):
    """Return the classifier in another one that decides otherwise than for the most probable class.

    Parameters
    ----------
    estimator : classifier
        Fitted or not. Pipelines, searches, `FrozenEstimator` and wrappers that leave the decision
        to the classifier in them are looked into.

    Returns
    -------
    classifier or None

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import FixedThresholdClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from skimb.model_selection._nested_decisions import deciding_in
    >>> inner = FixedThresholdClassifier(LogisticRegression(), threshold=0.2)
    >>> deciding_in(make_pipeline("passthrough", inner)) is inner
    True
    >>> deciding_in(LogisticRegression())
    """
    while True:
        if isinstance(estimator, FixedThresholdClassifier):
            return None if estimator.threshold == "auto" else estimator
        if isinstance(estimator, TunedThresholdClassifierCV) or _decides(estimator):
            return estimator
        if isinstance(estimator, Pipeline):
            estimator = estimator.steps[-1][1]
        elif (
            isinstance(estimator, FrozenEstimator)
            or any(hasattr(estimator, name) for name in GRIDS)
            or getattr(estimator, "_leaves_decisions", False)
        ):
            estimator = estimator.estimator
        else:
            return None


def _decides(estimator):
    """Tell whether a wrapper has a threshold or costs; one from outside says so once fitted."""
    if getattr(estimator, "_has_own_decisions", False):
        return True
    rule_of = getattr(estimator, "decision_rule", None)
    if rule_of is None or not hasattr(estimator, "classes_"):
        return False
    rule = rule_of()
    return rule is not None and (rule.threshold is not None or rule.cost_matrix is not None)


def warn_of_dropped_decisions(owner):
    """Warn where a wrapper decides itself, around a classifier that has decisions of its own.

    Parameters
    ----------
    owner : classifier
        The wrapper, with the classifier as ``estimator``.
    """
    if getattr(owner, "_leaves_decisions", False):
        return
    inner = deciding_in(wrapped_by(owner))
    if inner is None:
        return
    outer, name = type(owner).__name__, type(inner).__name__
    if getattr(owner, "_has_own_decisions", False):
        fix = f"One of the two can decide: give {outer} the classifier that {name} wraps"
    else:
        fix = (
            f"Change the order: {name}({outer}(classifier), ...) moves the probabilities first, "
            "and decides by them"
        )
    warn(
        f"{outer} reads the probabilities of {name} and decides by these alone, so that the "
        f"decisions of {name} (by its threshold or costs) are lost. {fix}."
    )
