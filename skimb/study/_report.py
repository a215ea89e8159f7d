"""The report: one HTML file that needs no other."""

import base64
import io
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib import rc_context
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay

from skimb._drawn_text import distinct_texts, fallback_families, visible_text
from skimb.inspection import (
    ClassDistributionDisplay,
    ImageGalleryDisplay,
    TrainingHistoryDisplay,
    plain_text,
)
from skimb.study._pictures import MOST_CLASSES_SHOWN
from skimb.study._strategies import BASELINE, CONSTANT, STRATEGIES

#: Letters of a label beside a confusion matrix, at most, and those that lie side by side.
MATRIX_WIDTH, SHORT_LABEL = 20, 8

__all__ = [
    "check_drawable",
    "gallery_figure",
    "metric_label",
    "picture",
    "render",
    "render_report",
    "report_style",
    "short_label",
]


def metric_label(metric):
    """Return the name of a metric as people read it.

    Parameters
    ----------
    metric : str
        Such as ``"f1_minority"``.

    Returns
    -------
    str
        Such as ``"minority F1"``.
    """
    if metric.endswith("_minority"):
        metric = f"minority {metric.removesuffix('_minority')}"
    return metric.replace("_", " ").replace("f1", "F1")


def short_label(metric):
    """Return the name of a metric for a narrow column.

    Parameters
    ----------
    metric : str
        Such as ``"recall_minority"`` or ``"mean_absolute_error[rare]"``.

    Returns
    -------
    str
        Such as ``"recall"`` or ``"MAE[rare]"``.
    """
    if metric.endswith("_minority"):
        return metric.removesuffix("_minority")
    return metric.replace("mean_absolute_error", "MAE").replace("prediction_", "")


def render_report(comparison):
    """Render a comparison of labels as HTML.

    Parameters
    ----------
    comparison : Comparison
        What to show.

    Returns
    -------
    str
    """
    with report_style(comparison.classes):
        pictures = {
            "trade": picture(_trade(comparison)),
            "matrices": picture(_confusion_matrices(comparison)),
            "distribution": picture(_class_distribution(comparison)),
        }
    return render(
        comparison,
        "classification.html.j2",
        pictures=pictures,
        descriptions=STRATEGIES,
        per_class=_per_class_rows(comparison),
        most_classes=MOST_CLASSES_SHOWN,
        labels=comparison.classes,
    )


#: Settings of matplotlib with which a report is drawn, whatever the user's are.
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "font.family": ["sans-serif"],
    "svg.hashsalt": "skimb",
    "svg.fonttype": "path",
    "text.usetex": False,
    "text.parse_math": True,
}


def report_style(labels=()):
    """Return the context in which pictures of a report are drawn.

    Parameters
    ----------
    labels : iterable, default=()
        Labels that they show: where an installed font has letters that the usual one lacks, it is
        used for them.

    Returns
    -------
    context manager
    """
    with rc_context(STYLE):
        others = fallback_families(map(str, labels))
    style = dict(STYLE)
    style["font.family"] = ["sans-serif", *others]
    return rc_context(style)


def check_drawable(labels):
    """Draw labels as a report does, so that an error comes before the training and not after.

    Parameters
    ----------
    labels : iterable
        The labels.

    Raises
    ------
    ValueError
        If they cannot be drawn.
    """
    labels = list(labels)
    try:
        with report_style(labels):
            figure = Figure()
            for text in distinct_texts(labels):
                figure.text(0, 0, text)
            picture(figure)
        "".join(visible_text(label) for label in labels).encode()
    # Fonts, caches and converters of matplotlib raise errors of every kind.
    except Exception as exc:
        raise ValueError(
            f"The report cannot be drawn here, {type(exc).__name__}: {exc}. Rename the classes, "
            "mend matplotlib, or leave the report out."
        ) from exc


def _stand_ins(labels):
    """Return what pictures show instead of a label, and the label, where these differ."""
    with report_style(labels):
        texts = [text.replace(r"\$", "$") for text in distinct_texts(labels)]
    return [
        (text, visible_text(label))
        for text, label in zip(texts, labels, strict=True)
        if text != visible_text(label)
    ]


def render(comparison, template, *, pictures, labels=(), **context):
    """Render a template with what every comparison shows.

    Parameters
    ----------
    comparison : Comparison
        What to show.
    template : str
        Name of the template.
    pictures : dict of str to str
        Sources of the pictures that this template shows beside those of every report.
    labels : iterable, default=()
        Labels that pictures show.
    **context
        What else it reads.

    Returns
    -------
    str
    """
    environment = Environment(
        loader=PackageLoader("skimb.study", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["label"] = metric_label
    environment.filters["short"] = short_label
    with report_style(labels):
        pictures = pictures | {
            "differences": picture(comparison.plot()),
            "curves": picture(_training_curves(comparison)),
        }
        galleries = {
            name: picture(gallery_figure(found)) for name, found in comparison.mistakes.items()
        }
    page = environment.get_template(template).render(
        comparison=comparison,
        baseline=BASELINE,
        headline=_headline(comparison),
        summary=_summary_rows(comparison),
        pictures=pictures,
        galleries=galleries,
        protocol=comparison.protocol,
        stand_ins=_stand_ins(labels),
        **context,
    )
    # Labels and warnings stand in it as they are, and may hold anything.
    return visible_text(page, keep="\n")


def _headline(comparison):
    """Say for each metric of the verdict which strategies stand out."""
    verdict, table = comparison.verdict, comparison.table
    sentences = []
    for metric in comparison.verdict_metrics:
        groups = {word: list(verdict.index[verdict[metric] == word]) for word in verdict[metric]}
        best = comparison.best(metric)
        sentences.append(
            {
                "metric": metric,
                "best": best,
                "best_mean": table.loc[best, (metric, "mean")],
                "baseline_mean": table.loc[BASELINE, (metric, "mean")],
                "groups": groups,
            }
        )
    return sentences


def _summary_rows(comparison):
    table = comparison.table
    rows = []
    for name in comparison.strategies:
        judged = []
        for metric in comparison.verdict_metrics:
            cell = table.loc[name, metric].to_dict()
            cell["verdict"] = None if name == BASELINE else comparison.verdict.loc[name, metric]
            cell["has_interval"] = bool(np.isfinite(cell["low"]))
            cell["metric"] = metric
            cell["is_best"] = cell["mean"] == table.loc[comparison.best(metric), (metric, "mean")]
            judged.append(cell)
        rows.append(
            {
                "name": name,
                "judged": judged,
                "others": [
                    table.loc[name, metric].to_dict() | {"metric": metric}
                    for metric in comparison.other_metrics
                ],
                "seconds": table.loc[name, ("seconds", "mean")],
            }
        )
    return rows


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
    """Plot what a remedy buys, recall, against what it pays, precision."""
    figure = Figure(figsize=(5.4, 4.2), layout="constrained")
    ax = figure.subplots()
    metrics = ("recall_minority", "precision_minority")
    if not set(metrics) <= set(comparison.metrics):
        return None
    table = comparison.table
    for i, name in enumerate(name for name in comparison.strategies if name != CONSTANT):
        x, y = (table.loc[name, (metric, "mean")] for metric in metrics)
        marker = "D" if name == BASELINE else "o"
        ax.plot(x, y, marker, color="black" if name == BASELINE else f"C{i % 10}", label=name)
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
    # Room for long labels, which stand upright below.
    longest = max(len(label) for label in labels)
    is_upright = longest > SHORT_LABEL
    side = (2.1 if n_classes <= 4 else 3.2) + (0.07 * (longest - SHORT_LABEL) if is_upright else 0)
    n_columns = min(5 if n_classes <= 4 else 3, len(names))
    n_rows = -(-len(names) // n_columns)
    figure = Figure(figsize=(side * n_columns, side * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for ax, name in zip(axes, names, strict=False):
        matrix = comparison.confusion_matrix(name)
        # Coloured by the share of the true class: raw counts would show the majority alone.
        shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        display = ConfusionMatrixDisplay(shares, display_labels=labels)
        display.plot(
            ax=ax,
            colorbar=False,
            cmap="Blues",
            im_kw={"vmin": 0, "vmax": 1},
            xticks_rotation="vertical" if is_upright else "horizontal",
        )
        for (i, j), text in np.ndenumerate(display.text_):
            text.set_text(f"{shares[i, j]:.0%}\n{matrix[i, j]}" if n_classes <= 4 else matrix[i, j])
            text.set_fontsize(8 if n_classes <= 4 else 6)
        ax.set_title(name, fontsize=10)
        ax.tick_params(labelsize=8)
        ax.xaxis.label.set_size(8)
        ax.yaxis.label.set_size(8)
    for ax in axes[len(names) :]:
        ax.set_visible(False)
    return figure


def _training_curves(comparison):
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    display = TrainingHistoryDisplay(comparison.training_losses()).plot(ax=figure.subplots())
    display.ax_.set_ylabel("training loss")
    display.ax_.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _class_distribution(comparison):
    pairs = zip(comparison.classes.tolist(), comparison.counts.tolist(), strict=True)
    counts, samples = dict(pairs), comparison.samples
    figure = Figure(figsize=(6.4, 1.0 + 0.42 * len(counts)), layout="constrained")
    ClassDistributionDisplay(counts, samples=samples).plot(ax=figure.subplots())
    return figure


def gallery_figure(gallery):
    """Draw a gallery."""
    n_columns = max([len(line) for line in gallery.pictures.values()], default=1)
    size = (1.2 + 1.05 * n_columns, 0.2 + 1.25 * max(1, len(gallery.pictures)))
    figure = Figure(figsize=size, layout="constrained")
    ImageGalleryDisplay(gallery.pictures, gallery.captions).plot(ax=figure.subplots())
    return figure


def picture(figure):
    """Return a figure as the source of an HTML image; None stays None."""
    if figure is None:
        return None
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
