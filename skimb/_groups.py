"""Samples that belong together: those of one group, and equal images; and folds that keep them so.

Each group has a number here, whatever its values were. All samples of one number go to the same
side of every split, so that a network is never scored on samples that it was trained on.
"""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.utils import check_consistent_length

from skimb._frame_images import FrameImages, check_image_columns, image_columns
from skimb._messages import shown
from skimb._reading import sample_keys

__all__ = [
    "N_TRIES",
    "are_shared",
    "checked_groups",
    "group_numbers",
    "grouped_folds",
    "groups_by_class",
    "held_out_folds",
    "joined_groups",
    "one_of_each",
    "sample_groups",
    "shuffled_folds",
]

#: The most shuffles of groups that are tried until every part holds every class that it needs.
N_TRIES = 20


def sample_groups(images, groups=None, *, image_column=None):
    """Return the group of each sample, where equal images belong together too.

    Parameters
    ----------
    images : ImageSource, array-like of shape (n, ...), or n paths
        The samples. Those with equal keys (arrays: equal byte for byte; files: equal paths) are in
        one group.
    groups : ndarray of shape (n,), int, default=None
        Known groups. Samples that are joined by a chain of equal images and shared groups are in
        one group.
    image_column : list of str, default=None
        The columns of a frame that hold several images of each sample. Samples that have any image
        in common are in one group.

    Returns
    -------
    ndarray of shape (n,), int

    Examples
    --------
    >>> import numpy as np
    >>> from skimb._groups import sample_groups
    >>> images = np.array([[0, 0], [1, 1], [0, 0], [2, 2]])
    >>> sample_groups(images).tolist()
    [0, 1, 0, 2]
    >>> sample_groups(images, np.array([7, 7, 8, 9])).tolist()
    [0, 0, 0, 1]
    """
    by_content = _numbered_by_any(_keys_of_each(images, image_column))
    if groups is None:
        return by_content
    return joined_groups(by_content, np.unique(groups, return_inverse=True)[1])


def _keys_of_each(images, image_column):
    """Return the keys of the first image of each sample, of the second one, and so on."""
    if isinstance(images, FrameImages):
        return images.keys_of_each()
    if image_column is None:
        return [sample_keys(images)]
    frame = check_image_columns(images, image_column)
    return [sample_keys(frame[name]) for name in image_columns(image_column)]


def _numbered_by_any(lists):
    """Return the number of each sample's group; samples with any key in common are in one group."""
    if len(lists) == 1:
        return _numbered(lists[0])
    numbers = _numbered([key for keys in lists for key in keys])
    n_samples = len(lists[0])
    return joined_groups(np.tile(np.arange(n_samples), len(lists)), numbers)[:n_samples]


def joined_groups(first, second):
    """Return numbers of chains: samples that share a first or a second number are in one chain.

    Parameters
    ----------
    first, second : ndarray of shape (n,), int
        Two groups of each sample.

    Returns
    -------
    ndarray of shape (n,), int
    """
    n_first = first.max() + 1
    edges = coo_array(
        (np.ones(len(first), dtype=bool), (first, n_first + second)),
        shape=(n_first + second.max() + 1,) * 2,
    )
    component = connected_components(edges, directed=False)[1]
    return np.unique(component[first], return_inverse=True)[1]


def group_numbers(groups, images):
    """Return the number of each sample's group.

    Parameters
    ----------
    groups : array-like of shape (n,), or a frame of one column
        Values of any type, none of them missing.
    images : array-like of n samples
        The samples that the groups belong to.

    Returns
    -------
    ndarray of shape (n,), int

    Raises
    ------
    ValueError
        If the shape does not fit, or values are missing.

    Examples
    --------
    >>> from skimb._groups import group_numbers
    >>> group_numbers(["ann", "bob", "ann"], [[0], [1], [2]]).tolist()
    [0, 1, 0]
    """
    labels = np.asarray(groups, dtype=object)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(f"`groups` must hold one value for each sample. Got shape {labels.shape}.")
    check_consistent_length(images, labels)
    numbers = pd.factorize(labels)[0]
    if np.any(numbers < 0):
        raise ValueError("`groups` has missing values. Give every sample a group.")
    return numbers


def checked_groups(X, groups=None, *, image_column=None):
    """Return the group of each sample of X, from groups as a user gives them.

    Parameters
    ----------
    X : array-like of n images or paths, or ImageSource
        The samples; equal samples are in one group.
    groups : array-like of shape (n,), default=None
        Values of any type.
    image_column : list of str, default=None
        As in `sample_groups`.

    Returns
    -------
    ndarray of shape (n,), int

    Raises
    ------
    ValueError
        If the groups are not of shape (n,), or some are missing.
    """
    numbers = None if groups is None else group_numbers(groups, X)
    return sample_groups(X, numbers, image_column=image_column)


def are_shared(groups):
    """Tell whether any group has more than one sample.

    Parameters
    ----------
    groups : ndarray of shape (n,), int, or None

    Returns
    -------
    bool
    """
    return groups is not None and len(np.unique(groups)) < len(groups)


def grouped_folds(y, groups, n_folds, seed):
    """Split samples into folds that keep groups together, each with every class.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels.
    groups : ndarray of shape (n,), int
        The group of each sample.
    n_folds : int
    seed : int

    Returns
    -------
    list of (ndarray, ndarray), or None
        Indices of training and test samples; None if no such folds were found.
    """
    n_classes = len(np.unique(y))

    def has_every_class(splits):
        return all(len(np.unique(y[test])) == n_classes for _, test in splits)

    return shuffled_folds(y, groups, n_folds, seed, has_every_class)


def shuffled_folds(y, groups, n_folds, seed, is_accepted):
    """Shuffle groups until the folds that keep them together are accepted.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels.
    groups : ndarray of shape (n,), int
        The group of each sample.
    n_folds : int
    seed : int
    is_accepted : callable
        ``is_accepted(splits)`` tells whether the folds will do.

    Returns
    -------
    list of (ndarray, ndarray), or None
        Indices of training and test samples; None if no such folds were found.
    """
    for attempt in range(N_TRIES):
        folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=int(seed) + attempt)
        splits = list(folds.split(np.empty(len(y)), y, groups))
        if is_accepted(splits):
            return splits
    return None


def one_of_each(groups, kinds, rng):
    """Return one sample, at random, of each group and kind.

    Samples of one group resemble each other, so that several of them tell little more than one.

    Parameters
    ----------
    groups : ndarray of shape (n,), int
        The group of each sample.
    kinds : ndarray of shape (n,), int, or None
        The kind of each sample, such as its class or range. None: all are of one kind.
    rng : RandomState
        The source of the choice.

    Returns
    -------
    ndarray of int
        Positions of samples, sorted.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb._groups import one_of_each
    >>> one_of_each(np.array([7, 7, 7, 8]), np.array([0, 0, 1, 0]), np.random.RandomState(0))
    array([1, 2, 3])
    """
    order = rng.permutation(len(groups))
    keys = np.stack([groups, np.zeros_like(groups) if kinds is None else kinds], axis=1)
    return np.sort(order[np.unique(keys[order], axis=0, return_index=True)[1]])


def groups_by_class(y, groups, classes):
    """Count the groups that contain each class.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels.
    groups : ndarray of shape (n,), int
        The group of each sample.
    classes : ndarray of shape (n_classes,)

    Returns
    -------
    ndarray of shape (n_classes,), int
    """
    return np.array([len(np.unique(groups[y == label])) for label in classes])


def held_out_folds(y, groups, seed, *, n_folds=2):
    """Return splits of a training part that have every class on both sides.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels of the training part.
    groups : ndarray of shape (n,), int, or None
        The group of each sample; samples of one group stay together.
    seed : int
    n_folds : int, default=2
        The largest number of folds.

    Returns
    -------
    list of (ndarray, ndarray)
        Indices of the samples to train on and of the samples that are held out, each with every
        class.

    Raises
    ------
    ValueError
        If a class has a single sample, or the groups cannot be divided in this way.
    """
    labels, counts = np.unique(y, return_counts=True)
    if counts.min() < 2:
        raise ValueError(
            f"Class {shown(labels[counts.argmin()])} has a single sample (of n_samples="
            f"{len(y)}), and samples of every class are held out. Give at least two samples of "
            "every class."
        )
    if not are_shared(groups):
        folds = StratifiedKFold(min(n_folds, counts.min()), shuffle=True, random_state=seed)
        return list(folds.split(np.empty(len(y)), y))
    for n in range(min(n_folds, groups_by_class(y, groups, labels).min()), 1, -1):
        splits = grouped_folds(y, groups, n, seed)
        if splits is not None:
            return splits
    raise ValueError(
        f"Whole groups are held out, with every class on both sides, and the groups of these "
        f"{len(y)} samples cannot be divided so. Give more groups."
    )


def _numbered(keys):
    numbers = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.intp)
