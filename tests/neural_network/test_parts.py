"""The parts of the room, each against its law."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.base import clone

from skimb._class_prior import effective_prior, shift_log_posterior
from skimb._engine._batch_plan import BatchPlan, class_fractions
from skimb._engine._sample_weights import mean_one
from skimb._held_out import hold_out
from skimb._image_source import ResampledImages
from skimb.losses import FocalLoss
from skimb.neural_network import CNNClassifier, SimpleCNN
from skimb.over_sampling import SMOTE, AugmentedOverSampler

# ------------------------------------------------------------------------- networks


@pytest.mark.parametrize(
    ("image_shape", "embedding"),
    [
        ((1, 8, 8), 2 * 2 * 64),
        ((1, 28, 28), 7 * 7 * 64),
        ((3, 32, 32), 4 * 4 * 128),
        ((3, 33, 40), 192),
        ((3, 64, 64), 192),
        ((3, 300, 200), 192),
        ((1, 1, 10), 2 * 64),
        ((5, 1, 1), 64),
        ((1, 2, 3), 64),
    ],
)
def test_simple_cnn_fits_itself_to_the_image(image_shape, embedding):
    net = SimpleCNN(image_shape[0], 3, image_shape=image_shape)
    assert net.head.in_features == embedding
    assert net(torch.zeros(2, *image_shape)).shape == (2, 3)


# ------------------------------------------------------------------------- batches


def plan_of(target, **kwargs):
    settings = {
        "batch_size": 16,
        "n_epochs": 5,
        "steps_per_epoch": None,
        "batch_sampling": None,
        "rng": np.random.RandomState(0),
    }
    return BatchPlan(np.asarray(target), **{**settings, **kwargs})


@given(n=st.integers(1, 300), batch_size=st.integers(1, 64))
def test_an_epoch_is_every_row_once_in_batches_of_equal_size(n, batch_size):
    batches = plan_of(np.zeros(n, int), batch_size=batch_size).epoch()
    sizes = [len(batch) for batch in batches]
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= batch_size
    np.testing.assert_array_equal(np.sort(np.concatenate(batches)), np.arange(n))


@settings(deadline=None)
@given(
    counts=st.lists(st.integers(1, 60), min_size=2, max_size=5),
    batch_size=st.integers(1, 40),
    sampling=st.sampled_from(["balanced", "sqrt", "progressive", 0.0, 0.3, 1.0]),
)
def test_quotas_are_exact(counts, batch_size, sampling):
    target = np.repeat(np.arange(len(counts)), counts)
    plan = plan_of(target, batch_size=batch_size, batch_sampling=sampling, steps_per_epoch=9)
    drawn, expected = np.zeros(len(counts)), np.zeros(len(counts))
    for epoch in range(5):
        shares = class_fractions(sampling, np.array(counts), progress=epoch / 4)
        for batch in plan.epoch():
            assert len(batch) == min(batch_size, len(target))
            drawn += np.bincount(target[batch], minlength=len(counts))
            expected += shares * len(batch)
            # What a class is owed never reaches beyond what one batch can settle.
            assert np.abs(drawn - expected).max() < len(counts)


def test_balanced_batches_hold_equal_shares():
    target = np.repeat([0, 1, 2, 3], [500, 50, 20, 5])
    for batch in plan_of(target, batch_sampling="balanced").epoch():
        np.testing.assert_array_equal(np.bincount(target[batch]), [4, 4, 4, 4])


def test_within_a_class_the_rows_take_turns():
    target = np.repeat([0, 1], [40, 7])
    rows = np.concatenate(plan_of(target, batch_sampling="balanced", steps_per_epoch=7).epoch())
    times = np.bincount(rows, minlength=47)
    assert np.ptp(times[:40]) <= 1
    assert np.all(times[40:] == 8)


def test_golden_shares():
    counts = np.array([500, 50, 5])
    np.testing.assert_allclose(
        class_fractions("sqrt", counts), [0.70610111, 0.22328878, 0.07061011], rtol=1e-6
    )
    np.testing.assert_allclose(
        class_fractions(0.25, counts), [0.75900901, 0.1509009, 0.09009009], rtol=1e-6
    )
    np.testing.assert_allclose(
        class_fractions("progressive", counts, progress=0.25), class_fractions(0.25, counts)
    )
    np.testing.assert_allclose(class_fractions("balanced", counts), 1 / 3)


# ------------------------------------------------------------------------- weights and priors


@given(
    weight=st.lists(st.floats(0.001, 1000), min_size=1, max_size=20),
    factor=st.integers(-30, 30).map(lambda power: 2.0**power),
)
def test_proportional_weights_are_equal_to_the_bit(weight, factor):
    weight = np.array(weight)
    np.testing.assert_array_equal(mean_one(weight)[0], mean_one(weight * factor)[0])
    assert mean_one(weight)[0].mean() == pytest.approx(1)


def test_mean_one_refuses_nothing_but_zeros():
    with pytest.raises(ValueError, match="All weights of the training part are zero"):
        mean_one(np.zeros(3))


def test_effective_prior_is_prior_times_weight():
    target = np.repeat([0, 1, 2], [500, 50, 5])
    weight = np.array([1.0, 10.0, 100.0])[target]
    natural = np.bincount(target) / len(target)
    np.testing.assert_allclose(effective_prior(natural, target, weight), 1 / 3)
    np.testing.assert_allclose(effective_prior(natural, target, np.ones(555)), natural)


def test_elkan_golden():
    """p' = b'(p - pb) / (b - pb + b'p - bb') with p = 0.7, b = 0.5, b' = 0.1."""
    shifted = shift_log_posterior(
        np.log([[0.3, 0.7]]), source=np.array([0.5, 0.5]), target=np.array([0.9, 0.1])
    )
    assert np.exp(shifted[0, 1]) == pytest.approx(0.20588235)


def test_focal_loss_with_class_weights_golden():
    """Weights of 1 - alpha and alpha move equal priors to (1 - alpha, alpha)."""
    logits = torch.log(torch.tensor([[0.3, 0.7]], dtype=torch.float64))
    for gamma, alpha, golden in ((2, 0.25, 0.96673777), (2, 0.5, 0.90643751), (0, 0.25, 0.875)):
        posterior = FocalLoss(gamma=gamma).effective_logits(logits).numpy()
        source = np.array([1 - alpha, alpha])
        shifted = shift_log_posterior(posterior, source=source, target=np.array([0.5, 0.5]))
        assert np.exp(shifted[0, 1]) == pytest.approx(golden)


PRIOR = 0.15
MEANS = -0.8, 0.8


def gaussians(n, seed=0):
    """Two normal classes, whose posterior is known: a logistic function."""
    rng = np.random.RandomState(seed)
    y = (rng.rand(n) < PRIOR).astype(int)
    return (np.array(MEANS)[y] + rng.randn(n))[:, None], y


def true_posterior(x, prior):
    return expit(2 * MEANS[1] * x.ravel() + logit(prior))


@pytest.mark.slow
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"loss": "focal"},
        {"class_weight": "balanced"},
        {"class_weight": {0: 1, 1: 30}},
        {"loss": "focal", "class_weight": "sqrt"},
        {"batch_sampling": "balanced"},
        {"batch_sampling": "sqrt", "class_weight": {0: 1, 1: 3}},
        {"batch_sampling": 0.3},
        {"sampler": "over"},
        {"sampler": "under"},
    ],
    ids=str,
)
def test_probabilities_are_right_for_any_prior(params):
    from skimb.over_sampling import RandomOverSampler
    from skimb.under_sampling import RandomUnderSampler

    samplers = {"over": RandomOverSampler(), "under": RandomUnderSampler()}
    if "sampler" in params:
        params = {**params, "sampler": samplers[params["sampler"]]}
    X, y = gaussians(20000)
    clf = CNNClassifier(
        "linear", lr=3e-2, max_epochs=8, weight_decay=0, random_state=0, **params
    ).fit(X, y)
    grid = np.linspace(-2, 2, 50)[:, None]
    priors = {"train": PRIOR, "uniform": 0.5}
    for target_prior, prior in priors.items():
        clf.set_params(target_prior=target_prior)
        error = clf.predict_proba(grid)[:, 1] - true_posterior(grid, prior)
        assert np.abs(error).max() < 0.04, target_prior
    clf.set_params(target_prior={0: 0.3, 1: 0.7})
    error = clf.predict_proba(grid)[:, 1] - true_posterior(grid, 0.7)
    assert np.abs(error).max() < 0.04


@pytest.mark.slow
@pytest.mark.parametrize(
    "params", [{"max_epochs": 1}, {"max_epochs": 12}, {"max_epochs": 40, "early_stopping": True}]
)
def test_progressive_batches_know_the_prior_of_the_epoch_that_is_kept(params):
    X, y = gaussians(20000)
    clf = CNNClassifier(
        *("linear",),
        batch_sampling="progressive",
        target_prior="train",
        lr=3e-2,
        weight_decay=0,
        random_state=0,
        **params,
    ).fit(X, y)
    grid = np.linspace(-2, 2, 50)[:, None]
    error = clf.predict_proba(grid)[:, 1] - true_posterior(grid, PRIOR)
    assert np.abs(error).max() < 0.08


@pytest.mark.parametrize("target_prior", [None, "train", "sqrt", "uniform", {0: 0.1, 1: 0.9}])
@pytest.mark.parametrize("loss", ["cross_entropy", "focal"])
def test_the_three_predictions_agree(target_prior, loss):
    X, y = gaussians(300)
    clf = CNNClassifier(
        "linear", loss=loss, target_prior=target_prior, max_epochs=3, random_state=0
    ).fit(X, y)
    proba, decision, predicted = clf.predict_proba(X), clf.decision_function(X), clf.predict(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(predicted, (decision > 0).astype(int))
    np.testing.assert_array_equal(predicted, proba.argmax(axis=1))
    np.testing.assert_allclose(decision, np.log(proba[:, 1] / proba[:, 0]), atol=1e-9)


def test_the_prior_of_square_roots_lies_between_that_of_the_training_and_the_uniform_one():
    X, y = gaussians(300)
    clf: Any = CNNClassifier("linear", target_prior="sqrt", max_epochs=1, random_state=0)
    clf.fit(X, y)
    roots = np.sqrt(np.bincount(y))
    between = clf.predict_proba(X)
    np.testing.assert_allclose(clf.predicted_prior_, roots / roots.sum())
    same = clf.set_params(target_prior=dict(enumerate(roots / roots.sum()))).predict_proba(X)
    np.testing.assert_allclose(between, same)
    train, uniform = (
        clf.set_params(target_prior=prior).decision_function(X) for prior in ("train", "uniform")
    )
    # Half of the way, in log-odds.
    np.testing.assert_allclose(np.log(between[:, 1] / between[:, 0]), (train + uniform) / 2)


@pytest.mark.slow
def test_weights_keep_their_effect_unless_a_prior_is_asked_for():
    X, y = gaussians(2000)
    base = CNNClassifier("linear", lr=1e-2, random_state=0)
    plain = base.fit(X, y).predict(X).mean()
    weighted = base.set_params(class_weight="balanced").fit(X, y).predict(X).mean()
    assert weighted > plain + 0.1
    back = base.set_params(target_prior="train").predict(X).mean()
    assert back == pytest.approx(plain, abs=0.03)


def test_a_class_of_weight_zero_has_no_prior_to_shift():
    X, y = gaussians(100)
    clf = CNNClassifier("linear", class_weight={0: 0, 1: 1}, max_epochs=1)
    clf.fit(X, y).predict(X)
    with pytest.raises(ValueError, match=r"`class_weight` is zero for \[0\]"):
        clf.set_params(target_prior="train").fit(X, y)


# ------------------------------------------------------------------------- validation


@settings(deadline=None, max_examples=60)
@given(
    contents=st.lists(st.integers(0, 15), min_size=8, max_size=60),
    n_groups=st.integers(3, 30) | st.none(),
    seed=st.integers(0, 100),
)
def test_nothing_stands_on_both_sides(contents, n_groups, seed):
    rng = np.random.RandomState(seed)
    # Two rows that nothing ties: one class at least can be split.
    images = np.array([100, 101, *contents])[:, None]
    target = rng.randint(0, 3, size=len(images))
    target[:5] = [0, 0, 0, 1, 2]
    groups = None if n_groups is None else rng.randint(0, n_groups, size=len(images))
    if groups is not None:
        groups[:2] = 100, 101
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        train, valid = hold_out(images, target, fraction=0.3, rng=rng, groups=groups)
    np.testing.assert_array_equal(np.sort(np.r_[train, valid]), np.arange(len(images)))
    assert not set(images[train].ravel()) & set(images[valid].ravel())
    if groups is not None:
        assert not set(groups[train]) & set(groups[valid])
    # Every class keeps rows to train on.
    assert set(target[train]) == set(target)


def test_distinct_rows_are_split_by_class():
    target = np.repeat([0, 1, 2], [500, 50, 5])
    images = np.arange(555)[:, None]
    train, valid = hold_out(images, target, fraction=0.2, rng=np.random.RandomState(0))
    np.testing.assert_array_equal(np.bincount(target[valid]), [100, 10, 1])
    assert len(train) == 555 - 111


def test_a_class_whose_rows_are_all_equal_stays_in_training():
    images = np.r_[np.arange(30), np.full(10, 99)][:, None]
    target = np.repeat([0, 1], [30, 10])
    with pytest.warns(UserWarning, match=r"The samples of \['rare'\] are too few"):
        _, valid = hold_out(
            images,
            target,
            fraction=0.3,
            rng=np.random.RandomState(0),
            classes=np.array(["many", "rare"]),
        )
    assert set(target[valid]) == {0}


def test_chains_of_equal_rows_and_groups_are_tied():
    """Rows 0 and 1 are equal, 1 and 2 share a group, 2 and 3 are equal: one bundle of four."""
    images = np.array([7, 7, 8, 8, *range(20, 60)])[:, None]
    groups = np.array([0, 1, 1, 2, *range(10, 50)])
    target = np.zeros(44, int)
    for seed in range(20):
        _, valid = hold_out(
            images, target, fraction=0.5, rng=np.random.RandomState(seed), groups=groups
        )
        assert len({0, 1, 2, 3} & set(valid.tolist())) in (0, 4)


@pytest.mark.slow
@given(
    seed=st.integers(0, 99),
    with_groups=st.booleans(),
    sampler=st.sampled_from([SMOTE(lazy=True), AugmentedOverSampler(lazy=True)]),
)
@settings(deadline=None)
def test_no_relative_of_a_held_out_row_stays(seed, with_groups, sampler):
    rng = np.random.RandomState(seed)
    X = rng.randint(0, 256, size=(80, 4, 4)).astype(np.uint8)
    # Some rows are equal, though they are not each other's copies.
    X[3], X[70] = X[4], X[71]
    sampler = clone(sampler).set_params(random_state=seed)
    view, y = sampler.fit_resample(X, np.repeat([0, 1], [60, 20]))
    groups = rng.randint(0, 40, size=len(y)) if with_groups else None
    ancestry = view.ancestry()
    images = np.asarray(view)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        made = ResampledImages(images[..., np.newaxis], view)
        train, valid = hold_out(made, y, fraction=0.2, rng=rng, groups=groups)
    # Only copies are held out (SMOTE makes some, between equal rows).
    assert view.are_copies()[valid].all()
    assert not set(train) & set(valid)
    assert not set(ancestry[train].indices) & set(ancestry[valid].indices)
    assert not set(map(bytes, images[train])) & set(map(bytes, images[valid]))
    if groups is not None:
        assert not set(groups[train]) & set(groups[valid])
    else:
        # A fifth of the originals of each class, and only their relatives are left out.
        n_originals = np.bincount(y[view.are_copies()])
        assert np.abs(np.bincount(y[valid]) - n_originals / 5).max() <= 1
        lost = np.setdiff1d(np.arange(len(y)), np.r_[train, valid])
        related = np.isin(ancestry[lost].indices, ancestry[valid].indices)
        assert len(lost) == 0 or np.add.reduceat(related, ancestry[lost].indptr[:-1]).all()
    # Every class keeps rows to train on.
    assert set(y[train]) == {0, 1}
