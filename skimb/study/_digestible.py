"""A digest of an estimator of a user's own, where its parameters tell all that it is."""

import sys
import types
from functools import partial
from inspect import isclass

import numpy as np
from torch import nn

from skimb._engine import digest_of

__all__ = ["digest_of_own"]

#: Values whose content a digest reads.
PLAIN = (type(None), bool, int, float, complex, str, bytes, slice, range)
ARRAYS = (np.generic, np.dtype, np.ndarray, np.random.RandomState, np.random.Generator)
COLLECTIONS = (list, tuple, set, frozenset)
FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, np.ufunc)


def digest_of_own(estimator):
    """Return a digest of an unfitted estimator, or None where its content cannot be told.

    It is made of the classes, with their versions or else with their code, and of the parameters of
    the estimator and of those in it. These must be plain values, arrays, functions, classes,
    networks of torch, or estimators.

    Parameters
    ----------
    estimator : estimator
        Not fitted.

    Returns
    -------
    bytes or None

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from skimb.study._digestible import digest_of_own
    >>> digest_of_own(DummyClassifier()) == digest_of_own(DummyClassifier())
    True
    >>> digest_of_own(DummyClassifier(constant=iter([1]))) is None
    True
    """
    kinds: dict[type, None] = {}
    try:
        told = _told(estimator, kinds)
    except (_UntoldError, RecursionError):
        return None
    return digest_of([told, [_origin(kind) for kind in kinds]])


class _UntoldError(Exception):
    """Raised for a value whose content cannot be told."""


def _told(value, kinds):
    """Return a value as one that a digest reads; its classes are noted."""
    if isinstance(value, PLAIN + FUNCTIONS):
        return value
    if isinstance(value, ARRAYS):
        if isinstance(value, np.ndarray) and value.dtype.kind == "O":
            return [_told(part, kinds) for part in value.ravel().tolist()]
        return value
    if isinstance(value, COLLECTIONS):
        parts = value if isinstance(value, list | tuple) else sorted(value, key=repr)
        return [type(value).__name__, *(_told(part, kinds) for part in parts)]
    if isinstance(value, dict):
        return {str(key): _told(part, kinds) for key, part in value.items()}
    if isinstance(value, partial):
        parts = (value.func, list(value.args), value.keywords)
        return ["partial", *(_told(part, kinds) for part in parts)]
    if isclass(value):
        kinds[value] = None
        return [value.__module__, value.__qualname__]
    if isinstance(value, nn.Module):
        kinds[type(value)] = None
        return value
    if hasattr(value, "get_params"):
        kinds[type(value)] = None
        params = value.get_params(deep=False)
        name = [type(value).__module__, type(value).__qualname__]
        return [*name, {key: _told(part, kinds) for key, part in params.items()}]
    raise _UntoldError


def _origin(kind):
    """Return the version of the package of a class, or else the code of the class."""
    package = sys.modules.get(kind.__module__.partition(".")[0])
    version = getattr(package, "__version__", None)
    if version is not None:
        return str(version)
    return [
        part
        for parent in kind.__mro__
        if parent is not object and _origin_is_own(parent)
        for part in vars(parent).values()
        if isinstance(part, types.FunctionType | staticmethod | classmethod | property)
    ]


def _origin_is_own(kind):
    package = sys.modules.get(kind.__module__.partition(".")[0])
    return getattr(package, "__version__", None) is None and kind.__module__ != "builtins"
