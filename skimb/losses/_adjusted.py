"""Losses that scale and shift logits by the class prior: one formula and its special cases."""

from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skimb._params import Interval
from skimb.losses._cross_entropy import cross_entropy
from skimb.losses._loss import Loss, as_numbers, positive_values

__all__ = [
    "BalancedSoftmaxLoss",
    "LogitAdjustedLoss",
    "VectorScalingLoss",
    "balanced_softmax_loss",
    "logit_adjusted_loss",
    "vector_scaling_loss",
]


def vector_scaling_loss(
    logits: Tensor,
    target: Tensor,
    *,
    multiplier: Any = None,
    offset: Any = None,
    weight: Any = None,
    reduction: str = "none",
) -> Tensor:
    r"""Compute the cross-entropy of logits that are scaled and shifted class by class.

    .. math:: L = -w_y \log \mathrm{softmax}(\Delta \odot z + \iota)_y

    With :math:`\Delta = 1` it is the logit-adjusted loss, with :math:`\iota = 0` the
    class-dependent temperatures (CDT), and with both the cross-entropy [1]_. The shifts matter
    early in the training, the scales late.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Logits z.
    target : Tensor of shape (n,), integer
        Class indices y.
    multiplier : Tensor of shape (n_classes,), default=None
        Scales :math:`\Delta`; None: 1.
    offset : Tensor of shape (n_classes,), default=None
        Shifts :math:`\iota`; None: 0.
    weight : Tensor of shape (n_classes,), default=None
        Class weights w.
    reduction : {"none", "mean", "sum"}, default="none"
        ``"mean"`` divides by n, not by the sum of the weights.

    Returns
    -------
    Tensor of shape (n,), or () when reduced

    Raises
    ------
    ValueError
        If shapes, targets or `reduction` are not as above.

    References
    ----------
    .. [1] Kini et al., Label-Imbalanced and Group-Sensitive Classification under
       Overparameterization, NeurIPS 2021, arXiv:2103.01550.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import vector_scaling_loss
    >>> logits, target = torch.zeros(1, 2), torch.tensor([1])
    >>> vector_scaling_loss(logits, target, offset=torch.tensor([0.9, 0.1]).log())  # -log(0.1)
    tensor([2.3026])
    """
    adjusted = _affine(logits, multiplier, offset)
    return cross_entropy(adjusted, target, weight=weight, reduction=reduction)


def logit_adjusted_loss(
    logits: Tensor,
    target: Tensor,
    *,
    prior: Any,
    tau: float = 1.0,
    weight: Tensor | None = None,
    reduction: str = "none",
) -> Tensor:
    r"""Compute the logit-adjusted loss.

    .. math:: L = -w_y \log \mathrm{softmax}(z + \tau \log \pi)_y

    The rarer a class, the larger the margin of its samples [1]_. With :math:`\tau = 1` the softmax
    of the raw logits is the posterior under equal class priors.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Logits z.
    target : Tensor of shape (n,), integer
        Class indices y.
    prior : Tensor of shape (n_classes,)
        Class prior :math:`\pi`, positive.
    tau : float, default=1.0
        The strength of the adjustment; 0 is the cross-entropy.
    weight : Tensor of shape (n_classes,), default=None
        Class weights w.
    reduction : {"none", "mean", "sum"}, default="none"
        ``"mean"`` divides by n, not by the sum of the weights.

    Returns
    -------
    Tensor of shape (n,), or () when reduced

    Raises
    ------
    ValueError
        If shapes, targets, `prior` or `reduction` are not as above.

    References
    ----------
    .. [1] Menon et al., Long-tail Learning via Logit Adjustment, ICLR 2021, arXiv:2007.07314.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import logit_adjusted_loss
    >>> logits, target = torch.zeros(1, 2), torch.tensor([1])
    >>> logit_adjusted_loss(logits, target, prior=torch.tensor([0.9, 0.1]))  # -log(0.1)
    tensor([2.3026])
    """
    offset = tau * torch.log(positive_values("prior", prior))
    return vector_scaling_loss(logits, target, offset=offset, weight=weight, reduction=reduction)


def balanced_softmax_loss(
    logits: Tensor,
    target: Tensor,
    *,
    counts: Any,
    weight: Tensor | None = None,
    reduction: str = "none",
) -> Tensor:
    r"""Compute the balanced softmax: the logit-adjusted loss with :math:`\tau = 1`.

    .. math:: L = -w_y \log \frac{n_y e^{z_y}}{\sum_k n_k e^{z_k}}

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Logits z.
    target : Tensor of shape (n,), integer
        Class indices y.
    counts : Tensor of shape (n_classes,)
        Number of samples :math:`n_k` of each class, positive.
    weight : Tensor of shape (n_classes,), default=None
        Class weights w.
    reduction : {"none", "mean", "sum"}, default="none"
        ``"mean"`` divides by n, not by the sum of the weights.

    Returns
    -------
    Tensor of shape (n,), or () when reduced

    Raises
    ------
    ValueError
        If shapes, targets, `counts` or `reduction` are not as above.

    References
    ----------
    .. [1] Ren et al., Balanced Meta-Softmax for Long-Tailed Visual Recognition, NeurIPS 2020,
       arXiv:2007.10740.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import balanced_softmax_loss
    >>> logits, target = torch.zeros(1, 2), torch.tensor([1])
    >>> balanced_softmax_loss(logits, target, counts=torch.tensor([90, 10]))  # -log(0.1)
    tensor([2.3026])
    """
    offset = torch.log(positive_values("counts", counts))
    return vector_scaling_loss(logits, target, offset=offset, weight=weight, reduction=reduction)


def _affine(logits, multiplier, offset):
    for name, values in (("multiplier", multiplier), ("offset", offset)):
        if values is not None and values.shape != logits.shape[1:]:
            raise ValueError(
                f"`{name}` must hold one value per class: {tuple(logits.shape[1:])}. "
                f"Got {tuple(values.shape)}."
            )
    if multiplier is not None:
        logits = logits * multiplier.to(logits)
    return logits if offset is None else logits + offset.to(logits)


def _numbers(name, values, counts, least=-np.inf):
    """Return numbers of a user, one for each class, as a tensor where the counts are."""
    numbers = as_numbers(values)
    # Checked here, because a check on another device would wait for it in each step.
    if numbers.shape != tuple(counts.shape) or not np.all(np.isfinite(numbers) & (numbers > least)):
        kind = "finite" if least < 0 else "positive"
        raise ValueError(
            f"`{name}` must hold one {kind} number for each of the {len(counts)} classes, in the "
            f"order of the sorted labels. Got {numbers.tolist()}."
        )
    return torch.as_tensor(numbers, dtype=counts.dtype, device=counts.device)


class VectorScalingLoss(Loss):
    r"""Cross-entropy of logits that are scaled and shifted by the class counts.

    :math:`\Delta_k = (n_k / n_{max})^\gamma` and :math:`\iota_k = \tau \log \pi_k`, with the
    counts :math:`n` and the prior :math:`\pi` of the labels that `fit` saw.

    Parameters
    ----------
    gamma : float, default=0.3
        Exponent of the scales; 0 is the logit-adjusted loss.
    tau : float, default=1.0
        The strength of the shifts; 0 gives the class-dependent temperatures (CDT). Scales without
        shifts harm minority classes early in the training.
    multiplier : array-like of shape (n_classes,), default=None
        Scales :math:`\Delta` in place of those of `gamma`, in the order of ``classes_``.
    offset : array-like of shape (n_classes,), default=None
        Shifts :math:`\iota` in place of those of `tau`, in the same order.
    reduction : {"mean", "none", "sum"}, default="mean"
        The reduction of a call's result: the mean, the values themselves, or their sum.

    See Also
    --------
    vector_scaling_loss : The function, with its formula and source.
    skimb.model_selection.AutoBalanceClassifier : A search for the scales and shifts.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import VectorScalingLoss
    >>> loss = VectorScalingLoss(gamma=0.2).fit(torch.tensor([0] * 9 + [1]))
    >>> loss(torch.zeros(1, 2), torch.tensor([1]))  # -log(0.1)
    tensor(2.3026)
    >>> VectorScalingLoss(multiplier=[1.0, 0.5], offset=[0.0, -1.0])
    VectorScalingLoss(multiplier=[1.0, 0.5], offset=[0.0, -1.0])
    """

    _parameter_constraints = {
        "gamma": [Interval(Real, None, None, closed="neither")],
        "tau": [Interval(Real, None, None, closed="neither")],
        "multiplier": ["array-like", None],
        "offset": ["array-like", None],
    }

    def __init__(self, gamma=0.3, *, tau=1.0, multiplier=None, offset=None, reduction="mean"):
        super().__init__()
        self.gamma = gamma
        self.tau = tau
        self.multiplier = multiplier
        self.offset = offset
        self.reduction = reduction

    @property
    def adjusts_prior(self) -> bool:
        """Whether it differs from the cross-entropy."""
        scales = (
            self.gamma != 0 if self.multiplier is None else np.any(as_numbers(self.multiplier) != 1)
        )
        shifts = self.tau != 0 if self.offset is None else np.ptp(as_numbers(self.offset)) != 0
        return bool(scales or shifts)

    def _terms(self):
        counts = self.class_counts()
        if self.multiplier is None:
            multiplier = (counts / counts.max()) ** self.gamma
        else:
            multiplier = _numbers("multiplier", self.multiplier, counts, least=0)
        if self.offset is None:
            offset = self.tau * torch.log(counts / counts.sum())
        else:
            offset = _numbers("offset", self.offset, counts)
        return {"multiplier": multiplier, "offset": offset}

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits ``(n, n_classes)`` and class indices ``(n,)``."""
        return vector_scaling_loss(logits, target, **self._terms(), reduction=self.reduction)

    def effective_logits(self, logits: Tensor) -> Tensor:
        """Return the scaled and shifted logits, whose softmax is trained to be the posterior."""
        return _affine(logits, **self._terms())

    def decision_logits(self, logits: Tensor) -> Tensor:
        """Return the raw logits."""
        return logits


class LogitAdjustedLoss(Loss):
    r"""Logit-adjusted loss: a margin for each class by its prior.

    Parameters
    ----------
    tau : float, default=1.0
        The strength of the adjustment; 0 is the cross-entropy.
    reduction : {"mean", "none", "sum"}, default="mean"
        The reduction of a call's result: the mean, the values themselves, or their sum.

    See Also
    --------
    logit_adjusted_loss : The function, with its formula and source.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import LogitAdjustedLoss
    >>> loss = LogitAdjustedLoss().fit(torch.tensor([0] * 9 + [1]))
    >>> loss(torch.zeros(1, 2), torch.tensor([1]))  # -log(0.1)
    tensor(2.3026)
    """

    _parameter_constraints = {"tau": [Interval(Real, None, None, closed="neither")]}

    def __init__(self, tau=1.0, *, reduction="mean"):
        super().__init__()
        self.tau = tau
        self.reduction = reduction

    @property
    def adjusts_prior(self) -> bool:
        """Whether it differs from the cross-entropy."""
        return bool(self.tau != 0)

    def _offset(self):
        counts = self.class_counts()
        return self.tau * torch.log(counts / counts.sum())

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits ``(n, n_classes)`` and class indices ``(n,)``."""
        # Not `logit_adjusted_loss`: its check of the prior would wait for the device.
        return vector_scaling_loss(logits, target, offset=self._offset(), reduction=self.reduction)

    def effective_logits(self, logits: Tensor) -> Tensor:
        """Return the shifted logits, whose softmax is trained to be the posterior."""
        return _affine(logits, None, self._offset())

    def decision_logits(self, logits: Tensor) -> Tensor:
        """Return the raw logits."""
        return logits


class BalancedSoftmaxLoss(Loss):
    r"""Balanced softmax: the logit-adjusted loss with :math:`\tau = 1` under another name.

    Parameters
    ----------
    reduction : {"mean", "none", "sum"}, default="mean"
        The reduction of a call's result: the mean, the values themselves, or their sum.

    See Also
    --------
    balanced_softmax_loss : The function, with its formula and source.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import BalancedSoftmaxLoss
    >>> loss = BalancedSoftmaxLoss().fit(torch.tensor([0] * 9 + [1]))
    >>> loss(torch.zeros(1, 2), torch.tensor([1]))  # -log(0.1)
    tensor(2.3026)
    """

    adjusts_prior = True

    def __init__(self, *, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits ``(n, n_classes)`` and class indices ``(n,)``."""
        offset = torch.log(self.class_counts())
        return vector_scaling_loss(logits, target, offset=offset, reduction=self.reduction)

    def effective_logits(self, logits: Tensor) -> Tensor:
        """Return the shifted logits, whose softmax is trained to be the posterior."""
        return _affine(logits, None, torch.log(self.class_counts()))

    def decision_logits(self, logits: Tensor) -> Tensor:
        """Return the raw logits."""
        return logits
