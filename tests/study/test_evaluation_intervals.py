"""Intervals of the scores of one model."""

import json
from typing import Any

import numpy as np
import pytest

from skimb.study import ClassificationEvaluation, RegressionEvaluation
from skimb.study._evaluation_intervals import label_intervals


def drawn(rng, n, rates=(0.1, 0.4)):
    """Truth of two classes, one of them rare, and predictions that are wrong at these rates."""
    truth = (rng.random(n) < 0.2).astype(int)
    wrong = rng.random(n) < np.array(rates)[truth]
    return truth, np.where(wrong, 1 - truth, truth)


def evaluated(truth, predicted):
    return ClassificationEvaluation(truth, predicted, classes=[0, 1], minority=1)


def test_every_score_lies_within_its_interval_in_text_file_and_page(tmp_path):
    found = evaluated(*drawn(np.random.default_rng(0), 200))
    assert found.intervals.keys() == found.scores.keys()
    for name, (low, high) in found.intervals.items():
        assert 0 <= low < found.scores[name] < high <= 1
    low, high = found.intervals["balanced_accuracy"]
    assert f"balanced_accuracy {low:.3f} to {high:.3f}" in str(found)
    found.to_json(tmp_path / "found.json")
    figures = json.loads((tmp_path / "found.json").read_text())
    assert figures["intervals"]["balanced_accuracy"] == [low, high]
    assert figures["per_class"]["1"]["recall_low"] < figures["per_class"]["1"]["recall"]
    assert f"({low:.3f} to {high:.3f})" in found._page()


@pytest.mark.slow
def test_intervals_hold_the_scores_of_the_world_in_about_95_of_100_samples():
    rng = np.random.default_rng(1)
    hits, false = np.array([0.9, 0.6]), np.array([0.1, 0.4])
    fractions = np.array([0.8, 0.2])
    predicted = fractions * hits + fractions[::-1] * false[::-1]
    world = {
        "balanced_accuracy": hits.mean(),
        "f1_macro": (2 * fractions * hits / (predicted + fractions)).mean(),
        "accuracy": fractions @ hits,
    }
    inside = dict.fromkeys(world, 0)
    for _ in range(100):
        found: Any = label_intervals(*drawn(rng, 250), np.array([0, 1]), None)
        for name, value in world.items():
            inside[name] += found[name][0] <= value <= found[name][1]
    assert all(88 <= count <= 99 for count in inside.values()), inside


def test_no_mistake_among_few_images_is_no_proof_of_none():
    truth = np.repeat([0, 1], [6, 4])
    found = evaluated(truth, truth)
    for name in ("balanced_accuracy", "f1_macro", "accuracy"):
        low, high = found.intervals[name]
        assert high == 1
        assert low < 0.8
    # Classes without images, and labels that the model does not know, are no error.
    odd = ClassificationEvaluation(
        np.array(["a", "a", "z"]), np.array(["a", "b", "a"]), classes=["a", "b", "c"]
    )
    assert set(odd.intervals) == set(odd.scores)


def test_mean_errors_have_the_intervals_of_means():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=400)
    error = rng.normal(scale=2e-4, size=400)
    found = RegressionEvaluation(truth, truth + error, y_train=truth)
    low, high = found.intervals["mean_absolute_error"]
    value, half = np.abs(error).mean(), 1.966 * np.abs(error).std() / 20
    assert (low, high) == pytest.approx((value - half, value + half), rel=0.02)
    for name, (low, high) in found.intervals.items():
        assert low < found.errors[name] < high
    assert "balanced_mean_absolute_error" in found.intervals
    assert "95 % intervals" in str(found)
    assert RegressionEvaluation([1.0, 2.0], [1.5, 2.5]).intervals["mean_absolute_error"] == (
        0.5,
        0.5,
    )
