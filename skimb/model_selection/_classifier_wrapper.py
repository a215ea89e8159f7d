"""The template of classifiers that move the probabilities or the decisions of another one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import UNUSED, MetadataRouter
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skimb._callback_tasks import begin_fit
from skimb._class_probabilities import log_probabilities
from skimb._decision_rule import DecisionRule
from skimb._routing import routes
from skimb._warnings import warn
from skimb.model_selection._wrapped_fits import (
    forget_fit,
    metadata_of_wrapped,
    routing_of_wrapped,
    wrapped_by,
)

__all__ = ["ClassifierWrapper"]


class ClassifierWrapper(CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """A classifier that moves the probabilities or the decisions of another one.

    A subclass stores its parameters, `estimator` first. Its ``fit(X, y, sample_weight=None,
    groups=None)`` sets ``estimator_`` and ``classes_`` by `fit_on_all` or `fit_and_hold_out`, and
    its ``decision_rule()`` says what becomes of the probabilities. Predictions, the export to ONNX
    and files follow from these.
    """

    estimator: Any
    estimator_: Any
    classes_: Any

    #: Whether it decides by a threshold or costs, which another wrapper around it would lose.
    _has_own_decisions = False
    #: Whether the classifier in it decides.
    _leaves_decisions = False

    #: The classifier uses them; the wrapper itself does so only if it says so.
    __metadata_request__fit = {"sample_weight": UNUSED}

    def decision_rule(self) -> DecisionRule | None:
        """Return what is done with the probabilities of the wrapped classifier, as numbers.

        Returns
        -------
        DecisionRule or None
            None: probabilities and decisions are those of the wrapped classifier, which may have a
            rule of its own.
        """
        raise NotImplementedError

    def _begin(self):
        """Forget an earlier fit, so that a fit that fails leaves no mixture; check parameters."""
        forget_fit(self)

    def _begin_task(self, samples, n_tasks):
        """Begin the task of the fit, for scikit-learn's callbacks."""
        return begin_fit(self, samples.X, samples.y, n_tasks=n_tasks)

    def _metadata(self, samples, sample_weight, groups):
        """Return what the wrapped classifier gets in ``fit``, by name: weights if it takes them."""
        classifier = wrapped_by(self)
        if sample_weight is not None and not routes() and not _takes_weights(classifier):
            warn(
                f"{type(classifier).__name__}.fit takes no `sample_weight`, so that the weights do "
                "not count in its training."
            )
            sample_weight = None
        return metadata_of_wrapped(self, samples.X, sample_weight, groups)

    def _metadata_of_training(self, samples, sample_weight, groups):
        """Return the same, which is nothing for a classifier that is fitted already."""
        if isinstance(self.estimator, FrozenEstimator):
            return {}
        return self._metadata(samples, sample_weight, groups)

    def get_metadata_routing(self) -> MetadataRouter:
        """Return which metadata the wrapped classifier requests.

        Returns
        -------
        MetadataRouter
        """
        return routing_of_wrapped(self)

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the logarithms of `predict_proba`.

        Parameters
        ----------
        X : array-like of n samples
            In a form that the wrapped classifier reads.

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        check_is_fitted(self)
        rule, log_proba = self.decision_rule(), log_probabilities(self.estimator_, X)
        return log_proba if rule is None else rule.log_probabilities(log_proba)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like of n samples
            In a form that the wrapped classifier reads.

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        return np.exp(self.predict_log_proba(X))

    def decision_function(self, X: Any) -> NDArray[Any]:
        """Return one number for each class, of which the largest is that of the predicted class.

        Parameters
        ----------
        X : array-like of n samples
            In a form that the wrapped classifier reads.

        Returns
        -------
        ndarray of shape (n, n_classes), or (n,) for two classes
            For two classes, the number of the second class minus that of the first. If there is
            no rule, those of the wrapped classifier, where it has a ``decision_function``.
        """
        check_is_fitted(self)
        rule = self.decision_rule()
        if rule is None and hasattr(self.estimator_, "decision_function"):
            return self.estimator_.decision_function(X)
        log_proba = log_probabilities(self.estimator_, X)
        scores = log_proba if rule is None else rule.scores(log_proba)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the label of each sample.

        Parameters
        ----------
        X : array-like of n samples
            In a form that the wrapped classifier reads.

        Returns
        -------
        ndarray of shape (n,)
        """
        check_is_fitted(self)
        rule = self.decision_rule()
        if rule is None:
            return self.estimator_.predict(X)
        return self.classes_[rule.decide(log_probabilities(self.estimator_, X))]

    def __sklearn_is_fitted__(self):
        return hasattr(self, "classes_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(wrapped_by(self))
        tags.input_tags = inner.input_tags
        tags.classifier_tags = inner.classifier_tags or tags.classifier_tags
        return tags


def _takes_weights(classifier):
    """Tell whether ``fit`` takes weights without metadata routing."""
    if isinstance(classifier, FrozenEstimator):
        # It leaves them alone.
        return True
    if {"estimator", "refit"} <= set(classifier.get_params(deep=False)):
        # A search hands on all that its `fit` gets.
        return _takes_weights(classifier.estimator)
    return has_fit_parameter(classifier, "sample_weight")
