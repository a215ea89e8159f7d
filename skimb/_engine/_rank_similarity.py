"""RankSim inside a training: what a layer reads shall be ordered as the target is."""

from skimb.losses import ranksim_loss

__all__ = ["RankSimilarity"]


class RankSimilarity:
    """Add `ranksim_loss` of what a layer reads to the loss of each training batch.

    Parameters
    ----------
    layer : nn.Linear
        The last layer of the network.
    strength : float
        What the mean over the rows is multiplied by.
    """

    def __init__(self, layer, strength):
        self.strength = strength
        self._features = None
        self._handle = layer.register_forward_pre_hook(self._keep)

    def _keep(self, layer, inputs):
        self._features = inputs[0].flatten(1)

    def __call__(self, labels):
        """Return what is added, for the batch that the layer has just read.

        Parameters
        ----------
        labels : tuple of Tensor of shape (n,)
            As `Augmentation` returns them: of mixed rows the target is mixed too.

        Returns
        -------
        Tensor of shape ()
        """
        target, _, *partner = labels
        if partner:
            other, _, share = partner
            target = share * target + (1 - share) * other
        features, self._features = self._features, None
        return self.strength * ranksim_loss(features, target, reduction="mean")

    def detach(self):
        """Leave the layer as it was."""
        self._handle.remove()
        self._features = None
