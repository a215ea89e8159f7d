"""The directive ``listed-names``: a constant that maps names to one line each, as a table."""

import importlib

from docutils import nodes
from docutils.parsers.rst import Directive


class ListedNames(Directive):
    """Put a mapping such as ``skimb.study.STRATEGIES`` into the page: each name and its line."""

    required_arguments = 1

    def run(self):
        """Return a table with one row for each name."""
        module, _, constant = self.arguments[0].rpartition(".")
        mapping = getattr(importlib.import_module(module), constant)
        table = nodes.table()
        group = nodes.tgroup(cols=2)
        group += [nodes.colspec(colwidth=1), nodes.colspec(colwidth=3)]
        body = nodes.tbody()
        for name, line in mapping.items():
            body += nodes.row("", _cell(nodes.literal(name, name)), _cell(nodes.Text(line)))
        group += body
        table += group
        return [table]


def _cell(content):
    return nodes.entry("", nodes.paragraph("", "", content))


def setup(app):
    """Register the directive with Sphinx."""
    app.add_directive("listed-names", ListedNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
