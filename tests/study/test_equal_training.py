"""The winner is trained as the comparison trained it: batches, epochs, and steps."""

import json
import warnings

import numpy as np
import pytest
from PIL import Image
from sklearn.exceptions import ConvergenceWarning

from skimb.__main__ import main
from skimb._command_line._figures import read_comparison
from skimb.neural_network import CNNClassifier, DecoupledClassifier, load, training_length
from skimb.study import compare, strategy_estimator
from skimb.study._training_steps import gradient_steps

#: Of so many samples, half have batches of 16 by the usual rule, and all have batches of 32.
N = 900
HALF, ALL = training_length(N // 2), training_length(N)


@pytest.fixture(scope="module")
def data():
    rng = np.random.RandomState(0)
    y = np.where(np.arange(N) % 3, "often", "rare")
    X = rng.randint(0, 200, size=(N, 4, 4)).astype(np.uint8)
    X[y == "rare", :2] += 50
    return X, y


def unfitted(monkeypatch, data, **options):
    """Return a comparison in two folds whose strategies were not fitted."""
    monkeypatch.setattr("skimb.study._compare.run_jobs", lambda *_: iter(()))
    monkeypatch.setattr("skimb.study._classification_task.pooled_mistakes", lambda *_, **__: None)
    options = {"cv": 2, "random_state": 0, **options}
    return compare(*data, **options)


def quietly(function, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return function(*args, **options)


def test_an_estimator_has_the_batches_and_the_epochs_of_the_comparison(data, monkeypatch):
    assert HALF.batch_size != ALL.batch_size
    result = unfitted(monkeypatch, data, strategies=["class_weight", "threshold"])
    made = result.estimator("class_weight")
    assert made.batch_size == result.protocol["batch_size"] == HALF.batch_size
    assert made.max_epochs == result.protocol["epochs"] == HALF.max_epochs
    # All images are twice as many as those of a fold, and so are the steps.
    assert made.steps_per_epoch is None
    assert -(-N // made.batch_size) == pytest.approx(2 * result.protocol["steps_per_epoch"], abs=1)
    assert result.estimator("threshold").estimator.batch_size == HALF.batch_size


def test_samplers_change_nothing_of_the_steps_of_an_epoch(data, monkeypatch):
    result = unfitted(monkeypatch, data, strategies=["over", "under"])
    for name in ("over", "under"):
        made = result.estimator(name)
        assert (made.batch_size, made.steps_per_epoch) == (HALF.batch_size, -(-N // 16))


def test_the_code_makes_the_estimator_that_the_comparison_hands_out(data, monkeypatch):
    result = unfitted(monkeypatch, data, strategies=["over", "smote_embedding"], random_state=None)
    for name in ("none", "over", "smote_embedding"):
        namespace: dict = {}
        exec(result.protocol["code"][name], namespace)
        assert repr(namespace["estimator"]) == repr(result.estimator(name))


@pytest.mark.parametrize("shared_features", [False, True])
def test_a_last_layer_has_the_batches_and_the_epochs_of_the_comparison(
    data, monkeypatch, shared_features
):
    result = unfitted(
        monkeypatch,
        data,
        strategies=["decoupled", "smote_embedding"],
        shared_features=shared_features,
    )
    made = result.estimator("decoupled")
    assert isinstance(made, DecoupledClassifier)
    expected = {"batch_size": HALF.batch_size, "max_epochs": HALF.max_epochs}
    assert result.protocol["head_training"]["decoupled"] == expected
    assert (made.batch_size, made.max_epochs) == (HALF.batch_size, HALF.max_epochs)
    # Where features are shared, all take the same steps; else those of the samples after SMOTE.
    n_samples = N // 2 if shared_features else 2 * (N // 3)
    made = result.estimator("smote_embedding")
    length = training_length(n_samples)
    assert (made.batch_size, made.max_epochs) == (length.batch_size, length.max_epochs)


@pytest.mark.slow
def test_a_last_layer_of_a_comparison_had_the_length_that_is_told(data):
    X, y = data
    result = quietly(
        compare,
        X[:100],
        y[:100],
        strategies=["decoupled"],
        estimator=CNNClassifier(max_epochs=1),
        X_test=X[100:],
        y_test=y[100:],
        random_state=0,
    )
    [seed] = result.protocol["seeds"]
    made = result.estimator("decoupled").set_params(random_state=seed, estimator__random_state=seed)
    fitted = quietly(made.fit, X[:100], y[:100])
    np.testing.assert_array_equal(
        fitted.predict_log_proba(X[100:]).astype(np.float32),
        result.predictions("decoupled")[0].log_proba,
    )


def test_other_keys_of_the_training_of_a_last_layer_are_refused(data):
    with pytest.raises(ValueError, match="must be a dict with batch_size and max_epochs"):
        strategy_estimator("decoupled", *data, head_training={"lr": 1})
    with pytest.raises(ValueError, match="max_epochs of `head_training` must be a positive int"):
        strategy_estimator("decoupled", *data, head_training={"max_epochs": 0})


def test_a_file_without_batches_leaves_them_to_the_rule(data, monkeypatch, tmp_path):
    result = unfitted(monkeypatch, data, strategies=["decoupled"])
    path = tmp_path / "result.json"
    figures = {
        "baseline": "none",
        "strategies": {"none": {}, "decoupled": {}},
        "protocol": {**result.protocol},
    }
    path.write_text(json.dumps(figures))
    file = read_comparison(path)
    assert file.parameters() == {"batch_size": HALF.batch_size, "max_epochs": HALF.max_epochs}
    assert file.head_training("decoupled") == result.protocol["head_training"]["decoupled"]
    assert file.head_training("none") is None
    for name in ("batch_size", "epochs", "head_training"):
        del figures["protocol"][name]
    path.write_text(json.dumps(figures))
    file = read_comparison(path)
    assert file.parameters() == {}
    assert file.head_training("decoupled") is None


@pytest.mark.slow
@pytest.mark.parametrize("further", [[], ["--shared-features"]])
def test_a_fit_takes_the_steps_of_the_comparison(data, further, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    X, y = data
    for label in ("often", "rare"):
        (tmp_path / "images" / label).mkdir(parents=True)
    for i, (pixels, label) in enumerate(zip(X, y, strict=True)):
        Image.fromarray(np.kron(pixels, np.ones((2, 2), np.uint8))).save(
            tmp_path / "images" / label / f"{i:03}.png"
        )
    few = ["--epochs", "1", "--jobs", "1"]
    command = ["compare", "images", "--folds", "2", "--strategies", "class_weight", *few, *further]
    assert main([*command, "--json", "result.json"]) == 0
    protocol = json.loads((tmp_path / "result.json").read_text())["protocol"]
    assert protocol["batch_size"] == HALF.batch_size
    fit = ["fit", "images", "--strategy", "class_weight", "--from", "result.json"]
    assert main([*fit, "--out", "model.skimb"]) == 0
    fitted = load("model.skimb")
    network = fitted.estimator_ if further else fitted
    # One epoch of all images in batches of the same size, not the 29 steps of larger batches.
    assert network.batch_size == HALF.batch_size
    assert -(-N // HALF.batch_size) == 57
    losses = [epoch["train_loss"] for epoch in network.history_]
    assert len(losses) == 1
    if further:
        assert fitted.batch_size == protocol["head_training"]["class_weight"]["batch_size"]
        assert fitted.max_epochs * 29 == protocol["head_steps"]
    assert "other epochs" not in capsys.readouterr().err


@pytest.mark.slow
def test_the_steps_of_an_estimator_are_counted_in_proportion_to_the_images(data):
    X, y = data
    result = quietly(
        compare,
        X,
        y,
        strategies=["prior_shift"],
        estimator=CNNClassifier(max_epochs=1),
        cv=2,
        random_state=0,
    )
    fitted = quietly(result.estimator("prior_shift").fit, X, y)
    assert result.gradient_steps("prior_shift") == 29
    assert gradient_steps(fitted) == 57
