"""Decoded pixels of whole sets of image files, kept in a folder as arrays that are mapped.

One set is one ``.npy`` file, which a fit gathers its batches from, and which all processes share.
One file or one row of a database for each image would find images of any subset again, but costs an
opening, a look-up and a copy for each image of each epoch.

The name of a set is a digest of all that decides its pixels: the path, size and time of change of
each file, the shape, and the version of Pillow. Beside it lies a list of the digests of its files,
by which another set takes over the images that it shares with this one.
"""

import os
import shutil
import time
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import numpy as np
import PIL

from skimb._decoded_sets import holds
from skimb._files import file_in_place_of, replacing, why_not_writable

__all__ = ["check_folder", "kept_pixels"]

#: The most bytes in a folder. Sets that were used longest ago are removed first.
MOST_BYTES = 2**35

#: Bytes of pixels that are decoded before they are written.
BYTES_AT_ONCE = 2**25

#: A temporary file that has not grown for so many seconds was left by a process that was killed.
HOUR = 60 * 60

#: Bytes of a digest.
DIGEST = 16


def check_folder(cache):
    """Refuse a folder for decoded pixels that cannot be one.

    Parameters
    ----------
    cache : str or Path
        The folder, which may not exist yet.

    Raises
    ------
    ValueError
        If it is no path, or there is a file at the path of it or of one of its parents.
    """
    if not isinstance(cache, str | os.PathLike):
        raise ValueError(f"`cache` must be the path of a folder, or None. Got {cache!r}.")
    if file := file_in_place_of(cache):
        raise ValueError(
            f"`cache` must be a folder. {os.fspath(cache)!r} cannot be made: {file!r} is not a "
            "folder."
        )


def kept_pixels(folder, marks, image_shape, decode, find_dtype):
    """Return the pixels of image files as a memory map; files that are not kept are decoded.

    Parameters
    ----------
    folder : str or Path
        The folder of the sets; it is made if it does not exist.
    marks : iterable of n bytes
        What tells each file from others, and from what it was before it changed.
    image_shape : tuple of int
        ``(C, H, W)``.
    decode : callable
        A function of an ndarray of m places, which returns the pixels of these files as an ndarray
        of shape (m, H, W, C).
    find_dtype : callable
        A function without arguments, which returns the dtype of the whole set, where parts of it
        have different ones.

    Returns
    -------
    memmap of shape (n, H, W, C), read-only

    Raises
    ------
    ValueError
        If the folder cannot be written, or the disk has no room.
    """
    folder = Path(folder)
    kind = repr((PIL.__version__, image_shape)).encode()
    digests = [blake2b(mark, digest_size=DIGEST, key=_short(kind)).digest() for mark in marks]
    path = folder / f"skimb-{blake2b(b''.join(digests), digest_size=DIGEST).hexdigest()}.npy"
    shape = len(digests), *image_shape[1:], image_shape[0]
    if (pixels := _opened(path, shape)) is not None:
        # The time of a set is that of its last use, which cannot be noted in a folder of others.
        with suppress(OSError):
            os.utime(path)
        return pixels
    try:
        # Only the owner may read it, as images may be private.
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as exc:
        raise _no_room(folder, exc.strerror) from exc
    if reason := why_not_writable(path):
        raise _no_room(folder, reason)
    _remove_leftovers(folder)
    known = _known(folder, digests, shape[1:])

    def read(rows):
        return _read(rows, digests, known, decode)

    try:
        # Nearly always all files have the depth of the first.
        _write(path, digests, shape, read, read(np.arange(1)).dtype)
    except _OtherDtypeError:
        _write(path, digests, shape, read, find_dtype())
    _remove_oldest(folder, path)
    if (pixels := _opened(path, shape)) is None:
        raise _no_room(folder, f"another process has removed {path.name}")
    return pixels


def _short(kind):
    # Keys of blake2b have at most 64 bytes.
    return blake2b(kind, digest_size=DIGEST).digest()


def _no_room(folder, reason):
    return ValueError(
        f"Decoded images cannot be kept in the folder `cache`={os.fspath(folder)!r}: {reason}. "
        "Give another folder, or leave `cache` None."
    )


def _list_of(path):
    """Return the file with the digests of the files of a set."""
    return path.with_suffix(".files")


def _opened(path, shape):
    """Return the pixels of a set, or None if there are none of this shape, or they are cut off."""
    try:
        pixels = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return pixels if pixels.shape == shape else None


def _known(folder, digests, shape):
    """Return the sets and rows in which files of 8 bits per channel are kept already.

    The dtype of deeper files is that of their whole set, so they are always decoded.
    """
    wanted, known = set(digests), {}
    for path in folder.glob("skimb-*.npy"):
        try:
            joint = _list_of(path).read_bytes()
        except OSError:
            continue
        found = [joint[start : start + DIGEST] for start in range(0, len(joint), DIGEST)]
        if wanted.isdisjoint(found):
            continue
        pixels = _opened(path, (len(found), *shape))
        if pixels is not None and pixels.dtype == np.uint8:
            known |= {mark: pixels[row] for row, mark in enumerate(found) if mark in wanted}
    return known


def _read(rows, digests, known, decode) -> np.ndarray:
    """Return the pixels of some files; those that another set holds are not decoded."""
    kept = [known.get(digests[row]) for row in rows]
    missing = np.array([place for place, image in enumerate(kept) if image is None], np.intp)
    if len(missing) == len(rows):
        return decode(rows)
    if len(missing):
        made = decode(rows[missing])
        if made.dtype != np.uint8:
            raise _OtherDtypeError
        for place, image in zip(missing, made, strict=True):
            kept[place] = image
    return np.stack(kept)


class _OtherDtypeError(Exception):
    """A set has images of several dtypes."""


def _write(path, digests, shape, read, dtype):
    """Write a set, block by block.

    Bytes are written, not mapped: a full disk is then an error, and not the end of the process.
    """
    n_bytes = int(np.prod(shape)) * dtype.itemsize
    if n_bytes > (free := shutil.disk_usage(path.parent).free):
        raise _no_room(
            path.parent, f"{n_bytes / 2**30:.1f} GiB are needed, and {free / 2**30:.1f} are free"
        )
    layout = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": shape,
    }
    step = max(1, BYTES_AT_ONCE * len(digests) // n_bytes)
    try:
        with replacing(_list_of(path), name="pixels") as temporary, _new(temporary) as file:
            file.write(b"".join(digests))
        with replacing(path, name="pixels") as temporary, _new(temporary) as file:
            np.lib.format.write_array_header_2_0(file, layout)
            for start in range(0, len(digests), step):
                images = read(np.arange(start, min(start + step, len(digests))))
                if not holds(dtype, images.dtype):
                    raise _OtherDtypeError
                file.write(np.ascontiguousarray(images, dtype=dtype).data)
    except OSError as exc:
        raise _no_room(path.parent, exc.strerror or str(exc)) from exc


def _new(path):
    """Open a new file for writing, which only its owner may read."""
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600))


def _remove_leftovers(folder):
    """Remove what killed processes have left."""
    for path in folder.glob(".skimb.pixels.*.part"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > HOUR:
                path.unlink()


def _remove_oldest(folder, newest):
    """Remove sets until the folder is small enough; the newest one stays, however large it is."""
    sets = []
    for path in folder.glob("skimb-*.npy"):
        with suppress(OSError):
            found = path.stat()
            sets.append((path != newest, -found.st_mtime_ns, found.st_size, path))
    n_bytes = 0
    for is_other, _, size, path in sorted(sets):
        n_bytes += size
        if is_other and n_bytes > MOST_BYTES:
            # Where a process has mapped it, Linux keeps the pixels, and Windows refuses.
            with suppress(OSError):
                path.unlink()
                _list_of(path).unlink()
