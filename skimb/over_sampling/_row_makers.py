"""The rows of X, in a form from which others are made: arrays of any dimension, and tables."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.utils import check_array

from skimb._image_files import is_paths
from skimb._lazy_rows import is_array
from skimb._plans import append_rows, hold_rows, interpolate_rows
from skimb._refusals import holds_paths
from skimb._rounding import in_dtype
from skimb._sampler_rows import check_rows
from skimb.over_sampling._recipes import blended, perturbed

__all__ = ["ArrayRows", "TableRows", "read_rows"]


def read_rows(resampler, X, target, *, check_numbers) -> Any:
    """Check the samples of X, and return them as samples of which others can be made.

    Parameters
    ----------
    resampler : resampler
        The resampler, with parameters `lazy` and `categorical_features`. It gets
        ``n_features_in_``.
    X : object
        The samples.
    target : ndarray of shape (n,)
        The target.
    check_numbers : callable
        A function from X and the target to the checked samples, used if all of them are numbers.

    Returns
    -------
    ArrayRows or TableRows

    Raises
    ------
    TypeError
        If X is sparse.
    ValueError
        If X, `lazy` or `categorical_features` does not fit.
    """
    name, categorical_features = type(resampler).__name__, resampler.categorical_features
    is_frame = hasattr(X, "columns")
    dtypes = X.dtypes if is_frame else []
    if sparse.issparse(X) or any(isinstance(dtype, pd.SparseDtype) for dtype in dtypes):
        raise TypeError(f"{name} makes samples, which sparse X cannot hold. Give it dense.")
    of_paths = is_paths(X)
    if of_paths and is_frame:
        if isinstance(categorical_features, str):
            raise ValueError(
                f"The one column of X holds strings. {name} makes samples: if they "
                "are paths of images, read them first by skimb.datasets.read_images; if they "
                "are categories, say so by categorical_features=[0]."
            )
        of_paths = False
    elif is_frame and isinstance(categorical_features, str):
        _refuse_images(X, name)
    if resampler.lazy and not (is_array(X) or of_paths):
        raise ValueError(
            f"`lazy=True` takes arrays and tensors, but X is a {type(X).__name__}, and what is "
            "made of it would not tell its parents. Give an array, or use lazy=False."
        )
    if of_paths or (not is_frame and isinstance(categorical_features, str)):
        try:
            # Paths are refused there.
            return ArrayRows(check_numbers(X, target))
        except ValueError as exc:
            if "could not convert string" not in str(exc):
                raise
            raise ValueError(
                f"{name} makes samples of numbers: {exc}. Give columns that hold "
                "categories as `categorical_features`."
            ) from exc
    table, _ = check_rows(resampler, X, target, numeric=False)
    if table.ndim != 2:
        raise ValueError(
            "`categorical_features` are columns, but samples of X are of shape "
            f"{table.shape[1:]}. Leave it 'auto'."
        )
    return TableRows(table, categorical_features)


def _refuse_images(frame, name):
    """Refuse a column of paths: as a category, the image of a sample would not fit its target."""
    for place, column in enumerate(frame.columns):
        if holds_paths(frame.iloc[:, place]):
            raise ValueError(
                f"The column {column!r} of X holds paths of images. {name} makes samples, which "
                "have no image files. Choose samples: RelevanceOverSampler(); or embed the images: "
                f"CNNEmbedder in a ColumnTransformer, on whose output {name} works. If the paths "
                "are categories, name all columns of categories as `categorical_features`."
            )


class ArrayRows:
    """Samples of an array of any dimension, all numbers.

    Parameters
    ----------
    values : ndarray of shape (n, ...), or ResampledRows
        The samples.
    """

    def __init__(self, values):
        self.values = values
        self.codes = np.empty((len(values), 0), dtype=np.intp)

    def resampled(self, kept, recipe, rng, *, lazy):
        """Return some samples and, below them, those of a recipe.

        Parameters
        ----------
        kept : ndarray of int
            The samples that come back.
        recipe : Recipe
            The recipe of the samples below.
        rng : RandomState
            The source of noise.
        lazy : bool
            Return a view, which holds only the samples with noise.

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
    """Samples of a frame, or of a 2-D array, some of whose columns are categories.

    Parameters
    ----------
    values : frame, ndarray of shape (n, d), or ResampledRows
        The samples.
    categorical_features : "auto" or array-like
        The columns of categories: a mask, positions, or names. ``"auto"``: the columns that hold no
        numbers, whatever their dtype.
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
            # A missing value is a category like any other.
            column[:] = pd.factorize(frame.iloc[:, place], use_na_sentinel=False)[0]

    def resampled(self, kept, recipe, rng, *, lazy):
        """Return some samples and, below them, those of a recipe.

        A category is copied from one of the two parents at random; in a sample with noise, from any
        sample of the range.

        Parameters
        ----------
        kept, recipe, rng
            As in `ArrayRows.resampled`.
        lazy : bool
            Return a view, which holds the samples of the recipe, if the table is an array.

        Returns
        -------
        frame, ndarray or ResampledRows
        """
        numbers = blended(self.numbers, recipe)
        numbers[recipe.noisy] = perturbed(self.numbers, recipe, rng)
        first, second = recipe.first[:, np.newaxis], recipe.second[:, np.newaxis]
        is_first = rng.random_sample((len(first), self.codes.shape[1])) < 0.5
        sources = np.where(is_first, first, second)
        for members, places in recipe.noisy_by_range():
            shape = len(places), sources.shape[1]
            sources[recipe.noisy[places]] = rng.choice(members, size=shape)
        made = self._frame_of(numbers, sources)
        if self.frame is self.values:
            return pd.concat([self.frame.iloc[kept], made], ignore_index=True)
        rows, parents = made.to_numpy(dtype=self.values.dtype), np.hstack([first, second])
        return append_rows(self.values, rows, parents, chosen=kept, lazy=lazy)

    def _frame_of(self, numbers, sources):
        """Return a frame of these numbers and of the categories of these samples."""
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
