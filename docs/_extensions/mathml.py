"""Formulas as MathML, which browsers draw by themselves: the site needs no script for them."""

import re

from docutils import nodes
from latex2mathml.converter import convert

#: A function's name and what it is applied to would stand without a space between them.
FUNCTION = re.compile(r"(<mi>(?:log|exp|max|min|tanh)</mi>)(?!</m)")
SPACE = '<mspace width="0.17em"/>'


def mathml(latex, display):
    """Return a formula as MathML: ``"inline"`` in a line, or as a ``"block"``."""
    return FUNCTION.sub(rf"\1{SPACE}", convert(latex, display=display))


def visit_inline(translator, node):
    """Write a formula within a line."""
    translator.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def visit_block(translator, node):
    """Write a formula that stands alone."""
    translator.body.append(f'<div class="math">{mathml(node.astext(), "block")}</div>')
    raise nodes.SkipNode


def setup(app):
    """Offer the renderer to Sphinx."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
