"""The networks that skimb is compared with, and their training by skorch and by Keras."""

import importlib
import importlib.util
import os

import torch
from skorch import NeuralNetClassifier
from torch import nn
from torch.nn import functional as F


class Network(nn.Module):
    """The peers' network; ``pool_first`` moves the activation behind the pooling."""

    def __init__(self, in_channels, n_outputs, *, side, pool_first):
        super().__init__()
        self.first = nn.Conv2d(in_channels, 32, 3, padding=1)
        self.second = nn.Conv2d(32, 64, 3, padding=1)
        self.head = nn.Linear(64 * (side // 4) ** 2, n_outputs)
        self.pool_first = pool_first

    def forward(self, x):
        """Return the logits."""
        for convolution in (self.first, self.second):
            x = convolution(x)
            if self.pool_first:
                x = F.relu(F.max_pool2d(x, 2))
            else:
                x = F.max_pool2d(F.relu(x), 2)
        return self.head(x.flatten(1))


class WholeBatches:
    """An iterator for skorch that takes a batch by its indices, and collates nothing."""

    def __init__(self, dataset, batch_size, shuffle=False):
        # A prediction has no y.
        self.X, self.y = torch.as_tensor(dataset.X), dataset.y
        self.batch_size, self.shuffle = batch_size, shuffle

    def __iter__(self):
        n_samples = len(self.X)
        y = torch.zeros(n_samples) if self.y is None else torch.as_tensor(self.y)
        order = torch.randperm(n_samples) if self.shuffle else torch.arange(n_samples)
        for rows in order.split(self.batch_size):
            yield self.X[rows], y[rows]


def fit_skorch(X, y, net, device, n_epochs, *, batch_size, whole_batches=False, held_out=False):
    """Train by skorch as it comes, or with whole batches and without callbacks."""
    own: dict = {} if held_out else {"train_split": None}
    if whole_batches:
        own |= {"iterator_train": WholeBatches, "iterator_valid": WholeBatches}
        own["callbacks"] = "disable"
    return NeuralNetClassifier(
        net,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        max_epochs=n_epochs,
        batch_size=batch_size,
        iterator_train__shuffle=True,
        device=device,
        verbose=0,
        **own,
    ).fit(X, y)


def has_keras(device):
    """Return whether Keras is installed and would train on this device, on torch.

    It takes CUDA where there is one: inside ``keras.device(...)`` Keras 3.15 finds no gradients.
    """
    default = "cuda" if torch.cuda.is_available() else "cpu"
    return importlib.util.find_spec("keras") is not None and device.type == default


def fit_keras(X, y, n_epochs, *, batch_size):
    """Train the peers' network by Keras; images are channels-last there."""
    os.environ["KERAS_BACKEND"] = "torch"
    keras = importlib.import_module("keras")
    model = keras.Sequential(
        [
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(64, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(int(y.max()) + 1),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(X.transpose(0, 2, 3, 1), y, batch_size=batch_size, epochs=n_epochs, verbose=0)
    return model
