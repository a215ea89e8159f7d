"""Augmentation: what happens to the images of a batch, and to predictions."""

import pickle
from typing import Any

import kornia.augmentation
import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from skimb.neural_network import CNNClassifier, FlipCrop


def quick(**kwargs):
    return CNNClassifier(**{"max_epochs": 2, "batch_size": 128, "random_state": 0, **kwargs})


@pytest.fixture(scope="module")
def photos():
    """Forty images of 16 x 12 pixels, a quarter of them bright: uint8 and labels."""
    rng = np.random.RandomState(0)
    y = np.tile(["bright", "dark", "dark", "dark"], 10)
    level = np.where(y == "bright", 160, 60)[:, None, None, None]
    return (level + rng.randint(-40, 40, size=(40, 16, 12, 3))).astype(np.uint8), y


def windows(image, most):
    """All windows of a padded image, mirrored or not: what FlipCrop may return, by loops."""
    height, width = image.shape[1:]
    widths: Any = ((0, 0), (most, most), (most, most))
    padded = np.pad(image, widths, mode="reflect")
    for top in range(2 * most + 1):
        for left in range(2 * most + 1):
            window = padded[:, top : top + height, left : left + width]
            yield window
            yield window[:, :, ::-1]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize(("flip", "margin", "most"), [(True, 0.125, 1), (False, 0.25, 2)])
def test_flip_crop_returns_windows_of_the_padded_image(flip, margin, most, dtype):
    torch.manual_seed(0)
    images = torch.randint(0, 255, (300, 2, 8, 8)).to(dtype)
    made = FlipCrop(flip=flip, margin=margin)(images)
    assert made.dtype == dtype
    assert made.is_contiguous(memory_format=torch.channels_last)
    seen = set()
    for before, after in zip(images.numpy(), made.numpy(), strict=True):
        equal = [np.array_equal(after, window) for window in windows(before, most)]
        assert any(equal)
        seen.add(equal.index(True))
    # Every window comes up, and mirrored ones only where they are asked for.
    n_windows = (2 * most + 1) ** 2
    assert len(seen) == (2 * n_windows if flip else n_windows)
    assert flip or all(place % 2 == 0 for place in seen)


def test_flip_crop_leaves_a_side_of_one_pixel_alone():
    images = torch.arange(6.0).reshape(1, 1, 1, 6)
    np.testing.assert_array_equal(FlipCrop(flip=False, margin=0)(images), images)
    assert FlipCrop()(images).shape == (1, 1, 1, 6)
    assert FlipCrop(margin=0.9)(torch.zeros(1, 1, 1, 1)).shape == (1, 1, 1, 1)


def test_flip_crop_refuses_a_margin_of_a_whole_side():
    with pytest.raises(ValueError, match="margin"):
        FlipCrop(margin=1)(torch.zeros(1, 1, 4, 4))


@pytest.mark.slow
def test_a_string_is_short_for_the_object(photos):
    X, y = photos
    by_name = quick(augmentation="flip_crop").fit(X, y).predict_proba(X)
    by_object = quick(augmentation=FlipCrop()).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(by_name, by_object)
    assert np.abs(by_name - quick().fit(X, y).predict_proba(X)).max() > 1e-4


@pytest.mark.slow
def test_its_parameters_can_be_searched(photos):
    grid = {"augmentation": [FlipCrop()], "augmentation__margin": [0.0, 0.25]}
    search = GridSearchCV(quick(max_epochs=1), grid, cv=2).fit(*photos)
    assert isinstance(search.best_estimator_.augmentation, FlipCrop)
    assert clone(search.best_estimator_).augmentation is not search.best_estimator_.augmentation


@pytest.mark.slow
def test_predictions_are_averaged_over_mirror_images(photos):
    X, y = photos
    clf = quick(augmentation="flip_crop").fit(X, y)
    mirrored = X[:, :, ::-1]
    np.testing.assert_allclose(clf.predict_proba(X), clf.predict_proba(mirrored), atol=1e-5)
    plain = quick(augmentation=FlipCrop(flip=False)).fit(X, y)
    assert np.abs(plain.predict_proba(X) - plain.predict_proba(mirrored)).max() > 1e-4


@pytest.mark.slow
def test_the_embedding_is_what_the_last_layer_reads(photos):
    X, y = photos
    clf = quick(augmentation="flip_crop").fit(X, y)
    embedded = clf.embed(X)
    assert embedded.shape == (len(X), clf.module_.head.in_features)
    with torch.no_grad():
        logits = clf.module_.head(torch.from_numpy(embedded))
    expected = torch.log_softmax(logits.double(), dim=1).numpy()
    np.testing.assert_allclose(clf.predict_log_proba(X), expected, atol=1e-5)
    # To the bit, a row on its own is what it is among others.
    np.testing.assert_array_equal(clf.embed(X[3:4]), embedded[3:4])
    np.testing.assert_array_equal(clf.predict_proba(X[3:4]), clf.predict_proba(X)[3:4])


@pytest.mark.slow
def test_only_training_images_are_changed(photos):
    X, y = photos
    n_seen = []

    def record(images):
        n_seen.append(len(images))
        return images

    clf = quick(augmentation=record, early_stopping=True, validation_fraction=0.2).fit(X, y)
    clf.predict(X)
    # Two images as a trial, then the training part once an epoch.
    assert n_seen == [2, 32, 32]


@pytest.mark.slow
def test_a_callable_gets_unit_range_of_uint8_and_float_as_it_is(photos):
    X, y = photos
    ranges = []

    def record(images):
        ranges.append((images.min().item(), images.max().item(), images.dtype))
        return images

    as_bytes = quick(augmentation=record).fit(X, y).predict_proba(X)
    assert all(0 <= low < high <= 1 and dtype == torch.float32 for low, high, dtype in ranges)
    ranges.clear()
    quick(augmentation=record).fit(X.astype(np.float32), y)
    assert max(high for _, high, _ in ranges) > 100
    np.testing.assert_allclose(
        as_bytes, quick(augmentation=None).fit(X, y).predict_proba(X), atol=1e-4
    )


@pytest.mark.slow
def test_randomness_of_a_callable_is_seeded_and_the_global_state_left(photos):
    X, y = photos

    def noisy(images):
        return images + 0.3 * torch.randn_like(images)

    state = torch.get_rng_state()
    first = quick(augmentation=noisy).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(first, quick(augmentation=noisy).fit(X, y).predict_proba(X))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.slow
def test_repeats_of_a_row_in_a_batch_differ(photos):
    X, y = photos
    batches = []

    def record(images):
        batches.append(images.clone())
        return images

    # One bright row only: all bright ones of a balanced batch are made of it.
    rows = np.r_[np.flatnonzero(y == "bright")[:1], np.flatnonzero(y == "dark")]
    quick(augmentation=["flip_crop", record], batch_sampling="balanced").fit(X[rows], y[rows])
    for images in batches:
        bright = images[images.mean(dim=(1, 2, 3)) > 0.5]
        assert abs(2 * len(bright) - len(images)) <= 1
        assert len(torch.unique(bright, dim=0)) > len(bright) // 2


@pytest.mark.slow
def test_containers_of_kornia(photos):
    X, y = photos
    augmentation = kornia.augmentation.AugmentationSequential(
        kornia.augmentation.RandomAffine(10.0),
        kornia.augmentation.ColorJiggle(0.2, 0.2, 0.2, 0.1),
        data_keys=["input"],
    )
    clf = quick(augmentation=augmentation).fit(X, y)
    again = clone(clf).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), again.predict_proba(X))
    assert np.abs(clf.predict_proba(X) - quick().fit(X, y).predict_proba(X)).max() > 1e-3
    pickle.loads(pickle.dumps(clf)).predict(X)


@pytest.mark.slow
def test_a_module_is_copied(photos):
    called = []

    class Recording(nn.Module):
        def forward(self, images):
            called.append(self)
            return images

    module = Recording()
    quick(augmentation=module).fit(*photos)
    assert called
    assert module not in called


@pytest.mark.slow
def test_files_are_augmented_as_arrays_are(photos, tmp_path):
    X, y = photos
    paths = [tmp_path / f"{i}.png" for i in range(len(X))]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    clf = quick(augmentation="flip_crop", batch_size=16)
    expected = clf.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(clone(clf).fit(paths, y).predict_proba(paths), expected)
    two = clone(clf).set_params(num_workers=2).fit(paths, y)
    np.testing.assert_array_equal(two.predict_proba(paths), expected)


@pytest.mark.parametrize(
    ("augmentation", "message"),
    [
        ("mirror", "augmentation"),
        (FlipCrop, "give FlipCrop"),
        (FlipCrop(margin=2), "margin"),
        (lambda images: images[:, :, :-1], r"it returned \(2, 3, 15, 12\)"),
        (lambda images: images.numpy(), "it returned ndarray"),
        (lambda images: images.nonsense(), "failed on float32 images"),
    ],
)
def test_what_cannot_augment_is_refused_before_training(augmentation, message, photos):
    with pytest.raises(ValueError, match=message):
        quick(augmentation=augmentation, max_epochs=1000).fit(*photos)
