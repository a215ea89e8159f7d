"""Cross-entropy, and the first of the polynomial losses around it."""

import math
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from skimb._params import Interval
from skimb.losses._loss import Loss, as_numbers, class_indices, reduce_loss

__all__ = [
    "CrossEntropyLoss",
    "PolyLoss",
    "cross_entropy",
    "poly_loss",
    "smoothed_posterior_logits",
]

#: The posterior is exact where a probability exceeds what label smoothing gives to every class by
#: this fraction.
LEAST_EXCESS = 0.1


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    label_smoothing: Any = 0.0,
    weight: Tensor | None = None,
    reduction: str = "none",
) -> Tensor:
    r"""Compute the cross-entropy of softmax probabilities.

    .. math:: L = -w_y \left[(1-\varepsilon_y) \log p_y
       + \varepsilon_y \tfrac{1}{C} \sum_k \log p_k\right], \qquad p = \mathrm{softmax}(z)

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Logits z.
    target : Tensor of shape (n,), integer
        Class indices y.
    label_smoothing : float or sequence of float of length n_classes, default=0.0
        Fraction :math:`\varepsilon` of the target's mass that is spread evenly over all C classes,
        in [0, 1]; one number, or one per true class [1]_.
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
        If shapes, targets, `label_smoothing` or `reduction` are not as above.

    References
    ----------
    .. [1] Zhong et al., Improving Calibration for Long-Tailed Recognition, CVPR 2021,
       arXiv:2104.00466.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import cross_entropy
    >>> cross_entropy(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))
    tensor([0.6931])
    """
    target = class_indices(logits, target)
    smoothings = _smoothings(label_smoothing, logits.shape[1])
    values = F.cross_entropy(logits, target, reduction="none")
    if any(smoothings):
        even = -F.log_softmax(logits, dim=1).mean(dim=1)
        values = torch.lerp(values, even, logits.new_tensor(smoothings)[target])
    return reduce_loss(values, target, weight=weight, reduction=reduction)


def _smoothings(label_smoothing, n_classes):
    """Return the label smoothing of each class."""
    try:
        given = as_numbers(label_smoothing)
    except (TypeError, ValueError):
        # No numbers: they are refused below.
        given = np.empty(0)
    smoothings = given.tolist() if given.ndim else [float(given)] * n_classes
    if given.shape not in {(), (n_classes,)} or not all(0 <= value <= 1 for value in smoothings):
        raise ValueError(
            "`label_smoothing` must be a number in [0, 1], or one per class, here "
            f"{n_classes}. Got {label_smoothing!r}."
        )
    return smoothings


def smoothed_posterior_logits(logits, *, label_smoothing):
    r"""Map the logits of a network trained with label smoothing to log-posteriors.

    Such a network learns the smoothed labels: its softmax is
    :math:`q_k = (1-\varepsilon_k)\,\eta_k + s/C` with the posterior :math:`\eta` and
    :math:`s = \sum_k \varepsilon_k \eta_k`. The inverse is

    .. math:: \eta_k = \frac{q_k - s/C}{1-\varepsilon_k}, \qquad
       s = C\,\frac{\sum_k q_k/(1-\varepsilon_k) - 1}{\sum_k 1/(1-\varepsilon_k)}.

    It is zero or negative where q is no larger than s / C. Below 1.1 times this value the logarithm
    of :math:`\eta` goes on along its tangent over that of q, so that samples keep their order.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Logits of q.
    label_smoothing : float or sequence of float of length n_classes
        The smoothing of the training. Where that of a class is 1, nothing is known of the
        posterior, and the logits are returned as they are.

    Returns
    -------
    Tensor of shape (n, n_classes)
        :math:`\log \eta`, of the same dtype; it needs not be normalised.
    """
    n_classes = logits.shape[1]
    smoothings = _smoothings(label_smoothing, n_classes)
    if not any(smoothings) or 1 in smoothings:
        return logits
    log_q = F.log_softmax(logits, dim=1)
    # In float32, a smoothing near 1 would be rounded to 1 before it is subtracted.
    kept = logits.new_tensor([1 - fraction for fraction in smoothings])
    spread = (torch.exp(log_q) / kept).sum(dim=1, keepdim=True) - 1
    # q may be one that no posterior has. Where the least smoothing is 0, so may be the floor.
    least = max(min(smoothings), torch.finfo(logits.dtype).eps) / n_classes
    floor = (spread / (1 / kept).sum()).clamp(least, max(smoothings) / n_classes)
    log_floor = torch.log(floor)
    joint = log_floor + math.log1p(LEAST_EXCESS)
    exact = log_q + torch.log1p(-torch.exp(log_floor - torch.maximum(log_q, joint)))
    slope = (1 + LEAST_EXCESS) / LEAST_EXCESS
    tangent = log_floor + math.log(LEAST_EXCESS) + slope * (log_q - joint)
    return torch.where(log_q >= joint, exact, tangent) - torch.log(kept)


def poly_loss(
    logits: Tensor,
    target: Tensor,
    *,
    epsilon: float = 1.0,
    weight: Tensor | None = None,
    reduction: str = "none",
) -> Tensor:
    r"""Compute Poly-1: the cross-entropy with another weight on its first polynomial term.

    .. math:: L = w_y\,[-\log p_y + \epsilon\,(1 - p_y)], \qquad p = \mathrm{softmax}(z)

    With a positive `epsilon`, the loss keeps a slope where that of the cross-entropy vanishes [1]_.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Logits z.
    target : Tensor of shape (n,), integer
        Class indices y.
    epsilon : float, default=1.0
        Added weight of the first term, more than -1; 0 is the cross-entropy.
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
        If shapes, targets, `epsilon` or `reduction` are not as above.

    References
    ----------
    .. [1] Leng et al., PolyLoss: A Polynomial Expansion Perspective of Classification Loss
       Functions, ICLR 2022, arXiv:2204.12511.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import poly_loss
    >>> poly_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))  # log(2) + 1/2
    tensor([1.1931])
    """
    target = class_indices(logits, target)
    _check_epsilon(epsilon)
    surprise = F.cross_entropy(logits, target, reduction="none")
    values = surprise - epsilon * torch.expm1(-surprise)
    return reduce_loss(values, target, weight=weight, reduction=reduction)


def _check_epsilon(epsilon):
    if not -1 < epsilon < float("inf"):
        raise ValueError(f"`epsilon` must be a finite number above -1. Got {epsilon!r}.")


class CrossEntropyLoss(Loss):
    """Cross-entropy of softmax probabilities.

    Parameters
    ----------
    label_smoothing : float or sequence of float of length n_classes, default=0.0
        Fraction of the target's mass that is spread evenly over all classes; one number, or one per
        true class in the order of their indices.
    reduction : {"mean", "none", "sum"}, default="mean"
        The reduction of a call's result: the mean, the values themselves, or their sum.

    See Also
    --------
    cross_entropy : The function, with its formula.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import CrossEntropyLoss
    >>> CrossEntropyLoss()(torch.zeros(3, 2), torch.tensor([0, 1, 1]))
    tensor(0.6931)
    """

    _parameter_constraints = {
        "label_smoothing": [Interval(Real, 0, 1, closed="both"), "array-like"]
    }

    def __init__(self, label_smoothing: Any = 0.0, *, reduction="mean"):
        super().__init__()
        self.label_smoothing = label_smoothing
        self.reduction = reduction

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits ``(n, n_classes)`` and class indices ``(n,)``."""
        return cross_entropy(
            logits, target, label_smoothing=self.label_smoothing, reduction=self.reduction
        )

    def effective_logits(self, logits: Tensor) -> Tensor:
        """Map logits to log-posteriors by the inverse of the smoothing."""
        return smoothed_posterior_logits(logits, label_smoothing=self.label_smoothing)


class PolyLoss(Loss):
    r"""Poly-1: the cross-entropy with another weight on its first polynomial term.

    Parameters
    ----------
    epsilon : float, default=1.0
        Added weight of the first term, more than -1; 0 is the cross-entropy.
    reduction : {"mean", "none", "sum"}, default="mean"
        The reduction of a call's result: the mean, the values themselves, or their sum.

    See Also
    --------
    poly_loss : The function, with its formula and source.

    Notes
    -----
    Its minimiser q is more confident than the posterior :math:`\eta`. Where the expected loss is
    flat, :math:`\eta_k \propto q_k / (1 + \epsilon q_k)`, which `effective_logits` applies.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import PolyLoss
    >>> PolyLoss(epsilon=1.0)(torch.zeros(3, 2), torch.tensor([0, 1, 1]))
    tensor(1.1931)
    """

    _parameter_constraints = {"epsilon": [Interval(Real, -1, None, closed="neither")]}

    def __init__(self, epsilon=1.0, *, reduction="mean"):
        super().__init__()
        self.epsilon = epsilon
        self.reduction = reduction

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits ``(n, n_classes)`` and class indices ``(n,)``."""
        return poly_loss(logits, target, epsilon=self.epsilon, reduction=self.reduction)

    def effective_logits(self, logits: Tensor) -> Tensor:
        """Map logits to log-posteriors, up to a constant per sample."""
        log_q = F.log_softmax(logits, dim=1)
        return log_q - torch.log1p(self.epsilon * log_q.exp())
