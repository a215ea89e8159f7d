"""The layers of any network in order, from the image to the head, for `freeze` and `lr_decay`."""

from torch import nn

from skimb._networks._mixed_network import MixedNetwork
from skimb._networks._probes import run_order

__all__ = ["layer_groups"]


def layer_groups(network, head, image_shape, device):
    """Split the parameters of a network into layers, from the image to the head.

    A layer is an element of an outermost container with numbered elements (``nn.Sequential``,
    ``nn.ModuleList``: a block of a residual network or of a transformer), or otherwise a module
    with parameters of its own. Normalisation layers belong to the layer before them, and modules
    without parameters (dropout) to the layer after them. The order is that of the forward pass.

    Parameters
    ----------
    network : nn.Module
        The network, in evaluation mode.
    head : nn.Linear
        Its last linear layer; this layer and all modules that run after it are the last group. So
        is the part of a `MixedNetwork` that reads a table, because it is no part of the backbone.
    image_shape : tuple of int
        ``(C, H, W)``.
    device : torch.device
        The device of the network.

    Returns
    -------
    list of list of nn.Module
        The modules of each layer, with and without parameters.
    """
    modules = dict(network.named_modules())
    owners = {
        name: module for name, module in modules.items() if list(module.parameters(recurse=False))
    }
    leaves = {name: m for name, m in modules.items() if name and not list(m.children())}
    asked = {**leaves, **owners}
    name_of = {module: name for name, module in asked.items()}
    run = run_order(network, asked.values(), image_shape, device)
    ran = list(dict.fromkeys(name_of[module] for module in run))
    order = [name for name in ran if name in owners]
    is_head = [owners[name] is head for name in order].index(True)
    if isinstance(network, MixedNetwork):
        # It runs right before the head.
        is_head -= sum(name.startswith("table.") for name in order)
    layers, head_names = {}, order[is_head:]
    blocks = {name: _block_of(network, name) for name in order[:is_head]}
    with_matrix = {blocks[name] for name in blocks if _has_matrix(owners[name])}
    for name, block in blocks.items():
        if block not in with_matrix and layers:
            block = next(reversed(layers))
        layers.setdefault(block, []).append(name)
    # Some modules are never called, only their weights are used: they belong to the module that
    # contains them.
    for name in owners:
        if name not in ran:
            around = [block for block in layers if name.startswith(f"{block}.")]
            layers[max(around, key=len) if around else next(iter(layers))].append(name)
    groups = [*layers.values(), head_names]
    group_of = {name: group for group in groups for name in group}
    following = head_names
    for name in reversed(ran):
        if name in owners:
            following = group_of[name]
        else:
            following.append(name)
    return [[modules[name] for name in group] for group in groups]


def _has_matrix(module):
    """Return whether a module has more than the scales and shifts of a normalisation layer."""
    return any(p.ndim > 1 for p in module.parameters(recurse=False))


def _block_of(network, name):
    """Return the path of the outermost numbered element with a module, or the module's own path."""
    parts, module = name.split("."), network
    for depth, part in enumerate(parts):
        if isinstance(module, nn.Sequential | nn.ModuleList):
            return ".".join(parts[: depth + 1])
        module = module.get_submodule(part)
    return name
