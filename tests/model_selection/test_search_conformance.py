"""scikit-learn's own exam for every estimator of the room."""

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from skimb.model_selection import LossSearchCV, TunedOffsetsClassifierCV
from skimb.neural_network import CNNClassifier, DecoupledClassifier

pytestmark = pytest.mark.conformance

STOCHASTIC = (
    "A row of weight 2 and the same row twice fall into different mini-batches: training by "
    "stochastic gradients cannot make the two equal."
)
COUNTED = "The measure of offsets counts each sample once, whatever its weight."
EXPECTED_FAILURES = {
    LossSearchCV: {"check_sample_weight_equivalence_on_dense_data": STOCHASTIC},
    TunedOffsetsClassifierCV: {"check_sample_weight_equivalence_on_dense_data": COUNTED},
}
#: Networks read no sparse samples.
ON_SPARSE = {"check_sample_weight_equivalence_on_sparse_data": COUNTED}
SMALL = DecoupledClassifier(
    CNNClassifier(max_epochs=2, random_state=0), max_epochs=2, random_state=0
)


def expected_failures(estimator):
    known = EXPECTED_FAILURES.get(type(estimator), {})
    return known | (ON_SPARSE if isinstance(estimator.estimator, LogisticRegression) else {})


@parametrize_with_checks(
    [
        LossSearchCV(SMALL, {"class_weight": [None, "sqrt"]}, cv=2),
        TunedOffsetsClassifierCV(CNNClassifier(max_epochs=2, random_state=0), random_state=0),
        TunedOffsetsClassifierCV(LogisticRegression(), random_state=0),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn(estimator, check):
    check(estimator)
