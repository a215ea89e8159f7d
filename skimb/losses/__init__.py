"""Losses for imbalanced classification and regression.

A loss is a pure function of logits and class indices that returns one value per sample. Weights and
reduction are applied to these values in one place, in the same way for every loss. Each function
has a thin ``Loss``: an ``nn.Module`` that can also be cloned and searched like a scikit-learn
estimator. Losses of a continuous target take predictions and values, and weights per sample.
"""

from skimb.losses._adjusted import (
    BalancedSoftmaxLoss,
    LogitAdjustedLoss,
    VectorScalingLoss,
    balanced_softmax_loss,
    logit_adjusted_loss,
    vector_scaling_loss,
)
from skimb.losses._balanced_mse import BalancedMSELoss, balanced_mse_loss
from skimb.losses._cross_entropy import CrossEntropyLoss, PolyLoss, cross_entropy, poly_loss
from skimb.losses._focusing import (
    AsymmetricLoss,
    FocalLoss,
    asymmetric_loss,
    binary_focal_loss,
    focal_loss,
)
from skimb.losses._loss import Loss, RegressionLoss
from skimb.losses._margin import LDAMLoss, ldam_loss, ldam_margins
from skimb.losses._ranksim import ranksim_loss
from skimb.losses._regression import (
    AbsoluteErrorLoss,
    FocalRLoss,
    HuberLoss,
    SquaredErrorLoss,
    absolute_error_loss,
    focal_r_loss,
    huber_loss,
    squared_error_loss,
)

__all__ = [
    "AbsoluteErrorLoss",
    "AsymmetricLoss",
    "BalancedMSELoss",
    "BalancedSoftmaxLoss",
    "CrossEntropyLoss",
    "FocalLoss",
    "FocalRLoss",
    "HuberLoss",
    "LDAMLoss",
    "LogitAdjustedLoss",
    "Loss",
    "PolyLoss",
    "RegressionLoss",
    "SquaredErrorLoss",
    "VectorScalingLoss",
    "absolute_error_loss",
    "asymmetric_loss",
    "balanced_mse_loss",
    "balanced_softmax_loss",
    "binary_focal_loss",
    "cross_entropy",
    "focal_loss",
    "focal_r_loss",
    "huber_loss",
    "ldam_loss",
    "ldam_margins",
    "logit_adjusted_loss",
    "poly_loss",
    "ranksim_loss",
    "squared_error_loss",
    "vector_scaling_loss",
]
