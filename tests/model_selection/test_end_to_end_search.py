"""The search of the numbers of the loss through the whole network."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from skimb.model_selection._aims import build_aim
from skimb.model_selection._class_numbers import class_numbers
from skimb.model_selection._end_to_end_search import search_end_to_end
from skimb.model_selection._outer_steps import (
    HeldSamples,
    OuterSteps,
    SearchedLoss,
    fixed_norms,
)
from skimb.neural_network import CNNClassifier

CLASSES = np.array(["easy", "hard", "rare"])
#: An attribute of the classes.
IS_HARD = np.array([0.0, 1.0, 0.0])


def planted(n_samples=600, seed=0):
    """Return rows of a table: a common class between two others is hard, the minority is easy."""
    rng = np.random.RandomState(seed)
    y = rng.choice(3, n_samples, p=[0.45, 0.45, 0.1])
    centres, spread = np.array([-1.0, 0.0, 2.0]), np.array([0.5, 0.8, 0.3])
    X = rng.randn(n_samples, 2)
    X[:, 0] = centres[y] + spread[y] * X[:, 0]
    return X.astype(np.float32), CLASSES[y]


def halves(y):
    rows = np.arange(len(y))
    return rows[rows % 3 > 0], rows[rows % 3 == 0]


def searched(estimator, X, y, *, aim="worst", attributes="free", seed=0, **options):
    train, held = halves(y)
    counts = np.unique(y[train], return_counts=True)[1]
    numbers = class_numbers(attributes, counts)
    result = search_end_to_end(
        estimator,
        X,
        y,
        train,
        held,
        numbers,
        build_aim(aim, np.unique(y)),
        rng=np.random.RandomState(seed),
        **{"every": 2, **options},
    )
    return result, numbers


def worst_aim(result, y):
    held = halves(y)[1]
    target = torch.as_tensor(np.searchsorted(CLASSES, y[held]))
    return build_aim("worst", CLASSES).decisions(torch.as_tensor(result.logits), target).item()


def recall_of_hard(result, y):
    held = halves(y)[1]
    is_hard = y[held] == "hard"
    return (CLASSES[result.logits.argmax(axis=1)] == y[held])[is_hard].mean()


def linear(**options):
    given = {"module": "linear", "max_epochs": 12, "batch_size": 32, "lr": 0.03, "random_state": 0}
    return CNNClassifier(**{**given, **options})


def small_images(n_samples=90, seed=0):
    rng = np.random.RandomState(seed)
    y = np.arange(n_samples) % 5 // 2
    return (rng.rand(n_samples, 8, 8) + 0.3 * y[:, None, None]).astype(np.float32), CLASSES[y]


def convolutional(**options):
    given = {"max_epochs": 2, "batch_size": 15, "random_state": 0, "augmentation": None}
    return CNNClassifier(**{**given, **options})


def weights_of(estimator):
    return {name: values.clone() for name, values in estimator.module_.state_dict().items()}


def assert_same_network(first, second):
    first, second = weights_of(first), weights_of(second)
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.exhaustive)])
def test_a_hard_common_class_is_helped_where_the_aim_asks_for_it(seed):
    X, y = planted(seed=seed)
    estimator = linear(max_epochs=80)
    options = {"attributes": IS_HARD, "every": 20}
    result, _ = searched(estimator, X, y, **options)
    adjusted, _ = searched(estimator, X, y, **options, lr=0.0)
    assert len(result.history) == 31
    assert worst_aim(result, y) < worst_aim(adjusted, y)
    assert recall_of_hard(result, y) > recall_of_hard(adjusted, y)
    # A training from the start with these numbers keeps the gain.
    again, _ = searched(estimator, X, y, **options, lr=0.0, parameters=result.parameters)
    assert worst_aim(again, y) < worst_aim(adjusted, y)


@pytest.mark.slow
def test_from_a_start_that_neglects_a_class_the_numbers_move_to_help_it():
    X, y = planted()
    estimator, start = linear(max_epochs=30), np.array([0.0, 1.0])
    options = {"attributes": IS_HARD, "every": 10, "parameters": start}
    result, numbers = searched(estimator, X, y, **options)
    neglected, _ = searched(estimator, X, y, **options, lr=0.0)
    _, offset = numbers(torch.as_tensor(result.parameters))
    _, before = numbers(torch.as_tensor(start))
    assert offset[1] < before[1] - 0.5
    assert worst_aim(result, y) < worst_aim(neglected, y) - 0.1
    assert recall_of_hard(result, y) > recall_of_hard(neglected, y)
    assert result.history[-1]["parameters"] == result.parameters.tolist()


def test_equal_seeds_give_equal_results_to_the_bit_and_nothing_global_changes():
    X, y = small_images()
    before = torch.get_rng_state(), np.random.get_state(), torch.get_num_threads()
    first, _ = searched(convolutional(augmentation="shift_crop"), X, y)
    second, _ = searched(convolutional(augmentation="shift_crop"), X, y)
    assert first.history
    assert first.history == second.history
    assert np.array_equal(first.parameters, second.parameters)
    assert np.array_equal(first.logits, second.logits)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_equal(np.random.get_state(), before[1])
    assert torch.get_num_threads() == before[2]


@pytest.mark.parametrize(
    ("options", "n_outer"),
    [({"every": 1000}, 0), ({"lr": 0.0, "every": 1}, 3)],
    ids=["none due", "none moves"],
)
def test_outer_steps_leave_the_network_as_a_training_without_them(options, n_outer):
    X, y = small_images()
    result, numbers = searched(convolutional(), X, y, **options)
    assert len(result.history) == n_outer
    train, _ = halves(y)
    multiplier, offset = numbers(torch.as_tensor(numbers.start()))
    plain = convolutional(loss=SearchedLoss(multiplier.numpy(), offset.numpy()))
    plain.fit(X[train], y[train])
    assert_same_network(result.estimator, plain)


def test_statistics_and_modes_are_put_back_and_predictions_use_those_of_the_batch():
    torch_rng = torch.Generator().manual_seed(0)
    images = 5 + torch.randn(20, 1, 4, 4, generator=torch_rng)
    frozen = nn.BatchNorm2d(1).eval()
    norm = nn.BatchNorm2d(1, affine=False)
    module = nn.Sequential(norm, frozen, nn.Dropout(0.5), nn.Flatten()).train()
    frozen.eval()
    state = {name: values.clone() for name, values in module.state_dict().items()}
    modes = [layer.training for layer in module.modules()]
    with fixed_norms(module, images):
        inside = module(images)
        assert inside.mean().abs().item() < 1e-4
        assert torch.equal(module(images[:3]), inside[:3])
    assert [layer.training for layer in module.modules()] == modes
    assert norm.momentum == 0.1
    for name, values in module.state_dict().items():
        assert torch.equal(values, state[name]), name


def test_a_draw_of_many_held_out_samples_keeps_the_fractions_of_the_classes():
    class Rows:
        target = torch.tensor([0] * 600 + [1] * 200)

        def __getitem__(self, rows):
            return torch.as_tensor(rows), (self.target[rows], None)

    held = HeldSamples(Rows(), np.random.RandomState(0))
    rows, target = held.draw(80, "cpu")
    assert target.bincount().tolist() == [60, 20]
    again, _ = held.draw(80, "cpu")
    assert not torch.equal(rows, again)
    assert len(set(rows.tolist())) == 80


@pytest.mark.parametrize(
    "options",
    [
        {"augmentation": "mixup"},
        {"augmentation": "flip_crop"},
        {"optimizer": "sgd", "lr": 0.01},
        {"reweight_after": 0.5},
        {"early_stopping": True, "calibration": "temperature", "target_prior": "uniform"},
        {"freeze": "gradual", "module": nn.Sequential(nn.Flatten(), nn.Linear(64, 3))},
    ],
    ids=lambda options: next(iter(options)),
)
def test_it_runs_with_the_options_of_a_training(options):
    X, y = small_images()
    result, _ = searched(convolutional(**options), X, y, aim="balanced")
    assert result.history
    assert np.isfinite(result.parameters).all()
    assert np.isfinite(result.logits).all()
    assert np.abs(result.parameters).max() > 0
    assert all(record["is_finite"] for record in result.history)


@pytest.mark.parametrize(("n_steps", "every"), [(3, 1), (30, 4), (100, 10), (600, 12), (5000, 20)])
def test_by_default_there_are_thirty_outer_steps_if_the_network_can_follow(n_steps, every):
    steps = OuterSteps(class_numbers("free", [5, 5]), None, None, [0.0, 0.0], n_steps=n_steps)
    assert steps.every == every


def test_inputs_times_ten_and_a_high_rate_stay_finite():
    X, y = planted()
    estimator = linear(standardize=None, lr=1.0, optimizer="sgd", max_grad_norm=None)
    result, numbers = searched(estimator, 10 * X, y, lr=1.0)
    low, high = numbers.bounds()
    assert np.isfinite(result.parameters).all()
    assert (result.parameters >= low).all()
    assert (result.parameters <= high).all()


def test_an_outer_step_that_does_not_fit_in_memory_is_left_out_and_later_ones_take_less(
    monkeypatch,
):
    sizes = []
    real = OuterSteps._gradient

    def short(self, net, images, *args, n_products):
        if n_products > 1:
            sizes.append(len(images))
            if len(sizes) == 1:
                raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(self, net, images, *args, n_products=n_products)

    monkeypatch.setattr(OuterSteps, "_gradient", short)
    monkeypatch.setattr("skimb.model_selection._outer_steps.TRAIN_SAMPLES", (12, 12))
    X, y = small_images()
    with pytest.warns(UserWarning, match="do not fit in memory"):
        result, _ = searched(convolutional(), X, y, every=1)
    assert sizes == [15, 7, 7]
    assert len(result.history) == 2


def test_columns_beside_the_images_take_part():
    images, y = small_images()
    frame = pd.DataFrame({"image": list(images), "age": np.arange(len(y)) % 7})
    result, _ = searched(convolutional(image_column="image"), frame, y)
    assert result.history
    assert np.isfinite(result.logits).all()


def test_a_network_that_cannot_be_differentiated_twice_is_refused_before_the_training():
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, gradient):
            return gradient

    class Network(nn.Module):
        def __init__(self, in_channels, n_outputs):
            super().__init__()
            self.layer = nn.LazyLinear(n_outputs)

        def forward(self, images):
            return Once.apply(self.layer(images.flatten(1)) ** 2)

    X, y = small_images()
    with pytest.raises(ValueError, match="differentiated twice"):
        searched(convolutional(module=Network), X, y)


def test_a_classifier_without_a_network_of_its_own_is_refused():
    X, y = planted()
    with pytest.raises(ValueError, match="must be a CNNClassifier"):
        searched(nn.Linear(2, 2), X, y)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_it_runs_on_a_cuda_device_with_equal_results():
    X, y = small_images()
    first, _ = searched(convolutional(device="cuda"), X, y)
    second, _ = searched(convolutional(device="cuda"), X, y)
    assert first.history == second.history
    assert np.array_equal(first.logits, second.logits)
