"""Precision, recall and F1 of each class, with intervals."""

from collections.abc import Sequence
from typing import Any, Self

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skimb._class_intervals import MEASURES, per_class_intervals
from skimb._drawn_text import distinct_texts
from skimb._messages import shown
from skimb.inspection._drawn_classes import COLOURS
from skimb.inspection._layout import (
    MOST_HEIGHT,
    keep_inside,
    letters_within,
    put_legend,
    rows_of,
)

__all__ = ["PerClassDisplay"]

#: The names of the measures, their colours and markers.
DRAWN = {
    "precision": ("precision", COLOURS[0], "o"),
    "recall": ("recall", COLOURS[1], "s"),
    "f1": ("F1", COLOURS[2], "D"),
}

#: The height of a class in a new figure, in inches: of up to `FEW`, and of more.
FEW, FEW_ROW, ROW = 12, 0.36, 0.165


class PerClassDisplay:
    """Precision, recall and F1 of each class, as points with intervals.

    A long interval says that there are too few test samples of a class to know its figure. Where a
    class was never predicted, it has no precision, and no point is drawn.

    Parameters
    ----------
    scores : DataFrame
        A row for each class, with the columns ``precision``, ``precision_low`` and
        ``precision_high``, the same of ``recall`` and ``f1``, ``n_true`` and ``n_predicted``.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the first measure.
    axes_ : ndarray of matplotlib Axes
        All axes.
    figure_ : matplotlib Figure
        The figure of the axes.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from skimb.inspection import PerClassDisplay
    >>> y_true = ["dog"] * 8 + ["cat"] * 4
    >>> y_pred = ["dog"] * 8 + ["cat"] * 3 + ["dog"]
    >>> display = PerClassDisplay.from_predictions(y_true, y_pred)
    >>> display.scores[["recall", "recall_low", "recall_high"]].round(2)
           recall  recall_low  recall_high
    class
    cat      0.75        0.30         0.95
    dog      1.00        0.68         1.00
    """

    def __init__(self, scores):
        self.scores = scores

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        labels: Any = None,
        measures: Sequence[str] = MEASURES,
        confidence_level: float = 0.95,
        n_resamples: int = 1000,
        random_state: Any = 0,
        ax: Any = None,
    ) -> Self:
        """Plot the scores of predictions.

        The intervals of precision and recall are those of Wilson; that of F1 is a bootstrap over
        the samples. They hold for independent samples, and tell nothing of other trainings.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n,)
            True and predicted labels.
        labels : array-like of shape (n_classes,), default=None
            The classes to draw, from top to bottom. None: all, sorted.
        measures : sequence of {"precision", "recall", "f1"}, default=all
            What is drawn.
        confidence_level : float, default=0.95
            How often an interval holds the true figure.
        n_resamples : int, default=1000
            Bootstrap resamples for F1.
        random_state : int, RandomState instance or None, default=0
            It determines the resamples.
        ax : matplotlib Axes or array of Axes, default=None
            One axes for all measures, or one for each. None: a new figure.

        Returns
        -------
        PerClassDisplay

        Raises
        ------
        ValueError
            If lengths differ, no label occurs, or a measure is unknown.
        """
        _check_measures(measures)
        scores = per_class_intervals(
            y_true,
            y_pred,
            labels,
            confidence_level=confidence_level,
            n_resamples=n_resamples,
            random_state=random_state,
        )
        return cls(scores).plot(measures=measures, ax=ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        labels: Any = None,
        measures: Sequence[str] = MEASURES,
        confidence_level: float = 0.95,
        n_resamples: int = 1000,
        random_state: Any = 0,
        ax: Any = None,
    ) -> Self:
        """Plot the scores of a classifier.

        Parameters
        ----------
        estimator : classifier
            Fitted.
        X : array-like of n samples
            Samples that it was not trained on.
        y : array-like of shape (n,)
            Their labels.
        labels, measures, confidence_level, n_resamples, random_state, ax
            As in `from_predictions`.

        Returns
        -------
        PerClassDisplay

        Raises
        ------
        ValueError
            As in `from_predictions`.
        """
        check_is_fitted(estimator)
        _check_measures(measures)
        return cls.from_predictions(
            y,
            estimator.predict(X),
            labels=labels,
            measures=measures,
            confidence_level=confidence_level,
            n_resamples=n_resamples,
            random_state=random_state,
            ax=ax,
        )

    def plot(self, *, measures: Sequence[str] = MEASURES, ax: Any = None) -> Self:
        """Plot.

        Parameters
        ----------
        measures, ax
            As in `from_predictions`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a measure is unknown, or `ax` are not one axes or as many as measures.
        """
        measures = _check_measures(measures)
        n = len(self.scores)
        if ax is None:
            most = max(map(len, distinct_texts(self.scores.index)))
            axes = plt.subplots(
                1,
                len(measures),
                figsize=(
                    1.7 + 0.09 * most + 1.9 * len(measures),
                    min(max((FEW_ROW if n <= FEW else ROW) * n + 0.8, 2.0), MOST_HEIGHT),
                ),
                layout="constrained",
                squeeze=False,
                sharey=True,
            )[1].ravel()
        else:
            axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
            is_axes = all(isinstance(one, Axes) for one in axes)
            if not is_axes or len(axes) not in (1, len(measures)):
                raise ValueError(
                    f"`ax` must be one axes, or {len(measures)} of them, one for each of "
                    f"{list(measures)}. Got {shown(ax)}."
                )
        is_shared = len(axes) < len(measures)
        for place, name in enumerate(measures):
            panel = axes[0 if is_shared else place]
            shift = (place - (len(measures) - 1) / 2) * 0.27 if is_shared else 0.0
            self._draw(panel, name, shift, 0.27 if is_shared else 0.45)
            if not is_shared:
                panel.set_title(DRAWN[name][0], fontsize=10)
        for place, panel in enumerate(axes):
            rows = rows_of(panel, n)
            named = rows.named(n)
            if place == 0 or ax is not None:
                texts = self._texts(panel, rows.size, ax is None)
                panel.set_yticks(named, labels=[texts[row] for row in named], fontsize=rows.size)
            panel.set(xlim=(-0.04, 1.04), ylim=(n - 0.4, -0.6))
            panel.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
            panel.grid(axis="x", color="0.88", linewidth=0.8)
            panel.set_axisbelow(True)
            if place == 0:
                panel.set_ylabel("class (test samples)", fontsize=9)
            panel.spines[["top", "right", "left"]].set_visible(False)
            panel.tick_params(axis="y", length=0)
            if is_shared and len(measures) > 1:
                entries = [(panel.collections[i], DRAWN[one][0]) for i, one in _points(measures)]
                put_legend(panel, entries, is_above=True, handlelength=0.8, columnspacing=1)
            keep_inside(panel)
        self.axes_, self.ax_, self.figure_ = axes, axes[0], axes[0].figure
        return self

    def _draw(self, ax, name, shift, part):
        label, colour, marker = DRAWN[name]
        y = np.arange(len(self.scores)) + shift
        low, high = self.scores[f"{name}_low"], self.scores[f"{name}_high"]
        rows = rows_of(ax, len(self.scores))
        size = float(np.clip(rows.height / rows.step * part, 1.5, 6))
        ax.hlines(y, low, high, color=colour, linewidth=size / 2.6, alpha=0.55)
        ax.scatter(
            self.scores[name], y, s=size**2, color=colour, marker=marker, zorder=3, label=label
        )

    def _texts(self, ax, size, is_new):
        """Return the names of the classes with their numbers of samples, as far as they fit."""
        numbers = [f" ({n:.0f})" for n in self.scores.n_true]
        most = 48 if is_new else letters_within(ax, 0.42, size)
        most = max(most - max(map(len, numbers)), 5)
        texts = distinct_texts(self.scores.index, most=most)
        return [text + number for text, number in zip(texts, numbers, strict=True)]


def _points(measures):
    """Return the place of the points of each measure among what was drawn: lines come before."""
    return [(2 * place + 1, name) for place, name in enumerate(measures)]


def _check_measures(measures):
    """Return measures as a tuple, or refuse them."""
    found = (measures,) if isinstance(measures, str) else tuple(measures)
    if not found or set(found) - set(MEASURES) or len(set(found)) < len(found):
        raise ValueError(
            f"`measures` must be one or some of {list(MEASURES)}, each once. Got {shown(measures)}."
        )
    return found
