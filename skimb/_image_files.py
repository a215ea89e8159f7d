"""Image files: read as they are meant to be seen, and refused by name where they are broken."""

import os
import warnings
from contextlib import contextmanager
from functools import partial

import numpy as np
from joblib import Parallel, delayed
from PIL import Image, ImageOps, UnidentifiedImageError

__all__ = ["ImageFiles", "as_paths", "is_paths", "read_image", "read_images"]

#: How Pillow calls each number of channels.
MODES = {1: "L", 3: "RGB", 4: "RGBA"}

#: Bad files that an error names; the rest is counted.
MOST_NAMED = 10


def is_paths(X):
    """Tell whether X is a list, 1-D array, Series or one-column frame of paths.

    Parameters
    ----------
    X : object
        What was given as images.

    Returns
    -------
    bool
    """
    if hasattr(X, "iloc"):
        X = X.to_numpy()
        if X.ndim == 2 and X.shape[1] == 1:
            X = X[:, 0]
    if isinstance(X, np.ndarray):
        if X.ndim != 1 or X.dtype.kind not in "OUT":
            return False
    elif not isinstance(X, list | tuple):
        return False
    return len(X) > 0 and all(isinstance(path, str | os.PathLike) for path in X)


def as_paths(X):
    """Return paths as an array of str, of shape (n,).

    Parameters
    ----------
    X : list, 1-D array, Series or one-column frame of paths
        For which `is_paths` holds.

    Returns
    -------
    ndarray of str of shape (n,)
    """
    if hasattr(X, "iloc"):
        X = X.to_numpy().ravel()
    return np.array([os.fspath(path) for path in X], dtype=object)


class ImageFiles:
    """Image files as an array of shape ``(n, H, W, C)`` that is decoded where it is needed.

    Indexing by rows opens no file; ``np.asarray`` decodes.

    Parameters
    ----------
    paths : ndarray of str of shape (n,)
        The files.
    image_shape : tuple of int
        ``(C, H, W)`` that they are converted and resized to.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, paths, image_shape):
        self.paths, self.image_shape = paths, tuple(image_shape)

    @classmethod
    def checked(cls, paths, image_shape=None):
        """Open every file once, so that all bad ones are named before any work.

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
        with _strict():
            image_shape = _resolve_shape(paths, image_shape, Parallel(n_jobs=1))
            check = partial(_readable, image_shape=image_shape)
            _raise_for(paths, [_try(check, path) for path in paths])
        return cls(paths, image_shape)

    @property
    def shape(self):
        """``(n, H, W, C)``."""
        n_channels, height, width = self.image_shape
        return len(self.paths), height, width, n_channels

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, rows):
        return ImageFiles(self.paths[rows], self.image_shape)

    def __array__(self, dtype=None, copy=None):
        images = np.empty(self.shape, dtype=np.uint8)
        with _strict():
            for i, path in enumerate(self.paths):
                try:
                    images[i] = read_image(path, self.image_shape)
                except ValueError as exc:
                    message = f"{path} cannot be read as an image any more ({exc})."
                    raise ValueError(message) from exc
        return images if dtype is None else images.astype(dtype)


def read_images(paths, *, image_shape=None, n_jobs=None):
    """Read image files into one array.

    Rotations that a camera noted (EXIF) are applied, palettes resolved, CMYK becomes RGB, and 16
    bits become 8. Every file is read before an error is raised, so that it can name all bad ones.

    Parameters
    ----------
    paths : array-like of shape (n,)
        Paths, str or Path.
    image_shape : tuple of int, default=None
        ``(C, H, W)``: each image is converted to C channels (1 grey, 3 RGB, 4 RGBA) and resized.
        None: all must have one size; they stay grey where all are, and RGBA where any has alpha.
    n_jobs : int, default=None
        Threads, as in joblib.

    Returns
    -------
    ndarray of shape (n, H, W, C), uint8

    Raises
    ------
    ValueError
        If there is no path; if files are missing, empty, truncated, no images, or so large that
        they look like a decompression bomb (up to ten are named, the others counted); or if sizes
        differ without an `image_shape` (the first that differs is named).

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
    paths = [os.fspath(path) for path in paths]
    if not paths:
        raise ValueError("There is no path to read. Give at least one.")
    parallel = Parallel(n_jobs=n_jobs, prefer="threads")
    with _strict():
        image_shape = _resolve_shape(paths, image_shape, parallel)
        n_channels, height, width = image_shape
        images = np.empty((len(paths), height, width, n_channels), dtype=np.uint8)

        def fill(i):
            images[i] = read_image(paths[i], image_shape)

        _raise_for(paths, parallel(delayed(_try)(fill, i) for i in range(len(paths))))
    return images


def read_image(path, image_shape):
    """Read one image file.

    Parameters
    ----------
    path : str or Path
        The file.
    image_shape : tuple of int
        ``(C, H, W)`` to convert and resize to.

    Returns
    -------
    ndarray of shape (H, W, C), uint8

    Raises
    ------
    ValueError
        If it cannot be read; the message leaves the path to the caller.
    """
    n_channels, height, width = image_shape
    with _Opened(path) as image:
        # A large JPEG decodes to a smaller size at a fraction of the cost; twice the wanted side
        # is left, in either orientation, for a good resize.
        image.draft(None, (2 * max(height, width),) * 2)
        image = _eight_bits(ImageOps.exif_transpose(image))
        image = _natural(image).convert(MODES[n_channels])
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(image).reshape(height, width, n_channels)


@contextmanager
def _strict():
    """Set what Pillow's warnings do while files are read.

    Around all files, not around each: the filters are the whole process's, and threads that set and
    reset them side by side would leave them changed.
    """
    with warnings.catch_warnings():
        # Odd metadata is no reason to refuse a picture, nor to print about it.
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
        # What Pillow only warns of, from 90 million pixels on, is taken for an attack here.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


class _Opened:
    """An opened image; everything that Pillow says of a bad file becomes one ValueError."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        try:
            self.image = Image.open(self.path)
        except BaseException as exc:
            raise self._explained(exc) from exc
        return self.image

    def __exit__(self, kind, exc, traceback):
        self.image.close()
        if exc is not None:
            raise self._explained(exc) from exc

    def _explained(self, exc):
        if isinstance(exc, Image.DecompressionBombError | Image.DecompressionBombWarning):
            return ValueError("too many pixels, maybe a decompression bomb")
        if isinstance(exc, FileNotFoundError):
            return ValueError("no such file")
        if isinstance(exc, UnidentifiedImageError):
            return ValueError("not an image" if os.path.getsize(self.path) else "empty file")
        if isinstance(exc, OSError | SyntaxError | EOFError | ValueError):
            return ValueError(f"broken: {exc}")
        return exc


def _look(path):
    """Return the shape of an image, ``(C, H, W)``, from its header."""
    with _Opened(path) as image:
        width, height = image.size
        # Orientations 5 to 8 stand on a side.
        if image.getexif().get(0x0112, 1) in (5, 6, 7, 8):
            width, height = height, width
        if image.mode in ("1", "L", "I", "F") or image.mode.startswith("I;16"):
            return 1, height, width
        return 4 if _has_alpha(image) else 3, height, width


def _resolve_shape(paths, image_shape, parallel):
    """Return the shape to read to: the given one, or the one that all files share."""
    if image_shape is None:
        return _common_shape(paths, parallel(delayed(_try)(_look, path) for path in paths))
    if len(image_shape) != 3 or image_shape[0] not in MODES or min(image_shape) < 1:
        raise ValueError(
            f"`image_shape` must be (C, H, W) with C one of {tuple(MODES)}. Got {image_shape!r}."
        )
    return tuple(image_shape)


def _common_shape(paths, looks):
    _raise_for(paths, looks)
    shapes = [shape for shape, _ in looks]
    for path, shape in zip(paths, shapes, strict=True):
        if shape[1:] != shapes[0][1:]:
            raise ValueError(
                f"Images differ in size: {paths[0]} is {shapes[0][2]}x{shapes[0][1]}, {path} is "
                f"{shape[2]}x{shape[1]} (width x height). Give image_shape=(C, H, W) to resize "
                "them."
            )
    return max(shape[0] for shape in shapes), *shapes[0][1:]


def _readable(path, *, image_shape):
    """Decode a file and let go of it at once: the pictures of a check would fill the memory."""
    read_image(path, image_shape)
    return True


def _try(function, argument):
    """Return what a function returns, and what it complains of."""
    try:
        return function(argument), None
    except ValueError as exc:
        return None, str(exc)


def _raise_for(paths, results):
    bad = [f"{path} ({why})" for path, (_, why) in zip(paths, results, strict=True) if why]
    if bad:
        named = "; ".join(bad[:MOST_NAMED])
        more = f"; and {len(bad) - MOST_NAMED} more" if len(bad) > MOST_NAMED else ""
        raise ValueError(
            f"{len(bad)} of {len(paths)} files cannot be read as images: {named}{more}. "
            "Mend or remove them."
        )


def _has_alpha(image):
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def _natural(image):
    """Resolve palettes and transparency, which a direct conversion would lose."""
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if _has_alpha(image) else "RGB")
    return image


def _eight_bits(image):
    """Scale deep grey images to 8 bits, where Pillow's own conversion clips them at 255."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode == "I":
        values = np.asarray(image)
        deep = values.max() > 255
        return Image.fromarray(np.clip(values >> (8 if deep else 0), 0, 255).astype(np.uint8))
    if image.mode == "F":
        values = np.asarray(image)
        scale = 255.0 if values.max() <= 1 else 1.0
        return Image.fromarray(np.clip(values * scale, 0, 255).astype(np.uint8))
    return image
