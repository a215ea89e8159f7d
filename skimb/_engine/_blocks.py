"""Predictions in blocks of equal size, so that a row gets the same values in any company."""

import copy
from collections import deque
from contextlib import nullcontext

import numpy as np
import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

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

#: Multiply-adds of a block: few enough that what it leaves between two layers stays in the cache of
#: a processor, and enough to keep a GPU busy.
WORK = {"cpu": 100_000_000, "cuda": 50_000_000_000}

#: Multiply-adds of a layer on a block that are worth the call of the layer.
WORK_PER_LAYER = 8_000_000

#: Rows of a block at most.
MOST_ROWS = 512

#: Rows of a block at least; half of that where a row is more work than this many multiply-adds.
FEWEST_ROWS, HEAVY_ROW = 16, 400_000_000

#: Numbers (float32) in the widest vector of a processor.
VECTOR = 16

#: Numbers that a function of logits reads at a time, and in how many rows at least and at most.
NUMBERS, FEWEST_ROWS_OF_LOGITS, MOST_ROWS_OF_LOGITS = 2**14, 32, 4096


def block_size(multiply_adds, device, n_layers=1):
    """Return how many rows each forward pass of a prediction has.

    Kernels are chosen by the number of rows: where it is always the same, a row gets the same
    values to the bit whatever rows come with it. A small block is cheap where a single row is
    asked for; a large one is faster on many rows, until it leaves the cache.

    Parameters
    ----------
    multiply_adds : int
        The work of one row.
    device : torch.device
        Where the network lies.
    n_layers : int, default=1
        Layers with weights: many that are small want more rows.

    Returns
    -------
    int
        A power of two: where kernels go by vectors, or split the rows over threads, no row is left
        over.
    """
    work = max(WORK[device.type], WORK_PER_LAYER * n_layers)
    wanted = 2 ** round(np.log2(work / max(1, multiply_adds)))
    fewest = FEWEST_ROWS if multiply_adds <= HEAVY_ROW else FEWEST_ROWS // 2
    return int(min(max(wanted, fewest), MOST_ROWS))


def fill_up(rows, n_rows):
    """Repeat the last row until there are so many.

    Parameters
    ----------
    rows : Tensor of shape (n, ...)
        At least one and at most `n_rows`.
    n_rows : int
        How many there shall be.

    Returns
    -------
    Tensor of shape (n_rows, ...)
        A copy: kernels are chosen by strides and alignment too, and in it these are always equal.
    """
    full = torch.empty((n_rows, *rows.shape[1:]), dtype=rows.dtype, device=rows.device)
    full[: len(rows)] = rows
    if len(rows) < n_rows:
        full[len(rows) :] = full[len(rows) - 1].clone()
    return full


def forward(module, images, n_rows, *, is_ragged):
    """Run a network in evaluation mode on one block.

    Parameters
    ----------
    module : nn.Module
        The network.
    images : Tensor of shape (n, C, H, W)
        At most `n_rows`, where the network lies.
    n_rows : int
        Rows of the block.
    is_ragged : bool
        What `has_ragged_weights` says.

    Returns
    -------
    Tensor of shape (n, ...)
    """
    rows = images.permute(0, 2, 3, 1)
    # Pixels that the module turns into float32 get memory of their own there.
    is_block = len(rows) == n_rows and rows.dtype != torch.float32
    if not is_block or rows.stride() != torch.empty(rows.shape, device="meta").stride():
        rows = fill_up(rows, n_rows)
    full = rows.permute(0, 3, 1, 2)
    with AlignedProducts() if is_ragged else nullcontext():
        return module(full)[: len(images)]


def by_blocks(function, values):
    """Apply a function of rows to an ndarray, in blocks of equal size and with one thread.

    Parameters
    ----------
    function : callable
        Tensor of shape (m, d) to Tensor of shape (m, k), row by row.
    values : ndarray of shape (n, d)
        The rows.

    Returns
    -------
    ndarray of shape (n, k)
    """
    rows = torch.from_numpy(np.ascontiguousarray(values))
    # A power of two, and of columns alone: see `block_size`.
    n_rows = 2 ** round(np.log2(NUMBERS / rows.shape[1]))
    n_rows = min(max(n_rows, FEWEST_ROWS_OF_LOGITS), MOST_ROWS_OF_LOGITS)
    with threads_for(0), torch.no_grad(), AlignedProducts():
        made = [function(fill_up(part, n_rows))[: len(part)] for part in rows.split(n_rows)]
    return torch.cat(made).numpy()


class AlignedProducts(TorchFunctionMode):
    """Within it, linear layers give a row the same bits wherever it stands in its block.

    Where a row does not fill whole vectors, the next one begins at another alignment, on which the
    order depends in which products of few columns are summed. Zeros fill the rows up.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Call a function of torch, with zeros at the end of the rows of a linear layer."""
        if func is F.linear and not kwargs and args[0].shape[-1] % VECTOR:
            rows, weight, *bias = args
            zeros = 0, VECTOR - rows.shape[-1] % VECTOR
            return func(F.pad(rows, zeros), F.pad(weight, zeros), *bias)
        return func(*args, **(kwargs or {}))


def has_ragged_weights(module):
    """Tell whether a network has weights whose rows do not fill whole vectors.

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
    """Return a network with copies of it that share its weights, for forward passes side by side.

    What a module keeps of a forward pass is then its own.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode.
    n_replicas : int
        How many are wanted.

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
        # Whatever keeps a user's module from being copied: it is not needed.
        return [module]
    return [module, *copies]


def map_side_by_side(functions, blocks):
    """Apply functions that do the same to blocks, each function in one thread at a time.

    Parameters
    ----------
    functions : list of callable
        As many as blocks are worked on side by side. None may wait for other threads.
    blocks : iterable
        Read in this thread, not far ahead.

    Yields
    ------
    object
        What becomes of each block, in their order.
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
