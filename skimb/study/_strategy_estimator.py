"""One strategy outside a comparison: the estimator that it is, and its fit on all samples."""

import copy
from collections.abc import Mapping
from functools import partial
from numbers import Integral
from typing import Any

from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils import check_consistent_length

from skimb._groups import group_numbers
from skimb._strategy_names import OWN_STEPS
from skimb._unpacking import plain_vector
from skimb.model_selection import (
    AutoBalanceClassifier,
    SpreadCorrectedRegressor,
    TunedOffsetsClassifierCV,
)
from skimb.neural_network import DecoupledClassifier, training_length
from skimb.study._lost_calibration import check_calibration
from skimb.study._middle_sizes import with_sizes
from skimb.study._splits import image_groups
from skimb.study._strategies import CONSTANT, check_settings
from skimb.study._strategy_fits import fit_built_in, seeded, with_length, with_seed
from skimb.study._tasks import task_of, with_measure_first
from skimb.study._tuned_baseline import is_search

__all__ = ["fit_strategy", "ready_estimator", "ready_estimators", "strategy_estimator"]


def strategy_estimator(
    name: str,
    X: Any,
    y: Any,
    *,
    estimator: Any = None,
    settings: dict[str, Any] | None = None,
    shared_features: bool = False,
    measure: str | None = None,
    head_training: Any = None,
    groups: ArrayLike | None = None,
    random_state: Any = None,
) -> Any:
    """Return the estimator that a built-in strategy of `compare` trains, not fitted.

    Fitted on the training part of a run with the seed of that run, it predicts as the strategy did
    in the comparison.

    Parameters
    ----------
    name : str
        A name from `skimb.study.STRATEGIES`, `skimb.study.FURTHER_STRATEGIES` or
        `skimb.study.REGRESSION_STRATEGIES`.
    X : array-like of shape (n, d), (n, H, W), (n, H, W, C) or (n, C, H, W), or of n paths
        The images that it will be fitted on.
    y : array-like of shape (n,)
        Their labels or values. They fix the length of the training, the measure that
        ``"threshold"`` is tuned for, the sizes of classes after sampling, and the rare values.
    estimator : CNNClassifier or CNNRegressor, default=None
        The baseline, as in `compare`. It is left as it is.
    settings : dict, default=None
        Parameters that the strategy sets in addition to its own, such as ``{"loss__gamma": 5}`` of
        ``"focal"``.
    shared_features : bool, default=False
        As in `compare`: whether the strategy acts on the last layer of the baseline's network
        alone, if it can.
    measure : str, default=None
        As in `compare`: what ``"threshold"`` and ``"spread_corrected"`` are tuned for, a name of
        the measures of `skimb.metrics.imbalance_scoring` or `skimb.metrics.regression_scoring`.
        None: as without one there.
    head_training : dict, default=None
        The ``batch_size`` and ``max_epochs`` of the last layer that a strategy trains after its
        network, as ``protocol["head_training"]`` of a comparison has them. None: by the rule of
        `skimb.neural_network.training_length` for these samples. Strategies without such a last
        layer do not read it.
    groups : array-like of shape (n,), default=None
        As in `fit_strategy`: groups that it could not divide are refused here already.

        .. versionadded:: 0.2.0
    random_state : int, default=None
        The seed of the network, and of what is built on it.

    Returns
    -------
    estimator
        A ``CNNClassifier`` or ``CNNRegressor``, for ``"smote_embedding"``, ``"decoupled"``,
        ``"recipe"`` and ``"recipe_long"`` a ``DecoupledClassifier``, for ``"threshold"`` a
        ``TunedOffsetsClassifierCV``, for ``"spread_corrected"`` a ``SpreadCorrectedRegressor``, for
        ``"autobalance"`` an ``AutoBalanceClassifier``, for ``"tuned_baseline"`` a
        ``GridSearchCV``, and for ``"constant"`` a dummy of scikit-learn.

    Raises
    ------
    ValueError
        If the name is unknown, the strategy cannot run on this target, it needs more samples or
        groups of a class, or `head_training` has other keys or values.

    Notes
    -----
    Where ``batch_size`` or ``max_epochs`` of `estimator` is ``"auto"``, it follows from the number
    of samples here, as in every fit. A comparison in folds trains on fewer: to train as it did,
    take ``comparison.estimator(name)``, or give the numbers of its protocol.

    Examples
    --------
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.study import strategy_estimator
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> strategy_estimator("class_weight", X, y, random_state=0)
    CNNClassifier(class_weight='balanced', random_state=0)
    """
    y = plain_vector(y)
    check_consistent_length(X, y)
    task = task_of(estimator, X, y)
    if name not in task.strategies:
        raise ValueError(
            f"{name!r} is no strategy for a {task.kind}. Known are {', '.join(task.strategies)}."
        )
    if (reason := task.why_impossible(name)) is not None:
        raise ValueError(f"Strategy {name!r} cannot run on this target. {reason}")
    network = task.estimator_class() if estimator is None else clone(estimator)
    network.set_params(random_state=random_state)
    check_calibration(network, [(name, name)])
    task.choose_measure(with_measure_first(task.default_scoring(), measure), measure)
    check_settings(name, name, settings or {}, task)
    head_training = _checked_head_training(head_training)
    if shared_features:
        task.share_features(len(y), **head_training)
    task.check_training(name, None if groups is None else group_numbers(groups, X))
    return ready_estimator(
        task,
        name,
        network,
        y,
        settings=settings,
        head_training=head_training,
        random_state=random_state,
    )


def _checked_head_training(given):
    """Return how last layers are trained, as a dict; refuse other keys and values."""
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not set(given) <= {"batch_size", "max_epochs"}:
        raise ValueError(
            "`head_training` must be a dict with batch_size and max_epochs, as "
            f'comparison.protocol["head_training"]["smote_embedding"] is. Got {given!r}.'
        )
    for name, value in given.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < 1:
            raise ValueError(
                f"{name} of `head_training` must be a positive integer. Got {value!r}."
            )
    return dict(given)


def ready_estimator(
    task, name, network, y, *, settings=None, head_training=None, random_state=None
) -> Any:
    """Return the estimator of a built-in strategy with its length and its seed, not fitted.

    Parameters
    ----------
    task : ClassificationTask or RegressionTask
        The task, which has chosen its measure.
    name : str
        The strategy.
    network : CNNClassifier or CNNRegressor
        The baseline, with the seed; it is left as it is.
    y : ndarray of shape (n,)
        The target of all samples.
    settings : dict, default=None
        Parameters that a variant sets.
    head_training : dict, default=None
        The ``batch_size`` and ``max_epochs`` of a last layer that is trained after its network.
    random_state : int, default=None

    Returns
    -------
    estimator
    """
    length = training_length(
        len(y),
        batch_size=network.batch_size,
        max_epochs=network.max_epochs,
        steps_per_epoch=network.steps_per_epoch,
    )
    if name in OWN_STEPS:
        # Small batches are a part of the usual ones, and more epochs a multiple of them.
        sizes = {"batch_size": length.batch_size, "max_epochs": length.max_epochs}
        unknown = {size: value for size, value in sizes.items() if getattr(network, size) == "auto"}
        network = clone(network).set_params(**unknown)
    made = task.unfitted(name, network, settings)
    if name == CONSTANT:
        return made
    if head_training and isinstance(made, DecoupledClassifier) and name not in task.on_heads:
        made.set_params(**head_training)
    if getattr(made, "sampler", None) is not None:
        made.set_params(sampler=with_sizes(made.sampler, y))
    return with_seed(with_length(made, length), random_state)


def ready_estimators(task, chosen, estimator, y, random_state, head_training=None):
    """Return the estimator of each strategy of a comparison, ready to be fitted on all samples.

    Batches and epochs are those of the comparison. Where it trained on a part of the samples, an
    epoch has fewer steps there than here, in proportion to the samples.

    Parameters
    ----------
    task : ClassificationTask or RegressionTask
        The task, which has chosen its measure.
    chosen : list of Strategy
    estimator : CNNClassifier or CNNRegressor
        The baseline with the batch size and the epochs of the comparison; it is left as it is.
    y : ndarray of shape (n,)
        The target of all samples.
    random_state : int, RandomState instance or None
        An int is the seed of all.
    head_training : dict of str to dict, default=None
        By strategy, the ``batch_size`` and ``max_epochs`` of a last layer that it trains after its
        network.

    Returns
    -------
    dict of str to estimator
    """
    seed = int(random_state) if isinstance(random_state, Integral) else None
    network = clone(estimator).set_params(random_state=seed)
    lengths = head_training or {}
    if task.on_heads:
        task = copy.copy(task)
        task.share_features(
            len(y),
            batch_size=task.head_length.batch_size,
            max_epochs=task.head_length.max_epochs,
        )
    return {
        strategy.label: (clone if seed is None else partial(seeded, seed=seed))(strategy.estimator)
        if strategy.is_own
        else ready_estimator(
            task,
            strategy.name,
            network,
            y,
            settings=strategy.settings,
            head_training=lengths.get(strategy.label),
            random_state=seed,
        )
        for strategy in chosen
    }


def fit_strategy(
    name: str,
    X: Any,
    y: ArrayLike,
    *,
    estimator: Any = None,
    settings: dict[str, Any] | None = None,
    shared_features: bool = False,
    measure: str | None = None,
    head_training: Any = None,
    groups: ArrayLike | None = None,
    random_state: Any = None,
) -> Any:
    """Fit a built-in strategy of `compare` on samples, without a comparison.

    Parameters
    ----------
    name, X, y, estimator, settings, shared_features, measure, head_training
        As in `strategy_estimator`.
    groups : array-like of shape (n,), default=None
        Samples of one group stay on one side where ``"threshold"``, ``"spread_corrected"``,
        ``"autobalance"`` and ``"tuned_baseline"`` hold some out; no other strategy holds any out.
    random_state
        As in `strategy_estimator`.

    Returns
    -------
    estimator
        Fitted; for ``"tuned_baseline"`` the network that the search has found.

    Raises
    ------
    ValueError
        As `strategy_estimator`, or if the samples do not fit. It is raised before any training.

    Examples
    --------
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.neural_network import CNNClassifier
    >>> from skimb.study import fit_strategy
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> quick = CNNClassifier(max_epochs=1)
    >>> fit_strategy("prior_shift", X, y, estimator=quick, random_state=0).classes_
    array([0, 1])
    """
    made = strategy_estimator(
        name,
        X,
        y,
        estimator=estimator,
        settings=settings,
        shared_features=shared_features,
        measure=measure,
        head_training=head_training,
        random_state=random_state,
    )
    # A network would hold a validation part out by groups, which the comparison does not do.
    if isinstance(
        made, AutoBalanceClassifier | SpreadCorrectedRegressor | TunedOffsetsClassifierCV
    ):
        return made.fit(X, y, groups=groups)
    if is_search(made):
        return fit_built_in(made, X, y, image_groups(X, groups, made.estimator)).best_estimator_
    return made.fit(X, y)
