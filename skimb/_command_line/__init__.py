"""The command line: arguments, inputs, outputs, streams, and a file for each command."""

from skimb._command_line._arguments import build_parser, check_arguments
from skimb._command_line._compare import compare_command
from skimb._command_line._streams import Stream, Terminated, complain, termination_unwinds

__all__ = [
    "Stream",
    "Terminated",
    "build_parser",
    "check_arguments",
    "compare_command",
    "complain",
    "termination_unwinds",
]
