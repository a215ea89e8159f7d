"""What an imbalanced target costs a small network, and what each remedy wins back.

An image is N(0, sigma^2) noise, and the network predicts sigma (`make_variance_images`). Training
targets are U(1, 10), U(1, 5), where a range is missing, or N(5.5, 1), where the ends are rare; all
are tested on the same images of U(1, 10), by mean squared error against the best constant.

    python benchmarks/quality/variance_regression.py [--repeats 10] [--part study remedies]
        [--networks "shallow CNN" simple_cnn] [--remedies NAME ...] [--jobs 2]
        [--images pictures.png] [--errors errors.png] [--json FILE]

``study`` is the published comparison of the three targets, by a shallow CNN with Adam at a constant
rate, with the weight decay of `CNNRegressor` and without, and by skimb's own network beside it;
``remedies`` tries each remedy of skimb on the two imbalanced ones, by range of the target. A repeat
has images and a seed of its own, the same for all remedies; differences to no remedy are paired by
repeat.
"""

import argparse
import json
import warnings
from itertools import product
from pathlib import Path

import matplotlib as mpl
import numpy as np
from joblib import Parallel, delayed
from torch import nn

from skimb.datasets import make_variance_images
from skimb.ensemble import ReBaggRegressor
from skimb.losses import BalancedMSELoss
from skimb.model_selection import SpreadCorrectedRegressor
from skimb.neural_network import CNNRegressor
from skimb.over_sampling import (
    SMOGN,
    SMOTER,
    GaussianNoiseOverSampler,
    RelevanceOverSampler,
    RelevanceSampler,
)
from skimb.relevance import Relevance
from skimb.under_sampling import RelevanceUnderSampler

mpl.use("agg")
import matplotlib.pyplot as plt

TARGETS = {"uniform": "U(1, 10)", "truncated": "U(1, 5)", "normal": "N(5.5, 1)"}
#: The test images by range of the target.
RANGES = {"1 to 4": (1, 4), "4 to 7": (4, 7), "7 to 10": (7, 10)}
#: What counts as rare: the ends of the normal target, the upper end of the truncated one.
RELEVANCE = {
    "normal": Relevance([(3, 1), (5.5, 0), (8, 1)]),
    "truncated": Relevance([(3, 0), (5, 1)]),
}
N_ROWS, N_EPOCHS, BATCH_SIZE = 2000, 40, 64


def shallow_cnn(in_channels, n_outputs):
    """Return the network of the study: two convolutions, no norm, for images of 16 x 16."""
    return nn.Sequential(
        *(nn.Conv2d(in_channels, 16, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * 2 * 2, 64), nn.ReLU(), nn.Linear(64, n_outputs)),
    )


NETWORKS = {"shallow CNN": shallow_cnn, "simple_cnn": "simple_cnn"}
UNDECAYED = "no weight decay"
#: Networks of the study, and how they are trained.
STUDY = [
    ("shallow CNN", "none", {}),
    ("shallow CNN", UNDECAYED, {"weight_decay": 0.0}),
    ("simple_cnn", "none", {}),
]
#: What each network bears: 10 and more ruin the one without norms.
RANKSIM = {"shallow CNN": 3.0, "simple_cnn": 30.0}


def remedies(relevance, network):
    """Return the parameters of each remedy."""
    ranksim = RANKSIM[network]
    samplers = {
        "RelevanceOverSampler": RelevanceOverSampler(relevance=relevance),
        "RelevanceUnderSampler": RelevanceUnderSampler(relevance=relevance),
        "RelevanceSampler": RelevanceSampler(relevance=relevance),
        "GaussianNoiseOverSampler": GaussianNoiseOverSampler(relevance=relevance),
        "SMOTER": SMOTER(relevance=relevance),
        "SMOGN": SMOGN(relevance=relevance),
    }
    return {
        "none": {},
        "absolute_error": {"loss": "absolute_error"},
        "huber": {"loss": "huber"},
        "focal_r": {"loss": "focal_r"},
        "target_weight=sqrt": {"target_weight": "sqrt"},
        "target_weight=lds": {"target_weight": "lds"},
        "target_weight=inverse": {"target_weight": "inverse"},
        "batch_sampling=inverse": {"batch_sampling": "inverse"},
        "batch_sampling=relevance": {"batch_sampling": "relevance", "relevance": relevance},
        "balanced_mse batch": {"loss": "balanced_mse"},
        "balanced_mse binned": {"loss": BalancedMSELoss(form="binned")},
        "balanced_mse mixture": {"loss": BalancedMSELoss(form="mixture")},
        "ranksim": {"ranksim": ranksim},
        "ranksim, inverse": {"ranksim": ranksim, "target_weight": "inverse"},
        "ranksim, balanced_mse": {"ranksim": ranksim, "loss": "balanced_mse"},
        **{name: {"sampler": sampler} for name, sampler in samplers.items()},
        "ReBagg": {"bags": relevance},
        "spread corrected": {"is_spread": True},
    }


def build(network, seed, n_rows, *, weight_decay=1e-2, bags=None, is_spread=False, **params):
    """Return a CNN with Adam, bags of it, or its spread predictions; all take as many steps."""
    regressor = CNNRegressor(
        NETWORKS[network],
        optimizer="adam",
        lr_schedule="constant",
        weight_decay=weight_decay,
        batch_size=BATCH_SIZE,
        augmentation=None,
        max_epochs=N_EPOCHS,
        steps_per_epoch=-(-n_rows // BATCH_SIZE),
        random_state=seed,
        **params,
    )
    if is_spread:
        return SpreadCorrectedRegressor(regressor, random_state=seed)
    if bags is None:
        return regressor
    return ReBaggRegressor(regressor, n_estimators=5, relevance=bags, random_state=seed)


def one(seed, network, target, name, params):
    """Train once and test on the balanced images of this repeat."""
    X, y = make_variance_images(N_ROWS, distribution=target, random_state=seed)
    X_test, y_test = make_variance_images(2000, random_state=10_000 + seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        predicted = build(network, seed, len(y), **params).fit(X, y).predict(X_test)
    error = np.abs(predicted - y_test)
    figures = {
        "mse": float((error**2).mean()),
        "constant": float(((y.mean() - y_test) ** 2).mean()),
        "mae": float(error.mean()),
        "slope": float(np.polyfit(y_test, predicted, 1)[0]),
    }
    for label, (low, high) in RANGES.items():
        figures[label] = float(error[(y_test >= low) & (y_test < high)].mean())
    kept = slice(0, 300)
    points = {"truth": y_test[kept].tolist(), "predicted": predicted[kept].tolist()}
    known = {"network": network, "target": target, "remedy": name, "seed": seed}
    return {**known, **figures, **points}


def gather(rows, figure, **wanted):
    """Return a figure of all repeats."""
    return np.array([row[figure] for row in rows if all(row[key] == wanted[key] for key in wanted)])


def spread(values):
    """Return mean and standard deviation over the repeats, as text."""
    return f"{values.mean():.3f} ± {values.std(ddof=1) if len(values) > 1 else 0:.3f}"


def print_study(rows):
    """Print the published comparison."""
    print("| network | trained on | MSE | MSE of the best constant | slope |")
    print("| --- | --- | --- | --- | --- |")
    for network, remedy, _ in STUDY:
        for target, label in TARGETS.items():
            cells = [
                spread(gather(rows, figure, network=network, target=target, remedy=remedy))
                for figure in ("mse", "constant", "slope")
            ]
            name = network if remedy == "none" else f"{network}, {remedy}"
            print(f"| {name} | {label} | {' | '.join(cells)} |")


def print_remedies(rows, network, target):
    """Print what each remedy does, by range, and in how many repeats it beats none."""
    rows = [row for row in rows if row["target"] == target and row["network"] == network]
    print(
        f"\n{network} trained on {TARGETS[target]}: mean absolute error on U(1, 10), by range of "
        "the target"
    )
    print(f"| remedy | all | {' | '.join(RANGES)} | slope | better than none |")
    print("| --- |" + " --- |" * (len(RANGES) + 3))
    plain = gather(rows, "mae", remedy="none")
    for name in dict.fromkeys(row["remedy"] for row in rows if row["remedy"] != UNDECAYED):
        mae = gather(rows, "mae", remedy=name)
        cells = [spread(mae)]
        cells += [f"{gather(rows, label, remedy=name).mean():.3f}" for label in RANGES]
        cells += [f"{gather(rows, 'slope', remedy=name).mean():.2f}"]
        cells += ["" if name == "none" else f"{int((mae < plain).sum())} of {len(mae)}"]
        print(f"| {name} | {' | '.join(cells)} |")


def draw_images(path):
    """Draw samples of sigma 2 and 10, and the three histograms of the target."""
    rng = np.random.RandomState(0)
    figure, axes = plt.subplots(1, 5, figsize=(12, 2.6), layout="constrained")
    for ax, sigma in zip(axes, (2, 10), strict=False):
        ax.imshow(rng.normal(0, sigma, size=(16, 16)), cmap="gray", vmin=-25, vmax=25)
        ax.set_title(f"sigma = {sigma}")
        ax.axis("off")
    for ax, (target, label) in zip(axes[2:], TARGETS.items(), strict=True):
        _, y = make_variance_images(1000, distribution=target, side=1, random_state=0)
        ax.hist(y, bins=np.arange(1, 10.5, 0.5), color="#b0b0b0")
        ax.set(title=label, xlabel="sigma", xlim=(0.5, 10.5))
        ax.spines[["top", "right"]].set_visible(False)
    axes[2].set_ylabel("training images")
    figure.savefig(path, dpi=120)


def draw_errors(rows, path, names):
    """Draw predictions on truth of the first repeat, one panel a remedy, for the normal target."""
    figure, axes = plt.subplots(
        1, len(names), figsize=(2.6 * len(names), 2.9), sharey=True, layout="constrained"
    )
    for ax, name in zip(axes, names, strict=True):
        wanted = {"network": "shallow CNN", "target": "normal", "remedy": name}
        row = next(r for r in rows if wanted.items() <= r.items())
        color = "#6E6E6E" if name == "none" else "#009E73"
        ax.plot([1, 10], [1, 10], color="0.6", linewidth=1)
        ax.scatter(row["truth"], row["predicted"], s=5, color=color, alpha=0.5)
        ax.set(title=name, xlabel="sigma", xlim=(0.5, 10.5), ylim=(0.5, 12))
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("predicted")
    figure.savefig(path, dpi=120)


def main():
    """Run the study."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument(
        "--part", nargs="+", choices=["study", "remedies"], default=["study", "remedies"]
    )
    parser.add_argument("--remedies", nargs="+", metavar="NAME")
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=["shallow CNN"])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--errors", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    tasks = []
    if "study" in arguments.part:
        tasks += [(network, target, *rest) for network, *rest in STUDY for target in TARGETS]
    if "remedies" in arguments.part:
        for network, (target, relevance) in product(arguments.networks, RELEVANCE.items()):
            for name, params in remedies(relevance, network).items():
                wanted = arguments.remedies is None or name in ("none", *arguments.remedies)
                task = (network, target, name)
                if wanted and task not in [known[:3] for known in tasks]:
                    tasks.append((*task, params))
    rows = Parallel(n_jobs=arguments.jobs)(
        delayed(one)(seed, *task) for task in tasks for seed in range(arguments.repeats)
    )
    if "study" in arguments.part:
        print_study(rows)
    if "remedies" in arguments.part:
        for network, target in product(arguments.networks, RELEVANCE):
            print_remedies(rows, network, target)
    if arguments.images is not None:
        draw_images(arguments.images)
    if arguments.errors is not None:
        done = {row["remedy"] for row in rows if row["target"] == "normal"}
        wanted = ["none", "target_weight=inverse", "balanced_mse batch", "ranksim", "SMOTER"]
        draw_errors(rows, arguments.errors, [name for name in wanted if name in done])
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
