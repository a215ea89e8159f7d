"""The remedies by name: what each changes, and which share the plain network."""

import copy
import time

import numpy as np
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import (
    FixedThresholdClassifier,
    StratifiedKFold,
    StratifiedShuffleSplit,
    TunedThresholdClassifierCV,
)
from sklearn.utils import _safe_indexing
from sklearn.utils.metaestimators import available_if

from skimb.losses import FocalLoss
from skimb.model_selection._offsets import tune_offsets
from skimb.neural_network import DecoupledClassifier
from skimb.over_sampling import SMOTE, RandomOverSampler
from skimb.study._splits import grouped_folds, groups_by_class
from skimb.under_sampling import RandomUnderSampler

__all__ = [
    "BASELINE",
    "NEEDED_ROWS",
    "STRATEGIES",
    "Remembering",
    "fit_strategies",
    "group_strategies",
    "has_own_network",
    "held_out_folds",
]

BASELINE = "none"

#: Held-out rows of a class that fix a threshold well enough without folds.
ENOUGH_ROWS = 200

#: Strategies that train a network of their own: the parameters that they set.
TRAINED = {
    "class_weight": {"class_weight": "balanced"},
    "focal": {"loss": FocalLoss()},
    "focal_weighted": {"loss": FocalLoss(), "class_weight": "balanced"},
    "over": {"sampler": RandomOverSampler()},
    "under": {"sampler": RandomUnderSampler()},
    "balanced_batches": {"batch_sampling": "balanced"},
}


def _smote_embedding(plain, X, y, tied, *, minority, seed):
    """Train the last layer of the plain network anew, on embeddings balanced by SMOTE."""
    return DecoupledClassifier(FrozenEstimator(plain), sampler=SMOTE(), random_state=seed).fit(X, y)


def _threshold(plain, X, y, tied, *, minority, seed):
    """Move the plain network's threshold, chosen on rows of the training part held out for it.

    By five folds; or, for the price of one more network instead of six, by a single fifth, where
    that holds `ENOUGH_ROWS` of every class.
    """
    folds = held_out_folds(y, tied, seed)
    is_single = len(folds) == 1
    if len(plain.classes_) > 2:
        rows, log_proba = _held_out_log_proba(plain, X, y, folds)
        return OffsetClassifier(plain, tune_offsets(log_proba, y[rows], plain.classes_))
    scoring = make_scorer(f1_score, pos_label=minority, zero_division=0.0)
    if not is_single:
        return TunedThresholdClassifierCV(plain, scoring=scoring, cv=folds).fit(X, y)
    ((train, test),) = folds
    network = clone(plain).fit(_safe_indexing(X, train), y[train])
    tuned = TunedThresholdClassifierCV(
        FrozenEstimator(network), scoring=scoring, cv="prefit", refit=False
    ).fit(_safe_indexing(X, test), y[test])
    return FixedThresholdClassifier(
        FrozenEstimator(plain), threshold=tuned.best_threshold_, pos_label=minority
    ).fit(X, y)


def held_out_folds(y, tied, seed):
    """Return the splits by which a training part chooses a threshold.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels of the training part.
    tied : ndarray of shape (n,), int, or None
        Rows of one number stay together.
    seed : int

    Returns
    -------
    list of (ndarray, ndarray)
        Rows to train on, and rows that are held out, with every class among both. One split, where
        a fifth holds `ENOUGH_ROWS` of every class.

    Raises
    ------
    ValueError
        If what is tied cannot be shared out so.
    """
    labels, counts = np.unique(y, return_counts=True)
    is_single = counts.min() >= 5 * ENOUGH_ROWS
    if tied is None:
        folds = StratifiedKFold(min(5, counts.min()), shuffle=True, random_state=seed)
        if is_single:
            folds = StratifiedShuffleSplit(1, test_size=0.2, random_state=seed)
        return list(folds.split(np.empty(len(y)), y))
    for n_folds in range(min(5, groups_by_class(y, tied, labels).min()), 1, -1):
        splits = grouped_folds(y, tied, n_folds, seed)
        if splits is not None:
            return splits[:1] if is_single else splits
    raise ValueError(
        "Strategy 'threshold' holds groups of a training part out, with every class on both sides, "
        f"and cannot share out those of {len(y)} rows so. Give more groups, fewer folds, or leave "
        "the strategy out."
    )


def _held_out_log_proba(plain, X, y, folds):
    """Return the rows that folds hold out, and what networks that never saw them say of them."""
    rows, log_proba = [], []
    for train, test in folds:
        network = clone(plain).fit(_safe_indexing(X, train), y[train])
        rows.append(test)
        log_proba.append(network.predict_log_proba(_safe_indexing(X, test)))
    return np.concatenate(rows), np.concatenate(log_proba)


def _prior_shift(plain, X, y, tied, *, minority, seed):
    """Let the plain network speak for a uniform class prior."""
    return copy.copy(plain).set_params(target_prior="uniform")


#: Strategies that build on the plain network instead of training one.
BUILT_ON_PLAIN = {
    "smote_embedding": _smote_embedding,
    "threshold": _threshold,
    "prior_shift": _prior_shift,
}

#: Every strategy, in the order of reports, in one line.
STRATEGIES = {
    BASELINE: "the network on the data as they are",
    "class_weight": "errors weighted by inverse class counts",
    "focal": "focal loss (gamma 2)",
    "focal_weighted": "focal loss and class weights",
    "over": "rows of the rare classes repeated",
    "under": "rows of the frequent classes dropped",
    "smote_embedding": "plain network; last layer trained anew on embeddings, balanced by SMOTE",
    "balanced_batches": "every batch holds equal shares of the classes",
    "threshold": "plain network; decision threshold tuned for F1 on the training part",
    "prior_shift": "plain network; probabilities moved to a uniform class prior",
}


#: Rows of each class that a strategy needs in a training part.
NEEDED_ROWS = {"threshold": 2, "smote_embedding": 2}


def has_own_network(name):
    """Tell whether a strategy trains a network, and so has a training curve.

    Parameters
    ----------
    name : str
        The strategy.

    Returns
    -------
    bool
    """
    return name == BASELINE or name in TRAINED


def group_strategies(names):
    """Group strategies so that each group needs one network: the unit of work.

    Parameters
    ----------
    names : sequence of str
        Strategies.

    Returns
    -------
    list of tuple of str
        The group of the baseline first.
    """
    shared = tuple(name for name in names if name == BASELINE or name in BUILT_ON_PLAIN)
    return [shared, *((name,) for name in names if name in TRAINED)]


def fit_strategies(names, estimator, X, y, tied=None, *, minority, seed):
    """Fit the strategies of one group, and yield each when it is ready.

    Parameters
    ----------
    names : tuple of str
        A group of `group_strategies`.
    estimator : CNNClassifier
        The network's settings; it is left as it is.
    X, y : array-like
        The training part.
    tied : ndarray of shape (n,), int, default=None
        Rows of one number stay together where some are held out.
    minority : label
        The rarest class.
    seed : int
        Seeds every strategy alike.

    Yields
    ------
    name : str
    fitted : estimator
    seconds : float
        What a user of this strategy alone would wait, the plain network included.
    """
    first = names[0]
    start = time.perf_counter()
    network = copy.copy(estimator).set_params(random_state=seed, **TRAINED.get(first, {}))
    network.fit(X, y)
    network_seconds = time.perf_counter() - start
    yield first, network, network_seconds
    for name in names[1:]:
        start = time.perf_counter()
        fitted = BUILT_ON_PLAIN[name](network, X, y, tied, minority=minority, seed=seed)
        seconds = time.perf_counter() - start
        # The binary threshold trains the plain network itself, after its folds.
        includes_network = isinstance(fitted, TunedThresholdClassifierCV)
        yield name, fitted, seconds + (0 if includes_network else network_seconds)


class Remembering(ClassifierMixin, BaseEstimator):
    """A fitted classifier that computes each kind of prediction on one X once.

    Scorers ask for the same predictions again and again, and each would be a pass through the
    network.

    Parameters
    ----------
    fitted : classifier
        With ``predict`` and ``predict_proba``.
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

    def predict_proba(self, X):
        """Return the probability of each class."""
        return self._ask("predict_proba", X)

    @available_if(lambda self: hasattr(self.fitted, "decision_function"))
    def decision_function(self, X):
        """Return what the classifier's own returns."""
        return self._ask("decision_function", X)


class OffsetClassifier(ClassifierMixin, BaseEstimator):
    """A fitted classifier with an offset on each class's log-probability.

    Parameters
    ----------
    fitted : classifier
        With ``predict_log_proba``.
    offsets : ndarray of shape (n_classes,)
        Added to the log-probabilities.
    """

    def __init__(self, fitted, offsets):
        self.fitted = fitted
        self.offsets = offsets
        self.classes_ = fitted.classes_

    def fit(self, X, y):
        """Do nothing: the classifier is fitted."""
        return self

    def predict_proba(self, X):
        """Return the probabilities after the offsets."""
        return np.exp(log_softmax(self.fitted.predict_log_proba(X) + self.offsets, axis=1))

    def predict(self, X):
        """Return the most probable labels."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]
