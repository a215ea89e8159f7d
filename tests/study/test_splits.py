"""Splits of a comparison: predefined, grouped, in the order of time, repeated."""

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import (
    GroupKFold,
    PredefinedSplit,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    TimeSeriesSplit,
)
from sklearn.tree import DecisionTreeClassifier

from skimb.study import compare, time_splits

N = 60
Y = np.where(np.arange(N) % 3, "often", "rare")


@pytest.fixture
def X():
    return np.random.RandomState(0).rand(N, 4, 4)


def run(X, cv, **options) -> Any:
    own = {"tree": DecisionTreeClassifier(max_depth=2), "coin": DummyClassifier()}
    return compare(X.reshape(N, -1), Y, strategies=own, cv=cv, random_state=0, **options)


def test_samples_are_divided_by_time_and_ties_stay_together():
    rng = np.random.RandomState(0)
    times = rng.randint(0, 25, size=200)
    splits = time_splits(times, 4)
    assert len(splits) == 4
    before = None
    for train, test in splits:
        assert times[train].max() < times[test].min()
        assert 20 <= len(test) <= 60
        if before is not None:
            # All that came before the test part is trained on.
            assert set(train) == before
        before = {*train, *test}
    assert before == set(range(200))


@pytest.mark.parametrize(
    "times",
    [
        ["2024-01-31", "2024-02-01", "2023-12-31T23:59", "2024-03-01"],
        [date(2024, 1, 31), date(2024, 2, 1), date(2023, 12, 31), date(2024, 3, 1)],
        np.array(["2024-01-31", "2024-02-01", "2023-12-31", "2024-03-01"], dtype="datetime64[D]"),
        pd.Series(pd.to_datetime(["2024-01-31", "2024-02-01", "2023-12-31", "2024-03-01"])),
        [3, 10, -2.5, 11],
        np.array([3, 10, 2, 11], dtype=object),
    ],
    ids=["text", "dates", "numpy", "pandas", "numbers", "objects"],
)
def test_times_are_numbers_or_dates_of_any_type(times):
    splits = time_splits(times, 3)
    assert [train.tolist() for train, _ in splits] == [[2], [0, 2], [0, 1, 2]]
    assert [test.tolist() for _, test in splits] == [[0], [1], [3]]


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (["2024-01-31", "31.01.2024"], "'31.01.2024' .sample 1."),
        (["2024-01-31", None], "lacks the time of 1 samples, of sample 1"),
        ([1.0, np.inf], "infinite"),
        ([5, 5, 5], "1 different times"),
        ([1, 2], "n_splits=1 or fewer"),
    ],
    ids=["format", "missing", "infinite", "constant", "few"],
)
def test_times_that_cannot_be_ordered_are_refused(times, words):
    with pytest.raises(ValueError, match=words):
        time_splits(times, 3)


def test_a_part_without_a_class_is_refused_with_a_number_that_would_do():
    times = np.arange(60)
    y = np.array(["often"] * 60)
    y[[2, 35, 40, 55]] = "rare"
    with pytest.raises(
        ValueError, match=r"test part 1 holds no sample of class 'rare'.*n_splits=2"
    ):
        time_splits(times, 5, y=y)
    assert all(set(y[part]) == {"often", "rare"} for s in time_splits(times, 2, y=y) for part in s)
    with pytest.raises(ValueError, match="No smaller number"):
        time_splits(times, 2, y=np.where(times < 5, "early", "late"))


def test_folds_in_order_are_described_as_such(X):
    for cv in (time_splits(np.arange(N), 3, y=Y), TimeSeriesSplit(3)):
        result = run(X, cv)
        protocol = result.protocol
        assert protocol["evaluation"] == "3 folds in order, whose training parts grow"
        assert (protocol["n_runs"], protocol["n_repeats"]) == (3, 1)
        assert "15 to 45 samples" in protocol["interval_assumes"]
        assert "rough guide" in protocol["interval_assumes"]
        assert protocol["test_share"] == pytest.approx(np.mean([1, 1 / 2, 1 / 3]))
    assert run(X, TimeSeriesSplit(3, max_train_size=15)).protocol["evaluation"] == (
        "3 folds in order, each after the one before"
    )


def test_predefined_folds_are_described_as_folds(X):
    result = run(X, PredefinedSplit(np.arange(N) % 4))
    assert result.protocol["evaluation"] == "4-fold cross-validation"
    assert "These were given" in result.protocol["interval_assumes"]
    # A sample of the fold -1 is always trained on.
    result = run(X, PredefinedSplit(np.arange(N) % 4 - 1))
    assert result.protocol["evaluation"] == "3 given test parts"
    assert [len(outcome.predictions.rows) for outcome in result.outcomes["tree"]] == [15] * 3


def test_one_predefined_test_part_is_repeated_with_other_seeds(X):
    fold = np.where(np.arange(N) < 20, 0, -1)
    result = run(X, PredefinedSplit(fold), n_repeats=3)
    protocol = result.protocol
    assert protocol["evaluation"] == "one given test part"
    assert (protocol["n_runs"], protocol["n_repeats"], protocol["test_share"]) == (3, 3, 0.0)
    assert len(set(protocol["seeds"])) == 3
    assert protocol["interval"].endswith("and the variance between seeds")
    for outcome in result.outcomes["tree"]:
        assert outcome.predictions.rows.tolist() == list(range(20))
    with pytest.raises(ValueError, match="n_repeats=2 would run the folds of `cv` again"):
        run(X, PredefinedSplit(np.arange(N) % 4), n_repeats=2)


def test_repeated_splitters_tell_their_repeats(X):
    result = run(X, RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0))
    protocol = result.protocol
    assert protocol["evaluation"] == "3-fold cross-validation"
    assert (protocol["n_runs"], protocol["n_repeats"]) == (6, 2)
    assert "at random" in protocol["interval_assumes"]
    result = run(X, ShuffleSplit(4, random_state=0))
    assert result.protocol["evaluation"] == "4 splits of ShuffleSplit"


def test_splitters_of_groups_get_the_groups(X):
    groups = np.repeat(np.arange(N // 4), 4)
    for cv in (StratifiedGroupKFold(3), GroupKFold(3)):
        result = run(X, cv, groups=groups)
        assert result.protocol["evaluation"] == "3-fold cross-validation"
        for outcome in result.outcomes["tree"]:
            rows = outcome.predictions.rows
            assert not set(groups[rows]) & set(np.delete(groups, rows))
    with pytest.raises(ValueError, match="tear 1 group apart"):
        run(X, time_splits(np.arange(N), 2), groups=np.r_[groups[:-40], groups[-41:-1]])


def test_splits_without_test_samples_are_refused(X):
    with pytest.raises(ValueError, match="no training samples or no test samples"):
        run(X, [(np.arange(N), np.array([], dtype=int))])
