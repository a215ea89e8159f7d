"""Do large class weights make a training collapse or swing? Epoch curves on cats and dogs.

A 10:1 problem, 1500 cats and 150 dogs, with the dogs weighted 1, 10 and 25, five seeds each. A
fifth of the rows is held out, and its recalls are recorded after each epoch. Prints, for each
weight, the mean over the seeds and the lowest and highest of them; a collapse would show as a
recall of 0 or 1 for one class, a swing as a large change between two epochs.

    python benchmarks/quality/weight_curves.py FOLDER [--plot curves.png]

FOLDER has the sub-folders cat and dog.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np

from skimb.datasets import load_image_folder, read_images
from skimb.neural_network import CNNClassifier

mpl.use("agg")
import matplotlib.pyplot as plt

COUNTS = {"cat": 1500, "dog": 150}
WEIGHTS = (1, 10, 25)


def draw_rows(folder, seed):
    """Return images and labels of a random subset with the counts of the study."""
    files = load_image_folder(folder)
    rng = np.random.RandomState(seed)
    rows = np.concatenate(
        [rng.permutation(np.flatnonzero(files.target == k))[:n] for k, n in COUNTS.items()]
    )
    return read_images(files.paths[rows], image_shape=(3, 64, 64), n_jobs=-1), files.target[rows]


def recalls(X, y, weight, seed, n_epochs):
    """Train once; return the held-out recalls after each epoch, of shape (n_epochs, 2)."""
    clf = CNNClassifier(
        class_weight={"cat": 1, "dog": weight},
        augmentation="flip_crop",
        lr=3e-3,
        max_epochs=n_epochs,
        batch_size=128,
        validation_fraction=0.2,
        random_state=seed,
    )
    # Groups, of one row each, ask for a validation part without stopping early.
    clf.fit(X, y, groups=np.arange(len(y)))
    return np.array([row["valid_recall"] for row in clf.history_])


def main():
    """Run the study."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    curves = {
        weight: np.array(
            [
                recalls(*draw_rows(arguments.folder, seed), weight, seed, arguments.epochs)
                for seed in range(arguments.seeds)
            ]
        )
        for weight in WEIGHTS
    }
    print("weight  epoch  recall of dogs: mean [min, max]  recall of cats: mean [min, max]")
    for weight, runs in curves.items():
        for epoch in range(arguments.epochs):
            cells = [
                f"{runs[:, epoch, k].mean():.2f} [{runs[:, epoch, k].min():.2f}, "
                f"{runs[:, epoch, k].max():.2f}]"
                for k in (1, 0)
            ]
            print(f"{weight:>6}  {epoch + 1:>5}  {cells[0]:>31}  {cells[1]:>31}")
        step = np.abs(np.diff(runs.mean(axis=2), axis=1))[:, -arguments.epochs // 3 :]
        print(
            f"{weight:>6}  balanced accuracy at the end {runs[:, -1].mean():.3f}, lowest seed "
            f"{runs[:, -1].mean(axis=1).min():.3f}; largest change between two of the last epochs "
            f"{step.max():.3f}"
        )
    if arguments.plot is not None:
        draw(curves, arguments.plot)


def draw(curves, path):
    """Draw one line a seed: recall of the dogs and of the cats over the epochs."""
    figure, axes = plt.subplots(
        1, len(curves), figsize=(11, 3.2), sharey=True, layout="constrained"
    )
    for ax, (weight, runs) in zip(axes, curves.items(), strict=True):
        epochs = 1 + np.arange(runs.shape[1])
        for k, (label, color) in enumerate((("cats", "#0072B2"), ("dogs", "#D55E00"))):
            ax.plot(epochs, runs[:, :, k].T, color=color, linewidth=0.8, alpha=0.6)
            ax.plot(epochs, runs[:, :, k].mean(axis=0), color=color, linewidth=2.2, label=label)
        ax.set(title=f"dogs weigh {weight}", xlabel="epoch", ylim=(-0.02, 1.02))
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("held-out recall")
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
