"""The number of samples in each part of a target's range, with relevance, weights and errors."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from skimb._scored_values import checked_values
from skimb.inspection._drawn_classes import COLOURS, GREY, WRONG
from skimb.inspection._layout import keep_inside, new_axes, put_legend
from skimb.relevance import LabelDensity, check_target, fit_relevance, fit_target_weight

__all__ = ["TargetDensityDisplay"]

#: Number of points of a smooth curve.
N_POINTS = 400

#: The curves that may be drawn over the counts: name, label and colour.
OVERLAYS = {
    "relevance": ("relevance", COLOURS[2]),
    "weights": ("weight of a sample", COLOURS[3]),
    "errors": ("mean absolute error", WRONG),
}

#: Width of the scale of a further axis, in points.
SCALE = 52


class TargetDensityDisplay:
    """The number of samples in each bin of a continuous target, with relevance, weights and errors.

    Parameters
    ----------
    edges : ndarray of shape (n_bins + 1,)
        Edges of the bins.
    counts : ndarray of shape (n_bins,)
        Samples in each.
    smoothed : ndarray of shape (n_bins,), default=None
        Smoothed counts, of the same total.
    relevance : ndarray of shape (m, 2), default=None
        Values of the target, and their relevance.
    weights : ndarray of shape (n_bins,), default=None
        The weight of a sample in each bin. NaN is not drawn.
    errors : ndarray of shape (n_bins,), default=None
        Mean absolute error in each bin. NaN is not drawn.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the counts.
    overlays_ : dict of str to matplotlib Axes
        The axes over them, for each of ``relevance``, ``weights`` and ``errors`` that is given.
    figure_ : matplotlib Figure
        The figure of the axes.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from skimb.inspection import TargetDensityDisplay
    >>> from skimb.relevance import LabelDensity
    >>> y = np.random.RandomState(0).exponential(size=1000)
    >>> display = TargetDensityDisplay.from_predictions(
    ...     y, np.full(1000, y.mean()), density=LabelDensity(bins=4), target_weight="inverse")
    >>> display.counts
    array([876, 112,   9,   3])
    >>> display.errors.round(1)
    array([0.6, 1.9, 3.8, 6.5])
    """

    def __init__(
        self,
        edges,
        counts,
        *,
        smoothed: Any = None,
        relevance: Any = None,
        weights: Any = None,
        errors: Any = None,
    ):
        self.edges = edges
        self.counts = counts
        self.smoothed = smoothed
        self.relevance = relevance
        self.weights = weights
        self.errors = errors

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike | None = None,
        *,
        density: Any = None,
        relevance: Any = None,
        target_weight: Any = None,
        ax: Any = None,
    ) -> Self:
        """Plot the values of a target and, if predictions are given, their errors.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            Values of the target.
        y_pred : array-like of shape (n,), default=None
            Their predictions. None: no errors are drawn.
        density : LabelDensity, default=None
            It defines bins and kernel. A clone is fitted to `y_true`. None: ``LabelDensity()``.
        relevance : Relevance or callable, default=None
            The relevance to draw, as in `fit_relevance`. None: it is not drawn.
        target_weight : {"inverse", "sqrt", "lds"} or callable, default=None
            The weights to draw, as in `compute_target_weight`, or a function of values. None: they
            are not drawn.
        ax : matplotlib Axes, default=None
            The axes to plot on. None: a new figure.

        Returns
        -------
        TargetDensityDisplay

        Raises
        ------
        ValueError
            If lengths differ, values are not finite, or a parameter does not fit.
        """
        y = check_target(y_true)
        density = (LabelDensity() if density is None else clone(density)).fit(y)
        edges = _drawn_edges(density, y)
        smoothed = density.smoothed(density.counts_)
        found = {"smoothed": smoothed * (len(y) / smoothed.sum())}
        if relevance is not None:
            values = np.linspace(edges[0], edges[-1], N_POINTS)
            found["relevance"] = np.column_stack([values, fit_relevance(relevance, y)(values)])
        if target_weight is not None:
            weigh = target_weight
            if not callable(weigh):
                weigh = fit_target_weight(target_weight, y, density=density)
            found["weights"] = density.means(y, np.asarray(weigh(y)))
        if y_pred is not None:
            _, y_pred, _ = checked_values(y, y_pred)
            found["errors"] = density.means(y, np.abs(y_pred - y))
        return cls(edges, density.counts_, **found).plot(ax=ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        density: Any = None,
        relevance: Any = None,
        target_weight: Any = None,
        ax: Any = None,
    ) -> Self:
        """Plot the values of a target, and the errors of a fitted regressor.

        Parameters
        ----------
        estimator : regressor
            Fitted.
        X : array-like of n samples
            Samples that the estimator reads.
        y, density, relevance, target_weight, ax
            As in `from_predictions`.

        Returns
        -------
        TargetDensityDisplay
        """
        return cls.from_predictions(
            y,
            estimator.predict(X),
            density=density,
            relevance=relevance,
            target_weight=target_weight,
            ax=ax,
        )

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
            given = sum(getattr(self, name) is not None for name in OVERLAYS)
            ax = new_axes(5.6 + SCALE / 72 * given, 4.2)
        centres = (self.edges[:-1] + self.edges[1:]) / 2
        ax.bar(centres, self.counts, width=np.diff(self.edges), color=GREY)
        if self.smoothed is not None:
            (line,) = ax.plot(centres, self.smoothed, color="0.2", linewidth=1.4, label="smoothed")
            put_legend(ax, [(line, "smoothed")], is_above=True)
        ax.set(xlabel="target", ylabel="samples in a bin")
        ax.spines[["top", "right"]].set_visible(False)
        self.overlays_ = {}
        if self.relevance is not None:
            over = self._overlay(ax, "relevance")
            over.plot(*np.transpose(self.relevance), color=OVERLAYS["relevance"][1])
            over.set_ylim(0, 1.05)
        for name in ("weights", "errors"):
            values = getattr(self, name)
            if values is not None:
                seen = ~np.isnan(values)
                over = self._overlay(ax, name)
                over.plot(centres[seen], values[seen], "o-", color=OVERLAYS[name][1], markersize=3)
                over.set_ylim(bottom=0)
        keep_inside(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _overlay(self, ax, name):
        """Return an axis with a scale of its own; each stands to the right of the last."""
        label, colour = OVERLAYS[name]
        over = ax.twinx()
        over.spines[["top", "left"]].set_visible(False)
        over.spines["right"].set_position(("outward", SCALE * len(self.overlays_)))
        over.spines["right"].set_color(colour)
        over.tick_params(axis="y", colors=colour)
        over.set_ylabel(label, color=colour)
        self.overlays_[name] = over
        return over


def _drawn_edges(density, y):
    """Return the edges of the bins; infinite ones are drawn as far as there are values."""
    edges = density.edges_.copy()
    if np.isinf(edges[0]):
        edges[0] = min(y.min(), edges[1])
    if np.isinf(edges[-1]):
        edges[-1] = max(y.max(), edges[-2])
    return edges
