"""Draw how each method changes the decision: ``python docs/guide/methods.py`` writes methods.png.

The data are two classes in a plane, of 600 and 30 samples; every method trains the same small
network from the same seed. The colour is the probability of the minority class, and the line is the
decision boundary of `predict`.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from _colours import MAJORITY, MINORITY
from matplotlib.colors import LinearSegmentedColormap
from torch import nn

from skimb.losses import FocalLoss, LDAMLoss, LogitAdjustedLoss, VectorScalingLoss
from skimb.metrics import per_class_report
from skimb.neural_network import CNNClassifier, CosineLinear, Mixup, Remix
from skimb.over_sampling import SMOTE, RandomOverSampler
from skimb.under_sampling import RandomUnderSampler

mpl.use("agg")
import matplotlib.pyplot as plt

TICKS = [-2, 0, 2]

#: From a probability of 0 to 1.
PROBABILITIES = LinearSegmentedColormap.from_list("", [MAJORITY, "white", MINORITY])

METHODS = {
    "none": {},
    'class_weight="balanced"': {"class_weight": "balanced"},
    'class_weight="sqrt"': {"class_weight": "sqrt"},
    '"balanced", max_weight=4': {"class_weight": "balanced", "max_weight": 4},
    '"balanced",\nreweight_after=0.8': {"class_weight": "balanced", "reweight_after": 0.8},
    "FocalLoss(gamma=2)": {"loss": FocalLoss(gamma=2.0)},
    "FocalLoss(gamma=5)": {"loss": FocalLoss(gamma=5.0)},
    "LogitAdjustedLoss()": {"loss": LogitAdjustedLoss()},
    "VectorScalingLoss()": {"loss": VectorScalingLoss()},
    'LDAM, "balanced",\nreweight_after=0.8': {
        "loss": LDAMLoss(),
        "class_weight": "balanced",
        "reweight_after": 0.8,
    },
    'loss="poly"': {"loss": "poly"},
    'loss="asymmetric"': {"loss": "asymmetric"},
    "sampler=RandomOverSampler()": {"sampler": RandomOverSampler()},
    "sampler=RandomUnderSampler()": {"sampler": RandomUnderSampler()},
    "sampler=SMOTE()": {"sampler": SMOTE()},
    'batch_sampling="balanced"': {"batch_sampling": "balanced"},
    "augmentation=Mixup()": {"augmentation": Mixup()},
    "augmentation=Remix()": {"augmentation": Remix()},
    'target_prior="uniform"': {"target_prior": "uniform"},
    'LogitAdjusted,\ntarget_prior="train"': {"loss": LogitAdjustedLoss(), "target_prior": "train"},
}


def draw_samples(n_majority, n_minority, seed):
    """Return points in the plane: a wide majority class, and a minority crescent at its edge."""
    rng = np.random.RandomState(seed)
    majority = rng.randn(n_majority, 2)
    angle = rng.uniform(-0.9, 0.9, n_minority)
    radius = 2.0 + 0.45 * rng.randn(n_minority)
    minority = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    y = np.repeat(["majority", "minority"], [n_majority, n_minority])
    return np.concatenate([majority, minority]).astype(np.float32), y


def network(in_channels, n_outputs, *, head=nn.Linear):
    """Return a network of one hidden layer."""
    return nn.Sequential(nn.Flatten(), nn.Linear(2, 32), nn.ReLU(), head(32, n_outputs))


def cosine_network(in_channels, n_outputs):
    """Return the same network with the head that LDAM needs."""
    return network(in_channels, n_outputs, head=CosineLinear)


def main():
    """Train, print a table in Markdown, and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent, help="for the figure")
    parser.add_argument(
        "--quick", action="store_true", help="few points and one epoch, to see that it runs"
    )
    arguments = parser.parse_args()
    n_fresh, max_epochs = (20, 1) if arguments.quick else (1000, 60)
    X, y = draw_samples(600, 30, seed=0)
    X_test, y_test = draw_samples(60 * n_fresh, 3 * n_fresh, seed=1)
    side = np.linspace(-3.5, 4, 120, dtype=np.float32)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    n_columns = 4
    n_lines = -(-len(METHODS) // n_columns)
    figure, axes = plt.subplots(
        n_lines,
        n_columns,
        figsize=(2.6 * n_columns, 2.6 * n_lines + 0.6),
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    print("| method | precision | recall | F1 | mean probability of the minority class |")
    print("| --- | --- | --- | --- | --- |")
    for ax, (name, params) in zip(axes.flat, METHODS.items(), strict=True):
        module = cosine_network if isinstance(params.get("loss"), LDAMLoss) else network
        settings = {"lr": 1e-2, "max_epochs": max_epochs, "steps_per_epoch": 10}
        clf = CNNClassifier(module, batch_size=128, random_state=0, **settings, **params).fit(X, y)
        report = per_class_report(y_test, clf.predict(X_test)).loc["minority"]
        mean = clf.predict_proba(X_test)[:, 1].mean()
        in_one_line = name.replace("\n", " ")
        print(
            f"| `{in_one_line}` | {report['precision']:.2f} | {report['recall']:.2f} | "
            f"{report['f1']:.2f} | {mean:.3f} |"
        )
        proba = clf.predict_proba(grid)[:, 1].reshape(len(side), -1)
        areas = ax.contourf(
            side, side, proba, levels=np.linspace(0, 1, 21), cmap=PROBABILITIES, alpha=0.6
        )
        ax.contour(side, side, proba, levels=[0.5], colors="black", linewidths=1.4)
        ax.scatter(*X[y == "majority"].T, s=3, color=MAJORITY, linewidths=0)
        ax.scatter(*X[y == "minority"].T, s=16, color=MINORITY, edgecolors="white", linewidths=0.5)
        ax.set(xlim=(-3.5, 4), ylim=(-3.5, 4), aspect="equal", xticks=TICKS, yticks=TICKS)
        ax.set_title(name, fontsize=8.5)
    figure.supxlabel("first feature", fontsize=10)
    figure.supylabel("second feature", fontsize=10)
    figure.colorbar(
        areas,
        ax=axes,
        location="top",
        label="probability of the minority class",
        shrink=0.5,
        aspect=40,
        pad=0.01,
        ticks=[0, 0.25, 0.5, 0.75, 1],
    )
    figure.savefig(arguments.folder / "methods.png", dpi=110)


if __name__ == "__main__":
    main()
