"""The classes of which a file may hold objects, and how the attributes of each are written."""

import importlib
import inspect
import math
import re
from numbers import Real

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils import Bunch
from torch import nn

from skimb._cost_matrix import plain_costs
from skimb._params import check_parameters
from skimb._pixel_values import PixelLevels
from skimb.neural_network._saved_sklearn import (
    INSTEAD,
    OF_SAMPLER,
    PRIVATE_PARTS,
    full_name,
    is_public,
    parameters_of,
    refused_attributes,
)

__all__ = [
    "CALLBACKS",
    "HANDED_IN",
    "REQUESTS",
    "WITHOUT_FILE",
    "check_numbers",
    "check_own",
    "check_ranges",
    "default_of",
    "forbidden_attributes",
    "full_name",
    "is_no_path",
    "known_class",
    "make_object",
    "parameters_of",
    "read_requests",
    "state_of",
    "torch_class",
    "with_defaults",
    "write_requests",
]

#: Packages whose estimators a file may hold.
PACKAGES = ("skimb", "sklearn", "imblearn")

#: How the name of a class looks: the module, a colon and the class.
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*")

#: Parts of the names of modules that are never imported for a file.
NOT_IMPORTED = {"tests", "conftest", "externals", "__main__", "datasets", "study"}

#: Parameters by which a file could make a later fit read other files; they come back as defaults.
WITHOUT_FILE = ("cache", "checkpoint", "memory")

#: The attribute in which scikit-learn keeps the metadata that an estimator requests.
REQUESTS = "_metadata_request"

#: The attribute in which scikit-learn keeps the callbacks of an estimator.
CALLBACKS = "_skl_callbacks"

#: Attributes that are not written; the last is the function of a scorer.
NOT_WRITTEN = (CALLBACKS, "_sklearn_version", "_score_func")

#: Parameters that may be objects of the user's own, which `load` gets again.
HANDED_IN = ("module", "loss", "augmentation")


def known_class(name):
    """Return the class of this name if a file may hold objects of it.

    Parameters
    ----------
    name : str
        As `full_name` returns it.

    Returns
    -------
    type

    Raises
    ------
    ValueError
        If it is no estimator of scikit-learn, imbalanced-learn or skimb, and no part of one.
    """
    refusal = ValueError(
        f"{name!r} is no estimator of scikit-learn, imbalanced-learn or skimb, and objects of no "
        "other classes are made for a file."
    )
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise refusal
    module, _, qualname = name.partition(":")
    parts = module.split(".")
    if parts[0] not in PACKAGES or NOT_IMPORTED & set(parts):
        raise refusal
    try:
        cls = getattr(importlib.import_module(module), qualname, None)
    except ImportError as exc:
        raise ValueError(f"{name!r} is not known to the versions installed here: {exc}.") from exc
    if not isinstance(cls, type) or full_name(cls) != name or inspect.isabstract(cls):
        raise refusal
    is_kind = issubclass(cls, BaseEstimator) or _is_splitter(cls)
    # Their private classes give arrays of the file to compiled code, which does not check them.
    if name not in PRIVATE_PARTS and not (is_kind and (parts[0] == "skimb" or is_public(cls))):
        raise refusal
    return cls


def _is_splitter(cls):
    return callable(getattr(cls, "split", None)) and hasattr(cls, "get_n_splits")


def torch_class(name):
    """Return the class of torch, or the network of skimb, of this name: layers and optimisers.

    Raises
    ------
    ValueError
        If there is none.
    """
    kinds = {
        "torch.nn.modules": (nn.Module,),
        "torch.optim": (torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler),
        "skimb._networks": (nn.Module,),
    }
    if isinstance(name, str) and NAME.fullmatch(name):
        module, _, qualname = name.partition(":")
        for package, bases in kinds.items():
            if module != package and not module.startswith(f"{package}."):
                continue
            try:
                cls = getattr(importlib.import_module(module), qualname, None)
            except ImportError:
                break
            if isinstance(cls, type) and full_name(cls) == name and issubclass(cls, bases):
                return cls
    raise ValueError(f"{name!r} is no layer, optimiser or network of torch or skimb.")


def is_no_path(value):
    """Return whether a parameter that may be a path is no path: None or a bool."""
    return value is None or isinstance(value, bool)


def default_of(cls, name):
    """Return the default of a parameter; None where it has none."""
    default = inspect.signature(cls).parameters[name].default
    return None if default is inspect.Parameter.empty else default


def state_of(value):
    """Return the attributes of an object that are written, by name.

    Parameters
    ----------
    value : object
        An object of a class that `known_class` knows.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If such an object cannot be written.
    """
    if isinstance(value, Bunch):
        return dict(value)
    if hasattr(value, "__getstate__") and isinstance(value, BaseEstimator):
        state = dict(value.__getstate__())
    else:
        state = dict(vars(value))
    for name in NOT_WRITTEN:
        state.pop(name, None)
    if full_name(type(value)).endswith("_CurveScorer"):
        state.pop(REQUESTS, None)
        state["pos_label"] = vars(value)["_kwargs"].get("pos_label", _label_of(value))
    write_requests(state)
    if "cost_matrix" in state:
        state["cost_matrix"] = plain_costs(state["cost_matrix"])
    if hasattr(value, "fit_resample"):
        own = [*parameters_of(type(value)), *OF_SAMPLER]
        state = {name: part for name, part in state.items() if name in own}
    refused = set(refused_attributes(type(value), state))
    if refused:
        # Some constructors set more attributes than they have parameters.
        parameters = {name: state[name] for name in parameters_of(type(value)) if name in state}
        refused -= {name for name in vars(type(value)(**parameters)) if not name.endswith("_")}
        state = {name: part for name, part in state.items() if name in parameters}
    if refused:
        raise ValueError(
            f"A fitted {type(value).__name__} cannot be written to a file: it may hold the samples "
            f"or compiled objects. {INSTEAD}."
        )
    return state


def write_requests(state):
    """Replace, among attributes, the metadata that an estimator requests by a plain dict."""
    if REQUESTS in state:
        state[REQUESTS] = {
            method: dict(requests.requests)
            for method, requests in vars(state[REQUESTS]).items()
            if getattr(requests, "requests", None)
        }


def _label_of(scorer):
    parameters = inspect.signature(vars(scorer)["_score_func"]).parameters
    return parameters["pos_label"].default if "pos_label" in parameters else None


def forbidden_attributes(cls, state):
    """Return the names of attributes that a class cannot have, as a file must not set them.

    Parameters
    ----------
    cls : type
        A class that `known_class` returned.
    state : dict
        Its attributes by name.

    Returns
    -------
    list of str
    """
    if cls is Bunch:
        return [name for name in state if not isinstance(name, str)]
    return [name for name in state if not _may_be_set(cls, name)] + refused_attributes(cls, state)


def _may_be_set(cls, name):
    """Return whether a name is that of an attribute, not that of a method or of Python's own."""
    if not isinstance(name, str) or not name.isidentifier() or name.startswith("__"):
        return False
    if name == "_parameter_constraints":
        return False
    own = inspect.getattr_static(cls, name, None)
    return not callable(own) and not hasattr(own, "__get__")


def check_own(estimator):
    """Refuse parameters that an estimator of skimb does not allow."""
    is_own = type(estimator).__module__.startswith("skimb.")
    if is_own and hasattr(estimator, "_parameter_constraints"):
        check_parameters(estimator)


def _check_rule(estimator):
    """Refuse numbers of a fitted wrapper by which it could decide nothing."""
    is_own = type(estimator).__module__.startswith("skimb.")
    if not (is_own and hasattr(estimator, "decision_rule") and hasattr(estimator, "classes_")):
        return
    try:
        rule = estimator.decision_rule()
        # A wrapper without a rule leaves the decision to the classifier in it.
        if rule is not None:
            rule.check(len(estimator.classes_))
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"The numbers of the decisions of {type(estimator).__name__} in the file fit no "
            f"classes: {error}"
        ) from error


def check_numbers(name, values, n=None):
    """Refuse what is no tuple of n finite numbers."""
    is_tuple = isinstance(values, tuple) and n in (None, len(values))
    if not is_tuple or not all(isinstance(one, Real) and math.isfinite(one) for one in values):
        raise ValueError(f"The file holds {name}={values!r}, which are no finite numbers.")


def check_ranges(state):
    """Refuse, among the attributes of an estimator of images, ranges of pixels that are none."""
    for name in ("_given_range", "value_range_"):
        if state.get(name) is not None:
            check_numbers(name, state[name], n=2)


def with_defaults(cls, state):
    """Return attributes with the defaults of parameters that the version of the file had not."""
    state = dict(state)
    parameters = inspect.signature(cls).parameters
    for name in parameters_of(cls):
        if name not in state:
            if parameters[name].default is inspect.Parameter.empty:
                raise ValueError(f"The file lacks the parameter {name!r} of {cls.__name__}.")
            state[name] = parameters[name].default
    return state


def make_object(cls, state, version):
    """Return an object with these attributes.

    Parameters
    ----------
    cls : type
        A class that `known_class` returned.
    state : dict
        Its attributes by name.
    version : str
        The version of scikit-learn that wrote the file.

    Returns
    -------
    object

    Raises
    ------
    ValueError
        If an attribute cannot be set, or a parameter of the constructor is not given.
    """
    refused = forbidden_attributes(cls, state)
    if refused:
        raise ValueError(f"{cls.__name__} has no attribute {refused[0]!r} that a file may set.")
    if cls is Bunch:
        return Bunch(**state)
    if cls is PixelLevels:
        spans = state.pop("spans", None)
        is_array = isinstance(spans, np.ndarray) and spans.ndim == 1 and spans.dtype.kind == "f"
        is_sound = is_array and all(isinstance(level, float) for level in state.values())
        if not is_sound or {*state, "spans"} != set(parameters_of(cls)):
            raise ValueError(f"{cls.__name__} needs the numbers {parameters_of(cls)}.")
        state["spans"] = spans
        return cls(**state)
    state = with_defaults(cls, state) if issubclass(cls, BaseEstimator) else dict(state)
    check_ranges(state)
    requests = state.pop(REQUESTS, None)
    if cls.__name__ == "_CurveScorer":
        label = state.pop("pos_label", None)
        state["_kwargs"] = {**state.get("_kwargs", {}), "pos_label": label}
        # Only `fit` calls it, which makes a new scorer first.
        state["_score_func"] = balanced_accuracy_score
    is_fitted = not issubclass(cls, BaseEstimator) or not set(state) <= set(parameters_of(cls))
    made = cls.__new__(cls) if is_fitted else cls(**state)
    if issubclass(cls, BaseEstimator):
        made.__setstate__({**state, "_sklearn_version": version} if _is_versioned(cls) else state)
    else:
        vars(made).update(state)
    read_requests(made, requests)
    check_own(made)
    _check_rule(made)
    return made


def _is_versioned(cls):
    return cls.__module__.startswith("sklearn.")


def read_requests(made, requests):
    """Let an estimator request metadata as it did before; None: as it does by default."""
    if requests is None:
        return
    routing = made.get_metadata_routing()
    if not isinstance(requests, dict):
        raise ValueError(f"The file holds {requests!r} as the metadata that an object requests.")
    for method, aliases in requests.items():
        if method not in vars(routing) or not isinstance(aliases, dict):
            raise ValueError(f"Metadata are requested by methods, and {method!r} is none.")
        for name, alias in aliases.items():
            getattr(routing, method).add_request(param=name, alias=alias)
    vars(made)[REQUESTS] = routing
