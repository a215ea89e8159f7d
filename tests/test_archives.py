"""Files of arrays and plain values: types come back, and damage is a ValueError."""

import json
import os
import re
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skimb._archives import Decoder, Encoder, read_archive, write_archive

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.builds(np.int32, st.integers(-9, 9))
    | st.builds(np.str_, st.text(alphabet="ab", min_size=1)),
    lambda parts: (
        st.lists(parts)
        | st.lists(parts).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.booleans()), parts)
    ),
    max_leaves=8,
)


def round_trip(value):
    encoder = Encoder()
    document = json.loads(json.dumps(encoder.encode(value), allow_nan=False))
    return Decoder(encoder.arrays).decode(document)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    encoder = Encoder()
    document = encoder.encode({"a": np.arange(6.0).reshape(2, 3), "b": ("x", 1, {2: None})})
    write_archive(path, "test", document, encoder.arrays)
    return path


@given(plain)
def test_plain_values_keep_their_types(value):
    assert repr(round_trip(value)) == repr(value)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.uint8).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(12.0)[::2],
        np.array(3.5, dtype=np.float32),
        np.empty((0, 4), dtype=bool),
        np.array(["cat", "a dog"]),
        np.array(["cat", 1, None], dtype=object),
        np.arange(3, dtype=">i4"),
    ],
)
def test_arrays_keep_values_dtype_shape_and_order_in_memory(array):
    again = round_trip([array])[0]
    assert again.dtype == array.dtype.newbyteorder("=")
    assert again.shape == array.shape
    assert np.array_equal(again, array)
    if array.flags.contiguous or array.flags.f_contiguous:
        assert again.flags.c_contiguous == array.flags.c_contiguous


@pytest.mark.parametrize("make", [np.random.RandomState, np.random.default_rng])
def test_random_generators_go_on_where_they_were(make):
    rng = make(3)
    rng.normal(size=3)
    again = round_trip(rng)
    assert np.array_equal(rng.normal(size=5), again.normal(size=5))


GENERATORS = [
    np.random.RandomState(0),
    *(
        np.random.Generator(getattr(np.random, name)(0))
        for name in ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")
    ),
]


@pytest.mark.parametrize("rng", GENERATORS, ids=str)
def test_states_of_random_generators_that_would_read_foreign_memory_are_refused(rng):
    rng.integers(5) if hasattr(rng, "integers") else rng.normal()
    encoder = Encoder()
    node = encoder.encode(rng)
    text = json.dumps(node)
    n_changed = 0
    for name in ("pos", "buffer_pos", "has_uint32", "has_gauss", "state", "inc"):
        for value in (10**9, -1, 2**200, 1.5, None):
            if name in ("state", "inc") and value == 10**9:
                continue
            changed = re.sub(rf'\["{name}", \d+\]', json.dumps([name, value]), text)
            if changed != text:
                n_changed += 1
                with pytest.raises(ValueError, match="that is none"):
                    Decoder(encoder.arrays).decode(json.loads(changed))
    assert n_changed or encoder.arrays
    for name, array in encoder.arrays.items():
        for other in (array[:-1], array.astype(np.float64), array[None], np.append(array, 1)):
            with pytest.raises(ValueError, match="that is none"):
                Decoder({**encoder.arrays, name: other}).decode(json.loads(text))


def test_a_random_state_that_numpy_cannot_restore_is_refused_when_it_is_written():
    with pytest.raises(ValueError, match="cannot be written"):
        Encoder().encode(np.random.RandomState(np.random.PCG64(0)))


@pytest.mark.parametrize("dtype", ["<U500000000", "<U999999999", "9f8", "(9,)f8", "f8,f8", "<V9"])
def test_types_by_which_a_small_file_would_fill_the_memory_are_refused(dtype):
    node = {"values": ["x"] * 3, "shape": [3], "dtype": dtype}
    with pytest.raises(ValueError, match=r"texts of the type|names the dtype"):
        Decoder({}).decode(node)


def test_an_array_of_text_with_one_long_text_is_refused_when_it_is_written():
    with pytest.raises(ValueError, match="Give it the dtype object"):
        round_trip(np.array(["x" * 10**4] + [""] * 10**4))
    long = np.array(["x" * 10**4] + [""] * 10**4, dtype=object)
    assert np.array_equal(round_trip(long), long)


@pytest.mark.parametrize("value", [print, object(), np.array([1j]), np.datetime64("2020-01-01")])
def test_other_objects_are_refused(value):
    with pytest.raises(ValueError, match="cannot be written"):
        Encoder().encode({"here": value})


def test_a_file_comes_back(path):
    document, arrays = read_archive(path, "test")
    value = Decoder(arrays).decode(document)
    assert value["b"] == ("x", 1, {2: None})
    assert np.array_equal(value["a"], np.arange(6.0).reshape(2, 3))


def test_a_file_may_be_read_by_those_who_may_read_any_new_file(path, tmp_path):
    (tmp_path / "other").touch()
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_every_truncation_is_told(path, tmp_path):
    whole, short = path.read_bytes(), tmp_path / "short"
    for length in range(len(whole)):
        short.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="damaged"):
            read_archive(short, "test")


def test_every_flipped_bit_is_told_or_changes_nothing(path, tmp_path):
    whole, flipped = path.read_bytes(), tmp_path / "flipped"
    document, arrays = read_archive(path, "test")
    n_told = 0
    for place in range(len(whole)):
        for bit in (0, 3, 7):
            data = bytearray(whole)
            data[place] ^= 1 << bit
            flipped.write_bytes(data)
            try:
                again, other = read_archive(flipped, "test")
            except ValueError:
                n_told += 1
            else:
                # Space in the header is not content.
                assert again == document
                assert all(np.array_equal(other[name], arrays[name]) for name in arrays)
    assert n_told > 2.5 * len(whole)


def test_the_kind_and_the_version_are_checked(path, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="is a skimb test file"):
        read_archive(path, "model")
    monkeypatch.setattr("skimb._archives.VERSION", 2)
    write_archive(tmp_path / "later", "test", {}, {})
    monkeypatch.undo()
    with pytest.raises(ValueError, match="later version of skimb"):
        read_archive(tmp_path / "later", "test")


def test_foreign_files_are_refused(tmp_path):
    from safetensors.numpy import save_file

    foreign = tmp_path / "foreign"
    save_file({"a": np.zeros(3)}, foreign)
    with pytest.raises(ValueError, match="not written by skimb"):
        read_archive(foreign, "test")
    foreign.write_bytes(struct.pack("<Q", 2**60) + b"{}")
    with pytest.raises(ValueError, match="damaged"):
        read_archive(foreign, "test")
    with pytest.raises(FileNotFoundError):
        read_archive(tmp_path / "none", "test")
    with pytest.raises(ValueError, match="no regular file"):
        read_archive(tmp_path, "test")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="no regular file"):
        read_archive(tmp_path / "pipe", "test")


def test_a_failed_write_leaves_the_old_file_and_no_other(path, monkeypatch):
    before = path.read_bytes()

    def full(arrays, name, metadata):
        name.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("skimb._archives.save_file", full)
    with pytest.raises(OSError, match="No space left"):
        write_archive(path, "test", {}, {})
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "node",
    [
        {"array": "none"},
        {"unknown": 1},
        {},
        {"tuple": 3},
        {"dict": [[1]]},
        {"dict": [[[], 1]]},
        {"float": "1e3"},
        {"type": "V8"},
        {"dtype": "<f8"},
        {"tuple": [], "more": 1},
        {"values": [1, 2], "shape": [3], "dtype": "|O"},
        {"scalar": "x", "dtype": "<f8"},
        {"Generator": {"dict": [["bit_generator", "os"]]}},
        {"special": "x", "content": None},
    ],
)
def test_json_that_no_encoder_writes_is_a_value_error(node):
    with pytest.raises(ValueError, match=r"\w"):
        Decoder({}).decode(node)
    deep = node
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested too deeply"):
        Decoder({}).decode(deep)
