"""How wrappers divide samples: relatives, groups of any size, splits that a user gives."""

from itertools import pairwise

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
)
from sklearn.pipeline import make_pipeline

from skimb.datasets import load_imbalanced_digits
from skimb.model_selection import (
    AutoBalanceClassifier,
    BiasCorrectedCalibrator,
    ConformalClassifier,
    ConformalRegressor,
    GuaranteedPrecisionClassifier,
    GuaranteedRecallClassifier,
    PriorCorrectedClassifier,
    SpreadCorrectedRegressor,
    TunedOffsetsClassifierCV,
)
from skimb.model_selection._held_out_predictions import fit_and_hold_out, read_samples
from skimb.model_selection._held_out_splits import Samples, class_splits, folds_of, value_splits
from skimb.neural_network import CNNClassifier, CNNEmbedder
from skimb.over_sampling import SMOTE

CLASSIFIER = LogisticRegression()
WRAPPERS = [
    AutoBalanceClassifier(CNNClassifier()),
    BiasCorrectedCalibrator(CLASSIFIER),
    ConformalClassifier(CLASSIFIER),
    ConformalRegressor(LinearRegression()),
    GuaranteedPrecisionClassifier(CLASSIFIER, label="b"),
    GuaranteedRecallClassifier(CLASSIFIER, label="b"),
    PriorCorrectedClassifier(CLASSIFIER, target_prior="train"),
    SpreadCorrectedRegressor(LinearRegression()),
    TunedOffsetsClassifierCV(CLASSIFIER),
]


def names(value):
    return type(value).__name__


def table(n=200, seed=0):
    rng = np.random.RandomState(seed)
    y = np.array(["a", "b"])[(rng.rand(n) < 0.3).astype(int)]
    return rng.randn(n, 3) + (y == "b")[:, None], y


# ------------------------------------------------------------------------- lazily made samples


def resampled(sampler, *, is_table=False):
    X, y = load_imbalanced_digits(return_X_y=True)
    keep = np.r_[np.flatnonzero(y == 1)[:20], np.flatnonzero(y == 0)[:60]]
    X, y = X[keep], y[keep]
    if is_table:
        X = X.reshape(len(X), -1)
    return sampler.fit_resample(X, y)


READERS = [CNNClassifier(), make_pipeline(CNNEmbedder(), LogisticRegression()), CLASSIFIER]


@pytest.mark.parametrize(
    "cv", [5, 0.3, StratifiedGroupKFold(4, shuffle=True, random_state=1)], ids=names
)
@pytest.mark.parametrize("reader", READERS, ids=names)
@pytest.mark.parametrize("is_grouped", [False, True])
def test_no_relative_of_a_held_out_sample_is_trained_on(reader, cv, is_grouped):
    view, y = resampled(SMOTE(lazy=True, random_state=0), is_table=reader is CLASSIFIER)
    assert len(y) == 120
    groups = None
    if is_grouped:
        groups = np.append(np.arange(80) // 2, 40 + np.arange(40))
    owner = BiasCorrectedCalibrator(reader)
    splits = class_splits(read_samples(owner, view, y, groups), cv, np.random.RandomState(0))
    ancestry = view.ancestry()
    for train, held in splits:
        assert view.are_copies()[held].all()
        assert not set(ancestry[train].indices) & set(ancestry[held].indices)
        # Synthetic samples of other parents are trained on.
        assert (~view.are_copies()[train]).any()
        if groups is not None:
            assert not set(groups[train]) & set(groups[held])
    if cv == 5:
        # All originals are held out, once.
        held = np.concatenate([held for _, held in splits])
        np.testing.assert_array_equal(np.sort(held), np.flatnonzero(view.are_copies()))


@pytest.mark.parametrize("cv", [3, 0.3])
@pytest.mark.parametrize("is_table", [False, True])
def test_copies_of_one_original_stay_together(cv, is_table):
    view, y = resampled(SMOTE(lazy=True, random_state=0), is_table=is_table)
    rows = np.tile(np.arange(80), 2)
    view, y = view[rows], y[rows]
    owner = BiasCorrectedCalibrator(CLASSIFIER if is_table else CNNClassifier())
    for train, held in class_splits(read_samples(owner, view, y), cv, np.random.RandomState(0)):
        assert set(y[train]) == set(y[held]) == {0, 1}
        assert not set(rows[train]) & set(rows[held])
        assert len(train) + len(held) == 160


@pytest.mark.parametrize("cv", [3, 0.2])
def test_the_splits_of_a_search_know_the_parents_too(cv):
    view, y = resampled(SMOTE(lazy=True, random_state=0))
    weight = np.ones(len(y))
    weight[:5] = 0
    clf = AutoBalanceClassifier(CNNClassifier(), cv=cv)
    for given in (None, weight):
        samples, _, labels = clf._read(CNNClassifier(), view, y, given, None)
        ancestry = view.ancestry() if given is None else view[weight > 0].ancestry()
        for train, held in clf._folds(samples, labels, np.random.RandomState(0)):
            assert not set(ancestry[train].indices) & set(ancestry[held].indices)


@pytest.mark.parametrize("cv", [3, 0.3, KFold(3, shuffle=True, random_state=0)], ids=str)
def test_splits_of_numbers_know_the_parents_too(cv):
    view, _ = resampled(SMOTE(lazy=True, random_state=0))
    samples = Samples(view, np.arange(120.0), None, view)
    ancestry = view.ancestry()
    for train, held in value_splits(samples, cv, np.random.RandomState(0)):
        assert len(train)
        assert view.are_copies()[held].all()
        assert not set(ancestry[train].indices) & set(ancestry[held].indices)


# ------------------------------------------------------------------------------ large groups


def grouped_samples(seed=0):
    """Return 54 groups of 2 samples and 10 of 50, each with both classes or one."""
    sizes = np.repeat([2, 50], [54, 10])
    groups = np.repeat(np.arange(64), sizes)
    y = np.random.RandomState(seed).randint(2, size=len(groups))
    return groups, y


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_a_fraction_holds_out_groups_whatever_their_size(kind):
    groups, y = grouped_samples()
    samples = Samples(np.zeros((len(y), 1)), y, groups)
    divide = class_splits if kind == "classes" else value_splits
    times, n_seeds = np.zeros(64), 300
    for seed in range(n_seeds):
        ((train, held),) = divide(samples, 0.25, np.random.RandomState(seed))
        assert not set(groups[train]) & set(groups[held])
        assert len(train) + len(held) == len(y)
        times[np.unique(groups[held])] += 1
    for part in (times[:54], times[54:]):
        assert abs(part.mean() / n_seeds - 0.25) < 0.04


def test_each_stratum_of_groups_is_divided_and_a_single_group_stays_in_the_training_part():
    # Four groups of the rarest class, of which two also hold others, and one group of a class.
    groups = np.repeat(np.arange(30), 2)
    y = np.array(["c"] * 60, dtype=object)
    y[:8] = ["a", "a", "a", "c", "a", "b", "a", "a"]
    y[8:28] = "b"
    y[58:] = "only"
    samples = Samples(np.zeros((60, 1)), y, groups)
    for seed in range(20):
        with pytest.warns(UserWarning, match=r"\['only'\] are of too few groups.*never held out"):
            ((train, held),) = class_splits(samples, 0.5, np.random.RandomState(seed))
        assert set(y[train]) == {"a", "b", "c", "only"}
        assert len(np.unique(groups[held][np.isin(groups[held], np.arange(4))])) == 2
        assert len(np.unique(groups[held])) == 2 + 5 + 8


class Column(ClassifierMixin, BaseEstimator):
    """Take the column as the probability of class 1."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.stack([1 - X[:, 0], X[:, 0]], axis=1)


@pytest.mark.slow
def test_conformal_sets_cover_new_groups_if_large_groups_are_harder():
    """A split by numbers of samples would calibrate on small groups alone: coverage is 0.85."""
    rng = np.random.RandomState(0)
    hits, n_tries = 0, 0
    for seed in range(150):
        y = np.arange(140) % 2
        is_large = rng.rand(140) < 0.15
        # The probability of the own class, of each group.
        own = np.where(is_large, rng.uniform(0, 0.4, 140), rng.uniform(0.4, 1, 140))
        groups = np.repeat(np.arange(100), np.where(is_large[:100], 60, 2))
        X = np.where(y == 1, own, 1 - own)[:, None]
        clf = ConformalClassifier(Column(), cv=0.3, random_state=seed)
        clf.fit(X[groups], y[groups], groups=groups)
        in_set = clf.predict_set(X[100:])[np.arange(40), y[100:]]
        hits, n_tries = hits + in_set.sum(), n_tries + 40
    assert 0.89 < hits / n_tries < 0.97, hits / n_tries


# --------------------------------------------------------------------------- splits that are given


@pytest.mark.parametrize("wrapper", WRAPPERS, ids=names)
@pytest.mark.parametrize("cv", [0.0, 1.0, -0.5, 1.5, np.float64(2.5), float("nan")])
def test_a_fraction_out_of_range_is_refused(wrapper, cv):
    X, y = table()
    wrapper = type(wrapper)(**{**wrapper.get_params(deep=False), "cv": cv})
    with pytest.raises(ValueError, match="The 'cv' parameter of"):
        wrapper.fit(X, y)


ALL = np.arange(200)
BAD = {
    "same": ([(ALL, ALL)], "200 samples are in both parts of fold 0 of `cv`"),
    "overlap": (
        [(ALL[:100], ALL[100:]), (ALL[100:], ALL[:101])],
        "1 samples are in both parts of fold 1 of `cv`",
    ),
    "too large": ([(ALL[:100], [150, 99999])], "from 0 to 199. Got dtype int64, from 150 to 99999"),
    "negative": ([(ALL[:100], [150, -1])], "held-out part of fold 0 .* from 0 to 199"),
    "empty": ([(ALL, [])], "held-out part of fold 0 .* must not be empty"),
    "nothing to train on": ([([], ALL)], "training part of fold 0 .* must not be empty"),
    "short mask": ([(ALL < 100, (ALL > 100)[:150])], "positions from 0 to 199. Got dtype bool"),
    "no numbers": ([(ALL[:100], ["a"])], "positions from 0 to 199. Got dtype <U1"),
    "none": ([], "`cv` gives no split"),
}


@pytest.mark.parametrize("wrapper", WRAPPERS[1:], ids=names)
@pytest.mark.parametrize("kind", BAD)
def test_pairs_of_positions_that_are_no_splits_are_refused(wrapper, kind):
    X, y = table()
    cv, message = BAD[kind]
    wrapper = type(wrapper)(**{**wrapper.get_params(deep=False), "cv": cv})
    if isinstance(wrapper, ConformalRegressor | SpreadCorrectedRegressor):
        y = X[:, 0]
    with pytest.raises(ValueError, match=message):
        wrapper.fit(X, y)


def test_a_mask_stands_for_positions():
    X, y = table()
    is_even = ALL % 2 == 0
    masks = [(is_even, ~is_even), (~is_even, is_even)]
    positions = [tuple(map(np.flatnonzero, pair)) for pair in masks]
    one, other = (BiasCorrectedCalibrator(CLASSIFIER, cv=cv).fit(X, y) for cv in (masks, positions))
    np.testing.assert_array_equal(one.biases_, other.biases_)


def test_a_splitter_that_separates_groups_is_refused():
    X, y = table()
    groups = np.arange(200) // 4
    clf = BiasCorrectedCalibrator(CLASSIFIER, cv=KFold(3, shuffle=True, random_state=0))
    with pytest.raises(ValueError, match=r"Samples of .* groups are in both parts of fold 0"):
        clf.fit(X, y, groups=groups)
    clf.set_params(cv=GroupKFold(3)).fit(X, y, groups=groups)
    # Groups of one sample each cannot be separated, and are no cause for a warning.
    clf.set_params(cv=StratifiedKFold(3)).fit(X, y, groups=np.arange(200))


def test_a_training_part_without_a_class_is_refused():
    X, y = table()
    order = np.argsort(y, kind="stable")
    is_rare = y[order] == "b"
    lacking = np.flatnonzero(~is_rare), np.flatnonzero(is_rare)
    cv = [*KFold(3, shuffle=True, random_state=0).split(X), lacking]
    message = r"training part of fold 3 .* lacks the classes \['b'\]"
    for wrapper in (BiasCorrectedCalibrator, TunedOffsetsClassifierCV, ConformalClassifier):
        with pytest.raises(ValueError, match=message):
            wrapper(CLASSIFIER, cv=cv).fit(X[order], y[order])
    with pytest.raises(ValueError, match=r"fold 0 .* lacks the classes \['a'\]"):
        BiasCorrectedCalibrator(CLASSIFIER, cv=KFold(2)).fit(X, np.repeat(["a", "b"], 100))


def test_folds_that_are_repeated_give_the_calibration_of_each_sample_once():
    X, y = table()
    repeated = RepeatedStratifiedKFold(n_splits=3, n_repeats=6, random_state=0)
    clf = BiasCorrectedCalibrator(CLASSIFIER, cv=repeated).fit(X, y)
    counts = np.unique(y, return_counts=True)[1]
    np.testing.assert_array_equal(clf.n_held_out_, counts)
    tuned = TunedOffsetsClassifierCV(CLASSIFIER, cv=repeated, random_state=0).fit(X, y)
    np.testing.assert_array_equal(tuned.n_held_out_, counts)


def test_a_sample_that_is_held_out_often_weighs_as_much_as_others():
    X, y = table()
    pairs = list(StratifiedKFold(3).split(X, y))
    often = [*pairs, *[pairs[0]] * 20]
    for make in (
        lambda cv: BiasCorrectedCalibrator(CLASSIFIER, cv=cv),
        lambda cv: PriorCorrectedClassifier(CLASSIFIER, target_prior="train", cv=cv),
    ):
        once, repeated = make(pairs).fit(X, y), make(often).fit(X, y)
        # All but the pull towards no correction, which is that of one prediction.
        np.testing.assert_allclose(repeated.biases_, once.biases_, atol=0.01)
        np.testing.assert_allclose(repeated.temperature_, once.temperature_, rtol=0.01)


def test_weights_of_repeated_samples_add_up_to_one():
    X, y = table()
    clf = BiasCorrectedCalibrator(CLASSIFIER)
    held = fit_and_hold_out(
        clf,
        read_samples(clf, X, y),
        cv=ShuffleSplit(20, test_size=0.3, random_state=0),
        rng=np.random.RandomState(0),
    )
    sums = np.bincount(held.rows, held.weights(), minlength=200)
    np.testing.assert_allclose(sums[np.unique(held.rows)], 1)
    assert len(held.rows) == 1200


# ------------------------------------------------------------------------------------- messages


def test_messages_name_parameters_that_the_wrapper_has():
    X, y = np.repeat([[0.0], [1.0]], 10, axis=0), np.repeat(["a", "b"], 10)
    for cv in (0.2, 3):
        with pytest.raises(ValueError, match="FrozenEstimator") as caught:
            BiasCorrectedCalibrator(CLASSIFIER, cv=cv).fit(X, y, groups=np.repeat([0, 1], 10))
        assert "early_stopping" not in str(caught.value)
    with pytest.warns(UserWarning, match="never held out") as record:
        class_splits(
            Samples(np.zeros((21, 1)), np.append(y, "c"), None), 0.3, np.random.RandomState(0)
        )
    assert "validation" not in str(record[0].message)


def test_folds_come_with_shuffles_of_groups_until_each_training_part_has_every_class():
    y = np.array([0] * 30 + [1] * 6)
    groups = np.append(np.arange(30), [30, 30, 30, 31, 31, 31])
    for seed in range(10):
        splits = folds_of(y, groups, 3, seed)
        assert all(set(y[train]) == {0, 1} for train, _ in splits)
        for one, other in pairwise(splits):
            assert not set(one[1]) & set(other[1])
