"""LossSearchCV: what trains together is what would have been trained alone."""

import pickle
import re
import warnings
from functools import partial
from typing import Any

import imblearn
import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.over_sampling import ADASYN
from imblearn.under_sampling import TomekLinks
from PIL import Image
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning, NotFittedError, UnsetMetadataPassedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import balanced_accuracy_score, log_loss, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    StratifiedKFold,
    cross_val_score,
)
from torch import nn

from skimb._engine import _image_net, _length
from skimb._engine._blocks import forward
from skimb._engine._together import train_together, why_alone, why_slower
from skimb.losses import CrossEntropyLoss, FocalLoss, LDAMLoss, LogitAdjustedLoss, Loss
from skimb.metrics import imbalance_scoring
from skimb.model_selection import LossSearchCV
from skimb.neural_network import CNNClassifier, DecoupledClassifier
from skimb.neural_network.joint_training import pend
from skimb.over_sampling import SMOTE, RandomOverSampler
from skimb.under_sampling import RandomUnderSampler

# Augmentations are drawn for each network, which then trains alone.
NETWORK = CNNClassifier(max_epochs=1, augmentation=None, random_state=0)
GRID = {
    "loss": [FocalLoss()],
    "loss__gamma": [0, 2],
    "class_weight": [None, "balanced", {"eight": 10, "rest": 1}],
}
GRID_OF_LOSSES = {"loss": ["cross_entropy", "focal"]}
CV = StratifiedKFold(3)


@pytest.fixture(autouse=True)
def short_heads(monkeypatch):
    """Let heads whose length is "auto" train for a moment: what is shown here needs no more."""
    monkeypatch.setattr(_length, "LEAST_STEPS", 30)
    monkeypatch.setattr(_length, "LEAST_EPOCHS", 2)


@pytest.fixture(scope="module")
def fitted(small_digits):
    X, y = small_digits
    return CNNClassifier(max_epochs=3, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def embedded(fitted, small_digits):
    X, _ = small_digits
    return fitted.embed(X)


def tiny(in_channels, n_outputs):
    return nn.Sequential(
        nn.Conv2d(in_channels, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(4, 8, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32, n_outputs),
    )


def fitted_together(estimators, parts):
    """Fit estimators on their parts of the data, together."""
    trainees = [pend(clone(e), *part) for e, part in zip(estimators, parts, strict=True)]
    assert {why_alone(trainee) for trainee in trainees} == {None}
    return [
        trainee.conclude(net, trainee.estimator.max_epochs - 1)
        for trainee, net in zip(trainees, train_together(trainees), strict=True)
    ]


# ------------------------------------------------------------------------------ together, as alone


def half_weighted(logits, target):
    """A loss of the user's own, one value a row."""
    return nn.functional.cross_entropy(logits, target, reduction="none") * (1 + target) / 2


class Squared(Loss):
    """A loss of the user's own in skimb's form."""

    def __init__(self, power=2.0, reduction="mean"):
        super().__init__()
        self.power, self.reduction = power, reduction

    def forward(self, logits, target):
        """Return one value a row."""
        p = logits.softmax(1).gather(1, target[:, None])[:, 0]
        return (1 - p) ** self.power


HEADS = {
    "plain": {},
    "focal": {"loss": FocalLoss(gamma=5.0)},
    "poly": {"loss": "poly"},
    "asymmetric": {"loss": "asymmetric"},
    "vector scaling": {"loss": "vector_scaling"},
    "logit-adjusted": {"loss": LogitAdjustedLoss(tau=0.5)},
    "ldam": {"loss": LDAMLoss()},
    "ldam, another margin": {"loss": LDAMLoss(max_margin=0.2)},
    "own function": {"loss": half_weighted},
    "own mean": {"loss": nn.CrossEntropyLoss()},
    "own loss": {"loss": Squared(power=1.5)},
    "weights": {"class_weight": "balanced"},
    "capped weights": {"class_weight": "balanced", "max_weight": 2.0},
    "deferred weights": {"class_weight": "sqrt", "reweight_after": 0.5},
    "deferred margins": {"loss": "ldam", "class_weight": "balanced", "reweight_after": 0.7},
    "balanced batches": {"batch_sampling": "balanced"},
    "progressive batches": {"batch_sampling": "progressive"},
    "half balanced batches": {"batch_sampling": 0.5},
    "SMOTE": {"sampler": SMOTE(random_state=0)},
    "SMOTE, weighted": {"sampler": SMOTE(random_state=0), "loss": "focal"},
    "over": {"sampler": RandomOverSampler()},
    "under": {"sampler": RandomUnderSampler()},
    "Tomek and over": {"sampler": [TomekLinks(), RandomOverSampler()]},
    "ADASYN": {"sampler": ADASYN(random_state=0)},
    "cosine schedule": {"lr_schedule": "cosine"},
    "constant rate": {"lr_schedule": "constant", "optimizer": "sgd", "lr": 0.01},
    "no clipping": {"max_grad_norm": None},
    "tight clipping": {"max_grad_norm": 0.01},
    "small batches": {"batch_size": 17},
    "fixed steps": {"steps_per_epoch": 5},
}


@pytest.fixture(scope="module")
def heads(embedded, small_digits):
    """Every head on two folds, trained together and alone."""
    _, y = small_digits
    base = CNNClassifier(
        "linear", image_shape=(embedded.shape[1], 1, 1), max_epochs=4, lr=0.03, random_state=0
    )
    estimators, parts = [], []
    for fold in range(2):
        rows = np.arange(len(y)) % 3 != fold
        for params in HEADS.values():
            estimators.append(clone(base).set_params(**params))
            parts.append((embedded[rows], y[rows]))
    together = fitted_together(estimators, parts)
    alone = [clone(e).fit(*part) for e, part in zip(estimators, parts, strict=True)]
    pairs = list(zip(together, alone, strict=True))
    return {name: [pairs[i], pairs[i + len(HEADS)]] for i, name in enumerate(HEADS)}


@pytest.mark.slow
@pytest.mark.parametrize("name", HEADS)
def test_a_head_trained_among_others_is_the_head_trained_alone(name, heads, embedded):
    for together, alone in heads[name]:
        # They differ by rounding, which every step enlarges: with AVX-512 and AMX by up to 1.8e-5.
        np.testing.assert_allclose(
            together.predict_proba(embedded), alone.predict_proba(embedded), atol=5e-5
        )
        np.testing.assert_allclose(together.effective_prior_, alone.effective_prior_)
        losses = [[epoch["train_loss"] for epoch in e.history_] for e in (together, alone)]
        np.testing.assert_allclose(*losses, rtol=1e-4, atol=1e-6)
        assert set(together.history_[0]) == set(alone.history_[0])


def test_heads_with_row_weights(embedded, small_digits):
    _, y = small_digits
    weight = np.random.RandomState(0).rand(len(y))
    weight[::5] = 0
    base = CNNClassifier(
        "linear", image_shape=(embedded.shape[1], 1, 1), max_epochs=6, lr=0.03, random_state=0
    )
    estimators = [clone(base).set_params(class_weight=w) for w in (None, "balanced")]
    together = fitted_together(estimators, [(embedded, y, weight)] * 2)
    for estimator, found in zip(estimators, together, strict=True):
        alone = clone(estimator).fit(embedded, y, weight)
        np.testing.assert_allclose(
            found.predict_proba(embedded), alone.predict_proba(embedded), atol=1e-5
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    "module",
    [tiny, "linear", pytest.param("simple_cnn", marks=pytest.mark.exhaustive)],
    ids=["tiny", "linear", "simple_cnn"],
)
def test_whole_networks_trained_together_are_those_trained_alone(module, small_digits):
    X, y = small_digits
    base = CNNClassifier(module, augmentation=None, max_epochs=3, random_state=0)
    estimators, parts = [], []
    for fold in range(2):
        # Folds of unequal size: batches of one are a row longer.
        rows = np.arange(len(y)) % 3 != fold
        rows[:fold] = False
        for params in (
            {},
            {"loss": FocalLoss(gamma=5.0)},
            {"class_weight": "balanced", "reweight_after": 0.4},
            {"batch_sampling": "balanced"},
            {"sampler": RandomOverSampler(random_state=0)},
        ):
            estimators.append(clone(base).set_params(**params))
            parts.append((X[rows], y[rows]))
    together = fitted_together(estimators, parts)
    for estimator, part, found in zip(estimators, parts, together, strict=True):
        alone = clone(estimator).fit(*part)
        np.testing.assert_allclose(found.predict_proba(X), alone.predict_proba(X), atol=1e-4)


def test_one_that_diverges_does_not_disturb_the_others(embedded, small_digits):
    _, y = small_digits

    def exploding(logits, target):
        return nn.functional.cross_entropy(logits, target, reduction="none") * float("inf")

    base = CNNClassifier("linear", image_shape=(embedded.shape[1], 1, 1), random_state=0)
    trainees = [
        pend(clone(base).set_params(loss=loss), embedded, y)
        for loss in ("cross_entropy", exploding)
    ]
    net, error = train_together(trainees)
    assert isinstance(error, ValueError)
    assert "Training diverged" in str(error)
    trainees[0].conclude(net, 0)
    alone = clone(base).fit(embedded, y)
    np.testing.assert_allclose(
        trainees[0].estimator.predict_proba(embedded), alone.predict_proba(embedded), atol=1e-5
    )


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"early_stopping": True}, "validation part"),
        ({"augmentation": "flip_crop"}, "augmentations"),
        ({"lr_schedule": "plateau"}, "plateau"),
        ({"lr_decay": 0.5}, "rates of their own"),
        ({"optimizer": torch.optim.SGD}, "optimiser"),
        ({"module": nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(64, 2))}, "random"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_what_cannot_be_trained_together_says_why(params, reason, small_digits):
    X, y = small_digits
    found = why_alone(pend(CNNClassifier(random_state=0, **{"augmentation": None, **params}), X, y))
    assert found is not None
    assert reason in found


def test_large_networks_are_not_vectorised(small_digits):
    X, y = small_digits
    assert why_slower(pend(CNNClassifier(tiny, augmentation=None, random_state=0), X, y)) is None
    reason = why_slower(pend(CNNClassifier(augmentation=None, random_state=0), X, y))
    assert reason is not None
    assert "multiply-adds" in reason


# ------------------------------------------------------------------------------ the search


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["fit", "given"])
def test_the_search_is_that_of_grid_search_over_two_stages(backbone, fitted, small_digits):
    X, y = small_digits
    network = NETWORK if backbone == "fit" else FrozenEstimator(fitted)
    model = DecoupledClassifier(network, max_epochs=5, random_state=0)
    grid = [
        GRID,
        {"batch_sampling": ["balanced", 0.3], "reweight_after": [0.0]},
        {"sampler": [SMOTE(random_state=0)], "sampler__k_neighbors": [1, 3], "lr": [0.01]},
    ]
    scoring = {"loss": "neg_log_loss", "f1": "f1_macro"}
    common = {"cv": CV, "scoring": scoring, "refit": "f1", "return_train_score": True}
    with warnings.catch_warnings():
        # No sampler of a grid knows how few rows a fold has.
        warnings.filterwarnings("ignore", message=".*neighbours")
        found = LossSearchCV(model, grid, backbone=backbone, **common).fit(X, y)
        expected = GridSearchCV(model, grid, **common).fit(X, y)
    assert set(found.cv_results_) == set(expected.cv_results_)
    for name, values in expected.cv_results_.items():
        if re.match("(mean|std|split).*(test|train)_loss", name):
            np.testing.assert_allclose(found.cv_results_[name], values, atol=1e-5)
        elif name == "rank_test_f1":
            np.testing.assert_array_equal(found.cv_results_[name], values)
        elif name.startswith("param_"):
            np.testing.assert_array_equal(
                np.ma.getmaskarray(found.cv_results_[name]), np.ma.getmaskarray(values)
            )
    assert str(found.cv_results_["params"]) == str(expected.cv_results_["params"])
    assert str(found.best_params_) == str(expected.best_params_)
    assert found.best_index_ == expected.best_index_
    assert found.best_score_ == pytest.approx(expected.best_score_)
    assert found.n_splits_ == 3
    # The best one is trained by the very same steps.
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    assert found.score(X, y) == expected.score(X, y)
    np.testing.assert_array_equal(found.classes_, expected.classes_)


def test_a_given_backbone_reads_each_image_once(fitted, small_digits, monkeypatch):
    X, y = small_digits
    rows = []

    def counting(module, images, n_rows, **options):
        if module is fitted.net_.module_:
            rows.append(len(images))
        return forward(module, images, n_rows, **options)

    monkeypatch.setattr(_image_net, "forward", counting)
    search = LossSearchCV(FrozenEstimator(fitted), GRID, backbone="given", cv=CV, refit=False)
    search.fit(X, y)
    # Beside these, two rows of noise to try the last layer.
    assert sum(n for n in rows if n > 2) == len(X)


@pytest.mark.slow
def test_a_fitted_network_is_given_as_it_is(fitted, small_digits):
    X, y = small_digits
    searches = [
        LossSearchCV(network, GRID, backbone="given", cv=CV).fit(X, y)
        for network in (fitted, FrozenEstimator(fitted))
    ]
    assert searches[0].best_estimator_.estimator_ is fitted
    np.testing.assert_array_equal(searches[0].predict_proba(X), searches[1].predict_proba(X))


def test_a_class_that_a_fold_lacks(fitted, small_digits):
    X, y = small_digits
    y = np.where(np.arange(len(y)) < 3, "third", y)
    network = CNNClassifier(max_epochs=1, random_state=0).fit(X, y)
    splits = [(np.arange(3, 200), np.arange(200, 290)), (np.arange(150), np.arange(150, 290))]
    search = LossSearchCV(
        FrozenEstimator(network), GRID_OF_LOSSES, backbone="given", cv=splits, refit=False
    ).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.slow
def test_what_the_grid_does_not_name_is_that_of_the_network(small_digits):
    X, y = small_digits
    network = clone(NETWORK).set_params(loss=FocalLoss(gamma=3.0), sampler=RandomOverSampler())
    search = LossSearchCV(network, {"class_weight": [None, "sqrt"]}, cv=CV).fit(X, y)
    head = search.best_estimator_.head_
    assert head.loss.gamma == 3.0
    assert head.sampler is None
    assert head.batch_sampling is None
    np.testing.assert_allclose(search.best_estimator_.estimator_.effective_prior_, 0.5)


@pytest.mark.slow
def test_the_final_network_may_be_trained_from_the_start(small_digits):
    X, y = small_digits
    search = LossSearchCV(NETWORK, GRID, final="end_to_end", cv=CV).fit(X, y)
    expected = clone(NETWORK).set_params(**search.best_params_).fit(X, y)
    assert isinstance(search.best_estimator_, CNNClassifier)
    np.testing.assert_array_equal(search.predict_proba(X), expected.predict_proba(X))


@pytest.mark.slow
def test_the_final_network_stands_as_it_is_but_for_what_was_searched(small_digits):
    X, y = small_digits
    network = clone(NETWORK).set_params(class_weight="sqrt", max_epochs=1)
    grid = {"loss": ["focal"], "batch_sampling": ["auto"]}
    search = LossSearchCV(
        DecoupledClassifier(network, random_state=0), grid, final="end_to_end", cv=CV
    ).fit(X, y)
    best = search.best_estimator_
    assert (best.loss, best.batch_sampling, best.class_weight) == ("focal", "balanced", "sqrt")


@pytest.mark.parametrize("where", ["grid", "model"])
def test_samplers_of_embeddings_are_not_applied_to_images(where, small_digits):
    X, y = small_digits
    model = DecoupledClassifier(NETWORK, sampler=SMOTE() if where == "model" else None)
    grid = {"sampler": [None, SMOTE()]} if where == "grid" else {"loss": ["focal"]}
    with pytest.raises(ValueError, match="`sampler` is searched on embeddings"):
        LossSearchCV(model, grid, final="end_to_end").fit(X, y)


@pytest.mark.slow
def test_rules_for_the_best_one(small_digits):
    X, y = small_digits
    seen = []

    def worst(results):
        seen.append(results)
        return int(np.argmin(results["mean_test_score"]))

    search = LossSearchCV(NETWORK, GRID, cv=CV, scoring="neg_log_loss", refit=worst).fit(X, y)
    assert (
        seen[0]["param_loss__gamma"].tolist() == [0, 2, 0, 2, 0, 2]
        or "param_loss__gamma" in seen[0]
    )
    assert search.best_index_ == np.argmin(search.cv_results_["mean_test_score"])
    assert search.best_params_ == search.cv_results_["params"][search.best_index_]
    unfitted = LossSearchCV(NETWORK, GRID, cv=CV, refit=False).fit(X, y)
    assert not hasattr(unfitted, "best_estimator_")
    assert not hasattr(unfitted, "predict")
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        LossSearchCV(NETWORK, GRID, cv=CV, scoring=["f1_macro", "accuracy"]).fit(X, y)


@pytest.mark.slow
def test_scorers_of_the_rare_class_and_of_ones_own(small_digits):
    X, y = small_digits
    own = make_scorer(log_loss, response_method="predict_proba", greater_is_better=False)
    scoring = {**imbalance_scoring(y), "own": own}
    search = LossSearchCV(NETWORK, GRID, cv=CV, scoring=scoring, refit="f1_minority").fit(X, y)
    assert search.cv_results_["mean_test_f1[eight]"].shape == (6,)
    assert np.isfinite(search.cv_results_["mean_test_own"]).all()
    assert search.scorer_.keys() == scoring.keys()


@pytest.mark.slow
def test_fit_times_add_up(small_digits):
    import time

    X, y = small_digits
    begin = time.perf_counter()
    search = LossSearchCV(NETWORK, GRID, cv=CV, refit=False).fit(X, y)
    total = time.perf_counter() - begin
    assert 0 < search.cv_results_["mean_fit_time"].sum() * 3 < total


@pytest.mark.exhaustive
@pytest.mark.slow
def test_equal_for_any_number_of_jobs(small_digits):
    X, y = small_digits
    searches = [
        LossSearchCV(NETWORK, GRID, cv=CV, scoring="neg_log_loss", n_jobs=n).fit(X, y)
        for n in (1, 2)
    ]
    for name in ("mean_test_score", "std_test_score"):
        np.testing.assert_array_equal(*(search.cv_results_[name] for search in searches))
    np.testing.assert_array_equal(*(search.predict_proba(X) for search in searches))


@pytest.mark.slow
def test_without_a_seed_candidates_still_differ_in_nothing_else(small_digits):
    X, y = small_digits
    network = clone(NETWORK).set_params(random_state=None)
    grid = {"loss": ["cross_entropy", CrossEntropyLoss(), FocalLoss(gamma=0.0)]}
    search = LossSearchCV(network, grid, cv=CV, scoring="neg_log_loss", refit=False).fit(X, y)
    np.testing.assert_allclose(np.ptp(search.cv_results_["mean_test_score"]), 0, atol=1e-5)


@pytest.mark.slow
def test_weights_and_groups(small_digits):
    X, y = small_digits
    weight = np.where(y == "eight", 5.0, 1.0)
    groups = np.arange(len(y)) // 2
    model = DecoupledClassifier(NETWORK, max_epochs=3, random_state=0)
    grid = {"loss": ["cross_entropy", "focal"], "batch_sampling": [None]}
    common = {"cv": GroupKFold(3), "scoring": "neg_log_loss"}
    found = LossSearchCV(model, grid, **common).fit(X, y, sample_weight=weight, groups=groups)
    splits = list(GroupKFold(3).split(X, y, groups))
    expected = GridSearchCV(model, grid, cv=splits, scoring="neg_log_loss")
    expected.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(
        found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"], atol=1e-5
    )
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))


@pytest.mark.slow
def test_paths(small_digits, tmp_path):
    X, y = small_digits
    X, y = X[:90], y[:90]
    paths = []
    for i, image in enumerate(X):
        paths.append(str(tmp_path / f"{i}.png"))
        Image.fromarray(image).save(paths[-1])
    searches = [
        LossSearchCV(NETWORK, GRID, cv=2, scoring="neg_log_loss").fit(form, y)
        for form in (paths, X)
    ]
    np.testing.assert_allclose(
        *(search.cv_results_["mean_test_score"] for search in searches), atol=1e-5
    )


@pytest.mark.slow
def test_clones_and_pickles(fitted, small_digits):
    X, y = small_digits
    search = LossSearchCV(FrozenEstimator(fitted), GRID, backbone="given", cv=CV)
    search.fit(X, y)
    again = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(again.predict(X), search.predict(X))
    # What scored the candidates is not kept: neither heads nor embeddings.
    assert len(pickle.dumps(search)) < 4 * len(pickle.dumps(search.best_estimator_))
    assert clone(search).get_params()["backbone"] == "given"
    scores = cross_val_score(clone(search), X, y, cv=2)
    assert scores.shape == (2,)


@pytest.mark.slow
def test_verbose_says_how_long_things_took(small_digits, capsys):
    X, y = small_digits
    LossSearchCV(NETWORK, GRID, cv=CV, refit=False, verbose=1).fit(X, y)
    printed = capsys.readouterr().out
    assert "backbone of fold 2: " in printed
    assert "18 heads: " in printed


# ------------------------------------------------------------------------------ end to end


@pytest.mark.exhaustive
@pytest.mark.slow
def test_tiny_networks_are_searched_whole_in_one_pass(small_digits):
    X, y = small_digits
    network = CNNClassifier(tiny, augmentation=None, max_epochs=3, random_state=0)
    grid = {**GRID, "lr": [1e-3, 1e-2]}
    common = {"cv": CV, "scoring": "neg_log_loss"}
    found = LossSearchCV(network, grid, search="end_to_end", **common).fit(X, y)
    expected = GridSearchCV(network, grid, **common).fit(X, y)
    assert found.is_vectorized_
    np.testing.assert_allclose(
        found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"], atol=1e-4
    )
    assert str(found.best_params_) == str(expected.best_params_)
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))


@pytest.mark.slow
def test_others_are_searched_one_by_one_and_a_warning_says_so(small_digits):
    X, y = small_digits
    grid = {"augmentation": [None, "flip_crop"]}
    common = {"cv": CV, "scoring": ["neg_log_loss", "f1_macro"], "refit": "f1_macro"}
    search = LossSearchCV(NETWORK, grid, search="end_to_end", **common)
    with pytest.warns(UserWarning, match=r"one by one: at .* multiply-adds"):
        search.fit(X, y)
    expected = GridSearchCV(NETWORK, grid, **common).fit(X, y)
    assert not search.is_vectorized_
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_f1_macro"], expected.cv_results_["mean_test_f1_macro"]
    )
    np.testing.assert_array_equal(search.predict_proba(X), expected.predict_proba(X))


@pytest.mark.slow
def test_halving_trains_each_rung_anew(small_digits):
    X, y = small_digits
    search = HalvingGridSearchCV(
        CNNClassifier(tiny, augmentation=None, random_state=0),
        {"loss": [FocalLoss()], "loss__gamma": [0, 1, 2, 5]},
        resource="max_epochs",
        min_resources=1,
        max_resources=4,
        factor=2,
        cv=StratifiedKFold(2),
        scoring="neg_log_loss",
        random_state=0,
    ).fit(X, y)
    assert search.n_resources_ == [1, 2, 4]
    assert search.best_estimator_.n_iter_ == 4
    for i, params in enumerate(search.cv_results_["params"]):
        scores = cross_val_score(
            CNNClassifier(tiny, augmentation=None, random_state=0).set_params(**params),
            X,
            y,
            cv=StratifiedKFold(2),
            scoring="neg_log_loss",
        )
        assert search.cv_results_["mean_test_score"][i] == pytest.approx(scores.mean())


# ------------------------------------------------------------------------------ what may be wrong


@pytest.mark.parametrize("name", ["module", "lr", "max_epochs", "augmentation", "estimator__lr"])
def test_a_parameter_of_the_backbone_is_refused(name, small_digits):
    X, y = small_digits
    with pytest.raises(ValueError, match=f"`{name}` changes the backbone.*search='end_to_end'"):
        LossSearchCV(NETWORK, {name: [1]}).fit(X, y)


def test_parameters_that_nobody_knows(small_digits):
    X, y = small_digits
    with pytest.raises(ValueError, match="Invalid parameter 'nonsense'"):
        LossSearchCV(NETWORK, {"nonsense": [1]}).fit(X, y)
    with pytest.raises(ValueError, match="which is a string"):
        LossSearchCV(NETWORK, {"loss": ["focal"], "loss__gamma": [1]}).fit(X, y)


def test_backbones_that_are_none(fitted, small_digits):
    X, y = small_digits
    with pytest.raises(NotFittedError):
        LossSearchCV(NETWORK, GRID, backbone="given").fit(X, y)
    with pytest.raises(ValueError, match="backbone='given' needs a fitted CNNClassifier"):
        LossSearchCV(FrozenEstimator(fitted), GRID).fit(X, y)
    with pytest.raises(ValueError, match="`estimator` must be a CNNClassifier"):
        LossSearchCV(FrozenEstimator(DecoupledClassifier()), GRID).fit(X, y)
    with pytest.raises(ValueError, match="trains whole networks"):
        LossSearchCV(fitted, GRID, backbone="given", search="end_to_end").fit(X, y)
    with pytest.raises(ValueError, match="trains linear heads only"):
        LossSearchCV(DecoupledClassifier(head="tau_normalized"), {"class_weight": [None]}).fit(X, y)


def test_parameters_of_the_head_have_no_end_to_end(small_digits):
    X, y = small_digits
    search = LossSearchCV(DecoupledClassifier(NETWORK), {"lr": [0.1]}, final="end_to_end")
    with pytest.raises(ValueError, match="`lr` belongs to heads"):
        search.fit(X, y)


@pytest.mark.slow
def test_a_candidate_that_fails_gets_the_error_score(small_digits):
    X, y = small_digits

    def exploding(logits, target):
        return nn.functional.cross_entropy(logits, target, reduction="none") * torch.inf

    grid = {"loss": ["cross_entropy", exploding]}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search = LossSearchCV(NETWORK, grid, cv=CV).fit(X, y)
    assert FitFailedWarning in {warning.category for warning in caught}
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]
    with pytest.raises(ValueError, match="Training diverged"):
        LossSearchCV(NETWORK, grid, cv=CV, error_score="raise").fit(X, y)


def test_a_fold_whose_network_diverges_gets_the_error_score_as_in_a_grid_search(small_digits):
    X, y = small_digits
    X = X.astype(np.float32)
    # The networks of the second and third fold train on it.
    X[next(CV.split(X, y))[1][-1]] = 99.0

    class Fragile(nn.Module):
        def __init__(self, in_channels, n_outputs):
            super().__init__()
            self.head = nn.Linear(64, n_outputs)

        def forward(self, x):
            logits = self.head(x.flatten(1))
            return logits * torch.nan if self.training and (x == 99).any() else logits

    network = clone(NETWORK).set_params(module=Fragile, standardize=None)
    grid = {"class_weight": [None, "balanced"]}
    found = []
    for search in (GridSearchCV, LossSearchCV):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fitted = search(network, grid, cv=CV, refit=False).fit(X, y)
        assert FitFailedWarning in {warning.category for warning in caught}
        scores = [fitted.cv_results_[f"split{fold}_test_score"] for fold in range(3)]
        found.append(np.isnan(scores).tolist())
    assert found[0] == found[1] == [[False, False], [True, True], [True, True]]
    with pytest.raises(ValueError, match="diverged"):
        LossSearchCV(network, grid, cv=CV, refit=False, error_score="raise").fit(X, y)


@pytest.mark.slow
def test_the_global_generators_stay_as_they_were(small_digits):
    X, y = small_digits
    before = torch.random.get_rng_state(), pickle.dumps(np.random.get_state())
    LossSearchCV(NETWORK, GRID, cv=CV).fit(X, y)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert pickle.dumps(np.random.get_state()) == before[1]


@pytest.mark.parametrize(
    "grid",
    [
        {"class_weight": [None, {"eight": 1}]},
        {"sampler": [None, imblearn.over_sampling.SMOTE(k_neighbors=200)]},
    ],
    ids=str,
)
@pytest.mark.slow
def test_a_candidate_that_cannot_be_prepared_gets_the_error_score(grid, small_digits):
    X, y = small_digits
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        search = LossSearchCV(NETWORK, grid, cv=CV).fit(X, y)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"param_grid": {"reweight_after": [0.0, 1.5]}}, "'reweight_after' parameter"),
        ({"param_grid": []}, "holds no candidate"),
        ({"scoring": "nonsense"}, "nonsense"),
        ({"scoring": ["accuracy", "f1_macro"]}, "refit must be set to a scorer key"),
        ({"param_grid": {"tau": [0.5]}}, "cannot be searched over linear heads"),
        ({"param_grid": {"head": ["linear"]}}, "cannot be searched over linear heads"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_before_any_training(params, message, small_digits, monkeypatch):
    X, y = small_digits
    model = DecoupledClassifier(NETWORK)
    monkeypatch.setattr(CNNClassifier, "fit", lambda *args: pytest.fail("trained"))
    with pytest.raises(ValueError, match=message):
        LossSearchCV(model, **{"param_grid": GRID, **params}).fit(X, y)
    assert model.get_params(deep=False) == DecoupledClassifier(NETWORK).get_params(deep=False)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["int32", "mask", "list"])
def test_splits_of_any_form(form, small_digits):
    X, y = small_digits
    splits = list(CV.split(X, y))
    rows = np.arange(len(y))
    forms = {
        "int32": lambda part: part.astype(np.int32),
        "mask": lambda part: np.isin(rows, part),
        "list": list,
    }
    given = [tuple(map(forms[form], split)) for split in splits]
    scores = [
        LossSearchCV(NETWORK, GRID, cv=cv, refit=False).fit(X, y).cv_results_["mean_test_score"]
        for cv in (given, splits)
    ]
    np.testing.assert_array_equal(*scores)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_generator_for_a_seed_is_not_used_up(small_digits):
    X, y = small_digits
    rng = np.random.RandomState(3)
    model = DecoupledClassifier(
        clone(NETWORK).set_params(random_state=None), max_epochs=3, random_state=rng
    )
    common = {"cv": CV, "scoring": "neg_log_loss", "refit": False}
    before = pickle.dumps(rng)
    scores = [
        search.fit(X, y).cv_results_["mean_test_score"]
        for search in (
            LossSearchCV(model, GRID, **common),
            LossSearchCV(model, GRID, n_jobs=2, **common),
            GridSearchCV(model, GRID, **common),
        )
    ]
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_allclose(scores[0], scores[2], atol=1e-5)
    assert pickle.dumps(rng) == before


@pytest.mark.slow
def test_rows_of_weight_zero_do_not_part_the_heads(small_digits, monkeypatch):
    from skimb._engine import _together

    X, y = small_digits
    sizes = []
    train = _together._train_group
    monkeypatch.setattr(
        _together,
        "_train_group",
        lambda streams: sizes.append(list(map(len, streams))) or train(streams),
    )
    weight = (np.arange(len(y)) % 4 > 0).astype(float)
    LossSearchCV(NETWORK, GRID, cv=CV, refit=False).fit(X, y, sample_weight=weight)
    assert sizes == [[6, 6, 6]]
    sizes.clear()
    LossSearchCV(
        CNNClassifier(tiny, augmentation=None, max_epochs=1, random_state=0),
        GRID,
        search="end_to_end",
        cv=CV,
        refit=False,
    ).fit(X.astype(np.float64), y)
    assert sizes == [[6, 6, 6]]


class Sines(nn.Sequential):
    """One architecture, two ways to run it, and a buffer that is drawn."""

    def __init__(self, in_channels, n_outputs, *, act):
        super().__init__(nn.Conv2d(in_channels, 4, 3), nn.Flatten(), nn.Linear(144, n_outputs))
        self.act = act
        self.register_buffer("noise", torch.randn(4, 6, 6))

    def forward(self, x):
        """Return logits."""
        x = self[0](x) + self.noise
        return self[2](self[1](x.sin() if self.act == "sin" else x.relu()))


@pytest.mark.slow
@pytest.mark.parametrize(
    "grid",
    [
        {"module": [partial(Sines, act="relu"), partial(Sines, act="sin")]},
        {"module": [partial(Sines, act="sin")], "random_state": [0, 1, 2]},
    ],
    ids=["code", "buffers"],
)
def test_networks_that_only_look_alike_are_not_mixed_up(grid, small_digits):
    X, y = small_digits
    network = CNNClassifier(tiny, augmentation=None, max_epochs=2, random_state=0)
    common = {"cv": CV, "scoring": "neg_log_loss", "refit": False}
    found = LossSearchCV(network, grid, search="end_to_end", **common).fit(X, y)
    expected = GridSearchCV(network, grid, **common).fit(X, y)
    assert found.is_vectorized_
    np.testing.assert_allclose(
        found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"], atol=1e-4
    )


@pytest.mark.slow
def test_a_loss_with_statistics_of_its_own_keeps_those_of_its_fold(small_digits):
    class Shifted(Loss):
        def __init__(self, reduction="mean"):
            super().__init__()
            self.reduction, self.shift = reduction, 0.0

        def fit(self, y):
            """Learn something else than counts."""
            self.shift = float(np.sum(np.asarray(y)[:50])) / 10
            return self

        def forward(self, logits, target):
            """Return one value a row."""
            shift = torch.tensor([0.0, self.shift])
            return nn.functional.cross_entropy(logits + shift, target, reduction="none")

    X, y = small_digits
    order = np.random.RandomState(0).permutation(len(y))
    X, y = X[order], y[order]
    model = DecoupledClassifier(NETWORK, loss=Shifted(), max_epochs=3, random_state=0)
    common = {"cv": CV, "scoring": "neg_log_loss", "refit": False}
    grid = {"class_weight": [None, "sqrt"]}
    found = LossSearchCV(model, grid, **common).fit(X, y)
    expected = GridSearchCV(model, grid, **common).fit(X, y)
    for fold in range(3):
        name = f"split{fold}_test_score"
        np.testing.assert_allclose(found.cv_results_[name], expected.cv_results_[name], atol=1e-5)


@pytest.mark.slow
def test_parameters_that_no_forward_pass_uses(small_digits):
    def with_spare(in_channels, n_outputs):
        net = tiny(in_channels, n_outputs)
        net.register_module("spare", nn.Identity())
        net[0].register_parameter("spare", nn.Parameter(torch.ones(3)))
        return net

    X, y = small_digits
    network = CNNClassifier(with_spare, augmentation=None, max_epochs=1, random_state=0)
    common = {"cv": 2, "scoring": "neg_log_loss", "refit": False}
    found = LossSearchCV(network, GRID, search="end_to_end", **common).fit(X, y)
    expected = GridSearchCV(network, GRID, **common).fit(X, y)
    np.testing.assert_allclose(
        found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"], atol=1e-4
    )


@pytest.mark.slow
def test_a_second_fit_begins_anew(small_digits):
    X, y = small_digits
    frame = pd.DataFrame(X.reshape(len(X), -1)).rename(columns=str)
    search = LossSearchCV(NETWORK, {"loss": ["focal"]}, cv=2).fit(frame, y)
    assert search.feature_names_in_.shape == (64,)
    search.set_params(refit=False).fit(X, y)
    for name in ("feature_names_in_", "refit_time_", "best_estimator_"):
        assert not hasattr(search, name)


# ------------------------------------------------------------------------------ metadata

#: What reached the networks: number of rows, weights and groups of each training.
REACHED = []


class Recording(CNNClassifier):
    """A network that records the metadata of its trainings."""

    def _prepare(self, X, y, sample_weight=None, groups=None, **options):
        REACHED.append((len(y), sample_weight, groups))
        return super()._prepare(X, y, sample_weight, groups, **options)


def reached(search, *args, **kwargs):
    """Fit a search; return what reached its networks, each kind of training once, in one order."""
    REACHED.clear()
    search.fit(*args, **kwargs)
    found = {
        repr([n] + [None if v is None else np.asarray(v).tolist() for v in rest])
        for n, *rest in REACHED
    }
    return sorted(found)


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True):
        yield


@pytest.fixture(scope="module")
def patients(small_digits):
    """Images, labels, weights, and thirty groups."""
    X, y = small_digits
    rng = np.random.RandomState(0)
    return X, y, rng.uniform(0.1, 3.0, len(y)), rng.randint(30, size=len(y))


def pair(search, requests, **common):
    """Return a LossSearchCV and the GridSearchCV of which it is the short way."""
    network = Recording(
        tiny, augmentation=None, max_epochs=1, random_state=0, **common.pop("network", {})
    )
    network.set_fit_request(**requests)
    grid = {"loss": ["cross_entropy", FocalLoss(gamma=3.0)]}
    if search == "end_to_end":
        return (
            LossSearchCV(network, grid, search=search, **common),
            GridSearchCV(network, grid, **common),
        )
    model = DecoupledClassifier(network, max_epochs=2, random_state=0)
    model.set_fit_request(**requests)
    return LossSearchCV(model, grid, **common), GridSearchCV(model, grid, **common)


def same_scores(found, expected, name="score"):
    for column in (f"mean_test_{name}", f"std_test_{name}"):
        np.testing.assert_allclose(
            found.cv_results_[column], expected.cv_results_[column], atol=1e-4
        )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The networks of the candidates are trained one by one")
@pytest.mark.parametrize("search", ["heads", "end_to_end"])
def test_groups_reach_the_validation_part_of_each_network(search, patients, routing):
    X, y, _, groups = patients
    found, expected = pair(
        search,
        {"groups": True},
        cv=GroupKFold(3),
        scoring="neg_log_loss",
        network={"early_stopping": True},
    )
    assert reached(found, X, y, groups=groups) == reached(expected, X, y, groups=groups)
    assert all(groups is not None for _, _, groups in REACHED)
    same_scores(found, expected)
    network: Any = getattr(found.best_estimator_, "estimator_", found.best_estimator_)
    held = network.validation_indices_
    rest = np.setdiff1d(np.arange(len(y)), held)
    assert len(held) > 0
    assert not set(groups[held]) & set(groups[rest])


@pytest.mark.parametrize("final", ["two_stage", "end_to_end"])
@pytest.mark.slow
def test_a_network_alone_speaks_for_its_two_stages(final, patients, routing):
    X, y, weight, groups = patients
    network = Recording(tiny, augmentation=None, max_epochs=1, early_stopping=True, random_state=0)
    network.set_fit_request(groups=True, sample_weight=True)
    scorer = make_scorer(balanced_accuracy_score).set_score_request(sample_weight=False)
    search = LossSearchCV(network, GRID_OF_LOSSES, final=final, cv=GroupKFold(2), scoring=scorer)
    search.fit(X, y, sample_weight=weight, groups=groups)
    np.testing.assert_array_equal(REACHED[-1][1], weight)
    np.testing.assert_array_equal(REACHED[-1][2], groups)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("by_fit", "by_score"),
    [(True, False), (False, True), pytest.param(True, True, marks=pytest.mark.exhaustive)],
)
@pytest.mark.parametrize("search", ["heads", "end_to_end"])
def test_weights_count_where_they_are_requested(search, by_fit, by_score, patients, routing):
    X, y, weight, _ = patients
    weight = weight * np.where(y == "eight", 9, 1)
    scorer = make_scorer(log_loss, response_method="predict_proba", greater_is_better=False)
    scorer.set_score_request(sample_weight=by_score)
    requests = {"sample_weight": by_fit}
    found, expected = pair(search, requests, cv=CV, scoring={"own": scorer}, refit="own")
    for one in (found, expected):
        one.fit(X, y, sample_weight=weight)
    same_scores(found, expected, "own")
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    # Weights make a difference here, so that equal scores say something.
    assert not np.allclose(
        found.cv_results_["mean_test_own"],
        clone(found)
        .set_params(scoring={"own": "neg_log_loss"})
        .fit(X, y)
        .cv_results_["mean_test_own"],
        atol=1e-3,
    )


@pytest.mark.slow
def test_weights_of_some_scorers_and_under_other_names(patients, routing):
    X, y, weight, _ = patients
    own = make_scorer(log_loss, response_method="predict_proba", greater_is_better=False)
    scoring = {
        "plain": clone(own, safe=False).set_score_request(sample_weight=False),
        "weighted": clone(own, safe=False).set_score_request(sample_weight=True),
        "named": clone(own, safe=False).set_score_request(sample_weight="of_scores"),
    }
    requests = {"sample_weight": "of_training"}
    given = {"sample_weight": weight, "of_scores": weight**3, "of_training": weight[::-1]}
    for search in ("heads", "end_to_end"):
        found, expected = pair(search, requests, cv=CV, scoring=scoring, refit="named")
        for one in (found, expected):
            one.fit(X, y, **given)
        for name in scoring:
            same_scores(found, expected, name)
        assert len({found.cv_results_[f"mean_test_{name}"][0] for name in scoring}) == 3


@pytest.mark.slow
@pytest.mark.parametrize("by_score", [True, False])
def test_without_a_scorer_the_estimator_says_whether_scores_are_weighted(
    by_score, patients, routing
):
    X, y, weight, _ = patients
    weight = weight * np.where(y == "eight", 20, 1)
    found, expected = pair("heads", {"sample_weight": True}, cv=CV)
    for one in (found, expected):
        one.estimator.set_score_request(sample_weight=by_score)
        one.fit(X, y, sample_weight=weight)
    same_scores(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("wrap", [FrozenEstimator, lambda network: network], ids=["frozen", "bare"])
def test_the_requests_of_a_given_network_are_its_own(wrap, patients, routing):
    X, y, weight, _ = patients
    network = CNNClassifier(tiny, augmentation=None, max_epochs=2, random_state=0).fit(X, y)
    network.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    model = DecoupledClassifier(FrozenEstimator(network), random_state=0, batch_sampling=None)
    model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    found = LossSearchCV(wrap(network), GRID_OF_LOSSES, backbone="given", cv=CV)
    expected = GridSearchCV(model, GRID_OF_LOSSES, cv=CV)
    for one in (found, expected):
        one.fit(X, y, sample_weight=weight)
    same_scores(found, expected)
    assert found.score(X, y, sample_weight=weight) == expected.score(X, y, sample_weight=weight)


@pytest.mark.parametrize("search", ["heads", "end_to_end"])
@pytest.mark.parametrize("name", ["sample_weight", "groups", "nonsense"])
def test_what_nobody_has_requested_is_refused_as_grid_search_does(search, name, patients, routing):
    X, y, weight, _ = patients
    errors = []
    for one in pair(search, {}, cv=CV, scoring="f1_macro"):
        REACHED.clear()
        with pytest.raises((UnsetMetadataPassedError, TypeError)) as caught:
            one.fit(X, y, **{name: weight})
        errors.append(type(caught.value))
        assert REACHED == []
    assert errors[0] is errors[1]


@pytest.mark.slow
@pytest.mark.parametrize("search", ["heads", "end_to_end"])
def test_without_routing_groups_are_those_of_the_splitter(search, patients):
    X, y, weight, groups = patients
    with config_context(enable_metadata_routing=True):
        found, expected = pair(search, {}, cv=GroupKFold(3), scoring="neg_log_loss")
    given = {"sample_weight": weight, "groups": groups}
    assert reached(found, X, y, **given) == reached(expected, X, y, **given)
    assert {groups is None for _, _, groups in REACHED} == {True}
    same_scores(found, expected)
    with pytest.raises(ValueError, match=r"trained with the metadata .* Got \['patient'\] too"):
        found.fit(X, y, patient=groups)


@pytest.mark.slow
def test_without_routing_scorers_that_take_no_weights_are_named(patients):
    X, y, weight, _ = patients

    def hits(y_true, y_pred):
        return np.mean(y_true == y_pred)

    with config_context(enable_metadata_routing=True):
        found, expected = pair("heads", {}, cv=CV, scoring=make_scorer(hits))
    for one in (found, expected):
        with pytest.warns(UserWarning, match="does not support sample_weight"):
            one.fit(X, y, sample_weight=weight)
    same_scores(found, expected)
