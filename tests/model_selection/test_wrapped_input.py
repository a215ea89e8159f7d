"""Input that all wrappers refuse or warn of in the same way."""

import inspect
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import RandomOverSampler
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from skimb.model_selection import (
    AutoBalanceClassifier,
    BiasCorrectedCalibrator,
    ConformalClassifier,
    ConformalRegressor,
    GuaranteedPrecisionClassifier,
    GuaranteedRecallClassifier,
    MinimumCostClassifier,
    PriorCorrectedClassifier,
    TunedOffsetsClassifierCV,
)
from skimb.neural_network import CNNClassifier

WRAPPERS = {
    "sets": ConformalClassifier,
    "recall": GuaranteedRecallClassifier,
    "precision": lambda estimator: GuaranteedPrecisionClassifier(estimator, precision=0.2),
    "calibration": BiasCorrectedCalibrator,
    "prior": lambda estimator: PriorCorrectedClassifier(estimator, target_prior="uniform"),
    "costs": lambda estimator: MinimumCostClassifier(estimator, cost_matrix=[[0, 1], [5, 0]]),
    "offsets": TunedOffsetsClassifierCV,
}


class Untrainable(ClassifierMixin, BaseEstimator):
    """It must not be trained."""

    def fit(self, X, y, sample_weight=None):
        raise AssertionError("The input was to be refused before any training.")

    def predict_proba(self, X):
        raise AssertionError


def data(n=600):
    rng = np.random.default_rng(0)
    y = (rng.random(n) < 0.3).astype(int)
    return rng.normal(size=(n, 1)) + 1.2 * y[:, None], y


@pytest.mark.parametrize("kind", WRAPPERS)
def test_a_frozen_classifier_that_is_not_fitted_is_named_so(kind):
    with pytest.raises(NotFittedError, match=r"LogisticRegression|FrozenEstimator"):
        WRAPPERS[kind](FrozenEstimator(LogisticRegression())).fit(*data())


@pytest.mark.parametrize("kind", WRAPPERS)
def test_negative_weights_are_refused_before_any_training(kind):
    X, y = data()
    with pytest.raises(ValueError, match=r"Negative values .*sample_weight"):
        WRAPPERS[kind](Untrainable()).fit(X, y, sample_weight=np.full(len(y), -1.0))


@pytest.mark.parametrize("kind", WRAPPERS)
def test_a_classifier_without_probabilities_is_refused_with_the_way_to_get_them(kind):
    with pytest.raises(ValueError, match=r"(?s)LinearSVC, needs a CalibratedClassifierCV"):
        WRAPPERS[kind](LinearSVC()).fit(*data())


def line_of_warning(fit):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit()
    (one,) = [w for w in caught if issubclass(w.category, DataConversionWarning)]
    return one.filename, one.lineno


@pytest.mark.parametrize(
    "kind",
    [
        *WRAPPERS,
        "regressor",
        pytest.param("network", marks=pytest.mark.slow),
        pytest.param("balance", marks=pytest.mark.slow),
    ],
)
def test_a_column_as_y_is_warned_of_at_the_line_of_the_user(kind):
    X, y = data()
    estimator = LogisticRegression()
    if kind == "regressor":
        model = ConformalRegressor(LinearRegression(), ranges=1)
    elif kind in ("network", "balance"):
        X = np.tile(X[:60].reshape(-1, 1, 1), (1, 4, 4))
        y = y[:60]
        model = CNNClassifier("linear", max_epochs=1)
        if kind == "balance":
            model = AutoBalanceClassifier(model, cv=2)
    else:
        model = WRAPPERS[kind](estimator)
    frame: Any = inspect.currentframe()
    line = frame.f_lineno + 1
    assert line_of_warning(lambda: model.fit(X, y[:, None])) == (__file__, line)


COSTS = [[0, 1], [9, 0]]
DECIDING = {
    "costs": MinimumCostClassifier(LogisticRegression(), cost_matrix=COSTS),
    "guarantee": GuaranteedRecallClassifier(LogisticRegression(), recall=0.8, random_state=0),
    "fixed": FixedThresholdClassifier(LogisticRegression(), threshold=0.2),
    "tuned": TunedThresholdClassifierCV(LogisticRegression(), cv=2),
    "pipeline": make_pipeline(
        "passthrough", MinimumCostClassifier(LogisticRegression(), cost_matrix=COSTS)
    ),
    "search": GridSearchCV(
        FixedThresholdClassifier(LogisticRegression(), threshold=0.2), {"threshold": [0.3]}, cv=2
    ),
    "sets": ConformalClassifier(
        FixedThresholdClassifier(LogisticRegression(), threshold=0.2), random_state=0
    ),
}


def messages_of(model):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(*data())
    return [str(w.message) for w in caught if "are lost" in str(w.message)]


@pytest.mark.parametrize("inner", DECIDING)
@pytest.mark.parametrize("is_frozen", [False, True])
def test_decisions_that_a_calibration_would_lose_are_warned_of_once_with_the_order(
    inner, is_frozen
):
    inner = DECIDING[inner]
    if is_frozen:
        inner = FrozenEstimator(inner.fit(*data()))
    (message,) = messages_of(BiasCorrectedCalibrator(inner, cv=2, random_state=0))
    assert "(BiasCorrectedCalibrator(classifier), ...)" in message


@pytest.mark.parametrize("kind", WRAPPERS)
def test_wrappers_that_decide_warn_of_decisions_inside(kind):
    found = messages_of(WRAPPERS[kind](DECIDING["costs"]))
    assert len(found) == (kind != "sets")
    assert all("MinimumCostClassifier" in message for message in found)


@pytest.mark.parametrize("kind", WRAPPERS)
def test_the_order_that_works_is_silent(kind):
    inner = BiasCorrectedCalibrator(LogisticRegression(), cv=2, random_state=0)
    assert messages_of(WRAPPERS[kind](inner)) == []
    assert messages_of(WRAPPERS[kind](FixedThresholdClassifier(LogisticRegression()))) == []


@pytest.mark.parametrize("kind", [kind for kind in WRAPPERS if kind != "costs"])
def test_a_fraction_that_leaves_next_to_nothing_to_train_on_is_refused(kind):
    model = WRAPPERS[kind](Untrainable())
    with pytest.raises(ValueError, match=r"'cv' parameter.*\(0\.0, 0\.9\]"):
        model.set_params(cv=0.9999).fit(*data())


class UntrainableRegressor(RegressorMixin, BaseEstimator):
    """It must not be trained."""

    def fit(self, X, y):
        raise AssertionError("The input was to be refused before any training.")

    def predict(self, X):
        raise AssertionError


@pytest.mark.parametrize("cv", [0.3, 4])
@pytest.mark.parametrize("is_grouped", [False, True])
@pytest.mark.parametrize(
    ("ranges", "message"),
    [([5, 1], "edges that increase"), ([100], "held-out samples or groups")],
)
def test_ranges_that_cannot_be_are_refused_before_any_training(ranges, message, cv, is_grouped):
    y = np.random.default_rng(0).uniform(0, 2, size=200)
    groups = np.repeat(np.arange(100), 2) if is_grouped else None
    model = ConformalRegressor(UntrainableRegressor(), ranges=ranges, cv=cv)
    with pytest.raises(ValueError, match=message):
        model.fit(y[:, None], y, groups=groups)


def test_a_calibration_on_one_class_is_refused_before_any_training():
    X = np.arange(12.0)[:, None]
    with (
        pytest.raises(ValueError, match=r"two classes, but there are \[3, 0\]"),
        pytest.warns(UserWarning, match="stay in the training part"),
    ):
        BiasCorrectedCalibrator(Untrainable(), cv=0.3).fit(X, ["a"] * 11 + ["b"])


# ------------------------------------------------------------------- zeros and copies


def noise(n=1500):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 2)), rng.choice(["high", "low", "mid"], p=[0.3, 0.5, 0.2], size=n)


def test_a_threshold_of_zero_is_warned_of_where_the_class_is_always_predicted():
    X, y = noise()
    forest = RandomForestClassifier(10, random_state=0)
    model = GuaranteedRecallClassifier(forest, label="mid", random_state=0)
    with pytest.warns(UserWarning, match=r"'mid'.*threshold is zero.*min_samples_leaf"):
        model.fit(X, y)
    assert model.false_alarm_rate_ == 1
    model.set_params(estimator__min_samples_leaf=20).fit(X, y)
    assert model.threshold_ > 0.01


def test_classes_of_probability_zero_are_in_every_set_and_a_warning_says_so():
    X, y = noise()
    forest = RandomForestClassifier(10, random_state=0)
    with pytest.warns(UserWarning, match="they are in every set.*min_samples_leaf"):
        model = ConformalClassifier(forest, random_state=0).fit(X, y)
    place = list(model.classes_).index("mid")
    assert model.thresholds_[place] == 0
    assert model.predict_set(X)[:, place].all()


@pytest.mark.parametrize("kind", ["sets", "recall", "precision"])
@pytest.mark.parametrize("as_frame", [False, True])
def test_copies_by_an_over_sampler_are_warned_of(kind, as_frame):
    X, y = data()
    kept = np.append(np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:10])
    X, y = RandomOverSampler(random_state=0).fit_resample(X[kept], y[kept])
    if as_frame:
        X = pd.DataFrame(X, columns=["a"])
    model = WRAPPERS[kind](LogisticRegression())
    if kind != "sets":
        model.set_params(label=1)
    with pytest.warns(UserWarning, match="class 1 are equal to other samples"):
        model.fit(X, y)


@pytest.mark.parametrize("kind", ["sets", "recall", "precision"])
def test_equal_rows_of_columns_with_few_values_are_no_copies(kind):
    X, y = data()
    WRAPPERS[kind](LogisticRegression()).fit(X.round(), y)


# ------------------------------------------------------------------------------ labels


NAMED = {"common": 0.5, "rare": 0.5}
BY_LABEL = {
    "costs": MinimumCostClassifier(
        LogisticRegression(), cost_matrix={"common": {"rare": 1}, "rare": {"common": 9}}
    ),
    "prior": PriorCorrectedClassifier(LogisticRegression(), target_prior=NAMED),
    "recall": GuaranteedRecallClassifier(LogisticRegression(), label="rare"),
    "precision": GuaranteedPrecisionClassifier(LogisticRegression(), label="rare"),
}


@pytest.mark.parametrize("kind", BY_LABEL)
def test_labels_that_an_ensemble_replaced_are_named_as_the_cause(kind):
    X, y = data()
    ensemble = VotingClassifier([("a", BY_LABEL[kind])])
    with pytest.raises(ValueError, match="put the ensemble into the wrapper"):
        ensemble.fit(X, np.array(["common", "rare"])[y])


@pytest.mark.parametrize("kind", BY_LABEL)
def test_labels_of_another_kind_are_refused_without_that_cause(kind):
    X, y = data()
    with pytest.raises(ValueError, match="'ill'") as error:
        BY_LABEL[kind].fit(X, np.array(["ill", "well"])[y])
    assert "ensemble" not in str(error.value)
