"""Losses over the epochs, and the samples of each class in the batches."""

from typing import Any, Self

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.ticker import (
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
    StrMethodFormatter,
)
from sklearn.utils.validation import check_is_fitted

from skimb._messages import shown
from skimb.inspection._drawn_classes import COLOURS, GREY, LINES
from skimb.inspection._layout import (
    MOST_HEIGHT,
    keep_inside,
    put_legend,
    rows_of,
    texts_within,
)

__all__ = ["TrainingHistoryDisplay"]

#: The most trainings that have a colour and a name; the others are grey.
MOST_NAMED = 14

#: The most classes and epochs whose counts are written as numbers.
MOST_NUMBERS = (12, 12)


class TrainingHistoryDisplay:
    """Losses over the epochs, and how many samples of each class the batches of an epoch hold.

    Parameters
    ----------
    histories : dict of str to list of list of float
        Name to the loss of each epoch of each of its trainings. For several, the mean is drawn, and
        a band between their quantiles of 10 % and 90 %. Of more than 14 names, 14 are named.
    class_counts : dict of label to list of int, default=None
        For each class, the samples in the batches of each epoch. Batches hold the classes as they
        are in the data, or in other fractions by `batch_sampling`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the losses.
    axes_ : ndarray of matplotlib Axes
        The axes of the losses and, if they are drawn, of the counts.
    figure_ : matplotlib Figure
        The figure of the axes.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.inspection import TrainingHistoryDisplay
    >>> from skimb.neural_network import CNNClassifier
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> clf = CNNClassifier(max_epochs=3, batch_sampling="progressive", random_state=0).fit(X, y)
    >>> display = TrainingHistoryDisplay.from_estimator(clf)
    >>> len(display.histories["training"][0])
    3
    >>> display.class_counts[1]
    [82, 473, 864]
    """

    def __init__(self, histories, *, class_counts: Any = None):
        self.histories = histories
        self.class_counts = class_counts

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Plot the training loss of a fitted estimator, and the validation loss if there is one.

        Parameters
        ----------
        estimator : CNNClassifier or CNNRegressor
            Fitted.
        ax : matplotlib Axes or array of two Axes, default=None
            The axes to plot on. One shows the losses alone; the second of two, the samples of each
            class. None: a new figure of both.

        Returns
        -------
        TrainingHistoryDisplay

        Raises
        ------
        ValueError
            If the estimator has no history of a training.
        """
        check_is_fitted(estimator)
        records = getattr(estimator, "history_", None)
        if not records or "train_loss" not in records[0]:
            raise ValueError(
                f"{type(estimator).__name__} has no history of a training. Give a fitted "
                "CNNClassifier or CNNRegressor, such as `best_estimator_` of a search."
            )
        histories = {"training": [[epoch["train_loss"] for epoch in records]]}
        if "valid_loss" in records[0]:
            histories["validation"] = [[epoch["valid_loss"] for epoch in records]]
        counts = None
        # Files of earlier versions have no counts.
        if all("class_counts" in epoch for epoch in records):
            table = np.array([epoch["class_counts"] for epoch in records]).T.tolist()
            counts = dict(zip(np.asarray(estimator.classes_).tolist(), table, strict=True))
        return cls(histories, class_counts=counts).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Plot.

        Parameters
        ----------
        ax : matplotlib Axes or array of two Axes, default=None
            As in `from_estimator`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there are no losses, or `ax` holds more axes than there are panels.
        """
        runs = [len(run) for runs in self.histories.values() for run in runs]
        if not runs or not min(runs) or not all(map(len, self.histories.values())):
            raise ValueError(
                "`histories` must hold a loss of one epoch at least for each training. Got "
                f"{shown(self.histories)}."
            )
        n_panels = 1 if self.class_counts is None else 2
        if ax is None:
            n_rows = len(self.class_counts or ())
            height = 0 if n_panels == 1 else min(0.5 + max(0.17 * n_rows, 0.9), MOST_HEIGHT)
            is_wide = len(self.histories) > 4
            grid = plt.subplots(
                n_panels,
                1,
                figsize=(8.4 if is_wide else 6.4, 4.0 + height),
                height_ratios=(4.0, height)[:n_panels],
                layout="constrained",
                squeeze=False,
            )[1]
            axes = grid[:, 0]
        else:
            axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
            if not all(isinstance(one, Axes) for one in axes) or not 1 <= len(axes) <= n_panels:
                raise ValueError(
                    f"`ax` must be {'one axes' if n_panels == 1 else 'one axes, or two'} of "
                    f"matplotlib: {'the losses' if n_panels == 1 else 'losses and class counts'}. "
                    f"Got {shown(ax)}."
                )
        self._draw_losses(axes[0])
        if len(axes) == 2:
            self._draw_counts(axes[1])
            axes[1].set_xlabel("epoch")
            if ax is None:
                axes[0].set_xlabel("")
        for one in axes:
            one.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            one.set_xlim(0.5, max(self._n_epochs(), 1) + 0.5)
            keep_inside(one)
        self.axes_, self.ax_, self.figure_ = axes, axes[0], axes[0].figure
        return self

    def _n_epochs(self):
        runs = [len(run) for runs in self.histories.values() for run in runs]
        return max([*runs, *map(len, (self.class_counts or {}).values())])

    def _draw_losses(self, ax):
        names = list(self.histories)
        entries, lowest = [], np.inf
        for i, name in enumerate(names):
            runs = [np.asarray(run, dtype=float) for run in self.histories[name]]
            # Early stopping may end some of them sooner.
            length = min(map(len, runs))
            runs = np.stack([run[:length] for run in runs])
            epochs = 1 + np.arange(length)
            lowest = min(lowest, runs.min())
            is_named = i < MOST_NAMED
            style = {"color": GREY, "linewidth": 0.8, "zorder": 1}
            if is_named:
                style = {"color": COLOURS[i % len(COLOURS)], "linewidth": 1.7}
                # The first one, often a baseline, lies above the others.
                style |= {"zorder": 3 - i / MOST_NAMED}
                style |= {"linestyle": LINES[(i + i // len(COLOURS)) % len(LINES)]}
            if length == 1:
                style |= {"marker": "o"}
            (line,) = ax.plot(epochs, runs.mean(axis=0), label=name, **style)
            if is_named:
                entries.append((line, name))
            else:
                line.set_label("_" + str(name))
            if len(runs) > 1 and is_named:
                low, high = np.quantile(runs, [0.1, 0.9], axis=0)
                ax.fill_between(epochs, low, high, color=style["color"], alpha=0.12, linewidth=0)
        ax.set(xlabel="epoch", ylabel="loss", yscale="log" if lowest > 0 else "linear")
        if lowest > 0:
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            ax.yaxis.set_minor_formatter(NullFormatter())
        ax.spines[["top", "right"]].set_visible(False)
        left = len(names) - len(entries)
        title = f"{len(entries)} of {len(names)}" if left else None
        put_legend(ax, entries, title=title, is_above=len(names) <= 3)

    def _draw_counts(self, ax):
        table = np.array(list((self.class_counts or {}).values()), dtype=float)
        n_classes, n_epochs = table.shape
        rows = rows_of(ax, n_classes)
        named = rows.named(n_classes)
        texts = texts_within(list(self.class_counts or {}), ax, 0.35, rows.size)
        most = float(max(table.max(), 2))
        least = float(max(1, min(table.min(), most / 2)))
        scale = LogNorm(least, most)
        ax.imshow(
            np.maximum(table, least),
            norm=scale,
            cmap="cividis",
            aspect="auto",
            extent=(0.5, n_epochs + 0.5, n_classes - 0.5, -0.5),
        )
        has_numbers = n_classes <= MOST_NUMBERS[0] and n_epochs <= MOST_NUMBERS[1]
        if has_numbers:
            for (i, j), count in np.ndenumerate(table):
                colour = "black" if scale(max(count, least)) > 0.55 else "white"
                ax.text(j + 1, i, f"{count:.0f}", color=colour, ha="center", va="center", size=8)
        ax.set_yticks(named, labels=[texts[row] for row in named], fontsize=rows.size)
        ax.set_title("samples in the batches of an epoch", fontsize=10, loc="left")
        if not has_numbers:
            bar = ax.figure.colorbar(ScalarMappable(scale, "cividis"), ax=ax, aspect=12, pad=0.02)
            ends = np.rint(np.geomspace(least, most, 3)).astype(int)
            bar.set_ticks(ends, labels=[str(end) for end in ends])
            bar.ax.yaxis.set_minor_locator(NullLocator())
