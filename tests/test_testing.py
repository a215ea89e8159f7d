"""check_loss: every loss of skimb passes, and each broken promise is found."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skimb import losses
from skimb.losses import (
    AsymmetricLoss,
    BalancedSoftmaxLoss,
    CrossEntropyLoss,
    FocalLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    Loss,
    PolyLoss,
    VectorScalingLoss,
)
from skimb.testing import check_loss

OURS = [
    AsymmetricLoss(),
    AsymmetricLoss(gamma_pos=0.5, gamma_neg=0.0),
    BalancedSoftmaxLoss(),
    CrossEntropyLoss(),
    CrossEntropyLoss(label_smoothing=0.2),
    FocalLoss(),
    FocalLoss(gamma=0.0),
    FocalLoss(gamma=0.3),
    FocalLoss(gamma=7.0),
    LDAMLoss(),
    LogitAdjustedLoss(),
    LogitAdjustedLoss(tau=2.5),
    PolyLoss(),
    PolyLoss(epsilon=-0.9),
    VectorScalingLoss(),
]


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("loss", OURS, ids=repr)
def test_every_loss_keeps_its_promises(loss, n_classes):
    check_loss(loss, n_classes=n_classes)


def test_no_loss_is_forgotten():
    classes = {item for item in vars(losses).values() if isinstance(item, type)} - {Loss}
    assert classes == {type(loss) for loss in OURS}


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(),
        nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0])),
        lambda z, y: F.multi_margin_loss(z, y, reduction="none"),
    ],
)
def test_other_peoples_losses_pass_too(loss):
    check_loss(loss)
    assert getattr(loss, "reduction", "mean") == "mean"


def own(logits, target):
    return logits.gather(1, target[:, None]).squeeze(1)


class Forgets(Loss):
    def __init__(self, gamma=1.0, *, reduction="mean"):
        super().__init__()
        self.gamma = 2 * gamma
        self.reduction = reduction


class TakesAnyTarget(FocalLoss):
    def forward(self, logits, target):
        target = target.reshape(-1).long()
        values = -F.log_softmax(logits[: len(target)], dim=1).gather(1, target[:, None])[:, 0]
        return values if self.reduction == "none" else getattr(values, self.reduction)()


class LosesLogits(CrossEntropyLoss):
    def effective_logits(self, logits):
        return torch.log(torch.softmax(logits, dim=1))


class NotItself(CrossEntropyLoss):
    def fit(self, y):
        return None


def noisy(logits, target):
    return own(logits, target) + torch.rand(len(target))


def in_place(logits, target):
    with torch.no_grad():
        logits += 1
    return own(logits, target)


@pytest.mark.parametrize(
    ("loss", "promise"),
    [
        (lambda z, y: F.cross_entropy(z, y), "one value a row"),
        (lambda z, y: F.cross_entropy(z, y) * torch.ones(len(y)), "alone as among others"),
        (lambda z, y: own(z, y) * torch.arange(len(y)), "alone as among others"),
        (lambda z, y: F.cross_entropy(z, y.float()), "It failed: "),
        (noisy, "leave its input"),
        (in_place, "leave its input"),
        (lambda z, y: own(z, y).detach() * z.sum(1), "by finite differences"),
        (lambda z, y: -torch.log(torch.softmax(z, 1).gather(1, y[:, None])[:, 0]), "finite at"),
        (lambda z, y: (1 - torch.softmax(z, 1)[range(len(y)), y]) ** 0.5, "finite at"),
        (Forgets(), "It must clone"),
        (TakesAnyTarget(), "must be a ValueError"),
        (LosesLogits(), "`effective_logits` must map"),
        (NotItself(), "must return the loss itself"),
    ],
)
def test_a_broken_promise_is_found(loss, promise):
    with pytest.raises(AssertionError, match=promise):
        check_loss(loss)
