"""The skorch net that CNNClassifier holds, and what it does between epochs."""

import copy
from contextlib import suppress

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import confusion_matrix
from sklearn.metrics import precision_recall_fscore_support as precision_recall_f1
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer, LRScheduler, PrintLog
from skorch.dataset import unpack_data
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau

from skimb.neural_network._batches import BatchIterator
from skimb.neural_network._runtime import prediction_rows, threads_for

__all__ = [
    "BestEpoch",
    "ClippedGradients",
    "Deferral",
    "ImageNet",
    "RowLoss",
    "Standardized",
    "Validation",
    "lr_callback",
]


#: Records of the history that are not printed: one entry a class is too wide for a line.
HIDDEN = ["stops", "valid_confusion_matrix", "valid_f1", "valid_precision", "valid_recall"]


NO_IMAGE = torch.empty(0, 1, 1, 1)


class RowLoss(nn.Module):
    """Weight the rows of a loss and take their mean: the one place where weights act.

    Rows that were mixed have two labels, each with its weight and its share.

    Parameters
    ----------
    loss : callable
        ``(logits, target)`` to one value a row, or to a scalar where all weights are 1.
    """

    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def forward(self, logits, labels):
        """Return the weighted mean of the loss over a batch.

        Parameters
        ----------
        logits : Tensor of shape (n, n_classes)
        labels : tuple of Tensor of shape (n,)
            As `Augmentation` returns them.

        Returns
        -------
        Tensor of shape ()
        """
        target, weight, *partner = labels
        values = self.loss(logits, target)
        if values.ndim == 0:
            return values
        values = values * weight
        if partner:
            target, weight, share = partner
            values = share * values + (1 - share) * self.loss(logits, target) * weight
        return values.mean()


class Standardized(nn.Module):
    """A network behind the standardisation of its pixels, which happens on the device.

    Parameters
    ----------
    network : nn.Module
        Reads float32 images of shape ``(n, C, H, W)``.
    pixels : pair of ndarray of shape (C,), default=None
        Mean and standard deviation of each channel; None leaves the pixels as they are.
    views : callable, default=None
        Images to a list of batches of their shape, over which the logits of a prediction are
        averaged; None: no others than the images.
    """

    def __init__(self, network, pixels=None, views=None):
        super().__init__()
        self.network = network
        self.views = views
        self.is_active = pixels is not None
        if pixels is not None:
            mean, sd = pixels
            # A channel that is constant, or too nearly so for float32, has no scale.
            tiny = np.finfo(np.float32).tiny
            scale = np.divide(1.0, sd, out=np.ones_like(sd), where=sd > tiny)
            self.register_buffer("mean", _per_channel(mean))
            self.register_buffer("scale", _per_channel(scale))

    def forward(self, images):
        """Return the logits of images of any dtype."""
        if len(images) == 1 and not self.training:
            # Matrix-vector products sum in another order than matrix products: with company, a
            # row on its own gets the same logits to the bit as among others. (Repeated with the
            # channels last, as they lie in memory: kernels are chosen by strides.)
            pair = images.permute(0, 2, 3, 1).repeat(2, 1, 1, 1).permute(0, 3, 1, 2)
            return self(pair)[:1]
        images = images.to(torch.float32)
        if self.is_active:
            images = (images - self.mean).mul_(self.scale)
        views = [images] if self.training or self.views is None else self.views(images)
        if len(views) == 1:
            return self.network(images)
        logits = self.network(torch.cat(views).contiguous(memory_format=torch.channels_last))
        return mean_over_views(logits, len(images))


def mean_over_views(values, n_images):
    """Return the mean over the views of each image, which stand one view below the other."""
    return values.unflatten(0, (-1, n_images)).mean(0)


def _per_channel(values):
    return torch.as_tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1)


class ImageNet(NeuralNet):
    """skorch's net on tensors that lie on the device.

    Batches are whole, and an epoch's loss is summed on the device, so a step never waits for the
    host.

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
    """

    def __init__(
        self,
        module,
        criterion,
        *,
        plan=None,
        multiply_adds=0,
        num_workers=0,
        augmentation=None,
        **kwargs,
    ):
        super().__init__(module, criterion, **kwargs)
        self.plan = plan
        self.augmentation = augmentation
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
        n_views = 1 if self.module_.views is None else len(self.module_.views(NO_IMAGE))
        n_rows = prediction_rows(n_views * self.multiply_adds, torch.device(self.device))
        return BatchIterator(dataset, n_rows, num_workers=self.num_workers)

    def _set_training(self, training=True):
        # skorch walks through all modules at every step; the mode seldom changes.
        if self.module_.training != training:
            super()._set_training(training)

    def initialize_optimizer(self, triggered_directly=None):
        """Build the optimiser; biases and the parameters of norms do not decay."""
        trained = [p for p in self.module_.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in trained if p.ndim > 1]},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        self.optimizer_ = self.optimizer(groups, lr=self.lr, **self.get_params_for("optimizer"))
        return self

    def train_step(self, batch, **fit_params):
        """Take a step on a batch, changed at random where that is asked for."""
        if self.augmentation is not None:
            images, labels = batch
            batch = self.augmentation(
                images.to(self.device), *(label.to(self.device) for label in labels)
            )
        return super().train_step(batch, **fit_params)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Go once over the batches; keep the logits of the validation part."""
        if iterator is None:
            return
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
            raise ValueError(
                f"Training diverged: the {prefix} loss of epoch {len(self.history)} is {loss}. "
                "Lower `lr`, keep `max_grad_norm`, or look for extreme values in X."
            )
        self.history.record(prefix + "_loss", loss)
        self.history.record(prefix + "_batch_count", n_batches)
        if training:
            self.history.record("lr", self.optimizer_.param_groups[0]["lr"])
        else:
            self.valid_logits_ = torch.cat(logits)

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train; unlike skorch's, an interrupt is not swallowed."""
        self.notify("on_train_begin", X=X, y=y)
        with suppress(StopTraining):
            self.fit_loop(X, y, **fit_params)
        self.notify("on_train_end", X=X, y=y)
        return self

    def notify(self, method_name, **cb_kwargs):
        """Notify the callbacks; when all have seen an epoch, end training if one said so."""
        super().notify(method_name, **cb_kwargs)
        if method_name == "on_epoch_end" and self.history[-1].get("stops", False):
            raise StopTraining

    def logits(self, dataset):
        """Return the logits of all rows, float32 of shape (n, n_classes), on the host."""
        with threads_for(self.multiply_adds * len(dataset)):
            return torch.cat(list(self.forward_iter(dataset, device="cpu"))).numpy()

    def inputs_of(self, layer, dataset):
        """Return what a layer reads for all rows, float32 of shape (n, d), on the host."""
        last = []

        def keep(layer, inputs):
            # A layer may run more than once in a forward pass: its last input counts.
            last[:] = [inputs[0].flatten(1).cpu()]

        def of_images(n_images):
            # A single row was given company, see `Standardized`.
            n_read = max(2, n_images)
            return mean_over_views(last[0], n_read)[:n_images]

        handle = layer.register_forward_pre_hook(keep)
        try:
            with threads_for(self.multiply_adds * len(dataset)):
                batches = [of_images(len(z)) for z in self.forward_iter(dataset, device="cpu")]
        finally:
            handle.remove()
        return torch.cat(batches).numpy()


class StopTraining(Exception):  # noqa: N818 - no error, a signal
    """Raised after an epoch that a callback has marked as the last."""


class ClippedGradients(Callback):
    """Clip the norm of all gradients together.

    Parameters
    ----------
    max_norm : float
        The largest norm that is let through.
    """

    def __init__(self, max_norm):
        self.max_norm = max_norm

    def on_train_begin(self, net, **kwargs):
        """Collect the parameters once, not at every step."""
        self.parameters_ = [p for p in net.module_.parameters() if p.requires_grad]

    def on_grad_computed(self, net, **kwargs):
        """Clip, before the optimiser steps."""
        nn.utils.clip_grad_norm_(self.parameters_, self.max_norm, foreach=True)

    def on_train_end(self, net, **kwargs):
        """Let go of the parameters."""
        del self.parameters_


class ValidationView(ClassifierMixin, BaseEstimator):
    """The estimator as it stands after an epoch, seen by scorers through known log-posteriors.

    Parameters
    ----------
    classes, log_proba : ndarray
        Labels and their log-probabilities on the validation part.
    """

    def __init__(self, classes, log_proba):
        self.classes = classes
        self.log_proba = log_proba
        self.classes_ = classes

    def fit(self, X, y):
        """Do nothing: the network is trained elsewhere."""
        return self

    def predict_proba(self, X):
        """Return the probabilities of the validation part."""
        return np.exp(self.log_proba)

    def decision_function(self, X):
        """Return log-probabilities, or their difference for two classes."""
        if len(self.classes) == 2:
            return self.log_proba[:, 1] - self.log_proba[:, 0]
        return self.log_proba

    def predict(self, X):
        """Return the most probable labels."""
        return self.classes[self.log_proba.argmax(axis=1)]


class Validation(Callback):
    """Score the validation part after each epoch.

    Parameters
    ----------
    X, y : ndarray
        The validation part, y as labels.
    classes : ndarray of shape (n_classes,)
        Labels.
    log_posterior : callable
        ``(logits, epoch=)`` to log-posteriors, both ndarrays of shape (n, n_classes); epochs count
        from 0.
    scorer : callable or None
        A scikit-learn scorer, recorded as ``valid_score``; None: the balanced accuracy.
    """

    def __init__(self, X, y, *, classes, log_posterior, scorer):
        self.X, self.y = X, y
        self.classes = classes
        self.log_posterior = log_posterior
        self.scorer = scorer

    def on_epoch_end(self, net, **kwargs):
        """Record scores in the history of the net."""
        log_proba = self.log_posterior(
            net.valid_logits_.cpu().numpy(), epoch=net.history[-1, "epoch"] - 1
        )
        del net.valid_logits_
        view = ValidationView(self.classes, log_proba)
        predicted = view.predict(self.X)
        precision, recall, f1, _ = precision_recall_f1(
            self.y, predicted, labels=self.classes, zero_division=0.0
        )
        present = np.isin(self.classes, self.y)
        balanced = float(recall[present].mean())
        record = net.history.record
        record("valid_balanced_accuracy", balanced)
        score = float(self.scorer(view, self.X, self.y)) if self.scorer else balanced
        if np.isnan(score):
            raise ValueError(
                f"`scoring` gives NaN on the validation part, which holds "
                f"{np.unique(self.y).tolist()}: early stopping cannot choose by it."
            )
        record("valid_score", score)
        record("valid_precision", precision.tolist())
        record("valid_recall", recall.tolist())
        record("valid_f1", f1.tolist())
        matrix = confusion_matrix(self.y, predicted, labels=self.classes)
        record("valid_confusion_matrix", matrix.tolist())


class Deferral(Callback):
    """Let class weights and class counts set in at a later epoch.

    Parameters
    ----------
    epoch : int
        When, counted from 0.
    loss : callable
        The loss from then on.
    weight, valid_weight : ndarray of shape (n,)
        The weights of the training rows and of the validation rows from then on; None where there
        are none of the latter.
    """

    def __init__(self, epoch, loss, weight, valid_weight):
        self.epoch, self.loss = epoch, loss
        self.weight, self.valid_weight = weight, valid_weight

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Hand over, when it is time."""
        if net.history[-1, "epoch"] - 1 != self.epoch:
            return
        for dataset, weight in ((dataset_train, self.weight), (dataset_valid, self.valid_weight)):
            if dataset is not None and weight is not None:
                dataset.reweight(weight)
        net.criterion_.loss = self.loss
        net.criterion_.to(net.device)
        for _, callback in net.callbacks_:
            scheduler = getattr(callback, "lr_scheduler_", None)
            if isinstance(scheduler, ReduceLROnPlateau):
                # Losses of another kind begin: those before are no measure for them.
                scheduler.best, scheduler.num_bad_epochs = np.inf, 0


class BestEpoch(Callback):
    """Stop when the score no longer improves, and restore the weights of the best epoch.

    Parameters
    ----------
    patience : int
        Epochs without improvement before training ends.
    start : int
        The first epoch that counts, from 0: the one in which all weights have set in.
    """

    def __init__(self, patience, start):
        self.patience, self.start = patience, start

    def on_train_begin(self, net, **kwargs):
        """Start anew."""
        self.score_, self.epoch_, self.weights_ = -np.inf, 0, None

    def on_epoch_end(self, net, **kwargs):
        """Keep the weights of a better epoch, or count a miss."""
        if net.history[-1, "epoch"] <= self.start:
            net.history.record("stops", False)
            return
        epoch, score = net.history[-1, "epoch"], net.history[-1, "valid_score"]
        if score > self.score_:
            self.score_, self.epoch_ = score, epoch
            self.weights_ = copy.deepcopy(net.module_.state_dict())
        net.history.record("stops", epoch - self.epoch_ >= self.patience)

    def on_train_end(self, net, **kwargs):
        """Restore the weights."""
        if self.weights_ is not None:
            net.module_.load_state_dict(self.weights_)
        self.weights_ = None


def lr_callback(schedule, *, lr, n_epochs, steps_per_epoch, has_validation):
    """Return the callback of a learning-rate schedule, or None for a constant rate.

    Parameters
    ----------
    schedule : {"one_cycle", "cosine", "plateau", "constant"}
        As in `CNNClassifier`.
    lr : float
        The highest rate.
    n_epochs, steps_per_epoch : int
        The length of the training.
    has_validation : bool
        Whether ``"plateau"`` can watch a validation loss.

    Returns
    -------
    LRScheduler or None
    """
    n_steps = n_epochs * steps_per_epoch
    if schedule == "one_cycle":
        return LRScheduler(
            policy=OneCycleLR,
            step_every="batch",
            event_name=None,
            max_lr=lr,
            # One more than are taken: skorch asks for the rate after the last step too.
            total_steps=n_steps + 1,
            cycle_momentum=False,
        )
    if schedule == "cosine":
        return LRScheduler(
            policy=CosineAnnealingLR, step_every="batch", event_name=None, T_max=n_steps
        )
    if schedule == "plateau":
        return LRScheduler(
            policy=ReduceLROnPlateau,
            event_name=None,
            monitor="valid_loss" if has_validation else "train_loss",
            factor=0.5,
            patience=2,
        )
    return None
