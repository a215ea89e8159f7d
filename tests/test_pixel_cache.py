"""Decoded pixels of image files are kept in a folder, complete or not at all."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from skimb import _image_files, _pixel_cache
from skimb.datasets import read_images
from skimb.neural_network import CNNClassifier


@pytest.fixture
def paths(tmp_path):
    rng = np.random.RandomState(0)
    paths = [str(tmp_path / f"{i}.bmp") for i in range(6)]
    for path in paths:
        Image.fromarray(rng.randint(256, size=(9, 7, 3), dtype=np.uint8)).save(path)
    return paths


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "made" / "cache"


@pytest.fixture
def decoded(monkeypatch):
    """The files that are decoded, in order."""
    found, decode = [], _image_files.decode

    def watched(path, image_shape):
        found.append(os.path.basename(path))
        return decode(path, image_shape)

    monkeypatch.setattr(_image_files, "decode", watched)
    return found


def sets(cache):
    return sorted(cache.glob("skimb-*.npy"))


def save(path, pixels):
    Image.fromarray(pixels).save(path)


def change(path):
    """Write another image, of a time of change that no clock is too coarse for."""
    save(path, np.full((9, 7, 3), 7, np.uint8))
    os.utime(path, ns=(0, os.stat(path).st_mtime_ns + 10**9))


@pytest.mark.parametrize("image_shape", [None, (1, 4, 5)])
def test_a_second_call_maps_equal_pixels_and_decodes_nothing(image_shape, paths, cache, decoded):
    expected = read_images(paths, image_shape=image_shape)
    first = read_images(paths, image_shape=image_shape, cache=cache)
    decoded.clear()
    second = read_images(paths, image_shape=image_shape, cache=str(cache), n_jobs=2)
    assert decoded == []
    for images in (first, second):
        assert isinstance(images, np.memmap)
        assert not images.flags.writeable
        assert images.dtype == expected.dtype
        np.testing.assert_array_equal(images, expected)
    assert len(sets(cache)) == 1
    assert cache.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in cache.iterdir()} == {0o600}


def test_another_shape_another_order_and_a_relative_path(paths, cache, decoded, monkeypatch):
    read_images(paths, cache=cache)
    shrunk = read_images(paths, image_shape=(3, 4, 4), cache=cache)
    np.testing.assert_array_equal(shrunk, read_images(paths, image_shape=(3, 4, 4)))
    decoded.clear()
    turned = read_images(paths[::-1], cache=cache)
    assert decoded == []
    np.testing.assert_array_equal(turned[::-1], read_images(paths))
    decoded.clear()
    monkeypatch.chdir(os.path.dirname(paths[0]))
    read_images([os.path.basename(path) for path in paths], cache=cache)
    assert decoded == []


def test_changed_and_further_files_alone_are_decoded(paths, cache, decoded):
    read_images(paths[:5], cache=cache)
    change(paths[2])
    decoded.clear()
    images = read_images(paths, cache=cache)
    assert set(decoded) == {"2.bmp", "5.bmp"}
    assert np.all(images[2] == 7)
    np.testing.assert_array_equal(images, read_images(paths))


def test_a_set_is_written_block_by_block(paths, cache, monkeypatch):
    monkeypatch.setattr(_pixel_cache, "BYTES_AT_ONCE", 400)
    np.testing.assert_array_equal(read_images(paths, cache=cache), read_images(paths))


@pytest.mark.parametrize("kinds", [["uint16"], ["uint16", "float32"], ["float32", "uint16"]])
def test_deep_pixels_keep_the_dtype_of_the_whole_set(kinds, tmp_path, cache, monkeypatch):
    # One image a block.
    monkeypatch.setattr(_pixel_cache, "BYTES_AT_ONCE", 1)
    rng = np.random.RandomState(0)
    paths = [str(tmp_path / f"{i}.tif") for i in range(3)]
    for i, path in enumerate(paths):
        save(path, rng.randint(2**16, size=(4, 4)).astype(kinds[i % len(kinds)]))
    expected = read_images(paths)
    for part in (paths[:1], paths, paths):
        images = read_images(part, cache=cache)
    assert images.dtype == expected.dtype == ("uint16" if len(kinds) == 1 else "float32")
    np.testing.assert_array_equal(images, expected)


@pytest.mark.parametrize("first", ["flat", "deep"])
def test_the_same_errors_as_without_a_cache(first, paths, tmp_path, cache, monkeypatch):
    monkeypatch.setattr(_pixel_cache, "BYTES_AT_ONCE", 1)
    deep = str(tmp_path / "deep.tif")
    save(deep, np.zeros((9, 7), np.float32))
    read_images(paths, image_shape=(3, 9, 7), cache=cache)
    mixed = [deep, *paths] if first == "deep" else [*paths, deep]
    broken = [*paths]
    for place in (1, 4):
        broken[place] = str(tmp_path / f"broken {place}.bmp")
        (tmp_path / f"broken {place}.bmp").write_bytes(b"no image")
    for bad in (mixed, broken, [*paths, "gone.bmp"], [*paths, "a\0b.bmp"]):
        with pytest.raises(ValueError, match=r"\d of \d files") as expected:
            read_images(bad, image_shape=(3, 9, 7))
        with pytest.raises(ValueError, match=re.escape(str(expected.value))):
            read_images(bad, image_shape=(3, 9, 7), cache=cache)
    assert len(sets(cache)) == 1


def test_a_set_that_is_cut_off_is_decoded_again(paths, cache):
    expected = read_images(paths)
    read_images(paths, cache=cache)
    (path,) = sets(cache)
    for content in (path.read_bytes()[:-1], b"", b"no array", path.read_bytes()[:50]):
        path.write_bytes(content)
        np.testing.assert_array_equal(read_images(paths, cache=cache), expected)
    # Another array may not be read as these pixels.
    np.save(path, np.zeros((6, 9, 7, 1), np.uint8))
    np.testing.assert_array_equal(read_images(paths, cache=cache), expected)


def test_an_interrupted_call_leaves_nothing(paths, cache, monkeypatch):
    def interrupted(path, image_shape):
        raise KeyboardInterrupt

    read_images(paths[:2], cache=cache)
    before = sorted(cache.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(_image_files, "decode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            read_images(paths, cache=cache)
    assert sets(cache) == [path for path in before if path.suffix == ".npy"]
    assert not list(cache.glob(".skimb*"))


@pytest.mark.slow
def test_a_killed_process_leaves_no_pixels_and_its_rest_is_removed_later(paths, cache):
    script = """
        import os, sys
        from skimb import _image_files, _pixel_cache

        _pixel_cache.BYTES_AT_ONCE, decode = 1, _image_files.decode

        def dying(path, image_shape):
            if path.endswith("4.bmp"):
                os._exit(9)
            return decode(path, image_shape)

        _image_files.decode = dying
        _image_files.read_images(sys.argv[2:], cache=sys.argv[1])
    """
    command = [sys.executable, "-c", textwrap.dedent(script), cache, *paths]
    assert subprocess.run(command, check=False).returncode == 9
    (rest,) = cache.glob(".skimb.pixels.*.part")
    np.testing.assert_array_equal(read_images(paths, cache=cache), read_images(paths))
    # It may belong to a process that is still writing.
    assert rest.exists()
    an_hour_ago = time.time() - 3700
    os.utime(rest, (an_hour_ago, an_hour_ago))
    read_images(paths[:1], cache=cache)
    assert not rest.exists()


def test_the_oldest_sets_are_removed_and_no_file_of_others(paths, cache, monkeypatch):
    monkeypatch.setattr(_pixel_cache, "MOST_BYTES", 2 * (2 * 9 * 7 * 3 + 128))
    made = []
    for i in range(2):
        read_images(paths[i : i + 2], cache=cache)
        (new,) = set(sets(cache)) - set(made)
        made.append(new)
        # The order does not depend on how exact the clock is.
        os.utime(new, (i, i))
    np.save(cache / "mine.npy", np.zeros(2000))
    # The first set is used again, so the second one is the oldest.
    read_images(paths[:2], cache=cache)
    read_images(paths[2:4], cache=cache)
    assert made[0].exists()
    assert not made[1].exists()
    assert len(sets(cache)) == len(list(cache.glob("*.files"))) == 2
    assert (cache / "mine.npy").exists()
    # A set is kept however large it is.
    read_images(paths, image_shape=(3, 20, 20), cache=cache)
    assert len(sets(cache)) == 1


def test_what_cannot_be_written_is_refused(paths, cache, tmp_path, monkeypatch):
    for bad in (3, True, paths[0], f"{paths[0]}/cache"):
        with pytest.raises(ValueError, match="`cache` must be"):
            read_images(paths, cache=bad)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 9))
        with pytest.raises(ValueError, match=r"0\.0 GiB are needed, and 0\.0 are free"):
            read_images(paths, cache=cache)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np.lib.format, "write_array_header_2_0", full)
        with pytest.raises(ValueError, match=r"No space left on device\. Give another folder"):
            read_images(paths, cache=cache)
    assert not sets(cache)
    assert not list(cache.glob(".skimb*"))


def test_threads_that_read_the_same_set_get_equal_pixels(paths, cache):
    expected = read_images(paths)
    with ThreadPoolExecutor(4) as pool:
        for images in pool.map(lambda _: read_images(paths, cache=cache), range(8)):
            np.testing.assert_array_equal(images, expected)


@pytest.mark.slow
def test_kept_pixels_train_the_network_of_the_paths(paths, cache):
    y, network = [0, 1] * 3, CNNClassifier(max_epochs=1, batch_size=4, random_state=0)
    images = read_images(paths, cache=cache)
    proba = network.fit(paths, y).predict_proba(paths)
    np.testing.assert_array_equal(network.fit(images, y).predict_proba(images), proba)
