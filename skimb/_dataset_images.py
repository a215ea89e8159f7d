"""Images of a data set of Hugging Face or torch: they are decoded when they are asked for."""

import copy
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skimb._decoded_sets import (
    attempt,
    common_dtype,
    common_shape,
    holds,
    numbered,
    raise_for,
    wanted_shape,
)
from skimb._image_decoding import (
    check_colours,
    decode_image,
    levels_of,
    look_at_image,
    strict,
)
from skimb._image_layout import read_layout
from skimb._image_source import ImageSource, check_image_shape, digest
from skimb._optional_libraries import is_of

__all__ = ["DatasetImages", "images_of_column", "is_dataset", "is_dataset_column"]

#: The result of an image that can be read.
READ = None, None


def is_dataset(X):
    """Tell whether X is a `Dataset` of Hugging Face's library `datasets`, without importing it."""
    return is_of("datasets", "Dataset", X)


def is_dataset_column(X):
    """Tell whether X is a column of such a data set: ``dataset["image"]``."""
    return is_of("datasets.arrow_dataset", "Column", X)


def images_of_column(column):
    """Return a column of a data set as images that are decoded when they are asked for."""
    if is_dataset(column.source):
        return DatasetImages(column.source, column.column_name)
    raise ValueError(
        "X is a column inside of another column of a data set. Give "
        "skimb.datasets.DatasetImages(dataset, column=...) of a data set with a column of images."
    )


@dataclass
class _Facts:
    """What one pass over the images tells."""

    image_shape: tuple
    dtype: Any
    levels: np.ndarray
    keys: list


class DatasetImages(ImageSource):
    """Images of a data set, which are decoded when they are asked for.

    It takes the map-style data sets of Hugging Face (``datasets.Dataset``) and torch, and any
    other object with a length and items. At its start, a fit or a prediction decodes every image
    once, so that bad images are named before any work; afterwards they are decoded batch by batch.

    Parameters
    ----------
    dataset : datasets.Dataset, torch.utils.data.Dataset, or sequence of items
        An item is an image, a tuple that begins with one, or a mapping. Images are those of Pillow,
        which are read as files are, or arrays and tensors of shape ``(H, W)``, ``(H, W, C)`` or
        ``(C, H, W)``, whose pixels of uint8 stay so, while others become float32.
    column : str or int, default="image"
        The column or the key of the images. In items that are tuples, their position; there a name
        means the first entry.
    image_shape : tuple of int, default=None
        ``(C, H, W)``: images of Pillow are converted to C channels and resized, and arrays must
        have this shape. None: all images must have one size.
    channels : {"first", "last"}, default=None
        The place of the channels in arrays, needed where their shape leaves it open.

    Raises
    ------
    ValueError
        If the data set has no length, no items, or no such column.

    Notes
    -----
    Give the labels of a data set of Hugging Face as ``dataset["label"]``. A transform of a data set
    of torch acts whenever an image is read. It should not be random: the estimators augment the
    images themselves. With `num_workers`, the data set is copied to other processes.

    The first pass over the images is kept: their size, their depth, their least and largest pixels,
    and digests, by which equal images stay on one side of a split. If the data set changes between
    two fits, make new `DatasetImages` of it.

    Examples
    --------
    >>> from PIL import Image
    >>> from skimb.datasets import DatasetImages
    >>> dataset = [(Image.new("L", (4, 3), color=20 * i), i % 2) for i in range(5)]
    >>> images = DatasetImages(dataset)
    >>> images[1:3].read(slice(None))[:, 0, 0, 0]
    array([20, 40], dtype=uint8)
    """

    noun = "images"

    def __init__(self, dataset, column: Any = "image", *, image_shape=None, channels=None):
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise ValueError(
                "`dataset` must have a length and items by number. Got a "
                f"{type(dataset).__name__}. Give a map-style data set, not one that is iterated."
            )
        if len(dataset) == 0:
            raise ValueError("`dataset` is empty. Give at least one image.")
        if is_dataset(dataset):
            _check_column(dataset, column)
            if dataset.format["type"] != "custom":
                # Other columns are not decoded; a transform of the user may need them.
                dataset = dataset.select_columns([column])
        self.dataset, self.column, self.channels = dataset, column, channels
        self._wanted = None if image_shape is None else check_image_shape(image_shape)
        self._rows = np.arange(len(dataset))
        self._facts: Any = None

    # ---------------------------------------------- what one pass over the images tells

    def checked(self, image_shape: Any = None) -> "DatasetImages":
        """Return the images in a shape, after each of them has been decoded once.

        Parameters
        ----------
        image_shape : tuple of int, default=None
            As in the constructor; None: the shape given there.

        Returns
        -------
        DatasetImages

        Raises
        ------
        ValueError
            If images cannot be read, or differ in size or depth.
        """
        part = self if image_shape is None else self.resized(image_shape)
        part._known()
        return part

    def _known(self):
        if self._facts is not None:
            return self._facts
        names, shape = numbered(self._rows), self._wanted
        levels, keys, dtypes, results = np.empty((len(self), 3)), [], [], []
        with strict():
            if shape is None:
                # Equal shapes are one object: there may be many images.
                looks: dict = {}
                found = (attempt(self._shape_of, row) for row in self._rows)
                shape = common_shape(
                    names, [looks.setdefault(look, look) for look in found], self.noun
                )
            # The pixels are dropped at once: those of all images would fill the memory.
            for place, row in enumerate(self._rows):
                summary, why = attempt(lambda row: self._summary(row, shape), row)
                results.append(READ if why is None else (None, why))
                if summary is not None:
                    dtype, levels[place], key = summary
                    dtypes.append(dtype)
                    keys.append(key)
        raise_for(names, results, self.noun)
        self._facts = _Facts(shape, common_dtype(names, dtypes, self.noun), levels, keys)
        return self._facts

    def _shape_of(self, row):
        image = self._image(self._item(row))
        if isinstance(image, Image.Image):
            return look_at_image(image)
        return read_layout(image.shape, channels=self.channels).image_shape

    def _summary(self, row, image_shape):
        pixels, levels = self._decoded(self._item(row), image_shape)
        return pixels.dtype, levels, digest(pixels.tobytes())

    @property
    def image_shape(self) -> Any:
        """``(C, H, W)``."""
        return self._known().image_shape if self._wanted is None else self._wanted

    @property
    def dtype(self) -> Any:
        """The dtype of the pixels."""
        return self._known().dtype

    @property
    def levels(self) -> Any:
        """The least, the largest and the mean pixel of each image, after a fit has read them."""
        return None if self._facts is None else self._facts.levels

    @property
    def shape(self) -> Any:
        """``(n, H, W, C)``, or None where it is neither given nor known from a pass."""
        if self._facts is None and self._wanted is None:
            return None
        n_channels, height, width = self.image_shape
        return len(self), height, width, n_channels

    def __repr__(self) -> str:
        return f"DatasetImages({len(self)} images, column={self.column!r})"

    # ---------------------------------------------- the protocol

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, indices: NDArray[Any] | slice) -> "DatasetImages":
        """Return some of the images, and decode none of them."""
        part = copy.copy(self)
        part._rows = self._rows[indices]
        if self._facts is not None:
            facts = self._facts
            chosen = np.arange(len(self))[indices].tolist()
            keys = [facts.keys[place] for place in chosen]
            part._facts = _Facts(facts.image_shape, facts.dtype, facts.levels[indices], keys)
        return part

    def read(self, indices: NDArray[Any] | slice) -> NDArray[Any]:
        """Return some of the images as an array, after each image has been decoded once."""
        self._known()
        return super().read(indices)

    def batch(self, indices: NDArray[Any] | slice) -> NDArray[Any]:
        """Decode some of the images."""
        facts, rows = self._known(), self._rows[indices]
        n_channels, height, width = facts.image_shape
        images = np.empty((len(rows), height, width, n_channels), dtype=facts.dtype)
        with strict():
            items = self._items(rows)
            for place in range(len(rows)):
                try:
                    pixels, _ = self._decoded(next(items), facts.image_shape)
                    if not holds(facts.dtype, pixels.dtype):
                        raise ValueError(f"it holds {pixels.dtype}, and held {facts.dtype} before")
                except ValueError as exc:
                    raise ValueError(
                        f"Item {rows[place]} of the data set cannot be read any more ({exc}). "
                        "Restore it, or give the images again."
                    ) from exc
                images[place] = pixels
        return images

    def names(self) -> Sequence[str]:
        """Return the numbers of the items as names."""
        return numbered(self._rows)

    def keys(self) -> list[Any]:
        """Return digests of the images, of which each is decoded once."""
        return self._known().keys

    def resized(self, image_shape: Any) -> "DatasetImages":
        """Return the same images, converted and resized to another shape."""
        image_shape = check_image_shape(image_shape)
        if self._facts is not None and self._facts.image_shape == image_shape:
            return self
        part = copy.copy(self)
        part._wanted, part._facts = image_shape, None
        return part

    # ---------------------------------------------- items

    def _items(self, rows):
        """Yield items of the data set; those of Hugging Face's library are read together."""
        items = None
        if is_dataset(self.dataset):
            # If it fails, they are read one by one, so that the error names one.
            with suppress(Exception):
                items = self.dataset[rows.tolist()][self.column]
        yield from map(self._item, rows) if items is None else items

    def _item(self, row):
        try:
            return self.dataset[int(row)]
        except MemoryError:
            raise
        # The user's own code, and decoders, may raise errors of any type.
        except Exception as exc:
            raise ValueError(f"dataset[{row}] raises {type(exc).__name__}: {exc}") from exc

    def _image(self, item):
        """Return the image of an item: one of Pillow, or an array."""
        image = item
        if isinstance(item, tuple | list):
            image = item[self.column if isinstance(self.column, int) else 0]
        elif isinstance(item, dict):
            if self.column not in item:
                raise ValueError(f"it has no {self.column!r}, but {sorted(map(str, item))}")
            image = item[self.column]
        if isinstance(image, Image.Image):
            check_colours(image)
            return image
        if isinstance(image, dict | str | bytes) or image is None:
            raise ValueError(
                f"{self.column!r} holds a {type(image).__name__}; give paths as a list, and let a "
                "data set of Hugging Face decode its images: cast_column(name, Image())"
            )
        if "torch" in sys.modules and isinstance(image, sys.modules["torch"].Tensor):
            image = image.detach().cpu()
        pixels = np.asarray(image)
        if pixels.dtype.kind not in "buif":
            raise ValueError(f"it holds values of dtype {pixels.dtype}")
        return pixels

    def _decoded(self, item, image_shape):
        """Return the pixels of an item, and their levels."""
        image = self._image(item)
        if isinstance(image, Image.Image):
            pixels, bounds = decode_image(image, wanted_shape(image_shape))
            return pixels, levels_of(pixels, bounds)
        layout = read_layout(image.shape, image_shape=image_shape, channels=self.channels)
        dtype = image.dtype if image.dtype in (np.uint8, np.uint16) else np.dtype(np.float32)
        pixels = layout.to_channels_last(image[np.newaxis]).astype(dtype)[0]
        if not np.isfinite(pixels).all():
            raise ValueError("it has pixels that are not finite")
        return pixels, levels_of(pixels, None)


def _check_column(dataset, column):
    """Refuse a column that a data set of Hugging Face does not have, or that holds no images."""
    if column not in dataset.column_names:
        raise ValueError(
            f"`dataset` has no column {column!r}. Its columns: {dataset.column_names}. Name the "
            "column of the images."
        )
