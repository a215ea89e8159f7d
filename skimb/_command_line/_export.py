"""``skimb export``: a model in the ONNX format."""

from skimb._command_line._models import load_model
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
    from skimb.neural_network import export_onnx

    with errors_in_one_line("Close other programs."), warnings_in_one_line():
        # The export itself refuses models of frames.
        model = load_model(arguments.model, may_read_frames=True)
        export_onnx(model.predictor, arguments.onnx, metadata=model.facts or None)
    print(f"model: {arguments.onnx}")
    return 0
