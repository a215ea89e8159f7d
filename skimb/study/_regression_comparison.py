"""RegressionComparison: the result of compare() for a continuous target."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skimb.study._comparison import BaseComparison
from skimb.study._error_scores import ErrorScores
from skimb.study._listed_mistakes import listed_errors
from skimb.study._regression_charts import errors_by_bin
from skimb.study._regression_report import regression_report

__all__ = ["RegressionComparison"]


class RegressionComparison(BaseComparison):
    """The result of `compare`, for a continuous target.

    As `Comparison`, with errors for scores: these are better when smaller, and so are their
    differences.

    Parameters
    ----------
    outcomes : dict of str to list of RegressionOutcome
        Strategy to its result in each run; the baseline first.
    chosen : dict of str to Strategy
        The strategies by name.
    y : ndarray of shape (n,)
        The target.
    relevance : Relevance or None
        The relevance function, which tells the rare values.
    has_errors : bool
        Whether the metrics are those of `skimb.metrics.regression_scoring`, shown as errors; a
        scoring of one's own is shown as it is.
    protocol : dict
        Folds, repeats, training and versions.
    samples : Gallery
        Images of low, middle and high values.
    mistakes : dict of str to Gallery
        Strategy to its largest errors, over all runs.
    groups : ndarray of int, default=None
        The group of each sample in X or in the fixed test set. None: none are known.

    Examples
    --------
    >>> from skimb.datasets import make_variance_images
    >>> from skimb.neural_network import CNNRegressor
    >>> from skimb.study import compare
    >>> X, y = make_variance_images(60, distribution="normal", side=8, random_state=0)
    >>> estimator = CNNRegressor(max_epochs=1)
    >>> result = compare(X, y, strategies=["ranksim"], estimator=estimator, cv=2, random_state=0)
    >>> result.verdict_metrics
    ['balanced_mean_absolute_error', 'mean_absolute_error']
    """

    _verdict_metrics = ("balanced_mean_absolute_error", "mean_absolute_error")
    _other_metrics = (
        "mean_absolute_error[rare]",
        "mean_absolute_error[normal]",
        "prediction_slope",
    )

    def __init__(
        self,
        outcomes,
        *,
        chosen,
        y,
        relevance,
        has_errors,
        protocol,
        samples,
        mistakes,
        groups=None,
    ):
        self.outcomes = outcomes
        self.groups = groups
        self.chosen = chosen
        self.y = y
        self.relevance = relevance
        self.has_errors = has_errors
        self.protocol = protocol
        self.samples = samples
        self.mistakes = mistakes

    def is_error(self, metric: str) -> bool:
        """Tell whether a metric is better when smaller; all are, but for R2 and the slope."""
        return self.has_errors and metric not in ("r2", "prediction_slope")

    def _decimals(self, metric):
        if metric in ("r2", "prediction_slope"):
            return 3
        size = abs(self.values(self.baseline, metric).mean())
        if not size > 0:
            return 3
        # Three digits of the baseline, whatever its unit.
        return None if not 1e-6 < size < 1e9 else max(0, int(2 - np.floor(np.log10(size))))

    def predictions(self, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return truth and predictions of a strategy on the test samples of all runs.

        Parameters
        ----------
        name : str
            The strategy.

        Returns
        -------
        truth, predicted : ndarray of shape (n,)
        """
        outcomes = self.outcomes[name]
        truth = np.concatenate([outcome.truth for outcome in outcomes])
        predicted = np.concatenate([outcome.predicted for outcome in outcomes])
        return truth, predicted

    def tested(self, outcome: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return the indices, the values and the predictions of the test samples of a run.

        Parameters
        ----------
        outcome : RegressionOutcome

        Returns
        -------
        rows, truth, predicted : ndarray of shape (n_test,)
        """
        return outcome.rows, outcome.truth, outcome.predicted

    def scores_of_images(self, metrics: Sequence[str]) -> ErrorScores | None:
        """Return those metrics that are means over test images, as a function of sums over these.

        Parameters
        ----------
        metrics : list of str

        Returns
        -------
        ErrorScores or None
            None: a scoring of one's own.
        """
        return ErrorScores(metrics, self.y, self.relevance) if self.has_errors else None

    def metric_range(self, metric: str) -> tuple[float, float] | None:
        """Return the least and the largest possible value of a metric; None: not known.

        Parameters
        ----------
        metric : str

        Returns
        -------
        (float, float) or None
        """
        if self.is_error(metric):
            return 0.0, np.inf
        return (-np.inf, 1.0) if self.has_errors and metric == "r2" else None

    @property
    def n_decisive_images(self) -> int:
        """How many test images there are."""
        return len(np.unique(np.concatenate([o.rows for o in self.outcomes[self.baseline]])))

    def _details(self, name):
        truth, predicted = self.predictions(name)
        edges, errors = errors_by_bin(self.y, truth, predicted)
        return {
            "errors_by_bin": {
                "edges": edges.tolist(),
                "mean_absolute_error": [float(e) if np.isfinite(e) else None for e in errors],
            },
            "largest_errors": listed_errors(self.outcomes[name], self.files, self.test_rows),
        }

    def _target(self):
        return {"errors": [metric for metric in self.metrics if self.is_error(metric)]}

    def _report(self):
        return regression_report(self)
