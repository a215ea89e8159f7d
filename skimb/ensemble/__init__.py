"""Ensembles whose members see the rare and the common alike.

The law of this room: a member is any scikit-learn estimator, and gets rows of X as they came. No
torch here.
"""

from skimb.ensemble._rebagg import ReBaggRegressor

__all__ = ["ReBaggRegressor"]
