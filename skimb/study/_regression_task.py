"""The task of regression in a comparison: folds, checks, scores and outcomes."""

import numpy as np
from sklearn.base import clone
from sklearn.metrics import check_scoring
from sklearn.utils import check_array
from sklearn.utils.validation import column_or_1d

from skimb._groups import are_shared
from skimb._known_predictions import KnownPredictions
from skimb.metrics import regression_scoring
from skimb.model_selection import BinnedStratifiedKFold
from skimb.neural_network import CNNRegressor
from skimb.relevance import Relevance, fit_relevance, relevance_bumps
from skimb.study._outcomes import RegressionOutcome
from skimb.study._regression_comparison import RegressionComparison
from skimb.study._regression_strategies import (
    BUILT_ON_BASELINE,
    BY_RELEVANCE,
    FROM_PIXELS,
    REGRESSION_STRATEGIES,
    unfitted_regressor,
)
from skimb.study._sample_images import MOST_MISTAKES_SHOWN, gallery, short_number
from skimb.study._splits import dividing_for
from skimb.study._strategy_fits import training_losses
from skimb.study._training_steps import FOLDS_OF_SPREAD, gradient_steps, search_steps

__all__ = ["RegressionTask"]

#: What the spread of predictions is tuned for, unless another measure is asked for; and the other
#: one for which the search is exact.
BALANCED, ABSOLUTE = "neg_balanced_mean_absolute_error", "neg_mean_absolute_error"


class RegressionTask:
    """The comparison of strategies for a continuous target with rare values.

    Parameters
    ----------
    y : ndarray of shape (n,)
        The target.
    relevance : Relevance, callable or None, default=None
        Which values are rare; None: by the box plot.
    has_paths : bool, default=False
        Whether X holds image files.
    """

    estimator_class = CNNRegressor
    #: Parameters that the strategies set, with the values that a baseline has for them.
    baseline_params = {"loss": "squared_error", "ranksim": 0.0} | dict.fromkeys(
        ("target_weight", "batch_sampling", "sampler")
    )
    strategies = by_default = REGRESSION_STRATEGIES
    built_on_baseline = from_baseline = BUILT_ON_BASELINE
    without_settings = on_heads = ()
    #: None: strategies share no features.
    head_length = None
    kind = "regressor"
    why_this_kind = "y is taken for a continuous target."
    other_kind = "estimator=CNNClassifier() takes it for labels"

    def __init__(self, y, *, relevance=None, has_paths=False):
        self.y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        self.relevance, self._why_none = None, ""
        self.has_paths = has_paths
        self.has_errors = False
        self.asked_measure = None
        self.measure_name = self.measure = BALANCED
        try:
            relevance = fit_relevance(relevance, self.y).relevance
            if hasattr(relevance, "points_"):
                # By its points: a fold would find others, or none.
                relevance = Relevance(relevance.points_)
            _, is_rare = relevance_bumps(self.y, relevance=relevance)
        except ValueError as exc:
            self._why_none = str(exc)
            return
        if len(set(is_rare)) == 1:
            self._why_none = (
                f"By `relevance`, {'every' if is_rare[0] else 'no'} value of y is rare."
            )
            return
        self.relevance = relevance

    def share_features(self, n_samples, **length):
        """Refuse: strategies for numbers are no last layers of one network."""
        raise ValueError(
            "`shared_features` is for labels, and y holds numbers: strategies for numbers train "
            "whole networks. Leave it False."
        )

    def head_training(self, name, y):
        """Return None: no strategy for numbers trains a last layer after its network."""

    def why_impossible(self, name):
        """Return why a built-in strategy cannot run on this target, or None."""
        if name in BY_RELEVANCE and self.relevance is None:
            return f"{self._why_none} Here: estimator=CNNRegressor(relevance=...)."
        if name in FROM_PIXELS and self.has_paths:
            return "It computes with pixels, and X holds paths: skimb.datasets.read_images(paths)."
        return None

    def default_scoring(self):
        """Return the scorers that are used where none are given; their errors are shown as such."""
        self.has_errors = True
        return regression_scoring(self.y, relevance=self.relevance, absent=np.nan)

    def choose_measure(self, scoring, asked=None):
        """Choose the score that predictions are spread for: the balanced error, or what is asked.

        Without the balanced error, it is the first of the scores.
        """
        self.asked_measure = asked
        main = next(iter(scoring))
        if main == "prediction_slope" or (asked is None and BALANCED in scoring):
            # A spread that is tuned for the slope overshoots.
            main = BALANCED
        self.measure_name = main
        is_known = main == BALANCED or (self.has_errors and main == ABSOLUTE)
        self.measure = main if is_known else scoring[main]

    def splits(self, n_folds, seed, groups=None):
        """Return folds of all samples, which keep groups together.

        Raises
        ------
        ValueError
            If there are fewer samples than twice the folds, or the groups cannot be divided so.
        """
        if len(self.y) < 2 * n_folds:
            raise ValueError(
                f"y has {len(self.y)} samples, fewer than two for each of the {n_folds} folds. "
                "Give more samples, or fewer folds."
            )
        folds = BinnedStratifiedKFold(n_folds, shuffle=True, random_state=seed)
        shared = groups if are_shared(groups) else None
        return list(folds.split(np.empty(len(self.y)), self.y, shared))

    def check_samples(self, strategies, y, y_test, runs, groups=None):
        """Refuse, before any training, splits on which a score or a strategy would fail."""
        y_test = check_array(y_test, ensure_2d=False, dtype=np.float64, input_name="y_test")
        phi = None if self.relevance is None else fit_relevance(self.relevance, self.y)
        for run in runs:
            if self.has_errors and np.ptp(y_test[run.test]) == 0:
                raise ValueError(
                    f"A test part holds one value only, {y_test[run.test][0]:g}, in "
                    f"{len(run.test)} sample(s): its slope is not defined. Give more samples, "
                    "fewer folds, or a `scoring` of your own."
                )
            label = next((s.label for s in strategies if s.name == "spread_corrected"), None)
            if label is not None and groups is not None and are_shared(groups):
                _check_division(label, self.y[run.train], groups[run.train], run.seed)
            needy = [s.label for s in strategies if s.name in BY_RELEVANCE]
            if needy and phi is not None and len(set(phi(self.y[run.train]) >= 0.5)) == 1:
                raise ValueError(
                    f"Strategies {needy} need rare and normal values in every training part, but "
                    "one holds a single kind. Give more folds, another `relevance` in the "
                    "estimator, or leave these strategies out."
                )

    def check_training(self, name, groups=None):
        """Refuse, before any training, groups on which a built-in strategy would fail."""
        if name == "spread_corrected" and are_shared(groups):
            _check_division(name, self.y, groups, 0)

    def few_samples(self, y):
        """Return the indices of a few samples that a network can be fitted on."""
        return np.arange(2)

    def unfitted(self, name, estimator, settings=None):
        """Return the estimator that a built-in strategy is with some settings, not fitted."""
        made = unfitted_regressor(name, estimator, scoring=self.measure, relevance=self.relevance)
        # A clone: setting loss__gamma must not change the loss of other estimators.
        return clone(made).set_params(**clone(settings, safe=False)) if settings else made

    def built_on(self, name, network, X, y, groups=None, *, seed):
        """Fit a strategy that starts from the baseline's network."""
        return BUILT_ON_BASELINE[name](network, X, y, groups, seed=seed, scoring=self.measure)

    def outcome(self, strategy, fitted, X, y, *, rows, scoring, seconds, y_train):
        """Score a fitted strategy on a test part; ``rows`` are the indices of its samples."""
        predicted = fitted.predict(X)
        if strategy.is_own:
            predicted = column_or_1d(predicted, dtype=np.float64)
        known = KnownPredictions(predicted)
        scores = check_scoring(known, scoring=scoring)(known, X, y)
        if self.has_errors:
            scores = {
                metric.removeprefix("neg_"): -value if metric.startswith("neg_") else value
                for metric, value in scores.items()
            }
        return RegressionOutcome(
            strategy.label,
            {metric: float(value) for metric, value in scores.items()},
            seconds,
            training_losses(fitted),
            gradient_steps(fitted),
            rows,
            np.asarray(y, dtype=np.float64),
            predicted,
            search_steps=None if strategy.is_own else search_steps(fitted),
        )

    def describe(self):
        """Return the target as the protocol describes it."""
        low, middle, high = np.quantile(self.y, [0, 0.5, 1])
        points = getattr(self.relevance, "points", None)
        points = None if points is None else np.asarray(points).tolist()
        return {
            "target": {"min": float(low), "median": float(middle), "max": float(high)},
            "relevance": points,
            "tuned_for": self.measure_name.removeprefix("neg_"),
            "measure": self.asked_measure,
        }

    def first_metric(self, metrics):
        """Return the metric that the verdict names first."""
        return RegressionComparison._verdict_metrics_of(metrics, self.asked_measure)[0]

    def comparison(self, outcomes, data, X_test, *, chosen, protocol, groups=None, **shape):
        """Return the result."""
        return RegressionComparison(
            outcomes,
            chosen=chosen,
            y=self.y,
            relevance=self.relevance,
            has_errors=self.has_errors,
            protocol=protocol,
            groups=groups,
            samples=_samples(*data, **shape),
            mistakes={
                name: _largest_errors(X_test, found, **shape) for name, found in outcomes.items()
            },
        )


def _check_division(label, y, groups, seed):
    """Refuse groups of a training part that ``spread_corrected`` cannot divide."""
    folds = BinnedStratifiedKFold(FOLDS_OF_SPREAD, shuffle=True, random_state=seed)
    with dividing_for(label):
        list(folds.split(y, y, groups))


def _samples(X, y, **shape):
    """Return images of low, middle and high values, with these as captions."""
    order = np.argsort(y, kind="stable")
    n_shown = min(MOST_MISTAKES_SHOWN, len(y))
    places = np.linspace(0, len(y) - 1, n_shown).astype(int)
    rows = {"y": order[places].tolist()}
    captions = {"y": [short_number(y[row]) for row in rows["y"]]}
    return gallery(X, rows, captions, **shape)


def _largest_errors(X, outcomes, **shape):
    """Pool the largest errors of all runs, by their sign: each sample once."""
    rows, captions = {}, {}
    errors = sorted(
        (
            (predicted - truth, int(row), truth, predicted)
            for outcome in outcomes
            for row, truth, predicted in zip(
                outcome.rows, outcome.truth, outcome.predicted, strict=True
            )
        ),
        key=lambda found: (-abs(found[0]), found[1]),
    )
    for label, sign in (("too low", -1), ("too high", 1)):
        pooled = {}
        for error, row, truth, predicted in errors:
            if error * sign > 0:
                pooled.setdefault(row, f"{short_number(truth)} as {short_number(predicted)}")
        if pooled:
            rows[label] = list(pooled)[:MOST_MISTAKES_SHOWN]
            captions[label] = [pooled[row] for row in rows[label]]
    return gallery(X, rows, captions, **shape)
