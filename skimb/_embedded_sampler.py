"""imbalanced-learn's samplers on images: they see points, and their choice applies to images."""

from collections.abc import Mapping
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
from imblearn.under_sampling.base import BaseCleaningSampler
from scipy import sparse
from sklearn.utils import check_random_state, get_tags

from skimb._containers import matched_rows, select_rows
from skimb._distances import warn_of_long_search
from skimb._messages import shown
from skimb._params import HasMethods
from skimb._plans import sample_indices
from skimb._points import Points
from skimb._rounding import in_dtype
from skimb._sampler_base import ImageSampler
from skimb._sub_estimators import seeded_clone

__all__ = ["EmbeddedSampler"]

#: Parameters of imbalanced-learn's samplers that name labels.
BY_LABEL = ("sampling_strategy", "shrinkage")


class EmbeddedSampler(ImageSampler):
    """Let any sampler of imbalanced-learn resample images, by their pixels or by an embedding.

    Samplers that choose samples (TomekLinks, EditedNearestNeighbours, NearMiss, OneSidedSelection,
    InstanceHardnessThreshold and others) see each image as a point: images are near if they look
    similar to the embedder. The images that they choose are returned unchanged. Samplers that make
    samples up (BorderlineSMOTE, ADASYN, SVMSMOTE) work in pixels, in float, and are rounded back.

    Parameters
    ----------
    sampler : sampler
        A sampler in the style of imbalanced-learn, which is cloned. It gets class indices instead
        of labels, and a `sampling_strategy` that names labels is translated.
    embedder : transformer, default=None
        Maps images to points. A clone is fitted on X and y and transforms all samples; wrap a
        fitted embedder in `sklearn.frozen.FrozenEstimator`. An embedder that does not read images
        gets flattened samples. None: the pixels are the points. Image files need an embedder that
        reads them; of a frame with further columns, a `ColumnTransformer` takes those that count.
    random_state : int, RandomState instance or None, default=None
        The source of the seeds of `sampler` and `embedder`, if they have none.
    lazy : bool, default=False
        Whether to return a view over X, which costs no memory, if X is an array. It must be False
        if `sampler` makes samples.

    Attributes
    ----------
    sampler_ : sampler
        The fitted sampler.
    embedder_ : transformer
        The fitted embedder, where one is given.
    sample_indices_ : ndarray of shape (n_samples_new,)
        For each returned sample its index in X. It is set only if samples were chosen.
    n_features_in_ : int
        Number of values in a sample.

    See Also
    --------
    skimb.over_sampling.SMOTE : Its `embedder` finds neighbours, and pixels are interpolated.

    Examples
    --------
    >>> import numpy as np
    >>> from imblearn.under_sampling import NearMiss
    >>> from sklearn.decomposition import PCA
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.under_sampling import EmbeddedSampler
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> sampler = EmbeddedSampler(NearMiss(), embedder=PCA(10), random_state=0)
    >>> X_res, y_res = sampler.fit_resample(X, y)
    >>> X_res.shape, np.bincount(y_res)
    ((162, 8, 8), array([81, 81]))
    """

    _sampling_type = "bypass"

    _parameter_constraints: dict = {
        "sampler": [HasMethods("fit_resample")],
        "embedder": [HasMethods(["fit", "transform"]), None],
        "random_state": ["random_state"],
        "lazy": ["boolean"],
    }

    #: The strategy of `sampler` counts.
    sampling_strategy = "auto"

    def __init__(self, sampler: Any, *, embedder=None, random_state=None, lazy=False):
        self.sampler = sampler
        self.embedder = embedder
        self.random_state = random_state
        self.lazy = lazy

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = getattr(get_tags(self.sampler), "sampler_tags", None)
        tags.sampler_tags.sample_indices = inner is not None and inner.sample_indices
        return tags

    def _computes(self):
        # An embedder may read anything.
        return self.embedder is None

    def _fit_resample(self, X, y):
        self.__dict__.pop("sample_indices_", None)
        embedding = Points.fit(X, y, self.embedder, self.random_state)
        if embedding.embedder is not None:
            self.embedder_ = embedding.embedder
        points = embedding()
        self.sampler_ = seeded_clone(self.sampler, check_random_state(self.random_state))
        # Some of imbalanced-learn's samplers take labels for positions: they get class indices.
        classes, target = np.unique(y, return_inverse=True)
        strategies = {
            name: by_index(value, classes)
            for name, value in self.sampler_.get_params().items()
            if name.endswith(BY_LABEL) and not isinstance(value, str | Real | None)
        }
        self.sampler_.set_params(**strategies)
        if isinstance(self.sampler_, BaseCleaningSampler):
            # All of these look for neighbours of all samples, those of the majority included.
            warn_of_long_search(points, type(self.sampler_).__name__)
        resampled, new_target = self.sampler_.fit_resample(points, target)
        labels = classes[new_target]
        indices = sample_indices(self.sampler_)
        if indices is None or not _are_rows(resampled, points, indices):
            indices = matched_rows(resampled, new_target, points, target)
        self._found = indices
        if np.all(indices >= 0):
            self.sample_indices_ = indices
            return select_rows(X, self.sample_indices_, lazy=self.lazy), labels
        if self.lazy:
            raise ValueError(
                f"{type(self.sampler).__name__} makes samples up without naming their "
                "parents, which `lazy=True` needs. Use lazy=False."
            )
        if self.embedder is not None:
            raise ValueError(
                f"{type(self.sampler).__name__} makes points up, and no image belongs to a point "
                "of an embedding. Leave `embedder` None, or train a classifier on the embedding: "
                "make_pipeline(embedder, sampler, classifier)."
            )
        if sparse.issparse(X):
            return resampled, labels
        rows = in_dtype(np.asarray(resampled), X.dtype).reshape(-1, *X.shape[1:])
        # Chosen images are returned unchanged, without the rounding of floats.
        is_row = indices >= 0
        rows[is_row] = np.asarray(X[indices[is_row]])
        return rows, labels

    def _origin(self):
        return self._found


def by_index(strategy, classes):
    """Translate a strategy that names labels into one that names class indices.

    Parameters
    ----------
    strategy : dict, list or callable
        As in imbalanced-learn.
    classes : ndarray of shape (n_classes,)
        Labels, sorted.

    Returns
    -------
    dict, list or callable
    """
    if callable(strategy):
        return partial(_call_by_label, strategy, classes)
    unknown = [label for label in strategy if label not in classes]
    if unknown:
        raise ValueError(
            f"`sampling_strategy` (or `shrinkage`) names {shown(unknown)}, which y does not hold. "
            f"Its labels: {shown(classes)}."
        )
    places = [int(place) for place in np.searchsorted(classes, list(strategy))]
    if isinstance(strategy, Mapping):
        return dict(zip(places, strategy.values(), strict=True))
    return places


def _call_by_label(strategy, classes, target):
    return by_index(strategy(classes[target]), classes)


def _are_rows(resampled, points, indices):
    """Tell whether the samples equal those that were named: some samplers name and move them."""
    named = points[indices]
    if sparse.issparse(named):
        return named.shape == resampled.shape and (named != resampled).nnz == 0
    return np.array_equal(resampled, named)
