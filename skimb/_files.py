"""Write files whole or not at all."""

import secrets
from pathlib import Path

__all__ = ["write_text"]


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
    path = Path(path).resolve()
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with temporary.open("x", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
