"""The first part of a fit: from images, labels and parameters to a training."""

import copy
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics import get_scorer
from sklearn.utils import check_consistent_length, check_random_state
from torch import nn

from skimb._engine import (
    BatchPlan,
    Part,
    Training,
    build_augmentation,
    exponent_of,
    resolve_device,
    scaled_down,
    training_length,
)
from skimb._groups import group_numbers
from skimb._held_out import hold_out
from skimb._images import check_images, fit_images
from skimb._networks import PretrainedBackbone, unit_scale
from skimb._params import check_handed_in, check_sample_weight, plain, plain_params
from skimb._pixel_values import levels_of, pixel_statistics
from skimb._unpacking import unpacked
from skimb._warnings import warn
from skimb.losses import Loss, RegressionLoss
from skimb.neural_network._columns import encode_columns
from skimb.neural_network._net_input import NetInput
from skimb.neural_network._options import check_options
from skimb.neural_network._validation_scores import ValidationScores

__all__ = ["assembled", "build_loss", "prepare", "standardization"]


def prepare(
    estimator,
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

    Parameters
    ----------
    estimator : BaseCNN
        The estimator that is fitted. It gets the attributes that describe its images.
    X, y, sample_weight, groups, X_val, y_val
        As in its `fit`.
    rates : list of float, default=None
        The learning rate of each epoch of an earlier training on a part of the samples. Then this
        training repeats that one on all samples.
    length : TrainingLength, default=None
        That of the earlier training.
    start : Start, default=None
        What a warm start takes over from the last fit.
    steps : object, default=None
        The steps of the augmentation of the earlier training.

    Returns
    -------
    Training

    Raises
    ------
    ValueError
        If X, y, or a parameter does not fit.
    """
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None."
        )
    check_handed_in(estimator)
    settings = plain_params(estimator)
    check_options(settings, X_val, y_val)
    everything, target, groups = _read(estimator, settings, X, y, sample_weight, groups, start)
    scorer = None
    if estimator.scoring is not None and estimator.scoring != target.own_scoring:
        scorer = get_scorer(estimator.scoring)
    device = resolve_device(estimator.device)
    loss = build_loss(estimator)
    # Each use gets a seed of its own, drawn in any case: no option changes the random numbers of
    # another.
    seeds = check_random_state(estimator.random_state).randint(np.iinfo(np.int32).max, size=4)
    split_rng, sampler_rng, order_rng = map(np.random.RandomState, seeds[:3])

    train_indices, valid_indices = np.flatnonzero(everything.weight > 0), np.empty(0, np.intp)
    wants_held = estimator.early_stopping or target.wants_validation
    held = None
    if X_val is not None:
        held = _read_validation(estimator, X_val, y_val, target)
    elif rates is None and (wants_held or groups is not None):
        train_indices, valid_indices = _split(estimator, everything, target, groups, split_rng)
        held = everything.take(valid_indices)
    if held is not None and wants_held:
        target.check_validation(held.target)
    part = everything.take(train_indices)
    statistics = _learn(estimator, part, held, target, start)
    if estimator.sampler is not None:
        part = target.resample(estimator.sampler, part, sampler_rng)
    steps_per_epoch = settings.steps_per_epoch if length is None else length.steps_per_epoch
    if length is None:
        length = training_length(
            len(part.target),
            batch_size=settings.batch_size,
            max_epochs=settings.max_epochs,
            steps_per_epoch=steps_per_epoch,
        )
    # 0.29 of 100 epochs are 29, but the product rounds to a little less.
    deferral = int(settings.reweight_after * length.max_epochs + 1e-9)
    phases = target.phases(part, loss, deferral)
    if rates is None:
        steps = _steps_of_augmentation(estimator)
    if start is None:
        _warn_of_frozen_noise(estimator)
    training = assembled(
        estimator,
        target,
        part,
        length,
        phases=phases,
        steps=steps,
        counts=target.counts(part.target),
        device=device,
        rngs=(order_rng, sampler_rng),
        steps_per_epoch=steps_per_epoch,
        statistics=statistics,
        settings=settings,
        seed=int(seeds[3]),
        valid_indices=valid_indices,
        rates=rates,
    )
    if held is not None:
        training.held = held
        for phase in phases:
            phase.valid_weight = target.held_weight(held, training, phase)
        training.valid = Part(held.images, target.encode(held.target), phases[0].valid_weight)
        training.scores = _validation_scores(estimator, target, held, loss, scorer)
    target.begin(training)
    return training


def assembled(
    estimator,
    target,
    part,
    length,
    *,
    phases,
    steps,
    counts,
    device,
    rngs,
    steps_per_epoch=None,
    **further,
):
    """Return the training of an estimator on a part of the samples, without a validation part.

    Parameters
    ----------
    estimator : BaseCNN
        The estimator, which knows its images.
    target : Target
        The target of the estimator.
    part : Part
        The samples, resampled, with the target as it was given.
    length : TrainingLength
    phases : list of Phase
    steps : object
        The steps of the augmentation.
    counts : ndarray of shape (n_classes,) or None
        Samples of each class, for steps that mix images.
    device : torch.device
    rngs : (RandomState, RandomState)
        For the order of the samples, and for the augmentation.
    steps_per_epoch : int, default=None
        As in `BatchPlan`.
    **further : object
        The other fields of the `Training`: its statistics, settings and seed, the samples that are
        held out, and those that have defaults.

    Returns
    -------
    Training
    """
    order_rng, augmentation_rng = rngs
    return Training(
        part=Part(part.images, target.encode(part.target), phases[0].weight),
        valid=None,
        phases=phases,
        plan=BatchPlan(
            batch_size=length.batch_size,
            n_epochs=length.max_epochs,
            steps_per_epoch=steps_per_epoch,
            rng=order_rng,
            **target.batch_fractions(part.target),
        ),
        augmentation=build_augmentation(
            steps,
            image_shape=estimator.image_shape_,
            counts=counts,
            device=device,
            rng=augmentation_rng,
            value_range=estimator._given_range,
        ),
        target=target,
        image_shape=estimator.image_shape_,
        device=device,
        read=NetInput(estimator.channels, target).learn_from(estimator),
        steps=steps,
        **further,
    )


# ------------------------------------------------------------------------ what is given


def _read(estimator, settings, X, y, sample_weight, groups, start):
    """Return all samples as a `Part`, the target, and the groups as numbers."""
    images, y = fit_images(
        estimator,
        X,
        y,
        image_shape=estimator.image_shape,
        channels=estimator.channels,
        image_column=estimator.image_column,
        value_range=estimator.value_range,
    )
    target = estimator._make_target(vars(settings))
    values = target.fit(y)
    if start is not None:
        start.check(estimator, target)
    everything = Part(images, values, _checked_weight(sample_weight, values))
    target.count(values, everything.weight)
    return everything, target, None if groups is None else group_numbers(groups, images)


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


def build_loss(estimator):
    """Return the loss of an estimator, without a reduction.

    Parameters
    ----------
    estimator : BaseCNN

    Returns
    -------
    Loss, RegressionLoss, nn.Module or callable

    Raises
    ------
    ValueError
        If it is a class.
    """
    loss = estimator.loss
    if isinstance(loss, str):
        return estimator._named_losses[loss](reduction="none")
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


# --------------------------------------------------------------------- validation part


def _read_validation(estimator, X_val, y_val, target):
    """Return a validation part of the user's own."""
    images = check_images(estimator, X_val, channels=estimator.channels)
    values = target.read(unpacked(y_val, "y_val"))
    check_consistent_length(images, values)
    return Part(images, values, np.ones(len(values)))


def _split(estimator, part, target, groups, rng):
    """Return the samples of the training part and of the validation part."""
    rows = np.flatnonzero(part.weight > 0)
    kept = part.take(rows)
    fraction = plain(estimator.validation_fraction)
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
    return rows[train], rows[valid]


def _validation_scores(estimator, target, held, loss, scorer):
    """Return the function that scores the outputs for the validation part."""
    watches = target.watches_loss(loss, is_resampled=estimator.sampler is not None)
    return ValidationScores(
        target,
        held.images.plain_form(),
        target.original(held.target),
        scorer,
        watches_loss=estimator.scoring is None and watches,
    )


# ------------------------------------------------------------ what is learned of images


def _learn(estimator, part, held, target, start):
    """Learn columns, grey levels and the target; return the statistics that standardise pixels."""
    encode_columns(estimator, part, held, None if start is None else start.encoder)
    estimator._levels = levels_of(part.images)
    target.learn(part)
    if start is None:
        return standardization(estimator, part.images)
    statistics = start.statistics
    if estimator.standardize != "auto":
        statistics = standardization(estimator, part.images)
    start.take_scale(target)
    return statistics


def standardization(estimator, images) -> Any:
    """Return mean and standard deviation of each channel, or None.

    Parameters
    ----------
    estimator : BaseCNN
        Its `standardize` says which.
    images : ImageSource
        The images of the training part.

    Returns
    -------
    (ndarray of shape (C,), ndarray of shape (C,)) or None

    Raises
    ------
    ValueError
        If `standardize` holds no such numbers.
    """
    if estimator.standardize is None:
        return None
    if estimator.standardize == "auto":
        if isinstance(estimator.module, PretrainedBackbone):
            return unit_scale(images, estimator._given_range)
        return pixel_statistics(images)
    n_channels = estimator.image_shape_[0]
    try:
        mean, sd = (
            np.broadcast_to(np.asarray(values, dtype=np.float64), n_channels).copy()
            for values in estimator.standardize
        )
    except (ValueError, TypeError) as exc:
        raise ValueError(
            "`standardize` must be 'auto', None or (mean, sd), each one number or "
            f"{n_channels}, one per channel. Got {estimator.standardize!r}."
        ) from exc
    if not np.all(np.isfinite([mean, sd])) or np.any(sd <= 0):
        raise ValueError(
            f"`standardize` needs finite means and positive standard deviations. "
            f"Got {estimator.standardize!r}."
        )
    return mean, sd


# --------------------------------------------------------------------- steps and layers


def _steps_of_augmentation(estimator):
    """Return the augmentation; with a checkpoint a copy, so that the next fit is an equal one.

    Steps may draw from generators of their own.
    """
    if estimator.checkpoint is None:
        return estimator.augmentation
    try:
        return copy.deepcopy(estimator.augmentation)
    except TypeError as exc:
        raise ValueError(
            f"`checkpoint` needs steps of `augmentation` that can be copied: {exc}. Got "
            f"{estimator.augmentation!r}; leave out what cannot, or use checkpoint=None."
        ) from exc


def _warn_of_frozen_noise(estimator):
    """Warn where layers are frozen at random weights."""
    if isinstance(estimator.module, str) and estimator.freeze:
        warn(
            f"freeze={estimator.freeze!r} keeps layers of {estimator.module!r} as they are, but "
            "their weights are random. Give a trained network as `module`: an nn.Module, or "
            "pretrained(...).",
        )
