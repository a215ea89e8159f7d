"""Fits that are prepared one by one and trained together, as in `LossSearchCV`.

`pend` and `prepare_head` check everything and return a `PendingFit`; `train_together` returns a net
for each; and ``PendingFit.conclude`` gives each estimator its net. A `HeadProblem` is the training
of a linear head that runs until it converges, as in `AutoBalanceClassifier`. `predicting_once`
is for those who ask fitted classifiers for predictions of several kinds.
"""

from skimb._engine import train_together, why_alone, why_slower
from skimb.neural_network._decoupled import build_head, fit_heads, head_batch_sampling
from skimb.neural_network._heads import prepare_head, starting_layer
from skimb.neural_network._heads_of_parts import heads_of_parts
from skimb.neural_network._pending_fit import PendingFit, pend
from skimb.neural_network._predicting_once import predicting_once
from skimb.neural_network._vector_scaling_head import HeadProblem, VectorScalingHead

__all__ = [
    "HeadProblem",
    "PendingFit",
    "VectorScalingHead",
    "build_head",
    "fit_heads",
    "head_batch_sampling",
    "heads_of_parts",
    "pend",
    "predicting_once",
    "prepare_head",
    "starting_layer",
    "train_together",
    "why_alone",
    "why_slower",
]
