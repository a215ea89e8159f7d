"""The state of the machine during a fit: device, seeds and threads, all handed back as found."""

import os
import threading
from contextlib import contextmanager

import torch

__all__ = ["prediction_rows", "resolve_device", "seeded", "threads_for"]

#: Multiply-adds that keep one thread busy long enough to be worth a second one, and few enough
#: that what a batch of predictions leaves between two layers stays in the cache.
WORK_PER_THREAD = 200_000_000

#: Threads at most: beyond these a machine that lends fewer cores than it has suffers.
MOST_THREADS = 8

#: Rows a batch of predictions at most.
MOST_ROWS = 512


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

    Parameters
    ----------
    seed : int
        Seed of the block.
    device : torch.device
        The device whose generator the block uses, beside the CPU's.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


class _Threads:
    """The number of torch's threads as it was before the first of several overlapping blocks."""

    lock = threading.Lock()
    n_inside = 0
    before = 1


@contextmanager
def threads_for(work):
    """Run the block with a number of threads that the size of the work alone decides.

    The order in which torch sums depends on its number of threads, and joblib's workers have
    another number than the main process: a fixed number makes results equal to the bit in both. It
    is never more than the machine has cores, and no setting but ``OMP_THREAD_LIMIT`` changes it.

    Parameters
    ----------
    work : int
        Multiply-adds of what is done at a time.
    """
    with _Threads.lock:
        if _Threads.n_inside == 0:
            _Threads.before = torch.get_num_threads()
        _Threads.n_inside += 1
        torch.set_num_threads(_threads(work))
    try:
        yield
    finally:
        with _Threads.lock:
            _Threads.n_inside -= 1
            if _Threads.n_inside == 0:
                torch.set_num_threads(_Threads.before)


def _most_threads():
    # The cores of the machine, not those that a job or a worker may use: these differ from process
    # to process. OpenMP's hard limit is the exception: beyond it torch waits for threads that
    # never come.
    limit = int(os.environ.get("OMP_THREAD_LIMIT") or MOST_THREADS)
    return min(MOST_THREADS, os.cpu_count() or 1, limit)


def _threads(work):
    return int(max(1, min(work // WORK_PER_THREAD, _most_threads())))


def prediction_rows(multiply_adds, device):
    """Return how many rows a batch of predictions shall have.

    Parameters
    ----------
    multiply_adds : int
        The work of one image.
    device : torch.device
        Where the network lies.

    Returns
    -------
    int
    """
    if device.type != "cpu":
        return MOST_ROWS
    n_rows = _most_threads() * WORK_PER_THREAD // max(1, multiply_adds)
    return int(min(max(n_rows, 16), MOST_ROWS))
