"""RegressionComparison: what compare() found about remedies for a continuous target."""

import numpy as np
from matplotlib.figure import Figure

from skimb.inspection import TargetDensityDisplay
from skimb.relevance import LabelDensity
from skimb.study._comparison import BaseComparison
from skimb.study._pictures import short_number, shorten_ticks
from skimb.study._report import gallery_figure, picture, render, report_style
from skimb.study._strategies import BASELINE

__all__ = ["RegressionComparison"]

#: Points of a scatter plot at most.
MOST_POINTS = 1000


class RegressionComparison(BaseComparison):
    """The result of `compare`, for a continuous target.

    As `Comparison`, with errors for scores: these are better when smaller, and so are their
    differences.

    Parameters
    ----------
    outcomes : dict of str to list of RegressionOutcome
        Strategy to what it reached in each run; the baseline first.
    y : ndarray of shape (n,)
        The target.
    relevance : Relevance or None
        What is rare.
    has_errors : bool
        Whether the metrics are those of `skimb.metrics.regression_scoring`, shown as errors; a
        scoring of one's own is shown as it is.
    protocol : dict
        How it was run.
    samples : Gallery
        Pictures of low, middle and high values.
    mistakes : dict of str to Gallery
        Strategy to its largest errors, over all runs.

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

    def __init__(self, outcomes, *, y, relevance, has_errors, protocol, samples, mistakes):
        self.outcomes = outcomes
        self.y = y
        self.relevance = relevance
        self.has_errors = has_errors
        self.protocol = protocol
        self.samples = samples
        self.mistakes = mistakes

    def is_error(self, metric):
        """Tell whether a metric is better when smaller; all are, but for R2 and the slope."""
        return self.has_errors and metric not in ("r2", "prediction_slope")

    def _decimals(self, metric):
        if metric in ("r2", "prediction_slope"):
            return 3
        size = abs(self._summary(BASELINE, metric)["mean"])
        if not size > 0:
            return 3
        # Three digits of the baseline, whatever its unit.
        return None if not 1e-6 < size < 1e9 else max(0, int(2 - np.floor(np.log10(size))))

    def training_losses(self):
        """Return the training losses of each strategy.

        Returns
        -------
        dict of str to list of list of float
        """
        return {
            name: [outcome.train_loss for outcome in outcomes]
            for name, outcomes in self.outcomes.items()
        }

    def predictions(self, name):
        """Return truth and predictions of a strategy on the test rows of all runs.

        Parameters
        ----------
        name : str
            The strategy.

        Returns
        -------
        truth, predicted : ndarray of shape (n,)
        """
        outcomes = self.outcomes[name]
        return tuple(
            np.concatenate([getattr(outcome, part) for outcome in outcomes])
            for part in ("truth", "predicted")
        )

    def _details(self, name):
        truth, predicted = self.predictions(name)
        edges, errors = _errors_by_bin(self.y, truth, predicted)
        return {
            "errors_by_bin": {
                "edges": edges.tolist(),
                "mean_absolute_error": [float(e) if np.isfinite(e) else None for e in errors],
            }
        }

    def _target(self):
        return {"errors": [metric for metric in self.metrics if self.is_error(metric)]}

    def _report(self):
        with report_style():
            pictures = {
                "trade": picture(_trade(self)),
                "density": picture(_density(self)),
                "samples": picture(gallery_figure(self.samples)),
                "errors": picture(_errors(self)),
                "predictions": picture(_predictions(self)),
            }
        # Late: the task knows the strategies, and makes this.
        from skimb.study._regression import REGRESSION_STRATEGIES

        return render(
            self,
            "regression.html.j2",
            pictures=pictures,
            descriptions=REGRESSION_STRATEGIES,
            short_number=short_number,
        )


def _errors_by_bin(y, truth, predicted):
    """Return edges of bins, and the mean absolute error in each; NaN where it has no row."""
    density = LabelDensity().fit(y)
    return density.edges_, density.means(truth, np.abs(predicted - truth))


def _trade(comparison):
    """Plot what a remedy buys, smaller errors of rare values, against what it pays."""
    metrics = ("mean_absolute_error[rare]", "mean_absolute_error[normal]")
    if not set(metrics) <= set(comparison.metrics):
        return None
    figure = Figure(figsize=(5.4, 4.2), layout="constrained")
    ax = figure.subplots()
    table = comparison.table
    for i, name in enumerate(comparison.strategies):
        x, y = (table.loc[name, (metric, "mean")] for metric in metrics)
        is_baseline = name == BASELINE
        marker, color = ("D", "black") if is_baseline else ("os^"[i // 10 % 3], f"C{i % 10}")
        ax.plot(x, y, marker, color=color, label=name)
        if is_baseline:
            ax.axvline(x, color="#dddddd", linewidth=0.8, zorder=0)
            ax.axhline(y, color="#dddddd", linewidth=0.8, zorder=0)
    shorten_ticks(ax.xaxis, ax.yaxis)
    ax.set(xlabel="mean absolute error of rare values", ylabel="of normal values")
    ax.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def _density(comparison):
    figure = Figure(figsize=(6.4, 2.8), layout="constrained")
    ax = figure.subplots()
    TargetDensityDisplay.from_predictions(comparison.y, relevance=comparison.relevance, ax=ax)
    shorten_ticks(ax.xaxis)
    return figure


def _errors(comparison):
    figure = Figure(figsize=(9.4, 3.6), layout="constrained")
    ax = figure.subplots()
    for i, name in enumerate(comparison.strategies):
        edges, errors = _errors_by_bin(comparison.y, *comparison.predictions(name))
        centers, kept = (edges[:-1] + edges[1:]) / 2, np.isfinite(errors)
        style = (
            {"color": "black", "linewidth": 2.2}
            if name == BASELINE
            else {
                "color": f"C{i % 10}",
                "linewidth": 1.3,
                "linestyle": ["-", "--", ":"][i // 10 % 3],
            }
        )
        ax.plot(centers[kept], errors[kept], label=name, **style)
    ax.set(xlabel="target", ylabel="mean absolute error", ylim=(0, None))
    shorten_ticks(ax.xaxis, ax.yaxis)
    ax.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def _predictions(comparison):
    names = comparison.strategies
    n_columns = min(5, len(names))
    n_rows = -(-len(names) // n_columns)
    figure = Figure(figsize=(2.2 * n_columns, 2.2 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True).ravel()
    for ax, name in zip(axes, names, strict=False):
        truth, predicted = comparison.predictions(name)
        shown = np.random.RandomState(0).permutation(len(truth))[:MOST_POINTS]
        ends = [truth.min(), truth.max()]
        ax.plot(ends, ends, color="#999999", linewidth=1)
        # As one picture within the drawing: thousands of circles would make a slow report.
        ax.plot(truth[shown], predicted[shown], ".", markersize=3, alpha=0.5, rasterized=True)
        ax.set_title(name, fontsize=10)
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    shorten_ticks(axes[0].xaxis, axes[0].yaxis)
    for ax in axes[len(names) :]:
        ax.set_visible(False)
    # The lowest panel of each column tells its numbers.
    for ax in axes[max(0, len(names) - n_columns) : len(names)]:
        ax.tick_params(labelbottom=True)
    figure.supxlabel("true", fontsize=9)
    figure.supylabel("predicted", fontsize=9)
    return figure
