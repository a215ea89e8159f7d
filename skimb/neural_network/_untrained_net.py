"""A net around a network that is used as it is, and not trained."""

import torch
from torch import nn

from skimb._engine import ImageNet, Standardized, WeightedLoss
from skimb._networks import count_multiply_adds, lay_out

__all__ = ["untrained_net"]


def untrained_net(network, statistics, *, image_shape, device, dataset, is_contiguous=False):
    """Return a net for predictions and embeddings, without anything that a training needs.

    Parameters
    ----------
    network : nn.Module
        The network, on the device.
    statistics : pair of ndarray, or None
        Mean and standard deviation of each channel.
    image_shape : tuple of int
        ``(C, H, W)``.
    device : torch.device
        The device.
    dataset : callable
        A function that turns X into a data set of the engine.
    is_contiguous : bool, default=False
        Whether the network needs contiguous memory.

    Returns
    -------
    ImageNet
    """
    # Before the layout changes: some networks cannot read channels-last memory.
    multiply_adds = count_multiply_adds(network, image_shape, device)
    lay_out(network, torch.contiguous_format if is_contiguous else torch.channels_last)
    net = ImageNet(
        Standardized(network, statistics, is_contiguous=is_contiguous).to(device),
        WeightedLoss(nn.Identity()),
        multiply_adds=multiply_adds,
        dataset=dataset,
        predict_nonlinearity=None,
        train_split=None,
        callbacks=[],
        device=device,
        verbose=0,
    ).initialize()
    # Its references to the network would be pickled without regard to the device.
    net.drop_training()
    return net
