"""The command line: arguments, inputs, outputs, streams, and a file for each command."""

from skimb._command_line._checks import check_arguments
from skimb._command_line._compare import add_compare, compare_command
from skimb._command_line._evaluate import add_evaluate, evaluate_command
from skimb._command_line._export import add_export, export_command
from skimb._command_line._fit import add_fit, fit_command
from skimb._command_line._inspect import add_inspect, inspect_command
from skimb._command_line._parser import build_parser
from skimb._command_line._predict import add_predict, predict_command
from skimb._command_line._streams import (
    CommandError,
    Stream,
    Terminated,
    complain,
    termination_unwinds,
)
from skimb._command_line._suggest import add_suggest, suggest_command

__all__ = [
    "ADDERS",
    "COMMANDS",
    "CommandError",
    "Stream",
    "Terminated",
    "build_parser",
    "check_arguments",
    "complain",
    "termination_unwinds",
]

#: The functions that add the parsers of the commands, in the order of the help.
ADDERS = (
    add_inspect,
    add_compare,
    add_fit,
    add_predict,
    add_evaluate,
    add_export,
    add_suggest,
)

#: The functions that run the commands: arguments to exit status.
COMMANDS = {
    "inspect": inspect_command,
    "compare": compare_command,
    "fit": fit_command,
    "predict": predict_command,
    "evaluate": evaluate_command,
    "export": export_command,
    "suggest": suggest_command,
}
