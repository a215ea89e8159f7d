"""Calibration errors and the scorers of probabilities."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax
from sklearn.calibration import calibration_curve
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, get_scorer, log_loss
from sklearn.model_selection import GridSearchCV, PredefinedSplit, cross_validate
from sklearn.naive_bayes import GaussianNB

from skimb.metrics import (
    calibration_scoring,
    classwise_calibration_error,
    expected_calibration_error,
    imbalance_scoring,
)

PLAIN: dict[str, Any] = {"debias": False}


def naive_bins(values, weight, n_bins, strategy):
    """Return the bin of each value, by loops."""
    if strategy == "uniform":
        return [
            next(b for b in range(n_bins) if v <= (b + 1) / n_bins or b == n_bins - 1)
            for v in values
        ]
    total = sum(weight)
    bins = []
    for v in values:
        below = sum(w for other, w in zip(values, weight, strict=True) if other < v)
        equal = sum(w for other, w in zip(values, weight, strict=True) if other == v)
        bins.append(min(int((below + equal / 2) / total * n_bins), n_bins - 1))
    return bins


def naive_error(values, happened, weight, n_bins, strategy):
    """Return the plain error of one event, by loops."""
    bins = naive_bins(values, weight, n_bins, strategy)
    error = 0.0
    for b in set(bins):
        rows = [i for i in range(len(values)) if bins[i] == b]
        mass = sum(weight[i] for i in rows)
        confidence = sum(weight[i] * values[i] for i in rows) / mass
        fraction = sum(weight[i] * happened[i] for i in rows) / mass
        error += mass / sum(weight) * abs(fraction - confidence)
    return error


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.integers(2, 4),
    st.integers(1, 12),
    st.sampled_from(["quantile", "uniform"]),
    st.booleans(),
)
def test_errors_are_those_of_loops(seed, n, n_classes, n_bins, strategy, is_weighted):
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.ones(n_classes), size=n).round(1)
    proba[:, 0] = np.clip(1 - proba[:, 1:].sum(axis=1), 0, 1)
    proba /= proba.sum(axis=1, keepdims=True)
    y = rng.integers(n_classes, size=n)
    weight = rng.integers(1, 4, size=n).astype(float) if is_weighted else np.ones(n)
    given = {"labels": np.arange(n_classes), "n_bins": n_bins, "strategy": strategy, **PLAIN}
    if is_weighted:
        given["sample_weight"] = weight
    top = proba.argmax(axis=1)
    expected = naive_error(proba.max(axis=1), top == y, weight, n_bins, strategy)
    assert expected_calibration_error(y, proba, **given) == pytest.approx(expected, abs=1e-12)
    each = [naive_error(proba[:, k], y == k, weight, n_bins, strategy) for k in range(n_classes)]
    found = classwise_calibration_error(y, proba, average=None, **given)
    np.testing.assert_allclose(found, each, atol=1e-12)
    assert classwise_calibration_error(y, proba, **given) == pytest.approx(np.mean(each))


def test_values_by_hand():
    y = ["cat", "dog", "dog", "cat", "cat", "dog", "cat", "cat"]
    p_cat = np.array([0.9, 0.9, 0.8, 0.7, 0.6, 0.3, 0.2, 0.1])
    proba = np.column_stack([p_cat, 1 - p_cat])
    # Confidences .6 .7 .7 | .8 .8 .9 .9 .9 of samples 4 3 5 | 2 6 0 1 7: the two of 0.8 are in the
    # middle, and go up together. The first three are right; of the others only sample 0.
    expected = 3 / 8 * abs(1 - 2 / 3) + 5 / 8 * abs(1 / 5 - 0.86)
    assert expected_calibration_error(y, proba, n_bins=2, **PLAIN) == pytest.approx(expected)
    # Cats in (0.5, 1]: three of five, with a mean of 0.78; in [0, 0.5]: two of three, with 0.2.
    expected = 5 / 8 * abs(3 / 5 - 0.78) + 3 / 8 * abs(2 / 3 - 0.2)
    given = {"n_bins": 2, "strategy": "uniform", **PLAIN}
    assert classwise_calibration_error(y, proba, **given) == pytest.approx(expected)
    # Probabilities of the second class suffice.
    assert classwise_calibration_error(y, 1 - p_cat, **given) == pytest.approx(expected)


def test_a_debiased_value_by_hand():
    # One bin of 100 samples of 0.8, of which 90 happened: a gap of 0.1 and a deviation of 0.04,
    # and the mean of |N(0.1, 0.04)| is 0.04 sqrt(2 / pi) exp(-3.125) + 0.1 (1 - 2 Phi(-2.5)).
    y = np.repeat([1, 0], [90, 10])
    expected = 0.2 - (0.04 * 0.797884561 * 0.043936934 + 0.1 * (1 - 2 * 0.006209665))
    found = classwise_calibration_error(y, np.full(100, 0.8), n_bins=5)
    assert found == pytest.approx(expected, abs=1e-7)


def test_uniform_bins_are_those_of_the_curve_of_scikit_learn():
    rng = np.random.default_rng(0)
    p = rng.random(500)
    y = rng.random(500) < p**2
    fraction, mean = calibration_curve(y, p, n_bins=10)
    share = np.histogram(p, np.linspace(0, 1, 11))[0] / 500
    found = classwise_calibration_error(y, p, n_bins=10, strategy="uniform", **PLAIN)
    assert found == pytest.approx(share @ np.abs(fraction - mean))


@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(0, 12)), min_size=1, max_size=8),
    st.integers(1, 15),
    st.sampled_from(["quantile", "uniform"]),
    st.booleans(),
)
def test_probabilities_that_are_right_in_each_group_have_no_error(groups, n_bins, strategy, debias):
    # In each group of n samples of probability k / n, k are of the class.
    p = np.concatenate([np.full(n, min(k, n) / n) for n, k in groups])
    y = np.concatenate([np.arange(n) < k for n, k in groups])
    given = {"labels": [False, True], "n_bins": n_bins, "strategy": strategy, "debias": debias}
    assert classwise_calibration_error(y, p, **given) == pytest.approx(0, abs=1e-12)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["quantile", "uniform"]), st.booleans())
def test_the_order_of_samples_and_of_classes_does_not_matter(seed, strategy, debias):
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet([1, 1, 1], size=60).round(2)
    proba /= proba.sum(axis=1, keepdims=True)
    y, weight = rng.integers(3, size=60), rng.random(60)
    order, classes = rng.permutation(60), rng.permutation(3)
    given = {"labels": [0, 1, 2], "strategy": strategy, "debias": debias}
    first = [
        metric(y, proba, sample_weight=weight, **given)
        for metric in (expected_calibration_error, classwise_calibration_error)
    ]
    given["labels"] = classes
    moved = proba[order][:, classes]
    second = [
        metric(y[order], moved, sample_weight=weight[order], **given)
        for metric in (expected_calibration_error, classwise_calibration_error)
    ]
    # Equal probabilities of two classes are decided by their order.
    is_sure = (np.sort(proba, axis=1)[:, 2] > np.sort(proba, axis=1)[:, 1]).all()
    if is_sure:
        assert first[0] == second[0]
    assert first[1] == pytest.approx(second[1], abs=1e-15)


def simulated(rng, n, temperature, n_classes=4):
    """Return labels, and probabilities whose logits were divided by a temperature."""
    logits = rng.normal(scale=2, size=(n, n_classes))
    true = softmax(logits, axis=1)
    y = (rng.random(n)[:, None] > true.cumsum(axis=1)).sum(axis=1)
    return np.minimum(y, n_classes - 1), softmax(logits / temperature, axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("metric", [expected_calibration_error, classwise_calibration_error])
def test_the_debiased_error_is_nearer_to_the_truth(metric):
    for temperature in (1.0, 0.8, 0.5):
        truth = metric(*simulated(np.random.default_rng(9), 400_000, temperature), **PLAIN)
        truth = 0.0 if temperature == 1 else truth
        found = {"plain": [], "debiased": []}
        for seed in range(60):
            data = simulated(np.random.default_rng(seed), 300, temperature)
            labels = {"labels": range(4)}
            found["plain"].append(metric(*data, **labels, **PLAIN))
            found["debiased"].append(metric(*data, **labels))
        bias = {name: abs(np.mean(values) - truth) for name, values in found.items() if values}
        assert bias["debiased"] < 0.65 * bias["plain"]


@pytest.mark.parametrize(
    ("proba", "given", "message"),
    [
        ([[0.5, 0.5]] * 2, {"labels": ["a", "b", "c"]}, "has 2 columns, but there are 3 labels"),
        ([[0.2, 0.3, 0.5]] * 2, {}, "has 3 columns, but there are 2 labels.*Give `labels`"),
        ([[0.5, 0.5]] * 2, {"labels": ["a", "a"]}, "holds a label twice"),
        ([[0.5, 0.5]] * 2, {"labels": ["a", "c"]}, r"`y_true` holds \['b'\]"),
        ([[0.5, 0.9]] * 2, {}, "must hold probabilities.*sums from 1.4"),
        ([[2.0, -1.0]] * 2, {}, "must hold probabilities"),
        ([[0.5, np.nan]] * 2, {}, "contains NaN"),
        ([[0.5, 0.5]] * 3, {}, "inconsistent numbers of samples"),
        ([[0.5, 0.5]] * 2, {"n_bins": 0}, "`n_bins` must be a whole number"),
        ([[0.5, 0.5]] * 2, {"n_bins": 2.5}, "`n_bins` must be a whole number"),
        ([[0.5, 0.5]] * 2, {"strategy": "kmeans"}, "`strategy` must be"),
        ([[0.5, 0.5]] * 2, {"sample_weight": [0, 0]}, "at least one non-zero number"),
        ([[0.5, 0.5]] * 2, {"sample_weight": [1, -1]}, "Negative values"),
    ],
)
def test_wrong_input_is_refused(proba, given, message):
    for metric in (expected_calibration_error, classwise_calibration_error):
        with pytest.raises(ValueError, match=message):
            metric(["a", "b"], proba, **given)


def test_another_average_is_refused():
    with pytest.raises(ValueError, match=r"`average` must be 'macro' or None\. Got 'micro'"):
        classwise_calibration_error([0, 1], [0.5, 0.5], average="micro")


def test_samples_of_weight_zero_do_not_count():
    y, proba = simulated(np.random.default_rng(0), 100, 0.5)
    weight = (np.arange(100) < 60).astype(float)
    for metric in (expected_calibration_error, classwise_calibration_error):
        assert metric(y, proba, sample_weight=weight) == metric(y[:60], proba[:60])


# ------------------------------------------------------------------------------ scorers

NAMES = (
    "neg_brier_score",
    "neg_log_loss",
    "neg_expected_calibration_error",
    "neg_classwise_calibration_error",
)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_scorers_are_the_metrics_and_those_of_scikit_learn(n_classes):
    X, y = make_classification(200, 6, n_informative=4, n_classes=n_classes, random_state=0)
    y = np.array(["a", "b", "c", "d"])[y]
    clf = LogisticRegression().fit(X, y)
    scorers = calibration_scoring(y)
    assert tuple(scorers) == NAMES
    proba, weight = clf.predict_proba(X), np.arange(200) + 1.0
    found = {name: scorer(clf, X, y, sample_weight=weight) for name, scorer in scorers.items()}
    for name, loss in zip(
        NAMES,
        (brier_score_loss, log_loss, expected_calibration_error, classwise_calibration_error),
        strict=True,
    ):
        expected = -loss(y, proba, labels=clf.classes_, sample_weight=weight)
        assert found[name] == pytest.approx(expected)
        assert expected < 0
    known = get_scorer("neg_log_loss")(clf, X, y, sample_weight=weight)
    assert found["neg_log_loss"] == pytest.approx(known)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_fold_or_a_training_part_may_lack_a_class(n_classes):
    labels = np.array(["common", "other", "rare"])[[0, 2] if n_classes == 2 else slice(None)]
    rng = np.random.RandomState(0)
    y = np.repeat(labels, [40, 4] if n_classes == 2 else [40, 20, 4])
    X = rng.normal(size=(len(y), 3)) + (y == "common")[:, None]
    # The rare class stands in one fold only.
    fold = np.where(y == "rare", 0, np.arange(len(y)) % 2)
    scores = cross_validate(
        GaussianNB() if n_classes == 3 else DummyClassifier(),
        X,
        y,
        scoring=calibration_scoring(y),
        cv=PredefinedSplit(fold),
        error_score="raise",
    )
    for name in NAMES:
        assert np.isfinite(scores[f"test_{name}"]).all()
    # All that is said about the rare class is wrong where the classifier has not seen it.
    assert scores["test_neg_log_loss"][0] < -1


def test_a_search_chooses_by_them_together_with_others():
    X, y = make_classification(
        300, 6, n_informative=4, n_classes=3, weights=[0.8, 0.15], random_state=0
    )
    search = GridSearchCV(
        LogisticRegression(),
        {"class_weight": [None, "balanced"]},
        scoring={**imbalance_scoring(y), **calibration_scoring(y)},
        refit="neg_brier_score",
        cv=3,
    ).fit(X, y)
    assert search.best_params_ == {"class_weight": None}


def test_scorers_need_two_classes():
    with pytest.raises(ValueError, match="y holds one class only"):
        calibration_scoring(["a", "a"])


def test_the_logarithms_of_a_wrong_prior_have_an_error_that_is_known():
    rng = np.random.default_rng(1)
    y, proba = simulated(rng, 50_000, 1.0, n_classes=2)
    moved = np.exp(log_softmax(np.log(proba) + np.array([1.0, -1.0]), axis=1))
    expected = np.abs(moved[:, 1] - proba[:, 1]).mean()
    assert classwise_calibration_error(y, moved, n_bins=50) == pytest.approx(expected, abs=0.01)
