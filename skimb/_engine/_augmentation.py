"""Random changes of training images, made at every step and on the device."""

import copy
from functools import partial
from numbers import Real
from typing import Any

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from skimb._engine._mixed_batch import MixedBatch
from skimb._engine._mixing import CutMix, Mixup, Remix
from skimb._networks import in_memory
from skimb._params import Interval, check_parameters
from skimb._sub_estimators import seeded_clone

__all__ = [
    "AUGMENTATIONS",
    "DEFAULT_AUGMENTATION",
    "Augmentation",
    "FlipCrop",
    "build_augmentation",
]


#: An image on which steps are tried to see how many views they return.
ONE_IMAGE = torch.zeros(1, 1, 1, 1)


class FlipCrop(BaseEstimator):
    """Mirror images at random and shift them by a random crop.

    The usual augmentation of photographs: each image is mirrored left to right in half of the
    cases, and a window of its own size is cut at a random position from the image with reflected
    margins. Predictions are averaged over an image and its mirror image (test-time augmentation).

    Parameters
    ----------
    flip : bool, default=True
        Whether to mirror. Use False where left and right differ in meaning: letters, digits, hands.
    margin : float, default=0.125
        Width of the margins as a fraction of the side. It is also the largest shift of an image. If
        it is positive, the margin is at least one pixel.

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

    def __call__(self, images: Tensor) -> Tensor:
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
        check_parameters(self)
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
        """Return the source of each pixel along one axis, of shape (n_images, side)."""
        # For small images a fraction of the side may round to zero.
        most = min(max(round(self.margin * side), int(self.margin > 0)), side - 1)
        shift = torch.randint(-most, most + 1, (n_images, 1), device=device)
        place = (shift + torch.arange(side, device=device)).abs()
        return side - 1 - (side - 1 - place).abs()

    def views(self, images: Tensor) -> list[Tensor]:
        """Return the views for test-time augmentation: the images and their mirror images.

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
AUGMENTATIONS = {
    "shift_crop": partial(FlipCrop, flip=False, margin=0.0625),
    "flip_crop": FlipCrop,
    "mixup": Mixup,
    "cutmix": CutMix,
    "remix": Remix,
}

#: The default of the estimators. It also suits images whose left and right differ in meaning.
DEFAULT_AUGMENTATION = "shift_crop"


class Augmentation:
    """The changes of the images of a training batch, one step after the other.

    Parameters
    ----------
    steps : list
        Functions of images, of which only the last may mix samples.
    counts : Tensor of shape (n_classes,)
        Number of samples of each class in the training part.
    value_range : tuple of float, default=None
        The values of pixels that steps see as 0 and 1; None: 0 and the result of `unit_of`.
    """

    def __init__(self, steps, counts, value_range=None):
        self.value_range = value_range
        self.mixer: Any = steps[-1] if steps and hasattr(steps[-1], "mix") else None
        self.changes = steps[:-1] if self.mixer is not None else steps
        self.counts = counts
        views = Views([change for change in self.changes if hasattr(change, "views")])
        #: Predictions are averaged over these views; None: no step offers any but the images.
        self.views = views if len(views(ONE_IMAGE)) > 1 else None
        #: Whether steps get contiguous images, because they cannot read channels-last ones.
        self.is_contiguous = False

    def __call__(self, images, target, weight):
        """Change a batch.

        Parameters
        ----------
        images : Tensor of shape (n, C, H, W), uint8 or float32, or MixedBatch
            Each image of a sample is changed by itself. Only the step that mixes samples sees all
            images of a sample together, one below the other.
        target, weight : Tensor of shape (n,)

        Returns
        -------
        images : Tensor of shape (n, C, H, W), float32, or MixedBatch
        target : tuple of Tensor of shape (n,)
            ``(target, weight)``; for mixed samples also those of the partner, and the fraction of
            their own.
        """
        batch = images if isinstance(images, MixedBatch) else None
        if batch is None:
            images = self._changed(images)
        else:
            images = batch.stacked(self._changed(batch.one_by_one()))
        if self.mixer is None:
            made = images if batch is None else batch.with_images(images)
            return made, (target, weight)
        if self.is_contiguous:
            images = in_memory(images, torch.contiguous_format)
        images, partner, fraction = self.mixer.mix(images, target, self.counts)
        made = images if batch is None else batch.mixed(images, partner, fraction)
        return made, (target, weight, target[partner], weight[partner], fraction)

    def _changed(self, images):
        """Return images after all steps but the one that mixes samples."""
        low, high = self.value_range or (0.0, unit_of(images))
        unit = high - low
        images = images.to(torch.float32)
        for change in self.changes:
            scaled = (images - low) / unit
            if self.is_contiguous:
                scaled = in_memory(scaled, torch.contiguous_format)
            images = change(scaled) * unit + low
        return images

    def label_shares(self, shares):
        """Return the fraction of each class among the labels, from the fractions among the samples.

        These are equal unless the last step has a method ``label_shares``: most steps mix all
        classes in the same way.
        """
        if not hasattr(self.mixer, "label_shares"):
            return shares
        return self.mixer.label_shares(shares, self.counts.cpu().numpy())

    @property
    def is_active(self):
        """Whether there is any step."""
        return bool(self.changes) or self.mixer is not None

    def try_on(self, images):
        """Change a few images, to see that the steps work.

        Parameters
        ----------
        images : Tensor of shape (n, C, H, W), uint8 or float32, or MixedBatch
            Training images, on the device of the training.

        Raises
        ------
        ValueError
            If a step fails on them, or returns images of another shape.
        """
        if isinstance(images, MixedBatch):
            images = images.one_by_one()
        target = torch.arange(len(images), device=images.device) % len(self.counts)
        weight = torch.ones_like(target, dtype=torch.float32)
        try:
            try:
                made, _ = self(images, target, weight)
            except RuntimeError:
                # Images lie channels-last in memory, where `view` fails.
                self.is_contiguous = True
                made, _ = self(images, target, weight)
            shape = tuple(made.shape) if torch.is_tensor(made) else type(made).__name__
        except (RuntimeError, TypeError, IndexError, ValueError, AttributeError) as exc:
            raise ValueError(
                f"`augmentation` failed on float32 images of shape {tuple(images.shape)}: {exc}"
            ) from exc
        if shape != tuple(images.shape):
            raise ValueError(
                "`augmentation` must return images of the shape that it gets. For "
                f"{tuple(images.shape)} it returned {shape}."
            )


class Views:
    """All views of an image that steps offer; each step is applied to the views of the step before.

    Parameters
    ----------
    steps : list
        Objects with a method ``views``.
    """

    def __init__(self, steps):
        self.steps = steps

    def __repr__(self):
        return f"Views({self.steps!r})"

    def __call__(self, images):
        """Return a list of batches of the shape of ``images``, the images themselves first."""
        views = [images]
        for step in self.steps:
            views = [view for images in views for view in step.views(images)]
        return views


def unit_of(images):
    """Return the value of full brightness: 255 for uint8, and 1 for any other dtype."""
    return 255.0 if images.dtype == torch.uint8 else 1.0


def build_augmentation(augmentation, *, image_shape, counts, device, rng, value_range=None):
    """Turn the `augmentation` parameter into an `Augmentation`.

    Parameters
    ----------
    augmentation : str, callable, list of these, or None
        As in `CNNClassifier`.
    image_shape : tuple of int
        ``(C, H, W)``.
    counts : ndarray of shape (n_classes,)
        Number of samples of each class in the training part.
    device : torch.device
        The device of the training.
    rng : RandomState
        The source of seeds for steps that take one.
    value_range : tuple of float, default=None
        As in `Augmentation`.

    Returns
    -------
    Augmentation

    Raises
    ------
    ValueError
        If a step is unknown, or mixes samples and is not the last.
    """
    if isinstance(augmentation, str) and augmentation == DEFAULT_AUGMENTATION:
        # The default must also suit the rows of a table, where a shift of columns has no meaning.
        augmentation = None if 1 in image_shape[1:] else augmentation
    is_list = isinstance(augmentation, list | tuple)
    given = augmentation if is_list else [] if augmentation is None else [augmentation]
    steps = [_build_step(step, device, rng) for step in given]
    if any(hasattr(step, "mix") for step in steps[:-1]):
        raise ValueError(
            "`augmentation` may mix samples only in its last step, because a later step could not "
            f"know whose pixels it sees. Got {augmentation!r}."
        )
    counts = torch.as_tensor(counts, dtype=torch.float32, device=device)
    return Augmentation(steps, counts, value_range)


def _build_step(step, device, rng):
    if isinstance(step, str):
        if step not in AUGMENTATIONS:
            raise ValueError(
                f"`augmentation` must be one of {list(AUGMENTATIONS)} or a callable. Got {step!r}."
            )
        return AUGMENTATIONS[step]()
    if isinstance(step, type):
        raise ValueError(
            f"`augmentation` must be a name, an object or a function, not a class. Got "
            f"{step.__name__}: give {step.__name__}()."
        )
    if isinstance(step, torch.nn.Module):
        return copy.deepcopy(step).to(device)
    return seeded_clone(step, rng) if isinstance(step, BaseEstimator) else step
