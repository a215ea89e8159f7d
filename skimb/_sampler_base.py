"""The template of samplers of classes, for samples of any dimension and in any container."""

from typing import Any, Self

import numpy as np
from imblearn.base import BaseSampler
from imblearn.utils import check_sampling_strategy, check_target_type
from scipy import sparse

from skimb._containers import (
    columns_without_numbers,
    in_container,
    plain_labels,
    plain_rows,
    select_target,
)
from skimb._frames import as_pandas
from skimb._image_files import is_paths
from skimb._label_columns import check_labels
from skimb._lazy_rows import is_array
from skimb._params import check_handed_in, fit_context
from skimb._pil_images import is_pil_images
from skimb._plans import indexed_as, origin_of, sample_indices
from skimb._process import within_thread_limit
from skimb._refusals import holds_paths
from skimb._sampler_rows import check_rows
from skimb._unpacking import is_tensor

__all__ = ["ImageSampler"]

#: What NumPy and pandas say of values that are no numbers.
NO_NUMBERS = ("could not convert", "Cannot cast", "setting an array element")


class ImageSampler(BaseSampler):
    """Template of samplers of classes: imbalanced-learn's base, for samples of any dimension.

    A subclass names one of imbalanced-learn's further bases after it, `BaseOverSampler` say, which
    tells what `sampling_strategy` means. ``_makes_rows`` says that samples are made, whose parents
    only a view can tell; ``_wants_images`` says that they are made as images, so that they cannot
    be sparse. ``_computes`` tells whether samples take part in arithmetic; a sampler that only
    selects takes strings and missing values too.
    """

    _wants_images = False
    _makes_rows = False
    _sampling_type: str
    sampling_strategy: Any

    def _computes(self):
        return self._makes_rows

    def fit(self, X: Any, y: Any, **params: Any) -> Self:
        """Check X, y and the strategy, as `fit_resample` does.

        Parameters
        ----------
        X, y
            As in `fit_resample`.
        **params
            As in `fit_resample`.

        Returns
        -------
        self
        """
        return super().fit(plain_rows(X), plain_labels(y, self), **params)

    # The base switches off the checks of estimators that are handed in.
    @fit_context(prefer_skip_nested_validation=False)
    def fit_resample(self, X: Any, y: Any, **params: Any) -> tuple[Any, Any]:
        """Resample the samples.

        Parameters
        ----------
        X : array, memmap, tensor, sparse matrix, frame or list of shape (n, ...); or n paths
            Samples of any dimension; or a list, Series or array of n arrays of one shape or of
            images of Pillow; or a frame or column of polars or pyarrow, an array of h5py or zarr,
            or an `ImageSource`. Samplers that compute with samples need finite numbers.
        y : array-like of shape (n,)
            Labels of any type.
        **params
            Further parameters of the sampler. The samplers of skimb have none.

        Returns
        -------
        X_resampled
            The samples, in the container and of the dtype of X; arrays of h5py and zarr come back
            as `skimb.datasets.StoredImages`. Samples that were chosen are unchanged.
        y_resampled
            Their labels, in the container of y.

        Raises
        ------
        ValueError
            If X, y, a parameter, or a parameter of an estimator that is handed in does not fit.
        """
        if self._makes_rows and getattr(self, "lazy", False) and not _has_rows(X):
            raise ValueError(
                f"`lazy=True` takes arrays and tensors, but X is a {type(X).__name__}, and what is "
                "made of it would not tell its parents. Give an array, or use lazy=False."
            )
        check_handed_in(self)
        plain, target = plain_rows(X), plain_labels(y, self)
        check_labels(target)
        rows, target, _ = self._check_X_y(plain, target)
        self._n_rows = len(target)
        self.sampling_strategy_ = check_sampling_strategy(
            self.sampling_strategy, target, self._sampling_type
        )
        with within_thread_limit():
            resampled, labels = self._fit_resample(rows, target, **params)
        origin = self._origin()
        if np.any(origin < 0):
            _refuse_columns(getattr(self, "sampler", self), plain)
        X_resampled = indexed_as(self, in_container(X, resampled, origin), X, origin)
        indices = sample_indices(self)
        if indices is None:
            # Labels are never made: any sample of the class holds it in its original form.
            classes, first = np.unique(target, return_index=True)
            indices = first[np.searchsorted(classes, labels)]
        return X_resampled, select_target(y, indices, X_resampled)

    def _origin(self):
        return origin_of(self)

    def _check_X_y(self, X, y, accept_sparse=None):
        y, is_one_vs_all = check_target_type(y, indicate_one_vs_all=True)
        if self._wants_images and sparse.issparse(X):
            raise TypeError(
                f"{type(self).__name__} makes images, but X is a sparse matrix. Give X.toarray()."
            )
        if self._makes_rows:
            _refuse_columns(self, X)
        try:
            rows, y = check_rows(self, X, y, numeric=self._computes())
            if self._computes() and isinstance(rows, np.ndarray) and rows.dtype.kind == "O":
                # scikit-learn leaves columns of categories, and those next to them, as they are.
                rows.astype(np.float64)
        except (TypeError, ValueError) as exc:
            # Times and numbers have no type in common, and strings are no numbers.
            is_type = isinstance(exc, TypeError) or any(words in str(exc) for words in NO_NUMBERS)
            others = columns_without_numbers(X) if is_type else []
            if not others:
                raise
            raise ValueError(
                f"{type(self).__name__} compares samples by their numbers, and these columns of X "
                f"hold none: {', '.join(others)}. Encode or drop them, or give an `embedder`."
            ) from exc
        if self._wants_images and sparse.issparse(rows):
            # A frame of sparse columns: it comes out as such again.
            rows = sparse.csr_array(rows).toarray()
        return rows, y, is_one_vs_all

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = not self._computes()
        tags.input_tags.string = not self._computes()
        tags.input_tags.sparse = tags.input_tags.sparse and not self._wants_images
        tags.sampler_tags.sample_indices = True
        return tags


def _refuse_columns(sampler, X):
    """Refuse columns that hold no numbers where samples are made.

    Parameters
    ----------
    sampler : sampler
        The sampler that makes them.
    X : object
        Samples as they came.

    Raises
    ------
    ValueError
        If there are such columns.
    """
    # A column of paths gets a better message.
    others = [] if is_paths(X) or is_pil_images(X) else columns_without_numbers(X)
    if not others:
        return
    frame = as_pandas(X)
    columns = [frame[name] for name in frame.columns] if hasattr(frame, "columns") else []
    images = next((column.name for column in columns if holds_paths(column)), None)
    fix = "Encode or drop them, or let imbalanced-learn's SMOTENC make samples with categories"
    if images is not None:
        fix = (
            "Made samples have no image files. Make them in the embedding: "
            f"DecoupledClassifier(CNNClassifier(image_column={images!r}), sampler=SMOTE()), or a "
            "Pipeline of CNNEmbedder and imbalanced-learn's SMOTENC, as on the page 'Frames of "
            "images in pipelines'"
        )
    raise ValueError(
        f"{type(sampler).__name__} makes samples of numbers, and these columns of X hold none: "
        f"{', '.join(others)}. {fix}. Or choose samples: RandomOverSampler()."
    )


def _has_rows(X):
    return is_array(X) or sparse.issparse(X) or is_tensor(X)
