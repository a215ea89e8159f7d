"""The command line from a verdict to a model at work: fit, predict, evaluate, export."""

import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from command_outputs import complaints, facts_of, rows_of
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skimb.__main__ import main
from skimb.model_selection import SpreadCorrectedRegressor
from skimb.neural_network import CNNClassifier, CNNEmbedder, load, save

ROOT = Path(__file__).parents[1]


def write_images(folder, n_images, *, classes=("cat", "dog"), seed=0):
    """Write images of 8 x 8: each class has a brightness of its own."""
    rng = np.random.RandomState(seed)
    for k, label in enumerate(classes):
        (folder / label).mkdir(parents=True)
        for i in range(n_images // (1 if k else 2)):
            level = 60 + 120 * k
            pixels = rng.randint(level - 40, level + 40, size=(8, 8)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{i:02}.png")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with images, a comparison of them and models; tests leave it as it is."""
    root = tmp_path_factory.mktemp("trained")
    write_images(root / "train", 24)
    write_images(root / "test", 6, seed=1)
    rows = [f"train/{label}/{i:02}.png" for label in ("cat", "dog") for i in range(12)]
    values = [np.asarray(Image.open(root / row)).mean() / 10 for row in rows]
    lines = [f"{row},{value:.4f}" for row, value in zip(rows, values, strict=True)]
    (root / "table.csv").write_text("\n".join(["image,level", *lines]))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        fit = ["fit", "train", "--strategy", "over", "--test", "test", "--epochs", "20"]
        assert main([*fit, "--out", "m.skimb"]) == 0
        columns = ["--image-column", "image", "--target", "level"]
        fit = ["fit", "table.csv", *columns, "--strategy", "weight_sqrt", "--epochs", "20"]
        assert main([*fit, "--out", "numbers.skimb"]) == 0
    return root


@pytest.fixture
def folder(trained, tmp_path, monkeypatch):
    """A copy of these images and models, as the working folder."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def result(trained):
    """The JSON file of a comparison, as text."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trained)
        compare = ["compare", "train", "--folds", "2", "--epochs", "2", "--jobs", "1"]
        strategies = ["--strategies", "class_weight,over,constant"]
        assert main([*compare, *strategies, "--json", "result.json"]) == 0
    return json.loads((trained / "result.json").read_text())


def error_of(capsys):
    """Return the line of an error: all else is what was done before."""
    lines = complaints(capsys)
    assert len(lines) == 1
    return lines[0]


# ------------------------------------------------------------------------- usage

FIT = ["fit", "digits", "--strategy", "none", "--out", "m"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "digits", "--out", "m"], "required: --strategy"),
        (["fit", "digits", "--strategy", "none"], "required: --out"),
        (["fit", "digits", "--strategy", "best", "--out", "m"], "best needs --from"),
        (["fit", "digits", "--strategy", "magic", "--out", "m"], "unknown strategy: magic"),
        (["fit", "digits", "--strategy", "ranksim", "--out", "m"], "unknown strategy: ranksim"),
        (["fit", "digits", "--strategy", "constant", "--out", "m"], "without a network to save"),
        ([*FIT, "--from", "nothing.json"], "--from nothing.json is no file"),
        ([*FIT, "--test", "."], "--test is for folders"),
        ([*FIT, "--target", "y"], "--target is for tables"),
        ([*FIT, "--checkpoint", "m.skimb"], "must be a folder, and it is a file"),
        ([*FIT, "--seed", "1", "--seed", "1"], "--seed is given twice"),
        (["fit", "table.csv", "--strategy", "none", "--out", "m"], "needs --image-column"),
        (["fit", "train", "--strategy", "none", "--out", "no/m"], "does not exist"),
        (["fit", "train", "--strategy", "none", "--out", "train/m"], "lies among the images"),
        (
            ["fit", "train", "--strategy", "none", "--out", "m", "--checkpoint", "train/c"],
            "lies among the images",
        ),
        (
            ["fit", "train", "--strategy", "none", "--from", "m.skimb", "--out", "m.skimb"],
            "--out would overwrite the comparison m.skimb",
        ),
        (["predict", "m.skimb"], "FILE"),
        (["predict", "nothing", "train"], "the model nothing does not exist"),
        (["predict", "train", "train"], "the model train is a folder"),
        (["predict", "m.skimb", "nothing"], "neither a folder, nor a table, nor an image"),
        (["predict", "m.skimb", "table.csv", "train"], "must be given alone"),
        (["predict", "m.skimb", "train", "--image-column", "x"], "--image-column is for tables"),
        (["predict", "m.skimb", "train", "--csv", "train/cat/o.csv"], "lies among the images"),
        (["predict", "m.skimb", "train", "--csv", "m.skimb"], "would overwrite the model"),
        (["predict", "m.skimb", "table.csv", "--csv", "table.csv"], "overwrite the table"),
        (
            ["predict", "m.skimb", "train/cat/00.png", "--csv", "train/cat/00.png"],
            "would overwrite the image",
        ),
        (["evaluate", "m.skimb", "nothing"], "neither a folder nor a table"),
        (["evaluate", "m.skimb", "train", "--target", "x"], "--target is for tables"),
        (["evaluate", "m.skimb", "train", "--json", "m.skimb"], "would overwrite the model"),
        (["evaluate", "m.skimb", "train", "--json", "x", "--report", "x"], "would both write"),
        (["evaluate", "m.skimb", "train", "--report", "train/x.html"], "lies among the images"),
        (["export", "m.skimb"], "required: --onnx"),
        (["export", "m.skimb", "--onnx", "m.skimb"], "would overwrite the model"),
    ],
)
def test_usage_errors_exit_with_2(arguments, message, folder, capsys):
    before = sorted(folder.rglob("*"))
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before


def test_help_and_usage_errors_need_no_torch():
    code = """
import sys
from skimb.__main__ import main
for arguments in (
    ["--help"], ["compare", "--help"], ["fit", "--help"], ["predict", "--help"],
    ["evaluate", "--help"], ["export", "--help"],
    ["fit", "digits", "--strategy", "best", "--out", "m"],
    ["compare", "digits", "--strategies", "magic"], ["predict", "nothing", "."],
):
    try:
        main(arguments)
    except SystemExit as exc:
        assert exc.code == (0 if "--help" in arguments else 2)
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "strategies for labels:\n  none " in done.stdout


# ------------------------------------------------------------------------- fit


def test_a_model_is_what_the_comparison_trained_and_knows_its_origin(folder, capsys):
    from skimb.datasets import load_image_folder, read_images
    from skimb.neural_network import load
    from skimb.study import fit_strategy

    assert main(["fit", "train", "--strategy", "over", "--epochs", "2", "--seed", "5",
                 "--out", "again", "--test", "test"]) == 0  # fmt: skip
    printed = capsys.readouterr()
    assert "strategy: over" in printed.out
    assert "figures of 9 images of test" in printed.out
    assert "model: again (36 images)" in printed.out
    files = load_image_folder("train")
    X, y = read_images(files.paths.tolist()), files.target
    network = CNNClassifier(max_epochs=2)
    expected = fit_strategy("over", X, y, estimator=network, random_state=5)
    assert np.array_equal(load(Path("again")).predict_proba(X), expected.predict_proba(X))
    facts = facts_of(Path("again"))
    assert facts["task"] == "classification"
    assert (facts["classes"], facts["class_counts"]) == (["cat", "dog"], [12, 24])
    assert (facts["strategy"], facts["chosen"], facts["seed"]) == ("over", None, 5)
    assert facts["figures"]["per_class"]["cat"]["support"] == 3


def test_without_a_test_set_a_fifth_is_held_out(folder, capsys):
    assert main(["fit", "train", "--strategy", "none", "--epochs", "1", "--out", "again"]) == 0
    printed = capsys.readouterr()
    assert "training none on 28 images, to test it on 8" in printed.err
    assert "training none on 36 images" in printed.err
    assert "one more training, with 8 of 36 images held out" in printed.out
    assert facts_of(Path("again"))["figures"]["n_samples"] == 8


@pytest.fixture
def two_cats(folder):
    """A folder with two images of a class, of which one is held out."""
    shutil.copytree("train", "few")
    for path in sorted(Path("few/cat").iterdir())[2:]:
        path.unlink()


def test_of_a_class_of_two_images_one_is_held_out_and_the_figures_tell_the_share(two_cats, capsys):
    fit = ["fit", "few", "--strategy", "none", "--epochs", "1", "--out", "again"]
    assert main(fit) == 0
    assert "with 13 of 26 images held out" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["smote_embedding", "tuned_baseline", "threshold"])
def test_a_class_that_is_too_small_without_the_held_out_image_is_told_before_training(
    name, two_cats, capsys
):
    assert main(["fit", "few", "--strategy", name, "--epochs", "1", "--out", "again"]) == 1
    [complaint] = complaints(capsys)
    assert "No fifth of the images can be held out for figures" in complaint
    assert "there is 1 sample of class 'cat'" in complaint
    assert "give --test" in complaint


@pytest.mark.parametrize("name", ["tuned_baseline", "threshold"])
def test_groups_that_are_too_few_without_the_held_out_one_are_told_before_training(
    name, folder, capsys
):
    # Of the two groups of cats, one is held out for the figures, and a single one is left.
    fit = ["fit", "train", "--strategy", name, "--epochs", "1", "--out", "again"]
    assert main([*fit, "--group-pattern", r"(\d)\d\.png"]) == 1
    [complaint] = capsys.readouterr().err.splitlines()
    assert f"Strategy '{name}' cannot hold out samples of a training part" in complaint
    assert "give --test" in complaint


def test_best_takes_the_winner_its_recipe_and_its_figures(result, folder, capsys):
    winner = result["best"]["strategy"]
    best = ["fit", "train", "--strategy", "best", "--from", "result.json", "--out", "again"]
    assert main(best) == 0
    printed = capsys.readouterr()
    assert f"strategy: {winner}" in printed.out
    assert "figures of result.json (2-fold cross-validation)" in printed.out
    assert printed.err.splitlines()[0] == f"training {winner} on 36 images"
    facts = facts_of(Path("again"))
    matrix = np.array(result["strategies"][winner]["confusion_matrix"])
    assert facts["figures"]["confusion_matrix"] == matrix.tolist()
    assert facts["chosen"] == result["best"] | {"file": "result.json"}
    from skimb.neural_network import load

    assert load(Path("again")).get_params()["max_epochs"] == 2


@pytest.mark.parametrize(
    ("mean", "interval", "words"),
    [
        (0.9, [0.1, 0.3], "better than the baseline"),
        (0.9, [-0.1, 0.5], "no better than the baseline, as the difference is within noise"),
        (0.9, [None, None], "no better than the baseline, as the interval"),
        (0.1, [-0.9, -0.3], "no strategy has a better mean"),
    ],
)
def test_a_winner_that_is_no_better_than_the_baseline_is_told(
    mean, interval, words, result, folder, capsys, monkeypatch
):
    monkeypatch.setattr("skimb.study.fit_strategy", Mock(side_effect=ValueError("enough")))
    figures = json.loads(json.dumps(result))
    for name, entry in figures["strategies"].items():
        entry["f1_minority"] |= {"mean": 0.7, "interval": [0.0, 0.0]}
        # As in the files of earlier versions, whose verdict is that of the interval.
        del entry["f1_minority"]["adjusted_p_value"]
        if name == "over":
            entry["f1_minority"] |= {"mean": mean, "interval": interval}
        if name == "class_weight":
            entry["f1_minority"]["mean"] = 0.2
    from skimb._command_line._figures import ComparisonFile
    from skimb._command_line._fit import _words_of_choice

    comparison = ComparisonFile(Path("r.json"), figures)
    [line] = _words_of_choice(comparison.winner(), comparison)
    assert line.endswith(words) or words in line
    assert ("no better" in line) == ("no better" in words)


def changed(result, **changes):
    return json.dumps({**result, **changes})


BROKEN = {
    "empty": (lambda result: "", "cannot be read as the JSON file of a comparison"),
    "cut off": (lambda result: json.dumps(result)[:500], "cannot be read as the JSON file"),
    "a list": (lambda result: "[]", "it holds no object"),
    "deep": (lambda result: "[" * 100_000, "cannot be read as the JSON file"),
    "no strategies": (lambda result: '{"baseline": "none"}', "it lacks protocol, strategies"),
    "strange ones": (lambda result: changed(result, strategies=[1]), "must be objects"),
    "no figures": (
        lambda result: changed(result, strategies={"none": {}}),
        "cannot be read as the JSON file of a comparison (",
    ),
    "later": (lambda result: changed(result, schema=9), "its schema is 9"),
    "other classes": (
        lambda result: changed(result, classes=["cat", "cow"]),
        "is about the classes ['cat', 'cow'], and the images have the classes ['cat', 'dog']",
    ),
    "numbers": (
        lambda result: json.dumps({k: v for k, v in result.items() if k != "classes"}),
        "compares strategies for numbers, and the target holds labels",
    ),
    "own": (
        lambda result: changed(result, built_in=dict.fromkeys(result["strategies"])),
        "is no built-in strategy",
    ),
    "code": (
        lambda result: changed(
            result,
            protocol={**result["protocol"], "parameters": {"module": {"code": "MyNet()"}}},
        ),
        "has module=MyNet(), which only Python can make",
    ),
}


@pytest.mark.parametrize(("make", "message"), BROKEN.values(), ids=BROKEN)
def test_a_comparison_that_does_not_fit_exits_with_1(make, message, result, folder, capsys):
    Path("broken.json").write_text(make(result))
    best = ["fit", "train", "--strategy", "best", "--from", "broken.json", "--out", "again"]
    assert main(best) == 1
    assert message in error_of(capsys)
    assert not Path("again").exists()


def test_a_comparison_without_the_newer_fields_is_read_too(result, folder, capsys):
    old = {k: v for k, v in result.items() if k in ("baseline", "classes", "minority")}
    protocol = {k: v for k, v in result["protocol"].items() if k != "parameters"}
    old |= {"strategies": result["strategies"], "protocol": protocol}
    Path("old.json").write_text(json.dumps(old))
    best = ["fit", "train", "--strategy", "best", "--from", "old.json", "--out", "again"]
    assert main(best) == 0
    assert facts_of(Path("again"))["strategy"] == result["best"]["strategy"]


def test_a_size_is_that_of_the_comparison_and_is_remembered(folder, capsys):
    quick = ["--epochs", "1", "--folds", "2", "--strategies", "none", "--jobs", "1"]
    assert main(["compare", "train", *quick, "--size", "9", "--json", "r.json"]) == 0
    best = ["fit", "train", "--strategy", "best", "--from", "r.json", "--out", "again"]
    assert main(best) == 0
    assert facts_of(Path("again"))["image_shape"] == [3, 9, 9]
    Image.new("L", (30, 20)).save("wide.png")
    assert main(["predict", "again", "wide.png", "--csv", "out.csv"]) == 0
    assert main(["evaluate", "again", "test"]) == 0


def test_images_of_several_sizes_need_a_size(folder, capsys):
    Image.new("L", (30, 20)).save("train/cat/wide.png")
    assert main(["fit", "train", "--strategy", "none", "--out", "again"]) == 1
    assert error_of(capsys).endswith("(width x height). Give --size N to resize them.")


def test_a_class_of_one_image_needs_figures_of_another_kind(folder, capsys):
    for i in range(1, 12):
        Path(f"train/cat/{i:02}.png").unlink()
    fit = ["fit", "train", "--strategy", "none", "--epochs", "1", "--out", "again"]
    assert main(fit) == 1
    assert "No fifth of the images can be held out for figures" in error_of(capsys)
    assert main([*fit, "--test", "test"]) == 0


def test_a_reference_of_a_comparison_has_no_network_to_save(result, folder, capsys):
    fit = ["fit", "train", "--strategy", "constant", "--from", "result.json", "--out", "again"]
    assert main(fit) == 1
    assert "without a network to save" in error_of(capsys)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "threshold",
        "smote_embedding",
        "recipe",
        "prior_shift",
        *(
            pytest.param(name, marks=pytest.mark.exhaustive)
            for name in ("autobalance", "decoupled", "over_weighted", "recipe_long", "under_over")
        ),
        "tuned_baseline",
    ],
)
def test_strategies_that_change_a_network_become_one_model(name, folder, capsys):
    from skimb.datasets import read_images
    from skimb.neural_network import CNNClassifier
    from skimb.study import fit_strategy

    fit = ["fit", "train", "--strategy", name, "--epochs", "3", "--test", "test"]
    assert main([*fit, "--out", "again"]) == 0
    assert main(["predict", "again", "train", "--csv", "out.csv"]) == 0
    assert not [line for line in capsys.readouterr().err.splitlines() if "new fit" in line]
    rows = rows_of("out.csv")
    X = read_images([row["file"] for row in rows])
    y = np.array([row["file"].split("/")[1] for row in rows])
    network = CNNClassifier(max_epochs=3)
    expected = fit_strategy(name, X, y, estimator=network, random_state=0)
    assert [row["label"] for row in rows] == expected.predict(X).tolist()
    proba = expected.predict_proba(X)[:, 0]
    assert np.allclose([float(row["p[cat]"]) for row in rows], proba, atol=1e-5)


@pytest.mark.slow
def test_best_of_a_comparison_for_numbers(folder, capsys):
    table = ["table.csv", "--image-column", "image", "--target", "level"]
    quick = ["--epochs", "2", "--folds", "2", "--jobs", "1", "--strategies", "weight_sqrt,constant"]
    assert main(["compare", *table, *quick, "--json", "r.json"]) == 0
    figures = json.loads(Path("r.json").read_text())
    assert main(["fit", *table, "--strategy", "best", "--from", "r.json", "--out", "again"]) == 0
    printed = capsys.readouterr().out
    assert "best of r.json: balanced_mean_absolute_error" in printed
    facts = facts_of(Path("again"))
    assert facts["strategy"] == figures["best"]["built_in"] in ("none", "weight_sqrt")
    entry = figures["strategies"][figures["best"]["strategy"]]
    told = facts["figures"]["errors"]
    assert told["mean_absolute_error"] == entry["mean_absolute_error"]["mean"]


def test_a_strategy_for_the_other_kind_of_target_exits_with_1(folder, capsys):
    table = ["table.csv", "--image-column", "image", "--target", "level"]
    assert main(["fit", *table, "--strategy", "focal", "--out", "again"]) == 1
    assert "'focal' is no strategy for a regressor" in error_of(capsys)


def test_a_model_that_cannot_be_written_goes_elsewhere(folder, monkeypatch, capsys):
    from skimb.neural_network import save

    def fail_at_first(fitted, path, *, metadata):
        if Path(path).name == "again" and Path(path).parent == Path():
            raise OSError("disk full")
        save(fitted, path, metadata=metadata)

    monkeypatch.setattr("skimb.neural_network.save", fail_at_first)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    fit = ["fit", "train", "--strategy", "none", "--test", "test", "--epochs", "1"]
    assert main([*fit, "--out", "again"]) == 1
    assert "cannot write again: disk full. The model went to" in capsys.readouterr().err
    assert facts_of(next(folder.glob("skimb-*/again")))["n_images"] == 36


# ------------------------------------------------------------------------- predict


def test_predictions_stand_in_the_order_of_the_files(folder, capsys):
    from skimb.datasets import read_images
    from skimb.neural_network import load

    assert main(["predict", "m.skimb", "test", "--csv", "out.csv"]) == 0
    assert capsys.readouterr().out == "9 predictions: out.csv\n"
    rows = rows_of("out.csv")
    files = [f"test/cat/{i:02}.png" for i in range(3)] + [f"test/dog/{i:02}.png" for i in range(6)]
    assert [row["file"] for row in rows] == files
    assert list(rows[0]) == ["file", "label", "p[cat]", "p[dog]", "error"]
    model, images = load(Path("m.skimb")), read_images(files)
    assert [row["label"] for row in rows] == model.predict(images).tolist()
    proba = [[float(row["p[cat]"]), float(row["p[dog]"])] for row in rows]
    assert np.allclose(proba, model.predict_proba(images), atol=1e-6)


def test_flat_folders_files_and_tables_are_predicted_too(folder, capsys):
    for name in ("test/cat/00.png", "train/dog/03.png"):
        shutil.copy(name, Path("test") / name.replace("/", " "))
    expected = ["test/test cat 00.png", "test/train dog 03.png"]
    assert main(["predict", "m.skimb", "test", "--csv", "a.csv"]) == 0
    # Those of a folder come before those of its sub-folders.
    assert [row["file"] for row in rows_of("a.csv")][:2] == expected
    assert len(rows_of("a.csv")) == 11
    assert main(["predict", "m.skimb", *reversed(expected), "--csv", "b.csv"]) == 0
    assert [row["file"] for row in rows_of("b.csv")] == expected[::-1]
    capsys.readouterr()
    assert main(["predict", "m.skimb", "test/cat"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("test/cat/00.png,cat,")
    assert main(["predict", "m.skimb", "table.csv", "--csv", "c.csv"]) == 1
    assert "was not trained on a table" in error_of(capsys)
    table = ["table.csv", "--image-column", "image"]
    assert main(["predict", "m.skimb", *table, "--csv", "c.csv"]) == 0
    assert len(rows_of("c.csv")) == 24


def test_a_model_remembers_the_columns_of_its_table(folder, capsys):
    facts = facts_of(Path("numbers.skimb"))
    assert facts["columns"] == {"image": "image", "target": "level", "group": None}
    assert main(["predict", "numbers.skimb", "table.csv", "--csv", "out.csv"]) == 0
    rows = rows_of("out.csv")
    assert list(rows[0]) == ["file", "prediction", "error"]
    truth = [float(row["level"]) for row in rows_of("table.csv")]
    found = [float(row["prediction"]) for row in rows]
    assert np.corrcoef(truth, found)[0, 1] > 0.9
    assert main(["evaluate", "numbers.skimb", "table.csv", "--json", "e.json"]) == 0
    figures = json.loads(Path("e.json").read_text())
    assert figures["shots"]["few"]["n"] == 24
    assert figures["errors"]["mean_absolute_error"] < 4


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_network_whose_predictions_are_spread_predicts_and_is_exported(folder):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    table = ["table.csv", "--image-column", "image", "--target", "level"]
    train = ["--strategy", "spread_corrected", "--epochs", "2"]
    assert main(["fit", *table, *train, "--out", "spread.skimb"]) == 0
    fitted = load("spread.skimb")
    assert isinstance(fitted, SpreadCorrectedRegressor)
    assert facts_of(Path("spread.skimb"))["strategy"] == "spread_corrected"
    assert main(["export", "spread.skimb", "--onnx", "spread.onnx"]) == 0
    found = []
    for model in ("spread.skimb", "spread.onnx"):
        assert main(["predict", model, "table.csv", "--csv", "out.csv"]) == 0
        found.append([float(row["prediction"]) for row in rows_of("out.csv")])
    np.testing.assert_allclose(*found, rtol=1e-4)
    plain = fitted.estimator_.predict([row["file"] for row in rows_of("out.csv")])
    np.testing.assert_allclose(fitted.spread_correction()(plain), found[0], rtol=1e-4)


def test_broken_files_have_a_line_and_the_others_are_done(folder, capsys):
    (folder / "test" / "cat" / "00.png").write_text("no image")
    (folder / "test" / "dog" / "02.png").write_bytes(b"")
    (folder / "test" / "notes.txt").touch()
    Image.new("L", (9, 8)).save("test/wide.png")
    Image.fromarray(np.full((8, 8), 40_000, dtype=np.uint16)).save("test/deep.png")
    arguments = ["predict", "m.skimb", "test", "missing.png", "--csv", "out.csv"]
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert "skimb: 1 file passed over, as no images: 1 .txt" in said
    assert "skimb: 5 of 12 images could not be predicted; the errors are in out.csv" in said
    rows = {row["file"]: row for row in rows_of("out.csv")}
    errors = {file: row["error"] for file, row in rows.items() if row["error"]}
    assert errors == {
        "test/cat/00.png": "not an image",
        "test/dog/02.png": "empty file",
        "test/wide.png": "it is 9x8 (width x height), and the model reads 8x8 (--size 8 resizes)",
        "test/deep.png": "it has more than 8 bits per channel, and the model reads 8",
        "missing.png": errors["missing.png"],
    }
    assert {rows[file]["label"] for file in errors} == {rows["missing.png"]["p[cat]"]} == {""}
    assert rows["test/dog/01.png"]["label"] == "dog"
    capsys.readouterr()
    assert main(["predict", "m.skimb", "test/wide.png", "--size", "8"]) == 0
    assert main(["predict", "m.skimb", "test/wide.png", "--size", "9"]) == 1
    assert "--size 9 does not fit" in capsys.readouterr().err


def test_a_batch_that_fails_does_not_cost_the_good_images(folder, monkeypatch):
    from skimb.neural_network import CNNClassifier

    original = CNNClassifier.predict_log_proba
    bad = np.asarray(Image.open("test/dog/04.png"))

    def fail(self, X):
        if any(np.array_equal(np.squeeze(image), bad) for image in X):
            raise RuntimeError("out of something")
        return original(self, X)

    monkeypatch.setattr(CNNClassifier, "predict_log_proba", fail)
    assert main(["predict", "m.skimb", "test", "--csv", "out.csv"]) == 1
    errors = {row["file"]: row["error"] for row in rows_of("out.csv") if row["error"]}
    assert errors == {"test/dog/04.png": "RuntimeError: out of something"}


def test_a_spreadsheet_runs_no_name(folder):
    names = ["=cmd|' -C calc'!A0.png", "+1.png", "@x.png", 'a"b,c.png', "x\ny.png", "a;=1.png"]
    names += ["b\r=1.png"]
    for name in names:
        shutil.copy("test/cat/00.png", name)
    assert main(["predict", "m.skimb", *sorted(names), "--csv", "out.csv"]) == 0
    found = [row["file"] for row in rows_of("out.csv")]
    # Some spreadsheets split lines at semicolons.
    safe = [name.replace(";=", ";'=").replace("\r=", "\r'=") for name in sorted(names)]
    assert found == [f"'{name}" if name[0] in "=+@" else name for name in safe]


@pytest.mark.parametrize(
    "damage",
    [
        {"dtype": "nonsense"},
        {"resizes": "no"},
        {"columns": {"image": 3}},
        {"bins": {"edges": [0.0, 1.0]}},
        {"bins": {"edges": [0.0, 1.0], "counts": [10**12]}},
        {"bins": {"edges": [1.0, 0.0], "counts": [1]}},
    ],
)
def test_facts_that_no_fit_has_stored_are_refused(damage, folder, capsys):
    from skimb.neural_network import load

    save(load("m.skimb"), "bad.skimb", metadata=facts_of("m.skimb") | damage)
    assert main(["evaluate", "bad.skimb", "test"]) == 1
    assert "the facts that skimb fit has stored in it do not fit" in error_of(capsys)


def test_classes_that_look_like_formulas_are_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "train", 8, classes=("=1+1", "-1"))
    fit = ["fit", "train", "--strategy", "none", "--epochs", "1", "--test", "train", "--out", "m"]
    assert main(fit) == 0
    assert main(["predict", "m", "train", "--csv", "out.csv"]) == 0
    labels = {row["label"] for row in rows_of("out.csv")}
    assert labels <= {"'=1+1", "-1"}


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no UTF-8")
def test_names_of_any_bytes_are_written(folder):
    shutil.copy(b"test/cat/00.png", b"caf\xe9.png")
    name = b"caf\xe9.png".decode(errors="surrogateescape")
    assert main(["predict", "m.skimb", name, "--csv", "out.csv"]) == 0
    assert rows_of("out.csv")[0]["file"] == "caf\\udce9.png"


def test_images_are_read_when_their_batch_is_predicted(folder, monkeypatch):
    from skimb._command_line import _batch_prediction
    from skimb._command_line._models import load_model

    monkeypatch.setattr(_batch_prediction, "MOST_IMAGES", 2)
    asked = []

    def files():
        for i in range(10**9):
            asked.append(i)
            yield "test/cat/00.png"

    model = load_model(Path("m.skimb"))
    found = _batch_prediction.predictions(model, files(), resizes=False)
    for _ in range(3):
        next(found)
    assert len(asked) == 4


def test_an_interrupt_leaves_the_older_file(folder, monkeypatch, capsys):
    Path("out.csv").write_text("older")
    before = sorted(folder.iterdir())
    monkeypatch.setattr(
        "skimb._command_line._batch_prediction.decode", Mock(side_effect=KeyboardInterrupt)
    )
    assert main(["predict", "m.skimb", "test", "--csv", "out.csv"]) == 130
    first, second = capsys.readouterr().err.splitlines()
    assert first == "predicting the images of test"
    assert second == "skimb: interrupted; no file is half-written"
    assert Path("out.csv").read_text() == "older"
    assert sorted(folder.iterdir()) == before


def test_a_training_that_is_interrupted_names_the_checkpoint(folder, monkeypatch, capsys):
    monkeypatch.setattr("skimb.study.strategy_estimator", Mock(side_effect=KeyboardInterrupt))
    fit = ["fit", "train", "--strategy", "none", "--out", "again", "--checkpoint", "so far"]
    assert main(fit) == 130
    assert "the same command goes on from so far" in capsys.readouterr().err
    assert not Path("again").exists()


def test_a_bar_is_for_terminals_alone(folder, monkeypatch, capsys):
    assert main(["predict", "m.skimb", "test", "--csv", "out.csv"]) == 0
    assert capsys.readouterr().err == "predicting the images of test\n"
    monkeypatch.setattr("skimb._command_line._streams.Stream.isatty", lambda self: True)
    assert main(["predict", "m.skimb", "test", "--csv", "out.csv"]) == 0
    assert "9/9" in capsys.readouterr().err


@pytest.mark.slow
def test_a_redirected_fit_says_how_far_it_is(folder, monkeypatch, capsys):
    monkeypatch.setattr("skimb._command_line._progress_lines.SECONDS_PER_LINE", 0.005)
    assert main(["fit", "train", "--strategy", "none", "--epochs", "3", "--out", "told.skimb"]) == 0
    told = capsys.readouterr().err
    assert re.search(r"^[123] of 3 epochs; 00:0\d elapsed, about 00:00 left$", told, re.MULTILINE)
    assert main(["evaluate", "told.skimb", "test"]) == 0
    assert capsys.readouterr().err.startswith("predicting 9 images of test\n")


def test_nothing_is_predicted_for_a_reader_who_has_gone(folder, monkeypatch):
    from skimb._command_line import _predict

    read = []
    original = _predict.predictions

    def counted(*args, **kwargs):
        for found in original(*args, **kwargs):
            read.append(found)
            yield found

    monkeypatch.setattr(_predict, "predictions", counted)
    gone = io.StringIO()
    monkeypatch.setattr(gone, "write", Mock(side_effect=BrokenPipeError))
    monkeypatch.setattr("sys.stdout", gone)
    assert main(["predict", "m.skimb", "test"]) == 141
    assert len(read) == 1


def test_a_folder_without_images_exits_with_1(folder, capsys):
    (folder / "nothing").mkdir()
    assert main(["predict", "m.skimb", "nothing", "--csv", "out.csv"]) == 1
    assert "nothing holds no image" in error_of(capsys)
    assert not Path("out.csv").exists()


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_damaged_model_exits_with_1(command, folder, capsys):
    Path("m.skimb").write_bytes(Path("m.skimb").read_bytes()[:-20])
    assert main([command, "m.skimb", "test"]) == 1
    assert "m.skimb" in error_of(capsys)


@pytest.fixture(scope="module")
def models_of_frames(tmp_path_factory):
    """Return the files of models that read frames, one of which is a Pipeline."""
    folder, labels = tmp_path_factory.mktemp("frames"), ["cat"] * 12 + ["dog"] * 12
    pixels = np.random.RandomState(0).randint(0, 255, size=(24, 8, 8), dtype=np.uint8)
    frame = pd.DataFrame({"photo": list(pixels), "age": range(24)})
    network = CNNClassifier("linear", image_column="photo", max_epochs=1, device="cpu")
    models = {
        "network": network,
        "pipeline": make_pipeline(CNNEmbedder(network), LogisticRegression()),
    }
    for name, model in models.items():
        save(model.fit(frame, labels), folder / name)
    return folder


@pytest.mark.parametrize("name", ["network", "pipeline"])
@pytest.mark.parametrize(
    ("arguments", "fix"),
    [
        (["predict", "MODEL", "test"], "load('MODEL').predict(frame)"),
        (["predict", "MODEL", "table.csv", "--image-column", "image"], ".predict(frame)"),
        (["evaluate", "MODEL", "test"], ".predict(frame)"),
        (["export", "MODEL", "--onnx", "m.onnx"], "fit an estimator on the images alone"),
    ],
    ids=["folder", "table", "evaluate", "export"],
)
def test_a_model_that_reads_frames_is_refused_with_the_call_in_python(
    name, arguments, fix, models_of_frames, folder, capsys
):
    if arguments[0] == "export":
        pytest.importorskip("onnxscript")
    path = str(models_of_frames / name)
    assert main([path if part == "MODEL" else part for part in arguments]) == 1
    assert fix.replace("MODEL", path) in (line := error_of(capsys))
    assert "reads frames (`image_column`='photo')" in line
    assert not Path("m.onnx").exists()


# ------------------------------------------------------------------------- evaluate


def test_an_evaluation_as_text_json_and_html(folder, capsys):
    # Two images in the folder of the other class are confident mistakes.
    for i in range(2):
        shutil.move(f"test/dog/0{i}.png", f"test/cat/wrong {i}.png")
    files = ["--json", "e.json", "--report", "e.html"]
    assert main(["evaluate", "m.skimb", "test", *files]) == 0
    text = capsys.readouterr().out
    assert "precision  recall    f1  support" in text
    assert "\ndecisions: the most probable class\n" in text
    assert "the most confident mistakes, with the probability of that class\ntest/cat/wrong" in text
    figures = json.loads(Path("e.json").read_text())
    assert figures["schema"] == 1
    assert (figures["task"], figures["minority"]) == ("classification", "cat")
    assert figures["confusion_matrix"] == [[3, 2], [0, 4]]
    assert figures["per_class"]["cat"]["recall"] == 3 / 5
    assert {mistake["file"] for mistake in figures["mistakes"]} == {
        "test/cat/wrong 0.png",
        "test/cat/wrong 1.png",
    }
    assert figures["mistakes"][0]["probability"] >= figures["mistakes"][1]["probability"] > 0.5
    page = Path("e.html").read_text()
    assert page.count(' src="data:image/') == page.count("An image of cat, taken for dog") == 2
    assert "test/cat/wrong 1.png" in page


def test_an_evaluation_of_numbers_shows_the_largest_errors(folder, capsys):
    assert main(["evaluate", "numbers.skimb", "table.csv", "--report", "e.html"]) == 0
    assert "the largest errors\ntrain/" in capsys.readouterr().out
    page = Path("e.html").read_text()
    assert 'aria-label="Predictions of the model over the truth' in page
    assert "An image whose prediction is too low" in page


def test_labels_that_the_model_does_not_know_are_named(folder, capsys):
    Path("test/cat").rename("test/cow")
    assert main(["evaluate", "m.skimb", "test", "--json", "e.json"]) == 1
    error = error_of(capsys)
    assert "test has the classes ['cow', 'dog'], and m.skimb knows ['cat', 'dog']" in error
    assert not Path("e.json").exists()


def test_one_class_alone_can_be_evaluated(folder, capsys):
    shutil.rmtree("test/cat")
    assert main(["evaluate", "m.skimb", "test"]) == 0
    assert "6 images: " in capsys.readouterr().out


def test_broken_images_cannot_be_evaluated_and_are_named(folder, capsys):
    (folder / "test" / "cat" / "00.png").write_text("no image")
    assert main(["evaluate", "m.skimb", "test", "--json", "e.json"]) == 1
    error = error_of(capsys)
    assert "1 of 9 images cannot be evaluated: test/cat/00.png (not an image)" in error
    assert not Path("e.json").exists()


def test_a_folder_for_a_model_of_numbers_exits_with_1(folder, capsys):
    assert main(["evaluate", "numbers.skimb", "test"]) == 1
    assert "test is a folder, and numbers.skimb predicts numbers" in error_of(capsys)


# ------------------------------------------------------------------------- export


@pytest.mark.slow
def measures_of(path):
    figures = json.loads(Path(path).read_text())
    return {
        f"{name}.{measure}": value
        for name, part in figures.items()
        if isinstance(part, dict)
        for measure, value in part.items()
        if isinstance(value, float)
    }


@pytest.mark.exhaustive
@pytest.mark.slow
def test_an_onnx_file_predicts_and_is_evaluated_as_its_model(folder, capsys):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    for model in ("m", "numbers"):
        assert main(["export", f"{model}.skimb", "--onnx", f"{model}.onnx"]) == 0
        data = ["table.csv", "--image-column", "image"]
        for kind in ("skimb", "onnx"):
            assert main(["predict", f"{model}.{kind}", *data, "--csv", f"{kind}.csv"]) == 0
            # The facts of the training are in both files.
            table = ["table.csv", "--target", "level"] if model == "numbers" else ["test"]
            assert main(["evaluate", f"{model}.{kind}", *table, "--json", f"{kind}.json"]) == 0
        assert measures_of("onnx.json") == pytest.approx(measures_of("skimb.json"), abs=1e-3)
        for row, other in zip(rows_of("skimb.csv"), rows_of("onnx.csv"), strict=True):
            assert row.keys() == other.keys()
            for name, cell in row.items():
                if name in ("file", "label", "error"):
                    assert other[name] == cell
                else:
                    assert float(other[name]) == pytest.approx(float(cell), abs=1e-3)
    Path("m.onnx").rename("renamed")
    assert main(["predict", "renamed", "test"]) == 1
    assert "renamed is an ONNX file. Give --onnx" in error_of(capsys)
    assert main(["evaluate", "renamed", "test", "--onnx", "--json", "e.json"]) == 0
    assert json.loads(Path("e.json").read_text())["n_samples"] == 9
    assert main(["predict", "m.skimb", "test", "--onnx"]) == 1
    assert "m.skimb" in capsys.readouterr().err


# ------------------------------------------------------------------------- pages

#: Options that make the commands of a page quick.
QUICK = {
    "compare": ["--epochs", "1", "--folds", "2", "--jobs", "1", "--strategies", "over,prior_shift"],
    "fit": ["--epochs", "1"],
}


def commands_of(page, heading):
    """Return the commands of the console blocks below a heading of a page."""
    text = (ROOT / page).read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def run_commands(commands):
    for skimb, command, *arguments in commands:
        assert skimb == "skimb"
        assert main([command, *arguments, *QUICK.get(command, [])]) == 0, command


def write_digits(root):
    """Write the embedded digits out as the folder that the README speaks of."""
    from skimb.datasets import load_imbalanced_digits

    digits = load_imbalanced_digits()
    names = np.array(digits.target_names)[digits.target]
    for i, (image, label) in enumerate(zip(digits.data, names, strict=True)):
        folder = root / ("train" if i % 3 else "test") / label
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 15).astype(np.uint8)).save(folder / f"{i:04}.png")
    (root / "new").mkdir()
    for i in range(20):
        Image.fromarray((digits.data[i] * 15).astype(np.uint8)).save(root / "new" / f"{i}.png")


@pytest.mark.slow
# A network of one epoch may predict one class only.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_the_commands_of_the_readme_run_on_digits(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_digits(tmp_path / "images")
    commands = commands_of("README.md", "From a verdict to a model")
    assert [command[1] for command in commands] == [
        *("inspect", "compare", "fit", "predict", "evaluate")
    ]
    run_commands(commands)
    assert len(rows_of("predictions.csv")) == 20
    assert "<h2" in Path("evaluation.html").read_text()
    assert "against" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_the_commands_of_the_page_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs/guide/models.md").read_text(encoding="utf-8")
    exec(re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[0], {})
    commands = commands_of("docs/guide/models.md", "The commands")
    run_commands(commands)
    assert {command[1] for command in commands} == {*QUICK, "predict", "evaluate", "export"}
    assert Path("digits.onnx").stat().st_size > 1000


# ------------------------------------------------------------------------- damaged comparisons


def places_of(value, place=()):
    """Yield the place of each value within nested lists and dicts."""
    yield place
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(
        value, list
    ) else ()  # fmt: skip
    for key, part in parts:
        yield from places_of(part, (*place, key))


def with_other(value, place, other):
    """Return a copy of nested lists and dicts with another value at one place."""
    if not place:
        return other
    copy = value.copy()
    copy[place[0]] = with_other(value[place[0]], place[1:], other)
    return copy


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_comparison_that_is_damaged_anywhere_is_read_or_refused(result, folder):
    from skimb._command_line import _fit
    from skimb._command_line._figures import read_comparison
    from skimb._command_line._inputs import Inputs

    data = Inputs(None, np.array(["cat", "dog"]))
    path = Path("damaged.json")

    def complaint(place, other):
        path.write_text(json.dumps(with_other(result, place, other)))
        try:
            comparison = read_comparison(path)
            comparison.check_data(data)
            winner = comparison.winner()
            _fit._words_of_choice(winner, comparison)
            comparison.built_in(winner["strategy"])
            comparison.parameters()
            comparison.image_shape()
            _fit._figures_of(comparison, winner["strategy"], False)
        except ValueError as exc:
            return str(exc)
        return None

    others = (None, [], {}, "x", -1, 10**30, 1e400, [[1]], {"a": 1})
    pairs = [(place, other) for place in places_of(result) for other in others]
    chosen = np.random.RandomState(0).permutation(len(pairs))[:200]
    short = [pair for pair in pairs if len(pair[0]) < 2 or "confusion_matrix" in pair[0]]
    found = [complaint(*pair) for pair in (*short, *(pairs[i] for i in chosen))]
    refused = [text for text in found if text is not None]
    assert len(found) > len(refused) > 20
    assert not [text for text in refused if "damaged.json" not in text]
