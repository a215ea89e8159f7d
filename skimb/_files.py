"""Write files whole or not at all, and only where nothing of the user's is lost."""

import os
import secrets
import tempfile
import unicodedata
from contextlib import suppress
from pathlib import Path

__all__ = ["identity", "is_same", "lies_in", "why_not_writable", "write_text"]


def write_text(path, text):
    """Write a text file under a temporary name, then rename it.

    An interrupted run leaves the old file, or none, and never half a one. A link is followed, and
    what is no regular file (a device, a pipe) is written to as it is.

    Parameters
    ----------
    path : str or Path
        Where to.
    text : str
        What; UTF-8 in the file.
    """
    path = Path(path)
    # Before links are followed: that of a pipe (/dev/stdout) leads to a name that is no file.
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    path = path.resolve()
    # A name of its own: one that contains the other may be too long.
    temporary = path.with_name(f".skimb.{secrets.token_hex(8)}.part")
    try:
        with temporary.open("x", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def why_not_writable(path):
    """Tell why a file cannot be written, before it is.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    str or None
        None: it can, so far as is known.
    """
    path = Path(path)
    folder = path.absolute().parent
    try:
        if path.is_dir():
            return "it is a folder"
        if not folder.is_dir():
            return f"the folder {folder} does not exist"
        if path.exists() and not path.is_file():
            return None
        with suppress(FileNotFoundError):
            # Names that the file system refuses, such as one that is too long.
            os.lstat(path)
        with tempfile.TemporaryFile(dir=path.resolve().parent):
            return None
    except PermissionError:
        return f"the folder {folder} is not writable"
    # Python tells of a loop of links by a RuntimeError up to 3.12.
    except (OSError, RuntimeError, ValueError) as exc:
        return getattr(exc, "strerror", None) or str(exc)


def identity(path):
    """Return a value that all names of one file share, links of both kinds; None: there is none.

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
    """Tell whether two paths are one file, or would be once they are written.

    Names that differ by case, or by the form of their Unicode, are one on some file systems, and
    count as one on all.

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
    """Tell whether a path lies in a folder, by its name or by what it links to.

    Parameters
    ----------
    path : str or Path
        The file, there or not.
    folder : str or Path
        A folder that is there.

    Returns
    -------
    bool
    """
    wanted = identity(folder)
    places = Path(path).absolute().parent.resolve(), Path(path).resolve().parent
    return any(identity(parent) == wanted for place in places for parent in (place, *place.parents))
