"""A training step on a few samples before the training, to find errors early."""

import copy
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from skimb._engine._image_data import dataset_of
from skimb._engine._memory import is_out_of_memory, too_large
from skimb._engine._optimizers import optimizer_class, optimizer_groups
from skimb._engine._runtime import seeded
from skimb._engine._standardized import Standardized
from skimb._engine._step_graph import forward_of
from skimb._engine._weighted_loss import WeightedLoss
from skimb._networks import lay_out

__all__ = ["try_loss", "try_optimizer", "try_step"]

#: Largest number of samples in the trial, which is enough for any norm and any loss.
SAMPLES_OF_TRIAL = 4


def try_step(network, training, *, n_most=SAMPLES_OF_TRIAL):
    """Run one step as in the training, with augmentation, and leave no trace.

    Images are in channels-last memory, which is the fastest for convolutions, but in which ``view``
    fails. If a network cannot run in this way, its images and weights are laid out in contiguous
    memory, and nothing else changes.

    Parameters
    ----------
    network : nn.Module
        The network, on the device and in training mode.
    training : Training
        The training; its attribute `is_contiguous` is set.
    n_most : int, default=4
        Largest number of samples. Where they do not fit in memory, fewer are tried.

    Raises
    ------
    ValueError
        If the step fails in both layouts of memory.
    MemoryError
        If a single sample does not fit in memory.
    """
    n_samples = min(_size_of_smallest_batch(training.plan), n_most)
    if training.settings.freeze is not None:
        # Frozen batch norms work with a single sample.
        n_samples = max(n_samples, min(2, n_most, len(training.part.target)))
    part, phase = training.part, training.phases[0]
    # At least two samples: an augmentation may mix a sample with another one.
    n_taken = max(n_samples, 2)
    few = dataset_of(
        part.images.take(slice(n_taken)),
        part.target[:n_taken],
        part.weight[:n_taken],
        training.device,
    )
    training.augmentation.try_on(few[:2][0].to(training.device))
    images, labels = few[:n_samples]
    run = forward_of(network, training, is_compiled=False)
    for is_contiguous in (False, True):
        training.is_contiguous = is_contiguous
        try:
            with _as_it_was(network), seeded(training.seed, training.device):
                reader = Standardized(
                    network,
                    training.statistics,
                    training.augmentation.views,
                    is_contiguous=is_contiguous,
                ).to(training.device)
                logits = run(reader.train(), images.to(training.device))
                criterion = WeightedLoss(copy.deepcopy(phase.loss)).to(training.device)
                labels = tuple(label.to(training.device) for label in labels)
                criterion.train()(logits, labels).backward()
                # Run a prediction too.
                with torch.no_grad():
                    reader.eval()(images.to(training.device))
            return
        except Exception as exc:
            if is_out_of_memory(exc):
                if n_samples == 1:
                    reason = str(exc) or "MemoryError"
                    raise too_large(training.image_shape, training.device, reason) from None
                break
            if isinstance(exc, RuntimeError) and not is_contiguous:
                lay_out(network, torch.contiguous_format)
                continue
            fix = "Let it run in training mode on float32 images (n, C, H, W)"
            if n_samples == 1:
                fix = (
                    "The smallest batch holds one sample: change `batch_size` or give more samples"
                )
            raise ValueError(
                f"A training step of the network {type(network).__name__} fails on {n_samples} "
                f"image(s) of shape (C, H, W) = {training.image_shape}: {exc}. {fix}."
            ) from exc
    try_step(network, training, n_most=n_samples // 2)


def try_optimizer(network, training):
    """Build the optimiser and the schedule of a user once, to find errors early.

    Parameters
    ----------
    network : nn.Module
        The network, whose parameters the optimiser gets.
    training : Training
        The training, whose loss may have parameters too.

    Raises
    ------
    ValueError
        If one of them cannot be built, or has another type.
    """
    settings = training.settings
    schedule = settings.lr_schedule
    if (
        isinstance(settings.optimizer, str)
        and not settings.optimizer_params
        and isinstance(schedule, str)
    ):
        return
    build, options = optimizer_class(settings.optimizer, settings.optimizer_params, training.device)
    lr, weight_decay = settings.lr, settings.weight_decay
    groups = optimizer_groups(network, training.phases[0].loss, lr=lr)
    wanted = "`optimizer` must be a name, or a callable optimizer(params, lr=..., weight_decay=...)"
    wrap = (
        "Wrap one that takes other arguments, such as torch.optim.LBFGS, and takes no groups, in a "
        "function: lambda groups, lr, weight_decay: LBFGS([p for g in groups for p in "
        "g['params']], lr=lr)."
    )
    try:
        made = build(groups, **{"lr": lr, "weight_decay": weight_decay, **options})
    except Exception as exc:
        raise ValueError(
            f"{wanted}, where `params` are {len(groups)} groups as torch's optimisers take them. "
            f"Calling {build!r} so failed: {exc}. {wrap}"
        ) from exc
    if not all(hasattr(made, name) for name in ("step", "zero_grad", "param_groups")):
        raise ValueError(
            f"{wanted} that returns a torch optimiser. {build!r} returned {type(made).__name__}."
        )
    if callable(schedule):
        try:
            schedule(made)
        except Exception as exc:
            raise ValueError(
                "`lr_schedule` must be a name, or a callable that makes a torch scheduler of an "
                f"optimizer, such as functools.partial(StepLR, step_size=5). Calling {schedule!r} "
                f"failed: {exc}."
            ) from exc
    is_one_cycle = settings.lr_schedule == "one_cycle" and not settings.early_stopping
    if is_one_cycle and len(made.param_groups) != len(groups):
        raise ValueError(
            f"lr_schedule='one_cycle' sets the rate of each of the {len(groups)} groups of "
            f"parameters, and `optimizer`={settings.optimizer!r} keeps {len(made.param_groups)}. "
            "Use lr_schedule='constant', or let it keep the groups that it gets."
        )


def _size_of_smallest_batch(plan):
    """Return the number of samples in the smallest batch of a plan."""
    if plan.by_sample_count and plan.batch_sampling is None:
        return len(plan.target) // plan.steps
    return plan.batch_size


@contextmanager
def _as_it_was(network):
    """Restore a network to training mode, with its weights, buffers and gradients from before."""
    parameters = list(network.parameters())
    buffers = [
        (module, name, buffer)
        for module in network.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    tensors = [*parameters, *(buffer for _, _, buffer in buffers)]
    values = [tensor.detach().clone() for tensor in tensors]
    gradients = [parameter.grad for parameter in parameters]
    for parameter in parameters:
        parameter.grad = None
    try:
        yield
    finally:
        for module, name, buffer in buffers:
            setattr(module, name, buffer)
        with torch.no_grad():
            for tensor, value in zip(tensors, values, strict=True):
                tensor.copy_(value)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        network.train()


def try_loss(loss, outputs, target, training):
    """Try the loss on two samples, so that a wrong shape is found before the training starts.

    Parameters
    ----------
    loss : callable
        It must return one value per sample, or a scalar where all weights are 1 and nothing is
        mixed.
    outputs : Tensor of shape (2, ...)
        Possible outputs of the network.
    target : Tensor of shape (2,)
        The target for these outputs.
    training : Training
        The training, whose weights and augmentation decide whether the loss may be a scalar.

    Raises
    ------
    ValueError
        If the loss fails, or returns anything else.
    """
    trial = copy.deepcopy(loss)
    if isinstance(trial, nn.Module):
        trial = trial.to(training.device)
    try:
        values = trial(outputs.to(training.device), target.to(training.device))
    except (RuntimeError, TypeError, IndexError, ValueError) as exc:
        kind = "values" if target.is_floating_point() else "integer class indices"
        read = "predictions" if target.is_floating_point() else "logits"
        raise ValueError(
            f"`loss` failed on {read} of shape {tuple(outputs.shape)} and {kind} of "
            f"shape {tuple(target.shape)}, which is what it gets: {exc}"
        ) from exc
    shape = tuple(values.shape) if isinstance(values, torch.Tensor) else type(values).__name__
    if shape not in [(2,), ()]:
        raise ValueError(
            "`loss` must return one value per sample, or a scalar. For 2 samples it returned "
            f"{shape}."
        )
    needs_rows = training.augmentation.mixer is not None or any(
        np.ptp(phase.weight) > 0 for phase in training.phases
    )
    if shape == () and needs_rows:
        raise ValueError(
            "`loss` returns a scalar, so samples cannot be weighted or mixed. Let it return one "
            "value per sample, or fit without weights and mixing augmentations."
        )
