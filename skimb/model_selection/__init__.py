"""Choosing what a network is trained by: the search over losses, weights and samplers."""

from skimb.model_selection._loss_search import LossSearchCV

__all__ = ["LossSearchCV"]
