"""Image files: they are read as they are meant to be seen, and errors name the broken ones."""

import math
import os
import reprlib
from functools import partial
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray
from PIL import Image

from skimb._decoded_sets import (
    attempt,
    common_dtype,
    common_shape,
    holds,
    named,
    raise_for,
    wanted_shape,
)
from skimb._frames import as_pandas, column_values
from skimb._image_decoding import decode, levels_of, look, strict
from skimb._image_source import ChosenImages, ImageSource
from skimb._pixel_cache import check_folder, kept_pixels
from skimb._process import in_threads, n_threads

__all__ = ["ImageFiles", "as_paths", "is_paths", "named", "read_images"]

#: Images of at most so many bytes stay in memory once their files are decoded.
MOST_KEPT = 2**26


def is_paths(X):
    """Tell whether X is a list, 1-D array, Series or one-column frame of paths.

    The Series or frame may be of pandas or polars, or an array or a table of pyarrow.

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
        If some of the values are paths and others are not.
    """
    X = column_values(X)
    if isinstance(X, np.ndarray):
        if X.ndim != 1 or X.dtype.kind not in "OUT":
            return False
    elif not isinstance(X, list | tuple):
        return False
    are_paths = [isinstance(path, str | os.PathLike) for path in X]
    if any(are_paths) and not all(are_paths):
        _refuse_no_path(X, are_paths.index(False))
    return len(are_paths) > 0 and all(are_paths)


def _refuse_no_path(paths, place):
    raise ValueError(
        f"Every image must be a path, str or Path, but number {place} of {len(paths)} is "
        f"{_shown(paths[place])}. Replace it by a path, or remove it."
    )


def _shown(value):
    """Return a value for a message: arrays and images by their type and size."""
    if isinstance(value, Image.Image):
        return f"an image of Pillow of mode {value.mode} and size {value.size}"
    if len(getattr(value, "shape", ())) > 0:
        return f"of type {type(value).__name__} and shape {tuple(value.shape)}"
    return reprlib.repr(value)


def as_paths(X):
    """Return paths as an array of str, of shape (n,).

    Parameters
    ----------
    X : list, 1-D array, Series or one-column frame of paths
        Paths for which `is_paths` returns True.

    Returns
    -------
    ndarray of str of shape (n,)
    """
    return np.array([os.fspath(path) for path in column_values(X)], dtype=object)


def _listed(paths: Any):
    """Return the paths that `read_images` is given as a list of str."""
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    else:
        paths = as_pandas(column_values(paths))
        paths = paths.to_numpy() if hasattr(paths, "iloc") else paths
    if isinstance(paths, dict | set | frozenset | bytes):
        raise ValueError(
            "`paths` must be a list, array, Series or one-column frame of paths, which has an "
            f"order. Got a {type(paths).__name__}. Give a list."
        )
    try:
        paths = list(paths)
    except TypeError as exc:
        raise ValueError(
            f"`paths` must be a list, array, Series or one-column frame of paths. Got "
            f"{_shown(paths)}. Give a list of paths."
        ) from exc
    if all(isinstance(row, np.ndarray) and row.shape == (1,) for row in paths):
        paths = [row[0] for row in paths]
    for place, path in enumerate(paths):
        if not isinstance(path, str | os.PathLike):
            _refuse_no_path(paths, place)
    if not paths:
        raise ValueError("`paths` is empty. Give at least one path.")
    return [os.fspath(path) for path in paths]


class ImageFiles(ImageSource):
    """A source of images that reads files, which are decoded when they are needed.

    Parameters
    ----------
    paths : ndarray of str of shape (n,)
        The files.
    image_shape : tuple of int
        The shape ``(C, H, W)`` that the images are converted and resized to.
    dtype : dtype, default=uint8
        The dtype of the whole set: uint8; or uint16 or float32 where the files have more than 8
        bits per channel.
    levels : ndarray of shape (n, 3), default=None
        The least and the largest pixel of each file, and the mean; None: they are not known.
    kept : ImageSource, default=None
        The decoded images; None: files are decoded whenever they are asked for.
    """

    def __init__(self, paths, image_shape, dtype: Any = np.uint8, levels=None, kept=None):
        self.paths, self.image_shape = paths, tuple(image_shape)
        self.dtype, self.levels, self.kept = np.dtype(dtype), levels, kept

    @classmethod
    def checked(cls, paths, image_shape=None):
        """Open every file once, so that all bad files are named before any work.

        Parameters
        ----------
        paths : ndarray of str of shape (n,)
            The files.
        image_shape : tuple of int, default=None
            As in `read_images`.

        Returns
        -------
        ImageFiles

        Raises
        ------
        ValueError
            As `read_images`.
        """
        with strict():
            image_shape = _resolve_shape(paths, image_shape, n_threads())
            n_channels, height, width = image_shape
            shape, pixels = (len(paths), height, width, n_channels), None
            # The pixels of a larger set are dropped at once: they would fill the memory.
            if math.prod(shape) <= MOST_KEPT:
                pixels = np.empty(shape, dtype=np.uint8)

            def check(place):
                image, bounds = decode(paths[place], image_shape)
                if pixels is not None and image.dtype == np.uint8:
                    pixels[place] = image
                return image.dtype, levels_of(image, bounds)

            found: Any = in_threads(partial(attempt, check), range(len(paths)), n_threads())
        raise_for(paths, found)
        dtypes, levels = zip(*(result for result, _ in found), strict=True)
        dtype, kept = common_dtype(paths, dtypes), None
        if pixels is not None and dtype == np.uint8:
            kept = ChosenImages(pixels, np.arange(len(pixels)))
        return cls(paths, image_shape, dtype, np.array(levels), kept)

    def resized(self, image_shape):
        """Return the same files, resized to another shape."""
        if tuple(image_shape) == self.image_shape:
            return self
        return ImageFiles(self.paths, image_shape, self.dtype, self.levels)

    def __len__(self):
        return len(self.paths)

    def take(self, indices):
        """Return a source of some of the files, without opening any."""
        levels = None if self.levels is None else self.levels[indices]
        kept = None if self.kept is None else self.kept.take(indices)
        return ImageFiles(self.paths[indices], self.image_shape, self.dtype, levels, kept)

    def batch(self, indices):
        """Decode some of the files, unless their images are kept."""
        if self.kept is not None:
            return self.kept.batch(indices)
        paths = self.paths[indices]
        images = np.empty((len(paths), *self.shape[1:]), dtype=self.dtype)

        def fill(place):
            try:
                pixels, _ = decode(paths[place], self.image_shape)
                if not holds(self.dtype, pixels.dtype):
                    raise ValueError(f"it holds {pixels.dtype}, and held {self.dtype} before")
            except ValueError as exc:
                message = (
                    f"{paths[place]} cannot be read as an image any more ({exc}). Restore the "
                    "file, or give the images again."
                )
                raise ValueError(message) from exc
            images[place] = pixels

        with strict():
            in_threads(fill, range(len(paths)), n_threads())
        return images

    def keys(self):
        """Return the paths: files with equal paths count as equal, and no file is opened."""
        return self.paths.tolist()

    def contents(self):
        """Yield the bytes of each file, which is read but not decoded."""
        for path in self.paths:
            try:
                with open(path, "rb") as file:
                    yield file.read()
            except OSError as exc:
                message = (
                    f"{path} cannot be read as an image any more ({exc}). Restore the file, or "
                    "give the images again."
                )
                raise ValueError(message) from exc

    def marks(self):
        """Yield the path, size and time of change of each file, which is not opened."""
        for path in self.paths:
            found = os.stat(path)
            yield f"{path}\0{found.st_size}\0{found.st_mtime_ns}".encode(errors="surrogateescape")

    def plain_form(self):
        """Return the paths, as a user would give them."""
        return self.paths


def read_images(
    paths: Any, *, image_shape: Any = None, n_jobs: int | None = None, cache: Any = None
) -> NDArray[Any]:
    """Read image files into one array.

    Rotations that a camera noted (EXIF) are applied, palettes are resolved, and CMYK becomes RGB.
    Pixels of more than 8 bits keep their values: unsigned integers of 16 bits become uint16, and
    integers of 32 bits, signed integers and floats become float32. Every file is read before an
    error is raised, so that the error can name all bad files. The formats PNG, JPEG, TIFF, BMP,
    GIF, WebP, AVIF, JPEG 2000, PPM, TGA, PCX, QOI and SGI are read, from regular files only.

    Parameters
    ----------
    paths : array-like of shape (n,)
        Paths, str or Path. A single path is read as a list of one.
    image_shape : tuple of int, default=None
        ``(C, H, W)``: each image is converted to C channels (1 grey, 3 RGB, 4 RGBA) and resized.
        None: all images must have one size; they become grey if all of them are grey, RGBA if any
        of them has an alpha channel, and RGB otherwise.
    n_jobs : int, default=None
        Number of threads, as in joblib.
    cache : str or Path, default=None
        A folder in which the decoded images are kept; it is made if it does not exist. Files that
        are there with the same path, size, time of change and image shape are not decoded again,
        by this call or a later one, in any process. The result is a memory map, which need not fit
        in memory. The folder may be deleted at any time between calls, and holds up to 32 GiB:
        after that, sets of files that were used longest ago are removed. None: all images are read
        into memory.

    Returns
    -------
    ndarray of shape (n, H, W, C), uint8, uint16 or float32
        With `cache`, a memmap that can only be read.

    Raises
    ------
    ValueError
        If there is no path; if files are missing, empty, truncated, not images, not regular files,
        or so large that they look like a decompression bomb, or hold pixels that are not finite or
        integers that float32 cannot hold (up to ten files are named, the others counted); if sizes
        differ and `image_shape` is None (the first file that differs is named); if some files
        have 8 bits per channel and others more, because equal numbers would mean different
        brightness (the first file of each kind is named); or if `cache` cannot be written.

    Notes
    -----
    A set of files is one ``.npy`` file in `cache`, which is complete or not there: a process that
    is killed leaves none. A set that shares files with an earlier one, or in which some files have
    changed, is a new ``.npy`` file, for which only the other files are decoded. Its owner alone may
    read it.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skimb.datasets import read_images
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "red.png"
    ...     Image.new("RGB", (6, 4), "red").save(path)
    ...     images = read_images([path], image_shape=(3, 2, 2))
    >>> images.shape, images[0, 0, 0]
    ((1, 2, 2, 3), array([255,   0,   0], dtype=uint8))
    """
    paths, n_used = _listed(paths), effective_n_jobs(n_jobs)
    if cache is not None:
        check_folder(cache)
        with strict():
            image_shape = _resolve_shape(paths, image_shape, n_used)
        return _read_once(np.array(paths, dtype=object), image_shape, n_jobs, cache)
    with strict():
        image_shape = _resolve_shape(paths, image_shape, n_used)
        n_channels, height, width = image_shape
        # Nearly always all files have the depth of the first; pixels of deeper files are set aside.
        first, _ = attempt(lambda path: decode(path, image_shape)[0].dtype, paths[0])
        images = _allocated((len(paths), height, width, n_channels), first or np.dtype(np.uint8))
        deeper = {}

        def fill(i):
            pixels, _ = decode(paths[i], image_shape)
            if holds(images.dtype, pixels.dtype):
                images[i] = pixels
            else:
                deeper[i] = pixels
            return pixels.dtype

        found: Any = in_threads(partial(attempt, fill), range(len(paths)), n_used)
    raise_for(paths, found)
    dtype = common_dtype(paths, [result for result, _ in found])
    if dtype != images.dtype:
        images = images.astype(dtype)
    for i, pixels in deeper.items():
        images[i] = pixels
    return images


def _read_once(paths, image_shape, n_jobs, cache):
    """Return images as a memory map of a folder; those that it lacks are decoded."""

    def decode(places):
        try:
            return read_images(paths[places], image_shape=image_shape, n_jobs=n_jobs)
        except ValueError:
            # The error counts all files.
            find_dtype()
            raise

    def find_dtype():
        return ImageFiles.checked(paths, image_shape).dtype

    absolute = np.array([os.path.abspath(path) for path in paths], dtype=object)
    try:
        marks = list(ImageFiles(absolute, image_shape).marks())
    except (OSError, ValueError):
        find_dtype()
        raise
    return kept_pixels(cache, marks, image_shape, decode, find_dtype)


def _allocated(shape, dtype):
    """Return an empty array, or raise an error that says how large it would be."""
    try:
        return np.empty(shape, dtype=dtype)
    except (MemoryError, ValueError) as exc:
        size = np.prod(shape, dtype=float) * dtype.itemsize / 2**30
        raise ValueError(
            f"{shape[0]} images of shape (H, W, C) = {shape[1:]} take {size:.0f} GiB, more than "
            "can be allocated. Give a smaller image_shape, or give the paths to an estimator: it "
            "decodes them batch by batch."
        ) from exc


def _resolve_shape(paths, image_shape, n_jobs):
    """Return the shape of the images to return: the given one, or the one that all files share."""
    if image_shape is None:
        return common_shape(paths, in_threads(partial(attempt, look), paths, n_jobs))
    return wanted_shape(image_shape)
