"""The report as one HTML file that needs no other: the parts that every comparison has."""

import re

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from skimb._drawn_text import visible_text
from skimb._messages import counted
from skimb.study._baseline_trouble import short_trainings
from skimb.study._report_charts import differences, training_panels
from skimb.study._report_images import gallery_lines
from skimb.study._report_labels import metric_label, short_label
from skimb.study._report_tables import (
    next_step,
    own_steps,
    score_table,
    verdict_groups,
    versions_of,
)
from skimb.study._strategy_marks import marks_of
from skimb.study._verdict_facts import differing
from skimb.study._verdict_text import headline_sentences

__all__ = ["labels_of", "render", "render_page"]


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
        short_trainings=short_trainings(comparison),
        differing=differing(comparison),
        **score_table(comparison),
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


def _whole_options(text):
    """Keep options of the command line in one line: browsers break lines behind hyphens."""
    parts = re.split(r"(?<!\S)(--[a-z][a-z-]*)", str(text))
    return Markup("").join(
        Markup('<span class="option">{}</span>').format(part) if i % 2 else part
        for i, part in enumerate(parts)
    )


def _p_text(p_value):
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def labels_of(comparison, names):
    """Return the labels of those strategies of a comparison that have certain built-in names.

    Parameters
    ----------
    comparison : Comparison or RegressionComparison
    names : container of str

    Returns
    -------
    dict of str to str
        Built-in name to label.
    """
    return {
        strategy.name: label
        for label, strategy in comparison.chosen.items()
        if strategy.name in names
    }


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
    environment.filters["whole_options"] = _whole_options
    environment.filters["counted"] = counted
    environment.filters["label"] = metric_label
    environment.filters["short"] = short_label
    page = environment.get_template(template).render(**context)
    return visible_text(page, keep="\n")
