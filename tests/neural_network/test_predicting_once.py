"""Stand-ins of fitted classifiers that pass images through their network once."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.tree import DecisionTreeClassifier

from skimb.model_selection import TunedOffsetsClassifierCV
from skimb.neural_network import CNNClassifier, DecoupledClassifier
from skimb.neural_network.joint_training import predicting_once

METHODS = ("predict", "predict_proba", "decision_function", "predict_log_proba")
RNG = np.random.RandomState(0)
X, Y = RNG.rand(60, 6, 6).astype(np.float32), np.repeat(["a", "b"], [45, 15])
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def network():
    return CNNClassifier(max_epochs=1, random_state=0).fit(X, Y)


@pytest.fixture
def passes(monkeypatch):
    """Return a list that grows with each pass of images through a network."""
    found = []
    for name in ("embed", "predict_log_proba"):
        method = getattr(CNNClassifier, name)

        def watched(self, X, *, method=method):
            if len(np.shape(X)) == 3:
                found.append(len(X))
            return method(self, X)

        monkeypatch.setattr(CNNClassifier, name, watched)
    return found


def made_of(kind, network):
    if kind == "network":
        return network
    if kind == "last layer":
        return DecoupledClassifier(FrozenEstimator(network), max_epochs=1).fit(X, Y)
    tuned = TunedOffsetsClassifierCV(CNNClassifier(max_epochs=1), random_state=0)
    return tuned.tune_fitted(network, X, Y)


@pytest.mark.parametrize("kind", ["network", "last layer", "offsets"])
def test_a_stand_in_answers_to_the_bit_after_one_pass(kind, network, passes):
    fitted = made_of(kind, network)
    expected = {method: getattr(fitted, method)(X) for method in METHODS}
    del passes[:]
    [once] = predicting_once([fitted])
    for method in METHODS:
        np.testing.assert_array_equal(getattr(once, method)(X), expected[method])
    assert passes == [60]
    # Other images are not confused with them, and the classifier itself is as it was.
    np.testing.assert_array_equal(once.predict_proba(X[:9]), fitted.predict_proba(X[:9]))
    assert passes == [60, 9, 9]


def test_last_layers_of_one_network_share_its_embeddings(network, passes):
    heads = [
        DecoupledClassifier(FrozenEstimator(network), class_weight=weight, max_epochs=1).fit(X, Y)
        for weight in ("balanced", "sqrt")
    ]
    expected = [head.predict_proba(X) for head in heads]
    del passes[:]
    found = [once.predict_proba(X) for once in predicting_once(heads)]
    assert passes == [60]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    again = predicting_once(predicting_once(heads))
    assert again[0].predict(X).shape == (60,)


def test_other_classifiers_are_returned_as_they_are():
    tree = DecisionTreeClassifier().fit(X.reshape(60, -1), Y)
    assert predicting_once([tree])[0] is tree
