"""Resamplers that drop rows of the frequent classes, in the manner of imbalanced-learn.

The law of this room: rows are chosen, never changed. No torch here.
"""

from skimb._embedded import EmbeddedSampler
from skimb._resampling import apply_plan
from skimb.under_sampling._cluster import ClusterUnderSampler
from skimb.under_sampling._random import RandomUnderSampler

__all__ = ["ClusterUnderSampler", "EmbeddedSampler", "RandomUnderSampler", "apply_plan"]
