"""Predictions in blocks of equal size, in which no sample changes the values of another."""

import copy
from collections import deque
from contextlib import nullcontext

import numpy as np
import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from skimb._engine._mixed_batch import MixedBatch
from skimb._engine._runtime import threads_for, with_live_threads, worker_threads

__all__ = [
    "block_size",
    "by_blocks",
    "fill_up",
    "forward",
    "has_ragged_weights",
    "map_side_by_side",
    "replicas",
]

#: Multiply-adds of a block: few enough that the values between two layers stay in the cache of a
#: processor, and enough to keep a GPU busy.
WORK = {"cpu": 100_000_000, "cuda": 50_000_000_000}

#: The least multiply-adds of a layer on a block that are worth the call of the layer.
WORK_PER_LAYER = 8_000_000

#: Largest number of samples in a block.
MOST_SAMPLES = 512

#: Least number of samples in a block; half of it where a sample takes more than `HEAVY_SAMPLE`
#: multiply-adds.
FEWEST_SAMPLES, HEAVY_SAMPLE = 16, 400_000_000

#: Numbers (float32) in the widest vector of a processor.
VECTOR = 16

#: Numbers that a function of logits reads at a time, and the least and the largest number of rows.
NUMBERS, FEWEST_ROWS_OF_LOGITS, MOST_ROWS_OF_LOGITS = 2**14, 32, 4096


def block_size(multiply_adds, device, n_layers=1):
    """Return the number of samples in each forward pass of a prediction.

    Kernels are chosen by the number of samples: if it is always the same, a sample gets bitwise the
    same values whatever other samples are in the block. A small block is cheap for a single sample;
    a large one is faster for many samples, until it does not fit in the cache.

    Parameters
    ----------
    multiply_adds : int
        The work of one sample.
    device : torch.device
        The device of the network.
    n_layers : int, default=1
        Number of layers with weights: many small layers need more samples.

    Returns
    -------
    int
        A power of two: if kernels work by vectors, or divide the samples among threads, no sample
        is left over.
    """
    work = max(WORK[device.type], WORK_PER_LAYER * n_layers)
    wanted = 2 ** round(np.log2(work / max(1, multiply_adds)))
    fewest = FEWEST_SAMPLES if multiply_adds <= HEAVY_SAMPLE else FEWEST_SAMPLES // 2
    return int(min(max(wanted, fewest), MOST_SAMPLES))


def fill_up(rows, n_samples):
    """Repeat the last sample until there are `n_samples`.

    Parameters
    ----------
    rows : Tensor of shape (n, ...)
        At least one and at most `n_samples` samples.
    n_samples : int
        The number of samples that is wanted.

    Returns
    -------
    Tensor of shape (n_samples, ...)
        A copy: kernels are chosen by strides and alignment too, which are always equal in a copy.
    """
    full = torch.empty((n_samples, *rows.shape[1:]), dtype=rows.dtype, device=rows.device)
    full[: len(rows)] = rows
    if len(rows) < n_samples:
        full[len(rows) :] = full[len(rows) - 1].clone()
    return full


def forward(module, images, n_samples, *, is_ragged):
    """Run a network in evaluation mode on one block.

    Parameters
    ----------
    module : nn.Module
        The network.
    images : Tensor of shape (n, C, H, W), or MixedBatch
        At most `n_samples` images, on the device of the network.
    n_samples : int
        Number of samples in the block.
    is_ragged : bool
        The result of `has_ragged_weights`.

    Returns
    -------
    Tensor of shape (n, ...)
    """
    batch = images
    if isinstance(batch, MixedBatch):
        images = batch.images
        table = fill_up(batch.table, n_samples)
    rows = images.permute(0, 2, 3, 1)
    # The module turns other pixels into float32, which are in new memory then.
    is_block = len(rows) == n_samples and rows.dtype != torch.float32
    if not is_block or rows.stride() != torch.empty(rows.shape, device="meta").stride():
        rows = fill_up(rows, n_samples)
    full = rows.permute(0, 3, 1, 2)
    if isinstance(batch, MixedBatch):
        full = MixedBatch(full, table, batch.n_images)
    with AlignedProducts() if is_ragged else nullcontext():
        return module(full)[: len(images)]


def by_blocks(function, values):
    """Apply a function to the rows of an ndarray, in blocks of equal size and with one thread.

    Parameters
    ----------
    function : callable
        A function that turns a Tensor of shape (m, d) into one of shape (m, k), row by row.
    values : ndarray of shape (n, d)
        The rows.

    Returns
    -------
    ndarray of shape (n, k)
    """
    rows = torch.from_numpy(np.ascontiguousarray(values))
    # A power of two that depends on the number of columns only: see `block_size`.
    n_samples = 2 ** round(np.log2(NUMBERS / rows.shape[1]))
    n_samples = min(max(n_samples, FEWEST_ROWS_OF_LOGITS), MOST_ROWS_OF_LOGITS)
    with threads_for(0), torch.no_grad(), AlignedProducts():
        made = [function(fill_up(part, n_samples))[: len(part)] for part in rows.split(n_samples)]
    return torch.cat(made).numpy()


class AlignedProducts(TorchFunctionMode):
    """In this mode, linear layers give a row the same bits at any position in its block.

    If a row does not fill whole vectors, the next one begins at another alignment, and the order in
    which products of few columns are summed depends on the alignment. So rows are padded with
    zeros.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Call a function of torch, with zeros at the end of the rows of a linear layer."""
        if func is F.linear and not kwargs and args[0].shape[-1] % VECTOR:
            rows, weight, *bias = args
            zeros = 0, VECTOR - rows.shape[-1] % VECTOR
            return func(F.pad(rows, zeros), F.pad(weight, zeros), *bias)
        return func(*args, **(kwargs or {}))


def has_ragged_weights(module):
    """Return whether a network has weights whose rows do not fill whole vectors.

    Parameters
    ----------
    module : nn.Module

    Returns
    -------
    bool
    """
    tensors = (*module.parameters(), *module.buffers())
    return any(tensor.ndim == 2 and tensor.shape[1] % VECTOR > 0 for tensor in tensors)


def replicas(module, n_replicas):
    """Return a network with copies of it that share its weights, for forward passes in parallel.

    Each copy then keeps its own values of a forward pass.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode.
    n_replicas : int
        The number of networks that are wanted.

    Returns
    -------
    list of nn.Module
        The network alone where it cannot be copied, or has hooks, which expect one pass at a time.
    """
    if n_replicas < 2 or any(m._forward_hooks or m._forward_pre_hooks for m in module.modules()):
        return [module]
    shared = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    try:
        copies = [copy.deepcopy(module, dict(shared)) for _ in range(n_replicas - 1)]
    except Exception:
        # A user's module may fail to be copied for any reason; copies are not necessary.
        return [module]
    return [module, *copies]


def map_side_by_side(functions, blocks):
    """Apply equivalent functions to blocks, each function in one thread at a time.

    Parameters
    ----------
    functions : list of callable
        One for each block that is worked on in parallel. None may wait for other threads.
    blocks : iterable
        The blocks, read in this thread and not far ahead.

    Yields
    ------
    object
        The result for each block, in their order.
    """
    if len(functions) == 1:
        for block in blocks:
            yield with_live_threads(functions[0], block)
        return
    free, pending = deque(functions), deque()

    def oldest():
        function, future = pending.popleft()
        free.append(function)
        return future.result()

    with worker_threads(len(functions)) as pool:
        for block in blocks:
            if not free:
                yield oldest()
            function = free.popleft()
            pending.append((function, pool.submit(function, block)))
        while pending:
            yield oldest()
