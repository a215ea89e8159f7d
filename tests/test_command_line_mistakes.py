"""Mistakes of a first use of the command line: each is refused or told in one line."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from command_outputs import complaints, facts_of, rows_of
from PIL import Image

from skimb.__main__ import main
from skimb.neural_network import load

FIT = ["fit", "train", "--strategy", "none", "--epochs", "1", "--out", "again"]


def write_images(folder, n_images, *, classes=("cat", "dog"), seed=0):
    """Write images of 8 x 8 of random pixels."""
    rng = np.random.RandomState(seed)
    for label in classes:
        (folder / label).mkdir(parents=True)
        for i in range(n_images):
            pixels = rng.randint(0, 256, size=(8, 8)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{i:02}.png")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with images, a comparison of them and a model; tests leave it as it is."""
    root = tmp_path_factory.mktemp("trained")
    write_images(root / "train", 12)
    write_images(root / "test", 3, seed=1)
    rows = [f"train/{label}/{i:02}.png,{label}" for label in ("cat", "dog") for i in range(12)]
    (root / "table.csv").write_text("\n".join(["image,label", *rows]))
    compare = ["compare", "train", "--folds", "2", "--epochs", "1", "--jobs", "1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert main([*FIT[:-1], "m.skimb", "--test", "test"]) == 0
        assert main([*compare, "--strategies", "over", "--json", "result.json"]) == 0
    return root


@pytest.fixture
def folder(trained, tmp_path, monkeypatch):
    """A copy of these files, as the working folder."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ------------------------------------------------------------------------- test images


def test_test_images_of_a_class_that_the_model_does_not_know_are_refused(folder, capsys):
    Path("test/cat").rename("test/cow")
    assert main([*FIT, "--test", "test"]) == 1
    printed = capsys.readouterr()
    assert "test has the classes ['cow', 'dog'], and a model of train knows" in printed.err
    assert "training" not in printed.err
    assert not Path("again").exists()


def test_test_images_that_equal_training_images_are_told(folder, capsys):
    shutil.copy("train/dog/03.png", "test/dog/zz.png")
    assert main([*FIT, "--test", "test"]) == 0
    [line] = complaints(capsys)
    assert line.startswith(
        "skimb: 1 of 7 test images equals a training image, test/dog/zz.png and train/dog/03.png"
    )
    Path("test/dog/zz.png").unlink()
    assert main([*FIT, "--test", "test"]) == 0
    assert complaints(capsys) == []


def test_labels_beyond_ten_are_counted(folder, capsys):
    write_images(folder / "many", 1, classes=[f"c{i:03}" for i in range(30)])
    assert main(["evaluate", "m.skimb", "many"]) == 1
    [line] = complaints(capsys)
    assert line.count("'c009', ... 30 in all]") == 2
    assert "c010" not in line


# ------------------------------------------------------------------------- figures of --from


def with_the_json(**changes):
    figures = json.loads(Path("result.json").read_text())
    figures["protocol"] |= changes
    Path("result.json").write_text(json.dumps(figures))


@pytest.mark.parametrize(
    ("more", "change", "words"),
    [
        ([], lambda: Path("train/cat/00.png").unlink(), "cat 12 there and 11 here"),
        (["--counts", "dog=9"], None, "dog 12 there and 9 here"),
        (["--epochs", "2"], None, "other epochs (1 there and 2 here)"),
        (["--augmentation", "none"], None, "another augmentation (shift_crop there and None here)"),
        (["--precision", "bfloat16"], None, "another precision (auto there and bfloat16 here)"),
        (["--size", "9"], None, "another size of images ([8, 8] there and [9, 9] here)"),
        ([], lambda: with_the_json(n_groups=7), "other groups"),
        ([], lambda: with_the_json(group="patient"), "other groups"),
    ],
)
def test_figures_of_another_training_are_not_those_of_the_model(
    more, change, words, folder, capsys
):
    if change:
        change()
    best = ["fit", "train", "--strategy", "best", "--from", "result.json", "--out", "again"]
    assert main([*best, *more]) == 0
    printed = capsys.readouterr()
    [line] = [line for line in printed.err.splitlines() if "another training" in line]
    assert line.startswith("skimb: result.json is about another training: ")
    assert words in line
    assert "figures of one more training, with" in printed.out
    facts = facts_of("again")
    assert "result.json" not in facts["figures"]["source"]
    assert "another training" in facts["chosen"]["remark"]


def test_figures_of_the_same_training_are_those_of_the_comparison(folder, capsys):
    best = ["fit", "train", "--strategy", "best", "--from", "result.json", "--out", "again"]
    assert main([*best, "--epochs", "1", "--size", "8"]) == 0
    assert complaints(capsys) == []
    assert facts_of("again")["figures"]["source"].startswith("result.json")
    assert "remark" not in facts_of("again")["chosen"]


def test_the_precision_of_a_comparison_is_that_of_its_model(folder, capsys):
    compare = ["compare", "train", "--strategies", "constant", "--epochs", "1", "--folds", "2"]
    assert main([*compare, "--jobs", "1", "--precision", "bfloat16", "--json", "narrow.json"]) == 0
    capsys.readouterr()
    best = ["fit", "train", "--strategy", "best", "--from", "narrow.json", "--out"]
    assert main([*best, "narrow"]) == 0
    assert complaints(capsys) == []
    assert load("narrow").precision == "bfloat16"


# ------------------------------------------------------------------------- predict and evaluate


def test_a_row_without_a_file_name_does_not_cost_the_others(folder, capsys):
    Path("holes.csv").write_text("image,x\ntrain/cat/00.png,1\n,2\n  ,3\ntrain/dog/00.png,4\n")
    table = ["holes.csv", "--image-column", "image", "--csv", "out.csv"]
    assert main(["predict", "m.skimb", *table]) == 1
    assert [row["error"] for row in rows_of("out.csv")] == ["", "no file name", "no file name", ""]
    assert complaints(capsys) == [
        "skimb: 2 of 4 images could not be predicted; the errors are in out.csv"
    ]


def test_a_table_of_which_no_file_exists_is_asked_about_its_column(folder, capsys):
    Path("sub").mkdir()
    shutil.copy("table.csv", "sub/table.csv")
    table = ["sub/table.csv", "--image-column", "image"]
    labels = ["--target", "label"]
    hint = "names are relative to the folder of the table; is the image column right?"
    assert main(["predict", "m.skimb", *table, "--csv", "out.csv"]) == 1
    assert hint in complaints(capsys)[-1]
    assert main(["evaluate", "m.skimb", *table, *labels]) == 1
    assert hint in complaints(capsys)[-1]
    assert main([FIT[0], *table, *labels, *FIT[2:]]) == 1
    assert hint in complaints(capsys)[-1]
    Path("sub/train/cat").mkdir(parents=True)
    shutil.copy("train/cat/00.png", "sub/train/cat/00.png")
    assert main(["predict", "m.skimb", *table, "--csv", "out.csv"]) == 1
    assert hint not in complaints(capsys)[-1]


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_a_link_into_its_own_folder_predicts_no_image_twice(folder):
    os.symlink(".", "test/aloop")
    os.symlink("dog", "test/alink")
    os.symlink("../train/cat", "test/other")
    os.symlink("../train/cat", "test/other2")
    shutil.rmtree("train/dog")
    assert main(["predict", "m.skimb", "test", "--csv", "out.csv"]) == 0
    files = [row["file"] for row in rows_of("out.csv")]
    assert len(files) == len({os.path.realpath(file) for file in files})
    assert len([file for file in files if file.startswith(("test/cat", "test/dog"))]) == 6
    assert len([file for file in files if file.startswith("test/other/")]) == 12


def test_means_over_classes_say_which_classes_have_images(folder, capsys):
    shutil.rmtree("test/cat")
    assert main(["evaluate", "m.skimb", "test", "--json", "e.json", "--report", "e.html"]) == 0
    printed = capsys.readouterr()
    # Old versions of matplotlib use what a new pyparsing calls deprecated.
    expected = ("deprecated", "predicting 3 images of test")
    lines = printed.err.splitlines()
    assert not [line for line in lines if not any(words in line for words in expected)]
    remark = "There are no images of these classes: cat. There are no means."
    assert printed.out.splitlines()[2] == remark
    assert remark in Path("e.html").read_text()
    assert list(json.loads(Path("e.json").read_text())["scores"]) == ["accuracy"]


def test_one_class_that_is_always_right_gives_no_warning(folder, capsys, monkeypatch):
    from skimb.study import ClassificationEvaluation

    found = ClassificationEvaluation(["a"] * 3, ["a"] * 3, classes=["a", "b", "c"])
    assert found.scores == {"accuracy": 1}
    found = ClassificationEvaluation(["a", "b"], ["a", "a"], classes=["a", "b", "c"])
    assert found.scores["balanced_accuracy"] == 0.5
    assert "no images of these classes: c. Means are over the other classes." in str(found)


def test_advice_names_options_that_the_command_has(folder, capsys):
    from skimb.datasets import read_images
    from skimb.neural_network import CNNRegressor, save

    rows = Path("table.csv").read_text().splitlines()
    files = [row.split(",")[0] for row in rows[1:]]
    y = np.linspace(0, 1, len(files))
    save(CNNRegressor(max_epochs=1).fit(read_images(files), y), "numbers.skimb")
    table = ["table.csv", "--image-column", "image", "--target", "label"]
    assert main(["evaluate", "numbers.skimb", *table]) == 1
    [line] = complaints(capsys)
    assert line.endswith("or give another --target, as the model predicts numbers.")
    assert "--task" not in line


def test_a_training_that_is_too_short_names_the_option(folder, capsys, monkeypatch):
    falls = "skimb.neural_network._training_record.still_falls"
    monkeypatch.setattr(falls, lambda losses, n_steps: True)
    assert main([*FIT, "--test", "test"]) == 0
    [line] = complaints(capsys)
    assert line.endswith("Give more --epochs, or leave --epochs out.")
    assert "max_epochs" not in line
    # Without --epochs, the training is as long as that of the comparison.
    of_file = ["fit", "train", "--strategy", "none", "--from", "result.json", "--out", "again"]
    assert main([*of_file, "--test", "test"]) == 0
    assert complaints(capsys)[-1].endswith("Compare with more --epochs, or give them here.")


# ------------------------------------------------------------------------- usage


@pytest.mark.parametrize(
    ("arguments", "message", "command"),
    [
        (["fit", "train", "--out", "m"], "required: --strategy", "skimb fit"),
        (["fit", "nothing", "--strategy", "none", "--out", "m"], "neither a folder", "skimb fit"),
        (["predict", "m.skimb", "test", "--magic"], "--magic", "skimb predict"),
        (["compare", "train", "--strategies", "a\nb"], "unknown strategies", "skimb compare"),
        ([], "COMMAND", "skimb"),
    ],
)
def test_a_usage_error_is_one_line_with_the_help_to_read(
    arguments, message, command, folder, capsys
):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    printed = capsys.readouterr()
    [line] = printed.err.splitlines()
    assert line.startswith("skimb: error: ")
    assert message in line
    assert line.endswith(f"(see {command} --help)")
    assert printed.out == ""


@pytest.mark.parametrize(("command", "n_constant"), [("compare", 2), ("fit", 0)])
def test_the_help_lists_the_strategies(command, n_constant, capsys):
    from skimb._strategy_names import FURTHER_STRATEGIES, REGRESSION_STRATEGIES, STRATEGIES

    with pytest.raises(SystemExit):
        main([command, "--help"])
    lines = capsys.readouterr().out.split("strategies for labels:")[1].splitlines()
    names = [line.split()[0] for line in lines if line.startswith("  ")]
    assert names.count("constant") == n_constant
    known = {*STRATEGIES, *FURTHER_STRATEGIES, *REGRESSION_STRATEGIES}
    assert {*names, "constant"} == known


@pytest.mark.parametrize("place", ["afile/so far", "afile/deep/so far", "/proc/nothing/so far"])
@pytest.mark.parametrize(
    ("option", "content"), [("--checkpoint", "checkpoints"), ("--cache", "decoded images")]
)
def test_a_folder_that_cannot_be_written_is_a_usage_error(option, content, place, folder, capsys):
    Path("afile").touch()
    with pytest.raises(SystemExit) as stop:
        main([*FIT, option, place])
    assert stop.value.code == 2
    assert f"cannot write {content} to {place}" in capsys.readouterr().err


def test_a_write_protected_file_is_not_overwritten(folder, capsys, monkeypatch):
    # As for a user who is not root.
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "result.json")
    before = Path("result.json").read_bytes()
    with pytest.raises(SystemExit) as stop:
        main(["inspect", "train", "--json", "result.json"])
    assert stop.value.code == 2
    assert "cannot write result.json: it is write-protected" in capsys.readouterr().err
    assert Path("result.json").read_bytes() == before


def test_a_cache_among_the_images_is_a_usage_error(folder, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*FIT, "--cache", "train/cat"])
    assert stop.value.code == 2
    assert "--cache train/cat lies among the images of train" in capsys.readouterr().err


def test_a_checkpoint_in_folders_that_are_still_to_make_is_no_mistake(folder):
    assert main([*FIT, "--test", "test", "--checkpoint", "some/so far"]) == 0


# ------------------------------------------------------------------------- progress


# The file of a tuned threshold never holds its scorer.
@pytest.mark.filterwarnings("ignore:.* has their defaults. scoring:UserWarning")
@pytest.mark.parametrize(("name", "n_bars"), [("over", 1), ("threshold", 3), ("linear", 1)])
def test_a_training_has_a_bar_on_a_terminal_alone(name, n_bars, folder, monkeypatch, capsys):
    fit = ["fit", "train", "--strategy", name, "--epochs", "1", "--test", "test", "--out"]
    assert main([*fit, "piped"]) == 0
    assert "epoch" not in capsys.readouterr().err.replace("--epochs", "")
    monkeypatch.setattr("skimb._command_line._streams.Stream.isatty", lambda self: True)
    assert main([*fit, "shown"]) == 0
    # On a busy machine a bar may be drawn twice at its end; each has a line of its own.
    assert sum(" 1/1 " in line for line in capsys.readouterr().err.split("\n")) == n_bars
    from skimb.datasets import read_images
    from skimb.neural_network import load

    X = read_images([f"test/cat/0{i}.png" for i in range(3)])
    proba = [load(Path(path)).predict_proba(X) for path in ("piped", "shown")]
    assert np.array_equal(*proba)


def test_names_that_look_like_options_are_given_after_two_dashes(folder):
    shutil.copy("test/cat/00.png", "-1+1.png")
    assert main(["predict", "m.skimb", "--csv", "a.csv", "--", "-1+1.png"]) == 0
    assert main(["predict", "m.skimb", "./-1+1.png", "--csv", "b.csv"]) == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="names that are no UTF-8")
def test_classes_with_names_that_are_no_utf_8_are_trained_on_and_told(folder, capsys):
    # With two classes reports hold more than with many, and a fit holds images out for figures.
    name = os.fsdecode(b"caf\xe9")
    for part in ("train", "test"):
        Path(part, "cat").rename(Path(part, name))
    compare = ["compare", "train", "--strategies", "over", "--folds", "2", "--epochs", "1"]
    deployment = ["--costs", "miss=2,alarm=1"]
    assert main([*compare, *deployment, "--jobs", "1", "--report", "r.html"]) == 0
    assert "caf\\xe9" in Path("r.html").read_text()
    assert main([*FIT, *deployment]) == 0
    assert main(["evaluate", "again", "test", "--report", "e.html"]) == 0
    assert main(["suggest", "again", "test", "-n", "4", "--csv", "s.csv", "--sheet", "s.html"]) == 0
    assert main(["predict", "again", "test", "--csv", "p.csv"]) == 0
    assert len(rows_of("p.csv")) == 6
