"""RankSim inside a training: the inputs of a layer are to have the ranks of the target."""

from skimb.losses import ranksim_loss

__all__ = ["RankSimilarity"]


class RankSimilarity:
    """Add `ranksim_loss` of the inputs of a layer to the loss of each training batch.

    Parameters
    ----------
    layer : nn.Linear
        The last layer of the network.
    strength : float
        The factor of the mean over the samples.
    """

    def __init__(self, layer, strength):
        self.strength = strength
        self._features = None
        self._handle = layer.register_forward_pre_hook(self._keep)

    def __deepcopy__(self, memo):
        # A copy of the network has the hook too, but nothing would use the features that it keeps.
        idle = object.__new__(type(self))
        idle.strength, idle._features, idle._handle = self.strength, None, None
        return idle

    def _keep(self, layer, inputs):
        if self._handle is not None:
            self._features = inputs[0].flatten(1)

    def __call__(self, labels):
        """Return the term that is added, for the batch that the layer has just read.

        Parameters
        ----------
        labels : tuple of Tensor of shape (n,)
            As `Augmentation` returns them; for mixed samples the target is mixed too.

        Returns
        -------
        Tensor of shape ()
        """
        target, _, *partner = labels
        if partner:
            other, _, fraction = partner
            target = fraction * target + (1 - fraction) * other
        features, self._features = self._features, None
        return self.strength * ranksim_loss(features, target, reduction="mean")

    def forget(self):
        """Forget the batch that the layer has read last."""
        self._features = None

    def detach(self):
        """Remove the hook from the layer."""
        self._handle.remove()
        self.forget()
