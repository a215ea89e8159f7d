"""Batch-norm statistics, re-estimated from the last batches of a training."""

from collections import deque

import numpy as np
import torch

from skimb._networks import batch_norms

__all__ = ["RecentBatches"]


class RecentBatches:
    """The last batches of a training, from which batch-norm statistics are re-estimated.

    Moving averages lag some ten steps behind the weights, so that after short epochs, or at a high
    rate, a sound network looks as if it had collapsed [1]_. ``torch.optim.swa_utils.update_bn``
    does the same from a data loader; here dropout stays off, small batches are joined, and the
    counters of batches are kept.

    Parameters
    ----------
    module : nn.Module
        Where it has no norm that tracks statistics, no batch is kept.
    shape : tuple of int
        ``(n, H, W, C)`` of the images: more samples are kept of small ones, for equal precision.
    batch_size : int
        Samples in a batch.

    References
    ----------
    .. [1] Wu and Johnson, Rethinking "Batch" in BatchNorm, 2021, arXiv:2105.07576.
    """

    def __init__(self, module, shape, batch_size):
        n_samples = min(max(2**21 // (shape[1] * shape[2]), 64), 2048) if batch_norms(module) else 0
        self.batches = deque(maxlen=-(-n_samples // batch_size))

    def keep(self, images):
        """Keep a batch, a Tensor of shape (n, C, H, W)."""
        self.batches.append(images)

    def re_estimate(self, module, norms, device):
        """Set the statistics of norms, with the weights as they are.

        Parameters
        ----------
        module : nn.Module
            In evaluation mode.
        norms : list of nn.Module
            Its batch norms that train; those that it keeps in evaluation mode stay as they are.
        device : torch.device
            Where it lies.
        """
        if not norms:
            return
        counters = [norm.get_buffer("num_batches_tracked") for norm in norms]
        before = [
            (norm.momentum, counter.clone()) for norm, counter in zip(norms, counters, strict=True)
        ]
        # In training mode the outermost module does not average over views.
        for layer in (module, *norms):
            layer.training = True
        try:
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None
            with torch.no_grad():
                for part in _joined(list(self.batches)):
                    module(part.to(device))
        finally:
            for norm, counter, (momentum, n_batches) in zip(norms, counters, before, strict=True):
                norm.momentum = momentum
                counter.copy_(n_batches)
            module.eval()


def _joined(batches, n_samples=32):
    """Join small batches to parts of at least so many samples, the last with the remainder."""
    n_parts = max(1, sum(map(len, batches)) // max(n_samples, len(batches[0])))
    for places in np.array_split(np.arange(len(batches)), n_parts):
        yield torch.cat([batches[place] for place in places])
