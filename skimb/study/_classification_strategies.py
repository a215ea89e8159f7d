"""The built-in strategies for labels: the parameters that each sets, or how each is built."""

import copy

from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator

from skimb._strategy_names import (
    BASELINE,
    CONSTANT,
    FURTHER_STRATEGIES,
    OWN_STEPS,
    STRATEGIES,
)
from skimb.losses import FocalLoss, LogitAdjustedLoss
from skimb.model_selection import AutoBalanceClassifier, TunedOffsetsClassifierCV
from skimb.neural_network import DecoupledClassifier, Jitter, Mixup
from skimb.over_sampling import SMOTE, AugmentedOverSampler, ImageJitter, RandomOverSampler
from skimb.study._middle_sizes import down_to_middle, up_to_middle
from skimb.study._strategies import LINEAR
from skimb.study._tuned_baseline import augmented, small_batch, tuned_baseline
from skimb.under_sampling import RandomUnderSampler

__all__ = [
    "ALL_STRATEGIES",
    "BUILT_ON_BASELINE",
    "FROM_PIXELS",
    "FURTHER_STRATEGIES",
    "NEEDED_SAMPLES",
    "NEW_LAYER",
    "OWN_STEPS",
    "STRATEGIES",
    "unfitted_classifier",
]

#: The references, which come last in reports.
REFERENCES = ("linear", CONSTANT)

#: Every strategy for labels, in the order of reports.
ALL_STRATEGIES = {
    **{name: line for name, line in STRATEGIES.items() if name not in REFERENCES},
    **FURTHER_STRATEGIES,
    **{name: STRATEGIES[name] for name in REFERENCES},
}

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
    "logit_adjusted": {"loss": LogitAdjustedLoss()},
    "under_over": {
        "sampler": [RandomUnderSampler(sampling_strategy=down_to_middle), RandomOverSampler()]
    },
    # The weights are those of the samples after the sampler, so that no class counts twice.
    "over_weighted": {
        "sampler": RandomOverSampler(sampling_strategy=up_to_middle),
        "class_weight": "balanced",
    },
}


def _from_baseline(name, estimator):
    """Return the parameters of strategies that depend on those of the baseline."""
    if name == "augment":
        return {"augmentation": augmented(estimator.augmentation, Jitter())}
    if name == "mixup_logit_adjusted":
        mixed = augmented(estimator.augmentation, Mixup())
        return {"loss": LogitAdjustedLoss(), "augmentation": mixed}
    if name == "over_augmented":
        # Left and right may differ in meaning.
        jitter = ImageJitter(flip=False)
        shape = {"image_shape": estimator.image_shape, "channels": estimator.channels}
        return {"sampler": AugmentedOverSampler(augmentation=jitter, **shape)}
    if name == "prior_shift":
        return {"target_prior": "uniform"}
    # Copies: whoever changes the estimator of a strategy must not change the strategy.
    return {name: clone(value, safe=False) for name, value in TRAINED[name].items()}


def _smote_embedding(network, X, y, groups, *, seed, scoring):
    """Train the last layer of the baseline's network again, on embeddings balanced by SMOTE."""
    head = DecoupledClassifier(FrozenEstimator(network), sampler=SMOTE(), random_state=seed)
    return head.fit(X, y)


def _decoupled(network, X, y, groups, *, seed, scoring):
    """Train the last layer of the baseline's network again, on class-balanced batches."""
    return DecoupledClassifier(FrozenEstimator(network), random_state=seed).fit(X, y)


def _threshold(network, X, y, groups, *, seed, scoring):
    """Move the decisions of the baseline's network, by networks of halves of the training part."""
    tuned = TunedOffsetsClassifierCV(clone(network), scoring=scoring, random_state=seed)
    return tuned.tune_fitted(network, X, y, groups=groups)


def _prior_shift(network, X, y, groups, *, seed, scoring):
    """Move the probabilities of the baseline's network to a uniform class prior."""
    return copy.copy(network).set_params(target_prior="uniform")


#: Strategies that start from the baseline's network instead of training one.
BUILT_ON_BASELINE = {
    "threshold": _threshold,
    "prior_shift": _prior_shift,
    "smote_embedding": _smote_embedding,
    "decoupled": _decoupled,
}

#: Samples of each class that a strategy needs in a training part.
NEEDED_SAMPLES = {"threshold": 2, "smote_embedding": 2, "tuned_baseline": 2}

#: Strategies whose last layer is trained again, and has no calibration of its own.
NEW_LAYER = ("smote_embedding", "decoupled", "recipe", "recipe_long")

#: The epochs of the longer recipe, in those of the baseline.
LONGER = 3

#: Strategies that compute with pixels.
FROM_PIXELS = ("over_augmented",)


def _recipe(estimator):
    """Return small batches, and a last layer that is trained again on class-balanced batches.

    For its length it was best on average over the sets of ``benchmarks/quality/recipe.py``.
    """
    network = clone(estimator)
    return DecoupledClassifier(network.set_params(batch_size=small_batch(network.batch_size)))


def _recipe_long(estimator):
    """Return more epochs on images that are mixed, and a last layer that is trained again."""
    network, usual = clone(estimator), estimator.max_epochs
    network.set_params(
        # The least number of epochs that "auto" may mean.
        max_epochs=LONGER * (20 if usual == "auto" else usual),
        augmentation=augmented(estimator.augmentation, Jitter(), Mixup()),
        loss=LogitAdjustedLoss(),
    )
    return DecoupledClassifier(network)


def unfitted_classifier(name, estimator, *, scoring=None):
    """Return the estimator that a built-in strategy is, for those who train it themselves.

    Parameters
    ----------
    name : str
        The strategy.
    estimator : CNNClassifier
        The baseline; it is left as it is.
    scoring : str, scorer or None, default=None
        The measure that ``"threshold"`` and ``"tuned_baseline"`` are tuned for.

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
    if name == "autobalance":
        return AutoBalanceClassifier(clone(estimator))
    if name == "decoupled":
        return DecoupledClassifier(estimator)
    if name == "recipe":
        return _recipe(estimator)
    if name == "recipe_long":
        return _recipe_long(estimator)
    if name == "tuned_baseline":
        return tuned_baseline(estimator, scoring=scoring)
    return copy.copy(estimator).set_params(**_from_baseline(name, estimator))
