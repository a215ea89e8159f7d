"""A training step on a few rows, before the training: what cannot work fails here."""

import copy
from contextlib import contextmanager

import torch

from skimb._engine._image_data import dataset_of
from skimb._engine._optimizers import optimizer_class, optimizer_groups
from skimb._engine._runtime import seeded
from skimb._engine._standardized import Standardized
from skimb._engine._weighted_loss import WeightedLoss
from skimb._networks import lay_out

__all__ = ["try_optimizer", "try_step"]

#: Rows of the trial at most; as many as no norm and no loss finds too few.
MOST_ROWS = 4


def try_step(network, training):
    """Change images, and run a step forward and backward, as the training will; leave no trace.

    Images lie channels-last in memory, which convolutions read fastest, and where ``view`` fails.
    A network that cannot run so gets them, and has its weights, contiguous: that is all that
    changes.

    Parameters
    ----------
    network : nn.Module
        On the device, in training mode.
    training : Training
        What it is to train on; `is_contiguous` is set.

    Raises
    ------
    ValueError
        If the step fails either way.
    """
    n_rows = min(_rows_of_smallest_batch(training.plan), MOST_ROWS)
    if training.settings.freeze is not None:
        # Norms that are frozen do not mind a row on its own.
        n_rows = max(n_rows, min(2, len(training.part.target)))
    part, phase = training.part, training.phases[0]
    # Two at least: an augmentation may mix a sample with another one.
    n_taken = max(n_rows, 2)
    few = dataset_of(
        part.images.take(slice(n_taken)),
        part.target[:n_taken],
        part.weight[:n_taken],
        training.device,
    )
    training.augmentation.try_on(few[:2][0].to(training.device))
    images, labels = few[:n_rows]
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
                logits = reader.train()(images.to(training.device))
                criterion = WeightedLoss(copy.deepcopy(phase.loss)).to(training.device)
                labels = tuple(label.to(training.device) for label in labels)
                criterion.train()(logits, labels).backward()
                # As predictions will.
                with torch.no_grad():
                    reader.eval()(images.to(training.device))
            return
        except Exception as exc:
            if isinstance(exc, RuntimeError) and not is_contiguous:
                lay_out(network, torch.contiguous_format)
                continue
            remedy = "Let it run in training mode on float32 images (n, C, H, W)"
            if n_rows == 1:
                remedy = "The smallest batch holds one row: change `batch_size`, or give more rows"
            raise ValueError(
                f"A training step of the network {type(network).__name__} fails on {n_rows} "
                f"image(s) of shape (C, H, W) = {training.image_shape}: {exc}. {remedy}."
            ) from exc


def try_optimizer(network, training):
    """Build the optimiser and the schedule of a user once, to see that they can be.

    Parameters
    ----------
    network : nn.Module
        Whose parameters it gets.
    training : Training
        Whose loss may have parameters too.

    Raises
    ------
    ValueError
        If one cannot be built, or is none.
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


def _rows_of_smallest_batch(plan):
    """Return how many rows the smallest batch of a plan holds."""
    if plan.by_row_count and plan.batch_sampling is None:
        return len(plan.target) // plan.steps
    return plan.batch_size


@contextmanager
def _as_it_was(network):
    """Hand a network back in training mode, with the weights, buffers, gradients it came with."""
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
