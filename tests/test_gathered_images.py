"""Of large arrays and views no copy is made: their images are gathered batch by batch.

On a CUDA device the same holds for arrays for which it has no room.
"""

from typing import Any

import imblearn.over_sampling
import imblearn.under_sampling
import numpy as np
import pytest
import torch

from skimb import _image_source, _pixel_values, _view_images
from skimb._engine import _image_data
from skimb._engine._fit_key import digest_of_images
from skimb._engine._image_data import (
    ImageBatches,
    ImageTensors,
    dataset_of,
    one_ahead,
    takes_too_much,
)
from skimb._engine._mixed_batch import MixedBatch
from skimb._image_source import ArrayImages, ChosenImages
from skimb._images import fit_images
from skimb._lazy_rows import ResampledRows
from skimb._view_images import ViewImages
from skimb.neural_network import CNNClassifier
from skimb.over_sampling import SMOTE, RandomOverSampler
from skimb.under_sampling import RandomUnderSampler

PARAMS: dict[str, Any] = {
    "max_epochs": 1,
    "batch_size": 16,
    "random_state": 0,
    "early_stopping": True,
}
IMAGES = np.random.RandomState(0).randint(256, size=(90, 6, 5), dtype=np.uint8)
LABELS = np.repeat([0, 1], [50, 40])

#: The most images that a test lets anything read at once.
MOST_AT_ONCE = 24


@pytest.fixture
def small_steps(monkeypatch):
    """Let arrays of 100 bytes be large, and checks of pixels read few images at once."""
    monkeypatch.setattr(_image_source, "MOST_COPIED", 100)
    monkeypatch.setattr(_view_images, "MOST_COPIED", 100)
    monkeypatch.setattr(_pixel_values, "MOST_IMAGES", 10)
    for function in (_image_source.blocks, _pixel_values.pixel_statistics):
        monkeypatch.setattr(function, "__defaults__", (100,))


@pytest.mark.slow
@pytest.mark.parametrize("sampler", [None, RandomUnderSampler()], ids=repr)
@pytest.mark.parametrize("form", ["grey", "first", "last"])
def test_a_large_view_trains_the_network_of_its_array(form, sampler, request, monkeypatch):
    images = {
        "grey": IMAGES,
        "first": np.stack([IMAGES] * 3, axis=1),
        "last": np.stack([IMAGES] * 3, axis=3),
    }[form]
    view, y = SMOTE(random_state=0, lazy=True).fit_resample(images, LABELS)
    wanted = CNNClassifier(sampler=sampler, **PARAMS).fit(view, y)
    proba = wanted.predict_proba(view)
    request.getfixturevalue("small_steps")
    make = ResampledRows.__array__

    def watched(rows, dtype=None, copy=None):
        assert len(rows) <= MOST_AT_ONCE, "images were made at once"
        return make(rows, dtype, copy)

    with monkeypatch.context() as patch:
        patch.setattr(ResampledRows, "__array__", watched)
        fitted = CNNClassifier(sampler=sampler, **PARAMS).fit(view, y)
    assert fitted.n_features_in_ == wanted.n_features_in_
    np.testing.assert_array_equal(fitted.predict_proba(view), proba)


@pytest.mark.usefixtures("small_steps")
def test_a_large_view_is_a_source_like_its_array():
    view, y = SMOTE(random_state=0, lazy=True).fit_resample(IMAGES, LABELS)
    source = fit_images(CNNClassifier(), view)[0]
    array = ArrayImages(source.plain_form())
    assert type(source) is ViewImages
    assert type(dataset_of(source, np.zeros(len(view)))) is ImageBatches
    assert source.shape == array.shape
    assert source.keys() == array.keys()
    assert digest_of_images(source) == digest_of_images(array)
    for rows in (slice(3, 20, 4), np.array([99, 0, 99])):
        np.testing.assert_array_equal(np.asarray(source[rows]), np.asarray(array[rows]))
        assert source[rows].lineage.ancestry().shape == (len(source[rows]), 90)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        CNNClassifier().fit(view, y[:-1])
    fitted = CNNClassifier(max_epochs=1).fit(view, y)
    narrow, _ = SMOTE(random_state=0, lazy=True).fit_resample(IMAGES[:, :, :4], LABELS)
    with pytest.raises(ValueError, match=r"shape \(C, H, W\)|features"):
        fitted.predict(narrow)


@pytest.mark.slow
@pytest.mark.parametrize(
    "sampler",
    [
        RandomUnderSampler(),
        RandomOverSampler(),
        imblearn.over_sampling.RandomOverSampler(),
        imblearn.under_sampling.RandomUnderSampler(),
    ],
    ids=repr,
)
def test_a_sampler_that_only_chooses_gets_no_copy_of_a_large_array(sampler, request, monkeypatch):
    fit = CNNClassifier(sampler=sampler, **PARAMS).fit
    proba = fit(IMAGES, LABELS).predict_proba(IMAGES)
    request.getfixturevalue("small_steps")

    def watched(images, indices):
        assert len(np.arange(len(images))[indices]) <= MOST_AT_ONCE, "images were read at once"
        return images.batch(indices)

    with monkeypatch.context() as patch:
        patch.setattr(ChosenImages, "read", watched)
        patch.setattr(ChosenImages, "pixels", property(lambda images: watched(images, slice(None))))
        fitted = fit(IMAGES, LABELS)
    np.testing.assert_array_equal(fitted.predict_proba(IMAGES), proba)


@pytest.mark.slow
def test_a_sampler_that_computes_still_gets_the_pixels_of_a_large_array(request):
    fit = CNNClassifier(sampler=SMOTE(), **PARAMS).fit
    proba = fit(IMAGES, LABELS).predict_proba(IMAGES)
    request.getfixturevalue("small_steps")
    np.testing.assert_array_equal(fit(IMAGES, LABELS).predict_proba(IMAGES), proba)


# ------------------------------------------------------------------------- larger than a device


def test_a_device_has_room_for_half_of_what_is_left(monkeypatch):
    # 10 bytes are free for all, and 6 of the 8 that torch holds are not in use.
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10, 100))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 8)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 2)
    assert not takes_too_much(8, "cuda")
    assert takes_too_much(9, torch.device("cuda", 0))
    assert not takes_too_much(10**15, "cpu")


def test_images_for_which_a_device_has_no_room_are_not_moved_as_a_whole(monkeypatch):
    asked = []
    monkeypatch.setattr(_image_data, "takes_too_much", lambda *args: asked.append(args) or True)
    images = IMAGES[..., np.newaxis].astype(np.float32)
    dataset = dataset_of(images, device="cuda")
    assert type(dataset) is ImageBatches
    assert dataset.device == "cuda"
    assert asked == [(4 * 90 * 6 * 5, "cuda")]
    assert type(dataset_of(images, device="cpu")) is ImageTensors


@pytest.mark.parametrize("n_batches", [0, 1, 4])
def test_batches_are_moved_one_ahead_of_the_step_that_needs_them(n_batches):
    class Moved:
        def __init__(self, name):
            self.name = name

        def to(self, device, *, non_blocking):
            assert (device, non_blocking) == ("device", True)
            happened.append(f"move {self.name}")
            return self.name

    happened: list[str] = []
    for images, labels in one_ahead([(Moved(i), ()) for i in range(n_batches)], "device"):
        assert labels == ()
        happened.append(f"step {images}")
    expected = ["move 0", "move 1", "step 0", "move 2", "step 1", "move 3", "step 2", "step 3"]
    assert happened == [[], ["move 0", "step 0"], None, None, expected][n_batches]


def test_a_batch_with_a_table_moves_as_its_tensors_do():
    batch = MixedBatch(torch.arange(8.0).reshape(2, 1, 2, 2), torch.ones(2, 3), 2)
    ((moved, (target,)),) = one_ahead([(batch, (torch.arange(2),))], "cpu")
    assert torch.equal(moved.images, batch.images)
    assert torch.equal(moved.table, batch.table)
    assert moved.n_images == 2
    assert torch.equal(target, torch.arange(2))


@pytest.mark.cuda
@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("num_workers", [0, 2])
def test_images_that_stream_to_a_device_train_the_network_of_those_on_it(num_workers, monkeypatch):
    network = CNNClassifier(device="cuda", num_workers=num_workers, **PARAMS)
    proba = network.fit(IMAGES, LABELS).predict_proba(IMAGES)
    monkeypatch.setattr(_image_data, "takes_too_much", lambda n_bytes, device: True)
    batch, _ = next(
        iter(_image_data.BatchIterator(dataset_of(IMAGES[..., None], device="cuda"), 4))
    )
    assert batch.is_cuda
    np.testing.assert_allclose(
        network.fit(IMAGES, LABELS).predict_proba(IMAGES), proba, rtol=1e-4, atol=1e-5
    )
