"""Learning-rate schedules, as skorch's callback."""

from skorch.callbacks import LRScheduler
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    OneCycleLR,
    ReduceLROnPlateau,
)

from skimb._engine._length import epochs_of_patience

__all__ = ["lr_callback"]


def lr_callback(schedule, *, lr, n_epochs, steps_per_epoch, watches):
    """Return the callback of a learning-rate schedule, or None for a constant rate.

    Parameters
    ----------
    schedule : {"one_cycle", "cosine", "plateau", "constant"}, callable or list of float
        As in `CNNClassifier`; or the learning rate of each epoch, in proportion to which the rates
        of all groups of parameters change.
    lr : list of float
        The highest rate of each group of parameters.
    n_epochs, steps_per_epoch : int
        The length of the training.
    watches : {"train_loss", "valid_loss", "valid_score"}
        The record that ``"plateau"``, or a plateau schedule of the user, reads.

    Returns
    -------
    LRScheduler or None
    """
    # No schedule has an event name: the history records the rate by itself.
    if isinstance(schedule, list):
        return LRScheduler(
            policy=LambdaLR,
            event_name=None,
            # One more than are used: skorch asks for the rate after the last epoch too.
            lr_lambda=lambda epoch: schedule[min(epoch, len(schedule) - 1)] / lr[0],
        )
    if callable(schedule):
        return LRScheduler(
            # skorch would also pass the starting epoch, which not all schedulers accept.
            policy=lambda optimizer, last_epoch: schedule(optimizer),
            event_name=None,
            # By default torch's schedule by plateaus waits for its measure to fall.
            monitor=_negative_score if watches == "valid_score" else watches,
        )
    n_steps = n_epochs * steps_per_epoch
    if schedule == "one_cycle":
        return LRScheduler(
            policy=OneCycleLR,
            step_every="batch",
            event_name=None,
            max_lr=lr,
            # One more than are used: skorch asks for the rate after the last step too.
            total_steps=n_steps + 1,
            cycle_momentum=False,
        )
    if schedule == "cosine":
        return LRScheduler(
            policy=CosineAnnealingLR, step_every="batch", event_name=None, T_max=n_steps
        )
    if schedule == "plateau":
        # Scores may be negative, and with torch's relative threshold a constant negative score
        # counts as an improvement.
        by_score = {"mode": "max", "threshold": 0.0, "threshold_mode": "abs"}
        return LRScheduler(
            policy=ReduceLROnPlateau,
            event_name=None,
            monitor=watches,
            factor=0.5,
            patience=epochs_of_patience(2, steps_per_epoch),
            **(by_score if watches == "valid_score" else {}),
        )
    if schedule != "constant":
        raise ValueError(f"No schedule is called {schedule!r}.")
    return None


def _negative_score(net):
    """Return the negative validation score, which falls as the network improves."""
    return -net.history[-1, "valid_score"]
