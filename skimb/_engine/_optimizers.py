"""The optimiser of a network, by name and with groups of parameters."""

import torch
from torch import nn

__all__ = [
    "OPTIMIZERS",
    "loss_parameters",
    "optimizer_arguments",
    "optimizer_class",
    "optimizer_groups",
    "parameter_groups",
]


def parameter_groups(module, layers=None, n_stacked=0):
    """Group the parameters that train by their learning rate and by whether they have weight decay.

    Parameters
    ----------
    module : nn.Module
        The network with the parameters.
    layers : LayerPlan, default=None
        The layers that train, and their learning rates.
    n_stacked : int, default=0
        Number of leading dimensions that index networks trained together.

    Returns
    -------
    list of (float, bool, list of Parameter)
        Fraction of the learning rate, the highest first; whether there is weight decay; the
        parameters.
    """
    rate_of = {} if layers is None else layers.rate_of()
    groups = {}
    for parameter in module.parameters():
        if parameter.requires_grad:
            kind = rate_of.get(id(parameter), 1.0), parameter.ndim > n_stacked + 1
            groups.setdefault(kind, []).append(parameter)
    return [(*kind, groups[kind]) for kind in sorted(groups, reverse=True)]


def optimizer_groups(module, loss, *, lr, layers=None, n_stacked=0):
    """Return the groups of parameters for the optimiser of a training.

    Parameters
    ----------
    module : nn.Module
        The network.
    loss : callable or None
        The loss, whose own parameters train at their own rate.
    lr : float
        The highest rate of the network.
    layers : LayerPlan, default=None
        The layers that train, and their learning rates.
    n_stacked : int, default=0
        Number of leading dimensions that index networks trained together.

    Returns
    -------
    list of dict
    """
    groups = [
        {"params": parameters, "lr": lr * rate} | ({} if decays else {"weight_decay": 0.0})
        for rate, decays, parameters in parameter_groups(module, layers, n_stacked)
    ]
    own = loss_parameters(loss)
    if own:
        groups.append({"params": own, "lr": loss.lr, "weight_decay": 0.0})
    return groups


def loss_parameters(loss):
    """Return the parameters of a loss that are trained with those of the network."""
    if getattr(loss, "lr", None) is None or not isinstance(loss, nn.Module):
        return []
    return [parameter for parameter in loss.parameters() if parameter.requires_grad]


OPTIMIZERS = {
    "adamw": (torch.optim.AdamW, {}),
    "adam": (torch.optim.Adam, {}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
}


def optimizer_class(optimizer, optimizer_params, device):
    """Return the class of an optimiser, or a function that makes it, and its options.

    Parameters
    ----------
    optimizer : str or callable
        A name of `OPTIMIZERS`, or as in `CNNClassifier`.
    optimizer_params : dict or None
        Options of the user.
    device : torch.device
        The device of the parameters.

    Returns
    -------
    (callable, dict)
    """
    options = {}
    if isinstance(optimizer, str):
        optimizer, options = OPTIMIZERS[optimizer]
        options = {**options, "fused": device.type in ("cpu", "cuda")}
    options = {**options, **(optimizer_params or {})}
    if options.get("momentum") == 0 and "nesterov" not in (optimizer_params or {}):
        # Torch refuses Nesterov's variant without momentum.
        options["nesterov"] = False
    return optimizer, options


def optimizer_arguments(optimizer, optimizer_params, device, **options):
    """Return the arguments of a skorch net that make it build an optimiser.

    Parameters
    ----------
    optimizer, optimizer_params, device
        As in `optimizer_class`.
    **options
        Further options of the optimiser, which those of the user replace.

    Returns
    -------
    dict
    """
    build, own = optimizer_class(optimizer, optimizer_params, device)
    named = {f"optimizer__{name}": value for name, value in {**options, **own}.items()}
    return {"optimizer": build, **named}
