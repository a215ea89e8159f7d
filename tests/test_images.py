"""What counts as images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skimb._images import read_layout

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
        ((12,), (1, 3, 5), "needs 15 values a row, but a row of X has 12"),
        ((12,), (1, 3), r"three positive integers \(C, H, W\)"),
        ((12,), (1, 0, 12), "three positive integers"),
        ((8, 8), (1, 9, 9), r"\(1, 8, 8\), but `image_shape` asks for \(1, 9, 9\)"),
        ((2, 3, 8, 8), None, "2, 3 or 4 dimensions"),
    ],
)
def test_shapes_that_do_not_fit(row_shape, image_shape, message):
    with pytest.raises(ValueError, match=message):
        read_layout(row_shape, image_shape=image_shape)
