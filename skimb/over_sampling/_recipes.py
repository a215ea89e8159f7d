"""The recipe of synthetic samples: two parents each, or a sample and noise."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import gen_batches

from skimb._lazy_rows import VALUES_AT_ONCE
from skimb._magnitudes import deviation
from skimb._rounding import in_dtype

__all__ = ["Recipe", "blended", "perturbed"]


@dataclass(frozen=True)
class Recipe:
    """The parents, interpolation factors and noise of m synthetic samples.

    A sample is ``x_first + gap (x_second - x_first) + spread s e``, with the standard deviations s
    in its range and e from N(0, 1). A sample between two others has no spread; a sample with noise
    has its seed for both parents.

    Parameters
    ----------
    first, second : ndarray of shape (m,), int
        The parents.
    gaps, spreads : ndarray of shape (m,)
        The interpolation factors and noise levels.
    range_of : ndarray of shape (n,), int
        The range of each original sample.
    """

    first: Any
    second: Any
    gaps: Any
    spreads: Any
    range_of: Any

    @property
    def noisy(self):
        """The positions of the samples with noise, among the m."""
        return np.flatnonzero(self.spreads > 0)

    def noisy_by_range(self):
        """Yield the original samples of each range, and which of the noisy samples belong to it."""
        of_noisy = self.range_of[self.first[self.noisy]]
        for number in np.unique(of_noisy):
            yield np.flatnonzero(self.range_of == number), np.flatnonzero(of_noisy == number)


def blended(values, recipe):
    """Return the interpolations between the parents, without noise.

    Parameters
    ----------
    values : ndarray of shape (n, ...), float
        Values of the original samples.
    recipe : Recipe

    Returns
    -------
    ndarray of shape (m, ...)
    """
    first = values[recipe.first]
    return first + _per_row(recipe.gaps, first) * (values[recipe.second] - first)


def perturbed(X, recipe, rng):
    """Return the samples with noise.

    Parameters
    ----------
    X : ndarray of shape (n, ...), or ResampledRows
        The original samples.
    recipe : Recipe
    rng : RandomState

    Returns
    -------
    ndarray of shape (k, ...)
        One for each of ``recipe.noisy``, of the dtype of X: integers rounded and clipped.
    """
    first, spreads = recipe.first[recipe.noisy], recipe.spreads[recipe.noisy]
    made = np.empty((len(first), *X.shape[1:]), dtype=X.dtype)
    per_row = max(1, int(np.prod(X.shape[1:])))
    for members, places in recipe.noisy_by_range():
        scale = _deviation(np.asarray(X[members]))
        for batch in gen_batches(len(places), max(1, VALUES_AT_ONCE // per_row)):
            part = places[batch]
            rows = np.asarray(X[first[part]]).astype(np.float64)
            rows += _per_row(spreads[part], rows) * scale * rng.standard_normal(rows.shape)
            made[part] = in_dtype(rows, X.dtype)
    return made


def _per_row(numbers, rows):
    """Return one number per sample, in a shape that multiplies all its values."""
    return numbers.reshape(-1, *[1] * (rows.ndim - 1))


def _deviation(rows):
    """Return the standard deviation of each value of a sample; 0 for a single sample."""
    flat = rows.reshape(len(rows), -1)
    found = np.zeros(flat.shape[1])
    # A table may hold categories alone.
    if len(rows) > 1 and flat.shape[1]:
        for part in gen_batches(flat.shape[1], max(1, VALUES_AT_ONCE // len(rows))):
            found[part] = deviation(flat[:, part], dtype=np.float64, ddof=1)
    return found.reshape(rows.shape[1:])
