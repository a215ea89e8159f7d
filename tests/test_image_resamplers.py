"""Resamplers by adapters, clusters and augmentation."""

import imblearn.combine
import imblearn.over_sampling
import imblearn.pipeline
import imblearn.under_sampling
import kornia.augmentation
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from random_images import images
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances_argmin_min

from skimb._rounding import in_dtype
from skimb.datasets import read_images
from skimb.neural_network import CNNClassifier, DeepSMOTE, FlipCrop
from skimb.over_sampling import (
    SMOTE,
    AugmentedOverSampler,
    ImageJitter,
)
from skimb.under_sampling import ClusterUnderSampler, EmbeddedSampler, RandomUnderSampler

# ------------------------------------------------------------------------- adapters


@pytest.mark.parametrize(
    "strategy",
    [{"few": 20, "many": 30}, lambda y: {"few": 20, "many": 30}, "auto"],
    ids=["dict", "callable", "auto"],
)
def test_the_adapter_speaks_of_labels(strategy):
    X, y = images(n=80)
    theirs = imblearn.under_sampling.RandomUnderSampler(sampling_strategy=strategy, random_state=0)
    adapter = EmbeddedSampler(theirs)
    X_res, y_res = adapter.fit_resample(X, y)
    flat, y_flat = theirs.fit_resample(X.reshape(80, -1), y)
    np.testing.assert_array_equal(X_res.reshape(len(flat), -1), flat)
    np.testing.assert_array_equal(y_res, y_flat)
    np.testing.assert_array_equal(X_res, X[adapter.sample_indices_])


def test_the_adapter_chooses_by_the_embedding():
    X, y = images(n=80)
    theirs = imblearn.under_sampling.EditedNearestNeighbours(sampling_strategy=["many"])
    adapter = EmbeddedSampler(theirs, embedder=PCA(3, random_state=0))
    X_res, y_res = adapter.fit_resample(X, y)
    points = PCA(3, random_state=0).fit_transform(X.reshape(80, -1).astype(np.float64))
    theirs.fit_resample(points, y)
    np.testing.assert_array_equal(adapter.sample_indices_, theirs.sample_indices_)
    np.testing.assert_array_equal(X_res, X[theirs.sample_indices_])
    assert (y_res == "few").sum() == (y == "few").sum()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_adapter_rounds_what_is_made(dtype):
    X, y = images(n=80, dtype=dtype)
    theirs = imblearn.over_sampling.SMOTE(random_state=0)
    X_res, y_res = EmbeddedSampler(theirs).fit_resample(X, y)
    # Theirs on uint8 wraps around; in float it is right, and ours is that, rounded.
    made, y_made = theirs.fit_resample(X.reshape(80, -1).astype(np.float32), y)
    assert X_res.dtype == dtype
    expected = np.rint(made) if dtype == np.uint8 else made
    np.testing.assert_array_equal(X_res.reshape(len(made), -1), expected)
    np.testing.assert_array_equal(y_res, y_made)
    with pytest.raises(ValueError, match=r"make_pipeline\(embedder, sampler, classifier\)"):
        EmbeddedSampler(theirs, embedder=PCA(2)).fit_resample(X, y)


def test_the_adapter_names_a_label_that_is_not_there():
    X, y = images()
    sampler = imblearn.under_sampling.RandomUnderSampler(sampling_strategy={"fewer": 5})
    with pytest.raises(ValueError, match=r"names \['fewer'\], which y does not hold"):
        EmbeddedSampler(sampler).fit_resample(X, y)


def test_files_want_an_embedder_that_reads_them(tmp_path):
    paths = [str(tmp_path / f"{i}.png") for i in range(20)]
    y = np.repeat([0, 1], [15, 5])
    for sampler in (ClusterUnderSampler(), EmbeddedSampler(RandomUnderSampler()), SMOTE()):
        with pytest.raises(ValueError, match="X holds paths"):
            sampler.fit_resample(paths, y)


class Brightness(TransformerMixin, BaseEstimator):
    """An embedder that reads image files or images: the mean of each channel."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        images = X if X.ndim > 1 else read_images(X)
        return images.reshape(len(images), -1, 3).mean(axis=1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.requires_fit = False
        return tags


@pytest.mark.slow
@pytest.mark.parametrize(
    "sampler",
    [
        ClusterUnderSampler(embedder=Brightness(), random_state=0),
        EmbeddedSampler(imblearn.under_sampling.NearMiss(), embedder=Brightness()),
    ],
    ids=repr,
)
def test_files_are_chosen_by_what_they_show(sampler, tmp_path):
    X, y = images(n=40, shape=(6, 5, 3))
    paths = np.array([str(tmp_path / f"{i}.png") for i in range(40)])
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    for given_paths in (paths, pd.Series(paths)):
        chosen, _ = clone(sampler).fit_resample(given_paths, y)
        expected, _ = clone(sampler).fit_resample(X, y)
        assert type(chosen) is type(given_paths)
        np.testing.assert_array_equal(read_images(np.asarray(chosen)), expected)
    clf = CNNClassifier(sampler=sampler, max_epochs=1, random_state=0).fit(paths, y)
    np.testing.assert_allclose(clf.effective_prior_, 0.5)
    with pytest.raises(ValueError, match="reads numbers"):
        clone(sampler).set_params(embedder=PCA(2)).fit_resample(paths, y)


@pytest.mark.parametrize("sampler", [ClusterUnderSampler(), EmbeddedSampler(RandomUnderSampler())])
def test_tables_come_back_as_frames(sampler):
    X, y = images(n=40, shape=(3,))
    table = pd.DataFrame(X, columns=["r", "g", "b"])
    chosen, labels = sampler.fit_resample(table, pd.Series(y, name="class"))
    assert list(chosen.columns) == ["r", "g", "b"]
    assert (chosen.dtypes == np.uint8).all()
    np.testing.assert_array_equal(chosen, X[sampler.sample_indices_])
    assert labels.name == "class"


# ------------------------------------------------------------------------- clusters


def test_the_densest_clusters_are_thinned_first():
    """Three heaps of 100, 12 and 6 rows: of 30, each keeps an equal share, or all it has."""
    rng = np.random.RandomState(0)
    heap = np.repeat([0, 1, 2], [100, 12, 6])
    X = np.concatenate([rng.randn(118, 4) * 0.1 + 10 * heap[:, None], np.zeros((30, 4)) - 50])
    y = np.repeat(["many", "few"], [118, 30])
    sampler = ClusterUnderSampler(n_clusters=3, random_state=0)
    sampler.fit_resample(X, y)
    kept = sampler.sample_indices_[sampler.sample_indices_ < 118]
    np.testing.assert_array_equal(np.bincount(heap[kept]), [12, 12, 6])
    assert len(np.unique(kept)) == 30


def test_what_stays_covers_what_goes_better_than_chance():
    rng = np.random.RandomState(0)
    heap = rng.choice(20, p=rng.dirichlet(np.ones(20)), size=2000)
    X = rng.randn(20, 16)[heap] + 0.2 * rng.randn(2000, 16)
    X, y = np.concatenate([X, 9 + rng.randn(100, 16)]), np.repeat([0, 1], [2000, 100])
    distance = {}
    for sampler in (ClusterUnderSampler, RandomUnderSampler):
        kept, _ = sampler(random_state=0).fit_resample(X, y)
        distance[sampler] = pairwise_distances_argmin_min(X, kept)[1]
    ours, chance = distance.values()
    assert ours.mean() < 0.95 * chance.mean()
    assert ours.max() < chance.max()


def test_equal_rows_are_chosen_among_too():
    X = np.repeat(np.eye(4), 10, axis=0)
    X = np.concatenate([X, 5 + np.eye(4)[[0, 1, 2, 3, 0, 1, 2]]])
    y = np.repeat([0, 1], [40, 7])
    sampler = ClusterUnderSampler(random_state=0)
    X_res, y_res = sampler.fit_resample(X, y)
    np.testing.assert_array_equal(np.bincount(y_res), [7, 7])
    # Seven of four kinds of rows: every kind is there.
    assert len(np.unique(X_res[y_res == 0], axis=0)) == 4
    assert len(np.unique(sampler.sample_indices_)) == 14


# ------------------------------------------------------------------------- augmentation


def test_jitter_does_what_its_parameters_say():
    image = np.zeros((1, 9, 9, 2), dtype=np.float32)
    image[0, 2:5, 1:4] = [1.0, 3.0]
    still = {"flip": False, "shift": 0.0, "rotation": 0.0, "shear": 0.0, "brightness": 0.0}
    rng = np.random.RandomState(0)
    np.testing.assert_allclose(ImageJitter(**still)(image, rng), image, atol=1e-6)
    mirrored = [ImageJitter(**{**still, "flip": True})(image, rng)[0] for _ in range(20)]
    equal = [np.allclose(made, image[0]) for made in mirrored]
    flipped = [np.allclose(made, image[0, :, ::-1]) for made in mirrored]
    assert all(a or b for a, b in zip(equal, flipped, strict=True))
    assert any(equal)
    assert any(flipped)
    brighter = ImageJitter(**{**still, "brightness": 0.5})(image, rng)
    factor = brighter.max() / 3
    assert 0.5 <= factor <= 1.5
    np.testing.assert_allclose(brighter, factor * image, atol=1e-6)
    moved = ImageJitter(**{**still, "shift": 0.3})(image, rng)
    assert moved.sum() == pytest.approx(image.sum(), rel=1e-4)
    assert not np.allclose(moved, image)
    turned = ImageJitter(**{**still, "rotation": 90.0})(image, rng)
    assert turned.sum() == pytest.approx(image.sum(), rel=0.15)


def test_an_image_turned_by_a_quarter():
    """The source of randomness gives 1 everywhere: the largest angle, and nothing else moves."""

    class Ones:
        def uniform(self, low, high, size):
            return np.ones(size)

    image = np.arange(25.0).reshape(1, 5, 5, 1)
    jitter = ImageJitter(flip=False, shift=0, rotation=90.0, shear=0, brightness=0)
    made = jitter(image, Ones())[0, ..., 0]
    assert any(np.allclose(made, np.rot90(image[0, ..., 0], k)) for k in (1, 3))


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3), (3, 8, 8), (64,)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int16])
def test_augmented_rows_are_new_and_of_their_class(shape, dtype):
    X, y = images(n=60, shape=shape, dtype=dtype)
    image_shape = (1, 8, 8) if shape == (64,) else None
    sampler = AugmentedOverSampler(random_state=0, image_shape=image_shape)
    X_res, y_res = sampler.fit_resample(X, y)
    flat = X_res.reshape(len(X_res), -1)
    assert len(np.unique(flat, axis=0)) == len(flat)
    assert set(y_res[60:]) == {"few"}
    if shape == (64,):
        as_images, _ = AugmentedOverSampler(random_state=0).fit_resample(X.reshape(60, 8, 8), y)
        np.testing.assert_array_equal(flat, as_images.reshape(len(flat), -1))


def test_a_callable_reads_images_as_the_estimators_do():
    X, y = images(n=40, shape=(6, 5, 3))
    seen = []

    def darker(batch):
        seen.append((batch.shape[1:], batch.dtype, batch.max()))
        return batch * np.random.uniform(0.4, 0.6, size=(len(batch), 1, 1, 1))

    sampler = AugmentedOverSampler(augmentation=darker, random_state=0)
    np.random.seed(3)
    expected = np.random.rand()
    np.random.seed(3)
    X_res, _ = sampler.fit_resample(X, y)
    assert np.random.rand() == expected
    assert seen[0][:2] == ((3, 6, 5), np.float32)
    assert seen[0][2] <= 1
    before = X[sampler.sample_indices_[40:]].astype(float)
    assert np.all(X_res[40:] <= 0.6 * before + 0.5)
    assert np.all(X_res[40:] >= 0.4 * before - 0.5)
    np.testing.assert_array_equal(X_res, clone(sampler).fit_resample(X, y)[0])
    with pytest.raises(ValueError, match="as many images of the same shape"):
        AugmentedOverSampler(augmentation=lambda batch: batch[:, :1]).fit_resample(X, y)


def test_a_container_of_kornia_reads_tensors():
    X, y = images(n=40, shape=(8, 8, 3))
    container = kornia.augmentation.AugmentationSequential(
        kornia.augmentation.RandomAffine(20.0, p=1.0), data_keys=["input"]
    )
    sampler = AugmentedOverSampler(augmentation=container, random_state=0)
    state = torch.get_rng_state()
    X_res, _ = sampler.fit_resample(X, y)
    assert torch.equal(torch.get_rng_state(), state)
    assert X_res.dtype == np.uint8
    assert len(np.unique(X_res.reshape(len(X_res), -1), axis=0)) == len(X_res)
    np.testing.assert_array_equal(X_res, clone(sampler).fit_resample(X, y)[0])


@pytest.mark.parametrize(
    "theirs",
    [
        imblearn.combine.SMOTETomek(random_state=0),
        imblearn.combine.SMOTEENN(
            enn=imblearn.under_sampling.EditedNearestNeighbours(sampling_strategy=["few"]),
            random_state=0,
        ),
        imblearn.under_sampling.ClusterCentroids(random_state=0),
        imblearn.over_sampling.SVMSMOTE(random_state=0),
        imblearn.over_sampling.RandomOverSampler(shrinkage=3.0, random_state=0),
    ],
    ids=repr,
)
def test_what_cleans_or_invents_keeps_rows_and_labels_together(theirs):
    rng = np.random.RandomState(0)
    y = np.array(["few", "many"])[(rng.rand(120) < 0.8).astype(int)]
    X = (rng.randint(0, 120, size=(120, 3, 3)) + 60 * (y == "few")[:, None, None]).astype(np.uint8)
    X_res, y_res = EmbeddedSampler(theirs).fit_resample(X, y)
    flat, expected = clone(theirs).fit_resample(X.reshape(120, -1).astype(np.float32), y)
    np.testing.assert_array_equal(y_res, expected)
    # Clipped to the range of uint8: what is below 0 must not wrap around.
    np.testing.assert_array_equal(X_res.reshape(len(flat), -1), np.clip(np.rint(flat), 0, 255))
    if not np.isin(np.rint(flat), X.reshape(120, -1)).all():
        with pytest.raises(ValueError, match="`lazy=True` needs"):
            EmbeddedSampler(theirs, lazy=True).fit_resample(X, y)


def test_boolean_images_stay_thin():
    X = np.zeros((40, 9, 9), dtype=bool)
    X[:, 4] = True
    y = np.repeat([0, 1], [30, 10])
    jitter = ImageJitter(flip=False, shift=0, rotation=5.0, shear=0)
    X_res, _ = AugmentedOverSampler(augmentation=jitter, random_state=0).fit_resample(X, y)
    assert X_res.dtype == bool
    assert X_res[40:].sum(axis=(1, 2)).max() <= 12


def test_augmentations_of_any_kind():
    X, y = images(n=40, shape=(8, 8, 3))
    # A callable that reads tensors only, a module without layers, and one that is broken.
    X_res, _ = AugmentedOverSampler(augmentation=FlipCrop(), random_state=0).fit_resample(X, y)
    assert X_res.shape == (60, 8, 8, 3)
    sampler = AugmentedOverSampler(augmentation=torch.nn.Sequential(), random_state=0)
    X_res, _ = sampler.fit_resample(X, y)
    np.testing.assert_array_equal(X_res, X[sampler.sample_indices_])
    with pytest.raises(ValueError, match="values not finite"):
        AugmentedOverSampler(augmentation=lambda batch: batch * np.nan).fit_resample(X, y)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", [AugmentedOverSampler(), DeepSMOTE(max_epochs=1, n_latent=4)])
def test_inside_the_classifier_channels_lie_last_whatever_the_sampler_says(sampler):
    X, y = images(n=40, shape=(2, 8, 8))
    wanted = CNNClassifier(
        channels="first", sampler=clone(sampler).set_params(channels="first"), max_epochs=1
    )
    wanted.fit(X, y)
    # Rows of a table are images of one line.
    CNNClassifier(sampler=sampler, max_epochs=1).fit(X.reshape(40, -1).astype(np.float32), y)


@pytest.mark.parametrize("sampler", [SMOTE(), AugmentedOverSampler()])
def test_options_that_are_not_known_are_refused(sampler):
    X, y = images(n=40)
    with pytest.raises(TypeError, match="sample_weight"):
        sampler.fit_resample(X, y, sample_weight=np.ones(40))


@pytest.mark.parametrize("real", ["float16", "float32", "float64"])
@pytest.mark.parametrize("dtype", ["bool", *np.typecodes["AllInteger"]])
def test_every_number_fits_its_dtype(real, dtype):
    largest = np.finfo(real).max
    given = np.array([-largest, -1.4, 0.6, 1.4, largest], dtype=real)
    least, most = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    found = [int(value) for value in in_dtype(given, np.dtype(dtype))]
    assert found[1:4] == [max(least, -1), 1, 1]
    # As far as there are floats: those of 32 bits miss the largest integer by 2**-24 of it.
    expected = max(least, -float(largest)), min(most, float(largest))
    assert (found[0], found[4]) == pytest.approx(expected, rel=2**-23)
    assert found[4] <= most
