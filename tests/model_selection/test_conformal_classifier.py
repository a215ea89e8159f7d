"""Sets of labels: coverage of each class, few samples, groups, held-out samples."""

import math

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline
from scipy.stats import binom
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RepeatedStratifiedKFold,
)
from sklearn.neural_network import MLPClassifier

from skimb._groups import one_of_each
from skimb.datasets import load_imbalanced_digits
from skimb.metrics import set_coverage
from skimb.model_selection import (
    ConformalClassifier,
    GuaranteedRecallClassifier,
    MinimumCostClassifier,
)
from skimb.model_selection._conformal_ranks import (
    conformal_quantile,
    least_samples,
)
from skimb.neural_network import CNNClassifier


def table(n=600, seed=0, labels=("a", "b", "c")):
    X, y = make_classification(
        n,
        n_classes=3,
        n_informative=4,
        weights=[0.7, 0.2, 0.1],
        class_sep=0.6,
        flip_y=0.0,
        random_state=seed,
    )
    return X, np.array(labels)[y]


class Given(ClassifierMixin, BaseEstimator):
    """A classifier whose probabilities are X."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.asarray(X)

    def predict(self, X):
        return self.classes_[np.argmax(X, axis=1)]


def given(n_classes=3):
    return FrozenEstimator(Given().fit(None, np.arange(n_classes)))


# ------------------------------------------------------------------------------ order statistics


@pytest.mark.parametrize(("level", "least"), [(0.5, 1), (0.9, 9), (0.95, 19), (0.99, 99)])
def test_a_bound_takes_as_many_samples_as_counted_by_hand(level, least):
    assert least_samples(level) == least
    assert np.isinf(conformal_quantile(np.arange(least - 1.0), level))
    # All of them are needed: the largest one is the bound.
    assert conformal_quantile(np.arange(float(least)), level) == least - 1


@pytest.mark.parametrize("level", [0.1, 0.55, 0.7, 0.9, 0.95, 1 / 3])
def test_the_bound_is_the_order_statistic_of_a_sorted_list(level):
    rng = np.random.RandomState(0)
    for n in range(1, 60):
        scores = rng.randint(0, 9, size=n).astype(float)
        rank = next(k for k in range(1, n + 2) if k >= (n + 1) * level - 1e-12)
        expected = sorted(scores)[rank - 1] if rank <= n else math.inf
        assert conformal_quantile(scores, level) == expected


def test_one_sample_of_each_group_and_kind_is_drawn_with_equal_probability():
    groups, kinds = np.array([5, 5, 5, 5, 8]), np.array([0, 0, 0, 1, 1])
    rng = np.random.RandomState(0)
    drawn = np.array([one_of_each(groups, kinds, rng) for _ in range(900)])
    np.testing.assert_array_equal(drawn[:, 1:], np.tile([3, 4], (900, 1)))
    counts = np.bincount(drawn[:, 0], minlength=3)
    assert (np.abs(counts - 300) < 4 * np.sqrt(900 * 2 / 9)).all()


# ------------------------------------------------------------------------------------- coverage

PRIOR = np.array([0.85, 0.1, 0.05])


def probabilities(kind, y, rng):
    """Return probabilities of classifiers: a good one, one of few distinct values, a useless one.

    All of them favour the most common class.
    """
    if kind == "useless":
        return rng.dirichlet(20 * PRIOR, size=len(y))
    logits = np.log(PRIOR) + 1.5 * np.eye(3)[y] + rng.standard_normal((len(y), 3))
    if kind == "equal values":
        logits = np.round(logits)
    proba = np.exp(logits)
    return proba / proba.sum(axis=1, keepdims=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The classes .* in every set")
@pytest.mark.parametrize("kind", ["good", "equal values", "useless"])
def test_every_class_is_covered_over_a_thousand_calibration_sets(kind):
    rng, level, n_sets = np.random.RandomState(0), 0.9, 1000
    hits, shared, n_tries = np.zeros(3), np.zeros(3), np.zeros(3, dtype=int)
    clf = ConformalClassifier(given(), confidence_level=level)
    clf.classes_ = np.arange(3)
    for _ in range(n_sets):
        y = np.append(rng.choice(3, p=PRIOR, size=250), [0, 1, 2])
        own = probabilities(kind, y, rng)[np.arange(len(y)), y]
        clf._find_thresholds(own, y, np.arange(len(y)), rng)
        # One new sample of each class, so that the outcomes are independent.
        new = np.arange(3)
        own = probabilities(kind, new, rng)[new, new]
        hits += (own >= clf.thresholds_) & (clf.thresholds_ > 0)
        shared += own >= clf.marginal_threshold_
        # The rarest class is sometimes in every set, which covers it without a threshold.
        n_tries += clf.thresholds_ > 0
    assert (n_tries > 500).all()
    assert (hits >= binom.ppf(0.001, n_tries, level)).all(), hits
    # The shared threshold covers most samples, and misses the rarest class.
    assert shared @ PRIOR >= binom.ppf(0.001, n_sets, level)
    assert shared[2] < 0.75 * n_sets, shared
    if kind != "equal values":
        # Not more than needed: a class of n samples is covered with at most level + 1 / (n + 1).
        assert hits[0] <= binom.ppf(0.999, n_tries[0], level + 1 / 150)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["good", "useless"])
def test_with_interpolation_the_other_classes_and_the_whole_stay_covered(kind):
    rng, level, n_sets = np.random.RandomState(0), 0.9, 1000
    hits, of_all, n_own = np.zeros(3), 0, np.zeros(3, dtype=int)
    clf = ConformalClassifier(given(), interpolation=0.3)
    clf.classes_ = np.arange(3)
    for _ in range(n_sets):
        y = rng.choice(3, p=PRIOR, size=120)
        own = probabilities(kind, y, rng)[np.arange(len(y)), y]
        clf._find_thresholds(own, y, np.arange(len(y)), rng)
        has_own = ~clf.is_interpolated_
        new = np.append(np.arange(3), rng.choice(3, p=PRIOR))
        own = probabilities(kind, new, rng)[np.arange(4), new]
        covered = own >= clf.thresholds_[new]
        is_counted = [*has_own[:2], not has_own[2]]
        hits, n_own, of_all = (
            hits + covered[:3] * is_counted,
            n_own + is_counted,
            of_all + covered[3],
        )
    assert (n_own > 700).all()
    assert (hits[:2] >= binom.ppf(0.001, n_own[:2], level)).all()
    assert of_all >= binom.ppf(0.001, n_sets, 1 - 2 * (1 - level))
    # Where the last class has few samples, nothing is promised for it, and little is kept.
    assert hits[2] < 0.85 * n_own[2]


def test_thresholds_are_those_of_a_loop_and_sets_follow_from_them():
    X, y = table()
    fitted = LogisticRegression().fit(X[:200], y[:200])
    clf = ConformalClassifier(FrozenEstimator(fitted)).fit(X[200:], y[200:])
    proba = fitted.predict_proba(X[200:])
    for k, label in enumerate(clf.classes_):
        own = sorted(proba[y[200:] == label, k])
        assert clf.n_calibration_[k] == len(own)
        # As many of its samples may be missed.
        n_missed = int((len(own) + 1) * 0.1 + 1e-9)
        # A little lower, for roundings.
        np.testing.assert_allclose(clf.thresholds_[k], own[n_missed - 1], rtol=1e-5)
        assert clf.thresholds_[k] < own[n_missed - 1]
    np.testing.assert_array_equal(
        clf.predict_set(X), clf.predict_proba(X) >= clf.thresholds_[None, :]
    )
    assert clf.is_exact_
    np.testing.assert_array_equal(clf.predict(X), fitted.predict(X))
    np.testing.assert_allclose(clf.predict_proba(X), fitted.predict_proba(X), rtol=1e-12)


@pytest.mark.filterwarnings("ignore:WARNING. your conformalization dataset")
def test_sets_are_those_of_mapie_on_the_samples_of_each_class():
    mapie = pytest.importorskip("mapie.classification")
    X, y = table(900)
    fitted = LogisticRegression().fit(X[:300], y[:300])
    X_held, y_held, X_new = X[300:600], y[300:600], X[600:]
    clf = ConformalClassifier(FrozenEstimator(fitted)).fit(X_held, y_held)

    def sets_of(rows):
        peer = mapie.SplitConformalClassifier(fitted, confidence_level=0.9)
        return peer.conformalize(X_held[rows], y_held[rows]).predict_set(X_new)[1][:, :, 0]

    for k, label in enumerate(clf.classes_):
        expected = sets_of(y_held == label)[:, k]
        np.testing.assert_array_equal(clf.predict_set(X_new)[:, k], expected)
    shared = clf.predict_proba(X_new) >= clf.marginal_threshold_
    np.testing.assert_array_equal(shared, sets_of(np.full(300, True)))


# ---------------------------------------------------------------------------- few samples, groups


def few():
    """Return probabilities and labels with 4 samples of the last class."""
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1, 2], [100, 30, 4])
    return rng.dirichlet([5, 3, 1], size=len(y)), y


def test_a_class_of_too_few_samples_is_in_every_set_and_a_warning_says_so():
    X, y = few()
    with pytest.warns(UserWarning, match=r"\[2\] have \[4\] held-out samples.*at least 9"):
        clf = ConformalClassifier(given()).fit(X, y)
    assert clf.thresholds_[2] == 0
    assert clf.predict_set(X)[:, 2].all()
    assert not clf.is_interpolated_.any()
    # A class that was never held out, too.
    with pytest.warns(UserWarning, match=r"\[2\] have \[0\]"):
        clf = ConformalClassifier(given()).fit(X[y < 2], y[y < 2])
    assert clf.predict_set(X)[:, 2].all()


@pytest.mark.parametrize("weight", [0, 0.25, 0.5, 1])
def test_interpolation_moves_the_threshold_from_the_shared_one_to_none(weight):
    X, y = few()
    clf = ConformalClassifier(given(), interpolation=weight).fit(X, y)
    # In terms of 1 - p, as in the paper, with 1 where no threshold is sure.
    score = weight * 1 + (1 - weight) * (1 - clf.marginal_threshold_)
    np.testing.assert_allclose(1 - clf.thresholds_[2], score)
    assert clf.is_interpolated_.tolist() == [False, False, weight < 1]
    with pytest.warns(UserWarning, match="in every set"):
        exact = ConformalClassifier(given()).fit(X, y)
    np.testing.assert_array_equal(clf.thresholds_[:2], exact.thresholds_[:2])


def test_a_group_counts_once_in_each_class():
    X, y = few()
    X, y, groups = np.repeat(X, 5, axis=0), np.repeat(y, 5), np.repeat(np.arange(len(y)), 5)
    with pytest.warns(UserWarning, match="in every set"):
        clf = ConformalClassifier(given(), random_state=0).fit(X, y, groups=groups)
    with pytest.warns(UserWarning, match="in every set"):
        alone = ConformalClassifier(given()).fit(*few())
    assert clf.n_calibration_.tolist() == [100, 30, 4]
    np.testing.assert_array_equal(clf.thresholds_, alone.thresholds_)


@pytest.mark.slow
def test_equal_images_count_once():
    X, y = load_imbalanced_digits(return_X_y=True)
    X, y = X[:400], y[:400]
    network = CNNClassifier("linear", max_epochs=1, random_state=0)
    clf = ConformalClassifier(network, confidence_level=0.5, random_state=0)
    n_once = clf.fit(X, y).n_calibration_
    n_twice = clf.fit(np.repeat(X, 2, axis=0), np.repeat(y, 2)).n_calibration_
    np.testing.assert_array_equal(n_twice, n_once)


# ------------------------------------------------------------------------------ held-out samples


def test_by_default_a_quarter_is_held_out_and_the_classifier_is_fitted_once():
    X, y = table()
    clf = ConformalClassifier(LogisticRegression(), random_state=0).fit(X, y)
    assert clf.is_exact_
    assert 140 <= clf.n_calibration_.sum() <= 160
    again = clone(clf).fit(X, y)
    np.testing.assert_array_equal(again.thresholds_, clf.thresholds_)


def test_folds_hold_all_samples_out_and_are_named_approximate():
    X, y = table()
    clf = ConformalClassifier(LogisticRegression(), cv=3, random_state=0).fit(X, y)
    assert not clf.is_exact_
    assert clf.n_calibration_.sum() == len(y)
    # A sample that is held out repeatedly counts once.
    repeated = RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0)
    clf.set_params(cv=repeated).fit(X, y)
    assert clf.n_calibration_.sum() == len(y)


def test_a_forest_after_smote_in_a_pipeline_is_wrapped():
    X, y = table(1200)
    model = make_pipeline(SMOTE(random_state=0), RandomForestClassifier(20, random_state=0))
    clf = ConformalClassifier(model, random_state=0).fit(X[:800], y[:800])
    report = set_coverage(y[800:], clf.predict_set(X[800:]), labels=clf.classes_)
    assert (report["coverage"] > 0.75).all()


@pytest.mark.parametrize("labels", [(0, 1, 2), (True, False), ("x", "y", "z")], ids=str)
def test_labels_of_any_type_come_back(labels):
    X, y = table(labels=("a", "b", "c"))
    y = np.array(labels)[np.searchsorted(["a", "b", "c"], y) % len(labels)]
    clf = ConformalClassifier(LogisticRegression(), random_state=0).fit(X, y)
    sets = clf.predict_set(X)
    assert sets.dtype == bool
    assert sets.shape == (len(X), len(labels))
    assert {label for row in sets for label in clf.classes_[row].tolist()} <= set(labels)


def test_a_search_reaches_its_parameters():
    X, y = table(900)
    search = GridSearchCV(
        ConformalClassifier(LogisticRegression(), random_state=0), {"estimator__C": [0.1, 1]}, cv=2
    ).fit(X, y)
    assert search.best_estimator_.predict_set(X).shape == (len(X), 3)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"confidence_level": 1.0}, "'confidence_level' parameter"),
        ({"confidence_level": 0}, "'confidence_level' parameter"),
        ({"interpolation": 1.5}, "'interpolation' parameter"),
        ({"cv": 1.0}, "'cv' parameter"),
    ],
    ids=str,
)
def test_parameters_without_a_meaning_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        ConformalClassifier(LogisticRegression(), **params).fit(*table())


def test_a_fit_that_fails_leaves_nothing_of_an_earlier_one():
    X, y = table()
    clf = ConformalClassifier(LogisticRegression(), random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="two classes"):
        clf.fit(X, np.zeros(len(X)))
    assert not [name for name in vars(clf) if name.endswith("_")]


def test_sets_of_single_samples_are_those_of_all_at_once():
    """The threshold is one of the probabilities, and a matrix product rounds one row otherwise."""
    rng = np.random.RandomState(0)
    inputs = rng.normal(size=(3, 40)).astype(np.float64)
    kind = np.repeat([0, 1, 2], 100)
    y = (rng.rand(300) < np.array([0.2, 0.5, 0.8])[kind]).astype(int)
    for seed in range(6):
        network = MLPClassifier((64,), max_iter=400, tol=1e-2, random_state=seed)
        clf = ConformalClassifier(FrozenEstimator(network.fit(inputs[kind], y)))
        at_once = clf.fit(inputs[kind], y).predict_set(inputs[kind])
        single = np.concatenate([clf.predict_set(row[None]) for row in inputs])[kind]
        np.testing.assert_array_equal(single, at_once)


# ------------------------------------------------------------------------------ decisions


@pytest.mark.parametrize("kind", ["recall", "costs", "threshold"])
def test_decisions_are_those_of_the_wrapped_classifier(kind):
    rng = np.random.default_rng(0)
    y = (rng.random(2000) < 0.1).astype(int)
    X = rng.normal(size=(2000, 1)) + 1.2 * y[:, None]
    plain = LogisticRegression().fit(X[:1000], y[:1000])
    inner = {
        "recall": GuaranteedRecallClassifier(LogisticRegression(), recall=0.85, random_state=0),
        "costs": MinimumCostClassifier(LogisticRegression(), cost_matrix=[[0, 1], [9, 0]]),
        "threshold": FixedThresholdClassifier(LogisticRegression(), threshold=0.1),
    }[kind].fit(X[:1000], y[:1000])
    clf = ConformalClassifier(FrozenEstimator(inner)).fit(X[1000:], y[1000:])
    np.testing.assert_array_equal(clf.predict(X), inner.predict(X))
    np.testing.assert_array_equal(clf.decision_function(X), inner.decision_function(X))
    np.testing.assert_allclose(clf.predict_proba(X), inner.predict_proba(X), rtol=1e-12)
    assert (clf.predict(X) == 1).sum() > 2 * (plain.predict(X) == 1).sum()


def test_a_classifier_without_a_decision_function_gives_log_probabilities():
    X, y = table()
    forest = RandomForestClassifier(5, min_samples_leaf=20, random_state=0).fit(X[:300], y[:300])
    clf = ConformalClassifier(FrozenEstimator(forest)).fit(X[300:], y[300:])
    np.testing.assert_array_equal(clf.decision_function(X), clf.predict_log_proba(X))
    np.testing.assert_array_equal(clf.predict(X), forest.predict(X))
