"""Losses for imbalanced classification.

The law of this room: a loss is a pure function of logits and class indices that gives one value a
row; weights and reduction are applied around it, in one place, the same for every loss. Beside each
function stands a thin ``Loss``: an ``nn.Module`` that also clones and searches like a scikit-learn
estimator.
"""

from skimb.losses._classification import (
    CrossEntropyLoss,
    FocalLoss,
    cross_entropy,
    focal_loss,
)
from skimb.losses._loss import Loss

__all__ = ["CrossEntropyLoss", "FocalLoss", "Loss", "cross_entropy", "focal_loss"]
