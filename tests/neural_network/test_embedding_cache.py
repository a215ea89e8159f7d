"""The cache of embeddings in a folder: what it reads is numbers, never code."""

import os
import pickle
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from skimb.neural_network._embedding_cache import FolderCache, _digest


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
