"""Mistakes of a first use of the command line: each is refused or told in one line."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from skimb.__main__ import main

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


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def facts_of(path) -> Any:
    from skimb.neural_network import read_metadata

    return read_metadata(path)


def complaints(capsys):
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("skimb: ")]


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
        "skimb: 1 of 7 test images equal training images, test/dog/zz.png and train/dog/03.png"
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
    assert "figures of one more training, in which" in printed.out
    facts = facts_of("again")
    assert "result.json" not in facts["figures"]["source"]
    assert "another training" in facts["chosen"]["remark"]


def test_figures_of_the_same_training_are_those_of_the_comparison(folder, capsys):
    best = ["fit", "train", "--strategy", "best", "--from", "result.json", "--out", "again"]
    assert main([*best, "--epochs", "1", "--size", "8"]) == 0
    assert complaints(capsys) == []
    assert facts_of("again")["figures"]["source"].startswith("result.json")
    assert "remark" not in facts_of("again")["chosen"]
