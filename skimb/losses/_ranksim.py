"""RankSim: neighbours in the target are trained to be neighbours among the features."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from skimb.losses._loss import reduce_loss

__all__ = ["ranksim_loss"]


def ranksim_loss(
    features: Any, target: Tensor, *, interpolation: float = 2.0, reduction: str = "none"
) -> Tensor:
    r"""Compute how much the ranks of neighbours differ between the features and the target.

    For each sample, the other samples are ranked once by the cosine of their features to its own
    and once by the distance of their targets; the loss is the mean squared difference of these
    ranks, each in (0, 1] [1]_. Ranks are piecewise constant, so that the gradient of a piecewise
    linear interpolation is used [2]_. Of samples with equal targets only the first is used.

    Parameters
    ----------
    features : Tensor of shape (n, d)
        The input of the last layer of a network.
    target : Tensor of shape (n,)
        Values of the target.
    interpolation : float, default=2.0
        The step of the interpolation that gives the gradient; positive.
    reduction : {"none", "mean", "sum"}, default="none"
        The reduction over the samples that are used, at most n.

    Returns
    -------
    Tensor of shape (m,), or () when reduced

    Raises
    ------
    ValueError
        If shapes, `interpolation` or `reduction` are not as above.

    References
    ----------
    .. [1] Gong, Mori and Tung, RankSim: Ranking Similarity Regularization for Deep Imbalanced
       Regression, ICML 2022, arXiv:2205.15236.
    .. [2] Vlastelica et al., Differentiation of Blackbox Combinatorial Solvers, ICLR 2020,
       arXiv:1912.02175.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import ranksim_loss
    >>> features = torch.tensor([[1.0, 0.0], [0.9, 0.3], [-0.2, 1.0], [0.1, 0.2]])
    >>> ranksim_loss(features, torch.tensor([1.0, 2.0, 5.0, 9.0]), reduction="sum")
    tensor(0.0938)
    """
    if features.ndim != 2 or target.shape != features.shape[:1]:
        raise ValueError(
            "RankSim takes features of shape (n, d) and targets of shape (n,). Got "
            f"{tuple(features.shape)} and {tuple(target.shape)}."
        )
    if not interpolation > 0:
        raise ValueError(f"`interpolation` must be positive. Got {interpolation}.")
    order = torch.argsort(target, stable=True)
    values = target[order]
    is_first = torch.ones_like(values, dtype=torch.bool)
    is_first[1:] = values[1:] != values[:-1]
    rows = order[is_first].sort().values
    features, target = F.normalize(features[rows], dim=1), target[rows]
    wanted = _ranks(-(target[:, None] - target[None, :]).abs())
    found = _BlackboxRanks.apply(features @ features.T, interpolation)
    return reduce_loss(((found - wanted) ** 2).mean(1), None, reduction=reduction)


def _ranks(values):
    """Return the ranks of the values in each row, the largest first, divided by their number."""
    n_values = values.shape[1]
    order = torch.argsort(values, dim=1, stable=True)
    places = torch.arange(n_values, 0, -1, device=values.device, dtype=values.dtype)
    ranks = torch.empty_like(values)
    return ranks.scatter_(1, order, places.expand_as(values)) / n_values


class _BlackboxRanks(torch.autograd.Function):
    """Ranks, with the gradient of their linear interpolation."""

    @staticmethod
    def forward(ctx, values, interpolation):
        ranks = _ranks(values)
        ctx.interpolation = interpolation
        ctx.save_for_backward(values, ranks)
        return ranks

    @staticmethod
    def backward(ctx, gradient):
        values, ranks = ctx.saved_tensors
        ahead = _ranks(values + ctx.interpolation * gradient)
        return -(ranks - ahead) / ctx.interpolation, None
