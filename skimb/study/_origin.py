"""The origin of the results: the recipe of the network, and the code of every strategy."""

import json
import platform
from importlib import import_module
from inspect import isclass, isfunction, signature
from numbers import Integral, Real

import numpy as np
import sklearn
import torch
from sklearn.base import clone
from sklearn.model_selection import BaseCrossValidator

import skimb
from skimb._engine import build_augmentation, resolve_device
from skimb._images import fit_images
from skimb._networks import PretrainedBackbone

__all__ = ["code_of", "expression_of", "parameters_of", "recipe_of", "versions", "written"]

#: Where classes and functions of skimb's private modules are public.
PUBLIC = (
    *("skimb.neural_network", "skimb.over_sampling", "skimb.under_sampling"),
    *("skimb.model_selection", "skimb.datasets"),
)

#: Parameters that the recipe names.
NAMED = ("module", "optimizer", "lr", "lr_schedule", "weight_decay", "augmentation")


def recipe_of(estimator, X, y, length):
    """Return how the network of every built-in strategy is trained.

    Parameters
    ----------
    estimator : CNNClassifier or CNNRegressor
        The baseline.
    X, y : array-like
        A few samples, from which the shape of the images is known.
    length : TrainingLength
        The length of every training.

    Returns
    -------
    dict
        Texts and numbers.
    """
    trial = clone(estimator)
    fit_images(
        trial,
        X,
        y,
        image_shape=estimator.image_shape,
        channels=estimator.channels,
        image_column=estimator.image_column,
    )
    views = build_augmentation(
        estimator.augmentation,
        image_shape=trial.image_shape_,
        counts=np.ones(len(np.unique(y))),
        device=torch.device("cpu"),
        rng=np.random.RandomState(0),
    ).views
    device = resolve_device(estimator.device)
    texts = {name: _plain(getattr(estimator, name)) for name in NAMED}
    return {
        "estimator": type(estimator).__name__,
        **texts,
        "image_shape": [int(side) for side in trial.image_shape_],
        "batch_size": length.batch_size,
        "epochs": length.max_epochs,
        "gradient_steps": length.n_steps,
        "views": 1 if views is None else len(views(torch.zeros(1, *trial.image_shape_))),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "augmentation_choice": None,
        "versions": versions(),
    }


def versions():
    """Return the versions of skimb, Python and the libraries that decide results.

    Returns
    -------
    dict of str to str
    """
    return {
        "skimb": skimb.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
    }


def parameters_of(estimator):
    """Return the parameters of an estimator that are not the default, as JSON can write them.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    dict
        Name to the value; an object is ``{"code": ...}``, the line that makes it.
    """
    return {
        name: written(getattr(estimator, name))
        for name, parameter in signature(type(estimator)).parameters.items()
        if not _is_same(getattr(estimator, name), parameter.default)
    }


def written(value):
    """Return a value of a parameter as JSON can write it.

    Parameters
    ----------
    value : object

    Returns
    -------
    object
        The value, or for an object ``{"code": ...}``, the line that makes it.
    """
    if isinstance(value, list | tuple) and all(
        isinstance(part, str | bool | int | float) for part in value
    ):
        return list(value)
    plain = _plain(value)
    is_code = isinstance(plain, str) and not isinstance(value, str)
    return {"code": plain} if is_code else plain


def _plain(value):
    """Return a value that JSON can write: itself, or its code."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Real):
        return int(value) if isinstance(value, Integral) else float(value)
    return expression_of(value)


def expression_of(value):
    """Return a value as one line of code, without the imports.

    Parameters
    ----------
    value : object

    Returns
    -------
    str
    """
    return _Code().of(value, "value")


def code_of(estimator, scoring=None):
    """Return the code that makes an estimator: imports, and one line.

    Only parameters that are not the default are written. An object that cannot be written as code,
    such as a network of one's own, becomes a name, and a comment says which object it means.

    Parameters
    ----------
    estimator : estimator
    scoring : dict of str to scorer, default=None
        The scorers of `imbalance_scoring` for the labels that it is for, which are written by their
        names.

    Returns
    -------
    str
    """
    code = _Code(scoring)
    line = f"estimator = {code.of(estimator, 'estimator')}"
    imports = [
        f"from {module} import {', '.join(sorted(names))}"
        for module, names in sorted(code.imports.items())
    ]
    if code.needs_numpy:
        imports.insert(0, "import numpy as np")
    return "\n".join([*imports, "", *code.notes, line])


class _Code:
    """Code of values, with the imports that it needs and the names that only the user has."""

    def __init__(self, scoring=None):
        # The scorers of two calls are not the same objects.
        self.scorers = {str(scorer): name for name, scorer in (scoring or {}).items()}
        self.imports = {}
        self.needs_numpy = False
        self.notes = []

    def of(self, value, name):
        """Return the code of a value that the parameter of this name has."""
        if name == "scoring" and str(value) in self.scorers:
            self.imports.setdefault("skimb.metrics", set()).add("imbalance_scoring")
            self._note("y", "the labels of the samples")
            return (
                f"imbalance_scoring(y)[{json.dumps(self.scorers[str(value)], ensure_ascii=False)}]"
            )
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, str):
            return json.dumps(value, ensure_ascii=False)
        if isinstance(value, float) and not np.isfinite(value):
            return f'float("{value}")'
        if value is None or isinstance(value, bool | int | float | bytes):
            return repr(value)
        if isinstance(value, list):
            return f"[{', '.join(self.of(item, name) for item in value)}]"
        if isinstance(value, tuple):
            inner = ", ".join(self.of(item, name) for item in value)
            return f"({inner},)" if len(value) == 1 else f"({inner})"
        if isinstance(value, dict):
            pairs = (f"{self.of(k, name)}: {self.of(v, name)}" for k, v in value.items())
            return f"{{{', '.join(pairs)}}}"
        if isinstance(value, np.ndarray) and value.dtype.kind in "biufUS":
            self.needs_numpy = True
            return f"np.array({self.of(value.tolist(), name)})"
        if isinstance(value, torch.device):
            return self.of(str(value), name)
        if isinstance(value, PretrainedBackbone):
            self.imports.setdefault("skimb.neural_network", set()).add("pretrained")
            return f"pretrained({self.of(str(value.name), name)})"
        if isclass(value) or isfunction(value):
            return self._reference(value) or self._own(value, name)
        if isinstance(value, BaseCrossValidator) and self._reference(type(value)):
            # Its text is the call that makes it.
            return repr(value)
        if hasattr(value, "get_params") and not isclass(value):
            return self._call(value, name)
        return self._own(value, name)

    def _call(self, value, name):
        """Return the call that makes an object with parameters."""
        reference = self._reference(type(value))
        if reference is None:
            return self._own(value, name)
        arguments = []
        parameters = signature(type(value)).parameters
        for key, parameter in parameters.items():
            if not hasattr(value, key):
                return self._own(value, name)
            given = getattr(value, key)
            if _is_same(given, parameter.default):
                continue
            text = self.of(given, key)
            is_first = key == "estimator" == next(iter(parameters))
            arguments.append(text if is_first else f"{key}={text}")
        return f"{reference}({', '.join(arguments)})"

    def _reference(self, value):
        """Return the name of a class or function, and import it from its public module."""
        name = value.__qualname__
        parts = value.__module__.split(".")
        n_public = next((i for i, part in enumerate(parts) if part.startswith("_")), len(parts))
        for n_parts in (*range(n_public, 0, -1), len(parts)):
            module = ".".join(parts[:n_parts])
            if parts[0] in ("__main__", "builtins"):
                break
            public = PUBLIC if module == "skimb" else ()
            for place in (module, *public):
                if getattr(import_module(place), name, None) is value:
                    self.imports.setdefault(place, set()).add(name)
                    return name
        return None

    def _own(self, value, name):
        """Return a name for an object that cannot be written, and note which object it means."""
        kind = getattr(value, "__qualname__", None) or type(value).__qualname__
        self._note(name, f"as you gave it ({' '.join(kind.split())})")
        return name

    def _note(self, name, text):
        """Say which object a name means."""
        note = f"# {name}: {text}"
        if note not in self.notes:
            self.notes.append(note)


def _is_same(value, default):
    if value is default:
        return True
    return (
        type(value) is type(default)
        and isinstance(value, bool | int | float | str | tuple)
        and value == default
    )
