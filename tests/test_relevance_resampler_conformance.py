"""scikit-learn's own exam for every resampler of continuous targets."""

from functools import partial

import numpy as np
import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from skimb.over_sampling import (
    SMOGN,
    SMOTER,
    GaussianNoiseOverSampler,
    RelevanceOverSampler,
    RelevanceSampler,
)
from skimb.under_sampling import RelevanceUnderSampler

pytestmark = pytest.mark.conformance


def every_second(y):
    """A relevance for which something is rare whatever y holds, as a constant one."""
    return np.arange(len(y)) % 2.0


RESAMPLERS = [
    RelevanceOverSampler(relevance=every_second),
    RelevanceSampler(relevance=every_second),
    RelevanceUnderSampler(relevance=every_second),
    SMOTER(relevance=every_second),
    SMOGN(relevance=every_second),
    GaussianNoiseOverSampler(relevance=every_second),
]


def name_of(check):
    return name_of(check.func) if isinstance(check, partial) else check.__name__


@pytest.mark.parametrize(
    ("resampler", "check"),
    [
        pytest.param(*pair, id=f"{type(pair[0]).__name__}-{name_of(pair[1])}")
        for resampler in RESAMPLERS
        for pair in estimator_checks_generator(resampler)
    ],
)
def test_scikit_learn(resampler, check):
    check(resampler)
