"""Lazy results, and what follows the rows."""

from typing import Any

import imblearn.over_sampling
import imblearn.pipeline
import imblearn.under_sampling
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_images import images
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from skimb.class_weight import class_counts
from skimb.over_sampling import (
    SMOTE,
    RandomOverSampler,
    apply_plan,
)
from skimb.under_sampling import ClusterUnderSampler, RandomUnderSampler

# ------------------------------------------------------------------------- lazy results


@pytest.mark.parametrize("sampler", [RandomOverSampler, RandomUnderSampler, SMOTE])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_a_view_stands_for_the_array(sampler, dtype):
    X, y = images(dtype=dtype)
    eager, y_eager = sampler(random_state=0).fit_resample(X, y)
    view, y_view = sampler(random_state=0, lazy=True).fit_resample(X, y)
    np.testing.assert_array_equal(y_view, y_eager)
    assert (view.shape, view.ndim, view.dtype, len(view)) == (
        eager.shape,
        eager.ndim,
        eager.dtype,
        len(eager),
    )
    assert "shape=" in repr(view)
    np.testing.assert_array_equal(view, eager)
    assert np.asarray(view, dtype=np.float64).dtype == np.float64
    rows = np.random.RandomState(0).permutation(len(view))[:7]
    for key in (slice(2, 40, 3), rows, rows.tolist(), y_view == "few", (rows, ...), -1, (0, 1)):
        np.testing.assert_array_equal(view[key], eager[key])
    np.testing.assert_array_equal(view[rows, 2:, 1], eager[rows, 2:, 1])
    np.testing.assert_array_equal(list(view), eager)
    np.testing.assert_array_equal(_safe_indexing(view, rows), eager[rows])
    assert not isinstance(view[rows], np.ndarray)
    with pytest.raises(ValueError, match="A view computes"):
        np.array(view, copy=False)


def test_blocks_do_not_show(monkeypatch):
    X, y = images()
    view, _ = SMOTE(random_state=0, lazy=True).fit_resample(X, y)
    expected = np.asarray(view)
    monkeypatch.setattr("skimb._lazy_rows.VALUES_AT_ONCE", 70)
    np.testing.assert_array_equal(view, expected)


def test_a_view_of_a_view_knows_its_ancestors():
    X, y = images()
    steps = [
        RandomUnderSampler(sampling_strategy={"many": 30}, random_state=0, lazy=True),
        SMOTE(random_state=1, lazy=True),
        RandomOverSampler(sampling_strategy={"many": 50}, random_state=2, lazy=True),
        SMOTE(random_state=3, lazy=True),
    ]
    eager, y_eager = X, y
    lazy: Any = X
    y_lazy = y
    rows: list[Any] = [{row} for row in range(len(X))]
    for step in steps:
        lazy, y_lazy = step.fit_resample(lazy, y_lazy)
        eager, y_eager = clone(step).set_params(lazy=False).fit_resample(eager, y_eager)
        if isinstance(step, SMOTE):
            rows += [rows[first] | rows[second] for first, second in step.parents_]
        else:
            rows = [rows[row] for row in step.sample_indices_]
    np.testing.assert_array_equal(lazy, eager)
    np.testing.assert_array_equal(y_lazy, y_eager)
    ancestry = lazy.ancestry()
    assert ancestry.shape == (len(lazy), len(X))
    assert [set(ancestry[[row]].indices) for row in range(len(lazy))] == rows
    assert max(map(len, rows)) > 2
    # Without lazy, what comes out is an array again.
    assert isinstance(RandomOverSampler().fit_resample(lazy, y_lazy)[0], np.ndarray)
    assert isinstance(SMOTE().fit_resample(lazy[:70], y_lazy[:70])[0], np.ndarray)


def test_lists_and_frames_come_back_as_they_are():
    X, y = images(shape=(3,))
    for sampler in (RandomOverSampler, RandomUnderSampler):
        for rows in (X.tolist(), pd.DataFrame(X)):
            eager, _ = sampler(random_state=0).fit_resample(rows, y)
            lazy, _ = sampler(random_state=0, lazy=True).fit_resample(rows, y)
            assert type(lazy) is type(rows)
            np.testing.assert_array_equal(lazy, eager)


def test_what_is_made_of_a_list_or_frame_has_no_view():
    X, y = images(shape=(3,))
    for rows in (X.tolist(), pd.DataFrame(X)):
        with pytest.raises(ValueError, match="takes arrays and tensors, but X is a"):
            SMOTE(lazy=True).fit_resample(rows, y)


def test_paths_are_chosen_at_once():
    paths = np.array([f"{i}.png" for i in range(20)])
    chosen, _ = RandomOverSampler(lazy=True).fit_resample(paths, np.repeat([0, 1], [15, 5]))
    assert isinstance(chosen, np.ndarray)


def test_nothing_and_everything_of_a_view():
    X, y = images()
    view, _ = SMOTE(lazy=True, random_state=0).fit_resample(X, y)
    assert view[[]].shape == (0, 6, 5)
    assert np.asarray(view[[]]).shape == (0, 6, 5)
    np.testing.assert_array_equal(view[...], view)


def test_sparse_matrices_have_no_view():
    X, y = images(shape=(3,), dtype=np.float64)
    with pytest.raises(ValueError, match="X is a sparse matrix"):
        SMOTE(lazy=True).fit_resample(sparse.csr_array(X), y)


# ------------------------------------------------------------------------- tensors


@pytest.mark.parametrize("sampler", [RandomOverSampler, RandomUnderSampler, SMOTE])
def test_tensors_come_back_as_tensors(sampler):
    X, y = images(n=40, shape=(3, 6, 5))
    target = (y == "few").astype(int)
    expected, y_expected = sampler(random_state=0).fit_resample(X, target)
    X_res, y_res = sampler(random_state=0).fit_resample(torch.tensor(X), torch.tensor(target))
    assert isinstance(X_res, torch.Tensor)
    assert X_res.dtype == torch.uint8
    np.testing.assert_array_equal(X_res, expected)
    assert isinstance(y_res, torch.Tensor)
    np.testing.assert_array_equal(y_res, y_expected)


# ------------------------------------------------------------------------- further arrays


def test_weights_groups_and_tables_follow_the_rows():
    X, y = images(n=40)
    smote = SMOTE(random_state=0)
    smote.fit_resample(X, y)
    first, second = smote.parents_.T
    weight, group = np.linspace(1, 5, 40), np.arange(40) // 2
    table = pd.DataFrame(
        {"age": weight, "site": group, "name": [f"r{i}" for i in range(40)]},
        index=np.arange(40) * 3,
    )
    between = weight[first] + smote.gaps_ * (weight[second] - weight[first])
    np.testing.assert_allclose(apply_plan(smote, weight), np.r_[weight, between])
    np.testing.assert_array_equal(apply_plan(smote, group), np.r_[group, group[first]])
    followed = apply_plan(smote, table)
    np.testing.assert_allclose(followed["age"], np.r_[weight, between])
    np.testing.assert_array_equal(followed["site"], np.r_[group, group[first]])
    assert followed["name"].tolist() == [f"r{i}" for i in np.r_[np.arange(40), first]]
    assert list(followed.columns) == ["age", "site", "name"]
    np.testing.assert_allclose(apply_plan(smote, table["age"]), np.r_[weight, between])
    nullable = apply_plan(smote, pd.Series(weight, dtype="Float64"))
    assert nullable.dtype == "Float64"
    np.testing.assert_allclose(nullable.to_numpy(), np.r_[weight, between])
    assert apply_plan(smote, np.ones((40, 2, 3))).shape == (len(first) + 40, 2, 3)


def test_several_samplers_in_turn():
    X, y = images(n=60)
    steps = [
        RandomUnderSampler(sampling_strategy={"many": 30}, random_state=0),
        SMOTE(random_state=0),
    ]
    rows, labels = X, y
    for step in steps:
        rows, labels = step.fit_resample(rows, labels)
    brightness = X.mean(axis=(1, 2))
    followed = apply_plan(steps, brightness)
    np.testing.assert_allclose(followed, rows.mean(axis=(1, 2)), atol=0.6)
    pipeline = imblearn.pipeline.Pipeline([("under", steps[0]), ("smote", steps[1])])
    np.testing.assert_array_equal(apply_plan(pipeline, brightness), followed)


def test_what_cannot_follow_is_refused():
    X, y = images(n=40)
    smote = SMOTE(random_state=0)
    with pytest.raises(ValueError, match="Call `fit_resample` first"):
        apply_plan(smote, y)
    smote.fit_resample(X, y)
    with pytest.raises(ValueError, match=r"each sample that SMOTE got: 40\. Got 39"):
        apply_plan(smote, y[:-1])
    under = RandomUnderSampler(random_state=0)
    under.fit_resample(X, y)
    with pytest.raises(ValueError, match=r"that RandomUnderSampler got: 40\. Got 20"):
        apply_plan(under, y[:20])
    theirs = imblearn.under_sampling.RandomUnderSampler(random_state=0)
    theirs.fit_resample(X.reshape(40, -1), y)
    with pytest.raises(ValueError, match=r"at least 40\. Got 20"):
        apply_plan(theirs, y[:20])


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 500))
def test_rows_in_another_order_give_the_same_classes(seed):
    """Selectors look at rows, not at where they stand: counts stay, and every row is one of X."""
    rng = np.random.RandomState(seed)
    X, y = images(n=50, seed=seed)
    order = rng.permutation(50)
    for sampler in (RandomOverSampler, RandomUnderSampler, SMOTE, ClusterUnderSampler):
        counts = class_counts(sampler(random_state=seed).fit_resample(X, y)[1])
        X_moved, y_moved = sampler(random_state=seed).fit_resample(X[order], y[order])
        assert class_counts(y_moved) == counts
        if sampler is not SMOTE:
            known = {row.tobytes() for row in X}
            assert all(row.tobytes() in known for row in X_moved)
