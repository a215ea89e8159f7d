"""Networks that were trained before: loaded, embedded by, frozen and tuned layer by layer."""

import builtins
import copy
import json
import os
import pickle
import sys
from itertools import groupby
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skimb.neural_network import CNNClassifier, CNNEmbedder, pretrained

transformers = pytest.importorskip("transformers")

VIT = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 16,
    "patch_size": 4,
}
RESNET = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
SWIN = {
    "image_size": 16,
    "patch_size": 2,
    "embed_dim": 8,
    "depths": [1, 1],
    "num_heads": [1, 2],
    "window_size": 4,
}
MODELS = {
    "ViTModel": ("ViTConfig", VIT),
    "ViTForImageClassification": ("ViTConfig", VIT),
    "Dinov2Model": ("Dinov2Config", {k: v for k, v in VIT.items() if k != "intermediate_size"}),
    "ResNetModel": ("ResNetConfig", RESNET),
    "ConvNextModel": (
        "ConvNextConfig",
        {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "image_size": 32},
    ),
    "SwinModel": ("SwinConfig", SWIN),
}


def save(name, folder):
    config_name, options = MODELS[name]
    logging = transformers.utils.logging
    logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = getattr(transformers, name)(getattr(transformers, config_name)(**options)).eval()
    model.save_pretrained(folder)
    logging.enable_progress_bar()
    return model


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vit")
    save("ViTModel", folder)
    return pretrained(folder)


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resnet")
    save("ResNetModel", folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.6, 0.7], "size": 16})
    )
    return pretrained(folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_kind_gives_one_embedding_an_image(name, tmp_path):
    model = save(name, tmp_path)
    state = torch.random.get_rng_state()
    backbone = pretrained(tmp_path, image_size=None if "image_size" in MODELS[name][1] else 32)
    assert torch.equal(torch.random.get_rng_state(), state)
    images = torch.rand(3, 3, *backbone.image_size)
    standardised = (images - backbone.mean) / backbone.sd
    with torch.no_grad():
        if "Classification" in name:
            expected = model.vit(pixel_values=standardised).last_hidden_state[:, 0]
        else:
            output = model(pixel_values=standardised)
            # The token of the class where there is one; else what the model pools itself.
            has_token = any("cls_token" in key for key, _ in model.named_parameters())
            expected = output.last_hidden_state[:, 0] if has_token else output.pooler_output
        np.testing.assert_allclose(backbone(images), expected.flatten(1), rtol=1e-4, atol=1e-5)
    assert backbone.n_features == expected.shape[1]


@pytest.mark.slow
def test_its_own_mean_and_size_are_read_from_the_folder(resnet):
    assert resnet.image_size == (16, 16)
    np.testing.assert_allclose(resnet.mean.flatten(), [0.1, 0.2, 0.3])
    np.testing.assert_allclose(resnet.sd.flatten(), [0.5, 0.6, 0.7])


@pytest.mark.slow
def test_pixels_come_to_lie_between_0_and_1(resnet):
    rng = np.random.RandomState(0)
    X = rng.randint(0, 256, (6, 16, 16, 3)).astype(np.uint8)
    images = torch.from_numpy(X).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        expected = resnet(images).numpy()
    for form in (X, X / 255, X.astype(np.float64)):
        embedded = CNNEmbedder(resnet).fit(form).transform(form)
        np.testing.assert_allclose(embedded, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r"reads pixels of \[0, 1\] or \[0, 255\]"):
        CNNEmbedder(resnet).fit(X - 128.0)


@pytest.mark.slow
def test_grey_images_have_three_equal_channels_and_alpha_does_not_count(vit):
    grey = torch.rand(2, 1, 16, 16)
    rgb = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(vit(grey), vit(grey.repeat(1, 3, 1, 1)))
        assert torch.equal(vit(rgb), vit(torch.cat([rgb, torch.rand(2, 1, 16, 16)], dim=1)))
        with pytest.raises(ValueError, match="reads images of 1, 3 or 4 channels"):
            vit(torch.rand(2, 2, 16, 16))


def test_an_embedder_needs_no_labels_and_clones_share_the_weights(vit, small_digits):
    X, _ = small_digits
    embedder = CNNEmbedder(vit)
    embedded = embedder.fit_transform(X)
    assert embedded.shape == (len(X), 16)
    assert clone(embedder).estimator is vit
    assert repr(vit).startswith("pretrained(")
    again = pickle.loads(pickle.dumps(embedder))
    np.testing.assert_array_equal(again.transform(X), embedded)


@pytest.mark.slow
def test_sizes_are_kept_apart_in_a_cache(tmp_path, small_digits):
    save("ResNetModel", tmp_path)
    X, _ = small_digits
    for side in (16, 32):
        backbone = pretrained(tmp_path, image_size=np.int64(side))
        found, expected = (
            CNNEmbedder(backbone, cache=cache).fit_transform(X[:9]) for cache in (True, None)
        )
        np.testing.assert_array_equal(found, expected)


def test_files_are_resized_to_what_the_network_was_trained_on(vit, tmp_path, small_digits):
    from PIL import Image

    for i, side in enumerate((10, 20)):
        Image.fromarray(np.full((side, side), 90, dtype=np.uint8)).save(tmp_path / f"{i}.png")
    paths = [str(tmp_path / "0.png"), str(tmp_path / "1.png")]
    embedder = CNNEmbedder(vit).fit(paths)
    assert embedder.image_shape_ == (3, 16, 16)
    embedded = embedder.transform(paths)
    np.testing.assert_allclose(embedded[0], embedded[1], rtol=1e-5)


# ------------------------------------------------------------------------------ fine-tuning


def weights_of(module):
    return {name: values.clone() for name, values in module.state_dict().items()}


def changed(classifier, backbone):
    """Return which weights of the backbone the training has moved."""
    after = classifier.module_.features.state_dict()
    before = backbone.state_dict()
    return {name for name in before if not torch.equal(before[name].cpu(), after[name].cpu())}


@pytest.mark.parametrize("name", ["vit", "resnet"])
def test_frozen_features_stay_to_the_bit_norms_included(name, request, small_digits):
    backbone = request.getfixturevalue(name)
    X, y = small_digits
    clf = CNNClassifier(backbone, freeze="features", max_epochs=3, lr=0.05, random_state=0)
    clf.fit(X, y)
    assert changed(clf, backbone) == set()
    assert all(parameter.requires_grad for parameter in clf.module_.parameters())
    embedded = CNNEmbedder(backbone).fit_transform(X)
    np.testing.assert_allclose(clf.embed(X), embedded, rtol=1e-4, atol=1e-5)
    logits = embedded @ clf.module_.head.weight.detach().numpy().T
    logits = logits + clf.module_.head.bias.detach().numpy()
    np.testing.assert_allclose(
        clf.decision_function(X), logits[:, 1] - logits[:, 0], rtol=1e-3, atol=1e-4
    )


def test_without_freezing_all_layers_move_but_the_given_network_does_not(vit, small_digits):
    X, y = small_digits
    before = weights_of(vit)
    clf = CNNClassifier(vit, max_epochs=1, random_state=0).fit(X, y)
    moved = changed(clf, vit)
    assert {name for name, _ in vit.named_parameters()} - moved <= {
        name for name in before if name.endswith("bias")
    }
    assert all(torch.equal(values, before[name]) for name, values in vit.state_dict().items())


def test_a_number_freezes_so_many_layers_from_the_image_on(resnet, small_digits):
    X, y = small_digits
    clf = CNNClassifier(resnet, freeze=2, max_epochs=2, random_state=0).fit(X, y)
    moved = changed(clf, resnet)
    assert moved
    assert all("encoder.stages.1" in name for name in moved)
    with pytest.raises(ValueError, match="more than the network has layers below its head: 3"):
        CNNClassifier(resnet, freeze=4, max_epochs=1).fit(X, y)


@pytest.mark.slow
def test_gradual_unfreezing_takes_one_layer_after_another(resnet, small_digits):
    X, y = small_digits
    moved = {}
    for n_epochs in (1, 2, 3, 4):
        # A constant rate makes the first epochs of long and short trainings alike; the schedule
        # of thawing is that of twelve epochs.
        stop = StopAfter(n_epochs)
        clf = CNNClassifier(
            resnet, freeze="gradual", max_epochs=12, lr_schedule="constant", random_state=0
        )
        moved[n_epochs] = stop.fit(clf, X, y, resnet)
    layers = [
        {name.split("encoder.")[-1][:8] for name in moved[n] if "running" not in name}
        for n in moved
    ]
    assert layers[0] == set()
    assert layers[1] == set()
    assert layers[2] == {"stages.1"}
    assert layers[3] == {"stages.1"}


class StopAfter:
    """Look at a network after some epochs of its training."""

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def fit(self, classifier, X, y, backbone):
        from skimb._engine._image_net import ImageNet

        seen = []
        own = ImageNet.run_single_epoch

        def watched(net, iterator, training, prefix, step_fn, **params):
            own(net, iterator, training, prefix, step_fn, **params)
            if training and len(net.history) == self.n_epochs:
                seen.append(weights_of(net.module_.network.features))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ImageNet, "run_single_epoch", watched)
            classifier.fit(X, y)
        before = backbone.state_dict()
        return {name for name in before if not torch.equal(before[name], seen[0][name])}


@pytest.mark.parametrize("early_stopping", [False, True])
def test_what_thaws_trains_again_norms_and_dropout_included(
    early_stopping, small_digits, monkeypatch
):
    from skimb._engine._image_net import ImageNet

    X, y = small_digits
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.Dropout(0.1),
        nn.Conv2d(4, 4, 3),
        nn.BatchNorm2d(4),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(64, 2),
    )
    modes = []
    step = ImageNet.train_step

    def watched(self, batch, **params):
        modes.append([layer.training for layer in self.module_.network])
        return step(self, batch, **params)

    monkeypatch.setattr(ImageNet, "train_step", watched)
    clf = CNNClassifier(
        net,
        freeze="gradual",
        max_epochs=8,
        early_stopping=early_stopping,
        n_iter_no_change=8,
        random_state=0,
    ).fit(X, y)
    # The head alone, and the dropout before it; what drops out before a layer thaws with it.
    head, half, whole = [False] * 5 + [True] * 3, [False] * 2 + [True] * 6, [True] * 8
    assert [mode for mode, _ in groupby(modes)] == [head, half, whole]
    if not early_stopping:
        # Else the best epoch may be one before the thaw.
        names = "1.running_mean", "4.running_mean"
        assert not any(torch.equal(clf.module_.state_dict()[n], net.state_dict()[n]) for n in names)


def test_frozen_layers_drop_nothing_out_in_a_flat_network(small_digits):
    X, y = small_digits
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.Dropout(0.9), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, 2)
    )
    without = copy.deepcopy(net)
    without[1] = nn.Identity()
    for freeze in ("features", np.int64(2)):
        found, expected = (
            CNNClassifier(module, freeze=freeze, max_epochs=2, random_state=0).fit(X, y)
            for module in (net, without)
        )
        np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    with pytest.raises(ValueError, match="more than the network has"):
        CNNClassifier(net, freeze=np.int64(9)).fit(X, y)


def test_layer_wise_rates(resnet, small_digits):
    X, y = small_digits
    lr, decay = 0.01, 0.5
    # One step of plain gradient descent moves each weight by its rate times its gradient.
    step = {
        "max_epochs": 1,
        "batch_size": 10**6,
        "lr_schedule": "constant",
        "optimizer": lambda groups, lr, weight_decay: torch.optim.SGD(groups, lr=lr),
        "max_grad_norm": None,
        "random_state": 0,
        "lr": lr,
    }
    plain = CNNClassifier(resnet, **step).fit(X, y).module_
    slowed = CNNClassifier(resnet, lr_decay=decay, **step).fit(X, y).module_
    start = resnet.state_dict()
    distances = {"embedder.embedder": 3, "stages.0": 2, "stages.1": 1}
    for name, _ in resnet.named_parameters():
        distance = next(d for part, d in distances.items() if part in name)
        moved = (plain.features.state_dict()[name] - start[name]).numpy()
        moved_slowly = (slowed.features.state_dict()[name] - start[name]).numpy()
        np.testing.assert_allclose(moved_slowly, moved * decay**distance, rtol=1e-2, atol=1e-6)
    assert torch.equal(plain.head.weight, slowed.head.weight)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "plateau", "constant"])
def test_every_schedule_keeps_the_ratio_of_the_rates(schedule, resnet, small_digits, monkeypatch):
    from skimb._engine._image_net import ImageNet

    X, y = small_digits
    rates = []
    step = ImageNet.train_step

    def watched(net, batch, **params):
        rates.append([group["lr"] for group in net.optimizer_.param_groups])
        return step(net, batch, **params)

    monkeypatch.setattr(ImageNet, "train_step", watched)
    CNNClassifier(resnet, lr_decay=0.5, lr_schedule=schedule, max_epochs=2, random_state=0).fit(
        X, y
    )
    for seen in rates:
        np.testing.assert_allclose(
            sorted(set(np.round(np.array(seen) / max(seen), 6))), [0.125, 0.25, 0.5, 1.0]
        )


def test_freezing_random_layers_warns(small_digits):
    X, y = small_digits
    with pytest.warns(UserWarning, match="their weights are random"):
        CNNClassifier(freeze="features", max_epochs=1).fit(X, y)


def test_a_network_of_ones_own_is_frozen_alike(small_digits):
    X, y = small_digits
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(4 * 36, 2),
    )
    clf = CNNClassifier(net, freeze=1, max_epochs=2, random_state=0).fit(X, y)
    for name in ("0.weight", "1.weight", "1.running_mean"):
        assert torch.equal(clf.module_.state_dict()[name], net.state_dict()[name])
    assert not torch.equal(clf.module_.state_dict()["5.weight"], net.state_dict()["5.weight"])


# ------------------------------------------------------------------------------ what may be wrong


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(ValueError, match=r"has no config\.json"):
        pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="no valid JSON"):
        pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(ValueError, match="transformers cannot load"):
        pretrained(tmp_path)


@pytest.mark.parametrize("name", ["./none", Path("none"), "~/none"])
def test_a_folder_that_is_not_there(name):
    with pytest.raises(ValueError, match="There is no folder"):
        pretrained(name)


def test_a_truncated_file(tmp_path):
    save("ViTModel", tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="transformers cannot load"):
        pretrained(tmp_path)


class Marker:
    """An object that leaves a mark when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def refused_and_unread(folder, match):
    with pytest.raises(ValueError, match=match):
        pretrained(folder)
    assert not (folder / "mark").exists()


@pytest.mark.parametrize("harmful", [False, True])
def test_weights_in_a_pickle_are_refused(harmful, tmp_path):
    model = save("ViTModel", tmp_path)
    (tmp_path / "model.safetensors").unlink()
    weights = {**model.state_dict(), **({"mark": Marker(tmp_path / "mark")} if harmful else {})}
    torch.save(weights, tmp_path / "pytorch_model.bin")
    refused_and_unread(tmp_path, r"its weights only in pytorch_model\.bin.*safetensors")


def test_a_pickle_beside_safetensors_is_not_read(tmp_path):
    model = save("ViTModel", tmp_path)
    torch.save({"mark": Marker(tmp_path / "mark")}, tmp_path / "pytorch_model.bin")
    backbone = pretrained(tmp_path)
    assert not (tmp_path / "mark").exists()
    found = backbone.network.model.state_dict()["embeddings.cls_token"]
    assert torch.equal(found, model.state_dict()["embeddings.cls_token"])


def test_an_index_of_safetensors_that_names_a_pickle_runs_nothing(tmp_path):
    save("ViTModel", tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "other.safetensors")
    torch.save({"mark": Marker(tmp_path / "mark")}, tmp_path / "part.bin")
    index = {"metadata": {}, "weight_map": {"embeddings.cls_token": "part.bin"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    refused_and_unread(tmp_path, "transformers cannot load")


def test_code_in_the_folder_is_not_run(tmp_path):
    save("ViTModel", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.C", "AutoModel": "own.M"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w')")
    refused_and_unread(tmp_path, "transformers cannot load")


def test_timm_reads_weights_and_runs_nothing(monkeypatch, tmp_path):
    monkeypatch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", raising=False)

    def create_model(name, **kwargs):
        # As older versions do with a checkpoint.
        torch.load(tmp_path / "model.pth", weights_only=False)

    timm, data = ModuleType("timm"), ModuleType("timm.data")
    timm.create_model = create_model  # pyright: ignore[reportAttributeAccessIssue]
    data.resolve_model_data_config = None  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "timm", timm)
    monkeypatch.setitem(sys.modules, "timm.data", data)
    torch.save({"mark": Marker(tmp_path / "mark")}, tmp_path / "model.pth")
    with pytest.raises(ValueError, match="timm cannot load"):
        pretrained("resnet18")
    (tmp_path / "config.json").write_text('{"architecture": "resnet18", "pretrained_cfg": {}}')
    refused_and_unread(tmp_path, r"its weights only in model\.pth")
    (tmp_path / "model.safetensors").write_bytes(b"")
    refused_and_unread(tmp_path, "timm cannot load")
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


def test_weights_that_lack_are_not_made_up(tmp_path):
    from safetensors.torch import load_file, save_file

    save("ResNetModel", tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    del weights["encoder.stages.1.layers.0.layer.0.convolution.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lack 1 of the weights.*which would be random"):
        pretrained(tmp_path)


def test_a_model_of_texts(tmp_path):
    options = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 9}
    model = transformers.BertModel(transformers.BertConfig(**options, intermediate_size=8))
    transformers.utils.logging.disable_progress_bar()
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="reads no images"):
        pretrained(tmp_path)


@pytest.mark.parametrize("size", [0, (3, -1), (1, 2, 3)])
def test_a_size_that_is_none(size):
    with pytest.raises(ValueError, match="`image_size` must be a side or"):
        pretrained("anything", image_size=size)


@pytest.mark.parametrize(
    ("name", "library", "extra"),
    [("owner/model", "transformers", r"skimb\[pretrained\]"), ("resnet18", "timm", "timm")],
)
def test_an_absent_library_is_named(name, library, extra, monkeypatch):
    imports = builtins.__import__

    def without(module, *args, **kwargs):
        if module.split(".")[0] == library:
            raise ImportError(f"no {library}")
        return imports(module, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=extra):
        pretrained(name)


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("resnet18", "resnet18"),
        ("timm/resnet18.a1_in1k", "hf-hub:timm/resnet18.a1_in1k"),
        ("folder", "local-dir:"),
    ],
)
def test_models_of_timm(asked, given, monkeypatch, tmp_path):
    # A stand-in with timm's interface: timm itself wants a torchvision that fits the torch here.
    calls = []

    def create_model(name, *, pretrained, num_classes):
        calls.append((name, pretrained, num_classes))
        return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())

    timm, data = ModuleType("timm"), ModuleType("timm.data")
    timm.create_model = create_model  # pyright: ignore[reportAttributeAccessIssue]
    data.resolve_model_data_config = (  # pyright: ignore[reportAttributeAccessIssue]
        lambda model: {"mean": (0.5, 0.4, 0.3), "std": (0.1, 0.2, 0.3), "input_size": (3, 12, 14)}
    )
    monkeypatch.setitem(sys.modules, "timm", timm)
    monkeypatch.setitem(sys.modules, "timm.data", data)
    if asked == "folder":
        (tmp_path / "config.json").write_text('{"architecture": "resnet18", "pretrained_cfg": {}}')
        asked, given = str(tmp_path), f"local-dir:{tmp_path}"
    backbone = pretrained(asked)
    assert calls == [(given, True, 0)]
    assert backbone.image_size == (12, 14)
    assert backbone.n_features == 12
    np.testing.assert_allclose(backbone.mean.flatten(), [0.5, 0.4, 0.3])


def test_timm_itself(tmp_path):
    timm = pytest.importorskip("timm", exc_type=ImportError)
    model = timm.create_model("resnet18", num_classes=0).eval()
    config = {"num_classes": 0}
    timm.models.save_for_hf(model, tmp_path, model_config=config, safe_serialization=True)
    backbone = pretrained(tmp_path, image_size=64)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = model((images - backbone.mean) / backbone.sd)
        np.testing.assert_allclose(backbone(images), expected, rtol=1e-4, atol=1e-5)
