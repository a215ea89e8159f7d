"""Build networks by name, and check the networks of users."""

import copy
from typing import Any

import numpy as np
import torch
from torch import nn

from skimb._networks._backbone import PretrainedBackbone
from skimb._networks._linear import CosineLinear, LinearModel, WithHead
from skimb._networks._low_rank import LowRankBackbone
from skimb._networks._memory_layout import drawn_for, lay_out
from skimb._networks._mixed_network import MixedNetwork, beside_table
from skimb._networks._resnet import ResNet
from skimb._networks._simple_cnn import SimpleCNN
from skimb._networks._vgg import VGG

__all__ = ["MODULES", "build_module"]


#: Classes by the names that `module` may have; called as ``(in_channels, n_outputs,
#: image_shape=...)``.
MODULES = {"simple_cnn": SimpleCNN, "resnet": ResNet, "vgg": VGG, "linear": LinearModel}


def build_module(
    module,
    *,
    image_shape,
    n_outputs,
    prior,
    device,
    cosine_head=False,
    params=None,
    table: Any = None,
):
    """Build the network and try it on zeros, before any training.

    A `PretrainedBackbone` gets a linear layer on its embedding.

    Parameters
    ----------
    module : str, nn.Module or callable
        A name of `MODULES`; an instance, which is copied with its weights; or a callable
        ``(in_channels, n_outputs) -> nn.Module``.
    image_shape : tuple of int
        ``(C, H, W)``.
    n_outputs : int
        Number of classes, or 1 for a continuous target.
    prior : ndarray of shape (n_outputs,) or None
        The class prior of the training, all positive. A network built by name starts from it, so
        its first steps are not spent on learning the class frequencies. None: it starts from equal
        logits.
    device : torch.device
        The device of the network.
    cosine_head : bool, default=False
        Whether the logits must be cosines.
    params : dict, default=None
        Further keyword arguments of a class or callable.
    table : TableShape, default=None
        The columns beside the images, which the network reads too; None: it reads images alone.

    Returns
    -------
    nn.Module
        The network in channels-last memory, which is the fastest for convolutions, or in contiguous
        memory if it only runs there.

    Raises
    ------
    ValueError
        If the network cannot read such images, has another number of outputs, or lacks the required
        head.
    """
    is_pretrained = isinstance(module, PretrainedBackbone)
    if params and isinstance(module, nn.Module):
        raise ValueError(
            f"`module_params`={params!r} are options of the class of a module, and `module` is an "
            f"object that is built already: {type(module).__name__}. Give its class as `module`."
        )
    if isinstance(module, str) or is_pretrained:
        head = CosineLinear if cosine_head else nn.Linear
        if is_pretrained:
            with drawn_for(device):
                features = copy.deepcopy(module)
                net = WithHead(features, head(module.n_features, n_outputs))
                if isinstance(features, LowRankBackbone):
                    features.draw_adapters()
        else:
            options = {"image_shape": image_shape, "head": head}
            net = _called(MODULES[module], image_shape[0], n_outputs, options, params, device)
        if not cosine_head:
            log_prior = np.log(np.ones(n_outputs) if prior is None else prior)
            with torch.no_grad():
                net.head.bias.copy_(torch.from_numpy(log_prior - log_prior.mean()))
    elif isinstance(module, nn.Module):
        net = copy.deepcopy(module)
    else:
        net = _called(module, image_shape[0], n_outputs, {}, params, device)
        if not isinstance(net, nn.Module):
            raise ValueError(
                "`module` must be a name, an nn.Module or a callable (in_channels, n_outputs) that "
                f"returns one. It returned {type(net).__name__}."
            )
    name = module if isinstance(module, str) else type(net).__name__
    if cosine_head and not any(isinstance(layer, CosineLinear) for layer in net.modules()):
        raise ValueError(
            f"The loss reads cosines, but the network {name!r} has no CosineLinear layer. Let it "
            "end in skimb.neural_network.CosineLinear, or take a network by name."
        )
    # Images are float32, whatever torch's default dtype.
    net = net.to(device=device, dtype=torch.float32)
    lay_out(net, torch.channels_last)
    net.eval()
    try:
        output = _try_layouts(net, image_shape, device)
    except Exception as exc:
        raise ValueError(
            f"The network {name!r} cannot read a batch of images of shape (C, H, W) = "
            f"{image_shape}: {exc}"
        ) from exc
    shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    if shape != (2, n_outputs):
        wanted = "y is continuous: it must give (2, 1), one number per image"
        if n_outputs > 1:
            wanted = (
                f"y has {n_outputs} classes: it must give (2, {n_outputs}), one logit per class "
                "(two for two classes)"
            )
        raise ValueError(
            f"The network {name!r} gives {shape} for a batch of 2 images, but {wanted}. "
            f"Build it with n_outputs={n_outputs}."
        )
    if not any(parameter.requires_grad for parameter in net.parameters()):
        raise ValueError(
            f"All parameters of the network {name!r} are frozen: there is nothing to train. Let "
            "one of them require gradients."
        )
    if table is not None and not isinstance(net, MixedNetwork):
        net = beside_table(net, table, image_shape=image_shape, device=device)
    # An instance may come in any mode (a pretrained one is in evaluation mode); now it trains.
    return net.train()


def _called(module, in_channels, n_outputs, options, params, device):
    """Call a class with our options and with those of the user, which it may not accept."""
    if not params:
        with drawn_for(device):
            return module(in_channels, n_outputs, **options)
    try:
        with drawn_for(device):
            return module(in_channels, n_outputs, **{**options, **params})
    except TypeError as exc:
        raise ValueError(
            f"`module_params`={params!r} do not fit {module!r}, which is called as "
            f"module(in_channels, n_outputs, **module_params): {exc}."
        ) from exc


def _try_layouts(net, image_shape, device):
    """Return the outputs of a network for zeros; move its weights if ``view`` needs it."""
    zeros = torch.zeros(2, *image_shape, device=device, dtype=torch.float32)
    with torch.no_grad():
        try:
            return net(zeros)
        except RuntimeError:
            lay_out(net, torch.contiguous_format)
            return net(zeros)
