"""The parser of the command line, and those of its commands."""

import argparse
from typing import Any

import skimb
from skimb._command_line._argument_types import Once
from skimb._command_line._streams import printable

__all__ = ["add_command", "build_parser"]


class Parser(argparse.ArgumentParser):
    """A parser whose usage errors are one line, which names the help of the command."""

    #: The parsers of the commands.
    commands: Any = None

    def error(self, message):
        """End the process with a usage error.

        Parameters
        ----------
        message : str
        """
        line = printable(f"{message} (see {self.prog} --help)")
        self.exit(2, f"skimb: error: {line}\n")

    def parser_of(self, command):
        """Return the parser of a command.

        Parameters
        ----------
        command : str

        Returns
        -------
        Parser
        """
        return self.commands.choices[command]


def build_parser(adders):
    """Return the parser of the command line.

    Parameters
    ----------
    adders : iterable of callable
        Functions that add the parser of a command.

    Returns
    -------
    Parser
    """
    parser = Parser(
        prog="skimb",
        description="Imbalanced images: find out which method works, and put it to work.",
    )
    parser.add_argument("--version", action="version", version=f"skimb {skimb.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    parser.commands = commands
    for add in adders:
        add(commands)
    return parser


def add_command(commands, name, summary, description, epilog=None) -> Any:
    """Add the parser of a command.

    Parameters
    ----------
    commands : action
        Of the parser of the command line.
    name, summary, description : str
    epilog : str, default=None
        Text that stands below the options, as it is.

    Returns
    -------
    ArgumentParser
    """
    command = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter if epilog else argparse.HelpFormatter,
    )
    # Of several values the last one would be used, and the others would be lost in silence.
    command.register("action", None, Once)
    return command
