"""An inspection beyond copies: broken files, classes, names, advice, labels and files."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from skimb.__main__ import main
from skimb.datasets import load_image_folder, load_imbalanced_digits
from skimb.neural_network import CNNClassifier
from skimb.study import compare, inspect_images, leak_worth, near_copies_worth
from skimb.study._inspect._doubtful import doubtful_labels
from skimb.study._inspect._rules import RULES
from skimb.study._inspect._samples import read_samples
from skimb.study._inspect._words import nothing_found

#: Sections of a report, in their order.
SECTIONS = ("verdict", "copies", "figures")


def noise(seed, side=24, mode="L"):
    shape = (side, side) if mode == "L" else (side, side, 3)
    rng = np.random.RandomState(seed)
    return Image.fromarray(rng.randint(256, size=shape, dtype=np.uint8))


@pytest.fixture
def folder(tmp_path):
    """A folder of two classes with seven images each, all of them different."""
    for k, label in enumerate(("kätze <b>", "dog")):
        (tmp_path / "train" / label).mkdir(parents=True)
        for i in range(7):
            noise(100 * k + i).save(tmp_path / "train" / label / f"{i}.png")
    return tmp_path / "train"


def files_of(folder):
    files = sorted(folder.rglob("*.*"))
    return [str(file) for file in files], [file.parent.name for file in files]


def test_broken_files_are_named_and_the_inspection_goes_on(folder):
    (folder / "dog" / "broken.jpg").write_bytes(b"no image")
    (folder / "dog" / "empty.png").write_bytes(b"")
    found = inspect_images(*files_of(folder))
    assert [reason for _, reason in sorted(found.broken.items())] == ["not an image", "empty file"]
    assert found.counts == {"dog": 7, "kätze <b>": 7}
    assert len(found.groups) == 16
    told = "16 training images, 0 test images; 2 of these cannot be read, and are not counted below"
    assert str(found).splitlines()[0] == told


def test_an_inspection_without_a_readable_image_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="Of 1 image, none can be read"):
        inspect_images([str(tmp_path / "a.png")])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"X": []}, "`X` is empty"),
        ({"y": [0]}, "inconsistent numbers"),
        ({"X_test": np.zeros((2, 8, 8), np.uint8), "y": [0, 1]}, "belong together"),
        ({"labels": True}, "needs the labels"),
        ({"names": ["a"]}, "one name for each image"),
    ],
)
def test_bad_input_is_refused_before_any_work(given, words):
    with pytest.raises(ValueError, match=words):
        inspect_images(**{"X": np.zeros((2, 8, 8), np.uint8), **given})


def test_a_format_that_only_one_class_has_is_told(folder):
    for file in (folder / "dog").glob("*.png"):
        Image.open(file).save(file.with_suffix(".jpg"), quality=95)
        file.unlink()
    found = inspect_images(*files_of(folder))
    told = {(one["property"], one["value"], one["class"]) for one in found.shortcuts}
    assert ("format", "JPEG", "dog") in told
    assert "properties of files" in [one["rule"] for one in found.advice]


def test_files_of_several_depths_are_told(folder):
    deep = np.asarray(noise(1)).astype(np.uint16) * 257
    Image.fromarray(deep).save(folder / "dog" / "deep.tif")
    [advice] = [
        one["advice"]
        for one in inspect_images(*files_of(folder)).advice
        if one["rule"] == "depths differ"
    ]
    assert "1 of 15 have more than 8 bits per channel" in advice
    assert "deep.tif first" in advice
    for path in folder.rglob("*.png"):
        path.unlink()
    Image.fromarray(deep[::-1]).save(folder / "dog" / "deep2.tif")
    rules = [one["rule"] for one in inspect_images([*map(str, folder.rglob("*.tif"))]).advice]
    assert "depths differ" not in rules


def test_a_source_in_file_names_is_told_and_plain_numbers_are_not(folder):
    assert inspect_images(*files_of(folder)).sources == []
    noise(1000).save(folder / "dog" / "patient12_frame1.png")
    noise(1001).save(folder / "dog" / "patient12_frame2.png")
    noise(1002).save(folder / "dog" / "patient7_frame1.png")
    found = inspect_images(*files_of(folder))
    assert [(one["stem"], one["n_train"]) for one in found.sources] == [("patient12", 2)]


def test_one_class_and_absent_classes_get_advice():
    images = np.stack([np.asarray(noise(i)) for i in range(6)])
    assert "one class" in [one["rule"] for one in inspect_images(images, ["a"] * 6).advice]
    found = inspect_images(
        images[:4], ["a", "a", "b", "b"], X_test=images[4:], y_test=["a", "c"], n_jobs=1
    )
    words = next(one["advice"] for one in found.advice if one["rule"] == "classes without images")
    assert "the test set has no image of b" in words
    assert "the training set has no image of c" in words


def test_each_rule_has_a_reason_and_a_link():
    assert len({rule.name for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.why.endswith(".")
        assert rule.link.startswith(("https://", "docs/guide/"))


def test_the_files_hold_everything_and_texts_are_escaped(folder, tmp_path):
    (folder / "dog" / "broken<i>.jpg").write_bytes(b"no image")
    Image.new("L", (24, 24), 7).save(folder / "dog" / "black.png")
    Image.open(folder / "dog" / "0.png").rotate(180).save(folder / "kätze <b>" / "turned.png")
    found = inspect_images(*files_of(folder))
    found.to_json(tmp_path / "found.json")
    found.to_html(tmp_path / "found.html")
    figures = json.loads((tmp_path / "found.json").read_text())
    assert figures["schema"] == 1
    assert [one["labels"] for one in figures["copies"]] == [["dog", "kätze <b>"]]
    assert figures["copies"][0]["change"] == "turned by 180 degrees"
    page = (tmp_path / "found.html").read_text()
    assert "kätze &lt;b&gt;" in page
    assert "<b>.jpg" not in page
    assert "<i>" not in page
    assert "turned by 180 degrees" in page
    assert "1 pair of equal or similar images in two classes" in str(found)


@pytest.mark.slow
def test_planted_label_flips_rank_high():
    X, y = load_imbalanced_digits(return_X_y=True)
    X, y = X[-500:], y[-500:].copy()
    flipped = np.flatnonzero(y == 0)[:4]
    y[flipped] = 1
    samples = read_samples(X, y)
    found = doubtful_labels(
        X,
        samples,
        np.arange(len(y)),
        estimator=CNNClassifier(max_epochs=8, random_state=0, target_prior="uniform"),
    )
    ranked = [one["row"] for one in found if one["label"] == 1]
    assert len(set(flipped.tolist()) & set(ranked[:5])) >= 3


def test_labels_to_look_at_are_no_sign_that_nothing_was_found():
    assert nothing_found(SimpleNamespace(doubtful=[])).startswith("Nothing was found")
    found = nothing_found(SimpleNamespace(doubtful=[{"file": "a.png"}]))
    assert found == "No rule asks for a change; look at the labels that are listed."


def test_a_leak_is_worth_the_difference_of_the_figures():
    found = leak_worth([1, 1, 0, 0], [1, 0, 0, 0], [True, False, False, False], minority=1)
    assert found["n_copies"] == 1
    assert found["f1_minority"] == {"with": 2 / 3, "without": 0.0}
    assert found["balanced_accuracy"] == {"with": 0.75, "without": 0.5}
    found = leak_worth([1, 0], [1, 0], [True, False], minority=1)
    assert found["f1_minority"] == {"with": 1.0, "without": None}
    with pytest.raises(ValueError, match="of one length"):
        leak_worth([1, 0], [1], [True, False], minority=1)


@pytest.mark.slow
def test_a_comparison_says_what_copies_are_worth(tmp_path):
    X, y = load_imbalanced_digits(return_X_y=True)
    result = compare(
        *(X[:300], y[:300]),
        strategies=["none"],
        estimator=CNNClassifier(max_epochs=1),
        X_test=X[-300:],
        y_test=y[-300:],
        random_state=0,
    )
    result.near_copies = near_copies_worth(result, np.arange(300) < 37)
    assert "37 of 300 test images equal a training image or are similar to one" in str(result)
    result.to_html(tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text()
    verdict, copies, figures = (page.index(f'<section id="{name}"') for name in SECTIONS)
    assert verdict < copies < figures
    assert "37 of 300 test images equal a training image" in page[copies:figures]
    told = result.to_dict()["near_copies"]["strategies"]["none"]["f1_minority"]
    assert f"{told['without']:.3f}" in page[copies:figures]
    assert told["with"] == result.to_dict()["strategies"]["none"]["f1_minority"]["mean"]


def test_the_command_inspects_a_folder(folder, tmp_path, capsys):
    test = tmp_path / "test" / "dog"
    test.mkdir(parents=True)
    Image.open(folder / "dog" / "3.png").rotate(90).save(test / "copy.png")
    status = main(
        [
            *("inspect", str(folder), "--test", str(tmp_path / "test")),
            *("--json", str(tmp_path / "a.json"), "--report", str(tmp_path / "a.html")),
        ]
    )
    out, err = capsys.readouterr()
    assert status == 0
    assert "1 pair of equal or similar images on both sides of the test split" in out
    assert "reading images ..." in err
    assert json.loads((tmp_path / "a.json").read_text())["kind"] == "inspection"


def test_the_command_inspects_a_table_with_a_missing_file(folder, tmp_path, capsys):
    files, labels = files_of(folder)
    rows = [f"{file},{label}" for file, label in zip(files, labels, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["file,label", *rows, "gone.png,dog"]))
    columns = ("--image-column", "file", "--target", "label")
    assert main(["inspect", str(tmp_path / "t.csv"), *columns]) == 0
    assert "1 file cannot be read" in capsys.readouterr().out
    rows = [f'{file},"1,{i}"' for i, file in enumerate(files)]
    (tmp_path / "t.csv").write_text("\n".join(["file,label", *rows]))
    assert main(["inspect", str(tmp_path / "t.csv"), *columns]) == 1
    # This command has no --task.
    assert "Write decimals with a point (1.5).\n" in capsys.readouterr().err


def test_the_command_tells_of_class_folders_that_a_fit_refuses(folder, capsys):
    (folder / "bird").mkdir()
    assert main(["inspect", str(folder)]) == 0
    words = "hold no image: ['bird']"
    assert words in capsys.readouterr().err
    with pytest.raises(ValueError, match=re.escape(words)):
        load_image_folder(folder)


def test_bad_data_exits_with_1_and_bad_usage_with_2(folder, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["inspect", str(tmp_path / "empty")]) == 1
    assert "must have one sub-folder per class" in capsys.readouterr().err
    for arguments in (["digits"], [str(folder), "--target", "x"], [str(tmp_path / "no")]):
        with pytest.raises(SystemExit) as stopped:
            main(["inspect", *arguments])
        assert stopped.value.code == 2


def test_near_copies_of_test_images_are_looked_for_before_the_training(folder, capsys, monkeypatch):
    def fit(self, X, y):
        raise ValueError("the training began")

    monkeypatch.setattr(CNNClassifier, "fit", fit)
    command = ["compare", str(folder), "--test", str(folder), "--strategies", "class_weight"]
    assert main([*command, "--epochs", "1", "--jobs", "1", "--device", "cpu"]) == 1
    told = capsys.readouterr().err
    first, last = told.index("14 of 14 test images equal a"), told.index("the training began")
    assert told.index("looking for copies of the test images") < first < last


def test_the_parent_of_training_and_test_is_refused(tmp_path, capsys):
    for part in ("train", "test"):
        place = tmp_path / part / "cat"
        place.mkdir(parents=True)
        Image.new("L", (8, 8)).save(place / "0.png")
    assert main(["inspect", str(tmp_path)]) == 1
    assert "holds the parts of a data set" in capsys.readouterr().err


@pytest.mark.slow
def test_near_copies_stay_together_in_a_comparison_by_a_flag(folder, tmp_path, capsys):
    Image.open(folder / "dog" / "0.png").rotate(90).save(folder / "dog" / "turned.png")
    status = main(
        [
            *("compare", str(folder), "--strategies", "constant", "--folds", "2", "--epochs", "1"),
            *("--group-near-duplicates", "--jobs", "1", "--json", str(tmp_path / "a.json")),
        ]
    )
    assert status == 0, capsys.readouterr().err
    assert "2 of 15 training images have copies or similar images" in capsys.readouterr().err
    assert json.loads((tmp_path / "a.json").read_text())["protocol"]["n_groups"] == 14


def test_only_equal_images_are_called_equal_and_similar_ones_tell_by_how_much(folder):
    Image.open(folder / "dog" / "0.png").save(folder / "kätze <b>" / "equal.bmp")
    Image.open(folder / "dog" / "1.png").rotate(180).save(folder / "kätze <b>" / "turned.png")
    found = inspect_images(*files_of(folder))
    words = str(found)
    assert "has the same pixels as" in words
    assert "is similar to" in words
    assert "they differ by" in words
    assert "1 pair of the same pixels, 1 pair of similar images" in words
    advice = next(one["advice"] for one in found.advice if one["rule"] == "labels of copies differ")
    assert "1 pair of equal images in two classes: one label of each is wrong" in advice
    assert "Look at 1 pair of similar images" in advice


def test_test_images_are_to_be_removed_only_if_they_are_equal(folder):
    files, labels = files_of(folder)
    similar = Image.open(files[2]).rotate(180).resize((64, 64))
    images = [np.asarray(Image.open(file).resize((64, 64))) for file in files]
    tested = [images[0], np.asarray(similar)]
    found = inspect_images(np.stack(images), labels, X_test=np.stack(tested), y_test=labels[:2])
    assert (len(found.leaked), found.n_equal) == (2, 1)
    advice = next(one["advice"] for one in found.advice if one["rule"] == "copies across the split")
    assert advice.startswith("Remove the 1 test image that equals a training image.")
    assert "Look at the 1 test image that is similar" in advice


@pytest.mark.slow
def test_a_comparison_finds_the_copies_that_an_inspection_of_the_files_finds(folder, tmp_path):
    test = tmp_path / "test" / "dog"
    test.mkdir(parents=True)
    Image.open(folder / "dog" / "3.png").rotate(90).save(test / "copy.png")
    Image.open(folder / "dog" / "0.png").rotate(180).save(folder / "dog" / "turned.png")
    noise(55, side=60).save(folder / "dog" / "large.png")
    files, labels = files_of(folder)
    (tmp_path / "test" / "kätze <b>").mkdir()
    noise(77).save(tmp_path / "test" / "kätze <b>" / "new.png")
    test_files, test_labels = files_of(tmp_path / "test")
    found = inspect_images(files, labels, X_test=test_files, y_test=test_labels)
    status = main(
        [
            *("compare", str(folder), "--test", str(tmp_path / "test"), "--size", "8"),
            *("--strategies", "constant", "--epochs", "1", "--group-near-duplicates"),
            *("--jobs", "1", "--json", str(tmp_path / "a.json")),
        ]
    )
    assert status == 0
    figures = json.loads((tmp_path / "a.json").read_text())
    assert figures["near_copies"]["n_copies"] == len(found.leaked) == 1
    assert figures["protocol"]["n_groups"] == len(np.unique(found.groups)) == 15


def test_images_that_are_no_finite_float32_are_listed_as_broken():
    X = np.random.RandomState(0).rand(12, 8, 8)
    X[3, 2, 2], X[8, 0, 0], X[9, 0, 0] = np.nan, np.inf, 1e300
    found = inspect_images(X, ["cat", "dog"] * 6)
    reason = "its pixels hold NaN, infinity or a value too large for float32"
    assert found.broken == {"sample 3": reason, "sample 8": reason, "sample 9": reason}
    assert found.counts == {"cat": 5, "dog": 4}
    assert "3 images cannot be read" in str(found)
    assert found.advice[0]["advice"].startswith("Mend or remove what cannot be read (3 images)")
    with pytest.raises(ValueError, match=r"none can be read.*Check the pixels"):
        inspect_images(np.full((4, 8, 8), np.nan))


def test_pixels_may_be_objects():
    X = np.random.RandomState(0).rand(8, 8, 8)
    X[5] = X[2]
    found = inspect_images(X.astype(object), ["cat", "dog"] * 4)
    assert [(pair.first, pair.second) for pair in found.pairs] == [(2, 5)]
    assert not found.broken
