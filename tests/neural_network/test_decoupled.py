"""DecoupledClassifier: two stages, one network."""

import copy
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.neighbors import KNeighborsClassifier

from skimb.neural_network import CNNClassifier, DecoupledClassifier
from skimb.neural_network._heads import TauNormalizedHead
from skimb.over_sampling import SMOTE, RandomOverSampler


@pytest.fixture(scope="module")
def plain(digits):
    X, _, y, _ = digits
    return CNNClassifier(max_epochs=5, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def overlapping():
    """Two overlapping normal distributions, 9:1, whose posterior is known, and a network."""
    rng = np.random.RandomState(0)
    n = 6000
    y = (rng.rand(n) < 0.1).astype(int)
    X = (rng.normal(size=n) + 2 * y)[:, np.newaxis].astype(np.float32)
    return X, y, CNNClassifier("linear", max_epochs=30, lr=0.05, random_state=0).fit(X, y)


@pytest.mark.slow
def test_a_frozen_network_is_used_as_it_is(plain, digits):
    X, X_test, y, _ = digits
    before = plain.predict_proba(X_test)
    clf = DecoupledClassifier(FrozenEstimator(plain), sampler=SMOTE(), random_state=0).fit(X, y)
    assert clf.estimator_ is plain
    np.testing.assert_array_equal(plain.predict_proba(X_test), before)
    np.testing.assert_array_equal(
        clf.predict_proba(X_test), clf.head_.predict_proba(plain.embed(X_test))
    )


@pytest.mark.slow
def test_smote_in_the_embedding_finds_more_of_the_rare_class(plain, digits):
    X, X_test, y, y_test = digits
    clf = DecoupledClassifier(FrozenEstimator(plain), sampler=SMOTE(), random_state=0).fit(X, y)
    np.testing.assert_allclose(clf.head_.effective_prior_, 0.5)
    found, found_plain = (
        recall_score(y_test, model.predict(X_test), pos_label="eight") for model in (clf, plain)
    )
    assert found > found_plain


@pytest.mark.slow
def test_stage_one_is_the_given_network(plain, digits):
    X, X_test, y, _ = digits
    clf = DecoupledClassifier(CNNClassifier(max_epochs=5, random_state=0), max_epochs=1)
    clf.fit(X, y)
    np.testing.assert_array_equal(clf.estimator_.embed(X_test), plain.embed(X_test))


@pytest.mark.slow
def test_any_classifier_may_be_the_head(plain, digits):
    X, X_test, y, _ = digits
    head = LogisticRegression(max_iter=2000)
    clf = DecoupledClassifier(FrozenEstimator(plain), head=head, sampler=SMOTE(random_state=0))
    X_res, y_res = SMOTE(random_state=0).fit_resample(plain.embed(X), y)
    expected = LogisticRegression(max_iter=2000).fit(X_res, y_res).predict(plain.embed(X_test))
    np.testing.assert_array_equal(clf.fit(X, y).predict(X_test), expected)


@pytest.mark.slow
def test_the_methods_of_the_head_are_those_of_the_classifier(plain, digits):
    X, X_test, y, _ = digits
    forest = DecoupledClassifier(
        FrozenEstimator(plain), head=RandomForestClassifier(5), random_state=0
    ).fit(X, y)
    assert hasattr(forest, "predict_proba")
    assert not hasattr(forest, "decision_function")
    nearest = DecoupledClassifier(
        FrozenEstimator(plain), head=KNeighborsClassifier(), sampler=SMOTE(), random_state=0
    ).fit(X, y)
    assert nearest.predict(X_test).shape == (len(X_test),)
    linear = DecoupledClassifier(FrozenEstimator(plain), random_state=0).fit(X, y)
    np.testing.assert_allclose(
        np.exp(linear.predict_log_proba(X_test)), linear.predict_proba(X_test)
    )


def test_gamma_on_a_string_offers_the_mend():
    with pytest.raises(ValueError, match=r"loss=FocalLoss\(\)"):
        DecoupledClassifier(loss="focal").set_params(loss__gamma=1)


def test_what_belongs_to_the_linear_head_is_refused_with_another(plain, digits):
    X, _, y, _ = digits
    for name, value in {"class_weight": "balanced", "lr": 1.0, "max_epochs": 2}.items():
        params: dict[str, Any] = {name: value}
        with pytest.raises(ValueError, match=f"`{name}` belongs to head='linear'"):
            DecoupledClassifier(FrozenEstimator(plain), head=LogisticRegression(), **params).fit(
                X, y
            )


@pytest.mark.slow
def test_the_prior_of_the_head(plain, digits):
    X, X_test, y, _ = digits
    clf = DecoupledClassifier(
        FrozenEstimator(plain), class_weight="balanced", target_prior="train", random_state=0
    ).fit(X, y)
    share = clf.predict_proba(X_test)[:, 0].mean()
    assert share == pytest.approx(np.mean(y == "eight"), abs=0.02)
    later = clf.set_params(target_prior="uniform").predict_proba(X_test)[:, 0].mean()
    assert later > share


# ------------------------------------------------------------------------------ heads by name


@pytest.mark.slow
def test_class_balanced_batches_are_the_default_where_nothing_else_evens_classes_out(plain, digits):
    X, _, y, _ = digits
    expected = {
        "nothing": ({}, "balanced"),
        "a sampler": ({"sampler": SMOTE(random_state=0)}, None),
        "weights": ({"class_weight": "sqrt"}, None),
        "an adjusted loss": ({"loss": "balanced_softmax"}, None),
        "a focal loss": ({"loss": "focal"}, "balanced"),
        "a share of one's own": ({"batch_sampling": 0.5}, 0.5),
        "none": ({"batch_sampling": None}, None),
    }
    for params, batch_sampling in expected.values():
        clf = DecoupledClassifier(FrozenEstimator(plain), max_epochs=1, random_state=0, **params)
        assert clf.fit(X, y).head_.batch_sampling == batch_sampling
    np.testing.assert_allclose(
        DecoupledClassifier(FrozenEstimator(plain), random_state=0)
        .fit(X, y)
        .head_.effective_prior_,
        0.5,
    )


@pytest.mark.parametrize(
    ("tau", "expected"),
    [(0.0, [11, 2.2, 1]), (0.5, [4.91934955, 2.2, 1.41421356]), (1.0, [2.2, 2.2, 2])],
)
def test_tau_normalised_golden_values(tau, expected):
    weight = np.array([[3, 4], [0.6, 0.8], [0, 0.5]])
    head = TauNormalizedHead(tau).take(weight, np.arange(3))
    logits = head.decision_function(np.array([[1.0, 2.0]]))
    np.testing.assert_allclose(np.diff(logits), np.diff([expected]), rtol=1e-7)


def test_tau_normalisation_trains_nothing_and_drops_the_bias(plain, digits):
    X, X_test, y, _ = digits
    clf = DecoupledClassifier(FrozenEstimator(plain), head="tau_normalized", tau=1.0).fit(X, y)
    weight = plain.module_.head.weight.detach().numpy()
    unit = weight / np.linalg.norm(weight, axis=1, keepdims=True)
    logits = plain.embed(X_test) @ unit.T
    np.testing.assert_allclose(
        clf.decision_function(X_test), logits[:, 1] - logits[:, 0], rtol=1e-4, atol=1e-4
    )
    np.testing.assert_array_equal(
        clf.predict(X_test), clf.classes_[clf.predict_proba(X_test).argmax(axis=1)]
    )


def test_the_prior_of_a_tau_normalised_head_is_not_known(plain, digits):
    X, X_test, y, _ = digits
    clf = DecoupledClassifier(FrozenEstimator(plain), head="tau_normalized", target_prior="uniform")
    with pytest.raises(ValueError, match="`target_prior` belongs to head='linear' or 'learn"):
        clf.fit(X, y)
    clf.set_params(target_prior=None).fit(X, y).set_params(target_prior="train")
    with pytest.raises(ValueError, match="`target_prior` belongs to"):
        clf.predict(X_test)


@pytest.mark.slow
def test_learnable_scales_multiply_the_logits_of_stage_one(plain, digits):
    X, X_test, y, y_test = digits
    clf = DecoupledClassifier(FrozenEstimator(plain), head="learnable_scales", random_state=0)
    clf.fit(X, y)
    scale = clf.head_.module_.scale.detach().numpy()
    assert not np.allclose(scale, 1)
    layer = plain.module_.head
    logits = plain.embed(X_test) @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    np.testing.assert_allclose(
        clf.decision_function(X_test), np.diff(logits * scale)[:, 0], rtol=1e-3, atol=1e-3
    )
    found, found_plain = (
        recall_score(y_test, model.predict(X_test), pos_label="eight") for model in (clf, plain)
    )
    assert found >= found_plain


def test_heads_of_the_last_layer_want_one(digits):
    X, _, y, _ = digits
    for head in ("tau_normalized", "learnable_scales"):
        clf = DecoupledClassifier(CNNClassifier(loss="ldam", max_epochs=1), head=head)
        with pytest.raises(ValueError, match="its logits are not that layer's"):
            clf.fit(X, y)


@pytest.mark.slow
@pytest.mark.parametrize(
    "params",
    [
        {"loss": "balanced_softmax"},
        {"batch_sampling": "balanced"},
        {"class_weight": "balanced"},
        {"sampler": RandomOverSampler(random_state=0)},
        {"head": "learnable_scales"},
    ],
    ids=str,
)
def test_probabilities_follow_the_prior_whatever_the_remedy(params, overlapping):
    X, y, network = overlapping
    grid = np.linspace(-1, 3, 9, dtype=np.float32)[:, np.newaxis]
    likelihood = np.exp(-0.5 * (grid - [0, 2]) ** 2)
    settings = {"max_epochs": 10, "batch_size": 128, "random_state": 0}
    clf = DecoupledClassifier(FrozenEstimator(network), **settings, **params).fit(X, y)
    for target, prior in (("train", [0.9, 0.1]), ("uniform", [0.5, 0.5]), ({0: 0.3, 1: 0.7},) * 2):
        shares = list(prior.values()) if isinstance(prior, dict) else prior
        expected = likelihood * shares
        expected /= expected.sum(axis=1, keepdims=True)
        found = clf.set_params(target_prior=target).predict_proba(grid)
        # Two scales cannot reach every posterior: a line through the logits has two parameters.
        np.testing.assert_allclose(found, expected, atol=0.06)


@pytest.mark.slow
def test_a_new_head_starts_where_the_network_left_off(plain, digits):
    X, X_test, y, _ = digits
    # With a rate of nearly zero, what comes out is the start: the network, moved to another prior.
    starts: list[tuple[dict[str, Any], str]] = [
        ({"batch_sampling": None}, "train"),
        ({"batch_sampling": "balanced"}, "uniform"),
        ({"class_weight": "balanced"}, "uniform"),
        ({"loss": "balanced_softmax"}, "uniform"),
        ({"sampler": RandomOverSampler()}, "uniform"),
    ]
    for params, prior in starts:
        clf = DecoupledClassifier(
            FrozenEstimator(plain), lr=1e-12, max_epochs=1, random_state=0, **params
        )
        expected = copy.copy(plain).set_params(target_prior=prior).predict_proba(X_test)
        np.testing.assert_allclose(clf.fit(X, y).predict_proba(X_test), expected, atol=1e-5)


@pytest.mark.slow
def test_networks_of_other_classes_or_heads_start_at_random(plain, digits):
    X, _, y, _ = digits
    others = np.where(np.arange(len(y)) % 3 == 0, "third", y)
    clf = DecoupledClassifier(FrozenEstimator(plain), max_epochs=1, random_state=0)
    clf.fit(X, others)
    assert clf.classes_.tolist() == ["eight", "rest", "third"]
    for loss in ("ldam", "cross_entropy"):
        network = CNNClassifier(loss="ldam", max_epochs=1, random_state=0)
        DecoupledClassifier(network, loss=loss, max_epochs=1, random_state=0).fit(X, y)


def test_a_head_that_takes_no_weights_is_refused_before_any_training(digits, monkeypatch):
    X, _, y, _ = digits
    monkeypatch.setattr(CNNClassifier, "fit", lambda *args: pytest.fail("trained"))
    with pytest.raises(ValueError, match="KNeighborsClassifier takes no `sample_weight`"):
        DecoupledClassifier(head=KNeighborsClassifier()).fit(X, y, sample_weight=np.ones(len(y)))
