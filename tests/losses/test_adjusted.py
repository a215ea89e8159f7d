"""Losses by class counts: golden values, special cases, posteriors."""

import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from skimb.losses import (
    BalancedSoftmaxLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    VectorScalingLoss,
    balanced_softmax_loss,
    cross_entropy,
    ldam_loss,
    ldam_margins,
    logit_adjusted_loss,
    vector_scaling_loss,
)

# The setup of the golden values.
LOGITS = torch.tensor(
    [[2, 0.5, -1], [0.1, 1.2, 0.3], [-0.5, 0, 1.5], [1, 1, 1]], dtype=torch.float64
)
COSINES = torch.tensor(
    [[0.8, 0.1, -0.2], [0, 0.6, 0.1], [-0.1, 0.2, 0.5], [0.3, 0.3, 0.3]], dtype=torch.float64
)
TARGET = torch.tensor([0, 1, 2, 2])
COUNTS = torch.tensor([500, 50, 5])
PRIOR = COUNTS.double() / 555
LABELS = torch.repeat_interleave(torch.arange(3), COUNTS)
GOLDEN = {
    "LA tau=1": [0.0225546084, 1.4746183311, 2.8192832352, 4.7095302013],
    "LA tau=1.5": [0.0070806552, 2.4457468822, 4.9655771065, 6.9398572297],
    "CDT gamma=.3": [0.2461966909, 0.7869066275, 0.7429769897, 1.4812655655],
    "VS gamma=.2 tau=1.2": [0.0119959537, 2.2244372112, 4.5387523691, 6.1728838426],
}


def close(values, golden):
    torch.testing.assert_close(values, torch.tensor(golden, dtype=torch.float64))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (LogitAdjustedLoss(), "LA tau=1"),
        (BalancedSoftmaxLoss(), "LA tau=1"),
        (LogitAdjustedLoss(tau=1.5), "LA tau=1.5"),
        (VectorScalingLoss(gamma=0.3, tau=0.0), "CDT gamma=.3"),
        (VectorScalingLoss(gamma=0.2, tau=1.2), "VS gamma=.2 tau=1.2"),
    ],
)
def test_golden(loss, name):
    close(clone(loss).set_params(reduction="none").fit(LABELS)(LOGITS, TARGET), GOLDEN[name])


def test_golden_of_given_numbers():
    """The loss at the start of AutoBalance, with its sigmoid of 1."""
    scales = np.full(3, 1 / (1 + math.exp(-1)))
    start = VectorScalingLoss(multiplier=scales, offset=[0, 0, 0]).fit(LABELS)
    assert start(LOGITS, TARGET).item() == pytest.approx(0.6477914)
    start.set_params(offset=np.log(PRIOR.numpy()))
    assert start(LOGITS, TARGET).item() == pytest.approx(2.44192978)


def test_given_numbers_replace_those_of_the_counts_one_by_one():
    reference = VectorScalingLoss(gamma=0.2, tau=1.2, reduction="none").fit(LABELS)
    terms = {name: value.tolist() for name, value in reference._terms().items()}
    for some in (terms, {"multiplier": terms["multiplier"]}, {"offset": terms["offset"]}):
        loss = VectorScalingLoss(gamma=0.2, tau=1.2, reduction="none", **some).fit(LABELS)
        torch.testing.assert_close(loss(LOGITS, TARGET), reference(LOGITS, TARGET))
        assert clone(loss).get_params() == loss.get_params()
        assert loss.adjusts_prior
    assert not VectorScalingLoss(multiplier=[1, 1, 1], offset=[2, 2, 2]).adjusts_prior
    assert VectorScalingLoss(multiplier=[1, 1, 2], offset=[2, 2, 2]).adjusts_prior


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"multiplier": [1, 2]}, "one positive number for each of the 3 classes"),
        ({"multiplier": [1, 0, 2]}, "`multiplier` must hold one positive number"),
        ({"offset": [1, np.nan, 2]}, "`offset` must hold one finite number"),
    ],
)
def test_numbers_that_do_not_fit_the_classes_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        VectorScalingLoss(**given).fit(LABELS)(LOGITS, TARGET)


def test_golden_means():
    assert VectorScalingLoss().fit(LABELS)(LOGITS, TARGET).item() == pytest.approx(2.8248467124)
    ldam = LDAMLoss().fit(LABELS)(COSINES, TARGET)
    assert ldam.item() == pytest.approx(5.4243060631)


def test_margins_take_a_list_of_positive_counts():
    torch.testing.assert_close(ldam_margins(COUNTS.tolist()), ldam_margins(COUNTS))
    with pytest.raises(ValueError, match="`counts` must be positive"):
        ldam_margins([500, 0, 5])


@pytest.mark.slow
def test_ldam_golden():
    margins = ldam_margins(COUNTS)
    close(margins, [0.158113883, 0.2811706626, 0.5])
    values = ldam_loss(COSINES, TARGET, margins=margins)
    torch.testing.assert_close(
        values,
        torch.tensor([8.71e-08, 0.0014780496, 6.0025987822, 15.6931473335], dtype=torch.float64),
        rtol=1e-6,
        atol=1e-10,
    )


@pytest.mark.slow
def test_special_cases_of_the_general_formula():
    plain = cross_entropy(LOGITS, TARGET)
    ones, zeros = torch.ones(3), torch.zeros(3)
    assert torch.equal(vector_scaling_loss(LOGITS, TARGET), plain)
    assert torch.equal(vector_scaling_loss(LOGITS, TARGET, multiplier=ones, offset=zeros), plain)
    close(logit_adjusted_loss(LOGITS, TARGET, prior=PRIOR, tau=0), plain.tolist())
    adjusted = logit_adjusted_loss(LOGITS, TARGET, prior=PRIOR)
    close(balanced_softmax_loss(LOGITS, TARGET, counts=COUNTS), adjusted.tolist())
    scaled = VectorScalingLoss(gamma=0, reduction="none").fit(LABELS)(LOGITS, TARGET)
    close(scaled, adjusted.tolist())
    no_margin = ldam_loss(COSINES, TARGET, margins=zeros, scale=7.0)
    close(no_margin, cross_entropy(7 * COSINES, TARGET).tolist())


@given(
    rows=st.lists(st.lists(st.floats(-9, 9), min_size=3, max_size=3), min_size=1, max_size=4),
    tau=st.floats(-1, 3),
    gamma=st.floats(0, 1),
)
@pytest.mark.slow
def test_vector_scaling_by_loops(rows, tau, gamma):
    logits = torch.tensor(rows, dtype=torch.float64)
    target = torch.arange(len(rows)) % 3
    loss = VectorScalingLoss(gamma=gamma, tau=tau, reduction="none").fit(LABELS)
    expected = []
    for row, y in zip(rows, target.tolist(), strict=True):
        moved = [
            row[k] * (COUNTS[k].double() / 500) ** gamma + tau * torch.log(PRIOR[k])
            for k in range(3)
        ]
        expected.append((torch.logsumexp(torch.stack(moved), dim=0) - moved[y]).item())
    close(loss(logits, target), expected)


@pytest.mark.parametrize(
    "loss",
    [
        LogitAdjustedLoss(tau=0.7),
        LogitAdjustedLoss(tau=2.0),
        BalancedSoftmaxLoss(),
        VectorScalingLoss(gamma=0.4, tau=1.3),
        VectorScalingLoss(multiplier=[1.2, 0.5, 3.0], offset=[0.0, -1.0, 2.0]),
        LDAMLoss(),
        LDAMLoss(max_margin=0.1, scale=5.0),
        LDAMLoss(max_margin=5.0, scale=40.0),
    ],
)
@pytest.mark.parametrize("spread", [0.1, 1.0, 10.0])
def test_effective_logits_are_the_posterior(loss, spread):
    """At the logits whose effective softmax is eta, the expected loss has no slope."""
    loss = clone(loss).set_params(reduction="none").fit(LABELS)
    logits = (spread * LOGITS[:1]).requires_grad_(True)
    posterior = torch.softmax(loss.effective_logits(logits.detach()), dim=1)[0]
    risk = posterior @ torch.stack([loss(logits, torch.tensor([k]))[0] for k in range(3)])
    (slope,) = torch.autograd.grad(risk, logits)
    assert slope.abs().max() < 1e-12
    if not isinstance(loss, LDAMLoss):
        assert torch.equal(loss.decision_logits(LOGITS), LOGITS)


def test_raw_logits_of_tau_one_speak_for_equal_priors():
    loss = LogitAdjustedLoss().fit(LABELS)
    natural = torch.softmax(loss.effective_logits(LOGITS), dim=1)
    balanced = natural / PRIOR
    torch.testing.assert_close(
        balanced / balanced.sum(dim=1, keepdim=True),
        torch.softmax(loss.decision_logits(LOGITS), dim=1),
    )


def test_ldam_decides_by_scaled_cosines_without_margin():
    loss = LDAMLoss(scale=12.0).fit(LABELS)
    assert torch.equal(loss.decision_logits(COSINES), 12 * COSINES)
    flat = LDAMLoss(max_margin=1e-12, scale=12.0).fit(LABELS)
    torch.testing.assert_close(
        torch.softmax(flat.effective_logits(COSINES), dim=1), torch.softmax(12 * COSINES, dim=1)
    )


def test_the_posterior_of_ldam_golden():
    """Two classes at equal cosines, margins of 0.5 and 1, scale 2: the odds by hand."""
    loss = LDAMLoss(max_margin=1.0, scale=2.0).fit(torch.tensor([0] * 16 + [1]))
    margins = ldam_margins(loss.class_counts(), max_margin=1.0)
    close(margins, [0.5, 1.0])
    effective = loss.effective_logits(torch.zeros(1, 2, dtype=torch.float64))[0]
    odds = (1 + math.exp(-2)) / (1 + math.exp(-1))
    assert (effective[1] - effective[0]).exp().item() == pytest.approx(odds)


@pytest.mark.parametrize(
    "loss", [LogitAdjustedLoss(), BalancedSoftmaxLoss(), VectorScalingLoss(), LDAMLoss()]
)
def test_counts_come_from_fit_and_travel_with_the_loss(loss):
    with pytest.raises(ValueError, match=rf"{type(loss).__name__}.fit\(y\)"):
        clone(loss)(LOGITS, TARGET)
    seen = clone(loss).fit(LABELS.numpy())
    assert seen.class_counts().tolist() == COUNTS.tolist()
    restored = pickle.loads(pickle.dumps(seen))
    assert torch.equal(restored(LOGITS, TARGET), seen(LOGITS, TARGET))
    assert "counts_" in seen.state_dict()
    assert clone(seen).counts_ is None
    # In the dtype of the logits, as a training step wants it.
    assert seen(LOGITS.float(), TARGET).dtype == torch.float32


def test_a_class_without_rows_does_not_break_the_logarithm():
    loss = LogitAdjustedLoss(reduction="none").fit([0, 0, 2])
    assert loss.class_counts().tolist() == [2, 1, 1]
    assert torch.isfinite(loss(LOGITS, TARGET)).all()


@pytest.mark.parametrize(
    ("function", "params", "message"),
    [
        (logit_adjusted_loss, {"prior": torch.tensor([0.5, 0.5, 0.0])}, "`prior` must be positive"),
        (logit_adjusted_loss, {"prior": torch.tensor([0.5, 0.5])}, "one value per class"),
        (balanced_softmax_loss, {"counts": torch.tensor([5, -1, 2])}, "`counts` must be positive"),
        (vector_scaling_loss, {"multiplier": torch.ones(4)}, "`multiplier` must hold one value"),
        (vector_scaling_loss, {"offset": torch.ones(3, 1)}, "`offset` must hold one value"),
        (ldam_loss, {"margins": torch.ones(2)}, "`margins` must hold one value"),
    ],
)
def test_statistics_that_do_not_fit_are_refused(function, params, message):
    with pytest.raises(ValueError, match=message):
        function(LOGITS, TARGET, **params)


def test_counts_may_be_given_in_place_of_labels():
    class Own(LogitAdjustedLoss):
        def fit(self, y):
            super().fit(y)
            self.n_samples = len(y)
            return self

    counts = [3, 0, 2]
    labels = LogitAdjustedLoss().fit([0, 0, 0, 2, 2])
    assert torch.equal(LogitAdjustedLoss().fit_counts(counts).counts_, labels.counts_)
    own = Own().fit_counts(counts)
    assert own.n_samples == 5
    assert torch.equal(own.counts_, labels.counts_)
