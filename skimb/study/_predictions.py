"""The predictions of a strategy for a test part, from which all of its figures can be computed."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skimb._class_probabilities import log_probabilities
from skimb.model_selection import TunedOffsetsClassifierCV, at_train_prior, prior_of_probabilities

__all__ = ["Predictions", "decision_facts", "predictions_of"]


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predictions of a fitted classifier for the samples of one test part.

    Classes are given by their positions among the sorted labels of the comparison.

    Parameters
    ----------
    rows : ndarray of shape (n_test,), int
        Indices of the samples in X or in the fixed test set.
    truth, predicted : ndarray of shape (n_test,), int
        The class of each sample, and the class that was decided for.
    log_proba : ndarray of shape (n_test, n_classes), float32, or None
        Logarithms of the probabilities; None: the classifier has none.
    prior : ndarray of shape (n_classes,), or None
        The class fractions for which the probabilities can be told; None: they are not known.
    log_proba_of_prior : ndarray of shape (n_test, n_classes), float32, or None
        The probabilities for `prior`, where `log_proba` hold for no class fractions, as with a loss
        that moves them. None: these are `log_proba`.
    log_offsets : ndarray of shape (n_classes,), or None
        Numbers that were tuned, and that `log_proba` contains: the class of the largest one is
        decided for. None: there are none.
    """

    rows: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    log_proba: Any = None
    prior: Any = None
    log_proba_of_prior: Any = None
    log_offsets: Any = None

    @property
    def is_right(self):
        """Whether each decision is right: an ndarray of bool of shape (n_test,)."""
        return self.truth == self.predicted

    @property
    def movable_log_proba(self):
        """The logarithms of the probabilities that hold for `prior`, of shape (n_test, n_classes).

        Where that is not known: of those that there are; None: there are none.
        """
        return self.log_proba if self.log_proba_of_prior is None else self.log_proba_of_prior

    @property
    def confidence(self):
        """The probability of the class that was decided for, of shape (n_test,), or None."""
        if self.log_proba is None:
            return None
        return np.exp(self.log_proba[np.arange(len(self.truth)), self.predicted])


def predictions_of(classifier, X, y, classes, *, rows, fitted, y_train):
    """Return the predictions of a fitted classifier for one test part.

    Parameters
    ----------
    classifier : classifier
        Fitted, with or without ``predict_proba``; it may remember its predictions.
    X : array-like of n_test samples
    y : ndarray of shape (n_test,)
        True labels.
    classes : ndarray of shape (n_classes,)
        All labels of the comparison, sorted.
    rows : ndarray of shape (n_test,), int
        Indices of the samples.
    fitted : classifier
        The same one, which remembers nothing: it predicts again at another prior.
    y_train : ndarray of shape (n_train,)
        The labels that the classifier was fitted on.

    Returns
    -------
    Predictions
    """
    predicted = np.searchsorted(classes, np.ravel(classifier.predict(X)))
    found = Predictions(np.asarray(rows), np.searchsorted(classes, y), predicted)
    if not hasattr(classifier, "predict_proba"):
        return found
    log_proba = log_probabilities(classifier, X, classes).astype(np.float32)
    prior, moved = _prior_of(fitted, classes, y_train), None
    if prior is None:
        at_train = at_train_prior(fitted)
        prior = None if at_train is fitted else _prior_of(at_train, classes, y_train)
        if prior is not None:
            moved = log_probabilities(at_train, X, classes).astype(np.float32)
    return replace(
        found,
        log_proba=log_proba,
        prior=prior,
        log_proba_of_prior=moved,
        log_offsets=_offsets_of(fitted),
    )


def decision_facts(predictions):
    """Return from which prior and threshold the decisions of a strategy come.

    Parameters
    ----------
    predictions : list of Predictions
        Those of each run.

    Returns
    -------
    dict
        ``prior``, the class fractions for which the probabilities hold, or None; ``offsets``, which
        were tuned and are added to the logarithms of the probabilities of its network, or None: the
        most probable class is decided for. Both are means over the runs.
    """
    return {
        "prior": _mean([one.prior for one in predictions]),
        "offsets": _mean([one.log_offsets for one in predictions]),
    }


def _mean(arrays):
    if any(one is None for one in arrays):
        return None
    return np.mean(arrays, axis=0).tolist()


def _prior_of(fitted, classes, y_train):
    """Return the class fractions for which probabilities hold, or None, in float64."""
    if not np.array_equal(fitted.classes_, classes):
        return None
    found = prior_of_probabilities(fitted, np.searchsorted(classes, y_train))
    if not found.can_move:
        return None
    return np.asarray(found.prior, dtype=np.float64) / np.sum(found.prior)


def _offsets_of(fitted):
    """Return the offsets that move the decisions alone, or None."""
    if not isinstance(fitted, TunedOffsetsClassifierCV):
        return None
    return fitted.decision_rule().log_offsets
