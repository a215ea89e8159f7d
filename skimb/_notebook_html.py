"""HTML that is shown within a notebook, in the colours of its theme."""

from skimb._drawn_text import visible_text

__all__ = ["notebook_html"]

#: The theme of a notebook is not that of the browser: text keeps the colour that it has there, and
#: what is tinted is transparent.
STYLE = """
.skimb-shown { color: inherit; font-size: 13px; line-height: 1.45; overflow-wrap: anywhere; }
.skimb-shown p { margin: 4px 0; max-width: 90ch; }
.skimb-shown .lead { font-weight: 600; }
.skimb-shown .soft, .skimb-shown small { opacity: .78; }
.skimb-shown small { font-size: 12px; }
.skimb-shown .caution { border-left: 4px solid rgb(213 94 0); background: rgb(213 94 0 / .14); \
padding: 4px 10px; }
.skimb-shown .wide { overflow-x: auto; }
.skimb-shown table { border-collapse: collapse; margin: 6px 0; font-variant-numeric: tabular-nums; }
.skimb-shown th, .skimb-shown td { border: 0; border-bottom: 1px solid rgb(128 128 128 / .35); \
padding: 3px 7px; text-align: right; vertical-align: top; white-space: nowrap; }
.skimb-shown thead th { vertical-align: bottom; white-space: normal; overflow-wrap: normal; \
min-width: 3.4em; }
.skimb-shown th.key { text-align: left; }
.skimb-shown th.name { text-align: left; white-space: normal; max-width: 22em; \
overflow-wrap: break-word; }
.skimb-shown th.long { overflow-wrap: anywhere; }
.skimb-shown td.text { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.skimb-shown .first { border-left: 1px solid rgb(128 128 128 / .35); }
.skimb-shown .badge { display: inline-block; border: 1px solid rgb(128 128 128 / .6); \
border-radius: 999px; padding: 0 8px; background: none; color: inherit; font-size: 12px; \
font-weight: 600; line-height: 1.4; white-space: nowrap; }
.skimb-shown .badge.better { background: rgb(0 114 178 / .25); border-color: rgb(0 114 178); }
.skimb-shown .badge.worse { background: rgb(213 94 0 / .25); border-color: rgb(213 94 0); }
.skimb-shown summary { cursor: pointer; }
"""


def notebook_html(body):
    """Return HTML with the style that it has in a notebook.

    Without the style, as where a notebook is not trusted, it can be read too.

    Parameters
    ----------
    body : Markup
        The HTML, in which names of users are escaped.

    Returns
    -------
    str
        It needs no script and nothing from elsewhere, and changes nothing else in the notebook.

    Examples
    --------
    >>> from markupsafe import Markup
    >>> from skimb._notebook_html import notebook_html
    >>> notebook_html(Markup("<p>{}</p>").format("a < b")).splitlines()[-1]
    '<div class="skimb-shown"><p>a &lt; b</p></div>'
    """
    shown = f'<style>{STYLE}</style>\n<div class="skimb-shown">{body}</div>'
    return visible_text(shown, keep="\n")
