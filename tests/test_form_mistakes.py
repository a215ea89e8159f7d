"""Images that are given in a wrong form: they are refused, and the message says what to give."""

import os
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.model_selection import cross_val_predict, train_test_split

from skimb.datasets import StoredImages, read_images
from skimb.metrics import per_class_report
from skimb.neural_network import CNNClassifier, CNNEmbedder
from skimb.over_sampling import SMOTE, RandomOverSampler, RelevanceOverSampler
from skimb.under_sampling import RandomUnderSampler

RNG = np.random.RandomState(0)
IMAGES = RNG.randint(0, 255, size=(12, 5, 4)).astype(np.uint8)
LABELS = np.resize([0, 0, 1], 12)
AGES = np.arange(12.0)


def network(**params) -> Any:
    return CNNClassifier(max_epochs=1, random_state=0, **params)


#: Every step that reads X.
STEPS = {
    "fit": lambda X: network().fit(X, LABELS),
    "embedder": lambda X: CNNEmbedder(network()).fit(X, LABELS),
    "over-sampler": lambda X: RandomOverSampler().fit_resample(X, LABELS),
    "SMOTE": lambda X: SMOTE(k_neighbors=1).fit_resample(X, LABELS),
}


@pytest.fixture
def paths(tmp_path):
    paths = [str(tmp_path / f"{i:02d}.png") for i in range(len(IMAGES))]
    for path, image in zip(paths, IMAGES, strict=True):
        PIL.Image.fromarray(image).save(path)
    return paths


# ------------------------------------------------------------------------- depths


def objects(values):
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


MIXED = {
    "uint16": ([IMAGES[0].astype(np.uint16) * 257, *IMAGES[1:]], "0 is uint16, and number 1 is ui"),
    "floats": ([*IMAGES[:5], IMAGES[5] / 255, *IMAGES[6:]], "0 is uint8, and number 5 is float64"),
    "int64": ([*IMAGES[:11], IMAGES[11].astype(int)], "0 is uint8, and number 11 is int64"),
    "floats among uint16": (
        [*IMAGES[:11].astype(np.uint16), IMAGES[11] / 255],
        "0 is uint16, and number 11 is float64",
    ),
    "flat rows": (
        [*IMAGES[:11].reshape(11, -1), IMAGES[11].ravel() / 255],
        "0 is uint8, and number 11 is float64",
    ),
}
CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "Series": pd.Series,
    "objects": objects,
    "frame": lambda images: pd.DataFrame({"image": images}),
    "index": lambda images: pd.Index(images, dtype=object),
    "tensors": lambda images: [torch.from_numpy(image) for image in images],
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("case", MIXED)
def test_arrays_of_different_depths_are_refused_in_every_container(case, container):
    images, message = MIXED[case]
    X = CONTAINERS[container](images)
    for step in STEPS.values():
        with pytest.raises(ValueError, match=f"different dtypes: number {message}"):
            step(X)


def test_they_are_refused_at_predict_and_in_a_column_of_a_frame():
    images, message = MIXED["uint16"]
    with pytest.raises(ValueError, match=message):
        network().fit(IMAGES, LABELS).predict(images)
    frame = pd.DataFrame({"image": images, "age": AGES})
    with pytest.raises(ValueError, match=f"The column 'image' holds arrays .*{message}"):
        network(image_column="image").fit(frame, LABELS)


def test_they_are_refused_in_two_columns_of_a_frame():
    frame = pd.DataFrame({"front": [*IMAGES.astype(np.uint16)], "back": [*(IMAGES / 255)]})
    with pytest.raises(ValueError, match="number 0 is uint16, and number 1 is float64"):
        network(image_column=["front", "back"]).fit(frame, LABELS)


def test_the_precision_of_floats_and_the_byte_order_do_not_count():
    for dtypes in (["<f4", ">f8"], ["<u2", ">u2"]):
        images = [image.astype(dtypes[place % 2]) for place, image in enumerate(IMAGES)]
        sampled, _ = RandomUnderSampler(random_state=0).fit_resample(images, LABELS)
        assert len(sampled) == 8
        network().fit(images, LABELS)


def test_rows_of_features_may_be_integers_and_floats():
    rows = [np.array([1, 2]), *(np.array([age, 0.5]) for age in AGES[1:])]
    sampled, _ = RandomUnderSampler(random_state=0).fit_resample(rows, LABELS)
    assert len(sampled) == 8


# ------------------------------------------------------------------------- frames of numbers


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_of_one_column_of_numbers_is_refused(library):
    frame = pytest.importorskip(library).DataFrame({"age": AGES, "size": AGES})
    message = "frame of one column, 'age' of dtype float64, which holds no images"
    with pytest.raises(ValueError, match=rf"{message}.*give X\.to_numpy\(\)"):
        network().fit(frame[["age"]], LABELS)
    with pytest.raises(ValueError, match=message):
        make_column_transformer((CNNEmbedder(network()), ["age"])).fit(
            pd.DataFrame({"age": AGES, "size": AGES}), LABELS
        )


def test_an_array_of_one_feature_is_trained_on():
    assert network().fit(AGES.reshape(-1, 1), LABELS).n_features_in_ == 1


# ------------------------------------------------------------------------- one image, masks


@pytest.mark.parametrize("shape", [(8, 8), (8, 6, 3), (3, 8, 6)])
def test_one_image_is_told_from_several(shape):
    fitted = network().fit(np.random.RandomState(0).rand(12, *shape), LABELS)
    image = np.random.RandomState(1).rand(*shape)
    with pytest.raises(ValueError, match=r"of one image, .* Give X\[np.newaxis\]"):
        fitted.predict(image)
    assert len(fitted.predict(image[np.newaxis])) == 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 1)])
def test_an_array_of_one_image_of_one_pixel_is_read(shape):
    fitted = network(channels="last").fit(np.random.RandomState(0).rand(12, *shape), LABELS)
    assert len(fitted.predict(np.ones((1, *shape)))) == 1


@pytest.mark.parametrize("name", ["X", "y"])
@pytest.mark.parametrize(
    "step",
    [
        lambda X, y: network().fit(X, y),
        lambda X, y: per_class_report(y, network().fit(IMAGES, LABELS).predict(X)),
        lambda X, y: SMOTE(k_neighbors=1).fit_resample(X, y),
        lambda X, y: RelevanceOverSampler().fit_resample(X, y),
    ],
    ids=["fit", "predict", "SMOTE", "RelevanceOverSampler"],
)
def test_masked_values_are_refused(step, name):
    X, y = IMAGES, LABELS
    if name == "X":
        X = np.ma.masked_equal(IMAGES, IMAGES[3, 0, 0])
    else:
        y = np.ma.masked_array(LABELS, mask=np.arange(12) == 3)
    with pytest.raises(ValueError, match=rf"{name}\S* is a masked array, of which .*\.filled"):
        step(X, y)


def test_a_masked_array_without_masked_values_is_an_array():
    X = np.ma.masked_array(IMAGES, mask=False)
    np.testing.assert_array_equal(
        network().fit(X, LABELS).predict_proba(X), network().fit(IMAGES, LABELS).predict_proba(X)
    )


# ------------------------------------------------------------------------- one object, None


@pytest.mark.parametrize(
    "X", [None, 5, len, object()], ids=["None", "number", "function", "object"]
)
def test_one_object_that_is_no_set_of_images_is_named(X):
    wanted = "X is None" if X is None else f"X is one object of type {type(X).__name__}"
    for step in ("fit", "embedder"):
        with pytest.raises(ValueError, match=rf"{wanted}\. Give X as an array, a list"):
            STEPS[step](X)
    with pytest.raises(ValueError, match=f"{wanted}|Got None"):
        STEPS["over-sampler"](X)
    with pytest.raises(ValueError, match=wanted):
        network().fit(IMAGES, LABELS).predict(X)


# ------------------------------------------------------------------------- pairs, folders, mappings


def bytes_of(paths):
    return [{"bytes": Path(path).read_bytes(), "path": None} for path in paths]


ITEMS = {
    "samples of a folder": (
        lambda paths: [(path, 0) for path in paths],
        r"pairs of a path and a label\. Give the paths, X = \[path for path, _ in samples\]",
    ),
    "samples as lists": (
        lambda paths: [[path, 0] for path in paths],
        "pairs of a path and a label",
    ),
    "a folder": (
        lambda paths: SimpleNamespace(samples=[(path, 0) for path in paths]),
        r"a data set with `samples`.*X = \[path for path, _ in dataset\.samples\]",
    ),
    "bytes of the Hub": (
        bytes_of,
        r"\[PIL\.Image\.open\(BytesIO\(item\['bytes'\]\)\) for item in X\]",
    ),
    "bytes of the Hub in a Series": (
        lambda paths: pd.Series(bytes_of(paths)),
        r"\[PIL\.Image\.open\(BytesIO\(item\['bytes'\]\)\) for item in X\]",
    ),
    "bytes of the Hub in an array of pyarrow": (
        lambda paths: pytest.importorskip("pyarrow").array(bytes_of(paths)),
        r"\[PIL\.Image\.open\(BytesIO\(item\['bytes'\]\)\) for item in X\]",
    ),
    "bytes of the Hub in a Series of polars": (
        lambda paths: pytest.importorskip("polars").Series(bytes_of(paths)),
        r"\[PIL\.Image\.open\(BytesIO\(item\['bytes'\]\)\) for item in X\]",
    ),
    "paths of the Hub": (
        lambda paths: pd.Series([{"bytes": None, "path": path} for path in paths]),
        r"X = \[item\['path'\] for item in X\]",
    ),
    "bytes in a Series": (
        lambda paths: pd.Series([item["bytes"] for item in bytes_of(paths)]),
        r"holds bytes.*\[PIL\.Image\.open\(BytesIO\(item\)\) for item in X\]",
    ),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("case", ITEMS)
def test_items_that_hold_an_image_with_something_else_are_refused_with_the_way(case, step, paths):
    make, message = ITEMS[case]
    with pytest.raises(ValueError, match=message):
        STEPS[step](make(paths))


def test_rows_of_a_word_and_a_number_are_no_pairs_of_a_path_and_a_label():
    sampled, _ = RandomUnderSampler(random_state=0).fit_resample([("a", 1), ("b", 2)] * 6, LABELS)
    assert len(sampled) == 8


def test_the_lines_of_the_messages_about_bytes_work(paths):
    wanted = network().fit(paths, LABELS).predict_proba(paths)
    X = pd.Series(bytes_of(paths))
    names = {"X": X, "PIL": PIL, "BytesIO": BytesIO, "pd": pd}
    with pytest.raises(ValueError, match="bytes") as error:
        network().fit(X, LABELS)
    exec(str(error.value).partition("Open them: ")[2].rstrip("."), names)
    np.testing.assert_array_equal(network().fit(names["X"], LABELS).predict_proba(paths), wanted)

    names["X"] = frame = pd.DataFrame({"image": X, "age": AGES})
    with pytest.raises(ValueError, match="The column 'image' holds mappings") as error:
        network(image_column="image").fit(frame, LABELS)
    exec(str(error.value).partition("Open them: ")[2].rstrip("."), names)
    network(image_column="image").fit(names["X"], LABELS)


def test_the_line_of_the_message_about_a_data_set_with_columns_works():
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "age": datasets.Value("int64")})
    columns = {"image": [PIL.Image.fromarray(image) for image in IMAGES], "age": range(12)}
    dataset = datasets.Dataset.from_dict(columns, features=features)
    model = network(image_column="image")
    with pytest.raises(ValueError, match=r"X is a Dataset .*DatasetImages\(dataset, 'im") as error:
        model.fit(dataset, LABELS)
    line = str(error.value).partition("Give the frame ")[2].partition(", without the column")[0]
    frame = eval(line, {"dataset": dataset})
    assert model.fit(frame, LABELS).feature_names_in_.tolist() == ["age", "image"]
    with pytest.raises(ValueError, match="X is a Dataset of Hugging Face"):
        model.predict(dataset)


# ------------------------------------------------------------------------- an index of paths


def test_an_index_of_paths_is_a_column_of_paths(paths):
    X = pd.Index(paths)
    wanted = network().fit(paths, LABELS).predict_proba(paths)
    model = network().fit(X, LABELS)
    np.testing.assert_array_equal(model.predict_proba(X), wanted)
    # scikit-learn cannot take parts of an index of pyarrow strings.
    assert cross_val_predict(model, X.astype(object), LABELS, cv=2).shape == (12,)
    np.testing.assert_array_equal(read_images(X)[..., 0], IMAGES)
    for kind in (list, objects):
        np.testing.assert_array_equal(model.predict_proba(pd.Index(kind(paths))), wanted)
    sampled, labels = RandomOverSampler(random_state=0).fit_resample(X, LABELS)
    assert isinstance(sampled, pd.Index)
    expected, _ = RandomOverSampler(random_state=0).fit_resample(paths, LABELS)
    assert sampled.tolist() == list(expected)
    assert len(labels) == 16


def test_an_index_may_hold_images_and_labels(paths):
    images = pd.Index(objects([PIL.Image.fromarray(image) for image in IMAGES]))
    wanted = network().fit(IMAGES, LABELS).predict(IMAGES)
    np.testing.assert_array_equal(network().fit(images, pd.Index(LABELS)).predict(images), wanted)


# ------------------------------------------------------------------------- paths

ADVICE = {
    "empty": ("", r"\(?number 11, '' \(no such file\)\. Fix or remove them\.$"),
    "blank": ("  ", "number 11, '  '"),
    "home": ("~/x.png", r"~/x\.png \(no such file\)\. Fix .*give os\.path\.expanduser\(path\)\.$"),
    "relative": ("some/x.png", "Relative paths are looked up in the current folder, '{here}'"),
    "URL": ("https://example.org/x.png", "URLs are not read: download the files"),
    "data URL": ("data:image/png;base64," + 9000 * "A", r"AAA\.\.\. \(no such file\).*URLs"),
    "below a file": ("{first}/x.png", r"x\.png \(no such file\)\. Fix or remove them\.$"),
    "a space": ("{first} ", r"number 11, '.*00\.png ' \(no such file\).*give path\.strip\(\)\.$"),
    "a line break": ("{first}\n", r"number 11, '.*00\.png\\n' \(no such file\).*path\.strip"),
}


@pytest.mark.parametrize("case", ADVICE)
def test_a_path_that_leads_nowhere_is_told_with_the_likely_reason(case, paths, monkeypatch):
    path, message = ADVICE[case]
    monkeypatch.chdir(Path(paths[0]).parent)
    bad = [*paths[:-1], path.format(first=paths[0])]
    message = f"1 of 12 files cannot be read.*{message.format(here=os.getcwd())}"
    frame = pd.DataFrame({"path": bad, "age": AGES})
    for read in (
        read_images,
        lambda bad: network().fit(bad, LABELS),
        lambda bad: network(image_column="path").fit(frame, LABELS),
    ):
        with pytest.raises(ValueError, match=message):
            read(bad)


def test_a_bad_path_is_named_once_however_often_it_is_there(paths):
    bad = [*paths[:2], *["/nowhere/a.png"] * 9, "/nowhere/b.png"]
    with pytest.raises(ValueError, match="10 of 12 files cannot be read") as error:
        network().fit(bad, LABELS)
    assert str(error.value).count("nowhere") == 2


def test_a_column_of_words_is_told_to_hold_no_paths():
    frame = pd.DataFrame({"sex": ["f", "m", "f"] * 4, "age": AGES})
    for read in (
        lambda: read_images(frame["sex"]),
        lambda: network().fit(frame["sex"], LABELS),
        lambda: network(image_column="sex").fit(frame, LABELS),
    ):
        message = r"f \(no such file\); m \(no such file\)\. None of them looks like a path"
        with pytest.raises(ValueError, match=message):
            read()


def test_an_array_or_an_image_among_paths_is_told_by_its_type_and_shape(paths):
    items = {
        r"of type ndarray and shape \(5, 4\)\. R": IMAGES[0],
        r"of type Tensor and shape \(5, 4\)\. R": torch.from_numpy(IMAGES[0]),
        r"an image of Pillow of mode L and size \(4, 5\)\. R": PIL.Image.fromarray(IMAGES[0]),
    }
    for message, item in items.items():
        mixed = [*paths[:-1], item]
        frame = pd.DataFrame({"path": mixed, "age": AGES})
        for read in (
            lambda mixed=mixed: read_images(mixed),
            lambda mixed=mixed: network().fit(mixed, LABELS),
            lambda mixed=mixed: RandomOverSampler().fit_resample(mixed, LABELS),
            lambda frame=frame: network(image_column="path").fit(frame, LABELS),
        ):
            with pytest.raises(ValueError, match=f"number 11 of 12 is {message}"):
                read()


# ------------------------------------------------------------------------- integers of 32 bits


def test_files_with_too_large_integers_are_not_called_broken(tmp_path):
    large = np.full((5, 4), 2**24 + 1, np.int32)
    PIL.Image.fromarray(large).save(tmp_path / "large.tif")
    message = (
        r"large\.tif \(it has integers up to 16777217, which float32 cannot hold exactly\)\. "
        "Subtract the same number from all images first, such as the least, or scale them"
    )
    for X in ([tmp_path / "large.tif"] * 12, [PIL.Image.open(tmp_path / "large.tif")] * 12):
        pattern = (
            message
            if isinstance(X[0], Path)
            else message.partition("tif ")[2].partition(". Sub")[0][:-1]
        )
        with pytest.raises(ValueError, match=pattern) as error:
            network().fit(X, LABELS)
        assert "broken" not in str(error.value)
        assert str(error.value).endswith("such as the least, or scale them.")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_files_with_pixels_that_are_not_finite_are_not_called_broken(value, tmp_path):
    PIL.Image.fromarray(np.full((5, 4), value, np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif \(20 pixels are not finite\)"):
        network().fit([tmp_path / "a.tif"] * 12, LABELS)


# ------------------------------------------------------------------------- sizes


def test_a_fitted_network_resizes_files_and_refuses_arrays_of_another_size(paths, tmp_path):
    model = network().fit(paths, LABELS)
    large = [PIL.Image.fromarray(image).resize((8, 10)) for image in IMAGES]
    other = [str(tmp_path / f"large_{i}.png") for i in range(len(large))]
    for image, path in zip(large, other, strict=True):
        image.save(path)
    resized = [np.asarray(i.resize((4, 5), PIL.Image.Resampling.BILINEAR)) for i in large]
    for X in (other, large):
        np.testing.assert_array_equal(model.predict_proba(X), model.predict_proba(resized))
    arrays = [np.asarray(image) for image in large]
    for X in (np.stack(arrays), arrays):
        with pytest.raises(
            ValueError, match=r"fitted on images of shape \(C, H, W\) = \(1, 5, 4\)"
        ):
            model.predict(X)


# ------------------------------------------------------------------------- forms with columns


def test_a_table_of_pyarrow_may_have_a_column_of_images(paths):
    pyarrow = pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"image": paths, "age": AGES})
    wanted = network(image_column="image").fit(frame, LABELS).predict_proba(frame)
    table = pyarrow.table({"image": paths, "age": AGES})
    model = network(image_column="image").fit(table, LABELS)
    np.testing.assert_array_equal(model.predict_proba(table), wanted)


def test_views_of_arrays_in_files_are_split_in_any_order(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "images.h5", "w") as file:
        images = file.create_dataset("images", data=IMAGES)
        with pytest.raises(TypeError, match="increasing order"):
            train_test_split(images)
        train, test = train_test_split(StoredImages(images), random_state=0)
        assert isinstance(train, StoredImages)
        rows = train_test_split(np.arange(12), random_state=0)[1]
        np.testing.assert_array_equal(np.asarray(test)[..., 0], IMAGES[rows])
