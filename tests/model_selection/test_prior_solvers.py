"""The class prior of unlabelled samples: the maximum of a likelihood, and matched mean scores."""

import numpy as np
import pytest
from scipy.optimize import minimize

from skimb.model_selection._prior_solvers import matched_prior, most_likely_prior

P = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8], [0.1, 0.9]])


def naive_em(proba, train, n_steps, weight=None):
    """The algorithm of Saerens et al. as it is published."""
    prior = train.copy()
    for _ in range(n_steps):
        posterior = proba * prior / train
        posterior /= posterior.sum(axis=1, keepdims=True)
        prior = np.average(posterior, axis=0, weights=weight)
    return prior


def mean_log_likelihood(prior, proba, train, weight=None):
    return np.average(np.log((proba / train) @ prior), weights=weight)


def mixture(n_classes, n, seed, sharpness=1.5):
    """Return probabilities that are calibrated for equal classes, of samples of a random prior."""
    rng = np.random.default_rng(seed)
    prior = rng.dirichlet(np.ones(n_classes))
    target = rng.choice(n_classes, size=n, p=prior)
    scores = sharpness * np.eye(n_classes)[target] + rng.standard_normal((n, n_classes))
    proba = np.exp(sharpness * scores)
    return proba / proba.sum(axis=1, keepdims=True), prior


def test_the_prior_is_the_golden_one():
    fit = most_likely_prior(np.log(P), np.log([0.5, 0.5]))
    np.testing.assert_allclose(fit.prior, [0.45462912, 0.54537088], atol=5e-9)
    assert fit.absent.size == 0
    np.testing.assert_allclose(fit.prior, naive_em(P, np.array([0.5, 0.5]), 500), atol=1e-9)


def test_probabilities_of_another_prior_put_all_samples_in_one_class_and_it_is_told():
    fit = most_likely_prior(np.log(P), np.log([0.9, 0.1]))
    np.testing.assert_array_equal(fit.prior, [0.0, 1.0])
    np.testing.assert_array_equal(fit.absent, [0])


@pytest.mark.parametrize("n_classes", [2, 3, 6])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_maximum_is_that_of_scipy(n_classes, seed):
    proba, _ = mixture(n_classes, 150, seed)
    rng = np.random.default_rng(seed)
    train, weight = rng.dirichlet(np.full(n_classes, 5.0)), rng.integers(0, 4, 150).astype(float)
    fit = most_likely_prior(np.log(proba), np.log(train), weight=weight)
    found = minimize(
        lambda prior: -mean_log_likelihood(np.abs(prior), proba, train, weight),
        np.full(n_classes, 1 / n_classes),
        bounds=[(0, 1)] * n_classes,
        constraints={"type": "eq", "fun": lambda prior: prior.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 500},
    )
    best = mean_log_likelihood(fit.prior, proba, train, weight)
    assert best >= -found.fun - 1e-10
    assert fit.gap <= 1e-10
    np.testing.assert_allclose(fit.prior, found.x, atol=2e-4)
    # No other prior is better: the function is concave, so random ones and small moves show it.
    others = [rng.dirichlet(np.ones(n_classes)) for _ in range(50)]
    others += [0.999 * fit.prior + 0.001 * other for other in others]
    assert all(mean_log_likelihood(o, proba, train, weight) <= best + 1e-12 for o in others)


def test_weights_count_as_repeated_samples():
    proba, _ = mixture(3, 60, 0)
    weight = np.random.default_rng(1).integers(0, 3, 60)
    repeated = most_likely_prior(
        np.log(np.repeat(proba, weight, axis=0)), np.log(np.full(3, 1 / 3))
    )
    weighted = most_likely_prior(np.log(proba), np.log(np.full(3, 1 / 3)), weight=weight)
    np.testing.assert_allclose(weighted.prior, repeated.prior, atol=1e-9)


def test_few_steps_suffice_where_em_needs_thousands():
    # Classes that overlap much, and one that is absent: EM goes to zero like 1 / step.
    proba, _ = mixture(4, 400, 3, sharpness=0.3)
    train = np.full(4, 0.25)
    fit = most_likely_prior(np.log(proba), np.log(train))
    assert fit.n_iter < 40
    slow = naive_em(proba, train, 300)
    best = mean_log_likelihood(fit.prior, proba, train)
    assert best > mean_log_likelihood(slow, proba, train) + 1e-7
    again = most_likely_prior(np.log(proba), np.log(train), start=np.array([0.7, 0.1, 0.1, 0.1]))
    np.testing.assert_allclose(again.prior, fit.prior, atol=1e-6)


def test_extreme_numbers_stay_finite():
    certain = np.full((5, 3), -708.0)
    certain[np.arange(5), [0, 0, 1, 1, 1]] = 0.0
    fit = most_likely_prior(certain, np.log([0.98, 0.01, 0.01]))
    np.testing.assert_allclose(fit.prior, [0.4, 0.6, 0.0], atol=1e-9)
    # Columns that are equal have no maximum of their own.
    twin = most_likely_prior(np.log(np.full((4, 2), 0.5)), np.log([0.5, 0.5]))
    np.testing.assert_allclose(twin.prior, [0.5, 0.5])
    single = most_likely_prior(np.log(P[:1]), np.log([0.5, 0.5]))
    np.testing.assert_array_equal(single.prior, [1.0, 0.0])


def test_a_confusion_matrix_gives_the_prior_back():
    rng = np.random.default_rng(0)
    confusion = rng.dirichlet(np.ones(4), size=4) * 0.4 + 0.6 * np.eye(4)
    prior = np.array([0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(matched_prior(confusion, prior @ confusion), prior, atol=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_the_matched_prior_has_the_least_squares_on_the_simplex(seed):
    rng = np.random.default_rng(seed)
    confusion = rng.dirichlet(np.ones(3), size=3) * 0.6 + 0.4 * np.eye(3)
    mean = rng.dirichlet(np.full(3, 0.3))
    found = matched_prior(confusion, mean)
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)
    least = ((found @ confusion - mean) ** 2).sum()
    grid = np.array(
        [
            [a, b, 1 - a - b]
            for a in np.linspace(0, 1, 101)
            for b in np.arange(0, 1 - a + 1e-9, 0.01)
        ]
    )
    grid = np.abs(grid)
    assert least <= (((grid @ confusion) - mean) ** 2).sum(axis=1).min() + 1e-12
