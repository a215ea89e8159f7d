"""Heads of a trained network: their starting weights, and heads made from its last layer."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from torch import nn
from torch.nn import functional as F

from skimb._class_prior import starting_prior
from skimb._engine import by_blocks, dataset_of
from skimb._networks import CosineLinear, last_linear
from skimb.losses import Loss
from skimb.neural_network._pending_fit import PendingFit, pend

__all__ = [
    "ScaledLinear",
    "TauNormalizedHead",
    "fit_head",
    "own_layer",
    "prepare_head",
    "starting_layer",
]


def last_layer(classifier):
    """Return the last linear layer of a fitted network.

    Parameters
    ----------
    classifier : CNNClassifier
        The fitted network, which is tried on two images of noise.

    Returns
    -------
    (weight, bias) or None
        ndarrays of shape (n_classes, d) and (n_classes,), float32; None where the logits of the
        network are not the output of this layer.
    """
    device = torch.device(classifier.net_.device)
    layer = last_linear(classifier.module_.eval(), classifier.image_shape_, device)
    weight = layer.weight.detach().cpu().numpy()
    bias = np.zeros(len(weight), dtype=np.float32)
    if layer.bias is not None:
        bias = layer.bias.detach().cpu().numpy()
    n_channels, height, width = classifier.image_shape_
    noise = np.random.RandomState(0).rand(2, height, width, n_channels).astype(np.float32)
    dataset = dataset_of(noise)
    logits = classifier.net_.logits(dataset)
    embedded = classifier.net_.values_at(layer, dataset, inputs=True)
    if isinstance(layer, CosineLinear) or embedded.shape[1] != weight.shape[1]:
        return None
    made = embedded @ weight.T + bias
    is_last = made.shape == logits.shape and np.allclose(made, logits, rtol=1e-3, atol=1e-3)
    return (weight, bias) if is_last else None


def own_layer(classifier):
    """Return the last linear layer of a fitted network; raise an error if there is none.

    Parameters
    ----------
    classifier : CNNClassifier
        The fitted network.

    Returns
    -------
    weight, bias : ndarray

    Raises
    ------
    ValueError
        If the logits of the network are not the output of this layer.
    """
    layer = last_layer(classifier)
    if layer is None:
        raise ValueError(
            "This head is made from the last linear layer of the network, but its logits are not "
            "that layer's: they are cosines, or another layer follows. Use head='linear', or a "
            "network that ends in nn.Linear."
        )
    return layer


def starting_layer(classifier: Any, y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Return the starting weights of a linear head: the last layer of a network, without its prior.

    Parameters
    ----------
    classifier : CNNClassifier
        The fitted network.
    y : array-like of shape (n,)
        The labels that the head is to learn.

    Returns
    -------
    (weight, bias) or None
        The logits of this layer are log-likelihoods of the classes, up to a constant per sample.
        None where the network has no such layer, or other classes.

    Examples
    --------
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.neural_network import CNNClassifier
    >>> from skimb.neural_network.joint_training import starting_layer
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> clf = CNNClassifier(max_epochs=1, random_state=0).fit(X, y)
    >>> weight, bias = starting_layer(clf, y)
    >>> weight.shape == (2, clf.embed(X[:1]).shape[1]), bias.shape
    (True, (2,))
    """
    if not np.array_equal(classifier.classes_, np.unique(y)):
        return None
    layer = last_layer(classifier)
    if layer is None:
        return None
    weight, bias = layer
    prior = starting_prior(classifier.effective_prior_, classifier.class_count_.sum())
    return weight, bias + _log_offset(classifier.loss_, len(bias)) - np.log(prior)


def _log_offset(loss, n_classes):
    """Return the offsets that a loss adds to logits of zero to adjust the prior."""
    if not isinstance(loss, Loss) or loss.needs_cosine_head:
        return np.zeros(n_classes)
    zeros = torch.zeros(1, n_classes, dtype=torch.float64, device="cpu")
    return loss.effective_logits(zeros)[0].numpy()


def prepare_head(
    head: Any,
    embedded: NDArray[Any],
    y: NDArray[Any],
    sample_weight: NDArray[Any] | None,
    start: tuple[NDArray[Any], NDArray[Any]] | None,
) -> PendingFit:
    """Build a linear head whose training has not begun.

    It starts from the last layer of the network, with the prior of its own training [1]_. Little is
    left to learn, and a few small steps keep what the network has learned.

    Parameters
    ----------
    head : CNNClassifier
        The head, with ``module="linear"``.
    embedded : ndarray of shape (n, d)
        Embeddings.
    y : ndarray of shape (n,)
        Labels.
    sample_weight : ndarray of shape (n,), or None
        Sample weights.
    start : (weight, bias) or None
        As `starting_layer` returns it; None: random weights.

    Returns
    -------
    PendingFit

    References
    ----------
    .. [1] Menon et al., Long-tail Learning via Logit Adjustment, ICLR 2021, arXiv:2007.07314.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.neural_network import CNNClassifier
    >>> from skimb.neural_network.joint_training import prepare_head
    >>> embedded = np.random.RandomState(0).rand(20, 3).astype(np.float32)
    >>> head = CNNClassifier("linear", max_epochs=1, random_state=0)
    >>> pending = prepare_head(head, embedded, np.arange(20) % 2, None, None)
    >>> pending.train().predict(embedded).shape
    (20,)
    """
    head.set_params(image_shape=(embedded.shape[1], 1, 1))
    pending = pend(head, embedded, y, sample_weight)
    layer = pending.network.head
    weight, bias = start or (np.empty(0), np.empty(0))
    # A part of the samples may lack a class that the network knows.
    if weight.shape == layer.weight.shape and not isinstance(layer, CosineLinear):
        offset = _log_offset(pending.training.phase(0).loss, len(bias))
        prior = starting_prior(pending.training.target.posterior.effective_prior, len(embedded))
        bias = bias + np.log(prior) - offset
        with torch.no_grad():
            layer.weight.copy_(torch.as_tensor(weight))
            layer.bias.copy_(torch.as_tensor(bias - bias.mean()))
    return pending


def fit_head(head, embedded, y, sample_weight, start):
    """Fit a linear head on its own.

    Parameters
    ----------
    head, embedded, y, sample_weight, start
        As for `prepare_head`.

    Returns
    -------
    CNNClassifier
        The head.
    """
    return prepare_head(head, embedded, y, sample_weight, start).train()


class ScaledLinear(nn.Module):
    """A linear layer that does not train, with a trained factor for each logit.

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
        return self.scale * F.linear(x.flatten(1), self.weight, self.bias)


class TauNormalizedHead(ClassifierMixin, BaseEstimator):
    r"""A linear layer whose rows are :math:`w_k / \lVert w_k \rVert^\tau`, without bias.

    Parameters
    ----------
    tau : float, default=1.0
        0 leaves the rows as they are, 1 scales them to length 1.
    """

    def __init__(self, tau=1.0):
        self.tau = tau

    def take(self, weight, classes):
        """Set the layer that is to be normalised.

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
        # A row of zeros stays a row of zeros.
        self.weight_ = weight / np.maximum(norms, np.finfo(np.float32).tiny) ** self.tau
        self.classes_ = classes
        return self

    def predict_log_proba(self, X):
        """Return the log-softmax of the logits of embeddings ``(n, d)``."""
        weight = torch.from_numpy(self.weight_)
        logits = by_blocks(lambda rows: F.linear(rows, weight), X)
        return log_softmax(logits.astype(np.float64), axis=1)

    def predict_proba(self, X):
        """Return the softmax of the logits."""
        return np.exp(self.predict_log_proba(X))

    def decision_function(self, X):
        """Return log-probabilities, or their difference for two classes."""
        log_proba = self.predict_log_proba(X)
        return log_proba[:, 1] - log_proba[:, 0] if len(self.classes_) == 2 else log_proba

    def predict(self, X):
        """Return the most probable labels."""
        return self.classes_[self.predict_log_proba(X).argmax(axis=1)]
