"""The layout of weights and images in memory, on which the speed of convolutions depends."""

import torch

__all__ = ["drawn_for", "in_memory", "lay_out"]


def lay_out(net, memory_format):
    """Set the layout of the weights of convolutions, which is also the layout of their outputs.

    Parameters
    ----------
    net : nn.Module
        The network.
    memory_format : torch.memory_format
        `torch.channels_last` or `torch.contiguous_format`.
    """
    for parameter in net.parameters():
        if parameter.ndim == 4:
            parameter.data = in_memory(parameter.data, memory_format)


def drawn_for(device):
    """Return where the first weights of a network are drawn.

    On the host, whatever torch's default device, so that a seed gives the same weights everywhere.

    Parameters
    ----------
    device : torch.device
        The device of the network; on ``"meta"``, weights have no values.

    Returns
    -------
    torch.device
        It is used in a ``with`` statement.
    """
    return device if device.type == "meta" else torch.device("cpu")


def in_memory(images, memory_format):
    """Return a tensor (n, C, H, W) in this layout.

    An axis of length one may have any stride, and layers depend on strides: a contiguous tensor
    gets the usual strides, by a copy.
    """
    if memory_format == torch.contiguous_format:
        return images.clone(memory_format=memory_format)
    return images.contiguous(memory_format=memory_format)
