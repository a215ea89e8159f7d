"""Samples that belong together, whatever the groups came as."""

import numpy as np
import pandas as pd
import pytest

from skimb._groups import (
    checked_groups,
    group_numbers,
    grouped_folds,
    groups_by_class,
    sample_groups,
)

GROUPS = np.repeat(np.arange(6), 4)


@pytest.fixture
def X():
    return np.random.RandomState(0).rand(len(GROUPS), 3, 3)


def test_equal_images_are_of_one_group_and_others_are_not():
    images = np.array([[[0, 1]], [[2, 3]], [[0, 1]]], np.uint8)
    assert sample_groups(images).tolist() == [0, 1, 0]
    assert sample_groups(np.array(["b.png", "a.png", "b.png"])).tolist() == [0, 1, 0]


def test_a_chain_of_equal_images_and_shared_groups_joins_samples():
    images = np.array([[0.0], [1.0], [1.0], [2.0], [3.0]])
    # The first two share a group, the second equals the third, which shares one with the fourth.
    assert sample_groups(images, np.array([5, 5, 6, 6, 7])).tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    "groups",
    [
        [f"p{i}" for i in GROUPS],
        [int(i) if i % 2 else f"p{i}" for i in GROUPS],
        pd.Series(GROUPS, index=GROUPS[::-1]).astype("category"),
        pd.DataFrame({"patient": GROUPS}),
    ],
    ids=["strings", "mixed", "category", "frame"],
)
def test_groups_in_any_container(groups, X):
    np.testing.assert_array_equal(checked_groups(X, groups), GROUPS)
    np.testing.assert_array_equal(group_numbers(groups, X), GROUPS)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (GROUPS[:-1], "inconsistent numbers of samples"),
        (np.where(GROUPS > 3, np.nan, 1.0), "`groups` has missing values"),
        ([f"p{i}" if i else float("nan") for i in GROUPS], "`groups` has missing values"),
        (
            np.column_stack([GROUPS, GROUPS]),
            r"`groups` must hold one value for each sample\. Got shape \(24, 2\)",
        ),
    ],
    ids=["short", "missing", "missing text", "two columns"],
)
def test_groups_that_do_not_fit_are_refused(groups, message, X):
    with pytest.raises(ValueError, match=message):
        checked_groups(X, groups)


def test_folds_keep_groups_whole_and_hold_every_class():
    y = GROUPS % 2
    for train, test in grouped_folds(y, GROUPS, 3, 0) or []:
        assert not set(GROUPS[train]) & set(GROUPS[test])
        assert set(y[test]) == {0, 1}
    assert groups_by_class(y, GROUPS, [0, 1]).tolist() == [3, 3]
    # All samples of a class in one group cannot be on both sides.
    assert grouped_folds(GROUPS == 0, GROUPS, 2, 0) is None
