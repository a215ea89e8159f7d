"""Class counts and weights, against the golden numbers of the papers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight as of_scikit_learn

from skimb.class_weight import class_counts, class_prior, compute_class_weight

COUNTS = {"a": 500, "b": 50, "c": 5}
Y = np.repeat(list(COUNTS), list(COUNTS.values()))


def weights(scheme, **kwargs):
    return compute_class_weight(scheme, classes=list(COUNTS), y=Y, **kwargs)


def test_counts_and_prior():
    assert class_counts(Y) == COUNTS
    assert class_counts([True, False, True]) == {False: 1, True: 2}
    np.testing.assert_allclose(list(class_prior(Y).values()), np.array([500, 50, 5]) / 555)


def test_balanced():
    np.testing.assert_allclose(weights("balanced"), [0.37, 3.7, 37.0])
    y = ["cat"] * 1000 + ["dog"] * 11000
    np.testing.assert_allclose(
        compute_class_weight("balanced", classes=["cat", "dog"], y=y), [6.0, 0.545454545]
    )


@pytest.mark.parametrize(
    ("beta", "golden"),
    [
        (0.0, [1.0, 1.0, 1.0]),
        (0.9, [0.6745933963, 0.67808811, 1.6473184936]),
        (0.99, [0.1261298833, 0.3172229713, 2.5566471454]),
        (0.999, [0.0341107737, 0.2751694151, 2.6907198111]),
        (0.9999, [0.0276895996, 0.2707630216, 2.7015473788]),
    ],
)
def test_effective_number(beta, golden):
    np.testing.assert_allclose(weights("effective", beta=beta), golden, rtol=1e-7)


def test_square_root_has_mean_one_over_the_rows():
    weight = weights("sqrt")
    np.testing.assert_allclose(weight / weight[0], [1, np.sqrt(10), 10])
    assert weight @ list(COUNTS.values()) / len(Y) == pytest.approx(1)


def test_none_and_dict():
    np.testing.assert_array_equal(weights(None), 1)
    np.testing.assert_array_equal(weights({"b": 2, "a": 1, "c": 3}), [1, 2, 3])


@given(st.lists(st.integers(1, 5), min_size=2, max_size=100).filter(lambda y: len(set(y)) > 1))
def test_balanced_is_scikit_learns(y):
    classes = np.unique(y)
    np.testing.assert_allclose(
        compute_class_weight("balanced", classes=classes, y=y),
        of_scikit_learn("balanced", classes=classes, y=np.array(y)),
    )


@pytest.mark.parametrize(
    ("scheme", "message"),
    [
        ("inverse", "must be None, a dict by label or one of"),
        ({"a": 1, "b": 1}, r"no entry for \['c'\]. Labels seen in y: \['a', 'b', 'c'\]"),
        ({"a": -1, "b": 1, "c": 1}, "not negative"),
        ({"a": np.nan, "b": 1, "c": 1}, "finite"),
    ],
)
def test_errors(scheme, message):
    with pytest.raises(ValueError, match=message):
        weights(scheme)


def test_a_scheme_needs_every_class():
    with pytest.raises(ValueError, match=r"y has none of \['z'\]"):
        compute_class_weight("balanced", classes=["a", "z"], y=["a", "a"])
    with pytest.raises(ValueError, match="beta"):
        weights("effective", beta=1.0)
