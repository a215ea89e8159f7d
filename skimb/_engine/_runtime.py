"""The state of the machine during a fit: device, seeds and threads, all handed back as found."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch
from sklearn import config_context, get_config

from skimb._process import exclusive, is_forked, work_for_holder

__all__ = [
    "resolve_device",
    "seeded",
    "threads_beside",
    "threads_for",
    "with_live_threads",
    "worker_threads",
]

#: Multiply-adds that keep one thread busy long enough to be worth a second one.
WORK_PER_THREAD = 200_000_000

#: Threads at most: beyond these a machine that lends fewer cores than it has suffers.
MOST_THREADS = 8


def resolve_device(device):
    """Turn the `device` parameter into a torch device that is really there.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` (CUDA where there is one, else the CPU) or a name that torch knows.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If torch does not know the name, or the device is absent.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, ImportError) as exc:
        reason = str(exc).splitlines()[0]
        raise ValueError(
            f"`device`={device!r} cannot be used here: {reason} Use 'auto', 'cpu', or a CUDA "
            "device of this machine."
        ) from exc
    if found.type not in ("cpu", "cuda"):
        raise ValueError(f"`device` must be 'auto', 'cpu' or a CUDA device. Got {device!r}.")
    return found


@contextmanager
def seeded(seed, device):
    """Seed torch for the block, and hand back the caller's generators untouched.

    Torch's generators are those of the whole process, so no other thread is in such a block.

    Parameters
    ----------
    seed : int
        Seed of the block.
    device : torch.device
        The device whose generator the block uses, beside the CPU's.
    """
    devices = [device] if device.type == "cuda" else []
    with exclusive(), torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def threads_for(work):
    """Run the block with a number of threads that the size of the work alone decides.

    The order in which torch sums depends on its number of threads, and joblib's workers have
    another number than the main process: a fixed number makes results equal to the bit in both. It
    is never more than the machine has cores, and no setting but ``OMP_THREAD_LIMIT`` changes it.
    No other thread of the process is in such a block.

    Parameters
    ----------
    work : int
        Multiply-adds of what is done at a time.
    """
    n_threads = _threads(work)
    with exclusive():
        before = torch.get_num_threads()
        if n_threads != before:
            torch.set_num_threads(n_threads)
        try:
            yield
        finally:
            if torch.get_num_threads() != before:
                torch.set_num_threads(before)


def _threads(work):
    # The cores of the machine, not those that a job or a worker may use: these differ from process
    # to process. OpenMP's hard limit is the exception: beyond it torch waits for threads that
    # never come.
    limit = int(os.environ.get("OMP_THREAD_LIMIT") or MOST_THREADS)
    most = min(MOST_THREADS, os.cpu_count() or 1, limit)
    return int(max(1, min(work // WORK_PER_THREAD, most)))


def threads_beside(work, n_blocks):
    """Return how many blocks of predictions are worked on side by side.

    No value depends on it, so it follows what the caller gave torch: a worker of joblib's has fewer
    threads than the main process.

    Parameters
    ----------
    work : int
        Multiply-adds of a block, by which `threads_for` chooses.
    n_blocks : int
        How many there are.

    Returns
    -------
    int
    """
    n_threads = torch.get_num_threads() // _threads(work)
    return int(max(1, min(n_threads, n_blocks, work * n_blocks // WORK_PER_THREAD)))


def worker_threads(n_workers):
    """Return a pool of threads that work for the caller, who is in `threads_for` and waits.

    Parameters
    ----------
    n_workers : int
        How many. None may wait for other threads.

    Returns
    -------
    ThreadPoolExecutor
    """
    n_threads = torch.get_num_threads()

    def begin():
        work_for_holder()
        torch.set_num_threads(n_threads)

    return ThreadPoolExecutor(n_workers, initializer=begin)


def with_live_threads(function, *args):
    """Call a function within `threads_for` so that OpenMP has threads for it in a fork too.

    A fork takes over the thread that calls, but not those that have helped it, for which it would
    wait for ever. A new thread finds new ones.

    Parameters
    ----------
    function : callable
        What is called.
    *args
        Its arguments.

    Returns
    -------
    object
        What it returns.
    """
    if not is_forked() or torch.get_num_threads() == 1:
        return function(*args)
    config = get_config()

    def configured():
        # The configuration of scikit-learn belongs to a thread.
        with config_context(**config):
            return function(*args)

    with worker_threads(1) as pool:
        return pool.submit(configured).result()
