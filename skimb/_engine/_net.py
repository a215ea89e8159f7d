"""The skorch net that every estimator of images holds."""

from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import EpochTimer, PrintLog
from skorch.dataset import unpack_data
from skorch.utils import to_tensor

from skimb._engine._batch_norms import _in_parts, recent_batches
from skimb._engine._blocks import (
    block_size,
    forward,
    has_ragged_weights,
    map_side_by_side,
    replicas,
)
from skimb._engine._divergence import DivergenceError, diverged, ended_diverged
from skimb._engine._image_data import BatchIterator
from skimb._engine._optimizers import loss_parameters, optimizer_groups
from skimb._engine._runtime import threads_beside, threads_for
from skimb._engine._standardized import mean_over_views
from skimb._networks._probes import batch_norms, hidden_values, is_tracking
from skimb._warnings import warn

__all__ = ["ImageNet"]


#: Records of the history that are not printed: one entry a class is too wide for a line.
HIDDEN = ["stops", "valid_confusion_matrix", "valid_f1", "valid_precision", "valid_recall"]


#: Asks views how many they are.
ONE_IMAGE = torch.zeros(1, 1, 1, 1)


class ImageNet(NeuralNet):
    """skorch's net on tensors that lie on the device.

    Batches are whole, and an epoch's loss is summed on the device, so a step never waits for the
    host.

    Whenever predictions follow, what batch norms remember is estimated anew from the last batches:
    their moving averages lag some ten steps behind the weights, so that after short epochs, or at
    a high rate, a sound network looks as if it had collapsed [1]_.

    Parameters
    ----------
    module, criterion, **kwargs
        As in skorch.
    plan : BatchPlan
        Which rows stand in the batches of the training.
    multiply_adds : int
        The work of one image, forward only.
    num_workers : int
        Processes that decode image files.
    augmentation : Augmentation
        What happens to the batches of the training.
    layers : LayerPlan
        Which layers train in an epoch, and how fast; None: all, alike.
    regularizer : callable
        ``(labels)`` to what is added to the loss of a training batch; None: nothing.

    References
    ----------
    .. [1] Wu and Johnson, Rethinking "Batch" in BatchNorm, 2021, arXiv:2105.07576.
    """

    def __init__(
        self,
        module,
        criterion,
        *,
        plan: Any = None,
        multiply_adds=0,
        num_workers=0,
        augmentation=None,
        layers: Any = None,
        regularizer: Any = None,
        **kwargs,
    ):
        super().__init__(module, criterion, **kwargs)
        self.regularizer = regularizer
        self.plan = plan
        self.augmentation = augmentation
        self.layers = layers
        self.multiply_adds = multiply_adds
        self.num_workers = num_workers

    @property
    def _default_callbacks(self):
        callbacks = [("epoch_timer", EpochTimer())]
        return (
            [*callbacks, ("print_log", PrintLog(keys_ignored=HIDDEN))]
            if self.verbose
            else callbacks
        )

    def get_iterator(self, dataset, training=False):
        """Return an iterator of whole batches."""
        if training:
            return BatchIterator(dataset, self.batch_size, self.plan, self.num_workers)
        return BatchIterator(dataset, self.block_size_, num_workers=self.num_workers)

    def initialize_module(self):
        """Build the module, and fix the blocks in which it will predict."""
        super().initialize_module()
        views = self.module_.views
        work = self.multiply_adds * (1 if views is None else len(views(ONE_IMAGE)))
        n_layers = sum(parameter.ndim > 1 for parameter in self.module_.parameters())
        self.block_size_ = block_size(work, torch.device(self.device), n_layers)
        self.block_work_ = work * self.block_size_
        self.is_ragged_ = has_ragged_weights(self.module_)
        return self

    def infer(self, x, **fit_params):
        """Run the module on a batch; a prediction in blocks, whose size does not depend on it."""
        if self.module_.training:
            return super().infer(x, **fit_params)
        blocks = to_tensor(x, device=self.device).split(self.block_size_)
        return torch.cat([self._forward(self.module_, block) for block in blocks])

    def _forward(self, module, images):
        images = images.to(self.device)
        return forward(module, images, self.block_size_, is_ragged=self.is_ragged_)

    def _set_training(self, training=True):
        # skorch walks through all modules at every step; the mode seldom changes.
        if self.module_.training != training:
            super()._set_training(training)
            if training:
                self._freeze()

    def _freeze(self):
        if self.layers is not None:
            # What thaws trains again, norms and dropout included.
            self.module_.train()
            self.layers.freeze(self.module_.network, len(self.history) - 1)

    def initialize_optimizer(self, triggered_directly=None):
        """Build the optimiser; biases and the parameters of norms do not decay."""
        groups = optimizer_groups(
            self.module_, self.criterion_.loss, lr=self.lr, layers=self.layers
        )
        self.optimizer_ = self.optimizer(groups, lr=self.lr, **self.get_params_for("optimizer"))
        return self

    def train_step(self, batch, **fit_params):
        """Take a step on a batch, changed at random where that is asked for."""
        if self.augmentation is not None:
            images, labels = batch
            batch = self.augmentation(
                images.to(self.device), *(label.to(self.device) for label in labels)
            )
        self.recent_.append(batch[0])
        return super().train_step(batch, **fit_params)

    def validation_step(self, batch, **fit_params):
        """Predict a batch, as after the training, and return its loss."""
        with threads_for(self.block_work_):
            return super().validation_step(batch, **fit_params)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Return the loss of a batch, in training with what the regulariser adds."""
        loss = super().get_loss(y_pred, y_true, X=X, training=training)
        if training and self.regularizer is not None:
            loss = loss + self.regularizer(y_true)
        return loss

    def settle_norms(self):
        """Estimate what batch norms remember from the last batches, with the weights as they are.

        Norms that the network keeps in evaluation mode stay as they are.
        """
        self._set_training(True)
        norms = [norm for norm in batch_norms(self.module_) if norm.training]
        self._set_training(False)
        if not norms:
            return
        counters = [norm.get_buffer("num_batches_tracked") for norm in norms]
        before = [
            (norm.momentum, counter.clone()) for norm, counter in zip(norms, counters, strict=True)
        ]
        # The outermost module is told that it trains, lest it averages over views.
        for layer in (self.module_, *norms):
            layer.training = True
        try:
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None
            with torch.no_grad():
                for part in _in_parts(list(self.recent_)):
                    self.module_(part.to(self.device))
        finally:
            for norm, counter, (momentum, n_batches) in zip(norms, counters, before, strict=True):
                norm.momentum = momentum
                counter.copy_(n_batches)
            self.module_.eval()

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Go once over the batches; keep the logits of the validation part."""
        if iterator is None:
            return
        if training:
            self._freeze()
        else:
            self.settle_norms()
        total, n_rows, n_batches, logits = 0.0, 0, 0, []
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            n_here = len(unpack_data(batch)[0])
            total = total + step["loss"].detach() * n_here
            n_rows, n_batches = n_rows + n_here, n_batches + 1
            if not training:
                logits.append(step["y_pred"])
            self.notify("on_batch_end", batch=batch, training=training, **step)
        loss = float(total) / n_rows
        if not np.isfinite(loss):
            raise diverged(prefix, len(self.history), loss)
        self.history.record(prefix + "_loss", loss)
        self.history.record(prefix + "_batch_count", n_batches)
        if training:
            self.history.record("lr", self.optimizer_.param_groups[0]["lr"])
        else:
            self.valid_logits_ = torch.cat(logits)

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train; unlike skorch's, an interrupt is not swallowed."""
        self.recent_ = recent_batches(self.module_, X.images.shape, self.plan.batch_size)
        self.notify("on_train_begin", X=X, y=y)
        try:
            with suppress(StopTraining):
                self.fit_loop(X, y, **fit_params)
        except DivergenceError as exc:
            self._fall_back(exc)
        if self.train_split is None:
            self.settle_norms()
        del self.recent_
        self.notify("on_train_end", X=X, y=y)
        return self

    def _fall_back(self, error):
        """End a training that diverged, where weights of an epoch before are kept; else raise."""
        if not any(getattr(callback, "has_weights", False) for _, callback in self.callbacks_):
            raise error
        # The epoch has no validation figures.
        self.history.pop()
        warn(
            f"{error} Early stopping keeps the weights of the best epoch before.",
        )

    def refuse_divergence(self, dataset):
        """Look at what was trained, once it is: the loss was looked at before each step only.

        Parameters
        ----------
        dataset : ImageTensors or FileTensors
            A few training rows.

        Raises
        ------
        DivergenceError
            If parameters, what norms remember, or the outputs for these rows are no numbers.
        """
        norms = [(name, norm) for name, norm in self.module_.named_modules() if is_tracking(norm)]
        named = [
            *(
                (name, values)
                for name, values in self.module_.network.named_parameters()
                if values.requires_grad
            ),
            *(
                (f"{name}.{kind}".removeprefix("network."), norm.get_buffer(kind))
                for name, norm in norms
                for kind in ("running_mean", "running_var")
            ),
        ]
        if loss_parameters(self.criterion_.loss):
            named += self.criterion_.named_parameters()
        for name, values in named:
            if not torch.isfinite(values).all():
                raise ended_diverged(f"{name!r} holds values that are not finite")
        logits = self.logits(dataset)
        # A network may rule classes out by a logit of minus infinity, but not all of them.
        if np.isnan(logits).any() or not np.isfinite(logits.max(axis=1)).all():
            raise ended_diverged("the outputs for rows of X are not finite")

    def notify(self, method_name, **cb_kwargs):
        """Notify the callbacks; when all have seen an epoch, end training if one said so."""
        super().notify(method_name, **cb_kwargs)
        if method_name == "on_epoch_end" and self.history[-1].get("stops", False):
            raise StopTraining

    def logits(self, dataset):
        """Return the logits of all rows, float32 of shape (n, n_classes), on the host."""

        def reader(module):
            return partial(self._forward, module)

        return self._predict(dataset, reader)

    def values_at(self, layer, dataset, *, inputs):
        """Return what a layer reads, or gives, for all rows, on the host.

        Parameters
        ----------
        layer : nn.Module
            Part of the network.
        dataset : ImageTensors or FileTensors
            The rows.
        inputs : bool
            Whether its input counts, or its output, of which maps are averaged over their pixels.

        Returns
        -------
        ndarray of shape (n, d), float32
        """
        name = next(name for name, part in self.module_.named_modules() if part is layer)

        def reader(module):
            def read(images):
                with hidden_values(module.get_submodule(name), inputs=inputs) as last:
                    self._forward(module, images)
                if not last:
                    raise ValueError(
                        f"The layer {type(layer).__name__} does not run as a whole when the "
                        "network reads images. Name one that does."
                    )
                return mean_over_views(last[0], self.block_size_)[: len(images)]

            return read

        return self._predict(dataset, reader)

    def _predict(self, dataset, reader):
        """Return what readers give for all rows, on the host; `reader` makes them of modules."""
        self._set_training(False)
        n_readers = 1
        if torch.device(self.device).type == "cpu" and not torch.is_autocast_enabled("cpu"):
            n_readers = threads_beside(self.block_work_, -(-len(dataset) // self.block_size_))
        with threads_for(self.block_work_):
            readers = map(reader, replicas(self.module_, n_readers))
            functions = [partial(_on_host, read) for read in readers]
            return torch.cat(list(map_side_by_side(functions, self.get_iterator(dataset)))).numpy()


def _on_host(read, batch):
    """Return what a reader gives for a batch; whether gradients are taken is up to each thread."""
    with torch.no_grad():
        return read(unpack_data(batch)[0]).cpu()


class StopTraining(Exception):  # noqa: N818 - no error, a signal
    """Raised after an epoch that a callback has marked as the last."""
