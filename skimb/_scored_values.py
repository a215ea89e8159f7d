"""Values, predictions and weights, checked before they are scored."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_consistent_length

from skimb._params import check_sample_weight
from skimb.relevance import check_target

__all__ = ["checked_values", "given_weight"]


def checked_values(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return values, their predictions and weights as checked arrays, of the samples that count.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Values and predictions.
    sample_weight : array-like of shape (n,), default=None
        Weights. None: 1 for every sample. Samples of weight 0 are left out.

    Returns
    -------
    y_true, y_pred, weight : ndarray of shape (m,), float64

    Raises
    ------
    ValueError
        If shapes differ, values are not finite, or no weight is positive.
    """
    y_true, y_pred = check_target(y_true, name="y_true"), check_target(y_pred, name="y_pred")
    check_consistent_length(y_true, y_pred)
    weight = check_sample_weight(sample_weight, y_true, dtype=np.float64, ensure_non_negative=True)
    counts = weight > 0
    return y_true[counts], y_pred[counts], weight[counts]


def given_weight(sample_weight, y_true):
    """Return weights as a checked array of float64, and None where none are given."""
    if sample_weight is None:
        return None
    return check_sample_weight(sample_weight, y_true, dtype=np.float64, ensure_non_negative=True)
