"""Statistics of batch norms, re-estimated from the last batches."""

from collections import deque

import numpy as np
import torch

from skimb._networks._probes import batch_norms

__all__ = ["recent_batches"]


def recent_batches(module, shape, batch_size):
    """Return what keeps the last batches of images that norms are estimated from.

    Parameters
    ----------
    module : nn.Module
        Where it has no norm that remembers, nothing is kept.
    shape : tuple of int
        ``(n, H, W, C)``: of small images more are kept, for equal precision.
    batch_size : int
        Rows a batch.

    Returns
    -------
    deque
    """
    n_rows = min(max(2**21 // (shape[1] * shape[2]), 64), 2048) if batch_norms(module) else 0
    return deque(maxlen=-(-n_rows // batch_size))


def _in_parts(batches, n_rows=32):
    """Join small batches to parts of at least so many rows, the last with what is left over."""
    n_parts = max(1, sum(map(len, batches)) // max(n_rows, len(batches[0])))
    for places in np.array_split(np.arange(len(batches)), n_parts):
        yield torch.cat([batches[place] for place in places])
