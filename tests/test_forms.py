"""The same images in every form that X may have: equal networks, equal samples, clear errors."""

import io
import pickle
import struct
import zlib
from pathlib import Path
from typing import Any

import imblearn.under_sampling
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.model_selection import cross_val_score, train_test_split
from torch.utils.data import Dataset

from skimb import _image_source, _stored_arrays
from skimb._displayed_images import displayed_images
from skimb._engine._image_data import ImageBatches, ImageTensors, dataset_of
from skimb._groups import sample_groups
from skimb._image_source import ArrayImages
from skimb._images import fit_images
from skimb._reading import read_source
from skimb.datasets import DatasetImages, ImageSource, StoredImages
from skimb.model_selection import LossSearchCV
from skimb.neural_network import CNNClassifier, CNNEmbedder, CNNRegressor, DecoupledClassifier
from skimb.over_sampling import SMOTE, RandomOverSampler, apply_plan
from skimb.study import compare
from skimb.under_sampling import EmbeddedSampler, RandomUnderSampler

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
    "a Dataset of numpy": lambda X, folder: DatasetImages(
        hub_dataset(X).with_format("numpy"), "picture"
    ),
    "a Dataset with a transform": lambda X, folder: DatasetImages(
        hub_dataset(X).with_transform(
            lambda rows: {"picture": [np.asarray(image) for image in rows["picture"]]}
        ),
        "picture",
    ),
}
#: Other forms of a list of paths.
COLUMNS = {
    "paths": lambda paths: paths,
    "Path objects": lambda paths: [Path(path) for path in paths],
    "an array of paths": np.array,
    "a Series of paths": pd.Series,
    "a Series of pyarrow strings": lambda paths: pd.Series(paths, dtype=arrow_strings()),
    "a Series of arrow strings": lambda paths: pd.Series(
        paths, dtype=pd.ArrowDtype(pytest.importorskip("pyarrow").string())
    ),
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


#: Cases of one kind that the default run leaves out.
MANY = [pytest.mark.slow, pytest.mark.exhaustive]

#: One form of each kind, with each dtype.
ALWAYS = {
    "uint8": {
        "channels first",
        "the other byte order",
        "negative strides",
        "read only",
        "a memory map",
        "a list of arrays",
        "an array of objects",
        "a tensor",
        "HDF5",
        "zarr",
        "a torch Dataset of tensors",
        "images of Pillow",
        "opened files",
        "a torch Dataset of images of Pillow",
        "a Dataset of Hugging Face",
        "a column of such a Dataset",
        "paths of png",
        "Path objects of png",
        "a Series of pyarrow strings of png",
        "a frame of paths of png",
        "a Series of polars of png",
        "an array of pyarrow of png",
    },
    "uint16": {"a tensor", "images of Pillow", "paths of png"},
    "float32": {"a tensor with a gradient", "nested lists", "paths of tif"},
    "RGB": {"contiguous, channels first", "images of Pillow", "paths of png"},
}


def is_always_tried(name):
    dtype, form = name.split(": ")
    return form in ALWAYS[dtype]


KNOWN: dict = {}


def of_the_array(images):
    """Return what the network that was trained on the array predicts, and the network."""
    if id(images) not in KNOWN:
        model = CNNClassifier(early_stopping=True, **QUICK).fit(images, LABELS)
        KNOWN[id(images)] = model, model.predict_proba(images)
    return KNOWN[id(images)]


@pytest.mark.parametrize(
    ("images", "form"),
    [
        pytest.param(images, form, id=name, marks=[] if is_always_tried(name) else MANY)
        for name, images, form in FORMS
    ],
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


#: One form of each kind.
KINDS = {
    "a view of a memory map": ARRAYS["a view of a memory map"],
    "images of Pillow": PILLOW["images of Pillow"],
    "HDF5": hdf5,
    "zarr": zarr_array,
    "a Series of polars": of_paths("png")["a Series of polars of png"],
    "a chunked array of pyarrow": of_paths("png")["a chunked array of pyarrow of png"],
    "a Dataset of Hugging Face": HUB["a Dataset of Hugging Face"],
    "a column of such a Dataset": HUB["a column of such a Dataset"],
    "a torch Dataset of images of Pillow": PILLOW["a torch Dataset of images of Pillow"],
}


@pytest.mark.parametrize(
    ("name", "form"),
    [
        # The first test has trained classifiers on all of them.
        pytest.param(
            name,
            form,
            marks=[] if name == "CNNEmbedder" or form == "images of Pillow" else MANY,
        )
        for name in ESTIMATORS
        for form in KINDS
    ],
)
def test_every_estimator_takes_every_kind_of_form(name, form, tmp_path):
    X, y = KINDS[form](RGB, tmp_path), RGB_LABELS
    wanted = outputs(ESTIMATORS[name]().fit(RGB, y), RGB)
    np.testing.assert_array_equal(outputs(ESTIMATORS[name]().fit(X, y), X), wanted)


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("form", ["HDF5", "images of Pillow", "a column of such a Dataset"])
def test_a_search_over_losses_takes_every_kind_of_form(form, tmp_path):
    X = KINDS[form](RGB, tmp_path)

    def scores(images):
        grid = {"loss": ["cross_entropy", "focal"]}
        search = LossSearchCV(CNNClassifier(**QUICK), grid, cv=2, refit=False)
        return search.fit(images, RGB_LABELS).cv_results_["mean_test_score"]

    np.testing.assert_array_equal(scores(X), scores(RGB))


@pytest.mark.cuda
def test_a_tensor_on_a_cuda_device_is_taken_as_one_on_the_host():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    tensor = torch.from_numpy(REAL).cuda().requires_grad_()
    model = CNNClassifier(device="cpu", **QUICK)
    np.testing.assert_array_equal(
        model.fit(tensor, torch.from_numpy(LABELS).cuda()).predict_proba(tensor),
        CNNClassifier(device="cpu", **QUICK).fit(REAL, LABELS).predict_proba(REAL),
    )


TARGETS = {
    "a polars Series": lambda y: pytest.importorskip("polars").Series(y),
    "a pyarrow array": lambda y: pyarrow_array(y),
    "a column of a Dataset": lambda y: pytest.importorskip("datasets").Dataset.from_dict(
        {"label": y}
    )["label"],
}


@pytest.mark.parametrize("form", TARGETS)
def test_a_target_may_be_of_other_libraries_too(form):
    y = TARGETS[form](LABELS)
    wanted = of_the_array(GREY)[1]
    model = CNNClassifier(early_stopping=True, **QUICK).fit(GREY, y)
    np.testing.assert_array_equal(model.predict_proba(GREY), wanted)
    sampled, labels = RandomUnderSampler(random_state=0).fit_resample(GREY, y)
    assert len(sampled) == len(labels) == 16
    assert type(labels) is (list if form == "a column of a Dataset" else type(y))


# ------------------------------------------------------------------------- samplers


def frame_of_polars(folder):
    polars = pytest.importorskip("polars")
    paths = saved(folder, GREY, "png")
    kinds = ["mono", None] * (N // 2)
    return polars.DataFrame(
        {"path": paths, "kind": polars.Series(kinds, dtype=polars.Categorical), "n": range(N)}
    )


CHOSEN = {
    "images of Pillow": (lambda folder: pil(RGB), list),
    "a Series of images of Pillow": (lambda folder: pd.Series(pil(RGB)), pd.Series),
    "a polars Series of paths": (lambda folder: polars_series(saved(folder, RGB, "png")), None),
    "a polars frame": (frame_of_polars, None),
    "a pyarrow array": (lambda folder: pyarrow_array(saved(folder, RGB, "png")), None),
    "HDF5": (lambda folder: hdf5(RGB, folder), StoredImages),
    "zarr": (lambda folder: zarr_array(RGB, folder), StoredImages),
    "a view of a Dataset": (lambda folder: DatasetImages(hub_dataset(RGB), "picture"), None),
    "a column of a Dataset": (lambda folder: hub_dataset(RGB)["picture"], DatasetImages),
    "a DatasetImages of torch": (lambda folder: DatasetImages(Pairs(pil(RGB))), None),
}
SELECTORS = {
    "RandomOverSampler": RandomOverSampler(random_state=0),
    "RandomUnderSampler": RandomUnderSampler(random_state=0),
}


@pytest.mark.parametrize("sampler", SELECTORS)
@pytest.mark.parametrize("form", CHOSEN)
def test_chosen_samples_come_back_in_their_container(form, sampler, tmp_path):
    make, kind = CHOSEN[form]
    X, sampler = make(tmp_path), SELECTORS[sampler]
    found, labels = sampler.fit_resample(X, LABELS)
    assert type(found) is (kind or type(X))
    places = sampler.sample_indices_
    np.testing.assert_array_equal(labels, LABELS[places])
    wanted, again = listed(X), listed(found)
    assert len(again) == len(places)
    assert all(is_equal(again[i], wanted[row]) for i, row in enumerate(places))
    if form == "a polars frame":
        assert found.schema == X.schema


def listed(X):
    """Return samples as a list."""
    if hasattr(X, "rows"):
        return X.rows()
    if isinstance(X, ImageSource) or hasattr(X, "chunks"):
        return list(np.asarray(X[:]))
    return X.to_pylist() if hasattr(X, "to_pylist") else list(X)


def is_equal(first, second):
    return np.array_equal(np.asarray(first), np.asarray(second))


@pytest.mark.parametrize("form", KINDS)
def test_neighbours_are_found_in_the_embedding_of_every_form(form, tmp_path):
    embedder = CNNEmbedder(CNNClassifier(**QUICK))

    def chosen(X):
        sampler = EmbeddedSampler(
            imblearn.under_sampling.NearMiss(), embedder=embedder, random_state=0
        )
        sampler.fit_resample(X, RGB_LABELS)
        return sampler.sample_indices_

    np.testing.assert_array_equal(chosen(KINDS[form](RGB, tmp_path)), chosen(RGB))


@pytest.mark.parametrize("images", [GREY, RGB, DEEP, REAL], ids=["grey", "RGB", "uint16", "float"])
@pytest.mark.parametrize("kind", [list, pd.Series, objects])
def test_smote_makes_images_of_pillow_of_images_of_pillow(images, kind):
    given = pil(images)
    found, _ = SMOTE(random_state=0).fit_resample(kind(given), LABELS)
    wanted, _ = SMOTE(random_state=0).fit_resample(images, LABELS)
    assert type(found) is type(kind(given))
    found = list(found)
    assert found[:N] == given
    assert {image.mode for image in found} == {given[0].mode}
    for image, pixels in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(np.asarray(image), pixels.squeeze())


def test_smote_makes_rows_of_a_polars_frame():
    polars = pytest.importorskip("polars")
    rows = np.random.RandomState(0).rand(N, 3).astype(np.float32)
    frame = polars.DataFrame(rows, schema=["a", "b", "c"])
    smote = SMOTE(random_state=0)
    found, labels = smote.fit_resample(frame, polars.Series(LABELS))
    wanted, _ = SMOTE(random_state=0).fit_resample(rows, LABELS)
    assert isinstance(found, polars.DataFrame)
    assert isinstance(labels, polars.Series)
    assert found.schema == frame.schema
    np.testing.assert_array_equal(found.to_numpy(), wanted)
    names = polars.DataFrame({"name": [str(i) for i in range(N)], "weight": rows[:, 0]})
    followed = apply_plan(smote, names)
    assert followed["name"].to_list()[N:] == [str(i) for i in smote.sample_indices_[N:]]
    np.testing.assert_allclose(followed["weight"].to_numpy(), wanted[:, 0], rtol=1e-6)


def test_smote_makes_rows_of_a_pyarrow_table():
    pyarrow = pytest.importorskip("pyarrow")
    rows = np.random.RandomState(0).rand(N, 3).astype(np.float32)
    table = pyarrow.table(dict(zip("abc", rows.T, strict=True)))
    smote = SMOTE(random_state=0)
    found, labels = smote.fit_resample(table, pyarrow.array(LABELS))
    wanted, _ = SMOTE(random_state=0).fit_resample(rows, LABELS)
    assert found.schema == table.schema
    np.testing.assert_array_equal(found.to_pandas().to_numpy(), wanted)
    assert labels.to_pylist() == [*LABELS, *[1] * 8]
    followed = apply_plan(smote, pyarrow.array(np.arange(N)))
    assert followed.to_pylist() == smote.sample_indices_.tolist()
    weights = apply_plan(smote, pyarrow.chunked_array([rows[:5, 0], rows[5:, 0]]))
    np.testing.assert_allclose(weights.to_numpy(), wanted[:, 0], rtol=1e-6)


@pytest.mark.parametrize("form", ["HDF5", "a Series of polars", "a Dataset of Hugging Face"])
def test_what_computes_with_pixels_says_how_to_read_them(form, tmp_path):
    with pytest.raises(ValueError, match=r"Read them\s+first: (numpy\.asarray|skimb\.datasets)"):
        SMOTE().fit_resample(KINDS[form](RGB, tmp_path), RGB_LABELS)


# ------------------------------------------------------------------------- images of Pillow


def varied():
    """Return a larger colour picture, from which images of all modes are made."""
    rng = np.random.RandomState(0)
    return Image.fromarray(rng.randint(0, 256, size=(9, 7, 3)).astype(np.uint8))


def in_mode(mode):
    if mode == "I;16":
        return Image.fromarray(np.arange(63, dtype=np.uint16).reshape(9, 7) * 1000)
    if mode == "F":
        return Image.fromarray(np.linspace(-1, 1, 63, dtype=np.float32).reshape(9, 7))
    if mode == "I":
        return Image.fromarray(np.arange(63, dtype=np.int32).reshape(9, 7) * 70_000)
    image = varied()
    if mode == "P with transparency":
        image = image.convert("P")
        image.info["transparency"] = 3
        return image
    return image.convert(mode)


MODES = ["RGB", "L", "P", "P with transparency", "1", "RGBA", "LA", "CMYK", "I;16", "I", "F"]


@pytest.mark.parametrize("image_shape", [None, (1, 6, 5), (3, 6, 5)], ids=str)
@pytest.mark.parametrize("mode", MODES)
def test_an_image_of_pillow_is_read_as_its_file(mode, image_shape, tmp_path):
    image = in_mode(mode)
    ending = "tif" if mode in ("I", "F", "CMYK") else "png"
    path = tmp_path / f"image.{ending}"
    image.save(path)
    of_file = read_source([path], image_shape)
    for given in ([image], [Image.open(path)]):
        found = read_source(given, image_shape)
        np.testing.assert_array_equal(np.asarray(found), np.asarray(of_file))
        assert found.image_shape == of_file.image_shape
    view = read_source(DatasetImages([image], image_shape=image_shape))
    np.testing.assert_array_equal(np.asarray(view), np.asarray(of_file))
    np.testing.assert_array_equal(view.levels, of_file.levels)


def test_images_of_pillow_of_any_size_are_resized_as_files_are(tmp_path):
    images = [image.resize((5 + i % 3, 7)) for i, image in enumerate(pil(RGB))]
    paths = [tmp_path / f"{i}.png" for i in range(N)]
    for path, image in zip(paths, images, strict=True):
        image.save(path)
    model = CNNClassifier(image_shape=(3, 6, 6), **QUICK)
    wanted = model.fit(paths, LABELS).predict_proba(paths)
    for X in (images, DatasetImages(Pairs(images))):
        np.testing.assert_array_equal(model.fit(X, LABELS).predict_proba(X), wanted)
        # The images of another size than those of the fit are resized at predict too.
        np.testing.assert_array_equal(model.predict_proba(X[2:3]), model.predict_proba(paths[2:3]))
    for X in (images, DatasetImages(Pairs(images))):
        with pytest.raises(ValueError, match=r"number 0 is 5x7, number 1 is 6x7.*Give image_shape"):
            CNNClassifier(**QUICK).fit(X, LABELS)


def test_a_rotation_that_a_camera_noted_is_applied_to_images_of_pillow(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    varied().save(tmp_path / "turned.png", exif=exif)
    image = Image.open(tmp_path / "turned.png")
    found = np.asarray(read_source([image]))
    assert found.shape == (1, 7, 9, 3)
    np.testing.assert_array_equal(found, np.asarray(read_source([tmp_path / "turned.png"])))


def test_a_list_of_images_of_pillow_is_not_changed():
    images = pil(RGB)
    before = [image.tobytes() for image in images]
    CNNClassifier(image_shape=(3, 4, 4), **QUICK).fit(images, LABELS).predict(images)
    assert [image.tobytes() for image in images] == before
    assert [image.size for image in images] == [(5, 6)] * N


# ------------------------------------------------------------------------- deep pixels

DEEP_FORMS = {
    "an array": lambda X, folder: X,
    "images of Pillow": PILLOW["images of Pillow"],
    "HDF5": hdf5,
    "zarr": zarr_array,
    "a view of a map": ARRAYS["a view of a memory map"],
    "a torch Dataset": PILLOW["a torch Dataset of images of Pillow"],
    "paths": of_paths("tif")["paths of tif"],
}


@pytest.mark.parametrize("form", DEEP_FORMS)
@pytest.mark.parametrize(
    "images",
    [pytest.param(DEEP, id="uint16"), pytest.param(REAL, id="float32", marks=MANY)],
)
def test_one_range_holds_for_the_whole_set_in_every_form(images, form, tmp_path):
    X = DEEP_FORMS[form](images, tmp_path)
    low, high = float(images.min()), float(images.max())
    clf = CNNClassifier(**QUICK).fit(X, LABELS)
    assert clf.value_range_ == (low, high)
    clf = CNNClassifier(value_range=(low - 1, high + 1), **QUICK).fit(X, LABELS)
    assert clf.value_range_ == (low - 1, high + 1)
    narrow = CNNClassifier(value_range=(low, high - 1), **QUICK)
    with pytest.raises(ValueError, match=r"outside of `value_range`=\("):
        narrow.fit(X, LABELS)
    narrow.fit(np.clip(images, None, images.dtype.type(high - 1)), LABELS)
    with pytest.raises(ValueError, match=r"outside of `value_range`=\("):
        narrow.predict(X)


@pytest.mark.parametrize("view", [list, Pairs], ids=["a list", "a Dataset"])
def test_images_of_eight_bits_among_deep_ones_are_refused(view):
    images = view([*pil(DEEP)[:-1], pil(GREY)[0]])
    X = DatasetImages(images) if isinstance(images, Pairs) else images
    with pytest.raises(ValueError, match=r"23 of 24 images have more than 8 bits .*number 23\)"):
        CNNClassifier(**QUICK).fit(X, LABELS)


def test_images_of_a_data_set_outside_of_the_range_are_named_by_their_numbers():
    items = pil(DEEP)
    items[7] = Image.fromarray(np.full((6, 5), 9000, np.uint16))
    images = DatasetImages(Pairs(items))
    with pytest.raises(ValueError, match=r"1 of 20 images have .*: number 7 \(9000 to 9000\)"):
        CNNClassifier(value_range=(0, 4095), **QUICK).fit(images[4:], LABELS[4:])
    clf = CNNClassifier(**QUICK).fit(images[8:], LABELS[8:])
    with pytest.warns(UserWarning, match=r"of 8 images have pixels beyond .* number 7 \(9000"):
        clf.predict(images[:8])


def test_colours_of_sixteen_bits_that_pillow_would_cut_are_refused(tmp_path):
    values = np.arange(36, dtype=np.uint16).reshape(3, 4, 3) * 1000
    paths = [write_png(tmp_path / f"{i}.png", values + i) for i in range(2)]
    np.testing.assert_array_equal(np.asarray(read_source(paths))[1], values + 1)
    for view in (list, DatasetImages):
        with Image.open(paths[0]) as opened:
            X = view([opened])
            with pytest.raises(ValueError, match="16 bits per channel, of which Pillow keeps 8"):
                read_source(X)


def write_png(path, values):
    """Write colours of 16 bits as a PNG file, which Pillow cannot."""
    height, width, _ = values.shape

    def chunk(kind, data):
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    return str(path)


WIDE = {
    "int32": (GREY.astype(np.int32) * 1000 - 70_000),
    "uint32": (GREY.astype(np.uint32) * 1000),
    "int64": (GREY.astype(np.int64) * 1000),
    "float64": (GREY / 7).astype(np.float64),
    "float16": (GREY / 8).astype(np.float16),
    "bool": GREY > 60,
}


@pytest.mark.parametrize("form", ["HDF5", "zarr", "a view of a map"])
@pytest.mark.parametrize("dtype", WIDE)
def test_other_dtypes_become_float32_in_every_form(dtype, form, tmp_path):
    images = WIDE[dtype]
    X = DEEP_FORMS[form](images, tmp_path)
    wanted = CNNClassifier(**QUICK).fit(images, LABELS).predict_proba(images)
    clf = CNNClassifier(**QUICK).fit(X, LABELS)
    np.testing.assert_array_equal(clf.predict_proba(X), wanted)


@pytest.mark.parametrize("form", ["an array", "HDF5", "zarr", "a view of a map"])
def test_differences_that_float32_would_lose_are_refused_in_every_form(form, tmp_path):
    X = DEEP_FORMS[form](GREY.astype(np.int64) + 2**40, tmp_path)
    with pytest.raises(ValueError, match="their differences would be lost"):
        CNNClassifier(**QUICK).fit(X, LABELS)


@pytest.mark.parametrize("form", ["an array", "HDF5", "zarr", "a view of a map", "a torch Dataset"])
def test_pixels_that_are_not_finite_are_refused_in_every_form(form, tmp_path):
    images = REAL.copy()
    images[5, 2, 2] = np.nan
    with pytest.raises(ValueError, match=r"not finite|contains NaN"):
        CNNClassifier(**QUICK).fit(DEEP_FORMS[form](images, tmp_path), LABELS)


# ------------------------------------------------------------------------- arrays in files


def test_a_large_memory_map_is_read_batch_by_batch_and_a_small_one_at_once(tmp_path, monkeypatch):
    small = read_only_map(GREY, tmp_path)
    assert not isinstance(read_source_of(small), StoredImages)
    wanted = of_the_array(GREY)[1]
    monkeypatch.setattr(_stored_arrays, "LARGE_MAP", 100)
    for X in (small, small[:], np.asarray(small), np.moveaxis(small, 3, 1)):
        assert isinstance(read_source_of(X), StoredImages)
        model = CNNClassifier(early_stopping=True, **QUICK).fit(X, LABELS)
        np.testing.assert_array_equal(model.predict_proba(X), wanted)
        assert model.n_features_in_ == 30
    # An array in memory never is, whatever its size.
    assert not isinstance(read_source_of(GREY), StoredImages)
    assert not isinstance(read_source_of(np.array(small)), StoredImages)


def test_a_large_array_is_gathered_batch_by_batch_and_trains_the_same_network(
    tmp_path, monkeypatch
):
    wanted = of_the_array(GREY)[1]
    monkeypatch.setattr(_image_source, "MOST_COPIED", 100)
    for X in (GREY, read_only_map(GREY, tmp_path), np.repeat(GREY, 2, axis=0)[::2]):
        images = read_source_of(X)
        assert images.is_in_memory
        # An array that torch can read is put together without a copy.
        kind = ImageTensors if X is GREY else ImageBatches
        assert type(dataset_of(images, np.zeros(len(GREY)))) is kind
        assert type(dataset_of(images[[0, 2]], np.zeros(2))) is ImageBatches
        assert type(dataset_of(images[[0, 2]], np.zeros(2), whole=True)) is ImageTensors
        model = CNNClassifier(early_stopping=True, **QUICK).fit(X, LABELS)
        np.testing.assert_array_equal(model.predict_proba(X), wanted)


def test_images_of_a_large_array_are_chosen_as_those_of_a_small_one(monkeypatch):
    small = ArrayImages(GREY)
    monkeypatch.setattr(_image_source, "MOST_COPIED", 100)
    large, is_even = ArrayImages(GREY), np.arange(len(GREY)) % 2 == 0
    firsts: list[Any] = [[3, 1, -1, 1], is_even, np.array([], dtype=int), slice(2, 9, 3)]
    for first in firsts:
        for second in (slice(None), slice(None, None, -1), [0, -1][: len(GREY[first])]):
            one, other = (source[first][second] for source in (small, large))
            assert (one.shape, one.dtype, one.image_shape) == (
                other.shape,
                other.dtype,
                other.image_shape,
            )
            assert one.keys() == other.keys()
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
            np.testing.assert_array_equal(one.plain_form(), other.plain_form())
    assert pickle.loads(pickle.dumps(large[[2, 0]])).keys() == small[[2, 0]].keys()


def read_source_of(X):
    return fit_images(CNNClassifier(), X)[0]


class Counted:
    """An array that is read by slices only, and counts the rows of each."""

    def __init__(self, pixels):
        self.pixels, self.shape, self.dtype, self.log = pixels, pixels.shape, pixels.dtype, []

    def __getitem__(self, key):
        assert isinstance(key, slice)
        self.log.append(key.stop - key.start)
        return self.pixels[key]


def test_any_array_with_slices_is_read_as_a_view_batch_by_batch():
    array = Counted(GREY)
    images = StoredImages(array)
    assert array.log == []
    np.testing.assert_array_equal(np.asarray(images[[3, 1, 1, 20]]), GREY[[3, 1, 1, 20]])
    assert array.log == [1, 1, 1]
    params: dict[str, Any] = QUICK | {"batch_size": 4}
    wanted = CNNClassifier(standardize=(60, 40), **params).fit(GREY, LABELS)
    array.log.clear()
    clf = CNNClassifier(standardize=(60, 40), **params).fit(images, LABELS)
    np.testing.assert_array_equal(clf.predict_proba(GREY), wanted.predict_proba(GREY))


def test_flat_rows_in_files_are_read_as_flat_rows_in_memory(tmp_path):
    rows = GREY.reshape(N, -1)
    X = hdf5(rows, tmp_path)
    for image_shape in (None, (1, 6, 5)):
        params: dict[str, Any] = QUICK | {"image_shape": image_shape}
        model = CNNClassifier(**params).fit(rows, LABELS)
        other = CNNClassifier(**params).fit(X, LABELS)
        np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(rows))
        np.testing.assert_array_equal(other.predict_proba(rows), model.predict_proba(X))
        assert other.n_features_in_ == model.n_features_in_
    with pytest.raises(ValueError, match=r"holds flat rows of shape \(30,\)"):
        CNNClassifier(**QUICK).fit(GREY, LABELS).predict(X)


def test_arrays_in_files_must_be_of_images():
    for array, message in (
        (np.array(["a.png"]), "must hold numbers"),
        (np.zeros((0, 4, 4)), "holds no images"),
        ({"a": 1}, "Got a dict without shape, dtype"),
        (np.zeros((2, 5, 6, 7)), "Give channels='first' or channels='last'"),
    ):
        with pytest.raises(ValueError, match=message):
            StoredImages(array)
    assert StoredImages(np.zeros((2, 5, 6, 7)), channels="last").image_shape == (7, 5, 6)


@pytest.mark.slow
def test_workers_open_an_hdf5_file_again(tmp_path):
    X = hdf5(RGB, tmp_path)
    wanted = CNNClassifier(**QUICK).fit(X, LABELS).predict_proba(X)
    clf = CNNClassifier(num_workers=2, **QUICK).fit(X, LABELS)
    np.testing.assert_array_equal(clf.predict_proba(X), wanted)


def test_a_view_of_hdf5_is_pickled_by_the_name_of_its_file(tmp_path):
    view = StoredImages(hdf5(RGB, tmp_path))[[5, 2, 2]]
    content = pickle.dumps(view)
    assert len(content) < 2000
    np.testing.assert_array_equal(np.asarray(pickle.loads(content)), RGB[[5, 2, 2]])


def test_hdf5_files_that_other_processes_cannot_open_are_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "open.h5", "w") as file:
        view = StoredImages(file.create_dataset("images", data=RGB))
        np.testing.assert_array_equal(np.asarray(view), RGB)
        with pytest.raises(ValueError, match=r"open for writing, or not on disk.*num_workers=0"):
            pickle.dumps(view)
    with pytest.raises(ValueError, match=r"is closed\. Keep it open"):
        view[0]
    with h5py.File("in memory", "w", driver="core", backing_store=False) as file:
        view = StoredImages(file.create_dataset("images", data=RGB))
        assert CNNClassifier(**QUICK).fit(view, LABELS).image_shape_ == (3, 6, 5)
        with pytest.raises(ValueError, match="not on disk"):
            pickle.dumps(view)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_view_of_hdf5_goes_through_the_processes_of_scikit_learn(tmp_path):
    X = StoredImages(hdf5(RGB, tmp_path))
    scores = [
        cross_val_score(CNNClassifier(**QUICK), images, RGB_LABELS, cv=2, n_jobs=n_jobs)
        for images, n_jobs in ((RGB, None), (X, None), (X, 2))
    ]
    np.testing.assert_array_equal(scores[1:], [scores[0]] * 2)


@pytest.mark.parametrize(
    "form",
    [
        "HDF5",
        "zarr",
        "images of Pillow",
        "a Series of images of Pillow",
        "a column of such a Dataset",
    ],
)
def test_images_of_every_form_are_shown(form, tmp_path):
    X = (KINDS | PILLOW)[form](RGB, tmp_path)
    for image, shown in zip(RGB[[5, 2]], displayed_images(X, [5, 2]), strict=True):
        # Grey values are stretched, colours are not.
        np.testing.assert_allclose(shown, image, atol=130)
        assert shown.shape == image.shape
    found = displayed_images(StoredImages(RGB), [5, 2])
    np.testing.assert_array_equal(displayed_images(X, [5, 2]), found)


@pytest.mark.slow
@pytest.mark.parametrize(
    "form",
    [
        "HDF5",
        pytest.param("a column of such a Dataset", marks=pytest.mark.exhaustive),
        pytest.param("images of Pillow", marks=pytest.mark.exhaustive),
    ],
)
def test_strategies_are_compared_on_every_form(form, tmp_path):
    def table(X):
        estimator = CNNClassifier(max_epochs=1, batch_size=16, augmentation=None)
        params = {"strategies": ["class_weight"], "cv": 2, "random_state": 0}
        return compare(X, RGB_LABELS, estimator=estimator, **params).table

    pd.testing.assert_frame_equal(
        table(KINDS[form](RGB, tmp_path)).drop(columns="seconds", level=0, errors="ignore"),
        table(RGB).drop(columns="seconds", level=0, errors="ignore"),
    )


def test_the_keys_of_equal_images_are_equal_in_every_form(tmp_path):
    images = np.concatenate([RGB[:4], RGB[:2]])
    for form in KINDS:
        (tmp_path / form).mkdir()
        X = KINDS[form](images, tmp_path / form)
        if "polars" not in form and "pyarrow" not in form:
            assert sample_groups(X).tolist() == [0, 1, 2, 3, 0, 1]


@pytest.mark.parametrize(
    "form",
    [
        pytest.param("images of Pillow", marks=pytest.mark.slow),
        pytest.param("Path objects", marks=MANY),
        "arrays",
    ],
)
def test_the_images_of_a_column_of_a_frame_may_have_every_form_of_a_column(form, tmp_path):
    paths = saved(tmp_path, RGB, "png")
    column = {"images of Pillow": pil(RGB), "Path objects": [*map(Path, paths)], "arrays": [*RGB]}
    age = np.arange(N)
    wanted = CNNClassifier(image_column="image", **QUICK)
    wanted.fit(pd.DataFrame({"image": paths, "age": age}), RGB_LABELS)
    frame = pd.DataFrame({"image": column[form], "age": age})
    model = CNNClassifier(image_column="image", **QUICK).fit(frame, RGB_LABELS)
    np.testing.assert_array_equal(
        model.predict_proba(frame), wanted.predict_proba(frame.assign(image=paths))
    )


# ------------------------------------------------------------------------- data sets


class Decoded(Pairs):
    """Images of a data set, whose reads are counted."""

    def __init__(self, items):
        super().__init__(items)
        self.log: list = []

    def __getitem__(self, row):
        self.log.append(row)
        return {"picture": self.items[row], "label": 0}


def test_a_view_of_a_data_set_decodes_no_image_before_it_is_needed():
    dataset = Decoded(pil(RGB))
    images = DatasetImages(dataset, "picture")
    train, test, _, _ = train_test_split(images, LABELS, random_state=0, test_size=6)
    sampled, _ = RandomOverSampler(random_state=0).fit_resample(images, LABELS)
    assert (len(train), len(test), len(sampled)) == (18, 6, 32)
    assert images.shape is None
    assert dataset.log == []
    assert images.image_shape == (3, 6, 5)
    assert images.shape == (N, 6, 5, 3)
    dataset.log.clear()
    # The parts know of the whole what one pass over it has told.
    assert images[3:5].read(slice(None)).shape == (2, 6, 5, 3)
    assert dataset.log == [3, 4]
    np.testing.assert_array_equal(np.asarray(test), RGB[test._rows])


@pytest.mark.parametrize(
    ("dataset", "column", "message"),
    [
        ((item for item in [1]), "image", "a generator. Give a map-style data set"),
        ([], "image", "is empty"),
        ([{"photo": 1}], "image", r"number 0 \(it has no 'image', but \['photo'\]\)"),
        ([{"image": b"x"}], "image", r"holds a bytes; .*cast_column"),
        ([{"image": "a.png"}], "image", "holds a str; give paths as a list"),
        ([(np.full((4, 4), np.inf),)], "image", "pixels that are not finite"),
        ([(np.zeros((4, 4)),), (np.zeros((4, 5)),)], "image", "number 0 is 4x4, number 1 is 5x4"),
        ([(np.array(["a"]),)], "image", "values of dtype"),
    ],
    ids=range(8),
)
def test_a_data_set_without_images_is_refused(dataset, column, message):
    with pytest.raises(ValueError, match=message):
        CNNClassifier(**QUICK).fit(DatasetImages(dataset, column), LABELS[: len(list(dataset))])


def test_a_column_that_a_data_set_does_not_have_is_named():
    with pytest.raises(ValueError, match=r"has no column 'image'. Its columns: \['picture', 'lab"):
        DatasetImages(hub_dataset(RGB))


def test_a_data_set_whose_images_change_is_told_of():
    dataset = Pairs(pil(DEEP))
    images = DatasetImages(dataset)
    images.checked()
    dataset.items[3] = pil(REAL)[3]
    with pytest.raises(ValueError, match="Item 3 of the data set cannot be read any more"):
        images.read(slice(None))


def test_new_images_of_a_data_set_know_of_its_change():
    dataset = Pairs(pil(GREY))
    images = DatasetImages(dataset).checked()
    before = images.keys()
    dataset.items[3] = dataset.items[4]
    assert images.checked().keys() == before
    after = DatasetImages(dataset).keys()
    assert after[3] == after[4] == before[4] != before[3]


class Failing(Pairs):
    """A data set some of whose items raise errors that are no ValueError."""

    failing: tuple[int, ...] = (3, 7)

    def __getitem__(self, row):
        if row in self.failing:
            raise RuntimeError("the archive is broken")
        return super().__getitem__(row)


def test_items_of_a_data_set_that_raise_errors_are_named():
    dataset = Failing(pil(GREY))
    named = (
        r"2 of 24 images .*: number 3 \(dataset\[3\] raises RuntimeError: the archive is broken\)"
    )
    with pytest.raises(ValueError, match=f"{named}; number 7 "):
        CNNClassifier(**QUICK).fit(DatasetImages(dataset), LABELS)
    dataset.failing = ()
    images = DatasetImages(dataset).checked()
    dataset.failing = (5,)
    with pytest.raises(ValueError, match=r"Item 5 .* any more \(dataset\[5\] raises RuntimeError"):
        images.read(slice(None))


def test_items_of_a_data_set_of_hugging_face_that_raise_errors_are_named():
    failing = []

    def decoded(rows):
        if set(rows["number"]) & set(failing):
            raise RuntimeError("no such picture")
        return {"image": [Image.new("L", (4, 4), color=number) for number in rows["number"]]}

    datasets = pytest.importorskip("datasets")
    numbers = {"number": list(range(6)), "image": list(range(6))}
    images = DatasetImages(datasets.Dataset.from_dict(numbers).with_transform(decoded)).checked()
    failing.append(4)
    with pytest.raises(ValueError, match=r"Item 4 .* \(dataset\[4\] raises RuntimeError: no such"):
        images.read(slice(None))


# ------------------------------------------------------------------------- errors with hints


class Loader:
    """A folder of images that is no data set of torch."""

    samples = [("a.png", 0)]

    def __getitem__(self, row):
        return np.zeros((4, 4)), 0

    def __len__(self):
        return 1


def frame_beside_paths():
    return pd.DataFrame({"path": ["a.png", "b.png"], "age": [3, 4], "sex": ["f", "m"]})


REFUSED = {
    "a folder": (lambda folder: str(folder), "path of a folder.*load_image_folder"),
    "a folder as a Path": (lambda folder: folder, "path of a folder.*load_image_folder"),
    "one path": (
        lambda folder: saved(folder, GREY, "png")[0],
        r"X is one path: '.*00\.png'\. Give a list of paths, even of one: \['.*00\.png'\]",
    ),
    "one path of an array": (
        lambda folder: np.array(saved(folder, GREY, "png"))[0],
        r"X is one path: '.*00\.png'\. Give a list of paths, even of one: \['.*00\.png'\]",
    ),
    "a folder of an array": (
        lambda folder: np.array([str(folder)])[0],
        r"path of a folder, '.*load_image_folder\('",
    ),
    "no path": (lambda folder: "image.png", "one string, and no file has this name: 'image.png'"),
    "bytes": (lambda folder: b"GIF", r"X is bytes \(bytes\), which is at most one image"),
    "an open file": (lambda folder: io.BytesIO(b"GIF"), r"X is an open file \(BytesIO\)"),
    "a list of bytes": (lambda folder: [b"GIF"] * N, "X holds bytes. Give paths of image files"),
    "a list of open files": (lambda folder: [io.BytesIO()] * N, "X holds open files"),
    "a list of mappings": (
        lambda folder: [{"image": GREY[0]}] * N,
        r"X holds mappings. .*\[item\['image'\] for item in X\]",
    ),
    "a dict": (lambda folder: {"images": GREY}, r"X is a dict.*X\['images'\]"),
    "a set": (lambda folder: {"a.png"}, "X is a set, which has no order"),
    "one image": (lambda folder: pil(GREY)[0], r"one image of Pillow. Give a list of images: \[X"),
    "an image among paths": (lambda folder: [pil(GREY)[0], "a.png"], "is a str|must be a path"),
    "a frame beside paths": (
        lambda folder: frame_beside_paths(),
        r"X is a frame of 3 columns, of which 'path' holds paths.*give X\['path'\]",
    ),
    "a polars frame beside paths": (
        lambda folder: pytest.importorskip("polars").DataFrame(
            frame_beside_paths().to_dict("list")
        ),
        r"X is a frame of 3 columns, of which 'path' holds paths.*give X\['path'\]",
    ),
    "an array of a path and a number": (
        lambda folder: frame_beside_paths().to_numpy(),
        r"X has 3 columns, and column 0 holds paths. .*X\[:, 0\]",
    ),
    "a LazyFrame": (
        lambda folder: pytest.importorskip("polars").LazyFrame({"path": ["a.png"]}),
        r"X is a LazyFrame, .*Give X\.collect\(\)",
    ),
    "a Dataset of Hugging Face": (
        lambda folder: hub_dataset(GREY),
        r"skimb\.datasets\.DatasetImages\(dataset, column='image'\) .*\['picture', 'label'\]",
    ),
    "an IterableDataset": (
        lambda folder: hub_dataset(GREY).to_iterable_dataset(),
        "IterableDataset, which has no length",
    ),
    "a torch Dataset": (lambda folder: Pairs(GREY), r"DatasetImages\(dataset\) and y = \[label"),
    "an ImageFolder": (
        lambda folder: Folder(["a.png"], [0]),
        r"X = \[path for path, _ in dataset\.samples\] and y = dataset\.targets",
    ),
    "another folder": (lambda folder: Loader(), "a data set with `samples`"),
    "an HDF5 file": (
        lambda folder: hdf5(GREY, folder).file,
        r"X is a File\. .*X\['images'\]",
    ),
    "a group of zarr": (
        lambda folder: pytest.importorskip("zarr").open_group(folder / "images.zarr", mode="w"),
        r"X is a Group of zarr\. Give one of its arrays",
    ),
    "images of two sizes": (
        lambda folder: [*pil(GREY)[:-1], Image.new("L", (9, 9))],
        "Images differ in size: number 0 is 5x6, number 23 is 9x9.*Give image_shape",
    ),
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_is_no_images_is_refused_with_a_hint(form, tmp_path):
    make, message = REFUSED[form]
    X = make(tmp_path)
    n_samples = len(X) if hasattr(X, "__len__") else N
    with pytest.raises(ValueError, match=message):
        CNNClassifier(**QUICK).fit(X, np.resize(LABELS, n_samples))


@pytest.mark.parametrize("form", [form for form in REFUSED if form != "images of two sizes"])
def test_it_is_refused_with_the_hint_at_predict_too(form, tmp_path):
    make, message = REFUSED[form]
    with pytest.raises(ValueError, match=message):
        of_the_array(GREY)[0].predict(make(tmp_path))


SAMPLED_TOO = {name: case for name, case in REFUSED.items() if "frame" not in name.lower()} | {
    "a LazyFrame": REFUSED["a LazyFrame"]
}


@pytest.mark.parametrize("form", sorted(SAMPLED_TOO))
def test_a_sampler_refuses_what_is_no_samples(form, tmp_path):
    X = SAMPLED_TOO[form][0](tmp_path)
    with pytest.raises(ValueError, match=r"X|[Ii]mage"):
        SMOTE().fit_resample(X, LABELS)


def test_a_frame_beside_paths_is_taken_by_selectors_whole():
    frame = pd.concat([frame_beside_paths()] * 12, ignore_index=True)
    found, _ = RandomUnderSampler(random_state=0).fit_resample(frame, LABELS)
    assert list(found.columns) == ["path", "age", "sex"]
    assert len(found) == 16


def test_a_target_that_is_one_string_is_named():
    with pytest.raises(ValueError, match="y is one string, 'label'"):
        CNNClassifier(**QUICK).fit(GREY, "label")
