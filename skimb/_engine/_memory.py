"""Steps on batches that do not fit in memory: their gradient is summed over smaller parts."""

import gc
import traceback
from typing import Any

import torch

from skimb._warnings import warn

__all__ = ["BatchParts", "is_out_of_memory", "too_large"]

#: What errors of torch say where memory is short. On CUDA most have a class of their own.
OUT_OF_MEMORY = (
    "can't allocate memory",
    "std::bad_alloc",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)

#: What oneDNN says where memory is short, but also of layers that it cannot run. In a step after
#: the trial, in which all layers have run, it can only be memory.
OF_ONEDNN = ("could not create a primitive", "could not create a memory object")


def is_out_of_memory(error):
    """Return whether an error says that memory is short, on the host or on a CUDA device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY)


def too_large(image_shape, device, reason):
    """Return the error for a training in which not even one sample fits.

    Parameters
    ----------
    image_shape : tuple of int
        ``(C, H, W)``.
    device : str or torch.device
        Where the network trains.
    reason : str
        The message of the error that was found.

    Returns
    -------
    MemoryError
    """
    elsewhere = (
        "or train on the CPU (device='cpu')"
        if torch.device(device).type == "cuda"
        else "or close what else uses the memory of this machine"
    )
    return MemoryError(
        f"A training step on a single image of shape (C, H, W) = {tuple(image_shape)} does not fit "
        f"in the memory of {device}. Give smaller images (`image_shape` for files), a smaller "
        f"network as `module` or in `module_params`, {elsewhere}. {reason.splitlines()[0]}"
    )


class BatchParts:
    """Compute the gradient of a batch, in parts where it does not fit in memory as a whole.

    The size that fits is kept for the rest of the training.

    Parameters
    ----------
    net : ImageNet
        The net that trains, which computes the gradient of a part and forgets a failed attempt.
    """

    def __init__(self, net):
        self.net = net
        self.size: Any = None
        self.has_warned = False

    def step(self, batch, whole):
        """Compute the gradient of a batch.

        Parameters
        ----------
        batch : (Tensor, tuple of Tensor)
            Images and labels, after the augmentation.
        whole : callable
            The step of skorch on a whole batch.

        Returns
        -------
        dict
            The loss and the outputs, as skorch's steps return them.

        Raises
        ------
        MemoryError
            If a single sample does not fit.
        """
        n_samples = len(batch[0])
        while True:
            try:
                if self.size is None or self.size >= n_samples:
                    return whole(batch)
                return self._in_parts(batch)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) and str(error) not in OF_ONEDNN:
                    raise
                # The frames of the attempt hold its tensors.
                traceback.clear_frames(error.__traceback__)
                reason = str(error) or type(error).__name__
            # Only after the handler is the error itself gone.
            self._forget()
            size = min(n_samples, self.size or n_samples)
            if size == 1:
                raise too_large(batch[0].shape[1:], self.net.device, reason)
            self.size = -(-size // 2)
            self.net.limit_blocks(self.size)

    def _in_parts(self, batch):
        """Sum the gradient over the parts, each weighted by its number of samples."""
        images, labels = batch
        n_samples = len(images)
        n_parts = -(-n_samples // self.size)
        if self.size > 1 and n_samples // n_parts == 1:
            # A batch norm cannot train on a single value.
            n_parts -= 1
        parts = zip(
            images.tensor_split(n_parts),
            zip(*(label.tensor_split(n_parts) for label in labels), strict=True),
            strict=True,
        )
        steps = [self.net.step_on_part(part, len(part[0]) / n_samples) for part in parts]
        self._warn(n_samples)
        return {
            "loss": sum(step["loss"] for step in steps),
            "y_pred": torch.cat([step["y_pred"] for step in steps]),
        }

    def _forget(self):
        self.net.forget_step()
        gc.collect()
        if torch.device(self.net.device).type == "cuda":
            torch.cuda.empty_cache()

    def _warn(self, n_samples):
        if self.has_warned:
            return
        self.has_warned = True
        warn(
            f"A batch of {n_samples} samples does not fit in memory. From now on the gradients of "
            f"batches are summed over parts of at most {self.size} samples. The steps stay the "
            "same, except that batch norm, dropout and losses that compare the samples of a batch "
            "(balanced_mse, `ranksim`) see only a part at a time. A smaller `batch_size` avoids it."
        )
