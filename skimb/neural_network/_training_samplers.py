"""Resample the training part inside a fit: samples, targets and weights together."""

import numpy as np
from sklearn.utils import get_tags

from skimb._containers import matched_rows
from skimb._image_source import as_source
from skimb._plans import apply_plan, sample_indices
from skimb._process import within_thread_limit
from skimb._reading import sample_keys
from skimb._rounding import in_dtype
from skimb._sub_estimators import seeded_clone, takes_images

__all__ = ["resample_training_part"]


def resample_training_part(sampler, images, y, weight, *, rng, is_continuous=False):
    """Apply one sampler, or a list of them in turn.

    A sampler that reads images gets them as they are. Any other sampler gets samples flattened to
    float32. If it only chose samples (it has ``sample_indices_``, or returned samples that it got),
    these are taken from the images; otherwise its samples are rounded back to the dtype of the
    images.

    Parameters
    ----------
    sampler : sampler or list of samplers
        Resamplers in the style of imbalanced-learn.
    images : ImageSource, or ndarray of shape (n, H, W, C)
        The training part.
    y : ndarray of shape (n,)
        Labels as given by the user, so that a strategy can name them; or values of a continuous
        target.
    weight : ndarray of shape (n,)
        Sample weights. A synthetic sample gets the weights of its parents, interpolated by the
        interpolation factor.
    rng : RandomState
        The source of the samplers' seeds.
    is_continuous : bool, default=False
        Whether y is continuous. Samplers may then drop target values and create new ones.

    Returns
    -------
    images, y, weight
        The resampled training part.

    Raises
    ------
    ValueError
        If a sampler made samples whose weights cannot be known, lost a class, or made new labels.
    """
    for step in sampler if isinstance(sampler, list | tuple) else [sampler]:
        n_classes = len(np.unique(y))
        step = seeded_clone(step, rng)
        if takes_images(step):
            # Here images have their channels last, whatever the layout of X.
            known = {"channels": "last", "image_shape": None}
            names = step.get_params(deep=False)
            step.set_params(**{name: value for name, value in known.items() if name in names})
        before = y
        with within_thread_limit():
            images, y, weight = _apply(step, images, y, weight)
        if not is_continuous and not np.isin(y, before).all():
            raise ValueError(
                f"The sampler {step!r} made labels that y does not have: it is for continuous "
                "targets. Give one for classes, such as RandomOverSampler or SMOTE."
            )
        if not is_continuous and len(np.unique(y)) < n_classes:
            raise ValueError(
                f"The sampler {step!r} left no sample of a class. Let it remove fewer samples."
            )
    return images, y, weight


def _apply(sampler, images, labels, weight):
    source = as_source(images)
    # Of a large array, no sampler that only chooses needs a copy.
    is_chosen_from = source.is_gathered and get_tags(sampler).input_tags.string
    if not source.is_in_memory or source.table is not None or is_chosen_from:
        return _apply_to_source(sampler, source, labels, weight)
    images = source.read(slice(None))
    as_images = takes_images(sampler)
    rows = images if as_images else images.reshape(len(images), -1).astype(np.float32)
    resampled, new_labels = sampler.fit_resample(rows, labels)
    resampled, new_labels = np.asarray(resampled), np.asarray(new_labels)
    indices = sample_indices(sampler)
    if as_images and hasattr(sampler, "parents_"):
        return resampled, new_labels, apply_plan(sampler, weight)
    if indices is None:
        # Not all samplers that choose samples return their indices.
        matched = matched_rows(_flat(resampled), new_labels, _flat(rows), labels)
        indices = matched if np.all(matched >= 0) else None
    if indices is not None:
        weight = weight[indices]
        # Some samplers change the samples that they name: then the changed samples count.
        if np.array_equal(resampled, rows[indices]):
            return images[indices], new_labels, weight
    elif np.ptp(weight) > 0:
        raise ValueError(
            f"{sampler!r} makes samples without saying from which, so their sample weights are "
            "unknown. Use a sampler of skimb, or fit without sample_weight."
        )
    resampled = in_dtype(resampled, images.dtype).reshape(-1, *images.shape[1:])
    if indices is None:
        weight = np.full(len(resampled), weight[0])
    return resampled, new_labels, weight


def _apply_to_source(sampler, images, labels, weight):
    """Let a sampler choose among images that are read by batch, with which it cannot compute."""
    as_images = takes_images(sampler)
    if not as_images and not get_tags(sampler).input_tags.string and images.table is not None:
        raise ValueError(
            f"{sampler!r} computes with pixels, and X has other columns beside its images. Give a "
            "sampler that chooses samples, such as RandomOverSampler; or resample embeddings: "
            "DecoupledClassifier(sampler=...)."
        )
    if not as_images and not get_tags(sampler).input_tags.string:
        raise ValueError(
            f"{sampler!r} computes with pixels, and X is read batch by batch. Read the images "
            "first: skimb.datasets.read_images(paths, image_shape=...), or numpy.asarray(X)."
        )
    is_array = images.is_in_memory and images.table is None
    if as_images:
        rows = images if is_array else images.plain_form()
    elif images.table is None and not is_array:
        rows = _column(images.keys())
    else:
        # Where other columns belong to images, equal images do not make equal samples; and all
        # images of an array would have to be read for their keys.
        rows = _column(range(len(images)))
    chosen, new_labels = sampler.fit_resample(rows, labels)
    indices = sample_indices(sampler)
    if indices is None:
        found, known = (
            sample_keys(part) if as_images else np.ravel(part) for part in (chosen, rows)
        )
        indices = matched_rows(_column(found), np.asarray(new_labels), _column(known), labels)
        if np.any(indices < 0):
            raise ValueError(
                f"{sampler!r} returned images that X does not hold. Give a sampler that chooses "
                "among them, such as RandomOverSampler."
            )
    return images[indices], labels[indices], weight[indices]


def _column(keys):
    """Return keys as an array of objects of shape (n, 1)."""
    column = np.empty((len(keys), 1), dtype=object)
    for place, key in enumerate(keys):
        column[place, 0] = key
    return column


def _flat(rows):
    return rows.reshape(len(rows), -1)
