"""Resamplers: the laws of each, on arrays of any dimension."""

import os
import subprocess
import sys
import warnings

import imblearn.over_sampling
import imblearn.pipeline
import imblearn.under_sampling
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.under_sampling import TomekLinks
from random_images import images
from scipy import sparse
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.frozen import FrozenEstimator
from sklearn.random_projection import SparseRandomProjection

from skimb.class_weight import class_counts
from skimb.combine import SMOTETomek
from skimb.over_sampling import (
    SMOTE,
    AugmentedOverSampler,
    RandomOverSampler,
)
from skimb.under_sampling import ClusterUnderSampler, EmbeddedSampler, RandomUnderSampler

SELECTORS = [RandomOverSampler, RandomUnderSampler]
PEERS = [
    (RandomOverSampler, imblearn.over_sampling.RandomOverSampler),
    (RandomUnderSampler, imblearn.under_sampling.RandomUnderSampler),
    (SMOTE, imblearn.over_sampling.SMOTE),
]


@pytest.mark.parametrize("sampler", [RandomOverSampler, RandomUnderSampler, SMOTE])
@pytest.mark.parametrize("shape", [(30,), (6, 5), (6, 5, 3), (3, 6, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_any_dimension_and_dtype(sampler, shape, dtype):
    X, y = images(shape=shape, dtype=dtype)
    X_res, y_res = sampler(random_state=0).fit_resample(X, y)
    assert X_res.dtype == dtype
    assert X_res.shape[1:] == shape
    assert len(set(class_counts(y_res).values())) == 1
    assert y_res.dtype == y.dtype


@pytest.mark.parametrize(
    "sampler",
    [
        RandomOverSampler(),
        RandomOverSampler(shrinkage=0.1),
        SMOTE(),
        AugmentedOverSampler(),
        RandomUnderSampler(),
        SMOTETomek(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("dtype", [">f4", ">i4"])
def test_the_byte_order_stays(sampler, dtype):
    X, y = images(shape=(4, 4), dtype=np.float32)
    made, _ = sampler.fit_resample((X * 100).astype(dtype), y)
    assert made.dtype.str == dtype


@pytest.mark.parametrize(("ours", "theirs"), PEERS)
@pytest.mark.parametrize(("n", "d"), [(200, 5), (1000, 64), (500, 300), (5000, 3)])
def test_equal_to_imbalanced_learn_to_the_bit(ours, theirs, n, d):
    rng = np.random.RandomState(0)
    X, y = rng.randn(n, d).astype(np.float32), rng.choice(3, p=[0.7, 0.2, 0.1], size=n)
    X_ours, y_ours = ours(random_state=3).fit_resample(X, y)
    X_theirs, y_theirs = theirs(random_state=3).fit_resample(X, y)
    np.testing.assert_array_equal(X_ours, X_theirs)
    np.testing.assert_array_equal(y_ours, y_theirs)


@pytest.mark.parametrize("sampler", SELECTORS)
def test_selectors_invent_no_row(sampler):
    X, y = images()
    fitted = sampler(random_state=0)
    X_res, y_res = fitted.fit_resample(X, y)
    np.testing.assert_array_equal(X_res, X[fitted.sample_indices_])
    np.testing.assert_array_equal(y_res, y[fitted.sample_indices_])


@pytest.mark.parametrize("sampler", [RandomOverSampler, SMOTE])
def test_over_samplers_put_the_originals_first(sampler):
    X, y = images()
    X_res, y_res = sampler(random_state=0).fit_resample(X, y)
    np.testing.assert_array_equal(X_res[: len(X)], X)
    assert set(y_res[len(X) :]) == {"few"}


def test_nothing_to_do():
    X = np.zeros((10, 4, 4), np.uint8)
    y = np.repeat([0, 1], 5)
    smote = SMOTE(random_state=0)
    X_res, _ = smote.fit_resample(X, y)
    assert len(X_res) == 10
    assert smote.parents_.shape == (0, 2)


@settings(deadline=None, max_examples=30)
@given(
    dtype=st.sampled_from([np.uint8, np.int8, np.uint16, np.int32, np.float32, np.float64]),
    seed=st.integers(0, 1000),
)
def test_synthetic_rows_lie_between_their_parents(dtype, seed):
    rng = np.random.RandomState(seed)
    limits = (
        (0, 2) if np.issubdtype(dtype, np.floating) else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    )
    X = rng.uniform(*limits, size=(40, 4, 3)).astype(dtype)
    y = np.repeat([0, 1], [30, 10])
    smote = SMOTE(random_state=seed).fit(X, y)
    X_res, _ = smote.fit_resample(X, y)
    first, second = X[smote.parents_[:, 0]], X[smote.parents_[:, 1]]
    made = X_res[len(X) :]
    assert np.all(made >= np.minimum(first, second))
    assert np.all(made <= np.maximum(first, second))
    exact = first + smote.gaps_[:, None, None] * (second.astype(float) - first.astype(float))
    tolerance = 0.5 + 1e-2 if np.issubdtype(dtype, np.integer) else 1e-6
    assert np.abs(made - exact).max() <= tolerance
    assert set(y[smote.parents_.ravel()]) == {1}
    np.testing.assert_array_equal(smote.sample_indices_[len(X) :], smote.parents_[:, 0])


def test_uint8_does_not_wrap_around():
    """Dark and bright parents: a wrapped difference would leave the segment, as theirs does."""
    X = np.zeros((30, 4), np.uint8)
    X[20:25], X[25:] = 10, 250
    y = np.repeat([0, 1], [20, 10])
    smote = SMOTE(random_state=0, k_neighbors=9)
    X_res, _ = smote.fit_resample(X, y)
    first, second = (X[smote.parents_[:, i]].astype(float) for i in (0, 1))
    exact = first + smote.gaps_[:, None] * (second - first)
    assert np.abs(X_res[30:] - exact).max() <= 0.5


@pytest.mark.parametrize("offset", [0, 300, 3e4, 1.7e9])
def test_neighbours_are_found_however_far_from_zero(offset):
    """In tables of many columns, where distances are sums of products."""
    y = np.repeat([0, 1], [200, 60])
    far = np.random.RandomState(0).randn(260, 20) + offset
    smote = SMOTE(random_state=0).fit(far, y)
    smote.fit_resample(far, y)
    parents = smote.parents_
    smote.fit_resample(far - offset, y)
    np.testing.assert_array_equal(parents, smote.parents_)


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix])
def test_sparse_integers_do_not_wrap_around_either(container):
    rng = np.random.RandomState(0)
    dense = rng.randint(0, 256, size=(40, 12)).astype(np.uint8) * (rng.rand(40, 12) < 0.4)
    y = np.repeat([0, 1], [30, 10])
    expected, _ = SMOTE(random_state=0).fit_resample(dense.astype(np.uint8), y)
    made, _ = SMOTE(random_state=0).fit_resample(container(dense.astype(np.uint8)), y)
    assert made.dtype == np.uint8
    assert np.abs(made.toarray().astype(int) - expected).max() <= 1


@pytest.mark.parametrize("labels", [object, "category", bool])
def test_labels_of_any_type(labels):
    X, _ = images()
    y = pd.Series(np.repeat([False, True], [45, 15]))
    y = y if labels is bool else y.map({False: "many", True: "few"}).astype(labels)
    for sampler in (RandomOverSampler, RandomUnderSampler, SMOTE):
        X_res, y_res = sampler(random_state=0).fit_resample(X, y)
        assert isinstance(y_res, pd.Series)
        assert len(set(y_res.value_counts())) == 1
        assert len(X_res) == len(y_res)


def test_an_embedder_follows_the_seed():
    X, y = images(n=80)
    runs = [
        SMOTE(random_state=seed, embedder=SparseRandomProjection(4)).fit_resample(X, y)[0]
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_float16_does_not_overflow():
    X = np.full((30, 4), 60000, np.float16)
    X[25:] = -60000
    made, _ = SMOTE(random_state=0, k_neighbors=9).fit_resample(X, np.repeat([0, 1], [20, 10]))
    assert np.isfinite(made).all()


def test_noise_in_float16_does_not_overflow():
    X = np.random.RandomState(0).choice([-900, 900], size=(30, 4)).astype(np.float16)
    y = np.repeat([0, 1], [20, 10])
    sampler = RandomOverSampler(shrinkage=0.1, random_state=0)
    made, _ = sampler.fit_resample(X, y)
    np.testing.assert_allclose(made, sampler.fit_resample(X.astype(float), y)[0], rtol=1e-3)


@pytest.mark.parametrize("exponent", [-600, 600])
def test_noise_of_any_magnitude_is_that_of_other_rows(exponent):
    X, y = np.random.RandomState(0).randn(30, 4), np.repeat([0, 1], [20, 10])
    sampler = RandomOverSampler(shrinkage=0.5, random_state=0)
    plain = sampler.fit_resample(X, y)[0]
    found = sampler.fit_resample(np.ldexp(X, exponent), y)[0]
    np.testing.assert_array_equal(np.ldexp(found, -exponent), plain)


@pytest.mark.parametrize("sampler", [SMOTE, SMOTETomek, ClusterUnderSampler])
def test_rows_whose_squares_overflow_are_refused(sampler):
    X, y = np.random.RandomState(0).randn(30, 4) * 1e300, np.repeat([0, 1], [20, 10])
    with pytest.raises(ValueError, match=r"those of X reach .* so that squares overflow. Divide"):
        sampler(random_state=0).fit_resample(X, y)


@pytest.mark.parametrize("exponent", [-100, 100])
def test_clusters_of_float32_of_any_magnitude_are_the_same(exponent):
    X, y = np.random.RandomState(0).randn(90, 4), np.repeat([0, 1], [80, 10])
    X = X.astype(np.float32)
    sampler = ClusterUnderSampler(random_state=0)
    plain = sampler.fit_resample(X.astype(float), y)[1], sampler.sample_indices_
    found = sampler.fit_resample(np.ldexp(X, exponent), y)[1], sampler.sample_indices_
    np.testing.assert_array_equal(found, plain)


@pytest.mark.parametrize(
    "sampler",
    [
        lambda embedder: SMOTE(embedder=embedder, random_state=0),
        lambda embedder: ClusterUnderSampler(embedder=embedder, random_state=0),
        lambda embedder: EmbeddedSampler(TomekLinks(), embedder=embedder),
    ],
    ids=["SMOTE", "ClusterUnderSampler", "EmbeddedSampler"],
)
def test_an_embedder_may_read_sparse_rows(sampler):
    X, y = sparse.random(40, 30, 0.3, "csr", random_state=0), np.repeat([0, 1], [28, 12])
    embedder = TruncatedSVD(3, random_state=0)
    found = sampler(embedder).fit_resample(X, y)[0]
    np.testing.assert_allclose(
        found.toarray(), sampler(embedder).fit_resample(X.toarray(), y)[0], atol=1e-12
    )


def test_embedder_decides_who_is_a_neighbour():
    """Embedded by their first pixel, rows mate by it, however far the other pixels lie."""
    rng = np.random.RandomState(0)
    X = rng.randint(0, 256, size=(60, 4, 4)).astype(np.uint8)
    y = np.repeat([0, 1], [40, 20])
    X[40:, 0, 0] = np.repeat([0, 255], 10)

    smote = SMOTE(random_state=0, embedder=FirstPixel())
    smote.fit_resample(X, y)
    first, second = X[smote.parents_[:, 0], 0, 0], X[smote.parents_[:, 1], 0, 0]
    np.testing.assert_array_equal(first, second)
    pixels = SMOTE(random_state=0)
    pixels.fit_resample(X, y)
    assert not np.array_equal(smote.parents_, pixels.parents_)


class FirstPixel:
    """A transformer of images that keeps one pixel."""

    def get_params(self, deep=True):
        return {}

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        assert X.ndim == 2  # no image reader by its tags: it gets flattened rows
        return X[:, :1].astype(float)

    def __sklearn_tags__(self):
        return PCA().__sklearn_tags__()


def test_embedder_may_be_any_transformer_fitted_or_not():
    X, y = images(n=80, dtype=np.float32)
    pca = PCA(3, random_state=0)
    fresh = SMOTE(random_state=0, embedder=pca)
    X_fresh, _ = fresh.fit_resample(X, y)
    assert not hasattr(pca, "components_")
    assert fresh.embedder_.components_.shape == (3, 30)
    frozen = FrozenEstimator(PCA(3, random_state=0).fit(X.reshape(80, -1)))
    X_frozen, _ = SMOTE(random_state=0, embedder=frozen).fit_resample(X, y)
    np.testing.assert_array_equal(X_fresh, X_frozen)


def test_a_small_class_uses_the_neighbours_it_has():
    X, y = images(n=40)
    keep = np.r_[:30, 30:33]
    with pytest.warns(UserWarning, match="'few' has 3 samples only: SMOTE uses 2 neigh") as caught:
        _, y_res = SMOTE(random_state=0).fit_resample(X[keep], y[keep])
    assert class_counts(y_res) == {"few": 30, "many": 30}
    assert caught[0].filename == __file__


def test_a_class_of_one_row_cannot_be_interpolated():
    X, y = images(n=40)
    with pytest.raises(ValueError, match="'few' has one sample only"):
        SMOTE(random_state=0).fit_resample(X[:31], y[:31])


@pytest.mark.parametrize("sampler", [RandomOverSampler, RandomUnderSampler, SMOTE])
def test_memmaps_and_lists(sampler, tmp_path):
    X, y = images()
    mapped = np.memmap(tmp_path / "images", dtype=np.uint8, mode="w+", shape=X.shape)
    mapped[:] = X
    expected, _ = sampler(random_state=0).fit_resample(X, y)
    np.testing.assert_array_equal(sampler(random_state=0).fit_resample(mapped, y)[0], expected)
    from_list, _ = sampler(random_state=0).fit_resample(X.tolist(), y.tolist())
    assert isinstance(from_list, list)
    np.testing.assert_array_equal(from_list, expected)


@pytest.mark.parametrize("sampler", SELECTORS)
def test_frames_keep_columns_and_dtypes(sampler):
    X = pd.DataFrame({"path": [f"{i}.png" for i in range(40)], "age": np.arange(40, dtype="int8")})
    y = np.repeat([0, 1], [30, 10])
    fitted = sampler(random_state=0)
    X_res, _ = fitted.fit_resample(X, y)
    assert list(X_res.columns) == ["path", "age"]
    assert X_res["age"].dtype == np.int8
    np.testing.assert_array_equal(X_res["age"], fitted.sample_indices_)


def test_images_that_are_not_finite_or_do_not_match_y():
    X, y = images(dtype=np.float32)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        SMOTE().fit_resample(X, y[:-1])
    X[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        SMOTE().fit_resample(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RandomOverSampler().fit_resample(X, y)


def test_the_global_generator_is_left_alone():
    X, y = images()
    np.random.seed(5)
    expected = np.random.rand(3)
    np.random.seed(5)
    for sampler in (RandomOverSampler(random_state=0), SMOTE(random_state=0)):
        sampler.fit_resample(X, y)
    np.testing.assert_array_equal(np.random.rand(3), expected)


def test_neighbours_are_found_where_openmp_has_a_limit_of_threads():
    """scikit-learn's own search gives numbers from uninitialised memory there."""
    code = """
import hashlib
import numpy as np
from imblearn.under_sampling import EditedNearestNeighbours
from skimb.neural_network import CNNClassifier
from skimb.over_sampling import SMOTE, SMOTER
rng = np.random.RandomState(0)
X, y = rng.randn(400, 16, 4).astype(np.float32), np.repeat([0, 1], [300, 100])
made = [SMOTE(random_state=0).fit_resample(X, y)[0]]
made += [SMOTER(random_state=0).fit_resample(X.reshape(400, 64), X[:, 0, 0].astype(float))[0]]
settings = {"max_epochs": 1, "device": "cpu", "augmentation": None, "random_state": 0}
clf = CNNClassifier("linear", sampler=EditedNearestNeighbours(), **settings).fit(X, y)
print(hashlib.sha256(b"".join(part.tobytes() for part in made)).hexdigest())
print(clf.predict_proba(X).round(3).sum(0))
"""
    found = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            env={**os.environ, **environment},
            check=True,
            capture_output=True,
            timeout=120,
        ).stdout
        for environment in ({}, {"OMP_THREAD_LIMIT": "1"})
    ]
    assert found[0] == found[1]
