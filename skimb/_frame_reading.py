"""Validation of frames with columns of images, in ``fit`` and after it."""

import numpy as np
from sklearn.utils import check_array, check_consistent_length, check_X_y
from sklearn.utils.validation import validate_data

from skimb._frame_images import (
    FrameImages,
    StackedImages,
    check_image_columns,
    columns_of_images,
    image_columns,
)
from skimb._frames import as_pandas
from skimb._image_files import as_paths, is_paths
from skimb._image_layout import DTYPES, input_type, read_layout
from skimb._image_source import ArrayImages
from skimb._reading import is_source, read_source
from skimb._refusals import refuse_dataset_as_frame, refuse_mixed_depths, refuse_no_images
from skimb._unpacking import unpacked

__all__ = ["check_frame", "fit_frame"]


def fit_frame(estimator, X, y, image_column, image_shape, channels):
    """Validate a frame with columns of images in ``fit``."""
    frame, images = _read_frame(X, image_column)
    # A stand-in for X of one column, with which scikit-learn checks y and its length.
    stand_in = np.zeros((len(frame), 1))
    if y is None:
        check_array(stand_in, estimator=estimator)
    else:
        check_consistent_length(frame, y)
        _, y = check_X_y(stand_in, y, estimator=estimator)
    validate_data(estimator, frame, skip_check_array=True, reset=True)
    if images is None:
        images = _images_of_frame(frame, image_column, image_shape, channels)
    elif image_shape is not None:
        images = images.resized(image_shape)
    n_channels, height, width = images.image_shape
    estimator.image_shape_ = n_channels, height // images.n_images, width
    estimator._fitted_on_rows = False
    estimator._image_column = images.image_column
    estimator._input_form = "NHWC", input_type(images)
    return images, y


def _read_frame(X, image_column, *, is_fitted=False):
    """Return the frame that X is, and its images if they were read before."""
    if not isinstance(X, FrameImages):
        refuse_dataset_as_frame(X, image_column)
        return check_image_columns(X, image_column, is_fitted=is_fitted), None
    if image_column is not None and image_columns(image_column) != image_columns(X.image_column):
        raise ValueError(
            f"`image_column`={image_column!r}, but the images of X were read from the column(s) "
            f"{X.image_column!r}. Give the frame itself."
        )
    return X.given, X


def _images_of_frame(frame, image_column, image_shape, channels):
    """Return the images of a frame, of which those of one sample have one shape."""
    columns = columns_of_images(frame, image_column)
    if all(map(is_paths, columns)):
        # All files are read in one pass, whose errors name all bad ones.
        joint = read_source(np.concatenate([as_paths(column) for column in columns]), image_shape)
        n_rows = len(frame)
        sources = [joint.take(slice(i * n_rows, (i + 1) * n_rows)) for i in range(len(columns))]
    else:
        firsts = [column.iloc[0] for column in columns if len(frame)]
        if all(isinstance(first, np.ndarray) for first in firsts):
            refuse_mixed_depths(firsts, f"A row of the columns {list(image_columns(image_column))}")
        sources = [_images_of_column(column, image_shape, channels) for column in columns]
        kinds = {(source.image_shape, np.dtype(source.dtype).name) for source in sources}
        if len(kinds) > 1:
            raise ValueError(
                f"The columns {list(image_columns(image_column))} hold images of different shapes "
                f"or types: {sorted(kinds)}. Give images of one shape (C, H, W) and one dtype."
            )
    images = sources[0] if len(sources) == 1 else StackedImages(sources)
    return FrameImages(images, frame, image_column)


def _images_of_column(column, image_shape, channels):
    """Return the images that a column of a frame holds as objects."""
    if is_source(column):
        return read_source(column, image_shape)
    name = f"The column {column.name!r}"
    refuse_no_images(column, name, column.name)
    pixels = unpacked(column, name)
    if not isinstance(pixels, np.ndarray) or pixels.ndim < 3:
        kind = type(column.iloc[0]).__name__
        raise ValueError(
            f"{name} must hold paths of image files, or arrays of shape (H, W) or (H, W, C). Got "
            f"{kind}. Give another column as `image_column`."
        )
    pixels = check_array(
        pixels, dtype=list(DTYPES), ensure_2d=False, allow_nd=True, input_name=name
    )
    layout = read_layout(pixels.shape[1:], image_shape=image_shape, channels=channels)
    return ArrayImages(layout.to_channels_last(pixels))


def check_frame(estimator, X, channels):
    """Validate a frame with columns of images after ``fit``."""
    image_column = estimator._image_column
    if isinstance(X, FrameImages) or hasattr(as_pandas(X), "columns"):
        # Missing and further columns are named by scikit-learn.
        given = X.given if isinstance(X, FrameImages) else as_pandas(X)
        validate_data(estimator, given, skip_check_array=True, reset=False)
    frame, images = _read_frame(X, image_column, is_fitted=True)
    check_array(np.zeros((len(frame), 1)), estimator=estimator)
    if images is None:
        images = _images_of_frame(frame, image_column, estimator.image_shape_, channels)
    else:
        images = images.resized(estimator.image_shape_)
    encoder = getattr(estimator, "table_encoder_", None)
    return images if encoder is None else images.encoded(encoder)
