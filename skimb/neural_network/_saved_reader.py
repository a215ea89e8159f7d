"""Fitted estimators from JSON and arrays: only of classes that a file may hold."""

from collections import OrderedDict
from typing import Any

import numpy as np
import torch

from skimb._archives import Decoder
from skimb._messages import shortened
from skimb.neural_network._cnn import BaseCNN
from skimb.neural_network._embedder import CNNEmbedder
from skimb.neural_network._saved_classes import (
    HANDED_IN,
    WITHOUT_FILE,
    is_no_path,
    known_class,
    make_object,
    parameters_of,
    torch_class,
)
from skimb.neural_network._saved_modules import (
    backbone_again,
    loss_again,
    loss_with,
    scaled_linear_again,
    tensor_again,
)
from skimb.neural_network._saved_networks import network_again
from skimb.neural_network._saved_shapes import is_network_class
from skimb.neural_network._saved_sklearn import FUNCTIONS, full_name

__all__ = ["Reader", "entries_of"]


#: The bytes of tensors that are copied for each place where a file names them again.
MOST_COPIED = 2**26


def entries_of(content, *names):
    """Return the values of these names of a JSON object that has no others."""
    if not isinstance(content, dict) or set(content) != set(names):
        found = sorted(map(str, content)) if isinstance(content, dict) else shortened(content)
        raise ValueError(f"The file is not as skimb writes it: {list(names)} wanted, got {found}.")
    return [content[name] for name in names]


class _Counted(dict):
    """Arrays by name, with the names that were asked for."""

    def __init__(self, arrays):
        super().__init__(arrays)
        self.used = set()

    def __getitem__(self, name):
        self.used.add(name)
        return super().__getitem__(name)


class Reader:
    """Make fitted estimators from JSON and arrays.

    Parameters
    ----------
    arrays : dict of str to ndarray
        The arrays.
    handed_in : dict
        The objects of the user's own by role; None: it was not given.
    asked : set of str
        The roles of which the file says that they are handed in.
    classes : list of type
        Classes of the user's own, which have `from_saved`.
    version : str
        The version of scikit-learn that wrote the file.
    """

    def __init__(self, arrays, *, handed_in, asked, classes, version):
        # Arrays of a file are read-only, but fitted attributes are not.
        self.arrays = _Counted(arrays)
        self.decoder = Decoder(self.arrays, self._special)
        self.handed_in, self.asked, self.version = handed_in, asked, version
        self._replaced = None
        # A class of a script is in another module once the script is imported.
        self.classes = {cls.__qualname__: cls for cls in classes}
        self._made: dict = {}
        self._tensors: dict = {}
        self._n_copied = 0
        self._taken = set()

    def read(self, node) -> Any:
        """Return the value of JSON."""
        return self.decoder.decode(node)

    def refuse_unused(self):
        """Refuse arrays that were not read, and objects that were given but are not needed."""
        for role, value in self.handed_in.items():
            if value is not None and role not in self._taken:
                raise ValueError(f"It holds its own `{role}`. Leave out `{role}`={value!r}.")
        unused = sorted(set(self.arrays) - self.arrays.used)
        if unused:
            raise ValueError(f"It holds arrays that belong to nothing, {unused[0]!r} first.")

    def _special(self, kind, content, decode):
        makers = {
            "tensor": self._tensor,
            "device": self._device,
            "ufunc": self._ufunc,
            "function": self._function,
            "numpy": self._numpy,
            "class": torch_class,
            "same": self._same,
            "ordered": self._ordered,
        }
        if kind in makers:
            return makers[kind](content)
        of_objects = {
            "object": self._object,
            "network": self._network,
            "own": self._own,
            "loss": self._loss,
            "backbone": self._backbone,
            "scaled_linear": self._scaled_linear,
            "search": self._search,
            "handed_in": self._handed_in,
        }
        if kind not in of_objects or not isinstance(content, dict):
            raise ValueError(f"The file holds an object of the kind {kind!r}, which is none.")
        content = dict(content)
        number = content.pop("number", None)
        if type(number) is not int or number in self._made:
            raise ValueError(f"The file holds two objects of the number {number!r}, or no number.")
        made = self._made[number] = of_objects[kind](content)
        return made

    def _state(self, content):
        if not isinstance(content, dict):
            raise ValueError(f"The file holds {shortened(content)} instead of attributes.")
        return {name: self.read(node) for name, node in content.items()}

    # ------------------------------------------------------------------------- values

    def _tensor(self, content):
        values, kind = entries_of(content, "values", "type")
        array = self.read(values)
        key = values.get("array"), bool(values.get("is_transposed")), kind
        if key not in self._tensors:
            self._tensors[key] = tensor_again(array, kind)
            return self._tensors[key]
        self._n_copied += self._tensors[key].nbytes
        # A small file may name one array often. Networks copy their tensors once more anyway.
        is_few = self._n_copied <= MOST_COPIED
        return self._tensors[key].clone() if is_few else self._tensors[key]

    def _device(self, content):
        if not isinstance(content, str):
            raise ValueError(f"The file holds the device {content!r}, which is none.")
        try:
            return torch.device(content)
        except RuntimeError as exc:
            raise ValueError(f"The file holds the device {content!r}, which is none.") from exc

    def _ufunc(self, content):
        found = getattr(np, content, None) if isinstance(content, str) else None
        if not isinstance(found, np.ufunc):
            raise ValueError(f"The file names the function {content!r}, which NumPy does not have.")
        return found

    def _function(self, content):
        if not isinstance(content, str) or content not in FUNCTIONS:
            raise ValueError(f"The file names the function {content!r}, which it may not call.")
        return FUNCTIONS[content]

    def _numpy(self, content):
        found = getattr(np, content, None) if isinstance(content, str) else None
        if not isinstance(found, type) or not issubclass(found, np.generic):
            raise ValueError(f"The file names the type {content!r}, which NumPy does not have.")
        return found

    def _ordered(self, content):
        return OrderedDict((key, value) for key, value in self.read(content))

    def _same(self, content):
        if type(content) is not int or content not in self._made:
            raise ValueError(f"The file points to an object {content!r}, which it does not hold.")
        return self._made[content]

    def _handed_in(self, content):
        role, _, tensors = entries_of(content, "role", "used", "tensors")
        if role not in HANDED_IN or self.handed_in.get(role) is None:
            raise ValueError(f"The file asks for {role!r}, which cannot be handed in.")
        given = self.handed_in[role]
        self._taken.add(role)
        return given if tensors is None else loss_with(given, self.read(tensors))

    # ------------------------------------------------------------------------ objects

    def _object(self, content):
        name, size, state = entries_of(content, "class", "n_attributes", "state")
        cls = known_class(name)
        return make_object(cls, self._attributes(cls, state, size), self.version)

    def _attributes(self, cls, content, size):
        """Return the attributes of an object; refuse them where one is missing or was added."""
        state = self._state(content)
        if len(state) != size:
            raise ValueError(
                f"{cls.__name__} was written with {size} attributes. The file holds {len(state)}."
            )
        for name in WITHOUT_FILE:
            if name in parameters_of(cls) and not is_no_path(state.get(name)):
                raise ValueError(
                    f"The file names a path as `{name}` of {cls.__name__}, and skimb writes none."
                )
        module = state.get("module")
        is_given = module is self.handed_in.get("module")
        if isinstance(module, type) and not is_given and not is_network_class(module):
            raise ValueError(f"The file names {full_name(module)}, which is no network of skimb.")
        return state

    def _network(self, content):
        name, size, state, net = entries_of(content, "class", "n_attributes", "state", "net")
        cls = self.classes.get(str(name).rpartition(":")[2])
        if cls is None:
            cls = self._known(name)
        if not issubclass(cls, BaseCNN | CNNEmbedder):
            raise ValueError(f"{cls.__name__} is no estimator with a network.")
        return network_again(cls, self._attributes(cls, state, size), self._state(net))

    def _own(self, content):
        name, state = entries_of(content, "class", "state")
        cls = self.classes.get(str(name).rpartition(":")[2])
        if cls is None or not hasattr(cls, "from_saved"):
            raise self._unknown(name)
        return cls.from_saved(self._state(state))

    def _known(self, name):
        try:
            return known_class(name)
        except ValueError as exc:
            raise self._unknown(name) from exc

    def _unknown(self, name):
        # A class that was made in a function has the name of the function before its own.
        short = str(name).rpartition(":")[2].rpartition(".")[2]
        return ValueError(
            f"The file holds an object of {name!r}, a class that is not skimb's own. Give it: "
            f"load(path, classes=[{short}])."
        )

    def _loss(self, content):
        name, state = entries_of(content, "class", "state")
        return loss_again(name, self._state(state))

    def _backbone(self, content):
        (state,) = entries_of(content, "state")
        # A module of the user's own stands for a backbone only if the file asks for no module.
        if self.handed_in.get("module") is not None and "module" not in self.asked:
            # Its tensors are checked where the network is built.
            config = self._state(state).get("config")
            if self._replaced not in (None, config):
                raise ValueError(
                    "The file holds different pretrained networks, and one `module` cannot stand "
                    "for all of them. Leave out `module`."
                )
            self._replaced = config
            self._taken.add("module")
            return self.handed_in["module"]
        return backbone_again(self._state(state))

    def _scaled_linear(self, content):
        (state,) = entries_of(content, "state")
        return scaled_linear_again(self._state(state))

    def _search(self, content):
        (best,) = entries_of(content, "best")
        return self.read(best)
