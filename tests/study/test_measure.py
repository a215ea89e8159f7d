"""The measure that counts: what the verdict is about first, and what thresholds are tuned for."""

import json

import numpy as np
import pytest
from made_comparisons import made_comparison, made_regression

from skimb.__main__ import main
from skimb.datasets import load_imbalanced_digits
from skimb.neural_network import CNNClassifier, CNNRegressor
from skimb.study import compare, fit_strategy, strategy_estimator

X, Y = load_imbalanced_digits(return_X_y=True)


def test_the_verdict_is_about_the_measure_first():
    result = made_comparison(2, measure="recall_minority")
    assert result.verdict_metrics == ["recall_minority", "f1_minority"]
    assert "recall_minority" not in result.other_metrics
    assert result.protocol["measure"] == result.protocol["tuned_for"] == "recall_minority"
    assert result.to_dict()["best"]["metric"] == "recall_minority"
    assert made_comparison(2).verdict_metrics == ["f1_minority", "balanced_accuracy"]


def test_thresholds_are_tuned_for_it_also_with_three_classes():
    assert made_comparison(3).protocol["tuned_for"] == "f1_macro"
    asked = made_comparison(3, measure="f1_minority")
    assert asked.protocol["tuned_for"] == "f1_minority"
    assert asked.estimator("threshold").scoring == "f1_minority"


def test_a_measure_of_scores_judges_and_thresholds_are_tuned_for_another():
    result = made_comparison(2, measure="average_precision_minority")
    assert result.verdict_metrics[0] == "average_precision_minority"
    assert result.protocol["tuned_for"] == "f1_minority"


def test_numbers_are_judged_by_it_too():
    result = made_regression(measure="mean_absolute_error")
    assert result.verdict_metrics[0] == "mean_absolute_error"


def test_a_fit_of_numbers_takes_the_name_that_the_comparison_shows():
    X, y = np.random.RandomState(0).rand(30, 8, 8), np.linspace(0.5, 9.5, 30)
    made = strategy_estimator("none", X, y, measure="mean_absolute_error")
    assert isinstance(made, CNNRegressor)
    with pytest.raises(ValueError, match=r"`measure` must be one of \['mean_absolute_error'"):
        strategy_estimator("none", X, y, measure="absolute_error")


@pytest.mark.slow
def test_a_fit_tunes_for_the_same_measure():
    quick = CNNClassifier(max_epochs=1)
    options = {"estimator": quick, "measure": "recall_minority", "random_state": 0}
    result = compare(X, Y, strategies=["threshold"], cv=2, **options)
    made = strategy_estimator("threshold", X, Y, **options)
    assert str(made.scoring) == str(result.estimator("threshold").scoring)
    assert "recall" in str(made.scoring)
    with pytest.raises(ValueError, match="`measure` must be one of"):
        fit_strategy("threshold", X, Y, measure="recall", estimator=quick)
    with pytest.raises(ValueError, match="`measure` must be one of"):
        compare(X, Y, measure="recall")


@pytest.mark.slow
@pytest.mark.exhaustive
def test_the_command_line_has_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    quick = ["--epochs", "1", "--device", "cpu"]
    asked = ["--strategies", "threshold", "--folds", "2", "--measure", "recall_minority"]
    assert main(["compare", "digits", *asked, *quick, "--jobs", "1", "--json", "r.json"]) == 0
    assert json.loads((tmp_path / "r.json").read_text())["protocol"]["tuned_for"] == (
        "recall_minority"
    )
    fit = ["fit", "digits", "--strategy", "best", "--from", "r.json", "--out", "m.skimb"]
    assert main([*fit, *quick]) == 0
    assert "recall_minority" in capsys.readouterr().out
