"""Samplers that over-sample with SMOTE and then clean, for images.

They are imbalanced-learn's classes of the same names, for samples of any dimension. This package
does not import torch.
"""

from skimb.combine._smote_enn import SMOTEENN
from skimb.combine._smote_tomek import SMOTETomek

__all__ = ["SMOTEENN", "SMOTETomek"]
