"""The state of a trained net without its data, and the net that has this state again."""

import math
import os
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from skorch.history import History

from skimb._engine._augmentation import Views
from skimb._engine._optimizers import optimizer_class
from skimb._engine._runtime import seeded
from skimb._engine._standardized import Standardized
from skimb._engine._weighted_loss import WeightedLoss
from skimb._networks import lay_out

__all__ = ["check_tensors", "net_again", "net_state", "take_tensors"]

#: Settings of a net that are numbers, with the type, the least and the largest value of each.
SETTINGS = {
    "lr": (Real, 0, math.inf),
    "max_epochs": (Integral, 0, 2**31),
    "batch_size": (Integral, 1, 2**31),
    "seed": (Integral, 0, 2**32 - 1),
    "multiply_adds": (Real, 0, 2**63),
    "num_workers": (Integral, 0, 2**10),
    "verbose": (Integral, 0, 2**31),
}


def net_state(net):
    """Return the state of a trained net, without its target, its data and callbacks of users.

    Parameters
    ----------
    net : ImageNet
        The net.

    Returns
    -------
    dict
        Plain values, tensors, the loss, the steps of test-time augmentation, and the class of the
        optimiser with its options.
    """
    module = net.module_
    return {
        "tensors": dict(module.state_dict()),
        "frozen": [name for name, values in module.named_parameters() if not values.requires_grad],
        "is_active": bool(module.is_active),
        "is_contiguous": bool(module.is_contiguous),
        "views": None if module.views is None else list(module.views.steps),
        "loss": net.criterion_.loss,
        "history": [dict(row) for row in net.history],
        "settings": {name: getattr(net, name) for name in SETTINGS},
        "optimizer": net.optimizer,
        "options": {
            name.removeprefix("optimizer__"): value
            for name, value in vars(net).items()
            if name.startswith("optimizer__")
        },
    }


def net_again(net_class, network, state, *, target, read, device):
    """Return a net that has the state of another one.

    Parameters
    ----------
    net_class : type
        `ImageNet`, or a subclass.
    network : nn.Module
        A network of the same architecture, on the device.
    state : dict
        As `net_state` returns it.
    target : Target or None
        The meaning of targets and outputs.
    read : callable
        A function that turns X and y into a data set of the engine.
    device : torch.device
        The device of the network.

    Returns
    -------
    ImageNet

    Raises
    ------
    ValueError
        If the tensors are not those of this network.
    """
    lay_out(network, torch.contiguous_format if state["is_contiguous"] else torch.channels_last)
    views, pixels = state["views"], None
    if state["is_active"]:
        n_channels = state["tensors"]["mean"].numel()
        pixels = np.zeros(n_channels), np.ones(n_channels)
    module = Standardized(
        network,
        pixels,
        None if views is None else Views(list(views)),
        is_contiguous=bool(state["is_contiguous"]),
    ).to(device)
    take_tensors(module, state["tensors"], "the network")
    frozen = set(state["frozen"])
    unknown = frozen - {name for name, _ in module.named_parameters()}
    if unknown:
        raise ValueError(f"The file freezes parameters that the network lacks: {sorted(unknown)}.")
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name not in frozen)
    module.eval()
    settings = _checked_settings(state["settings"])
    optimizer: Any = state["optimizer"]
    options = state["options"]
    if optimizer is None:
        optimizer, options = optimizer_class("adamw", None, device)
    if "fused" in options:
        options = {**options, "fused": device.type in ("cpu", "cuda")}
    net = net_class(
        module,
        WeightedLoss(state["loss"]),
        target=target,
        dataset=read,
        predict_nonlinearity=None if target is None else target.interpret_tensor,
        train_split=None,
        callbacks=[],
        device=device,
        optimizer=optimizer,
        **{f"optimizer__{name}": value for name, value in options.items()},
        **settings,
    )
    with seeded(0, device):
        net.initialize()
    net.history = History(state["history"])
    net.drop_training()
    return net


def _checked_settings(settings):
    """Return settings of a file, with no more processes than there are processors."""
    if not isinstance(settings, dict) or set(settings) != set(SETTINGS):
        raise ValueError(f"A net has the settings {sorted(SETTINGS)}. Got {settings!r}.")
    for name, (kind, least, largest) in SETTINGS.items():
        value = settings[name]
        if not isinstance(value, kind) or not least <= value <= largest:
            raise ValueError(f"The file holds {name}={value!r} as a setting of the net.")
    return {**settings, "num_workers": min(settings["num_workers"], os.cpu_count() or 1)}


def take_tensors(module, tensors, name):
    """Load tensors into a module, whose names, shapes and types must be the same.

    Parameters
    ----------
    module : nn.Module
        The module.
    tensors : dict of str to Tensor
        As ``module.state_dict()`` returned it; values that are no tensors are states of the module
        of its own making.
    name : str
        What the module is, for errors.

    Raises
    ------
    ValueError
        If they differ.
    """
    check_tensors(module.state_dict(), tensors, name)
    try:
        module.load_state_dict(dict(tensors), strict=True)
    except RuntimeError as exc:
        raise ValueError(f"The file does not fit {name}: {exc}") from exc


def check_tensors(own, tensors, name):
    """Refuse tensors that are not those of a module.

    Parameters
    ----------
    own : dict of str to Tensor
        The tensors of the module, which may be on the device ``"meta"``.
    tensors : dict of str to Tensor
        The tensors of the file.
    name : str
        What the module is, for errors.

    Raises
    ------
    ValueError
        If they differ in names, shapes or types.
    """
    lacking, foreign = sorted(set(own) - set(tensors)), sorted(set(tensors) - set(own))
    if lacking or foreign:
        shown = [f"lacks {lacking[:3]}"] if lacking else []
        shown += [f"holds {foreign[:3]}, which it does not have"] if foreign else []
        raise ValueError(f"The file does not fit {name}: it {' and '.join(shown)}.")
    for key, wanted in own.items():
        given = tensors[key]
        if not isinstance(wanted, torch.Tensor):
            continue
        if not isinstance(given, torch.Tensor):
            raise ValueError(f"The file does not fit {name}: {key!r} is no tensor.")
        if given.shape != wanted.shape or given.dtype != wanted.dtype:
            raise ValueError(
                f"The file does not fit {name}: {key!r} is of shape {tuple(given.shape)} and type "
                f"{given.dtype}, but {tuple(wanted.shape)} and {wanted.dtype} are wanted."
            )
