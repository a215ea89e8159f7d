"""Resamplers that add samples of the minority classes, in the manner of imbalanced-learn.

`RelevanceOverSampler`, `RelevanceSampler`, `SMOTER`, `SMOGN` and `GaussianNoiseOverSampler` do the
same for the rare ranges of a continuous target.

The samples to copy or to join are chosen from labels and distances. Pixels are computed once, at
the end, in the dtype of the input. This package does not import torch.
"""

from skimb._embedded_sampler import EmbeddedSampler
from skimb._plans import apply_plan
from skimb.over_sampling._augmented import AugmentedOverSampler, ImageJitter
from skimb.over_sampling._class_interpolation import SMOTE
from skimb.over_sampling._random import RandomOverSampler
from skimb.over_sampling._relevance import RelevanceOverSampler, RelevanceSampler
from skimb.over_sampling._target_synthesis import SMOGN, SMOTER, GaussianNoiseOverSampler

__all__ = [
    "SMOGN",
    "SMOTE",
    "SMOTER",
    "AugmentedOverSampler",
    "EmbeddedSampler",
    "GaussianNoiseOverSampler",
    "ImageJitter",
    "RandomOverSampler",
    "RelevanceOverSampler",
    "RelevanceSampler",
    "apply_plan",
]
