"""Decisions of wrappers as numbers: offsets, thresholds and costs, and rules that are refused."""

import numpy as np
import pytest
from scipy.special import log_softmax

from skimb.model_selection import DecisionRule


@pytest.fixture
def log_proba():
    return log_softmax(2 * np.random.RandomState(0).randn(200, 3), axis=1)


def test_an_empty_rule_changes_nothing(log_proba):
    rule = DecisionRule()
    assert rule.log_probabilities(log_proba) is log_proba
    np.testing.assert_array_equal(rule.decide(log_proba), log_proba.argmax(axis=1))


def test_an_offset_moves_the_prior_and_the_decision(log_proba):
    offsets = np.log([0.2, 0.3, 0.5])
    moved = np.exp(log_proba) * np.exp(offsets)
    moved /= moved.sum(axis=1, keepdims=True)
    rule = DecisionRule(log_offsets=offsets)
    np.testing.assert_allclose(np.exp(rule.log_probabilities(log_proba)), moved)
    np.testing.assert_array_equal(rule.decide(log_proba), moved.argmax(axis=1))


def test_offsets_may_be_for_decisions_alone(log_proba):
    rule = DecisionRule(log_offsets=[0, 0, 3], changes_probabilities=False)
    assert rule.log_probabilities(log_proba) is log_proba
    np.testing.assert_array_equal(
        rule.decide(log_proba), np.add(log_proba, [0, 0, 3]).argmax(axis=1)
    )


@pytest.mark.parametrize("positive", [0, 1, 2])
def test_a_threshold_chooses_between_the_positive_class_and_the_best_other(log_proba, positive):
    rule = DecisionRule(threshold=0.2, positive=positive)
    others = log_proba.copy()
    others[:, positive] = -np.inf
    wanted = np.where(np.exp(log_proba[:, positive]) >= 0.2, positive, others.argmax(axis=1))
    np.testing.assert_array_equal(rule.decide(log_proba), wanted)


def test_a_threshold_of_log_odds_is_that_of_the_probability(log_proba):
    by_odds = DecisionRule(threshold=np.log(0.2 / 0.8), score="log_odds", positive=2)
    by_probability = DecisionRule(threshold=0.2, positive=2)
    np.testing.assert_array_equal(by_odds.decide(log_proba), by_probability.decide(log_proba))


def test_a_score_at_the_threshold_is_positive():
    half = np.log([[0.5, 0.5]])
    assert DecisionRule(threshold=0.5).decide(half) == 1
    assert DecisionRule(threshold=0.5, positive=0).decide(half) == 0


def test_costs_choose_the_class_of_the_least_expected_cost(log_proba):
    cost = np.array([[0, 1, 5], [2, 0, 1], [9, 9, 0]])
    expected = np.exp(log_proba) @ cost
    decided = DecisionRule(cost_matrix=cost).decide(log_proba)
    np.testing.assert_array_equal(decided, expected.argmin(axis=1))


def test_scores_are_minus_the_costs_from_the_cheapest_decision_of_each_true_class(log_proba):
    cost = np.array([[-2, 1, 5], [2, 1e9, 1e9 + 1], [9, 9, 3]])
    relative = np.array([[0, 3, 7], [0, 1e9 - 2, 1e9 - 1], [6, 6, 0]])
    found = DecisionRule(cost_matrix=cost).scores(log_proba)
    np.testing.assert_allclose(found, -np.exp(log_proba) @ relative, rtol=1e-12)


def test_decisions_of_equal_expected_cost_have_the_same_score():
    # 0.1 * 6 and 0.3 * 2 differ in float64.
    log_proba = np.log([[0.1, 0.3, 0.6]])
    cost = np.array([[6, 0, 9], [0, 2, 9], [0, 0, 9]])
    assert 0.1 * 6 != 0.3 * 2
    scores = DecisionRule(cost_matrix=cost).scores(log_proba)
    assert scores[0, 0] == scores[0, 1] > scores[0, 2]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"log_offsets": [[1, 2]]}, "shape"),
        ({"log_offsets": [1, np.inf]}, "finite"),
        ({"cost_matrix": np.zeros((2, 3))}, "shape"),
        ({"threshold": np.nan}, "nan"),
        ({"threshold": 0.5, "cost_matrix": np.zeros((2, 2))}, "one of them"),
        ({"score": "margin"}, "log_odds"),
    ],
    ids=["offsets", "infinite", "costs", "nan", "both", "score"],
)
def test_a_rule_that_makes_no_sense_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        DecisionRule(**parameters)


def test_a_rule_for_other_classes_is_refused():
    for rule in (
        DecisionRule(log_offsets=[0, 1, 2]),
        DecisionRule(cost_matrix=np.zeros((3, 3))),
        DecisionRule(threshold=0.5, positive=2),
    ):
        rule.check(3)
        with pytest.raises(ValueError, match="classes"):
            rule.check(2)
