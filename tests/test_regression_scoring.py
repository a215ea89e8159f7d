"""Scorers of a continuous target: fitted once, finite on every fold."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, KFold, LeaveOneOut, cross_validate
from sklearn.tree import DecisionTreeRegressor

from skimb.metrics import (
    balanced_mean_absolute_error,
    prediction_slope,
    regression_scoring,
    sera_score,
    shot_report,
)
from skimb.model_selection import BinnedStratifiedKFold
from skimb.relevance import LabelDensity, Relevance

TRUE = np.array([1, 2, 2, 3, 3, 3, 4, 4, 5, 12, 20.0])
PREDICTED = np.array([1, 2, 3, 3, 3, 4, 4, 4, 6, 8, 9.0])


class Oracle(RegressorMixin, BaseEstimator):
    """Predicts what it is given."""

    def __init__(self, predicted):
        self.predicted = predicted

    def fit(self, X, y):
        return self

    def predict(self, X):
        return self.predicted


def scores(y, y_true, y_pred, **params):
    X = np.zeros((len(y_true), 1))
    scoring = regression_scoring(y, **params)
    return {name: scorer(Oracle(y_pred), X, y_true) for name, scorer in scoring.items()}


def test_slope_by_hand():
    assert prediction_slope([1, 2, 3], [1, 2, 3]) == 1
    assert prediction_slope([1, 2, 3], [7, 7, 7]) == 0
    assert prediction_slope([-1, 0, 1], [1, 0, -1]) == -1
    with pytest.raises(ValueError, match=r"`y_true` holds 2 only\. Give samples that differ"):
        prediction_slope([2, 2], [1, 3])


two_or_more = arrays(np.float64, st.integers(2, 30), elements=st.floats(-100, 100))


@given(two_or_more, st.integers(0, 9))
def test_slope_is_that_of_the_line(y, seed):
    predicted = np.random.RandomState(seed).normal(size=len(y)) + 0.5 * y
    if np.ptp(y) < 1e-3:
        return
    line = LinearRegression().fit(y[:, None], predicted)
    assert prediction_slope(y, predicted) == pytest.approx(line.coef_[0], rel=1e-6, abs=1e-9)


def test_slope_of_what_is_right_on_average_is_r2():
    rng = np.random.RandomState(0)
    signal = rng.exponential(size=5000)
    y = signal + rng.normal(size=5000)
    model = Oracle(LinearRegression().fit(signal[:, None], y).predict(signal[:, None]))
    assert prediction_slope(y, model.predicted) == pytest.approx(model.score(signal, y))


def test_one_value_has_no_slope():
    scoring = regression_scoring(TRUE)
    # Scikit-learn's own warns.
    del scoring["r2"]
    X, folds = TRUE[:, None], LeaveOneOut()
    found = cross_validate(LinearRegression(), X, TRUE, scoring=scoring, cv=folds)
    assert np.isnan(found["test_prediction_slope"]).all()
    assert np.isfinite(found["test_neg_sera"]).all()


def test_a_relevance_may_give_a_list():
    scoring = regression_scoring(TRUE, relevance=lambda y: [float(value > 10) for value in y])
    scorer = scoring["neg_mean_absolute_error[rare]"]
    assert scorer(Oracle(PREDICTED), np.zeros((11, 1)), TRUE) == -7.5


def test_scorers_take_weights():
    rows = np.repeat(np.arange(len(TRUE)), [1, 2, 0, 3, 1, 0, 2, 1, 1, 4, 0])
    density = LabelDensity(bins=[0, 2.5, 5, 21])
    scoring = regression_scoring(TRUE, density=density, many=4, few=3)
    for scorer in scoring.values():
        weighted = scorer(
            Oracle(PREDICTED),
            np.zeros((len(TRUE), 1)),
            TRUE,
            sample_weight=np.bincount(rows, minlength=len(TRUE)),
        )
        repeated = scorer(Oracle(PREDICTED[rows]), np.zeros((len(rows), 1)), TRUE[rows])
        assert weighted == pytest.approx(repeated)


def test_scores_by_hand():
    got = scores(TRUE, TRUE, PREDICTED, density=LabelDensity(bins=[0, 5.5, 21]), many=8, few=3)
    # By the box plot, values from 4 on are rare.
    error = np.abs(PREDICTED - TRUE)
    assert got["neg_mean_absolute_error"] == pytest.approx(-error.mean())
    assert got["neg_root_mean_squared_error"] == pytest.approx(-np.sqrt(np.mean(error**2)))
    assert got["neg_sera"] == -138
    assert got["neg_mean_absolute_error[rare]"] == pytest.approx(-error[6:].mean())
    assert got["neg_mean_absolute_error[normal]"] == pytest.approx(-error[:6].mean())
    assert got["neg_balanced_mean_absolute_error"] == pytest.approx(-(3 / 9 + 15 / 2) / 2)
    assert got["neg_mean_absolute_error[many]"] == pytest.approx(-3 / 9)
    assert got["neg_mean_absolute_error[few]"] == pytest.approx(-15 / 2)
    assert "neg_mean_absolute_error[medium]" not in got
    assert got["prediction_slope"] == prediction_slope(TRUE, PREDICTED)
    assert list(got)[-1] == "prediction_slope"


def test_a_fold_is_judged_by_the_bins_of_the_whole():
    y = np.random.RandomState(0).exponential(size=500)
    fold, predicted = y[:40], y[1:41]
    got = scores(y, fold, predicted)
    whole = LabelDensity(bins=LabelDensity().fit(y).edges_)
    expected = balanced_mean_absolute_error(fold, predicted, density=whole)
    assert got["neg_balanced_mean_absolute_error"] == -expected
    assert expected != balanced_mean_absolute_error(fold, predicted)
    relevance = Relevance().fit(y)
    assert got["neg_sera"] == -sera_score(fold, predicted, relevance=relevance)
    report = shot_report(fold, predicted, y_train=y)
    for part in ("medium", "few"):
        found = got[f"neg_mean_absolute_error[{part}]"]
        assert found == pytest.approx(-report.loc[part, "mae"])


def test_a_fold_without_a_part_scores_without_a_warning():
    y = np.random.RandomState(0).exponential(size=500)
    fold = np.sort(y)[:5]
    got = scores(y, fold, fold + 1)
    assert got["neg_mean_absolute_error[rare]"] == 0
    assert got["neg_mean_absolute_error[few]"] == 0
    assert got["neg_mean_absolute_error[normal]"] == pytest.approx(-1)
    assert all(np.isfinite(value) for value in got.values())


def test_without_extreme_values_nothing_is_scored_by_relevance():
    even = np.linspace(1, 10, 100)
    names = set(regression_scoring(even))
    assert {"neg_balanced_mean_absolute_error", "neg_mean_absolute_error[few]"} <= names
    assert not {"neg_sera", "neg_mean_absolute_error[rare]"} & names
    given = regression_scoring(even, relevance=Relevance([(5, 0), (9, 1)]), threshold=0.9)
    assert "neg_mean_absolute_error[rare]" in given
    with pytest.raises(ValueError, match="No value of y lies beyond the whiskers"):
        regression_scoring(even, relevance=Relevance())


def test_any_callable_is_a_relevance():
    got = scores(TRUE, TRUE, PREDICTED, relevance=lambda y: (y > 10).astype(float))
    assert got["neg_sera"] == -(16 + 121)
    assert got["neg_mean_absolute_error[rare]"] == -7.5
    with pytest.raises(ValueError, match=r"must give a number in \[0, 1\]"):
        regression_scoring(TRUE, relevance=lambda y: y)
    with pytest.raises(ValueError, match="y contains NaN"):
        regression_scoring([1, np.nan])


def test_what_is_given_stays_unfitted():
    density, relevance = LabelDensity(bins=3), Relevance()
    regression_scoring(TRUE, density=density, relevance=relevance)
    assert not hasattr(density, "edges_")
    assert not hasattr(relevance, "points_")


def test_in_a_search():
    rng = np.random.RandomState(0)
    X = rng.uniform(size=(200, 2))
    y = np.exp(4 * X[:, 0]) + rng.normal(size=200)
    scoring = pickle.loads(pickle.dumps(regression_scoring(y)))
    search = GridSearchCV(
        DecisionTreeRegressor(random_state=0),
        {"max_depth": [1, 6]},
        scoring=scoring,
        refit="neg_mean_absolute_error[rare]",
        cv=BinnedStratifiedKFold(3),
    ).fit(X, y)
    assert search.best_params_ == {"max_depth": 6}
    slopes = search.cv_results_["mean_test_prediction_slope"]
    assert slopes[0] < slopes[1]
    # Folds that are sorted by the target lack whole parts.
    order = np.argsort(y)
    found = cross_validate(search.best_estimator_, X[order], y[order], cv=KFold(4), scoring=scoring)
    assert all(np.isfinite(values).all() for values in found.values())
