"""Splits in the order of time: every network is tested on samples that are later than its own."""

import itertools
from numbers import Integral

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_consistent_length

from skimb._messages import shown

__all__ = ["time_splits"]


def time_splits(
    times: ArrayLike, n_splits: int = 5, *, y: ArrayLike | None = None
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Divide samples by time: each test part is later than all of its training part.

    The samples are cut into ``n_splits + 1`` stretches of about equal size. The first test part is
    the second stretch, and its training part is the first one; each further training part is all
    that came before its test part, so that training parts grow. Samples of one time are never on
    both sides of a cut.

    Parameters
    ----------
    times : array-like of shape (n,)
        Numbers, dates, or text that is written as ISO 8601 has it (``2024-05-31``).
    n_splits : int, default=5
        The number of test parts.
    y : array-like of shape (n,), default=None
        Labels. Given: every test part, and every training part, must hold each of them.

    Returns
    -------
    list of (ndarray, ndarray)
        Indices of the training samples and of the test samples, for `cv` of `compare` or of
        scikit-learn.

    Raises
    ------
    ValueError
        If a time is missing or cannot be read, there are too few different times, or a part lacks
        a class.

    See Also
    --------
    sklearn.model_selection.TimeSeriesSplit : The same for samples that stand in their order.

    Examples
    --------
    >>> from skimb.study import time_splits
    >>> years = [2020, 2021, 2021, 2022, 2020, 2023]
    >>> for train, test in time_splits(years, 2):
    ...     print(train, test)
    [0 4] [1 2]
    [0 1 2 4] [3 5]
    """
    if not isinstance(n_splits, Integral) or isinstance(n_splits, bool) or n_splits < 1:
        raise ValueError(f"`n_splits` must be a positive integer. Got {n_splits!r}.")
    ranks = _ranks(times)
    n_times = int(ranks.max()) + 1 if len(ranks) else 0
    if n_times <= n_splits:
        fix = f"Give n_splits={n_times - 1} or fewer" if n_times > 1 else "Give other times"
        raise ValueError(
            f"`times` holds {n_times} different times, which cannot be cut into {n_splits} test "
            f"parts and a training part before them. {fix}."
        )
    splits = _splits(ranks, int(n_splits))
    if y is not None:
        y = np.asarray(y)
        check_consistent_length(ranks, y)
        if (lack := _lack(splits, y)) is not None:
            part, label = lack
            possible = next(
                (n for n in range(int(n_splits) - 1, 0, -1) if _lack(_splits(ranks, n), y) is None),
                None,
            )
            fix = "No smaller number of test parts would do: give more samples of this class."
            if possible is not None:
                fix = f"With n_splits={possible}, every part holds every class."
            raise ValueError(
                f"Divided by time, {part} holds no sample of class {shown(label)}: its scores "
                f"would not be defined, or nothing could be learned of the class. {fix}"
            )
    return splits


def _ranks(times):
    """Return the rank of each time among the different times."""
    values = pd.Series(np.asarray(times, dtype=object) if isinstance(times, list) else times)
    values = values.reset_index(drop=True)
    if values.isna().any():
        row = int(values.isna().to_numpy().argmax())
        raise ValueError(
            f"`times` lacks the time of {int(values.isna().sum())} samples, of sample {row} first. "
            "Fill it in, or leave the sample out."
        )
    if values.dtype.kind not in "iufb":
        values = _dates(values)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError("`times` holds an infinite number. Give finite ones, or dates.")
    return np.unique(values.to_numpy(), return_inverse=True)[1]


def _dates(values):
    """Return dates of any type as those of pandas, all in one time zone; or numbers."""
    if all(isinstance(value, int | float | np.number) for value in values):
        return values.astype(float)
    try:
        return pd.to_datetime(values, format="ISO8601", utc=True)
    except (ValueError, TypeError, OverflowError):
        pass
    for row, value in enumerate(values):
        try:
            pd.to_datetime(value, format="ISO8601", utc=True)
        except (ValueError, TypeError, OverflowError) as exc:
            raise ValueError(
                f"`times` holds {value!r} (sample {row}), which is neither a number nor a date as "
                "ISO 8601 has it. Write dates like 2024-05-31 or 2024-05-31T14:30, so that days "
                "and months cannot be mistaken for one another."
            ) from exc
    raise ValueError("`times` mixes numbers and dates. Give one kind.")


def _splits(ranks, n_splits):
    """Cut the samples between different times, as near to equal sizes as these allow."""
    ends = np.cumsum(np.bincount(ranks))
    n_times, n = len(ends), len(ranks)
    cuts, least = [], 0
    for i in range(1, n_splits + 1):
        # The number of times before the cut; the stretches after it need a time each.
        most = n_times - (n_splits - i) - 1
        wanted = i * n / (n_splits + 1)
        cut = int(np.abs(ends - wanted).argmin()) + 1
        least = min(max(cut, least + 1), most)
        cuts.append(least)
    cuts.append(n_times)
    return [
        (np.flatnonzero(ranks < begin), np.flatnonzero((ranks >= begin) & (ranks < end)))
        for begin, end in itertools.pairwise(cuts)
    ]


def _lack(splits, y):
    """Return the first part that lacks a class, and the class; None: none does."""
    labels = np.unique(y)
    parts = [("the first training part", splits[0][0])]
    parts += [(f"test part {i}", test) for i, (_, test) in enumerate(splits, start=1)]
    for name, rows in parts:
        missing = np.setdiff1d(labels, y[rows])
        if len(missing):
            return name, missing.tolist()[0]
    return None
