"""Copies among images: flips, turns, crops, JPEG copies and brightness changes are found."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance
from scipy.ndimage import gaussian_filter

from skimb.study import inspect_images
from skimb.study._inspect._alignment import align, turned
from skimb.study._inspect._candidates import Candidates
from skimb.study._inspect._descriptors import WINDOWS, inverse, oriented, ranks, transform


def drawn(n_images, seed=0, side=64):
    """Images of blobs of several sizes, which differ from each other."""
    rng = np.random.RandomState(seed)
    noise: Any = sum(
        weight * gaussian_filter(rng.randn(n_images, side, side), (0, sigma, sigma)) * sigma
        for sigma, weight in ((2, 1.0), (5, 1.5), (12, 2.0))
    )
    low, high = noise.min(axis=(1, 2), keepdims=True), noise.max(axis=(1, 2), keepdims=True)
    return (30 + 180 * (noise - low) / (high - low)).astype(np.uint8)


def as_jpeg(image):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=60)
    return Image.open(buffer)


CHANGES = {
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "upside down": lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    "turned by 90": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "turned by 180": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "turned by 270": lambda image: image.transpose(Image.Transpose.ROTATE_270),
    "transposed": lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    "transversed": lambda image: image.transpose(Image.Transpose.TRANSVERSE),
    "JPEG": as_jpeg,
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "cropped": lambda image: image.crop((4, 1, 62, 60)),
    "cropped much": lambda image: image.crop((2, 6, 58, 62)).resize((64, 64)),
    "cropped and mirrored": lambda image: image.crop((1, 3, 59, 61)).transpose(
        Image.Transpose.FLIP_LEFT_RIGHT
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_and_no_other_image_is_called_one(change, tmp_path):
    originals = drawn(40)
    files = []
    for i, pixels in enumerate(originals):
        files.append(tmp_path / f"{i}.png")
        Image.fromarray(pixels).save(files[-1])
    for i in range(8):
        files.append(tmp_path / f"copy {i}.png")
        CHANGES[change](Image.fromarray(originals[i])).save(files[-1])
    found = inspect_images([str(file) for file in files])
    assert {(pair.first, pair.second) for pair in found.pairs} == {(i, 40 + i) for i in range(8)}
    assert found.groups[:8].tolist() == found.groups[40:].tolist()
    assert len(np.unique(found.groups)) == 40


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), orientation=st.integers(0, 7))
def test_descriptors_of_flips_and_turns_follow_from_that_of_the_image(seed, orientation):
    image = drawn(1, seed, side=32)
    of_turned = transform(ranks(turned(image, orientation)), WINDOWS[0])
    expected = transform(ranks(image), WINDOWS[0])
    np.testing.assert_allclose(of_turned, oriented(expected, orientation), atol=1e-5)
    np.testing.assert_allclose(oriented(of_turned, inverse(orientation)), expected, atol=1e-5)


def test_ranks_do_not_depend_on_brightness_and_contrast():
    image = drawn(1) // 2
    np.testing.assert_array_equal(ranks(image), ranks(2 * image + 1))


@pytest.mark.slow
def test_cells_find_the_same_copies_as_a_search_of_all_pairs(monkeypatch):
    from skimb.study._inspect import _candidates

    images = drawn(300, side=32)
    images = np.concatenate([images, images[:30, :, ::-1]])
    whole = inspect_images(images)
    monkeypatch.setattr(_candidates, "FEW", 100)
    assert inspect_images(images).groups.tolist() == whole.groups.tolist()
    assert len(whole.pairs) == 30


def test_copies_do_not_depend_on_the_number_of_threads():
    images = drawn(60, side=32)
    images = np.concatenate([images, images[:5, ::-1]])
    one, two = (inspect_images(images, n_jobs=n_jobs) for n_jobs in (1, 2))
    assert one.pairs == two.pairs
    assert {(pair.first, pair.second) for pair in two.pairs} == {(i, 60 + i) for i in range(5)}


def test_equal_pixels_are_told_from_equal_files(tmp_path):
    pixels = drawn(2)
    Image.fromarray(pixels[0]).save(tmp_path / "a.png")
    Image.fromarray(pixels[0]).save(tmp_path / "b.png")
    Image.fromarray(pixels[0]).save(tmp_path / "c.bmp")
    Image.fromarray(pixels[1]).save(tmp_path / "d.png")
    found = inspect_images([str(tmp_path / name) for name in ("a.png", "b.png", "c.bmp", "d.png")])
    kinds = {(pair.first, pair.second): pair.kind for pair in found.pairs}
    assert kinds == {(0, 1): "same file", (0, 2): "same pixels"}
    assert found.groups.tolist() == [0, 0, 0, 1]


def test_images_of_one_colour_are_no_near_copies_of_each_other():
    images = drawn(6)
    images[1], images[2] = 40, 90
    found = inspect_images(images)
    assert found.pairs == []
    assert found.samples.constant.tolist() == [1, 2]


def test_a_pair_in_two_classes_and_one_across_the_split_are_told_apart():
    images = drawn(12)
    images[3] = images[2][:, ::-1]
    tested = np.stack([images[5][::-1], drawn(1, seed=9)[0]])
    found = inspect_images(
        images, ["a", "a", "a", *["b"] * 9], X_test=tested, y_test=["b", "b"], n_jobs=1
    )
    assert [(pair.first, pair.second) for pair in found.conflicts] == [(2, 3)]
    assert found.leaked.tolist() == [0]
    assert found.test_groups[0] == found.groups[5]
    rules = [one["rule"] for one in found.advice]
    assert {"copies across the split", "labels of copies differ"} <= set(rules)


@pytest.mark.parametrize("n_images", [1, 2, 3])
def test_few_images_can_be_inspected(n_images):
    assert len(inspect_images(drawn(n_images), ["a"] * n_images).groups) == n_images


def test_a_copy_that_is_cut_at_white_is_found():
    images = np.clip(drawn(60), 60, 230)
    copies = [ImageEnhance.Brightness(Image.fromarray(image)).enhance(1.6) for image in images[:6]]
    assert (np.asarray(copies[0]) == 255).mean() > 0.05
    found = inspect_images(
        np.concatenate([images, np.stack([np.asarray(copy) for copy in copies])])
    )
    assert {(pair.first, pair.second) for pair in found.pairs} == {(i, 60 + i) for i in range(6)}


def test_images_that_share_strong_lines_and_differ_in_faint_spots_are_no_copies():
    rng = np.random.RandomState(0)
    images = np.full((80, 64, 64), 150.0)
    images += 4 * gaussian_filter(rng.randn(80, 64, 64), (0, 3, 3)) * 6
    images[:, 14:17] = images[:, 46:49] = 20
    images = images.astype(np.uint8)
    cropped = [Image.fromarray(image[3:61, 2:62]).resize((64, 64)) for image in images[:6]]
    found = inspect_images(
        np.concatenate([images, np.stack([np.asarray(image) for image in cropped])])
    )
    assert {(pair.first, pair.second) for pair in found.pairs} == {(i, 80 + i) for i in range(6)}


def test_the_misfit_grows_with_the_noise_until_a_pair_is_given_up():
    image = drawn(1)[0].astype(np.float32)
    noise = gaussian_filter(np.random.RandomState(1).randn(64, 64), 2) * 4
    others = np.stack([image + k * noise for k in (0, 1, 4, 10)]).clip(0, 255).astype(np.uint8)
    small = np.concatenate([image[None].astype(np.uint8), others])
    zeros = np.zeros(4, dtype=int)
    pairs = Candidates(zeros, np.arange(1, 5), zeros, zeros, np.ones(4))
    misfit, _ = align(small, pairs, WINDOWS)
    assert misfit[0] == pytest.approx(0, abs=1e-3)
    assert misfit[0] < misfit[1] < misfit[2] < 0.2
    assert np.isinf(misfit[3])
