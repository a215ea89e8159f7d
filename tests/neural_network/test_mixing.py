"""Augmentations that mix rows, and the labels that follow."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from skimb._engine._augmentation import build_augmentation
from skimb._engine._weighted_loss import WeightedLoss
from skimb.losses import CrossEntropyLoss
from skimb.neural_network import CNNClassifier, CutMix, FlipCrop, Mixup, Remix

MIXERS = [Mixup(), CutMix(), Remix()]
COUNTS = np.array([500, 50, 5])


@pytest.fixture
def batch():
    torch.manual_seed(0)
    return torch.rand(200, 2, 8, 6), torch.arange(200) % 3


@pytest.mark.slow
@pytest.mark.parametrize("mixer", [Mixup(alpha=0.4), Remix(kappa=1e9)])
def test_mixup_by_loops(mixer, batch):
    images, target = batch
    mixed, partner, share = mixer.mix(images, target, torch.tensor(COUNTS))
    for i in range(len(images)):
        own = share[i] * images[i] + (1 - share[i]) * images[partner[i]]
        torch.testing.assert_close(mixed[i], own)
    assert sorted(partner.tolist()) == list(range(200))
    assert 0 <= share.min() < 0.2 < 0.8 < share.max() <= 1


def test_cutmix_pastes_a_box_and_counts_its_pixels(batch):
    images, target = batch
    mixed, partner, share = CutMix().mix(images, target, torch.tensor(COUNTS))
    for i in range(len(images)):
        from_own = (mixed[i] == images[i]).all(dim=0)
        from_partner = (mixed[i] == images[partner[i]]).all(dim=0)
        assert (from_own | from_partner).all()
        if partner[i] != i:
            assert share[i].item() == pytest.approx(from_own.float().mean().item())
            rows, columns = (~from_own).any(dim=1), (~from_own).any(dim=0)
            # A rectangle: what was pasted is all of its rows and columns.
            assert (~from_own).sum() == rows.sum() * columns.sum()
    assert 0.3 < share.mean() < 0.9


def test_remix_golden():
    own = torch.tensor([500.0, 50, 500])
    other = torch.tensor([50.0, 500, 500])
    for share, golden in ((0.3, [0.0, 0.3, 0.3]), (0.7, [0.7, 1.0, 0.7])):
        found = Remix().label_share(torch.full((3,), share), own, other)
        torch.testing.assert_close(found, torch.tensor(golden))


@pytest.mark.parametrize("remix", [Remix(), Remix(alpha=0.3, tau=0.8), Remix(kappa=20.0)])
def test_the_labels_of_remix_have_the_shares_that_it_says(remix):
    rng = np.random.RandomState(0)
    shares = np.array([0.6, 0.3, 0.1])
    target = torch.from_numpy(rng.choice(3, p=shares, size=200_000))
    images = torch.zeros(len(target), 1, 1, 1)
    torch.manual_seed(0)
    _, partner, share = remix.mix(images, target, torch.tensor(COUNTS))
    mass = np.bincount(target, weights=share, minlength=3)
    mass += np.bincount(target[partner], weights=1 - share, minlength=3)
    expected = remix.label_shares(shares, COUNTS)
    assert expected.sum() == pytest.approx(1)
    np.testing.assert_allclose(mass / mass.sum(), expected, atol=5e-3)


def test_rows_of_two_labels_pay_for_both_by_their_shares():
    torch.manual_seed(0)
    logits = torch.randn(50, 3)
    target, partner = torch.randint(0, 3, (2, 50))
    weight, partner_weight, share = torch.rand(3, 50)
    loss = WeightedLoss(CrossEntropyLoss(reduction="none"))
    found = loss(logits, (target, weight, partner, partner_weight, share))
    total = 0.0
    for i in range(50):
        for y, w, s in (
            (target[i], weight[i], share[i]),
            (partner[i], partner_weight[i], 1 - share[i]),
        ):
            total += s * w * F.cross_entropy(logits[i : i + 1], y[None])
    torch.testing.assert_close(found, total / 50)


@pytest.mark.slow
@pytest.mark.parametrize("mixer", [*MIXERS, "mixup", "cutmix", "remix"])
def test_each_trains_the_same_again(mixer, small_digits):
    X, y = small_digits
    clf = CNNClassifier(augmentation=mixer, max_epochs=2, random_state=0)
    first = clf.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(first, clf.fit(X, y).predict_proba(X))
    plain = CNNClassifier(max_epochs=2, random_state=0).fit(X, y)
    assert np.abs(first - plain.predict_proba(X)).max() > 1e-3
    shift = np.abs(clf.effective_prior_ - plain.effective_prior_).max()
    # 20:1, so remix moves the labels towards the rare class; the others do not.
    assert (shift > 0.01) == ("remix" in str(mixer).lower())


def test_steps_in_a_list_follow_each_other(small_digits):
    X, y = small_digits
    clf = CNNClassifier(augmentation=["flip_crop", Mixup()], max_epochs=1, random_state=0)
    clf.fit(X, y)
    np.testing.assert_allclose(clf.predict_proba(X), clf.predict_proba(X[:, :, ::-1]), atol=1e-5)
    both = CNNClassifier(augmentation=[FlipCrop(flip=False), lambda x: x], max_epochs=1)
    both.fit(X, y)


def test_views_of_several_steps_are_all_combined():
    build = build_augmentation(
        [FlipCrop(), FlipCrop()],
        image_shape=(1, 1, 4),
        counts=COUNTS,
        device=torch.device("cpu"),
        rng=None,
    )
    assert build.views is not None
    images = torch.arange(4.0).expand(1, 1, 1, 4)
    views = [view.flatten().tolist() for view in build.views(images)]
    forth, back = [0, 1, 2, 3], [3, 2, 1, 0]
    assert views == [forth, back, back, forth]


@pytest.mark.slow
@given(alpha=st.floats(0.1, 5))
def test_global_generators_are_left_alone_by_a_fit(alpha):
    state = torch.get_rng_state()
    X, y = np.random.RandomState(0).rand(20, 4, 4), np.tile([0, 1], 10)
    CNNClassifier("linear", augmentation=Mixup(alpha=alpha), max_epochs=1).fit(X, y)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"augmentation": ["mixup", "flip_crop"]}, "in its last step"),
        ({"augmentation": ["mirror"]}, "must be one of"),
        ({"augmentation": Mixup(alpha=0)}, "alpha"),
        ({"augmentation": Remix(tau=2)}, "tau"),
        ({"augmentation": [Mixup]}, r"give Mixup\(\)"),
        ({"augmentation": "mixup", "loss": F.cross_entropy}, "cannot be weighted or mixed"),
    ],
)
def test_what_cannot_mix_is_refused_before_training(params, message, small_digits):
    with pytest.raises(ValueError, match=message):
        CNNClassifier(**params, max_epochs=1000).fit(*small_digits)
