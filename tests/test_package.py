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


#: Its functions are for other estimators that train together, and take parts of a fit.
OF_PARTS = "skimb.neural_network.joint_training."


@pytest.mark.parametrize(
    ("name", "function"),
    [
        (name, item)
        for name, item in public_objects()
        if inspect.isfunction(item) and not name.startswith(OF_PARTS)
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_public_function_says_the_types_of_its_parameters_and_of_its_result(name, function):
    signature = inspect.signature(function)
    empty = inspect.Signature.empty
    assert signature.return_annotation is not empty
    assert not [p.name for p in signature.parameters.values() if p.annotation is empty]


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
