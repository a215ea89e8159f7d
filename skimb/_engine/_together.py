"""Train many networks of one kind together: one batched product where there would be many."""

import copy
import time
from collections import deque

import joblib
import numpy as np
import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.nn import functional as F

from skimb._engine._batch_norms import recent_batches
from skimb._engine._divergence import DivergenceError, diverged
from skimb._engine._image_data import few_rows, to_device
from skimb._engine._optimizers import OPTIMIZERS
from skimb._engine._runtime import threads_for, with_live_threads
from skimb._engine._schedules import step_schedule
from skimb._engine._standardized import Standardized
from skimb._engine._training import build_net, let_go, training_mode
from skimb._image_files import ImageFiles
from skimb._networks._linear import CosineLinear, LinearModel
from skimb._networks._probes import batch_norms, count_multiply_adds
from skimb._params import plain
from skimb.losses import Loss

__all__ = ["train_together", "why_alone", "why_slower"]

#: What is equal in the estimators of networks that take their steps together.
SHARED = ("optimizer", "lr", "weight_decay", "lr_schedule", "max_grad_norm")

#: Multiply-adds of an image up to which whole networks gain from training together, by device.
MOST_WORK = {"cpu": 50_000, "cuda": 20_000_000}


def _stream(trainee):
    """Return what the batches of a network depend on: where it is equal, so are they."""
    part, plan = trainee.training.part, trainee.training.plan
    # A sampler made rows of its own, if equal ones; else they lie where those of others do.
    where = np.asarray(part.images).__array_interface__
    content = where["data"], where["shape"], where["strides"]
    if trainee.estimator.sampler is not None:
        content = joblib.hash(part.images)
    order = plan.batch_size, plan.n_epochs, plan.by_row_count, plan.batch_sampling
    return content, joblib.hash((part.target, plan.rng, order, trainee.training.statistics))


def _kind(trainee):
    """Return what networks that take their steps together have in common."""
    shapes = tuple((name, tuple(p.shape)) for name, p in trainee.network.named_parameters())
    shared = tuple(getattr(trainee.estimator, name) for name in SHARED)
    plan, is_contiguous = trainee.training.plan, trainee.training.is_contiguous
    return repr(trainee.network), shapes, shared, plan.steps, plan.n_epochs, is_contiguous


def why_alone(trainee):
    """Say why a network cannot be trained together with others, or return None.

    Parameters
    ----------
    trainee : Trainee
        The network.

    Returns
    -------
    str or None
    """
    estimator, training, network = trainee.estimator, trainee.training, trainee.network
    if isinstance(training.part.images, ImageFiles):
        return "image files are decoded batch by batch"
    if training.valid is not None:
        return "each has a validation part of its own"
    if training.augmentation.is_active or training.augmentation.views is not None:
        return "augmentations are drawn for each"
    if not isinstance(estimator.optimizer, str):
        return "the optimiser is not one that is known by name"
    if estimator.lr_schedule == "plateau":
        return "lr_schedule='plateau' follows the loss of each"
    if estimator.freeze is not None or estimator.lr_decay is not None:
        return "layers have rates of their own"
    if not all(parameter.requires_grad for parameter in network.parameters()):
        return "some parameters are frozen"
    if isinstance(network, LinearModel):
        return None
    try:
        with training_mode(training):
            is_batched = _runs_as(trainee, trainee)
        if not is_batched:
            return "its layers give something else when they are batched"
    except (RuntimeError, TypeError, ValueError, AttributeError) as exc:
        return f"torch cannot batch its layers ({str(exc).splitlines()[0]})"
    return None


def _runs_as(leader, trainee):
    """Tell whether a network gives what the layers of another give with its weights."""
    shape, device = trainee.estimator.image_shape_, trainee.training.device
    rows = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0)).to(device)
    with torch.no_grad():
        together = Networks([[leader, trainee]]).run(0, rows)[1]
        alone = Networks([[trainee]]).skeleton(rows)
    return torch.allclose(together, alone, rtol=1e-3, atol=1e-4)


def why_slower(trainee):
    """Say why training a network together with others takes longer than alone, or return None.

    Parameters
    ----------
    trainee : Trainee
        The network.

    Returns
    -------
    str or None
    """
    if isinstance(trainee.network, LinearModel):
        return None
    device = trainee.training.device
    work = count_multiply_adds(trainee.network, trainee.estimator.image_shape_, device)
    if work <= MOST_WORK[device.type]:
        return None
    return (
        f"at {work:,} multiply-adds an image that is faster on a {device.type.upper()} device "
        f"(together pays up to {MOST_WORK[device.type]:,})"
    )


def train_together(trainees):
    """Train networks side by side, each to what it would become alone.

    Those of one architecture and schedule take their steps together: their weights are stacked,
    and each layer is one batched product. Networks whose batches are the same read them once.

    Parameters
    ----------
    trainees : list of Trainee
        For which `why_alone` is None.

    Returns
    -------
    list of ImageNet or ValueError
        In the order of `trainees`: fitted nets, or why one failed.
    """
    if not trainees:
        return []
    with training_mode(trainees[0].training):
        return _train_together(trainees)


def _train_together(trainees):
    streams, leaders = {}, {}
    for trainee in trainees:
        # Code and buffers are the first one's: who differs in these goes another way.
        alike = leaders.setdefault(_kind(trainee), [])
        is_head = isinstance(trainee.network, LinearModel)
        leader = next((one for one in alike if is_head or _runs_as(one, trainee)), trainee)
        if leader is trainee:
            alike.append(trainee)
        streams.setdefault((id(leader), _stream(trainee)), []).append(trainee)
    groups = {}
    for (kind, _), stream in streams.items():
        for trainee in stream[1:]:
            # Rows that a sampler made for each are kept once.
            trainee.training.part.images = stream[0].training.part.images
        groups.setdefault((kind, len(stream)), []).append(stream)
    outcomes = {}
    for group in groups.values():
        outcomes |= _train_group(group)
    return [_net(trainee, *outcomes[id(trainee)]) for trainee in trainees]


def _net(trainee, records, recent):
    """Return the fitted net of a network, or why it has none.

    Parameters
    ----------
    trainee : Trainee
        The network, with its weights.
    records : list of dict
        Mean loss of each epoch, its learning rate and its seconds, which all shared.
    recent : sequence of Tensor
        The last batches, for the norms.

    Returns
    -------
    ImageNet or ValueError
    """
    for number, record in enumerate(records, start=1):
        if not np.isfinite(record["train_loss"]):
            return diverged("train", number, record["train_loss"])
    net = build_net(trainee.estimator, trainee.network, trainee.training).initialize()
    for record in records:
        net.history.new_epoch()
        for name, value in record.items():
            net.history.record(name, value)
    net.recent_ = deque(recent)
    with threads_for(net.multiply_adds * trainee.training.plan.batch_size):
        with_live_threads(net.settle_norms)
    del net.recent_
    let_go(net)
    try:
        net.refuse_divergence(few_rows(trainee.training.part))
    except DivergenceError as exc:
        return exc
    return net


def _train_group(streams):
    """Train networks of one kind, as many for each stream of batches, and give them their weights.

    Parameters
    ----------
    streams : list of list of Trainee
        Networks by the batches that they read.

    Returns
    -------
    dict
        By the identity of each trainee its records and its last batches.
    """
    trainees = [trainee for stream in streams for trainee in stream]
    first = trainees[0]
    estimator, device, plan = first.estimator, first.training.device, first.training.plan
    n_steps = plan.steps
    stack = (Heads if isinstance(first.network, LinearModel) else Networks)(streams)
    optimizer, scheduler = _optimizer(estimator, stack, plan.n_epochs * n_steps)
    data = [to_device(stream[0].training.part, device) for stream in streams]
    stack.read(data)
    n_wide = max(stream[0].training.plan.batch_size for stream in streams)
    starts = {phase.start for trainee in trainees for phase in trainee.training.phases}
    records = [[] for _ in trainees]

    def take_steps():
        for epoch in range(plan.n_epochs):
            begin = time.perf_counter()
            batches = [stream[0].training.plan.epoch() for stream in streams]
            if epoch in starts:
                losses = _Losses(streams, epoch, device)
            losses.read(data, batches)
            total = torch.zeros(losses.shape, device=device)
            for step in range(n_steps):
                optimizer.zero_grad()
                logits = stack.logits([batch[step] for batch in batches])
                values = losses(logits, step)
                values.sum().backward()
                if estimator.max_grad_norm is not None:
                    _clip(stack.parameters.values(), plain(estimator.max_grad_norm))
                optimizer.step()
                if scheduler is not None:
                    scheduler.step()
                total += values.detach() * losses.sizes[:, step, None]
            means = (total / losses.sizes.sum(1)[:, None]).flatten().tolist()
            rate, seconds = optimizer.param_groups[0]["lr"], time.perf_counter() - begin
            for of_one, mean in zip(records, means, strict=True):
                of_one.append({"train_loss": mean, "lr": rate, "dur": seconds})

    with threads_for(stack.multiply_adds * n_wide):
        with_live_threads(take_steps)
    _hand_back(streams, stack.parameters)
    recent = [batches for batches in stack.recent for _ in streams[0]]
    return {
        id(trainee): outcome
        for trainee, outcome in zip(trainees, zip(records, recent, strict=True), strict=True)
    }


def _optimizer(estimator, stack, n_steps):
    """Return the optimiser of stacked weights, and the scheduler of its rate or None."""
    kind, options = OPTIMIZERS[estimator.optimizer]
    # One dimension for the streams and one for the networks of a stream come before their own.
    groups = [
        {"params": [p for p in stack.parameters.values() if p.ndim > 3]},
        {"params": [p for p in stack.parameters.values() if p.ndim <= 3], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    optimizer = kind(
        groups,
        lr=plain(estimator.lr),
        weight_decay=plain(estimator.weight_decay),
        fused=True,
        **options,
    )
    rates = [plain(estimator.lr)] * len(groups)
    each_step = step_schedule(estimator.lr_schedule, lr=rates, n_steps=n_steps)
    if each_step is None:
        return optimizer, None
    policy, options = each_step
    return optimizer, policy(optimizer, **options)


def _clip(parameters, max_norm):
    """Clip the gradients of each network by their norm, as `torch.nn.utils` does for one."""
    gradients = [p.grad.flatten(2) for p in parameters if p.grad is not None]
    norms = torch.stack([torch.linalg.vector_norm(grad, dim=2) for grad in gradients])
    norm = torch.linalg.vector_norm(norms, dim=0)
    factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)[..., None]
    for grad in gradients:
        grad.mul_(factor)


class _Losses:
    """The losses of all networks in an epoch: equal ones are computed at once.

    Parameters
    ----------
    streams : list of list of Trainee
        Networks by the batches that they read.
    epoch : int
        Counted from 0.
    device : torch.device
        Where.
    """

    def __init__(self, streams, epoch, device):
        self.device, self.shape = device, (len(streams), len(streams[0]))
        self.phases = [[trainee.training.phase(epoch) for trainee in s] for s in streams]
        self.together, self.alone = [], []
        groups = {}
        for place, phase in enumerate(phase for phases in self.phases for phase in phases):
            loss = phase.loss
            # One that learns more than counts from the labels may be another for each.
            if isinstance(loss, Loss) and type(loss).fit is Loss.fit:
                counts = None if loss.counts_ is None else loss.counts_.cpu().numpy()
                key = joblib.hash((type(loss), loss.get_params(), counts))
                groups.setdefault(key, (loss, []))[1].append(place)
            else:
                self.alone.append((_on(device, loss), place))
        for loss, places in groups.values():
            self.together.append((_on(device, loss), torch.tensor(places, device=device)))

    def read(self, data, batches):
        """Look up labels and weights of all batches of the epoch.

        Parameters
        ----------
        data : list of ImageTensors
            The rows of each stream.
        batches : list of list of ndarray
            The rows of each batch of each stream.
        """
        n_steps, wide = len(batches[0]), max(len(rows) for s in batches for rows in s)
        self.sizes = torch.tensor([[len(rows) for rows in s] for s in batches], device=self.device)
        n_streams, n_networks = self.shape
        self.target = torch.zeros(n_streams, n_steps, wide, dtype=torch.int64, device=self.device)
        # Where a batch is a row shorter than another stream's, a row of weight zero fills it up.
        self.weight = torch.zeros(n_streams, n_networks, n_steps, wide, device=self.device)
        for s, (part, steps) in enumerate(zip(data, batches, strict=True)):
            weights = np.stack([phase.weight for phase in self.phases[s]]).astype(np.float32)
            weights = torch.from_numpy(weights).to(self.device)
            for step, rows in enumerate(steps):
                rows = torch.from_numpy(rows).to(self.device)
                self.target[s, step, : len(rows)] = part.target[rows]
                self.weight[s, :, step, : len(rows)] = weights[:, rows]

    def __call__(self, logits, step):
        """Return the mean loss of each network on a batch.

        Parameters
        ----------
        logits : Tensor of shape (n_streams, n_networks, n, n_classes)
            What they give; n is the size of the largest batch of any stream.
        step : int
            Which batch of the epoch.

        Returns
        -------
        Tensor of shape (n_streams, n_networks)
        """
        n_streams, n_networks, wide, n_classes = logits.shape
        logits = logits.flatten(0, 1)
        target = self.target[:, step, :wide].repeat_interleave(n_networks, dim=0)
        weight = self.weight[:, :, step, :wide].flatten(0, 1)
        size = self.sizes[:, step].repeat_interleave(n_networks)
        places, means = [], []
        for loss, these in self.together:
            values = loss(logits[these].reshape(-1, n_classes), target[these].flatten())
            places.append(these)
            means.append((values.view(-1, wide) * weight[these]).sum(1) / size[these])
        for loss, place in self.alone:
            n = int(size[place])
            values = loss(logits[place, :n], target[place, :n])
            # One that returns a scalar has taken the mean itself.
            mean = values if values.ndim == 0 else (values * weight[place, :n]).mean()
            places.append(torch.tensor([place], device=self.device))
            means.append(mean[None])
        order = torch.cat(places).argsort()
        return torch.cat(means)[order].view(n_streams, n_networks)


def _on(device, loss):
    """Return a copy of a loss on a device; the estimator's own stays on the host."""
    loss = copy.deepcopy(loss)
    return loss.to(device) if isinstance(loss, nn.Module) else loss


class Heads:
    """Linear layers as one batched product: those of one stream read its rows once.

    Parameters
    ----------
    streams : list of list of Trainee
        As many heads in each.
    """

    def __init__(self, streams):
        self.streams = streams
        self.is_cosine = isinstance(streams[0][0].network.head, CosineLinear)
        self.parameters = _stacked(streams)
        self.multiply_adds = self.parameters["head.weight"].numel()

    def read(self, data):
        """Take the rows of each stream; they are standardised once."""
        self.tables, self.recent = [], [() for _ in data]
        for stream, part in zip(self.streams, data, strict=True):
            trainee = stream[0]
            images = part.images.permute(0, 3, 1, 2)
            reader = Standardized(nn.Flatten(), trainee.training.statistics).to(images.device)
            with torch.no_grad():
                table = reader.train()(images)
            self.tables.append(F.normalize(table, dim=1) if self.is_cosine else table)

    def logits(self, batches):
        """Return the logits (n_streams, n_heads, n, n_classes) of one batch a stream."""
        weight = self.parameters["head.weight"]
        n_streams, n_heads, n_classes, d = weight.shape
        wide = max(len(rows) for rows in batches)
        rows = weight.new_zeros(n_streams, wide, d)
        for into, table, batch in zip(rows, self.tables, batches, strict=True):
            torch.index_select(
                table, 0, torch.from_numpy(batch).to(table.device), out=into[: len(batch)]
            )
        if self.is_cosine:
            weight = F.normalize(weight, dim=3)
        logits = torch.bmm(rows, weight.flatten(1, 2).transpose(1, 2))
        logits = logits.view(n_streams, wide, n_heads, n_classes).transpose(1, 2)
        return logits if self.is_cosine else logits + self.parameters["head.bias"][:, :, None]


class Networks:
    """Whole networks, their weights stacked: each layer runs once for all that share a batch.

    Parameters
    ----------
    streams : list of list of Trainee
        As many networks in each.
    """

    def __init__(self, streams):
        self.streams = streams
        first = streams[0][0]
        self.parameters = _stacked(streams)
        self.skeleton = copy.deepcopy(first.network).train()
        for norm in batch_norms(self.skeleton):
            # What norms remember is estimated after the training; until then they need nothing.
            norm.track_running_stats = False
            norm.running_mean = norm.running_var = norm.num_batches_tracked = None
        device = first.training.device
        shape = first.estimator.image_shape_
        self.multiply_adds = len(streams[0]) * count_multiply_adds(first.network, shape, device)

    def read(self, data):
        """Take the rows of each stream."""
        self.data = data
        self.readers = [
            Standardized(
                nn.Identity(),
                stream[0].training.statistics,
                is_contiguous=stream[0].training.is_contiguous,
            )
            .to(part.images.device)
            .train()
            for stream, part in zip(self.streams, data, strict=True)
        ]
        #: The last batches of each stream, which what norms remember is estimated from.
        self.recent = [
            recent_batches(stream[0].network, part.images.shape, stream[0].training.plan.batch_size)
            for stream, part in zip(self.streams, data, strict=True)
        ]

    def run(self, s, images):
        """Return the logits (n_networks, n, n_classes) of images for the networks of a stream."""
        weights = {name: values[s] for name, values in self.parameters.items()}

        def one(weights):
            return functional_call(self.skeleton, weights, (images,))

        return vmap(one)(weights)

    def logits(self, batches):
        """Return the logits (n_streams, n_networks, n, n_classes) of one batch a stream."""
        wide = max(len(rows) for rows in batches)
        made = []
        for s, batch in enumerate(batches):
            images, _ = self.data[s][torch.from_numpy(batch).to(self.data[s].images.device)]
            self.recent[s].append(images)
            logits = self.run(s, self.readers[s](images))
            made.append(F.pad(logits, (0, 0, 0, wide - logits.shape[1])))
        return torch.stack(made)


def _stacked(streams):
    """Return the parameters of all networks by name, stacked (n_streams, n_networks, ...)."""
    return {
        name: torch.stack(
            [
                torch.stack([one.network.get_parameter(name).detach() for one in stream])
                for stream in streams
            ]
        ).requires_grad_()
        for name, _ in streams[0][0].network.named_parameters()
    }


def _hand_back(streams, parameters):
    """Give each network its part of the stacked parameters."""
    with torch.no_grad():
        for s, stream in enumerate(streams):
            for i, trainee in enumerate(stream):
                for name, values in parameters.items():
                    trainee.network.get_parameter(name).copy_(values[s, i])
