"""The architecture of a pretrained network as JSON, and the network from it, without downloads."""

import json
import re

import torch

from skimb._networks._backbone import PretrainedBackbone
from skimb._networks._low_rank import LowRankBackbone, add_adapters
from skimb._networks._pretrained import TransformersNetwork, quiet

__all__ = ["backbone_config", "build_backbone"]

#: Entries by which a configuration could make transformers download files, or run code of others.
FOREIGN = {
    "architecture",
    "attn_implementation",
    "auto_map",
    "backbone",
    "backbone_kwargs",
    "custom_pipelines",
    "experts_implementation",
    "model_args",
    "quantization_config",
    "trust_remote_code",
    "use_pretrained_backbone",
    "use_timm_backbone",
}

#: The kinds of networks of transformers that are made for a file: those that read images alone, are
#: built of layers of torch, and hold no other model. Other kinds may name files or code.
MODEL_TYPES = {
    "beit",
    "convnext",
    "convnextv2",
    "cvt",
    "data2vec-vision",
    "deit",
    "dinov2",
    "dinov2_with_registers",
    "dinov3_convnext",
    "dinov3_vit",
    "efficientnet",
    "hiera",
    "ijepa",
    "levit",
    "mobilenet_v2",
    "mobilevit",
    "poolformer",
    "pvt",
    "pvt_v2",
    "regnet",
    "resnet",
    "swin",
    "swinv2",
    "vit",
    "vit_msn",
}

#: The ways to compute attention that transformers brings along; others are downloaded.
ATTENTION = ("eager", "sdpa")

#: The largest number in a configuration: a layer with more could not be built.
MOST = 1_000_000

#: The least number of layers that a configuration may ask for, whatever the tensors.
FEW = 64


def backbone_config(backbone):
    """Return all that is needed to build the network again, except for its tensors.

    Parameters
    ----------
    backbone : PretrainedBackbone
        The network.

    Returns
    -------
    dict
        ``{"source": None, ...}`` where it is not known how the network was built. It has
        ``"adapters"`` where there are low-rank adapters.
    """
    config = _config_without_adapters(backbone)
    if isinstance(backbone, LowRankBackbone):
        config["adapters"] = {"rank": backbone.rank, "layers": list(backbone.layers)}
    return config


def _config_without_adapters(backbone):
    network = backbone.network
    config = {
        "name": str(backbone.name),
        "image_size": None if backbone.image_size is None else list(backbone.image_size),
        "source": None,
        "architecture": None,
        "attention": None,
    }
    if isinstance(network, TransformersNetwork):
        own = network.model.config
        found = json.loads(own.to_json_string(use_diff=False))
        attention = getattr(own, "_attn_implementation", None)
        is_known = found.get("model_type") in MODEL_TYPES
        found = {name: value for name, value in found.items() if _is_written(name, value)}
        if is_known and not _foreign(found):
            config["source"] = "transformers"
            config["architecture"] = found
            config["attention"] = attention if attention in ATTENTION else None
        return config
    cfg = getattr(network, "pretrained_cfg", None) or {}
    architecture = cfg.get("architecture") if isinstance(cfg, dict) else None
    if architecture is None:
        architecture = getattr(cfg, "architecture", None)
    if architecture is not None:
        config |= {"source": "timm", "architecture": str(architecture)}
    return config


def _is_written(name, value):
    # Where the weights came from, and the versions that wrote them, do not belong to a model.
    return not name.startswith("_") and name not in ("architectures", "transformers_version")


def _foreign(found):
    """Return the names of entries, at any depth, that could bring files or code of others."""
    names = set()
    if isinstance(found, dict):
        for name, value in found.items():
            if name.startswith("_") or (name in FOREIGN and value not in (None, False, {}, [])):
                names.add(name)
            names |= _foreign(value)
    elif isinstance(found, list):
        for value in found:
            names |= _foreign(value)
    return names


def build_backbone(config, shapes):
    """Build a pretrained network with random weights.

    Parameters
    ----------
    config : dict
        As `backbone_config` returns it.
    shapes : dict of str to tuple of int
        The shape of each tensor, which must be those of the network. They are compared before any
        memory is used.

    Returns
    -------
    PretrainedBackbone

    Raises
    ------
    ValueError
        If it cannot be built, or has other tensors.
    ImportError
        If the library of the network is not installed.
    """
    wanted = {"name", "image_size", "source", "architecture", "attention"}
    if not isinstance(config, dict) or set(config) - {"adapters"} != wanted:
        raise ValueError("its description is not as skimb writes it.")
    size = config["image_size"]
    is_pair = isinstance(size, list) and len(size) == 2
    if size is not None and not (is_pair and all(_is_count(side) for side in size)):
        raise ValueError(f"it reads images of the size {size!r}.")
    makers = {"transformers": _of_transformers, "timm": _of_timm}
    if config["source"] not in makers:
        raise ValueError(f"it is not known how {config['name']!r} was built.")
    make = makers[config["source"]](config, len(shapes))
    adapters = _checked_adapters(config.get("adapters"))
    with torch.device("meta"):
        found = make()
        if adapters is not None:
            add_adapters(found, **adapters)
    own = {f"network.{name}": tuple(v.shape) for name, v in found.state_dict().items()}
    own |= {"mean": shapes.get("mean"), "sd": shapes.get("sd")}
    if own != shapes or shapes["mean"] != (3, 1, 1) or shapes["sd"] != (3, 1, 1):
        differing = sorted(
            name for name in {*own, *shapes} if own.get(name) != shapes.get(name)
        ) or ["mean"]
        raise ValueError(f"its tensors differ from those in the file, {differing[0]!r} first.")
    backbone = PretrainedBackbone(
        config["name"],
        make(),
        mean=(0.0, 0.0, 0.0),
        sd=(1.0, 1.0, 1.0),
        image_size=None if size is None else tuple(size),
    )
    return backbone if adapters is None else LowRankBackbone(backbone, **adapters)


def _checked_adapters(adapters):
    """Return the rank and the layers of adapters, if they have the form that skimb writes."""
    if adapters is None:
        return None
    is_known = isinstance(adapters, dict) and set(adapters) == {"rank", "layers"}
    layers = adapters["layers"] if is_known else None
    is_list = isinstance(layers, list) and all(type(name) is str for name in layers)
    if not is_list or not layers or not _is_count(adapters["rank"]):
        raise ValueError("its adapters are not as skimb writes them.")
    return adapters


def _is_count(value):
    return type(value) is int and 0 < value <= 10_000


def _of_transformers(config, n_tensors):
    from transformers import AutoConfig, AutoModel

    architecture = config["architecture"]
    if not isinstance(architecture, dict) or not _is_json(architecture):
        raise ValueError("its description is not as skimb writes it.")
    if foreign := _foreign(architecture):
        raise ValueError(f"its description names files or code of others: {sorted(foreign)}.")
    _check_sizes(architecture, max(n_tensors, FEW))
    attention = config["attention"]
    if attention is not None and attention not in ATTENTION:
        raise ValueError(f"it computes attention by {attention!r}.")
    options = dict(architecture)
    kind = options.pop("model_type", None)
    if not isinstance(kind, str) or kind not in MODEL_TYPES:
        raise ValueError(f"networks of the kind {kind!r} are not made for a file.")

    def make():
        with quiet():
            try:
                own = AutoConfig.for_model(kind, **options)
                chosen = {} if attention is None else {"attn_implementation": attention}
                model = AutoModel.from_config(
                    own, dtype=torch.float32, trust_remote_code=False, **chosen
                )
            except Exception as exc:
                raise ValueError(f"transformers cannot build it: {exc}.") from exc
        if getattr(model, "main_input_name", None) != "pixel_values":
            raise ValueError(f"{type(model).__name__} reads no images.")
        return TransformersNetwork(model).eval()

    return make


def _is_json(value):
    if isinstance(value, dict):
        return all(type(key) is str and _is_json(part) for key, part in value.items())
    if type(value) is list:
        return all(map(_is_json, value))
    return value is None or type(value) in (bool, int, float, str)


def _check_sizes(value, most_layers, name=""):
    """Refuse numbers with which building a network would take for ever."""
    if isinstance(value, dict):
        for key, part in value.items():
            _check_sizes(part, most_layers, str(key))
    elif isinstance(value, list):
        for part in value:
            _check_sizes(part, most_layers, name)
        numbers = [abs(part) for part in value if type(part) is int]
        if _counts_layers(name) and sum(numbers) > most_layers:
            raise ValueError(f"{name}={value} are too many.")
    elif type(value) is int and abs(value) > (most_layers if _counts_layers(name) else MOST):
        raise ValueError(f"{name}={value} is too large.")


def _counts_layers(name):
    return any(word in name for word in ("layer", "depth", "stage", "block"))


def _of_timm(config, n_tensors):
    import timm  # pyright: ignore[reportMissingImports]

    name = config["architecture"]
    if not isinstance(name, str) or not re.fullmatch(r"\w+(\.\w+)?", name):
        raise ValueError(f"{name!r} is no architecture of timm.")

    def make():
        try:
            return timm.create_model(name, pretrained=False, num_classes=0).eval()
        except (RuntimeError, ValueError, TypeError) as exc:
            raise ValueError(f"timm cannot build it: {exc}.") from exc

    return make
