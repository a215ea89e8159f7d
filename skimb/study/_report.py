"""The report as one HTML file that needs no other: the parts that every comparison has."""

import base64
import io
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib import rc_context
from matplotlib.figure import Figure

from skimb._drawn_text import distinct_texts, fallback_families, visible_text
from skimb.inspection import ImageGalleryDisplay, TrainingHistoryDisplay

__all__ = [
    "check_drawable",
    "gallery_figure",
    "image_source",
    "metric_label",
    "render",
    "render_page",
    "report_style",
    "short_label",
    "stand_ins",
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
    """Return the context in which the figures of a report are drawn.

    Parameters
    ----------
    labels : iterable, default=()
        Labels that the figures show: where an installed font has letters that the usual one lacks,
        it is used for them.

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

    Examples
    --------
    >>> from skimb.study import check_drawable
    >>> check_drawable(["cat", "5 $"])
    """
    labels = list(labels)
    try:
        with report_style(labels):
            figure = Figure()
            for text in distinct_texts(labels):
                figure.text(0, 0, text)
            image_source(figure)
        "".join(visible_text(label) for label in labels).encode()
    # Fonts, caches and converters of matplotlib raise errors of every kind.
    except Exception as exc:
        raise ValueError(
            f"The report cannot be drawn here, {type(exc).__name__}: {exc}. Rename the classes, "
            "repair matplotlib, or leave the report out."
        ) from exc


def stand_ins(labels):
    """Return pairs of the text that figures show and the label, where these differ.

    Parameters
    ----------
    labels : iterable

    Returns
    -------
    list of (str, str)
    """
    with report_style(labels):
        texts = [text.replace(r"\$", "$") for text in distinct_texts(labels)]
    return [
        (text, visible_text(label))
        for text, label in zip(texts, labels, strict=True)
        if text != visible_text(label)
    ]


def render(comparison, template, *, figures, labels=(), **context):
    """Render a template with the parts that every comparison shows.

    Parameters
    ----------
    comparison : BaseComparison
        The comparison to show.
    template : str
        Name of the template.
    figures : dict of str to str
        Sources of the figures that this template shows in addition to those of every report.
    labels : iterable, default=()
        Labels that figures show.
    **context
        Further values that the template reads.

    Returns
    -------
    str
    """
    names = comparison.strategies
    with report_style([*labels, *names]):
        figures = figures | {
            "differences": image_source(comparison.plot()),
            "curves": image_source(_training_curves(comparison)),
        }
        galleries = {
            name: image_source(gallery_figure(found)) for name, found in comparison.mistakes.items()
        }
    return render_page(
        template,
        comparison=comparison,
        baseline=comparison.baseline,
        descriptions=comparison.descriptions,
        built_in=[name for name in names if not comparison.chosen[name].is_own],
        own_steps=_own_steps(comparison),
        headline=_headline(comparison),
        summary=_summary_rows(comparison),
        figures=figures,
        galleries=galleries,
        protocol=comparison.protocol,
        stand_ins=stand_ins(labels),
        **context,
    )


def render_page(template, **context):
    """Render a template whose labels, names and messages may be any text.

    Parameters
    ----------
    template : str
        Name of the template.
    **context
        Values that the template reads.

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
    page = environment.get_template(template).render(**context)
    return visible_text(page, keep="\n")


def _headline(comparison):
    """Say for each metric of the verdict which strategies differ from the baseline."""
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
                "baseline_mean": table.loc[comparison.baseline, (metric, "mean")],
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
            cell["verdict"] = (
                None if name == comparison.baseline else comparison.verdict.loc[name, metric]
            )
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


def _own_steps(comparison):
    """Say for each strategy of the user's own how many gradient steps its network took."""
    found = {}
    for name in comparison.strategies:
        if comparison.chosen[name].is_own:
            steps = comparison.gradient_steps(name)
            found[name] = "not known" if steps is None else f"{steps:.0f}"
    return found


def _training_curves(comparison):
    """Draw the training losses; None: no strategy has any."""
    losses = comparison.training_losses()
    if not losses:
        return None
    texts = distinct_texts(losses)
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    display = TrainingHistoryDisplay(dict(zip(texts, losses.values(), strict=True)))
    display.plot(ax=figure.subplots())
    display.ax_.set_ylabel("training loss")
    display.ax_.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def gallery_figure(gallery):
    """Draw a gallery."""
    n_columns = max([len(line) for line in gallery.pictures.values()], default=1)
    size = (1.2 + 1.05 * n_columns, 0.2 + 1.25 * max(1, len(gallery.pictures)))
    figure = Figure(figsize=size, layout="constrained")
    ImageGalleryDisplay(gallery.pictures, gallery.captions).plot(ax=figure.subplots())
    return figure


def image_source(figure):
    """Return a figure as the source of an HTML image; None stays None."""
    if figure is None:
        return None
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
