"""Images of Pillow in memory: they are read as image files are."""

from typing import Any

import numpy as np
from PIL import Image

from skimb._decoded_sets import (
    attempt,
    common_dtype,
    common_shape,
    numbered,
    raise_for,
    wanted_shape,
)
from skimb._frames import column_values
from skimb._image_decoding import check_colours, decode_image, look_at_image, strict
from skimb._image_source import digest

__all__ = ["as_pil", "is_pil_images", "pil_keys", "pil_list", "pil_pixels"]


def is_pil_images(X):
    """Tell whether X is a list, 1-D array, Series or one-column frame of images of Pillow.

    Parameters
    ----------
    X : object
        The images as they were given.

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        If some of the values are such images and others are not.
    """
    if isinstance(X, np.ndarray) and X.dtype != object:
        return False
    values = column_values(X)
    if isinstance(values, np.ndarray):
        if values.ndim != 1 or values.dtype != object:
            return False
    elif not isinstance(values, list | tuple):
        return False
    are_images = [isinstance(value, Image.Image) for value in values]
    if any(are_images) and not all(are_images):
        place = are_images.index(False)
        raise ValueError(
            f"Every image must be an image of Pillow, but number {place} of {len(values)} is a "
            f"{type(values[place]).__name__}. Convert it by PIL.Image.fromarray, or remove it."
        )
    return len(are_images) > 0 and all(are_images)


def pil_list(X) -> Any:
    """Return the images of X, for which `is_pil_images` is True, as a list."""
    return list(column_values(X))


def pil_pixels(X, image_shape=None):
    """Return images of Pillow as one array.

    Parameters
    ----------
    X : list, 1-D array, Series or one-column frame of images
        Images for which `is_pil_images` is True. They have the depth of their mode: 16 bits for
        the modes I;16, 32 bits for I and F, otherwise 8 bits per channel.
    image_shape : tuple of int, default=None
        ``(C, H, W)``: each image is converted to C channels and resized. None: all images must
        have one size; they become grey if all of them are grey, RGBA if any of them has an alpha
        channel, and RGB otherwise.

    Returns
    -------
    ndarray of shape (n, H, W, C), uint8, uint16 or float32

    Raises
    ------
    ValueError
        If sizes differ and `image_shape` is None, if the file of an image cannot be read, or if
        some images have 8 bits per channel and others more.
    """
    images = pil_list(X)
    names = numbered(range(len(images)))
    raise_for(names, [attempt(check_colours, image) for image in images], "images")
    with strict():
        if image_shape is None:
            looks = [attempt(look_at_image, image) for image in images]
            image_shape = common_shape(names, looks, "images")
        image_shape = wanted_shape(image_shape)
        found = [
            attempt(lambda image: decode_image(image, image_shape)[0], image) for image in images
        ]
    raise_for(names, found, "images")
    pixels: list[Any] = [image for image, _ in found]
    dtype = common_dtype(names, [image.dtype for image in pixels], "images")
    return np.stack([image.astype(dtype, copy=False) for image in pixels])


def pil_keys(X):
    """Return a key for each image of Pillow, which is equal for equal images.

    Parameters
    ----------
    X : list, 1-D array, Series or one-column frame of images

    Returns
    -------
    list of n hashables
    """
    return [
        (image.mode, image.size, digest(image.tobytes()), digest(repr(image.getpalette()).encode()))
        for image in pil_list(X)
    ]


def as_pil(pixels):
    """Return pixels as an image of Pillow.

    Parameters
    ----------
    pixels : ndarray of shape (H, W, C), uint8, uint16 or float32
        With C one of 1, 3 and 4; only pixels of uint8 have several channels.

    Returns
    -------
    PIL.Image.Image
    """
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
