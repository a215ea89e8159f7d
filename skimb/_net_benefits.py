"""Net benefits of one class against the rest, from counts of samples between thresholds."""

import numpy as np

from skimb._messages import shown

__all__ = [
    "checked_probabilities",
    "checked_thresholds",
    "counts_between",
    "curve_and_band",
    "is_of_class",
    "net_benefits",
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
    reached = np.searchsorted(thresholds, y_proba, side="right")
    length = len(thresholds) + 1
    cells = np.where(is_label, 0, length) + reached
    return np.bincount(cells, weights=weight, minlength=2 * length).reshape(2, length)


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


def curve_and_band(
    target,
    place,
    y_proba,
    thresholds,
    *,
    weight=None,
    prior=None,
    n_resamples=0,
    ends=(0.025, 0.975),
    rng,
):
    """Return the net benefits of one class against the rest, and their quantiles in a bootstrap.

    Parameters
    ----------
    target : ndarray of int of shape (n,)
        The class of each sample.
    place : int
        The class.
    y_proba : ndarray of shape (n,)
        The probability of the class.
    thresholds : ndarray of shape (m,)
        Sorted.
    weight : ndarray of shape (n,), default=None
        Sample weights.
    prior : ndarray of shape (n_classes,), default=None
        The fractions of the classes: samples count so that each class has its fraction, and
        resamples hold as many samples of each class as there are. None: those of the samples.
    n_resamples : int, default=0
        The number of resamples.
    ends : pair of float, default=(0.025, 0.975)
        The quantiles.
    rng : RandomState

    Returns
    -------
    curve : ndarray of shape (m,)
    band : ndarray of shape (2, m), or None
        None without resamples.
    """
    own = np.ones(len(target)) if weight is None else weight
    parts = [np.arange(len(target))]
    if prior is not None:
        parts = [np.flatnonzero(target == k) for k in np.unique(target)]

    def counted(times):
        mass = own * times
        if prior is not None:
            mass = mass * (prior / np.bincount(target, mass, minlength=len(prior)))[target]
        return net_benefits(counts_between(target == place, y_proba, thresholds, mass), thresholds)

    curve = counted(np.ones(len(target)))
    if not n_resamples:
        return curve, None
    drawn = []
    for _ in range(n_resamples):
        rows = np.concatenate([rng.choice(part, size=len(part)) for part in parts])
        drawn.append(counted(np.bincount(rows, minlength=len(target))))
    return curve, np.quantile(drawn, ends, axis=0)
