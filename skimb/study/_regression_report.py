"""The report of a comparison for a continuous target: its figures."""

import numpy as np
from matplotlib.figure import Figure

from skimb._drawn_text import distinct_texts
from skimb.inspection import TargetDensityDisplay, plain_text
from skimb.relevance import LabelDensity
from skimb.study._report import gallery_figure, image_source, render, report_style
from skimb.study._sample_images import short_number, shorten_ticks

__all__ = ["errors_by_bin", "regression_report"]

#: Points of a scatter plot at most.
MOST_POINTS = 1000


def regression_report(comparison):
    """Render a comparison for a continuous target as HTML.

    Parameters
    ----------
    comparison : RegressionComparison
        The comparison to show.

    Returns
    -------
    str
    """
    with report_style(comparison.strategies):
        figures = {
            "trade": image_source(_trade(comparison)),
            "density": image_source(_density(comparison)),
            "samples": image_source(gallery_figure(comparison.samples)),
            "errors": image_source(_errors(comparison)),
            "predictions": image_source(_predictions(comparison)),
        }
    return render(comparison, "regression.html.j2", figures=figures, short_number=short_number)


def errors_by_bin(y, truth, predicted):
    """Return edges of bins, and the mean absolute error in each.

    Parameters
    ----------
    y : ndarray of shape (n,)
        The target, whose range the bins cover.
    truth, predicted : ndarray of shape (n_test,)

    Returns
    -------
    edges : ndarray of shape (n_bins + 1,)
    errors : ndarray of shape (n_bins,)
        NaN for a bin without test samples.
    """
    density = LabelDensity().fit(y)
    return density.edges_, density.means(truth, np.abs(predicted - truth))


def _trade(comparison):
    """Plot the errors of rare values against those of normal values, which may pay for them."""
    metrics = ("mean_absolute_error[rare]", "mean_absolute_error[normal]")
    if not set(metrics) <= set(comparison.metrics):
        return None
    figure = Figure(figsize=(5.4, 4.2), layout="constrained")
    ax = figure.subplots()
    table = comparison.table
    texts = distinct_texts(comparison.strategies)
    for i, (name, text) in enumerate(zip(comparison.strategies, texts, strict=True)):
        x, y = (table.loc[name, (metric, "mean")] for metric in metrics)
        is_baseline = name == comparison.baseline
        marker, color = ("D", "black") if is_baseline else ("os^"[i // 10 % 3], f"C{i % 10}")
        ax.plot(x, y, marker, color=color, label=text)
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
    texts = distinct_texts(comparison.strategies)
    for i, (name, text) in enumerate(zip(comparison.strategies, texts, strict=True)):
        edges, errors = errors_by_bin(comparison.y, *comparison.predictions(name))
        centers, kept = (edges[:-1] + edges[1:]) / 2, np.isfinite(errors)
        style = (
            {"color": "black", "linewidth": 2.2}
            if name == comparison.baseline
            else {
                "color": f"C{i % 10}",
                "linewidth": 1.3,
                "linestyle": ["-", "--", ":"][i // 10 % 3],
            }
        )
        ax.plot(centers[kept], errors[kept], label=text, **style)
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
        # As one image within the drawing: thousands of circles would make a slow report.
        ax.plot(truth[shown], predicted[shown], ".", markersize=3, alpha=0.5, rasterized=True)
        ax.set_title(plain_text(name), fontsize=10)
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
