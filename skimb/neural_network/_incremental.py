"""Fits that continue from an earlier one: `warm_start` and `partial_fit`."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from torch import nn

from skimb._engine import (
    KeptOptimizer,
    Part,
    resolve_device,
    train,
    training_length,
    training_mode,
)
from skimb._frame_images import image_columns
from skimb._images import check_images, fit_images
from skimb._label_columns import check_labels
from skimb._messages import shown
from skimb._networks import MixedNetwork
from skimb._params import check_handed_in, check_parameters, check_sample_weight, plain_params
from skimb._pixel_values import levels_of
from skimb._unpacking import unpacked, vector_of
from skimb.neural_network._columns import encode_columns, refuse_other_shape, warn_of_new_categories
from skimb.neural_network._options import check_options
from skimb.neural_network._preparation import assembled, build_loss, standardization

__all__ = ["Start", "fit_part"]

#: Parameters that need the whole training, with the values that `partial_fit` allows and the
#: reason.
WHOLE = {
    "steps_per_epoch": ([None], "a call takes each of its samples once"),
    "early_stopping": ([False], "the samples of a call are all trained on"),
    "calibration": ([None], "no samples are held out"),
    "reweight_after": ([0], "the number of epochs is not known"),
    "max_weight": ([None], "the counts of all classes are not known"),
}


@dataclass
class Start:
    """What a fit takes over from the last one with ``warm_start=True``.

    Parameters
    ----------
    network : nn.Module
        The trained network, which is copied.
    statistics : pair of ndarray, or None
        Mean and standard deviation of each channel, by which the network standardises its pixels.
    image_shape : tuple of int
        ``(C, H, W)``.
    learned : dict
        The public attributes of the target.
    encoder : TableEncoder, default=None
        The encoding of the columns beside the images.
    columns : TableShape, default=None
        What the network was built for beside the images.
    """

    network: nn.Module
    statistics: Any
    image_shape: tuple[int, int, int]
    learned: dict
    encoder: Any = None
    columns: Any = None

    def __getstate__(self):
        # A pickle must be readable where there is no such device.
        return {**vars(self), "network": copy.deepcopy(self.network).cpu()}

    @classmethod
    def of(cls, estimator):
        """Return the start that a fitted estimator gives to its next fit."""
        reader = estimator.net_.module_
        statistics = None
        if reader.is_active:
            # The quotients of float64 round to the same float32 again.
            mean, scale = (
                getattr(reader, name).detach().cpu().double().numpy().ravel()
                for name in ("mean", "scale")
            )
            statistics = mean, 1 / scale
        learned = {
            name: value
            for name, value in vars(estimator).items()
            if name in ("classes_", "y_mean_", "y_scale_")
        }
        encoder = vars(estimator).get("table_encoder_")
        network = reader.network
        columns = network.shape if isinstance(network, MixedNetwork) else None
        return cls(reader.network, statistics, estimator.image_shape_, learned, encoder, columns)

    @classmethod
    def of_last(cls, estimator):
        """Return the start of the next fit, also after one that was stopped, or None."""
        if "net_" in vars(estimator):
            return cls.of(estimator)
        return vars(estimator).get("_stopped_start")

    def check(self, estimator, target):
        """Refuse images of another shape, and other classes.

        Parameters
        ----------
        estimator : BaseCNN
            The estimator, which has read X.
        target : Target
            The target, which has read y.
        """
        if estimator.image_shape_ != self.image_shape:
            raise ValueError(
                f"warm_start=True continues a network that reads images of shape (C, H, W) = "
                f"{self.image_shape}, but X holds images of shape {estimator.image_shape_}. Give "
                "images of that shape, or use warm_start=False."
            )
        self._check_columns(estimator)
        classes = self.learned.get("classes_")
        if classes is not None and not np.array_equal(classes, target.classes):
            raise ValueError(
                f"warm_start=True continues a network of the classes {shown(classes)}, but y "
                f"holds {shown(target.classes)}. Give samples of the same classes, or use "
                "warm_start=False."
            )

    def _check_columns(self, estimator):
        """Refuse other columns, for which the network has no weights."""
        given = list(getattr(estimator, "feature_names_in_", ()))
        is_frame = getattr(estimator, "_image_column", None) is not None
        others = set(given) - set(image_columns(estimator._image_column)) if is_frame else None
        known = None if self.encoder is None else set(self.encoder.kinds_)
        if others != known:
            shown = [None if names is None else sorted(names) for names in (known, others)]
            raise ValueError(
                f"warm_start=True continues a network that reads the columns {shown[0]} beside the "
                f"images, but X has {shown[1]}. Give the same columns, or use warm_start=False."
            )
        refuse_other_shape(estimator, self.encoder, self.columns)

    def take_scale(self, target):
        """Give a continuous target the mean and scale in which the network predicts."""
        if "y_mean_" in self.learned:
            target.mean, target.scale = self.learned["y_mean_"], self.learned["y_scale_"]


def fit_part(estimator, X, y, sample_weight=None, classes=None):
    """Train one epoch on some samples, from the present weights; see `partial_fit`.

    Parameters
    ----------
    estimator : BaseCNN
        The estimator. A call that fails leaves it as it was.
    X, y, sample_weight
        As in `fit`.
    classes : array-like, default=None
        All labels that y will ever hold; None where they are known, and for a continuous target.

    Returns
    -------
    estimator
    """
    before = dict(vars(estimator))
    try:
        _fit_part(estimator, X, y, sample_weight, classes)
    except BaseException:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise
    for name in ("_stopped", "_stopped_start"):
        estimator.__dict__.pop(name, None)
    return estimator


def _fit_part(estimator, X, y, sample_weight, classes):
    check_parameters(estimator)
    check_handed_in(estimator)
    settings = plain_params(estimator)
    # No file is written.
    settings.checkpoint = None
    _refuse_whole(estimator, settings)
    settings.lr_schedule = "constant"
    is_first = "net_" not in vars(estimator)
    target = estimator._make_target(vars(settings))
    images, values = _read(estimator, X, y, classes, target, is_first=is_first)
    weight = check_sample_weight(sample_weight, values, dtype=np.float64, ensure_non_negative=True)
    part = Part(images, values, weight).take(np.flatnonzero(weight > 0))

    n_done = 0 if is_first else estimator.n_iter_
    seeds = _seeds(estimator.random_state, n_done)
    sampler_rng, order_rng = map(np.random.RandomState, seeds[1:3])
    if is_first:
        encode_columns(estimator, part, None)
        target.count_part(part)
        statistics = standardization(estimator, part.images)
        levels = levels_of(part.images)
        start, loss = None, build_loss(estimator)
    else:
        target.count_part(part, estimator)
        start = Start.of(estimator)
        statistics, levels = start.statistics, estimator._levels
        loss = copy.deepcopy(estimator.net_.criterion_.loss)
        loss = loss.cpu() if isinstance(loss, nn.Module) else loss
    if estimator.sampler is not None:
        part = _resampled(estimator.sampler, target, part, sampler_rng)
    unit = getattr(estimator, "_weight_unit", None)
    phase, unit = target.phase_of_part(part, loss, unit, is_first=is_first)
    length = training_length(len(part.target), batch_size=settings.batch_size, max_epochs=1)
    device = resolve_device(estimator.device)
    kept = KeptOptimizer(getattr(estimator, "_optimizer_state", None))
    training = assembled(
        estimator,
        target,
        part,
        length,
        phases=[phase],
        steps=estimator.augmentation,
        counts=target.counts_of_all(),
        device=device,
        rngs=(order_rng, sampler_rng),
        statistics=statistics,
        settings=settings,
        seed=int(seeds[3]),
        valid_indices=np.empty(0, dtype=np.intp),
        observers=[kept],
    )
    target.begin_part(training)
    with training_mode(training):
        network = estimator._build(training, None if start is None else start.network)
        net, _ = train(network, training)
    target.conclude(training, net, 0)
    if not is_first:
        net.history[:0] = list(estimator.net_.history)
        net.history[-1]["epoch"] = len(net.history)
    estimator._conclude(training, net, None)
    estimator._levels, estimator._weight_unit = levels, float(unit)
    estimator._optimizer_state = kept


def _resampled(sampler, target, part, rng):
    """Return the resampled samples of a call, or say why those of one class cannot be resampled."""
    try:
        return target.resample(sampler, part, rng)
    except ValueError as exc:
        found = np.unique(part.target)
        if len(found) > 1 or not hasattr(target, "name_classes"):
            raise
        raise ValueError(
            "`sampler` acts on each call of `partial_fit` alone, and this call holds samples of "
            f"class {shown(target.classes[found[0]])} only: {exc}. Give calls of several classes, "
            "or leave `sampler` out and weigh the samples: class_weight={label: weight}."
        ) from exc


def _refuse_whole(estimator, settings):
    """Refuse parameters that need the whole training part, or the length of the training."""
    for name, (allowed, reason) in WHOLE.items():
        value = getattr(settings, name, allowed[0])
        if value not in allowed:
            raise ValueError(
                f"`partial_fit` cannot use {name}={value!r}: {reason}. Use {name}={allowed[0]!r}, "
                "or `fit`."
            )
    for name, fix in (
        ("class_weight", "a dict of weights by label"),
        ("target_weight", "a function from values of y to weights"),
    ):
        value = getattr(settings, name, None)
        if isinstance(value, str) or hasattr(value, "fit"):
            raise ValueError(
                f"`partial_fit` cannot use {name}={value!r}: it depends on all samples, and a call "
                f"has only some of them. Give {fix}, computed from all samples."
            )
    for name, value in (("batch_sampling", "progressive"), ("freeze", "gradual")):
        given = getattr(settings, name)
        if isinstance(given, str) and given == value:
            raise ValueError(
                f"`partial_fit` cannot use {name}={value!r}: the number of epochs is not known. "
                "Give another value, or use `fit`."
            )
    check_options(settings, None, None)


def _read(estimator, X, y, classes, target, *, is_first):
    """Return images, and the target as numbers."""
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None."
        )
    if is_first:
        images, y = fit_images(
            estimator,
            X,
            y,
            image_shape=estimator.image_shape,
            channels=estimator.channels,
            image_column=estimator.image_column,
            value_range=estimator.value_range,
        )
    else:
        images = check_images(estimator, X, channels=estimator.channels)
        if hasattr(estimator, "table_encoder_"):
            warn_of_new_categories(estimator.table_encoder_, images)
        y = column_or_1d(vector_of(unpacked(y, "y")))
        check_consistent_length(images, y)
    if hasattr(target, "name_classes"):
        check_labels(y)
        target.name_classes(classes, None if is_first else estimator.classes_)
    return images, target.read(y)


def _seeds(random_state, n_done):
    """Return four seeds; each call draws other numbers, and the first those of `fit`."""
    is_number = isinstance(random_state, int | np.integer)
    source = check_random_state(random_state)
    if is_number and n_done:
        source = np.random.RandomState([int(random_state), n_done])
    return source.randint(np.iinfo(np.int32).max, size=4)
