"""Images of a frame with its other columns, and the encoding of these."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skimb._frame_images import FrameImages, StackedImages
from skimb._image_source import ArrayImages
from skimb._table_columns import TableEncoder


def frame_images(n_samples=6):
    """Return images of a frame, each with its number in all pixels and in a column."""
    pixels = np.zeros((n_samples, 3, 2, 1), dtype=np.uint8)
    pixels[:] = np.arange(n_samples).reshape(-1, 1, 1, 1)
    front, back = ArrayImages(pixels), ArrayImages(100 + pixels)
    others = pd.DataFrame({"number": np.arange(n_samples), "name": list("abcabc")})
    given = others.assign(front=[*pixels], back=[*(100 + pixels)]).set_axis(range(10, 16))
    images = FrameImages(StackedImages([front, back]), given, ["front", "back"])
    return images.encoded(TableEncoder().fit(others))


@pytest.mark.parametrize("chosen", [[4, 4, 1], slice(1, 5, 2), np.array([True, False] * 3)])
def test_rows_stay_together_with_their_images(chosen):
    images = frame_images()
    some = images[chosen]
    numbers = np.arange(6)[chosen]
    assert some.shape == (len(numbers), 6, 2, 1)
    np.testing.assert_array_equal(np.asarray(some)[:, 0, 0, 0], numbers)
    np.testing.assert_array_equal(np.asarray(some)[:, 3, 0, 0], 100 + numbers)
    assert some.frame["number"].tolist() == numbers.tolist()
    assert some.plain_form().index.tolist() == (10 + numbers).tolist()
    np.testing.assert_array_equal(some.table.codes[:, 0], numbers % 3)


def test_the_content_of_a_sample_is_that_of_its_images_and_of_its_row():
    images = frame_images()
    contents = list(images.contents())
    assert len(set(contents)) == 6
    images.table.numbers[2] += 1
    changed = list(images.contents())
    assert [i for i in range(6) if contents[i] != changed[i]] == [2]
    # Equal images stay together in a split, whatever their rows.
    assert images.keys() == frame_images().keys()


def test_the_content_and_the_mark_of_a_sample_change_with_its_second_image():
    def stacked(pixel):
        front, back = np.zeros((2, 4, 3, 2, 1), dtype=np.uint8)
        back[2, 1, 1] = pixel
        return StackedImages([ArrayImages(front), ArrayImages(back)])

    for of in (StackedImages.contents, StackedImages.marks):
        one, other = list(of(stacked(0))), list(of(stacked(1)))
        assert [i for i in range(4) if one[i] != other[i]] == [2]


class Marked(ArrayImages):
    """Images that are read on demand, and have a mark instead of their bytes."""

    is_in_memory = False

    def marks(self):
        yield from (b"mark" for _ in range(len(self)))


@pytest.mark.parametrize("is_encoded", [False, True])
def test_the_mark_of_a_sample_changes_with_its_row(is_encoded):
    frame = pd.DataFrame({"number": [1.0, 2.0, 4.0], "name": ["a", "b", "a"]})
    encoder = TableEncoder().fit(frame)

    def marks(frame):
        source = Marked(np.zeros((3, 2, 2, 1), dtype=np.uint8))
        images = FrameImages(source, frame.assign(image=0), "image")
        return list((images.encoded(encoder) if is_encoded else images).marks())

    one = marks(frame)
    for column, value in (("number", 3.0), ("name", "b")):
        changed = frame.copy()
        changed.loc[2, column] = value
        other = marks(changed)
        assert [i for i in range(3) if one[i] != other[i]] == [2]


def test_numbers_are_standardised_with_the_population_deviation():
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0, np.nan], "same": [5, 5, 5, 5]})
    encoder = TableEncoder().fit(frame)
    # By hand: mean 2, variance (1 + 0 + 1) / 3. A constant column is left out.
    root = np.sqrt(1.5)
    expected = [[-root, 0], [0, 0], [root, 0], [0, 1]]
    np.testing.assert_allclose(encoder.encode(frame).numbers, expected, rtol=1e-6)
    assert encoder.n_numbers == 2


def test_a_column_without_any_number_is_left_out():
    frame = pd.DataFrame({"x": np.full(3, np.nan)})
    encoder = TableEncoder().fit(frame)
    assert encoder.encode(frame).width == encoder.encode(frame.assign(x=1.0)).width == 0


def test_a_constant_with_missing_values_keeps_its_indicator():
    frame = pd.DataFrame({"x": [5.0, np.nan, 5.0]})
    np.testing.assert_array_equal(TableEncoder().fit(frame).encode(frame).numbers, [[0], [1], [0]])


def test_forms_of_missing_values_are_one_category():
    columns = [
        pd.Series(["a", None, "b"], dtype=object),
        pd.Series(["a", np.nan, "b"], dtype=object),
        pd.Series(["a", pd.NA, "b"], dtype="string"),
        pd.Series(["a", None, "b"], dtype="category"),
    ]
    encoders = [TableEncoder().fit(pd.DataFrame({"x": column})) for column in columns]
    assert [encoder.categories_["x"] for encoder in encoders] == [["a", "b", None]] * 4
    for encoder in encoders:
        for column in columns:
            codes = encoder.encode(pd.DataFrame({"x": column})).codes
            assert codes.ravel().tolist() == [0, 2, 1]


@settings(max_examples=25)
@given(st.lists(st.one_of(st.none(), st.text(max_size=3)), min_size=1, max_size=15))
def test_codes_lead_back_to_the_categories(values):
    frame = pd.DataFrame({"x": pd.Series(values, dtype=object)})
    encoder = TableEncoder().fit(frame)
    codes = encoder.encode(frame).codes.ravel()
    if len(set(values)) == 1:
        assert encoder.categories_ == {}
        return
    assert [encoder.categories_["x"][code] for code in codes] == values


@settings(max_examples=25)
@given(
    st.lists(st.floats(-1e6, 1e6) | st.just(np.nan), min_size=2, max_size=30),
    st.permutations(range(3)),
)
def test_the_encoding_of_a_row_does_not_depend_on_the_others(values, order):
    frame = pd.DataFrame({"x": values, "y": values[::-1], "z": "a"})[[*"xyz"]]
    encoder = TableEncoder().fit(frame)
    everything = encoder.encode(frame)
    for row in order:
        row %= len(frame)
        alone = encoder.encode(frame[row : row + 1])
        np.testing.assert_array_equal(alone.numbers, everything.numbers[row : row + 1])
    assert np.isfinite(everything.numbers).all()
