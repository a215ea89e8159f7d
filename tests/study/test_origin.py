"""The recipe of a comparison, its code to copy, and the choice of an augmentation."""

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from torch import nn

from skimb.__main__ import main
from skimb.datasets import load_imbalanced_digits, make_variance_images
from skimb.losses import LDAMLoss
from skimb.model_selection import TunedOffsetsClassifierCV
from skimb.neural_network import (
    CNNClassifier,
    CNNEmbedder,
    CNNRegressor,
    FlipCrop,
    Jitter,
    Mixup,
    ResNet,
    training_length,
)
from skimb.over_sampling import SMOTE, EmbeddedSampler
from skimb.study import REGRESSION_STRATEGIES, STRATEGIES, compare
from skimb.study._augmentation import choose_augmentation
from skimb.study._classification_task import ClassificationTask
from skimb.study._origin import code_of, expression_of
from skimb.study._regression_task import RegressionTask
from skimb.study._strategies import chosen_strategies, group_strategies
from skimb.study._strategy_fits import fit_group


@pytest.fixture(scope="module")
def digits():
    X, y = load_imbalanced_digits(return_X_y=True)
    rows = np.append(np.flatnonzero(y == 1)[:16], np.flatnonzero(y == 0)[:83])
    return X[rows], np.array(["rest", "eight"])[y[rows]]


def made_by(code) -> Any:
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    return namespace["estimator"]


def as_compared(estimator, n_samples):
    length = training_length(n_samples, max_epochs=estimator.max_epochs)
    fixed = clone(estimator).set_params(batch_size=length.batch_size, max_epochs=length.max_epochs)
    return fixed, length.steps_per_epoch


def seeded(estimator, seed):
    """Seed what a strategy seeds: the estimator, and the network in it."""
    own = {"random_state", "estimator__random_state"} & estimator.get_params().keys()
    return estimator.set_params(**dict.fromkeys(own, seed))


@pytest.mark.slow
def test_the_code_of_each_strategy_makes_what_was_compared(digits):
    X, y = digits
    estimator = CNNClassifier(max_epochs=2, augmentation="flip_crop")
    result = compare(
        X, y, estimator=estimator, X_test=X[::2] + 1, y_test=y[::2], random_state=0, n_jobs=1
    )
    assert result.protocol["code"].keys() == STRATEGIES.keys()
    task = ClassificationTask(y)
    fixed, steps = as_compared(estimator, len(y))
    [seed] = result.protocol["seeds"]
    for group in group_strategies(chosen_strategies(None, task), task.built_on_baseline):
        for strategy, fitted, _ in fit_group(task, group, fixed, X, y, seed=seed, steps=steps):
            name = strategy.name
            made = seeded(made_by(result.protocol["code"][name]), seed).fit(X, y)
            np.testing.assert_array_equal(
                made.predict_proba(X), fitted.predict_proba(X), err_msg=name
            )


@pytest.mark.slow
def test_the_code_of_each_strategy_for_numbers_makes_what_was_compared(recwarn):
    X, y = make_variance_images(60, distribution="normal", side=8, random_state=0)
    y[:4] = [1.0, 1.2, 9.8, 10.0]
    estimator = CNNRegressor(max_epochs=1)
    result = compare(X, y, estimator=estimator, X_test=X + 1, y_test=y, random_state=0)
    assert result.protocol["code"].keys() == REGRESSION_STRATEGIES.keys()
    task = RegressionTask(y)
    fixed, steps = as_compared(estimator, len(y))
    for group in group_strategies(chosen_strategies(None, task), task.from_baseline):
        for strategy, fitted, _ in fit_group(task, group, fixed, X, y, seed=3, steps=steps):
            name = strategy.name
            made = seeded(made_by(result.protocol["code"][name]), 3).fit(X, y)
            np.testing.assert_array_equal(made.predict(X), fitted.predict(X), err_msg=name)


def test_the_code_is_short_where_nothing_was_asked_for(monkeypatch, digits):
    monkeypatch.setattr("skimb.study._compare.run_jobs", lambda *_: iter(()))
    monkeypatch.setattr(
        ClassificationTask,
        "comparison",
        lambda *_, protocol, **__: SimpleNamespace(protocol=protocol),
    )
    protocol = compare(*digits, cv=2, random_state=0).protocol
    code = {name: text.splitlines()[-1] for name, text in protocol["code"].items()}
    # Of a fit with other numbers of samples, the rule would choose other batches and epochs.
    length = "max_epochs=250, batch_size=16"
    assert code["none"] == f"estimator = CNNClassifier({length})"
    assert code["class_weight"] == f'estimator = CNNClassifier(class_weight="balanced", {length})'
    assert code["focal"] == f"estimator = CNNClassifier(loss=FocalLoss(), {length})"
    assert code["threshold"] == f"estimator = TunedOffsetsClassifierCV(CNNClassifier({length}))"
    assert code["smote_embedding"].startswith(
        f"estimator = DecoupledClassifier(CNNClassifier({length}), sampler=SMOTE(), max_epochs="
    )
    # A sampler changes how many samples there are: the steps are those of all samples without it.
    assert (
        "sampler=RandomOverSampler(), max_epochs=250, steps_per_epoch=7, batch_size=16"
        in code["over"]
    )


@pytest.mark.slow
def test_the_report_and_the_json_file_state_the_recipe(digits, tmp_path):
    X, y = digits
    estimator = CNNClassifier(max_epochs=1, augmentation=FlipCrop(margin=0.25), lr=0.002)
    result = compare(
        X, y, strategies=["class_weight"], estimator=estimator, cv=2, random_state=7, n_jobs=1
    )
    result.to_json(tmp_path / "r.json")
    protocol = json.loads((tmp_path / "r.json").read_text())["protocol"]
    recipe = protocol["recipe"]
    assert recipe["module"] == "simple_cnn"
    assert recipe["augmentation"] == "FlipCrop(margin=0.25)"
    assert (recipe["lr"], recipe["lr_schedule"]) == (0.002, "one_cycle")
    assert (recipe["views"], recipe["device"]) == (2, "cpu")
    assert recipe["gradient_steps"] == recipe["epochs"] * protocol["steps_per_epoch"]
    assert recipe["versions"]["torch"] == torch.__version__
    assert len(protocol["seeds"]) == 2
    html = result._report()
    for text in (
        "learning rate 0.002 (one_cycle)",
        "averaged over 2 views",
        "FlipCrop(margin=0.25)",
        f"torch {torch.__version__}",
        "<pre",
        "class_weight=&#34;balanced&#34;",
    ):
        assert text in html
    without = compare(
        X, y, strategies=[], estimator=CNNClassifier(max_epochs=1), cv=2, random_state=0, n_jobs=1
    )
    assert without.protocol["recipe"]["views"] == 1
    assert "are made from each image as it is" in without._report()


@pytest.mark.parametrize(
    "estimator",
    [
        CNNClassifier(),
        CNNClassifier(class_weight={"a 'b'": 1.0, 'c"d\n': np.float64(2.5)}, lr=np.float64(0.5)),
        CNNClassifier(
            sampler=[
                SMOTE(k_neighbors=np.intp(3).item()),
                SMOTE(sampling_strategy={1: np.int64(9)}),
            ],
            standardize=([0.5], [float("inf")]),
        ),
        CNNClassifier(image_shape=(1, 8, 8), device=torch.device("cpu"), loss=LDAMLoss()),
        TunedOffsetsClassifierCV(CNNClassifier(optimizer=torch.optim.SGD), smoothing=0.0),
    ],
    ids=["default", "labels", "lists", "objects", "nested"],
)
def test_code_makes_the_estimator_again(estimator):
    made = made_by(code_of(estimator))
    assert expression_of(made) == expression_of(estimator)
    for name, value in estimator.get_params(deep=False).items():
        if isinstance(value, str | int | float | dict | tuple) or value is None:
            assert getattr(made, name) == value


def test_code_imports_from_public_modules():
    steps = [FlipCrop(), Jitter(), Mixup()]
    sampler = EmbeddedSampler(SMOTE(), embedder=CNNEmbedder(CNNClassifier(ResNet)))
    code = code_of(CNNClassifier(augmentation=steps, sampler=sampler))
    assert "skimb._" not in code
    assert expression_of(made_by(code)) == code.splitlines()[-1].removeprefix("estimator = ")


def test_what_cannot_be_written_is_named():
    code = code_of(CNNClassifier(nn.Linear(2, 2), augmentation=lambda images: images))
    assert "# module: as you gave it (Linear)" in code
    assert "# augmentation: as you gave it" in code
    assert code.endswith("estimator = CNNClassifier(module=module, augmentation=augmentation)")
    compile(code, "code", "exec")


# ------------------------------------------------------------------------- augmentation


class Sure(ClassifierMixin, BaseEstimator):
    """A network whose loss is known."""

    def __init__(self, gain=0.0, noise=0.0, augmentation=None, random_state=None):
        self.gain = gain
        self.noise = noise
        self.augmentation = augmentation
        self.random_state = random_state

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_log_proba(self, X):
        log_proba = np.full((len(X), len(self.classes_)), -1.0)
        if self.augmentation == "flip_crop":
            log_proba += self.gain + self.noise * np.where(np.arange(len(X)) % 2, 1, -1)[:, None]
        return log_proba


@pytest.mark.parametrize(
    ("gain", "noise", "name"),
    [
        (0.1, 0.0, "flip_crop"),
        (0.1, 0.2, "flip_crop"),
        (0.01, 1.0, "shift_crop"),
        (0.0, 0.0, "shift_crop"),
        (-0.1, 0.0, "shift_crop"),
    ],
)
def test_flips_are_taken_where_they_are_better_and_not_in_a_tie(gain, noise, name, digits):
    found, choice = choose_augmentation(Sure(gain, noise), *digits, seed=0)
    assert found == name
    assert choice["losses"] == pytest.approx(
        {"shift_crop": 1.0, "flip_crop": 1.0 - gain}, abs=0.06 if noise else 1e-9
    )
    assert choice["n_held_out"] == 20


def test_images_that_are_held_out_are_whole_groups(digits):
    X, y = (np.repeat(part[::2][:48], 2, axis=0) for part in digits)
    groups = np.arange(len(y)) // 4
    seen = []

    class Watched(Sure):
        def fit(self, X, y):
            seen.append(X)
            return super().fit(X, y)

    for given, size in ((None, 2), (groups, 4)):
        seen.clear()
        choose_augmentation(Watched(), X, y, given, seed=0)
        assert len(seen) == 2
        counts = [np.sum([np.array_equal(row, image) for row in seen[0]]) for image in X]
        assert all(
            len({count > 0 for count in counts[start : start + size]}) == 1
            for start in range(0, len(y), size)
        )


def test_numbers_are_told_apart_by_their_errors():
    X, y = make_variance_images(60, distribution="normal", side=8, random_state=0)
    found, choice = choose_augmentation(CNNRegressor(max_epochs=1), X, y, seed=0)
    assert choice["measure"] == "absolute error"
    assert f'augmentation="{found}"' in choice["code"] or found == "shift_crop"


@pytest.mark.slow
def test_the_command_line_decides_on_training_images_and_says_so(tmp_path, capsys):
    arguments = ["digits", "--epochs", "1", "--repeats", "1", "--folds", "2", "--jobs", "1"]
    arguments += ["--strategies", "prior_shift", "--augmentation", "auto"]
    path = tmp_path / "r.json"
    report = tmp_path / "r.html"
    assert main(["compare", *arguments, "--json", str(path), "--report", str(report)]) == 0
    line = capsys.readouterr().err.splitlines()[0]
    assert line.startswith("augmentation: log loss of 341 held-out training images: shift_crop ")
    assert ", flip_crop 0." in line
    assert "; CNNClassifier(" in line
    recipe = json.loads(path.read_text())["protocol"]["recipe"]
    assert recipe["augmentation_choice"]["losses"].keys() == {"shift_crop", "flip_crop"}
    assert recipe["augmentation_choice"]["code"] in line
    assert "that were held out for it" in report.read_text()


def test_classes_of_one_image_cannot_be_held_out():
    with pytest.raises(ValueError, match="Class True has a single sample"):
        choose_augmentation(Sure(), np.random.rand(9, 2, 2), np.arange(9) == 8, seed=0)
