"""Frames with a column of image files, in a ColumnTransformer before any classifier."""

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.over_sampling import SMOTENC
from imblearn.pipeline import make_pipeline as make_resampling_pipeline
from PIL import Image
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from skimb import _image_files
from skimb._engine import _image_net
from skimb._engine._blocks import forward
from skimb.neural_network import CNNClassifier, CNNEmbedder, load, pretrained
from skimb.neural_network import _embedded_files as embedded_files
from skimb.neural_network._embedded_files import checked_files
from skimb.neural_network._embedding_cache import MemoryCache, open_cache
from skimb.over_sampling import RandomOverSampler
from skimb.under_sampling import ClusterUnderSampler

NUMBERS, CATEGORIES = ["age", "price"], ["site", "smoker"]


@pytest.fixture(scope="module")
def table(tmp_path_factory, small_digits):
    """A frame of 60 rows with two columns of image files, and labels."""
    X, y = small_digits
    rare = np.flatnonzero(y == "eight")[:12]
    rows = np.concatenate([rare, np.flatnonzero(y != "eight")[: 60 - len(rare)]])
    X, y = X[rows], y[rows]
    folder = tmp_path_factory.mktemp("images")
    names = {"front": [], "back": []}
    for i, image in enumerate(X):
        for name, pixels in (("front", image), ("back", 16 - image)):
            names[name].append(str(folder / f"{i}-{name}.png"))
            Image.fromarray((pixels * 15).astype(np.uint8)).save(names[name][-1])
    rng = np.random.RandomState(0)
    frame = pd.DataFrame(
        {
            "age": rng.normal(50, 10, len(y)),
            "front": names["front"],
            "site": rng.choice(["a", "b", "c"], len(y)),
            "back": names["back"],
            "price": rng.randint(1, 9, len(y)),
            "smoker": rng.rand(len(y)) < 0.5,
        },
        index=[f"row {i}" for i in range(len(y))],
    )
    order = rng.permutation(len(y))
    return frame.iloc[order], y[order]


@pytest.fixture(scope="module")
def plain(table):
    X, y = table
    return CNNClassifier(max_epochs=10, random_state=0).fit(X["front"], y)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("resnet")
    sizes = {"embedding_size": 4, "hidden_sizes": [4, 8], "depths": [1, 1], "layer_type": "basic"}
    logging = transformers.utils.logging
    logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.ResNetModel(transformers.ResNetConfig(**sizes)).save_pretrained(folder)
    network = pretrained(folder, image_size=16)
    logging.enable_progress_bar()
    return network


@pytest.fixture(params=["trained", "pretrained"])
def network(request):
    """A network that needs no more training."""
    if request.param == "trained":
        return FrozenEstimator(request.getfixturevalue("plain"))
    return request.getfixturevalue("backbone")


def as_frame(X, kind):
    """Return a frame of pandas as one of pandas or polars."""
    return X if kind == "pandas" else pytest.importorskip("polars").from_pandas(X)


#: Cases of one kind that the default run leaves out.
MANY = [pytest.mark.slow, pytest.mark.exhaustive]

both_kinds = pytest.mark.parametrize("kind", ["pandas", "polars"])
each_kind = pytest.mark.parametrize("kind", ["pandas", pytest.param("polars", marks=MANY)])


@pytest.fixture
def memory():
    cache = open_cache(True)
    assert isinstance(cache, MemoryCache)
    cache.clear()
    embedded_files._CHECKED.clear()
    yield cache
    cache.clear()
    embedded_files._CHECKED.clear()


@pytest.fixture
def decoded(monkeypatch):
    """List the files that are decoded."""
    found, decode = [], _image_files.decode

    def witness(path, image_shape):
        found.append(path)
        return decode(path, image_shape)

    monkeypatch.setattr(_image_files, "decode", witness)
    return found


@pytest.fixture
def n_embedded(monkeypatch):
    """Count the images that networks read, without those that fill blocks up."""
    rows = []

    def witness(module, images, n_rows, **options):
        rows.append(len(images))
        return forward(module, images, n_rows, **options)

    monkeypatch.setattr(_image_net, "forward", witness)
    return rows


def columns(embedder, selector=("front",), **options):
    selector = list(selector) if isinstance(selector, tuple) else selector
    return ColumnTransformer(
        [
            ("image", embedder, selector),
            ("number", StandardScaler(), NUMBERS),
            ("category", OneHotEncoder(sparse_output=False), CATEGORIES),
        ],
        **options,
    )


# ------------------------------------------------------------------------- one column of images


@each_kind
@pytest.mark.parametrize("selector", ["front", ("front",)], ids=["Series", "frame"])
def test_embeddings_stand_beside_the_other_columns(network, selector, kind, table):
    X, y = table
    made = columns(CNNEmbedder(network), selector).fit_transform(as_frame(X, kind), y)
    embedded = CNNEmbedder(network).fit(X["front"]).transform(X["front"])
    expected = np.hstack(
        [
            embedded,
            StandardScaler().fit_transform(X[NUMBERS]),
            OneHotEncoder(sparse_output=False).fit_transform(X[CATEGORIES]),
        ]
    )
    np.testing.assert_allclose(made, expected, atol=1e-12)


@each_kind
@pytest.mark.parametrize(
    "head",
    [LogisticRegression(max_iter=999), HistGradientBoostingClassifier(max_iter=5), SVC()],
    ids=["linear", "boosting", "svm"],
)
def test_any_classifier_reads_images_and_columns(head, kind, table, plain):
    X, y = table
    model = make_pipeline(columns(CNNEmbedder(FrozenEstimator(plain))), head)
    by_hand = clone(head).fit(model[0].fit_transform(X, y), y).predict(model[0].transform(X))
    model.fit(as_frame(X, kind), y)
    np.testing.assert_array_equal(model.predict(as_frame(X, kind)), by_hand)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), by_hand)


@both_kinds
@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_frames_come_out_with_names_and_types(output, kind, table, backbone):
    X, y = table
    pytest.importorskip("polars")
    made = columns(CNNEmbedder(backbone)).set_output(transform=output)
    frame = made.fit_transform(as_frame(X, kind), y)
    n_values = backbone.n_outputs if hasattr(backbone, "n_outputs") else 8
    names = [f"image__cnnembedder{i}" for i in range(n_values)]
    assert list(frame.columns)[: n_values + 2] == [*names, "number__age", "number__price"]
    assert list(frame.columns) == list(made.get_feature_names_out())
    assert type(frame).__module__.startswith(output)
    assert all(frame[name].to_numpy().dtype == np.float32 for name in names)
    if (kind, output) == ("pandas", "pandas"):
        assert frame.index.equals(X.index)


@each_kind
@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_the_embedder_alone_has_set_output(output, kind, table, backbone):
    X, _ = table
    pytest.importorskip("polars")
    embedder = CNNEmbedder(backbone).set_output(transform=output)
    for images in (as_frame(X[["front"]], kind), as_frame(X, kind)["front"]):
        frame = embedder.fit_transform(images)
        assert list(frame.columns) == list(embedder.get_feature_names_out())
        np.testing.assert_array_equal(
            frame.to_numpy(), CNNEmbedder(backbone).fit_transform(X["front"])
        )


def test_columns_are_found_by_name_and_the_others_pass_through(table, backbone):
    X, y = table
    made = ColumnTransformer([("image", CNNEmbedder(backbone), ["front"])], remainder="passthrough")
    made.set_output(transform="pandas").fit(X, y)
    expected = made.transform(X)
    assert list(expected.columns)[-5:] == [
        f"remainder__{name}" for name in X.columns if name != "front"
    ]
    pd.testing.assert_frame_equal(made.transform(X[X.columns[::-1]]), expected)
    with pytest.raises(ValueError, match="front"):
        made.transform(X.drop(columns="front"))


def test_columns_of_an_array_of_objects_are_read_by_place(table, backbone):
    X, _ = table
    made = ColumnTransformer(
        [("image", CNNEmbedder(backbone), [1]), ("number", StandardScaler(), [0])]
    )
    array = X.to_numpy(dtype=object)
    by_name = make_column_transformer(
        (CNNEmbedder(backbone), ["front"]), (StandardScaler(), ["age"])
    )
    np.testing.assert_array_equal(made.fit_transform(array), by_name.fit_transform(X))


def test_a_fitted_embedder_is_frozen(table, backbone, n_embedded):
    X, y = table
    embedder = CNNEmbedder(backbone).fit(X[["front"]])
    n_embedded.clear()
    made = columns(FrozenEstimator(embedder)).set_output(transform="pandas")
    frame = made.fit(X, y).transform(X)
    expected = embedder.transform(X["front"])
    np.testing.assert_array_equal(frame.iloc[:, : expected.shape[1]], expected)
    assert frame.columns[0] == "image__cnnembedder0"


@each_kind
@pytest.mark.parametrize("selector", ["front", ("front",)], ids=["Series", "frame"])
def test_files_that_are_missing_are_named(selector, kind, table, network):
    X, y = table
    bad = X.copy()
    bad.loc[bad.index[[3, 7]], "front"] = ["nowhere/a.png", "nowhere/b.png"]
    made = columns(CNNEmbedder(network, cache=True), selector)
    message = r"2 of 60 files cannot be read.*nowhere/a\.png \(no such file\); nowhere/b\.png"
    with pytest.raises(ValueError, match=message):
        made.fit(as_frame(bad, kind), y)
    with pytest.raises(ValueError, match=message):
        made.fit(X, y).transform(as_frame(bad, kind))


# ------------------------------------------------------------------------- several columns


@pytest.mark.slow
@each_kind
def test_one_embedder_for_several_columns_joins_their_embeddings(network, kind, table):
    X, y = table
    both = columns(CNNEmbedder(network), ("front", "back")).fit(as_frame(X, kind), y)
    one = CNNEmbedder(network).fit(X["front"])
    expected = np.hstack([one.transform(X["front"]), one.transform(X["back"])])
    made = both.transform(as_frame(X, kind))
    np.testing.assert_array_equal(made[:, : expected.shape[1]], expected.astype(float))
    names = both.get_feature_names_out()
    assert names[expected.shape[1] - 1] == f"image__cnnembedder{expected.shape[1] - 1}"
    assert len(names) == made.shape[1]
    # Columns are found by name.
    shuffled = as_frame(X[X.columns[::-1]], kind)
    np.testing.assert_array_equal(both.transform(shuffled), made)


@pytest.mark.slow
def test_an_embedder_each_gives_the_same_table(network, table):
    X, _ = table
    each = ColumnTransformer(
        [(name, CNNEmbedder(network), [name]) for name in ("front", "back")]
    ).fit_transform(X)
    both = make_column_transformer((CNNEmbedder(network), ["front", "back"])).fit_transform(X)
    np.testing.assert_array_equal(each, both)


@pytest.mark.slow
def test_several_columns_are_as_in_fit(table, backbone):
    X, _ = table
    frame = X[["front", "back"]]
    embedder = CNNEmbedder(backbone).fit(frame)
    assert embedder.n_features_in_ == 2
    assert list(embedder.feature_names_in_) == ["front", "back"]
    with pytest.raises(ValueError, match="feature names should match"):
        embedder.transform(frame[["back", "front"]])
    with pytest.raises(ValueError, match="feature names should match"):
        embedder.transform(X[["front"]])
    with pytest.raises(ValueError, match=r"fitted on a frame of 2 columns of paths.*is a list"):
        embedder.transform(X["front"].tolist())
    # A new fit forgets them.
    assert CNNEmbedder(backbone).fit(frame).fit(X[["front"]]).n_features_in_ == 1
    bad = frame.copy()
    bad.iloc[5, 1] = None
    with pytest.raises(ValueError, match="must be a path"):
        embedder.transform(bad)
    with pytest.raises(ValueError, match="column 'back' holds none: float64"):
        embedder.transform(frame.assign(back=1.5))


def test_the_embeddings_of_several_columns_are_each_of_length_one(table, backbone):
    X, _ = table
    made = CNNEmbedder(backbone, normalize=True).fit_transform(X[["front", "back"]])
    lengths = np.linalg.norm(made.reshape(len(X), 2, -1), axis=2)
    np.testing.assert_allclose(lengths, 1, rtol=1e-5)


@pytest.mark.slow
def test_an_embedder_of_several_columns_is_saved(table, backbone, tmp_path):
    X, _ = table
    embedder = CNNEmbedder(backbone).fit(X[["front", "back"]])
    expected = embedder.transform(X[["front", "back"]])
    embedder.save(tmp_path / "embedder.skimb")
    for again in (load(tmp_path / "embedder.skimb"), pickle.loads(pickle.dumps(embedder))):
        np.testing.assert_array_equal(again.transform(X[["front", "back"]]), expected)


def test_a_network_that_is_trained_reads_one_column(table):
    X, y = table
    for embedder in (CNNEmbedder(), CNNEmbedder(CNNClassifier(max_epochs=1))):
        with pytest.raises(
            ValueError, match=r"2 columns of paths, 'front', 'back'.*image_column.*of its own"
        ):
            embedder.fit(X[["front", "back"]], y)
        assert not hasattr(embedder, "net_")


@pytest.mark.parametrize(
    "columns", ["front", pytest.param(["front", "back"], marks=pytest.mark.slow)], ids=str
)
def test_a_network_that_finds_its_images_by_name_gets_the_frame(columns, table, memory):
    X, y = table
    network = CNNClassifier(image_column=columns, max_epochs=1, random_state=0)
    names = [columns] if isinstance(columns, str) else columns
    for chosen in (names, [*names, *NUMBERS]):
        trained = clone(network).fit(X[chosen], y)
        for embedder in (CNNEmbedder(network), CNNEmbedder(FrozenEstimator(trained), cache=True)):
            made = make_column_transformer((embedder, chosen)).fit(X, y)
            np.testing.assert_array_equal(made.transform(X), trained.embed(X[chosen]))


# ------------------------------------------------------------------------- searches with a cache

GRID = {"logisticregression__C": np.logspace(-3, 3, 8)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cache", "kind", "which"),
    [
        pytest.param(True, "pandas", "plain", marks=pytest.mark.exhaustive),
        pytest.param(True, "polars", "backbone", marks=pytest.mark.exhaustive),
        ("folder", "polars", "plain"),
    ],
    ids=["memory, pandas", "memory, polars", "folder, polars"],
)
def test_a_search_reads_each_image_once(
    cache, kind, which, table, memory, decoded, n_embedded, tmp_path, request
):
    X, y = table
    network = request.getfixturevalue(which)
    embedder = CNNEmbedder(
        FrozenEstimator(network) if which == "plain" else network,
        cache=tmp_path / "cache" if cache == "folder" else cache,
    )
    model = make_pipeline(columns(embedder, ("front", "back")), LogisticRegression(max_iter=999))
    search = GridSearchCV(model, GRID, cv=5)
    decoded.clear()
    n_embedded.clear()
    search.fit(as_frame(X, kind), y)
    assert len(search.cv_results_["params"]) == 8
    n_images = 2 * len(X)
    # A block of one image holds two rows.
    assert sum(n_embedded) <= n_images + 1
    # Each file is decoded to be checked, and at most once more for the network.
    assert n_images <= len(decoded) <= 2 * n_images
    decoded.clear()
    n_embedded.clear()
    model.fit(as_frame(X, kind), y)
    assert decoded == []
    assert n_embedded == []
    without = clone(model).set_params(columntransformer__image__cache=None).fit(X, y)
    np.testing.assert_array_equal(without.predict_proba(X), model.predict_proba(X))


@pytest.mark.slow
@pytest.mark.exhaustive
def test_processes_share_the_embeddings_of_a_folder(table, plain, tmp_path, n_embedded):
    X, y = table
    embedder = CNNEmbedder(FrozenEstimator(plain), cache=tmp_path / "cache")
    search = GridSearchCV(
        make_pipeline(columns(embedder), LogisticRegression(max_iter=999)),
        {"logisticregression__C": [0.1, 1]},
        cv=3,
        refit=False,
    )
    n_embedded.clear()
    by_two = clone(search).set_params(n_jobs=2).fit(X, y)
    by_one = search.fit(X, y)
    # Two processes have embedded all images, and this one reads what they found.
    assert n_embedded == []
    np.testing.assert_array_equal(
        by_two.cv_results_["mean_test_score"], by_one.cv_results_["mean_test_score"]
    )


def test_a_clone_keeps_the_cache(table, backbone, memory, n_embedded):
    X, y = table
    made = columns(CNNEmbedder(backbone, cache=True))
    expected = made.fit_transform(X, y)
    n_embedded.clear()
    np.testing.assert_array_equal(clone(made).fit_transform(X, y), expected)
    assert n_embedded == []


def test_a_cache_does_not_change_embeddings(table, network, memory):
    X, y = table
    for frame in (X, X.iloc[::-1], X.iloc[:7]):
        np.testing.assert_array_equal(
            columns(CNNEmbedder(network, cache=True)).fit(X, y).transform(frame),
            columns(CNNEmbedder(network)).fit(X, y).transform(frame),
        )


# ------------------------------------------------------------------------- files that were checked


@pytest.fixture
def files(tmp_path, memory):
    paths = np.array([str(tmp_path / f"{i}.png") for i in range(6)], dtype=object)
    for i, path in enumerate(paths):
        Image.fromarray(np.full((4, 4), 10 * i, dtype=np.uint8)).save(path)
    return paths


def test_files_are_decoded_to_be_checked_once(files, decoded):
    first = checked_files(files, (1, 4, 4))
    assert sorted(decoded) == sorted(files)
    for chosen in (files, files[::-1], files[[3, 3, 1]]):
        again = checked_files(chosen.tolist(), (1, 4, 4))
        expected = _image_files.ImageFiles.checked(chosen, (1, 4, 4))
        np.testing.assert_array_equal(again.levels, expected.levels)
        np.testing.assert_array_equal(again.paths, chosen)
        assert again.image_shape == first.image_shape == (1, 4, 4)
        assert again.dtype == np.uint8
    decoded.clear()
    checked_files(files, (1, 4, 4))
    checked_files(files, None)
    assert sorted(decoded) == sorted(files)
    decoded.clear()
    # Another shape is another check.
    checked_files(files, (1, 2, 2))
    assert sorted(decoded) == sorted(files)


def test_checks_without_a_shape_do_not_drop_those_that_are_remembered(files, decoded, monkeypatch):
    monkeypatch.setattr(embedded_files, "_CHECKED", MemoryCache(most_bytes=6 * 24))
    checked_files(files, (1, 4, 4))
    checked_files(files, None)
    decoded.clear()
    checked_files(files, (1, 4, 4))
    assert decoded == []


def test_a_file_that_has_changed_is_checked_again(files, decoded):
    checked_files(files, (1, 4, 4))
    decoded.clear()
    found = os.stat(files[2])
    shutil.copyfile(files[3], files[2])
    os.utime(files[2], ns=(found.st_atime_ns, found.st_mtime_ns))
    assert checked_files(files, (1, 4, 4)).levels[2].tolist() == [30, 30, 30]
    assert decoded == [files[2]]


@pytest.mark.parametrize("size", [0, 20])
def test_a_file_that_was_damaged_since_is_named(files, size):
    checked_files(files, (1, 4, 4))
    os.truncate(files[2], size)
    with pytest.raises(ValueError, match=r"1 of 6 files cannot be read as images: .*2\.png"):
        checked_files(files, (1, 4, 4))
    os.remove(files[4])
    with pytest.raises(ValueError, match=r"2 of 6 files.*2\.png.*4\.png \(no such file\)"):
        checked_files(files, (1, 4, 4))


def test_files_of_more_than_8_bits_are_always_checked(files, decoded):
    deep = files[:2].tolist()
    for path in deep:
        Image.fromarray(np.full((4, 4), 1000, dtype=np.uint16)).save(path)
    for _ in range(2):
        decoded.clear()
        assert checked_files(deep, (1, 4, 4)).dtype == np.uint16
        assert sorted(decoded) == sorted(deep)
    checked_files(files[2:], (1, 4, 4))
    with pytest.raises(ValueError, match="2 of 6 files have more than 8 bits"):
        checked_files(files, (1, 4, 4))


def test_files_of_different_sizes_are_refused_after_a_check(files):
    checked_files(files)
    Image.fromarray(np.zeros((5, 4), dtype=np.uint8)).save(files[1])
    with pytest.raises(ValueError, match=r"differ in size.*image_shape"):
        checked_files(files)


def test_an_image_that_changes_is_embedded_again(files, backbone):
    embedder = CNNEmbedder(backbone, cache=True, image_shape=(1, 4, 4))
    before = embedder.fit_transform(files)
    noise = np.random.RandomState(0).randint(0, 255, (4, 4)).astype(np.uint8)
    Image.fromarray(noise).save(files[0])
    after = embedder.transform([Path(path) for path in files])
    assert not np.array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[1:], after[1:])


# ------------------------------------------------------------------------- skrub


@both_kinds
def test_skrubs_vectorizer_encodes_the_other_columns(kind, table, backbone):
    skrub = pytest.importorskip("skrub")
    X, y = table
    frame = as_frame(X.drop(columns="back"), kind)
    beside = make_column_transformer(
        (CNNEmbedder(backbone), ["front"]),
        (skrub.TableVectorizer(), [*NUMBERS, *CATEGORIES]),
    )
    within = skrub.TableVectorizer(specific_transformers=[(CNNEmbedder(backbone), ["front"])])
    first, second = beside.fit_transform(frame, y), within.fit_transform(frame, y)
    assert first.shape == second.shape
    images = [name for name in second.columns if name.startswith("cnnembedder")]
    np.testing.assert_array_equal(first[:, : len(images)], second[images].to_numpy())
    assert type(second) is type(frame)


@pytest.mark.slow
@each_kind
def test_skrubs_pipeline_is_cross_validated_on_images(kind, table, plain, memory):
    skrub = pytest.importorskip("skrub")
    X, y = table
    embedder = CNNEmbedder(FrozenEstimator(plain), cache=True)
    model = skrub.tabular_pipeline("classifier").set_params(
        tablevectorizer__specific_transformers=[(embedder, ["front", "back"])]
    )
    predicted = cross_val_predict(model, as_frame(X, kind), y, cv=2)
    assert predicted.shape == y.shape
    assert set(predicted) <= set(y)


# ------------------------------------------------------------------------- resampling


def mixed_table(embedder, missing=np.nan):
    """Embeddings, scaled numbers, and categories as they are, in a frame of pandas."""
    return make_column_transformer(
        (embedder, ["front"]),
        (StandardScaler(), NUMBERS),
        (SimpleImputer(missing_values=missing, strategy="most_frequent"), ["site"]),
        ("passthrough", ["smoker"]),
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")


@both_kinds
def test_smotenc_makes_embeddings_numbers_and_categories(kind, table, plain):
    X, y = table
    X = X.copy()
    X.iloc[3, X.columns.get_loc("site")] = np.nan
    # A missing string of polars is None.
    missing: Any = np.nan if kind == "pandas" else None
    table = mixed_table(CNNEmbedder(FrozenEstimator(plain)), missing)
    made = table.fit_transform(as_frame(X, kind), y)
    sampler = SMOTENC(CATEGORIES, random_state=0)
    made_res, y_res = sampler.fit_resample(made, y)
    assert dict(zip(*np.unique(y_res, return_counts=True), strict=True)) == {
        "eight": sum(y != "eight"),
        "rest": sum(y != "eight"),
    }
    assert list(made_res.columns) == list(made.columns)
    assert not made_res.isna().any(axis=None)
    new = made_res.iloc[len(y) :]
    assert set(new["site"]) <= {"a", "b", "c"}
    assert set(new["smoker"]) <= {True, False}
    images = [name for name in made.columns if name.startswith("cnnembedder")]
    eights = made.loc[y == "eight", images]
    assert made_res[images].dtypes.eq(np.float32).all()
    assert (new[images].to_numpy() <= eights.max().to_numpy() + 1e-6).all()
    assert (new[images].to_numpy() >= eights.min().to_numpy() - 1e-6).all()


def test_missing_values_before_smotenc_are_as_the_page_says():
    smoker = [True, False, False, True] * 10
    X = pd.DataFrame({"age": np.arange(40) / 40, "site": ["a", "b"] * 20, "smoker": smoker})
    y = np.repeat([0, 1], [10, 30])
    sampler = SMOTENC(["site", "smoker"], random_state=0)
    with pytest.raises(ValueError, match="NaN"):
        sampler.fit_resample(X.assign(age=X["age"].where(X["age"] > 0.1)), y)
    # A missing category is a category, of samples that are made too.
    unknown = X.assign(site=X["site"].where(X.index >= 10, None))
    assert sampler.fit_resample(unknown, y)[0]["site"].isna().sum() == 30
    # None stays where the imputer is not told of it.
    polars = pytest.importorskip("polars")
    given = polars.DataFrame({"site": [None] * 10 + ["a", "b"] * 15, "smoker": smoker})
    missing: Any
    for missing, n_missing in ((np.nan, 10), (None, 0)):
        imputer = SimpleImputer(strategy="most_frequent", missing_values=missing)
        assert pd.isna(imputer.fit_transform(given)).sum() == n_missing
    with pytest.raises(ValueError, match="does not support data with dtype bool"):
        SimpleImputer(strategy="most_frequent").fit(X[["smoker"]])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("which", "kind"), [("names", "pandas"), ("names", "polars"), ("auto", "pandas")]
)
def test_smotenc_in_the_embedding_is_cross_validated(which, kind, table, plain, memory):
    X, y = table
    if which == "auto":
        X = X.astype(dict.fromkeys(CATEGORIES, "category"))
    embedder = CNNEmbedder(FrozenEstimator(plain), cache=True)
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), CATEGORIES), remainder="passthrough"
    )
    first = make_column_transformer(
        (embedder, ["front"]),
        (StandardScaler(), NUMBERS),
        ("passthrough", CATEGORIES),
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    model = make_resampling_pipeline(
        first,
        SMOTENC(CATEGORIES if which == "names" else "auto", random_state=0),
        encoder,
        LogisticRegression(max_iter=999),
    )
    result = cross_validate(model, as_frame(X, kind), y, cv=3, scoring="balanced_accuracy")
    assert result["test_score"].mean() > 0.8


@pytest.mark.slow
@each_kind
def test_rows_are_chosen_before_they_are_embedded(kind, table, plain, memory):
    X, y = table
    model = make_resampling_pipeline(
        RandomOverSampler(random_state=0),
        columns(CNNEmbedder(FrozenEstimator(plain), cache=True)),
        LogisticRegression(max_iter=999),
    )
    scores = cross_validate(model, as_frame(X, kind), y, cv=3, scoring="balanced_accuracy")
    by_hand = []
    for train, test in StratifiedKFold(3).split(X, y):
        chosen, labels = RandomOverSampler(random_state=0).fit_resample(X.iloc[train], y[train])
        fitted = make_pipeline(*map(clone, dict(model.steps[1:]).values())).fit(chosen, labels)
        predicted = fitted.predict(X.iloc[test])
        by_hand.append(balanced_accuracy_score(y[test], predicted))
    np.testing.assert_allclose(scores["test_score"], by_hand)


@pytest.mark.slow
def test_a_sampler_chooses_rows_by_their_images_and_columns(table, plain):
    X, y = table
    embedder = make_column_transformer(
        (CNNEmbedder(FrozenEstimator(plain)), ["front"]),
        (StandardScaler(), NUMBERS),
        (OneHotEncoder(), CATEGORIES),
    )
    sampler = ClusterUnderSampler(embedder=embedder, random_state=0)
    X_res, y_res = sampler.fit_resample(X, y)
    pd.testing.assert_frame_equal(X_res, X.iloc[sampler.sample_indices_])
    assert sum(y_res == "rest") == sum(y == "eight")
    polars_res, _ = sampler.fit_resample(as_frame(X, "polars"), y)
    assert polars_res["front"].to_list() == X_res["front"].tolist()
