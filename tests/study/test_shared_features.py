"""Strategies as last layers of one network a run."""

import copy
import json
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator

from skimb._command_line._figures import read_comparison
from skimb.model_selection import TunedOffsetsClassifierCV
from skimb.neural_network import CNNClassifier, CNNRegressor, DecoupledClassifier, training_length
from skimb.study import compare, fit_strategy, strategy_estimator
from skimb.study._shared_features import ON_HEADS

NAMES = ["constant", "linear", *ON_HEADS]


@pytest.fixture(scope="module")
def data():
    rng = np.random.RandomState(0)
    y = np.repeat(["common", "rare"], [90, 30])
    X = rng.rand(120, 6, 6).astype(np.float32)
    X[y == "rare", 2:4] += 0.3
    return X, y


def quietly(function, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return function(*args, **options)


@pytest.fixture(scope="module")
def shared(data):
    return quietly(
        compare,
        *data,
        strategies=NAMES,
        estimator=CNNClassifier(max_epochs=2),
        shared_features=True,
        cv=2,
        random_state=0,
    )


@pytest.mark.slow
def test_the_result_names_the_strategies_that_share_features(shared):
    assert sorted(shared.protocol["shared_features"]) == sorted(ON_HEADS)
    told = " ".join(str(shared).split())
    assert "under_over, over_weighted: last layers on the features of one network" in told
    assert "DecoupledClassifier" in shared.protocol["code"]["class_weight"]
    # They have no training of a network of their own.
    assert list(shared.training_losses()) == ["none", "linear"]


@pytest.mark.slow
def test_the_further_steps_of_last_layers_are_told(shared):
    further, own = shared.protocol["head_steps"], shared.protocol["gradient_steps"]
    told = f"trained for {further} steps after the {own} of the network; that of the baseline none"
    assert told in " ".join(str(shared).split())
    assert told in " ".join(shared._report().split())
    assert "linear takes no such further steps" in " ".join(str(shared).split())
    older = copy.copy(shared)
    # A comparison of an earlier version does not tell the steps.
    older.protocol = {key: value for key, value in shared.protocol.items() if key != "head_steps"}
    assert "further steps" not in " ".join(str(older).split())


@pytest.mark.slow
def test_the_last_layer_of_the_baseline_takes_the_same_further_steps_without_a_remedy(data, shared):
    X, y = data
    first = shared.predictions("none")[0]
    train = np.setdiff1d(np.arange(len(y)), first.rows)
    seed = shared.protocol["seeds"][0]
    network = CNNClassifier(max_epochs=2, random_state=seed).fit(X[train], y[train])
    length = training_length(len(train))._asdict()
    again = DecoupledClassifier(
        FrozenEstimator(network), batch_sampling=None, random_state=seed, **length
    ).fit(X[train], y[train])
    np.testing.assert_allclose(
        again.predict_log_proba(X[first.rows]), first.log_proba, rtol=1e-4, atol=1e-4
    )
    steps = sum(epoch["train_batch_count"] for epoch in again.head_.net_.history)
    assert steps == shared.protocol["head_steps"]
    # Its training is that of the network, and that is what is told of it.
    losses = [epoch["train_loss"] for epoch in network.history_]
    assert shared.training_losses()["none"][0] == losses


@pytest.mark.slow
def test_strategies_are_judged_against_the_baseline_with_the_further_steps(shared):
    for metric in ("f1_minority", "balanced_accuracy"):
        differences = shared.values("class_weight", metric) - shared.values("none", metric)
        judged = shared.judgement("class_weight", metric).difference
        assert judged == pytest.approx(differences.mean())
    # A last layer that is trained again keeps the classes as they are; weights do not.
    probable = {
        name: np.exp(shared.predictions(name)[0].log_proba[:, 1]).mean()
        for name in ("none", "class_weight")
    }
    assert probable["none"] < probable["class_weight"]


@pytest.mark.slow
def test_a_moved_prior_is_that_of_the_last_layer_of_the_baseline(shared):
    plain, moved = (shared.predictions(name)[0].log_proba for name in ("none", "prior_shift"))
    odds = moved[:, 1] - moved[:, 0] - (plain[:, 1] - plain[:, 0])
    np.testing.assert_allclose(odds, np.log(3), rtol=1e-3)


@pytest.mark.slow
def test_a_comparison_without_shared_features_has_the_network_as_it_is(data):
    X, y = data
    result = quietly(
        compare, X, y, strategies=["prior_shift"], estimator=CNNClassifier(max_epochs=2), cv=2,
        random_state=0,
    )  # fmt: skip
    first = result.predictions("none")[0]
    train = np.setdiff1d(np.arange(len(y)), first.rows)
    alone = quietly(
        CNNClassifier(max_epochs=2, random_state=result.protocol["seeds"][0]).fit,
        X[train],
        y[train],
    )
    np.testing.assert_array_equal(
        alone.predict_log_proba(X[first.rows]).astype(np.float32), first.log_proba
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["none", "focal_weighted", "over", "smote_embedding", "decoupled", "prior_shift", "threshold"],
)
def test_a_fit_of_one_strategy_predicts_as_it_did_in_the_comparison(data, shared, name, tmp_path):
    X, y = data
    first = shared.predictions(name)[0]
    train = np.setdiff1d(np.arange(len(y)), first.rows)
    fitted = quietly(
        fit_strategy,
        name,
        X[train],
        y[train],
        estimator=CNNClassifier(max_epochs=2),
        shared_features=True,
        random_state=shared.protocol["seeds"][0],
    )
    assert isinstance(fitted, DecoupledClassifier | TunedOffsetsClassifierCV)
    np.testing.assert_allclose(
        fitted.predict_log_proba(X[first.rows]), first.log_proba, rtol=1e-4, atol=1e-4
    )


@pytest.mark.slow
def test_every_last_layer_takes_the_same_number_of_steps(data):
    X, y = data
    steps = set()
    for name in ("class_weight", "under", "smote_embedding"):
        fitted = quietly(
            fit_strategy,
            name,
            X,
            y,
            estimator=CNNClassifier(max_epochs=1),
            shared_features=True,
            random_state=0,
        )
        steps.add(sum(epoch["train_batch_count"] for epoch in fitted.head_.net_.history))
    assert len(steps) == 1


@pytest.mark.exhaustive
@pytest.mark.slow
def test_results_are_equal_for_any_number_of_processes(data, shared):
    options = {
        "strategies": ["class_weight", "under"],
        "estimator": CNNClassifier(max_epochs=2),
        "shared_features": True,
        "cv": 2,
        "random_state": 0,
    }
    first, second = (quietly(compare, *data, n_jobs=n_jobs, **options) for n_jobs in (1, 2))
    for name in ("none", "class_weight", "under"):
        runs = zip(first.predictions(name), second.predictions(name), strict=True)
        for one, other in runs:
            np.testing.assert_array_equal(one.log_proba, other.log_proba)
        # More heads at a time change the last digits at most.
        runs = zip(first.predictions(name), shared.predictions(name), strict=True)
        for one, other in runs:
            np.testing.assert_allclose(one.log_proba, other.log_proba, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_threshold_moves_the_decisions_of_the_last_layer_of_the_baseline(shared):
    odds = [np.subtract(*shared.predictions(name)[0].log_proba.T) for name in ("none", "threshold")]
    # One offset for all images.
    np.testing.assert_allclose(odds[1] - odds[0], np.median(odds[1] - odds[0]), atol=1e-3)
    assert shared.search_steps("threshold") is None


@pytest.mark.slow
def test_images_are_embedded_once_for_all_last_layers(data, monkeypatch):
    X, y = data
    seen = []
    embed = CNNClassifier.embed

    def watched(self, X, *args, **options):
        seen.append(len(X))
        return embed(self, X, *args, **options)

    monkeypatch.setattr(CNNClassifier, "embed", watched)
    quietly(
        compare,
        X[:100],
        y[:100],
        strategies=["class_weight", "over", "prior_shift", "threshold"],
        estimator=CNNClassifier(max_epochs=1),
        shared_features=True,
        X_test=1 - X[50:],
        y_test=y[50:],
        random_state=0,
    )
    # The training part is embedded for all last layers, and for those that a threshold is tuned
    # on.
    assert sorted(seen) == [70, 100, 100]


@pytest.mark.slow
def test_a_file_tells_a_fit_that_features_were_shared(shared, tmp_path):
    shared.to_json(tmp_path / "result.json")
    file = read_comparison(tmp_path / "result.json")
    assert file.shares_features("over")
    assert not file.shares_features("linear")
    figures = json.loads((tmp_path / "result.json").read_text())
    del figures["protocol"]["shared_features"]
    (tmp_path / "older.json").write_text(json.dumps(figures))
    assert not read_comparison(tmp_path / "older.json").shares_features("over")


def test_the_network_of_the_baseline_is_that_of_every_strategy(data):
    network = CNNClassifier(max_epochs=3, lr=0.01)
    made = strategy_estimator(
        "focal", *data, estimator=network, shared_features=True, random_state=0
    )
    assert made.estimator.get_params() == {**network.get_params(), "random_state": 0}
    plain = strategy_estimator("linear", *data, shared_features=True, random_state=0)
    assert isinstance(plain, CNNClassifier)


def test_numbers_have_no_shared_features():
    X, y = np.random.RandomState(0).rand(40, 4, 4), np.linspace(0, 1, 40)
    with pytest.raises(ValueError, match="is for labels, and y holds numbers"):
        compare(X, y, estimator=CNNRegressor(), shared_features=True, cv=2)
