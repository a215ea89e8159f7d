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
    """Refuse callbacks of the user that are none.

    Parameters
    ----------
    callbacks : list
        Objects or classes, without their names.

    Raises
    ------
    ValueError
        If one is no callback of skorch.
    """
    for callback in callbacks:
        kind = callback if isinstance(callback, type) else type(callback)
        if not issubclass(kind, Callback):
            raise ValueError(
                "`net_callbacks` must hold callbacks of skorch, or pairs (name, callback). Got "
                f"{callback!r}; a subclass of skorch.callbacks.Callback is one."
            )


def sets_rate(callback):
    """Tell whether a callback, or its class, sets the learning rate."""
    kind = callback if isinstance(callback, type) else type(callback)
    return issubclass(kind, LRScheduler)


class ClippedGradients(GradientNormClipping):
    """Clip the norm of the gradients of a network.

    Unlike skorch's, it collects the parameters once, not at every step; it leaves out those of
    the loss, which have a learning rate of their own; and it clips networks that train together
    each by its own norm.

    Parameters
    ----------
    gradient_clip_value : float
        The largest norm that is let through.
    n_stacked : int, default=0
        Leading dimensions of the parameters that number networks which train together.
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
            nn.utils.clip_grad_norm_(self.parameters_, self.gradient_clip_value, foreach=True)
            return
        gradients = [p.grad.flatten(self.n_stacked) for p in self.parameters_ if p.grad is not None]
        norms = torch.stack([torch.linalg.vector_norm(grad, dim=-1) for grad in gradients])
        norm = torch.linalg.vector_norm(norms, dim=0)
        factor = (self.gradient_clip_value / (norm + 1e-6)).clamp(max=1.0)[..., None]
        for grad in gradients:
            grad.mul_(factor)

    def on_train_end(self, net, **kwargs):
        """Let go of the parameters."""
        del self.parameters_


class TargetOfEpoch(Callback):
    """Let the outputs of a network mean in each epoch what they mean with its loss and weights.

    Parameters
    ----------
    training : Training
        The training in progress; its target is told.
    """

    def __init__(self, training):
        self.training = training

    def on_epoch_begin(self, net, **kwargs):
        """Tell the target which epoch begins."""
        self.training.target.at(self.training, len(net.history_) - 1)


class DeferredWeights(Callback):
    """Let class weights and class counts set in at a later epoch (deferred re-weighting).

    Parameters
    ----------
    epoch : int
        The epoch, counted from 0.
    loss : callable or None
        The loss from then on; None: the same.
    weight, valid_weight : ndarray of shape (n,)
        The weights of the training samples and of the validation samples from then on; None where
        there are none of the latter.
    """

    def __init__(self, epoch, loss, weight, valid_weight):
        self.epoch, self.loss = epoch, loss
        self.weight, self.valid_weight = weight, valid_weight

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Hand over, when it is time."""
        if len(net.history_) - 1 != self.epoch:
            return
        for dataset, weight in ((dataset_train, self.weight), (dataset_valid, self.valid_weight)):
            if dataset is not None and weight is not None:
                dataset.reweight(weight)
        if self.loss is not None:
            net.criterion_.loss = self.loss
            net.criterion_.to(net.device)
        _restart_schedules(net)


class WarmUp(Callback):
    """Train by squared error first, then by a loss that starts from the error that was reached.

    Parameters
    ----------
    epoch : int
        The epoch in which the loss takes over, counted from 0; at least 1.
    """

    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_begin(self, net, **kwargs):
        """Let the loss be the squared error."""
        net.criterion_.loss.begin_warm_up()

    def on_epoch_begin(self, net, **kwargs):
        """Hand over, when it is time; only the last epoch before counts."""
        epoch = len(net.history_) - 1
        if epoch == self.epoch - 1:
            net.criterion_.loss.begin_warm_up()
        elif epoch == self.epoch:
            net.criterion_.loss.end_warm_up()
            _restart_schedules(net)


def _restart_schedules(net):
    """Tell the schedules that losses of another kind begin: earlier ones are no measure."""
    for _, callback in net.callbacks_:
        scheduler = getattr(callback, "lr_scheduler_", None)
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.best = np.inf if scheduler.mode == "min" else -np.inf
            scheduler.num_bad_epochs = 0


class BestEpoch(EarlyStopping):
    """Stop when the validation score no longer improves, and restore the best epoch.

    skorch's callback, with two differences: epochs before the last weights and losses have set in
    do not count, and the learned parameters of the loss are restored with those of the network.

    Parameters
    ----------
    patience : int
        Epochs without improvement before training ends.
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
        """Whether there is an epoch to go back to."""
        return self.best_model_weights_ is not None

    def on_epoch_end(self, net, **kwargs):
        """Keep the weights of a better epoch, or count a miss."""
        epoch = net.history[-1, "epoch"]
        if epoch <= self.start:
            return
        super().on_epoch_end(net, **kwargs)
        if self.best_epoch_ == epoch:
            self.loss_ = copy.deepcopy(net.criterion_.state_dict())

    def on_train_end(self, net, **kwargs):
        """Restore the weights."""
        # Of the last epoch too: skorch's does not know of steps of a diverged one that follow it.
        if self.has_weights:
            net.module_.load_state_dict(self.best_model_weights_)
            net.criterion_.load_state_dict(self.loss_)
        self.best_model_weights_ = self.loss_ = None
