"""The module that a net trains: a network that standardises its pixels first."""

from typing import Any

import numpy as np
import torch
from torch import nn

from skimb._engine._mixed_batch import MixedBatch
from skimb._networks import in_memory

__all__ = ["Standardized", "mean_over_views"]


class Standardized(nn.Module):
    """A network that standardises its pixels first, on the device.

    Parameters
    ----------
    network : nn.Module
        It reads float32 images of shape ``(n, C, H, W)``.
    pixels : pair of ndarray of shape (C,), default=None
        Mean and standard deviation of each channel; None leaves the pixels as they are.
    views : callable, default=None
        A function from images to a list of batches of their shape, over which the logits of a
        prediction are averaged (test-time augmentation); None: only the images are used.
    is_contiguous : bool, default=False
        Whether the network reads images in contiguous memory instead of channels-last memory.
    """

    is_contiguous = False

    def __init__(self, network, pixels=None, views=None, *, is_contiguous=False):
        super().__init__()
        self.network = network
        self.views = views
        if is_contiguous:
            self.is_contiguous = True
        self.is_active = pixels is not None
        if pixels is not None:
            mean, sd = pixels
            # A channel that is constant, or nearly constant for float32, has no scale.
            tiny = np.finfo(np.float32).tiny
            scale = np.divide(1.0, sd, out=np.ones_like(sd), where=sd > tiny)
            self.register_buffer("mean", _per_channel(mean))
            self.register_buffer("scale", _per_channel(scale))

    def forward(self, images):
        """Return the logits of images of any dtype, or of a `MixedBatch`."""
        batch: Any = images if isinstance(images, MixedBatch) else None
        pixels: Any = images if batch is None else batch.images
        images = pixels.to(torch.float32)
        if self.is_active:
            images = (images - self.mean).mul_(self.scale)
        if self.is_contiguous:
            images = in_memory(images, torch.contiguous_format)
        if batch is not None:
            batch = batch.with_images(images)
        views = self._views(images, batch)
        if len(views) == 1:
            return self.network(images) if batch is None else self.network(images, batch.table)
        layout = torch.contiguous_format if self.is_contiguous else torch.channels_last
        images = in_memory(torch.cat(views), layout)
        if batch is None:
            logits = self.network(images)
        else:
            logits = self.network(images, batch.table.repeat(len(views), 1))
        return mean_over_views(logits, len(views[0]))

    def _views(self, images, batch):
        """Return the views of the images over which a prediction is averaged."""
        if self.training or self.views is None:
            return [images]
        if batch is None:
            return self.views(images)
        # Each image of a sample is changed by itself.
        return [batch.stacked(view) for view in self.views(batch.one_by_one())]


def mean_over_views(values, n_images):
    """Return the mean over the views of each image; the views follow each other along axis 0."""
    return values.unflatten(0, (-1, n_images)).mean(0)


def _per_channel(values):
    return torch.as_tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1)
