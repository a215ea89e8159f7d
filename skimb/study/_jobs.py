"""The jobs of a comparison, which fit and score strategies in its runs, in any process."""

import sys
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.base import clone
from tqdm import tqdm

from skimb._drawn_text import visible_text
from skimb._params import safe_indexing
from skimb.study._runs import Run
from skimb.study._strategies import fit_group

__all__ = ["Job", "Progress", "run_jobs"]


@dataclass
class Job:
    """One group of strategies in one run.

    Parameters
    ----------
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
    data : tuple of (X, y, groups)
        All training samples; the groups may be None.
    test : tuple of (X, y)
        All test samples.
    scoring : dict of str to scorer
    """

    i_run: int
    run: Run
    group: list
    task: Any
    estimator: Any
    steps: int | None
    data: tuple
    test: tuple
    scoring: Any


def run_jobs(jobs, n_jobs):
    """Run jobs, and yield each result: here as soon as it is known, else when its job is done.

    Parameters
    ----------
    jobs : list of Job
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
            yield from _fit_and_score(job)
        return
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    for results in parallel(delayed(_all_of)(job) for job in jobs):
        yield from results


def _all_of(job):
    return list(_fit_and_score(job))


def _fit_and_score(job):
    """Fit and score one group of strategies in one run; in a worker process."""
    run, task = job.run, job.task
    X, y, groups = (part if part is None else safe_indexing(part, run.train) for part in job.data)
    X_test, y_test = (safe_indexing(part, run.test) for part in job.test)
    with warnings.catch_warnings():
        # The first fit will give the same warnings again.
        warnings.simplefilter("ignore")
        _warm_up(task, job.estimator, X, y)
    fits = fit_group(task, job.group, job.estimator, X, y, groups, seed=run.seed, steps=job.steps)
    for expected in job.group:
        # The filters are the process's: they are set while it works here, not while it waits.
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                strategy, fitted, seconds = next(fits)
                outcome = task.outcome(
                    strategy,
                    fitted,
                    X_test,
                    y_test,
                    rows=run.test,
                    scoring=job.scoring,
                    seconds=seconds,
                )
            except Exception as exc:
                exc.add_note(f"It was raised by the strategy {expected.label!r} of the comparison.")
                raise
        yield job.i_run, outcome, {str(warning.message) for warning in caught}


def _warm_up(task, estimator, X, y):
    """Train a step once a process, so that the first strategy does not pay for torch's start."""
    if estimator is None or _warm_up.is_done:
        return
    rows = task.few_samples(y)
    estimator = clone(estimator).set_params(max_epochs=1, steps_per_epoch=1)
    if "calibration" in estimator.get_params(deep=False):
        estimator.set_params(calibration=None)
    estimator.fit(safe_indexing(X, rows), y[rows])
    _warm_up.is_done = True


_warm_up.is_done = False


class Progress:
    """A bar on a terminal, one line a strategy elsewhere, nothing when silent; on stderr.

    Parameters
    ----------
    n_strategies, n_runs : int
    verbose : int
        0: silent.
    """

    def __init__(self, n_strategies, n_runs, verbose):
        self.shows_lines = bool(verbose) and not sys.stderr.isatty()
        self.bar = tqdm(
            total=n_strategies * n_runs,
            desc="strategies x runs",
            unit="fit",
            disable=not (verbose and sys.stderr.isatty()),
        )

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.bar.close()

    def advance(self, outcomes):
        """Count one fit of a strategy, whose outcomes so far are these (None: still to come)."""
        self.bar.update()
        if self.shows_lines and all(outcomes):
            seconds = np.mean([outcome.seconds for outcome in outcomes])
            metric = next(iter(outcomes[0].scores))
            score = np.mean([outcome.scores[metric] for outcome in outcomes])
            print(
                f"{visible_text(outcomes[0].strategy)}: {metric} {score:.3f}, {len(outcomes)} runs "
                f"of {seconds:.1f} s",
                file=sys.stderr,
                flush=True,
            )
