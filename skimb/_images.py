"""Validation of images: arrays of 2, 3 or 4 dimensions become one internal form.

Inside skimb a batch of images is an array of shape ``(n, H, W, C)``, uint8 or float32. This module
finds the layout of an image from the shape of X, and validates X with scikit-learn's own checks,
so that a bad array fails here, before any training step.
"""

from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length, check_X_y
from sklearn.utils.validation import validate_data

from skimb._frame_images import (
    FrameImages,
)
from skimb._frame_reading import check_frame, fit_frame
from skimb._image_layout import DTYPES, input_type, read_layout
from skimb._image_source import (
    ArrayImages,
    ImageSource,
    ResampledImages,
)
from skimb._lazy_rows import ResampledRows
from skimb._lost_differences import refuse_lost_differences
from skimb._pixel_values import (
    check_value_range,
    observed_range,
    refuse_outside,
    warn_of_other_scale,
)
from skimb._reading import is_source, read_source
from skimb._refusals import refuse_columns_of_strings, refuse_one_column_of_numbers
from skimb._stored_arrays import StoredImages, is_stored_array
from skimb._unpacking import unpacked, vector_of
from skimb._view_images import ViewImages, is_large_view

__all__ = [
    "check_images",
    "checked_once",
    "fit_images",
    "number_of_dimensions",
    "warn_of_other_pixels",
]


def number_of_dimensions(X):
    """Return the number of dimensions of an array-like, nested lists included."""
    ndim = getattr(X, "ndim", None)
    if ndim is not None:
        return int(ndim)
    if hasattr(X, "shape"):
        return len(X.shape)
    return np.ndim(X) if isinstance(X, list | tuple) else 2


def checked_once(X, images):
    """Return the images for an inner estimator: arrays as given, files as they were checked.

    Parameters
    ----------
    X : array-like
        Images as they were given.
    images : ImageSource
        The same images as `fit_images` or `check_images` returned them.

    Returns
    -------
    array-like or ImageSource
    """
    return X if images.is_in_memory else images


def _from_array(X, layout, came) -> ImageSource:
    """Return checked pixels as a source, which knows its parents where it came as a view."""
    if is_large_view(X):
        return ViewImages(X, layout)
    pixels = layout.to_channels_last(X)
    return ResampledImages(pixels, came) if isinstance(came, ResampledRows) else ArrayImages(pixels)


def fit_images(
    estimator,
    X,
    y=None,
    *,
    image_shape=None,
    channels=None,
    image_column=None,
    value_range: Any = "auto",
) -> Any:
    """Validate X and y in ``fit``, and read X as images.

    Sets ``n_features_in_``, ``image_shape_``, ``value_range_`` and, for frames,
    ``feature_names_in_``; and for `export_onnx` the axes and the dtype of X.

    Parameters
    ----------
    estimator : estimator
        The estimator whose input X is.
    X : array-like of shape (n, d), (n, H, W), (n, H, W, C) or (n, C, H, W), n paths or ImageSource
        The images.
    y : array-like of shape (n,), default=None
        The target; None: there is no target.
    image_shape, channels
        As in `read_layout`.
    image_column : str or list of str, default=None
        X is a frame, and its images are in these columns.
    value_range : "auto" or pair of numbers, default="auto"
        As in `CNNClassifier`.

    Returns
    -------
    images : ImageSource
        With `image_column` a `FrameImages`, whose other columns are not encoded yet.
    y : ndarray of shape (n,), or None

    Raises
    ------
    ValueError
        If X is empty, not finite, ambiguous or outside the given range, or y is not valid.
    """
    given = check_value_range(value_range)
    y = y if y is None else vector_of(unpacked(y, "y"))
    estimator.__dict__.pop("_image_column", None)
    if image_column is not None or isinstance(X, FrameImages):
        images, y = fit_frame(estimator, X, y, image_column, image_shape, channels)
        _take_range(estimator, images, given)
        return images, y
    if is_source(X):
        check_consistent_length(X, y)
        # A stand-in for X of one column, with which scikit-learn checks y and its length.
        n_samples = X.shape[0] if is_stored_array(X) else len(X)
        stand_in = np.zeros((n_samples, 1))
        if y is None:
            validate_data(estimator, stand_in, reset=True)
        else:
            _, y = validate_data(estimator, stand_in, y, reset=True)
        images = read_source(X, image_shape, channels)
        estimator.image_shape_ = tuple(images.image_shape)
        estimator._fitted_on_rows = False
        axes = "NHWC"
        if isinstance(images, StoredImages):
            # As of an array in memory.
            layout, axes = images.layout, images.layout.axes
            estimator.n_features_in_ = layout.n_features
            estimator._fitted_on_rows = len(layout.row_shape) == 1
        estimator._input_form = axes, input_type(images)
        _take_range(estimator, images, given)
        return images, y
    came = X = unpacked(X)
    refuse_columns_of_strings(X, estimator)
    refuse_one_column_of_numbers(X, estimator)
    if y is None:
        X = _validate(estimator, X, reset=True)
    else:
        X, y = _validate(estimator, X, y=y, reset=True)
    refuse_lost_differences(came, X, "X")
    layout = read_layout(X.shape[1:], image_shape=image_shape, channels=channels)
    estimator.n_features_in_ = layout.n_features
    estimator.image_shape_ = layout.image_shape
    estimator._fitted_on_rows = X.ndim == 2
    images = _from_array(X, layout, came)
    estimator._input_form = layout.axes, input_type(images)
    _take_range(estimator, images, given)
    return images, y


def _take_range(estimator, images, given):
    refuse_outside(images, given)
    estimator._given_range = given
    estimator.value_range_ = observed_range(images) if given is None else given


def check_images(estimator, X, *, channels=None):
    """Validate X after ``fit``, and read it as images of the shape that ``fit`` saw.

    Parameters
    ----------
    estimator : estimator
        The fitted estimator whose input X is.
    X : array-like of shape (n, d), (n, H, W), (n, H, W, C) or (n, C, H, W), n paths or ImageSource
        The images.
    channels
        As in `read_layout`.

    Returns
    -------
    ImageSource

    Raises
    ------
    ValueError
        If X is one image, empty, not finite, ambiguous, of another shape than in ``fit``, or
        outside the range that was given there.
    """
    if getattr(estimator, "_image_column", None) is not None:
        images = check_frame(estimator, X, channels)
        refuse_outside(images, estimator._given_range)
        return images
    if is_source(X):
        images = read_source(X, estimator.image_shape_, channels)
        if isinstance(images, StoredImages):
            _refuse_rows(estimator, images.layout.row_shape)
        refuse_outside(images, estimator._given_range)
        return images
    X = unpacked(X)
    refuse_columns_of_strings(X, estimator)
    _refuse_one_image(estimator, X)
    X = _validate(estimator, X, reset=False)
    _refuse_rows(estimator, X.shape[1:])
    # Flat rows are reshaped as in fit.
    image_shape = estimator.image_shape_ if X.ndim == 2 else None
    layout = read_layout(X.shape[1:], image_shape=image_shape, channels=channels)
    if layout.image_shape != estimator.image_shape_:
        raise ValueError(
            f"{type(estimator).__name__} was fitted on images of shape (C, H, W) = "
            f"{estimator.image_shape_}, but X holds images of shape {layout.image_shape}. Resize "
            "them, or fit again."
        )
    images = _from_array(X, layout, None)
    refuse_outside(images, estimator._given_range)
    return images


def _refuse_one_image(estimator, X):
    """Refuse one image, whose rows or channels would be read as several."""
    if not isinstance(X, np.ndarray) or estimator._fitted_on_rows:
        return
    n_channels, height, width = estimator.image_shape_
    # A channel at the front of a grey image counts one image, as it should.
    grey_or_first = (height, width) if n_channels == 1 else (n_channels, height, width)
    if X.shape in (grey_or_first, (height, width, n_channels)) and X.shape != (1, 1, 1):
        raise ValueError(
            f"X has the shape {X.shape} of one image, and {type(estimator).__name__} reads an "
            "array of images. Give X[np.newaxis]."
        )


def _refuse_rows(estimator, row_shape):
    """Refuse flat rows where ``fit`` saw images."""
    if len(row_shape) == 1 and not estimator._fitted_on_rows:
        raise ValueError(
            f"{type(estimator).__name__} was fitted on images of shape (C, H, W) = "
            f"{estimator.image_shape_}, but X holds flat rows of shape {row_shape}, whose order "
            "is not known. Give images of that shape."
        )


def warn_of_other_pixels(estimator, images):
    """Warn where images are on another scale than those that an estimator was fitted on.

    Parameters
    ----------
    estimator : estimator
        The fitted estimator; it warns only if it has ``_levels``, the `PixelLevels` of its
        training.
    images : ImageSource
        Images as `check_images` returns them.
    """
    if images.shape[1:3] == (1, 1):
        # Embeddings that a new head reads, and other feature vectors, have no common scale.
        return
    warn_of_other_scale(
        type(estimator).__name__,
        getattr(estimator, "_levels", None),
        images,
        fitted_range=estimator.value_range_ if estimator._given_range is None else None,
    )


def _validate(estimator, X, **params) -> Any:
    if is_large_view(X):
        # Its first row stands in for it: the others have the same shape and dtype.
        if (y := params.pop("y", None)) is not None:
            check_consistent_length(X, y)
            _, y = check_X_y(np.zeros((len(X), 1)), y, estimator=estimator)
        _validate(estimator, np.asarray(X[:1]), **params)
        return X if y is None else (X, y)
    # As in scikit-learn: feature names, n_features_in_ and all its error messages.
    if number_of_dimensions(X) > 2:
        params |= {"ensure_2d": False, "allow_nd": True}
    return validate_data(estimator, X, dtype=list(DTYPES), **params)
