"""Train a network: from samples, weights and settings to a fitted skorch net."""

import copy
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from skorch.helper import predefined_split

from skimb._engine._augmentation import Augmentation
from skimb._engine._batch_plan import BatchPlan
from skimb._engine._callbacks import (
    BestEpoch,
    ClippedGradients,
    DeferredWeights,
    TargetOfEpoch,
    WarmUp,
)
from skimb._engine._checkpoint import open_checkpoint
from skimb._engine._data_parallel import open_shares
from skimb._engine._image_data import Part, dataset_of, few_samples
from skimb._engine._image_net import OF_ENGINE
from skimb._engine._layer_rates import LayerPlan
from skimb._engine._length import epochs_of_patience
from skimb._engine._net import HIDDEN, PER_CLASS
from skimb._engine._optimizers import loss_parameters, optimizer_arguments, parameter_groups
from skimb._engine._runtime import seeded, threads_for, with_live_threads
from skimb._engine._schedules import lr_callback
from skimb._engine._standardized import Standardized
from skimb._engine._step_graph import forward_of, recorder_of
from skimb._engine._weighted_loss import WeightedLoss
from skimb._networks import count_multiply_adds, last_linear, layer_groups
from skimb.losses import RegressionLoss

__all__ = ["Phase", "Training", "build_net", "epoch_records", "train", "training_mode"]

#: A loss that learns its noise starts after 1 / `WARM_UP` of the epochs.
WARM_UP = 2

#: Entries of skorch's history that are not in `history_`.
NOT_SHOWN = frozenset(
    {
        "batches",
        "epoch",
        "train_batch_count",
        "valid_batch_count",
        "train_loss_best",
        "valid_loss_best",
        "dur",
    }
)


@dataclass
class Phase:
    """The weights and the loss from one epoch on.

    Parameters
    ----------
    start : int
        The first epoch, counted from 0.
    weight : ndarray of shape (n,)
        Weights of the training samples.
    loss : callable
        A function of ``(logits, target)`` that returns one value per sample.
    valid_weight : ndarray of shape (m,), default=None
        Weights of the validation samples.
    """

    start: int
    weight: np.ndarray
    loss: Any
    valid_weight: np.ndarray | None = None


@dataclass
class Training:
    """Everything that a training needs, except for the network.

    Parameters
    ----------
    part, valid : Part
        The training part and the validation part, or None for no validation: images, targets as
        the network sees them, and weights of the first phase.
    valid_indices : ndarray of int
        Indices of the samples of X that were held out.
    phases : list of Phase
        Weights and losses; the first phase begins with the first epoch.
    plan : BatchPlan
        The samples of each batch.
    statistics : pair of ndarray, or None
        Mean and standard deviation of each channel.
    augmentation : Augmentation
        Changes of the batches of the training.
    target : Target
        The meaning of targets and outputs.
    settings : SimpleNamespace
        The parameters of the estimator by name: optimiser, learning rate and so on.
    image_shape : tuple of int
        ``(C, H, W)``.
    device : torch.device
        Where the network trains.
    seed : int
        The seed of all random numbers in torch.
    scores : callable, default=None
        A function of ``(outputs, loss)`` of the validation part that returns records of the
        history.
    read : callable, default=None
        A function that turns X and y, in the form of the estimator's `fit`, into a data set of the
        engine.
    held : Part, default=None
        The validation part with its original targets and weights.
    rates : list of float, default=None
        The learning rate of each epoch, known from an earlier training that this one repeats on
        more samples; None: the schedule of the settings.
    is_contiguous : bool, default=False
        Whether the network cannot read images in channels-last memory and needs contiguous memory.
        A trial step decides it.
    observers : list of Callback
        Callbacks that look at the training, after those of the engine.
    checkpoint : Checkpoint, default=None
        The file from which the training goes on; `train` sets it.
    steps : object, default=None
        The augmentation as the estimator got it, or the copy of it that the training uses.
    has_begun : bool, default=False
        Whether an epoch has begun.
    precision : str, default="float32"
        The type in which the layers of its steps compute; `train` sets it.
    """

    part: Part
    valid: Part | None
    valid_indices: np.ndarray
    phases: list[Phase]
    plan: BatchPlan
    statistics: tuple[np.ndarray, np.ndarray] | None
    augmentation: Augmentation
    target: Any
    settings: Any
    image_shape: tuple[int, int, int]
    device: torch.device
    seed: int
    scores: Any = None
    read: Any = None
    held: Part | None = None
    rates: list[float] | None = None
    is_contiguous: bool = False
    observers: list = field(default_factory=list)
    checkpoint: Any = None
    steps: Any = None
    has_begun: bool = False
    precision: str = "float32"

    @property
    def n_epochs(self):
        """Largest number of epochs."""
        return self.plan.n_epochs if self.rates is None else len(self.rates)

    @property
    def depends_on_epoch(self):
        """Whether weights, losses, batches or layers change at a known epoch."""
        return (
            len(self.phases) > 1
            or self.plan.batch_sampling == "progressive"
            or self.settings.freeze == "gradual"
            or hasattr(self.phases[0].loss, "begin_warm_up")
        )

    def phase(self, epoch):
        """Return the phase of an epoch, counted from 0."""
        return [phase for phase in self.phases if phase.start <= epoch][-1]


@contextmanager
def training_mode(training):
    """Seed torch for a training, and enable gradients in any mode of the caller."""
    with (
        seeded(training.seed, training.device),
        # This holds until the training sets its own number of threads.
        threads_for(0),
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        yield


def build_net(network, training, *, callbacks=(), split=None, layers=None, regularizer=None):
    """Build the skorch net for a network.

    Parameters
    ----------
    network : nn.Module
        The network, on the device and in channels-last memory.
    training : Training
        The training of the net.
    callbacks : list of Callback, default=()
        Callbacks of the engine, to which those of the user are added.
    split : callable, default=None
        skorch's ``train_split``.
    layers : LayerPlan, default=None
        The layers that train in each epoch, and their learning rates.
    regularizer : callable, default=None
        A term that is added to the loss of the training batches.

    Returns
    -------
    ImageNet
    """
    settings, augmentation = training.settings, training.augmentation
    named = [(OF_ENGINE + type(callback).__name__.lower(), callback) for callback in callbacks]
    return training.target.net_class(
        Standardized(
            network,
            training.statistics,
            augmentation.views,
            is_contiguous=training.is_contiguous,
        ).to(training.device),
        # A copy moves to the device; the loss of the estimator stays on the host.
        WeightedLoss(copy.deepcopy(training.phases[0].loss)),
        plan=training.plan,
        augmentation=augmentation if augmentation.is_active else None,
        layers=layers,
        regularizer=regularizer,
        target=training.target,
        scores=training.scores,
        seed=training.seed,
        dataset=training.read,
        predict_nonlinearity=training.target.interpret_tensor,
        multiply_adds=count_multiply_adds(network, training.image_shape, training.device),
        num_workers=settings.num_workers,
        lr=settings.lr,
        max_epochs=training.n_epochs,
        batch_size=training.plan.batch_size,
        train_split=split,
        # A training that repeats an earlier one has no validation part for them to look at.
        callbacks=named + list((training.rates is None and settings.net_callbacks) or []),
        device=training.device,
        verbose=settings.verbose,
        **optimizer_arguments(
            settings.optimizer,
            settings.optimizer_params,
            training.device,
            weight_decay=settings.weight_decay,
        ),
    )


def train(network, training):
    """Train a network.

    Parameters
    ----------
    network : nn.Module
        The network, on the device and in channels-last memory.
    training : Training
        Everything else that it needs.

    Returns
    -------
    net : ImageNet
        The fitted net, which holds none of the data.
    epoch : int
        The epoch, counted from 0, whose weights the net has.
    """
    part, valid, device = training.part, training.valid, training.device
    layers = _layer_plan(network, training)
    callbacks, best = _callbacks(network, training, layers)
    regularizer = training.target.regularizer(network, training)
    training.checkpoint = open_checkpoint(network, training)
    shares = open_shares(network, training)
    net = build_net(
        network,
        training,
        callbacks=callbacks,
        split=None
        if valid is None
        else predefined_split(dataset_of(valid.images, valid.target, valid.weight, device)),
        layers=layers,
        regularizer=regularizer,
    )
    forward = forward_of(network, training, is_compiled=training.settings.compile)
    training.precision = str(forward.dtype).removeprefix("torch.")
    net.__dict__.update(
        checkpoint_=training.checkpoint,
        shares_=shares,
        forward_=forward,
        recorder_=recorder_of(network, training),
    )
    try:
        with threads_for(net.multiply_adds * training.plan.batch_size):
            dataset = dataset_of(part.images, part.target, part.weight, device)
            with_live_threads(net.partial_fit, dataset)
        watch = net.watch_
        own = [callback for _, callback in net.own_callbacks]
    finally:
        # Callbacks of the user outlive a training that fails, but not before it has begun.
        if net.initialized_:
            net.drop_training()
        if regularizer is not None:
            regularizer.detach()
        if layers is not None:
            layers.thaw()
    net.refuse_divergence(few_samples(part), watch)
    # Gradients would take as much memory as the network.
    net.module_.zero_grad(set_to_none=True)
    net.criterion_.zero_grad(set_to_none=True)
    # The callback of a user may have restored an earlier epoch too, after ours.
    restored = [
        one.best_epoch_
        for one in [best, *own]
        if getattr(one, "load_best", False) and getattr(one, "best_epoch_", 0)
    ]
    return net, (restored[-1] if restored else len(net.history)) - 1


def _callbacks(network, training, layers):
    """Return the callbacks of the engine, and the callback that keeps the best epoch."""
    settings, valid, plan = training.settings, training.valid, training.plan
    first, *later = training.phases
    callbacks: list = [TargetOfEpoch(training)]
    schedule = settings.lr_schedule
    if settings.early_stopping and schedule == "one_cycle":
        schedule = "plateau"
    if training.rates is not None and (schedule == "plateau" or callable(schedule)):
        schedule = training.rates
    rates = [settings.lr * rate for rate, _, _ in parameter_groups(network, layers)]
    rates += [first.loss.lr] if loss_parameters(first.loss) else []
    scheduler = lr_callback(
        schedule,
        lr=rates,
        n_epochs=plan.n_epochs,
        steps_per_epoch=plan.steps,
        watches=_watched(first.loss, valid),
    )
    if scheduler is not None:
        callbacks.append(scheduler)
    if settings.max_grad_norm is not None:
        callbacks.append(ClippedGradients(settings.max_grad_norm))
    warm_up, best = 0, None
    if hasattr(first.loss, "begin_warm_up") and plan.n_epochs > 1:
        warm_up = max(1, plan.n_epochs // WARM_UP)
        callbacks.append(WarmUp(warm_up))
    if valid is not None and settings.early_stopping:
        patience = epochs_of_patience(settings.n_iter_no_change, plan.steps)
        best = BestEpoch(patience, max(warm_up, training.phases[-1].start))
        callbacks.append(best)
    for phase in later:
        loss = None if phase.loss is first.loss else copy.deepcopy(phase.loss)
        callbacks.append(DeferredWeights(phase.start, loss, phase.weight, phase.valid_weight))
    return callbacks + training.observers, best


def _watched(loss, valid):
    """Return the record that a schedule by plateaus reads."""
    if valid is None:
        return "train_loss"
    # Such a loss is not comparable between different batches or noises.
    is_fixed = not isinstance(loss, RegressionLoss) or not loss.adjusts_prior
    return "valid_loss" if is_fixed else "valid_score"


def _layer_plan(network, training):
    """Return the `LayerPlan` of a training, or None if all layers train at one rate."""
    settings, device = training.settings, training.device
    if settings.freeze is None and settings.lr_decay is None:
        return None
    head = last_linear(network.eval(), training.image_shape, device)
    groups = layer_groups(network, head, training.image_shape, device)
    network.train()
    return LayerPlan(
        network,
        groups,
        freeze=settings.freeze,
        lr_decay=settings.lr_decay,
        n_epochs=training.plan.n_epochs,
    )


def epoch_records(history):
    """Turn skorch's history into a list with one dict per epoch.

    Parameters
    ----------
    history : skorch.history.History
        The record of the net.

    Returns
    -------
    list of dict
    """
    return [
        {
            name.removeprefix(PER_CLASS) if name in HIDDEN else name: value
            for name, value in row.items()
            if name not in NOT_SHOWN
        }
        | {"seconds": row["dur"]}
        for row in history
    ]
