"""find_strategy(): a search over strategies and their strengths within a time, and its verdict."""

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.utils import check_consistent_length, check_random_state

from skimb._groups import held_out_folds
from skimb._messages import counted, shown
from skimb._params import safe_indexing
from skimb._reading import view_of
from skimb._unpacking import plain_vector
from skimb._warnings import warn
from skimb.neural_network import CNNClassifier, training_length
from skimb.study._classification_task import ClassificationTask
from skimb.study._compare import _checked_estimator, compare
from skimb.study._deployment_checks import check_deployment
from skimb.study._halving import halve
from skimb.study._runs import Run
from skimb.study._search_heads import CANDIDATES, Candidate, EmbeddedFold
from skimb.study._search_plan import MOST_FOLDS, PLANS, Search
from skimb.study._splits import image_groups
from skimb.study._strategies import BASELINE

__all__ = ["find_strategy"]

#: The fraction of the samples that the search never sees, as one of so many folds.
VERDICT_FOLDS = 3


def find_strategy(
    X: Any,
    y: Any,
    *,
    minutes: float = 20.0,
    plan: Any = None,
    candidates: Sequence[Candidate] = CANDIDATES,
    estimator: Any = None,
    groups: Any = None,
    X_test: Any = None,
    y_test: Any = None,
    deploy: Any = None,
    costs: Any = None,
    require: Any = None,
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Any:
    """Search strategies and their strengths within a time, and judge the best on unseen images.

    A third of the samples, or the test set, is for the verdict alone. In folds of the others, one
    network is trained each, and its last layer once more for every candidate, all together;
    successive halving drops the worse candidates from fold to fold. The best two are trained end to
    end, and compared with the baseline, and with the baseline with a tuned threshold, on the images
    that the search never saw.

    Parameters
    ----------
    X : array-like of shape (n, d), (n, H, W), (n, H, W, C) or (n, C, H, W)
        Images.
    y : array-like of shape (n,)
        Labels.
    minutes : float, default=20.0
        The time to use, roughly. The first fold is timed, and the most thorough plan that fits the
        rest is taken, so results may differ between machines.
    plan : SearchPlan, default=None
        What to do, whatever time it takes: with it, results follow from `random_state`.
    candidates : sequence of Candidate, default=CANDIDATES
        The strategies and strengths that are tried.
    estimator : CNNClassifier, default=None
        The baseline; None: ``CNNClassifier()``.
    groups : array-like of shape (n,), default=None
        Samples of one group stay on one side of every split; so do equal images.
    X_test, y_test : array-like, default=None
        A test set for the verdict; None: a third of the samples.
    deploy, costs, require : default=None
        Where the winner will be used, as in `compare`. The verdict has the costs there; the search
        itself looks for the best of its measure.
    random_state : int, RandomState instance or None, default=None
        The source of splits and seeds.
    n_jobs : int, default=None
        Processes of the final comparison, as in joblib.
    verbose : int, default=0
        1: progress on stderr.

    Returns
    -------
    Comparison
        Of the baseline, its threshold, and the finalists, on the images that the search never saw.
        Its ``search`` is a `Search`: with ``winner``, which may be None.

    Raises
    ------
    ValueError
        If the estimator is none for labels, a class is too small to be divided, or a parameter
        cannot be. It is raised before any training.

    References
    ----------
    .. [1] Jamieson and Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter
       Optimization, AISTATS 2016, arXiv:1502.07943.

    Examples
    --------
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.neural_network import CNNClassifier
    >>> from skimb.study import SearchPlan, find_strategy
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> quick = CNNClassifier(max_epochs=1)
    >>> result = find_strategy(X, y, plan=SearchPlan(1, 1), estimator=quick, random_state=0)
    >>> result.strategies[:2], len(result.search.candidates)
    (['none', 'threshold'], 21)
    """
    start = time.perf_counter()
    estimator = CNNClassifier() if estimator is None else estimator
    if not isinstance(estimator, CNNClassifier):
        raise ValueError(
            f"A search needs a CNNClassifier as `estimator`. Got {type(estimator).__name__}."
        )
    if plan is None and (not isinstance(minutes, Real) or not 0 < minutes < np.inf):
        raise ValueError(f"`minutes` must be a positive number. Got {minutes!r}.")
    if (X_test is None) != (y_test is None):
        raise ValueError("`X_test` and `y_test` belong together: give both or neither.")
    X, y = view_of(X, channels=estimator.channels), plain_vector(y)
    check_consistent_length(X, y)
    task = ClassificationTask(y)
    estimator = _checked_estimator(estimator, task)
    candidates = list(candidates)
    n_needed = 1 if plan is None else plan.n_finalists
    if len(candidates) < n_needed:
        raise ValueError(f"There must be at least {n_needed} candidates. Got {len(candidates)}.")
    numbers = image_groups(X, groups, estimator)
    rng = check_random_state(random_state)
    seed = int(rng.randint(np.iinfo(np.int32).max))
    rows, verdict_rows = np.arange(len(y)), None
    if X_test is None:
        rows, verdict_rows = held_out_folds(y, numbers, seed, n_folds=VERDICT_FOLDS)[0]
        X_test, y_test = safe_indexing(X, verdict_rows), y[verdict_rows]
    use = {"deploy": deploy, "costs": costs, "require": require}
    is_used = any(value is not None for value in use.values())
    if is_used:
        y_test = plain_vector(y_test, "y_test")
        last = Run(rows, np.arange(len(y_test)), seed)
        tested = (
            image_groups(X_test, None, estimator) if verdict_rows is None else numbers[verdict_rows]
        )
        check_deployment(task, [last], y_test, tested, **use)
    part = safe_indexing(X, rows), y[rows], numbers[rows]
    searched = _Searched(part, estimator, candidates, seed, verbose)
    first_scores = searched.scores(0, candidates)
    if plan is None:
        plan = _plan_for(60 * minutes - (time.perf_counter() - start), searched, minutes)
    searched.say(f"plan: {counted(plan.n_folds, 'fold')}, {counted(plan.n_finalists, 'finalist')}")
    places, scores = halve(
        candidates,
        range(plan.n_folds),
        lambda number, left: searched.scores(number, left) if number else first_scores,
        n_finalists=plan.n_finalists,
    )
    finalists = [candidates[place] for place in places]
    minority = searched.task.minority
    always = f"always {minority}"
    result = compare(
        part[0],
        part[1],
        strategies={
            BASELINE: BASELINE,
            "threshold": "threshold",
            **{
                one.label: (one.strategy, one.settings) if one.settings else one.strategy
                for one in finalists
            },
            always: DummyClassifier(strategy="constant", constant=minority),
        },
        estimator=estimator,
        groups=None if groups is None else part[2],
        X_test=X_test,
        y_test=y_test,
        random_state=int(rng.randint(np.iinfo(np.int32).max)),
        n_jobs=n_jobs,
        verbose=verbose,
    )
    # An estimator, and yet nobody has brought it.
    result.chosen[always] = replace(
        result.chosen[always], description=f"reference: {minority} for every image"
    )
    result.test_rows = verdict_rows
    if verdict_rows is not None:
        # Images of one group are no independent witnesses.
        result.groups = numbers[verdict_rows]
    if is_used:
        result.deployment = result.at(**use)
    result.search = Search(
        plan=plan,
        measure=searched.measure,
        candidates=candidates,
        scores=scores,
        baseline=np.array(searched.of_baseline),
        finalists=[one.label for one in finalists],
        winner=_winner(result, always, searched.measure),
        seconds=time.perf_counter() - start,
    )
    return result


class _Searched:
    """The samples that a search sees, and its folds.

    Parameters
    ----------
    part : tuple of (X, y, groups)
    estimator : CNNClassifier
        The baseline.
    candidates : list of Candidate
    seed : int
    verbose : int
    """

    def __init__(self, part, estimator, candidates, seed, verbose):
        self.X, self.y, self.groups = part
        self.estimator, self.candidates = estimator, candidates
        self.seed, self.verbose = seed, verbose
        self.task = ClassificationTask(self.y)
        scoring = self.task.default_scoring()
        self.task.choose_measure(scoring)
        self.measure = str(self.task.measure_name)
        self.scorer = scoring[self.measure]
        counts = self.task.counts
        self.n_folds = int(min(MOST_FOLDS, counts.min()))
        if self.n_folds < 2:
            label = self.task.classes[counts.argmin()]
            raise ValueError(
                f"Class {shown(label)} has {counts.min()} samples for the search, which needs at "
                "least 2 of every class. Give more samples, or a test set of your own."
            )
        self.splits = self.task.splits(self.n_folds, seed, self.groups)
        #: Seconds of the last fold: of its network, and of all. Scores of the networks themselves.
        self.of_network, self.of_fold, self.of_baseline = 0.0, 0.0, []

    def scores(self, number, candidates):
        """Train the network of a fold, and score candidates as its last layer."""
        start = time.perf_counter()
        train, test = self.splits[number]
        network = clone(self.estimator).set_params(random_state=self.seed + number)
        X, y = safe_indexing(self.X, train), self.y[train]
        network.fit(X, y)
        fold = EmbeddedFold(network, X, y, safe_indexing(self.X, test), self.y[test])
        self.of_network = time.perf_counter() - start
        # The baseline's last layer takes the same further steps.
        heads = [Candidate(BASELINE), *candidates]
        of_baseline, *scores = fold.scores(self.task, heads, self.scorer, seed=self.seed + number)
        self.of_baseline.append(of_baseline)
        self.of_fold = time.perf_counter() - start
        self.say(
            f"fold {number + 1}: a network in {self.of_network:.1f} s, {len(candidates)} heads in "
            f"{self.of_fold - self.of_network:.1f} s"
        )
        return np.array(scores)

    def seconds_of_training(self):
        """Return the time of a training on all samples of the search, by that of a fold."""
        lengths = [
            training_length(
                n,
                batch_size=self.estimator.batch_size,
                max_epochs=self.estimator.max_epochs,
                steps_per_epoch=self.estimator.steps_per_epoch,
            )
            for n in (len(self.y), len(self.splits[0][0]))
        ]
        work = [length.n_steps * length.batch_size for length in lengths]
        return self.of_network * work[0] / work[1]

    def say(self, text):
        """Tell what is done, on stderr."""
        if self.verbose:
            print(text, file=sys.stderr, flush=True)


def _plan_for(left, searched, minutes):
    """Return the most thorough plan that fits the time that is left, by the time of one fold."""
    plans = [plan for plan in PLANS if plan.n_folds <= searched.n_folds]
    needed = [plan.seconds(searched.of_fold, searched.seconds_of_training()) for plan in plans]
    for plan, seconds in zip(plans, needed, strict=True):
        if seconds <= left and plan.n_finalists <= len(searched.candidates):
            return plan
    warn(
        f"{minutes:g} minutes are too few: the smallest search takes about "
        f"{(searched.of_fold + needed[-1]) / 60:.2g}. It goes on with that one."
    )
    return plans[-1]


def _winner(result, always, measure):
    """Return the best strategy that is better than the baseline and than one constant decision.

    On labels that mean nothing, the F1 of calling every image the minority class is larger than
    that of a network that calls none so.
    """
    trivial = result.against(always)
    better = [
        name
        for name in result.strategies[1:]
        if name != always
        and all(each.judgement(name, measure).verdict == "better" for each in (result, trivial))
    ]
    return max(better, key=lambda name: result.judgement(name, measure).mean, default=None)
