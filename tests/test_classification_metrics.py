"""Scores by hand, and scorers that survive strings and missing classes."""

import pickle

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    check_scoring,
    f1_score,
    make_scorer,
    precision_score,
    recall_score,
)
from sklearn.model_selection import GridSearchCV

from skimb.metrics import _classification, imbalance_scoring, per_class_report

# The hand-worked case: TP 821, FN 679, FP 11, TN 1489.
Y_TRUE = np.repeat(["cat", "dog"], 1500)
Y_PRED = np.repeat(["cat", "dog", "cat", "dog"], [821, 679, 11, 1489])


class Oracle(ClassifierMixin, BaseEstimator):
    """Predicts what it is given."""

    def __init__(self, classes, predicted, proba=None):
        self.classes, self.predicted, self.proba = classes, predicted, proba
        self.classes_ = np.asarray(classes)

    def fit(self, X, y):
        return self

    def predict(self, X):
        return self.predicted

    def predict_proba(self, X):
        return self.proba


def scores(y_all, y_true, y_pred, proba=None, labels=None):
    classes = np.unique(y_all)
    if proba is None:
        proba = np.eye(len(classes))[np.searchsorted(classes, y_pred)]
    scoring = imbalance_scoring(y_all, labels=labels)
    X = np.zeros((len(y_true), 1))
    model = Oracle(classes, y_pred, proba)
    return {name: scorer(model, X, y_true) for name, scorer in scoring.items()}


def test_hand_values():
    y_all = np.repeat(["cat", "dog"], [1000, 11000])
    got = scores(y_all, Y_TRUE, Y_PRED)
    assert got["precision_minority"] == pytest.approx(821 / 832)
    assert got["recall_minority"] == pytest.approx(821 / 1500)
    assert round(got["precision_minority"], 3) == 0.987
    assert round(got["recall_minority"], 3) == 0.547
    assert round(got["f1_minority"], 3) == 0.704
    assert got["f1[cat]"] == got["f1_minority"]
    assert got["recall[dog]"] == pytest.approx(1489 / 1500)
    assert got["balanced_accuracy"] == pytest.approx((821 + 1489) / 3000)
    assert got["worst_recall"] == pytest.approx(821 / 1500)
    assert got["geometric_mean"] == pytest.approx(np.sqrt(821 * 1489) / 1500)
    mcc = (821 * 1489 - 11 * 679) / np.sqrt(832.0 * 1500 * 1500 * 2168)
    assert got["mcc"] == pytest.approx(mcc)


def test_report_hand_values():
    report = per_class_report(Y_TRUE, Y_PRED)
    assert report.loc["cat", ["tp", "fn", "fp", "tn"]].tolist() == [821, 679, 11, 1489]
    assert report.loc["cat", ["precision", "recall", "f1"]].round(3).tolist() == [
        0.987,
        0.547,
        0.704,
    ]
    assert report.loc["dog", "support"] == 1500


def test_report_of_a_class_that_is_never_predicted():
    report = per_class_report([0, 0, 1], [0, 0, 0])
    assert report.loc[1, ["precision", "recall", "f1"]].tolist() == [0, 0, 0]


@pytest.mark.parametrize("labels", [["a", "b", "c"], [-5, 0, 7], [1.0, 2.0, 9.0]])
def test_a_fold_without_a_class_scores_without_a_warning(labels):
    y_all = np.repeat(labels, [50, 30, 5])
    y_true = np.repeat(labels[:2], 10)
    y_pred = np.array(labels)[np.tile([0, 1, 2, 1], 5)]
    got = scores(y_all, y_true, y_pred)
    assert all(np.isfinite(value) for value in got.values())
    assert got["recall_minority"] == 0
    # 3 of 10 and 5 of 10 found, by counting.
    assert got["balanced_accuracy"] == pytest.approx(0.4)


def test_a_fold_of_one_label_scores_without_a_warning():
    got = scores(["a", "a", "b"], y_true=np.repeat("a", 4), y_pred=np.repeat("a", 4))
    assert got["mcc"] == got["f1_minority"] == 0
    assert got["balanced_accuracy"] == 1


def test_averages_go_over_the_classes_that_occur():
    got = scores([0, 0, 0, 1, 2], y_true=np.array([0, 0, 1, 1]), y_pred=np.array([0, 2, 1, 1]))
    assert got["balanced_accuracy"] == pytest.approx(0.75)
    assert got["worst_recall"] == pytest.approx(0.5)


def test_bool_labels():
    y = np.array([False] * 9 + [True] * 3)
    got = scores(y, y, y)
    assert got["f1_minority"] == got["recall[True]"] == 1


def test_average_precision_of_any_class():
    rng = np.random.RandomState(0)
    y = np.array(["a"] * 20 + ["b"] * 5 + ["c"] * 10)
    proba = rng.dirichlet(np.ones(3), size=len(y))
    got = scores(y, y, y, proba=proba)
    assert got["average_precision_minority"] == average_precision_score(y == "b", proba[:, 1])


@pytest.mark.parametrize("minority_first", [True, False])
def test_average_precision_from_a_decision_function(minority_first):
    rng = np.random.RandomState(0)
    X = rng.randn(200, 2)
    rare = X[:, 0] + 0.5 * rng.randn(200) > 1
    y = np.where(rare, "a" if minority_first else "z", "m")
    scorer = imbalance_scoring(y)["average_precision_minority"]
    ridge, logistic = RidgeClassifier().fit(X, y), LogisticRegression().fit(X, y)
    assert scorer(ridge, X, y) > 0.7
    assert scorer(logistic, X, y) > 0.7


@pytest.mark.slow
def test_grid_search_with_string_labels_in_processes():
    rng = np.random.RandomState(0)
    X = rng.randn(120, 3)
    y = np.where(X[:, 0] + 0.3 * rng.randn(120) > 1, "defect", "good")
    search = GridSearchCV(
        LogisticRegression(),
        {"class_weight": [None, "balanced"]},
        scoring=imbalance_scoring(y),
        refit="f1_minority",
        n_jobs=2,
    ).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_f1[defect]"]).all()
    assert search.cv_results_["mean_test_recall_minority"][1] >= 0.7


def test_scorers_take_sample_weights():
    y = np.array(["a"] * 6 + ["b"] * 2)
    predicted = np.array(["a", "a", "a", "b", "b", "b", "b", "a"])
    weight = np.array([1, 1, 1, 3, 3, 3, 1, 3.0])
    model = Oracle(np.array(["a", "b"]), predicted)
    scoring = imbalance_scoring(y)
    X = np.zeros((8, 1))
    recall = scoring["recall_minority"](model, X, y, sample_weight=weight)
    assert recall == pytest.approx(1 / 4)
    balanced = scoring["balanced_accuracy"](model, X, y, sample_weight=weight)
    assert balanced == pytest.approx((3 / 12 + 1 / 4) / 2)


@pytest.mark.parametrize("minority", ["a", "b"])
def test_average_precision_takes_weights(minority):
    rng = np.random.RandomState(0)
    y = np.array(["a"] * 20 + ["b"] * 20)
    y_all = np.append(y, ["a" if minority == "b" else "b"])
    proba = rng.dirichlet(np.ones(2), size=len(y))
    weight = rng.randint(4, size=len(y))
    model = Oracle(np.array(["a", "b"]), y, proba)
    scorer = imbalance_scoring(y_all)["average_precision_minority"]
    X = np.zeros((len(y), 1))
    found = scorer(model, X, y, sample_weight=weight)
    column = proba[:, ["a", "b"].index(minority)]
    assert found == average_precision_score(y == minority, column, sample_weight=weight)
    # Rows of weight 2 are rows given twice.
    twice = np.repeat(np.arange(len(y)), weight)
    assert found == pytest.approx(average_precision_score((y == minority)[twice], column[twice]))
    assert scorer(model, X, y, sample_weight=np.where(y == minority, 0, weight)) == 0


def test_average_precision_of_a_class_that_the_model_does_not_know_is_its_weighted_fraction():
    y = np.array(["a", "a", "b", "c"])
    model = Oracle(np.array(["b", "c"]), y, np.full((4, 2), 0.5))
    scorer = imbalance_scoring(["a", "b", "b", "c", "c"])["average_precision_minority"]
    assert scorer(model, np.zeros((4, 1)), y) == 0.5
    assert scorer(model, np.zeros((4, 1)), y, sample_weight=[1, 0, 2, 5]) == 1 / 8


def test_a_search_weighs_all_scores():
    rng = np.random.RandomState(0)
    X = rng.randn(120, 3)
    y = np.where(X[:, 0] + 2 * rng.randn(120) > 0.5, "defect", "good")
    weight = rng.uniform(0.1, 5, len(y))
    scoring = imbalance_scoring(y)
    cv = [(np.arange(80), np.arange(80, 120))]
    search = GridSearchCV(LogisticRegression(), {"C": [1]}, scoring=scoring, refit=False, cv=cv)
    search.fit(X, y, sample_weight=weight)
    model = LogisticRegression().fit(X[:80], y[:80], weight[:80])
    for name, scorer in scoring.items():
        expected = scorer(model, X[80:], y[80:], sample_weight=weight[80:])
        assert search.cv_results_[f"mean_test_{name}"] == pytest.approx(expected)
        assert expected != scorer(model, X[80:], y[80:])


@pytest.mark.slow
def test_every_scorer_says_whether_it_wants_weights():
    rng = np.random.RandomState(0)
    X = rng.randn(120, 3)
    y = np.where(X[:, 0] + 2 * rng.randn(120) > 0.5, "defect", "good")
    weight = rng.uniform(0.1, 5, len(y))
    cv = [(np.arange(80), np.arange(80, 120))]
    with config_context(enable_metadata_routing=True):
        model = LogisticRegression().set_fit_request(sample_weight=False)
        for name in imbalance_scoring(y):
            found = {}
            for wants, given in ((True, "sample_weight"), (False, "sample_weight"), ("w", "w")):
                scorer = imbalance_scoring(y)[name].set_score_request(sample_weight=wants)
                # Something must want what is given.
                other = make_scorer(accuracy_score).set_score_request(sample_weight=given)
                search = GridSearchCV(
                    model, {"C": [1]}, scoring={"own": scorer, "other": other}, refit=False, cv=cv
                )
                search.fit(X, y, **{given: weight})
                found[wants] = search.cv_results_["mean_test_own"][0]
            assert found[True] == found["w"] != found[False]
        search.set_params(scoring=imbalance_scoring(y))
        with pytest.raises(UnsetMetadataPassedError):
            search.fit(X, y, sample_weight=weight)


def count_calls(monkeypatch):
    calls = []
    count = _classification.precision_recall_fscore_support
    monkeypatch.setattr(
        _classification,
        "precision_recall_fscore_support",
        lambda *args, **kwargs: calls.append(args) or count(*args, **kwargs),
    )
    return calls


@pytest.mark.parametrize("dtype", [int, str, object])
@pytest.mark.parametrize("weighted", [False, True])
def test_predictions_are_counted_once_for_all_scorers(dtype, weighted, monkeypatch):
    rng = np.random.RandomState(0)
    y_true, y_pred = np.sort(rng.randint(300, size=(2, 2000)), axis=0).astype(str).astype(dtype)
    weight = rng.rand(2000) if weighted else None
    calls = count_calls(monkeypatch)
    scoring = imbalance_scoring(np.unique(np.append(y_true, y_pred)))
    model = Oracle(np.unique(y_true), y_pred, np.ones((2000, len(np.unique(y_true)))))
    given = {"sample_weight": weight} if weighted else {}
    X = np.zeros((2000, 1))
    found = check_scoring(model, scoring=scoring)(model, X, y_true, **given)
    assert len(found) > 800
    assert len(calls) == 1
    for name, function in (
        ("f1", f1_score),
        ("precision", precision_score),
        ("recall", recall_score),
    ):
        for label in (y_true[0], y_pred[-1], y_pred[7]):
            expected = function(
                y_true, y_pred, labels=[label], average=None, zero_division=0.0, **given
            )
            assert found[f"{name}[{label}]"] == expected[0]
    assert found["f1_macro"] == f1_score(
        y_true, y_pred, average="macro", zero_division=0.0, **given
    )
    recalls = recall_score(y_true, y_pred, labels=np.unique(y_true), average=None, **given)
    assert found["balanced_accuracy"] == recalls.mean()
    assert found["worst_recall"] == recalls.min()


def test_what_was_counted_is_forgotten_when_anything_changes():
    y = np.array([0, 0, 0, 1, 1])
    predicted, weight = y.copy(), np.ones(5)
    recall = imbalance_scoring([0, 0, 1])["recall_minority"]
    model = Oracle(np.array([0, 1]), predicted)
    X = np.zeros((5, 1))
    assert recall(model, X, y, sample_weight=weight) == 1
    predicted[3] = 0
    assert recall(model, X, y, sample_weight=weight) == 0.5
    weight[3] = 3
    assert recall(model, X, y, sample_weight=weight) == 0.25
    y[0] = 1
    assert recall(model, X, y, sample_weight=weight) == 0.2
    assert recall(model, X, y) == pytest.approx(1 / 3)


@pytest.mark.slow
def test_threads_that_score_at_once_do_not_mix_their_counts():
    y = np.repeat([0, 1], 500)
    scoring = imbalance_scoring(y)

    def scores(seed):
        predicted = np.where(np.random.RandomState(seed).rand(1000) < 0.1 * seed, 1 - y, y)
        model = Oracle(np.array([0, 1]), predicted)
        names = ("recall[1]", "precision[0]", "f1_macro", "worst_recall") * 20
        return [scoring[name](model, np.zeros((1000, 1)), y) for name in names]

    together = Parallel(n_jobs=4, backend="threading")(delayed(scores)(i) for i in range(8))
    assert together == [scores(i) for i in range(8)]


def test_scorers_pickle():
    scoring = pickle.loads(pickle.dumps(imbalance_scoring(["a", "a", "b"])))
    assert repr(scoring["average_precision_minority"]) == repr(
        imbalance_scoring(["a", "a", "b"])["average_precision_minority"]
    )


def test_labels_choose_the_classes_with_scorers_of_their_own():
    names = imbalance_scoring([0, 0, 1, 1, 2], labels=[2])
    assert "f1[2]" in names
    assert "f1[0]" not in names
    with pytest.raises(ValueError, match=r"does not hold the labels \[9\]"):
        imbalance_scoring([0, 0, 1], labels=[9])
    with pytest.raises(ValueError, match="one class only"):
        imbalance_scoring([1, 1])
