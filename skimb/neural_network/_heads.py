"""Heads made from the last layer of a trained network, and the reading of that layer."""

import numpy as np
import torch
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from torch import nn

from skimb.neural_network._backbones import CosineLinear
from skimb.neural_network._modules import last_linear

__all__ = ["ScaledLinear", "TauNormalizedHead", "last_layer"]


def last_layer(classifier, X):
    """Return the last linear layer of a fitted network.

    Parameters
    ----------
    classifier : CNNClassifier
        The fitted network.
    X : array-like
        Images, of which a few are tried.

    Returns
    -------
    weight : ndarray of shape (n_classes, d), float32
    bias : ndarray of shape (n_classes,), float32

    Raises
    ------
    ValueError
        If the logits are not what this layer makes of the embedding.
    """
    device = torch.device(classifier.net_.device)
    layer = last_linear(classifier.module_.eval(), classifier.image_shape_, device)
    weight = layer.weight.detach().cpu().numpy()
    bias = np.zeros(len(weight), dtype=np.float32)
    if layer.bias is not None:
        bias = layer.bias.detach().cpu().numpy()
    few = X[:2]
    logits = classifier.net_.logits(classifier._dataset(few))
    made = classifier.embed(few) @ weight.T + bias
    if isinstance(layer, CosineLinear) or not np.allclose(made, logits, rtol=1e-3, atol=1e-3):
        raise ValueError(
            "This head is made from the last linear layer of the network, but its logits are not "
            "that layer's: they are cosines, or something follows. Use head='linear', or a "
            "network that ends in nn.Linear."
        )
    return weight, bias


class ScaledLinear(nn.Module):
    """A linear layer that stays as it is, with a trained factor for each logit.

    Parameters
    ----------
    weight : ndarray of shape (n_classes, d)
    bias : ndarray of shape (n_classes,)
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, weight, bias):
        super().__init__()
        self.register_buffer("weight", torch.tensor(weight))
        self.register_buffer("bias", torch.tensor(bias))
        self.scale = nn.Parameter(torch.ones(len(weight)))

    def forward(self, x):
        """Return the logits ``(n, n_classes)`` of embeddings ``(n, d, 1, 1)``."""
        return self.scale * nn.functional.linear(x.flatten(1), self.weight, self.bias)


class TauNormalizedHead(ClassifierMixin, BaseEstimator):
    r"""A linear layer whose rows are :math:`w_k / \lVert w_k \rVert^\tau`, without bias.

    Parameters
    ----------
    tau : float, default=1.0
        0 leaves the rows as they are, 1 makes them of length 1.
    """

    def __init__(self, tau=1.0):
        self.tau = tau

    def take(self, weight, classes):
        """Take the layer that is to be normalised.

        Parameters
        ----------
        weight : ndarray of shape (n_classes, d)
            Its rows.
        classes : ndarray of shape (n_classes,)
            Labels.

        Returns
        -------
        self
        """
        norms = np.linalg.norm(weight, axis=1, keepdims=True)
        # A row of zeros stays one.
        self.weight_ = weight / np.maximum(norms, np.finfo(np.float32).tiny) ** self.tau
        self.classes_ = classes
        return self

    def predict_log_proba(self, X):
        """Return the log-softmax of the logits of embeddings ``(n, d)``."""
        return log_softmax((X @ self.weight_.T).astype(np.float64), axis=1)

    def predict_proba(self, X):
        """Return the softmax of the logits."""
        return np.exp(self.predict_log_proba(X))

    def decision_function(self, X):
        """Return log-probabilities; for two classes their difference."""
        log_proba = self.predict_log_proba(X)
        return log_proba[:, 1] - log_proba[:, 0] if len(self.classes_) == 2 else log_proba

    def predict(self, X):
        """Return the most probable labels."""
        return self.classes_[self.predict_log_proba(X).argmax(axis=1)]
