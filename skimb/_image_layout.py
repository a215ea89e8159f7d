"""The way in which one sample of an array is read as an image: where its axes stand."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skimb._image_source import check_image_shape

__all__ = ["DTYPES", "ImageLayout", "input_type", "read_layout"]

#: The dtypes of images: uint8 stays, anything else becomes float32.
DTYPES = (np.float32, np.uint8)

#: Channel counts by which the channel axis of a 4-D array is recognised: grey, RGB, RGBA.
CHANNEL_COUNTS = (1, 3, 4)


@dataclass(frozen=True)
class ImageLayout:
    """The way in which one sample of X is read as an image.

    Parameters
    ----------
    image_shape : tuple of int
        The shape of the image, ``(C, H, W)``.
    row_shape : tuple of int
        The shape of one sample of X, as it was given.
    channels : {"first", "last"} or None
        The place of the channel axis in a sample; None where a sample has no such axis.
    """

    image_shape: tuple[int, int, int]
    row_shape: tuple[int, ...]
    channels: str | None

    @property
    def n_features(self) -> int:
        """Number of values in one image."""
        return int(np.prod(self.image_shape))

    @property
    def axes(self) -> str:
        """The axes of X by letters: "NHW", "NHWC", "NCHW", or "NF" for rows."""
        if self.channels is not None:
            return "NHWC" if self.channels == "last" else "NCHW"
        return "NHW" if len(self.row_shape) == 2 else "NF"

    def to_channels_last(self, X: Any) -> Any:
        """Return X as an array of shape ``(n, H, W, C)``, without a copy where possible."""
        n_channels, height, width = self.image_shape
        if self.channels == "last":
            return X
        if self.channels == "first":
            return np.moveaxis(X, 1, 3)
        if len(self.row_shape) == 2:
            return X[..., np.newaxis]
        return np.moveaxis(X.reshape(len(X), n_channels, height, width), 1, 3)


def read_layout(row_shape, *, image_shape=None, channels=None):
    """Return the layout of samples of a given shape, by which they are read as images.

    Parameters
    ----------
    row_shape : tuple of int
        The shape of one sample: ``(d,)``, ``(H, W)``, ``(H, W, C)`` or ``(C, H, W)``.
    image_shape : tuple of int, default=None
        ``(C, H, W)``. Samples of shape ``(d,)`` are reshaped to it; other samples must have it.
    channels : {"first", "last"}, default=None
        The place of the channels in samples of three dimensions; needed where their shape is
        ambiguous.

    Returns
    -------
    ImageLayout

    Raises
    ------
    ValueError
        If the layout is ambiguous, or contradicts `image_shape`.
    """
    row_shape = tuple(int(side) for side in row_shape)
    if image_shape is not None:
        image_shape = check_image_shape(image_shape)
    if len(row_shape) == 1:
        shape = image_shape or (1, 1, row_shape[0])
        if int(np.prod(shape)) != row_shape[0]:
            raise ValueError(
                f"`image_shape`={image_shape} needs {int(np.prod(shape))} values per sample, but a "
                f"sample of X has {row_shape[0]}. Give an image_shape (C, H, W) whose product is "
                f"{row_shape[0]}, or leave it None."
            )
        return ImageLayout(shape, row_shape, None)
    if len(row_shape) == 2:
        layout = ImageLayout((1, *row_shape), row_shape, None)
    elif len(row_shape) == 3:
        place = channels or _place_of_channels(row_shape)
        n_channels, height, width = row_shape if place == "first" else np.roll(row_shape, 1)
        layout = ImageLayout((int(n_channels), int(height), int(width)), row_shape, place)
    else:
        raise ValueError(
            f"X must have 2, 3 or 4 dimensions: (n, d), (n, H, W), (n, H, W, C) or (n, C, H, W). "
            f"Got {len(row_shape) + 1} dimensions, with samples of shape {row_shape}. Reshape X."
        )
    if layout.n_features == 0:
        raise ValueError(
            f"X holds images without a pixel, of shape (C, H, W) = {layout.image_shape}. Give "
            "images whose sides are all at least 1."
        )
    if image_shape is not None and layout.image_shape != image_shape:
        raise ValueError(
            f"X holds images of shape (C, H, W) = {layout.image_shape}, but `image_shape` asks for "
            f"{image_shape}. Arrays are not resized: resize them, or leave image_shape None."
        )
    return layout


def _place_of_channels(row_shape):
    fits_first, fits_last = row_shape[0] in CHANNEL_COUNTS, row_shape[2] in CHANNEL_COUNTS
    if fits_first == fits_last:
        which = "both ends" if fits_first else "neither end"
        raise ValueError(
            f"Samples of shape {row_shape} could be (C, H, W) or (H, W, C): {which} could be the "
            f"channels (one of {CHANNEL_COUNTS}). Give channels='first' or channels='last'."
        )
    return "first" if fits_first else "last"


def input_type(images):
    """Return the dtype in which an exported network takes such images.

    Parameters
    ----------
    images : ImageSource

    Returns
    -------
    {"uint8", "float32"}
    """
    return "uint8" if images.dtype == np.uint8 else "float32"
