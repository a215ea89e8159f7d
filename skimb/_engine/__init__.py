"""The engine: one skorch net that trains every network."""

from skimb._engine._augmentation import AUGMENTATIONS, FlipCrop, build_augmentation
from skimb._engine._auto_encoding import train_auto_encoder
from skimb._engine._batch_plan import BatchPlan
from skimb._engine._blocks import block_size, by_blocks, fill_up
from skimb._engine._callbacks import check_net_callbacks, sets_rate
from skimb._engine._checkpoint import Checkpoint, check_checkpoint_folder
from skimb._engine._data_parallel import data_parallel
from skimb._engine._divergence import DivergenceError, ended_diverged
from skimb._engine._epoch_news import epochs_told_to
from skimb._engine._epoch_tasks import EpochTasks
from skimb._engine._fit_key import digest_of
from skimb._engine._image_data import Part, dataset_of, few_samples
from skimb._engine._image_net import ImageClassifierNet, ImageNet, ImageRegressorNet
from skimb._engine._jitter import Jitter
from skimb._engine._leftovers import mark_of, remove_leftovers
from skimb._engine._length import (
    TrainingLength,
    epochs_of_patience,
    still_falls,
    training_length,
)
from skimb._engine._loss_watch import LossWatch
from skimb._engine._memory import is_out_of_memory
from skimb._engine._mixed_batch import joined
from skimb._engine._mixing import CutMix, Mixup, Remix
from skimb._engine._optimizer_state import KeptOptimizer
from skimb._engine._optimizers import OPTIMIZERS, loss_parameters
from skimb._engine._rank_similarity import RankSimilarity
from skimb._engine._runtime import (
    is_available,
    resolve_device,
    seeded,
    threads_for,
    with_live_threads,
)
from skimb._engine._sample_weights import class_weighted, exponent_of, mean_one, scaled_down
from skimb._engine._saved_net import check_tensors, net_again, net_state, take_tensors
from skimb._engine._snapshot import snapshot
from skimb._engine._standardized import Standardized
from skimb._engine._step_forward import PRECISIONS
from skimb._engine._target import Target
from skimb._engine._together import train_together, why_alone, why_slower
from skimb._engine._training import Phase, Training, epoch_records, train, training_mode
from skimb._engine._trial import try_loss, try_optimizer, try_step
from skimb._engine._weighted_loss import WeightedLoss

__all__ = [
    "AUGMENTATIONS",
    "OPTIMIZERS",
    "PRECISIONS",
    "BatchPlan",
    "Checkpoint",
    "CutMix",
    "DivergenceError",
    "EpochTasks",
    "FlipCrop",
    "ImageClassifierNet",
    "ImageNet",
    "ImageRegressorNet",
    "Jitter",
    "KeptOptimizer",
    "LossWatch",
    "Mixup",
    "Part",
    "Phase",
    "RankSimilarity",
    "Remix",
    "Standardized",
    "Target",
    "Training",
    "TrainingLength",
    "WeightedLoss",
    "block_size",
    "build_augmentation",
    "by_blocks",
    "check_checkpoint_folder",
    "check_net_callbacks",
    "check_tensors",
    "class_weighted",
    "data_parallel",
    "dataset_of",
    "digest_of",
    "ended_diverged",
    "epoch_records",
    "epochs_of_patience",
    "epochs_told_to",
    "exponent_of",
    "few_samples",
    "fill_up",
    "is_available",
    "is_out_of_memory",
    "joined",
    "loss_parameters",
    "mark_of",
    "mean_one",
    "net_again",
    "net_state",
    "remove_leftovers",
    "resolve_device",
    "scaled_down",
    "seeded",
    "sets_rate",
    "snapshot",
    "still_falls",
    "take_tensors",
    "threads_for",
    "train",
    "train_auto_encoder",
    "train_together",
    "training_length",
    "training_mode",
    "try_loss",
    "try_optimizer",
    "try_step",
    "why_alone",
    "why_slower",
    "with_live_threads",
]
