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


def resampled_counts(counts, n_resamples, rng, *, is_stratified):
    """Draw counts as a bootstrap of the samples would give them.

    Samples in one cell are exchangeable, so a multinomial draw of cells is the bootstrap itself.

    Parameters
    ----------
    counts : ndarray of shape (2, m + 1)
        Whole numbers.
    n_resamples : int
    rng : RandomState
    is_stratified : bool
        Whether each resample holds as many samples of the class as there are.

    Returns
    -------
    ndarray of shape (n_resamples, 2, m + 1)
    """
    parts = counts if is_stratified else counts.reshape(1, -1)
    drawn = [
        rng.multinomial(int(part.sum()), part / part.sum(), size=n_resamples) for part in parts
    ]
    return np.concatenate(drawn, axis=1).reshape(n_resamples, *counts.shape).astype(np.float64)


def curve_and_band(
    is_label,
    y_proba,
    thresholds,
    *,
    weight=None,
    prior=None,
    n_resamples=0,
    ends=(0.025, 0.975),
    rng,
):
    """Return the net benefits at thresholds, and quantiles of them in a bootstrap of the samples.

    Parameters
    ----------
    is_label, y_proba, thresholds, weight
        As in `counts_between`.
    prior : float, default=None
        The fraction of the class; resamples then hold as many samples of the class as there are.
        None: that of the counts.
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
    counts = counts_between(is_label, y_proba, thresholds, weight)
    curve = net_benefits(counts, thresholds, prior)
    if not n_resamples:
        return curve, None
    if weight is None:
        drawn = resampled_counts(counts, n_resamples, rng, is_stratified=prior is not None)
    else:
        parts = [np.full(len(weight), True)] if prior is None else [is_label, ~is_label]
        drawn = np.stack(
            [
                counts_between(is_label, y_proba, thresholds, weight * _times(parts, rng))
                for _ in range(n_resamples)
            ]
        )
    return curve, np.quantile(net_benefits(drawn, thresholds, prior), ends, axis=0)


def _times(parts, rng):
    """Return how often each sample is in a resample, which draws from each part by itself."""
    times = np.zeros(len(parts[0]))
    for part in parts:
        n = int(part.sum())
        times[part] = np.bincount(rng.randint(n, size=n), minlength=n)
    return times
