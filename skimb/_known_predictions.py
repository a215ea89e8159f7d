"""Fitted estimators whose predictions are computed once, for scorers that ask again and again."""

from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if

__all__ = ["KnownPredictions", "RememberingClassifier"]


def _has(method):
    return available_if(lambda self: hasattr(self.fitted, method))


class RememberingClassifier(ClassifierMixin, BaseEstimator):
    """A fitted classifier that computes each kind of prediction on one X once.

    Scorers ask for the same predictions again and again, and each would be a pass through the
    network.

    Parameters
    ----------
    fitted : classifier
        With ``predict``, and with ``predict_proba`` or ``decision_function`` if it has them.
    """

    def __init__(self, fitted):
        self.fitted = fitted
        self.classes_ = fitted.classes_
        self._known = {}

    def fit(self, X, y):
        """Do nothing: the classifier is fitted."""
        return self

    def _ask(self, method, X):
        # X is kept too: so long as it is, nothing else has its identity.
        known = self._known.get(method)
        if known is None or known[0] is not X:
            known = self._known[method] = X, getattr(self.fitted, method)(X)
        return known[1]

    def predict(self, X):
        """Return the predicted labels."""
        return self._ask("predict", X)

    @_has("predict_proba")
    def predict_proba(self, X):
        """Return the probability of each class."""
        return self._ask("predict_proba", X)

    @_has("decision_function")
    def decision_function(self, X):
        """Return the classifier's own decision function."""
        return self._ask("decision_function", X)


class KnownPredictions(RegressorMixin, BaseEstimator):
    """A regressor whose predictions for the one X that is asked about are known.

    Parameters
    ----------
    predicted : ndarray of shape (n,)
    """

    def __init__(self, predicted):
        self.predicted = predicted
        self.is_fitted_ = True

    def fit(self, X, y):
        """Do nothing: the regressor is fitted."""
        return self

    def predict(self, X):
        """Return the predictions."""
        return self.predicted
