"""The figure of a comparison in Python: the difference of each strategy to the baseline."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from skimb._drawn_text import distinct_texts
from skimb.inspection import plain_text
from skimb.study._report_labels import metric_label
from skimb.study._sample_images import shorten_ticks
from skimb.study._strategies import CONSTANT

__all__ = ["plot_differences"]

#: One colour for each verdict, those of what helps and of what goes wrong in all figures; one is
#: lighter than the other, for readers who cannot tell the hues.
COLORS = {"better": "#009e73", "worse": "#882255"}
UNDECIDED = "#7f7f7f"


def plot_differences(comparison, figure=None):
    """Plot the difference of each strategy but the constant to the baseline, with its interval.

    Parameters
    ----------
    comparison : BaseComparison
    figure : matplotlib Figure, default=None
        The figure to plot into; None: a new one.

    Returns
    -------
    matplotlib Figure
    """
    # With the constant, which lies so far off, nothing else could be told apart.
    names = [name for name in comparison.strategies[1:] if comparison.chosen[name].name != CONSTANT]
    n_rows = len(names)
    metrics = comparison.verdict_metrics
    if figure is None:
        figure = Figure(figsize=(4.6 * len(metrics), 1.1 + 0.32 * max(1, n_rows)))
    axes = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for ax, metric in zip(axes, metrics, strict=True):
        for row, name in enumerate(names):
            judged = comparison.judgement(name, metric)
            color = COLORS.get(judged.verdict, UNDECIDED)
            if np.isfinite(judged.low):
                ax.plot([judged.low, judged.high], [row, row], color=color, linewidth=2.2)
            ax.plot(judged.difference, row, "o", color=color, markersize=6)
        ax.axvline(0, color="#555555", linewidth=1)
        mean = comparison.text(comparison.judgement(comparison.baseline, metric).mean, metric)
        ax.set(
            yticks=range(n_rows),
            yticklabels=distinct_texts(names),
            xlabel=f"difference to {plain_text(comparison.baseline)} ({mean})",
            title=plain_text(metric_label(metric)),
        )
        ax.xaxis.set_major_locator(MaxNLocator(5))
        shorten_ticks(ax.xaxis)
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x", color="#e4e4e4")
        ax.set_axisbelow(True)
    if n_rows:
        axes[0].set_ylim(n_rows - 0.5, -0.5)
    figure.set_layout_engine("constrained")
    return figure
