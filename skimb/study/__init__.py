"""A fair comparison of remedies: same folds, same seeds, same number of gradient steps."""

from skimb.study._compare import compare
from skimb.study._comparison import Comparison
from skimb.study._strategies import STRATEGIES

__all__ = ["STRATEGIES", "Comparison", "compare"]
