"""Checks of splits: whether they keep groups whole, and whether test images were trained on."""

import numpy as np

from skimb._images import sample_keys

__all__ = ["check_whole", "count_known"]


def check_whole(groups, given, splits):
    """Refuse splits that tear groups apart; return how many test images equal training images.

    Parameters
    ----------
    groups : ndarray of shape (n,), int
        The group of each sample, as `skimb._groups.checked_groups` returns it.
    given : array-like of shape (n,) or None
        The groups as the user gave them.
    splits : list of (ndarray, ndarray)
        Indices of training and test samples.

    Returns
    -------
    int
        The largest count of a split.

    Raises
    ------
    ValueError
        If groups are given, and a split tears one apart.
    """
    most = 0
    for train, test in splits:
        torn = test[np.isin(groups[test], groups[train])]
        if len(torn) and given is not None:
            first = np.ravel(np.asarray(given, dtype=object))[torn[0]]
            raise ValueError(
                f"The splits of `cv` tear {len(np.unique(groups[torn]))} groups apart, that of "
                f"{first!r} first: a network would be scored on groups that it was trained on. "
                "Give `cv` as a number, or a splitter that keeps groups, and equal images, "
                "together."
            )
        most = max(most, len(torn))
    return most


def count_known(X, X_test):
    """Count the test images that equal a training image.

    Parameters
    ----------
    X, X_test : array-like of images or paths

    Returns
    -------
    int
    """
    known = set(sample_keys(X))
    return sum(key in known for key in sample_keys(X_test))
