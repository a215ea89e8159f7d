"""Rows between two rows, and rows with noise: of arrays of any dimension, and of tables."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_array, gen_batches

from skimb._lazy_rows import VALUES_AT_ONCE
from skimb._plans import append_rows, hold_rows, interpolate_rows
from skimb._rounding import in_dtype

__all__ = ["ArrayRows", "Recipe", "TableRows", "blended", "perturbed"]


@dataclass(frozen=True)
class Recipe:
    """What m synthetic rows are made of.

    A row is ``x_first + gap (x_second - x_first) + spread s e``, with the standard deviations s in
    its bump and e from N(0, 1). One between two rows has no spread; one with noise has its seed
    for both parents.

    Parameters
    ----------
    first, second : ndarray of shape (m,), int
        The parents.
    gaps, spreads : ndarray of shape (m,)
        As above.
    bump : ndarray of shape (n,), int
        Of each original row.
    """

    first: Any
    second: Any
    gaps: Any
    spreads: Any
    bump: Any

    @property
    def noisy(self):
        """Which of the m rows have noise."""
        return np.flatnonzero(self.spreads > 0)

    def noisy_by_bump(self):
        """Yield the original rows of each bump, and which of the noisy rows belong to it."""
        bump = self.bump[self.first[self.noisy]]
        for b in np.unique(bump):
            yield np.flatnonzero(self.bump == b), np.flatnonzero(bump == b)


def blended(values, recipe):
    """Return what lies between the parents, without noise.

    Parameters
    ----------
    values : ndarray of shape (n, ...), float
        Of the original rows.
    recipe : Recipe

    Returns
    -------
    ndarray of shape (m, ...)
    """
    first = values[recipe.first]
    return first + _beside(recipe.gaps, first) * (values[recipe.second] - first)


def perturbed(X, recipe, rng):
    """Return the rows with noise.

    Parameters
    ----------
    X : ndarray of shape (n, ...), or ResampledRows
        The original rows.
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
    for members, places in recipe.noisy_by_bump():
        deviation = _deviation(np.asarray(X[members]))
        for batch in gen_batches(len(places), max(1, VALUES_AT_ONCE // per_row)):
            part = places[batch]
            rows = np.asarray(X[first[part]]).astype(np.float64)
            rows += _beside(spreads[part], rows) * deviation * rng.standard_normal(rows.shape)
            made[part] = in_dtype(rows, X.dtype)
    return made


def _beside(numbers, rows):
    """Return one number a row, to be multiplied with all its values."""
    return numbers.reshape(-1, *[1] * (rows.ndim - 1))


def _deviation(rows):
    """Return the standard deviation of each value of a row; 0 where there is one row only."""
    flat = rows.reshape(len(rows), -1)
    deviation = np.zeros(flat.shape[1])
    if len(rows) > 1:
        for part in gen_batches(flat.shape[1], max(1, VALUES_AT_ONCE // len(rows))):
            deviation[part] = flat[:, part].std(axis=0, ddof=1, dtype=np.float64)
    return deviation.reshape(rows.shape[1:])


class ArrayRows:
    """Rows of an array of any dimension, all numbers.

    Parameters
    ----------
    values : ndarray of shape (n, ...), or ResampledRows
        The rows.
    """

    def __init__(self, values):
        self.values = values
        self.codes = np.empty((len(values), 0), dtype=np.intp)

    def resampled(self, kept, recipe, rng, *, lazy):
        """Return some rows and, below them, those of a recipe.

        Parameters
        ----------
        kept : ndarray of int
            Which rows come back.
        recipe : Recipe
            Of the rows below.
        rng : RandomState
            The source of noise.
        lazy : bool
            Return a view, which holds only the rows with noise.

        Returns
        -------
        ndarray, or ResampledRows
        """
        rows = interpolate_rows(
            self.values, recipe.first, recipe.second, recipe.gaps, chosen=kept, lazy=lazy
        )
        noise, places = perturbed(self.values, recipe, rng), len(kept) + recipe.noisy
        if lazy:
            return hold_rows(rows, noise, places)
        rows[places] = noise
        return rows


class TableRows:
    """Rows of a frame, or of a 2-D array, some of whose columns are categories.

    Parameters
    ----------
    values : frame, ndarray of shape (n, d), or ResampledRows
        The rows.
    categorical_features : "auto" or array-like
        Which columns: those that hold no numbers, whatever their dtype, a mask, positions, or
        names.
    """

    def __init__(self, values, categorical_features):
        self.values = values
        is_frame = hasattr(values, "columns")
        frame = values if is_frame else pd.DataFrame(np.asarray(values)).infer_objects()
        self.frame = frame
        inferred = frame.infer_objects()
        self.dtypes = inferred.dtypes
        self.is_categorical = _mask_of(categorical_features, inferred)
        try:
            numbers = inferred.loc[:, ~self.is_categorical].to_numpy(dtype=np.float64)
        except (TypeError, ValueError) as exc:
            raise ValueError(
                f"Columns that `categorical_features` does not name must hold numbers: {exc}."
            ) from exc
        self.numbers = check_array(numbers, input_name="X") if numbers.shape[1] else numbers
        self.codes = np.empty((len(frame), int(self.is_categorical.sum())), dtype=np.intp)
        for column, place in zip(self.codes.T, np.flatnonzero(self.is_categorical), strict=True):
            # What is missing is a category as others are.
            column[:] = pd.factorize(frame.iloc[:, place], use_na_sentinel=False)[0]

    def resampled(self, kept, recipe, rng, *, lazy):
        """Return some rows and, below them, those of a recipe.

        A category is that of either parent; with noise, that of any row of the bump.

        Parameters
        ----------
        kept, recipe, rng
            As in `ArrayRows.resampled`.
        lazy : bool
            Where the table is an array, return a view, which holds the rows of the recipe.

        Returns
        -------
        frame, ndarray or ResampledRows
        """
        numbers = blended(self.numbers, recipe)
        numbers[recipe.noisy] = perturbed(self.numbers, recipe, rng)
        first, second = recipe.first[:, np.newaxis], recipe.second[:, np.newaxis]
        is_first = rng.random_sample((len(first), self.codes.shape[1])) < 0.5
        sources = np.where(is_first, first, second)
        for members, places in recipe.noisy_by_bump():
            shape = len(places), sources.shape[1]
            sources[recipe.noisy[places]] = rng.choice(members, size=shape)
        made = self._frame_of(numbers, sources)
        if self.frame is self.values:
            return pd.concat([self.frame.iloc[kept], made], ignore_index=True)
        rows, parents = made.to_numpy(dtype=self.values.dtype), np.hstack([first, second])
        return append_rows(self.values, rows, parents, chosen=kept, lazy=lazy)

    def _frame_of(self, numbers, sources):
        """Return a frame of these numbers and of the categories of these rows."""
        numeric, categorical = iter(numbers.T), iter(sources.T)
        columns = []
        for place, is_categorical in enumerate(self.is_categorical):
            column = self.frame.iloc[:, place]
            if is_categorical:
                made = column.iloc[next(categorical)].reset_index(drop=True)
            else:
                # pandas' nullable dtypes know the plain one behind them.
                inferred = self.dtypes.iloc[place]
                plain = np.dtype(getattr(inferred, "numpy_dtype", inferred))
                made = pd.Series(in_dtype(next(numeric), plain)).astype(column.dtype)
            columns.append(made)
        return pd.concat(columns, axis=1).set_axis(self.frame.columns, axis=1)


def _mask_of(categorical_features, frame):
    """Return which columns are categories."""
    n_columns = frame.shape[1]
    if isinstance(categorical_features, str):
        is_number = [
            pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)
            for dtype in frame.dtypes
        ]
        return ~np.array(is_number, dtype=bool)
    asked = np.asarray(categorical_features)
    if asked.dtype.kind == "b" and asked.shape == (n_columns,):
        return asked
    mask = np.zeros(n_columns, dtype=bool)
    if asked.size == 0:
        return mask
    if asked.dtype.kind in "iu" and np.all((asked >= -n_columns) & (asked < n_columns)):
        mask[asked] = True
        return mask
    names = pd.Index(list(categorical_features))
    if asked.dtype.kind not in "biu" and names.isin(frame.columns).all():
        return np.asarray(frame.columns.isin(names))
    raise ValueError(
        "`categorical_features` must be 'auto', a mask of all columns, positions or names of some. "
        "Whole numbers are positions, counted from 0. "
        f"X has {n_columns} columns, {frame.columns.tolist()}. Got {categorical_features!r}."
    )
