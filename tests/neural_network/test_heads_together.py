"""Last layers of one network that are trained together."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator

from skimb.losses import FocalLoss, LogitAdjustedLoss
from skimb.neural_network import CNNClassifier, DecoupledClassifier
from skimb.neural_network.joint_training import fit_heads
from skimb.over_sampling import SMOTE, RandomOverSampler

SETTINGS = {
    "none": {"batch_sampling": None},
    "class_weight": {"class_weight": "balanced"},
    "focal": {"loss": FocalLoss(), "batch_sampling": None},
    "over": {"sampler": RandomOverSampler()},
    "smote": {"sampler": SMOTE(k_neighbors=2)},
    "balanced_batches": {"batch_sampling": "balanced"},
    "logit_adjusted": {"loss": LogitAdjustedLoss()},
}
#: Those whose probabilities hold for the classes as they are in the training part.
OF_TRAINING = ("none", "focal")


@pytest.fixture(scope="module")
def data():
    rng = np.random.RandomState(0)
    y = np.repeat(["a", "b", "c"], [30, 15, 6])
    X = rng.rand(len(y), 6, 6).astype(np.float32)
    X[y == "b", 2:4] += 0.5
    X[y == "c", :, 3:] += 0.5
    return X, y


@pytest.fixture(scope="module")
def network(data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return CNNClassifier(max_epochs=2, random_state=0).fit(*data)


def made(network):
    """Return a two-stage classifier for each setting."""
    length = {"max_epochs": 2, "batch_size": 16, "steps_per_epoch": 3, "random_state": 0}
    frozen = FrozenEstimator(network)
    return [DecoupledClassifier(frozen, **given, **length) for given in SETTINGS.values()]


def test_last_layers_trained_together_are_those_trained_alone(data, network):
    X, y = data
    models = made(network)
    alone = [clone(model).fit(X, y) for model in models]
    for together, expected in zip(fit_heads(models, X, y), alone, strict=True):
        np.testing.assert_allclose(
            together.predict_log_proba(X), expected.predict_log_proba(X), rtol=1e-5, atol=1e-5
        )
        assert together.estimator_ is network


def test_a_last_layer_knows_the_class_prior_of_its_own_training(data, network):
    X, y = data
    models = dict(zip(SETTINGS, fit_heads(made(network), X, y), strict=True))
    of_training = np.array([30, 15, 6]) / 51
    for name, model in models.items():
        prior = of_training if name in OF_TRAINING else np.full(3, 1 / 3)
        if name != "logit_adjusted":
            np.testing.assert_allclose(model.head_.effective_prior_, prior, atol=1e-6)


@pytest.mark.parametrize("kept", [["a", "b"], ["a", "c"]])
def test_a_part_of_the_samples_may_lack_a_class_that_the_network_knows(data, network, kept):
    X, y = data
    part = np.flatnonzero(np.isin(y, kept))[::2]
    models = made(network)
    alone = [clone(model).fit(X[part], y[part]) for model in models]
    for together, expected in zip(fit_heads(models, X[part], y[part]), alone, strict=True):
        assert together.classes_.tolist() == kept
        np.testing.assert_allclose(
            together.predict_log_proba(X), expected.predict_log_proba(X), rtol=1e-5, atol=1e-5
        )
