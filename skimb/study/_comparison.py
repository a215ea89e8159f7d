"""The result of a comparison as a table, a figure and files, for every kind of target."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from os import PathLike
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.base import clone

from skimb._files import write_text
from skimb._frames import with_any_text
from skimb._messages import counted
from skimb._strategy_names import OWN_STEPS
from skimb.study._comparison_text import format_table
from skimb.study._difference_plot import plot_differences
from skimb.study._judgement import Judgement
from skimb.study._judging import judgements_of
from skimb.study._notebook import comparison_in_notebook
from skimb.study._result_file import figures_of, write_figures
from skimb.study._strategies import CONSTANT, Strategy

__all__ = ["BaseComparison"]


class BaseComparison(ABC):
    """Template of the result of `compare`.

    A subclass names its metrics, adds the facts that it knows of the target, and renders its
    report.
    """

    #: The two sides of the trade that a strategy makes; the verdict is given for each.
    _verdict_metrics: tuple
    #: Further metrics that tables show.
    _other_metrics: tuple

    outcomes: dict[str, list[Any]]
    chosen: dict[str, Strategy]
    protocol: dict[str, Any]
    samples: Any
    mistakes: dict[str, Any]
    groups: Any

    @abstractmethod
    def tested(self, outcome: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return the indices, the truth and the predictions of the test samples of a run."""

    @abstractmethod
    def scores_of_images(self, metrics: Sequence[str]) -> Any:
        """Return those metrics that sums over test images give, as a function of these sums."""

    @abstractmethod
    def metric_range(self, metric: str) -> tuple[float, float] | None:
        """Return the least and the largest possible value of a metric; None: not known."""

    @property
    @abstractmethod
    def n_decisive_images(self) -> int:
        """How many of the test images decide: those of the minority class, or all."""

    #: The name of the file of each test sample, if it is known.
    files: Any = None
    #: The place in X of each test sample, where a search took the test set from X.
    test_rows: Any = None
    #: The estimator of each strategy, not fitted.
    estimators: Mapping[str, Any] = MappingProxyType({})

    @abstractmethod
    def _details(self, name) -> dict:
        """Return the facts about a strategy that the JSON file adds to its metrics."""

    @abstractmethod
    def _target(self) -> dict:
        """Return the facts about the target that the JSON file holds."""

    @abstractmethod
    def _report(self) -> str:
        """Return the report."""

    @property
    def strategies(self) -> list[str]:
        """Names, the baseline first."""
        return list(self.outcomes)

    @property
    def baseline(self) -> str:
        """The name of the strategy that all others are compared with."""
        return next(iter(self.outcomes))

    def against(self, name: str) -> Self:
        """Return the same comparison with another strategy as its baseline.

        Parameters
        ----------
        name : str
            The strategy.

        Returns
        -------
        Comparison or RegressionComparison

        Raises
        ------
        ValueError
            If there is no such strategy.
        """
        if name not in self.outcomes:
            raise ValueError(f"`name` must be one of {self.strategies}. Got {name!r}.")
        other = copy.copy(self)
        other.outcomes = {name: self.outcomes[name], **self.outcomes}
        # Judgements are kept, and these are of another baseline.
        vars(other).pop("_judgements", None)
        return other

    @property
    def descriptions(self) -> dict[str, str]:
        """Each strategy in one line: a dict of str to str."""
        return {name: self.chosen[name].description for name in self.strategies}

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics."""
        return list(self.outcomes[self.baseline][0].scores)

    def estimator(self, name: str) -> Any:
        """Return the estimator that a strategy is, ready to be fitted on all samples.

        It has the seed of the comparison, where `random_state` was a number, and the batch size
        and the number of epochs of its trainings. All samples of X are more than those of a fold,
        so an epoch has more steps, in proportion. Of your own estimators it is a clone with the
        seed.

        Parameters
        ----------
        name : str
            The strategy.

        Returns
        -------
        estimator
            Not fitted; a new one with each call.

        Raises
        ------
        ValueError
            If there is no such strategy in the comparison.

        Examples
        --------
        >>> from skimb.datasets import load_imbalanced_digits
        >>> from skimb.neural_network import CNNClassifier
        >>> from skimb.study import compare
        >>> X, y = load_imbalanced_digits(return_X_y=True)
        >>> quick = CNNClassifier(max_epochs=1)
        >>> result = compare(X, y, strategies=["focal"], estimator=quick, cv=2, random_state=0)
        >>> result.estimator("focal")
        CNNClassifier(batch_size=32, loss=FocalLoss(), max_epochs=1, random_state=0)
        """
        if name not in self.estimators:
            raise ValueError(
                f"{name!r} is no strategy of this comparison. It has {list(self.estimators)}."
            )
        return clone(self.estimators[name])

    def training_losses(self) -> dict[str, list[list[float]]]:
        """Return the training losses of each strategy that trained a network of its own.

        Returns
        -------
        dict of str to list of list of float
        """
        losses = {
            name: [outcome.train_loss for outcome in outcomes]
            for name, outcomes in self.outcomes.items()
        }
        return {name: runs for name, runs in losses.items() if any(runs)}

    def gradient_steps(self, name: str) -> float | None:
        """Return the gradient steps of one training of a strategy's network, on average.

        Parameters
        ----------
        name : str
            The strategy.

        Returns
        -------
        float or None
            None: it has no network that tells.
        """
        strategy = self.chosen[name]
        tells = strategy.is_own or strategy.name in OWN_STEPS
        if not tells and self.search_steps(name) is None:
            return None if strategy.name == CONSTANT else self.protocol["gradient_steps"]
        steps = [outcome.gradient_steps for outcome in self.outcomes[name]]
        return None if None in steps else float(np.mean(steps))

    def search_steps(self, name: str) -> float | None:
        """Return the gradient steps of a strategy on parts of the samples, on average.

        A search, and whatever holds samples out, trains further networks before, or after, its own.

        Parameters
        ----------
        name : str
            The strategy.

        Returns
        -------
        float or None
            None: it trains no network on a part.
        """
        steps = [outcome.search_steps for outcome in self.outcomes[name]]
        return None if None in steps else float(np.mean(steps))

    @property
    @with_any_text
    def table(self) -> pd.DataFrame:
        """Mean, sd, difference to the baseline, interval and p-values, by strategy and metric.

        A DataFrame with one row for each strategy; its columns are pairs (metric, "mean" | "sd" |
        "difference" | "low" | "high" | "p_value" | "adjusted_p_value" | "mcnemar_p_value") and
        ("seconds", "mean" | "sd"). `Judgement` says what they are.
        """
        columns = {}
        for metric in self.metrics:
            judged = [self.judgement(name, metric) for name in self.strategies]
            for key in COLUMNS:
                columns[metric, key] = [getattr(judgement, key) for judgement in judged]
        seconds = [self._seconds(name) for name in self.strategies]
        columns["seconds", "mean"] = [values.mean() for values in seconds]
        columns["seconds", "sd"] = [_sd(values) for values in seconds]
        return pd.DataFrame(columns, index=pd.Index(self.strategies, name="strategy"))

    @property
    @with_any_text
    def verdict(self) -> pd.DataFrame:
        """Better, worse or within noise: a DataFrame, strategies by metrics.

        The test of the difference to the baseline decides, corrected for the number of strategies,
        for the two sides of the trade that a strategy makes (or, with a `scoring` that lacks them,
        for its first metric).
        """
        rows = {
            name: {metric: self.judgement(name, metric).verdict for metric in self.verdict_metrics}
            for name in self.strategies
            if name != self.baseline
        }
        return pd.DataFrame.from_dict(rows, orient="index", columns=self.verdict_metrics)

    @property
    def verdict_metrics(self) -> list[str]:
        """The metrics that the verdict is about."""
        return self._verdict_metrics_of(self.metrics, self.protocol.get("measure"))

    @classmethod
    def _verdict_metrics_of(cls, metrics, asked=None):
        """Return those of some metrics that a verdict is about, the one that is asked for first."""
        wanted = dict.fromkeys([*([] if asked is None else [asked]), *cls._verdict_metrics])
        known = [metric for metric in wanted if metric in metrics]
        # Tables and texts have room for two.
        return known[:2] or metrics[:1]

    @property
    def other_metrics(self) -> list[str]:
        """The metrics that tables show in addition to those of the verdict."""
        shown = self.verdict_metrics
        return [
            metric
            for metric in self._other_metrics
            if metric in self.metrics and metric not in shown
        ]

    def is_error(self, metric: str) -> bool:
        """Tell whether a metric is better when smaller.

        Parameters
        ----------
        metric : str
            The metric.

        Returns
        -------
        bool
        """
        return False

    def text(self, value: float, metric: str, *, sign: bool = False) -> str:
        """Write a value of a metric as people read it.

        Parameters
        ----------
        value : float
            The value.
        metric : str
            The metric.
        sign : bool, default=False
            Write a plus too, as for differences.

        Returns
        -------
        str
        """
        decimals = self._decimals(metric)
        kind = ".2e" if decimals is None else f",.{decimals}f"
        return f"{value:{'+' if sign else ''}{kind}}"

    def _decimals(self, metric):
        """Return how many decimals a metric is written with; None: in powers of ten."""
        return 3

    def best(self, metric: str) -> str:
        """Return the strategy of the best mean; where no score is defined, none is the best.

        Parameters
        ----------
        metric : str
            The metric.

        Returns
        -------
        str
        """
        means = self.table[metric, "mean"]
        return (
            means.fillna(np.inf).idxmin()
            if self.is_error(metric)
            else (means.fillna(-np.inf).idxmax())
        )

    def all_best(self, metric: str) -> list[str]:
        """Return all strategies whose mean equals the best one; none where no score is defined.

        Parameters
        ----------
        metric : str
            The metric.

        Returns
        -------
        list of str
        """
        means = self.table[metric, "mean"]
        best = means[self.best(metric)]
        return [name for name, mean in means.items() if np.isclose(mean, best, rtol=1e-9, atol=0)]

    def values(self, name: str, metric: str) -> NDArray[Any]:
        """Return the score of a strategy in each run.

        Parameters
        ----------
        name : str
            The strategy.
        metric : str
            The metric.

        Returns
        -------
        ndarray of shape (n_runs,)
        """
        return np.array([outcome.scores[metric] for outcome in self.outcomes[name]])

    def _seconds(self, name):
        return np.array([outcome.seconds for outcome in self.outcomes[name]])

    def judgement(self, name: str, metric: str) -> Judgement:
        """Return the score of a strategy, its difference to the baseline, and how sure that is.

        Parameters
        ----------
        name : str
            The strategy.
        metric : str
            The metric.

        Returns
        -------
        Judgement
        """
        return self._judgements[name, metric]

    @cached_property
    def _judgements(self):
        return judgements_of(self)

    def plot(self, *, figure: Any = None) -> Figure:
        """Plot the difference of each strategy but the constant to the baseline, with its interval.

        Parameters
        ----------
        figure : matplotlib Figure, default=None
            The figure to plot into; None: a new one.

        Returns
        -------
        matplotlib Figure
        """
        return plot_differences(self, figure)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python objects, in the schema of the JSON file.

        Returns
        -------
        dict
        """
        return figures_of(self, self._target(), self._details)

    def to_json(self, path: str | PathLike[str]) -> None:
        """Write everything to a JSON file, whole or not at all.

        Parameters
        ----------
        path : str or Path
            The file.
        """
        write_figures(path, self.to_dict())

    def to_html(self, path: str | PathLike[str]) -> None:
        """Write a report as one HTML file that needs no other, whole or not at all.

        Parameters
        ----------
        path : str or Path
            The file.
        """
        write_text(path, self._report())

    def __str__(self) -> str:
        """Return the table for a terminal."""
        return format_table(self)

    def _repr_html_(self):
        return comparison_in_notebook(self)

    def __repr__(self) -> str:
        kind, n_runs = type(self).__name__, self.protocol["n_runs"]
        strategies = counted(len(self.strategies), "strategy", "strategies")
        return f"<{kind} of {strategies} over {counted(n_runs, 'run')}>"


#: The numbers of a judgement that tables have.
COLUMNS = (
    *("mean", "sd", "difference", "low", "high"),
    *("p_value", "adjusted_p_value", "mcnemar_p_value"),
)


def _sd(values):
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")
