"""Strategies outside a comparison, and the winner of one."""

import json

import numpy as np
import pytest

from skimb.datasets import make_variance_images
from skimb.neural_network import CNNClassifier, CNNRegressor
from skimb.over_sampling import RandomOverSampler
from skimb.study import (
    REGRESSION_STRATEGIES,
    STRATEGIES,
    compare,
    fit_strategy,
    strategy_estimator,
    winner_of,
)

QUICK = CNNClassifier("linear", max_epochs=2, batch_size=64)


@pytest.fixture
def kept(monkeypatch):
    """Predictions of each strategy in the one run of a comparison."""
    found = {}

    def outcome(self, strategy, fitted, X, y, **kwargs):
        found[strategy.name] = fitted.predict(X)
        return original(self, strategy, fitted, X, y, **kwargs)

    from skimb.study._classification_task import ClassificationTask

    original = ClassificationTask.outcome
    monkeypatch.setattr(ClassificationTask, "outcome", outcome)
    return found


@pytest.mark.slow
def test_a_strategy_on_all_images_is_what_a_comparison_with_a_test_set_trains(
    kept, small_digits, digits
):
    X, y = small_digits
    _, X_test, _, y_test = digits
    result = compare(X, y, estimator=QUICK, X_test=X_test, y_test=y_test, random_state=0)
    [seed] = result.protocol["seeds"]
    assert kept.keys() == STRATEGIES.keys()
    for name, predicted in kept.items():
        fitted = fit_strategy(name, X, y, estimator=QUICK, random_state=seed)
        assert np.array_equal(fitted.predict(X_test), predicted), name


def test_every_strategy_for_numbers_is_an_estimator():
    X, y = make_variance_images(60, distribution="normal", side=8, random_state=0)
    y[:5] += 100
    for name in REGRESSION_STRATEGIES:
        made = strategy_estimator(name, X, y, estimator=CNNRegressor(max_epochs=1), random_state=3)
        assert not hasattr(made, "n_features_in_")
        assert getattr(made, "random_state", 3) == 3


def test_a_sampler_does_not_change_the_number_of_gradient_steps(small_digits):
    X, y = small_digits
    made = strategy_estimator("over", X, y, estimator=QUICK)
    assert isinstance(made.sampler, RandomOverSampler)
    assert made.steps_per_epoch == -(-len(y) // 64)
    assert QUICK.sampler is None


@pytest.mark.parametrize(
    ("name", "message"), [("magic", "is no strategy for a classifier"), ("ranksim", "Known are")]
)
def test_unknown_strategies_are_refused(name, message, small_digits):
    with pytest.raises(ValueError, match=message):
        strategy_estimator(name, *small_digits)


@pytest.mark.parametrize("name", ["smote_embedding", "tuned_baseline", "threshold"])
def test_a_class_of_a_single_sample_is_refused_before_any_training(name, small_digits, monkeypatch):
    X, y = small_digits
    keep = np.r_[np.flatnonzero(y == "rest")[:20], np.flatnonzero(y == "eight")[:1]]
    monkeypatch.setattr(CNNClassifier, "fit", None)
    message = f"Strategy '{name}' needs 2 training samples .* there is 1 sample of class 'eight'"
    with pytest.raises(ValueError, match=message):
        fit_strategy(name, X[keep], y[keep], estimator=QUICK, random_state=0)


@pytest.mark.parametrize(
    ("name", "estimator", "y", "groups"),
    [
        ("threshold", CNNClassifier(), np.repeat(["a", "b"], [6, 4]), [0, 1, 2, 3, 4, 5] + 4 * [6]),
        ("spread_corrected", CNNRegressor(), np.linspace(0, 1, 10), 10 * ["one"]),
    ],
    ids=["labels", "numbers"],
)
def test_groups_that_a_strategy_cannot_divide_are_refused(name, estimator, y, groups):
    X = np.zeros((10, 8, 8))
    with pytest.raises(ValueError, match=f"'{name}' cannot hold out samples of a training part"):
        strategy_estimator(name, X, y, estimator=estimator, groups=groups)
    strategy_estimator(name, X, y, estimator=estimator, groups=np.arange(10))


def test_strategies_for_rare_values_are_refused_where_no_value_is_rare():
    with pytest.raises(ValueError, match="'smogn' cannot run on this target"):
        strategy_estimator(
            "smogn", np.zeros((30, 8, 8)), np.linspace(0, 1, 30), estimator=CNNRegressor()
        )


def figures(means, intervals, *, metric="f1_minority", **more):
    entries = {
        name: {metric: {"mean": mean, "interval": interval, "values": [mean] * 3}}
        for name, mean, interval in zip(["none", "over", "constant"], means, intervals, strict=True)
    }
    return {"baseline": "none", "strategies": entries, **more}


@pytest.mark.parametrize(
    ("means", "interval", "name", "verdict"),
    [
        ([0.5, 0.6, 0.9], [0.05, 0.15], "over", "better"),
        ([0.5, 0.6, 0.9], [-0.05, 0.25], "over", "within noise"),
        ([0.5, 0.6, 0.9], [None, None], "over", "undefined"),
        ([0.5, 0.5, 0.9], [-0.05, 0.05], "none", "baseline"),
        ([0.5, None, 0.9], [None, None], "none", "baseline"),
    ],
)
def test_the_winner_has_the_best_mean_and_is_no_constant(means, interval, name, verdict):
    found = winner_of(figures(means, [[0, 0], interval, [0, 0]]))
    assert (found["strategy"], found["verdict"]) == (name, verdict)


def test_a_strategy_that_is_better_wins_over_a_better_mean_within_noise():
    found = figures([0.5, 0.9, 0.6], [[0, 0], [-0.2, 1.0], [0.05, 0.15]])
    found["built_in"] = {"none": "none", "over": "over", "constant": "focal"}
    winner = winner_of(found)
    assert (winner["strategy"], winner["built_in"]) == ("constant", "focal")
    assert winner["verdict"] == "better"


def test_errors_are_better_when_smaller():
    metric = "balanced_mean_absolute_error"
    means, intervals = [0.5, 0.4, 0.1], [[0, 0], [-0.15, -0.05], [0, 0]]
    found = winner_of(figures(means, intervals, metric=metric, errors=[metric]))
    assert (found["strategy"], found["verdict"]) == ("over", "better")


@pytest.mark.slow
def test_the_json_file_names_the_winner_and_the_parameters(small_digits, tmp_path):
    X, y = small_digits
    own = {"mine": CNNClassifier("linear", max_epochs=1), "plain": "none", "more": "over"}
    result = compare(X, y, strategies=own, estimator=QUICK, cv=2, random_state=0)
    result.to_json(tmp_path / "r.json")
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["built_in"] == {"plain": "none", "mine": None, "more": "over"}
    assert found["best"] == winner_of(found)
    assert found["protocol"]["parameters"] == {
        "module": "linear",
        "max_epochs": 2,
        "batch_size": 64,
    }


def test_objects_are_written_as_code():
    from skimb.study._origin import parameters_of

    network = CNNClassifier(max_epochs=3, augmentation=None, optimizer_params={"eps": 1e-3})
    assert parameters_of(network) == {
        "max_epochs": 3,
        "augmentation": None,
        "optimizer_params": {"code": '{"eps": 0.001}'},
    }
