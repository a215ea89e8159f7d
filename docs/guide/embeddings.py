"""Embeddings and two-stage training on real images: ``python docs/guide/embeddings.py``.

The script writes two figures, and prints the scores of each head of a `DecoupledClassifier` on the
same network. The data are scikit-learn's digits, "8" against the rest at 1:20.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from _colours import MAJORITY, MINORITY
from matplotlib.colors import Normalize
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import balanced_accuracy_score, f1_score, precision_score, recall_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import NearestNeighbors

from skimb.datasets import load_imbalanced_digits
from skimb.losses import FocalLoss
from skimb.metrics import imbalance_scoring
from skimb.model_selection import LossSearchCV
from skimb.neural_network import CNNClassifier, CNNEmbedder, DecoupledClassifier
from skimb.over_sampling import SMOTE

mpl.use("agg")
import matplotlib.pyplot as plt

#: Parameters of the networks of the page, and of their heads.
RECIPE = {"batch_size": 128, "augmentation": None}
OF_HEAD = {"max_epochs": 10, "batch_size": 128}

HEADS = {
    "the network's own": None,
    "linear, as the data are": {"batch_sampling": None},
    "linear, balanced batches": {},
    "linear, class_weight": {"class_weight": "balanced"},
    "linear, balanced softmax": {"loss": "balanced_softmax"},
    "linear, SMOTE": {"sampler": SMOTE(random_state=0)},
    "learnable scales": {"head": "learnable_scales"},
    "tau-normalised": {"head": "tau_normalized"},
}


def draw_neighbours(X, y, path, *, max_epochs=20):
    """Draw the classes in a plane, and the nearest images of some eights, in both spaces."""
    train, test, y_train, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)
    network = CNNClassifier(max_epochs=max_epochs, **RECIPE, random_state=0)
    network.fit(train, y_train)
    points = {
        "in pixels": test.reshape(len(test), -1).astype(np.float64),
        "in the embedding": CNNEmbedder(FrozenEstimator(network)).fit_transform(test),
    }
    figure = plt.figure(figsize=(11, 6.2), layout="constrained")
    halves = figure.subfigures(1, 2)
    for half, (name, values) in zip(halves, points.items(), strict=True):
        above, below = half.subfigures(2, 1, height_ratios=[1.2, 1])
        ax = above.subplots()
        plane = PCA(2, random_state=0).fit_transform(values)
        for label, color, size in ((0, MAJORITY, 8), (1, MINORITY, 14)):
            name_of = "digit 8" if label else "other digits"
            style = {"s": size, "color": color, "linewidths": 0, "alpha": 0.7}
            ax.scatter(*plane[y_test == label].T, label=name_of, **style)
        neighbours = NearestNeighbors(n_neighbors=7).fit(values)
        nearest = neighbours.kneighbors(return_distance=False)
        of_eights = nearest[y_test == 1]
        fraction = y_test[of_eights[:, :5]].mean()
        ax.set(xticks=[], yticks=[], xlabel="component 1", ylabel="component 2")
        ax.legend(fontsize=9, markerscale=2)
        ax.set_title(
            f"Test images {name}\nof the five nearest to an 8, {fraction:.0%} are 8s", fontsize=10
        )
        # The eights with the fewest eights among their nearest images in pixels.
        eights_nearby = y_test[
            NearestNeighbors(n_neighbors=7)
            .fit(points["in pixels"])
            .kneighbors(return_distance=False)
        ].mean(axis=1)
        eights = np.flatnonzero(y_test == 1)
        shown = eights[np.argsort(eights_nearby[eights], kind="stable")[:4]]
        axes = below.subplots(4, 8)
        for line, row in zip(axes, shown, strict=True):
            for place, other in enumerate([row, *nearest[row]]):
                line[place].imshow(test[other], cmap="gray_r", vmin=0, vmax=16)
                line[place].set(xticks=[], yticks=[])
                color = MINORITY if y_test[other] == 1 else MAJORITY
                for spine in line[place].spines.values():
                    spine.set(color=color, linewidth=2.2 if place else 4)
        below.suptitle("four 8s, each with its seven nearest images", fontsize=10)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_searches(X, y, path, *, max_epochs=10):
    """Draw the scores of a search over heads and of a search end to end."""
    gammas, weights = [0, 1, 2, 5], [None, "sqrt", "balanced", {0: 1, 1: 10}]
    grid = {"loss": [FocalLoss()], "loss__gamma": gammas, "class_weight": weights}
    network = CNNClassifier(max_epochs=max_epochs, **RECIPE, random_state=0)
    common = {"cv": 3, "scoring": imbalance_scoring(y), "refit": "f1_minority"}
    searches = {
        "LossSearchCV: heads on one network a fold": LossSearchCV(network, grid, **common),
        "GridSearchCV: every candidate end to end": GridSearchCV(network, grid, **common),
    }
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.9), layout="constrained")
    found = {
        name: search.fit(X, y).cv_results_["mean_test_f1_minority"].reshape(len(weights), -1)
        for name, search in searches.items()
    }
    # One scale for both panels, from the lowest to the highest of their scores.
    scale = Normalize(np.min(list(found.values())), np.max(list(found.values())))
    for ax, (name, scores) in zip(axes, found.items(), strict=True):
        image = ax.imshow(scores, cmap="cividis", norm=scale)
        for i, j in np.ndindex(scores.shape):
            best = scores[i, j] == scores.max()
            ax.text(
                j,
                i,
                f"{scores[i, j]:.3f}",
                ha="center",
                va="center",
                color="black" if scale(scores[i, j]) > 0.55 else "white",
                weight="bold" if best else "normal",
            )
        ax.set_xticks(range(len(gammas)), [f"gamma {gamma}" for gamma in gammas])
        ax.set_yticks(range(len(weights)), ["no weights", "sqrt", "balanced", "1 : 10"])
        ax.set_title(name, fontsize=10)
    figure.colorbar(image, ax=axes, label="F1 of the minority class, mean of 3 folds")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def compare_heads(X, y, *, n_seeds=5, max_epochs=10):
    """Print a table of heads, with the mean and the standard deviation over splits."""
    scores = {name: [] for name in HEADS}
    for seed in range(n_seeds):
        train, test, y_train, y_test = train_test_split(
            X, y, test_size=0.3, stratify=y, random_state=seed
        )
        network = CNNClassifier(max_epochs=max_epochs, **RECIPE, random_state=seed)
        network.fit(train, y_train)
        for name, params in HEADS.items():
            model = network
            if params is not None:
                params = {**(OF_HEAD if "tau" not in str(params) else {}), **params}
                model = DecoupledClassifier(FrozenEstimator(network), random_state=seed, **params)
                model.fit(train, y_train)
            predicted = model.predict(test)
            scores[name].append(
                [
                    measure(y_test, predicted)
                    for measure in (
                        f1_score,
                        precision_score,
                        recall_score,
                        balanced_accuracy_score,
                    )
                ]
            )
    print("| head | F1 | precision | recall | balanced accuracy |")
    print("| --- | --- | --- | --- | --- |")
    for name, values in scores.items():
        cells = [
            f"{mean:.3f} ± {sd:.3f}"
            for mean, sd in zip(np.mean(values, axis=0), np.std(values, axis=0), strict=True)
        ]
        print(f"| {name} | {' | '.join(cells)} |")


def main():
    """Draw both figures, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--folder", type=Path, default=Path(__file__).parent, help="for the figures"
    )
    parser.add_argument(
        "--quick", action="store_true", help="few images and one epoch, to see that it runs"
    )
    arguments = parser.parse_args()
    X, y = load_imbalanced_digits(return_X_y=True)
    shorter, of_heads = {}, {}
    if arguments.quick:
        X, y, shorter = X[::4], y[::4], {"max_epochs": 1}
        of_heads = {**shorter, "n_seeds": 1}
    draw_neighbours(X, y, arguments.folder / "embeddings.png", **shorter)
    draw_searches(X, y, arguments.folder / "loss_search.png", **shorter)
    compare_heads(X, y, **of_heads)


if __name__ == "__main__":
    main()
