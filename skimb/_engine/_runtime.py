"""The state of the machine during a fit: device, seeds and threads, all restored afterwards."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext

import torch
from sklearn import config_context, get_config

from skimb._process import exclusive, is_forked, work_for_holder

__all__ = [
    "is_available",
    "resolve_device",
    "seeded",
    "threads_beside",
    "threads_for",
    "with_live_threads",
    "without_tf32",
    "worker_threads",
]

#: Multiply-adds from which a second thread is worth its cost.
WORK_PER_THREAD = 200_000_000

#: Largest number of threads: with more, a machine that offers fewer cores than it has slows down.
MOST_THREADS = 8


def resolve_device(device):
    """Turn the `device` parameter into a torch device that is available.

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
        If torch does not know the name, or the device is not available.
    """
    name = device
    if device == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(name)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, ImportError) as exc:
        if is_forked() and str(name).startswith("cuda"):
            raise ValueError(
                f"`device`={device!r} cannot be used here: this process is a fork of one that has "
                "used CUDA, and CUDA does not work in forks. Let jobs run with joblib's backend "
                "'loky' or 'threading' in place of 'multiprocessing', or use device='cpu'."
            ) from exc
        reason = str(exc).splitlines()[0]
        raise ValueError(
            f"`device`={device!r} cannot be used here: {reason} Use 'auto', 'cpu', or a CUDA "
            "device of this machine."
        ) from exc
    if found.type not in ("cpu", "cuda"):
        raise ValueError(f"`device` must be 'auto', 'cpu' or a CUDA device. Got {device!r}.")
    return found


def is_available(device):
    """Return whether a device can be used here.

    Parameters
    ----------
    device : str or torch.device
        As for `resolve_device`.

    Returns
    -------
    bool
    """
    try:
        resolve_device(device)
    except ValueError:
        return False
    return True


@contextmanager
def seeded(seed, device):
    """Seed torch for the block, and restore the caller's generators afterwards.

    Torch's generators belong to the whole process, so no other thread may be in such a block.

    Parameters
    ----------
    seed : int
        Seed of the block.
    device : torch.device
        The device whose generator the block uses, in addition to that of the CPU.
    """
    devices = [device] if device.type == "cuda" else []
    # New tensors lie on the host or on the device, whatever the caller has set as torch's default.
    is_elsewhere = torch.get_default_device().type not in ("cpu", device.type)
    default = torch.device(device) if is_elsewhere else nullcontext()
    with exclusive(), torch.random.fork_rng(devices=devices), default:
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def threads_for(work):
    """Run the block with a number of threads that depends on the size of the work alone.

    The order in which torch sums depends on its number of threads, and joblib's workers have
    another number than the main process: with a fixed number, results are bitwise equal in both. It
    is never larger than the number of cores of the machine, and no setting but ``OMP_THREAD_LIMIT``
    changes it. On a CUDA device, convolutions sum in a fixed order too. No other thread of the
    process may be in such a block.

    Parameters
    ----------
    work : int
        Multiply-adds of one call.
    """
    n_threads = _threads(work)
    with exclusive(), _fixed_order():
        before = torch.get_num_threads()
        if n_threads != before:
            torch.set_num_threads(n_threads)
        try:
            yield
        finally:
            if torch.get_num_threads() != before:
                torch.set_num_threads(before)


@contextmanager
def _fixed_order():
    """Let cuDNN choose kernels that sum in a fixed order, and choose the same ones in each run."""
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before


@contextmanager
def without_tf32():
    """Let products on a CUDA device keep the 24 bits of float32, so that results can be compared.

    By default, convolutions round their inputs to 11 bits (TF32). No other thread of the process
    may be in such a block.
    """
    cudnn, cuda = torch.backends.cudnn, torch.backends.cuda
    if hasattr(cudnn, "conv"):
        places, name, exact = (cudnn.conv, cuda.matmul), "fp32_precision", "ieee"
    else:
        # Before torch 2.9.
        places, name, exact = (cudnn, cuda.matmul), "allow_tf32", False
    with exclusive():
        before = [getattr(place, name) for place in places]
        try:
            for place in places:
                setattr(place, name, exact)
            yield
        finally:
            for place, value in zip(places, before, strict=True):
                setattr(place, name, value)


def _threads(work):
    # All cores of the machine, not only those that a job or a worker may use, which differ from
    # process to process. OpenMP's hard limit is the exception: beyond it torch waits for threads
    # that never start.
    limit = int(os.environ.get("OMP_THREAD_LIMIT") or MOST_THREADS)
    most = min(MOST_THREADS, os.cpu_count() or 1, limit)
    return int(max(1, min(work // WORK_PER_THREAD, most)))


def threads_beside(work, n_blocks):
    """Return how many blocks of predictions are worked on in parallel.

    No result depends on it, so it follows the number of threads that the caller has set in torch: a
    worker of joblib has fewer threads than the main process.

    Parameters
    ----------
    work : int
        Multiply-adds of a block, as for `threads_for`.
    n_blocks : int
        Number of blocks.

    Returns
    -------
    int
    """
    n_threads = torch.get_num_threads() // _threads(work)
    return int(max(1, min(n_threads, n_blocks, work * n_blocks // WORK_PER_THREAD)))


def worker_threads(n_workers):
    """Return a pool of threads that work for the caller, which is in `threads_for` and waits.

    Parameters
    ----------
    n_workers : int
        Number of threads. None may wait for other threads.

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

    A forked process has only the thread that called, not the threads of OpenMP, for which it would
    wait for ever. A new thread starts new ones.

    Parameters
    ----------
    function : callable
        The function to call.
    *args
        Its arguments.

    Returns
    -------
    object
        The result of the function.
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
