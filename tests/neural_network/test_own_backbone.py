"""Networks of the user's own that were trained elsewhere, given to `pretrained`."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skimb.neural_network import CNNClassifier, CNNEmbedder, pretrained

MEAN, SD = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)

X = np.random.RandomState(0).randint(0, 256, (24, 8, 8, 3)).astype(np.uint8)
Y = np.arange(24) % 3 // 2


def own_network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU()
        )


class Pooled(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.features = features

    def forward(self, images):
        return self.features(images).mean((2, 3))


def by_hand(network, images, mean, sd):
    """Standardise, run and average with numpy's arithmetic around the network."""
    scaled = (images / 255 - np.array(mean)) / np.array(sd)
    with torch.no_grad():
        maps = network.eval()(torch.from_numpy(scaled).float().permute(0, 3, 1, 2))
    return maps.numpy().mean(axis=(2, 3))


@pytest.mark.parametrize("wrap", [Pooled, lambda network: network], ids=["pooled", "maps"])
def test_images_are_standardised_and_feature_maps_averaged(wrap):
    network = own_network()
    embedded = CNNEmbedder(pretrained(wrap(network), mean=MEAN, sd=SD)).fit_transform(X)
    np.testing.assert_allclose(embedded, by_hand(network, X, MEAN, SD), rtol=1e-4, atol=1e-5)


def test_the_standardisation_is_that_of_imagenet_unless_it_is_given():
    backbone = pretrained(own_network())
    np.testing.assert_allclose(backbone.mean.flatten(), [0.485, 0.456, 0.406])
    np.testing.assert_allclose(backbone.sd.flatten(), [0.229, 0.224, 0.225])
    assert backbone.image_size is None
    assert pretrained(own_network(), image_size=9).image_size == (9, 9)


def test_the_network_is_copied_and_stays_as_it_was():
    network = own_network().train().double()
    before = {name: values.clone() for name, values in network.state_dict().items()}
    backbone = pretrained(network, mean=MEAN, sd=SD)
    CNNClassifier(backbone, max_epochs=1, random_state=0).fit(X, Y)
    assert network.training
    for name, values in network.state_dict().items():
        assert torch.equal(values, before[name])
    assert backbone.network[0].weight.dtype is torch.float32


@pytest.mark.parametrize(
    "options",
    [{"freeze": "features"}, {"freeze": "gradual"}, {"lr_decay": 0.5}],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_it_can_be_frozen_and_tuned(options):
    backbone = pretrained(own_network(), mean=MEAN, sd=SD)
    fitted = CNNClassifier(backbone, max_epochs=2, random_state=0, **options).fit(X, Y)
    again = clone(fitted).fit(X, Y)
    assert np.array_equal(fitted.predict_proba(X), again.predict_proba(X))
    embedded = CNNEmbedder(backbone).fit_transform(X)
    is_frozen = options.get("freeze") == "features"
    assert np.allclose(fitted.embed(X), embedded, atol=1e-6) == is_frozen


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (nn.Identity(), {"mean": (1, 2)}, "`mean` must be three numbers"),
        (nn.Identity(), {"mean": (0, 0, np.nan)}, "`mean` must be three numbers"),
        (nn.Identity(), {"sd": 0.5}, "`sd` must be three numbers"),
        (nn.Identity(), {"sd": (1, 1, 0)}, "`sd` must be three positive numbers"),
        (nn.Identity(), {"image_size": 0}, "`image_size` must be a side"),
        (nn.Flatten(2), {}, r"gives no embeddings .* it gives \(2, 3, 50176\) for two images"),
        (nn.Linear(5, 5), {}, "The network Linear gives no embeddings"),
    ],
    ids=["two", "nan", "number", "zero", "side", "tokens", "fails"],
)
def test_mistakes_are_told(network, options, message):
    with pytest.raises(ValueError, match=message):
        pretrained(network, **options)


def test_a_result_of_pretrained_is_not_standardised_twice():
    with pytest.raises(ValueError, match="is the result of `pretrained` already"):
        pretrained(pretrained(own_network()))
