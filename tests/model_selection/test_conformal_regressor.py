"""Intervals: coverage of each range, ranges of each kind, few samples, groups, held-out samples."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skimb.metrics import interval_coverage
from skimb.model_selection import ConformalRegressor
from skimb.model_selection._target_ranges import find_ranges, range_of
from skimb.relevance import Relevance


class Given(RegressorMixin, BaseEstimator):
    """A regressor whose prediction is the first column of X."""

    def fit(self, X, y):
        self.n_features_in_ = 1
        return self

    def predict(self, X):
        return np.asarray(X)[:, 0]


GIVEN = FrozenEstimator(Given().fit(None, None))


def skewed(n, rng):
    """Return a target with a long tail, and predictions that shrink to the mean."""
    y = rng.exponential(size=n)
    return (0.6 + 0.4 * y + 0.2 * rng.standard_normal(n))[:, None], y


# ------------------------------------------------------------------------------------- coverage


@pytest.mark.slow
@pytest.mark.parametrize(
    "ranges",
    ["auto", *(pytest.param(r, marks=pytest.mark.exhaustive) for r in (4, [1.0, 2.0]))],
    ids=str,
)
@pytest.mark.parametrize("kind", ["good", "equal values", "useless"])
def test_every_range_is_covered_over_a_thousand_calibration_sets(ranges, kind):
    rng, level, n_sets, n_new = np.random.RandomState(0), 0.9, 1000, 300
    reg: Any = ConformalRegressor(GIVEN, confidence_level=level, ranges=ranges)
    reg.estimator_ = GIVEN
    hits: Any = {}
    for _ in range(n_sets):
        X, y = skewed(200 + n_new, rng)
        if kind == "useless":
            X = np.ones_like(X)
        elif kind == "equal values":
            X, y = np.round(X), np.round(y, 1)
        target, errors = y[:200], np.abs(y - X[:, 0])[:200]
        reg._find_half_widths(errors, target, np.arange(200), rng)
        ends = reg.predict_interval(X[200:])
        is_in = (y[200:] >= ends[:, 0]) & (y[200:] <= ends[:, 1])
        place = range_of(y[200:], reg.edges_)
        is_shared = np.abs(y - X[:, 0])[200:] <= reg.marginal_half_width_
        for r in range(len(reg.half_widths_)):
            # One new sample of each range, so that the outcomes are independent.
            first = np.flatnonzero(place == r)[:1]
            # Edges among equal values may make fewer ranges: the last one stays the last.
            key = r - len(reg.half_widths_) if r else 0
            hits.setdefault(key, []).extend(zip(is_in[first], is_shared[first], strict=True))
    for key, found in hits.items():
        assert np.sum(found, axis=0)[0] >= binom.ppf(0.001, len(found), level), key
    # One width for all misses most of the rare high values.
    assert np.mean(hits[-1], axis=0)[1] < 0.75


def test_intervals_are_the_hull_of_what_each_range_adds():
    rng = np.random.RandomState(0)
    X, y = skewed(400, rng)
    reg = ConformalRegressor(GIVEN, ranges=[1.0, 2.0]).fit(X, y)
    errors = np.abs(y - X[:, 0])
    for r in range(3):
        own = np.sort(errors[range_of(y, [1.0, 2.0]) == r])
        assert reg.n_calibration_[r] == len(own)
        assert reg.half_widths_[r] == own[int(np.ceil((len(own) + 1) * 0.9 - 1e-9)) - 1]
    grid = np.linspace(-5, 15, 4001)
    for value, (low, high) in zip(X[:50, 0], reg.predict_interval(X[:50]), strict=True):
        added = grid[np.abs(grid - value) <= reg.half_widths_[range_of(grid, reg.edges_)]]
        np.testing.assert_allclose([low, high], [added.min(), added.max()], atol=0.0051)
    np.testing.assert_array_equal(reg.predict(X), X[:, 0])
    assert reg.is_exact_


def test_one_range_gives_marginal_intervals_which_are_those_of_mapie():
    mapie = pytest.importorskip("mapie.regression")
    rng = np.random.RandomState(0)
    X = rng.standard_normal((400, 2))
    y = X[:, 0] + rng.standard_normal(400)
    fitted = LinearRegression().fit(X[:100], y[:100])
    reg = ConformalRegressor(FrozenEstimator(fitted), ranges=[]).fit(X[100:300], y[100:300])
    peer = mapie.SplitConformalRegressor(fitted, confidence_level=0.9)
    peer.conformalize(X[100:300], y[100:300])
    expected = peer.predict_interval(X[300:])[1][:, :, 0]
    np.testing.assert_allclose(reg.predict_interval(X[300:]), expected)
    assert reg.half_widths_ == [reg.marginal_half_width_]


# --------------------------------------------------------------------------------------- ranges


def test_ends_get_the_smallest_sound_ranges_and_the_next_ones_twice_as_many():
    y = np.random.RandomState(0).permutation(1000.0 + np.arange(1000))
    edges, is_edge = find_ranges("auto", y, 9)
    counts = np.bincount(range_of(y[~is_edge], edges))
    assert counts.tolist() == [19, 39, 79, 159, 400, 159, 79, 39, 19]
    assert sorted(y[is_edge]) == edges.tolist()


@pytest.mark.parametrize("n", [9, 18, 19, 39, 58, 59, 60, 61, 500])
def test_every_range_has_enough_samples_however_many_there_are(n):
    for ranges in ("auto", 1, 3, 50):
        for y in (np.arange(float(n)), np.arange(n) // 7.0, np.r_[np.zeros(n - 4), 1:5]):
            edges, is_edge = find_ranges(ranges, y, 9)
            counts = np.bincount(range_of(y[~is_edge], edges), minlength=len(edges) + 1)
            assert counts.min() >= 9
            assert (np.diff(edges) > 0).all()


def test_ranges_of_a_relevance_meet_where_it_crosses_one_half():
    rng = np.random.RandomState(0)
    y = rng.exponential(size=3000)
    edges, _ = find_ranges(Relevance(points=[[2, 0], [3, 1]]), y, 9)
    np.testing.assert_allclose(edges, [2.5], rtol=1e-12)
    edges, _ = find_ranges(lambda y: (np.abs(y - 1) > 0.5).astype(float), y, 9)
    np.testing.assert_allclose(edges, [0.5, 1.5], rtol=1e-12)
    X, y = skewed(2000, rng)
    reg = ConformalRegressor(GIVEN, ranges=Relevance(points=[[2, 0], [3, 1]])).fit(X, y)
    X_new, y_new = skewed(4000, rng)
    report = interval_coverage(y_new, reg.predict_interval(X_new), edges=reg.edges_)
    assert (report["coverage"] > 0.87).all()
    assert ConformalRegressor(GIVEN, ranges=Relevance()).fit(X, y).edges_.shape == (1,)


def test_a_range_of_too_few_samples_is_refused_with_its_counts():
    X, y = skewed(300, np.random.RandomState(0))
    counts = np.bincount(range_of(y, [1.0, 5.0])).tolist()
    with pytest.raises(ValueError, match="at least 9 in each") as caught:
        ConformalRegressor(GIVEN, ranges=[1.0, 5.0]).fit(X, y)
    assert f"(-inf, 1), [1, 5), [5, inf) have {counts}" in str(caught.value)
    with pytest.raises(ValueError, match=r"\(-inf, inf\) have \[8\] held-out"):
        ConformalRegressor(GIVEN).fit(X[:8], y[:8])


@pytest.mark.parametrize("ranges", [[2, 1], [1, 1], [np.nan], [[1, 2]], ["a"], [np.inf]], ids=str)
def test_edges_that_are_none_are_refused(ranges):
    with pytest.raises(ValueError, match="`ranges` must be 'auto'"):
        ConformalRegressor(GIVEN, ranges=ranges).fit(*skewed(100, np.random.RandomState(0)))


# ------------------------------------------------------------------------------ held-out samples


def data(n=800):
    rng = np.random.RandomState(0)
    X = rng.uniform(0, 3, size=(n, 2))
    return X, np.exp(X[:, 0]) + rng.standard_normal(n)


def test_by_default_a_quarter_is_held_out_and_the_regressor_is_fitted_once():
    X, y = data()
    reg = ConformalRegressor(LinearRegression(), random_state=0).fit(X, y)
    assert reg.is_exact_
    assert reg.n_calibration_.sum() + len(reg.edges_) == 200
    np.testing.assert_array_equal(clone(reg).fit(X, y).half_widths_, reg.half_widths_)


def test_folds_hold_all_samples_out_and_are_named_approximate():
    X, y = data()
    reg = ConformalRegressor(LinearRegression(), cv=3, random_state=0).fit(X, y)
    assert not reg.is_exact_
    assert reg.n_calibration_.sum() + len(reg.edges_) == 800
    np.testing.assert_allclose(reg.predict(X), LinearRegression().fit(X, y).predict(X))
    # Samples that are held out repeatedly count once.
    repeated = ShuffleSplit(4, test_size=0.5, random_state=0)
    reg.set_params(cv=repeated).fit(X, y)
    held = np.unique(np.concatenate([test for _, test in repeated.split(X)]))
    assert reg.n_calibration_.sum() + len(reg.edges_) == len(held)


@pytest.mark.parametrize("cv", [None, 3])
def test_a_group_counts_once_in_each_range_and_stays_on_one_side(cv):
    X, y = data(300)
    X, y, groups = np.repeat(X, 4, axis=0), np.repeat(y, 4), np.repeat(np.arange(300), 4)
    seen = []

    class Recording(LinearRegression):
        def fit(self, X, y):
            seen.append(X)
            return super().fit(X, y)

    reg = ConformalRegressor(Recording(), ranges=[8.0], cv=cv, random_state=0)
    reg.fit(X, y, groups=groups)
    assert reg.n_calibration_.sum() == (75 if cv is None else 300)
    for rows in seen:
        # Each training part holds groups as a whole.
        assert set(np.unique(rows[:, 0], return_counts=True)[1]) == {4}


def test_pipelines_searches_and_forests_are_wrapped():
    X, y = data()
    model = make_pipeline(StandardScaler(), RandomForestRegressor(5, random_state=0))
    reg = ConformalRegressor(model, random_state=0)
    search = GridSearchCV(reg, {"ranges": ["auto", 2], "confidence_level": [0.8]}, cv=2)
    ends = search.fit(X, y).best_estimator_.predict_interval(X)
    assert ends.shape == (800, 2)
    assert (ends[:, 0] <= search.predict(X)).all()
    assert (ends[:, 1] >= search.predict(X)).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"confidence_level": 1.0}, "'confidence_level' parameter"),
        ({"ranges": 0}, "'ranges' parameter"),
        ({"ranges": "both"}, "'ranges' parameter"),
        ({"cv": 0.0}, "'cv' parameter"),
    ],
    ids=str,
)
def test_parameters_without_a_meaning_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        ConformalRegressor(LinearRegression(), **params).fit(*data())


def test_labels_as_a_target_are_refused():
    X, y = data()
    with pytest.raises(ValueError, match=r"could not convert|dtype='numeric'"):
        ConformalRegressor(LinearRegression()).fit(X, np.where(y > 3, "high", "low"))


def test_a_classifier_is_refused():
    X, y = np.arange(40.0)[:, None], np.repeat([0, 1], 20)
    for clf in (LogisticRegression(), make_pipeline(LogisticRegression())):
        with pytest.raises(ValueError, match=r"must be a regressor.*Use ConformalClassifier"):
            ConformalRegressor(clf).fit(X, y)
