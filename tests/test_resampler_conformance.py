"""imbalanced-learn's own exam for every resampler."""

from functools import partial

import pytest
from imblearn.over_sampling import BorderlineSMOTE
from imblearn.under_sampling import TomekLinks
from imblearn.utils.estimator_checks import estimator_checks_generator

from skimb.combine import SMOTEENN, SMOTETomek
from skimb.neural_network import DeepSMOTE
from skimb.over_sampling import SMOTE, AugmentedOverSampler, RandomOverSampler
from skimb.under_sampling import ClusterUnderSampler, EmbeddedSampler, RandomUnderSampler

pytestmark = pytest.mark.conformance

SAMPLERS = [
    RandomOverSampler(random_state=0),
    RandomUnderSampler(random_state=0),
    RandomOverSampler(shrinkage=0.5, random_state=0),
    SMOTE(random_state=0),
    SMOTEENN(random_state=0),
    SMOTETomek(random_state=0),
    AugmentedOverSampler(random_state=0),
    ClusterUnderSampler(random_state=0),
    DeepSMOTE(random_state=0, max_epochs=1, n_latent=8),
    EmbeddedSampler(TomekLinks(), random_state=0),
    EmbeddedSampler(BorderlineSMOTE(), random_state=0),
]


def named(pairs):
    """A list with readable ids, as scikit-learn's parametrize_with_checks makes them."""
    return [
        pytest.param(estimator, check, id=f"{type(estimator).__name__}-{name_of(check)}")
        for estimator, check in pairs
    ]


def name_of(check):
    return name_of(check.func) if isinstance(check, partial) else check.__name__


@pytest.mark.parametrize(
    ("sampler", "check"),
    named(pair for sampler in SAMPLERS for pair in estimator_checks_generator(sampler)),
)
def test_imbalanced_learn(sampler, check):
    check(sampler)
