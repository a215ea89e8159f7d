"""Errors of a continuous target whose important range is rare."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skimb.metrics import (
    balanced_mean_absolute_error,
    geometric_mean_error,
    prediction_slope,
    sera_score,
    shot_report,
)
from skimb.relevance import LabelDensity, Relevance

TRUE = np.array([1, 2, 2, 3, 3, 3, 4, 4, 5, 12, 20.0])
PREDICTED = np.array([1, 2, 3, 3, 3, 4, 4, 4, 6, 8, 9.0])


def test_sera_is_the_area_under_the_errors_of_the_more_and_more_relevant():
    assert sera_score(TRUE, PREDICTED) == 138
    phi = Relevance().fit(TRUE)(TRUE)
    steps = np.linspace(0, 1, 1001)
    errors = [np.sum((PREDICTED - TRUE)[phi >= t] ** 2) for t in steps]
    # The published code's sum over steps of 0.001.
    assert np.trapezoid(errors, steps) == pytest.approx(138.001, abs=5e-4)


def test_sera_by_the_relevance_of_the_training():
    relevance = Relevance([(0, 0), (10, 1)]).fit(TRUE)
    assert sera_score([5], [7], relevance=relevance) == 2.0
    # Where all is relevant it is the sum of squares.
    everything = Relevance([(0, 1)]).fit(TRUE)
    expected = np.sum((TRUE - PREDICTED) ** 2)
    assert sera_score(TRUE, PREDICTED, relevance=everything) == pytest.approx(expected)


@given(arrays(np.float64, st.integers(1, 50), elements=st.floats(-100, 100)), st.integers(0, 9))
def test_the_balanced_error_is_that_of_a_loop(y, seed):
    predicted = y + np.random.RandomState(seed).normal(size=len(y))
    density = LabelDensity(bins=[-50, 0, 1, 50]).fit(y)
    means = []
    for low, high in ((-np.inf, 0), (0, 1), (1, np.inf)):
        members = (y >= low) & (y < high)
        if members.any():
            means.append(np.abs(predicted - y)[members].mean())
    found = balanced_mean_absolute_error(y, predicted, density=density)
    assert found == pytest.approx(np.mean(means))


def test_hits_do_not_make_the_geometric_mean_vanish():
    assert geometric_mean_error([1, 2, 3], [1, 3, 4]) == pytest.approx(1e-10 ** (1 / 3))
    assert geometric_mean_error([0, 0, 0], [1, 2, 4]) == pytest.approx(2)


def test_shots_are_counted_in_the_training():
    y_train = np.repeat([0.5, 1.5, 2.5, 3.5], [101, 100, 20, 19])
    density = LabelDensity(bins=[0, 1, 2, 3, 4, 5])
    y_true = np.array([0.5, 1.5, 2.5, 3.5, 4.5, 9.0, -1.0])
    report = shot_report(y_true, y_true + 1, y_train=y_train, density=density)
    assert report["n"].to_dict() == {"all": 7, "many": 1, "medium": 2, "few": 1, "zero": 3}
    np.testing.assert_allclose(report[["mae", "mse", "gmean", "bias"]], 1)
    nobody = shot_report([0.5], [0.5], y_train=y_train, density=density)
    assert nobody.loc["few"].isna().tolist() == [False, True, True, True, True]
    assert not hasattr(density, "edges_")
    with pytest.raises(ValueError, match=r"`few` must be at most `many`.*few=30, many=10"):
        shot_report(y_true, y_true, y_train=y_train, many=10, few=30)


def test_a_weighted_report_is_that_of_repeated_rows():
    density = LabelDensity(bins=[0, 2.5, 5, 21])
    y_train = np.repeat([1, 3, 6], [200, 50, 5])
    weight = np.array([1, 2, 0, 3, 1, 0, 2, 1, 1, 4, 0])
    known = {"y_train": y_train, "density": density}
    found = shot_report(TRUE, PREDICTED, sample_weight=weight, **known)
    rows = np.repeat(np.arange(len(TRUE)), weight)
    expected = shot_report(TRUE[rows], PREDICTED[rows], **known)
    pd.testing.assert_frame_equal(found.drop(columns="n"), expected.drop(columns="n"))
    assert found["n"].to_dict() == {"all": 8, "many": 2, "medium": 4, "few": 2, "zero": 0}


@pytest.mark.parametrize("metric", [sera_score, balanced_mean_absolute_error])
def test_rows_of_no_weight_are_not_there(metric):
    # By default bins and relevance are learnt from the rows.
    y, predicted = np.append(TRUE, 1000.0), np.append(PREDICTED, 0.0)
    weight = np.append(np.ones(len(TRUE)), 0)
    assert metric(y, predicted, sample_weight=weight) == metric(TRUE, PREDICTED)


METRICS = {
    "sera": partial(sera_score, relevance=Relevance().fit(TRUE)),
    "balanced": partial(balanced_mean_absolute_error, density=LabelDensity(bins=[0, 2.5, 5, 21])),
    "geometric": geometric_mean_error,
    "slope": prediction_slope,
}


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
@given(weight=arrays(np.int64, len(TRUE), elements=st.integers(0, 3)))
def test_a_weight_is_a_number_of_rows(metric, weight):
    # Two values at least, of one bin or of several.
    weight[[0, 10]] += 1
    repeated = metric(np.repeat(TRUE, weight), np.repeat(PREDICTED, weight))
    assert metric(TRUE, PREDICTED, sample_weight=weight) == pytest.approx(repeated)


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
def test_what_is_wrong_is_said(metric):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        metric(TRUE, PREDICTED[:3])
    with pytest.raises(ValueError, match="y_pred contains NaN"):
        metric(TRUE, np.full(len(TRUE), np.nan))
    with pytest.raises(ValueError, match="Negative values"):
        metric(TRUE, PREDICTED, sample_weight=-TRUE)
    with pytest.raises(ValueError, match="at least one non-zero number"):
        metric(TRUE, PREDICTED, sample_weight=0 * TRUE)


@pytest.mark.parametrize("exponent", [-1000, -600, 600, 1020])
def test_the_slope_of_values_of_any_magnitude_is_that_of_others(exponent):
    y_true, y_pred = np.array([1.0, 2, 3, 7]), np.array([2.5, 3, 3.5, 6])
    found = prediction_slope(np.ldexp(y_true, exponent), np.ldexp(y_pred, exponent))
    assert found == prediction_slope(y_true, y_pred)
