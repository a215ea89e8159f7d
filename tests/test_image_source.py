"""A source of images: the three forms that skimb has, and one from outside of it."""

import pickle
from pathlib import Path

import imblearn.over_sampling
import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import make_pipeline
from imblearn.under_sampling import RandomUnderSampler as PlainUnderSampler
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score, train_test_split

from skimb._image_files import ImageFiles, as_paths
from skimb._image_source import ArrayImages, ImageSource, ResampledImages
from skimb._pixel_values import levels_of, observed_range
from skimb._reading import read_source, sample_keys
from skimb.datasets import read_images
from skimb.neural_network import CNNClassifier, CNNEmbedder, DecoupledClassifier
from skimb.over_sampling import SMOTE, RandomOverSampler
from skimb.study import compare
from skimb.under_sampling import RandomUnderSampler


class Members(ImageSource):
    """Images of a .npz file, which is opened when a batch is asked for: a form from outside."""

    def __init__(self, path, indices, *, shape, dtype, log=None):
        self.path, self.indices, self.log = path, indices, [] if log is None else log
        self.image_shape, self.dtype = shape, np.dtype(dtype)

    def __len__(self):
        return len(self.indices)

    def take(self, indices):
        return type(self)(
            self.path, self.indices[indices], shape=self.image_shape, dtype=self.dtype, log=self.log
        )

    def batch(self, indices):
        chosen = self.indices[indices]
        self.log.append(len(chosen))
        with np.load(self.path) as members:
            return np.stack([members[str(i)] for i in chosen])

    def keys(self):
        return [(self.path, int(i)) for i in self.indices]


@pytest.fixture(scope="module")
def digits():
    """Small images of two classes, of which one is the minority, and labels."""
    rng = np.random.RandomState(0)
    y = np.repeat(["other", "rare"], [36, 12])
    X = rng.randint(0, 120, size=(48, 8, 8, 1))
    X[y == "rare", 2:5] += 100
    order = rng.permutation(48)
    return X[order].astype(np.uint8), y[order]


def members(folder, X, indices=None):
    path = str(folder / f"{X.dtype}.npz")
    np.savez(path, **{str(i): image for i, image in enumerate(X)})
    indices = np.arange(len(X)) if indices is None else indices
    return Members(path, indices, shape=(X.shape[3], *X.shape[1:3]), dtype=X.dtype)


@pytest.fixture
def outside(tmp_path, digits):
    return members(tmp_path, digits[0])


@pytest.fixture
def paths(tmp_path, digits):
    found = []
    for i, image in enumerate(digits[0]):
        found.append(str(tmp_path / f"{i:02d}.png"))
        Image.fromarray(image[..., 0]).save(found[-1])
    return found


@pytest.fixture(params=["array", "files", "view", "outside"])
def source(request, digits, tmp_path):
    X = digits[0]
    if request.param == "array":
        return ArrayImages(X)
    if request.param == "files":
        return ImageFiles.checked(as_paths(request.getfixturevalue("paths")))
    if request.param == "view":
        view, _ = RandomOverSampler(sampling_strategy={"other": 36}, lazy=True).fit_resample(
            X, digits[1]
        )
        return ResampledImages(np.asarray(view), view)
    return members(tmp_path, X)


def small(**params):
    return CNNClassifier(max_epochs=2, batch_size=16, random_state=0, **params)


def test_every_source_stands_for_its_array(source, digits):
    pixels, X = np.asarray(source), digits[0]
    np.testing.assert_array_equal(pixels, X)
    assert (source.shape, source.ndim, source.dtype) == (X.shape, 4, X.dtype)
    assert source.image_shape == (1, 8, 8)
    for key in (np.array([5, 5, 0]), slice(3, 40, 7), X[:, 0, 0, 0] > 50, [1, -1], slice(0)):
        expected = X[key]
        taken = source[key]
        assert isinstance(taken, type(source))
        np.testing.assert_array_equal(np.asarray(taken), expected)
        assert len(taken.keys()) == len(taken) == len(expected)
    assert len(source[[]]) == 0
    np.testing.assert_array_equal(source[-1], X[-1])
    np.testing.assert_array_equal(source[[2, 3], 1], X[[2, 3], 1])
    np.testing.assert_array_equal(source.read(slice(0, 9)), X[:9])
    with pytest.raises(IndexError):
        source[48]
    assert np.asarray(source, dtype=np.float64).dtype == np.float64


def test_keys_and_contents_follow_the_images(source):
    indices = np.array([4, 4, 7])
    first, again, other = source.take(indices).keys()
    assert first == again != other
    assert first == source.keys()[4]
    contents = list(source.take(indices).contents())
    assert contents[0] == contents[1] != contents[2]
    assert sample_keys(source) == source.keys()
    copy = pickle.loads(pickle.dumps(source))
    assert copy.keys() == source.keys()


def test_the_three_forms_are_told_apart_by_what_came(digits, paths):
    X = digits[0]
    assert type(read_source(X)) is ArrayImages
    assert type(read_source(paths)) is ImageFiles
    files = read_source(paths, (1, 4, 4))
    assert read_source(files) is files
    assert read_source(files, (1, 8, 8)).shape == (48, 8, 8, 1)
    # An array is neither copied nor, by a slice, taken apart.
    array = read_source(X)
    assert array.plain_form() is X
    assert np.shares_memory(array.take(slice(3, 9)).read(slice(None)), X)
    assert array.lineage is files.lineage is None


def test_a_lazy_view_keeps_its_parents_as_images(digits):
    X, y = digits
    view, _ = SMOTE(random_state=0, lazy=True).fit_resample(X, y)
    images = ResampledImages(np.asarray(view), view).take(np.array([0, 47, 60]))
    np.testing.assert_array_equal(
        images.lineage.ancestry().toarray(), view.ancestry()[[0, 47, 60]].toarray()
    )
    assert images.lineage.are_copies().tolist() == [True, True, False]


def test_a_fourth_form_trains_and_predicts_as_an_array(digits, outside):
    X, y = digits
    expected = small(augmentation=None).fit(X, y)
    clf = small(augmentation=None).fit(outside, y)
    assert clf.image_shape_ == (1, 8, 8)
    proba = expected.predict_proba(X)
    np.testing.assert_allclose(clf.predict_proba(outside), proba, atol=1e-6)
    # One fitted network reads every form.
    np.testing.assert_array_equal(clf.predict_proba(X), clf.predict_proba(outside))
    np.testing.assert_array_equal(clf.embed(X), clf.embed(outside))
    np.testing.assert_allclose(expected.predict_proba(outside), proba, atol=1e-6)
    # It is read by batch, never as a whole, but for the sample that tells the scale.
    outside.log.clear()
    CNNClassifier(max_epochs=1, batch_size=8, random_state=0, standardize=None).fit(outside, y)
    assert sorted(set(outside.log) - {48})[-1] <= 16


@pytest.mark.slow
def test_workers_read_a_fourth_form_ahead(digits, outside):
    y = digits[1]
    proba = small().fit(outside, y).predict_proba(outside)
    workers = small(num_workers=2).fit(outside, y)
    np.testing.assert_array_equal(workers.predict_proba(outside), proba)


def test_equal_keys_never_stand_on_both_sides_of_the_validation_split(digits, outside):
    y = digits[1]
    doubled = np.repeat(np.arange(48), 2)
    clf = small(early_stopping=True).fit(outside.take(doubled), y[doubled])
    held = set(doubled[clf.validation_indices_])
    kept = np.delete(doubled, clf.validation_indices_)
    assert held
    assert not held & set(kept)


@pytest.mark.parametrize("sampler", [RandomOverSampler, RandomUnderSampler])
def test_selectors_take_images_from_a_fourth_form(digits, outside, sampler):
    X, y = digits
    of_array = sampler(random_state=0)
    X_expected, y_expected = of_array.fit_resample(X, y)
    outside.log.clear()
    taken, y_taken = sampler(random_state=0).fit_resample(outside, y)
    assert isinstance(taken, Members)
    assert outside.log == []
    np.testing.assert_array_equal(np.asarray(taken), X_expected)
    np.testing.assert_array_equal(y_taken, y_expected)
    lazily, _ = sampler(random_state=0, lazy=True).fit_resample(outside, y)
    assert lazily.keys() == taken.keys()


def test_what_computes_with_pixels_says_how_to_read_a_fourth_form(digits, outside):
    y = digits[1]
    with pytest.raises(ValueError, match=r"Read them first: numpy\.asarray\(X\)"):
        SMOTE().fit_resample(outside, y)
    with pytest.raises(ValueError, match=r"numpy\.asarray\(X\)"):
        small(sampler=SMOTE()).fit(outside, y)
    with pytest.raises(ValueError, match=r"numpy\.asarray\(X\)"):
        small(sampler=imblearn.over_sampling.SMOTE()).fit(outside, y)


@pytest.mark.parametrize("sampler", [RandomOverSampler(), PlainUnderSampler()])
def test_a_sampler_inside_of_the_fit_chooses_from_a_fourth_form(digits, outside, sampler):
    X, y = digits
    clf = small(sampler=sampler, augmentation=None).fit(outside, y)
    of_array = small(sampler=sampler, augmentation=None).fit(X, y)
    np.testing.assert_allclose(clf.predict_proba(outside), of_array.predict_proba(X), atol=1e-6)


def test_a_cache_knows_a_fourth_form_by_its_content(digits, outside, tmp_path):
    X, y = digits
    trained = small().fit(X, y)
    embedder = CNNEmbedder(trained, cache=str(tmp_path / "kept"), random_state=0)
    embedder.fit(outside, y)
    embedded = embedder.transform(outside)
    # The same pixels as an array are found there.
    calls, run = [], embedder._run
    embedder._run = lambda images: calls.append(len(images)) or run(images)
    np.testing.assert_array_equal(embedder.transform(X), embedded)
    assert calls == []


@pytest.mark.slow
def test_a_fourth_form_goes_through_searches_pipelines_and_stages(digits, outside):
    y = digits[1]
    train, test, y_train, _ = train_test_split(outside, y, stratify=y, random_state=0)
    assert isinstance(train, Members)
    assert not set(train.keys()) & set(test.keys())
    scores = cross_val_score(small(), outside, y, cv=3, error_score="raise")
    assert scores.shape == (3,)
    pipeline = make_pipeline(
        RandomOverSampler(random_state=0), CNNEmbedder(small()), PCA(2), LogisticRegression()
    )
    assert pipeline.fit(train, y_train).predict(test).shape == (12,)
    decoupled = DecoupledClassifier(small(), max_epochs=1, random_state=0).fit(train, y_train)
    assert decoupled.predict(test).shape == (12,)


@pytest.mark.slow
def test_a_comparison_takes_a_fourth_form(digits, outside):
    X, y = digits
    params = {"strategies": ["class_weight"], "cv": 2, "random_state": 0}
    estimator = CNNClassifier(max_epochs=1, batch_size=16, augmentation=None)
    of_array = compare(X, y, estimator=estimator, **params)
    result = compare(outside, y, estimator=estimator, **params)
    assert result.table.index.tolist() == of_array.table.index.tolist()


def test_the_range_and_the_levels_of_a_fourth_form_are_read_block_by_block(tmp_path, digits):
    X = (digits[0] / 255).astype(np.float32)
    outside = members(tmp_path, X)
    assert observed_range(outside) == observed_range(X)
    for name, value in vars(levels_of(X)).items():
        np.testing.assert_array_equal(getattr(levels_of(outside), name), value)
    clf = small().fit(outside, digits[1])
    assert clf.value_range_ == (float(X.min()), float(X.max()))
    with pytest.raises(ValueError, match=r"values of X lie outside of `value_range`=\(0, 0\.5\)"):
        small(value_range=(0, 0.5)).fit(outside, digits[1])
    with pytest.warns(UserWarning, match="scale of the training"):
        clf.predict(members(tmp_path, (digits[0] * 100.0).astype(np.float32)))


def test_sixteen_bits_train_as_float(tmp_path, digits):
    X, y = digits[0].astype(np.uint16) * 200, digits[1]
    outside = members(tmp_path, X)
    clf = small().fit(outside, y)
    np.testing.assert_array_equal(clf.predict_proba(X), clf.predict_proba(outside))


class Broken(ImageSource):
    """An array as a source that keeps to its promises only where the array does."""

    def __init__(self, pixels, **promises):
        self.pixels, self.promises = pixels, promises
        self.image_shape = promises.get("image_shape", (1, 8, 8))
        self.dtype = promises.get("dtype", np.dtype(np.uint8))
        self.is_in_memory = promises.get("is_in_memory", False)

    def __len__(self):
        return len(self.pixels)

    def take(self, indices):
        return Broken(self.pixels[indices], **self.promises)

    def batch(self, indices):
        return self.pixels[indices]

    def keys(self):
        return [image.tobytes() for image in self.pixels]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda X: Broken(X, dtype=np.dtype(float)), r"`Broken\.dtype` must be uint8, uint16 or"),
        (lambda X: Broken(X, dtype=None), r"`Broken\.dtype` must be uint8, uint16 or float32"),
        (lambda X: Broken(X, image_shape=(8, 8)), "`image_shape` must be three positive integers"),
        (lambda X: Broken(X[:, :7]), r"must return an array of shape \(\d+, 8, 8, 1\) and dtype"),
        (lambda X: Broken(X.astype(np.float32)), r"It returned \(\d+, 8, 8, 1\), float32"),
        (lambda X: Broken(X[:0]), "holds no image|at least 1|minimum of 1"),
        (
            lambda X: Broken(X * np.float32(np.nan), dtype=np.dtype(np.float32)),
            "holds pixels that are not finite",
        ),
        (
            lambda X: Broken(X * np.float32(np.nan), dtype=np.dtype(np.float32), is_in_memory=True),
            "holds pixels that are not finite",
        ),
    ],
)
def test_a_source_that_breaks_a_promise_is_refused(digits, make, message):
    X, y = digits
    source = make(X)
    with pytest.raises(ValueError, match=message):
        small().fit(source, y[: len(source)])


def test_images_of_another_shape_are_refused_where_they_cannot_be_resized(digits, outside):
    X, y = digits
    with pytest.raises(ValueError, match="a Members, holds images of shape"):
        small(image_shape=(3, 8, 8)).fit(outside, y)
    clf = small().fit(X[:, :6], y)
    with pytest.raises(ValueError, match=r"\(1, 6, 8\) are wanted"):
        clf.predict(outside)


def test_an_outside_source_in_memory_goes_to_the_device_at_once(digits):
    X, y = digits
    held = Broken(X, is_in_memory=True)
    np.testing.assert_array_equal(
        small().fit(held, y).predict_proba(held), small().fit(X, y).predict_proba(X)
    )


def test_files_as_a_source_are_their_paths_to_samplers(paths):
    files = ImageFiles.checked(as_paths(paths))
    assert files.plain_form().tolist() == files.keys() == paths
    assert list(files.contents()) == [Path(path).read_bytes() for path in paths]
    np.testing.assert_array_equal(np.asarray(files), read_images(paths))


class NewAxis(Members):
    """Batches with a channel axis that indexing added: its stride is zero."""

    def batch(self, indices):
        return super().batch(indices)[..., 0][..., np.newaxis]


def test_strides_of_batches_do_not_change_the_training(digits, tmp_path):
    X, y = digits
    np.savez(tmp_path / "images.npz", **{str(place): image for place, image in enumerate(X)})
    network = CNNClassifier(max_epochs=2, batch_size=32, augmentation=None, random_state=0)
    one, other = (
        network.fit(source, y).predict_proba(source)
        for kind in (Members, NewAxis)
        for source in [
            kind(tmp_path / "images.npz", np.arange(len(X)), shape=(1, 8, 8), dtype=np.uint8)
        ]
    )
    np.testing.assert_array_equal(one, other)


def test_the_protocol_has_no_attributes_that_only_frames_can_set():
    documented = str(ImageSource.__doc__)
    assert "lineage : " in documented
    assert "table" not in documented
    assert "n_images" not in documented


def test_a_source_whose_own_attributes_have_names_of_skimb_is_trained_or_told(digits, tmp_path):
    X, y = digits
    np.savez(tmp_path / "images.npz", **{str(i): image for i, image in enumerate(X)})
    source = Members(tmp_path / "images.npz", np.arange(48), shape=(1, 8, 8), dtype=np.uint8)
    clf = CNNClassifier("linear", max_epochs=1, random_state=0)
    expected = clf.fit(source, y).predict_proba(source)
    source.n_images = 48
    np.testing.assert_array_equal(clf.fit(source, y).predict_proba(source), expected)
    source.table = pd.DataFrame({"age": range(48)})
    with pytest.raises(ValueError, match=r"`Members.table` must be None.*another name"):
        clf.fit(source, y)
