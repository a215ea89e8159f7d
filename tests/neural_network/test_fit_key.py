"""The digest of all that decides the result of a training."""

import functools
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from skimb._engine import digest_of
from skimb.losses import FocalLoss

SCRIPT = """
import functools
import numpy as np
import torch
from imblearn.over_sampling import SMOTE
from skimb._engine import digest_of
from skimb.losses import FocalLoss
from skimb.neural_network import FlipCrop

class Step:
    def __init__(self, strength):
        self.strength, self.known = strength, {"one", "two", "three"}
    def __call__(self, images):
        return images * self.strength

def scaled(factor):
    return lambda logits: logits * factor if factor in {"a", "b", 3} else None

torch.manual_seed(0)
values = [
    1, 2.5, float("nan"), "text", None, b"bytes", np.arange(6).reshape(2, 3).T, ("a", {"b": [1]}),
    {"x", "y", "z"}, Step(3), Step, scaled(3), functools.partial(scaled, factor=2), np.exp, np.mean,
    SMOTE(k_neighbors=2), FocalLoss(gamma=1.0), FlipCrop(), torch.nn.Linear(3, 2), torch.optim.Adam,
    np.random.RandomState(3), np.random.default_rng(3), torch.Generator().manual_seed(1),
    np.array(["a", "b"]), np.array(["a", 1], dtype=object), slice(3), np.float32(2), print,
]
print([digest_of(value).hex() for value in values])
"""


@pytest.mark.exhaustive
@pytest.mark.slow
def test_digests_are_equal_in_every_process_and_distinct():
    printed = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        for seed in ("1", "2")
    ]
    assert printed[0] == printed[1]
    digests = printed[0].split(",")
    assert len(set(digests)) == len(digests) == 28


def multiplied(factor):
    return lambda images: images * factor


def shifted(images, by=1):
    return images + by


class Holder:
    def __init__(self, value):
        self.value = value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        ("1", 1),
        ([1, [2]], [[1], 2]),
        ({"a": 1}, {"a": 2}),
        (np.arange(4), np.arange(4).reshape(2, 2)),
        (np.arange(4), np.arange(4).astype(np.int32)),
        (np.zeros(3, dtype=">f8"), np.zeros(3, dtype="<f8")),
        (torch.zeros(2), torch.zeros(2, requires_grad=True)),
        (torch.zeros(2), torch.zeros(2, dtype=torch.bfloat16)),
        (FocalLoss(gamma=1.0), FocalLoss(gamma=2.0)),
        (multiplied(1), multiplied(2)),
        (shifted, functools.partial(shifted, by=2)),
        (lambda images: images + 1, lambda images: images - 1),
        (lambda images: images + 1, lambda images: images + 2),
        (Holder(1), Holder(2)),
        (Holder([Holder(1)]), Holder([Holder(2)])),
        (np.exp, np.log),
        (np.random.RandomState(0), np.random.RandomState(1)),
        (torch.nn.ReLU(), torch.nn.GELU()),
        (torch.optim.Adam, torch.optim.AdamW),
    ],
    ids=map(str, range(21)),
)
def test_values_that_differ_have_other_digests(one, other):
    assert digest_of(one) == digest_of(one)
    assert digest_of(one) != digest_of(other)


def test_an_object_that_holds_itself_has_a_digest():
    one, other = Holder([]), Holder([])
    one.value.append(one)
    other.value.append(other)
    assert digest_of(one) == digest_of(other)


def test_the_order_in_memory_and_the_identity_do_not_count():
    array = np.arange(12.0).reshape(3, 4)
    assert digest_of(array) == digest_of(np.asfortranarray(array))
    assert digest_of([array, array]) == digest_of([array, array.copy()])
    large = np.arange(5_000_000, dtype=np.float32).reshape(5000, 1000)
    assert digest_of(large) == digest_of(large.T.copy().T)
