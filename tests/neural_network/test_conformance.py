"""scikit-learn's own exam for every estimator of the room."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skimb.neural_network import (
    CNNClassifier,
    CNNEmbedder,
    CNNRegressor,
    DecoupledClassifier,
)

pytestmark = pytest.mark.conformance

STOCHASTIC = (
    "A row of weight 2 and the same row twice fall into different mini-batches: training by "
    "stochastic gradients cannot make the two equal."
)
EXPECTED_FAILURES = {
    "CNNClassifier": {"check_sample_weight_equivalence_on_dense_data": STOCHASTIC},
    "CNNEmbedder": {"check_sample_weight_equivalence_on_dense_data": STOCHASTIC},
    "CNNRegressor": {"check_sample_weight_equivalence_on_dense_data": STOCHASTIC},
    "DecoupledClassifier": {"check_sample_weight_equivalence_on_dense_data": STOCHASTIC},
}


def expected_failures(estimator):
    return EXPECTED_FAILURES[type(estimator).__name__]


@parametrize_with_checks(
    [
        CNNClassifier(max_epochs=20, random_state=0),
        CNNRegressor(max_epochs=20, random_state=0),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.exhaustive
@pytest.mark.slow
@parametrize_with_checks(
    [
        CNNEmbedder(CNNClassifier(max_epochs=2, random_state=0)),
        DecoupledClassifier(CNNClassifier(max_epochs=20), max_epochs=10, random_state=0),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_of_estimators_around_a_network(estimator, check):
    check(estimator)
