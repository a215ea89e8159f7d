"""Random changes of training images, made anew at every step, on the device."""

from numbers import Real

import torch
from sklearn.base import BaseEstimator

from skimb._params import Interval

__all__ = ["AUGMENTATIONS", "FlipCrop", "build_augmentation"]


class FlipCrop(BaseEstimator):
    """Mirror images at random and shift them by a random crop.

    The usual augmentation of photographs: each image is mirrored left to right in half of the
    cases, and a window of its own size is cut at a random place from the image with reflected
    margins. Predictions are averaged over an image and its mirror image.

    Parameters
    ----------
    flip : bool, default=True
        Mirror. Leave it out where left and right differ in meaning: letters, digits, hands.
    margin : float, default=0.125
        Width of the margins as a share of the side, which is also how far an image is shifted at
        most.

    Examples
    --------
    >>> import torch
    >>> from skimb.neural_network import FlipCrop
    >>> images = torch.arange(4.0).expand(1, 1, 1, 4)
    >>> FlipCrop(margin=0).views(images)[1]
    tensor([[[[3., 2., 1., 0.]]]])
    """

    _parameter_constraints: dict = {
        "flip": ["boolean"],
        "margin": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(self, *, flip=True, margin=0.125):
        self.flip = flip
        self.margin = margin

    def __call__(self, images):
        """Return changed images.

        Parameters
        ----------
        images : Tensor of shape (n, C, H, W)
            Images of any dtype.

        Returns
        -------
        Tensor of shape (n, C, H, W)
            In channels-last memory.
        """
        self._validate_params()
        n_images, _, height, width = images.shape
        rows = self._shifted(n_images, height, images.device)
        columns = self._shifted(n_images, width, images.device)
        if self.flip:
            is_mirrored = torch.rand(n_images, 1, device=images.device) < 0.5
            columns = torch.where(is_mirrored, columns.flip(1), columns)
        image = torch.arange(n_images, device=images.device)[:, None, None]
        pixels = images.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]
        return pixels.permute(0, 3, 1, 2)

    def _shifted(self, n_images, side, device):
        """Return where along one axis each pixel comes from, of shape (n_images, side)."""
        most = min(round(self.margin * side), side - 1)
        shift = torch.randint(-most, most + 1, (n_images, 1), device=device)
        place = (shift + torch.arange(side, device=device)).abs()
        return side - 1 - (side - 1 - place).abs()

    def views(self, images):
        """Return what predictions are averaged over: the images, and their mirror images.

        Parameters
        ----------
        images : Tensor of shape (n, C, H, W)
            Images of any dtype.

        Returns
        -------
        list of Tensor of shape (n, C, H, W)
        """
        return [images, images.flip(3)] if self.flip else [images]


#: Names that `augmentation` may have.
AUGMENTATIONS = {"flip_crop": FlipCrop}


def build_augmentation(augmentation, images, device):
    """Turn the `augmentation` parameter into a function, and try it before any training.

    Parameters
    ----------
    augmentation : str, callable or None
        As in `CNNClassifier`.
    images : Tensor of shape (n, C, H, W), float32
        A few training images, with values in [0, 1] where they are uint8.
    device : torch.device
        Where it shall work.

    Returns
    -------
    callable or None

    Raises
    ------
    ValueError
        If it fails on the images, or returns none of their shape.
    """
    if augmentation is None:
        return None
    if isinstance(augmentation, str):
        augmentation = AUGMENTATIONS[augmentation]()
    if isinstance(augmentation, type):
        raise ValueError(
            f"`augmentation` must be a name, an object or a function, not a class. Got "
            f"{augmentation.__name__}: give {augmentation.__name__}()."
        )
    if isinstance(augmentation, torch.nn.Module):
        augmentation = augmentation.to(device)
    try:
        made = augmentation(images.to(device))
    except (RuntimeError, TypeError, IndexError, ValueError, AttributeError) as exc:
        raise ValueError(
            f"`augmentation` failed on float32 images of shape {tuple(images.shape)}: {exc}"
        ) from exc
    shape = tuple(made.shape) if isinstance(made, torch.Tensor) else type(made).__name__
    if shape != tuple(images.shape):
        raise ValueError(
            f"`augmentation` must return images of the shape that it gets. For "
            f"{tuple(images.shape)} it returned {shape}."
        )
    return augmentation
