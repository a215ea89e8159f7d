"""The runs of a comparison: a fold of a repeat each, or a repeat on a fixed test set."""

import itertools
import warnings
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from sklearn.model_selection import PredefinedSplit, TimeSeriesSplit, check_cv
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
        How often every sample is tested; with a test set, the number of runs.
    n_known : int
        Test images of a run that equal images of its training part, at most.
    assumes : str
        What the interval of a difference takes for granted, in a sentence or two.
    is_fixed : bool
        Whether all runs have the same training and test samples: those of a test set, or of the one
        split that `cv` gives.
    """

    runs: list
    evaluation: str
    n_repeats: int
    n_known: int
    assumes: str
    is_fixed: bool

    @property
    def test_share(self):
        """Test samples for each training sample; 0 where all runs have the same samples."""
        if self.is_fixed:
            return 0.0
        return float(np.mean([len(run.test) / len(run.train) for run in self.runs]))


#: What the intervals take for granted.
OF_SEEDS = (
    "Every run trains on the same samples and is tested on the same samples, with another seed: "
    "the interval covers the choice of the test samples and, with several runs, the randomness of "
    "training, but not the choice of the training samples. Of metrics that are not computed from "
    "counts of test samples, it covers the randomness of training alone."
)
OF_RANDOM_FOLDS = (
    "The folds are drawn at random; that their training parts overlap is corrected for by the "
    "ratio of test to training samples."
)
OF_GIVEN_FOLDS = (
    "The correction for training parts that overlap is made for folds that are drawn at random. "
    "These were given: the interval holds as far as they differ no more than random ones would."
)


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
        return Plan(runs, evaluation, int(n_repeats), n_known, assumes=OF_SEEDS, is_fixed=True)
    if cv is None or isinstance(cv, Integral):
        n_folds = 5 if cv is None else int(cv)
        runs = _folds(lambda seed: task.splits(n_folds, seed, groups), n_repeats, random_state)
        evaluation, assumes = f"{n_folds}-fold cross-validation", OF_RANDOM_FOLDS
    else:
        splits = _own_splits(cv, y, None if given_groups is None else groups, n_repeats)
        runs = _folds(lambda seed: splits, n_repeats, random_state)
        evaluation, repeated, assumes = _described(cv, splits, len(y))
        n_repeats *= repeated
    n_known = check_whole(groups, given_groups, [(run.train, run.test) for run in runs])
    is_fixed = assumes is OF_SEEDS
    return Plan(runs, evaluation, int(n_repeats), n_known, assumes=assumes, is_fixed=is_fixed)


def _described(cv, splits, n_samples):
    """Say how samples are divided by a user's own splits, by what these are.

    Returns
    -------
    evaluation : str
    n_repeats : int
        How often every sample is tested, where all are equally often.
    assumes : str
    """
    if len(splits) == 1:
        return "one given test part", 1, OF_SEEDS
    n_splits, sizes = len(splits), [len(train) for train, _ in splits]
    if isinstance(cv, TimeSeriesSplit) or _grow([train for train, _ in splits]):
        words = "whose training parts grow" if sizes[0] < sizes[-1] else "each after the one before"
        assumes = (
            "The correction for training parts that overlap is made for folds that are drawn at "
            f"random. These are in order, and their training parts have {sizes[0]} to {sizes[-1]} "
            "samples: later folds are no repetition of earlier ones, and the interval is a rough "
            "guide."
        )
        return f"{n_splits} folds in order, {words}", 1, assumes
    assumes = OF_RANDOM_FOLDS if getattr(cv, "shuffle", True) is True else OF_GIVEN_FOLDS
    if not hasattr(cv, "split") or isinstance(cv, PredefinedSplit):
        assumes = OF_GIVEN_FOLDS
    n_tests = np.bincount(np.concatenate([test for _, test in splits]), minlength=n_samples)
    repeated = int(n_tests[0])
    if repeated and (n_tests == repeated).all() and n_splits % repeated == 0:
        return f"{n_splits // repeated}-fold cross-validation", repeated, assumes
    if isinstance(cv, PredefinedSplit):
        return f"{n_splits} given test parts", 1, assumes
    words = f"splits of {type(cv).__name__}" if hasattr(cv, "split") else "given splits"
    return f"{n_splits} {words}", 1, assumes


def _grow(parts):
    """Tell whether each of some parts holds all samples of the one before, and further ones."""
    return all(
        len(first) < len(second) and np.isin(first, second).all()
        for first, second in itertools.pairwise(parts)
    )


def _repeats(y, cv, n_repeats, X_test, y_test, random_state):
    """Return a run for each repeat on a fixed test set, and the name of the evaluation."""
    if cv is not None:
        raise ValueError("With `X_test` there are no folds: leave `cv` None.")
    check_consistent_length(X_test, y_test)
    everything, tested = np.arange(len(y)), np.arange(len(y_test))
    seeds = _seeds(n_repeats, random_state)
    return [Run(everything, tested, int(seed)) for seed in seeds], "fixed test set"


def _folds(splits_of, n_repeats, random_state):
    """Return a run for each fold of each repeat.

    ``splits_of`` is the function of a seed to the splits of one repeat.
    """
    runs = []
    for seed in _seeds(n_repeats, random_state):
        splits = splits_of(seed)
        fold_seeds = np.random.RandomState(seed).randint(np.iinfo(np.int32).max, size=len(splits))
        runs += [
            Run(train, test, int(fold_seed))
            for (train, test), fold_seed in zip(splits, fold_seeds, strict=True)
        ]
    return runs


def _seeds(n_repeats, random_state):
    rng = check_random_state(random_state)
    return rng.randint(np.iinfo(np.int32).max, size=n_repeats)


def _own_splits(cv, y, groups, n_repeats):
    """Return the splits of a user's own `cv`, which sees the groups that the user gave."""
    folds, X = check_cv(cv, y), np.empty(len(y))
    with warnings.catch_warnings():
        # Splits that tear groups apart are refused later.
        warnings.filterwarnings("ignore", message="The groups parameter is ignored")
        splits = list(folds.split(X, y) if groups is None else folds.split(X, y, groups))
    if not splits:
        raise ValueError("`cv` gives no split. Give one that has a test part.")
    # One split is trained again with other seeds, as a test set is.
    if n_repeats > 1 and len(splits) > 1:
        raise ValueError(
            f"n_repeats={n_repeats} would run the folds of `cv` again, and their scores are not "
            "independent. Give `cv` as a number, whose folds are shuffled differently in each "
            "repeat."
        )
    for train, test in splits:
        if not len(train) or not len(test):
            raise ValueError(
                "A split of `cv` has no training samples or no test samples. Give splits that have "
                "both."
            )
    return splits
