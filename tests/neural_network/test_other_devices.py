"""Estimators fitted on a CUDA device that is not there where they are loaded.

There need not be a device for these tests. They fake one: the net of an estimator that was fitted
on the CPU says that its device is "cuda", and the storages of its tensors are tagged "cuda:0" when
they are pickled, as torch tags those of a device. torch refuses to read such tensors without a
device unless it is told where to put them, so a tensor that is not moved is an error.
"""

import io
import pickle
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sklearn.calibration import CalibratedClassifierCV
from skorch.exceptions import DeviceWarning
from torch import nn

from skimb.losses import BalancedMSELoss
from skimb.neural_network import (
    CNNClassifier,
    CNNEmbedder,
    CNNRegressor,
    DecoupledClassifier,
    _continuous_target,
    load,
    save,
)

X = np.random.RandomState(0).rand(40, 8, 8).astype(np.float32)
Y = np.arange(40) % 5 // 3
QUICK: dict[str, Any] = {"max_epochs": 1, "batch_size": 20, "random_state": 0}


def nets_of(value, seen):
    """Yield the nets in the attributes of an object, at any depth."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if hasattr(value, "module_") and hasattr(value, "criterion_"):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from nets_of(part, seen)
    elif hasattr(value, "__dict__"):
        for part in vars(value).values():
            yield from nets_of(part, seen)


@pytest.fixture
def as_from_cuda(monkeypatch):
    """Return a function that makes an estimator, and its pickles, be as if fitted on CUDA."""

    def pretend(estimator, device="cuda:0"):
        tagged = set()
        for net in list(nets_of(estimator, set())):
            net.__dict__["device"] = torch.device(device)
            for part in (net.module_, net.criterion_):
                for values in part.state_dict().values():
                    tagged.add(values.untyped_storage().data_ptr())
        own = torch.serialization.location_tag

        def location_tag(storage):
            return device if storage.data_ptr() in tagged else own(storage)

        monkeypatch.setattr(torch.serialization, "location_tag", location_tag)
        return estimator

    return pretend


def with_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


def with_pickle(estimator):
    return pickle.loads(pickle.dumps(estimator))


def test_the_fake_fails_where_tensors_are_not_moved(as_from_cuda):
    fitted = as_from_cuda(CNNClassifier("linear", **QUICK).fit(X, Y))
    with pytest.raises(RuntimeError, match="on a CUDA device but"):
        with_pickle(fitted.module_.state_dict())


@pytest.mark.parametrize("copy", [with_pickle, with_joblib])
@pytest.mark.parametrize("asked", ["auto", "cuda", "cuda:0"])
def test_a_classifier_is_loaded_to_the_cpu_with_one_warning(copy, asked, as_from_cuda):
    fitted = CNNClassifier("linear", loss="ldam", class_weight="balanced", **QUICK).fit(X, Y)
    expected = fitted.predict_proba(X)
    as_from_cuda(fitted).device = asked
    with pytest.warns(DeviceWarning, match="not available here.*CPU") as caught:
        again = copy(fitted)
    assert len(caught) == 1
    assert str(again.net_.device) == "cpu"
    assert again.device == ("auto" if asked == "auto" else "cpu")
    assert np.array_equal(again.predict_proba(X), expected)
    assert np.array_equal(again.net_.predict_proba(X), expected)
    again.net_.partial_fit(X, Y)
    again.fit(X, Y)
    # From there on it is an estimator of the CPU, without warnings.
    with_pickle(again)


@pytest.mark.parametrize("loss", ["squared_error", BalancedMSELoss(form="binned")])
def test_a_regressor_is_loaded_to_the_cpu(loss, as_from_cuda, monkeypatch):
    # Where the net was on a device, its loss was copied to the host.
    on_host = _continuous_target._on_host
    monkeypatch.setattr(
        _continuous_target, "_on_host", lambda loss, _: on_host(loss, torch.device("cuda"))
    )
    fitted = CNNRegressor("linear", loss=loss, **QUICK).fit(X, X.mean((1, 2)))
    expected = fitted.predict(X)
    as_from_cuda(fitted)
    with pytest.warns(DeviceWarning):
        again = with_pickle(fitted)
    assert np.array_equal(again.predict(X), expected)
    assert np.array_equal(again.net_.predict(X), expected)


def test_wrappers_are_loaded_to_the_cpu(as_from_cuda):
    network = CNNClassifier("linear", **QUICK)
    for model in (
        CNNEmbedder(network),
        DecoupledClassifier(network, max_epochs=1, random_state=0),
        CalibratedClassifierCV(network, cv=2),
    ):
        fitted = model.fit(X, Y)
        method = "transform" if isinstance(model, CNNEmbedder) else "predict_proba"
        expected = getattr(fitted, method)(X)
        as_from_cuda(fitted)
        with pytest.warns(DeviceWarning):
            again = with_pickle(fitted)
        assert np.array_equal(getattr(again, method)(X), expected)


def test_a_pretrained_network_is_loaded_to_the_cpu(as_from_cuda):
    from skimb._networks import PretrainedBackbone

    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 4, 3)

        def forward(self, images):
            return self.layer(images).mean((2, 3))

    globals()["Mean"] = Mean
    Mean.__qualname__ = "Mean"
    backbone = PretrainedBackbone("m", Mean(), mean=(0,) * 3, sd=(1,) * 3, image_size=(8, 8))
    fitted = CNNEmbedder(backbone).fit(X)
    expected = fitted.transform(X)
    as_from_cuda(fitted).device = "cuda"
    with pytest.warns(DeviceWarning) as caught:
        again = with_pickle(fitted)
    assert len(caught) == 1
    assert again.device == "cpu"
    assert again.estimator_ is again.net_.module_.network
    assert fitted.estimator_ is fitted.net_.module_.network
    assert np.array_equal(again.transform(X), expected)


@pytest.mark.parametrize("asked", ["cuda", "cuda:7"])
def test_a_file_from_cuda_is_loaded_to_the_cpu_with_one_warning(asked, tmp_path):
    fitted = CNNClassifier("linear", **QUICK).fit(X, Y)
    expected = fitted.predict_proba(X)
    fitted.device = asked
    save(fitted, tmp_path / "model")
    with pytest.warns(UserWarning, match=f"device='{asked}', which is not available") as caught:
        again = load(tmp_path / "model")
    assert len(caught) == 1
    assert again.device == "cpu"
    assert np.array_equal(again.predict_proba(X), expected)
    fitted.device = "auto"
    save(fitted, tmp_path / "model")
    assert str(load(tmp_path / "model").net_.device) == "cpu"
