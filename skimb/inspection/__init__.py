"""Displays as in scikit-learn, which are made from an estimator or from labels, and plotted.

For confusion matrices and precision-recall curves, use the displays of scikit-learn.
"""

from skimb._drawn_text import plain_text
from skimb.inspection._decision_curve import DecisionCurveDisplay
from skimb.inspection._distribution import ClassDistributionDisplay
from skimb.inspection._embedding import EmbeddingDisplay
from skimb.inspection._gallery import (
    ImageGalleryDisplay,
    confident_mistakes,
    predictions_with_confidence,
)
from skimb.inspection._history import TrainingHistoryDisplay
from skimb.inspection._more_images import MoreImagesDisplay
from skimb.inspection._per_class import PerClassDisplay
from skimb.inspection._reliability import ReliabilityDisplay
from skimb.inspection._target import TargetDensityDisplay

__all__ = [
    "ClassDistributionDisplay",
    "DecisionCurveDisplay",
    "EmbeddingDisplay",
    "ImageGalleryDisplay",
    "MoreImagesDisplay",
    "PerClassDisplay",
    "ReliabilityDisplay",
    "TargetDensityDisplay",
    "TrainingHistoryDisplay",
    "confident_mistakes",
    "plain_text",
    "predictions_with_confidence",
]
