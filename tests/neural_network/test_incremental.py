"""Fits that continue: `warm_start`, and `partial_fit` on parts of the data."""

import copy
import pickle

import numpy as np
import pytest
import torch
from imblearn.over_sampling import RandomOverSampler
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from skorch.callbacks import Callback
from torch import nn

from skimb.losses import FocalLoss, LogitAdjustedLoss
from skimb.neural_network import CNNClassifier, CNNRegressor
from skimb.neural_network.joint_training import starting_layer

SETTINGS = {"batch_size": 16, "random_state": 0, "device": "cpu"}


def images(n_samples=96, *, continuous=False, seed=3):
    """Return small images of a frequent and a rare class, or with a continuous target."""
    rng = np.random.RandomState(seed)
    y = np.arange(n_samples) % 6 // 4
    X = rng.randint(0, 200, size=(n_samples, 8, 8))
    X[np.arange(n_samples), 2 + 3 * y] += 50
    if continuous:
        return X.astype(np.uint8), 100 + 10 * y + rng.rand(n_samples)
    return X.astype(np.uint8), np.array(["often", "rare"])[y]


def classifier(**parameters):
    return CNNClassifier(**{**SETTINGS, "augmentation": None, **parameters})


def regressor(**parameters):
    return CNNRegressor(**{**SETTINGS, "augmentation": None, **parameters})


def weights(estimator):
    """Return the parameters; batch-norm statistics are re-estimated after each training."""
    return {name: value.detach().numpy() for name, value in estimator.module_.named_parameters()}


def n_steps(estimator):
    """Return the number of steps that the state of the optimiser has seen."""
    state = estimator._optimizer_state.state_["state"]
    return {int(values["step"]) for values in state.values()}


CLASSES = ["often", "rare"]

# ------------------------------------------------------------------------------ warm_start


def test_a_warm_start_begins_where_the_last_fit_ended():
    X, y = images()
    warm = classifier(max_epochs=3, warm_start=True, lr_schedule="constant")
    losses = [warm.fit(X, y).history_[0]["train_loss"] for _ in range(3)]
    assert losses[0] > losses[1] > losses[2]
    assert warm.n_iter_ == len(warm.history_) == 3
    cold = clone(warm).set_params(warm_start=False)
    assert cold.fit(X, y).fit(X, y).history_[0]["train_loss"] == losses[0]


def test_a_rate_of_almost_zero_leaves_the_weights_of_the_last_fit():
    X, y = images()
    warm = classifier(max_epochs=2, warm_start=True, weight_decay=0.0).fit(X, y)
    before, proba = weights(warm), warm.predict_proba(X)
    warm.set_params(lr=1e-30).fit(X[:48], y[:48])
    for name, values in weights(warm).items():
        np.testing.assert_allclose(values, before[name], atol=1e-12)
    np.testing.assert_allclose(warm.predict_proba(X), proba, atol=0.1)


@pytest.mark.parametrize("standardize", ["auto", (100.0, 50.0)])
def test_a_warm_start_keeps_the_standardisation_that_its_weights_belong_to(standardize):
    X, y = images()
    warm = classifier(max_epochs=1, warm_start=True).fit(X, y)
    mean = warm.net_.module_.mean.clone()
    scale = warm.net_.module_.scale.clone()
    brighter = np.minimum(X, 150) + 100
    warm.set_params(standardize=standardize).fit(brighter.astype(np.uint8), y)
    same = torch.equal(warm.net_.module_.mean, mean), torch.equal(warm.net_.module_.scale, scale)
    assert same == ((True, True) if standardize == "auto" else (False, False))


def test_a_warm_start_of_a_regressor_keeps_the_unit_of_its_network():
    X, y = images(continuous=True)
    warm = regressor(max_epochs=2, warm_start=True).fit(X, y)
    mean, scale = warm.y_mean_, warm.y_scale_
    warm.fit(X, y + 5)
    assert (warm.y_mean_, warm.y_scale_) == (mean, scale)
    assert abs(warm.predict(X).mean() - (y + 5).mean()) < 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X, np.where(y == "rare", "other", y)), r"classes \['often', 'rare'\]"),
        (lambda X, y: (X[:, :6], y), r"shape \(C, H, W\) = \(1, 8, 8\)"),
    ],
    ids=["classes", "shape"],
)
def test_a_warm_start_refuses_other_data_and_loses_nothing(change, message):
    X, y = images()
    warm = classifier(max_epochs=1, warm_start=True).fit(X, y)
    proba = warm.predict_proba(X)
    with pytest.raises(ValueError, match=message):
        warm.fit(*change(X, y))
    np.testing.assert_array_equal(warm.predict_proba(X), proba)
    assert warm.image_shape_ == (1, 8, 8)


class Fails(BaseEstimator):
    """A sampler that is no good."""

    def fit_resample(self, X, y):
        """Fail."""
        raise RuntimeError("no samples")


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"optimizer_params": {"bogus": 1}}, Exception),
        ({"sampler": Fails()}, RuntimeError),
        ({"loss": lambda outputs, target: 1 / 0}, Exception),
    ],
    ids=["optimiser", "sampler", "loss"],
)
def test_a_warm_start_that_fails_before_its_first_step_loses_nothing(parameters, error):
    X, y = images()
    warm = classifier(max_epochs=1, warm_start=True).fit(X, y)
    before, given = dict(vars(warm)), {name: getattr(warm, name) for name in parameters}
    with pytest.raises(error):
        warm.set_params(**parameters).fit(X, y)
    assert vars(warm.set_params(**given)) == before
    with pytest.raises((ValueError, TypeError)):
        warm.fit(object(), y)
    assert vars(warm) == before


def test_a_full_disk_costs_a_warm_start_nothing(monkeypatch, tmp_path):
    from skimb._engine import _checkpoint

    def full(folder, size):
        raise OSError(28, "No space left on device")

    X, y = images()
    warm = classifier(max_epochs=1, warm_start=True).fit(X, y)
    proba = warm.predict_proba(X)
    monkeypatch.setattr(_checkpoint, "_check_space", full)
    with pytest.raises(OSError, match="Free some space"):
        warm.set_params(checkpoint=tmp_path).fit(X, y)
    np.testing.assert_array_equal(warm.predict_proba(X), proba)


class Stops(Callback):
    """Interrupt a training once."""

    is_active = True

    def on_epoch_begin(self, net, **kwargs):
        """Interrupt the second epoch."""
        if Stops.is_active and len(net.history) == 2:
            Stops.is_active = False
            raise KeyboardInterrupt


@pytest.mark.parametrize("has_checkpoint", [False, True])
@pytest.mark.parametrize("is_pickled", [False, True])
def test_after_an_interrupted_warm_start_the_next_fit_starts_from_the_same_weights(
    has_checkpoint, is_pickled, monkeypatch, tmp_path
):
    X, y = images()
    first = classifier(max_epochs=3, warm_start=True, net_callbacks=[Stops()])
    monkeypatch.setattr(Stops, "is_active", False)
    first.fit(X, y)
    unbroken, warm = copy.deepcopy(first).fit(X, y), first
    if has_checkpoint:
        warm.set_params(checkpoint=tmp_path)
    Stops.is_active = True
    with pytest.raises(KeyboardInterrupt):
        warm.fit(X, y)
    with pytest.raises(NotFittedError, match="stopped by KeyboardInterrupt"):
        warm.predict(X)
    assert len(list(tmp_path.iterdir())) == has_checkpoint
    if is_pickled:
        warm = pickle.loads(pickle.dumps(warm))
    # A fit that cannot begin does not lose the weights either.
    with pytest.raises(ValueError, match="inconsistent"):
        warm.fit(X, y[:-1])
    warm.fit(X, y)
    np.testing.assert_equal(weights(warm), weights(unbroken))
    assert not list(tmp_path.iterdir())
    assert "_stopped_start" not in vars(warm)


def test_a_cold_fit_that_is_stopped_leaves_nothing_of_the_last_one(monkeypatch):
    X, y = images()
    clf = classifier(max_epochs=3, net_callbacks=[Stops()])
    monkeypatch.setattr(Stops, "is_active", False)
    clf.fit(X, y)
    Stops.is_active = True
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, y)
    assert [name for name in vars(clf) if name.endswith("_")] == []
    with pytest.raises(NotFittedError, match="stopped by KeyboardInterrupt"):
        clf.module_  # noqa: B018 - a property
    with pytest.raises(NotFittedError, match="not fitted"):
        classifier().module_  # noqa: B018


def test_a_warm_start_takes_another_loss_and_refuses_one_that_its_head_cannot_serve():
    X, y = images()
    warm = classifier(max_epochs=1, warm_start=True).fit(X, y)
    warm.set_params(loss=FocalLoss(), lr=1e-4).fit(X, y)
    assert isinstance(warm.loss_, FocalLoss)
    with pytest.raises(ValueError, match="CosineLinear"):
        warm.set_params(loss="ldam").fit(X, y)


@pytest.mark.slow
def test_both_trainings_of_refit_start_from_the_last_weights():
    X, y = images()
    warm = classifier(max_epochs=2, warm_start=True, early_stopping="refit").fit(X, y)
    before = weights(warm)
    warm.set_params(lr=1e-30, weight_decay=0.0).fit(X, y)
    for name, values in weights(warm).items():
        np.testing.assert_allclose(values, before[name], atol=1e-12)


def test_a_checkpoint_of_a_warm_start_has_the_weights_it_began_with_in_its_name(tmp_path):
    X, y = images()
    from skimb._engine import Checkpoint

    names = []
    with pytest.MonkeyPatch.context() as patch:
        remove = Checkpoint.remove
        patch.setattr(Checkpoint, "remove", lambda self: (names.append(self.path), remove(self)))
        warm = classifier(max_epochs=1, warm_start=True, checkpoint=tmp_path)
        warm.fit(X, y).fit(X, y)
        clone(warm).fit(X, y)
    assert names[0] != names[1]
    assert names[0] == names[2]


# ----------------------------------------------------------------------------- partial_fit


def test_each_call_is_one_epoch_and_the_first_is_that_of_fit():
    X, y = images()
    part = classifier().partial_fit(X, y, CLASSES)
    whole = classifier(max_epochs=1, lr_schedule="constant").fit(X, y)
    for name, values in weights(whole).items():
        np.testing.assert_array_equal(weights(part)[name], values)
    np.testing.assert_array_equal(part.predict_proba(X), whole.predict_proba(X))
    part.partial_fit(X, y)
    assert part.n_iter_ == len(part.history_) == len(part.net_.history) == 2
    assert part.net_.history[:, "epoch"] == [1, 2]
    assert part.history_[1]["lr"] == part.lr


@pytest.mark.slow
@pytest.mark.parametrize("kind", [CNNClassifier, CNNRegressor])
def test_halves_in_turn_teach_as_much_as_the_whole(kind):
    X, y = images(continuous=kind is CNNRegressor)
    halves, whole = kind(**SETTINGS), kind(**SETTINGS)
    first = {} if kind is CNNRegressor else {"classes": CLASSES}
    for _ in range(15):
        halves.partial_fit(X[:48], y[:48], **first).partial_fit(X[48:], y[48:], **first)
        whole.partial_fit(X, y, **first)
    assert n_steps(halves) == n_steps(whole) == {90}
    assert whole.score(X, y) > 0.9
    assert halves.score(X, y) > whole.score(X, y) - 0.05


def test_the_optimiser_keeps_its_state_from_call_to_call():
    X, y = images()
    kept = classifier().partial_fit(X[:48], y[:48], CLASSES)
    dropped = copy.deepcopy(kept)
    assert not hasattr(dropped, "_optimizer_state")
    np.testing.assert_array_equal(kept.predict_proba(X), dropped.predict_proba(X))
    kept.partial_fit(X[48:], y[48:])
    dropped.partial_fit(X[48:], y[48:])
    assert (n_steps(kept), n_steps(dropped)) == ({6}, {3})
    assert np.any(kept.predict_proba(X) != dropped.predict_proba(X))


def test_the_rate_may_change_between_calls_and_another_optimiser_begins():
    X, y = images()
    clf = classifier().partial_fit(X, y, CLASSES)
    clf.set_params(lr=1e-5).partial_fit(X, y)
    assert clf.history_[-1]["lr"] == 1e-5
    assert n_steps(clf) == {12}
    clf.set_params(optimizer="sgd").partial_fit(X, y)
    clf.set_params(optimizer="adam").partial_fit(X, y)
    assert n_steps(clf) == {6}


def test_a_pickle_between_calls_predicts_the_same_and_goes_on():
    X, y = images()
    clf = classifier().partial_fit(X, y, CLASSES)
    loaded = pickle.loads(pickle.dumps(clf))
    # The averages of the optimiser would be twice as large as the network.
    fitted = classifier(max_epochs=1).fit(X, y)
    assert len(pickle.dumps(clf)) < 1.1 * len(pickle.dumps(fitted))
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    loaded.partial_fit(X, y)
    assert loaded.n_iter_ == 2
    np.testing.assert_array_equal(loaded.class_count_, [128, 64])


@pytest.mark.slow
def test_calls_draw_other_numbers_and_are_repeated_by_an_equal_seed():
    X, y = images()

    def losses():
        clf = classifier(augmentation="mixup")
        for _ in range(3):
            clf.partial_fit(X, y, CLASSES)
        return weights(clf)

    first, again = losses(), losses()
    for name, values in first.items():
        np.testing.assert_array_equal(again[name], values)


def test_counts_and_prior_are_those_of_all_calls():
    X, y = images()
    often, rare = np.flatnonzero(y == "often"), np.flatnonzero(y == "rare")
    clf = classifier(target_prior="train").partial_fit(X[often], y[often], CLASSES)
    np.testing.assert_array_equal(clf.class_count_, [64, 0])
    with pytest.raises(ValueError, match=r"zero for \['rare'\], or `partial_fit` has not seen"):
        clf.predict_proba(X)
    clf.partial_fit(X[rare[:16]], y[rare[:16]])
    np.testing.assert_array_equal(clf.class_count_, [64, 16])
    np.testing.assert_allclose(clf.effective_prior_, [0.8, 0.2])
    logits = clf.net_.logits(clf._dataset(X))
    np.testing.assert_allclose(
        clf.predict_proba(X), np.exp(logits) / np.exp(logits).sum(1, keepdims=True), rtol=1e-5
    )
    uniform = copy.deepcopy(clf).set_params(target_prior="uniform").predict_proba(X)
    ratio = clf.predict_proba(X) / uniform
    np.testing.assert_allclose(ratio[:, 0] / ratio[:, 1], 4.0)


def test_balanced_batches_have_a_prior_of_their_own_in_each_call():
    X, y = images()
    clf = classifier(batch_sampling="balanced").partial_fit(X, y, CLASSES)
    np.testing.assert_allclose(clf.effective_prior_, [0.5, 0.5])
    often = np.flatnonzero(y == "often")[:48]
    # This call has no sample of the rare class.
    clf.partial_fit(X[often], y[often])
    np.testing.assert_allclose(clf.effective_prior_, [2 / 3, 1 / 3])
    np.testing.assert_array_equal(clf.class_count_, [112, 32])


@pytest.mark.parametrize(
    "parameters",
    [
        {"loss": "ldam"},
        {"loss": LogitAdjustedLoss()},
        {"augmentation": "remix"},
        {"sampler": RandomOverSampler()},
        {"class_weight": {"often": 1, "rare": 3, "never": 2}},
        {"module": "resnet", "freeze": 1},
    ],
    ids=str,
)
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:freeze=1")
def test_classes_may_be_missing_from_calls(parameters):
    X, y = images()
    clf = classifier(**parameters)
    classes = ["often", "rare", "never"]
    for rows in (slice(0, 32), y == "often", y == "rare", slice(32, 96)):
        if "sampler" in parameters and not isinstance(rows, slice):
            continue
        clf.partial_fit(X[rows], y[rows], classes)
    assert clf.classes_.tolist() == ["never", "often", "rare"]
    proba = clf.predict_proba(X)
    assert proba.shape == (96, 3)
    assert np.isfinite(proba).all()


def test_the_first_call_fixes_scaling_and_the_mean_of_the_weights():
    X, y = images(continuous=True)
    reg = regressor(target_weight=np.abs).partial_fit(X, y)
    mean = reg.net_.module_.mean.clone()
    unit = reg._weight_unit
    assert unit == pytest.approx(np.abs(y).mean())
    reg.partial_fit((X // 2), y * 2)
    assert torch.equal(reg.net_.module_.mean, mean)
    assert reg.y_mean_ == pytest.approx(y.mean())
    assert reg._weight_unit == unit


def test_weights_of_later_calls_are_in_the_unit_of_the_first():
    X, y = images()
    light = classifier(optimizer="sgd", max_grad_norm=None)
    heavy = classifier(optimizer="sgd", max_grad_norm=None)
    for clf, factor in ((light, 1.0), (heavy, 3.0)):
        clf.partial_fit(X, y, CLASSES, np.full(96, 5.0))
        clf.partial_fit(X, y, sample_weight=np.full(96, 5.0 * factor))
    assert light.history_[0]["train_loss"] == heavy.history_[0]["train_loss"]
    assert heavy.history_[1]["train_loss"] > 1.5 * light.history_[1]["train_loss"]
    assert light._weight_unit == heavy._weight_unit == 5.0


@pytest.mark.parametrize("is_continuous", [False, True])
def test_weights_of_calls_after_a_fit_are_in_the_unit_of_the_fit(is_continuous):
    X, y = images(continuous=is_continuous)
    heavy = y > 105 if is_continuous else y == "rare"
    if is_continuous:
        make, classes = regressor, {}
        given = {"target_weight": lambda values: np.where(values > 105, 10.0, 1.0)}
    else:
        make, classes = classifier, {"classes": CLASSES}
        given = {"class_weight": {"often": 1, "rare": 10}}
    # Almost no step: the losses differ by the weights only.
    fitted = make(max_epochs=1, lr=1e-7, **given).fit(X, y)
    unit = np.where(heavy, 10, 1).mean()
    np.testing.assert_allclose(fitted._weight_unit, unit)
    fitted.partial_fit(X[heavy], y[heavy])
    np.testing.assert_allclose(fitted._weight_unit, unit)
    # The call after a fit weighs its samples like the call after a call: 10 / 4, not 1.
    parts = make(lr=1e-7, **given).partial_fit(X, y, **classes).partial_fit(X[heavy], y[heavy])
    losses = [one.history_[-1]["train_loss"] for one in (fitted, parts)]
    np.testing.assert_allclose(*losses, rtol=1e-3)


def test_a_first_call_that_fails_changes_nothing():
    X, y = images()
    for parameters, call in (
        ({}, {"sample_weight": -np.ones(len(y))}),
        ({"loss": "ldam", "module": nn.Sequential(nn.Flatten(), nn.Linear(64, 2))}, {}),
    ):
        clf = classifier(**parameters)
        before = dict(vars(clf))
        with pytest.raises(ValueError, match=r"sample_weight|CosineLinear"):
            clf.partial_fit(X, y, CLASSES, **call)
        assert vars(clf) == before


def test_partial_fit_forgets_that_a_fit_was_stopped(monkeypatch):
    X, y = images()
    clf = classifier(max_epochs=3, net_callbacks=[Stops()])
    monkeypatch.setattr(Stops, "is_active", True)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, y)
    assert "_stopped" in vars(clf)
    clf.partial_fit(X, y, CLASSES)
    assert "_stopped" not in vars(clf)


def test_a_call_after_very_many_samples_takes_no_longer():
    X, y = images()
    clf = classifier(loss=LogitAdjustedLoss()).partial_fit(X, y, CLASSES)
    clf.class_count_ = np.array([10**15, 10**12])
    clf.partial_fit(X, y)
    np.testing.assert_array_equal(clf.loss_.counts_.numpy(), [10**15 + 64, 10**12 + 32])


def test_partial_fit_continues_a_fit_and_a_fit_begins_anew():
    X, y = images()
    clf = classifier(max_epochs=2).fit(X, y)
    clf.partial_fit(X, y)
    assert clf.n_iter_ == 3
    np.testing.assert_array_equal(clf.class_count_, [128, 64])
    clf.fit(X, y)
    assert clf.n_iter_ == 2
    assert not hasattr(clf, "_optimizer_state")


def test_a_learned_noise_goes_on():
    X, y = images(continuous=True)
    reg = regressor(loss="balanced_mse").partial_fit(X, y)
    noise = reg.loss_.noise_
    reg.set_params(lr=1e-30).partial_fit(X, y)
    assert abs(reg.loss_.noise_ - noise) < 0.5 * noise


@pytest.mark.parametrize("module", ["linear", "simple_cnn"])
def test_a_class_that_the_first_call_lacks_starts_as_one_sample(module):
    X, y = images()
    often = np.flatnonzero(y == "often")[:32]
    clf = classifier(module=module, lr=1e-30).partial_fit(X[often], y[often], CLASSES)
    bias = clf.module_.head.bias.detach()
    np.testing.assert_allclose(bias[0] - bias[1], np.log(32), rtol=1e-6)
    # The last layer of a second stage begins without the prior of the first.
    layer = starting_layer(clf, y)
    assert layer is not None
    _, bias = layer
    np.testing.assert_allclose(bias[0], bias[1], rtol=1e-6)


@pytest.mark.slow
def test_a_class_that_the_first_call_lacks_is_learned():
    X, y = images()
    often = y == "often"
    clf = classifier(module="linear", lr=0.01).partial_fit(X[often], y[often], CLASSES)
    for _ in range(30):
        clf.partial_fit(X, y)
    assert clf.score(X, y) == 1


def test_a_sampler_that_needs_several_classes_is_told_what_a_call_lacks():
    X, y = images()
    often = y == "often"
    clf = classifier(module="linear", sampler=RandomOverSampler(random_state=0))
    clf.partial_fit(X, y, CLASSES)
    before = weights(clf)
    with pytest.raises(ValueError, match=r"holds samples of class 'often' only: .*class_weight"):
        clf.partial_fit(X[often], y[often])
    assert clf.n_iter_ == 1
    for name, value in weights(clf).items():
        torch.testing.assert_close(value, before[name])


def test_a_first_call_of_equal_values_is_told():
    X, _ = images(continuous=True)
    reg = regressor(module="linear")
    with pytest.warns(UserWarning, match="All values of y are 100 in the first call"):
        reg.partial_fit(X[:8], np.full(8, 100.0))
    # It is not told again.
    reg.partial_fit(X[:8], np.full(8, 100.0))


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        (classifier, {"class_weight": "balanced"}, "Give a dict of weights by label"),
        (regressor, {"target_weight": "lds"}, "Give a function from values of y to weights"),
        (classifier, {"early_stopping": True}, "early_stopping=False"),
        (classifier, {"early_stopping": "refit"}, "early_stopping=False"),
        (classifier, {"steps_per_epoch": 7}, "steps_per_epoch=None, or `fit`"),
        (classifier, {"reweight_after": 0.5}, "the number of epochs is not known"),
        (classifier, {"batch_sampling": "progressive"}, "the number of epochs is not known"),
        (classifier, {"freeze": "gradual"}, "the number of epochs is not known"),
        (classifier, {"calibration": "temperature"}, "no samples are held out"),
        (classifier, {"max_weight": 3.0}, "the counts of all classes are not known"),
    ],
)
def test_parameters_that_need_the_whole_training_are_refused(kind, parameters, message):
    X, y = images(continuous=kind is regressor)
    one = kind(**parameters)
    with pytest.raises(ValueError, match=message):
        one.partial_fit(X, y, **({} if kind is regressor else {"classes": CLASSES}))
    assert not hasattr(one, "net_")


def test_bad_calls_are_refused_and_change_nothing():
    X, y = images()
    clf = classifier()
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        clf.partial_fit(X, y)
    with pytest.raises(ValueError, match="at least two classes"):
        clf.partial_fit(X, y, ["often"])
    clf.partial_fit(X, y, CLASSES)
    proba, before = clf.predict_proba(X), dict(vars(clf))
    with pytest.raises(ValueError, match=r"labels that `fit` did not see: \['new'\]"):
        clf.partial_fit(X, np.where(y == "rare", "new", y))
    with pytest.raises(ValueError, match="`classes` must be those of the first call"):
        clf.partial_fit(X, y, ["often", "rare", "new"])
    with pytest.raises(ValueError, match=r"images of shape \(1, 6, 8\)"):
        clf.partial_fit(X[:, :6], y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clf.partial_fit(X, y[:-1])
    with pytest.raises(ValueError, match="at least one non-zero number"):
        clf.partial_fit(X, y, sample_weight=np.zeros(len(y)))
    assert vars(clf) == before
    np.testing.assert_array_equal(clf.predict_proba(X), proba)


def test_an_interrupted_call_changes_nothing(monkeypatch):
    from skimb.neural_network import _incremental

    X, y = images()
    clf = classifier().partial_fit(X, y, CLASSES)
    proba = clf.predict_proba(X)

    def interrupt(*args, **kwargs):
        train(*args, **kwargs)
        raise KeyboardInterrupt

    train = _incremental.train
    monkeypatch.setattr(_incremental, "train", interrupt)
    with pytest.raises(KeyboardInterrupt):
        clf.partial_fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), proba)
    assert clf.n_iter_ == 1


def test_a_call_that_diverges_leaves_the_optimiser_as_it_was():
    X, y = images()
    clf = classifier().partial_fit(X, y, CLASSES)
    # A copy would lack the state of the optimiser.
    calm = classifier().partial_fit(X, y, CLASSES).partial_fit(X, y)
    with pytest.raises(ValueError, match="diverged"):
        clf.set_params(lr=1e30).partial_fit(X, y)
    clf.set_params(lr=calm.lr).partial_fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), calm.predict_proba(X))


def test_no_warning_asks_for_more_epochs(recwarn):
    X, y = images()
    classifier().partial_fit(X, y, CLASSES)
    assert not [one for one in recwarn if issubclass(one.category, ConvergenceWarning)]


def test_layers_of_a_trained_network_may_be_frozen_without_a_warning():
    X, y = images()
    warm = classifier(max_epochs=1, warm_start=True).fit(X, y)
    before = weights(warm)
    warm.set_params(freeze="features").fit(X, y)
    same = {name for name, values in weights(warm).items() if np.array_equal(values, before[name])}
    assert same == {name for name in before if not name.startswith("head")}


@pytest.mark.parametrize("kind", [CNNClassifier, CNNRegressor])
def test_a_file_between_calls_goes_on_too(kind, tmp_path):
    X, y = images(continuous=kind is CNNRegressor)
    first = {} if kind is CNNRegressor else {"classes": CLASSES}
    one = kind(**SETTINGS, warm_start=True, max_epochs=1).partial_fit(X, y, **first)
    one.save(tmp_path / "model")
    loaded = kind.load(tmp_path / "model")
    assert loaded.partial_fit(X, y).n_iter_ == len(loaded.history_) == 2
    if kind is CNNClassifier:
        np.testing.assert_array_equal(loaded.class_count_, 2 * one.class_count_)
    else:
        assert loaded.y_mean_ == one.y_mean_
    again = kind.load(tmp_path / "model").fit(X, y)
    assert again.history_[0]["train_loss"] < one.history_[0]["train_loss"]
