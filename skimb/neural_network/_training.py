"""Train a network: from tensors, weights and a recipe to a fitted skorch net."""

import copy
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from skorch.helper import predefined_split

from skimb._image_files import ImageFiles
from skimb._params import plain
from skimb.losses import RegressionLoss
from skimb.neural_network._augmentation import Augmentation
from skimb.neural_network._batches import BatchPlan, FileTensors, ImageTensors
from skimb.neural_network._callbacks import (
    BestEpoch,
    ClippedGradients,
    Deferral,
    WarmUp,
    lr_callback,
)
from skimb.neural_network._layers import LayerPlan, layer_groups
from skimb.neural_network._length import epochs_of_patience
from skimb.neural_network._modules import count_multiply_adds, last_linear
from skimb.neural_network._net import (
    ImageNet,
    RowLoss,
    Standardized,
    loss_parameters,
    parameter_groups,
)
from skimb.neural_network._runtime import seeded, threads_for, with_live_threads

__all__ = [
    "OPTIMIZERS",
    "Part",
    "Phase",
    "Trainee",
    "Training",
    "build_net",
    "class_weighted",
    "epoch_records",
    "exponent_of",
    "few_rows",
    "in_range",
    "let_go",
    "mean_one",
    "prepared",
    "to_device",
    "train",
    "training_mode",
    "unlabelled",
]

#: One over the fraction of the epochs before a loss that learns its noise takes over.
WARM_UP = 2

OPTIMIZERS = {
    "adamw": (torch.optim.AdamW, {}),
    "adam": (torch.optim.Adam, {}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
}


#: Weights beyond this power of two, up or down, are brought back: their sums may overflow.
MOST_EXPONENT = 500


@dataclass
class Part:
    """Rows that belong together: images, targets and weights.

    Parameters
    ----------
    images : ndarray of shape (n, H, W, C), uint8 or float32; or ImageFiles of that shape
    target : ndarray of shape (n,), int or float64
        Class indices, or values of a continuous target.
    weight : ndarray of shape (n,), float64
    """

    images: np.ndarray | ImageFiles
    target: np.ndarray
    weight: np.ndarray

    def take(self, rows):
        """Return the part made of these rows, sorted and distinct; without a copy where all are."""
        if len(rows) == len(self.target):
            return self
        return Part(self.images[rows], self.target[rows], self.weight[rows])


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


def exponent_of(values):
    """Return by which power of two weights are to be divided, so that sums of them are numbers.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Weights that are not negative.

    Returns
    -------
    int
        0 where they may stay as they are.
    """
    exponent = int(np.frexp(values.max(initial=0.0))[1])
    return exponent if abs(exponent) > MOST_EXPONENT else 0


def in_range(values, exponent):
    """Divide weights by a power of two, which is exact; those that are positive stay so.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Weights that are not negative.
    exponent : int
        As `exponent_of` returns it.

    Returns
    -------
    ndarray of shape (n,)
    """
    if not exponent:
        return values
    least = np.finfo(np.float64).tiny
    return np.where(values > 0, np.maximum(np.ldexp(values, -exponent), least), 0.0)


def class_weighted(weight, target, class_weight, *, max_weight=None):
    """Multiply row weights by class weights, and rescale them to mean 1.

    Parameters
    ----------
    weight : ndarray of shape (n,)
        Row weights.
    target : ndarray of shape (n,)
        Class indices.
    class_weight : ndarray of shape (n_classes,)
        Class weights, in any unit.
    max_weight : float, default=None
        What a class may weigh at most, where the average row weighs 1; at least 1. The others are
        raised in proportion, so that the mean stays 1.

    Returns
    -------
    weight : ndarray of shape (n,)
        Row weights of mean 1.
    factor : ndarray of shape (n_classes,)
        What rows of each class were multiplied by.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.neural_network._training import class_weighted
    >>> target = np.array([0, 0, 0, 0, 1])
    >>> class_weighted(np.ones(5), target, np.array([1, 4]))[1]
    array([0.625, 2.5  ])
    >>> class_weighted(np.ones(5), target, np.array([1, 4]), max_weight=2)[1]
    array([0.75, 2.  ])
    """
    # The quotient of proportional weights rounds alike: equal results to the bit in any unit.
    relative = class_weight / (class_weight.max() or 1.0)
    if max_weight is None:
        weight, unit = mean_one(weight * relative[target])
        return weight, relative / unit
    weight, unit = mean_one(weight)
    mass = np.bincount(target, weights=weight, minlength=len(relative)) / len(target)
    is_capped = np.zeros(len(relative), dtype=bool)
    while True:
        rest = 1 - max_weight * mass[is_capped].sum()
        free = mass[~is_capped] @ relative[~is_capped]
        # Where only classes of weight zero are left, nothing can be raised for the mean's sake.
        scaled = relative * (rest / free) if free > 0 else relative
        factor = np.where(is_capped, max_weight, scaled)
        over = factor > max_weight * (1 + 1e-12)
        if not over.any():
            return weight * factor[target], factor / unit
        is_capped |= over


def mean_one(weight):
    """Rescale weights to mean 1, so that proportional weights give equal results to the bit.

    Parameters
    ----------
    weight : ndarray of shape (n,)
        Weights that are not negative.

    Returns
    -------
    weight : ndarray of shape (n,), float64
    unit : float
        What the weights were divided by.

    Raises
    ------
    ValueError
        If all weights are zero.
    """
    largest = weight.max()
    if largest == 0:
        raise ValueError(
            "All weights of the training part are zero. Give at least one row a positive weight."
        )
    # The quotient of proportional numbers rounds alike; sums of them need not.
    relative = weight / largest
    mean = relative.mean()
    return relative / mean, largest * mean


def to_device(part, device):
    """Put a part on the device, once and as it is.

    Parameters
    ----------
    part : Part
        The rows.
    device : torch.device
        Where to.

    Returns
    -------
    ImageTensors, or FileTensors: files stay where they are
    """
    dtype = np.float32 if np.issubdtype(part.target.dtype, np.floating) else np.int64
    target = np.ascontiguousarray(part.target, dtype=dtype)
    if isinstance(part.images, ImageFiles):
        return FileTensors(part.images, target, part.weight.astype(np.float32))
    # torch wants memory that it may write to; only a read-only or strided array is copied.
    images = np.require(part.images, requirements=["C", "W"])
    # An axis of length one may have any stride, and convolutions choose their kernel by strides:
    # there and back, every layout gets the same ones.
    images = torch.from_numpy(images.reshape(-1).reshape(images.shape))
    weight = torch.from_numpy(part.weight.astype(np.float32))
    target = torch.from_numpy(target)
    return ImageTensors(images.to(device), target.to(device), weight.to(device))


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


def unlabelled(images):
    """Return images for predictions: on the host, as batch by batch they need not fit elsewhere.

    Parameters
    ----------
    images : ndarray of shape (n, H, W, C), or ImageFiles of that shape
        The rows.

    Returns
    -------
    ImageTensors or FileTensors
    """
    nothing = np.zeros(len(images))
    return to_device(Part(images, nothing, nothing), torch.device("cpu"))


def few_rows(part, n_rows=16):
    """Return a few rows of a part, for a look at what the network makes of them.

    Parameters
    ----------
    part : Part
        The rows.
    n_rows : int, default=16
        How many at most, from all over the part.

    Returns
    -------
    ImageTensors or FileTensors
    """
    n_all = len(part.target)
    return unlabelled(part.images[np.linspace(0, n_all - 1, min(n_rows, n_all)).astype(np.intp)])


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
