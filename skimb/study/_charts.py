"""The geometry of a report's charts: scales, ticks, places of dots and labels, in pixels.

A chart is drawn by a template as SVG within the page, so that its colours follow the page, and is
narrow enough for a phone.
"""

from dataclasses import dataclass, field

import numpy as np
from matplotlib.ticker import MaxNLocator

from skimb.study._sample_images import short_number

__all__ = ["Axis", "axis_of", "line_path", "marked_points", "spread_out"]

#: Dots nearer than this are shown side by side, and their labels stand together.
SAME_PLACE = 4.5


@dataclass
class Axis:
    """A linear scale from values to pixels.

    Parameters
    ----------
    low, high : float
        The values at its ends.
    start, end : float
        The pixels at its ends.
    ticks : list of (float, str)
        Pixels and texts.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: list = field(default_factory=list)

    def at(self, values):
        """Return the pixels of values.

        Parameters
        ----------
        values : float or ndarray

        Returns
        -------
        float or ndarray
        """
        share = (np.asarray(values, dtype=float) - self.low) / (self.high - self.low)
        return np.round(self.start + share * (self.end - self.start), 1)


def axis_of(values, start, end, *, n_ticks=4, margin=0.06, least=None, most=None, write=None):
    """Return an axis that holds all finite values, with ticks at round numbers.

    Parameters
    ----------
    values : array-like of float
    start, end : float
        The pixels at its ends.
    n_ticks : int, default=4
        Ticks, at most one more.
    margin : float, default=0.06
        Space at each end, as a part of the range.
    least, most : float, default=None
        The smallest and the largest value that the axis may show.
    write : callable, default=None
        From a value to its text; None: three digits.

    Returns
    -------
    Axis
    """
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if not high > low:
        low, high = low - max(abs(low), 1) * 0.05, high + max(abs(high), 1) * 0.05
    space = margin * (high - low)
    low = low - space if least is None else max(least, low - space)
    high = high + space if most is None else min(most, high + space)
    axis = Axis(low, high, start, end)
    places = MaxNLocator(n_ticks, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    slack = 1e-9 * (high - low)
    axis.ticks = [
        (float(axis.at(place)), (write or short_number)(0.0 if abs(place) < slack else place))
        for place in places
        if low - slack <= place <= high + slack
    ]
    return axis


def line_path(x, y):
    """Return the SVG path of a line; it is broken where a value is not finite.

    Parameters
    ----------
    x, y : ndarray of shape (n,)
        Pixels.

    Returns
    -------
    str
    """
    parts, pen = [], "M"
    for left, top in zip(x, y, strict=True):
        if not np.isfinite(left) or not np.isfinite(top):
            pen = "M"
            continue
        parts.append(f"{pen}{left:g} {top:g}")
        pen = "L"
    return "".join(parts)


def spread_out(places, *, gap, low, high):
    """Return places that are at least a gap apart, each as near to the wanted one as it can be.

    Parameters
    ----------
    places : list of float
        The wanted places, in ascending order.
    gap : list of float
        The space that each needs.
    low, high : float
        The ends between which they should lie; where there is too little space, they go on below.

    Returns
    -------
    list of float
        The middle of each.
    """
    # Blocks of neighbours that touch are moved to where their places are on average.
    blocks = []

    def top(block):
        places, spaces = (np.array(part) for part in block)
        wanted = float(np.mean(places - np.cumsum(spaces) + spaces / 2))
        return max(low, min(wanted, high - float(spaces.sum())))

    for place, space in zip(places, gap, strict=True):
        blocks.append([[place], [space]])
        while len(blocks) > 1 and top(blocks[-2]) + sum(blocks[-2][1]) > top(blocks[-1]):
            last = blocks.pop()
            blocks[-1] = [blocks[-1][0] + last[0], blocks[-1][1] + last[1]]
    return [
        top(block) + end - space / 2
        for block in blocks
        for space, end in zip(block[1], np.cumsum(block[1]).tolist(), strict=True)
    ]


def marked_points(names, x, y, *, right, low, high, line=13.0):
    """Place labelled dots: equal ones side by side, and all labels in a column at the right.

    Parameters
    ----------
    names : list of str
    x, y : ndarray of shape (n,)
        Pixels of the dots.
    right : float
        Where the column of labels begins.
    low, high : float
        Its upper and its lower end.
    line : float, default=13.0
        The height of a label.

    Returns
    -------
    list of dict
        One for each place: ``x``, ``y``, its ``dots`` (name and shift to the side), and for each
        the place of its label.
    """
    groups = []
    for i in np.lexsort((x, y)).tolist():
        if not np.isfinite(x[i]) or not np.isfinite(y[i]):
            continue
        near = [g for g in groups if max(abs(x[g[0]] - x[i]), abs(y[g[0]] - y[i])) <= SAME_PLACE]
        near[0].append(i) if near else groups.append([i])
    tops = spread_out(
        [float(y[group[0]]) for group in groups],
        gap=[line * len(group) + 3 for group in groups],
        low=low,
        high=high,
    )
    found = []
    for group, top in zip(groups, tops, strict=True):
        n = len(group)
        found.append(
            {
                "x": float(x[group[0]]),
                "y": float(y[group[0]]),
                "right": right,
                "label_y": round(top, 1),
                "width": 10.0 * (n - 1),
                "dots": [
                    {
                        "name": names[i],
                        "shift": 10.0 * (k - (n - 1) / 2),
                        "label_y": round(top + line * (k - (n - 1) / 2), 1),
                    }
                    for k, i in enumerate(group)
                ],
            }
        )
    return found
