"""Studies of quality: what they keep of each fit, and how ways are ranked."""

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


@pytest.fixture(autouse=True)
def _on_path(monkeypatch):
    """Modules of the benchmarks, which are scripts and find each other in their own folder."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "quality"))
    yield
    for name in ("fits", "fit_tables", "recipe", "ways", "image_sets"):
        sys.modules.pop(name, None)


def test_scores_follow_from_the_confusion_matrix():
    from fits import measured

    told = measured(RESULT, "own")
    assert told["precision"] == pytest.approx(80 / 130)
    assert told["recall"] == pytest.approx(0.8)
    assert told["f1"] == pytest.approx(160 / 230)
    assert told["balanced_accuracy"] == pytest.approx((0.8 + 0.75) / 2)
    assert told["worst_recall"] == pytest.approx(0.75)
    assert told["f1_macro"] == pytest.approx((160 / 230 + 300 / 370) / 2)


def test_scores_at_the_prior_of_the_training():
    from fits import measured

    told = measured(RESULT, "own", at="train")
    # Of 1000 images 100 are cats: 80 are found, and a quarter of 900 dogs are called cats.
    assert told["precision"] == pytest.approx(80 / (80 + 225))
    assert told["recall"] == pytest.approx(0.8)
    uniform = measured(RESULT, "own", at="uniform")
    assert uniform["precision"] == pytest.approx(0.8 / (0.8 + 0.25))


def test_a_class_that_is_never_predicted_has_a_precision_of_zero():
    from fits import measured

    told = measured(RESULT | {"own": {"confusion": [[0, 100], [0, 200]]}}, "own")
    assert (told["precision"], told["f1"], told["recall"]) == (0, 0, 0)


def test_fits_are_kept_and_made_again_only_where_their_code_has_changed(tmp_path):
    from fits import Fit, Store

    store, fit = Store(tmp_path / "fits"), Fit("pets", "none", 0)
    assert not store.has(fit, "network()")
    store.add(fit, "network()", {"none": RESULT, "threshold": RESULT})
    assert store.has(fit, "network()")
    assert not store.has(fit, "network(length=3)")
    assert not store.has(fit._replace(seed=1), "network()")
    store.add(fit._replace(seed=1), "network()", {"none": RESULT})
    assert set(store.read("pets")) == {("none", 0), ("none", 1), ("threshold", 0)}
    json.loads(store.file("pets").read_text())


def test_a_study_goes_on_where_it_was_stopped(tmp_path, monkeypatch, capsys):
    import fits
    import ways

    made = []

    def one_fit(fit, folder):
        made.append(fit)
        return {fit.way: RESULT}

    monkeypatch.setattr(ways, "one_fit", one_fit)
    options = Namespace(table=False, results=tmp_path, seeds=2, jobs=1, minutes=None, folder=None)
    fits.make(options, [(["pets"], ["none", "long"])])
    assert [fit.seed for fit in made] == [0, 0, 1, 1]
    made.clear()
    fits.make(options, [(["pets"], ["none", "long", "jitter"])])
    assert {fit.way for fit in made} == {"jitter"}
    assert "2 of 6 fits are to be made." in capsys.readouterr().out


def test_the_choice_without_a_set_does_not_know_its_scores():
    from recipe import left_out

    ways = pd.MultiIndex.from_tuples([("a", "own"), ("b", "own"), ("c", "own")])
    table = pd.DataFrame(
        {"x": [0.9, 0.8, 0.1], "y": [0.9, 0.8, 0.1], "z": [0.1, 0.2, 0.9]}, index=ways
    )
    # Without z, "a" is first twice, and last on z. Without x or y all have the mean rank 2.
    choices = {
        data: (choice[0], rank, round(lost, 9)) for data, choice, rank, lost in left_out(table)
    }
    assert choices["z"] == ("a", 3.0, 0.8)
    assert choices["x"] == ("a", 1.0, 0.0)


def test_ways_that_some_set_lacks_are_not_ranked():
    from recipe import means

    rows = [("x", "a", 0.5), ("y", "a", 0.7), ("x", "b", 0.9)]
    found = pd.DataFrame(rows, columns=["data", "way", "f1"]).assign(decides="own")
    assert list(means(found, "f1").index) == [("a", "own")]


def test_tables_replace_what_stands_between_the_markers(tmp_path):
    from fit_tables import write_between

    page = tmp_path / "page.md"
    page.write_text("before\n<!-- x: begin -->\nold\n<!-- x: end -->\nafter\n")
    write_between(page, "x", "new")
    assert page.read_text() == "before\n<!-- x: begin -->\n\nnew\n\n<!-- x: end -->\nafter\n"
    with pytest.raises(SystemExit, match="must have the lines"):
        write_between(page, "y", "new")


def test_every_way_has_a_code_that_does_not_depend_on_memory():
    from ways import WAYS, code_of

    codes = {way: code_of(way) for way in WAYS}
    assert len(set(codes.values())) == len(WAYS)
    assert not any(" at 0x" in code for code in codes.values())


def test_a_drawn_set_has_the_counts_that_are_asked_for():
    from image_sets import _drawn

    y = np.repeat([0, 1, 2], 50)
    split = _drawn(np.arange(150), y, np.arange(150), y, {0: 30, 2: 5}, seed=0)
    assert np.bincount(split.y).tolist() == [30, 0, 5]
    assert set(split.y_test) == {0, 2}
    assert split.minority == 2
    assert (y[split.X] == split.y).all()
