"""What importing skimb costs, and what its floors allow."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import skimb

WITHOUT_TORCH = [
    "skimb",
    "skimb.class_weight",
    "skimb.combine",
    "skimb.datasets",
    "skimb.ensemble",
    "skimb.inspection",
    "skimb.metrics",
    "skimb.model_selection",
    "skimb.over_sampling",
    "skimb.relevance",
    "skimb.testing",
    "skimb.under_sampling",
    "skimb.__main__",
]


def test_modules_of_numpy_do_not_import_torch():
    code = f"import sys, {', '.join(WITHOUT_TORCH)}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_help_of_the_command_line_imports_no_library_that_draws_or_trains():
    code = (
        "import contextlib, os, sys\n"
        "from skimb.__main__ import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(open(os.devnull, 'w')):\n"
        "    main(['--help'])\n"
        "assert not {'matplotlib', 'torch', 'skorch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_public_module_warns_as_it_is_imported(request):
    names = [info.name for info in pkgutil.walk_packages(skimb.__path__, "skimb.")]
    public = [name for name in names if not any(part[0] == "_" for part in name.split("."))]
    assert len(public) >= 14
    code = f"import skimb, {', '.join(public)}"
    # With the lowest versions, this run ignores what other libraries call deprecated.
    ignored = [f"-W{one}" for one in request.config.getoption("pythonwarnings") or ()]
    subprocess.run([sys.executable, "-Werror", *ignored, "-c", code], check=True)


def test_importing_skimb_imports_no_module_of_it():
    code = "import sys, skimb; assert not [m for m in sys.modules if m.startswith('skimb.')]"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_modules_are_attributes():
    code = "import skimb; skimb.metrics.imbalance_scoring; assert 'metrics' in dir(skimb)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        skimb.nonsense  # noqa: B018


def public_objects():
    for info in pkgutil.walk_packages(skimb.__path__, "skimb."):
        module = importlib.import_module(info.name)
        if not any(part.startswith("_") for part in info.name.split(".")):
            assert module.__doc__, info.name
            for name in module.__all__:
                yield f"{info.name}.{name}", getattr(module, name)


@pytest.mark.parametrize(
    ("name", "item"),
    [pair for pair in public_objects() if callable(pair[1])],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_public_object_is_documented_with_an_example(name, item):
    assert item.__doc__, name
    assert name.startswith("skimb.study.Comparison") or ">>>" in item.__doc__, name


def without_types(function):
    """Return the parameters that have no annotation, and "return" if the result has none."""
    signature = inspect.signature(function)
    annotations = {name: one.annotation for name, one in signature.parameters.items()}
    annotations["return"] = signature.return_annotation
    missing = [name for name, one in annotations.items() if one is inspect.Signature.empty]
    return [name for name in missing if name not in ("self", "cls")]


@pytest.mark.parametrize(
    ("name", "function"),
    [pair for pair in public_objects() if inspect.isfunction(pair[1])],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_public_function_says_the_types_of_its_parameters_and_of_its_result(name, function):
    assert not without_types(function)


def public_methods(cls):
    """Yield the functions of the public methods and properties of a class and its bases here."""
    for owner in cls.__mro__:
        if owner.__module__.split(".")[0] == "skimb":
            for name, member in vars(owner).items():
                # Of properties, cached ones, those of `available_if`, and class methods.
                for attribute in ("fget", "func", "fn", "__func__"):
                    member = getattr(member, attribute, member)
                if not name.startswith("_") and inspect.isfunction(member):
                    yield member


@pytest.mark.parametrize(
    ("name", "cls"),
    [pair for pair in public_objects() if inspect.isclass(pair[1])],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_public_method_and_property_says_its_types(name, cls):
    missing = {method: without_types(method) for method in public_methods(cls)}
    assert not {method.__qualname__: names for method, names in missing.items() if names}


def test_the_version_stands_in_one_place():
    root = Path(skimb.__file__).parents[1]
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    settings = tomllib.loads(text)
    assert "version" in settings["project"]["dynamic"]
    assert settings["tool"]["hatch"]["version"] == {"path": "skimb/__init__.py"}
    named = ("pyproject.toml", "CITATION.cff")
    assert not [n for n in named if skimb.__version__ in (root / n).read_text(encoding="utf-8")]


def test_the_lowest_versions_are_those_that_are_tested():
    root = Path(skimb.__file__).parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    names = ("augment", "onnx", "peft", "pretrained", "test")
    lists = [project["dependencies"], *(extras[name] for name in names)]
    promised = {}
    for requirement in map(Requirement, [text for texts in lists for text in texts]):
        if requirement.name != "skimb":
            # A single version may be left out.
            (bound,) = [part for part in requirement.specifier if part.operator != "!="]
            assert bound.operator == ">=", requirement
            promised[requirement.name.lower()] = Version(bound.version)
    tested, usual = (
        {
            name.lower(): Version(version)
            for name, version in re.findall(r"(?m)^([\w-]+)==(\S+)$", (root / file).read_text())
        }
        for file in ("constraints-lowest.txt", "constraints.txt")
    )
    # Older ones cannot be installed everywhere.
    assert tested.pop("torch") == usual["torch"] >= promised.pop("torch")
    assert tested == promised


def test_type_checkers_are_told_that_the_package_has_types():
    assert (Path(skimb.__file__).parent / "py.typed").is_file()


def test_the_citation_names_title_authors_and_licence():
    yaml = pytest.importorskip("yaml")
    path = Path(skimb.__file__).parents[1] / "CITATION.cff"
    citation = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["license"] == "BSD-3-Clause"
