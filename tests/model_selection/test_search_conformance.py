"""scikit-learn's own exam for every estimator of the room."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skimb.model_selection import AutoBalanceClassifier, LossSearchCV, TunedOffsetsClassifierCV
from skimb.neural_network import CNNClassifier, DecoupledClassifier

pytestmark = pytest.mark.conformance

STOCHASTIC = (
    "A row of weight 2 and the same row twice fall into different mini-batches: training by "
    "stochastic gradients cannot make the two equal."
)
EXPECTED_FAILURES = {
    AutoBalanceClassifier: {"check_sample_weight_equivalence_on_dense_data": STOCHASTIC},
    LossSearchCV: {"check_sample_weight_equivalence_on_dense_data": STOCHASTIC},
    TunedOffsetsClassifierCV: {
        "check_sample_weight_equivalence_on_dense_data": (
            "It gives the folds as `cv`, which is a number of folds here. " + STOCHASTIC
        ),
    },
}
SMALL = DecoupledClassifier(
    CNNClassifier(max_epochs=2, random_state=0), max_epochs=2, random_state=0
)


@parametrize_with_checks(
    [
        AutoBalanceClassifier(CNNClassifier(max_epochs=2, random_state=0), cv=2, random_state=0),
        LossSearchCV(SMALL, {"class_weight": [None, "sqrt"]}, cv=2),
        TunedOffsetsClassifierCV(CNNClassifier(max_epochs=2, random_state=0), random_state=0),
    ],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES.get(type(estimator), {}),
)
def test_scikit_learn(estimator, check):
    check(estimator)
