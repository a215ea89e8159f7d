"""The common part of the estimators of images: parameters, checks, the order of a fit."""

from abc import ABCMeta, abstractmethod
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skimb._engine import (
    AUGMENTATIONS,
    OPTIMIZERS,
    PRECISIONS,
    TrainingLength,
    dataset_of,
    train,
    training_mode,
    try_loss,
    try_optimizer,
    try_step,
)
from skimb._images import check_images, warn_of_other_pixels
from skimb._networks import MODULES, build_module, last_linear
from skimb._params import (
    HasMethods,
    Interval,
    StrOptions,
    fit_context,
)
from skimb._warnings import warn
from skimb.neural_network._columns import table_shape
from skimb.neural_network._fit_tasks import FitTasks, fitted_attributes
from skimb.neural_network._options import refuse_parameters_of_a_string
from skimb.neural_network._pending_fit import PendingFit
from skimb.neural_network._preparation import prepare
from skimb.neural_network._save_methods import SavedToFile
from skimb.neural_network._stopped_fits import begin_fit
from skimb.neural_network._training_record import loss_still_falls, record_of, with_refit
from skimb.neural_network._training_summary import TrainingSummary, summary_of

__all__ = ["BaseCNN"]

#: Prefixes of options that belong to a class given as a parameter.
NESTED = ("module__", "optimizer__")

#: Attributes found by a training with a validation part, which a later training on all samples
#: cannot find.
FOUND_BY_VALIDATION = (
    "history_",
    "n_iter_",
    "validation_indices_",
    "temperature_",
    "decision_temperature_",
    "biases_",
    "decision_biases_",
)


class BaseCNN(SavedToFile, CallbackSupportMixin, BaseEstimator, metaclass=ABCMeta):
    """Template of an estimator with a network that reads images.

    The object that ``_make_target`` returns does everything that differs between class labels and
    continuous targets. ``_named_losses`` holds the strings that `loss` may be, and
    ``_grid_example`` shows how a loss is searched.
    """

    _named_losses: dict
    _grid_example: str

    #: The constraints common to all estimators of images; a subclass adds its own.
    _parameter_constraints: dict = {
        "module": [StrOptions(set(MODULES)), callable],
        "reweight_after": [Interval(Real, 0, 1, closed="left")],
        "sampler": [HasMethods("fit_resample"), list, tuple, None],
        "augmentation": [
            StrOptions(set(AUGMENTATIONS)),
            callable,
            HasMethods("mix"),
            list,
            tuple,
            None,
        ],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "lr_schedule": [StrOptions({"one_cycle", "cosine", "plateau", "constant"}), callable],
        "lr_decay": [Interval(Real, 0, 1, closed="right"), None],
        "freeze": [
            StrOptions({"features", "gradual"}),
            Interval(Integral, 0, None, closed="left"),
            list,
            tuple,
            None,
        ],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "steps_per_epoch": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "early_stopping": ["boolean", StrOptions({"refit"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "scoring": [str, callable, None],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "image_shape": [tuple, list, None],
        "channels": [StrOptions({"first", "last"}), None],
        "image_column": [str, list, tuple, None],
        "image_pooling": [StrOptions({"mean", "concat"})],
        "table_width": [Interval(Integral, 1, None, closed="left")],
        "table_depth": [Interval(Integral, 0, None, closed="left")],
        "table_dropout": [Interval(Real, 0, 1, closed="left")],
        "table_embedding": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "value_range": [StrOptions({"auto"}), tuple, list],
        "standardize": [StrOptions({"auto"}), tuple, list, None],
        "module_params": [dict, None],
        "optimizer_params": [dict, None],
        "warm_start": ["boolean"],
        "checkpoint": [str, HasMethods("__fspath__"), None],
        "net_callbacks": [list, tuple, None],
        "device": [str, torch.device],
        "precision": [StrOptions(set(PRECISIONS))],
        "compile": ["boolean"],
        "num_workers": [Interval(Integral, 0, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    module: Any
    loss: Any
    reweight_after: float
    sampler: Any
    augmentation: Any
    freeze: Any
    max_epochs: Any
    steps_per_epoch: Any
    batch_size: Any
    early_stopping: Any
    validation_fraction: float
    scoring: Any
    image_shape: Any
    channels: Any
    image_column: Any
    value_range: Any
    standardize: Any
    module_params: Any
    optimizer_params: Any
    device: Any
    random_state: Any
    checkpoint: Any
    warm_start: bool
    _stopped: str

    @abstractmethod
    def _make_target(self, parameters) -> Any:
        """Return the `Target` of a fit, from the parameters by name."""

    # ------------------------------------------------------------ the fit

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name.

        ``loss__gamma`` and the like belong to a loss object; ``module__width`` and
        ``optimizer__momentum`` become entries of `module_params` and `optimizer_params`.

        Parameters
        ----------
        **params
            New values.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a name is unknown, belongs to a loss that is a string, or to a module that is an
            object already.
        """
        loss = params.get("loss", self.loss)
        refuse_parameters_of_a_string(params, loss, self._named_losses, self._grid_example)
        nested = {name: params.pop(name) for name in list(params) if name.startswith(NESTED)}
        of_module = [name for name in nested if name.startswith("module__")]
        if of_module and isinstance(params.get("module", self.module), nn.Module):
            raise ValueError(
                f"{of_module[0]!r} is an option of the class of a module, and `module` is an "
                "object that is built already. Give its class as `module`."
            )
        super().set_params(**params)
        for name, value in nested.items():
            owner, _, option = name.partition("__")
            given = getattr(self, f"{owner}_params") or {}
            # A new dict, because clones share the one that they were given.
            setattr(self, f"{owner}_params", {**given, option: value})
        return self

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n, d), (n, H, W), (n, H, W, C) or (n, C, H, W), or of n paths
            Images, uint8 or float; or a list, array, Series or one-column frame of paths, which are
            decoded batch by batch. Every file is opened once first, and the error names files that
            cannot be read. With `image_column`: a frame of n rows. Further forms, such as images of
            Pillow, HDF5, zarr and data sets, are listed in the guide (docs/guide/forms.md).
        y : array-like of shape (n,)
            Labels, or values of the target.
        sample_weight : array-like of shape (n,), default=None
            Sample weights; samples of weight zero are left out.
        groups : array-like of shape (n,), default=None
            Samples of one group (a patient, a scene) stay together when the validation part is held
            out. If groups are given, a validation part is always held out.
        X_val, y_val : array-like, default=None
            A validation part of your own, in the form of X and y. Nothing of X is held out then.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X, y, a parameter or the network does not fit, before any training step; or if
            the training diverges.
        MemoryError
            If not even a single sample fits in memory. A batch that does not fit is worked on in
            parts.
        OSError
            If there is no space for the file of `checkpoint`, before the first epoch.
        """
        # A fit that fails leaves the estimator unfitted, never partly fitted.
        with begin_fit(self) as (trainings, start):
            training = self._prepare(
                X, y, sample_weight, groups, X_val=X_val, y_val=y_val, start=start
            )
            trainings.append(training)
            tasks = FitTasks(self, X, y, sample_weight).begin(training)
            with tasks.of(training, "find the best epoch"):
                epoch = self._train(training, start)
            self._warn_of_short_training(training)
            if self.early_stopping == "refit":
                training = self._prepare_refit(X, y, sample_weight, epoch + 1, training, start)
                trainings.append(training)
                with tasks.of(training, "train on all samples"):
                    self._refit(training, start)
            tasks.end()
        return self

    def _prepare_refit(self, X, y, sample_weight, n_epochs, first, start):
        """Prepare a training on all samples, for the number of epochs found best."""
        if self.verbose:
            print(f"Training again on all samples, for the {n_epochs} epochs found best:")
        rates = [record["lr"] for record in self.history_[:n_epochs]]
        length = TrainingLength(first.plan.batch_size, first.plan.n_epochs, first.plan.steps)
        own = {"length": length, "start": start, "steps": first.steps}
        return self._prepare(X, y, sample_weight, rates=rates, **own)

    def _refit(self, training, start):
        """Train again, and keep what only a validation part can find."""
        found = {name: value for name, value in vars(self).items() if name in FOUND_BY_VALIDATION}
        first = self._training_record
        del self.net_
        self._train(training, start)
        self.__dict__.update(found)
        self._training_record = with_refit(first, self._training_record)

    def _train(self, training, start=None):
        """Build the network and train it; return the epoch, from 0, whose weights it has."""
        with training_mode(training):
            network = self._build(training, None if start is None else start.network)
            pending = PendingFit(self, network, training)
            net, epoch = train(pending.network, training)
        pending.conclude(net, epoch)
        return epoch

    def _prepare(self, X, y, sample_weight=None, groups=None, **options):
        """Check everything, and return the training; see `prepare`."""
        return prepare(self, X, y, sample_weight, groups, **options)

    def _build(self, training, trained=None):
        """Build the network, and try it, the loss and the augmentation on a few samples.

        A network that is trained already is copied, and continues.
        """
        network = build_module(
            self.module if trained is None else trained,
            params=self.module_params if trained is None else None,
            image_shape=self.image_shape_,
            device=training.device,
            table=table_shape(self),
            **training.target.network_options(training),
        )
        outputs, target = training.target.example()
        try_loss(training.phases[-1].loss, outputs, target, training)
        try_step(network, training)
        try_optimizer(network, training)
        return network

    def _conclude(self, training, net, epoch):
        """Set the fitted attributes from a trained net, its target and the epoch of its weights."""
        self.__dict__.update(fitted_attributes(training, net))
        self._training_record = record_of(training, net, epoch)
        # Weights of later calls of `partial_fit` are in the unit of this training.
        self._weight_unit = getattr(training.target, "unit", None)

    def _warn_of_short_training(self, training):
        """Warn where the loss still fell when the training ended."""
        if loss_still_falls(training, self.history_):
            n_steps = training.plan.n_epochs * training.plan.steps
            warn(
                f"{n_steps} gradient steps: the training loss still fell when they ended, so the "
                "network could learn more. Raise `max_epochs`, lower `batch_size`, or leave both "
                "at 'auto'.",
                ConvergenceWarning,
            )

    # ------------------------------------------------------------ after it

    @property
    def module_(self) -> Any:
        """The trained network."""
        check_is_fitted(self)
        return self.net_.module_.network

    def training_summary(self) -> TrainingSummary:
        """Return what happened in the last fit.

        It tells what the network is, on which samples and with which loss, weights and sampler it
        was trained, for how long and what ended the training, whether the loss still fell, and the
        class prior for which it predicts.

        Returns
        -------
        TrainingSummary
            It prints as text, is a table in a notebook, and gives the facts as a dict.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        """
        check_is_fitted(self)
        return summary_of(self)

    def _dataset(self, X):
        """Return X as images for the net."""
        check_is_fitted(self)
        images = check_images(self, X, channels=self.channels)
        warn_of_other_pixels(self, images)
        return dataset_of(images)

    def embed(self, X: Any) -> NDArray[np.float32]:
        """Return the features that the last linear layer of the network reads.

        Parameters
        ----------
        X : array-like
            Images in any form that `fit` takes. Files are brought to the size that it saw;
            arrays must have it.

        Returns
        -------
        ndarray of shape (n, d), float32

        Raises
        ------
        ValueError
            If the network has no linear layer.
        """
        dataset = self._dataset(X)
        device = torch.device(self.net_.device)
        layer = last_linear(self.module_.eval(), self.image_shape_, device)
        return self.net_.values_at(layer, dataset, inputs=True)

    def __getstate__(self):
        # The state of the optimiser is larger than the network, and `partial_fit` can begin a new
        # one.
        state: Any = super().__getstate__()
        return {k: v for k, v in state.items() if k != "_optimizer_state"}

    def __sklearn_is_fitted__(self):
        is_fitted = hasattr(self, "net_")
        if not is_fitted and "_stopped" in vars(self):
            raise NotFittedError(self._stopped)
        return is_fitted

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
