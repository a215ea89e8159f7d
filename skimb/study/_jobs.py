"""The jobs of a comparison, which fit and score strategies in its runs, in any process."""

import warnings
from dataclasses import dataclass
from typing import Any

from joblib import effective_n_jobs
from sklearn.base import clone

from skimb._engine import epochs_told_to
from skimb._params import safe_indexing
from skimb._shared_jobs import results_of_jobs
from skimb.study._kept_outcomes import keep_outcome
from skimb.study._progress import Board
from skimb.study._runs import Run
from skimb.study._strategy_fits import fit_group

__all__ = ["Job", "run_jobs"]


@dataclass
class Job:
    """One group of strategies in one run.

    Parameters
    ----------
    number : int
        The number of the job.
    i_run : int
        The number of the run.
    run : Run
    group : list of Strategy
        Strategies that share a network.
    task : ClassificationTask or RegressionTask
    estimator : CNNClassifier, CNNRegressor or None
        The network's settings; None: there is no built-in strategy.
    steps : int or None
        Steps of an epoch of the built-in strategies.
    scoring : dict of str to scorer
    kept : tuple of (Path or None, dict of str to str or None)
        The folder in which outcomes are kept, and the key of that of each strategy.
    told : str or None
        The folder in which the job says what it is doing; None: nobody wants to know.
    """

    number: int
    i_run: int
    run: Run
    group: list
    task: Any
    estimator: Any
    steps: int | None
    scoring: Any
    kept: tuple = (None, {})
    told: str | None = None


def run_jobs(jobs, data, test, n_jobs):
    """Run jobs, and yield each result: here as soon as it is known, else when its job is done.

    Parameters
    ----------
    jobs : list of Job
    data : tuple of (X, y, groups)
        All training samples; the groups may be None.
    test : tuple of (X, y)
        All test samples.
    n_jobs : int or None
        Processes, as in joblib.

    Yields
    ------
    i_run : int
    outcome : Outcome
    messages : set of str
        Warnings that were raised.
    """
    if effective_n_jobs(n_jobs) == 1:
        for job in jobs:
            yield from _fit_and_score(job, data, test)
        return
    for _, results in results_of_jobs(_all_of, jobs, shared=[*data, *test], n_jobs=n_jobs):
        yield from results


def _all_of(job, X, y, groups, X_test, y_test):
    return list(_fit_and_score(job, (X, y, groups), (X_test, y_test), waits=True))


def _fit_and_score(job, data, test, *, waits=False):
    """Fit and score one group of strategies in one run; in a worker process its results wait."""
    run, task = job.run, job.task
    X, y, groups = (part if part is None else safe_indexing(part, run.train) for part in data)
    X_test, y_test = (safe_indexing(part, run.test) for part in test)
    with warnings.catch_warnings():
        # The first fit will give the same warnings again.
        warnings.simplefilter("ignore")
        _warm_up(task, job.estimator, X, y)
    fits = fit_group(task, job.group, job.estimator, X, y, groups, seed=run.seed, steps=job.steps)
    folder, keys = job.kept
    # A job that is done again, as its worker died, goes on with the same file.
    board = Board(job.told, f"{job.number}.job")
    try:
        for n_before, expected in enumerate(job.group):
            # Where all share the first network, its training is nearly all of their time.
            worth = len(job.group) if task.on_heads and not n_before else 1
            board.begin(expected.label, job.i_run, n_before if waits else 0, worth)
            with epochs_told_to(board):
                outcome, messages = _next_fit(job, fits, expected, y, X_test, y_test)
            failure = keep_outcome(folder, keys.get(outcome.strategy), outcome, messages)
            yield job.i_run, outcome, messages | failure
    finally:
        board.end()


def _next_fit(job, fits, expected, y, X_test, y_test):
    """Return the outcome of the next fit of a job, and the warnings that it raised."""
    # The filters are the process's: they are set while it works here, not while it waits.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            strategy, fitted, seconds = next(fits)
            outcome = job.task.outcome(
                strategy,
                fitted,
                X_test,
                y_test,
                rows=job.run.test,
                scoring=job.scoring,
                seconds=seconds,
                y_train=y,
            )
        except Exception as exc:
            exc.add_note(f"It was raised by the strategy {expected.label!r} of the comparison.")
            raise
    return outcome, {str(warning.message) for warning in caught}


def _warm_up(task, estimator, X, y):
    """Train a step once a process, so that the first strategy does not pay for torch's start."""
    if estimator is None or _warm_up.is_done:
        return
    rows = task.few_samples(y)
    estimator = clone(estimator).set_params(max_epochs=1, steps_per_epoch=1, checkpoint=None)
    if "calibration" in estimator.get_params(deep=False):
        estimator.set_params(calibration=None)
    estimator.fit(safe_indexing(X, rows), y[rows])
    _warm_up.is_done = True


_warm_up.is_done = False
