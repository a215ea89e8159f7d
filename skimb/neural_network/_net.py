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
    "ImageNet",
    "RowLoss",
    "Standardized",
    "Validation",
    "lr_callback",
    "unit_of",
]


#: Records of the history that are not printed: one entry a class is too wide for a line.
HIDDEN = ["stops", "valid_confusion_matrix", "valid_f1", "valid_precision", "valid_recall"]


NO_IMAGE = torch.empty(0, 1, 1, 1)


class RowLoss(nn.Module):
    """Weight the rows of a loss and take their mean: the one place where weights act.

    Parameters
    ----------
    loss : callable
        ``(logits, target)`` to one value a row, or to a scalar where all weights are 1.
    """

    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def forward(self, logits, target_and_weight):
        """Return the weighted mean of the loss over a batch."""
        target, weight = target_and_weight
        values = self.loss(logits, target)
        return values if values.ndim == 0 else (values * weight).mean()


class Standardized(nn.Module):
    """A network behind what happens to its pixels on the device: augmentation, standardisation.

    Parameters
    ----------
    network : nn.Module
        Reads float32 images of shape ``(n, C, H, W)``.
    pixels : pair of ndarray of shape (C,), default=None
        Mean and standard deviation of each channel; None leaves the pixels as they are.
    augmentation : callable, default=None
        Float32 images, with values in [0, 1] where they came as uint8, to images of that shape; in
        training only. Where it has a method ``views``, predictions are the mean of the logits over
        what that returns.
    """

    def __init__(self, network, pixels=None, augmentation=None):
        super().__init__()
        self.network = network
        self.augmentation = augmentation
        self.views = getattr(augmentation, "views", None)
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
        unit = unit_of(images)
        images = images.to(torch.float32)
        if self.training and self.augmentation is not None:
            images = self.augmentation(images / unit) * unit
        if self.is_active:
            images = (images - self.mean).mul_(self.scale)
        if self.training or self.views is None:
            return self.network(images)
        views = self.views(images)
        logits = self.network(torch.cat(views).contiguous(memory_format=torch.channels_last))
        return mean_over_views(logits, len(images))


def unit_of(images):
    """Return what full brightness is: 255 for uint8, and 1 for anything else."""
    return 255.0 if images.dtype == torch.uint8 else 1.0


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
    """

    def __init__(self, module, criterion, *, plan=None, multiply_adds=0, num_workers=0, **kwargs):
        super().__init__(module, criterion, **kwargs)
        self.plan = plan
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


class BestEpoch(Callback):
    """Stop when the score no longer improves, and restore the weights of the best epoch.

    Parameters
    ----------
    patience : int
        Epochs without improvement before training ends.
    """

    def __init__(self, patience):
        self.patience = patience

    def on_train_begin(self, net, **kwargs):
        """Start anew."""
        self.score_, self.epoch_, self.weights_ = -np.inf, 0, None

    def on_epoch_end(self, net, **kwargs):
        """Keep the weights of a better epoch, or count a miss."""
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
