"""Whether two objects of the user's own are copies, so that one of them may stand for both."""

from functools import partial
from types import MethodType

import numpy as np
import torch
from torch import nn

__all__ = ["are_copies"]

#: Random generators go on from where they are, and a copy may be elsewhere; handles count hooks.
OF_ONE_OBJECT = (
    np.random.RandomState,
    np.random.Generator,
    torch.Generator,
    torch.utils.hooks.RemovableHandle,
)

#: Attributes of every module of torch; its tensors and layers are compared by their names.
NOT_COMPARED = set(vars(nn.Module()))


def are_copies(first, second):
    """Return whether two objects are the same, or copies that differ in trained weights alone.

    Parameters
    ----------
    first, second : object
        Modules, losses, augmentations; functions and classes are compared by identity.

    Returns
    -------
    bool

    Examples
    --------
    >>> from torch import nn
    >>> from skimb.neural_network._saved_equality import are_copies
    >>> are_copies(nn.Dropout(0.5), nn.Dropout(0.5)), are_copies(nn.Dropout(0.5), nn.Dropout(0.2))
    (True, False)
    """
    return _compare(first, second, set())


def _compare(first, second, open_pairs):
    if first is second:
        return True
    if type(first) is not type(second):
        return False
    pair = id(first), id(second)
    if pair in open_pairs:
        return True
    open_pairs = open_pairs | {pair}

    def parts_are(these, those):
        return len(these) == len(those) and all(
            _compare(one, other, open_pairs) for one, other in zip(these, those, strict=True)
        )

    if isinstance(first, OF_ONE_OBJECT):
        return True
    if isinstance(first, torch.Tensor):
        return first.dtype == second.dtype and torch.equal(first.cpu(), second.cpu())
    if isinstance(first, np.ndarray):
        return first.dtype == second.dtype and np.array_equal(first, second)
    if isinstance(first, list | tuple):
        return parts_are(first, second)
    if isinstance(first, dict):
        return list(first) == list(second) and parts_are(
            list(first.values()), list(second.values())
        )
    if isinstance(first, partial):
        return parts_are(
            [first.func, first.args, first.keywords], [second.func, second.args, second.keywords]
        )
    if isinstance(first, MethodType):
        return first.__func__ is second.__func__ and parts_are([first.__self__], [second.__self__])
    if isinstance(first, nn.Module):
        return parts_are(_of_module(first), _of_module(second))
    if hasattr(first, "__dict__") and not callable(getattr(first, "__get__", None)):
        return parts_are([vars(first)], [vars(second)])
    return bool(first == second)


def _of_module(module):
    """Return all of a module but the values of its weights, which the file has."""
    buffers = dict(module.named_buffers(recurse=False))
    in_file = {**dict(module.named_parameters(recurse=False)), **buffers}
    written = module.state_dict()
    return [
        {name: _form(values) for name, values in in_file.items()},
        {name: values for name, values in buffers.items() if name not in written},
        dict(module.named_children()),
        {name: value for name, value in vars(module).items() if name not in NOT_COMPARED},
    ]


def _form(values):
    # A lazy layer has no shape before the first images.
    return None if nn.parameter.is_lazy(values) else (tuple(values.shape), values.dtype)
