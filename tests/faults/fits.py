"""Fits for the tests of faults: toy data, configurations of every part with state, stopped fits."""

import re

import numpy as np
import pandas as pd
import torch
from imblearn.over_sampling import SMOTE, RandomOverSampler
from PIL import Image
from skorch.callbacks import Callback, EarlyStopping, EpochScoring, LRScheduler
from torch import nn
from torch.optim.lr_scheduler import CyclicLR, ReduceLROnPlateau, StepLR

from skimb._engine import Checkpoint
from skimb.losses import BalancedMSELoss, LogitAdjustedLoss
from skimb.neural_network import CNNClassifier, CNNRegressor, Mixup

SETTINGS = {"max_epochs": 4, "batch_size": 16, "random_state": 0, "device": "cpu"}


class Death(BaseException):
    """Raised in place of the signal that ends a process."""


class NoisyImages:
    """A step of the augmentation that draws from a generator of its own, and counts its calls."""

    def __init__(self):
        self.rng = np.random.RandomState(7)
        self.n_calls = 0

    def __call__(self, images):
        self.n_calls += 1
        noise = self.rng.normal(0, 0.02 / self.n_calls, size=images.shape)
        return images + torch.from_numpy(noise).float()


class Counting(nn.Module):
    """A network whose dropout grows with the number of its calls, and that has a running buffer."""

    def __init__(self, in_channels, n_outputs):
        super().__init__()
        self.first = nn.Conv2d(in_channels, 4, 3, padding=1)
        self.last = nn.LazyLinear(n_outputs)
        self.register_buffer("mean_", torch.zeros(4), persistent=False)
        self.n_calls = 0

    def forward(self, images):
        hidden = self.first(images).relu()
        if self.training:
            self.n_calls += 1
            self.mean_ = 0.9 * self.mean_ + 0.1 * hidden.detach().mean((0, 2, 3))
        hidden = hidden - self.mean_[:, None, None]
        hidden = nn.functional.dropout(hidden, min(0.01 * self.n_calls, 0.5), self.training)
        return self.last(hidden.flatten(1))


class Best(Callback):
    """A callback of a user with state in plain attributes."""

    def initialize(self):
        """Forget all epochs."""
        self.losses_ = []
        return self

    def on_epoch_end(self, net, **kwargs):
        """Slow the optimiser down where the loss rose."""
        self.losses_.append(net.history[-1, "train_loss"])
        if len(self.losses_) > 1 and self.losses_[-1] > min(self.losses_[:-1]):
            for group in net.optimizer_.param_groups:
                group["lr"] *= 0.5


def blocks(in_channels, n_outputs):
    """Return a small network of several layers with batch norms."""
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(in_channels, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()),
        nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()),
        nn.Dropout(0.2),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64, n_outputs),
    )


def noisy_augmentation():
    """Return a new step with state."""
    return [NoisyImages(), Mixup()]


def momentum(params, lr, weight_decay):
    """Return an optimiser of the user's own."""
    return torch.optim.NAdam(params, lr=lr, weight_decay=weight_decay)


def cyclic(optimizer):
    """Return a schedule of the user's own."""
    return CyclicLR(optimizer, base_lr=1e-4, max_lr=1e-3, step_size_up=2, cycle_momentum=False)


def plateau(optimizer):
    """Return a schedule that follows the loss."""
    return ReduceLROnPlateau(optimizer, patience=0)


def step(optimizer):
    """Return a schedule that counts epochs."""
    return StepLR(optimizer, step_size=1, gamma=0.7)


#: Configurations of the classifier, each with at least one part that has state.
CLASSIFIERS = {
    "default": {},
    "plain": {"augmentation": None, "lr_schedule": "constant", "max_grad_norm": None},
    "sgd cosine": {"optimizer": "sgd", "lr_schedule": "cosine", "augmentation": "flip_crop"},
    "columns": {"image_column": ["front", "back"], "table_dropout": 0.2, "augmentation": "mixup"},
    "mixup": {"augmentation": ["shift_crop", "mixup"]},
    "own augmentation": {"augmentation": noisy_augmentation},
    "over-sampled": {"sampler": RandomOverSampler()},
    "SMOTE": {"sampler": SMOTE(k_neighbors=2), "augmentation": "remix"},
    "balanced": {"batch_sampling": "balanced", "target_prior": "train"},
    "progressive": {"batch_sampling": "progressive", "steps_per_epoch": 5},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 1, "max_epochs": 30, "lr": 0.03},
    "scored": {"early_stopping": True, "scoring": "f1_macro", "lr_schedule": "cosine"},
    "refit": {"early_stopping": "refit", "class_weight": "balanced"},
    "deferred": {"loss": "ldam", "class_weight": "balanced", "reweight_after": 0.5},
    "deferred and stopped": {
        "loss": LogitAdjustedLoss(),
        "reweight_after": 0.5,
        "early_stopping": True,
    },
    "calibrated": {"calibration": "temperature", "class_weight": "balanced"},
    "resnet": {"module": "resnet", "max_epochs": 3},
    "batch norms": {"module": blocks, "augmentation": "flip_crop"},
    "batch norms stopped": {"module": blocks, "early_stopping": True, "lr_schedule": "plateau"},
    "gradual": {"module": blocks, "freeze": "gradual", "max_epochs": 6},
    "slow layers": {"lr_decay": 0.7, "module": "simple_cnn"},
    "own network": {"module": Counting},
    "own optimiser": {"optimizer": momentum, "lr_schedule": cyclic},
    "own plateau": {"lr_schedule": plateau, "early_stopping": True},
    "own callbacks": {
        "net_callbacks": lambda: [Best(), EpochScoring("accuracy", name="train_accuracy")],
        "lr_schedule": "constant",
        "early_stopping": True,
    },
    "callbacks of skorch": {
        "net_callbacks": lambda: [
            EarlyStopping(monitor="valid_loss", patience=1, load_best=True),
            LRScheduler(policy=StepLR, step_size=1, gamma=0.7),
        ],
        "lr_schedule": "constant",
        "early_stopping": True,
        "max_epochs": 20,
        "lr": 0.05,
    },
}
REGRESSORS = {
    "regression": {"target_weight": "sqrt", "batch_sampling": "inverse"},
    "plateau": {"lr_schedule": "plateau", "max_epochs": 5, "lr": 0.05},
    "steps": {"lr_schedule": step, "augmentation": "cutmix"},
    "balanced error": {"loss": "balanced_mse"},
    "balanced error stopped": {
        "loss": BalancedMSELoss(form="binned"),
        "early_stopping": True,
        "max_epochs": 6,
    },
    "RankSim": {"ranksim": 3.0, "target_weight": "lds", "reweight_after": 0.5},
}


def images(n_samples=72, *, continuous=False):
    """Return small images of two or three classes, or with a continuous target."""
    rng = np.random.RandomState(3)
    y = np.arange(n_samples) % 6 // 4
    X = rng.randint(0, 200, size=(n_samples, 8, 8))
    X[np.arange(n_samples), 2 + 3 * y] += 50
    if continuous:
        return X.astype(np.uint8), y + rng.rand(n_samples)
    return X.astype(np.uint8), np.array(["often", "rare"])[y]


def data_of(name):
    """Return the samples of a configuration: images, or a frame of two images and a category."""
    X, y = images(continuous=name in REGRESSORS)
    if name == "columns":
        kinds = np.where(np.arange(len(X)) % 5, "new", "old")
        X = pd.DataFrame({"front": [*X], "back": [*X[::-1]], "kind": kinds})
    return X, y


def files(folder):
    """Return paths of images, and labels."""
    X, y = images(48)
    folder.mkdir()
    for number, image in enumerate(X):
        Image.fromarray(image).save(folder / f"{number:02d}.png")
    return [str(path) for path in sorted(folder.iterdir())], y


def estimator(name, **others):
    """Return the unfitted estimator of a configuration."""
    kind = CNNRegressor if name in REGRESSORS else CNNClassifier
    chosen = (REGRESSORS | CLASSIFIERS)[name]
    # Parts with state are made for each fit.
    fresh = ("augmentation", "net_callbacks")
    chosen = {
        key: value() if key in fresh and callable(value) else value for key, value in chosen.items()
    }
    return kind(**{**SETTINGS, **chosen, **others})


def die_after(monkeypatch, n_writes):
    """Let the next fit die after it has written a number of checkpoints, the first included."""
    write, left = Checkpoint.write, [n_writes]

    def dying(self, net, *ends):
        write(self, net, *ends)
        left[0] -= 1
        if not left[0]:
            raise Death

    monkeypatch.setattr(Checkpoint, "write", dying)


def fitted(one, X):
    """Return all that a fit has found, without the seconds."""
    history = [{k: v for k, v in row.items() if k != "seconds"} for row in one.history_]
    predict = one.predict_log_proba if hasattr(one, "predict_log_proba") else one.predict
    return {
        "history": history,
        "weights": {k: v.cpu().numpy() for k, v in one.module_.state_dict().items()},
        "predicted": predict(X),
        "held": one.validation_indices_,
        "temperature": getattr(one, "temperature_", None),
        "noise": getattr(one.loss_, "noise_", None),
        "names": re.sub("0x[0-9a-f]+", "", repr(one.loss_)),
    }


def assert_same(one, other):
    """Compare the results of `fitted`, to the bit."""
    np.testing.assert_equal(one, other)
