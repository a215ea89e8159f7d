"""Resamplers that drop rows of the frequent classes, in the manner of imbalanced-learn.

`RelevanceUnderSampler` drops rows of the frequent ranges of a continuous target.

The law of this room: rows are chosen, never changed. No torch here.
"""

from skimb._embedded_sampler import EmbeddedSampler
from skimb._plans import apply_plan
from skimb.under_sampling._cluster import ClusterUnderSampler
from skimb.under_sampling._random import RandomUnderSampler
from skimb.under_sampling._relevance import RelevanceUnderSampler

__all__ = [
    "ClusterUnderSampler",
    "EmbeddedSampler",
    "RandomUnderSampler",
    "RelevanceUnderSampler",
    "apply_plan",
]
