"""imbalanced-learn's samplers on images: they see points, and images follow what they choose."""

from collections.abc import Mapping
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state, get_tags

from skimb._containers import matched_rows, select_rows
from skimb._params import HasMethods
from skimb._plans import sample_indices
from skimb._points import Points
from skimb._rounding import in_dtype
from skimb._sampler_base import ImageSampler
from skimb._sub_estimators import seeded_clone

__all__ = ["EmbeddedSampler"]


class EmbeddedSampler(ImageSampler):
    """Let any sampler of imbalanced-learn resample images, by their pixels or by an embedding.

    Those that choose rows (TomekLinks, EditedNearestNeighbours, NearMiss, OneSidedSelection,
    InstanceHardnessThreshold and others) see each image as a point: what is near is what looks
    alike to the embedder. The images that they choose come back as they were. Those that make rows
    up (BorderlineSMOTE, ADASYN, SVMSMOTE) work in pixels, in float, and are rounded back.

    Parameters
    ----------
    sampler : sampler
        A sampler in the style of imbalanced-learn; it is cloned. It gets class indices for labels,
        and its `sampling_strategy`, which names labels, is translated.
    embedder : transformer, default=None
        Images to points: it is cloned, fitted on X and y, and transforms all rows; wrap a fitted
        one in `sklearn.frozen.FrozenEstimator`. One that does not read images gets flattened rows.
        None: pixels. Image files want an embedder that reads them.
    random_state : int, RandomState instance or None, default=None
        The source of the seeds of `sampler` and `embedder` where they have none.
    lazy : bool, default=False
        Where X is an array, return a view over it, which costs no memory. Not where rows are made.

    Attributes
    ----------
    sampler_ : sampler
        The fitted sampler.
    embedder_ : transformer
        The fitted embedder, where one is given.
    sample_indices_ : ndarray of shape (n_samples_new,)
        For each returned row its index in X; only where rows were chosen.
    n_features_in_ : int
        Values in a row.

    See Also
    --------
    skimb.over_sampling.SMOTE : Its own `embedder` finds neighbours and joins pixels.

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

    #: That of `sampler` counts.
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
        # What an embedder reads is its own affair.
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
            if name.endswith("sampling_strategy") and not isinstance(value, str | Real | None)
        }
        self.sampler_.set_params(**strategies)
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
                f"{type(self.sampler).__name__} makes rows up without naming their parents, which "
                "`lazy=True` wants. Use lazy=False."
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
        # The others are what they were, whatever float made of them.
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
            f"`sampling_strategy` names {unknown}, which y does not hold. Its labels: "
            f"{classes.tolist()}."
        )
    places = [int(place) for place in np.searchsorted(classes, list(strategy))]
    if isinstance(strategy, Mapping):
        return dict(zip(places, strategy.values(), strict=True))
    return places


def _call_by_label(strategy, classes, target):
    return by_index(strategy(classes[target]), classes)


def _are_rows(resampled, points, indices):
    """Tell whether the rows are those that were named: some samplers name rows and move them."""
    named = points[indices]
    if sparse.issparse(named):
        return named.shape == resampled.shape and (named != resampled).nnz == 0
    return np.array_equal(resampled, named)
