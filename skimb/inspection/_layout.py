"""Sizes of figures and texts, so that nothing that a display draws is cut off or overlaps.

A figure that a display makes has matplotlib's constrained layout, and its size follows from the
number of classes. Axes that are given are made smaller within their part of the figure, unless the
figure has a layout of its own.
"""

import textwrap
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from skimb._drawn_text import distinct_texts

__all__ = [
    "Rows",
    "axes_width",
    "keep_inside",
    "letters_within",
    "new_axes",
    "number_ticks",
    "put_legend",
    "rows_of",
    "texts_within",
    "width_of_part",
]

#: The mean width of a letter, and the distance of lines, as fractions of the size of letters.
LETTER, LINE = 0.62, 1.3

#: The sizes of letters beside rows, in points.
LEAST_SIZE, LARGEST_SIZE = 6.5, 10.0

#: The largest height of a figure in inches; with more rows, some have no name.
MOST_HEIGHT = 42.0

#: Axes of less width, in points, have no space for a legend beside them.
NARROW = 300

#: Space that is kept at the edges of a part of a figure, in pixels.
MARGIN = 3.0

#: The smallest fraction of its part of the figure to which axes are reduced, in each direction.
LEAST_PART = 0.15


def new_axes(width, height):
    """Return the axes of a new figure that has a constrained layout.

    Parameters
    ----------
    width, height : float
        Size in inches.

    Returns
    -------
    matplotlib Axes
    """
    return plt.subplots(figsize=(width, min(height, MOST_HEIGHT)), layout="constrained")[1]


class Rows(NamedTuple):
    """How the names of rows are written.

    Parameters
    ----------
    size : float
        The size of letters, in points.
    step : int
        Every `step`-th row has a name.
    height : float
        The distance of two rows that have names, in points.
    """

    size: float
    step: int
    height: float

    def named(self, n):
        """Return the rows that have a name, of `n`."""
        return np.arange(0, n, self.step)


def rows_of(ax, n, *, margin=0.12):
    """Return how the names of rows that fill axes from top to bottom are written.

    Parameters
    ----------
    ax : matplotlib Axes
    n : int
        Number of rows.
    margin : float, default=0.12
        The fraction of the height that other texts of the axes may take.

    Returns
    -------
    Rows
    """
    of_figure = ax.figure.bbox.height * (1 - margin)
    inches = min(ax.bbox.height, of_figure) / ax.figure.dpi
    height = 72 * inches * (1 - margin) / max(n, 1)
    step = max(int(np.ceil(LEAST_SIZE * LINE / height)), 1)
    return Rows(float(np.clip(height / LINE, LEAST_SIZE, LARGEST_SIZE)), step, height * step)


def width_of_part(ax):
    """Return the width of the part of a figure that axes may use, in points."""
    return 72 * _part(ax).width * ax.figure.bbox.width / ax.figure.dpi


def letters_within(ax, fraction, size=LARGEST_SIZE, *, most=40):
    """Return how many letters fit in a fraction of the part of a figure that axes may use.

    Parameters
    ----------
    ax : matplotlib Axes
    fraction : float
        The fraction of the width.
    size : float, default=10
        The size of the letters.
    most : int, default=40
        The largest number that is returned.

    Returns
    -------
    int
        At least 5.
    """
    return int(np.clip(fraction * width_of_part(ax) / (size * LETTER), 5, most))


def texts_within(labels, ax, fraction, size=LARGEST_SIZE, *, most=40):
    """Return different texts for labels that fit in a fraction of the width of axes.

    Parameters
    ----------
    labels : iterable
    ax, fraction, size, most
        As in `letters_within`.

    Returns
    -------
    list of str
    """
    return distinct_texts(labels, most=letters_within(ax, fraction, size, most=most))


def put_legend(ax, entries, *, size=9.0, is_above=False, **options):
    """Draw a legend to the right of axes, whose entries fit beside them, or above.

    Parameters
    ----------
    ax : matplotlib Axes
    entries : list of (artist, label)
        What the legend explains.
    size : float, default=9
        The size of letters, which is smaller where there are many entries.
    is_above : bool, default=False
        Whether the legend stands above the axes.
    **options
        Options of ``Axes.legend``.

    Returns
    -------
    matplotlib Legend
    """
    if width_of_part(ax) < NARROW and len(entries) <= 12 and not ax.get_title():
        is_above = True
        size = size if len(entries) <= 4 else min(size, 7.5)
    if is_above:
        longest = max(len(str(label)) for _, label in entries)
        per_row = int(letters_within(ax, 0.7, size, most=200) // (longest + 6))
        n_columns = int(np.clip(per_row, 1, len(entries)))
        return ax.legend(
            [handle for handle, _ in entries],
            texts_within([label for _, label in entries], ax, 0.62 / n_columns, size),
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            ncols=n_columns,
            frameon=False,
            fontsize=size,
            title_fontsize=size,
            **options,
        )
    height = 72 * ax.bbox.height / ax.figure.dpi
    size = float(np.clip(0.85 * height / (1.55 * (len(entries) + 1)), 6, size))
    texts = texts_within([label for _, label in entries], ax, 0.3, size)
    return ax.legend(
        [handle for handle, _ in entries],
        texts,
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        frameon=False,
        fontsize=size,
        title_fontsize=size,
        **options,
    )


def keep_inside(ax):
    """Reduce axes that were given until all that they show lies in their part of the figure.

    Nothing is done where the figure has a layout of its own, which does the same for all axes.

    Parameters
    ----------
    ax : matplotlib Axes
    """
    figure = ax.figure
    if figure.get_layout_engine() is not None:
        return
    titled = [one for one in _twins(ax) if one.get_title()]
    for one in titled:
        one.title.set_visible(False)
    _reduce(ax)
    for one in titled:
        one.title.set_visible(True)
        _fit_title(one)
    if titled:
        _reduce(ax)


def _reduce(ax):
    """Reduce axes until all that they show lies in their part of the figure."""
    part, figure = _part(ax), ax.figure
    place = ax.get_position(original=True)
    to_figure = figure.transSubfigure.inverted()
    pad = MARGIN / np.array([figure.bbox.width, figure.bbox.height])
    for _ in range(6):
        twins = _twins(ax)
        boxes = [one.get_tightbbox() for one in twins]
        tight = Bbox.union([box for box in boxes if box is not None]).transformed(to_figure)
        low = np.maximum(part.min + pad - tight.min, 0)
        high = np.minimum(part.max - pad - tight.max, 0)
        if not (low.any() or high.any()):
            break
        x0, y0 = place.min + low
        x1, y1 = np.maximum(place.max + high, [x0, y0] + LEAST_PART * np.array(part.size))
        place = Bbox.from_extents(x0, y0, x1, y1)
        for one in twins:
            one.set_position(place)
            # A later layout of the whole figure still finds them.
            one.set_in_layout(True)


def _twins(ax):
    """Return axes and those that lie upon them, with other scales."""
    bounds = ax.get_position(original=True).bounds
    return [one for one in ax.figure.axes if one.get_position(original=True).bounds == bounds]


def _fit_title(ax):
    """Break the title of axes into lines as wide as their part of the figure, in its middle."""
    size = min(ax.title.get_fontsize(), LARGEST_SIZE)
    letters = int(width_of_part(ax) / (size * LETTER))
    # A name of many letters is broken where it must be.
    lines = [textwrap.fill(line, max(letters, 8)) for line in ax.get_title().split("\n")]
    part, place = _part(ax), ax.get_position()
    middle = ((part.x0 + part.x1) / 2 - place.x0) / place.width
    ax.title.set(text="\n".join(lines), fontsize=size, x=middle)


def axes_width(ax):
    """Return the width that axes have in the layout of their figure, in points."""
    if ax.figure.get_layout_engine() is not None:
        ax.figure.canvas.figure.draw_without_rendering()
    ax.apply_aspect()
    return 72 * ax.bbox.width / ax.figure.dpi


def number_ticks(axis, largest):
    """Set ticks at whole numbers, as many as have space side by side.

    Parameters
    ----------
    axis : matplotlib XAxis
    largest : int
        The largest number.
    """
    most = int(axes_width(axis.axes) // (LARGEST_SIZE * LETTER * (len(str(largest)) + 2)))
    axis.set_major_locator(MaxNLocator(int(np.clip(most, 1, 6)), integer=True))


def _part(ax):
    """Return the part of a figure that axes may use, up to half of the gap to the next ones."""
    spec = ax.get_subplotspec()
    if spec is None:
        return Bbox.from_extents(0, 0, 1, 1)
    bottoms, tops, lefts, rights = spec.get_gridspec().get_grid_positions(ax.figure)
    rows, columns = spec.rowspan, spec.colspan
    first, last, n_columns = columns.start, columns.stop - 1, len(lefts)
    high, low, n_rows = rows.start, rows.stop - 1, len(tops)
    return Bbox.from_extents(
        0 if first == 0 else (rights[first - 1] + lefts[first]) / 2,
        0 if low == n_rows - 1 else (bottoms[low] + tops[low + 1]) / 2,
        1 if last == n_columns - 1 else (rights[last] + lefts[last + 1]) / 2,
        1 if high == 0 else (bottoms[high - 1] + tops[high]) / 2,
    )
