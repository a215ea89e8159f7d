"""Whether the networks of a comparison are trained, in words."""

import numpy as np

from skimb._drawn_text import visible_text
from skimb._engine import still_falls
from skimb._messages import counted
from skimb.study._strategies import CONSTANT

__all__ = ["baseline_trouble", "short_trainings"]

#: Fewer gradient steps than these train no network; about so many do on small images.
FEW_STEPS, USUAL_STEPS = 100, 500

#: The part of a warning by which a training says that it was short, and names that are listed.
WARNED, MOST_NAMED = "the training loss still fell", 5

#: What a comparison of networks that are not trained to the end says all the same.
HOLDS = "What is called better or worse holds for trainings of this length alone."

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


def short_trainings(comparison):
    """Say which strategies could learn more than they did; None: none, as far as is known.

    Parameters
    ----------
    comparison : Comparison or RegressionComparison

    Returns
    -------
    str or None
    """
    protocol = comparison.protocol
    if not any(WARNED in message for message in protocol.get("warnings", ())):
        return None
    losses = comparison.training_losses()
    names = [
        name
        for name, runs in losses.items()
        if any(still_falls(run, comparison.gradient_steps(name) or 0) for run in runs)
    ]
    if not names:
        return None
    if len(names) == len(losses) > 1:
        who = "all strategies that train a network"
    else:
        texts = [visible_text(name) for name in names[:MOST_NAMED]]
        texts += [f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
        who = texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
    end = "its training" if len(names) == 1 else "the training"
    return (
        f"The training loss of {who} still fell when {end} ended: more steps may change the "
        f"order. {_train_longer(protocol)}"
    )


def _trouble(comparison):
    protocol, baseline = comparison.protocol, comparison.baseline
    name = f"The baseline {visible_text(baseline)}"
    steps = comparison.gradient_steps(baseline)
    after = "" if steps is None else f" after {counted(steps, 'gradient step')}"
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
        only = f"{counted(steps, 'gradient step')} only"
        return f"{name} was trained for {only}, and most networks need more. {HOLDS}"
    losses = comparison.training_losses().get(baseline)
    if losses and _falls_steeply(losses):
        told = f"the baseline {visible_text(baseline)}"
        return f"The training loss of {told} still fell steeply when its training ended. {HOLDS}"
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
