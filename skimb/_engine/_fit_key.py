"""A digest of all that decides the result of a training."""

import functools
import hashlib
import types

import numpy as np
import torch
from torch import nn

from skimb._image_source import blocks, digest

__all__ = ["digest_of", "digest_of_images"]

#: Number of values of an image array that are read at once.
VALUES_AT_ONCE = 2_000_000

#: Types whose values are told apart by their text.
SIMPLE = (type(None), bool, int, float, complex, str, bytes, slice, range)


def digest_of(value):
    """Return a digest that is equal for equal values, in this and later processes.

    Numbers, text, arrays, tensors, collections, functions and classes (by their name and code), and
    objects (by their class and attributes) are read.

    Parameters
    ----------
    value : object

    Returns
    -------
    bytes

    Examples
    --------
    >>> from skimb._engine._fit_key import digest_of
    >>> digest_of({"lr": 0.1, "freeze": None}) == digest_of({"lr": 0.1, "freeze": None})
    True
    >>> digest_of([1, 2]) == digest_of((1, 2))
    False
    """
    hasher = hashlib.sha256()
    _feed(hasher, value, {})
    return hasher.digest()


def _feed(hasher, value, above):
    kind = type(value)
    hasher.update(f"<{kind.__module__}.{kind.__qualname__} ".encode())
    if kind in SIMPLE or isinstance(value, np.generic | np.dtype | torch.dtype | torch.device):
        hasher.update(repr(value).encode())
    elif isinstance(value, np.ndarray) and value.dtype.kind != "O":
        _feed_array(hasher, value)
    elif isinstance(value, torch.Tensor):
        with torch.no_grad():
            plain = value.detach().cpu().contiguous()
            _feed_array(hasher, plain.reshape(-1).view(torch.uint8).numpy())
        hasher.update(f"{value.dtype} {tuple(value.shape)} {value.requires_grad}".encode())
    elif id(value) in above:
        # Objects may refer to each other in circles.
        hasher.update(str(above[id(value)]).encode())
    else:
        above[id(value)] = len(above)
        for part in _parts(value):
            _feed(hasher, part, above)
        del above[id(value)]
    hasher.update(b">")


def _feed_array(hasher, array):
    hasher.update(_described(array.dtype, array.shape))
    if array.ndim == 0:
        hasher.update(array.tobytes())
        return
    _feed_values(hasher, array)


def _described(dtype, shape):
    return f"{dtype.str} {shape} ".encode()


def _feed_values(hasher, array):
    # Blocks: an array with other strides is copied.
    step = max(1, VALUES_AT_ONCE // max(1, array[:1].size))
    for start in range(0, len(array), step):
        block = np.ascontiguousarray(array[start : start + step])
        if block.size:
            hasher.update(block.view(np.uint8).reshape(-1).data)


def _parts(value):
    """Return the values that a value consists of, in an order that is always the same."""
    if isinstance(value, dict):
        return [part for pair in value.items() for part in pair]
    if isinstance(value, list | tuple | np.ndarray):
        return list(value)
    if isinstance(value, set | frozenset):
        return sorted(map(digest_of, value))
    if isinstance(value, np.random.RandomState):
        return [value.get_state(legacy=False)]
    if isinstance(value, np.random.Generator):
        return [value.bit_generator.state]
    if isinstance(value, torch.Generator):
        return [value.get_state()]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        name = value.__module__, value.__qualname__
        return [name, value.__code__, value.__defaults__, value.__kwdefaults__, cells]
    if isinstance(value, types.CodeType):
        return [value.co_code, value.co_names, value.co_consts]
    if isinstance(value, types.MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, staticmethod | classmethod):
        return [value.__func__]
    if isinstance(value, property):
        return [value.fget]
    if isinstance(value, type):
        return [value.__module__, value.__qualname__, _own_code(value)]
    if isinstance(value, types.BuiltinFunctionType | types.ModuleType | np.ufunc):
        return [getattr(value, "__module__", None), value.__name__]
    own = [_own_code(type(value))]
    if isinstance(value, nn.Module):
        # Hooks and caches of torch are no part of it.
        parameters = [*value.named_parameters(), *value.named_buffers(), *value.named_children()]
        known = vars(nn.Module())
        return [*own, parameters, {k: v for k, v in vars(value).items() if k not in known}]
    if hasattr(value, "__getstate__"):
        try:
            return [*own, value.__getstate__()]
        except TypeError:
            pass
    # An object of a compiled class without attributes.
    return [*own, repr(type(value))]


def _own_code(kind):
    """Return the code of a class of the user's script or notebook, which has no version."""
    if kind.__module__ != "__main__":
        return []
    return [
        part
        for part in vars(kind).values()
        if isinstance(part, types.FunctionType | staticmethod | classmethod | property)
    ]


def _is_filled(cell):
    try:
        cell.cell_contents  # noqa: B018 - an empty cell raises
    except ValueError:
        return False
    return True


def digest_of_images(images):
    """Return a digest of images; of files their paths, sizes and times, without opening them.

    Parameters
    ----------
    images : ImageSource

    Returns
    -------
    bytes
    """
    hasher = hashlib.sha256(repr((tuple(images.shape), np.dtype(images.dtype).str)).encode())
    if images.table is not None:
        for content in images.table.contents():
            hasher.update(digest(content))
    if images.is_in_memory:
        # The key of an array does not depend on whether it is gathered in parts.
        hasher.update(_described(np.dtype(images.dtype), tuple(images.shape)))
        for pixels in blocks(images):
            _feed_values(hasher, pixels)
    else:
        for content in images.marks():
            hasher.update(digest(content))
    return hasher.digest()
