"""Calibration by one temperature and one bias per class."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime, minimize
from scipy.special import log_softmax

from skimb._bias_correction import PRIOR_SAMPLES, TEMPERATURES, _Likelihood, fit_correction


def naive_loss(values, log_proba, target, weight, offsets):
    """Penalised negative log-likelihood, sample by sample; every class has samples."""
    n_classes = log_proba.shape[1]
    inverse, biases = values[0], np.array([*values[1:], -sum(values[1:])])
    unit = sum(w * w for w in weight) / sum(weight)
    n_effective = sum(weight) / unit
    mass = [sum(weight[target == k]) for k in range(n_classes)]
    total = 0.0
    for row, label, w in zip(log_proba, target, weight, strict=True):
        log_q = log_softmax(inverse * row + offsets + biases)
        for k in range(n_classes):
            spread = (mass[k] + unit / n_classes) / (sum(mass) + unit)
            soft = (n_effective / (n_effective + 1)) * (label == k) + spread / (n_effective + 1)
            total -= w * soft * log_q[k]
    for k in range(n_classes):
        per_sample = sum(weight[target == k] ** 2) / mass[k]
        total += PRIOR_SAMPLES * per_sample * np.log(np.cosh(biases[k] / 2))
    return total


def drawn(rng, n, n_classes=3):
    """Return probabilities and labels that follow them."""
    proba = rng.dirichlet(np.ones(n_classes), size=n)
    target = (rng.random(n)[:, None] > proba.cumsum(axis=1)).sum(axis=1)
    return np.log(proba), np.minimum(target, n_classes - 1)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_result_is_the_minimum_of_the_loss_as_a_loop_computes_it(weighted):
    rng = np.random.default_rng(0)
    log_proba, target = drawn(rng, 60)
    weight = rng.uniform(0.2, 1, size=60) if weighted else np.ones(60)
    weight[0] = 1
    offsets = np.array([0.3, 0.0, -0.5])
    asked = log_proba * 1.4, target, weight, offsets
    found = fit_correction(asked[0], target, weight=weight, offsets=offsets)
    naive = minimize(naive_loss, [1.0, 0.0, 0.0], args=asked, method="BFGS")
    np.testing.assert_allclose(1 / found.temperature, naive.x[0], atol=1e-4)
    np.testing.assert_allclose(found.biases[:2], naive.x[1:], atol=1e-4)
    assert found.biases.sum() == pytest.approx(0, abs=1e-12)


def test_the_gradient_is_the_derivative():
    rng = np.random.default_rng(1)
    log_proba, target = drawn(rng, 40, 4)
    fitted = _Likelihood(log_proba, target, rng.random(40), np.zeros(4), fits_bias=True)
    ones = np.ones(len(fitted.scale))
    values = np.r_[0.7, rng.normal(size=len(ones) - 1)]
    by_differences = approx_fprime(values, lambda v: fitted.value_and_gradient(v, ones)[0])
    np.testing.assert_allclose(
        fitted.value_and_gradient(values, ones)[1], by_differences, atol=1e-4
    )


def test_a_known_temperature_and_known_biases_are_found():
    log_proba, target = drawn(np.random.default_rng(0), 40_000)
    # p is proportional to exp(wrong / 2 + (0.8, 0, -0.8)).
    found = fit_correction(log_proba * 2 - [1.6, 0.0, -1.6], target)
    assert found.temperature == pytest.approx(2, abs=0.06)
    np.testing.assert_allclose(found.biases, [0.8, 0.0, -0.8], atol=0.05)


def test_the_mean_probability_of_a_frequent_class_becomes_its_fraction():
    log_proba, target = drawn(np.random.default_rng(2), 5000)
    wrong = log_proba + np.array([1.0, 0.0, 0.0])
    found = fit_correction(wrong, target)
    corrected = np.exp(log_softmax(wrong / found.temperature + found.biases, axis=1))
    np.testing.assert_allclose(corrected.mean(axis=0), np.bincount(target) / 5000, atol=0.001)


def test_without_biases_it_is_temperature_scaling():
    log_proba, target = drawn(np.random.default_rng(0), 4000)
    found = fit_correction(log_proba * 3, target, fits_bias=False)
    assert found.temperature == pytest.approx(3, abs=0.2)
    assert found.biases.tolist() == [0, 0, 0]


def sure(*classes, n_classes=2):
    """Return log-probabilities of a tree: 0 at these classes, and -708 elsewhere."""
    return np.where(np.eye(n_classes)[list(classes)] == 1, 0.0, -708.4)


@pytest.mark.parametrize(
    ("log_proba", "target"),
    [
        (sure(0, 1, 0, 1), [0, 1, 0, 1]),
        (sure(0, 1, 0, 1), [1, 0, 1, 0]),
        (sure(0, 0, 0), [0, 0, 0]),
        (sure(0), [1]),
        (sure(0, 1, 2, 0, n_classes=3), [0, 1, 1, 0]),
        (np.log([[0.999, 0.001], [0.001, 0.999]] * 50), [0, 1] * 50),
        (np.full((5, 3), np.log(1 / 3)), [0, 0, 0, 1, 2]),
    ],
    ids=[
        "all right",
        "all wrong",
        "one class",
        "one sample",
        "an absent class",
        "separated",
        "uninformed",
    ],
)
@pytest.mark.parametrize("fits_bias", [False, True])
def test_numbers_are_finite_in_every_case(log_proba, target, fits_bias):
    target = np.array(target)
    found = fit_correction(log_proba, target, fits_bias=fits_bias)
    assert TEMPERATURES[0] <= found.temperature <= TEMPERATURES[1]
    assert np.isfinite(found.biases).all()
    assert found.biases.mean() == pytest.approx(0, abs=1e-12)
    absent = np.bincount(target, minlength=log_proba.shape[1]) == 0
    assert (found.biases[absent] == 0).all()


def test_scaled_weights_and_equal_calls_give_the_same():
    rng = np.random.default_rng(3)
    log_proba, target = drawn(rng, 80)
    weight = rng.random(80)
    found = fit_correction(log_proba, target, weight=weight)
    for factor in (1.0, 4.0, 1e-200):
        again = fit_correction(log_proba, target, weight=weight * factor)
        np.testing.assert_allclose(again.biases, found.biases, rtol=1e-6)
    again = fit_correction(log_proba, target, weight=weight)
    assert again.temperature == found.temperature
    assert again.biases.tolist() == found.biases.tolist()


def test_the_order_of_classes_and_constants_of_samples_do_not_matter():
    rng = np.random.default_rng(5)
    log_proba, target = drawn(rng, 100, 4)
    found = fit_correction(log_proba, target)
    order = rng.permutation(4)
    moved = log_proba[:, order] + rng.normal(size=(100, 1)) * 10
    again = fit_correction(moved, np.argsort(order)[target])
    np.testing.assert_allclose(again.biases, found.biases[order], atol=1e-6)
    assert again.temperature == pytest.approx(found.temperature, rel=1e-6)


def test_a_sample_of_weight_zero_does_not_count():
    log_proba, target = drawn(np.random.default_rng(4), 50)
    found = fit_correction(log_proba, target, weight=(np.arange(50) < 30).astype(float))
    part = fit_correction(log_proba[:30], target[:30])
    assert found.temperature == pytest.approx(part.temperature, rel=1e-6)


def test_without_samples_that_count_nothing_is_corrected():
    for n in (0, 3):
        found = fit_correction(np.zeros((n, 2)), np.zeros(n, dtype=int), weight=np.zeros(n))
        assert found.temperature == 1
        assert found.biases.tolist() == [0, 0]


def test_a_large_weight_is_not_taken_for_many_samples():
    """Three samples of weight 100 shrink a bias as three samples do."""
    log_proba, target = np.full((103, 2), np.log(0.5)), np.array([0] * 100 + [1] * 3)
    shrunk = fit_correction(log_proba, target, weight=np.where(target == 1, 100.0, 1.0))
    assert 0 < np.diff(shrunk.biases)[0] < np.log(3) - 0.1


def excess(log_proba, truth, correction):
    """Return the mean of the relative entropy of the truth to the corrected probabilities."""
    found = log_softmax(log_proba / correction.temperature + correction.biases, axis=1)
    return (np.exp(truth) * (truth - found)).sum(axis=1).mean()


def simulated(rng, counts, biases):
    """Return probabilities that are wrong by `biases`, their target, and the true ones."""
    n_classes, distance = len(counts), 3.0
    target = np.repeat(np.arange(n_classes), counts)
    x = distance * np.eye(n_classes)[target] + rng.normal(size=(len(target), n_classes))
    prior = np.array(counts) / sum(counts)
    truth = log_softmax(distance * x + np.log(prior), axis=1)
    return log_softmax((truth - biases) * 1.3, axis=1), target, truth


@pytest.mark.slow
@pytest.mark.parametrize("n_few", [3, 10, 500])
def test_shrunk_biases_beat_none_and_unshrunk_ones_where_samples_are_few(monkeypatch, n_few):
    prior = np.array([300, 100, 30, n_few, n_few])
    losses = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        biases = rng.normal(0, 0.7, 5)
        log_proba, target, _ = simulated(rng, prior, biases)
        _, new_target, new_truth = simulated(rng, prior * 0 + 300, biases)
        # The truth for the prior of the held-out samples.
        new_truth = log_softmax(new_truth + np.log(prior), axis=1)
        new = log_softmax((new_truth - biases) * 1.3, axis=1)
        of_few = new_target >= 3
        found = [fit_correction(log_proba, target, fits_bias=False)]
        found.append(fit_correction(log_proba, target))
        with monkeypatch.context() as patched:
            patched.setattr("skimb._bias_correction.PRIOR_SAMPLES", 1e-6)
            found.append(fit_correction(log_proba, target))
        losses.append([excess(new[of_few], new_truth[of_few], one) for one in found])
    none, shrunk, unshrunk = np.mean(losses, axis=0)
    assert shrunk < 0.8 * none
    if n_few == 500:
        assert shrunk == pytest.approx(unshrunk, rel=0.05)
    else:
        assert shrunk < 0.9 * unshrunk
