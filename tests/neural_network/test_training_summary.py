"""training_summary: what happened in a fit, by known numbers, and what is not known."""

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from skorch.callbacks import EarlyStopping
from torch import nn

from skimb.losses import FocalLoss, Loss
from skimb.neural_network import CNNClassifier, CNNRegressor, load, pretrained
from skimb.over_sampling import RandomOverSampler

DATA = np.random.RandomState(0)
X = DATA.rand(60, 8, 8).astype(np.float32)
Y = np.where(np.arange(60) % 5 < 4, "sound", "crack")


def quick(**params):
    defaults = {"module": "linear", "max_epochs": 3, "batch_size": 20, "random_state": 0}
    return CNNClassifier(**{**defaults, **params})


def facts(estimator):
    """Return the facts, as a JSON file gives them back."""
    return json.loads(json.dumps(estimator.training_summary().to_dict(), allow_nan=False))


def constant_score(estimator, X, y):
    return 0.5


@pytest.fixture(scope="module")
def weighted():
    return quick(class_weight="balanced", augmentation=None, loss=FocalLoss(gamma=1.0)).fit(X, Y)


def test_the_facts_of_a_fit_are_those_that_its_parameters_give(weighted):
    found = facts(weighted)
    # One layer on 64 pixels: 64 weights and a bias for each class.
    assert found["n_parameters"] == 130
    # 60 samples in batches of 20, three times.
    assert (found["n_steps"], found["n_epochs"], found["max_epochs"]) == (9, 3, 3)
    assert (found["n_samples"], found["n_held_out"], found["kept_epoch"]) == (60, 0, 3)
    assert (found["classes"], found["class_count"]) == (["crack", "sound"], [12, 48])
    # n / (K n_k): 60 / 24 and 60 / 96.
    assert found["class_weight"] == [2.5, 0.625]
    np.testing.assert_allclose(found["effective_prior"], [0.5, 0.5])
    assert found["loss"] == "FocalLoss(gamma=1.0)"
    assert (found["ended_by"], found["device"], found["precision"]) == (
        "max_epochs",
        "cpu",
        "float32",
    )
    assert found["train_loss"] == [row["train_loss"] for row in weighted.history_]


def test_the_text_says_it(weighted):
    lines = str(weighted.training_summary()).splitlines()
    assert lines[0] == "CNNClassifier: LinearModel, trained on 60 samples"
    for line in (
        "network        LinearModel with 130 parameters",
        "images         1 x 8 x 8 (channels, height, width)",
        "class weights  balanced",
        "training       3 of 3 epochs, 9 gradient steps",
    ):
        assert line in lines
    assert lines[-2:] == [
        "crack       12     2.5             0.5              0.5",
        "sound       48   0.625             0.5              0.5",
    ]


def test_parameters_that_are_set_after_the_fit_change_nothing():
    clf = quick(sampler=RandomOverSampler(random_state=0)).fit(X, Y)
    before = str(clf.training_summary())
    assert "96 to train on after the sampler" in before
    assert "RandomOverSampler(random_state=0)" in before
    clf.set_params(sampler=None, lr=1.0, max_epochs=50, batch_size=7, loss="focal", device="meta")
    assert str(clf.training_summary()) == before


def test_the_predicted_prior_is_the_one_that_predictions_have_now(weighted):
    summary = weighted.training_summary()
    weighted.set_params(target_prior={"crack": 0.1, "sound": 0.9})
    try:
        assert facts(weighted)["predicted_prior"] == [0.1, 0.9]
    finally:
        weighted.set_params(target_prior=None)
    assert summary.to_dict()["predicted_prior"] != [0.1, 0.9]


def test_a_loss_that_moves_the_decision_predicts_for_no_known_prior():
    clf = quick(loss="logit_adjusted").fit(X, Y)
    assert facts(clf)["predicted_prior"] is None
    text = str(clf.training_summary())
    assert "predicted prior" not in text
    assert "for no known class prior" in text


@pytest.mark.slow
def test_early_stopping_is_told_from_the_limit():
    stopping = {"early_stopping": True, "scoring": constant_score, "n_iter_no_change": 1}
    found = facts(quick(max_epochs=200, **stopping).fit(X, Y))
    # The first epoch is never surpassed; one of few steps is a fraction of an epoch of patience.
    assert found["ended_by"] == "early_stopping"
    assert 1 == found["kept_epoch"] < found["n_epochs"] < 200
    assert found["validation"]["score"] == 0.5
    clf = quick(**stopping).fit(X, Y)
    found = facts(clf)
    assert (found["ended_by"], found["n_epochs"], found["kept_epoch"]) == ("max_epochs", 3, 1)
    text = str(clf.training_summary())
    assert "3 of 3 epochs, 9 gradient steps; the weights are those of epoch 1" in text
    assert f"{found['n_held_out']} held out for validation" in text


def test_a_callback_that_ends_a_training_is_no_early_stopping():
    stop = EarlyStopping(monitor="train_loss", patience=1, threshold=100, threshold_mode="abs")
    clf = quick(max_epochs=9, net_callbacks=[stop]).fit(X, Y)
    found = facts(clf)
    assert (found["ended_by"], found["n_epochs"]) == ("other", 2)
    assert "a callback, or a loss that was not finite, ended it" in str(clf.training_summary())


def test_a_refit_is_told_beside_the_training_that_found_the_epoch():
    clf = quick(early_stopping="refit", scoring=constant_score).fit(X, Y)
    found = facts(clf)
    assert found["n_samples"] + found["n_held_out"] == 60
    assert found["n_held_out"] > 0
    assert (found["n_epochs"], found["max_epochs"]) == (3, 3)
    refit = found["refit"]
    assert refit.pop("seconds") > 0
    # Batches of 20: three steps.
    assert refit == {"n_samples": 60, "n_epochs": 1, "n_steps": 3}
    assert "trained again on all 60 samples, for 1 epoch in" in str(clf.training_summary())


def test_calls_of_partial_fit_have_no_limit():
    clf = quick()
    for rows in (slice(0, 40), slice(40, 60)):
        clf.partial_fit(X[rows], Y[rows], classes=["crack", "sound"])
    found = facts(clf)
    assert (found["n_epochs"], found["n_steps"]) == (2, 3)
    assert not {"max_epochs", "ended_by", "n_samples", "still_falls"} & set(found)
    assert "2 epochs, 3 gradient steps\n" in str(clf.training_summary())


def test_a_fit_that_fails_leaves_no_summary(weighted):
    clf = quick().fit(X, Y)
    with pytest.raises(ValueError, match="NaN"):
        clf.fit(np.full_like(X, np.nan), Y)
    with pytest.raises(NotFittedError):
        clf.training_summary()
    assert "_training_record" not in vars(clf)


def test_it_is_told_that_the_loss_still_fell_where_the_warning_says_so():
    told_apart = X + (Y == "crack")[:, None, None]
    with pytest.warns(ConvergenceWarning, match="still fell"):
        clf = quick(max_epochs=8).fit(told_apart, Y)
    assert facts(clf)["still_falls"]
    assert "could learn more" in str(clf.training_summary())


def test_a_regressor_tells_of_its_target():
    y = np.linspace(2, 4, 60)
    reg = CNNRegressor("linear", target_weight="inverse", max_epochs=1, random_state=0).fit(X, y)
    found = facts(reg)
    assert (found["target_mean"], "classes" in found) == (pytest.approx(3), False)
    text = str(reg.training_summary())
    assert "mean 3, standard deviation 0.5871" in text
    assert "target weights  inverse" in text


@pytest.mark.slow
def test_a_network_has_its_name_with_a_table_or_a_last_layer_around_it():
    frame = pd.DataFrame({"image": list(X), "age": np.arange(60.0)})
    beside = CNNClassifier(image_column="image", max_epochs=1, random_state=0).fit(frame, Y)
    assert facts(beside)["network"] == "SimpleCNN"
    assert facts(beside)["columns"] == ["age"]
    backbone = pretrained(nn.Conv2d(3, 4, 3), mean=(0.5,) * 3, sd=(0.2,) * 3, image_size=(8, 8))
    tuned = quick(module=backbone, max_epochs=1).fit(X, Y)
    assert facts(tuned)["network"] == repr(backbone)


def test_a_file_keeps_what_happened(weighted, tmp_path):
    clf = quick(sampler=RandomOverSampler(random_state=0)).fit(X, Y)
    for fitted in (weighted, clf):
        fitted.save(tmp_path / "model.skimb")
        again = CNNClassifier.load(tmp_path / "model.skimb")
        assert facts(again) == facts(fitted)


@pytest.mark.parametrize("name", ["classifier", "regressor"])
def test_what_a_file_of_an_earlier_version_does_not_tell_is_left_out(name):
    fitted = load(f"{__file__.rpartition('tests')[0]}tests/data/{name}.skimb")
    found = facts(fitted)
    assert found["n_epochs"] == len(fitted.history_)
    assert not {"device", "parameters", "max_epochs", "n_samples"} & set(found)
    text = str(fitted.training_summary())
    assert "training loss" in text
    assert "optimiser" not in text


def test_of_many_classes_the_rarest_and_the_most_frequent_are_shown():
    y = np.repeat(np.arange(20), 3)
    y[:2] = 19
    # Class 0 has one sample, class 19 five, and the others three.
    lines = str(quick().fit(X, y).training_summary()).splitlines()
    table = lines[1 + next(i for i, line in enumerate(lines) if line.startswith("class ")) :]
    assert len(table) == 12
    assert table[0].split()[:2] == ["0", "1"]
    assert table[8] == "... 9 more"
    assert table[-1].split()[:2] == ["19", "5"]


class Outer(Loss):
    """A loss that holds a module, whose text has several lines."""

    def __init__(self, reduction="mean"):
        super().__init__()
        self.reduction = reduction
        self.inner = nn.CrossEntropyLoss(reduction="none")

    def forward(self, logits, target):
        values = self.inner(logits, target)
        return values.mean() if self.reduction == "mean" else values


def unchanged(images):
    return images


def test_functions_and_objects_have_names_which_are_those_of_every_process():
    descent = partial(torch.optim.SGD, momentum=0.9)
    fitted = quick(
        augmentation=[unchanged, "shift_crop"],
        optimizer=descent,
        scoring=constant_score,
        early_stopping=True,
        loss=Outer(),
        max_epochs=1,
    ).fit(X, Y)
    told = facts(fitted)
    assert told["parameters"]["augmentation"] == "[unchanged, 'shift_crop']"
    assert told["parameters"]["scoring"] == "constant_score"
    assert told["loss"] == "Outer( (inner): CrossEntropyLoss() )"
    assert "0x" not in json.dumps(told)
    assert "constant score 0.5" in str(fitted.training_summary())


def test_the_names_of_columns_stay_in_their_line():
    frame = pd.DataFrame({"image": list(X), "in\nmm": np.arange(60.0)})
    fitted = quick(image_column="image", max_epochs=1).fit(frame, Y)
    assert "columns        in\\nmm" in str(fitted.training_summary()).splitlines()


def test_labels_are_shown_and_never_markup():
    y = np.where(Y == "crack", "<script>x</script>\u202e", "sound")
    summary = quick().fit(X, y).training_summary()
    html = summary._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;x&lt;/script&gt;" in html
    assert "\u202e" not in html + str(summary)
    assert "<script>x</script>\\u202e" in str(summary)


def test_the_html_says_what_the_text_says(weighted):
    summary = weighted.training_summary()
    html = summary._repr_html_()
    for text in (str(summary).splitlines()[0], "LinearModel with 130 parameters", ">0.625<"):
        assert text in html


def test_facts_that_are_changed_change_no_summary(weighted):
    summary = weighted.training_summary()
    summary.to_dict()["classes"].clear()
    assert summary.to_dict()["classes"] == ["crack", "sound"]


def test_it_needs_a_fit():
    with pytest.raises(NotFittedError):
        CNNClassifier().training_summary()
