"""The predictions of a strategy for a test part, from which all of its figures can be computed."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skimb._class_probabilities import log_probabilities

__all__ = ["Predictions", "predictions_of"]


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
    """

    rows: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    log_proba: Any = None

    @property
    def is_right(self):
        """Whether each decision is right: an ndarray of bool of shape (n_test,)."""
        return self.truth == self.predicted

    @property
    def confidence(self):
        """The probability of the class that was decided for, of shape (n_test,), or None."""
        if self.log_proba is None:
            return None
        return np.exp(self.log_proba[np.arange(len(self.truth)), self.predicted])


def predictions_of(classifier, X, y, classes, *, rows):
    """Return the predictions of a fitted classifier for one test part.

    Parameters
    ----------
    classifier : classifier
        Fitted, with or without ``predict_proba``.
    X : array-like of n_test samples
    y : ndarray of shape (n_test,)
        True labels.
    classes : ndarray of shape (n_classes,)
        All labels of the comparison, sorted.
    rows : ndarray of shape (n_test,), int
        Indices of the samples.

    Returns
    -------
    Predictions
    """
    predicted = np.searchsorted(classes, np.ravel(classifier.predict(X)))
    log_proba = None
    if hasattr(classifier, "predict_proba"):
        log_proba = log_probabilities(classifier, X, classes).astype(np.float32)
    return Predictions(np.asarray(rows), np.searchsorted(classes, y), predicted, log_proba)
