"""Losses of a continuous target: golden values, naive oracles, identities, a known optimum."""

import math
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from torch.nn import functional as F

from skimb.losses import (
    AbsoluteErrorLoss,
    BalancedMSELoss,
    FocalRLoss,
    HuberLoss,
    SquaredErrorLoss,
    absolute_error_loss,
    balanced_mse_loss,
    focal_r_loss,
    huber_loss,
    ranksim_loss,
    squared_error_loss,
)
from skimb.relevance import LabelDensity
from skimb.testing import check_loss

# The setup of the golden values.
PREDICTION = torch.tensor([1, 2, 4.5], dtype=torch.float64)
TARGET = torch.tensor([0.8, 2.5, 5], dtype=torch.float64)
FUNCTIONS = [squared_error_loss, absolute_error_loss, huber_loss, focal_r_loss, balanced_mse_loss]
OBJECTS = [
    SquaredErrorLoss(),
    AbsoluteErrorLoss(),
    HuberLoss(delta=0.3),
    FocalRLoss(power=2, gamma=0.5),
    BalancedMSELoss(),
    BalancedMSELoss(form="binned", noise=0.4),
    BalancedMSELoss(form="mixture", n_components=2),
]
numbers = st.lists(st.floats(-20, 20), min_size=1, max_size=8)


def number(value):
    return torch.tensor(value, dtype=torch.float64)


def near(found, expected):
    torch.testing.assert_close(found, number(expected), rtol=1e-6, atol=1e-9)


# ------------------------------------------------------------------------------ golden


def test_golden_values():
    near(squared_error_loss(PREDICTION, TARGET).mean(), 0.18)
    near(huber_loss(PREDICTION, TARGET, delta=1.0).mean(), 0.09)
    near(focal_r_loss(PREDICTION, TARGET).mean(), 0.0179859472)
    near(focal_r_loss(PREDICTION, TARGET, power=2).mean(), 0.0085930269)


@pytest.mark.parametrize(
    ("density", "golden"),
    [
        ({"noise": 1.0}, 0.5849397616),
        ({"noise": 2.0}, 5.3880565926),
        (
            {
                "noise": 1.0,
                "means": number([1, 4]),
                "variances": number([0.5, 2]),
                "log_weights": number([0.7, 0.3]).log(),
            },
            -1.7725361121,
        ),
        (
            {
                "noise": 1.0,
                "means": torch.arange(6).double(),
                "log_weights": number([0.4, 0.3, 0.15, 0.08, 0.05, 0.02]).log(),
            },
            -2.2264333872,
        ),
    ],
    ids=["batch", "batch wide", "mixture", "binned"],
)
def test_golden_values_of_the_balanced_error(density, golden):
    near(balanced_mse_loss(PREDICTION, TARGET, reduction="mean", **density), golden)


@pytest.mark.parametrize(
    ("square", "golden"),
    [(0.1, [0, -0.003, 0]), (1, [0.28, -0.39, -0.22]), (10, [0.97, 0.003, -1.20])],
)
def test_golden_gradients_show_how_the_noise_decides(square, golden):
    prediction = PREDICTION.clone().requires_grad_(True)
    balanced_mse_loss(prediction, TARGET, noise=math.sqrt(square), reduction="mean").backward()
    torch.testing.assert_close(prediction.grad, number(golden), atol=6e-3, rtol=0)


def test_golden_rank_similarity():
    features = number([[1, 0], [0.9, 0.3], [-0.2, 1], [0.1, 0.2]])
    near(ranksim_loss(features, number([1, 2, 5, 9]), reduction="sum"), 0.09375)


# ------------------------------------------------------------------------------ oracles


@given(numbers, st.floats(0.1, 3), st.floats(0.05, 2), st.floats(0, 4))
def test_row_losses_are_the_naive_formulas(errors, delta, beta, gamma):
    target = torch.linspace(-3, 3, len(errors), dtype=torch.float64)
    prediction = target + number(errors)
    errors = (prediction - target).tolist()
    naive = {
        squared_error_loss: lambda e: e**2,
        absolute_error_loss: abs,
        lambda p, t: huber_loss(p, t, delta=delta): lambda e: (
            e**2 / 2 if abs(e) <= delta else delta * (abs(e) - delta / 2)
        ),
        lambda p, t: focal_r_loss(p, t, beta=beta, gamma=gamma): lambda e: (
            abs(e) * (2 / (1 + math.exp(-beta * abs(e))) - 1) ** gamma
        ),
    }
    for loss, formula in naive.items():
        expected = number([formula(e) for e in errors])
        torch.testing.assert_close(loss(prediction, target), expected, rtol=1e-6, atol=1e-8)


@given(numbers, numbers, st.floats(0.3, 3))
def test_the_balanced_error_is_a_likelihood_under_an_even_spread(values, means, noise):
    """-log of N(y; f, s2) over its mean under the density, by Gaussians written out."""
    target = number(values)
    prediction = target.flip(0) + 0.1
    weights = np.arange(1, len(means) + 1) / sum(range(1, len(means) + 1))
    variances = np.linspace(0.1, 2, len(means))

    def gaussian(x, mean, variance):
        return math.exp(-((x - mean) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)

    if any(abs(p - m) > 12 * noise for p in prediction.tolist() for m in [*means, *values]):
        return  # the naive formula underflows
    expected = [
        2
        * noise**2
        * (
            -math.log(gaussian(y, f, noise**2))
            + math.log(
                sum(
                    w * gaussian(f, m, noise**2 + s2)
                    for w, m, s2 in zip(weights, means, variances, strict=True)
                )
            )
        )
        for f, y in zip(prediction.tolist(), values, strict=True)
    ]
    found = balanced_mse_loss(
        prediction,
        target,
        noise=noise,
        means=number(means),
        variances=number(variances),
        log_weights=number(weights).log(),
    )
    torch.testing.assert_close(found, number(expected), rtol=1e-6, atol=1e-6)


def naive_ranksim(features, target):
    """The published procedure, one row at a time; among equals the later comes first."""
    seen = {}
    for row, y in enumerate(target):
        seen.setdefault(y, row)
    rows = sorted(seen.values())

    def ranks(values):
        order = sorted(range(len(values)), key=lambda i: (-values[i], -i))
        return [(order.index(i) + 1) / len(values) for i in range(len(values))]

    def cosine(a, b):
        return float(np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))

    losses = []
    for i in rows:
        found = ranks([cosine(features[i], features[j]) for j in rows])
        wanted = ranks([-abs(target[i] - target[j]) for j in rows])
        losses.append(np.mean((np.array(found) - wanted) ** 2))
    return np.array(losses)


def test_rank_similarity_is_the_naive_procedure_and_its_gradient_the_published_one():
    rng = np.random.RandomState(0)
    features, target = rng.normal(size=(12, 5)), rng.randint(0, 9, size=12).astype(float)
    found = ranksim_loss(number(features), number(target))
    torch.testing.assert_close(found, number(naive_ranksim(features, target)))
    values = number(rng.normal(size=(3, 4))).requires_grad_(True)
    from skimb.losses._ranksim import _BlackboxRanks, _ranks

    gradient = number(rng.normal(size=(3, 4)))
    _BlackboxRanks.apply(values, 2.0).backward(gradient)
    plain = values.detach()
    expected = -(_ranks(plain) - _ranks(plain + 2.0 * gradient)) / 2.0
    torch.testing.assert_close(values.grad, expected)


@pytest.mark.slow
def test_rank_similarity_falls_under_its_own_gradient():
    torch.manual_seed(0)
    target = torch.linspace(0, 1, 16)
    features = torch.randn(16, 3, requires_grad=True)
    before = float(ranksim_loss(features, target, reduction="mean").detach())
    optimizer = torch.optim.Adam([features], lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        ranksim_loss(features, target, reduction="mean").backward()
        optimizer.step()
    assert float(ranksim_loss(features, target, reduction="mean").detach()) < before / 4


# ------------------------------------------------------------------------------ identities


@pytest.mark.slow
@given(numbers)
def test_reduces_to(errors):
    target = torch.linspace(-3, 3, len(errors), dtype=torch.float64)
    prediction = target + number(errors)
    absolute = absolute_error_loss(prediction, target)
    square = squared_error_loss(prediction, target)
    torch.testing.assert_close(focal_r_loss(prediction, target, gamma=0), absolute)
    torch.testing.assert_close(focal_r_loss(prediction, target, power=2, gamma=0), square)
    torch.testing.assert_close(huber_loss(prediction, target, delta=1e6), square / 2)
    # Of an even spread, wide against the noise, the balanced error is the squared one.
    grid = torch.linspace(-200, 200, 4001, dtype=torch.float64)
    balanced = balanced_mse_loss(prediction, target, noise=1.0, means=grid)
    torch.testing.assert_close(balanced - balanced[0], square - square[0], rtol=1e-6, atol=1e-6)


def test_a_batch_of_one_teaches_the_balanced_error_nothing():
    prediction = torch.tensor([3.0], requires_grad=True)
    values = balanced_mse_loss(prediction, torch.tensor([1.0]))
    (gradient,) = torch.autograd.grad(values.sum(), prediction)
    assert gradient.item() == 0


@pytest.mark.slow
@pytest.mark.parametrize("form", ["batch", "binned", "mixture"])
def test_the_balanced_error_finds_a_known_optimum_and_a_known_noise(form, monkeypatch):
    """y ~ N(m, v) with m ~ N(0, 1 - v): under an even spread y ~ N(m / (1 - v), v / (1 - v))."""
    # Without the even share that is mixed in on purpose.
    monkeypatch.setattr("skimb.losses._balanced_mse.FLOOR", 1e-9)
    rng, v = np.random.RandomState(0), 0.3
    m = rng.normal(0, np.sqrt(1 - v), 4000)
    y = torch.tensor(m + rng.normal(0, np.sqrt(v), 4000)).float()
    m = torch.tensor(m).float()
    loss = BalancedMSELoss(form=form).fit(y)
    slope = torch.ones((), requires_grad=True)
    optimizer = torch.optim.Adam([{"params": [slope]}, {"params": loss.parameters()}], lr=2e-2)
    for step in range(300):
        rows = torch.arange(step % 10, 4000, 10)
        optimizer.zero_grad()
        loss(slope * m[rows], y[rows]).backward()
        optimizer.step()
    assert slope.item() == pytest.approx(1 / (1 - v), rel=0.04)
    assert loss.noise_**2 == pytest.approx(v / (1 - v), rel=0.1)


def test_the_noise_stays_within_its_bounds_in_units_of_the_target():
    y = torch.linspace(0, 100, 201)
    loss = BalancedMSELoss().fit(y)
    loss.end_warm_up(1e-12)
    assert loss.noise_ == pytest.approx(0.05 * y.std(correction=0).item(), rel=1e-5)
    loss.end_warm_up(1e12)
    assert loss.noise_ == pytest.approx(y.std(correction=0).item(), rel=1e-5)
    with torch.no_grad():
        loss.log_noise_.fill_(7.0)
    loss(y, y)
    assert loss.noise_ == pytest.approx(y.std(correction=0).item(), rel=1e-5)


def test_a_fixed_noise_is_no_parameter():
    loss = BalancedMSELoss(noise=1.0).fit(TARGET)
    assert not [p for p in loss.parameters() if p.requires_grad]
    assert loss.noise_ == pytest.approx(1.0)
    near(loss(PREDICTION, TARGET), 0.5849397616)


def test_a_fixed_noise_as_wide_as_the_target_gives_a_warning():
    sd = TARGET.std(correction=0).item()
    BalancedMSELoss(noise=0.99 * sd).fit(TARGET)
    with pytest.warns(UserWarning, match="not less than the standard deviation of the target, 1.7"):
        loss = BalancedMSELoss(noise=2.0).fit(TARGET)
    near(loss(PREDICTION, TARGET), 5.3880565926)
    with pytest.warns(UserWarning, match="noise='learned'"):
        BalancedMSELoss(noise=1.0).fit(TARGET / sd)


def test_a_warm_up_is_the_squared_error():
    loss = BalancedMSELoss(noise=1.0).fit(TARGET)
    loss.begin_warm_up()
    near(loss(PREDICTION, TARGET), 0.18)
    loss.end_warm_up(0.18)
    near(loss(PREDICTION, TARGET), 0.5849397616)


def test_bins_of_the_balanced_error_are_those_of_the_density():
    density = LabelDensity(bins=[0, 2, 4, 8], kernel=None)
    loss = BalancedMSELoss(form="binned", noise=1.0, density=density)
    loss.fit([1.0, 1.0, 3.0, 5.0])
    np.testing.assert_allclose(loss.means_, [1, 3, 6])
    np.testing.assert_allclose(loss.variances_, [4 / 12, 4 / 12, 16 / 12], rtol=1e-6)
    # A tenth is spread evenly over the range, which is 2, 2 and 4 wide.
    share = 0.9 * np.array([0.5, 0.25, 0.25]) + 0.1 * np.array([0.25, 0.25, 0.5])
    np.testing.assert_allclose(loss.log_weights_.exp(), share, rtol=1e-6)


def test_the_warm_up_keeps_the_plain_squared_error_of_training_since_it_last_began():
    loss = BalancedMSELoss().fit(TARGET)
    loss.begin_warm_up()
    loss(PREDICTION + 100, TARGET)
    loss.begin_warm_up()
    loss(PREDICTION, TARGET, number([5.0, 5.0, 5.0]))
    loss.eval()(PREDICTION + 100, TARGET)
    loss.end_warm_up()
    # Errors of 0.2, 0.5 and 0.5: the median, as the standard deviation of normal errors.
    assert loss.noise_ == pytest.approx(1.4826 * 0.5)


@pytest.mark.parametrize("form", ["batch", "binned", "mixture"])
def test_the_balanced_error_does_not_depend_on_the_unit(form):
    rng = np.random.RandomState(0)
    y = rng.gamma(2, size=200)
    prediction = y + rng.normal(0, 0.3, size=200)
    values = {}
    for unit in (1.0, 1e-4, 1e5):
        loss = BalancedMSELoss(form=form).fit(pd.Series(unit * y)).double()
        values[unit] = loss(number(unit * prediction), number(unit * y)).item() / unit**2
    assert values[1e-4] == pytest.approx(values[1.0], rel=1e-4)
    assert values[1e5] == pytest.approx(values[1.0], rel=1e-4)


def test_numbers_of_numpy_are_numbers_and_nested_parameters_are_searched():
    for noise in (np.int64(1), np.float32(1.0)):
        near(BalancedMSELoss(noise=noise).fit(TARGET)(PREDICTION, TARGET), 0.5849397616)
    density = LabelDensity()
    loss = BalancedMSELoss(form="binned", density=density)
    assert loss.get_params()["density__bins"] == "auto"
    assert "density__bins" not in loss.get_params(deep=False)
    loss.set_params(density__bins=5).fit(TARGET)
    assert len(loss.means_) == 5
    assert not hasattr(density, "edges_")
    for name in ("density__nope", "noise__nope", "nope"):
        with pytest.raises(ValueError, match="Invalid parameter"):
            loss.set_params(**{name: 1})


# ------------------------------------------------------------------------------ contract


@pytest.mark.parametrize("loss", OBJECTS, ids=repr)
def test_losses_weight_reduce_clone_and_pickle(loss):
    fitted = clone(loss).fit(TARGET)
    weight = number([2.0, 0.0, 1.0])
    values = clone(fitted).set_params(reduction="none").fit(TARGET)(PREDICTION, TARGET)
    torch.testing.assert_close(fitted(PREDICTION, TARGET), values.mean())
    torch.testing.assert_close(fitted(PREDICTION, TARGET, weight), (values * weight).sum() / 3)
    again = pickle.loads(pickle.dumps(fitted))
    torch.testing.assert_close(again(PREDICTION, TARGET), values.mean())
    assert repr(clone(loss)) == repr(loss)


class Broken(SquaredErrorLoss):
    """A loss that keeps all promises but one, which `fault` names."""

    def __init__(self, fault="", *, reduction="mean"):
        super().__init__(reduction=reduction)
        self.fault = fault

    def forward(self, prediction, target, weight=None):
        match self.fault:
            case "weight":
                weight = None
            case "shape":
                target = target.reshape(-1)[: len(prediction)]
            case "batch":
                prediction = prediction + prediction.mean()
            case "gradient":
                prediction = 2 * prediction - prediction.detach()
            case "infinite":
                prediction = prediction / (prediction.abs() < 1e3)
        return super().forward(prediction, target, weight)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("weight", "Weights must multiply"),
        ("shape", r"Targets of shape \(12, 1\)"),
        ("batch", "alone as in a batch"),
        ("gradient", "gradient must be the gradient of its value"),
        ("infinite", "must be finite at an output of 10000"),
    ],
)
def test_every_broken_promise_of_a_loss_is_found(fault, message):
    check_loss(Broken())
    with pytest.raises(AssertionError, match=message):
        check_loss(Broken(fault))


@pytest.mark.parametrize("loss", FUNCTIONS)
def test_shapes_that_would_broadcast_are_refused(loss):
    with pytest.raises(ValueError, match=r"takes predictions and targets of shape \(n,\)"):
        loss(PREDICTION[:, None], TARGET)
    with pytest.raises(ValueError, match="of a float type"):
        loss(PREDICTION, torch.arange(3))
    with pytest.raises(ValueError, match="one entry for each of the 3 samples"):
        loss(PREDICTION, TARGET, weight=torch.ones(2))
    with pytest.raises(ValueError, match="`reduction` must be one of"):
        loss(PREDICTION, TARGET, reduction="median")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: huber_loss(PREDICTION, TARGET, delta=0), "`delta` must be positive"),
        (lambda: focal_r_loss(PREDICTION, TARGET, power=3), "`power` must be 1 or 2"),
        (lambda: focal_r_loss(PREDICTION, TARGET, beta=0), "`beta` must be positive"),
        (lambda: focal_r_loss(PREDICTION, TARGET, gamma=-1), "`gamma` at least 0"),
        (lambda: balanced_mse_loss(PREDICTION, TARGET, noise=0), "`noise` must be positive"),
        (lambda: BalancedMSELoss(form="dense").fit(TARGET), "`form` must be"),
        (lambda: BalancedMSELoss(noise="big").fit(TARGET), "`noise` must be"),
        (lambda: BalancedMSELoss(noise=True).fit(TARGET), "`noise` must be"),
        (lambda: BalancedMSELoss(noise=np.inf).fit(TARGET), "`noise` must be"),
        (
            lambda: BalancedMSELoss(form="binned", density=LabelDensity(bins=[0, 5, np.inf])).fit(
                TARGET
            ),
            "bins of `density` must be finite",
        ),
        (lambda: BalancedMSELoss(form="binned")(PREDICTION, TARGET), "has not seen the target"),
        (lambda: ranksim_loss(PREDICTION, TARGET), r"features of shape \(n, d\)"),
        (
            lambda: ranksim_loss(PREDICTION[:, None], TARGET, interpolation=0),
            "`interpolation` must be positive",
        ),
    ],
)
def test_parameters_that_make_no_sense_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0])
def test_gradients_are_finite_at_a_hit_and_far_off(gamma):
    for dtype in (torch.float32, torch.float64):
        prediction = torch.tensor([0.0, 1e4, -1e4], dtype=dtype, requires_grad=True)
        target = torch.zeros(3, dtype=dtype)
        for values in (
            focal_r_loss(prediction, target, gamma=gamma),
            balanced_mse_loss(prediction, target, noise=0.05),
        ):
            (gradient,) = torch.autograd.grad(values.sum(), prediction)
            assert torch.isfinite(values).all()
            assert torch.isfinite(gradient).all()


def test_the_balanced_error_of_a_batch_is_a_cross_entropy():
    square = 0.7**2
    logits = -((PREDICTION[:, None] - TARGET) ** 2) / (2 * square)
    expected = F.cross_entropy(logits, torch.arange(3), reduction="none") * 2 * square
    torch.testing.assert_close(balanced_mse_loss(PREDICTION, TARGET, noise=0.7), expected)
