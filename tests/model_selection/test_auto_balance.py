"""AutoBalanceClassifier: the search on held-out samples, the comparison, the final model."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skimb.losses import VectorScalingLoss
from skimb.model_selection import AutoBalanceClassifier, MinimumCostClassifier
from skimb.model_selection._aims import build_aim
from skimb.model_selection._auto_balance_choice import choose_numbers, gain_and_error, tune_tau
from skimb.model_selection._head_search import Fold
from skimb.neural_network import CNNClassifier, CNNRegressor, DecoupledClassifier
from skimb.neural_network.joint_training import VectorScalingHead

GRID = np.arange(13) / 4


def planted(counts=(1500, 1500, 60), seed=0):
    """A common hard class, of which a part lies behind a common easy one; an easy minority."""
    rng = np.random.RandomState(seed)
    hard, easy, rare = (0.6 * rng.randn(n, 4) for n in counts)
    hard[:, 0] += np.where(rng.rand(len(hard)) < 0.1, -6.0, 1.5)
    rare[:, 1] += 3.5
    return np.concatenate([hard, easy, rare]).astype(np.float32), np.repeat([0, 1, 2], counts)


def images(counts=(60, 30, 12), seed=0):
    rng = np.random.RandomState(seed)
    y = np.repeat(np.array(["a", "b", "c"]), counts)
    X = rng.rand(len(y), 6, 6)
    for k, label in enumerate("abc"):
        X[y == label, k * 2 : k * 2 + 2] += 0.5
    return X.astype(np.float32), y


def network(**params):
    defaults = {"max_epochs": 2, "batch_size": 32, "random_state": 0}
    return CNNClassifier("linear", **{**defaults, **params})


def quick(**params):
    return AutoBalanceClassifier(network(), **{"random_state": 0, "cv": 2, **params})


pytestmark = pytest.mark.filterwarnings(
    "ignore:.*the training loss still fell when they ended:sklearn.exceptions.ConvergenceWarning"
)


# ------------------------------------------------------------------- what it is good for


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_hard_class_that_is_common_is_found_where_no_grid_over_tau_finds_it():
    """Balanced error below that of the grid by more than its interval, over five seeds."""
    aim, gains = build_aim("balanced", np.arange(3)), []
    for seed in range(5):
        X, y = planted(seed=seed)
        X_test, y_test = planted((3000,) * 3, seed=100 + seed)
        order = np.random.RandomState(seed).permutation(len(y))
        folds = []
        for part in range(3):
            held = order[part::3]
            train = np.setdiff1d(order, held)
            folds.append(Fold.of(X[train], y[train], X[held], y[held], 3))
        counts = np.bincount(y).astype(float)
        choice, penalty = choose_numbers(
            folds, aim, attributes="auto", counts=counts, grid=GRID, seed=0
        )
        assert choice.chosen == "autobalance"
        log_prior = np.log(counts / counts.sum())
        errors = []
        for numbers in (
            {"offset": choice.tau * log_prior},
            {"multiplier": choice.multiplier, "offset": choice.offset},
        ):
            head = VectorScalingHead(**numbers, penalty=penalty).fit(X, y)
            errors.append(1 - balanced_accuracy_score(y_test, head.predict(X_test)))
        gains.append(errors[0] - errors[1])
    interval = 2.78 * np.std(gains, ddof=1) / np.sqrt(5)
    assert np.mean(gains) - interval > 0.005


@pytest.mark.slow
def test_heads_of_a_fitted_network_take_their_numbers_on_the_planted_classes():
    X, y = planted((500, 500, 30))
    fitted = network(max_epochs=2, lr=0.05, batch_size=256).fit(*planted(seed=1))
    clf = AutoBalanceClassifier(FrozenEstimator(fitted), cv=2, random_state=0).fit(X, y)
    assert clf.chosen_ == "autobalance"
    results = clf.search_results_
    assert results["gain"] > 1.645 * results["standard_error"] > 0
    assert clf.history_[-1]["aim"] < clf.history_[0]["aim"]


@pytest.mark.slow
@pytest.mark.exhaustive
def test_the_estimator_takes_its_numbers_on_the_planted_classes():
    X, y = planted()
    clf = AutoBalanceClassifier(network(max_epochs=20, lr=0.05), random_state=0).fit(X, y)
    assert clf.chosen_ == "autobalance"
    results = clf.search_results_
    assert results["gain"] > 1.645 * results["standard_error"] > 0
    assert results["autobalance"] == pytest.approx(results["logit_adjustment"] - results["gain"])
    assert clf.history_[-1]["aim"] < clf.history_[0]["aim"]
    X_test, y_test = planted((3000,) * 3, seed=100)
    error = 1 - balanced_accuracy_score(y_test, clf.predict(X_test))
    # With logit adjustment of any strength, it is 0.127.
    assert error < 0.12


@pytest.mark.parametrize("seed", range(4))
def test_logit_adjustment_is_taken_where_nothing_is_to_be_gained(seed):
    """Two Gaussians of equal shape: a linear head knows the posterior, and tau = 1 is Bayes'."""
    rng = np.random.RandomState(seed)
    y = (rng.rand(900) < 0.2).astype(int)
    X = rng.randn(900, 3) + 1.5 * y[:, np.newaxis]
    folds = [
        Fold.of(X[half], y[half], X[~half], y[~half], 2)
        for half in (np.arange(900) % 2 == 0, np.arange(900) % 2 == 1)
    ]
    counts = np.bincount(y).astype(float)
    choice, _ = choose_numbers(
        folds, build_aim("balanced", [0, 1]), attributes="auto", counts=counts, grid=GRID, seed=0
    )
    assert choice.chosen == "logit_adjustment"
    np.testing.assert_array_equal(choice.multiplier, 1)
    np.testing.assert_allclose(choice.offset, choice.tau * np.log(counts / counts.sum()))


@pytest.mark.slow
def test_the_error_of_a_gain_is_that_of_repeated_samples():
    """Against the spread of the gain over fresh samples."""
    aim, gains, errors = build_aim("balanced", np.arange(2)), [], []
    for seed in range(150):
        rng = np.random.RandomState(seed)
        target = np.repeat([0, 1], [80, 20])
        reference = rng.randn(100, 2) + np.eye(2)[target]
        better = reference + 0.5 * rng.randn(100, 2)
        gain, error = gain_and_error(aim, better, reference, target, 0)
        gains.append(gain)
        if seed < 10:
            errors.append(error)
    assert np.mean(errors) == pytest.approx(np.std(gains), rel=0.25)


def test_repeated_samples_of_a_group_make_no_gain_out_of_noise():
    """Two equally good sets of logits; each sample stands five times in its group."""
    aim, times, n_taken = build_aim("balanced", np.arange(2)), 5, 0
    target = np.repeat([0, 1], [80, 20])
    groups = np.random.RandomState(0).permutation(100)
    for seed in range(20):
        better, reference = np.random.RandomState(seed).randn(2, 100, 2) + np.eye(2)[target]
        gain, error = gain_and_error(aim, better, reference, target, 0, groups=groups)
        repeated: Any = [
            np.repeat(each, times, axis=0) for each in (better, reference, target, groups)
        ]
        again, of_groups = gain_and_error(
            aim, repeated[0], repeated[1], repeated[2], 0, groups=repeated[3]
        )
        assert again == pytest.approx(gain)
        assert of_groups == pytest.approx(error, rel=0.3)
        alone = gain_and_error(aim, repeated[0], repeated[1], repeated[2], 0)[1]
        assert alone < 0.6 * of_groups
        n_taken += gain > 1.645 * of_groups
    assert n_taken <= 3


def test_five_samples_that_repeat_one_image_are_too_few():
    X, y = images((30, 30, 1))
    X, y = np.concatenate([X, np.repeat(X[-1:], 19, axis=0)]), np.append(y, ["c"] * 19)
    X[-9:] += 0.01
    with pytest.warns(UserWarning, match=r"Fewer than 5 samples of the classes \['c'\].*\(\[2\]"):
        clf = quick().fit(X, y)
    assert clf.chosen_ == "logit_adjustment"


@pytest.mark.parametrize("search", ["head", "end_to_end"])
def test_the_groups_reach_the_judgement(search, monkeypatch):
    seen = []

    def judge(aim, better, reference, target, seed, *, groups):
        seen.append((target, groups))
        return gain_and_error(aim, better, reference, target, seed, groups=groups)

    monkeypatch.setattr("skimb.model_selection._auto_balance_choice.gain_and_error", judge)
    X, y = images((90, 60, 60))
    cv = 2 if search == "head" else 0.5
    quick(search=search, cv=cv).fit(X, y, groups=np.arange(len(y)) // 3)
    ((target, groups),) = seen
    assert len(target) == len(groups)
    assert len(np.unique(groups)) <= -(-len(groups) // 3) + 1
    assert np.bincount(groups).max() == 3


def test_of_equally_good_strengths_that_nearest_to_one_is_taken():
    logits, target = np.array([[9.0, 0], [0, 9.0]]), np.array([0, 1])
    aim = build_aim("balanced", np.arange(2))
    assert tune_tau(aim, logits, target, np.log([0.6, 0.4]), GRID)[0] == 1.0


# ------------------------------------------------------------------- the estimator


def test_predictions_agree_and_a_second_fit_is_equal_to_the_bit():
    X, y = images()
    clf = quick().fit(X, y)
    proba = clf.predict_proba(X)
    np.testing.assert_array_equal(clf.predict(X), clf.classes_[proba.argmax(axis=1)])
    np.testing.assert_array_equal(proba.argmax(axis=1), clf.decision_function(X).argmax(axis=1))
    np.testing.assert_array_equal(clone(clf).fit(X, y).predict_proba(X), proba)
    assert isinstance(clf.estimator_, DecoupledClassifier)
    assert clf.chosen_ in ("autobalance", "logit_adjustment")
    assert clf.n_trainings_ == 3
    assert clf.multiplier_.shape == clf.offset_.shape == (3,)


@pytest.mark.parametrize(
    "params",
    [
        {"aim": "worst"},
        {"aim": pd.DataFrame([[0, 1, 9], [1, 0, 9], [1, 1, 0]], list("abc"), list("abc"))},
        {"aim": {"a": {"b": 1, "c": 5}, "b": {"a": 1, "c": 2}, "c": {"a": 9, "b": 9}}},
        {
            "aim": lambda logits, target: (
                (logits.softmax(1)[:, 2] - (target == 2).to(logits)).abs().mean()
            )
        },
        {"attributes": "groups"},
        {"attributes": 2},
        {"attributes": "free"},
        {"attributes": [[1.0], [5.0], [2.0]]},
        {"cv": 0.5},
        {"cv": StratifiedKFold(2)},
        {"tau_grid": [0.5, 1.5]},
        {"final": "end_to_end"},
    ],
    ids=[
        "worst",
        "costs in a frame",
        "costs in a dict",
        "callable",
        "groups",
        "two groups",
        "free",
        "own attributes",
        "fraction",
        "splitter",
        "own grid",
        "trained end to end",
    ],
)
def test_every_option_trains(params):
    X, y = images()
    clf = quick(**params).fit(X, y)
    assert np.isfinite(clf.predict_proba(X)).all()
    if params.get("final") == "end_to_end":
        assert isinstance(clf.estimator_.loss, VectorScalingLoss)
        np.testing.assert_array_equal(clf.estimator_.loss.offset, clf.offset_)
    if "tau_grid" in params:
        assert clf.tau_ in (0.5, 1.5)


def test_a_frozen_network_stays_as_it_is_and_no_network_is_trained():
    X, y = images()
    fitted = network().fit(*images(seed=1))
    before = fitted.predict_proba(X)
    clf = AutoBalanceClassifier(FrozenEstimator(fitted), cv=2, random_state=0).fit(X, y)
    assert clf.n_trainings_ == 0
    assert clf.estimator_.estimator_ is fitted
    np.testing.assert_array_equal(fitted.predict_proba(X), before)
    with pytest.raises(ValueError, match="a FrozenEstimator stays as it is"):
        clone(clf).set_params(final="end_to_end").fit(X, y)


def test_few_held_out_samples_of_a_class_leave_the_grid_with_a_warning():
    X, y = images((40, 30, 3))
    with pytest.warns(UserWarning, match=r"Fewer than 5 samples of the classes \['c'\]"):
        clf = quick().fit(X, y)
    assert clf.chosen_ == "logit_adjustment"
    np.testing.assert_array_equal(clf.multiplier_, 1)


def test_a_class_of_one_sample_and_classes_of_one_sample_each_do_not_stop_it():
    X, y = images((40, 30, 1))
    with pytest.warns(UserWarning, match="Fewer than 5 samples"):
        assert set(quick().fit(X, y).classes_) == {"a", "b", "c"}
    X, y = images((1, 1, 1))
    with pytest.warns(UserWarning, match="No class has two samples"):
        clf = quick().fit(X, y)
    assert clf.tau_ == 1


def test_groups_and_equal_images_stand_on_one_side():
    X, y = images((20, 20, 20))
    X, y = np.repeat(X, 2, axis=0), np.repeat(y, 2)
    clf: Any = quick()
    seen: Any = []

    def folds(*arguments):
        seen.append(type(clf)._folds(clf, *arguments))
        return seen[-1]

    clf._folds = folds
    clf.fit(X, y)
    clf.fit(X, y, groups=np.arange(len(y)) // 4)
    assert len(seen) == 2
    for size, splits in zip((2, 4), seen, strict=True):
        assert len(splits) == 2
        for train, held in splits:
            assert len(held)
            assert not set(train // size) & set(held // size)


def test_samples_of_weight_zero_are_left_out():
    X, y = images()
    weight = np.ones(len(y))
    weight[:10] = 0
    weighted = quick().fit(X, y, weight)
    without = quick().fit(X[10:], y[10:], weight[10:])
    np.testing.assert_array_equal(weighted.predict_proba(X), without.predict_proba(X))


def test_the_prior_of_the_network_is_that_of_the_final_model():
    X, y = images()
    free = quick().fit(X, y)
    uniform = quick().set_params(estimator__target_prior="uniform").fit(X, y)
    np.testing.assert_array_equal(free.multiplier_, uniform.multiplier_)
    head = free.estimator_.head_
    embedded = free.estimator_.estimator_.embed(X)
    log_proba = head.multiplier_ * (embedded @ head.coef_.T + head.intercept_)
    log_proba += head.offset_ - np.log([60, 30, 12])
    expected = softmax(log_proba, axis=1)
    np.testing.assert_allclose(uniform.predict_proba(X), expected, atol=1e-9)
    np.testing.assert_allclose(uniform.predicted_prior_, 1 / 3)


@pytest.mark.parametrize("final", ["two_stage", "end_to_end"])
def test_costs_and_a_prior_move_its_probabilities(final):
    X, y = images()
    costs = np.array([[0, 1, 1], [3, 0, 1], [9, 2, 0]])
    inner = quick(final=final, tau_grid=[1.0], attributes=[[1.0]] * 3)
    clf = MinimumCostClassifier(inner, cost_matrix=costs, target_prior="train").fit(X, y)
    np.testing.assert_allclose(clf.predicted_prior_, np.array([60, 30, 12]) / 102)
    proba = clf.predict_proba(X)
    np.testing.assert_array_equal(clf.predict(X), clf.classes_[(proba @ costs).argmin(axis=1)])
    # Logit adjustment of strength 1 has probabilities for equal fractions.
    plain = clone(inner).fit(X, y)
    moved = plain.predict_proba(X) * [60, 30, 12]
    np.testing.assert_allclose(proba, moved / moved.sum(axis=1, keepdims=True), atol=1e-6)
    if final == "two_stage":
        np.testing.assert_allclose(plain.predicted_prior_, 1 / 3)


@pytest.mark.parametrize(("scale", "tolerance"), [(2.0**-10, 0), (1e-3, 1e-9)])
def test_the_scale_of_the_weights_changes_nothing(scale, tolerance):
    X, y = images()
    fitted = network().fit(*images(seed=1))
    weight = np.where(y == "b", 3.0, 1.0)
    one, other = (
        AutoBalanceClassifier(FrozenEstimator(fitted), cv=2, random_state=0).fit(X, y, each)
        for each in (weight, scale * weight)
    )
    assert one.chosen_ == other.chosen_
    for name in ("multiplier_", "offset_"):
        mine, others = getattr(one, name), getattr(other, name)
        np.testing.assert_allclose(mine, others, rtol=tolerance, atol=tolerance)
    proba = one.predict_proba(X)
    np.testing.assert_allclose(other.predict_proba(X), proba, rtol=0, atol=tolerance)


@pytest.mark.parametrize("is_frozen", [False, True])
def test_weights_that_leave_a_class_without_samples_are_refused(is_frozen):
    X, y = images()
    estimator = FrozenEstimator(network().fit(X, y)) if is_frozen else network()
    clf = AutoBalanceClassifier(estimator, cv=2, random_state=0)
    with pytest.raises(ValueError, match=r"leaves no sample of the classes \['c'\]"):
        clf.fit(X, y, np.where(y == "c", 0.0, 1.0))


@pytest.mark.slow
def test_it_is_searched_and_stands_in_a_pipeline():
    X, y = images()
    search = GridSearchCV(quick(), {"attributes": ["auto", "free"]}, cv=2).fit(X, y)
    assert search.best_estimator_.chosen_ in ("autobalance", "logit_adjustment")
    steps = make_pipeline(FunctionTransformer(), quick()).fit(X, y)
    np.testing.assert_array_equal(steps.predict(X), quick().fit(X, y).predict(X))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"aim": "accuracy"}, "The 'aim' parameter"),
        ({"aim": np.zeros((2, 2))}, "^`aim` must have shape"),
        ({"aim": {0: {1: 1}}}, "`aim` "),
        ({"attributes": [[1.0], [2.0]]}, "one row for each of the 3 classes"),
        ({"estimator__calibration": "temperature"}, r"BiasCorrectedCalibrator\(AutoBalance"),
        ({"estimator__class_weight": "balanced"}, "class_weight='balanced' of `estimator`"),
        ({"estimator__target_prior": {"a": 1.0}}, "target_prior"),
        ({"tau_grid": [np.nan]}, "`tau_grid` must be a list of finite numbers"),
        ({"tau_grid": [0, -1]}, r"`tau_grid` must be .* from 0 on, .* Got \[0, -1\]"),
        ({"estimator": CNNRegressor()}, "`estimator` must be a CNNClassifier"),
        ({"cv": [(np.arange(50), np.arange(50, 102))]}, "lacks the classes"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_before_any_training(params, message):
    X, y = images()
    clf = quick().set_params(**params)
    with pytest.raises(ValueError, match=message):
        clf.fit(X, y)
    assert not hasattr(clf, "n_trainings_")
