"""Labels and numbers in messages look as a user writes them, whatever NumPy's scalars look like."""

import numpy as np
import pandas as pd
import pytest
from imblearn.under_sampling import NearMiss
from sklearn.model_selection import KFold

from skimb._messages import shown, told_apart
from skimb.class_weight import compute_class_weight
from skimb.datasets import make_long_tailed
from skimb.metrics import imbalance_scoring
from skimb.model_selection import MinimumCostClassifier, TunedOffsetsClassifierCV
from skimb.neural_network import CNNClassifier, DecoupledClassifier
from skimb.over_sampling import SMOTE, RandomOverSampler
from skimb.relevance import Relevance
from skimb.study import compare
from skimb.under_sampling import EmbeddedSampler

X = np.random.RandomState(0).randint(0, 255, (24, 8, 8)).astype(np.uint8)


def labels(kind):
    """Return labels of which the first twelve differ from the others."""
    y = np.repeat({"integers": [3, 7], "booleans": [False, True]}.get(kind, ["ill", "well"]), 12)
    if kind == "objects":
        # A column that was made from a list of NumPy's strings.
        return pd.Series(list(y), dtype=object)
    return y


def network(**params):
    return CNNClassifier(max_epochs=1, random_state=0, **params)


def by_label(y, *values):
    """Return a dict as scikit-learn's users make it, with NumPy's labels and numbers."""
    return dict(zip(np.unique(y), np.array(values, dtype=float), strict=False))


def compare_torn(y):
    groups = [np.str_(f"p{place % 3}") for place in range(len(y))]
    compare(X, y, groups=groups, cv=KFold(2))


FAULTS = {
    "one class": lambda y: network().fit(X[:12], y[:12]),
    "one class in a list": lambda y: network().fit(X[:12], list(y[:12])),
    "one class for a head": lambda y: DecoupledClassifier(network()).fit(X[:12], y[:12]),
    "one class for scores": lambda y: imbalance_scoring(y[:12]),
    "a label without scores": lambda y: imbalance_scoring(y, labels=[99]),
    "a weight is missing": lambda y: network(class_weight=by_label(y, 1)).fit(X, y),
    "a weight is negative": lambda y: compute_class_weight(
        by_label(y, 1, -1), classes=np.unique(y), y=y
    ),
    "a prior is missing": lambda y: network(target_prior=by_label(y, 1)).fit(X, y),
    "a prior is negative": lambda y: network(target_prior=by_label(y, 1, -1)).fit(X, y),
    "a cost is missing": lambda y: MinimumCostClassifier(
        network(), cost_matrix={y[0]: {list(y)[-1]: 1}}
    ).fit(X, y),
    "a class of one sample": lambda y: SMOTE().fit_resample(X[:13], y[:13]),
    "offsets for one sample": lambda y: TunedOffsetsClassifierCV(network()).fit(X[:13], y[:13]),
    "noise is missing": lambda y: RandomOverSampler(shrinkage=by_label(y, 1)).fit_resample(
        X[:20], y[:20]
    ),
    "noise is negative": lambda y: RandomOverSampler(shrinkage=by_label(y, 1, -1)).fit_resample(
        X[:20], y[:20]
    ),
    "an unknown class": lambda y: EmbeddedSampler(
        NearMiss(sampling_strategy={np.int64(99): 1})
    ).fit_resample(X, y),
    "a class becomes empty": lambda y: make_long_tailed(X, y, ratio=200),
    "too few for folds": lambda y: compare(X[:14], y[:14]),
    "no test image of the minority": lambda y: compare(X[:20], y[:20], X_test=X[:2], y_test=y[:2]),
    "groups that are torn": compare_torn,
}


@pytest.mark.parametrize("kind", ["strings", "integers", "booleans", "objects"])
@pytest.mark.parametrize("fault", FAULTS)
def test_messages_show_labels_plainly(fault, kind):
    with pytest.raises(ValueError, match=r"\w") as error:
        FAULTS[fault](labels(kind))
    message = str(error.value)
    assert not any(found in message for found in ("np.", "array(", "dtype")), message
    if fault == "one class":
        first = {"integers": "3", "booleans": "False"}.get(kind, "'ill'")
        assert message.endswith(f"y holds one class only: {first}.")


def test_values_within_lists_and_dicts_are_shown_plainly():
    label = np.array(["ill"])[0]
    assert shown([label, (np.int64(3), {np.bool_(True)})]) == "['ill', (3, {True})]"
    assert shown({label: np.float64(0.5)}) == "{'ill': 0.5}"
    assert shown(np.array([[1, 2]])) == "[[1, 2]]"
    assert shown("ill") == "'ill'"


@pytest.mark.parametrize(
    ("numbers", "texts"),
    [
        ((0.0, 1 / 3), ["0", "0.333333"]),
        ((5.0, 5.0), ["5", "5"]),
        ((1e9 + 0.25, 1e9 + 1), ["1000000000", "1000000001"]),
        ((-np.inf, 1e9 + 0.25, 1e9 + 0.5), ["-inf", "1000000000.2", "1000000000.5"]),
        ((1.0, np.nextafter(1.0, 2)), ["1", "1.0000000000000002"]),
    ],
)
def test_numbers_that_differ_look_different(numbers, texts):
    assert told_apart(*numbers) == texts


def test_whiskers_far_from_zero_look_different():
    with pytest.raises(ValueError, match=r"box plot, \[1000000001, 1000000003\]"):
        Relevance().fit(np.array([1.0, 2.0, 3.0]) + 1e9)
