"""Batches of images with rows of a table beside them."""

from typing import Any

import torch
from torch.nn import functional as F

from skimb._networks import in_memory

__all__ = ["MixedBatch", "TableTensors", "joined"]


class TableTensors:
    """The rows of a table, as tensors.

    Parameters
    ----------
    table : EncodedTable
        The rows.
    device : torch.device, default=None
        Where they are; None: on the host.
    """

    def __init__(self, table, device=None):
        self.n_levels = table.n_levels
        self.numbers = torch.from_numpy(table.numbers).to(device)
        self.codes = torch.from_numpy(table.codes).to(device).long()

    def __getitem__(self, rows):
        """Return some rows as float32, with a one at the place of each category.

        A category that the training did not see has zeros everywhere.
        """
        codes = self.codes[rows]
        places = [
            # The first place is that of the code -1.
            F.one_hot(codes[:, column] + 1, n_levels + 1)[:, 1:].float()
            for column, n_levels in enumerate(self.n_levels)
        ]
        return torch.cat([self.numbers[rows], *places], dim=1)


class MixedBatch:
    """A batch of images, with a row of a table beside each sample.

    It has those methods of a tensor that the engine uses.

    Parameters
    ----------
    images : Tensor of shape (n, C, n_images * H, W)
        The images of each sample, one below the other.
    table : Tensor of shape (n, n_values), float32
        As `TableTensors` returns it.
    n_images : int
        Number of images of a sample.
    """

    def __init__(self, images, table, n_images):
        self.images, self.table, self.n_images = images, table, n_images

    def __len__(self):
        return len(self.images)

    @property
    def shape(self):
        """The shape of the images."""
        return self.images.shape

    @property
    def device(self):
        """Where the batch is."""
        return self.images.device

    def with_images(self, images):
        """Return a batch with other images beside the same rows."""
        return MixedBatch(images, self.table, self.n_images)

    def to(self, device, *, non_blocking=False):
        """Return the batch on a device."""
        images, table = (
            values.to(device, non_blocking=non_blocking) for values in (self.images, self.table)
        )
        return MixedBatch(images, table, self.n_images)

    def pin_memory(self):
        """Return the batch in memory from which a CUDA device copies by itself."""
        return MixedBatch(self.images.pin_memory(), self.table.pin_memory(), self.n_images)

    def split(self, n_samples) -> list[Any]:
        """Return parts of so many samples."""
        return self._parts(self.images.split(n_samples), self.table.split(n_samples))

    def tensor_split(self, n_parts) -> list[Any]:
        """Return so many parts of nearly equal size."""
        return self._parts(self.images.tensor_split(n_parts), self.table.tensor_split(n_parts))

    def _parts(self, images, tables):
        return [
            MixedBatch(part, rows, self.n_images) for part, rows in zip(images, tables, strict=True)
        ]

    def one_by_one(self):
        """Return the images of all samples, each by itself: (n * n_images, C, H, W)."""
        if self.n_images == 1:
            return self.images
        return self.images.unflatten(2, (self.n_images, -1)).movedim(2, 1).flatten(0, 1)

    def stacked(self, images):
        """Return the images of each sample one below the other, from the form of `one_by_one`.

        The result is in the layout of memory of the images.
        """
        if self.n_images == 1:
            return images
        is_last = images.is_contiguous(memory_format=torch.channels_last)
        stacked = images.unflatten(0, (-1, self.n_images)).movedim(1, 2).flatten(2, 3)
        layout = torch.channels_last if is_last else torch.contiguous_format
        return in_memory(stacked, layout)

    def mixed(self, images, partner, fraction):
        """Return a batch of mixed images, whose rows are mixed in the proportion of the labels.

        Parameters
        ----------
        images : Tensor
            The mixed images.
        partner : Tensor of shape (n,), int64
            The sample that each sample was mixed with.
        fraction : Tensor of shape (n,), float32
            The fraction of each sample's own label.

        Returns
        -------
        MixedBatch
        """
        part = fraction[:, None]
        table = part * self.table + (1 - part) * self.table[partner]
        return MixedBatch(images, table, self.n_images)


def joined(batches) -> Any:
    """Return batches one after the other, as one batch."""
    first = batches[0]
    if not isinstance(first, MixedBatch):
        return torch.cat(batches)
    images = torch.cat([batch.images for batch in batches])
    return MixedBatch(images, torch.cat([batch.table for batch in batches]), first.n_images)
