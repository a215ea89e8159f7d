"""Choosing what a network is trained by: the search over losses, weights and samplers; folds."""

from skimb.model_selection._loss_search import LossSearchCV
from skimb.model_selection._splitters import BinnedStratifiedKFold

__all__ = ["BinnedStratifiedKFold", "LossSearchCV"]
