"""VGG, adapted to the size of the image."""

import torch
from torch import Tensor, nn

__all__ = ["VGG"]


class VGG(nn.Module):
    """The convolutions of VGG16 [1]_ with batch norm, as many as the size of the image allows.

    There are blocks of 2, 2, 3, 3 and 3 convolutions with 64, 128, 256, 512 and 512 channels, each
    with a 2x2 pooling at its end, for as long as the map can be pooled; then the mean over the map,
    and one linear layer instead of the three of the paper, which held nine tenths of its weights.

    Parameters
    ----------
    in_channels : int
        Channels of the image.
    n_outputs : int
        Number of logits.
    image_shape : tuple of int
        ``(C, H, W)`` of the image.
    head : callable, default=nn.Linear
        It makes the last layer from the length of the embedding and the number of logits.

    References
    ----------
    .. [1] Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image
       Recognition, ICLR 2015, arXiv:1409.1556.

    Examples
    --------
    >>> import torch
    >>> from skimb.neural_network import VGG
    >>> net = VGG(1, 10, image_shape=(1, 28, 28))
    >>> net(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """

    blocks = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))

    def __init__(self, in_channels, n_outputs, *, image_shape, head=nn.Linear):
        super().__init__()
        _, height, width = image_shape
        layers = []
        for n_channels, depth in self.blocks:
            # A side of one pixel cannot be pooled; the first block is always there.
            if layers and max(height, width) < 2:
                break
            for _ in range(depth):
                layers += [
                    nn.Conv2d(in_channels, n_channels, 3, padding=1, bias=False),
                    nn.BatchNorm2d(n_channels),
                    nn.ReLU(),
                ]
                in_channels = n_channels
            pool = (2 if height > 1 else 1, 2 if width > 1 else 1)
            layers.append(nn.MaxPool2d(pool))
            height, width = height // pool[0], width // pool[1]
        self.features = nn.Sequential(*layers)
        self.head = head(in_channels, n_outputs)
        for module in self.features.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits ``(n, n_outputs)`` of images ``(n, C, H, W)``."""
        return self.head(torch.mean(self.features(x), dim=(2, 3)))
