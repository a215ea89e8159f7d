"""A fair comparison of strategies against imbalance: same folds, same seeds, same steps."""

from skimb.study._augmentation import choose_augmentation
from skimb.study._classification_comparison import Comparison
from skimb.study._classification_strategies import FURTHER_STRATEGIES, STRATEGIES
from skimb.study._compare import compare
from skimb.study._deployment import Deployment, deployment_of
from skimb.study._deployment_checks import check_use
from skimb.study._deployment_evaluation import DeploymentEvaluation
from skimb.study._evaluation import ClassificationEvaluation
from skimb.study._find_strategy import find_strategy
from skimb.study._inspect import (
    Inspection,
    NearCopies,
    inspect_images,
    leak_worth,
    near_copies_of,
    near_copies_worth,
)
from skimb.study._judgement import Judgement
from skimb.study._learning_curve import MoreImages
from skimb.study._middle_sizes import down_to_middle, up_to_middle
from skimb.study._more_images import check_more_images, more_images
from skimb.study._pool_scores import PoolScores, embedding_of
from skimb.study._regression_comparison import RegressionComparison
from skimb.study._regression_evaluation import RegressionEvaluation
from skimb.study._regression_strategies import REGRESSION_STRATEGIES
from skimb.study._required_recall import RequiredRecall
from skimb.study._search_heads import CANDIDATES, Candidate
from skimb.study._search_plan import Search, SearchPlan
from skimb.study._splits import hold_out_fifth
from skimb.study._strategy_estimator import fit_strategy, strategy_estimator
from skimb.study._suggest import suggest, suggestions_of
from skimb.study._suggestions import Suggestions
from skimb.study._time_splits import time_splits
from skimb.study._verdict_text import verdict_sentences
from skimb.study._winner import winner_of

__all__ = [
    "CANDIDATES",
    "FURTHER_STRATEGIES",
    "REGRESSION_STRATEGIES",
    "STRATEGIES",
    "Candidate",
    "ClassificationEvaluation",
    "Comparison",
    "Deployment",
    "DeploymentEvaluation",
    "Inspection",
    "Judgement",
    "MoreImages",
    "NearCopies",
    "PoolScores",
    "RegressionComparison",
    "RegressionEvaluation",
    "RequiredRecall",
    "Search",
    "SearchPlan",
    "Suggestions",
    "check_more_images",
    "check_use",
    "choose_augmentation",
    "compare",
    "deployment_of",
    "down_to_middle",
    "embedding_of",
    "find_strategy",
    "fit_strategy",
    "hold_out_fifth",
    "inspect_images",
    "leak_worth",
    "more_images",
    "near_copies_of",
    "near_copies_worth",
    "strategy_estimator",
    "suggest",
    "suggestions_of",
    "time_splits",
    "up_to_middle",
    "verdict_sentences",
    "winner_of",
]
