"""Resamplers for continuous targets: what classes are to others, bumps of the target are here."""

from abc import abstractmethod
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils import RegressorTags, check_array, check_consistent_length, column_or_1d

from skimb._containers import in_container, like, plain_rows, plain_target, select_rows
from skimb._images import check_rows
from skimb._lazy_rows import ResampledRows
from skimb._params import Interval, StrOptions, check_parameters
from skimb._plans import origin_of
from skimb.relevance import fit_relevance, relevance_bumps

__all__ = ["RelevanceResampler"]


class RelevanceResampler(BaseEstimator):
    """Template of resamplers for continuous targets.

    A subclass has the parameters ``relevance``, ``random_state`` and ``lazy``. What it learns from
    the target is in ``_learn``: by default, with the parameters ``threshold`` and
    ``sampling_strategy``, the bumps and, by ``_named_counts`` and ``_changed``, how many rows each
    shall have. ``_resample`` returns rows; by default those that ``_choose`` chooses.
    ``_makes_rows`` says that rows are made, so that X must be numbers.
    """

    _makes_rows = False
    relevance: Any
    threshold: float
    sampling_strategy: Any
    random_state: Any
    lazy: bool

    #: The least and the most rows after resampling for one before, where they are given.
    _factors = (0.0, np.inf)

    _parameter_constraints: dict = {
        "relevance": [callable, None],
        "threshold": [Interval(Real, 0, 1, closed="right")],
        "sampling_strategy": [
            StrOptions({"balance", "extreme"}),
            Interval(Real, 0, None, closed="neither"),
            "array-like",
        ],
        "random_state": ["random_state"],
        "lazy": ["boolean"],
    }

    def fit(self, X, y):
        """Check X and y, and learn what is rare; `fit_resample` does so too.

        Parameters
        ----------
        X, y
            As in `fit_resample`.

        Returns
        -------
        self
        """
        check_parameters(self)
        _, _, target = self._checked(X, y)
        self._learn(target)
        return self

    def fit_resample(self, X, y):
        """Resample the rows.

        Parameters
        ----------
        X : array, memmap, tensor, sparse matrix, frame or list of shape (n, ...); or n paths
            Rows of any dimension. Resamplers that make rows want numbers, and nothing sparse.
        y : array-like of shape (n,), or a frame of one column
            Values of the target.

        Returns
        -------
        X_resampled
            The rows in the container that they came in, of the same dtype.
        y_resampled
            Their values, in the container that they came in. Where rows are made, integers become
            float64.

        Raises
        ------
        ValueError
            If X, y or a parameter does not fit, or no value of y is rare, or all are.
        """
        check_parameters(self)
        rows, values, target = self._checked(X, y)
        learned = self._learn(target)
        self._n_rows = len(target)
        X_resampled, y_resampled = self._resample(rows, values, target, learned)
        origin = origin_of(self)
        return in_container(X, X_resampled, origin), _in_container_of(y, y_resampled, origin)

    def _checked(self, X, y):
        """Return rows as `_resample` wants them, values as they came, and as floats."""
        y = plain_target(y, self)
        if isinstance(y, pd.DataFrame) and y.shape[1] == 1:
            y = y.iloc[:, 0]
        values = y if isinstance(y, pd.Series) else column_or_1d(y, warn=True)
        if getattr(values.dtype, "kind", "") in "mM":
            raise ValueError(
                f"y must hold numbers. It holds times, of dtype {values.dtype}. Give their number "
                "of days, say: y / np.timedelta64(1, 'D')."
            )
        target = check_array(
            column_or_1d(values),
            ensure_2d=False,
            dtype=np.float64,
            ensure_min_samples=2,
            input_name="y",
            estimator=self,
        )
        return self._check_rows(plain_rows(X), target), values, target

    def _check_rows(self, X, target) -> Any:
        if isinstance(X, ResampledRows):
            # Rows between finite rows are finite: checking the root makes none of them.
            check_consistent_length(X, target)
            check_rows(self, X.root, np.zeros(len(X.root)), numeric=self._makes_rows)
            return X
        return check_rows(self, X, target, numeric=self._makes_rows)[0]

    def _fit_relevance(self, target):
        """Return what tells the relevance of values."""
        phi = fit_relevance(self.relevance, target)
        self.relevance_ = phi.relevance
        return phi

    def _learn(self, target):
        """Find the bumps; return the bump of each row."""
        phi = self._fit_relevance(target)
        bump, is_rare = relevance_bumps(target, relevance=phi, threshold=self.threshold)
        if len(is_rare) == 1:
            which, way = ("every", "higher") if is_rare[0] else ("no", "lower")
            raise ValueError(
                f"By `relevance`, {which} value of y, [{target.min():g}, {target.max():g}], is at "
                f"least threshold={self.threshold:g} relevant, so there is nothing to even out. "
                f"Give a {way} `threshold`, or another `relevance`: Relevance(points=[(value, "
                "relevance), ...])."
            )
        before = np.bincount(bump)
        by_value = np.sort(target)
        last = np.cumsum(before) - 1
        self.bumps_ = pd.DataFrame(
            {
                "low": by_value[last - before + 1],
                "high": by_value[last],
                "is_rare": is_rare,
                "before": before,
                "after": self._rows_after(before, is_rare),
            },
            index=pd.RangeIndex(len(before), name="bump"),
        )
        return bump

    def _rows_after(self, before, is_rare):
        """Return how many rows each bump shall have; none vanishes."""
        strategy = self.sampling_strategy
        if isinstance(strategy, str):
            wanted = self._named_counts(strategy, before.astype(np.float64), is_rare)
        else:
            changed = self._changed(is_rare, is_list=not isinstance(strategy, Real))
            factors = np.ones(len(before))
            factors[changed] = self._given_factors(strategy, int(changed.sum()))
            wanted = factors * before
        return np.maximum(1, np.rint(wanted)).astype(np.intp)

    def _given_factors(self, strategy, n_changed):
        """Return the factors of the strategy, checked."""
        low, high = self._factors
        found = _numbers(strategy)
        if found.ndim > 0 and found.shape != (n_changed,):
            raise ValueError(
                f"`sampling_strategy` must have one number for each of the {n_changed} bumps that "
                f"{type(self).__name__} changes, by increasing y. Got {strategy!r}. Give as many, "
                "or one number for all."
            )
        if not np.all((found > 0) & (found >= low) & (found <= high) & np.isfinite(found)):
            raise ValueError(
                "`sampling_strategy` must be 'balance', 'extreme', or rows after resampling for "
                f"one before: positive and, for {type(self).__name__}, in [{low:g}, {high:g}]. "
                f"Got {strategy!r}."
            )
        return found

    @abstractmethod
    def _named_counts(self, name, before, is_rare) -> Any:
        """Return how many rows each bump shall have by a strategy that has a name."""

    @abstractmethod
    def _changed(self, is_rare, *, is_list) -> Any:
        """Return which bumps numbers are for: those of a list, or a single one."""

    def _resample(self, X, values, target, learned):
        self.sample_indices_ = self._choose(learned)
        return select_rows(X, self.sample_indices_, lazy=self.lazy), select_rows(
            values, self.sample_indices_
        )

    @abstractmethod
    def _choose(self, learned) -> Any:
        """Return which rows come back."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "sampler"
        tags.target_tags.required = True
        # What `check_resampler` knows a resampler of continuous targets by.
        tags.regressor_tags = RegressorTags()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = not self._makes_rows
        tags.input_tags.string = not self._makes_rows
        tags.input_tags.categorical = True
        tags.input_tags.sparse = not self._makes_rows
        return tags


def _numbers(given):
    """Return numbers as an array; NaN for what holds none."""
    try:
        found = np.asarray(given)
    except ValueError:
        found = np.array(None)
    return found.astype(np.float64) if found.dtype.kind in "iuf" else np.array(np.nan)


def _in_container_of(given, values, origin) -> Any:
    """Return values of the target in the container that they came in."""
    if isinstance(given, pd.DataFrame) and isinstance(values, pd.Series):
        return values.to_frame()
    if isinstance(given, list | tuple):
        is_chosen = np.all(origin >= 0)
        values = [given[row] for row in origin.tolist()] if is_chosen else values.tolist()
        return type(given)(values)
    return like(given, values)
