"""Make rows in the bumps of a continuous target that shall have more of them."""

from abc import abstractmethod
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.utils import check_random_state

from skimb._distances import by_range, nearest
from skimb._image_files import is_paths
from skimb._images import check_rows
from skimb._lazy_rows import ResampledRows
from skimb._params import plain
from skimb._points import EmbeddingMixin
from skimb._warnings import warn
from skimb.over_sampling._row_makers import ArrayRows, Recipe, TableRows, blended, perturbed

__all__ = ["NeighborMixin", "SynthesisMixin"]


class SynthesisMixin:
    """What makes rows where a bump shall have more, and drops rows where it shall have fewer.

    Put it before `RelevanceResampler`. A subclass has the parameter ``categorical_features``, and
    says in ``_recipe`` what rows are made of.
    """

    _makes_rows = True
    bumps_: Any
    categorical_features: Any
    lazy: bool
    random_state: Any

    @abstractmethod
    def _recipe(self, rows, members, seeds, rng) -> Any:
        """Return second parents, gaps and spreads of the rows that are made of seeds in a bump.

        ``members`` are the rows of the bump; seeds and parents are positions among them.
        """

    def _prepare(self, rows, target):
        """Fit what `_recipe` needs."""

    def _for_want_of_rows(self, n_rows):
        """Say what is done where a bump has too few rows; None: they suffice."""
        return f"{type(self).__name__} copies it" if n_rows == 1 else None

    def _named_counts(self, name, before, is_rare):
        each = np.rint(before.mean())
        if name == "balance":
            return np.full(len(before), each)
        return each * len(before) / before / np.sum(1 / before)

    def _changed(self, is_rare, *, is_list):
        return np.full(len(is_rare), True) if is_list else is_rare

    def _check_rows(self, X, target):
        is_frame, is_view = hasattr(X, "columns"), isinstance(X, ResampledRows)
        dtypes = X.dtypes if is_frame else []
        if sparse.issparse(X) or any(isinstance(dtype, pd.SparseDtype) for dtype in dtypes):
            raise TypeError(
                f"{type(self).__name__} makes rows, which sparse X cannot hold. Give it dense."
            )
        of_paths = is_paths(X)
        if of_paths and is_frame:
            if isinstance(self.categorical_features, str):
                raise ValueError(
                    f"The one column of X holds strings. {type(self).__name__} makes rows: if they "
                    "are paths of images, read them first by skimb.datasets.read_images; if they "
                    "are categories, say so by categorical_features=[0]."
                )
            of_paths = False
        if self.lazy and not (isinstance(X, np.ndarray) or is_view or of_paths):
            raise ValueError(
                f"`lazy=True` takes arrays and tensors, but X is a {type(X).__name__}, and what is "
                "made of it would not tell its parents. Give an array, or use lazy=False."
            )
        if of_paths or (not is_frame and isinstance(self.categorical_features, str)):
            return ArrayRows(self._check_numbers(X, target))
        table, _ = check_rows(self, np.asarray(X) if is_view else X, target, numeric=False)
        if table.ndim != 2:
            raise ValueError(
                "`categorical_features` are columns, but rows of X are of shape "
                f"{table.shape[1:]}. Leave it 'auto'."
            )
        return TableRows(X if is_view else table, self.categorical_features)

    def _check_numbers(self, X, target):
        try:
            # Paths are refused there.
            return super()._check_rows(X, target)  # pyright: ignore[reportAttributeAccessIssue] - the template
        except ValueError as exc:
            if "could not convert string" not in str(exc):
                raise
            raise ValueError(
                f"{type(self).__name__} makes rows of numbers: {exc}. Give columns that hold "
                "categories as `categorical_features`."
            ) from exc

    def _resample(self, X, values, target, learned):
        rng = check_random_state(self.random_state)
        after = self.bumps_["after"].to_numpy()
        if np.any(after > self.bumps_["before"]):
            self._prepare(X, target)
        kept, made = [], []
        for b, n_wanted in enumerate(after):
            members = np.flatnonzero(learned == b)
            n_new = n_wanted - len(members)
            kept.append(rng.choice(members, n_wanted, replace=False) if n_new < 0 else members)
            if n_new > 0:
                self._warn_of_few(target[members])
                # Each row as often, and some of them once more.
                seeds = np.tile(np.arange(len(members)), n_new // len(members))
                seeds = np.append(seeds, rng.permutation(len(members))[: n_new % len(members)])
                second, gaps, spreads = self._recipe(X, members, seeds, rng)
                made.append((members[seeds], members[second], gaps, spreads))
        kept = np.sort(np.concatenate(kept))
        nothing = np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp), np.empty(0), np.empty(0)
        columns = zip(nothing, *made, strict=True)
        recipe = Recipe(*(np.concatenate(column) for column in columns), bump=learned)
        self.parents_ = np.column_stack([recipe.first, recipe.second])
        self.gaps_ = recipe.gaps
        self.sample_indices_ = np.concatenate([kept, recipe.first])
        X_resampled = X.resampled(kept, recipe, rng, lazy=self.lazy)
        made_target = blended(target, recipe)
        made_target[recipe.noisy] = perturbed(target, recipe, rng)
        return X_resampled, _as_values(values, np.concatenate([target[kept], made_target]))

    def _warn_of_few(self, values):
        remedy = self._for_want_of_rows(len(values))
        if remedy is not None:
            number = "one row" if len(values) == 1 else f"{len(values)} rows"
            warn(
                f"The bump of y from {values.min():g} to {values.max():g} has {number} only: "
                f"{remedy}.",
            )


class NeighborMixin(EmbeddingMixin):
    """What finds the neighbours of a row in its bump.

    Put it before `SynthesisMixin`. A subclass has the parameters ``k_neighbors``, ``embedder`` and
    ``metric`` too.
    """

    k_neighbors: int
    metric: str

    def _check_rows(self, X, target):
        rows = super()._check_rows(X, target)  # pyright: ignore[reportAttributeAccessIssue] - the template
        if self.metric == "euclidean" and self.embedder is None and rows.codes.shape[1]:
            raise ValueError(
                "`metric='euclidean'` compares numbers, and X has categories. Use 'heom' or "
                "'auto', or give an `embedder` that encodes them."
            )
        return rows

    def _prepare(self, rows, target):
        self._fit_embedder(rows.values, target)

    def _for_want_of_rows(self, n_rows):
        if 1 < n_rows <= self.k_neighbors:
            return (
                f"{type(self).__name__} uses {n_rows - 1} neighbours there instead of "
                f"k_neighbors={self.k_neighbors}"
            )
        return super()._for_want_of_rows(n_rows)  # pyright: ignore[reportAttributeAccessIssue] - SynthesisMixin

    def _measured(self, rows, members):
        """Return the rows of a bump as points, and their categories as codes."""
        is_table = self.embedder is None and isinstance(rows, TableRows)
        points = rows.numbers[members] if is_table else self._points(rows.values, members)
        codes = rows.codes[members, : None if is_table else 0]
        if self.metric == "heom" or (self.metric == "auto" and is_table):
            points = by_range(points)
        return points, codes

    def _drawn(self, points, codes, seeds, rng):
        """Draw a neighbour for each seed; return it, and its distance."""
        k_neighbors = min(plain(self.k_neighbors), len(points) - 1)
        if k_neighbors == 0:
            return seeds, np.zeros(len(seeds))
        neighbors, distances = nearest(points, codes, k_neighbors)
        choice = rng.randint(k_neighbors, size=len(seeds))
        return neighbors[seeds, choice], distances[seeds, choice]


def _as_values(values, target):
    """Return a target as the values that came: their container, and their dtype if of floats."""
    dtype = values.dtype if pd.api.types.is_float_dtype(values.dtype) else np.float64
    if isinstance(values, pd.Series):
        return pd.Series(target, dtype=dtype, name=values.name)
    return target.astype(dtype)
