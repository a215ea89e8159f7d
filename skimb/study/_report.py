"""The report as one HTML file that needs no other: the parts that every comparison has."""

import base64
import io
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure

from skimb._drawn_text import distinct_texts, fallback_families, visible_text
from skimb.study._report_charts import differences, training_panels
from skimb.study._report_images import gallery_lines
from skimb.study._report_labels import metric_label, short_label
from skimb.study._report_tables import (
    next_step,
    own_steps,
    summary_rows,
    verdict_groups,
    versions_of,
)
from skimb.study._strategy_marks import marks_of
from skimb.study._verdict_text import headline_sentences

__all__ = [
    "check_drawable",
    "image_source",
    "render",
    "render_page",
    "report_style",
]


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


def render(comparison, template, **context):
    """Render a template with the parts that every comparison shows.

    Parameters
    ----------
    comparison : BaseComparison
        The comparison to show.
    template : str
        Name of the template.
    **context
        Further values that the template reads.

    Returns
    -------
    str
    """
    names = comparison.strategies
    figures = comparison.to_dict()
    taken = next_step(figures)
    summary = summary_rows(comparison)
    return render_page(
        template,
        comparison=comparison,
        baseline=comparison.baseline,
        descriptions=comparison.descriptions,
        built_in=[name for name in names if not comparison.chosen[name].is_own],
        own_steps=own_steps(comparison),
        headline=headline_sentences(comparison),
        sentences=figures.get("verdict_sentences", []),
        groups=verdict_groups(comparison),
        summary=summary,
        has_intervals=any(
            cell["has_interval"] for row in summary for cell in row["judged"] if cell["verdict"]
        ),
        has_p_values=any(np.isfinite(cell["p_value"]) for row in summary for cell in row["judged"]),
        marks=marks_of(comparison),
        differences=[differences(comparison, metric) for metric in comparison.verdict_metrics],
        curves=training_panels(comparison),
        galleries={
            name: gallery_lines(found, comparison.files)
            for name, found in comparison.mistakes.items()
        },
        protocol=comparison.protocol,
        versions=versions_of(comparison.protocol),
        taken=taken,
        opened={comparison.baseline, taken["strategy"]},
        **context,
    )


def _breakable(name):
    """Let a name go on in the next line behind an underscore."""
    return Markup("_<wbr>").join(str(name).split("_"))


def _p_text(p_value):
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


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
    environment.filters["breakable"] = _breakable
    environment.filters["p_text"] = _p_text
    environment.filters["label"] = metric_label
    environment.filters["short"] = short_label
    page = environment.get_template(template).render(**context)
    return visible_text(page, keep="\n")


def image_source(figure):
    """Return a figure as the source of an HTML image; None stays None."""
    if figure is None:
        return None
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
