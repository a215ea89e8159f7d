"""A source of images: the protocol that estimators, samplers and splits use for any form of images.

The sources for arrays and lazy views are in this module, the source for image files is in
`skimb._image_files`. For a further form of images, write a subclass of `ImageSource`; estimators
and samplers then accept it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skimb._shared_jobs import size_of_attributes

__all__ = [
    "ArrayImages",
    "ImageSource",
    "ResampledImages",
    "as_source",
    "blocks",
    "check_image_shape",
    "checked_source",
    "digest",
]

#: Number of values that are read at once when all images of a source are read.
VALUES_AT_ONCE = 2_000_000

#: The dtypes of pixels on which networks are trained.
PIXEL_TYPES = (np.uint8, np.uint16, np.float32)


def check_image_shape(image_shape, *, n_channels=None) -> Any:
    """Return a shape as a tuple of int.

    Parameters
    ----------
    image_shape : sequence of int
        ``(C, H, W)``.
    n_channels : collection of int, default=None
        The numbers of channels that are possible; None: any.

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If it is anything else.
    """
    try:
        shape = tuple(image_shape)
    except TypeError:
        shape = ()
    are_sides = all(isinstance(side, Integral) and int(side) >= 1 for side in shape)
    if len(shape) != 3 or not are_sides or (n_channels and shape[0] not in n_channels):
        which = f" with C one of {tuple(n_channels)}" if n_channels else ""
        raise ValueError(
            f"`image_shape` must be three positive integers (C, H, W){which}. Got {image_shape!r}."
        )
    return tuple(int(side) for side in shape)


class ImageSource(ABC):
    """Base class of sources of n images of one shape, which represent an array (n, H, W, C).

    A subclass sets the attributes `image_shape` and `dtype`, and defines the four abstract methods.
    Estimators and samplers accept it as X. With `num_workers` it is copied to other processes: it
    must be possible to pickle it, so files are best opened in `batch`. Indexing by a slice, a mask
    or indices returns a source of some of the images and reads none of them; ``numpy.asarray``
    reads all images.

    Attributes
    ----------
    image_shape : tuple of int
        ``(C, H, W)``.
    dtype : dtype
        The dtype of the pixels: uint8, uint16 or float32.
    is_in_memory : bool
        Whether all images are in memory. If so, they may be put on a device at once; otherwise they
        are read batch by batch, in the main process or in workers.
    levels : ndarray of shape (n, 3) or None
        The least, the largest and the mean pixel of each image, if they are known without reading
        the images.
    lineage : ResampledRows or None
        The view with the parents of the images, if a sampler made them.

    Examples
    --------
    A source that computes its images from their numbers:

    >>> import numpy as np
    >>> from skimb.datasets import ImageSource
    >>> class Stripes(ImageSource):
    ...     image_shape, dtype = (1, 4, 4), np.dtype(np.uint8)
    ...
    ...     def __init__(self, numbers):
    ...         self.numbers = numbers
    ...
    ...     def __len__(self):
    ...         return len(self.numbers)
    ...
    ...     def take(self, indices):
    ...         return Stripes(self.numbers[indices])
    ...
    ...     def batch(self, indices):
    ...         images = np.zeros((len(self.numbers[indices]), 4, 4, 1), dtype=self.dtype)
    ...         images[:] = self.numbers[indices].reshape(-1, 1, 1, 1)
    ...         return images
    ...
    ...     def keys(self):
    ...         return self.numbers.tolist()
    >>> stripes = Stripes(np.array([3, 5, 3]))
    >>> stripes.shape, stripes[1:].keys(), np.asarray(stripes[[2]]).max()
    ((3, 4, 4, 1), [5, 3], np.uint8(3))
    """

    image_shape: Any
    dtype: Any
    is_in_memory = False
    levels: Any = None
    lineage: Any = None

    #: Private: whether images in memory are gathered batch by batch, as one array of them that
    #: torch can read would be a large copy.
    is_gathered: Any = False

    #: Private: the encoded rows of the other columns of a frame, and the number of images of a
    #: sample, which stand one below the other. Only the estimators set them, for frames.
    table: Any = None
    n_images: Any = 1

    #: The number of dimensions of the array that the source represents.
    ndim = 4

    #: The word for the images in messages about their levels.
    noun = "files"

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of images."""

    @abstractmethod
    def take(self, indices: NDArray[Any] | slice) -> "ImageSource":
        """Return a source of some of the images, and read none of them.

        Parameters
        ----------
        indices : ndarray of int, or slice
            Which images, in which order. One may come more than once.

        Returns
        -------
        ImageSource
        """

    @abstractmethod
    def batch(self, indices: NDArray[Any] | slice) -> NDArray[Any]:
        """Return some of the images as an array. Callers use `read`, which checks the array.

        Parameters
        ----------
        indices : ndarray of int, or slice
            Which images.

        Returns
        -------
        ndarray of shape (m, H, W, C), of the dtype of the source
        """

    @abstractmethod
    def keys(self) -> list[Any]:
        """Return a key for each image, equal for equal images, if possible without reading them.

        Images with equal keys never stand on both sides of a split.

        Returns
        -------
        list of n hashables
        """

    def names(self) -> Sequence[Any]:
        """Return names for messages about the levels of images: their keys, such as paths.

        Returns
        -------
        sequence of n objects
        """
        return self.keys()

    def contents(self) -> Iterator[bytes]:
        """Yield for each image the bytes that identify it in a cache, in this and later processes.

        Yields
        ------
        bytes
        """
        for images in blocks(self):
            # Views with other strides hold the same bytes in another order.
            for image in np.ascontiguousarray(images):
                yield image.tobytes()

    def marks(self) -> Iterator[bytes]:
        """Yield for each image bytes that change if the image does, for the key of a checkpoint.

        They are its `contents`, unless there is a cheaper sign, such as the time of a file.

        Yields
        ------
        bytes
        """
        yield from self.contents()

    def resized(self, image_shape: Any) -> "ImageSource":
        """Return a source of the same images in another shape, if the source can resize.

        Parameters
        ----------
        image_shape : tuple of int
            ``(C, H, W)``.

        Returns
        -------
        ImageSource

        Raises
        ------
        ValueError
            If it cannot resize.
        """
        if tuple(image_shape) != tuple(self.image_shape):
            raise ValueError(
                f"Images of shape (C, H, W) = {tuple(image_shape)} are wanted, but X, a "
                f"{type(self).__name__}, holds images of shape {tuple(self.image_shape)} and does "
                "not resize them. Give a source of images of that shape."
            )
        return self

    def plain_form(self) -> Any:
        """Return the form for samplers and scorers: the source, or a simpler form such as paths."""
        return self

    # ------------------------------------------------ what every source has

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """``(n, H, W, C)``."""
        n_channels, height, width = check_image_shape(getattr(self, "image_shape", None))
        return len(self), height, width, n_channels

    def read(self, indices: NDArray[Any] | slice) -> NDArray[Any]:
        """Return some of the images, as `batch` does, and check their shape, dtype and pixels.

        Parameters
        ----------
        indices : ndarray of int, or slice
            Which images.

        Returns
        -------
        ndarray of shape (m, H, W, C)

        Raises
        ------
        ValueError
            If they have another shape or dtype, or pixels that are not finite.
        """
        is_slice = isinstance(indices, slice)
        n_wanted = len(range(*indices.indices(len(self)))) if is_slice else len(indices)
        wanted = (n_wanted, *self.shape[1:])
        # A source need not support an empty batch.
        images = self.batch(indices) if n_wanted else np.empty(wanted, dtype=self.dtype)
        if not isinstance(images, np.ndarray) or (images.shape, images.dtype) != (
            wanted,
            self.dtype,
        ):
            found = getattr(images, "shape", type(images).__name__), getattr(images, "dtype", None)
            raise ValueError(
                f"`{type(self).__name__}.batch` must return an array of shape {wanted} and dtype "
                f"{np.dtype(self.dtype)}. It returned {found[0]}, {found[1]}."
            )
        # Images in memory were checked as a whole.
        if not self.is_in_memory and images.dtype.kind == "f" and not np.isfinite(images).all():
            raise ValueError(
                f"X, a {type(self).__name__}, holds pixels that are not finite. Replace them, or "
                "leave these images out."
            )
        return images

    def __getitem__(self, key: Any) -> Any:
        key, *others = key if isinstance(key, tuple) else (key,)
        if key is Ellipsis:
            key = slice(None)
        is_one = not isinstance(key, slice) and np.ndim(key) == 0
        if not isinstance(key, slice):
            # Masks, lists and negative indices become non-negative indices.
            key = np.arange(len(self))[[key] if is_one else np.asarray(key, dtype=_kind(key))]
        # scikit-learn indexes arrays by (rows, ...); any other tuple asks for pixels.
        others = [other for other in others if other is not Ellipsis]
        if is_one or others:
            return self.read(key)[(0 if is_one else slice(None), *others)]
        return self.take(key)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        images = self.read(slice(None))
        return images if dtype is None else images.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape={self.shape}, dtype={np.dtype(self.dtype)})"

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + size_of_attributes(self)


def _kind(key):
    """Return the dtype of an index; numpy turns an empty list into floats."""
    return None if len(key) else np.intp


#: Arrays of more bytes are not copied as a whole, where torch cannot read them as they are or some
#: of their images are chosen.
MOST_COPIED = 2**26


class ArrayImages(ImageSource):
    """Images that lie in an array.

    Parameters
    ----------
    pixels : ndarray of shape (n, H, W, C)
        The images; they are not copied.
    """

    is_in_memory = True

    #: An attribute here, because the shape of an array is known.
    shape: Any = None

    def __init__(self, pixels):
        self.pixels, self.shape, self.dtype = pixels, pixels.shape, pixels.dtype
        # Samples of fewer dimensions have no image shape; they are only compared.
        self.image_shape: Any = (*pixels.shape[3:], *pixels.shape[1:3])
        is_readable = pixels.flags.c_contiguous and pixels.flags.writeable
        self.is_gathered = pixels.nbytes > MOST_COPIED and not is_readable

    def __len__(self):
        return len(self.pixels)

    def take(self, indices):
        """Return a source of some of the images; a slice, or many images, are not copied."""
        if isinstance(indices, slice) or self.pixels.nbytes <= MOST_COPIED:
            return ArrayImages(self.pixels[indices])
        return ChosenImages(self.pixels, np.arange(len(self.pixels))[indices])

    def batch(self, indices):
        """Return some of the images; a slice makes no copy."""
        return self.pixels[indices]

    #: An array is checked as a whole.
    read = batch

    def keys(self):
        """Return digests of the images."""
        return [digest(content) for content in self.contents()]

    def plain_form(self):
        """Return the array."""
        return self.pixels


class ChosenImages(ArrayImages):
    """Some images of a large array, which are gathered when they are read.

    Parameters
    ----------
    pixels : ndarray of shape (n_all, H, W, C)
        The array.
    rows : ndarray of shape (n,), int
        The places of the images.
    """

    is_gathered = True

    def __init__(self, pixels, rows):
        self._array, self._rows = pixels, rows
        self.shape, self.dtype = (len(rows), *pixels.shape[1:]), pixels.dtype
        self.image_shape = (*pixels.shape[3:], *pixels.shape[1:3])

    @property
    def pixels(self):
        """The images, a copy."""
        return self._array[self._rows]

    def __len__(self):
        return len(self._rows)

    def take(self, indices):
        """Return a source of some of the images."""
        return ChosenImages(self._array, self._rows[indices])

    def batch(self, indices):
        """Return some of the images."""
        return self._array[self._rows[indices]]

    read = batch


class ResampledImages(ImageSource):
    """Images that a sampler made lazily, with their parents.

    Parameters
    ----------
    pixels : ndarray of shape (n, H, W, C)
        The images.
    lineage : ResampledRows of n rows
        The view that the sampler returned.
    """

    is_in_memory = True

    def __init__(self, pixels, lineage):
        self.images, self.lineage = ArrayImages(pixels), lineage
        self.image_shape, self.dtype = self.images.image_shape, self.images.dtype

    def __len__(self):
        return len(self.images)

    def take(self, indices):
        """Return a source of some of the images, with their parents."""
        return ResampledImages(self.images.batch(indices), self.lineage[indices])

    def batch(self, indices):
        """Return some of the images; a slice makes no copy."""
        return self.images.batch(indices)

    def keys(self):
        """Return digests of the images."""
        return self.images.keys()

    def plain_form(self):
        """Return the array."""
        return self.images.pixels


def as_source(images) -> ImageSource:
    """Return a source as it is, and an array (n, H, W, C) as a source."""
    return images if isinstance(images, ImageSource) else ArrayImages(np.asarray(images))


def checked_source(source):
    """Return a source of the user, if it follows the protocol.

    Parameters
    ----------
    source : ImageSource

    Returns
    -------
    ImageSource

    Raises
    ------
    ValueError
        If it is empty, its attributes are wrong, or pixels in memory are not finite.
    """
    name = type(source).__name__
    if len(source) == 0:
        raise ValueError(f"X, a {name}, holds no images. Give at least one.")
    if getattr(source, "dtype", None) not in PIXEL_TYPES:
        raise ValueError(
            f"`{name}.dtype` must be uint8, uint16 or float32. Got "
            f"{getattr(source, 'dtype', None)!r}. Convert the images in `batch`."
        )
    if source.is_in_memory:
        for images in blocks(source):
            if images.dtype.kind == "f" and not np.isfinite(images).all():
                raise ValueError(
                    f"X, a {name}, holds pixels that are not finite. Replace them, or leave these "
                    "images out."
                )
    return source


def blocks(images, n_values=VALUES_AT_ONCE):
    """Yield the images of a source block by block; an array in memory is one block.

    Parameters
    ----------
    images : ImageSource
    n_values : int, default=2_000_000
        Largest number of values in a block; a block has at least one image.

    Yields
    ------
    ndarray of shape (m, H, W, C)
    """
    step = len(images)
    if not images.is_in_memory or images.is_gathered:
        step = max(1, n_values // int(np.prod(images.shape[1:])))
    for start in range(0, len(images), max(1, step)):
        yield images.read(slice(start, start + step))


def digest(content):
    """Return a short digest of some bytes, for comparisons."""
    return blake2b(content, digest_size=16).digest()
