"""The runs of a comparison: a fold of a repeat each, or a repeat on a fixed test set."""

import warnings
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from sklearn.model_selection import check_cv
from sklearn.utils import check_consistent_length, check_random_state

from skimb.study._splits import check_whole, count_known

__all__ = ["Plan", "Run", "planned_runs"]


@dataclass
class Run:
    """One run of every strategy: a fold of a repeat, or a repeat on a fixed test set.

    Parameters
    ----------
    train : ndarray of int
        Indices of the training samples in X.
    test : ndarray of int
        Indices of the test samples in X or in the fixed test set.
    seed : int
        The seed, the same for every strategy.
    """

    train: np.ndarray
    test: np.ndarray
    seed: int


@dataclass
class Plan:
    """All runs of a comparison.

    Parameters
    ----------
    runs : list of Run
    evaluation : str
        How the strategies are evaluated, in a few words.
    n_repeats : int
    n_known : int
        Test images of a run that equal images of its training part, at most.
    has_test_set : bool
        Whether there is a fixed test set.
    """

    runs: list
    evaluation: str
    n_repeats: int
    n_known: int
    has_test_set: bool

    @property
    def test_share(self):
        """Test samples for each training sample; 0 for a fixed test set."""
        if self.has_test_set:
            return 0.0
        return float(np.mean([len(run.test) / len(run.train) for run in self.runs]))


def planned_runs(
    task, y, images, test, *, cv, groups, given_groups, n_repeats, random_state
) -> Plan:
    """Plan the runs of a comparison.

    Parameters
    ----------
    task : ClassificationTask or RegressionTask
        The task, which knows how samples are divided into folds.
    y : ndarray of shape (n,)
    images : array-like of n images or paths
    test : tuple of (images, y), or None
        The fixed test set.
    cv : int, splitter, iterable or None
        As in `skimb.study.compare`.
    groups : ndarray of shape (n,), int
        The group of each sample; equal images are in one group.
    given_groups : array-like of shape (n,) or None
        The groups as the user gave them.
    n_repeats : int
    random_state : int, RandomState instance or None

    Returns
    -------
    Plan

    Raises
    ------
    ValueError
        If the samples cannot be divided so.
    """
    if test is not None:
        test_images, y_test = test
        runs, evaluation = _repeats(y, cv, n_repeats, test_images, y_test, random_state)
        n_known = count_known(images, test_images)
        return Plan(runs, evaluation, int(n_repeats), n_known, has_test_set=True)
    if cv is None or isinstance(cv, Integral):
        n_folds = 5 if cv is None else int(cv)
        runs, evaluation = _folds(
            lambda seed: task.splits(n_folds, seed, groups), n_repeats, random_state
        )
    else:
        splits = _own_splits(cv, y, None if given_groups is None else groups, n_repeats)
        runs, evaluation = _folds(lambda seed: splits, n_repeats, random_state)
    n_known = check_whole(groups, given_groups, [(run.train, run.test) for run in runs])
    return Plan(runs, evaluation, int(n_repeats), n_known, has_test_set=False)


def _repeats(y, cv, n_repeats, X_test, y_test, random_state):
    """Return a run for each repeat on a fixed test set, and the name of the evaluation."""
    if cv is not None:
        raise ValueError("With `X_test` there are no folds: leave `cv` None.")
    check_consistent_length(X_test, y_test)
    everything, tested = np.arange(len(y)), np.arange(len(y_test))
    seeds = _seeds(n_repeats, random_state)
    return [Run(everything, tested, int(seed)) for seed in seeds], "fixed test set"


def _folds(splits_of, n_repeats, random_state):
    """Return a run for each fold of each repeat, and the name of the evaluation.

    ``splits_of`` is the function of a seed to the splits of one repeat.
    """
    runs, n_folds = [], 0
    for seed in _seeds(n_repeats, random_state):
        splits = splits_of(seed)
        n_folds = len(splits)
        fold_seeds = np.random.RandomState(seed).randint(np.iinfo(np.int32).max, size=n_folds)
        runs += [
            Run(train, test, int(fold_seed))
            for (train, test), fold_seed in zip(splits, fold_seeds, strict=True)
        ]
    return runs, f"{n_folds}-fold cross-validation"


def _seeds(n_repeats, random_state):
    rng = check_random_state(random_state)
    return rng.randint(np.iinfo(np.int32).max, size=n_repeats)


def _own_splits(cv, y, groups, n_repeats):
    """Return the splits of a user's own `cv`, which sees the groups that the user gave."""
    if n_repeats > 1:
        raise ValueError(
            f"n_repeats={n_repeats} would run the folds of `cv` again, and their scores are not "
            "independent. Give `cv` as a number, whose folds are shuffled differently in each "
            "repeat."
        )
    folds, X = check_cv(cv, y), np.empty(len(y))
    if groups is None:
        return list(folds.split(X, y))
    with warnings.catch_warnings():
        # Splits that tear groups apart are refused later.
        warnings.filterwarnings("ignore", message="The groups parameter is ignored")
        return list(folds.split(X, y, groups))
