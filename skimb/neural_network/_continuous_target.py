"""Numbers as the target of a network: standardisation, weights of the range, errors."""

import copy
from functools import partial

import numpy as np
import torch
from sklearn.base import BaseEstimator, RegressorMixin, clone

from skimb._engine import (
    ImageRegressorNet,
    Part,
    Phase,
    RankSimilarity,
    Remix,
    Target,
    ended_diverged,
    exponent_of,
    few_samples,
    loss_parameters,
    mean_one,
    scaled_down,
)
from skimb._lost_differences import refuse_lost_differences
from skimb._messages import told_apart
from skimb._networks import last_linear
from skimb._warnings import warn
from skimb.losses import BalancedMSELoss, RegressionLoss
from skimb.metrics import balanced_mean_absolute_error
from skimb.neural_network._double_correction import warn_of_double_correction
from skimb.neural_network._training_samplers import resample_training_part
from skimb.relevance import (
    LabelDensity,
    check_target,
    fit_relevance,
    fit_target_weight,
    relevance_bumps,
)

__all__ = ["ContinuousTarget"]

#: The values of parameters that correct in full for rare values.
WHOLE = {"target_weight": ("inverse",), "batch_sampling": ("inverse", "relevance")}


class ContinuousTarget(Target):
    """Numbers as the target: standardised values with weights, and outputs as values.

    Parameters
    ----------
    parameters : dict
        The parameters of the regressor by name.
    """

    net_class = ImageRegressorNet
    #: The name of a stratum of the validation split.
    stratum = "part of the range of y"
    #: The least number of held-out samples of a stratum.
    least_held = 1
    #: The `scoring` that is computed without a scorer.
    own_scoring = "neg_balanced_mean_absolute_error"
    #: Whether a validation part is needed for more than early stopping.
    wants_validation = False

    def __init__(self, parameters):
        self.parameters = {
            name: parameters[name]
            for name in (
                "loss",
                "target_weight",
                "density",
                "relevance",
                "batch_sampling",
                "ranksim",
                "lr_schedule",
                "batch_size",
            )
        }

    # ---------------------------------------------------------------- values and weights

    def fit(self, y):
        """Check y; return it as float64."""
        return self.read(y)

    def read(self, y):
        """Return checked values as float64."""
        values = check_target(y)
        refuse_lost_differences(y, values, "y")
        return values

    def original(self, values):
        """Return values as they are."""
        return values

    def encode(self, values):
        """Return standardised values."""
        return (values - self.mean) / self.scale

    def decode(self, values):
        """Return standardised values in the unit of y."""
        return values.astype(np.float64) * self.scale + self.mean

    def count(self, values, weight):
        """Refuse weights that leave fewer than two samples."""
        n_samples = np.count_nonzero(weight)
        if n_samples < 2:
            raise ValueError(
                "CNNRegressor needs at least two samples of positive weight. Got "
                f"n_samples={n_samples}."
            )

    def counts(self, values):
        """Return one number, as there are no classes for augmentations."""
        return np.ones(1)

    def learn(self, part):
        """Learn mean, scale and density of the training part before it is resampled."""
        # Computed relative to the largest value: otherwise a square may overflow.
        unit = np.abs(part.target).max()
        unit = unit if unit > 0 else 1.0
        # Relative to the largest weight: the quotients of proportional weights round to equal bits.
        fraction, relative = part.weight / part.weight.max(), part.target / unit
        fraction = fraction / fraction.sum()
        mean = float(fraction @ relative)
        scale = float(np.sqrt(fraction @ (relative - mean) ** 2))
        # A target that is constant, or nearly constant for its size, has no scale.
        is_constant = scale <= 10 * np.finfo(np.float64).eps
        self.mean, self.scale = mean * unit, 1.0 if is_constant else scale * unit
        self.density = self._own_density().fit(part.target)
        relevance = self.parameters["relevance"]
        if relevance is not None:
            # The relevance must fit y, whether batches need it or not.
            fit_relevance(relevance, part.target)(part.target)

    def _own_density(self):
        density = self.parameters["density"]
        return LabelDensity() if density is None else clone(density)

    # ------------------------------------------------------------------- parts of a data set

    def count_part(self, part, before=None):
        """Learn mean, scale and density from the first call; `before` is a fitted regressor."""
        if before is None:
            self.count(part.target, part.weight)
            self.learn(part)
            if np.ptp(part.target) == 0:
                warn(
                    f"All values of y are {part.target[0]:g} in the first call of `partial_fit`, "
                    "by which the target is scaled in all later calls. If other values follow, "
                    "they may take very long to learn. Begin with samples of different values."
                )
        else:
            self.mean, self.scale = before.y_mean_, before.y_scale_
            self.density = before.density_

    def counts_of_all(self):
        """Return one number, as there are no classes for augmentations."""
        return np.ones(1)

    def phase_of_part(self, part, loss, unit, *, is_first):
        """Return the phase of one call, and the mean weight that the first training has fixed."""
        if is_first:
            self._fit_loss(loss, part)
        weight = part.weight * self._target_weight(part.target)(part.target)
        weight, unit = mean_one(weight) if unit is None else (weight / unit, unit)
        # No samples are held out, whose weights would be needed.
        self.weighing = {}
        return Phase(0, weight, loss), unit

    def begin_part(self, training):
        """Refuse a training that cannot work with a continuous target."""
        self.begin(training)

    # --------------------------------------------------------------- the validation part

    def strata(self, values, fraction):
        """Return the stratum of each sample, and the names of the strata."""
        # Ranges with equal numbers of samples, so that the rare ends are held out in proportion
        # too.
        n_samples = len(values)
        n_strata = int(np.clip(n_samples * fraction, 1, min(10, n_samples)))
        rank = np.empty(n_samples, dtype=np.intp)
        rank[np.argsort(values, kind="stable")] = np.arange(n_samples)
        stratum = rank * n_strata // n_samples
        parts = [values[stratum == k] for k in range(n_strata)]
        names = [f"y from {' to '.join(told_apart(part.min(), part.max()))}" for part in parts]
        return stratum, np.array(names, dtype=object)

    def check_validation(self, values):
        """Refuse a validation part that cannot be used, as it is too small."""
        if len(values) < 2:
            raise ValueError(
                "Early stopping needs at least two samples in the validation part, but only "
                f"{len(values)} could be split. Give more samples or groups, or use "
                "early_stopping=False."
            )

    def watches_loss(self, loss, *, is_resampled):
        """Return whether early stopping can watch the loss of the validation part."""
        # A loss that adjusts the prior is not comparable between different batches or noises, and
        # the validation part lacks the effect of batches and samplers on the fractions of values.
        changes = getattr(loss, "adjusts_prior", False) or getattr(loss, "reads_batch", False)
        return not changes and self.parameters["batch_sampling"] is None and not is_resampled

    def held_weight(self, valid, training, phase):
        """Weigh held-out samples as samples of such values weigh in the training."""
        weigh, unit = self.weighing[phase.start]
        return valid.weight * (weigh(valid.target) / unit)

    def judge(self, outputs, y):
        """Judge the outputs for a validation part.

        Parameters
        ----------
        outputs : ndarray of shape (n, 1)
        y : ndarray of shape (n,)
            Values in their own unit.

        Returns
        -------
        view : regressor
            For scorers.
        records : dict
            For the history.
        score : float
            The negative balanced error.
        """
        predicted = self.interpret(outputs)
        bins = LabelDensity(bins=self.density.edges_)
        balanced = balanced_mean_absolute_error(y, predicted, density=bins)
        records = {
            "valid_mean_absolute_error": float(np.abs(predicted - y).mean()),
            "valid_balanced_mean_absolute_error": balanced,
        }
        return _View(predicted), records, -balanced

    def described(self, y):
        """Describe a validation part for an error."""
        return f"the validation part of {len(y)} samples"

    # --------------------------------------------------------------------- the training

    def resample(self, sampler, part, rng):
        """Apply the sampler to the training part."""
        images, values, weight = resample_training_part(
            sampler, part.images, part.target, part.weight, rng=rng, is_continuous=True
        )
        values = np.asarray(values, dtype=np.float64)
        if len(values) < 2 or not np.isfinite(values).all():
            raise ValueError(
                f"`sampler`={sampler!r} must leave at least two samples with finite targets. It "
                f"gave {len(values)}, of which {np.isfinite(values).sum()} are finite."
            )
        return Part(images, values, weight)

    def phases(self, part, loss, start):
        """Return the phases of the training; weights set in at epoch `start`, counted from 0."""
        warn_of_double_correction(
            self.parameters,
            WHOLE,
            loss=loss,
            effect="correct for rare values, so these are favoured twice. Leave one of them out.",
        )
        self._fit_loss(loss, part)
        weigh = self._target_weight(part.target)
        weight, unit = mean_one(part.weight * weigh(part.target))
        self.unit = unit
        phases, self.weighing = [Phase(start, weight, loss)], {start: (weigh, unit)}
        if start > 0:
            weight, unit = mean_one(part.weight)
            phases.insert(0, Phase(0, weight, loss))
            self.weighing[0] = (np.ones_like, unit)
        return phases

    def _fit_loss(self, loss, part):
        if isinstance(loss, RegressionLoss):
            if isinstance(loss, BalancedMSELoss):
                density = loss.density or self.parameters["density"]
                loss.set_params(density=self._encoded_density(density))
            loss.fit(self.encode(part.target))

    def _encoded_density(self, density):
        """Return a density whose bins, if they are given, are those of the encoded target."""
        if density is None or np.ndim(getattr(density, "bins", "auto")) == 0:
            return density
        return clone(density).set_params(bins=self.encode(np.asarray(density.bins, dtype=float)))

    def _target_weight(self, y):
        """Return the function from values of the target to their weights."""
        weigh = self._unscaled_target_weight(y)
        exponent = exponent_of(weigh(y))
        return partial(_scaled, weigh, exponent) if exponent else weigh

    def _unscaled_target_weight(self, y):
        given = self.parameters["target_weight"]
        if given is None:
            return np.ones_like
        if isinstance(given, str):
            return fit_target_weight(given, y, density=self._own_density())
        weigh = clone(given).fit(y) if hasattr(given, "fit") else given

        def checked(values):
            weight = np.asarray(weigh(values), dtype=np.float64)
            if weight.shape != values.shape or not np.all(np.isfinite(weight) & (weight >= 0)):
                raise ValueError(
                    "`target_weight` must give a finite weight, at least 0, for each value of y. "
                    f"For {len(values)} values it gave an array of shape {weight.shape}"
                    + (f" with the least {weight.min()}." if weight.size else ".")
                )
            return weight

        return checked

    def batch_fractions(self, values):
        """Return the keywords of the `BatchPlan` that decide how often batches hold each sample."""
        sampling = self.parameters["batch_sampling"]
        if sampling is None:
            return {"target": np.zeros(len(values), dtype=np.intp), "batch_sampling": None}
        if sampling == "relevance":
            ranges, _ = relevance_bumps(values, relevance=self.parameters["relevance"])
            return {"target": ranges, "batch_sampling": "balanced"}
        density = self._own_density().fit(values)
        weight = fit_target_weight(sampling, values, density=density)(values)
        # Bins without samples have no fraction.
        place = np.unique(density.bin_of(values), return_inverse=True)[1]
        fractions = np.bincount(place, weights=weight)
        return {"target": place, "batch_sampling": fractions / fractions.sum()}

    def begin(self, training):
        """Refuse a training that cannot work with a continuous target."""
        loss = training.phases[-1].loss
        if isinstance(training.augmentation.mixer, Remix):
            raise ValueError(
                "`augmentation`='remix' needs classes, and y is continuous. Use "
                "'mixup' or 'cutmix'."
            )
        if getattr(loss, "reads_batch", False) and training.plan.batch_size < 2:
            raise ValueError(
                f"{loss!r} compares the samples of a batch, so it needs at least two. Raise "
                f"`batch_size`, which is {self.parameters['batch_size']}, or give more samples."
            )
        is_plateau = self.parameters["lr_schedule"] == "plateau"
        if is_plateau and training.valid is None and loss_parameters(loss):
            raise ValueError(
                f"lr_schedule='plateau' cannot watch this loss: the scale of {loss!r} changes with "
                "its noise. Use early_stopping=True, a fixed noise, or another schedule."
            )

    def network_options(self, training):
        """Return the keywords of `build_module` that the target decides."""
        return {"n_outputs": 1, "prior": None}

    def example(self):
        """Return outputs and a target of two samples, on which the loss is tried."""
        return torch.zeros(2), torch.tensor([0.0, 1.0])

    def at(self, training, epoch):
        """Do nothing: outputs have the same meaning in all epochs."""

    def regularizer(self, network, training):
        """Return RankSim on the last layer where it is asked for; see `Target`."""
        strength = self.parameters["ranksim"]
        if not strength:
            return None
        head = last_linear(network.eval(), training.image_shape, training.device)
        network.train()
        return RankSimilarity(head, strength)

    def conclude(self, training, net, epoch):
        """Refuse predictions that are not finite in the unit of y.

        Parameters
        ----------
        training : Training
        net : ImageNet
            The trained net, which has the weights of that epoch.
        epoch : int
            Counted from 0.
        """
        with np.errstate(over="ignore"):
            predicted = self.interpret(net.logits(few_samples(training.part)))
        if not np.isfinite(predicted).all():
            raise ended_diverged("predictions are not finite in the unit of y")
        self.loss = _on_host(net.criterion_.loss, torch.device(net.device))
        # These hold values of the training part.
        del self.weighing

    def fitted(self):
        """Return the public attributes of the regressor."""
        return {
            "y_mean_": self.mean,
            "y_scale_": self.scale,
            "density_": self.density,
            "loss_": self.loss,
        }

    # ---------------------------------------------------------------------- predictions

    def interpret(self, outputs):
        """Return predictions in the unit of y; see `Target`."""
        return self.decode(outputs[:, 0])

    def predict(self, interpreted):
        """Return predictions as they are."""
        return interpreted


def _on_host(loss, device):
    """Return a loss on the host; the losses of classifiers are there too."""
    if device.type == "cpu" or not isinstance(loss, torch.nn.Module):
        return loss
    return copy.deepcopy(loss).cpu()


def _scaled(function, exponent, values):
    return scaled_down(function(values), exponent)


class _View(RegressorMixin, BaseEstimator):
    """The regressor after an epoch, for scorers: it returns predictions that are known.

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
