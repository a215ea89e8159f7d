"""The template of resamplers of continuous targets, which have ranges instead of classes."""

import sys
from abc import abstractmethod
from dataclasses import dataclass
from numbers import Real
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils import RegressorTags, check_array, column_or_1d

from skimb._containers import in_container, like, plain_rows, plain_target, select_rows
from skimb._frames import as_pandas, as_pyarrow, is_polars, is_pyarrow
from skimb._messages import told_apart
from skimb._params import Interval, StrOptions, check_parameters
from skimb._plans import origin_of
from skimb._quantities import refuse_times
from skimb._range_sizes import SizeRule
from skimb._sampler_rows import check_rows
from skimb.relevance import fit_relevance, relevance_bumps

__all__ = ["RelevanceResampler", "Selection"]


@dataclass(frozen=True)
class Selection:
    """A plan that chooses samples; `skimb.over_sampling._range_plans.Synthesis` makes some too.

    Parameters
    ----------
    sample_indices : ndarray of shape (m,), int
        The index in X of each returned sample, or of its first parent.
    """

    sample_indices: Any
    #: No sample is made, so that there are neither parents nor interpolation factors.
    parents: Any = None
    gaps: Any = None

    def applied(self, rows, values, target, *, lazy):
        """Return the samples of the plan, and their values of the target.

        Parameters
        ----------
        rows : object
            The result of ``_check_rows``.
        values : ndarray or Series of shape (n,)
            The target in its original form.
        target : ndarray of shape (n,), float64
            The same as floats.
        lazy : bool
            Return a view where possible.

        Returns
        -------
        samples, values
        """
        chosen = select_rows(rows, self.sample_indices, lazy=lazy)
        return chosen, select_rows(values, self.sample_indices)


class RelevanceResampler(BaseEstimator):
    """Template of resamplers for continuous targets.

    A subclass has the parameters ``relevance``, ``random_state`` and ``lazy``. It says in ``_plan``
    which samples are returned, from what ``_learn`` returns: by default, with the parameters
    ``threshold`` and ``sampling_strategy`` and the rule ``_sizes``, the range of each sample. If
    samples are made, ``_makes_rows`` is True, so that X must be numbers.
    """

    _makes_rows = False
    _sizes: SizeRule
    relevance: Any
    threshold: float
    sampling_strategy: Any
    random_state: Any
    lazy: bool

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

    def fit(self, X: Any, y: Any) -> Self:
        """Check X and y, and find the rare values, as `fit_resample` does.

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

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Resample the samples.

        Parameters
        ----------
        X : array, memmap, tensor, sparse matrix, frame or list of shape (n, ...); or n paths
            Samples of any dimension. Resamplers that make samples need numbers, and refuse sparse
            X.
        y : array-like of shape (n,), or a frame of one column
            Values of the target.

        Returns
        -------
        X_resampled
            The samples, in the container and of the dtype of X.
        y_resampled
            Their values, in the container of y. If samples are made, integers become float64.

        Raises
        ------
        ValueError
            If X, y or a parameter does not fit, or no value of y is rare, or all are.
        """
        check_parameters(self)
        rows, values, target = self._checked(X, y)
        learned = self._learn(target)
        self._n_rows = len(target)
        plan = self._plan(rows, target, learned)
        self.sample_indices_ = plan.sample_indices
        if plan.parents is not None:
            self.parents_, self.gaps_ = plan.parents, plan.gaps
        X_resampled, y_resampled = plan.applied(rows, values, target, lazy=self.lazy)
        origin = origin_of(self)
        return in_container(X, X_resampled, origin), _in_container_of(y, y_resampled, origin)

    def _checked(self, X, y):
        """Return samples as `_plan` reads them, values as they came, and as floats."""
        y = plain_target(y, self)
        if isinstance(y, pd.DataFrame) and y.shape[1] == 1:
            y = y.iloc[:, 0]
        values = y if isinstance(y, pd.Series) else column_or_1d(y, warn=True)
        refuse_times(values)
        target = check_array(
            column_or_1d(values),
            ensure_2d=False,
            dtype=np.float64,
            ensure_min_samples=2,
            input_name="y",
            estimator=self,
        )
        # Samples are made from frames of pandas.
        X = as_pandas(X) if self._makes_rows else X
        return self._check_rows(plain_rows(X), target), values, target

    def _check_rows(self, X, target) -> Any:
        return check_rows(self, X, target, numeric=self._makes_rows)[0]

    def _fit_relevance(self, target):
        """Return the fitted relevance, as a function of values."""
        phi = fit_relevance(self.relevance, target)
        self.relevance_ = phi.relevance
        return phi

    def _learn(self, target):
        """Find the ranges; return the range of each sample."""
        phi = self._fit_relevance(target)
        range_of, is_rare = relevance_bumps(target, relevance=phi, threshold=self.threshold)
        if len(is_rare) == 1:
            which, way = ("every", "higher") if is_rare[0] else ("no", "lower")
            ends = ", ".join(told_apart(target.min(), target.max()))
            raise ValueError(
                f"By `relevance`, {which} value of y, [{ends}], has a relevance of at "
                f"least threshold={self.threshold:g}, so there is nothing to balance. "
                f"Give a {way} `threshold`, or another `relevance`: "
                "Relevance(points=[(value, relevance), ...])."
            )
        before = np.bincount(range_of)
        by_value = np.sort(target)
        last = np.cumsum(before) - 1
        self.bumps_ = pd.DataFrame(
            {
                "low": by_value[last - before + 1],
                "high": by_value[last],
                "is_rare": is_rare,
                "before": before,
                "after": self._sizes.sizes_after(
                    self.sampling_strategy, before, is_rare, name=type(self).__name__
                ),
            },
            index=pd.RangeIndex(len(before), name="bump"),
        )
        return range_of

    @abstractmethod
    def _plan(self, rows, target, learned) -> Any:
        """Return a `Selection`, or a plan that makes samples too.

        ``rows`` are what ``_check_rows`` returned, ``learned`` is what ``_learn`` returned.
        """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "sampler"
        tags.target_tags.required = True
        # `check_resampler` recognises a resampler of continuous targets by this.
        tags.regressor_tags = RegressorTags()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = not self._makes_rows
        tags.input_tags.string = not self._makes_rows
        tags.input_tags.categorical = True
        tags.input_tags.sparse = not self._makes_rows
        return tags


def _in_container_of(given, values, origin) -> Any:
    """Return values of the target in the container that they came in."""
    if isinstance(given, pd.DataFrame) and isinstance(values, pd.Series):
        return values.to_frame()
    is_chosen = np.all(origin >= 0)
    if is_pyarrow(given):
        return as_pyarrow(pd.Series(values), given if is_chosen else _floats(given))
    if is_polars(given):
        return given[origin] if is_chosen else type(given)(given.name, np.asarray(values))
    if isinstance(given, list | tuple):
        values = [given[row] for row in origin.tolist()] if is_chosen else values.tolist()
        return type(given)(values)
    return like(given, values)


def _floats(given):
    """Return integers of pyarrow as floats, which made values are, and others as they are."""
    is_integer = sys.modules["pyarrow"].types.is_integer(given.type)
    return given.cast("float64", safe=False) if is_integer else given
