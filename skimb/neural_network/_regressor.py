"""CNNRegressor: a plain scikit-learn regressor that holds a skorch net."""

from functools import partial
from numbers import Real
from typing import Any

import numpy as np
import torch
from sklearn.base import RegressorMixin, clone
from sklearn.utils import check_array

from skimb._engine._callbacks import RegressionValidation
from skimb._engine._divergence import ended_diverged
from skimb._engine._image_data import Part, few_rows
from skimb._engine._mixing import Remix
from skimb._engine._optimizers import loss_parameters
from skimb._engine._rank_similarity import RankSimilarity
from skimb._engine._sample_weights import exponent_of, in_range, mean_one
from skimb._engine._training import Phase
from skimb._images import refuse_lost_differences
from skimb._networks._probes import last_linear
from skimb._params import HasMethods, Interval, StrOptions, plain
from skimb._warnings import warn
from skimb.losses import (
    AbsoluteErrorLoss,
    BalancedMSELoss,
    FocalRLoss,
    HuberLoss,
    RegressionLoss,
    SquaredErrorLoss,
)
from skimb.metrics import balanced_mean_absolute_error
from skimb.neural_network._cnn import BaseCNN, try_loss
from skimb.neural_network._training_samplers import resample_training_part
from skimb.relevance import LabelDensity, fit_relevance, fit_target_weight, relevance_bumps

__all__ = ["CNNRegressor"]

LOSSES = {
    "squared_error": SquaredErrorLoss,
    "absolute_error": AbsoluteErrorLoss,
    "huber": HuberLoss,
    "balanced_mse": BalancedMSELoss,
    "focal_r": FocalRLoss,
}
WEIGHTS = ("inverse", "sqrt", "lds")


class CNNRegressor(RegressorMixin, BaseCNN):
    r"""Predict a number from images with a convolutional network, its rare values included.

    A scikit-learn regressor in every respect, the twin of `CNNClassifier` for a continuous target
    whose important range is rare: `loss`, `target_weight`, `batch_sampling`, `ranksim` and
    `sampler` are hyperparameters that `GridSearchCV` can search.

    All of them trade: what the rare range gains, the frequent one often pays for, in part. Judge by
    `skimb.metrics.shot_report` which of the two you want.

    Parameters
    ----------
    module : str, nn.Module or callable, default="simple_cnn"
        The network, as in `CNNClassifier`; it gives one number an image, of shape (n, 1). A class
        or callable is called as ``module(in_channels, 1)``.
    loss : str, RegressionLoss or callable, default="squared_error"
        ``"squared_error"``, ``"absolute_error"``, ``"huber"``, ``"balanced_mse"``, ``"focal_r"``:
        short for an object of `skimb.losses` with its defaults. Such an object, whose parameters
        can be searched as ``loss__delta``. Or any callable ``(prediction, target)``, both of shape
        (n,); one that returns a scalar cannot be weighted. All see the standardised target, of mean
        0 and standard deviation 1. ``"balanced_mse"`` begins with half of the epochs, at least
        one (but none of a single one), by squared error, from which it takes the noise that it
        starts with.
    target_weight : {"inverse", "sqrt", "lds"}, callable or None, default=None
        A scheme of `skimb.relevance.compute_target_weight`, which counts the training rows after
        `sampler`; or a function from values of y to their weights, such as a `Relevance`, which is
        cloned and fitted. Weights, those of rows included, are rescaled to mean 1 over the training
        part.
    density : LabelDensity or None, default=None
        Bins and kernel of `target_weight`, `batch_sampling` and the balanced error; None: those of
        ``LabelDensity()``. It is cloned.
    relevance : Relevance, callable or None, default=None
        What ``batch_sampling="relevance"`` takes for rare, and `skimb.study.compare` too: values of
        relevance 0.5 and more. None: those beyond the whiskers of a box plot.
    reweight_after : float, default=0.0
        Share of the epochs, in [0, 1), after which `target_weight` sets in.
    batch_sampling : {"inverse", "sqrt", "lds", "relevance"} or None, default=None
        What batches show: None, rows as they are; a scheme of `compute_target_weight`, rows as
        often as it would weigh them; ``"relevance"``, each bump of the target (a range that is
        rare or not, see `skimb.relevance.relevance_bumps`) in an equal share. Each batch holds
        exact quotas.
    ranksim : float, default=0.0
        How strongly images with near targets are drawn together in the embedding: what the mean
        over the rows of `skimb.losses.ranksim_loss` is multiplied by [1]_. 0: not at all. Its
        gradient, taken from steps, grows less than in proportion, and more in small batches. What
        helps depends on the network and `batch_size`: search it, in ``"simple_cnn"`` from 1 to 100;
        networks without norms may bear no more than 3.
    sampler : sampler, list of samplers or None, default=None
        Resamplers for continuous targets, such as `skimb.over_sampling.SMOGN`, applied to the
        training part only, after a validation part has been held out. Sample weights follow the
        rows.
    augmentation : str, callable, list of these, or None, default="shift_crop"
        As in `CNNClassifier`: small shifts by default (give None where the target depends on the
        place in the image); without ``"remix"``, which is about classes. Mixed rows pay the loss
        of both targets in proportion.
    optimizer : {"adamw", "adam", "sgd"} or callable, default="adamw"
        As in `CNNClassifier`.
    lr : float, default=1e-3
        The highest learning rate.
    weight_decay : float, default=1e-2
        Weight decay.
    lr_schedule : {"one_cycle", "cosine", "plateau", "constant"}, default="one_cycle"
        As in `CNNClassifier`; with early stopping ``"one_cycle"`` becomes ``"plateau"``.
    lr_decay : float or None, default=None
        Layer-wise learning rates, as in `CNNClassifier`.
    freeze : {"features", "gradual"}, int or None, default=None
        Layers that do not train, as in `CNNClassifier`.
    max_grad_norm : float or None, default=1.0
        Gradients are clipped at this norm; None: not at all.
    max_epochs : int or "auto", default="auto"
        Epochs. ``"auto"``: 20, or as many as make 1000 gradient steps, whichever is more; see
        `training_length`.
    steps_per_epoch : int or None, default=None
        Gradient steps an epoch. None: as many as it takes to see as many samples as there are. A
        number makes trainings comparable whose samplers change the number of samples.
    batch_size : int or "auto", default="auto"
        Samples in a batch at most. ``"auto"``: between 16 and 128, smaller for small sets, by the
        same rule. Batches of an epoch are of equal size up to one sample.
    early_stopping : bool or "refit", default=False
        Hold out a validation part, stop when its score no longer improves, and restore the best
        weights. ``"refit"``: then train again on all samples, for the epochs that were found best
        and at the same rates; `history_` and `validation_indices_` are those of the first training.
    validation_fraction : float, default=0.1
        Fraction of the samples that is held out, of low, middle and high values equally.
    scoring : str, callable or None, default=None
        What early stopping watches. None: the loss of the validation part, weighted by
        `target_weight`; with `sampler`, `batch_sampling` or a balanced loss, whose effect that
        lacks, the negative of `balanced_mean_absolute_error` in the bins of the training part,
        which ``"neg_balanced_mean_absolute_error"`` names too. Or a scikit-learn scorer.
    n_iter_no_change : int, default=5
        Epochs without improvement before training stops; an epoch of fewer than 50 gradient steps
        counts for its part of 50.
    image_shape : tuple of int, default=None
        ``(C, H, W)``, as in `CNNClassifier`.
    channels : {"first", "last"} or None, default=None
        Where the channels of a 4-D X stand, when its shape leaves that open.
    value_range : "auto" or tuple, default="auto"
        ``(low, high)``: the values that pixels may have, as in `CNNClassifier`.
    standardize : "auto", None or tuple, default="auto"
        Of pixels, as in `CNNClassifier`.
    device : str or torch.device, default="auto"
        ``"auto"``: CUDA where there is one, else the CPU.
    num_workers : int, default=0
        Processes that decode image files ahead of the training. It acts where X holds paths.
    random_state : int, RandomState instance or None, default=None
        Drives initialisation, order, dropout, the validation part and inner samplers. With an int,
        results on the CPU are equal to the bit in any process.
    verbose : int, default=0
        1: print a line an epoch.

    Attributes
    ----------
    y_mean_, y_scale_ : float
        Mean and standard deviation of the target over the training part, weighted by
        `sample_weight`; the network predicts in these units.
    density_ : LabelDensity
        Fitted on the training part, before `sampler`.
    n_features_in_ : int
        Values in an image, C * H * W.
    feature_names_in_ : ndarray of str
        Only where X is a frame with string column names.
    image_shape_ : tuple of int
        ``(C, H, W)``.
    value_range_ : tuple of float
        The least and the largest value of a pixel: as given, or (0, 255) for uint8, or those of X.
    net_ : skorch.NeuralNet
        The trained net.
    module_ : nn.Module
        The trained network.
    loss_ : callable
        The loss that trained it, one value a row, on the standardised target.
    history_ : list of dict
        One an epoch: ``train_loss`` (with what RankSim adds), ``lr``, ``seconds``; with a
        validation part also ``valid_loss``, and in units of y ``valid_mean_absolute_error``,
        ``valid_balanced_mean_absolute_error`` and ``valid_score``.
    n_iter_ : int
        Epochs that were run.
    validation_indices_ : ndarray of int
        Rows of X that were held out.

    See Also
    --------
    CNNClassifier : The same for labels.
    skimb.ensemble.ReBaggRegressor : Many regressors on resampled bags.

    Notes
    -----
    Rows equal byte for byte, and rows of one group, never stand on both sides of the validation
    split; see `CNNClassifier`.

    References
    ----------
    .. [1] Gong, Mori and Tung, RankSim: Ranking Similarity Regularization for Deep Imbalanced
       Regression, ICML 2022, arXiv:2205.15236.
    .. [2] Yang et al., Delving into Deep Imbalanced Regression, ICML 2021, arXiv:2102.09554.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.neural_network import CNNRegressor
    >>> rng = np.random.RandomState(0)
    >>> sigma = rng.normal(5.5, 1.0, size=400)
    >>> X = rng.normal(size=(400, 8, 8)) * sigma[:, None, None]
    >>> reg = CNNRegressor(target_weight="sqrt", random_state=0).fit(X, sigma)
    >>> reg.predict(X[:2]).shape, reg.score(X, sigma) > 0.5
    ((2,), True)
    """

    _named_losses = LOSSES
    _stratum = "part of the range of y"
    _own_scoring = "neg_balanced_mean_absolute_error"
    _grid_example = (
        "[{'loss': ['squared_error']}, {'loss': [HuberLoss()], 'loss__delta': [0.5, 1]}]"
    )

    _parameter_constraints: dict = {
        **BaseCNN._parameter_constraints,
        "loss": [StrOptions(set(LOSSES)), callable],
        "target_weight": [StrOptions(set(WEIGHTS)), callable, None],
        "density": [HasMethods(["fit", "bin_of"]), None],
        "relevance": [HasMethods("fit"), callable, None],
        "batch_sampling": [StrOptions({*WEIGHTS, "relevance"}), None],
        "ranksim": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        module: Any = "simple_cnn",
        *,
        loss: Any = "squared_error",
        target_weight: Any = None,
        density: Any = None,
        relevance: Any = None,
        reweight_after=0.0,
        batch_sampling=None,
        ranksim=0.0,
        sampler=None,
        augmentation: Any = "shift_crop",
        optimizer: Any = "adamw",
        lr=1e-3,
        weight_decay=1e-2,
        lr_schedule="one_cycle",
        lr_decay=None,
        freeze: Any = None,
        max_grad_norm=1.0,
        max_epochs: Any = "auto",
        steps_per_epoch=None,
        batch_size: Any = "auto",
        early_stopping: Any = False,
        validation_fraction=0.1,
        scoring: Any = None,
        n_iter_no_change=5,
        image_shape=None,
        channels=None,
        value_range: Any = "auto",
        standardize: Any = "auto",
        device: Any = "auto",
        num_workers=0,
        random_state=None,
        verbose=0,
    ):
        self.module = module
        self.loss = loss
        self.target_weight = target_weight
        self.density = density
        self.relevance = relevance
        self.reweight_after = reweight_after
        self.batch_sampling = batch_sampling
        self.ranksim = ranksim
        self.sampler = sampler
        self.augmentation = augmentation
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.lr_schedule = lr_schedule
        self.lr_decay = lr_decay
        self.freeze = freeze
        self.max_grad_norm = max_grad_norm
        self.max_epochs = max_epochs
        self.steps_per_epoch = steps_per_epoch
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.n_iter_no_change = n_iter_no_change
        self.image_shape = image_shape
        self.channels = channels
        self.value_range = value_range
        self.standardize = standardize
        self.device = device
        self.num_workers = num_workers
        self.random_state = random_state
        self.verbose = verbose

    # ------------------------------------------------------------------------- the fit

    def _read_target(self, y):
        target = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y", estimator=self)
        refuse_lost_differences(y, target, "y")
        return target

    def _check_weight(self, sample_weight, images, target):
        weight = self._row_weight(sample_weight, target)
        n_rows = np.count_nonzero(weight)
        if n_rows < 2:
            raise ValueError(
                f"CNNRegressor needs at least two rows of positive weight. Got n_samples={n_rows}."
            )
        return weight

    def _strata(self, target):
        # Ranges of equally many rows, so that rare ends are held out in proportion too.
        n_rows = len(target)
        n_strata = int(np.clip(n_rows * plain(self.validation_fraction), 1, min(10, n_rows)))
        rank = np.empty(n_rows, dtype=np.intp)
        rank[np.argsort(target, kind="stable")] = np.arange(n_rows)
        stratum = rank * n_strata // n_rows
        names = [
            f"y from {target[stratum == k].min():g} to {target[stratum == k].max():g}"
            for k in range(n_strata)
        ]
        return stratum, np.array(names, dtype=object)

    def _check_validation(self, part):
        if len(part.target) < 2:
            raise ValueError(
                "Early stopping needs at least two rows in the validation part, but only "
                f"{len(part.target)} could be split. Give more rows or groups, or use "
                "early_stopping=False."
            )

    def _take_in(self, part):
        # In units of the largest value, lest a square overflows.
        unit = np.abs(part.target).max()
        unit = unit if unit > 0 else 1.0
        # Relative to the largest: the quotients of proportional weights round to equal bits.
        share, relative = part.weight / part.weight.max(), part.target / unit
        share = share / share.sum()
        mean = float(share @ relative)
        scale = float(np.sqrt(share @ (relative - mean) ** 2))
        # A target that is constant, or too nearly so for its size, has no scale.
        is_constant = scale <= 10 * np.finfo(np.float64).eps
        self.y_mean_, self.y_scale_ = mean * unit, 1.0 if is_constant else scale * unit
        self.density_ = self._own_density().fit(part.target)
        if self.relevance is not None:
            # It must fit y, whether batches need it or not.
            fit_relevance(self.relevance, part.target)(part.target)

    def _own_density(self):
        return LabelDensity() if self.density is None else clone(self.density)

    def _encoded(self, target):
        return (target - self.y_mean_) / self.y_scale_

    def _decoded(self, outputs):
        """Turn what the network gives, of shape (n, 1), into predictions of shape (n,)."""
        return outputs[:, 0].astype(np.float64) * self.y_scale_ + self.y_mean_

    def _resample(self, part, rng):
        images, target, weight = resample_training_part(
            self.sampler, part.images, part.target, part.weight, rng=rng, is_continuous=True
        )
        target = np.asarray(target, dtype=np.float64)
        if len(target) < 2 or not np.isfinite(target).all():
            raise ValueError(
                f"`sampler`={self.sampler!r} must leave at least two rows with finite targets. It "
                f"gave {len(target)}, of which {np.isfinite(target).sum()} are finite."
            )
        return Part(images, target, weight)

    def _phases(self, part, loss, start):
        self._warn_of_double_correction(loss)
        if isinstance(loss, RegressionLoss):
            if isinstance(loss, BalancedMSELoss):
                loss.set_params(density=self._encoded_density(loss.density or self.density))
            loss.fit(self._encoded(part.target))
        weigh = self._target_weight(part.target)
        weight, unit = mean_one(part.weight * weigh(part.target))
        phases = [Phase(start, weight, loss, partial(_divided, weigh, unit))]
        if start > 0:
            weight, unit = mean_one(part.weight)
            phases.insert(0, Phase(0, weight, loss, partial(_divided, np.ones_like, unit)))
        return phases

    def _encoded_density(self, density):
        """Return a density whose bins, if they are given, are those of the encoded target."""
        if density is None or np.ndim(getattr(density, "bins", "auto")) == 0:
            return density
        return clone(density).set_params(bins=self._encoded(np.asarray(density.bins, dtype=float)))

    def _target_weight(self, y):
        """Return the function from values of the target to their weights."""
        weigh = self._unscaled_target_weight(y)
        exponent = exponent_of(weigh(y))
        return partial(_scaled, weigh, exponent) if exponent else weigh

    def _unscaled_target_weight(self, y):
        if self.target_weight is None:
            return np.ones_like
        if isinstance(self.target_weight, str):
            return fit_target_weight(self.target_weight, y, density=self._own_density())
        weigh = self.target_weight
        if hasattr(weigh, "fit"):
            weigh = clone(weigh).fit(y)

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

    def _watches_loss(self, loss):
        # Of other batches, or with another noise, a loss that adjusts the prior is another one;
        # and what batches and samplers do to the shares of values, the validation part lacks.
        changes = getattr(loss, "adjusts_prior", False) or getattr(loss, "reads_batch", False)
        return not changes and self.batch_sampling is None and self.sampler is None

    def _batch_shares(self, part):
        y = part.target
        if self.batch_sampling is None:
            return {"target": np.zeros(len(y), dtype=np.intp), "batch_sampling": None}
        if self.batch_sampling == "relevance":
            bump, _ = relevance_bumps(y, relevance=self.relevance)
            return {"target": bump, "batch_sampling": "balanced"}
        density = self._own_density().fit(y)
        weight = fit_target_weight(self.batch_sampling, y, density=density)(y)
        # Bins without a row have no share.
        place = np.unique(density.bin_of(y), return_inverse=True)[1]
        shares = np.bincount(place, weights=weight)
        return {"target": place, "batch_sampling": shares / shares.sum()}

    def _build_network(self, training):
        loss = training.phases[-1].loss
        if isinstance(training.augmentation.mixer, Remix):
            raise ValueError(
                "`augmentation`='remix' gives labels to the rarer class, and y is continuous. Use "
                "'mixup' or 'cutmix'."
            )
        if getattr(loss, "reads_batch", False) and training.plan.batch_size < 2:
            raise ValueError(
                f"{loss!r} compares the rows of a batch, so it needs at least two. Raise "
                f"`batch_size`, which is {self.batch_size}, or give more rows."
            )
        if self.lr_schedule == "plateau" and training.valid is None and loss_parameters(loss):
            raise ValueError(
                f"lr_schedule='plateau' has nothing to watch: the scale of {loss!r} changes with "
                "its noise. Use early_stopping=True, a fixed noise, or another schedule."
            )
        network = self._build_module(training, n_outputs=1, prior=None)
        try_loss(loss, torch.zeros(2), torch.tensor([0.0, 1.0]), training)
        return network

    def _regularizer(self, network, device):
        if not self.ranksim:
            return None
        head = last_linear(network.eval(), self.image_shape_, device)
        network.train()
        return RankSimilarity(head, plain(self.ranksim))

    def _validation(self, training):
        bins = LabelDensity(bins=self.density_.edges_)
        return RegressionValidation(
            training.valid.images,
            training.valid.target,
            predict=self._decoded,
            balanced_error=partial(balanced_mean_absolute_error, density=bins),
            scorer=training.scorer,
            watches_loss=training.watches_loss,
        )

    def _conclude(self, training, net, epoch):
        """Take over the trained net, which has the weights of that epoch."""
        with np.errstate(over="ignore"):
            predicted = self._decoded(net.logits(few_rows(training.part)))
        if not np.isfinite(predicted).all():
            raise ended_diverged("predictions are not finite in the unit of y")
        self.loss_ = net.criterion_.loss
        return super()._conclude(training, net, epoch)

    def _warn_of_double_correction(self, loss):
        """Warn where two remedies make up for the same imbalance."""
        adjusts = getattr(loss, "adjusts_prior", False)
        # Beside an adjusted loss any of them is too much; two roots share the work between them.
        whole = {"target_weight": ("inverse",), "batch_sampling": ("inverse", "relevance")}
        corrections = ["loss"] * adjusts + [
            name
            for name, values in whole.items()
            if (value := getattr(self, name)) is not None
            and (adjusts or callable(value) or value in values)
        ]
        if len(corrections) > 1:
            named = " and ".join(f"{name}={getattr(self, name)!r}" for name in corrections)
            warn(
                f"{named} each make up for rare values, so these are favoured twice. Leave one of "
                "them out.",
            )

    # ---------------------------------------------------------------------- prediction

    def predict(self, X):
        """Return the predicted value of each image.

        Parameters
        ----------
        X : array-like
            Images of the shape that `fit` saw.

        Returns
        -------
        ndarray of shape (n,), float64
            In units of y.
        """
        dataset = self._dataset(X)
        return self._decoded(self.net_.logits(dataset))


def _scaled(function, exponent, values):
    return in_range(function(values), exponent)


def _divided(function, unit, values):
    return function(values) / unit
