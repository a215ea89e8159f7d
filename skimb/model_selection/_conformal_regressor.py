"""Intervals that hold the true value with a set probability, in the rarest range too."""

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_classifier
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skimb._callback_tasks import begin_fit
from skimb._groups import are_shared, one_of_each
from skimb._params import HasMethods, Interval, StrOptions, fit_context
from skimb.model_selection._conformal_ranks import conformal_quantile, least_samples
from skimb.model_selection._held_out_predictions import n_fits, read_inputs
from skimb.model_selection._held_out_values import fit_and_hold_out_values, predicted_values
from skimb.model_selection._regressor_wrapper import RegressorWrapper
from skimb.model_selection._target_ranges import find_ranges, range_of, range_texts
from skimb.model_selection._wrapped_fits import (
    CV_VALUES,
    cv_of,
    forget_fit,
    metadata_of_wrapped,
)
from skimb.relevance import check_target

__all__ = ["ConformalRegressor"]

#: The fraction of samples that is held out where `cv` is None.
HELD_FRACTION = 0.25

#: The largest error of rounding in a bound, relative to its size.
ROUNDING = 4 * np.finfo(np.float64).eps


class ConformalRegressor(RegressorWrapper):
    r"""Predict intervals that cover rare values as often as common ones.

    Ordinary (marginal) conformal intervals have one width. They cover most samples, and may do so
    by missing the rare high values nearly always, where a regressor errs most. Here each range of
    the target has a half-width of its own: the error that all but a few held-out samples of this
    range do not exceed. Of new samples whose true value lies in a range, at least the confidence
    level are covered, for every range, however good or bad the regressor is.

    The range of a new sample is not known, so each range r, with the values :math:`R_r` and the
    half-width :math:`q_r`, adds the values that are possible if the true one lies in it,
    :math:`\{y \in R_r : |y - f(x)| \le q_r\}` (Mondrian, or label-conditional, conformal prediction
    [1]_). If the true value lies in r, it is among these with a probability of at least the
    confidence level. The interval is the shortest one that holds the values that any range adds.

    Parameters
    ----------
    estimator : regressor
        Any regressor of one number. A regressor that was fitted before is given as
        ``FrozenEstimator(regressor)``, together with samples that it was not trained on.
    confidence_level : float, default=0.9
        The least fraction of the samples of each range whose interval holds their value.
    ranges : "auto", int, array-like, Relevance or callable, default="auto"
        The ranges of the target. ``"auto"``: of the held-out targets, both ends get the smallest
        range that has a sound bound (19 samples for a confidence level of 0.9, 39 for 0.95), and
        each next range towards the middle has twice as many. An int: as many ranges, of equally
        many held-out samples; fewer, where equal values or too few samples allow no more. Numbers:
        the inner edges, such as ``[0, 10]`` for three ranges. A relevance, see `skimb.relevance`:
        ranges that are rare or normal throughout.
    cv : float, int, splitter, iterable or None, default=None
        The samples on which the half-widths are found. A fraction is drawn and held out from the
        training, and the regressor is not fitted again. None: all samples, if `estimator` is a
        `FrozenEstimator`; otherwise 0.25. A number of folds, a splitter or pairs of positions: the
        errors are those of other regressors, trained on the other folds, and the final one is
        trained on all samples. Coverage is then approximate (``is_exact_`` is False).
    random_state : int, RandomState instance or None, default=None
        Drives the split, the choice of one sample of a group, and the regressor where it has no
        `random_state`.

    Attributes
    ----------
    edges_ : ndarray of shape (n_ranges - 1,)
        Inner edges of the ranges. A value at an edge belongs to the range above it.
    half_widths_ : ndarray of shape (n_ranges,)
        The error that is allowed in each range.
    marginal_half_width_ : float
        The error that would be allowed everywhere, were the ranges not told apart.
    n_calibration_ : ndarray of shape (n_ranges,), int
        The number of held-out samples of each range; of groups, where these were given.
    is_exact_ : bool
        Whether the half-widths belong to the final regressor itself.
    estimator_ : regressor
        The fitted regressor.

    See Also
    --------
    skimb.metrics.interval_coverage : Coverage and width in each range.

    Notes
    -----
    The promise is about a new sample of a range, on average over held-out sets, and it needs new
    samples of each range to be like the held-out ones there; how common the ranges are does not
    matter. Edges that are chosen from the held-out targets leave the samples at the edges out, so
    that the promise stays exact; where many targets are equal, or a relevance is fitted to them, it
    is nearly so. With groups, a group counts once in each range, by a sample chosen at random.

    If samples were resampled before `fit`, copies of held-out samples, or samples made of them, may
    be trained on (equal images are found, equal rows of a table are not), and the intervals are too
    narrow. Give the sampler to the regressor, or put both in a Pipeline.

    Where a regressor shrinks to the mean, the rare range needs a large half-width, and intervals of
    common samples reach into it, because they may be rare ones that the regressor does not
    recognise. Narrower intervals need a better regressor, such as one with a `target_weight`.

    References
    ----------
    .. [1] Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, Springer 2005,
       doi:10.1007/b106715.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from skimb.model_selection import ConformalRegressor
    >>> rng = np.random.RandomState(0)
    >>> X = rng.uniform(0, 3, size=(2000, 1))
    >>> y = np.exp(X[:, 0]) + rng.normal(size=2000)
    >>> reg = ConformalRegressor(LinearRegression(), ranges=[10, 15], random_state=0).fit(X, y)
    >>> reg.n_calibration_.tolist(), reg.half_widths_.round(1).tolist()
    ([381, 74, 45], [3.0, 1.6, 5.5])
    >>> reg.predict_interval([[1.0], [2.9]]).round(1)
    array([[ 0.6,  6.6],
           [12.9, 19.9]])
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
        "ranges": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
            "array-like",
            callable,
        ],
        "cv": CV_VALUES,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator,
        *,
        confidence_level=0.9,
        ranges: Any = "auto",
        cv: Any = None,
        random_state=None,
    ):
        self.estimator = estimator
        self.confidence_level = confidence_level
        self.ranges = ranges
        self.cv = cv
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Fit the regressor, and find the half-widths on samples that it was not trained on.

        Parameters
        ----------
        X : array-like of n samples
            In a form that `estimator` reads.
        y : array-like of shape (n,)
            Values of the target.
        sample_weight : array-like of shape (n,), default=None
            Weights with which the regressor is trained. The half-widths count each sample once.
        groups : array-like of shape (n,), default=None
            Samples of one group stay on one side of each split, and count once in each range.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `estimator` is a classifier, y is no vector of finite numbers, the samples cannot be
            divided, or a range has fewer held-out samples than the confidence level takes.
        """
        if is_classifier(self.estimator):
            raise ValueError(
                f"`estimator` must be a regressor. Got {type(self.estimator).__name__}, a "
                "classifier, whose labels have no intervals. Use ConformalClassifier for sets of "
                "labels."
            )
        forget_fit(self)
        rng = check_random_state(self.random_state)
        cv = cv_of(self, HELD_FRACTION)
        samples = read_inputs(self, X, y, groups)
        values = check_target(samples.y)
        metadata = metadata_of_wrapped(self, samples.X, sample_weight, groups)
        task = begin_fit(self, samples.X, samples.y, n_tasks=n_fits(self, samples, cv))

        def numbers_of(rows):
            # A splitter may hold a sample out repeatedly.
            return rows if samples.groups is None else samples.groups[rows]

        def check(rows):
            numbers = numbers_of(rows)
            # Edges that are drawn from shared groups are not known before.
            if not are_shared(numbers) or not isinstance(self.ranges, str | Integral):
                self._ranges(values[rows], numbers, np.random.RandomState(0))

        held = fit_and_hold_out_values(
            self, samples, cv=cv, rng=rng, metadata=metadata, task=task, check=check
        )
        self.is_exact_ = held.is_exact
        numbers = numbers_of(held.rows)
        target = values[held.rows]
        self._find_half_widths(np.abs(target - held.predicted), target, numbers, rng)
        task.call_on_fit_task_end(estimator=self)
        return self

    def _ranges(self, target, numbers, rng):
        """Return edges, ranges of held-out samples, and which of them count, in all and in each."""
        level = self.confidence_level
        least = least_samples(level)
        of_all = one_of_each(numbers, None, rng)
        edges, is_edge = find_ranges(self.ranges, target[of_all], least)
        place = range_of(target, edges)
        chosen = one_of_each(numbers, place, rng)
        # Nor do other samples of the group of an edge count in its range.
        pairs = numbers * (len(edges) + 1) + place
        chosen = chosen[~np.isin(pairs[chosen], pairs[of_all[is_edge]])]
        counts = np.bincount(place[chosen], minlength=len(edges) + 1)
        if counts.min() < least:
            raise ValueError(
                f"The ranges {', '.join(range_texts(edges))} have {counts.tolist()} held-out "
                f"samples or groups (n_samples={len(target)} in all), and confidence_level="
                f"{level:g} takes at least {least} in each. Give other `ranges`, more samples, or "
                "a lower confidence_level, or hold out a larger fraction (`cv`)."
            )
        return edges, place, of_all, chosen

    def _find_half_widths(self, errors, target, numbers, rng):
        """Find the error that is allowed in each range from those of held-out samples."""
        level = self.confidence_level
        edges, place, of_all, chosen = self._ranges(target, numbers, rng)
        self.n_calibration_ = np.bincount(place[chosen], minlength=len(edges) + 1)
        self.marginal_half_width_ = conformal_quantile(errors[of_all], level)
        self.half_widths_ = np.array(
            [
                conformal_quantile(errors[chosen][place[chosen] == r], level)
                for r in range(len(edges) + 1)
            ]
        )
        self.edges_ = edges

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the values that the regressor predicts.

        Parameters
        ----------
        X : array-like of n samples
            In a form that the wrapped regressor reads.

        Returns
        -------
        ndarray of shape (n,)
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    def predict_interval(self, X: Any) -> NDArray[np.float64]:
        """Return the interval of each sample.

        Parameters
        ----------
        X : array-like of n samples
            In a form that the wrapped regressor reads.

        Returns
        -------
        ndarray of shape (n, 2)
            The lower and the upper end.
        """
        check_is_fitted(self)
        value = predicted_values(self.estimator_, X)[:, None]
        # Errors are often equal (a constant prediction, counts as a target), and a bound that loses
        # its last bit would miss all of them.
        reach = self.half_widths_ + ROUNDING * (np.abs(value) + self.half_widths_)
        low = np.maximum(value - reach, np.append(-np.inf, self.edges_))
        high = np.minimum(value + reach, np.append(self.edges_, np.inf))
        adds = low <= high
        return np.stack(
            [
                np.where(adds, low, np.inf).min(axis=1),
                np.where(adds, high, -np.inf).max(axis=1),
            ],
            axis=1,
        )

    def __sklearn_is_fitted__(self):
        return hasattr(self, "edges_")

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "edges_"):
            _check_numbers(self.edges_, self.half_widths_)


def _check_numbers(edges, half_widths):
    """Refuse edges and half-widths of a file that are none."""
    for name, numbers in (("edges_", edges), ("half_widths_", half_widths)):
        is_array = isinstance(numbers, np.ndarray) and numbers.dtype.kind == "f"
        if not is_array or numbers.ndim != 1 or not np.isfinite(numbers).all():
            raise ValueError(f"`{name}` must be finite numbers. Got {numbers!r:.200}.")
    if np.any(np.diff(edges) <= 0) or len(half_widths) != len(edges) + 1 or half_widths.min() < 0:
        raise ValueError(
            "`edges_` must increase, and `half_widths_` must hold a number from 0 for each of "
            f"{len(edges) + 1} ranges. Got {edges!r:.200} and {half_widths!r:.200}."
        )
