"""Checks of bad input: each is refused before any work, and changes nothing."""

import numpy as np

from skimb.testing._image_check import check
from skimb.testing._image_trial import ARRAYS, FILES, METHODS, REFUSALS
from skimb.testing._promises import ensure

__all__ = ["CHECKS"]

CHECK_ARRAY = "sklearn.utils.validation.validate_data(self, X, y, ensure_2d=False, allow_nd=True) "


@check(
    "Raise a ValueError in `fit` unless X has the number of dimensions that you read, and tell the "
    "shape that came.",
    forms=ARRAYS,
    once=True,
)
def check_wrong_dimensions(trial):
    """`fit` refuses arrays that are no set of images: numbers, and arrays of five dimensions."""
    X, y = trial.X, trial.y
    for bad in (np.float32(3), np.linspace(0, 1, len(y)), X.reshape(len(X), 1, 1, -1, 1)):
        trial.expect_refused(lambda bad=bad: trial.fitted(bad, y), f"`fit` with shape {bad.shape}")


@check(
    "Keep the shape of an image in `fit` (`image_shape_`), and raise a ValueError that names both "
    "shapes if another one comes.",
    forms=ARRAYS,
)
def check_other_shape_at_predict(trial):
    """Arrays of another height or width than in `fit` are refused, and so is one image alone.

    Files may be resized.
    """
    fitted = trial.fitted()
    height, width = trial.image_size
    for size in ((height + 1, width), (height, width + 1), (height, width - 1)):
        bad = trial.in_form(trial.pixels(size=size))
        trial.refuses_at_predict(fitted, bad, f"X of shape {bad.shape} after {trial.X.shape}")
    bad = trial.X[0]
    trial.refuses_at_predict(fitted, bad, f"one image of shape {bad.shape}")


@check(
    "Compare the number of channels with that of `fit`, before numpy's broadcasting hides the "
    "difference.",
    forms=ARRAYS,
)
def check_other_channels_at_predict(trial):
    """Images with another number of channels than in `fit` are refused."""
    fitted = trial.fitted()
    is_grey = trial.form == "3d"
    for n_channels in (3, 4) if is_grey else (1, 4, 0):
        bad = trial.pixels(n_channels=n_channels)
        if trial.form == "4d_first" and n_channels:
            bad = np.moveaxis(bad, -1, 1)
        trial.refuses_at_predict(fitted, bad, f"X of shape {bad.shape} after {trial.X.shape}")


@check(
    CHECK_ARRAY + "refuses them.",
    forms=ARRAYS,
)
def check_wrong_dtype(trial):
    """Arrays of words, of objects that are no numbers, and of complex numbers are refused."""
    X, y = trial.X, trial.y
    fitted = trial.fitted()
    words = np.full(X.shape, "bright")
    objects = X.astype(object)
    objects.flat[0] = {"pixel": 3}
    for what, bad in {
        "words": words,
        "a dict among numbers": objects,
        "complex numbers": X + 1j,
    }.items():
        trial.expect_refused(lambda bad=bad: trial.fitted(bad, y), f"`fit` with {what}")
        trial.refuses_at_predict(fitted, bad, what)


@check(
    CHECK_ARRAY + "refuses them; an estimator that reads missing pixels has the tag "
    "`input_tags.allow_nan`.",
    forms=ARRAYS,
    needs=("finite",),
)
def check_not_finite(trial):
    """Pixels that are NaN or infinite are refused, at `fit` and after it."""
    X = trial.X.astype(np.float32)
    fitted = trial.fitted(X)
    for value in (np.nan, np.inf, -np.inf):
        bad = X.copy()
        bad[3, 2, 1] = value
        trial.expect_refused(lambda bad=bad: trial.fitted(bad), f"`fit` with {value}")
        trial.refuses_at_predict(fitted, bad, f"{value}")


@check(
    "Raise a ValueError if X has no samples, as sklearn.utils.check_array does.",
)
def check_empty(trial):
    """X without samples is refused, at `fit` and after it."""
    empty = trial.X[:0]
    fitted = trial.fitted()
    trial.expect_refused(lambda: trial.fitted(empty, trial.y[:0]), "`fit` without samples")
    trial.refuses_at_predict(fitted, empty, "no samples")


@check(
    "Call sklearn.utils.check_consistent_length(X, y).",
    needs=("target",),
)
def check_length_mismatch(trial):
    """X and y of different lengths are refused."""
    trial.expect_refused(lambda: trial.fitted(y=trial.y[:-1]), "`fit` with a label too few")
    trial.expect_refused(lambda: trial.fitted(trial.X[:-1]), "`fit` with an image too few")


@check(
    "Check y by sklearn.utils.validation.validate_data(self, X, y, ...), and raise a ValueError if "
    "it is None.",
    once=True,
    needs=("target",),
)
def check_missing_target(trial):
    """A target y that is None, or holds NaN, is refused."""
    trial.expect_refused(lambda: trial.new().fit(trial.X, None), "`fit` with y=None")
    y = trial.codes.astype(float)
    y[4] = np.nan
    trial.expect_refused(lambda: trial.fitted(y=y), "`fit` with NaN in y")


@check(
    "Raise a ValueError in `fit` if numpy.unique(y) has one element, and name it.",
    once=True,
    needs=("classifier",),
)
def check_one_class(trial):
    """Labels of one class alone are refused: nothing can be told apart."""
    trial.expect_refused(lambda: trial.fitted(y=np.full(len(trial.y), "cat")), "`fit`")


@check(
    "Check everything in `fit` before the first attribute is set, or delete it where "
    "`fit` fails; and decide in `__sklearn_is_fitted__` by an attribute that `fit` sets last.",
    needs=("fit", "target"),
)
def check_errors_change_nothing(trial):
    """A `fit` that failed leaves no fitted estimator, and a failed prediction changes nothing."""
    bad_targets = [trial.y[:-1]]
    if trial.is_classifier:
        bad_targets.append(np.full(len(trial.y), "cat"))
    for y in bad_targets:
        made = trial.new()
        trial.doing = f"a fit that failed, on {len(set(y))} classes and {len(y)} labels"
        before = _outcomes(trial, made)
        try:
            made.fit(trial.X, y)
        except Exception:
            after = _outcomes(trial, made)
            ensure(after == before, f"The methods gave {before} before it, and {after} after it.")
    trial.doing = "predictions after one that failed"
    fitted = trial.fitted()
    wanted = trial.outputs(fitted)
    for method in wanted:
        try:
            getattr(fitted, method)(trial.X[:0])
        except Exception:
            continue
    trial.expect_equal(trial.outputs(fitted), wanted)


def _outcomes(trial, estimator):
    """Return how each method ends: by which error, or by a result."""
    ends = {}
    for method in METHODS:
        if hasattr(estimator, method):
            try:
                getattr(estimator, method)(trial.X)
                ends[method] = "a result"
            except Exception as exc:
                ends[method] = type(exc).__name__
    return ends


@check(
    "Open each file once in `fit` and in the methods after it, before any work, and raise a "
    "ValueError or OSError that names those that cannot be read.",
    forms=FILES,
)
def check_bad_files(trial):
    """A file that is missing, no image or cut off, and a folder, are refused by name."""
    fitted = trial.fitted()
    good = trial.write(trial.pixels()[:1])[0]
    with open(good, "rb") as file:
        content = file.read()
    made = {"missing.png": None, "text.png": b"no image", "cut.png": content[: len(content) // 2]}
    paths = {}
    for name, written in made.items():
        paths[name] = trial.folder / name
        if written is not None:
            paths[name].write_bytes(written)
    paths["folder.png"] = trial.folder / "folder.png"
    paths["folder.png"].mkdir()
    for name, path in paths.items():
        bad = _with_path(trial, str(path))
        errors = (*REFUSALS, OSError)
        for error in (
            trial.expect_refused(lambda bad=bad: trial.fitted(bad), f"`fit` with {name}", errors),
            trial.refuses_at_predict(fitted, bad, name, errors),
        ):
            ensure(name in str(error), f"The error does not name {name}: {error}")


def _with_path(trial, path):
    """Return X with another path for its fifth image."""
    if trial.form == "paths":
        return [*trial.X[:4], path, *trial.X[5:]]
    bad = trial.X.copy()
    bad.loc[4, trial.image_columns[0]] = path
    return bad


CHECKS = (
    check_wrong_dimensions,
    check_other_shape_at_predict,
    check_other_channels_at_predict,
    check_wrong_dtype,
    check_not_finite,
    check_empty,
    check_length_mismatch,
    check_missing_target,
    check_one_class,
    check_errors_change_nothing,
    check_bad_files,
)
