"""Private names of scikit-learn and torch: where they may stand, and why."""

import ast
import inspect
from pathlib import Path

import imblearn.base
import pytest
import sklearn.base
from torch import nn

import skimb

PACKAGE = Path(skimb.__file__).parent

#: The one module that may use scikit-learn's private names.
EDGE = "_params.py"

LIBRARIES = ("sklearn", "imblearn", "torch", "skorch")

#: Private names that any module may use, with the reason.
ALLOWED = {
    "_parameter_constraints": "scikit-learn's idiom for estimators of other libraries",
    "_fit_resample": "imbalanced-learn asks samplers to define it",
    "_check_X_y": "imbalanced-learn asks samplers to define it",
    "_sampling_type": "imbalanced-learn asks samplers to define it",
    "_forward_hooks": "torch has no public way to ask whether a module has hooks",
    "_forward_pre_hooks": "torch has no public way to ask whether a module has hooks",
    "_BatchNorm": "a network of the user's own may subclass it; torch has no public base class",
}


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def private_members():
    """Private names of the classes that estimators, samplers and modules inherit from."""
    classes = [
        value
        for module in (sklearn.base, imblearn.base)
        for value in vars(module).values()
        if inspect.isclass(value)
    ]
    names = {name for cls in classes for name in dir(cls)} | set(dir(nn.Module()))
    return {name for name in names if is_private(name)}


MEMBERS = private_members()


def private_names(source):
    """Yield the line and the name of each use of a private name of a library in some source."""
    tree = ast.parse(source)
    aliases = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                if parts[0] in LIBRARIES:
                    aliases.add(alias.asname or parts[0])
                    yield from ((node.lineno, part) for part in parts if is_private(part))
        elif isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if parts[0] in LIBRARIES:
                aliases.update(alias.asname or alias.name for alias in node.names)
                parts += [alias.name for alias in node.names]
                yield from ((node.lineno, part) for part in parts if is_private(part))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            owner = ast.unparse(node.value).split(".")[0]
            if owner in aliases or node.attr in MEMBERS:
                yield node.lineno, node.attr
        # getattr(estimator, "_validate_params")
        elif isinstance(node, ast.Constant) and node.value in MEMBERS:
            yield node.lineno, node.value


SOURCES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", [path for path in SOURCES if path != EDGE])
def test_private_names_of_libraries_stand_in_params_alone(path):
    source = (PACKAGE / path).read_text(encoding="utf-8")
    found = [(line, name) for line, name in private_names(source) if name not in ALLOWED]
    assert not found, f"{path}: {found}. Use a public name, or add it to skimb/{EDGE}."


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("from sklearn.utils import _safe_indexing", "_safe_indexing"),
        ("from sklearn.utils._param_validation import Interval", "_param_validation"),
        ("import sklearn.metrics._scorer as scorer", "_scorer"),
        ("from sklearn.utils import validation\nvalidation._num_samples(X)", "_num_samples"),
        ("import torch\ntorch.nn.modules.batchnorm._NormBase", "_NormBase"),
        ("estimator._validate_params()", "_validate_params"),
        ("getattr(module, '_buffers')", "_buffers"),
    ],
    ids=lambda value: value if value.startswith("_") else "",
)
def test_a_private_name_is_found(source, name):
    assert [found for _, found in private_names(source)] == [name]


def imports_across_packages(path):
    """Yield imports of a private module, or a private name, of another package of skimb."""
    own = path.relative_to(PACKAGE).parts[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("skimb."):
            continue
        package, *modules = str(node.module).split(".")[1:]
        names = [*modules, *(alias.name for alias in node.names)]
        if package != own and any(map(is_private, names)):
            yield f"{path.relative_to(PACKAGE)}:{node.lineno} {node.module}"


def test_packages_use_no_private_names_of_each_other():
    found = [use for path in sorted(PACKAGE.rglob("*.py")) for use in imports_across_packages(path)]
    assert not found
