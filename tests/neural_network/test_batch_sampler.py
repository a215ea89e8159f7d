"""Batches for a plain DataLoader: shares, ranks and seeds."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

from skimb.neural_network import BalancedBatchSampler

Y = np.repeat(["a", "b", "c"], [200, 60, 12])


@pytest.mark.parametrize(
    ("batch_sampling", "shares"),
    [
        ("balanced", [1 / 3, 1 / 3, 1 / 3]),
        (None, [200 / 272, 60 / 272, 12 / 272]),
        ("sqrt", np.sqrt([200, 60, 12]) / np.sqrt([200, 60, 12]).sum()),
        (0.5, 0.5 * np.array([200, 60, 12]) / 272 + 0.5 / 3),
    ],
)
def test_shares(batch_sampling, shares):
    sampler = BalancedBatchSampler(Y, batch_size=30, batch_sampling=batch_sampling, random_state=0)
    batches = list(sampler)
    assert len(batches) == len(sampler) == 10
    counts = np.array([[np.sum(Y[batch] == label) for label in "abc"] for batch in batches])
    assert counts.sum() == 272 if batch_sampling is None else counts.sum() == 300
    if batch_sampling is not None:
        assert np.abs(counts - 30 * np.array(shares)).max() < 1 + 1e-9
    np.testing.assert_allclose(counts.sum(axis=0) / counts.sum(), shares, atol=0.01)


@settings(deadline=None, max_examples=30)
@given(world_size=st.integers(1, 4), batch_size=st.integers(3, 20), seed=st.integers(0, 99))
def test_processes_share_one_batch(world_size, batch_size, seed):
    settings = {"batch_size": batch_size, "random_state": seed}
    dealt = [
        list(BalancedBatchSampler(Y, rank=rank, world_size=world_size, **settings))
        for rank in range(world_size)
    ]
    whole = list(BalancedBatchSampler(Y, batch_size=batch_size * world_size, random_state=seed))
    for batches, together in zip(zip(*dealt, strict=True), whole, strict=True):
        assert sorted(row for batch in batches for row in batch) == sorted(together)
        assert {len(batch) for batch in batches} == {batch_size}
        counts = np.array([[np.sum(Y[batch] == label) for label in "abc"] for batch in batches])
        assert np.ptp(counts, axis=0).max() <= 1


def test_epochs_differ_and_can_be_gone_to():
    sampler = BalancedBatchSampler(Y, batch_size=20, random_state=3)
    epochs = [list(sampler) for _ in range(3)]
    assert epochs[0] != epochs[1]
    resumed = BalancedBatchSampler(Y, batch_size=20, random_state=3)
    resumed.set_epoch(2)
    assert list(resumed) == epochs[2]


def test_progressive_ends_balanced():
    sampler = BalancedBatchSampler(
        Y, batch_size=30, batch_sampling="progressive", n_epochs=4, random_state=0
    )
    shares = [np.mean(Y[np.concatenate(list(sampler))] == "c") for _ in range(4)]
    assert shares[0] == pytest.approx(12 / 272, abs=0.01)
    assert shares[-1] == pytest.approx(1 / 3, abs=0.01)
    assert shares == sorted(shares)


def test_a_plain_loader_takes_it():
    data = TensorDataset(torch.arange(len(Y)), torch.tensor(Y == "c"))
    loader = DataLoader(data, batch_sampler=BalancedBatchSampler(Y, batch_size=24, random_state=0))
    rare = [is_rare.float().mean().item() for _, is_rare in loader]
    assert rare == pytest.approx([1 / 3] * len(loader))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"rank": 2, "world_size": 2}, r"`rank` must be in \[0, world_size\)"),
        ({"world_size": 2}, "must be an int, the same in each"),
        ({"batch_sampling": "even"}, "`batch_sampling` must be one of"),
        ({"batch_sampling": 1.5}, "`batch_sampling` must be one of"),
        ({"batch_size": 0}, "`batch_size` must be a positive int"),
        ({"n_epochs": 0.5}, "`n_epochs` must be a positive int"),
        ({"batch_size": 200, "world_size": 2, "random_state": 0}, "more than the 272 samples"),
    ],
)
def test_what_does_not_fit_is_refused(params, message):
    with pytest.raises(ValueError, match=message):
        BalancedBatchSampler(Y, **params)


def test_what_does_not_divide_is_left_out_of_any_class():
    y = np.repeat([0, 1], [990, 10])
    settings = {"batch_size": 32, "world_size": 4, "batch_sampling": None, "random_state": 0}
    samplers = [BalancedBatchSampler(y, rank=rank, **settings) for rank in range(4)]
    seen = [row for sampler in samplers for _ in range(10) for batch in sampler for row in batch]
    assert y[seen].mean() == pytest.approx(0.01, rel=0.2)
