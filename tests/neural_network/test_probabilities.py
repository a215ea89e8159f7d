"""Weights, phases, and the bookkeeping of priors: what probabilities speak for."""

import copy

import imblearn.over_sampling
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from skimb._engine._sample_weights import class_weighted
from skimb.losses import (
    BalancedSoftmaxLoss,
    CrossEntropyLoss,
    FocalLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    PolyLoss,
    VectorScalingLoss,
)
from skimb.neural_network import CNNClassifier, CosineLinear
from skimb.over_sampling import SMOTE, RandomOverSampler
from skimb.under_sampling import RandomUnderSampler

# ------------------------------------------------------------------------- known posteriors

COUNTS = np.array([[500, 30, 4], [300, 20, 6], [60, 40, 10], [20, 5, 15], [5, 5, 5]])


@pytest.fixture(scope="module")
def table():
    """Five kinds of images and how often each is of each class: the posterior is that share.

    A linear model on indicators can say any posterior, so what is left is the optimiser's error.
    """
    X, y = [], []
    for kind, counts in enumerate(COUNTS):
        for label, count in enumerate(counts):
            X += [np.eye(5)[kind]] * count
            y += [label] * count
    return np.array(X), np.array(y), COUNTS / COUNTS.sum(axis=1, keepdims=True)


def saturated(**kwargs):
    settings = {
        "optimizer": "adam",
        "lr": 0.3,
        "lr_schedule": "cosine",
        "weight_decay": 0.0,
        "max_grad_norm": None,
        "max_epochs": 250,
        "batch_size": 2000,
        "standardize": None,
        "random_state": 0,
        "target_prior": "train",
    }
    cosines = isinstance(kwargs.get("loss"), LDAMLoss)
    return CNNClassifier(of_cosines if cosines else "linear", **{**settings, **kwargs})


def of_cosines(in_channels, n_outputs):
    """Cosines that can say any posterior: the embedding of each kind is free."""
    return nn.Sequential(nn.Flatten(), nn.Linear(5, 16), CosineLinear(16, n_outputs))


LOSSES = [
    CrossEntropyLoss(),
    CrossEntropyLoss(label_smoothing=0.1),
    CrossEntropyLoss(label_smoothing=[0.0, 0.1, 0.3]),
    FocalLoss(gamma=0.5),
    FocalLoss(gamma=2.0),
    PolyLoss(epsilon=2.0),
    LogitAdjustedLoss(),
    LogitAdjustedLoss(tau=0.6),
    BalancedSoftmaxLoss(),
    VectorScalingLoss(gamma=0.2, tau=1.2),
    VectorScalingLoss(gamma=0.2, tau=0.0),
    VectorScalingLoss(multiplier=[1.3, 0.7, 1.1], offset=[-0.2, -1.5, -1.0]),
    LDAMLoss(),
    LDAMLoss(max_margin=0.2, scale=10.0),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*each correct for the class prior")
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize(
    "remedy",
    [
        {},
        {"class_weight": "balanced"},
        {"class_weight": "effective", "max_weight": 3.0},
        {"class_weight": {0: 1, 1: 3, 2: 2}, "reweight_after": 0.4},
        {"batch_sampling": "balanced"},
        {"batch_sampling": 0.3, "class_weight": "sqrt"},
    ],
    ids=str,
)
def test_every_loss_and_weight_hands_back_the_posterior(loss, remedy, table):
    X, y, posterior = table
    if "batch_sampling" in remedy:
        # Quotas want whole rows: a large batch, and steps enough to see every row.
        remedy = {"batch_size": 1000, "steps_per_epoch": 3, "max_epochs": 120} | remedy
    clf = saturated(loss=loss, **remedy).fit(X, y)
    proba = clf.predict_proba(np.eye(5))
    np.testing.assert_allclose(proba, posterior, atol=0.03)
    # For another prior, Bayes' rule on the same posterior.
    uniform = clf.set_params(target_prior="uniform").predict_proba(np.eye(5))
    expected = posterior / (COUNTS.sum(axis=0) / COUNTS.sum())
    np.testing.assert_allclose(uniform, expected / expected.sum(axis=1, keepdims=True), atol=0.08)


@pytest.mark.slow
@pytest.mark.parametrize("loss", [CrossEntropyLoss(), LogitAdjustedLoss(), FocalLoss()], ids=repr)
@pytest.mark.parametrize(
    "sampler",
    [
        RandomOverSampler(sampling_strategy={1: 600, 2: 400}),
        RandomUnderSampler(sampling_strategy={0: 500}),
        SMOTE(sampling_strategy={1: 600, 2: 400}),
        imblearn.over_sampling.RandomOverSampler(),
        [SMOTE(sampling_strategy={2: 400}), RandomUnderSampler(sampling_strategy={0: 600})],
    ],
    ids=repr,
)
def test_a_sampler_is_undone_too(loss, sampler, table):
    X, y, posterior = table
    clf = saturated(loss=loss, sampler=sampler, batch_size=4000).fit(X, y)
    # Rows are drawn at random: what the draw moves is part of the error.
    np.testing.assert_allclose(clf.predict_proba(np.eye(5)), posterior, atol=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "params",
    [
        {"loss": "asymmetric"},
        {"augmentation": "mixup"},
        {"augmentation": "cutmix"},
        {"augmentation": "remix"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "remedy",
    [{}, {"class_weight": "balanced"}, {"class_weight": "balanced", "reweight_after": 0.5}],
    ids=str,
)
def test_what_has_no_closed_form_is_near_with_a_temperature(params, remedy, table):
    _, _, posterior = table
    # Rows that differ a little, lest all of a kind stand on one side of the validation split.
    X = np.repeat(np.tile(np.eye(5), (3, 1)), 4 * COUNTS.T.ravel(), axis=0)
    X += 0.01 * np.random.RandomState(0).randn(*X.shape)
    y = np.repeat([0, 1, 2], 4 * COUNTS.sum(axis=0))
    settings = {"max_epochs": 60, "batch_size": 500, "lr": 0.1, "validation_fraction": 0.2}
    clf = saturated(calibration="temperature", **settings, **params, **remedy).fit(X, y)
    share = COUNTS.sum(axis=1) / COUNTS.sum()

    def error():
        return share @ np.abs(clf.predict_proba(np.eye(5)) - posterior).sum(axis=1)

    near = error()
    assert near < 0.05
    clf.set_params(target_prior=None)
    assert error() > near or not remedy


@pytest.mark.slow
@pytest.mark.exhaustive
def test_ldam_decides_by_cosines_and_is_calibrated_for_both(small_digits):
    X, y = small_digits
    clf = CNNClassifier(
        loss="ldam", calibration="temperature", validation_fraction=0.3, random_state=0
    ).fit(X, y)
    cosines = torch.tensor(clf.net_.logits(clf._dataset(X)))
    expected = torch.log_softmax(30 * cosines / clf.decision_temperature_, dim=1)
    np.testing.assert_allclose(clf.predict_log_proba(X), expected, atol=1e-4)
    # Its scaled cosines are far too sure, its posterior is not.
    assert clf.decision_temperature_ > 1.5 * clf.temperature_


@pytest.mark.slow
def test_without_a_target_prior_an_adjusted_loss_keeps_its_decision(table):
    X, y, posterior = table
    adjusted = saturated(loss="logit_adjusted", target_prior=None).fit(X, y)
    plain = saturated(target_prior=None).fit(X, y)
    np.testing.assert_allclose(plain.predict_proba(np.eye(5)), posterior, atol=0.03)
    balanced = posterior / (COUNTS.sum(axis=0) / COUNTS.sum())
    balanced /= balanced.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(adjusted.predict_proba(np.eye(5)), balanced, atol=0.06)
    assert (adjusted.predict(np.eye(5)) != plain.predict(np.eye(5))).any()


@pytest.mark.parametrize("prior", [None, "train", "uniform", {0: 0.2, 1: 0.3, 2: 0.5}])
@pytest.mark.parametrize("loss", ["logit_adjusted", "vector_scaling", "ldam", "poly", "asymmetric"])
def test_all_predictions_agree(loss, prior, table):
    X, y, _ = table
    clf = saturated(loss=loss, target_prior=prior, max_epochs=3).fit(X, y)
    proba = clf.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(clf.predict(X), proba.argmax(axis=1))
    np.testing.assert_allclose(clf.decision_function(X), np.log(proba))


# ------------------------------------------------------------------------- temperature


@pytest.mark.slow
@pytest.mark.exhaustive
def test_temperature_makes_held_out_labels_most_probable(small_digits):
    X, y = small_digits
    clf = CNNClassifier(
        loss=LDAMLoss(), calibration="temperature", validation_fraction=0.4, random_state=0
    ).fit(X, y)
    rows = clf.validation_indices_
    # Labels are softened as if each class had one row more.
    soft = np.where(y[rows, None] == clf.classes_, len(rows) + 1, 1) / (len(rows) + 2)
    clf.set_params(target_prior="train")

    def surprise(factor):
        other = copy.copy(clf)
        other.temperature_ = factor * clf.temperature_
        return -(soft * other.predict_log_proba(X[rows])).sum(axis=1).mean()

    assert surprise(1.0) < min(surprise(0.95), surprise(1.05))
    assert surprise(1.0) < surprise(1 / clf.temperature_)


@pytest.mark.slow
def test_temperature_of_a_part_without_mistakes_is_finite(table):
    X, y = np.repeat(np.eye(2), 60, axis=0), np.repeat([0, 1], 60)
    X += np.random.RandomState(0).rand(120, 2) * 0.1
    clf = CNNClassifier("linear", calibration="temperature", lr=0.1, random_state=0).fit(X, y)
    proba = clf.predict_proba(X)
    assert (clf.predict(X) == y).all()
    # Twelve rows cannot tell 0.99 from 1.
    assert 0.8 < proba.max(axis=1).mean() < 0.99


def test_what_cannot_be_calibrated_is_refused_before_training(small_digits):
    X, y = small_digits
    calibrated = CNNClassifier(calibration="temperature", max_epochs=1000)
    weighted = torch.nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0]))
    with pytest.raises(ValueError, match="class weights of its own"):
        calibrated.set_params(loss=weighted).fit(X, y)
    calibrated.set_params(loss="cross_entropy", class_weight={"eight": 0, "rest": 1})
    with pytest.raises(ValueError, match="`class_weight` is zero for"):
        calibrated.fit(X, y)
    calibrated.set_params(class_weight=None)
    rows = np.r_[np.flatnonzero(y == "rest"), np.flatnonzero(y == "eight")[:1]]
    with (
        pytest.raises(ValueError, match="need at least two classes in the validation part"),
        pytest.warns(UserWarning, match="stay in the training part"),
    ):
        calibrated.fit(X[rows], y[rows])


@pytest.mark.slow
def test_temperature_does_not_move_the_decision(small_digits):
    X, y = small_digits
    clf = CNNClassifier(class_weight="balanced", calibration="temperature", random_state=0)
    clf.fit(X, y)
    calibrated = clf.predict(X)
    assert clf.temperature_ != 1
    clf.temperature_ = 1.0
    np.testing.assert_array_equal(clf.predict(X), calibrated)


@pytest.mark.slow
def test_biases_make_held_out_classes_as_probable_as_they_are_frequent(small_digits):
    X, y = small_digits
    clf = CNNClassifier(
        class_weight="balanced",
        calibration="bias_corrected",
        validation_fraction=0.4,
        target_prior="train",
        max_epochs=5,
        random_state=0,
    ).fit(X, y)
    rows = clf.validation_indices_
    assert (clf.biases_ != 0).all()
    np.testing.assert_array_equal(clf.biases_, clf.decision_biases_)
    held, counts = clf.predict_proba(X[rows]), np.bincount(y[rows] == "rest")
    # The held-out classes are weighted by the prior of y.
    weight = (clf.class_count_ / len(y) / counts)[(y[rows] == "rest").astype(int)]
    mean = np.average(held, weights=weight, axis=0)
    assert np.abs(mean - clf.class_count_ / len(y)).max() < 1 / len(rows)
    # Attributes decide the predictions.
    clf.biases_ = np.zeros(2)
    assert np.abs(clf.predict_proba(X[rows]) - held).max() > 1e-4


def test_without_a_correction_all_biases_are_zero(small_digits):
    X, y = small_digits
    for calibration in (None, "temperature"):
        clf = CNNClassifier("linear", calibration=calibration, max_epochs=1, random_state=0)
        clf.fit(X, y)
        assert clf.biases_.tolist() == [0, 0]
        assert clf.decision_biases_.tolist() == [0, 0]


# ------------------------------------------------------------------------- weights


@given(
    counts=st.lists(st.integers(1, 40), min_size=2, max_size=5),
    seed=st.integers(0, 99),
    max_weight=st.one_of(st.none(), st.floats(1, 20)),
)
def test_class_weights_have_mean_one_and_a_ceiling(counts, seed, max_weight):
    rng = np.random.RandomState(seed)
    target = np.repeat(np.arange(len(counts)), counts)
    rows, classes = rng.rand(len(target)) + 0.1, rng.rand(len(counts)) + 0.01
    weight, factor = class_weighted(rows, target, classes, max_weight=max_weight)
    assert weight.mean() == pytest.approx(1)
    np.testing.assert_allclose(weight, rows * factor[target])
    per_class = factor * rows.mean()
    free = np.ones(len(counts), bool)
    if max_weight is not None:
        assert per_class.max() <= max_weight * (1 + 1e-9)
        free = per_class < max_weight * (1 - 1e-9)
    # Those below the ceiling keep their proportions.
    ratio = per_class[free] / classes[free]
    np.testing.assert_allclose(ratio, ratio[:1].repeat(free.sum()) if free.any() else ratio)


def test_weights_of_a_class_that_are_zero_stay_zero():
    weight, _ = class_weighted(np.ones(4), np.array([0, 0, 1, 1]), np.array([0, 5.0]))
    np.testing.assert_allclose(weight, [0, 0, 2, 2])
    weight, _ = class_weighted(
        np.ones(4), np.array([0, 0, 1, 1]), np.array([0, 5.0]), max_weight=1.5
    )
    np.testing.assert_allclose(weight, [0, 0, 1.5, 1.5])


def test_three_classes_by_hand():
    """56, 3 and 41 percent with weights of 1.8, 33.3 and 2.4: balanced, up to their rounding."""
    rng = np.random.RandomState(0)
    y = np.repeat(["a", "b", "c"], [560, 30, 410])
    X = rng.rand(1000, 6, 6).astype(np.float32)
    X[y == "b"] += 0.2
    clf = CNNClassifier(max_epochs=3, batch_size=128, augmentation=None, random_state=0)
    by_hand = clf.set_params(class_weight={"a": 1.8, "b": 33.3, "c": 2.4}).fit(X, y)
    proba, prior = by_hand.predict_proba(X), by_hand.effective_prior_
    balanced = clf.set_params(class_weight="balanced").fit(X, y)
    np.testing.assert_allclose(prior, balanced.effective_prior_, atol=5e-3)
    np.testing.assert_allclose(proba, balanced.predict_proba(X), atol=0.02)


# ------------------------------------------------------------------------- deferral


@pytest.mark.slow
def test_weights_set_in_after_their_share_of_the_epochs(small_digits):
    X, y = small_digits
    settings = {"max_epochs": 4, "lr_schedule": "constant", "random_state": 0}
    losses = {
        after: [
            row["train_loss"]
            for row in CNNClassifier(class_weight="balanced", reweight_after=after, **settings)
            .fit(X, y)
            .history_
        ]
        for after in (0.0, 0.5, 0.74)
    }
    plain = [row["train_loss"] for row in CNNClassifier(**settings).fit(X, y).history_]
    assert losses[0.5][:2] == plain[:2]
    assert losses[0.5][2] != plain[2]
    assert losses[0.74] == losses[0.5]
    assert losses[0.0][0] != plain[0]


def test_counts_set_in_with_the_weights(small_digits):
    X, y = small_digits
    settings = {"max_epochs": 2, "lr_schedule": "constant", "random_state": 0}
    clf = CNNClassifier(loss=LogitAdjustedLoss(), reweight_after=0.5, **settings).fit(X, y)
    np.testing.assert_array_equal(clf.loss_.class_counts(), clf.class_count_)
    # With equal counts the adjustment is the same for all: the cross-entropy.
    torch.manual_seed(0)
    start = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    losses = {
        loss: [
            row["train_loss"]
            for row in CNNClassifier(start, loss=loss, reweight_after=0.5, **settings)
            .fit(X, y)
            .history_
        ]
        for loss in ("cross_entropy", "logit_adjusted")
    }
    first, second = zip(*losses.values(), strict=True)
    assert first[0] == pytest.approx(first[1], rel=1e-5)
    assert abs(second[0] - second[1]) > 0.05


@pytest.mark.slow
def test_early_stopping_waits_for_the_weights(small_digits):
    X, y = small_digits
    clf = CNNClassifier(
        class_weight="balanced",
        reweight_after=0.5,
        max_epochs=10,
        steps_per_epoch=50,
        early_stopping=True,
        scoring="balanced_accuracy",
        n_iter_no_change=1,
        lr=1e-12,
        random_state=0,
    ).fit(X, y)
    # Nothing is learned: the first epoch that counts is kept, and the next one is the last.
    assert clf.n_iter_ == 7
    np.testing.assert_allclose(clf.effective_prior_, 0.5)
    losses = [row["valid_loss"] for row in clf.history_]
    assert losses[0] == pytest.approx(losses[4], rel=0.1)
    assert losses[5] > 2 * losses[4]


# ------------------------------------------------------------------------- double corrections


@pytest.mark.parametrize(
    "params",
    [
        {"loss": "logit_adjusted", "class_weight": "balanced"},
        {"loss": "balanced_softmax", "batch_sampling": "balanced"},
        {"loss": "vector_scaling", "class_weight": "sqrt"},
        {"class_weight": "balanced", "batch_sampling": "balanced"},
        {"class_weight": "effective", "batch_sampling": 1.0},
    ],
    ids=str,
)
def test_two_corrections_warn(params, small_digits):
    with pytest.warns(UserWarning, match="each correct for the class prior") as caught:
        CNNClassifier(**params, max_epochs=1).fit(*small_digits)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "params",
    [
        {"loss": "ldam", "class_weight": "effective", "reweight_after": 0.5},
        {"loss": "focal", "class_weight": "balanced"},
        {"class_weight": "sqrt", "batch_sampling": "sqrt"},
        {"class_weight": {"eight": 2, "rest": 1}, "batch_sampling": "balanced"},
        {"loss": "logit_adjusted", "sampler": RandomOverSampler()},
        {"loss": LogitAdjustedLoss(tau=0), "class_weight": "balanced"},
    ],
    ids=str,
)
def test_what_is_published_together_does_not_warn(params, small_digits):
    CNNClassifier(**params, max_epochs=2).fit(*small_digits)
