"""The threshold that separates a class from the rest best, on one axis of scores."""

import numpy as np

__all__ = ["log_margins", "separation_threshold"]

#: Probabilities are at least this much in logarithms: float32 rounds smaller ones to 0 or 1.
LEAST = 1e-12


def log_margins(proba):
    """Return the score of each class: how far it is ahead of the most probable other one.

    Parameters
    ----------
    proba : ndarray of shape (n, n_classes)

    Returns
    -------
    ndarray of shape (n, n_classes)
        Logarithms of the ratio of two probabilities; 0: both classes are as probable.
    """
    logs = np.log(np.clip(np.asarray(proba, dtype=np.float64), LEAST, None))
    best = logs.argmax(axis=1)[:, None]
    highest = np.take_along_axis(logs, best, axis=1)
    others = logs.copy()
    np.put_along_axis(others, best, -np.inf, axis=1)
    second = others.max(axis=1, keepdims=True)
    return logs - np.where(np.arange(logs.shape[1]) == best, second, highest)


def separation_threshold(scores, is_member, *, near=0.0):
    """Return the threshold whose two sides hold the class and the rest with the fewest errors.

    An error is a sample of the class below the threshold, or another one at it or above it. Every
    sample counts the same: at this threshold about half of the samples are of the class, which a
    weight for a rare class would move to where hardly any are. All samples have a say in it, so
    that single wrong labels move it little.

    Parameters
    ----------
    scores : ndarray of shape (n,)
    is_member : ndarray of bool of shape (n,)
        Whether each sample is of the class.
    near : float, default=0.0
        Among thresholds with equal errors, the one that is nearest to it is returned: scores of
        samples that a classifier was trained on are too far apart, and leave a wide gap in which
        they cannot tell one threshold from another.

    Returns
    -------
    float

    References
    ----------
    S. Nuggehalli, J. Zhang, L. Jain and R. Nowak, "DIRECT: Deep active learning under imbalance
    and label noise", arXiv:2312.09196.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study._separation import separation_threshold
    >>> separation_threshold(np.array([-2.0, -1.0, 1.0]), np.array([False, True, True]), near=-3.0)
    -1.5
    """
    scores = np.asarray(scores, dtype=np.float64)
    is_member = np.asarray(is_member, dtype=bool)
    values, place = np.unique(scores, return_inverse=True)
    members = np.bincount(place, is_member, len(values))
    rest = np.bincount(place, ~is_member, len(values))
    # Cut i stands below value i: the values from i on are on the side of the class.
    missed = np.concatenate([[0], members.cumsum()])
    alarms = np.concatenate([rest[::-1].cumsum()[::-1], [0]])
    error = missed + alarms
    low = np.concatenate([[-np.inf], values])
    high = np.concatenate([values, [np.inf]])
    best = np.flatnonzero(error == error.min())
    low, high = low[best], high[best]
    with np.errstate(invalid="ignore"):
        middle = np.where(np.isinf(low), high, (low + high) / 2)
    middle = np.where(np.isinf(high), np.nextafter(low, np.inf), middle)
    points = np.where((low < near) & (near <= high), near, middle)
    return float(points[np.abs(points - near).argmin()])
