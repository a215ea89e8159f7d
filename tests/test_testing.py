"""check_loss: every loss of skimb passes, and each broken promise is found."""

import itertools

import imblearn.over_sampling
import imblearn.under_sampling
import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn
from torch.nn import functional as F

from skimb import losses, neural_network, over_sampling, under_sampling
from skimb.losses import (
    AbsoluteErrorLoss,
    AsymmetricLoss,
    BalancedMSELoss,
    BalancedSoftmaxLoss,
    CrossEntropyLoss,
    FocalLoss,
    FocalRLoss,
    HuberLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    Loss,
    PolyLoss,
    RegressionLoss,
    SquaredErrorLoss,
    VectorScalingLoss,
)
from skimb.neural_network import DeepSMOTE
from skimb.over_sampling import (
    SMOGN,
    SMOTE,
    SMOTER,
    AugmentedOverSampler,
    GaussianNoiseOverSampler,
    ImageJitter,
    RandomOverSampler,
    RelevanceOverSampler,
    RelevanceSampler,
)
from skimb.testing import check_loss, check_resampler
from skimb.under_sampling import (
    ClusterUnderSampler,
    EmbeddedSampler,
    RandomUnderSampler,
    RelevanceUnderSampler,
)

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
    SquaredErrorLoss(),
    AbsoluteErrorLoss(),
    HuberLoss(delta=0.3),
    FocalRLoss(power=2, gamma=0.5),
    BalancedMSELoss(),
    BalancedMSELoss(form="binned", noise=0.4),
    BalancedMSELoss(form="mixture", n_components=2),
]


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("loss", OURS, ids=repr)
def test_every_loss_keeps_its_promises(loss, n_classes):
    check_loss(loss, n_classes=n_classes)


def test_no_loss_is_forgotten():
    classes = {item for item in vars(losses).values() if isinstance(item, type)} - {
        Loss,
        RegressionLoss,
    }
    assert classes == {type(loss) for loss in OURS}


@pytest.mark.slow
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
        (lambda z, y: F.cross_entropy(z, y), "one value for each sample"),
        (lambda z, y: F.cross_entropy(z, y) * torch.ones(len(y)), "alone as in a batch"),
        (lambda z, y: own(z, y) * torch.arange(len(y)), "alone as in a batch"),
        (lambda z, y: F.cross_entropy(z, y.float()), "It failed: "),
        (noisy, "must not change its input"),
        (in_place, "must not change its input"),
        (lambda z, y: own(z, y).detach() * z.sum(1), "as finite differences show it"),
        (lambda z, y: -torch.log(torch.softmax(z, 1).gather(1, y[:, None])[:, 0]), "finite at"),
        (lambda z, y: (1 - torch.softmax(z, 1)[range(len(y)), y]) ** 0.5, "finite at"),
        (Forgets(), "It must be cloneable"),
        (TakesAnyTarget(), "must raise a ValueError"),
        (LosesLogits(), "`effective_logits` must map"),
        (NotItself(), "must return the loss itself"),
    ],
)
def test_a_broken_promise_is_found(loss, promise):
    with pytest.raises(AssertionError, match=promise):
        check_loss(loss)


# ------------------------------------------------------------------------- resamplers

SAMPLERS = [
    RandomOverSampler(),
    RandomOverSampler(lazy=True),
    RandomUnderSampler(),
    RandomUnderSampler(replacement=True, lazy=True),
    SMOTE(),
    SMOTE(k_neighbors=2, lazy=True),
    SMOTE(embedder=PCA(3)),
    AugmentedOverSampler(),
    AugmentedOverSampler(augmentation=ImageJitter(flip=False), lazy=True),
    ClusterUnderSampler(),
    ClusterUnderSampler(n_clusters=1, embedder=PCA(2)),
    EmbeddedSampler(imblearn.under_sampling.TomekLinks()),
    EmbeddedSampler(imblearn.under_sampling.OneSidedSelection(), embedder=PCA(4)),
    EmbeddedSampler(imblearn.under_sampling.EditedNearestNeighbours(kind_sel="mode")),
    EmbeddedSampler(imblearn.under_sampling.NearMiss(), lazy=True),
    EmbeddedSampler(imblearn.under_sampling.InstanceHardnessThreshold()),
    EmbeddedSampler(imblearn.over_sampling.BorderlineSMOTE()),
    EmbeddedSampler(imblearn.over_sampling.ADASYN()),
    DeepSMOTE(max_epochs=1, n_latent=8),
    DeepSMOTE(max_epochs=1, n_latent=8, lazy=True),
    RelevanceOverSampler(),
    RelevanceOverSampler(sampling_strategy=[3.0, 1.5], lazy=True),
    RelevanceSampler(),
    RelevanceSampler(over=2.0, under=0.0, lazy=True),
    RelevanceUnderSampler(),
    RelevanceUnderSampler(sampling_strategy="extreme", threshold=0.9, lazy=True),
    SMOTER(),
    SMOTER(sampling_strategy=2.5, k_neighbors=2, embedder=PCA(3), lazy=True),
    SMOTER(sampling_strategy=[0.5, 1.0, 3.0], metric="heom"),
    SMOGN(),
    SMOGN(sampling_strategy="extreme", perturbation=0.5, lazy=True),
    GaussianNoiseOverSampler(),
    GaussianNoiseOverSampler(sampling_strategy="extreme", lazy=True),
]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_every_resampler_keeps_its_promises(sampler):
    check_resampler(sampler)


def test_no_resampler_is_forgotten():
    rooms = (neural_network, over_sampling, under_sampling)
    classes = {
        item
        for room in rooms
        for item in vars(room).values()
        if isinstance(item, type) and hasattr(item, "fit_resample")
    }
    assert classes == {type(sampler) for sampler in SAMPLERS}


CALLS = itertools.count(1)


class Broken(RandomOverSampler):
    """A resampler that keeps all promises but one, which `fault` names."""

    def __init__(self, fault="", *, sampling_strategy="auto", random_state=None, lazy=False):
        super().__init__(sampling_strategy=sampling_strategy, random_state=random_state, lazy=lazy)
        self.fault = fault

    def fit_resample(self, X, y, **params):
        if self.fault == "length":
            y = np.resize(y, len(X))
        rows, labels = super().fit_resample(X, y)
        match self.fault:
            case "generator":
                np.random.rand()
            case "input":
                X[0] = 7
            case "dtype":
                rows = rows.astype(np.float16)
            case "labels":
                labels = (labels == "few").astype(int)
            case "seed":
                rows = rows + np.array(next(CALLS), dtype=rows.dtype)
            case "counts":
                rows, labels = rows[:-1], labels[:-1]
                self.sample_indices_ = self.sample_indices_[:-1]
            case "rows":
                rows = rows.copy()
                rows[-1] = 1
            case "indices":
                self.sample_indices_ = self.sample_indices_[::-1]
            case "parents":
                self.parents_, self.gaps_ = np.zeros((24, 2), int), np.zeros(24)
            case "classes":
                made, many = self.sample_indices_[60:], np.flatnonzero(y == "many")[:24]
                self.parents_, self.gaps_ = np.stack([made, many], axis=1), np.zeros(24)
            case "gaps":
                made = self.sample_indices_[60:]
                self.parents_, self.gaps_ = np.stack([made, made], axis=1), np.full(24, 2.0)
        return rows, labels


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("generator", "global generators"),
        ("input", "must not change its input"),
        ("dtype", "samples of shape"),
        ("labels", "labels of the same type"),
        ("seed", "Equal seeds"),
        ("counts", "requires 42 samples of 'few'; it returned 41"),
        ("rows", "to the bit"),
        ("indices", "a sample of X with the same class"),
        ("parents", "must end with the first parent"),
        ("classes", "The originals must come first"),
        ("gaps", r"in \[0, 1\]"),
        ("length", "Labels of another length"),
    ],
)
def test_every_broken_promise_of_a_resampler_is_found(fault, message):
    check_resampler(Broken())
    with pytest.raises(AssertionError, match=message):
        check_resampler(Broken(fault))


class BrokenOfValues(SMOTER):
    """A resampler of continuous targets that keeps all promises but one, which `fault` names."""

    def __init__(self, fault="", *, random_state=None):
        super().__init__(random_state=random_state)
        self.fault = fault

    def fit_resample(self, X, y):
        rows, values = super().fit_resample(X, y)
        middle = np.flatnonzero(np.ptp(self.parents_, axis=1) > 0)[0]
        below = len(values) - len(self.parents_)
        match self.fault:
            case "generator":
                np.random.rand()
            case "input":
                y[0] = 7
            case "dtype":
                rows = rows.astype(np.float16)
            case "length":
                values = values[:-1]
            case "targets":
                values = values.astype(np.float32)
            case "infinite":
                values[-1] = np.inf
            case "integers":
                values = values.astype(y.dtype)
            case "seed":
                values[-1] += next(CALLS)
            case "rows":
                rows[0] += 1
            case "indices":
                self.sample_indices_ = self.sample_indices_[::-1]
            case "first":
                self.parents_ = self.parents_[:, ::-1]
            case "gaps":
                self.gaps_ = self.gaps_ - 1
            case "blend":
                values[below + middle] += 0.1
            case "counts":
                self.bumps_.loc[0, "after"] += 1
            case "bumps":
                farthest = np.argmax(y) if y[self.parents_[middle, 0]] < 0 else np.argmin(y)
                self.parents_[middle, 1] = farthest
                self.gaps_[middle], values[below + middle] = 0, y[self.parents_[middle, 0]]
        return rows, values


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("generator", "global generators"),
        ("input", "must not change its input"),
        ("dtype", "samples of shape"),
        ("length", "a label for each"),
        ("targets", "finite targets of the same dtype as y, float64"),
        ("infinite", "finite targets"),
        ("integers", "become float64 if some are synthetic. They became int32"),
        ("seed", "Equal seeds"),
        ("rows", "to the bit"),
        ("indices", "a sample of X with the same class or target"),
        ("first", "must end with the first parent"),
        ("gaps", r"in \[0, 1\]"),
        ("blend", "must be interpolated between its parents"),
        ("counts", r"requires 31 samples of y from -27.2899 to -\S+; it returned 30"),
        ("bumps", "must be in one range"),
    ],
)
def test_every_broken_promise_of_a_resampler_of_values_is_found(fault, message):
    check_resampler(BrokenOfValues())
    with pytest.raises(AssertionError, match=message):
        check_resampler(BrokenOfValues(fault))
