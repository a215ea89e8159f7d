"""Splits that keep together what belongs together: rows of one group, and equal images."""

import numpy as np

from skimb.model_selection._grouping import bundles_of, contents, grouped_folds, groups_by_class
from skimb.neural_network._held_out import bundles

__all__ = ["bundles_of", "check_whole", "count_known", "grouped_folds", "groups_by_class"]


def check_whole(bundle, groups, splits):
    """Refuse splits that tear groups apart; return how many test rows equal training images.

    Parameters
    ----------
    bundle : ndarray of shape (n,), int
        As `bundles_of` returns them.
    groups : array-like of shape (n,) or None
        The groups as they were given.
    splits : list of (ndarray, ndarray)
        Training and test rows.

    Returns
    -------
    int
        At most, over the splits.

    Raises
    ------
    ValueError
        If groups are given, and a split tears one apart.
    """
    most = 0
    for train, test in splits:
        torn = test[np.isin(bundle[test], bundle[train])]
        if len(torn) and groups is not None:
            first = np.ravel(np.asarray(groups, dtype=object))[torn[0]]
            raise ValueError(
                f"The splits of `cv` tear {len(np.unique(bundle[torn]))} groups apart, that of "
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
    parts = [contents(part) for part in (X, X_test)]
    if parts[0].dtype != parts[1].dtype or parts[0].shape[1:] != parts[1].shape[1:]:
        return 0
    bundle = bundles(np.concatenate(parts))
    return int(np.isin(bundle[len(parts[0]) :], bundle[: len(parts[0])]).sum())
