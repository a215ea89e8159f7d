"""Model selection: searches, decisions under priors, costs and guarantees, and stratified folds.

Importing this package does not import torch: classes that train networks are loaded on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

from skimb._decision_rule import DecisionRule
from skimb.model_selection._bias_corrected import BiasCorrectedCalibrator
from skimb.model_selection._conformal_classifier import ConformalClassifier
from skimb.model_selection._conformal_regressor import ConformalRegressor
from skimb.model_selection._guaranteed_precision import GuaranteedPrecisionClassifier
from skimb.model_selection._guaranteed_recall import GuaranteedRecallClassifier
from skimb.model_selection._minimum_cost import MinimumCostClassifier
from skimb.model_selection._prior_corrected import PriorCorrectedClassifier
from skimb.model_selection._prior_estimation import estimate_prior
from skimb.model_selection._prior_monitor import PriorMonitor
from skimb.model_selection._splitters import BinnedStratifiedKFold

__all__ = [
    "AutoBalanceClassifier",
    "BiasCorrectedCalibrator",
    "BinnedStratifiedKFold",
    "ConformalClassifier",
    "ConformalRegressor",
    "DecisionRule",
    "GuaranteedPrecisionClassifier",
    "GuaranteedRecallClassifier",
    "LossSearchCV",
    "MinimumCostClassifier",
    "PriorCorrectedClassifier",
    "PriorMonitor",
    "SpreadCorrectedRegressor",
    "TunedOffsetsClassifierCV",
    "estimate_prior",
]

#: Classes that need torch, and the modules that they are in.
_WITH_TORCH = {
    "AutoBalanceClassifier": "skimb.model_selection._auto_balance",
    "LossSearchCV": "skimb.model_selection._loss_search",
    "SpreadCorrectedRegressor": "skimb.model_selection._spread_corrected",
    "TunedOffsetsClassifierCV": "skimb.model_selection._offsets",
    # For other modules of skimb; these are not listed.
    "at_train_prior": "skimb.model_selection._probability_prior",
    "check_divisible": "skimb.model_selection._offsets",
    "lower_bound": "skimb.model_selection._guarantees",
    "prior_of_probabilities": "skimb.model_selection._probability_prior",
    "recall_bound": "skimb.model_selection._guarantees",
    "recall_rank": "skimb.model_selection._guarantees",
    "recall_refusal": "skimb.model_selection._guarantees",
    "upper_bound": "skimb.model_selection._guarantees",
}


if TYPE_CHECKING:
    from skimb.model_selection._auto_balance import AutoBalanceClassifier
    from skimb.model_selection._loss_search import LossSearchCV
    from skimb.model_selection._offsets import TunedOffsetsClassifierCV
    from skimb.model_selection._spread_corrected import SpreadCorrectedRegressor


def __getattr__(name: str) -> Any:
    if name in _WITH_TORCH:
        value = getattr(importlib.import_module(_WITH_TORCH[name]), name)
        # The next use finds it at once, and so does `vars`.
        globals()[name] = value
        return value
    raise AttributeError(f"module 'skimb.model_selection' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
