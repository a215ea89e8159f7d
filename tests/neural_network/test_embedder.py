"""CNNEmbedder: images as a table, and a cache that embeds each of them once."""

import os
import pickle
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.pipeline import make_pipeline
from joblib import Parallel, delayed
from PIL import Image
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import (
    check_fit_idempotent,
    check_pipeline_consistency,
    check_transformer_data_not_an_array,
    check_transformer_general,
)
from torch import nn

from skimb._engine import _image_net, _length
from skimb._engine._blocks import forward
from skimb.neural_network import (
    CNNClassifier,
    CNNEmbedder,
    _embedding_cache,
)
from skimb.neural_network._embedding_cache import (
    FolderCache,
    MemoryCache,
    _digest,
    embed_once,
    open_cache,
    sample_keys,
)
from skimb.over_sampling import SMOTE


@pytest.fixture(scope="module")
def plain(small_digits):
    X, y = small_digits
    return CNNClassifier(max_epochs=3, random_state=0).fit(X, y)


@pytest.fixture
def frozen(plain):
    return FrozenEstimator(plain)


@pytest.fixture
def count_rows(monkeypatch):
    """Count the rows that networks read, without those that fill blocks up."""
    rows = []

    def counting(module, images, n_rows, **options):
        rows.append(len(images))
        return forward(module, images, n_rows, **options)

    monkeypatch.setattr(_image_net, "forward", counting)
    return rows


@pytest.fixture
def memory():
    cache = open_cache(True)
    assert isinstance(cache, MemoryCache)
    cache.clear()
    yield cache
    cache.clear()


@pytest.fixture(scope="module")
def picture_table(tmp_path_factory, small_digits):
    """A frame with a column of image files beside numbers and categories."""
    X, y = small_digits
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for i, image in enumerate(X):
        paths.append(str(folder / f"{i}.png"))
        Image.fromarray(image.astype(np.uint8)).save(paths[-1])
    rng = np.random.RandomState(0)
    table = {
        "path": paths,
        "age": rng.normal(50, 10, len(X)),
        "site": rng.choice(["a", "b", "c"], len(X)),
    }
    return pd.DataFrame(table, index=np.arange(len(X)) + 100), y


# ------------------------------------------------------------------------------ embeddings


def test_a_frozen_network_gives_its_embedding(frozen, plain, small_digits):
    X, _ = small_digits
    embedder = CNNEmbedder(frozen).fit(X)
    np.testing.assert_array_equal(embedder.transform(X), plain.embed(X))
    assert embedder.estimator_ is plain
    assert embedder.n_features_in_ == 64
    assert embedder.transform(X).dtype == np.float32


def test_a_trained_network_is_that_of_the_classifier(plain, small_digits):
    X, y = small_digits
    embedder = CNNEmbedder(CNNClassifier(max_epochs=3, random_state=0)).fit(X, y)
    np.testing.assert_array_equal(embedder.transform(X), plain.embed(X))


def test_weights_reach_the_training(small_digits):
    X, y = small_digits
    weight = np.where(np.arange(len(y)) % 2, 1.0, 0.0)
    network = CNNClassifier(max_epochs=1, random_state=0)
    embedder = CNNEmbedder(network).fit(X, y, sample_weight=weight)
    expected = clone(network).fit(X, y, sample_weight=weight).embed(X)
    np.testing.assert_array_equal(embedder.transform(X), expected)


UNSEEDED = CNNClassifier(max_epochs=1)


@pytest.fixture
def short(monkeypatch):
    """Let networks whose length is "auto" train for a moment."""
    monkeypatch.setattr(_length, "LEAST_STEPS", 10)
    monkeypatch.setattr(_length, "LEAST_EPOCHS", 2)


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(None, check_fit_idempotent, id="default"),
        pytest.param(UNSEEDED, check_fit_idempotent, id="fit twice"),
        pytest.param(UNSEEDED, check_pipeline_consistency, id="pipeline"),
        pytest.param(UNSEEDED, check_transformer_data_not_an_array, id="list"),
        pytest.param(UNSEEDED, check_transformer_general, id="transformer"),
    ],
)
def test_an_embedder_as_it_comes_is_seeded_as_scikit_learn_seeds_it(estimator, check, short):
    check("CNNEmbedder", CNNEmbedder(estimator))


@pytest.mark.slow
def test_the_seed_of_the_embedder_is_that_of_what_has_none(small_digits):
    X, y = small_digits
    network = CNNClassifier(max_epochs=1)

    def embedded(network_seed, seed):
        unfitted = clone(network).set_params(random_state=network_seed)
        return CNNEmbedder(unfitted, random_state=seed).fit(X, y).transform(X[:5])

    np.testing.assert_array_equal(embedded(None, 0), embedded(None, 0))
    assert not np.array_equal(embedded(None, 0), embedded(None, 1))
    # A seed of its own counts.
    np.testing.assert_array_equal(embedded(3, 0), embedded(3, 1))
    np.testing.assert_array_equal(embedded(3, 0), embedded(3, None))
    assert network.random_state is None


@pytest.mark.slow
def test_the_seed_of_a_resampler_reaches_the_network_of_its_embedder(small_digits, short):
    X, y = small_digits
    found = []
    for estimator in (None, CNNClassifier(max_epochs=1)):
        for _ in range(2):
            sampler = SMOTE(embedder=CNNEmbedder(estimator), k_neighbors=3, random_state=0)
            sampler.fit_resample(X[:60], y[:60])
            found.append(sampler.parents_)
        np.testing.assert_array_equal(*found[-2:])


def test_rows_of_length_one(frozen, plain, small_digits):
    X, _ = small_digits
    embedded = CNNEmbedder(frozen, normalize=True).fit_transform(X)
    raw = plain.embed(X)
    expected = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    np.testing.assert_allclose(embedded, expected, rtol=1e-5)


def test_a_layer_by_name_gives_the_mean_over_its_maps(frozen, plain, small_digits):
    X, _ = small_digits
    embedded = CNNEmbedder(frozen, layer="features.norms.0").fit_transform(X)
    maps = []
    norm = plain.module_.features.norms[0]
    handle = norm.register_forward_hook(lambda layer, inputs, output: maps.append(output))
    plain.predict(X)
    handle.remove()
    # The last block is filled up.
    expected = np.concatenate([batch.mean((2, 3)).numpy() for batch in maps])[: len(X)]
    assert embedded.shape == (len(X), 32)
    np.testing.assert_allclose(embedded, expected, rtol=1e-5, atol=1e-6)


def test_the_embedding_by_layer_reads_the_same_as_the_penultimate_one(frozen, small_digits):
    X, _ = small_digits
    np.testing.assert_array_equal(
        CNNEmbedder(frozen, layer="features").fit_transform(X),
        CNNEmbedder(frozen).fit_transform(X),
    )


def test_an_unknown_layer_is_named_beside_those_that_are_there(frozen, small_digits):
    X, _ = small_digits
    embedder = CNNEmbedder(frozen, layer="nonsense")
    with pytest.raises(ValueError, match=r"no layer 'nonsense'.*features\.norms\.0"):
        embedder.fit(X)
    assert not hasattr(embedder, "net_")


def test_a_layer_that_only_holds_others_does_not_run(frozen, small_digits):
    with pytest.raises(ValueError, match="ModuleList does not run as a whole"):
        CNNEmbedder(frozen, layer="features.convolutions").fit(small_digits[0])


def test_another_estimator_is_refused(small_digits):
    with pytest.raises(ValueError, match="`estimator` must be a CNNClassifier"):
        CNNEmbedder(FrozenEstimator(LogisticRegression())).fit(*small_digits)


def test_training_wants_labels(small_digits):
    with pytest.raises(ValueError, match="requires y to be passed"):
        CNNEmbedder(CNNClassifier()).fit(small_digits[0])


def test_parameters_of_pretrained_networks_are_refused_beside_an_estimator(frozen, small_digits):
    with pytest.raises(ValueError, match="`channels` belongs to embedders of a `pretrained`"):
        CNNEmbedder(frozen, channels="last").fit(small_digits[0])


def test_names_and_frames(frozen, small_digits):
    X, _ = small_digits
    embedder = CNNEmbedder(frozen).set_output(transform="pandas").fit(X)
    frame = embedder.transform(X)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns[:2]) == ["cnnembedder0", "cnnembedder1"]
    np.testing.assert_array_equal(embedder.get_feature_names_out(), frame.columns)


def test_clones_and_pickles(frozen, small_digits):
    X, _ = small_digits
    embedder = CNNEmbedder(frozen).fit(X)
    for other in (clone(embedder).fit(X), pickle.loads(pickle.dumps(embedder))):
        np.testing.assert_array_equal(other.transform(X), embedder.transform(X))


# ------------------------------------------------------------------------------ in company


@pytest.mark.slow
@pytest.mark.parametrize(
    "classifier", [LogisticRegression(max_iter=999), KNeighborsClassifier()], ids=str
)
def test_a_pipeline_with_smote_in_a_grid_search(classifier, frozen, small_digits):
    X, y = small_digits
    pipeline = make_pipeline(CNNEmbedder(frozen), SMOTE(random_state=0), classifier)
    search = GridSearchCV(
        pipeline, {"smote__k_neighbors": [1, 3]}, cv=3, scoring="balanced_accuracy"
    ).fit(X, y)
    assert search.best_score_ > 0.7
    again = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(again.predict(X), search.predict(X))


@pytest.mark.slow
def test_the_network_is_trained_within_each_fold(small_digits):
    X, y = small_digits
    embedder = CNNEmbedder(CNNClassifier(max_epochs=3, random_state=0))
    pipeline = make_pipeline(embedder, LogisticRegression(max_iter=999))
    scores = [cross_val_score(pipeline, X, y, cv=3, n_jobs=n_jobs) for n_jobs in (1, 2)]
    np.testing.assert_array_equal(scores[0], scores[1])


def test_an_embedder_of_resamplers(frozen, plain, small_digits):
    X, y = small_digits
    by_transformer = SMOTE(embedder=CNNEmbedder(frozen), random_state=0)
    by_points, _ = SMOTE(random_state=0).fit(plain.embed(X), y), None
    by_transformer.fit_resample(X, y)
    by_points.fit_resample(plain.embed(X), y)
    np.testing.assert_array_equal(by_transformer.parents_, by_points.parents_)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("column", "head"),
    [
        ("path", RandomForestClassifier(20, random_state=0)),
        pytest.param(["path"], KNeighborsClassifier(), marks=pytest.mark.exhaustive),
    ],
    ids=["name", "list"],
)
def test_a_column_of_images_beside_numbers_and_categories(column, head, picture_table):
    table, y = picture_table
    embedder = CNNEmbedder(CNNClassifier(max_epochs=3, random_state=0))
    columns = ColumnTransformer(
        [
            ("image", embedder, column),
            ("number", StandardScaler(), ["age"]),
            ("category", OneHotEncoder(sparse_output=False), ["site"]),
        ]
    )
    pipeline = make_pipeline(columns, SMOTE(random_state=0), head)
    search = GridSearchCV(
        pipeline,
        {"columntransformer__image__normalize": [False, True]},
        cv=2,
        scoring="balanced_accuracy",
    ).fit(table, y)
    assert search.score(table, y) > 0.9
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(again.predict(table), search.predict(table))


@pytest.mark.slow
def test_a_column_of_images_gives_a_frame_with_the_index_of_the_table(picture_table):
    table, y = picture_table
    columns = ColumnTransformer(
        [("image", CNNEmbedder(CNNClassifier(max_epochs=1, random_state=0)), "path")],
        remainder="passthrough",
    ).set_output(transform="pandas")
    frame = columns.fit_transform(table, y)
    assert frame.index.equals(table.index)
    assert "image__cnnembedder0" in frame.columns
    assert "remainder__age" in frame.columns


# ------------------------------------------------------------------------------ the cache

GRID = {"logisticregression__C": [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30]}


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("cache", [None, True, "folder"], ids=str)
def test_a_search_embeds_each_image_once(cache, frozen, small_digits, count_rows, memory, tmp_path):
    X, y = small_digits
    X = np.concatenate([X, X[:7]])
    y = np.concatenate([y, y[:7]])
    embedder = CNNEmbedder(frozen, cache=tmp_path / "new" if cache == "folder" else cache)
    pipeline = make_pipeline(embedder, LogisticRegression(max_iter=999))
    search = GridSearchCV(pipeline, GRID, cv=5).fit(X, y)
    n_fits = len(search.cv_results_["params"]) * 5 + 1
    assert n_fits == 41
    # Beside these `fit` reads one row, to learn how long an embedding is.
    n_read = sum(n for n in count_rows if n > 2)
    if cache is None:
        assert n_read == 41 * len(X)
    else:
        # That row is kept too.
        n_distinct = len(np.unique(X.reshape(len(X), -1), axis=0))
        assert n_distinct - 1 <= n_read <= n_distinct


@pytest.mark.slow
def test_what_is_kept_is_what_was_computed(frozen, plain, small_digits, memory, tmp_path):
    X, _ = small_digits
    for cache in (True, tmp_path):
        embedder = CNNEmbedder(frozen, cache=cache).fit(X)
        for rows in (slice(0, 9), slice(5, 60), slice(None)):
            np.testing.assert_array_equal(embedder.transform(X[rows]), plain.embed(X[rows]))


@pytest.mark.slow
def test_other_weights_layers_and_dtypes_are_kept_apart(frozen, small_digits, memory):
    X, y = small_digits
    other = FrozenEstimator(CNNClassifier(max_epochs=1, random_state=1).fit(X, y))
    plain = CNNEmbedder(frozen, cache=True).fit(X)
    embedded = plain.transform(X)
    for embedder, images in (
        (CNNEmbedder(other, cache=True), X),
        (CNNEmbedder(frozen, layer="features.norms.0", cache=True), X),
        (CNNEmbedder(frozen, cache=True), X.astype(np.float32)),
    ):
        expected = clone(embedder).set_params(cache=None).fit(X).transform(images)
        np.testing.assert_array_equal(embedder.fit(X).transform(images), expected)
    np.testing.assert_array_equal(plain.transform(X), embedded)


def test_files_are_known_by_their_bytes(frozen, picture_table, tmp_path, memory):
    table, _ = picture_table
    embedder = CNNEmbedder(frozen, cache=True).fit(table["path"])
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    for path, source in ((first, 0), (second, 1)):
        path.write_bytes(Path(table["path"].iloc[source]).read_bytes())
    before = embedder.transform([first])
    np.testing.assert_array_equal(before, embedder.transform(table["path"][:1]))
    first.write_bytes(second.read_bytes())
    np.testing.assert_array_equal(embedder.transform([first]), embedder.transform([second]))
    assert not np.array_equal(embedder.transform([first]), before)


def test_a_damaged_entry_is_computed_anew(frozen, plain, small_digits, tmp_path):
    X, _ = small_digits
    embedder = CNNEmbedder(frozen, cache=tmp_path).fit(X)
    embedder.transform(X)
    with sqlite3.connect(FolderCache(tmp_path).path) as connection:
        (value,) = connection.execute("SELECT value FROM embeddings LIMIT 1").fetchone()
        bad = bytes([value[0] ^ 1]) + value[1:]
        connection.execute("UPDATE embeddings SET value = ? WHERE value = ?", (bad, value))
    connection.close()
    np.testing.assert_array_equal(embedder.transform(X), plain.embed(X))
    with sqlite3.connect(FolderCache(tmp_path).path) as connection:
        n_bad = connection.execute("SELECT count(*) FROM embeddings WHERE value = ?", (bad,))
        assert n_bad.fetchone() == (0,)
    connection.close()


@pytest.mark.parametrize("value", ["'text'", "CAST(X'FF00FF' AS TEXT)", "7", "X''", "0.5"])
def test_an_entry_of_another_type_is_computed_anew(value, frozen, plain, small_digits, tmp_path):
    X, _ = small_digits
    embedder = CNNEmbedder(frozen, cache=tmp_path).fit(X)
    embedder.transform(X)
    with sqlite3.connect(FolderCache(tmp_path).path) as connection:
        connection.execute(f"UPDATE embeddings SET value = {value}")
    connection.close()
    np.testing.assert_array_equal(embedder.transform(X), plain.embed(X))


def test_a_network_with_views_is_known_in_every_process(small_digits, tmp_path, memory):
    X, y = small_digits
    network = CNNClassifier(augmentation="flip_crop", max_epochs=1, random_state=0).fit(X, y)
    embedder = CNNEmbedder(FrozenEstimator(network), cache=tmp_path).fit(X)
    embedder.transform(X)
    again = pickle.loads(pickle.dumps(embedder))
    again._run = lambda images: pytest.fail("embedded again")
    np.testing.assert_array_equal(again.transform(X), network.embed(X))


def test_networks_that_differ_in_a_plain_attribute_are_kept_apart(small_digits, memory):
    class Powers(nn.Module):
        def __init__(self, power):
            super().__init__()
            self.power = power
            self.head = nn.Linear(64, 2)

        def forward(self, x):
            return self.head(x.flatten(1) ** self.power)

    X, y = small_digits
    torch.manual_seed(0)
    first, second = Powers(1), Powers(2)
    second.load_state_dict(first.state_dict())
    for module in (first, second):
        network = CNNClassifier(module, max_epochs=1, lr=1e-9, random_state=0).fit(X, y)
        network.module_.load_state_dict(first.state_dict())
        embedder = CNNEmbedder(FrozenEstimator(network), cache=True).fit(X)
        np.testing.assert_array_equal(embedder.transform(X), network.embed(X))


@pytest.mark.slow
def test_clones_in_threads_share_a_network_and_do_not_mix_rows(frozen, plain, small_digits):
    X, _ = small_digits
    parts = [X[:100], X[100:], X[50:200], X[::2]] * 4
    embedder = CNNEmbedder(frozen).fit(X)
    found = Parallel(n_jobs=4, backend="threading")(
        delayed(clone(embedder).fit(X).transform)(part) for part in parts
    )
    for part, embedded in zip(parts, found, strict=True):
        np.testing.assert_array_equal(embedded, plain.embed(part))


@pytest.mark.parametrize("damage", ["head", "middle", "tail"])
def test_a_damaged_database_is_put_aside(damage, frozen, plain, small_digits, tmp_path):
    X, _ = small_digits
    embedder = CNNEmbedder(frozen, cache=tmp_path).fit(X)
    embedder.transform(X)
    path = tmp_path / FolderCache.file_name
    content = bytearray(path.read_bytes())
    if damage == "head":
        content[:200] = b"x" * 200
    elif damage == "middle":
        content[4096 : len(content) // 2] = b"x" * (len(content) // 2 - 4096)
    else:
        content = content[: len(content) // 3]
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="is damaged"):
        embedded = embedder.transform(X)
    np.testing.assert_array_equal(embedded, plain.embed(X))
    np.testing.assert_array_equal(embedder.transform(X), embedded)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_several_processes_share_a_folder(frozen, plain, small_digits, tmp_path):
    X, _ = small_digits
    task = tmp_path / "task.pickle"
    embedder = CNNEmbedder(frozen, cache=tmp_path / "cache").fit(X)
    task.write_bytes(pickle.dumps((embedder, X)))
    code = (
        "import pickle, sys, numpy as np\n"
        f"embedder, X = pickle.load(open({str(task)!r}, 'rb'))\n"
        "for start in range(0, len(X), 20):\n"
        "    rows = np.roll(np.arange(len(X)), int(sys.argv[1]) * 7)[start:start + 20]\n"
        "    embedder.transform(X[rows])\n"
    )
    workers = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", code, str(i)]) for i in range(3)
    ]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    np.testing.assert_array_equal(embedder.transform(X), plain.embed(X))
    with sqlite3.connect(FolderCache(tmp_path / "cache").path) as connection:
        (n_rows,) = connection.execute("SELECT count(*) FROM embeddings").fetchone()
    connection.close()
    assert n_rows == len(np.unique(X.reshape(len(X), -1), axis=0))


def test_a_folder_that_cannot_be_made_is_refused_before_any_work(small_digits, tmp_path):
    X, y = small_digits
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ValueError, match="`cache` must be True or a folder"):
            CNNEmbedder(CNNClassifier(), cache=folder).fit(X, y)


def test_memory_is_bounded_and_the_oldest_go_first():
    cache = MemoryCache(most_bytes=40)
    cache.put([b"a", b"b"], np.ones((2, 4), dtype=np.float32))
    cache.get([b"a"])
    cache.put([b"c"], np.zeros((1, 4), dtype=np.float32))
    assert set(cache.get([b"a", b"b", b"c"])) == {b"a", b"c"}


# ------------------------------------------------------------------------------ a cache in trouble

IMAGES = np.random.RandomState(0).randint(256, size=(60, 4, 4, 1)).astype(np.uint8)
EMBEDDED = IMAGES.reshape(60, 16).astype(np.float32) / 7


def embed(images):
    """A network without the network."""
    return images.reshape(len(images), 16).astype(np.float32) / 7


def embedded_with(folder, images=IMAGES):
    """Embed with the cache in a folder, as an embedder does."""
    return embed_once(open_cache(folder), images, b"network", embed)


def changed(folder, *statements):
    """Change a database that is a cache."""
    connection = sqlite3.connect(FolderCache(folder).path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def recomputed(folder):
    """Embed where warnings are let pass; return them, once the values are right and kept again."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        np.testing.assert_array_equal(embedded_with(folder), EMBEDDED)
    assert {warning.category for warning in caught} <= {UserWarning}
    return [str(warning.message) for warning in caught]


@pytest.fixture
def filled(tmp_path):
    """A folder with a cache that holds half of the images."""
    folder = tmp_path / "cache"
    embedded_with(folder, IMAGES[:30])
    return folder


@pytest.mark.slow
def test_random_bytes_anywhere_in_the_database_change_no_embedding(filled):
    path = Path(FolderCache(filled).path)
    whole = path.read_bytes()
    rng = np.random.RandomState(0)
    n_warned = 0
    for case in range(300):
        content = bytearray(whole)
        # The header and the schema are few bytes among many.
        end = 100 if case % 4 == 0 else len(content)
        for position in rng.randint(end, size=rng.choice([1, 3, 30])):
            content[position] ^= rng.randint(1, 256)
        path.write_bytes(content)
        n_warned += bool(recomputed(filled))
        for name in os.listdir(filled):
            os.remove(filled / name)
    assert 10 < n_warned < 290


def test_a_database_cut_short_anywhere_changes_no_embedding(filled):
    path = Path(FolderCache(filled).path)
    whole = path.read_bytes()
    for size in [0, 1, 15, 99, 100, 101, 4095, 4096, 4097, len(whole) - 1]:
        path.write_bytes(whole[:size])
        recomputed(filled)
        assert embedded_with(filled) is not None
        for name in os.listdir(filled):
            os.remove(filled / name)


@pytest.mark.parametrize(
    "table",
    [
        "(key BLOB PRIMARY KEY, value BLOB NOT NULL)",
        "(key BLOB PRIMARY KEY, value BLOB, digest BLOB, made_at TEXT)",
        "(hash BLOB, embedding BLOB, digest BLOB)",
        "(key INTEGER PRIMARY KEY, value BLOB, digest BLOB)",
    ],
)
def test_a_table_of_another_version_is_put_aside(table, filled):
    changed(filled, "DROP TABLE embeddings", f"CREATE TABLE embeddings {table}")
    (message,) = recomputed(filled)
    assert "put aside as embeddings.sqlite.damaged" in message
    assert (filled / "embeddings.sqlite.damaged").exists()
    # The new one holds them.
    assert len(FolderCache(filled).get(sample_keys(IMAGES, b"network"))) == 60


def test_a_view_in_the_place_of_the_table_is_put_aside(filled):
    changed(
        filled,
        "ALTER TABLE embeddings RENAME TO others",
        "CREATE VIEW embeddings AS SELECT key, value, digest FROM others",
    )
    assert len(recomputed(filled)) == 1
    assert recomputed(filled) == []


@pytest.mark.parametrize("n_features", [3, 16, 17])
def test_whole_entries_of_another_length_or_dtype_are_not_believed(n_features, filled):
    keys = sample_keys(IMAGES[:9], b"network")
    changed(filled, "DELETE FROM embeddings")
    values = [np.ones(n_features).astype("<f8").tobytes()[: 4 * n_features + 1]] * 9
    with sqlite3.connect(FolderCache(filled).path) as connection:
        connection.executemany(
            "INSERT INTO embeddings VALUES (?, ?, ?)",
            [(key, value, _digest(key, value)) for key, value in zip(keys, values, strict=True)],
        )
    connection.close()
    assert recomputed(filled) == []
    FolderCache(filled).put(keys, np.ones((9, n_features + 1), dtype=np.float32))
    assert recomputed(filled) == []


@pytest.mark.parametrize("kind", ["empty folder", "folder", "pipe"])
def test_what_is_no_file_in_the_place_of_the_database_is_put_aside(kind, tmp_path):
    path = Path(FolderCache(tmp_path).path)
    os.mkfifo(path) if kind == "pipe" else path.mkdir()
    if kind == "folder":
        (path / "kept.txt").write_text("precious")
    (message,) = recomputed(tmp_path)
    assert "put aside" in message
    if kind == "folder":
        (kept,) = tmp_path.glob("*.damaged*/kept.txt")
        assert kept.read_text() == "precious"
    assert recomputed(tmp_path) == []


@pytest.mark.slow
def test_a_lock_that_is_never_released_is_waited_for_once(filled, monkeypatch):
    assert _embedding_cache.PATIENCE < 10
    monkeypatch.setattr(_embedding_cache, "PATIENCE", 0.5)
    other = sqlite3.connect(FolderCache(filled).path)
    other.execute("BEGIN EXCLUSIVE")
    for longest in (1.5, 0.5):
        begin = time.perf_counter()
        (message,) = recomputed(filled)
        assert time.perf_counter() - begin < longest
        assert "cannot be used (database is locked). Embeddings are not kept." in message
    other.close()
    assert recomputed(filled) == []
    assert not _embedding_cache._LOCKED


def test_a_full_disk_loses_nothing_and_reads_on(filled, monkeypatch):
    connect = FolderCache._connect

    def full(self):
        connection = connect(self)
        connection.execute("PRAGMA max_page_count = 1")
        return connection

    # Pages of which there is no more room, as on a full disk.
    monkeypatch.setattr(FolderCache, "_connect", full)
    (message,) = recomputed(filled)
    assert "full" in message
    assert len(FolderCache(filled).get(sample_keys(IMAGES, b"network"))) == 30
    assert not (filled / "embeddings.sqlite.damaged").exists()


@pytest.mark.skipif(os.name != "posix", reason="rights are those of POSIX")
@pytest.mark.parametrize("is_filled", [True, False])
def test_a_read_only_folder_is_read_and_not_written(is_filled, monkeypatch):
    with tempfile.TemporaryDirectory() as folder:
        if is_filled:
            embedded_with(folder, IMAGES[:30])
            os.chmod(FolderCache(folder).path, 0o444)
        os.chmod(folder, 0o555)
        is_root = os.geteuid() == 0
        if is_root:
            # No rights bind root.
            os.seteuid(65534)
        try:
            (message,) = recomputed(folder)
            found = (
                len(FolderCache(folder).get(sample_keys(IMAGES, b"network"))) if is_filled else 0
            )
        finally:
            if is_root:
                os.seteuid(0)
        os.chmod(folder, 0o755)
    assert "Embeddings are not kept" in message
    assert found == (30 if is_filled else 0)


@pytest.mark.skipif(os.name != "posix", reason="rights are those of POSIX")
def test_what_is_kept_of_images_is_its_owners_alone(tmp_path):
    mask = os.umask(0o000)
    try:
        embedded_with(tmp_path / "new")
        embedded_with(tmp_path)
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    for folder in (tmp_path, tmp_path / "new"):
        assert stat.S_IMODE((folder / FolderCache.file_name).stat().st_mode) == 0o600


def test_a_fitted_embedder_goes_on_where_its_folder_cannot_be_made(
    frozen, plain, small_digits, tmp_path
):
    X, _ = small_digits
    embedder = CNNEmbedder(frozen, cache=tmp_path / "cache").fit(X)
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").write_text("in the way")
    with pytest.warns(UserWarning, match="Embeddings are not kept"):
        embedded = embedder.transform(X)
    np.testing.assert_array_equal(embedded, plain.embed(X))


def test_weights_of_any_dtype_tell_networks_apart(small_digits, memory):
    class Scaled(nn.Module):
        scale: torch.Tensor

        def __init__(self, scale):
            super().__init__()
            self.register_buffer("scale", torch.tensor(scale, dtype=torch.bfloat16))
            self.head = nn.Linear(64, 2)

        def get_extra_state(self):
            return {"scale": float(self.scale)}

        def set_extra_state(self, state):
            pass

        def forward(self, x):
            return self.head(x.flatten(1) * self.scale.float())

    X, y = small_digits
    for scale in (1.0, 2.0):
        network = CNNClassifier(Scaled(scale), max_epochs=1, random_state=0).fit(X, y)
        embedder = CNNEmbedder(FrozenEstimator(network), cache=True).fit(X)
        np.testing.assert_array_equal(embedder.transform(X), network.embed(X))
