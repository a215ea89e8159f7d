"""The bilevel search over the last layer: heads that converge, exact gradients."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from skimb.losses import vector_scaling_loss
from skimb.model_selection._aims import build_aim
from skimb.model_selection._class_numbers import class_numbers
from skimb.model_selection._head_search import Fold, HeadSearch
from skimb.neural_network.joint_training import HeadProblem, VectorScalingHead

N_CLASSES = 4
COSTS = np.array([[0.0, 1, 2, 1], [5, 0, 1, 1], [20, 3, 0, 2], [1, 1, 1, 0]])


def embeddings(n=300, seed=0, d=5, scale=1.0):
    rng = np.random.RandomState(seed)
    target = rng.choice(N_CLASSES, n, p=[0.5, 0.3, 0.15, 0.05])
    target[:N_CLASSES] = range(N_CLASSES)
    centres = np.random.RandomState(99).randn(N_CLASSES, d)
    spread = np.array([1.0, 2.0, 0.5, 1.0])[target, np.newaxis]
    return scale * (centres[target] + spread * rng.randn(n, d)), target


def a_search(aim="balanced", kind="free", scale=1.0, penalty=1e-2, anchored=False):
    anchor = None
    if anchored:
        rng = np.random.RandomState(5)
        anchor = rng.randn(N_CLASSES, 5) / scale, rng.randn(N_CLASSES)
    folds = [
        Fold.of(
            *embeddings(seed=seed, scale=scale),
            *embeddings(seed=seed + 10, scale=scale),
            N_CLASSES,
            weight=1 + np.random.RandomState(seed).rand(300),
            anchor=anchor,
        )
        for seed in (0, 1)
    ]
    numbers = class_numbers(kind, [150, 90, 45, 15], [0.1, 0.8, 0.3, 0.2])
    return HeadSearch(
        folds, numbers, build_aim(aim, np.arange(N_CLASSES)), penalty=penalty, temperature=1.3
    )


def spread_of_third(logits, target):
    return (logits[:, 2] - (target == 2).to(logits)).pow(2).mean()


@pytest.mark.parametrize("anchored", [False, True])
@pytest.mark.parametrize(
    "aim", ["balanced", "worst", COSTS, spread_of_third], ids=lambda a: str(type(a))
)
def test_the_hypergradient_equals_finite_differences(aim, anchored):
    search = a_search(aim, anchored=anchored)
    point = np.random.RandomState(3).randn(search.numbers.n_parameters) * 0.4
    _, gradient = search.value_and_gradient(point, np.zeros_like(point))
    step = 1e-4
    expected = [
        np.subtract(
            search.value_and_gradient(point + step * one, np.zeros_like(point))[0],
            search.value_and_gradient(point - step * one, np.zeros_like(point))[0],
        )
        / (2 * step)
        for one in np.eye(len(point))
    ]
    assert np.linalg.norm(gradient - expected) < 1e-3 * np.linalg.norm(expected)
    assert np.linalg.norm(expected) > 1e-3


@pytest.mark.parametrize("anchored", [False, True])
@pytest.mark.parametrize("scale", [1.0, 10.0, 1e6, 1e-6])
def test_the_unit_of_the_embeddings_does_not_matter(scale, anchored):
    one, other = a_search(anchored=anchored), a_search(scale=scale, anchored=anchored)
    point = np.random.RandomState(3).randn(one.numbers.n_parameters)
    (value, gradient), (scaled, of_scaled) = (s.value_and_gradient(point) for s in (one, other))
    assert scaled == pytest.approx(value, rel=1e-5)
    np.testing.assert_allclose(of_scaled, gradient, rtol=1e-3, atol=1e-5)
    assert np.isfinite(other.minimize(other.numbers.start())).all()


@pytest.mark.parametrize("kind", ["auto", "groups", "free"])
def test_a_search_lowers_the_aim_and_repeats_to_the_bit(kind):
    first, second = (a_search(kind=kind) for _ in range(2))
    start = first.numbers.start()
    found = first.minimize(start)
    assert first.value_and_gradient(found)[0] < first.value_and_gradient(start)[0] - 1e-3
    np.testing.assert_array_equal(found, second.minimize(start))
    low, high = first.numbers.bounds()
    assert ((low <= found) & (found <= high)).all()


def test_the_head_minimises_the_vector_scaling_loss():
    """Against a plain minimisation of the loss of skimb, by torch's gradients."""
    X, target = embeddings()
    multiplier, offset = np.array([1.3, 0.6, 1.0, 0.9]), np.array([-0.5, -2.0, 0.3, -1.0])
    weight = 1 + np.random.RandomState(0).rand(len(X))
    head = VectorScalingHead(multiplier, offset, penalty=0.05).fit(X, target, weight)
    weight = torch.tensor(weight / weight.sum())
    unit = (weight.numpy() @ ((X - weight.numpy() @ X) ** 2)).sum()

    log_prior = torch.log(torch.bincount(torch.tensor(target), weights=weight))

    def gauge(intercept):
        # Of all equal shifts, the one of gradient descent from the adjustment of the prior.
        scales = torch.tensor(multiplier)
        return ((intercept - (log_prior - torch.tensor(offset)) / scales) / scales).sum()

    def objective(flat):
        flat = torch.tensor(flat, requires_grad=True)
        coef, intercept = flat[:-N_CLASSES].reshape(N_CLASSES, -1), flat[-N_CLASSES:]
        loss = vector_scaling_loss(
            torch.tensor(X) @ coef.T + intercept,
            torch.tensor(target),
            multiplier=torch.tensor(multiplier),
            offset=torch.tensor(offset),
        )
        value = weight @ loss + 0.05 / 2 * unit * (coef**2).sum() + gauge(intercept) ** 2
        value.backward()
        return float(value.detach()), np.asarray(flat.grad)

    found = minimize(
        objective, np.zeros(6 * N_CLASSES), jac=True, options={"gtol": 1e-8, "maxiter": 2000}
    ).x
    np.testing.assert_allclose(head.coef_.ravel(), found[:-N_CLASSES], atol=1e-4)
    np.testing.assert_allclose(head.intercept_, found[-N_CLASSES:], atol=1e-3)


def test_neutral_numbers_give_the_logistic_regression():
    X, target = embeddings()
    unit = ((X - X.mean(axis=0)) ** 2).mean(axis=0).sum()
    head = VectorScalingHead(offset=np.zeros(N_CLASSES), penalty=1e-2).fit(X, target)
    known = LogisticRegression(C=1 / (len(X) * 1e-2 * unit), tol=1e-10, max_iter=5000)
    known.fit(X, target)
    np.testing.assert_allclose(head.predict_proba(X), known.predict_proba(X), atol=1e-4)


def test_offsets_of_logit_adjustment_are_post_hoc_logit_adjustment():
    X, target = embeddings()
    log_prior = np.log(np.bincount(target) / len(target))
    plain = VectorScalingHead(offset=np.zeros(N_CLASSES)).fit(X, target).predict_log_proba(X)
    for tau in (1.0, 2.0):
        adjusted = VectorScalingHead(offset=tau * log_prior).fit(X, target)
        expected = np.exp(plain - tau * log_prior)
        expected /= expected.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(adjusted.predict_proba(X), expected, atol=1e-6)


def test_a_strong_penalty_keeps_the_layer_of_the_network():
    X, target = embeddings()
    log_prior = np.log(np.bincount(target) / len(target))
    plain = VectorScalingHead(offset=np.zeros(N_CLASSES), penalty=1e-3).fit(X, target)
    anchor = plain.coef_, plain.intercept_ - log_prior
    kept = VectorScalingHead(offset=np.zeros(N_CLASSES), penalty=1e6, anchor=anchor).fit(X, target)
    np.testing.assert_allclose(kept.predict_proba(X), plain.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("penalty", [1.0, 1e-6])
def test_separable_embeddings_of_few_samples_and_many_dimensions_converge(penalty):
    X, target = embeddings(n=40, d=200)
    problem = HeadProblem(X, target, N_CLASSES, penalty=penalty)
    multiplier = np.array([0.3, 1.0, 3.0, 1.0])
    head = problem.solve(multiplier)
    assert np.linalg.norm(problem.curvature(head, multiplier).gradient) < 1e-8
    # From another start to the same head.
    again = problem.solve(multiplier, head + 1.0)
    np.testing.assert_allclose(again, head, atol=1e-2)


def test_embeddings_that_do_not_vary_do_not_break_the_search():
    X, target = embeddings()
    fold = Fold.of(np.zeros_like(X), target, np.zeros_like(X), target, N_CLASSES)
    numbers = class_numbers("free", np.bincount(target))
    search = HeadSearch([fold], numbers, build_aim("balanced", np.arange(4)), penalty=1e-2)
    assert np.isfinite(search.minimize(numbers.start())).all()
