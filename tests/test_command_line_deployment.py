"""Costs, class fractions and a required recall on the command line, from the verdict to a model."""

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from skimb.__main__ import main
from skimb._command_line._fitted_decisions import rule_in_words
from skimb.model_selection import (
    GuaranteedRecallClassifier,
    MinimumCostClassifier,
    TunedOffsetsClassifierCV,
)
from skimb.neural_network import CNNClassifier, load, read_metadata
from skimb.study import compare

QUICK = ["--epochs", "2", "--device", "cpu"]
COMPARE = ["compare", "images", "--folds", "2", "--jobs", "1", *QUICK, "--json", "r.json"]
USE = ["--deploy", "cat=5%", "--costs", "miss=10,alarm=1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of images of two classes, of which cats are brighter, and a matrix of costs."""
    root = tmp_path_factory.mktemp("deployment")
    rng = np.random.RandomState(0)
    for i in range(60):
        label = ["cat", "dog", "dog"][i % 3]
        pixels = rng.randint(0, 200, size=(8, 8)) + 50 * (label == "cat")
        (root / "images" / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(root / "images" / label / f"{i}.png")
    (root / "costs.csv").write_text("true,cat,dog\ncat,0,10\ndog,1,0\n")
    return root


@pytest.fixture(autouse=True)
def inside(folder, monkeypatch):
    monkeypatch.chdir(folder)


@pytest.fixture(scope="module")
def compared(folder):
    """The file of a comparison with costs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main([*COMPARE, "--strategies", "over,threshold", *USE]) == 0
    return json.loads((folder / "r.json").read_text())


def refusal(capsys, *arguments):
    """Return the message of a command that refuses its arguments."""
    # Usage errors end the process; others are a status.
    with contextlib.suppress(SystemExit):
        assert main(list(arguments)) == 1
    return capsys.readouterr().err


@pytest.mark.slow
def test_a_comparison_begins_with_its_costs(compared, capsys):
    asked = ["--strategies", "none", *USE, "--require", "recall=0.5"]
    assert main([*COMPARE[:-1], "recall.json", *asked]) == 0
    out = capsys.readouterr().out
    assert out.startswith("To find 50 % of cat with a confidence of about 95 %")
    assert "Where 5 % of the images are cat, and a missed cat costs 10" in " ".join(out.split())
    assert compared["deployment"]["prior"] == pytest.approx({"cat": 0.05, "dog": 0.95})
    assert compared["best"]["metric"] == "cost"


@pytest.mark.slow
def test_a_table_of_costs_is_that_of_misses_and_alarms(compared):
    asked = ["--strategies", "over,threshold", "--deploy", "cat=5%", "--cost-matrix", "costs.csv"]
    assert main([*COMPARE[:-1], "matrix.json", *asked]) == 0
    found = json.loads(Path("matrix.json").read_text())
    assert found["deployment"] == compared["deployment"]


@pytest.mark.slow
def test_the_best_model_decides_as_the_comparison_did(compared, capsys):
    fit = ["fit", "images", "--strategy", "best", "--from", "r.json", "--out", "m.skimb"]
    assert main([*fit, *QUICK]) == 0
    out = capsys.readouterr().out
    best = compared["deployment"]["best"]
    assert f"best of r.json: cost {compared['best']['mean']:.4g}" in out
    model = load("m.skimb")
    if best != "threshold":
        assert "the class of the least expected cost, where there are 5 % cat, 95 % dog" in out
        assert isinstance(model, MinimumCostClassifier)
        np.testing.assert_allclose(model.predicted_prior_, [0.05, 0.95])
        matrix = np.array(compared["strategies"][best]["cost"]["confusion_matrix"])
        facts: Any = read_metadata("m.skimb")
        assert facts["figures"]["confusion_matrix"] == matrix.tolist()
        np.testing.assert_array_equal(model.cost_matrix_, [[0, 10], [1, 0]])
    assert main(["predict", "m.skimb", "images/cat", "--csv", "p.csv"]) == 0
    assert main(["evaluate", "m.skimb", "images"]) == 0
    out = capsys.readouterr().out
    assert "Where the model is used (5 % cat, 95 % dog) 1000 images cost" in out
    assert "accuracy where 33.3 % of the images are cat, as here" in out
    if best != "threshold":
        assert "decisions: the class of the least expected cost, where there are 5 % cat" in out


def test_a_model_without_a_deployment_says_how_its_strategy_decides():
    assert rule_in_words(CNNClassifier(), None) == "the most probable class"
    tuned = TunedOffsetsClassifierCV(CNNClassifier())
    assert rule_in_words(tuned, None).startswith("by offsets of the log-probabilities")


@pytest.mark.slow
def test_a_strategy_of_the_file_whose_probabilities_cannot_be_moved_decides_as_it_is(
    compared, capsys
):
    fit = ["fit", "images", "--strategy", "threshold", "--from", "r.json", "--out", "t.skimb"]
    assert main([*fit, *QUICK]) == 0
    assert "decisions: its own" in capsys.readouterr().out
    told = refusal(capsys, "fit", "images", "--strategy", "threshold", "--out", "t.skimb", *USE)
    assert "Give --strategy none" in told


@pytest.mark.slow
def test_costs_of_labels_that_are_sorted_otherwise_as_text_stay_theirs(folder, tmp_path, capsys):
    rng = np.random.RandomState(0)
    X = rng.randint(0, 255, size=(40, 8, 8)).astype(np.uint8)
    y = np.repeat([2, 10], [10, 30])
    network = CNNClassifier(max_epochs=1)
    options = {"strategies": ["over"], "estimator": network, "cv": 2, "random_state": 0}
    result = compare(X, y, costs={"miss": 10, "alarm": 1}, **options)
    np.testing.assert_array_equal(result.deployment.cost_matrix, [[0, 10], [1, 0]])
    result.to_json(tmp_path / "r.json")
    for i, (image, label) in enumerate(zip(X, y, strict=True)):
        (tmp_path / "images" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "images" / str(label) / f"{i}.png")
    fit = [
        "fit",
        str(tmp_path / "images"),
        "--strategy",
        "over",
        "--out",
        str(tmp_path / "m.skimb"),
    ]
    assert main([*fit, "--from", str(tmp_path / "r.json"), *QUICK]) == 0
    model = load(tmp_path / "m.skimb")
    assert model.classes_.tolist() == ["10", "2"]
    # To miss a 2 costs 10.
    np.testing.assert_array_equal(model.cost_matrix_, [[0, 1], [10, 0]])


@pytest.mark.slow
def test_options_count_before_the_file_and_the_rest_is_that_of_the_file(compared, capsys):
    fit = ["fit", "images", "--strategy", "over", "--from", "r.json", "--out", "o.skimb", *QUICK]
    assert main([*fit, "--costs", "miss=3,alarm=1"]) == 0
    model = load("o.skimb")
    np.testing.assert_array_equal(model.cost_matrix_, [[0, 3], [1, 0]])
    np.testing.assert_allclose(model.predicted_prior_, [0.05, 0.95])
    assert "(--costs and r.json)" in capsys.readouterr().out
    told = refusal(capsys, *fit, "--costs", "miss=3,alarm=1", "--require", "recall=0.5")
    assert "exclude each other" in told


@pytest.mark.slow
def test_a_recall_is_kept_by_images_that_were_held_out_or_by_folds(capsys):
    fit = ["fit", "images", "--strategy", "none", "--out", "g.skimb", *QUICK]
    assert main([*fit, "--require", "recall=0.5"]) == 0
    assert "which were held out, as a third of all images were" in capsys.readouterr().out
    model = load("g.skimb")
    assert isinstance(model, GuaranteedRecallClassifier)
    assert model.is_exact_
    assert model.guaranteed_recall_ >= 0.5
    assert main([*fit, "--require", "recall=0.8"]) == 0
    printed = capsys.readouterr()
    assert "by networks of 5 folds" in printed.out
    assert "More images of this class make it exact" in printed.err
    assert "FrozenEstimator" not in printed.err
    assert not load("g.skimb").is_exact_
    told = refusal(capsys, *fit, "--require", "recall=0.95")
    assert "takes at least 59 images of class cat" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--deploy", "cat"], "must be like cat=8%"),
        (["--deploy", "cat=120%"], "fractions between 0 and 1"),
        (["--deploy", "cat=x"], "which is no number"),
        (["--deploy", "cat=1%,cat=2%"], "names cat twice"),
        (["--costs", "miss=10"], "must be like miss=10,alarm=1"),
        (["--costs", "miss=10,alarm=0"], "numbers above 0"),
        (["--require", "precision=0.9"], "must be like recall=0.95"),
        (["--costs", "miss=2,alarm=1", "--cost-matrix", "costs.csv"], "exclude each other"),
        (["--cost-matrix", "none.csv"], "is no file"),
        (["--require", "recall=0.99"], "takes at least 299 test samples of class 'cat'"),
        (["--deploy", "cow=1%"], "--deploy names ['cow'], but the classes are ['cat', 'dog']"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments, message, capsys):
    assert message in refusal(capsys, *COMPARE, *arguments)


def test_a_table_of_costs_must_hold_each_class_once(tmp_path, capsys):
    (tmp_path / "c.csv").write_text("true,cat,dog\ncat,0,1\ncat,1,0\n")
    told = refusal(capsys, *COMPARE, "--cost-matrix", str(tmp_path / "c.csv"))
    assert "several rows of" in told
    (tmp_path / "c.csv").write_text("true\ncat\n")
    assert "alone" in refusal(capsys, *COMPARE, "--cost-matrix", str(tmp_path / "c.csv"))
