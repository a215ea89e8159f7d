"""A batch that does not fit in memory is worked on in parts, and the step stays the same."""

import warnings
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from torch import nn

from skimb.neural_network import CNNClassifier, CNNRegressor

ERROR = (
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
    "you tried to allocate 1099511627776 bytes. Error code 12 (Cannot allocate memory)"
)


def short(most, error=RuntimeError, text=ERROR):
    """Return a class of networks that can train on a few samples at a time only."""

    class Narrow(nn.Module):
        sizes: list
        attempts: list

        def __init__(self, n_channels, n_outputs):
            super().__init__()
            self.hidden, self.head = nn.Linear(n_channels * 64, 16), nn.Linear(16, n_outputs)
            type(self).sizes, type(self).attempts = [], []

        def forward(self, images):
            hidden = torch.tanh(self.hidden(images.flatten(1)))
            if self.training:
                self.sizes.append(len(images))
                if len(images) > most:
                    self.attempts.append(weakref.ref(hidden))
                    raise error(text)
                # Nothing of a failed attempt is in memory any more.
                assert not any(attempt() is not None for attempt in self.attempts)
            return self.head(hidden)

    return Narrow


def quick(most, estimator=CNNClassifier, **params):
    own: dict[str, Any] = {
        "module": short(most),
        "max_epochs": 2,
        "batch_size": 50,
        "optimizer": "sgd",
        "lr": 0.05,
        "lr_schedule": "constant",
        "augmentation": None,
        "random_state": 0,
    }
    return estimator(**{**own, **params})


@pytest.fixture(scope="module")
def few(small_digits):
    """Two batches of fifty images, with weights."""
    X, y = small_digits
    return X[:100], y[:100], np.random.RandomState(0).uniform(0.2, 5, size=100)


def of_memory(caught):
    """Return the messages on memory among the warnings that were caught."""
    return [text for text in (str(one.message) for one in caught) if "memory" in text]


def weights_of(model):
    return [values.detach().numpy() for values in model.module_.parameters()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("most", "sizes"), [(30, [25, 25]), (13, [13, 13, 12, 12]), (8, [7] * 2 + [6] * 6)]
)
@pytest.mark.parametrize("augmentation", [None, "mixup"])
def test_weights_equal_those_of_whole_batches(most, sizes, augmentation, few):
    X, y, weight = few
    params: dict[str, Any] = {"class_weight": "balanced", "augmentation": augmentation}
    whole = quick(99, **params).fit(X, y, weight)
    with pytest.warns(UserWarning, match="A batch of 50 samples does not fit") as caught:
        parts = quick(most, **params).fit(X, y, weight)
    [message] = of_memory(caught)
    assert f"parts of at most {max(sizes)} samples" in message
    # The smaller size is kept: after the first batch no larger one is tried.
    n_parts = len(sizes)
    assert type(parts.module_).sizes[-4 * n_parts :] == sizes * 4
    for one, other in zip(weights_of(parts), weights_of(whole), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    losses = [[record["train_loss"] for record in model.history_] for model in (parts, whole)]
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RuntimeError, ERROR),
        (MemoryError, ""),
        (torch.OutOfMemoryError, "CUDA out of memory. Tried to allocate 2.00 GiB."),
        (RuntimeError, "could not create a primitive"),
    ],
)
def test_each_message_of_short_memory_is_understood(error, text, few):
    X, y, _ = few
    with pytest.warns(UserWarning, match="does not fit in memory"):
        quick(30, module=short(30, error, text)).fit(X, y)


def test_other_errors_of_a_step_are_raised_as_they_are(few):
    X, y, _ = few
    with pytest.raises(RuntimeError, match="wrong number"):
        quick(30, module=short(30, text="wrong number")).fit(X, y)


def test_a_gradient_that_was_half_computed_does_not_count(few):
    class FailsOnce(torch.autograd.Function):
        has_failed = False

        @staticmethod
        def forward(ctx, values):
            return values.clone()

        @staticmethod
        def backward(ctx, gradient):
            if len(gradient) == 50 and not FailsOnce.has_failed:
                FailsOnce.has_failed = True
                raise RuntimeError(ERROR)
            return gradient

    class Network(short(99)):
        def forward(self, images):
            hidden = torch.tanh(self.hidden(images.flatten(1)))
            return self.head(FailsOnce.apply(hidden))

    X, y, _ = few
    # The head has its gradient when the backward pass fails.
    with pytest.warns(UserWarning, match="does not fit in memory"):
        parts = quick(99, module=Network, max_grad_norm=None).fit(X, y)
    whole = quick(99, max_grad_norm=None).fit(X, y)
    for one, other in zip(weights_of(parts), weights_of(whole), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_the_augmentation_is_drawn_once_for_each_batch(few):
    drawn = []

    def brighter(images):
        drawn.append(len(images))
        return images * 1.1

    X, y, _ = few
    with pytest.warns(UserWarning, match="does not fit in memory"):
        quick(20, augmentation=brighter).fit(X, y)
    assert [size for size in drawn if size > 4] == [50] * 4


def test_ranksim_is_a_term_of_each_part(few):
    X, y, _ = few
    target = np.linspace(0, 1, len(y))
    with pytest.warns(UserWarning, match="compare the samples of a batch"):
        reg = quick(30, CNNRegressor, ranksim=1.0).fit(X, target)
    assert np.isfinite(reg.predict(X)).all()


@pytest.mark.slow
def test_the_size_is_halved_again_in_a_later_batch(few):
    class Shrinking(short(99)):
        n_calls = 0

        def forward(self, images):
            type(self).n_calls += self.training
            most = 30 if self.n_calls < 5 else 8
            if self.training and len(images) > most:
                raise RuntimeError(ERROR)
            return super().forward(images)

    X, y, _ = few
    with pytest.warns(UserWarning, match="does not fit in memory") as caught:
        quick(99, module=Shrinking).fit(X, y)
    assert len(of_memory(caught)) == 1
    assert max(Shrinking.sizes[-14:]) <= 8


def test_a_single_sample_that_does_not_fit_is_an_error_before_training(few):
    X, y, _ = few
    clf = quick(0)
    with pytest.raises(MemoryError, match=r"a single image of shape .* does not fit .*smaller"):
        clf.fit(X, y)
    with pytest.raises(NotFittedError):
        clf.predict(X)


@pytest.mark.slow
def test_a_single_sample_that_no_longer_fits_is_an_error(few):
    class Filling(short(99)):
        n_calls = 0

        def forward(self, images):
            type(self).n_calls += self.training
            # The first call is the trial before the training.
            if self.training and self.n_calls > 1:
                raise RuntimeError(ERROR)
            return super().forward(images)

    X, y, _ = few
    with pytest.raises(MemoryError, match="does not fit in the memory of cpu"):
        quick(99, module=Filling).fit(X, y)


def test_batches_that_fit_are_stepped_on_as_a_whole(few):
    X, y, _ = few
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*memory")
        warnings.simplefilter("ignore", ConvergenceWarning)
        clf = quick(50).fit(X, y)
    assert type(clf.module_).sizes[-4:] == [50] * 4


def test_batch_norms_never_train_on_a_single_value(few):
    class Normed(short(2)):
        def __init__(self, n_channels, n_outputs):
            super().__init__(n_channels, n_outputs)
            self.head = nn.Sequential(nn.BatchNorm1d(16), nn.Linear(16, n_outputs))

    X, y, _ = few
    # Five samples in parts of two and three, if three fit.
    with pytest.warns(UserWarning, match="at most 2 samples"):
        quick(2, module=Normed, batch_size=4).fit(X, y)
