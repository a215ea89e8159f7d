"""Networks by name, and the check of a user's own."""

import copy
import threading

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from skimb._process import exclusive
from skimb.neural_network._backbones import VGG, CosineLinear, ResNet
from skimb.neural_network._pretrained import PretrainedBackbone

__all__ = [
    "SimpleCNN",
    "build_module",
    "count_multiply_adds",
    "in_memory",
    "last_linear",
    "lay_out",
    "run_order",
]


class SimpleCNN(nn.Module):
    """A small convolutional network that fits itself to the size of the image.

    Up to 32 pixels high or wide: blocks of a 3x3 convolution, 2x2 max pooling, batch norm and ReLU
    (pooling first: a quarter of the work for what follows), of 32, 64, 128, 256 channels, until
    the map is at most 7 pixels high and wide; then one linear layer on the map. A side of one
    pixel is not pooled, so rows of a table, read as images of one line, work too.

    Larger images: a strided convolution that leaves 32 to 63 pixels of a shorter side from 64 on;
    three stages of 48, 96, 192 channels, each a 3x3 convolution, 2x2 max pooling and a residual
    block [1]_; the mean over the map; one linear layer.

    Parameters
    ----------
    in_channels : int
        Channels of the image.
    n_outputs : int
        Number of logits.
    image_shape : tuple of int
        ``(C, H, W)`` of the image.
    head : callable, default=nn.Linear
        Makes the last layer, from the length of the embedding and the number of logits.

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

    def forward(self, x):
        """Return the logits ``(n, n_outputs)`` of images ``(n, C, H, W)``."""
        return self.head(self.features(x))


class PlainBlocks(nn.Module):
    """The features of small images: convolution, pooling, norm, until the map is small.

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
        # Larger images end in a larger map: averaged, it costs the head no more weights.
        self.map_shape = min(height, self.smallest_map), min(width, self.smallest_map)
        self.n_features = in_channels * self.map_shape[0] * self.map_shape[1]

    def forward(self, x):
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
        # The largest power of two that leaves 32 pixels, so that a large photograph does not cost
        # more than 63 x 63 pixels do, and at least 2.
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
                # A stride instead of the pooling would be cheaper by a third, and learns slower.
                nn.MaxPool2d(2),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                ResidualBlock(width),
            ]
            n_channels = width
        self.stages = nn.Sequential(*stages)
        self.n_features = n_channels

    def forward(self, x):
        """Return the features ``(n, n_features)`` of images ``(n, C, H, W)``."""
        return self.stages(self.stem(x)).mean((2, 3))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; it begins as the shortcut alone.

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
    # No bias: the norm that follows has one.
    return nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)


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
        Makes the layer, from the number of pixels and the number of logits.
    """

    def __init__(self, in_channels, n_outputs, *, image_shape, head=nn.Linear):
        super().__init__()
        _, height, width = image_shape
        self.head = head(in_channels * height * width, n_outputs)

    def forward(self, x):
        """Return the logits ``(n, n_outputs)`` of images ``(n, C, H, W)``."""
        return self.head(x.flatten(1))


class WithHead(nn.Module):
    """A network that embeds, and a head that reads the embedding.

    Parameters
    ----------
    features, head : nn.Module
        Images to embeddings, and these to logits.
    """

    def __init__(self, features, head):
        super().__init__()
        self.features, self.head = features, head

    def forward(self, x):
        """Return the logits ``(n, n_outputs)`` of images ``(n, C, H, W)``."""
        return self.head(self.features(x))


#: Names that `module` may have; each is called as ``(in_channels, n_outputs, image_shape=...)``.
MODULES = {"simple_cnn": SimpleCNN, "resnet": ResNet, "vgg": VGG, "linear": LinearModel}


def build_module(module, *, image_shape, n_outputs, prior, device, cosine_head=False):
    """Make the network and try it on zeros, before any training.

    A `PretrainedBackbone` gets a linear layer on its embedding.

    Parameters
    ----------
    module : str, nn.Module or callable
        A name of `MODULES`; an instance, which is copied with its weights; or a callable
        ``(in_channels, n_outputs) -> nn.Module``.
    image_shape : tuple of int
        ``(C, H, W)``.
    n_outputs : int
        Number of classes, or 1 for a continuous target.
    prior : ndarray of shape (n_outputs,) or None
        The class prior that training will show. A network built by name starts from it: its first
        steps need not go into learning how rare a class is. None: it starts from equal logits.
    device : torch.device
        Where the network shall lie.
    cosine_head : bool, default=False
        Whether the logits shall be cosines.

    Returns
    -------
    nn.Module
        In channels-last memory, which convolutions read fastest; contiguous where only that runs.

    Raises
    ------
    ValueError
        If the network cannot read such images, gives another number of outputs, or lacks the head
        that is wanted.
    """
    is_pretrained = isinstance(module, PretrainedBackbone)
    if isinstance(module, str) or is_pretrained:
        head = CosineLinear if cosine_head else nn.Linear
        if is_pretrained:
            net = WithHead(copy.deepcopy(module), head(module.n_features, n_outputs))
        else:
            net = MODULES[module](image_shape[0], n_outputs, image_shape=image_shape, head=head)
        if not cosine_head:
            log_prior = np.log(np.maximum(np.ones(n_outputs) if prior is None else prior, 1e-12))
            with torch.no_grad():
                net.head.bias.copy_(torch.from_numpy(log_prior - log_prior.mean()))
    elif isinstance(module, nn.Module):
        net = copy.deepcopy(module)
    else:
        net = module(image_shape[0], n_outputs)
        if not isinstance(net, nn.Module):
            raise ValueError(
                "`module` must be a name, an nn.Module or a callable (in_channels, n_outputs) that "
                f"returns one. It returned {type(net).__name__}."
            )
    name = module if isinstance(module, str) else type(net).__name__
    if cosine_head and not any(isinstance(layer, CosineLinear) for layer in net.modules()):
        raise ValueError(
            f"The loss reads cosines, but the network {name!r} has no CosineLinear layer. Let it "
            "end in skimb.neural_network.CosineLinear, or take a network by name."
        )
    # Images are float32, whatever torch's default dtype.
    net = net.to(device=device, dtype=torch.float32)
    lay_out(net, torch.channels_last)
    net.eval()
    try:
        output = _try_layouts(net, image_shape, device)
    except Exception as exc:
        raise ValueError(
            f"The network {name!r} cannot read a batch of images of shape (C, H, W) = "
            f"{image_shape}: {exc}"
        ) from exc
    shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    if shape != (2, n_outputs):
        wanted = "y is continuous: it must give (2, 1), one number an image"
        if n_outputs > 1:
            wanted = (
                f"y has {n_outputs} classes: it must give (2, {n_outputs}), one logit a class (two "
                "for two classes)"
            )
        raise ValueError(
            f"The network {name!r} gives {shape} for a batch of 2 images, but {wanted}. "
            f"Build it with n_outputs={n_outputs}."
        )
    if not any(parameter.requires_grad for parameter in net.parameters()):
        raise ValueError(
            f"All parameters of the network {name!r} are frozen: there is nothing to train. Let "
            "one of them require gradients."
        )
    # Whatever mode an instance came in (a pretrained one is in evaluation mode): now it trains.
    return net.train()


def _try_layouts(net, image_shape, device):
    """Return what a network gives for zeros; where ``view`` needs them so, its weights move."""
    zeros = torch.zeros(2, *image_shape, device=device, dtype=torch.float32)
    with torch.no_grad():
        try:
            return net(zeros)
        except RuntimeError:
            lay_out(net, torch.contiguous_format)
            return net(zeros)


def lay_out(net, memory_format):
    """Lay the weights of convolutions out in memory, which decides how their maps lie.

    Parameters
    ----------
    net : nn.Module
        The network.
    memory_format : torch.memory_format
        `torch.channels_last` or `torch.contiguous_format`.
    """
    for parameter in net.parameters():
        if parameter.ndim == 4:
            parameter.data = in_memory(parameter.data, memory_format)


def in_memory(images, memory_format):
    """Return a tensor (n, C, H, W) laid out so.

    An axis of length one may have any stride, and layers look at strides: a contiguous tensor gets
    the usual ones, by a copy.
    """
    if memory_format == torch.contiguous_format:
        return images.clone(memory_format=memory_format)
    return images.contiguous(memory_format=memory_format)


def count_multiply_adds(net, image_shape, device):
    """Count the multiply-adds of one image, forward only.

    Parameters
    ----------
    net : nn.Module
        The network, in training mode; its running statistics are not touched.
    image_shape : tuple of int
        ``(C, H, W)``.
    device : torch.device
        Where the network lies.

    Returns
    -------
    int
    """
    net.eval()
    with exclusive(), torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(torch.zeros(1, *image_shape, device=device, dtype=torch.float32))
    net.train()
    return counter.get_total_flops() // 2


def run_order(net, modules, image_shape, device):
    """Return which modules of a network run when it reads an image, each time in turn.

    Parameters
    ----------
    net : nn.Module
        The network, in evaluation mode.
    modules : iterable of nn.Module
        Those that are asked about.
    image_shape : tuple of int
        ``(C, H, W)``.
    device : torch.device
        Where the network lies.

    Returns
    -------
    list of nn.Module
    """
    run, thread = [], threading.get_ident()

    def note(module, inputs):
        # Clones of an estimator may share the network: what another thread runs is not ours.
        if threading.get_ident() == thread:
            run.append(module)

    handles = [module.register_forward_pre_hook(note) for module in modules]
    try:
        # A network may draw from torch's generator, which another thread may have seeded.
        with exclusive(), torch.no_grad():
            net(torch.zeros(1, *image_shape, device=device, dtype=torch.float32))
    finally:
        for handle in handles:
            handle.remove()
    return run


def last_linear(net, image_shape, device):
    """Find the linear layer that a network runs last: the head, whose input is the embedding.

    Parameters
    ----------
    net : nn.Module
        The network, in evaluation mode.
    image_shape : tuple of int
        ``(C, H, W)``.
    device : torch.device
        Where the network lies.

    Returns
    -------
    nn.Linear

    Raises
    ------
    ValueError
        If there is none.
    """
    linear = [layer for layer in net.modules() if isinstance(layer, nn.Linear)]
    run = run_order(net, linear, image_shape, device)
    if not run:
        raise ValueError(
            f"{type(net).__name__} runs no nn.Linear layer, so it has no penultimate layer to "
            "embed by. Let the network end in one."
        )
    return run[-1]
