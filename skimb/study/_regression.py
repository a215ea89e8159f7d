"""What compare() knows of continuous targets: remedies, folds, scores, outcomes."""

import copy
import time
from dataclasses import dataclass

import numpy as np
from sklearn.dummy import DummyRegressor
from sklearn.metrics import check_scoring
from sklearn.utils import check_array

from skimb._engine import RegressionView
from skimb.metrics import regression_scoring
from skimb.model_selection import BinnedStratifiedKFold
from skimb.neural_network import CNNRegressor
from skimb.over_sampling import SMOGN, RelevanceOverSampler
from skimb.relevance import Relevance, fit_relevance, relevance_bumps
from skimb.study._pictures import MOST_MISTAKES_SHOWN, gallery, short_number
from skimb.study._regression_comparison import RegressionComparison
from skimb.study._strategies import BASELINE, CONSTANT, LINEAR, with_steps
from skimb.under_sampling import RelevanceUnderSampler

__all__ = ["REGRESSION_STRATEGIES", "RegressionTask"]

#: What each strategy sets.
TRAINED = {
    BASELINE: {},
    "weight_sqrt": {"target_weight": "sqrt"},
    "weight_lds": {"target_weight": "lds"},
    "weight_inverse": {"target_weight": "inverse"},
    "density_batches": {"batch_sampling": "inverse"},
    "relevance_batches": {"batch_sampling": "relevance"},
    "focal_r": {"loss": "focal_r"},
    "balanced_mse": {"loss": "balanced_mse"},
    "ranksim": {"ranksim": 10.0},
    "over": {"sampler": RelevanceOverSampler()},
    "under": {"sampler": RelevanceUnderSampler()},
    "smogn": {"sampler": SMOGN()},
    "linear": LINEAR,
}

#: Those that must know what is rare.
BY_RELEVANCE = ("relevance_batches", "over", "under", "smogn")

#: Those that compute with pixels.
MAKES_ROWS = ("smogn",)

#: Every strategy for a continuous target, in the order of reports, in one line.
REGRESSION_STRATEGIES = {
    BASELINE: "the network on the data as they are",
    "weight_sqrt": "errors weighted by one over the root of the density",
    "weight_lds": "the same, with a smoothed density (LDS)",
    "weight_inverse": "errors weighted by one over the density",
    "density_batches": "rows drawn as often as weight_inverse would weigh them",
    "relevance_batches": "rare and normal ranges in equal shares in every batch",
    "focal_r": "focal-R loss: small errors play less of a part",
    "balanced_mse": "balanced MSE, the likelihood under an even spread",
    "ranksim": "images with near targets drawn together in the embedding",
    "over": "rows of the rare ranges repeated",
    "under": "rows of the normal range dropped",
    "smogn": "rows of the rare ranges blended or changed by noise (SMOGN, in pixels)",
    "linear": "floor: one linear layer on the pixels, for as many steps",
    CONSTANT: "floor: the mean of y for every image",
}


@dataclass
class RegressionOutcome:
    """What one strategy reached in one run.

    Parameters
    ----------
    strategy : str
    scores : dict of str to float
    seconds : float
    train_loss : list of float
    rows : ndarray of int
        Test rows, of X or of the fixed test set.
    truth, predicted : ndarray of shape (n_test,)
    """

    strategy: str
    scores: dict
    seconds: float
    train_loss: list
    rows: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray


class RegressionTask:
    """Remedies for a continuous target with rare values.

    Parameters
    ----------
    y : ndarray of shape (n,)
        The target.
    relevance : Relevance, callable or None, default=None
        What is rare; None: by the box plot.
    has_paths : bool, default=False
        Whether X holds image files.
    """

    estimator_class = CNNRegressor
    plain = {"loss": "squared_error", "ranksim": 0.0} | dict.fromkeys(
        ("target_weight", "batch_sampling", "sampler")
    )
    strategies = REGRESSION_STRATEGIES

    def __init__(self, y, *, relevance=None, has_paths=False):
        self.y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        self.relevance, self._why_none = None, ""
        self.has_paths = has_paths
        self.has_errors = False
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

    def why_impossible(self, name):
        """Return why a strategy cannot run on this target, or None."""
        if name in BY_RELEVANCE and self.relevance is None:
            return f"{self._why_none} Here: estimator=CNNRegressor(relevance=...)."
        if name in MAKES_ROWS and self.has_paths:
            return "It computes with pixels, and X holds paths: skimb.datasets.read_images(paths)."
        return None

    def default_scoring(self):
        """Return the scorers that matter; from now on errors are shown as errors."""
        self.has_errors = True
        return regression_scoring(self.y, relevance=self.relevance, absent=np.nan)

    def choose_measure(self, scoring):
        """Do nothing: no remedy for numbers is tuned for a score."""

    def splits(self, n_folds, seed, tied=None):
        """Return folds of all rows, which keep together what is tied.

        Raises
        ------
        ValueError
            If there are fewer rows than twice the folds, or groups that cannot be shared out.
        """
        if len(self.y) < 2 * n_folds:
            raise ValueError(
                f"y has {len(self.y)} rows, fewer than two for each of the {n_folds} folds. Give "
                "more rows, or fewer folds."
            )
        folds = BinnedStratifiedKFold(n_folds, shuffle=True, random_state=seed)
        return list(folds.split(np.empty(len(self.y)), self.y, tied))

    def check_rows(self, names, y, y_test, runs, tied=None):
        """Refuse, before any training, splits on which a score or a strategy would fail."""
        y_test = check_array(y_test, ensure_2d=False, dtype=np.float64, input_name="y_test")
        phi = None if self.relevance is None else fit_relevance(self.relevance, self.y)
        for run in runs:
            if self.has_errors and np.ptp(y_test[run.test]) == 0:
                raise ValueError(
                    f"A test part holds one value only, {y_test[run.test][0]:g}, in "
                    f"{len(run.test)} row(s): no slope can be told of it. Give more rows, fewer "
                    "folds, or a `scoring` of your own."
                )
            needy = [name for name in names if name in BY_RELEVANCE]
            if needy and phi is not None and len(set(phi(self.y[run.train]) >= 0.5)) == 1:
                raise ValueError(
                    f"Strategies {needy} need rare and normal rows in every training part, but one "
                    "holds a single kind. Give fewer folds, another `relevance` in the estimator, "
                    "or leave these strategies out."
                )

    def few_samples(self, y):
        """Return a few rows that a network can be fitted on."""
        return np.arange(2)

    def group(self, names):
        """Group strategies so that each group needs one network: each its own."""
        return [(name,) for name in names]

    def fit(self, names, estimator, X, y, tied=None, *, seed, steps=None):
        """Fit the strategies of one group, and yield each when it is ready."""
        for name in names:
            start = time.perf_counter()
            if name == CONSTANT:
                constant = DummyRegressor().fit(X, y)
                yield name, constant, time.perf_counter() - start
                continue
            network = self.made(name, estimator).set_params(random_state=seed)
            with_steps(network, len(y), steps).fit(X, y)
            yield name, network, time.perf_counter() - start

    def made(self, name, estimator):
        """Return the estimator that a strategy is, not fitted."""
        if name == CONSTANT:
            return DummyRegressor()
        params = dict(TRAINED[name])
        if name in BY_RELEVANCE:
            params["relevance"] = self.relevance
            if "sampler" in params:
                sampler = copy.copy(params.pop("sampler"))
                params = {"sampler": sampler.set_params(**params)}
        return copy.copy(estimator).set_params(**params)

    def outcome(self, name, fitted, X, y, *, rows, scoring, seconds):
        """Score a fitted strategy on a test part, whose rows are these."""
        known = RegressionView(fitted.predict(X))
        scores = check_scoring(known, scoring=scoring)(known, X, y)
        if self.has_errors:
            scores = {
                metric.removeprefix("neg_"): -value if metric.startswith("neg_") else value
                for metric, value in scores.items()
            }
        return RegressionOutcome(
            name,
            {metric: float(value) for metric, value in scores.items()},
            seconds,
            [epoch["train_loss"] for epoch in getattr(fitted, "history_", [])],
            rows,
            np.asarray(y, dtype=np.float64),
            known.predicted,
        )

    def describe(self):
        """Return what the protocol says of the target."""
        low, middle, high = np.quantile(self.y, [0, 0.5, 1])
        points = getattr(self.relevance, "points", None)
        points = None if points is None else np.asarray(points).tolist()
        return {
            "target": {"min": float(low), "median": float(middle), "max": float(high)},
            "relevance": points,
        }

    def comparison(self, outcomes, data, X_test, *, protocol, **shape):
        """Return the result."""
        return RegressionComparison(
            outcomes,
            y=self.y,
            relevance=self.relevance,
            has_errors=self.has_errors,
            protocol=protocol,
            samples=_samples(*data, **shape),
            mistakes={
                name: _largest_errors(X_test, found, **shape) for name, found in outcomes.items()
            },
        )


def _samples(X, y, **shape):
    """Return pictures of low, middle and high values, with these as captions."""
    order = np.argsort(y, kind="stable")
    n_shown = min(MOST_MISTAKES_SHOWN, len(y))
    places = np.linspace(0, len(y) - 1, n_shown).astype(int)
    rows = {"y": order[places].tolist()}
    captions = {"y": [short_number(y[row]) for row in rows["y"]]}
    return gallery(X, rows, captions, **shape)


def _largest_errors(X, outcomes, **shape):
    """Pool the largest errors of all runs, by their sign: each row once."""
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
