"""Probabilities in bins: how often an event happens where its probability is about p."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr
from scipy.stats import beta
from sklearn.utils import check_array, check_consistent_length

from skimb._label_columns import by_label, column_labels, unknown_labels
from skimb._messages import shown
from skimb._params import check_sample_weight
from skimb._unpacking import plain_vector

__all__ = ["Bins", "Outcomes", "check_bins", "checked_outcomes", "put_in_bins"]

#: Probabilities of one sample may differ from a sum of 1 by so much, which float16 does.
SLACK = 5e-3


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Labels and probabilities that were checked.

    Parameters
    ----------
    target : ndarray of int of shape (n,)
        The position of the true label of each sample among the labels.
    proba : ndarray of shape (n, n_classes)
        Probabilities.
    weight : ndarray of shape (n,)
        Weights, all above zero.
    labels : ndarray of shape (n_classes,)
        The label of each column.
    """

    target: np.ndarray
    proba: np.ndarray
    weight: np.ndarray
    labels: np.ndarray

    def top_label(self):
        """Return the largest probability of each sample, and whether that class is the true one."""
        chosen = self.proba.argmax(axis=1)
        return self.proba.max(axis=1), chosen == self.target

    def of_class(self, k):
        """Return the probability of class k of each sample, and whether it is the true one."""
        return self.proba[:, k], self.target == k


def checked_outcomes(y_true, y_proba, *, labels=None, sample_weight=None):
    """Check labels and probabilities.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        True labels.
    y_proba : array-like of shape (n, n_classes) or (n,)
        Probabilities; for two classes, those of the second one suffice. A frame is read by the
        labels of its columns.
    labels : array-like of shape (n_classes,), default=None
        The label of each column. None: the sorted labels of `y_true`, or of a frame's columns.
    sample_weight : array-like of shape (n,), default=None
        Weights. Samples of weight zero are left out.

    Returns
    -------
    Outcomes

    Raises
    ------
    ValueError
        If lengths or columns do not fit, a label is unknown or given twice, or `y_proba` does not
        hold probabilities.
    """
    y_true = plain_vector(y_true, "y_true")
    if labels is None:
        labels = column_labels(y_proba, y_true, name="y_proba")
    found = plain_vector(labels, "labels")
    index = pd.Index(found)
    if not index.is_unique:
        raise ValueError(f"`labels` holds a label twice: {shown(found)}.")
    proba = check_array(
        by_label(y_proba, found, name="y_proba"),
        ensure_2d=False,
        dtype=np.float64,
        input_name="y_proba",
        copy=True,
    )
    check_consistent_length(y_true, proba, sample_weight)
    if proba.ndim == 1:
        proba = np.column_stack([1 - proba, proba])
    if len(found) != proba.shape[1]:
        raise ValueError(
            f"`y_proba` has {proba.shape[1]} columns, but there are {len(found)} labels: "
            f"{shown(found)}. Give `labels`, the label of each column, such as `classes_` of the "
            "classifier."
        )
    unknown = unknown_labels(y_true, found)
    if unknown:
        raise ValueError(
            f"`y_true` holds {shown(unknown)}, but the labels of the columns are {shown(found)}. "
            "Give all of them as `labels`."
        )
    # As objects, True is the number 1, which an index of booleans does not hold.
    target = index.astype(object).get_indexer(pd.Index(y_true).astype(object))
    sums = proba.sum(axis=1)
    if proba.min() < 0 or proba.max() > 1 + SLACK or np.abs(sums - 1).max() > SLACK:
        raise ValueError(
            "`y_proba` must hold probabilities, from 0 to 1, that sum to 1 in each row. Got values "
            f"from {proba.min():.4g} to {proba.max():.4g}, and sums from {sums.min():.4g} to "
            f"{sums.max():.4g}. Give the outputs of `predict_proba`."
        )
    weight = check_sample_weight(sample_weight, proba, dtype=np.float64, ensure_non_negative=True)
    counts = weight > 0
    # Squares of small weights would vanish; a power of two leaves all digits as they are.
    scaled = np.ldexp(weight[counts], -np.frexp(weight.max())[1])
    return Outcomes(target[counts], proba[counts], scaled, found)


def check_bins(n_bins, strategy):
    """Refuse a number of bins, or a strategy, that is none.

    Parameters
    ----------
    n_bins, strategy
        As in `put_in_bins`.

    Raises
    ------
    ValueError
        If it is none.
    """
    if isinstance(n_bins, bool) or not isinstance(n_bins, int | np.integer) or n_bins < 1:
        raise ValueError(f"`n_bins` must be a whole number of at least 1. Got {n_bins!r}.")
    if strategy not in ("quantile", "uniform"):
        raise ValueError(f"`strategy` must be 'quantile' or 'uniform'. Got {strategy!r}.")


@dataclass(frozen=True, eq=False)
class Bins:
    """Probabilities of an event in bins; only bins that hold samples.

    Parameters
    ----------
    share : ndarray of shape (m,)
        The fraction of the total weight in each bin.
    probability : ndarray of shape (m,)
        The mean probability.
    fraction : ndarray of shape (m,)
        How often the event happened.
    deviation : ndarray of shape (m,)
        The standard deviation that `fraction` would have if the probabilities were right.
    n_samples : ndarray of int of shape (m,)
        Samples in each bin.
    n_effective : ndarray of shape (m,)
        Kish's effective number of them, where weights differ.
    """

    share: np.ndarray
    probability: np.ndarray
    fraction: np.ndarray
    deviation: np.ndarray
    n_samples: np.ndarray
    n_effective: np.ndarray

    def error(self, *, debias):
        """Return the mean distance of fractions and probabilities; see `put_in_bins`."""
        gap = np.abs(self.fraction - self.probability)
        if debias:
            # The same noise once more makes the distance about as much larger as it has made it.
            gap = 2 * gap - _mean_distance(gap, self.deviation)
        return max(float(self.share @ gap), 0.0)

    def intervals(self, *, times=1.0):
        """Return the 95 % intervals of the fractions, of Clopper and Pearson.

        Parameters
        ----------
        times : float, default=1.0
            How often each sample was put in a bin, as with repeated predictions of it.

        Returns
        -------
        low, high : ndarray of shape (m,)
        """
        # Weights and repeats may give numbers of samples that are not whole.
        n = self.n_effective / times
        happened = np.clip(self.fraction, 0, 1) * n
        with np.errstate(invalid="ignore"):
            low = np.where(happened > 0, beta.ppf(0.025, happened, n - happened + 1), 0.0)
            high = np.where(happened < n, beta.ppf(0.975, happened + 1, n - happened), 1.0)
        return low, high


def _mean_distance(mean, deviation):
    """Return the mean of |x| for a normal x."""
    scaled = mean / np.maximum(deviation, np.finfo(float).tiny)
    folded = deviation * np.sqrt(2 / np.pi) * np.exp(-(np.minimum(scaled, 40) ** 2) / 2)
    return np.where(deviation > 0, folded + mean * (1 - 2 * ndtr(-scaled)), mean)


def put_in_bins(probability, happened, weight, *, n_bins, strategy, least=1):
    """Put probabilities of an event in bins.

    Parameters
    ----------
    probability : ndarray of shape (n,)
        Probabilities.
    happened : ndarray of bool of shape (n,)
        Whether the event happened.
    weight : ndarray of shape (n,)
        Weights above zero.
    n_bins : int
        The largest number of bins.
    strategy : {"quantile", "uniform"}
        ``"quantile"``: all bins have about the same weight, and equal probabilities are in one bin.
        ``"uniform"``: bins of the same width, closed to the right.
    least : int, default=1
        Neighbouring bins are put together until each holds so many samples.

    Returns
    -------
    Bins
    """
    # In a fixed order, sums do not depend on that of the samples.
    order = np.lexsort((weight, happened, probability))
    probability, happened, weight = probability[order], happened[order], weight[order]
    if strategy == "uniform":
        place = np.searchsorted(np.arange(1, n_bins) / n_bins, probability)
    else:
        _, value = np.unique(probability, return_inverse=True)
        mass = np.bincount(value, weights=weight)
        middle = np.cumsum(mass) - mass / 2
        place = np.minimum(middle / mass.sum() * n_bins, n_bins - 1).astype(int)[value]
    _, place, n_samples = np.unique(place, return_inverse=True, return_counts=True)
    if least > 1:
        joined = _joined(n_samples, least)
        place, n_samples = joined[place], np.bincount(joined, n_samples).astype(int)
    total, squares = np.bincount(place, weight), np.bincount(place, weight**2)
    variance = np.bincount(place, weight**2 * np.clip(probability * (1 - probability), 0, None))
    return Bins(
        share=total / total.sum(),
        probability=np.bincount(place, weight * probability) / total,
        fraction=np.bincount(place, weight * happened) / total,
        deviation=np.sqrt(variance) / total,
        n_samples=n_samples,
        n_effective=total**2 / squares,
    )


def _joined(n_samples, least):
    """Return the new position of each bin, where neighbours have at least so many samples.

    It begins with the largest probabilities, so that few of them do not vanish among many small
    ones.
    """
    new, count, k = np.empty(len(n_samples), dtype=int), 0, 0
    for place in reversed(range(len(n_samples))):
        if count >= least:
            count, k = 0, k + 1
        new[place] = k
        count += n_samples[place]
    if count < least:
        new[new == k] = max(k - 1, 0)
    return new.max() - new
