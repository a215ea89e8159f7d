"""Tables of image files and targets. Names are text; numbers are parsed where they are wanted."""

import bz2
import csv
import gzip
import lzma
import os
import re
from decimal import Decimal
from pathlib import Path

import numpy as np

from skimb._quantities import has_fractions, has_many_values, is_quantity

__all__ = ["Table", "read_table"]

#: Text that is read as a number where numbers are asked for; "nan", "inf" and "1_000" are not.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

#: Text that is written as a number is; "012" and "007" are names.
PLAIN_NUMBER = re.compile(r"[+-]?(?!0\d)(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

#: A number whose decimals follow a comma, as spreadsheets of many languages write it.
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+", re.ASCII)

#: Functions that open compressed text, by the ending of the file.
OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}

#: Endings of formats that are not text and are not read; of such formats, only Parquet is.
OTHER_FORMATS = (".xlsx", ".xls", ".xlsm", ".ods", ".json", ".jsonl", ".feather", ".h5", ".zip")

#: Other separators in files that call themselves CSV, and their names.
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def read_table(path):
    """Read a table from a CSV, TSV (.tsv, .tab, or .txt with tabs) or Parquet file.

    Parameters
    ----------
    path : str or Path
        The file. Text must be UTF-8, and may be compressed (.gz, .bz2, .xz).

    Returns
    -------
    Table

    Raises
    ------
    ValueError
        If it cannot be read as a table, or has no rows.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending in (".parquet", ".pq"):
        table = _parquet(path)
    elif ending in OTHER_FORMATS:
        raise ValueError(
            f"{path} cannot be read as a table: {ending} is not CSV, TSV or Parquet. Save the table"
            " in one of these formats."
        )
    else:
        table = _text(path)
    if not table.n_rows:
        raise ValueError(f"{path} has no rows. Give a table with at least one row.")
    return table


class Table:
    """The columns of a table, which are found by their names.

    Parameters
    ----------
    path : Path
        The file that the table was read from.
    names : list of str
        Names of the columns.
    columns : list
        The columns: lists of str where the file was text, otherwise Series.
    places : list of str or None
        The name of each row in error messages; None: rows are named by their number.
    """

    def __init__(self, path, names, columns, places=None):
        self.path, self.names, self.columns, self.places = path, names, columns, places

    @property
    def is_text(self):
        """Whether the file is text, without types."""
        return self.places is not None

    @property
    def n_rows(self):
        """Number of rows."""
        return len(self.columns[0]) if self.columns else 0

    def _place(self, row):
        return f"row {row + 1}" if self.places is None else self.places[row]

    def _find(self, name):
        """Return all cells of a column as an array, none of which may be missing."""
        cells, is_missing = self._look_up(name)
        if is_missing.any():
            raise ValueError(
                f"{is_missing.sum()} of {self.n_rows} rows of {self.path} have no value in "
                f"{name!r}; the first is {self._place(int(is_missing.argmax()))}. Fill in the "
                "values, or remove the rows."
            )
        return cells

    def _look_up(self, name):
        """Return all cells of a column, and which are missing; its name is stripped of blanks."""
        import pandas as pd

        found = [i for i, known in enumerate(self.names) if known == name] or [
            i for i, known in enumerate(self.names) if str(known).strip() == name.strip()
        ]
        if not found:
            raise ValueError(
                f"{self.path} has no column {name!r}. It has the columns {self.names}. Give one of "
                "these."
            )
        if len(found) > 1:
            raise ValueError(
                f"{self.path} has {len(found)} columns named {name!r}. Rename them, so that the "
                "name belongs to one column."
            )
        column = self.columns[found[0]]
        if self.is_text:
            cells = np.array(column, dtype=object)
            is_missing = np.zeros(len(cells), dtype=bool)
        else:
            # Copies: those of pandas are read-only.
            is_category = isinstance(column.dtype, pd.CategoricalDtype)
            cells = np.array(column) if is_category else column.to_numpy(copy=True)
            is_missing = column.isna().to_numpy(dtype=bool, copy=True)
        if cells.dtype.kind == "O" and all(isinstance(cell, Decimal) for cell in cells):
            cells = cells.astype(np.float64)
        if cells.dtype.kind == "O":
            is_missing |= [isinstance(cell, str) and not cell.strip() for cell in cells]
        return cells, is_missing

    def files(self, name, *, may_lack=False):
        """Return image files; relative paths start from the folder of the table.

        Parameters
        ----------
        name : str
            The column.
        may_lack : bool, default=False
            Whether cells may be missing, which are empty names then.

        Returns
        -------
        list of str
        """
        folder = self.path.parent
        if may_lack:
            cells, is_missing = self._look_up(name)
            cells = np.where(is_missing, "", cells.astype(object))
        else:
            cells = self._find(name)
        for row, cell in enumerate(cells):
            if not isinstance(cell, str | int | np.integer) or isinstance(cell, bool):
                raise ValueError(
                    f"The column {name!r} of {self.path} must hold the names of image files. In "
                    f"{self._place(row)} it holds {type(cell).__name__}."
                )
        return [_file(folder, str(cell)) if cell != "" else "" for cell in cells]

    def labels(self, name):
        """Return labels or groups: text as it is written, and typed numbers and booleans as such.

        Parameters
        ----------
        name : str
            The column.

        Returns
        -------
        ndarray of shape (n_rows,)
            Of str, of numbers or of bool.

        Raises
        ------
        ValueError
            If types are mixed, or texts differ only by the blanks around them.
        """
        cells = self._find(name)
        if cells.dtype.kind in "iub":
            return cells
        if cells.dtype.kind == "f":
            # scikit-learn does not take fractions as labels.
            return cells.astype(str) if has_fractions(cells) else cells
        kinds = sorted({type(cell).__name__ for cell in cells})
        if kinds in (["bool"], ["int"]):
            return np.array(cells.tolist())
        if cells.dtype.kind == "O" and not all(isinstance(cell, str) for cell in cells):
            raise ValueError(
                f"The column {name!r} of {self.path} holds values of type {', '.join(kinds)}. Give "
                "text, whole numbers or booleans, all of one type."
            )
        labels = cells.astype(str)
        known = {}
        for label in np.unique(labels).tolist():
            if known.setdefault(label.strip(), label) != label:
                raise ValueError(
                    f"In the column {name!r} of {self.path}, {known[label.strip()]!r} and "
                    f"{label!r} differ only by the blanks around them. Write them in the same way."
                )
        return labels

    def numbers(self, name, *, advice="give --task classification"):
        """Return numbers.

        Parameters
        ----------
        name : str
            The column.
        advice : str, default="give --task classification"
            What to do where the column holds labels, which ends the error message.

        Returns
        -------
        ndarray of shape (n_rows,)

        Raises
        ------
        ValueError
            If a cell is not a finite number; the message names the first one, with its line.
        """
        cells = self._find(name)
        if cells.dtype.kind in "iuf":
            numbers = cells
            bad = np.flatnonzero(~np.isfinite(cells))
        else:
            numbers = np.array([_number(cell) for cell in cells])
            bad = np.flatnonzero(~np.isfinite(numbers))
        if not len(bad):
            return numbers
        cell = cells[bad[0]]
        more = f" ({len(bad)} such cells in all)" if len(bad) > 1 else ""
        hint = ""
        if isinstance(cell, str) and NUMBER.fullmatch(cell.strip().replace(",", ".", 1)):
            hint = " Write decimals with a point (1.5)."
        raise ValueError(
            f"{self._place(int(bad[0]))} of {self.path} holds {_plain(cell)!r} in {name!r}{more}, "
            f"which is not a finite number, and regression needs numbers.{hint} Fix the cell, "
            f"remove the row, or {advice}."
        )

    def is_quantity(self, name, *, advice="; or give --task classification if these are labels"):
        """Tell whether a column holds a quantity: fractions, or many different numbers.

        Every cell must be a number, written as numbers are ("012" is a name). In a file with types
        (Parquet), a column of text always holds names.

        Parameters
        ----------
        name : str
            The column.
        advice : str, default="; or give --task classification if these are labels"
            What else to do where the column cannot be told, which ends the error message.

        Returns
        -------
        bool

        Raises
        ------
        ValueError
            If a column of text holds many different numbers, and a few other values; or numbers
            whose decimals follow a comma.
        """
        cells = self._find(name)
        if cells.dtype.kind in "iuf":
            return is_quantity(cells)
        if not self.is_text:
            return False
        is_plain = np.array([bool(PLAIN_NUMBER.fullmatch(cell.strip())) for cell in cells])
        numbers = np.array([_number(cell) for cell in cells[is_plain]])
        if is_plain.all():
            return is_quantity(numbers)
        if all(DECIMAL_COMMA.fullmatch(cell.strip()) for cell in cells[~is_plain]):
            row = int(is_plain.argmin())
            raise ValueError(
                f"The column {name!r} of {self.path} holds {cells[row]!r} in {self._place(row)}, "
                f"which is not a finite number. Write decimals with a point (1.5){advice}."
            )
        if has_many_values(numbers) and 2 * is_plain.sum() > len(cells):
            row = int(is_plain.argmin())
            raise ValueError(
                f"The column {name!r} of {self.path} holds {len(np.unique(numbers))} different "
                f"numbers, but {cells[row]!r} in {self._place(row)}, which is not a finite number. "
                f"Fix the cell or remove the row{advice}."
            )
        return False


def _plain(cell):
    """Return a cell as a Python object, for a message."""
    return cell.item() if isinstance(cell, np.generic) else cell


def _number(cell):
    """Return the number that a cell holds, or NaN where it holds none."""
    if isinstance(cell, str):
        return float(cell) if NUMBER.fullmatch(cell.strip()) else np.nan
    return np.nan


def _file(folder, name):
    """Return the path of a file; where it does not exist, backslashes are tried as slashes."""
    path = folder / name
    if "\\" in name and os.sep == "/" and not os.path.exists(path):
        other = folder / name.replace("\\", "/")
        if os.path.exists(other):
            return str(other)
    return str(path)


def _parquet(path):
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except ImportError as exc:
        raise ValueError(
            f"{path} cannot be read as a table: Parquet needs the package pyarrow. Install it "
            "(pip install pyarrow), or save the table as CSV."
        ) from exc
    # Engines raise errors of their own.
    except Exception as exc:
        raise ValueError(f"{path} cannot be read as a table: {exc}") from exc
    if any(name is not None for name in frame.index.names):
        # pandas has stored a column as its index.
        frame = frame.reset_index()
    return Table(path, list(frame.columns), [frame.iloc[:, i] for i in range(frame.shape[1])])


def _text(path):
    opener = OPENERS.get(path.suffix.lower(), open)
    ending = path.suffix.lower() if opener is open else Path(path.stem).suffix.lower()
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            has_tabs = ending in (".tsv", ".tab") or (ending == ".txt" and "\t" in first)
            file.seek(0)
            rows, places = _rows(csv.reader(file, delimiter="\t" if has_tabs else ",", strict=True))
    except UnicodeDecodeError as exc:
        raise ValueError(
            f"{path} cannot be read as a table: it is not UTF-8 text. Save it as UTF-8."
        ) from exc
    except (OSError, EOFError, lzma.LZMAError, csv.Error, ValueError) as exc:
        raise ValueError(f"{path} cannot be read as a table: {exc}") from exc
    if not rows:
        raise ValueError(
            f"{path} cannot be read as a table: it is empty. Give a file with a header and rows."
        )
    header = rows[0]
    for separator, name in SEPARATORS.items():
        if len(header) == 1 and separator in header[0]:
            raise ValueError(
                f"{path} has one column, {header[0]!r}: its cells seem to be separated by {name}. "
                f"Save it with commas{', or name it .tsv' if name == 'tabs' else ''}, and with a "
                "point in decimals."
            )
    for row, place in zip(rows[1:], places[1:], strict=True):
        if any(row[len(header) :]):
            raise ValueError(
                f"{path} cannot be read as a table: {place} has {len(row)} cells, but the header "
                f"has {len(header)}. Put cells that hold a comma in double quotes."
            )
    n_columns = len(header)
    padded = [row[:n_columns] + [""] * (n_columns - len(row)) for row in rows[1:]]
    columns = [[row[i] for row in padded] for i in range(n_columns)]
    return Table(path, header, columns, places[1:])


def _rows(reader):
    """Return the rows that are not empty, and the line at which each starts."""
    rows, places, line = [], [], 1
    for row in reader:
        if row:
            rows.append(row)
            places.append(f"line {line}")
        line = reader.line_num + 1
    return rows, places
