"""Steps recorded as graphs: here a recorder for the CPU, which replays torch's operations.

Like a CUDA graph it runs the same operations on the same memory again, and no Python code. What a
step takes from Python, or leaves there, is therefore the same error as on a device: a learning rate
that stays the first one, labels of the first batch, weights of the first phase.
"""

from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from skorch.callbacks import EpochTimer
from torch import nn
from torch.optim.lr_scheduler import StepLR
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from skimb._engine import _step_graph
from skimb.datasets import make_variance_images
from skimb.losses import FocalLoss
from skimb.neural_network import CNNClassifier, CNNRegressor, Jitter

#: Operations that hand values of a device to Python, for which the processor waits.
WAITS = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "unique", "item")


class Recording(TorchDispatchMode):
    """Keep the operations of a step, and what they have to be undone.

    Parameters
    ----------
    waits : list
        Names of operations that wait for the device are added to it.
    """

    def __init__(self, waits):
        super().__init__()
        self.waits, self.operations = waits, []
        self.before, self.own = [], []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        for tensor in flat((args, kwargs)):
            if all(tensor is not other for other in self.own):
                self.before.append((tensor, tensor.clone()))
                self.own.append(tensor)
        made = function(*args, **kwargs)
        if any(name in str(function) for name in WAITS):
            self.waits.append(str(function))
        self.operations.append((function, args, kwargs, made))
        self.own += flat(made)
        return made

    def undo(self):
        """Give all tensors from before the recording the values that they had."""
        with torch.no_grad():
            for tensor, values in reversed(self.before):
                tensor.copy_(values)

    def replay(self):
        """Run the operations again, with their results in the same memory."""
        with torch.no_grad():
            for function, args, kwargs, made in self.operations:
                again = function(*args, **kwargs)
                for old, new in zip(flat(made), flat(again), strict=True):
                    if old.data_ptr() != new.data_ptr():
                        old.copy_(new)


def flat(values):
    found = []
    tree_map_only(torch.Tensor, found.append, values)
    return found


class Recorder:
    """A recorder for the CPU in the form of `CudaRecorder`."""

    def __init__(self, device):
        self.graphs = []

    @contextmanager
    def aside(self):
        yield

    @contextmanager
    def noticing(self):
        waits = []
        with Recording(waits):
            yield waits

    def record(self, function):
        recording = Recording([])
        with torch.random.fork_rng(devices=[]), recording:
            made = function()
        recording.undo()
        if recording.waits:
            raise RuntimeError(
                f"operation not permitted when stream is capturing: {recording.waits}"
            )
        self.graphs.append(recording)
        return recording, made


class Waiting(Recorder):
    """A recorder under which each step seems to wait for the device: all run one by one."""

    @contextmanager
    def noticing(self):
        yield ["a wait"]


def fitted(monkeypatch, recorder, model, X, y):
    """Fit with a recorder for the CPU; return the model and the recorders that were made."""
    made = []

    def make(device):
        made.append(recorder(device))
        return made[-1]

    monkeypatch.setitem(_step_graph.RECORDERS, "cpu", make)
    return clone(model).set_params(verbose=1).fit(X, y), made


def weights(model):
    return {name: values.numpy() for name, values in model.net_.module_.state_dict().items()}


def assert_equal_weights(one, other):
    one, other = weights(one), weights(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def network_of_layers():
    """Return a network with batch norm and dropout, as an object."""
    with torch.random.fork_rng():
        return nn.Sequential(
            nn.Conv2d(1, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Flatten(),
            nn.Linear(128, 2),
        )


class FallingMomentum(StepLR):
    """A schedule that changes the momentum of AdamW beside its rate."""

    def step(self, epoch=None):
        super().step(epoch)
        for group in self.optimizer.param_groups:
            group["betas"] = (group["lr"] / group["initial_lr"] * 0.9, 0.999)


SETTINGS = {
    "max_epochs": 4,
    "batch_size": 16,
    "precision": "float32",
    "device": "cpu",
    "random_state": 0,
}


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"augmentation": None, "max_grad_norm": None},
        {"augmentation": "flip_crop", "lr_schedule": "cosine"},
        {"augmentation": Jitter(), "lr_schedule": "constant", "optimizer": "sgd"},
        {"augmentation": "mixup", "class_weight": "balanced", "optimizer": "adam"},
        {"loss": FocalLoss(gamma=2), "class_weight": "balanced", "reweight_after": 0.5},
        {"loss": "ldam", "reweight_after": 0.5, "max_epochs": 6},
        {"early_stopping": True, "batch_sampling": "balanced"},
        {"module": network_of_layers(), "freeze": "gradual", "lr_decay": 0.5, "max_epochs": 6},
        {"precision": "bfloat16"},
        {"optimizer_params": {"amsgrad": True, "betas": (0.8, 0.9)}},
        {"optimizer": "sgd", "optimizer_params": {"momentum": 0, "maximize": False}},
        {"lr_schedule": partial(StepLR, step_size=2), "optimizer": "sgd"},
        {"lr_schedule": partial(FallingMomentum, step_size=2), "max_epochs": 6},
    ],
    ids=str,
)
def test_replayed_steps_train_the_network_that_steps_one_by_one_train(
    params, monkeypatch, small_digits
):
    X, y = (values[:100] for values in small_digits)
    model = CNNClassifier(**{**SETTINGS, **params})
    replayed, made = fitted(monkeypatch, Recorder, model, X, y)
    assert made[0].graphs
    one_by_one, made = fitted(monkeypatch, Waiting, model, X, y)
    assert not made[0].graphs
    assert_equal_weights(replayed, one_by_one)
    assert [record["train_loss"] for record in replayed.history_] == [
        record["train_loss"] for record in one_by_one.history_
    ]


class Counted(nn.Module):
    """A network whose Python code counts its calls."""

    def __init__(self, in_channels, n_outputs):
        super().__init__()
        self.layer = nn.LazyLinear(n_outputs)
        self.n_calls = 0

    def forward(self, images):
        self.n_calls += 1
        return self.layer(images.flatten(1))


def own_loss(logits, target):
    return nn.functional.cross_entropy(logits, target, reduction="none")


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"module": Counted}, "Counted may compute something else"),
        ({"loss": own_loss}, "function may compute something else"),
        ({"augmentation": lambda images: images}, "function may compute something else"),
        ({"net_callbacks": [EpochTimer()]}, "callbacks look at each batch"),
        ({"optimizer": torch.optim.Adagrad}, "the optimiser is not one"),
        ({"optimizer_params": {"foreach": True, "fused": False}}, "`optimizer_params` choose"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(list(value)),
)
def test_steps_that_python_code_could_change_run_one_by_one(
    params, reason, monkeypatch, small_digits, capsys
):
    model = CNNClassifier(**{**SETTINGS, "max_epochs": 1, **params})
    _, made = fitted(monkeypatch, Recorder, model, *small_digits)
    assert not made
    assert f"Steps run without a CUDA graph: {reason}" in capsys.readouterr().out


def test_steps_that_several_processes_share_run_one_by_one(monkeypatch, small_digits, capsys):
    monkeypatch.setattr(_step_graph, "is_shared", lambda: True)
    model = CNNClassifier(**{**SETTINGS, "max_epochs": 1, "precision": "auto"})
    _, made = fitted(monkeypatch, Recorder, model, *small_digits)
    assert not made
    assert "several processes train the network together" in capsys.readouterr().out


def test_files_are_read_batch_by_batch_without_a_graph(monkeypatch, small_digits, tmp_path, capsys):
    X, y = (values[:40] for values in small_digits)
    paths = [tmp_path / f"{number}.png" for number in range(len(X))]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image.astype(np.uint8)).save(path)
    _, made = fitted(monkeypatch, Recorder, CNNClassifier(**SETTINGS), paths, y)
    assert not made
    assert "images are read batch by batch" in capsys.readouterr().out


@pytest.mark.parametrize(
    "params",
    [{"lr_schedule": "plateau", "loss": "huber"}, {"ranksim": 1.0}, {"loss": "balanced_mse"}],
    ids=str,
)
def test_numbers_are_learned_by_graphs_too_where_nothing_else_changes(params, monkeypatch):
    X, y = make_variance_images(80, distribution="normal", side=8, random_state=0)
    model = CNNRegressor(**SETTINGS, **params)
    one, made = fitted(monkeypatch, Recorder, model, X, y)
    assert bool(made) == ("lr_schedule" in params)
    if made:
        assert made[0].graphs
        assert_equal_weights(one, fitted(monkeypatch, Waiting, model, X, y)[0])


@pytest.mark.parametrize("loss", sorted(CNNClassifier._named_losses))
@pytest.mark.parametrize("augmentation", ["flip_crop", "cutmix", "remix", [Jitter(), "mixup"]])
def test_no_step_waits_for_the_device(loss, augmentation, monkeypatch, small_digits):
    X, y = (values[:60] for values in small_digits)
    settings = {**SETTINGS, "max_epochs": 2, "loss": loss, "augmentation": augmentation}
    model = CNNClassifier(**settings)
    _, made = fitted(monkeypatch, Recorder, model, X, y)
    assert made[0].graphs


def test_a_graph_that_cannot_be_recorded_is_left_out(monkeypatch, small_digits, capsys):
    class Failing(Recorder):
        def record(self, function):
            super().record(function)
            raise RuntimeError("operation failed due to a previous error during capture")

    X, y = (values[:100] for values in small_digits)
    model = CNNClassifier(**SETTINGS)
    failed, _ = fitted(monkeypatch, Failing, model, X, y)
    assert "previous error during capture" in capsys.readouterr().out
    assert_equal_weights(failed, fitted(monkeypatch, Waiting, model, X, y)[0])


def test_a_killed_training_by_graphs_goes_on_to_the_same_network(
    monkeypatch, small_digits, tmp_path
):
    X, y = (values[:100] for values in small_digits)
    model = CNNClassifier(**SETTINGS)
    whole, _ = fitted(monkeypatch, Recorder, model, X, y)
    model.set_params(checkpoint=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("skimb._engine._net.tell_epoch", killed_after(2))
        with pytest.raises(KeyboardInterrupt):
            fitted(patch, Recorder, model, X, y)
    resumed, _ = fitted(monkeypatch, Recorder, model, X, y)
    assert_equal_weights(resumed, whole)


def killed_after(n_epochs):
    def tell(n_done, n_all):
        if n_done == n_epochs:
            raise KeyboardInterrupt

    return tell


def test_a_loss_that_is_not_finite_is_found_in_a_replayed_step(monkeypatch, small_digits):
    X, y = (values[:100] for values in small_digits)
    model = CNNClassifier(**{**SETTINGS, "lr": 1e30, "max_grad_norm": None, "max_epochs": 20})
    with pytest.raises(ValueError, match="diverged"):
        fitted(monkeypatch, Recorder, model, X, y)


def test_rates_in_tensors_round_to_the_same_training(monkeypatch, small_digits):
    X, y = (values[:100] for values in small_digits)
    model = CNNClassifier(**SETTINGS)
    replayed, _ = fitted(monkeypatch, Recorder, model, X, y)
    plain = clone(model).fit(X, y)
    np.testing.assert_allclose(replayed.predict_proba(X), plain.predict_proba(X), atol=1e-3)
