"""The directive ``command-help``: the help text of a command, as its parser writes it."""

import os
from unittest.mock import patch

from docutils import nodes
from docutils.parsers.rst import Directive

from skimb._command_line import ADDERS, build_parser

#: Characters in a line of the text, whatever terminal the site is built in.
WIDTH = 88


def help_text(command):
    """Return what ``skimb COMMAND --help`` prints in a terminal of the fixed width.

    Parameters
    ----------
    command : str
        The name of a command; the empty string: ``skimb --help``.

    Returns
    -------
    str
    """
    parser = build_parser(ADDERS)
    if command and command not in parser.commands.choices:
        known = ", ".join(parser.commands.choices)
        raise ValueError(f"skimb has no command {command!r}. Its commands are: {known}.")
    # The formatter reads its width from the environment.
    with patch.dict(os.environ, {"COLUMNS": str(WIDTH), "NO_COLOR": "1"}):
        return (parser.parser_of(command) if command else parser).format_help()


class CommandHelp(Directive):
    """Put the help text of a command into the page, as a literal block."""

    optional_arguments = 1

    def run(self):
        """Return the block, or an error that names the commands there are."""
        try:
            text = help_text(self.arguments[0] if self.arguments else "")
        except ValueError as error:
            raise self.error(str(error)) from error
        return [nodes.literal_block(text, text, language="none")]


def setup(app):
    """Register the directive with Sphinx."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
