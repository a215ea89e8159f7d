"""The rule that tells labels from numbers."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from skimb._quantities import is_quantity
from skimb.ensemble import ReBaggRegressor
from skimb.metrics import balanced_mean_absolute_error
from skimb.model_selection import ConformalRegressor, SpreadCorrectedRegressor
from skimb.neural_network import CNNRegressor
from skimb.over_sampling import SMOTER
from skimb.relevance import LabelDensity, Relevance


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


READERS = {
    "CNNRegressor": CNNRegressor("linear", max_epochs=1).fit,
    "partial_fit": CNNRegressor("linear").partial_fit,
    "ConformalRegressor": ConformalRegressor(Ridge()).fit,
    "SpreadCorrectedRegressor": SpreadCorrectedRegressor(Ridge()).fit,
    "ReBaggRegressor": ReBaggRegressor(Ridge()).fit,
    "SMOTER": SMOTER().fit_resample,
    "LabelDensity": lambda X, y: LabelDensity().fit(y),
    "Relevance": lambda X, y: Relevance().fit(y),
    "a metric": lambda X, y: balanced_mean_absolute_error(y, y),
}


@pytest.mark.parametrize("kind", ["M8[s]", "m8[D]"])
@pytest.mark.parametrize("container", [np.asarray, pd.Series])
@pytest.mark.parametrize("reader", READERS)
def test_times_are_no_numbers(reader, container, kind):
    X = np.random.RandomState(0).rand(60, 4)
    with pytest.raises(ValueError, match=r"must hold numbers\. It holds times, of dtype"):
        READERS[reader](X, container(np.arange(60).astype(kind)))
