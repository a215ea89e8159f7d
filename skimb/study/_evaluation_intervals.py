"""The 95 % intervals of the scores of one model, from resamples of its test images."""

import numpy as np
from scipy.sparse import csr_array, vstack
from sklearn.base import clone

from skimb._class_intervals import wilson_interval
from skimb.study._bootstrap import (
    Images,
    effective_number,
    interval_and_p_value,
    number_of_resamples,
    slopes_of,
)
from skimb.study._count_scores import LabelScores

__all__ = ["error_intervals", "label_intervals"]


def label_intervals(y_true, y_pred, classes, per_class):
    """Return the intervals of the accuracy, and of means over the classes that have samples.

    Samples are taken as independent of each other.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n,)
        Labels, and predicted labels.
    classes : ndarray of shape (n_classes,)
    per_class : DataFrame
        The intervals of each class, as `per_class_intervals` returns them.

    Returns
    -------
    dict of str to (float, float)
        ``accuracy``, ``balanced_accuracy`` and ``f1_macro``.
    """
    place = {label: k for k, label in enumerate(classes.tolist())}
    # Labels of no class are one more, which means over classes leave out.
    n_classes = len(classes)
    truth, predicted = (
        np.array([place.get(label, n_classes) for label in y.tolist()]) for y in (y_true, y_pred)
    )
    low, high = wilson_interval((y_true == y_pred).sum(), len(truth))
    places = np.arange(n_classes + 1)
    parts = LabelScores([], places, 0).parts(truth, predicted)
    images = Images(parts, None, cells=truth * len(places) + predicted)
    found = {"accuracy": (float(low), float(high))}
    ends = _ends(_means_over_classes, images)
    for name, kind, (low, high) in zip(
        ("balanced_accuracy", "f1_macro"), ("recall", "f1"), ends, strict=True
    ):
        if low == high:
            # All resamples are equal, which does not say that all images are.
            there = per_class[per_class["n_true"] > 0]
            low, high = (there[f"{kind}_{end}"].mean() for end in ("low", "high"))
        found[name] = float(low), float(high)
    return found


def _means_over_classes(sums):
    """Return balanced accuracy and macro F1, over the classes that have samples."""
    thirds = np.split(np.asarray(sums, dtype=np.float64), 3, axis=-1)
    hits, predicted, support = (part[..., :-1] for part in thirds)
    is_there = support > 0
    n_there = np.maximum(is_there.sum(axis=-1), 1)
    recall = hits / np.maximum(support, 1e-9)
    f1 = 2 * hits / np.maximum(predicted + support, 1e-9)
    means = [np.where(is_there, one, 0).sum(axis=-1) / n_there for one in (recall, f1)]
    return np.stack(means, axis=-1)


def error_intervals(y_true, y_pred, *, density=None):
    """Return the intervals of mean errors.

    Samples are taken as independent of each other.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n,)
        Values, and predictions.
    density : LabelDensity, default=None
        Its bins are those of the balanced error. None: there is no such error.

    Returns
    -------
    dict of str to (float, float)
        ``mean_absolute_error``, ``root_mean_squared_error``, and perhaps
        ``balanced_mean_absolute_error``.
    """
    error = np.abs(np.asarray(y_pred, dtype=np.float64) - y_true)
    unit = error.mean() or 1.0
    error /= unit
    names = ["mean_absolute_error", "root_mean_squared_error"]
    bins = np.zeros(len(error), dtype=int)
    if density is not None:
        bins = clone(density).fit(y_true).bin_of(y_true)
    # Bins without images have no place.
    bins = np.unique(bins, return_inverse=True)[1]
    n_bins = bins.max() + 1
    where = bins, np.arange(len(error))
    shape = (n_bins, len(error))
    parts = vstack(
        [
            csr_array(np.stack([np.ones(len(error)), error, error**2])),
            csr_array((np.ones(len(error)), where), shape=shape),
            csr_array((error, where), shape=shape),
        ]
    ).tocsr()
    if density is not None:
        names.append("balanced_mean_absolute_error")

    def scores(sums):
        n, total, squares = (np.asarray(sums)[..., i] for i in range(3))
        counts, errors = np.split(np.asarray(sums)[..., 3:], 2, axis=-1)
        is_there = counts > 0
        means = np.where(is_there, errors / np.maximum(counts, 1e-9), 0).sum(axis=-1)
        found = [total / n, np.sqrt(squares / n), means / is_there.sum(axis=-1)]
        return np.stack(found[: len(names)], axis=-1)

    ends = _ends(scores, Images(parts, None))
    return {name: (low * unit, high * unit) for name, (low, high) in zip(names, ends, strict=True)}


def _ends(scores, images):
    """Return the ends of the expanded percentile interval of each score."""
    value = scores(images.sums)
    # The influence of an image is linear in what it adds; their mean is zero, as scores are means.
    numbers = effective_number(images.parts.T @ slopes_of(scores, images.sums), images.times)
    n = number_of_resamples([images], len(value))
    drawn = np.concatenate([scores(sums) for sums in images.resampled_sums(n, random_state=0)])
    ends = []
    for k, number in enumerate(numbers):
        # As differences to the score itself, which is always possible.
        low, high, _ = interval_and_p_value(drawn[:, k] - value[k], number)
        ends.append((float(value[k] + low), float(value[k] + high)))
    return ends
