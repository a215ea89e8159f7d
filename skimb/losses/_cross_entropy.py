"""Cross-entropy, and the first of the polynomial losses around it."""

from numbers import Real
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from skimb.losses._loss import Loss, check_logits, reduce_loss

__all__ = ["CrossEntropyLoss", "PolyLoss", "cross_entropy", "poly_loss"]


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
    check_logits(logits, target)
    is_number = isinstance(label_smoothing, Real)
    given = [label_smoothing] if is_number else label_smoothing
    smoothings = [float(fraction) for fraction in given]
    if not all(0 <= fraction <= 1 for fraction in smoothings) or len(smoothings) != (
        1 if is_number else logits.shape[1]
    ):
        raise ValueError(
            "`label_smoothing` must be a number in [0, 1], or one per class, here "
            f"{logits.shape[1]}. Got {label_smoothing!r}."
        )
    values = F.cross_entropy(logits, target, reduction="none")
    if any(smoothings):
        even = -F.log_softmax(logits, dim=1).mean(dim=1)
        fraction = logits.new_tensor(smoothings).expand(logits.shape[1])[target]
        values = torch.lerp(values, even, fraction)
    return reduce_loss(values, target, weight=weight, reduction=reduction)


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
    check_logits(logits, target)
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

    def __init__(self, label_smoothing=0.0, *, reduction="mean"):
        super().__init__()
        self.label_smoothing = label_smoothing
        self.reduction = reduction

    def forward(self, logits, target):
        """Return the loss of logits ``(n, n_classes)`` and class indices ``(n,)``."""
        return cross_entropy(
            logits, target, label_smoothing=self.label_smoothing, reduction=self.reduction
        )


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

    def __init__(self, epsilon=1.0, *, reduction="mean"):
        super().__init__()
        self.epsilon = epsilon
        self.reduction = reduction

    def forward(self, logits, target):
        """Return the loss of logits ``(n, n_classes)`` and class indices ``(n,)``."""
        return poly_loss(logits, target, epsilon=self.epsilon, reduction=self.reduction)

    def effective_logits(self, logits):
        """Map logits to log-posteriors, up to a constant per sample."""
        log_q = F.log_softmax(logits, dim=1)
        return log_q - torch.log1p(self.epsilon * log_q.exp())
