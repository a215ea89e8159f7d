"""Whether the baseline of a comparison is trained, in words."""

import numpy as np

from skimb._drawn_text import visible_text
from skimb.study._strategies import CONSTANT

__all__ = ["baseline_trouble"]

#: Fewer gradient steps than these train no network; about so many do on small images.
FEW_STEPS, USUAL_STEPS = 100, 500

#: A training loss that falls by this fraction of its first value in the last fifth of the epochs.
STEEP = 0.1


def baseline_trouble(comparison):
    """Say why differences to the baseline mean little, and what to do; None: nothing is wrong.

    Parameters
    ----------
    comparison : Comparison or RegressionComparison

    Returns
    -------
    str or None
    """
    what = _trouble(comparison)
    if what is None:
        return None
    return f"{what} {_train_longer(comparison.protocol)}"


def _trouble(comparison):
    protocol, baseline = comparison.protocol, comparison.baseline
    name = f"The baseline {visible_text(baseline)}"
    steps = comparison.gradient_steps(baseline)
    after = "" if steps is None else f" after {steps:.0f} gradient steps"
    means = {metric: comparison.judgement(baseline, metric).mean for metric in comparison.metrics}
    if means.get("f1_minority") == 0:
        label = f"class {visible_text(comparison.minority)}"
        return (
            f"{name} finds no image of the minority {label} (its F1 is 0{after}): it is not "
            "trained, and differences to it say little."
        )
    if _is_no_better_than_a_constant(comparison, means):
        return (
            f"{name} is no better than the same answer for every image{after}: it has learned "
            "nothing, and differences to it say little."
        )
    if comparison.chosen[baseline].is_own or protocol["recipe"] is None:
        return None
    if steps is not None and steps < FEW_STEPS:
        return f"{name} was trained for {steps:.0f} gradient steps only, which is too few for most."
    losses = comparison.training_losses().get(baseline)
    if losses and _falls_steeply(losses):
        return f"The training loss of the baseline {visible_text(baseline)} is still falling."
    return None


def _is_no_better_than_a_constant(comparison, means):
    constants = [name for name, chosen in comparison.chosen.items() if chosen.name == CONSTANT]
    if constants:
        worst = [
            (comparison.judgement(constants[0], metric).mean - means[metric])
            * (-1 if comparison.is_error(metric) else 1)
            for metric in comparison.verdict_metrics
        ]
        return min(worst) >= -1e-12
    accuracy = means.get("balanced_accuracy")
    return accuracy is not None and accuracy <= 1 / len(comparison.classes) + 1e-12


def _falls_steeply(losses):
    """Tell whether the mean training loss falls steeply in the last fifth of the epochs."""
    n_epochs = min(len(run) for run in losses)
    if n_epochs < 3:
        return False
    mean = np.mean([run[:n_epochs] for run in losses], axis=0)
    return bool(mean[-1 - max(1, n_epochs // 5)] - mean[-1] > STEEP * mean[0])


def _train_longer(protocol):
    if protocol["recipe"] is None or not protocol["epochs"]:
        return "Train it longer first."
    now, an_epoch = protocol["epochs"], protocol["steps_per_epoch"]
    more = max(2 * now, -(-USUAL_STEPS // an_epoch))
    return f"Train longer first: --epochs {more} (max_epochs in Python; it was {now})."
