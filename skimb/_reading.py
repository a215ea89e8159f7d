"""X as a source of images, whatever form it came in, and keys of its samples."""

from typing import Any

import numpy as np

from skimb._dataset_images import DatasetImages, images_of_column, is_dataset_column
from skimb._frame_images import FrameImages
from skimb._frames import as_pandas
from skimb._image_files import ImageFiles, as_paths, is_paths
from skimb._image_source import ArrayImages, ImageSource, as_source, checked_source, digest
from skimb._pil_images import is_pil_images, pil_keys, pil_pixels
from skimb._stored_arrays import StoredImages, is_stored_array
from skimb._unpacking import as_array

__all__ = ["is_source", "read_source", "resizes", "sample_keys", "view_of"]


def is_source(X):
    """Tell whether X is read as images otherwise than as an array in memory.

    It is a source of images, paths, images of Pillow, an array in a file, or a column of a data
    set.
    """
    is_lazy = isinstance(X, ImageSource) or is_stored_array(X) or is_dataset_column(X)
    return is_lazy or is_paths(X) or is_pil_images(X)


def view_of(X, *, channels=None) -> Any:
    """Return arrays in files, and columns of data sets, as sources that are read batch by batch.

    Parameters
    ----------
    X : object
        Images as they were given.
    channels : {"first", "last"}, default=None
        The place of the channels in arrays in files.

    Returns
    -------
    ImageSource, or X if it is anything else
    """
    if is_dataset_column(X):
        return images_of_column(X)
    return StoredImages(X, channels=channels) if is_stored_array(X) else X


def resizes(X):
    """Tell whether images of X are resized to `image_shape`: files, and images of Pillow."""
    is_view = isinstance(X, DatasetImages) or is_dataset_column(X)
    return is_view or is_paths(X) or is_pil_images(X)


def read_source(X, image_shape=None, channels=None) -> ImageSource:
    """Return X as a source of images.

    Parameters
    ----------
    X : object for which `is_source` is True, or ndarray of shape (n, H, W, C)
        Files are opened once, so that bad files are named; a source of images is taken as it is.
    image_shape : tuple of int, default=None
        ``(C, H, W)``: files and images of Pillow are resized to it, and other images must have it;
        None: images keep their own shape.
    channels : {"first", "last"}, default=None
        The place of the channels in arrays in files.

    Returns
    -------
    ImageSource

    Raises
    ------
    ValueError
        If files cannot be read, or a source does not follow the protocol or has another shape.
    """
    if is_dataset_column(X):
        X = images_of_column(X)
    if isinstance(X, DatasetImages):
        return X.checked(image_shape)
    if is_stored_array(X):
        X = StoredImages(X, image_shape=image_shape, channels=channels)
    if isinstance(X, StoredImages):
        X.checked()
    if isinstance(X, ImageSource):
        if X.table is not None and not isinstance(X, FrameImages):
            name = type(X).__name__
            raise ValueError(
                f"`{name}.table` must be None: the attribute is skimb's own. Give it another name. "
                "To train on columns next to the images, give a frame and `image_column`."
            )
        source = checked_source(X)
        return source if image_shape is None else source.resized(image_shape)
    if is_paths(X):
        return ImageFiles.checked(as_paths(X), image_shape)
    if is_pil_images(X):
        pixels = pil_pixels(X, image_shape)
        return ArrayImages(pixels if pixels.dtype == np.uint8 else pixels.astype(np.float32))
    source = as_source(X)
    return source if image_shape is None else source.resized(image_shape)


def sample_keys(X):
    """Return a key for each sample, which is equal for equal arrays and for equal paths.

    Parameters
    ----------
    X : ImageSource, n paths, or array-like of shape (n, ...)

    Returns
    -------
    list of n hashables
    """
    if isinstance(X, ImageSource):
        return X.keys()
    if is_paths(X):
        return as_paths(X).tolist()
    if is_pil_images(X):
        return pil_keys(X)
    if is_source(X):
        return read_source(X).keys()
    X = np.ascontiguousarray(as_array(as_pandas(X)))
    if X.dtype.kind == "O":
        # The bytes of such an array are addresses.
        return [_key_of_row(row) for row in X]
    kind = X.dtype.str, X.shape[1:]
    return [(kind, digest(sample.tobytes())) for sample in X]


def _key_of_row(row):
    """Return a key of a row of objects; missing values are equal."""
    values = np.ravel(row)
    return digest(
        b"\0".join(
            value.tobytes()
            if isinstance(value, np.ndarray)
            else repr(value).encode(errors="surrogateescape")
            for value in values
        )
    )
