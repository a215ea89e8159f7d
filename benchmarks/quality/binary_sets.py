"""Real sets of images as "one class against the rest", for benchmarks that use several of them.

FOLDER holds fashion_mnist/ and cifar10/, and, unpacked, cats_dogs/ and elpv_solar/. Each function
but the last yields the name of a set, its images, and whether each is of the minority class;
nothing where the set is not there.
"""

import functools
import io
import itertools

import numpy as np
import pandas as pd
from fashion_mnist import load
from PIL import Image

from skimb.datasets import read_images


def fashion_mnist(folder, names):
    """Yield garments of Fashion-MNIST against all others; ``names`` are by label."""
    path = folder / "fashion_mnist"
    if path.exists():
        images, labels = load(path, "train")
        for label, name in names.items():
            yield f"Fashion-MNIST, {name}", images, labels == label


def cifar10(folder, names, size=32):
    """Yield classes of CIFAR-10 against all others; ``names`` are by label."""
    if (folder / "cifar10" / "cifar10_jpeg.npz").exists():
        images, labels = cifar10_images(folder, "train", size)
        for label, name in names.items():
            yield f"CIFAR-10, {name}", images, labels == label


@functools.lru_cache(maxsize=2)
def cifar10_images(folder, part, size=32):
    """Return the images and labels of a part of CIFAR-10, "train" or "test"."""
    with np.load(folder / "cifar10" / "cifar10_jpeg.npz", allow_pickle=False) as file:
        content, ends = file[f"{part}_jpeg"].tobytes(), file[f"{part}_offsets"]
        labels = file[f"{part}_labels"]
    images = [
        np.asarray(Image.open(io.BytesIO(content[start:end])).convert("RGB").resize((size, size)))
        for start, end in itertools.pairwise(ends)
    ]
    return np.stack(images), labels


def solar_cells(folder, size):
    """Yield cells that are surely defective against all others."""
    path = folder / "elpv_solar"
    if path.exists():
        table = pd.read_csv(path / "index.csv")
        files = [str(path / file) for file in table["file"]]
        images = read_images(files, image_shape=(1, size, size))
        yield "solar cells", images, table["defect_probability"].to_numpy() > 0.9


def cats_and_dogs(folder, size, n_images):
    """Yield cats against dogs, at most so many images of each."""
    path = folder / "cats_dogs"
    if path.exists():
        table = pd.read_csv(path / "index.csv")
        table = table[table["split"] == "train"].groupby("label").head(n_images)
        files = [str(path / file) for file in table["file"]]
        images = read_images(files, image_shape=(3, size, size))
        yield "cats and dogs", images, table["label"].to_numpy() == "cat"


def divided(images, is_minority, n_minority, n_majority, seed=0):
    """Return a training part of these sizes at most, and a test part of the same class prior."""
    rng = np.random.RandomState(seed)
    train, test = [], []
    for rows, size in ((is_minority, n_minority), (~is_minority, n_majority)):
        rows = rng.permutation(np.flatnonzero(rows))
        n_train = min(size, len(rows) // 2)
        train.append(rows[:n_train])
        test.append(rows[n_train : 2 * n_train])
    train, test = np.concatenate(train), np.concatenate(test)
    y = np.where(is_minority, "rare", "common")
    return images[train], y[train], images[test], y[test]
