"""Spread predictions: the search against naive loops, bounds, special cases, held-out samples."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimb._spread_correction import SpreadCorrection
from skimb.datasets import make_variance_images
from skimb.metrics import (
    balanced_mean_absolute_error,
    prediction_slope,
    regression_scoring,
)
from skimb.model_selection import SpreadCorrectedRegressor
from skimb.model_selection._spread_search import absolute_error, best_slope, find_spread
from skimb.neural_network import CNNRegressor
from skimb.relevance import LabelDensity


class Given(RegressorMixin, BaseEstimator):
    """A regressor whose prediction is the first column of X."""

    def fit(self, X, y):
        self.n_features_in_ = 1
        return self

    def predict(self, X):
        return np.asarray(X)[:, 0]


GIVEN = FrozenEstimator(Given().fit(None, None))


def shrunk(n=600, seed=0):
    """Return features, and a target of which they say so little that predictions shrink."""
    rng = np.random.RandomState(seed)
    y = rng.normal(5, 1, size=n)
    return (y + rng.normal(size=n))[:, None], y


# ---------------------------------------------------------------------------------- correction


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({}, [-5.0, 1.0, 4.0, 11.0, 13.0]),
        # Only the one that is beyond 10 before stays beyond it.
        ({"low": 0.0, "high": 10.0}, [-0.5, 1.0, 4.0, 10.0, 10.0]),
        ({"low": 0.0, "high": 10.0, "holds_all": True}, [0.0, 1.0, 4.0, 10.0, 10.0]),
        ({"low": 0.0, "high": np.inf, "holds_all": True}, [0.0, 1.0, 4.0, 11.0, 13.0]),
    ],
)
def test_predictions_are_moved_from_the_centre_within_bounds(bounds, expected):
    predicted = np.array([-0.5, 2.5, 4.0, 7.5, 8.5])
    np.testing.assert_array_equal(SpreadCorrection(2.0, 4.0, **bounds)(predicted), expected)


# -------------------------------------------------------------------------------------- search


def naive_error(correction, predicted, y, weight):
    total = 0.0
    for p, truth, w in zip(predicted, y, weight, strict=True):
        moved = correction.centre + correction.slope * (p - correction.centre)
        low, high = correction.low, correction.high
        if not correction.holds_all:
            low, high = min(low, p), max(high, p)
        total += w * abs(min(max(moved, low), high) - truth)
    return total


VALUES = st.integers(-8, 8).map(lambda value: value / 2)


@given(
    pairs=st.lists(st.tuples(VALUES, VALUES, st.integers(1, 3)), min_size=1, max_size=12),
    centre=VALUES,
    kind=st.sampled_from(["none", "range", "all"]),
)
@settings(max_examples=150, deadline=None)
def test_the_slope_is_the_best_of_all_that_a_naive_loop_tries(pairs, centre, kind):
    predicted, y, weight = np.array(pairs, dtype=float).T
    bounds = () if kind == "none" else (y.min(), y.max(), kind == "all")
    slopes = (0.5, 3.0)
    found = best_slope(SpreadCorrection(1.0, centre, *bounds), predicted, y, slopes, weight)

    def error(slope):
        return naive_error(SpreadCorrection(slope, centre, *bounds), predicted, y, weight)

    # The error bends where a prediction meets its value or a bound, and nowhere else.
    bends = [
        (value - centre) / (p - centre)
        for p, truth in zip(predicted, y, strict=True)
        for value in (truth, *bounds[:2])
        if p != centre
    ]
    tried = [1.0, *slopes, *np.linspace(*slopes, 50), *(b for b in bends if 0.5 <= b <= 3)]
    errors = [error(slope) for slope in tried]
    assert error(found) <= min(errors) + 1e-9
    # Of equal ones, it is the nearest to 1.
    nearest = min(abs(s - 1) for s, e in zip(tried, errors, strict=True) if e <= min(errors) + 1e-9)
    assert abs(found - 1) <= nearest + 1e-6


@pytest.mark.parametrize("bounds", [(), (0.0, 1.0), (0.0, 1.0, True)], ids=str)
def test_slope_and_centre_are_as_good_as_a_dense_naive_grid(bounds):
    rng = np.random.RandomState(1)
    y = rng.beta(0.5, 0.8, size=60)
    predicted = 0.45 + 0.3 * (y - 0.45) + 0.1 * rng.standard_normal(60)
    weight = rng.uniform(0.5, 2, size=60)
    start = SpreadCorrection(1.0, 0.5, *bounds)
    inputs = start, predicted, y, (1.0, 3.0), absolute_error(y, weight)
    found = find_spread(*inputs, weight=weight)
    least = min(
        naive_error(SpreadCorrection(slope, centre, *bounds), predicted, y, weight)
        for slope in np.linspace(1, 3, 81)
        for centre in np.linspace(y.min(), y.max(), 81)
    )
    assert naive_error(found, predicted, y, weight) <= least * 1.001
    # The grid of slopes for other errors comes near to it.
    other = find_spread(*inputs)
    assert naive_error(other, predicted, y, weight) <= least * 1.005


def test_two_predictions_fix_slope_and_centre_by_hand():
    # 3 = c + s (4 - c) and 9 = c + s (7 - c): s = 2 and c = 5.
    reg = SpreadCorrectedRegressor(GIVEN, clip=None).fit([[4.0], [7.0]], [3.0, 9.0])
    assert (reg.slope_, reg.centre_) == pytest.approx((2.0, 5.0), abs=0.02)
    np.testing.assert_allclose(reg.predict([[4.0], [5.0], [7.0]]), [3.0, 5.0, 9.0], atol=0.02)
    assert reg.plain_score_ == -1.5
    assert reg.corrected_score_ == pytest.approx(0, abs=0.05)


# ---------------------------------------------------------------------------------------- score


def test_the_scores_are_balanced_over_the_bins_of_y():
    rng = np.random.RandomState(0)
    y = rng.exponential(size=500)
    X = (0.6 + 0.4 * y + 0.2 * rng.standard_normal(500))[:, None]
    reg = SpreadCorrectedRegressor(GIVEN).fit(X, y)
    bins = LabelDensity(bins=LabelDensity().fit(y).edges_)
    for predicted, score in ((X[:, 0], reg.plain_score_), (reg.predict(X), reg.corrected_score_)):
        expected = balanced_mean_absolute_error(y, predicted, density=bins)
        assert score == pytest.approx(-expected, rel=1e-12)
    assert reg.slope_ > 1.5
    # The mean over the samples asks for less, and has less.
    mean = SpreadCorrectedRegressor(GIVEN, scoring="neg_mean_absolute_error").fit(X, y)
    assert 1 < mean.slope_ < reg.slope_
    assert mean.corrected_score_ == pytest.approx(-np.abs(mean.predict(X) - y).mean())


@pytest.mark.slow
def test_scorers_choose_what_the_exact_search_chooses():
    X, y = shrunk()
    by_name = SpreadCorrectedRegressor(LinearRegression(), random_state=0).fit(X, y)
    scorer = regression_scoring(y)["neg_balanced_mean_absolute_error"]
    by_scorer = clone(by_name).set_params(scoring=scorer).fit(X, y)
    assert by_scorer.plain_score_ == pytest.approx(by_name.plain_score_)
    assert by_scorer.corrected_score_ == pytest.approx(by_name.corrected_score_, rel=0.003)
    assert clone(by_name).set_params(scoring="neg_sera").fit(X, y).slope_ > 1.2


@pytest.mark.slow
def test_a_regressor_of_least_squares_stays_as_it_is_for_the_squared_error():
    X, y = shrunk(2000)
    reg = SpreadCorrectedRegressor(LinearRegression(), scoring="neg_mean_squared_error").fit(X, y)
    assert reg.slope_ == pytest.approx(1, abs=0.02)


# -------------------------------------------------------------------------------- special cases


@pytest.mark.parametrize("clip", ["range", None])
def test_a_slope_of_1_is_the_wrapped_regressor(clip):
    X, y = shrunk()
    reg = SpreadCorrectedRegressor(
        LinearRegression(), slope_range=(1, 1), clip=clip, random_state=0
    ).fit(X, y)
    new = np.linspace(-20, 20, 50)[:, None]
    np.testing.assert_array_equal(reg.predict(new), LinearRegression().fit(X, y).predict(new))
    assert reg.slope_ == 1
    assert reg.plain_score_ == reg.corrected_score_


def test_predictions_that_are_right_are_left_alone():
    y = np.linspace(0, 10, 50)
    reg = SpreadCorrectedRegressor(GIVEN, slope_range=(0.0, 3.0)).fit(y[:, None], y)
    assert (reg.slope_, reg.centre_) == (1.0, 5.0)


def test_predictions_that_go_too_far_are_drawn_together_where_that_is_allowed():
    y = np.linspace(0, 10, 50)
    X = (5 + 2 * (y - 5))[:, None]
    assert SpreadCorrectedRegressor(GIVEN).fit(X, y).slope_ == 1
    reg = SpreadCorrectedRegressor(GIVEN, slope_range=(0.0, 3.0)).fit(X, y)
    np.testing.assert_allclose(reg.predict(X), y, atol=0.01)


@pytest.mark.parametrize("y", [np.full(30, 2.0), np.r_[np.full(29, 2.0), 9.0]], ids=["one", "two"])
def test_constant_targets_and_predictions_do_no_harm(y):
    X = np.zeros((30, 1))
    reg = SpreadCorrectedRegressor(DummyRegressor(), random_state=0).fit(X, y)
    assert np.isfinite(reg.predict(X)).all()
    assert (reg.predict(X) >= y.min()).all()
    assert (reg.predict(X) <= y.max()).all()


def test_the_order_of_predictions_stays():
    X, y = shrunk()
    reg = SpreadCorrectedRegressor(LinearRegression(), random_state=0).fit(X, y)
    new = np.sort(X, axis=0)
    assert (np.diff(reg.predict(new)) >= 0).all()
    assert prediction_slope(y, reg.predict(X)) > prediction_slope(y, reg.estimator_.predict(X))


# -------------------------------------------------------------------------------- held-out part


def test_folds_hold_all_samples_out_and_the_final_regressor_sees_all():
    X, y = shrunk()
    reg = SpreadCorrectedRegressor(LinearRegression(), random_state=0).fit(X, y)
    np.testing.assert_allclose(reg.estimator_.predict(X), LinearRegression().fit(X, y).predict(X))
    assert reg.n_held_out_ == 600
    assert reg.bounds_ == (y.min(), y.max())
    again = clone(reg).fit(X, y)
    assert again.spread_correction() == reg.spread_correction()


def test_a_regressor_that_was_fitted_before_gets_the_same_spread():
    X, y = shrunk()
    forest = RandomForestRegressor(5, random_state=3)
    reg = SpreadCorrectedRegressor(forest, random_state=0)
    tuned = clone(reg).tune_fitted(clone(forest).fit(X, y), X, y)
    assert tuned.spread_correction() == reg.fit(X, y).spread_correction()
    np.testing.assert_array_equal(tuned.predict(X), reg.predict(X))


@pytest.mark.parametrize(
    ("estimator", "cv"), [(GIVEN, None), (LinearRegression(), 0.3)], ids=["frozen", "fraction"]
)
def test_what_trains_nothing_on_parts_is_refused_where_a_regressor_is_handed_in(estimator, cv):
    X, y = shrunk()
    with pytest.raises(ValueError, match="`tune_fitted` trains regressors on parts"):
        SpreadCorrectedRegressor(estimator, cv=cv).tune_fitted(GIVEN.estimator, X, y)


@pytest.mark.parametrize("cv", [None, 0.3])
def test_groups_stay_on_one_side(cv):
    X, y = shrunk(100)
    X, y, groups = np.repeat(X, 4, axis=0), np.repeat(y, 4), np.repeat(np.arange(100), 4)
    seen = []

    class Recording(LinearRegression):
        def fit(self, X, y):
            seen.append(X)
            return super().fit(X, y)

    SpreadCorrectedRegressor(Recording(), cv=cv, random_state=0).fit(X, y, groups=groups)
    assert len(seen) == (6 if cv is None else 1)
    for rows in seen:
        assert set(np.unique(rows[:, 0], return_counts=True)[1]) == {4}


def test_pipelines_and_searches_are_wrapped():
    X, y = shrunk(200)
    model = make_pipeline(StandardScaler(), LinearRegression())
    reg = SpreadCorrectedRegressor(model, random_state=0)
    search = GridSearchCV(reg, {"clip": ["range", None], "cv": [2]}, cv=2).fit(X, y)
    assert search.predict(X).shape == (200,)


@pytest.mark.slow
def test_a_network_is_corrected_by_networks_of_halves():
    X, y = make_variance_images(80, distribution="normal", side=8, random_state=0)
    network = CNNRegressor("linear", max_epochs=1, batch_size=16, random_state=0)
    lengths = []

    class Recording(CNNRegressor):
        def fit(self, X, y, sample_weight=None, groups=None):
            lengths.append((len(y), self.steps_per_epoch))
            return super().fit(X, y, sample_weight=sample_weight, groups=groups)

    reg: Any = SpreadCorrectedRegressor(Recording(**network.get_params()), random_state=0)
    reg.fit(X, y)
    # Half of the five steps of an epoch, rounded to even.
    assert lengths == [(40, 2), (40, 2), (80, None)]
    np.testing.assert_array_equal(reg.estimator_.predict(X), network.fit(X, y).predict(X))


# ------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"slope_range": (2.0, 1.0)}, "`slope_range` must be two finite numbers from 0"),
        ({"slope_range": (-1.0, 2.0)}, "`slope_range` must be two finite numbers from 0"),
        ({"slope_range": (1.0, np.inf)}, "`slope_range` must be two finite numbers from 0"),
        ({"slope_range": [1.0]}, "`slope_range` must be two finite numbers from 0"),
        ({"clip": (0.0, 1.0)}, "`clip` must hold all values of y, which lie between"),
        ({"clip": (9.0, 1.0)}, "`clip` must be 'range', None, or two numbers"),
        ({"clip": (np.nan, 10.0)}, "`clip` must be 'range', None, or two numbers"),
        ({"clip": "y"}, "'clip' parameter"),
        ({"scoring": "f2"}, "'f2' is not a valid scoring"),
        ({"cv": 0.0}, "'cv' parameter"),
    ],
    ids=str,
)
def test_parameters_without_a_meaning_are_refused_before_any_training(params, message):
    class Untrainable(LinearRegression):
        def fit(self, X, y):
            raise AssertionError("The input was to be refused before any training.")

    with pytest.raises(ValueError, match=message):
        SpreadCorrectedRegressor(Untrainable(), **params).fit(*shrunk(50))


def test_a_classifier_is_refused():
    X, y = shrunk(50)
    with pytest.raises(ValueError, match=r"must be a regressor\. Got LogisticRegression"):
        SpreadCorrectedRegressor(LogisticRegression()).fit(X, y > 5)
