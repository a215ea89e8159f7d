"""The cost of each decision, read from arrays, frames and dicts."""

import numpy as np
import pandas as pd
import pytest

from skimb._cost_matrix import read_cost_matrix

CLASSES = np.array(["bird", "cat", "dog"])
COSTS = np.array([[0.0, 2.0, 3.0], [4.0, -1.0, 5.0], [6.0, 7.0, 0.0]])
FRAME = pd.DataFrame(COSTS, index=CLASSES, columns=CLASSES)
DICT = {
    true: {label: COSTS[i, j] for j, label in enumerate(CLASSES)} for i, true in enumerate(CLASSES)
}


@pytest.mark.parametrize(
    "given",
    [COSTS, COSTS.tolist(), COSTS.astype(object), np.asfortranarray(COSTS), FRAME, DICT],
    ids=["array", "list", "objects", "columns first", "frame", "dict"],
)
def test_all_forms_hold_the_true_class_in_rows_and_the_predicted_one_in_columns(given):
    read = read_cost_matrix(given, CLASSES)
    np.testing.assert_array_equal(read, COSTS)
    assert read.dtype == np.float64
    assert read is not given


def test_a_frame_and_a_dict_are_read_by_labels_in_any_order():
    order = ["dog", "bird", "cat"]
    np.testing.assert_array_equal(read_cost_matrix(FRAME.loc[order, order[::-1]], CLASSES), COSTS)
    turned = {true: {label: DICT[true][label] for label in order} for true in reversed(order)}
    np.testing.assert_array_equal(read_cost_matrix(turned, CLASSES), COSTS)
    np.testing.assert_array_equal(read_cost_matrix(FRAME.T.to_dict(), CLASSES), COSTS)


def test_a_frame_of_polars_has_its_true_labels_in_the_first_column():
    polars = pytest.importorskip("polars")
    columns = {"true": ["dog", "bird", "cat"]}
    given = polars.DataFrame(columns | {c: FRAME.loc[columns["true"], c].tolist() for c in CLASSES})
    np.testing.assert_array_equal(read_cost_matrix(given, CLASSES), COSTS)
    np.testing.assert_array_equal(read_cost_matrix(given.to_arrow(), CLASSES), COSTS)
    with pytest.raises(ValueError, match="must have the true labels in its first column"):
        read_cost_matrix(given["cat"], CLASSES)


@pytest.mark.parametrize(
    "classes", [np.array([1, 5]), np.array([False, True])], ids=["int", "bool"]
)
def test_text_of_a_file_stands_for_the_labels_that_are_written_so(classes):
    a, b = map(str, classes)
    frame = pd.DataFrame([[0, 8], [3, 0]], index=classes[::-1], columns=[a, b])
    np.testing.assert_array_equal(read_cost_matrix(frame, classes), [[3, 0], [0, 8]])
    read = read_cost_matrix({a: {b: 8}, b: {a: 3}}, classes)
    np.testing.assert_array_equal(read, [[0, 8], [3, 0]])
    np.testing.assert_array_equal(read, read_cost_matrix({classes[0]: {b: 8}, b: {a: 3}}, classes))


def test_none_is_a_cost_of_one_for_each_error():
    np.testing.assert_array_equal(read_cost_matrix(None, [0, 1, 2]), 1 - np.eye(3))
    np.testing.assert_array_equal(read_cost_matrix(None, [7]), [[0]])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (COSTS[:2], r"must have shape \(3, 3\) for the 3 classes .* Got shape \(2, 3\)"),
        (COSTS[0], r"Got shape \(3,\)"),
        (5, r"Got shape \(\)"),
        ([[0, 1, 1], [1, 0], [1, 1, 0]], "must hold one number for each"),
        ("high", "must hold one number for each"),
        (COSTS.astype(str), "must hold one number for each"),
        ([[0, "1", 1]] * 3, "must hold one number for each"),
        (COSTS * 1j, "must hold one number for each"),
        ([[0, 10**400, 1]] * 3, "must hold one number for each"),
        (np.ma.masked_greater(COSTS, 6), "must hold one number for each"),
        (np.where(COSTS == 5, np.nan, COSTS), "Got nan for predicting 'dog' where 'cat' is true"),
        (np.where(COSTS == 2, np.inf, COSTS), "Give a large number for a decision that must not"),
        (FRAME.replace(6, pd.NA), "Got nan for predicting 'bird' where 'dog' is true"),
        (np.ones((3, 3)), "makes no difference between decisions"),
        (np.arange(3)[:, None] + np.zeros((3, 3)), "makes no difference between decisions"),
        (FRAME.drop(index="cat"), r"index of `cost_matrix`.* Missing: \['cat'\]"),
        (FRAME.drop(columns="cat"), r"columns of `cost_matrix`.* Missing: \['cat'\]"),
        (FRAME.rename(index={"cat": "cow"}), r"Unknown: \['cow'\]. The labels are \['bird', 'cat'"),
        (FRAME.reset_index(drop=True), r"the index .* Unknown: \[0, 1, 2\]"),
        (FRAME.iloc[[0, 1, 1, 2]], r"the index .* Twice: \['cat'\]"),
        (FRAME.iloc[:, [0, 1, 2, 2]], r"the columns .* Twice: \['dog'\]"),
        ({**DICT, "cow": {}}, r"the keys .* Unknown: \['cow'\]"),
        ({**DICT, "cat": {"dog": 1}}, r"`cost_matrix\['cat'\]` .* Missing: \['bird'\]"),
        ({**DICT, "cat": 3}, r"must hold \{true: \{predicted: cost\}\}. Got 3 for 'cat'"),
        ({}, r"Missing: \['bird', 'cat', 'dog'\]"),
    ],
)
def test_what_is_no_cost_matrix_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        read_cost_matrix(given, CLASSES)
