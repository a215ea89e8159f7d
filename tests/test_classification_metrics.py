"""Scores by hand, and scorers that survive strings and missing classes."""

import pickle

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GridSearchCV

from skimb.metrics import imbalance_scoring, per_class_report

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
