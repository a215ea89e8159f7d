"""Time of an epoch and of a prediction, as ratios against a bare PyTorch loop in the same run.

Every contender trains the same network (conv3x3-32, conv3x3-64, each pooled, a linear layer) on
the same images with Adam and batches of 128, on one thread. Repeats are interleaved, and the ratio
is that of the fastest repeats. A second, identical bare loop shows how far noise alone goes.

    python benchmarks/speed/epoch.py [--repeats 7] [--device cpu]
"""

import argparse
import os
import time
import warnings
from functools import partial

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNetClassifier
from torch import nn
from torch.nn import functional as F

from skimb._engine._runtime import resolve_device
from skimb.neural_network import CNNClassifier

#: Side, channels, rows, epochs, by device: enough of each that what happens once a fit does not
#: count for much.
SIZES = {
    "cpu": {"8x8x1": (8, 1, 1280, 10), "28x28x1": (28, 1, 1280, 2), "64x64x3": (64, 3, 128, 3)},
    "cuda": {
        "8x8x1": (8, 1, 12800, 3),
        "28x28x1": (28, 1, 12800, 3),
        "64x64x3": (64, 3, 2560, 10),
    },
}


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


def bare_fit(X, y, net, device, n_epochs, *, tuned=False):
    """Train by hand: tensors preloaded, batches by index."""
    net = net.to(device)
    images = torch.from_numpy(X).to(device)
    target = torch.from_numpy(y).to(device)
    if tuned:
        net = net.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), fused=tuned)
    for _ in range(n_epochs):
        for rows in torch.randperm(len(images), device=device).split(128):
            optimizer.zero_grad()
            F.cross_entropy(net(images.index_select(0, rows)), target[rows]).backward()
            optimizer.step()
    return net


def skorch_fit(X, y, net, device, n_epochs):
    """Train by skorch as it comes."""
    return NeuralNetClassifier(
        net,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        max_epochs=n_epochs,
        iterator_train__shuffle=True,
        train_split=None,
        device=device,
        verbose=0,
    ).fit(X, y)


def skimb_fit(X, y, net, device, n_epochs):
    """Train by skimb, whatever it does beside: clipping, schedule, checks."""
    return CNNClassifier(
        net,
        optimizer="adam",
        weight_decay=0,
        max_epochs=n_epochs,
        batch_size=128,
        augmentation=None,
        channels="first",
        device=device,
        random_state=0,
    ).fit(X, y)


def seconds(function, device):
    """Time one call; waits for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    result = function()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start, result


def measure(name, side, n_channels, n_rows, n_epochs, *, repeats, device):
    """Print the ratios of one image size."""
    rng = np.random.RandomState(0)
    X = rng.randn(n_rows, n_channels, side, side).astype(np.float32)
    y = rng.randint(0, 2, size=n_rows).astype(np.int64)
    build = partial(Network, n_channels, 2, side=side)
    fits = {
        "bare loop": lambda: bare_fit(X, y, build(pool_first=False), device, n_epochs),
        "identical control": lambda: bare_fit(X, y, build(pool_first=False), device, n_epochs),
        "tuned bare loop": lambda: bare_fit(
            X, y, build(pool_first=True), device, n_epochs, tuned=True
        ),
        "skorch": lambda: skorch_fit(X, y, build(pool_first=False), device, n_epochs),
        "skimb": lambda: skimb_fit(X, y, build(pool_first=True), device, n_epochs),
    }
    times = {peer: [] for peer in fits}
    predictions = {"skorch": [], "skimb": []}
    for _ in range(repeats):
        for peer, fit in fits.items():
            elapsed, fitted = seconds(fit, device)
            times[peer].append(elapsed)
            if peer in predictions:
                elapsed, _ = seconds(lambda fitted=fitted: fitted.predict_proba(X), device)
                predictions[peer].append(elapsed)
    base = min(times["bare loop"])
    row = "  ".join(f"{peer} {min(values) / base:.2f}" for peer, values in times.items())
    tuned = min(times["skimb"]) / min(times["tuned bare loop"])
    prediction = min(predictions["skimb"]) / min(predictions["skorch"])
    print(f"{name}: bare loop {1e3 * base / n_epochs:.0f} ms an epoch; ratios: {row}")
    print(
        f"{'':>{len(name)}}  to the tuned loop {tuned:.2f}; prediction to skorch's {prediction:.2f}"
    )


def main():
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description="Time an epoch and a prediction.")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    device = resolve_device(arguments.device)
    label = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU, one thread"
    print(f"torch {torch.__version__}, {label}, {arguments.repeats} repeats")
    torch.set_num_threads(1)
    # skimb chooses its threads by the work; here everyone has one.
    os.environ["OMP_THREAD_LIMIT"] = "1"
    # Neither the networks nor their length are meant to learn.
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    for name, sizes in SIZES[device.type].items():
        measure(name, *sizes, repeats=arguments.repeats, device=device)


if __name__ == "__main__":
    main()
