"""The tensors of a network before any memory is used for them: at writing and at reading."""

from typing import Any

import torch
from torch import nn

from skimb._engine import check_tensors, seeded
from skimb._networks import MODULES, MixedNetwork, PretrainedBackbone, build_module
from skimb.neural_network._columns import table_shape
from skimb.neural_network._saved_tables import changed_options

__all__ = ["build_network", "check_module", "is_network_class"]

CPU = torch.device("cpu")

#: The device on which tensors have shapes and no values.
META = torch.device("meta")


def _options(estimator, n_outputs):
    return {
        "image_shape": estimator.image_shape_,
        "n_outputs": n_outputs,
        "prior": None,
        "cosine_head": getattr(estimator.loss_, "needs_cosine_head", False),
        "params": estimator.module_params,
        "table": table_shape(estimator),
    }


def is_network_class(module):
    """Return whether a module is the class of one of skimb's own networks."""
    return isinstance(module, type) and module.__module__.startswith("skimb._networks")


def _is_of_skimb(module):
    return isinstance(module, str) or is_network_class(module)


def _without_memory(module, options):
    with seeded(0, CPU), META:
        return build_module(module, device=META, **options)


def build_network(estimator, n_outputs, tensors, device):
    """Build the network of an estimator, if the tensors of a file are those of it.

    Parameters
    ----------
    estimator : BaseCNN
        The estimator, with its parameters and the shape of its images.
    n_outputs : int
        The number of outputs.
    tensors : dict of str to Tensor
        The tensors of the file.
    device : torch.device
        The device.

    Returns
    -------
    nn.Module
        A network whose weights are still to be set.

    Raises
    ------
    ValueError
        If it cannot be built, or the tensors are others.
    """
    options = _options(estimator, n_outputs)
    if options["table"] is not None:
        _refuse_other_table(options["table"], tensors)
    if not _is_of_skimb(estimator.module):
        return build_module(estimator.module, device=device, **options)
    network = _without_memory(estimator.module, options)
    own = {f"network.{name}": values for name, values in network.state_dict().items()}
    given = {name: values for name, values in tensors.items() if name.startswith("network.")}
    check_tensors(own, given, "the network")
    return network.to_empty(device=device)


def _refuse_other_table(shape, tensors):
    """Refuse sizes of the part that reads columns before as many layers are built."""
    prefix = "network.table."
    given = {
        name.removeprefix(prefix): values
        for name, values in tensors.items()
        if name.startswith(prefix)
    }
    changed = changed_options(shape, given)
    if changed:
        raise ValueError(
            f"The file does not fit the network of the columns: {_shown(changed)} are not those of "
            "its tensors."
        )


def _shown(options):
    return ", ".join(f"`{name}`={value!r}" for name, value in options.items())


def _refuse_other_columns(estimator, network):
    """Refuse parameters of the part that reads columns that were set after the training."""
    shape: Any = table_shape(estimator)
    changed = changed_options(shape, network.table.state_dict())
    if network.shape.n_images > 1 and network.shape.pooling != shape.pooling:
        changed["image_pooling"] = shape.pooling
    if changed:
        were = "was" if len(changed) == 1 else "were"
        raise ValueError(
            f"{_shown(changed)} {were} set after `fit`, and the network was trained with another "
            "value, so nothing could load the file. Set it back, or fit the estimator."
        )


def check_module(estimator, network, n_outputs):
    """Refuse a module, or options of it, that were set after the training.

    Parameters
    ----------
    estimator : BaseCNN
        The fitted estimator.
    network : nn.Module
        Its network.
    n_outputs : int
        The number of outputs.

    Raises
    ------
    ValueError
        If `load` could not build this network from the parameters.
    """
    module, params = estimator.module, estimator.module_params
    is_mixed = isinstance(network, MixedNetwork)
    of_images = network.features if is_mixed else network
    if isinstance(module, str):
        is_own = isinstance(of_images, MODULES[module])
    elif isinstance(module, type):
        is_own = isinstance(of_images, module)
    else:
        is_own = isinstance(module, PretrainedBackbone) or not isinstance(module, nn.Module)
        is_own = is_own or isinstance(of_images, type(module))
    if not is_own:
        raise ValueError(
            f"`module`={module!r} was set after `fit`, and the network is a "
            f"{type(network).__name__}. Set it back, or fit the estimator."
        )
    if is_mixed:
        _refuse_other_columns(estimator, network)
    own = network.state_dict()
    try:
        if isinstance(module, nn.Module):
            if params:
                raise ValueError("an object that is built already has no options.")
            prefix = "features." * (isinstance(module, PretrainedBackbone) + is_mixed)
            # A lazy layer has no shape before the first images.
            wanted = {
                f"{prefix}{name}": values
                for name, values in module.state_dict().items()
                if not nn.parameter.is_lazy(values)
                # The head of a network that reads a table is another one.
                and not (is_mixed and f"{prefix}{name}" not in own)
            }
            own = {name: values for name, values in own.items() if not prefix or name in wanted}
            if len(wanted) < len(module.state_dict()):
                own = {name: values for name, values in own.items() if name in wanted}
        else:
            wanted = _built(module, _options(estimator, n_outputs)).state_dict()
        check_tensors(wanted, own, "the network")
    # The user's own code may raise errors of any type.
    except Exception as exc:
        shown = f" or `module_params`={params!r}" if params else ""
        raise ValueError(
            f"`module`={module!r}{shown} was set after `fit`, and is not that of the network, so "
            f"nothing could load the file: {exc} Set it back, or fit the estimator."
        ) from exc


def _built(module, options):
    try:
        return _without_memory(module, options)
    except Exception:
        if _is_of_skimb(module):
            raise
    # Some networks compute with values where they are built.
    with seeded(0, CPU):
        return build_module(module, device=CPU, **options)
