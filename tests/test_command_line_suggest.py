"""``skimb suggest``: which images to label next, as a table and a contact sheet."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_outputs import complaints, rows_of
from PIL import Image

from skimb.__main__ import main

CLASSES = {"<cat>": 90, "dog": 150}


def write_images(folder, levels, *, seed):
    """Write images of 8 x 8 with these levels of brightness."""
    rng = np.random.RandomState(seed)
    folder.mkdir(parents=True)
    for i, level in enumerate(levels):
        pixels = np.clip(level + 40 * rng.randn(8, 8), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02}.png")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model of two classes, one of numbers, labelled images and a pool."""
    root = tmp_path_factory.mktemp("suggest")
    for seed, (label, level) in enumerate(CLASSES.items()):
        write_images(root / "train" / label, [level] * (12 + 12 * seed), seed=seed)
        write_images(root / "labelled" / label, [level] * 8, seed=seed + 2)
    write_images(root / "pool" / "deep", np.linspace(60, 180, 30), seed=4)
    rows = [f"train/dog/{i:02}.png,{i / 7}" for i in range(24)]
    (root / "table.csv").write_text("\n".join(["image,level", *rows]))
    files = [f"pool/deep/{i:02}.png" for i in range(30)]
    (root / "pool.csv").write_text("\n".join(["picture", *files]))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        fit = ["--epochs", "4", "--out"]
        assert main(["fit", "train", "--strategy", "none", *fit, "m.skimb"]) == 0
        columns = ["--image-column", "image", "--target", "level"]
        assert main(["fit", "table.csv", *columns, "--strategy", "none", *fit, "n.skimb"]) == 0
    return root


@pytest.fixture
def folder(trained, tmp_path, monkeypatch):
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_a_table_and_a_contact_sheet_hold_the_images_of_each_class(folder, capsys):
    suggest = ["suggest", "m.skimb", "pool", "-n", "8", "--labelled", "./labelled"]
    assert main([*suggest, "--csv", "o.csv", "--sheet", "s.html"]) == 0
    printed = capsys.readouterr()
    assert "8 suggestions: o.csv\ncontact sheet: s.html" in printed.out
    assert "images of ./labelled\n" in printed.err
    rows = rows_of("o.csv")
    assert [row["rank"] for row in rows] == [str(i) for i in range(1, 9)]
    assert {row["class"] for row in rows} == {"<cat>"}
    assert {row["label"] for row in rows} == {""}
    assert {row["file"] for row in rows} <= {f"pool/deep/{i:02}.png" for i in range(30)}
    assert all(0 <= float(row["probability"]) <= 1 and not row["error"] for row in rows)
    page = Path("s.html").read_text()
    assert page.count('src="data:image/png') == 8
    assert "<cat>" not in page
    assert page.count("<h2>Is it") == 1
    assert "The threshold is a probability of &lt;cat&gt; of" in page
    assert "cannot save ticks" in page
    assert page.count('<input type="checkbox">&lt;cat&gt;') == 8
    assert "://" not in page


@pytest.mark.slow
def test_the_table_goes_to_the_standard_output_and_equal_seeds_give_equal_tables(folder, capsys):
    texts = []
    for source in (["pool"], ["pool.csv", "--image-column", "picture"]):
        assert main(["suggest", "m.skimb", *source, "-n", "5", "--seed", "3"]) == 0
        texts.append(capsys.readouterr().out)
    lines = [text.splitlines() for text in texts]
    assert lines[0][0] == "rank,file,class,predicted,probability,reason,error,label"
    assert len(lines[0]) == 6
    assert [Path(line.split(",")[1]).name for line in lines[0]] == [
        Path(line.split(",")[1]).name for line in lines[1]
    ]


@pytest.mark.slow
def test_broken_copied_and_labelled_images_are_told_of_and_not_suggested(folder, capsys):
    Path("pool/broken.png").write_text("no image")
    shutil.copy("pool/deep/03.png", "pool/copy.png")
    shutil.copy("labelled/dog/00.png", "pool/known.png")
    suggest = ["suggest", "m.skimb", "pool", "-n", "99", "--labelled", "labelled"]
    assert main([*suggest, "--csv", "o.csv"]) == 1
    told = "\n".join(complaints(capsys))
    assert "1 of 33 images could not be read; the errors are in o.csv" in told
    assert "1 is labelled already, 1 cannot be read" in told
    rows = pd.read_csv("o.csv", keep_default_na=False)
    assert rows["error"].tolist() == [""] * (len(rows) - 1) + ["not an image"]
    names = set(rows["file"])
    assert "pool/known.png" not in names
    assert len({"pool/copy.png", "pool/deep/03.png"} & names) == 1


@pytest.mark.slow
def test_an_exported_model_suggests_by_its_probabilities(folder, capsys):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    assert main(["export", "m.skimb", "--onnx", "m.onnx"]) == 0
    assert main(["suggest", "m.onnx", "pool", "-n", "6", "--csv", "o.csv"]) == 0
    assert len(rows_of("o.csv")) == 6
    assert "has no embedding" in "\n".join(complaints(capsys))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["n.skimb", "pool"], "tells no probabilities of classes"),
        (["m.skimb", "empty"], "empty holds no image"),
        (["m.skimb", "none.png"], "Of 1 image, none can be read"),
        (["m.skimb", "pool", "--labelled", "pool"], "are not known to it"),
    ],
)
def test_models_and_images_that_do_not_fit_are_refused(arguments, message, folder, capsys):
    Path("empty").mkdir()
    assert main(["suggest", *arguments, "--csv", "o.csv"]) == 1
    assert message in "\n".join(complaints(capsys))
    assert not Path("o.csv").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["m.skimb"], "POOL"),
        (["m.skimb", "nothing"], "neither a folder, nor a table, nor an image"),
        (["m.skimb", "pool", "-n", "0"], "-n"),
        (["m.skimb", "pool", "--labelled", "nothing"], "--labelled nothing is neither"),
        (["m.skimb", "pool", "--csv", "pool/o.csv"], "lies among the images"),
        (["m.skimb", "pool", "--sheet", "labelled/s.html", "--labelled", "labelled"], "lies among"),
        (["m.skimb", "pool", "--csv", "x", "--sheet", "x"], "would both write"),
        (["m.skimb", "pool", "--sheet", "m.skimb"], "would overwrite the model"),
    ],
)
def test_usage_errors_exit_with_2(arguments, message, folder, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["suggest", *arguments])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
