"""Ensembles whose members are trained on a set fraction of rare samples, and ensembles on images.

A member is any scikit-learn estimator, and gets samples of X in their original form. This package
does not import torch.
"""

from skimb.ensemble._image_meta_estimator import ImageMetaEstimator
from skimb.ensemble._rebagg import ReBaggRegressor

__all__ = ["ImageMetaEstimator", "ReBaggRegressor"]
