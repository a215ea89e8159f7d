"""Low-rank adapters of pretrained networks: what trains, what stays, and that it comes back."""

import json
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skimb._archives import read_archive, write_archive
from skimb.neural_network import CNNClassifier, CNNEmbedder, load, low_rank, pretrained, save

pytest.importorskip("peft", reason="peft is not installed: pip install 'skimb[peft]'")

X = np.random.RandomState(0).randint(0, 256, (24, 8, 8, 3)).astype(np.uint8)
Y = np.arange(24) % 3 // 2

SETTINGS = {"max_epochs": 2, "lr": 0.01, "random_state": 0}

VIT = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 16,
    "patch_size": 4,
}


def seeded_network(*layers):
    """Return a network whose weights do not depend on the tests before."""
    network = nn.Sequential(*layers)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for values in network.parameters():
            values.copy_(0.3 * torch.randn(values.shape, generator=generator))
    return network


@pytest.fixture(scope="module")
def backbone():
    """A small network of convolutions, of which one has groups, with a norm and a linear layer."""
    return pretrained(
        seeded_network(
            nn.Conv2d(3, 6, 3, bias=False),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Conv2d(6, 6, 3, groups=6),
            nn.Dropout(0.5),
            nn.Flatten(),
            nn.Linear(96, 8),
        ),
        image_size=8,
    )


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("vit")
    logging = transformers.utils.logging
    logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.ViTModel(transformers.ViTConfig(**VIT)).save_pretrained(folder)
    logging.enable_progress_bar()
    return pretrained(folder)


def without_adapters(state):
    """Return the tensors of a network with adapters by the names that they had before."""
    return {
        name.replace(".base_layer", ""): values
        for name, values in state.items()
        if ".lora_" not in name
    }


def factors(module, name):
    layer = module.network.get_submodule(name)
    return layer.lora_A["default"].weight, layer.lora_B["default"].weight


def test_nothing_changes_before_the_first_step(backbone, vit):
    for plain in (backbone, vit):
        state = torch.random.get_rng_state()
        adapted = low_rank(plain, rank=3)
        assert torch.equal(torch.random.get_rng_state(), state)
        assert adapted.n_features == plain.n_features
        found = CNNEmbedder(adapted).fit_transform(X)
        assert np.array_equal(found, CNNEmbedder(plain).fit_transform(X))
        assert not any(".lora_" in name for name, _ in plain.named_parameters())
        assert all(values.requires_grad for values in plain.parameters())


def test_an_adapter_adds_the_product_of_its_factors(backbone):
    adapted = low_rank(backbone, rank=3, layers=["6"])
    down, up = factors(adapted, "6")
    assert (down.shape, up.shape) == ((3, 96), (8, 3))
    with torch.no_grad():
        up.copy_(torch.randn(up.shape, generator=torch.Generator().manual_seed(1)))
        images = torch.rand(4, 3, 8, 8)
        before = backbone.network[:6]((images - backbone.mean) / backbone.sd)
        weight = backbone.network[6].weight + up @ down
        expected = before @ weight.T + backbone.network[6].bias
        torch.testing.assert_close(adapted(images), expected)


def test_layers_with_groups_get_none_and_patterns_choose(backbone, vit):
    assert low_rank(backbone).layers == ["0", "6"]
    assert low_rank(backbone, layers=["6"]).layers == ["6"]
    # Names of other layers differ between versions of transformers.
    name = "model.embeddings.patch_embeddings.projection"
    assert low_rank(vit, layers=["*.projection"]).layers == [name]


def test_a_name_that_ends_another_one_is_not_mixed_up_with_it():
    network = seeded_network(
        nn.Conv2d(3, 4, 1), nn.Sequential(nn.Conv2d(4, 5, 1), nn.Conv2d(5, 6, 1))
    )
    adapted = low_rank(pretrained(network, image_size=4), layers=["0"])
    assert [name for name, _ in adapted.named_parameters() if ".lora_" in name] == [
        "network.0.lora_A.default.weight",
        "network.0.lora_B.default.weight",
    ]


@pytest.mark.parametrize("options", [{}, {"freeze": "gradual"}, {"lr_decay": 0.5}], ids=str)
def test_only_adapters_and_the_head_train(options, backbone):
    adapted = low_rank(backbone, rank=2)
    fitted = CNNClassifier(adapted, **SETTINGS, **options).fit(X, Y)
    features = fitted.module_.features
    # The statistics of the norm are among them.
    before = backbone.state_dict()
    for name, values in without_adapters(features.state_dict()).items():
        assert torch.equal(values, before[name]), name
    for name in adapted.layers:
        assert factors(features, name)[1].any()
        assert not factors(adapted, name)[1].any()
    assert not np.allclose(fitted.embed(X), CNNEmbedder(backbone).fit_transform(X))


def test_adapters_follow_the_random_state(backbone):
    adapted = low_rank(backbone, rank=2)
    one, again = (CNNClassifier(adapted, **SETTINGS).fit(X, Y) for _ in range(2))
    assert np.array_equal(one.predict_proba(X), again.predict_proba(X))
    # As many random numbers as the first fit draws make no difference.
    other = clone(one).set_params(random_state=1, lr=1e-9).fit(X, Y)
    same = clone(other).set_params(random_state=0).fit(X, Y)
    first, second, given = (
        factors(module, "0")[0]
        for module in (other.module_.features, same.module_.features, adapted)
    )
    assert (first - second).abs().max() > 0.01
    assert (first - given).abs().max() > 0.01


def test_trained_adapters_go_on_as_they_are(backbone):
    first = CNNClassifier(low_rank(backbone, rank=2), **SETTINGS).fit(X, Y)
    features = first.module_.features
    second = CNNClassifier(features, max_epochs=1, lr=1e-9, random_state=1).fit(X, Y)
    for name in features.layers:
        for own, trained in zip(
            factors(second.module_.features, name), factors(features, name), strict=True
        ):
            torch.testing.assert_close(own, trained)


def test_clones_share_it_and_pickles_keep_it(vit):
    adapted = low_rank(vit, rank=2)
    fitted = CNNClassifier(adapted, **SETTINGS).fit(X, Y)
    assert clone(fitted).module is adapted
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))


def test_a_file_has_the_adapters_and_the_network_that_they_began_with(vit, tmp_path):
    path = tmp_path / "model.skimb"
    fitted = CNNClassifier(low_rank(vit, rank=2), **SETTINGS).fit(X, Y)
    fitted.save(path)
    again = CNNClassifier.load(path)
    assert repr(again.module) == repr(fitted.module)
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert np.array_equal(clone(again).fit(X, Y).predict_proba(X), fitted.predict_proba(X))
    _, arrays = read_archive(path, "model")
    # Weights that did not change are in the file once.
    assert len(arrays) < 2 * len(fitted.module.state_dict()) - len(fitted.module.layers)


def test_an_own_network_with_adapters_is_handed_in(backbone, tmp_path):
    path = tmp_path / "model.skimb"
    adapted = low_rank(backbone, rank=2)
    fitted = CNNClassifier(adapted, **SETTINGS).fit(X, Y)
    fitted.save(path)
    with pytest.raises(ValueError, match=r"load\(path, module="):
        load(path)
    assert np.array_equal(load(path, module=adapted).predict_proba(X), fitted.predict_proba(X))
    with pytest.raises(ValueError, match="does not fit"):
        load(path, module=low_rank(backbone, rank=3))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rank", 3),
        ("rank", 10**9),
        ("rank", "2"),
        ("layers", []),
        ("layers", ["model"]),
        ("layers", ["model.layers.0.mlp.fc1|.*"]),
    ],
    ids=str,
)
def test_a_description_of_adapters_that_was_changed_is_refused(key, value, vit, tmp_path):
    path = tmp_path / "model.skimb"
    save(CNNEmbedder(low_rank(vit, rank=2)).fit(X), path)
    document, arrays = read_archive(path, "model")
    state = document["model"]["content"]["state"]["estimator"]["content"]["state"]
    adapters = dict(state["config"]["dict"])["adapters"]
    changed = {"dict": [[k, value if k == key else v] for k, v in adapters["dict"]]}
    text = json.dumps(document).replace(json.dumps(adapters), json.dumps(changed))
    write_archive(path, "model", json.loads(text), arrays)
    with pytest.raises(ValueError, match=r"cannot be built here.*load\(path, module="):
        load(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 0}, "`rank` must be a positive integer. Got 0"),
        ({"rank": True}, "`rank` must be a positive integer. Got True"),
        ({"rank": 1.5}, "`rank` must be a positive integer. Got 1.5"),
        ({"layers": "6"}, r"`layers` must be a list of patterns.*give \['6'\]"),
        ({"layers": []}, "`layers` is empty"),
        ({"layers": ["0", "3"]}, "`layers` names '3'.*These can: 0, 6"),
    ],
    ids=str,
)
def test_mistakes_are_told(options, message, backbone):
    with pytest.raises(ValueError, match=message):
        low_rank(backbone, **options)


def test_what_is_no_pretrained_network_is_refused(backbone):
    for given in (nn.Linear(3, 3), "resnet", low_rank(backbone)):
        with pytest.raises(ValueError, match=r"low_rank\(pretrained\(\.\.\.\)\)"):
            low_rank(given)
    with pytest.raises(ValueError, match="can have a low-rank adapter"):
        low_rank(pretrained(nn.Conv2d(3, 3, 3, groups=3)))


def test_without_peft_the_extra_is_named(backbone, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(ImportError, match=r"pip install 'skimb\[peft\]'"):
        low_rank(backbone)
