"""A small convolutional network that adapts to the size of the image."""

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["SimpleCNN"]


class SimpleCNN(nn.Module):
    """A small convolutional network that adapts to the size of the image.

    For images up to 32 pixels high or wide there are blocks of a 3x3 convolution, 2x2 max pooling,
    batch norm and ReLU, with 32, 64, 128 and 256 channels, until the map is at most 7 pixels high
    and wide; then there is one linear layer on the map. Pooling comes before the norm, which leaves
    a quarter of the work for the layers after it. A side of one pixel is not pooled, so the rows of
    a table, read as images of one line, work too.

    For larger images there are a strided convolution, after which a shorter side of 64 pixels or
    more has 32 to 63 pixels; three stages with 48, 96 and 192 channels, each with a 3x3
    convolution, 2x2 max pooling and a residual block [1]_; the mean over the map; and one linear
    layer.

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
    .. [1] He et al., Deep Residual Learning for Image Recognition, CVPR 2016, arXiv:1512.03385.

    Examples
    --------
    >>> import torch
    >>> from skimb.neural_network import SimpleCNN
    >>> net = SimpleCNN(1, 10, image_shape=(1, 28, 28))
    >>> net(torch.zeros(5, 1, 28, 28)).shape
    torch.Size([5, 10])
    """

    def __init__(self, in_channels, n_outputs, *, image_shape, head=nn.Linear):
        super().__init__()
        _, height, width = image_shape
        if min(height, width) <= 32:
            self.features = PlainBlocks(in_channels, image_shape=image_shape)
        else:
            self.features = ResidualStages(in_channels, image_shape=image_shape)
        self.head = head(self.features.n_features, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits ``(n, n_outputs)`` of images ``(n, C, H, W)``."""
        return self.head(self.features(x))


class PlainBlocks(nn.Module):
    """The features of small images: blocks of convolution, pooling and norm until the map is small.

    Parameters
    ----------
    in_channels : int
        Channels of the image.
    image_shape : tuple of int
        ``(C, H, W)`` of the image.
    """

    widths = (32, 64, 128, 256)
    smallest_map = 7

    def __init__(self, in_channels, *, image_shape):
        super().__init__()
        _, height, width = image_shape
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        self.pools = []
        for depth, n_channels in enumerate(self.widths):
            if depth >= 2 and max(height, width) <= self.smallest_map:
                break
            self.convolutions.append(_convolution(in_channels, n_channels))
            self.norms.append(nn.BatchNorm2d(n_channels))
            self.pools.append((2 if height > 1 else 1, 2 if width > 1 else 1))
            height, width = height // self.pools[-1][0], width // self.pools[-1][1]
            in_channels = n_channels
        # Larger images end in a larger map. It is averaged, so the head needs no more weights.
        self.map_shape = min(height, self.smallest_map), min(width, self.smallest_map)
        self.n_features = in_channels * self.map_shape[0] * self.map_shape[1]

    def forward(self, x: Tensor) -> Tensor:
        """Return the features ``(n, n_features)`` of images ``(n, C, H, W)``."""
        for convolution, norm, pool in zip(self.convolutions, self.norms, self.pools, strict=True):
            x = convolution(x)
            if pool != (1, 1):
                x = F.max_pool2d(x, pool)
            x = F.relu(norm(x))
        if tuple(x.shape[2:]) != self.map_shape:
            x = F.adaptive_avg_pool2d(x, self.map_shape)
        return x.flatten(1)


class ResidualStages(nn.Module):
    """The features of larger images: a strided stem, three residual stages, the mean of the map.

    Parameters
    ----------
    in_channels : int
        Channels of the image.
    image_shape : tuple of int
        ``(C, H, W)`` of the image.
    """

    stem_width = 24
    widths = (48, 96, 192)

    def __init__(self, in_channels, *, image_shape):
        super().__init__()
        # The largest power of two that leaves at least 32 pixels, so that a large photograph does
        # not cost more than 63 x 63 pixels; it is at least 2.
        side = min(image_shape[1:])
        stride = max(2, 2 ** ((side // 32).bit_length() - 1))
        self.stem = nn.Sequential(
            nn.Conv2d(
                in_channels,
                self.stem_width,
                2 * stride - 1,
                stride=stride,
                padding=stride - 1,
                bias=False,
            ),
            nn.BatchNorm2d(self.stem_width),
            nn.ReLU(),
        )
        n_channels, stages = self.stem_width, []
        for width in self.widths:
            stages += [
                _convolution(n_channels, width),
                # A stride instead of the pooling would be cheaper by a third, but learns more
                # slowly.
                nn.MaxPool2d(2),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                ResidualBlock(width),
            ]
            n_channels = width
        self.stages = nn.Sequential(*stages)
        self.n_features = n_channels

    def forward(self, x: Tensor) -> Tensor:
        """Return the features ``(n, n_features)`` of images ``(n, C, H, W)``."""
        return self.stages(self.stem(x)).mean((2, 3))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut; at first only the shortcut has an effect.

    Parameters
    ----------
    n_channels : int
        Channels in and out.
    """

    def __init__(self, n_channels):
        super().__init__()
        last_norm = nn.BatchNorm2d(n_channels)
        nn.init.zeros_(last_norm.weight)
        self.residual = nn.Sequential(
            _convolution(n_channels, n_channels),
            nn.BatchNorm2d(n_channels),
            nn.ReLU(),
            _convolution(n_channels, n_channels),
            last_norm,
        )

    def forward(self, x):
        """Return maps of the shape of ``x``."""
        return F.relu(x + self.residual(x))


def _convolution(n_in, n_out):
    # It has no bias, because the norm after it has one.
    return nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)
