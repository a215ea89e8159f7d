"""compare() with groups: no network is scored on images that it was trained on."""

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold

from skimb._groups import grouped_folds, held_out_folds
from skimb.model_selection import TunedOffsetsClassifierCV
from skimb.neural_network import CNNClassifier, CNNRegressor
from skimb.study import compare
from skimb.study._classification_task import _check_groups

N_GROUPS, SIZE = 24, 4
GROUPS = np.repeat(np.arange(N_GROUPS), SIZE)
#: A quarter of the groups is rare; some of both classes are mixed.
Y = np.where((GROUPS % 4 == 0) | (np.arange(N_GROUPS * SIZE) % 13 == 0), "rare", "rest")


@pytest.fixture
def X():
    images = np.random.RandomState(0).rand(N_GROUPS * SIZE, 6, 6).astype(np.float32)
    # The first pixel tells the row.
    images[:, 0, 0] = np.arange(len(images))
    return images


@pytest.fixture
def fits(monkeypatch):
    """The rows of each training."""
    rows = []
    for estimator in (CNNClassifier, CNNRegressor):

        def fit(self, X, y, *args, fit=estimator.fit):
            rows.append(X[:, 0, 0].astype(int))
            return fit(self, X, y, *args)

        monkeypatch.setattr(estimator, "fit", fit)
    monkeypatch.setattr("skimb.study._jobs._warm_up.is_done", True)
    return rows


def are_whole(rows, groups):
    """Tell whether each group has all of its rows there, or none."""
    present = np.isin(np.arange(len(groups)), rows)
    return all(len(set(present[groups == group])) == 1 for group in np.unique(groups))


ESTIMATOR = CNNClassifier(max_epochs=1)
STRATEGIES = ["threshold", "smote_embedding", "over"]


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [2, pytest.param(3, marks=pytest.mark.exhaustive)])
def test_no_training_sees_a_part_of_a_group(n_classes, X, fits):
    y = Y if n_classes == 2 else np.where(GROUPS % 4 == 1, "other", Y)
    order = np.random.RandomState(1).permutation(len(X))
    groups = np.array([f"patient {group}" for group in GROUPS])
    result = compare(
        X[order],
        y[order],
        groups=groups[order],
        strategies=STRATEGIES,
        estimator=ESTIMATOR,
        cv=3,
        random_state=0,
    )
    if n_classes == 2:
        # A network of none, one of over, and those that choose the threshold.
        assert len(fits) == 3 * (2 + 2)
    assert all(are_whole(rows, GROUPS) for rows in fits)
    assert all(set(y[rows]) == set(y) for rows in fits)
    for outcome in result.outcomes["none"]:
        assert outcome.confusion_matrix.sum(axis=1).min() > 0
    assert result.protocol["n_groups"] == N_GROUPS
    assert "24 groups of samples" in result._report()


@pytest.mark.slow
def test_equal_images_stay_together_without_groups(X, fits):
    twins = np.arange(len(X)) // 2
    X = X[2 * twins]
    compare(X, Y, strategies=["threshold"], estimator=ESTIMATOR, cv=3, random_state=0)
    # The pixel tells the first of two.
    for rows in fits:
        counts = np.bincount(rows // 2, minlength=len(X) // 2)
        assert set(counts) <= {0, 2}


@pytest.mark.slow
def test_nothing_changes_where_every_sample_is_its_own_group(X):
    tables = [
        compare(
            X, Y, groups=groups, strategies=STRATEGIES, estimator=ESTIMATOR, cv=2, random_state=0
        ).table.drop(columns="seconds", level=0)
        for groups in (None, np.arange(len(X)))
    ]
    assert tables[0].equals(tables[1])


@pytest.mark.slow
def test_folds_of_numbers_keep_groups_together(X, fits):
    y = np.random.RandomState(0).exponential(size=len(X))
    result = compare(
        X,
        y,
        groups=GROUPS,
        strategies=["weight_sqrt"],
        estimator=CNNRegressor(max_epochs=1),
        cv=3,
        random_state=0,
    )
    assert all(are_whole(rows, GROUPS) for rows in fits)
    for outcome in result.outcomes["none"]:
        assert are_whole(outcome.rows, GROUPS)


@pytest.mark.slow
def test_own_folds_keep_groups_or_are_refused(X, fits):
    shared: Any = {"groups": GROUPS[::-1], "strategies": ["over"], "estimator": ESTIMATOR}
    compare(X, Y, **shared, cv=GroupKFold(3), random_state=0)
    assert all(are_whole(rows, GROUPS[::-1]) for rows in fits)
    fits.clear()
    for cv in (KFold(5), list(KFold(5).split(X))):
        with pytest.raises(ValueError, match=r"tear \d groups? apart, that of \d+ first"):
            compare(X, Y, **shared, cv=cv, random_state=0)
    assert fits == []
    # Groups of one row each are groups too.
    compare(X, Y, **(shared | {"groups": np.arange(len(X))}), cv=GroupKFold(2), random_state=0)


class Halves:
    """A splitter that knows nothing of groups."""

    def split(self, X, y=None):
        yield np.arange(0, len(X), 2), np.arange(1, len(X), 2)

    def get_n_splits(self, X=None, y=None, groups=None):
        return 1


@pytest.mark.slow
def test_a_warning_counts_equal_images_on_both_sides(X, tmp_path, capsys):
    twins = X[2 * (np.arange(len(X)) // 2)]
    shared = {"strategies": ["over"], "estimator": ESTIMATOR, "random_state": 0}
    with pytest.warns(UserWarning, match="48 test images of a run equal images that the networks"):
        result = compare(twins, Y, cv=Halves(), **shared)
    assert result.protocol["n_groups"] is None
    assert "the scores are too good" in " ".join(result.protocol["warnings"])
    compare(X, Y, X_test=twins, y_test=Y, verbose=1, **shared)
    assert "96 test images of a run equal images" in capsys.readouterr().err
    assert compare(X, Y, cv=Halves(), **shared).protocol["warnings"] == []


def test_a_training_is_scored_on_every_class():
    """Few groups, most of them of one class: the first shuffle leaves a part without the rare."""
    sizes, n_rare = [16, 6, 5, 21, 5, 4, 15, 7, 6, 18], [13, 1, 0, 0, 0, 0, 12, 1, 0, 0]
    groups = np.repeat(np.arange(10), sizes)
    y = np.concatenate([np.arange(size) < rare for size, rare in zip(sizes, n_rare, strict=True)])
    for seed in range(30):
        found: Any = grouped_folds(y, groups, 2, seed)
        for train, test in found + held_out_folds(y, groups, seed):
            assert set(y[train]) == set(y[test]) == {False, True}
            assert not set(groups[train]) & set(groups[test])
    # All rows of a class in one group cannot be on both sides.
    assert grouped_folds(y, np.where(y, 0, groups), 2, 0) is None


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (GROUPS[:-1], "inconsistent numbers of samples"),
        (np.where(GROUPS > 3, np.nan, 1.0), "`groups` has missing values"),
        ([f"p{i}" if i else float("nan") for i in GROUPS], "`groups` has missing values"),
        (
            np.column_stack([GROUPS, GROUPS]),
            r"`groups` must hold one value for each sample\. Got shape",
        ),
        (
            Y,
            r"in 1 group \(or sets of equal images\) only, fewer than the 5 folds\. Give more\.$",
        ),
        (GROUPS // 8, r"Class 'rare' is in 3 groups .*, fewer than the 5 .*or cv=3 \(--folds 3\)"),
    ],
)
def test_bad_groups_are_refused_before_training(groups, message, X, fits):
    with pytest.raises(ValueError, match=message):
        compare(X, Y, groups=groups, estimator=ESTIMATOR, random_state=0)
    assert fits == []


@pytest.mark.slow
def test_a_threshold_wants_groups_to_hold_out(X, fits):
    y = np.where(GROUPS < 8, "rare", "rest")
    # The rare class is in three groups, of which a training part has two or one.
    groups = np.where(GROUPS < 8, GROUPS % 3, GROUPS)
    shared: Any = {"groups": groups, "estimator": ESTIMATOR, "cv": 2, "random_state": 0}
    with pytest.raises(
        ValueError, match=r"Strategy 'threshold' cannot hold out .* Class 'rare' has a single"
    ):
        compare(X, y, **shared, strategies=["threshold"])
    shared["estimator"] = CNNClassifier(max_epochs=1, calibration="temperature")
    with pytest.raises(ValueError, match="calibration='temperature', which holds samples"):
        compare(X, y, **shared)
    assert fits == []
    shared["estimator"] = ESTIMATOR
    compare(X, y, **shared, strategies=["smote_embedding"])


def test_a_comparison_refuses_the_groups_that_a_fit_of_the_threshold_refuses():
    rng, found = np.random.RandomState(0), []
    for _ in range(60):
        n = rng.randint(8, 20)
        X, y = rng.normal(size=(n, 2)), rng.randint(0, 3, size=n)
        groups = rng.randint(0, rng.randint(2, 7), size=n)
        if len(np.unique(y)) < 3:
            continue
        clf = TunedOffsetsClassifierCV(LogisticRegression(), cv=2, random_state=rng.randint(99))
        outcomes = []
        for attempt in (
            lambda clf=clf, X=X, y=y, groups=groups: clf.fit(X, y, groups=groups),
            lambda y=y, groups=groups: _check_groups("threshold", y, groups, 0, shares=False),
            lambda y=y, groups=groups: held_out_folds(y, groups, 0),
        ):
            try:
                attempt()
                outcomes.append(True)
            except ValueError:
                outcomes.append(False)
        found.append(tuple(outcomes))
    fits, checks, stricter = np.array(found).T
    np.testing.assert_array_equal(checks, fits)
    assert 0 < fits.sum() < len(fits)
    # A class in one group stays in both training parts, so that some are not refused any more.
    assert np.sum(fits & ~stricter) > 0


@pytest.mark.slow
def test_a_training_part_may_have_a_class_of_one_group(X):
    """It stays in both training parts of the threshold."""
    y = np.where(GROUPS < 8, "rare", np.where(GROUPS % 2, "rest", "other"))
    groups = np.where(GROUPS < 8, GROUPS % 2, GROUPS)
    names = ["threshold", "autobalance"]
    shared: Any = {"groups": groups, "strategies": names, "cv": 2, "random_state": 0}
    with warnings.catch_warnings():
        # Of few samples.
        warnings.simplefilter("ignore", UserWarning)
        result = compare(X, y, **shared, estimator=CNNClassifier("linear", max_epochs=1))
    assert result.strategies == ["none", *names]
