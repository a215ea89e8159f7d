"""One training by several processes, each of which works on a share of every batch."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import torch
from torch import nn

from skimb._engine._checkpoint import training_key
from skimb._optional_libraries import is_of

__all__ = ["Shares", "data_parallel", "is_shared", "open_shares"]

_accelerator: ContextVar[Any] = ContextVar("accelerator", default=None)

#: The batch norms whose statistics are those of the whole batch.
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@contextmanager
def data_parallel(accelerator: Any) -> Iterator[None]:
    """Let all processes of a launch train each network of the block together.

    Run the same script in several processes, by ``torchrun`` or ``accelerate launch``. Within the
    block, a fit of `CNNClassifier` or `CNNRegressor` shares every batch among the processes, sums
    their gradients, and computes batch-norm statistics over the whole batch [1]_. All processes end
    with the same weights and history, which are those of one process but for rounding; the random
    masks of dropout are others. `batch_size` is that of the whole batch.

    Validation and predictions are not shared: each process computes all of them. So does everything
    else that trains, such as the last layer of `DecoupledClassifier`.

    Parameters
    ----------
    accelerator : accelerate.Accelerator
        The processes. With a single one, nothing changes.

    Raises
    ------
    ValueError
        If `accelerator` is another object, or does not know the other processes. Each fit raises
        one, before its first step, if the processes have other data, parameters or random numbers,
        or if it has a `checkpoint`, callbacks of skorch or a loss that compares the samples of a
        batch.

    References
    ----------
    .. [1] Goyal et al., Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour, 2017,
       arXiv:1706.02677.

    Examples
    --------
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.neural_network import CNNClassifier, data_parallel
    >>> def main(accelerator):
    ...     X, y = load_imbalanced_digits(return_X_y=True)
    ...     network = CNNClassifier(random_state=0)
    ...     with data_parallel(accelerator):
    ...         network.fit(X, y)
    ...     if accelerator.is_main_process:
    ...         network.save("digits.skimb")

    A script calls ``main(Accelerator())``, and ``torchrun --nproc_per_node 2 script.py`` runs it in
    two processes, each with a GPU of its own. Other objects are refused:

    >>> try:
    ...     with data_parallel("cuda"):
    ...         pass
    ... except ValueError as error:
    ...     print(error)
    `accelerator` must be an Accelerator of accelerate. Got 'cuda'.
    """
    if not is_of("accelerate", "Accelerator", accelerator):
        raise ValueError(
            f"`accelerator` must be an Accelerator of accelerate. Got {accelerator!r}."
        )
    n_launched = int(os.environ.get("WORLD_SIZE") or 1)
    if n_launched > 1 and accelerator.num_processes == 1:
        raise ValueError(
            f"{n_launched} processes were launched, but the accelerator knows only this one, which "
            "would train alone. Without a GPU for each, give Accelerator(cpu=True)."
        )
    token = _accelerator.set(accelerator)
    try:
        yield
    finally:
        _accelerator.reset(token)


def is_shared():
    """Return whether a training that begins here is shared with other processes."""
    accelerator = _accelerator.get()
    return accelerator is not None and accelerator.num_processes > 1


def open_shares(network, training):
    """Return how a training is shared, or None where this process trains alone.

    Parameters
    ----------
    network : nn.Module
        The network before its first step.
    training : Training
        Everything else that decides the result.

    Returns
    -------
    Shares or None

    Raises
    ------
    ValueError
        If it cannot be shared.
    """
    if not is_shared():
        return None
    accelerator, settings = _accelerator.get(), training.settings
    _refuse(settings, training)
    if accelerator.device.type != training.device.type:
        raise ValueError(
            f"The accelerator works on {str(accelerator.device)!r}, but `device`="
            f"{settings.device!r} is {str(training.device)!r}. Leave `device` at 'auto', and for a "
            "CPU give Accelerator(cpu=True)."
        )
    key = torch.tensor(list(training_key(network, training).encode()), device=accelerator.device)
    keys = accelerator.gather(key).reshape(accelerator.num_processes, -1)
    if not (keys == keys[0]).all():
        raise ValueError(
            "The processes that train this network together have other data, parameters or random "
            "numbers. Give each the same X and y, an int as `random_state`, and device='auto'."
        )
    if not accelerator.is_main_process:
        settings.verbose = 0
    return Shares(accelerator, network, training.seed)


def _refuse(settings, training):
    """Refuse what would not be that of one process."""
    reasons = {
        "`checkpoint` is not written by several processes": settings.checkpoint is not None,
        "`net_callbacks` would see a share of each batch": bool(settings.net_callbacks),
        "the loss compares the samples of a batch, of which each process sees a share": any(
            getattr(phase.loss, "reads_batch", False) for phase in training.phases
        )
        or bool(getattr(settings, "ranksim", None)),
    }
    for reason, holds in reasons.items():
        if holds:
            raise ValueError(f"A network cannot be trained within `data_parallel`: {reason}.")


class Shares:
    """The steps of a network that several processes train.

    Parameters
    ----------
    accelerator : Accelerator
    network : nn.Module
        The network, whose batch norms use the statistics of whole batches.
    seed : int
        The seed of random numbers that only one process draws.
    """

    def __init__(self, accelerator, network, seed):
        self.accelerator, self.seed, self.n_steps = accelerator, seed, 0
        self.norms = [layer for layer in network.modules() if type(layer) in NORMS]

    def step(self, net, batch):
        """Compute the gradient of a batch, of which this process works on its share.

        Parameters
        ----------
        net : ImageNet
        batch : (Tensor, tuple of Tensor)
            Images and labels, the same in all processes.

        Returns
        -------
        dict or None
            The loss of the whole batch and the outputs for the share; None: the batch is too small
            to be shared, so each process has to work on all of it.
        """
        n_processes, place = self.accelerator.num_processes, self.accelerator.process_index
        images, labels = batch
        self.n_steps += 1
        # A batch norm cannot train on a single value.
        if len(images) < 2 * n_processes:
            return None
        share = images.tensor_split(n_processes)[place]
        labels = tuple(label.tensor_split(n_processes)[place] for label in labels)
        with self._own_draws(place), self._whole_norms():
            step = net.step_on_part((share, labels), len(share) / len(images))
        return step | {"loss": self._sum_gradients(net.optimizer_, step["loss"])}

    def _sum_gradients(self, optimizer, loss):
        """Sum gradients and losses over the processes; return the sum of the losses."""
        gradients = [
            parameter.grad
            for group in optimizer.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        sent = torch.cat([*(gradient.flatten() for gradient in gradients), loss.reshape(1)])
        *summed, loss = self._sum(sent).split([*(g.numel() for g in gradients), 1])
        for gradient, values in zip(gradients, summed, strict=True):
            gradient.copy_(values.view_as(gradient))
        return loss[0]

    def _sum(self, values):
        return self.accelerator.reduce(values, reduction="sum")

    @contextmanager
    def _own_draws(self, place):
        """Draw other numbers than the other processes, and then go on with common ones."""
        device = self.accelerator.device
        devices = [torch.cuda.current_device()] if device.type == "cuda" else []
        seed = self.seed + self.n_steps * self.accelerator.num_processes + place
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            yield

    @contextmanager
    def _whole_norms(self):
        """Let batch norms use the statistics of the whole batch."""
        for norm in self.norms:
            norm.__dict__["forward"] = partial(_normalized, norm, self._sum)
        try:
            yield
        finally:
            for norm in self.norms:
                del norm.__dict__["forward"]


class _Sum(torch.autograd.Function):
    """The sum over the processes; the gradient of a sum is the sum of the gradients."""

    @staticmethod
    def forward(ctx, values, add):
        ctx.add = add
        return add(values)

    @staticmethod
    def backward(ctx, *gradients):
        return ctx.add(gradients[0].contiguous()), None


def _normalized(norm, add, x):
    """Return the output of a batch norm, with the statistics of all shares of a batch."""
    if not norm.training:
        return type(norm).forward(norm, x)
    axes = [axis for axis in range(x.ndim) if axis != 1]
    shape = [1, -1, *[1] * (x.ndim - 2)]
    n_here = x.new_full((1,), x.numel() / x.shape[1])
    *sums, n_all = _Sum.apply(torch.cat([x.sum(axes), n_here]), add).split([x.shape[1], 1])
    mean = sums[0] / n_all
    centred = x - mean.view(shape)
    variance = _Sum.apply(centred.square().sum(axes), add) / n_all
    if norm.track_running_stats:
        with torch.no_grad():
            norm.num_batches_tracked.add_(1)
            rate = norm.momentum
            if rate is None:
                rate = 1 / norm.num_batches_tracked.item()
            norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), rate)
            unbiased = variance * n_all / (n_all - 1)
            norm.running_var.lerp_(unbiased.to(norm.running_var.dtype), rate)
    made = centred * (variance + norm.eps).rsqrt().view(shape)
    if norm.affine:
        made = made * norm.weight.view(shape) + norm.bias.view(shape)
    return made
