"""A training that ends in values that are no numbers is an error, never a fitted model."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from torch import nn

from skimb._engine import LossWatch
from skimb.losses import BalancedMSELoss
from skimb.model_selection import LossSearchCV
from skimb.neural_network import CNNClassifier, CNNRegressor, DecoupledClassifier, DeepSMOTE


@pytest.fixture(scope="module")
def few(small_digits):
    """Forty images, of which ten are of the minority class."""
    X, y = small_digits
    rows = np.r_[np.flatnonzero(y == "eight")[:10], np.flatnonzero(y == "rest")[:30]]
    return X[rows], y[rows]


def of_one_step(estimator, **params):
    """Let the only step of a training be the one that diverges."""
    own: dict[str, Any] = {
        "max_epochs": 1,
        "batch_size": 64,
        "lr_schedule": "constant",
        "random_state": 0,
    }
    own["augmentation"] = None
    return estimator(**{**own, **params})


class Exploding(nn.Module):
    """A loss that is not finite from a call in training mode on; the first ones are sound."""

    def __init__(self, n_sound):
        super().__init__()
        self.n_sound = n_sound

    def forward(self, outputs, target):
        """Return one value a row."""
        kind = nn.functional.mse_loss if target.is_floating_point() else nn.functional.cross_entropy
        values = kind(outputs, target, reduction="none")
        if self.training:
            self.n_sound -= 1
        return values * (torch.nan if self.n_sound < 0 else 1.0)


@pytest.mark.slow
def test_a_training_that_diverges_in_its_last_step_is_an_error(few):
    X, y = few
    clf = CNNClassifier(max_epochs=5, lr=1e6, random_state=0)
    with pytest.raises(ValueError, match=r"Training diverged: .*Lower `lr`"):
        clf.fit(X, y)
    with pytest.raises(NotFittedError):
        clf.predict(X)
    clf.set_params(batch_size=64, augmentation=None)
    with pytest.raises(ValueError, match=r"Training diverged: after the last step, .*Lower `lr`"):
        clf.fit(X, y)


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"lr": 3e38}, "'features.convolutions.0.weight' holds values that are not finite"),
        ({"lr": 1e20}, "'features.norms.0.running_var' holds values that are not finite"),
        (
            {"lr": 1e37, "module": "linear", "standardize": (0, 1e-3)},
            "the outputs for samples of X are not finite",
        ),
    ],
)
def test_parameters_norms_and_outputs_are_looked_at_after_the_last_step(params, found, few):
    X, y = few
    with pytest.raises(ValueError, match=found):
        of_one_step(CNNClassifier, **params).fit(X, y)


def test_a_fit_that_diverges_does_not_leave_the_network_of_the_fit_before(few):
    X, y = few
    clf = of_one_step(CNNClassifier).fit(X, y)
    with pytest.raises(ValueError, match="diverged"):
        clf.set_params(lr=3e38).fit(X, y)
    with pytest.raises(NotFittedError):
        clf.predict(X)


@pytest.mark.parametrize("loss", ["squared_error", "balanced_mse"])
def test_a_regressor_that_diverges_in_its_last_step_is_an_error(loss, few):
    X, y = few
    reg = of_one_step(CNNRegressor, lr=3e38, loss=loss)
    with pytest.raises(ValueError, match="after the last step"):
        reg.fit(X, np.linspace(0, 1, len(y)))
    with pytest.raises(NotFittedError):
        reg.predict(X)


def test_predictions_that_overflow_in_the_unit_of_the_target_are_an_error(few):
    X, y = few
    target = np.linspace(0, 1, len(y)) * 1e306
    assert np.isfinite(of_one_step(CNNRegressor).fit(X, target).predict(X)).all()
    with pytest.raises(ValueError, match="predictions are not finite in the unit of y"):
        of_one_step(CNNRegressor, module="linear", lr=1e4).fit(X, target)


def test_a_noise_that_is_no_number_after_the_last_step_is_an_error(few):
    X, y = few

    class Hasty(BalancedMSELoss):
        # Of its noise alone.
        lr = 3e38

    with pytest.raises(ValueError, match=r"'loss\.log_noise_' holds values that are not finite"):
        of_one_step(CNNRegressor, loss=Hasty()).fit(X, np.linspace(0, 1, len(y)))


@pytest.mark.parametrize("estimator", [CNNClassifier, CNNRegressor])
def test_early_stopping_keeps_the_best_weights_of_a_training_that_diverges_later(estimator, few):
    X, y = few
    target = y if estimator is CNNClassifier else np.linspace(0, 1, len(y))
    params: dict[str, Any] = {
        "early_stopping": True,
        "validation_fraction": 0.3,
        "max_epochs": 6,
        "lr": 1e-3,
    }
    model = of_one_step(estimator, loss=Exploding(n_sound=2), **params)
    with pytest.warns(UserWarning, match="epoch 3 is nan.* keeps the weights of the best epoch"):
        model.fit(X, target)
    sound = of_one_step(estimator, loss=Exploding(n_sound=99), **params | {"max_epochs": 2})
    np.testing.assert_array_equal(model.predict(X), sound.fit(X, target).predict(X))
    assert model.n_iter_ == len(model.history_) == 2


def test_early_stopping_without_a_sound_epoch_is_an_error(few):
    X, y = few
    clf = of_one_step(CNNClassifier, loss=Exploding(n_sound=0), early_stopping=True)
    with pytest.raises(ValueError, match="the train loss of epoch 1 is nan"):
        clf.fit(X, y)


def test_a_learned_noise_is_that_of_the_epoch_whose_weights_are_kept(few):
    X, y = few
    target = np.linspace(0, 1, len(y))
    params: dict[str, Any] = {"early_stopping": True, "validation_fraction": 0.3}
    scores = iter(range(99, 0, -1))

    def falling(estimator, X, y):
        return next(scores)

    reg = of_one_step(CNNRegressor, loss=BalancedMSELoss(), scoring=falling, **params)
    kept = reg.set_params(max_epochs=5).fit(X, target).loss_.noise_
    assert reg.n_iter_ == 5
    # The first epoch with this loss is the best, and the only one of two.
    assert reg.set_params(max_epochs=2).fit(X, target).loss_.noise_ == kept


@pytest.mark.parametrize("head", ["linear", "learnable_scales"])
def test_a_head_that_diverges_is_an_error(head, few):
    X, y = few
    network = FrozenEstimator(of_one_step(CNNClassifier).fit(X, y))
    clf = DecoupledClassifier(
        network, head=head, lr=3e38, max_epochs=1, batch_size=64, random_state=0
    )
    with pytest.raises(ValueError, match="Training diverged: after the last step"):
        clf.fit(X, y)
    with pytest.raises(NotFittedError):
        clf.predict(X)


@pytest.mark.parametrize("lr", [1e20, 3e38])
def test_an_auto_encoder_that_diverges_in_its_last_step_makes_no_images(lr, few):
    X, y = few
    sampler = DeepSMOTE(lr=lr, max_epochs=1, batch_size=64, random_state=0)
    with pytest.raises(ValueError, match="The auto-encoder diverged"):
        sampler.fit_resample(X, y)
    assert not hasattr(sampler, "module_")


def test_an_auto_encoder_whose_loss_is_not_finite_names_its_batch(few):
    X, y = few
    sampler = DeepSMOTE(lr=1e20, max_epochs=3, batch_size=20, random_state=0)
    found = r"The auto-encoder diverged: the train loss of epoch \d is \w+ in batch \d\. '?\w+"
    with pytest.raises(ValueError, match=found):
        sampler.fit_resample(X, y)


def tiny(n_channels, n_outputs):
    """Return a network that trains together with others."""
    return nn.Sequential(
        nn.Conv2d(n_channels, 4, 3, stride=4),
        nn.BatchNorm2d(4),
        nn.Flatten(),
        nn.Linear(16, n_outputs),
    )


@pytest.mark.parametrize(
    ("model", "search"),
    [
        (
            DecoupledClassifier(
                of_one_step(CNNClassifier), max_epochs=1, batch_size=64, random_state=0
            ),
            "heads",
        ),
        (of_one_step(CNNClassifier, module="linear"), "end_to_end"),
        (of_one_step(CNNClassifier, module=tiny), "end_to_end"),
    ],
)
def test_a_candidate_that_diverges_in_its_last_step_gets_the_error_score(model, search, few):
    X, y = few
    searched = LossSearchCV(model, {"lr": [1e-3, 3e38]}, search=search, cv=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        searched.fit(X, y)
    assert FitFailedWarning in {warning.category for warning in caught}
    assert np.isnan(searched.cv_results_["mean_test_score"]).tolist() == [False, True]
    assert np.isfinite(searched.predict_proba(X)).all()


def test_the_error_names_the_epoch_the_batch_and_the_largest_gradient(few):
    X, y = few
    # Four batches an epoch: the sixth step is the second of epoch 2.
    params: dict[str, Any] = {"batch_size": 10, "max_epochs": 3, "loss": Exploding(n_sound=5)}
    found = r"train loss of epoch 2 is nan in batch 2\. The norm of its gradients, .*is nan\. "
    largest = r"The largest finite norm before clipping was [\d.e+-]+, in batch \d of epoch [12]\. "
    with pytest.raises(ValueError, match=found + largest + "Lower `lr`"):
        of_one_step(CNNClassifier, **params).fit(X, y)


def test_a_norm_that_is_not_finite_is_not_the_largest_finite_one():
    watch = LossWatch(nn.Linear(1, 1))
    for norm in (2.0, float("inf"), 1.0):
        watch.add(torch.tensor(1.0), torch.tensor(norm))
    assert (
        "largest finite norm before clipping was 2, in batch 1 of epoch 1" in watch.on_gradients()
    )


def test_without_clipping_the_error_names_the_parameter_with_the_largest_gradient(few):
    X, y = few
    clf = of_one_step(CNNClassifier, loss=Exploding(n_sound=1), batch_size=10, max_grad_norm=None)
    found = r"is nan in batch 2\. The gradient of '[\w.]+' is not finite\. Lower `lr`"
    with pytest.raises(ValueError, match=found):
        clf.fit(X, y)
    found = r"after the last step, in epoch 1, .* '[\w.]+' has the largest gradient, with a value"
    with pytest.raises(ValueError, match=found):
        clf.set_params(loss="cross_entropy", batch_size=64, lr=3e38).fit(X, y)


def test_a_validation_loss_that_is_not_finite_names_its_batch(few):
    class BadInPrediction(nn.Module):
        def forward(self, outputs, target):
            values = nn.functional.cross_entropy(outputs, target, reduction="none")
            return values if self.training else values * torch.nan

    X, y = few
    clf = of_one_step(CNNClassifier, loss=BadInPrediction(), early_stopping=True)
    with pytest.raises(ValueError, match=r"the valid loss of epoch 1 is nan in batch 1\."):
        clf.fit(X, y)


def test_a_fitted_network_holds_no_gradients(few):
    X, y = few
    clf = of_one_step(CNNClassifier).fit(X, y)
    assert all(parameter.grad is None for parameter in clf.module_.parameters())


class OnDevice(torch.Tensor):
    """A loss that is on a CUDA device, as far as it says."""

    is_cuda = True


def test_on_a_cuda_device_losses_are_looked_at_seldom_and_still_named():
    watch = LossWatch(nn.Linear(1, 1))
    watch.begin("train", 4)
    losses = torch.ones(70)
    losses[[39, 50]] = torch.nan
    for number, loss in enumerate(losses[:63], start=1):
        watch.add(loss.as_subclass(OnDevice), norm=torch.tensor(float(number)))
    found = r"epoch 4 is nan in batch 40\. .* is 40\. The largest finite .* was 39, in batch 39 of"
    with pytest.raises(ValueError, match=found):
        watch.add(losses[63].as_subclass(OnDevice), norm=torch.tensor(64.0))
    watch.begin("train", 5)
    watch.add(losses[50].as_subclass(OnDevice))
    with pytest.raises(ValueError, match="epoch 5 is nan in batch 1"):
        watch.look()
