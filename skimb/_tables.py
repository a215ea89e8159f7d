"""Tables of image files and targets: names are text, and numbers are so where they are wanted."""

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

#: What may be read as a number where numbers are asked for; "nan", "inf" and "1_000" may not.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

#: A number that is written as numbers are: "012" and "007" are names.
PLAIN_NUMBER = re.compile(r"[+-]?(?!0\d)(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

#: How packed text is opened, by its ending.
OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}

#: Endings of what is no text; Parquet alone is read.
OTHER_FORMATS = (".xlsx", ".xls", ".xlsm", ".ods", ".json", ".jsonl", ".feather", ".h5", ".zip")

#: What separates columns in files that call themselves CSV, and its name.
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def read_table(path):
    """Read a table: CSV; TSV by its ending (.tsv, .tab, or .txt with tabs); or Parquet.

    Parameters
    ----------
    path : str or Path
        The file. Text must be UTF-8, and may be packed (.gz, .bz2, .xz).

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
            f"{path} cannot be read as a table: {ending} is none of CSV, TSV and Parquet. Save it "
            "as one of them."
        )
    else:
        table = _text(path)
    if not table.n_rows:
        raise ValueError(f"{path} has no rows.")
    return table


class Table:
    """Columns of a table by name.

    Parameters
    ----------
    path : Path
        Where it was read from.
    names : list of str
        Names of the columns.
    columns : list
        As many: lists of str where the file was text, else Series.
    places : list of str or None
        What an error calls each row; None: by its number.
    """

    def __init__(self, path, names, columns, places=None):
        self.path, self.names, self.columns, self.places = path, names, columns, places

    @property
    def is_text(self):
        """Whether the file knows no types."""
        return self.places is not None

    @property
    def n_rows(self):
        """Number of rows."""
        return len(self.columns[0]) if self.columns else 0

    def _place(self, row):
        return f"row {row + 1}" if self.places is None else self.places[row]

    def _find(self, name):
        """Return the cells of a column, whole, as an array; blanks around its name do not count."""
        import pandas as pd

        found = [i for i, known in enumerate(self.names) if known == name] or [
            i for i, known in enumerate(self.names) if str(known).strip() == name.strip()
        ]
        if not found:
            raise ValueError(f"{self.path} has no column {name!r}. It has {self.names}.")
        if len(found) > 1:
            raise ValueError(
                f"{self.path} has {len(found)} columns named {name!r}. Rename them, so that one is "
                "meant."
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
        if is_missing.any():
            raise ValueError(
                f"{is_missing.sum()} of {self.n_rows} rows of {self.path} have no value in "
                f"{name!r}, {self._place(int(is_missing.argmax()))} first. Fill them, or take them "
                "out."
            )
        return cells

    def files(self, name):
        """Return image files, relative ones from the folder of the table.

        Parameters
        ----------
        name : str
            The column.

        Returns
        -------
        list of str
        """
        folder, cells = self.path.parent, self._find(name)
        for row, cell in enumerate(cells):
            if not isinstance(cell, str | int | np.integer) or isinstance(cell, bool):
                raise ValueError(
                    f"The column {name!r} of {self.path} must hold the names of image files. In "
                    f"{self._place(row)} it holds {type(cell).__name__}."
                )
        return [_file(folder, str(cell)) for cell in cells]

    def labels(self, name):
        """Return labels or groups: text as it is written, numbers and booleans where they are such.

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
            If types are mixed, or text differs by the blanks around it alone.
        """
        cells = self._find(name)
        if cells.dtype.kind in "iub":
            return cells
        if cells.dtype.kind == "f":
            # To scikit-learn fractions are no labels.
            return cells.astype(str) if has_fractions(cells) else cells
        kinds = sorted({type(cell).__name__ for cell in cells})
        if kinds in (["bool"], ["int"]):
            return np.array(cells.tolist())
        if cells.dtype.kind == "O" and not all(isinstance(cell, str) for cell in cells):
            raise ValueError(
                f"The column {name!r} of {self.path} holds values of type {', '.join(kinds)}. Give "
                "text, whole numbers or booleans, of one type."
            )
        labels = cells.astype(str)
        known = {}
        for label in np.unique(labels).tolist():
            if known.setdefault(label.strip(), label) != label:
                raise ValueError(
                    f"In the column {name!r} of {self.path}, {known[label.strip()]!r} and "
                    f"{label!r} differ by the blanks around them alone. Write them in one way."
                )
        return labels

    def numbers(self, name):
        """Return numbers.

        Parameters
        ----------
        name : str
            The column.

        Returns
        -------
        ndarray of shape (n_rows,)

        Raises
        ------
        ValueError
            If a cell is no finite number: the first is named, with its line.
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
        more = f" ({len(bad)} such cells)" if len(bad) > 1 else ""
        hint = ""
        if isinstance(cell, str) and NUMBER.fullmatch(cell.strip().replace(",", ".", 1)):
            hint = " Write decimals with a point."
        raise ValueError(
            f"{self._place(int(bad[0]))} of {self.path} holds {_plain(cell)!r} in {name!r}{more}, "
            f"which is no finite number, and regression wants numbers.{hint} Mend it, take the row "
            "out, or say --task classification."
        )

    def is_quantity(self, name):
        """Tell whether a column holds a quantity: fractions, or many different numbers.

        Numbers alone count, written as numbers are: "012" is a name. A column of text in a format
        that has types holds names.

        Parameters
        ----------
        name : str
            The column.

        Returns
        -------
        bool

        Raises
        ------
        ValueError
            If a column of text holds many different numbers, and something else now and then.
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
        if has_many_values(numbers) and 2 * is_plain.sum() > len(cells):
            row = int(is_plain.argmin())
            raise ValueError(
                f"The column {name!r} of {self.path} holds {len(np.unique(numbers))} different "
                f"numbers, but {cells[row]!r} in {self._place(row)}, which is no finite number. "
                "Mend it or take the row out; or say --task classification if these are labels."
            )
        return False


def _plain(cell):
    """Return a cell as Python has it, for a message."""
    return cell.item() if isinstance(cell, np.generic) else cell


def _number(cell):
    """Return the number that a cell holds; NaN: none."""
    if isinstance(cell, str):
        return float(cell) if NUMBER.fullmatch(cell.strip()) else np.nan
    return np.nan


def _file(folder, name):
    """Return where a file is; one that was written with backslashes may be meant with slashes."""
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
            f"{path} cannot be read as a table: Parquet needs another package, pyarrow. Install it "
            "(pip install pyarrow), or save the table as CSV."
        ) from exc
    # Engines raise errors of their own.
    except Exception as exc:
        raise ValueError(f"{path} cannot be read as a table: {exc}") from exc
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
        raise ValueError(f"{path} cannot be read as a table: it is empty.")
    header = rows[0]
    for separator, name in SEPARATORS.items():
        if len(header) == 1 and separator in header[0]:
            raise ValueError(
                f"{path} has one column, {header[0]!r}: its cells look separated by {name}. Save "
                f"it with commas{', or name it .tsv' if name == 'tabs' else ''}; decimals are "
                "written with a point."
            )
    for row, place in zip(rows[1:], places[1:], strict=True):
        if any(row[len(header) :]):
            raise ValueError(
                f"{path} cannot be read as a table: {place} has {len(row)} cells, and the header "
                f"{len(header)}. Put cells that hold a comma in double quotes."
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
