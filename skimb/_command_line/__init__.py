"""The command line: arguments, inputs, outputs, streams, and a file for each command."""

from skimb._command_line._arguments import build_parser
from skimb._command_line._checks import check_arguments
from skimb._command_line._compare import compare_command
from skimb._command_line._evaluate import evaluate_command
from skimb._command_line._export import export_command
from skimb._command_line._fit import fit_command
from skimb._command_line._predict import predict_command
from skimb._command_line._streams import (
    CommandError,
    Stream,
    Terminated,
    complain,
    termination_unwinds,
)

__all__ = [
    "COMMANDS",
    "CommandError",
    "Stream",
    "Terminated",
    "build_parser",
    "check_arguments",
    "complain",
    "termination_unwinds",
]

#: The functions that run the commands: arguments to exit status.
COMMANDS = {
    "compare": compare_command,
    "fit": fit_command,
    "predict": predict_command,
    "evaluate": evaluate_command,
    "export": export_command,
}
