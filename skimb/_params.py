"""The one module that uses scikit-learn's private names: parameter tables, scorers, indexing.

All other modules of skimb use scikit-learn's public names only, and a test checks the sources for
this. If a private name moves, this file is the only place to change. Two idioms need no import and
may be used anywhere: the class attribute ``_parameter_constraints``, and the attributes that
imbalanced-learn requires of a sampler class (``_fit_resample``, ``_check_X_y``,
``_sampling_type``).
"""

from collections.abc import Callable
from numbers import Integral, Number, Real
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
from sklearn import base, get_config
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import _scorer
from sklearn.utils import _param_validation, _safe_indexing, validation

__all__ = [
    "GRIDS",
    "PROBABILISTIC",
    "BaseScorer",
    "HasMethods",
    "Interval",
    "StrOptions",
    "callback_context",
    "check_handed_in",
    "check_parameters",
    "check_sample_weight",
    "check_table",
    "fit_context",
    "has_callbacks",
    "plain",
    "plain_params",
    "requests_of",
    "safe_indexing",
    "tuned_label",
]

BaseScorer: Any = _scorer._BaseScorer
HasMethods: Any = _param_validation.HasMethods
Interval: Any = _param_validation.Interval
StrOptions: Any = _param_validation.StrOptions
check_sample_weight: Any = validation._check_sample_weight
check_table: Any = _param_validation.validate_parameter_constraints
safe_indexing: Any = _safe_indexing

Method = TypeVar("Method", bound=Callable[..., Any])


def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]:
    """Return scikit-learn's decorator of ``fit``, with the types that it does not tell."""
    return base._fit_context(prefer_skip_nested_validation=prefer_skip_nested_validation)


class _Probabilistic(HasMethods):
    """A classifier with probabilities, and in the error the way to get them."""

    def __str__(self):
        return (
            f"{super().__str__()} (a classifier without probabilities, such as LinearSVC, needs a "
            "CalibratedClassifierCV around it; a network is a CNNClassifier)"
        )


#: The constraint on the `estimator` of a wrapper that reads probabilities.
PROBABILISTIC: Any = _Probabilistic(["fit", "predict_proba"])

#: Attributes of searches, which set other parameters before they fit the estimator they are given.
GRIDS = ("param_grid", "param_distributions", "search_spaces")


def has_callbacks(estimator):
    """Return whether callbacks of scikit-learn are set on an estimator, or passed on to it.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    bool

    Examples
    --------
    >>> from sklearn.callback import ScoringMonitor
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skimb._params import has_callbacks
    >>> clf = LogisticRegression()
    >>> has_callbacks(clf), has_callbacks(clf.set_callbacks(ScoringMonitor(scoring="accuracy")))
    (False, True)
    """
    return bool(getattr(estimator, "_skl_callbacks", ()))


def callback_context(estimator, **options) -> Any:
    """Set the callbacks of an estimator up, and return the context of its fit.

    Parameters
    ----------
    estimator : CallbackSupportMixin
        The estimator that is fitted.
    **options
        ``task_name``, ``max_subtasks`` and ``sequential_subtasks`` of scikit-learn.

    Returns
    -------
    CallbackContext
    """
    return estimator._init_callback_context(**options)


def check_parameters(estimator):
    """Check the parameters of an object against its table, for methods other than fit.

    Parameters
    ----------
    estimator : BaseEstimator
        An object with a table ``_parameter_constraints``.

    Raises
    ------
    ValueError
        If a parameter has a value that the table does not allow.

    Examples
    --------
    >>> from skimb._params import check_parameters
    >>> from skimb.relevance import Relevance
    >>> try:
    ...     check_parameters(Relevance(coef=-1))
    ... except ValueError as error:
    ...     print(error)
    The 'coef' parameter of Relevance must be a float in the range (0.0, inf). Got -1 instead.
    """
    estimator._validate_params()


def check_handed_in(estimator):
    """Check the parameters of all estimators that are parameters of an estimator, to any depth.

    Call it before any work. Otherwise each estimator would check its parameters only when it is
    fitted, or not at all if the estimator that fits it has switched validation off.

    Parameters
    ----------
    estimator : estimator
        An estimator whose parameters hold other estimators, or lists of them; its own parameters
        are not checked.

    Raises
    ------
    ValueError
        If a parameter of one of these estimators has a value that is not allowed, or one of them
        is a class instead of an object.
    """
    if not get_config()["skip_parameter_validation"]:
        _check_parameters_of(estimator)


def _check_parameters_of(estimator):
    for name, value in estimator.get_params(deep=False).items():
        _check_value(value, name, estimator)


def _check_value(value, name, owner, wanted="be an object, not a class"):
    if isinstance(value, list | tuple):
        for entry in value:
            _check_value(entry, name, owner, wanted="hold objects, not classes")
    elif isinstance(value, type) and hasattr(value, "get_params"):
        raise ValueError(
            f"`{name}` of {type(owner).__name__} must {wanted}. Got {value.__name__}: give "
            f"{value.__name__}(), with parameters where it needs some."
        )
    # A frozen estimator is fitted already: its parameters are not used any more.
    elif hasattr(value, "get_params") and not isinstance(value, FrozenEstimator):
        if hasattr(value, "_parameter_constraints") and hasattr(value, "_validate_params"):
            check_parameters(value)
        if not any(hasattr(value, key) for key in GRIDS):
            _check_parameters_of(value)


def plain(value) -> Any:
    """Return a number as a Python number: torch takes no others, and small types of NumPy overflow.

    Parameters
    ----------
    value : object
        A parameter as it was given.

    Returns
    -------
    bool, int or float; any other value is returned as it is

    Examples
    --------
    >>> import numpy as np
    >>> from skimb._params import plain
    >>> plain(np.uint8(200)), plain(np.float32(0.5)), plain("auto")
    (200, 0.5, 'auto')
    """
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def plain_params(estimator):
    """Return the parameters of an estimator by name, with numbers as Python numbers.

    Parameters
    ----------
    estimator : estimator
        The estimator; nested parameters are not included.

    Returns
    -------
    SimpleNamespace
    """
    params = estimator.get_params(deep=False)
    numbers = {
        name: plain(value)
        for name, value in params.items()
        if isinstance(value, Number) and type(value) not in (bool, int, float)
    }
    return SimpleNamespace(**{**params, **numbers})


def requests_of(estimator, method):
    """Return which metadata an estimator itself requests, without those that it holds.

    Parameters
    ----------
    estimator : estimator
    method : str
        The method that is called.

    Returns
    -------
    dict
        Name to True, False, None (not set) or another name.
    """
    return getattr(estimator._get_metadata_request(), method).requests


def tuned_label(tuned):
    """Return the label of the positive class of a fitted `TunedThresholdClassifierCV`.

    Parameters
    ----------
    tuned : TunedThresholdClassifierCV
        The fitted classifier, which takes this label from its scorer.

    Returns
    -------
    label, or None for the last class
    """
    return tuned._curve_scorer._get_pos_label()
