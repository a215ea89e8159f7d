"""Calibration of the strategies of a comparison."""

import json

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.svm import LinearSVC

from skimb.study import compare
from skimb.study._calibration import calibration_of
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
