"""DeepSMOTE: images of a class, between the codes of two of its images."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from skimb._networks._auto_encoder import AutoEncoder
from skimb.neural_network import CNNClassifier, DeepSMOTE


@pytest.fixture(scope="module")
def fitted(digits):
    X, _, y, _ = digits
    sampler = DeepSMOTE(n_latent=32, max_epochs=40, lr=3e-3, random_state=0)
    return sampler, X, y, *sampler.fit_resample(X, y)


@pytest.mark.slow
def test_it_learns(fitted):
    sampler, *_ = fitted
    assert len(sampler.losses_) == 40
    assert sampler.losses_[-1] < 0.1 * sampler.losses_[0]


@pytest.mark.slow
def test_what_it_makes_looks_like_the_class(fitted):
    _, X, y, X_res, _ = fitted
    made = X_res[len(X) :]
    judge = LogisticRegression(max_iter=5000, class_weight="balanced")
    judge.fit(X.reshape(len(X), -1), y)
    found = [
        (judge.predict(rows.reshape(len(rows), -1)) == "eight").mean()
        for rows in (made, X[y == "eight"])
    ]
    assert found[0] > 0.9 * found[1]
    assert made.min() >= X.min()
    assert made.max() <= X.max()
    # And each is a picture of its own.
    assert len(np.unique(made, axis=0)) > 0.9 * len(made)


@pytest.mark.slow
def test_a_row_is_the_image_of_a_code_between_its_parents(fitted):
    sampler, X, _, X_res, _ = fitted
    first, second = sampler.parents_[5]
    scale = X.max() / 2
    read = torch.tensor(X[[first, second], None] / scale - 1, dtype=torch.float32)
    with torch.no_grad():
        codes = sampler.module_.encode(read)
        code = codes[:1] + sampler.gaps_[5] * (codes[1:] - codes[:1])
        image = (sampler.module_.decode(code.float())[0, 0].numpy() + 1) * scale
    assert np.abs(X_res[len(X) + 5] - image).max() <= 0.51


@pytest.mark.slow
def test_neighbours_are_sought_among_codes(fitted):
    sampler, X, y, *_ = fitted
    rows = np.flatnonzero(y == "eight")
    read = torch.tensor(X[rows, None] / (X.max() / 2) - 1, dtype=torch.float32)
    with torch.no_grad():
        codes = sampler.module_.encode(read).numpy()
    distance = np.linalg.norm(codes[:, None] - codes[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    near = {int(a): set(rows[np.argsort(d)[:6]]) for a, d in zip(rows, distance, strict=True)}
    hits = [second in near[int(first)] for first, second in sampler.parents_]
    assert np.mean(hits) > 0.99


@pytest.mark.parametrize(
    "image_shape",
    [(1, 1, 7), (1, 4, 4), (3, 8, 8), (1, 28, 28), (3, 33, 20), (2, 5, 64), (32, 9, 9)],
)
def test_the_auto_encoder_fits_itself_to_the_image(image_shape):
    net = AutoEncoder(image_shape, 6)
    images = torch.rand(2, *image_shape) * 2 - 1
    assert net.encode(images).shape == (2, 6)
    made = net(images)
    assert made.shape == images.shape
    assert made.abs().max() <= 1


def test_layouts_make_no_difference():
    rng = np.random.RandomState(0)
    X = rng.randint(0, 256, size=(60, 3, 8, 8)).astype(np.uint8)
    y = np.repeat([0, 1], [40, 20])
    sampler = DeepSMOTE(n_latent=8, max_epochs=1, random_state=0)
    first, _ = sampler.fit_resample(X, y)
    last, _ = clone(sampler).fit_resample(np.moveaxis(X, 1, 3), y)
    np.testing.assert_array_equal(first, np.moveaxis(last, 3, 1))
    flat = clone(sampler).set_params(image_shape=(3, 8, 8))
    np.testing.assert_array_equal(
        flat.fit_resample(X.reshape(60, -1), y)[0].reshape(-1, 3, 8, 8), first
    )


def test_as_a_sampler_of_the_classifier(small_digits):
    X, y = small_digits
    clf = CNNClassifier(
        sampler=DeepSMOTE(n_latent=8, max_epochs=2),
        early_stopping=True,
        max_epochs=2,
        random_state=0,
    )
    proba = clf.fit(X, y, sample_weight=np.linspace(1, 2, len(y))).predict_proba(X)
    np.testing.assert_array_equal(
        clone(clf).fit(X, y, np.linspace(1, 2, len(y))).predict_proba(X), proba
    )
    assert len(clf.validation_indices_) > 0


def test_an_auto_encoder_that_diverges_is_an_error():
    X = np.random.RandomState(0).rand(40, 6, 6).astype(np.float32)
    with pytest.raises(ValueError, match="The auto-encoder diverged"):
        DeepSMOTE(lr=1e30, max_epochs=2, random_state=0).fit_resample(
            X, np.repeat([0, 1], [30, 10])
        )
