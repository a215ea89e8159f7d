"""Measures of predictions: by name from counts, and by a scorer of the user's own."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

__all__ = ["MEASURES", "reads_labels", "score_labels", "score_probabilities"]


def _f1(hits, predicted, support):
    return 2 * hits / np.maximum(predicted + support, 1)


def _mean_recall(hits, predicted, support):
    return (hits[:, support > 0] / support[support > 0]).mean(axis=1)


def _f1_minority(hits, predicted, support):
    minority = np.where(support > 0, support, np.inf).argmin()
    return _f1(hits, predicted, support)[:, minority]


#: Measures by name. Each takes the hits and the predictions of each class, both of shape
#: (n_candidates, n_classes), and the number of samples of each class.
MEASURES = {
    "f1_minority": _f1_minority,
    "f1_macro": lambda *counts: _f1(*counts).mean(axis=1),
    "balanced_accuracy": _mean_recall,
}


class _Known(ClassifierMixin, BaseEstimator):
    """A classifier whose predictions are given."""

    def __init__(self, predicted, classes):
        self.predicted = predicted
        self.classes_ = classes

    def fit(self, X, y):
        """Do nothing: the predictions are given."""
        return self

    def predict(self, X):
        """Return the predictions."""
        return self.predicted


class _KnownProbabilities(_Known):
    """A classifier whose class probabilities are given, as logarithms."""

    def __init__(self, log_proba, classes):
        self.log_proba = log_proba
        super().__init__(classes[log_proba.argmax(axis=1)], classes)

    def predict_log_proba(self, X):
        """Return the log-probabilities."""
        return self.log_proba

    def predict_proba(self, X):
        """Return the probabilities."""
        return np.exp(self.log_proba)

    def decision_function(self, X):
        """Return the log-probabilities; for two classes their difference."""
        several = len(self.classes_) > 2
        return self.log_proba if several else self.log_proba[:, 1] - self.log_proba[:, 0]


def score_labels(scorer, predicted, y, classes):
    """Return the score of predicted labels.

    Parameters
    ----------
    scorer : callable
        ``scorer(estimator, X, y)``.
    predicted, y : ndarray of shape (n,)
        Predicted and true labels.
    classes : ndarray of shape (n_classes,)
        All labels.

    Returns
    -------
    float
    """
    return float(scorer(_Known(predicted, classes), np.empty((len(y), 1)), y))


def score_probabilities(scorer, log_proba, y, classes):
    """Return the score of class probabilities.

    Parameters
    ----------
    scorer : callable
        ``scorer(estimator, X, y)``.
    log_proba : ndarray of shape (n, n_classes)
        Log-probabilities.
    y : ndarray of shape (n,)
        True labels.
    classes : ndarray of shape (n_classes,)
        All labels, in the order of the columns.

    Returns
    -------
    float
    """
    known = _KnownProbabilities(log_proba, classes)
    return float(scorer(known, np.empty((len(y), 1)), y))


def reads_labels(scorer, y):
    """Tell whether a scorer works with predicted labels only.

    Parameters
    ----------
    scorer : callable
        ``scorer(estimator, X, y)``.
    y : ndarray of shape (n,)
        Labels.

    Returns
    -------
    bool
    """
    try:
        return bool(np.isfinite(score_labels(scorer, y, y, np.unique(y))))
    except (AttributeError, TypeError):
        return False
