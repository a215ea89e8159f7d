"""Labels of any kind are read as what they are, or refused with the way to give them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from skimb.class_weight import class_counts, minority_class
from skimb.metrics import (
    calibration_scoring,
    cost_scoring,
    expected_calibration_error,
    expected_cost,
    imbalance_scoring,
    per_class_report,
    set_coverage,
)
from skimb.model_selection import TunedOffsetsClassifierCV
from skimb.neural_network import BalancedBatchSampler, CNNClassifier
from skimb.over_sampling import SMOTE, RandomOverSampler
from skimb.study import down_to_middle, inspect_images, up_to_middle

#: Two classes, of which 1 is the rarer one, and predictions that are wrong twice.
TRUE = np.repeat([0, 1], [8, 4])
PREDICTED = np.where(np.arange(12) % 6 == 3, 1 - TRUE, TRUE)
PROBA = np.column_stack([1 - (PREDICTED * 0.6 + 0.2), PREDICTED * 0.6 + 0.2])

#: Labels of 0 and 1 in some other kind, which NumPy, pandas or scikit-learn would not compare.
KINDS = {
    "big-endian integers": lambda y: y.astype(">i8"),
    "big-endian floats": lambda y: y.astype(">f8"),
    "integers as objects": lambda y: y.astype(object),
    "booleans as objects": lambda y: y.astype(bool).astype(object),
    "nullable integers that are no floats": lambda y: pd.Series(y + 2**60, dtype="Int64"),
    "text of variable width": lambda y: np.array(["a", "bb"], dtype=np.dtypes.StringDType())[y],
}

FEATURES = TRUE[:, None] + np.random.RandomState(0).randn(12, 3)

SCORES = {
    "per_class_report": lambda y, p: per_class_report(y, p).to_numpy(),
    "expected_cost": lambda y, p: expected_cost(y, p, cost_matrix=[[0, 1], [5, 0]]),
    "calibration": lambda y, p: expected_calibration_error(y, PROBA),
    "set_coverage": lambda y, p: set_coverage(y, PROBA > 0.1).to_numpy(),
    "class_counts": lambda y, p: list(class_counts(y).values()),
}

SCORERS = {
    "imbalance": imbalance_scoring,
    "calibration": calibration_scoring,
    "costs": lambda y: {"cost": cost_scoring(y, cost_matrix=[[0, 1], [5, 0]])},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("score", SCORES)
def test_scores_read_labels_of_any_kind(score, kind):
    read, as_kind = SCORES[score], KINDS[kind]
    np.testing.assert_allclose(read(as_kind(TRUE), as_kind(PREDICTED)), read(TRUE, PREDICTED))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scoring", SCORERS)
def test_scorers_read_labels_of_any_kind(scoring, kind):
    def scored(y):
        scorers = SCORERS[scoring](y)
        clf = LogisticRegression().fit(FEATURES, np.array(list(y)))
        return [scorer(clf, FEATURES, y) for scorer in scorers.values()]

    np.testing.assert_allclose(scored(KINDS[kind](TRUE)), scored(TRUE))


def test_classes_of_a_classifier_may_be_big_endian():
    y = TRUE.astype(">i8")
    clf = LogisticRegression().fit(FEATURES, y)
    assert clf.classes_.dtype.str == ">i8"
    for name, scorer in calibration_scoring(y).items():
        assert scorer(clf, FEATURES, y) == calibration_scoring(TRUE)[name](clf, FEATURES, TRUE)


def test_a_label_of_a_nullable_column_is_the_rarest():
    assert minority_class(pd.Series(TRUE + 2**60, dtype="Int64")) == 2**60 + 1


MISSING = {
    "floats": np.where(np.arange(12) == 3, np.nan, TRUE),
    "objects": np.array([None if row == 3 else "ab"[y] for row, y in enumerate(TRUE)], object),
    "a list of text": [np.nan if row == 3 else "ab"[y] for row, y in enumerate(TRUE)],
    "Int64": pd.Series(TRUE, dtype="Int64").mask(np.arange(12) == 3),
    "boolean": pd.Series(TRUE == 1, dtype="boolean").mask(np.arange(12) == 3),
    "string": pd.Series(np.array(["a", "b"])[TRUE], dtype="string").mask(np.arange(12) == 3),
    "a category": pd.Series(["ab"[y] for y in TRUE], dtype="category").mask(np.arange(12) == 3),
    "times": np.where(np.arange(12) == 3, np.datetime64("NaT"), np.datetime64("2020-01-01")),
}

READERS = {
    "a score": lambda y: per_class_report(y, y),
    "a scorer": imbalance_scoring,
    "counts": class_counts,
    "a sampler": lambda y: RandomOverSampler().fit_resample(FEATURES, y),
    "a network": lambda y: CNNClassifier(max_epochs=1).fit(FEATURES, y),
    "a wrapper": lambda y: TunedOffsetsClassifierCV(LogisticRegression()).fit(FEATURES, y),
}


@pytest.mark.parametrize("kind", MISSING)
@pytest.mark.parametrize("reader", READERS)
def test_a_missing_label_is_named(reader, kind):
    with pytest.raises(
        ValueError, match=r"contains NaN, None or NA: 1 of 12 values, the first that of sample 3\."
    ):
        READERS[reader](MISSING[kind])


@pytest.mark.parametrize("reader", ["a network", "a wrapper"])
@pytest.mark.parametrize(
    ("y", "fix"),
    [
        (TRUE.astype(object), r"objects that hold int\. .* Give y.astype\(int\)"),
        ((TRUE == 1).astype(object), r"objects that hold bool\. "),
        (np.array([1 if y else "a" for y in TRUE], object), r"objects that hold int\. .* one type"),
        (
            pd.Series(TRUE + 2**60, dtype="Int64"),
            r"Int64 beyond 2\*\*53, .*to_numpy\(dtype='int64'",
        ),
    ],
    ids=["integers", "booleans", "text and integers", "large nullable integers"],
)
def test_labels_that_scores_of_sklearn_cannot_compare_are_refused_before_any_training(
    reader, y, fix
):
    with pytest.raises(ValueError, match=fix):
        READERS[reader](y)


def test_large_nullable_labels_that_floats_tell_apart_are_taken():
    y = pd.Series(TRUE * 2**60, dtype="Int64")
    clf = TunedOffsetsClassifierCV(LogisticRegression(), cv=2).fit(FEATURES, y)
    assert clf.classes_.tolist() == [0, 2**60]


def test_samplers_take_numbers_as_objects():
    y = TRUE.astype(object)
    found = SMOTE(k_neighbors=3).fit_resample(FEATURES, y)[1]
    assert found.dtype == object
    assert class_counts(found) == {0: 8, 1: 8}


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(11), r"sample_weight.shape == \(11,\), expected \(12,\)"),
        (np.ones((12, 1)), "must be 1D"),
        (np.arange(12) - 1.0, "Negative values"),
        (["a"] * 12, "could not convert"),
        ([None, *[1.0] * 11], "sample_weight contains NaN"),
    ],
    ids=["short", "column", "negative", "text", "missing"],
)
@pytest.mark.parametrize("scoring", [imbalance_scoring, calibration_scoring])
def test_scorers_refuse_weights_that_are_none(scoring, weight, message):
    clf = LogisticRegression().fit(FEATURES, TRUE)
    for scorer in scoring(TRUE).values():
        with pytest.raises(ValueError, match=message):
            scorer(clf, FEATURES, TRUE, sample_weight=weight)


@pytest.mark.parametrize("scoring", [imbalance_scoring, calibration_scoring])
def test_scorers_take_weights_of_any_kind(scoring):
    clf, weight = LogisticRegression().fit(FEATURES, TRUE), np.arange(1, 13)
    for scorer in scoring(TRUE).values():
        wanted = scorer(clf, FEATURES, TRUE, sample_weight=weight)
        for given in (weight.astype(object), weight.tolist(), pd.Series(weight, dtype="Int64")):
            assert scorer(clf, FEATURES, TRUE, sample_weight=given) == pytest.approx(wanted)


MIXED_TAKEN = {
    "BalancedBatchSampler": lambda y: BalancedBatchSampler(y, batch_size=4),
    "inspect_images": lambda y: inspect_images(np.zeros((len(y), 8, 8)), y),
    "labels of a test set": lambda y: inspect_images(
        np.zeros((12, 8, 8)), ["cat", "dog"] * 6, X_test=np.zeros((len(y), 8, 8)), y_test=y
    ),
    "down_to_middle": down_to_middle,
    "up_to_middle": up_to_middle,
    "class_counts": class_counts,
}


@pytest.mark.parametrize("name", MIXED_TAKEN)
def test_text_and_numbers_as_labels_are_refused_together(name):
    y = np.array(["cat", 1, "dog", 2] * 3, dtype=object)
    with pytest.raises(ValueError, match=r"text or numbers, and not both: .*y.* holds"):
        MIXED_TAKEN[name](y)
