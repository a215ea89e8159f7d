"""check_loss: a loss meets the contract of the estimators and of an ordinary PyTorch loop."""

import copy
from typing import Any

import torch
from sklearn.base import clone
from torch import nn

from skimb._process import exclusive
from skimb.losses import Loss, RegressionLoss
from skimb.testing._promises import ensure

__all__ = ["check_loss"]

#: Logits beyond which float32 probabilities are exactly 0 or 1.
EXTREME = 1e4


def check_loss(loss: Any, *, n_classes: int = 3) -> None:
    """Check that a loss meets the contract of the estimators and of an ordinary PyTorch loop.

    The loss must return one value for each sample, which does not depend on the other samples or
    on their order. Its gradient must be the gradient of its value, and finite even where float32
    probabilities are exactly 0 or 1, or a prediction is far off. It must not change its input or
    torch's random generator. A `Loss` must also be cloneable, fit on labels, apply its `reduction`,
    refuse targets that would broadcast, and map finite logits to finite logits. A `RegressionLoss`
    is tried with predictions and values, and with weights; if its ``reads_batch`` is true, its
    values may depend on the other samples, but not on their order.

    Parameters
    ----------
    loss : callable
        A function of ``(logits, target)`` that returns one value for each sample: a `Loss`, an
        ``nn.Module`` or a function; or a `RegressionLoss`. It is not changed.
    n_classes : int, default=3
        Number of classes to try the loss with, at least 2.

    Raises
    ------
    AssertionError
        If the contract is broken; the message names the first promise that does not hold.

    Examples
    --------
    >>> from skimb.losses import FocalLoss
    >>> from skimb.testing import check_loss
    >>> check_loss(FocalLoss(gamma=0.5))
    >>> check_loss(lambda logits, target: logits.mean())
    Traceback (most recent call last):
    ...
    AssertionError: It must return one value for each sample: for 12 samples it returned ().
    """
    is_regression = isinstance(loss, RegressionLoss)
    with exclusive(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        n_samples = 4 * n_classes
        outputs = torch.randn(n_samples, n_classes, dtype=torch.float64).tanh()
        target = torch.arange(n_samples) % n_classes
        kind = "logits of shape (n, n_classes) and integer class indices"
        if is_regression:
            outputs, target = 2 * outputs[:, 0], outputs[:, 1]
            kind = "predictions and float targets"
        try:
            if isinstance(loss, Loss | RegressionLoss):
                loss = _check_loss_object(loss, outputs, target)
            loss = copy.deepcopy(loss)
            if isinstance(loss, nn.Module) and hasattr(loss, "reduction"):
                setattr(loss, "reduction", "none")  # noqa: B010 - torch's stubs know no str here
            _check_values(_in_dtype(loss, outputs.dtype), outputs, target)
            _check_gradients(loss, outputs, target)
        except (RuntimeError, TypeError, IndexError) as exc:
            raise AssertionError(f"It must take {kind} of shape (n,). It failed: {exc}") from exc


def _in_dtype(loss, dtype):
    """Return a loss whose own tensors, if it has any, have the dtype of the logits."""
    return copy.deepcopy(loss).to(dtype) if isinstance(loss, nn.Module) else loss


def _check_loss_object(loss, outputs, target):
    """Check the promises of a loss of skimb apart from its values; return it fitted, unreduced."""
    try:
        twin = clone(loss)
    except (RuntimeError, TypeError, AttributeError) as exc:
        raise AssertionError(f"It must be cloneable by sklearn.base.clone: {exc}") from exc
    ensure(twin.fit(target) is twin, "`fit` must return the loss itself.")
    whole = clone(loss).set_params(reduction="none").fit(target)
    values = whole(outputs, target)
    for reduction in ("mean", "sum"):
        reduced = clone(loss).set_params(reduction=reduction).fit(target)(outputs, target)
        expected = getattr(values, reduction)()
        ensure(
            reduced.shape == () and torch.allclose(reduced, expected),
            f"reduction={reduction!r} must return the {reduction} of the values of "
            "reduction='none'.",
        )
    is_regression = isinstance(loss, RegressionLoss)
    retyped = (target * 9).long() if is_regression else target.double()
    for wrong in (target[:, None], retyped, target[:-1]):
        try:
            whole(outputs, wrong)
        except ValueError:
            continue
        raise AssertionError(
            f"Targets of shape {tuple(wrong.shape)} and type {wrong.dtype} must raise a ValueError."
        )
    if is_regression:
        weight = torch.linspace(0, 2, len(target), dtype=values.dtype)
        ensure(
            torch.allclose(whole(outputs, target, weight), weight * values),
            "Weights must multiply the values of their samples.",
        )
        return whole
    for method in ("effective_logits", "decision_logits"):
        for scale in (1, EXTREME):
            mapped = getattr(whole, method)(outputs * scale)
            ensure(
                mapped.shape == outputs.shape and bool(torch.isfinite(mapped).all()),
                f"`{method}` must map finite logits to finite logits of the same shape.",
            )
    return whole


def _check_values(loss, logits, target):
    before = logits.clone(), target.clone(), torch.get_rng_state()
    values = loss(logits, target)
    ensure(
        isinstance(values, torch.Tensor) and values.shape == target.shape,
        f"It must return one value for each sample: for {len(target)} samples it returned "
        f"{tuple(values.shape) if isinstance(values, torch.Tensor) else type(values).__name__}.",
    )
    after = logits, target, torch.get_rng_state()
    ensure(
        all(torch.equal(old, new) for old, new in zip(before, after, strict=True)),
        "It must not change its input or torch's random generator.",
    )
    if not getattr(loss, "reads_batch", False):
        alone = torch.cat([loss(logits[i : i + 1], target[i : i + 1]) for i in range(len(target))])
        ensure(
            torch.allclose(alone, values),
            "A sample must have the same value alone as in a batch with others.",
        )
    order = torch.randperm(len(target))
    ensure(
        torch.allclose(loss(logits[order], target[order]), values[order]),
        "Samples in another order must have the same values in that order.",
    )


def _check_gradients(loss, logits, target):
    leaf = logits.clone().requires_grad_(True)
    ensure(
        torch.autograd.gradcheck(
            lambda z: _in_dtype(loss, z.dtype)(z, target), leaf, raise_exception=False
        ),
        "Its gradient must be the gradient of its value, as finite differences show it.",
    )
    for dtype in (torch.float32, torch.float64):
        for size in (EXTREME, -EXTREME):
            extreme = torch.zeros(logits.shape, dtype=dtype)
            extreme[(slice(None), 0) if logits.ndim == 2 else slice(0, 1)] = size
            extreme.requires_grad_(True)
            wanted = target.to(dtype) if target.is_floating_point() else target
            values = _in_dtype(loss, dtype)(extreme, wanted)
            (gradient,) = torch.autograd.grad(values.sum(), extreme)
            ensure(
                bool(torch.isfinite(values).all() and torch.isfinite(gradient).all()),
                f"Values and gradients must be finite at an output of {size:g} in {dtype}.",
            )
