"""Real sets of images with a rare class, by name, for studies that compare ways to train.

FOLDER holds fashion_mnist/ and cifar10/, and, unpacked, cats_dogs/ and elpv_solar/; the digits are
scikit-learn's. Where a set is a part of a larger one, the seed draws it; the training parts of the
cats and dogs are fixed by the ranks of their index.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from binary_sets import cifar10_images
from fashion_mnist import load
from sklearn.model_selection import train_test_split

from skimb.datasets import load_imbalanced_digits, read_images

#: Samples of each class of the long-tailed Fashion-MNIST, with a factor of 100 between the ends.
LONG_TAILED = [6000, 3596, 2156, 1292, 774, 464, 278, 166, 100, 60]
#: Those of DeepSMOTE's article, arXiv:2105.02340.
DEEP_SMOTE = [4000, 2000, 1000, 750, 500, 350, 200, 100, 60, 40]
#: The long-tailed CIFAR-10 of articles, with a factor of 100, and a small one, with 50.
OBJECTS_100 = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
SMALL_LONG_TAILED = [1500, 971, 629, 407, 264, 171, 111, 72, 46, 30]
#: Trousers, pullovers and coats in the shares of red, yellow and green traffic lights.
TRAFFIC_LIGHTS = {1: 1680, 2: 90, 4: 1230}


class Split(NamedTuple):
    """A training part, a test part, and what is known of them.

    ``mirrors``: whether a mirrored image shows the same class. ``minority`` is the rarest class,
    or None where the target is a number.
    """

    X: Any
    y: np.ndarray
    X_test: Any
    y_test: np.ndarray
    minority: Any
    mirrors: bool


def digits(folder, seed):
    """Return eights against other digits, 8 x 8, in one sample of twenty."""
    X, y = load_imbalanced_digits(return_X_y=True)
    X = (X * 15).astype(np.uint8)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.4, stratify=y, random_state=seed)
    return Split(X, y, X_test, y_test, 1, False)


def pictures(folder, files, image_shape):
    """Return the images of the files of a folder."""
    return read_images([str(folder / file) for file in files], image_shape=image_shape)


def cells(folder, side=48):
    """Return all solar cells, and their table."""
    table = pd.read_csv(folder / "elpv_solar" / "index.csv")
    return pictures(folder / "elpv_solar", table["file"], (1, side, side)), table


def solar(folder, seed):
    """Return solar cells that are more likely defective than not, against others, 48 x 48."""
    X, table = cells(folder)
    y = np.where(table["label_ge_0.5"] == 1, "defective", "sound")
    train = (table["split"] == "train").to_numpy()
    return Split(X[train], y[train], X[~train], y[~train], "defective", True)


def cats(n_cats, n_dogs, side=64):
    """Return a set of so many cats and dogs; 1500 of each are the test part."""

    def split(folder, seed):
        images, table = _photographs(folder, side)
        is_train = (table["split"] == "train").to_numpy()
        most = np.where(table["label"] == "cat", n_cats, n_dogs)
        train = is_train & (table["rank"].to_numpy() < most)
        y = table["label"].to_numpy().astype(str)
        return Split(images[train], y[train], images[~is_train], y[~is_train], "cat", True)

    return split


@functools.lru_cache(maxsize=1)
def _photographs(folder, side):
    """Return all cats and dogs, and their index."""
    table = pd.read_csv(folder / "cats_dogs" / "index.csv")
    return pictures(folder / "cats_dogs", table["file"], (3, side, side)), table


def garments(counts):
    """Return a set of Fashion-MNIST with these counts by label; the test part is the official."""
    counts = dict(enumerate(counts)) if isinstance(counts, list) else counts

    def split(folder, seed):
        train, test = (load(folder / "fashion_mnist", part) for part in ("train", "t10k"))
        return _drawn(train, test, counts, seed)

    return split


def rare_garment(label, n_rare, n_others):
    """Return a set of one garment against all others."""

    def split(folder, seed):
        train, test = (load(folder / "fashion_mnist", part) for part in ("train", "t10k"))
        return _one_against_rest(train, test, label, n_rare, n_others, seed)

    return split


def rare_object(label, n_rare, n_others):
    """Return a set of one class of CIFAR-10 against all others."""

    def split(folder, seed):
        train, test = (cifar10_images(folder, part) for part in ("train", "test"))
        return _one_against_rest(train, test, label, n_rare, n_others, seed)

    return split


def _one_against_rest(train, test, label, n_rare, n_others, seed):
    """Return so many samples of one class, and of all others together."""
    named = [(X, np.where(y == label, "rare", "common")) for X, y in (train, test)]
    return _drawn(named[0], named[1], {"rare": n_rare, "common": n_others}, seed)


def rare_defects(n_rare):
    """Return so many cells that are surely defective, against all that are surely sound."""

    def split(folder, seed):
        X, table = cells(folder)
        is_sure = table["defect_probability"].isin([0, 1]).to_numpy()
        X, table = X[is_sure], table[is_sure]
        y = np.where(table["defect_probability"] == 1, "defective", "sound")
        train = (table["split"] == "train").to_numpy()
        counts = {"defective": n_rare, "sound": 2000}
        return _drawn((X[train], y[train]), (X[~train], y[~train]), counts, seed)

    return split


def probabilities(n_samples):
    """Return so many solar cells, 48 x 48, with the probability that they are defective."""

    def split(folder, seed):
        X, table = cells(folder)
        y = table["defect_probability"].to_numpy()
        train = (table["split"] == "train").to_numpy()
        rows = np.random.RandomState(seed).permutation(np.flatnonzero(train))[:n_samples]
        return Split(X[rows], y[rows], X[~train], y[~train], None, True)

    return split


def prices(folder, seed):
    """Return photographs of the fronts of houses, 48 x 48, with the price in millions."""
    table = pd.read_csv(folder / "houses" / "houses.csv")
    X = pictures(folder / "houses", table["frontal_image"], (3, 48, 48))
    y = table["price"].to_numpy() / 1e6
    train = (table["split"] == "train").to_numpy()
    return Split(X[train], y[train], X[~train], y[~train], None, True)


def objects(counts):
    """Return a set of CIFAR-10 with these counts by label; the test part is the official one."""

    def split(folder, seed):
        train, test = (cifar10_images(folder, part) for part in ("train", "test"))
        return _drawn(train, test, dict(enumerate(counts)), seed)

    return split


def _drawn(train_part, test_part, counts, seed):
    """Return so many samples of each class that is named, and the test samples of these classes."""
    (X, y), (X_test, y_test) = train_part, test_part
    rng = np.random.RandomState(seed)
    rows = [rng.permutation(np.flatnonzero(y == label))[:n] for label, n in counts.items()]
    train, test = np.concatenate(rows), np.isin(y_test, list(counts))
    minority = min(counts, key=lambda label: counts[label])
    return Split(X[train], y[train], X_test[test], y_test[test], minority, True)


#: How the sets are called, in the order of tables, and how each is made.
SETS = {
    "digits": digits,
    "solar_cells": solar,
    "traffic_lights": garments(TRAFFIC_LIGHTS),
    "fashion_long_tailed": garments(LONG_TAILED),
    "fashion_deep_smote": garments(DEEP_SMOTE),
    "cifar10_long_tailed": objects(SMALL_LONG_TAILED),
    "cifar10_long_tailed_100": objects(OBJECTS_100),
    "cats_150_dogs_1500": cats(150, 1500, side=48),
    "cats_1000_dogs_11000": cats(1000, 11000),
    "cats_500_dogs_11000": cats(500, 11000),
    "cats_6000_dogs_6000": cats(6000, 6000),
    "cats_11000_dogs_11000": cats(11000, 11000),
    "shirts_1500_others_9000": rare_garment(6, 1500, 9000),
    "shirts_60_others_378": rare_garment(6, 60, 378),
    "small_shirts": rare_garment(6, 20, 980),
    "small_cars": rare_object(1, 20, 1980),
    "small_cats": cats(20, 1500, side=48),
    "small_solar_cells": rare_defects(20),
    "small_probabilities": probabilities(900),
    "small_prices": prices,
}


def read(name, folder, seed):
    """Return the `Split` of a set by its name."""
    return SETS[name](folder, seed)
