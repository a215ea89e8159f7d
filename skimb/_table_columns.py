"""The columns of a frame beside its images: which are numbers, which are categories, as numbers.

A network reads standardised numbers, with an indicator where a number is missing, and the index of
each category among those of the training.
"""

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from skimb._warnings import warn

__all__ = ["EncodedTable", "TableEncoder", "check_columns"]

#: So many categories are never too many.
MOST_LEVELS = 20

#: The index of a category that the training did not see.
UNSEEN = -1


@dataclass(frozen=True)
class EncodedTable:
    """Rows of a table as a network reads them.

    Parameters
    ----------
    numbers : ndarray of shape (n, n_numbers), float32
        Standardised numbers and indicators of missing ones.
    codes : ndarray of shape (n, n_categorical), int32
        The index of each category; -1 for one that was not seen in the training.
    n_levels : tuple of int
        The number of categories of each categorical column.
    """

    numbers: np.ndarray
    codes: np.ndarray
    n_levels: tuple[int, ...]

    @property
    def width(self):
        """The number of values in a row, with one for each category."""
        return self.numbers.shape[1] + sum(self.n_levels)

    def take(self, rows):
        """Return some of the rows."""
        return EncodedTable(self.numbers[rows], self.codes[rows], self.n_levels)

    def contents(self):
        """Yield the bytes of each row."""
        for numbers, codes in zip(self.numbers, self.codes, strict=True):
            yield numbers.tobytes() + codes.tobytes()


def check_columns(frame):
    """Return the kind of each column, and refuse those that are neither numbers nor categories.

    Strings, categories and booleans are categorical, all other numbers are numeric.

    Parameters
    ----------
    frame : DataFrame
        The columns beside the images.

    Returns
    -------
    dict of str to {"numeric", "categorical"}

    Raises
    ------
    ValueError
        If a column holds dates, times or other objects, or numbers that are not finite.
    """
    return {name: _kind(frame[name], name) for name in frame.columns}


def _kind(column, name):
    types = pd.api.types
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        # Names, numbers or booleans; other values have no plain form.
        _kind(dtype.categories.to_series(), name)
        return "categorical"
    if types.is_bool_dtype(dtype):
        return "categorical"
    if types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pd.PeriodDtype):
        raise ValueError(
            f"The column {name!r} holds dates ({dtype}), whose meaning for the target is not "
            f"known. Give numbers or categories made of them, such as X[{name!r}].dt.month, or "
            "the days since a date; or drop the column."
        )
    if types.is_timedelta64_dtype(dtype):
        raise ValueError(
            f"The column {name!r} holds durations ({dtype}). Give them as numbers, such as "
            f"X[{name!r}].dt.total_seconds(), or drop the column."
        )
    if types.is_complex_dtype(dtype):
        raise ValueError(f"The column {name!r} holds complex numbers. Give their parts as columns.")
    if types.is_numeric_dtype(dtype):
        return _numeric(column, name)
    if isinstance(dtype, pd.StringDtype):
        return "categorical"
    return _kind_of_objects(column, name)


def _numeric(column, name):
    """Return the kind of a column of numbers, which must not be infinite."""
    if np.isinf(_numbers(column)).any():
        raise ValueError(
            f"The column {name!r} holds infinity. Replace it by a number, or by NaN where the "
            "value is missing."
        )
    return "numeric"


def _kind_of_objects(column, name):
    """Return the kind of a column of objects, all of which must be of one kind."""
    kinds = {type(value) for value in column[column.notna()]}
    if kinds <= {bool, np.bool_, str, np.str_}:
        return "categorical"
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind in ("datetime", "datetime64", "date", "time", "period"):
        raise ValueError(
            f"The column {name!r} holds dates or times. Give numbers or categories made of them, "
            f"such as pandas.to_datetime(X[{name!r}]).dt.month; or drop the column."
        )
    if kind in ("integer", "floating", "mixed-integer-float", "decimal"):
        return _numeric(column, name)
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    if kinds & {int, float, np.float64, np.int64} and kinds & {str}:
        raise ValueError(
            f"The column {name!r} holds numbers and text. If it is a column of numbers, and the "
            f"text stands for missing ones: X[{name!r}] = pandas.to_numeric(X[{name!r}], "
            f"errors='coerce'). Otherwise, X[{name!r}].astype(str)."
        )
    raise ValueError(
        f"The column {name!r} holds values of type {names}. A column beside the images must hold "
        "numbers, or strings, categories or booleans. Convert the column, name it as an "
        "`image_column` if it holds images, or drop it."
    )


def _numbers(column):
    """Return a column of numbers as float64, with NaN where they are missing."""
    return pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)


def _values(column):
    """Return the categories of a column as plain values, with None where they are missing."""
    plain = column.astype(object).to_numpy()
    is_missing = column.isna().to_numpy(dtype=bool)
    return [
        None if missing else value.item() if isinstance(value, np.generic) else value
        for value, missing in zip(plain, is_missing, strict=True)
    ]


class TableEncoder(BaseEstimator):
    """Turn the columns beside the images into numbers, as they were in the training.

    A number is standardised. Where it is missing it becomes the mean, and a column of which some
    numbers were missing in the training has an indicator. A category becomes its index; a missing
    one is a category of its own, if it was missing in the training, and an unseen one has the index
    -1. A column that was constant in the training is left out, because the training could not find
    out what other values of it mean.

    Attributes
    ----------
    kinds_ : dict of str to {"numeric", "categorical"}
        The kind of each column, in their order.
    means_, scales_ : dict of str to float
        Mean and standard deviation of the numeric columns that are not constant.
    with_indicator_ : list of str
        The numeric columns of which some numbers were missing.
    categories_ : dict of str to list
        The categories of each categorical column that has more than one; None is the missing one.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skimb._table_columns import TableEncoder
    >>> frame = pd.DataFrame({"area": [1.0, 3.0, np.nan], "roof": ["flat", "gable", "flat"]})
    >>> encoded = TableEncoder().fit(frame).encode(frame)
    >>> encoded.numbers
    array([[-1.,  0.],
           [ 1.,  0.],
           [ 0.,  1.]], dtype=float32)
    >>> encoded.codes.ravel()
    array([0, 1, 0], dtype=int32)
    """

    def fit(self, frame):
        """Learn means, standard deviations and categories.

        Parameters
        ----------
        frame : DataFrame
            The columns beside the images, of the training part.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the numbers of a column are too large for their standard deviation.

        Warns
        -----
        UserWarning
            If nearly every sample has a category of its own.
        """
        self.kinds_ = check_columns(frame)
        self.means_, self.scales_, self.with_indicator_, self.categories_ = {}, {}, [], {}
        for name, kind in self.kinds_.items():
            if kind == "categorical":
                found = set(_values(frame[name]))
                # Values of different types have no order.
                seen = sorted(found - {None}, key=lambda value: (type(value).__name__, value))
                levels = seen + ([None] if None in found else [])
                _warn_of_names(name, levels, len(frame))
                if len(levels) > 1:
                    self.categories_[name] = levels
                continue
            numbers = _numbers(frame[name])
            is_missing = np.isnan(numbers)
            if is_missing.any() and not is_missing.all():
                self.with_indicator_.append(name)
            known = numbers[~is_missing]
            with np.errstate(over="ignore", invalid="ignore"):
                mean, scale = (
                    (float(known.mean()), float(known.std())) if len(known) else (0.0, 0.0)
                )
            if not np.isfinite([mean, scale]).all():
                raise ValueError(
                    f"The column {name!r} holds numbers of up to {np.abs(known).max():g}, of which "
                    "no standard deviation can be computed. Divide the column, or replace such "
                    "numbers by NaN if they stand for missing values."
                )
            if scale > _rounding(mean, len(known)):
                self.means_[name], self.scales_[name] = mean, scale
        return self

    @property
    def n_numbers(self):
        """The number of numeric values in a row, with the indicators."""
        return len(self.means_) + len(self.with_indicator_)

    @property
    def n_levels(self):
        """The number of categories of each categorical column."""
        return tuple(map(len, self.categories_.values()))

    def encode(self, frame):
        """Return rows as a network reads them.

        Parameters
        ----------
        frame : DataFrame
            The columns that `fit` saw.

        Returns
        -------
        EncodedTable

        Raises
        ------
        ValueError
            If a column holds values of another kind than in `fit`, or numbers that are too large.
        """
        columns: list[Any] = []
        indicators: list[Any] = []
        codes: list[Any] = []
        for name, kind in self.kinds_.items():
            column = frame[name]
            if kind == "categorical":
                if name not in self.categories_:
                    continue
                values = _values(column)
                self._refuse_other_types(name, values)
                places = {value: place for place, value in enumerate(self.categories_[name])}
                codes.append([places.get(value, UNSEEN) for value in values])
                continue
            if not column.isna().all() and _kind(column, name) != "numeric":
                raise ValueError(
                    f"The column {name!r} held numbers when the estimator was fitted, and now "
                    f"holds {column.dtype}. Give numbers."
                )
            numbers = _numbers(column)
            is_missing = np.isnan(numbers)
            if name in self.with_indicator_:
                indicators.append(is_missing)
            if name in self.means_:
                columns.append(self._standardized(name, numbers))
        return EncodedTable(
            _as_columns(columns + indicators, len(frame), np.float32),
            _as_columns(codes, len(frame), np.int32),
            self.n_levels,
        )

    def _standardized(self, name, numbers):
        """Return standardised numbers; missing ones are zero, the mean."""
        mean, scale = self.means_[name], self.scales_[name]
        made = (np.where(np.isnan(numbers), mean, numbers) - mean) / scale
        too_large = np.abs(made) > np.finfo(np.float32).max
        if too_large.any():
            raise ValueError(
                f"The column {name!r} holds {numbers[too_large][0]:g}, which is too far from the "
                f"numbers of the training (mean {mean:g}, standard deviation {scale:g}). Correct "
                "it, or replace it by NaN if it stands for a missing value."
            )
        return made

    def new_categories(self, frame):
        """Return the categories of some rows that `fit` did not see, by column.

        Parameters
        ----------
        frame : DataFrame
            The columns that `fit` saw.

        Returns
        -------
        dict of str to list
            Columns without any are left out.
        """
        found = {}
        for name, known in self.categories_.items():
            new = set(_values(frame[name])) - {*known, None}
            if new:
                found[name] = sorted(new, key=str)
        return found

    def _refuse_other_types(self, name, values):
        """Refuse categories none of which can be among those of the training."""
        seen, given = _types(self.categories_[name]), _types(values)
        if seen and given and not seen & given:
            raise ValueError(
                f"The column {name!r} held categories of type {', '.join(sorted(seen))} when the "
                f"estimator was fitted, and now holds {', '.join(sorted(given))}, so none would be "
                "known. Give values of the same type."
            )


def _rounding(mean, n_samples):
    """Return the largest standard deviation that rounding alone may give to equal numbers."""
    # The rule of scikit-learn's StandardScaler, for a variance that is small next to the mean.
    return n_samples * abs(mean) * np.finfo(np.float64).eps


def _warn_of_names(name, levels, n_samples):
    """Warn where nearly every sample has a category of its own, such as a name or a path."""
    if len(levels) > max(MOST_LEVELS, n_samples / 2):
        warn(
            f"The column {name!r} has {len(levels)} categories in {n_samples} samples, so that "
            "hardly any of them says something about another sample. Drop the column; or, if it "
            "holds paths of images, name it in `image_column`."
        )


def _types(values):
    """Return the names of the types of values that are not missing; all numbers are of one type."""
    return {
        "number"
        if isinstance(value, Real) and not isinstance(value, bool)
        else type(value).__name__
        for value in values
        if value is not None
    }


def _as_columns(columns, n_rows, dtype):
    if not columns:
        return np.empty((n_rows, 0), dtype=dtype)
    return np.stack(columns, axis=1).astype(dtype)
