"""A check of an estimator of images: its promise, the forms that it is about, and how to fix it."""

import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from skimb.testing._image_trial import FORMS, Trial
from skimb.testing._promises import restored_generators

__all__ = ["BoundCheck", "Check", "check"]


def _is_deterministic(estimator):
    return not get_tags(estimator).non_deterministic


#: Properties without which a check is not about an estimator.
NEEDS: dict[str, Callable[[Any], bool]] = {
    "deterministic": _is_deterministic,
    "classifier": lambda estimator: get_tags(estimator).estimator_type == "classifier",
    "target": lambda estimator: get_tags(estimator).target_tags.required,
    "sample_weight": lambda estimator: has_fit_parameter(estimator, "sample_weight"),
    "files": lambda estimator: hasattr(estimator, "save") and hasattr(type(estimator), "load"),
    "finite": lambda estimator: not get_tags(estimator).input_tags.allow_nan,
    "fresh fits": lambda estimator: not estimator.get_params().get("warm_start", False),
    "fit": lambda estimator: get_tags(estimator).requires_fit,
}


@dataclass(frozen=True)
class Check:
    """One promise of an estimator of images.

    Parameters
    ----------
    function : callable
        It gets a `Trial`, and raises an AssertionError if the promise is broken. Its docstring is
        the promise.
    fix : str
        How an author can keep the promise.
    forms : tuple of str
        The forms of X that it is about.
    once : bool
        Whether one form is enough, whichever it is.
    needs : tuple of str
        Keys of `NEEDS`, all of which must hold.
    other_form : str or None
        A second form that the estimator must read.
    """

    function: Callable[[Trial], None]
    fix: str
    forms: tuple[str, ...] = FORMS
    once: bool = False
    needs: tuple[str, ...] = ()
    other_form: str | None = None

    @property
    def promise(self):
        """The promise, one sentence or more."""
        return " ".join(str(self.function.__doc__).split())

    def bound(self, estimator, *, forms, **options):
        """Yield this check for each form that it is about and the estimator reads."""
        if self.other_form is not None and self.other_form not in forms:
            return
        if not all(NEEDS[need](estimator) for need in self.needs):
            return
        chosen = [form for form in forms if form in self.forms]
        for form in chosen[:1] if self.once else chosen:
            yield BoundCheck(self, form, {"forms": forms, **options})


def check(fix, **options):
    """Return a decorator that makes a `Check` of a function.

    Parameters
    ----------
    fix : str
        How an author can keep the promise.
    **options
        Further parameters of `Check`.

    Returns
    -------
    callable
    """
    return lambda function: Check(function, fix, **options)


@dataclass(frozen=True)
class BoundCheck:
    """A check with one form of X; it is called with an estimator."""

    check: Check
    form: str
    options: dict

    @property
    def name(self):
        """The name of the check, without the form."""
        return self.check.function.__name__

    @property
    def full_name(self):
        """The name of the check, with the form where there are several."""
        return self.name if self.check.once else f"{self.name}[{self.form}]"

    def __repr__(self):
        return self.full_name

    def __call__(self, estimator):
        """Check an estimator.

        Parameters
        ----------
        estimator : estimator
            The estimator, which is cloned.

        Raises
        ------
        AssertionError
            If the promise is broken: with the name of the check, the promise, the finding, and how
            to fix it.
        """
        with (
            tempfile.TemporaryDirectory(prefix="skimb-check-") as folder,
            restored_generators(),
            # So few samples are a reason to warn.
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            trial = Trial(estimator, self.form, folder=Path(folder), **self.options)
            try:
                self.check.function(trial)
            except AssertionError as exc:
                raise AssertionError(self._message(estimator, trial, str(exc))) from exc
            except Exception as exc:
                found = f"It raised {type(exc).__name__}: {exc}"
                raise AssertionError(self._message(estimator, trial, found)) from exc

    def _message(self, estimator, trial, found):
        doing = f"With {trial.doing}: " if trial.doing else ""
        return (
            f"{type(estimator).__name__} fails {self.full_name}.\n"
            f"Promise: {self.check.promise}\n"
            f"Found: {doing}{found}\n"
            f"Fix: {self.check.fix}"
        )
