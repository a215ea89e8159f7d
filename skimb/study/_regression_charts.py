"""The charts of reports for a continuous target: its values, errors over them, and predictions."""

import numpy as np

from skimb.relevance import LabelDensity, fit_relevance
from skimb.study._charts import axis_of
from skimb.study._report_charts import PANEL, line_panel
from skimb.study._strategies import CONSTANT

__all__ = ["density_chart", "error_panels", "errors_by_bin", "scatter_panel"]

#: Points of a scatter plot at most.
MOST_POINTS = 600

#: Size of the histogram, in pixels of the page on a phone.
WIDE_PANEL = {"width": 348, "height": 170, "left": 38, "right": 316, "top": 10, "bottom": 132}


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


def density_chart(y, relevance=None):
    """Return the histogram of a target, with the relevance of its values.

    Parameters
    ----------
    y : ndarray of shape (n,)
    relevance : Relevance or callable, default=None
        None: it is not drawn.

    Returns
    -------
    dict
    """
    density = LabelDensity().fit(y)
    # The last edge is infinite where numbers are too large for their differences.
    edges, counts = np.minimum(density.edges_, np.max(y)), density.counts_
    x_axis = axis_of(edges, WIDE_PANEL["left"], WIDE_PANEL["right"], n_ticks=4, margin=0)
    y_axis = axis_of([0, counts.max()], WIDE_PANEL["bottom"], WIDE_PANEL["top"], margin=0)
    left, right = x_axis.at(edges[:-1]), x_axis.at(edges[1:])
    bars = "".join(
        f"M{a:g} {y_axis.start:g}V{top:g}H{b:g}V{y_axis.start:g}z"
        for a, b, top, n in zip(left, right, y_axis.at(counts), counts, strict=True)
        if n
    )
    line, right_axis = None, None
    if relevance is not None:
        values = np.linspace(edges[0], edges[-1], 80)
        right_axis = axis_of([0, 1], WIDE_PANEL["bottom"], WIDE_PANEL["top"], n_ticks=2, margin=0)
        line = line_panel(
            "", values, fit_relevance(relevance, y)(values), x_axis=x_axis, y_axis=right_axis
        )["line"]
    return WIDE_PANEL | {
        "x": x_axis,
        "y": y_axis,
        "right_axis": right_axis,
        "bars": bars,
        "line": line,
    }


def error_panels(comparison):
    """Return the mean absolute error over the target's range of each strategy.

    Parameters
    ----------
    comparison : RegressionComparison

    Returns
    -------
    list of dict
        All have the same scales, and the baseline's line to compare with.
    """
    found = {
        name: errors_by_bin(comparison.y, *comparison.predictions(name))
        for name in comparison.strategies
    }
    edges, errors = found[comparison.baseline]
    # The constant would make all others look flat; its line leaves the chart at the top.
    drawn = [
        values for name, (_, values) in found.items() if comparison.chosen[name].name != CONSTANT
    ]
    finite = np.concatenate(drawn or [errors])
    x_axis = axis_of(edges, PANEL["left"], PANEL["right"], n_ticks=3, margin=0)
    y_axis = axis_of([0.0, *finite], PANEL["bottom"], PANEL["top"], n_ticks=3, least=0.0)
    centers = (edges[:-1] + edges[1:]) / 2
    panels = []
    for name, (_, values) in found.items():
        kept, known = np.isfinite(values), np.isfinite(errors)
        panel = line_panel(
            name,
            centers[kept],
            np.where(values[kept] <= y_axis.high, values[kept], np.nan),
            x_axis=x_axis,
            y_axis=y_axis,
            reference=None if name == comparison.baseline else (centers[known], errors[known]),
        )
        where = centers[kept][values[kept].argmax()] if kept.any() else np.nan
        panel["text"] = (
            f"Mean absolute error of {name} over the target: from "
            f"{np.min(values[kept], initial=np.inf):.3g} to "
            f"{np.max(values[kept], initial=0):.3g}, the largest near {where:.3g}"
        )
        panels.append(panel)
    return panels


def scatter_panel(name, truth, predicted, *, values):
    """Return predictions over true values as a small chart.

    Parameters
    ----------
    name : str
    truth, predicted : ndarray of shape (n,)
    values : array-like
        Values that both axes show.

    Returns
    -------
    dict
    """
    # At the edge the few that lie far off: one wild prediction would hide all others.
    x_axis = axis_of(values, PANEL["left"], PANEL["right"], n_ticks=3, margin=0.04)
    y_axis = axis_of(values, PANEL["bottom"], PANEL["top"], n_ticks=3, margin=0.04)
    shown = np.random.RandomState(0).permutation(len(truth))[:MOST_POINTS]
    x = x_axis.at(np.clip(truth[shown], x_axis.low, x_axis.high))
    y = y_axis.at(np.clip(predicted[shown], y_axis.low, y_axis.high))
    correlation = np.nan
    if np.ptp(truth) > 0 and np.ptp(predicted) > 0:
        correlation = np.corrcoef(truth, predicted)[0, 1]
    told = f", correlation {correlation:.2f}" if np.isfinite(correlation) else ""
    return PANEL | {
        "name": name,
        "x": x_axis,
        "y": y_axis,
        "dots": "".join(f"M{left:g} {top:g}h0" for left, top in zip(x, y, strict=True)),
        "text": f"Predictions of {name} over the truth{told}",
    }
