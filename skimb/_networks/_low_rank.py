"""Low-rank adapters: a pretrained network of which few weights are trained."""

import copy
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from numbers import Integral
from typing import Any, Self

import torch
from torch import nn

from skimb._networks._backbone import PretrainedBackbone
from skimb._process import exclusive

__all__ = ["LowRankBackbone", "add_adapters", "low_rank"]


class LowRankBackbone(PretrainedBackbone):
    """A pretrained network with low-rank adapters, as returned by `low_rank`.

    The adapters train, and nothing else of it does: also in training, norms keep their statistics
    and dropout is off.

    Parameters
    ----------
    backbone : PretrainedBackbone
        The network without adapters, which is copied.
    rank : int
        The rank of the adapters.
    layers : list of str
        The names, within the network, of the layers that get one.
    """

    def __init__(self, backbone, *, rank, layers):
        super().__init__(
            backbone.name,
            add_adapters(copy.deepcopy(backbone.network), rank, layers),
            mean=backbone.mean.flatten().tolist(),
            sd=backbone.sd.flatten().tolist(),
            image_size=backbone.image_size,
        )
        self.rank, self.layers = rank, list(layers)

    def train(self, mode: bool = True) -> Self:
        """Set the mode; the network itself stays in evaluation mode."""
        super().train(mode)
        self.network.eval()
        return self

    def draw_adapters(self) -> None:
        """Draw the adapters that were not trained again, from torch's generator."""
        for name in self.layers:
            layer: Any = self.network.get_submodule(name)
            # An adapter whose second factor is zero changes nothing yet.
            if not any(layer.lora_B[key].weight.any() for key in layer.lora_B):
                for key in layer.lora_A:
                    layer.reset_lora_parameters(key, True)

    def __repr__(self) -> str:
        return f"low_rank({super().__repr__()}, rank={self.rank})"


def low_rank(
    backbone: Any, *, rank: int = 8, layers: Sequence[str] | None = None
) -> LowRankBackbone:
    """Add low-rank adapters to a pretrained network, which tune it by training few weights.

    Of each layer with the weights W, ``W + B A`` is used, where A has `rank` rows and B as many
    columns [1]_. Only A and B are trained. With few images of a class, tuning all weights can harm
    what the network has learned on many images, and light tuning keeps it [2]_. B starts at zero,
    so the network is as it was before the first step. A is drawn by the `random_state` of the
    estimator that trains it.

    Parameters
    ----------
    backbone : PretrainedBackbone
        The result of `pretrained`, which is not changed.
    rank : int, default=8
        The rank of the adapters, at least 1. There is no further factor (the ``alpha`` of some
        libraries is equal to the rank): `lr` of the estimator says how fast they learn.
    layers : list of str, default=None
        Patterns of the names of the layers that get an adapter, such as ``["*.q_proj",
        "*.v_proj"]``; ``backbone.network.named_modules()`` lists the names. None: all linear layers
        and all convolutions without groups and dilation. In a convolution, A has its kernel, and B
        is a convolution of one pixel. The filters of single channels (depthwise convolutions) have
        few weights and get no adapter.

    Returns
    -------
    LowRankBackbone
        A module for the same uses as the result of `pretrained`.

    Raises
    ------
    ImportError
        If peft, which makes the adapters, is not installed; the message names the extra.
    ValueError
        If `backbone` is not the result of `pretrained`, `rank` is not positive, or a pattern
        matches no layer that can have an adapter.

    References
    ----------
    .. [1] Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022,
       arXiv:2106.09685.
    .. [2] Shi et al., Long-Tail Learning with Foundation Model: Heavy Fine-Tuning Hurts, ICML 2024,
       arXiv:2309.10019.

    Examples
    --------
    >>> from torch import nn
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.neural_network import CNNClassifier, low_rank, pretrained
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> own = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU())
    >>> backbone = low_rank(pretrained(own), rank=2)
    >>> sum(p.numel() for p in backbone.parameters() if p.requires_grad), backbone.n_features
    (438, 32)
    >>> CNNClassifier(backbone, max_epochs=1, random_state=0).fit(X, y).predict(X).shape
    (1704,)
    """
    if not isinstance(backbone, PretrainedBackbone) or isinstance(backbone, LowRankBackbone):
        raise ValueError(
            "`backbone` must be the result of `pretrained`, without adapters: "
            f"low_rank(pretrained(...)). Got {backbone!r}."
        )
    if not isinstance(rank, Integral) or isinstance(rank, bool) or rank < 1:
        raise ValueError(f"`rank` must be a positive integer. Got {rank!r}.")
    if isinstance(layers, str):
        raise ValueError(f"`layers` must be a list of patterns. Got {layers!r}: give [{layers!r}].")
    known = [name for name, layer in backbone.network.named_modules() if _is_adaptable(layer)]
    if not known:
        raise ValueError(f"No layer of {backbone!r} can have a low-rank adapter.")
    chosen = set(known if layers is None else ())
    for pattern in layers or ():
        matching = [name for name in known if fnmatchcase(name, pattern)]
        if not matching:
            raise ValueError(
                f"`layers` names {pattern!r}, but no layer of {backbone!r} that can have an "
                f"adapter matches it. These can: {', '.join(known)}."
            )
        chosen.update(matching)
    if not chosen:
        raise ValueError("`layers` is empty. Name layers, or give None for all of them.")
    with exclusive(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return LowRankBackbone(
            backbone, rank=int(rank), layers=[name for name in known if name in chosen]
        )


def _is_adaptable(layer):
    """Return whether peft can add an adapter that has the outputs of the layer."""
    # Subclasses may compute something else with their weights.
    if type(layer) is nn.Conv2d:
        is_usual = layer.padding_mode == "zeros" and layer.dilation == (1, 1)
        return is_usual and layer.groups == 1
    return type(layer) is nn.Linear


def add_adapters(network, rank, layers):
    """Add adapters to a network in place, and let nothing else of it train.

    Parameters
    ----------
    network : nn.Module
        The network.
    rank : int
        The rank of the adapters.
    layers : list of str
        The names of the layers that get one.

    Returns
    -------
    nn.Module
        The network.

    Raises
    ------
    ImportError
        If peft is not installed.
    ValueError
        If it has no such layer.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as exc:
        raise ImportError(
            "Low-rank adapters are made by peft, which is not installed. Install skimb's extra: "
            "pip install 'skimb[peft]'."
        ) from exc
    modules = dict(network.named_modules())
    unknown = [name for name in layers if not _is_adaptable(modules.get(name))]
    if unknown:
        raise ValueError(f"it has no layer {unknown[0]!r} that can have a low-rank adapter.")
    # Given as a list, a name would also match each longer name that ends in it.
    names = "|".join(map(re.escape, layers))
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank, target_modules=names), network)
    return network
