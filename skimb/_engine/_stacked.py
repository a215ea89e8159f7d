"""Networks with stacked weights: each layer runs once for all of them."""

import copy

import joblib
import numpy as np
import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.nn import functional as F
from torch.utils.data import Dataset

from skimb._engine._batch_norms import RecentBatches
from skimb._engine._net import PER_CLASS, Net
from skimb._engine._standardized import Standardized
from skimb._networks import CosineLinear, batch_norms, count_multiply_adds
from skimb.losses import Loss

__all__ = ["StackedHeads", "StackedNet", "StackedNetworks"]


class StackedNet(Net):
    """The net of networks that train together: each step is a step of all of them.

    Parameters
    ----------
    module, criterion, **kwargs
        As in `Net`; the module is a `Stack`, and the criterion is not used.
    streams : list of list of PendingFit
        Networks, grouped by the batches that they read.
    """

    #: A network that diverges does not end the others.
    stops_at_batch = False

    def __init__(self, module, criterion, *, streams, **kwargs):
        super().__init__(module, criterion, **kwargs)
        self.streams = streams

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Draw the batches of the epoch, and set the losses of its phase."""
        super().on_epoch_begin(net, dataset_train, dataset_valid, **kwargs)
        epoch = len(self.history) - 1
        starts = {
            phase.start
            for stream in self.streams
            for one in stream
            for phase in one.training.phases
        }
        if epoch in starts:
            self.losses_ = _Losses(self.streams, epoch, self.device)
        self.batches_ = [stream[0].training.plan.epoch() for stream in self.streams]
        self.losses_.read(self.module_.tensors, self.batches_)
        self.totals_ = torch.zeros(self.losses_.shape, device=self.device)

    def get_iterator(self, dataset, training=False):
        """Return the batches of each epoch, one for each stream, and the number of the step."""
        return _Steps(self)

    def infer(self, x, **fit_params):
        """Return the logits of all networks for one batch of each stream."""
        return self.module_(x)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Return the sum of the losses of all networks, whose gradients do not mix."""
        values = self.losses_(y_pred, y_true)
        self.totals_ += values.detach() * self.losses_.sizes[:, y_true, None]
        return values.sum()

    def end_of_batches(self, prefix, loss, outputs):
        """Return the mean loss of each network; a network that diverges does not end the others."""
        means = self.totals_ / self.losses_.sizes.sum(1)[:, None]
        trainings = [stream[0].training for stream in self.streams]
        counts = [one.target.drawn_counts(one.plan) for one in trainings]
        return {prefix + "_losses": means.tolist(), PER_CLASS + "class_counts": counts}


class _Steps:
    """The steps of an epoch.

    Parameters
    ----------
    net : StackedNet
        The net, which has drawn the batches of the epoch.
    """

    def __init__(self, net):
        self.net = net

    def __iter__(self):
        for step, batch in enumerate(zip(*self.net.batches_, strict=True)):
            yield list(batch), step


class _Losses:
    """The losses of all networks in an epoch; equal losses are computed in one call.

    Parameters
    ----------
    streams : list of list of PendingFit
        Networks, grouped by the batches that they read.
    epoch : int
        Counted from 0.
    device : torch.device
        The device of the networks.
    """

    def __init__(self, streams, epoch, device):
        self.device, self.shape = device, (len(streams), len(streams[0]))
        self.phases = [[trainee.training.phase(epoch) for trainee in s] for s in streams]
        self.together, self.alone = [], []
        groups = {}
        for place, phase in enumerate(phase for phases in self.phases for phase in phases):
            loss = phase.loss
            # A loss that learns more than class counts from the labels may differ between streams.
            if isinstance(loss, Loss) and type(loss).fit is Loss.fit:
                counts = None if loss.counts_ is None else loss.counts_.cpu().numpy()
                key = joblib.hash((type(loss), loss.get_params(), counts))
                groups.setdefault(key, (loss, []))[1].append(place)
            else:
                self.alone.append((_on(device, loss), place))
        for loss, places in groups.values():
            self.together.append((_on(device, loss), torch.tensor(places, device=device)))

    def read(self, data, batches):
        """Read the labels and weights of all batches of the epoch.

        Parameters
        ----------
        data : list of ImageTensors
            The samples of each stream.
        batches : list of list of ndarray
            The sample indices of each batch of each stream.
        """
        n_steps, wide = len(batches[0]), max(len(rows) for s in batches for rows in s)
        self.sizes = torch.tensor([[len(rows) for rows in s] for s in batches], device=self.device)
        n_streams, n_networks = self.shape
        self.target = torch.zeros(n_streams, n_steps, wide, dtype=torch.int64, device=self.device)
        # If a batch is one sample shorter than that of another stream, a sample of weight zero is
        # added.
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
            The outputs of the networks; n is the size of the largest batch of any stream.
        step : int
            The number of the batch in the epoch.

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
            # A loss that returns a scalar has taken the mean itself.
            mean = values if values.ndim == 0 else (values * weight[place, :n]).mean()
            places.append(torch.tensor([place], device=self.device))
            means.append(mean[None])
        order = torch.cat(places).argsort()
        return torch.cat(means)[order].view(n_streams, n_networks)


def _on(device, loss):
    """Return a copy of a loss on a device; the estimator's own stays on the host."""
    loss = copy.deepcopy(loss)
    return loss.to(device) if isinstance(loss, nn.Module) else loss


class Stack(nn.Module):
    """The parameters of many networks of one kind, stacked.

    Parameters
    ----------
    streams : list of list of PendingFit
        Networks, equally many in each stream.
    """

    #: Number of leading dimensions: one for the streams, one for the networks of a stream.
    n_stacked = 2

    def __init__(self, streams):
        super().__init__()
        self.streams = streams
        #: The position of each parameter in `stacked`.
        self.names = [name for name, _ in streams[0][0].network.named_parameters()]
        self.stacked = nn.ParameterList(
            torch.stack(
                [
                    torch.stack([one.network.get_parameter(name).detach() for one in stream])
                    for stream in streams
                ]
            )
            for name in self.names
        )

    def read(self, tensors):
        """Take the samples of each stream.

        Parameters
        ----------
        tensors : list of ImageTensors
            One for each stream.
        """
        self.tensors = tensors
        self.data = _Streams(tensors)

    def hand_back(self):
        """Copy the stacked parameters back to each network."""
        with torch.no_grad():
            for s, stream in enumerate(self.streams):
                for i, one in enumerate(stream):
                    for name, values in zip(self.names, self.stacked, strict=True):
                        one.network.get_parameter(name).copy_(values[s, i])


class _Streams(Dataset):
    """The samples of all streams, as the data set that skorch needs."""

    def __init__(self, tensors):
        self.tensors = tensors

    def __len__(self):
        return sum(map(len, self.tensors))


class StackedHeads(Stack):
    """Linear layers as one batched product; those of one stream read its samples once."""

    def __init__(self, streams):
        super().__init__(streams)
        self.is_cosine = isinstance(streams[0][0].network.head, CosineLinear)
        self.weight = self.stacked[self.names.index("head.weight")]
        self.bias = None if self.is_cosine else self.stacked[self.names.index("head.bias")]
        self.multiply_adds = self.weight.numel()

    def read(self, tensors):
        """Take the samples of each stream; they are standardised once."""
        super().read(tensors)
        self.tables, self.recent = [], [() for _ in tensors]
        for stream, part in zip(self.streams, tensors, strict=True):
            images = part.images.permute(0, 3, 1, 2)
            reader = Standardized(nn.Flatten(), stream[0].training.statistics).to(images.device)
            with torch.no_grad():
                table = reader.train()(images)
            self.tables.append(F.normalize(table, dim=1) if self.is_cosine else table)

    def forward(self, batches):
        """Return the logits (n_streams, n_heads, n, n_classes) of one batch of each stream."""
        weight = self.weight
        n_streams, n_heads, n_classes, d = weight.shape
        wide = max(len(indices) for indices in batches)
        samples = weight.new_zeros(n_streams, wide, d)
        for into, table, batch in zip(samples, self.tables, batches, strict=True):
            torch.index_select(
                table, 0, torch.from_numpy(batch).to(table.device), out=into[: len(batch)]
            )
        if self.is_cosine:
            weight = F.normalize(weight, dim=3)
        logits = torch.bmm(samples, weight.flatten(1, 2).transpose(1, 2))
        logits = logits.view(n_streams, wide, n_heads, n_classes).transpose(1, 2)
        return logits if self.bias is None else logits + self.bias[:, :, None]


class StackedNetworks(Stack):
    """Whole networks: each layer runs once for all networks that read the same batch."""

    def __init__(self, streams):
        super().__init__(streams)
        first = streams[0][0]
        skeleton = copy.deepcopy(first.network).train()
        for norm in batch_norms(skeleton):
            # Batch-norm statistics are estimated after the training and not needed before.
            norm.track_running_stats = False
            norm.running_mean = norm.running_var = norm.num_batches_tracked = None
        # In a tuple, because its parameters are not parameters of the stack.
        self._skeleton = (skeleton,)
        shape, device = first.training.image_shape, first.training.device
        # On a CUDA device, vmap of torch 2.11 cannot run batch norms on channels-last memory.
        self.is_contiguous = first.training.is_contiguous or device.type == "cuda"
        self.multiply_adds = len(streams[0]) * count_multiply_adds(first.network, shape, device)

    @property
    def skeleton(self):
        """The network whose code runs, in training mode."""
        return self._skeleton[0]

    def read(self, tensors):
        """Take the samples of each stream."""
        super().read(tensors)
        first = [stream[0] for stream in self.streams]
        self.readers = [
            Standardized(
                nn.Identity(),
                one.training.statistics,
                is_contiguous=self.is_contiguous,
            )
            .to(part.images.device)
            .train()
            for one, part in zip(first, tensors, strict=True)
        ]
        #: The last batches of each stream, from which batch-norm statistics are estimated.
        self.recent = [
            RecentBatches(one.network, part.shape, one.training.plan.batch_size).batches
            for one, part in zip(first, tensors, strict=True)
        ]

    def run(self, s, images):
        """Return the logits (n_networks, n, n_classes) of images for the networks of a stream."""
        weights = {name: values[s] for name, values in zip(self.names, self.stacked, strict=True)}

        def one(weights):
            return functional_call(self.skeleton, weights, (images,))

        return vmap(one)(weights)

    def forward(self, batches):
        """Return the logits (n_streams, n_networks, n, n_classes) of one batch of each stream."""
        wide = max(len(indices) for indices in batches)
        made = []
        for s, batch in enumerate(batches):
            part = self.tensors[s]
            images, _ = part[torch.from_numpy(batch).to(part.images.device)]
            self.recent[s].append(images)
            logits = self.run(s, self.readers[s](images))
            made.append(F.pad(logits, (0, 0, 0, wide - logits.shape[1])))
        return torch.stack(made)
