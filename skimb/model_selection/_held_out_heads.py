"""Class probabilities of samples by last layers that were not trained on them."""

from typing import Any

import numpy as np

from skimb._sub_estimators import seeded_clone
from skimb.model_selection._held_out_predictions import HeldOut, take_classifier
from skimb.model_selection._held_out_splits import class_splits
from skimb.model_selection._wrapped_fits import fit_as_task, wrapped_by
from skimb.neural_network.joint_training import heads_of_parts

__all__ = ["fit_and_hold_out_heads"]


def fit_and_hold_out_heads(owner, samples, *, cv: Any, rng, metadata, task=None, fitted=None):
    """Fit a two-stage classifier, and return probabilities by last layers of parts.

    It is `fit_and_hold_out` with a network that is trained once, and sees all samples.

    Parameters
    ----------
    owner : estimator
        The wrapper, with a `DecoupledClassifier` as ``estimator``.
    samples, cv, rng, metadata, task, fitted
        As for `fit_and_hold_out`.

    Returns
    -------
    HeldOut
    """
    X, y = samples.X, samples.y
    splits = class_splits(samples, cv, rng)
    if fitted is None:
        fitted = seeded_clone(wrapped_by(owner), rng)
        fit_as_task(fitted, X, y, metadata, owner, task, "fit on all samples")
    log_proba = heads_of_parts(fitted, X, y, splits, metadata.get("sample_weight"))
    target = take_classifier(owner, fitted, y)
    rows = np.concatenate([held for _, held in splits])
    folds = np.repeat(np.arange(len(splits)), [len(held) for _, held in splits])
    return HeldOut(log_proba, target[rows], rows, folds, is_exact=False)
