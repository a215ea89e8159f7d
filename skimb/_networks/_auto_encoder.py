"""A convolutional auto-encoder for images of any size."""

import numpy as np
from torch import nn

__all__ = ["AutoEncoder"]


class AutoEncoder(nn.Module):
    """A convolutional auto-encoder for images of any size with values in [-1, 1].

    Strided convolutions halve the image, at most four times, until its shorter side has at most 4
    pixels and its longer side at most 7; one linear layer makes the code. The decoder reverses
    these steps, with a nearest-neighbour enlargement and a convolution for each. It uses group
    norms, which work in the same way in training and in use.

    Parameters
    ----------
    image_shape : tuple of int
        ``(C, H, W)``.
    n_latent : int
        Length of a code.

    Examples
    --------
    >>> import torch
    >>> from skimb._networks._auto_encoder import AutoEncoder
    >>> net = AutoEncoder((1, 28, 28), 16)
    >>> codes = net.encode(torch.zeros(5, 1, 28, 28))
    >>> codes.shape, net.decode(codes).shape
    (torch.Size([5, 16]), torch.Size([5, 1, 28, 28]))
    """

    widths = (16, 32, 64, 128)

    def __init__(self, image_shape, n_latent):
        super().__init__()
        n_channels, *side = image_shape
        sides, layers, back = [tuple(side)], [], []
        before = n_channels
        for width in self.widths:
            if min(sides[-1]) <= 4 and max(sides[-1]) <= 7:
                break
            layers += _block(before, width, stride=2)
            back.append((width, before))
            sides.append(tuple(-(-length // 2) for length in sides[-1]))
            before = width
        if not back:
            layers += _block(before, self.widths[0], stride=1)
            back.append((self.widths[0], before))
            sides.append(sides[-1])
            before = self.widths[0]
        self.smallest = before, *sides[-1]
        n_values = int(np.prod(self.smallest))
        self.encoder = nn.Sequential(*layers, nn.Flatten(), nn.Linear(n_values, n_latent))
        self.unfold = nn.Linear(n_latent, n_values)
        ups: list[nn.Module] = [nn.ReLU()]
        for (width, after), size in zip(back[:0:-1], sides[-2:0:-1], strict=True):
            ups += [nn.Upsample(size=size), *_block(width, after, stride=1)]
        last = nn.Conv2d(back[0][0], n_channels, 3, padding=1)
        self.decoder = nn.Sequential(*ups, nn.Upsample(size=sides[0]), last, nn.Tanh())

    def encode(self, images):
        """Return the codes ``(m, n_latent)`` of images ``(m, C, H, W)``."""
        return self.encoder(images)

    def decode(self, codes):
        """Return the images of codes."""
        return self.decoder(self.unfold(codes).unflatten(1, self.smallest))

    def forward(self, images):
        """Return the reconstructions of images."""
        return self.decode(self.encode(images))


def _block(before, after, *, stride):
    return [
        nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
        nn.GroupNorm(8, after),
        nn.ReLU(),
    ]
