import os
import re
import sys

import numpy as np
import pytest
from hypothesis import settings
from sklearn.model_selection import train_test_split

from skimb.datasets import load_imbalanced_digits

# How long an example takes depends on what else the machine does.
settings.register_profile("skimb", deadline=None)
settings.load_profile("skimb")

#: Where the examples of docstrings train networks, and so do those of the README.
TRAINING = (
    "README.md",
    "skimb/metrics/_classification.py",
    "skimb/model_selection/",
    "skimb/neural_network/",
    "skimb/study/",
)


def pytest_configure(config):
    """Give each process of pytest-xdist its share of the cores, before it loads a library.

    Where each had as many threads as there are cores, threads would wait for one another most of
    the time. No result depends on the number. Processes that tests start are given it too.
    """
    n_processes = getattr(config.option, "numprocesses", None) or 1
    if n_processes > 1:
        n_threads = max(1, (os.cpu_count() or 1) // n_processes)
        os.environ.setdefault("OMP_NUM_THREADS", str(n_threads))


def pytest_collection_modifyitems(items):
    """Mark examples that train, and refuse an id that holds the address of an object."""
    for item in items:
        if isinstance(item, pytest.DoctestItem) and item.nodeid.startswith(TRAINING):
            item.add_marker(pytest.mark.slow)
    # Processes of pytest-xdist must collect equal ids, and --last-failed must find them again.
    changing = [item.nodeid for item in items if re.search("0x[0-9a-f]{6}", item.nodeid)]
    if changing:
        raise pytest.UsageError(
            "The ids of these tests change with each run, as they hold the address of an object. "
            "Give `ids` to parametrize:\n" + "\n".join(changing)
        )


@pytest.fixture(scope="session", autouse=True)
def cuda_as_found():
    """Let "auto" mean the CPU, whose promises tests are about, whatever the machine has.

    It yields what a test that is marked `cuda` needs again.
    """
    name, torch = "CUDA_VISIBLE_DEVICES", sys.modules.get("torch")
    found = os.environ.get(name), torch and torch.cuda.is_available
    with pytest.MonkeyPatch.context() as patch:
        # For processes that tests start, and for torch where it is imported later.
        patch.setenv(name, "")
        if torch is not None:
            patch.setattr(torch.cuda, "is_available", lambda: False)
        yield found


@pytest.fixture(autouse=True)
def cpu_unless_marked(request, cuda_as_found):
    """Give the CUDA devices back to a test that is about them."""
    if request.node.get_closest_marker("cuda") is None:
        yield
        return
    names, is_available = cuda_as_found
    with pytest.MonkeyPatch.context() as patch:
        if names is None:
            patch.delenv("CUDA_VISIBLE_DEVICES")
        else:
            patch.setenv("CUDA_VISIBLE_DEVICES", names)
        patch.setattr("torch.cuda.is_available", is_available)
        yield


@pytest.fixture(scope="session")
def digits():
    """Real images, 20:1, split: X_train, X_test, y_train, y_test with string labels."""
    X, y = load_imbalanced_digits(return_X_y=True)
    y = np.array(["rest", "eight"])[y]
    return train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)


@pytest.fixture(scope="session")
def small_digits(digits):
    """A quarter of the training part, for tests that only need real images."""
    X, _, y, _ = digits
    return train_test_split(X, y, train_size=0.25, stratify=y, random_state=0)[::2]
