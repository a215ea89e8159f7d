"""Samplers on frames that have a column of image paths next to columns of every other kind."""

from datetime import date, timedelta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import imblearn.over_sampling
import imblearn.under_sampling
import numpy as np
import pandas as pd
import pytest
from imblearn.under_sampling import (
    EditedNearestNeighbours,
    NearMiss,
    OneSidedSelection,
    TomekLinks,
)
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from skimb import _image_files
from skimb.combine import SMOTEENN, SMOTETomek
from skimb.over_sampling import (
    SMOGN,
    SMOTE,
    SMOTER,
    GaussianNoiseOverSampler,
    RandomOverSampler,
    RelevanceOverSampler,
    apply_plan,
)
from skimb.under_sampling import (
    ClusterUnderSampler,
    EmbeddedSampler,
    RandomUnderSampler,
    RelevanceUnderSampler,
)

N = 20
PATHS = [f"{'x' * i}.png" for i in range(N)]
LABELS = np.where(np.arange(N) % 4 == 0, "ill", "well")


def every_column(index=None):
    """Return a frame of pandas whose files do not exist."""
    kinds = [f"k{i % 3}" for i in range(N)]
    frame = pd.DataFrame(
        {
            "path": [f"nowhere/{i}.png" for i in range(N)],
            "pathlib": pd.Series([Path(f"nowhere/{i}.png") for i in range(N)], dtype=object),
            "string": pd.array([None, *kinds[1:]], dtype="string"),
            "object": pd.Series([None, *kinds[1:]], dtype=object),
            "category": pd.Categorical(kinds, categories=["unused", *sorted(set(kinds))]),
            "ordered": pd.Categorical(kinds, categories=["k2", "k0", "k1"], ordered=True),
            "bool": np.arange(N) % 2 == 0,
            "boolean": pd.array([None, *(np.arange(N) % 2 == 0)[1:]], dtype="boolean"),
            "nullable": pd.array([None, *range(1, N)], dtype="Int64"),
            "large": np.arange(N) + 2**60,
            "small": np.arange(N, dtype=np.int8),
            "float": np.where(np.arange(N) % 5, np.linspace(0, 1, N), np.nan).astype(np.float32),
            "date": pd.date_range("2024-01-01", periods=N),
            "zone": pd.date_range("2024-01-01", periods=N, tz="Europe/Rome"),
            "duration": pd.timedelta_range("1D", periods=N),
            "period": pd.period_range("2024-01", periods=N, freq="M"),
            "sparse": pd.arrays.SparseArray(np.arange(N) % 2),
            "mixed": pd.Series([i if i % 2 else "s" for i in range(N)], dtype=object),
            "list": pd.Series([[i] for i in range(N)], dtype=object),
        }
    )
    if find_spec("pyarrow") is not None:
        strings = pd.ArrowDtype(import_module("pyarrow").string())
        frame["arrow"] = pd.array(kinds, dtype=strings)
        frame["arrow, missing"] = pd.array([None, *kinds[1:]], dtype="string[pyarrow]")
    return frame if index is None else frame.set_axis(index)


def every_polars_column():
    pl = pytest.importorskip("polars")
    kinds = [f"k{i % 3}" for i in range(N)]
    return pl.DataFrame(
        {
            "path": [f"nowhere/{i}.png" for i in range(N)],
            "float": np.linspace(0, 1, N, dtype=np.float32),
            "small": np.arange(N, dtype=np.int8),
            "integer": [None, *range(1, N)],
            "bool": [None, *[i % 2 == 0 for i in range(1, N)]],
            "category": pl.Series(kinds, dtype=pl.Categorical),
            "enum": pl.Series(kinds, dtype=pl.Enum(["unused", "k2", "k1", "k0"])),
            "date": [date(2024, 1, 1) + timedelta(i) for i in range(N)],
            "list": [[i] for i in range(N)],
            "struct": [{"a": i} for i in range(N)],
            "decimal": pl.Series(range(N)).cast(pl.Decimal(10, 2)),
            "pathlib": pl.Series([Path(f"nowhere/{i}.png") for i in range(N)], dtype=pl.Object),
        }
    )


SMALL = FunctionTransformer(lambda X: np.asarray(X["small"], dtype=float)[:, None])

#: Samplers that choose samples; those that measure distances read a column of numbers.
SELECTORS = {
    "over": RandomOverSampler(random_state=0),
    "over, lazy": RandomOverSampler(random_state=0, lazy=True),
    "under": RandomUnderSampler(random_state=0),
    "under, lazy": RandomUnderSampler(random_state=0, lazy=True),
    "cluster": ClusterUnderSampler(embedder=SMALL, random_state=0),
    "near miss": EmbeddedSampler(NearMiss(), embedder=SMALL),
    "tomek": EmbeddedSampler(TomekLinks(sampling_strategy="all"), embedder=SMALL),
    "edited": EmbeddedSampler(EditedNearestNeighbours(), embedder=SMALL),
    "one-sided": EmbeddedSampler(OneSidedSelection(random_state=0), embedder=SMALL),
    "over in an embedding": EmbeddedSampler(
        imblearn.over_sampling.RandomOverSampler(random_state=0), embedder=SMALL
    ),
}
each_selector = pytest.mark.parametrize("name", SELECTORS)
INDICES = {
    "range": None,
    "strings": [f"row {i}" for i in range(N)],
    "repeated": [7] * N,
    "levels": pd.MultiIndex.from_product([["a", "b"], range(N // 2)], names=["site", None]),
}


@pytest.fixture
def no_file_is_opened(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a file is opened")

    for name in ("decode", "look"):
        monkeypatch.setattr(_image_files, name, refuse)


@each_selector
@pytest.mark.parametrize("index", INDICES)
def test_a_sampler_that_chooses_keeps_every_column_of_pandas(name, index, no_file_is_opened):
    X = every_column(INDICES[index])
    before = X.copy()
    sampler = SELECTORS[name]
    X_res, y_res = sampler.fit_resample(X, LABELS)
    chosen = X.iloc[sampler.sample_indices_]
    # Types, categories and missing values are those of the samples that were chosen.
    pd.testing.assert_frame_equal(X_res, chosen.set_axis(X_res.index))
    np.testing.assert_array_equal(y_res, LABELS[sampler.sample_indices_])
    if "over" in name:
        assert X_res.index.equals(pd.RangeIndex(len(X_res)))
    else:
        assert X_res.index.equals(chosen.index)
        assert X_res.index.names == X.index.names
    pd.testing.assert_frame_equal(X, before)


@each_selector
def test_a_sampler_that_chooses_keeps_every_column_of_polars(name, no_file_is_opened):
    X = every_polars_column()
    sampler = SELECTORS[name]
    X_res, y_res = sampler.fit_resample(X, LABELS)
    assert type(X_res) is type(X)
    assert X_res.schema == X.schema
    assert X_res.rows() == [X.row(i) for i in sampler.sample_indices_]
    np.testing.assert_array_equal(y_res, LABELS[sampler.sample_indices_])


@each_selector
def test_frames_of_pandas_and_polars_are_resampled_equally(name):
    pl = pytest.importorskip("polars")
    table = {"path": [f"nowhere/{i}.png" for i in range(N)], "small": np.arange(N)}
    sampler = SELECTORS[name]
    sampler.fit_resample(pd.DataFrame(table), LABELS)
    chosen = sampler.sample_indices_
    sampler.fit_resample(pl.DataFrame(table), LABELS)
    np.testing.assert_array_equal(sampler.sample_indices_, chosen)


@pytest.mark.parametrize("name", ["over", "under"])
def test_a_column_of_paths_of_polars_comes_back_as_such(name, no_file_is_opened):
    X = every_polars_column()
    sampler = SELECTORS[name]
    for paths in (X.get_column("path"), X.select("path"), X.get_column("pathlib")):
        paths_res, _ = sampler.fit_resample(paths, LABELS)
        assert type(paths_res) is type(paths)
        rows = paths.rows() if hasattr(paths, "rows") else paths.to_list()
        rows_res = paths_res.rows() if hasattr(paths, "rows") else paths_res.to_list()
        assert rows_res == [rows[i] for i in sampler.sample_indices_]


@pytest.mark.parametrize("labels", ["strings", "category", "enum", "integers", "booleans"])
def test_labels_of_polars_come_back_as_such(labels):
    pl = pytest.importorskip("polars")
    y = {
        "strings": pl.Series("y", LABELS),
        "category": pl.Series("y", LABELS, dtype=pl.Categorical),
        "enum": pl.Series("y", LABELS, dtype=pl.Enum(["well", "ill"])),
        "integers": pl.Series("y", (LABELS == "ill").astype(np.int8)),
        "booleans": pl.Series("y", LABELS == "ill"),
    }[labels]
    X = pl.DataFrame({"path": [f"nowhere/{i}.png" for i in range(N)]})
    for X_or_array in (X, np.arange(N)[:, None]):
        sampler = RandomOverSampler(random_state=0)
        _, y_res = sampler.fit_resample(X_or_array, y)
        assert y_res.equals(y[sampler.sample_indices_])
        assert (y_res.name, y_res.dtype) == (y.name, y.dtype)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (RandomOverSampler, imblearn.over_sampling.RandomOverSampler),
        (RandomUnderSampler, imblearn.under_sampling.RandomUnderSampler),
        (
            lambda **params: RandomUnderSampler(replacement=True, **params),
            lambda **params: imblearn.under_sampling.RandomUnderSampler(replacement=True, **params),
        ),
    ],
    ids=["over", "under", "under, drawn twice"],
)
@pytest.mark.parametrize("is_balanced", [False, True], ids=["imbalanced", "balanced"])
def test_the_frame_and_its_index_are_those_of_imbalanced_learn(ours, theirs, is_balanced):
    X = pd.DataFrame(
        {"path": [f"{i}.png" for i in range(N)], "site": pd.Categorical(LABELS)},
        index=[f"row {i}" for i in range(N)],
    )
    y = pd.Series(np.arange(N) % 2 if is_balanced else LABELS, index=X.index, name="y")
    for seed in range(3):
        X_res, y_res = ours(random_state=seed).fit_resample(X, y)
        X_theirs, y_theirs = theirs(random_state=seed).fit_resample(X, y)
        pd.testing.assert_frame_equal(X_res, X_theirs)
        pd.testing.assert_series_equal(y_res, y_theirs)


@pytest.mark.parametrize("sampler", [RandomOverSampler, RandomUnderSampler])
@pytest.mark.parametrize("strategy", ["auto", "nothing to do"])
def test_a_further_column_has_the_index_of_the_frame(sampler, strategy):
    X = pd.DataFrame({"path": LABELS}, index=[f"row {i}" for i in range(N)])
    age = pd.Series(np.arange(N), index=X.index)
    sampler = sampler(random_state=0)
    if strategy != "auto":
        sampler.set_params(sampling_strategy=pd.Series(LABELS).value_counts().to_dict())
    X_res, _ = sampler.fit_resample(X, LABELS)
    X_res["age"] = apply_plan(sampler, age)
    np.testing.assert_array_equal(X_res["age"], sampler.sample_indices_)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_samplers_of_a_continuous_target_keep_every_column(kind, no_file_is_opened):
    X = every_column() if kind == "pandas" else every_polars_column()
    y = np.exp(np.arange(N))
    for sampler in (RelevanceOverSampler(random_state=0), RelevanceUnderSampler(random_state=0)):
        X_res, y_res = sampler.fit_resample(X, y)
        if kind == "pandas":
            expected = X.iloc[sampler.sample_indices_].set_axis(X_res.index)
            pd.testing.assert_frame_equal(X_res, expected)
        else:
            assert X_res.schema == X.schema
            assert X_res.rows() == [X.row(i) for i in sampler.sample_indices_]
            values = type(X.get_column("path"))("y", y)
            _, values_res = sampler.fit_resample(X, values)
            assert values_res.equals(values[sampler.sample_indices_])
        np.testing.assert_array_equal(y_res, y[sampler.sample_indices_])


# ------------------------------------------------------------------------- samples that are made


def numbers_of_polars():
    pl = pytest.importorskip("polars")
    rng = np.random.RandomState(0)
    return pl.DataFrame(
        {
            "float": rng.normal(size=N).astype(np.float32),
            "small": rng.randint(0, 100, N).astype(np.int8),
            "unsigned": rng.randint(0, 100, N).astype(np.uint16),
        }
    )


def test_samples_that_are_made_have_the_columns_of_polars():
    X = numbers_of_polars()
    smote = SMOTE(k_neighbors=2, random_state=0)
    X_res, _ = smote.fit_resample(X, LABELS)
    assert X_res.schema == X.schema
    assert X_res[:N].equals(X)
    frame, _ = smote.fit_resample(
        pd.DataFrame({name: X[name].to_numpy() for name in X.columns}), LABELS
    )
    np.testing.assert_array_equal(X_res.to_numpy(), frame.to_numpy())


def test_samples_that_imbalanced_learn_makes_have_the_columns_of_polars():
    X = numbers_of_polars()
    sampler = EmbeddedSampler(imblearn.over_sampling.BorderlineSMOTE(k_neighbors=2, random_state=0))
    X_res, y_res = sampler.fit_resample(X, LABELS)
    assert X_res.schema == X.schema
    frame, _ = sampler.fit_resample(
        pd.DataFrame({name: X[name].to_numpy() for name in X.columns}), LABELS
    )
    np.testing.assert_array_equal(X_res.to_numpy(), frame.to_numpy())
    assert len(X_res) == len(y_res)


def test_further_columns_of_polars_follow_samples_that_are_made():
    pl = pytest.importorskip("polars")
    smote = SMOTE(k_neighbors=2, random_state=0)
    smote.fit_resample(np.random.RandomState(0).normal(size=(N, 3)), LABELS)
    age = np.linspace(20, 80, N, dtype=np.float32)
    table = pl.DataFrame({"age": age, "site": LABELS})
    followed = apply_plan(smote, table)
    assert followed.schema == table.schema
    np.testing.assert_array_equal(followed["age"], apply_plan(smote, age))
    assert followed["site"].to_list() == LABELS[smote.sample_indices_].tolist()
    assert apply_plan(smote, table["age"]).equals(followed["age"])


@pytest.mark.parametrize("sampler", [SMOTER, SMOGN, GaussianNoiseOverSampler])
def test_samplers_of_a_continuous_target_make_samples_of_polars(sampler):
    pl = pytest.importorskip("polars")
    rng = np.random.RandomState(0)
    y = np.exp(2 * rng.normal(size=60))
    kinds = rng.choice(["a", "b"], 60).tolist()
    X = pl.DataFrame(
        {
            "age": rng.normal(50, 10, 60).astype(np.float32),
            "rooms": rng.randint(1, 9, 60).astype(np.uint8),
            "string": kinds,
            "category": pl.Series(kinds, dtype=pl.Categorical),
            "enum": pl.Series(kinds, dtype=pl.Enum(["unused", "a", "b"])),
            "bool": rng.rand(60) < 0.5,
        }
    )
    table = {name: X[name].to_list() for name in ("age", "rooms", "string", "bool")}
    frame = pd.DataFrame(table).astype({"age": np.float32, "rooms": np.uint8})
    frame = frame.assign(category=pd.Categorical(kinds), enum=pd.Categorical(kinds))
    X_res, y_res = sampler(random_state=0).fit_resample(X, pl.Series("price", y))
    expected, y_expected = sampler(random_state=0).fit_resample(frame[X.columns], y)
    assert X_res.schema == X.schema
    assert X_res.rows() == list(expected.itertuples(index=False, name=None))
    assert (type(y_res), y_res.name) == (pl.Series, "price")
    np.testing.assert_array_equal(y_res, y_expected)


# ------------------------------------------------------------------------- messages


@pytest.mark.parametrize("kind", ["pandas", "polars"])
@pytest.mark.parametrize(
    "sampler",
    [ClusterUnderSampler(), EmbeddedSampler(NearMiss())],
    ids=["cluster", "near miss"],
)
def test_a_sampler_that_measures_distances_names_columns_without_numbers(kind, sampler):
    if kind == "polars":
        pytest.importorskip("polars")
    X = every_polars_column() if kind == "polars" else every_column()
    X = X[["path", "small", "category"]]
    # The type of strings depends on the version of pandas.
    message = r"hold none: 'path' \((str|object)\), 'category' \(category\).*`embedder`"
    with pytest.raises(ValueError, match=message):
        sampler.fit_resample(X, LABELS)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_smote_names_columns_without_numbers(kind):
    X = every_polars_column() if kind == "polars" else every_column()
    with pytest.raises(
        ValueError, match=r"SMOTE makes samples of numbers.*'path' \((str|object)\)"
    ):
        SMOTE().fit_resample(X[["path", "float"]], LABELS)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
@pytest.mark.parametrize(
    "sampler",
    [
        SMOTE(),
        SMOTE(embedder=make_column_transformer((StandardScaler(), ["float"]))),
        SMOTEENN(),
        SMOTETomek(),
    ],
    ids=["SMOTE", "SMOTE in an embedding", "SMOTEENN", "SMOTETomek"],
)
def test_samples_that_are_made_of_a_frame_are_shown_the_way(sampler, kind):
    X = every_polars_column() if kind == "polars" else every_column()
    with pytest.raises(
        ValueError,
        match=r"DecoupledClassifier\(CNNClassifier\(image_column='path'\), sampler=SMOTE\(\)\), or "
        r"a Pipeline of CNNEmbedder and .* SMOTENC",
    ):
        sampler.fit_resample(X[["float", "path", "category"]], LABELS)
    with pytest.raises(ValueError, match=r"'category' .* let imbalanced-learn's SMOTENC") as error:
        sampler.fit_resample(X[["float", "category"]], LABELS)
    assert "image" not in str(error.value)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
@pytest.mark.parametrize("kind_of_sampler", [SMOTER, SMOGN, GaussianNoiseOverSampler])
def test_paths_of_images_are_no_categories_unless_they_are_named(kind_of_sampler, kind):
    X = every_polars_column() if kind == "polars" else every_column()
    X = X[["small", "path", "category"]]
    params: dict = {} if kind_of_sampler is GaussianNoiseOverSampler else {"k_neighbors": 2}
    sampler = kind_of_sampler(random_state=0, **params)
    target = np.exp(np.linspace(0, 5, N))
    with pytest.raises(ValueError, match=r"column 'path' of X holds paths.* RelevanceOverSampler"):
        sampler.fit_resample(X, target)
    named = sampler.set_params(categorical_features=["path", "category"])
    assert named.fit_resample(X, target)[0].shape[1] == 3
    alone = clone(sampler).set_params(categorical_features="auto")
    assert alone.fit_resample(X[["small", "category"]], target)[0].shape[1] == 2


def test_a_lazy_frame_of_polars_is_refused():
    pl = pytest.importorskip("polars")
    lazy = pl.LazyFrame({"path": PATHS})
    for sampler in (RandomOverSampler(), RelevanceOverSampler(), SMOTER()):
        with pytest.raises(ValueError, match=r"LazyFrame.*X\.collect\(\)"):
            sampler.fit_resample(lazy, np.arange(N))


# ------------------------------------------------------------------------- embedders


def reader(X):
    """Stand in for a network: the length of each path."""
    return np.array([[len(str(path))] for path in np.asarray(X).ravel()], dtype=float)


class Reader(FunctionTransformer):
    """A transformer that says that it reads images."""

    def __init__(self):
        super().__init__(reader)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_an_embedder_reads_the_columns_of_a_frame_by_name(kind):
    frame = every_column()[["path", "small", "ordered"]]
    if kind == "polars":
        frame = pytest.importorskip("polars").DataFrame(
            {name: frame[name].tolist() for name in frame.columns}
        )
    embedder = make_column_transformer(
        (Reader(), ["path"]), (StandardScaler(), ["small"]), (OneHotEncoder(), ["ordered"])
    )
    for sampler in (
        ClusterUnderSampler(embedder=embedder, random_state=0),
        EmbeddedSampler(NearMiss(), embedder=embedder),
    ):
        X_res, _ = sampler.fit_resample(frame, LABELS)
        assert type(X_res) is type(frame)
        assert list(X_res.columns) == list(frame.columns)
        assert sampler.embedder_.transform(frame).shape == (N, 5)


def test_an_embedder_may_give_a_sparse_matrix():
    frame = every_column()[["small", "path"]]
    dense = make_column_transformer((OneHotEncoder(sparse_output=False), ["path"]))
    sparse = make_column_transformer((OneHotEncoder(), ["path"]), sparse_threshold=1)
    chosen = [
        ClusterUnderSampler(embedder=embedder, random_state=0).fit_resample(frame, LABELS)[0]
        for embedder in (dense, sparse)
    ]
    pd.testing.assert_frame_equal(*chosen)


@pytest.mark.parametrize(
    "embedder",
    [
        make_pipeline(Reader(), PCA(1)),
        FeatureUnion([("a", Reader()), ("b", FunctionTransformer(reader))]),
        make_pipeline(FeatureUnion([("a", Reader())]), PCA(1)),
    ],
    ids=["pipeline", "union", "pipeline of a union"],
)
def test_a_pipeline_that_begins_with_a_reader_of_images_reads_paths(embedder):
    sampler = ClusterUnderSampler(embedder=embedder, random_state=0)
    X_res, _ = sampler.fit_resample(PATHS, LABELS)
    assert X_res == [PATHS[i] for i in sampler.sample_indices_]


def test_a_pipeline_that_begins_with_a_reader_of_images_gets_them_unflattened():
    shapes = []

    def see(X):
        shapes.append(X.shape[1:])
        return X.reshape(len(X), -1)

    class Witness(Reader):
        def transform(self, X):
            return see(X)

    images = np.random.RandomState(0).rand(N, 4, 4)
    ClusterUnderSampler(embedder=make_pipeline(Witness(), PCA(2))).fit_resample(images, LABELS)
    assert set(shapes) == {(4, 4)}
    shapes.clear()
    flat = make_pipeline(FunctionTransformer(see), PCA(2))
    ClusterUnderSampler(embedder=flat).fit_resample(images, LABELS)
    assert set(shapes) == {(16,)}


def test_a_column_of_paths_needs_an_embedder_that_reads_files():
    frame = pd.DataFrame({"path": PATHS})
    with pytest.raises(ValueError, match="X holds paths, and `embedder`=PCA"):
        ClusterUnderSampler(embedder=PCA(1)).fit_resample(frame, LABELS)
    sampler = ClusterUnderSampler(embedder=make_column_transformer((Reader(), ["path"])))
    assert len(sampler.fit_resample(frame, LABELS)[0]) == 2 * sum(LABELS == "ill")
