"""The costs of a deployment as text for a terminal: sentences, tables and notes."""

import textwrap

import numpy as np

from skimb._drawn_text import visible_text
from skimb.study._comparison_text import table_lines, text_width
from skimb.study._cost_text import cost_number, cost_sentences, held_for, own_cut, signed_cost

__all__ = ["cost_text"]


def cost_text(evaluation, *, width=None):
    """Lay out the costs of a deployment for a terminal.

    Parameters
    ----------
    evaluation : DeploymentEvaluation
    width : int, default=None
        Columns of the text. None: those of the terminal, at most 100.

    Returns
    -------
    str
    """
    width = text_width(width)
    paragraphs = ["\n".join(textwrap.fill(text, width) for text in cost_sentences(evaluation))]
    if evaluation.required is not None:
        paragraphs.append("\n".join(_alarm_lines(evaluation, width)))
    if evaluation.has_costs:
        paragraphs.append("\n".join(_cost_lines(evaluation, width)))
    notes = [textwrap.fill(note, width, subsequent_indent="  ") for note in _notes(evaluation)]
    return "\n\n".join([*paragraphs, "\n".join(notes)])


def _cost_lines(evaluation, width):
    table, base = evaluation.table, evaluation.comparison.baseline
    columns: dict[str, list] = {"cost": [], "95 % interval": [], "difference": [], "p": []}
    columns |= {"verdict": [], "missed": [], "alarms": [], "fraction": [], "cut": []}
    for name, row in table.iterrows():
        held, cut = held_for(evaluation, name), own_cut(evaluation, name)
        columns["cost"].append(cost_number(row["cost"]))
        columns["95 % interval"].append(f"[{cost_number(row['low'])}, {cost_number(row['high'])}]")
        columns["difference"].append("" if name == base else signed_cost(row["difference"]))
        columns["p"].append(_p(row["adjusted_p_value"]))
        columns["verdict"].append("baseline" if name == base else _word(row["verdict"]))
        columns["missed"].append(cost_number(row["missed"]))
        columns["alarms"].append(cost_number(row["false_alarms"]))
        columns["fraction"].append("as it is" if held is None else f"{held:.3g}")
        columns["cut"].append("" if cut is None else f"{cut:.3g}")
    if not any(columns["cut"]):
        del columns["cut"]
    return _fitting(table.index, columns, "cost of 1000 images", width, ["cut", "fraction", "p"])


def _alarm_lines(evaluation, width):
    table, base = evaluation.required.table, evaluation.comparison.baseline
    columns: dict[str, list] = {"alarms": [], "95 % interval": [], "difference": [], "p": []}
    columns |= {"verdict": [], "P from": []}
    for name, row in table.iterrows():
        columns["alarms"].append(cost_number(row["false_alarms"]))
        columns["95 % interval"].append(f"[{cost_number(row['low'])}, {cost_number(row['high'])}]")
        columns["difference"].append("" if name == base else signed_cost(row["difference"]))
        columns["p"].append(_p(row["adjusted_p_value"]))
        columns["verdict"].append("baseline" if name == base else _word(row["verdict"]))
        cut = row["threshold"]
        columns["P from"].append(f"{cut:.2g}" if np.isfinite(cut) else "")
    return _fitting(table.index, columns, "false alarms", width, ["P from", "p"])


def _fitting(names, columns, label, width, spare):
    """Lay out columns, without those that may be spared where they do not fit."""
    lines = table_lines(list(names), columns, label)
    for head in spare:
        if max(map(len, lines)) <= width:
            break
        columns.pop(head, None)
        lines = table_lines(list(names), columns, label)
    return lines


def _notes(evaluation):
    threshold = evaluation.threshold
    minority = visible_text(evaluation.comparison.minority)
    notes = _notes_on_costs(minority, threshold) if evaluation.has_costs else []
    if as_it_is := [
        visible_text(name)
        for name in evaluation.comparison.strategies
        if not evaluation.is_moved(name)
    ]:
        notes.append(
            f"{', '.join(as_it_is)}: decides as it is, because its probabilities hold for no class "
            "fractions that are known"
        )
    if prior_shifts := [
        visible_text(name)
        for name, strategy in evaluation.comparison.chosen.items()
        if strategy.name == "prior_shift"
    ]:
        notes.append(
            f"{prior_shifts[0]}: the baseline at another class prior, so that it decides here as "
            "the baseline does"
        )
    if evaluation.required is not None:
        required = evaluation.required
        how = (
            ""
            if required.is_exact
            else "; by cross-validation this holds approximately, as the "
            "scores are those of several networks"
        )
        notes.append(
            f"P from: {minority} is called from this probability on, so that "
            f"{100 * required.recall:g} % of it are found; it rests on {required.n_samples} test "
            f"images or groups of {minority}{how}"
        )
        notes.append(
            "false alarms: their p-values come from resamples of the test images alone; what "
            "another training would give is not in them"
        )
    return notes


def _notes_on_costs(minority, threshold):
    cut = (
        ""
        if threshold is None
        else f": {minority} from a probability of {threshold:.2g} on (cut: the same in the "
        "strategy's own probabilities)"
    )
    return [
        "cost: of 1000 images, with the interval of the cost itself, which contains the choice of "
        "the test images alone; p: of the difference to the baseline, with all that the intervals "
        "below contain, and corrected for the number of strategies; missed, alarms: images of "
        f"{minority} that are not found, and others that are called so, among the 1000",
        f"fraction: of {minority}, for which the probabilities of a strategy hold; they are moved "
        "from there to the fractions above, and each image gets the class of the least expected "
        f"cost{cut}",
    ]


def _word(verdict):
    return verdict if isinstance(verdict, str) else ""


def _p(p_value):
    if not np.isfinite(p_value):
        return ""
    return "<.001" if p_value < 0.001 else f"{p_value:.3f}".removeprefix("0")
