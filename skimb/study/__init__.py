"""A fair comparison of remedies: same folds, same seeds, same number of gradient steps."""

from skimb.study._compare import compare
from skimb.study._comparison import Comparison
from skimb.study._regression import REGRESSION_STRATEGIES
from skimb.study._regression_comparison import RegressionComparison
from skimb.study._strategies import STRATEGIES

__all__ = [
    "REGRESSION_STRATEGIES",
    "STRATEGIES",
    "Comparison",
    "RegressionComparison",
    "compare",
]
