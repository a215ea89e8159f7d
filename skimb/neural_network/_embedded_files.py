"""Image files for an embedder: they are checked once a process, and a row may have several.

A search asks for the embeddings of the same files in each of its fits. A cache of embeddings spares
the network; the checks of `ImageFiles`, which decode every file, are remembered here.
"""

import os
from hashlib import blake2b

import numpy as np
import pandas as pd
from sklearn.utils.validation import validate_data

from skimb._frames import as_pandas
from skimb._image_files import ImageFiles, as_paths, is_paths
from skimb.neural_network._embedding_cache import MemoryCache

__all__ = ["checked_files", "column_form", "columns_of_paths", "paths_in_row_order"]

#: Number of files whose checks a process remembers.
MOST_FILES = 200_000

#: The least and the largest pixel of each file that passed, and the mean: 24 bytes.
_CHECKED = MemoryCache(most_bytes=MOST_FILES * 24)


def checked_files(X, image_shape=None):
    """Return image files as a source; files that this process has checked are not decoded again.

    A file counts as another one as soon as its size, its time of change or its place on the disk
    differs. Files of more than 8 bits a channel are always checked, because their common dtype
    belongs to the whole set.

    Parameters
    ----------
    X : list, 1-D array, Series or one-column frame of n paths
        The files.
    image_shape : tuple of int, default=None
        ``(C, H, W)``, as in `read_images`.

    Returns
    -------
    ImageFiles

    Raises
    ------
    ValueError
        As `read_images`.
    """
    paths = as_paths(X)
    if image_shape is None:
        # The shape that the files share is known from all of them only.
        return ImageFiles.checked(paths, None)
    shape = tuple(image_shape)
    marks = [_mark(path, shape) for path in paths]
    if None in marks:
        # A file is missing: the error names it.
        return ImageFiles.checked(paths, shape)
    known = _CHECKED.get(marks)
    fresh = [i for i, mark in enumerate(marks) if mark not in known]
    if len(fresh) == len(paths):
        return _all_checked(paths, shape, marks)
    if fresh:
        try:
            files = ImageFiles.checked(paths[fresh], shape)
        except ValueError:
            # The error counts all files.
            return _all_checked(paths, shape, marks)
        if files.dtype != np.uint8:
            return _all_checked(paths, shape, marks)
        known.update(_remembered([marks[i] for i in fresh], files))
    return ImageFiles(paths, shape, levels=np.array([known[mark] for mark in marks]))


def _all_checked(paths, shape, marks):
    files = ImageFiles.checked(paths, shape)
    if files.dtype == np.uint8:
        _remembered(marks, files)
    return files


def _remembered(marks, files):
    """Keep the levels of files; return them by mark."""
    _CHECKED.put(marks, files.levels)
    return dict(zip(marks, files.levels, strict=True))


def _mark(path, image_shape):
    """Return a key of a file as it is now, or None where there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    sign = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    return blake2b(repr((path, sign, image_shape)).encode(errors="surrogatepass")).digest()


def column_form(X):
    """Return columns of other libraries, and arrays of columns of paths, in the form of pandas.

    Parameters
    ----------
    X : object
        Images as they were given.

    Returns
    -------
    DataFrame, Series, or X
    """
    if isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "OUT" and X.size:
        return pd.DataFrame(X) if isinstance(X.flat[0], str | os.PathLike) else X
    return as_pandas(X)


def columns_of_paths(X):
    """Return the number of columns of a frame that hold paths, if all of them do; otherwise 1.

    Parameters
    ----------
    X : object
        Images as they were given.

    Returns
    -------
    int
    """
    if not isinstance(X, pd.DataFrame) or X.shape[1] < 2:
        return 1
    return X.shape[1] if all(is_paths(X.iloc[:, i]) for i in range(X.shape[1])) else 1


def paths_in_row_order(embedder, X, *, reset):
    """Return the paths of a frame of several columns, those of each row one after another.

    Parameters
    ----------
    embedder : estimator
        It gets ``n_features_in_`` and ``feature_names_in_`` from the frame, or X is compared with
        them.
    X : DataFrame of shape (n, k)
        Paths.
    reset : bool
        Whether the embedder is fitted on X.

    Returns
    -------
    ndarray of str of shape (n * k,)

    Raises
    ------
    ValueError
        If X has other columns than in ``fit``, or one of them holds no paths.
    """
    if not hasattr(X, "iloc"):
        raise ValueError(
            f"{type(embedder).__name__} was fitted on a frame of {embedder.n_features_in_} columns "
            f"of paths, and X is a {type(X).__name__}. Give a frame with these columns."
        )
    validate_data(embedder, X, reset=reset, skip_check_array=True)
    for name, column in X.items():
        if not is_paths(column):
            raise ValueError(
                f"Every image must be a path, but column {name!r} holds none: {column.dtype}. Give "
                "paths, str or Path."
            )
    return as_paths(X.to_numpy().ravel())
