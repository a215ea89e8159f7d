"""``skimb export``: a model in the ONNX format."""

from skimb._command_line._argument_types import path
from skimb._command_line._models import load_model
from skimb._command_line._options import (
    add_model,
)
from skimb._command_line._parser import add_command
from skimb._command_line._streams import errors_in_one_line, warnings_in_one_line

__all__ = ["add_export", "export_command"]


def add_export(commands):
    """Add the parser of ``skimb export``.

    Parameters
    ----------
    commands : action
        Of the parser of the command line.
    """
    command = add_command(
        commands,
        "export",
        "write a model in the ONNX format",
        "Write a model in the ONNX format, which is served without skimb and without Python: "
        "preprocessing and labels are inside.",
    )
    add_model(command, reads_onnx=False)
    command.add_argument(
        "--onnx", type=path, required=True, metavar="FILE", help="the file to write"
    )


def export_command(arguments):
    """Run ``skimb export``.

    Parameters
    ----------
    arguments : Namespace

    Returns
    -------
    int
        Exit status.
    """
    from skimb.neural_network import export_onnx

    with errors_in_one_line("Close other programs."), warnings_in_one_line():
        # The export itself refuses models of frames.
        model = load_model(arguments.model, may_read_frames=True)
        export_onnx(model.predictor, arguments.onnx, metadata=model.facts or None)
    print(f"model: {arguments.onnx}")
    return 0
