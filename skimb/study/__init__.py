"""A fair comparison of strategies against imbalance: same folds, same seeds, same steps."""

from skimb.study._augmentation import choose_augmentation
from skimb.study._classification_comparison import Comparison
from skimb.study._classification_strategies import STRATEGIES
from skimb.study._compare import compare
from skimb.study._regression_comparison import RegressionComparison
from skimb.study._regression_strategies import REGRESSION_STRATEGIES
from skimb.study._report import check_drawable

__all__ = [
    "REGRESSION_STRATEGIES",
    "STRATEGIES",
    "Comparison",
    "RegressionComparison",
    "check_drawable",
    "choose_augmentation",
    "compare",
]
