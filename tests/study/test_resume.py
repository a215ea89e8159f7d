"""compare(checkpoint=...): finished fits are kept, and never done again."""

import json
from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import make_scorer, recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

from skimb.neural_network import CNNClassifier, CNNRegressor
from skimb.study import compare

N = 48
Y = np.where(np.arange(N) % 4, "often", "rare")


def images(seed=0):
    X = np.random.RandomState(seed).randint(0, 200, size=(N, 8, 8)).astype(np.uint8)
    X[Y == "rare", 2] += 50
    return X


def plain(result):
    """All figures of a comparison but the seconds, and all predictions."""

    def without(value):
        if isinstance(value, dict):
            return {key: without(each) for key, each in value.items() if key != "seconds"}
        return value

    predictions = {
        name: [(each.rows, each.truth, each.predicted, each.log_proba) for each in runs]
        for name in result.strategies
        for runs in [result.predictions(name)]
    }
    return json.dumps(without(result.to_dict())), predictions


@pytest.fixture
def fits(monkeypatch):
    """The parameters of each network that is trained."""
    seen = []

    def fit(self, X, y, *args, fit=CNNClassifier.fit):
        seen.append((self.loss, self.random_state))
        return fit(self, X, y, *args)

    monkeypatch.setattr(CNNClassifier, "fit", fit)
    monkeypatch.setattr("skimb.study._jobs._warm_up.is_done", True)
    return seen


def run(folder, names=("focal", "prior_shift", "threshold"), **options) -> Any:
    given = {"cv": 2, "random_state": 0, "estimator": CNNClassifier(max_epochs=1)} | options
    return compare(images(), Y, strategies=list(names), checkpoint=folder, **given)


@pytest.mark.slow
def test_an_equal_call_does_no_fit_again(fits, tmp_path, capsys):
    expected = run(None)
    n_fits = len(fits)
    first = run(tmp_path / "new" / "folder")
    assert len(fits) == 2 * n_fits
    capsys.readouterr()
    again = run(tmp_path / "new" / "folder", verbose=1)
    assert len(fits) == 2 * n_fits
    assert "8 of 8 fits are known from" in capsys.readouterr().err
    np.testing.assert_equal(plain(first), plain(expected))
    np.testing.assert_equal(plain(again), plain(expected))
    # The time that a fit has taken is kept too.
    assert again.table["seconds", "mean"].equals(first.table["seconds", "mean"])


@pytest.mark.slow
@pytest.mark.parametrize("n_outcomes", [1, 2, 5, 7])
def test_an_interrupted_comparison_goes_on_to_the_same_result(
    n_outcomes, fits, tmp_path, monkeypatch
):
    expected = run(None)
    # What the comparison trains, without those that choose a threshold.
    from skimb.study import _jobs

    left = [n_outcomes]

    def dying(*args, keep=_jobs.keep_outcome):
        found = keep(*args)
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return found

    with monkeypatch.context() as patch:
        patch.setattr(_jobs, "keep_outcome", dying)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    assert len(list(tmp_path.glob("*.outcome"))) == n_outcomes
    fits.clear()
    np.testing.assert_equal(plain(run(tmp_path)), plain(expected))
    # Two runs of focal, and of the baseline's network with the two that choose a threshold.
    needed = {1: 2 * 1 + 2 * 3, 2: 2 * 1 + 2 * 3, 5: 2 + 3, 7: 1}
    assert len(fits) <= needed[n_outcomes]


@pytest.mark.slow
def test_further_strategies_are_all_that_is_fitted(fits, tmp_path, capsys):
    run(tmp_path, ["focal"])
    fits.clear()
    result = run(tmp_path, ["focal", "logit_adjusted"], verbose=1)
    assert len(fits) == 2
    assert "4 of 6 fits are known" in capsys.readouterr().err
    np.testing.assert_equal(plain(result), plain(run(None, ["focal", "logit_adjusted"])))


OWN = {"tree": DecisionTreeClassifier(max_depth=2), "coin": DummyClassifier(strategy="uniform")}


def compared(folder, **options) -> Any:
    given = {"X": images().reshape(N, -1), "y": Y, "strategies": OWN, "cv": 3, "random_state": 0}
    given |= options
    return compare(given.pop("X"), given.pop("y"), checkpoint=folder, **given)


@pytest.fixture
def own_fits(monkeypatch):
    """The number of trees and coins that are fitted."""
    seen = []
    for kind in (DecisionTreeClassifier, DummyClassifier):

        def fit(self, X, y, *args, fit=kind.fit, **kwargs):
            seen.append(type(self).__name__)
            return fit(self, X, y, *args, **kwargs)

        monkeypatch.setattr(kind, "fit", fit)
    return seen


def scorers(label="rare"):
    return {"recall": make_scorer(recall_score, pos_label=label)}


CHANGES = {
    "a pixel": {"X": np.r_[images().reshape(N, -1)[:-1], np.zeros((1, 64), np.uint8)]},
    "a label": {"y": np.r_[Y[:-2], Y[:1], Y[-1:]]},
    "groups": {"groups": np.arange(N) // 2},
    "folds": {"cv": 2},
    "seed": {"random_state": 1},
    "scorers": {"scoring": scorers()},
    "the number of a measure": {"scoring": scorers("often")},
    "test set": {"cv": None, "X_test": images(1).reshape(N, -1), "y_test": Y},
    "parameters": {
        "strategies": {"tree": DecisionTreeClassifier(max_depth=3), "coin": DummyClassifier()}
    },
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_setting_finds_none_of_the_fits(change, own_fits, tmp_path, capsys):
    compared(tmp_path)
    assert len(own_fits) == 6
    own_fits.clear()
    result = compared(tmp_path, verbose=1, **change)
    assert len(own_fits) == 2 * result.protocol["n_runs"]
    error = capsys.readouterr().err
    assert "fits are known" not in error
    assert f"{tmp_path} holds 6 fits of other comparisons or settings" in error
    # Both are there now.
    own_fits.clear()
    compared(tmp_path)
    compared(tmp_path, **change)
    assert own_fits == []


def test_more_repeats_need_the_further_runs_alone(own_fits, tmp_path):
    compared(tmp_path)
    own_fits.clear()
    compared(tmp_path, n_repeats=2)
    assert len(own_fits) == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "n_known"),
    [({"lr": 0.002}, 0), ({"max_epochs": 2}, 0), ({"verbose": 1}, 4), ({"num_workers": 1}, 4)],
    ids=["lr", "epochs", "verbose", "workers"],
)
def test_parameters_of_the_network_decide_if_they_change_the_result(
    change, n_known, tmp_path, capsys
):
    run(tmp_path, ["focal"])
    capsys.readouterr()
    run(tmp_path, ["focal"], estimator=CNNClassifier(**{"max_epochs": 1} | change), verbose=1)
    known = f"{n_known} of 4 fits are known" if n_known else "4 fits of other comparisons"
    assert known in capsys.readouterr().err


@pytest.mark.parametrize(
    "damage",
    [
        lambda path, other: path.write_bytes(path.read_bytes()[:-7]),
        lambda path, other: path.write_bytes(b"{}"),
        lambda path, other: path.write_bytes(path.read_bytes().replace(b"often", b"never")),
        lambda path, other: path.write_bytes(other.read_bytes()),
    ],
    ids=["cut", "text", "changed", "renamed"],
)
def test_a_damaged_file_is_done_again_and_told(damage, own_fits, tmp_path):
    expected = compared(tmp_path)
    paths = sorted(tmp_path.glob("*.outcome"))
    own_fits.clear()
    damage(paths[0], paths[1])
    with pytest.warns(UserWarning, match="cannot be used, and is done again") as caught:
        again = compared(tmp_path)
    assert len(caught) == len(own_fits) == 1
    np.testing.assert_equal(plain(again), plain(expected))
    # The file is whole again.
    own_fits.clear()
    compared(tmp_path)
    assert own_fits == []


def test_files_of_others_stay(own_fits, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "skimb-0.outcome").write_text("no archive")
    compared(tmp_path)
    compared(tmp_path, cv=2)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "skimb-0.outcome").read_text() == "no archive"


class Scale:
    """A function that is an object."""

    def __call__(self, X):
        """Return half of it."""
        return X / 2


def half(X):
    return X / 2


def third(X):
    return X / 3


def with_function(function):
    return make_pipeline(FunctionTransformer(function), DecisionTreeClassifier(max_depth=2))


def test_objects_whose_content_cannot_be_told_are_fitted_again(own_fits, tmp_path, capsys):
    own = {"coin": DummyClassifier(), "mine": with_function(Scale())}
    expected = compared(tmp_path, strategies=own)
    own_fits.clear()
    again = compared(tmp_path, strategies=own, verbose=1)
    assert own_fits == ["DecisionTreeClassifier"] * 3
    assert "fits of mine are not kept" in capsys.readouterr().err
    np.testing.assert_equal(plain(again), plain(expected))


def test_a_changed_function_in_an_estimator_is_another_one(own_fits, tmp_path):
    for function, n_fits in ((half, 6), (half, 0), (third, 3)):
        own_fits.clear()
        compared(tmp_path, strategies={"coin": DummyClassifier(), "mine": with_function(function)})
        assert len(own_fits) == n_fits


def test_numbers_are_kept_too(tmp_path):
    y = np.random.RandomState(0).rand(N)
    own: Any = {"mean": DummyRegressor(), "median": DummyRegressor(strategy="median")}
    options = {"estimator": CNNRegressor(), "cv": 2, "random_state": 0, "checkpoint": tmp_path}
    first, again = (compare(images(), y, strategies=own, **options) for _ in range(2))
    assert first.table["seconds", "mean"].equals(again.table["seconds", "mean"])
    for name in own:
        np.testing.assert_equal(first.predictions(name), again.predictions(name))
    assert len(list(tmp_path.glob("*.outcome"))) == 4


def test_a_comparison_without_a_seed_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`random_state` must be a number"):
        compared(tmp_path, random_state=None)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="must be a folder"):
        compared(tmp_path / "file")


def test_warnings_of_kept_fits_are_told_again(tmp_path):
    class Warning_(DummyClassifier):  # noqa: N801 - a test of a warning
        def fit(self, X, y):
            import warnings

            warnings.warn("beware", UserWarning, stacklevel=2)
            return super().fit(X, y)

    own = {"coin": DummyClassifier(), "mine": Warning_()}
    results = [compared(tmp_path, strategies=own) for _ in range(2)]
    assert [result.protocol["warnings"] for result in results] == [["beware"]] * 2


@pytest.mark.slow
@pytest.mark.exhaustive
def test_several_processes_keep_and_find_the_same_fits(tmp_path, capsys):
    options = {"n_jobs": 2, "verbose": 1}
    one = run(tmp_path, ["focal"], **options)
    capsys.readouterr()
    other = run(tmp_path, ["focal"], **(options | {"n_jobs": None}))
    assert "4 of 4 fits are known" in capsys.readouterr().err
    for result in (one, other):
        result.protocol.pop("n_jobs")
    np.testing.assert_equal(plain(one), plain(other))


@pytest.mark.exhaustive
@pytest.mark.slow
def test_last_layers_that_share_features_are_trained_together_again(tmp_path):
    names = ["focal", "class_weight", "prior_shift"]
    expected = run(None, names, shared_features=True)
    run(tmp_path, ["focal"], shared_features=True)
    for _ in range(2):
        result = run(tmp_path, names, shared_features=True)
        np.testing.assert_equal(plain(result), plain(expected))
