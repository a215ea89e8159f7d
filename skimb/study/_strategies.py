"""The remedies by name: what each changes, and which share the plain network."""

import copy
import time

from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.utils.metaestimators import available_if

from skimb.losses import FocalLoss
from skimb.model_selection import TunedOffsetsClassifierCV
from skimb.neural_network import DecoupledClassifier
from skimb.over_sampling import SMOTE, RandomOverSampler
from skimb.under_sampling import RandomUnderSampler

__all__ = [
    "BASELINE",
    "CONSTANT",
    "LINEAR",
    "NEEDED_ROWS",
    "STRATEGIES",
    "Remembering",
    "fit_strategies",
    "group_strategies",
    "has_own_network",
    "strategy_estimator",
    "with_steps",
]

BASELINE = "none"

#: Floors, which need no network: where a strategy is not above them, it has learned nothing.
CONSTANT = "constant"
#: A network without a hidden layer, and without what belongs to layers. A thousand steps at the
#: usual rate, or on shifted images, leave it below logistic regression; so they do not here.
LINEAR = {
    "module": "linear",
    "lr": 1e-2,
    "augmentation": None,
    "freeze": None,
    "lr_decay": None,
}

#: Strategies that train a network of their own: the parameters that they set.
TRAINED = {
    "class_weight": {"class_weight": "balanced"},
    "focal": {"loss": FocalLoss()},
    "focal_weighted": {"loss": FocalLoss(), "class_weight": "balanced"},
    "over": {"sampler": RandomOverSampler()},
    "under": {"sampler": RandomUnderSampler()},
    "balanced_batches": {"batch_sampling": "balanced"},
    "linear": LINEAR,
}


def _smote_embedding(plain, X, y, tied, *, seed, scoring):
    """Train the last layer of the plain network anew, on embeddings balanced by SMOTE."""
    return DecoupledClassifier(FrozenEstimator(plain), sampler=SMOTE(), random_state=seed).fit(X, y)


def _threshold(plain, X, y, tied, *, seed, scoring):
    """Move the plain network's decisions, by networks of halves of the training part."""
    tuned = TunedOffsetsClassifierCV(FrozenEstimator(plain), scoring=scoring, random_state=seed)
    return tuned.fit(X, y, groups=tied)


def _prior_shift(plain, X, y, tied, *, seed, scoring):
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
    "threshold": "plain network; decision threshold tuned on the training part",
    "prior_shift": "plain network; probabilities moved to a uniform class prior",
    "linear": "floor: one linear layer on the pixels, for as many steps",
    CONSTANT: "floor: the class prior for every image",
}


#: Rows of each class that a strategy needs in a training part.
NEEDED_ROWS = {"threshold": 2, "smote_embedding": 2}


def strategy_estimator(name, estimator, *, scoring=None):
    """Return the estimator that a strategy is, for those who train it themselves.

    Parameters
    ----------
    name : str
        The strategy.
    estimator : CNNClassifier
        The plain network; it is left as it is.
    scoring : str, scorer or None, default=None
        What ``"threshold"`` is tuned for.

    Returns
    -------
    estimator
        Not fitted.
    """
    if name == CONSTANT:
        return DummyClassifier()
    if name == "smote_embedding":
        return DecoupledClassifier(estimator, sampler=SMOTE())
    if name == "threshold":
        return TunedOffsetsClassifierCV(estimator, scoring=scoring)
    params = {"target_prior": "uniform"} if name == "prior_shift" else TRAINED.get(name, {})
    return copy.copy(estimator).set_params(**params)


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
    alone = (name for name in names if name in TRAINED or name == CONSTANT)
    return [shared, *((name,) for name in alone)]


def with_steps(network, n_samples, steps):
    """Fix the steps of an epoch where they would not come out so by themselves.

    Where they do, an epoch is every sample once, as the constructor has it.

    Parameters
    ----------
    network : CNNClassifier or CNNRegressor
        Not fitted; changed in place.
    n_samples : int
        Of the training part.
    steps : int or None
        Steps of an epoch; None: left to the network.

    Returns
    -------
    network
    """
    if steps is None or network.steps_per_epoch is not None:
        return network
    comes_out = network.sampler is None and -(-n_samples // network.batch_size) == steps
    return network if comes_out else network.set_params(steps_per_epoch=steps)


def fit_strategies(names, estimator, X, y, tied=None, *, seed, scoring=None, steps=None):
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
    seed : int
        Seeds every strategy alike.
    scoring : str, scorer or None, default=None
        What ``"threshold"`` is tuned for, as in `TunedOffsetsClassifierCV`.
    steps : int, default=None
        Steps of an epoch, the same for all; None: left to the estimator.

    Yields
    ------
    name : str
    fitted : estimator
    seconds : float
        What a user of this strategy alone would wait, the plain network included.
    """
    first = names[0]
    start = time.perf_counter()
    if first == CONSTANT:
        constant = DummyClassifier().fit(X, y)
        yield first, constant, time.perf_counter() - start
        return
    network = copy.copy(estimator).set_params(random_state=seed, **TRAINED.get(first, {}))
    with_steps(network, len(y), steps).fit(X, y)
    network_seconds = time.perf_counter() - start
    yield first, network, network_seconds
    for name in names[1:]:
        start = time.perf_counter()
        fitted = BUILT_ON_PLAIN[name](network, X, y, tied, seed=seed, scoring=scoring)
        yield name, fitted, time.perf_counter() - start + network_seconds


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
