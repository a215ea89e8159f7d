"""The built-in strategies for labels: the parameters that each sets, or how each is built."""

import copy

from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator

from skimb._strategy_names import BASELINE, CONSTANT, STRATEGIES
from skimb.losses import FocalLoss
from skimb.model_selection import TunedOffsetsClassifierCV
from skimb.neural_network import DecoupledClassifier
from skimb.over_sampling import SMOTE, RandomOverSampler
from skimb.study._strategies import LINEAR
from skimb.under_sampling import RandomUnderSampler

__all__ = ["BUILT_ON_BASELINE", "NEEDED_SAMPLES", "STRATEGIES", "unfitted_classifier"]

#: Strategies that train a network of their own: the parameters that they set.
TRAINED = {
    BASELINE: {},
    "class_weight": {"class_weight": "balanced"},
    "focal": {"loss": FocalLoss()},
    "focal_weighted": {"loss": FocalLoss(), "class_weight": "balanced"},
    "over": {"sampler": RandomOverSampler()},
    "under": {"sampler": RandomUnderSampler()},
    "balanced_batches": {"batch_sampling": "balanced"},
    "linear": LINEAR,
}


def _smote_embedding(network, X, y, groups, *, seed, scoring):
    """Train the last layer of the baseline's network again, on embeddings balanced by SMOTE."""
    head = DecoupledClassifier(FrozenEstimator(network), sampler=SMOTE(), random_state=seed)
    return head.fit(X, y)


def _threshold(network, X, y, groups, *, seed, scoring):
    """Move the decisions of the baseline's network, by networks of halves of the training part."""
    tuned = TunedOffsetsClassifierCV(clone(network), scoring=scoring, random_state=seed)
    return tuned.tune_fitted(network, X, y, groups=groups)


def _prior_shift(network, X, y, groups, *, seed, scoring):
    """Move the probabilities of the baseline's network to a uniform class prior."""
    return copy.copy(network).set_params(target_prior="uniform")


#: Strategies that start from the baseline's network instead of training one.
BUILT_ON_BASELINE = {
    "smote_embedding": _smote_embedding,
    "threshold": _threshold,
    "prior_shift": _prior_shift,
}

#: Samples of each class that a strategy needs in a training part.
NEEDED_SAMPLES = {"threshold": 2, "smote_embedding": 2}


def unfitted_classifier(name, estimator, *, scoring=None):
    """Return the estimator that a built-in strategy is, for those who train it themselves.

    Parameters
    ----------
    name : str
        The strategy.
    estimator : CNNClassifier
        The baseline; it is left as it is.
    scoring : str, scorer or None, default=None
        The measure that ``"threshold"`` is tuned for.

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
    params = {"target_prior": "uniform"} if name == "prior_shift" else TRAINED[name]
    return copy.copy(estimator).set_params(**params)
