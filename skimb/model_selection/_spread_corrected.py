"""Correction of predictions that shrink to the mean: they are moved away from a centre."""

from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import get_scorer
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skimb._callback_tasks import begin_fit
from skimb._known_predictions import KnownPredictions
from skimb._messages import told_apart
from skimb._params import HasMethods, StrOptions, fit_context, plain
from skimb._spread_correction import SpreadCorrection
from skimb._sub_estimators import takes_images
from skimb.metrics import regression_scoring
from skimb.model_selection._held_out_predictions import n_fits, read_inputs
from skimb.model_selection._held_out_values import fit_and_hold_out_values, predicted_values
from skimb.model_selection._part_lengths import for_part
from skimb.model_selection._regressor_wrapper import RegressorWrapper
from skimb.model_selection._spread_search import absolute_error, find_spread
from skimb.model_selection._wrapped_fits import (
    CV_VALUES,
    cv_of,
    forget_fit,
    last_step,
    metadata_of_wrapped,
)
from skimb.relevance import LabelDensity, check_target

__all__ = ["SpreadCorrectedRegressor"]

#: Folds where `cv` is None: of networks, and of other regressors.
FOLDS_OF_IMAGES, FOLDS = 2, 5
#: The errors for which the search is exact.
BALANCED, ABSOLUTE = "neg_balanced_mean_absolute_error", "neg_mean_absolute_error"


class SpreadCorrectedRegressor(RegressorWrapper):
    r"""Spread the predictions of a regressor that shrink to the mean of the target.

    A regressor that is unsure of a sample predicts a value near the mean: low values come out too
    high, and high values too low [1]_ [2]_. That is right for the squared error of samples as they
    are, and wrong for an error that gives rare values their weight. Here predictions are moved away
    from a centre c, :math:`c + s (p - c)`, where slope and centre give the least error on samples
    that the regressor was not trained on. Predictions keep their order, and the regressor itself
    stays as it is.

    Parameters
    ----------
    estimator : regressor
        Any regressor of one number. One that was fitted before is given as
        ``FrozenEstimator(regressor)``, together with samples that it was not trained on.
    scoring : str or scorer, default="neg_balanced_mean_absolute_error"
        The score to maximise: a name of `skimb.metrics.regression_scoring`, whose bins and
        relevance are those of y, one of scikit-learn's, or a scorer of predictions. The search is
        exact in the slope for the default and ``"neg_mean_absolute_error"``; for others it takes
        about a thousand calls.
    slope_range : (float, float), default=(1.0, 3.0)
        The least and the largest slope. A least slope below 1 allows predictions to be drawn
        together. The largest one limits what few samples, or predictions without information, can
        do.
    clip : "range", None or (float, float), default="range"
        ``"range"``: no prediction is moved beyond the least and the largest value of y, but those
        that the regressor itself makes beyond them stay as they are. Two numbers, which may be
        infinite: all predictions are brought between them, as is right for a target that has
        bounds, such as ``(0, 1)`` for a fraction. None: no bounds.
    cv : float, int, splitter, iterable or None, default=None
        The samples on which slope and centre are found. None: all samples, if `estimator` is a
        `FrozenEstimator`; otherwise two folds for a network, five for other regressors. A number
        of folds, a splitter or pairs of positions: the predictions are those of other regressors,
        trained on the other folds, and the final one is trained on all samples. A fraction is
        drawn and held out, and the regressor is trained on the others, once. A sample that a
        splitter holds out repeatedly counts as often in the score.
    random_state : int, RandomState instance or None, default=None
        Drives the folds, and the regressor where it has no `random_state`.

    Attributes
    ----------
    slope_ : float
        The slope; 1 if no other one gives a better score.
    centre_ : float
        The prediction that does not move. The median of y for a slope of 1.
    bounds_ : tuple of (float, float)
        The least and the largest value of `clip`.
    plain_score_, corrected_score_ : float
        The score of the held-out predictions as they are, and corrected. The second is that of the
        samples that slope and centre were chosen on, and so a little too good.
    n_held_out_ : int
        The number of held-out samples.
    estimator_ : regressor
        The fitted regressor.

    See Also
    --------
    skimb.losses.BalancedMSELoss : The loss of a network whose predictions do not shrink so.
    skimb.metrics.prediction_slope : How far predictions shrink.

    Notes
    -----
    Regressors that are trained on parts of the samples shrink a little more than the final one, so
    that the slope is rather too large with few folds. The sample weights of `fit` count in the
    training; the score counts each sample once.

    If samples were resampled before `fit`, copies of held-out samples, or samples made of them, may
    be trained on (equal images are found, equal rows of a table are not), and the slope is too
    small. Give the sampler to the regressor, or put both in a Pipeline.

    References
    ----------
    .. [1] Belitz and Stackelberg, Evaluation of six methods for correcting bias in estimates from
       ensemble tree machine learning regression models, Environmental Modelling & Software 2021,
       doi:10.1016/j.envsoft.2021.105006.
    .. [2] Copas, Regression, prediction and shrinkage, Journal of the Royal Statistical Society B
       1983, doi:10.1111/j.2517-6161.1983.tb01258.x.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from skimb.model_selection import SpreadCorrectedRegressor
    >>> rng = np.random.RandomState(0)
    >>> y = rng.normal(5, 1, size=2000)
    >>> X = (y + rng.normal(size=2000))[:, None]
    >>> reg = SpreadCorrectedRegressor(LinearRegression(), random_state=0).fit(X, y)
    >>> round(reg.slope_, 1), round(reg.centre_, 1)
    (1.6, 5.0)
    >>> reg.estimator_.predict([[8.0]]).round(1), reg.predict([[8.0]]).round(1)
    (array([6.5]), array([7.5]))
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "scoring": [str, callable],
        "slope_range": ["array-like"],
        "clip": [StrOptions({"range"}), "array-like", None],
        "cv": CV_VALUES,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator,
        *,
        scoring: Any = BALANCED,
        slope_range: Any = (1.0, 3.0),
        clip: Any = "range",
        cv: Any = None,
        random_state=None,
    ):
        self.estimator = estimator
        self.scoring = scoring
        self.slope_range = slope_range
        self.clip = clip
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
        """Fit the regressor, and find slope and centre on samples that it was not trained on.

        Parameters
        ----------
        X : array-like of n samples
            In a form that `estimator` reads.
        y : array-like of shape (n,)
            Values of the target.
        sample_weight : array-like of shape (n,), default=None
            Weights with which the regressor is trained. The score counts each sample once.
        groups : array-like of shape (n,), default=None
            Samples of one group stay on one side of each split.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `estimator` is a classifier, y is no vector of finite numbers or lies beyond `clip`,
            the samples cannot be divided, or `slope_range`, `clip` or `scoring` are not as above.
        """
        return self._fit(X, y, sample_weight, groups)

    @fit_context(prefer_skip_nested_validation=False)
    def tune_fitted(
        self,
        fitted: Any,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Find slope and centre for a regressor that was trained on these very samples before.

        It becomes ``estimator_`` and is not trained again; regressors like `estimator` are trained
        on parts of the samples, as in `fit`. The result is that of `fit` where `fitted` is what
        `fit` would have trained.

        Parameters
        ----------
        fitted : regressor
            Fitted on X and y.
        X, y, sample_weight, groups
            As in `fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As `fit`, or if `cv` is a fraction or `estimator` a `FrozenEstimator`: both train
            nothing on parts.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.linear_model import LinearRegression
        >>> from skimb.model_selection import SpreadCorrectedRegressor
        >>> X = np.arange(20.0)[:, None]
        >>> fitted = LinearRegression().fit(X, X[:, 0])
        >>> reg = SpreadCorrectedRegressor(LinearRegression(), random_state=0)
        >>> reg.tune_fitted(fitted, X, X[:, 0]).estimator_ is fitted
        True
        """
        if isinstance(plain(self.cv), float) or isinstance(self.estimator, FrozenEstimator):
            raise ValueError(
                "`tune_fitted` trains regressors on parts of the samples, for which neither a "
                "fraction as `cv` nor a FrozenEstimator as `estimator` will do. Give a number of "
                "folds, and the regressor itself."
            )
        check_is_fitted(fitted)
        return self._fit(X, y, sample_weight, groups, fitted)

    def _fit(self, X, y, sample_weight, groups, fitted=None):
        if is_classifier(self.estimator):
            raise ValueError(
                f"`estimator` must be a regressor. Got {type(self.estimator).__name__}, a "
                "classifier, whose labels have no spread. Use TunedOffsetsClassifierCV to move its "
                "decisions."
            )
        slope_range = _checked_slopes(self.slope_range)
        forget_fit(self)
        rng = check_random_state(self.random_state)
        cv = cv_of(self, FOLDS_OF_IMAGES if takes_images(last_step(self.estimator)) else FOLDS)
        samples = read_inputs(self, X, y, groups)
        values = check_target(samples.y)
        bounds = _checked_bounds(self.clip, values)
        scorer = None if self.scoring in (BALANCED, ABSOLUTE) else self._scorer(values)
        metadata = metadata_of_wrapped(self, samples.X, sample_weight, groups)
        n_tasks = n_fits(self, samples, cv) - (fitted is not None)
        task = begin_fit(self, samples.X, samples.y, n_tasks=n_tasks)
        held = fit_and_hold_out_values(
            self,
            samples,
            cv=cv,
            rng=rng,
            metadata=metadata,
            task=task,
            # The one that a fraction is held out from is the final one.
            shortened=None if isinstance(cv, float) else for_part,
            fitted=fitted,
        )
        # In the order of the samples, whatever the folds.
        order = np.argsort(held.rows, kind="stable")
        predicted, target = held.predicted[order], values[held.rows[order]]
        self.n_held_out_ = len(np.unique(held.rows))
        self.bounds_ = bounds
        as_they_are = self._correction(1.0, float(np.median(target)))
        weight = None
        if scorer is None:
            weight = self._weight(values, target)
            error = absolute_error(target, weight)
        else:
            error = partial(_error_of, scorer, target)
        found = find_spread(as_they_are, predicted, target, slope_range, error, weight=weight)
        self.plain_score_ = -error(predicted)
        self.corrected_score_ = -error(found(predicted))
        self.centre_, self.slope_ = found.centre, found.slope
        task.call_on_fit_task_end(estimator=self)
        return self

    def _scorer(self, values) -> Any:
        if not isinstance(self.scoring, str):
            return self.scoring
        known = regression_scoring(values)
        return known[self.scoring] if self.scoring in known else get_scorer(self.scoring)

    def _weight(self, values, target):
        """Return the weight of each absolute error; the bins are those of all samples."""
        if self.scoring == ABSOLUTE:
            return np.full(len(target), 1 / len(target))
        density = LabelDensity().fit(values)
        bins = density.bin_of(target)
        counts = np.bincount(bins)
        return 1 / (np.count_nonzero(counts) * counts[bins])

    def _correction(self, slope, centre):
        holds_all = not isinstance(self.clip, str) and self.clip is not None
        return SpreadCorrection(slope, centre, *self.bounds_, holds_all=holds_all)

    def spread_correction(self) -> SpreadCorrection:
        """Return slope, centre and bounds, by which the regressor is exported.

        Returns
        -------
        SpreadCorrection
            A function from predictions to corrected ones.
        """
        check_is_fitted(self)
        return self._correction(self.slope_, self.centre_)

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the corrected predictions.

        Parameters
        ----------
        X : array-like of n samples
            In a form that the wrapped regressor reads.

        Returns
        -------
        ndarray of shape (n,), float64
        """
        correction = self.spread_correction()
        return correction(predicted_values(self.estimator_, X))

    def __sklearn_is_fitted__(self):
        return hasattr(self, "slope_")

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "slope_"):
            _check_numbers(self.slope_, self.centre_, self.bounds_)


def _error_of(scorer, y, predicted):
    """Return the negative score of predictions."""
    return -float(scorer(KnownPredictions(predicted), np.empty((len(y), 1)), y))


def _two_numbers(pair):
    """Return two numbers of which the second is not less; None: there are no such."""
    try:
        low, high = map(float, pair)
    except (TypeError, ValueError):
        return None
    return (low, high) if low <= high else None


def _checked_slopes(slope_range) -> Any:
    found = _two_numbers(slope_range)
    if found is None or found[0] < 0 or not np.isfinite(found[1]):
        raise ValueError(
            "`slope_range` must be two finite numbers from 0, the least and the largest slope, "
            f"such as (1.0, 3.0). Got {slope_range!r:.200}."
        )
    return found


def _checked_bounds(clip, y) -> Any:
    """Return the least and the largest value of `clip`."""
    if clip is None:
        return -np.inf, np.inf
    least, largest = float(y.min()), float(y.max())
    if isinstance(clip, str):
        return least, largest
    found = _two_numbers(clip)
    if found is None:
        raise ValueError(
            "`clip` must be 'range', None, or two numbers, the least and the largest prediction. "
            f"Got {clip!r:.200}."
        )
    if least < found[0] or largest > found[1]:
        ends = " and ".join(told_apart(least, largest))
        raise ValueError(
            f"`clip` must hold all values of y, which lie between {ends}: "
            f"predictions could not reach the others. Got {clip!r:.200}."
        )
    return found


def _check_numbers(slope, centre, bounds):
    """Refuse numbers of a file that correct nothing."""
    are_numbers = all(isinstance(number, float) for number in (slope, centre))
    if not are_numbers or not np.isfinite([slope, centre]).all() or slope < 0:
        raise ValueError(
            "`slope_` must be a finite number from 0, and `centre_` a finite number. Got "
            f"{slope!r:.100} and {centre!r:.100}."
        )
    if not isinstance(bounds, tuple) or _two_numbers(bounds) is None:
        raise ValueError(
            f"`bounds_` must hold the least and the largest prediction. Got {bounds!r:.200}."
        )
