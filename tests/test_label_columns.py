"""Frames of probabilities are read by their labels, and labels of mixed types are named."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from skimb.metrics import (
    calibration_scoring,
    classwise_calibration_error,
    cost_scoring,
    expected_calibration_error,
    expected_cost,
    net_benefit,
    per_class_report,
    set_coverage,
)

CLASSES = ["common", "mid", "rare"]


def drawn(n=400):
    rng = np.random.default_rng(0)
    proba = rng.dirichlet([6, 2, 1], size=n)
    y = np.array(CLASSES)[(rng.random((n, 1)) > proba.cumsum(axis=1)).sum(axis=1).clip(max=2)]
    return y, proba, pd.DataFrame(proba, columns=CLASSES)[["rare", "mid", "common"]]


def test_calibration_errors_read_a_frame_by_the_labels_of_its_columns():
    y, proba, frame = drawn()
    for error in (expected_calibration_error, classwise_calibration_error):
        assert error(y, frame) == error(y, proba)
        assert error(y, frame, labels=CLASSES) == error(y, proba)
    errors = classwise_calibration_error(y, proba, average=None)
    given = classwise_calibration_error(y, frame, labels=["rare", "common", "mid"], average=None)
    np.testing.assert_array_equal(given, errors[[2, 0, 1]])
    # The columns name a class that y lacks.
    is_here = y != "rare"
    assert len(classwise_calibration_error(y[is_here], frame[is_here], average=None)) == 3


def test_a_frame_of_polars_is_read_by_the_labels_of_its_columns():
    polars = pytest.importorskip("polars")
    y, proba, frame = drawn()
    given = polars.DataFrame({name: frame[name].to_numpy() for name in frame})
    assert expected_calibration_error(y, given) == expected_calibration_error(y, proba)


def test_sets_and_net_benefits_read_a_frame_by_the_labels_of_its_columns():
    y, proba, frame = drawn()
    pd.testing.assert_frame_equal(set_coverage(y, frame > 0.2), set_coverage(y, proba > 0.2))
    pd.testing.assert_frame_equal(
        net_benefit(y, frame, [0.1, 0.3], label="rare"),
        net_benefit(y, proba[:, 2], [0.1, 0.3], label="rare"),
    )
    with pytest.raises(ValueError, match=r"`y_proba` has no column 'rare'"):
        net_benefit(y, frame[["mid"]], [0.1], label="rare")


@pytest.mark.parametrize("columns", [[0, 1, 2], ["common", "mid", "mid"], ["rare", "mid", "odd"]])
def test_a_frame_whose_columns_are_not_the_labels_is_refused(columns):
    y, proba, _ = drawn()
    frame = pd.DataFrame(proba, columns=columns)
    message = r"columns of .*`y_proba`"
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(y, frame, labels=CLASSES)
    with pytest.raises(ValueError, match=message if columns[0] != "common" else "y_proba"):
        classwise_calibration_error(y, frame)
    with pytest.raises(ValueError, match=r"columns of the frame `sets` must be the labels"):
        set_coverage(y, frame > 0.2, labels=CLASSES)


def test_labels_of_mixed_types_are_named():
    mixed = r"text or numbers, and not both: `y_true` holds \['a', 'b'\], and `y_pred` holds \[0, 1"
    for y_true in (["a", "b"], np.array(["a", "b"], dtype=object)):
        with pytest.raises(ValueError, match=mixed):
            expected_cost(y_true, [0, 1], cost_matrix=None)
        with pytest.raises(ValueError, match=mixed):
            per_class_report(y_true, [0, 1])
    # NumPy would take 1 and "1" for equal.
    with pytest.raises(ValueError, match=r"labels hold \['0', '1'\], for which there are no costs"):
        expected_cost(["0", "1"], [0, 1], labels=[0, 1], cost_matrix=None)
    with pytest.raises(ValueError, match=r"`y_true` holds \['0', '1'\], which `labels` lacks"):
        set_coverage(["0", "1"], [[True, False]] * 2, labels=[0, 1])
    with pytest.raises(ValueError, match=r"`y_true` holds \['0', '1'\], but the labels"):
        expected_calibration_error(["0", "1"], [0.1, 0.2], labels=[0, 1])


def test_scorers_name_labels_of_mixed_types():
    X = np.arange(6.0)[:, None]
    y = np.array([0, 0, 0, 1, 1, 1])
    clf = LogisticRegression().fit(X, y.astype(str))
    with pytest.raises(ValueError, match=r"labels hold \['0', '1'\]"):
        cost_scoring(y, cost_matrix=None)(clf, X, y)
    for name in ("neg_log_loss", "neg_classwise_calibration_error"):
        with pytest.raises(ValueError, match=r"`classes_` holds \['0', '1'\]"):
            calibration_scoring(y)[name](clf, X, y)


def test_true_and_false_are_the_numbers_1_and_0():
    y = np.array([True, False])
    assert expected_cost(y, [1, 1], cost_matrix=None) == 0.5
    assert set_coverage(y, [[True, False]] * 2, labels=[0, 1])["coverage"].tolist() == [1, 0]
    assert expected_calibration_error(y, [1.0, 0.0], labels=[0, 1], debias=False) == 0
