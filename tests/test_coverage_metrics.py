"""Coverage of sets by class, and of intervals by range."""

import numpy as np
import pytest

from skimb.metrics import interval_coverage, set_coverage


def test_set_coverage_is_that_of_a_loop():
    rng = np.random.RandomState(0)
    labels = np.array(["a", "b", "c"])
    y, sets = rng.choice(labels, size=60), rng.rand(60, 3) < 0.6
    report = set_coverage(y, sets)
    for k, label in enumerate(labels):
        own = [row for row, true in zip(sets, y, strict=True) if true == label]
        assert report.loc[label, "support"] == len(own)
        np.testing.assert_allclose(report.loc[label, "coverage"], np.mean([r[k] for r in own]))
        np.testing.assert_allclose(report.loc[label, "set_size"], np.mean([sum(r) for r in own]))


def test_a_class_without_samples_has_a_row_without_numbers():
    report = set_coverage([0, 0], [[True, False], [False, True]], labels=[0, 1])
    assert report["support"].tolist() == [2, 0]
    assert report.loc[0, "coverage"] == 0.5
    assert np.isnan(report.loc[1, ["coverage", "set_size"]]).all()


@pytest.mark.parametrize(
    ("y", "sets", "labels", "message"),
    [
        ([0, 1], [[1, 0], [0, 1]], None, "must hold booleans"),
        ([0, 1], [True, False], None, "must hold booleans"),
        ([0, 1], [[True, False, True]] * 2, None, "3 columns, but there are 2 labels"),
        ([0, 1, 1], [[True, False]] * 2, None, "inconsistent numbers of samples"),
        ([0, 2], [[True, False]] * 2, [0, 1], r"`y_true` holds \[2\]"),
    ],
)
def test_sets_that_do_not_fit_are_refused(y, sets, labels, message):
    with pytest.raises(ValueError, match=message):
        set_coverage(y, sets, labels=labels)


def test_interval_coverage_is_that_of_a_loop():
    rng = np.random.RandomState(0)
    y, low = rng.normal(size=80), rng.normal(size=80) - 1
    ends = np.stack([low, low + rng.uniform(1, 2, size=80)], axis=1)
    report = interval_coverage(y, ends, edges=[-0.5, 1])
    for place, (lower, upper) in enumerate([(-np.inf, -0.5), (-0.5, 1), (1, np.inf)]):
        rows = [i for i in range(80) if lower <= y[i] < upper]
        support, coverage, width = report.iloc[place]
        assert support == len(rows)
        np.testing.assert_allclose(coverage, np.mean([low[i] <= y[i] <= ends[i, 1] for i in rows]))
        np.testing.assert_allclose(width, np.mean([ends[i, 1] - low[i] for i in rows]))
    assert len(interval_coverage(y, ends)) == 1


@pytest.mark.parametrize(
    ("intervals", "edges", "message"),
    [
        ([[0, 1]], [], "inconsistent numbers of samples"),
        ([[0, 1, 2]] * 2, [], "two columns"),
        ([[0, 1]] * 2, [1, 0], "must be finite numbers that increase"),
        ([[0, np.nan]] * 2, [], "NaN"),
        ([[2, 1], [1, 2]], [], r"lower end is above the upper one in 1 of 2 rows; row 0 is \[2"),
    ],
)
def test_intervals_that_do_not_fit_are_refused(intervals, edges, message):
    with pytest.raises(ValueError, match=message):
        interval_coverage([0.5, 1.5], intervals, edges=edges)
