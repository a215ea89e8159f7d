"""What the estimators of images share: parameters, checks, the order of a fit."""

import copy
from abc import ABCMeta, abstractmethod
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skimb._engine._augmentation import AUGMENTATIONS, build_augmentation
from skimb._engine._batch_plan import BatchPlan
from skimb._engine._image_data import Part, unlabelled
from skimb._engine._length import TrainingLength, still_falls, training_length
from skimb._engine._optimizers import OPTIMIZERS, loss_parameters
from skimb._engine._runtime import resolve_device
from skimb._engine._sample_weights import exponent_of, in_range
from skimb._engine._training import Training, epoch_records, train, training_mode
from skimb._engine._trial import try_optimizer, try_step
from skimb._images import check_images, fit_images, warn_of_other_pixels
from skimb._lazy_rows import ResampledRows
from skimb._networks._building import MODULES, build_module
from skimb._networks._pretrained import PretrainedBackbone, unit_scale
from skimb._networks._probes import last_linear
from skimb._params import (
    HasMethods,
    Interval,
    StrOptions,
    check_handed_in,
    check_sample_weight,
    fit_context,
    plain,
)
from skimb._pixel_values import levels_of
from skimb._warnings import warn
from skimb.losses import Loss, RegressionLoss
from skimb.neural_network._held_out import group_numbers, hold_out

__all__ = ["BaseCNN", "refuse_parameters_of_a_string", "try_loss"]

#: What a training with a validation part finds out, and one on all rows afterwards cannot.
FOUND_BY_VALIDATION = (
    "history_",
    "n_iter_",
    "validation_indices_",
    "temperature_",
    "decision_temperature_",
)


class BaseCNN(BaseEstimator, metaclass=ABCMeta):
    """Template of an estimator that holds a network which reads images.

    A subclass says what its target is and what the network shall make of it. ``_named_losses`` are
    the strings that `loss` may be, ``_own_scoring`` is the `scoring` that the subclass computes by
    itself, ``_least_held`` is how many samples of a stratum are held out at least, where these are
    not more than a quarter of it, and ``_grid_example`` shows how a loss is searched.
    """

    _named_losses: dict
    _own_scoring: str
    _grid_example: str
    #: What a stratum of the validation split is called.
    _stratum = "class"
    _least_held = 1

    #: What every estimator of images has; a subclass adds its own.
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
        "lr_schedule": [StrOptions({"one_cycle", "cosine", "plateau", "constant"})],
        "lr_decay": [Interval(Real, 0, 1, closed="right"), None],
        "freeze": [
            StrOptions({"features", "gradual"}),
            Interval(Integral, 0, None, closed="left"),
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
        "value_range": [StrOptions({"auto"}), tuple, list],
        "standardize": [StrOptions({"auto"}), tuple, list, None],
        "device": [str, torch.device],
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
    value_range: Any
    standardize: Any
    device: Any
    random_state: Any

    # ------------------------------------------------------------ what a subclass says

    @abstractmethod
    def _read_target(self, y) -> Any:
        """Return y as numbers, and keep what turns them back."""

    @abstractmethod
    def _check_weight(self, sample_weight, images, target) -> Any:
        """Return the row weights, checked."""

    @abstractmethod
    def _strata(self, target) -> Any:
        """Return the stratum of each row for the validation split, and the strata's names."""

    @abstractmethod
    def _check_validation(self, part) -> Any:
        """Refuse a validation part that says nothing."""

    @abstractmethod
    def _resample(self, part, rng) -> Part:
        """Apply the sampler to the training part."""

    @abstractmethod
    def _phases(self, part, loss, start) -> Any:
        """Return the phases of the training; weights set in at epoch `start`, counted from 0."""

    @abstractmethod
    def _batch_shares(self, part) -> Any:
        """Return the keywords of the `BatchPlan`: which rows stand in batches how often."""

    @abstractmethod
    def _build_network(self, training) -> Any:
        """Build the network, and try the loss."""

    @abstractmethod
    def _validation(self, training) -> Any:
        """Return the callback that scores the validation part after each epoch."""

    def _wants_validation(self):
        """Tell whether a validation part is needed, whatever the groups."""
        return bool(self.early_stopping)

    def _watches_loss(self, loss):
        """Tell whether early stopping can watch the loss of the validation part."""
        return True

    def _held_weight(self, training, phase):
        """Return what held-out rows weigh: their loss is what the training of a phase aims at."""
        return training.valid.weight * phase.factor(training.valid.target)

    def _take_in(self, part):
        """Take in the training part before it is resampled."""

    def _class_counts(self, part):
        """Return the rows of each class, for augmentations that look at them."""
        return np.ones(1)

    def _check_training(self, training):
        """Refuse what could not be predicted with later."""

    def _regularizer(self, network, device):
        """Return what adds to the loss of training batches, or None."""
        return None

    def _encoded(self, target):
        """Return the target as the network and its loss see it."""
        return target

    # ------------------------------------------------------------ the fit

    def set_params(self, **params):
        """Set parameters by name; ``loss__gamma`` and the like belong to a loss object.

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
            If a name is unknown, or belongs to a loss that is a string.
        """
        loss = params.get("loss", self.loss)
        refuse_parameters_of_a_string(params, loss, self._named_losses, self._grid_example)
        return super().set_params(**params)

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None, groups=None):
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n, d), (n, H, W), (n, H, W, C) or (n, C, H, W), or of n paths
            Images, uint8 or float; or a list, array, Series or one-column frame of paths, which
            are decoded batch by batch. Every file is opened once first: bad ones are named.
        y : array-like of shape (n,)
            Labels, or values of the target.
        sample_weight : array-like of shape (n,), default=None
            Row weights; rows of weight zero are left out.
        groups : array-like of shape (n,), default=None
            Rows of one group (a patient, a scene) stay together when the validation part is held
            out, which giving groups demands too.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X, y, a parameter or the network does not fit, before any training step; or if
            the training diverges.
        """
        # A fit that fails leaves the estimator unfitted, not half new and half old.
        self.__dict__.pop("net_", None)
        training = self._prepare(X, y, sample_weight, groups)
        with training_mode(training):
            network = self._build(training)
            net, epoch = train(self, network, training)
        self._conclude(training, net, epoch)
        self._warn_of_short_training(training)
        if self.early_stopping == "refit":
            self._refit(X, y, sample_weight, n_epochs=epoch + 1, plan=training.plan)
        return self

    def _refit(self, X, y, sample_weight, *, n_epochs, plan):
        """Train again on all rows, as long as early stopping found best, at the same rates."""
        found = {name: value for name, value in vars(self).items() if name in FOUND_BY_VALIDATION}
        del self.net_
        rates = [record["lr"] for record in self.history_[:n_epochs]]
        length = TrainingLength(plan.batch_size, plan.n_epochs, plan.steps)
        training = self._prepare(X, y, sample_weight, rates=rates, length=length)
        with training_mode(training):
            net, epoch = train(self, self._build(training), training)
        self._conclude(training, net, epoch)
        self.__dict__.update(found)

    def _prepare(self, X, y, sample_weight=None, groups=None, *, rates=None, length=None):
        """Check everything, and return what the training needs; nothing is random in torch yet.

        With the learning rate of each epoch and the `TrainingLength` of an earlier training on a
        part of the rows, all of them are trained on as that did.
        """
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        check_handed_in(self)
        view = X if isinstance(X, ResampledRows) else None
        images, y = fit_images(
            self,
            X,
            y,
            image_shape=self.image_shape,
            channels=self.channels,
            value_range=self.value_range,
        )
        target = self._read_target(y)
        everything = Part(images, target, self._check_weight(sample_weight, images, target))
        if groups is not None:
            groups = group_numbers(groups, images)
        scorer = None
        if self.scoring is not None and self.scoring != self._own_scoring:
            scorer = get_scorer(self.scoring)
        device = resolve_device(self.device)
        loss = self._build_loss()
        # One seed each, drawn in any case: no option shifts the randomness of another.
        seeds = check_random_state(self.random_state).randint(np.iinfo(np.int32).max, size=4)
        split_rng, sampler_rng, order_rng = map(np.random.RandomState, seeds[:3])

        train_rows = valid_rows = np.flatnonzero(everything.weight > 0)
        if rates is None and (self._wants_validation() or groups is not None):
            train_rows, valid_rows = self._split(everything, groups, view, split_rng)
        else:
            valid_rows = valid_rows[:0]
        part = everything.take(train_rows)
        statistics = self._standardization(part.images)
        self._levels = levels_of(part.images)
        self._take_in(part)
        if self.sampler is not None:
            part = self._resample(part, sampler_rng)
        steps_per_epoch = plain(self.steps_per_epoch)
        if length is None:
            length = training_length(
                len(part.target),
                batch_size=plain(self.batch_size),
                max_epochs=plain(self.max_epochs),
                steps_per_epoch=steps_per_epoch,
            )
        else:
            steps_per_epoch = length.steps_per_epoch
        phases = self._phases(part, loss, self._start_of_weights(length.max_epochs))
        self._warn_of_frozen_noise()
        training = Training(
            part=part,
            valid=everything.take(valid_rows) if len(valid_rows) else None,
            valid_rows=valid_rows,
            phases=phases,
            plan=BatchPlan(
                batch_size=length.batch_size,
                n_epochs=length.max_epochs,
                steps_per_epoch=steps_per_epoch,
                rng=order_rng,
                **self._batch_shares(part),
            ),
            statistics=statistics,
            augmentation=build_augmentation(
                self.augmentation,
                image_shape=self.image_shape_,
                counts=self._class_counts(part),
                device=device,
                rng=sampler_rng,
                value_range=self._given_range,
            ),
            scorer=scorer,
            watches_loss=self.scoring is None and self._watches_loss(loss),
            device=device,
            seed=int(seeds[3]),
            rates=rates,
        )
        self._check_training(training)
        return training

    def _build(self, training):
        """Build the network, and try it, the loss and the augmentation on a few rows."""
        network = self._build_network(training)
        few = unlabelled(training.part.take(np.arange(2)).images)[:2][0]
        training.augmentation.try_on(few.to(training.device))
        try_step(self, network, training)
        try_optimizer(self, network, training)
        return network

    def _conclude(self, training, net, epoch):
        """Take over the trained net, which has the weights of that epoch, counted from 0."""
        self.history_ = epoch_records(net.history)
        self.n_iter_ = len(self.history_)
        self.validation_indices_ = training.valid_rows
        self.net_ = net
        return self

    def _row_weight(self, sample_weight, target):
        weight = check_sample_weight(
            sample_weight, target, dtype=np.float64, ensure_non_negative=True
        )
        return in_range(weight, exponent_of(weight))

    def _start_of_weights(self, n_epochs):
        """Return the epoch, counted from 0, in which weights set in."""
        # 0.29 of 100 epochs are 29: the product falls short of it by rounding.
        return int(plain(self.reweight_after) * n_epochs + 1e-9)

    def _build_module(self, training, **options):
        return build_module(
            self.module, image_shape=self.image_shape_, device=training.device, **options
        )

    def _split(self, part, groups, view, rng):
        """Return the rows of the training part and of the validation part."""
        rows = np.flatnonzero(part.weight > 0)
        kept = part.take(rows)
        strata, names = self._strata(kept.target)
        train, valid = hold_out(
            kept.images,
            strata,
            fraction=plain(self.validation_fraction),
            least=self._least_held,
            rng=rng,
            groups=None if groups is None else groups[rows],
            view=None if view is None else view[rows],
            classes=names,
            kind=self._stratum,
        )
        if self._wants_validation():
            self._check_validation(kept.take(valid))
        return rows[train], rows[valid]

    def _warn_of_short_training(self, training):
        """Warn where the loss still fell when the training ended."""
        plan, last = training.plan, training.phases[-1]
        # Early stopping has seen the end; a loss that learns its own scale is no measure.
        if self.n_iter_ < plan.n_epochs or loss_parameters(last.loss):
            return
        losses = [record["train_loss"] for record in self.history_[last.start :]]
        n_steps = plan.n_epochs * plan.steps
        if still_falls(losses, n_steps):
            warn(
                f"{n_steps} gradient steps: the training loss still fell when they ended, so the "
                "network could learn more. Raise `max_epochs`, lower `batch_size`, or leave both "
                "at 'auto'.",
                ConvergenceWarning,
            )

    def _warn_of_frozen_noise(self):
        """Warn where layers that have learnt nothing are frozen."""
        if isinstance(self.module, str) and self.freeze not in (None, 0):
            warn(
                f"freeze={self.freeze!r} keeps layers of {self.module!r} as they are, and these "
                "begin at random. Give a trained network as `module`: an nn.Module, or "
                "pretrained(...).",
            )

    def _build_loss(self):
        loss = self.loss
        if isinstance(loss, str):
            loss = self._named_losses[loss]()
        if isinstance(loss, type):
            raise ValueError(
                f"`loss` must be a name, an object or a function, not a class. Got {loss.__name__}:"
                f" give {loss.__name__}()."
            )
        if isinstance(loss, Loss | RegressionLoss):
            return clone(loss).set_params(reduction="none")
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
            return _pixel_statistics(images)
        n_channels = self.image_shape_[0]
        try:
            mean, sd = (
                np.broadcast_to(np.asarray(values, dtype=np.float64), n_channels).copy()
                for values in self.standardize
            )
        except (ValueError, TypeError) as exc:
            raise ValueError(
                "`standardize` must be 'auto', None or (mean, sd), each one number or "
                f"{n_channels}, one a channel. Got {self.standardize!r}."
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
        return self.net_.module_.network

    def _dataset(self, X):
        """Return X as images for the net."""
        check_is_fitted(self)
        images = check_images(self, X, channels=self.channels)
        warn_of_other_pixels(self, images)
        return unlabelled(images)

    def embed(self, X):
        """Return the features that the last linear layer of the network reads.

        Parameters
        ----------
        X : array-like
            Images of the shape that `fit` saw.

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

    def __sklearn_is_fitted__(self):
        return hasattr(self, "net_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def refuse_parameters_of_a_string(params, loss, named_losses, grid_example):
    """Refuse ``loss__gamma`` and the like where `loss` is a string, and offer the mend."""
    nested = [name for name in params if name.startswith("loss__")]
    if nested and isinstance(loss, str):
        known = f": loss={named_losses[loss].__name__}()" if loss in named_losses else ""
        raise ValueError(
            f"{nested[0]!r} cannot be set on loss={loss!r}, which is a string. Give the loss "
            f"as an object{known}. In a grid: {grid_example}."
        )


def try_loss(loss, outputs, target, training):
    """Try the loss on two rows: its shape must be right before the training starts.

    Parameters
    ----------
    loss : callable
        One value a row, or a scalar where all weights are 1 and nothing is mixed.
    outputs : Tensor of shape (2, ...)
        What the network might give.
    target : Tensor of shape (2,)
        What it should have given.
    training : Training
        Whose weights and augmentation tell what the loss must be able to do.

    Raises
    ------
    ValueError
        If it fails, or gives anything else.
    """
    trial = copy.deepcopy(loss)
    if isinstance(trial, nn.Module):
        trial = trial.to(training.device)
    try:
        values = trial(outputs.to(training.device), target.to(training.device))
    except (RuntimeError, TypeError, IndexError, ValueError) as exc:
        kind = "values" if target.is_floating_point() else "integer class indices"
        read = "predictions" if target.is_floating_point() else "logits"
        raise ValueError(
            f"`loss` failed on {read} of shape {tuple(outputs.shape)} and {kind} of "
            f"shape {tuple(target.shape)}, which is what it gets: {exc}"
        ) from exc
    shape = tuple(values.shape) if isinstance(values, torch.Tensor) else type(values).__name__
    if shape not in [(2,), ()]:
        raise ValueError(
            f"`loss` must return one value a row, or a scalar. For 2 rows it returned {shape}."
        )
    needs_rows = training.augmentation.mixer is not None or any(
        np.ptp(phase.weight) > 0 for phase in training.phases
    )
    if shape == () and needs_rows:
        raise ValueError(
            "`loss` returns a scalar, so rows cannot be weighted or mixed. Let it return one value "
            "a row, or fit without weights and mixing augmentations."
        )


def _pixel_statistics(images, block=2_000_000):
    """Return mean and standard deviation of each channel in float64, in two passes."""
    n_pixels = int(np.prod(images.shape[:3]))
    step = max(1, block // int(np.prod(images.shape[1:])))

    def blocks():
        # Files are decoded anew in each pass: they need not fit in memory.
        for start in range(0, len(images), step):
            yield np.asarray(images[start : start + step])

    mean = sum(part.sum(axis=(0, 1, 2), dtype=np.float64) for part in blocks()) / n_pixels
    squares = sum(((part - mean) ** 2).sum(axis=(0, 1, 2)) for part in blocks())
    return mean, np.sqrt(squares / n_pixels)
