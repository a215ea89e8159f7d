"""What X cannot be: paths to one file, files of bytes, data sets with labels, frames of strings."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from skimb._dataset_images import is_dataset
from skimb._frames import as_pandas, is_foreign, is_polars
from skimb._image_decoding import image_endings
from skimb._optional_libraries import is_of

__all__ = [
    "holds_paths",
    "refuse_columns_of_strings",
    "refuse_dataset_as_frame",
    "refuse_masked",
    "refuse_mixed_depths",
    "refuse_no_images",
    "refuse_no_samples",
    "refuse_one_column_of_numbers",
]

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
        If X is None, a path, bytes, an open file, a mapping, a set, a data set, a loader, an
        iterator or any other single object, or if its items are no samples.
    """
    if name == "X":
        wanted = FORMS
    else:
        wanted = f"Give {name} as an array, a list or a tensor with one value for each sample"
    kind = type(X).__name__
    if X is None:
        # scikit-learn's checks of estimators want its own words for a target.
        what = f"It requires y to be passed, but the target {name}" if name == "y" else name
        raise ValueError(f"{what} is None. {wanted}.")
    if isinstance(X, str | os.PathLike):
        # A string of NumPy, as an array of paths holds, would be shown with its type.
        _refuse_one_path(str(os.fspath(X)), name, wanted)
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
    if is_of("zarr", "Group", X):
        raise ValueError(f"{name} is a Group of zarr. Give one of its arrays: {name}['images'].")
    if isinstance(X, set | frozenset):
        raise ValueError(f"{name} is a {kind}, which has no order. {wanted}.")
    if is_of("datasets", "IterableDataset", X):
        raise ValueError(
            f"{name} is an IterableDataset, which has no length. Give a Dataset as "
            "skimb.datasets.DatasetImages(dataset, column='image'), or save it to files."
        )
    if is_of("torch.utils.data", "DataLoader", X) or isinstance(X, Iterator):
        raise ValueError(
            f"{name} is a {kind}, which has its own order, but the estimator makes its batches "
            f"itself. {wanted}."
        )
    if name == "X":
        _refuse_dataset(X, kind)
        refuse_no_images(X)
    if not any(hasattr(X, method) for method in ("__len__", "__getitem__", "__array__", "shape")):
        raise ValueError(f"{name} is one object of type {kind}. {wanted}.")


def refuse_masked(X, name="X"):
    """Refuse masked values: NumPy, scikit-learn and torch read what stands below the mask.

    Parameters
    ----------
    X : object
        Samples or a target, as they were given.
    name : str, default="X"
        The name of the argument in the message.

    Raises
    ------
    ValueError
        If X is a masked array of NumPy, as readers of NetCDF and GeoTIFF return it, with masked
        values.
    """
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        raise ValueError(
            f"{name} is a masked array, of which {np.ma.count_masked(X)} of {X.size} values are "
            f"masked. Replace them, {name}.filled(value), or leave these samples out."
        )


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
    is_folder = isinstance(samples, list | tuple) and len(samples) > 0
    if is_folder or is_of("torch.utils.data", "Dataset", X):
        source = "a torch Dataset" if not is_folder else "a data set with `samples`"
        raise ValueError(
            f"X is {source} ({kind}), which returns images and labels together. Give X = "
            "skimb.datasets.DatasetImages(dataset) and y = [label for _, label in dataset], or "
            "arrays: X = np.stack([np.asarray(image) for image, _ in dataset]). An ImageFolder "
            "has paths: X = [path for path, _ in dataset.samples] and y = dataset.targets."
        )


def refuse_dataset_as_frame(X, image_column):
    """Refuse a data set of Hugging Face where a frame is wanted, and say how to make one of it.

    Parameters
    ----------
    X : object
        Samples as they were given.
    image_column : str or list of str
        The columns of images.

    Raises
    ------
    ValueError
        If X is such a data set.
    """
    if not is_dataset(X):
        return
    names = [image_column] if isinstance(image_column, str) else list(image_column)
    made = ", ".join(f"{name!r}: list(dataset[{name!r}])" for name in names)
    raise ValueError(
        f"`image_column`={image_column!r} names a column of a frame, but X is a Dataset of Hugging "
        f"Face. Give the frame dataset.remove_columns({names}).to_pandas().assign(**{{{made}}}), "
        "without the column of labels; or, to learn from the images alone, "
        f"skimb.datasets.DatasetImages(dataset, {names[0]!r}), and leave `image_column` None."
    )


def _first_item(X) -> Any:
    """Return the first item of a list or a column, and None where X is neither or is empty."""
    if is_foreign(X):
        X = as_pandas(X.head(1) if is_polars(X) else X.slice(0, 1))
    if hasattr(X, "iloc"):
        if X.ndim == 2 and X.shape[1] != 1:
            return None
        X = (X.iloc[:, 0] if X.ndim == 2 else X).iloc[:1].tolist()
    is_list = isinstance(X, list | tuple | pd.Index)
    is_list = is_list or (isinstance(X, np.ndarray) and X.ndim == 1 and X.dtype.kind == "O")
    return X[0] if is_list and len(X) else None


def refuse_no_images(X, name="X", column=None):
    """Refuse lists and columns of bytes, of open files, of mappings, and of paths with labels.

    Parameters
    ----------
    X : object
        Images as they were given; only their first item is looked at.
    name : str, default="X"
        The name of the images in messages.
    column : str, default=None
        The column of a frame that they are; None: they are no such column.

    Raises
    ------
    ValueError
        If the first item is such an object.
    """
    first = _first_item(X)
    items = "X" if column is None else f"X[{column!r}]"

    def line(made):
        made = f"[{made} for item in {items}]"
        return f"X = {made}" if column is None else f"X = X.assign(**{{{column!r}: {made}}})"

    if isinstance(first, bytes | bytearray) or hasattr(first, "read"):
        what = "open files" if hasattr(first, "read") else "bytes"
        opened = "item" if hasattr(first, "read") else "BytesIO(item)"
        raise ValueError(
            f"{name} holds {what}. Give paths of image files, or images of Pillow: "
            f"{line(f'PIL.Image.open({opened})')}."
        )
    if isinstance(first, Mapping):
        if isinstance(first.get("bytes"), bytes):
            # So parquet files of Hugging Face hold images.
            made = line("PIL.Image.open(BytesIO(item['bytes']))")
            raise ValueError(
                f"{name} holds mappings with the bytes of image files. Open them: {made}."
            )
        key = next(iter(first), "image")
        key = "path" if first.get("path") else "image" if "image" in first else key
        raise ValueError(
            f"{name} holds mappings. Give one entry of each, if it is an image or a path: "
            f"{line(f'item[{key!r}]')}."
        )
    if isinstance(first, tuple | list) and len(first) == 2 and _is_path(first[0]):
        raise ValueError(
            f"{name} holds pairs of a path and a label. Give the paths, X = [path for path, _ in "
            "samples], and the labels, y = [label for _, label in samples]."
        )


def _is_path(value):
    """Tell whether a value is the path of an image file, by its ending, or of another file."""
    if not isinstance(value, str | os.PathLike):
        return False
    path = os.fspath(value)
    ending = os.path.splitext(path)[1].lower()
    return ending in image_endings() or os.path.isfile(path)


def refuse_mixed_depths(rows, name):
    """Refuse arrays of different dtypes, of which equal numbers would mean different brightness.

    Parameters
    ----------
    rows : list of ndarray
        Images, or rows of features: in rows only pixels of 8 and 16 bits are told from others.
    name : str
        Their name in messages.

    Raises
    ------
    ValueError
        If the dtypes differ; the precision of floats does not count.
    """
    first: dict = {}
    for place, row in enumerate(rows):
        dtype = np.dtype(row.dtype)
        is_depth = dtype.name in ("uint8", "uint16") or (row.ndim > 1 and dtype.kind in "biu")
        # The byte order does not count.
        first.setdefault(dtype.newbyteorder("=") if row.ndim and is_depth else "other", place)
        if len(first) > 1:
            one, other = first.values()
            raise ValueError(
                f"{name} holds arrays of different dtypes: number {one} is {rows[one].dtype}, and "
                f"number {other} is {rows[other].dtype}, so equal numbers would mean different "
                "brightness. Give all images in one dtype and on one scale."
            )


def refuse_one_column_of_numbers(X, estimator):
    """Refuse a frame of one column that holds no images: each would have one pixel.

    Parameters
    ----------
    X : object
        Samples as `unpacked` returns them, which are no paths and no images of Pillow.
    estimator : estimator
        The estimator that reads X as images.

    Raises
    ------
    ValueError
        If X is such a frame.
    """
    if not isinstance(X, pd.DataFrame) or X.shape[1] != 1 or len(X) == 0:
        return
    name, dtype = X.columns[0], X.dtypes.iloc[0]
    raise ValueError(
        f"X is a frame of one column, {name!r} of dtype {dtype}, which holds no images. Give "
        f"{type(estimator).__name__} a column of paths, arrays or images of Pillow, or the pixels "
        "of images as an array. To learn from one number a sample, give X.to_numpy()."
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
    return _is_path(values.iloc[0])
