"""How bad paths are shown in messages, and why files may not be found."""

import os

__all__ = ["advice_for_missing", "shown_path"]

#: The longest text that a message shows of a path.
LONGEST = 300


def shown_path(path, place):
    """Return a path for a message: as it is, or quoted with its number where it is hard to see.

    Parameters
    ----------
    path : str
        The path.
    place : int
        Its number among all paths, counted from 0.

    Returns
    -------
    str
    """
    text = path if len(path) <= LONGEST else f"{path[: LONGEST - 3]}..."
    is_clear = path == path.strip() != "" and not any(ord(sign) < 32 for sign in path)
    return text if is_clear else f"number {place}, {text!r}"


def advice_for_missing(missing, n_paths):
    """Return how to fix paths that lead to no file.

    Parameters
    ----------
    missing : list of str
        These paths.
    n_paths : int
        The number of all paths.

    Returns
    -------
    str
        One or more sentences.
    """
    if len(missing) == n_paths and not any(map(_looks_like_a_path, missing)):
        return (
            "None of them looks like a path: the column or list seems to hold no paths. Give "
            "another one."
        )
    hints = ["Fix or remove them."]
    if any(path.startswith("~") for path in missing):
        hints.append("`~` is not expanded: give os.path.expanduser(path).")
    if any(map(_is_url, missing)):
        hints.append("URLs are not read: download the files, and give their paths.")
    if any(path != path.strip() for path in missing):
        hints.append("There are spaces around a path: give path.strip().")
    folder = _current_folder()
    if folder and any(map(_is_relative, missing)):
        hints.append(
            f"Relative paths are looked up in the current folder, {folder!r}: give absolute paths, "
            "or start Python in their folder."
        )
    return " ".join(hints)


def _looks_like_a_path(text):
    return os.sep in text or "/" in text or os.path.splitext(text.strip())[1] != ""


def _is_url(path):
    return "://" in path or path.startswith("data:")


def _is_relative(path):
    is_other = not path.strip() or path.startswith("~") or _is_url(path)
    return not is_other and not os.path.isabs(path.strip())


def _current_folder():
    try:
        return os.getcwd()
    except OSError:
        # It was deleted.
        return None
