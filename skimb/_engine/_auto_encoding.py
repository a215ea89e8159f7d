"""Train the auto-encoder of DeepSMOTE with the engine's epochs and schedule."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from skimb._engine._image_net import OF_ENGINE
from skimb._engine._net import Net
from skimb._engine._optimizers import optimizer_arguments
from skimb._engine._schedules import lr_callback

__all__ = ["train_auto_encoder"]


class PairedBatches(Dataset):
    """The steps of each epoch: a batch of all classes, and one of a single class.

    Parameters
    ----------
    draw : callable
        A function without arguments that returns an iterator over the pairs of the next epoch.
    n_samples : int
        Number of samples in an epoch.
    """

    def __init__(self, draw, n_samples):
        self.draw, self.n_samples = draw, n_samples

    def __len__(self):
        return self.n_samples

    def __iter__(self):
        for pair in self.draw():
            # The images are their own target.
            yield pair, pair


class ReconstructionLoss(nn.Module):
    """The sum of the mean squared errors of two batches."""

    def forward(self, made, wanted):
        """Return the sum of the errors of each batch."""
        return sum(F.mse_loss(one, other) for one, other in zip(made, wanted, strict=True))


class AutoEncoderNet(Net):
    """The net of an auto-encoder that reads pairs of batches."""

    def get_iterator(self, dataset, training=False):
        """Return the pairs of batches unchanged."""
        return dataset

    def infer(self, x, **fit_params):
        """Return the reconstructions of both batches; the codes of the second are detached."""
        batch, of_class = x
        with torch.no_grad():
            codes = self.module_.encode(of_class)
        return self.module_(batch), self.module_.decode(codes)


def train_auto_encoder(module, draw, *, n_samples, n_steps, n_epochs, lr, device):
    """Train an auto-encoder with Adam and a learning rate that falls to zero along a cosine.

    Parameters
    ----------
    module : nn.Module
        The auto-encoder, with methods ``encode`` and ``decode``, on the device.
    draw : callable
        A function without arguments that returns an iterator over the pairs of batches of the next
        epoch.
    n_samples, n_steps, n_epochs : int
        Number of samples and of steps in an epoch, and number of epochs.
    lr : float
        The learning rate at the start.
    device : torch.device
        The device of the module.

    Returns
    -------
    list of float
        The mean loss of each epoch.

    Raises
    ------
    DivergenceError
        If the loss of an epoch is not finite.
    """
    schedule = lr_callback(
        "cosine", lr=[lr], n_epochs=n_epochs, steps_per_epoch=n_steps, watches="train_loss"
    )
    net = AutoEncoderNet(
        module,
        ReconstructionLoss,
        lr=lr,
        max_epochs=n_epochs,
        train_split=None,
        callbacks=[(f"{OF_ENGINE}schedule", schedule)],
        device=device,
        verbose=0,
        **optimizer_arguments("adam", None, device),
    )
    net.partial_fit(PairedBatches(draw, n_samples))
    return net.history[:, "train_loss"]
