"""Offsets that are chosen on last layers of parts, on the features of one network."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skimb.model_selection import TunedOffsetsClassifierCV
from skimb.neural_network import CNNClassifier, DecoupledClassifier, load, save
from skimb.neural_network.joint_training import heads_of_parts

RNG = np.random.RandomState(0)
X, Y = RNG.rand(90, 6, 6).astype(np.float32), np.repeat(["common", "rare"], [70, 20])
X[Y == "rare", :2] += 0.2
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def two_stages(**options):
    network = CNNClassifier(max_epochs=1, random_state=0)
    return DecoupledClassifier(network, batch_sampling=None, max_epochs=2, **options)


def tuned(**options):
    options = {"shared_network": True, "random_state": 0, **options}
    return TunedOffsetsClassifierCV(two_stages(random_state=0), **options)


@pytest.fixture
def trainings(monkeypatch):
    """Return a list that grows with each training of a network."""
    found, fit = [], CNNClassifier.fit

    def watched(self, X, *args, **options):
        found.append(len(X))
        return fit(self, X, *args, **options)

    monkeypatch.setattr(CNNClassifier, "fit", watched)
    return found


def test_the_network_is_trained_once_and_every_sample_is_held_out(trainings):
    fitted = tuned().fit(X, Y)
    assert trainings == [90]
    assert fitted.n_held_out_.tolist() == [70, 20]
    assert np.isfinite(fitted.offsets_spread_).all()
    # The final classifier is the two-stage classifier of all samples.
    alone = two_stages(random_state=0).fit(X, Y)
    np.testing.assert_array_equal(fitted.estimator_.predict_proba(X), alone.predict_proba(X))


def test_a_classifier_that_was_trained_before_gives_the_same_offsets(trainings):
    expected = tuned().fit(X, Y)
    alone = two_stages(random_state=0).fit(X, Y)
    del trainings[:]
    found = tuned().tune_fitted(alone, X, Y)
    assert trainings == []
    assert found.estimator_ is alone
    np.testing.assert_array_equal(found.offsets_, expected.offsets_)


def test_last_layers_have_not_seen_the_samples_that_they_classify():
    rows = np.arange(len(Y))
    split = [(rows[rows % 3 > 0], rows[rows % 3 == 0])]
    known = Y.copy()
    known[rows % 3 == 0] = np.where(known[rows % 3 == 0] == "rare", "common", "rare")
    fitted = two_stages(random_state=0).fit(X, Y)
    one, other = (heads_of_parts(fitted, X, y, split) for y in (Y, known))
    np.testing.assert_array_equal(one, other)


def test_groups_stay_on_one_side():
    groups = np.arange(90) // 5
    fitted = tuned(cv=3).fit(X, Y, groups=groups)
    assert fitted.n_held_out_.sum() == 90
    with pytest.raises(ValueError, match="single sample or group"):
        tuned().fit(X, Y, groups=np.where(Y == "rare", 0, 1))


def test_weights_of_samples_count_in_the_last_layers():
    plain, weighted = (tuned().fit(X, Y, sample_weight=w) for w in (None, 1.0 + 9 * (Y == "rare")))
    assert not np.array_equal(plain.offsets_, weighted.offsets_)


@pytest.mark.parametrize(
    "estimator",
    [CNNClassifier(), LogisticRegression(), DecoupledClassifier(head="tau_normalized"), None],
)
def test_without_a_last_layer_that_is_trained_it_is_refused_before_any_training(
    estimator, trainings
):
    with pytest.raises(ValueError, match="needs a DecoupledClassifier with head='linear'"):
        TunedOffsetsClassifierCV(estimator, shared_network=True).fit(X, Y)
    assert trainings == []


def test_it_can_be_saved(tmp_path):
    fitted = tuned().fit(X, Y)
    save(fitted, tmp_path / "m.skimb")
    again = load(tmp_path / "m.skimb")
    assert again.shared_network
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
