"""The hypergradient against finite differences, and its bound where the reference diverges."""

from itertools import pairwise

import pytest
import torch

from skimb.losses import vector_scaling_loss
from skimb.model_selection._hypergradient import Curvature, hypergradient

DECAY = 0.05
#: Two multipliers, then two offsets.
NUMBERS = [1.0, 1.0, -0.3, -1.4]


class Problem:
    """A small inner problem in float64: training samples, held-out samples, a network."""

    def __init__(self, *, n_hidden=0, scale=1.0, seed=0):
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape):
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        self.y = torch.arange(60).remainder(4).clamp(max=1)
        self.held_y = torch.arange(40).remainder(4).clamp(max=1)
        self.X = scale * (normal(60, 2) + self.y[:, None])
        self.held_X = scale * (normal(40, 2) + self.held_y[:, None])
        sizes = [2, n_hidden, 2] if n_hidden else [2, 2]
        self.start = []
        for n_in, n_out in pairwise(sizes):
            self.start += [normal(n_out, n_in), normal(n_out)]

    def logits(self, weights, X):
        for place in range(0, len(weights), 2):
            X = X @ weights[place].T + weights[place + 1]
            if place + 2 < len(weights):
                X = torch.tanh(X)
        return X

    def train_loss(self, weights, numbers):
        logits = self.logits(weights, self.X)
        terms = {"multiplier": numbers[:2], "offset": numbers[2:]}
        return vector_scaling_loss(logits, self.y, **terms, reduction="mean")

    def held_loss(self, weights):
        weight = torch.tensor([2.0, 2 / 3], dtype=torch.float64)
        return vector_scaling_loss(
            self.logits(weights, self.held_X), self.held_y, weight=weight, reduction="mean"
        )

    def trained(self, numbers, start=None):
        """Return weights at a minimum of the training loss with weight decay."""
        weights = [w.clone().requires_grad_() for w in start or self.start]
        optimizer = torch.optim.LBFGS(
            weights,
            max_iter=200,
            tolerance_grad=1e-13,
            tolerance_change=1e-18,
            line_search_fn="strong_wolfe",
        )

        def closure():
            optimizer.zero_grad()
            decay = DECAY / 2 * sum((w**2).sum() for w in weights)
            loss = self.train_loss(weights, numbers) + decay
            loss.backward()
            return loss

        for _ in range(3):
            optimizer.step(closure)
        return weights

    def differences(self, weights, gap=1e-4):
        """Return the derivative of the whole inner solution by finite differences."""
        found = []
        for k in range(len(NUMBERS)):
            ends = []
            for sign in (1, -1):
                numbers = torch.tensor(NUMBERS, dtype=torch.float64)
                numbers[k] += sign * gap
                solution = self.trained(numbers, [w.detach() for w in weights])
                ends.append(self.held_loss(solution).item())
            found.append((ends[0] - ends[1]) / (2 * gap))
        return torch.tensor(found, dtype=torch.float64)

    def hypergradient(self, weights, **options):
        numbers = torch.tensor(NUMBERS, dtype=torch.float64, requires_grad=True)
        return hypergradient(
            self.train_loss(weights, numbers),
            self.held_loss(weights),
            weights,
            numbers,
            **{"damping": DECAY, **options},
        )


def exact(problem, weights):
    """Return the hypergradient by the whole Hessian and a direct solution."""
    numbers = torch.tensor(NUMBERS, dtype=torch.float64, requires_grad=True)
    curvature = Curvature(problem.train_loss(weights, numbers), weights, DECAY)
    identity = torch.eye(len(curvature.gradient), dtype=torch.float64)
    hessian = torch.stack([curvature.product(row) for row in identity])
    gradients = torch.autograd.grad(problem.held_loss(weights), weights)
    held = torch.cat([gradient.reshape(-1) for gradient in gradients])
    solution = torch.linalg.solve(hessian, held)
    (value,) = torch.autograd.grad(-(curvature.gradient @ solution), [numbers])
    return value, torch.linalg.eigvalsh(hessian)


def of_reference(problem, weights):
    """Return what the reference computes: step 1, and no weight decay in the Hessian."""
    return of_series(problem, weights, step=1.0, damping=0.0)


def of_series(problem, weights, *, step, damping, n_terms=5):
    """Return the hypergradient by the first terms of a Neumann series."""
    numbers = torch.tensor(NUMBERS, dtype=torch.float64, requires_grad=True)
    curvature = Curvature(problem.train_loss(weights, numbers), weights, damping)
    gradients = torch.autograd.grad(problem.held_loss(weights), weights)
    term = total = torch.cat([gradient.reshape(-1) for gradient in gradients])
    for _ in range(n_terms):
        term = term - step * curvature.product(term)
        total = total + term
    (value,) = torch.autograd.grad(-step * (curvature.gradient @ total), [numbers])
    return value


@pytest.mark.parametrize("n_hidden", [0, 3])
def test_it_equals_finite_differences_of_the_whole_inner_solution(n_hidden):
    problem = Problem(n_hidden=n_hidden)
    weights = problem.trained(torch.tensor(NUMBERS, dtype=torch.float64))
    expected = problem.differences(weights)
    assert expected.abs().max() > 1e-2
    found = problem.hypergradient(weights, n_products=50)
    torch.testing.assert_close(found.value, expected, rtol=1e-3, atol=1e-6)
    direct, _ = exact(problem, weights)
    torch.testing.assert_close(found.value, direct, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("n_hidden", [0, 3])
def test_with_inputs_times_ten_it_keeps_its_size_and_sign_where_the_reference_diverges(n_hidden):
    problem = Problem(n_hidden=n_hidden, scale=10.0)
    weights = problem.trained(torch.tensor(NUMBERS, dtype=torch.float64))
    expected, eigenvalues = exact(problem, weights)
    assert eigenvalues.max() > 2
    assert of_reference(problem, weights).norm() > 3e4 * expected.norm()
    for n_products in (3, 6, 20):
        found = problem.hypergradient(weights, n_products=n_products).value
        assert torch.nn.functional.cosine_similarity(found, expected, dim=0) > 0.99
        assert 0.5 < found.norm() / expected.norm() < 1.5


def test_few_terms_of_a_bounded_series_may_point_away_where_conjugate_gradients_do_not():
    problem = Problem(scale=10.0)
    weights = problem.trained(torch.tensor(NUMBERS, dtype=torch.float64))
    # In the middle of a training, the weights are smaller than at its end.
    weights = [(w.detach() / 5).requires_grad_() for w in weights]
    expected, eigenvalues = exact(problem, weights)
    series = of_series(problem, weights, step=0.9 / float(eigenvalues.max()), damping=DECAY)
    assert torch.nn.functional.cosine_similarity(series, expected, dim=0) < 0
    found = problem.hypergradient(weights, n_products=6).value
    assert torch.nn.functional.cosine_similarity(found, expected, dim=0) > 0.99


def test_negative_curvature_ends_the_solution_and_leaves_it_bounded():
    weights = [torch.tensor([1.0, 1.0], dtype=torch.float64, requires_grad=True)]
    number = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
    x, y = weights[0]
    saddle = 5 * x**2 - 50 * y**2 + number[0] * (x + y)
    first = hypergradient(saddle, y, weights, number)
    assert (first.n_products, first.is_convex) == (1, False)
    assert float(first.value) == pytest.approx(-1 / 100)
    later = hypergradient(saddle, 10 * x + y, weights, number)
    assert (later.n_products, later.is_convex) == (2, False)
    assert -10 < float(later.value) < 0


def test_the_norm_is_clipped():
    weights = [torch.tensor([1.0], dtype=torch.float64, requires_grad=True)]
    number = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
    loss = (weights[0] ** 2 + number * weights[0]).sum()
    found = hypergradient(loss, 1e6 * weights[0].sum(), weights, number, max_norm=1.0)
    assert found.norm == pytest.approx(5e5)
    assert float(found.value) == pytest.approx(-1.0)


def test_a_weight_without_influence_counts_as_zero():
    used = torch.ones(1, requires_grad=True)
    unused = torch.ones(3, requires_grad=True)
    number = torch.zeros(1, requires_grad=True)
    loss = ((used - number) ** 2).sum()
    found = hypergradient(loss, used.sum(), [used, unused], number, n_products=3)
    torch.testing.assert_close(found.value, torch.ones(1))
