"""Numbers far from one keep their differences, or are refused before any work."""

from typing import Any

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from skimb.datasets import load_imbalanced_digits
from skimb.ensemble import ReBaggRegressor
from skimb.neural_network import (
    CNNClassifier,
    CNNEmbedder,
    CNNRegressor,
    DecoupledClassifier,
    DeepSMOTE,
)

QUICK: dict[str, Any] = {"max_epochs": 2, "random_state": 0}


@pytest.fixture(scope="module")
def data():
    """Real images, of which every fourth is of the minority class, and a continuous target."""
    X, y = load_imbalanced_digits(return_X_y=True)
    rows = np.r_[np.flatnonzero(y == 1)[:20], np.flatnonzero(y == 0)[:60]]
    return X[rows], y[rows], X[rows].mean(axis=(1, 2))


def predicted(estimator, X, y, sample_weight=None, **params):
    return estimator(**QUICK, **params).fit(X, y, sample_weight).predict(X)


@pytest.mark.slow
@pytest.mark.parametrize("unit", [1.7e308, 1e300, 3.3, 1e-300, 1e-320])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_equal_weights_of_any_unit_train_the_same_regressor(unit, early_stopping, data):
    X, _, target = data
    params: dict[str, Any] = {"early_stopping": early_stopping}
    found = predicted(CNNRegressor, X, target, np.full(len(X), unit), **params)
    np.testing.assert_array_equal(found, predicted(CNNRegressor, X, target, **params))


@pytest.mark.slow
@pytest.mark.parametrize("unit", [1.7e308, 1e-320])
@pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"class_weight": "balanced"}])
def test_equal_weights_of_any_unit_train_the_same_classifier(unit, params, data):
    X, y, _ = data
    weight = np.full(len(X), unit)
    found = CNNClassifier(**QUICK, **params).fit(X, y, weight).predict_proba(X)
    np.testing.assert_array_equal(
        found, CNNClassifier(**QUICK, **params).fit(X, y).predict_proba(X)
    )


@pytest.mark.parametrize("estimator", [CNNRegressor, CNNClassifier])
@pytest.mark.slow
def test_weights_that_differ_keep_their_proportions_in_any_unit(estimator, data):
    X, y, target = data
    target = target if estimator is CNNRegressor else y
    weight = np.linspace(0.5, 1, len(X))
    plain = predicted(estimator, X, target, weight)
    np.testing.assert_array_equal(predicted(estimator, X, target, weight * 2.0**1023), plain)
    np.testing.assert_array_equal(predicted(estimator, X, target, weight * 2.0**-1000), plain)


def test_a_row_of_a_tiny_weight_beside_a_huge_one_is_still_a_row(data):
    X, y, _ = data
    weight = np.where(np.arange(len(X)) % 2, 1e-320, 1.7e308)
    clf = CNNClassifier(**QUICK).fit(X, y, weight)
    assert clf.class_count_.sum() == len(X)
    assert np.isfinite(clf.predict_proba(X)).all()


@pytest.mark.slow
def test_weights_of_any_unit_train_the_same_two_stages(data):
    X, y, _ = data
    network = FrozenEstimator(CNNClassifier(**QUICK).fit(X, y))
    clf = DecoupledClassifier(network, **QUICK)
    plain = clf.fit(X, y).predict_proba(X)
    for unit in (1.7e308, 1e-320):
        found = clf.fit(X, y, np.full(len(X), unit)).predict_proba(X)
        np.testing.assert_array_equal(found, plain)


@pytest.mark.parametrize("unit", [8e307, 1e-319])
def test_class_weights_of_any_unit_train_the_same_classifier(unit, data):
    X, y, _ = data
    found, wanted = (
        CNNClassifier(class_weight={0: one, 1: 2 * one}, **QUICK).fit(X, y).predict_proba(X)
        for one in (unit, 1.0)
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-3)


@pytest.mark.parametrize("unit", [1.7e308, 1e-320])
def test_target_weights_of_any_unit_train_the_same_regressor(unit, data):
    X, _, target = data
    weight = np.full(len(X), 2.5)

    def constant(values):
        return np.full(len(values), unit)

    found = predicted(CNNRegressor, X, target, weight, target_weight=constant)
    np.testing.assert_array_equal(found, predicted(CNNRegressor, X, target))


def test_a_target_far_from_zero_keeps_its_differences(data):
    X, _, target = data
    plain = predicted(CNNRegressor, X, target)
    far = predicted(CNNRegressor, X, target + 1e9)
    np.testing.assert_allclose(far - 1e9, plain, atol=1e-4)


@pytest.mark.parametrize(
    "model", [CNNRegressor(max_epochs=1), ReBaggRegressor(n_estimators=2)], ids=["cnn", "rebagg"]
)
def test_a_target_whose_differences_floats_cannot_hold_is_refused(model, data):
    X, _, _ = data
    flat, steps = X.reshape(len(X), -1), np.arange(len(X))
    with pytest.raises(ValueError, match=r"values of y lie from 1152921504606846976 .* 256 apart"):
        model.fit(flat, steps + 2**60)


def test_large_integers_that_stay_apart_are_a_target(data):
    X, _, _ = data
    steps = np.arange(len(X)) * 2**45
    reg = CNNRegressor(**QUICK).fit(X, steps + 2**60)
    assert np.ptp(reg.predict(X)) > 0


FAR = {
    "float64 near 1e9": lambda X: X.astype(np.float64) + 1e9,
    "int64 near 2**60": lambda X: X.astype(np.int64) + 2**60,
    "int32 near 2**30": lambda X: X.astype(np.int32) + 2**30,
    "a list": lambda X: (X.astype(np.float64) + 1e9).tolist(),
    "float64 near 1e-50": lambda X: X * 1e-50,
}


@pytest.mark.parametrize("kind", FAR)
@pytest.mark.parametrize(
    "model",
    [
        CNNClassifier(max_epochs=1),
        CNNRegressor(max_epochs=1),
        DecoupledClassifier(CNNClassifier(max_epochs=1)),
        CNNEmbedder(CNNClassifier(max_epochs=1)),
    ],
    ids=lambda model: type(model).__name__,
)
def test_images_whose_differences_float32_cannot_hold_are_refused(model, kind, data):
    X, y, _ = data
    with pytest.raises(ValueError, match=r"The values of X lie from .* Subtract the same number"):
        model.fit(FAR[kind](X), y)


@pytest.mark.parametrize(
    "change",
    [
        lambda X: X.astype(np.float64) + 1000,
        lambda X: np.full(X.shape, 0.1),
        lambda X: (X > 8).astype(np.int64),
        lambda X: X.astype(np.float64) + 2**23,
    ],
    ids=["offset", "constant", "binary", "whole numbers that float32 holds"],
)
def test_images_that_float32_holds_are_taken(change, data):
    X, y, _ = data
    X = change(X)
    assert np.isfinite(CNNClassifier(max_epochs=1, random_state=0).fit(X, y).predict_proba(X)).all()


@pytest.mark.parametrize("offset", [1e6, 1e9, 1e12])
def test_images_far_from_zero_are_joined_as_those_near_it(offset, data):
    X, y, _ = data

    def made(offset):
        sampler = DeepSMOTE(n_latent=4, **QUICK)
        return sampler.fit_resample(X.astype(np.float64) + offset, y)[0] - offset

    np.testing.assert_allclose(made(offset), made(0.0), atol=offset * 1e-14 + 1e-5)


def test_integers_far_from_zero_are_joined_or_refused(data):
    X, y, _ = data

    def made(offset):
        sampler = DeepSMOTE(n_latent=4, **QUICK)
        return sampler.fit_resample(X.astype(np.int64) + offset, y)[0] - offset

    np.testing.assert_array_equal(made(2**40), made(0))
    with pytest.raises(ValueError, match="The values of X lie from 1152921504606846976"):
        made(2**60)
