"""Train many networks of one kind together, with one batched product in place of many."""

from typing import Any

import joblib
import numpy as np
import torch

from skimb._engine._batch_norms import RecentBatches
from skimb._engine._callbacks import ClippedGradients
from skimb._engine._divergence import DivergenceError, diverged
from skimb._engine._image_data import dataset_of, few_samples
from skimb._engine._image_net import OF_ENGINE
from skimb._engine._net import PER_CLASS
from skimb._engine._optimizers import optimizer_arguments, parameter_groups
from skimb._engine._runtime import threads_for, with_live_threads, without_tf32
from skimb._engine._schedules import lr_callback
from skimb._engine._stacked import StackedHeads, StackedNet, StackedNetworks
from skimb._engine._training import build_net, training_mode
from skimb._networks import LinearModel, count_multiply_adds, in_memory

__all__ = ["train_together", "why_alone", "why_slower"]

#: Settings that must be equal for networks to train together.
SHARED = ("optimizer", "optimizer_params", "lr", "weight_decay", "lr_schedule", "max_grad_norm")

#: The record of the samples of each class in the batches of an epoch.
CLASS_COUNTS = PER_CLASS + "class_counts"

#: Multiply-adds of an image up to which whole networks train faster together, by device.
MOST_WORK = {"cpu": 50_000, "cuda": 20_000_000}


def _stream(trainee):
    """Return a key of the batches of a network: networks with equal keys have equal batches."""
    part, plan = trainee.training.part, trainee.training.plan
    # A sampler may have made equal samples in memory of its own; otherwise networks share memory.
    pixels, again = np.asarray(part.images), np.asarray(part.images)
    where = pixels.__array_interface__
    content = where["data"], where["shape"], where["strides"]
    # A source may return a copy each time: then an address says nothing.
    is_shared = np.may_share_memory(pixels, again)
    if trainee.training.settings.sampler is not None or not is_shared:
        content = joblib.hash(pixels)
    order = plan.batch_size, plan.n_epochs, plan.by_sample_count, plan.batch_sampling
    return content, joblib.hash((part.target, plan.rng, order, trainee.training.statistics))


def _kind(trainee):
    """Return a key that is equal for networks which can train together."""
    shapes = tuple((name, tuple(p.shape)) for name, p in trainee.network.named_parameters())
    shared = repr([getattr(trainee.training.settings, name) for name in SHARED])
    plan, is_contiguous = trainee.training.plan, trainee.training.is_contiguous
    return repr(trainee.network), shapes, shared, plan.steps, plan.n_epochs, is_contiguous


def why_alone(trainee: Any) -> str | None:
    """Return why a network cannot be trained together with others, or None.

    Parameters
    ----------
    trainee : PendingFit
        The network.

    Returns
    -------
    str or None

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.neural_network import CNNClassifier
    >>> from skimb.neural_network.joint_training import pend, why_alone
    >>> rng = np.random.RandomState(0)
    >>> X, y = rng.rand(40, 4, 4).astype(np.float32), np.arange(40) % 2
    >>> pending = pend(CNNClassifier("linear", augmentation=None, random_state=0), X, y)
    >>> why_alone(pending) is None
    True
    """
    training, network = trainee.training, trainee.network
    settings = training.settings
    if training.part.images.table is not None:
        return "columns are read beside the images"
    if not training.part.images.is_in_memory:
        return "images are read batch by batch"
    if training.valid is not None:
        return "each network has a validation part of its own"
    if training.augmentation.is_active or training.augmentation.views is not None:
        return "augmentations are drawn for each network"
    if not isinstance(settings.optimizer, str):
        return "the optimiser is not one that is known by name"
    if settings.checkpoint is not None:
        return "checkpoints are kept for each network"
    if settings.net_callbacks:
        return "callbacks are called for each network"
    if settings.compile or settings.precision == "bfloat16":
        return "their steps are compiled, or compute in bfloat16"
    if settings.lr_schedule == "plateau" or not isinstance(settings.lr_schedule, str):
        return f"lr_schedule={settings.lr_schedule!r} follows the loss of each network"
    if settings.freeze is not None or settings.lr_decay is not None:
        return "layers have learning rates of their own"
    if not all(parameter.requires_grad for parameter in network.parameters()):
        return "some parameters are frozen"
    if isinstance(network, LinearModel):
        return None
    try:
        with training_mode(training):
            is_batched = _runs_as(trainee, trainee)
        if not is_batched:
            return "its layers give other results when they are batched"
    except (RuntimeError, TypeError, ValueError, AttributeError) as exc:
        return f"torch cannot batch its layers ({str(exc).splitlines()[0]})"
    return None


def _runs_as(leader, trainee):
    """Return whether the layers of the leader give the same outputs with a network's weights."""
    shape, device = trainee.training.image_shape, trainee.training.device
    rows = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0)).to(device)
    stacks = StackedNetworks([[leader, trainee]]), StackedNetworks([[trainee]])
    # In the memory in which the training hands over images.
    layout = torch.contiguous_format if stacks[0].is_contiguous else torch.channels_last
    rows = in_memory(rows, layout)
    with torch.no_grad(), without_tf32():
        together = stacks[0].run(0, rows)[1]
        alone = stacks[1].skeleton(rows)
    return torch.allclose(together, alone, rtol=1e-3, atol=1e-4)


def why_slower(trainee: Any) -> str | None:
    """Return why a network trains more slowly together with others than alone, or None.

    Parameters
    ----------
    trainee : PendingFit
        The network.

    Returns
    -------
    str or None

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.neural_network import CNNClassifier
    >>> from skimb.neural_network.joint_training import pend, why_slower
    >>> rng = np.random.RandomState(0)
    >>> X, y = rng.rand(40, 4, 4).astype(np.float32), np.arange(40) % 2
    >>> pending = pend(CNNClassifier("linear", augmentation=None, random_state=0), X, y)
    >>> why_slower(pending) is None
    True
    """
    if isinstance(trainee.network, LinearModel):
        return None
    device = trainee.training.device
    work = count_multiply_adds(trainee.network, trainee.training.image_shape, device)
    if work <= MOST_WORK[device.type]:
        return None
    return (
        f"at {work:,} multiply-adds per image that is faster on a {device.type.upper()} device "
        f"(training together is faster up to {MOST_WORK[device.type]:,})"
    )


def train_together(trainees: list[Any]) -> list[Any]:
    """Train networks together, each with the result that it would have alone.

    Networks of one architecture and schedule train together: their weights are stacked, and each
    layer is one batched product. Networks with the same batches read them once.

    Parameters
    ----------
    trainees : list of PendingFit
        The networks; `why_alone` must be None for each.

    Returns
    -------
    list of ImageNet or ValueError
        In the order of `trainees`: the fitted net, or the error of a network that failed.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.neural_network import CNNClassifier
    >>> from skimb.neural_network.joint_training import pend, train_together
    >>> rng = np.random.RandomState(0)
    >>> X, y = rng.rand(40, 4, 4).astype(np.float32), np.arange(40) % 2
    >>> heads = [CNNClassifier("linear", lr=lr, max_epochs=1, random_state=0) for lr in (0.1, 0.1)]
    >>> pending = [pend(head.set_params(augmentation=None), X, y) for head in heads]
    >>> nets = train_together(pending)
    >>> [len(net.history) for net in nets]
    [1, 1]
    """
    if not trainees:
        return []
    with training_mode(trainees[0].training):
        return _train_together(trainees)


def _train_together(trainees):
    streams, leaders = {}, {}
    for trainee in trainees:
        # The code and buffers of the first network are used, so networks that differ in these train
        # elsewhere.
        same_kind = leaders.setdefault(_kind(trainee), [])
        is_head = isinstance(trainee.network, LinearModel)
        leader = next((one for one in same_kind if is_head or _runs_as(one, trainee)), trainee)
        if leader is trainee:
            same_kind.append(trainee)
        streams.setdefault((id(leader), _stream(trainee)), []).append(trainee)
    groups = {}
    for (kind, _), stream in streams.items():
        for trainee in stream[1:]:
            # Equal samples that a sampler made for each network are kept once.
            trainee.training.part.images = stream[0].training.part.images
        groups.setdefault((kind, len(stream)), []).append(stream)
    outcomes = {}
    for group in groups.values():
        outcomes |= _train_group(group)
    return [_net(trainee, *outcomes[id(trainee)]) for trainee in trainees]


def _net(trainee, records, recent):
    """Return the fitted net of a network, or the error if it has none.

    Parameters
    ----------
    trainee : PendingFit
        The network, with its weights.
    records : list of dict
        The mean loss of each epoch, its learning rate and its seconds, which are common to all
        networks.
    recent : sequence of Tensor
        The last batches, for the batch-norm statistics.

    Returns
    -------
    ImageNet or ValueError
    """
    network, training = trainee.network, trainee.training
    for number, record in enumerate(records, start=1):
        if not np.isfinite(record["train_loss"]):
            return diverged("train", number, record["train_loss"])
    net = build_net(network, training).initialize()
    for record in records:
        net.history.new_epoch()
        for name, value in record.items():
            net.history.record(name, value)
    net.recent_ = RecentBatches(network, training.part.images.shape, training.plan.batch_size)
    net.recent_.batches.extend(recent)
    with threads_for(net.multiply_adds * training.plan.batch_size):
        with_live_threads(net.end_of_epochs)
    del net.__dict__["recent_"]
    net.drop_training()
    try:
        net.refuse_divergence(few_samples(training.part))
    except DivergenceError as exc:
        return exc
    return net


def _train_group(streams):
    """Train networks of one kind, equally many for each stream of batches, and set their weights.

    Parameters
    ----------
    streams : list of list of PendingFit
        Networks by the batches that they read.

    Returns
    -------
    dict
        The records and the last batches of each network, by the identity of its fit.
    """
    trainees = [trainee for stream in streams for trainee in stream]
    first = trainees[0]
    settings, device, plan = first.training.settings, first.training.device, first.training.plan
    kind = StackedHeads if isinstance(first.network, LinearModel) else StackedNetworks
    stack = kind(streams)
    parts = [stream[0].training.part for stream in streams]
    stack.read(
        [dataset_of(part.images, part.target, part.weight, device, whole=True) for part in parts]
    )
    callbacks: list = [
        lr_callback(
            settings.lr_schedule,
            lr=[settings.lr] * len(parameter_groups(stack, n_stacked=stack.n_stacked)),
            n_epochs=plan.n_epochs,
            steps_per_epoch=plan.steps,
            watches="train_loss",
        )
    ]
    if settings.max_grad_norm is not None:
        callbacks.append(ClippedGradients(settings.max_grad_norm, n_stacked=stack.n_stacked))
    net = StackedNet(
        stack,
        torch.nn.Identity,
        streams=streams,
        n_stacked=stack.n_stacked,
        lr=settings.lr,
        max_epochs=plan.n_epochs,
        train_split=None,
        callbacks=[
            (OF_ENGINE + type(callback).__name__.lower(), callback)
            for callback in callbacks
            if callback is not None
        ],
        device=device,
        verbose=0,
        **optimizer_arguments(
            settings.optimizer,
            settings.optimizer_params,
            device,
            weight_decay=settings.weight_decay,
        ),
    )
    n_wide = max(stream[0].training.plan.batch_size for stream in streams)
    with threads_for(stack.multiply_adds * n_wide):
        with_live_threads(net.partial_fit, stack.data)
    stack.hand_back()
    outcomes = {}
    for s, stream in enumerate(streams):
        for i, trainee in enumerate(stream):
            records = [
                {
                    "train_loss": record["train_losses"][s][i],
                    "lr": record["lr"],
                    "dur": record["dur"],
                }
                | ({} if (counts := record[CLASS_COUNTS][s]) is None else {CLASS_COUNTS: counts})
                for record in net.history
            ]
            outcomes[id(trainee)] = records, stack.recent[s]
    return outcomes
