"""Objects as JSON and arrays: those that a file may hold, those handed in, and those left out."""

from collections import OrderedDict
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import nn

from skimb._archives import Decoder, Encoder
from skimb._networks import PretrainedBackbone
from skimb.losses import Loss, RegressionLoss
from skimb.neural_network._cnn import BaseCNN
from skimb.neural_network._embedder import CNNEmbedder
from skimb.neural_network._heads import ScaledLinear
from skimb.neural_network._saved_classes import (
    WITHOUT_FILE,
    default_of,
    full_name,
    known_class,
    make_object,
    parameters_of,
    state_of,
    torch_class,
)
from skimb.neural_network._saved_modules import (
    backbone_again,
    backbone_state,
    loss_again,
    loss_state,
    loss_with,
    same_loss,
    scaled_linear_again,
    tensor_again,
)
from skimb.neural_network._saved_networks import network_again, network_state

__all__ = ["Reader", "Writer", "fields"]

#: Parameters that may be objects of the user's own, which `load` gets again.
HANDED_IN = ("module", "loss", "augmentation")

#: Attributes that hold the loss of a training, and what it learned.
LOSSES = ("loss_", "loss_of_net", "loss_of_target")

#: Parameters that only a training reads. What cannot be written comes back as the default.
OF_TRAINING = (
    "callbacks",
    "cv",
    "density",
    "lr_schedule",
    "n_jobs",
    "net_callbacks",
    "optimizer",
    "optimizer_params",
    "relevance",
    "sampler",
    "scoring",
    "target_weight",
)


def fields(content, *names):
    """Return the values of these names of a JSON object that has no others."""
    if not isinstance(content, dict) or set(content) != set(names):
        found = sorted(map(str, content)) if isinstance(content, dict) else repr(content)[:80]
        raise ValueError(f"The file is not as skimb writes it: {list(names)} wanted, got {found}.")
    return [content[name] for name in names]


class Writer:
    """Turn fitted estimators into JSON and arrays.

    Attributes
    ----------
    encoder : Encoder
        It has the arrays.
    handed_in : list of dict
        The objects of the user's own that `load` must get again.
    left_out : list of str
        Parameters that are not written, in words.
    """

    def __init__(self):
        self.encoder = Encoder(self._special)
        self.handed_in, self.left_out = [], []
        self._object_name = ""
        self._numbers, self._open, self._kept = {}, set(), []
        self._tensors = {}

    def write(self, value, name):
        """Return the JSON of a value which stands in an attribute or entry of this name."""
        return self.encoder.encode(value, self._named(name))

    def _named(self, name):
        """Return where an attribute of the present object stands."""
        return f"{self._object_name}.{name}" if self._object_name else name

    def _place(self, name):
        return self._named(name).removeprefix("model.")

    def _special(self, value, encode):
        if isinstance(value, torch.Tensor):
            return "tensor", self._tensor(value)
        if isinstance(value, torch.device):
            return "device", str(value)
        if isinstance(value, np.ufunc):
            return "ufunc", value.__name__
        if type(value) is OrderedDict:
            return "ordered", encode([list(pair) for pair in value.items()], self.encoder.name)
        if isinstance(value, type):
            found = self._class(value)
        else:
            found = self._once(value, self._object)
        if found is None:
            place = self.encoder.name.removeprefix("model.")
            raise ValueError(
                f"`{place}` is {_named(value)}, which can be written to no file: it is neither "
                "plain nor an object of skimb, "
                "scikit-learn or imbalanced-learn. Leave it out; or, for a class of your own, "
                "write the methods to_saved() and from_saved(), as "
                "skimb.neural_network.load describes."
            )
        return found

    def _once(self, value, write):
        """Return what `write` returns for an object, or a mark that it was written before."""
        number = self._numbers.get(id(value))
        if number is not None:
            if number in self._open:
                raise ValueError(f"{_named(value)} holds itself, and cannot be written to a file.")
            return "same", number
        number = self._numbers[id(value)] = len(self._numbers)
        # An object that is still held has an id of its own.
        self._kept.append(value)
        self._open.add(number)
        outer, self._object_name = self._object_name, self.encoder.name
        try:
            found = write(value)
        finally:
            self._open.discard(number)
            self.encoder.name, self._object_name = self._object_name, outer
        if found is None:
            del self._numbers[id(value)]
            return None
        kind, content = found
        return kind, {"number": number, **content}

    def _object(self, value):
        cls = type(value)
        if hasattr(value, "best_params_") and hasattr(value, "cv_results_"):
            return self._search(value)
        if hasattr(cls, "to_saved") and hasattr(cls, "from_saved"):
            return "own", {"class": full_name(cls), "state": self._state(value.to_saved())}
        if isinstance(value, PretrainedBackbone):
            return "backbone", self._state_of_dict(backbone_state(value))
        if type(value) is ScaledLinear:
            return "scaled_linear", self._state_of_dict({"tensors": dict(value.state_dict())})
        if isinstance(value, Loss | RegressionLoss) and same_loss(value):
            return "loss", {"class": full_name(cls), "state": self._state(loss_state(value))}
        try:
            known_class(full_name(cls))
        except ValueError:
            return None
        if isinstance(value, BaseCNN | CNNEmbedder) and hasattr(value, "net_"):
            own = network_state(value)
            state = own.pop("attributes")
            return "network", {
                "class": full_name(cls),
                "n_attributes": len(state),
                "state": self._attributes(value, state),
                "net": self._attributes(None, own),
            }
        state = state_of(value)
        return "object", {
            "class": full_name(cls),
            "n_attributes": len(state),
            "state": self._attributes(value, state),
        }

    def _search(self, value):
        if not hasattr(value, "best_estimator_"):
            raise ValueError(
                f"{type(value).__name__} has no best_estimator_, as it was fitted with "
                "refit=False, and a search is saved by its best estimator. Fit it with refit=True."
            )
        return "search", {"best": self.write(value.best_estimator_, "best_estimator_")}

    def _class(self, value):
        if issubclass(value, np.generic):
            return "numpy", value.__name__
        name = full_name(value)
        try:
            torch_class(name)
        except ValueError:
            return None
        return "class", name

    def _state(self, state):
        return {name: self.write(value, name) for name, value in state.items()}

    def _state_of_dict(self, state):
        return {"state": self._state(state)}

    def _attributes(self, owner, state):
        """Return the JSON of attributes, and of parameters that may be handed in or left out."""
        cls = type(owner)
        parameters = parameters_of(cls) if isinstance(owner, BaseEstimator) else ()
        written = {}
        for name, value in state.items():
            if name in WITHOUT_FILE and name in parameters and not _is_plain(value):
                written[name] = self._left_out(cls, name, value)
            elif name in HANDED_IN and cls.__module__.startswith("skimb."):
                written[name] = self._or_handed_in(name, value)
            elif name in OF_TRAINING and name in parameters:
                written[name] = self._or_left_out(cls, name, value)
            elif name in LOSSES:
                written[name] = self._or_handed_in("loss", value, name)
            else:
                written[name] = self.write(value, name)
        return written

    def _or_left_out(self, cls, name, value):
        """Return the JSON of a parameter, or that of its default if it cannot be written."""
        before = set(self.encoder.arrays), dict(self._numbers), dict(self._tensors)
        try:
            return self.write(value, name)
        except ValueError:
            for extra in set(self.encoder.arrays) - before[0]:
                del self.encoder.arrays[extra]
            self._numbers, self._tensors = before[1:]
            return self._left_out(cls, name, value)

    def _left_out(self, cls, name, value):
        default = default_of(cls, name)
        place = self._place(name)
        self.left_out.append(f"{place} ({repr(value)[:80]}, now {default!r})")
        return self.write(default, name)

    def _or_handed_in(self, role, value, name=None):
        """Return the JSON of a module, loss or augmentation, or a mark that it is handed in."""
        name = name or role
        if _is_own(role, value):
            return self.write(value, name)
        used, place = _named(value), self._place(role)
        if not any((entry["role"], entry["place"]) == (role, place) for entry in self.handed_in):
            self.handed_in.append({"role": role, "used": used, "place": place})

        def mark(value):
            # A loss may have learned parameters; the tensors of a network are those of its net.
            is_learned = name in LOSSES and isinstance(value, nn.Module)
            tensors = self.write(dict(value.state_dict()), "tensors") if is_learned else None
            return "handed_in", {"role": role, "used": used, "tensors": tensors}

        self.encoder.name = self._named(name)
        found: Any = self._once(value, mark)
        kind, content = found
        return {"special": kind, "content": content}

    def _tensor(self, tensor):
        """Return the JSON of a tensor; equal ones are written once."""
        if tensor.layout is not torch.strided or tensor.is_quantized:
            raise ValueError(f"A tensor of layout {tensor.layout} cannot be written to a file.")
        values = tensor.detach().cpu().contiguous()
        kind = str(values.dtype).removeprefix("torch.")
        if values.dtype is torch.bfloat16:
            values = values.view(torch.int16)
        array = values.numpy()
        key = kind, array.shape, sha256(array.tobytes()).hexdigest()
        if key not in self._tensors:
            self._tensors[key] = self.encoder.encode(array, self.encoder.name)
        return {"values": self._tensors[key], "type": kind}


def _is_plain(value):
    return value is None or isinstance(value, bool)


def _is_own(role, value):
    """Return whether a module, loss or augmentation can be written to a file."""
    if value is None or isinstance(value, str):
        return True
    if role == "module":
        if isinstance(value, type):
            return value.__module__.startswith("skimb._networks")
        return isinstance(value, PretrainedBackbone) or type(value) is ScaledLinear
    if role == "loss":
        return isinstance(value, Loss | RegressionLoss) and same_loss(value)
    if isinstance(value, list | tuple):
        return all(_is_own(role, part) for part in value)
    return type(value).__module__.startswith("skimb.") and isinstance(value, BaseEstimator)


def _named(value):
    """Return the name of a class or function, or how an object shows itself."""
    if isinstance(value, type) or hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    shown = repr(value)
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    is_short = "\n" not in shown and len(shown) <= 60 and " at 0x" not in shown
    return f"{name}: {shown}" if is_short else name


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
    classes : list of type
        Classes of the user's own, which have `from_saved`.
    version : str
        The version of scikit-learn that wrote the file.
    """

    def __init__(self, arrays, *, handed_in, classes, version):
        # Arrays of a file are read-only, but fitted attributes are not.
        self.arrays = _Counted(arrays)
        self.decoder = Decoder(self.arrays, self._special)
        self.handed_in, self.version = handed_in, version
        # A class of a script is in another module once the script is imported.
        self.classes = {cls.__qualname__: cls for cls in classes}
        self._made: dict = {}

    def read(self, node) -> Any:
        """Return the value of JSON."""
        return self.decoder.decode(node)

    def refuse_unused(self):
        """Refuse arrays that were not read."""
        unused = sorted(set(self.arrays) - self.arrays.used)
        if unused:
            raise ValueError(f"It holds arrays that belong to nothing, {unused[0]!r} first.")

    def _special(self, kind, content, decode):
        makers = {
            "tensor": self._tensor,
            "device": self._device,
            "ufunc": self._ufunc,
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
            raise ValueError(f"The file holds {repr(content)[:80]} instead of attributes.")
        return {name: self.read(node) for name, node in content.items()}

    # ------------------------------------------------------------------------- values

    def _tensor(self, content):
        values, kind = fields(content, "values", "type")
        return tensor_again(self.read(values), kind)

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
        role, _, tensors = fields(content, "role", "used", "tensors")
        if role not in HANDED_IN or self.handed_in.get(role) is None:
            raise ValueError(f"The file asks for {role!r}, which cannot be handed in.")
        given = self.handed_in[role]
        return given if tensors is None else loss_with(given, self.read(tensors))

    # ------------------------------------------------------------------------ objects

    def _object(self, content):
        name, size, state = fields(content, "class", "n_attributes", "state")
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
            if name in parameters_of(cls) and not _is_plain(state.get(name)):
                raise ValueError(
                    f"The file names a path as `{name}` of {cls.__name__}, and skimb writes none."
                )
        return state

    def _network(self, content):
        name, size, state, net = fields(content, "class", "n_attributes", "state", "net")
        cls = known_class(name)
        if not issubclass(cls, BaseCNN | CNNEmbedder):
            raise ValueError(f"{cls.__name__} is no estimator with a network.")
        return network_again(cls, self._attributes(cls, state, size), self._state(net))

    def _own(self, content):
        name, state = fields(content, "class", "state")
        cls = self.classes.get(str(name).rpartition(":")[2])
        if cls is None and isinstance(name, str) and name.startswith("skimb."):
            cls = known_class(name)
        if cls is None or not hasattr(cls, "from_saved"):
            raise ValueError(
                f"The file holds an object of {name!r}. Give its class: load(path, "
                f"classes=[{str(name).rpartition(':')[2]}])."
            )
        return cls.from_saved(self._state(state))

    def _loss(self, content):
        name, state = fields(content, "class", "state")
        return loss_again(name, self._state(state))

    def _backbone(self, content):
        (state,) = fields(content, "state")
        if self.handed_in.get("module") is not None:
            # Its tensors are checked where the network is built.
            self._state(state)
            return self.handed_in["module"]
        return backbone_again(self._state(state))

    def _scaled_linear(self, content):
        (state,) = fields(content, "state")
        return scaled_linear_again(self._state(state))

    def _search(self, content):
        (best,) = fields(content, "best")
        return self.read(best)
