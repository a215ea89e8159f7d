"""The weighted loss of a batch, for a network that trains alone."""

from torch import nn

__all__ = ["WeightedLoss"]


class WeightedLoss(nn.Module):
    """Weight the samples of a loss and take their mean.

    Networks that train together weight their losses in `skimb._engine._stacked`. Mixed samples have
    two labels, each with its weight and its fraction.

    Parameters
    ----------
    loss : callable
        A function of ``(logits, target)`` that returns one value per sample, or a scalar if all
        weights are 1.
    """

    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def forward(self, logits, labels):
        """Return the weighted mean of the loss over a batch.

        Parameters
        ----------
        logits : Tensor of shape (n, n_classes)
        labels : tuple of Tensor of shape (n,)
            As `Augmentation` returns them.

        Returns
        -------
        Tensor of shape ()
        """
        target, weight, *partner = labels
        if target.is_floating_point():
            # With a continuous target there is one number per sample, not one per class.
            logits = logits[:, 0]
        values = self.loss(logits, target)
        if values.ndim == 0:
            return values
        values = values * weight
        if partner:
            target, weight, fraction = partner
            values = fraction * values + (1 - fraction) * self.loss(logits, target) * weight
        return values.mean()
