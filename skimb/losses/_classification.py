"""Cross-entropy and the focal loss."""

import math

import torch
from torch.nn import functional as F

from skimb.losses._loss import Loss, check_logits, reduce_loss

__all__ = ["CrossEntropyLoss", "FocalLoss", "cross_entropy", "focal_loss", "focal_posterior_logits"]


def cross_entropy(logits, target, *, label_smoothing=0.0, weight=None, reduction="none"):
    r"""Compute the cross-entropy of softmax probabilities.

    .. math:: L = -w_y \log p_y, \qquad p = \mathrm{softmax}(z)

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Logits z.
    target : Tensor of shape (n,), integer
        Class indices y.
    label_smoothing : float, default=0.0
        Share of the target's mass that is spread evenly over all classes, in [0, 1].
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

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import cross_entropy
    >>> cross_entropy(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))
    tensor([0.6931])
    """
    check_logits(logits, target)
    values = F.cross_entropy(logits, target, reduction="none", label_smoothing=label_smoothing)
    return reduce_loss(values, target, weight=weight, reduction=reduction)


def focal_loss(logits, target, *, gamma=2.0, weight=None, reduction="none"):
    r"""Compute the focal loss of softmax probabilities.

    Rows that are already classified well are played down, so the hard ones lead [1]_. It turns the
    network's attention to hard rows, not to rare classes: for those, add weights or a prior.

    .. math:: L = -w_y\,(1 - p_y)^\gamma \log p_y, \qquad p = \mathrm{softmax}(z)

    The probability :math:`p_y` is that of the unweighted softmax. Given to `CNNClassifier`, the
    object `FocalLoss` also knows how to turn logits into posteriors; this function does not.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Logits z, of at least two classes.
    target : Tensor of shape (n,), integer
        Class indices y.
    gamma : float, default=2.0
        Focusing exponent, at least 0; 0 is the cross-entropy.
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
        If shapes, targets, `gamma` or `reduction` are not as above.

    References
    ----------
    .. [1] Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, arXiv:1708.02002.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import focal_loss
    >>> focal_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([1]), gamma=2.0)  # log(2) / 4
    tensor([0.1733])
    """
    check_logits(logits, target)
    _check_gamma(gamma)
    others = _log_odds_against(logits, target)
    # log(1 - p_y) = -softplus(-a), with a the log-odds of the other classes: it stays finite, and
    # so does its gradient, where (1 - p_y) ** gamma has an infinite slope for gamma < 1.
    modulator = torch.exp(-gamma * F.softplus(-others))
    values = modulator * F.cross_entropy(logits, target, reduction="none")
    return reduce_loss(values, target, weight=weight, reduction=reduction)


def focal_posterior_logits(logits, *, gamma):
    r"""Map the logits of a network trained by the focal loss to log-posteriors.

    The focal loss is not proper: its minimiser q is less sure than the posterior :math:`\eta`.
    The exact inverse (the closed form of [1]_) is

    .. math:: \eta_k \propto v_k
       = \frac{q_k}{(1-q_k)^\gamma - \gamma (1-q_k)^{\gamma-1} q_k \log q_k}.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Logits of q.
    gamma : float
        The focusing exponent of the training.

    Returns
    -------
    Tensor of shape (n, n_classes)
        :math:`\log v`, of the same dtype.

    References
    ----------
    .. [1] Charoenphakdee et al., On Focal Loss for Class-Posterior Probability Estimation,
       CVPR 2021, arXiv:2011.09172.
    """
    if gamma == 0:
        return logits
    log_q = F.log_softmax(logits, dim=1)
    # log(1 - q): exact by log1p for q up to 1/2; the one class that may be larger takes the sum
    # of the others, and so does its -log q, which softplus gives without cancelling.
    log_rest = torch.log1p(-log_q.exp().clamp_max(0.5))
    log_surprise = torch.log(-log_q.clamp_max(-1e-30))
    top = logits.argmax(dim=1, keepdim=True)
    against = _log_odds_against(logits, top.squeeze(1))[:, None]
    log_rest = log_rest.scatter(1, top, -F.softplus(-against))
    # Far below zero softplus(a) = exp(a), and the logarithm undoes it.
    top_surprise = torch.where(against < -30, against, torch.log(F.softplus(against)))
    log_surprise = log_surprise.scatter(1, top, top_surprise)
    # v = q / ((1-q)^(gamma-1) * [(1-q) + gamma * q * (-log q)]), every factor in logs.
    bracket = torch.logaddexp(log_rest, math.log(gamma) + log_q + log_surprise)
    return log_q - (gamma - 1) * log_rest - bracket


def _log_odds_against(logits, target):
    """Return log((1 - p_y) / p_y) of one class a row, of shape (n,)."""
    if logits.shape[1] < 2:
        raise ValueError("The focal loss needs the logits of at least two classes. Got one.")
    own = target[:, None]
    others = logits.scatter(1, own, -torch.inf)
    return torch.logsumexp(others, dim=1) - logits.gather(1, own).squeeze(1)


def _check_gamma(gamma):
    if not 0 <= gamma < math.inf:
        raise ValueError(f"`gamma` must be a finite number of at least 0. Got {gamma!r}.")


class CrossEntropyLoss(Loss):
    """Cross-entropy of softmax probabilities.

    Parameters
    ----------
    label_smoothing : float, default=0.0
        Share of the target's mass that is spread evenly over all classes.
    reduction : {"mean", "none", "sum"}, default="mean"
        What a call returns.

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


class FocalLoss(Loss):
    """Focal loss of softmax probabilities.

    Parameters
    ----------
    gamma : float, default=2.0
        Focusing exponent, at least 0; 0 is the cross-entropy.
    reduction : {"mean", "none", "sum"}, default="mean"
        What a call returns.

    See Also
    --------
    focal_loss : The function, with its formula and source.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import FocalLoss
    >>> FocalLoss(gamma=2.0)(torch.zeros(3, 2), torch.tensor([0, 1, 1]))  # log(2) / 4
    tensor(0.1733)
    """

    def __init__(self, gamma=2.0, *, reduction="mean"):
        super().__init__()
        self.gamma = gamma
        self.reduction = reduction

    def forward(self, logits, target):
        """Return the loss of logits ``(n, n_classes)`` and class indices ``(n,)``."""
        return focal_loss(logits, target, gamma=self.gamma, reduction=self.reduction)

    def effective_logits(self, logits):
        """Map logits to log-posteriors by the closed form of `focal_posterior_logits`."""
        return focal_posterior_logits(logits, gamma=self.gamma)
