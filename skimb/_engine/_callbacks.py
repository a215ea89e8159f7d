"""Callbacks of the training: clipping, deferred weights, warm-up, the best epoch."""

import copy

import numpy as np
import torch
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping, LRScheduler
from skorch.utils import noop
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

__all__ = [
    "BestEpoch",
    "ClippedGradients",
    "DeferredWeights",
    "TargetOfEpoch",
    "WarmUp",
    "check_net_callbacks",
    "sets_rate",
]


def check_net_callbacks(callbacks):
    """Refuse objects of the user that are not callbacks.

    Parameters
    ----------
    callbacks : list
        Objects or classes, without their names.

    Raises
    ------
    ValueError
        If one is not a callback of skorch.
    """
    for callback in callbacks:
        kind = callback if isinstance(callback, type) else type(callback)
        if not issubclass(kind, Callback):
            raise ValueError(
                "`net_callbacks` must hold callbacks of skorch, or pairs (name, callback). Got "
                f"{callback!r}; a subclass of skorch.callbacks.Callback is one."
            )


def sets_rate(callback):
    """Return whether a callback, or its class, sets the learning rate."""
    kind = callback if isinstance(callback, type) else type(callback)
    return issubclass(kind, LRScheduler)


class ClippedGradients(GradientNormClipping):
    """Clip the norm of the gradients of a network.

    Unlike skorch's, it collects the parameters once, not at every step; it leaves out those of the
    loss, which have a learning rate of their own; and if networks train together, it clips each by
    its own norm.

    Parameters
    ----------
    gradient_clip_value : float
        The largest norm of the gradients.
    n_stacked : int, default=0
        Number of leading dimensions of the parameters that index networks trained together.
    """

    def __init__(self, gradient_clip_value, n_stacked=0):
        super().__init__(gradient_clip_value)
        self.n_stacked = n_stacked

    def on_train_begin(self, net, **kwargs):
        """Collect the parameters."""
        self.parameters_ = [p for p in net.module_.parameters() if p.requires_grad]

    def on_grad_computed(self, net, named_parameters=None, **kwargs):
        """Clip, before the optimiser steps."""
        if not self.n_stacked:
            norm = nn.utils.clip_grad_norm_(
                self.parameters_, self.gradient_clip_value, foreach=True
            )
            # It stays on the device. Set in the way of skorch, which examines each attribute.
            net.__dict__["gradient_norm_"] = norm
            return
        gradients = [p.grad.flatten(self.n_stacked) for p in self.parameters_ if p.grad is not None]
        norms = torch.stack([torch.linalg.vector_norm(grad, dim=-1) for grad in gradients])
        norm = torch.linalg.vector_norm(norms, dim=0)
        factor = (self.gradient_clip_value / (norm + 1e-6)).clamp(max=1.0)[..., None]
        for grad in gradients:
            grad.mul_(factor)

    def on_train_end(self, net, **kwargs):
        """Drop the parameters."""
        del self.parameters_


class TargetOfEpoch(Callback):
    """Set the meaning of the outputs of a network in each epoch, by its loss and weights.

    Parameters
    ----------
    training : Training
        The training in progress, whose target is informed.
    """

    def __init__(self, training):
        self.training = training

    def on_train_begin(self, net, **kwargs):
        """Note that no epoch has begun."""
        self.begins_ = True

    def on_epoch_begin(self, net, **kwargs):
        """Inform the target which epoch begins."""
        self.training.has_begun = True
        n_epochs = len(net.history_)
        if self.begins_ and n_epochs > 1 and self.training.depends_on_epoch:
            raise ValueError(
                f"A callback has loaded a history of {n_epochs - 1} epochs, but this training "
                "changes weights, batches or layers at epochs that are counted from its start. "
                "Load the parameters alone, or use settings that are equal in all epochs."
            )
        self.begins_ = False
        self.training.target.at(self.training, n_epochs - 1)

    def state_dict(self):
        """Return nothing: the target is informed again in the next epoch."""
        return {}

    def load_state_dict(self, state):
        """Expect the history of a training that goes on."""
        self.begins_ = False


class DeferredWeights(Callback):
    """Let class weights and class counts set in at a later epoch (deferred re-weighting).

    Parameters
    ----------
    epoch : int
        The epoch, counted from 0.
    loss : callable or None
        The loss from then on; None: it does not change.
    weight, valid_weight : ndarray of shape (n,)
        The weights of the training samples and of the validation samples from then on;
        `valid_weight` is None where there is no validation part.
    """

    def __init__(self, epoch, loss, weight, valid_weight):
        self.epoch, self.loss = epoch, loss
        self.weight, self.valid_weight = weight, valid_weight

    def on_train_begin(self, net, **kwargs):
        """Note that the weights have not set in."""
        self.has_begun_ = self.weighs_ = False

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Change over when the epoch is reached."""
        begins = len(net.history_) - 1 == self.epoch
        if begins:
            self.has_begun_ = True
            self._set_loss(net)
            _restart_schedules(net)
        if not self.has_begun_ or self.weighs_:
            return
        self.weighs_ = True
        for dataset, weight in ((dataset_train, self.weight), (dataset_valid, self.valid_weight)):
            if dataset is not None and weight is not None:
                dataset.reweight(weight)

    def _set_loss(self, net):
        if self.loss is not None:
            net.criterion_.loss = self.loss
            net.criterion_.to(net.device)

    def state_dict(self):
        """Return whether the epoch has been reached."""
        return {"has_begun": self.has_begun_}

    def load_state_dict(self, state):
        """Go on from the result of `state_dict`; the next epoch sets the weights."""
        self.has_begun_ = state["has_begun"]

    def on_resume(self, net):
        """Set the loss of a training that goes on after the epoch."""
        if self.has_begun_:
            self._set_loss(net)


class WarmUp(Callback):
    """Train with squared error first, then with a loss that starts from the error that was reached.

    Parameters
    ----------
    epoch : int
        The epoch in which the loss takes over, counted from 0; at least 1.
    """

    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_begin(self, net, **kwargs):
        """Set the loss to the squared error."""
        net.criterion_.loss.begin_warm_up()

    def on_epoch_begin(self, net, **kwargs):
        """Change over when the epoch is reached; only the last epoch before it counts."""
        epoch = len(net.history_) - 1
        if epoch == self.epoch - 1:
            net.criterion_.loss.begin_warm_up()
        elif epoch == self.epoch:
            net.criterion_.loss.end_warm_up()
            _restart_schedules(net)


def _restart_schedules(net):
    """Restart the schedules when another loss begins, as earlier losses are not comparable."""
    for _, callback in net.callbacks_:
        scheduler = getattr(callback, "lr_scheduler_", None)
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.best = np.inf if scheduler.mode == "min" else -np.inf
            scheduler.num_bad_epochs = 0


class BestEpoch(EarlyStopping):
    """Stop when the validation score no longer improves, and restore the best epoch.

    This is skorch's callback with two differences: epochs do not count before the last weights and
    losses have set in, and the learned parameters of the loss are restored with those of the
    network.

    Parameters
    ----------
    patience : int
        Number of epochs without improvement before training ends.
    start : int
        The first epoch that counts, from 0: the one in which all weights have set in.
    """

    def __init__(self, patience, start):
        super().__init__(
            monitor="valid_score",
            patience=patience,
            threshold=0.0,
            threshold_mode="abs",
            lower_is_better=False,
            sink=noop,
            load_best=True,
        )
        self.start = start

    @property
    def has_weights(self):
        """Whether the weights of an epoch are kept."""
        return self.best_model_weights_ is not None

    def on_epoch_end(self, net, **kwargs):
        """Keep the weights of a better epoch, or count an epoch without improvement."""
        epoch = net.history[-1, "epoch"]
        if epoch <= self.start:
            return
        super().on_epoch_end(net, **kwargs)
        if self.best_epoch_ == epoch:
            self.loss_ = copy.deepcopy(net.criterion_.state_dict())

    def on_train_end(self, net, **kwargs):
        """Restore the weights."""
        # Restored even if the last epoch is the best: skorch's callback does not know of the steps
        # of a diverged epoch after it.
        if self.has_weights:
            net.module_.load_state_dict(self.best_model_weights_)
            net.criterion_.load_state_dict(self.loss_)
        self.best_model_weights_ = self.loss_ = None
