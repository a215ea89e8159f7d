"""The charts that the reports of all comparisons have: differences, trade-offs and small panels."""

from typing import Any

import numpy as np

from skimb._drawn_text import short_texts
from skimb.study._charts import axis_of, line_path, marked_points
from skimb.study._sample_images import short_number
from skimb.study._strategies import CONSTANT

__all__ = ["PANEL", "differences", "line_panel", "trade_chart", "training_panels"]

#: Size of a chart in pixels of the page on a phone, and of one of many panels.
CHART = {"width": 348, "height": 300, "left": 48, "right": 220, "top": 10, "bottom": 258}
PANEL = {"width": 180, "height": 128, "left": 34, "right": 174, "top": 8, "bottom": 104}

#: Letters of a name beside a dot.
NAME_WIDTH = 17

#: An interval is cut where it is wider than this many times what most of the others are.
WIDE = 4


def differences(comparison, metric):
    """Return the differences to the baseline as a figure of rows, in percent of its width.

    Parameters
    ----------
    comparison : BaseComparison
    metric : str

    Returns
    -------
    dict
        ``rows``, one for each strategy but the baseline and the constant, and ``ticks``.
    """
    names = [name for name in comparison.strategies[1:] if comparison.chosen[name].name != CONSTANT]
    judged = {name: comparison.judgement(name, metric) for name in names}
    shown = [one.difference for one in judged.values() if np.isfinite(one.difference)]
    bounds = np.array([[one.low, one.high] for one in judged.values()]).reshape(-1, 2)
    bounds = bounds[np.isfinite(bounds).all(axis=1)]
    most = np.inf
    if len(bounds):
        # One interval that says nothing would make all others look like points.
        most = max(WIDE * np.median(np.abs(bounds)), 1.2 * np.max(np.abs(shown), initial=0))
    reach = [0.0, *shown, *np.clip(bounds, -most, most).ravel()]
    axis = axis_of(reach, 0, 100, n_ticks=4, write=_signed)
    axis.ticks = [(place, text) for place, text in axis.ticks if 5 <= place <= 95]
    rows = []
    for name in names:
        one = judged[name]
        row = {"name": name, "judged": one, "at": None, "low": None}
        if np.isfinite(one.difference):
            row["at"] = float(axis.at(one.difference))
        if np.isfinite(one.low) and np.isfinite(one.high):
            low, high = (float(np.clip(axis.at(end), 0, 100)) for end in (one.low, one.high))
            row |= {
                "low": low,
                "width": round(high - low, 1),
                "is_cut_left": one.low < axis.low,
                "is_cut_right": one.high > axis.high,
            }
        rows.append(row)
    return {
        "metric": metric,
        "rows": rows,
        "ticks": axis.ticks,
        "zero": float(axis.at(0)),
        "has_intervals": len(bounds) > 0,
        "is_cut": any(row.get("is_cut_left") or row.get("is_cut_right") for row in rows),
    }


def _signed(value):
    return f"{'+' if value > 0 else ''}{short_number(value)}"


def trade_chart(comparison, metrics, *, names, least=None, most=None) -> Any:
    """Return a chart of the means of two metrics, in which each dot has a label.

    Parameters
    ----------
    comparison : BaseComparison
    metrics : (str, str)
        Those of the x axis and of the y axis.
    names : list of str
        The strategies.
    least, most : float, default=None
        The smallest and the largest value that an axis may show.

    Returns
    -------
    dict or None
        None: there is nothing to show.
    """
    if not set(metrics) <= set(comparison.metrics):
        return None
    table = comparison.table
    # One by one: an index of pandas does not take every text in a list.
    x, y = (np.array([table.loc[name, (metric, "mean")] for name in names]) for metric in metrics)
    if not (np.isfinite(x) & np.isfinite(y)).any():
        return None
    x_axis = axis_of(x, CHART["left"], CHART["right"] - 14, n_ticks=3, least=least, most=most)
    y_axis = axis_of(y, CHART["bottom"], CHART["top"], n_ticks=5, least=least, most=most)
    # A dot at the end of an axis is shown whole.
    x_axis.start, y_axis.start = CHART["left"] + 8, CHART["bottom"] - 8
    y_axis.end = CHART["top"] + 4
    for axis in (x_axis, y_axis):
        axis.ticks = _ticks_again(axis)
    texts = dict(zip(names, short_texts(names, most=NAME_WIDTH), strict=True))
    height = max(CHART["bottom"], 16.0 * len(names) + 8)
    points = marked_points(
        names, x_axis.at(x), y_axis.at(y), right=CHART["right"], low=2.0, high=height
    )
    return CHART | {
        "height": max(CHART["height"], height + 42),
        "x": x_axis,
        "y": y_axis,
        "points": points,
        "texts": texts,
        "values": [
            (name, comparison.text(float(a), metrics[0]), comparison.text(float(b), metrics[1]))
            for name, a, b in zip(names, x, y, strict=True)
        ],
        "metrics": metrics,
        "lines": [],
    }


def _ticks_again(axis):
    """Return the ticks of an axis whose ends have moved."""
    again = axis_of(
        [axis.low, axis.high], axis.start, axis.end, n_ticks=len(axis.ticks) or 3, margin=0
    )
    return again.ticks


def line_panel(name, x, y, *, x_axis, y_axis, band=None, reference=None):
    """Return a small chart of one line.

    Parameters
    ----------
    name : str
        The strategy.
    x, y : ndarray of shape (n,)
        Values.
    x_axis, y_axis : Axis
    band : (ndarray, ndarray), default=None
        Lower and upper ends around y.
    reference : (ndarray, ndarray), default=None
        x and y of a line to compare with.

    Returns
    -------
    dict
    """
    around = None
    if band is not None:
        there = line_path(x_axis.at(x), y_axis.at(band[1]))
        back = line_path(x_axis.at(x[::-1]), y_axis.at(band[0][::-1]))
        around = f"{there}L{back[1:]}z" if back else None
    return PANEL | {
        "name": name,
        "x": x_axis,
        "y": y_axis,
        "line": line_path(x_axis.at(x), y_axis.at(y)),
        "dots": None,
        "band": around,
        "reference": None
        if reference is None
        else line_path(x_axis.at(reference[0]), y_axis.at(reference[1])),
    }


def training_panels(comparison):
    """Return the training losses of the strategies that have any, each on a scale of its own.

    Parameters
    ----------
    comparison : BaseComparison

    Returns
    -------
    list of dict
    """
    panels = []
    for name, runs in comparison.training_losses().items():
        n_epochs = max(map(len, runs))
        losses = np.full((len(runs), n_epochs), np.nan)
        for row, run in zip(losses, runs, strict=True):
            row[: len(run)] = run
        losses = losses[np.isfinite(losses).any(axis=1)]
        epochs = np.flatnonzero(np.isfinite(losses).any(axis=0))
        losses = losses[:, epochs]
        if not len(epochs):
            continue
        low, high = np.nanquantile(losses, [0.1, 0.9], axis=0)
        x_axis = axis_of(
            epochs + 1, PANEL["left"], PANEL["right"], n_ticks=3, margin=0, write="{:g}".format
        )
        x_axis.ticks = [tick for tick in x_axis.ticks if float(tick[1]).is_integer()]
        y_axis = axis_of([*low, *high], PANEL["bottom"], PANEL["top"], n_ticks=3)
        mean = np.nanmean(losses, axis=0)
        band = (low, high) if len(losses) > 1 else None
        panel = line_panel(name, epochs + 1, mean, x_axis=x_axis, y_axis=y_axis, band=band)
        panel["text"] = (
            f"Training loss of {name}: {mean[0]:.3g} after epoch {epochs[0] + 1}, {mean[-1]:.3g} "
            f"after epoch {epochs[-1] + 1}"
        )
        panels.append(panel)
    return panels
