"""Images, targets and sample weights as the training reads them, in whole batches."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from skimb._engine._mixed_batch import MixedBatch, TableTensors
from skimb._image_source import ImageSource, as_source

__all__ = ["BatchIterator", "Part", "dataset_of", "few_samples"]


@dataclass
class TableBeside:
    """The rows of a table beside the images of a data set.

    Parameters
    ----------
    rows : TableTensors
        The rows of a table.
    n_images : int
        Number of images of a sample.
    """

    rows: TableTensors
    n_images: int

    @classmethod
    def of(cls, images, device=None):
        """Return the rows beside the images of a source, or None where there are none."""
        if images.table is None or (images.n_images == 1 and not images.table.width):
            return None
        return cls(TableTensors(images.table, device), images.n_images)


def _batch_of(images, rows, beside):
    """Return a batch in the form that networks read, from images (n, H, W, C)."""
    images = images.permute(0, 3, 1, 2)
    return images if beside is None else MixedBatch(images, beside.rows[rows], beside.n_images)


class ImageTensors(Dataset):
    """Images in memory with targets and weights, all of them on the device.

    Parameters
    ----------
    images : Tensor of shape (n, H, W, C), uint8 or float32
        The images, with channels last in memory, so a batch is channels-last without a copy.
    target : Tensor of shape (n,), int64 or float32
        Class indices, or values of a continuous target.
    weight : Tensor of shape (n,), float32
        Sample weights.
    beside : TableBeside, default=None
        The rows of a table beside the images.
    """

    is_in_memory = True

    def __init__(self, images, target, weight, beside=None):
        self.images, self.target, self.weight = images, target, weight
        self.beside = beside

    @property
    def shape(self):
        """The shape of the images, (n, H, W, C)."""
        return tuple(self.images.shape)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, rows):
        images = _batch_of(self.images[rows], rows, self.beside)
        return images, (self.target[rows], self.weight[rows])

    def reweight(self, weight):
        """Replace the sample weights by an ndarray of shape (n,)."""
        self.weight = torch.from_numpy(weight.astype(np.float32)).to(self.weight.device)


class ImageBatches(Dataset):
    """Images with targets and weights; a batch is read from its source when it is asked for.

    Parameters
    ----------
    images : ImageSource
        The images.
    target : ndarray of shape (n,), int64 or float32
        Class indices, or values of a continuous target.
    weight : ndarray of shape (n,), float32
        Sample weights.
    beside : TableBeside, default=None
        The rows of a table beside the images.
    device : torch.device, default=None
        The device that `BatchIterator` moves batches to ahead; None: the network moves them.
    """

    is_in_memory = False

    def __init__(self, images, target, weight, beside=None, device=None):
        self.images, self.target, self.weight = images, target, weight
        self.beside, self.device = beside, device

    @property
    def shape(self):
        """The shape of the images, (n, H, W, C)."""
        return tuple(self.images.shape)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, rows):
        images = self.images.read(rows)
        if images.dtype == np.uint16:
            # torch has few operations on uint16; float32 holds all its values.
            images = images.astype(np.float32)
        # A source may return read-only memory, but torch needs writable memory.
        images = np.require(images, requirements=["C", "W"])
        images = _batch_of(torch.from_numpy(_plain_strides(images)), rows, self.beside)
        return images, (torch.from_numpy(self.target[rows]), torch.from_numpy(self.weight[rows]))

    def reweight(self, weight):
        """Replace the sample weights by an ndarray of shape (n,)."""
        self.weight = weight.astype(np.float32)


def _plain_strides(images):
    """Return contiguous images with the strides that follow from their shape."""
    # An axis of length one may have any stride, and convolutions choose their kernel by strides.
    return images.reshape(-1).reshape(images.shape)


class BatchIterator:
    """Iterate over whole batches, without reading and collating single samples.

    Parameters
    ----------
    dataset : ImageTensors or ImageBatches
        The samples.
    batch_size : int
        Number of samples in a batch, where there is no plan.
    plan : BatchPlan, default=None
        The samples of each batch; None: all samples in order.
    num_workers : int, default=0
        Number of processes that read batches ahead, two each, where images are not in memory.
    gives_rows : bool, default=False
        Whether a batch of a plan holds the rows of its samples alone, for images in memory.
    """

    def __init__(self, dataset, batch_size, plan=None, num_workers=0, *, gives_rows=False):
        self.dataset, self.batch_size, self.plan = dataset, batch_size, plan
        self.num_workers, self.gives_rows = num_workers, gives_rows

    def __iter__(self) -> Any:
        if not self.dataset.is_in_memory:
            everything = np.arange(len(self.dataset))
            batches = (
                np.split(everything, everything[self.batch_size :: self.batch_size])
                if self.plan is None
                else self.plan.epoch()
            )
            device = self.dataset.device
            is_streamed = device is not None and torch.device(device).type == "cuda"
            batches = DataLoader(
                self.dataset,
                batch_size=None,
                sampler=batches,
                # What lies in memory is not sent to other processes.
                num_workers=0 if self.dataset.images.is_in_memory else self.num_workers,
                # The loader gets its own generator, because it draws from one whatever the number
                # of workers.
                generator=torch.Generator().manual_seed(0),
                # Only from such memory a copy to the device runs beside the steps.
                pin_memory=is_streamed,
            )
            yield from one_ahead(batches, device) if is_streamed else batches
            return
        if self.plan is None:
            for start in range(0, len(self.dataset), self.batch_size):
                yield self.dataset[start : start + self.batch_size]
            return
        device = self.dataset.images.device
        batches = self.plan.epoch()
        rows = torch.from_numpy(np.concatenate(batches)).to(device)
        for batch in rows.split([len(batch) for batch in batches]):
            yield (batch,) if self.gives_rows else self.dataset[batch]


def one_ahead(batches, device):
    """Yield batches on a device, while the next one is read and on its way.

    Parameters
    ----------
    batches : iterable of (Tensor or MixedBatch, tuple of Tensor)
        Images with their target and weights, in pinned memory.
    device : torch.device

    Yields
    ------
    images, labels
    """
    before = None
    for images, labels in batches:
        moved = (
            images.to(device, non_blocking=True),
            tuple(label.to(device, non_blocking=True) for label in labels),
        )
        if before is not None:
            yield before
        before = moved
    if before is not None:
        yield before


def takes_too_much(n_bytes, device):
    """Tell whether images need more than half of the memory that is left on a device.

    The other half is for the network, its activations and the state of the optimiser.

    Parameters
    ----------
    n_bytes : int
        The size of all images.
    device : torch.device
        A CPU has room for whatever is in memory already.

    Returns
    -------
    bool
    """
    if torch.device(device).type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    # torch keeps memory that it does not use for tensors to come.
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return 2 * n_bytes > free + unused


@dataclass
class Part:
    """A part of the data: images, targets and weights.

    Parameters
    ----------
    images : ImageSource, or ndarray of shape (n, H, W, C), uint8 or float32
    target : ndarray of shape (n,), int or float64
        Class indices, or values of a continuous target.
    weight : ndarray of shape (n,), float64
    """

    images: Any
    target: Any
    weight: Any

    def __post_init__(self):
        if not isinstance(self.images, ImageSource):
            self.images = as_source(self.images)

    def take(self, rows):
        """Return the part of these samples, sorted and distinct; all samples need no copy."""
        if len(rows) == len(self.target):
            return self
        return Part(self.images[rows], self.target[rows], self.weight[rows])


def dataset_of(images, target=None, weight=None, device=None, *, whole=False):
    """Return images as a data set of the engine, each once and unchanged.

    Parameters
    ----------
    images : ImageSource, or ndarray of shape (n, H, W, C)
        The images.
    target : ndarray of shape (n,), default=None
        The target as the network sees it; None: there is no target.
    weight : ndarray of shape (n,), default=None
        Sample weights; None: all weights are 1.
    device : torch.device, default=None
        The device that images in memory are put on. None: they stay on the host, as in predictions,
        which move one batch at a time.
    whole : bool, default=False
        Whether images in memory are put together in any case, even if that takes a large copy.

    Returns
    -------
    ImageTensors; or ImageBatches for images that are not in memory, on a CPU for large arrays that
    would have to be copied, and on a CUDA device for arrays for which it has no room
    """
    if not isinstance(images, ImageSource):
        images = as_source(images)
    if target is None:
        target = np.zeros(len(images))
    weight = np.ones(len(target), np.float32) if weight is None else weight.astype(np.float32)
    dtype = np.float32 if np.issubdtype(target.dtype, np.floating) else np.int64
    target = np.ascontiguousarray(target, dtype=dtype)
    on_host = device is None or torch.device(device).type == "cpu"
    n_bytes = math.prod(images.shape) * np.dtype(images.dtype).itemsize
    is_split = images.is_gathered if on_host else takes_too_much(n_bytes, device)
    if not images.is_in_memory or (is_split and not whole):
        return ImageBatches(images, target, weight, TableBeside.of(images), device)
    # torch needs writable memory; only a read-only or strided array is copied.
    pixels = np.require(images.read(slice(None)), requirements=["C", "W"])
    tensors = _plain_strides(pixels), target, weight
    tensors = [torch.from_numpy(values).to(device) for values in tensors]
    return ImageTensors(*tensors, beside=TableBeside.of(images, device))


def few_samples(part, n_samples=16):
    """Return a few samples of a part, to check the outputs of the network.

    Parameters
    ----------
    part : Part
        The samples.
    n_samples : int, default=16
        The largest number of samples, which are taken from the whole part.

    Returns
    -------
    ImageTensors or ImageBatches
    """
    n_all = len(part.target)
    chosen = np.linspace(0, n_all - 1, min(n_samples, n_all)).astype(np.intp)
    return dataset_of(part.images.take(chosen))
