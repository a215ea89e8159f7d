"""The scale of pixels: the allowed and the observed range, and warnings of another scale."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from skimb._image_files import named
from skimb._image_source import as_source, blocks
from skimb._warnings import warn

__all__ = [
    "PixelLevels",
    "check_value_range",
    "levels_of",
    "observed_range",
    "pixel_statistics",
    "refuse_outside",
    "warn_of_other_scale",
]

#: The most images, and the most values, of an array that are examined.
MOST_IMAGES, MOST_VALUES = 1000, 10_000_000

#: Images count as on another scale if they reach this many ranges beyond the training images.
FARTHER = 10

#: Images count as on another scale if they are this many times narrower than the training images:
#: all of them together, and each one by itself.
NARROWER, FLATTER = 10, 4

#: The highest probability of such flat images, estimated from the training images.
LEVEL = 1e-3


def check_value_range(value_range: Any):
    """Return the least and the largest value that pixels may have, or None where it is "auto".

    Parameters
    ----------
    value_range : "auto" or pair of numbers
        As in `CNNClassifier`.

    Returns
    -------
    tuple of float, or None

    Raises
    ------
    ValueError
        If it is not "auto" or a pair of increasing finite numbers.
    """
    if isinstance(value_range, str) and value_range == "auto":
        return None
    is_pair = isinstance(value_range, tuple | list) and len(value_range) == 2
    if not is_pair or not all(
        isinstance(end, Real) and np.isfinite(float(end)) for end in value_range
    ):
        raise ValueError(
            "`value_range` must be 'auto' or (low, high), two finite numbers such as (0, 4095). "
            f"Got {value_range!r}."
        )
    low, high = (float(end) for end in value_range)
    if low >= high:
        raise ValueError(f"`value_range` must be (low, high) with low < high. Got {value_range!r}.")
    return low, high


def observed_range(images):
    """Return the range of a set: (0, 255) for uint8, otherwise its least and its largest pixel.

    Parameters
    ----------
    images : ImageSource, or ndarray of shape (n, H, W, C)

    Returns
    -------
    tuple of float
    """
    if images.dtype == np.uint8:
        return 0.0, 255.0
    low, high = _extremes(as_source(images))
    return float(low), float(high)


def _extremes(images):
    """Return the least and the largest pixel of a source."""
    if images.levels is not None:
        return images.levels[:, 0].min(), images.levels[:, 1].max()
    ends = [(part.min(), part.max()) for part in blocks(images)]
    return min(low for low, _ in ends), max(high for _, high in ends)


def _named_outside(images, value_range):
    """Return texts that name the images with pixels outside a range; their levels are known."""
    low, high = value_range
    lows, highs, names = images.levels[:, 0], images.levels[:, 1], images.names()
    return [
        f"{names[i]} ({lows[i]:g} to {highs[i]:g})"
        for i in np.flatnonzero((lows < low) | (highs > high))
    ]


def refuse_outside(images, value_range):
    """Refuse pixels outside the range that was given.

    Parameters
    ----------
    images : ImageSource, or ndarray of shape (n, H, W, C)
    value_range : tuple of float, or None
        The range; None: nothing is checked.

    Raises
    ------
    ValueError
        If there are such pixels. The message names files, and counts the values of other images.
    """
    if value_range is None:
        return
    written = f"`value_range`=({value_range[0]:g}, {value_range[1]:g})"
    images = as_source(images)
    if images.levels is not None:
        outside = _named_outside(images, value_range)
        if outside:
            raise ValueError(
                f"{len(outside)} of {len(images)} {images.noun} have pixels outside of "
                f"{written}: {named(outside)}. Widen the range, or remove these {images.noun}."
            )
        return
    # In the dtype of the pixels: 0.1 in float32 is a little more than 0.1.
    low, high = np.asarray(value_range, dtype=np.float32)
    least, largest = _extremes(images)
    if least >= low and largest <= high:
        return
    n_outside = sum(np.count_nonzero((part < low) | (part > high)) for part in blocks(images))
    raise ValueError(
        f"{n_outside} of {math.prod(images.shape)} values of X lie outside of {written}: they "
        f"reach from {least:g} to {largest:g}. Widen the range, or correct the scale of X."
    )


@dataclass
class PixelLevels:
    """A summary of the pixels of a set, by which images on another scale are recognised.

    Parameters
    ----------
    low, high, mean : float
        The least and the largest of all examined pixels, and their mean.
    usual_low, usual_high : float
        The median, over the images, of the least pixel, and that of the largest pixel.
    spans : ndarray of shape (n,)
        The difference between the largest and the least pixel of each image, sorted.
    """

    low: float
    high: float
    mean: float
    usual_low: float
    usual_high: float
    spans: np.ndarray


def levels_of(images):
    """Return the levels of a set: of all images where they are known, otherwise of a subset.

    Parameters
    ----------
    images : ImageSource, or ndarray of shape (n, H, W, C)

    Returns
    -------
    PixelLevels
    """
    images = as_source(images)
    if images.levels is not None:
        lows, highs, means = images.levels.T
    else:
        n_most = int(np.clip(MOST_VALUES // math.prod(images.shape[1:]), 1, MOST_IMAGES))
        chosen = slice(None) if len(images) <= n_most else _spread(len(images), n_most)
        subset = images.read(chosen)
        axes = (1, 2, 3)
        lows, highs = subset.min(axis=axes), subset.max(axis=axes)
        means = subset.mean(axis=axes, dtype=np.float64)
    lows, highs = lows.astype(np.float64), highs.astype(np.float64)
    spans = np.sort(highs - lows)
    if len(spans) > MOST_IMAGES:
        spans = spans[_spread(len(spans), MOST_IMAGES)]
    return PixelLevels(
        low=float(lows.min()),
        high=float(highs.max()),
        mean=float(means.mean()),
        usual_low=float(np.median(lows)),
        usual_high=float(np.median(highs)),
        spans=spans,
    )


def _spread(n_samples, n_chosen):
    """Return evenly spaced indices, with the first and the last."""
    return np.linspace(0, n_samples - 1, n_chosen).astype(np.intp)


def warn_of_other_scale(name, fitted, images, *, fitted_range=None):
    """Warn where images are on another scale than the training images.

    Images count as on another scale in two cases. Either their mean lies beyond the range of the
    training images by more than the width of that range, or half of the images reach beyond it by
    more than ten times its width. Or all images together span less than a tenth of the range, and
    each of them is so much flatter than the training images (by a factor of four) that as many
    training images would be so flat by chance less than once in a thousand times. Constant images
    never cause a warning. For files of more than 8 bits per channel, it is also given where a
    pixel lies outside the range of the training images.

    Parameters
    ----------
    name : str
        The name of the trained estimator.
    fitted : PixelLevels or None
        The levels of the training images; None: they are not known.
    images : ImageSource, or ndarray of shape (n, H, W, C)
        The images to examine. Files are not decoded again; of other images, a subset is read.
    fitted_range : tuple of float, default=None
        The range of the training set, which files of more than 8 bits are compared with; None: the
        range was given by the user, and pixels outside of it have been refused.
    """
    if fitted is None:
        return
    message = _beyond(name, images, fitted_range) or _elsewhere(name, fitted, levels_of(images))
    if message:
        warn(message)


def _beyond(name, images, fitted_range):
    """Return a message that names deep files outside the range of the training set, or None."""
    images = as_source(images)
    if images.levels is None or images.dtype == np.uint8 or fitted_range is None:
        return None
    outside = _named_outside(images, fitted_range)
    if not outside:
        return None
    low, high = fitted_range
    return (
        f"{len(outside)} of {len(images)} {images.noun} have pixels beyond {low:g} to {high:g}, "
        f"the range that {name} was trained on: {named(outside)}. If all {images.noun} are on one "
        "scale, give its range: value_range=(low, high)."
    )


def _elsewhere(name, fitted, asked):
    """Return a message that images are on another scale, or None."""
    span = fitted.high - fitted.low
    if span <= 0:
        return None
    is_far = (
        not fitted.low - span <= asked.mean <= fitted.high + span
        or asked.usual_high > fitted.high + FARTHER * span
        or asked.usual_low < fitted.low - FARTHER * span
    )
    if not is_far and not _is_flat(fitted, asked):
        return None
    return (
        f"X reaches from {asked.low:.4g} to {asked.high:.4g} with mean {asked.mean:.4g}, but "
        f"{name} was trained on pixels from {fitted.low:.4g} to {fitted.high:.4g} with mean "
        f"{fitted.mean:.4g}. Give images on the scale of the training."
    )


def _is_flat(fitted, asked):
    """Tell whether images are so flat that they are improbable, given the training images."""
    if not 0 < asked.high - asked.low < (fitted.high - fitted.low) / NARROWER:
        return False
    n_flat = np.searchsorted(fitted.spans, FLATTER * asked.spans[-1], side="right")
    fraction = (1 + n_flat) / (1 + len(fitted.spans))
    return fraction ** len(asked.spans) <= LEVEL


def pixel_statistics(images, block=2_000_000):
    """Return mean and standard deviation of each channel in float64, in two passes.

    Parameters
    ----------
    images : ImageSource
        The images; those that are not in memory are read twice.
    block : int, default=2_000_000
        Values that are read at once.

    Returns
    -------
    mean, sd : ndarray of shape (C,), float64
    """
    n_pixels = int(np.prod(images.shape[:3]))
    step = max(1, block // int(np.prod(images.shape[1:])))

    def blocks():
        # Files are decoded in each pass, because they need not fit in memory.
        for start in range(0, len(images), step):
            yield images.read(slice(start, start + step))

    mean = sum(part.sum(axis=(0, 1, 2), dtype=np.float64) for part in blocks()) / n_pixels
    squares = sum(((part - mean) ** 2).sum(axis=(0, 1, 2)) for part in blocks())
    return mean, np.sqrt(squares / n_pixels)
