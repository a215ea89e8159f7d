"""Networks as scikit-learn estimators: the only room that knows skorch."""

from skimb.neural_network._augmentation import FlipCrop
from skimb.neural_network._classifier import CNNClassifier
from skimb.neural_network._decoupled import DecoupledClassifier
from skimb.neural_network._modules import SimpleCNN

__all__ = ["CNNClassifier", "DecoupledClassifier", "FlipCrop", "SimpleCNN"]
