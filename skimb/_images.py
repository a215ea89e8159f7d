"""Validation of images: arrays of 2, 3 or 4 dimensions become one internal form.

Inside skimb a batch of images is an array of shape ``(n, H, W, C)``, uint8 or float32. This module
finds the layout of an image from the shape of X, and validates X with scikit-learn's own checks,
so that a bad array fails here, before any training step.
"""

from typing import Any

import numpy as np
from sklearn.utils import check_array, check_consistent_length, check_X_y
from sklearn.utils.validation import validate_data

from skimb._dataset_images import DatasetImages, images_of_column, is_dataset_column
from skimb._frame_images import (
    FrameImages,
    StackedImages,
    check_image_columns,
    image_columns,
    split_frame,
)
from skimb._frames import as_pandas
from skimb._image_files import ImageFiles, as_paths, is_paths, read_images
from skimb._image_layout import ImageLayout, read_layout
from skimb._image_source import (
    ArrayImages,
    ImageSource,
    ResampledImages,
    as_source,
    checked_source,
    digest,
)
from skimb._lazy_rows import ResampledRows
from skimb._lost_differences import refuse_lost_differences
from skimb._params import safe_indexing
from skimb._pil_images import is_pil_images, pil_keys, pil_list, pil_pixels
from skimb._pixel_values import (
    check_value_range,
    observed_range,
    refuse_outside,
    warn_of_other_scale,
)
from skimb._refusals import refuse_columns_of_strings
from skimb._stored_arrays import StoredImages, is_stored_array
from skimb._unpacking import unpacked

__all__ = [
    "ImageLayout",
    "check_images",
    "check_rows",
    "checked_once",
    "displayed_images",
    "displayed_images_by_label",
    "fit_images",
    "is_source",
    "number_of_dimensions",
    "only_images",
    "read_layout",
    "read_source",
    "refuse_lost_differences",
    "resizes",
    "sample_keys",
    "view_of",
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


#: The dtypes of images: uint8 stays, anything else becomes float32.
DTYPES = (np.float32, np.uint8)


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
    X = as_pandas(X)
    X = np.ascontiguousarray(X)
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


def _from_array(pixels, came) -> ImageSource:
    """Return checked pixels as a source, which knows its parents where it came as a view."""
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
    y = y if y is None else unpacked(y, "y")
    estimator.__dict__.pop("_image_column", None)
    if image_column is not None or isinstance(X, FrameImages):
        images, y = _fit_frame(estimator, X, y, image_column, image_shape, channels)
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
        estimator._input_form = axes, _input_type(images)
        _take_range(estimator, images, given)
        return images, y
    came = X = unpacked(X)
    refuse_columns_of_strings(X, estimator)
    if y is None:
        X = _validate(estimator, X, reset=True)
    else:
        X, y = _validate(estimator, X, y=y, reset=True)
    refuse_lost_differences(came, X, "X")
    layout = read_layout(X.shape[1:], image_shape=image_shape, channels=channels)
    estimator.n_features_in_ = layout.n_features
    estimator.image_shape_ = layout.image_shape
    estimator._fitted_on_rows = X.ndim == 2
    images = _from_array(layout.to_channels_last(X), came)
    estimator._input_form = layout.axes, _input_type(images)
    _take_range(estimator, images, given)
    return images, y


def _fit_frame(estimator, X, y, image_column, image_shape, channels):
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
    estimator._input_form = "NHWC", _input_type(images)
    return images, y


def _read_frame(X, image_column):
    """Return the frame that X is, and its images if they were read before."""
    if not isinstance(X, FrameImages):
        return check_image_columns(X, image_column), None
    if image_column is not None and image_columns(image_column) != image_columns(X.image_column):
        raise ValueError(
            f"`image_column`={image_column!r}, but the images of X were read from the column(s) "
            f"{X.image_column!r}. Give the frame itself."
        )
    return X.given, X


def _images_of_frame(frame, image_column, image_shape, channels):
    """Return the images of a frame, of which those of one sample have one shape."""
    columns, others = split_frame(frame, image_column)
    if all(map(is_paths, columns)):
        # All files are read in one pass, whose errors name all bad ones.
        joint = read_source(np.concatenate([as_paths(column) for column in columns]), image_shape)
        n_rows = len(frame)
        sources = [joint.take(slice(i * n_rows, (i + 1) * n_rows)) for i in range(len(columns))]
    else:
        sources = [_images_of_column(column, image_shape, channels) for column in columns]
        kinds = {(source.image_shape, np.dtype(source.dtype).name) for source in sources}
        if len(kinds) > 1:
            raise ValueError(
                f"The columns {list(image_columns(image_column))} hold images of different shapes "
                f"or types: {sorted(kinds)}. Give images of one shape (C, H, W) and one dtype."
            )
    images = sources[0] if len(sources) == 1 else StackedImages(sources)
    return FrameImages(images, others, frame, image_column)


def _images_of_column(column, image_shape, channels):
    """Return the images that a column of a frame holds as objects."""
    if is_source(column):
        return read_source(column, image_shape)
    name = f"The column {column.name!r}"
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


def _check_frame(estimator, X, channels):
    """Validate a frame with columns of images after ``fit``."""
    image_column = estimator._image_column
    if isinstance(X, FrameImages) or hasattr(as_pandas(X), "columns"):
        # Missing and further columns are named by scikit-learn.
        given = X.given if isinstance(X, FrameImages) else as_pandas(X)
        validate_data(estimator, given, skip_check_array=True, reset=False)
    frame, images = _read_frame(X, image_column)
    check_array(np.zeros((len(frame), 1)), estimator=estimator)
    if images is None:
        images = _images_of_frame(frame, image_column, estimator.image_shape_, channels)
    else:
        images = images.resized(estimator.image_shape_)
    encoder = getattr(estimator, "table_encoder_", None)
    return images if encoder is None else images.encoded(encoder)


def _input_type(images):
    """Return the dtype in which an exported network takes such images."""
    return "uint8" if images.dtype == np.uint8 else "float32"


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
        If X is empty, not finite, ambiguous, of another shape than in ``fit``, or outside the range
        that was given there.
    """
    if getattr(estimator, "_image_column", None) is not None:
        images = _check_frame(estimator, X, channels)
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
    images = as_source(layout.to_channels_last(X))
    refuse_outside(images, estimator._given_range)
    return images


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


def _validate(estimator, X, **params):
    # As in scikit-learn: feature names, n_features_in_ and all its error messages.
    if number_of_dimensions(X) > 2:
        params |= {"ensure_2d": False, "allow_nd": True}
    return validate_data(estimator, X, dtype=list(DTYPES), **params)


def check_rows(sampler, X, y, *, numeric):
    """Validate X and y of a resampler, samples of any dimension, and set ``n_features_in_``.

    Parameters
    ----------
    sampler : sampler
        The resampler whose input X is.
    X : array-like of shape (n, ...), ResampledRows, sparse matrix, frame, n paths or ImageSource
        The samples.
    y : array-like of shape (n,)
        The target.
    numeric : bool
        Whether the resampler computes with the samples: then they must be finite numbers. A
        resampler that only selects samples takes strings and missing values too.

    Returns
    -------
    X : ndarray, ResampledRows, ImageSource, sparse matrix or frame
        The samples, in the dtype that they had.
    y : ndarray of shape (n,)
    """
    if isinstance(X, ResampledRows):
        check_consistent_length(X, y)
        # Interpolations of finite samples are finite: it suffices to check the root.
        check_rows(sampler, X.root, np.zeros(len(X.root)), numeric=numeric)
        return X, np.asarray(y)
    if isinstance(X, ImageSource):
        if numeric:
            raise ValueError(
                f"{type(sampler).__name__} computes with pixels, and X, a {type(X).__name__}, "
                "reads its images when they are asked for. Read them first: numpy.asarray(X)."
            )
        check_consistent_length(X, y)
        sampler.n_features_in_ = 1
        return X, np.asarray(y)
    if is_paths(X):
        if numeric:
            raise ValueError(
                f"{type(sampler).__name__} computes with pixels, and X holds paths. Read them "
                "first: skimb.datasets.read_images(paths, image_shape=...)."
            )
        check_consistent_length(X, y)
        sampler.n_features_in_ = 1
        return (X if hasattr(X, "iloc") else np.asarray(X)), np.asarray(y)
    if is_pil_images(X):
        check_consistent_length(X, y)
        if not numeric:
            sampler.n_features_in_ = 1
            rows = np.empty(len(X), dtype=object)
            rows[:] = pil_list(X)
            return (X if hasattr(X, "iloc") else rows), np.asarray(y)
        X = pil_pixels(X)
    if number_of_dimensions(X) > 2:
        X = check_array(
            X,
            dtype="numeric" if numeric else None,
            ensure_2d=False,
            allow_nd=True,
            ensure_all_finite=numeric,
            input_name="X",
            estimator=sampler,
        )
        if 0 in X.shape[1:]:
            raise ValueError(
                f"X holds samples without a value, of shape {X.shape[1:]}. Give samples whose "
                "sides are all at least 1."
            )
        check_consistent_length(X, y)
        sampler.n_features_in_ = int(np.prod(X.shape[1:]))
        if hasattr(sampler, "feature_names_in_"):
            del sampler.feature_names_in_
        return X, np.asarray(y)
    sparse_formats = ["csr", "csc"]
    if numeric:
        return validate_data(sampler, X=X, y=y, reset=True, accept_sparse=sparse_formats)
    if not hasattr(X, "iloc"):
        X = check_array(
            X,
            dtype=None,
            accept_sparse=sparse_formats,
            ensure_all_finite=False,
            estimator=sampler,
        )
    check_consistent_length(X, y)
    return validate_data(sampler, X=X, y=y, reset=True, skip_check_array=True)


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


def displayed_images(X, indices, *, image_shape=None, channels=None):
    """Return some images of X in a form that can be displayed.

    Parameters
    ----------
    X : array-like of shape (n, d), (n, H, W), (n, H, W, C) or (n, C, H, W), or of n paths
        Images; or several columns of paths or arrays in a frame, of which the first is shown.
    indices : array-like of int of shape (m,)
        The indices of the images to return.
    image_shape, channels
        As in `read_layout`; files are resized to `image_shape`, or keep their size.

    Returns
    -------
    list of ndarray of shape (H, W) or (H, W, C), uint8
        Grey images where C is not 3 or 4. Values in [0, 1] or in [0, 255] keep their brightness;
        all others, and dim ones (such as those of 4 bits), are scaled to the range of all returned
        images together.
    """
    X = view_of(as_pandas(X), channels=channels)
    if hasattr(X, "iloc") and X.ndim == 2 and X.dtypes.iloc[0].kind == "O":
        X = X.iloc[:, 0]
    chosen = safe_indexing(X, np.asarray(indices, dtype=np.intp))
    if is_paths(X):
        images = [read_images([path], image_shape=image_shape)[0] for path in as_paths(chosen)]
        deep = [i for i, image in enumerate(images) if image.dtype != np.uint8]
        if deep:
            # Their sizes may differ, but they are scaled together.
            flat = _as_bytes(np.concatenate([images[i].ravel() for i in deep]).astype(np.float64))
            ends = np.cumsum([images[i].size for i in deep])[:-1]
            for i, values in zip(deep, np.split(flat, ends), strict=True):
                images[i] = values.reshape(images[i].shape)
    else:
        channels = "last" if isinstance(X, ImageSource) else channels
        chosen = np.asarray(unpacked(chosen))
        unfolded = image_shape if chosen.ndim == 2 else None
        layout = read_layout(chosen.shape[1:], image_shape=unfolded, channels=channels)
        images = _as_bytes(layout.to_channels_last(chosen).astype(np.float64))
    return [
        image if image.shape[2] in (3, 4) else np.rint(image.mean(axis=2)).astype(np.uint8)
        for image in images
    ]


def displayed_images_by_label(X, indices, **kwargs):
    """Return `displayed_images` by label; all are scaled together.

    Parameters
    ----------
    X : array-like
        Images.
    indices : dict
        The indices of the images for each label.
    **kwargs
        Options of `displayed_images`.

    Returns
    -------
    dict of label to list of ndarray
    """
    everything = [index for chosen in indices.values() for index in chosen]
    shown = iter(displayed_images(X, everything, **kwargs))
    return {label: [next(shown) for _ in chosen] for label, chosen in indices.items()}


def _as_bytes(images):
    if not len(images):
        return images
    low, high = images.min(), images.max()
    if low >= 0:
        low, high = 0, next((top for top in (1, 255) if top / 4 <= high <= top), high)
    return np.rint((images - low) / max(high - low, np.finfo(float).tiny) * 255).astype(np.uint8)
