"""Aims of AutoBalance: smooth forms, real measures."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, recall_score

from skimb.model_selection._aims import build_aim

CLASSES = np.arange(3)
COSTS = np.array([[0.0, 1, 2], [5, 0, 1], [20, 3, 0]])


def some_logits(n=60, seed=0, size=1.0):
    rng = np.random.RandomState(seed)
    target = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    target[:3] = CLASSES
    return size * (rng.randn(n, 3) + 2 * np.eye(3)[target]), target


def entropy_of_first(logits, target):
    """A callable of the user: the cross-entropy of the first class."""
    return torch.nn.functional.cross_entropy(logits[target == 0], target[target == 0])


AIMS = {"balanced": "balanced", "worst": "worst", "costs": COSTS, "callable": entropy_of_first}


def test_measures_are_those_of_scikit_learn_and_the_mean_cost():
    logits, target = some_logits()
    decided = logits.argmax(axis=1)
    balanced = build_aim("balanced", CLASSES).measure(logits, target)
    assert balanced == pytest.approx(1 - balanced_accuracy_score(target, decided))
    worst = build_aim("worst", CLASSES).measure(logits, target)
    assert worst == pytest.approx(1 - recall_score(target, decided, average=None).min())
    cost = build_aim(COSTS, CLASSES).measure(logits, target)
    assert cost == pytest.approx(
        np.mean([COSTS[t, d] for t, d in zip(target, decided, strict=True)])
    )


@pytest.mark.parametrize("name", AIMS)
def test_a_weight_is_that_number_of_samples(name):
    logits, target = some_logits()
    weight = np.random.RandomState(1).randint(0, 3, len(target))
    rows = np.repeat(np.arange(len(target)), weight)
    aim = build_aim(AIMS[name], CLASSES)
    assert aim.measure(logits, target, weight) == pytest.approx(
        aim.measure(logits[rows], target[rows])
    )


@pytest.mark.parametrize("name", AIMS)
@pytest.mark.parametrize("size", [1.0, 200.0])
@pytest.mark.parametrize("form", ["surrogate", "decisions"])
def test_gradients_are_those_of_finite_differences_and_stay_finite(name, size, form):
    logits, target = some_logits(size=size)
    aim = build_aim(AIMS[name], CLASSES)
    logits = torch.tensor(logits, requires_grad=True)
    target = torch.tensor(target)
    smooth = getattr(aim, form)
    if size == 1:
        assert torch.autograd.gradcheck(lambda z: smooth(z, target), logits)
    (gradient,) = torch.autograd.grad(smooth(logits, target), logits)
    assert torch.isfinite(gradient).all()


def test_the_worst_class_counts_most_and_the_balanced_aim_ignores_the_counts():
    logits, target = some_logits()
    logits, target = torch.tensor(logits), torch.tensor(target)
    loss = torch.nn.functional.cross_entropy(logits, target, reduction="none")
    means = torch.stack([loss[target == k].mean() for k in range(3)])
    balanced = build_aim("balanced", CLASSES).surrogate(logits, target)
    torch.testing.assert_close(balanced, means.mean())
    worst = build_aim("worst", CLASSES).surrogate(logits, target)
    assert means.mean() < worst <= means.max()
    assert worst > 0.85 * means.max()


@pytest.mark.parametrize("name", ["balanced", "worst", "costs"])
def test_the_smooth_form_of_decisions_becomes_the_measure_where_they_are_sure(name):
    logits, target = some_logits()
    aim = build_aim(AIMS[name], CLASSES)
    smooth = aim.decisions(torch.tensor(1e4 * logits), torch.tensor(target))
    assert float(smooth) == pytest.approx(aim.measure(logits, target), rel=0.15)
    if name != "worst":
        assert float(smooth) == pytest.approx(aim.measure(logits, target))


@pytest.mark.parametrize("name", ["balanced", "worst"])
def test_a_class_without_held_out_samples_is_left_out(name):
    logits, target = some_logits()
    kept = target != 2
    aim = build_aim(name, CLASSES)
    assert np.isfinite(aim.measure(logits[kept], target[kept]))
    assert torch.isfinite(aim.surrogate(torch.tensor(logits[kept]), torch.tensor(target[kept])))


def test_a_loss_of_zero_has_a_finite_gradient():
    logits = torch.tensor([[1e4, 0.0], [0.0, 1e4]], dtype=torch.float64, requires_grad=True)
    value = build_aim("worst", np.arange(2)).surrogate(logits, torch.tensor([0, 1]))
    (gradient,) = torch.autograd.grad(value, logits)
    assert value < 1e-300
    assert torch.isfinite(gradient).all()


def test_what_is_no_aim_is_refused():
    with pytest.raises(ValueError, match="`aim` must be one of"):
        build_aim("accuracy", CLASSES)
    with pytest.raises(ValueError, match="must have shape"):
        build_aim(np.zeros((2, 2)), CLASSES)
    frame = pd.DataFrame(COSTS, CLASSES, CLASSES)[[2, 0, 1]]
    logits, target = some_logits()
    of_array, of_frame = (build_aim(costs, CLASSES) for costs in (COSTS, frame))
    assert of_frame.measure(logits, target) == of_array.measure(logits, target)
    aim = build_aim(lambda logits, target: logits, CLASSES)
    with pytest.raises(ValueError, match="without dimensions"):
        aim.surrogate(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64))
