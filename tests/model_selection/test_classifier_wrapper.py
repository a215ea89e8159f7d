"""What wrappers of classifiers have in common: held-out samples, predictions, checks, files."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut
from sklearn.naive_bayes import GaussianNB
from sklearn.utils import check_random_state
from sklearn.utils.estimator_checks import parametrize_with_checks

from skimb._decision_rule import DecisionRule
from skimb._params import HasMethods, fit_context
from skimb.datasets import load_imbalanced_digits
from skimb.model_selection import BiasCorrectedCalibrator, TunedOffsetsClassifierCV
from skimb.model_selection._classifier_wrapper import ClassifierWrapper
from skimb.model_selection._held_out_predictions import (
    fit_and_hold_out,
    fit_on_all,
    n_fits,
    read_samples,
)
from skimb.model_selection._held_out_splits import folds_of
from skimb.neural_network import CNNClassifier
from skimb.testing import check_image_estimator


class Wrapper(ClassifierWrapper):
    """Leave all as it is, and keep what was held out."""

    _parameter_constraints: dict = {"estimator": [HasMethods(["fit", "predict_proba"])]}

    def __init__(self, estimator, *, cv=None, random_state=None):
        self.estimator = estimator
        self.cv = cv
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None, groups=None):
        self._begin()
        rng = check_random_state(self.random_state)
        samples = read_samples(self, X, y, groups)
        metadata = self._metadata(samples, sample_weight, groups)
        task = self._begin_task(samples, n_fits(self, samples, self.cv or 0.5))
        given = {"rng": rng, "metadata": metadata, "task": task}
        if self.cv is None:
            fit_on_all(self, samples, **given)
        else:
            self.held_ = fit_and_hold_out(self, samples, cv=self.cv, **given)
        task.call_on_fit_task_end(estimator=self)
        return self

    def decision_rule(self):
        return DecisionRule()


def table(n_classes=3, n=300, seed=0):
    rng = np.random.RandomState(seed)
    y = rng.choice(n_classes, p=[0.7, 0.2, 0.1][:n_classes] if n_classes == 3 else None, size=n)
    return rng.randn(n, 4) + 1.5 * y[:, None] * np.eye(4)[0], np.array(["a", "b", "c"])[y]


@pytest.mark.conformance
@parametrize_with_checks(
    [
        Wrapper(LogisticRegression()),
        Wrapper(LogisticRegression(), cv=0.3, random_state=0),
        Wrapper(LogisticRegression(), cv=2, random_state=0),
        Wrapper(GaussianNB(), cv=2, random_state=0),
    ],
)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("cv", [None, 0.4, 2])
def test_a_wrapper_of_a_network_keeps_the_promises_of_estimators_of_images(cv):
    network = CNNClassifier(max_epochs=1, random_state=0)
    check_image_estimator(
        Wrapper(network, cv=cv, random_state=0),
        expected_failed_checks={"check_zero_weight": "Such samples count in the folds."},
    )


@pytest.mark.parametrize("n_folds", [2, 3, 7])
@pytest.mark.parametrize("is_grouped", [False, True])
def test_every_class_is_in_every_training_part(n_folds, is_grouped):
    y = np.array([0] * 30 + [1] * 5 + [2] * 2 + [3])
    groups = np.arange(len(y)) // 2 if is_grouped else np.arange(len(y))
    folds = folds_of(y, groups if is_grouped else None, n_folds, 0)
    held = np.concatenate([held for _, held in folds])
    assert len(np.unique(held)) == len(held)
    # The single sample of class 3, and with it its group, is never held out.
    assert 37 not in held
    for train, held in folds:
        assert set(y[train]) == {0, 1, 2, 3}
        np.testing.assert_array_equal(np.sort(np.append(train, held)), np.arange(len(y)))
        assert not set(groups[train]) & set(groups[held])


def test_classes_of_single_samples_cannot_be_divided():
    with pytest.raises(ValueError, match="No class of y can be divided into folds"):
        folds_of(np.arange(4), None, 2, 0)


def test_one_split_trains_once_and_holds_out_samples_of_the_final_classifier():
    X, y = table()
    wrapper = Wrapper(LogisticRegression(), cv=0.3, random_state=0).fit(X, y)
    held = wrapper.held_
    assert held.is_exact
    assert 80 <= len(held.rows) <= 100
    np.testing.assert_array_equal(wrapper.classes_[held.target], y[held.rows])
    np.testing.assert_allclose(
        held.log_proba, wrapper.estimator_.predict_log_proba(X[held.rows]), rtol=1e-12
    )
    train = np.setdiff1d(np.arange(len(y)), held.rows)
    again = LogisticRegression().fit(X[train], y[train])
    np.testing.assert_allclose(wrapper.predict_proba(X), again.predict_proba(X), rtol=1e-9)


def test_folds_hold_every_sample_out_and_the_final_classifier_sees_all():
    X, y = table()
    wrapper = Wrapper(LogisticRegression(), cv=3, random_state=0).fit(X, y)
    held = wrapper.held_
    assert not held.is_exact
    np.testing.assert_array_equal(np.sort(held.rows), np.arange(len(y)))
    fold = held.folds == 1
    rest = np.setdiff1d(np.arange(len(y)), held.rows[fold])
    part = LogisticRegression().fit(X[rest], y[rest])
    np.testing.assert_allclose(held.log_proba[fold], part.predict_log_proba(X[held.rows[fold]]))
    whole = LogisticRegression().fit(X, y)
    np.testing.assert_allclose(wrapper.predict_proba(X), whole.predict_proba(X))


def test_a_frozen_classifier_is_used_as_it_is_and_all_samples_are_held_out():
    X, y = table()
    fitted = RandomForestClassifier(5, random_state=0).fit(X[:150], y[:150])
    wrapper = Wrapper(FrozenEstimator(fitted), cv=2).fit(X[150:], y[150:])
    assert wrapper.held_.is_exact
    np.testing.assert_array_equal(wrapper.held_.rows, np.arange(150))
    np.testing.assert_array_equal(wrapper.predict(X), fitted.predict(X))
    # A forest gives probabilities of zero, which stay finite logarithms.
    assert np.isfinite(wrapper.held_.log_proba).all()
    with pytest.raises(ValueError, match="labels that the classifier does not know: \\['z'\\]"):
        Wrapper(FrozenEstimator(fitted)).fit(X[:3], ["a", "b", "z"])


def test_a_splitter_and_pairs_of_positions_are_read():
    X, y = table()
    splitter = KFold(3, shuffle=True, random_state=1)
    by_splitter = Wrapper(LogisticRegression(), cv=splitter).fit(X, y).held_
    by_pairs = Wrapper(LogisticRegression(), cv=list(splitter.split(X))).fit(X, y).held_
    np.testing.assert_array_equal(by_splitter.log_proba, by_pairs.log_proba)
    np.testing.assert_array_equal(by_splitter.rows, by_pairs.rows)


@pytest.mark.parametrize(
    "cv",
    [
        lambda X: (pair for pair in GroupKFold(3).split(X, groups=np.arange(30) // 10)),
        lambda X: LeaveOneGroupOut(),
    ],
    ids=["generator", "groups"],
)
@pytest.mark.parametrize("kind", [BiasCorrectedCalibrator, TunedOffsetsClassifierCV])
def test_splitters_may_need_samples_and_pairs_may_be_read_once(kind, cv):
    rng = np.random.RandomState(0)
    y = np.tile([0, 1], 15)
    X = rng.randn(30, 2) + y[:, None]
    clf = kind(GaussianNB(), cv=cv(X)).fit(X, y, groups=np.arange(30) // 10)
    assert clf.n_held_out_.tolist() == [15, 15]


def test_a_class_that_a_part_lacks_is_refused():
    X, y = table()
    pairs = [(np.flatnonzero(y != "c"), np.flatnonzero(y == "c"))]
    with pytest.raises(ValueError, match=r"training part of fold 0 .* lacks the classes \['c'\]"):
        Wrapper(LogisticRegression(), cv=pairs).fit(X, y)


class WithoutTheLast(GaussianNB):
    """Leave the samples of the last class out, as some samplers in a Pipeline may."""

    def fit(self, X, y, sample_weight=None):
        is_other = y != "c"
        return super().fit(X[is_other], y[is_other]) if len(y) < 200 else super().fit(X, y)


def test_a_class_that_a_classifier_of_a_part_lacks_has_probability_zero_there():
    X, y = table()
    held = Wrapper(WithoutTheLast(), cv=2, random_state=0).fit(X, y).held_
    assert held.log_proba.shape[1] == 3
    assert (held.log_proba[:, 2] < -700).all()


@pytest.mark.slow
@pytest.mark.parametrize("cv", [0.4, 2])
def test_equal_images_and_groups_stand_on_one_side(cv):
    X, y = load_imbalanced_digits(return_X_y=True)
    keep = np.r_[np.flatnonzero(y == 1)[:20], np.flatnonzero(y == 0)[:60]]
    X, y = np.repeat(X[keep], 2, axis=0), np.repeat(y[keep], 2)
    groups = np.arange(len(y)) // 4
    network = CNNClassifier(max_epochs=1, random_state=0)
    held = Wrapper(network, cv=cv, random_state=0).fit(X, y, groups=groups).held_
    for fold in np.unique(held.folds):
        rows = held.rows[held.folds == fold]
        assert not set(groups[rows]) & set(np.delete(groups, rows))


def test_a_rule_raises_small_probabilities_before_it_divides():
    log_proba = np.array([[0.0, -708.0], np.log([0.6, 0.4])])
    rule = DecisionRule(least_log_probability=np.log(0.1), temperature=2.0)
    expected = log_softmax(np.log([[1.0, 0.1], [0.6, 0.4]]) / 2, axis=1)
    np.testing.assert_allclose(rule.log_probabilities(log_proba), expected)
    assert DecisionRule(least_log_probability=-1.0).shifts
    for bad in (0.5, np.nan, -np.inf):
        with pytest.raises(ValueError, match="`least_log_probability` must be a finite number"):
            DecisionRule(least_log_probability=bad)


def test_a_rule_divides_by_the_temperature_before_it_adds_the_offsets():
    log_proba = np.log([[0.7, 0.2, 0.1], [0.2, 0.3, 0.5]])
    rule = DecisionRule(log_offsets=[0, 1.0, 2.0], temperature=2.0)
    expected = log_softmax(log_proba / 2 + np.array([0, 1.0, 2.0]), axis=1)
    np.testing.assert_allclose(rule.log_probabilities(log_proba), expected)
    for bad in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="`temperature` must be a positive number"):
            DecisionRule(temperature=bad)
