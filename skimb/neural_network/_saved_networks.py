"""Estimators with a network: their state without data, and the estimator of a state."""

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from skimb._engine import (
    ImageNet,
    build_augmentation,
    is_available,
    net_again,
    net_state,
    resolve_device,
    seeded,
)
from skimb._networks import PretrainedBackbone
from skimb._params import check_parameters
from skimb._warnings import warn
from skimb.neural_network._class_target import ClassTarget
from skimb.neural_network._cnn import BaseCNN
from skimb.neural_network._continuous_target import ContinuousTarget
from skimb.neural_network._embedder import CNNEmbedder, copied_backbone
from skimb.neural_network._net_input import LEARNED, NetInput
from skimb.neural_network._posterior import Posterior
from skimb.neural_network._saved_classes import (
    CALLBACKS,
    REQUESTS,
    check_numbers,
    check_ranges,
    forbidden_attributes,
    parameters_of,
    read_requests,
    with_defaults,
    write_requests,
)
from skimb.neural_network._saved_shapes import build_network, check_module
from skimb.neural_network._saved_tables import check_columns_of_file, check_same_columns

__all__ = ["network_again", "network_state"]

#: The parts of a network, apart from the attributes of its estimator.
NET_ENTRIES = ("net", "target", "read", "loss_of_net", "loss_of_target")

#: The most pixels of an image for which a network is built.
MOST_PIXELS = 2**26

#: The attributes that every fitted estimator of images has.
OF_IMAGES = ("n_features_in_", "image_shape_", "value_range_", "_fitted_on_rows", "_given_range")

#: Those of estimators that were trained.
TRAINED_ATTRIBUTES = ("history_", "n_iter_", "validation_indices_", "loss_", "_levels")

#: Those of the target.
OF_TARGET = {
    ClassTarget: (
        "classes_",
        "class_count_",
        "class_weight_",
        "effective_prior_",
        "temperature_",
        "decision_temperature_",
        "biases_",
        "decision_biases_",
    ),
    ContinuousTarget: ("y_mean_", "y_scale_", "density_"),
}

#: Entries of the target that a file has only if they are not zero.
BIASES = frozenset({"biases", "decision_biases"})


# ------------------------------------------------------------------------------ write


def network_state(estimator):
    """Return the state of a fitted estimator with a network.

    Parameters
    ----------
    estimator : BaseCNN or CNNEmbedder
        The fitted estimator.

    Returns
    -------
    dict
        ``"attributes"``, with the parameters; and the state of its net and its target.

    Raises
    ------
    ValueError
        If a parameter was changed after `fit` to one that does not belong to the network.
    """
    check_parameters(estimator)
    attributes = dict(estimator.__getstate__())
    write_requests(attributes)
    attributes.pop(CALLBACKS, None)
    net = attributes.pop("net_")
    if isinstance(estimator, CNNEmbedder) and not _is_backbone(estimator.estimator_):
        # The net is that of the estimator.
        return {"attributes": attributes, **dict.fromkeys(NET_ENTRIES)}
    if isinstance(estimator, CNNEmbedder):
        backbone = estimator.estimator
        if not _is_backbone(backbone):
            raise ValueError(
                "`estimator` was changed after `fit`, and the network is not its own. Set it back, "
                "or fit the embedder."
            )
        target, loss = None, None
    else:
        n_outputs = len(net.target.classes) if isinstance(net.target, ClassTarget) else 1
        check_module(estimator, net.module_.network, n_outputs)
        target, loss = _target_state(net.target)
    state = net_state(net)
    own = state.pop("loss")
    if state["views"] is not None and not all(
        type(step).__module__.startswith("skimb.") for step in state["views"]
    ):
        # They are made of the augmentation, which is handed in.
        state["views"] = "augmentation"
    if not _is_of_torch(state["optimizer"]):
        state["optimizer"], state["options"] = None, {}
    read = {name: value for name, value in vars(net.dataset).items() if name in LEARNED}
    return {
        "attributes": attributes,
        "net": state,
        "target": target,
        "loss_of_net": None if target is None else own,
        "loss_of_target": loss,
        "read": read | {"channels": net.dataset.channels},
    }


def _is_backbone(value):
    return isinstance(value, PretrainedBackbone)


def _is_of_torch(optimizer):
    return (
        isinstance(optimizer, type)
        and issubclass(optimizer, torch.optim.Optimizer)
        and optimizer.__module__.startswith("torch.optim.")
    )


def _target_state(target):
    if isinstance(target, ClassTarget):
        posterior = target.posterior
        biases = {"biases": posterior.biases, "decision_biases": posterior.decision_biases}
        return {
            "kind": "classes",
            "asked": {name: target.parameters[name] for name in ("target_prior", "calibration")},
            "classes": target.classes,
            "class_count": target.class_count,
            "class_weight": target.class_weight,
            "effective_prior": posterior.effective_prior,
            "temperature": posterior.temperature,
            "decision_temperature": posterior.decision_temperature,
            **{name: values for name, values in biases.items() if values is not None},
        }, posterior.loss
    return {
        "kind": "numbers",
        "mean": target.mean,
        "scale": target.scale,
        "density_": target.density,
    }, target.loss


# ------------------------------------------------------------------------------- read


def network_again(cls, attributes, parts):
    """Return a fitted estimator of a state.

    Parameters
    ----------
    cls : type
        The class of the estimator.
    attributes : dict
        Its parameters and fitted attributes.
    parts : dict
        The other entries of `network_state`.

    Returns
    -------
    BaseCNN or CNNEmbedder

    Raises
    ------
    ValueError
        If the state is not that of such an estimator.
    """
    if set(parts) != set(NET_ENTRIES):
        raise ValueError(f"The file lacks parts of {cls.__name__}.")
    names, attributes = parameters_of(cls), with_defaults(cls, attributes)
    fitted = {name: value for name, value in attributes.items() if name not in names}
    refused = forbidden_attributes(cls, fitted)
    if refused:
        raise ValueError(f"{cls.__name__} has no attribute {refused[0]!r} that a file may set.")
    estimator = cls(**{name: attributes[name] for name in names})
    check_parameters(estimator)
    _check_form(cls, fitted)
    read_requests(estimator, fitted.pop(REQUESTS, None))
    vars(estimator).update(fitted)
    check_columns_of_file(estimator, needs_encoder=issubclass(cls, BaseCNN))
    if issubclass(cls, BaseCNN):
        return _trained_again(estimator, parts)
    return _embedder_again(estimator, parts)


def _check_form(cls, fitted):
    """Refuse attributes that are missing, or of a size for which no network could be built."""
    wanted = {*OF_IMAGES, *(TRAINED_ATTRIBUTES if issubclass(cls, BaseCNN) else ())}
    lacking = sorted(wanted - set(fitted))
    if lacking:
        raise ValueError(f"The file lacks the attributes {lacking} of {cls.__name__}.")
    shape = fitted["image_shape_"]
    is_shape = isinstance(shape, tuple) and len(shape) == 3
    if not is_shape or not all(type(side) is int and side > 0 for side in shape):
        raise ValueError(f"The file holds the image shape {shape!r}, which is none.")
    if math.prod(shape) > MOST_PIXELS:
        raise ValueError(f"The file holds the image shape {shape!r}, which is too large.")
    check_ranges(fitted)


def _trained_again(estimator, parts):
    device = device_for(estimator)
    target = _target_again(estimator, parts["target"], parts["loss_of_target"])
    state = _net_parts(parts["net"], parts["loss_of_net"])
    if state["views"] == "augmentation":
        made = build_augmentation(
            estimator.augmentation,
            image_shape=estimator.image_shape_,
            counts=np.ones(2),
            device=device,
            rng=np.random.RandomState(0),
        )
        state["views"] = None if made.views is None else made.views.steps
    n_outputs = len(target.classes) if isinstance(target, ClassTarget) else 1
    read = _input_again(parts["read"], target)
    check_same_columns(estimator, read)
    with seeded(0, device), torch.inference_mode(False), torch.enable_grad():
        network = build_network(estimator, n_outputs, state["tensors"], device)
        estimator.net_ = net_again(
            target.net_class,
            network,
            state,
            target=target,
            read=read,
            device=device,
        )
        # The loss and the numbers by which outputs are interpreted must fit them.
        outputs = np.zeros((2, n_outputs), dtype=np.float32)
        interpreted = target.interpret(outputs)
        if np.shape(interpreted)[0] != len(outputs):
            raise ValueError("The file holds a target that does not fit the network.")
    return estimator


def _net_parts(state, loss):
    wanted = {
        "tensors",
        "frozen",
        "is_active",
        "is_contiguous",
        "views",
        "history",
        "settings",
        "optimizer",
        "options",
    }
    if not isinstance(state, dict) or set(state) != wanted:
        raise ValueError("The file lacks parts of a net, or holds other ones.")
    history = state["history"]
    if not isinstance(history, list) or not all(isinstance(row, dict) for row in history):
        raise ValueError("The file holds no history of epochs.")
    return {**state, "loss": loss}


def _input_again(state, target):
    if not isinstance(state, dict) or not set(state) <= {*LEARNED, "channels"}:
        raise ValueError("The file lacks the form of X, or holds another one.")
    if state.get("channels") not in (None, "first", "last"):
        raise ValueError(f"The file holds channels={state.get('channels')!r}.")
    read: Any = NetInput(state["channels"], target)
    vars(read).update({name: value for name, value in state.items() if name != "channels"})
    check_columns_of_file(read, needs_encoder=target is not None)
    return read


def _target_again(estimator, state, loss):
    """Return the target of a state."""
    target = estimator._make_target(estimator.get_params(deep=False))
    wanted = {
        ClassTarget: {
            "kind",
            "asked",
            "classes",
            "class_count",
            "class_weight",
            "effective_prior",
            "temperature",
            "decision_temperature",
        },
        ContinuousTarget: {"kind", "mean", "scale", "density_"},
    }[type(target)]
    if isinstance(target, ClassTarget) and np.ndim(getattr(estimator, "classes_", 0)) == 1:
        # Files of earlier versions have none.
        for name in ("biases_", "decision_biases_"):
            vars(estimator).setdefault(name, np.zeros(len(estimator.classes_)))
    lacking = sorted(set(OF_TARGET[type(target)]) - set(vars(estimator)))
    if lacking or not isinstance(state, dict) or set(state) - BIASES != wanted:
        raise ValueError(
            f"The file lacks {lacking or 'parts of the target'} of {type(estimator).__name__}."
        )
    if isinstance(target, ContinuousTarget):
        check_numbers("the target", (state["mean"], state["scale"]))
        target.mean, target.scale = state["mean"], state["scale"]
        target.density, target.loss = state["density_"], loss
        return target
    classes, count = state["classes"], state["class_count"]
    own = estimator.class_count_, estimator.effective_prior_, estimator.class_weight_
    biases = [estimator.biases_, estimator.decision_biases_]
    biases.extend(state[name] for name in sorted(BIASES & set(state)))
    for values in (classes, count, state["class_weight"], state["effective_prior"], *own, *biases):
        if not isinstance(values, np.ndarray) or values.ndim != 1 or len(values) != len(classes):
            raise ValueError("The file holds arrays of the classes that differ in length.")
    if len(classes) < 2 or not np.array_equal(classes, estimator.classes_):
        raise ValueError("The file holds two different lists of classes.")
    temperatures = (
        state["temperature"],
        state["decision_temperature"],
        estimator.temperature_,
        estimator.decision_temperature_,
    )
    check_numbers("the temperatures", temperatures)
    for values in biases:
        check_numbers("the biases", tuple(values.tolist()))
    if min(temperatures) <= 0:
        raise ValueError(f"The file holds the temperatures {temperatures}, which must be positive.")
    target.parameters |= state["asked"]
    target.classes, target.class_count = classes, count
    target.class_weight = state["class_weight"]
    target.posterior = Posterior(
        classes,
        count,
        loss,
        state["effective_prior"],
        temperature=state["temperature"],
        decision_temperature=state["decision_temperature"],
        biases=state.get("biases"),
        decision_biases=state.get("decision_biases"),
    )
    return target


def _embedder_again(embedder, parts):
    if parts["net"] is None:
        network = getattr(embedder, "estimator_", None)
        if not isinstance(network, BaseCNN) or not hasattr(network, "net_"):
            raise ValueError("The file holds an embedder without a fitted network.")
        embedder.net_ = network.net_
        return embedder
    if not _is_backbone(embedder.estimator):
        raise ValueError("The file holds an embedder without a pretrained network.")
    device = device_for(embedder)
    with seeded(0, device), torch.inference_mode(False), torch.enable_grad():
        # The same steps as in `fit`.
        network = copied_backbone(embedder.estimator, device)
        state = _net_parts(parts["net"], nn.Identity())
        embedder.net_ = net_again(
            ImageNet,
            network,
            state,
            target=None,
            read=_input_again(parts["read"], None),
            device=device,
        )
        embedder.estimator_ = network
    return embedder


def device_for(estimator):
    """Return the device of a loaded network: that of its estimator, or the CPU with a warning."""
    device = estimator.device or "auto"
    if is_available(device):
        return resolve_device(device)
    warn(
        f"The network was on device={str(device)!r}, which is not available here. It is loaded to "
        "the CPU, and `device` is 'cpu' now."
    )
    estimator.device = "cpu"
    return torch.device("cpu")
