"""Arithmetic of sample weights: they are rescaled to mean 1, whatever their unit."""

import numpy as np

__all__ = ["class_weighted", "exponent_of", "mean_one", "scaled_down"]

#: Weights beyond this power of two, up or down, are rescaled, because their sums may overflow.
MOST_EXPONENT = 500


def exponent_of(values):
    """Return the power of two by which weights are divided so that their sums are finite.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Weights that are not negative.

    Returns
    -------
    int
        The exponent; 0 where no division is needed.
    """
    exponent = int(np.frexp(values.max(initial=0.0))[1])
    return exponent if abs(exponent) > MOST_EXPONENT else 0


def scaled_down(values, exponent):
    """Divide weights by a power of two, which is exact; positive weights stay positive.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Weights that are not negative.
    exponent : int
        As `exponent_of` returns it.

    Returns
    -------
    ndarray of shape (n,)
    """
    if not exponent:
        return values
    least = np.finfo(np.float64).tiny
    return np.where(values > 0, np.maximum(np.ldexp(values, -exponent), least), 0.0)


def class_weighted(weight, target, class_weight, *, max_weight=None):
    """Multiply sample weights by class weights, and rescale them to mean 1.

    Parameters
    ----------
    weight : ndarray of shape (n,)
        Sample weights.
    target : ndarray of shape (n,)
        Class indices.
    class_weight : ndarray of shape (n_classes,)
        Class weights, in any unit.
    max_weight : float, default=None
        The largest weight of a class, where the average sample has weight 1; at least 1. The other
        weights are raised in proportion, so that the mean stays 1.

    Returns
    -------
    weight : ndarray of shape (n,)
        Sample weights of mean 1.
    factor : ndarray of shape (n_classes,)
        The factor of the samples of each class.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb._engine._sample_weights import class_weighted
    >>> target = np.array([0, 0, 0, 0, 1])
    >>> class_weighted(np.ones(5), target, np.array([1, 4]))[1]
    array([0.625, 2.5  ])
    >>> class_weighted(np.ones(5), target, np.array([1, 4]), max_weight=2)[1]
    array([0.75, 2.  ])
    """
    # The quotients of proportional weights round equally: bitwise equal results in any unit.
    relative = class_weight / (class_weight.max() or 1.0)
    if max_weight is None:
        weight, unit = mean_one(weight * relative[target])
        return weight, relative / unit
    weight, unit = mean_one(weight)
    mass = np.bincount(target, weights=weight, minlength=len(relative)) / len(target)
    is_capped = np.zeros(len(relative), dtype=bool)
    while True:
        rest = 1 - max_weight * mass[is_capped].sum()
        free = mass[~is_capped] @ relative[~is_capped]
        # If only classes of weight zero are left, no weight can be raised to keep the mean.
        scaled = relative * (rest / free) if free > 0 else relative
        factor = np.where(is_capped, max_weight, scaled)
        over = factor > max_weight * (1 + 1e-12)
        if not over.any():
            return weight * factor[target], factor / unit
        is_capped |= over


def mean_one(weight):
    """Rescale weights to mean 1, so that proportional weights give bitwise equal results.

    Parameters
    ----------
    weight : ndarray of shape (n,)
        Weights that are not negative.

    Returns
    -------
    weight : ndarray of shape (n,), float64
    unit : float
        The number by which the weights were divided.

    Raises
    ------
    ValueError
        If all weights are zero.
    """
    largest = weight.max()
    if largest == 0:
        raise ValueError(
            "All weights of the training part are zero. Give at least one sample a positive weight."
        )
    # Quotients of proportional numbers round equally, but sums of them need not.
    relative = weight / largest
    mean = relative.mean()
    return relative / mean, largest * mean
