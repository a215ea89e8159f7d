"""CSV files whose cells a spreadsheet shows, and never runs."""

import csv
import re
import sys
from contextlib import contextmanager
from pathlib import Path

from skimb._files import replacing

__all__ = ["cell", "writing_csv"]

#: Cells that begin so may be formulas.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")

#: Where another cell begins for a spreadsheet that splits lines at semicolons or tabs, as those of
#: some languages do, and the cell may be a formula.
INSIDE = re.compile(r"(?<=[;\t\r\n])(?=\s*[=+\-@])")

#: Numbers begin with a sign too, and are no formulas.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def cell(value):
    """Return a value as the text of a cell that no spreadsheet runs.

    Text that may be a formula gets an apostrophe in front, as spreadsheets have it for text. So
    does text after a semicolon or a tab, at which some spreadsheets split lines.

    Parameters
    ----------
    value : str, int, float, bool or None

    Returns
    -------
    str

    Examples
    --------
    >>> from skimb._command_line._spreadsheet import cell
    >>> cell("=1+1"), cell("-1.5"), cell(-1.5), cell("cat"), cell("a;=1+1")
    ("'=1+1", '-1.5', '-1.5', 'cat', "a;'=1+1")
    """
    if value is None:
        return ""
    text = repr(value) if isinstance(value, float) else str(value)
    text = INSIDE.sub("'", text)
    if text.startswith(FORMULA) and not NUMBER.fullmatch(text):
        return f"'{text}"
    return text


@contextmanager
def writing_csv(path):
    """Let a block write the rows of a CSV file, which is there whole or not at all.

    Parameters
    ----------
    path : Path or None
        The file; None: the standard output.

    Yields
    ------
    callable
        It writes one row, a list of values.
    """
    if path is None:
        yield _writer(sys.stdout)
        return
    path = Path(path)
    if path.exists() and not path.is_file():
        # A device or a pipe.
        with _opened(path, "w") as file:
            yield _writer(file)
        return
    with replacing(path) as temporary, _opened(temporary, "x") as file:
        yield _writer(file)


def _opened(path, mode):
    # Names of files may be no Unicode.
    return path.open(mode, encoding="utf-8", errors="backslashreplace", newline="")


def _writer(file):
    writer = csv.writer(file, lineterminator="\n")
    # Up to Python 3.12, the writer does not quote a carriage return, which ends a line for readers.
    quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)

    def write(row):
        cells = [cell(value) for value in row]
        has_return = any("\r" in text for text in cells)
        (quoting if has_return else writer).writerow(cells)

    return write
