"""Relevance and density of continuous targets."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skimb.relevance import (
    LabelDensity,
    Relevance,
    compute_target_weight,
    fit_relevance,
    fit_target_weight,
    relevance_bumps,
)

SKEWED = [1, 2, 2, 3, 3, 3, 4, 4, 5, 12, 20]
COUNTS = [100, 40, 10, 2, 0, 1]
AGES = np.repeat(np.arange(6), COUNTS) + 0.5


def test_points_of_the_box_plot():
    phi = Relevance().fit(SKEWED)
    np.testing.assert_array_equal(phi.points_, [(1, 0), (3, 0), (5, 1)])
    np.testing.assert_allclose(phi(SKEWED), [0, 0, 0, 0, 0, 0, 0.5, 0.5, 1, 1, 1])
    np.testing.assert_allclose(phi([3.5, 4, 4.5]), [0.15625, 0.5, 0.84375])


def test_the_low_end_mirrors_the_high_one():
    phi, mirrored = Relevance().fit(SKEWED), Relevance().fit(np.negative(SKEWED))
    values = np.linspace(-1, 21, 45)
    np.testing.assert_allclose(mirrored(-values), phi(values))


def test_both_ends():
    y = [-20, *range(1, 12), 40]
    phi = Relevance().fit(y)
    np.testing.assert_array_equal(phi.points_, [(1, 1), (6, 0), (11, 1)])
    assert Relevance(extremes="high").fit(y)([-20])[0] == 0
    assert Relevance(extremes="low").fit(y)([40])[0] == 0


def test_given_points_hold_whatever_y_is():
    phi = Relevance([(0, 1), (10, 0.2), (20, 0.6)]).fit([5, 5, 5])
    np.testing.assert_allclose(phi([-9, 0, 5, 10, 15, 20, 99]), [1, 1, 0.6, 0.2, 0.4, 0.6, 0.6])


def test_a_median_on_the_whisker():
    phi = Relevance().fit([0] * 20 + [5, 9])
    np.testing.assert_array_equal(phi([-3, 0, 2.5, 5, 9]), [0, 0, 0.5, 1, 1])
    np.testing.assert_array_equal(Relevance([(2, 0.3)]).fit([1])([0, 9]), [0.3, 0.3])


@pytest.mark.parametrize(
    ("relevance", "y", "message"),
    [
        (Relevance(), [1, 2, 3], "No value of y lies beyond the whiskers"),
        (Relevance(extremes="low"), SKEWED, "No value of y lies beyond the whiskers"),
        (Relevance(), [1, np.nan], "NaN"),
        (Relevance([(1, 0), (1, 1)]), SKEWED, "values increasing"),
        (Relevance([(1, 0), (2, 3)]), SKEWED, r"relevance in \[0, 1\]"),
        (Relevance([[1, 0], [2]]), SKEWED, r"must be pairs.*Got \[\[1, 0\], \[2\]\]"),
        (Relevance(np.empty((0, 2))), SKEWED, "must be pairs"),
        (Relevance(coef=0), SKEWED, "'coef' parameter"),
    ],
)
def test_what_is_wrong_is_said(relevance, y, message):
    with pytest.raises(ValueError, match=message):
        relevance.fit(y)


def test_a_relevance_wants_points_or_a_target_first():
    with pytest.raises(ValueError, match="has not seen a target"):
        Relevance()([1.0])
    np.testing.assert_array_equal(Relevance([(0, 0), (2, 1)])([-1, 1, 3]), [0, 0.5, 1])
    with pytest.raises(TypeError, match=r"must be a Relevance, a function.*Got 3"):
        fit_relevance(3, SKEWED)


@given(arrays(np.float64, st.integers(5, 40), elements=st.floats(-1e6, 1e6, allow_subnormal=False)))
def test_relevance_lies_between_0_and_1_and_falls_towards_the_median(y):
    try:
        phi = Relevance().fit(y)
    except ValueError:
        return
    values = np.sort(y)
    found = phi(values)
    assert np.all((found >= 0) & (found <= 1))
    median = np.median(y)
    assert np.all(np.diff(found[values <= median]) <= 1e-9)
    assert np.all(np.diff(found[values >= median]) >= -1e-9)


# ------------------------------------------------------------------------------ density


def test_counts_of_any_floats():
    density = LabelDensity(bins=[-1.0, 0.0, 0.5, 2.0]).fit([-0.5, -3.0, 0.0, 0.4, 2.0, 9.0])
    np.testing.assert_array_equal(density.counts_, [2, 2, 2])


@pytest.mark.parametrize(
    ("kernel", "size", "sigma", "expected"),
    [
        ("gaussian", 5, 2.0, [0.60653066, 0.8824969, 1, 0.8824969, 0.60653066]),
        ("gaussian", 9, 1.0, [3.3546e-4, 0.011109, 0.13533528, 0.60653066, 1]),
        ("triangular", 5, 2.0, [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3]),
        ("laplace", 5, 2.0, [0.36787944, 0.60653066, 1, 0.60653066, 0.36787944]),
        ("dir", 5, 2.0, [0.85828524, 0.94582765, 1, 0.94582765, 0.85828524]),
        ("dir", 5, 1.0, [0.14644428, 0.60686612, 1, 0.60686612, 0.14644428]),
        ("dir", 9, 1.0, [3.3546e-4, 0.011109, 0.13533528, 0.60653066, 1]),
    ],
)
def test_kernels_have_their_names_shapes(kernel, size, sigma, expected):
    density = LabelDensity(bins=11, kernel=kernel, kernel_size=size, sigma=sigma)
    found = density.smoothed(np.eye(11)[5])[5 - size // 2 :]
    np.testing.assert_allclose(found[: len(expected)], expected, rtol=1e-4)


def test_smoothing_is_that_of_a_loop():
    rng = np.random.RandomState(0)
    values = rng.rand(12)
    density = LabelDensity(kernel_size=7, sigma=1.5)
    expected = [
        sum(
            values[j] * np.exp(-((i - j) ** 2) / (2 * 1.5**2)) for j in range(12) if abs(i - j) <= 3
        )
        for i in range(12)
    ]
    np.testing.assert_allclose(density.smoothed(values), expected)


def test_means_by_bin():
    density = LabelDensity(bins=[0, 1, 2, 3, 4]).fit([0.5])
    y, values = [-9.0, 0.5, 1.5, 3.5], np.array([1.0, 3.0, 5.0, 7.0])
    np.testing.assert_array_equal(density.means(y, values), [2, 5, np.nan, 7])
    weighted = density.means(y, values, sample_weight=np.array([3.0, 1.0, 2.0, 0.0]))
    np.testing.assert_array_equal(weighted, [1.5, 5, np.nan, np.nan])


@pytest.mark.parametrize("edges", [[0, 1, 2], (0, 1, 2), pd.Series([0, 1, 2]), pd.Index([0, 1, 2])])
def test_edges_in_any_container(edges):
    assert LabelDensity(bins=edges).fit([0.5, 0.6, 1.5]).counts_.tolist() == [2, 1]
    with pytest.raises(ValueError, match="edges that increase"):
        LabelDensity(bins=[0, np.nan, 2]).fit([0.5])


def test_weights_are_settled():
    density = LabelDensity(bins=4)
    weigh = fit_target_weight("inverse", AGES, density=density)
    before = weigh(AGES)
    # What the density is used for afterwards does not matter.
    density.fit(100 * AGES)
    compute_target_weight("inverse", 100 * AGES, density=density)
    np.testing.assert_array_equal(weigh(AGES), before)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(weigh))(AGES), before)


def test_bounds_of_weights():
    density = LabelDensity(bins=np.arange(7), kernel=None)
    free = fit_target_weight("inverse", AGES, density=density, clip=None)
    # 100, 40, 10, 2, 0 and 1 rows: five bins with the same weight altogether.
    expected = 153 / 5 / np.array([100, 40, 10, 2, 1, 1])
    np.testing.assert_allclose(free(np.arange(6) + 0.5), expected)
    for clip in ((10, 0.1), (-1, 2), 5.0, (1, 2, 3), ("a", "b"), (0, np.nan)):
        with pytest.raises(ValueError, match="`clip` must be None or two numbers"):
            compute_target_weight("inverse", AGES, clip=clip)


def test_golden_weights():
    density = LabelDensity(bins=np.arange(7), kernel=None)
    rows = np.cumsum([0, 100, 40, 10, 2])
    found = compute_target_weight("sqrt", AGES, density=density)
    expected = [0.69859675, 1.10457845, 2.20915691, 4.93982501, 6.98596753]
    np.testing.assert_allclose(found[rows], expected, rtol=1e-7)


def test_golden_weights_of_deep_imbalanced_regression():
    density = LabelDensity(bins=np.arange(7), kernel="dir").fit(AGES)
    np.testing.assert_allclose(
        density.smoothed(np.sqrt(density.counts_)),
        [18.69607552, 19.98760008, 19.06467162, 10.69174091, 4.99756617, 2.21379862],
    )
    np.testing.assert_allclose(
        density.smoothed(np.clip(density.counts_, 5, 1000)),
        [146.41595834, 148.33246759, 142.68219418, 57.81025044, 23.04112887, 14.02056443],
    )
    found = compute_target_weight("lds", AGES, density=density)
    np.testing.assert_allclose(
        found[np.cumsum([0, 100, 40, 10, 2])],
        [0.96126934, 0.89915568, 0.94268417, 1.68092028, 8.11815671],
    )


def test_smoothed_weights_are_those_of_a_loop():
    density = LabelDensity(bins=np.arange(7))
    found = compute_target_weight("lds", AGES, density=density, clip=(0, np.inf))
    kernel = np.exp(-(np.arange(-2, 3) ** 2) / 8)
    smooth = [
        sum(kernel[j - i + 2] * np.sqrt(COUNTS[j]) for j in range(6) if abs(i - j) <= 2)
        for i in range(6)
    ]
    weight = 1 / np.array(smooth)[AGES.astype(int)]
    np.testing.assert_allclose(found, weight / weight.mean())


@pytest.mark.slow
@given(arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e9, 1e9)))
def test_weights_have_mean_1_whatever_the_target(y):
    for scheme in (None, "inverse", "sqrt", "lds"):
        weight = compute_target_weight(scheme, y)
        assert np.isclose(weight.mean(), 1)
        assert np.all(weight > 0)


def test_rare_values_weigh_more_and_not_beyond_the_clip():
    y = np.r_[np.zeros(1000), 5.0]
    weight = compute_target_weight("inverse", y)
    assert weight[-1] / weight[0] == pytest.approx(10 / 0.5, rel=0.1)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"kernel_size": 4}, "must be odd"),
        ({"bins": [1, 1, 2]}, "edges that increase"),
        ({"bins": 0}, "'bins' parameter"),
        ({"kernel": "box"}, "'kernel' parameter"),
    ],
)
def test_a_density_that_is_none(params, message):
    with pytest.raises(ValueError, match=message):
        LabelDensity(**params).fit([1.0, 2.0])


def test_schemes_that_nobody_knows():
    with pytest.raises(ValueError, match="`scheme` must be"):
        compute_target_weight("cubic", [1.0])


# ------------------------------------------------------------------------------ bumps


def test_bumps_are_cut_where_the_relevance_crosses_the_threshold():
    y = np.array([5.0, -3.0, 0.0, 9.0, 0.5, -9.0, 4.0])
    phi = Relevance([(-4, 1), (0, 0), (4, 1)])
    bump, is_rare = relevance_bumps(y, relevance=phi)
    assert bump.tolist() == [2, 0, 1, 2, 1, 0, 2]
    assert is_rare.tolist() == [True, False, True]


@given(
    st.lists(st.floats(-100, 100), min_size=1, max_size=40),
    st.floats(0.05, 0.95),
)
def test_bumps_are_runs_of_sorted_rows_of_one_kind(values, threshold):
    y = np.array(values)
    phi = Relevance([(-50, 1), (0, 0), (50, 1)]).fit(y)
    bump, is_rare = relevance_bumps(y, relevance=phi, threshold=threshold)
    np.testing.assert_array_equal(is_rare[bump], phi(y) >= threshold)
    assert np.all(np.diff(bump[np.argsort(y, kind="stable")]) >= 0)
    assert np.all(is_rare[1:] != is_rare[:-1])
    assert set(bump) == set(range(len(is_rare)))


@pytest.mark.parametrize("values", [lambda y: y, lambda y: y[:1] * 0, lambda y: y * np.nan])
def test_a_relevance_of_ones_own_must_give_numbers_between_zero_and_one(values):
    with pytest.raises(ValueError, match=r"must give a number in \[0, 1\] for each value"):
        fit_relevance(values, [2.0, 3.0])([2.0, 3.0])


def test_a_relevance_is_fitted_on_the_target_that_is_given_and_left_alone():
    given_one = Relevance()
    phi = fit_relevance(given_one, [1, 2, 2, 3, 3, 3, 4, 4, 5, 12, 20])
    assert not hasattr(given_one, "points_")
    np.testing.assert_allclose(phi([4.0]), [0.5])


def test_weights_as_a_function_are_the_weights():
    y = np.random.RandomState(0).gamma(2, size=200)
    for scheme in (None, "inverse", "sqrt", "lds"):
        weight = fit_target_weight(scheme, y)
        np.testing.assert_allclose(weight(y), compute_target_weight(scheme, y))
        assert np.all(np.isfinite(weight(np.array([-5.0, 50.0]))))
