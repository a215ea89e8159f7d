"""Networks as scikit-learn estimators: the only room that knows skorch."""

from skimb._engine._augmentation import FlipCrop
from skimb._engine._length import training_length
from skimb._engine._mixing import CutMix, Mixup, Remix
from skimb._networks._linear import CosineLinear
from skimb._networks._pretrained import pretrained
from skimb._networks._resnet import ResNet
from skimb._networks._simple_cnn import SimpleCNN
from skimb._networks._vgg import VGG
from skimb.neural_network._batch_sampler import BalancedBatchSampler
from skimb.neural_network._classifier import CNNClassifier
from skimb.neural_network._decoupled import DecoupledClassifier
from skimb.neural_network._deep_smote import DeepSMOTE
from skimb.neural_network._embedder import CNNEmbedder
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
