"""compare() with estimators of the user's own, beside or instead of the built-in strategies."""

import json
import pickle
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import Pipeline as ResamplingPipeline
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from skimb._drawn_text import visible_text
from skimb.datasets import load_imbalanced_digits, make_variance_images
from skimb.neural_network import CNNClassifier, CNNRegressor
from skimb.over_sampling import RandomOverSampler
from skimb.study import Comparison, RegressionComparison, compare
from skimb.study._strategy_fits import seeded

ESTIMATOR = CNNClassifier(max_epochs=1)


def flat(X):
    return X.reshape(len(X), -1)


def forest(n_estimators=10, **params):
    return make_pipeline(
        FunctionTransformer(flat), RandomForestClassifier(n_estimators=n_estimators, **params)
    )


@pytest.fixture(scope="module")
def data():
    X, y = load_imbalanced_digits(return_X_y=True)
    rows = np.append(np.flatnonzero(y == 1)[:24], np.flatnonzero(y == 0)[:120])
    return X[rows], np.array(["rest", "eight"])[y[rows]]


@pytest.fixture(scope="module")
def numbers():
    X, y = make_variance_images(80, distribution="normal", side=8, random_state=0)
    y[:6] = [1.0, 1.2, 1.4, 9.6, 9.8, 10.0]
    return X, y


def scores(comparison):
    """Everything but the time, which no two runs share."""
    found = deepcopy(comparison.to_dict())
    for entry in found["strategies"].values():
        entry.pop("seconds")
    found["protocol"].pop("n_jobs")
    return found


class LabelsAlone(ClassifierMixin, BaseEstimator):
    """Tells no scores."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.where(X.sum(axis=(1, 2)) > 300, *self.classes_)


OWN = {
    "none": "none",
    "forest": forest(),
    "over in a pipeline": ResamplingPipeline(
        [("over", RandomOverSampler()), ("network", CNNClassifier(max_epochs=2))]
    ),
    "margins": make_pipeline(FunctionTransformer(flat), LinearSVC(max_iter=50, tol=1.0)),
    "labels": LabelsAlone(),
    "$x^2$ <b>": CNNClassifier(max_epochs=3, class_weight="balanced"),
    "shifted": "prior_shift",
}


@pytest.fixture(scope="module")
def comparison(data):
    return compare(*data, strategies=OWN, estimator=ESTIMATOR, cv=2, random_state=0, n_jobs=1)


@pytest.mark.slow
def test_a_dict_of_names_is_a_list_of_names_to_the_bit(data):
    shared = {"estimator": ESTIMATOR, "cv": 2, "random_state": 0, "n_jobs": 1}
    for names in (["none"], ["none", "over", "threshold", "prior_shift"]):
        as_list = compare(*data, strategies=names, **shared)
        as_dict = compare(*data, strategies={name: name for name in names}, **shared)
        assert scores(as_dict) == scores(as_list)


def test_an_own_network_starts_and_trains_as_the_built_in_one(data):
    own = {"same": ESTIMATOR, "weighted": CNNClassifier(max_epochs=1, class_weight="balanced")}
    result = compare(
        *data,
        strategies={"none": "none", "class_weight": "class_weight", **own},
        estimator=ESTIMATOR,
        cv=2,
        random_state=0,
    )
    for name, twin in (("same", "none"), ("weighted", "class_weight")):
        for metric in result.metrics:
            np.testing.assert_array_equal(result.values(name, metric), result.values(twin, metric))
        assert result.gradient_steps(name) == result.protocol["gradient_steps"]


def test_own_strategies_are_fitted_and_scored_on_the_same_parts(comparison, data):
    X, y = data
    assert comparison.strategies == list(OWN)
    for outcomes in comparison.outcomes.values():
        assert [outcome.confusion_matrix.sum() for outcome in outcomes] == [72, 72]
        assert all(outcome.seconds > 0 for outcome in outcomes)
    # By hand: a model without randomness, on the folds of the comparison.
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max, size=1)[0]
    folds = StratifiedKFold(2, shuffle=True, random_state=seed).split(X, y)
    for (_, test), outcome in zip(folds, comparison.outcomes["labels"], strict=True):
        predicted = LabelsAlone().fit(X, y).predict(X[test])
        hits = np.sum((predicted == "eight") & (y[test] == "eight"))
        assert outcome.confusion_matrix[0, 0] == hits


@pytest.mark.slow
def test_own_strategies_stand_in_table_figure_json_and_report(comparison, tmp_path):
    assert comparison.table.index.tolist() == list(OWN)
    assert set(comparison.verdict.index) == set(OWN) - {"none"}
    labels = [text.get_text() for text in comparison.plot().axes[0].get_yticklabels()]
    assert labels == [
        "forest", "over in a pipeline", "margins", "labels", r"\$x^2\$ <b>", "shifted"
    ]  # fmt: skip
    assert all(name in str(comparison) for name in OWN)
    comparison.to_json(tmp_path / "r.json")
    result = json.loads((tmp_path / "r.json").read_text())
    assert list(result["strategies"]) == list(OWN)
    assert result["baseline"] == "none"
    assert result["protocol"]["own_strategies"] == [
        "forest", "over in a pipeline", "margins", "labels", "$x^2$ <b>"
    ]  # fmt: skip
    assert "RandomForestClassifier(n_estimators=10)" in result["protocol"]["code"]["forest"]
    comparison.to_html(tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert (
        "your own Pipeline (FunctionTransformer, RandomForestClassifier), fitted as it is" in page
    )
    assert "$x^2$ &lt;b&gt;" in page
    assert "<b>$x^2$ <b>" not in page


@pytest.mark.slow
def test_steps_are_told_where_they_are_known(comparison):
    n_steps = comparison.protocol["gradient_steps"]
    found = {name: comparison.gradient_steps(name) for name in OWN}
    assert found["none"] == found["shifted"] == n_steps
    assert found["forest"] is found["labels"] is found["margins"] is None
    # As the constructor has it: small sets get batches of 16.
    assert found["$x^2$ <b>"] == 3 * n_steps
    assert found["over in a pipeline"] > 2 * n_steps
    page = comparison._report()
    assert "gradient steps of the network for every built-in strategy" in page
    assert "forest not known" in page
    assert f"$x^2$ &lt;b&gt; {3 * n_steps}" in page
    assert comparison.training_losses().keys() == {"none", "over in a pipeline", "$x^2$ <b>"}


def test_measures_that_need_scores_are_undefined_without_them(comparison):
    assert np.isnan(comparison.values("labels", "average_precision_minority")).all()
    for metric in set(comparison.metrics) - {"average_precision_minority"}:
        assert np.isfinite(comparison.values("labels", metric)).all()
    # Margins are scores too.
    assert np.isfinite(comparison.values("margins", "average_precision_minority")).all()
    [message] = [text for text in comparison.protocol["warnings"] if "'labels'" in text]
    assert "average_precision_minority is not defined for it" in message
    captions = comparison.mistakes["labels"].captions
    assert {text for texts in captions.values() for text in texts} <= {"eight", "rest"}
    assert "%" in comparison.mistakes["forest"].captions["eight"][0]


@pytest.mark.slow
def test_results_are_equal_for_any_number_of_processes(comparison, data):
    again = compare(*data, strategies=OWN, estimator=ESTIMATOR, cv=2, random_state=0, n_jobs=2)
    # NaN differs from itself: compare what is printed.
    assert repr(scores(again)) == repr(scores(comparison))


def test_seeds_are_given_where_there_is_none_and_kept_where_there_is_one():
    nested = seeded(forest(), 3)
    assert isinstance(nested.get_params()["randomforestclassifier__random_state"], int)
    assert (
        seeded(forest(random_state=5), 3).get_params()["randomforestclassifier__random_state"] == 5
    )
    sampled = seeded(CNNClassifier(sampler=RandomOverSampler()), 3)
    assert (sampled.random_state, sampled.sampler.random_state) == (3, None)
    assert seeded(CNNClassifier(random_state=7), 3).random_state == 7
    given = forest()
    seeded(given, 3)
    assert given.get_params()["randomforestclassifier__random_state"] is None


def test_seeds_follow_the_random_state_and_objects_stay_as_they_are(data):
    own = {"forest": forest(3), "other": forest(3)}

    def values(seed):
        result = compare(*data, strategies=own, cv=3, random_state=seed)
        return [result.values(name, "average_precision_minority").tolist() for name in own]

    first, second = values(0), values(0)
    assert first == second
    assert values(1) != first
    assert not hasattr(own["forest"], "n_features_in_")


@pytest.mark.slow
def test_the_first_entry_is_the_baseline_where_there_is_no_other(data, tmp_path):
    own = {"constant class": DummyClassifier(), "forest": forest(), "shifted": "prior_shift"}
    result = compare(*data, strategies=own, estimator=ESTIMATOR, cv=2, random_state=0)
    assert result.baseline == result.to_dict()["baseline"] == "constant class"
    assert (result.table.loc["constant class", ("f1_minority", "difference")]) == 0
    assert "difference: to constant class" in str(result)
    assert "baseline <b><bdi>constant class</bdi></b>" in result._report()
    # The network that the built-in strategy starts from is trained, but no entry of its own.
    plain = compare(*data, strategies=["prior_shift"], estimator=ESTIMATOR, cv=2, random_state=0)
    np.testing.assert_array_equal(
        result.values("shifted", "f1_minority"), plain.values("prior_shift", "f1_minority")
    )
    named = {"forest": forest(), "my baseline": "none"}
    result = compare(*data, strategies=named, estimator=ESTIMATOR, cv=2, random_state=0)
    assert result.strategies == ["my baseline", "forest"]


def test_without_built_in_strategies_no_network_is_trained(data, monkeypatch, tmp_path):
    monkeypatch.setattr(CNNClassifier, "fit", lambda *args: pytest.fail("it trained"))
    own = {"forest": forest(), "coin": DummyClassifier(strategy="uniform")}
    result = compare(*data, strategies=own, cv=2, random_state=0)
    assert isinstance(result, Comparison)
    assert result.protocol["gradient_steps"] is result.protocol["recipe"] is None
    result.to_html(tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "each was fitted as given" in page
    assert "None" not in page.split('id="code"')[0]
    assert 'id="training"' not in page
    assert str(pickle.loads(pickle.dumps(result))) == str(result)


@pytest.mark.slow
def test_own_regressors(numbers, tmp_path):
    X, y = numbers
    own = {
        "none": "none",
        "forest": make_pipeline(FunctionTransformer(flat), RandomForestRegressor(5)),
        "weighted": CNNRegressor(max_epochs=1, target_weight="sqrt"),
        "mean": DummyRegressor(),
        "constant": "constant",
        "<i>ridge": make_pipeline(FunctionTransformer(flat), Ridge()),
    }
    one, two = (
        compare(
            *(X, y),
            strategies=own,
            estimator=CNNRegressor(max_epochs=1),
            cv=2,
            random_state=0,
            n_jobs=n_jobs,
        )
        for n_jobs in (1, 2)
    )
    assert isinstance(one, RegressionComparison)
    assert scores(one) == scores(two)
    figures = one.table.drop(columns="seconds", level=0)
    pd.testing.assert_series_equal(figures.loc["mean"], figures.loc["constant"], check_names=False)
    assert list(one.to_dict()["strategies"]) == list(own)
    built_in = compare(
        *(X, y),
        strategies=["weight_sqrt"],
        estimator=CNNRegressor(max_epochs=1),
        cv=2,
        random_state=0,
    )
    np.testing.assert_array_equal(
        one.values("weighted", "mean_absolute_error"),
        built_in.values("weight_sqrt", "mean_absolute_error"),
    )
    one.to_html(tmp_path / "r.html")
    one.to_json(tmp_path / "r.json")
    page = (tmp_path / "r.html").read_text()
    assert "&lt;i&gt;ridge" in page
    assert "<i>ridge" not in page
    assert "your own Pipeline (FunctionTransformer, Ridge)" in page


@pytest.mark.slow
@pytest.mark.parametrize("label", ["_hidden", "new\nline", "\udce9", "\N{RIGHT-TO-LEFT OVERRIDE}a"])
def test_keys_of_any_text_are_written_so_that_they_can_be_read(label, data, tmp_path):
    own = {"coin": DummyClassifier(strategy="uniform"), label: DummyClassifier()}
    result = compare(*data, strategies=own, cv=2, random_state=0)
    result.to_html(tmp_path / "r.html")
    result.to_json(tmp_path / "r.json")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert not [char for char in page if ord(char) < 32 and char != "\n"]
    text = str(result)
    assert not [char for char in text if ord(char) < 32 and char != "\n"]
    assert any(line.startswith(visible_text(label)) for line in text.splitlines())
    text.encode()
    assert len(json.loads((tmp_path / "r.json").read_text())["strategies"]) == 2


class Fails(LabelsAlone):
    def fit(self, X, y):
        raise RuntimeError("no luck")


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_own_strategy_that_fails_is_named(n_jobs, data):
    own = {"coin": DummyClassifier(), "bad one": Fails()}
    with pytest.raises(RuntimeError, match="no luck") as caught:
        compare(*data, strategies=own, cv=2, random_state=0, n_jobs=n_jobs)
    assert any("strategy 'bad one'" in note for note in caught.value.__notes__)


class Copies(LabelsAlone):
    """Breaks scikit-learn's rule: the constructor changes its parameter."""

    def __init__(self, names=()):
        self.names = list(names)


@pytest.mark.parametrize(
    ("strategies", "message"),
    [
        ({}, "`strategies` is an empty dict"),
        ({"a": "magic"}, r"Unknown strategies \['magic'\]"),
        ({"a": 3}, "'a' must be a name, a classifier, a regressor, or a Pipeline .* type int"),
        ({"a": None}, "'a' must be a name"),
        ({"a": FunctionTransformer()}, "'a' must be a name"),
        ({"a": LabelsAlone}, r"is the class LabelsAlone\. Give an instance: LabelsAlone\(\)"),
        ({"a": Ridge()}, r"'a' is a regressor, Ridge, but y is taken for labels\. .*CNNRegressor"),
        ({"a": CNNRegressor()}, "'a' is a regressor, CNNRegressor"),
        ({"a": Copies(["x"])}, "'a' cannot be cloned"),
        ({"over": LabelsAlone()}, "'over' is the name of a built-in strategy"),
        ({"over": "under"}, "'over' is the name of a built-in strategy"),
        ({"a": "over", "b": "over"}, "'a' and 'b' of `strategies` are both the strategy 'over'"),
        ({3: "over"}, "must be strings that are not blank. Got 3"),
        ({" ": "over"}, "must be strings that are not blank"),
        ([LabelsAlone()], r"Estimators of your own come in a dict"),
    ],
    ids=str,
)
def test_a_dict_that_does_not_fit_is_refused_before_training(
    strategies, message, data, monkeypatch
):
    monkeypatch.setattr(CNNClassifier, "fit", lambda *args: pytest.fail("it trained"))
    with pytest.raises(ValueError, match=message):
        compare(*data, strategies=strategies)


def test_a_classifier_for_numbers_is_refused_before_training(numbers):
    with pytest.raises(
        ValueError, match=r"'a' is a classifier, .* taken for a continuous target\. .*CNNClassifier"
    ):
        compare(*numbers, strategies={"a": LabelsAlone()})
    with pytest.raises(ValueError, match="Any other estimator can be compared as strategies="):
        compare(*numbers, estimator=Ridge())
