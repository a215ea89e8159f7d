"""Embeddings kept by the content of a sample and the weights of a network, in memory or on disk.

diskcache is not used: up to 5.6.3, its last release, it unpickles whatever entry of the folder says
that it is a pickle (CVE-2025-69872, for which there is no fix). It also returns a value whose bytes
have changed on disk, raises where the database is damaged, and lets all users of the machine read
it, so that the checks of this module would be needed around it. cachetools would replace about
twenty lines of `MemoryCache`, without the lock, which is not worth a dependency; nothing is ever
unpickled here: an entry is the bytes of numbers with a checksum. The database is read, not mapped
into memory: if a mapped file is cut short, the system ends the process.
"""

import os
import sqlite3
import stat
import time
from collections import OrderedDict
from contextlib import closing, suppress
from hashlib import blake2b
from typing import Any

import numpy as np

from skimb._files import file_in_place_of
from skimb._image_source import as_source
from skimb._process import ForkedLock
from skimb._warnings import warn

__all__ = ["FolderCache", "MemoryCache", "check_cache", "embed_once", "open_cache", "sample_keys"]

#: The most bytes of embeddings that a process keeps in memory; the oldest are dropped first.
MOST_BYTES = 2**30

#: Number of keys in one query to the database.
CHUNK = 500

#: Number of samples that are looked up, embedded and kept at once.
PART = 4096

#: Seconds to wait for a lock, and seconds to wait if it was held too long before.
PATIENCE, NO_PATIENCE = 5.0, 0.1

#: Errors that would also occur with a new database.
SURROUNDINGS = (
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOLFS,
    sqlite3.SQLITE_AUTH,
)


def sample_keys(images, network_key):
    """Return a key for each sample; keys are equal only where content and network are equal.

    Parameters
    ----------
    images : ImageSource, or ndarray of shape (n, H, W, C)
        The samples. Files are compared by their bytes: they are read, but not decoded.
    network_key : bytes
        The identity of the network, at most 64 bytes.

    Returns
    -------
    list of bytes
    """
    return [_key(content, network_key) for content in as_source(images).contents()]


def _key(content, network_key):
    return blake2b(content, digest_size=20, key=network_key).digest()


def embed_once(cache, images, network_key, embed):
    """Return the embeddings of all samples; compute those that the cache does not hold.

    Parameters
    ----------
    cache : MemoryCache or FolderCache
        The cache of the embeddings.
    images : ImageSource, or ndarray of shape (n, H, W, C)
        The samples.
    network_key : bytes
        As in `sample_keys`.
    embed : callable
        A function of samples, in the form of `images`, that returns an ndarray of shape (n, d), of
        the dtype of the cache.

    Returns
    -------
    ndarray of shape (n, d)
    """
    keys = sample_keys(images, network_key)
    # Samples of equal content are embedded once, in their order, so that batches do not change.
    first = {}
    for i, key in enumerate(keys):
        first.setdefault(key, i)
    distinct = list(first)
    found: Any = None
    # In parts: an interrupted call keeps what it has done, and no second copy of all is in memory.
    for start in range(0, len(distinct), PART):
        part = distinct[start : start + PART]
        rows = _kept_or_made(cache, images, {key: first[key] for key in part}, embed)
        if found is None:
            found = np.empty((len(distinct), *rows.shape[1:]), rows.dtype)
        elif rows.shape[1:] != found.shape[1:]:
            # One of the parts does not belong to the network.
            found = embed(images[np.array(list(first.values()))])
            cache.put(distinct, found)
            break
        found[start : start + PART] = rows
    if len(distinct) == len(keys):
        return found
    places = {key: place for place, key in enumerate(distinct)}
    return found[[places[key] for key in keys]]


def _kept_or_made(cache, images, first, embed):
    """Return the embeddings of samples, given the number of a row for each key, in this order."""
    known = cache.get(list(first))
    while missing := [key for key in first if key not in known]:
        made = embed(images[np.array([first[key] for key in missing])])
        cache.put(missing, made)
        # All embeddings of one network have the same length: others do not belong to it.
        known = {key: row for key, row in known.items() if row.shape == made.shape[1:]}
        known.update(zip(missing, made, strict=True))
    if len({row.shape for row in known.values()}) > 1:
        made = embed(images[np.array(list(first.values()))])
        cache.put(list(first), made)
        return made
    return np.stack([known[key] for key in first])


class MemoryCache:
    """Embeddings in the memory of this process, up to a number of bytes.

    Parameters
    ----------
    most_bytes : int, default=2**30
        If there are more, those that were last used longest ago are dropped.
    """

    def __init__(self, most_bytes=MOST_BYTES):
        self.most_bytes = most_bytes
        self.rows, self.n_bytes, self.lock = OrderedDict(), 0, ForkedLock()

    def get(self, keys):
        """Return a dict of the embeddings of those keys that are in the cache."""
        with self.lock:
            found = [key for key in keys if key in self.rows]
            for key in found:
                self.rows.move_to_end(key)
            return {key: self.rows[key] for key in found}

    def put(self, keys, rows):
        """Keep embeddings (n, d) under their keys."""
        with self.lock:
            for key, row in zip(keys, rows, strict=True):
                if key not in self.rows:
                    # A copy: a view would keep the whole array in memory.
                    self.rows[key] = row.copy()
                    self.n_bytes += row.nbytes
            while self.n_bytes > self.most_bytes:
                self.n_bytes -= self.rows.popitem(last=False)[1].nbytes

    def clear(self):
        """Drop all embeddings."""
        with self.lock:
            self.rows.clear()
            self.n_bytes = 0


class FolderCache:
    """Embeddings in a SQLite database in a folder, shared by any number of processes.

    Problems with the cache never stop the computation. Each entry has a checksum, and an entry that
    fails it counts as absent; a database that cannot be read is renamed; a database that is locked,
    read-only or on a full disk is not used. A warning is given, and the embeddings are computed.
    Only the owner can read the database, and the folder if it is made here, because images may be
    private.

    Parameters
    ----------
    folder : str or Path
        The folder; it is made if it does not exist.
    dtype : {"float32", "float16"}, default="float32"
        The dtype of the embeddings. It must belong to the keys.
    """

    file_name = "embeddings.sqlite"

    def __init__(self, folder, dtype="float32"):
        self.folder = os.fspath(folder)
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self.is_passed_by = False

    @property
    def path(self):
        """The database."""
        return os.path.join(self.folder, self.file_name)

    def get(self, keys):
        """Return a dict of the embeddings of those keys that are in the cache and not damaged."""

        def ask(connection):
            found = {}
            for start in range(0, len(keys), CHUNK):
                chunk = keys[start : start + CHUNK]
                marks = ",".join("?" * len(chunk))
                for key, value, check in connection.execute(
                    f"SELECT key, value, digest FROM embeddings WHERE key IN ({marks})", chunk
                ):
                    is_row = isinstance(key, bytes) and isinstance(value, bytes)
                    is_whole = is_row and len(value) % self.dtype.itemsize == 0
                    if is_whole and _digest(key, value) == check:
                        row = np.frombuffer(value, dtype=self.dtype)
                        found[key] = row.astype(self.dtype.newbyteorder("="))
            return found

        return self._within_transaction(ask) or {}

    def put(self, keys, rows):
        """Keep embeddings (n, d) under their keys: all of them or, if the process dies, none."""
        values = [row.astype(self.dtype).tobytes() for row in rows]
        entries = [(key, v, _digest(key, v)) for key, v in zip(keys, values, strict=True)]

        def tell(connection):
            connection.executemany("INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?)", entries)

        self._within_transaction(tell)

    def _within_transaction(self, work):
        """Return the result of some work on the database, or None where that is not possible."""
        for may_put_aside in (True, False):
            if self.is_passed_by:
                return None
            try:
                with closing(self._connect()) as connection, connection:
                    # A damaged entry may look like text that is not UTF-8.
                    connection.text_factory = bytes
                    connection.execute(
                        "CREATE TABLE IF NOT EXISTS embeddings "
                        "(key BLOB PRIMARY KEY, value BLOB NOT NULL, digest BLOB NOT NULL)"
                    )
                    found = work(connection)
                _LOCKED.discard(self.path)
                return found
            # A damaged database may raise any error, such as UnicodeDecodeError.
            except Exception as exc:
                if may_put_aside and self._is_damage(exc):
                    self._put_aside(exc)
                else:
                    self._pass_by(exc)
        return None

    def _connect(self):
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        try:
            if not stat.S_ISREG(os.stat(self.path).st_mode):
                raise _NotAFileError("it is not a file")
        except FileNotFoundError:
            # SQLite would make the database readable for all; its journals get the same
            # permissions.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        # If another process has held the lock all the time, the waiting times would add up.
        patience = NO_PATIENCE if self.path in _LOCKED else PATIENCE
        return sqlite3.connect(self.path, timeout=patience)

    def _is_damage(self, exc):
        """Return whether the database itself is damaged, so that a new one would work."""
        if isinstance(exc, OSError | MemoryError):
            return isinstance(exc, _NotAFileError)
        code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if code == sqlite3.SQLITE_READONLY:
            # If the user may write, and SQLite says otherwise, the header is damaged.
            return os.access(self.path, os.W_OK) and os.access(self.folder, os.W_OK)
        return code not in SURROUNDINGS

    def _put_aside(self, exc):
        """Rename the damaged database, so that a new one can be made."""
        aside = f"{self.path}.damaged"
        try:
            if os.path.isdir(aside) or os.path.isdir(self.path):
                aside = f"{aside}-{time.time_ns()}"
            # The journals are renamed first: they must not be used with the new database.
            for suffix in ("-journal", "-wal", "-shm", ""):
                # Another process may have renamed it already.
                with suppress(FileNotFoundError):
                    os.replace(f"{self.path}{suffix}", f"{aside}{suffix}")
        except OSError as failure:
            self._pass_by(failure)
            return
        warn(
            f"The cache {self.path} is damaged, or of another version ({exc}). It is put aside as "
            f"{os.path.basename(aside)}, and the embeddings that it held are computed again.",
        )

    def _pass_by(self, exc):
        """Do not use the database, and warn."""
        self.is_passed_by = True
        if getattr(exc, "sqlite_errorcode", 0) & 0xFF in (
            sqlite3.SQLITE_BUSY,
            sqlite3.SQLITE_LOCKED,
        ):
            _LOCKED.add(self.path)
        warn(
            f"The cache {self.path} cannot be used ({exc}). Embeddings are not kept.",
        )


class _NotAFileError(OSError):
    """A folder or a device lies where the database should."""


def _digest(key, value):
    return blake2b(value, digest_size=8, key=key).digest()


#: One cache for the whole process: the clones that a search makes of an embedder share it.
_MEMORY = MemoryCache()

#: Paths of databases whose lock was held for too long at the last query.
_LOCKED = set()


def open_cache(cache, dtype="float32"):
    """Turn the `cache` parameter into a cache, or None.

    Parameters
    ----------
    cache : bool, str, Path or None
        As in `CNNEmbedder`.
    dtype : {"float32", "float16"}, default="float32"
        The dtype of the embeddings.

    Returns
    -------
    MemoryCache, FolderCache or None
    """
    if cache is None or cache is False:
        return None
    return _MEMORY if cache is True else FolderCache(cache, dtype)


def check_cache(cache):
    """Refuse a `cache` that is a file instead of a folder.

    Parameters
    ----------
    cache : bool, str, Path or None
        As in `CNNEmbedder`.

    Raises
    ------
    ValueError
        If there is a file at the path of the folder or of one of its parents.
    """
    if cache is None or isinstance(cache, bool):
        return
    if file := file_in_place_of(cache):
        raise ValueError(
            f"`cache` must be True or a folder. {os.fspath(cache)!r} cannot be made: {file!r} is "
            "not a folder."
        )
