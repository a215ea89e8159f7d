"""Validation of the samples of a resampler."""

import numpy as np
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import validate_data

from skimb._image_files import is_paths
from skimb._image_source import ImageSource
from skimb._images import number_of_dimensions
from skimb._lazy_rows import ResampledRows
from skimb._pil_images import is_pil_images, pil_list, pil_pixels

__all__ = ["check_rows"]


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
