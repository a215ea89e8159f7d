"""A learning curve of one class, and how it may go on."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skimb._messages import shown
from skimb.study._ranking_scores import MEASURES

__all__ = ["MOST_TIMES", "MoreImages"]

#: The largest number of images that a curve is drawn to, as a multiple of those there are.
MOST_TIMES = 4

#: A gain that nobody would label images for, and one that few would.
SMALL_GAIN, MODEST_GAIN = 0.01, 0.03


@dataclass(frozen=True, eq=False)
class MoreImages:
    """A learning curve of one class, and how it may go on.

    Parameters
    ----------
    label : label
        The class.
    measure : {"average_precision", "best_f1"}
        The measure of the scores.
    n_images : int
        The images of the class that there are.
    sizes : ndarray of shape (n_sizes,)
        Images of the class in the training parts.
    scores : ndarray of shape (n_runs, n_sizes)
        A score for each fold and each order of the images.
    grid : ndarray of shape (n_grid,)
        Images of the class, from the smallest size to four times as many as there are.
    mean, low, high : ndarray of shape (n_grid,)
        The curve, and the band that holds 95 % of the curves that the scores allow.
    draws : ndarray of shape (n_draws, n_grid)
        These curves.
    remarks : tuple of str, default=()
        Sentences about the trainings, such as that they were short.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study import MoreImages
    >>> grid = np.array([10.0, 20.0, 80.0])
    >>> curve = np.array([0.5, 0.6, 0.7])
    >>> result = MoreImages(
    ...     "cat", "average_precision", 20, grid[:2], curve[np.newaxis, :2],
    ...     grid, curve, curve, curve, curve[np.newaxis],
    ... )
    >>> round(result.forecast(4)["gain"], 3)
    0.1
    """

    label: Any
    measure: str
    n_images: int
    sizes: np.ndarray
    scores: np.ndarray
    grid: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    draws: np.ndarray
    remarks: tuple[str, ...] = ()

    def forecast(self, times: float = 2.0) -> dict[str, float]:
        """Return the score with so many times the images of the class.

        Parameters
        ----------
        times : float, default=2.0
            From 1 to 4.

        Returns
        -------
        dict
            ``n_images``; ``score`` and its 95 % band, ``low`` and ``high``; ``gain`` over the
            images that there are, with its band, ``gain_low`` and ``gain_high``.

        Raises
        ------
        ValueError
            If `times` is below 1 or above 4.
        """
        if not 1 <= times <= MOST_TIMES:
            raise ValueError(
                f"`times` must be from 1 to {MOST_TIMES}: nobody knows how a curve goes on beyond "
                f"that. Got {times!r}."
            )
        now, then = (self._at(self.n_images * each) for each in (1, times))
        gain = then - now
        bands = [np.quantile(each, [0.025, 0.975]) for each in (then, gain)]
        (low, high), (gain_low, gain_high) = ([float(end) for end in band] for band in bands)
        return {
            "n_images": round(self.n_images * times),
            "score": float(then.mean()),
            "low": low,
            "high": high,
            "gain": float(gain.mean()),
            "gain_low": gain_low,
            "gain_high": gain_high,
        }

    def _at(self, n_images):
        """Return the height of each drawn curve."""
        place = np.log(n_images)
        return np.array([np.interp(place, np.log(self.grid), curve) for curve in self.draws])

    def __str__(self) -> str:
        """Say whether more images would help, and what to know about the trainings."""
        told = self.forecast(2)
        words = MEASURES[self.measure]
        band = f"{told['gain_low']:+.3f} to {told['gain_high']:+.3f}"
        if told["gain_low"] > SMALL_GAIN:
            verdict = f"More of them would help: the gain is {band} (95 % band)."
        elif told["gain_high"] < SMALL_GAIN:
            most = f"{told['gain_high']:.3f}"
            verdict = f"More of them would hardly help: the gain is at most {most} (95 % band)."
        elif told["gain_high"] <= MODEST_GAIN:
            most = f"{told['gain_high']:.3f}"
            verdict = f"More of them would add at most {most} (95 % band: {band})."
        else:
            verdict = (
                "These images cannot tell whether more of them would help: the gain may be "
                f"anything from {band} (95 % band)."
            )
        return " ".join(
            [
                f"With twice as many images of {shown(self.label)} ({told['n_images']} instead of "
                f"{self.n_images}), {words} would be {told['score']:.3f} (95 % band: "
                f"{told['low']:.3f} to {told['high']:.3f}). {verdict}",
                *self.remarks,
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the drawn curves as plain Python objects.

        Returns
        -------
        dict
        """
        return {
            "class": self.label,
            "measure": self.measure,
            "n_images": self.n_images,
            "sizes": self.sizes.tolist(),
            "scores": self.scores.tolist(),
            "curve": {
                name: getattr(self, name).tolist() for name in ("grid", "mean", "low", "high")
            },
            "remarks": list(self.remarks),
            "forecasts": [self.forecast(times) for times in (1, 2, MOST_TIMES)],
        }
