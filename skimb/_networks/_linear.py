"""Linear layers: as the head of a network, and as a whole network."""

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["CosineLinear", "LinearModel", "WithHead"]


class LinearModel(nn.Module):
    """One linear layer on all pixels of an image.

    Parameters
    ----------
    in_channels : int
        Channels of the image.
    n_outputs : int
        Number of logits.
    image_shape : tuple of int
        ``(C, H, W)`` of the image.
    head : callable, default=nn.Linear
        It makes the layer from the number of pixels and the number of logits.
    """

    def __init__(self, in_channels, n_outputs, *, image_shape, head=nn.Linear):
        super().__init__()
        _, height, width = image_shape
        self.head = head(in_channels * height * width, n_outputs)

    def forward(self, x):
        """Return the logits ``(n, n_outputs)`` of images ``(n, C, H, W)``."""
        return self.head(x.flatten(1))


class WithHead(nn.Module):
    """A network that computes embeddings, and a head that reads them.

    Parameters
    ----------
    features, head : nn.Module
        Modules from images to embeddings, and from embeddings to logits.
    """

    def __init__(self, features, head):
        super().__init__()
        self.features, self.head = features, head

    def forward(self, x):
        """Return the logits ``(n, n_outputs)`` of images ``(n, C, H, W)``."""
        return self.head(self.features(x))


class CosineLinear(nn.Linear):
    """The head of LDAM: cosines between an embedding and the weights of each class.

    Parameters
    ----------
    in_features : int
        Length of the embedding.
    out_features : int
        Number of classes.

    Examples
    --------
    >>> import torch
    >>> from skimb.neural_network import CosineLinear
    >>> cosines = CosineLinear(8, 3)(torch.randn(5, 8))
    >>> cosines.shape, bool((cosines.abs() <= 1).all())
    (torch.Size([5, 3]), True)
    """

    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return cosines ``(n, out_features)`` of embeddings ``(n, in_features)``."""
        return F.linear(F.normalize(x, dim=1), F.normalize(self.weight, dim=1))
