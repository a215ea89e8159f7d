"""Public contracts: checks that a loss or a resampler of your own works with skimb."""

import copy
import pickle
import random

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import get_tags
from torch import nn

from skimb._process import exclusive
from skimb.losses import Loss, RegressionLoss
from skimb.over_sampling import apply_plan

__all__ = ["check_loss", "check_resampler"]

#: Logits beyond which float32 probabilities are exactly 0 or 1.
EXTREME = 1e4


def check_loss(loss, *, n_classes=3):
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
    _ensure(twin.fit(target) is twin, "`fit` must return the loss itself.")
    whole = clone(loss).set_params(reduction="none").fit(target)
    values = whole(outputs, target)
    for reduction in ("mean", "sum"):
        reduced = clone(loss).set_params(reduction=reduction).fit(target)(outputs, target)
        expected = getattr(values, reduction)()
        _ensure(
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
        _ensure(
            torch.allclose(whole(outputs, target, weight), weight * values),
            "Weights must multiply the values of their samples.",
        )
        return whole
    for method in ("effective_logits", "decision_logits"):
        for scale in (1, EXTREME):
            mapped = getattr(whole, method)(outputs * scale)
            _ensure(
                mapped.shape == outputs.shape and bool(torch.isfinite(mapped).all()),
                f"`{method}` must map finite logits to finite logits of the same shape.",
            )
    return whole


def _check_values(loss, logits, target):
    before = logits.clone(), target.clone(), torch.get_rng_state()
    values = loss(logits, target)
    _ensure(
        isinstance(values, torch.Tensor) and values.shape == target.shape,
        f"It must return one value for each sample: for {len(target)} samples it returned "
        f"{tuple(values.shape) if isinstance(values, torch.Tensor) else type(values).__name__}.",
    )
    after = logits, target, torch.get_rng_state()
    _ensure(
        all(torch.equal(old, new) for old, new in zip(before, after, strict=True)),
        "It must not change its input or torch's random generator.",
    )
    if not getattr(loss, "reads_batch", False):
        alone = torch.cat([loss(logits[i : i + 1], target[i : i + 1]) for i in range(len(target))])
        _ensure(
            torch.allclose(alone, values),
            "A sample must have the same value alone as in a batch with others.",
        )
    order = torch.randperm(len(target))
    _ensure(
        torch.allclose(loss(logits[order], target[order]), values[order]),
        "Samples in another order must have the same values in that order.",
    )


def _check_gradients(loss, logits, target):
    leaf = logits.clone().requires_grad_(True)
    _ensure(
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
            _ensure(
                bool(torch.isfinite(values).all() and torch.isfinite(gradient).all()),
                f"Values and gradients must be finite at an output of {size:g} in {dtype}.",
            )


#: Shapes and dtypes of the images that a resampler is tried with.
FORMS = [
    ((6, 5), np.uint8),
    ((6, 5, 3), np.uint8),
    ((3, 6, 5), np.float32),
    ((4, 4), np.float64),
]


def check_resampler(sampler):
    """Check that a resampler meets the contract of `CNNClassifier`, Pipelines and `apply_plan`.

    The resampler must take images of three and four dimensions, keep their dtype and the type of
    the labels, and not change its input or the global random generators; equal seeds must give
    equal samples. It must return as many samples of each class as its strategy requires. If it has
    ``sample_indices_``, the chosen samples must equal those of X to the bit. If it has ``parents_``
    and ``gaps_``, the originals must come first, and both parents of a synthetic sample must be of
    its class. Labels of another length must be refused. It must be cloneable, and picklable after
    a fit.

    A resampler whose tags have `regressor_tags` gets a continuous target instead of labels. The
    targets that it returns must be finite, of the same dtype as y (integers become float64 where
    samples are synthetic), and follow its plan: the chosen samples (not necessarily all of X) come
    first, with their targets, and the target of a synthetic sample is interpolated between its
    parents as the sample is. If it has ``bumps_`` (a frame with ``low``, ``high`` and ``after``,
    one line for each range of the target), each range must have ``after`` samples, and both parents
    of a sample must be in one range.

    Run imbalanced-learn's checks too (`imblearn.utils.estimator_checks.parametrize_with_checks`);
    for continuous targets, run scikit-learn's.

    Parameters
    ----------
    sampler : sampler
        The resampler, which is cloned. Its parameter ``random_state``, if it has one, is set.

    Raises
    ------
    AssertionError
        If the contract is broken; the message names the first promise that does not hold.

    Examples
    --------
    >>> from skimb.over_sampling import SMOTE
    >>> from skimb.testing import check_resampler
    >>> check_resampler(SMOTE())
    >>> check_resampler(SMOTE(embedder=3))
    Traceback (most recent call last):
    ...
    AssertionError: It must resample uint8 images of shape (60, 6, 5). It failed: ...
    """
    rng = np.random.RandomState(0)
    y = np.array(["few", "many"])[rng.permutation(np.repeat([0, 1], [18, 42]))]
    is_rare, check = y == "few", _check_resampled_classes
    if get_tags(sampler).regressor_tags is not None:
        # The target is rare at both ends, with 15 samples each by the box plot.
        y = rng.permutation(np.sinh(np.linspace(-4, 4, 90)))
        is_rare, check = np.abs(y) > np.median(np.abs(y)), _check_resampled_values
    for shape, dtype in FORMS:
        # Rare samples are brighter: samplers that remove overlapping samples must keep some.
        bright = 25 * is_rare.reshape(-1, *[1] * len(shape))
        X = (rng.randint(0, 231, size=(len(y), *shape)) + bright).astype(dtype)
        try:
            check(sampler, X, y)
        except (AttributeError, IndexError, TypeError, ValueError) as exc:
            raise AssertionError(
                f"It must resample {np.dtype(dtype)} images of shape {X.shape}. It failed: {exc}"
            ) from exc
    try:
        clone(sampler).fit_resample(X, y[:-1])
    except ValueError:
        return
    raise AssertionError("Labels of another length than X must raise a ValueError.")


def _resampled(sampler, X, y):
    """Check the promises for any kind of target; return the fitted sampler, samples and targets."""
    fitted = clone(sampler)
    seeded = "random_state" in fitted.get_params()
    if seeded:
        fitted.set_params(random_state=0)
    before = X.copy(), y.copy()
    state = _generators()
    X_resampled, y_resampled = fitted.fit_resample(X, y)
    rows, targets = np.asarray(X_resampled), np.asarray(y_resampled)
    _ensure(
        _generators() == state,
        "It must not change the global generators of Python, numpy and torch.",
    )
    _ensure(
        np.array_equal(before[0], X) and np.array_equal(before[1], y),
        "It must not change its input.",
    )
    _ensure(
        rows.shape[1:] == X.shape[1:] and rows.dtype == X.dtype and len(rows) == len(targets),
        f"It must return samples of shape {X.shape[1:]} and dtype {X.dtype}, and a label for each. "
        f"It returned an array of shape {rows.shape} and dtype {rows.dtype}, and {len(targets)} "
        "labels.",
    )
    if seeded:
        again, targets_again = clone(fitted).fit_resample(X, y)
        _ensure(
            np.array_equal(again, rows) and np.array_equal(targets_again, targets),
            "Equal seeds must give equal samples.",
        )
    pickle.loads(pickle.dumps(fitted))
    return fitted, rows, targets


def _check_resampled_classes(sampler, X, y):
    fitted, rows, labels = _resampled(sampler, X, y)
    _ensure(
        labels.dtype.kind == y.dtype.kind and set(labels) == set(y),
        "It must return labels of the same type as y, and keep every class.",
    )
    _check_counts(fitted, y, labels)
    _check_plan(fitted, X, rows, is_same=lambda indices: y[indices] == labels)
    if hasattr(fitted, "parents_") and hasattr(fitted, "sample_indices_"):
        made = slice(len(X), None)
        _ensure(
            np.array_equal(fitted.sample_indices_[: len(X)], np.arange(len(X)))
            and bool(np.all(y[fitted.parents_] == labels[made, None])),
            "The originals must come first, then synthetic samples, whose two parents are of their "
            "class.",
        )


def _check_resampled_values(sampler, X, y):
    fitted, rows, values = _resampled(sampler, X, y)
    makes_rows = hasattr(fitted, "parents_")
    _ensure(
        values.dtype == y.dtype and bool(np.isfinite(values).all()),
        f"It must return finite targets of the same dtype as y, {y.dtype}.",
    )
    _, integers = clone(fitted).fit_resample(X, np.rint(y).astype(np.int32))
    _ensure(
        integers.dtype == (np.float64 if makes_rows else np.int32),
        "Targets that are integers must stay integers if all samples are chosen, and become "
        f"float64 if some are synthetic. They became {integers.dtype}.",
    )
    indices, bumps = (getattr(fitted, name, None) for name in ("sample_indices_", "bumps_"))
    if indices is None:
        return
    n_chosen = len(rows) - (len(fitted.parents_) if makes_rows else 0)
    _check_plan(fitted, X, rows, is_same=lambda indices: (y[indices] == values)[:n_chosen])
    if makes_rows:
        between = np.append(np.full(n_chosen, False), np.ptp(fitted.parents_, axis=1) > 0)
        _ensure(
            np.allclose(apply_plan(fitted, y)[between], values[between]),
            "The target of a synthetic sample must be interpolated between its parents as the "
            "sample is.",
        )
    if bumps is None:
        return
    found = np.searchsorted(bumps["high"], y[indices])
    for b, (low, high, wanted) in enumerate(bumps[["low", "high", "after"]].to_numpy()):
        n_samples = int(np.sum(found == b))
        _ensure(
            n_samples == wanted,
            f"Its `bumps_` requires {wanted:g} samples of y from {low:g} to {high:g}; it returned "
            f"{n_samples}.",
        )
    if makes_rows:
        of_parents = np.searchsorted(bumps["high"], y[fitted.parents_])
        _ensure(
            np.array_equal(*of_parents.T),
            "The two parents of a sample must be in one range of `bumps_`.",
        )


def _generators():
    """Return the state of all global generators."""
    return pickle.dumps((random.getstate(), np.random.get_state(), torch.get_rng_state().numpy()))


def _check_counts(fitted, y, labels):
    """Check the number of samples of each class, where the strategy determines it."""
    strategy = getattr(fitted, "sampling_strategy_", {})
    kind = getattr(fitted, "_sampling_type", None)
    for label in np.unique(y).tolist():
        n_samples, n_before = int((labels == label).sum()), int((y == label).sum())
        wanted = n_samples
        if kind == "over-sampling":
            wanted = n_before + strategy.get(label, 0)
        elif kind == "under-sampling":
            wanted = strategy.get(label, n_before)
        _ensure(
            n_samples == wanted,
            f"Its `sampling_strategy_` requires {wanted} samples of {label!r}; it returned "
            f"{n_samples}.",
        )


def _check_plan(fitted, X, rows, *, is_same):
    """Check the origin of the samples, as the attributes of the sampler state it.

    ``is_same`` tells which samples have the same target as the samples of X at given indices.
    """
    indices, parents = (getattr(fitted, name, None) for name in ("sample_indices_", "parents_"))
    if indices is None:
        return
    gaps = getattr(fitted, "gaps_", None)
    _ensure(
        len(indices) == len(rows) and bool(np.all(is_same(indices))),
        "`sample_indices_` must name, for each returned sample, a sample of X with the same class "
        "or target.",
    )
    n_made = 0 if parents is None else len(parents)
    n_chosen = len(rows) - n_made
    _ensure(
        np.array_equal(X[indices[:n_chosen]], rows[:n_chosen]),
        "Chosen samples must equal the samples of X at `sample_indices_`, to the bit.",
    )
    if parents is None:
        return
    _ensure(
        parents.shape == (n_made, 2)
        and gaps is not None
        and np.shape(gaps) == (n_made,)
        and bool(np.all((gaps >= 0) & (gaps <= 1))),
        "`parents_` must have shape (m, 2), and `gaps_` shape (m,) and values in [0, 1].",
    )
    _ensure(
        np.array_equal(indices[n_chosen:], parents[:, 0]),
        "`sample_indices_` must end with the first parent of each synthetic sample.",
    )
    numbers = np.arange(float(len(X)))
    followed = apply_plan(fitted, numbers)
    first, second = numbers[parents.T]
    _ensure(
        np.allclose(followed, np.append(indices[:n_chosen], first + gaps * (second - first))),
        "`apply_plan` must interpolate a further array as the samples are.",
    )


def _ensure(holds, promise):
    if not holds:
        raise AssertionError(promise)
