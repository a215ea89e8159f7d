"""The JSON files of results hold the keys that the guide documents, and no others."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.dummy import DummyClassifier

from skimb.__main__ import main
from skimb.neural_network import CNNClassifier
from skimb.study import SearchPlan, compare, find_strategy, more_images

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "result_file.md"

TYPES: dict[str, Any] = {
    "text": str,
    "number": (int, float),
    "integer": int,
    "list": list,
    "object": dict,
    "null": type(None),
    "label": (str, int),
    "any": object,
    "boolean": bool,
}

#: Keys of mappings whose names are not those of the page.
MAPPINGS = re.compile("[A-Z]+")


def documented(part):
    """Return the keys of a part of the page with their types: the comparison, or the evaluation."""
    text = PAGE.read_text(encoding="utf-8").partition("## The evaluation of a model\n")
    keys = {}
    for line in (text[0] if part == "comparison" else text[2]).splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) != 4 or cells[0] in ("key", "---"):
            continue
        for key in re.findall(r"`([^`]+)`", cells[0]):
            keys[key] = cells[1].split(" or ")
        assert re.fullmatch(r"\d\.\d(, \d\.\d)?", cells[3]), line
    return keys


def walk(value, known, path=""):
    """Yield the documented key of each value, or its own path, and the value."""
    names = {key[len(path) :].lstrip(".").partition(".")[0] for key in known if is_in(key, path)}
    wild = next((name for name in names if MAPPINGS.fullmatch(name)), None)
    plain = {name.removesuffix("[]") for name in names}
    for key, each in value.items():
        name = key if key in plain else wild or key
        place = f"{path}.{name}" if path else name
        if f"{place}[]" in known:
            yield f"{place}[]", each
            for entry in each:
                yield from walk(entry, known, f"{place}[]")
        elif any(is_in(other, place) for other in known) and isinstance(each, dict):
            if place in known:
                yield place, each
            yield from walk(each, known, place)
        else:
            yield place, each


def is_in(key, path):
    """Tell whether a key is one of an object at a path."""
    return not path or key.startswith(f"{path}.")


def check(figures, part):
    """Refuse keys that are not documented, or of another type; return those that are there."""
    known, seen = documented(part), set()
    for key, value in walk(figures, known):
        assert key in known, f"{key} is not documented in {PAGE.name}"
        kinds = [TYPES[kind] for kind in known[key]]
        assert any(isinstance(value, kind) for kind in kinds), (key, value)
        # In Python a boolean is an integer too.
        assert not isinstance(value, bool) or {bool, object} & set(kinds)
        seen.add(key)
    return seen


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The files of comparisons and evaluations of labels and of numbers."""
    root = tmp_path_factory.mktemp("files")
    rng = np.random.RandomState(0)
    for split, n_images in (("a", 24), ("b", 9)):
        rows = ["image,label,value,patient,day,part"]
        for i in range(n_images):
            label = ["cat", "dog", "dog"][i % 3]
            file = Path(split, label, f"p{i // 3}_{i}.png")
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.randint(0, 255, (8, 8)).astype(np.uint8)).save(root / file)
            part = "test" if i % 4 == 0 else "train"
            rows.append(f"{file},{label},{rng.standard_t(2):.3f},{i // 3},{i // 3},{part}")
        (root / f"{split}.csv").write_text("\n".join(rows))
    quick = ["--epochs", "1", "--device", "cpu"]
    alone = [*quick, "--jobs", "1"]
    table = ["a.csv", "--image-column", "image", "--target"]
    numbers = [*table, "value", "--task", "regression"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        compared = ["compare", "a", "--strategies", "focal,threshold", "--folds", "2", *alone]
        compared += ["--deploy", "cat=10%", "--costs", "miss=9,alarm=1", "--require", "recall=0.3"]
        pattern = ["--size", "8", "--group-pattern", "p(.*)_"]
        assert main([*compared, *pattern, "--json", "labels.json"]) == 0
        tested = ["compare", "a", "--test", "b", "--strategies", "focal", "--group-near-duplicates"]
        assert main([*tested, "--size", "8", *alone, "--json", "tested.json"]) == 0
        compared = ["compare", *numbers, "--strategies", "ranksim", *alone]
        grouped = ["--folds", "2", "--group", "patient"]
        assert main([*compared, *grouped, "--json", "numbers.json"]) == 0
        compared = ["compare", *table, "label", "--strategies", "constant", *alone]
        assert main([*compared, "--time", "day", "--folds", "2", "--json", "time.json"]) == 0
        assert main([*compared, "--split", "part", "--json", "split.json"]) == 0
        fit = ["fit", "a", "--strategy", "focal", "--test", "b", "--out", "m", *quick]
        fit += ["--deploy", "cat=10%"]
        assert main(fit) == 0
        assert main(["evaluate", "m", "b", "--json", "evaluated.json"]) == 0
        fit = ["fit", *numbers, "--strategy", "none", "--test", "b.csv", "--out", "n", *quick]
        assert main(fit) == 0
        assert main(["evaluate", "n", "b.csv", "--json", "evaluated_numbers.json"]) == 0
        own: Any = {"coin": DummyClassifier(), "sharp": ("focal", {"loss__gamma": 5})}
        own["decoupled"] = "decoupled"
        X, y = rng.randint(0, 255, (40, 8, 8)).astype(np.uint8), np.arange(40) % 4 // 3
        compare(X, y, strategies=own, cv=2, random_state=0).to_json("own.json")
        network = CNNClassifier(max_epochs=1)
        options: Any = {"estimator": network, "random_state": 0}
        result = find_strategy(X, y, plan=SearchPlan(1, 1), **options)
        result.more_images = more_images(np.r_[X, X + 1], np.r_[y, 1 - y], label=1, **options)
        result.to_json("search.json")
    return {path.stem: json.loads(path.read_text()) for path in root.glob("*.json")}


@pytest.mark.exhaustive
@pytest.mark.slow
def test_every_key_of_a_comparison_is_documented(files):
    names = ("labels", "tested", "numbers", "time", "split", "own", "search")
    seen = set().union(*(check(files[name], "comparison") for name in names))
    assert seen == documented("comparison").keys()
    assert {files[name]["schema"] for name in names} == {1}


@pytest.mark.exhaustive
@pytest.mark.slow
def test_every_key_of_an_evaluation_is_documented(files):
    names = ("evaluated", "evaluated_numbers")
    seen = set().union(*(check(files[name], "evaluation") for name in names))
    assert seen == documented("evaluation").keys()


@pytest.mark.exhaustive
@pytest.mark.slow
def test_mistakes_are_named_as_the_user_named_the_folder(files):
    mistakes = files["labels"]["strategies"]["none"]["mistakes"]
    assert mistakes
    for mistake in mistakes:
        assert mistake["file"].startswith(f"a/{mistake['label']}/")
        assert mistake["predicted"] != mistake["label"]
        assert 0 <= mistake["probability"] <= 1
    by_label = [m["probability"] for m in mistakes if m["label"] == mistakes[0]["label"]]
    assert by_label == sorted(by_label, reverse=True)
    assert len({mistake["row"] for mistake in mistakes}) == len(mistakes)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_arrays_have_numbers_of_rows_and_versions_without_a_network(files):
    own = files["own"]
    assert own["protocol"]["versions"].keys() >= {"skimb", "torch", "numpy"}
    assert all("file" not in m for m in own["strategies"]["sharp"]["mistakes"])
    errors = files["numbers"]["strategies"]["none"]["largest_errors"]
    signs = [np.sign(error["prediction"] - error["value"]) for error in errors]
    assert signs == sorted(signs)
    assert max(signs.count(-1), signs.count(1)) <= 8


def test_versions_are_told_without_built_in_strategies():
    X, y = np.random.RandomState(0).rand(40, 9), np.arange(40) % 4 // 3
    own: Any = {"coin": DummyClassifier(strategy="uniform"), "constant 1": DummyClassifier()}
    result = compare(X, y, strategies=own, cv=2, random_state=0)
    figures = result.to_dict()
    assert figures["protocol"]["recipe"] is None
    assert figures["protocol"]["versions"]["skimb"]
    assert check(figures, "comparison")
    # A file of paths is named by the path.
    result.files = [f"{i}.png" for i in range(40)]
    [first, *_] = result.to_dict()["strategies"]["coin"]["mistakes"]
    assert first["file"] == f"{first['row']}.png"
