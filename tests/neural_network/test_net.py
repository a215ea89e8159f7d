"""The net of a fitted estimator, and all that users of skorch bring with them."""

import copy
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    LoadInitState,
    LRScheduler,
    ProgressBar,
    TensorBoard,
    TrainEndCheckpoint,
)
from skorch.exceptions import SkorchTrainingImpossibleError
from torch import nn
from torch.optim.lr_scheduler import LinearLR, ReduceLROnPlateau, StepLR

from skimb._engine._image_net import _larger
from skimb._engine._net import Net
from skimb._networks import PretrainedBackbone
from skimb.model_selection import LossSearchCV
from skimb.neural_network import (
    CNNClassifier,
    CNNEmbedder,
    CNNRegressor,
    DeepSMOTE,
)


def quick(module: Any = "simple_cnn", **params):
    """Return a classifier that trains for two short epochs."""
    defaults = {"max_epochs": 2, "batch_size": 64, "random_state": 0}
    return CNNClassifier(module, **{**defaults, **params})


@pytest.fixture(scope="module")
def fitted(small_digits):
    """Return a fitted classifier."""
    X, y = small_digits
    return quick(class_weight="balanced", target_prior="train").fit(X, y)


@pytest.fixture(scope="module")
def fitted_regressor(small_digits):
    """Return a fitted regressor and its target."""
    X, _ = small_digits
    y = 100 + X.mean(axis=(1, 2))
    return CNNRegressor(max_epochs=2, batch_size=64, random_state=0).fit(X, y), y


class Wide(nn.Module):
    """A network with options."""

    def __init__(self, in_channels, n_outputs, width=4, depth=1):
        super().__init__()
        layers = [nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU()]
        for _ in range(depth - 1):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU()]
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.head = nn.Linear(4 * width, n_outputs)

    def forward(self, x):
        return self.head(self.features(x))


# ------------------------------------------------------------------- the net on its own


def test_the_net_predicts_as_the_classifier_does_to_the_bit(fitted, small_digits):
    X, y = small_digits
    net = fitted.net_
    np.testing.assert_array_equal(net.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(net.predict(X), fitted.predict(X))
    np.testing.assert_array_equal(net.classes_, fitted.classes_)
    assert net.score(X, y) == accuracy_score(y, fitted.predict(X))


def test_the_net_of_a_regressor_predicts_in_the_unit_of_y(fitted_regressor, small_digits):
    reg, y = fitted_regressor
    X, _ = small_digits
    np.testing.assert_array_equal(reg.net_.predict(X), reg.predict(X))
    assert reg.net_.score(X, y) == pytest.approx(r2_score(y, reg.predict(X)))


@pytest.mark.slow
def test_the_net_reads_every_form_that_the_estimator_reads(small_digits, tmp_path):
    X, y = small_digits
    X, y = X[:60], y[:60]
    paths = [str(tmp_path / f"{i}.png") for i in range(len(X))]
    for path, image in zip(paths, X.astype(np.uint8), strict=True):
        Image.fromarray(image).save(path)
    frame = pd.DataFrame(X.reshape(len(X), -1).astype(float)).add_prefix("pixel")
    for form in (X[..., np.newaxis], frame, paths):
        clf = quick(image_shape=(1, 8, 8) if form is frame else None).fit(form, y)
        np.testing.assert_array_equal(clf.net_.predict_proba(form), clf.predict_proba(form))
        clf.net_.set_params(max_epochs=1).partial_fit(form, y)
        assert len(clf.net_.history) == 3
    with pytest.raises(ValueError, match="shape"):
        clf.net_.predict(np.zeros((2, 5, 5)))


def test_partial_fit_of_the_net_goes_on_from_the_weights_as_they_are(fitted, small_digits):
    X, y = small_digits
    clf = copy.deepcopy(fitted)
    net = clf.net_
    before = net.history[:, "train_loss"]
    net.set_params(max_epochs=5)
    assert net.partial_fit(X, y) is net
    after = net.history[:, "train_loss"]
    assert after[:2] == before
    assert len(after) == 7
    assert after[-1] < after[2]
    # The estimator holds the net, so it predicts with the new weights.
    np.testing.assert_array_equal(net.predict_proba(X), clf.predict_proba(X))
    assert not np.array_equal(clf.predict_proba(X), fitted.predict_proba(X))


def test_partial_fit_leaves_the_generators_alone_and_repeats(fitted, small_digits):
    state = torch.get_rng_state()
    nets = [copy.deepcopy(fitted).net_.partial_fit(*small_digits) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), state)
    first, second = (net.predict_proba(small_digits[0]) for net in nets)
    np.testing.assert_array_equal(first, second)


def test_partial_fit_refuses_labels_that_fit_did_not_see(fitted, small_digits):
    X, y = small_digits
    with pytest.raises(ValueError, match="labels that `fit` did not see: \\[77\\]"):
        copy.deepcopy(fitted).net_.partial_fit(X[:4], [77] * 4)
    with pytest.raises(ValueError, match="one length"):
        copy.deepcopy(fitted).net_.partial_fit(X[:4], y[:3])


def test_parameters_of_the_net_are_saved_and_loaded(fitted, small_digits, tmp_path):
    X, y = small_digits
    fitted.net_.save_params(f_params=tmp_path / "w.pt", f_history=tmp_path / "h.json")
    other = quick(random_state=1).fit(X, y)
    other.net_.load_params(f_params=tmp_path / "w.pt", f_history=tmp_path / "h.json")
    np.testing.assert_array_equal(other.embed(X), fitted.embed(X))
    assert other.net_.history[:, "train_loss"] == fitted.net_.history[:, "train_loss"]


def test_what_the_net_cannot_do_names_the_way(fitted, small_digits, tmp_path):
    with pytest.raises(SkorchTrainingImpossibleError, match="Call `fit` of the estimator"):
        fitted.net_.fit(*small_digits)
    with pytest.raises(TypeError, match="Clone the estimator"):
        clone(fitted.net_)
    with pytest.raises(ValueError, match="Checkpoint in `net_callbacks`"):
        fitted.net_.save_params(f_optimizer=tmp_path / "o.pt")


def test_the_net_of_an_embedder_that_was_not_trained_here_embeds_and_refuses_training(small_digits):
    X, y = small_digits
    X = np.repeat(X[..., np.newaxis], 3, axis=3)
    network = nn.Sequential(nn.Conv2d(3, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    backbone = PretrainedBackbone("own", network, mean=[0.5] * 3, sd=[0.5] * 3, image_size=None)
    embedder = CNNEmbedder(backbone).fit(X)
    assert embedder.net_.predict(X[:5]).shape == (5, 3)
    with pytest.raises(SkorchTrainingImpossibleError, match="`module` of CNNClassifier"):
        embedder.net_.partial_fit(X, y)
    trained = CNNEmbedder(FrozenEstimator(quick().fit(X, y))).fit(X)
    assert trained.net_.predict_proba(X).shape == (len(X), 2)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.slow
def test_a_pickle_holds_the_network_and_little_else(optimizer, small_digits):
    X, y = small_digits
    wide = partial(Wide, width=300, depth=2)
    clf = CNNClassifier(
        wide, optimizer=optimizer, max_epochs=1, early_stopping=True, random_state=0,
        class_weight="balanced",
    ).fit(X[:80], y[:80])  # fmt: skip
    network = len(pickle.dumps(clf.module_))
    assert network > 1_000_000
    assert len(pickle.dumps(clf)) < 1.1 * network
    restored = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(restored.predict_proba(X), clf.predict_proba(X))
    restored.net_.set_params(max_epochs=1).partial_fit(X[:80], y[:80])


# ------------------------------------------------------------------ callbacks of skorch


def test_epoch_scoring_sees_labels_and_probabilities(small_digits):
    X, y = small_digits
    y = np.where(y == y[0], "a", "b")
    scoring = EpochScoring("roc_auc", name="auc", lower_is_better=False)
    on_train = EpochScoring("accuracy", name="train_accuracy", on_train=True)
    clf = quick(net_callbacks=[scoring, on_train], early_stopping=True).fit(X, y)
    held = clf.validation_indices_
    recorded = [record["auc"] for record in clf.history_]
    assert len(recorded) == clf.n_iter_
    assert all(0 <= value <= 1 for value in recorded)
    assert all(0 <= record["train_accuracy"] <= 1 for record in clf.history_)
    assert len(held)


def test_epoch_scoring_of_the_last_epoch_is_the_score_of_the_fitted_estimator(small_digits):
    X, y = small_digits
    scoring = EpochScoring("f1_macro", name="f1", lower_is_better=False)
    clf = quick(net_callbacks=[scoring], augmentation=None).fit(X, y, X_val=X[:50], y_val=y[:50])
    from sklearn.metrics import f1_score

    expected = f1_score(y[:50], clf.predict(X[:50]), average="macro")
    assert clf.history_[-1]["f1"] == pytest.approx(expected)


def test_epoch_scoring_of_a_regressor(small_digits):
    X, _ = small_digits
    y = 100 + X.mean(axis=(1, 2))
    scoring = EpochScoring("neg_mean_absolute_error", name="error", lower_is_better=False)
    reg = CNNRegressor(
        max_epochs=2, batch_size=64, net_callbacks=[scoring], early_stopping=True, random_state=0
    ).fit(X, y)
    for record in reg.history_:
        assert -record["error"] == pytest.approx(record["valid_mean_absolute_error"], rel=1e-5)


def test_a_progress_bar_counts_the_batches(small_digits, capsys):
    quick(net_callbacks=[ProgressBar(detect_notebook=False)]).fit(*small_digits)
    assert "/5" in capsys.readouterr().err


def test_a_checkpoint_writes_and_its_file_holds_the_best_weights(small_digits, tmp_path):
    X, y = small_digits
    checkpoint = Checkpoint(dirname=str(tmp_path), monitor="train_loss_best")
    clf = quick(net_callbacks=[("best", checkpoint)], lr_schedule="constant").fit(X, y)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"params.pt", "optimizer.pt", "history.json"} <= names
    losses = [record["train_loss"] for record in clf.history_]
    if losses[-1] == min(losses):
        # Parameters alone: batch-norm statistics are re-estimated after the last epoch.
        saved = torch.load(Path(tmp_path) / "params.pt", weights_only=True)
        for name, values in clf.net_.module_.named_parameters():
            torch.testing.assert_close(saved[name], values)
    assert "train_loss_best" not in clf.history_[0]


def test_a_scheduler_of_the_user_sets_the_rate(small_digits):
    schedule = LRScheduler(policy=StepLR, step_size=1, gamma=0.1)
    clf = quick(net_callbacks=[schedule], lr_schedule="constant", lr=0.01).fit(*small_digits)
    assert [record["lr"] for record in clf.history_] == pytest.approx([0.01, 0.001])
    with pytest.raises(ValueError, match="Use lr_schedule='constant'"):
        quick(net_callbacks=[schedule]).fit(*small_digits)


class Writer:
    """A stand-in for the writer of TensorBoard, which is another package."""

    def __init__(self):
        self.scalars = []

    def add_scalar(self, tag, scalar_value, global_step):
        self.scalars.append((tag, global_step, float(scalar_value)))

    def close(self):
        pass


def test_a_logger_gets_the_scalars_of_each_epoch(small_digits):
    writer = Writer()
    clf = quick(net_callbacks=[TensorBoard(writer, close_after_train=False)]).fit(*small_digits)
    logged = {(tag, step): value for tag, step, value in writer.scalars}
    losses = [record["train_loss"] for record in clf.history_]
    assert [logged["Loss/train_loss", epoch] for epoch in (1, 2)] == losses


def test_gradient_clipping_of_skorch_is_that_of_max_grad_norm(small_digits):
    X, y = small_digits
    ours = quick(max_grad_norm=0.05).fit(X, y)
    theirs = quick(max_grad_norm=None, net_callbacks=[GradientNormClipping(0.05)]).fit(X, y)
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))
    free = quick(max_grad_norm=None).fit(X, y)
    assert not np.array_equal(ours.predict_proba(X), free.predict_proba(X))


def test_a_freezer_of_skorch_freezes(small_digits):
    clf = quick(Wide, net_callbacks=[Freezer("network.features*")]).fit(*small_digits)
    start = quick(Wide, lr=1e-30).fit(*small_digits)
    for name, values in clf.module_.named_parameters():
        is_equal = torch.equal(values, start.module_.get_parameter(name))
        assert is_equal == name.startswith("features")


def test_early_stopping_of_skorch_ends_the_training_and_an_interrupt_of_the_user_is_raised(
    small_digits,
):
    stopping = EarlyStopping(monitor="train_loss", patience=1, threshold=0.99, sink=lambda _: None)
    clf = quick(max_epochs=9, net_callbacks=[stopping]).fit(*small_digits)
    assert 1 < clf.n_iter_ < 9

    class Interrupting(Callback):
        def on_batch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    clf = quick(net_callbacks=[Interrupting()])
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*small_digits)
    assert not hasattr(clf, "net_")


def test_callbacks_stay_without_the_training_that_they_have_seen(small_digits):
    schedule = LRScheduler(policy=StepLR, step_size=1)
    scoring = EpochScoring("accuracy", name="accuracy", on_train=True, lower_is_better=False)
    clf = quick(net_callbacks=[schedule, scoring], lr_schedule="constant").fit(*small_digits)
    assert [callback for _, callback in clf.net_.callbacks_] == [schedule, scoring]
    assert schedule.lr_scheduler_ is None
    assert scoring.best_score_ > 0
    clf.net_.set_params(max_epochs=1).partial_fit(*small_digits)
    assert len(clf.net_.history[:, "accuracy"]) == 3


@pytest.mark.parametrize("bad", [["loss"], [lambda net: None], [("name", 3)]])
def test_what_is_no_callback_is_refused(bad, small_digits):
    with pytest.raises(ValueError, match="must hold callbacks of skorch"):
        quick(net_callbacks=bad).fit(*small_digits)


# ----------------------------------------------------------------- parameters of classes


@pytest.mark.slow
def test_options_of_classes_are_set_by_name_and_searched(small_digits):
    X, y = small_digits
    clf = quick(Wide, module_params={"depth": 2}, optimizer="sgd")
    before = clf.module_params
    clf.set_params(module__width=6, optimizer__momentum=0.5, lr=0.02)
    assert clf.module_params == {"depth": 2, "width": 6}
    assert before == {"depth": 2}
    assert clf.optimizer_params == {"momentum": 0.5}
    assert clf.lr == 0.02
    assert clone(clf).module_params == clf.module_params
    assert clf.fit(X, y).module_.features[0].out_channels == 6
    assert len(clf.module_.features) == 6
    search = GridSearchCV(
        quick(Wide, max_epochs=1, optimizer="sgd"),
        {"module__width": [2, 3], "optimizer__momentum": [0, 0.9]},
        cv=2,
        error_score="raise",
    ).fit(X, y)
    best = search.best_params_
    assert search.best_estimator_.module_.features[0].out_channels == best["module__width"]
    assert search.best_estimator_.optimizer_params == {"momentum": best["optimizer__momentum"]}


def test_options_that_a_class_does_not_know_are_refused_before_training(small_digits):
    with pytest.raises(ValueError, match=r"`module_params`={'hight': 3} do not fit"):
        quick(Wide, module_params={"hight": 3}).fit(*small_digits)
    with pytest.raises(ValueError, match=r"Calling .* failed"):
        quick(optimizer="sgd", optimizer_params={"betas": (0.9, 0.99)}).fit(*small_digits)
    with pytest.raises(ValueError, match="Give its class as `module`"):
        quick(Wide(1, 2)).set_params(module__width=3)
    with pytest.raises(ValueError, match="Give its class as `module`"):
        quick(Wide(1, 2), module_params={"width": 3}).fit(*small_digits)


def test_options_of_a_named_optimiser_reach_it(small_digits):
    X, y = small_digits
    seen = []

    class Keep(Callback):
        def on_train_begin(self, net, **kwargs):
            seen.append(net.optimizer_.param_groups[0]["momentum"])

    for params in (None, {"momentum": 0.3, "nesterov": False}):
        quick(optimizer="sgd", optimizer_params=params, net_callbacks=[Keep()]).fit(X, y)
    assert seen == [0.9, 0.3]


def test_lbfgs_is_refused_with_the_way_that_works(small_digits):
    X, y = small_digits
    with pytest.raises(ValueError, match="Wrap one that takes other arguments"):
        quick(optimizer=torch.optim.LBFGS).fit(X, y)

    def wrapped(groups, lr, weight_decay):
        parameters = [p for group in groups for p in group["params"]]
        return torch.optim.LBFGS(parameters, lr=lr, max_iter=3)

    clf = quick("linear", optimizer=wrapped, lr=0.1, lr_schedule="constant").fit(X, y)
    assert clf.history_[-1]["train_loss"] < clf.history_[0]["train_loss"]


# ------------------------------------------------------- schedules, freezing, validation


def test_a_scheduler_of_torch_may_be_the_schedule(small_digits):
    X, y = small_digits
    clf = quick(lr_schedule=partial(StepLR, step_size=1, gamma=0.5), lr=0.01).fit(X, y)
    assert [record["lr"] for record in clf.history_] == pytest.approx([0.01, 0.005])
    plateau = partial(ReduceLROnPlateau, factor=0.1, patience=0, threshold=10.0)
    clf = quick(lr_schedule=plateau, lr=0.01, max_epochs=3).fit(X, y)
    assert clf.history_[-1]["lr"] < 0.01
    with pytest.raises(ValueError, match="`lr_schedule` must be a name, or a callable"):
        quick(lr_schedule=StepLR).fit(X, y)


def test_patterns_of_names_freeze_parameters(small_digits):
    X, y = small_digits
    start = quick(Wide, lr=1e-30, module_params={"depth": 2}).fit(X, y)
    clf = quick(Wide, module_params={"depth": 2}, freeze=["features.0.*", "*.bias"]).fit(X, y)
    moved = {
        name
        for name, values in clf.module_.named_parameters()
        if not torch.equal(values, start.module_.get_parameter(name))
    }
    assert moved == {"features.2.weight", "head.weight"}
    assert all(values.requires_grad for values in clf.module_.parameters())


def test_patterns_that_match_nothing_or_everything_are_refused(small_digits):
    with pytest.raises(ValueError, match="no parameter of the network matches"):
        quick(Wide, freeze=["stem.*"]).fit(*small_digits)
    with pytest.raises(ValueError, match="nothing to train"):
        quick(Wide, freeze=["*"]).fit(*small_digits)


def test_a_validation_part_of_ones_own_is_watched_and_nothing_is_held_out(small_digits):
    X, y = small_digits
    train, valid = slice(60, None), slice(60)
    clf = quick(early_stopping=True, max_epochs=4).fit(
        X[train], y[train], X_val=X[valid], y_val=y[valid]
    )
    assert len(clf.validation_indices_) == 0
    best = max(clf.history_, key=lambda record: record["valid_score"])
    matrix = np.array(best["valid_confusion_matrix"])
    assert matrix.sum() == 60
    np.testing.assert_array_equal(matrix.sum(axis=1), np.unique(y[valid], return_counts=True)[1])
    predicted = clf.predict(X[valid])
    np.testing.assert_allclose(np.mean(predicted == y[valid]), np.trace(matrix) / 60)


def test_a_validation_part_of_ones_own_for_a_regressor(small_digits):
    X, _ = small_digits
    y = 100 + X.mean(axis=(1, 2))
    reg = CNNRegressor(max_epochs=2, batch_size=64, random_state=0).fit(
        X, y, X_val=X[:40], y_val=y[:40]
    )
    error = np.abs(reg.predict(X[:40]) - y[:40]).mean()
    assert reg.history_[-1]["valid_mean_absolute_error"] == pytest.approx(error, rel=1e-5)


@pytest.mark.parametrize(
    ("given", "params", "message"),
    [
        ({"X_val": 1}, {}, "belong together"),
        ({"X_val": 1, "y_val": 1}, {"early_stopping": "refit"}, "Use early_stopping=True"),
    ],
    ids=["one of them", "refit"],
)
def test_validation_parts_that_make_no_sense_are_refused(given, params, message, small_digits):
    X, y = small_digits
    parts = {"X_val": X[:20], "y_val": y[:20]}
    with pytest.raises(ValueError, match=message):
        quick(**params).fit(X, y, **{name: parts[name] for name in given})


def test_labels_of_the_validation_part_must_be_those_of_y(small_digits):
    X, y = small_digits
    with pytest.raises(ValueError, match="labels that `fit` did not see"):
        quick().fit(X, y, X_val=X[:3], y_val=["new"] * 3)
    with pytest.raises(ValueError, match="shape"):
        quick().fit(X, y, X_val=X[:3, :4], y_val=y[:3])


# --------------------------------------------------------------------------- one engine


@pytest.mark.slow
def test_estimators_deep_smote_and_networks_trained_together_take_the_same_steps(
    small_digits, monkeypatch
):
    X, y = small_digits
    steps = []
    step = Net.train_step

    def counted(net, batch, **kwargs):
        steps.append(type(net).__name__)
        return step(net, batch, **kwargs)

    monkeypatch.setattr(Net, "train_step", counted)
    quick(max_epochs=1).fit(X, y)
    assert set(steps) == {"ImageClassifierNet"}
    steps.clear()
    DeepSMOTE(max_epochs=1, n_latent=4, random_state=0).fit_resample(X, y)
    assert set(steps) == {"AutoEncoderNet"}
    steps.clear()
    grid = {"class_weight": [None, "balanced"]}
    LossSearchCV(quick(max_epochs=1), grid, cv=2, refit=False).fit(X, y)
    assert set(steps) == {"ImageClassifierNet", "StackedNet"}


# ------------------------------------------------------------- callbacks that restore


class Rates(Callback):
    """Keep the learning rate of each epoch."""

    def on_train_begin(self, net, **kwargs):
        self.found = []

    def on_epoch_end(self, net, **kwargs):
        self.found.append(net.optimizer_.param_groups[0]["lr"])


def test_a_refit_repeats_the_rates_of_a_schedule_that_warms_up(small_digits, monkeypatch):
    X, y = small_digits
    seen = []
    step = Net.train_step

    def watched(net, batch, **kwargs):
        seen.append(net.optimizer_.param_groups[0]["lr"])
        return step(net, batch, **kwargs)

    monkeypatch.setattr(Net, "train_step", watched)
    schedule = partial(LinearLR, start_factor=0.1, total_iters=3)
    clf = quick(early_stopping="refit", lr=0.01, max_epochs=4, lr_schedule=schedule).fit(X, y)
    first = [record["lr"] for record in clf.history_]
    n_refit = len(clf.net_.history)
    repeated = list(dict.fromkeys(seen))
    assert repeated == pytest.approx(first)
    assert clf.net_.history[:, "lr"] == pytest.approx(first[:n_refit])


def test_weights_that_a_callback_restores_get_their_own_batch_norm_statistics(
    small_digits, tmp_path
):
    X, y = small_digits
    checkpoint = Checkpoint(dirname=str(tmp_path), monitor="train_loss_best", load_best=True)
    ours = quick(lr_schedule="constant").fit(X, y)
    theirs = quick(lr_schedule="constant", net_callbacks=[checkpoint]).fit(X, y)
    assert theirs.history_[-1]["train_loss"] == min(r["train_loss"] for r in theirs.history_)
    np.testing.assert_array_equal(theirs.predict_proba(X), ours.predict_proba(X))


def test_a_history_from_before_is_refused_where_epochs_count(small_digits, tmp_path):
    X, y = small_digits
    saved = TrainEndCheckpoint(dirname=str(tmp_path))
    quick(net_callbacks=[saved], lr_schedule="constant").fit(X, y)
    load = LoadInitState(saved)
    clf = quick(net_callbacks=[load], lr_schedule="constant").fit(X, y)
    assert len(clf.net_.history) == 4
    with pytest.raises(ValueError, match="A callback has loaded a history of 2 epochs"):
        quick(
            net_callbacks=[LoadInitState(saved)],
            lr_schedule="constant",
            class_weight="balanced",
            reweight_after=0.5,
        ).fit(X, y)


def test_a_plateau_of_the_user_sees_a_score_that_rises_as_an_improvement(small_digits):
    X, _ = small_digits
    y = 100 + X.mean(axis=(1, 2))
    reg = CNNRegressor(
        loss="balanced_mse",
        early_stopping=True,
        max_epochs=6,
        batch_size=32,
        lr_schedule=partial(ReduceLROnPlateau, patience=0, threshold=0.0, threshold_mode="abs"),
        random_state=0,
    ).fit(X, y)
    scores = [record["valid_score"] for record in reg.history_]
    for before, now, record, after in zip(
        scores, scores[1:], reg.history_[1:], reg.history_[2:], strict=False
    ):
        if now > max(scores[: scores.index(now)], default=before):
            assert after["lr"] == record["lr"]


def test_loggers_pass_by_what_is_one_number_a_class(small_digits):
    X, y = small_digits
    writer = Writer()
    board = TensorBoard(writer, close_after_train=False)
    clf = quick(net_callbacks=[board], early_stopping=True).fit(X, y)
    assert {"Loss/valid_loss", "Loss/valid_score"} <= {tag for tag, _, _ in writer.scalars}
    assert len(clf.history_[0]["valid_f1"]) == 2


def test_callbacks_see_the_first_training_of_a_refit_only(small_digits, tmp_path):
    checkpoint = Checkpoint(dirname=str(tmp_path), monitor="valid_loss_best")
    clf = quick(early_stopping="refit", net_callbacks=[checkpoint]).fit(*small_digits)
    assert (tmp_path / "params.pt").exists()
    assert not clf.net_.callbacks


def test_options_of_the_optimiser_are_set_before_a_partial_fit(fitted, small_digits, tmp_path):
    X, y = small_digits
    net = copy.deepcopy(fitted).net_
    rates = Rates()
    net.set_params(optimizer__weight_decay=0.5, lr=0.02, callbacks=[rates])
    net.partial_fit(X, y, epochs=3)
    assert rates.found == [0.02] * 3
    with pytest.raises(TypeError, match="sample_weight"):
        net.partial_fit(X, y, sample_weight=np.ones(len(y)))
    with pytest.raises(ValueError, match="needs y"):
        net.partial_fit(X)


def test_a_fitted_net_loads_a_checkpoint(small_digits, tmp_path):
    X, y = small_digits
    saved = Checkpoint(dirname=str(tmp_path), monitor=None)
    clf = quick(net_callbacks=[saved]).fit(X, y)
    other = quick(random_state=5).fit(X, y)
    other.net_.load_params(checkpoint=saved)
    for name, values in clf.module_.named_parameters():
        assert torch.equal(values, other.module_.get_parameter(name))
    assert other.net_.optimizer_ is None


def test_parameters_of_the_estimator_are_no_options_of_the_optimiser(small_digits):
    with pytest.raises(ValueError, match="parameters of the estimator"):
        quick(optimizer_params={"lr": 0.1}).fit(*small_digits)


def test_a_refused_option_changes_nothing():
    clf = quick(Wide(1, 2))
    with pytest.raises(ValueError, match="Give its class"):
        clf.set_params(lr=0.5, module__width=3)
    assert clf.lr != 0.5


def test_a_net_that_cannot_be_initialized_says_why(small_digits):
    taken = ("epoch_timer", EpochScoring("accuracy", on_train=True))
    with pytest.raises(ValueError, match="duplicate user-set callback name"):
        quick(net_callbacks=[taken]).fit(*small_digits)


def test_a_training_that_fails_leaves_nothing_in_callbacks_or_nets(fitted, small_digits):
    class Failing(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) > 1:
                raise RuntimeError("enough")

    schedule = LRScheduler(policy=StepLR, step_size=1)
    clf = quick(net_callbacks=[schedule, Failing()], lr_schedule="constant")
    with pytest.raises(RuntimeError, match="enough"):
        clf.fit(*small_digits)
    assert schedule.lr_scheduler_ is None
    net = copy.deepcopy(fitted).net_
    net.set_params(callbacks=[Failing()])
    with pytest.raises(RuntimeError, match="enough"):
        net.partial_fit(*small_digits)
    assert not hasattr(net, "recent_")
    assert not net.module_.training


@pytest.mark.parametrize("n_values", [1, 7, 12, 10**6])
def test_results_are_fetched_from_a_device_in_larger_blocks(n_values):
    rows = torch.arange(40).reshape(20, 2)
    blocks = list(_larger(iter(rows.split(3)), n_values))
    torch.testing.assert_close(torch.cat(blocks), rows)
    assert all(block.numel() >= n_values for block in blocks[:-1])
    assert len(blocks) == -(-7 // -(-n_values // 6))
