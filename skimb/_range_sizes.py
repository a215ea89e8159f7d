"""The number of samples that each range of a continuous target shall have."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import numpy as np

__all__ = ["EVEN", "OVER", "UNDER", "SizeRule"]


@dataclass(frozen=True)
class SizeRule:
    """The sizes that a resampler gives to the rare and the normal ranges.

    Parameters
    ----------
    named : callable
        A function of the name of a strategy, the sizes before, and a mask of the rare ranges. It
        returns the wanted sizes, as real numbers.
    changed : callable
        A function of a mask of the rare ranges, and of whether the strategy is a list. It returns a
        mask of the ranges to which the factors of the strategy apply.
    least, most : float, default=0 and infinity
        Bounds of these factors.
    """

    named: Callable
    changed: Callable
    least: float = 0.0
    most: float = np.inf

    def sizes_after(self, strategy, before, is_rare, *, name):
        """Return how many samples each range shall have; none vanishes.

        Parameters
        ----------
        strategy : str, float or list of float
            The `sampling_strategy`.
        before : ndarray of shape (n_ranges,), int
            The sizes before.
        is_rare : ndarray of shape (n_ranges,), bool
            Whether each range is rare.
        name : str
            The name of the resampler, for messages.

        Returns
        -------
        ndarray of shape (n_ranges,), int

        Raises
        ------
        ValueError
            If the factors are too many, too few or out of bounds.
        """
        if isinstance(strategy, str):
            wanted = self.named(strategy, before.astype(np.float64), is_rare)
        else:
            changed = self.changed(is_rare, not isinstance(strategy, Real))
            factors = np.ones(len(before))
            factors[changed] = self._checked(strategy, int(changed.sum()), name)
            wanted = factors * before
        return np.maximum(1, np.rint(wanted)).astype(np.intp)

    def _checked(self, strategy, n_changed, name):
        """Return the factors of a strategy, checked."""
        found = _numbers(strategy)
        if found.ndim > 0 and found.shape != (n_changed,):
            raise ValueError(
                f"`sampling_strategy` must have one number for each of the {n_changed} ranges of y "
                f"that {name} changes, by increasing y. Got {strategy!r}. Give as many, or one "
                "number for all."
            )
        is_within = (found >= self.least) & (found <= self.most)
        if not np.all((found > 0) & is_within & np.isfinite(found)):
            raise ValueError(
                "`sampling_strategy` must be 'balance', 'extreme', or ratios of the sizes after "
                f"and before: positive and, for {name}, in [{self.least:g}, {self.most:g}]. "
                f"Got {strategy!r}."
            )
        return found


def _numbers(given):
    """Return numbers as an array; NaN if it holds something else."""
    try:
        found = np.asarray(given)
    except ValueError:
        found = np.array(None)
    return found.astype(np.float64) if found.dtype.kind in "iuf" else np.array(np.nan)


def _more_rare(name, before, is_rare):
    rare, normal = before[is_rare], before[~is_rare]
    after = before.copy()
    if name == "balance":
        after[is_rare] += normal.sum() / len(rare)
    else:
        after[is_rare] += normal.mean() ** 2 / rare
    return after


def _fewer_normal(name, before, is_rare):
    rare, normal = before[is_rare], before[~is_rare]
    after = before.copy()
    stay = rare.sum() / len(normal) if name == "balance" else rare.mean() ** 2 / normal
    after[~is_rare] = np.minimum(stay, normal)
    return after


def _evened_out(name, before, is_rare):
    each = np.rint(before.mean())
    if name == "balance":
        return np.full(len(before), each)
    return each * len(before) / before / np.sum(1 / before)


#: Rare ranges grow.
OVER = SizeRule(_more_rare, lambda is_rare, is_list: is_rare, least=1.0)

#: Normal ranges shrink.
UNDER = SizeRule(_fewer_normal, lambda is_rare, is_list: ~is_rare, most=1.0)

#: Rare ranges grow and normal ones shrink; a list names all of them.
EVEN = SizeRule(
    _evened_out, lambda is_rare, is_list: np.full(len(is_rare), True) if is_list else is_rare
)
