"""A fork never waits for a lock that a thread of its parent holds."""

import os
import signal
import threading
import time

import pytest
from PIL import Image

from skimb._image_decoding import _STRICT
from skimb._image_files import read_images
from skimb._process import ForkedLock, exclusive
from skimb.ensemble._rebagg import _Blas
from skimb.neural_network._embedding_cache import MemoryCache
from skimb.under_sampling._cluster import LOCK

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")


def forked_while_held(lock, work):
    """Fork while another thread holds a lock; return the exit status of work in the child."""
    held, let_go = threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            let_go.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    try:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            found, status = os.waitpid(child, os.WNOHANG)
            if found:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return None
    finally:
        let_go.set()
        thread.join()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_fork_reads_files_while_a_thread_of_its_parent_begins_to(tmp_path):
    path = tmp_path / "image.png"
    Image.new("L", (4, 4)).save(path)
    assert forked_while_held(_STRICT.lock, lambda: read_images([path])) == 0


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize(
    "lock", [LOCK, _Blas.lock, MemoryCache().lock, ForkedLock()], ids=["k", "b", "m", "new"]
)
def test_no_lock_is_held_in_a_fork(lock):
    def work():
        with lock:
            pass

    assert forked_while_held(lock, work) == 0


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_fork_has_its_turn():
    def work():
        with exclusive():
            pass

    assert forked_while_held(exclusive(), work) == 0


def test_a_thread_that_forks_in_a_block_leaves_it_in_both_processes():
    lock = ForkedLock()
    with lock:
        child = os.fork()
        if child == 0:
            with lock:
                pass
    if child == 0:
        os._exit(7 + lock.is_held())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert not lock.is_held()
