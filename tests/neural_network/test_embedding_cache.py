"""The cache of embeddings in a folder: what it reads is numbers, never code."""

import os
import pickle
import sqlite3
from contextlib import closing

import numpy as np
import pytest
import torch
from torch import nn

from skimb.neural_network import CNNEmbedder, _embedding_cache, export_onnx, pretrained
from skimb.neural_network._embedding_cache import FolderCache, _digest, embed_once, sample_keys


class Exploit:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_in_the_cache_is_read_as_numbers_and_not_run(tmp_path, protocol):
    key, made = b"k" * 20, tmp_path / "made"
    cache = FolderCache(tmp_path / "cache")
    cache.put([key], np.ones((1, 3), dtype=np.float32))
    harmful = pickle.dumps(Exploit(made), protocol)
    harmful += b"." * (-len(harmful) % 4)
    with closing(sqlite3.connect(cache.path)) as connection, connection:
        connection.execute(
            "UPDATE embeddings SET value = ?, digest = ?", (harmful, _digest(key, harmful))
        )
    found = cache.get([key])[key]
    assert found.tobytes() == harmful
    assert not made.exists()
    # It would have been harmful.
    pickle.loads(harmful)
    assert made.exists()


def test_a_value_that_changed_on_disk_is_absent(tmp_path):
    key, cache = b"k" * 20, FolderCache(tmp_path)
    row = np.arange(64, dtype=np.float32)
    cache.put([key], row[None])
    content = (tmp_path / cache.file_name).read_bytes()
    changed = row.copy()
    changed[5] = 7.5
    assert content.count(row.tobytes()) == 1
    (tmp_path / cache.file_name).write_bytes(content.replace(row.tobytes(), changed.tobytes()))
    assert cache.get([key]) == {}


IMAGES = np.random.RandomState(0).randint(256, size=(23, 4, 4, 3)).astype(np.uint8)


def embedder(folder=None, scale=1.0, **options):
    """Return a fitted embedder whose embeddings are five numbers up to thirteen times the scale."""
    layer = nn.Linear(48, 5, bias=False)
    with torch.no_grad():
        layer.weight.copy_(scale * torch.linspace(-1, 1, 240).reshape(48, 5).T)
    backbone = pretrained(nn.Sequential(nn.Flatten(), layer), image_size=4)
    return CNNEmbedder(backbone, cache=folder, channels="last", **options).fit(IMAGES)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("cache", ["folder", True])
def test_half_precision_is_that_of_the_numbers_in_full(cache, normalize, tmp_path):
    folder = tmp_path if cache == "folder" else cache
    full = embedder(normalize=normalize).transform(IMAGES)
    half = embedder(folder, dtype="float16", normalize=normalize)
    expected = full.astype(np.float16)
    for _ in range(2):
        found = half.transform(IMAGES)
        assert found.dtype == np.float16
        # A length is that of rounded numbers.
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)
    if not normalize:
        assert np.array_equal(found, expected)
    # The same folder has both.
    kept = embedder(folder, normalize=normalize).transform(IMAGES)
    assert kept.dtype == np.float32
    assert np.array_equal(kept, full)
    assert np.array_equal(half.transform(IMAGES), found)


def test_half_precision_takes_two_bytes_a_number(tmp_path):
    half = embedder(tmp_path, dtype="float16")
    half.transform(IMAGES)
    with closing(sqlite3.connect(FolderCache(tmp_path).path)) as connection:
        lengths = connection.execute("SELECT DISTINCT length(value) FROM embeddings").fetchall()
    assert lengths == [(10,)]
    half._run = lambda images: pytest.fail("embedded again")
    half.transform(IMAGES)


def test_numbers_that_half_precision_cannot_hold_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"dtype='float16' holds values up to 65504"):
        embedder(tmp_path, scale=1e5, dtype="float16")


def test_a_file_of_onnx_gives_full_precision(tmp_path):
    half = embedder(dtype="float16")
    with pytest.raises(ValueError, match=r"set_params\(dtype='float32'\)"):
        export_onnx(half, tmp_path / "half.onnx")


def embed(images):
    return images.reshape(len(images), 48).astype(np.float32)


def test_parts_give_what_one_part_gives(tmp_path, monkeypatch):
    images = IMAGES[np.r_[0:23, 3, 3, 20, 0:5]]
    monkeypatch.setattr(_embedding_cache, "PART", 7)
    asked = []

    def counted(images):
        asked.append(len(images))
        return embed(images)

    for n_asked in ([7, 7, 7, 2], []):
        found = embed_once(FolderCache(tmp_path), images, b"network", counted)
        assert np.array_equal(found, embed(images))
        assert asked == n_asked
        asked.clear()


def test_an_interrupted_call_keeps_its_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(_embedding_cache, "PART", 7)
    calls = []

    def interrupted(images):
        calls.append(len(images))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return embed(images)

    with pytest.raises(KeyboardInterrupt):
        embed_once(FolderCache(tmp_path), IMAGES, b"network", interrupted)
    assert len(FolderCache(tmp_path).get(sample_keys(IMAGES, b"network"))) == 14


@pytest.mark.parametrize("foreign", [slice(0, 7), slice(7, 14), slice(5, 9)], ids=str)
def test_a_part_of_another_length_is_not_believed(foreign, tmp_path, monkeypatch):
    monkeypatch.setattr(_embedding_cache, "PART", 7)
    cache, keys = FolderCache(tmp_path), sample_keys(IMAGES, b"network")
    cache.put(keys, embed(IMAGES))
    cache.put(keys[foreign], np.ones((len(keys[foreign]), 9), dtype=np.float32))
    assert np.array_equal(embed_once(cache, IMAGES, b"network", embed), embed(IMAGES))
    # Afterwards it is right.
    found = embed_once(cache, IMAGES, b"network", lambda images: pytest.fail("embedded again"))
    assert np.array_equal(found, embed(IMAGES))
