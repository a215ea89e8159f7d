"""Residual networks, adapted to the size of the image."""

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ResNet"]


class ResNet(nn.Module):
    """Residual network [1]_: 32 layers for images up to 32 pixels, 18 layers for larger ones.

    Both are networks of the paper. For images up to 32 pixels high or wide there are three stages
    of five blocks with 16, 32 and 64 channels, and the shortcuts have no weights. For larger images
    there are a 7x7 convolution and a pooling, after which the sides are a quarter as long, and then
    four stages of two blocks with 64, 128, 256 and 512 channels.

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
    >>> from skimb.neural_network import ResNet
    >>> net = ResNet(3, 10, image_shape=(3, 32, 32))
    >>> net(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    >>> sum(parameter.numel() for parameter in net.parameters())
    464154
    """

    def __init__(self, in_channels, n_outputs, *, image_shape, head=nn.Linear):
        super().__init__()
        is_small = min(image_shape[1:]) <= 32
        widths, depth = ((16, 32, 64), 5) if is_small else ((64, 128, 256, 512), 2)
        stem = nn.Conv2d(in_channels, widths[0], *(3, 1, 1) if is_small else (7, 2, 3), bias=False)
        layers = [stem, nn.BatchNorm2d(widths[0]), nn.ReLU()]
        if not is_small:
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
        n_channels = widths[0]
        for width in widths:
            for i in range(depth):
                stride = 2 if i == 0 and width > widths[0] else 1
                layers.append(BasicBlock(n_channels, width, stride, projects=not is_small))
                n_channels = width
        self.features = nn.Sequential(*layers)
        self.head = head(n_channels, n_outputs)
        for module in self.features.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits ``(n, n_outputs)`` of images ``(n, C, H, W)``."""
        return self.head(self.features(x).mean((2, 3)))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut.

    Parameters
    ----------
    n_in, n_out : int
        Channels.
    stride : int
        Stride of the first convolution.
    projects : bool
        Whether a shortcut between maps of different shapes is a 1x1 convolution. Otherwise it takes
        every second pixel and adds channels of zeros.
    """

    def __init__(self, n_in, n_out, stride, *, projects):
        super().__init__()
        self.first = nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(n_out)
        self.second = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(n_out)
        self.stride, self.n_new = stride, n_out - n_in
        self.projection = None
        if projects and (stride > 1 or n_in != n_out):
            self.projection = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride=stride, bias=False), nn.BatchNorm2d(n_out)
            )

    def forward(self, x):
        """Return maps ``(n, n_out, H / stride, W / stride)`` of maps ``(n, n_in, H, W)``."""
        made = F.relu(self.first_norm(self.first(x)))
        made = self.second_norm(self.second(made))
        if self.projection is not None:
            x = self.projection(x)
        elif self.stride > 1 or self.n_new:
            before = self.n_new // 2
            x = x[:, :, :: self.stride, :: self.stride]
            x = F.pad(x, (0, 0, 0, 0, before, self.n_new - before))
        return F.relu(made + x)
