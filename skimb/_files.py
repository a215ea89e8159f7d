"""Writing files completely or not at all, and checks that no file of the user is lost."""

import os
import secrets
import tempfile
import unicodedata
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = [
    "file_in_place_of",
    "identity",
    "is_same",
    "lies_in",
    "replacing",
    "why_not_writable",
    "write_text",
]


@contextmanager
def replacing(path, *, name=""):
    """Let a block write a temporary file, which then takes the name of a file.

    An interrupted or failed block leaves the old file or no file, never an incomplete one. The
    content is on the disk before the name is, so that a loss of power keeps one of the two too. A
    link is followed.

    Parameters
    ----------
    path : str or Path
        The file.
    name : str, default=""
        Part of the temporary name, ``.skimb.NAME.RANDOM.part``, by which a file that a killed
        process left can be found.

    Yields
    ------
    Path
        A name in the same folder, of a file that does not exist.
    """
    path = Path(path).resolve()
    # A new name: one that contains the name of the file could be too long.
    parts = [".skimb", name, secrets.token_hex(8), "part"]
    temporary = path.with_name(".".join(part for part in parts if part))
    try:
        yield temporary
        _to_disk(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    # Not all systems can open a folder.
    with suppress(OSError):
        _to_disk(path.parent)


def _to_disk(path):
    """Wait until a file or folder is on the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def write_text(path, text):
    """Write a text file under a temporary name, then rename it.

    An interrupted run leaves the old file or no file, never an incomplete one. A link is followed,
    and a path that is not a regular file (a device, a pipe) is written to directly.

    Parameters
    ----------
    path : str or Path
        The file to write.
    text : str
        The text, which is written as UTF-8.
    """
    path = Path(path)
    # Before links are followed: the link of a pipe (/dev/stdout) leads to a name without a file.
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    with replacing(path) as temporary, temporary.open("x", encoding="utf-8") as file:
        file.write(text)


def why_not_writable(path):
    """Return the reason why a file cannot be written, without writing it.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    str or None
        The reason; None if the file can be written, as far as is known.
    """
    path = Path(path)
    folder = path.absolute().parent
    try:
        if path.is_dir():
            return "it is a folder"
        if not folder.is_dir():
            return f"the folder {folder} does not exist"
        if path.exists() and not os.access(path, os.W_OK):
            # A new file would take its name all the same.
            return "it is write-protected"
        if path.exists() and not path.is_file():
            return None
        with suppress(FileNotFoundError):
            # This raises an error for names that the file system refuses, such as too long ones.
            os.lstat(path)
        with tempfile.TemporaryFile(dir=path.resolve().parent):
            return None
    except PermissionError:
        return f"the folder {folder} is not writable"
    # Up to Python 3.12, a loop of links raises a RuntimeError.
    except (OSError, RuntimeError, ValueError) as exc:
        return getattr(exc, "strerror", None) or str(exc)


def file_in_place_of(folder):
    """Return the file at the path of a folder, or of one of its parents; None if there is none.

    Parameters
    ----------
    folder : str or Path
        The folder, which may not exist yet.

    Returns
    -------
    str or None
    """
    found = os.path.abspath(folder)
    while not os.path.lexists(found):
        found = os.path.dirname(found)
    return None if os.path.isdir(found) else found


def identity(path):
    """Return a value that all names of a file share (links of both kinds); None if there is none.

    Parameters
    ----------
    path : str or Path
        The file or folder.

    Returns
    -------
    tuple or None
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def is_same(first, second):
    """Tell whether two paths are the same file, or would be once they are written.

    Names that differ only by case, or by the form of their Unicode, are the same file on some file
    systems, and count as the same on all.

    Parameters
    ----------
    first, second : str or Path
        The paths.

    Returns
    -------
    bool
    """
    if identity(first) is not None and identity(first) == identity(second):
        return True
    paths = [Path(path).resolve() for path in (first, second)]
    names = {unicodedata.normalize("NFC", path.name).casefold() for path in paths}
    folders = {identity(path.parent) or path.parent for path in paths}
    return len(names) == len(folders) == 1


def lies_in(path, folder):
    """Tell whether a path lies in a folder, by its name or by the target of its link.

    Parameters
    ----------
    path : str or Path
        The file, which may not exist yet.
    folder : str or Path
        A folder that exists.

    Returns
    -------
    bool
    """
    wanted = identity(folder)
    places = Path(path).absolute().parent.resolve(), Path(path).resolve().parent
    return any(identity(parent) == wanted for place in places for parent in (place, *place.parents))
