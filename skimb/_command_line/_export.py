"""``skimb export``: a model in the ONNX format."""

from skimb._command_line._streams import errors_in_one_line, warnings_in_one_line

__all__ = ["export_command"]


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
    from skimb.neural_network import export_onnx, load

    with errors_in_one_line("Close other programs."), warnings_in_one_line():
        export_onnx(load(arguments.model), arguments.onnx)
    print(f"model: {arguments.onnx}")
    return 0
