"""Look at the loss of each batch while a network trains, and at the size of its gradients."""

import math

import torch

from skimb._engine._divergence import diverged

__all__ = ["LossWatch"]

#: Batches after which losses on a CUDA device are looked at. Each look waits for the device.
BATCHES_PER_LOOK = 32


class LossWatch:
    """Stop a training at the first batch whose loss is not finite.

    On the CPU each loss is looked at at once. On a CUDA device, where each look would wait for the
    device, losses are kept there and looked at after some batches and at the end of an epoch.

    Parameters
    ----------
    module : nn.Module
        The network, whose gradients are named where they are not clipped.
    """

    def __init__(self, module):
        self.module = module
        self.largest = None
        self.begin("train", 1)

    def begin(self, prefix, epoch):
        """Begin with the batches of a part.

        Parameters
        ----------
        prefix : {"train", "valid"}
            The part of the data.
        epoch : int
            Counted from 1.
        """
        self.prefix, self.epoch, self.n_seen = prefix, epoch, 0
        self.losses, self.norms = [], []

    def add(self, loss, norm=None):
        """Note the loss of a batch.

        Parameters
        ----------
        loss : Tensor of shape ()
            The mean loss.
        norm : Tensor of shape (), default=None
            The norm of the gradients before they were clipped; None: they are not clipped.

        Raises
        ------
        DivergenceError
            If the loss of this batch, or of one before that was not looked at, is not finite.
        """
        self.losses.append(loss)
        if norm is not None:
            self.norms.append(norm)
        if not loss.is_cuda or len(self.losses) == BATCHES_PER_LOOK:
            self.look()

    def look(self):
        """Look at the losses that were noted since the last look."""
        losses, norms = _on_host(self.losses), _on_host(self.norms)
        self.losses, self.norms = [], []
        for i, loss in enumerate(losses):
            batch = self.n_seen + i + 1
            norm = norms[i] if i < len(norms) else None
            if not math.isfinite(loss):
                raise diverged(self.prefix, self.epoch, loss, batch, self._gradients(norm))
            if norm is None or not math.isfinite(norm):
                continue
            if self.largest is None or norm > self.largest[0]:
                self.largest = norm, self.epoch, batch
        self.n_seen += len(losses)

    def _gradients(self, norm):
        """Return a sentence on the gradients of a batch."""
        if norm is None:
            return self.on_gradients()
        here = f"The norm of its gradients, before clipping, is {norm:.3g}."
        return here if self.largest is None else f"{here} {self.on_gradients()}"

    def on_gradients(self):
        """Return a sentence on the largest gradient so far, or, without clipping, as it is now."""
        if self.largest is None:
            return largest_gradient(self.module)
        norm, epoch, batch = self.largest
        return (
            f"The largest finite norm before clipping was {norm:.3g}, in batch {batch} of epoch "
            f"{epoch}."
        )


def largest_gradient(module):
    """Return a sentence that names the parameter with the largest gradient, as it is now.

    Parameters
    ----------
    module : nn.Module
        A network after a step.

    Returns
    -------
    str
        Empty where no parameter has a gradient.
    """
    sizes = {
        name: float(torch.linalg.vector_norm(parameter.grad.detach(), ord=torch.inf))
        for name, parameter in module.named_parameters()
        if parameter.grad is not None and parameter.grad.numel()
    }
    if not sizes:
        return ""
    name = max(sizes, key=lambda name: math.inf if math.isnan(sizes[name]) else sizes[name])
    size = sizes[name]
    name = name.removeprefix("network.")
    if not math.isfinite(size):
        return f"The gradient of {name!r} is not finite."
    return f"{name!r} has the largest gradient, with a value of {size:.3g} in size."


def _on_host(values):
    if len(values) < 2:
        return [float(value) for value in values]
    return torch.stack(values).tolist()
