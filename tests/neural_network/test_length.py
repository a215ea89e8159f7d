"""How long trainings take."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skimb.neural_network import (
    CNNClassifier,
    CNNRegressor,
    DecoupledClassifier,
    FlipCrop,
    training_length,
)
from skimb.over_sampling import RandomOverSampler
from skimb.under_sampling import RandomUnderSampler


@pytest.mark.parametrize(
    ("n_samples", "batch_size", "max_epochs", "steps"),
    [
        # By hand: 900 / 25 = 36, so batches of 32; 29 steps; 35 epochs are the first with 1000.
        (900, 32, 35, 29),
        (40, 16, 334, 3),
        (10, 10, 1000, 1),
        (1, 1, 1000, 1),
        (1600, 64, 40, 25),
        (1599, 32, 20, 50),
        (3199, 64, 20, 50),
        (3200, 128, 40, 25),
        (12_000, 128, 20, 94),
        (60_000, 128, 20, 469),
    ],
)
def test_the_rule_by_hand(n_samples, batch_size, max_epochs, steps):
    length = training_length(n_samples)
    assert length == (batch_size, max_epochs, steps)
    assert length.n_steps == max_epochs * steps


@given(n=st.integers(1, 200_000))
def test_no_training_has_fewer_than_a_thousand_steps_or_twenty_epochs(n):
    length = training_length(n)
    assert length.n_steps >= 1000
    assert length.max_epochs >= 20
    # Not more than either asks for.
    assert length.max_epochs == 20 or (length.max_epochs - 1) * length.steps_per_epoch < 1000


@given(n=st.integers(1, 5000), batch=st.integers(1, 300), epochs=st.integers(1, 50))
def test_given_numbers_are_taken(n, batch, epochs):
    length = training_length(n, batch_size=batch, max_epochs=np.int64(epochs))
    assert length == (min(batch, n), epochs, -(-n // min(batch, n)))
    assert training_length(n, steps_per_epoch=7).max_epochs == 143


@pytest.mark.parametrize(
    "numbers",
    [{"n_samples": 0}, {"batch_size": 0}, {"max_epochs": 2.5}, {"steps_per_epoch": "auto"}],
)
def test_what_is_no_length_is_refused(numbers):
    with pytest.raises(ValueError, match=f"`{next(iter(numbers))}` must be a positive integer"):
        training_length(**{"n_samples": 10, **numbers})


def points(n=60):
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1], [n - n // 6, n // 6])
    return (rng.normal(size=(n, 3)) + y[:, np.newaxis]).astype(np.float32), y


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [CNNClassifier, CNNRegressor])
def test_estimators_follow_the_rule(estimator):
    X, y = points()
    model = estimator("linear", random_state=0).fit(X, y)
    assert model.n_iter_ == training_length(60).max_epochs == 250
    by_hand = estimator("linear", max_epochs=250, batch_size=16, random_state=0).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), by_hand.predict(X))
    assert model.get_params()["max_epochs"] == "auto"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "n_samples"), [(RandomOverSampler(), 100), (RandomUnderSampler(), 20)]
)
def test_the_length_is_that_of_the_samples_after_the_sampler(sampler, n_samples):
    X, y = points()
    clf = CNNClassifier("linear", sampler=sampler, random_state=0).fit(X, y)
    assert clf.n_iter_ == training_length(n_samples).max_epochs


@pytest.mark.slow
def test_the_validation_part_does_not_count():
    X, y = points()
    clf = CNNClassifier("linear", calibration="temperature", random_state=0).fit(X, y)
    assert clf.n_iter_ == training_length(60 - len(clf.validation_indices_)).max_epochs


@pytest.mark.slow
def test_a_new_head_follows_the_rule_too():
    X, y = points()
    clf = DecoupledClassifier(CNNClassifier(max_epochs=1), random_state=0).fit(X, y)
    assert clf.head_.n_iter_ == 250


def test_the_default_augmentation_shifts_images_and_leaves_tables_as_they_are():
    rng = np.random.RandomState(0)
    y = np.tile([0, 1], 20)
    for shape, same in (((6, 6), FlipCrop(flip=False, margin=0.0625)), ((36,), None)):
        X = rng.normal(size=(40, *shape)).astype(np.float32)
        default, named = (
            CNNClassifier("linear", max_epochs=2, random_state=0, **params).fit(X, y)
            for params in ({}, {"augmentation": same})
        )
        np.testing.assert_array_equal(default.predict_proba(X), named.predict_proba(X))
    plain = CNNClassifier("linear", max_epochs=2, augmentation=None, random_state=0)
    X = rng.normal(size=(40, 6, 6)).astype(np.float32)
    shifted = CNNClassifier("linear", max_epochs=2, random_state=0).fit(X, y).predict_proba(X)
    assert np.abs(shifted - plain.fit(X, y).predict_proba(X)).max() > 1e-4


def test_images_of_eight_pixels_are_shifted_by_one():
    import torch

    torch.manual_seed(0)
    image = torch.arange(8.0).expand(1, 1, 8, 8)
    first = {FlipCrop(flip=False, margin=0.0625)(image)[0, 0, 0].tolist()[3] for _ in range(40)}
    assert first == {2.0, 3.0, 4.0}


# ---------------------------------------------------------------------- the end of a training


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [CNNClassifier, CNNRegressor])
def test_a_training_that_was_too_short_is_told_of(estimator):
    X, y = points()
    constant = {"lr": 0.02, "lr_schedule": "constant"}
    short = estimator("linear", max_epochs=4, batch_size=16, random_state=0, **constant)
    with pytest.warns(ConvergenceWarning, match="^16 gradient steps: the training loss still fell"):
        short.fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Long enough; and one that cannot be told.
        estimator("linear", lr=1e-2, random_state=0).fit(X, y)
        estimator("linear", max_epochs=1, random_state=0).fit(X, y)


@pytest.mark.slow
def test_a_first_stage_that_was_too_short_is_told_of():
    X, y = points()
    network = CNNClassifier("linear", max_epochs=4, lr=0.02, lr_schedule="constant")
    clf = DecoupledClassifier(network, random_state=0)
    with pytest.warns(ConvergenceWarning, match="gradient steps"):
        clf.fit(X, y)


# ----------------------------------------------------------------------------- early stopping


def test_more_of_a_small_class_is_held_out():
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1, 2, 3], [200, 20, 8, 4])
    X = rng.normal(size=(len(y), 3))
    clf = CNNClassifier("linear", early_stopping=True, max_epochs=1, random_state=0).fit(X, y)
    # A tenth of 200; five of 20; a quarter of 8; one of 4.
    assert np.bincount(y[clf.validation_indices_]).tolist() == [20, 5, 2, 1]


@pytest.mark.parametrize(
    "params",
    [
        {"class_weight": "balanced"},
        {"batch_sampling": "balanced"},
        {"sampler": RandomOverSampler(random_state=0)},
        {"batch_sampling": "progressive"},
    ],
    ids=lambda params: str(next(iter(params.values()))).partition("(")[0],
)
def test_the_loss_that_is_watched_counts_classes_as_the_training_does(params):
    X, y = points()
    clf = CNNClassifier("linear", early_stopping=True, max_epochs=2, random_state=0, **params)
    clf.fit(X, y)
    held = clf.validation_indices_
    log_proba = clf.predict_log_proba(X[held])[np.arange(len(held)), y[held]]
    balanced = -np.mean([log_proba[y[held] == k].mean() for k in (0, 1)])
    watched = [row["valid_loss"] for row in clf.history_]
    assert min(watched) == pytest.approx(balanced, rel=1e-4)


def test_patience_is_counted_in_gradient_steps():
    """An epoch here has four steps, so a patience of one epoch of 50 steps is one of 13."""
    X, y = points()
    scores = iter([1.0, *[0.0] * 99])
    clf = CNNClassifier(
        "linear",
        early_stopping=True,
        n_iter_no_change=1,
        max_epochs=60,
        batch_size=16,
        scoring=lambda estimator, X, y: next(scores),
        random_state=0,
    ).fit(X, y)
    assert clf.n_iter_ == 1 + 13


@pytest.mark.parametrize("estimator", [CNNClassifier, CNNRegressor])
def test_a_refit_trains_on_all_samples_for_the_epochs_that_were_best(estimator):
    X, y = points()
    settings = {"lr": 0.02, "batch_size": 16, "random_state": 0}
    stopped = estimator("linear", early_stopping=True, max_epochs=30, **settings).fit(X, y)
    again = estimator("linear", early_stopping="refit", max_epochs=30, **settings).fit(X, y)
    for clf in (stopped, again):
        assert len({row["lr"] for row in clf.history_}) == 1
    n_best = 1 + int(np.argmax([row["valid_score"] for row in stopped.history_]))
    by_hand = estimator(
        "linear", max_epochs=n_best, steps_per_epoch=4, lr_schedule="constant", **settings
    ).fit(X, y)
    np.testing.assert_array_equal(again.predict(X), by_hand.predict(X))
    assert (again.module_.head.weight == by_hand.module_.head.weight).all()
    assert (again.module_.head.weight != stopped.module_.head.weight).any()
    # The figures are those of the samples that were held out.
    np.testing.assert_array_equal(again.validation_indices_, stopped.validation_indices_)
    figures = [[row["valid_loss"] for row in clf.history_] for clf in (again, stopped)]
    assert figures[0] == figures[1]


@pytest.mark.slow
def test_a_refit_follows_the_rates_that_were_found_and_keeps_the_temperature():
    X, y = points()
    settings = {"lr": 0.1, "batch_size": 16, "max_epochs": 120, "random_state": 0}
    watched = {"scoring": lambda estimator, X, y: -0.5, "n_iter_no_change": 100}
    clf = CNNClassifier(
        "linear", early_stopping="refit", calibration="temperature", **settings, **watched
    ).fit(X, y)
    # Nothing improves after the first epoch, which is therefore the best.
    assert clf.n_iter_ == 120
    assert clf.temperature_ != 1.0
    corrected = clone(clf).set_params(calibration="bias_corrected").fit(X, y)
    assert corrected.biases_.any()
    by_hand = CNNClassifier("linear", **{**settings, "max_epochs": 1}, steps_per_epoch=4)
    by_hand.set_params(lr_schedule="constant").fit(X, y)
    assert (clf.module_.head.weight == by_hand.module_.head.weight).all()
