"""The report of a comparison for labels: its figures and tables."""

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay

from skimb._drawn_text import distinct_texts
from skimb.inspection import ClassDistributionDisplay, plain_text
from skimb.study._classification_strategies import BUILT_ON_BASELINE
from skimb.study._report import image_source, render, report_style
from skimb.study._sample_images import MOST_CLASSES_SHOWN
from skimb.study._strategies import CONSTANT

__all__ = ["MATRIX_WIDTH", "classification_report", "draw_matrix", "matrix_side"]

#: Letters of a label at a confusion matrix, at most, and those that lie side by side.
MATRIX_WIDTH, SHORT_LABEL = 20, 8


def classification_report(comparison):
    """Render a comparison of labels as HTML.

    Parameters
    ----------
    comparison : Comparison
        The comparison to show.

    Returns
    -------
    str
    """
    with report_style([*comparison.classes, *comparison.strategies]):
        figures = {
            "trade": image_source(_trade(comparison)),
            "matrices": image_source(_confusion_matrices(comparison)),
            "distribution": image_source(_class_distribution(comparison)),
        }
    return render(
        comparison,
        "classification.html.j2",
        figures=figures,
        building=_building(comparison),
        per_class=_per_class_rows(comparison),
        most_classes=MOST_CLASSES_SHOWN,
        labels=comparison.classes,
    )


def _building(comparison):
    """Return the strategies that start from the baseline's network: built-in name to label."""
    return {
        strategy.name: label
        for label, strategy in comparison.chosen.items()
        if strategy.name in BUILT_ON_BASELINE
    }


def _per_class_rows(comparison):
    """Precision, recall and F1 of each class, where the scoring has them."""
    kinds = ("precision", "recall", "f1")
    labels = [str(label) for label in comparison.classes if f"f1[{label}]" in comparison.metrics]
    table = comparison.table
    rows = [
        {
            "name": name,
            "cells": [
                table.loc[name, f"{kind}[{label}]"].to_dict() | {"metric": kind}
                for label in labels
                for kind in kinds
            ],
        }
        for name in comparison.strategies
    ]
    return {"labels": labels, "kinds": kinds, "rows": rows if labels else []}


def _trade(comparison):
    """Plot the recall that a strategy gains against the precision that it gives up for it."""
    figure = Figure(figsize=(5.4, 4.2), layout="constrained")
    ax = figure.subplots()
    metrics = ("recall_minority", "precision_minority")
    if not set(metrics) <= set(comparison.metrics):
        return None
    table = comparison.table
    names = [name for name in comparison.strategies if comparison.chosen[name].name != CONSTANT]
    for i, (name, text) in enumerate(zip(names, distinct_texts(names), strict=True)):
        x, y = (table.loc[name, (metric, "mean")] for metric in metrics)
        is_baseline = name == comparison.baseline
        marker, color = ("D", "black") if is_baseline else ("o", f"C{i % 10}")
        ax.plot(x, y, marker, color=color, label=text)
    low = min(ax.get_xlim()[0], ax.get_ylim()[0])
    grid = np.linspace(max(low, 0.01), 1, 200)
    for f1 in np.arange(0.1, 1.0, 0.1):
        with np.errstate(divide="ignore", invalid="ignore"):
            curve = f1 * grid / (2 * grid - f1)
        ok = (curve > 0) & (curve <= 1)
        ax.plot(grid[ok], curve[ok], color="#dddddd", linewidth=0.8, zorder=0)
        if ok.any() and low < f1:
            ax.annotate(f"F1 {f1:.1f}", (1, f1 / (2 - f1)), fontsize=7, color="#999999", ha="right")
    ax.set(
        xlim=(low, 1.005),
        ylim=(low, 1.005),
        xlabel=f"recall of {plain_text(comparison.minority)}",
        ylabel=f"precision of {plain_text(comparison.minority)}",
    )
    ax.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def _confusion_matrices(comparison):
    names = comparison.strategies
    labels = distinct_texts(comparison.classes, most=MATRIX_WIDTH)
    n_classes = len(labels)
    side = matrix_side(labels)
    n_columns = min(5 if n_classes <= 4 else 3, len(names))
    n_rows = -(-len(names) // n_columns)
    figure = Figure(figsize=(side * n_columns, side * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for ax, name in zip(axes, names, strict=False):
        draw_matrix(ax, comparison.confusion_matrix(name), labels)
        ax.set_title(plain_text(name), fontsize=10)
    for ax in axes[len(names) :]:
        ax.set_visible(False)
    return figure


def matrix_side(labels):
    """Return the side of a confusion matrix with these texts at its axes, in inches."""
    # Long labels need space: they stand upright below.
    longest = max(len(label) for label in labels)
    more = 0.07 * (longest - SHORT_LABEL) if longest > SHORT_LABEL else 0
    return (2.1 if len(labels) <= 4 else 3.2) + more


def draw_matrix(ax, matrix, labels):
    """Draw a confusion matrix, coloured by the fractions of the true classes.

    Parameters
    ----------
    ax : matplotlib Axes
    matrix : ndarray of shape (n_classes, n_classes)
    labels : list of str
        The texts at the axes.
    """
    n_classes = len(labels)
    # Raw counts would show the majority alone.
    fractions = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    display = ConfusionMatrixDisplay(fractions, display_labels=labels)
    display.plot(
        ax=ax,
        colorbar=False,
        cmap="Blues",
        im_kw={"vmin": 0, "vmax": 1},
        xticks_rotation="vertical"
        if max(len(label) for label in labels) > SHORT_LABEL
        else "horizontal",
    )
    for (i, j), text in np.ndenumerate(display.text_):
        fraction = f"{fractions[i, j]:.0%}\n{matrix[i, j]}"
        text.set_text(fraction if n_classes <= 4 else matrix[i, j])
        text.set_fontsize(8 if n_classes <= 4 else 6)
    ax.tick_params(labelsize=8)
    ax.xaxis.label.set_size(8)
    ax.yaxis.label.set_size(8)


def _class_distribution(comparison):
    pairs = zip(comparison.classes.tolist(), comparison.counts.tolist(), strict=True)
    counts, samples = dict(pairs), comparison.samples
    figure = Figure(figsize=(6.4, 1.0 + 0.42 * len(counts)), layout="constrained")
    ClassDistributionDisplay(counts, samples=samples).plot(ax=figure.subplots())
    return figure
