"""The axis of threshold probabilities, and of the ratios of costs that they stand for."""

from typing import Any

import numpy as np
from matplotlib.ticker import NullFormatter, NullLocator
from scipy.special import logit

__all__ = ["percent", "scale_axes"]

#: Threshold probabilities and cost ratios that may be written at an axis, by importance.
SHOWN = (0.5, 0.1, 0.01, 0.001, 0.9, 0.25, 0.03, 0.0001, 0.75, 0.99)
RATIOS = ((1, 1), (1, 10), (1, 100), (1, 1000), (9, 1), (1, 3), (1, 30), (1, 300), (3, 1), (99, 1))

#: The mark of the upper axis.
UPPER = "cost ratios"


def scale_axes(ax, thresholds, scale, is_top, is_low, width, size):
    """Write threshold probabilities below, and the ratios of costs that they stand for above.

    Parameters
    ----------
    ax : matplotlib Axes
    thresholds : ndarray of shape (m,)
        Sorted.
    scale : {"logit", "linear"}
    is_top, is_low : bool
        Whether the upper axis is drawn, and the lower one has texts.
    width : float
        Width of the axes in inches.
    size : float
        Size of the letters.
    """
    low, high = thresholds[0], max(thresholds[-1], thresholds[0] + 1e-9)
    if scale == "logit":
        ax.set_xscale("logit")
        low, high = min(low, 0.99 * high), high
    ax.set_xlim(low, high)
    # As many ticks as there is space for.
    most = max(int(width * 72 / (size * 4.2)), 2)
    _set_ticks(ax, {t: percent(t) if is_low else "" for t in SHOWN}, scale, most, size)
    ax.tick_params(axis="y", labelsize=size)
    siblings = ax.get_shared_y_axes().get_siblings(ax)
    is_there = any(o.get_gid() == UPPER and o.bbox.bounds == ax.bbox.bounds for o in siblings)
    if not is_top or is_there:
        return
    above = ax.twiny()
    above.set_xscale(ax.get_xscale())
    above.set_xlim(ax.get_xlim())
    ratios = {a / (a + b): f"{a}:{b}" for a, b in RATIOS}
    _set_ticks(above, ratios, scale, most, size)
    above.spines[["top", "right"]].set_visible(False)
    above.set_xlabel(
        "cost of a false alarm : cost of a miss" if width > 5 else "false alarm : miss",
        fontsize=size,
    )
    above.set_gid(UPPER)


def _set_ticks(ax, texts, scale, most, size):
    """Set the ticks that fit, the most important ones first."""
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())
    place = logit if scale == "logit" else np.asarray
    low, high = place(np.array(ax.get_xlim()))
    chosen: dict[float, Any] = {}
    for t in texts:
        at = place(t)
        is_inside = low - 1e-9 <= at <= high + 1e-9
        if is_inside and all(abs(at - other) >= (high - low) / most for other in chosen.values()):
            chosen[t] = at
    ax.set_xticks(list(chosen), [texts[t] for t in chosen], fontsize=size)


def percent(fraction):
    """Return a fraction as text."""
    return f"{100 * fraction:.2g} %"
