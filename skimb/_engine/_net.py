"""The skorch net that trains every network of skimb, one epoch at a time."""

from contextlib import suppress
from typing import Any

import numpy as np
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, EpochTimer

from skimb._engine._divergence import DivergenceError, diverged
from skimb._engine._epoch_news import tell_epoch
from skimb._engine._epoch_table import EpochTable
from skimb._engine._loss_watch import LossWatch
from skimb._engine._optimizers import optimizer_groups
from skimb._warnings import warn

__all__ = ["HIDDEN", "PER_CLASS", "Net"]

#: How the names of records begin that hold one entry a class: loggers of skorch pass by events.
PER_CLASS = "event_"

#: Those records, which are too wide to be printed.
HIDDEN = [
    PER_CLASS + name
    for name in (
        "class_counts",
        "valid_confusion_matrix",
        "valid_f1",
        "valid_precision",
        "valid_recall",
    )
]


class Net(NeuralNet):
    """skorch's net, whose epochs never wait for the device and whose optimiser has groups.

    Each override has a comment that says which behaviour of skorch it changes, and why.

    Parameters
    ----------
    module, criterion, **kwargs
        As in skorch.
    layers : LayerPlan, default=None
        The layers that train in each epoch, and their learning rates; None: all, at one rate.
    n_stacked : int, default=0
        Number of leading dimensions of the parameters that index networks trained together.
    """

    #: Whether there are callbacks of users, which may look at batches and their losses.
    shows_batches_ = False

    #: Whether the training stops at a batch whose loss is not finite.
    stops_at_batch = True

    #: The `Checkpoint` that is written after each epoch, if there is one.
    checkpoint_: Any = None

    def __init__(self, module, criterion, *, layers: Any = None, n_stacked=0, **kwargs):
        super().__init__(module, criterion, **kwargs)
        # Set in the way of skorch, which examines each attribute that is set.
        self.__dict__.update(layers=layers, n_stacked=n_stacked)

    @property
    def _default_callbacks(self):
        # skorch's averages of the loss wait for the device at every batch.
        callbacks = [("epoch_timer", EpochTimer())]
        return [*callbacks, ("print_log", EpochTable(HIDDEN))] if self.verbose else callbacks

    def initialize_callbacks(self):
        """Initialize the callbacks, and note which of them wait for which event."""
        super().initialize_callbacks()
        self.__dict__.update(listeners_={})
        return self

    def initialize_optimizer(self, triggered_directly=None):
        """Build the optimiser, without weight decay for biases and normalisation layers."""
        # skorch forms groups by patterns of names, not by dimension.
        groups = optimizer_groups(
            self.module_,
            getattr(self.criterion_, "loss", None),
            lr=self.lr,
            layers=self.layers,
            n_stacked=self.n_stacked,
        )
        self.optimizer_ = self.optimizer(groups, lr=self.lr, **self.get_params_for("optimizer"))
        return self

    def notify(self, method_name, **cb_kwargs):
        """Notify the net and the callbacks that define the method; end training if one asks for it.

        skorch's `EarlyStopping` ends a training by a KeyboardInterrupt. skorch swallows every
        KeyboardInterrupt, also those of the user. Here only the interrupt of the callback ends the
        training silently, after all callbacks have seen the epoch.
        """
        stops = was_asked = False
        # Most callbacks have nothing to do at a batch.
        listeners = self.listeners_.get(method_name)
        for callback in self.listeners(method_name) if listeners is None else listeners:
            try:
                getattr(callback, method_name)(self, **cb_kwargs)
            except KeyboardInterrupt:
                if not isinstance(callback, EarlyStopping):
                    raise
                stops = True
            except StopTraining:
                was_asked = True
        if method_name == "on_epoch_end":
            if self.checkpoint_ is not None:
                self.checkpoint_.keep(self, is_over=stops, was_asked=was_asked)
            tell_epoch(len(self.history), self.n_epochs_)
        if stops or was_asked:
            raise StopTraining

    def listeners(self, method_name):
        """Return the net and the callbacks, if they define a method, and keep the list."""
        default = getattr(Callback, method_name, None)
        found = [
            callback
            for _, callback in self.callbacks_
            if getattr(type(callback), method_name) is not default
        ]
        own = getattr(type(self), method_name)
        if method_name == "on_epoch_begin" or own is not getattr(NeuralNet, method_name):
            found.insert(0, self)
        self.listeners_[method_name] = found
        return found

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        """Begin a record of the batch, where callbacks of users may ask for it."""
        if self.shows_batches_:
            super().on_batch_begin(net, batch=batch, training=training, **kwargs)

    def _set_training(self, training=True):
        # skorch visits all modules at every step, but the mode seldom changes.
        if self.module_.training != training:
            super()._set_training(training)
            if training and self.layers is not None:
                self.freeze_layers()

    def freeze_layers(self):
        """Freeze and thaw the layers for this epoch."""
        # Layers that are no longer frozen train again, their batch norms and dropout too.
        self.module_.train()
        self.layers.freeze(self.module_.network, len(self.history) - 1)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Go once over the batches."""
        # skorch records the loss of each batch, and so waits for the device.
        if iterator is None:
            return
        if training and self.layers is not None:
            self.freeze_layers()
        watch = self.watch_
        watch.begin(prefix, len(self.history))
        total, n_samples, n_batches, outputs = 0.0, 0, 0, []
        for batch in iterator:
            seen = self.shown(batch) if self.shows_batches_ else batch
            self.notify("on_batch_begin", batch=seen, training=training)
            step = step_fn(batch, **fit_params)
            n_here = len(batch[0])
            loss = step["loss"].detach()
            if self.stops_at_batch:
                watch.add(loss, self.__dict__.get("gradient_norm_") if training else None)
            total = total + loss * n_here
            n_samples, n_batches = n_samples + n_here, n_batches + 1
            if not training:
                outputs.append(step["y_pred"])
            if self.shows_batches_:
                # This waits for the device.
                self.history.record_batch(prefix + "_loss", float(loss))
                self.history.record_batch(prefix + "_batch_size", n_here)
            self.notify("on_batch_end", batch=seen, training=training, **step)
        watch.look()
        records = self.end_of_batches(prefix, float(total) / n_samples, outputs)
        records[prefix + "_batch_count"] = n_batches
        if training:
            records["lr"] = self.optimizer_.param_groups[0]["lr"]
        self.history[-1].update(records)

    def shown(self, batch):
        """Return a batch for callbacks of users."""
        return batch

    def end_of_batches(self, prefix, loss, outputs):
        """Return the records of an epoch, its mean loss among them.

        Parameters
        ----------
        prefix : {"train", "valid"}
            The part of the data.
        loss : float
            The mean loss over its samples.
        outputs : list of Tensor
            The outputs for the validation part; empty for the training part.

        Returns
        -------
        dict

        Raises
        ------
        DivergenceError
            If the loss is not finite.
        """
        if not np.isfinite(loss):
            raise diverged(prefix, len(self.history), loss)
        return {prefix + "_loss": loss}

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train for `max_epochs` epochs, from the present weights.

        Unlike skorch's, an interrupt of the user is not swallowed, and a training that diverges
        raises an error unless the weights of an earlier epoch are kept.
        """
        if not self.initialized_:
            self.initialize()
        self.__dict__.update(
            watch_=LossWatch(self.module_),
            gradient_norm_=None,
            n_epochs_=fit_params.get("epochs") or self.max_epochs,
        )
        self.notify("on_train_begin", X=X, y=y)
        if self.checkpoint_ is not None:
            fit_params["epochs"] = self.checkpoint_.resume(self)
        tell_epoch(len(self.history), self.n_epochs_)
        try:
            with suppress(StopTraining):
                self.fit_loop(X, y, **fit_params)
        except DivergenceError as error:
            self._fall_back(error)
        self.end_of_epochs()
        self.notify("on_train_end", X=X, y=y)
        self.end_of_training()
        return self

    def end_of_epochs(self):
        """Finish the training after the last epoch, before callbacks see the end."""

    def end_of_training(self):
        """Finish the training after callbacks, which may have restored other weights."""

    def _fall_back(self, error):
        """End a training that diverged if the weights of an earlier epoch are kept, else raise."""
        if not any(getattr(callback, "has_weights", False) for _, callback in self.callbacks_):
            raise error
        # The epoch has no validation scores.
        self.history.pop()
        warn(f"{error} Early stopping keeps the weights of the best epoch before.")


class StopTraining(Exception):  # noqa: N818 - no error, a signal
    """Raised after an epoch that a callback has marked as the last."""
