"""The trial before the training: what runs in plain PyTorch runs, and what cannot is said there."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from skimb._networks import PretrainedBackbone
from skimb.model_selection import LossSearchCV
from skimb.neural_network import CNNClassifier, CNNEmbedder, CNNRegressor


class Idiom(nn.Module):
    """The commonest way to write a network: a view after the convolutions."""

    def __init__(self, n_channels, n_outputs):
        super().__init__()
        self.convolution = nn.Conv2d(n_channels, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(64, n_outputs)

    def forward(self, x):
        """Return logits."""
        x = self.norm(self.convolution(x))
        return self.head(x.view(x.size(0), -1))


class IdiomInTraining(Idiom):
    """It views in training mode only."""

    def forward(self, x):
        """Return logits."""
        x = self.norm(self.convolution(x))
        return self.head(x.view(x.size(0), -1) if self.training else x.flatten(1))


class Flat(Idiom):
    """The same network without a view."""

    def forward(self, x):
        """Return logits."""
        return self.head(self.norm(self.convolution(x)).flatten(1))


def viewing(images):
    """Change images by a view of them."""
    return images.view(len(images), -1).view(images.shape)


class ViewingViews:
    """An augmentation whose views for predictions are made by `view`."""

    def __call__(self, images):
        """Return the images."""
        return images

    def views(self, images):
        """Return the images and their negatives."""
        return [images, -images.view(len(images), -1).view(images.shape)]


@pytest.fixture(scope="module")
def few(small_digits):
    """Forty images, of which ten are of the minority class."""
    X, y = small_digits
    rows = np.r_[np.flatnonzero(y == "eight")[:10], np.flatnonzero(y == "rest")[:30]]
    return X[rows], y[rows]


def in_colour(X, n_channels):
    return X if n_channels == 1 else np.stack([X] * n_channels, axis=3)


def quick(module, **params):
    return CNNClassifier(module, **{"max_epochs": 1, "random_state": 0, **params})


@pytest.mark.slow
@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("module", [Idiom, IdiomInTraining])
@pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"augmentation": "flip_crop"}])
def test_a_network_that_views_its_maps_trains_and_predicts(n_channels, module, params, few):
    X, y = in_colour(few[0], n_channels), few[1]
    clf = quick(module, **params).fit(X, y)
    proba = clf.predict_proba(X)
    assert np.isfinite(proba).all()
    np.testing.assert_allclose(clf.predict_proba(X[:1]), proba[:1], atol=1e-5)
    flat = quick(Flat, **params).fit(X, y)
    np.testing.assert_allclose(flat.predict_proba(X), proba, atol=1e-3)
    assert clf.embed(X).shape == (40, 64)


@pytest.mark.parametrize("n_channels", [1, 3])
def test_an_instance_whose_weights_lie_channels_last_may_view_its_maps(n_channels, few):
    X, y = in_colour(few[0], n_channels), few[1]
    network: Any = Idiom(n_channels, 2)
    network = network.to(memory_format=torch.channels_last)
    assert np.isfinite(quick(network).fit(X, y).predict_proba(X)).all()


@pytest.mark.parametrize("n_channels", [1, 3])
def test_a_regressor_of_a_network_that_views_its_maps_predicts(n_channels, few):
    X, y = in_colour(few[0], n_channels), few[0].mean(axis=(1, 2))
    reg = CNNRegressor(Idiom, max_epochs=1, ranksim=1.0, random_state=0).fit(X, y)
    assert np.isfinite(reg.predict(X)).all()


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("augmentation", [viewing, ["flip_crop", viewing], ViewingViews()])
def test_an_augmentation_may_view_the_images(n_channels, augmentation, few):
    X, y = in_colour(few[0], n_channels), few[1]
    clf = quick("simple_cnn", augmentation=augmentation).fit(X, y)
    assert np.isfinite(clf.predict_proba(X)).all()


def test_a_backbone_that_views_its_maps_embeds(few):
    X = in_colour(few[0], 3)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), Viewed())
    backbone = PretrainedBackbone(
        "own", network, mean=(0.5,) * 3, sd=(0.5,) * 3, image_size=X.shape[1:3]
    )
    assert CNNEmbedder(backbone).fit_transform(X).shape == (40, 36)


class Viewed(nn.Module):
    """Flatten by a view."""

    def forward(self, x):
        """Return the values of each image in a row."""
        return x.view(x.size(0), -1)


def small_idiom(n_channels, n_outputs):
    """Return a network that trains together with others, and views its maps."""
    return nn.Sequential(nn.Conv2d(n_channels, 4, 3, stride=4), Viewed(), nn.Linear(16, n_outputs))


@pytest.mark.parametrize("n_channels", [1, 3])
def test_networks_that_view_their_maps_are_searched(n_channels, few):
    X, y = in_colour(few[0], n_channels), few[1]
    grid = {"loss": ["focal", "cross_entropy"]}
    search = LossSearchCV(
        quick(small_idiom, augmentation=None), grid, cv=2, search="end_to_end"
    ).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("module", ["simple_cnn", Flat])
def test_networks_that_need_no_contiguous_images_keep_theirs_channels_last(module, few):
    X, y = in_colour(few[0], 3), few[1]
    clf = quick(module).fit(X, y)
    weight = next(p for p in clf.module_.parameters() if p.ndim == 4)
    assert weight.is_contiguous(memory_format=torch.channels_last)


class Remembering(nn.Module):
    """A network with all kinds of state that a step changes."""

    def __init__(self, n_channels, n_outputs):
        super().__init__()
        self.norm = nn.BatchNorm2d(n_channels)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(64 * n_channels, n_outputs)
        self.register_buffer("n_calls", torch.zeros(()))

    def forward(self, x):
        """Return logits, and count in training mode."""
        if self.training:
            self.n_calls = self.n_calls + 1
        return self.head(self.drop(self.norm(x).flatten(1)))


def test_the_trial_changes_neither_weights_nor_buffers_nor_what_is_drawn(few):
    X, y = few
    clf = quick(Remembering, batch_size=64).fit(X, y)
    # One step: the trial left no trace.
    assert clf.module_.n_calls == 1
    drawn = []

    def noting(images):
        drawn.append(torch.rand(()).item())
        return images

    quick(Flat, augmentation=noting, batch_size=64).fit(X, y)
    with torch.random.fork_rng():
        # What the network's weights and the trial of the augmentation took is all that came first.
        torch.manual_seed(int(np.random.RandomState(0).randint(2**31 - 1, size=4)[3]))
        Flat(1, 2)
        assert drawn == [torch.rand(()).item(), torch.rand(()).item()]


class NormOfRows(nn.Module):
    """Batch norm over rows: a batch of one has no variance."""

    def __init__(self, n_channels, n_outputs):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, n_outputs)
        )

    def forward(self, x):
        """Return logits."""
        return self.layers(x)


class InPlace(Flat):
    """It overwrites what the backward pass needs."""

    def forward(self, x):
        """Return logits."""
        x = torch.sigmoid(self.convolution(x))
        x.mul_(2)
        return self.head(x.flatten(1))


class Detached(Flat):
    """Its logits have no gradient."""

    def forward(self, x):
        """Return logits."""
        return super().forward(x).detach()


class InTrainingOnly(Flat):
    """It fails in training mode alone."""

    def forward(self, x):
        """Return logits."""
        return super().forward(x[:, :0] if self.training else x)


@pytest.mark.parametrize(
    ("module", "params", "message"),
    [
        (NormOfRows, {"batch_size": 1}, "more than 1 value per channel.* change `batch_size`"),
        (InPlace, {}, "modified by an inplace operation"),
        (Detached, {}, "does not require grad"),
        (InTrainingOnly, {}, "expected input.* to have 1 channels"),
    ],
)
@pytest.mark.parametrize("estimator", [CNNClassifier, CNNRegressor])
def test_a_step_that_fails_is_said_before_the_training(module, params, message, estimator, few):
    X, y = few
    target = y if estimator is CNNClassifier else np.linspace(0, 1, len(y))
    model = estimator(module, max_epochs=1, random_state=0, **params)
    with pytest.raises(
        ValueError,
        match=rf"A training step of the network {module.__name__} fails"
        rf"(?s:.*){message}",
    ):
        model.fit(X, target)


def test_a_network_that_wants_more_than_images_is_said_so(few):
    class Two(Flat):
        def forward(self, x, other):
            return super().forward(x)

    with pytest.raises(ValueError, match=r"The network 'Two' cannot read.* missing 1 required"):
        quick(Two).fit(*few)


def flattened(groups, lr, weight_decay):
    """Return an optimiser that takes a closure, and no groups."""
    return torch.optim.LBFGS([p for group in groups for p in group["params"]], lr=lr)


def test_an_optimiser_that_takes_a_closure_trains(few):
    X, y = few
    clf = quick(
        "linear",
        optimizer=flattened,
        batch_size=64,
        lr=1.0,
        lr_schedule="constant",
        augmentation=None,
        max_epochs=3,
    ).fit(X, y)
    assert clf.score(X, y) > 0.9


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (torch.optim.LBFGS, r"unexpected keyword argument 'weight_decay'.* Wrap one"),
        (torch.optim.SparseAdam, "unexpected keyword argument 'weight_decay'"),
        (flattened, "lr_schedule='one_cycle' sets the rate of each of the 2 groups"),
        (lambda groups, lr, weight_decay: None, "returned NoneType"),
    ],
)
def test_an_optimiser_that_cannot_be_built_is_said_before_the_training(optimizer, message, few):
    X, y = few
    with pytest.raises(ValueError, match=message):
        quick("simple_cnn", optimizer=optimizer).fit(X, y)
    with pytest.raises(ValueError, match=message):
        CNNRegressor(optimizer=optimizer, max_epochs=1).fit(X, np.linspace(0, 1, len(y)))
