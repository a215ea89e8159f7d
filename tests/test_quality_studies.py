"""Studies of quality: what they keep of each fit, and how ways are ranked."""

import importlib
import json
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[1]

#: Of 100 cats 80 are found, of 200 dogs 150; the training part had one cat for nine dogs.
RESULT = {
    "classes": ["cat", "dog"],
    "counts": [10, 90],
    "seconds": 1.0,
    "made": "a machine, 2026-01-01",
    "own": {"confusion": [[80, 20], [50, 150]], "average_precision": 0.5},
}


MODULES = ("kept_fits", "fit_tables", "image_sets", "ways", "recipe")


@pytest.fixture
def scripts(monkeypatch):
    """Modules of the benchmarks, which are scripts and find each other in their own folder."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "quality"))
    before = set(sys.modules)
    yield Namespace(**{name: importlib.import_module(name) for name in MODULES})
    for name in set(sys.modules) - before:
        if "benchmarks" in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]


def test_scores_follow_from_the_confusion_matrix(scripts):
    told = scripts.kept_fits.measured(RESULT, "own")
    assert told["precision"] == pytest.approx(80 / 130)
    assert told["recall"] == pytest.approx(0.8)
    assert told["f1"] == pytest.approx(160 / 230)
    assert told["balanced_accuracy"] == pytest.approx((0.8 + 0.75) / 2)
    assert told["worst_recall"] == pytest.approx(0.75)
    assert told["f1_macro"] == pytest.approx((160 / 230 + 300 / 370) / 2)


def test_scores_at_the_prior_of_the_training(scripts):
    told = scripts.kept_fits.measured(RESULT, "own", at="train")
    # Of 1000 images 100 are cats: 80 are found, and a quarter of 900 dogs are called cats.
    assert told["precision"] == pytest.approx(80 / (80 + 225))
    assert told["recall"] == pytest.approx(0.8)
    uniform = scripts.kept_fits.measured(RESULT, "own", at="uniform")
    assert uniform["precision"] == pytest.approx(0.8 / (0.8 + 0.25))


def test_a_class_that_is_never_predicted_has_a_precision_of_zero(scripts):
    told = scripts.kept_fits.measured(RESULT | {"own": {"confusion": [[0, 100], [0, 200]]}}, "own")
    assert (told["precision"], told["f1"], told["recall"]) == (0, 0, 0)


def test_fits_are_kept_and_made_again_only_where_their_code_has_changed(scripts, tmp_path):
    store = scripts.kept_fits.Store(tmp_path / "fits")
    fit = scripts.kept_fits.Fit("pets", "none", 0)
    assert not store.has(fit, "network()")
    store.add(fit, "network()", {"none": RESULT, "threshold": RESULT})
    assert store.has(fit, "network()")
    assert not store.has(fit, "network(length=3)")
    assert not store.has(fit._replace(seed=1), "network()")
    # Kept before a further prior was among those that are scored.
    store.add(fit._replace(way="old"), "network()", {"old": RESULT | {"train": RESULT["own"]}})
    assert not store.has(fit._replace(way="old"), "network()")
    store.add(fit._replace(seed=1), "network()", {"none": RESULT})
    kept = {("none", 0), ("none", 1), ("threshold", 0), ("old", 0)}
    assert set(store.read("pets")) == kept
    json.loads(store.file("pets").read_text())


def test_a_study_goes_on_where_it_was_stopped(scripts, tmp_path, monkeypatch, capsys):
    made = []

    def one_fit(fit, folder):
        made.append(fit)
        return {fit.way: RESULT}

    monkeypatch.setattr(scripts.ways, "one_fit", one_fit)
    options = Namespace(
        table=False,
        results=tmp_path,
        seeds=2,
        jobs=1,
        minutes=None,
        folder=None,
        sets=None,
        ways=None,
    )
    scripts.kept_fits.make(options, [(["pets"], ["none", "long"])])
    assert [fit.seed for fit in made] == [0, 0, 1, 1]
    made.clear()
    scripts.kept_fits.make(options, [(["pets"], ["none", "long", "jitter"])])
    assert {fit.way for fit in made} == {"jitter"}
    assert "2 of 6 fits are to be made." in capsys.readouterr().out
    made.clear()
    options.ways, parts = ["mixup"], [(["pets"], ["none", "mixup"]), (["cars"], ["mixup"])]
    options.sets = ["cars"]
    scripts.kept_fits.make(options, parts)
    assert {(fit.data, fit.way) for fit in made} == {("cars", "mixup")}
    options.sets = ["boats"]
    with pytest.raises(SystemExit, match="There is no set \\['boats'\\]"):
        scripts.kept_fits.make(options, parts)


def test_the_choice_without_a_set_does_not_know_its_scores(scripts):
    ways = pd.MultiIndex.from_tuples([("a", "own"), ("b", "own"), ("c", "own")])
    table = pd.DataFrame(
        {"x": [0.9, 0.8, 0.1], "y": [0.9, 0.8, 0.1], "z": [0.1, 0.2, 0.9]}, index=ways
    )
    # Without z, "a" is first twice, and last on z. Without x or y all have the mean rank 2.
    choices = {
        data: (choice[0], rank, round(lost, 9))
        for data, choice, rank, lost in scripts.recipe.left_out(table)
    }
    assert choices["z"] == ("a", 3.0, 0.8)
    assert choices["x"] == ("a", 1.0, 0.0)


def test_ways_that_some_set_lacks_are_not_ranked(scripts):
    rows = [("x", "a", 0.5), ("y", "a", 0.7), ("x", "b", 0.9)]
    found = pd.DataFrame(rows, columns=["data", "way", "f1"]).assign(decides="own")
    assert list(scripts.recipe.means(found, "f1").index) == [("a", "own")]


def test_tables_replace_what_stands_between_the_markers(scripts, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- x: begin -->\nold\n<!-- x: end -->\nafter\n")
    scripts.fit_tables.write_between(page, "x", "new")
    assert page.read_text() == "before\n<!-- x: begin -->\n\nnew\n\n<!-- x: end -->\nafter\n"
    with pytest.raises(SystemExit, match="must have the lines"):
        scripts.fit_tables.write_between(page, "y", "new")


def test_every_way_has_a_code_that_does_not_depend_on_memory(scripts):
    codes = {way: scripts.ways.code_of(way) for way in scripts.ways.WAYS}
    assert len(set(codes.values())) == len(scripts.ways.WAYS)
    assert not any(" at 0x" in code for code in codes.values())


def test_a_drawn_set_has_the_counts_that_are_asked_for(scripts):
    y = np.repeat([0, 1, 2], 50)
    split = scripts.image_sets._drawn(
        (np.arange(150), y), (np.arange(150), y), {0: 30, 2: 5}, seed=0
    )
    assert np.bincount(split.y).tolist() == [30, 0, 5]
    assert set(split.y_test) == {0, 2}
    assert split.minority == 2
    assert (y[split.X] == split.y).all()


def test_names_of_sets_become_titles(scripts):
    assert scripts.fit_tables.titled("cats_150_dogs_1500") == "150 cats, 1500 dogs"
    assert scripts.fit_tables.titled("solar_cells") == "Solar cells"
