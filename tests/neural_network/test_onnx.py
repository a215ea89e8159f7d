"""Files of ONNX: they predict what the estimator predicts, and the export changes nothing else."""

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import skimb
from skimb._onnx_models import OnnxModel
from skimb.model_selection import DecisionRule, TunedOffsetsClassifierCV
from skimb.neural_network import (
    CNNClassifier,
    CNNEmbedder,
    CNNRegressor,
    DecoupledClassifier,
    export_onnx,
    pretrained,
)
from skimb.neural_network._onnx import _undisturbed
from skimb.neural_network._onnx_modules import Classify

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

# Torch's exporter takes a second or more.
pytestmark = [pytest.mark.slow, pytest.mark.exhaustive]

BATCHES = (1, 2, 7, 64)


def network(module: Any = "linear", **options):
    return CNNClassifier(
        module, **{"max_epochs": 1, "steps_per_epoch": 4, "random_state": 0} | options
    )


@pytest.fixture(scope="module")
def data():
    """Three classes of noise on different grey levels."""
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1, 2], [70, 20, 10])
    X = (60 * y[:, None, None] + 40 + 50 * rng.rand(100, 8, 8)).astype(np.uint8)
    order = rng.permutation(100)
    return X[order], np.array(["cat", "dog", "owl"])[y[order]]


@pytest.fixture(scope="module")
def colour(data):
    """The same as float images with three channels, which come first."""
    X, y = data
    return np.stack([X, X[:, ::-1], X[:, :, ::-1]], axis=1).astype(np.float32) / 255, y


@pytest.fixture(scope="module")
def fitted(data):
    return network("simple_cnn").fit(*data)


def assert_equal(fitted, X, path, **options):
    """Export an estimator, and compare the file with it for batches of any size."""
    export_onnx(fitted, path, **options)
    session = onnxruntime.InferenceSession(path)
    for n in BATCHES:
        label, proba = session.run(None, {"images": X[:n]})
        assert proba.dtype == np.float32
        np.testing.assert_allclose(proba, fitted.predict_proba(X[:n]), atol=1e-4)
        np.testing.assert_array_equal(label, fitted.predict(X[:n]))
    return session


@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize("module", ["simple_cnn", "resnet", "vgg", "linear"])
def test_every_named_module_predicts_the_same(tmp_path, data, colour, module, kind):
    X, y = data if kind == "uint8" else colour
    clf = network(module).fit(X, y)
    session = assert_equal(clf, X, tmp_path / "a.onnx")
    (came,) = session.get_inputs()
    assert came.type == {"uint8": "tensor(uint8)", "float32": "tensor(float)"}[kind]
    assert came.shape == ["n", *X.shape[1:]]


def test_images_of_more_than_32_pixels_predict_the_same(tmp_path, data):
    X, y = data
    large = np.repeat(np.repeat(X, 6, axis=1), 5, axis=2)
    clf = network("simple_cnn", steps_per_epoch=1, batch_size=8).fit(large[:40], y[:40])
    assert_equal(clf, large, tmp_path / "a.onnx")


def test_a_pretrained_network_predicts_the_same(tmp_path, data):
    transformers = pytest.importorskip("transformers")
    transformers.utils.logging.disable_progress_bar()
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.ViTConfig(**sizes, intermediate_size=32, image_size=16, patch_size=4)
    with torch.random.fork_rng(devices=[]):
        transformers.ViTModel(config).save_pretrained(tmp_path / "model")
    X, y = data
    backbone = pretrained(tmp_path / "model")
    clf = network(backbone, freeze="features").fit(X, y)
    assert_equal(clf, X, tmp_path / "a.onnx")
    embedder = CNNEmbedder(backbone).fit(X)
    export_onnx(embedder, tmp_path / "b.onnx")
    made = OnnxModel(tmp_path / "b.onnx").transform(X)
    np.testing.assert_allclose(made, embedder.transform(X), atol=1e-4)


@pytest.mark.parametrize(
    "loss", ["focal", "asymmetric", "ldam", "logit_adjusted", "vector_scaling", "poly"]
)
def test_the_mapping_of_every_loss_runs(tmp_path, data, loss):
    prior = {"cat": 0.2, "dog": 0.2, "owl": 0.6}
    clf = network(loss=loss, target_prior=prior, calibration="temperature").fit(*data)
    assert_equal(clf, data[0], tmp_path / "a.onnx")
    # The decision that was trained is mapped in another way.
    assert_equal(clf.set_params(target_prior=None), data[0], tmp_path / "a.onnx")


def test_views_of_an_augmentation_are_averaged(tmp_path, colour):
    assert_equal(network(augmentation="flip_crop").fit(*colour), colour[0], tmp_path / "a.onnx")


@pytest.mark.parametrize("kind", ["str", "int", "bool", "float"])
def test_labels_come_as_they_are(tmp_path, data, kind):
    X, y = data
    labels = {
        "str": np.where(y == "cat", "Katze", "Hündin"),
        "int": np.where(y == "cat", -7, 40),
        "bool": y == "cat",
        "float": np.where(y == "cat", 0.0, 2.0),
    }[kind]
    clf = network().fit(X, labels)
    assert_equal(clf, X, tmp_path / "a.onnx")
    model = OnnxModel(tmp_path / "a.onnx")
    assert model.classes_.tolist() == clf.classes_.tolist()
    assert model.predict(X).tolist() == clf.predict(X).tolist()


def test_a_regressor_predicts_in_the_unit_of_y(tmp_path, data):
    X, _ = data
    y = 1e6 + X.mean((1, 2))
    reg = CNNRegressor("simple_cnn", max_epochs=2, random_state=0).fit(X, y)
    export_onnx(reg, tmp_path / "a.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    for n in BATCHES:
        (made,) = session.run(None, {"images": X[:n]})
        np.testing.assert_allclose(made - 1e6, reg.predict(X[:n]) - 1e6, atol=1e-3)
    model = OnnxModel(tmp_path / "a.onnx")
    assert model.task == "regression"
    np.testing.assert_allclose(model.predict(X), reg.predict(X), rtol=1e-9)
    with pytest.raises(ValueError, match="no classes"):
        model.predict_proba(X)


def test_heads_and_rules_of_wrappers_run(tmp_path, fitted, data):
    X, y = data
    frozen = FrozenEstimator(fitted)
    two = y != "owl"
    offsets = TunedOffsetsClassifierCV(frozen, random_state=0).fit(X, y)
    offsets.offsets_ = np.array([-2.0, 0.5, 1.5])
    linear = make_pipeline(CNNEmbedder(frozen, normalize=True), StandardScaler())
    wrapped = {
        "decoupled": DecoupledClassifier(frozen, max_epochs=1, random_state=0).fit(X, y),
        "tau": DecoupledClassifier(frozen, head="tau_normalized").fit(X, y),
        "logistic": make_pipeline(*linear, LogisticRegression()).fit(X, y),
        "offsets": offsets,
        "threshold": FixedThresholdClassifier(
            network(), threshold=1.5, response_method="decision_function", pos_label="cat"
        ).fit(X[two], y[two]),
    }
    for name, clf in wrapped.items():
        assert_equal(clf, X, tmp_path / f"{name}.onnx")


class CostClassifier:
    """A wrapper from outside of skimb: it decides by costs, and shares no class with skimb."""

    cost = np.array([[0, 1, 1], [5, 0, 1], [9, 9, 0]])

    def __init__(self, estimator):
        self.estimator_ = estimator
        self.classes_ = estimator.classes_

    def get_params(self, deep=True):
        return {"estimator": self.estimator_}

    def decision_rule(self):
        return DecisionRule(cost_matrix=self.cost)

    def predict_proba(self, X):
        return self.estimator_.predict_proba(X)

    def predict(self, X):
        return self.classes_[(self.predict_proba(X) @ self.cost).argmin(axis=1)]


def test_a_wrapper_from_outside_joins(tmp_path, fitted, data):
    clf = CostClassifier(fitted)
    assert_equal(clf, data[0], tmp_path / "a.onnx")
    assert (clf.predict(data[0]) != fitted.predict(data[0])).any()


def test_a_wrapper_that_decides_in_another_way_than_its_rule_is_refused(tmp_path, fitted):
    clf = CostClassifier(fitted)
    # By these costs it is always an owl.
    clf.cost = np.array([[9, 9, 0]] * 3)
    clf.predict = fitted.predict
    with pytest.raises(ValueError, match="the labels of the estimator"):
        export_onnx(clf, tmp_path / "a.onnx")
    assert os.listdir(tmp_path) == []


TIES = {
    "costs": DecisionRule(cost_matrix=[[0, 1, 3], [2, 0, 1], [3, 4, 0]]),
    "a large cost": DecisionRule(cost_matrix=[[1e16, 1e16 + 2, 1e16 + 6], [2, 0, 1], [3, 4, 0]]),
    "threshold": DecisionRule(threshold=0.25, positive=2),
    "log-odds": DecisionRule(threshold=0.0, score="log_odds", positive=1),
}


@pytest.mark.parametrize("name", TIES)
def test_the_file_of_a_rule_decides_the_same_where_scores_are_equal(tmp_path, name):
    # Multiples of 1/20 often have equal expected costs, or just reach a threshold.
    rng = np.random.RandomState(0)
    proba = np.array([rng.multinomial(20, p) for p in rng.dirichlet(np.ones(3), 3000)]) / 20
    log_proba = np.log(np.maximum(proba, 1e-300))
    graph = Classify([TIES[name]]).eval()
    example = (torch.zeros(2, 3, dtype=torch.float64),)
    with _undisturbed():
        exported = torch.export.export(
            graph, example, dynamic_shapes=({0: torch.export.Dim("n")},), strict=False
        )
        program = torch.onnx.export(exported, example, dynamo=True, verbose=False)
    assert program is not None
    program.save(tmp_path / "rule.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "rule.onnx")
    decided = session.run(None, {session.get_inputs()[0].name: log_proba})[0]
    np.testing.assert_array_equal(decided, TIES[name].decide(log_proba))


def test_the_file_describes_itself(tmp_path, colour):
    X, y = colour
    clf = network(value_range=(0, 1)).fit(X, y)
    export_onnx(clf, tmp_path / "a.onnx")
    assert os.listdir(tmp_path) == ["a.onnx"]
    model = onnx.load(tmp_path / "a.onnx")
    onnx.checker.check_model(model, full_check=True)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(metadata["classes"]) == ["cat", "dog", "owl"]
    assert json.loads(metadata["image_shape"]) == [3, 8, 8]
    assert json.loads(metadata["value_range"]) == [0, 1]
    assert metadata["layout"] == "NCHW"
    assert metadata["task"] == "classification"
    assert metadata["skimb_version"] == model.producer_version == skimb.__version__


def test_a_network_of_bytes_may_take_floats(tmp_path, data):
    X, y = data
    clf = network().fit(X, y)
    export_onnx(clf, tmp_path / "a.onnx", dtype="float32")
    model = OnnxModel(tmp_path / "a.onnx")
    assert model.dtype == "float32"
    np.testing.assert_allclose(model.predict_proba(X + 0.5), clf.predict_proba(X + 0.5), atol=1e-4)


def test_a_network_of_an_earlier_version_takes_channels_last(tmp_path, data):
    X, y = data
    clf = network().fit(X, y)
    del clf._input_form
    export_onnx(clf, tmp_path / "a.onnx")
    model = OnnxModel(tmp_path / "a.onnx")
    assert (model.layout, model.dtype) == ("NHWC", "float32")
    np.testing.assert_allclose(model.predict_proba(X), clf.predict_proba(X), atol=1e-4)


def test_rows_of_a_table_are_read_as_in_fit(tmp_path, data):
    X, y = data
    rows = X.reshape(len(X), -1) / 255
    assert_equal(
        network("simple_cnn", image_shape=(1, 8, 8)).fit(rows, y),
        rows.astype(np.float32),
        tmp_path / "a.onnx",
    )


@pytest.mark.parametrize("depth", [8, 16])
def test_networks_of_files_take_decoded_images(tmp_path, data, depth):
    from PIL import Image

    X, y = data
    images = X if depth == 8 else X.astype(np.uint16) * 200
    paths = [str(tmp_path / f"{i}.tif") for i in range(len(X))]
    for image, path in zip(images, paths, strict=True):
        Image.fromarray(image).save(path)
    clf = network(image_shape=(1, 4, 4)).fit(paths, y)
    export_onnx(clf, tmp_path / "a.onnx")
    model = OnnxModel(tmp_path / "a.onnx", batch_size=32)
    assert (model.layout, model.dtype) == ("NHWC", "uint8" if depth == 8 else "float32")
    np.testing.assert_allclose(model.predict_proba(paths), clf.predict_proba(paths), atol=1e-4)
    assert model.predict(paths).tolist() == clf.predict(paths).tolist()


# ---------------------------------------------------------------------- nothing else changes


def test_the_process_and_the_estimator_stay_as_they_were(tmp_path, fitted, data, capfd):
    X, _ = data
    before = fitted.predict_proba(X)
    logger = logging.getLogger("torch.onnx")

    def state():
        return (
            torch.get_rng_state().tolist(),
            np.random.get_state(legacy=False)["state"]["key"].tolist(),
            torch.get_num_threads(),
            torch.is_grad_enabled(),
            logger.level,
            [module.training for module in fitted.module_.modules()],
            [len(module._forward_pre_hooks) for module in fitted.module_.modules()],
            sorted(vars(fitted)),
        )

    found = state()
    capfd.readouterr()
    export_onnx(fitted, tmp_path / "a.onnx")
    assert state() == found
    np.testing.assert_array_equal(fitted.predict_proba(X), before)
    assert capfd.readouterr() == ("", "")


def test_without_onnxruntime_the_file_is_written_unchecked(tmp_path, fitted, data, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "onnxruntime", None)
        export_onnx(fitted, tmp_path / "a.onnx")
    proba = OnnxModel(tmp_path / "a.onnx").predict_proba(data[0])
    np.testing.assert_allclose(proba, fitted.predict_proba(data[0]), atol=1e-4)


class Own(nn.Module):
    """A network of a user, with a forward pass that may be of a kind that is not exported."""

    def __init__(self, in_channels, n_outputs, kind="plain"):
        super().__init__()
        self.kind = kind
        self.layer = nn.Conv2d(in_channels, 4, 3)
        self.head = nn.Linear(4 * 6 * 6, n_outputs)

    def forward(self, x):
        if self.kind == "branch" and x.mean() > 1e9:
            x = x + 1
        if self.kind == "random":
            x = x + torch.rand_like(x)
        return self.head(self.layer(x).relu().flatten(1))


def test_a_network_of_the_user_is_exported(tmp_path, data):
    assert_equal(network(Own).fit(*data), data[0], tmp_path / "a.onnx")
    assert_equal(network(Own(1, 3)).fit(*data), data[0], tmp_path / "a.onnx")


@pytest.mark.parametrize(
    ("kind", "message"),
    [("branch", "torch cannot export this network"), ("random", "differ by")],
)
def test_a_network_that_cannot_be_exported_leaves_nothing_behind(
    tmp_path, data, kind, message, capfd
):
    clf = network(Own, module_params={"kind": kind}).fit(*data)
    path = tmp_path / "a.onnx"
    path.write_text("an older file")
    with pytest.raises(ValueError, match=message):
        export_onnx(clf, path)
    assert os.listdir(tmp_path) == ["a.onnx"]
    assert path.read_text() == "an older file"
    assert capfd.readouterr() == ("", "")


def test_the_script_of_the_guide_serves_a_file_without_skimb(tmp_path, data):
    from PIL import Image

    X, y = data
    clf = network().fit(X, y)
    export_onnx(clf, tmp_path / "digits.onnx")
    Image.fromarray(X[0]).save(tmp_path / "image.png")
    page = (Path(__file__).parents[2] / "docs/guide/export.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(import numpy, onnxruntime.*?)```", page, re.DOTALL)
    code = script + (
        "import sys\n"
        "assert not {'skimb', 'torch', 'sklearn', 'onnx'} & set(sys.modules)\n"
        "print(label[0], *probabilities[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    label, *proba = done.stdout.split()
    assert label == clf.predict(X[:1])[0]
    np.testing.assert_allclose(np.array(proba, float), clf.predict_proba(X[:1])[0], atol=1e-4)


def test_an_interrupt_leaves_nothing_behind(tmp_path, fitted, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("skimb.neural_network._onnx._compare", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_onnx(fitted, tmp_path / "a.onnx")
    assert os.listdir(tmp_path) == []


@pytest.mark.cuda
def test_a_network_on_a_gpu_is_exported(tmp_path, data):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    X, y = data
    clf = network("simple_cnn", device="cuda").fit(X, y)
    export_onnx(clf, tmp_path / "a.onnx")
    proba = OnnxModel(tmp_path / "a.onnx").predict_proba(X)
    np.testing.assert_allclose(proba, clf.predict_proba(X), atol=1e-2)
    assert next(clf.module_.parameters()).is_cuda
