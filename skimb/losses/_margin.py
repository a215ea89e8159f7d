"""The loss with a margin on cosines."""

from numbers import Real
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from skimb._params import Interval
from skimb.losses._cross_entropy import cross_entropy
from skimb.losses._focusing import log_complement
from skimb.losses._loss import Loss, class_indices, positive_values

__all__ = ["LDAMLoss", "ldam_loss", "ldam_margins"]


def ldam_margins(counts: Any, *, max_margin: float = 0.5) -> Tensor:
    r"""Compute the margins of the label-distribution-aware margin loss.

    .. math:: \Delta_k = m\, n_k^{-1/4} / \max_j n_j^{-1/4}

    Parameters
    ----------
    counts : Tensor or array-like of shape (n_classes,)
        Samples of each class, positive.
    max_margin : float, default=0.5
        The margin m of the rarest class.

    Returns
    -------
    Tensor of shape (n_classes,), float64

    Raises
    ------
    ValueError
        If `counts` are not positive.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import ldam_margins
    >>> ldam_margins(torch.tensor([500, 50, 5]))
    tensor([0.1581, 0.2812, 0.5000], dtype=torch.float64)
    """
    return _margins(positive_values("counts", counts), max_margin)


def _margins(counts, max_margin):
    """Return the margins of counts that are not checked: the check would wait for the device."""
    margins = counts.double() ** -0.25
    return max_margin * margins / margins.max()


def ldam_loss(
    cosines: Tensor,
    target: Tensor,
    *,
    margins: Tensor,
    scale: float = 30.0,
    weight: Tensor | None = None,
    reduction: str = "none",
) -> Tensor:
    r"""Compute the label-distribution-aware margin loss (LDAM).

    .. math:: L = -w_y \log \mathrm{softmax}(s\,(c - \Delta_y\,[k = y]))_y

    The rarer a class, the larger the required distance of its samples from the boundary [1]_.

    Parameters
    ----------
    cosines : Tensor of shape (n, n_classes)
        Cosines c between an embedding and the weights of each class, in [-1, 1], as
        `skimb.neural_network.CosineLinear` gives them.
    target : Tensor of shape (n,), integer
        Class indices y.
    margins : Tensor of shape (n_classes,)
        Margins :math:`\Delta`, of `ldam_margins`.
    scale : float, default=30.0
        The factor s on the cosines.
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
    .. [1] Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss,
       NeurIPS 2019, arXiv:1906.07413.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import ldam_loss
    >>> cosines, target = torch.tensor([[0.3, 0.3]]), torch.tensor([1])
    >>> ldam_loss(cosines, target, margins=torch.tensor([0.0, 0.1]))  # log(1 + exp(30 * 0.1))
    tensor([3.0486])
    """
    target = class_indices(cosines, target)
    if margins.shape != cosines.shape[1:]:
        raise ValueError(
            f"`margins` must hold one value per class: {tuple(cosines.shape[1:])}. "
            f"Got {tuple(margins.shape)}."
        )
    is_own = target[:, None] == torch.arange(cosines.shape[1], device=cosines.device)
    logits = scale * (cosines - margins.to(cosines)[target][:, None] * is_own)
    return cross_entropy(logits, target, weight=weight, reduction=reduction)


class LDAMLoss(Loss):
    r"""Label-distribution-aware margin loss (LDAM), with margins by the class counts.

    Parameters
    ----------
    max_margin : float, default=0.5
        The margin of the rarest class.
    scale : float, default=30.0
        The factor on the cosines.
    reduction : {"mean", "none", "sum"}, default="mean"
        The reduction of a call's result: the mean, the values themselves, or their sum.

    See Also
    --------
    ldam_loss : The function, with its formula and source.

    Notes
    -----
    Its decision rule is the argmax of the scaled cosines without margin, whose softmax is far too
    confident. The posterior nevertheless has a closed form. Where the expected loss has no slope,
    it is a fixed point of the softmaxes :math:`p^{(y)}` with the margin at y, :math:`\eta_k =
    \sum_y \eta_y p^{(y)}_k`, which solves to

    .. math:: \eta_k \propto e^{s c_k}
              \Big(\sum_{j \ne k} e^{s c_j} + e^{s (c_k - \Delta_k)}\Big);

    `effective_logits` gives its logarithm.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import LDAMLoss
    >>> loss = LDAMLoss(max_margin=0.1).fit(torch.tensor([0, 1]))
    >>> loss(torch.full((1, 2), 0.3), torch.tensor([1]))  # log(1 + exp(30 * 0.1))
    tensor(3.0486)
    """

    needs_cosine_head = True

    _parameter_constraints = {
        "max_margin": [Interval(Real, 0, None, closed="left")],
        "scale": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, max_margin=0.5, *, scale=30.0, reduction="mean"):
        super().__init__()
        self.max_margin = max_margin
        self.scale = scale
        self.reduction = reduction

    def forward(self, cosines: Tensor, target: Tensor) -> Tensor:
        """Return the loss of cosines ``(n, n_classes)`` and class indices ``(n,)``."""
        margins = _margins(self.class_counts(), self.max_margin)
        return ldam_loss(
            cosines, target, margins=margins, scale=self.scale, reduction=self.reduction
        )

    def effective_logits(self, logits: Tensor) -> Tensor:
        """Return logits whose softmax is the posterior, see Notes."""
        margins = _margins(self.class_counts(), self.max_margin).to(logits)
        scaled = self.scale * logits
        own = F.log_softmax(scaled, dim=1)
        return own + torch.logaddexp(log_complement(scaled), own - self.scale * margins)

    def decision_logits(self, logits: Tensor) -> Tensor:
        """Return the scaled cosines, without margin."""
        return self.scale * logits
