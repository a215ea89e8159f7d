"""Estimators that a search trained itself, in the form in which scikit-learn scores them."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from skimb._params import safe_indexing

__all__ = ["TrainedCandidate", "TrainedFolds", "results_by_parameters"]


class TrainedFolds:
    """The trained estimators of all candidates and folds, and their input.

    Parameters
    ----------
    splits : list of (ndarray, ndarray)
        Indices of the training and of the test samples of each fold.
    fitted : list of estimator or Exception
        The estimators of the first fold, one for each candidate, then those of the next fold.
    data : list of array-like
        For each fold, all samples in the form that its estimators read.
    """

    def __init__(self, splits, fitted, data):
        self.splits, self.fitted, self.data = splits, fitted, data
        self.fold_of = {train.tobytes(): f for f, (train, _) in enumerate(splits)}
        self.n_candidates = len(fitted) // len(splits)

    def __sklearn_clone__(self):
        return self


class TrainedCandidate(ClassifierMixin, BaseEstimator):
    """A candidate that is trained already: `fit` looks it up by the indices of its samples.

    Parameters
    ----------
    bank : TrainedFolds
        The trained estimators.
    number : int, default=0
        The number of the candidate.
    """

    def __init__(self, bank, number=0):
        self.bank = bank
        self.number = number

    def fit(self, X, y, sample_weight=None):
        """Look up the estimator that was trained on these samples, with these weights."""
        self.classes_ = np.unique(y)
        fold = self.bank.fold_of.get(X.tobytes())
        if fold is None:
            # The best candidate on all samples: the search trains it itself.
            return self
        fitted = self.bank.fitted[fold * self.bank.n_candidates + self.number]
        if isinstance(fitted, Exception):
            raise fitted
        self.fitted_, self.data_ = fitted, self.bank.data[fold]
        self.classes_ = fitted.classes_
        return self

    def predict(self, X):
        """Return the labels of samples, given by their indices."""
        return self.fitted_.predict(safe_indexing(self.data_, X))

    def predict_proba(self, X):
        """Return the probabilities of samples, given by their indices."""
        return self.fitted_.predict_proba(safe_indexing(self.data_, X))

    def decision_function(self, X):
        """Return log-probabilities, or their difference, of samples, given by their indices."""
        return self.fitted_.decision_function(safe_indexing(self.data_, X))


def results_by_parameters(results, candidates, fit_times):
    """Put the parameters and the true times into the results of a search over candidate numbers."""
    results = {name: values for name, values in results.items() if name != "param_number"}
    times = {"mean_fit_time": fit_times.mean(), "std_fit_time": fit_times.std()}
    results |= {name: np.full(len(candidates), value) for name, value in times.items()}
    columns = {}
    for name in sorted({name for candidate in candidates for name in candidate}):
        column = np.ma.MaskedArray(np.empty(len(candidates), dtype=object), mask=True)
        for i, candidate in enumerate(candidates):
            if name in candidate:
                column[i] = candidate[name]
        columns[f"param_{name}"] = column
    return results | columns | {"params": candidates}
