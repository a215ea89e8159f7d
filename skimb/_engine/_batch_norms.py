"""Batch-norm statistics, re-estimated from the last batches of a training."""

from collections import deque

import numpy as np
import torch

from skimb._engine._mixed_batch import MixedBatch, joined
from skimb._networks import batch_norms

__all__ = ["RecentBatches"]


class RecentBatches:
    """The last batches of a training, from which batch-norm statistics are re-estimated.

    Moving averages lag some ten steps behind the weights. So after short epochs, or at a high
    learning rate, a good network can look as if it had collapsed [1]_.
    ``torch.optim.swa_utils.update_bn`` does the same from a data loader; here dropout stays off,
    small batches are joined, and the counters of batches are kept.

    Parameters
    ----------
    module : nn.Module
        The network. If it has no batch norm that tracks statistics, no batch is kept.
    shape : tuple of int
        ``(n, H, W, C)`` of the images. If they are small, more samples are kept, for equal
        precision.
    batch_size : int
        Number of samples in a batch.

    References
    ----------
    .. [1] Wu and Johnson, Rethinking "Batch" in BatchNorm, 2021, arXiv:2105.07576.
    """

    def __init__(self, module, shape, batch_size):
        n_samples = min(max(2**21 // (shape[1] * shape[2]), 64), 2048) if batch_norms(module) else 0
        self.shape = shape
        self.batches = deque(maxlen=-(-n_samples // batch_size))

    def keep(self, images):
        """Keep a batch: a Tensor of shape (n, C, H, W), or a MixedBatch."""
        self.batches.append(images)

    def state(self):
        """Return the batches as plain values, for a checkpoint."""
        return [
            (batch.images, batch.table, batch.n_images) if isinstance(batch, MixedBatch) else batch
            for batch in self.batches
        ]

    def take(self, state):
        """Take the batches of a checkpoint."""
        self.batches.extend(
            batch if isinstance(batch, torch.Tensor) else MixedBatch(*batch) for batch in state
        )

    def re_estimate(self, module, norms, device, n_most=None):
        """Set the statistics of batch norms, for the present weights.

        Parameters
        ----------
        module : nn.Module
            The network, in evaluation mode.
        norms : list of nn.Module
            Its batch norms that train; those that it keeps in evaluation mode are not changed.
        device : torch.device
            The device of the network.
        n_most : int, default=None
            The largest number of samples that fit in memory at once; None: batches fit.
        """
        if not norms:
            return
        counters = [norm.get_buffer("num_batches_tracked") for norm in norms]
        before = [
            (norm.momentum, counter.clone()) for norm, counter in zip(norms, counters, strict=True)
        ]
        # In training mode the outermost module does no test-time augmentation.
        for layer in (module, *norms):
            layer.training = True
        try:
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None
            with torch.no_grad():
                for batch in _larger(list(self.batches)):
                    n_parts = 1 if n_most is None else -(-len(batch) // n_most)
                    for part in batch.tensor_split(n_parts):
                        module(part.to(device))
        finally:
            for norm, counter, (momentum, n_batches) in zip(norms, counters, before, strict=True):
                norm.momentum = momentum
                counter.copy_(n_batches)
            module.eval()


def _larger(batches, n_samples=32):
    """Join small batches to parts of at least `n_samples`; the last part takes the remainder."""
    n_parts = max(1, sum(map(len, batches)) // max(n_samples, len(batches[0])))
    for places in np.array_split(np.arange(len(batches)), n_parts):
        yield joined([batches[place] for place in places])
