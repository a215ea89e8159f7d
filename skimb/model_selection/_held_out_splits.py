"""Divide samples into a training part and a part that is held out: by a fraction, folds or pairs.

Whatever divides them, samples of one group, equal images, and samples that a sampler made of the
same originals never stand on both sides.
"""

import warnings
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedKFold

from skimb._groups import N_TRIES, are_shared, sample_groups, shuffled_folds
from skimb._held_out import hold_out, related
from skimb._image_source import ImageSource, ResampledImages
from skimb._lazy_rows import ResampledRows
from skimb._messages import shown
from skimb._warnings import warn
from skimb.model_selection._splitters import BinnedStratifiedKFold

__all__ = [
    "Samples",
    "class_splits",
    "folds_of",
    "groups_of_lineage",
    "lineage_of",
    "value_splits",
]

ADVICE = "give a fitted estimator in a FrozenEstimator with samples that it was not trained on"


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples that a wrapper is fitted on.

    Parameters
    ----------
    X : array-like of n samples
        They can be indexed.
    y : ndarray of shape (n,)
        Labels, or numbers.
    groups : ndarray of shape (n,), int, or None
        The group of each sample; equal images are in one group. None: all samples stand alone.
    lineage : ResampledRows of n rows, or None
        The parents of the samples, if a sampler made them lazily.
    """

    X: Any
    y: np.ndarray
    groups: np.ndarray | None
    lineage: Any = None


def lineage_of(X):
    """Return the view with the parents of the samples; None if no sampler made them lazily."""
    if isinstance(X, ResampledRows):
        return X
    return X.lineage if isinstance(X, ImageSource) else None


def groups_of_lineage(lineage, groups=None):
    """Return groups in which all copies of one original are together, as equal images are.

    Parameters
    ----------
    lineage : ResampledRows of n rows
    groups : ndarray of shape (n,), int, default=None
        Known groups.

    Returns
    -------
    ndarray of shape (n,), int
    """
    ancestry, is_copy = lineage.ancestry(), lineage.are_copies()
    origin = np.arange(len(lineage)) + ancestry.shape[1]
    origin[is_copy] = ancestry[is_copy].indices
    return sample_groups(origin[:, None], groups)


def class_splits(samples, cv: Any, rng, *, strata=None) -> Any:
    """Return pairs of positions of samples with labels: to train on, and to hold out.

    If a sampler made samples lazily, only copies of originals are held out, and whatever is made of
    these is left out of the training part.

    Parameters
    ----------
    samples : Samples
    cv : float, int, splitter or iterable
        A fraction for a single split, a number of folds, a splitter, or pairs of positions.
    rng : RandomState
    strata : ndarray of int of shape (n,), default=None
        The strata of which a fraction of the groups is held out, where samples have groups. None:
        the classes.

    Returns
    -------
    list of (ndarray, ndarray)

    Raises
    ------
    ValueError
        If the samples cannot be divided so that each training part holds every class, or given
        positions are no such splits.
    """
    classes, target = np.unique(samples.y, return_inverse=True)
    seed = int(rng.randint(np.iinfo(np.int32).max))
    if isinstance(cv, Integral):
        splits = _among_originals(samples, lambda y, groups: folds_of(y, groups, int(cv), seed))
    elif isinstance(cv, float):
        splits = [_one_split(samples, target, cv, seed, classes=classes, strata=strata)]
    else:
        splits = _given_splits(samples, cv)
    for number, (train, _) in enumerate(splits):
        lacking = np.setdiff1d(classes, samples.y[train])
        if len(lacking):
            raise ValueError(
                f"The training part of fold {number} of `cv` (counted from 0) lacks the classes "
                f"{shown(lacking)}. Give a splitter that keeps every class in each training part, "
                "such as a number of folds."
            )
    return splits


def value_splits(samples, cv: Any, rng) -> Any:
    """Return pairs of positions of samples with numbers, as `class_splits` does for labels.

    Parameters
    ----------
    samples : Samples
    cv : float, int, splitter or iterable
    rng : RandomState

    Returns
    -------
    list of (ndarray, ndarray)

    Raises
    ------
    ValueError
        If the samples cannot be divided, or given positions are no splits.
    """
    y, groups = samples.y, samples.groups
    seed = int(rng.randint(np.iinfo(np.int32).max))
    if isinstance(cv, Integral):
        folds = BinnedStratifiedKFold(int(cv), shuffle=True, random_state=seed)
        return _among_originals(
            samples,
            lambda y, groups: list(folds.split(y, y, groups if are_shared(groups) else None)),
        )
    if isinstance(cv, float):
        n_groups = len(y) if groups is None else len(np.unique(groups))
        if n_groups < 2:
            raise ValueError(
                f"No samples can be held out: n_samples={len(y)}, all of one group, or equal. Give "
                "more samples or groups."
            )
        # Drawn without regard to y: held-out samples are then like any new ones.
        return [_one_split(samples, np.zeros(len(y), dtype=np.intp), cv, seed)]
    return _given_splits(samples, cv)


def folds_of(y, groups, n_folds, seed):
    """Return folds in which every class is in each training part.

    Classes that cannot be divided, because they have a single sample or group, stay in all training
    parts, together with their groups. So no fold lacks a class, and none of these is held out.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels.
    groups : ndarray of shape (n,), int, or None
        The group of each sample.
    n_folds : int
    seed : int

    Returns
    -------
    list of (ndarray, ndarray)
        Positions of the samples to train on, and of those that are held out.

    Raises
    ------
    ValueError
        If no class can be divided, or the groups cannot be divided so.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.model_selection._held_out_splits import folds_of
    >>> y = np.array([0] * 6 + [1] * 2 + [2])
    >>> folds = folds_of(y, None, 3, seed=0)
    >>> [len(np.unique(y[train])) for train, _ in folds]
    [3, 3, 3]
    >>> sorted(np.concatenate([y[held] for _, held in folds]).tolist())
    [0, 0, 0, 0, 0, 0, 1, 1]
    """
    numbers = np.arange(len(y)) if groups is None else groups
    labels, target = np.unique(y, return_inverse=True)
    n_groups = np.array([len(np.unique(numbers[target == k])) for k in range(len(labels))])
    always = np.isin(numbers, numbers[n_groups[target] < 2])
    rows = np.flatnonzero(~always)
    most = min(n_folds, np.bincount(target[rows], minlength=1).max(initial=0))
    if most < 2:
        raise ValueError(
            f"No class of y can be divided into folds: n_samples={len(y)}, and the classes "
            f"{shown(labels)} have {n_groups.tolist()} samples or groups. Give more samples, or "
            f"{ADVICE}."
        )

    def of_all(splits):
        """Return the folds with the samples that are always trained on."""
        everything = np.arange(len(y))
        return [
            (np.setdiff1d(everything, rows[held]), rows[held]) for _, held in splits if len(held)
        ]

    def keeps_classes(splits):
        return all(len(np.unique(target[train])) == len(labels) for train, _ in of_all(splits))

    with warnings.catch_warnings():
        # Of classes with fewer samples than folds, which are held out in some of them.
        warnings.simplefilter("ignore", UserWarning)
        if are_shared(groups):
            splits = shuffled_folds(y[rows], numbers[rows], most, seed, keeps_classes)
        else:
            folds = StratifiedKFold(most, shuffle=True, random_state=seed)
            splits = list(folds.split(np.empty(len(rows)), y[rows]))
    if splits is None or not keeps_classes(splits):
        raise ValueError(
            f"The groups of these {len(y)} samples cannot be divided into {most} folds so that "
            "each training part holds every class. Give more groups, or use fewer folds."
        )
    return of_all(splits)


def _among_originals(samples, divide):
    """Divide the samples that are no synthetic ones by ``divide(y, groups)``."""
    if samples.lineage is None:
        return divide(samples.y, samples.groups)
    rows = np.flatnonzero(samples.lineage.are_copies())
    groups = None if samples.groups is None else samples.groups[rows]
    return [
        (_apart_from(samples, rows[held]), rows[held])
        for _, held in divide(samples.y[rows], groups)
    ]


def _apart_from(samples, held, train=None):
    """Return the samples that share no group and no original with those that are held out."""
    is_near = np.zeros(len(samples.y), dtype=bool)
    is_near[held] = True
    if samples.groups is not None:
        is_near |= np.isin(samples.groups, samples.groups[held])
    if samples.lineage is not None:
        is_near |= related(samples.lineage, held, are_grouped=are_shared(samples.groups))
    return np.flatnonzero(~is_near) if train is None else train[~is_near[train]]


def _one_split(samples, target, fraction, seed, *, classes=None, strata=None):
    """Return the samples to train on and those that are held out, as a fraction of each class.

    Of samples in groups, a fraction of the groups is held out, whatever their numbers of samples.
    """
    if are_shared(samples.groups):
        strata = target if strata is None else strata
        return _split_of_groups(samples, target, fraction, seed, classes=classes, strata=strata)
    n_samples = len(samples.y)
    # Samples are told apart by position; those that a sampler made know their parents.
    each: Any = np.arange(n_samples).reshape(-1, 1, 1, 1)
    if samples.lineage is not None:
        each = ResampledImages(each, samples.lineage)
    return hold_out(
        each,
        target,
        fraction=fraction,
        rng=np.random.RandomState(seed),
        groups=np.arange(n_samples) if samples.groups is None else samples.groups,
        classes=classes,
        kind="sample" if classes is None else "class",
        advice=ADVICE,
    )


def _split_of_groups(samples, target, fraction, seed, *, classes, strata):
    """Hold out a random part of the groups.

    A split by numbers of samples would prefer groups that are small enough to fit, so that large
    groups were never held out, and the held-out groups would not be like new ones.

    Each group counts in the rarest of its strata, and the same fraction of each is held out, at
    least one group, but not the only one.
    """
    rng = np.random.RandomState(seed)
    rows = np.arange(len(target))
    if samples.lineage is not None:
        rows = np.flatnonzero(samples.lineage.are_copies())
    names, group = np.unique(samples.groups[rows], return_inverse=True)
    pairs = np.unique(np.stack([group, strata[rows]], axis=1), axis=0)
    n_groups = np.bincount(pairs[:, 1])
    # The rarest stratum of each group comes first.
    pairs = pairs[np.lexsort((n_groups[pairs[:, 1]], pairs[:, 0]))]
    stratum = pairs[np.unique(pairs[:, 0], return_index=True)[1], 1]
    parts = [names[stratum == k] for k in np.unique(stratum)]
    sizes = [min(max(1, round(fraction * len(part))), len(part) - 1) for part in parts]
    for _ in range(N_TRIES if any(sizes) else 0):
        chosen = [rng.permutation(part)[:n] for part, n in zip(parts, sizes, strict=True)]
        held = rows[np.isin(samples.groups[rows], np.concatenate(chosen))]
        train = _apart_from(samples, held)
        if len(train) and (classes is None or np.isin(target, target[train]).all()):
            break
    else:
        raise ValueError(
            f"The groups of these {len(target)} samples cannot be divided so that a fraction of "
            f"{fraction:g} of them is held out and every class is among the others. Give more "
            f"groups, hold out less, or {ADVICE}."
        )
    missing = np.setdiff1d(target, target[held])
    if classes is not None and len(missing):
        warn(
            f"The samples of {shown(classes[missing])} are of too few groups, or all equal: they "
            "stay in the training part, and are never held out."
        )
    return train, held


def _given_splits(samples, cv: Any):
    """Return the pairs of positions that a splitter gives, or that a user has given, checked."""
    n_samples, splits = len(samples.y), cv
    if hasattr(cv, "split"):
        with warnings.catch_warnings():
            # Equal images are groups too, and whether they are kept together is checked below.
            warnings.filterwarnings("ignore", "The groups parameter is ignored", UserWarning)
            splits = list(cv.split(np.empty((n_samples, 1)), samples.y, samples.groups))
    checked = []
    for number, (train, held) in enumerate(splits):
        where = f"fold {number} of `cv` (counted from 0)"
        train = _positions(train, n_samples, f"The training part of {where}")
        held = _positions(held, n_samples, f"The held-out part of {where}")
        both = np.intersect1d(train, held)
        if len(both):
            raise ValueError(
                f"{len(both)} samples are in both parts of {where}, such as the one at position "
                f"{both[0]}. Give pairs of positions without a common one: to train on, and to "
                "hold out."
            )
        if samples.groups is not None:
            n_both = len(np.intersect1d(samples.groups[train], samples.groups[held]))
            if n_both:
                raise ValueError(
                    f"Samples of {n_both} groups are in both parts of {where}; equal images, and "
                    "copies of one original, are a group too. Give a splitter that keeps groups "
                    "together, such as StratifiedGroupKFold, or a number of folds."
                )
        if samples.lineage is not None:
            held = held[samples.lineage.are_copies()[held]]
            train = _apart_from(samples, held, train)
            if not len(train) or not len(held):
                raise ValueError(
                    f"A part of {where} is empty without the samples that a sampler made of "
                    "others, and without those made of held-out ones. Use fewer folds, or put the "
                    "sampler into a Pipeline."
                )
        checked.append((train, held))
    if not checked:
        raise ValueError("`cv` gives no split. Give a splitter, or pairs of positions.")
    return checked


def _positions(part, n_samples, what):
    """Return positions from positions or a mask, or refuse them."""
    part = np.asarray(part)
    if part.dtype == bool and part.shape == (n_samples,):
        part = np.flatnonzero(part)
    if part.ndim != 1 or not len(part):
        raise ValueError(
            f"{what} must hold positions of samples, or be a mask of all {n_samples} samples, and "
            f"must not be empty. Got shape {part.shape}."
        )
    is_number = part.dtype.kind in "iu"
    if not is_number or part.min() < 0 or part.max() >= n_samples:
        came = f", from {part.min()} to {part.max()}" if is_number else ""
        raise ValueError(
            f"{what} must hold positions from 0 to {n_samples - 1}. Got dtype {part.dtype}{came}."
        )
    return part
