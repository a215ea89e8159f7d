"""A fit as a tree of tasks, which callbacks of scikit-learn watch."""

import copy
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from skimb._callback_tasks import begin_fit
from skimb._engine import EpochTasks, epoch_records, snapshot
from skimb._params import has_callbacks

__all__ = ["FitTasks", "fitted_attributes"]


class FitTasks:
    """The tasks of one fit: one for each epoch; with a refit, those of each training apart.

    Without callbacks nothing is done.

    Parameters
    ----------
    estimator : BaseCNN
        The estimator that is fitted.
    X, y : array-like
        The samples, as `fit` got them.
    sample_weight : array-like or None
        Their weights.
    """

    def __init__(self, estimator, X, y, sample_weight):
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.said = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self.root: Any = None

    def begin(self, training):
        """Begin the task of the fit, where there are callbacks; return self."""
        estimator = self.said["estimator"]
        if has_callbacks(estimator):
            n_tasks = 2 if estimator.early_stopping == "refit" else training.n_epochs
            X, y, metadata = (self.said[name] for name in ("X", "y", "metadata"))
            self.root = begin_fit(estimator, X, y, n_tasks=n_tasks, **(metadata or {}))
        return self

    @contextmanager
    def of(self, training, name):
        """Let the epochs of a training be tasks.

        Parameters
        ----------
        training : Training
            The training, which runs in the block.
        name : str
            The name of its task, where a fit has more than one training.
        """
        if self.root is None:
            yield
            return
        task = self.root
        if self.said["estimator"].early_stopping == "refit":
            task = self.root.subcontext(task_name=name, max_subtasks=training.n_epochs)
            task.call_on_fit_task_begin(**self.said)
        training.observers.append(EpochTasks(task, self.said, partial(_so_far, training)))
        try:
            yield
        finally:
            # They refer to the training.
            training.observers.clear()
        if task is not self.root:
            task.call_on_fit_task_end(**self.said)

    def end(self):
        """End the task of the fit; the estimator itself is the fitted one."""
        if self.root is not None:
            self.root.call_on_fit_task_end(**self.said, reconstruction_attributes={})


def fitted_attributes(training, net):
    """Return the fitted attributes of an estimator, from a trained net and its target.

    Parameters
    ----------
    training : Training
        The training, whose target is concluded.
    net : ImageNet
        The net.

    Returns
    -------
    dict
    """
    history = epoch_records(net.history)
    return {
        **training.target.fitted(),
        "history_": history,
        "n_iter_": len(history),
        "validation_indices_": training.valid_indices,
        "net_": net,
    }


def _so_far(training, net):
    """Return the fitted attributes as if the training had ended with the present epoch."""
    # A calibration fits temperatures, which the training must not see.
    target = copy.deepcopy(training.target)
    net = snapshot(net, target)
    target.conclude(replace(training, target=target), net, len(net.history) - 1)
    return fitted_attributes(replace(training, target=target), net)
