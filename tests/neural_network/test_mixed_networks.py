"""Batches of images with rows of a table, the networks that read them, and their keys."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from skimb._engine import Standardized
from skimb._engine._augmentation import Augmentation
from skimb._engine._fit_key import digest_of_images
from skimb._engine._mixed_batch import MixedBatch
from skimb._frame_images import FrameImages
from skimb._image_source import ArrayImages
from skimb._networks import TableShape
from skimb._networks._linear import CosineLinear
from skimb._networks._mixed_network import beside_table
from skimb._table_columns import TableEncoder
from skimb.neural_network import Mixup

# ------------------------------------------------------------------------------- mixed samples


def test_rows_are_mixed_with_their_partners_in_the_proportion_of_the_labels():
    table = torch.tensor([[0.0, 10.0], [4.0, 20.0], [8.0, 60.0]])
    batch = MixedBatch(torch.zeros(3, 1, 2, 2), table, 1)
    images, fraction = torch.ones(3, 1, 2, 2), torch.tensor([1.0, 0.75, 0.5])
    mixed = batch.mixed(images, torch.tensor([2, 0, 1]), fraction)
    # By hand: 3/4 of row 1 with 1/4 of row 0, and a half each of rows 2 and 1.
    np.testing.assert_allclose(mixed.table, [[0, 10], [3, 17.5], [6, 40]])
    assert mixed.images is images


def test_mixup_mixes_images_rows_and_labels_with_one_partner_in_one_proportion():
    n = 16
    target = torch.arange(n)
    numbers = target.float()
    # Images and rows have the number of their sample.
    images = numbers[:, None, None, None].expand(n, 1, 2, 2).contiguous()
    batch = MixedBatch(images, torch.stack([numbers, 100 + numbers], dim=1), 1)
    augmentation = Augmentation([Mixup()], counts=torch.ones(n), value_range=(0.0, float(n)))
    torch.manual_seed(0)
    made, labels = augmentation(batch, target, torch.ones(n))
    own, _, partners, _, fraction = [*labels]
    expected = fraction * own + (1 - fraction) * partners
    assert (expected - numbers).abs().max() > 1
    np.testing.assert_allclose(made.table[:, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(made.table[:, 1], 100 + expected, rtol=1e-5)
    np.testing.assert_allclose(made.images[:, 0, 0, 0], expected, rtol=1e-5)


# ------------------------------------------------------------------- test-time augmentation


class Sums(nn.Module):
    """A network whose logit is the first pixel and the sum of the row."""

    def forward(self, images, table):
        return images[:, 0, 0, :1] + table.sum(1, keepdim=True)


@pytest.mark.parametrize("n_images", [1, 2])
def test_each_view_of_an_image_stands_beside_the_row_of_its_sample(n_images):
    model = Standardized(Sums(), views=lambda images: [images, images.flip(3)]).eval()
    images = torch.arange(3 * 4.0 * n_images).reshape(3, 1, 2 * n_images, 2)
    batch = MixedBatch(images, torch.tensor([[0.0], [100.0], [10_000.0]]), n_images)
    together = model(batch)
    alone = torch.cat([model(part) for part in batch.split(1)])
    np.testing.assert_array_equal(together, alone)
    # By hand: the mean of the first row of pixels, and the row of the table.
    expected = images[:, 0, 0].mean(1, keepdim=True) + batch.table
    np.testing.assert_allclose(together, expected)


# ------------------------------------------------------------- a network of images gets a table


def image_network(head):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), head(5, 3))


def with_silent_table(net, n_images, pooling):
    """Return the network with a table that its head does not listen to."""
    shape = TableShape(n_images=n_images, n_numbers=2, n_levels=(3,), pooling=pooling, width=4)
    made = beside_table(
        copy.deepcopy(net), shape, image_shape=(1, 4, 3), device=torch.device("cpu")
    )
    n_before = 5 * (n_images if pooling == "concat" else 1)
    assert made.head.in_features == n_before + 4
    with torch.no_grad():
        made.head.weight[:, n_before:] = 0
    return made.eval()


@pytest.mark.parametrize("pooling", ["mean", "concat"])
@pytest.mark.parametrize("n_images", [1, 2, 4])
def test_a_network_begins_with_the_mean_of_the_logits_of_the_images(n_images, pooling):
    net = image_network(nn.Linear)
    made = with_silent_table(net, n_images, pooling)
    images, table = torch.randn(6, n_images, 1, 4, 3), torch.randn(6, 5)
    expected = torch.stack([net(images[:, place]) for place in range(n_images)]).mean(0)
    below = images.movedim(1, 2).flatten(2, 3)
    np.testing.assert_allclose(made(below, table).detach(), expected.detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("head", [nn.Linear, CosineLinear])
@pytest.mark.parametrize("pooling", ["mean", "concat"])
@pytest.mark.parametrize("n_images", [1, 3])
def test_equal_images_have_the_logits_of_the_network_of_one_image(n_images, pooling, head):
    net = image_network(head)
    made = with_silent_table(net, n_images, pooling)
    with torch.no_grad():
        for parameter in made.table.parameters():
            parameter.zero_()
    images, table = torch.randn(6, 1, 4, 3), torch.randn(6, 5)
    expected = net(images).detach()
    logits = made(images.repeat(1, 1, n_images, 1), table).detach()
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-6)
    # The network is probed by one image, without a table.
    np.testing.assert_allclose(made(images).detach(), expected, rtol=1e-4, atol=1e-6)


# ------------------------------------------------------------------------- keys of checkpoints


class Unread(ArrayImages):
    """Images that are read on demand, and have numbers as their marks."""

    is_in_memory = False

    def marks(self):
        yield from (bytes([number]) for number in range(len(self)))


@pytest.mark.parametrize("kind", [ArrayImages, Unread])
@pytest.mark.parametrize("column", ["number", "name"])
def test_the_key_of_a_training_changes_if_one_value_of_a_column_does(kind, column):
    frame = pd.DataFrame({"number": [1.0, 2.0, 3.0, 4.0], "name": ["a", "b", "a", "b"]})
    encoder = TableEncoder().fit(frame)
    other = frame.copy()
    other.loc[2, column] = {"number": 2.0, "name": "b"}[column]

    def key(columns):
        images = kind(np.zeros((4, 2, 2, 1), dtype=np.uint8))
        given = columns.assign(image=0)
        return digest_of_images(FrameImages(images, given, "image").encoded(encoder))

    assert key(frame) == key(frame.copy()) != key(other)
