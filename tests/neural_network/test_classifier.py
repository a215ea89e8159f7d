"""CNNClassifier: what its parameters do, and what it leaves alone."""

import copy
import os
import pickle
import subprocess
import sys
import threading
from typing import Any

import imblearn.over_sampling
import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.pipeline import Pipeline, make_pipeline
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.metrics import (
    balanced_accuracy_score,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
)
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from torch import nn

from skimb._engine._image_net import ImageNet
from skimb._engine._runtime import resolve_device, threads_for
from skimb.class_weight import class_counts, class_prior
from skimb.losses import CrossEntropyLoss, FocalLoss
from skimb.metrics import imbalance_scoring
from skimb.neural_network import CNNClassifier
from skimb.neural_network._training_samplers import resample_training_part
from skimb.over_sampling import SMOTE, RandomOverSampler
from skimb.under_sampling import RandomUnderSampler

#: A short training on the images as they are: few large batches.
SHORT = {"max_epochs": 2, "batch_size": 128, "augmentation": None, "random_state": 0}


def quick(**kwargs):
    return CNNClassifier(**{**SHORT, **kwargs})


# ------------------------------------------------------------------------- input


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "dtype", "image_shape"),
    [
        ((12,), np.float64, (1, 1, 12)),
        ((9, 7), np.uint8, (1, 9, 7)),
        ((9, 7, 3), np.float32, (3, 9, 7)),
        ((3, 9, 7), np.uint8, (3, 9, 7)),
        ((36, 34, 3), np.uint8, (3, 36, 34)),
    ],
)
def test_images_of_any_layout(shape, dtype, image_shape):
    rng = np.random.RandomState(0)
    X = rng.randint(0, 255, size=(20, *shape)).astype(dtype)
    clf = quick(max_epochs=1).fit(X, np.tile([0, 1], 10))
    assert clf.image_shape_ == image_shape
    assert clf.n_features_in_ == np.prod(shape)
    assert clf.predict_proba(X).shape == (20, 2)
    with pytest.raises(ValueError, match=r"features|fitted on images of shape"):
        clf.predict(X[..., :-1] if shape[0] == 3 else X[:, :-1])


def test_the_same_images_in_any_layout_and_dtype_train_the_same_network(small_digits):
    X, y = small_digits
    expected = quick().fit(X, y).predict_proba(X)
    for other in (X[..., None], X[:, None], X.astype(np.float32), X.astype(np.int64)):
        np.testing.assert_array_equal(quick().fit(other, y).predict_proba(X), expected)
    flat = quick(image_shape=(1, 8, 8)).fit(X.reshape(len(X), -1), y)
    np.testing.assert_array_equal(flat.predict_proba(X.reshape(len(X), -1)), expected)


def test_rows_are_not_taken_for_images_whose_order_is_unknown():
    rng = np.random.RandomState(0)
    X, y = rng.rand(20, 8, 8, 3), np.tile([0, 1], 10)
    clf = quick(max_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match=r"flat rows .* whose order is not known"):
        clf.predict(X.reshape(20, -1))


def test_labels_of_any_type(small_digits):
    X, y = small_digits
    expected = quick().fit(X, y).predict_proba(X)
    for labels in (
        pd.Series(y),
        pd.Series(y, dtype="category"),
        y.astype(object),
        y == "rest",
        np.where(y == "rest", 7, -3),
    ):
        clf = quick(sampler=None).fit(X, labels)
        np.testing.assert_array_equal(clf.predict_proba(X), expected)
        assert set(clf.predict(X)) <= set(labels)


def test_read_only_input_is_neither_copied_into_nor_warned_about(small_digits):
    X, y = small_digits
    X = X.copy()
    X.setflags(write=False)
    quick(max_epochs=1).fit(X, y).predict(X)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.zeros((0, 8, 8))}, "minimum of 1 is required"),
        ({"X": np.full((4, 8, 8), np.nan)}, "NaN"),
        ({"X": np.full((4, 8, 8), np.inf)}, "infinity"),
        ({"X": np.zeros((4, 8, 8, 8))}, "channels='first'"),
        ({"y": [0, 0, 0, 0]}, "one class only"),
        ({"y": [0, 1, 0]}, "inconsistent numbers of samples"),
        ({"y": [0.1, 0.2, 0.3, 0.4]}, "continuous"),
        ({"sample_weight": [0, 0, 1, 1]}, r"leaves no sample of the classes \[0\]"),
        ({"sample_weight": [-1, 1, 1, 1]}, "[Nn]egative"),
        ({"groups": [1, 2]}, "inconsistent numbers of samples"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_half_fitted(change, message):
    data = {"X": np.zeros((4, 8, 8)), "y": [0, 0, 1, 1], **change}
    clf = quick()
    with pytest.raises(ValueError, match=message):
        clf.fit(**data)
    with pytest.raises(ValueError, match="not fitted"):
        clf.predict(np.zeros((4, 8, 8)))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"loss": "hinge"}, "'loss' parameter"),
        ({"loss": FocalLoss}, r"give FocalLoss\(\)"),
        ({"loss": lambda z, y: z}, "one value per sample, or a scalar"),
        ({"loss": nn.BCEWithLogitsLoss()}, r"`loss` failed on logits of shape \(2, 2\)"),
        (
            {"module": nn.Sequential(nn.Flatten(), nn.Linear(64, 2)).requires_grad_(False)},
            "are frozen: there is nothing to train",
        ),
        ({"lr": 0}, "'lr' parameter"),
        ({"class_weight": {"eight": 1}}, r"no entry for \['rest'\]"),
        ({"target_prior": {"eight": 1}}, "a fraction for every label"),
        ({"target_prior": {"eight": 1, "rest": 0}}, "positive fractions"),
        ({"standardize": (0, 0)}, "positive standard deviations"),
        ({"standardize": ([0, 1], 1)}, "'auto', None or"),
        ({"device": "gpu"}, "`device`='gpu' cannot be used here"),
        ({"image_shape": (1, 9, 9)}, "Arrays are not resized"),
        ({"module": lambda c, k: nn.Flatten()}, r"it must give \(2, 2\)"),
        ({"module": lambda c, k: nn.Conv2d(3, k, 3)}, "cannot read a batch of images"),
        ({"module": lambda c, k: None}, "callable"),
        ({"batch_sampling": 1.5}, "'batch_sampling' parameter"),
        ({"scoring": "nonsense"}, "'nonsense' is not a valid scoring value"),
        ({"device": "meta"}, "`device` must be 'auto', 'cpu' or a CUDA device"),
    ],
)
def test_bad_parameters_are_refused_before_training(params, message, small_digits):
    with pytest.raises(ValueError, match=message):
        quick(**params).fit(*small_digits)


# ------------------------------------------------------------------------- losses


def test_loss_as_string_object_or_callable(small_digits):
    X, y = small_digits
    expected = quick(loss="cross_entropy").fit(X, y).predict_proba(X)
    same = [
        CrossEntropyLoss(),
        nn.CrossEntropyLoss(),
        lambda z, t: nn.functional.cross_entropy(z, t, reduction="none"),
        nn.functional.cross_entropy,
    ]
    for loss in same:
        np.testing.assert_allclose(quick(loss=loss).fit(X, y).predict_proba(X), expected, atol=1e-5)


def test_a_torch_loss_is_not_changed(small_digits):
    loss = nn.CrossEntropyLoss()
    quick(loss=loss, class_weight="balanced").fit(*small_digits)
    assert loss.reduction == "mean"


def test_a_scalar_loss_cannot_be_weighted(small_digits):
    with pytest.raises(ValueError, match="returns a scalar, so samples cannot be weighted"):
        quick(loss=nn.functional.cross_entropy, class_weight="balanced").fit(*small_digits)


def test_focal_of_gamma_zero_equals_cross_entropy_to_the_bit(small_digits):
    X, y = small_digits
    for weight in (None, "balanced"):
        focal = quick(loss=FocalLoss(gamma=0), class_weight=weight).fit(X, y)
        plain = quick(class_weight=weight).fit(X, y)
        np.testing.assert_array_equal(focal.predict_proba(X), plain.predict_proba(X))


def test_gamma_on_a_string_offers_the_mend():
    with pytest.raises(ValueError, match=r"loss=FocalLoss\(\).*'loss__gamma': \[0, 1, 2, 5\]"):
        CNNClassifier(loss="focal").set_params(loss__gamma=1)
    clf = CNNClassifier(loss="focal").set_params(loss=FocalLoss(), loss__gamma=1)
    assert clf.loss.gamma == 1


# ------------------------------------------------------------------------- weights


def test_proportional_weights_train_the_same_network_to_the_bit(small_digits):
    X, y = small_digits
    one = quick(class_weight={"rest": 1, "eight": 10}).fit(X, y)
    ten = quick(class_weight={"rest": 10, "eight": 100}).fit(X, y)
    third = quick(class_weight={"rest": 0.3, "eight": 3}).fit(X, y, np.full(len(y), 7.0))
    np.testing.assert_array_equal(one.predict_proba(X), ten.predict_proba(X))
    np.testing.assert_allclose(one.predict_proba(X), third.predict_proba(X), rtol=1e-4)


def test_balanced_is_its_own_dict(small_digits):
    X, y = small_digits
    balanced = quick(class_weight="balanced").fit(X, y)
    weights = dict(zip(balanced.classes_.tolist(), balanced.class_weight_.tolist(), strict=True))
    np.testing.assert_array_equal(
        balanced.predict_proba(X), quick(class_weight=weights).fit(X, y).predict_proba(X)
    )


def test_schemes_count_after_the_sampler_and_before_the_batches(small_digits):
    X, y = small_digits
    eights = int((y == "eight").sum())
    halved = RandomUnderSampler(sampling_strategy={"rest": 2 * eights})
    clf = quick(class_weight="balanced", sampler=halved, batch_sampling=0.5).fit(X, y)
    # n / (K n_k) of eights : rest = 1 : 2.
    np.testing.assert_allclose(clf.class_weight_, [1.5, 0.75])
    np.testing.assert_array_equal(clf.class_count_, [eights, len(y) - eights])


@pytest.mark.slow
def test_weights_still_act_in_batches_of_one_row(small_digits):
    X, y = small_digits
    # A network of one's own does not start from the prior: only the loss can tell it the weights.
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    params = {"batch_size": 1, "max_epochs": 3, "module": module}
    plain = quick(**params).fit(X, y).predict_proba(X)[:, 0]
    weighted = quick(class_weight={"rest": 1, "eight": 50}, **params).fit(X, y)
    assert weighted.predict_proba(X)[:, 0].mean() > 2 * plain.mean()


@pytest.mark.parametrize("target_prior", [None, "train"])
def test_rows_of_weight_zero_are_left_out(target_prior, small_digits):
    X, y = small_digits
    weight = np.ones(len(y))
    weight[::3] = 0
    weight[y == "rest"] *= np.arange((y == "rest").sum()) % 2
    kept = weight > 0
    clf = quick(target_prior=target_prior)
    np.testing.assert_array_equal(
        clone(clf).fit(X, y, weight).predict_proba(X),
        clone(clf).fit(X[kept], y[kept]).predict_proba(X),
    )


def test_a_loss_learns_the_labels_it_trains_on_and_no_others(small_digits):
    X, y = small_digits
    seen = []

    class Spy(CrossEntropyLoss):
        def fit(self, y):
            seen.append(np.bincount(y))
            return self

    weight = np.ones(len(y))
    weight[:4] = 0
    clf = quick(loss=Spy(), early_stopping=True, sampler=RandomOverSampler()).fit(X, y, weight)
    n_trained = len(y) - 4 - len(clf.validation_indices_)
    n_rare = (y == "eight").sum()
    assert len(seen) == 1
    assert seen[0][0] == seen[0][1]
    assert n_trained - n_rare <= seen[0][0] < n_trained


def test_class_weights_inside_a_torch_loss_leave_the_prior_unknown(small_digits):
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 10.0]))
    clf = quick(loss=loss).fit(*small_digits)
    clf.predict(small_digits[0])
    with pytest.raises(ValueError, match="Give the weights as `class_weight` instead"):
        clf.set_params(target_prior="train").predict(small_digits[0])


def test_a_prior_that_is_unknown_after_fit_is_refused(small_digits):
    clf = quick().fit(*small_digits)
    with pytest.raises(ValueError, match="`target_prior` must be None, 'train', 'sqrt', 'uniform'"):
        clf.set_params(target_prior="natural").predict(small_digits[0])


# ------------------------------------------------------------------------- samplers


@pytest.mark.parametrize(
    "sampler",
    [
        RandomOverSampler(),
        RandomUnderSampler(),
        SMOTE(),
        imblearn.over_sampling.SMOTE(),
        [RandomUnderSampler(sampling_strategy=0.2), SMOTE()],
    ],
)
def test_samplers_balance_the_training_part(sampler, small_digits):
    clf = quick(sampler=sampler).fit(*small_digits)
    np.testing.assert_allclose(clf.effective_prior_, 0.5)


def test_a_sampler_is_asked_in_the_users_labels(small_digits):
    X, y = small_digits
    y = np.where(np.arange(len(y)) % 3 == 0, "other", y)
    counts = class_counts(y)
    wanted = {"eight": counts["eight"], "other": 20, "rest": 50}
    clf = quick(sampler=RandomUnderSampler(sampling_strategy=wanted)).fit(X, y)
    shares = np.array([wanted[label] for label in clf.classes_])
    np.testing.assert_allclose(clf.effective_prior_, shares / shares.sum())


def test_sample_weights_follow_the_rows(small_digits):
    X, y = small_digits
    weight = np.where(y == "eight", 3.0, 1.0)
    for sampler in (RandomOverSampler(), SMOTE()):
        clf = quick(sampler=sampler).fit(X, y, weight)
        # Equal counts, weights 3 and 1: so the batches show.
        np.testing.assert_allclose(clf.effective_prior_, [0.75, 0.25])


def test_a_foreign_sampler_that_perturbs_the_rows_it_names_keeps_its_rows():
    """imbalanced-learn's smoothed bootstrap names rows and moves them."""
    rng = np.random.RandomState(0)
    images, target = rng.rand(40, 4, 4, 1).astype(np.float32), np.repeat([0, 1], [30, 10])
    smoothed = imblearn.over_sampling.RandomOverSampler(shrinkage=1.0, random_state=0)
    made, _, weight = resample_training_part(
        smoothed, images, target, np.arange(1.0, 41.0), rng=rng
    )
    assert len(np.unique(np.asarray(made).reshape(60, -1), axis=0)) == 60
    assert weight[40:].min() >= 31
    copied, *_ = resample_training_part(
        imblearn.over_sampling.RandomOverSampler(random_state=0),
        images,
        target,
        np.ones(40),
        rng=rng,
    )
    assert len(np.unique(np.asarray(copied).reshape(60, -1), axis=0)) <= 40


def test_a_foreign_generator_cannot_carry_weights(small_digits):
    X, y = small_digits
    weight = np.linspace(1, 2, len(y))
    with pytest.raises(ValueError, match="without saying from which"):
        quick(sampler=imblearn.over_sampling.SMOTE()).fit(X, y, weight)


def test_the_given_sampler_and_loss_stay_as_they_are(small_digits):
    sampler, loss = SMOTE(), FocalLoss()
    quick(sampler=sampler, loss=loss).fit(*small_digits)
    assert sampler.random_state is None
    assert not hasattr(sampler, "parents_")
    assert loss.reduction == "mean"


# ------------------------------------------------------------------------- networks


def own_network(in_channels, n_outputs):
    return nn.Sequential(
        nn.Conv2d(in_channels, 4, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(4, n_outputs),
    )


def test_a_network_as_callable_or_instance(small_digits):
    X, y = small_digits
    clf = quick(module=own_network).fit(X, y)
    assert clf.embed(X).shape == (len(X), 4)
    assert clf.embed(X).dtype == np.float32

    start = own_network(1, 2)
    before = copy.deepcopy(start.state_dict())
    fitted = quick(module=start, lr=1e-12, weight_decay=0).fit(X, y)
    torch.testing.assert_close(dict(start.state_dict()), dict(before), rtol=0, atol=0)
    torch.testing.assert_close(
        dict(fitted.module_.state_dict()), dict(before), rtol=1e-4, atol=1e-6
    )


def test_an_instance_in_evaluation_mode_trains(small_digits):
    """Pretrained networks come so: their norms and dropout must act nonetheless."""
    modes = []

    class Spy(nn.Dropout):
        def forward(self, x):
            modes.append(self.training)
            return super().forward(x)

    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), Spy(), nn.Flatten(), nn.Linear(144, 2)
    ).eval()
    clf = quick(module=net).fit(*small_digits)
    assert clf.module_[1].num_batches_tracked == 2 * 3
    # Two epochs of three steps, and the trial before.
    assert sum(modes) == 2 * 3 + 1
    assert not net.training
    clf.predict(small_digits[0])
    assert not clf.module_.training


def test_the_embedding_is_what_the_last_executed_layer_reads(small_digits):
    X, y = small_digits

    class HeadFirst(nn.Module):
        def __init__(self, in_channels, n_outputs):
            super().__init__()
            self.head = nn.Linear(3, n_outputs)
            self.body = nn.Linear(64, 3)

        def forward(self, x):
            # Flip averaging: every layer runs twice.
            both = [self.head(self.body(z.flatten(1)).relu()) for z in (x, x.flip(3))]
            return (both[0] + both[1]) / 2

    clf = quick(module=HeadFirst).fit(X, y)
    together = clf.embed(X)
    assert together.shape == (len(X), 3)
    parts = np.concatenate([clf.embed(X[:1]), clf.embed(X[1:7]), clf.embed(X[7:])])
    np.testing.assert_allclose(parts, together, atol=1e-6)


def test_the_head_on_the_embedding_is_the_prediction(small_digits):
    X, y = small_digits
    clf = quick().fit(X, y)
    with torch.no_grad():
        logits = clf.module_.head(torch.from_numpy(clf.embed(X))).double()
    np.testing.assert_allclose(torch.softmax(logits, 1).numpy(), clf.predict_proba(X), atol=1e-6)


def test_embedding_needs_a_linear_layer(small_digits):
    def without_linear(in_channels, n_outputs):
        return nn.Sequential(
            nn.Conv2d(in_channels, n_outputs, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )

    clf = quick(module=without_linear).fit(*small_digits)
    with pytest.raises(ValueError, match=r"no nn\.Linear layer"):
        clf.embed(small_digits[0])


# ------------------------------------------------------------------------- optimisation


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "plateau", "constant"])
@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd", torch.optim.RMSprop])
def test_optimisers_and_schedules(schedule, optimizer, small_digits):
    clf = quick(optimizer=optimizer, lr_schedule=schedule, max_epochs=3).fit(*small_digits)
    rates = [epoch["lr"] for epoch in clf.history_]
    if schedule in ("one_cycle", "cosine"):
        assert rates[-1] < 0.1 * max(rates)
    else:
        assert rates == [1e-3] * 3
    assert all(np.isfinite(epoch["train_loss"]) for epoch in clf.history_)


def test_steps_per_epoch_fixes_the_number_of_steps(small_digits):
    X, y = small_digits
    for sampler in (None, RandomOverSampler(), RandomUnderSampler()):
        clf = quick(sampler=sampler, steps_per_epoch=7).fit(X, y)
        assert [row["train_batch_count"] for row in clf.net_.history] == [7, 7]


class Groups(Callback):
    """Keep the groups of parameters that the optimiser gets."""

    def on_train_begin(self, net, **kwargs):
        self.found = net.optimizer_.param_groups


def test_biases_and_norms_do_not_decay(small_digits):
    groups = Groups()
    quick(weight_decay=0.3, net_callbacks=[groups]).fit(*small_digits)
    decays = {group["weight_decay"]: group["params"] for group in groups.found}
    assert all(p.ndim > 1 for p in decays[0.3])
    assert all(p.ndim == 1 for p in decays[0.0])


def test_gradients_are_clipped(small_digits):
    seen = []

    class Spy(torch.optim.SGD):
        def step(self, closure: Any = None):
            loss = closure()
            norms = [p.grad.norm() for group in self.param_groups for p in group["params"]]
            seen.append(torch.stack(norms).norm().item())
            return loss

    quick(optimizer=Spy, max_grad_norm=0.01).fit(*small_digits)
    assert max(seen) <= 0.01 * 1.001


def test_the_network_starts_from_the_prior(small_digits):
    X, y = small_digits
    clf = quick(lr=1e-12, weight_decay=0).fit(X, y)
    share = clf.predict_proba(X).mean(axis=0)
    np.testing.assert_allclose(share, clf.effective_prior_, atol=0.05)


# ------------------------------------------------------------------------- validation


@pytest.mark.slow
def test_early_stopping_restores_the_best_epoch(digits):
    X, _, y, _ = digits
    clf = CNNClassifier(
        early_stopping=True,
        validation_fraction=0.3,
        max_epochs=8,
        lr=3e-2,
        n_iter_no_change=3,
        random_state=0,
    ).fit(X, y)
    held = clf.validation_indices_
    losses = [epoch["valid_loss"] for epoch in clf.history_]
    scores = [epoch["valid_score"] for epoch in clf.history_]
    np.testing.assert_allclose(scores, np.negative(losses))
    again = log_loss(y[held], clf.predict_proba(X[held]))
    assert again == pytest.approx(min(losses), rel=0.02)
    assert 0.28 < len(held) / len(y) < 0.32
    # Epochs of 9 steps: a patience of 3 epochs of 50 steps is one of 17, more than are run.
    assert clf.n_iter_ == len(scores) <= min(8, int(np.argmax(scores)) + 1 + 17)


def test_the_history_holds_the_figures_of_the_validation_part(small_digits):
    X, y = small_digits
    # With groups a part is held out, and the last epoch is the one that is kept.
    clf = quick(validation_fraction=0.3, max_epochs=4).fit(X, y, groups=np.arange(len(y)))
    held = clf.validation_indices_
    predicted, last = clf.predict(X[held]), clf.history_[-1]
    np.testing.assert_array_equal(
        last["valid_confusion_matrix"], confusion_matrix(y[held], predicted)
    )
    figures = precision_recall_fscore_support(y[held], predicted, zero_division=0)
    for name, values in zip(("precision", "recall", "f1"), figures, strict=False):
        np.testing.assert_allclose(last[f"valid_{name}"], values)
    proba = clf.predict_proba(X[held])
    # The classes count as in the training part, however many of each could be held out.
    wanted, shown = class_prior(np.delete(y, held)), class_prior(y[held])
    weight = [wanted[label] / shown[label] for label in y[held]]
    expected = log_loss(y[held], proba, sample_weight=weight)
    assert last["valid_loss"] == pytest.approx(expected, rel=1e-4)
    assert last["valid_score"] == -last["valid_loss"]
    balanced = balanced_accuracy_score(y[held], predicted)
    assert last["valid_balanced_accuracy"] == pytest.approx(balanced)


@pytest.mark.parametrize("scoring", ["roc_auc", "f1_macro", "neg_log_loss"])
def test_early_stopping_watches_any_scorer(scoring, small_digits):
    clf = quick(early_stopping=True, validation_fraction=0.3, scoring=scoring).fit(*small_digits)
    assert np.isfinite(clf.history_[0]["valid_score"])


def test_without_early_stopping_all_rows_train(small_digits):
    clf = quick().fit(*small_digits)
    assert clf.validation_indices_.size == 0
    assert "valid_loss" not in clf.history_[0]
    assert {"train_loss", "lr", "seconds"} <= set(clf.history_[0])


def test_groups_demand_a_validation_part(small_digits):
    X, y = small_digits
    groups = np.arange(len(y)) // 2
    clf = quick(validation_fraction=0.3).fit(X, y, groups=groups)
    held = clf.validation_indices_
    assert len(held) > 0
    assert not set(groups[held]) & set(np.delete(groups, held))
    assert "valid_loss" in clf.history_[0]
    assert clf.n_iter_ == 2


def test_early_stopping_needs_two_classes_to_judge_by(small_digits):
    X, y = small_digits
    one_patient = np.where(y == "eight", 0, np.arange(len(y)) + 1)
    with (
        pytest.warns(UserWarning, match=r"\['eight'\] are too few"),
        pytest.raises(ValueError, match=r"at least two classes .* only \['rest'\] could be split"),
    ):
        quick(early_stopping=True).fit(X, y, groups=one_patient)


def test_groups_are_told_apart_whatever_their_type(small_digits):
    X, y = small_digits
    numbers = np.arange(len(y)) // 2
    expected = quick().fit(X, y, groups=numbers).validation_indices_
    mixed = [int(number) if number % 2 else f"p{number}" for number in numbers]
    for groups in (mixed, pd.DataFrame({"patient": mixed}), [f"p{number}" for number in numbers]):
        found = quick().fit(X, y, groups=groups).validation_indices_
        np.testing.assert_array_equal(found, expected)


def test_groups_must_be_whole(small_digits):
    X, y = small_digits
    groups = np.arange(len(y), dtype=float)
    groups[3] = np.nan
    with pytest.raises(ValueError, match="`groups` has missing values"):
        quick().fit(X, y, groups=groups)


@pytest.mark.parametrize(
    "params",
    [
        {"lr": 1e9, "max_grad_norm": None, "optimizer": "sgd"},
        {"loss": lambda z, t: nn.functional.cross_entropy(z, t, reduction="none") * np.nan},
    ],
)
def test_divergence_is_an_error_not_a_prediction(params, small_digits):
    with pytest.raises(ValueError, match=r"Training diverged: the train loss of epoch \d is"):
        quick(max_epochs=5, **params).fit(*small_digits)


def test_tiny_pixels_do_not_overflow(small_digits):
    X, y = small_digits
    clf = quick().fit((X * 1e-39).astype(np.float32), y)
    assert np.isfinite(clf.history_[-1]["train_loss"])


def noise(n=1500, seed=0):
    """Images and labels that know nothing of each other, 4:1."""
    rng = np.random.RandomState(seed)
    return rng.randint(0, 256, size=(n, 6, 6)).astype(np.uint8), rng.permutation(
        np.repeat([0, 1], [n - n // 5, n // 5])
    )


#: Resamplers, before the estimator in a Pipeline or inside it, and what the validation part says
#: of labels that cannot be predicted.
PLACES = {
    "over in a pipeline": (RandomOverSampler(), None, 0.5),
    "over inside": (None, RandomOverSampler(), 0.5),
    "smote inside": (None, SMOTE(), 0.5),
    "lazy smote in a pipeline": (SMOTE(lazy=True), None, 0.5),
    "lazy smote on lazy copies in a pipeline": (
        make_pipeline(
            RandomOverSampler(sampling_strategy=0.5, lazy=True),
            SMOTE(sampling_strategy=0.7, lazy=True),
            RandomUnderSampler(lazy=True),
        ),
        None,
        0.5,
    ),
    # What the documentation warns of: its rows cannot be told from pictures.
    "smote in a pipeline": (SMOTE(), None, 0.9),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "place",
    [
        pytest.param(
            place,
            marks=[] if place in ("over inside", "smote in a pipeline") else pytest.mark.exhaustive,
        )
        for place in PLACES
    ],
)
def test_validation_does_not_leak(place):
    """Memorising the training rows must not show on labels without signal."""
    before, inside, expected = PLACES[place]
    finals = []
    for seed in range(3):
        clf = CNNClassifier(
            early_stopping=True,
            n_iter_no_change=100,
            validation_fraction=0.3,
            max_epochs=12,
            batch_size=128,
            augmentation=None,
            lr=3e-3,
            sampler=inside,
            random_state=seed,
        )
        X, y = noise(seed=seed)
        if before is None:
            clf.fit(X, y)
        else:
            steps = before.steps if isinstance(before, Pipeline) else [("sampler", before)]
            Pipeline([*steps, ("clf", clf)]).fit(X, y)
        finals.append(clf.history_[-1]["valid_balanced_accuracy"])
        # It does learn its rows by heart.
        assert clf.history_[-1]["train_loss"] < 0.3
    # The standard error of a recall over 3 x 90 distinct rows is 0.03.
    assert np.mean(finals) == pytest.approx(expected, abs=0.06)


# ------------------------------------------------------------------------- randomness


def test_generators_and_threads_are_left_alone(small_digits):
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.get_num_threads()
    quick(sampler=SMOTE(), early_stopping=True, module=own_network).fit(*small_digits)
    assert torch.get_num_threads() == before
    assert torch.equal(torch.rand(3), expected[0])
    np.testing.assert_array_equal(np.random.rand(3), expected[1])


def test_the_thread_count_does_not_come_from_outside(small_digits):
    X, y = small_digits
    before = torch.get_num_threads()
    results = []
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            results.append(quick().fit(X, y).predict_proba(X))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*results)


def test_torchs_global_modes_do_not_matter(small_digits):
    X, y = small_digits
    expected = quick(max_epochs=10).fit(X, y).predict_proba(X)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode():
            clf = quick(max_epochs=10).fit(X, y)
            # Another type draws other weights: alike, not equal.
            assert np.abs(clf.predict_proba(X) - expected).mean() < 0.03
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    "params", [{}, {"loss": "ldam"}, {"augmentation": "mixup"}, {"early_stopping": True}]
)
def test_torchs_default_device_does_not_matter(params, small_digits):
    X, y = small_digits
    clf = quick(device="cpu", max_epochs=1, **params)
    expected = clf.fit(X, y).predict_proba(X)
    # A device without values: a tensor that lies there cannot be read.
    with torch.device("meta"):
        np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), expected)


def test_kernels_of_cudnn_sum_in_a_fixed_order_during_fit_and_predictions_only(
    small_digits, monkeypatch
):
    X, y = small_digits
    cudnn, seen = torch.backends.cudnn, []

    class Looking(torch.nn.Sequential):
        def forward(self, images):
            seen.append((cudnn.deterministic, cudnn.benchmark))
            return super().forward(images)

    def build(n_channels, n_outputs):
        return Looking(torch.nn.Flatten(), torch.nn.Linear(64, n_outputs))

    monkeypatch.setattr(cudnn, "benchmark", True)
    clf = quick(module=build, max_epochs=1).fit(X, y)
    clf.predict(X)
    assert set(seen) == {(True, False)}
    assert (cudnn.deterministic, cudnn.benchmark) == (False, True)


def test_a_cuda_device_in_a_fork_is_refused_with_a_hint(monkeypatch):
    monkeypatch.setattr("skimb._engine._runtime.is_forked", lambda: True)
    with pytest.raises(ValueError, match=r"joblib's backend 'loky'"):
        resolve_device("cuda:99")
    assert resolve_device("cpu").type == "cpu"


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize(
    "environment",
    [{}, {"OMP_NUM_THREADS": "1"}, {"LOKY_MAX_CPU_COUNT": "1"}],
    ids=lambda environment: "-".join(environment) or "plain",
)
def test_the_environment_does_not_decide(environment, tmp_path):
    """Work for more than one thread, in a fresh interpreter."""
    code = """
import numpy as np
from skimb.neural_network import CNNClassifier
rng = np.random.RandomState(0)
X = rng.randint(0, 256, size=(64, 32, 32, 3)).astype(np.uint8)
clf = CNNClassifier(max_epochs=1, batch_size=64, augmentation=None, random_state=0)
clf.fit(X, np.tile([0, 1], 32))
np.save("proba", clf.predict_proba(X))
"""
    clean = {k: v for k, v in os.environ.items() if "THREAD" not in k and "LOKY" not in k}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=clean | environment, check=True)
    rng = np.random.RandomState(0)
    X = rng.randint(0, 256, size=(64, 32, 32, 3)).astype(np.uint8)
    here = quick(max_epochs=1, batch_size=64).fit(X, np.tile([0, 1], 32)).predict_proba(X)
    np.testing.assert_array_equal(np.load(tmp_path / "proba.npy"), here)


def test_overlapping_threads_take_turns_and_restore_the_count():
    before = torch.get_num_threads()
    begun, found = threading.Event(), []

    def other():
        begun.wait()
        with threads_for(0):
            found.append(torch.get_num_threads())

    thread = threading.Thread(target=other)
    thread.start()
    with threads_for(10**12):
        many = torch.get_num_threads()
        begun.set()
        thread.join(0.2)
        assert not found
        with threads_for(0):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == many
    thread.join()
    assert found == [1]
    assert torch.get_num_threads() == before


@pytest.mark.exhaustive
@pytest.mark.slow
def test_large_work_is_equal_to_the_bit_in_processes():
    """Images large enough for more than one thread where there are cores for it."""
    rng = np.random.RandomState(0)
    X, y = rng.randint(0, 256, size=(64, 32, 32, 3)).astype(np.uint8), np.tile([0, 1], 32)
    clf = quick(max_epochs=1, batch_size=64)
    here = clone(clf).fit(X, y).predict_proba(X)
    there = Parallel(n_jobs=2)(delayed(fit_and_predict)(clone(clf), X, y) for _ in range(2))
    for proba in there:
        np.testing.assert_array_equal(proba, here)


def fit_and_predict(clf, X, y):
    return clf.fit(X, y).predict_proba(X)


def test_seeds(small_digits):
    X, y = small_digits
    one, same, other = (quick(random_state=seed).fit(X, y).predict_proba(X) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    one, other = (quick(random_state=None).fit(X, y).predict_proba(X) for _ in "ab")
    assert not np.array_equal(one, other)


def test_options_do_not_shift_each_others_randomness(small_digits):
    """The networks of two strategies start alike, whatever sampler one of them has."""
    X, y = small_digits
    params = {"lr": 1e-12, "weight_decay": 0, "steps_per_epoch": 1, "max_epochs": 1}
    plain = quick(**params).fit(X, y).module_.state_dict()
    smote = quick(sampler=SMOTE(), **params).fit(X, y).module_.state_dict()
    for name, value in plain.items():
        if "norm" not in name and "bias" not in name:
            torch.testing.assert_close(value, smote[name])


def test_a_row_gets_the_same_logits_alone_as_among_others(digits):
    X, X_test, y, _ = digits
    clf = quick().fit(X, y)
    together = clf.predict_proba(X_test[:50])
    alone = np.concatenate([clf.predict_proba(X_test[i : i + 1]) for i in range(50)])
    np.testing.assert_array_equal(together, alone)


@pytest.mark.slow
@pytest.mark.parametrize("params", [{}, {"early_stopping": True, "sampler": SMOTE()}])
def test_pickles_without_the_data(params, digits):
    X, _, y, _ = digits
    clf = quick(validation_fraction=0.5, **params).fit(X, y)
    small = len(pickle.dumps(clf))
    wide = np.kron(X, np.ones((1, 3, 3), np.uint8))
    large = pickle.dumps(quick(validation_fraction=0.5, **params).fit(wide, y))
    # Nine times the pixels: what may grow is the linear layer and its optimiser state.
    assert len(large) < small + 0.5 * wide.nbytes
    restored = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(restored.predict_proba(X), clf.predict_proba(X))
    # One network, not a second one beside it.
    assert restored.module_ is restored.net_.module_.network
    held = [value for value in vars(clf.net_).values() if isinstance(value, nn.Module)]
    assert {id(module) for module in held} == {id(clf.net_.module_), id(clf.net_.criterion_)}


def test_prints_an_epoch_a_line(small_digits, capsys):
    clf = quick(verbose=1, early_stopping=True, n_iter_no_change=1, max_epochs=20)
    clf.set_params(module="linear", steps_per_epoch=50)
    clf.set_params(lr=1e-9).fit(*small_digits)
    printed = capsys.readouterr().out
    # A heading, a rule, and every epoch, the last included.
    assert 1 < clf.n_iter_ < 20
    assert printed.count("\n") == 2 + clf.n_iter_
    assert "train_loss" in printed
    assert "valid_balanced_accuracy" in printed
    assert "confusion" not in printed


def test_an_interrupt_is_not_swallowed(small_digits):
    def interrupt(logits, target):
        if logits.requires_grad:
            raise KeyboardInterrupt
        return nn.functional.cross_entropy(logits, target, reduction="none")

    with pytest.raises(KeyboardInterrupt):
        quick(loss=interrupt).fit(*small_digits)


# ------------------------------------------------------------------------- grid search


@pytest.mark.slow
@pytest.mark.exhaustive
def test_grid_search_is_equal_in_any_number_of_processes(small_digits):
    X, y = small_digits
    grid = [
        {"cnnclassifier__loss": ["cross_entropy"], "cnnclassifier__class_weight": [None]},
        {
            "cnnclassifier__loss": [FocalLoss()],
            "cnnclassifier__loss__gamma": [0, 2],
            "cnnclassifier__class_weight": [None, "balanced"],
        },
    ]
    searches = [
        GridSearchCV(
            make_pipeline(
                RandomUnderSampler(sampling_strategy=0.2, random_state=0),
                CNNClassifier(max_epochs=2, random_state=0),
            ),
            grid,
            scoring=imbalance_scoring(y),
            refit="f1_minority",
            cv=3,
            n_jobs=n_jobs,
            error_score="raise",
        ).fit(X, y)
        for n_jobs in (1, 2)
    ]
    first, second = (search.cv_results_ for search in searches)
    scores = [name for name in first if "test_" in name]
    assert len(scores) > 50
    for name in scores:
        np.testing.assert_array_equal(first[name], second[name])
    np.testing.assert_array_equal(*(search.predict_proba(X) for search in searches))
    # Candidates 0 and 1: cross-entropy, and focal loss with gamma 0.
    for name in scores:
        if "rank" not in name and "time" not in name:
            assert first[name][0] == first[name][1], name


def test_clone_keeps_everything():
    clf = CNNClassifier(loss=FocalLoss(gamma=3), sampler=SMOTE(k_neighbors=2))
    twin = clone(clf)
    assert twin.loss.gamma == 3
    assert twin.sampler.k_neighbors == 2
    assert "FocalLoss(gamma=3)" in repr(clf)
    assert "FocalLoss" in clf._repr_html_()


# ------------------------------------------------------------------------- norms


class Normed(nn.Module):
    """A norm on the pixels, then a linear layer; `is_frozen` keeps the norm as it is."""

    def __init__(self, is_frozen=False):
        super().__init__()
        self.norm, self.dropout = nn.BatchNorm2d(1), nn.Dropout(0.5)
        self.head = nn.Linear(64, 2)
        self.is_frozen = is_frozen

    def forward(self, x):
        return self.head(self.dropout(self.norm(x)).flatten(1))

    def train(self, mode=True):
        super().train(mode)
        if self.is_frozen:
            self.norm.eval()
        return self


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("batch_size", [1, 30, 1000])
def test_norms_remember_the_rows_not_the_start(small_digits, early_stopping, batch_size):
    X, y = small_digits
    clf = quick(
        module=Normed(), standardize=None, early_stopping=early_stopping, batch_size=batch_size
    ).fit(X, y)
    trained = np.delete(X, clf.validation_indices_, axis=0)
    norm = clf.module_.norm
    # After two epochs an average with the start at (0, 1) would fall short of this.
    assert norm.running_mean.item() == pytest.approx(trained.mean(), rel=0.01)
    assert norm.running_var.item() == pytest.approx(trained.var(), rel=0.01)
    assert norm.momentum == 0.1


def test_frozen_norms_stay_as_they_are(small_digits):
    clf = quick(module=Normed(is_frozen=True)).fit(*small_digits)
    assert clf.module_.norm.running_mean.item() == 0


def test_settling_norms_does_not_touch_the_training(small_digits, monkeypatch):
    clf = quick(module=Normed(), early_stopping=True)
    settled = [row["train_loss"] for row in clf.fit(*small_digits).history_]
    monkeypatch.setattr(ImageNet, "re_estimate_norms", lambda net: None)
    assert settled == [row["train_loss"] for row in clf.fit(*small_digits).history_]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("batch_sampling", "expected"), [(None, [45, 15]), ("balanced", [30, 30]), (0.5, [38, 22])]
)
def test_the_history_counts_the_samples_of_each_class_in_the_batches(batch_sampling, expected):
    X = np.random.RandomState(0).rand(60, 8, 8).astype(np.float32)
    y = np.repeat(["common", "rare"], [45, 15])
    clf = CNNClassifier(
        "linear", batch_sampling=batch_sampling, max_epochs=2, batch_size=30, random_state=0
    ).fit(X, y)
    for record in clf.history_:
        np.testing.assert_allclose(record["class_counts"], expected, atol=1)
        assert sum(record["class_counts"]) == 60
