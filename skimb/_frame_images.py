"""Images whose paths stand in a column of a frame, beside numbers and categories.

One sample may have several images, in several columns. The images of a sample then stand one below
the other, as one image of their joint height: so a batch of them is one array, of which a network
takes the images apart without a copy.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from skimb._frames import as_pandas
from skimb._image_source import ImageSource
from skimb._table_columns import check_columns

__all__ = [
    "FrameImages",
    "StackedImages",
    "check_image_columns",
    "columns_of_images",
    "image_columns",
    "only_images",
]


def image_columns(image_column):
    """Return the names of the columns of images as a list.

    Parameters
    ----------
    image_column : str or list of str

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If it is neither, or holds a name twice.
    """
    names = [image_column] if isinstance(image_column, str) else image_column
    is_list = isinstance(names, list | tuple) and len(names) > 0
    if not is_list or not all(isinstance(name, str) for name in names):
        raise ValueError(
            "`image_column` must be the name of a column, or a list of names, of which there is at "
            f"least one. Got {image_column!r}."
        )
    if len(set(names)) < len(names):
        raise ValueError(f"`image_column`={image_column!r} holds a name twice. Give it once.")
    return list(names)


def check_image_columns(X, image_column, *, is_fitted=False):
    """Return X as a frame of pandas, if it is a frame that has the columns of images.

    Parameters
    ----------
    X : DataFrame
        Of pandas or polars.
    image_column : str or list of str
    is_fitted : bool, default=False
        Whether the estimator is fitted, so that X has to be a frame.

    Returns
    -------
    DataFrame

    Raises
    ------
    ValueError
        If X is no frame, or a column is missing or there more than once.
    """
    names = image_columns(image_column)
    X = as_pandas(X)
    if not isinstance(X, pd.DataFrame):
        fix = _as_frame(X)
        if not is_fitted:
            fix += " Where X holds images alone, leave `image_column` None."
        raise ValueError(
            f"`image_column`={image_column!r} names a column of a frame, but X is a "
            f"{type(X).__name__}. {fix}"
        )
    known = list(X.columns)
    for name in names:
        if known.count(name) != 1:
            found = known.count(name) or "no"
            found = f"{found} column{'s' * (found != 'no')} of this name"
            raise ValueError(
                f"`image_column` names the column {name!r}, but X has {found}. Its columns: "
                f"{known}."
            )
    others = [name for name in known if name not in names]
    if len(set(others)) < len(others) or not all(isinstance(name, str) for name in others):
        raise ValueError(
            f"The columns of X must have different names, which are strings. Got {known}. Rename "
            "them."
        )
    return X


def only_images(X, image_column):
    """Return the images of a frame, without its other columns.

    Parameters
    ----------
    X : object
        Samples as they were given.
    image_column : str, list of str or None
        The columns of images; None: X holds images alone.

    Returns
    -------
    Series or DataFrame, or X
    """
    if image_column is None:
        return X
    names = image_columns(image_column)
    frame = check_image_columns(X, image_column)
    return frame[names[0] if len(names) == 1 else names]


def _as_frame(X):
    """Return how X becomes a frame."""
    if isinstance(X, pd.Series):
        return "Give a frame: one row of a frame is frame.iloc[[i]], with two brackets."
    if isinstance(X, Mapping):
        return "Give a frame: pandas.DataFrame([X]) of one sample, pandas.DataFrame(X) of columns."
    if isinstance(X, list) and X and isinstance(X[0], Mapping):
        return "Give a frame: pandas.DataFrame(X)."
    if isinstance(X, np.ndarray):
        return (
            "Give a frame of pandas or polars. If a step of a Pipeline made an array of one, let "
            "it keep frames: .set_output(transform='pandas'), and for a ColumnTransformer "
            "verbose_feature_names_out=False. If a meta-estimator did, put it into "
            "skimb.ensemble.ImageMetaEstimator."
        )
    return "Give a frame of pandas or polars."


def other_columns(X, image_column):
    """Return the columns of a frame that are not images, with rows counted from 0."""
    return X.drop(columns=image_columns(image_column)).reset_index(drop=True)


def columns_of_images(X, image_column):
    """Return the columns of images of a frame, and check the others.

    Parameters
    ----------
    X : DataFrame
        As `check_image_columns` returns it.
    image_column : str or list of str

    Returns
    -------
    list of Series
        Their rows are counted from 0.

    Raises
    ------
    ValueError
        If an image is missing, or another column holds neither numbers nor categories.
    """
    names = image_columns(image_column)
    for name in names:
        is_missing = X[name].isna().to_numpy()
        if is_missing.any():
            raise ValueError(
                f"{is_missing.sum()} of {len(X)} rows of X have no image in the column {name!r}; "
                f"the first is row {int(is_missing.argmax())}, counted from 0. Leave these rows "
                "out."
            )
    check_columns(other_columns(X, image_column))
    return [X[name].reset_index(drop=True) for name in names]


class StackedImages(ImageSource):
    """Several images a sample, one below the other.

    Parameters
    ----------
    sources : list of ImageSource
        The first images of all samples, their second images, and so on, all of one shape and dtype.
    """

    def __init__(self, sources):
        self.sources = sources
        first = sources[0]
        n_channels, height, width = first.image_shape
        self.image_shape = n_channels, height * len(sources), width
        self.dtype, self.is_in_memory = first.dtype, all(s.is_in_memory for s in sources)

    @property
    def levels(self):
        """The least, the largest and the mean pixel of each sample, if known."""
        found = [source.levels for source in self.sources]
        if any(levels is None for levels in found):
            return None
        joint = np.stack(found)
        return np.stack(
            [joint[:, :, 0].min(0), joint[:, :, 1].max(0), joint[:, :, 2].mean(0)], axis=1
        )

    def __len__(self):
        return len(self.sources[0])

    def take(self, indices):
        """Return the images of some of the samples."""
        return StackedImages([source.take(indices) for source in self.sources])

    def batch(self, indices):
        """Return the images of some of the samples, in new memory."""
        return np.concatenate([source.read(indices) for source in self.sources], axis=1)

    def resized(self, image_shape):
        """Return the same images, each resized to a shape."""
        return StackedImages([source.resized(image_shape) for source in self.sources])

    def keys(self):
        """Return the keys of the images of each sample."""
        return list(zip(*(source.keys() for source in self.sources), strict=True))

    def contents(self):
        """Yield the contents of the images of each sample."""
        yield from map(b"".join, zip(*(source.contents() for source in self.sources), strict=True))

    def marks(self):
        """Yield the marks of the images of each sample."""
        yield from map(b"".join, zip(*(source.marks() for source in self.sources), strict=True))


class FrameImages(ImageSource):
    """Images with the other columns of their frame.

    Parameters
    ----------
    images : ImageSource
        The images; several of a sample are one below the other.
    given : DataFrame of n rows
        The whole frame, as it was given.
    image_column : str or list of str
        The columns of images.
    table : EncodedTable, default=None
        The other columns as the network reads them; None: they are not encoded yet.
    """

    def __init__(self, images, given, image_column, table: Any = None):
        self.images, self.given = images, given
        self.image_column, self.table = image_column, table
        self.image_shape, self.dtype = images.image_shape, images.dtype
        self.is_in_memory = images.is_in_memory

    @property
    def frame(self):
        """The other columns, in their order, whose rows are counted from 0."""
        return other_columns(self.given, self.image_column)

    @property
    def n_images(self):
        """Number of images of a sample."""
        return len(image_columns(self.image_column))

    @property
    def levels(self):
        """The least, the largest and the mean pixel of each sample, if known."""
        return self.images.levels

    def encoded(self, encoder):
        """Return the same images with their other columns as the network reads them.

        Parameters
        ----------
        encoder : TableEncoder
            Fitted.

        Returns
        -------
        FrameImages
        """
        table = encoder.encode(self.frame)
        return FrameImages(self.images, self.given, self.image_column, table)

    def __len__(self):
        return len(self.images)

    def take(self, indices):
        """Return some of the samples."""
        return FrameImages(
            self.images.take(indices),
            self.given.iloc[indices],
            self.image_column,
            None if self.table is None else self.table.take(indices),
        )

    def batch(self, indices):
        """Return the images of some of the samples."""
        return self.images.read(indices)

    def resized(self, image_shape):
        """Return the same samples with each image resized to a shape."""
        images = self.images.resized(image_shape)
        return FrameImages(images, self.given, self.image_column, self.table)

    def keys(self):
        """Return the keys of the images of each sample."""
        return self.images.keys()

    def keys_of_each(self):
        """Return the keys of the first image of each sample, of the second one, and so on.

        Samples that have any image in common are never separated by a split.
        """
        several = isinstance(self.images, StackedImages)
        return [source.keys() for source in self.images.sources] if several else [self.keys()]

    def contents(self):
        """Yield the content of the images of each sample, and of its other columns."""
        yield from map(b"".join, zip(self.images.contents(), self._rows(), strict=True))

    def marks(self):
        """Yield the marks of the images of each sample, and the content of its other columns."""
        yield from map(b"".join, zip(self.images.marks(), self._rows(), strict=True))

    def _rows(self):
        if self.table is not None:
            yield from self.table.contents()
            return
        for row in self.frame.itertuples(index=False, name=None):
            yield repr(row).encode(errors="surrogateescape")

    def plain_form(self):
        """Return the frame, as it was given."""
        return self.given
