"""The results of a comparison on the command line: files, or a table where there are none."""

import shutil
import sys
import tempfile
from pathlib import Path

from skimb._command_line._streams import complain

__all__ = ["hand_out", "write_somewhere"]


def hand_out(result, arguments):
    """Write the files, then print the table: the files are kept even if the terminal fails.

    Parameters
    ----------
    result : Comparison or RegressionComparison
    arguments : Namespace

    Returns
    -------
    int
        Exit status: 1 where a file could not be written, else 0.
    """
    wanted = {
        "figures": (result.to_json, arguments.json),
        "report": (result.to_html, arguments.report),
    }
    written, status = [], 0
    for what, (write, path) in wanted.items():
        if path is None:
            continue
        place, reason = write_somewhere(write, path)
        if place is not None:
            written.append((what, place))
        if reason is not None:
            instead = f"The {what} went to {place}" if place else f"The {what} went nowhere"
            complain(f"cannot write {path}: {reason}. {instead}")
            status = 1
    if status and not any(what == "figures" for what, _ in written):
        # The numbers are kept even where the report cannot be drawn.
        place, _ = write_somewhere(result.to_json, None)
        if place is not None:
            written.append(("figures", place))
    print(result)
    for what, place in written:
        print(f"{what}: {place}")
    sys.stdout.flush()
    failure = getattr(sys.stdout, "failure", None)
    is_closed = getattr(sys.stdout, "stream", sys.stdout) is None
    if not written and (is_closed or not isinstance(failure, BrokenPipeError | None)):
        print(result, file=sys.stderr)
    return status


def write_somewhere(write, path):
    """Write a file, or where that fails, one in another place.

    Parameters
    ----------
    write : callable
        A function of a path.
    path : Path or None
        The wanted place; None: none is wanted.

    Returns
    -------
    place : Path or None
        None: it could not be written.
    reason : str or None
        The reason why it is not in the wanted place; None: it is there.
    """
    reason = None
    if path is not None:
        try:
            write(path)
            return path, None
        # Hours of work would be lost, whatever the error is.
        except Exception as exc:
            reason = str(exc) if isinstance(exc, OSError) else f"{type(exc).__name__}: {exc}"
    name = "figures.json" if path is None else path.name
    for folder in (tempfile.gettempdir, Path.home, Path.cwd):
        place = None
        try:
            place = Path(tempfile.mkdtemp(prefix="skimb-", dir=folder()))
            write(place / name)
            return place / name, reason
        except Exception:
            if place is not None:
                shutil.rmtree(place, ignore_errors=True)
    return None, reason
