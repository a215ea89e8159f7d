"""Ensembles whose members are trained on a set fraction of rare samples.

A member is any scikit-learn estimator, and gets samples of X in their original form. This package
does not import torch.
"""

from skimb.ensemble._rebagg import ReBaggRegressor

__all__ = ["ReBaggRegressor"]
