"""Offsets by coordinate ascent: as good as an exhaustive search, down to the rarest classes."""

from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import balanced_accuracy_score, f1_score, make_scorer, roc_auc_score

from skimb._label_measures import reads_labels
from skimb.datasets import load_imbalanced_digits
from skimb.metrics import imbalance_scoring
from skimb.model_selection import TunedOffsetsClassifierCV, _offset_search
from skimb.model_selection._offset_search import tune_offsets
from skimb.neural_network import CNNClassifier


class Known(ClassifierMixin, BaseEstimator):
    def __init__(self, predicted):
        self.predicted = predicted
        self.classes_ = np.unique(predicted)

    def fit(self, X, y):
        return self

    def predict(self, X):
        return self.predicted


def made(prior, *, n=8000, seed=0, n_classes=3):
    """Log-probabilities of a network that is right more often than not; the last class is rare."""
    rng = np.random.RandomState(seed)
    shares = np.append(np.full(n_classes - 1, (1 - prior) / (n_classes - 1)), prior)
    y = rng.choice(n_classes, p=shares, size=n)
    logits = np.log(shares) + 1.2 * rng.randn(n, n_classes) + 2 * np.eye(n_classes)[y]
    return log_softmax(logits, axis=1), y


def f1_of(y, predicted, n_classes):
    """Macro F1 without the checks of scikit-learn's, which take most of its time."""
    table = np.bincount(y * n_classes + predicted, minlength=n_classes**2)
    table = table.reshape(n_classes, n_classes)
    return np.mean(2 * table.diagonal() / np.maximum(table.sum(axis=0) + table.sum(axis=1), 1))


def macro_f1(log_proba, y, offsets: Any = 0.0):
    return f1_of(y, (log_proba + offsets).argmax(axis=1), log_proba.shape[1])


def best_of_every_margin(log_proba, y, k):
    """Try every offset of class k at which a prediction changes: slow, and complete."""
    rival = np.delete(log_proba, k, axis=1).max(axis=1)
    others = np.where(np.arange(log_proba.shape[1]) == k, -np.inf, log_proba).argmax(axis=1)
    margins = rival - log_proba[:, k]
    order = np.argsort(margins)
    # Only where it may pay: between the last sample of the class and the first.
    own = np.sort(margins[y == k])
    tried = margins[order][margins[order] <= own[-1]]
    tried = tried[np.linspace(0, len(tried) - 1, min(len(tried), 500)).astype(int)]
    tried = np.unique(np.append(tried, own))
    n_classes = log_proba.shape[1]
    return max(f1_of(y, np.where(margins <= offset, k, others), n_classes) for offset in tried)


@pytest.mark.slow
@pytest.mark.parametrize("prior", [0.005, 0.001])
@pytest.mark.parametrize("k", [0, 2], ids=["frequent", "rare"])
def test_a_step_is_as_good_as_an_exhaustive_search(prior, k, monkeypatch):
    log_proba, y = made(prior)
    # Of one step: no other class has a turn.
    monkeypatch.setattr(_offset_search, "N_ROUNDS", 1)
    monkeypatch.setattr(_offset_search, "range", lambda n: [k], raising=False)
    tuned = macro_f1(log_proba, y, tune_offsets(log_proba, y, np.arange(3)))
    assert tuned >= best_of_every_margin(log_proba, y, k) - 0.002
    assert tuned >= macro_f1(log_proba, y)


@pytest.mark.parametrize("prior", [0.005, 0.001])
def test_a_rare_class_is_found_as_well_as_by_a_candidate_for_each_of_its_samples(prior):
    """Fifty quantiles of all samples stand too far apart."""
    log_proba, y = made(prior, n=10_000)
    tuned = macro_f1(log_proba, y, tune_offsets(log_proba, y, np.arange(3)))
    margins = log_proba[:, :2].max(axis=1) - log_proba[:, 2]
    coarse = max(
        macro_f1(log_proba, y, np.array([0, 0, offset]))
        for offset in np.quantile(margins, np.linspace(0, 1, 50))
    )
    assert tuned > coarse + 0.005


def test_two_classes_get_the_best_threshold_there_is():
    log_proba, y = made(0.02, n=1000, n_classes=2)
    offsets = tune_offsets(log_proba, y, np.arange(2), "f1_minority")
    found = f1_score(y, (log_proba + offsets).argmax(axis=1))
    odds = log_proba[:, 1] - log_proba[:, 0]
    best = max(f1_score(y, odds >= cut) for cut in odds[y == 1])
    assert found == pytest.approx(best)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["f1_minority", "f1_macro", "balanced_accuracy"])
def test_a_named_measure_is_the_scorer_of_that_name(name, monkeypatch):
    log_proba, y = made(0.1, n=80)
    classes = np.array(["a", "b", "c"])
    scorer = imbalance_scoring(classes[y])[name]
    monkeypatch.setattr(_offset_search, "MOST_CALLS", _offset_search.MOST_CANDIDATES)
    by_name, by_scorer = (
        tune_offsets(log_proba, classes[y], classes, scoring) for scoring in (name, scorer)
    )
    np.testing.assert_allclose(by_name, by_scorer)
    plain, tuned = (
        scorer(Known(classes[(log_proba + o).argmax(axis=1)]), None, classes[y])
        for o in (0, by_name)
    )
    assert tuned > plain


def test_counts_over_gaps_are_those_of_the_predictions():
    log_proba, y = made(0.05, n=300, n_classes=4)
    rival = np.where(np.arange(4) == 1, -np.inf, log_proba).argmax(axis=1)
    margins = np.delete(log_proba, 1, axis=1).max(axis=1) - log_proba[:, 1]
    candidates = _offset_search._candidates(margins, margins[y == 1], 40)
    hits, predicted = _offset_search._counts(candidates, margins, rival, y, 1, 4)
    for i, candidate in enumerate(candidates):
        called = np.where(margins <= candidate, 1, rival)
        np.testing.assert_array_equal(predicted[i], np.bincount(called, minlength=4))
        np.testing.assert_array_equal(hits[i], np.bincount(called[called == y], minlength=4))


def test_candidates_are_few_and_keep_the_ends():
    margins = np.random.RandomState(0).randn(5000)
    few = _offset_search._candidates(margins, margins[:4000], 400)
    assert len(few) <= 402
    assert few[0] < margins.min()
    assert few[-1] > margins.max()
    own = np.sort(margins[:4000])
    assert ((few > own[0]) & (few < own[1])).any()


def test_ties_move_together_and_the_result_is_one():
    log_proba, y = made(0.05, n=400)
    log_proba = log_softmax(np.round(log_proba), axis=1)
    offsets = tune_offsets(log_proba, y, np.arange(3))
    np.testing.assert_array_equal(offsets, tune_offsets(log_proba, y, np.arange(3)))
    order = np.random.RandomState(1).permutation(len(y))
    np.testing.assert_allclose(offsets, tune_offsets(log_proba[order], y[order], np.arange(3)))
    assert macro_f1(log_proba, y, offsets) > macro_f1(log_proba, y)
    # Where all samples are the same, none can be told from another.
    same = np.tile(log_proba[:1], (400, 1))
    assert macro_f1(same, y, tune_offsets(same, y, np.arange(3))) >= macro_f1(same, y)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_classes", [2, 3, 6])
def test_offsets_are_never_worse_than_none(seed, n_classes):
    rng = np.random.RandomState(seed)
    log_proba = log_softmax(rng.randn(40, n_classes), axis=1)
    y = np.append(rng.randint(n_classes, size=40 - n_classes), np.arange(n_classes))
    offsets = tune_offsets(log_proba, y, np.arange(n_classes))
    assert macro_f1(log_proba, y, offsets) >= macro_f1(log_proba, y)
    perfect = log_softmax(9.0 * np.eye(n_classes)[y], axis=1)
    np.testing.assert_array_equal(tune_offsets(perfect, y, np.arange(n_classes)), 0)


def test_a_scorer_of_probabilities_is_told_from_one_of_labels():
    y = np.array(["x", "z", "x", "z"])
    scorers = imbalance_scoring(y)
    assert reads_labels(scorers["mcc"], y)
    assert reads_labels(make_scorer(balanced_accuracy_score), y)
    assert not reads_labels(scorers["average_precision_minority"], y)
    assert not reads_labels(make_scorer(roc_auc_score, response_method="decision_function"), y)
    assert not reads_labels(make_scorer(roc_auc_score, response_method="predict_proba"), y)


def test_tuned_offsets_raise_macro_f1_and_undo_a_shift():
    rng = np.random.RandomState(0)
    y = rng.choice(3, p=[0.8, 0.15, 0.05], size=2000)
    log_proba = np.log(np.array([0.8, 0.15, 0.05])) + rng.randn(2000, 3) + 2.0 * np.eye(3)[y]
    classes = np.arange(3)

    def macro(offsets):
        predicted = (log_proba + offsets).argmax(axis=1)
        return f1_score(y, predicted, average="macro", zero_division=0.0)

    offsets = tune_offsets(log_proba, y, classes)
    assert macro(offsets) > macro(np.zeros(3))
    shifted = tune_offsets(log_proba - np.array([3.0, 0, 0]), y, classes)
    assert macro(offsets) == pytest.approx(macro(shifted - np.array([3.0, 0, 0])), abs=0.02)


# ------------------------------------------------------------------------- the estimator


@pytest.fixture(scope="module")
def digits():
    X, y = load_imbalanced_digits(return_X_y=True)
    rows = np.append(np.flatnonzero(y == 1)[:12], np.flatnonzero(y == 0)[:84])
    return X[rows], np.array(["rest", "eight"])[y[rows]]


@pytest.mark.slow
def test_the_estimator_is_reproducible_and_its_methods_agree(digits):
    X, y = digits
    clf = TunedOffsetsClassifierCV(CNNClassifier(max_epochs=2), random_state=0)
    first, second = clone(clf).fit(X, y), clone(clf).fit(X, y)
    np.testing.assert_array_equal(first.offsets_, second.offsets_)
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert first.offsets_.sum() == pytest.approx(0)
    np.testing.assert_allclose(first.predict_proba(X).sum(axis=1), 1)
    np.testing.assert_array_equal(
        first.predict(X), first.classes_[first.predict_proba(X).argmax(axis=1)]
    )
    moved = first.decision_function(X) - first.estimator_.decision_function(X)
    np.testing.assert_allclose(moved, first.offsets_[1] - first.offsets_[0])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"scoring": "roc_auc"}, "No offset changes the value of `scoring`, 'roc_auc'"),
        ({"scoring": "average_precision"}, "No offset changes the value of `scoring`"),
        ({"scoring": "typo"}, "typo"),
        ({"cv": 1}, "'cv'"),
        ({"smoothing": -1.0}, "'smoothing'"),
    ],
)
def test_bad_parameters_are_refused_before_any_training(params, message, digits, monkeypatch):
    X, y = digits
    monkeypatch.setattr(CNNClassifier, "fit", lambda *_: pytest.fail("trained"))
    with pytest.raises(ValueError, match=message):
        TunedOffsetsClassifierCV(**params).fit(X, (y == "eight").astype(int))


def test_data_that_cannot_be_held_out_is_refused_before_any_training(digits, monkeypatch):
    X, y = digits
    monkeypatch.setattr(CNNClassifier, "fit", lambda *_: pytest.fail("trained"))
    clf = TunedOffsetsClassifierCV()
    with pytest.raises(ValueError, match="Class 'eight' has a single sample"):
        clf.fit(X[11:], y[11:])
    with pytest.raises(ValueError, match="Class 'eight' has a single sample or group"):
        clf.fit(X, y, groups=np.where(y == "eight", 0, np.arange(len(y))))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clf.fit(X, y[1:])
    with pytest.raises(NotFittedError):
        clf.predict(X)
