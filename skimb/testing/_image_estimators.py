"""check_image_estimator: an estimator of images keeps its promises in every form of X."""

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

from sklearn.utils import get_tags

from skimb.testing import (
    _image_error_checks,
    _image_fit_checks,
    _image_form_checks,
    _image_interface_checks,
    _image_output_checks,
    _image_table_checks,
)
from skimb.testing._image_check import BoundCheck
from skimb.testing._image_trial import FORMS

__all__ = ["check_image_estimator", "image_estimator_checks", "parametrize_with_image_checks"]

CHECKS = (
    *_image_output_checks.CHECKS,
    *_image_fit_checks.CHECKS,
    *_image_form_checks.CHECKS,
    *_image_interface_checks.CHECKS,
    *_image_error_checks.CHECKS,
    *_image_table_checks.CHECKS,
)


#: The least height and width of images.
LEAST = 5


def check_image_estimator(
    estimator: Any,
    *,
    forms: Any = None,
    tolerance: float = 0.0,
    image_size: tuple[int, int] = (8, 8),
    image_column: Any = None,
    expected_failed_checks: Any = None,
) -> Any:
    """Check that an estimator of images keeps the promises of scikit-learn, and those of images.

    Equal images give equal results in every form and container. Bad input is refused before any
    work, and X, y and the parameters are never changed. A prediction depends neither on the order
    of the samples nor on the other samples. A second fit forgets the first one, and equal fits give
    equal results. Clones, copies and files predict the same; the state of the process is left
    alone; Pipelines and cross-validation run. Estimators of any library may be checked:
    classifiers, regressors, transformers, and searches or wrappers around them. The data are small:
    30 images of two or three classes, which the checks make.

    Parameters
    ----------
    estimator : estimator
        The estimator, which is cloned. Where it, or an estimator that is its parameter, has a
        ``random_state`` that is None, that becomes 0. Few epochs make the checks fast.
    forms : tuple of str, default=None
        The forms of X that it reads: ``"3d"`` (arrays of shape (n, H, W)), ``"4d"`` (n, H, W, C),
        ``"4d_first"`` (n, C, H, W), ``"paths"`` (files), ``"frame"`` (one column of paths) and
        ``"mixed"`` (columns of paths, numbers, strings, categories and booleans). None: all for
        estimators of skimb, and for wrappers around them (``"mixed"`` if there is a parameter
        ``image_column``). For others ``"3d"`` and ``"4d"``, and ``"paths"`` and ``"frame"`` if the
        tag ``input_tags.string`` is true.
    tolerance : float, default=0.0
        By how much results that must be equal may differ, relative to 1 + their size. 0: not by a
        bit.
    image_size : tuple of int, default=(8, 8)
        Height and width of the images, at least 5. Other sizes that are tried differ by up to 2.
    image_column : str or list of str, default=None
        The columns of paths in mixed frames. None: the value of the parameter ``image_column``, if
        it has one, otherwise ``"image"``, to which that parameter is set.
    expected_failed_checks : dict, default=None
        Checks that are known to fail, and the reasons: names of checks, such as
        ``"check_zero_weight"`` for all forms or ``"check_zero_weight[paths]"`` for one.

    Raises
    ------
    AssertionError
        If a promise is broken; the message names the first check that fails, the promise, the
        finding, and how to fix it.
    ValueError
        If an argument has no such value, such as a form or the name of a check.

    See Also
    --------
    parametrize_with_image_checks : Each check as a test of pytest.
    sklearn.utils.estimator_checks.check_estimator : The checks of scikit-learn, on tables.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.base import BaseEstimator, TransformerMixin
    >>> from skimb.testing import check_image_estimator
    >>> class Brightness(TransformerMixin, BaseEstimator):
    ...     def fit(self, X, y=None):
    ...         return self
    ...
    ...     def transform(self, X):
    ...         brightness = np.mean(np.asarray(X, dtype=float), axis=(1, 2))
    ...         return (brightness - brightness.max()).reshape(-1, 1)
    >>> try:
    ...     check_image_estimator(Brightness(), forms=("3d",))
    ... except AssertionError as error:
    ...     print(error)
    Brightness fails check_company_at_predict[3d].
    Promise: A sample gets the same result alone, among others, and when it comes twice.
    Found: With sample 0 alone: The result of `transform` differs for 1 of 1 samples, by up to ...
    Fix: Take means, ranges and other statistics of the data in `fit`, never from the X of ...
    """
    _refuse_unknown(expected_failed_checks)
    for _, check in image_estimator_checks(
        estimator,
        forms=forms,
        tolerance=tolerance,
        image_size=image_size,
        image_column=image_column,
    ):
        if _reason(check, expected_failed_checks) is None:
            check(estimator)


def image_estimator_checks(
    estimator: Any,
    *,
    forms: Any = None,
    tolerance: float = 0.0,
    image_size: tuple[int, int] = (8, 8),
    image_column: Any = None,
) -> Iterator[tuple[Any, BoundCheck]]:
    """Yield the checks of `check_image_estimator` one by one, as scikit-learn's generator does.

    Parameters
    ----------
    estimator, forms, tolerance, image_size, image_column
        As in `check_image_estimator`.

    Yields
    ------
    estimator : estimator
        The estimator that was given.
    check : callable
        ``check(estimator)`` raises an AssertionError if its promise is broken. ``check.full_name``
        is its name, with the form of X where it is run for several: ``check_pickle[paths]``; and
        ``check.name`` is the name without the form.

    Raises
    ------
    ValueError
        If an argument has no such value.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from skimb.testing import image_estimator_checks
    >>> for estimator, check in image_estimator_checks(DummyClassifier(), forms=("3d",)):
    ...     if check.name == "check_one_class":
    ...         try:
    ...             check(estimator)
    ...         except AssertionError as error:
    ...             print(error)
    DummyClassifier fails check_one_class.
    Promise: Labels of one class alone are refused: nothing can be told apart.
    Found: `fit` was accepted.
    Fix: Raise a ValueError in `fit` if numpy.unique(y) has one element, and name it.
    """
    _check_arguments(estimator, tolerance, image_size)
    forms = _forms_of(estimator) if forms is None else _checked_forms(forms)
    options = {"tolerance": tolerance, "image_size": image_size, "image_column": image_column}
    for check in CHECKS:
        for bound in check.bound(estimator, forms=forms, **options):
            yield estimator, bound


def parametrize_with_image_checks(
    estimators: Any,
    *,
    forms: Any = None,
    tolerance: float = 0.0,
    image_size: tuple[int, int] = (8, 8),
    image_column: Any = None,
    expected_failed_checks: Any = None,
) -> Any:
    """Return a decorator for pytest, with which each check of each estimator is a test.

    Parameters
    ----------
    estimators : list of estimators
        The estimators to check.
    forms, tolerance, image_size, image_column
        As in `check_image_estimator`, for all of the estimators.
    expected_failed_checks : callable, default=None
        It gets an estimator, and returns a dict as in `check_image_estimator`. These tests are
        marked as ``xfail``, with the reason.

    Returns
    -------
    decorator
        A `pytest.mark.parametrize` of ``estimator`` and ``check``.

    Raises
    ------
    ValueError
        If an argument has no such value, such as a form or the name of a check.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from skimb.testing import parametrize_with_image_checks
    >>> @parametrize_with_image_checks([DummyClassifier()], forms=("3d", "4d"))
    ... def test_images(estimator, check):
    ...     check(estimator)
    """
    import pytest

    cases = []
    for estimator in estimators:
        expected = {} if expected_failed_checks is None else expected_failed_checks(estimator)
        _refuse_unknown(expected)
        for _, check in image_estimator_checks(
            estimator,
            forms=forms,
            tolerance=tolerance,
            image_size=image_size,
            image_column=image_column,
        ):
            reason = _reason(check, expected)
            marks = () if reason is None else pytest.mark.xfail(reason=reason)
            name = f"{type(estimator).__name__}-{check.full_name}"
            cases.append(pytest.param(estimator, check, marks=marks, id=name))
    return pytest.mark.parametrize(("estimator", "check"), cases)


def _reason(check, expected):
    """Return why a check is expected to fail, or None."""
    expected = expected or {}
    return expected.get(check.full_name, expected.get(check.name))


def _refuse_unknown(expected):
    """Refuse names of checks that do not exist."""
    names = {check.function.__name__ for check in CHECKS}
    unknown = [name for name in expected or () if name.split("[")[0] not in names]
    if unknown:
        raise ValueError(
            f"`expected_failed_checks` must name checks. Got {unknown}. The checks are "
            f"{', '.join(sorted(names))}."
        )


def _check_arguments(estimator, tolerance, image_size):
    if isinstance(estimator, type) or not all(
        hasattr(estimator, name) for name in ("fit", "get_params", "__sklearn_tags__")
    ):
        raise ValueError(
            "`estimator` must be an object of a class that is derived from "
            f"sklearn.base.BaseEstimator and has `fit`. Got {estimator!r}."
        )
    if not isinstance(tolerance, Real) or not 0 <= float(tolerance) < 1:
        raise ValueError(f"`tolerance` must be a number from 0 to below 1. Got {tolerance!r}.")
    sizes = image_size if isinstance(image_size, tuple | list) else ()
    if len(sizes) != 2 or not all(isinstance(n, Integral) and int(n) >= LEAST for n in sizes):
        raise ValueError(
            f"`image_size` must be (H, W), two integers of at least {LEAST}. Got {image_size!r}."
        )


def _checked_forms(forms):
    chosen = (forms,) if isinstance(forms, str) else tuple(forms)
    unknown = [form for form in chosen if form not in FORMS]
    if unknown or not chosen:
        raise ValueError(f"`forms` must be one or several of {FORMS}. Got {forms!r}.")
    return tuple(form for form in FORMS if form in chosen)


def _forms_of(estimator):
    params = estimator.get_params(deep=True)
    if any(_is_ours(value) for value in (estimator, *params.values())):
        has_column = any(name.split("__")[-1] == "image_column" for name in params)
        return FORMS if has_column else FORMS[:-1]
    tags = get_tags(estimator).input_tags
    forms = ["3d", "4d"]
    if tags.string:
        forms += ["paths", "frame"]
    return tuple(forms)


def _is_ours(value):
    return any(cls.__module__.startswith("skimb.") for cls in type(value).__mro__)
