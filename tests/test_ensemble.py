"""Bags of rare and normal rows, by hand, in every container, and scikit-learn's exam."""

import pickle

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import BaggingRegressor, HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_info

from skimb.ensemble import ReBaggRegressor
from skimb.neural_network import CNNRegressor
from skimb.over_sampling import SMOTER
from skimb.relevance import Relevance

# 17 rows around zero, 1 rare at the low end, 2 rare at the high one.
Y = np.array([*np.linspace(-1, 1, 17), -9, 8, 9])
X = np.arange(20.0)[:, None]
RARE = [17, 18, 19]
FAR = Relevance([(-8, 1), (-2, 0), (2, 0), (8, 1)])


class Recorder(RegressorMixin, BaseEstimator):
    """Keeps what it is trained on."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None):
        self.X_, self.y_, self.weight_ = X, y, sample_weight
        return self

    def predict(self, X):
        return np.full(len(X), float(len(np.unique(self.y_))))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


class Halves:
    """Makes rows half-way between the last two rows, and one of no relevance."""

    def __init__(self, n_made, tells=True):
        self.n_made, self.tells = n_made, tells

    def get_params(self, deep=True):
        return {"n_made": self.n_made, "tells": self.tells}

    def fit_resample(self, X, y):
        parents = np.tile([len(y) - 2, len(y) - 1], (self.n_made, 1))
        parents = np.vstack([parents, [[0, 0]]])
        first, second = parents.T
        if self.tells:
            self.parents_, self.gaps_ = parents, np.full(len(parents), 0.5)
            self.sample_indices_ = np.append(np.arange(len(y)), first)
        X, y = np.asarray(X), np.asarray(y)
        return (
            np.concatenate([X, (X[first] + X[second]) / 2]),
            np.concatenate([y, (y[first] + y[second]) / 2]),
        )


def bags(**params):
    params = {"n_estimators": 40, "random_state": 0, "relevance": FAR, **params}
    model = ReBaggRegressor(Recorder(), **params).fit(X, Y)
    return model, [np.ravel(member.X_) for member in model.estimators_]


def test_half_of_each_bag_is_rare():
    model, found = bags()
    for rows, bag, member in zip(model.estimators_samples_, found, model.estimators_, strict=True):
        np.testing.assert_array_equal(bag, rows)
        np.testing.assert_array_equal(member.y_, Y[rows])
        assert len(bag) == 20
        assert np.isin(bag, RARE).sum() == 10
    # With replacement, every rare row alike, and every normal one.
    counts = np.bincount(np.concatenate(found).astype(int), minlength=20)
    assert counts[RARE].min() > 100
    assert counts[:17].min() > 10


@pytest.mark.slow
def test_shares_that_vary():
    _, found = bags(strategy="variation", n_estimators=100)
    n_rare = [int(np.isin(bag, RARE).sum()) for bag in found]
    # A third of 20 rows, two fifths, a half, three fifths, two thirds.
    assert sorted(set(n_rare)) == [7, 8, 10, 12, 13]
    assert {len(bag) for bag in found} == {20}


@pytest.mark.parametrize(
    ("max_samples", "size", "n_rare"), [(0.5, 10, 5), (7, 7, 4), (2.0, 40, 20)]
)
def test_size_of_the_bags(max_samples, size, n_rare):
    _, found = bags(max_samples=max_samples)
    assert {(len(bag), int(np.isin(bag, RARE).sum())) for bag in found} == {(size, n_rare)}


@pytest.mark.slow
def test_made_rows_stand_for_repeated_ones():
    model, found = bags(sampler=Halves(10))
    for rows, bag, member in zip(model.estimators_samples_, found, model.estimators_, strict=True):
        # Each rare row once, ten normal ones, and seven of those that were made and are rare.
        assert rows[:3].tolist() == RARE
        assert rows[3:].max() < 17
        np.testing.assert_array_equal(bag[:13], rows)
        assert bag[13:].tolist() == [18.5] * 7
        assert member.y_[13:].tolist() == [8.5] * 7
    # Fewer were made: they are repeated.
    assert bags(sampler=Halves(1))[1][0][13:].tolist() == [18.5] * 7
    with pytest.raises(
        ValueError, match="needs 7 rare samples in addition to those of X, but Halves made"
    ):
        bags(sampler=Halves(0))


def test_a_sampler_that_does_not_tell_has_made_all_that_it_returns():
    _, found = bags(sampler=Halves(4, tells=False))
    assert set(np.concatenate([bag[13:] for bag in found])) == {17.0, 18.0, 18.5, 19.0}
    # Seven are wanted, and seven are there.
    assert sorted(found[0][13:].tolist()) == [17.0, 18.0, *[18.5] * 4, 19.0]


def test_no_row_is_made_where_there_are_enough():
    model, found = bags(sampler=Halves(0), max_samples=4)
    for rows, bag in zip(model.estimators_samples_, found, strict=True):
        np.testing.assert_array_equal(bag, rows)
        assert len(set(bag[:2]) & set(RARE)) == 2
    assert len({frozenset(bag[:2]) for bag in found}) == 3


def test_weights_go_with_their_rows():
    weight = np.arange(20.0) + 1
    model = ReBaggRegressor(Recorder(), relevance=FAR, sampler=Halves(9), random_state=0)
    for member in model.fit(X, Y, sample_weight=weight).estimators_:
        assert 18.5 in member.X_
        np.testing.assert_array_equal(member.weight_, member.X_.ravel() + 1)
    with pytest.raises(ValueError, match="KNeighborsRegressor takes no `sample_weight`"):
        ReBaggRegressor(KNeighborsRegressor()).fit(X, Y, sample_weight=weight)
    assert ReBaggRegressor(Recorder()).fit(X, Y).estimators_[0].weight_ is None


def test_the_mean_of_the_members():
    model = ReBaggRegressor(random_state=0, n_estimators=3).fit(X, Y)
    expected = np.mean([member.predict(X) for member in model.estimators_], axis=0)
    np.testing.assert_array_equal(model.predict(X), expected)


rng = np.random.RandomState(0)
IMAGES = rng.randint(256, size=(20, 5, 6, 3)).astype(np.uint8)
FRAME = pd.DataFrame({"a": np.arange(20.0), "b": pd.Categorical(["x", "y"] * 10)})


@pytest.mark.parametrize(
    "rows",
    [
        IMAGES,
        IMAGES[..., 0].astype(np.float32),
        FRAME,
        [f"{i}.png" for i in range(20)],
        pd.Series([f"{i}.png" for i in range(20)]),
        sparse.csr_array(np.eye(20)),
    ],
    ids=["colour", "grey", "frame", "paths", "series", "sparse"],
)
def test_rows_reach_members_as_they_came(rows):
    model = ReBaggRegressor(Recorder(), random_state=0, n_estimators=2).fit(rows, Y)
    for indices, member in zip(model.estimators_samples_, model.estimators_, strict=True):
        if hasattr(rows, "iloc"):
            assert member.X_.equals(rows.iloc[indices])
            continue
        expected = rows[indices] if hasattr(rows, "shape") else np.asarray(rows)[indices]
        assert type(member.X_) is type(expected)
        assert member.X_.dtype == expected.dtype
        found, expected = (
            sparse.csr_array(X).toarray() if sparse.issparse(X) else X
            for X in (member.X_, expected)
        )
        np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_networks_as_members():
    high = Relevance([(2, 0), (8, 1)])
    model = ReBaggRegressor(
        CNNRegressor(max_epochs=1),
        n_estimators=2,
        relevance=high,
        sampler=SMOTER(relevance=high, k_neighbors=1),
        random_state=0,
    )
    assert model.fit(IMAGES, Y).predict(IMAGES).shape == (20,)
    assert model.estimators_[0].image_shape_ == (3, 5, 6)
    # Two are rare, ten are normal, eight are made.
    assert [len(rows) for rows in model.estimators_samples_] == [12, 12]


def test_made_rows_below_frames():
    class Copies(BaseEstimator):
        def fit_resample(self, X, y):
            rare = np.flatnonzero(np.abs(y) > 2)
            return pd.concat([X, X.iloc[rare]], ignore_index=True), np.append(y, y[rare])

    model = ReBaggRegressor(Recorder(), relevance=FAR, sampler=Copies(), random_state=0)
    model.fit(FRAME, Y)
    bag = model.estimators_[0].X_
    assert bag.shape == (20, 2)
    assert bag.dtypes.equals(FRAME.dtypes)


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator",
    [
        None,
        HistGradientBoostingRegressor(max_iter=5),
        make_pipeline(StandardScaler(), LinearRegression()),
    ],
    ids=["tree", "boosting", "linear"],
)
def test_jobs_change_no_bit(estimator):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(200, 4))
    y = np.exp(X[:, 0] + 0.1 * rng.normal(size=200))
    params = {"strategy": "variation", "n_estimators": 3, "random_state": 0}
    one, two = (ReBaggRegressor(estimator, n_jobs=n_jobs, **params).fit(X, y) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one.predict(X), two.predict(X))
    # The fitted one pickles, and comes back the same.
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(one)).predict(X), one.predict(X))


@pytest.mark.slow
def test_processes_of_another_kind():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(60, 2))
    y = np.exp(X[:, 0])
    params = {"max_samples": 1.5, "sampler": SMOTER(), "n_estimators": 2, "random_state": 0}
    expected = ReBaggRegressor(**params).fit(X, y)
    with parallel_config(backend="multiprocessing"):
        found = ReBaggRegressor(**params, n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(found.predict(X), expected.predict(X))


def test_a_sampler_that_makes_no_row():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(60, 2))
    sampler = SMOTER(sampling_strategy=1.0)
    with pytest.raises(
        ValueError, match="rare samples in addition to those of X, but SMOTER made none"
    ):
        ReBaggRegressor(sampler=sampler, random_state=0).fit(X, np.exp(X[:, 0]))


def test_threads_are_handed_back():
    before = [pool["num_threads"] for pool in threadpool_info()]
    ReBaggRegressor(LinearRegression(), random_state=0).fit(X, Y).predict(X)
    assert [pool["num_threads"] for pool in threadpool_info()] == before


def test_seeds():
    def rows(random_state, estimator=None):
        model = ReBaggRegressor(estimator, random_state=random_state, n_estimators=2).fit(X, Y)
        return model, [sample.tolist() for sample in model.estimators_samples_]

    assert rows(0)[1] == rows(0)[1] != rows(1)[1]
    assert rows(0)[1][0] != rows(0)[1][1]
    members = rows(0)[0].estimators_
    assert members[0].random_state != members[1].random_state
    kept = rows(0, DecisionTreeRegressor(random_state=5))[0].estimators_
    assert [member.random_state for member in kept] == [5, 5]


def test_bags_as_the_data_are_where_nothing_is_rare():
    even = np.linspace(0, 1, 20)
    with pytest.warns(UserWarning, match="None of the 20 samples are rare"):
        model = ReBaggRegressor(Recorder(), random_state=0, sampler=Halves(0)).fit(X, even)
    assert len(np.unique(np.concatenate(model.estimators_samples_))) == 20
    with pytest.warns(UserWarning, match="All of the 20 samples are rare"):
        ReBaggRegressor(Recorder(), relevance=np.ones_like).fit(X, even)
    # What was asked for and cannot be is an error.
    with pytest.raises(ValueError, match="No value of y lies beyond the whiskers"):
        ReBaggRegressor(relevance=Relevance(extremes="high")).fit(X, even)


@pytest.mark.slow
def test_given_relevance():
    low = Relevance([(-0.5, 1), (-0.4, 0)])
    _, found = bags(relevance=low)
    assert all(np.sum(Y[bag.astype(int)] <= -0.45) == 10 for bag in found)
    assert not hasattr(low, "points_")
    _, found = bags(relevance=lambda y: np.clip(y / 10, 0, 1), threshold=0.9)
    assert all(np.sum(bag == 19) == 10 for bag in found)


def test_it_sees_the_rare_range():
    rng = np.random.RandomState(0)
    X = rng.uniform(size=(2000, 3))
    y = np.exp(5 * X[:, 0] * X[:, 1]) + 3 * rng.normal(size=2000)
    train, test = np.arange(1000), np.arange(1000, 2000)
    rare = y[test] > np.quantile(y, 0.95)
    errors = {}
    for ensemble in (BaggingRegressor, ReBaggRegressor):
        base = DecisionTreeRegressor(min_samples_leaf=10)
        model = ensemble(base, random_state=0).fit(X[train], y[train])
        error = np.abs(model.predict(X[test]) - y[test])
        errors[ensemble] = error[rare].mean()
    assert errors[ReBaggRegressor] < 0.9 * errors[BaggingRegressor]


def test_parameters_are_checked():
    for name, value in (("strategy", "smote"), ("max_samples", 0.0), ("threshold", 0)):
        with pytest.raises(ValueError, match=f"'{name}' parameter of ReBaggRegressor must be"):
            ReBaggRegressor().set_params(**{name: value}).fit(X, Y)
    with pytest.raises(ValueError, match="y contains NaN"):
        ReBaggRegressor().fit(X, np.full(20, np.nan))


DRAWN = (
    "Bags are drawn from the rows, and a row of weight 2 is drawn as often as any other: the "
    "weight goes to the member."
)


@pytest.mark.conformance
@pytest.mark.filterwarnings("ignore:(All|None) of the:UserWarning")
@parametrize_with_checks(
    [ReBaggRegressor(random_state=0)],
    expected_failed_checks=lambda estimator: {
        "check_sample_weight_equivalence_on_dense_data": DRAWN,
        "check_sample_weight_equivalence_on_sparse_data": DRAWN,
    },
)
def test_scikit_learn(estimator, check):
    check(estimator)
