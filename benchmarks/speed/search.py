"""Time of a search over 12 settings and 3 folds, against GridSearchCV.

Twelve settings (gamma 0, 1, 2, 5; class weights none, balanced, 1:10) and three folds are 36
trainings end to end. `LossSearchCV` trains the backbone once a fold, or takes a given one, and all
36 heads together. The backbone bounds the gain: GridSearchCV trains 36 networks and one more in the
refit, `LossSearchCV` 3 and one more. Data: scikit-learn's digits, "8" against the rest, as they are
(with the defaults of `CNNClassifier`, and with short trainings) and enlarged to 28x28.

Further tables train all 36 whole networks in one vectorised pass (``search="end_to_end"``), at
several sizes, whether or not `LossSearchCV` would choose to: they say where that pays.

    python benchmarks/speed/search.py [--device cuda] [--only heads] [--repeats 3] [--json FILE]
"""

import time
import warnings

import numpy as np
import torch
from harness import Benchmark, parser_of, target
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from torch import nn
from torch.nn import functional as F

from skimb._engine import _together
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

COMMON = {"cv": 3, "scoring": "balanced_accuracy"}


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


def timed(search, X, y):
    """Return a contender that fits a search, and tells how long it took without its refit."""

    def call():
        start = time.perf_counter()
        fitted = clone(search).fit(X, y)
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "without refit": seconds - fitted.refit_time_}

    return call


def measure_heads(benchmark, side, n_epochs, **recipe):
    """Add the table of the search over heads."""
    X, y = enlarged_digits(side)
    if benchmark.quick:
        n_epochs = 1
    network = CNNClassifier(max_epochs=n_epochs, device=benchmark.device, random_state=0, **recipe)
    given = FrozenEstimator(clone(network).fit(X, y))
    benchmark.compare(
        f"A search with refit, {side}x{side}, {len(X)} images, epochs: {n_epochs}",
        {
            "GridSearchCV": timed(GridSearchCV(network, GRID, **COMMON), X, y),
            "backbone trained": timed(LossSearchCV(network, GRID, **COMMON), X, y),
            "backbone given": timed(LossSearchCV(given, GRID, backbone="given", **COMMON), X, y),
        },
        # The bound: 37 trainings to 4.
        targets=[target("backbone trained", "GridSearchCV", 4 / 37)],
        warm_up=False,
    )


def measure_networks(benchmark):
    """Add the tables of whole networks in one vectorised pass."""
    for name, (side, width, n_epochs) in SIZES.items():
        X, y = enlarged_digits(side)
        network = CNNClassifier(
            tiny_network(width),
            max_epochs=1 if benchmark.quick else n_epochs,
            batch_size=128,
            augmentation=None,
            device=benchmark.device,
            random_state=0,
        )
        alone = GridSearchCV(network, GRID, refit=False, **COMMON)
        together = LossSearchCV(network, GRID, search="end_to_end", refit=False, **COMMON)
        work = (9 * width * side**2) + (9 * 2 * width**2 * (side // 2) ** 2)
        benchmark.compare(
            f"Whole networks, {name}, {work:,d} multiply-adds an image",
            {
                "one by one": lambda alone=alone, X=X, y=y: clone(alone).fit(X, y),
                "together": lambda together=together, X=X, y=y: clone(together).fit(X, y),
            },
            warm_up=False,
        )


def main():
    """Add the tables that are asked for."""
    parser = parser_of(__doc__, repeats=3, has_device=True)
    parser.add_argument("--only", choices=["heads", "networks"])
    arguments = parser.parse_args()
    benchmark = Benchmark(arguments)
    if arguments.only != "networks":
        measure_heads(benchmark, 8, "auto")
        measure_heads(benchmark, 8, 20, batch_size=128, augmentation=None)
        measure_heads(benchmark, 28, 10, batch_size=128, augmentation=None)
    if arguments.only != "heads":
        # To see where it pays, it is done everywhere.
        _together.MOST_WORK[benchmark.device.type] = 10**12
        warnings.filterwarnings("ignore", message="Lazy modules")
        measure_networks(benchmark)


if __name__ == "__main__":
    main()
