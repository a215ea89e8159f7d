"""Networks as scikit-learn estimators."""

from skimb._engine import CutMix, FlipCrop, Jitter, Mixup, Remix, data_parallel, training_length
from skimb._networks import VGG, CosineLinear, ResNet, SimpleCNN, low_rank, pretrained
from skimb.neural_network._batch_sampler import BalancedBatchSampler
from skimb.neural_network._classifier import CNNClassifier
from skimb.neural_network._decoupled import DecoupledClassifier
from skimb.neural_network._deep_smote import DeepSMOTE
from skimb.neural_network._embedder import CNNEmbedder
from skimb.neural_network._onnx import export_onnx
from skimb.neural_network._regressor import CNNRegressor
from skimb.neural_network._saving import load, read_metadata, save
from skimb.neural_network._training_summary import TrainingSummary

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
    "Jitter",
    "Mixup",
    "Remix",
    "ResNet",
    "SimpleCNN",
    "TrainingSummary",
    "data_parallel",
    "export_onnx",
    "load",
    "low_rank",
    "pretrained",
    "read_metadata",
    "save",
    "training_length",
]
