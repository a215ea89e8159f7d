"""Process-wide state: a lock for the global random generators and the number of threads."""

import os
import threading
from contextlib import contextmanager

from joblib import parallel_config

__all__ = ["exclusive", "is_forked", "work_for_holder"]


class _Turn:
    """The lock of this process."""

    lock = threading.Lock()
    is_forked = False


class _Thread(threading.local):
    """Whether this thread is in an exclusive block, or works for a thread that is."""

    is_inside = False


_thread = _Thread()


def _after_fork():
    # Another thread of the parent may have held the lock, and would never release it in the child.
    _Turn.lock = threading.Lock()
    _Turn.is_forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def exclusive():
    """Run a block while no other thread of this process runs such a block.

    Torch's dropout and initialisation draw from a generator that all threads share, and numpy has
    such a generator too: only one thread at a time may seed, use and restore them. Blocks may be
    nested. Within a block, joblib runs its jobs one after the other, unless another backend is
    requested: otherwise jobs in threads could wait for the end of this block, and the block for
    the jobs.
    """
    if _thread.is_inside:
        yield
        return
    with _Turn.lock, parallel_config(backend="sequential"):
        _thread.is_inside = True
        try:
            yield
        finally:
            _thread.is_inside = False


def work_for_holder():
    """Let this thread work for a thread that is in an exclusive block and waits for it."""
    _thread.is_inside = True


def is_forked():
    """Tell whether this process is a fork of another one, as joblib's multiprocessing makes."""
    return _Turn.is_forked
