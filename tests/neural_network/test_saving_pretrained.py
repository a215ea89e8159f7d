"""Files of networks that were trained before: built from their description, with no download."""

import json
from types import ModuleType

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skimb._archives import read_archive, write_archive
from skimb._networks import PretrainedBackbone
from skimb.neural_network import CNNClassifier, CNNEmbedder, load, pretrained, save

transformers = pytest.importorskip("transformers")

VIT = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 16,
    "patch_size": 4,
}
CONFIGS = {
    "ViT": VIT,
    "Dinov2": {key: value for key, value in VIT.items() if key != "intermediate_size"},
    "ResNet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]},
    "ConvNext": {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "image_size": 32},
    "Swin": {
        "image_size": 16,
        "patch_size": 2,
        "embed_dim": 8,
        "depths": [1, 1],
        "num_heads": [1, 2],
        "window_size": 4,
    },
}

X = (np.random.RandomState(0).rand(24, 8, 8, 3) * 255).astype(np.uint8)
Y = np.arange(24) % 3 // 2


def backbone(name, folder):
    logging = transformers.utils.logging
    logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = getattr(transformers, f"{name}Config")(**CONFIGS[name])
        getattr(transformers, f"{name}Model")(config).save_pretrained(folder)
    logging.enable_progress_bar()
    return pretrained(folder, image_size=None if "image_size" in CONFIGS[name] else 32)


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    return backbone("ViT", tmp_path_factory.mktemp("vit"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.skimb"


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Let any connection fail."""

    def refuse(*args, **kwargs):
        raise AssertionError("a connection was made")

    monkeypatch.setattr("socket.socket.connect", refuse)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_every_kind_comes_back_to_the_bit(name, tmp_path, path):
    embedder = CNNEmbedder(backbone(name, tmp_path)).fit(X)
    save(embedder, path)
    state = torch.random.get_rng_state()
    again = load(path)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.array_equal(again.transform(X), embedder.transform(X))
    assert repr(again.estimator) == repr(embedder.estimator)
    assert np.array_equal(clone(again).fit_transform(X), embedder.transform(X))
    assert again.image_shape_ == (3, 8, 8)


@pytest.mark.parametrize("freeze", ["features", None])
def test_a_tuned_network_comes_back_with_the_weights_it_began_with(freeze, vit, path):
    fitted = CNNClassifier(vit, freeze=freeze, max_epochs=1, random_state=0).fit(X, Y)
    fitted.save(path)
    again = CNNClassifier.load(path)
    assert np.array_equal(again.predict_log_proba(X), fitted.predict_log_proba(X))
    assert np.array_equal(again.embed(X), fitted.embed(X))
    for name, values in vit.state_dict().items():
        assert torch.equal(again.module.state_dict()[name], values)
    refit = clone(again).fit(X, Y)
    assert np.array_equal(refit.predict_log_proba(X), fitted.predict_log_proba(X))
    _, arrays = read_archive(path, "model")
    # Weights that did not change are in the file once.
    n_weights = len(vit.state_dict())
    assert len(arrays) < (1.5 if freeze else 2.5) * n_weights


def test_a_network_that_cannot_be_built_is_handed_in(vit, path):
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 4, 3)

        def forward(self, images):
            return self.layer(images).mean((2, 3))

    module = PretrainedBackbone("mine", Own(), mean=(0, 0, 0), sd=(1, 1, 1), image_size=None)
    embedder = CNNEmbedder(module).fit(X)
    save(embedder, path)
    with pytest.raises(ValueError, match=r"how 'mine' was built.*load\(path, module="):
        load(path)
    assert np.array_equal(load(path, module=module).transform(X), embedder.transform(X))
    with pytest.raises(ValueError, match="does not fit"):
        load(path, module=vit)


def test_a_network_of_timm_is_built_by_its_name(path, monkeypatch):
    made = []

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 4, 3)
            self.pretrained_cfg = {"architecture": "tiny"}

        def forward(self, images):
            return self.layer(images).mean((2, 3))

    def create_model(name, *, pretrained, num_classes):
        made.append((name, pretrained, num_classes))
        return Model()

    timm = ModuleType("timm")
    timm.create_model = create_model  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(__import__("sys").modules, "timm", timm)
    module = PretrainedBackbone("tiny", Model(), mean=(0, 0, 0), sd=(1, 1, 1), image_size=(9, 9))
    embedder = CNNEmbedder(module).fit(X)
    save(embedder, path)
    assert np.array_equal(load(path).transform(X), embedder.transform(X))
    assert set(made) == {("tiny", False, 0)}


def as_written(value):
    """Return a value as a file has it."""
    if not isinstance(value, dict):
        return value
    if "list" in value:
        return [as_written(value["list"])]
    if "scalar" in value:
        return {**value, "dtype": "<i8"}
    return {"dict": [[key, as_written(part)] for key, part in value.items()]}


def test_a_network_of_an_unknown_kind_is_handed_in(path, tmp_path):
    clip = transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**VIT))
    with torch.random.fork_rng(devices=[]):
        clip.save_pretrained(tmp_path / "clip")
    module = pretrained(tmp_path / "clip")
    embedder = CNNEmbedder(module).fit(X)
    save(embedder, path)
    with pytest.raises(ValueError, match=r"not known how .*load\(path, module="):
        load(path)
    assert np.array_equal(load(path, module=module).transform(X), embedder.transform(X))


@pytest.mark.parametrize(
    "change",
    [
        {"auto_map": {"AutoModel": "evil.Model"}},
        {"backbone": "microsoft/resnet-50"},
        {"quantization_config": {"load_in_8bit": True}},
        {"num_hidden_layers": 10**9},
        {"hidden_size": 10**9},
        {"hidden_size": 32},
        {"model_type": "bert"},
        {"model_type": "../vit"},
        {"hidden_act": "none"},
        {"attn_implementation": "kernels-community/evil"},
        {"attn_implementation": {"": "evil/repo:function"}},
        {"experts_implementation": "kernels-community/evil"},
        {"_attn_implementation": "kernels-community/evil"},
        {"vision_config": {"_attn_implementation": "kernels-community/evil"}},
        {"vision_config": {"attn_implementation": "kernels-community/evil"}},
        {"layers": {"list": {"auto_map": {"AutoModel": "evil.Model"}}}},
        {"architecture": "hf-hub:evil/repo"},
        {"model_args": {"checkpoint_path": "evil.pkl"}},
        {"model_type": "timm_wrapper"},
        {"model_type": "timm_wrapper", "architecture": "resnet18"},
        {"model_type": "timm_backbone"},
        {"model_type": "llava"},
        {"num_hidden_layers": {"scalar": 10**9}},
    ],
    ids=lambda change: "-".join(f"{key}={value}" for key, value in change.items())[:40],
)
def test_a_description_that_was_changed_is_refused(change, vit, path, monkeypatch):
    def reached(*args, **kwargs):
        raise AssertionError("code was looked for")

    monkeypatch.setattr("transformers.modeling_utils.lazy_import_flash_attention", reached)
    save(CNNEmbedder(vit).fit(X), path)
    document, arrays = read_archive(path, "model")
    text = json.dumps(document)
    architecture = document["model"]["content"]["state"]["estimator"]["content"]["state"]
    pairs = dict(architecture["config"]["dict"])["architecture"]["dict"]
    before = json.dumps(pairs)
    after = [pair for pair in pairs if pair[0] not in change]
    after += [[key, as_written(value)] for key, value in change.items()]
    text = text.replace(before, json.dumps(after))
    write_archive(path, "model", json.loads(text), arrays)
    with pytest.raises(ValueError, match=r"cannot be built here.*load\(path, module="):
        load(path)
