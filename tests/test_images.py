"""What counts as images."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from skimb._displayed_images import displayed_images
from skimb._image_layout import read_layout

SIDES = st.integers(5, 40)


@given(channels=st.sampled_from([1, 3, 4]), height=SIDES, width=SIDES)
def test_channels_are_told_apart_by_where_they_stand(channels, height, width):
    first = read_layout((channels, height, width))
    last = read_layout((height, width, channels))
    assert first.image_shape == last.image_shape == (channels, height, width)
    assert (first.channels, last.channels) == ("first", "last")


@given(channels=st.sampled_from([1, 3, 4]), height=SIDES, width=SIDES)
def test_both_orders_give_the_same_view(channels, height, width):
    images = np.random.RandomState(0).rand(2, height, width, channels)
    moved = np.moveaxis(images, 3, 1)
    view = read_layout(moved.shape[1:]).to_channels_last(moved)
    np.testing.assert_array_equal(view, images)
    assert np.shares_memory(view, images)


def test_three_dimensions_are_grey_images_even_where_a_side_looks_like_channels():
    assert read_layout((3, 28)).image_shape == (1, 3, 28)


def test_rows_are_images_of_one_line_or_unfold():
    assert read_layout((12,)).image_shape == (1, 1, 12)
    layout = read_layout((12,), image_shape=(3, 2, 2))
    row = np.arange(12)[None]
    np.testing.assert_array_equal(layout.to_channels_last(row)[0, :, :, 1], [[4, 5], [6, 7]])


@pytest.mark.parametrize("row_shape", [(3, 8, 3), (8, 8, 8), (1, 28, 4), (2, 8, 8)])
def test_ambiguous_images_must_be_told(row_shape):
    with pytest.raises(ValueError, match="channels='first'"):
        read_layout(row_shape)
    assert read_layout(row_shape, channels="first").image_shape == row_shape
    assert read_layout(row_shape, channels="last").image_shape == (
        row_shape[2],
        row_shape[0],
        row_shape[1],
    )


@pytest.mark.parametrize(
    ("row_shape", "image_shape", "message"),
    [
        ((12,), (1, 3, 5), "needs 15 values per sample, but a sample of X has 12"),
        ((12,), (1, 3), r"three positive integers \(C, H, W\)"),
        ((12,), (1, 0, 12), "three positive integers"),
        ((8, 8), (1, 9, 9), r"\(1, 8, 8\), but `image_shape` asks for \(1, 9, 9\)"),
        ((2, 3, 8, 8), None, "2, 3 or 4 dimensions"),
    ],
)
def test_shapes_that_do_not_fit(row_shape, image_shape, message):
    with pytest.raises(ValueError, match=message):
        read_layout(row_shape, image_shape=image_shape)


# ------------------------------------------------------------------------- pictures


def test_pictures_of_every_layout():
    colour = np.random.RandomState(0).randint(0, 256, size=(4, 6, 7, 3)).astype(np.uint8)
    colour[0, 0, 0] = 0, 255, 0
    for X, kwargs in (
        (colour, {}),
        (np.moveaxis(colour, 3, 1), {}),
        (np.moveaxis(colour, 3, 1).reshape(4, -1), {"image_shape": (3, 6, 7)}),
        (colour.astype(float), {}),
        (colour / 255, {}),
        (colour.astype(float) - 500, {}),
    ):
        shown = displayed_images(X, [0, 2], **kwargs)
        assert [picture.dtype for picture in shown] == [np.uint8] * 2
        np.testing.assert_allclose(shown, colour[[0, 2]], atol=1)
    np.testing.assert_array_equal(displayed_images(colour[..., 0], [1])[0], colour[1, :, :, 0])
    # Two channels are no colours.
    two = displayed_images(np.stack([colour[..., 0]] * 2, axis=-1), [1], channels="last")
    np.testing.assert_array_equal(two[0], colour[1, :, :, 0])
    assert displayed_images(colour, []) == []


def test_dim_pictures_are_stretched_and_flat_ones_survive():
    sixteen = np.array([[[0, 4], [8, 16]]], dtype=np.uint8)
    np.testing.assert_array_equal(displayed_images(sixteen, [0])[0], [[0, 64], [128, 255]])
    np.testing.assert_array_equal(displayed_images(np.zeros((1, 2, 2)), [0])[0], np.zeros((2, 2)))
    half = np.full((1, 2, 2), 0.5)
    np.testing.assert_array_equal(displayed_images(half, [0])[0], np.full((2, 2), 128))


def test_pictures_of_files_of_different_sizes(tmp_path):
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path, side in zip(paths, (3, 5), strict=True):
        Image.new("RGB", (side, side), "red").save(path)
    assert [picture.shape for picture in displayed_images(paths, [1, 0])] == [(5, 5, 3), (3, 3, 3)]
    resized = displayed_images(pd.Series(paths), [1, 0], image_shape=(1, 4, 4))
    assert [picture.shape for picture in resized] == [(4, 4), (4, 4)]


def test_pictures_of_deep_files_share_one_brightness(tmp_path):
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path, value, side in zip(paths, (1000, 4000), (3, 5), strict=True):
        Image.fromarray(np.full((side, side), value, np.uint16)).save(path)
    dim, bright = displayed_images(paths, [0, 1])
    assert dim.dtype == bright.dtype == np.uint8
    np.testing.assert_array_equal(dim, np.full((3, 3), 64))
    np.testing.assert_array_equal(bright, np.full((5, 5), 255))
