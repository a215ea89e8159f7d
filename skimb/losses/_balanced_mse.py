"""Balanced MSE: the squared error for a target as if its values were uniformly distributed."""

import math
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn

from skimb._params import HasMethods, Interval, StrOptions
from skimb._warnings import warn
from skimb.losses._loss import RegressionLoss, check_predictions, reduce_rows
from skimb.losses._regression import squared_error_loss
from skimb.relevance import LabelDensity

__all__ = ["BalancedMSELoss", "balanced_mse_loss"]

#: Bounds of the noise, in standard deviations of the target: above them, predictions drift outside
#: the range of the target; far below them, the gradient vanishes.
LEAST_NOISE, MOST_NOISE = 0.05, 1.0
#: Fraction of a uniform density that is mixed into a fitted one: where a density is near zero, the
#: loss would reward predictions for going there.
FLOOR = 0.1


def balanced_mse_loss(
    prediction: Tensor,
    target: Tensor,
    *,
    noise: Any = 1.0,
    means: Any = None,
    variances: Any = None,
    log_weights: Any = None,
    weight: Tensor | None = None,
    reduction: str = "none",
) -> Tensor:
    r"""Compute the balanced mean squared error of predictions.

    The squared error is a Gaussian likelihood under the distribution of the training values. The
    balanced error is the likelihood under a uniform distribution [1]_: it is logit adjustment for a
    Gaussian.

    .. math:: L = 2\sigma^2 \left[-\log N(y; \hat y, \sigma^2) +
              \log \int N(y'; \hat y, \sigma^2)\,p(y')\,dy'\right]

    with the factor :math:`2\sigma^2` taken as constant. The density p of the training values is a
    mixture, :math:`\sum_k w_k N(\mu_k, s_k^2)`, which covers the three published forms: a fitted
    mixture, bins (:math:`s = 0` at their centres), and the batch itself (:math:`s = 0`, :math:`w =
    1` at its targets), which needs no knowledge of the training values.

    Parameters
    ----------
    prediction, target : Tensor of shape (n,), float
        One number per sample.
    noise : float or Tensor of shape (), default=1.0
        :math:`\sigma`, in units of the target; positive.
    means : Tensor of shape (k,), default=None
        :math:`\mu`; None: the targets of the batch.
    variances : Tensor of shape (k,), default=None
        :math:`s^2`; None: 0.
    log_weights : Tensor of shape (k,), default=None
        :math:`\log w`; None: 0.
    weight : Tensor of shape (n,), default=None
        One weight per sample.
    reduction : {"none", "mean", "sum"}, default="none"
        ``"mean"`` divides by n, not by the sum of the weights.

    Returns
    -------
    Tensor of shape (n,), or () when reduced
        The loss, in squared units of the target. It may be negative.

    Raises
    ------
    ValueError
        If shapes, types, `noise` or `reduction` are not as above.

    References
    ----------
    .. [1] Ren et al., Balanced MSE for Imbalanced Visual Regression, CVPR 2022, arXiv:2203.16427.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import balanced_mse_loss
    >>> prediction, target = torch.tensor([1.0, 2.0, 4.5]), torch.tensor([0.8, 2.5, 5.0])
    >>> balanced_mse_loss(prediction, target, reduction="mean")
    tensor(0.5849)
    """
    check_predictions(prediction, target)
    # A tensor is not checked: reading it would wait for the device.
    if not isinstance(noise, torch.Tensor) and not 0 < float(noise) < math.inf:
        raise ValueError(f"`noise` must be positive and finite. Got {noise}.")
    noise = torch.as_tensor(noise, dtype=prediction.dtype, device=prediction.device)
    square = noise**2
    means = target if means is None else means
    spread = square.expand(len(means)) if variances is None else square + variances
    # The normalising constants of both Gaussians cancel, except for their widths.
    inside = -0.5 * (spread / square).log() - (prediction[:, None] - means) ** 2 / (2 * spread)
    if log_weights is not None:
        inside = inside + log_weights
    values = (prediction - target) ** 2 / (2 * square) + inside.logsumexp(1)
    return reduce_rows(values * (2 * square.detach()), weight=weight, reduction=reduction)


class BalancedMSELoss(RegressionLoss):
    r"""The balanced mean squared error, which corrects for rare values; see `balanced_mse_loss`.

    Its minimiser is the mean of the target given the image as if all values were equally frequent.
    Do not use it if the target is as skewed at deployment as in the training.

    Parameters
    ----------
    form : {"batch", "binned", "mixture"}, default="batch"
        The source of the density of the target. ``"batch"``: the samples of the batch, which must
        then be drawn without resampling and be at least about 32. ``"binned"``: smoothed counts in
        bins. ``"mixture"``: a mixture of Gaussians. The last two are fitted by `fit`, and a tenth
        of the density is spread uniformly over the range.
    noise : "learned" or float, default="learned"
        The standard deviation :math:`\sigma` of the noise in the target, in units of the target (in
        its standard deviations inside `CNNRegressor`, which standardises the target). This is the
        critical parameter: if it is too large, predictions drift outside the range of the target.
        For a number of a standard deviation of the target or more, `fit` gives a warning.
        ``"learned"``: a parameter of the loss that is trained with those of the network at the rate
        `lr`, and kept between 0.05 and 1 standard deviations of the target. `CNNRegressor` trains
        it, and starts it at the error of a short training by squared error.
    n_components : int, default=8
        Number of Gaussians of the mixture.
    density : LabelDensity, default=None
        Bins and kernel of the binned form, which is cloned, in units of the target, also in
        `CNNRegressor`. None: the `density` of `CNNRegressor`; elsewhere ``LabelDensity()``.
    reduction : {"none", "mean", "sum"}, default="mean"
        The reduction of a call's result: the mean, the values themselves, or their sum.

    Attributes
    ----------
    log_noise_ : Tensor of shape ()
        Logarithm of the noise over the standard deviation of the target. It is a parameter if
        `noise` is ``"learned"``.
    scale_ : Tensor of shape ()
        Standard deviation of the target that `fit` saw; 1 before `fit`.

    References
    ----------
    .. [1] Ren et al., Balanced MSE for Imbalanced Visual Regression, CVPR 2022, arXiv:2203.16427.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import BalancedMSELoss
    >>> prediction, target = torch.tensor([1.0, 2.0, 4.5]), torch.tensor([0.8, 2.5, 5.0])
    >>> BalancedMSELoss(noise=2.0)(prediction, target)
    tensor(5.3881)
    >>> BalancedMSELoss().fit(target).noise_
    1.7...
    """

    adjusts_prior = True
    # Five times the published rate, for trainings of some hundred steps: at 1e-2 the noise lags
    # behind the error of the network, and a noise that is too large pushes predictions outwards.
    lr = 5e-2

    _parameter_constraints = {
        "form": [StrOptions({"batch", "binned", "mixture"})],
        "noise": [StrOptions({"learned"}), Interval(Real, 0, None, closed="neither")],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "density": [HasMethods(["fit", "bin_of"]), None],
    }

    def __init__(
        self,
        *,
        form="batch",
        noise: Any = "learned",
        n_components=8,
        density: Any = None,
        reduction="mean",
    ):
        super().__init__()
        self.form = form
        self.noise = noise
        self.n_components = n_components
        self.density = density
        self.reduction = reduction
        self.log_noise_ = nn.Parameter(torch.zeros(()))
        self.register_buffer("scale_", torch.ones(()))
        for name in ("means_", "variances_", "log_weights_"):
            self.register_buffer(name, None)
        self.most_log_noise = math.log(MOST_NOISE)
        self.is_warming = False
        self._errors = []

    @property
    def reads_batch(self) -> bool:
        """Whether the value of a sample depends on the others of its batch."""
        return self.form == "batch"

    @property
    def noise_(self) -> float:
        """The noise as it stands, in units of the target."""
        log_noise = self.log_noise_.detach()
        if isinstance(self.noise, str):
            log_noise = log_noise.clamp(math.log(LEAST_NOISE), self.most_log_noise)
        return float(log_noise.exp() * self.scale_)

    def fit(self, y: ArrayLike) -> Self:
        """Compute the spread of the target and, if `form` needs it, its density.

        Parameters
        ----------
        y : array-like of shape (n,)
            Values of the training samples.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is not as above.
        """
        self._check_parameters()
        if isinstance(y, torch.Tensor):
            y = y.detach().cpu()
        y = np.asarray(y, dtype=np.float64)
        scale = y.std() if np.ptp(y) > 0 else 1.0
        self.scale_ = torch.tensor(scale, dtype=torch.float32)
        self.most_log_noise = math.log(MOST_NOISE)
        with torch.no_grad():
            self.log_noise_.fill_(self.most_log_noise)
        is_learned = isinstance(self.noise, str)
        if not is_learned:
            # In standardised units the standard deviation is 1 up to rounding.
            if self.noise > 0.9999 * MOST_NOISE * scale:
                warn(
                    f"noise={self.noise:g} is not less than the standard deviation of the target, "
                    f"{scale:.3g}: predictions drift outside the range of the target. Use "
                    "noise='learned', or about the error that predictions have."
                )
            with torch.no_grad():
                self.log_noise_.fill_(math.log(self.noise / scale))
        self.log_noise_.requires_grad_(is_learned)
        if self.form == "binned":
            self._fit_bins(y)
        elif self.form == "mixture":
            self._fit_mixture(y)
        return self

    def _check_parameters(self):
        if self.form not in ("batch", "binned", "mixture"):
            raise ValueError(f"`form` must be 'batch', 'binned' or 'mixture'. Got {self.form!r}.")
        is_number = isinstance(self.noise, Real) and not isinstance(self.noise, bool)
        is_sound = is_number and 0 < float(self.noise) < math.inf
        if not is_sound and not (isinstance(self.noise, str) and self.noise == "learned"):
            raise ValueError(
                f"`noise` must be 'learned' or a positive, finite number. Got {self.noise!r}."
            )

    def _fit_bins(self, y):
        density = (LabelDensity() if self.density is None else clone(self.density)).fit(y)
        edges = density.edges_
        width = np.diff(edges)
        if not np.isfinite(edges).all():
            raise ValueError(
                f"The bins of `density` must be finite: their width is used. Got {edges.tolist()}."
            )
        # Counts beyond the ends are unknown, not 0: otherwise the loss would reward going there.
        mass = density.smoothed(density.counts_) / density.smoothed(np.ones(len(density.counts_)))
        mass = (1 - FLOOR) * mass / mass.sum() + FLOOR * width / width.sum()
        # Bins have widths: points at their centres would leave gaps if bins are wider than the
        # noise.
        self._take((edges[:-1] + edges[1:]) / 2, width**2 / 12, mass)

    def _fit_mixture(self, y):
        scale = float(self.scale_)
        values = y / scale
        mixture = GaussianMixture(min(self.n_components, len(np.unique(values))), random_state=0)
        mixture.fit(values[:, np.newaxis])
        low, high = values.min(), values.max()
        # The uniform density as one more, broad Gaussian.
        means = np.append(mixture.means_.ravel(), (low + high) / 2)
        variances = np.append(mixture.covariances_.ravel(), max((high - low) ** 2 / 12, 1e-12))
        weights = np.append((1 - FLOOR) * mixture.weights_, FLOOR)
        self._take(means * scale, variances * scale**2, weights)

    def _take(self, means, variances, weights):
        values = means, variances, np.log(weights)
        self.means_, self.variances_, self.log_weights_ = (
            torch.tensor(value, dtype=torch.float32) for value in values
        )

    def begin_warm_up(self) -> None:
        """Use the squared error until `end_warm_up`: the noise needs a partly trained network.

        A second call discards the errors that were recorded.
        """
        self.is_warming = True
        self._errors = []
        self.most_log_noise = math.log(MOST_NOISE)

    def end_warm_up(self, mean_squared_error: float | None = None) -> None:
        """Use the balanced error from now on, and start a learned noise at the current error.

        From then on the noise can only shrink: predictions that drift outwards make errors that a
        larger noise would explain, and a larger noise would make them drift further.

        Parameters
        ----------
        mean_squared_error : float, default=None
            The error of the network on the training samples. None: the noise is estimated from the
            errors of the batches in training mode since `begin_warm_up`, as 1.4826 times the median
            of their absolute values, which a few large ones do not change.
        """
        self.is_warming = False
        error = None
        if mean_squared_error is not None:
            error = math.sqrt(max(mean_squared_error, 1e-30))
        elif self._errors:
            # The standard deviation of normal errors, from their median.
            error = 1.4826 * max(float(torch.cat(self._errors).median()), 1e-15)
        self._errors = []
        if isinstance(self.noise, str) and error is not None:
            self.most_log_noise = math.log(MOST_NOISE)
            with torch.no_grad():
                self.log_noise_.fill_(math.log(error / float(self.scale_)))
                self._keep_in_bounds()
            self.most_log_noise = float(self.log_noise_.detach())

    def _keep_in_bounds(self):
        self.log_noise_.clamp_(math.log(LEAST_NOISE), self.most_log_noise)

    def forward(self, prediction: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the loss; see `balanced_mse_loss`.

        Parameters
        ----------
        prediction, target : Tensor of shape (n,), float
            One number per sample.
        weight : Tensor of shape (n,), default=None
            One weight per sample.

        Returns
        -------
        Tensor of shape (n,) or ()

        Raises
        ------
        ValueError
            If shapes or a parameter do not fit, or a density is needed before `fit`.
        """
        if self.is_warming:
            if self.training:
                self._errors.append((prediction - target).detach().abs())
            return squared_error_loss(prediction, target, weight=weight, reduction=self.reduction)
        self._check_parameters()
        if self.form != "batch" and self.means_ is None:
            raise ValueError(
                f"BalancedMSELoss(form={self.form!r}) has not seen the target. Call fit(y) with "
                "its values first."
            )
        noise = self.noise
        if isinstance(noise, str):
            with torch.no_grad():
                self._keep_in_bounds()
            noise = self.log_noise_.exp() * self.scale_
        return balanced_mse_loss(
            prediction,
            target,
            noise=noise,
            means=self.means_,
            variances=self.variances_,
            log_weights=self.log_weights_,
            weight=weight,
            reduction=self.reduction,
        )
