"""Estimators that a user hands in: clones of them get seeds, and their tags say what they read."""

import numpy as np
from sklearn.base import clone
from sklearn.utils import get_tags

__all__ = ["seeded_clone", "takes_images"]


def seeded_clone(estimator, rng):
    """Clone an estimator and give a seed to each of its random states that has none.

    Parameters
    ----------
    estimator : estimator
        The estimator to clone.
    rng : RandomState
        The source of the seeds.

    Returns
    -------
    estimator
    """
    copy = clone(estimator)
    seeds = {
        name: int(rng.randint(np.iinfo(np.int32).max))
        for name, value in sorted(copy.get_params(deep=True).items())
        if (name == "random_state" or name.endswith("__random_state")) and value is None
    }
    return copy.set_params(**seeds) if seeds else copy


def takes_images(estimator):
    """Tell whether an estimator reads images as they are; others get flattened samples."""
    return bool(get_tags(estimator).input_tags.three_d_array)
