"""Public contracts: checks that a part made elsewhere fits into skimb."""

import copy

import torch
from sklearn.base import clone
from torch import nn

from skimb.losses import Loss

__all__ = ["check_loss"]

#: Logits beyond which float32 probabilities are exactly 0 or 1.
EXTREME = 1e4


def check_loss(loss, *, n_classes=3):
    """Check that a loss does what `CNNClassifier` and a plain PyTorch loop rely on.

    It gives one value a row, which neither the other rows nor their order change; its gradient is
    that of its value, and finite even where float32 probabilities are exactly 0 or 1; it leaves
    its input and torch's generator alone. A `Loss` also clones, fits on labels, reduces as it
    says, refuses targets that would broadcast, and maps logits to finite ones.

    Parameters
    ----------
    loss : callable
        ``(logits, target)`` to one value a row; a `Loss`, an ``nn.Module`` or a function. It is
        left as it is.
    n_classes : int, default=3
        Classes to try it with, at least 2.

    Raises
    ------
    AssertionError
        With the first promise that does not hold.

    Examples
    --------
    >>> from skimb.losses import FocalLoss
    >>> from skimb.testing import check_loss
    >>> check_loss(FocalLoss(gamma=0.5))
    >>> check_loss(lambda logits, target: logits.mean())
    Traceback (most recent call last):
    ...
    AssertionError: It must give one value a row: for 12 rows it gave ().
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        logits = torch.randn(4 * n_classes, n_classes, dtype=torch.float64).tanh()
        target = torch.arange(4 * n_classes) % n_classes
        try:
            if isinstance(loss, Loss):
                loss = _check_loss_object(loss, logits, target)
            loss = copy.deepcopy(loss)
            if isinstance(loss, nn.Module) and hasattr(loss, "reduction"):
                setattr(loss, "reduction", "none")  # noqa: B010 - torch's stubs know no str here
            _check_rows(_in_dtype(loss, logits.dtype), logits, target)
            _check_gradients(loss, logits, target)
        except (RuntimeError, TypeError, IndexError) as exc:
            raise AssertionError(
                f"It must take logits of shape (n, n_classes) and integer class indices of shape "
                f"(n,). It failed: {exc}"
            ) from exc


def _in_dtype(loss, dtype):
    """Return a loss whose own tensors, if it has any, have the dtype of the logits."""
    return copy.deepcopy(loss).to(dtype) if isinstance(loss, nn.Module) else loss


def _check_loss_object(loss, logits, target):
    """Check what a `Loss` promises beside its values; return a fitted one without reduction."""
    try:
        twin = clone(loss)
    except (RuntimeError, TypeError, AttributeError) as exc:
        raise AssertionError(f"It must clone: {exc}") from exc
    _ensure(twin.fit(target) is twin, "`fit` must return the loss itself.")
    whole = clone(loss).set_params(reduction="none").fit(target)
    values = whole(logits, target)
    for reduction in ("mean", "sum"):
        reduced = clone(loss).set_params(reduction=reduction).fit(target)(logits, target)
        expected = getattr(values, reduction)()
        _ensure(
            reduced.shape == () and torch.allclose(reduced, expected),
            f"reduction={reduction!r} must be the {reduction} of the values of reduction='none'.",
        )
    for wrong in (target[:, None], target.double(), target[:-1]):
        try:
            whole(logits, wrong)
        except ValueError:
            continue
        raise AssertionError(
            f"Targets of shape {tuple(wrong.shape)} and type {wrong.dtype} must be a ValueError."
        )
    for method in ("effective_logits", "decision_logits"):
        for scale in (1, EXTREME):
            mapped = getattr(whole, method)(logits * scale)
            _ensure(
                mapped.shape == logits.shape and bool(torch.isfinite(mapped).all()),
                f"`{method}` must map logits to finite ones of the same shape.",
            )
    return whole


def _check_rows(loss, logits, target):
    before = logits.clone(), target.clone(), torch.get_rng_state()
    values = loss(logits, target)
    _ensure(
        isinstance(values, torch.Tensor) and values.shape == target.shape,
        f"It must give one value a row: for {len(target)} rows it gave "
        f"{tuple(values.shape) if isinstance(values, torch.Tensor) else type(values).__name__}.",
    )
    after = logits, target, torch.get_rng_state()
    _ensure(
        all(torch.equal(old, new) for old, new in zip(before, after, strict=True)),
        "It must leave its input and torch's generator as they were.",
    )
    alone = torch.cat([loss(logits[i : i + 1], target[i : i + 1]) for i in range(len(target))])
    _ensure(torch.allclose(alone, values), "A row must have the same value alone as among others.")
    order = torch.randperm(len(target))
    _ensure(
        torch.allclose(loss(logits[order], target[order]), values[order]),
        "Rows in another order must have the same values in that order.",
    )


def _check_gradients(loss, logits, target):
    leaf = logits.clone().requires_grad_(True)
    _ensure(
        torch.autograd.gradcheck(
            lambda z: _in_dtype(loss, z.dtype)(z, target), leaf, raise_exception=False
        ),
        "Its gradient must be that of its value, by finite differences.",
    )
    for dtype in (torch.float32, torch.float64):
        for size in (EXTREME, -EXTREME):
            extreme = torch.zeros(logits.shape, dtype=dtype)
            extreme[:, 0] = size
            extreme.requires_grad_(True)
            values = _in_dtype(loss, dtype)(extreme, target)
            (gradient,) = torch.autograd.grad(values.sum(), extreme)
            _ensure(
                bool(torch.isfinite(values).all() and torch.isfinite(gradient).all()),
                f"Values and gradients must be finite at a logit of {size:g} in {dtype}.",
            )


def _ensure(holds, promise):
    if not holds:
        raise AssertionError(promise)
