"""Time of an epoch and of a prediction, against loops by hand, skorch, and Keras if there is one.

Every contender trains the same network (conv3x3-32, conv3x3-64, each pooled, a linear layer) on
the same images with Adam and batches of 128. The tuned loop and skimb have channels-last memory, a
fused optimiser and pooling before the activation. skimb does in addition what it always does:
clipping, the schedule, checks, and what happens once a fit.

    python benchmarks/speed/epoch.py [--device cuda] [--repeats 7] [--json FILE]
"""

import warnings

import numpy as np
import peers
import torch
from harness import Benchmark, parser_of, target
from sklearn.exceptions import ConvergenceWarning
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from skimb.neural_network import CNNClassifier

#: Side, channels, samples and epochs by device: enough of each that what happens once a fit does
#: not count for much. Targets: to the bare loop.
SIZES = {
    "cpu": {"8x8x1": (8, 1, 1280, 10), "28x28x1": (28, 1, 1280, 2), "64x64x3": (64, 3, 128, 3)},
    "cuda": {
        "8x8x1": (8, 1, 12800, 3),
        "28x28x1": (28, 1, 12800, 3),
        "64x64x3": (64, 3, 2560, 10),
    },
}
TO_THE_BARE_LOOP = {"8x8x1": 0.75, "28x28x1": 0.75, "64x64x3": 0.80}

BATCH = 128


def fit_by_hand(X, y, net, device, n_epochs, *, tuned=False):
    """Train by hand: tensors preloaded, batches by index."""
    net = net.to(device)
    images, labels = torch.from_numpy(X).to(device), torch.from_numpy(y).to(device)
    if tuned:
        net = net.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), fused=tuned)
    for _ in range(n_epochs):
        for rows in torch.randperm(len(images), device=device).split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(net(images.index_select(0, rows)), labels[rows]).backward()
            optimizer.step()
    return net


def fit_from_loader(X, y, net, device, n_epochs):
    """Train by hand, with torch's own loader."""
    net = net.to(device)
    data = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    optimizer = torch.optim.Adam(net.parameters())
    for _ in range(n_epochs):
        for images, labels in DataLoader(data, batch_size=BATCH, shuffle=True):
            optimizer.zero_grad()
            F.cross_entropy(net(images.to(device)), labels.to(device)).backward()
            optimizer.step()
    return net


def fit_skimb(X, y, net, device, n_epochs):
    """Train by skimb, with whatever it does in addition."""
    return CNNClassifier(
        net,
        optimizer="adam",
        weight_decay=0,
        max_epochs=n_epochs,
        batch_size=BATCH,
        augmentation=None,
        channels="first",
        device=device,
        random_state=0,
    ).fit(X, y)


def measure(benchmark, name, side, n_channels, n_rows, n_epochs):
    """Add the tables of one image size."""
    rng = np.random.RandomState(0)
    X = rng.randn(n_rows, n_channels, side, side).astype(np.float32)
    y = rng.randint(0, 2, size=n_rows).astype(np.int64)
    device = benchmark.device

    def contender(fit, *, pool_first=False, **options):
        def call():
            net = peers.Network(n_channels, 2, side=side, pool_first=pool_first)
            return fit(X, y, net, device, n_epochs, **options)

        return call

    contenders = {
        "loop by hand": contender(fit_by_hand),
        "tuned loop by hand": contender(fit_by_hand, pool_first=True, tuned=True),
        "loop by hand, DataLoader": contender(fit_from_loader),
        "skorch": contender(peers.fit_skorch, batch_size=BATCH),
        "skorch, whole batches": contender(peers.fit_skorch, batch_size=BATCH, whole_batches=True),
        "skimb": contender(fit_skimb, pool_first=True),
    }
    if peers.has_keras(device):
        contenders["Keras"] = lambda: peers.fit_keras(X, y, n_epochs, batch_size=BATCH)
    on_cpu = device.type == "cpu"
    aims = [target("skimb", "loop by hand", TO_THE_BARE_LOOP[name])] if on_cpu else []
    fitted = benchmark.compare(
        f"An epoch, {name}, {n_rows} images",
        contenders,
        per=n_epochs,
        targets=[*aims, target("skimb", "tuned loop by hand", 1.10)],
    )
    benchmark.compare(
        f"Prediction, {name}, {n_rows} images",
        {
            "skorch": lambda: fitted["skorch"].predict_proba(X),
            "skimb": lambda: fitted["skimb"].predict_proba(X),
        },
        targets=[target("skimb", "skorch", 0.35)],
    )


def main():
    """Add the tables of all image sizes."""
    benchmark = Benchmark(parser_of(__doc__, repeats=7, has_device=True).parse_args())
    # Neither the networks nor their length are meant to learn.
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    for name, (side, n_channels, n_rows, n_epochs) in SIZES[benchmark.device.type].items():
        if benchmark.quick:
            n_rows, n_epochs = BATCH, 1
        measure(benchmark, name, side, n_channels, n_rows, n_epochs)


if __name__ == "__main__":
    main()
