"""What a training was like, kept as plain values when it has ended: parameters may change later."""

from torch import nn

from skimb._engine import epochs_of_patience, loss_parameters, still_falls
from skimb._messages import shortened
from skimb._networks import MODULES, PretrainedBackbone

__all__ = ["loss_still_falls", "record_of", "with_refit"]

#: Parameters that decide how a network was trained, for classes or for numbers.
TOLD = (
    "class_weight",
    "max_weight",
    "target_weight",
    "reweight_after",
    "batch_sampling",
    "sampler",
    "augmentation",
    "ranksim",
    "freeze",
    "optimizer",
    "lr",
    "lr_schedule",
    "weight_decay",
    "early_stopping",
    "scoring",
)


def record_of(training, net, epoch):
    """Return the facts about a training that its estimator could not tell later.

    Parameters
    ----------
    training : Training
        The training, which has ended.
    net : ImageNet
        Its net.
    epoch : int or None
        The epoch, counted from 0, whose weights the net has. None: a call of `partial_fit`, of
        which there may be more.

    Returns
    -------
    dict
        Plain values alone.
    """
    settings = vars(training.settings)
    record = {
        "network": _network_name(training.settings.module, net.module_.network),
        "parameters": {name: _told(settings[name]) for name in TOLD if name in settings},
        "batch_size": training.plan.batch_size,
        "n_steps": sum(row.get("train_batch_count", training.plan.steps) for row in net.history),
        "device": str(training.device),
        "precision": training.precision,
    }
    if epoch is None:
        return record
    return record | {
        "n_samples": len(training.part.target),
        "n_held_out": 0 if training.valid is None else len(training.valid.target),
        "n_epochs": len(net.history),
        "max_epochs": training.n_epochs,
        "kept_epoch": epoch + 1,
        "ended_by": _end_of(training, len(net.history), epoch + 1),
        "still_falls": loss_still_falls(training, net.history),
        "seconds": sum(row["dur"] for row in net.history),
    }


def with_refit(first, second):
    """Return the record of a training, with the size of the one that repeats it on all samples.

    Parameters
    ----------
    first, second : dict
        The records of both, as `record_of` returns them.

    Returns
    -------
    dict
    """
    size = ("n_samples", "n_epochs", "n_steps", "seconds")
    return first | {"refit": {name: second[name] for name in size}}


def loss_still_falls(training, history):
    """Return whether the training loss still fell as the last epoch that was allowed had passed.

    Parameters
    ----------
    training : Training
        The training, which has ended.
    history : sequence of dict
        Its epochs.

    Returns
    -------
    bool
    """
    plan, last = training.plan, training.phases[-1]
    # Early stopping has found the end; and a loss that learns its own scale is not comparable
    # between epochs.
    if len(history) < plan.n_epochs or loss_parameters(last.loss):
        return False
    losses = [record["train_loss"] for record in history][last.start :]
    return still_falls(losses, plan.n_epochs * plan.steps)


def _end_of(training, n_epochs, kept_epoch):
    """Return what has ended a training: "max_epochs", "early_stopping" or "other"."""
    if n_epochs >= training.n_epochs:
        return "max_epochs"
    settings = training.settings
    patience = epochs_of_patience(settings.n_iter_no_change, training.plan.steps)
    waited = settings.early_stopping and n_epochs - kept_epoch == patience
    return "early_stopping" if waited else "other"


def _network_name(module, network):
    """Return the name of a network, without what was put around it: a last layer, or a table."""
    if isinstance(module, str):
        return MODULES[module].__name__
    if isinstance(module, PretrainedBackbone):
        return repr(module)
    return type(module if isinstance(module, nn.Module) else network).__name__


def _told(value):
    """Return a parameter as a plain value: numbers and strings as they are, others as text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, dict):
        return "by label"
    return " ".join(shortened(value).split())
