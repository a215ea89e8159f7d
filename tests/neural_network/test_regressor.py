"""CNNRegressor: what its parameters do, and what it leaves alone."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from skimb._lazy_rows import ResampledRows
from skimb.losses import BalancedMSELoss, HuberLoss
from skimb.metrics import balanced_mean_absolute_error, prediction_slope
from skimb.neural_network import CNNClassifier, CNNEmbedder, CNNRegressor, DecoupledClassifier
from skimb.over_sampling import (
    SMOGN,
    SMOTER,
    GaussianNoiseOverSampler,
    RelevanceOverSampler,
    RelevanceSampler,
)
from skimb.relevance import (
    LabelDensity,
    Relevance,
    compute_target_weight,
    fit_target_weight,
    relevance_bumps,
)
from skimb.under_sampling import RelevanceUnderSampler

#: A short training on the images as they are: few large batches.
SHORT = {"max_epochs": 2, "batch_size": 128, "augmentation": None, "random_state": 0}


def quick(**kwargs):
    return CNNRegressor(**{**SHORT, **kwargs})


def noise_images(n=240, side=8, seed=0):
    """Noise of a spread that is to be found, most often near 5.5."""
    rng = np.random.RandomState(seed)
    y = rng.normal(5.5, 1.0, size=n).clip(0.5)
    y[: n // 20] = rng.uniform(1, 10, size=n // 20)
    return (rng.normal(size=(n, side, side)) * y[:, None, None]).astype(np.float32), y


@pytest.fixture(scope="module")
def noise():
    return noise_images()


def small_net(in_channels, n_outputs):
    return nn.Sequential(
        nn.Conv2d(in_channels, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, n_outputs)
    )


def error(estimator, n=400):
    rng = np.random.RandomState(9)
    y = rng.uniform(1, 10, size=n)
    X = (rng.normal(size=(n, 8, 8)) * y[:, None, None]).astype(np.float32)
    return np.abs(estimator.predict(X) - y)


# ------------------------------------------------------------------------- the target


@pytest.mark.slow
def test_it_learns_a_number():
    X, y = noise_images(600)
    reg = CNNRegressor(random_state=0).fit(X, y)
    assert error(reg).mean() < 0.8
    assert reg.score(X, y) > 0.5
    assert reg.predict(X).dtype == np.float64


@pytest.mark.slow
def test_predictions_are_in_the_unit_of_the_target_whatever_it_is(noise):
    X, y = noise
    for params in ({}, {"loss": "huber"}, {"loss": "balanced_mse", "target_weight": "lds"}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            plain = quick(**params).fit(X, y).predict(X)
            # Powers of two change no digit.
            np.testing.assert_array_equal(quick(**params).fit(X, 1024 * y).predict(X), 1024 * plain)
            moved = quick(**params).fit(X, 30 * y - 1e4).predict(X)
        np.testing.assert_allclose(moved, 30 * plain - 1e4, rtol=1e-4)


def test_it_starts_at_the_mean_and_keeps_the_scale_of_the_training_part(noise):
    X, y = noise
    weight = np.linspace(0, 2, len(y))
    reg = quick(max_epochs=1, lr=1e-12).fit(X, y, weight)
    assert reg.y_mean_ == pytest.approx(np.average(y, weights=weight))
    spread = np.average((y - reg.y_mean_) ** 2, weights=weight) ** 0.5
    assert reg.y_scale_ == pytest.approx(spread)
    assert np.abs(reg.predict(X).mean() - reg.y_mean_) < reg.y_scale_


@pytest.mark.parametrize("value", [0.0, 7.0, -1e9, 1e-30])
def test_a_constant_target_is_predicted(value, noise):
    X, _ = noise
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for loss in ("squared_error", "balanced_mse", BalancedMSELoss(form="mixture")):
            reg = quick(loss=loss).fit(X, np.full(len(X), value))
            assert reg.y_scale_ == 1.0
            assert np.isfinite(reg.predict(X)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: np.where(y > 6, np.nan, y), "Input y contains NaN"),
        (lambda y: np.where(y > 6, np.inf, y), "Input y contains infinity"),
        (lambda y: np.stack([y, y], axis=1), "y should be a 1d array"),
        (lambda y: np.full(len(y), "many"), "could not convert string to float"),
        (lambda y: y[:-1], "inconsistent numbers of samples"),
        (lambda y: None, "requires y to be passed"),
    ],
)
def test_bad_targets_are_refused_and_nothing_is_half_fitted(change, message, noise):
    X, y = noise
    reg = quick().fit(X, y)
    with pytest.raises(ValueError, match=message):
        reg.fit(X, change(y))
    assert not hasattr(reg, "net_")


# ------------------------------------------------------------------------- weights


@pytest.mark.parametrize("scheme", ["inverse", "sqrt", "lds"])
def test_schemes_are_the_weights_of_their_rows(scheme, noise):
    X, y = noise
    density = LabelDensity(bins=12, sigma=1.0)
    training = quick(target_weight=scheme, density=density)._prepare(X, y)
    expected = compute_target_weight(scheme, y, density=clone(density))
    np.testing.assert_allclose(training.phases[-1].weight, expected, rtol=1e-12)
    assert not hasattr(density, "edges_")


@pytest.mark.exhaustive
@pytest.mark.slow
def test_weights_help_the_rare_range_and_a_function_may_give_them():
    X, y = noise_images(600)
    plain = error(CNNRegressor(random_state=0).fit(X, y))
    weighted = error(CNNRegressor(target_weight="inverse", random_state=0).fit(X, y))
    assert weighted.mean() < plain.mean()
    by_function = CNNRegressor(
        target_weight=lambda y: compute_target_weight("inverse", y), random_state=0
    )
    np.testing.assert_allclose(error(by_function.fit(X, y)), weighted, rtol=1e-6)


def test_a_relevance_may_give_the_weights(noise):
    X, y = noise
    relevance = Relevance([(3, 1), (5.5, 0.1), (8, 1)])
    weight = quick(target_weight=relevance)._prepare(X, y).phases[-1].weight
    expected = clone(relevance).fit(y)(y)
    np.testing.assert_allclose(weight, expected / expected.mean())
    assert not hasattr(relevance, "points_")


@pytest.mark.parametrize("weigh", [lambda y: -np.abs(y), lambda y: y[:2], lambda y: y * np.nan])
def test_functions_that_give_no_weights_are_refused(weigh, noise):
    with pytest.raises(ValueError, match="`target_weight` must give a finite weight"):
        quick(target_weight=weigh).fit(*noise)


def test_weights_may_set_in_later(noise):
    X, y = noise
    training = quick(target_weight="inverse", reweight_after=0.5, max_epochs=4)._prepare(X, y)
    early, late = training.phases
    assert (early.start, late.start) == (0, 2)
    np.testing.assert_array_equal(early.weight, np.ones(len(y)))
    assert np.ptp(late.weight) > 1
    assert early.loss is late.loss


def test_rows_of_weight_zero_are_left_out(noise):
    X, y = noise
    weight = np.ones(len(y))
    weight[::3] = 0
    kept = weight > 0
    np.testing.assert_array_equal(
        quick().fit(X, y, weight).predict(X), quick().fit(X[kept], y[kept]).predict(X)
    )
    with pytest.raises(
        ValueError, match=r"at least two samples of positive weight. Got n_samples=1"
    ):
        quick().fit(X, y, np.eye(len(y))[0])


@pytest.mark.parametrize(
    ("params", "warns"),
    [
        ({"loss": "balanced_mse", "target_weight": "sqrt"}, True),
        ({"loss": "balanced_mse", "batch_sampling": "lds"}, True),
        ({"target_weight": "inverse", "batch_sampling": "relevance"}, True),
        ({"target_weight": "sqrt", "batch_sampling": "sqrt"}, False),
        ({"target_weight": "inverse"}, False),
    ],
)
def test_two_remedies_for_one_imbalance_are_named(params, warns, noise):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quick(max_epochs=1, **params).fit(*noise)
    texts = [str(w.message) for w in caught]
    assert [("favoured twice" in text) for text in texts] == [True] * warns
    if warns:
        assert caught[0].filename == __file__


# ------------------------------------------------------------------------- batches


def rows_drawn(reg, X, y):
    """Return how often each row stands in the batches of an epoch, and the batches."""
    plan = reg._prepare(X, y).plan
    batches = plan.epoch()
    return np.bincount(np.concatenate(batches), minlength=len(y)), batches


@pytest.mark.parametrize("scheme", ["inverse", "sqrt", "lds"])
def test_batches_show_rows_as_often_as_the_scheme_would_weigh_them(scheme, noise):
    X, y = noise
    drawn = np.zeros(len(y))
    plan = quick(batch_sampling=scheme, batch_size=60)._prepare(X, y).plan
    for _ in range(50):
        drawn += np.bincount(np.concatenate(plan.epoch()), minlength=len(y))
    weight = compute_target_weight(scheme, y)
    assert np.abs(drawn / 50 - weight).max() < 0.25
    assert np.corrcoef(drawn, weight)[0, 1] > 0.99


def test_batches_by_relevance_hold_equal_shares_of_each_bump(noise):
    X, y = noise
    relevance = Relevance([(3, 1), (4, 0), (7, 0), (8, 1)])
    bump, is_rare = relevance_bumps(y, relevance=relevance)
    assert is_rare.tolist() == [True, False, True]
    _, batches = rows_drawn(quick(batch_sampling="relevance", relevance=relevance), X, y)
    for batch in batches:
        counts = np.bincount(bump[batch], minlength=3)
        assert np.ptp(counts) <= 1


def test_batches_by_relevance_need_something_rare(noise):
    X, _ = noise
    with pytest.raises(ValueError, match="none would be relevant"):
        quick(batch_sampling="relevance").fit(X, np.linspace(0, 1, len(X)))


def test_without_batch_sampling_every_row_comes_once(noise):
    drawn, _ = rows_drawn(quick(), *noise)
    assert set(drawn) == {1}


# ------------------------------------------------------------------------- losses


@pytest.mark.slow
@pytest.mark.parametrize(
    "loss",
    [
        pytest.param("squared_error", marks=pytest.mark.exhaustive),
        pytest.param("absolute_error", marks=pytest.mark.exhaustive),
        pytest.param("huber", marks=pytest.mark.exhaustive),
        pytest.param("focal_r", marks=pytest.mark.exhaustive),
        "balanced_mse",
        pytest.param(BalancedMSELoss(form="binned"), marks=pytest.mark.exhaustive),
        pytest.param(BalancedMSELoss(form="mixture", noise=0.3), marks=pytest.mark.exhaustive),
        pytest.param(nn.SmoothL1Loss(beta=0.5), marks=pytest.mark.exhaustive),
        lambda prediction, target: (prediction - target).abs() ** 1.5,
    ],
    ids=lambda loss: getattr(loss, "__name__", repr(loss)),
)
def test_every_loss_beats_the_constant(loss):
    X, y = noise_images(400)
    reg = CNNRegressor(loss=loss, random_state=0).fit(X, y)
    assert (
        error(reg).mean() < 0.6 * np.abs(np.random.RandomState(9).uniform(1, 10, 400) - 5.5).mean()
    )


def test_a_huber_of_wide_reach_is_the_squared_error_but_for_its_half(noise):
    X, y = noise
    wide = quick(loss=HuberLoss(delta=1e6), max_grad_norm=None, optimizer="sgd", lr=2e-3)
    square = quick(max_grad_norm=None, optimizer="sgd", lr=1e-3)
    for reg in (wide, square):
        reg.set_params(weight_decay=0.0)
    np.testing.assert_allclose(
        wide.fit(X, y).predict(X), square.fit(X, y).predict(X), rtol=1e-3, atol=1e-3
    )


@pytest.mark.exhaustive
@pytest.mark.slow
def test_the_noise_of_the_balanced_error_is_learned_after_a_warm_up(noise):
    X, y = noise
    reg = CNNRegressor(loss="balanced_mse", random_state=0).fit(X, y)
    assert 0.05 < reg.loss_.noise_ < 1
    # What it began with: the error of the last epoch by squared error.
    assert reg.loss_.noise_ < reg.history_[1]["train_loss"] ** 0.5
    fixed = CNNRegressor(loss=BalancedMSELoss(noise=0.5), random_state=0).fit(X, y)
    assert fixed.loss_.noise_ == pytest.approx(0.5)


@pytest.mark.slow
@pytest.mark.parametrize("params", [{}, {"ranksim": 10.0}, {"target_weight": "inverse"}])
def test_the_noise_begins_at_the_squared_error_whatever_else_is_trained_for(
    params, noise, monkeypatch
):
    begins = []

    def note(loss, *args):
        ends(loss, *args)
        begins.append(loss.noise_)

    ends = BalancedMSELoss.end_warm_up
    monkeypatch.setattr(BalancedMSELoss, "end_warm_up", note)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reg = quick(max_epochs=20, loss="balanced_mse", **params).fit(*noise)
        plain = quick(max_epochs=20, **params).fit(*noise)
    assert len(begins) == 1
    assert 0.2 < begins[0] < 0.6
    if not params:
        # The median of the errors stands for their standard deviation.
        assert begins[0] == pytest.approx(plain.history_[9]["train_loss"] ** 0.5, rel=0.3)
        assert reg.history_[9]["train_loss"] == plain.history_[9]["train_loss"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "loss",
    [
        "balanced_mse",
        pytest.param(BalancedMSELoss(form="binned"), marks=pytest.mark.exhaustive),
        pytest.param(BalancedMSELoss(form="mixture"), marks=pytest.mark.exhaustive),
    ],
    ids=["batch", "binned", "mixture"],
)
def test_a_balanced_error_does_not_overshoot_on_a_skewed_target(loss):
    """A thousand steps, and errors that grow with the target, as those of prices do.

    A noise that grows with the errors that it makes ends here at an error twice that of the mean.
    """

    def draw(n, seed):
        rng = np.random.RandomState(seed)
        level = rng.randint(10, size=n)
        centre = np.linspace(-1.0, 1.4, 10)[level]
        X = 3 * np.eye(10, dtype=np.float32)[level]
        return X, 20 * np.exp(centre + 0.5 * rng.normal(size=n))

    (X, y), (X_test, y_test) = draw(900, 0), draw(2000, 1)
    constant = np.abs(y_test - y.mean()).mean()
    reg = CNNRegressor("linear", loss=loss, lr=1e-2, random_state=0).fit(X, y)
    predicted = reg.predict(X_test)
    assert reg.n_iter_ * 29 > 1000
    assert prediction_slope(y_test, predicted) < 1.05
    assert np.abs(predicted - y_test).mean() < 0.85 * constant


@pytest.mark.slow
def test_the_warm_up_is_the_training_by_squared_error(noise):
    X, y = noise
    balanced = quick(max_epochs=20, loss="balanced_mse", lr_schedule="constant").fit(X, y)
    plain = quick(max_epochs=20, lr_schedule="constant").fit(X, y)
    losses = [[row["train_loss"] for row in reg.history_] for reg in (balanced, plain)]
    assert losses[0][:10] == losses[1][:10]
    assert losses[0][10] != losses[1][10]
    assert not balanced.loss_.is_warming


def test_a_loss_given_as_object_stays_as_it_is(noise):
    loss = BalancedMSELoss()
    before = copy.deepcopy(loss.state_dict())
    quick(loss=loss).fit(*noise)
    assert before.keys() == loss.state_dict().keys()
    assert all(torch.equal(value, loss.state_dict()[name]) for name, value in before.items())


def test_parameters_of_a_loss_are_searched_and_a_string_offers_the_mend(noise):
    X, y = noise
    search = GridSearchCV(quick(loss=HuberLoss()), {"loss__delta": [0.1, 10.0]}, cv=2).fit(X, y)
    assert np.ptp(search.cv_results_["mean_test_score"]) > 0
    with pytest.raises(ValueError, match=r"loss=HuberLoss\(\)\. In a grid"):
        CNNRegressor(loss="huber").set_params(loss__delta=2.0)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"loss": HuberLoss}, r"not a class. Got HuberLoss: give HuberLoss\(\)"),
        ({"loss": "mse"}, "The 'loss' parameter"),
        ({"loss": lambda p, t: p[:, 0]}, "`loss` failed on predictions of shape"),
        ({"loss": lambda p, t: torch.zeros(5)}, "one value per sample, or a scalar"),
        (
            {"loss": lambda p, t: ((p - t) ** 2).mean(), "target_weight": "sqrt"},
            "returns a scalar, so samples cannot be weighted",
        ),
        ({"loss": "balanced_mse", "batch_size": 1}, "compares the samples of a batch"),
        ({"augmentation": "remix"}, "'remix' needs classes"),
        ({"target_weight": "balanced"}, "The 'target_weight' parameter"),
        ({"batch_sampling": "balanced"}, "The 'batch_sampling' parameter"),
        ({"ranksim": -1.0}, "The 'ranksim' parameter"),
        ({"density": 3}, "The 'density' parameter"),
        ({"module": lambda c, n: small_net(c, 2)}, "y is continuous: it must give"),
        ({"scoring": "accuracy", "early_stopping": True}, "continuous"),
    ],
)
def test_bad_parameters_are_refused(params, message, noise):
    with pytest.raises(ValueError, match=message):
        quick(**params).fit(*noise)


# ------------------------------------------------------------------------- RankSim


@pytest.mark.slow
def test_rank_similarity_orders_the_embedding_as_the_target():
    X, y = noise_images(400)

    def agreement(reg):
        z = reg.fit(X, y).embed(X)
        z /= np.linalg.norm(z, axis=1, keepdims=True) + 1e-12
        near = z @ z.T
        return np.mean([spearmanr(near[i], -np.abs(y - y[i])).statistic for i in range(0, 400, 20)])

    plain, ordered = (agreement(quick(max_epochs=20, ranksim=r)) for r in (0.0, 30.0))
    assert ordered > plain + 0.1


def test_without_rank_similarity_nothing_is_hooked_and_nothing_changes(noise):
    X, y = noise
    reg = quick(ranksim=5.0).fit(X, y)
    assert not any(module._forward_pre_hooks for module in reg.module_.modules())
    assert reg.net_.regularizer is None
    assert not np.array_equal(reg.predict(X), quick().fit(X, y).predict(X))
    pickle.loads(pickle.dumps(reg))


@pytest.mark.slow
def test_rank_similarity_goes_with_mixed_rows_and_every_network(noise):
    X, y = noise
    for params in ({"augmentation": "mixup"}, {"module": "vgg"}, {"module": "linear"}):
        quick(max_epochs=1, ranksim=5.0, **params).fit(X[:40], y[:40])


# ------------------------------------------------------------------------- validation


@pytest.mark.slow
@pytest.mark.parametrize(
    "params",
    [
        {"scoring": "neg_balanced_mean_absolute_error"},
        {"batch_sampling": "inverse"},
        {"sampler": RelevanceOverSampler(random_state=0)},
        {"loss": "balanced_mse"},
    ],
    ids=lambda params: next(iter(params)),
)
def test_early_stopping_watches_the_balanced_error_and_restores_the_best_epoch(params):
    X, y = noise_images(500)
    reg = quick(early_stopping=True, max_epochs=8, n_iter_no_change=3, lr=3e-3, **params)
    reg.fit(X, y)
    held = reg.validation_indices_
    bins = LabelDensity(bins=reg.density_.edges_)
    balanced = balanced_mean_absolute_error(y[held], reg.predict(X[held]), density=bins)
    scores = [row["valid_score"] for row in reg.history_]
    scores = scores[1:] if "loss" in params else scores  # the warm-up does not count
    assert balanced == pytest.approx(-max(scores), rel=1e-5)
    assert len(held) == pytest.approx(50, abs=5)
    keys = {"train_loss", "valid_loss", "valid_mean_absolute_error", "lr", "seconds"}
    assert keys | {"valid_balanced_mean_absolute_error", "valid_score"} == set(reg.history_[0])


def test_early_stopping_watches_the_weighted_loss_by_default():
    X, y = noise_images(300)
    reg = quick(early_stopping=True, max_epochs=4, target_weight="inverse").fit(X, y)
    held = reg.validation_indices_
    trained = np.delete(y, held)
    weigh = fit_target_weight("inverse", trained, density=LabelDensity())
    squares = ((reg.predict(X[held]) - y[held]) / reg.y_scale_) ** 2
    expected = np.mean(squares * weigh(y[held])) / weigh(trained).mean()
    assert max(row["valid_score"] for row in reg.history_) == pytest.approx(-expected, rel=1e-4)
    assert all(row["valid_score"] == -row["valid_loss"] for row in reg.history_)


@pytest.mark.parametrize("scoring", ["r2", "neg_mean_absolute_error", lambda e, X, y: -len(X)])
def test_early_stopping_watches_any_scorer(scoring, noise):
    X, y = noise
    reg = quick(early_stopping=True, scoring=scoring, max_epochs=4).fit(X, y)
    held = reg.validation_indices_
    best = max(row["valid_score"] for row in reg.history_)
    assert best == pytest.approx(get_scorer(scoring)(reg, X[held], y[held]), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["balanced_mse", BalancedMSELoss(form="binned"), "squared_error"])
def test_a_standstill_halves_the_rate_whatever_is_watched(loss, noise):
    """At so low a rate the loss stands still, as the negative score does."""
    reg = quick(
        module="linear",
        loss=loss,
        early_stopping=True,
        max_epochs=12,
        steps_per_epoch=50,
        n_iter_no_change=20,
        lr=1e-7,
        scoring=lambda estimator, X, y: -0.5,
    ).fit(*noise)
    rates = [row["lr"] for row in reg.history_]
    assert rates[-1] <= rates[0] / 4


@pytest.mark.slow
def test_a_loss_whose_scale_changes_is_not_watched():
    """The balanced loss rises as its noise shrinks, while the score improves."""
    X, y = noise_images(400)
    loss = BalancedMSELoss(form="binned")
    reg = quick(loss=loss, early_stopping=True, max_epochs=8, n_iter_no_change=20).fit(X, y)
    scores = [row["valid_score"] for row in reg.history_]
    if all(np.diff(scores) > 0):
        assert len({row["lr"] for row in reg.history_}) == 1
    with pytest.raises(ValueError, match="lr_schedule='plateau' cannot watch this loss"):
        quick(loss=loss, lr_schedule="plateau").fit(X, y)
    quick(loss=BalancedMSELoss(noise=0.5), lr_schedule="plateau").fit(X, y)


@pytest.mark.slow
def test_the_best_epoch_is_none_of_the_warm_up(noise):
    scores = iter([9.0, *[8.0] * 9, 1.0, 3.0, 2.0, *[0.0] * 30])
    reg = quick(
        module="linear",
        loss="balanced_mse",
        early_stopping=True,
        max_epochs=20,
        steps_per_epoch=50,
        n_iter_no_change=3,
        scoring=lambda estimator, X, y: next(scores),
    ).fit(*noise)
    # Ten epochs by squared error; the twelfth is the best of those that count.
    assert reg.n_iter_ == 12 + 3


def test_the_validation_part_holds_low_middle_and_high_values():
    X, y = noise_images(400)
    held = quick(early_stopping=True).fit(X, y).validation_indices_
    thirds = np.quantile(y, [1 / 3, 2 / 3])
    counts = np.bincount(np.searchsorted(thirds, y[held]), minlength=3)
    assert counts.min() >= 10


def test_validation_does_not_leak(noise):
    X, y = noise
    twice = np.concatenate([X, X]), np.concatenate([y, y])
    held = quick(early_stopping=True).fit(*twice).validation_indices_
    assert set(held % len(X)) == set(held[held < len(X)])
    groups = np.arange(len(X)) // 8
    held = quick().fit(X, y, groups=groups).validation_indices_
    assert len(held)
    assert not set(groups[held]) & set(np.delete(groups, held))


def test_of_a_lazy_view_only_originals_are_held_out(noise):
    X, y = noise
    first, second = np.arange(100), np.arange(1, 101)
    view = ResampledRows(
        X,
        np.concatenate([np.arange(len(X)), first]),
        np.concatenate([np.arange(len(X)), second]),
        np.concatenate([np.zeros(len(X)), np.full(100, 0.5)]),
    )
    both = np.concatenate([y, (y[first] + y[second]) / 2])
    reg = quick(early_stopping=True).fit(view, both)
    assert reg.validation_indices_.max() < len(X)


def test_a_group_that_cannot_be_split_is_an_error(noise):
    X, y = noise
    with pytest.raises(ValueError, match="No part of the range of y can be split"):
        quick(early_stopping=True).fit(X, y, groups=np.zeros(len(X)))


# ------------------------------------------------------------------------- samplers


class Jitter(BaseEstimator):
    """A sampler of continuous targets that adds moved copies of the highest rows."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit_resample(self, X, y):
        rng = np.random.RandomState(self.random_state)
        high = np.flatnonzero(y > np.quantile(y, 0.9))
        self.sample_indices_ = np.concatenate([np.arange(len(y)), high])
        self.parents_ = np.stack([high, high], axis=1)
        self.gaps_ = np.zeros(len(high))
        return np.concatenate([X, X[high]]), np.concatenate(
            [y, y[high] + rng.normal(size=len(high))]
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def test_a_sampler_sees_the_training_part_in_the_unit_of_y_and_makes_new_values(noise):
    X, y = noise
    reg = quick(sampler=Jitter(), early_stopping=True)
    training = reg._prepare(X, 100 * y, np.linspace(1, 2, len(y)))
    n_train = len(y) - len(training.valid_indices)
    assert len(training.part.target) > n_train
    made = training.target.decode(training.part.target[n_train:])
    assert made.min() > 100 * np.quantile(y, 0.85)
    assert np.abs(made[:, None] - 100 * y).min(axis=1).max() > 1e-6
    weight = training.part.weight
    assert weight[n_train:].min() >= weight[:n_train].min()
    reg.fit(X, y)


# ------------------------------------------------------------------------- forms of X


@pytest.mark.slow
def test_files_arrays_tensors_and_frames_train_alike(tmp_path):
    rng = np.random.RandomState(0)
    y = rng.gamma(2, size=40)
    X = rng.randint(0, 256, size=(40, 9, 8), dtype=np.uint8)
    for i, image in enumerate(X):
        Image.fromarray(image).save(tmp_path / f"{i:02}.png")
    paths = sorted(tmp_path.glob("*.png"))
    expected = quick(standardize=(128, 64)).fit(X, y).predict(X)
    for form in (
        torch.from_numpy(X),
        X[..., None],
        [str(path) for path in paths],
        pd.DataFrame({"image": [str(path) for path in paths]}),
    ):
        target = pd.Series(y) if isinstance(form, pd.DataFrame) else y
        reg = quick(standardize=(128, 64)).fit(form, target)
        np.testing.assert_array_equal(reg.predict(form), expected)
    table = pd.DataFrame(X.reshape(40, -1)).add_prefix("x")
    reg = quick(image_shape=(1, 9, 8)).fit(table, y)
    assert list(reg.feature_names_in_) == list(table)


def test_a_network_as_callable_or_instance(noise):
    X, y = noise
    for module in (small_net, small_net(1, 1)):
        quick(max_epochs=1, module=module).fit(X, y)


# ------------------------------------------------------------------------- randomness


@pytest.mark.exhaustive
@pytest.mark.slow
def test_equal_to_the_bit_in_any_process_and_alone(noise):
    X, y = noise
    reg = quick(loss="balanced_mse", ranksim=3.0, augmentation="flip_crop")
    before = torch.get_rng_state(), pickle.dumps(np.random.get_state())
    one, two = (cross_val_predict(reg, X, y, cv=2, n_jobs=n) for n in (1, 2))
    np.testing.assert_array_equal(one, two)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == pickle.dumps(np.random.get_state())
    reg.fit(X, y)
    single = np.concatenate([reg.predict(X[i : i + 1]) for i in range(5)])
    np.testing.assert_array_equal(single, reg.predict(X)[:5])


def test_pickles_without_the_data(noise):
    X, y = noise
    reg = quick(early_stopping=True, ranksim=1.0).fit(X, y)
    frozen = pickle.dumps(reg)
    np.testing.assert_array_equal(pickle.loads(frozen).predict(X), reg.predict(X))
    more = quick(early_stopping=True, ranksim=1.0).fit(*noise_images(480))
    assert len(pickle.dumps(more)) - len(frozen) < X.nbytes / 10


def test_divergence_is_an_error(noise):
    X, y = noise
    with pytest.raises(ValueError, match="Training diverged"):
        quick(lr=1e20, optimizer="sgd", max_grad_norm=None).fit(X, y)


def test_fine_tuning_freezes_layers(noise):
    X, y = noise
    start = small_net(1, 1)
    reg = quick(module=start, freeze="features").fit(X, y)
    trained = dict(reg.module_.named_parameters())
    moved = {n for n, p in start.named_parameters() if not torch.equal(p, trained[n])}
    assert moved == {"3.weight", "3.bias"}


# ------------------------------------------------------------------------- company


@pytest.mark.slow
def test_embeddings_of_a_regressor_go_to_any_other(noise):
    X, y = noise
    embedder = CNNEmbedder(CNNRegressor(max_epochs=3, random_state=0))
    head = CNNRegressor("linear", target_weight="sqrt", random_state=0, max_epochs=5)
    pipe = make_pipeline(embedder, head).fit(X, y)
    assert pipe.predict(X).shape == (len(X),)


def test_a_classifier_of_two_stages_refuses_a_regressor(noise):
    X, y = noise
    with pytest.raises(ValueError, match="DecoupledClassifier retrains the head of a classifier"):
        DecoupledClassifier(CNNRegressor()).fit(X, y > 5)


def test_the_losses_serve_a_plain_loop(noise):
    """The noise of a balanced error is a parameter like any other."""
    X, y = noise
    loss = BalancedMSELoss().fit(y)
    loss.end_warm_up(0.25)
    net = small_net(1, 1)
    optimizer = torch.optim.Adam([*net.parameters(), *loss.parameters()])
    rows = TensorDataset(torch.tensor(X)[:, None], torch.tensor(y).float())
    for images, values in DataLoader(rows, batch_size=60):
        optimizer.zero_grad()
        loss(net(images)[:, 0], values).backward()
        optimizer.step()
    # The network is far off, which must not make the noise grow.
    assert loss.log_noise_.grad is not None
    assert loss.log_noise_.grad < 0
    assert loss.noise_ == pytest.approx(0.5)


def n_groups(loss, data):
    """Return the number of groups of parameters that the optimiser gets."""
    found = []

    def optimizer(groups, lr, weight_decay):
        found.append(len(groups))
        return torch.optim.SGD(groups, lr=lr, weight_decay=weight_decay)

    quick(loss=loss, optimizer=optimizer).fit(*data)
    return found[-1]


def test_only_the_loss_that_asks_for_it_brings_parameters(noise):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, prediction, target):
            return self.scale * (prediction - target) ** 2

    groups = {
        name: n_groups(loss, noise)
        for name, loss in {
            "balanced": "balanced_mse",
            "fixed": BalancedMSELoss(noise=0.5),
            "own": Scaled(),
            "plain": "squared_error",
        }.items()
    }
    assert groups == {"balanced": 3, "fixed": 2, "own": 2, "plain": 2}


# ------------------------------------------------------------------------- extremes


@pytest.mark.parametrize("unit", [1e160, 1e-170, 2.0**40])
def test_units_may_be_extreme(unit, noise):
    X, y = noise
    plain = quick().fit(X, y).predict(X)
    np.testing.assert_allclose(quick().fit(X, unit * y).predict(X) / unit, plain, rtol=1e-3)


def test_bins_of_the_loss_are_in_the_unit_of_y(noise):
    X, y = noise
    edges = np.linspace(0, 11, 12)
    for params in (
        {"loss": BalancedMSELoss(form="binned", density=LabelDensity(bins=edges))},
        {"loss": BalancedMSELoss(form="binned"), "density": LabelDensity(bins=edges)},
    ):
        reg = quick(**params).fit(X, y)
        centers = reg.loss_.means_.numpy() * reg.y_scale_ + reg.y_mean_
        np.testing.assert_allclose(centers, (edges[:-1] + edges[1:]) / 2, rtol=1e-5)
        assert reg.get_params()["loss"].means_ is None


def test_a_relevance_that_does_not_fit_is_refused_even_where_no_batch_needs_it(noise):
    with pytest.raises(ValueError, match="`points` must be pairs"):
        quick(relevance=Relevance([(0, 5)])).fit(*noise)


class Keeps(BaseEstimator):
    """A sampler that keeps the first rows, with other targets if asked."""

    def __init__(self, n_rows=1, value=None):
        self.n_rows = n_rows
        self.value = value

    def fit_resample(self, X, y):
        self.sample_indices_ = np.arange(self.n_rows)
        return X[: self.n_rows], y[: self.n_rows] if self.value is None else np.full(
            self.n_rows, self.value
        )


@pytest.mark.parametrize("sampler", [Keeps(0), Keeps(1), Keeps(3, np.nan)], ids=repr)
def test_samplers_that_leave_too_little_are_named(sampler, noise):
    with pytest.raises(ValueError, match="must leave at least two samples with finite targets"):
        quick(sampler=sampler).fit(*noise)


@pytest.mark.parametrize("sampler", [SMOTER(), SMOGN(), GaussianNoiseOverSampler()], ids=repr)
def test_a_sampler_for_numbers_is_refused_for_labels(sampler, noise):
    X, _ = noise
    y = np.repeat([0, 1, 2, 9], [150, 50, 25, 15])
    with pytest.raises(ValueError, match="made labels that y does not have"):
        CNNClassifier(sampler=sampler, max_epochs=1, random_state=0).fit(X, y)


@pytest.mark.parametrize(
    "sampler",
    [RelevanceOverSampler(), RelevanceUnderSampler(), RelevanceSampler(), SMOTER(), SMOGN()],
    ids=repr,
)
def test_every_sampler_for_numbers_goes_into_the_regressor(sampler, noise):
    X, y = noise
    training = quick(sampler=sampler, early_stopping=True)._prepare(X, y, np.linspace(1, 2, len(y)))
    before = np.delete(y, training.valid_indices)
    values = training.target.decode(training.part.target)
    assert len(values) != len(before) or not np.allclose(np.sort(values), np.sort(before))
    assert len(training.part.images) == len(training.part.target) == len(training.part.weight)
    quick(sampler=sampler).fit(X, y)
