"""The precision of training steps, and compiled networks."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skimb._engine._step_forward import step_dtype
from skimb.model_selection import LossSearchCV
from skimb.neural_network import CNNClassifier, CNNRegressor, load

SETTINGS = {"max_epochs": 3, "batch_size": 32, "device": "cpu", "random_state": 0}


class Watched(nn.Module):
    """A linear network that notes the type in which its layer computes."""

    def __init__(self, in_channels, n_outputs):
        super().__init__()
        self.layer = nn.Linear(64 * in_channels, n_outputs)
        self.seen = set()

    def forward(self, images):
        outputs = self.layer(images.flatten(1))
        self.seen.add((self.training and torch.is_grad_enabled(), outputs.dtype))
        return outputs


@pytest.mark.parametrize("precision", ["auto", "bfloat16", "float32"])
@pytest.mark.parametrize("kind", [CNNClassifier, CNNRegressor])
def test_only_training_steps_compute_in_bfloat16(kind, precision, small_digits):
    X, y = small_digits
    y = (y == "rest") * 1.0 if kind is CNNRegressor else y
    model = kind(Watched, precision=precision, **SETTINGS).fit(X, y)
    model.predict(X)
    steps = torch.bfloat16 if precision == "bfloat16" else torch.float32
    assert model.module_.seen == {(True, steps), (False, torch.float32)}
    assert all(values.dtype == torch.float32 for values in model.module_.parameters())


def test_bfloat16_learns_what_float32_learns(digits):
    X, X_test, y, _ = digits
    exact = CNNClassifier(**SETTINGS).fit(X, y)
    narrow = clone(exact).set_params(precision="bfloat16").fit(X, y)
    again = clone(narrow).fit(X, y)
    assert np.mean(exact.predict(X_test) == narrow.predict(X_test)) > 0.95
    assert not np.array_equal(exact.predict_proba(X_test), narrow.predict_proba(X_test))
    np.testing.assert_array_equal(again.predict_proba(X_test), narrow.predict_proba(X_test))


@pytest.mark.parametrize(
    ("precision", "is_captured", "has_it", "expected"),
    [
        ("auto", True, True, torch.bfloat16),
        ("auto", True, False, torch.float32),
        ("auto", False, True, torch.float32),
        ("bfloat16", False, False, torch.bfloat16),
        ("float32", True, True, torch.float32),
    ],
)
def test_auto_takes_bfloat16_where_it_is_faster(
    precision, is_captured, has_it, expected, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_it)
    assert step_dtype(precision, is_captured=is_captured) == expected


@pytest.fixture
def compiled(monkeypatch):
    """Let torch compile for a backend that needs no C++ compiler; yield what it has compiled."""
    found, compile_module = [], torch.compile

    def compile_quickly(module):
        found.append(module)
        return compile_module(module, backend="eager")

    monkeypatch.setattr(torch, "compile", compile_quickly)
    yield found
    torch.compiler.reset()


def test_a_compiled_network_trains_to_the_same_weights(compiled, small_digits, tmp_path):
    X, y = small_digits
    plain = CNNClassifier(**SETTINGS).fit(X, y)
    model = clone(plain).set_params(compile=True).fit(X, y)
    assert len(compiled) == 1
    # The backend runs torch's own kernels.
    np.testing.assert_array_equal(model.predict_proba(X), plain.predict_proba(X))
    model.save(tmp_path / "model.skimb")
    loaded = load(tmp_path / "model.skimb")
    assert loaded.compile is True
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_a_network_that_does_not_compile_is_told_of(monkeypatch, small_digits):
    def refuse(module, images, *, options=None):
        raise RuntimeError("backend='inductor' raised:\nInvalidCxxCompiler: None was found")

    monkeypatch.setattr(torch, "compile", lambda module: partial(refuse, module))
    with pytest.raises(ValueError, match=r"compile=True fails.*inductor.*Use compile=False"):
        CNNClassifier(compile=True, **SETTINGS).fit(*small_digits)


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchs_own_compiler_gives_the_same_network_but_for_rounding(small_digits):
    X, y = small_digits
    plain = CNNClassifier(**SETTINGS).fit(X, y)
    model = clone(plain).set_params(compile=True).fit(X, y)
    torch.compiler.reset()
    np.testing.assert_allclose(model.predict_proba(X), plain.predict_proba(X), atol=1e-3)


@pytest.mark.parametrize("params", [{"compile": True}, {"precision": "bfloat16"}], ids=str)
def test_networks_that_compute_otherwise_train_one_by_one(params, compiled, small_digits):
    network = CNNClassifier("linear", augmentation=None, **params, **SETTINGS)
    search = LossSearchCV(network, {"lr": [1e-3, 1e-2]}, search="end_to_end", cv=2)
    with pytest.warns(UserWarning, match="one by one: their steps are compiled, or compute in"):
        search.fit(*small_digits)
    assert bool(compiled) == ("compile" in params)
