"""Predictions that are moved away from a centre, within the range of the target."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SpreadCorrection"]


@dataclass(frozen=True)
class SpreadCorrection:
    """What becomes of the predictions of a regressor: ``centre + slope * (p - centre)``, in bounds.

    Parameters
    ----------
    slope : float
        1: predictions stay as they are, but for the bounds.
    centre : float
        The prediction that does not move, in units of the target.
    low, high : float, default=-inf, inf
        The bounds, in units of the target.
    holds_all : bool, default=False
        Whether all predictions are brought within the bounds. False: a prediction that is beyond a
        bound before stays there, and others are not moved beyond it.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb._spread_correction import SpreadCorrection
    >>> SpreadCorrection(2.0, 5.0, 0.0, 10.0)(np.array([4.0, 6.0, 9.0, 11.0]))
    array([ 3.,  7., 10., 11.])
    """

    slope: float
    centre: float
    low: float = -np.inf
    high: float = np.inf
    holds_all: bool = False

    def limits(self, predicted: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the least and the largest value that each prediction may become.

        Parameters
        ----------
        predicted : ndarray of shape (n,)

        Returns
        -------
        low, high : ndarray of shape (n,)
        """
        if self.holds_all:
            return np.full(len(predicted), self.low), np.full(len(predicted), self.high)
        return np.minimum(predicted, self.low), np.maximum(predicted, self.high)

    def __call__(self, predicted: NDArray[Any]) -> NDArray[np.float64]:
        """Return the corrected predictions.

        Parameters
        ----------
        predicted : ndarray of shape (n,), float64

        Returns
        -------
        ndarray of shape (n,), float64
        """
        moved = predicted
        # The sum of a difference would lose the last bits of predictions that do not move.
        if self.slope != 1:
            moved = self.centre + self.slope * (predicted - self.centre)
        return np.clip(moved, *self.limits(predicted))
