"""Which layers of a network train in an epoch, and how fast: to freeze and to slow down."""

from fnmatch import fnmatchcase
from numbers import Integral

__all__ = ["LayerPlan"]


class LayerPlan:
    """Which layers of a network train in an epoch, and how fast.

    skorch's `Freezer` stops gradients only: here the norms of frozen layers keep their statistics
    too, their dropout is off, and layers may join later.

    Parameters
    ----------
    network : nn.Module
        The network.
    groups : list of list of nn.Module
        Its layers, as `layer_groups` returns them.
    freeze : {"features", "gradual"}, int, list of str or None
        As in `CNNClassifier`.
    lr_decay : float or None
        As in `CNNClassifier`.
    n_epochs : int
        Number of epochs of the training.
    """

    def __init__(self, network, groups, *, freeze, lr_decay, n_epochs):
        n_below = len(groups) - 1
        is_number = isinstance(freeze, Integral)
        freeze = int(freeze) if is_number else freeze  # pyright: ignore[reportArgumentType]
        if is_number and freeze > n_below:
            raise ValueError(
                f"`freeze`={freeze} is more than the network has layers below its head: {n_below}."
            )
        self.groups = groups
        self.parameters = [
            [p for module in group for p in module.parameters(recurse=False)] for group in groups
        ]
        #: Parameters that the user has frozen before stay frozen.
        self.trainable = [[p.requires_grad for p in group] for group in self.parameters]
        self.freezes = freeze is not None
        #: Parameters that never train, whatever their layer.
        self.frozen = _matching(network, freeze) if isinstance(freeze, list | tuple) else set()
        #: The epoch, counted from 0, in which each group begins to train; None: never.
        self.starts: list[int | None] = [0] * len(groups)
        if freeze == "features":
            self.starts[:-1] = [None] * n_below
        elif freeze == "gradual":
            # Only the head trains at first; all layers train from the middle of the training.
            half = n_epochs / 2
            self.starts[:-1] = [
                max(1, round(half * distance / n_below)) for distance in range(n_below, 0, -1)
            ]
        elif isinstance(freeze, int):
            self.starts[:freeze] = [None] * freeze
        decay = 1.0 if lr_decay is None else lr_decay
        self.rates = [decay ** (n_below - i) for i in range(len(groups))]

    def freeze(self, network, epoch):
        """Freeze or thaw the layers for this epoch; call it after ``network.train()``.

        Parameters
        ----------
        network : nn.Module
            The network with these layers.
        epoch : int
            Counted from 0.
        """
        if not self.freezes:
            return
        self._set([start is not None and start <= epoch for start in self.starts], self.frozen)
        # In frozen layers batch-norm statistics do not change, and dropout is off.
        for group, start in zip(self.groups, self.starts, strict=True):
            if start is None or start > epoch:
                for module in group:
                    module.training = False
        for module in network.modules():
            parameters = list(module.parameters())
            if parameters and not any(p.requires_grad for p in parameters):
                module.eval()

    def thaw(self):
        """Let all layers require gradients again, as before the training."""
        self._set([True] * len(self.parameters), ())

    def _set(self, trains, frozen):
        for group, could, does in zip(self.parameters, self.trainable, trains, strict=True):
            for parameter, could_train in zip(group, could, strict=True):
                parameter.requires_grad_(could_train and does and id(parameter) not in frozen)

    def rate_of(self):
        """Return the fraction of the learning rate of each parameter, by its identity."""
        return {
            id(parameter): rate
            for group, rate in zip(self.parameters, self.rates, strict=True)
            for parameter in group
        }


def _matching(network, patterns):
    """Return the identities of the parameters whose names match one of the patterns."""
    named = dict(network.named_parameters())
    found = set()
    for pattern in patterns:
        matches = [name for name in named if fnmatchcase(name, pattern)]
        if not matches:
            raise ValueError(
                f"`freeze` names {pattern!r}, but no parameter of the network matches it. Its "
                f"parameters: {', '.join(named)}."
            )
        found.update(id(named[name]) for name in matches)
    if all(id(p) in found for p in named.values() if p.requires_grad):
        raise ValueError(
            f"`freeze`={list(patterns)!r} matches all parameters of the network: there is nothing "
            "to train. Leave one of them out."
        )
    return found
