"""What the net does between steps and epochs: clipping, validation, phases, the rate."""

import copy

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import confusion_matrix
from sklearn.metrics import precision_recall_fscore_support as precision_recall_f1
from skorch.callbacks import Callback
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

__all__ = [
    "BestEpoch",
    "ClippedGradients",
    "Deferral",
    "RegressionValidation",
    "RegressionView",
    "Validation",
    "WarmUp",
]


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


class RegressionView(RegressorMixin, BaseEstimator):
    """The estimator as it stands after an epoch, seen by scorers through known predictions.

    Parameters
    ----------
    predicted : ndarray of shape (n,)
        Predictions for the validation part.
    """

    def __init__(self, predicted):
        self.predicted = predicted
        self.is_fitted_ = True

    def fit(self, X, y):
        """Do nothing: the network is trained elsewhere."""
        return self

    def predict(self, X):
        """Return the predictions."""
        return self.predicted


class RegressionValidation(Callback):
    """Score the validation part of a continuous target after each epoch.

    Parameters
    ----------
    X, y : ndarray
        The validation part.
    predict : callable
        Outputs of the network, of shape (n, 1), to predictions of shape (n,).
    balanced_error : callable
        ``(y_true, y_pred)`` to the error that counts the range of the target evenly.
    scorer : callable or None
        A scikit-learn scorer, recorded as ``valid_score``; None: the negative balanced error.
    watches_loss : bool, default=False
        Record the negative loss of the validation part instead.
    """

    def __init__(self, X, y, *, predict, balanced_error, scorer, watches_loss=False):
        self.X, self.y = X, y
        self.predict = predict
        self.balanced_error = balanced_error
        self.scorer = scorer
        self.watches_loss = watches_loss

    def on_epoch_end(self, net, **kwargs):
        """Record errors in the history of the net."""
        predicted = self.predict(net.valid_logits_.cpu().numpy())
        del net.valid_logits_
        record = net.history.record
        record("valid_mean_absolute_error", float(np.abs(predicted - self.y).mean()))
        balanced = self.balanced_error(self.y, predicted)
        record("valid_balanced_mean_absolute_error", balanced)
        score = -net.history[-1, "valid_loss"] if self.watches_loss else -balanced
        if self.scorer is not None:
            score = float(self.scorer(RegressionView(predicted), self.X, self.y))
        if np.isnan(score):
            raise ValueError(
                f"`scoring` gives NaN on the validation part of {len(self.y)} rows: early stopping "
                "cannot choose by it."
            )
        record("valid_score", score)


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
    watches_loss : bool, default=False
        Record the negative loss of the validation part instead.
    """

    def __init__(self, X, y, *, classes, log_posterior, scorer, watches_loss=False):
        self.X, self.y = X, y
        self.classes = classes
        self.log_posterior = log_posterior
        self.scorer = scorer
        self.watches_loss = watches_loss

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
        score = -net.history[-1, "valid_loss"] if self.watches_loss else balanced
        if self.scorer is not None:
            score = float(self.scorer(view, self.X, self.y))
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
    loss : callable or None
        The loss from then on; None: the same.
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
        if self.loss is not None:
            net.criterion_.loss = self.loss
            net.criterion_.to(net.device)
        _begin_anew(net)


class WarmUp(Callback):
    """Train by squared error first, then by a loss that starts from what was reached.

    Parameters
    ----------
    epoch : int
        When the loss takes over, counted from 0; at least 1.
    """

    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_begin(self, net, **kwargs):
        """Let the loss be the squared error."""
        net.criterion_.loss.begin_warm_up()

    def on_epoch_begin(self, net, **kwargs):
        """Hand over, when it is time; only the last epoch before counts."""
        epoch = net.history[-1, "epoch"] - 1
        if epoch == self.epoch - 1:
            net.criterion_.loss.begin_warm_up()
        elif epoch == self.epoch:
            net.criterion_.loss.end_warm_up()
            _begin_anew(net)


def _begin_anew(net):
    """Tell the schedules that losses of another kind begin: those before are no measure."""
    for _, callback in net.callbacks_:
        scheduler = getattr(callback, "lr_scheduler_", None)
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.best = np.inf if scheduler.mode == "min" else -np.inf
            scheduler.num_bad_epochs = 0


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
        self.score_, self.epoch_, self.weights_, self.loss_ = -np.inf, 0, None, None

    @property
    def has_weights(self):
        """Whether there is an epoch to go back to."""
        return self.weights_ is not None

    def on_epoch_end(self, net, **kwargs):
        """Keep the weights of a better epoch, or count a miss."""
        if net.history[-1, "epoch"] <= self.start:
            net.history.record("stops", False)
            return
        epoch, score = net.history[-1, "epoch"], net.history[-1, "valid_score"]
        if score > self.score_:
            self.score_, self.epoch_ = score, epoch
            self.weights_ = copy.deepcopy(net.module_.state_dict())
            # What a loss has learnt belongs to these weights.
            self.loss_ = copy.deepcopy(net.criterion_.state_dict())
        net.history.record("stops", epoch - self.epoch_ >= self.patience)

    def on_train_end(self, net, **kwargs):
        """Restore the weights."""
        if self.weights_ is not None:
            net.module_.load_state_dict(self.weights_)
            net.criterion_.load_state_dict(self.loss_)
        self.weights_ = self.loss_ = None
