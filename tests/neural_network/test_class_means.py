"""Last layers that start from class means: what they are, and that fits stay reproducible."""

import numpy as np
import pytest
import torch
from scipy.special import expit
from scipy.stats import norm
from sklearn.base import clone
from torch import nn

from skimb.neural_network import CNNClassifier, CNNEmbedder, pretrained
from skimb.neural_network import _class_means as module_of_start
from skimb.neural_network._class_means import _some_of_each, nearest_means

#: A training that leaves the weights as they start.
STILL = {"max_epochs": 1, "lr": 1e-12, "weight_decay": 0, "augmentation": None, "random_state": 0}


@pytest.fixture(scope="module")
def backbone():
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 12, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with torch.no_grad():
        for values in network.parameters():
            values.copy_(torch.randn(values.shape, generator=generator))
    return pretrained(network, mean=(0, 0, 0), sd=(1, 1, 1))


@pytest.fixture(scope="module")
def data():
    """Images of which class 0 is darker than class 1, 40 to 8."""
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1], [40, 8])
    X = rng.randint(0, 150, (48, 8, 8, 3)) + 60 * y[:, None, None, None]
    return X.astype(np.uint8), y


def test_two_classes_on_a_line():
    # Means -1 and 3; residuals -1, 1, -1, 1 with variance 1.
    values, labels = np.array([[-2.0], [0.0], [2.0], [4.0]]), np.array([0, 0, 1, 1])
    weight, bias = nearest_means(values, labels, 2)
    np.testing.assert_allclose(weight[1] - weight[0], [4.0])
    # The boundary is in the middle, at 1.
    np.testing.assert_allclose(bias[1] - bias[0], -4.0)


def test_the_functions_are_distances_to_the_means():
    rng = np.random.RandomState(0)
    labels = np.repeat([0, 1, 2], [30, 20, 3])
    values = rng.randn(53, 4) @ rng.randn(4, 4) + 5 * rng.randn(3, 4)[labels] + 10
    weight, bias = nearest_means(values, labels, 3)
    logits = values @ weight.T + bias

    means = np.array([values[labels == index].mean(axis=0) for index in range(3)])
    residuals = values - means[labels]
    variances = residuals.var(axis=0)
    between, within = np.zeros((4, 4)), np.zeros((4, 4))
    for row, label in zip(residuals / np.sqrt(variances), labels, strict=True):
        difference = (means[label] - values.mean(axis=0)) / np.sqrt(variances)
        between += np.outer(difference, difference) / 53
        within += np.outer(row, row) / 53
    factor = np.trace(between) / np.trace(between @ within)
    for row, found in zip(values, logits, strict=True):
        distances = [np.sum((row - mean) ** 2 / variances) for mean in means]
        expected = -factor / 2 * np.array(distances)
        np.testing.assert_allclose(found - found[0], expected - expected[0])


def test_of_two_classes_the_softmax_is_the_posterior_along_the_line_of_means():
    rng = np.random.RandomState(1)
    labels = np.repeat([0, 1], [40, 9])
    values = rng.randn(49, 6) @ rng.randn(6, 6) + labels[:, None]
    weight, bias = nearest_means(values, labels, 2)
    prior = np.array([0.8, 0.2])
    logits = values @ weight.T + bias + np.log(prior)

    along = values @ (weight[1] - weight[0])
    means = [along[labels == index].mean() for index in (0, 1)]
    sd = np.std(along - np.array(means)[labels])
    joint = prior * np.column_stack([norm(mean, sd).pdf(along) for mean in means])
    expected = joint[:, 1] / joint.sum(axis=1)
    np.testing.assert_allclose(expit(logits[:, 1] - logits[:, 0]), expected)


def test_a_class_of_one_sample_and_an_absent_class_are_possible():
    values = np.array([[0.0, 1, 7], [1, 0, 7], [0, 0, 7], [9, 9, 7]])
    weight, bias = nearest_means(values, np.array([0, 0, 0, 1]), 3)
    assert np.isfinite(weight).all()
    assert np.isfinite(bias).all()
    assert (values @ weight.T + bias)[:, :2].argmax(axis=1).tolist() == [0, 0, 0, 1]
    # One sample of each: there is no spread.
    weight, bias = nearest_means(values[[0, 3]], np.array([0, 1]), 2)
    assert (values @ weight.T + bias).argmax(axis=1).tolist() == [0, 0, 0, 1]


def test_of_many_samples_equally_many_of_each_class_are_taken(monkeypatch):
    monkeypatch.setattr(module_of_start, "MOST_SAMPLES", 6)
    labels = np.array([0] * 9 + [1] * 2)
    assert _some_of_each(labels, 2).tolist() == [0, 4, 8, 9, 10]


@pytest.mark.parametrize("loss", ["cross_entropy", "logit_adjusted"])
def test_the_first_network_is_that_of_the_nearest_means(loss, backbone, data):
    X, y = data
    fitted = CNNClassifier(backbone, head_init="class_means", loss=loss, **STILL).fit(X, y)
    embedded = CNNEmbedder(backbone).fit_transform(X).astype(np.float64)
    weight, bias = nearest_means(embedded, y, 2)
    prior = np.log([40 / 48, 8 / 48])
    logits = embedded @ weight.T + bias + (prior if loss == "cross_entropy" else 0)
    # A logit-adjusted network decides for equal class priors.
    found = fitted.decision_function(X)
    np.testing.assert_allclose(found, logits[:, 1] - logits[:, 0], rtol=1e-3, atol=1e-3)


def test_the_layer_of_ldam_has_the_means_of_directions(backbone, data):
    X, y = data
    fitted = CNNClassifier(backbone, head_init="class_means", loss="ldam", **STILL).fit(X, y)
    embedded = CNNEmbedder(backbone, normalize=True).fit_transform(X)
    expected = [embedded[y == index].mean(axis=0) for index in (0, 1)]
    np.testing.assert_allclose(fitted.module_.head.weight.detach(), expected, atol=1e-5)


def test_fits_are_equal_and_draw_what_they_draw_without_it(backbone, data):
    X, y = data
    network = CNNClassifier(backbone, head_init="class_means", max_epochs=2, random_state=0)
    state = torch.random.get_rng_state()
    one, again = clone(network).fit(X, y), clone(network).fit(X, y)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.array_equal(one.predict_proba(X), again.predict_proba(X))
    other = clone(network).set_params(head_init="random").fit(X, y)
    assert not np.array_equal(one.predict_proba(X), other.predict_proba(X))
    # The network that `warm_start` continues is not started again.
    warm = clone(network).set_params(warm_start=True, **STILL).fit(X, y)
    weight = warm.module_.head.weight.detach().clone()
    with torch.no_grad():
        warm.module_.head.weight.add_(1)
    torch.testing.assert_close(warm.fit(X, y).module_.head.weight.detach(), weight + 1)


def test_columns_beside_the_images_take_part(backbone, data):
    pandas = pytest.importorskip("pandas")
    X, y = data
    frame = pandas.DataFrame({"image": list(X), "number": y + 0.1 * np.arange(48) / 48})
    network = CNNClassifier(
        backbone, image_column="image", table_depth=0, head_init="class_means", **STILL
    )
    fitted = network.fit(frame, y)
    joint = fitted.embed(frame).astype(np.float64)
    assert joint.shape == (48, 13)
    weight, _ = nearest_means(joint, y, 2)
    np.testing.assert_allclose(fitted.module_.head.weight.detach(), weight, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("module", ["simple_cnn", nn.Flatten(), nn.Linear], ids=str)
def test_networks_without_a_pretrained_backbone_are_refused(module, data):
    with pytest.raises(ValueError, match=r"head_init='class_means'.*give pretrained\(\.\.\.\)"):
        CNNClassifier(module, head_init="class_means").fit(*data)
    with pytest.raises(ValueError, match="head_init='class_means'"):
        CNNClassifier(module, head_init="class_means").partial_fit(*data, classes=[0, 1])
