"""Files of fitted estimators: all that they had comes back, to the bit."""

import pickle
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from imblearn import FunctionSampler
from PIL import Image
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from skorch.callbacks import EpochTimer
from torch import nn

from skimb.losses import BalancedMSELoss, FocalLoss, HuberLoss, LDAMLoss, Loss, VectorScalingLoss
from skimb.neural_network import (
    CNNClassifier,
    CNNEmbedder,
    CNNRegressor,
    DecoupledClassifier,
    load,
    read_metadata,
    save,
)
from skimb.over_sampling import SMOTE, RandomOverSampler
from skimb.relevance import LabelDensity, Relevance
from skimb.under_sampling import EmbeddedSampler, RandomUnderSampler

DATA = np.random.RandomState(0)
X = DATA.rand(60, 8, 8).astype(np.float32)
Y = np.arange(60) % 5 // 3


def quick(module: Any = "simple_cnn", **params):
    defaults = {"max_epochs": 1, "batch_size": 30, "random_state": 0, "standardize": None}
    return CNNClassifier(module, **{**defaults, **params})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.skimb"


def same(first, second):
    """Return whether two values are equal to the bit, in their types too."""
    if isinstance(first, np.ndarray):
        return first.dtype == second.dtype and np.array_equal(first, second)
    if isinstance(first, list | tuple):
        return type(first) is type(second) and all(map(same, first, second))
    return type(first) is type(second) and repr(first) == repr(second)


def check_round_trip(fitted, path, data: Any = X, **given):
    """Save and load; return the estimator, after all predictions were compared."""
    save(fitted, path)
    again = load(path, **given)
    assert type(again) is type(fitted)
    for name in ("predict_log_proba", "decision_function", "predict", "embed", "transform"):
        if hasattr(fitted, name):
            assert same(getattr(fitted, name)(data), getattr(again, name)(data)), name
    assert repr(again.get_params()) == repr(fitted.get_params())
    assert {*vars(fitted)} - {"_optimizer_state"} == {*vars(again)}
    for name, value in vars(fitted).items():
        if name.endswith("_") and not hasattr(value, "get_params") and name != "net_":
            assert same(value, vars(again)[name]), name
    return again


@pytest.mark.parametrize("module", ["simple_cnn", "resnet", "vgg", "linear"])
def test_a_classifier_comes_back_to_the_bit(module, path):
    fitted = quick(module).fit(X, Y)
    again = check_round_trip(fitted, path)
    assert same(again.net_.predict_proba(X), fitted.net_.predict_proba(X))
    assert same(clone(again).fit(X, Y).predict_proba(X), fitted.predict_proba(X))


def test_metadata_are_read_without_the_model(path, monkeypatch):
    save(quick().fit(X, Y), path, metadata={"names": ["cat", "dog"], "n": 3})
    monkeypatch.setattr("skimb.neural_network._saving.Reader", None)
    assert read_metadata(path) == {"names": ["cat", "dog"], "n": 3}


def test_unfitted_estimators_are_not_saved(path):
    for estimator in (CNNClassifier(), CNNRegressor(), CNNEmbedder()):
        with pytest.raises(NotFittedError):
            estimator.save(path)
    assert not path.exists()


def test_a_file_of_another_class_is_refused(path):
    quick().fit(X, Y).save(path)
    assert isinstance(CNNClassifier.load(path), CNNClassifier)
    with pytest.raises(ValueError, match="fitted CNNClassifier, and a CNNRegressor is wanted"):
        CNNRegressor.load(path)


# ---------------------------------------------------------------------- classifiers

LOSSES = sorted(CNNClassifier._named_losses)
GIVEN = VectorScalingLoss(multiplier=np.array([1.5, 0.5]), offset=[0.0, -1.0])


@pytest.mark.parametrize("loss", [*LOSSES, FocalLoss(gamma=1.0), LDAMLoss(scale=10.0), GIVEN])
def test_every_loss_comes_back(loss, path):
    fitted = quick(loss=loss, reweight_after=0.5, max_epochs=2).fit(X, Y)
    again = check_round_trip(fitted, path)
    logits, target = torch.randn(6, 2), torch.arange(6) % 2
    assert torch.equal(again.loss_(logits, target), fitted.loss_(logits, target))
    for target_prior in ("train", "sqrt", "uniform", {0: 0.9, 1: 0.1}):
        first, second = (
            one.set_params(target_prior=target_prior).predict_proba(X) for one in (fitted, again)
        )
        assert same(first, second)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["dog", "cat"]),
        np.array(["dog", "cat"], dtype=object),
        np.array([True, False]),
        np.array([7, -3], dtype=np.int8),
        np.array([2.0, 5.0]),
    ],
    ids=["text", "objects", "bools", "gaps", "floats"],
)
def test_labels_keep_their_types(labels, path):
    fitted = quick("linear", target_prior="uniform").fit(X, labels[Y])
    again = check_round_trip(fitted, path)
    assert same(again.net_.predict(X), fitted.net_.predict(X))


def test_validation_calibration_and_history_come_back(path):
    fitted = quick(
        early_stopping=True,
        validation_fraction=0.3,
        calibration="temperature",
        target_prior="train",
        loss="logit_adjusted",
        max_epochs=2,
    ).fit(X, Y)
    again = check_round_trip(fitted, path)
    assert again.temperature_ == fitted.temperature_ != 1
    assert same(list(again.net_.history), list(fitted.net_.history))


def test_biases_of_a_calibration_come_back(path):
    settings = {"calibration": "bias_corrected", "validation_fraction": 0.3, "max_epochs": 2}
    fitted = quick(loss="logit_adjusted", **settings).fit(X, Y)
    again = check_round_trip(fitted, path)
    assert fitted.biases_.any()
    assert again.biases_.tolist() == fitted.biases_.tolist()
    assert same(again.net_.predict(X), fitted.net_.predict(X))
    fitted.biases_ = np.full_like(fitted.biases_, np.nan)
    fitted.save(path)
    with pytest.raises(ValueError, match="the biases="):
        CNNClassifier.load(path)


def test_views_of_test_time_augmentation_come_back(path):
    fitted = quick(augmentation=["flip_crop", "mixup"]).fit(X, Y)
    again = check_round_trip(fitted, path)
    assert repr(again.net_.module_.views) == repr(fitted.net_.module_.views) != "None"
    # The views are those of the training, whatever is set later.
    check_round_trip(fitted.set_params(augmentation=None), path)


def test_the_net_trains_on_as_it_would_have(path):
    fitted = quick(optimizer="sgd", optimizer_params={"momentum": 0.5}, max_epochs=2).fit(X, Y)
    again = check_round_trip(fitted, path)
    for one in (fitted, again):
        one.net_.partial_fit(X, Y)
    assert same(fitted.predict_proba(X), again.predict_proba(X))
    assert len(again.net_.history) == 4
    assert again.net_.optimizer is torch.optim.SGD


def test_a_numpy_random_state_goes_on_where_it_was(path):
    fitted = quick("linear", random_state=np.random.RandomState(3)).fit(X, Y)
    save(fitted, path)
    again = load(path)
    assert same(again.fit(X, Y).predict_proba(X), fitted.fit(X, Y).predict_proba(X))


def test_columns_of_a_frame_and_paths_come_back(path, tmp_path):
    frame = pd.DataFrame(X.reshape(60, -1)).rename(columns=lambda i: f"p{i}")
    fitted = quick("linear").fit(frame, Y)
    check_round_trip(fitted, path, frame)
    files = [str(tmp_path / f"{i}.png") for i in range(60)]
    for file, pixels in zip(files, X, strict=True):
        Image.fromarray((pixels * 60000).astype(np.uint16)).save(file)
    fitted = quick(value_range=(0, 65535), standardize="auto", image_shape=(1, 6, 6)).fit(files, Y)
    again = check_round_trip(fitted, path, files)
    bad = X[:, :6, :6] * 70000
    for one in (fitted, again):
        with pytest.raises(ValueError, match="65535"):
            one.predict(bad)


def test_warnings_of_another_scale_come_back(path):
    fitted = quick("linear").fit(X, Y)
    save(fitted, path)
    with pytest.warns(UserWarning, match="scale"):
        load(path).predict(X * 1000)


def test_a_file_holds_no_samples_and_does_not_grow_with_them(tmp_path):
    pattern = DATA.rand(8, 8).astype(np.float32)
    sizes = []
    for n_copies in (30, 120):
        many = np.concatenate([X, np.tile(pattern, (60 * n_copies, 1, 1))])
        labels = np.concatenate([Y, np.arange(60 * n_copies) % 2])
        file = tmp_path / str(n_copies)
        quick("linear", batch_size=2000).fit(many, labels).save(file)
        content = file.read_bytes()
        assert pattern.tobytes() not in content
        assert pattern[0].tobytes() not in content
        sizes.append(len(content))
    # Numbers in the JSON have more or fewer digits.
    assert abs(sizes[1] - sizes[0]) < 200


def test_fits_that_continue_go_on_after_loading(path):
    warm = quick("linear", warm_start=True).fit(X, Y)
    save(warm, path)
    assert same(load(path).fit(X, Y).predict_proba(X), warm.fit(X, Y).predict_proba(X))
    part = quick("linear").partial_fit(X, Y, classes=[0, 1]).partial_fit(X[::-1], Y[::-1])
    # As in a pickle, the state of the optimiser is new.
    other = pickle.loads(pickle.dumps(part))
    again = check_round_trip(part, path)
    assert same(again.partial_fit(X, Y).predict_proba(X), other.partial_fit(X, Y).predict_proba(X))
    assert again.n_iter_ == 3
    numbers = X.mean((1, 2)) * 9
    regressor = CNNRegressor("linear", batch_size=30, random_state=0).partial_fit(X, numbers)
    other = pickle.loads(pickle.dumps(regressor))
    again = check_round_trip(regressor, path)
    for one in (again, other):
        one.partial_fit(X, numbers)
    assert same(again.predict(X), other.predict(X))


def test_the_folder_of_a_checkpoint_is_not_in_the_file(path, tmp_path):
    fitted = quick("linear", checkpoint=tmp_path / "steps").fit(X, Y)
    with pytest.warns(UserWarning, match="checkpoint"):
        save(fitted, path)
    with pytest.warns(UserWarning, match="checkpoint"):
        assert load(path).checkpoint is None


# ------------------------------------------------------------------------ handed in


class Own(nn.Module):
    """A user's own network, with a buffer and an option."""

    def __init__(self, in_channels, n_outputs, width=4):
        super().__init__()
        self.first = nn.Conv2d(in_channels, width, 3)
        self.norm = nn.BatchNorm2d(width)
        self.last = nn.Linear(width, n_outputs)

    def forward(self, x):
        return self.last(self.norm(self.first(x)).relu().mean((2, 3)))


class Learned(nn.Module):
    """A user's own loss, with a parameter that is learned."""

    lr = 0.1

    def __init__(self):
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(()))

    def forward(self, logits, target):
        values = nn.functional.cross_entropy(logits, target, reduction="none")
        return values * self.log_scale.exp() - self.log_scale


class Counting(Loss):
    """A user's own subclass of a loss of skimb."""

    def __init__(self, *, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, logits, target):
        shifted = logits + self.class_counts().log()
        return nn.functional.cross_entropy(shifted, target, reduction=self.reduction)


def brighten(images):
    return images * 1.1


class Mirrored:
    """A user's own augmentation with views."""

    def __call__(self, images):
        return images

    def views(self, images):
        return [images, images.flip(2)]


@pytest.mark.parametrize("module", [Own, Own(1, 2), partial(Own, width=3)])
def test_a_module_of_ones_own_is_handed_in(module, path):
    fitted = quick(module).fit(X, Y)
    again = check_round_trip(fitted, path, module=module)
    assert again.module is module
    with pytest.raises(ValueError, match=r"`module` was .*Own.*load\(path, module=\.\.\.\)"):
        load(path)
    with pytest.raises(ValueError, match=r"does not fit the network.*'network\.first\.weight'"):
        load(path, module=partial(Own, width=5))
    with pytest.raises(ValueError, match="does not fit the network: it lacks"):
        load(path, module=nn.Sequential(nn.Flatten(), nn.Linear(64, 2)))


def test_options_of_a_module_of_ones_own_come_back(path):
    fitted = quick(Own, module_params={"width": 6}).fit(X, Y)
    again = check_round_trip(fitted, path, module=Own)
    assert again.module_.first.out_channels == 6


@pytest.mark.parametrize(
    "loss", [Learned(), Counting(), nn.CrossEntropyLoss(), nn.functional.cross_entropy]
)
def test_a_loss_of_ones_own_is_handed_in(loss, path):
    fitted = quick("linear", loss=loss, max_epochs=2).fit(X, Y)
    again = check_round_trip(fitted, path, loss=loss)
    if isinstance(loss, Learned):
        learned = [one.net_.criterion_.loss.log_scale for one in (again, fitted)]
        assert learned[0] == learned[1] != 0
    with pytest.raises(ValueError, match=r"`loss` was .*\. Give them: load\(path, loss=\.\.\.\)"):
        load(path)


@pytest.mark.parametrize("augmentation", [brighten, Mirrored(), ["flip_crop", Mirrored()]])
def test_an_augmentation_of_ones_own_is_handed_in(augmentation, path):
    fitted = quick("linear", augmentation=augmentation).fit(X, Y)
    check_round_trip(fitted, path, augmentation=augmentation)
    with pytest.raises(ValueError, match="`augmentation` was"):
        load(path)


def test_what_only_a_training_reads_comes_back_as_the_default_with_warnings(path):
    fitted = quick(
        "linear",
        net_callbacks=[EpochTimer()],
        lr_schedule=partial(torch.optim.lr_scheduler.StepLR, step_size=1),
        optimizer=partial(torch.optim.SGD, momentum=0.1),
        early_stopping=True,
        scoring=make_scorer(accuracy_score),
        sampler=FunctionSampler(func=lambda X, y: (X, y), validate=False),
    ).fit(X, Y)
    with pytest.warns(UserWarning, match="only a new fit reads") as at_save:
        fitted.save(path)
    with pytest.warns(UserWarning, match="only a new fit reads") as at_load:
        again = CNNClassifier.load(path)
    for caught in (at_save, at_load):
        for name in ("net_callbacks", "lr_schedule", "optimizer", "scoring", "sampler"):
            assert f"{name} (" in str(caught[0].message)
        assert caught[0].filename == __file__
    assert again.net_callbacks is again.scoring is again.sampler is None
    assert (again.optimizer, again.lr_schedule) == ("adamw", "one_cycle")
    assert same(again.predict_proba(X), fitted.predict_proba(X))
    clone(again).fit(X, Y)


def test_samplers_of_the_packages_come_back(path):
    fitted = quick("linear", sampler=[RandomOverSampler(random_state=0), SMOTE(random_state=1)])
    again = check_round_trip(fitted.fit(X, Y), path)
    assert repr(again.sampler) == repr(fitted.sampler)


class Named(CNNClassifier):
    """A user's own subclass."""

    def predict(self, X):
        return np.array(["no", "yes"])[super().predict(X)]


def test_a_subclass_of_ones_own_is_loaded_by_itself(path):
    fitted = Named(Own, max_epochs=1, batch_size=30, random_state=0).fit(X, Y)
    fitted.save(path)
    again = Named.load(path, module=Own)
    assert isinstance(again, Named)
    assert same(again.predict(X), fitted.predict(X))
    with pytest.raises(ValueError, match=r"load\(path, classes=\[Named\]\)"):
        load(path, module=Own)


def test_an_object_that_the_file_does_not_need_is_refused(path):
    quick("linear").fit(X, Y).save(path)
    for given in ({"module": Own}, {"loss": Learned()}, {"augmentation": brighten}):
        with pytest.raises(ValueError, match="It holds its own"):
            load(path, **given)


def test_callbacks_of_scikit_learn_are_left_out_with_warnings(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = quick("linear").set_callbacks(ProgressBar()).fit(X, Y)
    with pytest.warns(UserWarning, match="set_callbacks"):
        fitted.save(path)
    with pytest.warns(UserWarning, match="set_callbacks"):
        again = load(path)
    assert same(again.predict_proba(X), fitted.predict_proba(X))


def test_parameters_that_no_longer_fit_the_network_are_refused_before_anything_is_written(path):
    fitted = quick("linear").fit(X, Y)
    with pytest.raises(ValueError, match=r"`module`='vgg' was set after `fit`"):
        fitted.set_params(module="vgg").save(path)
    with pytest.raises(ValueError, match="'lr' parameter of CNNClassifier"):
        fitted.set_params(module="linear", lr=-1).save(path)
    assert not path.exists()


def small(in_channels, n_outputs, width=4):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64 * in_channels, width), nn.Linear(width, n_outputs)
    )


@pytest.mark.parametrize(
    ("module", "change", "named"),
    [
        ("simple_cnn", {"module_params": {"a": 1}}, "module_params"),
        ("linear", {"module_params": {"image_shape": (1, 9, 9)}}, "module_params"),
        (small, {"module_params": {"width": 8}}, "module_params"),
        (small, {"module_params": {"depth": 8}}, "module_params"),
        (small, {"module": partial(small, width=8)}, "module"),
        (small(1, 2), {"module_params": {"width": 4}}, "module_params"),
        (small(1, 2), {"module": small(1, 2, 8)}, "module"),
    ],
)
def test_options_of_a_module_that_were_set_after_the_training_are_refused(
    module, change, named, path
):
    fitted = quick(module).fit(X, Y).set_params(**change)
    with pytest.raises(ValueError, match=rf"(?s)nothing was written.*`{named}`=.*was set after"):
        save(fitted, path)
    assert not path.exists()


def test_options_that_were_set_before_a_warm_start_are_refused(path):
    fitted = quick(small, module_params={"width": 4}, warm_start=True).fit(X, Y)
    check_round_trip(fitted, path, module=small)
    fitted.set_params(module__width=8).fit(X, Y)
    with pytest.raises(ValueError, match=r"nothing was written.*module_params.*'width': 8"):
        save(fitted, path)


class Computing(nn.Module):
    """A network that computes with values where it is built, and has a lazy layer."""

    def __init__(self, in_channels, n_outputs):
        super().__init__()
        self.factor = float(torch.ones(3).sum().item())
        self.layer = nn.LazyLinear(n_outputs)

    def forward(self, x):
        return self.layer(x.flatten(1)) * self.factor


@pytest.mark.parametrize("module", [Computing, Computing(1, 2)], ids=["class", "instance"])
def test_networks_that_need_values_where_they_are_built_come_back(module, path):
    check_round_trip(quick(module).fit(X, Y), path, module=module)


def test_a_part_that_is_left_out_asks_for_nothing(path):
    inner = EmbeddedSampler(
        sampler=RandomUnderSampler(random_state=0), embedder=CNNEmbedder(quick(small))
    )
    foreign = FunctionSampler(func=lambda X, y: (X, y), validate=False)
    fitted = quick("linear").fit(X, Y).set_params(sampler=[inner, foreign])
    with pytest.warns(UserWarning, match="sampler"):
        save(fitted, path)
    with pytest.warns(UserWarning, match="sampler") as caught:
        again = load(path)
    assert "module" not in str(caught[0].message).split("sampler (")[0]
    assert again.sampler is None
    assert same(again.predict_proba(X), fitted.predict_proba(X))


# ------------------------------------------------------------------------ regressors


@pytest.mark.parametrize("loss", [*sorted(CNNRegressor._named_losses), HuberLoss(delta=0.5)])
def test_a_regressor_comes_back_to_the_bit(loss, path):
    fitted = CNNRegressor("linear", loss=loss, max_epochs=3, batch_size=30, random_state=0).fit(
        X, X.mean((1, 2)) * 100
    )
    again = check_round_trip(fitted, path)
    assert same(again.net_.predict(X), fitted.net_.predict(X))
    assert same(again.density_.edges_, fitted.density_.edges_)
    prediction, target = torch.randn(6), torch.randn(6)
    assert torch.equal(again.loss_(prediction, target), fitted.loss_(prediction, target))
    again.net_.partial_fit(X, X.mean((1, 2)) * 100)


@pytest.mark.parametrize("form", ["batch", "binned", "mixture"])
def test_learned_noise_of_a_balanced_error_comes_back(form, path):
    loss = BalancedMSELoss(form=form)
    fitted = CNNRegressor("linear", loss=loss, max_epochs=4, batch_size=30, random_state=0)
    again = check_round_trip(fitted.fit(X, X.mean((1, 2))), path)
    assert again.loss_.noise_ == fitted.loss_.noise_
    assert again.loss_.log_noise_.requires_grad


def test_relevance_and_density_come_back(path):
    fitted = CNNRegressor(
        "linear",
        relevance=Relevance(coef=0.5),
        density=LabelDensity(bins=4),
        batch_sampling="relevance",
        ranksim=0.5,
        max_epochs=1,
        random_state=0,
    ).fit(X, np.exp(X.mean((1, 2)) * 50))
    again = check_round_trip(fitted, path)
    assert same(clone(again).fit(X, np.exp(X.mean((1, 2)) * 50)).predict(X), fitted.predict(X))


# ---------------------------------------------------------------- embedders and heads


def test_embedders_come_back(path):
    trained = CNNEmbedder(quick(), normalize=True).fit(X, Y)
    again = check_round_trip(trained, path)
    assert again.net_ is again.estimator_.net_
    frozen = CNNEmbedder(FrozenEstimator(trained.estimator_), layer="features").fit(X)
    again = check_round_trip(frozen, path)
    assert again.estimator.estimator is again.estimator_
    assert same(list(again.get_feature_names_out()), list(frozen.get_feature_names_out()))


def test_the_folder_of_a_cache_is_not_in_the_file(path, tmp_path):
    cached = CNNEmbedder(quick(), cache=str(tmp_path / "cache")).fit(X, Y)
    with pytest.warns(UserWarning, match=r"cache \('"):
        cached.save(path)
    with pytest.warns(UserWarning, match=r"cache \('"):
        again = CNNEmbedder.load(path)
    assert again.cache is None
    assert same(again.transform(X), cached.transform(X))


@pytest.mark.parametrize(
    "params",
    [
        {"max_epochs": 2},
        {"max_epochs": 2, "loss": "ldam", "class_weight": "balanced"},
        {"max_epochs": 2, "head": "learnable_scales"},
        {"head": "tau_normalized", "tau": 0.5},
        {"head": LogisticRegression()},
        {"max_epochs": 2, "sampler": SMOTE()},
    ],
    ids=str,
)
def test_two_stage_classifiers_come_back(params, path):
    fitted = DecoupledClassifier(quick(), random_state=0, **params).fit(X, Y)
    again = check_round_trip(fitted, path)
    assert same(clone(again).fit(X, Y).predict_proba(X), fitted.predict_proba(X))
    assert isinstance(DecoupledClassifier.load(path), DecoupledClassifier)


# ------------------------------------------------------------------------ golden files

GOLDEN = Path(__file__).parents[1] / "data"


@pytest.mark.parametrize("name", ["classifier", "regressor", "decoupled"])
def test_files_of_the_first_version_load_and_predict_the_same(name):
    # tests/data/make_models.py wrote them.
    known = np.load(GOLDEN / "predictions.npz")
    model = load(GOLDEN / f"{name}.skimb")
    predict = model.predict if name == "regressor" else model.predict_log_proba
    np.testing.assert_allclose(predict(known["X"]), known[name], rtol=1e-4, atol=1e-5)
    assert read_metadata(GOLDEN / f"{name}.skimb") == {"made_by": "make_models.py"}
    if name != "regressor":
        assert model.classes_.tolist() == ["cat", "dog", "owl"]
    if name == "classifier":
        # They are younger than the file.
        assert model.biases_.tolist() == [0, 0, 0]
