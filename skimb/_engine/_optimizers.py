"""The optimiser of a network: by name, and with groups of parameters."""

import torch
from torch import nn

__all__ = ["OPTIMIZERS", "loss_parameters", "optimizer_groups", "parameter_groups"]


def parameter_groups(module, layers=None):
    """Group the parameters that train by their rate, and by whether they decay.

    Parameters
    ----------
    module : nn.Module
        Whose parameters they are.
    layers : LayerPlan, default=None
        Which layers train how fast.

    Returns
    -------
    list of (float, bool, list of Parameter)
        Share of the learning rate, the fastest first; whether they decay; the parameters.
    """
    rate_of = {} if layers is None else layers.rate_of()
    groups = {}
    for parameter in module.parameters():
        if parameter.requires_grad:
            kind = rate_of.get(id(parameter), 1.0), parameter.ndim > 1
            groups.setdefault(kind, []).append(parameter)
    return [(*kind, groups[kind]) for kind in sorted(groups, reverse=True)]


def optimizer_groups(module, loss, *, lr, layers=None):
    """Return the groups of parameters that the optimiser of a training gets.

    Parameters
    ----------
    module : nn.Module
        The network.
    loss : callable
        Its own parameters train at their own rate.
    lr : float
        The highest rate of the network.
    layers : LayerPlan, default=None
        Which layers train how fast.

    Returns
    -------
    list of dict
    """
    groups = [
        {"params": parameters, "lr": lr * rate} | ({} if decays else {"weight_decay": 0.0})
        for rate, decays, parameters in parameter_groups(module, layers)
    ]
    own = loss_parameters(loss)
    if own:
        groups.append({"params": own, "lr": loss.lr, "weight_decay": 0.0})
    return groups


def loss_parameters(loss):
    """Return the parameters that a loss wants trained with those of the network."""
    if getattr(loss, "lr", None) is None or not isinstance(loss, nn.Module):
        return []
    return [parameter for parameter in loss.parameters() if parameter.requires_grad]


OPTIMIZERS = {
    "adamw": (torch.optim.AdamW, {}),
    "adam": (torch.optim.Adam, {}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
}
