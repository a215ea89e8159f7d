"""Fitted estimators as JSON and arrays: what is written, what is handed in, what is left out."""

from collections import OrderedDict
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import nn

from skimb._archives import Encoder
from skimb._messages import shortened
from skimb._networks import PretrainedBackbone
from skimb.losses import Loss, RegressionLoss
from skimb.neural_network._cnn import BaseCNN
from skimb.neural_network._embedder import CNNEmbedder
from skimb.neural_network._heads import ScaledLinear
from skimb.neural_network._saved_classes import (
    CALLBACKS,
    HANDED_IN,
    WITHOUT_FILE,
    check_own,
    default_of,
    full_name,
    is_no_path,
    known_class,
    parameters_of,
    state_of,
    torch_class,
)
from skimb.neural_network._saved_equality import are_copies
from skimb.neural_network._saved_modules import backbone_state, loss_state, same_loss
from skimb.neural_network._saved_networks import network_state
from skimb.neural_network._saved_sklearn import FUNCTIONS, INSTEAD

__all__ = ["Writer"]

#: Attributes that hold the loss of a training, and what it learned.
LOSSES = ("loss_", "loss_of_net", "loss_of_target")

#: Parameters that only a training reads. What cannot be written comes back as the default.
TRAINING_PARAMETERS = (
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
        self._roles = {}

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
        if FUNCTIONS.get(str(getattr(value, "__name__", ""))) is value:
            return "function", value.__name__
        if type(value) is OrderedDict:
            return "ordered", encode([list(pair) for pair in value.items()], self.encoder.name)
        if isinstance(value, type):
            found = self._class(value)
        else:
            found = self._once(value, self._object)
        if found is None:
            place = self.encoder.name.removeprefix("model.")
            package = str(getattr(value, "__module__", "")).partition(".")[0]
            if package in ("sklearn", "imblearn"):
                raise ValueError(
                    f"`{place}` is {_named(value)}, which can be written to no file. {INSTEAD}."
                )
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
            state = backbone_state(value)
            if state["config"]["source"] is None:
                # Nothing but `load(path, module=...)` can make it again.
                self._note_role("module", value, self.encoder.name.removeprefix("model."))
            return "backbone", self._state_of_dict(state)
        if type(value) is ScaledLinear:
            return "scaled_linear", self._state_of_dict({"tensors": dict(value.state_dict())})
        if isinstance(value, Loss | RegressionLoss) and same_loss(value):
            return "loss", {"class": full_name(cls), "state": self._state(loss_state(value))}
        is_network = isinstance(value, BaseCNN | CNNEmbedder)
        try:
            known_class(full_name(cls))
        except ValueError:
            # A subclass of the user's is given to `load` as one of `classes`.
            if not is_network:
                return None
        self._note_callbacks(value)
        check_own(value)
        if is_network and hasattr(value, "net_"):
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

    def _note_callbacks(self, value):
        if vars(value).get(CALLBACKS):
            self.left_out.append(f"{self._place('set_callbacks')} ({vars(value)[CALLBACKS]})")

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
            if name in WITHOUT_FILE and name in parameters and not is_no_path(value):
                written[name] = self._left_out(cls, name, value)
            elif name in HANDED_IN and name in parameters and _is_of_skimb(cls):
                written[name] = self._or_handed_in(name, value)
            elif name in TRAINING_PARAMETERS and name in parameters:
                written[name] = self._or_left_out(cls, name, value)
            elif name in LOSSES:
                written[name] = self._or_handed_in("loss", value, name)
            else:
                written[name] = self.write(value, name)
        return written

    def _or_left_out(self, cls, name, value):
        """Return the JSON of a parameter, or that of its default if it cannot be written."""
        names = ("_numbers", "_tensors", "_roles", "handed_in", "left_out")
        arrays = set(self.encoder.arrays)
        before = {known: vars(self)[known].copy() for known in names}
        try:
            return self.write(value, name)
        except ValueError:
            # Nothing of the part that could be written may stay.
            for extra in set(self.encoder.arrays) - arrays:
                del self.encoder.arrays[extra]
            vars(self).update(before)
            return self._left_out(cls, name, value)

    def _left_out(self, cls, name, value):
        default = default_of(cls, name)
        place = self._place(name)
        self.left_out.append(f"{place} ({shortened(value)}, now {default!r})")
        return self.write(default, name)

    def _or_handed_in(self, role, value, name=None):
        """Return the JSON of a module, loss or augmentation, or a mark that it is handed in."""
        name = name or role
        if _is_own(role, value):
            return self.write(value, name)
        used, place = _named(value), self._place(role)
        self._note_role(role, value, place, is_fitted=name in LOSSES)
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

    def _note_role(self, role, value, place, *, is_fitted=False):
        """Refuse a second object for a role that differs, as `load` gets one object for each."""
        first, first_place = self._roles.setdefault((role, is_fitted), (value, place))
        # A fitted loss has counted classes and learned parameters, which the file has.
        if type(first) is type(value) if is_fitted else are_copies(first, value):
            return
        fix = "Save each estimator to a file of its own"
        if role == "module":
            fix += ", or give them one class as `module`, with the options as `module_params`"
        raise ValueError(
            f"It has different objects as `{role}`: {_named(first)} as `{first_place}`, and "
            f"{_named(value)} as `{place}`. `load` gets one `{role}` for the whole file. {fix}."
        )

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


def _is_of_skimb(cls):
    return cls.__module__.startswith("skimb.") or issubclass(cls, BaseCNN | CNNEmbedder)


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
