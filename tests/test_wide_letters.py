"""Tables of a terminal stand in line where letters take two cells, as those of East Asia do."""

import unicodedata

import numpy as np
import pytest

from skimb._drawn_text import cells_of, left_aligned
from skimb.neural_network import CNNClassifier
from skimb.study import ClassificationEvaluation
from skimb.study._comparison_text import table_lines

#: Labels of as many cells as letters, and of twice as many.
NARROW, WIDE = ["leaf", "rust"], ["葉", "さび"]


def ends(lines):
    """Return where each line ends, in cells."""
    return {
        sum(2 if unicodedata.east_asian_width(char) == "W" else 1 for char in line)
        for line in lines
    }


@pytest.mark.parametrize(
    ("text", "n_cells"), [("", 0), ("leaf", 4), ("葉っぱ", 6), ("ab葉", 4), ("cafe\u0301", 4)]
)
def test_cells_of_a_text(text, n_cells):
    assert cells_of(text) == n_cells
    assert cells_of(left_aligned(text, 9)) == 9


@pytest.mark.parametrize("labels", [NARROW, WIDE])
def test_rows_of_a_comparison_end_in_one_column(labels):
    lines = table_lines(labels, {"mean": ["0.5", "0.6"], "recall": ["0.25", "0.75"]}, "名前の列")
    assert len(lines) == 3
    assert len(ends(lines)) == 1


@pytest.mark.parametrize("labels", [NARROW, WIDE])
def test_rows_of_an_evaluation_end_in_one_column(labels):
    truth = np.repeat(labels, [30, 10])
    found = ClassificationEvaluation(truth, truth[::-1], classes=labels, minority=labels[1])
    lines = str(found).splitlines()
    matrix = lines.index("true classes in rows, predicted ones in columns") + 1
    assert len(ends(lines[matrix : matrix + 3])) == 1
    assert len(ends(found.table_text().splitlines())) == 1


@pytest.mark.parametrize("labels", [NARROW, WIDE])
def test_rows_of_a_training_summary_end_in_one_column(labels):
    X = np.random.default_rng(0).random((40, 4, 4))
    clf = CNNClassifier("linear", max_epochs=1, batch_size=40, random_state=0)
    summary = clf.fit(X, np.repeat(labels, [30, 10])).training_summary()
    assert len(ends(str(summary).splitlines()[-3:])) == 1
