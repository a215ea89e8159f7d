"""Modules of torch that a file may hold: losses, pretrained backbones, a head; and tensors."""

import copy

import numpy as np
import torch
from torch import nn

import skimb.losses
from skimb._engine import seeded, take_tensors
from skimb._networks import backbone_config, build_backbone
from skimb.losses import Loss, RegressionLoss
from skimb.neural_network._heads import ScaledLinear
from skimb.neural_network._saved_classes import full_name

__all__ = [
    "backbone_again",
    "backbone_state",
    "loss_again",
    "loss_state",
    "loss_with",
    "same_loss",
    "scaled_linear_again",
    "tensor_again",
]

#: The types of tensors that a file may hold, with those that NumPy has for them.
TENSORS = {
    "float64": "float64",
    "float32": "float32",
    "float16": "float16",
    "bfloat16": "int16",
    "int64": "int64",
    "int32": "int32",
    "int16": "int16",
    "int8": "int8",
    "uint8": "uint8",
    "bool": "bool",
}

CPU = torch.device("cpu")


def tensor_again(array, kind):
    """Return the tensor of an array."""
    if not isinstance(array, np.ndarray) or kind not in TENSORS or array.dtype != TENSORS[kind]:
        shown = getattr(array, "dtype", type(array).__name__)
        raise ValueError(f"The file holds a tensor of the type {kind!r} as {shown}.")
    tensor = torch.tensor(array)
    return tensor.view(torch.bfloat16) if kind == "bfloat16" else tensor


def same_loss(loss):
    """Return whether a loss is one of skimb's own, not of a subclass of the user's."""
    return getattr(skimb.losses, type(loss).__name__, None) is type(loss)


def loss_state(loss):
    """Return the parameters, the tensors and the other attributes of a loss of skimb."""
    parameters = loss.get_params(deep=False)
    tensors = {**dict(loss.named_buffers()), **dict(loss.named_parameters())}
    other = {
        name: value
        for name, value in vars(loss).items()
        if name not in parameters and not name.startswith("_") and name != "training"
    }
    return {
        "parameters": parameters,
        "tensors": {name: value.detach() for name, value in tensors.items()},
        "trains": [name for name, value in loss.named_parameters() if value.requires_grad],
        "other": other,
        "is_training": bool(loss.training),
    }


def loss_again(name, state):
    """Return a loss of skimb with this state."""
    wanted = {"parameters", "tensors", "trains", "other", "is_training"}
    cls = getattr(skimb.losses, str(name).rpartition(":")[2], None)
    is_loss = isinstance(cls, type) and issubclass(cls, Loss | RegressionLoss)
    if not is_loss or cls is None or full_name(cls) != name or set(state) != wanted:
        raise ValueError(f"{name!r} is no loss of skimb, or the file lacks parts of it.")
    try:
        loss = cls(**state["parameters"])
    except TypeError as exc:
        raise ValueError(f"The parameters of {cls.__name__} in the file do not fit: {exc}") from exc
    known = set(vars(loss)) - {"training"}
    for attribute, value in state["other"].items():
        if attribute not in known or attribute.startswith("_"):
            raise ValueError(f"{cls.__name__} has no attribute {attribute!r} that a file may set.")
        setattr(loss, attribute, value)
    buffers, parameters = _names(loss)
    for key, value in state["tensors"].items():
        if not isinstance(value, torch.Tensor):
            raise ValueError(f"{key!r} of {cls.__name__} is no tensor.")
        if key in buffers:
            setattr(loss, key, value)
        elif key in parameters and parameters[key].shape == value.shape:
            with torch.no_grad():
                parameters[key].copy_(value)
        else:
            raise ValueError(f"{cls.__name__} has no tensor {key!r} of shape {tuple(value.shape)}.")
    lacking = sorted(set(parameters) - set(state["tensors"]))
    if lacking:
        raise ValueError(f"The file lacks the tensors {lacking} of {cls.__name__}.")
    for key, parameter in parameters.items():
        parameter.requires_grad_(key in state["trains"])
    return loss.train(bool(state["is_training"]))


def _names(loss):
    """Return the names of the buffers of a loss, empty ones too, and its parameters by name."""
    parameters = dict(loss.named_parameters())
    filled = {name for name, _ in loss.named_buffers()}
    empty = {
        name
        for name in dir(loss)
        if name.endswith("_") and not name.startswith("_") and _is_empty(loss, name)
    }
    return filled | empty, parameters


def _is_empty(loss, name):
    return name not in vars(loss) and name not in dir(type(loss)) and getattr(loss, name) is None


def loss_with(loss, tensors):
    """Return a copy of a loss of the user's own, with the tensors that it had learned."""
    if not isinstance(loss, nn.Module):
        raise ValueError(
            f"The loss of the file has learned parameters, and the `loss` that was given is no "
            f"nn.Module: {loss!r}."
        )
    loss = copy.deepcopy(loss)
    if hasattr(loss, "reduction"):
        setattr(loss, "reduction", "none")  # noqa: B010 - torch's stubs know no str here
    own = loss.state_dict()
    if isinstance(loss, Loss) and "counts_" in tensors and "counts_" not in own:
        # A loss that has not counted the classes has no such tensor yet.
        loss.counts_ = torch.zeros_like(tensors["counts_"])
    take_tensors(loss, tensors, f"`loss`={loss!r}")
    return loss


def backbone_state(backbone):
    """Return the architecture and the tensors of a pretrained backbone."""
    return {"config": backbone_config(backbone), "tensors": dict(backbone.state_dict())}


def backbone_again(state):
    """Return the backbone of this state, which nothing is downloaded for."""
    if set(state) != {"config", "tensors"} or not isinstance(state["tensors"], dict):
        raise ValueError("The file lacks parts of a pretrained network.")
    shapes = {name: tuple(value.shape) for name, value in state["tensors"].items()}
    try:
        with seeded(0, CPU):
            backbone = build_backbone(state["config"], shapes)
    except (ImportError, ValueError) as exc:
        raise ValueError(
            f"The pretrained network of the file cannot be built here: {exc} Give it: load(path, "
            "module=pretrained(...))."
        ) from exc
    take_tensors(backbone, state["tensors"], f"the pretrained network {backbone!r}")
    return backbone


def scaled_linear_again(state):
    """Return a `ScaledLinear` of this state."""
    tensors = state.get("tensors")
    is_dict = isinstance(tensors, dict) and set(state) == {"tensors"}
    if not is_dict or set(tensors) != {"weight", "bias", "scale"}:
        raise ValueError("The file lacks parts of a head with learned scales.")
    weight, bias = tensors["weight"], tensors["bias"]
    if weight.ndim != 2 or bias.shape != weight.shape[:1]:
        raise ValueError(f"A head has weights of shape {tuple(weight.shape)}.")
    head = ScaledLinear(weight.numpy(), bias.numpy())
    take_tensors(head, tensors, "a head with learned scales")
    return head
