"""Parameters of losses that make no sense are refused before a fit does any work."""

import inspect
import math

import numpy as np
import pytest
import torch

from skimb import losses
from skimb.losses import CrossEntropyLoss, Loss, RegressionLoss, VectorScalingLoss
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


NUMBERS = [0.5, 0.25, 0.125]  # no type rounds them
FORMS = {
    "array": np.array(NUMBERS),
    "tensor": torch.tensor(NUMBERS),
    "a gradient": torch.tensor(NUMBERS, requires_grad=True),
    "bfloat16": torch.tensor(NUMBERS, dtype=torch.bfloat16),
    "tensors": [torch.tensor(number) for number in NUMBERS],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (CrossEntropyLoss, "label_smoothing"),
        (VectorScalingLoss, "multiplier"),
        (VectorScalingLoss, "offset"),
    ],
)
def test_numbers_of_classes_may_have_any_form(cls, name, form):
    rng = np.random.RandomState(0)
    logits, target = torch.as_tensor(rng.randn(6, 3)), torch.as_tensor([0, 1, 2, 0, 1, 0])
    given, listed = (cls(**{name: value}).fit(target) for value in (FORMS[form], NUMBERS))
    assert given(logits, target) == listed(logits, target)
    assert given.adjusts_prior == listed.adjusts_prior
    X = rng.randint(0, 256, (6, 4, 4)).astype(np.uint8)
    network = CNNClassifier("linear", loss=cls(**{name: FORMS[form]}), max_epochs=1, random_state=0)
    network.fit(X, target)
    kept = getattr(network.loss_, name)
    assert not torch.is_tensor(kept), "the exporter to ONNX would trace it"
    np.testing.assert_array_equal(kept, NUMBERS)


@pytest.mark.parametrize("form", [np.float32(0.25), np.array(0.25), torch.tensor(0.25)], ids=repr)
def test_a_single_label_smoothing_is_that_of_all_classes(form):
    logits, target = torch.eye(3), torch.tensor([0, 2, 2])
    expected = CrossEntropyLoss(0.25)(logits, target)
    assert CrossEntropyLoss(form)(logits, target) == expected
