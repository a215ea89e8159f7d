"""The whole step of a training as a CUDA graph, which the processor starts by one call.

A small network trains in hundreds of kernels a step, and the device waits for the processor to
launch them. A graph is recorded once and replayed for each batch: it gathers the samples of the
batch from the images on the device, changes them, computes loss and gradients, clips, and lets the
optimiser step. What differs between steps lies in tensors: the rows of the batch, the learning
rates and the state of torch's generator.
"""

import warnings
from contextlib import contextmanager
from typing import Any

import torch

from skimb._engine._data_parallel import is_shared
from skimb._engine._optimizers import OPTIMIZERS
from skimb._engine._step_forward import StepForward, step_dtype
from skimb._networks import LinearModel, MixedNetwork

__all__ = ["RECORDERS", "CudaRecorder", "StepGraphs", "forward_of", "recorder_of"]

#: Packages whose modules compute the same operations in every step of a training. The Python code
#: of another module would run only while the graph is recorded.
KNOWN_PACKAGES = ("peft", "skimb", "timm", "torch", "torchvision", "transformers")

#: Steps that run one by one before a graph is recorded: libraries allocate memory in the first.
N_FIRST_STEPS = 3


class CudaRecorder:
    """Record what the processor launches on a CUDA device.

    Parameters
    ----------
    device : torch.device
        The device.
    """

    def __init__(self, device):
        self.device = device
        self.stream = torch.cuda.Stream(device)
        # Graphs that never run at the same time share their memory.
        self.pool = torch.cuda.graph_pool_handle()

    @contextmanager
    def aside(self):
        """Run the block on the stream on which graphs are recorded."""
        current = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            yield
        current.wait_stream(self.stream)

    @contextmanager
    def noticing(self):
        """Yield a list that gets an entry for each time that the processor waits for the device."""
        waits, before = [], torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            # It says that this mode is a prototype.
            caught.clear()
            try:
                yield waits
            finally:
                torch.cuda.set_sync_debug_mode(before)
        for warning in caught:
            if "synchronizing" in str(warning.message):
                waits.append(str(warning.message))
            else:
                warnings.warn_explicit(
                    warning.message, warning.category, warning.filename, warning.lineno
                )

    def record(self, function):
        """Return a graph of what a function launches, and the result of the function.

        The tensors of the result have no values before the graph is replayed.
        """
        graph = torch.cuda.CUDAGraph()
        with (
            torch.cuda.device(self.device),
            torch.cuda.graph(
                graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"
            ),
        ):
            made = function()
        return graph, made


#: The recorder of each type of device that has one.
RECORDERS: dict = {"cuda": CudaRecorder}


def recorder_of(network, training):
    """Return what records the steps of a training, or None where they run kernel by kernel.

    Parameters
    ----------
    network : nn.Module
        The network.
    training : Training
        Its training.

    Returns
    -------
    CudaRecorder or None
    """
    recorder = RECORDERS.get(training.device.type)
    if recorder is None:
        return None
    reason = _why_not_captured(network, training)
    if reason is not None:
        _tell_why(training.settings.verbose, reason)
        return None
    return recorder(training.device)


def forward_of(network, training, *, is_compiled):
    """Return the forward pass of the steps of a training.

    Parameters
    ----------
    network : nn.Module
        The network.
    training : Training
        Its training.
    is_compiled : bool
        Whether `torch.compile` compiles the network.

    Returns
    -------
    StepForward
    """
    # A single layer is not worth conversions, and heads that train together are float32 too.
    is_captured = (
        not isinstance(network, LinearModel)
        and training.device.type in RECORDERS
        and _why_not_captured(network, training) is None
    )
    dtype = step_dtype(training.settings.precision, is_captured=is_captured)
    return StepForward(training.device, dtype, is_compiled=is_compiled)


def _why_not_captured(network, training):
    """Return why the steps of a training cannot be captured in a graph, or None."""
    settings, images = training.settings, training.part.images
    if is_shared():
        return "several processes train the network together"
    if settings.net_callbacks:
        return "callbacks look at each batch"
    if not images.is_in_memory:
        return "images are read batch by batch"
    if isinstance(network, MixedNetwork):
        return "columns are read beside the images"
    if settings.optimizer not in OPTIMIZERS:
        return "the optimiser is not one that is known by name"
    if {"capturable", "differentiable", "foreach", "fused"} & set(settings.optimizer_params or ()):
        return "`optimizer_params` choose the kernels of the optimiser"
    if getattr(settings, "ranksim", 0):
        return "`ranksim` reads an inner layer"
    losses = [phase.loss for phase in training.phases]
    if any(hasattr(loss, "begin_warm_up") for loss in losses):
        return "the loss changes its form in the training"
    steps = [*training.augmentation.changes, training.augmentation.mixer]
    parts = [*network.modules(), *losses, *(step for step in steps if step is not None)]
    for part in parts:
        if type(part).__module__.partition(".")[0] not in KNOWN_PACKAGES:
            return f"{type(part).__name__} may compute something else in each step"
    return None


class StepGraphs:
    """Take the steps of a training by graphs, one for each number of samples in a batch.

    The first steps, and all steps where a graph cannot be recorded, run one kernel after the other,
    to the same result.

    Parameters
    ----------
    net : ImageNet
        The net that trains.
    dataset : ImageTensors
        The training samples.
    recorder : object
        It records, such as `CudaRecorder`.
    """

    def __init__(self, net, dataset, recorder):
        self.net, self.dataset, self.recorder = net, dataset, recorder
        self.graphs, self.n_steps = {}, {}
        self.is_over = False
        self._rates = [
            torch.tensor(float(group["lr"]), device=dataset.images.device)
            for group in net.optimizer_.param_groups
        ]
        self._built_for: tuple = ()

    def step(self, rows):
        """Take a step on a batch.

        Parameters
        ----------
        rows : Tensor of shape (n,), int64
            The samples of the batch, on the device.

        Returns
        -------
        dict
            The loss, as skorch's steps return it.
        """
        self._renew()
        size = len(rows)
        n_done = self.n_steps[size] = self.n_steps.get(size, 0) + 1
        graph = self.graphs.get(size)
        if graph is None and not self.is_over and n_done > N_FIRST_STEPS:
            graph = self._recorded(rows)
        for rate, group in zip(self._rates, self.net.optimizer_.param_groups, strict=True):
            rate.fill_(group["lr"])
        if graph is not None:
            return graph.run(self.net, rows)
        if self.is_over:
            return self._run(rows)
        with self.recorder.aside():
            if n_done < N_FIRST_STEPS:
                return self._run(rows)
            with self.recorder.noticing() as waits:
                step = self._run(rows)
        if waits:
            self._give_up(f"the processor waits for the device in a step ({waits[0]})")
        elif self.net.parts_.size is not None:
            self._give_up("a batch does not fit in memory as a whole")
        return step

    def _renew(self):
        """Drop the graphs if something that they hold is no longer the same.

        That is a tensor, the loss, the layers that train, or an option of the optimiser other than
        its rates, such as a momentum that a schedule changes.
        """
        trains = tuple(parameter.requires_grad for parameter in self.net.module_.parameters())
        objects = self.dataset.weight, self.net.criterion_.loss
        options = [
            {name: value for name, value in group.items() if name not in ("params", "lr")}
            for group in self.net.optimizer_.param_groups
        ]
        is_same = bool(self._built_for) and (
            all(one is other for one, other in zip(objects, self._built_for[0], strict=True))
            and (trains, options) == self._built_for[1:]
        )
        if not is_same:
            self._built_for = objects, trains, options
            # In its first step, an optimiser makes the state of layers that train from now on.
            self.graphs, self.n_steps = {}, {}

    def _run(self, rows):
        """Take a step one kernel after the other.

        Its result holds nothing of the graph of its gradients. Otherwise that of one step would be
        there in the next, which may run on another stream.
        """
        with self._rates_in_tensors():
            return {"loss": self.net.whole_step(self.dataset[rows])["loss"].detach()}

    def _recorded(self, rows):
        """Return the graph for batches of this size, or None where it cannot be recorded."""
        graph = StepGraph(rows.clone())
        try:
            with self._rates_in_tensors(is_capturable=True), graph.observing(self.net):
                graph.record(self.recorder, lambda: self.net.whole_step(self.dataset[graph.rows]))
        except RuntimeError as error:
            self.net.forget_step()
            self._give_up(str(error).splitlines()[0])
            return None
        self.graphs[len(rows)] = graph
        return graph

    @contextmanager
    def _rates_in_tensors(self, *, is_capturable=False):
        """Let the optimiser read its rates from tensors; schedules go on setting numbers."""
        groups = self.net.optimizer_.param_groups
        names = "lr", "capturable"
        before = [{name: group[name] for name in names if name in group} for group in groups]
        for group, rate in zip(groups, self._rates, strict=True):
            group["lr"] = rate
            if "capturable" in group:
                # Without a recording, torch would warn that it is slow.
                group["capturable"] = is_capturable
        try:
            yield
        finally:
            for group, values in zip(groups, before, strict=True):
                group.update(values)

    def _give_up(self, reason):
        self.is_over = True
        self.graphs.clear()
        _tell_why(self.net.verbose, reason)


class StepGraph:
    """The recorded step for batches of one size.

    Parameters
    ----------
    rows : Tensor of shape (n,), int64
        The tensor from which the graph reads the samples of a batch.
    """

    def __init__(self, rows):
        self.rows = rows
        self.images: Any = None

    @contextmanager
    def observing(self, net):
        """Let a step leave its images here, and fail where it does not fit in memory as a whole."""
        before = {name: net.__dict__[name] for name in ("recent_", "parts_", "gradient_norm_")}
        net.__dict__.update(recent_=self, parts_=self)
        try:
            yield
            self.norm = net.__dict__["gradient_norm_"]
        finally:
            net.__dict__.update(before)

    def record(self, recorder, step):
        """Record a step."""
        self.graph, made = recorder.record(step)
        self.loss = made["loss"].detach()

    def keep(self, images):
        """Keep the images of the recorded step, in place of `RecentBatches`."""
        self.images = images

    def step(self, batch, whole):
        """Compute the gradient of a batch as a whole, in place of `BatchParts`."""
        return whole(batch)

    def run(self, net, rows):
        """Take a step on a batch."""
        self.rows.copy_(rows)
        self.graph.replay()
        # The next replay writes into the same memory.
        if net.recent_.batches.maxlen:
            net.recent_.keep(self.images.clone())
        if self.norm is not None:
            net.__dict__["gradient_norm_"] = self.norm.clone()
        return {"loss": self.loss.clone()}


def _tell_why(verbose, reason):
    """Say, where a fit is verbose, that steps are not captured, and why."""
    if verbose:
        print(f"Steps run without a CUDA graph: {reason}.", flush=True)
