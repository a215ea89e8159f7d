"""The epochs of a training as tasks of scikit-learn's callbacks."""

from typing import Any

import torch
from skorch.callbacks import Callback

from skimb._engine._net import StopTraining

__all__ = ["EpochTasks"]


class EpochTasks(Callback):
    """Tell callbacks of scikit-learn of each epoch, and let them end the training.

    They get a copy of the network where they ask for a fitted estimator, and random generators are
    as before when they return, so the training is the same with them and without.

    Parameters
    ----------
    context : CallbackContext
        scikit-learn's context of the training; each epoch is a task in it.
    said : dict
        The arguments of all hooks: the estimator, X, y and metadata.
    so_far : callable
        A function of ``(net)`` that returns the fitted attributes of the estimator, as if the
        training had ended with this epoch.
    """

    def __init__(self, context, said, so_far):
        self.context, self.said, self.so_far = context, said, so_far
        self.task_: Any = None

    def on_epoch_begin(self, net, **kwargs):
        """Begin the task of an epoch."""
        with _unseen(net):
            self.task_ = self.context.subcontext(task_name="epoch")
            self.task_.call_on_fit_task_begin(**self.said)

    def on_epoch_end(self, net, **kwargs):
        """End the task of an epoch, and the training if a callback asks for it."""
        task, self.task_ = self.task_, None
        with _unseen(net):
            stops = task.call_on_fit_task_end(
                **self.said, reconstruction_attributes=lambda: self.so_far(net)
            )
        if stops:
            raise StopTraining

    def on_train_end(self, net, **kwargs):
        """End the task of an epoch that diverged, before which the best epoch is kept."""
        if self.task_ is not None:
            task, self.task_ = self.task_, None
            with _unseen(net):
                task.call_on_fit_task_end(estimator=self.said["estimator"])

    def state_dict(self):
        """Return nothing: a training that goes on is the same with callbacks and without."""
        return {}

    def load_state_dict(self, state):
        """Do nothing; the tasks of earlier epochs are not repeated."""


def _unseen(net):
    """Return a context after which torch's generators are as before."""
    device = torch.device(net.device)
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
