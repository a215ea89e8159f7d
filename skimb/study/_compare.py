"""compare(): every strategy on the same folds, with the same seeds and steps."""

import os
import sys
from collections.abc import Mapping
from itertools import product
from numbers import Integral
from typing import Any

from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils import check_consistent_length

from skimb._drawn_text import visible_text
from skimb._frame_images import only_images
from skimb._image_files import as_paths, is_paths
from skimb._messages import counted
from skimb._reading import view_of
from skimb._unpacking import plain_vector
from skimb._warnings import warn
from skimb.study._deployment_checks import check_deployment, check_names
from skimb.study._jobs import Job, run_jobs
from skimb.study._kept_outcomes import open_outcomes
from skimb.study._lost_calibration import check_calibration
from skimb.study._progress import Progress
from skimb.study._protocol import Training, protocol_of
from skimb.study._runs import planned_runs
from skimb.study._splits import image_groups
from skimb.study._strategies import chosen_strategies, group_strategies
from skimb.study._tasks import task_of, with_measure_first

__all__ = ["compare"]


def compare(
    X: Any,
    y: ArrayLike,
    *,
    strategies: Any = None,
    estimator: Any = None,
    cv: Any = None,
    groups: ArrayLike | None = None,
    n_repeats: int = 1,
    scoring: Any = None,
    measure: str | None = None,
    shared_features: bool = False,
    X_test: Any = None,
    y_test: ArrayLike | None = None,
    deploy: Any = None,
    costs: Any = None,
    require: Any = None,
    random_state: Any = None,
    n_jobs: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    verbose: int = 0,
) -> Any:
    """Compare strategies against imbalance on your data: imbalanced classes, or rare values.

    No strategy wins everywhere. Every strategy sees the same folds and starts from the same seeds,
    and the built-in ones take the same number of gradient steps; each is compared with the
    baseline, with an interval and a test that say whether the difference is more than noise.

    Parameters
    ----------
    X : array-like of shape (n, d), (n, H, W), (n, H, W, C) or (n, C, H, W)
        Images.
    y : array-like of shape (n,)
        Labels, of which the rarest is the minority class; or values of a continuous target.
    strategies : sequence of str or dict, default=None
        A sequence of names from `skimb.study.STRATEGIES` and `skimb.study.FURTHER_STRATEGIES` or,
        for a continuous target, `skimb.study.REGRESSION_STRATEGIES`: ``"none"``, the baseline, is
        added to it. None: all that can run, without the further ones; where no value of y lies
        beyond the whiskers of its box plot, those that must know which values are rare cannot.
        ``"recipe"``, ``"recipe_long"`` and ``"tuned_baseline"`` take steps of their own, which the
        result tells.

        A dict instead joins estimators of your own, as in ``{"none": "none", "mine": estimator}``:
        its keys are the names that tables and files show, its values are names of built-in
        strategies, also with settings, as ``("focal", {"loss__gamma": 5})``, or objects: a
        ``CNNClassifier`` or ``CNNRegressor``, any other scikit-learn classifier or regressor, or a
        Pipeline of scikit-learn or imbalanced-learn. In every run a clone of the object is fitted
        with ``X`` and ``y`` of the same training part, and scored on the same test part with the
        same measures. Wherever it has a ``random_state`` that is None, nested ones included, it
        gets a seed that is derived from `random_state`. An object is trained as it is: only the
        built-in strategies are sure to take the same number of gradient steps. The baseline is the
        entry that is ``"none"``, else the first one.
    estimator : CNNClassifier or CNNRegressor, default=None
        The network of the built-in strategies and how it is trained; the strategies change it each
        in one respect, and each run gives it a seed. A strategy that replaces its last layer loses
        its `calibration`, of which a warning tells. It also says whether y holds labels or
        numbers. None: a ``CNNRegressor()`` where y holds fractions or more than 20 different
        numbers, else a ``CNNClassifier()``; the command line follows the same rule.
    cv : int, splitter or iterable, default=None
        Folds. None: 5; an int is stratified, by class or by the rank of the value, and shuffled
        differently in each repeat. Any splitter of scikit-learn, or a list of pairs of indices, is
        taken as it is, such as ``time_splits(times)`` for samples that are to be predicted from
        earlier ones. ``protocol["evaluation"]`` and ``protocol["interval_assumes"]`` say how the
        samples were divided, and what the intervals take for granted then.
    groups : array-like of shape (n,), default=None
        Samples of one group, a patient for instance, never stand on both sides of a split, so that
        no network is scored on images that it has learned. The same holds for images that are equal
        byte for byte (paths: equal strings), with groups and without; where a `cv` of your own, or
        the test set, puts equal ones on both sides, a warning says so. They decide the splits of
        the comparison; an object of your own is fitted without them.
    n_repeats : int, default=1
        The number of times that the folds are run, with other folds and seeds each time;
        1 where `cv` fixes several folds; one split is trained again with other seeds.
    scoring : dict of str to scorer, default=None
        None: `skimb.metrics.imbalance_scoring`, or `skimb.metrics.regression_scoring`, whose
        errors are shown as errors: the lower, the better. A measure that needs scores is NaN for a
        classifier that has neither ``predict_proba`` nor ``decision_function``.
    measure : str, default=None
        The measure that counts, a key of `scoring`: the verdict is about it first, and thresholds
        are tuned for it if it needs labels alone; so is the spread of predicted numbers. None: the
        F1 of the minority class, with balanced accuracy; thresholds are tuned for the first of
        `scoring` that needs labels alone, and with more than two classes for macro F1; the spread
        of numbers for the balanced mean absolute error, or the first where it is not scored.
    shared_features : bool, default=False
        Train one network a run, and let the strategies that can act on its last layer alone: in a
        fraction of the time, but without what a strategy would have changed in the features. The
        baseline is then this network with its last layer trained again for the same steps, without
        a remedy: these steps are often a gain by themselves. ``protocol["shared_features"]`` names
        the strategies that share features; all others run as usual.
    X_test, y_test : array-like, default=None
        A test set. With it there are no folds: each repeat trains on all of X. The intervals come
        from resamples of the test images, and with several repeats from the seeds too; the choice
        of the training images is not in them.
    deploy : dict or Series, default=None
        Where a classifier will be used: a label to its fraction there, such as ``{"cat": 0.08}``.
        Classes that are not named share the remainder as they do in y. With it, or with `costs` or
        `require`, the result has a ``deployment``, what `Comparison.at` returns: the cost of 1000
        images for each strategy, whose probabilities are moved there and cut by Bayes' rule. None:
        the class fractions of y.
    costs : dict, array-like of shape (n_classes, n_classes) or DataFrame, default=None
        What errors cost. For two classes ``{"miss": 10, "alarm": 1}``: a miss is a sample of the
        minority class that is not found. Or a cost matrix, as of `MinimumCostClassifier`. None: an
        error costs 1.
    require : dict, default=None
        ``{"recall": 0.95}``: also count the false alarms of each strategy where the threshold
        guarantees this recall of the minority class with a confidence of 95 %.
    random_state : int, RandomState instance or None, default=None
        The source of folds and seeds. Results are equal for any `n_jobs`.
    n_jobs : int, default=None
        Processes, as in joblib. Within ``joblib.parallel_config("dask")`` the workers of a cluster
        fit and score (docs/guide/clusters.md).
    checkpoint : str or PathLike, default=None
        A folder, which is made if need be, in which every finished fit is kept. An equal call, also
        in another process, goes on from there to the same result, to the bit: it does no fit again
        that another one with equal data, splits, seeds, parameters, scorers and versions has kept.
        So does a call with further strategies. Networks that were training go on from their last
        epoch, as by `checkpoint` of the estimator; the seconds of such a fit are then those of the
        rest. An estimator of your own is kept if its parameters are plain values, arrays,
        functions, networks or estimators; else it is fitted again. The folder may be removed when
        it is no longer wanted. It needs a `random_state`.
    verbose : int, default=0
        1: on stderr, a bar on a terminal that shows what is training and about how much time is
        left; elsewhere one line a strategy, and one about every 30 seconds.

    Returns
    -------
    Comparison or RegressionComparison
        It has ``table``, ``verdict``, ``plot()``, ``to_html(path)`` and ``to_json(path)``.

    Raises
    ------
    ValueError
        If a strategy is unknown or of another kind than the target, a class is too small for the
        folds, the splits of `cv` tear groups apart, the estimator cannot be compared fairly,
        `deploy`, `costs` or `require` do not fit the classes and the test samples, or `checkpoint`
        cannot be written to; all before any training.

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

    An estimator of your own is an entry of a dict:

    >>> from sklearn.dummy import DummyClassifier
    >>> own = {"coin": DummyClassifier(strategy="uniform"), "always 0": DummyClassifier()}
    >>> result = compare(X, y, strategies=own, cv=3, random_state=0)
    >>> result.baseline
    'coin'
    """
    channels = getattr(estimator, "channels", None)
    X, X_test = view_of(X, channels=channels), view_of(X_test, channels=channels)
    y = plain_vector(y)
    check_consistent_length(X, y)
    task = task_of(estimator, X, y)
    chosen = chosen_strategies(strategies, task)
    if (X_test is None) != (y_test is None):
        raise ValueError("`X_test` and `y_test` belong together: give both or neither.")
    estimator = _checked_estimator(estimator, task)
    if not isinstance(n_repeats, Integral) or n_repeats < 1:
        raise ValueError(f"`n_repeats` must be a positive integer. Got {n_repeats!r}.")
    scoring = task.default_scoring() if scoring is None else scoring
    if not isinstance(scoring, Mapping) or not scoring:
        raise ValueError(f"`scoring` must be a dict of names to scorers. Got {scoring!r}.")
    scoring = with_measure_first(scoring, measure)
    task.choose_measure(scoring, measure)
    test = (X, y) if X_test is None else (X_test, plain_vector(y_test, "y_test"))
    images, test_images = (only_images(each, estimator.image_column) for each in (X, test[0]))
    sample_groups = image_groups(X, groups, estimator)
    if groups is not None and getattr(estimator, "calibration", None) is not None:
        raise ValueError(
            f"`estimator` has calibration={estimator.calibration!r}, which holds samples of a "
            "training part out without regard to `groups`. Leave it None."
        )
    plan = planned_runs(
        task,
        y,
        images,
        None if X_test is None else (test_images, test[1]),
        cv=cv,
        groups=sample_groups,
        given_groups=groups,
        n_repeats=n_repeats,
        random_state=random_state,
    )
    if shared_features:
        task.share_features(max(len(run.train) for run in plan.runs))
    task.check_samples(chosen, y, test[1], plan.runs, sample_groups)
    # Images of one group, and equal ones, are no independent witnesses of a difference.
    tested = sample_groups if X_test is None else image_groups(X_test, None, estimator)
    use = {"deploy": deploy, "costs": costs, "require": require}
    is_used = any(value is not None for value in use.values())
    if is_used:
        check_names(scoring)
        check_deployment(task, plan.runs, test[1], tested, **use)
    check_calibration(estimator, [(one.label, one.name) for one in chosen if not one.is_own])
    training = Training(task, chosen, estimator, X, y, plan.runs)

    data = X, y, sample_groups
    kept = open_outcomes(
        checkpoint,
        task=task,
        chosen=chosen,
        training=training,
        runs=plan.runs,
        data=data,
        test=None if X_test is None else test,
        scoring=scoring,
        random_state=random_state,
    )
    if checkpoint is not None and training.estimator is not None:
        _let_networks_go_on(training.estimator, kept.folder)
    messages = {*_left_out(strategies, task, verbose), *_too_good(plan.n_known, verbose)}
    _tell_of_kept(kept, verbose)
    outcomes: dict[str, list] = {strategy.label: [None] * len(plan.runs) for strategy in chosen}
    with Progress(
        len(chosen), len(plan.runs), verbose, len(kept.found), task.first_metric
    ) as progress:
        for (label, i), (outcome, warned) in kept.found.items():
            messages |= warned
            outcomes[label][i] = outcome
            progress.advance(outcomes[label], is_new=False)
        jobs = [
            Job(
                number=number,
                i_run=i,
                run=run,
                group=left,
                task=task,
                estimator=training.estimator,
                steps=training.steps_per_epoch,
                scoring=scoring,
                kept=(kept.folder, kept.keys_of(i, left)),
                told=progress.folder,
            )
            for number, (group, (i, run)) in enumerate(
                product(group_strategies(chosen, task.from_baseline), enumerate(plan.runs))
            )
            if (left := [each for each in group if (each.label, i) not in kept.found])
        ]
        for i, outcome, warned in run_jobs(jobs, data, test, n_jobs):
            messages |= warned
            outcomes[outcome.strategy][i] = outcome
            progress.advance(outcomes[outcome.strategy])
    protocol = protocol_of(
        task,
        plan,
        training,
        groups=sample_groups,
        random_state=random_state,
        n_jobs=n_jobs,
        messages=messages,
    )
    result: Any = task.comparison(
        outcomes,
        (images, y),
        test_images,
        chosen={strategy.label: strategy for strategy in chosen},
        protocol=protocol,
        groups=tested,
        image_shape=estimator.image_shape,
        channels=estimator.channels,
    )
    result.estimators = training.ready_estimators(task, y, random_state)
    if is_paths(test_images):
        result.files = as_paths(test_images).tolist()
    if is_used:
        result.deployment = result.at(**use)
    return result


def _let_networks_go_on(estimator, folder):
    """Let networks of built-in strategies go on from their last epoch, in the same folder."""
    if estimator.checkpoint is None:
        estimator.set_params(checkpoint=str(folder))


def _tell_of_kept(kept, verbose):
    """Tell what a checkpoint holds; of files that cannot be used also where all is silent."""
    for line in [*(kept.remarks if verbose else []), *kept.warnings]:
        if verbose:
            print(visible_text(line), file=sys.stderr, flush=True)
        else:
            warn(line)


def _left_out(strategies, task, verbose):
    """Tell which strategies were left out unasked, as one message if any."""
    reasons = (
        {}
        if strategies is not None
        else {name: reason for name in task.by_default if (reason := task.why_impossible(name))}
    )
    if not reasons:
        return []
    message = f"Left out: {', '.join(reasons)}. {next(iter(reasons.values()))}"
    if verbose:
        print(message, file=sys.stderr, flush=True)
    return [message]


def _checked_estimator(estimator, task):
    if estimator is None:
        return task.estimator_class()
    if estimator.early_stopping:
        raise ValueError(
            "Early stopping gives each strategy another number of gradient steps. Compare with "
            "early_stopping=False, and choose max_epochs; or compare the estimator as an entry of "
            "your own, strategies={'mine': estimator, 'none': 'none'}."
        )
    for name, value in task.baseline_params.items():
        if getattr(estimator, name) != value:
            raise ValueError(
                f"`estimator` has {name}={getattr(estimator, name)!r}, which is a strategy against "
                f"imbalance: the baseline must have none. Leave it {value!r}; strategies set it."
            )
    return clone(estimator)


def _too_good(n_known, verbose):
    """Tell of test images that networks were trained on, as one message if any."""
    if not n_known:
        return []
    message = (
        f"{counted(n_known, 'test image')} of a run {'equals' if n_known == 1 else 'equal'} images "
        "that the networks are trained on, byte for byte: the scores are too good."
    )
    if verbose:
        print(message, file=sys.stderr, flush=True)
    else:
        warn(message)
    return [message]
