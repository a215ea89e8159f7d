"""The ways to divide samples that labels and numbers have in common: one split, or given ones."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skimb._held_out import hold_out

__all__ = ["OneSplit", "given_splits", "one_split"]


@dataclass(frozen=True, eq=False)
class OneSplit:
    """A single split that a wrapper has made: it stands for `cv` where this is a fraction.

    Parameters
    ----------
    train, held : ndarray of int
        Positions of the samples to train on, and of those that are held out.
    """

    train: np.ndarray
    held: np.ndarray


def one_split(samples, target, fraction, seed, *, classes=None, kind="class"):
    """Return the samples to train on, and those that are held out, as `hold_out` divides them.

    Parameters
    ----------
    samples : Samples
    target : ndarray of int of shape (n,)
        The class, or another stratum, of each sample.
    fraction : float
        The fraction of each class to hold out.
    seed : int
    classes : ndarray of shape (n_classes,), default=None
        Labels, for the warning.
    kind : str, default="class"
        The word for a class in the error.

    Returns
    -------
    train, held : ndarray of int
    """
    n_samples = len(samples.y)
    numbers = np.arange(n_samples) if samples.groups is None else samples.groups
    # Images that a sampler made know their parents; other samples are told apart by position.
    each = samples.images
    if each is None:
        each = np.arange(n_samples).reshape(-1, 1, 1, 1)
    return hold_out(
        each,
        target,
        fraction=fraction,
        rng=np.random.RandomState(seed),
        groups=numbers,
        classes=classes,
        kind=kind,
    )


def given_splits(samples, cv: Any) -> Any:
    """Return the pairs of positions that a splitter gives, or that a user has given.

    Parameters
    ----------
    samples : Samples
    cv : splitter or iterable

    Returns
    -------
    list of (ndarray, ndarray)

    Raises
    ------
    ValueError
        If there is none.
    """
    splits = cv
    if hasattr(cv, "split"):
        splits = cv.split(np.empty((len(samples.y), 1)), samples.y, samples.groups)
    splits = [(np.asarray(train), np.asarray(held)) for train, held in splits]
    if not splits:
        raise ValueError("`cv` gives no split. Give a splitter, or pairs of positions.")
    return [
        tuple(np.flatnonzero(part) if part.dtype == bool else part for part in pair)
        for pair in splits
    ]
