"""Model selection: a search over losses, offsets that tune decisions, and stratified folds."""

from skimb._decision_rule import DecisionRule
from skimb.model_selection._loss_search import LossSearchCV
from skimb.model_selection._offsets import TunedOffsetsClassifierCV
from skimb.model_selection._splitters import BinnedStratifiedKFold

__all__ = [
    "BinnedStratifiedKFold",
    "DecisionRule",
    "LossSearchCV",
    "TunedOffsetsClassifierCV",
]
