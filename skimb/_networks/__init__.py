"""Networks: architectures by name, pretrained backbones, and probes of a network."""

from skimb._networks._auto_encoder import AutoEncoder
from skimb._networks._backbone import PretrainedBackbone, unit_scale
from skimb._networks._building import MODULES, build_module
from skimb._networks._layer_order import layer_groups
from skimb._networks._linear import CosineLinear, LinearModel
from skimb._networks._low_rank import LowRankBackbone, low_rank
from skimb._networks._memory_layout import in_memory, lay_out
from skimb._networks._mixed_network import MixedNetwork, TableNetwork, TableShape
from skimb._networks._pretrained import pretrained
from skimb._networks._probes import (
    batch_norms,
    count_multiply_adds,
    hidden_values,
    last_linear,
    named_batch_norms,
)
from skimb._networks._resnet import ResNet
from skimb._networks._saved_backbone import backbone_config, build_backbone
from skimb._networks._simple_cnn import SimpleCNN
from skimb._networks._vgg import VGG

__all__ = [
    "MODULES",
    "VGG",
    "AutoEncoder",
    "CosineLinear",
    "LinearModel",
    "LowRankBackbone",
    "MixedNetwork",
    "PretrainedBackbone",
    "ResNet",
    "SimpleCNN",
    "TableNetwork",
    "TableShape",
    "backbone_config",
    "batch_norms",
    "build_backbone",
    "build_module",
    "count_multiply_adds",
    "hidden_values",
    "in_memory",
    "last_linear",
    "lay_out",
    "layer_groups",
    "low_rank",
    "named_batch_norms",
    "pretrained",
    "unit_scale",
]
