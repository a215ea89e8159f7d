"""The calibration of any classifier by a temperature and biases."""

from typing import Any

import imblearn.over_sampling
import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import make_pipeline
from scipy.special import log_softmax
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline as make_sklearn_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skimb._bias_correction import fit_correction
from skimb.model_selection import BiasCorrectedCalibrator, DecisionRule
from skimb.model_selection._held_out_splits import folds_of
from skimb.model_selection._probability_prior import prior_of_probabilities

LABELS = np.array(["common", "other", "rare"])


def draw(counts, seed=0, distance=1.5):
    rng = np.random.RandomState(seed)
    target = np.repeat(np.arange(len(counts)), counts)
    X = rng.normal(size=(len(target), 4)) + distance * np.eye(4)[target]
    return X, LABELS[target]


TRAIN = draw([300, 60, 25])
NEW = draw([6000, 1200, 500], seed=1)

FOREST = RandomForestClassifier(25, min_samples_leaf=2, random_state=0)
SMOTE = imblearn.over_sampling.SMOTE(k_neighbors=3, random_state=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "classifier",
    [
        make_pipeline(SMOTE, FOREST),
        LogisticRegression(class_weight="balanced"),
        make_pipeline(SMOTE, GaussianNB()),
        KNeighborsClassifier(5),
    ],
    ids=["forest after SMOTE", "class weights", "Bayes after SMOTE", "neighbours"],
)
def test_new_samples_are_less_surprising_after_the_calibration(classifier):
    raw = clone(classifier).fit(*TRAIN).predict_proba(NEW[0])
    losses = {"raw": log_loss(NEW[1], raw)}
    brier = {"raw": brier_score_loss(NEW[1], raw)}
    for method in ("temperature", "bias_corrected"):
        clf = BiasCorrectedCalibrator(classifier, method=method, random_state=0).fit(*TRAIN)
        proba = clf.predict_proba(NEW[0])
        losses[method] = log_loss(NEW[1], proba)
        brier[method] = brier_score_loss(NEW[1], proba)
    assert brier["bias_corrected"] < brier["raw"]
    assert losses["bias_corrected"] < losses["raw"]
    if not isinstance(classifier, KNeighborsClassifier):
        # Resampling and weights have moved the class prior, which no temperature takes back.
        assert losses["bias_corrected"] < losses["temperature"] - 0.02
        fractions = [np.mean(NEW[1] == label) for label in LABELS]
        np.testing.assert_allclose(proba.mean(axis=0), fractions, atol=0.03)


def test_held_out_samples_of_all_folds_are_fitted_together():
    X, y = TRAIN
    clf = BiasCorrectedCalibrator(GaussianNB(), random_state=3).fit(X, y)
    seed = np.random.RandomState(3).randint(np.iinfo(np.int32).max)
    folds = folds_of(y, None, 5, seed)
    held = cross_val_predict(GaussianNB(), X, y, cv=folds, method="predict_log_proba")
    expected = fit_correction(
        np.maximum(held, np.log(np.finfo(float).tiny)), np.unique(y, return_inverse=True)[1]
    )
    assert clf.temperature_ == pytest.approx(expected.temperature, rel=1e-5)
    np.testing.assert_allclose(clf.biases_, expected.biases, rtol=1e-4)
    assert clf.n_held_out_.tolist() == [300, 60, 25]
    np.testing.assert_array_equal(clf.classes_, LABELS)
    inner = np.maximum(clf.estimator_.predict_log_proba(X), clf.least_log_probability_)
    np.testing.assert_allclose(
        clf.predict_log_proba(X),
        log_softmax(inner / clf.temperature_ + clf.biases_, axis=1),
        rtol=1e-9,
    )
    np.testing.assert_allclose(clf.predict_proba(X).sum(axis=1), 1)
    np.testing.assert_array_equal(clf.predict(X), LABELS[clf.predict_proba(X).argmax(axis=1)])


def test_a_temperature_alone_keeps_the_most_probable_class():
    clf = BiasCorrectedCalibrator(GaussianNB(), method="temperature", random_state=0).fit(*TRAIN)
    np.testing.assert_array_equal(clf.predict(NEW[0]), clf.estimator_.predict(NEW[0]))
    assert clf.biases_.tolist() == [0, 0, 0]
    # Naive Bayes is too certain: the number of the class is not kept by doing nothing.
    assert clf.temperature_ != 1
    assert not np.allclose(clf.predict_proba(NEW[0]), clf.estimator_.predict_proba(NEW[0]))


def test_a_temperature_keeps_the_class_where_all_held_out_probabilities_are_zero_or_one():
    # A tree with two pure leaves, and one of 20, 37 and 43 samples.
    X = np.repeat([0, 1, 2], 100)[:, None]
    y = np.concatenate([np.zeros(100), np.ones(100), np.repeat([0, 1, 2], [20, 37, 43])])
    tree = DecisionTreeClassifier(random_state=0).fit(X, y)
    np.testing.assert_allclose(tree.predict_proba([[2]]), [[0.2, 0.37, 0.43]])
    clf = BiasCorrectedCalibrator(FrozenEstimator(tree), method="temperature")
    clf.fit(X[:200], y[:200])
    assert np.exp(clf.least_log_probability_) == pytest.approx(1 / 6)
    assert clf.predict([[2]]).tolist() == [2]
    assert np.diff(clf.predict_proba([[2]])[0]).min() > 0


@pytest.mark.parametrize("n", [30, 3000])
def test_the_temperature_is_that_of_scikit_learn_up_to_the_smoothing_of_labels(n):
    rng = np.random.RandomState(0)
    fitted = LogisticRegression(C=1e4).fit(*draw([20, 20, 20], seed=5))
    X, y = draw([n, n, n], seed=6)
    order = rng.permutation(len(y))
    X, y = X[order], y[order]
    known = CalibratedClassifierCV(FrozenEstimator(fitted), method="temperature").fit(X, y)
    # scikit-learn keeps 1 / T.
    expected = 1 / known.calibrated_classifiers_[0].calibrators[0].beta_
    clf = BiasCorrectedCalibrator(FrozenEstimator(fitted), method="temperature").fit(X, y)
    assert clf.temperature_ == pytest.approx(expected, rel=3 / n)
    if n == 3000:
        np.testing.assert_allclose(
            clf.predict_proba(X[:20]), known.predict_proba(X[:20]), atol=2e-3
        )


def test_all_samples_serve_the_calibration_of_a_frozen_classifier():
    fitted = GaussianNB().fit(*TRAIN)
    X, y = draw([80, 30, 0], seed=2)
    clf = BiasCorrectedCalibrator(FrozenEstimator(fitted)).fit(X, y)
    assert clf.estimator_.estimator is fitted
    assert clf.n_held_out_.tolist() == [80, 30, 0]
    # A class without held-out samples keeps its place.
    assert clf.biases_[2] == 0
    assert clf.predict_proba(X).shape == (110, 3)
    with pytest.raises(ValueError, match=r"at least two classes.*\[80, 0, 0\]"):
        clf.fit(X[:80], y[:80])
    # Nothing is half fitted.
    assert not hasattr(clf, "temperature_")


def test_trees_that_are_sure_become_less_so():
    tree = DecisionTreeClassifier(random_state=0)
    clf = BiasCorrectedCalibrator(tree, random_state=0).fit(*TRAIN)
    assert clf.least_log_probability_ == pytest.approx(np.log(1 / 6))
    assert clf.predict_proba(NEW[0]).max() < 0.999
    assert np.isfinite(clf.predict_log_proba(NEW[0])).all()


def test_probabilities_of_zero_do_not_outweigh_all_others():
    X, y = TRAIN
    forest = RandomForestClassifier(10, random_state=0)
    clf = BiasCorrectedCalibrator(forest, random_state=0).fit(X, y)
    # The trees are grown until their leaves hold one class, so that a probability is a count.
    assert clf.least_log_probability_ == pytest.approx(np.log(0.05))
    raw, proba = clf.estimator_.predict_proba(NEW[0]), clf.predict_proba(NEW[0])
    assert (raw == 0).any()
    assert 0.2 < clf.temperature_ < 2
    assert brier_score_loss(NEW[1], proba) < brier_score_loss(NEW[1], raw)
    assert (clf.predict(NEW[0]) == NEW[1]).mean() > (
        LABELS[raw.argmax(axis=1)] == NEW[1]
    ).mean() - 0.01
    # Zeros that are taken as they are would make all probabilities nearly equal.
    counted = np.maximum(np.log(raw + 1e-300), -708)
    target = np.searchsorted(LABELS, NEW[1])
    assert fit_correction(counted, target).temperature > 50


@pytest.mark.parametrize("cv", [0.3, 2, GroupKFold(3)], ids=str)
def test_samples_are_held_out_as_asked(cv):
    groups = np.random.RandomState(0).randint(60, size=len(TRAIN[1]))
    clf = BiasCorrectedCalibrator(GaussianNB(), cv=cv, random_state=0)
    clf.fit(*TRAIN, groups=groups)
    n_held = clf.n_held_out_.sum()
    assert n_held < 150 if cv == 0.3 else n_held == len(TRAIN[1])
    again = clone(clf).fit(*TRAIN, groups=groups)
    np.testing.assert_array_equal(again.biases_, clf.biases_)


def test_a_calibration_that_failed_leaves_nothing_that_looks_fitted():
    X, y = TRAIN
    clf = BiasCorrectedCalibrator(FrozenEstimator(GaussianNB().fit(X, y)))
    with pytest.raises(ValueError, match="at least two classes"):
        clf.fit(X[y == "rare"], y[y == "rare"])
    with pytest.raises(NotFittedError):
        clf.predict(X)


def test_weights_count_in_the_calibration():
    fitted = GaussianNB().fit(*TRAIN)
    X, y = draw([200, 200, 200], seed=4)
    weight = np.where(y == "rare", 0.1, 1.0)
    plain = BiasCorrectedCalibrator(FrozenEstimator(fitted)).fit(X, y)
    weighted = BiasCorrectedCalibrator(FrozenEstimator(fitted)).fit(X, y, sample_weight=weight)
    # The rare class has a tenth of the weight: its odds are a tenth.
    moved = np.diff(weighted.biases_[1:]) - np.diff(plain.biases_[1:])
    assert moved[0] == pytest.approx(-np.log(10), abs=0.3)
    none = BiasCorrectedCalibrator(FrozenEstimator(fitted))
    none.fit(X, y, sample_weight=(y != "rare").astype(float))
    assert none.n_held_out_.tolist() == [200, 200, 0]
    with pytest.raises(ValueError, match="Negative values"):
        none.fit(X, y, sample_weight=-weight)


@pytest.mark.parametrize(
    "classifier", [KNeighborsClassifier(), make_sklearn_pipeline(StandardScaler(), GaussianNB())]
)
def test_a_classifier_that_takes_no_weights_is_calibrated_with_them(classifier):
    weight = np.where(TRAIN[1] == "rare", 3.0, 1.0)
    clf = BiasCorrectedCalibrator(classifier, random_state=0)
    with pytest.warns(UserWarning, match="weights do not count in its training"):
        clf.fit(*TRAIN, sample_weight=weight)
    plain = clone(clf).fit(*TRAIN)
    assert clf.biases_[2] > plain.biases_[2] + 0.3


class Recording(ClassifierMixin, BaseEstimator):
    """A classifier that keeps the weights of its fits."""

    seen: list = []

    def fit(self, X, y, sample_weight=None):
        self.seen.append(sample_weight)
        self.model_ = GaussianNB().fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X):
        return self.model_.predict_proba(X)


def test_with_routing_weights_go_to_those_that_request_them():
    X, y = TRAIN
    weight = np.where(y == "rare", 3.0, 1.0)
    plain = BiasCorrectedCalibrator(Recording(), cv=2, random_state=0).fit(X, y)
    with config_context(enable_metadata_routing=True):
        for wanted in (False, True):
            Recording.seen.clear()
            clf = BiasCorrectedCalibrator(
                Recording().set_fit_request(sample_weight=wanted), cv=2, random_state=0
            )
            clf.fit(X, y, sample_weight=weight)
            assert [part is not None for part in Recording.seen] == [wanted] * 3
            assert clf.biases_[2] > plain.biases_[2] + 0.3
        # The calibrator itself uses them, so it must be asked to where it stands in a Pipeline.
        assert "sample_weight" in clf.get_metadata_routing()._self_request.fit.requests


def test_it_nests_in_searches_and_pipelines():
    X, y = TRAIN
    search = GridSearchCV(
        make_sklearn_pipeline(StandardScaler(), BiasCorrectedCalibrator(GaussianNB(), cv=2)),
        {"biascorrectedcalibrator__method": ["temperature", "bias_corrected"]},
        scoring="neg_log_loss",
        cv=2,
    ).fit(X, y)
    assert search.predict_proba(X).shape == (len(y), 3)
    inner = BiasCorrectedCalibrator(GaussianNB(), random_state=0)
    outer = BiasCorrectedCalibrator(inner, random_state=0).fit(*draw([600, 400, 200]))
    # A second calibration finds little to do.
    assert outer.temperature_ == pytest.approx(1, abs=0.1)
    assert np.abs(outer.biases_).max() < 0.1


def test_frames_keep_their_names():
    X = pd.DataFrame(TRAIN[0], columns=list("abcd"))
    clf = BiasCorrectedCalibrator(LogisticRegression(), cv=2, random_state=0).fit(X, TRAIN[1])
    assert clf.feature_names_in_.tolist() == list("abcd")
    assert clf.n_features_in_ == 4


def test_wrappers_around_it_know_the_prior_of_its_probabilities():
    X, y = TRAIN
    target = np.searchsorted(LABELS, y)
    weighted = LogisticRegression(class_weight="balanced")
    corrected: Any = BiasCorrectedCalibrator(weighted, random_state=0).fit(X, y)
    fractions = np.bincount(target) / len(y)
    np.testing.assert_allclose(corrected.predicted_prior_, fractions)
    np.testing.assert_allclose(prior_of_probabilities(corrected, target).prior, fractions)
    # A temperature leaves the balanced classes of the training as they are.
    only = BiasCorrectedCalibrator(weighted, method="temperature", random_state=0).fit(X, y)
    assert only.predicted_prior_ is None
    np.testing.assert_allclose(prior_of_probabilities(only, target).prior, np.full(3, 1 / 3))


def test_the_rule_says_it_in_numbers():
    clf = BiasCorrectedCalibrator(GaussianNB(), cv=2, random_state=0).fit(*TRAIN)
    rule = clf.decision_rule()
    assert isinstance(rule, DecisionRule)
    assert rule.temperature == clf.temperature_
    assert rule.least_log_probability == clf.least_log_probability_
    np.testing.assert_array_equal(rule.log_offsets, clf.biases_)


@pytest.mark.parametrize("wrong", [{"method": "isotonic"}, {"cv": 1.5}, {"cv": "five"}])
def test_parameters_are_checked(wrong):
    with pytest.raises(ValueError, match=f"The '{next(iter(wrong))}' parameter"):
        BiasCorrectedCalibrator(GaussianNB(), **wrong).fit(*TRAIN)
