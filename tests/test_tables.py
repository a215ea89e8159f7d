"""Tables of images: names are text, and numbers are so where they are wanted."""

import gzip
import json
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skimb.__main__ import main
from skimb._quantities import MOST_LABELS
from skimb._tables import read_table


def written(folder, text, name="t.csv", encoding="utf-8"):
    (folder / name).write_bytes(text.encode(encoding))
    return read_table(folder / name)


def column(folder, cells, **kwargs):
    return written(folder, "\n".join(["y,file", *(f"{cell},0.png" for cell in cells)]), **kwargs)


@pytest.mark.parametrize(
    "labels",
    [
        ["012", "007"],
        ["01", "1"],
        ["1e3", "1000"],
        ["NA", "None", "null", "n/a", "nan"],
        ["inf", "-inf", "1"],
        ["True", "False"],
        ["1.0", "1"],
        ["0x10", "1_000"],
    ],
)
def test_labels_are_text_as_it_is_written(labels, tmp_path):
    table = column(tmp_path, labels * 3)
    assert table.labels("y").tolist() == labels * 3
    assert table.labels("y").dtype.kind == "U"
    assert not table.is_quantity("y")


def test_file_names_are_text(tmp_path):
    table = written(tmp_path, "file,y\n0001,a\n1e3,b\n")
    assert table.files("file") == [str(tmp_path / "0001"), str(tmp_path / "1e3")]


@pytest.mark.parametrize("cell", ["", '""', "  "])
def test_empty_cells_alone_are_missing(cell, tmp_path):
    table = column(tmp_path, ["None", cell, "NA"])
    with pytest.raises(ValueError, match=r"1 of 3 rows of .* no value in 'y'; the first is line 3"):
        table.labels("y")


MANY = [str(i) for i in range(MOST_LABELS + 1)]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["0.5", "1"], True),
        (["1e-3", "2"], True),
        (MANY, True),
        (MANY[1:], False),
        ([f"{i:03}" for i in range(40)], False),
        ([f"p{i}" for i in range(40)], False),
        (["1", "2", "NA"], False),
    ],
)
def test_a_quantity_is_told_by_fractions_or_many_numbers(cells, expected, tmp_path):
    assert column(tmp_path, cells).is_quantity("y") is expected


@pytest.mark.parametrize("cell", ["NA", "inf", "nan", "1_000", "n/a", "1e999", '"1,5"', "12 kg"])
def test_a_cell_that_is_no_number_is_named_with_its_line(cell, tmp_path):
    table = column(tmp_path, ["1.5", cell, *MANY])
    with pytest.raises(ValueError, match=r"^line 3 of .* holds '.*' in 'y', which is not a finite"):
        table.numbers("y")
    if cell != "1e999":
        with pytest.raises(ValueError, match=r"in line 3, which is not .*--task classification"):
            table.is_quantity("y")


@pytest.mark.parametrize("cells", [['"0,5"', '"1,25"'], ["1", '"1,5"', "2"], ['"-,5"', "0.5"]])
def test_decimals_after_a_comma_are_no_labels(cells, tmp_path):
    table = column(tmp_path, cells)
    with pytest.raises(ValueError, match=r"not a finite number\. Write decimals with a point"):
        table.is_quantity("y")
    # Unless they are said to be.
    assert len(table.labels("y")) == len(cells)


def test_numbers_that_are_asked_for_may_have_zeros_in_front(tmp_path):
    table = column(tmp_path, ["007", " 1.5 ", "-2e2", ".5", "+3."])
    assert table.numbers("y").tolist() == [7, 1.5, -200, 0.5, 3]


def test_lines_count_through_quoted_newlines_and_empty_lines(tmp_path):
    table = written(tmp_path, 'note,y,file\n"two\nlines",1.5,a\n\n"x, y",oops,b\n')
    with pytest.raises(ValueError, match="line 5 of"):
        table.numbers("y")
    assert table.labels("note").tolist() == ["two\nlines", "x, y"]


def test_text_in_other_shapes(tmp_path):
    expected = ["01", "1"]
    for text, name in (
        ("\ufefffile,y\r\na,01\r\nb,1\r\n", "bom.csv"),
        ("file\ty\na\t01\nb\t1\n", "t.tsv"),
        ("file\ty\na\t01\nb\t1\n", "t.txt"),
        ("file,y\na,01\nb,1\n", "commas.txt"),
        (" file , y \na,01\nb,1\n", "blanks.csv"),
        ("file,y\na,01,\nb,1,\n", "trailing.csv"),
    ):
        assert written(tmp_path, text, name).labels("y").tolist() == expected
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"file,y\na,01\nb,1\n"))
    assert read_table(tmp_path / "t.csv.gz").labels("y").tolist() == expected


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("file;y\na;1,5\n", "t.csv", "separated by semicolons. Save it with commas"),
        ("file\ty\na\t1\n", "t.csv", "separated by tabs.*name it .tsv"),
        ("file,y\na,b,c\n", "t.csv", "line 2 has 3 cells, but the header has 2"),
        ('file,y\na,"b\n', "t.csv", "cannot be read as a table"),
        ("file,y\n", "t.csv", "has no rows"),
        ("", "t.csv", "it is empty"),
        ("{}", "t.json", "is not CSV, TSV or Parquet"),
    ],
)
def test_text_that_is_no_table_is_refused(text, name, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        written(tmp_path, text, name)


def test_text_in_another_encoding_is_refused(tmp_path):
    for encoding in ("utf-16", "latin-1"):
        with pytest.raises(ValueError, match=r"not UTF-8 text\. Save it as UTF-8"):
            written(tmp_path, "file,y\na,caf\xe9\n", encoding=encoding)


def test_columns_and_labels_that_are_two_in_one_are_refused(tmp_path):
    table = written(tmp_path, "file,y,y\na,cat,1\nb,cat ,2\n")
    with pytest.raises(ValueError, match="2 columns named 'y'"):
        table.labels("y")
    table = written(tmp_path, "file,y\na,cat\nb,cat \n")
    with pytest.raises(ValueError, match="'cat' and 'cat ' differ only by the blanks"):
        table.labels("y")


def test_paths_may_be_absolute_or_windows(tmp_path):
    (tmp_path / "img").mkdir()
    (tmp_path / "img" / "1.png").touch()
    table = written(tmp_path, f"file,y\nimg\\1.png,a\n{tmp_path}/img/1.png,b\nno\\such.png,c\n")
    there = str(tmp_path / "img" / "1.png")
    assert table.files("file")[:2] == [there, there]
    if sys.platform != "win32":
        assert table.files("file")[2].endswith("no\\such.png")


# ------------------------------------------------------------------------- tables with types


@pytest.fixture
def parquet(tmp_path, monkeypatch):
    """Return a table as an engine would read it from Parquet."""

    def read(**columns):
        monkeypatch.setattr(pd, "read_parquet", lambda path: pd.DataFrame(columns))
        return read_table(tmp_path / "t.parquet")

    return read


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 0, 1], [1, 0, 1]),
        ([True, False, True], [True, False, True]),
        (["012", "12", "NA"], ["012", "12", "NA"]),
        (pd.Categorical(["b", "a", "b"]), ["b", "a", "b"]),
        (pd.Categorical([3, 1, 3]), [3, 1, 3]),
        (pd.array([1, 0, 1], dtype="Int64"), [1, 0, 1]),
        (pd.array([True, False, True], dtype="boolean"), [True, False, True]),
        ([1.5, 2.5, 1.5], ["1.5", "2.5", "1.5"]),
    ],
)
def test_types_are_kept(values, expected, parquet):
    labels = parquet(y=values).labels("y")
    assert labels.tolist() == expected
    assert type(labels.tolist()[0]) is type(expected[0])


def test_text_with_types_is_never_a_quantity(parquet):
    assert not parquet(y=[f"{i}.5" for i in range(40)]).is_quantity("y")
    assert parquet(y=np.arange(40)).is_quantity("y")
    assert parquet(y=np.arange(3) / 2).is_quantity("y")
    assert not parquet(y=[True, False]).is_quantity("y")


@pytest.mark.parametrize("values", [["a", None], ["a", " "], pd.array([1, None], dtype="Int64")])
def test_missing_values_with_types_are_told(values, parquet):
    with pytest.raises(ValueError, match=r"1 of 2 rows of .*; the first is row 2"):
        parquet(y=values).labels("y")


def test_a_named_index_of_pandas_is_a_column(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "t.parquet"
    pd.DataFrame({"file": ["a", "b"], "y": [1, 2]}).set_index("file").to_parquet(path)
    assert read_table(path).files("file") == [str(tmp_path / "a"), str(tmp_path / "b")]


def test_decimals_are_numbers(parquet):
    table = parquet(y=np.array([Decimal("1.50"), Decimal("2")], dtype=object))
    assert table.numbers("y").tolist() == [1.5, 2]
    assert table.is_quantity("y")


def test_mixed_types_are_refused(parquet):
    with pytest.raises(ValueError, match=r"type int, str\. Give text"):
        parquet(y=np.array([1, "1"], dtype=object)).labels("y")
    with pytest.raises(ValueError, match=r"row 2 of .* holds inf"):
        parquet(y=[1.0, np.inf]).numbers("y")
    with pytest.raises(ValueError, match="must hold the names of image files"):
        parquet(file=[b"1", b"2"]).files("file")


def test_parquet_without_an_engine_says_so(tmp_path, monkeypatch):
    def read(path):
        raise ImportError("Unable to find a usable engine")

    monkeypatch.setattr(pd, "read_parquet", read)
    with pytest.raises(ValueError, match="pip install pyarrow"):
        read_table(tmp_path / "t.parquet")


# ------------------------------------------------------------------------- the whole way


@pytest.fixture
def images(tmp_path):
    rng = np.random.RandomState(0)
    for i in range(12):
        pixels = rng.randint(0, 100, size=(8, 8)) + 100 * (i % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{i:03}.png")
    return tmp_path


QUICK = ["--image-column", "file", "--target", "y", "--strategies", "none", "--epochs", "1"]


def rows(labels, groups=None):
    groups = range(12) if groups is None else groups
    lines = [
        f"{i:03}.png,{labels[i % 2]},{group}" for i, group in zip(range(12), groups, strict=True)
    ]
    return "\n".join(["file,y,group", *lines])


@pytest.mark.slow
@pytest.mark.parametrize("labels", [("012", "12"), ("None", "NA"), ("1e3", "1000")])
def test_labels_of_a_table_reach_the_figures_as_text(labels, images, capsys):
    (images / "t.csv").write_text(rows(labels))
    files = ["--json", str(images / "r.json")]
    assert main(["compare", str(images / "t.csv"), *QUICK, "--folds", "2", *files]) == 0
    figures = json.loads((images / "r.json").read_text())
    assert figures["classes"] == sorted(labels)
    assert figures["protocol"]["class_counts"] == dict.fromkeys(labels, 6)


def test_two_tables_must_agree_in_types(images, parquet, capsys):
    (images / "t.csv").write_text(rows(("0", "1")))
    names = [f"{i:03}.png" for i in range(12)]
    frame = {"file": names, "y": [0, 1] * 6, "group": range(100, 112)}
    parquet(**frame)
    (images / "test.parquet").touch()
    test = ["--test", str(images / "test.parquet")]
    assert main(["compare", str(images / "t.csv"), *QUICK, *test]) == 1
    assert "'y' holds text in" in capsys.readouterr().err
    parquet(**(frame | {"y": ["0", "1"] * 6}))
    assert main(["compare", str(images / "t.csv"), *QUICK, *test, "--group", "group"]) == 1
    assert "'group' holds text in" in capsys.readouterr().err
    parquet(**(frame | {"y": ["0", "1"] * 6, "group": [str(i) for i in range(5, 17)]}))
    assert main(["compare", str(images / "t.csv"), *QUICK, *test, "--group", "group"]) == 1
    assert "7 values of 'group', '10' first" in capsys.readouterr().err
