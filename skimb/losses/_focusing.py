"""Losses that give less weight to samples which are already classified well."""

import math
from numbers import Real

import torch
from torch import Tensor
from torch.nn import functional as F

from skimb._params import Interval, plain
from skimb.losses._loss import Loss, class_indices, reduce_loss

__all__ = [
    "AsymmetricLoss",
    "FocalLoss",
    "asymmetric_loss",
    "binary_focal_loss",
    "focal_loss",
    "focal_posterior_logits",
]


def focal_loss(
    logits: Tensor,
    target: Tensor,
    *,
    gamma: float = 2.0,
    weight: Tensor | None = None,
    reduction: str = "none",
) -> Tensor:
    r"""Compute the focal loss of softmax probabilities.

    Samples that are already classified well get less weight, so that hard ones dominate [1]_. The
    loss directs the network's attention to hard samples, not to minority classes: for those, add
    weights or a prior.

    .. math:: L = -w_y\,(1 - p_y)^\gamma \log p_y, \qquad p = \mathrm{softmax}(z)

    The probability :math:`p_y` is that of the unweighted softmax. In `CNNClassifier`, the object
    `FocalLoss` also maps logits to posteriors; this function does not.

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
    target = class_indices(logits, target)
    gamma = _checked_gamma(gamma)
    others = _log_odds_against(logits, target)
    # log(1 - p_y) = -softplus(-a), with a the log-odds of the other classes: it stays finite, and
    # so does its gradient, where (1 - p_y) ** gamma has an infinite slope for gamma < 1.
    modulator = torch.exp(-gamma * F.softplus(-others))
    values = modulator * F.cross_entropy(logits, target, reduction="none")
    return reduce_loss(values, target, weight=weight, reduction=reduction)


def binary_focal_loss(
    logits: Tensor,
    target: Tensor,
    *,
    alpha: float | None = 0.25,
    gamma: float = 2.0,
    reduction: str = "none",
) -> Tensor:
    r"""Compute the focal loss of sigmoid probabilities, as in RetinaNet.

    It is for PyTorch networks with one logit per output [1]_. `CNNClassifier` has one logit per
    class and takes `FocalLoss`.

    .. math:: L = -\alpha_t\,(1 - p_t)^\gamma \log p_t,

    with :math:`p_t = \sigma(z)` and :math:`\alpha_t = \alpha` where the target is 1, and
    :math:`1 - \sigma(z)` and :math:`1 - \alpha` where it is 0.

    Parameters
    ----------
    logits : Tensor of any shape
        Logits z.
    target : Tensor of the same shape
        0 or 1, of any dtype.
    alpha : float or None, default=0.25
        Weight of the ones, in [0, 1]. None: ones and zeros have weight 1. It is below one half by
        default, because the exponent already reduces the weight of the many easy zeros.
    gamma : float, default=2.0
        Focusing exponent, at least 0; 0 is the cross-entropy.
    reduction : {"none", "mean", "sum"}, default="none"
        The reduction of the result.

    Returns
    -------
    Tensor of the shape of `logits`, or () when reduced

    Raises
    ------
    ValueError
        If shapes differ, `target` is neither 0 nor 1, or `alpha`, `gamma` or `reduction` are not
        as above.

    References
    ----------
    .. [1] Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, arXiv:1708.02002.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import binary_focal_loss
    >>> binary_focal_loss(torch.zeros(2), torch.tensor([0, 1]), alpha=None)  # log(2) / 4
    tensor([0.1733, 0.1733])
    """
    if logits.shape != target.shape:
        raise ValueError(
            "`logits` and `target` must have one shape, here "
            f"{tuple(logits.shape)} and {tuple(target.shape)}."
        )
    if not ((target == 0) | (target == 1)).all():
        raise ValueError("`target` must hold 0 and 1 only.")
    gamma = _checked_gamma(gamma)
    if alpha is not None and not 0 <= alpha <= 1:
        raise ValueError(f"`alpha` must be None or in [0, 1]. Got {alpha!r}.")
    is_one = target == 1
    # The logit of the target's own side: both sides are one formula, and both are exact.
    own = torch.where(is_one, logits, -logits)
    values = torch.exp(gamma * F.logsigmoid(-own)) * -F.logsigmoid(own)
    if alpha is not None:
        values = values * torch.where(is_one, alpha, 1 - alpha).to(values.dtype)
    return reduce_loss(values, target, reduction=reduction)


def asymmetric_loss(
    logits: Tensor,
    target: Tensor,
    *,
    gamma_pos: float = 0.0,
    gamma_neg: float = 4.0,
    label_smoothing: float = 0.1,
    weight: Tensor | None = None,
    reduction: str = "none",
) -> Tensor:
    r"""Compute the asymmetric loss for one label per sample.

    It is a focal loss with one exponent for the true class and another for all others [1]_:

    .. math:: L = -w_y \sum_k t_k\,m_k \log p_k, \qquad
       m_k = \begin{cases} (1-p_k)^{\gamma_+} & k = y \\ p_k^{\gamma_-} & k \neq y
       \end{cases}, \qquad t_k = (1-\varepsilon)\,[k=y] + \varepsilon / C.

    The other classes have an effect by label smoothing alone; without it this is the focal loss.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Logits z, of at least two classes; p is their softmax.
    target : Tensor of shape (n,), integer
        Class indices y.
    gamma_pos, gamma_neg : float, default=0.0 and 4.0
        Focusing exponents of the true class and of the others, at least 0.
    label_smoothing : float, default=0.1
        Fraction :math:`\varepsilon` of the target's mass that is spread evenly over all C classes.
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
        If shapes, targets, exponents, `label_smoothing` or `reduction` are not as above.

    References
    ----------
    .. [1] Ridnik et al., Asymmetric Loss For Multi-Label Classification, ICCV 2021,
       arXiv:2009.14119; its form for a single label.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import asymmetric_loss
    >>> asymmetric_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))
    tensor([0.6607])
    """
    target = class_indices(logits, target)
    gamma_pos = _checked_gamma(gamma_pos, "gamma_pos")
    gamma_neg = _checked_gamma(gamma_neg, "gamma_neg")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"`label_smoothing` must be in [0, 1]. Got {label_smoothing!r}.")
    spread = label_smoothing / logits.shape[1]
    own = focal_loss(logits, target, gamma=gamma_pos)
    values = (1 - label_smoothing + spread) * own
    if spread:
        log_p = F.log_softmax(logits, dim=1)
        terms = -torch.exp(gamma_neg * log_p) * log_p
        values = values + spread * terms.scatter(1, target[:, None], 0.0).sum(dim=1)
    return reduce_loss(values, target, weight=weight, reduction=reduction)


def focal_posterior_logits(logits, *, gamma):
    r"""Map the logits of a network trained by the focal loss to log-posteriors.

    The focal loss is not proper: its minimiser q is less confident than the posterior :math:`\eta`.
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
    log_rest = log_complement(logits)
    log_surprise = torch.log(-log_q.clamp_max(-1e-30))
    # As in the complement, the largest class takes the sum of the others: its -log q is what
    # softplus gives without cancelling.
    top = logits.argmax(dim=1, keepdim=True)
    against = _log_odds_against(logits, top.squeeze(1))[:, None]
    # Far below zero softplus(a) = exp(a), and the logarithm undoes it.
    top_surprise = torch.where(against < -30, against, torch.log(F.softplus(against)))
    log_surprise = log_surprise.scatter(1, top, top_surprise)
    # v = q / ((1-q)^(gamma-1) * [(1-q) + gamma * q * (-log q)]), every factor in logs.
    bracket = torch.logaddexp(log_rest, math.log(gamma) + log_q + log_surprise)
    return log_q - (gamma - 1) * log_rest - bracket


def log_complement(logits):
    """Return log(1 - softmax) of every class, which is exact for any confidence.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)

    Returns
    -------
    Tensor of shape (n, n_classes)
    """
    # log1p serves probabilities up to 1/2; for the one class that may exceed it, the others are
    # summed.
    rest = torch.log1p(-torch.softmax(logits, dim=1).clamp_max(0.5))
    top = logits.argmax(dim=1, keepdim=True)
    against = _log_odds_against(logits, top.squeeze(1))[:, None]
    return rest.scatter(1, top, -F.softplus(-against))


def _log_odds_against(logits, target):
    """Return log((1 - p_y) / p_y) of one class per sample, of shape (n,)."""
    if logits.shape[1] < 2:
        raise ValueError("The focal loss needs the logits of at least two classes. Got one.")
    own = target[:, None]
    others = logits.scatter(1, own, -torch.inf)
    return torch.logsumexp(others, dim=1) - logits.gather(1, own).squeeze(1)


def _checked_gamma(gamma, name="gamma"):
    """Return gamma as a Python number: that of an unsigned type of NumPy has no negative."""
    if not 0 <= gamma < math.inf:
        raise ValueError(f"`{name}` must be a finite number of at least 0. Got {gamma!r}.")
    return plain(gamma)


class FocalLoss(Loss):
    """Focal loss of softmax probabilities.

    Parameters
    ----------
    gamma : float, default=2.0
        Focusing exponent, at least 0; 0 is the cross-entropy.
    reduction : {"mean", "none", "sum"}, default="mean"
        The reduction of a call's result: the mean, the values themselves, or their sum.

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

    _parameter_constraints = {"gamma": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, gamma=2.0, *, reduction="mean"):
        super().__init__()
        self.gamma = gamma
        self.reduction = reduction

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits ``(n, n_classes)`` and class indices ``(n,)``."""
        return focal_loss(logits, target, gamma=self.gamma, reduction=self.reduction)

    def effective_logits(self, logits: Tensor) -> Tensor:
        """Map logits to log-posteriors by the closed form of `focal_posterior_logits`."""
        return focal_posterior_logits(logits, gamma=self.gamma)


class AsymmetricLoss(Loss):
    """Asymmetric loss for one label per sample.

    Parameters
    ----------
    gamma_pos, gamma_neg : float, default=0.0 and 4.0
        Focusing exponents of the true class and of the others, at least 0.
    label_smoothing : float, default=0.1
        Fraction of the target's mass that is spread evenly over all classes.
    reduction : {"mean", "none", "sum"}, default="mean"
        The reduction of a call's result: the mean, the values themselves, or their sum.

    See Also
    --------
    asymmetric_loss : The function, with its formula and source.

    Notes
    -----
    There is no closed form for the posterior, given the minimiser of the loss: calibrate its
    probabilities.

    Examples
    --------
    >>> import torch
    >>> from skimb.losses import AsymmetricLoss
    >>> AsymmetricLoss()(torch.zeros(3, 2), torch.tensor([0, 1, 1]))
    tensor(0.6607)
    """

    _parameter_constraints = {
        "gamma_pos": [Interval(Real, 0, None, closed="left")],
        "gamma_neg": [Interval(Real, 0, None, closed="left")],
        "label_smoothing": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(self, gamma_pos=0.0, *, gamma_neg=4.0, label_smoothing=0.1, reduction="mean"):
        super().__init__()
        self.gamma_pos = gamma_pos
        self.gamma_neg = gamma_neg
        self.label_smoothing = label_smoothing
        self.reduction = reduction

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits ``(n, n_classes)`` and class indices ``(n,)``."""
        return asymmetric_loss(logits, target, **self.get_params())
