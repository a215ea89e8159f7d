"""One trial of an estimator of images: small data in one form, fits and comparisons."""

import sys
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags

from skimb._params import safe_indexing
from skimb.testing._promises import ensure

__all__ = ["ARRAYS", "FILES", "FORMS", "FRAMES", "OTHER_COLUMNS", "Trial", "wants_numbers"]

#: The forms of X: arrays (n, H, W), (n, H, W, C) and (n, C, H, W); paths of files; one column of
#: paths; such a column next to others.
FORMS = ("3d", "4d", "4d_first", "paths", "frame", "mixed")

ARRAYS, FILES, FRAMES = FORMS[:3], FORMS[3:], FORMS[4:]

#: Methods whose results are compared.
METHODS = ("predict", "predict_proba", "decision_function", "transform")

#: Errors by which bad input may be refused.
REFUSALS = (ValueError, TypeError)

N_SAMPLES = 30

#: The columns next to the images in mixed frames, in their order.
OTHER_COLUMNS = ["width", "rooms", "colour", "material", "garden"]


def wants_numbers(estimator):
    """Tell whether an estimator, or the one that a transformer holds, is fitted on numbers."""
    if is_classifier(estimator) or is_regressor(estimator):
        return is_regressor(estimator)
    held = getattr(estimator, "get_params", dict)().values()
    return any(is_regressor(value) for value in held if hasattr(value, "__sklearn_tags__"))


class Trial:
    """An estimator, and small data in one form, for one check.

    Parameters
    ----------
    estimator : estimator
        The estimator to check; it is cloned.
    form : str
        One of `FORMS`.
    forms : tuple of str
        All forms that the estimator reads.
    tolerance : float
        By how much results may differ that must be equal; 0: not at all.
    image_size : tuple of int
        ``(H, W)``.
    image_column : str, list of str or None
        The column of paths in mixed frames; None: that of the estimator, or "image".
    folder : Path
        An empty folder.
    """

    def __init__(self, estimator, form, *, forms, tolerance, image_size, image_column, folder):
        self.estimator, self.form, self.forms = estimator, form, forms
        self.tolerance, self.image_size = tolerance, tuple(image_size)
        self.folder = Path(folder)
        self.n_folders = 0
        #: The step in progress, for messages.
        self.doing = ""
        self.column_parameters = _named(estimator, "image_column")
        own = [value for value in self.column_parameters.values() if value is not None]
        columns = image_column or (own[0] if own else "image")
        self.image_columns = [columns] if isinstance(columns, str) else list(columns)

    # ------------------------------------------------------------ the estimator

    def new(self, form=None) -> Any:
        """Return an unfitted clone for a form, with seeds where it had none."""
        made = clone(self.estimator)
        seeds = {n: 0 for n, v in _named(made, "random_state").items() if v is None}
        is_mixed = (form or self.form) == "mixed"
        columns = {
            name: (value or self.image_columns[0]) if is_mixed else None
            for name, value in self.column_parameters.items()
        }
        if seeds or columns:
            made.set_params(**seeds, **columns)
        return made

    def fitted(self, X=None, y=None, *, form=None, **fit_params) -> Any:
        """Return a clone that is fitted on data, or on the data of the trial."""
        return self.new(form).fit(
            self.X if X is None else X, self.y if y is None else y, **fit_params
        )

    @property
    def is_classifier(self):
        """Whether it is a classifier."""
        return is_classifier(self.estimator)

    @cached_property
    def n_classes(self):
        """Number of classes of the data: 2 for an estimator that takes no more."""
        tags = get_tags(self.estimator).classifier_tags
        return 3 if tags is None or tags.multi_class else 2

    # ------------------------------------------------------------ the data

    @cached_property
    def codes(self):
        """The classes of the samples, from 0."""
        return np.random.RandomState(0).permutation(N_SAMPLES) % self.n_classes

    @property
    def y(self):
        """The target: strings, or numbers; a copy."""
        if wants_numbers(self.estimator):
            return self.codes + np.random.RandomState(1).uniform(size=N_SAMPLES)
        return np.array(["cat", "dog", "eel"])[self.codes]

    def pixels(self, *, size=None, n_channels=None):
        """Return images, uint8 of shape (n, H, W) or (n, H, W, C), whose classes differ.

        All are at most 200.
        """
        height, width = size or self.image_size
        if n_channels is None:
            n_channels = 3 if self.form in ("4d", "4d_first") else 0
        shape = (N_SAMPLES, height, width, *([n_channels] if n_channels else []))
        images = np.random.RandomState(2).randint(20, 100, size=shape)
        for code in range(self.n_classes):
            # A bright band, whose place is that of the class.
            band = slice(code * width // self.n_classes, (code + 1) * width // self.n_classes)
            images[self.codes == code, :, band] += 100
        return images.astype(np.uint8)

    @cached_property
    def table(self):
        """The other columns of a mixed frame."""
        rng = np.random.RandomState(3)
        width = rng.normal(size=N_SAMPLES) + self.codes
        width[[1, 7]] = np.nan
        colour = np.array(["red", "green", "blue"], dtype=object)[rng.permutation(N_SAMPLES) % 3]
        colour[[2, 9]] = None
        material = np.array(["brick", "wood"])[rng.permutation(N_SAMPLES) % 2]
        return pd.DataFrame(
            {
                "width": width,
                "rooms": rng.randint(1, 7, size=N_SAMPLES),
                "colour": pd.Series(colour, dtype=object),
                "material": pd.Categorical(material),
                "garden": rng.permutation(N_SAMPLES) % 2 == 0,
            }
        )

    def in_form(self, pixels, form=None) -> Any:
        """Return images in the form of the trial; files are written to a folder of their own."""
        form = form or self.form
        if form == "4d_first":
            return np.ascontiguousarray(np.moveaxis(pixels, -1, 1))
        if form in ARRAYS:
            return pixels
        paths = self.write(pixels)
        if form == "paths":
            return paths
        if form == "frame":
            return pd.DataFrame({self.image_columns[0]: paths}, dtype=object)
        images = {
            name: pd.Series(paths[shift:] + paths[:shift], dtype=object)
            for shift, name in enumerate(self.image_columns)
        }
        return pd.concat(
            [self.table.iloc[:, :2], pd.DataFrame(images), self.table.iloc[:, 2:]], axis=1
        )

    def write(self, pixels):
        """Write images as files without loss, and return their paths."""
        folder = self.folder / str(self.n_folders)
        self.n_folders += 1
        folder.mkdir()
        paths = [str(folder / f"{i}.png") for i in range(len(pixels))]
        for image, path in zip(pixels, paths, strict=True):
            Image.fromarray(image).save(path)
        return paths

    @property
    def X(self) -> Any:
        """The images in the form of the trial: a copy, as an estimator may write into it."""
        return self._X.copy()

    @cached_property
    def _X(self) -> Any:
        return self.in_form(self.pixels())

    @cached_property
    def bright(self) -> Any:
        """Other images of the same form, some of whose pixels are brighter than any of X."""
        return self.in_form(255 - self.pixels())

    def take(self, X, indices) -> Any:
        """Return some of the samples."""
        chosen = safe_indexing(X, np.asarray(indices, dtype=np.intp))
        # Whether the index has a meaning is a check of its own.
        return chosen.reset_index(drop=True) if hasattr(chosen, "reset_index") else chosen

    # ------------------------------------------------------------ the parts of checks

    def outputs(self, fitted, X=None):
        """Return the results of all methods by name."""
        X = self.X if X is None else X
        found = {}
        for method in METHODS:
            if hasattr(fitted, method):
                values = getattr(fitted, method)(X)
                found[method] = np.asarray(
                    values.toarray() if hasattr(values, "toarray") else values
                )
        ensure(found, f"It has none of the methods {', '.join(METHODS)}.")
        return found

    def expect_equal(self, found, wanted):
        """Raise an AssertionError if results of methods differ by more than the tolerance."""
        ensure(
            found.keys() == wanted.keys(),
            f"It had the methods {', '.join(wanted)}, and then {', '.join(found)}.",
        )
        for method, values in found.items():
            given = wanted[method]
            ensure(
                values.shape == given.shape,
                f"The result of `{method}` had shape {given.shape}, and then {values.shape}.",
            )
            if values.dtype.kind not in "fc" or given.dtype.kind not in "fc":
                differ = values != given
                largest = ""
            else:
                gap = np.abs(values - given)
                with np.errstate(invalid="ignore"):
                    differ = (gap > self.tolerance * (1 + np.abs(given))) | (
                        np.isnan(values) != np.isnan(given)
                    )
                largest = f", by up to {np.nanmax(gap, initial=0):.3g}"
            n_differ = np.count_nonzero(np.reshape(differ, (len(values), -1)).any(axis=1))
            ensure(
                not n_differ,
                f"The result of `{method}` differs for {n_differ} of {len(values)} samples"
                f"{largest}; the tolerance is {self.tolerance:g}.",
            )

    def expect_refused(self, call, what, errors=REFUSALS):
        """Raise an AssertionError if a call does not fail with one of the errors; return it."""
        try:
            call()
        except errors as exc:
            return exc
        except Exception as exc:
            raise AssertionError(
                f"{what} raised {type(exc).__name__}: {exc}. It must raise "
                f"{' or '.join(error.__name__ for error in errors)}."
            ) from exc
        raise AssertionError(f"{what} was accepted.")

    def refuses_at_predict(self, fitted, X, what, errors=REFUSALS):
        """Raise an AssertionError if a method accepts bad input; return the last error."""
        error = None
        for method in METHODS:
            if hasattr(fitted, method):
                call = getattr(fitted, method)
                error = self.expect_refused(lambda: call(X), f"`{method}` with {what}", errors)  # noqa: B023
        return error

    @staticmethod
    def polars():
        """Return polars if it is imported."""
        return sys.modules.get("polars")

    @staticmethod
    def torch():
        """Return torch if it is imported."""
        return sys.modules.get("torch")


def _named(estimator, name):
    """Return the parameters of this name, of an estimator and those that it holds, by full name."""
    held = estimator.get_params(deep=True)
    frozen = [key for key, value in held.items() if isinstance(value, FrozenEstimator)]
    return {
        key: value
        for key, value in held.items()
        if (key == name or key.endswith(f"__{name}"))
        and not any(key.startswith(f"{owner}__") for owner in frozen)
    }
