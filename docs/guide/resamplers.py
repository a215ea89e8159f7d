"""Show how resamplers change real images: ``python docs/guide/resamplers.py`` writes two figures.

The data are scikit-learn's digits, "8" against the rest at 1:20. Synthetic images are shown between
their parents. Selectors are shown in the plane of the first two principal components, with some of
the images that they drop.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from _colours import MAJORITY, MINORITY
from imblearn.over_sampling import BorderlineSMOTE
from imblearn.under_sampling import EditedNearestNeighbours, NearMiss, TomekLinks
from sklearn.decomposition import PCA

from skimb.datasets import load_imbalanced_digits
from skimb.neural_network import DeepSMOTE
from skimb.over_sampling import SMOTE, AugmentedOverSampler, ImageJitter, RandomOverSampler
from skimb.under_sampling import ClusterUnderSampler, EmbeddedSampler, RandomUnderSampler

mpl.use("agg")
import matplotlib.pyplot as plt

GENERATORS = {
    "RandomOverSampler()": RandomOverSampler(random_state=0),
    "AugmentedOverSampler()": AugmentedOverSampler(
        augmentation=ImageJitter(flip=False), random_state=0
    ),
    "SMOTE()": SMOTE(random_state=0),
    "SMOTE(embedder=PCA(10))": SMOTE(embedder=PCA(10), random_state=0),
    "DeepSMOTE()": DeepSMOTE(n_latent=64, random_state=0),
    "EmbeddedSampler(BorderlineSMOTE())": EmbeddedSampler(BorderlineSMOTE(), random_state=0),
}

SELECTORS = {
    "RandomUnderSampler()": RandomUnderSampler(sampling_strategy={0: 200}, random_state=0),
    "ClusterUnderSampler()": ClusterUnderSampler(sampling_strategy={0: 200}, random_state=0),
    "NearMiss,\nembedder=PCA(10)": EmbeddedSampler(
        NearMiss(sampling_strategy={0: 200}), embedder=PCA(10), random_state=0
    ),
    "TomekLinks,\nembedder=PCA(10)": EmbeddedSampler(
        TomekLinks(), embedder=PCA(10), random_state=0
    ),
    "EditedNearestNeighbours,\nembedder=PCA(10)": EmbeddedSampler(
        EditedNearestNeighbours(), embedder=PCA(10), random_state=0
    ),
}


def draw_generators(X, y, path):
    """Draw five new images of each generator, each between its parents where these are known."""
    figure, axes = plt.subplots(
        len(GENERATORS), 15, figsize=(11, 4.9), gridspec_kw={"wspace": 0.05, "hspace": 0.35}
    )
    for ax in axes.flat:
        ax.set_axis_off()
    for line, (name, sampler) in zip(axes, GENERATORS.items(), strict=True):
        X_resampled, _ = sampler.fit_resample(X, y)
        made = X_resampled[len(X) :]
        parents = getattr(sampler, "parents_", None)
        gaps = getattr(sampler, "gaps_", np.full(len(made), 0.5))
        if parents is None and hasattr(sampler, "sample_indices_"):
            parents = np.column_stack([sampler.sample_indices_[len(X) :]] * 2)
        # The images that lie farthest from both parents differ most from them.
        rows = np.argsort(np.abs(gaps - 0.5), kind="stable")[:5]
        for place, row in enumerate(rows):
            shown = [None, made[row], None]
            if parents is not None:
                shown[0] = X[parents[row, 0]]
                shown[2] = X[parents[row, 1]] if parents[row, 0] != parents[row, 1] else None
            for offset, image in enumerate(shown):
                ax = line[3 * place + offset]
                if image is None:
                    continue
                ax.imshow(image, cmap="gray_r", vmin=0, vmax=X.max())
                if offset == 1:
                    side = X.shape[1]
                    frame = plt.Rectangle(
                        (-0.5, -0.5), side, side, fill=False, color=MINORITY, linewidth=2
                    )
                    ax.add_patch(frame)
        line[0].text(0, 1.08, name, transform=line[0].transAxes, fontsize=9, weight="bold")
    figure.savefig(path, dpi=110, bbox_inches="tight")


def draw_selectors(X, y, path):
    """Draw the samples of the majority class that each selector keeps, and some that it drops."""
    plane = PCA(2, random_state=0).fit_transform(X.reshape(len(X), -1))
    figure = plt.figure(figsize=(10.5, 4.2), layout="constrained")
    grid = figure.add_gridspec(2, 8 * len(SELECTORS), height_ratios=[5, 1])
    for place, (name, sampler) in enumerate(SELECTORS.items()):
        sampler.fit_resample(X, y)
        is_kept = np.isin(np.arange(len(X)), sampler.sample_indices_)
        dropped = np.flatnonzero(~is_kept)
        ax = figure.add_subplot(grid[0, 8 * place : 8 * place + 8])
        for label, rows, color in (
            ("majority class, dropped", dropped, "#d5d5d5"),
            ("majority class, kept", np.flatnonzero(is_kept & (y == 0)), MAJORITY),
            ("minority class", np.flatnonzero(y == 1), MINORITY),
        ):
            ax.scatter(*plane[rows].T, s=6, color=color, linewidths=0, label=label)
        ax.set_title(f"{name}\nkeeps {(is_kept & (y == 0)).sum()}", fontsize=9)
        ax.set(xticks=[], yticks=[], xlabel="component 1", ylabel="" if place else "component 2")
        for offset, row in enumerate(dropped[:: max(1, len(dropped) // 6)][:6]):
            ax = figure.add_subplot(grid[1, 8 * place + 1 + offset])
            ax.imshow(X[row], cmap="gray_r", vmin=0, vmax=X.max())
            ax.set_axis_off()
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=3, frameon=False, markerscale=3
    )
    figure.supxlabel("some of the images that each of them drops", fontsize=10)
    figure.savefig(path, dpi=110)


def main():
    """Draw both figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--folder", type=Path, default=Path(__file__).parent, help="for the figures"
    )
    parser.add_argument(
        "--quick", action="store_true", help="few images and one epoch, to see that it runs"
    )
    arguments = parser.parse_args()
    X, y = load_imbalanced_digits(return_X_y=True)
    if arguments.quick:
        X, y = X[::4], y[::4]
        GENERATORS["DeepSMOTE()"].set_params(max_epochs=1)
    draw_generators(X, y, arguments.folder / "generators.png")
    draw_selectors(X, y, arguments.folder / "selectors.png")


if __name__ == "__main__":
    main()
