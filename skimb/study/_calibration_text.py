"""How far the probabilities of strategies can be believed, as a table for a terminal."""

import textwrap

from skimb.study._comparison_text import table_lines, text_width

__all__ = ["CALIBRATION_HEADS", "calibration_text"]

#: The names of the measures as heads of columns.
CALIBRATION_HEADS = {
    "brier": "Brier score",
    "log_loss": "log loss",
    "expected_calibration_error": "calibration error",
}


def calibration_text(comparison, *, width=None):
    """Lay out the errors of the probabilities for a terminal.

    Parameters
    ----------
    comparison : Comparison
    width : int, default=None
        Columns of the text. None: those of the terminal, at most 100.

    Returns
    -------
    str or None
        None: no strategy tells probabilities.
    """
    errors = comparison.calibration
    if errors.isna().all(axis=None):
        return None
    columns = {
        head: ["none" if value != value else f"{value:.3f}" for value in errors[key]]
        for key, head in CALIBRATION_HEADS.items()
    }
    n_runs = comparison.protocol["n_runs"]
    mean = "" if n_runs == 1 else f", means over {n_runs} runs"
    note = (
        f"probabilities: their errors{mean}; the lower, the better. The calibration error is how "
        "far they are from what happened, on average: 0.05 is five percentage points. Weights and "
        "resampling make those of the minority class too high; the curves are in the report."
    )
    width = text_width(width)
    lines = table_lines(comparison.strategies, columns, "probabilities")
    return "\n".join([*lines, "", textwrap.fill(note, width, subsequent_indent="  ")])
