"""Networks as scikit-learn estimators: the only room that knows skorch."""

from skimb.neural_network._augmentation import CutMix, FlipCrop, Mixup, Remix
from skimb.neural_network._backbones import VGG, CosineLinear, ResNet
from skimb.neural_network._batch_sampler import BalancedBatchSampler
from skimb.neural_network._classifier import CNNClassifier
from skimb.neural_network._decoupled import DecoupledClassifier
from skimb.neural_network._deep_smote import DeepSMOTE
from skimb.neural_network._embedder import CNNEmbedder
from skimb.neural_network._length import training_length
from skimb.neural_network._modules import SimpleCNN
from skimb.neural_network._pretrained import pretrained
from skimb.neural_network._regressor import CNNRegressor

__all__ = [
    "VGG",
    "BalancedBatchSampler",
    "CNNClassifier",
    "CNNEmbedder",
    "CNNRegressor",
    "CosineLinear",
    "CutMix",
    "DecoupledClassifier",
    "DeepSMOTE",
    "FlipCrop",
    "Mixup",
    "Remix",
    "ResNet",
    "SimpleCNN",
    "pretrained",
    "training_length",
]
