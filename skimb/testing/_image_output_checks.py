"""Checks of predictions: their shapes, and that they depend on nothing but the sample."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import has_fit_parameter

from skimb.testing._image_check import check
from skimb.testing._image_trial import ARRAYS, FRAMES
from skimb.testing._promises import ensure

__all__ = ["CHECKS"]


@check(
    "Return arrays with one row for each sample of X, in its order: labels of `classes_`, "
    "probabilities with one column for each of them, or finite numbers.",
)
def check_outputs(trial):
    """`fit` returns the estimator, and each method one finite result for each sample."""
    made = trial.new()
    ensure(made.fit(trial.X, trial.y) is made, "`fit` does not return the estimator.")
    found = trial.outputs(made)
    for method, values in found.items():
        ensure(
            len(values) == len(trial.y),
            f"`{method}` returned {len(values)} results for {len(trial.y)} samples.",
        )
        ensure(
            values.dtype.kind not in "fc" or bool(np.isfinite(values).all()),
            f"`{method}` returned values that are not finite.",
        )
    if trial.is_classifier:
        _check_class_outputs(trial, made, found)
    elif "predict" in found:
        values = found["predict"]
        ensure(
            values.shape == trial.y.shape and values.dtype.kind == "f",
            f"`predict` returned shape {values.shape} and dtype {values.dtype}.",
        )
    if "transform" in found and hasattr(made, "get_feature_names_out"):
        n_names, width = len(made.get_feature_names_out()), found["transform"].shape[1]
        ensure(n_names == width, f"There are {n_names} names for {width} features.")


def _check_class_outputs(trial, fitted, found):
    classes = np.unique(trial.y)
    ensure(
        np.array_equal(getattr(fitted, "classes_", []), classes),
        f"`classes_` must hold the sorted labels {classes.tolist()}. It is "
        f"{getattr(fitted, 'classes_', 'missing')}.",
    )
    n_classes = len(classes)
    labels = found["predict"]
    ensure(
        labels.shape == trial.y.shape and set(labels.tolist()) <= set(classes.tolist()),
        f"`predict` must return labels of `classes_`. It returned {labels[:3].tolist()}, ...",
    )
    if "predict_proba" in found:
        probabilities = found["predict_proba"]
        ensure(
            probabilities.shape == (len(labels), n_classes)
            and bool((probabilities >= 0).all())
            and np.allclose(probabilities.sum(axis=1), 1, atol=1e-5),
            "The rows of `predict_proba` must be probabilities of the classes, whose sum is 1. Its "
            f"shape is {probabilities.shape}, and the first row {probabilities[0].tolist()}.",
        )
    if "decision_function" in found:
        scores = found["decision_function"]
        wanted = (len(labels),) if n_classes == 2 else (len(labels), n_classes)
        ensure(
            scores.shape == wanted,
            f"`decision_function` must have shape {wanted}. It has {scores.shape}.",
        )


@check(
    "Set `n_features_in_`, `image_shape_` and `feature_names_in_` in `fit`; "
    "sklearn.utils.validation.validate_data sets the first and the last.",
)
def check_attributes(trial):
    """Where the estimator tells the form of X, it tells it correctly.

    `n_features_in_` is C * H * W for arrays, 1 for paths, and the number of columns for frames;
    `image_shape_` is (C, H, W); `feature_names_in_` are the columns of a frame, and needed where
    there are several.
    """
    fitted = trial.fitted()
    height, width = trial.image_size
    shape = (3 if trial.form in ("4d", "4d_first") else 1, height, width)
    if hasattr(fitted, "image_shape_"):
        came = tuple(int(side) for side in fitted.image_shape_)
        ensure(came == shape, f"`image_shape_` is {came}, not (C, H, W) = {shape}.")
    n_columns = trial.X.shape[1] if trial.form in FRAMES else 1
    if hasattr(fitted, "n_features_in_"):
        n_features = int(np.prod(shape)) if trial.form in ARRAYS else n_columns
        ensure(
            fitted.n_features_in_ == n_features,
            f"`n_features_in_` is {fitted.n_features_in_}, not {n_features}.",
        )
    has_names = hasattr(fitted, "feature_names_in_")
    if trial.form not in FRAMES:
        ensure(not has_names, "`feature_names_in_` is set, but X has no columns with names.")
        return
    ensure(has_names or trial.form != "mixed", "`feature_names_in_` is missing.")
    if has_names:
        names, columns = list(fitted.feature_names_in_), list(trial.X.columns)
        ensure(names == columns, f"`feature_names_in_` is {names}, but the columns are {columns}.")


@check(
    "Encode the labels with numpy.unique(y, return_inverse=True), keep `classes_` as it comes, and "
    "let `predict` return `self.classes_[indices]`.",
    once=True,
    needs=("classifier", "deterministic"),
)
def check_label_kinds(trial):
    """Labels may be strings, any integers or booleans, in an array, list or Series.

    They come back as they were, and only their order counts.
    """
    codes = trial.codes
    wanted = _by_index(trial, trial.fitted(y=codes))
    kinds = {
        "strings": np.array(["a", "b", "c"])[codes],
        "an array of objects": np.array(["a", "b", "c"], dtype=object)[codes],
        "integers with gaps": np.array([-5, 3, 70])[codes],
        "a list": np.array(["a", "b", "c"])[codes].tolist(),
        "a Series": pd.Series(codes, index=np.arange(len(codes))[::-1]),
    }
    for kind, y in kinds.items():
        trial.doing = f"labels that are {kind}"
        trial.expect_equal(_by_index(trial, trial.fitted(y=y)), wanted)
    trial.doing = "labels that are booleans"
    of_codes = _by_index(trial, trial.fitted(y=(codes > 0).astype(int)))
    fitted = trial.fitted(y=codes > 0)
    ensure(
        np.asarray(fitted.classes_).dtype.kind == "b" and fitted.predict(trial.X).dtype.kind == "b",
        f"`classes_` is {fitted.classes_}, and `predict` returned {fitted.predict(trial.X).dtype}.",
    )
    trial.expect_equal(_by_index(trial, fitted), of_codes)


def _by_index(trial, fitted):
    """Return the results of all methods, with predicted labels as indices of classes."""
    found = trial.outputs(fitted)
    classes = list(fitted.classes_)
    return {**found, "predict": np.array([classes.index(label) for label in found["predict"]])}


@check(
    "Work on a copy (`X = X - mean` instead of `X -= mean`), and never sort or assign into X, y or "
    "sample_weight.",
)
def check_data_unchanged(trial):
    """`fit` and the methods after it do not change X, y or the sample weights."""
    given = trial.X, trial.y
    if has_fit_parameter(trial.estimator, "sample_weight"):
        given = *given, np.linspace(1, 2, len(trial.y))
    names = dict(zip(("X", "y", "sample_weight"), given, strict=False))
    before = {name: _content(values) for name, values in names.items()}
    fitted = trial.new().fit(**names)
    changed = [name for name, values in names.items() if _content(values) != before[name]]
    ensure(not changed, f"`fit` changed {' and '.join(changed)}.")
    trial.outputs(fitted, names["X"])
    ensure(_content(names["X"]) == before["X"], "A method after `fit` changed X.")


def _content(values):
    """Return all that is in an array, a list or a frame, for a comparison."""
    if hasattr(values, "iloc"):
        return values.dtypes.tolist(), values.index.tolist(), values.astype(str).to_numpy().tolist()
    return values.copy() if isinstance(values, list) else (values.dtype, values.tobytes())


@check(
    "Compute each result from its own sample, and return the results in the order of X. A cache "
    "needs one key for each sample.",
)
def check_order_at_predict(trial):
    """Samples in another order get the same results in that order."""
    fitted = trial.fitted()
    wanted = trial.outputs(fitted)
    for order in (
        np.arange(len(trial.y))[::-1],
        np.random.RandomState(4).permutation(len(trial.y)),
    ):
        found = trial.outputs(fitted, trial.take(trial.X, order))
        trial.expect_equal(found, {method: values[order] for method, values in wanted.items()})


@check(
    "Take means, ranges and other statistics of the data in `fit`, never from the X of `predict`; "
    "a network is in evaluation mode there (`module.eval()`). If sums of different order are the "
    "reason, compute in blocks of one size, or state a `tolerance`.",
)
def check_company_at_predict(trial):
    """A sample gets the same result alone, among others, and when it comes twice."""
    fitted = trial.fitted()
    wanted = trial.outputs(fitted)
    n_samples = len(trial.y)
    companies: dict[str, Any] = {f"sample {i} alone": [i] for i in range(n_samples)}
    companies["the first half of X"] = np.arange(n_samples // 2)
    companies["X with each sample twice"] = np.repeat(np.arange(n_samples), 2)
    for what, indices in companies.items():
        trial.doing = what
        found = trial.outputs(fitted, trial.take(trial.X, indices))
        trial.expect_equal(found, {method: values[indices] for method, values in wanted.items()})


@check(
    "Assign to attributes in `fit` alone; results of other methods stay in local variables.",
)
def check_predict_keeps_state(trial):
    """Predictions for other images, brighter than those of `fit`, do not change later ones."""
    fitted = trial.fitted()
    wanted = trial.outputs(fitted)
    attributes = set(vars(fitted))
    trial.outputs(fitted, trial.bright)
    trial.expect_equal(trial.outputs(fitted), wanted)
    further = sorted(name for name in set(vars(fitted)) - attributes if not name.startswith("_"))
    ensure(not further, f"A method after `fit` set the attributes {further}.")


CHECKS = (
    check_outputs,
    check_attributes,
    check_label_kinds,
    check_data_unchanged,
    check_order_at_predict,
    check_company_at_predict,
    check_predict_keeps_state,
)
