"""The cost of decisions at a deployment, from predictions alone."""

import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from skimb.model_selection import MinimumCostClassifier
from skimb.study import deployment_of

LABELS = np.array(["cat", "dog"])
COUNTS = np.array([10, 90])
THREE = np.array(["a", "b", "c"])


def _cats(**given):
    return deployment_of(LABELS, COUNTS, **given)


def test_costs_are_those_computed_by_hand():
    made = _cats(deploy={"cat": 0.08}, costs={"miss": 10, "alarm": 1})
    # One of two cats is missed, one of four dogs is called a cat.
    cost = made.cost([0, 0, 1, 1, 1, 1], [0, 1, 1, 1, 1, 0])
    assert cost == pytest.approx(1000 * (0.08 * 0.5 * 10 + 0.92 * 0.25 * 1))
    np.testing.assert_allclose(made.constant_costs(), [920, 800])


def test_unnamed_classes_share_the_remainder_by_their_training_fractions():
    made = deployment_of(THREE, np.array([10, 30, 60]), deploy={"a": 0.1})
    np.testing.assert_allclose(made.prior, [0.1, 0.3, 0.6])
    np.testing.assert_array_equal(made.cost_matrix, 1 - np.eye(3))


def test_costs_by_label_are_read_for_three_classes():
    frame = pd.DataFrame(np.arange(9).reshape(3, 3), index=THREE, columns=THREE)
    made = deployment_of(THREE, np.ones(3), costs=frame.iloc[::-1])
    np.testing.assert_array_equal(made.cost_matrix, frame)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"deploy": {"cow": 0.1}}, "labels that y does not hold"),
        ({"deploy": {"cat": 1.2}}, "between 0 and 1"),
        ({"deploy": {"cat": 0.5, "dog": 0.6}}, "must sum to 1"),
        ({"deploy": "cat=8%"}, "must be a dict, or a Series"),
        ({"deploy": pd.Series(dtype=float)}, "must be a dict, or a Series"),
        ({"costs": {"miss": 10}}, "must have 'miss' and 'alarm'"),
        ({"costs": {"miss": -1, "alarm": 1}}, "positive"),
    ],
)
def test_a_deployment_that_does_not_fit_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        _cats(**given)


def test_fractions_that_leave_nothing_and_misses_of_three_classes_are_refused():
    with pytest.raises(ValueError, match="leaves nothing"):
        deployment_of(THREE, np.ones(3), deploy={"a": 0.5, "b": 0.5})
    with pytest.raises(ValueError, match="two classes"):
        deployment_of(THREE, np.ones(3), costs={"miss": 10, "alarm": 1})


def test_decisions_are_those_of_minimum_cost_classifier():
    rng = np.random.default_rng(0)
    y = np.repeat(LABELS, [40, 160])
    X = rng.normal(size=(200, 1)) + (y == "cat")[:, None]
    fitted = LogisticRegression().fit(X, y)
    made = deployment_of(LABELS, [40, 160], deploy={"cat": 0.05}, costs={"miss": 7, "alarm": 1})
    reference = MinimumCostClassifier(
        FrozenEstimator(fitted),
        cost_matrix=made.cost_matrix,
        target_prior={"cat": 0.05, "dog": 0.95},
    ).fit(X, y)
    decided = made.decide(fitted.predict_log_proba(X), prior=[0.2, 0.8])
    assert len(set(decided)) == 2
    np.testing.assert_array_equal(LABELS[decided], reference.predict(X))
