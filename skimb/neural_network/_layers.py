"""The layers of any network in order, from the image to the head: to freeze and to slow down."""

from numbers import Integral

from torch import nn

from skimb.neural_network._modules import run_order

__all__ = ["LayerPlan", "layer_groups"]


def layer_groups(network, head, image_shape, device):
    """Part the parameters of a network into layers, from the image to the head.

    A layer is an element of an outermost container that counts its elements (``nn.Sequential``,
    ``nn.ModuleList``: a block of a residual network or of a transformer), or else a module that
    has parameters of its own. Norms belong to the layer before them, and what has no parameters
    (dropout) to the one after. Order is that of the forward pass.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode.
    head : nn.Linear
        Its last linear layer; it and what runs after it are the last group.
    image_shape : tuple of int
        ``(C, H, W)``.
    device : torch.device
        Where the network lies.

    Returns
    -------
    list of list of nn.Module
        The modules whose own parameters make up each layer, and those without any.
    """
    modules = dict(network.named_modules())
    owners = {name: module for name, module in modules.items() if module._parameters}
    leaves = {name: m for name, m in modules.items() if name and not list(m.children())}
    asked = {**leaves, **owners}
    name_of = {module: name for name, module in asked.items()}
    run = run_order(network, asked.values(), image_shape, device)
    ran = list(dict.fromkeys(name_of[module] for module in run))
    order = [name for name in ran if name in owners]
    is_head = [owners[name] is head for name in order].index(True)
    layers, head_names = {}, order[is_head:]
    blocks = {name: _block_of(network, name) for name in order[:is_head]}
    with_matrix = {blocks[name] for name in blocks if _has_matrix(owners[name])}
    for name, block in blocks.items():
        if block not in with_matrix and layers:
            block = next(reversed(layers))
        layers.setdefault(block, []).append(name)
    # Some modules lend their weights without being called: they belong to what they stand in.
    for name in owners:
        if name not in ran:
            around = [block for block in layers if name.startswith(f"{block}.")]
            layers[max(around, key=len) if around else next(iter(layers))].append(name)
    groups = [*layers.values(), head_names]
    group_of = {name: group for group in groups for name in group}
    following = head_names
    for name in reversed(ran):
        if name in owners:
            following = group_of[name]
        else:
            following.append(name)
    return [[modules[name] for name in group] for group in groups]


def _has_matrix(module):
    """Tell whether a module has more than the scales and shifts of a norm."""
    return any(p is not None and p.ndim > 1 for p in module._parameters.values())


def _block_of(network, name):
    """Return the path of the outermost counted element that holds a module, or its own path."""
    parts, module = name.split("."), network
    for depth, part in enumerate(parts):
        if isinstance(module, nn.Sequential | nn.ModuleList):
            return ".".join(parts[: depth + 1])
        module = module.get_submodule(part)
    return name


class LayerPlan:
    """Which layers of a network train in an epoch, and how fast.

    Parameters
    ----------
    groups : list of list of nn.Module
        As `layer_groups` returns them.
    freeze : {"features", "gradual"}, int or None
        As in `CNNClassifier`.
    lr_decay : float or None
        As in `CNNClassifier`.
    n_epochs : int
        Epochs of the training.
    """

    def __init__(self, groups, *, freeze, lr_decay, n_epochs):
        n_below = len(groups) - 1
        is_number = isinstance(freeze, Integral)
        freeze = int(freeze) if is_number else freeze  # pyright: ignore[reportArgumentType]
        if is_number and freeze > n_below:
            raise ValueError(
                f"`freeze`={freeze} is more than the network has layers below its head: {n_below}."
            )
        self.groups = groups
        self.parameters = [
            [p for module in group for p in module._parameters.values() if p is not None]
            for group in groups
        ]
        #: What the user has frozen already stays so.
        self.trainable = [[p.requires_grad for p in group] for group in self.parameters]
        self.freezes = freeze is not None
        #: The epoch, counted from 0, in which each group begins to train; None: never.
        self.starts: list[int | None] = [0] * len(groups)
        if freeze == "features":
            self.starts[:-1] = [None] * n_below
        elif freeze == "gradual":
            # The head alone at first; all layers by the middle of the training.
            half = n_epochs / 2
            self.starts[:-1] = [
                max(1, round(half * distance / n_below)) for distance in range(n_below, 0, -1)
            ]
        elif freeze is not None:
            self.starts[:freeze] = [None] * freeze
        decay = 1.0 if lr_decay is None else lr_decay
        self.rates = [decay ** (n_below - i) for i in range(len(groups))]

    def freeze(self, network, epoch):
        """Let the layers train, or not, as this epoch wants; call it after ``network.train()``.

        Parameters
        ----------
        network : nn.Module
            Whose layers they are.
        epoch : int
            Counted from 0.
        """
        if not self.freezes:
            return
        self._set([start is not None and start <= epoch for start in self.starts])
        # What norms remember, and what dropout drops, is part of what is frozen.
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
        self._set([True] * len(self.parameters))

    def _set(self, trains):
        for group, could, does in zip(self.parameters, self.trainable, trains, strict=True):
            for parameter, could_train in zip(group, could, strict=True):
                parameter.requires_grad_(could_train and does)

    def rate_of(self):
        """Return the share of the learning rate of each parameter, by its identity."""
        return {
            id(parameter): rate
            for group, rate in zip(self.parameters, self.rates, strict=True)
            for parameter in group
        }
