"""The parts that samplers are made of, each on its own: size rules, pairs, plans, points."""

from functools import partial

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from skimb import neural_network, over_sampling, under_sampling
from skimb._neighbor_pairs import choose_pairs
from skimb._points import Points
from skimb._range_sizes import EVEN, OVER, UNDER
from skimb.over_sampling._range_plans import plan_synthesis
from skimb.over_sampling._row_makers import ArrayRows

SAMPLERS = [
    getattr(module, name)
    for module in (over_sampling, under_sampling, neural_network)
    for name in module.__all__
    if hasattr(getattr(module, name), "fit_resample")
]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.__name__)
def test_a_sampler_stands_on_one_template_of_skimb(sampler):
    ours = [base.__name__ for base in sampler.__mro__ if base.__module__.startswith("skimb")]
    assert ours[1:] in (["ImageSampler"], ["RelevanceResampler"])


# ------------------------------------------------------------------------- sizes of ranges


@pytest.mark.parametrize(
    ("rule", "strategy", "expected"),
    [
        # Rare: 4 and 16 samples; normal: 60 and 20, 40 on average.
        (OVER, "balance", [60, 4 + 40, 20, 16 + 40]),
        (OVER, "extreme", [60, 4 + 400, 20, 16 + 100]),
        (OVER, 2.0, [60, 8, 20, 32]),
        (OVER, [2.0, 1.5], [60, 8, 20, 24]),
        (UNDER, "balance", [10, 4, 10, 16]),
        (UNDER, "extreme", [2, 4, 5, 16]),
        (UNDER, 0.5, [30, 4, 10, 16]),
        (UNDER, [0.5, 0.001], [30, 4, 1, 16]),
        (EVEN, "balance", [25, 25, 25, 25]),
        (EVEN, 3.0, [60, 12, 20, 48]),
        (EVEN, [0.5, 2.0, 1.0, 0.25], [30, 8, 20, 4]),
    ],
)
def test_a_rule_gives_the_sizes_that_its_strategy_names(rule, strategy, expected):
    before, is_rare = np.array([60, 4, 20, 16]), np.array([False, True, False, True])
    assert rule.sizes_after(strategy, before, is_rare, name="It").tolist() == expected


@pytest.mark.parametrize(
    ("rule", "strategy"), [(OVER, 0.5), (UNDER, 1.5), (EVEN, [1.0, 2.0]), (OVER, ["many"])]
)
def test_factors_that_a_rule_cannot_apply_are_refused_by_name(rule, strategy):
    with pytest.raises(ValueError, match=r"`sampling_strategy` must .* It"):
        rule.sizes_after(strategy, np.array([60, 4, 16]), np.array([False, True, True]), name="It")


# ------------------------------------------------------------------------- pairs in a class


def test_pairs_are_neighbours_by_the_points_that_are_handed_in():
    y = np.repeat(["many", "few"], [6, 6])
    # The few stand in three pairs, far from one another.
    positions = np.r_[np.zeros(6), 0, 1, 100, 101, 200, 201]
    pairs = choose_pairs(
        y,
        {"few": 20},
        lambda: lambda members: positions[members, np.newaxis],
        k_neighbors=1,
        random_state=0,
        name="It",
    )
    assert pairs.parents.shape == (20, 2)
    assert np.all(np.abs(np.diff(positions[pairs.parents], axis=1)) == 1)
    assert np.all(pairs.labels == "few")
    assert np.all((pairs.gaps >= 0) & (pairs.gaps <= 1))
    np.testing.assert_array_equal(pairs.sample_indices(12), np.r_[:12, pairs.parents[:, 0]])


def test_where_no_class_grows_no_points_are_fitted():
    def fit_points():
        raise AssertionError("Nothing is to be made.")

    y = np.array([0, 1, 1])
    pairs = choose_pairs(y, {0: 0}, fit_points, k_neighbors=1, random_state=0, name="It")
    assert pairs.parents.shape == (0, 2)
    assert pairs.labels.dtype == y.dtype


# ------------------------------------------------------------------------- plans of ranges


def test_a_plan_of_ranges_takes_any_recipe():
    """One from outside: each new sample lies halfway between its seed and the first member."""

    def halfway(members, seeds, rng):
        return np.zeros_like(seeds), np.full(len(seeds), 0.5), np.zeros(len(seeds))

    X = np.arange(10.0)[:, np.newaxis]
    target, range_of = np.arange(10.0), np.repeat([0, 1], [7, 3])
    plan = plan_synthesis(
        target, range_of, np.array([5, 6]), lambda: halfway, random_state=0, name="It"
    )
    assert len(plan.kept) == 5 + 3
    assert sorted(plan.parents.tolist()) == [[7, 7], [8, 7], [9, 7]]
    rows, values = plan.applied(ArrayRows(X), target, target, lazy=False)
    np.testing.assert_array_equal(rows[:, 0], values)
    assert sorted(values[8:]) == [7, 7.5, 8]
    lazy, _ = plan.applied(ArrayRows(X), target, target, lazy=True)
    np.testing.assert_array_equal(lazy, rows)


def test_where_no_range_grows_no_recipe_is_fitted():
    def fit_recipe():
        raise AssertionError("Nothing is to be made.")

    plan = plan_synthesis(
        np.arange(4.0),
        np.array([0, 0, 1, 1]),
        np.array([1, 2]),
        fit_recipe,
        random_state=0,
        name="",
    )
    assert len(plan.sample_indices) == 3


# ------------------------------------------------------------------------- points


class Doubled(BaseEstimator):
    """A transformer that remembers nothing but that it was fitted."""

    def fit(self, X, y=None):
        self.n_seen_ = len(X)
        return self

    def transform(self, X):
        return 2.0 * np.asarray(X).reshape(len(X), -1)


def test_points_are_the_values_or_what_a_clone_of_the_embedder_makes_of_them():
    X, embedder = np.arange(8, dtype=np.uint8).reshape(4, 1, 2), Doubled()
    fit = partial(Points.fit, X, np.zeros(4), random_state=0)
    as_they_are, embedded = fit(embedder=None), fit(embedder=embedder)
    np.testing.assert_array_equal(as_they_are([3, 0]), [[6, 7], [0, 1]])
    np.testing.assert_array_equal(embedded([3, 0]), [[12, 14], [0, 2]])
    assert embedded().shape == (4, 2)
    assert as_they_are.embedder is None
    assert embedded.embedder.n_seen_ == 4
    assert not hasattr(embedder, "n_seen_")
