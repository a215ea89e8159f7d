"""Decode one image file: allowed formats only, from regular files only, without losing depth."""

import ctypes
import errno
import logging
import os
import stat
import struct
import sys
import warnings
import zlib
from contextlib import ExitStack, contextmanager
from functools import cache

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from skimb._process import ForkedLock

__all__ = [
    "CHANNEL_MODES",
    "NO_FILE",
    "TOO_LARGE_INTEGERS",
    "check_colours",
    "decode",
    "decode_image",
    "facts_of",
    "image_endings",
    "levels_of",
    "look",
    "look_at_image",
    "strict",
]

#: Pillow's mode for each number of channels.
CHANNEL_MODES = {1: "L", 3: "RGB", 4: "RGBA"}

#: The raster formats that are read; others of Pillow may start a program (Ghostscript) or need one.
FORMATS = (
    "PNG",
    "JPEG",
    "TIFF",
    "BMP",
    "GIF",
    "WEBP",
    "AVIF",
    "JPEG2000",
    "PPM",
    "TGA",
    "DIB",
    "PCX",
    "QOI",
    "SGI",
)

#: Errors that Pillow and its codecs raise on broken files.
BROKEN = (
    OSError,
    SyntaxError,
    EOFError,
    ValueError,
    IndexError,
    KeyError,
    NotImplementedError,
    OverflowError,
    TypeError,
    struct.error,
    zlib.error,
)

#: Why a path cannot be read that leads to no file.
NO_FILE = "no such file"

#: Why integers of 32 bits may not be read.
TOO_LARGE_INTEGERS = "which float32 cannot hold exactly"

#: Tags of TIFF.
WIDTH, HEIGHT, BITS_PER_SAMPLE, PLANES, SAMPLE_FORMAT = 256, 257, 258, 284, 339

#: Weights of red, green and blue in grey, as in Pillow (ITU-R 601).
LUMA = np.array([0.299, 0.587, 0.114])


@cache
def _formats():
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@cache
def image_endings():
    """Return the endings of the files that are read, in lower case and with the dot.

    Returns
    -------
    frozenset of str
    """
    # Some cameras write several JPEG images into one file (MPO): the first one is read.
    known = {*_formats(), "MPO"}
    return frozenset(
        ending for ending, name in Image.registered_extensions().items() if name in known
    )


def decode(path, image_shape):
    """Decode an image file.

    Parameters
    ----------
    path : str
        The file.
    image_shape : tuple of int
        The shape ``(C, H, W)`` to convert and resize to.

    Returns
    -------
    pixels : ndarray of shape (H, W, C), uint8, uint16 or float32
        Pixels of more than 8 bits keep their values: uint16 where the file has unsigned integers of
        16 bits, otherwise float32.
    bounds : pair of float, or None
        The least and the largest pixel before resizing; None: they are those of `pixels`.

    Raises
    ------
    ValueError
        If the file cannot be read; the caller adds the path to the message.
    """
    _, height, width = image_shape
    with _Opened(path) as image:
        if _is_deep(image):
            is_colour = image.mode not in ("I", "F") and not image.mode.startswith("I;16")
            values = _deep_colours(path, image) if is_colour else _deep_greys(image)
            return _deep_pixels(values, image_shape)
        # A large JPEG decodes to a smaller size at a fraction of the cost; twice the wanted side
        # is kept, in either orientation, for a good resize.
        image.draft(None, (2 * max(height, width),) * 2)
        ImageOps.exif_transpose(image, in_place=True)
        return _shallow_pixels(image, image_shape), None


def decode_image(image, image_shape):
    """Decode an image of Pillow as `decode` reads a file.

    Parameters
    ----------
    image : PIL.Image.Image
        An image of any mode, whose depth is that of its mode.
    image_shape : tuple of int
        The shape ``(C, H, W)`` to convert and resize to.

    Returns
    -------
    pixels, bounds
        As of `decode`.

    Raises
    ------
    ValueError
        If its file cannot be read, or its pixels do not fit.
    """
    try:
        if image.mode in ("I", "F") or image.mode.startswith("I;16"):
            return _deep_pixels(_deep_greys(image), image_shape)
        # Once the pixels are loaded, only a TIFF file still tells.
        if max(_tag(image, BITS_PER_SAMPLE, 1)) > 8 or ";16" in str(_raw_mode(image)):
            raise _UnfitError(
                "its file has 16 bits per channel, of which Pillow keeps 8; give paths"
            )
        return _shallow_pixels(ImageOps.exif_transpose(image), image_shape), None
    except _UnfitError:
        raise
    except BROKEN as exc:
        raise ValueError(f"broken: {exc}") from exc


def check_colours(image):
    """Refuse an opened image with colours of 16 bits, of which Pillow would keep 8.

    Call it before anything else: once the pixels are loaded, only TIFF files still tell.

    Parameters
    ----------
    image : PIL.Image.Image
        The image.

    Raises
    ------
    ValueError
        If its file has such colours.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return
    if max(_tag(image, BITS_PER_SAMPLE, 1)) > 8 or ";16" in str(_raw_mode(image)):
        raise ValueError("its file has 16 bits per channel, of which Pillow keeps 8; give its path")


def levels_of(pixels, bounds):
    """Return the least and the largest pixel of an image, and the mean.

    Parameters
    ----------
    pixels, bounds
        As `decode` returns them.

    Returns
    -------
    tuple of float
    """
    low, high = (pixels.min(), pixels.max()) if bounds is None else bounds
    return float(low), float(high), float(pixels.mean(dtype=np.float64))


def _shallow_pixels(image, image_shape):
    """Return the pixels of an upright image of 8 bits per channel."""
    n_channels, height, width = image_shape
    image, mode = _natural(image), CHANNEL_MODES[n_channels]
    if image.mode != mode:
        image = image.convert(mode)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(height, width, n_channels)


def look(path):
    """Return the shape of an image, ``(C, H, W)``, from its header.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    tuple of int
    """
    with _Opened(path) as image:
        return look_at_image(image)


def facts_of(path):
    """Return what the header of an image file tells.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    format, mode : str
    width, height : int
        As the image is meant to be seen.
    orientation : int
        How a camera was held (EXIF), from 1, upright, to 8.

    Raises
    ------
    ValueError
        If the file cannot be read; the caller adds the path to the message.
    """
    with _Opened(path) as image:
        _, height, width = look_at_image(image)
        return image.format, image.mode, width, height, image.getexif().get(0x0112, 1)


def look_at_image(image):
    """Return the shape of an image of Pillow, ``(C, H, W)``, as `look` returns that of a file.

    Parameters
    ----------
    image : PIL.Image.Image
        The image.

    Returns
    -------
    tuple of int
    """
    # Some versions of Pillow swap the sides of a TIFF file; its tags hold the stored size.
    width = _tag(image, WIDTH, image.width)[0]
    height = _tag(image, HEIGHT, image.height)[0]
    # Orientations 5 to 8 are turned by 90 degrees.
    if image.getexif().get(0x0112, 1) in (5, 6, 7, 8):
        width, height = height, width
    if image.mode in ("1", "L", "I", "F") or image.mode.startswith("I;16"):
        return 1, height, width
    return 4 if _has_alpha(image) else 3, height, width


# ------------------------------------------------------------------------- deep pixels


def _raw_mode(image):
    """Return the layout of the pixels in the file, as Pillow names it."""
    # Images that were made in memory, or are loaded, have no tiles.
    tiles = getattr(image, "tile", None)
    arguments = tiles[0].args if tiles else ""
    return arguments[0] if isinstance(arguments, tuple) and arguments else arguments


def _is_deep(image):
    """Tell whether a file has more than 8 bits per channel."""
    raw = _raw_mode(image)
    return (
        image.mode in ("I", "F")
        or image.mode.startswith("I;16")
        or (isinstance(raw, str) and ";16" in raw)
        or max(_tag(image, BITS_PER_SAMPLE, 1)) > 8
        or _maxval(image) > 255
    )


def _tag(image, number, default):
    """Return a tag of a TIFF file as a tuple."""
    value = getattr(image, "tag_v2", {}).get(number, default)
    return value if isinstance(value, tuple) else (value,)


def _maxval(image):
    """Return the value of full brightness if a PPM file states it, otherwise 0."""
    if image.format != "PPM" or not image.tile or image.tile[0].codec_name == "raw":
        return 0
    return image.tile[0].args[-1] if isinstance(image.tile[0].args, tuple) else 0


def _deep_pixels(values, image_shape):
    """Return pixels of the given shape, and their bounds before resizing."""
    n_channels, height, width = image_shape
    is_integer = values.dtype.kind in "iu"
    if not is_integer and (n_bad := np.count_nonzero(~np.isfinite(values))):
        raise _UnfitError(f"{n_bad} pixels are not finite")
    low, high = float(values.min()), float(values.max())
    dtype = np.dtype(np.uint16 if values.dtype == np.uint16 else np.float32)
    if is_integer and dtype == np.float32 and np.any(values.astype(dtype) != values):
        raise _UnfitError(f"it has integers up to {max(-low, high):.0f}, {TOO_LARGE_INTEGERS}")
    values = _with_channels(values.reshape(*values.shape[:2], -1), n_channels, dtype)
    if values.shape[:2] != (height, width):
        channels = [
            np.asarray(
                Image.fromarray(np.ascontiguousarray(values[..., c], dtype=np.float32)).resize(
                    (width, height), Image.Resampling.BILINEAR
                )
            )
            for c in range(n_channels)
        ]
        values = np.stack(channels, axis=-1)
    values = np.asarray(values)
    if is_integer and values.dtype.kind == "f":
        values = np.clip(np.rint(values), low, high)
    return values.astype(dtype), (low, high)


def _deep_greys(image):
    """Return a deep grey image as an array of shape (H, W), in the byte order of the machine."""
    # Only files have a format; images of Pillow may be made in memory.
    maxval = _maxval(image) if image.format == "PPM" else 0
    is_unsigned = image.mode == "I" and _is_unsigned(image)
    values = np.asarray(ImageOps.exif_transpose(image))
    if is_unsigned:
        return values.view(np.uint32).astype(np.int64)
    if image.format == "PPM" and image.mode == "I":
        # Pillow has scaled the values to 16 bits.
        scaled = values if maxval == 0 else np.rint(values * (maxval / 65535))
        return scaled.astype(np.uint16)
    return values.astype(values.dtype.newbyteorder("="))


def _is_unsigned(image):
    """Tell whether a TIFF file has unsigned integers of 32 bits, which Pillow reads as signed."""
    return _tag(image, BITS_PER_SAMPLE, 1)[0] == 32 and _tag(image, SAMPLE_FORMAT, 1)[0] == 1


def _deep_colours(path, image):
    """Return an image of 16 bits per channel as uint16 of shape (H, W, C).

    Pillow keeps one byte of each value; the byte order of the raw mode tells which. Reading the
    file in both byte orders gives both bytes.
    """
    raw = _raw_mode(image)
    if raw == "LA;16B":
        whole = _as_raw(image, "RGBA").astype(np.uint16)
        grey, alpha = (whole[..., k] << 8 | whole[..., k + 1] for k in (0, 2))
        return np.stack([grey, grey, grey, alpha], axis=-1)
    name, _, order = str(raw).partition(";16")
    is_known = name in ("RGB", "RGBA", "RGBX") and order in ("L", "B", "N")
    if not is_known or _tag(image, PLANES, 1)[0] != 1:
        raise _UnfitError(
            "it has 16 bits per channel in a form that cannot be read without loss; save it as PNG "
            "or TIFF"
        )
    is_little = order == "L" or (order == "N" and sys.byteorder == "little")
    n_channels = 4 if name == "RGBA" else 3
    upper = np.asarray(ImageOps.exif_transpose(image))[..., :n_channels].astype(np.uint16)
    with _Opened(path) as again:
        lower = _as_raw(again, f"{name};16{'B' if is_little else 'L'}")[..., :n_channels]
    return upper << 8 | lower


def _as_raw(image, raw):
    """Decode an image as if its pixels had another layout in the file."""

    def renamed(arguments):
        return (raw, *arguments[1:]) if isinstance(arguments, tuple) else raw

    image.tile = [tile._replace(args=renamed(tile.args)) for tile in image.tile]
    return np.asarray(ImageOps.exif_transpose(image))


def _with_channels(values, n_channels, dtype):
    """Return values (H, W, C) with another number of channels, as Pillow converts them."""
    n_given = values.shape[2]
    if n_given == n_channels:
        return values
    if n_channels == 1:
        grey = values[..., :3] @ LUMA
        return np.expand_dims(np.rint(grey) if dtype.kind == "u" else grey, 2)
    colours = values[..., :3] if n_given >= 3 else np.repeat(values, 3, axis=2)
    if n_channels == 3:
        return colours
    if dtype != np.uint16:
        raise _UnfitError(
            "it has no alpha channel, and none can be added to such pixels; use C=1 or C=3"
        )
    opaque = np.full((*values.shape[:2], 1), np.iinfo(np.uint16).max, dtype=np.uint16)
    return np.concatenate([colours, opaque], axis=2)


# ------------------------------------------------------------------------- pixels of 8 bits


def _has_alpha(image):
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def _natural(image):
    """Resolve palettes and transparency, which a direct conversion would lose."""
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if _has_alpha(image) else "RGB")
    return image


# ------------------------------------------------------------------------- opening


class _Opened:
    """An opened image; every error or warning of Pillow about a bad file becomes a ValueError."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        try:
            # Opening a pipe or a device could wait forever, and reading it might never end.
            kind = os.stat(self.path).st_mode
            if not stat.S_ISREG(kind):
                raise _NoFileError("a folder" if stat.S_ISDIR(kind) else "no regular file")
            # Not by name: Pillow would map it into memory, and rotates mapped TIFF files wrongly.
            self.file = open(self.path, "rb")
        except BaseException as exc:
            raise self._explained(exc) from exc
        try:
            self.image = Image.open(self.file, formats=_formats())
        except BaseException as exc:
            self.file.close()
            raise self._explained(exc) from exc
        return self.image

    def __exit__(self, kind, exc, traceback):
        self.image.close()
        self.file.close()
        if exc is not None:
            raise self._explained(exc) from exc

    def _explained(self, exc):
        if isinstance(exc, _NoFileError | _UnfitError):
            return exc
        if isinstance(exc, Image.DecompressionBombError | Image.DecompressionBombWarning):
            return ValueError("too many pixels, possibly a decompression bomb")
        is_too_long = isinstance(exc, OSError) and exc.errno == errno.ENAMETOOLONG
        if is_too_long or isinstance(exc, FileNotFoundError | NotADirectoryError):
            return ValueError(NO_FILE)
        if isinstance(exc, PermissionError):
            return ValueError("permission denied")
        if isinstance(exc, UnidentifiedImageError):
            return ValueError("not an image" if os.path.getsize(self.path) else "empty file")
        if isinstance(exc, MemoryError):
            return ValueError("too large for the memory")
        if isinstance(exc, BROKEN):
            return ValueError(f"broken: {exc}")
        return exc


class _UnfitError(ValueError):
    """Raised for images that are not broken, but have pixels that cannot be kept."""


class _NoFileError(ValueError):
    """Raised for paths that do not lead to a regular file."""


class _Strict:
    """Process-wide settings, which all threads that read files at the same time share."""

    def __init__(self):
        self.lock, self.n_readers, self.settings = ForkedLock(), 0, ExitStack()

    def enter(self):
        with self.lock:
            if self.n_readers == 0:
                self.settings.enter_context(warnings.catch_warnings())
                # Odd metadata is no reason to refuse an image or to print a warning.
                warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
                # Pillow only warns of images of 90 million pixels or more; here they are refused.
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                self.settings.enter_context(_quiet_logger())
                self.settings.enter_context(_quiet_libtiff())
            self.n_readers += 1

    def leave(self):
        with self.lock:
            self.n_readers -= 1
            if self.n_readers == 0:
                self.settings.close()


_STRICT = _Strict()


@contextmanager
def strict():
    """Refuse decompression bombs, and keep Pillow and its C libraries quiet, while files are read.

    Use it around a whole set of files, because its settings hold for the whole process. Where
    several threads read at the same time, the last one to finish restores them.
    """
    _STRICT.enter()
    try:
        yield
    finally:
        _STRICT.leave()


@contextmanager
def _quiet_logger():
    """Keep Pillow's errors off the terminal where logging is not set up."""
    logger, handler = logging.getLogger("PIL"), logging.NullHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextmanager
def _quiet_libtiff():
    """Keep libtiff from writing to stderr.

    Its own error handler is replaced. File descriptor 2 must stay open: it belongs to all threads,
    and messages of the others would be lost.
    """
    set_handler = _setter_of_libtiff()
    before = set_handler(None)
    try:
        yield
    finally:
        set_handler(before)


@cache
def _setter_of_libtiff():
    """Return libtiff's function that sets an error handler and returns the previous one."""
    try:
        set_handler = ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler
    except (OSError, AttributeError):
        # Pillow is linked in another way; messages of libtiff do no harm.
        return lambda handler: None
    set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
    return set_handler
