"""Time of a search over 12 settings and 3 folds, as ratios against GridSearchCV in the same run.

Twelve settings (gamma 0, 1, 2, 5; class weights none, balanced, 1:10) and three folds are 36
trainings end to end. `LossSearchCV` trains the backbone once a fold, or takes a given one, and all
36 heads together; the bound of the former is 12. Data: scikit-learn's digits, "8" against the
rest, enlarged to 28x28; one thread; contenders interleaved; ratios of the fastest repeats.

The second table trains all 36 whole networks in one vectorised pass (``search="end_to_end"``), at
several sizes, whether or not `LossSearchCV` would choose to: it says where that pays.

    python benchmarks/speed/search.py [--repeats 3] [--device cpu] [--only heads]
"""

import argparse
import os
import time
import warnings

import numpy as np
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from torch import nn
from torch.nn import functional as F

from skimb._engine import _together
from skimb._engine._runtime import resolve_device
from skimb.datasets import load_imbalanced_digits
from skimb.losses import FocalLoss
from skimb.model_selection import LossSearchCV
from skimb.neural_network import CNNClassifier

GRID = {
    "loss": [FocalLoss()],
    "loss__gamma": [0, 1, 2, 5],
    "class_weight": [None, "balanced", {0: 1, 1: 10}],
}

#: Side, width, epochs of the networks that are trained whole.
SIZES = {
    "8x8, width 4": (8, 4, 5),
    "8x8, width 8": (8, 8, 5),
    "8x8, width 16": (8, 16, 5),
    "8x8, width 32": (8, 32, 5),
    "28x28, width 8": (28, 8, 2),
}


def enlarged_digits(side):
    """Return the digits at another size: images (n, side, side), float32."""
    X, y = load_imbalanced_digits(return_X_y=True)
    if side == 8:
        return X.astype(np.float32), y
    images = torch.from_numpy(X).float()[:, None]
    images = F.interpolate(images, (side, side), mode="bilinear")
    return images[:, 0].numpy(), y


def tiny_network(width):
    """Return a maker of a network of two convolutions."""

    def build(in_channels, n_outputs):
        return nn.Sequential(
            nn.Conv2d(in_channels, width, 3, padding=1),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
            nn.LazyLinear(n_outputs),
        )

    return build


def seconds(search, X, y):
    """Time a search; return the seconds without and with the refit."""
    begin = time.perf_counter()
    search.fit(X, y)
    total = time.perf_counter() - begin
    return total - getattr(search, "refit_time_", 0.0), total


def interleaved(contenders, X, y, repeats):
    """Return the fastest times of each contender, without and with the refit."""
    times = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, make in contenders.items():
            times[name].append(seconds(make(), X, y))
    return {name: np.min(values, axis=0) for name, values in times.items()}


def measure_heads(repeats, device):
    """Print the ratios of the search over heads."""
    X, y = enlarged_digits(28)
    recipe = {"batch_size": 128, "augmentation": None, "device": device, "random_state": 0}
    network = CNNClassifier(max_epochs=10, **recipe)
    common = {"cv": 3, "scoring": "balanced_accuracy"}
    fitted = clone(network).fit(X, y)
    times = interleaved(
        {
            "GridSearchCV": lambda: GridSearchCV(network, GRID, **common),
            "identical control": lambda: GridSearchCV(network, GRID, **common),
            "backbone trained": lambda: LossSearchCV(network, GRID, **common),
            "backbone given": lambda: LossSearchCV(
                FrozenEstimator(fitted), GRID, backbone="given", **common
            ),
        },
        X,
        y,
        repeats,
    )
    base = times["GridSearchCV"]
    print(f"28x28, {len(X)} rows, width 32, 10 epochs, network and heads alike")
    print(f"{'':20s} {'without refit':>22s} {'with refit':>22s}")
    for name, (without, with_refit) in times.items():
        print(
            f"{name:20s} {without:8.2f} s {base[0] / without:7.1f} x   "
            f"{with_refit:8.2f} s {base[1] / with_refit:7.1f} x"
        )
    print(
        "(The work differs: GridSearchCV's refit trains one network, and so does that of the "
        "trained\nbackbone, and a head; that of the given backbone a head alone.)"
    )


def measure_networks(repeats, device):
    """Print the ratios of whole networks in one vectorised pass."""
    print("\nWhole networks, all 36 in one vectorised pass")
    for name, (side, width, n_epochs) in SIZES.items():
        X, y = enlarged_digits(side)
        network = CNNClassifier(
            tiny_network(width),
            max_epochs=n_epochs,
            batch_size=128,
            augmentation=None,
            device=device,
            random_state=0,
        )
        common = {"cv": 3, "scoring": "balanced_accuracy", "refit": False}
        times = interleaved(
            {
                "one by one": lambda network=network, common=common: GridSearchCV(
                    network, GRID, **common
                ),
                "together": lambda network=network, common=common: LossSearchCV(
                    network, GRID, search="end_to_end", **common
                ),
            },
            X,
            y,
            repeats,
        )
        work = (9 * width * side**2) + (9 * 2 * width**2 * (side // 2) ** 2)
        alone, together = times["one by one"][0], times["together"][0]
        print(
            f"{name:16s} {work:>9,d} multiply-adds   one by one {alone:6.2f} s   "
            f"together {together:6.2f} s   {alone / together:5.2f} x"
        )


def main():
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description="Time a search.")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", choices=["heads", "networks"])
    arguments = parser.parse_args()
    device = resolve_device(arguments.device)
    label = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU, one thread"
    print(f"torch {torch.__version__}, {label}, {arguments.repeats} repeats")
    torch.set_num_threads(1)
    # skimb chooses its threads by the work; here everyone has one.
    os.environ["OMP_THREAD_LIMIT"] = "1"
    if arguments.only != "networks":
        measure_heads(arguments.repeats, device)
    if arguments.only != "heads":
        # To see where it pays, it is done everywhere.
        _together.MOST_WORK[device.type] = 10**12
        warnings.filterwarnings("ignore", message="Lazy modules")
        measure_networks(arguments.repeats, device)


if __name__ == "__main__":
    main()
