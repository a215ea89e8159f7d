"""The rule that tells labels from numbers."""

import numpy as np
import pytest

from skimb._quantities import is_quantity


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.5, 1.0], True),
        ([1.0, 2.0], False),
        (range(20), False),
        (range(21), True),
        (np.arange(21.0), True),
        ([f"{i}" for i in range(50)], False),
        (np.arange(50).astype(object), False),
        ([True, False], False),
        (np.full(3, np.nan), False),
    ],
    ids=[
        "fractions",
        "whole floats",
        "20 whole numbers",
        "21 whole numbers",
        "21 whole floats",
        "text",
        "objects",
        "booleans",
        "missing",
    ],
)
def test_fractions_and_many_whole_numbers_are_a_quantity(values, expected):
    assert (
        is_quantity(np.asarray(list(values) if isinstance(values, range) else values)) is expected
    )
