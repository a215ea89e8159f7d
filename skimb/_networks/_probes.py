"""Probes of a network: how much work it takes, which layers run, and in which order."""

import threading
from contextlib import contextmanager

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from skimb._process import exclusive

__all__ = [
    "batch_norms",
    "count_multiply_adds",
    "hidden_values",
    "last_linear",
    "named_batch_norms",
    "run_order",
]


def count_multiply_adds(net, image_shape, device):
    """Count the multiply-adds of the forward pass of one image.

    Parameters
    ----------
    net : nn.Module
        The network, in training mode; its running statistics are not changed.
    image_shape : tuple of int
        ``(C, H, W)``.
    device : torch.device
        The device of the network.

    Returns
    -------
    int
    """
    net.eval()
    with exclusive(), torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(torch.zeros(1, *image_shape, device=device, dtype=torch.float32))
    net.train()
    return counter.get_total_flops() // 2


def run_order(net, modules, image_shape, device):
    """Return the modules that run when a network reads an image, in order and with repetitions.

    Parameters
    ----------
    net : nn.Module
        The network, in evaluation mode.
    modules : iterable of nn.Module
        The modules to look for.
    image_shape : tuple of int
        ``(C, H, W)``.
    device : torch.device
        The device of the network.

    Returns
    -------
    list of nn.Module
    """
    run, thread = [], threading.get_ident()

    def note(module, inputs):
        # Clones of an estimator may share the network, so calls of other threads are ignored.
        if threading.get_ident() == thread:
            run.append(module)

    handles = [module.register_forward_pre_hook(note) for module in modules]
    try:
        # A network may draw from torch's generator, which another thread may have seeded.
        with exclusive(), torch.no_grad():
            net(torch.zeros(1, *image_shape, device=device, dtype=torch.float32))
    finally:
        for handle in handles:
            handle.remove()
    return run


def last_linear(net, image_shape, device):
    """Find the linear layer that a network runs last: the head, whose input is the embedding.

    Parameters
    ----------
    net : nn.Module
        The network, in evaluation mode.
    image_shape : tuple of int
        ``(C, H, W)``.
    device : torch.device
        The device of the network.

    Returns
    -------
    nn.Linear

    Raises
    ------
    ValueError
        If there is no linear layer.
    """
    linear = [layer for layer in net.modules() if isinstance(layer, nn.Linear)]
    run = run_order(net, linear, image_shape, device)
    if not run:
        raise ValueError(
            f"{type(net).__name__} runs no nn.Linear layer, so it has no penultimate layer for "
            "embeddings. Let the network end in one."
        )
    return run[-1]


@contextmanager
def hidden_values(layer, *, inputs):
    """Keep the input or the output of a layer in the last forward pass.

    Parameters
    ----------
    layer : nn.Module
        Part of a network.
    inputs : bool
        Whether to keep its input. Otherwise its output is kept, with feature maps averaged over
        their pixels.

    Yields
    ------
    list
        Within the block, a list that is empty or holds one Tensor of shape (n, d), float32.
    """
    last, thread = [], threading.get_ident()

    def keep(layer, read, given=None):
        # Calls of the same network in other threads are ignored.
        if threading.get_ident() != thread:
            return
        # A layer may run more than once in a forward pass: its last input counts.
        values = read[0] if inputs else given
        if not isinstance(values, torch.Tensor):
            raise ValueError(
                f"The layer {type(layer).__name__} gives {type(values).__name__}, not a tensor. "
                "Name a layer within it."
            )
        if not inputs and values.ndim == 4:
            values = values.mean((2, 3))
        last[:] = [values.flatten(1).float()]

    register = layer.register_forward_pre_hook if inputs else layer.register_forward_hook
    handle = register(keep)
    try:
        yield last
    finally:
        handle.remove()


def batch_norms(module):
    """Return the batch norms of a module that track statistics."""
    return list(named_batch_norms(module).values())


def named_batch_norms(module):
    """Return the batch norms of a module that track statistics, by their names."""
    return {
        name: layer
        for name, layer in module.named_modules()
        # Torch has no public name for the common base class of its batch norms.
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.track_running_stats
    }
