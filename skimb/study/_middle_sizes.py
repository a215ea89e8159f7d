"""Sizes of classes between the smallest and the largest, to which samplers bring them."""

import math
from typing import Any

from numpy.typing import ArrayLike
from sklearn.base import clone

from skimb.class_weight import class_counts

__all__ = ["down_to_middle", "up_to_middle", "with_sizes"]


def down_to_middle(y: ArrayLike) -> dict[Any, int]:
    """Return the classes that are larger than the middle size, each with that size.

    The middle size is the geometric mean of the counts of the smallest and the largest class:
    under-sampling to it drops by the factor by which over-sampling to it repeats.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels.

    Returns
    -------
    dict
        Label to number of samples, as a `sampling_strategy` of an under-sampler.

    Examples
    --------
    >>> from skimb.study import down_to_middle, up_to_middle
    >>> y = ["cat"] * 100 + ["dog"] * 30 + ["owl"] * 4
    >>> down_to_middle(y), up_to_middle(y)
    ({'cat': 20, 'dog': 20}, {'owl': 20})
    """
    return _to_middle(y, larger=True)


def up_to_middle(y: ArrayLike) -> dict[Any, int]:
    """Return the classes that are smaller than the middle size, each with that size.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels.

    Returns
    -------
    dict
        Label to number of samples, as a `sampling_strategy` of an over-sampler.

    See Also
    --------
    down_to_middle : It says which size that is.

    Examples
    --------
    >>> from skimb.study import up_to_middle
    >>> up_to_middle(["cat"] * 100 + ["dog"] * 30 + ["owl"] * 4)
    {'owl': 20}
    """
    return _to_middle(y, larger=False)


def with_sizes(sampler, y):
    """Return a sampler with the sizes of these labels instead of a function of labels.

    Files of fitted estimators hold numbers, but no functions.

    Parameters
    ----------
    sampler : sampler, list of samplers or None
        It is left as it is.
    y : array-like of shape (n,)
        Labels.

    Returns
    -------
    sampler, list of samplers or None
    """
    if isinstance(sampler, list):
        return [with_sizes(each, y) for each in sampler]
    function: Any = getattr(sampler, "sampling_strategy", None)
    if function not in (down_to_middle, up_to_middle):
        return sampler
    return clone(sampler).set_params(sampling_strategy=function(y))


def _to_middle(y, *, larger):
    counts = class_counts(y)
    middle = round(math.sqrt(min(counts.values()) * max(counts.values())))
    chosen = [label for label, n in counts.items() if (n > middle if larger else n < middle)]
    return dict.fromkeys(chosen, middle)
