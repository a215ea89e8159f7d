"""Losses for imbalanced classification.

The law of this room: a loss is a pure function of logits and class indices that gives one value a
row; weights and reduction are applied around it, in one place, the same for every loss. Beside each
function stands a thin ``Loss``: an ``nn.Module`` that also clones and searches like a scikit-learn
estimator.
"""

from skimb.losses._adjusted import (
    BalancedSoftmaxLoss,
    LogitAdjustedLoss,
    VectorScalingLoss,
    balanced_softmax_loss,
    logit_adjusted_loss,
    vector_scaling_loss,
)
from skimb.losses._cross_entropy import CrossEntropyLoss, PolyLoss, cross_entropy, poly_loss
from skimb.losses._focusing import (
    AsymmetricLoss,
    FocalLoss,
    asymmetric_loss,
    binary_focal_loss,
    focal_loss,
)
from skimb.losses._loss import Loss
from skimb.losses._margin import LDAMLoss, ldam_loss, ldam_margins

__all__ = [
    "AsymmetricLoss",
    "BalancedSoftmaxLoss",
    "CrossEntropyLoss",
    "FocalLoss",
    "LDAMLoss",
    "LogitAdjustedLoss",
    "Loss",
    "PolyLoss",
    "VectorScalingLoss",
    "asymmetric_loss",
    "balanced_softmax_loss",
    "binary_focal_loss",
    "cross_entropy",
    "focal_loss",
    "ldam_loss",
    "ldam_margins",
    "logit_adjusted_loss",
    "poly_loss",
    "vector_scaling_loss",
]
