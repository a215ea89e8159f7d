"""The common part of the estimators of images: parameters, checks, the order of a fit."""

import copy
from abc import ABCMeta, abstractmethod
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import get_scorer
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skimb._engine import (
    AUGMENTATIONS,
    OPTIMIZERS,
    PRECISIONS,
    BatchPlan,
    Part,
    Training,
    TrainingLength,
    build_augmentation,
    dataset_of,
    exponent_of,
    resolve_device,
    scaled_down,
    train,
    training_length,
    training_mode,
    try_loss,
    try_optimizer,
    try_step,
)
from skimb._groups import group_numbers
from skimb._held_out import hold_out
from skimb._images import check_images, fit_images, warn_of_other_pixels
from skimb._networks import MODULES, PretrainedBackbone, build_module, last_linear, unit_scale
from skimb._params import (
    HasMethods,
    Interval,
    StrOptions,
    check_handed_in,
    check_sample_weight,
    fit_context,
    plain,
    plain_params,
)
from skimb._pixel_values import levels_of, pixel_statistics
from skimb._unpacking import unpacked
from skimb._warnings import warn
from skimb.losses import Loss, RegressionLoss
from skimb.neural_network._columns import encode_columns, table_shape
from skimb.neural_network._fit_tasks import FitTasks, fitted_attributes
from skimb.neural_network._net_input import NetInput
from skimb.neural_network._options import check_options, refuse_parameters_of_a_string
from skimb.neural_network._pending_fit import PendingFit
from skimb.neural_network._save_methods import SavedToFile
from skimb.neural_network._stopped_fits import begin_fit
from skimb.neural_network._training_record import loss_still_falls, record_of, with_refit
from skimb.neural_network._training_summary import summary_of
from skimb.neural_network._validation_scores import ValidationScores

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

    def set_params(self, **params):
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
    def fit(self, X, y, sample_weight=None, groups=None, *, X_val=None, y_val=None):
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

    def _prepare(
        self,
        X,
        y,
        sample_weight=None,
        groups=None,
        *,
        X_val=None,
        y_val=None,
        rates=None,
        length=None,
        start=None,
        steps=None,
    ):
        """Check everything, and return the training; torch's generators are not used yet.

        If the learning rate of each epoch and the `TrainingLength` of an earlier training on a part
        of the samples are given, the training repeats that one on all samples, with the steps of
        its augmentation. A `Start` is what a warm start takes over from the last fit.
        """
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        check_handed_in(self)
        settings = plain_params(self)
        check_options(settings, X_val, y_val)
        images, y = fit_images(
            self,
            X,
            y,
            image_shape=self.image_shape,
            channels=self.channels,
            image_column=self.image_column,
            value_range=self.value_range,
        )
        target = self._make_target(vars(settings))
        values = target.fit(y)
        if start is not None:
            start.check(self, target)
        everything = Part(images, values, _checked_weight(sample_weight, values))
        target.count(values, everything.weight)
        if groups is not None:
            groups = group_numbers(groups, images)
        scorer = None
        if self.scoring is not None and self.scoring != target.own_scoring:
            scorer = get_scorer(self.scoring)
        device = resolve_device(self.device)
        loss = self._build_loss()
        # Each use gets a seed of its own, drawn in any case: no option changes the random numbers
        # of another.
        seeds = check_random_state(self.random_state).randint(np.iinfo(np.int32).max, size=4)
        split_rng, sampler_rng, order_rng = map(np.random.RandomState, seeds[:3])

        train_indices = np.flatnonzero(everything.weight > 0)
        held, valid_indices = None, train_indices[:0]
        if X_val is not None:
            held = self._read_validation(X_val, y_val, target)
        elif rates is None and (
            self.early_stopping or target.wants_validation or groups is not None
        ):
            train_indices, valid_indices = self._split(everything, target, groups, split_rng)
            held = everything.take(valid_indices)
        part = everything.take(train_indices)
        encode_columns(self, part, held, None if start is None else start.encoder)
        self._levels = levels_of(part.images)
        target.learn(part)
        if start is None or self.standardize != "auto":
            statistics = self._standardization(part.images)
        else:
            statistics = start.statistics
        if start is not None:
            start.take_scale(target)
        if self.sampler is not None:
            part = target.resample(self.sampler, part, sampler_rng)
        steps_per_epoch = settings.steps_per_epoch
        if length is None:
            length = training_length(
                len(part.target),
                batch_size=settings.batch_size,
                max_epochs=settings.max_epochs,
                steps_per_epoch=steps_per_epoch,
            )
        else:
            steps_per_epoch = length.steps_per_epoch
        # 0.29 of 100 epochs are 29, but the product rounds to a little less.
        deferral = int(settings.reweight_after * length.max_epochs + 1e-9)
        phases = target.phases(part, loss, deferral)
        if rates is None:
            steps = self._steps_of_augmentation()
        if start is None:
            self._warn_of_frozen_noise()
        training = Training(
            part=Part(part.images, target.encode(part.target), phases[0].weight),
            valid=None,
            valid_indices=valid_indices,
            phases=phases,
            plan=BatchPlan(
                batch_size=length.batch_size,
                n_epochs=length.max_epochs,
                steps_per_epoch=steps_per_epoch,
                rng=order_rng,
                **target.batch_fractions(part.target),
            ),
            statistics=statistics,
            augmentation=build_augmentation(
                steps,
                image_shape=self.image_shape_,
                counts=target.counts(part.target),
                device=device,
                rng=sampler_rng,
                value_range=self._given_range,
            ),
            target=target,
            settings=settings,
            image_shape=self.image_shape_,
            device=device,
            seed=int(seeds[3]),
            read=NetInput(self.channels, target).learn_from(self),
            rates=rates,
            steps=steps,
        )
        if held is not None:
            training.held = held
            for phase in phases:
                phase.valid_weight = target.held_weight(held, training, phase)
            training.valid = Part(held.images, target.encode(held.target), phases[0].valid_weight)
            training.scores = self._validation_scores(target, held, loss, scorer)
        target.begin(training)
        return training

    def _steps_of_augmentation(self):
        """Return the augmentation; with a checkpoint a copy, so that the next fit is an equal one.

        Steps may draw from generators of their own.
        """
        if self.checkpoint is None:
            return self.augmentation
        try:
            return copy.deepcopy(self.augmentation)
        except TypeError as exc:
            raise ValueError(
                f"`checkpoint` needs steps of `augmentation` that can be copied: {exc}. Got "
                f"{self.augmentation!r}; leave out what cannot, or use checkpoint=None."
            ) from exc

    def _read_validation(self, X_val, y_val, target):
        """Return a validation part of the user's own."""
        images = check_images(self, X_val, channels=self.channels)
        values = target.read(unpacked(y_val, "y_val"))
        check_consistent_length(images, values)
        part = Part(images, values, np.ones(len(values)))
        if self.early_stopping or target.wants_validation:
            target.check_validation(values)
        return part

    def _validation_scores(self, target, held, loss, scorer):
        """Return the function that scores the outputs for the validation part."""
        watches = target.watches_loss(loss, is_resampled=self.sampler is not None)
        return ValidationScores(
            target,
            held.images.plain_form(),
            target.original(held.target),
            scorer,
            watches_loss=self.scoring is None and watches,
        )

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

    def _split(self, part, target, groups, rng):
        """Return the samples of the training part and of the validation part."""
        rows = np.flatnonzero(part.weight > 0)
        kept = part.take(rows)
        fraction = plain(self.validation_fraction)
        strata, names = target.strata(kept.target, fraction)
        train, valid = hold_out(
            kept.images,
            strata,
            fraction=fraction,
            least=target.least_held,
            rng=rng,
            groups=None if groups is None else groups[rows],
            classes=names,
            kind=target.stratum,
            advice="fit without groups and with early_stopping=False",
            consequence="the validation scores do not include them",
        )
        if self.early_stopping or target.wants_validation:
            target.check_validation(kept.target[valid])
        return rows[train], rows[valid]

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

    def _warn_of_frozen_noise(self):
        """Warn where layers are frozen at random weights."""
        if isinstance(self.module, str) and self.freeze:
            warn(
                f"freeze={self.freeze!r} keeps layers of {self.module!r} as they are, but their "
                "weights are random. Give a trained network as `module`: an nn.Module, or "
                "pretrained(...).",
            )

    def _build_loss(self):
        loss = self.loss
        if isinstance(loss, str):
            return self._named_losses[loss](reduction="none")
        if isinstance(loss, type):
            raise ValueError(
                f"`loss` must be a name, an object or a function, not a class. Got {loss.__name__}:"
                f" give {loss.__name__}()."
            )
        if isinstance(loss, Loss | RegressionLoss):
            return clone(loss)._without_tensors().set_params(reduction="none")
        if isinstance(loss, nn.Module):
            loss = copy.deepcopy(loss)
            if hasattr(loss, "reduction"):
                setattr(loss, "reduction", "none")  # noqa: B010 - torch's stubs know no str here
        return loss

    def _standardization(self, images) -> Any:
        """Return mean and standard deviation of each channel, or None."""
        if self.standardize is None:
            return None
        if self.standardize == "auto":
            if isinstance(self.module, PretrainedBackbone):
                return unit_scale(images, self._given_range)
            return pixel_statistics(images)
        n_channels = self.image_shape_[0]
        try:
            mean, sd = (
                np.broadcast_to(np.asarray(values, dtype=np.float64), n_channels).copy()
                for values in self.standardize
            )
        except (ValueError, TypeError) as exc:
            raise ValueError(
                "`standardize` must be 'auto', None or (mean, sd), each one number or "
                f"{n_channels}, one per channel. Got {self.standardize!r}."
            ) from exc
        if not np.all(np.isfinite([mean, sd])) or np.any(sd <= 0):
            raise ValueError(
                f"`standardize` needs finite means and positive standard deviations. "
                f"Got {self.standardize!r}."
            )
        return mean, sd

    # ------------------------------------------------------------ after it

    @property
    def module_(self):
        """The trained network."""
        check_is_fitted(self)
        return self.net_.module_.network

    def training_summary(self):
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

    def embed(self, X):
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


def _checked_weight(sample_weight, target):
    # Objects that only numpy can convert have no length.
    is_row = hasattr(sample_weight, "__len__") and np.ndim(sample_weight) == 1
    n_weights = len(sample_weight) if is_row else len(target)
    if n_weights != len(target):
        raise ValueError(
            f"sample_weight.shape == ({n_weights},), expected ({len(target)},)! A Pipeline with a "
            "resampler before the network does not resample weights. Let the network resample: "
            "its parameter sampler=..., whose samples the weights follow."
        )
    weight = check_sample_weight(sample_weight, target, dtype=np.float64, ensure_non_negative=True)
    return scaled_down(weight, exponent_of(weight))
