"""What an inspection finds: ``python docs/guide/inspecting.py`` writes inspecting.png.

The images are scikit-learn's photographs, cut into tiles; copies of some are planted, flipped,
turned, cropped and darkened. The figure shows the groups that are found.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageEnhance
from sklearn.datasets import load_sample_images

from skimb.study import inspect_images

mpl.use("agg")
import matplotlib.pyplot as plt

CHANGES = {
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "cropped": lambda image: image.crop((5, 2, 61, 58)).resize((64, 64)),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
}


def tiles():
    """Return tiles of 64 x 64 pixels of two photographs."""
    return np.array(
        [
            photograph[top : top + 64, left : left + 64]
            for photograph in load_sample_images().images
            for top in range(0, photograph.shape[0] - 63, 64)
            for left in range(0, photograph.shape[1] - 63, 64)
        ]
    )


def main():
    """Write the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    images = tiles()
    images = images[::4] if arguments.quick else images
    # Tiles of the sky have no detail by which copies could be told.
    detailed = np.argsort(-images.std(axis=(1, 2)).mean(axis=1))[: len(CHANGES)]
    copies = [
        np.asarray(change(Image.fromarray(images[i])))
        for i, change in zip(detailed, CHANGES.values(), strict=True)
    ]
    everything = np.concatenate([images, copies])
    found = inspect_images(everything)
    pairs = found.pairs[: len(CHANGES)]
    print(f"{len(everything)} images, {len(found.pairs)} pairs of copies")
    figure, axes = plt.subplots(2, len(CHANGES), figsize=(7, 3.8), layout="constrained")
    for column in axes.T:
        for ax in column:
            ax.axis("off")
    for column, pair in zip(axes.T, pairs, strict=False):
        for ax, row in zip(column, (pair.first, pair.second), strict=True):
            ax.imshow(everything[row])
        column[1].set_title(pair.change or "brighter, darker\nor saved again", fontsize=8)
    figure.savefig(arguments.folder / "inspecting.png", dpi=110)


if __name__ == "__main__":
    main()
