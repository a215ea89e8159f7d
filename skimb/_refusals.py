"""What X cannot be: paths to one file, files of bytes, data sets with labels, frames of strings."""

import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from skimb._dataset_images import is_dataset
from skimb._image_decoding import image_endings

__all__ = ["holds_paths", "refuse_columns_of_strings", "refuse_no_samples"]

FORMS = (
    "Give X as an array, a list of arrays or of images of Pillow, a tensor, or paths of image files"
)


def refuse_no_samples(X, name="X"):
    """Refuse objects that hold no samples, hold more than samples, or can be read only once.

    Parameters
    ----------
    X : object
        Samples or a target, as they were given.
    name : str, default="X"
        The name of the argument in messages.

    Raises
    ------
    ValueError
        If X is a path, bytes, an open file, a mapping, a set, a data set, a loader or an iterator.
    """
    if name == "X":
        wanted = FORMS
    else:
        wanted = f"Give {name} as an array, a list or a tensor with one value for each sample"
    kind = type(X).__name__
    if isinstance(X, str | os.PathLike):
        _refuse_one_path(os.fspath(X), name, wanted)
    if isinstance(X, bytes | bytearray | memoryview) or hasattr(X, "read"):
        what = "an open file" if hasattr(X, "read") else "bytes"
        raise ValueError(
            f"{name} is {what} ({kind}), which is at most one image. {wanted}: a list, even of one."
        )
    if isinstance(X, Image.Image):
        raise ValueError(f"{name} is one image of Pillow. Give a list of images: [{name}].")
    if isinstance(X, Mapping):
        key = next(iter(X), "key")
        raise ValueError(f"{name} is a {kind}. {wanted}, such as {name}[{key!r}].")
    if _is_of("zarr", "Group", X):
        raise ValueError(f"{name} is a Group of zarr. Give one of its arrays: {name}['images'].")
    if isinstance(X, set | frozenset):
        raise ValueError(f"{name} is a {kind}, which has no order. {wanted}.")
    if _is_of("datasets", "IterableDataset", X):
        raise ValueError(
            f"{name} is an IterableDataset, which has no length. Give a Dataset as "
            "skimb.datasets.DatasetImages(dataset, column='image'), or save it to files."
        )
    if _is_of("torch.utils.data", "DataLoader", X) or isinstance(X, Iterator):
        raise ValueError(
            f"{name} is a {kind}, which has its own order, but the estimator makes its batches "
            f"itself. {wanted}."
        )
    if name == "X":
        _refuse_dataset(X, kind)
        _refuse_items(X)


def _is_of(module, name, X):
    return module in sys.modules and isinstance(X, getattr(sys.modules[module], name, ()))


def _refuse_one_path(path, name, wanted):
    if name != "X":
        raise ValueError(f"{name} is one string, {path!r}. {wanted}.")
    if os.path.isdir(path):
        raise ValueError(
            f"X is the path of a folder, {path!r}. Give the paths of its files: "
            f"skimb.datasets.load_image_folder({path!r}) returns them as `paths`, and the names of "
            "its sub-folders as labels."
        )
    found = "one path" if os.path.exists(path) else "one string, and no file has this name"
    raise ValueError(f"X is {found}: {path!r}. Give a list of paths, even of one: [{path!r}].")


def _refuse_dataset(X, kind):
    if is_dataset(X):
        raise ValueError(
            "X is a Dataset of Hugging Face, which holds images together with labels. Give X = "
            "skimb.datasets.DatasetImages(dataset, column='image') and y = dataset['label']. Its "
            f"columns: {X.column_names}."
        )
    samples = getattr(X, "samples", None)
    is_folder = isinstance(samples, list) and hasattr(X, "__getitem__")
    if is_folder or _is_of("torch.utils.data", "Dataset", X):
        source = "a torch Dataset" if not is_folder else "a data set with `samples`"
        raise ValueError(
            f"X is {source} ({kind}), which returns images and labels together. Give X = "
            "skimb.datasets.DatasetImages(dataset) and y = [label for _, label in dataset], or "
            "arrays: X = np.stack([np.asarray(image) for image, _ in dataset]). An ImageFolder "
            "has paths: X = [path for path, _ in dataset.samples] and y = dataset.targets."
        )


def _refuse_items(X):
    """Refuse lists of bytes, of open files and of mappings, by their first item."""
    if not isinstance(X, list | tuple) or not X:
        return
    first: Any = X[0]
    if isinstance(first, bytes | bytearray) or hasattr(first, "read"):
        what = "open files" if hasattr(first, "read") else "bytes"
        made = "PIL.Image.open(file)" if hasattr(first, "read") else "PIL.Image.open(BytesIO(data))"
        raise ValueError(
            f"X holds {what}. Give paths of image files, or open each of them: {made} returns an "
            "image of Pillow."
        )
    if isinstance(first, Mapping):
        key = next(iter(first), "image")
        raise ValueError(
            f"X holds mappings. Give one entry of each: [item[{key!r}] for item in X], if it is "
            "an image or a path."
        )


def refuse_columns_of_strings(X, estimator):
    """Refuse frames with columns of strings, and say how to name the column of paths.

    Parameters
    ----------
    X : object
        Samples as they were given; only a frame of several columns, or such an array of objects,
        can be refused.
    estimator : estimator
        The estimator that reads X as images.

    Raises
    ------
    ValueError
        If it has a column of strings.
    """
    is_objects = isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind == "O"
    frame: Any = pd.DataFrame(X) if is_objects else X
    if not isinstance(frame, pd.DataFrame) or frame.shape[1] < 2 or len(frame) == 0:
        return
    are_paths = [holds_paths(frame.iloc[:, place]) for place in range(frame.shape[1])]
    if not any(are_paths):
        return
    place = are_paths.index(True)
    if is_objects:
        raise ValueError(
            f"X has {frame.shape[1]} columns, and column {place} holds paths. Give the paths "
            f"alone: X[:, {place}]."
        )
    name = frame.columns[place]
    joint = ""
    if hasattr(estimator, "image_column"):
        joint = (
            f"To learn from the other columns too, name it: {type(estimator).__name__}"
            f"(image_column={name!r}). "
        )
    raise ValueError(
        f"X is a frame of {frame.shape[1]} columns, of which {name!r} holds paths. {joint}To learn "
        f"from the images alone, give X[{name!r}]."
    )


def holds_paths(column):
    """Tell whether a column holds paths, by the kind of its values and by their endings.

    Parameters
    ----------
    column : Series of pandas

    Returns
    -------
    bool
    """
    if column.dtype.kind in "buifcmM":
        return False
    values = column.dropna()
    if len(values) == 0 or not all(isinstance(value, str | os.PathLike) for value in values):
        return False
    first = os.fspath(values.iloc[0])
    ending = os.path.splitext(first)[1].lower()
    return ending in image_endings() or os.path.isfile(first)
