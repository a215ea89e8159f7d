"""The same images in every form that X may have: equal networks, equal samples, clear errors."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

from skimb.datasets import DatasetImages, StoredImages
from skimb.neural_network import (
    CNNClassifier,
    CNNEmbedder,
    CNNRegressor,
    DecoupledClassifier,
)

QUICK: dict[str, Any] = {"max_epochs": 1, "batch_size": 16, "random_state": 0}
N = 24


def made(n_channels, dtype, top):
    """Return small images of two classes, channels last, and labels."""
    rng = np.random.RandomState(n_channels)
    labels = rng.permutation(np.repeat([0, 1], [16, 8]))
    images = rng.randint(0, top // 2, size=(N, 6, 5, n_channels))
    images[labels == 1, 2:4] += top // 3
    return images.astype(dtype), labels


GREY, LABELS = made(1, np.uint8, 255)
#: 12 bits, stored in 16.
DEEP = made(1, np.uint16, 4095)[0]
REAL = (GREY / np.float32(7) - 3).astype(np.float32)
RGB, RGB_LABELS = made(3, np.uint8, 255)


def saved(folder, images, ending, name="images"):
    """Write images as files of a lossless format, and return their paths."""
    folder = Path(folder) / f"{name}_{images.dtype}_{ending}"
    folder.mkdir()
    paths = [str(folder / f"{i:02d}.{ending}") for i in range(len(images))]
    for path, image in zip(paths, pil(images), strict=True):
        image.save(path)
    return paths


def pil(images):
    return [Image.fromarray(i[..., 0] if i.shape[2] == 1 else i) for i in images]


def objects(values):
    column = np.empty(len(values), dtype=object)
    column[:] = list(values)
    return column


class Pairs(Dataset):
    """Images and labels, as torch wants them."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, row):
        return self.items[row], 0


class Folder(Pairs):
    """A stand-in for torchvision's ImageFolder."""

    def __init__(self, paths, labels):
        self.samples, self.targets = list(zip(paths, labels, strict=True)), list(labels)
        super().__init__(paths)


# Each form is a function of images (n, H, W, C) and an empty folder.


def swapped(images, folder):
    return images.astype(images.dtype.newbyteorder(">"))


def strided(images, folder):
    wide = np.zeros((2 * len(images), *images.shape[1:]), images.dtype)
    wide[::2] = images
    return wide[::2]


def backwards(images, folder):
    return np.ascontiguousarray(images[::-1, :, ::-1])[::-1, :, ::-1]


def read_only_map(images, folder):
    np.save(Path(folder) / "map.npy", images)
    return np.load(Path(folder) / "map.npy", mmap_mode="r")


def map_in_fortran_order(images, folder):
    np.save(Path(folder) / "fortran.npy", np.asfortranarray(images))
    return np.load(Path(folder) / "fortran.npy", mmap_mode="c")


def as_tensor(images):
    return torch.from_numpy(images.astype(np.float32) if images.dtype == np.uint16 else images)


def hdf5(images, folder):
    h5py = pytest.importorskip("h5py")
    with h5py.File(Path(folder) / "images.h5", "w") as file:
        file.create_dataset("images", data=images, chunks=(4, *images.shape[1:]))
    return h5py.File(Path(folder) / "images.h5", "r")["images"]


def zarr_array(images, folder):
    zarr = pytest.importorskip("zarr")
    return zarr.array(images, chunks=(4, *images.shape[1:]))


def polars_series(values, folder=None):
    return pytest.importorskip("polars").Series("path", values)


def pyarrow_array(values):
    return pytest.importorskip("pyarrow").array(values)


def hub_dataset(images):
    """Return a data set of Hugging Face with a column of images, and one beside it."""
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"picture": datasets.Image(), "label": datasets.Value("int64")})
    columns = {"picture": pil(images), "label": [0] * len(images)}
    return datasets.Dataset.from_dict(columns, features=features)


ARRAYS = {
    "channels first": lambda X, folder: np.moveaxis(X, 3, 1),
    "contiguous, channels first": lambda X, folder: np.ascontiguousarray(np.moveaxis(X, 3, 1)),
    "the other byte order": swapped,
    "every second sample": strided,
    "negative strides": backwards,
    "Fortran order": lambda X, folder: np.asfortranarray(X),
    "read only": lambda X, folder: read_only(X),
    "a memory map": read_only_map,
    "a memory map in Fortran order": map_in_fortran_order,
    "a view of a memory map": lambda X, folder: StoredImages(read_only_map(X, folder)),
    "a list of arrays": lambda X, folder: list(X),
    "a list of read-only arrays": lambda X, folder: [read_only(image) for image in X],
    "nested lists": lambda X, folder: X.tolist() if X.dtype != np.uint8 else X,
    "an array of objects": lambda X, folder: objects(X),
    "a Series of arrays": lambda X, folder: pd.Series(list(X)),
    "a tensor": lambda X, folder: as_tensor(X),
    "a tensor with a gradient": lambda X, folder: (
        as_tensor(X).requires_grad_() if X.dtype == np.float32 else as_tensor(X)
    ),
    "a list of tensors": lambda X, folder: list(as_tensor(X)),
    "HDF5": hdf5,
    "zarr": zarr_array,
    "a view of HDF5": lambda X, folder: StoredImages(hdf5(X, folder)),
    "a torch Dataset of tensors": lambda X, folder: DatasetImages(Pairs(as_tensor(X))),
    "a torch Dataset of arrays": lambda X, folder: DatasetImages(Pairs(X)),
}
PILLOW = {
    "images of Pillow": lambda X, folder: pil(X),
    "a tuple of images of Pillow": lambda X, folder: tuple(pil(X)),
    "a Series of images of Pillow": lambda X, folder: pd.Series(pil(X)),
    "opened files": lambda X, folder: [Image.open(path) for path in saved(folder, X, "tif")],
    "a torch Dataset of images of Pillow": lambda X, folder: DatasetImages(Pairs(pil(X))),
}
HUB = {
    "a Dataset of Hugging Face": lambda X, folder: DatasetImages(hub_dataset(X), "picture"),
    "a column of such a Dataset": lambda X, folder: hub_dataset(X)["picture"],
}
#: Other forms of a list of paths.
COLUMNS = {
    "paths": lambda paths: paths,
    "Path objects": lambda paths: [Path(path) for path in paths],
    "an array of paths": np.array,
    "a Series of paths": pd.Series,
    "a Series of pyarrow strings": lambda paths: pd.Series(paths, dtype=arrow_strings()),
    "a frame of paths": lambda paths: pd.DataFrame({"path": paths}),
    "a Series of polars": polars_series,
    "a frame of polars": lambda paths: polars_series(paths).to_frame(),
    "an array of pyarrow": pyarrow_array,
    "a chunked array of pyarrow": lambda paths: pytest.importorskip("pyarrow").chunked_array(
        [paths[:5], paths[5:]]
    ),
    "an ImageFolder": lambda paths: [path for path, _ in Folder(paths, LABELS).samples],
}


def arrow_strings():
    pytest.importorskip("pyarrow")
    return "string[pyarrow]"


def read_only(images):
    images = images.copy()
    images.flags.writeable = False
    return images


def of_paths(ending):
    return {
        f"{name} of {ending}": lambda X, folder, take=take: take(saved(folder, X, ending))
        for name, take in COLUMNS.items()
    }


FORMS = [
    *((f"uint8: {name}", GREY, form) for name, form in (ARRAYS | PILLOW | HUB).items()),
    *((f"uint8: {name}", GREY, form) for name, form in of_paths("png").items()),
    ("uint8: paths of tif", GREY, of_paths("tif")["paths of tif"]),
    ("uint8: paths of bmp", GREY, of_paths("bmp")["paths of bmp"]),
    *((f"uint16: {name}", DEEP, form) for name, form in (ARRAYS | PILLOW).items()),
    ("uint16: paths of png", DEEP, of_paths("png")["paths of png"]),
    ("uint16: paths of tif", DEEP, of_paths("tif")["paths of tif"]),
    *((f"float32: {name}", REAL, form) for name, form in (ARRAYS | PILLOW).items()),
    ("float32: paths of tif", REAL, of_paths("tif")["paths of tif"]),
    *((f"RGB: {name}", RGB, form) for name, form in (ARRAYS | PILLOW | HUB).items()),
    ("RGB: paths of png", RGB, of_paths("png")["paths of png"]),
]

ESTIMATORS = {
    "CNNClassifier": lambda: CNNClassifier(**QUICK),
    "CNNRegressor": lambda: CNNRegressor(**QUICK),
    "CNNEmbedder": lambda: CNNEmbedder(CNNClassifier(**QUICK)),
    "DecoupledClassifier": lambda: DecoupledClassifier(CNNClassifier(**QUICK), **QUICK),
}


def outputs(model, X):
    for name in ("predict_proba", "predict", "transform"):
        if hasattr(model, name):
            return getattr(model, name)(X)
    raise AssertionError(model)


KNOWN: dict = {}


def of_the_array(images):
    """Return what the network that was trained on the array predicts, and the network."""
    if id(images) not in KNOWN:
        model = CNNClassifier(early_stopping=True, **QUICK).fit(images, LABELS)
        KNOWN[id(images)] = model, model.predict_proba(images)
    return KNOWN[id(images)]


@pytest.mark.parametrize(
    ("images", "form"), [case[1:] for case in FORMS], ids=[name for name, _, _ in FORMS]
)
def test_every_form_of_the_same_images_trains_the_same_network(images, form, tmp_path):
    trained, wanted = of_the_array(images)
    X = form(images, tmp_path)
    model = CNNClassifier(early_stopping=True, **QUICK).fit(X, LABELS)
    np.testing.assert_array_equal(model.predict_proba(X), wanted)
    np.testing.assert_array_equal(model.predict_proba(images), wanted)
    np.testing.assert_array_equal(trained.predict_proba(form(images, made_in(tmp_path))), wanted)
    assert [record["train_loss"] for record in model.history_] == [
        record["train_loss"] for record in trained.history_
    ]
    assert model.image_shape_ == trained.image_shape_
    assert model.value_range_ == trained.value_range_
    np.testing.assert_array_equal(model.validation_indices_, trained.validation_indices_)


def made_in(folder):
    (folder / "again").mkdir()
    return folder / "again"
