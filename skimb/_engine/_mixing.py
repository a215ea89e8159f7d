"""Augmentations that mix the images of a batch, and their labels."""

from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from sklearn.base import BaseEstimator
from torch import Tensor

from skimb._params import Interval, check_parameters

__all__ = ["CutMix", "Mixup", "Remix"]


class Mixup(BaseEstimator):
    r"""Mix each image, and its label, with another of the batch.

    Image and label become :math:`\lambda a + (1 - \lambda) b` with :math:`\lambda \sim
    \mathrm{Beta}(\alpha, \alpha)`, drawn for each sample [1]_.

    Parameters
    ----------
    alpha : float, default=1.0
        Parameter of the Beta distribution. The smaller it is, the less is mixed.

    References
    ----------
    .. [1] Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018, arXiv:1710.09412.

    Examples
    --------
    >>> import torch
    >>> from skimb.neural_network import Mixup
    >>> images, target = torch.eye(4).reshape(4, 1, 2, 2), torch.arange(4)
    >>> mixed, partner, kept = Mixup(alpha=1.0).mix(images, target, counts=torch.ones(4))
    >>> torch.equal(mixed[0, 0], kept[0] * images[0, 0] + (1 - kept[0]) * images[partner[0], 0])
    True
    """

    _parameter_constraints: dict = {"alpha": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, *, alpha=1.0):
        self.alpha = alpha

    def mix(self, images: Tensor, target: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mix a batch.

        Parameters
        ----------
        images : Tensor of shape (n, C, H, W), float32
            Images.
        target : Tensor of shape (n,)
            Class indices.
        counts : Tensor of shape (n_classes,)
            Number of samples of each class in the training part.

        Returns
        -------
        images : Tensor of shape (n, C, H, W)
        partner : Tensor of shape (n,), int64
            The index in the batch of the image that each image was mixed with.
        fraction : Tensor of shape (n,), float32
            The fraction of each image's own label; the rest is the label of its partner.
        """
        check_parameters(self)
        partner = torch.randperm(len(images), device=images.device)
        fraction = _beta(self.alpha, len(images), images.device)
        part = fraction[:, None, None, None]
        return part * images + (1 - part) * images[partner], partner, fraction


class CutMix(BaseEstimator):
    r"""Paste a box of another image of the batch into each image, and mix the labels by area.

    The box covers a fraction :math:`1 - \lambda` of the image, with :math:`\lambda \sim
    \mathrm{Beta}(\alpha, \alpha)`, drawn for each sample. The box is cut at the border of the
    image, and the labels are mixed in proportion to the pixels that were pasted [1]_.

    Parameters
    ----------
    alpha : float, default=1.0
        Parameter of the Beta distribution.

    References
    ----------
    .. [1] Yun et al., CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
       Features, ICCV 2019, arXiv:1905.04899.

    Examples
    --------
    >>> import torch
    >>> from skimb.neural_network import CutMix
    >>> images = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1).expand(2, 1, 8, 8)
    >>> mixed, partner, kept = CutMix().mix(images, torch.arange(2), counts=torch.ones(2))
    >>> own = (mixed == images).float().mean((1, 2, 3))
    >>> torch.allclose(own, torch.where(partner == torch.arange(2), 1.0, kept))
    True
    """

    _parameter_constraints: dict = {"alpha": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, *, alpha=1.0):
        self.alpha = alpha

    def mix(self, images: Tensor, target: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mix a batch; see `Mixup.mix`.

        Parameters
        ----------
        images : Tensor of shape (n, C, H, W), float32
            Images.
        target : Tensor of shape (n,)
            Class indices.
        counts : Tensor of shape (n_classes,)
            Number of samples of each class in the training part.

        Returns
        -------
        images, partner, fraction : Tensor
            As returned by `Mixup.mix`.
        """
        check_parameters(self)
        n_images, _, height, width = images.shape
        partner = torch.randperm(n_images, device=images.device)
        side = (1 - _beta(self.alpha, n_images, images.device)).sqrt()
        rows = self._inside(height, side)[:, :, None]
        columns = self._inside(width, side)[:, None, :]
        is_pasted = (rows & columns)[:, None]
        fraction = 1 - is_pasted.float().mean((1, 2, 3))
        return torch.where(is_pasted, images[partner], images), partner, fraction

    @staticmethod
    def _inside(length, side):
        """Return which positions of an axis lie in the box of each image, of shape (n, length)."""
        center = (torch.rand(len(side), device=side.device) * length)[:, None]
        half = (side * length / 2)[:, None]
        place = torch.arange(length, device=side.device) + 0.5
        return (place - center).abs() < half


class Remix(BaseEstimator):
    r"""Mixup with labels that favour the rarer of the two classes.

    Images are mixed as in `Mixup`. If one class has at least `kappa` times as many samples as the
    other, and the fraction of its image is less than `tau`, the label is that of the rarer class
    alone [1]_: with :math:`n_a \ge \kappa n_b` samples and :math:`\lambda < \tau`, the fraction of
    the label of a is 0.

    Parameters
    ----------
    alpha : float, default=1.0
        Parameter of the Beta distribution.
    kappa : float, default=3.0
        How many times as many samples as the other class a class must have to give way.
    tau : float, default=0.5
        Fraction of the image below which the more frequent class gives way.

    References
    ----------
    .. [1] Chou et al., Remix: Rebalanced Mixup, ECCV 2020 Workshops, arXiv:2007.03943.

    Examples
    --------
    >>> import torch
    >>> from skimb.neural_network import Remix
    >>> n_own, n_partner = torch.tensor([500.0, 50.0]), torch.tensor([50.0, 500.0])
    >>> Remix().label_share(torch.tensor([0.3, 0.3]), n_own, n_partner)
    tensor([0.0000, 0.3000])
    """

    _parameter_constraints: dict = {
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "kappa": [Interval(Real, 1, None, closed="left")],
        "tau": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(self, *, alpha=1.0, kappa=3.0, tau=0.5):
        self.alpha = alpha
        self.kappa = kappa
        self.tau = tau

    def label_share(self, share: Tensor, n_own: Tensor, n_partner: Tensor) -> Tensor:
        """Return the fraction of each sample's own label, from the fraction of its image.

        Parameters
        ----------
        share : Tensor of shape (n,)
            The fraction of each image in the mixed one.
        n_own, n_partner : Tensor of shape (n,)
            Number of samples in the class of each image and in the class of its partner.

        Returns
        -------
        Tensor of shape (n,)
        """
        gives_way = (n_own >= self.kappa * n_partner) & (share < self.tau)
        takes_all = (n_partner >= self.kappa * n_own) & (1 - share < self.tau)
        return share.masked_fill(gives_way, 0.0).masked_fill(takes_all, 1.0)

    def mix(self, images: Tensor, target: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mix a batch; see `Mixup.mix`.

        Parameters
        ----------
        images : Tensor of shape (n, C, H, W), float32
            Images.
        target : Tensor of shape (n,)
            Class indices.
        counts : Tensor of shape (n_classes,)
            Number of samples of each class in the training part.

        Returns
        -------
        images, partner, fraction : Tensor
            As returned by `Mixup.mix`.
        """
        check_parameters(self)
        images, partner, fraction = Mixup(alpha=self.alpha).mix(images, target, counts)
        return images, partner, self.label_share(fraction, counts[target], counts[target[partner]])

    def label_shares(self, shares: NDArray[Any], counts: NDArray[Any]) -> NDArray[np.float64]:
        """Return the fraction of each class among the labels of mixed batches.

        Parameters
        ----------
        shares : ndarray of shape (n_classes,)
            Fraction of each class in the batches.
        counts : ndarray of shape (n_classes,)
            Number of samples of each class in the training part.

        Returns
        -------
        ndarray of shape (n_classes,)
        """
        # The mean fraction of the label of a in a pair (a, b), over lambda: 1/2, minus the loss
        # where a gives way, plus the gain where b does.
        lost = stats.beta.cdf(self.tau, self.alpha + 1, self.alpha) / 2
        own, other = counts[:, None], counts[None, :]
        mean = 0.5 - lost * (own >= self.kappa * other) + lost * (other >= self.kappa * own)
        return 2 * shares * (mean @ shares)


def _beta(alpha, n_samples, device):
    """Draw from a symmetric Beta distribution by torch's generator."""
    concentration = torch.full((n_samples,), float(alpha), device=device)
    # A check of its arguments would wait for the device.
    beta = torch.distributions.Beta(concentration, concentration, validate_args=False)
    return beta.sample()
