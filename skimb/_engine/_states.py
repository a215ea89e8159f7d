"""The state of the parts of a training, as plain values and arrays, and back."""

import functools
import types
from collections import Counter, OrderedDict, deque
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from torch import nn

from skimb._archives import Decoder, Encoder

__all__ = ["decoded", "encoded", "load_module", "load_object", "module_state", "object_state"]

#: Attributes that every module has; the state of a module's own is in its other attributes.
OF_MODULES = frozenset(vars(nn.Module()))

#: Types of values that are plain: `Encoder` and `_special` know them.
PLAIN = (bool, int, float, str, bytes, slice, np.generic, np.dtype, np.ndarray)
RANDOM = (np.random.RandomState, np.random.Generator, torch.Generator)
COLLECTIONS = (list, tuple, set, frozenset, dict, OrderedDict, Counter, deque)

#: Types of values that have no state, or whose state is kept elsewhere: parameters and optimisers
#: are parts of the net.
STATELESS = (
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
    functools.partial,
    torch.dtype,
    torch.device,
    nn.Parameter,
    torch.optim.Optimizer,
    NeuralNet,
)


def encoded(value):
    """Return plain values and tensors as JSON and arrays.

    Parameters
    ----------
    value : object
        Plain values, tensors, torch's generators, and collections of these.

    Returns
    -------
    document : JSON
    arrays : dict of str to ndarray

    Raises
    ------
    ValueError
        If a value is of another type.
    """
    numbers = iter(range(2**62))

    def special(value, encode):
        return _special(value, encode, numbers)

    encoder = Encoder(special)
    return encoder.encode(value), encoder.arrays


def _special(value, encode, numbers):
    if isinstance(value, torch.Tensor):
        if value.layout != torch.strided or value.is_quantized:
            return None
        value = value.detach()
        # Convolutions and optimisers choose their way by strides, so they come back as they were.
        strides = torch.empty_like(value, device="meta").stride()
        order = sorted(range(value.ndim), key=lambda axis: (-strides[axis], axis))
        ordered = value.cpu().permute(order).contiguous()
        dtype = str(value.dtype).removeprefix("torch.")
        if value.dtype == torch.bfloat16:
            # numpy has no such numbers.
            ordered = ordered.view(torch.int16)
        try:
            array = encode(ordered.numpy(), f"tensor {next(numbers)}")
        except (TypeError, RuntimeError):
            return None
        layout = {"order": order, "strides": list(strides)}
        kind = {"dtype": dtype, "is_on_host": value.device.type == "cpu"}
        return "tensor", {"array": array, **layout, **kind}
    if isinstance(value, torch.Generator):
        return "generator", encode(value.get_state(), "")
    if type(value) in (OrderedDict, Counter):
        return type(value).__name__, encode(dict(value), "")
    if type(value) is deque:
        return "deque", encode([list(value), value.maxlen], "")
    return None


def decoded(document, arrays, device):
    """Return the value that `encoded` got.

    Parameters
    ----------
    document : JSON
    arrays : dict of str to ndarray
    device : torch.device
        The device of tensors that were not on the host.

    Returns
    -------
    object

    Raises
    ------
    ValueError
        If `encoded` returns no such JSON.
    """

    def special(kind, content, decode) -> Any:
        if kind == "tensor":
            ordered = torch.from_numpy(np.array(decode(content["array"])))
            if content["dtype"] == "bfloat16":
                ordered = ordered.view(torch.bfloat16)
            order = content["order"]
            values = ordered.permute([order.index(axis) for axis in range(len(order))])
            made = torch.empty_strided(values.shape, content["strides"], dtype=values.dtype)
            return made.copy_(values).to("cpu" if content["is_on_host"] else device)
        if kind == "generator":
            made = torch.Generator()
            made.set_state(decode(content))
            return made
        if kind in ("OrderedDict", "Counter"):
            return {"OrderedDict": OrderedDict, "Counter": Counter}[kind](decode(content))
        if kind == "deque":
            values, maxlen = decode(content)
            return deque(values, maxlen)
        raise ValueError(f"The file holds a {kind!r}, which is not known.")

    return Decoder(arrays, special).decode(document)


def _is_plain(value):
    """Tell whether `encoded` knows a value."""
    if value is None or (isinstance(value, PLAIN + RANDOM) and not isinstance(value, np.void)):
        return True
    if isinstance(value, torch.Tensor):
        return not isinstance(value, nn.Parameter)
    if type(value) in COLLECTIONS:
        parts: Any = [*value, *value.values()] if isinstance(value, dict) else value
        return all(map(_is_plain, parts))
    return False


def module_state(module):
    """Return the state of a module: parameters, buffers, and attributes of modules not of torch.

    ``state_dict`` alone lacks buffers that are not persistent, and what a module keeps in
    attributes, such as a count of its calls.

    Parameters
    ----------
    module : nn.Module

    Returns
    -------
    dict
    """
    state = dict(module.state_dict())
    return {
        "state": state,
        "buffers": {name: buffer for name, buffer in module.named_buffers() if name not in state},
        "attributes": {
            name: {
                key: value
                for key, value in vars(part).items()
                if key not in OF_MODULES and _is_plain(value)
            }
            for name, part in module.named_modules()
            if type(part).__module__.partition(".")[0] != "torch"
        },
    }


def load_module(module, state):
    """Give a module the state of `module_state`, in place.

    Parameters
    ----------
    module : nn.Module
        A module that was built in the same way.
    state : dict
    """
    buffers, parts = dict(module.named_buffers()), dict(module.named_modules())
    module.load_state_dict(state["state"])
    with torch.no_grad():
        for name, values in state["buffers"].items():
            buffers[name].copy_(values)
    for name, values in state["attributes"].items():
        for key, value in values.items():
            _put(vars(parts[name]), key, value)


def object_state(part, name):
    """Return the state of a callback, or of a step of the augmentation.

    A module has `module_state`. Any other object with ``state_dict`` and ``load_state_dict`` says
    itself what its state is. The state of others is in their attributes.

    Parameters
    ----------
    part : object
    name : str
        What the object is, for the error.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If an attribute can hold state of an unknown kind.
    """
    return _tree(part, name, ())


def _tree(value, name, above) -> Any:
    if isinstance(value, STATELESS) or any(value is one for one in above):
        return {}
    if _is_plain(value):
        return {"plain": value}
    if isinstance(value, nn.Module):
        return {"module": module_state(value)}
    if hasattr(value, "state_dict") and hasattr(value, "load_state_dict"):
        return {"own": value.state_dict()}
    if isinstance(value, list | tuple):
        parts = dict(enumerate(value))
    elif isinstance(value, dict):
        parts = value
    elif hasattr(value, "__dict__"):
        parts = vars(value)
    else:
        raise ValueError(
            f"`checkpoint` cannot keep the state of {name}, a {type(value).__name__}. Give its "
            "owner the methods `state_dict` and `load_state_dict`, or leave it out."
        )
    above = (*above, value)
    return {"parts": {key: _tree(part, f"{name}.{key}", above) for key, part in parts.items()}}


def load_object(part, state):
    """Give an object the state of `object_state`, in place.

    Parameters
    ----------
    part : object
        An object that was built in the same way.
    state : dict
    """
    if "module" in state:
        load_module(part, state["module"])
    elif "own" in state:
        part.load_state_dict(state["own"])
    elif "parts" in state:
        is_collection = isinstance(part, list | tuple | dict)
        owner: Any = part if is_collection else vars(part)
        for key, inner in state["parts"].items():
            if "plain" in inner and not isinstance(part, tuple):
                _put(owner, key, inner["plain"])
            elif inner:
                load_object(owner[key], inner)


def _put(owner, key, value):
    """Set a value; random generators keep their identity, because parts share them."""
    # A list has no `get`.
    there = owner[key] if isinstance(owner, list) else owner.get(key)
    if isinstance(there, np.random.RandomState) and isinstance(value, np.random.RandomState):
        there.set_state(value.get_state(legacy=False))
    elif isinstance(there, np.random.Generator) and isinstance(value, np.random.Generator):
        there.bit_generator.state = value.bit_generator.state
    elif isinstance(there, torch.Generator) and isinstance(value, torch.Generator):
        there.set_state(value.get_state())
    elif isinstance(there, torch.Tensor) and isinstance(value, torch.Tensor):
        owner[key] = value.to(there.device)
    else:
        owner[key] = value
