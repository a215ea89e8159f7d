"""Strategies that run only if they are named: what each sets, and how long it trains."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.model_selection import GridSearchCV

from skimb.datasets import load_imbalanced_digits
from skimb.losses import CrossEntropyLoss, LogitAdjustedLoss
from skimb.metrics import imbalance_scoring
from skimb.neural_network import (
    CNNClassifier,
    DecoupledClassifier,
    Jitter,
    Mixup,
    load,
    save,
    training_length,
)
from skimb.over_sampling import AugmentedOverSampler
from skimb.study import (
    FURTHER_STRATEGIES,
    STRATEGIES,
    compare,
    down_to_middle,
    fit_strategy,
    strategy_estimator,
    up_to_middle,
)
from skimb.study._classification_strategies import NEW_LAYER, OWN_STEPS, unfitted_classifier
from skimb.study._lost_calibration import check_calibration
from skimb.study._tuned_baseline import augmented

QUICK = CNNClassifier("linear", max_epochs=2, batch_size=32, augmentation=None)


@pytest.fixture(scope="module")
def few():
    X, y = load_imbalanced_digits(return_X_y=True)
    keep = np.r_[np.flatnonzero(y == 1)[:16], np.flatnonzero(y == 0)[:80]]
    return X[keep], np.array(["rest", "eight"])[y[keep]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["two classes", pytest.param("three classes, float", marks=pytest.mark.exhaustive)]
)
def test_each_runs_for_the_same_number_of_steps_and_one_searches(few, kind, tmp_path):
    X, y = few
    if kind != "two classes":
        X, y = X / np.float32(16), np.where(np.arange(len(y)) % 3 == 0, "other", y)
    names = list(FURTHER_STRATEGIES)
    result = compare(X, y, strategies=names, estimator=QUICK, cv=2, random_state=0)
    assert result.strategies == ["none", *names]
    steps = result.protocol["gradient_steps"]
    # Batches of 8 instead of 32.
    assert 3 * steps <= result.gradient_steps("recipe") <= 4 * steps
    assert result.gradient_steps("recipe_long") == 3 * steps
    assert "recipe: " in str(result)
    for name in names:
        if name in OWN_STEPS:
            continue
        assert result.gradient_steps(name) == steps
        # Three networks, each on two thirds; and one that the others have.
        assert result.search_steps(name) == (6 if name == "autobalance" else None), name
        assert {o.gradient_steps for o in result.outcomes[name]} == {steps}, name
    result.to_json(tmp_path / "r.json")
    entry = json.loads((tmp_path / "r.json").read_text())["strategies"]["tuned_baseline"]
    assert entry["search_steps"] == result.search_steps("tuned_baseline") > steps
    assert entry["gradient_steps"] >= steps
    assert entry["seconds"] > 0
    assert "on parts of the samples; most others take" in " ".join(str(result).split())
    scope: dict[str, Any] = {"y": y}
    exec(result.protocol["code"]["tuned_baseline"], scope)
    assert isinstance(scope["estimator"], GridSearchCV)
    measure = "f1_minority" if kind == "two classes" else "f1_macro"
    assert str(scope["estimator"].scoring) == str(imbalance_scoring(y)[measure])
    for name in names:
        assert "skimb._" not in result.protocol["code"][name], name
        assert "as you gave it" not in result.protocol["code"][name], name


def test_a_calibration_that_autobalance_would_lose_is_refused_before_any_training(few, monkeypatch):
    monkeypatch.setattr(CNNClassifier, "fit", None)
    quick = CNNClassifier("linear", max_epochs=1, calibration="temperature")
    with pytest.raises(ValueError, match="which strategy 'autobalance' would lose"):
        compare(*few, strategies=["autobalance"], estimator=quick, cv=2, random_state=0)


@pytest.mark.parametrize("name", ["smote_embedding", "decoupled", "recipe", "recipe_long"])
def test_a_calibration_that_a_new_last_layer_loses_is_told(few, name):
    plain = CNNClassifier("linear", max_epochs=1)
    strategy_estimator(name, *few, estimator=plain)  # without a warning
    calibrated = plain.set_params(calibration="temperature")
    with pytest.warns(UserWarning, match=f"probabilities of .'{name}'. are not calibrated"):
        strategy_estimator(name, *few, estimator=calibrated)


def test_each_strategy_that_loses_the_calibration_is_named_also_twice_the_same():
    calibrated = CNNClassifier(calibration="temperature")
    given = [("a", "recipe"), ("plain", "class_weight"), ("b", "recipe"), ("c", "decoupled")]
    with pytest.warns(UserWarning, match=r"3 strategies .* \['a', 'b', 'c'\] are not calibrated"):
        check_calibration(calibrated, given)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["threshold", "autobalance", "tuned_baseline", "decoupled", "recipe", "recipe_long"]
)
def test_the_steps_that_are_told_are_those_that_were_taken(few, name, monkeypatch):
    X, y = few
    taken, original = [], CNNClassifier.fit

    def fit(self, X, *args, **kwargs):
        original(self, X, *args, **kwargs)
        # The first comparison of a process tries a network on a sample of each class.
        if len(X) > 2:
            taken.append(sum(epoch["train_batch_count"] for epoch in self.net_.history))
        return self

    monkeypatch.setattr(CNNClassifier, "fit", fit)
    quick = CNNClassifier("linear", max_epochs=2, batch_size=16, augmentation=None)
    result = compare(X, y, strategies=[name], estimator=quick, cv=2, random_state=0)
    trains = ("autobalance", *OWN_STEPS)
    own = result.gradient_steps(name) if name in trains else 0
    told = result.protocol["gradient_steps"] + own + (result.search_steps(name) or 0)
    assert sum(taken) == 2 * told
    assert (result.search_steps(name) is None) == (name in NEW_LAYER)
    assert None not in [outcome.gradient_steps for outcome in result.outcomes[name]]


@pytest.mark.slow
def test_a_fit_on_all_samples_is_what_a_comparison_trains(few, monkeypatch, tmp_path):
    from skimb.study._classification_task import ClassificationTask

    X, y = few
    found, original = {}, ClassificationTask.outcome

    def outcome(self, strategy, fitted, X, y, **kwargs):
        found[strategy.name] = fitted.predict_proba(X)
        return original(self, strategy, fitted, X, y, **kwargs)

    monkeypatch.setattr(ClassificationTask, "outcome", outcome)
    names = list(FURTHER_STRATEGIES)
    result = compare(
        X, y, strategies=names, estimator=QUICK, X_test=X, y_test=y, random_state=0, verbose=1
    )
    [seed] = result.protocol["seeds"]
    for name in names:
        fitted = fit_strategy(name, X, y, estimator=QUICK, random_state=seed)
        np.testing.assert_array_equal(fitted.predict_proba(X), found[name], err_msg=name)
        save(fitted, tmp_path / "one.skimb")
        again = load(tmp_path / "one.skimb")
        np.testing.assert_array_equal(again.predict_proba(X), found[name], err_msg=name)


def made(name, few, estimator=QUICK) -> Any:
    return strategy_estimator(name, *few, estimator=estimator, random_state=3)


def test_each_sets_what_its_name_says(few):
    assert isinstance(made("logit_adjusted", few).loss, LogitAdjustedLoss)
    decoupled = made("decoupled", few)
    assert isinstance(decoupled, DecoupledClassifier)
    assert (decoupled.sampler, decoupled.batch_sampling) == (None, "auto")
    recipe = made("recipe", few)
    assert isinstance(recipe, DecoupledClassifier)
    assert (recipe.target_prior, recipe.sampler, recipe.batch_sampling) == (None, None, "auto")
    assert recipe.get_params()["estimator__batch_size"] == 8
    # An "auto" is resolved before: small batches are for as many epochs as usual.
    usual = training_length(len(few[1]))
    small = made("recipe", few, CNNClassifier()).estimator
    assert small.max_epochs == usual.max_epochs
    assert small.batch_size == max(8, usual.batch_size // 4) < usual.batch_size
    long: Any = made("recipe_long", few, CNNClassifier()).estimator
    assert (long.max_epochs, long.batch_size) == (3 * usual.max_epochs, usual.batch_size)
    assert isinstance(long.loss, LogitAdjustedLoss)
    crop, *steps = long.augmentation
    assert crop == "shift_crop"
    assert list(map(type, steps)) == [Jitter, Mixup]
    [step] = made("augment", few).augmentation
    assert isinstance(step, Jitter)
    mixed = made("mixup_logit_adjusted", few)
    assert isinstance(mixed.loss, LogitAdjustedLoss)
    assert isinstance(mixed.augmentation[-1], Mixup)
    over: Any = made("over_augmented", few)
    assert isinstance(over.sampler, AugmentedOverSampler)
    assert over.steps_per_epoch == 3
    jitter: Any = over.sampler.augmentation
    assert not jitter.flip
    tuned = made("tuned_baseline", few)
    assert [list(entry) for entry in tuned.param_grid] == [
        ["batch_size"],
        ["batch_size"],
        ["batch_size", "loss"],
        ["batch_size", "augmentation"],
        ["batch_size", "loss", "augmentation"],
    ]
    assert tuned.param_grid[1]["batch_size"] == [8]
    assert isinstance(tuned.param_grid[2]["loss"][0], CrossEntropyLoss)
    assert tuned.estimator.random_state == 3


@pytest.mark.parametrize(("batch", "small"), [(128, 32), (32, 8), (16, 8), (8, 8), (4, 4)])
def test_small_batches_of_the_tuned_baseline_are_never_larger(batch, small, few):
    tuned = made("tuned_baseline", few, CNNClassifier("linear", batch_size=batch))
    sizes = [entry["batch_size"][0] for entry in tuned.param_grid]
    assert sizes == [batch] * (batch != small) + [small] * 4


@pytest.mark.parametrize("name", [*STRATEGIES, *FURTHER_STRATEGIES])
def test_a_changed_estimator_of_a_strategy_changes_no_later_one(name):
    def changeable(made):
        found = made.get_params().values()
        return [
            one
            for value in found
            for one in (value if isinstance(value, list) else [value])
            if hasattr(one, "set_params")
        ]

    one, other = (unfitted_classifier(name, CNNClassifier()) for _ in range(2))
    assert not {*map(id, changeable(one))} & {*map(id, changeable(other))}


def test_augmentation_of_the_baseline_stays_and_mixing_comes_last():
    jitter, mixup = Jitter(), Mixup()
    assert augmented("flip_crop", jitter) == ["flip_crop", jitter]
    assert augmented(["flip_crop", "cutmix"], jitter) == ["flip_crop", jitter, "cutmix"]
    assert augmented(mixup, jitter) == [jitter, mixup]
    assert augmented(None) == []
    assert augmented(["flip_crop", "cutmix"], jitter, mixup) == ["flip_crop", jitter, mixup]


@pytest.mark.parametrize("name", ["mixup_logit_adjusted", "recipe_long"])
def test_a_baseline_may_mix_where_a_strategy_does(name, few):
    baseline = CNNClassifier("linear", max_epochs=1, augmentation=["shift_crop", "cutmix"])
    clf = strategy_estimator(name, *few, estimator=baseline).fit(*few)
    network = getattr(clf, "estimator", clf)
    assert isinstance(network.augmentation[-1], Mixup)
    assert "cutmix" not in network.augmentation


def test_under_and_over_sampling_meet_in_the_middle(few):
    _, y = few
    assert down_to_middle(y) == {"rest": 36}
    assert up_to_middle(y) == {"eight": 36}
    resampled = y
    for sampler in made("under_over", few).sampler:
        _, resampled = sampler.set_params(random_state=0).fit_resample(
            np.zeros((len(resampled), 4)), resampled
        )
    np.testing.assert_array_equal(np.unique(resampled, return_counts=True)[1], [36, 36])


@pytest.mark.slow
def test_weights_after_partial_over_sampling_count_each_class_once(few):
    X, y = few
    fitted = fit_strategy("over_weighted", X, y, estimator=QUICK, random_state=0)
    # 80 samples of the one, 36 of the other after sampling: the weights bring them level.
    np.testing.assert_allclose(fitted.class_weight_[0] / fitted.class_weight_[1], 80 / 36)
    np.testing.assert_allclose(fitted.effective_prior_, [0.5, 0.5])


def test_the_default_list_is_as_it_was_and_further_names_are_known():
    assert not FURTHER_STRATEGIES.keys() & STRATEGIES.keys()
    assert list(STRATEGIES)[-2:] == ["linear", "constant"]


@pytest.mark.parametrize("form", ["paths", "frame"])
def test_images_are_made_from_arrays_alone(form, few):
    paths = [f"{k}.png" for k in range(len(few[1]))]
    X = paths if form == "paths" else pd.DataFrame({"file": paths})
    with pytest.raises(ValueError, match=r"'over_augmented' cannot run.*read_images"):
        strategy_estimator("over_augmented", X, few[1], estimator=CNNClassifier())
    assert strategy_estimator("under_over", X, few[1], estimator=CNNClassifier()) is not None


@pytest.mark.slow
def test_groups_stay_together_in_the_search(few, monkeypatch):
    X, y = few
    groups = np.arange(len(y)) // 4
    seen = []
    original = CNNClassifier.fit

    def fit(self, X, y, *args, **kwargs):
        seen.append(len(y))
        return original(self, X, y, *args, **kwargs)

    monkeypatch.setattr(CNNClassifier, "fit", fit)
    fit_strategy("tuned_baseline", X, y, estimator=QUICK, groups=groups, random_state=0)
    assert all(n % 4 == 0 for n in seen)
    assert len(seen) == 11


def test_the_search_never_sees_the_test_part(few, monkeypatch):
    """The figure of the tuned baseline comes from folds of the training part alone."""
    X, y = few
    X = X.astype(np.float32) + np.arange(len(X), dtype=np.float32)[:, None, None] / 1000
    seen, original = [], GridSearchCV.fit

    def fit(self, X, y=None, **kwargs):
        seen.append({part.tobytes() for part in np.asarray(X)})
        return original(self, X, y, **kwargs)

    monkeypatch.setattr(GridSearchCV, "fit", fit)
    quick = CNNClassifier("linear", max_epochs=1, batch_size=64, augmentation=None)
    compare(X, y, strategies=["tuned_baseline"], estimator=quick, cv=2, random_state=0)
    first, second = seen
    assert not first & second
    assert len(first) + len(second) == len(X)


def test_jitter_turns_shifts_and_brightens_and_can_do_nothing():
    images = 0.1 + torch.rand(3, 2, 6, 9)
    still = Jitter(rotation=0, scale=0, shift=0, brightness=0)
    torch.testing.assert_close(still(images), images, atol=1e-5, rtol=0)
    torch.manual_seed(0)
    light = Jitter(rotation=0, scale=0, shift=0, brightness=0.5)(images) / images
    torch.testing.assert_close(light, light[:, :1, :1, :1].expand_as(light), atol=1e-4, rtol=0)
    assert len(light[:, 0, 0, 0].unique()) == 3
    assert not torch.allclose(Jitter(brightness=0)(images), images, atol=0.01)
    line = torch.rand(2, 1, 1, 7)
    torch.testing.assert_close(Jitter(brightness=0)(line), line)
    with pytest.raises(ValueError, match="scale"):
        Jitter(scale=1.0)(images)
