"""Imbalanced data, against the published counts."""

import numpy as np
import pytest

from skimb.class_weight import class_counts
from skimb.datasets import load_imbalanced_digits, make_long_tailed, make_variance_images


@pytest.mark.parametrize(
    ("ratio", "golden"),
    [
        (200, [5000, 2775, 1540, 854, 474, 263, 146, 81, 45, 25]),
        (100, [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]),
        (50, [5000, 3237, 2096, 1357, 878, 568, 368, 238, 154, 100]),
        (10, [5000, 3871, 2997, 2320, 1796, 1391, 1077, 834, 645, 500]),
    ],
)
def test_published_counts_of_long_tailed_cifar(ratio, golden):
    y = np.repeat(np.arange(10), 5000)
    _, y_tail = make_long_tailed(y, y, ratio=ratio, random_state=0)
    np.testing.assert_array_equal(np.bincount(y_tail), golden)


@pytest.mark.parametrize(("ratio", "total"), [(10, 19573), (50, 12608), (100, 10847), (200, 9502)])
def test_published_totals_of_a_hundred_classes(ratio, total):
    y = np.repeat(np.arange(100), 500)
    assert len(make_long_tailed(y, y, ratio=ratio, random_state=0)[1]) == total


def test_step_keeps_every_class_when_their_number_is_odd():
    y = np.repeat(list("abcde"), 100)
    _, y_step = make_long_tailed(y, y, ratio=10, profile="step", random_state=0)
    assert class_counts(y_step) == {"a": 100, "b": 100, "c": 100, "d": 10, "e": 10}


def test_classes_of_unequal_size_keep_the_ratio():
    y = np.repeat([0, 1], [1000, 20])
    _, kept = make_long_tailed(y, y, ratio=10, random_state=0)
    assert class_counts(kept) == {0: 200, 1: 20}


def test_rows_keep_their_order_and_their_labels():
    X = np.arange(300)
    y = np.tile([0, 1, 2], 100)
    X_tail, y_tail = make_long_tailed(X, y, ratio=5, random_state=0)
    assert np.all(np.diff(X_tail) > 0)
    np.testing.assert_array_equal(y_tail, X_tail % 3)
    again = make_long_tailed(X, y, ratio=5, random_state=0)[0]
    np.testing.assert_array_equal(X_tail, again)
    assert not np.array_equal(X_tail, make_long_tailed(X, y, ratio=5, random_state=1)[0])


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"ratio": 0.5}, "`ratio` must be a number of at least 1"),
        ({"ratio": 10, "profile": "linear"}, "'exp' or 'step'"),
        ({"ratio": 1000}, "without a sample"),
    ],
)
def test_errors(kwargs, message):
    y = np.repeat([0, 1], 100)
    with pytest.raises(ValueError, match=message):
        make_long_tailed(y, y, **kwargs)


def test_digits():
    digits = load_imbalanced_digits(minority=3, ratio=10)
    assert digits.data.dtype == np.uint8
    assert digits.data.shape[1:] == (8, 8)
    assert digits.target_names == ["rest", "3"]
    n_rest, n_minority = np.bincount(digits.target)
    assert n_minority == n_rest // 10


def test_digits_of_ten_classes_are_long_tailed():
    _, y = load_imbalanced_digits(return_X_y=True, multiclass=True)
    counts = np.bincount(y)
    assert len(counts) == 10
    assert np.all(np.diff(counts) < 0)
    assert counts[-1] == counts[0] // 50


def test_digits_refuse_a_minority_that_is_no_digit():
    with pytest.raises(ValueError, match="digit from 0 to 9"):
        load_imbalanced_digits(minority=10)


# ------------------------------------------------------------------------ images of noise


@pytest.mark.parametrize(
    ("distribution", "low", "high", "mean", "sd"),
    [
        ("uniform", 1, 10, 5.5, 9 / 12**0.5),
        ("truncated", 1, 5, 3.0, 4 / 12**0.5),
        ("normal", 0, 11, 5.5, 1.0),
    ],
)
def test_the_spread_of_the_noise_is_the_target(distribution, low, high, mean, sd):
    X, y = make_variance_images(4000, distribution=distribution, side=8, random_state=0)
    assert X.dtype == np.float32
    assert low <= y.min() <= y.max() <= high
    assert y.mean() == pytest.approx(mean, abs=0.1)
    assert y.std() == pytest.approx(sd, abs=0.1)
    relative = X / y[:, None, None]
    assert relative.mean() == pytest.approx(0, abs=0.01)
    assert relative.std() == pytest.approx(1, abs=0.01)
    again, _ = make_variance_images(4000, distribution=distribution, side=8, random_state=0)
    np.testing.assert_array_equal(again, X)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"distribution": "poisson"}, "`distribution` must be one of"),
        ({"n_samples": 0}, "`n_samples` must be a positive int"),
        ({"side": 2.5}, "`side` must be a positive int"),
    ],
)
def test_noise_that_cannot_be_made_is_refused(params, message):
    with pytest.raises(ValueError, match=message):
        make_variance_images(**params)
