"""An augmentation that turns, scales, shifts and brightens images."""

import math
from numbers import Real

import torch
from sklearn.base import BaseEstimator
from torch import Tensor
from torch.nn import functional as F

from skimb._params import Interval, check_parameters

__all__ = ["Jitter"]


class Jitter(BaseEstimator):
    """Turn, scale, shift and brighten images at random.

    Each image gets numbers of its own. Pixels between others are interpolated, and those from
    beyond the edge are reflected. Left and right stay as they are. Images of a single line or
    column, such as the rows of a table, are only brightened.

    Parameters
    ----------
    rotation : float, default=10.0
        The largest angle, in degrees.
    scale : float, default=0.1
        The largest change of size, as a fraction, in [0, 1).
    shift : float, default=0.1
        The largest shift, as a fraction of the side, in [0, 1).
    brightness : float, default=0.2
        The largest change of all pixels of an image, as a fraction of their values.

    See Also
    --------
    FlipCrop : Mirrors and shifts images, without interpolation.
    skimb.over_sampling.ImageJitter : The same for arrays, by which an over-sampler makes images.

    References
    ----------
    .. [1] Shorten and Khoshgoftaar, A survey on Image Data Augmentation for Deep Learning, Journal
       of Big Data 2019, doi:10.1186/s40537-019-0197-0.

    Examples
    --------
    >>> import torch
    >>> from skimb.neural_network import Jitter
    >>> images = torch.rand(2, 1, 8, 8)
    >>> Jitter()(images).shape
    torch.Size([2, 1, 8, 8])
    >>> still = Jitter(rotation=0, scale=0, shift=0, brightness=0)
    >>> torch.allclose(still(images), images, atol=1e-5)
    True
    """

    _parameter_constraints: dict = {
        "rotation": [Interval(Real, 0, 180, closed="both")],
        "scale": [Interval(Real, 0, 1, closed="left")],
        "shift": [Interval(Real, 0, 1, closed="left")],
        "brightness": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(self, *, rotation=10.0, scale=0.1, shift=0.1, brightness=0.2):
        self.rotation = rotation
        self.scale = scale
        self.shift = shift
        self.brightness = brightness

    def __call__(self, images: Tensor) -> Tensor:
        """Return changed images.

        Parameters
        ----------
        images : Tensor of shape (n, C, H, W), float

        Returns
        -------
        Tensor of shape (n, C, H, W)
        """
        check_parameters(self)
        n_images, _, height, width = images.shape

        def drawn(most, *shape):
            return float(most) * (2 * torch.rand(n_images, *shape, device=images.device) - 1)

        angle = math.radians(self.rotation) * drawn(1.0)
        size = 1 / (1 + drawn(self.scale))
        # The coordinates of affine_grid run from -1 to 1, so a side is 2.
        shift = drawn(2 * self.shift, 2)
        light = 1 + drawn(self.brightness, 1, 1, 1)
        if min(height, width) > 1:
            cosine, sine = size * angle.cos(), size * angle.sin()
            # Both axes run from -1 to 1, so a turn of pixels depends on the ratio of the sides.
            ratio = height / width
            matrix = torch.stack(
                [
                    torch.stack([cosine, -sine * ratio, shift[:, 0]], dim=1),
                    torch.stack([sine / ratio, cosine, shift[:, 1]], dim=1),
                ],
                dim=1,
            )
            grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
            images = F.grid_sample(
                images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
            )
        return images * light
