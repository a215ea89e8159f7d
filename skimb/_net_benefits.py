"""Net benefits of one class against the rest, from counts of samples between thresholds."""

import numpy as np

from skimb._messages import shown

__all__ = [
    "against_rest",
    "checked_probabilities",
    "checked_thresholds",
    "counts_between",
    "counts_by_class",
    "is_of_class",
    "net_benefits",
    "resampled_against_rest",
    "resampled_counts",
    "treat_all",
]


def checked_thresholds(thresholds):
    """Return threshold probabilities as an array; refuse numbers out of their range.

    Parameters
    ----------
    thresholds : array-like of shape (m,)

    Returns
    -------
    ndarray of shape (m,), float64

    Raises
    ------
    ValueError
        If there is none, or one is not from 0 to below 1.
    """
    values = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    if values.ndim != 1 or not len(values) or not ((values >= 0) & (values < 1)).all():
        raise ValueError(
            "`thresholds` must hold probabilities from 0 to below 1: at 1, a false alarm would be "
            f"worth more than any number of found samples. Got {shown(values)}."
        )
    return values


def checked_probabilities(y_proba, *, name="y_proba"):
    """Return probabilities as an array of float64; refuse numbers out of their range.

    Raises
    ------
    ValueError
        If one is not from 0 to 1.
    """
    values = np.asarray(y_proba, dtype=np.float64)
    wrong = values[~((values >= 0) & (values <= 1 + 1e-9))]
    if len(wrong):
        raise ValueError(
            f"`{name}` must hold probabilities from 0 to 1, because a threshold of another score "
            f"stands for no ratio of costs. Got {wrong[0]:.6g}. Give predict_proba, or "
            "calibrate the scores."
        )
    return values


def is_of_class(y_true, label):
    """Tell which samples are of a class; refuse where all or none are.

    Raises
    ------
    ValueError
        If the class or the rest has no sample.
    """
    is_label = np.asarray(y_true) == label
    if is_label.shape != np.shape(y_true) or not is_label.any() or is_label.all():
        raise ValueError(
            f"A net benefit needs samples of {shown(label)} and others. y_true holds "
            f"{shown(np.unique(y_true))}."
        )
    return is_label


def counts_between(is_label, y_proba, thresholds, weight=None):
    """Count the samples between thresholds.

    Parameters
    ----------
    is_label : ndarray of bool of shape (n,)
        Which samples are of the class.
    y_proba : ndarray of shape (n,)
        The probability of the class.
    thresholds : ndarray of shape (m,)
        Sorted.
    weight : ndarray of shape (n,), default=None
        Sample weights.

    Returns
    -------
    ndarray of shape (2, m + 1)
        Samples of the class, and of the rest, that reach as many of the thresholds as the column
        says.
    """
    return counts_by_class(np.where(is_label, 0, 1), 2, y_proba, thresholds, weight)


def counts_by_class(target, n_classes, y_proba, thresholds, weight=None):
    """Count the samples of each class between thresholds.

    Parameters
    ----------
    target : ndarray of int of shape (n,)
        The class of each sample.
    n_classes : int
    y_proba, thresholds, weight
        As in `counts_between`.

    Returns
    -------
    ndarray of shape (n_classes, m + 1)
    """
    length = len(thresholds) + 1
    cells = target * length + np.searchsorted(thresholds, y_proba, side="right")
    counts = np.bincount(cells, weights=weight, minlength=n_classes * length)
    return counts.reshape(n_classes, length)


def net_benefits(counts, thresholds, prior=None):
    """Return the net benefit at each threshold.

    Parameters
    ----------
    counts : ndarray of shape (..., 2, m + 1)
        As `counts_between` returns them.
    thresholds : ndarray of shape (m,)
        Sorted.
    prior : float, default=None
        The fraction of the class. None: that of the counts.

    Returns
    -------
    ndarray of shape (..., m)
        NaN where the counts lack a class whose rate is needed.
    """
    total = counts.sum(axis=-1, keepdims=True)
    # The samples that reach each threshold.
    reaching = total - counts.cumsum(axis=-1)[..., :-1]
    price = thresholds / (1 - thresholds)
    if prior is None:
        # All rates of both classes have the same denominator.
        found, alarms = np.moveaxis(reaching / total.sum(axis=-2, keepdims=True), -2, 0)
        return found - alarms * price
    with np.errstate(invalid="ignore", divide="ignore"):
        found, alarms = np.moveaxis(reaching / total, -2, 0)
    return prior * found - (1 - prior) * alarms * price


def treat_all(thresholds, prior):
    """Return the net benefit of acting on all samples.

    Parameters
    ----------
    thresholds : ndarray of shape (m,)
    prior : float
        The fraction of the class.

    Returns
    -------
    ndarray of shape (m,)
    """
    return prior - (1 - prior) * thresholds / (1 - thresholds)


def against_rest(counts, place, factor):
    """Return the counts of one class and of the rest, where samples count as a factor says.

    Parameters
    ----------
    counts : ndarray of shape (n_classes, m + 1)
        As `counts_by_class` returns them.
    place : int
        The class.
    factor : ndarray of shape (n_classes,)
        What a sample of each class counts.

    Returns
    -------
    ndarray of shape (2, m + 1)
    """
    weighted = counts * factor[:, None]
    return np.stack([weighted[place], np.delete(weighted, place, axis=0).sum(axis=0)])


def resampled_counts(counts, n_resamples, rng):
    """Draw counts as a bootstrap of the samples would give them.

    Samples in one cell are exchangeable, so a multinomial draw of cells is the bootstrap itself.

    Parameters
    ----------
    counts : ndarray of shape (2, m + 1)
        Whole numbers.
    n_resamples : int
    rng : RandomState

    Returns
    -------
    ndarray of shape (n_resamples, 2, m + 1)
    """
    drawn = rng.multinomial(int(counts.sum()), counts.ravel() / counts.sum(), size=n_resamples)
    return drawn.reshape(n_resamples, *counts.shape).astype(np.float64)


def resampled_against_rest(counts, place, factor, n_resamples, rng):
    """Draw counts as a bootstrap within each class would give them, for `against_rest`.

    Parameters
    ----------
    counts, place, factor
        As in `against_rest`; the counts are whole numbers.
    n_resamples : int
    rng : RandomState

    Returns
    -------
    ndarray of shape (n_resamples, 2, m + 1)
    """
    found = np.zeros((n_resamples, 2, counts.shape[1]))
    for k, part in enumerate(counts):
        # Cells without samples are never drawn, and most of a rare class are so.
        cells = np.flatnonzero(part)
        if len(cells):
            share = part[cells] / part.sum()
            drawn = rng.multinomial(int(part.sum()), share, size=n_resamples)
            found[:, int(k != place), cells] += factor[k] * drawn
    return found
