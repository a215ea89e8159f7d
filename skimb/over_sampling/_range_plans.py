"""The plan of a resampler of a continuous target: samples that it keeps, and that it makes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from skimb._messages import told_apart
from skimb._warnings import warn
from skimb.over_sampling._recipes import Recipe, blended, perturbed

__all__ = ["Synthesis", "plan_synthesis"]


@dataclass(frozen=True)
class Synthesis:
    """A plan that keeps some samples and makes others.

    Parameters
    ----------
    kept : ndarray of int
        The samples of X that come back.
    recipe : Recipe
        The synthetic samples, which stand below.
    rng : RandomState
        The source of their noise.
    """

    kept: Any
    recipe: Recipe
    rng: Any

    @property
    def sample_indices(self):
        """The sample of X that each returned one is, or its first parent."""
        return np.concatenate([self.kept, self.recipe.first])

    @property
    def parents(self):
        """The parents of the synthetic samples, of shape (m, 2)."""
        return np.column_stack([self.recipe.first, self.recipe.second])

    @property
    def gaps(self):
        """The interpolation factors of the synthetic samples."""
        return self.recipe.gaps

    def applied(self, rows, values, target, *, lazy):
        """Return the samples of the plan, and their values of the target.

        Parameters
        ----------
        rows : ArrayRows or TableRows
            The samples of X.
        values, target, lazy
            As in `Selection.applied`.

        Returns
        -------
        samples, values
        """
        X_resampled = rows.resampled(self.kept, self.recipe, self.rng, lazy=lazy)
        made = blended(target, self.recipe)
        made[self.recipe.noisy] = perturbed(target, self.recipe, self.rng)
        return X_resampled, _as_values(values, np.concatenate([target[self.kept], made]))


def plan_synthesis(
    target, range_of, sizes, fit_recipe, *, random_state, name, k_neighbors: Any = None
):
    """Draw the samples that stay where a range shrinks, and the parents of others where it grows.

    Parameters
    ----------
    target : ndarray of shape (n,), float64
        The target.
    range_of : ndarray of shape (n,), int
        The range of each sample.
    sizes : ndarray of shape (n_ranges,), int
        The number of samples that each range shall have.
    fit_recipe : callable
        It is called without arguments, once, if a range grows, and returns a function of the
        members of a range, of seeds (positions among them) and of a RandomState, which returns the
        second parents (positions, too), interpolation factors and noise levels of the samples that
        are made of the seeds.
    random_state : int, RandomState instance or None
        The source of all of this.
    name : str
        The name of the resampler, for messages.
    k_neighbors : int, default=None
        Neighbours that the recipe chooses from. None: it does not look for neighbours.

    Returns
    -------
    Synthesis
    """
    rng = check_random_state(random_state)
    recipe_of: Any = None
    if np.any(sizes > np.bincount(range_of)):
        recipe_of = fit_recipe()
    nothing = np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp), np.empty(0), np.empty(0)
    kept, made = [], [nothing]
    for number, n_wanted in enumerate(sizes):
        members = np.flatnonzero(range_of == number)
        n_new = n_wanted - len(members)
        kept.append(rng.choice(members, n_wanted, replace=False) if n_new < 0 else members)
        if n_new > 0:
            _warn_of_few(target[members], k_neighbors, name)
            # Each sample is a seed equally often, and some of them once more.
            seeds = np.tile(np.arange(len(members)), n_new // len(members))
            seeds = np.append(seeds, rng.permutation(len(members))[: n_new % len(members)])
            second, gaps, spreads = recipe_of(members, seeds, rng)
            made.append((members[seeds], members[second], gaps, spreads))
    columns = (np.concatenate(column) for column in zip(*made, strict=True))
    return Synthesis(np.sort(np.concatenate(kept)), Recipe(*columns, range_of=range_of), rng)


def _warn_of_few(values, k_neighbors, name):
    n_rows = len(values)
    if n_rows == 1:
        number, consequence = "one sample", f"{name} copies it"
    elif k_neighbors is not None and n_rows <= k_neighbors:
        number = f"{n_rows} samples"
        consequence = (
            f"{name} uses {n_rows - 1} neighbours there instead of k_neighbors={k_neighbors}"
        )
    else:
        return
    low, high = told_apart(values.min(), values.max())
    warn(f"The range of y from {low} to {high} has {number} only: {consequence}.")


def _as_values(values, target):
    """Return a target as the values that came: their container, and their dtype if of floats."""
    dtype = values.dtype if pd.api.types.is_float_dtype(values.dtype) else np.float64
    if isinstance(values, pd.Series):
        return pd.Series(target, dtype=dtype, name=values.name)
    return target.astype(dtype)
