"""Embeddings kept by the content of a row and the weights of a network, in memory or on disk."""

import os
import sqlite3
import threading
import warnings
from collections import OrderedDict
from contextlib import closing, suppress
from hashlib import blake2b

import numpy as np

from skimb._image_files import ImageFiles

__all__ = ["FolderCache", "MemoryCache", "embed_once", "open_cache", "row_keys"]

#: Bytes of embeddings that a process keeps in memory at most; the oldest go first.
MOST_BYTES = 2**30

#: Keys that one question to the database names.
CHUNK = 500


def row_keys(images, network_key):
    """Return a key for each row: equal only where content and network are.

    Parameters
    ----------
    images : ndarray of shape (n, H, W, C), or ImageFiles of that shape
        The rows. A file stands for its bytes: it is read, not decoded.
    network_key : bytes
        What the network is, at most 64 bytes.

    Returns
    -------
    list of bytes
    """
    if not isinstance(images, ImageFiles):
        # Rows of one memory layout: views of other strides hold the same bytes in another order.
        rows = np.ascontiguousarray(images).reshape(len(images), -1)
        return [_key(row.tobytes(), network_key) for row in rows]
    keys = []
    for path in images.paths:
        try:
            with open(path, "rb") as file:
                keys.append(_key(file.read(), network_key))
        except OSError as exc:
            raise ValueError(f"{path} cannot be read as an image any more ({exc}).") from exc
    return keys


def _key(content, network_key):
    return blake2b(content, digest_size=20, key=network_key).digest()


def embed_once(cache, images, network_key, embed):
    """Return the embeddings of all rows; compute those that the cache does not hold.

    Parameters
    ----------
    cache : MemoryCache or FolderCache
        Where they are kept.
    images : ndarray of shape (n, H, W, C), or ImageFiles of that shape
        The rows.
    network_key : bytes
        As in `row_keys`.
    embed : callable
        Rows, as `images`, to an ndarray of shape (n, d), float32.

    Returns
    -------
    ndarray of shape (n, d), float32
    """
    keys = row_keys(images, network_key)
    # Rows of equal content are embedded once; in order, so that batches are those of the rows.
    first = {}
    for i, key in enumerate(keys):
        first.setdefault(key, i)
    known = cache.get(list(first))
    missing = [key for key in first if key not in known]
    if missing:
        made = embed(images[np.array([first[key] for key in missing])])
        cache.put(missing, made)
        known.update(zip(missing, made, strict=True))
    return np.stack([known[key] for key in keys])


class MemoryCache:
    """Embeddings in the memory of this process, up to a number of bytes.

    Parameters
    ----------
    most_bytes : int, default=2**30
        When there are more, those that were asked for longest ago are let go.
    """

    def __init__(self, most_bytes=MOST_BYTES):
        self.most_bytes = most_bytes
        self.rows, self.n_bytes, self.lock = OrderedDict(), 0, threading.Lock()

    def get(self, keys):
        """Return a dict with the rows of those keys that are here."""
        with self.lock:
            found = [key for key in keys if key in self.rows]
            for key in found:
                self.rows.move_to_end(key)
            return {key: self.rows[key] for key in found}

    def put(self, keys, rows):
        """Keep rows (n, d) under their keys."""
        with self.lock:
            for key, row in zip(keys, rows, strict=True):
                if key not in self.rows:
                    # A copy: a view would keep all rows that were made with it.
                    self.rows[key] = row.copy()
                    self.n_bytes += row.nbytes
            while self.n_bytes > self.most_bytes:
                self.n_bytes -= self.rows.popitem(last=False)[1].nbytes

    def clear(self):
        """Let all rows go."""
        with self.lock:
            self.rows.clear()
            self.n_bytes = 0


class FolderCache:
    """Embeddings in a SQLite database in a folder, shared by any number of processes.

    Each row carries a checksum. A row that fails it is as good as absent, and a database that
    cannot be read is put aside: what it held is computed anew.

    Parameters
    ----------
    folder : str or Path
        Where; it is made where it does not exist.
    """

    file_name = "embeddings.sqlite"

    def __init__(self, folder):
        self.folder = os.fspath(folder)
        try:
            os.makedirs(self.folder, exist_ok=True)
        except OSError as exc:
            raise ValueError(
                f"`cache` must be True or a folder that can be written. {self.folder!r} cannot be "
                f"made: {exc}"
            ) from exc

    @property
    def path(self):
        """The database."""
        return os.path.join(self.folder, self.file_name)

    def get(self, keys):
        """Return a dict with the rows of those keys that are here and whole."""

        def ask(connection):
            found = {}
            for start in range(0, len(keys), CHUNK):
                chunk = keys[start : start + CHUNK]
                marks = ",".join("?" * len(chunk))
                for key, value, check in connection.execute(
                    f"SELECT key, value, digest FROM embeddings WHERE key IN ({marks})", chunk
                ):
                    if isinstance(value, bytes) and _digest(key, value) == check:
                        found[key] = np.frombuffer(value, dtype="<f4").astype(np.float32)
            return found

        found = self._within_transaction(ask)
        return {} if found is None else found

    def put(self, keys, rows):
        """Keep rows (n, d) under their keys; all of them or, where the process dies, none."""
        values = [row.astype("<f4").tobytes() for row in rows]
        entries = [(key, v, _digest(key, v)) for key, v in zip(keys, values, strict=True)]

        def tell(connection):
            connection.executemany("INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?)", entries)
            return True

        try:
            if self._within_transaction(tell) is None:
                self._within_transaction(tell)
        except OSError as exc:
            # A full disk, say: what was computed is not lost for that.
            warnings.warn(f"{exc} Embeddings are not kept.", UserWarning, stacklevel=5)

    def _within_transaction(self, work):
        """Do some work on the database; None where it was damaged and has been put aside."""
        try:
            with closing(sqlite3.connect(self.path, timeout=60)) as connection, connection:
                # What is damaged may look like text, which need not be UTF-8.
                connection.text_factory = bytes
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS embeddings "
                    "(key BLOB PRIMARY KEY, value BLOB NOT NULL, digest BLOB NOT NULL)"
                )
                return work(connection)
        except sqlite3.OperationalError as exc:
            raise OSError(f"The cache {self.path} cannot be used: {exc}.") from exc
        except sqlite3.DatabaseError as exc:
            warnings.warn(
                f"The cache {self.path} is damaged ({exc}). It is put aside as "
                f"{self.file_name}.damaged, and what it held is computed anew.",
                UserWarning,
                stacklevel=7,
            )
            for name in (self.path, f"{self.path}-journal"):
                # Another process may have been faster.
                with suppress(FileNotFoundError):
                    os.replace(name, f"{name}.damaged")
            return None


def _digest(key, value):
    return blake2b(value, digest_size=8, key=key).digest()


#: One for the whole process: the clones that a search makes of an embedder share it.
_MEMORY = MemoryCache()


def open_cache(cache):
    """Turn the `cache` parameter into a cache, or None.

    Parameters
    ----------
    cache : bool, str, Path or None
        As in `CNNEmbedder`.

    Returns
    -------
    MemoryCache, FolderCache or None
    """
    if cache is None or cache is False:
        return None
    return _MEMORY if cache is True else FolderCache(cache)
