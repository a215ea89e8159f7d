"""Variants of built-in strategies: other strengths, under names of their own."""

import json

import numpy as np
import pytest

from skimb._command_line._figures import read_comparison
from skimb.losses import FocalLoss
from skimb.neural_network import CNNClassifier
from skimb.study import compare, fit_strategy, strategy_estimator
from skimb.study._classification_strategies import TRAINED

FOCAL = ("focal", {"loss__gamma": 5.0, "class_weight": "sqrt"})


@pytest.fixture(scope="module")
def data():
    rng = np.random.RandomState(0)
    y = np.repeat(["common", "rare"], [60, 20])
    X = rng.rand(80, 6, 6).astype(np.float32)
    X[y == "rare", 2:4] += 0.4
    return X, y


@pytest.mark.slow
def test_a_variant_trains_with_its_settings_and_is_written_and_read_again(data, tmp_path):
    X, y = data
    quick = CNNClassifier(max_epochs=1)
    result = compare(
        X,
        y,
        strategies={"none": "none", "focal, gamma 5": FOCAL, "focal": "focal"},
        estimator=quick,
        cv=2,
        random_state=0,
    )
    assert result.strategies == ["none", "focal, gamma 5", "focal"]
    code = result.protocol["code"]
    assert "FocalLoss(gamma=5.0)" in code["focal, gamma 5"]
    assert 'class_weight="sqrt"' in code["focal, gamma 5"]
    assert "gamma=5" not in code["focal"]
    losses = result.training_losses()
    assert losses["focal, gamma 5"] != losses["focal"]
    result.to_json(tmp_path / "result.json")
    figures = json.loads((tmp_path / "result.json").read_text())
    assert figures["settings"] == {"focal, gamma 5": FOCAL[1]}
    assert figures["built_in"]["focal, gamma 5"] == "focal"
    file = read_comparison(tmp_path / "result.json")
    assert file.settings("focal, gamma 5") == FOCAL[1]
    assert file.settings("focal") is None
    made = strategy_estimator("focal", X, y, estimator=quick, settings=FOCAL[1], random_state=0)
    assert (made.loss.gamma, made.class_weight) == (5.0, "sqrt")
    fitted = fit_strategy("focal", X, y, estimator=quick, settings=FOCAL[1], random_state=0)
    np.testing.assert_array_equal(fitted.predict_proba(X), made.fit(X, y).predict_proba(X))


def test_settings_leave_the_strategies_as_they_are(data):
    before = TRAINED["focal"]["loss"].gamma
    strategy_estimator("focal", *data, settings={"loss__gamma": 5.0})
    assert TRAINED["focal"]["loss"].gamma == before == FocalLoss().gamma


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (("focal",), "must hold the name of a built-in strategy and a dict"),
        (("focal", {"gama": 1}), "cannot be set"),
        (("focal", {"max_epochs": 1}), "max_epochs, which all strategies share"),
        (("threshold", {"class_weight": "sqrt"}), "none that sets parameters of one network"),
        (("constant", {"class_weight": "sqrt"}), "none that sets parameters of one network"),
        (("magic", {}), "Unknown strategies"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_any_training(data, value, words):
    with pytest.raises(ValueError, match=words):
        compare(*data, strategies={"none": "none", "mine": value}, cv=2)


def test_a_file_whose_settings_are_objects_of_python_is_refused(tmp_path):
    figures = {
        "baseline": "none",
        "protocol": {},
        "strategies": {"none": {}, "mine": {}},
        "settings": {"mine": {"loss": {"code": "MyLoss()"}}},
    }
    (tmp_path / "result.json").write_text(json.dumps(figures))
    with pytest.raises(ValueError, match="which only Python can make"):
        read_comparison(tmp_path / "result.json").settings("mine")
