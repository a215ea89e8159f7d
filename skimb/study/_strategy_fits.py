"""How the strategies of a comparison are fitted: by groups, with equal seeds and steps."""

import copy
import time

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from skimb._strategy_names import CONSTANT
from skimb._sub_estimators import seeded_clone
from skimb.model_selection import AutoBalanceClassifier
from skimb.neural_network import CNNClassifier, CNNRegressor, DecoupledClassifier
from skimb.study._tuned_baseline import fit_search, is_search, seeded_search

__all__ = [
    "fit_built_in",
    "fit_group",
    "seeded",
    "training_losses",
    "with_length",
    "with_seed",
]


def fit_group(task, group, estimator, X, y, groups=None, *, seed, steps=None):
    """Fit the strategies of one group, and yield each when it is ready.

    Parameters
    ----------
    task : ClassificationTask or RegressionTask
        The task, which knows the built-in strategies.
    group : list of Strategy
        A group of `group_strategies`.
    estimator : CNNClassifier or CNNRegressor
        The network's settings; it is left as it is. Strategies of the user's own do without.
    X, y : array-like
        The training part.
    groups : ndarray of shape (n,), int, default=None
        The group of each sample: samples of one group stay together where some are held out.
    seed : int
        The seed, the same for every strategy.
    steps : int, default=None
        Steps of an epoch, the same for all built-in strategies; None: left to the estimator.

    Yields
    ------
    strategy : Strategy
    fitted : estimator
    seconds : float
        The time that a user of this strategy alone would wait, the baseline's network included.
    """
    built = [strategy for strategy in group if strategy.name in task.from_baseline]
    first = next((strategy for strategy in group if strategy not in built), None)
    start = time.perf_counter()
    if first is not None and first.is_own:
        fitted = seeded(first.estimator, seed).fit(X, y)
    else:
        if first is None:
            # The network alone, on which all of them are built.
            fitted = copy.copy(estimator)
        else:
            fitted = task.unfitted(first.name, estimator, first.settings)
        if first is None or first.name != CONSTANT:
            with_seed(fitted, seed)
            _with_steps(fitted, len(y), steps)
        fit_built_in(fitted, X, y, groups)
    first_seconds = time.perf_counter() - start
    if first is not None:
        yield first, fitted, first_seconds
    on_heads = [strategy for strategy in built if strategy.name in task.on_heads]
    if on_heads:
        start = time.perf_counter()
        heads = task.heads(on_heads, fitted, X, y, groups, seed=seed)
        # They are trained together: each has its part of the time.
        seconds = first_seconds + (time.perf_counter() - start) / len(heads)
        for strategy, head in zip(on_heads, heads, strict=True):
            yield strategy, head, seconds
    for strategy in (each for each in built if each not in on_heads):
        start = time.perf_counter()
        further = task.built_on(strategy.name, fitted, X, y, groups, seed=seed)
        yield strategy, further, time.perf_counter() - start + first_seconds


def seeded(estimator, seed):
    """Clone an estimator of the user's own, and seed each of its random states that has no seed.

    Parameters
    ----------
    estimator : estimator
    seed : int

    Returns
    -------
    estimator
    """
    if not isinstance(estimator, CNNClassifier | CNNRegressor):
        return seeded_clone(estimator, np.random.RandomState(seed))
    # These start as the built-in strategies do, and seed their samplers themselves.
    network = clone(estimator)
    return network.set_params(random_state=seed) if network.random_state is None else network


def _with_steps(network, n_samples, steps):
    """Fix the steps of an epoch where they would not come out so by themselves.

    Where they do, an epoch is every sample once, as the constructor has it.
    """
    if isinstance(network, AutoBalanceClassifier):
        network = network.estimator
    if steps is None or is_search(network) or isinstance(network, DecoupledClassifier):
        # These take steps of their own.
        return
    if network.steps_per_epoch is not None:
        return
    comes_out = network.sampler is None and -(-n_samples // network.batch_size) == steps
    if not comes_out:
        network.set_params(steps_per_epoch=steps)


def with_length(made, length):
    """Fix the length of a training whose sampler changes the number of its samples.

    Parameters
    ----------
    made : estimator
        Not fitted.
    length : TrainingLength
        The length that the training has without a sampler.

    Returns
    -------
    estimator
        The same one; others are left as they are.
    """
    if isinstance(made, DecoupledClassifier):
        # Its last layer has a length of its own.
        return made
    if getattr(made, "sampler", None) is None or not hasattr(made, "steps_per_epoch"):
        return made
    return made.set_params(**length._asdict())


def with_seed(made, seed):
    """Give the estimator of a built-in strategy its seed.

    Parameters
    ----------
    made : estimator
        Not fitted.
    seed : int or None

    Returns
    -------
    estimator
        The same one.
    """
    if is_search(made):
        return seeded_search(made, seed)
    if isinstance(made, AutoBalanceClassifier | DecoupledClassifier):
        made.set_params(estimator__random_state=seed)
    if getattr(made, "shared_network", False):
        # The last layer that decisions are tuned for is that of the baseline.
        made.set_params(estimator__random_state=seed)
    return made.set_params(random_state=seed)


def fit_built_in(made, X, y, groups=None):
    """Fit the estimator of a built-in strategy that trains a network of its own.

    Parameters
    ----------
    made : estimator
    X, y : array-like
        The training part.
    groups : ndarray of shape (n,), int, or None
        Those who hold parts out keep groups together. A network gets none: it would hold a
        validation part out by them.

    Returns
    -------
    estimator
        The same one, fitted.
    """
    if is_search(made):
        return fit_search(made, X, y, groups)
    if isinstance(made, AutoBalanceClassifier):
        return made.fit(X, y, groups=groups)
    return made.fit(X, y)


def training_losses(fitted):
    """Return the training loss of each epoch of the network that an estimator is, or ends in.

    Parameters
    ----------
    fitted : estimator
        Fitted.

    Returns
    -------
    list of float
        Empty where there is no such network.
    """
    try:
        return [epoch["train_loss"] for epoch in getattr(_last_step(fitted), "history_", [])]
    except (TypeError, KeyError):
        return []


def _last_step(fitted):
    while isinstance(fitted, Pipeline) or is_search(fitted):
        fitted = fitted.steps[-1][1] if isinstance(fitted, Pipeline) else fitted.best_estimator_
    return fitted
