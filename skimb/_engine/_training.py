"""Train a network: from tensors, weights and a recipe to a fitted skorch net."""

import copy
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from skorch.helper import predefined_split

from skimb._engine._augmentation import Augmentation
from skimb._engine._batch_plan import BatchPlan
from skimb._engine._callbacks import BestEpoch, ClippedGradients, Deferral, WarmUp
from skimb._engine._image_data import Part, few_rows, to_device
from skimb._engine._layer_rates import LayerPlan
from skimb._engine._length import epochs_of_patience
from skimb._engine._net import ImageNet
from skimb._engine._optimizers import OPTIMIZERS, loss_parameters, parameter_groups
from skimb._engine._runtime import seeded, threads_for, with_live_threads
from skimb._engine._schedules import lr_callback
from skimb._engine._standardized import RowLoss, Standardized
from skimb._networks._layer_order import layer_groups
from skimb._networks._probes import count_multiply_adds, last_linear
from skimb._params import plain
from skimb.losses import RegressionLoss

__all__ = [
    "Phase",
    "Trainee",
    "Training",
    "build_net",
    "epoch_records",
    "let_go",
    "prepared",
    "train",
    "training_mode",
]

#: One over the fraction of the epochs before a loss that learns its noise takes over.
WARM_UP = 2


@dataclass
class Phase:
    """What rows weigh and which loss they pay, from one epoch on.

    Parameters
    ----------
    start : int
        The first epoch, counted from 0.
    weight : ndarray of shape (n,)
        Row weights of the training part.
    loss : callable
        ``(logits, target)`` to one value a row.
    factor : callable, default=None
        Targets to what the weights of held-out rows are multiplied by; None: the estimator knows.
    """

    start: int
    weight: np.ndarray
    loss: Any
    factor: Any = None


@dataclass
class Training:
    """What a training needs beside the network and the parameters of the estimator.

    Parameters
    ----------
    part, valid : Part
        The training part, whose weights are those of the phases, and the validation part with its
        own; None for no validation.
    valid_rows : ndarray of int
        Rows of X that were held out.
    phases : list of Phase
        Weights and losses, the first from the first epoch on.
    plan : BatchPlan
        Which rows stand in the batches.
    statistics : pair of ndarray, or None
        Mean and standard deviation of each channel.
    augmentation : Augmentation
        What happens to the batches of the training.
    scorer : callable or None
        What early stopping watches; None: what the estimator computes by itself.
    watches_loss : bool
        Whether early stopping watches the loss of the validation part instead.
    device : torch.device
        Where it trains.
    seed : int
        Of all that is random in torch.
    rates : list of float, default=None
        The learning rate of each epoch, known from an earlier training that this one repeats on
        more rows; None: the estimator's own schedule.
    is_contiguous : bool, default=False
        Whether the network reads contiguous images, as channels-last ones it cannot: a trial says.
    """

    part: Part
    valid: Part | None
    valid_rows: np.ndarray
    phases: list[Phase]
    plan: BatchPlan
    statistics: tuple[np.ndarray, np.ndarray] | None
    augmentation: Augmentation
    scorer: Any
    watches_loss: bool
    device: torch.device
    seed: int
    rates: list[float] | None = None
    is_contiguous: bool = False

    @property
    def n_epochs(self):
        """Epochs at most."""
        return self.plan.n_epochs if self.rates is None else len(self.rates)

    def phase(self, epoch):
        """Return the phase of an epoch, counted from 0."""
        return [phase for phase in self.phases if phase.start <= epoch][-1]


@dataclass(eq=False)
class Trainee:
    """A network that waits for its training.

    Parameters
    ----------
    estimator : BaseCNN
        Whose optimisation parameters are read.
    network : nn.Module
        On the device.
    training : Training
        What to train on.
    """

    estimator: Any
    network: Any
    training: Training


def prepared(estimator, X, y, sample_weight=None, groups=None):
    """Check everything, and return a network that waits for its training.

    Parameters
    ----------
    estimator : BaseCNN
        Whose `fit` is meant.
    X, y, sample_weight, groups
        As in its `fit`.

    Returns
    -------
    Trainee
    """
    training = estimator._prepare(X, y, sample_weight, groups)
    with training_mode(training):
        network = estimator._build(training)
    return Trainee(estimator, network, training)


@contextmanager
def training_mode(training):
    """Seed torch for a training, which takes gradients whatever mode the caller is in."""
    with (
        seeded(training.seed, training.device),
        # Until the training sets its own number.
        threads_for(0),
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        yield


def build_net(
    estimator: Any, network, training, *, callbacks=(), split=None, layers=None, regularizer=None
):
    """Build the skorch net round a network, by the parameters of an estimator.

    Parameters
    ----------
    estimator : BaseCNN
        Whose optimisation parameters and `image_shape_` are read.
    network : nn.Module
        On the device, in channels-last memory.
    training : Training
        What it is to train on.
    callbacks : list of Callback, default=()
        What happens between steps and epochs.
    split : callable, default=None
        skorch's ``train_split``.
    layers : LayerPlan, default=None
        Which layers train when and how fast.
    regularizer : callable, default=None
        What adds to the loss of the training batches.

    Returns
    -------
    ImageNet
    """
    optimizer, options = OPTIMIZERS.get(estimator.optimizer, (estimator.optimizer, None))
    if options is not None:
        options = {**options, "fused": training.device.type in ("cpu", "cuda")}
    augmentation = training.augmentation
    return ImageNet(
        Standardized(
            network,
            training.statistics,
            augmentation.views,
            is_contiguous=training.is_contiguous,
        ).to(training.device),
        # A copy: it moves to the device, and the estimator's own stays on the host.
        RowLoss(copy.deepcopy(training.phases[0].loss)),
        plan=training.plan,
        augmentation=augmentation if augmentation.is_active else None,
        layers=layers,
        regularizer=regularizer,
        multiply_adds=count_multiply_adds(network, estimator.image_shape_, training.device),
        num_workers=plain(estimator.num_workers),
        optimizer=optimizer,
        lr=plain(estimator.lr),
        max_epochs=training.n_epochs,
        batch_size=training.plan.batch_size,
        train_split=split,
        callbacks=[(type(callback).__name__.lower(), callback) for callback in callbacks],
        device=training.device,
        verbose=plain(estimator.verbose),
        **{
            f"optimizer__{name}": value
            for name, value in {
                "weight_decay": plain(estimator.weight_decay),
                **(options or {}),
            }.items()
        },
    )


def let_go(net):
    """Drop what only the training needed: it holds the data, or the network a second time."""
    net.callbacks, net.callbacks_, net.train_split, net.plan = None, [], None, None
    net.augmentation = net.layers = net.regularizer = None
    net.module, net.criterion = Standardized, RowLoss


def train(estimator: Any, network, training):
    """Train a network by the parameters of an estimator.

    Parameters
    ----------
    estimator : BaseCNN
        Whose optimisation parameters, `classes_` and `image_shape_` are read.
    network : nn.Module
        On the device, in channels-last memory.
    training : Training
        What to train on.

    Returns
    -------
    net : ImageNet
        The fitted net, which holds none of the data.
    epoch : int
        The epoch whose weights it has, counted from 0.
    """
    callbacks, split = [], None
    schedule = estimator.lr_schedule
    valid, device, phases = training.valid, training.device, training.phases
    first, *later = phases
    if valid is not None:
        weight = estimator._held_weight(training, first)
        held = Part(valid.images, estimator._encoded(valid.target), weight)
        split = predefined_split(to_device(held, device))
        callbacks.append(estimator._validation(training))
    if estimator.early_stopping and schedule == "one_cycle":
        schedule = "plateau"
    if schedule == "plateau" and training.rates is not None:
        schedule = training.rates
    layers = _layer_plan(estimator, network, training)
    rates = [plain(estimator.lr) * rate for rate, _, _ in parameter_groups(network, layers)]
    rates += [first.loss.lr] if loss_parameters(first.loss) else []
    scheduler = lr_callback(
        schedule,
        lr=rates,
        n_epochs=training.plan.n_epochs,
        steps_per_epoch=training.plan.steps,
        watches=_watched(first.loss, valid),
    )
    if scheduler is not None:
        callbacks.append(scheduler)
    if estimator.max_grad_norm is not None:
        callbacks.append(ClippedGradients(plain(estimator.max_grad_norm)))
    warm_up = 0
    if hasattr(first.loss, "begin_warm_up") and training.plan.n_epochs > 1:
        warm_up = max(1, training.plan.n_epochs // WARM_UP)
        callbacks.append(WarmUp(warm_up))
    best = None
    if valid is not None and estimator.early_stopping:
        patience = epochs_of_patience(int(estimator.n_iter_no_change), training.plan.steps)
        best = BestEpoch(patience, max(warm_up, phases[-1].start))
        callbacks.append(best)
    for phase in later:
        valid_weight = None if valid is None else estimator._held_weight(training, phase)
        loss = None if phase.loss is first.loss else copy.deepcopy(phase.loss)
        callbacks.append(Deferral(phase.start, loss, phase.weight, valid_weight))
    regularizer = estimator._regularizer(network, device)
    net = build_net(
        estimator,
        network,
        training,
        callbacks=callbacks,
        split=split,
        layers=layers,
        regularizer=regularizer,
    )
    part = training.part
    part = Part(part.images, estimator._encoded(part.target), first.weight)
    try:
        with threads_for(net.multiply_adds * training.plan.batch_size):
            with_live_threads(net.fit, to_device(part, device))
    finally:
        if regularizer is not None:
            regularizer.detach()
    let_go(net)
    if layers is not None:
        layers.thaw()
    net.refuse_divergence(few_rows(part))
    return net, (len(net.history) if best is None else best.epoch_) - 1


def _watched(loss, valid):
    """Return what a schedule by plateaus looks at."""
    if valid is None:
        return "train_loss"
    # Of other batches, or with another noise, such a loss is another one.
    is_fixed = not isinstance(loss, RegressionLoss) or not loss.adjusts_prior
    return "valid_loss" if is_fixed else "valid_score"


def _layer_plan(estimator, network, training):
    """Return which layers train when and how fast, or None for all alike."""
    if estimator.freeze is None and estimator.lr_decay is None:
        return None
    device = training.device
    head = last_linear(network.eval(), estimator.image_shape_, device)
    groups = layer_groups(network, head, estimator.image_shape_, device)
    network.train()
    return LayerPlan(
        groups,
        freeze=plain(estimator.freeze),
        lr_decay=plain(estimator.lr_decay),
        n_epochs=training.plan.n_epochs,
    )


def epoch_records(history):
    """Turn skorch's history into a list of one dict an epoch.

    Parameters
    ----------
    history : skorch.history.History
        What the net recorded.

    Returns
    -------
    list of dict
    """
    dropped = ("batches", "epoch", "stops", "train_batch_count", "valid_batch_count", "dur")
    return [
        {name: value for name, value in row.items() if name not in dropped}
        | {"seconds": row["dur"]}
        for row in history
    ]
