"""A set of decoded images: the shape and dtype that they share, and errors that name bad ones.

Images are named in messages: files by their paths, other images by their numbers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from skimb._image_decoding import CHANNEL_MODES, NO_FILE, TOO_LARGE_INTEGERS
from skimb._image_source import check_image_shape
from skimb._path_hints import advice_for_missing, shown_path

__all__ = [
    "attempt",
    "common_dtype",
    "common_shape",
    "holds",
    "named",
    "numbered",
    "raise_for",
    "wanted_shape",
]

#: The most bad images that an error names; the others are counted.
MOST_NAMED = 10


def wanted_shape(image_shape):
    """Return the shape that images are converted and resized to, if it is possible.

    Parameters
    ----------
    image_shape : sequence of int
        ``(C, H, W)``.

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If it is no such shape, or has too many pixels.
    """
    shape = check_image_shape(image_shape, n_channels=CHANNEL_MODES)
    most = Image.MAX_IMAGE_PIXELS
    if most is not None and shape[1] * shape[2] > most:
        raise ValueError(
            f"`image_shape`={image_shape!r} asks for {shape[1] * shape[2]:,} pixels per image, and "
            f"at most {most:,} are allowed. Give a smaller shape."
        )
    return shape


def holds(dtype, other):
    """Tell whether an array of one dtype can hold the pixels of an image of another dtype."""
    return dtype == other or (dtype == np.float32 and other == np.uint16)


def common_dtype(names, dtypes, kind="files"):
    """Return the dtype of a set of images: that of all of them, or one that can hold all values.

    Parameters
    ----------
    names : sequence of n str
        The images.
    dtypes : sequence of n dtypes
        Their dtypes: uint8, uint16 or float32.
    kind : str, default="files"
        The word for them.

    Returns
    -------
    dtype

    Raises
    ------
    ValueError
        If some have 8 bits per channel, and others more.
    """
    deep = [i for i, dtype in enumerate(dtypes) if dtype != np.uint8]
    if 0 < len(deep) < len(names):
        flat = next(i for i, dtype in enumerate(dtypes) if dtype == np.uint8)
        raise ValueError(
            f"{len(deep)} of {len(names)} {kind} have more than 8 bits per channel (the first is "
            f"{names[deep[0]]}), and the others have 8 (the first is {names[flat]}), so equal "
            f"numbers would mean different brightness. Save all {kind} with the same depth."
        )
    return np.dtype(np.float32) if len(set(dtypes)) > 1 else dtypes[0]


def common_shape(names, looks, kind="files"):
    """Return the shape that all images have: their size, and the most channels.

    Parameters
    ----------
    names : sequence of n str
        The images.
    looks : list of n pairs
        The shape ``(C, H, W)`` of each image and None, or None and why it cannot be read.
    kind : str, default="files"
        The word for them.

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If an image cannot be read, or they differ in size.
    """
    raise_for(names, looks, kind)
    shapes = [shape for shape, _ in looks]
    for name, shape in zip(names, shapes, strict=True):
        if shape[1:] != shapes[0][1:]:
            raise ValueError(
                f"Images differ in size: {names[0]} is {shapes[0][2]}x{shapes[0][1]}, {name} is "
                f"{shape[2]}x{shape[1]} (width x height). Give image_shape=(C, H, W) to resize "
                "them."
            )
    return max(shape[0] for shape in shapes), *shapes[0][1:]


def attempt(function, argument):
    """Return the value of a function and None, or None and the message of its ValueError."""
    try:
        return function(argument), None
    except ValueError as exc:
        return None, str(exc)


def raise_for(names, results, kind="files"):
    """Raise an error that names the images which could not be read, if there are any.

    Parameters
    ----------
    names : sequence of n str
        The images.
    results : list of n pairs
        Any value and None, or None and why the image cannot be read.
    kind : str, default="files"
        The word for them.

    Raises
    ------
    ValueError
        If an image cannot be read.
    """
    bad = {place: why for place, (_, why) in enumerate(results) if why}
    if not bad:
        return
    are_files = kind == "files"
    # One bad file may be there many times.
    texts = dict.fromkeys(
        f"{shown_path(names[place], place) if are_files else names[place]} ({why})"
        for place, why in bad.items()
    )
    fix = "Fix or remove them."
    if all(TOO_LARGE_INTEGERS in why for why in bad.values()):
        fix = "Subtract the same number from all images first, such as the least, or scale them."
    missing = [names[place] for place, why in bad.items() if why == NO_FILE]
    if are_files and missing:
        fix = advice_for_missing(missing, len(names))
    raise ValueError(
        f"{len(bad)} of {len(names)} {kind} cannot be read as images: {named(list(texts))}. {fix}"
    )


class _Numbers(Sequence):
    """Names of images by their numbers, which are made when they are asked for."""

    def __init__(self, numbers):
        self.numbers = numbers

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, place) -> Any:
        return f"number {self.numbers[place]}"


def numbered(numbers):
    """Return names for images that have none.

    Parameters
    ----------
    numbers : sequence of n int
        Their numbers, counted from 0.

    Returns
    -------
    sequence of n str
    """
    return _Numbers(numbers)


def named(words):
    """Return a text that names up to ten items, and counts the others.

    Parameters
    ----------
    words : list of str

    Returns
    -------
    str
    """
    more = f"; and {len(words) - MOST_NAMED} more" if len(words) > MOST_NAMED else ""
    return "; ".join(words[:MOST_NAMED]) + more
