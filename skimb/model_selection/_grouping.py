"""What belongs together, and folds that keep it so: samples of one group, and equal images."""

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from skimb._image_files import as_paths, is_paths
from skimb.neural_network._held_out import bundles, group_numbers

__all__ = ["bundles_of", "contents", "grouped_folds", "groups_by_class"]

#: Shuffles of the groups that are tried until every fold holds every class.
N_TRIES = 20


def bundles_of(X, groups):
    """Return the number of the bundle of each row: rows tied by a group, or as equal images.

    Parameters
    ----------
    X : array-like of n images or paths
    groups : array-like of shape (n,) or None

    Returns
    -------
    ndarray of shape (n,), int

    Raises
    ------
    ValueError
        If groups are not of shape (n,), or some are missing.
    """
    numbers = None if groups is None else group_numbers(groups, X)
    return bundles(contents(X), numbers)


def contents(X):
    """Return X as an array of images or paths."""
    return as_paths(X) if is_paths(X) else np.asarray(X)


def grouped_folds(y, tied, n_folds, seed):
    """Split rows into folds that keep groups together and hold rows of every class each.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels.
    tied : ndarray of shape (n,), int
        The group of each row.
    n_folds : int
    seed : int

    Returns
    -------
    list of (ndarray, ndarray)
        Training and test rows; None: no such folds were found.
    """
    n_classes = len(np.unique(y))
    for attempt in range(N_TRIES):
        folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=int(seed) + attempt)
        splits = list(folds.split(np.empty(len(y)), y, tied))
        if all(len(np.unique(y[test])) == n_classes for _, test in splits):
            return splits
    return None


def groups_by_class(y, tied, classes):
    """Count the groups in which each class is.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels.
    tied : ndarray of shape (n,), int
        The group of each row.
    classes : ndarray of shape (n_classes,)

    Returns
    -------
    ndarray of shape (n_classes,), int
    """
    return np.array([len(np.unique(tied[y == label])) for label in classes])
