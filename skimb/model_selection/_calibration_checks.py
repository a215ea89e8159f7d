"""Warnings of calibration samples that are copies, and of thresholds that every sample reaches."""

import numpy as np
import pandas as pd

from skimb._messages import shown
from skimb._reading import sample_keys
from skimb._warnings import warn

__all__ = ["ZERO", "warn_of_copies", "warn_of_zeros"]

#: Probabilities up to this number stand for zero, as trees and neighbours give it.
ZERO = 2 * float(np.finfo(np.float64).tiny)
#: The fraction of equal rows from which a warning is given.
MANY = 0.1


def warn_of_zeros(labels, effect):
    """Warn that thresholds of classes are zero.

    Parameters
    ----------
    labels : array-like
        The classes.
    effect : str
        The end of the sentence that says what follows.
    """
    warn(
        f"The classifier gives held-out samples of {shown(labels)} a probability of zero so often "
        f"that the threshold is zero, and {effect}. Trees and neighbours give such zeros: use "
        "leaves of several samples (min_samples_leaf) or more neighbours, calibrate the "
        "classifier (BiasCorrectedCalibrator, CalibratedClassifierCV), or give more samples."
    )


def warn_of_copies(samples, target, rows, classes):
    """Warn where calibration samples of a class are copies, as an over-sampler makes them.

    Rows that are equal because columns take few values are no copies: they are about as frequent in
    all classes, or more so in the larger ones, and then there is no warning.

    Parameters
    ----------
    samples : Samples
        All samples of the fit; nothing is compared unless X is a table of numbers.
    target : ndarray of int of shape (n,)
        The class of each sample.
    rows : ndarray of int
        Positions of calibration samples.
    classes : dict
        The label of each class to look at, by its number.
    """
    table = _table(samples)
    if table is None:
        return
    numbers = np.arange(len(target)) if samples.groups is None else samples.groups
    code = pd.factorize(np.array([key[-1] for key in sample_keys(table)], dtype=object))[0]
    # Equal rows of one group are one sample: a group stays on one side of a split.
    each = np.unique(np.stack([code, target, numbers], axis=1), axis=0)
    kinds, counts = np.unique(each[:, :2], axis=0, return_counts=True)
    copied = {tuple(kind) for kind in kinds[counts > 1].tolist()}
    pairs = np.stack([code, target], axis=1).tolist()
    is_copy = np.array([tuple(pair) in copied for pair in pairs])
    for number, label in classes.items():
        own = is_copy[rows[target[rows] == number]]
        others = is_copy[target != number]
        fraction = own.mean() if len(own) else 0.0
        if fraction > MANY and fraction > 2 * (others.mean() if len(others) else 0.0):
            warn(
                f"{int(own.sum())} of {len(own)} calibration samples of class {shown(label)} are "
                "equal to other samples of the class, in all columns. If they are copies, as an "
                "over-sampler makes them, nothing is promised: the classifier was trained on some "
                "of them, and the others count repeatedly. Give the samples as they were "
                "collected, with the sampler in a Pipeline inside, or equal rows one number as "
                "`groups`."
            )


def _table(samples):
    """Return X where it is a table of numbers; equal images are in one group anyway."""
    X = samples.X
    if getattr(X, "ndim", None) != 2:
        return None
    if isinstance(X, pd.DataFrame):
        return X.to_numpy() if all(t.kind in "biuf" for t in map(_dtype, X.dtypes)) else None
    return X if isinstance(X, np.ndarray) and X.dtype.kind in "biuf" else None


def _dtype(dtype):
    return dtype if isinstance(dtype, np.dtype) else np.dtype(object)
