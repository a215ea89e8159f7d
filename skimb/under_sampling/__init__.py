"""Resamplers that drop samples of the majority classes, in the manner of imbalanced-learn.

`RelevanceUnderSampler` drops samples of the normal ranges of a continuous target.

Samples are chosen and never changed. This package does not import torch.
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
