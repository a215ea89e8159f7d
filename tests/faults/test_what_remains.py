"""After a fit, neither processes nor memory of its training remain, also if it failed."""

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import weakref

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from torch import nn

from skimb.neural_network import CNNClassifier

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


class Workers(Callback):
    """Note the processes that read images during a training, and end it at a batch."""

    seen: set = set()

    def __init__(self, error=None):
        self.error = error

    def on_batch_end(self, net, training=False, **kwargs):
        self.seen.update(child.pid for child in multiprocessing.active_children())
        if self.error is not None and training and len(net.history[-1, "batches"]) == 3:
            raise self.error("stopped by a test")


class Failing(nn.Module):
    """A loss that raises an error in its third call in training mode."""

    def __init__(self, error):
        super().__init__()
        self.error, self.n_calls = error, 0

    def forward(self, outputs, target):
        self.n_calls += self.training
        if self.n_calls == 3:
            raise self.error("stopped by a test")
        return nn.functional.cross_entropy(outputs, target, reduction="none")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Paths of forty images, and labels."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.RandomState(0)
    paths = [str(folder / f"{i}.png") for i in range(40)]
    for path in paths:
        Image.fromarray(rng.randint(0, 255, (8, 8)).astype(np.uint8)).save(path)
    return np.array(paths), np.arange(40) % 2


def quick(**params):
    own = {"batch_size": 4, "max_epochs": 1, "augmentation": None, "random_state": 0}
    return CNNClassifier(**{**own, **params})


def children():
    """Return the ids of the processes that this one has started and that still run."""
    return {child.pid for child in multiprocessing.active_children()}


@pytest.fixture
def others():
    """Processes that run already, such as those that joblib keeps for its next call."""
    return children()


@pytest.mark.slow
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_no_worker_outlives_a_training_that_fails(error, early_stopping, files, others):
    Workers.seen.clear()
    clf = quick(num_workers=1, net_callbacks=[Workers(error)], early_stopping=early_stopping)
    with pytest.raises(error, match="stopped by a test") as kept:
        clf.fit(*files)
    assert Workers.seen - others
    # The traceback of the error is still there, and with it the frames of the training.
    assert kept.value.__traceback__ is not None
    assert not children() - others


INTERRUPTED = """
    import multiprocessing
    import sys

    from skorch.callbacks import Callback

    from skimb.neural_network import CNNClassifier


    class Workers(Callback):
        def on_batch_end(self, net, **kwargs):
            print(*[child.pid for child in multiprocessing.active_children()], flush=True)


    clf = CNNClassifier(num_workers=2, batch_size=4, max_epochs=10**6, net_callbacks=[Workers()])
    clf.fit(sys.argv[1:], [0, 1] * 20)
"""


@pytest.mark.exhaustive
@pytest.mark.slow
@on_linux
def test_no_worker_outlives_an_interrupt_from_outside(files):
    command = [sys.executable, "-c", textwrap.dedent(INTERRUPTED), *files[0]]
    # Only the process that trains gets the signal, as from ``kill -INT``.
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A test run in the background ignores interrupts, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout is not None
        workers = process.stdout.readline().split()
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert len(workers) == 2
    assert process.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in error
    assert not any(os.path.exists(f"/proc/{pid}") for pid in workers)


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_no_cycle_of_references_keeps_the_data(error):
    X = np.random.RandomState(0).rand(40, 8, 8).astype(np.float32)
    y, data = np.arange(40) % 2, weakref.ref(X)
    clf = quick(early_stopping=True, loss="cross_entropy" if error is None else Failing(error))
    gc.collect()
    gc.disable()
    try:
        try:
            clf.fit(X, y)
        except (ValueError, KeyboardInterrupt):
            assert error is not None
        del X
        assert data() is None
    finally:
        gc.enable()


@pytest.mark.exhaustive
@pytest.mark.slow
@on_linux
def test_fifty_fits_of_a_search_leave_no_process_no_file_and_no_memory(files, others):
    images = np.random.RandomState(0).rand(200, 32, 32).astype(np.float32)
    labels = np.arange(200) % 2

    def search(n_fits, X, y, **params):
        grid = {"random_state": range(n_fits // 2)}
        GridSearchCV(quick(**params), grid, cv=2, refit=False, error_score="raise").fit(X, y)

    def used():
        gc.collect()
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[1])
        n_tensors = sum(issubclass(type(one), torch.Tensor) for one in gc.get_objects())
        n_files = len(os.listdir("/proc/self/fd"))
        return n_tensors, n_files, pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def run(n_of_files, n_of_arrays):
        search(n_of_files, *files, num_workers=1)
        search(n_of_arrays, images, labels, module="linear", batch_size=100)

    run(2, 4)
    n_tensors, n_files, megabytes = used()
    run(6, 44)
    assert not children() - others
    now = used()
    assert now[:2] == (n_tensors, n_files)
    # If each fit kept its images alone, 44 fits would keep 18 MB.
    assert now[2] < megabytes + 10
