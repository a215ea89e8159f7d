"""Over-sample, then drop samples where the classes overlap: what both combined samplers do."""

from typing import Any

import numpy as np
from imblearn import over_sampling as imbalanced_learn
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skimb._containers import select_rows
from skimb._embedded_sampler import EmbeddedSampler
from skimb._points import Points
from skimb._sampler_base import ImageSampler
from skimb.over_sampling import SMOTE

__all__ = ["over_sample_and_clean"]


def over_sample_and_clean(sampler, X, y, *, smote: Any, cleaner: Any):
    """Over-sample, clean, and tell on the sampler where each sample that stays comes from.

    Parameters
    ----------
    sampler : ImageSampler
        The combined sampler. It gets ``smote_``, ``sample_indices_``, ``parents_`` and ``gaps_``,
        and ``embedder_`` where it has an embedder.
    X : ndarray of shape (n, ...), ResampledRows or sparse matrix
        The samples.
    y : ndarray of shape (n,)
        Their labels.
    smote : sampler or None
        The over-sampler. None: `SMOTE`.
    cleaner : sampler
        A sampler in the style of imbalanced-learn that chooses samples.

    Returns
    -------
    rows : ndarray, ResampledRows or sparse matrix
        The samples that stay: those of X first, in their order, then those that were made.
    labels : ndarray
        Their labels.
    cleaner : sampler
        The fitted cleaner.
    """
    embedder = None
    if sampler.embedder is not None:
        sampler.embedder_ = Points.fit(X, y, sampler.embedder, sampler.random_state).embedder
        embedder = FrozenEstimator(sampler.embedder_)
    sampler.smote_ = _over_sampler(sampler, smote, embedder)
    rows, labels = sampler.smote_.fit_resample(X, y)
    embedded = EmbeddedSampler(cleaner, embedder=embedder, lazy=sampler.lazy)
    embedded.fit_resample(rows, labels)
    if not hasattr(embedded, "sample_indices_"):
        raise ValueError(
            f"{type(cleaner).__name__} makes samples, and {type(sampler).__name__} cleans by a "
            "sampler that chooses some, such as EditedNearestNeighbours or TomekLinks."
        )
    # imbalanced-learn's cleaners return class by class.
    kept = np.sort(embedded.sample_indices_)
    sampler.sample_indices_ = sampler.smote_.sample_indices_[kept]
    made = kept[kept >= len(y)] - len(y)
    parents = getattr(sampler.smote_, "parents_", None)
    if parents is not None:
        sampler.parents_, sampler.gaps_ = parents[made], sampler.smote_.gaps_[made]
    else:
        sampler.parents_, sampler.gaps_ = np.empty((0, 2), dtype=np.intp), np.empty(0)
    return select_rows(rows, kept, lazy=sampler.lazy), labels[kept], embedded.sampler_


def _over_sampler(sampler, given, embedder):
    """Return the over-sampler to fit: one of skimb, which reads images and tells the parents."""
    if given is None:
        return SMOTE(
            sampling_strategy=sampler.sampling_strategy,
            random_state=sampler.random_state,
            embedder=embedder,
            lazy=sampler.lazy,
        )
    if type(given) is imbalanced_learn.SMOTE:
        return SMOTE(**clone(given).get_params(deep=False), embedder=embedder, lazy=sampler.lazy)
    if not isinstance(given, ImageSampler) or given._sampling_type != "over-sampling":
        raise ValueError(
            "`smote` must be an over-sampler of skimb, such as skimb.over_sampling.SMOTE, or "
            f"imbalanced-learn's SMOTE. Got {given!r}. Apply another sampler first: "
            f"imblearn.pipeline.make_pipeline(EmbeddedSampler({type(given).__name__}()), "
            "EmbeddedSampler(cleaner), classifier)."
        )
    copy = clone(given)
    if "lazy" in copy.get_params(deep=False):
        copy.set_params(lazy=sampler.lazy)
    if embedder is not None and "embedder" in copy.get_params(deep=False):
        copy.set_params(embedder=copy.embedder if copy.embedder is not None else embedder)
    return copy
