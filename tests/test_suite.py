"""The tests themselves: equal names in every process, whose warnings are errors, the CPU."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from skimb._engine import resolve_device

ROOT = Path(__file__).parents[1]

PLUGIN = """
import sys
import warnings

import pytest

warnings.warn("old at import", DeprecationWarning, stacklevel=1)
warnings.warn("old at import, says its importer", DeprecationWarning, stacklevel=2)


def pytest_configure(config):
    warnings.warn("old when configured", FutureWarning)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item):
    warnings.warn("old in each test", DeprecationWarning)
    sys.modules.pop("old_dependency", None)
    import old_dependency
    yield
"""

WARNING_TESTS = """
import warnings

import numpy as np
import pandas as pd


def test_quiet():
    pass


def test_own():
    warnings.warn("own", DeprecationWarning)


def test_use_of_a_dependency():
    np.log(np.zeros(1))


def test_unraisable():
    class Failing:
        def __del__(self):
            raise ValueError("in a finaliser")

    Failing()
"""

FAKE_CUDA = """
import torch

torch.cuda.is_available = lambda: True
"""


def run_pytest(folder, *arguments):
    command = [sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml")]
    found = subprocess.run(
        [*command, "--rootdir", str(ROOT), "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])},
        capture_output=True,
        text=True,
    )
    return found.stdout + found.stderr


def test_names_of_tests_are_equal_in_every_process(request):
    # pytest-xdist collects in each of its processes, and refuses names that differ.
    names = [item.nodeid for item in request.session.items]
    assert [name for name in names if re.search("0x[0-9a-f]{6}", name)] == []


@pytest.mark.exhaustive
@pytest.mark.slow
def test_warnings_of_a_plugin_are_no_errors_and_our_own_are(tmp_path):
    (tmp_path / "old_plugin.py").write_text(PLUGIN)
    (tmp_path / "old_dependency.py").write_text(
        "import warnings\nwarnings.warn('old', DeprecationWarning, stacklevel=2)\n"
    )
    (tmp_path / "test_warnings.py").write_text(WARNING_TESTS)
    output = run_pytest(tmp_path, "-p", "old_plugin", str(tmp_path / "test_warnings.py"))
    failed = re.findall(r"FAILED .*::(\w+)", output)
    assert sorted(failed) == ["test_own", "test_unraisable", "test_use_of_a_dependency"], output
    assert "1 passed" in output


@pytest.mark.exhaustive
@pytest.mark.slow
def test_networks_of_tests_lie_on_the_cpu_whatever_the_machine_has(tmp_path):
    (tmp_path / "fake_cuda.py").write_text(FAKE_CUDA)
    tests = ROOT / "tests" / "neural_network" / "test_embedder.py"
    names = (
        "test_a_frozen_network_gives_its_embedding",
        "test_a_layer_by_name_gives_the_mean_over_its_maps",
        "test_weights_reach_the_training",
    )
    output = run_pytest(tmp_path, "-p", "fake_cuda", *(f"{tests}::{name}" for name in names))
    assert "3 passed" in output


@pytest.mark.slow
def test_auto_is_the_cpu_here_and_in_processes_that_a_test_starts():
    assert resolve_device("auto").type == "cpu"
    code = "import torch; assert not torch.cuda.is_available()"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.cuda
def test_a_test_about_cuda_sees_the_devices_of_the_machine(cuda_as_found):
    assert torch.cuda.is_available is cuda_as_found[1]
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == cuda_as_found[0]
