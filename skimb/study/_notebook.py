"""A comparison as a notebook shows it: the verdict in sentences, and the table of the scores."""

from markupsafe import Markup

from skimb._notebook_html import notebook_html
from skimb.study._baseline_trouble import short_trainings
from skimb.study._comparison_text import AS_THEY_ARE
from skimb.study._cost_text import lead_sentences
from skimb.study._report import render_page
from skimb.study._report_tables import score_table
from skimb.study._verdict_text import headline_sentences, verdict_sentences

__all__ = ["comparison_in_notebook"]


def comparison_in_notebook(comparison):
    """Return a comparison as HTML for a notebook.

    Parameters
    ----------
    comparison : BaseComparison

    Returns
    -------
    str
    """
    deployment = getattr(comparison, "deployment", None)
    body = render_page(
        "notebook.html.j2",
        comparison=comparison,
        protocol=comparison.protocol,
        leads=[] if deployment is None else lead_sentences(deployment),
        headline=headline_sentences(comparison),
        sentences=verdict_sentences(comparison),
        short_trainings=short_trainings(comparison),
        as_they_are=AS_THEY_ARE,
        **score_table(comparison),
    )
    return notebook_html(Markup(body))
