"""A network that was trained on other images, and reads them by its own standardisation."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skimb._pixel_values import observed_range

__all__ = ["PretrainedBackbone", "unit_scale"]


class PretrainedBackbone(nn.Module):
    """A pretrained network that turns images into embeddings, as returned by `pretrained`.

    It reads images with values in [0, 1], resizes them to the size on which it was trained, and
    standardises them by its own mean and standard deviation. Estimators copy it before they train,
    so one object can be used for many of them.

    Parameters
    ----------
    name : str
        The name or path from which it was loaded.
    network : nn.Module
        A module from float32 images (n, 3, H, W) to embeddings (n, d), or to feature maps
        (n, d, h, w), which are averaged over their pixels.
    mean, sd : tuple of float
        The mean and standard deviation by which each channel is standardised.
    image_size : tuple of int or None
        Height and width to which images are resized; None: they are not resized.
    """

    mean: torch.Tensor
    sd: torch.Tensor

    def __init__(self, name, network, *, mean, sd, image_size):
        super().__init__()
        self.name, self.network, self.image_size = name, network.eval(), image_size
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32)[:, None, None])
        self.register_buffer("sd", torch.tensor(sd, dtype=torch.float32)[:, None, None])
        with torch.no_grad():
            side = image_size or (224, 224)
            embedded = self(torch.zeros(2, 3, *side))
        if embedded.ndim != 2:
            raise ValueError(f"it gives {tuple(embedded.shape)} for two images")
        self.n_features = embedded.shape[1]

    def forward(self, images: Tensor) -> Tensor:
        """Return the embeddings ``(n, n_features)`` of images ``(n, C, H, W)``, C in 1, 3, 4."""
        # A grey image has three equal channels; the opacity of RGBA is ignored.
        images = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images[:, :3]
        if images.shape[1] != len(self.mean):
            raise ValueError(f"{self!r} reads images of 1, 3 or 4 channels. Got {images.shape[1]}.")
        if self.image_size is not None and tuple(images.shape[2:]) != self.image_size:
            images = F.interpolate(images, self.image_size, mode="bilinear", antialias=True)
        embedded = self.network((images - self.mean) / self.sd)
        return embedded.mean((2, 3)) if embedded.ndim == 4 else embedded

    def __repr__(self) -> str:
        return f"pretrained({self.name!r})"

    def __sklearn_clone__(self):
        # It is never changed, so a search need not copy its weights for every candidate.
        return self


def unit_scale(images, value_range=None):
    """Return the mean and standard deviation that rescale pixels to [0, 1].

    Parameters
    ----------
    images : ImageSource, or ndarray of shape (n, H, W, C)
        The images: uint8, or with values in [0, 1] or [0, 255] if no range is given.
    value_range : tuple of float, default=None
        The values that are mapped to 0 and 1; None: they are chosen by the values of the images.

    Returns
    -------
    mean, sd : ndarray of shape (C,), float64

    Raises
    ------
    ValueError
        If no range is given, and the values are in neither range.
    """
    n_channels = images.shape[3]
    if value_range is not None:
        low, high = value_range
        return np.full(n_channels, low), np.full(n_channels, high - low)
    top = 255.0
    if images.dtype != np.uint8:
        low, high = observed_range(images)
        if low < 0 or high > 255:
            raise ValueError(
                "A pretrained module reads pixels of [0, 1] or [0, 255], but X spans "
                f"[{low:.4g}, {high:.4g}]. Give the range that they may have: "
                "value_range=(low, high), or rescale X to one of the two."
            )
        top = 1.0 if high <= 1 else 255.0
    return np.zeros(n_channels), np.full(n_channels, top)
