"""Parameters of losses that make no sense are refused before a fit does any work."""

import inspect
import math

import numpy as np
import pytest

from skimb import losses
from skimb.losses import Loss, RegressionLoss
from skimb.neural_network import CNNClassifier, CNNRegressor

CLASSES = [
    item
    for item in (getattr(losses, name) for name in losses.__all__)
    if inspect.isclass(item)
    and issubclass(item, Loss | RegressionLoss)
    and item not in (Loss, RegressionLoss)
]
PARAMETERS = [
    (cls, name)
    for cls in CLASSES
    for name in inspect.signature(cls).parameters
    if name != "reduction"
]
#: Values that no parameter of a loss may have.
SENSELESS = ["no such word", math.nan, math.inf, object()]


def fit_with(loss):
    """Fit a network on images that cannot be read: whatever is refused here is refused before."""
    kind = CNNRegressor if isinstance(loss, RegressionLoss) else CNNClassifier
    kind(loss=loss).fit(["missing.png", "missing too.png"], np.array([0, 1]))


def test_there_are_losses():
    assert len(CLASSES) >= 12
    assert len(PARAMETERS) >= 19


@pytest.mark.parametrize(
    ("cls", "name"), PARAMETERS, ids=[f"{cls.__name__}-{name}" for cls, name in PARAMETERS]
)
@pytest.mark.parametrize("value", SENSELESS, ids=["word", "nan", "infinite", "object"])
def test_a_value_that_makes_no_sense_is_refused_before_images_are_read(cls, name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of {cls.__name__} must be"):
        fit_with(cls(**{name: value}))


@pytest.mark.parametrize(
    ("cls", "name", "value"),
    [
        (losses.FocalLoss, "gamma", -1),
        (losses.FocalLoss, "gamma", None),
        (losses.PolyLoss, "epsilon", -1),
        (losses.AsymmetricLoss, "label_smoothing", 1.5),
        (losses.LDAMLoss, "scale", 0),
        (losses.LDAMLoss, "max_margin", -0.5),
        (losses.LogitAdjustedLoss, "tau", None),
        (losses.HuberLoss, "delta", 0),
        (losses.FocalRLoss, "power", 3),
        (losses.BalancedMSELoss, "n_components", 0),
    ],
)
def test_the_bounds_of_a_parameter_are_those_of_its_formula(cls, name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of {cls.__name__} must be"):
        fit_with(cls(**{name: value}))


@pytest.mark.parametrize("cls", CLASSES)
def test_the_defaults_of_a_loss_are_allowed(cls):
    with pytest.raises(ValueError, match=r"missing\.png"):
        fit_with(cls())
