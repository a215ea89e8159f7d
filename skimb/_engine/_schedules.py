"""Learning-rate schedules."""

from skorch.callbacks import LRScheduler
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, OneCycleLR, ReduceLROnPlateau

from skimb._engine._length import epochs_of_patience

__all__ = ["lr_callback", "step_schedule"]


def step_schedule(schedule, *, lr, n_steps):
    """Return torch's class of a schedule that acts at each step, and its options.

    Parameters
    ----------
    schedule : {"one_cycle", "cosine", "plateau", "constant"}
        As in `CNNClassifier`.
    lr : list of float
        The highest rate of each group of parameters.
    n_steps : int
        The length of the training.

    Returns
    -------
    (class, dict) or None
        None for those that do not act at each step.
    """
    if schedule == "one_cycle":
        # One more than are taken: skorch asks for the rate after the last step too.
        return OneCycleLR, {"max_lr": lr, "total_steps": n_steps + 1, "cycle_momentum": False}
    if schedule == "cosine":
        return CosineAnnealingLR, {"T_max": n_steps}
    return None


def lr_callback(schedule, *, lr, n_epochs, steps_per_epoch, watches):
    """Return the callback of a learning-rate schedule, or None for a constant rate.

    Parameters
    ----------
    schedule : {"one_cycle", "cosine", "plateau", "constant"} or list of float
        As in `CNNClassifier`; or the rate of each epoch, to which those of all groups of
        parameters keep their ratio.
    lr : list of float
        The highest rate of each group of parameters.
    n_epochs, steps_per_epoch : int
        The length of the training.
    watches : {"train_loss", "valid_loss", "valid_score"}
        What ``"plateau"`` looks at.

    Returns
    -------
    LRScheduler or None
    """
    if isinstance(schedule, list):
        return LRScheduler(
            policy=LambdaLR,
            event_name=None,
            # One more than are taken: skorch asks for the rate after the last epoch too.
            lr_lambda=lambda epoch: schedule[min(epoch, len(schedule) - 1)] / schedule[0],
        )
    each_step = step_schedule(schedule, lr=lr, n_steps=n_epochs * steps_per_epoch)
    if each_step is not None:
        policy, options = each_step
        return LRScheduler(policy=policy, step_every="batch", event_name=None, **options)
    if schedule == "plateau":
        # Scores may be negative, and torch's relative threshold takes a standstill of such for an
        # improvement.
        by_score = {"mode": "max", "threshold": 0.0, "threshold_mode": "abs"}
        return LRScheduler(
            policy=ReduceLROnPlateau,
            event_name=None,
            monitor=watches,
            factor=0.5,
            patience=epochs_of_patience(2, steps_per_epoch),
            **(by_score if watches == "valid_score" else {}),
        )
    return None
