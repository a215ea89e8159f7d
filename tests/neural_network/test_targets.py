"""Targets without images and without a network: labels and numbers as a training sees them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import balanced_accuracy_score, f1_score

from skimb._engine import Part
from skimb.losses import CrossEntropyLoss, LogitAdjustedLoss, SquaredErrorLoss
from skimb.metrics import balanced_mean_absolute_error
from skimb.neural_network import CNNClassifier, CNNRegressor
from skimb.neural_network._class_target import ClassTarget
from skimb.neural_network._continuous_target import ContinuousTarget
from skimb.neural_network._posterior import Posterior


def class_target(**params):
    """Return the target of a classifier with these parameters."""
    return ClassTarget(CNNClassifier(**params).get_params())


def continuous_target(**params):
    """Return the target of a regressor with these parameters."""
    return ContinuousTarget(CNNRegressor(**params).get_params())


def part_of(values, weight=None):
    """Return a part whose images do not matter."""
    images = np.zeros((len(values), 1, 1, 1), dtype=np.uint8)
    return Part(images, values, np.ones(len(values)) if weight is None else weight)


# ------------------------------------------------------------------------------- labels


def test_labels_become_indices_and_labels_again():
    target = class_target()
    y = np.array(["dog", "cat", "cat", "eel"])
    indices = target.fit(y)
    assert_array_equal(indices, [1, 0, 0, 2])
    assert_array_equal(target.original(indices), y)
    assert_array_equal(target.decode(target.encode(indices)), y)
    assert_array_equal(target.read(["eel", "cat"]), [2, 0])
    with pytest.raises(ValueError, match="did not see: \\['fox'\\]"):
        target.read(["cat", "fox"])


def test_balanced_weights_are_those_of_the_published_example():
    target = class_target(class_weight="balanced")
    indices = target.fit(np.repeat(["cat", "dog"], [1000, 11000]))
    (phase,) = target.phases(part_of(indices), CrossEntropyLoss(), 0)
    assert_allclose(target.class_weight, [6.0, 6 / 11])
    assert_allclose(phase.weight[[0, -1]], [6.0, 6 / 11])
    assert phase.weight.mean() == pytest.approx(1.0)


def test_deferred_weights_are_a_second_phase():
    target = class_target(class_weight={"a": 3, "b": 1}, reweight_after=0.5)
    indices = target.fit(np.array(["a", "b", "b"]))
    early, late = target.phases(part_of(indices), CrossEntropyLoss(), 4)
    assert (early.start, late.start) == (0, 4)
    assert_array_equal(early.weight, np.ones(3))
    assert_allclose(late.weight, [1.8, 0.6, 0.6])


def test_a_posterior_moves_to_another_prior_as_derived_by_hand():
    uniform = np.full(3, 1 / 3)
    posterior = Posterior(np.arange(3), np.array([500, 50, 5]), CrossEntropyLoss(), uniform)
    logits = np.log([[0.2, 0.3, 0.5]])
    as_trained = np.exp(posterior.log(logits, posterior.resolve_prior(None, None)))
    assert_allclose(as_trained, [[0.2, 0.3, 0.5]])
    moved = np.exp(posterior.log(logits, posterior.resolve_prior("train", None)))
    assert_allclose(moved.round(4), [[0.8511, 0.1277, 0.0213]])
    posterior.temperature = 2.0
    softened = np.sqrt([0.2, 0.3, 0.5])
    assert_allclose(
        np.exp(posterior.log(logits, posterior.resolve_prior("uniform", None)))[0],
        softened / softened.sum(),
    )


@pytest.mark.parametrize(
    "loss", [CrossEntropyLoss(), LogitAdjustedLoss()], ids=["plain", "adjusted"]
)
def test_biases_correct_what_is_left_of_a_wrong_prior(loss):
    rng = np.random.default_rng(0)
    counts = np.array([6000, 3000, 1000])
    true = rng.dirichlet([0.5, 0.5, 0.5], size=sum(counts))
    indices = (rng.random(len(true))[:, None] > true.cumsum(axis=1)).sum(axis=1)
    counts = np.bincount(indices)
    loss = loss.fit_counts(counts)
    # The network learned the posterior of other priors than the batches had, and is too certain.
    prior, shown = counts / sum(counts), np.array([0.2, 0.3, 0.5])
    wrong = np.array([0.6, 0.0, -0.6])
    logits = (np.log(true) - np.log(prior) + np.log(shown) - wrong) * 1.5
    if getattr(loss, "adjusts_prior", False):
        logits = logits - np.log(prior)
    posterior = Posterior(np.arange(3), counts, loss, shown)
    posterior.fit_biases(logits, part_of(indices))
    found = np.exp(posterior.log(logits, prior))
    assert_allclose(found.mean(axis=0), prior, atol=0.002)
    assert np.abs(found - true).mean() < 0.02
    # The same biases hold for every prior.
    moved = true / prior / (true / prior).sum(axis=1, keepdims=True)
    uniform = np.full(3, 1 / 3)
    assert np.abs(np.exp(posterior.log(logits, uniform)) - moved).mean() < 0.02
    assert posterior.biases.mean() == pytest.approx(0, abs=1e-12)


def test_the_bias_of_a_class_without_held_out_samples_is_zero():
    posterior = Posterior(
        np.arange(3), np.array([50, 50, 5]), CrossEntropyLoss(), np.full(3, 1 / 3)
    )
    logits = np.random.RandomState(0).normal(size=(40, 3))
    posterior.fit_biases(logits, part_of(np.arange(40) % 2))
    assert posterior.biases[2] == 0 < np.abs(posterior.biases[:2]).min()
    assert posterior.decision_biases is posterior.biases
    assert np.isfinite(posterior.log(logits, None)).all()


def test_outputs_are_judged_by_the_scores_of_scikit_learn():
    target = class_target()
    y = np.array(["a", "a", "b", "b", "b"])
    indices = target.fit(y)
    target.count(indices, np.ones(5))
    target.posterior = Posterior(
        target.classes, target.class_count, CrossEntropyLoss(), np.array([0.4, 0.6])
    )
    outputs = np.array([[1, 0], [0, 1], [0, 1], [0, 2], [3, 1]], dtype=np.float32)
    view, records, score = target.judge(outputs, y)
    predicted = target.predict(target.interpret(outputs))
    assert_array_equal(predicted, ["a", "b", "b", "b", "a"])
    assert_array_equal(view.predict(None), predicted)
    assert score == records["valid_balanced_accuracy"] == balanced_accuracy_score(y, predicted)
    assert_allclose(records["valid_f1"], f1_score(y, predicted, average=None))


# ------------------------------------------------------------------------------ numbers


def test_numbers_are_standardised_by_weighted_mean_and_deviation():
    target = continuous_target()
    values = target.fit([1.0, 3.0, 5.0])
    target.learn(part_of(values, np.array([1.0, 1.0, 2.0])))
    assert target.mean == pytest.approx(3.5)
    assert target.scale == pytest.approx(np.sqrt((2.5**2 + 0.5**2 + 2 * 1.5**2) / 4))
    assert_allclose(target.decode(target.encode(values)), values)


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30),
    st.floats(1e-3, 1e3),
    st.floats(-1e6, 1e6),
)
def test_what_the_network_sees_does_not_depend_on_the_unit(values, scale, shift):
    values = np.array(values)
    if np.ptp(values) < 1e-3 * max(1.0, np.abs(values).max(), abs(shift) / scale):
        return
    seen = []
    for y in (values, scale * values + shift):
        target = continuous_target()
        target.learn(part_of(target.fit(y)))
        seen.append(target.encode(y))
        assert_allclose(target.decode(seen[-1]), y, rtol=1e-9, atol=1e-9 * np.abs(y).max())
    assert_allclose(seen[0], seen[1], rtol=1e-5, atol=1e-5)


def test_a_constant_target_has_no_scale():
    target = continuous_target()
    target.learn(part_of(target.fit([7.0, 7.0, 7.0])))
    assert (target.mean, target.scale) == (7.0, 1.0)


def test_strata_are_ranges_of_equally_many_samples():
    target = continuous_target()
    values = target.fit(np.array([9.0, 1.0, 5.0, 3.0, 7.0, 2.0]))
    stratum, names = target.strata(values, 0.5)
    assert_array_equal(stratum, [2, 0, 1, 1, 2, 0])
    assert names.tolist() == ["y from 1 to 2", "y from 3 to 5", "y from 7 to 9"]


def test_held_out_samples_weigh_as_such_values_do_in_the_training():
    target = continuous_target(target_weight=lambda y: 1.0 + (y > 4))
    values = target.fit([1.0, 2.0, 5.0, 6.0])
    target.learn(part_of(values))
    (phase,) = target.phases(part_of(values), SquaredErrorLoss(), 0)
    assert_allclose(phase.weight, [2 / 3, 2 / 3, 4 / 3, 4 / 3])
    held = part_of(np.array([1.5, 9.0]))
    assert_allclose(target.held_weight(held, None, phase), [2 / 3, 4 / 3])


def test_outputs_of_a_regressor_are_judged_in_the_unit_of_y():
    target = continuous_target()
    y = target.fit([10.0, 20.0, 30.0, 60.0])
    target.learn(part_of(y))
    predicted = y + np.array([1, -1, 2, 0])
    outputs = target.encode(predicted)[:, np.newaxis].astype(np.float32)
    view, records, score = target.judge(outputs, y)
    assert records["valid_mean_absolute_error"] == pytest.approx(1.0, rel=1e-5)
    assert_allclose(view.predict(None), predicted, rtol=1e-5)
    expected = balanced_mean_absolute_error(y, view.predict(None), density=target.density)
    assert -score == pytest.approx(expected, rel=1e-3)
