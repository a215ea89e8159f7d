"""Folds that share out a continuous target's range."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.tree import DecisionTreeRegressor

from skimb.model_selection import BinnedStratifiedKFold
from skimb.relevance import LabelDensity

values = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0, 2.5]))
targets = arrays(np.float64, st.integers(9, 120), elements=values)
splitters = st.builds(
    lambda n_splits, bins, seed: BinnedStratifiedKFold(
        n_splits, bins=bins, shuffle=seed is not None, random_state=seed
    ),
    st.integers(2, 9),
    st.sampled_from(["auto", 1, 7, [-10.0, 0.0, 0.5, 2.0, 1e5]]),
    st.sampled_from([None, 0, 1]),
)


def folds(cv, y, groups=None):
    return [test for _, test in cv.split(np.zeros((len(y), 1)), y, groups)]


def spread(counts):
    return np.ptp(counts, axis=0).max()


@pytest.mark.slow
@given(targets, splitters)
def test_every_bin_is_shared_out(y, cv):
    parts = list(cv.split(y, y))
    for train, test in parts:
        np.testing.assert_array_equal(np.sort(np.append(train, test)), np.arange(len(y)))
    tests = [test for _, test in parts]
    assert len(tests) == cv.get_n_splits()
    np.testing.assert_array_equal(np.sort(np.concatenate(tests)), np.arange(len(y)))
    density = LabelDensity(bins=cv.bins).fit(y)
    n_bins = len(density.counts_)
    counts = np.array([np.bincount(density.bin_of(y[test]), minlength=n_bins) for test in tests])
    assert spread(counts) <= 1
    # So are the bins below each edge together, and all of them.
    assert spread(counts.cumsum(axis=1)) <= 1


@pytest.mark.slow
@given(targets, st.integers(2, 9))
def test_one_bin_is_shared_out_by_rank(y, n_splits):
    cv = BinnedStratifiedKFold(n_splits, bins=1, shuffle=True, random_state=0)
    rounds = np.sort(y)[: len(y) // n_splits * n_splits].reshape(-1, n_splits)
    for test in folds(cv, y):
        found = np.sort(y[test])[: len(rounds)]
        assert ((found >= rounds.min(axis=1)) & (found <= rounds.max(axis=1))).all()


def test_a_long_tail_is_spread_better_than_by_chance():
    in_tail, deviations = [], []
    for seed in range(20):
        y = np.random.RandomState(seed).lognormal(sigma=1.2, size=400)
        # Most bins here hold a row or none.
        is_tail = y >= np.sort(y)[-12]
        parts = [
            folds(cv, y)
            for cv in (
                BinnedStratifiedKFold(shuffle=True, random_state=seed),
                KFold(5, shuffle=True, random_state=seed),
            )
        ]
        in_tail.append([[is_tail[test].sum() for test in tests] for tests in parts])
        deviations.append([np.std([y[test].mean() for test in tests]) for tests in parts])
    ranges, least = np.ptp(in_tail, axis=2), np.min(in_tail, axis=2)
    assert ranges[:, 0].max() == 1
    assert ranges[:, 1].max() >= 5
    assert least.min(axis=0).tolist() == [2, 0]
    mine, chance = np.mean(deviations, axis=0)
    assert mine < 0.6 * chance


def test_splits_by_hand():
    y = [0, 1, 2, 3, 4, 5, 6, 10, 20]
    parts = folds(BinnedStratifiedKFold(3, bins=[0, 8, 12, 30]), y)
    # To and fro over the first bin; what is left goes to those that have the fewest.
    assert [part.tolist() for part in parts] == [[0, 5, 6], [1, 4, 7], [2, 3, 8]]


def test_the_same_each_time_unless_shuffled():
    y = np.random.RandomState(0).exponential(size=60)
    for cv in (BinnedStratifiedKFold(), BinnedStratifiedKFold(shuffle=True, random_state=3)):
        assert [t.tolist() for t in folds(cv, y)] == [t.tolist() for t in folds(cv, y)]
    mine, other = (
        folds(BinnedStratifiedKFold(shuffle=True, random_state=seed), y) for seed in (3, 4)
    )
    assert any(set(a) != set(b) for a, b in zip(mine, other, strict=True))
    # Among equal values any two rows can meet, those of one round too.
    first, _ = folds(BinnedStratifiedKFold(2, shuffle=True, random_state=0), np.ones(20))
    assert any({row, row + 1} <= set(first.tolist()) for row in range(0, 20, 2))


def test_groups_stay_together():
    rng = np.random.RandomState(0)
    groups = rng.randint(80, size=300)
    y = rng.exponential(size=300) + rng.exponential(size=80)[groups]
    cv = BinnedStratifiedKFold(4, bins=8)
    parts = folds(cv, y, groups)
    for test in parts:
        rest = np.setdiff1d(np.arange(300), test)
        assert not set(groups[test]) & set(groups[rest])
    assert np.ptp([len(test) for test in parts]) <= 6
    with pytest.raises(ValueError, match="greater than the number of groups: 3"):
        folds(cv, y, groups % 3)
    with pytest.raises(
        ValueError, match="No bin holds n_splits=5 samples, and the largest holds 2"
    ):
        folds(BinnedStratifiedKFold(5, bins=10), np.arange(20.0), np.arange(20))
    # Few rows take as few bins as fill one.
    small = folds(BinnedStratifiedKFold(5), np.arange(20.0), np.arange(20) // 2)
    assert [len(test) for test in small] == [4] * 5


def test_no_fold_of_groups_is_empty():
    rng = np.random.RandomState(428)
    groups = np.repeat(np.arange(rng.randint(5, 8)), rng.randint(2, 10, size=5))
    cv = BinnedStratifiedKFold(shuffle=True, random_state=428)
    with pytest.raises(ValueError, match="too few, or too unequal, for n_splits=5 folds"):
        folds(cv, rng.exponential(size=len(groups)), groups)


def test_the_warnings_of_a_loop_are_its_own():
    y, groups = np.random.RandomState(0).exponential(size=60), np.arange(60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in BinnedStratifiedKFold().split(y, y, groups):
            with pytest.raises(UserWarning, match="The least populated class"):
                warnings.warn("The least populated class", UserWarning, stacklevel=1)
            warnings.simplefilter("ignore")
            warnings.simplefilter("error")
            filters = list(warnings.filters)
        assert list(warnings.filters) == filters


def test_it_serves_scikit_learn():
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(90, 3)), rng.exponential(size=90)
    cv = BinnedStratifiedKFold(3, bins=6, shuffle=True, random_state=1)
    assert len(cross_validate(DecisionTreeRegressor(), X, y, cv=cv)["test_score"]) == 3
    grid = {"max_depth": [1, 2]}
    search = GridSearchCV(DecisionTreeRegressor(random_state=0), grid, cv=cv)
    assert search.fit(X, y, groups=np.arange(90) // 2).n_splits_ == 3
    assert repr(cv).startswith("BinnedStratifiedKFold(bins=6, n_splits=3, random_state=1,")


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", "b"] * 5, "must hold finite numbers; for labels, use StratifiedKFold"),
        ([1, np.nan] * 5, "must hold finite numbers.*NaN"),
        (None, "must hold finite numbers"),
        (np.zeros((10, 2)), "must hold finite numbers.*1d array"),
        (np.arange(10.0), "10 samples are too few for n_splits=11 folds"),
        (np.arange(9.0), "inconsistent numbers of samples"),
    ],
)
def test_what_is_wrong_is_said(y, message):
    with pytest.raises(ValueError, match=message):
        list(BinnedStratifiedKFold(11).split(np.zeros((10, 1)), y))


def test_parameters_are_checked():
    with pytest.raises(ValueError, match="n_splits=2 or more"):
        BinnedStratifiedKFold(1)
    with pytest.raises(ValueError, match="`bins` must be edges that increase"):
        folds(BinnedStratifiedKFold(bins=[1, 1]), np.arange(10.0))
