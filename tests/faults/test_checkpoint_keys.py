"""No parameter that changes the result is missing from the key of a checkpoint."""

import inspect

import fits
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator
from skorch.callbacks import Callback

from skimb._engine import Checkpoint
from skimb._engine._checkpoint import NOT_IN_KEY
from skimb.neural_network import CNNClassifier, CNNRegressor, pretrained
from skimb.relevance import LabelDensity


class Wide(torch.nn.Sequential):
    """A network with an option."""

    def __init__(self, in_channels, n_outputs, width):
        inner = torch.nn.Linear(64 * in_channels, width)
        super().__init__(torch.nn.Flatten(), inner, torch.nn.Linear(width, n_outputs))


#: Parameters without an influence on the result of a first fit.
HARMLESS = {"channels", "checkpoint", "device", "num_workers", "verbose", "warm_start"}


def rare_above(y):
    """Return a relevance with rare values above 0.5."""
    return (y > 0.5).astype(float)


def rare_below(y):
    """Return a relevance with rare values below 0.5."""
    return (y < 0.5).astype(float)


class Twice(BaseEstimator):
    """A sampler that repeats the first samples."""

    def fit_resample(self, X, y):
        """Return the samples, and five of them again."""
        return np.r_[X, X[:5]], np.r_[y, y[:5]]


#: It has the embedding that `head_init` needs.
BACKBONE = pretrained(torch.nn.Conv2d(3, 2, 3))

#: With it, the order of the images of a sample matters.
JOINED = {"image_pooling": "concat"}

#: For each parameter another value, and the parameters with which it acts.
CHANGES: dict[str, tuple] = {
    "module": (fits.blocks, {}),
    "loss": ("focal", {}),
    "class_weight": ("balanced", {}),
    "max_weight": (1.2, {"class_weight": "balanced"}),
    "reweight_after": (0.5, {"class_weight": "balanced"}),
    "batch_sampling": (0.5, {}),
    "sampler": (Twice(), {}),
    "augmentation": ("mixup", {}),
    "target_prior": ("uniform", {}),
    "calibration": ("temperature", {}),
    "optimizer": ("sgd", {}),
    "lr": (2e-3, {}),
    "weight_decay": (0.0, {}),
    "lr_schedule": ("cosine", {}),
    "lr_decay": (0.5, {"module": fits.blocks}),
    "freeze": ("gradual", {"module": fits.blocks}),
    "head_init": ("class_means", {"module": BACKBONE}),
    "max_grad_norm": (2.0, {}),
    "max_epochs": (5, {}),
    "steps_per_epoch": (3, {}),
    "batch_size": (17, {}),
    "early_stopping": (True, {}),
    "validation_fraction": (0.3, {"early_stopping": True}),
    "scoring": ("f1_macro", {"early_stopping": True}),
    "n_iter_no_change": (2, {"early_stopping": True}),
    "image_shape": ((1, 4, 16), {"image_shape": (1, 8, 8)}),
    "channels": ("first", {}),
    "image_column": (["back", "front"], {"image_column": ["front", "back"], **JOINED}),
    "image_pooling": ("mean", {"image_column": ["front", "back"], **JOINED}),
    "table_width": (5, {"image_column": ["front", "back"]}),
    "table_depth": (2, {"image_column": ["front", "back"]}),
    "table_dropout": (0.5, {"image_column": ["front", "back"]}),
    "table_embedding": (3, {"image_column": ["front", "back"]}),
    "value_range": ((0, 510), {"augmentation": "flip_crop"}),
    "standardize": (None, {}),
    "module_params": ({"width": 6}, {"module": Wide, "module_params": {"width": 5}}),
    "optimizer_params": ({"betas": (0.8, 0.9)}, {}),
    "device": (torch.device("cpu"), {}),
    "precision": ("bfloat16", {}),
    "compile": (True, {}),
    "num_workers": (1, {}),
    "warm_start": (True, {}),
    "checkpoint": ("other", {}),
    "net_callbacks": ([Callback()], {}),
    "random_state": (1, {}),
    "verbose": (1, {}),
    "target_weight": ("sqrt", {}),
    "density": (LabelDensity(bins=3), {"target_weight": "inverse"}),
    "relevance": (rare_above, {"batch_sampling": "relevance", "relevance": rare_below}),
    "ranksim": (2.0, {}),
}


class Found(BaseException):
    """Raised with the key of a fit, in place of its training."""


def key_alone(monkeypatch, kind, folder, X, y, parameters):
    """Return the key of a fit whose training does not begin."""

    def found(self, net):
        raise Found(self.key)

    settings = {**fits.SETTINGS, "module": "linear", "augmentation": None, "checkpoint": folder}
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "resume", found)
        with pytest.raises(Found) as caught:
            kind(**{**settings, **parameters}).fit(X, y)
    return caught.value.args[0]


def parameters_of(kind):
    return [(kind, name) for name in inspect.signature(kind).parameters]


@pytest.mark.parametrize(
    ("kind", "name"), [*parameters_of(CNNClassifier), *parameters_of(CNNRegressor)]
)
def test_each_parameter_changes_the_key_unless_the_result_is_equal(
    kind, name, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    X, y = fits.images(48, continuous=kind is CNNRegressor)
    value, given = CHANGES[name]
    given = {name: own for name, own in given.items() if name in inspect.signature(kind).parameters}
    if kind is CNNRegressor:
        value = {"loss": "huber", "batch_sampling": "inverse", "scoring": "r2"}.get(name, value)
        given = {"target_weight": "inverse"} if name == "reweight_after" else given
    if name == "image_shape":
        X = X.reshape(len(X), -1)
    if "image_column" in given:
        kinds = np.where(np.arange(len(X)) % 3, "new", "old")
        X = pd.DataFrame({"front": [*X], "back": [*X[::-1]], "kind": kinds})
    keys = [
        key_alone(monkeypatch, kind, tmp_path / "own", X, y, parameters)
        for parameters in (given, {**given, name: value})
    ]
    if keys[0] != keys[1]:
        return
    # Such a fit goes on from the file of the other.
    assert name in HARMLESS & NOT_IN_KEY
    others = {"module": "linear", "augmentation": None, "max_epochs": 1}
    found = [
        fits.fitted(kind(**{**fits.SETTINGS, **others, **parameters}).fit(X, y), X)
        for parameters in (given, {**given, name: value})
    ]
    fits.assert_same(*found)
