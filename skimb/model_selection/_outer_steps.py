"""The outer steps of a bilevel search, as a callback of the training of the inner problem."""

import time
import traceback
from collections import deque
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from torch.nn.attention import SDPBackend, sdpa_kernel

from skimb._engine import WeightedLoss, is_out_of_memory, joined
from skimb._networks import batch_norms
from skimb._warnings import warn
from skimb.losses import Loss, vector_scaling_loss
from skimb.model_selection._hypergradient import hypergradient

__all__ = ["HeldSamples", "OuterSteps", "SearchedLoss"]

#: Steps of the network for each outer step by default: the least, so that the network can follow,
#: and the most.
EVERY = (10, 20)

#: Outer steps: as many as are wanted, and as many as short trainings take at least.
N_OUTER, LEAST_OUTER = 30, 4

#: Training samples of an outer step: two batches, but at least and at most so many; one batch is
#: always taken as a whole. There are as many held-out samples for each of them.
TRAIN_SAMPLES = (128, 256)
HELD_SHARE = 2

#: Samples of the trial before the training.
N_TRIED = 4

#: Damping of the Hessian, in addition to the weight decay.
DAMPING = 1e-3

#: Largest norm of a hypergradient.
MAX_NORM = 10.0

#: The outer optimiser: few steps, so that its averages are short.
BETAS = (0.8, 0.95)


class SearchedLoss(Loss):
    """The vector-scaling loss with the numbers that a search has reached.

    Parameters
    ----------
    multiplier, offset : ndarray of shape (n_classes,)
        The numbers with which the training begins.
    reduction : {"mean", "none", "sum"}, default="mean"
        The reduction of a call's result.
    """

    adjusts_prior = True

    def __init__(self, multiplier, offset, *, reduction="mean"):
        super().__init__()
        self.multiplier = multiplier
        self.offset = offset
        self.reduction = reduction
        self.register_buffer("multiplier_", torch.as_tensor(multiplier, dtype=torch.float64))
        self.register_buffer("offset_", torch.as_tensor(offset, dtype=torch.float64))

    def set_numbers(self, multiplier, offset):
        """Set the numbers for the next steps."""
        self.get_buffer("multiplier_").copy_(multiplier)
        self.get_buffer("offset_").copy_(offset)

    def forward(self, logits, target):
        """Return the loss of logits ``(n, n_classes)`` and class indices ``(n,)``."""
        numbers = {"multiplier": self.multiplier_, "offset": self.offset_}
        return vector_scaling_loss(logits, target, **numbers, reduction=self.reduction)

    def decision_logits(self, logits):
        """Return the raw logits."""
        return logits


class HeldSamples:
    """Held-out samples, of which each outer step gets some.

    Parameters
    ----------
    dataset : Dataset
        A data set of the engine.
    rng : RandomState
        The source of the choice.
    """

    def __init__(self, dataset, rng):
        self.dataset, self.rng = dataset, rng
        self.target = np.asarray(dataset.target)

    def draw(self, n_most, device):
        """Return images and class indices; of more than `n_most` samples a stratified part."""
        rows = np.arange(len(self.target))
        if len(rows) > n_most:
            # Equal distances in an order by class give each class its fraction.
            order = np.lexsort((self.rng.random_sample(len(rows)), self.target))
            gap = len(rows) / n_most
            places = (np.arange(n_most) + self.rng.random_sample()) * gap
            rows = order[places.astype(np.intp)]
        return self.take(np.sort(rows), device)

    def take(self, rows, device):
        """Return images and class indices of some rows."""
        images, (target, *_) = self.dataset[rows]
        return images.to(device), target.to(device)


class OuterSteps(Callback):
    """Move the numbers of the loss along the hypergradient while the network trains.

    From a fraction `start` of the training on, after each `every` steps of the network, the last
    training batches and held-out samples give one hypergradient. Both pass through the network as
    it predicts, without dropout, and with batch-norm statistics of these training batches, which
    are put back afterwards: held-out samples change nothing in the network.

    Parameters
    ----------
    numbers : ClassNumbers
        The numbers of the classes as a function of parameters.
    aim : Aim
        The aim on held-out samples.
    held : HeldSamples
        The held-out samples.
    parameters : ndarray of shape (n_parameters,)
        The parameters with which the training begins.
    n_steps : int
        Number of steps of the training.
    batch_size : int, default=256
        Number of samples of a batch of the training.
    start : float, default=0.4
        The fraction of the training after which outer steps begin.
    every : int, default=None
        Number of steps of the network for each outer step; None: as many as make 30 outer steps,
        between 10 and 20; in very short trainings fewer than 10.
    lr : float, default=0.1
        The learning rate of the outer steps, which falls to zero as a cosine.
    n_products : int, default=10
        The largest number of products with the Hessian for one hypergradient.
    temperature : float, default=1.0
        The number by which logits are divided before the aim reads them.
    """

    def __init__(
        self,
        numbers,
        aim,
        held,
        parameters,
        *,
        n_steps,
        batch_size=TRAIN_SAMPLES[1],
        start=0.4,
        every: Any = None,
        lr=0.1,
        n_products=10,
        temperature=1.0,
    ):
        self.numbers, self.aim, self.held = numbers, aim, held
        self.temperature = temperature
        self.n_steps, self.lr, self.n_products = n_steps, lr, n_products
        self.first = int(np.ceil(start * n_steps))
        if every is None:
            every = _interval(n_steps - self.first)
        self.every = every
        self.parameters = torch.tensor(parameters, dtype=torch.float64)
        self.records: list = []
        self.seconds = 0.0
        self.takes_less = False
        self.n_train = max(batch_size, int(np.clip(2 * batch_size, *TRAIN_SAMPLES)))

    def on_train_begin(self, net, X: Any = None, **kwargs):
        """Prepare the outer optimiser, and try one gradient, so that the training is not in vain.

        Raises
        ------
        ValueError
            If the network cannot be differentiated twice.
        """
        self._try(net, X)
        self.n_done_ = 0
        self.recent_ = deque()
        self.low_, self.high_ = map(torch.as_tensor, self.numbers.bounds())
        self.optimizer_ = torch.optim.Adam([self.parameters], lr=self.lr, betas=BETAS)
        n_outer = max(1, (self.n_steps - self.first) // self.every)
        self.schedule_ = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer_, n_outer)

    def on_epoch_begin(self, net, **kwargs):
        """Give the numbers to the loss, which may be another one from this epoch on."""
        self._hand_over(net)

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        """Take an outer step when it is due."""
        if not training:
            return
        self.n_done_ += 1
        self._keep(batch)
        n_since = self.n_done_ - self.first
        # After the last steps there would be no time for the network to follow.
        if n_since > 0 and n_since % self.every == 0 and self.n_done_ < self.n_steps:
            began = time.perf_counter()
            self._step(net)
            self.seconds += time.perf_counter() - began

    def on_train_end(self, net, **kwargs):
        """Drop the batches and the optimiser."""
        del self.recent_, self.optimizer_, self.schedule_, self.low_, self.high_

    def _try(self, net, dataset):
        device = torch.device(net.device)
        images, labels = dataset[np.arange(min(len(dataset), N_TRIED))]
        labels = tuple(label.to(device) for label in labels)
        held = self.held.take(np.arange(min(len(self.held.target), N_TRIED)), device)
        try:
            self._gradient(net, images.to(device), labels, *held, n_products=1)
        except (RuntimeError, NotImplementedError) as error:
            if is_out_of_memory(error):
                raise
            raise ValueError(
                "search='end_to_end' needs a network that can be differentiated twice, and "
                f"{type(net.module_.network).__name__} cannot: {str(error).splitlines()[0]} Use "
                "search='head', which differentiates the last layer alone."
            ) from error

    def _keep(self, batch):
        """Keep the last batches, as many as make `n_train` samples."""
        self.recent_.append(batch)
        while sum(len(one) for one, _ in self.recent_) - len(self.recent_[0][0]) >= self.n_train:
            self.recent_.popleft()

    def _step(self, net):
        try:
            found, aim = self._hypergradient(net)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error) or self.n_train == 1:
                raise
            traceback.clear_frames(error.__traceback__)
            self._take_less()
            return
        value = found.value.to("cpu", torch.float64)
        is_finite = bool(torch.isfinite(value).all())
        if is_finite:
            self.parameters.grad = value
            self.optimizer_.step()
            with torch.no_grad():
                self.parameters.clamp_(self.low_, self.high_)
            self._hand_over(net)
        self.schedule_.step()
        self.records.append(
            {
                "epoch": len(net.history),
                "step": self.n_done_,
                "aim": aim,
                "hypergradient_norm": found.norm,
                "n_products": found.n_products,
                "is_convex": found.is_convex,
                "is_finite": is_finite,
                "parameters": self.parameters.tolist(),
            }
        )

    def _take_less(self):
        """Halve the samples of the next outer steps, as these did not fit in memory."""
        if not self.takes_less:
            warn(
                "The samples of an outer step of the search do not fit in memory. From now on it "
                "uses fewer. A smaller `batch_size` avoids it."
            )
        self.takes_less = True
        self.n_train = self.n_train // 2
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()

    def _hand_over(self, net):
        with torch.no_grad():
            net.criterion_.loss.set_numbers(*self.numbers(self.parameters))

    def _hypergradient(self, net):
        """Return the hypergradient at the present weights, and the value of the aim."""
        device = torch.device(net.device)
        batch, held = (
            self._training_batch(net, device),
            self.held.draw(HELD_SHARE * self.n_train, device),
        )
        return self._gradient(net, *batch, *held, n_products=self.n_products)

    def _gradient(self, net, images, labels, held_images, held_target, *, n_products):
        module = net.module_
        weights = [weight for weight in module.parameters() if weight.requires_grad]
        parameters = self.parameters.detach().to(images.device).requires_grad_()
        multiplier, offset = self.numbers(parameters)
        loss = partial(vector_scaling_loss, multiplier=multiplier, offset=offset)
        # The fast kernels of attention have no second derivative.
        math = sdpa_kernel(SDPBackend.MATH)
        with torch.enable_grad(), fixed_norms(module, images), math:
            logits = module(held_images) / self.temperature
            aim = self.aim.decisions(logits, held_target)
            found = hypergradient(
                WeightedLoss(loss)(module(images), labels),
                aim,
                weights,
                parameters,
                damping=_damping(net.optimizer_, weights),
                n_products=n_products,
                max_norm=MAX_NORM,
            )
        return found, float(aim.detach())

    def _training_batch(self, net, device):
        """Return the last training samples after an augmentation of their own."""
        images = joined([one for one, _ in self.recent_])
        labels = [torch.cat(parts) for parts in zip(*(two for _, two in self.recent_), strict=True)]
        if self.takes_less and len(images) > self.n_train:
            # The samples of a batch may be in the order of their classes.
            rows = torch.linspace(0, len(images) - 1, self.n_train).round().long()
            images = _rows_of(images, rows.to(images.device))
            labels = [label[rows.to(label.device)] for label in labels]
        images, labels = images.to(device), tuple(label.to(device) for label in labels)
        if net.augmentation is not None:
            images, labels = net.augmentation(images, *labels)
        return images, labels


@contextmanager
def fixed_norms(module, images):
    """Let a network run as in predictions, with the batch-norm statistics of some images.

    Moving averages lag behind the weights, so batch norms that train get the statistics of these
    images. Afterwards, all statistics and modes are as they were.

    Parameters
    ----------
    module : Standardized
        The module of a net.
    images : Tensor or MixedBatch
        At least two training images, on the device of the network.
    """
    modes = [(layer, layer.training) for layer in module.modules()]
    norms = [norm for norm in batch_norms(module) if norm.training]
    buffers = [buffer for norm in norms for buffer in norm.buffers()]
    before = [buffer.clone() for buffer in buffers]
    momenta = [norm.momentum for norm in norms]
    module.eval()
    # In training mode the outermost module does no test-time augmentation.
    module.training = True
    try:
        if len(images) > 1 and norms:
            for norm in norms:
                norm.training, norm.momentum = True, 1.0
            with torch.no_grad():
                module(images)
            for norm in norms:
                norm.training = False
        yield
    finally:
        with torch.no_grad():
            for buffer, values in zip(buffers, before, strict=True):
                buffer.copy_(values)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for layer, mode in modes:
            layer.training = mode


def _rows_of(batch, rows):
    if isinstance(batch, torch.Tensor):
        return batch[rows]
    return type(batch)(batch.images[rows], batch.table[rows], batch.n_images)


def _interval(n_steps):
    """Return the number of steps of the network for each outer step, where so many are left."""
    least, most = EVERY
    return int(np.clip(n_steps // N_OUTER, max(1, min(least, n_steps // LEAST_OUTER)), most))


def _damping(optimizer, weights):
    """Return the damping of each weight: its weight decay, and a little more."""
    decay = {
        id(weight): group.get("weight_decay", 0.0)
        for group in optimizer.param_groups
        for weight in group["params"]
    }
    return torch.cat(
        [torch.full_like(w, DAMPING + decay.get(id(w), 0.0)).reshape(-1) for w in weights]
    ).detach()
