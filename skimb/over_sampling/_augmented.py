"""Make samples of the minority classes by changing images at random."""

import random
import sys
from contextlib import ExitStack, contextmanager
from numbers import Real
from typing import Any

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from skimb._image_layout import read_layout
from skimb._params import Interval, StrOptions, check_parameters
from skimb._plans import append_rows
from skimb._process import exclusive
from skimb._rounding import in_dtype
from skimb._sampler_base import ImageSampler

__all__ = ["AugmentedOverSampler", "ImageJitter"]

#: Number of images that a callable gets at once.
IMAGES_AT_ONCE = 256


class ImageJitter(BaseEstimator):
    """Shift, rotate, shear, mirror and dim images at random.

    Each image gets an affine map, interpolated linearly and continued by the values at the border,
    and then a factor on its brightness. All of them are drawn for each image independently.

    Parameters
    ----------
    flip : bool, default=True
        Whether to mirror left and right, half of the time. Set it to False if left and right differ
        in meaning.
    shift : float, default=0.1
        The farthest shift, as a fraction of the side.
    rotation : float, default=10.0
        The largest angle, in degrees.
    shear : float, default=10.0
        The largest shear, in degrees.
    brightness : float, default=0.2
        Values are multiplied by a factor that differs from 1 by at most this. Integers are clipped
        to their range.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.over_sampling import ImageJitter
    >>> images = np.zeros((2, 8, 8, 1), dtype=np.uint8)
    >>> images[:, 2:6, 3] = 200
    >>> made = ImageJitter(flip=False)(images, np.random.RandomState(0))
    >>> made.shape, made.dtype, bool((made[0] != made[1]).any())
    ((2, 8, 8, 1), dtype('uint8'), True)
    """

    _parameter_constraints: dict = {
        "flip": ["boolean"],
        "shift": [Interval(Real, 0, 1, closed="both")],
        "rotation": [Interval(Real, 0, 180, closed="both")],
        "shear": [Interval(Real, 0, 89, closed="both")],
        "brightness": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(self, *, flip=True, shift=0.1, rotation=10.0, shear=10.0, brightness=0.2):
        self.flip = flip
        self.shift = shift
        self.rotation = rotation
        self.shear = shear
        self.brightness = brightness

    def __call__(self, images: NDArray[Any], random_state: Any) -> NDArray[Any]:
        """Return a changed copy of each image.

        Parameters
        ----------
        images : ndarray of shape (m, H, W, C)
            Images of any real dtype, which is kept.
        random_state : RandomState
            The source of the changes. It is asked for six numbers per image, whatever the
            parameters.

        Returns
        -------
        ndarray of shape (m, H, W, C)
        """
        check_parameters(self)
        made = np.empty_like(images)
        drawn = random_state.uniform(-1, 1, size=(len(images), 6))
        for image, numbers, out in zip(images, drawn, made, strict=True):
            self._change(image, numbers, out)
        return made

    def _change(self, image, numbers, out):
        flip, down, right, turn, slant, light = numbers
        angle, shear = np.deg2rad([turn * self.rotation, slant * self.shear])
        cos, sin = np.cos(angle), np.sin(angle)
        matrix = np.array([[cos, -sin], [sin, cos]]) @ np.array([[1.0, 0.0], [np.tan(shear), 1.0]])
        if self.flip and flip > 0:
            matrix[:, 1] *= -1
        sides = np.array(image.shape[:2])
        center = (sides - 1) / 2
        offset = center - matrix @ center + np.array([down, right]) * self.shift * sides
        values = image.astype(np.promote_types(image.dtype, np.float32))
        made = np.empty(image.shape, dtype=values.dtype)
        for channel in range(image.shape[2]):
            ndimage.affine_transform(
                values[..., channel],
                matrix,
                offset=offset,
                output=made[..., channel],
                order=1,
                mode="nearest",
            )
        made *= 1 + light * self.brightness
        out[...] = in_dtype(made, image.dtype)


class AugmentedOverSampler(ImageSampler, BaseOverSampler):
    """Add changed copies of random images of the minority classes.

    `RandomOverSampler` repeats an image pixel by pixel; here each new image differs: it is shifted,
    rotated, or brighter. Inside `CNNClassifier`, `sampler=RandomOverSampler()` with `augmentation`
    changes the copies in every epoch; this class is for all other estimators that learn from
    images.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        The number of samples of each class afterwards, in imbalanced-learn's vocabulary.
        ``"auto"``: as many as the largest class.
    random_state : int, RandomState instance or None, default=None
        It determines which images are changed, and how.
    augmentation : callable, default=None
        An `ImageJitter`, or any callable that takes float32 images of shape (m, C, H, W), with
        values in [0, 1] if X is uint8, and returns as many. None: ``ImageJitter()``. An
        ``nn.Module`` (kornia's containers, for example) gets a tensor; other callables get an
        array, or a tensor if they cannot read an array. While it runs, the global generators of
        torch, numpy and Python are seeded; afterwards they are restored.
    image_shape : tuple of int, default=None
        The shape ``(C, H, W)`` to which the samples of a 2-D X are unfolded. None: images of one
        line.
    channels : {"first", "last"} or None, default=None
        The axis of the channels of a 4-D X, if its shape leaves it open.
    lazy : bool, default=False
        Whether to return a view over X, if X is an array or tensor. It copies nothing, and
        `CNNClassifier` finds the parents of each sample in it, so that no sample leaks into its
        validation part.

    Attributes
    ----------
    sampling_strategy_ : dict
        Label to number of new samples.
    sample_indices_ : ndarray of shape (n_samples_new,)
        For each returned sample its own index in X or, if it is new, the index of the image that
        was changed.
    parents_ : ndarray of shape (m, 2)
        The index of that image, twice, for each new sample.
    gaps_ : ndarray of shape (m,)
        Zeros, because a new sample has one parent only.
    n_features_in_ : int
        Number of values in a sample.

    See Also
    --------
    RandomOverSampler : Copies images as they are.
    skimb.neural_network.FlipCrop : An augmentation of training batches.

    References
    ----------
    .. [1] Shorten and Khoshgoftaar, A survey on Image Data Augmentation for Deep Learning, Journal
       of Big Data 2019, doi:10.1186/s40537-019-0197-0.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.over_sampling import AugmentedOverSampler, ImageJitter
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> sampler = AugmentedOverSampler(augmentation=ImageJitter(flip=False), random_state=0)
    >>> X_res, y_res = sampler.fit_resample(X, y)
    >>> X_res.shape, X_res.dtype, np.bincount(y_res)
    ((3246, 8, 8), dtype('uint8'), array([1623, 1623]))
    >>> len(np.unique(X_res[len(X):], axis=0))
    1542
    """

    _wants_images = True
    _makes_rows = True

    _parameter_constraints: dict = {
        **BaseOverSampler._parameter_constraints,
        "augmentation": [callable, None],
        "image_shape": [tuple, list, None],
        "channels": [StrOptions({"first", "last"}), None],
        "lazy": ["boolean"],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        random_state=None,
        augmentation=None,
        image_shape=None,
        channels=None,
        lazy=False,
    ):
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.augmentation = augmentation
        self.image_shape = image_shape
        self.channels = channels
        self.lazy = lazy

    def _fit_resample(self, X, y):
        layout = read_layout(X.shape[1:], image_shape=self.image_shape, channels=self.channels)
        rng = check_random_state(self.random_state)
        chosen = [
            rng.choice(np.flatnonzero(y == label), size=n_new, replace=True)
            for label, n_new in self.sampling_strategy_.items()
        ]
        seeds = np.concatenate([np.empty(0, dtype=np.intp), *chosen]).astype(np.intp)
        made = np.empty((len(seeds), *X.shape[1:]), dtype=X.dtype)
        # A view of the samples as images: writing there writes the samples.
        images = layout.to_channels_last(made)
        augmentation = ImageJitter() if self.augmentation is None else self.augmentation
        for start in range(0, len(seeds), IMAGES_AT_ONCE):
            part = slice(start, start + IMAGES_AT_ONCE)
            before = layout.to_channels_last(np.asarray(X[seeds[part]]))
            if isinstance(augmentation, ImageJitter):
                images[part] = augmentation(before, rng)
            else:
                images[part] = _called(augmentation, before, rng)
        self.sample_indices_ = np.concatenate([np.arange(len(y)), seeds])
        self.parents_ = np.column_stack([seeds, seeds])
        self.gaps_ = np.zeros(len(seeds))
        X_resampled = append_rows(X, made, self.parents_, lazy=self.lazy)
        return X_resampled, y[self.sample_indices_]


def _called(augmentation, images, rng):
    """Apply a user's callable to images (m, H, W, C), in the form that it reads."""
    scale = 255.0 if images.dtype == np.uint8 else 1.0
    values = np.ascontiguousarray(np.moveaxis(images, 3, 1), dtype=np.float32) / np.float32(scale)
    torch: Any = sys.modules.get("torch")
    reads_tensors = torch is not None and isinstance(augmentation, torch.nn.Module)
    with seeded_generators(int(rng.randint(np.iinfo(np.int32).max))):
        try:
            made = augmentation(_tensor(values, augmentation) if reads_tensors else values)
        except (AttributeError, TypeError):
            if torch is None or reads_tensors:
                raise
            made = augmentation(torch.from_numpy(values))
    if torch is not None and isinstance(made, torch.Tensor):
        made = made.detach().cpu().numpy()
    made = np.asarray(made)
    if made.shape != values.shape or not np.isfinite(made).all():
        raise ValueError(
            f"`augmentation` must return as many images of the same shape {values.shape}, with "
            f"finite values. Got {made.shape}, {np.sum(~np.isfinite(made))} values not finite."
        )
    return in_dtype(np.moveaxis(made, 1, 3) * scale, images.dtype)


def _tensor(values, module):
    """Return values as a tensor on the device of a module."""
    tensor = sys.modules["torch"].from_numpy(values)
    parameter = next(module.parameters(), None)
    return tensor if parameter is None else tensor.to(parameter.device)


@contextmanager
def seeded_generators(seed):
    """Seed the global generators of Python, numpy and torch (where it is loaded), then restore.

    Parameters
    ----------
    seed : int
        Their seed.
    """
    torch: Any = sys.modules.get("torch")
    with exclusive(), ExitStack() as stack:
        stack.callback(random.setstate, random.getstate())
        stack.callback(np.random.set_state, np.random.get_state())
        random.seed(seed)
        np.random.seed(seed)
        if torch is not None:
            devices = range(torch.cuda.device_count())
            stack.enter_context(torch.random.fork_rng(devices=devices))
            torch.manual_seed(seed)
        yield
