"""Networks by name: the layers of their papers, and heads that losses ask for."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from skimb._networks._building import build_module
from skimb.losses import LDAMLoss
from skimb.neural_network import VGG, CNNClassifier, CosineLinear, ResNet


def n_weights(net):
    return sum(parameter.numel() for parameter in net.parameters())


def test_resnet_18_has_the_weights_of_its_paper():
    net = ResNet(3, 1000, image_shape=(3, 224, 224))
    assert n_weights(net) == 11_689_512
    assert sum(isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1)
               for layer in net.modules()) + 1 == 18  # fmt: skip


def test_resnet_32_has_the_weights_of_its_paper():
    net = ResNet(3, 10, image_shape=(3, 32, 32))
    assert n_weights(net) == 464_154
    assert sum(isinstance(layer, nn.Conv2d) for layer in net.modules()) + 1 == 32


def test_vgg_has_the_convolutions_of_its_paper():
    net = VGG(3, 10, image_shape=(3, 224, 224))
    # 14,714,688 with biases, which the norms replace: two numbers a channel instead of one.
    n_channels = 2 * 64 + 2 * 128 + 3 * 256 + 6 * 512
    assert n_weights(net.features) == 14_714_688 + n_channels
    assert sum(isinstance(layer, nn.Conv2d) for layer in net.modules()) == 13


@pytest.mark.parametrize(
    ("image_shape", "n_convolutions"),
    [((1, 8, 8), 7), ((1, 28, 28), 10), ((3, 33, 40), 13), ((1, 1, 6), 4), ((2, 1, 1), 2)],
)
@pytest.mark.slow
def test_vgg_is_cut_to_the_image(image_shape, n_convolutions):
    net = VGG(image_shape[0], 3, image_shape=image_shape)
    assert sum(isinstance(layer, nn.Conv2d) for layer in net.modules()) == n_convolutions
    assert net(torch.zeros(2, *image_shape)).shape == (2, 3)


@pytest.mark.slow
@pytest.mark.parametrize("image_shape", [(1, 8, 8), (3, 33, 40), (1, 1, 6), (2, 65, 48)])
def test_resnet_reads_any_image(image_shape):
    net = ResNet(image_shape[0], 3, image_shape=image_shape)
    assert net(torch.zeros(2, *image_shape)).shape == (2, 3)


@pytest.mark.slow
def test_a_shortcut_without_weights_takes_every_second_pixel_and_pads_channels():
    net = ResNet(1, 2, image_shape=(1, 8, 8)).eval()
    block: Any = next(layer for layer in net.features if getattr(layer, "stride", 1) == 2)
    nn.init.zeros_(block.second_norm.weight)
    x = torch.rand(1, 16, 8, 8)
    with torch.no_grad():
        made = block(x)
    torch.testing.assert_close(made[:, 8:24], x[:, :, ::2, ::2])
    assert made[:, :8].abs().max() == made[:, 24:].abs().max() == 0


@pytest.mark.slow
@pytest.mark.parametrize("module", ["resnet", "vgg", "linear", "simple_cnn"])
def test_each_trains_with_each_kind_of_head(module, small_digits):
    X, y = small_digits
    for loss in ("cross_entropy", "ldam"):
        clf = CNNClassifier(module, loss=loss, max_epochs=1, random_state=0).fit(X[:64], y[:64])
        assert isinstance(clf.module_.head, CosineLinear) == (loss == "ldam")
        embedded = clf.embed(X[:3])
        with torch.no_grad():
            logits = clf.module_.head(torch.from_numpy(embedded)).double()
        expected = torch.log_softmax(30 * logits if loss == "ldam" else logits, dim=1)
        np.testing.assert_allclose(clf.predict_log_proba(X[:3]), expected, atol=1e-4)


@pytest.mark.slow
def test_a_network_starts_from_the_prior_unless_the_loss_adds_it():
    settings = {"image_shape": (1, 8, 8), "n_outputs": 3, "device": torch.device("cpu")}
    prior = np.array([0.9, 0.09, 0.01])
    net: Any = build_module("simple_cnn", prior=prior, **settings)
    torch.testing.assert_close(
        torch.softmax(net.head.bias, dim=0), torch.tensor(prior, dtype=torch.float32)
    )
    for name in ("simple_cnn", "resnet", "vgg", "linear"):
        flat: Any = build_module(name, prior=None, **settings)
        assert not flat.head.bias.any()


def test_ldam_wants_cosines(small_digits):
    X, y = small_digits

    def plain(in_channels, n_outputs):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, n_outputs))

    def cosine(in_channels, n_outputs):
        return nn.Sequential(nn.Flatten(), CosineLinear(64, n_outputs))

    with pytest.raises(ValueError, match=r"Let it end in skimb\.neural_network\.CosineLinear"):
        CNNClassifier(plain, loss=LDAMLoss()).fit(X, y)
    CNNClassifier(cosine, loss=LDAMLoss(), max_epochs=1).fit(X, y)
