"""Precision, recall and F1 of each class, with intervals."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from skimb._class_intervals import per_class_intervals, wilson_interval


def test_intervals_of_wilson_by_hand():
    # The interval solves (k / n - p)^2 = z^2 p (1 - p) / n for p.
    k, n, z = 7, 20, 1.959963984540054
    roots = np.roots([1 + z**2 / n, -2 * k / n - z**2 / n, (k / n) ** 2])
    np.testing.assert_allclose(np.ravel(wilson_interval(k, n)), sorted(roots))
    low, high = wilson_interval([0, 5, 0], [5, 5, 0])
    np.testing.assert_allclose(low, [0, 1 - high[0], np.nan])
    np.testing.assert_allclose(high, [z**2 / (5 + z**2), 1, np.nan])


@pytest.mark.parametrize("labels", [None, ["c", "a"]])
def test_scores_are_those_of_scikit_learn(labels):
    rng = np.random.RandomState(0)
    y_true, y_pred = rng.choice(list("abc"), 80, p=[0.7, 0.2, 0.1]), rng.choice(list("abc"), 80)
    found = per_class_intervals(y_true, y_pred, labels)
    *expected, n_true = precision_recall_fscore_support(y_true, y_pred, labels=labels)
    np.testing.assert_allclose(found[["precision", "recall", "f1"]].T, expected)
    np.testing.assert_array_equal(found.n_true, n_true)
    assert found.index.tolist() == (labels or ["a", "b", "c"])
    for name in ("precision", "recall", "f1"):
        assert (found[f"{name}_low"] < found[name]).all()
        assert (found[f"{name}_high"] > found[name]).all()


def test_the_bootstrap_of_f1_is_that_of_samples():
    rng = np.random.RandomState(1)
    y_true = rng.rand(60) < 0.3
    y_pred = y_true ^ (rng.rand(60) < 0.2)
    found = per_class_intervals(y_true, y_pred, n_resamples=20_000).loc[True]
    drawn = []
    for _ in range(4000):
        rows = rng.randint(60, size=60)
        hits = (y_true[rows] & y_pred[rows]).sum()
        drawn.append(2 * hits / (y_true[rows].sum() + y_pred[rows].sum()))
    np.testing.assert_allclose(
        found[["f1_low", "f1_high"]], np.quantile(drawn, [0.025, 0.975]), atol=0.02
    )


def test_a_perfect_or_missing_class_has_no_certain_score():
    found = per_class_intervals(["a"] * 6 + ["b"] * 3, ["a"] * 6 + ["b"] * 3)
    assert found.loc["b", "f1"] == found.loc["b", "f1_high"] == 1
    assert found.loc["b", "f1_low"] < 0.7
    never = per_class_intervals(["a"] * 6 + ["b"] * 3, ["a"] * 9)
    assert np.isnan(never.loc["b", "precision"])
    assert never.loc["b", "f1"] == never.loc["b", "f1_low"] == 0
    assert 0.3 < never.loc["b", "f1_high"] < 1


@pytest.mark.slow
@pytest.mark.parametrize("miss", [0.1, 0.35])
def test_intervals_cover_the_true_scores_of_a_class(miss):
    rng = np.random.RandomState(0)
    covered = np.zeros(3)
    n_trials = 300
    true = 1 - np.array([(0.9 * 0.03) / (0.9 * 0.03 + 0.1 * (1 - miss)), miss, 0.0])
    true[2] = 2 * true[0] * true[1] / (true[0] + true[1])
    for trial in range(n_trials):
        y_true = rng.rand(400) < 0.1
        y_pred = np.where(y_true, rng.rand(400) > miss, rng.rand(400) < 0.03)
        found = per_class_intervals(y_true, y_pred, n_resamples=300, random_state=trial).loc[True]
        for k, name in enumerate(("precision", "recall", "f1")):
            covered[k] += found[f"{name}_low"] <= true[k] <= found[f"{name}_high"]
    assert (covered / n_trials > 0.9).all(), covered / n_trials


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_pred": ["a"]}, "inconsistent numbers"),
        ({"labels": ["x"]}, r"`labels` are .*hold"),
        ({"labels": ["a", "a"]}, "holds a label twice"),
        ({"y_true": [], "y_pred": []}, "no sample"),
        ({"y_pred": [1, 2]}, "text or numbers"),
        ({"confidence_level": 95}, "between 0 and 1"),
        ({"n_resamples": 0}, "whole number from 1"),
        ({"n_resamples": True}, "whole number from 1"),
    ],
)
def test_bad_input_is_refused(change, message):
    given = {"y_true": ["a", "b"], "y_pred": ["a", "b"]} | change
    with pytest.raises(ValueError, match=message):
        per_class_intervals(given.pop("y_true"), given.pop("y_pred"), **given)
