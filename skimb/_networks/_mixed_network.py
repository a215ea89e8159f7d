"""A network of images beside a table: the embedding of images and that of the other columns."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from skimb._networks._linear import CosineLinear
from skimb._networks._memory_layout import drawn_for
from skimb._networks._probes import last_linear

__all__ = ["MixedNetwork", "TableNetwork", "TableShape", "beside_table"]

#: Standard deviation of the values that stand for a category before the training. They are small,
#: so that a rare category says little.
SCALE_OF_EMBEDDING = 0.05


@dataclass(frozen=True)
class TableShape:
    """The images and columns of a sample, and the options of the part that reads the columns.

    Parameters
    ----------
    n_images : int
        Number of images of a sample.
    n_numbers : int
        Number of numeric values, with indicators of missing ones.
    n_levels : tuple of int
        Number of categories of each categorical column.
    pooling : {"mean", "concat"}
        How the embeddings of several images of a sample join.
    width, depth, dropout
        The layers on the columns.
    embedding : int or "auto"
        Length of the embedding of a category.
    """

    n_images: int
    n_numbers: int
    n_levels: tuple[int, ...]
    pooling: str = "mean"
    width: int = 64
    depth: int = 1
    dropout: float = 0.0
    embedding: Any = "auto"

    @property
    def n_values(self):
        """Number of values in a row of the table, with one for each category."""
        return self.n_numbers + sum(self.n_levels)

    def length_of_embedding(self, n_levels):
        """Return the length of the embedding of a column of so many categories."""
        return _length_of_embedding(n_levels) if self.embedding == "auto" else self.embedding


class TableNetwork(nn.Module):
    """The part of a network that reads the columns of a table.

    Each categorical column has an embedding, which is learned. The embeddings and the numbers pass
    through layers with ReLU. A category that the training did not see has an embedding of zeros.

    Parameters
    ----------
    shape : TableShape

    Examples
    --------
    >>> import torch
    >>> from skimb._networks import TableNetwork, TableShape
    >>> table = TableNetwork(TableShape(n_images=1, n_numbers=2, n_levels=(3, 2), width=8))
    >>> table(torch.zeros(5, 7)).shape
    torch.Size([5, 8])
    """

    def __init__(self, shape):
        super().__init__()
        self.n_values = shape.n_values
        self.sizes = [shape.n_numbers, *shape.n_levels]
        self.embeddings = nn.ModuleList()
        width = shape.n_numbers
        for n_levels in shape.n_levels:
            length = shape.length_of_embedding(n_levels)
            embedding = nn.Linear(n_levels, length, bias=False)
            nn.init.normal_(embedding.weight, std=SCALE_OF_EMBEDDING)
            self.embeddings.append(embedding)
            width += length
        layers = []
        for _ in range(shape.depth if width else 0):
            layers += [nn.Linear(width, shape.width), nn.ReLU()]
            layers += [nn.Dropout(shape.dropout)] if shape.dropout else []
            width = shape.width
        self.layers = nn.Sequential(*layers)
        self.n_features = width

    def forward(self, table):
        """Return the embedding ``(n, n_features)`` of rows ``(n, n_values)``.

        A row has its numbers, and for each categorical column a one at the place of its category.
        """
        numbers, *categories = table.split(self.sizes, dim=1)
        embedded = [
            embed(values) for embed, values in zip(self.embeddings, categories, strict=True)
        ]
        return self.layers(torch.cat([numbers, *embedded], dim=1))


def _length_of_embedding(n_levels):
    """Return the length of an embedding: the rule of fastai."""
    return min(600, round(1.6 * n_levels**0.56)) if n_levels else 1


class MixedNetwork(nn.Module):
    """A network that reads one or more images a sample, and the other columns of a table.

    Parameters
    ----------
    features : nn.Module
        The network of one image, up to its embedding ``(n, d)``.
    table : TableNetwork
        The network of the other columns.
    head : nn.Module
        The last layer, from both embeddings to the logits.
    image_shape : tuple of int
        ``(C, H, W)`` of one image.
    shape : TableShape
        The images and columns of a sample.
    """

    def __init__(self, features, table, head, *, image_shape, shape):
        super().__init__()
        self.features, self.table, self.head = features, table, head
        self.image_shape, self.shape = image_shape, shape

    def forward(self, images, table=None):
        """Return logits.

        Parameters
        ----------
        images : Tensor of shape (n, C, n_images * H, W)
            The images of each sample, one below the other. A single image (n, C, H, W) stands for
            all of them, and no table for average numbers: so the network can be probed by images.
        table : Tensor of shape (n, n_values), default=None
            As in `TableNetwork`.

        Returns
        -------
        Tensor of shape (n, n_outputs)
        """
        return self.head(self.embed(images, table))

    def embed(self, images, table=None):
        """Return the values ``(n, d)`` that the head reads."""
        height, n_samples = self.image_shape[1], len(images)
        n_found = images.shape[2] // height
        if n_found > 1:
            images = images.unflatten(2, (n_found, height)).movedim(2, 1).flatten(0, 1)
        embedded = self.features(images).flatten(1)
        if n_found > 1:
            embedded = embedded.unflatten(0, (n_samples, n_found))
            embedded = embedded.mean(1) if self.shape.pooling == "mean" else embedded.flatten(1)
        elif self.shape.pooling == "concat":
            embedded = embedded.repeat(1, self.shape.n_images)
        if table is None:
            table = embedded.new_zeros(n_samples, self.table.n_values)
        return torch.cat([embedded, self.table(table)], dim=1)


def beside_table(net, shape, *, image_shape, device):
    """Return a network of images that reads a table too, made of a network of images alone.

    Its head is as it was for the images, and gets further inputs for the table.

    Parameters
    ----------
    net : nn.Module
        A network that ends in a linear layer, on the device.
    shape : TableShape
        What the table is like.
    image_shape : tuple of int
        ``(C, H, W)``.
    device : torch.device
        The device of the network.

    Returns
    -------
    MixedNetwork

    Raises
    ------
    ValueError
        If the network does not end in a linear layer.
    """
    net.eval()
    head = last_linear(net, image_shape, device)
    name = next(name for name, part in net.named_modules() if part is head)
    read = []
    handle = head.register_forward_hook(lambda layer, given, made: read.append((given[0], made)))
    with torch.no_grad():
        made = net(torch.zeros(2, *image_shape, device=device, dtype=torch.float32))
    handle.remove()
    if not name or len(read) != 1 or made is not read[0][1] or read[0][0].ndim != 2:
        raise ValueError(
            f"With `image_column`, the other columns join the values that the last linear layer "
            f"reads, but the network {type(net).__name__} does more after this layer, or runs it "
            "more than once. Let the network end in one nn.Linear."
        )
    net.set_submodule(name, nn.Identity())
    n_before = head.in_features * (shape.n_images if shape.pooling == "concat" else 1)
    kind = CosineLinear if isinstance(head, CosineLinear) else nn.Linear
    with drawn_for(device):
        table = TableNetwork(shape)
        joint = kind(n_before + table.n_features, head.out_features)
    with torch.no_grad():
        copies = n_before // head.in_features
        joint.weight[:, :n_before] = head.weight.repeat(1, copies) / copies
        if head.bias is not None and joint.bias is not None:
            joint.bias.copy_(head.bias)
    mixed = MixedNetwork(net, table, joint, image_shape=image_shape, shape=shape)
    return mixed.to(device=device, dtype=torch.float32)
