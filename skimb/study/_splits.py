"""Splits that keep together what belongs together: rows of one group, and equal images."""

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from skimb._image_files import as_paths, is_paths
from skimb.neural_network._validation import bundles, group_numbers

__all__ = ["bundles_of", "check_whole", "count_known", "grouped_folds", "groups_by_class"]

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
    return bundles(_contents(X), numbers)


def _contents(X):
    return as_paths(X) if is_paths(X) else np.asarray(X)


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
    parts = [_contents(part) for part in (X, X_test)]
    if parts[0].dtype != parts[1].dtype or parts[0].shape[1:] != parts[1].shape[1:]:
        return 0
    bundle = bundles(np.concatenate(parts))
    return int(np.isin(bundle[len(parts[0]) :], bundle[: len(parts[0])]).sum())


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
