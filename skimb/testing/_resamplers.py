"""check_resampler: a resampler meets the contract of estimators, Pipelines and plans."""

import pickle
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import get_tags

from skimb._messages import shown
from skimb.over_sampling import apply_plan
from skimb.testing._promises import ensure, random_generators

__all__ = ["check_resampler"]

#: Shapes and dtypes of the images that a resampler is tried with.
FORMS = [
    ((6, 5), np.uint8),
    ((6, 5, 3), np.uint8),
    ((3, 6, 5), np.float32),
    ((4, 4), np.float64),
]


def check_resampler(sampler: Any) -> None:
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
    state = random_generators()
    X_resampled, y_resampled = fitted.fit_resample(X, y)
    rows, targets = np.asarray(X_resampled), np.asarray(y_resampled)
    ensure(
        random_generators() == state,
        "It must not change the global generators of Python, numpy and torch.",
    )
    ensure(
        np.array_equal(before[0], X) and np.array_equal(before[1], y),
        "It must not change its input.",
    )
    ensure(
        rows.shape[1:] == X.shape[1:] and rows.dtype == X.dtype and len(rows) == len(targets),
        f"It must return samples of shape {X.shape[1:]} and dtype {X.dtype}, and a label for each. "
        f"It returned an array of shape {rows.shape} and dtype {rows.dtype}, and {len(targets)} "
        "labels.",
    )
    if seeded:
        again, targets_again = clone(fitted).fit_resample(X, y)
        ensure(
            np.array_equal(again, rows) and np.array_equal(targets_again, targets),
            "Equal seeds must give equal samples.",
        )
    pickle.loads(pickle.dumps(fitted))
    return fitted, rows, targets


def _check_resampled_classes(sampler, X, y):
    fitted, rows, labels = _resampled(sampler, X, y)
    ensure(
        labels.dtype.kind == y.dtype.kind and set(labels) == set(y),
        "It must return labels of the same type as y, and keep every class.",
    )
    _check_counts(fitted, y, labels)
    _check_plan(fitted, X, rows, is_same=lambda indices: y[indices] == labels)
    if hasattr(fitted, "parents_") and hasattr(fitted, "sample_indices_"):
        made = slice(len(X), None)
        ensure(
            np.array_equal(fitted.sample_indices_[: len(X)], np.arange(len(X)))
            and bool(np.all(y[fitted.parents_] == labels[made, None])),
            "The originals must come first, then synthetic samples, whose two parents are of their "
            "class.",
        )


def _check_resampled_values(sampler, X, y):
    fitted, rows, values = _resampled(sampler, X, y)
    makes_rows = hasattr(fitted, "parents_")
    ensure(
        values.dtype == y.dtype and bool(np.isfinite(values).all()),
        f"It must return finite targets of the same dtype as y, {y.dtype}.",
    )
    _, integers = clone(fitted).fit_resample(X, np.rint(y).astype(np.int32))
    ensure(
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
        ensure(
            np.allclose(apply_plan(fitted, y)[between], values[between]),
            "The target of a synthetic sample must be interpolated between its parents as the "
            "sample is.",
        )
    if bumps is None:
        return
    found = np.searchsorted(bumps["high"], y[indices])
    for b, (low, high, wanted) in enumerate(bumps[["low", "high", "after"]].to_numpy()):
        n_samples = int(np.sum(found == b))
        ensure(
            n_samples == wanted,
            f"Its `bumps_` requires {wanted:g} samples of y from {low:g} to {high:g}; it returned "
            f"{n_samples}.",
        )
    if makes_rows:
        of_parents = np.searchsorted(bumps["high"], y[fitted.parents_])
        ensure(
            np.array_equal(*of_parents.T),
            "The two parents of a sample must be in one range of `bumps_`.",
        )


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
        ensure(
            n_samples == wanted,
            f"Its `sampling_strategy_` requires {wanted} samples of {shown(label)}; it returned "
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
    ensure(
        len(indices) == len(rows) and bool(np.all(is_same(indices))),
        "`sample_indices_` must name, for each returned sample, a sample of X with the same class "
        "or target.",
    )
    n_made = 0 if parents is None else len(parents)
    n_chosen = len(rows) - n_made
    ensure(
        np.array_equal(X[indices[:n_chosen]], rows[:n_chosen]),
        "Chosen samples must equal the samples of X at `sample_indices_`, to the bit.",
    )
    if parents is None:
        return
    ensure(
        parents.shape == (n_made, 2)
        and gaps is not None
        and np.shape(gaps) == (n_made,)
        and bool(np.all((gaps >= 0) & (gaps <= 1))),
        "`parents_` must have shape (m, 2), and `gaps_` shape (m,) and values in [0, 1].",
    )
    ensure(
        np.array_equal(indices[n_chosen:], parents[:, 0]),
        "`sample_indices_` must end with the first parent of each synthetic sample.",
    )
    numbers = np.arange(float(len(X)))
    followed = apply_plan(fitted, numbers)
    first, second = numbers[parents.T]
    ensure(
        np.allclose(followed, np.append(indices[:n_chosen], first + gaps * (second - first))),
        "`apply_plan` must interpolate a further array as the samples are.",
    )
