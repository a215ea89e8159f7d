"""Splits that keep together what belongs together: rows of one group, and equal images."""

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils import check_consistent_length

from skimb._image_files import as_paths, is_paths
from skimb.neural_network._validation import bundles

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
    codes = None
    if groups is not None:
        codes = pd.factorize(_labels(groups))[0]
        check_consistent_length(X, codes)
        if np.any(codes < 0):
            raise ValueError("`groups` has missing values. Give every row a group.")
    return bundles(as_paths(X) if is_paths(X) else np.asarray(X), codes)


def _labels(groups):
    labels = np.asarray(groups, dtype=object)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(f"`groups` must hold one value a row. Got shape {labels.shape}.")
    return labels


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
            raise ValueError(
                f"The splits of `cv` tear {len(np.unique(bundle[torn]))} groups apart, that of "
                f"{_labels(groups)[torn[0]]!r} first: a network would be scored on groups that it "
                "was trained on. Give `cv` as a number, or a splitter that keeps groups, and equal "
                "images, together."
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
    parts = [as_paths(part) if is_paths(part) else np.asarray(part) for part in (X, X_test)]
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
