"""The learning curve of one class, and how it may go on with more images."""

from typing import Any, Self

import numpy as np
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter
from sklearn.utils import check_array, column_or_1d

from skimb.inspection._drawn_classes import COLOURS
from skimb.inspection._layout import axes_width, keep_inside, new_axes, put_legend, texts_within

__all__ = ["MoreImagesDisplay"]

#: The names of measures.
MEASURES = {
    "average_precision": "average precision",
    "best_f1": "F1 at the best threshold",
    "f1": "F1",
}


class MoreImagesDisplay:
    """Scores over the number of images of one class, with a curve and its band.

    The curve is drawn with a full line up to the images that there are, and dashed beyond, where
    nothing was measured.

    Parameters
    ----------
    sizes : array-like of shape (n_sizes,)
        Images of the class in the training parts.
    scores : array-like of shape (n_runs, n_sizes)
        A score for each run, such as a fold, and each size. NaN is not drawn.
    grid : array-like of shape (n_grid,)
        Numbers of images for which the curve is given, rising.
    mean, low, high : array-like of shape (n_grid,)
        The curve, and the ends of its band.
    label : label
        The class.
    measure : str
        The name of the measure.
    n_images : int, default=None
        The images of the class that there are. None: the largest of `sizes`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the plot.
    figure_ : matplotlib Figure
        The figure of the axes.

    Raises
    ------
    ValueError
        If lengths differ, or numbers of images are not positive and rising.

    See Also
    --------
    skimb.study.more_images : It computes such a curve.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from skimb.inspection import MoreImagesDisplay
    >>> sizes, grid = np.array([10, 20, 40]), np.array([10, 20, 40, 80, 160])
    >>> mean = 0.95 - grid**-0.5
    >>> display = MoreImagesDisplay(
    ...     sizes, [mean[:3] - 0.03, mean[:3] + 0.03], grid=grid, mean=mean, low=mean - 0.05,
    ...     high=mean + 0.05, label="crack", measure="average_precision").plot()
    >>> display.ax_.get_ylabel()
    'average precision'
    """

    def __init__(self, sizes, scores, *, grid, mean, low, high, label, measure, n_images=None):
        self.sizes = _numbers_of_images(sizes, "sizes", is_rising=False)
        self.scores = check_array(
            scores, dtype=np.float64, ensure_all_finite="allow-nan", input_name="scores"
        )
        if self.scores.shape[1] != len(self.sizes):
            raise ValueError(
                f"`scores` must have a column for each of the {len(self.sizes)} sizes. Got shape "
                f"{self.scores.shape}."
            )
        self.grid = _numbers_of_images(grid, "grid", is_rising=True)
        curve = {"mean": mean, "low": low, "high": high}
        for name, values in curve.items():
            values = column_or_1d(np.asarray(values, dtype=np.float64))
            if len(values) != len(self.grid):
                raise ValueError(
                    f"`{name}` must have a value for each of the {len(self.grid)} numbers of "
                    f"`grid`. Got {len(values)}."
                )
            curve[name] = values
        self.mean, self.low, self.high = curve["mean"], curve["low"], curve["high"]
        self.label = label
        self.measure = measure
        self.n_images = self.sizes.max() if n_images is None else n_images

    @classmethod
    def from_result(cls, result: Any, *, ax: Any = None) -> Self:
        """Plot the result of `skimb.study.more_images`.

        Parameters
        ----------
        result : MoreImages
            An object with the attributes ``sizes``, ``scores``, ``grid``, ``mean``, ``low``,
            ``high``, ``label``, ``measure`` and ``n_images``.
        ax : matplotlib Axes, default=None
            The axes to plot on. None: a new figure.

        Returns
        -------
        MoreImagesDisplay
        """
        display = cls(
            result.sizes,
            result.scores,
            grid=result.grid,
            mean=result.mean,
            low=result.low,
            high=result.high,
            label=result.label,
            measure=result.measure,
            n_images=result.n_images,
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Plot.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to plot on. None: a new figure.

        Returns
        -------
        self
        """
        if ax is None:
            ax = new_axes(6.4, 4.4)
        colour, points = COLOURS[0], COLOURS[1]
        now = self.n_images
        height = float(np.interp(now, self.grid, self.mean))
        is_known, is_ahead = self.grid < now, self.grid > now
        band = ax.fill_between(
            self.grid, self.low, self.high, color=colour, alpha=0.16, linewidth=0
        )
        (line,) = ax.plot([*self.grid[is_known], now], [*self.mean[is_known], height], color=colour)
        entries = [(line, "fitted curve"), (band, "its band")]
        if is_ahead.any():
            ahead = [now, *self.grid[is_ahead]], [height, *self.mean[is_ahead]]
            (dashes,) = ax.plot(*ahead, color=colour, linestyle="--")
            entries.insert(1, (dashes, "not measured"))
        x = np.repeat(self.sizes[None], len(self.scores), axis=0)
        marks = ax.scatter(x, self.scores, s=18, color=points, linewidths=0, alpha=0.7, zorder=3)
        entries.insert(0, (marks, "one run"))
        border = ax.axvline(now, color="0.5", linewidth=0.9, zorder=0)
        entries.append((border, f"now: {now:.0f} images"))
        ax.set_xscale("log")
        name = texts_within([self.label], ax, 0.55)[0]
        ax.set(xlabel=f"images of {name}", ylabel=MEASURES.get(self.measure, str(self.measure)))
        ax.spines[["top", "right"]].set_visible(False)
        put_legend(ax, entries)
        keep_inside(ax)
        self._set_ticks(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _set_ticks(self, ax):
        """Write numbers of images where there is space: halves and doubles of those there are."""
        low, high = ax.get_xlim()
        ticks = self.n_images * 2.0 ** np.arange(-12, 13)
        ticks = ticks[(ticks >= max(low, 1)) & (ticks <= high)]
        space = len(f"{high:.0f}") * 8.0 + 8
        each = axes_width(ax) * np.log(2) / np.log(high / low)
        step = max(int(np.ceil(space / each)), 1)
        here = int(np.argmin(np.abs(ticks - self.n_images)))
        ax.xaxis.set_major_locator(FixedLocator(list(ticks[here % step :: step])))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))


def _numbers_of_images(values, name, *, is_rising):
    """Return positive numbers as an array, or refuse them."""
    found = column_or_1d(np.asarray(values, dtype=np.float64))
    is_positive = len(found) and np.isfinite(found).all() and (found > 0).all()
    if not is_positive or (is_rising and (np.diff(found) <= 0).any()):
        rising = ", each larger than the one before" if is_rising else ""
        raise ValueError(f"`{name}` must be positive numbers of images{rising}. Got {values!r}.")
    return found
