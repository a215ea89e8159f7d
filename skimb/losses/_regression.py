"""Losses of a continuous target whose values depend on one sample each."""

from numbers import Integral, Real

import torch
from torch import Tensor
from torch.nn import functional as F

from skimb._params import Interval
from skimb.losses._loss import RegressionLoss, check_predictions, reduce_rows

__all__ = [
    "AbsoluteErrorLoss",
    "FocalRLoss",
    "HuberLoss",
    "SquaredErrorLoss",
    "absolute_error_loss",
    "focal_r_loss",
    "huber_loss",
    "squared_error_loss",
]


def squared_error_loss(
    prediction: Tensor, target: Tensor, *, weight: Tensor | None = None, reduction: str = "none"
) -> Tensor:
    """Compute the squared error, whose minimiser is the mean of the target.

    Parameters
    ----------
    prediction, target : Tensor of shape (n,), float
        One number per sample.
    weight : Tensor of shape (n,), default=None
        One weight per sample.
    reduction : {"none", "mean", "sum"}, default="none"
        ``"mean"`` divides by n, not by the sum of the weights.

    Returns
    -------
    Tensor of shape (n,), or () when reduced
        The loss, in squared units of the target.

    Raises
    ------
    ValueError
        If shapes, types or `reduction` are not as above.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import squared_error_loss
    >>> squared_error_loss(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 5.0]))
    tensor([1., 9.])
    """
    check_predictions(prediction, target)
    return reduce_rows((prediction - target) ** 2, weight=weight, reduction=reduction)


def absolute_error_loss(
    prediction: Tensor, target: Tensor, *, weight: Tensor | None = None, reduction: str = "none"
) -> Tensor:
    """Compute the absolute error, whose minimiser is the median of the target.

    Parameters
    ----------
    prediction, target : Tensor of shape (n,), float
        One number per sample.
    weight : Tensor of shape (n,), default=None
        One weight per sample.
    reduction : {"none", "mean", "sum"}, default="none"
        ``"mean"`` divides by n, not by the sum of the weights.

    Returns
    -------
    Tensor of shape (n,), or () when reduced
        The loss, in units of the target.

    Raises
    ------
    ValueError
        If shapes, types or `reduction` are not as above.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import absolute_error_loss
    >>> weight = torch.tensor([1.0, 0.5])
    >>> absolute_error_loss(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 5.0]), weight=weight)
    tensor([1.0000, 1.5000])
    """
    check_predictions(prediction, target)
    return reduce_rows((prediction - target).abs(), weight=weight, reduction=reduction)


def huber_loss(
    prediction: Tensor,
    target: Tensor,
    *,
    delta: float = 1.0,
    weight: Tensor | None = None,
    reduction: str = "none",
) -> Tensor:
    r"""Compute Huber's loss: the squared error of small errors, the absolute one of large.

    .. math:: L = e^2 / 2 \text{ for } |e| \le \delta, \text{ else } \delta (|e| - \delta / 2)

    Parameters
    ----------
    prediction, target : Tensor of shape (n,), float
        One number per sample.
    delta : float, default=1.0
        The error at which the squared error becomes the absolute one, in units of the target;
        positive.
    weight : Tensor of shape (n,), default=None
        One weight per sample.
    reduction : {"none", "mean", "sum"}, default="none"
        ``"mean"`` divides by n, not by the sum of the weights.

    Returns
    -------
    Tensor of shape (n,), or () when reduced

    Raises
    ------
    ValueError
        If shapes, types, `delta` or `reduction` are not as above.

    References
    ----------
    .. [1] Huber, Robust Estimation of a Location Parameter, Annals of Mathematical Statistics 1964,
       doi:10.1214/aoms/1177703732.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import huber_loss
    >>> huber_loss(torch.tensor([0.5, 2.0]), torch.tensor([0.0, 5.0]), delta=1.0)
    tensor([0.1250, 2.5000])
    """
    check_predictions(prediction, target)
    if not delta > 0:
        raise ValueError(f"`delta` must be positive. Got {delta}.")
    values = F.huber_loss(prediction, target, delta=delta, reduction="none")
    return reduce_rows(values, weight=weight, reduction=reduction)


def focal_r_loss(
    prediction: Tensor,
    target: Tensor,
    *,
    power: float = 1,
    beta: float = 0.2,
    gamma: float = 1.0,
    weight: Tensor | None = None,
    reduction: str = "none",
) -> Tensor:
    r"""Compute an error that gives less weight to samples which are already predicted well.

    The focal loss [1]_ for regression, from the comparison of [2]_:

    .. math:: L = |e|^p\,(2 \sigma(\beta |e|) - 1)^\gamma

    It directs the network's attention to hard samples, not to rare values.

    Parameters
    ----------
    prediction, target : Tensor of shape (n,), float
        One number per sample.
    power : {1, 2}, default=1
        The exponent p: 1 for the absolute, 2 for the squared error.
    beta : float, default=0.2
        The inverse scale of large errors, per unit of the target; positive.
    gamma : float, default=1.0
        Focusing exponent, at least 0; 0 is the error without focusing.
    weight : Tensor of shape (n,), default=None
        One weight per sample.
    reduction : {"none", "mean", "sum"}, default="none"
        ``"mean"`` divides by n, not by the sum of the weights.

    Returns
    -------
    Tensor of shape (n,), or () when reduced

    Raises
    ------
    ValueError
        If shapes, types, `power`, `beta`, `gamma` or `reduction` are not as above.

    References
    ----------
    .. [1] Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, arXiv:1708.02002.
    .. [2] Yang et al., Delving into Deep Imbalanced Regression, ICML 2021, arXiv:2102.09554.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import focal_r_loss
    >>> focal_r_loss(torch.tensor([0.5, 2.0]), torch.tensor([0.0, 5.0]))
    tensor([0.0250, 0.8739])
    """
    check_predictions(prediction, target)
    if power not in (1, 2):
        raise ValueError(f"`power` must be 1 or 2. Got {power!r}.")
    if not beta > 0 or not gamma >= 0:
        raise ValueError(
            f"`beta` must be positive and `gamma` at least 0. Got beta={beta}, gamma={gamma}."
        )
    error = (prediction - target).abs()
    # 2 sigmoid(x) - 1 = tanh(x / 2). Below the least number its power has an infinite slope.
    focus = torch.tanh(beta * error / 2).clamp_min(torch.finfo(error.dtype).tiny)
    return reduce_rows(error**power * focus**gamma, weight=weight, reduction=reduction)


class SquaredErrorLoss(RegressionLoss):
    """The squared error, see `squared_error_loss`.

    Parameters
    ----------
    reduction : {"none", "mean", "sum"}, default="mean"
        The reduction of a call's result: the mean, the values themselves, or their sum.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import SquaredErrorLoss
    >>> SquaredErrorLoss()(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 5.0]))
    tensor(5.)
    """

    def __init__(self, *, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, prediction: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the loss; see `squared_error_loss`."""
        return squared_error_loss(prediction, target, weight=weight, reduction=self.reduction)


class AbsoluteErrorLoss(RegressionLoss):
    """The absolute error, see `absolute_error_loss`.

    Parameters
    ----------
    reduction : {"none", "mean", "sum"}, default="mean"
        The reduction of a call's result: the mean, the values themselves, or their sum.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import AbsoluteErrorLoss
    >>> AbsoluteErrorLoss()(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 5.0]))
    tensor(2.)
    """

    def __init__(self, *, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, prediction: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the loss; see `absolute_error_loss`."""
        return absolute_error_loss(prediction, target, weight=weight, reduction=self.reduction)


class HuberLoss(RegressionLoss):
    """Huber's loss, see `huber_loss`.

    Parameters
    ----------
    delta : float, default=1.0
        The error at which the squared error becomes the absolute one, in units of the target (in
        its standard deviations inside `CNNRegressor`, which standardises the target).
    reduction : {"none", "mean", "sum"}, default="mean"
        The reduction of a call's result: the mean, the values themselves, or their sum.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import HuberLoss
    >>> HuberLoss(delta=2.0)(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 5.0]))
    tensor(2.2500)
    """

    _parameter_constraints = {"delta": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, *, delta=1.0, reduction="mean"):
        super().__init__()
        self.delta = delta
        self.reduction = reduction

    def forward(self, prediction: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the loss; see `huber_loss`."""
        return huber_loss(
            prediction, target, delta=self.delta, weight=weight, reduction=self.reduction
        )


class FocalRLoss(RegressionLoss):
    """An error with less weight on samples that are already predicted well, see `focal_r_loss`.

    Parameters
    ----------
    power : {1, 2}, default=1
        The exponent of the error: 1 for the absolute, 2 for the squared error.
    beta : float, default=0.2
        The inverse scale of large errors, per unit of the target, which `CNNRegressor`
        standardises.
    gamma : float, default=1.0
        Focusing exponent; 0 is the error without focusing.
    reduction : {"none", "mean", "sum"}, default="mean"
        The reduction of a call's result: the mean, the values themselves, or their sum.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import FocalRLoss
    >>> FocalRLoss(gamma=0.0)(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 5.0]))
    tensor(2.)
    """

    _parameter_constraints = {
        "power": [Interval(Integral, 1, 2, closed="both")],
        "beta": [Interval(Real, 0, None, closed="neither")],
        "gamma": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, *, power=1, beta=0.2, gamma=1.0, reduction="mean"):
        super().__init__()
        self.power = power
        self.beta = beta
        self.gamma = gamma
        self.reduction = reduction

    def forward(self, prediction: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the loss; see `focal_r_loss`."""
        return focal_r_loss(
            prediction,
            target,
            power=self.power,
            beta=self.beta,
            gamma=self.gamma,
            weight=weight,
            reduction=self.reduction,
        )
