"""The search through whole networks, and its comparison with logit adjustment."""

import numpy as np

from skimb.model_selection._auto_balance_choice import (
    LEAST_HELD,
    Choice,
    adjusted,
    choose,
    n_independent,
    tune_tau,
)
from skimb.model_selection._class_numbers import class_numbers, difficulty_of_classes
from skimb.model_selection._end_to_end_search import NEVER, search_end_to_end
from skimb.model_selection._head_search import SHARPNESS, calibrated_temperature

__all__ = ["Trainings", "choose_end_to_end", "halves"]

#: Any attributes: the numbers of a training in which they do not move.
CONSTANT = "free"


class Trainings:
    """The trainings of a search, one or more for each split.

    Parameters
    ----------
    networks : list of CNNClassifier
        The network of each split, not fitted.
    samples : Samples
        X, y and groups.
    splits : list of (ndarray, ndarray)
        The samples that the network of each split is trained on, and those that are held out.
    sample_weight : ndarray of shape (n,) or None
    rng : RandomState
        The source of the seeds.
    part : callable
        ``part(name)`` returns a context in which a training runs.

    Attributes
    ----------
    n_done : int
        Number of trainings so far.
    """

    def __init__(self, networks, samples, splits, *, sample_weight, rng, part):
        self.networks, self.samples, self.splits = networks, samples, splits
        self.sample_weight, self.rng, self.part = sample_weight, rng, part
        self.n_done = 0

    def run(self, name, numbers, aim, *, searched=None, **options):
        """Train the network of each split.

        Parameters
        ----------
        name : str
            The name of the task.
        numbers : ClassNumbers
        aim : Aim
        searched : list of ndarray of int, default=None
            The samples of each split by which the numbers move; None: all that are held out.
        **options
            As in `search_end_to_end`.

        Returns
        -------
        list of EndToEndResult
        """
        results = []
        for i, (train, held) in enumerate(self.splits):
            with self.part(name):
                result = search_end_to_end(
                    self.networks[i],
                    self.samples.X,
                    self.samples.y,
                    train,
                    held if searched is None else searched[i],
                    numbers,
                    aim,
                    rng=self.rng,
                    sample_weight=self.sample_weight,
                    judged=held,
                    **options,
                )
            self.n_done += 1
            results.append(result)
        return results


def choose_end_to_end(trainings, aim, *, labels, attributes, counts, grid, seed, n_groups=None):
    """Search the numbers of the classes, and compare them with logit adjustment.

    The held-out samples of each split are divided: by one half the numbers and the strength of the
    logit adjustment are found, by the other they are compared.

    Parameters
    ----------
    trainings : Trainings
    aim : Aim
    labels : ndarray of shape (n_classes,)
        All labels, sorted.
    attributes, n_groups
        As in `class_numbers`.
    counts : ndarray of shape (n_classes,)
        The number, or the weight, of all training samples of each class.
    grid : ndarray of shape (n_taus,)
        Strengths of the logit adjustment.
    seed : int
        That of the halves and of the bootstrap.

    Returns
    -------
    Choice
    """
    samples, splits, n_classes = trainings.samples, trainings.splits, len(counts)
    fixed = class_numbers(CONSTANT, counts)
    log_prior = fixed.log_prior
    plain = trainings.run("train for logit adjustment", fixed, aim, every=NEVER)
    target = np.searchsorted(labels, np.concatenate([samples.y[held] for _, held in splits]))
    logits = np.concatenate([result.logits for result in plain]).astype(np.float64)
    tau, tuned = tune_tau(aim, logits, target, log_prior, grid)
    results = {"tau_grid": grid.tolist()}
    groups = np.concatenate([samples.groups[held] for _, held in splits])
    first = [halves(samples.y[held], samples.groups[held], seed) for _, held in splits]
    mask = np.concatenate(first)
    temperature = calibrated_temperature(logits[mask], target[mask])
    difficulty = difficulty_of_classes(
        logits[mask] / temperature, target[mask], n_classes, prior=np.full(n_classes, 1 / n_classes)
    )
    results["difficulty"] = difficulty.tolist()
    numbers = class_numbers(attributes, counts, difficulty, n_groups=n_groups)
    n_judged = n_independent(target[~mask], groups[~mask], n_classes)
    if n_judged.min() < LEAST_HELD or not numbers.n_parameters:
        results |= {"logit_adjustment": min(tuned), "tau_measures": tuned}
        neutral = np.ones(n_classes)
        return Choice("logit_adjustment", neutral, tau * log_prior, tau, results, [], n_judged)
    found = trainings.run(
        "search the numbers of the loss",
        numbers,
        aim,
        searched=[held[own] for (_, held), own in zip(splits, first, strict=True)],
        temperature=SHARPNESS * temperature,
    )
    parameters = np.mean([result.parameters for result in found], axis=0)
    results["parameters"] = dict(zip(numbers.parameter_names, parameters.tolist(), strict=True))
    searched = np.concatenate([result.logits for result in found]).astype(np.float64)
    own_tau, _ = tune_tau(aim, logits[mask], target[mask], log_prior, grid)
    return choose(
        aim,
        numbers.values(parameters),
        tau,
        (searched[~mask], adjusted(logits[~mask], log_prior, own_tau)),
        target[~mask],
        log_prior,
        groups=groups[~mask],
        tuned=tuned,
        seed=seed,
        results=results,
        history=[
            {"split": i, **record} for i, result in enumerate(found) for record in result.history
        ],
    )


def halves(y, groups, seed):
    """Return which samples are in the first half; classes are divided, and groups stay together.

    Parameters
    ----------
    y, groups : ndarray of shape (n,)
    seed : int

    Returns
    -------
    ndarray of bool of shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.model_selection._end_to_end_choice import halves
    >>> y, groups = np.repeat([0, 1], [6, 2]), np.arange(8)
    >>> np.bincount(y[halves(y, groups, 0)]).tolist()
    [3, 1]
    """
    _, first, member = np.unique(groups, return_index=True, return_inverse=True)
    shuffled = np.random.RandomState(seed).random_sample(len(first))
    order = np.lexsort((shuffled, y[first]))
    is_first = np.empty(len(first), dtype=bool)
    is_first[order] = np.arange(len(first)) % 2 == 0
    return is_first[member]
