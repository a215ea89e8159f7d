"""Calibration of the strategies of a comparison."""

import json

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.svm import LinearSVC

from skimb.study import compare
from skimb.study._calibration import calibration_of, reliability_of
from skimb.study._calibration_text import calibration_text, words_of_poor_ones
from skimb.study._predictions import Predictions


def _found(truth, proba):
    proba = np.asarray(proba)
    log_proba = np.log(proba).astype(np.float32)
    return Predictions(np.arange(len(proba)), np.asarray(truth), proba.argmax(axis=1), log_proba)


def test_errors_of_two_classes_are_those_of_sklearn():
    rng = np.random.default_rng(0)
    truth, positive = rng.integers(2, size=50), rng.uniform(0.05, 0.95, size=50)
    errors = calibration_of([_found(truth, np.stack([1 - positive, positive], 1))])
    assert errors["brier"] == pytest.approx(brier_score_loss(truth, positive), rel=1e-5)
    assert errors["log_loss"] == pytest.approx(log_loss(truth, positive), rel=1e-5)


def test_errors_of_three_classes_are_those_computed_by_hand():
    errors = calibration_of([_found([2], [[0.2, 0.3, 0.5]])])
    assert errors["brier"] == pytest.approx(0.04 + 0.09 + 0.25, rel=1e-5)
    assert errors["log_loss"] == pytest.approx(np.log(2), rel=1e-5)


def test_table_and_file_hold_errors_and_none_without_probabilities(tmp_path):
    y = np.repeat([0, 1], [20, 10])
    X = np.random.default_rng(0).normal(size=(30, 4)) + y[:, None]
    own = {"prior": DummyClassifier(), "svm": LinearSVC()}
    result = compare(X, y, strategies=own, cv=2, random_state=0)
    # Every fold holds one third of the minority class, and so says the dummy.
    assert result.calibration.loc["prior", "brier"] == pytest.approx(2 / 9, rel=1e-5)
    assert result.calibration.loc["svm"].isna().all()
    result.to_json(tmp_path / "result.json")
    entries = json.loads((tmp_path / "result.json").read_text())["strategies"]
    assert entries["prior"]["brier"] == pytest.approx(2 / 9, rel=1e-5)
    assert entries["svm"]["log_loss"] is None
    [bin_] = entries["prior"]["reliability"]["minority"]
    assert bin_["fraction"] == pytest.approx(1 / 3)
    assert bin_["probability"] == pytest.approx(1 / 3)
    assert bin_["n_images"] == 30
    assert entries["svm"]["reliability"] is None
    assert len(result.reliability("svm")) == 0


def made(rng, n=4000, shift=0.0):
    """Predictions whose probabilities are right, or moved by a shift of their log-odds."""
    positive = rng.uniform(0.02, 0.98, size=n)
    truth = (rng.random(n) < positive).astype(int)
    odds = positive / (1 - positive) * np.exp(shift)
    told = odds / (1 + odds)
    return _found(truth, np.stack([1 - told, told], axis=1))


def test_the_curve_of_right_probabilities_is_the_diagonal_and_of_high_ones_lies_below():
    rng = np.random.default_rng(0)
    right, high = (reliability_of([made(rng, shift=shift)], 1) for shift in (0, 1.5))
    assert (right["n_images"].sum(), len(right)) == (4000, 10)
    assert (abs(right["fraction"] - right["probability"]) < 0.08).all()
    inside = (right["low"] <= right["probability"]) & (right["probability"] <= right["high"])
    assert inside.sum() >= 8
    middle = high[high["probability"].between(0.2, 0.8)]
    assert (middle["high"] < middle["probability"]).all()


def test_repeats_of_an_image_count_once_in_a_curve():
    one = made(np.random.default_rng(0), n=500)
    once, thrice = reliability_of([one], 1), reliability_of([one] * 3, 1)
    np.testing.assert_allclose(once, thrice)


def test_the_curve_of_the_predicted_class_is_that_of_the_decision():
    # By hand: the second one is decided for with 0.3, and is right.
    found = Predictions(
        np.arange(2), np.array([0, 1]), np.array([0, 1]), np.log([[0.9, 0.1], [0.7, 0.3]])
    )
    curve = reliability_of([found])
    assert curve["probability"].tolist() == pytest.approx([0.6])
    assert curve["fraction"].tolist() == [1.0]


def test_probabilities_that_say_less_than_the_class_fractions_are_named():
    y = np.repeat([0, 1], [30, 10])
    X = np.random.default_rng(0).normal(size=(40, 4)) + 3 * y[:, None]
    # Uniform probabilities have the log loss log(2), and the class fractions 0.562.
    own = {"coin": DummyClassifier(strategy="uniform"), "logistic": LogisticRegression()}
    result = compare(X, y, strategies=own, cv=2, random_state=0)
    [sentence] = words_of_poor_ones(result, result.calibration)
    assert sentence.startswith("coin: the log loss is above 0.562")
    assert sentence in " ".join(str(result).split())
    own = {"logistic": LogisticRegression(), "constant": "constant"}
    result = compare(X, y, strategies=own, cv=2, random_state=0)
    assert words_of_poor_ones(result, result.calibration) == []


def test_the_table_on_a_terminal_is_narrow_and_says_who_has_no_probabilities():
    y = np.repeat([0, 1], [20, 10])
    X = np.random.default_rng(0).normal(size=(30, 4)) + y[:, None]
    own = {"prior": DummyClassifier(), "svm": LinearSVC()}
    result = compare(X, y, strategies=own, cv=2, random_state=0)
    for width in (60, 100):
        lines = str(calibration_text(result, width=width)).splitlines()
        assert max(map(len, lines)) <= width
        assert " ".join(lines[0].split()) == "probabilities Brier score log loss calibration error"
        assert lines[1].split() == [
            "prior",
            "0.222",
            f"{np.log(3) - np.log(2) * 2 / 3:.3f}",
            "0.000",
        ]
        assert lines[2].split() == ["svm", "none", "none", "none"]
    assert str(calibration_text(result)) in str(result)
    silent = compare(X, y, strategies={"a": LinearSVC(), "b": LinearSVC()}, cv=2, random_state=0)
    assert calibration_text(silent) is None
    with pytest.raises(ValueError, match="`event` must be 'minority' or 'predicted'"):
        result.reliability("prior", "rare")
    with pytest.raises(ValueError, match="`name` must be one of"):
        result.reliability("nobody")
