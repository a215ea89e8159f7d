"""The training of built-in strategies, and the protocol: how a comparison was run."""

from numbers import Integral

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import clone

from skimb._groups import are_shared
from skimb._params import safe_indexing
from skimb.neural_network import training_length
from skimb.study._origin import code_of, parameters_of, recipe_of, versions
from skimb.study._strategy_estimator import ready_estimators

__all__ = ["Training", "protocol_of"]


class Training:
    """The training of the built-in strategies: one length for all, the recipe, and the code.

    Parameters
    ----------
    task : ClassificationTask or RegressionTask
    chosen : list of Strategy
    estimator : CNNClassifier or CNNRegressor
        The baseline, which is left as it is.
    X, y : array-like
        All training samples.
    runs : list of Run

    Attributes
    ----------
    chosen : list of Strategy
    estimator : CNNClassifier, CNNRegressor or None
        The baseline with its length fixed; None: there is no built-in strategy.
    steps_per_epoch : int or None
    """

    def __init__(self, task, chosen, estimator, X, y, runs):
        self.chosen = chosen
        self.estimator = self.steps_per_epoch = self.length = self.recipe = None
        baseline = clone(estimator).set_params(random_state=None)
        self.parameters, self.head_training = parameters_of(baseline), {}
        #: The baseline from which estimators are handed out, by a training on all samples.
        self._baseline = baseline
        if not all(strategy.is_own for strategy in chosen):
            # One length for all, whatever their samplers make of the number of samples.
            self.length = training_length(
                max(len(run.train) for run in runs),
                batch_size=estimator.batch_size,
                max_epochs=estimator.max_epochs,
                steps_per_epoch=estimator.steps_per_epoch,
            )
            rows = task.few_samples(y)
            self.recipe = recipe_of(estimator, safe_indexing(X, rows), y[rows], self.length)
            self.estimator = clone(estimator).set_params(
                batch_size=self.length.batch_size, max_epochs=self.length.max_epochs
            )
            self._baseline = clone(self.estimator)
            self.steps_per_epoch = self.length.steps_per_epoch
            largest = y[max((run.train for run in runs), key=len)]
            self.head_training = {
                strategy.label: head
                for strategy in chosen
                if not strategy.is_own and (head := task.head_training(strategy.name, largest))
            }
        own = {strategy.label for strategy in chosen if strategy.is_own}
        has_names = task.kind == "classifier" and len(own) < len(chosen)
        scoring = task.default_scoring() if has_names else None
        self.code = {
            label: code_of(made, None if label in own else scoring)
            for label, made in self.ready_estimators(task, y, None).items()
        }

    def ready_estimators(self, task, y, random_state):
        """Return the estimator of each strategy, as `skimb.study` hands it out.

        Parameters
        ----------
        task : ClassificationTask or RegressionTask
        y : ndarray of shape (n,)
            The target of all samples.
        random_state : int, RandomState instance or None

        Returns
        -------
        dict of str to estimator
        """
        return ready_estimators(
            task, self.chosen, self._baseline, y, random_state, self.head_training
        )

    def describe(self):
        """Return the training as the protocol describes it."""
        length = self.length
        return {
            "gradient_steps": None if length is None else length.n_steps,
            "epochs": None if length is None else length.max_epochs,
            "steps_per_epoch": None if length is None else length.steps_per_epoch,
            "batch_size": None if length is None else length.batch_size,
            "recipe": self.recipe,
            "head_training": self.head_training or None,
            "parameters": self.parameters,
            "code": self.code,
        }


def protocol_of(task, plan, training, *, groups, random_state, n_jobs, messages):
    """Return how a comparison was run, as plain values for its files.

    Parameters
    ----------
    task : ClassificationTask or RegressionTask
    plan : Plan
    training : Training
    groups : ndarray of shape (n,), int
        The group of each sample.
    random_state, n_jobs
        As in `skimb.study.compare`.
    messages : set of str
        Warnings that were raised.

    Returns
    -------
    dict
    """
    runs = plan.runs
    return {
        "evaluation": plan.evaluation,
        "n_runs": len(runs),
        "n_repeats": plan.n_repeats,
        "n_rows": len(groups),
        "n_test_rows": round(np.mean([len(run.test) for run in runs])),
        # The groups that stay together, where there are any and they do.
        "n_groups": len(np.unique(groups)) if are_shared(groups) and not plan.n_known else None,
        **task.describe(),
        **training.describe(),
        "shared_features": [
            strategy.label for strategy in training.chosen if strategy.name in task.on_heads
        ]
        or None,
        "head_steps": None if task.head_length is None else task.head_length.n_steps,
        "own_strategies": [strategy.label for strategy in training.chosen if strategy.is_own],
        "interval": "95 %, corrected resampled t-test (Nadeau and Bengio 2003)"
        if plan.test_share
        else "95 %, paired bootstrap over test images"
        + (", and the variance between seeds" if len(runs) > 1 else ""),
        "interval_assumes": plan.assumes,
        "test_share": plan.test_share,
        "seeds": [run.seed for run in runs],
        "random_state": int(random_state) if isinstance(random_state, Integral) else None,
        "n_jobs": effective_n_jobs(n_jobs),
        "versions": versions(),
        "warnings": sorted(messages),
    }
