"""Errors of numbers that are means over test images, or means of such means, as sums over them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from skimb.relevance import LabelDensity, fit_relevance

__all__ = ["ErrorScores"]


class ErrorScores:
    """Mean absolute errors: of all images, of a part of them, and the balanced one.

    Parameters
    ----------
    metrics : iterable of str
        Names of metrics; those that are not known here are left out.
    y : ndarray of shape (n,)
        The target, whose range the bins of the balanced error cover.
    relevance : Relevance or None
        It tells which values are rare.

    Attributes
    ----------
    names : list of str
        The metrics that are known.
    is_merged : bool
        False: hardly two images have equal errors.
    """

    is_merged = False

    def __init__(self, metrics, y, relevance):
        density = LabelDensity().fit(y)
        self._bins = {
            "mean_absolute_error": (1, lambda truth: np.zeros(len(truth), dtype=int)),
            "balanced_mean_absolute_error": (len(density.edges_) - 1, density.bin_of),
        }
        if relevance is not None:
            phi = fit_relevance(relevance, y)
            for name, is_rare in (("rare", True), ("normal", False)):
                self._bins[f"mean_absolute_error[{name}]"] = (
                    1,
                    lambda truth, is_rare=is_rare: np.where((phi(truth) >= 0.5) == is_rare, 0, -1),
                )
        self.names = [metric for metric in metrics if metric in self._bins]

    def parts(self, truth: NDArray[Any], predicted: NDArray[Any]) -> Any:
        """Return what each test image adds to the sums.

        Parameters
        ----------
        truth, predicted : ndarray of shape (n_test,)

        Returns
        -------
        sparse array of shape (n_sums, n_test)
            For each metric the errors of its bins, and then their numbers of images.
        """
        errors = np.abs(np.asarray(predicted, dtype=np.float64) - truth)
        rows, columns, values, start = [], [], [], 0
        for metric in self.names:
            n_bins, bin_of = self._bins[metric]
            bins = bin_of(truth)
            images = np.flatnonzero(bins >= 0)
            for what in (errors[images], np.ones(len(images))):
                rows.append(start + bins[images])
                columns.append(images)
                values.append(what)
                start += n_bins
        where = np.concatenate(rows), np.concatenate(columns)
        return csr_array((np.concatenate(values), where), shape=(start, len(truth)))

    def class_of(self, metric: str) -> None:
        """Return None: there are no classes."""

    def __call__(self, sums: NDArray[Any]) -> NDArray[np.float64]:
        """Return the scores.

        Parameters
        ----------
        sums : ndarray of shape (..., n_sums)

        Returns
        -------
        ndarray of shape (..., n_names)
            NaN where no image counts.
        """
        scores, start = [], 0
        for metric in self.names:
            n_bins = self._bins[metric][0]
            errors = sums[..., start : start + n_bins]
            counts = sums[..., start + n_bins : start + 2 * n_bins]
            start += 2 * n_bins
            means = np.divide(errors, counts, out=np.zeros(errors.shape), where=counts > 0)
            n_seen = (counts > 0).sum(axis=-1)
            with np.errstate(invalid="ignore"):
                scores.append(np.where(n_seen > 0, means.sum(axis=-1) / n_seen, np.nan))
        return np.stack(scores, axis=-1)
