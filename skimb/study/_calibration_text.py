"""How far the probabilities of strategies can be believed, as a table for a terminal."""

import textwrap

import numpy as np

from skimb._drawn_text import visible_text
from skimb._strategy_names import CONSTANT
from skimb.study._comparison_text import table_lines, text_width

__all__ = ["CALIBRATION_HEADS", "calibration_text", "words_of_poor_ones"]

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
    notes = [note, *words_of_poor_ones(comparison, errors)]
    filled = [textwrap.fill(one, width, subsequent_indent="  ") for one in notes]
    return "\n".join([*lines, "", *filled])


def words_of_poor_ones(comparison, errors):
    """Say which strategies tell probabilities that are worse than the class fractions alone.

    Parameters
    ----------
    comparison : Comparison
    errors : DataFrame
        Its `calibration`, which takes a while to compute.

    Returns
    -------
    list of str
        A sentence, or none.
    """
    fractions = comparison.counts / comparison.counts.sum()
    of_runs = [
        -np.log(fractions[one.truth]).mean() for one in comparison.predictions(comparison.baseline)
    ]
    constant = float(np.mean(of_runs))
    # The constant has this log loss itself, but for the fractions of the folds.
    poor = [
        visible_text(name)
        for name, loss in errors["log_loss"].items()
        if loss > constant and comparison.chosen[name].name != CONSTANT
    ]
    if not poor:
        return []
    return [
        f"{', '.join(poor)}: the log loss is above {constant:.3f}, which the class fractions of "
        "the training images have as the probabilities of every image. As they are, these "
        "probabilities say less than that."
    ]
