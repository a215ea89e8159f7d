"""Temporary files of checkpoints that a killed process has left."""

import hashlib
import os
import socket
import time
from contextlib import suppress
from pathlib import Path

__all__ = ["mark_of", "remove_leftovers"]

#: After so many seconds a file of an unknown process is a leftover.
DAY = 24 * 60 * 60


def mark_of(key):
    """Return the part of a temporary name that names a checkpoint, this host and this process.

    Parameters
    ----------
    key : str
        The key of the checkpoint.

    Returns
    -------
    str
    """
    return f"{key}.{_host()}-{os.getpid()}"


def remove_leftovers(folder, key):
    """Remove temporary files of a checkpoint which no process is writing any more.

    These are files of processes of this host that have ended, and files that are older than a day.

    Parameters
    ----------
    folder : Path
        The folder of the checkpoints.
    key : str
        The key of the checkpoint.
    """
    for path in Path(folder).glob(f".skimb.{key}.*.part"):
        with suppress(OSError):
            if _is_left(path):
                path.unlink(missing_ok=True)


def _is_left(path):
    host, _, number = path.name.split(".")[3].partition("-")
    if host == _host() and number.isdecimal() and _has_ended(int(number)):
        return True
    return time.time() - path.stat().st_mtime > DAY


def _has_ended(number):
    # Elsewhere, signal 0 is one that ends a process.
    if os.name != "posix":
        return False
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass
    return False


def _host():
    # Names of hosts hold dots, and may be long.
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
