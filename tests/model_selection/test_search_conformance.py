"""scikit-learn's own exam for every estimator of this package."""

import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils.estimator_checks import parametrize_with_checks

from skimb.model_selection import (
    AutoBalanceClassifier,
    BiasCorrectedCalibrator,
    ConformalClassifier,
    ConformalRegressor,
    GuaranteedPrecisionClassifier,
    GuaranteedRecallClassifier,
    LossSearchCV,
    MinimumCostClassifier,
    PriorCorrectedClassifier,
    SpreadCorrectedRegressor,
    TunedOffsetsClassifierCV,
)
from skimb.neural_network import CNNClassifier, DecoupledClassifier

pytestmark = pytest.mark.conformance

STOCHASTIC = (
    "A row of weight 2 and the same row twice fall into different mini-batches: training by "
    "stochastic gradients cannot make the two equal."
)
COUNTED = "The measure of offsets counts each sample once, whatever its weight."
SCORED = "The score of a spread counts each sample once, whatever its weight."
HELD_OUT = (
    "A sample and its copies stand in different folds, one sample of a weight in one of them."
)
OF_TRAINING = "The prior of the training counts each sample once, whatever its weight."
WEIGHTED_ONCE = (
    "The same sample twice is two calibration samples, and one of weight 2 is one: weights are for "
    "the training alone."
)
OF_GUARANTEES = {
    "check_sample_weight_equivalence_on_dense_data": WEIGHTED_ONCE,
    "check_sample_weight_equivalence_on_sparse_data": WEIGHTED_ONCE,
    # scikit-learn says the same of its own classifiers with a threshold.
    "check_classifiers_train": (
        "The guaranteed threshold decides, not the largest probability: three in ten samples of a "
        "class may be missed where no higher recall is promised."
    ),
}
EXPECTED_FAILURES = {
    BiasCorrectedCalibrator: {
        f"check_sample_weight_equivalence_on_{kind}_data": HELD_OUT for kind in ("dense", "sparse")
    },
    AutoBalanceClassifier: {"check_sample_weight_equivalence_on_dense_data": STOCHASTIC},
    GuaranteedPrecisionClassifier: OF_GUARANTEES,
    GuaranteedRecallClassifier: OF_GUARANTEES,
    LossSearchCV: {"check_sample_weight_equivalence_on_dense_data": STOCHASTIC},
    PriorCorrectedClassifier: {
        f"check_sample_weight_equivalence_on_{kind}_data": HELD_OUT for kind in ("dense", "sparse")
    },
    SpreadCorrectedRegressor: {
        f"check_sample_weight_equivalence_on_{kind}_data": SCORED for kind in ("dense", "sparse")
    },
    TunedOffsetsClassifierCV: {"check_sample_weight_equivalence_on_dense_data": COUNTED},
}
#: Networks read no sparse samples.
ON_SPARSE = {"check_sample_weight_equivalence_on_sparse_data": COUNTED}
#: Guarantees that two samples of a class can give: some checks have no more.
MODEST = {"confidence_level": 0.5, "cv": 0.5}
SMALL = DecoupledClassifier(
    CNNClassifier(max_epochs=2, random_state=0), max_epochs=2, random_state=0
)


def expected_failures(estimator):
    if getattr(estimator, "calibration", "some") is None:
        # Nothing is held out.
        if estimator.target_prior == "uniform":
            return {}
        return {
            f"check_sample_weight_equivalence_on_{kind}_data": OF_TRAINING
            for kind in ("dense", "sparse")
        }
    known = EXPECTED_FAILURES.get(type(estimator), {})
    is_offsets = isinstance(estimator, TunedOffsetsClassifierCV)
    is_linear = isinstance(estimator.estimator, LogisticRegression)
    return known | (ON_SPARSE if is_offsets and is_linear else {})


@parametrize_with_checks(
    [
        BiasCorrectedCalibrator(LogisticRegression(), cv=2, random_state=0),
        # A lower level needs fewer samples of each class and range than the checks have.
        ConformalClassifier(LogisticRegression(), confidence_level=0.5, random_state=0),
        ConformalRegressor(Ridge(), confidence_level=0.5, random_state=0),
        LossSearchCV(SMALL, {"class_weight": [None, "sqrt"]}, cv=2),
        MinimumCostClassifier(LogisticRegression(), cost_matrix=None),
        PriorCorrectedClassifier(
            LogisticRegression(), target_prior="uniform", cv=2, random_state=0
        ),
        SpreadCorrectedRegressor(Ridge(), cv=2, random_state=0),
        TunedOffsetsClassifierCV(CNNClassifier(max_epochs=2, random_state=0), random_state=0),
        TunedOffsetsClassifierCV(LogisticRegression(), random_state=0),
        GuaranteedRecallClassifier(LogisticRegression(), random_state=0, **MODEST, recall=0.7),
        GuaranteedPrecisionClassifier(
            LogisticRegression(), random_state=0, **MODEST, precision=0.01, prior=0.5
        ),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.exhaustive
# The data of some checks are too few for a search of AutoBalance, which then says so.
@pytest.mark.filterwarnings("ignore:Fewer than 5 samples of the classes:UserWarning")
@parametrize_with_checks(
    [
        AutoBalanceClassifier(CNNClassifier(max_epochs=2, random_state=0), cv=2, random_state=0),
        BiasCorrectedCalibrator(LogisticRegression(), method="temperature", cv=0.4),
        ConformalClassifier(LogisticRegression(), confidence_level=0.5, cv=2, random_state=0),
        ConformalRegressor(Ridge(), confidence_level=0.5, cv=2, random_state=0),
        MinimumCostClassifier(LogisticRegression(), cost_matrix=None, target_prior="uniform"),
        PriorCorrectedClassifier(LogisticRegression(), target_prior="estimate", calibration=None),
        PriorCorrectedClassifier(LogisticRegression(), target_prior="uniform", calibration=None),
        AutoBalanceClassifier(
            CNNClassifier(max_epochs=2, random_state=0), search="end_to_end", cv=2, random_state=0
        ),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_with_further_parameters(estimator, check):
    check(estimator)
