"""How often classes occur where their probability is about p."""

from typing import Any, Self

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from skimb._drawn_text import distinct_texts
from skimb._reliability import check_bins, checked_outcomes, put_in_bins
from skimb.inspection._drawn_classes import (
    COLOURS,
    LINES,
    MARKERS,
    drawn_classes,
    predicted_probabilities,
)
from skimb.inspection._layout import NARROW, keep_inside, letters_within, put_legend, width_of_part

__all__ = ["ReliabilityDisplay"]

#: The most classes that are drawn in colour; and those that have intervals as well.
MOST_NAMED, MOST_INTERVALS = 10, 3
#: The number of bins, and the fewest samples of each, where no number of bins is given.
N_BINS, LEAST_SAMPLES = 10, 10
#: The bins of the calibration error: the defaults of `skimb.metrics.classwise_calibration_error`.
ERROR_BINS: Any = {"n_bins": 15, "strategy": "quantile"}
#: The fewest samples of a point of a grey curve, which shows no interval.
LEAST_GREY = 10
#: The most letters of a label in the legend.
MOST_LETTERS = 26


class ReliabilityDisplay:
    """How often an event happens where its probability is about p: the reliability diagram.

    Points on the diagonal are right. Below it, the classifier is too certain; above it, not certain
    enough. A point of few samples says little: it is filled only if chance alone would seldom put
    it so far from the diagonal, which then lies outside of its 95 % interval (of Clopper and
    Pearson). For up to three curves the intervals are drawn. There is no point where there is no
    sample.

    Parameters
    ----------
    curves : dict of str to DataFrame
        Name to the points of each curve, with the columns ``probability`` (the mean of the bin),
        ``fraction`` (how often the event happened), ``low`` and ``high`` (the interval of the
        fraction), ``n_samples`` and ``share`` (the fraction of all weight in the bin). The name is
        the text in the legend.
    errors : dict of str to float
        The calibration error of each class, as `skimb.metrics.classwise_calibration_error` returns
        it, whatever bins are drawn; for ``"top_label"``, that of the curve by
        `skimb.metrics.expected_calibration_error`.
    kind : {"per_class", "top_label"}
        The event: that a class is the true one, or that the predicted class is.
    named : list of str, default=None
        The curves in colour; the others are grey. None: all.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the plot.
    figure_ : matplotlib Figure
        The figure of the axes.

    See Also
    --------
    skimb.metrics.classwise_calibration_error : How far the probabilities of each class are off.
    skimb.metrics.expected_calibration_error : How far the confidence in predicted labels is off.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from skimb.inspection import ReliabilityDisplay
    >>> y_true = ["ill", "well", "ill", "well", "well", "well"]
    >>> p_well = [0.1, 0.3, 0.4, 0.6, 0.8, 0.9]
    >>> display = ReliabilityDisplay.from_predictions(y_true, p_well, n_bins=2)
    >>> display.curves["well"][["probability", "fraction", "n_samples"]].round(2)
       probability  fraction  n_samples
    0         0.27      0.33          3
    1         0.77      1.00          3
    """

    def __init__(self, curves, *, errors, kind, named: Any = None):
        self.curves = curves
        self.errors = errors
        self.kind = kind
        self.named = named

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_proba: ArrayLike,
        *,
        labels: Any = None,
        kind: str = "per_class",
        classes: Any = None,
        n_bins: Any = None,
        strategy: str = "uniform",
        sample_weight: ArrayLike | None = None,
        ax: Any = None,
    ) -> Self:
        """Plot known probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            True labels.
        y_proba : array-like of shape (n, n_classes) or (n,)
            Probabilities; for two classes, those of the second one suffice. A frame is read by the
            labels of its columns.
        labels : array-like of shape (n_classes,), default=None
            The label of each column. None: the sorted labels of `y_true`, or of a frame's columns.
        kind : {"per_class", "top_label"}, default="per_class"
            ``"per_class"``: a curve for each class; for two classes, for the second one.
            ``"top_label"``: one curve, of the largest probability and of how often this class is
            the true one. It says little about minority classes, which are seldom predicted.
        classes : label or list of labels, default=None
            The classes to draw in colour. None: all, up to ten; of more classes, the ten with the
            largest calibration errors.
        n_bins : int, default=None
            The number of bins. None: ten, of which neighbours are put together until each holds ten
            samples, so that few samples give few points.
        strategy : {"uniform", "quantile"}, default="uniform"
            ``"uniform"``: bins of the same width, so that large probabilities of minority classes
            have points of their own. ``"quantile"``: bins of about the same number of samples, most
            of which are near zero for a minority class.
        sample_weight : array-like of shape (n,), default=None
            Weights.
        ax : matplotlib Axes, default=None
            The axes to plot on. None: a new figure.

        Returns
        -------
        ReliabilityDisplay

        Raises
        ------
        ValueError
            If probabilities and labels do not fit, or a parameter has no such value.
        """
        check_bins(N_BINS if n_bins is None else n_bins, strategy)
        if kind not in ("per_class", "top_label"):
            raise ValueError(f"`kind` must be 'per_class' or 'top_label'. Got {kind!r}.")
        known = checked_outcomes(y_true, y_proba, labels=labels, sample_weight=sample_weight)
        columns = None
        if classes is not None:
            every = known.labels.tolist()
            columns = [every.index(one) for one in drawn_classes(classes, known.labels)]
        if kind == "top_label":
            texts = ["predicted class"]
            events = {texts[0]: known.top_label()}
            drawn = texts
        else:
            texts = distinct_texts(known.labels.tolist(), most=MOST_LETTERS)
            events = {text: known.of_class(k) for k, text in enumerate(texts)}
            drawn = texts
            if len(texts) == 2:
                drawn = [texts[1]] if columns is None else [texts[k] for k in columns]
        bins: Any = {"n_bins": n_bins, "strategy": strategy}
        if n_bins is None:
            bins |= {"n_bins": N_BINS, "least": LEAST_SAMPLES}
        curves = {name: _points(put_in_bins(*events[name], known.weight, **bins)) for name in drawn}
        errors = {
            name: put_in_bins(*event, known.weight, **ERROR_BINS).error(debias=True)
            for name, event in events.items()
        }
        named = None
        if kind == "per_class" and columns is not None:
            named = [texts[k] for k in columns]
        elif len(events) > MOST_NAMED:
            named = sorted(errors, key=errors.__getitem__, reverse=True)[:MOST_NAMED]
        return cls(curves, errors=errors, kind=kind, named=named).plot(ax=ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        kind: str = "per_class",
        classes: Any = None,
        n_bins: Any = None,
        strategy: str = "uniform",
        sample_weight: ArrayLike | None = None,
        ax: Any = None,
    ) -> Self:
        """Plot the probabilities of a classifier for samples that it was not trained on.

        Parameters
        ----------
        estimator : classifier
            Fitted, with ``predict_proba``.
        X : array-like of n samples
            Samples.
        y : array-like of shape (n,)
            Their labels.
        kind, classes, n_bins, strategy, sample_weight, ax
            As in `from_predictions`.

        Returns
        -------
        ReliabilityDisplay

        Raises
        ------
        ValueError
            As in `from_predictions`, and if the estimator has no ``predict_proba``.
        """
        return cls.from_predictions(
            y,
            predicted_probabilities(estimator, X),
            labels=estimator.classes_,
            kind=kind,
            classes=classes,
            n_bins=n_bins,
            strategy=strategy,
            sample_weight=sample_weight,
            ax=ax,
        )

    def plot(self, *, ax: Any = None) -> Self:
        """Plot.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to plot on. None: a new figure, whose layout leaves space for the legend.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `ax` is no axes, or several.
        """
        is_own = ax is None
        if not (is_own or isinstance(ax, Axes)):
            raise ValueError(
                f"`ax` must be one axes of matplotlib. Got {type(ax).__name__}"
                f"{f' of shape {np.shape(ax)}' if np.ndim(ax) else ''}. All classes share one "
                "axes: give one of them, such as axes[0]."
            )
        named = list(self.curves) if self.named is None else self.named
        is_right = len(named) > MOST_INTERVALS
        if is_own:
            size = (7.6, 4.8) if is_right else (5.2, 5.4)
            ax = plt.subplots(figsize=size, layout="compressed")[1]
        ax.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle="--", zorder=1)
        for name in self.curves:
            if name not in named:
                points = self.curves[name]
                points = points[points.n_samples >= LEAST_GREY]
                ax.plot(points.probability, points.fraction, color="#00000026", linewidth=0.8)
        for i, name in enumerate(named):
            self._curve(ax, name, i, has_intervals=not is_right)
        ax.set(
            xlim=(-0.03, 1.03),
            ylim=(-0.03, 1.03),
            xlabel="probability",
            ylabel="fraction of samples",
            aspect="equal",
            title=self._title(),
        )
        ax.spines[["top", "right"]].set_visible(False)
        if self.kind == "per_class":
            title = "class: error"
            if len(named) < len(self.curves):
                title += f"\n({len(named)} of {len(self.curves)} classes)"
            if not is_own:
                self._given_legend(ax, named, title)
            else:
                place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.13)}
                if is_right:
                    place = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "fontsize": "small"}
                ax.legend(frameon=False, title=title, **place)
        keep_inside(ax)
        self.ax_: Any = ax
        self.figure_: Any = ax.figure
        return self

    def _given_legend(self, ax, named, title):
        """Draw the legend above narrow axes that are given, and else beside them."""
        entries, is_wide = [], width_of_part(ax) >= NARROW
        for handle, text in zip(*ax.get_legend_handles_labels(), strict=True):
            name, error = text.rsplit(": ", 1)
            # The texts of names were made for labels already.
            name = name.replace(r"\$", "$")
            most = max(letters_within(ax, 0.3 if is_wide else 0.6, 9) - 8, 5)
            if len(name) > most:
                name = f"{name[: (most - 1) // 2]}…{name[-(most // 2) :]}"
            entries.append((handle, f"{name}: {error}"))
        if not is_wide:
            title = f"{ax.get_title()}\n{title}"
            ax.set_title("")
        put_legend(ax, entries, title=title)

    def _curve(self, ax, name, i, *, has_intervals):
        points = self.curves[name]
        color, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        if has_intervals:
            ax.vlines(points.probability, points.low, points.high, color=color, alpha=0.35, lw=2.5)
        far = (points.probability < points.low) | (points.probability > points.high)
        label = f"{name}: {self.errors[name]:.3f}"
        style = {"linestyle": LINES[(i + i // len(COLOURS)) % len(LINES)], "marker": marker}
        style |= {"markersize": 5, "markerfacecolor": "white", "linewidth": 1.2, "color": color}
        ax.plot(points.probability, points.fraction, label=label, **style)
        for is_far, face in ((True, color), (False, "white")):
            own = points[far == is_far]
            ax.scatter(
                own.probability,
                own.fraction,
                s=26,
                facecolor=face,
                edgecolor=color,
                marker=marker,
                zorder=3,
            )

    def _title(self):
        if self.kind == "top_label":
            return f"Expected calibration error {self.errors['predicted class']:.3f}"
        mean = np.mean(list(self.errors.values()))
        return f"Classwise calibration error {mean:.3f}"


def _points(bins):
    """Return a frame of bins, with intervals of Clopper and Pearson."""
    low, high = bins.intervals()
    return pd.DataFrame(
        {
            "probability": bins.probability,
            "fraction": bins.fraction,
            "low": low,
            "high": high,
            "n_samples": bins.n_samples,
            "share": bins.share,
        }
    )
