"""Losses: golden values, a naive oracle, identities, extremes."""

import math
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from torch.nn import functional as F

from skimb.losses import (
    AsymmetricLoss,
    CrossEntropyLoss,
    FocalLoss,
    PolyLoss,
    asymmetric_loss,
    binary_focal_loss,
    cross_entropy,
    focal_loss,
    ldam_loss,
    poly_loss,
)
from skimb.losses._focusing import focal_posterior_logits

# The setup of the golden values.
LOGITS = torch.tensor(
    [[2, 0.5, -1], [0.1, 1.2, 0.3], [-0.5, 0, 1.5], [1, 1, 1]], dtype=torch.float64
)
TARGET = torch.tensor([0, 1, 2, 2])
GOLDEN_FOCAL = {
    0.5: [0.1117359812, 0.3609228958, 0.1573712276, 0.8970131775],
    1.0: [0.0517378576, 0.2353213343, 0.080839698, 0.7324081924],
    2.0: [0.0110927501, 0.1000357058, 0.0213315976, 0.4882721283],
    5.0: [0.000109328, 0.0076848652, 0.0003919399, 0.1446732232],
}
GAMMAS = [0.0, 0.3, 0.5, 1.0, 2.0, 5.0]


def naive_focal(logits, target, gamma):
    """The formula of the paper, one row at a time."""
    values = []
    for row, y in zip(logits.tolist(), target.tolist(), strict=True):
        p = math.exp(row[y]) / sum(math.exp(z) for z in row)
        values.append(-((1 - p) ** gamma) * math.log(p))
    return torch.tensor(values, dtype=logits.dtype)


def test_cross_entropy_golden():
    golden = [0.2413112967, 0.5535636497, 0.3063557122, 1.0986122887]
    torch.testing.assert_close(
        cross_entropy(LOGITS, TARGET), torch.tensor(golden, dtype=torch.float64)
    )


@pytest.mark.parametrize("gamma", GOLDEN_FOCAL)
def test_focal_golden(gamma):
    golden = torch.tensor(GOLDEN_FOCAL[gamma], dtype=torch.float64)
    torch.testing.assert_close(
        focal_loss(LOGITS, TARGET, gamma=gamma), golden, rtol=1e-6, atol=1e-10
    )


@given(
    logits=st.lists(st.lists(st.floats(-15, 15), min_size=3, max_size=3), min_size=1, max_size=5),
    gamma=st.floats(0, 5),
)
@pytest.mark.slow
def test_focal_is_the_naive_formula(logits, gamma):
    logits = torch.tensor(logits, dtype=torch.float64)
    target = torch.arange(len(logits)) % 3
    torch.testing.assert_close(
        focal_loss(logits, target, gamma=gamma),
        naive_focal(logits, target, gamma),
        rtol=1e-7,
        atol=1e-9,
    )


def test_focal_of_gamma_zero_is_cross_entropy_to_the_bit_with_its_gradient():
    torch.manual_seed(0)
    logits = torch.randn(64, 5) * 4
    target = torch.randint(0, 5, (64,))
    results = []
    for loss in (lambda z: focal_loss(z, target, gamma=0), lambda z: cross_entropy(z, target)):
        z = logits.clone().requires_grad_(True)
        value = loss(z)
        value.mean().backward()
        results.append((value, z.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_the_modulator_is_that_of_the_unweighted_probability():
    weight = torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64)
    p = torch.softmax(LOGITS, dim=1).gather(1, TARGET[:, None]).squeeze(1)
    ratio = focal_loss(LOGITS, TARGET, gamma=2, weight=weight) / cross_entropy(
        LOGITS, TARGET, weight=weight
    )
    torch.testing.assert_close(ratio, (1 - p) ** 2)


@pytest.mark.parametrize("n_classes", [2, 3, 50])
@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("size", [20.0, 104.0, 1e4, -1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_finite_at_extreme_logits(size, gamma, n_classes, dtype):
    logits = torch.zeros(2, n_classes, dtype=dtype)
    logits[:, 0] = size
    logits.requires_grad_(True)
    target = torch.tensor([0, 1])
    for loss in (cross_entropy(logits, target), focal_loss(logits, target, gamma=gamma)):
        (gradient,) = torch.autograd.grad(loss.sum(), logits)
        assert torch.isfinite(loss).all()
        assert torch.isfinite(gradient).all()
    assert torch.isfinite(focal_posterior_logits(logits, gamma=gamma)).all()


@pytest.mark.parametrize("gamma", GAMMAS)
def test_gradients(gamma):
    logits = LOGITS.clone().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda z: focal_loss(z, TARGET, gamma=gamma), logits)


@pytest.mark.parametrize(
    ("gamma", "golden"),
    [(1.0, [0.82681419, 0.11574294, 0.05744286]), (2.0, [0.91971175, 0.05455689, 0.02573136])],
)
def test_focal_posterior_golden(gamma, golden):
    logits = torch.log(torch.tensor([[0.7, 0.2, 0.1]], dtype=torch.float64))
    posterior = torch.softmax(focal_posterior_logits(logits, gamma=gamma), dim=1)
    torch.testing.assert_close(posterior[0], torch.tensor(golden, dtype=torch.float64))


@given(eta=st.lists(st.floats(0.02, 1), min_size=2, max_size=4), gamma=st.floats(0.1, 4))
def test_focal_posterior_inverts_the_minimiser(eta, gamma):
    """At q with posterior eta, the expected loss has no slope: q is its minimiser."""
    eta = torch.tensor(eta, dtype=torch.float64)
    # Any q has some posterior: start from q, map, and check the stationarity there.
    logits = torch.log(eta / eta.sum())[None].requires_grad_(True)
    posterior = torch.softmax(focal_posterior_logits(logits.detach(), gamma=gamma), dim=1)[0]
    losses = [focal_loss(logits, torch.tensor([k]), gamma=gamma)[0] for k in range(len(eta))]
    risk = posterior @ torch.stack(losses)
    (slope,) = torch.autograd.grad(risk, logits)
    assert slope.abs().max() < 1e-9


def test_weights_act_in_a_batch_of_one_class():
    weight = torch.tensor([1.0, 10.0])
    logits, target = torch.zeros(3, 2), torch.ones(3, dtype=torch.long)
    weighted = cross_entropy(logits, target, weight=weight, reduction="mean")
    assert weighted.item() == pytest.approx(10 * math.log(2))
    # torch's own mean loses them.
    assert F.cross_entropy(logits, target, weight=weight).item() == pytest.approx(math.log(2))


def test_golden_weighted_mean():
    weight = torch.tensor([0.0276895996, 0.2707630216, 2.7015473788], dtype=torch.float64)
    mean = cross_entropy(LOGITS, TARGET, weight=weight, reduction="mean")
    assert mean.item() == pytest.approx(0.9880384999)


# ------------------------------------------------------------------------- label smoothing


def test_uniform_label_smoothing_is_torchs():
    expected = F.cross_entropy(LOGITS, TARGET, reduction="none", label_smoothing=0.3)
    torch.testing.assert_close(cross_entropy(LOGITS, TARGET, label_smoothing=0.3), expected)
    same = cross_entropy(LOGITS, TARGET, label_smoothing=[0.3, 0.3, 0.3])
    torch.testing.assert_close(same, expected)


def test_label_smoothing_by_class_golden():
    golden = [0.6913112967, 0.5820266174, 0.3063557122, 1.0986122887]
    values = cross_entropy(LOGITS, TARGET, label_smoothing=[0.3, 0.0426944515, 0.0])
    torch.testing.assert_close(values, torch.tensor(golden, dtype=torch.float64))


# By hand: (0.7 - 0.2 / 2) / (1 - 0.2) = 0.75. In the second, s = 0.3 * 0.5 + 0.6 * 0.25 = 0.3, and
# q = 0.7 * 0.5 + 0.1, 0.25 + 0.1 and 0.4 * 0.25 + 0.1.
@pytest.mark.parametrize(
    ("smoothing", "q", "posterior"),
    [
        (0.2, [0.7, 0.3], [0.75, 0.25]),
        ([0.3, 0.0, 0.6], [0.45, 0.35, 0.2], [0.5, 0.25, 0.25]),
    ],
    ids=str,
)
def test_smoothed_posterior_golden(smoothing, q, posterior):
    logits = torch.log(torch.tensor([q], dtype=torch.float64)) + 3
    mapped = CrossEntropyLoss(smoothing).effective_logits(logits)
    expected = torch.tensor([posterior], dtype=torch.float64)
    torch.testing.assert_close(torch.softmax(mapped, dim=1), expected)


@given(
    eta=st.lists(st.floats(0.2, 1), min_size=2, max_size=4),
    smoothing=st.lists(st.floats(0, 0.5), min_size=4, max_size=4),
)
@pytest.mark.slow
def test_smoothed_posterior_inverts_the_minimiser(eta, smoothing):
    """At smoothed labels, the expected loss has no slope, and they are mapped to the posterior."""
    smoothing = smoothing[: len(eta)]
    eta = torch.tensor(eta, dtype=torch.float64) / sum(eta)
    spread = (torch.tensor(smoothing, dtype=torch.float64) * eta).sum() / len(eta)
    q = (1 - torch.tensor(smoothing, dtype=torch.float64)) * eta + spread
    logits = torch.log(q)[None].requires_grad_(True)
    loss = CrossEntropyLoss(smoothing, reduction="none")
    risk = eta @ torch.stack([loss(logits, torch.tensor([k]))[0] for k in range(len(eta))])
    (slope,) = torch.autograd.grad(risk, logits)
    assert slope.abs().max() < 1e-9
    posterior = torch.softmax(loss.effective_logits(logits.detach()), dim=1)[0]
    torch.testing.assert_close(posterior, eta)


def test_confident_logits_keep_their_order_below_the_smoothing():
    logits = torch.tensor([[30.0, -value] for value in range(-10, 60)])
    mapped = CrossEntropyLoss(0.1).effective_logits(logits)
    odds = mapped[:, 1] - mapped[:, 0]
    assert torch.isfinite(mapped).all()
    assert (odds.diff() < 0).all()


@pytest.mark.parametrize("smoothing", [1 - 1e-9, [0.2, 1 - 1e-9, 0.0]], ids=str)
def test_a_smoothing_that_float32_cannot_tell_from_one_gives_finite_logits(smoothing):
    # Exported networks compute in float32.
    mapped = CrossEntropyLoss(smoothing).effective_logits(LOGITS.float())
    assert torch.isfinite(mapped).all()
    expected = CrossEntropyLoss(smoothing).effective_logits(LOGITS).float()
    torch.testing.assert_close(mapped.softmax(1), expected.softmax(1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, [0.0, 0.0, 0.0], 1.0, [0.0, 0.2, 1.0]], ids=str)
def test_without_smoothing_or_without_labels_logits_stay(smoothing):
    assert CrossEntropyLoss(smoothing).effective_logits(LOGITS) is LOGITS


# ------------------------------------------------------------------------- Poly-1


@given(
    logits=st.lists(st.lists(st.floats(-15, 15), min_size=3, max_size=3), min_size=1, max_size=5),
    epsilon=st.floats(-0.9, 5),
)
@pytest.mark.slow
def test_poly_is_the_naive_formula(logits, epsilon):
    logits = torch.tensor(logits, dtype=torch.float64)
    target = torch.arange(len(logits)) % 3
    p = torch.softmax(logits, dim=1).gather(1, target[:, None]).squeeze(1)
    torch.testing.assert_close(
        poly_loss(logits, target, epsilon=epsilon), -p.log() + epsilon * (1 - p)
    )


def test_poly_of_epsilon_zero_is_cross_entropy_to_the_bit():
    assert torch.equal(poly_loss(LOGITS, TARGET, epsilon=0), cross_entropy(LOGITS, TARGET))


@given(eta=st.lists(st.floats(0.02, 1), min_size=2, max_size=4), epsilon=st.floats(-0.9, 4))
def test_poly_posterior_inverts_the_minimiser(eta, epsilon):
    """At the logits whose posterior is eta, the expected loss has no slope."""
    logits = torch.log(torch.tensor(eta, dtype=torch.float64))[None].requires_grad_(True)
    loss = PolyLoss(epsilon=epsilon, reduction="none")
    posterior = torch.softmax(loss.effective_logits(logits.detach()), dim=1)[0]
    risk = posterior @ torch.stack([loss(logits, torch.tensor([k]))[0] for k in range(len(eta))])
    (slope,) = torch.autograd.grad(risk, logits)
    assert slope.abs().max() < 1e-9


# ------------------------------------------------------------------------- asymmetric


def test_asymmetric_golden():
    golden = [0.2252789306, 0.5168779423, 0.2859833957, 1.0262756771]
    values = asymmetric_loss(LOGITS, TARGET)
    torch.testing.assert_close(values, torch.tensor(golden, dtype=torch.float64))


def test_asymmetric_is_the_naive_formula():
    expected = []
    for row, y in zip(LOGITS, TARGET.tolist(), strict=True):
        p = torch.softmax(row, dim=0).tolist()
        value = 0.0
        for k in range(3):
            share = 0.2 / 3 + (0.8 if k == y else 0)
            value -= share * ((1 - p[k]) ** 1.5 if k == y else p[k] ** 3) * math.log(p[k])
        expected.append(value)
    values = asymmetric_loss(LOGITS, TARGET, gamma_pos=1.5, gamma_neg=3, label_smoothing=0.2)
    torch.testing.assert_close(values, torch.tensor(expected, dtype=torch.float64))


def test_asymmetric_without_smoothing_is_focal():
    values = asymmetric_loss(LOGITS, TARGET, gamma_pos=2, label_smoothing=0)
    torch.testing.assert_close(values, focal_loss(LOGITS, TARGET, gamma=2))
    even = asymmetric_loss(LOGITS, TARGET, gamma_neg=0, label_smoothing=0.3)
    torch.testing.assert_close(even, cross_entropy(LOGITS, TARGET, label_smoothing=0.3))


# ------------------------------------------------------------------------- binary focal


@pytest.mark.parametrize(
    ("alpha", "golden"),
    [
        (0.25, [0.0004508907, 0.1754670759, 0.1299650964, 8.19625e-05]),
        (None, [0.0018035628, 0.7018683034, 0.1732867951, 0.0001092833]),
    ],
)
def test_binary_focal_golden(alpha, golden):
    logits = torch.tensor([2.0, -1, 0, -3], dtype=torch.float64)
    values = binary_focal_loss(logits, torch.tensor([1, 1, 0, 0]), alpha=alpha)
    torch.testing.assert_close(
        values, torch.tensor(golden, dtype=torch.float64), rtol=1e-6, atol=1e-10
    )


@pytest.mark.parametrize("gamma", GAMMAS)
def test_binary_focal_is_that_of_two_logits(gamma):
    one = torch.linspace(-5, 5, 11, dtype=torch.float64)
    target = torch.arange(11) % 2
    two = torch.stack([torch.zeros_like(one), one], dim=1)
    torch.testing.assert_close(
        binary_focal_loss(one, target, alpha=None, gamma=gamma),
        focal_loss(two, target, gamma=gamma),
    )


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_binary_focal_is_finite_at_extremes(gamma, dtype):
    logits = torch.tensor([1e4, -1e4, 1e4, -1e4, 20.0], dtype=dtype, requires_grad=True)
    values = binary_focal_loss(logits, torch.tensor([1, 1, 0, 0, 1]), gamma=gamma)
    (gradient,) = torch.autograd.grad(values.sum(), logits)
    assert torch.isfinite(values).all()
    assert torch.isfinite(gradient).all()


def test_binary_focal_refuses_what_would_broadcast():
    with pytest.raises(ValueError, match="one shape"):
        binary_focal_loss(torch.zeros(3, 1), torch.zeros(3))
    with pytest.raises(ValueError, match="0 and 1"):
        binary_focal_loss(torch.zeros(3), torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match="`alpha`"):
        binary_focal_loss(torch.zeros(1), torch.zeros(1), alpha=2)
    assert binary_focal_loss(torch.zeros(2, 3), torch.ones(2, 3), reduction="mean").shape == ()


# ------------------------------------------------------------------------- all of them


FUNCTIONS = [cross_entropy, focal_loss, poly_loss, asymmetric_loss]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_reductions(function):
    values = function(LOGITS, TARGET)
    assert values.shape == (4,)
    torch.testing.assert_close(function(LOGITS, TARGET, reduction="sum"), values.sum())
    torch.testing.assert_close(function(LOGITS, TARGET, reduction="mean"), values.mean())
    with pytest.raises(ValueError, match="`reduction` must be one of"):
        function(LOGITS, TARGET, reduction="avg")


@pytest.mark.parametrize("function", [*FUNCTIONS, partial(ldam_loss, margins=torch.ones(3))])
@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.uint8])
def test_targets_may_be_of_any_integer_type(function, dtype):
    torch.testing.assert_close(function(LOGITS, TARGET.to(dtype)), function(LOGITS, TARGET))


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("logits", "target", "message"),
    [
        (LOGITS, TARGET[:, None], "targets of shape"),
        (LOGITS[:, :, None], TARGET, "logits of shape"),
        (LOGITS, TARGET[:2], "targets of shape"),
        (LOGITS, TARGET.double(), "integer type"),
    ],
)
def test_shapes_that_would_broadcast_are_refused(function, logits, target, message):
    with pytest.raises(ValueError, match=message):
        function(logits, target)


@pytest.mark.parametrize("gamma", [-1.0, float("inf"), float("nan")])
def test_gamma_must_be_a_finite_number(gamma):
    with pytest.raises(ValueError, match="`gamma`"):
        focal_loss(LOGITS, TARGET, gamma=gamma)


@pytest.mark.parametrize(
    ("function", "params"),
    [
        (asymmetric_loss, {"gamma_pos": -1}),
        (asymmetric_loss, {"gamma_neg": float("nan")}),
        (asymmetric_loss, {"label_smoothing": 1.5}),
        (poly_loss, {"epsilon": -1}),
        (poly_loss, {"epsilon": float("nan")}),
        (cross_entropy, {"label_smoothing": -0.1}),
        (cross_entropy, {"label_smoothing": [0.1, 0.1]}),
        (cross_entropy, {"label_smoothing": [0.1, 0.1, 2]}),
        (cross_entropy, {"label_smoothing": None}),
        (cross_entropy, {"label_smoothing": [0.1, None, 0.1]}),
    ],
)
def test_parameters_out_of_range_are_named(function, params):
    with pytest.raises(ValueError, match=f"`{next(iter(params))}`"):
        function(LOGITS, TARGET, **params)


def test_focal_needs_two_classes():
    with pytest.raises(ValueError, match="at least two classes"):
        focal_loss(torch.zeros(2, 1), torch.zeros(2, dtype=torch.long))


@pytest.mark.parametrize(
    "loss",
    [
        CrossEntropyLoss(label_smoothing=0.1),
        FocalLoss(gamma=1.5),
        PolyLoss(epsilon=2.0),
        AsymmetricLoss(gamma_neg=1.0),
    ],
)
def test_loss_objects_clone_pickle_print(loss):
    twin = clone(loss)
    assert twin is not loss
    assert twin.get_params() == loss.get_params()
    restored = pickle.loads(pickle.dumps(loss))
    torch.testing.assert_close(restored(LOGITS, TARGET), loss(LOGITS, TARGET))
    assert repr(loss) in {
        "CrossEntropyLoss(label_smoothing=0.1)",
        "FocalLoss(gamma=1.5)",
        "PolyLoss(epsilon=2.0)",
        "AsymmetricLoss(gamma_neg=1.0)",
    }


def test_a_loss_object_has_the_reduction_of_its_parameter():
    assert FocalLoss()(LOGITS, TARGET).ndim == 0
    assert FocalLoss(reduction="none")(LOGITS, TARGET).shape == (4,)


def test_unknown_parameters_are_refused():
    with pytest.raises(ValueError, match="Invalid parameter 'alpha' for FocalLoss"):
        FocalLoss().set_params(alpha=1)


@pytest.mark.slow
def test_a_plain_pytorch_loop_trains_with_it():
    torch.manual_seed(0)
    X = torch.randn(200, 4)
    y = (X[:, 0] > 0).long()
    net, loss = torch.nn.Linear(4, 2), FocalLoss(gamma=1.0)
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    for _ in range(100):
        optimizer.zero_grad()
        loss(net(X), y).backward()
        optimizer.step()
    accuracy = (net(X).argmax(dim=1) == y).float().mean().item()
    assert np.isclose(accuracy, 1.0, atol=0.05)
