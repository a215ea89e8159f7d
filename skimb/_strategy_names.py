"""The names of the built-in strategies, each with one line, for those who do not need torch."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = [
    "BASELINE",
    "CONSTANT",
    "FURTHER_STRATEGIES",
    "OWN_STEPS",
    "REGRESSION_STRATEGIES",
    "STRATEGIES",
]

BASELINE = "none"

#: The reference point that needs no network: whatever does not exceed it has learned nothing.
CONSTANT = "constant"

#: The strategies for labels that run where none are named, in the order of reports, in one line.
STRATEGIES: Mapping[str, str] = {
    BASELINE: "the network on the data as they are",
    "class_weight": "errors weighted by inverse class counts",
    "focal": "focal loss (gamma 2)",
    "focal_weighted": "focal loss and class weights",
    "over": "samples of the minority classes repeated",
    "under": "samples of the majority classes dropped",
    "smote_embedding": "baseline; last layer trained again on embeddings, balanced by SMOTE",
    "balanced_batches": "every batch holds the classes in equal fractions",
    "threshold": "baseline; decision threshold tuned on the training part",
    "prior_shift": "baseline; probabilities moved to a uniform class prior",
    "linear": "reference: one linear layer on the pixels, for as many steps",
    CONSTANT: "reference: the class prior for every image",
}

#: Strategies for labels that run only if they are named, in one line.
FURTHER_STRATEGIES: Mapping[str, str] = {
    "logit_adjusted": "logit-adjusted loss (balanced softmax)",
    "decoupled": "baseline; last layer trained again on class-balanced batches",
    "augment": "stronger augmentation for all classes: images turned, scaled, brightened",
    "over_augmented": "changed copies of images of the minority classes",
    "under_over": "all classes brought to a middle size: some dropped, some repeated",
    "over_weighted": "minority classes repeated up to a middle size, errors weighted for the rest",
    "mixup_logit_adjusted": "mixup, and logit-adjusted loss",
    "autobalance": "loss whose numbers for each class are searched on held-out parts (AutoBalance)",
    "recipe": "small batches, and the last layer trained again on class-balanced batches",
    "recipe_long": "more epochs, mixup, logit-adjusted loss, and the last layer trained again",
    "tuned_baseline": "the baseline tuned on folds of the training part; it takes steps of its own",
}

#: Strategies that take gradient steps of their own number.
OWN_STEPS = ("recipe", "recipe_long", "tuned_baseline")

#: Every strategy for a continuous target, in the order of reports, in one line.
REGRESSION_STRATEGIES: Mapping[str, str] = {
    BASELINE: "the network on the data as they are",
    "weight_sqrt": "errors weighted by one over the root of the density",
    "weight_lds": "the same, with a smoothed density (LDS)",
    "weight_inverse": "errors weighted by one over the density",
    "density_batches": "samples drawn as often as weight_inverse would weigh them",
    "relevance_batches": "rare and normal ranges in equal fractions in every batch",
    "focal_r": "focal-R loss: small errors count less",
    "balanced_mse": "balanced MSE, the likelihood under an even spread",
    "ranksim": "images with near targets drawn together in the embedding",
    "over": "samples of the rare ranges repeated",
    "under": "samples of the normal range dropped",
    "smogn": "samples of the rare ranges blended or changed by noise (SMOGN, in pixels)",
    "spread_corrected": "baseline; predictions moved apart afterwards, tuned on the training part",
    "linear": "reference: one linear layer on the pixels, for as many steps",
    CONSTANT: "reference: the mean of y for every image",
}

# They can be read only: a strategy of one's own is an entry of `strategies`.
STRATEGIES, FURTHER_STRATEGIES, REGRESSION_STRATEGIES = map(
    MappingProxyType, (STRATEGIES, FURTHER_STRATEGIES, REGRESSION_STRATEGIES)
)
