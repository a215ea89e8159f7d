"""Pretrained networks: vision backbones of Hugging Face transformers and timm, and of users."""

import copy
import json
import os
from contextlib import contextmanager
from numbers import Integral
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import nn

from skimb._networks._backbone import PretrainedBackbone
from skimb._process import exclusive

__all__ = ["TransformersNetwork", "pretrained", "quiet"]

#: Suffixes of files that torch reads by unpickling.
PICKLES = (".bin", ".pth", ".pt", ".pth.tar", ".ckpt", ".pkl")

#: The standardisation with which most networks were trained, those of torchvision among them.
IMAGENET_MEAN, IMAGENET_SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def pretrained(
    name_or_path: Any, *, mean: Any = None, sd: Any = None, image_size: Any = None
) -> PretrainedBackbone:
    """Make a vision network that was trained on other images the `module` of an estimator.

    ``CNNClassifier(pretrained(...), freeze="features")`` trains a linear layer on its embeddings,
    `freeze` and `lr_decay` fine-tune it, and ``CNNEmbedder(pretrained(...))`` embeds without any
    training. If every class has few images, this is better than a network trained from random
    weights.

    Parameters
    ----------
    name_or_path : str, Path or nn.Module
        A folder, or a name on the Hugging Face hub, of a vision model of transformers (which needs
        skimb's extra ``pretrained``): ViT, DeiT, DINOv2, Swin, ResNet, ConvNeXt and others. A
        folder works offline. Or a model of timm, where that is installed: a folder that timm saved,
        or a name with or without the prefix ``timm/``. Weights are read from files of safetensors,
        which hold only numbers; a pickle (``.bin``, ``.pth``) could run code. For names of timm
        without such a file, torch reads the weights and nothing else. Or a network of your own that
        has its weights: a module, which is copied, from images (n, 3, H, W) to embeddings (n, d),
        or to feature maps (n, d, h, w), which are averaged over their pixels.
    mean, sd : sequence of three float, default=None
        The mean and standard deviation of red, green and blue, as fractions of the largest value,
        by which images were standardised when the network was trained. None: those that the model
        names, or else those of ImageNet, (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225).
    image_size : int or tuple of int, default=None
        Side, or height and width, to which images are resized. None: the size on which the model
        was trained; images are not resized for a module, or a model that names no size.

    Returns
    -------
    PretrainedBackbone
        An ``nn.Module`` from images (n, C, H, W), C in 1, 3, 4, with values in [0, 1] to embeddings
        (n, d): the class token if the network has one, otherwise the mean over the feature map.
        ``standardize="auto"`` of an estimator rescales pixels to [0, 1].

    Raises
    ------
    ImportError
        If the library that the model needs is not installed; the message names the extra.
    ValueError
        If there is no such model, if it has no weights in files of safetensors, if it reads no
        images, or if the files lack weights; or if a module gives no embeddings.

    References
    ----------
    .. [1] Wolf et al., Transformers: State-of-the-Art Natural Language Processing, EMNLP 2020,
       doi:10.18653/v1/2020.emnlp-demos.6.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from transformers import ResNetConfig, ResNetModel
    >>> from transformers.utils import logging
    >>> from skimb.neural_network import CNNEmbedder, pretrained
    >>> logging.disable_progress_bar()
    >>> small = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ResNetModel(small).save_pretrained(folder)
    ...     backbone = pretrained(folder, image_size=32)
    >>> X = np.zeros((5, 8, 8, 3), dtype=np.uint8)
    >>> CNNEmbedder(backbone).fit_transform(X).shape
    (5, 16)

    A network of your own is given as it is:

    >>> from torch import nn
    >>> own = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    >>> CNNEmbedder(pretrained(own, mean=(0, 0, 0), sd=(1, 1, 1))).fit_transform(X).shape
    (5, 4)
    """
    if image_size is not None:
        is_side = isinstance(image_size, Integral)
        image_size = (int(image_size),) * 2 if is_side else tuple(map(int, image_size))
        if len(image_size) != 2 or min(image_size) < 1:
            raise ValueError(
                f"`image_size` must be a side or (height, width), positive. Got {image_size}."
            )
    given = {"mean": _three_numbers("mean", mean), "sd": _three_numbers("sd", sd)}
    if given["sd"] is not None and min(given["sd"]) <= 0:
        raise ValueError(f"`sd` must be three positive numbers. Got {sd!r}.")
    if isinstance(name_or_path, nn.Module):
        return _from_module(name_or_path, **given, image_size=image_size)
    name = os.fspath(name_or_path)
    is_path = isinstance(name_or_path, os.PathLike) or name.startswith((".", "~", os.sep))
    if is_path and not os.path.isdir(name):
        raise ValueError(f"There is no folder {name!r}. Give one that holds a model, or a name.")
    if os.path.isdir(name):
        _refuse_pickles(name)
    # A model starts with random weights, which are replaced; torch's generator is restored.
    with exclusive(), torch.random.fork_rng(devices=[]):
        load = _from_timm if _is_of_timm(name) else _from_transformers
        return load(name, **given, image_size=image_size)


def _three_numbers(name, values):
    """Return a mean or standard deviation of three channels as floats; None stays None."""
    if values is None:
        return None
    try:
        numbers = tuple(map(float, values))
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != 3 or not np.isfinite(numbers).all():
        raise ValueError(
            f"`{name}` must be three numbers, one for each of red, green and blue, as fractions of "
            f"the largest value of a pixel. Got {values!r}."
        )
    return numbers


def _refuse_pickles(folder):
    """Refuse a folder whose only weights are in files that may run code when they are read."""
    files = sorted(os.listdir(folder))
    pickles = [file for file in files if file.endswith(PICKLES)]
    if pickles and not any(file.endswith(".safetensors") for file in files):
        raise ValueError(
            f"The folder {folder} has its weights only in {pickles[0]}, a kind of file that may "
            "run code when it is read. Give weights as safetensors (model.safetensors): where you "
            "trust the file, load the model once and save it with model.save_pretrained(folder)."
        )


def _is_of_timm(name):
    if os.path.isdir(name):
        return "pretrained_cfg" in _read_config(name)
    # Names of the hub have an owner before the slash; names of timm have no slash.
    return name.startswith(("timm/", "hf-hub:", "hf_hub:")) or "/" not in name


def _read_config(folder):
    path = os.path.join(folder, "config.json")
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError as exc:
        raise ValueError(
            f"The folder {folder} has no config.json, so it holds no model of transformers or "
            "timm. Save one there with model.save_pretrained(folder)."
        ) from exc
    except ValueError as exc:
        raise ValueError(f"{path} is no valid JSON: {exc}") from exc


def _from_module(network, mean, sd, image_size):
    if isinstance(network, PretrainedBackbone):
        raise ValueError(f"{network!r} is the result of `pretrained` already. Use it as it is.")
    kind = type(network).__name__
    own = copy.deepcopy(network).to("cpu", torch.float32)
    try:
        return PretrainedBackbone(
            kind, own, mean=mean or IMAGENET_MEAN, sd=sd or IMAGENET_SD, image_size=image_size
        )
    except Exception as exc:
        raise ValueError(
            f"The network {kind} gives no embeddings (n, d) or feature maps (n, d, h, w) for "
            f"images (n, 3, H, W): {exc}. Leave its last layer out, and give the `image_size` that "
            "it needs."
        ) from exc


def _from_timm(name, mean, sd, image_size):
    try:
        import timm  # pyright: ignore[reportMissingImports]
        from timm.data import (  # pyright: ignore[reportMissingImports]
            resolve_model_data_config,
        )
    except (ImportError, RuntimeError, OSError) as exc:
        raise ImportError(
            f"{name!r} is not a folder and not a name of the Hugging Face hub (OWNER/MODEL), so it "
            f"is taken for a model of timm, which cannot be imported ({exc}). Install timm and a "
            "torchvision that fits your torch, or give a model of transformers "
            "(pip install 'skimb[pretrained]')."
        ) from exc
    where = f"local-dir:{name}" if os.path.isdir(name) else name
    if where.startswith("timm/"):
        where = f"hf-hub:{where}"
    try:
        with _weights_alone():
            model = timm.create_model(where, pretrained=True, num_classes=0)
    except (RuntimeError, ValueError, OSError, UnpicklingError) as exc:
        raise ValueError(f"timm cannot load {name!r}: {exc}") from exc
    config = resolve_model_data_config(model)
    return PretrainedBackbone(
        name,
        model,
        mean=mean or config["mean"],
        sd=sd or config["std"],
        image_size=image_size or tuple(config["input_size"][1:]),
    )


def _from_transformers(name, mean, sd, image_size):
    try:
        from transformers import AutoModel, ImageProcessingMixin
    except ImportError as exc:
        raise ImportError(
            f"{name!r} is a model of transformers, which is not installed. Install skimb's extra: "
            "pip install 'skimb[pretrained]'."
        ) from exc
    is_folder = os.path.isdir(name)
    # An index of safetensors may still name a pickle.
    with quiet(), _weights_alone():
        try:
            model, report = AutoModel.from_pretrained(
                name,
                local_files_only=is_folder,
                output_loading_info=True,
                dtype=torch.float32,
                use_safetensors=True,
                # With None, transformers would ask on a terminal and wait.
                trust_remote_code=False,
            )
        except (OSError, ValueError, RuntimeError, SafetensorError, UnpicklingError) as exc:
            raise ValueError(f"transformers cannot load {name!r}: {exc}") from exc
    if getattr(model, "main_input_name", None) != "pixel_values":
        raise ValueError(f"{name!r} ({type(model).__name__}) reads no images. Give a vision model.")
    network = TransformersNetwork(model)
    used = {key for key, _ in network.model.named_parameters()}
    lacking = sorted(used & set(report["missing_keys"]))
    if lacking:
        raise ValueError(
            f"The files of {name!r} lack {len(lacking)} of the weights of {type(model).__name__}, "
            f"{lacking[0]!r} among them, which would be random. Give a complete model."
        )
    try:
        processor, _ = ImageProcessingMixin.get_image_processor_dict(
            name, local_files_only=is_folder
        )
    except OSError:
        processor = {}
    return PretrainedBackbone(
        name,
        network,
        mean=mean or processor.get("image_mean") or IMAGENET_MEAN,
        sd=sd or processor.get("image_std") or IMAGENET_SD,
        image_size=image_size or _size_of(processor, model.config),
    )


def _size_of(processor, config):
    """Return the (height, width) on which a model was trained, or None if it is not known."""
    # Positions and windows were learned for the size in the config of the model.
    size = (
        getattr(config, "image_size", None) or processor.get("crop_size") or processor.get("size")
    )
    if isinstance(size, dict):
        side = size.get("shortest_edge")
        size = (size.get("height", side), size.get("width", side))
        size = None if None in size else size
    if isinstance(size, int):
        size = (size, size)
    return None if size is None else tuple(size)


class TransformersNetwork(nn.Module):
    """A vision model of transformers that outputs one embedding per image.

    Parameters
    ----------
    model : PreTrainedModel
        The model, which reads ``pixel_values``.
    """

    def __init__(self, model):
        super().__init__()
        self.reads_class_token = any(
            name.endswith("cls_token") for name, _ in model.named_parameters()
        )
        if self.reads_class_token and getattr(model, "pooler", None) is not None:
            # A layer on the class token is for another task, and random in many checkpoints.
            model.pooler = None
        self.model = model

    def forward(self, images):
        """Return the embeddings ``(n, d)`` of images ``(n, 3, H, W)``."""
        output = self.model(pixel_values=images)
        if self.reads_class_token:
            return output.last_hidden_state[:, 0]
        pooled = getattr(output, "pooler_output", None)
        if pooled is not None:
            return pooled.flatten(1)
        last = output.last_hidden_state
        return last.mean((2, 3)) if last.ndim == 4 else last.mean(1)


@contextmanager
def _weights_alone():
    """Let torch read only weights from a pickle and run no code, whatever a library asks for."""
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def quiet():
    """Silence transformers' report of weights that are not needed, and its progress bars."""
    from transformers.utils import logging

    verbosity, shows_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if shows_bars:
            logging.enable_progress_bar()
