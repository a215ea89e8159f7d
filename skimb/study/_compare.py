"""compare(): every strategy on the same folds, with the same seeds and steps."""

import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import column_or_1d
from tqdm import tqdm

from skimb._image_files import is_paths
from skimb._params import safe_indexing
from skimb._warnings import warn
from skimb.neural_network import CNNClassifier, CNNRegressor, training_length
from skimb.study._classification import ClassificationTask
from skimb.study._recipe import code_of, recipe_of
from skimb.study._regression import RegressionTask
from skimb.study._splits import bundles_of, check_whole, count_known
from skimb.study._strategies import BASELINE

__all__ = ["compare"]


def compare(
    X,
    y,
    *,
    strategies=None,
    estimator=None,
    cv=None,
    groups=None,
    n_repeats=1,
    scoring=None,
    X_test=None,
    y_test=None,
    random_state=None,
    n_jobs=None,
    verbose=0,
) -> Any:
    """Compare remedies for imbalance on your data: rare classes, or rare values of a number.

    No remedy wins everywhere. Every strategy sees the same folds, starts from the same seeds and
    takes the same number of gradient steps; each is set against the plain network, with an
    interval that says whether the difference is more than noise.

    Parameters
    ----------
    X : array-like of shape (n, d), (n, H, W), (n, H, W, C) or (n, C, H, W)
        Images.
    y : array-like of shape (n,)
        Labels, of which the rarest is the minority; or values of a continuous target.
    strategies : sequence of str, default=None
        Names from `skimb.study.STRATEGIES` or, for a continuous target,
        `skimb.study.REGRESSION_STRATEGIES`. None: all that can run: where no value of y lies beyond
        the whiskers of its box plot, those that must know what is rare cannot. ``"none"``, the
        baseline, is always added.
    estimator : CNNClassifier or CNNRegressor, default=None
        The network and how it is trained; the strategies change it each in one respect, and each
        run gives it a seed. None: a ``CNNRegressor()`` where y holds fractions, else a
        ``CNNClassifier()``: for whole numbers that are a quantity, give the former.
    cv : int, splitter or iterable, default=None
        Folds. None: 5; an int is stratified, by class or by the rank of the value, and shuffled
        anew in each repeat.
    groups : array-like of shape (n,), default=None
        Rows of one group, a patient say, never stand on both sides of a split, lest a network be
        scored on what it knows by heart. Nor do images that are equal byte for byte (paths: equal
        strings), with groups and without; where a `cv` of your own, or the test set, puts equal
        ones on both sides, a warning says so.
    n_repeats : int, default=1
        How often the folds are run, each time other folds and seeds; 1 where `cv` fixes the folds.
    scoring : dict of str to scorer, default=None
        None: `skimb.metrics.imbalance_scoring`, or `skimb.metrics.regression_scoring`, of which
        errors are shown as such, the lower the better.
    X_test, y_test : array-like, default=None
        A test set. With it there are no folds: each repeat trains on all of X, and the intervals
        speak of the randomness of training alone.
    random_state : int, RandomState instance or None, default=None
        Drives folds and seeds. Results are equal for any `n_jobs`.
    n_jobs : int, default=None
        Processes, as in joblib.
    verbose : int, default=0
        1: a progress bar on a terminal, otherwise one line a strategy, on stderr.

    Returns
    -------
    Comparison or RegressionComparison
        With ``table``, ``verdict``, ``plot()``, ``to_html(path)`` and ``to_json(path)``.

    Raises
    ------
    ValueError
        If a strategy is unknown, a class is too small for the folds, the splits of `cv` tear
        groups apart, or the estimator cannot be compared fairly; before any training.

    Examples
    --------
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.neural_network import CNNClassifier
    >>> from skimb.study import compare
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> result = compare(
    ...     X,
    ...     y,
    ...     strategies=["class_weight", "prior_shift"],
    ...     estimator=CNNClassifier(max_epochs=2),
    ...     cv=3,
    ...     random_state=0,
    ... )
    >>> result.table[("f1_minority", "mean")].index.tolist()
    ['none', 'class_weight', 'prior_shift']
    """
    y = column_or_1d(y)
    check_consistent_length(X, y)
    task = _task_of(estimator, X, y)
    names = _check_names(strategies, task)
    if (X_test is None) != (y_test is None):
        raise ValueError("`X_test` and `y_test` belong together: give both or neither.")
    estimator = _check_estimator(estimator, task)
    if not isinstance(n_repeats, Integral) or n_repeats < 1:
        raise ValueError(f"`n_repeats` must be a positive integer. Got {n_repeats!r}.")
    scoring = task.default_scoring() if scoring is None else scoring
    if not isinstance(scoring, Mapping) or not scoring:
        raise ValueError(f"`scoring` must be a dict of names to scorers. Got {scoring!r}.")
    task.choose_measure(scoring)
    test = (X, y) if X_test is None else (X_test, column_or_1d(y_test))
    bundle = bundles_of(X, groups)
    tied = bundle if len(np.unique(bundle)) < len(y) else None
    if groups is not None and getattr(estimator, "calibration", None) is not None:
        raise ValueError(
            f"`estimator` has calibration={estimator.calibration!r}, which holds rows of a "
            "training part out without regard to `groups`. Leave it None."
        )
    of_own = bundle if groups is not None else None
    runs, kind = _runs(task, y, tied, of_own, cv, n_repeats, X_test, y_test, random_state)
    if X_test is None:
        n_known = check_whole(bundle, groups, [(run.train, run.test) for run in runs])
    else:
        n_known = count_known(X, X_test)
    task.check_rows(names, y, test[1], runs, tied)
    n_train = max(len(run.train) for run in runs)
    # One length for all, whatever their samplers make of the number of samples.
    length = training_length(
        n_train,
        batch_size=estimator.batch_size,
        max_epochs=estimator.max_epochs,
        steps_per_epoch=estimator.steps_per_epoch,
    )
    plain = clone(estimator).set_params(random_state=None)
    rows = task.few_samples(y)
    recipe = recipe_of(estimator, safe_indexing(X, rows), y[rows], length)
    estimator.set_params(batch_size=length.batch_size, max_epochs=length.max_epochs)

    jobs = [
        (i, group, task, estimator, length.steps_per_epoch, (X, y, tied), test, run, scoring)
        for group in task.group(names)
        for i, run in enumerate(runs)
    ]
    outcomes: dict[str, list] = {name: [None] * len(runs) for name in names}
    messages = {*_left_out(strategies, task, verbose), *_too_good(n_known, verbose)}
    with _Progress(names, len(runs), verbose) as progress:
        for i, outcome, warned in _run_jobs(jobs, n_jobs):
            messages |= warned
            outcomes[outcome.strategy][i] = outcome
            progress.advance(outcomes[outcome.strategy])
    test_share = 0.0
    if X_test is None:
        test_share = float(np.mean([len(run.test) / len(run.train) for run in runs]))
    protocol = {
        "evaluation": kind,
        "n_runs": len(runs),
        "n_repeats": int(n_repeats),
        "n_rows": len(y),
        "n_test_rows": round(np.mean([len(run.test) for run in runs])),
        # Bundles of rows that stay together, where there are any and they do.
        "n_groups": None if tied is None or n_known else len(np.unique(tied)),
        **task.describe(),
        "gradient_steps": length.n_steps,
        "epochs": length.max_epochs,
        "steps_per_epoch": length.steps_per_epoch,
        "batch_size": length.batch_size,
        "interval": "95 %, corrected resampled t-test (Nadeau and Bengio 2003)"
        if test_share
        else "95 %, paired t-test over seeds",
        "test_share": test_share,
        "recipe": recipe,
        "code": {name: code_of(_as_run(task.made(name, plain), length)) for name in names},
        "seeds": [run.seed for run in runs],
        "random_state": int(random_state) if isinstance(random_state, Integral) else None,
        "n_jobs": effective_n_jobs(n_jobs),
        "warnings": sorted(messages),
    }
    shape = {"image_shape": estimator.image_shape, "channels": estimator.channels}
    return task.comparison(outcomes, (X, y), test[0], protocol=protocol, **shape)


def _as_run(made, length):
    """Fix the length of a training whose sampler changes the number of samples it depends on."""
    if getattr(made, "sampler", None) is None or not hasattr(made, "steps_per_epoch"):
        return made
    return made.set_params(**length._asdict())


@dataclass
class Run:
    """One run of every strategy: a fold of a repeat, or a repeat on a fixed test set.

    Parameters
    ----------
    train : ndarray of int
        Training rows of X.
    test : ndarray of int
        Test rows, of X or of the fixed test set.
    seed : int
        Seeds every strategy alike.
    """

    train: np.ndarray
    test: np.ndarray
    seed: int


def _task_of(estimator, X, y):
    """Tell by the estimator, or else by y, whether labels or numbers are to be predicted."""
    if estimator is not None and not isinstance(estimator, CNNClassifier | CNNRegressor):
        raise ValueError(
            f"`estimator` must be a CNNClassifier or a CNNRegressor, whose parameters the "
            f"strategies set. Got {type(estimator).__name__}."
        )
    is_regression = isinstance(estimator, CNNRegressor)
    if estimator is None:
        is_regression = type_of_target(y, input_name="y") == "continuous"
    if not is_regression:
        return ClassificationTask(y)
    relevance = None if estimator is None else estimator.relevance
    return RegressionTask(y, relevance=relevance, has_paths=is_paths(X))


def _check_names(strategies, task):
    known = task.strategies
    if strategies is None:
        return [name for name in known if task.why_impossible(name) is None]
    if isinstance(strategies, str):
        raise ValueError(f"`strategies` must be a list of names. Got the string {strategies!r}.")
    unknown = [name for name in strategies if name not in known]
    if unknown:
        raise ValueError(f"Unknown strategies {unknown}. Known are {list(known)}.")
    for name in strategies:
        if (reason := task.why_impossible(name)) is not None:
            raise ValueError(f"Strategy {name!r} cannot run here. {reason}")
    return [name for name in known if name == BASELINE or name in strategies]


def _left_out(strategies, task, verbose):
    """Tell which strategies were left out unasked, as one message if any."""
    reasons = (
        {}
        if strategies is not None
        else {name: reason for name in task.strategies if (reason := task.why_impossible(name))}
    )
    if not reasons:
        return []
    message = f"Left out: {', '.join(reasons)}. {next(iter(reasons.values()))}"
    if verbose:
        print(message, file=sys.stderr, flush=True)
    return [message]


def _check_estimator(estimator, task):
    if estimator is None:
        return task.estimator_class()
    if estimator.early_stopping:
        raise ValueError(
            "Early stopping gives each strategy another number of gradient steps. Compare with "
            "early_stopping=False, and choose max_epochs."
        )
    for name, value in task.plain.items():
        if getattr(estimator, name) != value:
            raise ValueError(
                f"`estimator` has {name}={getattr(estimator, name)!r}, a remedy of its own: the "
                f"baseline would not be plain. Leave it {value!r}; strategies set it."
            )
    return clone(estimator)


def _too_good(n_known, verbose):
    """Tell of test images that networks were trained on, as one message if any."""
    if not n_known:
        return []
    message = (
        f"{n_known} test images of a run equal images that the networks are trained on, byte for "
        "byte: the scores are too good."
    )
    if verbose:
        print(message, file=sys.stderr, flush=True)
    else:
        warn(message)
    return [message]


def _runs(task, y, tied, of_own, cv, n_repeats, X_test, y_test, random_state):
    rng = check_random_state(random_state)
    seeds = rng.randint(np.iinfo(np.int32).max, size=n_repeats)
    if X_test is not None:
        if cv is not None:
            raise ValueError("With `X_test` there are no folds: leave `cv` None.")
        check_consistent_length(X_test, y_test)
        everything, tested = np.arange(len(y)), np.arange(len(y_test))
        return [Run(everything, tested, int(seed)) for seed in seeds], "fixed test set"
    cv = 5 if cv is None else cv
    if not isinstance(cv, Integral) and n_repeats > 1:
        raise ValueError(
            f"n_repeats={n_repeats} would run the folds of `cv` again, and their scores are not "
            "independent. Give `cv` as a number, whose folds are shuffled anew in each repeat."
        )
    runs = []
    for seed in seeds:
        if isinstance(cv, Integral):
            splits = task.splits(int(cv), seed, tied)
        else:
            splits = _own_splits(cv, y, of_own)
        fold_seeds = np.random.RandomState(seed).randint(np.iinfo(np.int32).max, size=len(splits))
        runs += [
            Run(train, test, int(fold_seed))
            for (train, test), fold_seed in zip(splits, fold_seeds, strict=True)
        ]
    return runs, f"{len(splits)}-fold cross-validation"


def _own_splits(cv, y, groups):
    folds, X = check_cv(cv, y), np.empty(len(y))
    if groups is None:
        return list(folds.split(X, y))
    with warnings.catch_warnings():
        # Splits that tear groups apart are refused later.
        warnings.filterwarnings("ignore", message="The groups parameter is ignored")
        return list(folds.split(X, y, groups))


def _warm_up(task, estimator, X, y):
    """Train a step once a process, so that the first strategy does not pay for torch's start."""
    if not _warm_up.is_done:
        rows = task.few_samples(y)
        estimator = clone(estimator).set_params(max_epochs=1, steps_per_epoch=1)
        if "calibration" in estimator.get_params(deep=False):
            estimator.set_params(calibration=None)
        estimator.fit(safe_indexing(X, rows), y[rows])
        _warm_up.is_done = True


_warm_up.is_done = False


def _run_jobs(jobs, n_jobs):
    """Yield what each job does: in this process as soon as it is known, in others when all is."""
    if effective_n_jobs(n_jobs) == 1:
        for job in jobs:
            yield from _fit_and_score(*job)
        return
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    for results in parallel(delayed(_all_of)(_fit_and_score, *job) for job in jobs):
        yield from results


def _all_of(generator, *args):
    return list(generator(*args))


def _fit_and_score(i, group, task, estimator, steps, data, test, run, scoring):
    """Fit and score one group of strategies in one run; in a worker process.

    Yields ``(i, outcome, messages)``, the last the warnings that were raised.
    """
    X, y, tied = (part if part is None else safe_indexing(part, run.train) for part in data)
    X_test, y_test = (safe_indexing(part, run.test) for part in test)
    with warnings.catch_warnings():
        # What it warns of, the first fit will say again.
        warnings.simplefilter("ignore")
        _warm_up(task, estimator, X, y)
    fits = task.fit(group, estimator, X, y, tied, seed=run.seed, steps=steps)
    for _ in group:
        # The filters are the process's: they are set while it works here, not while it waits.
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            name, fitted, seconds = next(fits)
            outcome = task.outcome(
                name, fitted, X_test, y_test, rows=run.test, scoring=scoring, seconds=seconds
            )
        yield i, outcome, {str(warning.message) for warning in caught}


class _Progress:
    """A bar on a terminal, one line a strategy elsewhere, nothing when silent; on stderr."""

    def __init__(self, names, n_units, verbose):
        self.shows_lines = bool(verbose) and not sys.stderr.isatty()
        self.bar = tqdm(
            total=len(names) * n_units,
            desc="strategies x runs",
            unit="fit",
            disable=not (verbose and sys.stderr.isatty()),
        )

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.bar.close()

    def advance(self, outcomes):
        self.bar.update()
        if self.shows_lines and all(outcomes):
            seconds = np.mean([outcome.seconds for outcome in outcomes])
            metric = next(iter(outcomes[0].scores))
            score = np.mean([outcome.scores[metric] for outcome in outcomes])
            print(
                f"{outcomes[0].strategy}: {metric} {score:.3f}, {len(outcomes)} runs of "
                f"{seconds:.1f} s",
                file=sys.stderr,
                flush=True,
            )
