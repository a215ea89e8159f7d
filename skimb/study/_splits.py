"""Splits: a fifth that is held out; whether groups stay whole; whether test images are known."""

from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skimb._frame_images import only_images
from skimb._groups import checked_groups, held_out_folds
from skimb._messages import counted, shown
from skimb._reading import sample_keys, view_of
from skimb.model_selection import BinnedStratifiedKFold

__all__ = ["check_whole", "count_known", "dividing_for", "hold_out_fifth", "image_groups"]


@contextmanager
def dividing_for(label):
    """Name a strategy, by its label, in the error of a training part that it cannot divide."""
    try:
        yield
    except ValueError as error:
        raise ValueError(
            f"Strategy {label!r} cannot hold out samples of a training part. {error}"
        ) from error


def image_groups(X, groups, estimator):
    """Return the groups of samples, where equal images belong together too.

    Parameters
    ----------
    X : array-like of n images, paths or rows of a frame
    groups : array-like of shape (n,) or None
        Groups as the user gives them.
    estimator : CNNClassifier or CNNRegressor
        It tells which columns of a frame hold images, and where their channels stand.

    Returns
    -------
    ndarray of shape (n,), int
    """
    column = estimator.image_column
    images = only_images(view_of(X, channels=estimator.channels), column)
    several = column if isinstance(images, pd.DataFrame) and column is not None else None
    return checked_groups(images, groups, image_column=several)


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
                f"The splits of `cv` tear {counted(len(np.unique(groups[torn])), 'group')} apart, "
                f"that of {shown(first)} first: a network would be scored on groups that "
                "it was trained on. Give `cv` as a number, or a splitter that keeps groups, and "
                "equal images, together."
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


def hold_out_fifth(
    X: Any, y: Any, groups: Any = None, *, is_regression: bool = False, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of a training part, and of a fifth of the samples that is held out.

    Where a class has fewer than five samples or groups, the part is larger, so that it holds one.

    Parameters
    ----------
    X : array-like of n images or paths
    y : ndarray of shape (n,)
    groups : array-like of shape (n,), default=None
        Samples of one group stay on one side; so do equal images.
    is_regression : bool, default=False
        Whether y holds numbers; labels are held out by class.
    seed : int
        The seed of the split.

    Returns
    -------
    train, test : ndarray of int

    Raises
    ------
    ValueError
        If a class has a single sample, or the groups cannot be divided so.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study import hold_out_fifth
    >>> y = np.repeat(["a", "b"], [40, 10])
    >>> train, test = hold_out_fifth(np.arange(50).reshape(50, 1), y, seed=0)
    >>> len(train), np.unique(y[test], return_counts=True)[1].tolist()
    (40, [8, 2])
    """
    sample_groups = checked_groups(X, groups)
    if is_regression:
        folds = BinnedStratifiedKFold(5, shuffle=True, random_state=seed)
        return next(folds.split(np.empty(len(y)), y, sample_groups))
    return held_out_folds(y, sample_groups, seed, n_folds=5)[0]
