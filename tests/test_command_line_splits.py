"""Splits, groups and checkpoints of ``skimb compare`` on the command line."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skimb.__main__ import main

N = 24
QUICK = ["--epochs", "1", "--jobs", "1", "--strategies", "constant", "--json", "r.json"]
TABLE = ["compare", "table.csv", "--image-column", "image", "--target", "label", *QUICK]
FOLDER = ["compare", "images", *QUICK]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder: images of two classes and three patients, and a table of them."""
    rng = np.random.RandomState(0)
    rows = ["image,label,part,fold,day,patient"]
    for i in range(N):
        label = ["cat", "dog", "dog"][i % 3]
        file = Path("images", label, f"site{i % 2}", f"patient{i // 4}_{i}.png")
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.randint(0, 256, size=(8, 8)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / file)
        part = ["train", "Test", "validation", "train"][i // 3 % 4]
        rows.append(f"{file},{label},{part},{i // 3 % 3},2024-{1 + i // 3:02}-15,{i // 12}")
    (tmp_path / "table.csv").write_text("\n".join(rows))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def protocol():
    return json.loads(Path("r.json").read_text())["protocol"]


@pytest.mark.slow
def test_a_column_names_the_parts(folder, capsys):
    assert main([*TABLE, "--split", "part", "--repeats", "2"]) == 0
    assert "6 rows of the validation part are trained on" in capsys.readouterr().err
    found = protocol()
    assert found["split"] == "part"
    assert found["evaluation"] == "one given test part"
    assert (found["n_runs"], found["n_test_rows"], found["test_share"]) == (2, 6, 0)


@pytest.mark.slow
def test_a_column_names_the_folds(folder):
    assert main([*TABLE, "--split", "fold"]) == 0
    assert protocol()["evaluation"] == "3-fold cross-validation"


@pytest.mark.slow
def test_rows_are_divided_by_time(folder):
    assert main([*TABLE, "--time", "day", "--folds", "3"]) == 0
    found = protocol()
    assert found["time"] == "day"
    assert found["evaluation"] == "3 folds in order, whose training parts grow"
    # As is advised where classes come late.
    assert main([*TABLE, "--time", "day", "--folds", "1"]) == 0
    assert protocol()["n_runs"] == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--split", "label", "--target", "part"], "must hold train, validation and test"),
        (["--split", "patient", "--repeats", "2"], "names 2 folds, which --repeats 2 would"),
        (["--time", "part"], "which is neither a number nor a date"),
        (["--time", "day", "--folds", "20"], "8 different times.*Give --folds 7 or fewer"),
        (["--time", "day", "--group", "fold"], "group of 'fold', '0' first.*by --time day"),
        (["--split", "part", "--group", "patient"], "trained on and tested on by --split part"),
    ],
    ids=["words", "repeats", "no time", "few times", "groups by time", "groups by split"],
)
def test_columns_that_divide_nothing_are_refused_in_a_line(options, words, folder, capsys):
    table = [each for each in TABLE if "--target" not in options or each not in TABLE[4:6]]
    assert main([*table, *options]) == 1
    error = capsys.readouterr().err.splitlines()
    assert len([line for line in error if "validation part" not in line]) == 1

    assert re.search(words, error[-1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*FOLDER, "--split", "part"], "--split is for tables; of a folder, --test names"),
        ([*FOLDER, "--time", "day"], "--time is for tables"),
        ([*TABLE, "--split", "part", "--time", "day"], "--split and --time exclude each other"),
        ([*TABLE, "--split", "part", "--folds", "3"], "--split and --folds exclude each other"),
        ([*TABLE, "--time", "day", "--repeats", "3"], "--time and --repeats exclude each other"),
        ([*TABLE, "--split", "part", "--test", "table.csv"], "--split and --test exclude"),
        ([*TABLE, "--time", "label"], "--time label is given for another column too"),
        ([*TABLE, "--folds", "1"], "--folds must be at least 2; 1 is for --time"),
        ([*TABLE, "--group-pattern", "(a)"], "--group-pattern is for folders"),
        ([*FOLDER, "--group-pattern", "patient"], "has no brackets"),
        ([*FOLDER, "--group-pattern", "(patient"], "is no regular expression"),
        ([*FOLDER, "--checkpoint", "table.csv"], "--checkpoint table.csv must be a folder"),
        ([*FOLDER, "--checkpoint", "images/cat"], "lies among the images"),
    ],
)
def test_options_that_cannot_go_together_are_usage_errors(arguments, words, folder, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pattern", "n_groups"), [(r"patient(\d+)", 6), ("^([^/]+)/", 2)], ids=["name", "sub-folder"]
)
def test_groups_come_from_names_of_files(pattern, n_groups, folder):
    assert main([*FOLDER, "--folds", "2", "--group-pattern", pattern]) == 0
    found = protocol()
    assert (found["n_groups"], found["group_pattern"]) == (n_groups, pattern)


def test_files_without_a_group_are_named(folder, capsys):
    assert main([*FOLDER, "--group-pattern", "patient([1-9])"]) == 1
    error = capsys.readouterr().err
    assert "finds no group in the names of 4 files of images" in error
    assert "images/cat/site0/patient0_0.png first" in error
    # The folder of the class is no part of the name.
    assert main([*FOLDER, "--group-pattern", "(cat|dog)"]) == 1


def test_groups_of_both_folders_are_refused(folder, capsys):
    (folder / "images").rename(folder / "test")
    images = folder / "images"
    for label in ("cat", "dog"):
        (images / label).mkdir(parents=True)
        pixels = np.full((8, 8), len(label), np.uint8)
        for patient in (5, 7):
            Image.fromarray(pixels).save(images / label / f"patient{patient}_{label}.png")
    assert main([*FOLDER, "--test", "test", "--group-pattern", r"patient(\d+)"]) == 1
    assert "1 group of" in capsys.readouterr().err


@pytest.mark.slow
def test_the_same_command_finds_its_fits(folder, capsys):
    arguments = [*FOLDER, "--folds", "2", "--checkpoint", "kept"]
    assert main(arguments) == 0
    first = Path("r.json").read_text()
    assert main(arguments) == 0
    assert "4 of 4 fits are known from" in capsys.readouterr().err
    assert Path("r.json").read_text() == first
    # An image has changed.
    pixels = np.zeros((8, 8), np.uint8)
    Image.fromarray(pixels).save("images/cat/site0/patient0_0.png")
    assert main(arguments) == 0
    error = capsys.readouterr().err
    assert "fits are known" not in error
    assert "kept holds 4 fits of other comparisons or settings" in error
