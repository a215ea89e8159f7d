"""Process-wide state: threads, locks that forks survive, and the global random generators."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from weakref import WeakSet

from joblib import cpu_count, parallel_config
from threadpoolctl import threadpool_limits

__all__ = [
    "ForkedLock",
    "exclusive",
    "in_threads",
    "is_forked",
    "n_threads",
    "within_thread_limit",
    "work_for_holder",
]

#: The most items that a thread takes at once: fewer cost time, and more could not be interrupted.
MOST_AT_ONCE = 16


class ForkedLock:
    """A lock that is free in a forked process, whatever thread held it in the parent.

    Only the thread that forks lives on in the child: any other one would never release its locks.

    Examples
    --------
    >>> from skimb._process import ForkedLock
    >>> lock = ForkedLock()
    >>> with lock:
    ...     lock.is_held()
    True
    """

    def __init__(self):
        self._lock = threading.Lock()
        #: What was acquired: a thread that forks in a block leaves it in the child too.
        self._taken = []
        _LOCKS.add(self)

    def __enter__(self):
        lock = self._lock
        lock.acquire()
        self._taken.append(lock)

    def __exit__(self, kind, exc, traceback):
        self._taken.pop().release()

    def is_held(self):
        """Tell whether any thread holds the lock."""
        return self._lock.locked()

    def _renew(self):
        self._lock = threading.Lock()


#: The locks of this process.
_LOCKS: WeakSet[ForkedLock] = WeakSet()


class _Turn:
    """The lock of this process."""

    lock = ForkedLock()
    is_forked = False


class _Thread(threading.local):
    """Whether this thread is in an exclusive block, or works for a thread that is."""

    is_inside = False


_thread = _Thread()


def _after_fork():
    for lock in list(_LOCKS):
        lock._renew()
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


def within_thread_limit():
    """Let OpenMP offer no more threads than ``OMP_THREAD_LIMIT`` allows, for a block.

    scikit-learn (1.9) gives a part of a search for nearest neighbours to each thread that OpenMP
    offers. Beyond the limit no thread starts, and the neighbours are whatever its memory holds.

    Returns
    -------
    context manager
    """
    limit = os.environ.get("OMP_THREAD_LIMIT")
    if not limit:
        return nullcontext()
    return threadpool_limits(min(int(limit), os.cpu_count() or 1), user_api="openmp")


def n_threads():
    """Return the number of threads in which this process may read files.

    It is the number of cores; in joblib's workers, the share of them that joblib states; and one
    in a forked process, such as a worker of torch, beside which others read.
    """
    if is_forked():
        return 1
    share = os.environ.get("OMP_NUM_THREADS", "")
    return min(cpu_count(), int(share)) if share.isdecimal() else cpu_count()


def in_threads(function, items, n_threads):
    """Return the values of a function of each item, which several threads compute.

    joblib's threads take one item at a time, which costs as much as decoding a small image, and
    where a user has chosen another backend they are processes.

    Parameters
    ----------
    function : callable
        It releases the interpreter for most of its time, or threads gain nothing.
    items : sequence
    n_threads : int

    Returns
    -------
    list
    """
    if n_threads < 2 or len(items) < 2:
        return [function(item) for item in items]
    n_at_once = min(MOST_AT_ONCE, -(-len(items) // n_threads))
    parts = [items[start : start + n_at_once] for start in range(0, len(items), n_at_once)]
    # It ends with the call: a process that is forked later has no threads that it waits for.
    with ThreadPoolExecutor(min(n_threads, len(parts))) as pool:
        done = pool.map(lambda part: [function(item) for item in part], parts)
        return [value for values in done for value in values]
