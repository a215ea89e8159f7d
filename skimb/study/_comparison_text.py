"""A comparison as text for a terminal: the verdict in sentences, and a table for each metric."""

import shutil
import textwrap

import numpy as np

from skimb._drawn_text import cells_of, left_aligned, visible_text
from skimb._messages import counted
from skimb._strategy_names import CONSTANT, OWN_STEPS
from skimb.study._judging import REFERENCES
from skimb.study._report_labels import metric_label, short_label
from skimb.study._verdict_text import verdict_sentences

__all__ = ["AS_THEY_ARE", "format_table", "table_lines", "text_width", "told_of_shared"]

#: Columns of text, where the terminal does not say: at most, and at least.
MOST_COLUMNS, LEAST_COLUMNS = 100, 40

#: What tables and figures show beside the costs of a deployment.
AS_THEY_ARE = (
    "The figures are those of each strategy's decisions as they are, not of its decisions where it "
    "will be used."
)

#: Letters of a name that stand in the row; a longer name has a line of its own.
NAME_WIDTH = 22


def format_table(comparison, *, width=None):
    """Lay out the comparison for a terminal.

    Parameters
    ----------
    comparison : BaseComparison
        The comparison to show.
    width : int, default=None
        Columns of the text. None: those of the terminal, at most 100.

    Returns
    -------
    str
    """
    width = text_width(width)
    paragraphs = [textwrap.fill(text, width) for text in verdict_sentences(comparison)]
    tables, is_whole = [], True
    for i, metric in enumerate(comparison.verdict_metrics):
        lines, fits = _table(comparison, metric, width, has_details=i == 0)
        tables.append("\n".join(lines))
        is_whole &= fits
    notes = _notes(comparison, is_whole)
    return "\n\n".join(["\n".join(paragraphs), *tables, "\n".join(_filled(notes, width))])


def text_width(width=None):
    """Return how many columns a text may have.

    Parameters
    ----------
    width : int, default=None
        Columns that are wanted. None: those of the terminal.

    Returns
    -------
    int
        At least 40, and at most 100.
    """
    if width is None:
        width = shutil.get_terminal_size(fallback=(MOST_COLUMNS, 24)).columns
    return min(max(width, LEAST_COLUMNS), MOST_COLUMNS)


def _table(comparison, metric, width, *, has_details):
    """Return the lines of the table of a metric, and whether all columns fitted."""
    judged = {name: comparison.judgement(name, metric) for name in comparison.strategies}
    tested = [one for one in judged.values() if one.verdict is not None]
    has_interval = any(np.isfinite(one.low) for one in tested)
    columns = {"mean": [], "difference": []}
    if has_interval:
        columns |= {"95 % interval": [], "p": []}
    columns["verdict"] = []
    for one in judged.values():
        spread = f" ± {comparison.text(one.sd, metric)}" if np.isfinite(one.sd) else ""
        is_base = one.verdict is None
        row = {
            "mean": comparison.text(one.mean, metric) + spread,
            "difference": "" if is_base else comparison.text(one.difference, metric, sign=True),
            "95 % interval": "",
            "p": "",
            "verdict": "baseline" if is_base else one.verdict,
        }
        if not is_base and np.isfinite(one.low):
            ends = (comparison.text(end, metric, sign=True) for end in (one.low, one.high))
            row["95 % interval"] = f"[{', '.join(ends)}]"
            p_value = one.adjusted_p_value
            row["p"] = "<.001" if p_value < 0.001 else f"{p_value:.3f}".removeprefix("0")
        for head, cells in columns.items():
            cells.append(row[head])
    if _width(comparison, columns, metric) > width:
        columns["mean"] = [comparison.text(one.mean, metric) for one in judged.values()]
    if _width(comparison, columns, metric) > width:
        columns.pop("p", None)
    fits = True
    if has_details:
        details = {
            short_label(other): [
                comparison.text(comparison.judgement(name, other).mean, other) for name in judged
            ]
            for other in comparison.other_metrics
        }
        seconds = comparison.table["seconds", "mean"]
        details["fit, s"] = [f"{seconds[name]:.1f}" for name in judged]
        fits = _width(comparison, columns | details, metric) <= width
        if fits:
            columns |= details
    return table_lines(comparison.strategies, columns, metric_label(metric)), fits


def _name_width(names, label):
    texts = [visible_text(name) for name in names]
    short = [n for n in map(cells_of, texts) if n <= NAME_WIDTH]
    return max([*short, min(cells_of(label), NAME_WIDTH)])


def _width(comparison, columns, metric):
    widths = [max(len(head), *map(len, cells)) for head, cells in columns.items()]
    space = _name_width(comparison.strategies, metric_label(metric))
    return space + sum(width + 2 for width in widths)


def table_lines(names, columns, label):
    """Lay out columns; a long name stands on a line of its own, so that nothing of it is lost.

    Parameters
    ----------
    names : list of str
        The name of each row.
    columns : dict of str to list of str
        Head to cells.
    label : str
        Stands above the names.

    Returns
    -------
    list of str
    """
    space = _name_width(names, label)
    widths = {head: max(len(head), *map(len, cells)) for head, cells in columns.items()}

    def line(name, cells):
        text = left_aligned(name, space)
        for (head, width), cell in zip(widths.items(), cells, strict=True):
            text += f"  {cell:<{width}}" if head in TEXTS else f"  {cell:>{width}}"
        return text.rstrip()

    lines = [] if cells_of(label) <= space else [label]
    lines.append(line("" if lines else label, columns))
    for i, name in enumerate(names):
        text = visible_text(name)
        if cells_of(text) > space:
            lines.append(text)
            text = ""
        lines.append(line(text, [cells[i] for cells in columns.values()]))
    return lines


#: Columns that start on the left.
TEXTS = ("mean", "95 % interval", "verdict")


def told_of_shared(comparison):
    """Say what it means that strategies share features.

    Parameters
    ----------
    comparison : Comparison
        Its protocol names strategies that share features.

    Returns
    -------
    str
        The end of a sentence that begins with their names.
    """
    protocol, baseline = comparison.protocol, comparison.baseline
    text = (
        "last layers on the features of one network, which they share; what each would change in "
        "the features is not seen"
    )
    further = protocol.get("head_steps")
    if further is None:
        return text
    text += (
        f". Each is trained for {further} steps after the {protocol['gradient_steps']} of the "
        "network"
    )
    if baseline not in protocol["shared_features"]:
        return f"{text}, and a part of a gain may come from these further steps alone"
    text += (
        f"; that of the baseline {visible_text(baseline)} too, without a remedy, so that no gain "
        "comes from these steps alone"
    )
    others = [
        name
        for name in comparison.strategies
        if name not in protocol["shared_features"] and comparison.chosen[name].name != CONSTANT
    ]
    if others:
        took = "takes" if len(others) == 1 else "take"
        text += f". {', '.join(map(visible_text, others))} {took} no such further steps"
    return text


def _own_steps(comparison, name):
    """Say how many steps a built-in strategy takes, or return None where it takes those of most."""
    searched = comparison.search_steps(name)
    if searched is None and comparison.chosen[name].name not in OWN_STEPS:
        return None
    steps = f"{counted(comparison.gradient_steps(name), 'gradient step')} of its own"
    return steps if searched is None else f"{steps}, and {searched:.0f} on parts of the samples"


def _notes(comparison, is_whole):
    """Say what the columns are, and which strategies take steps of their own."""
    notes = [
        f"{visible_text(name)}: {steps}; most others take {comparison.protocol['gradient_steps']}"
        for name in comparison.strategies
        if (steps := _own_steps(comparison, name)) is not None
    ]
    if shared := comparison.protocol.get("shared_features"):
        notes.append(f"{', '.join(map(visible_text, shared))}: {told_of_shared(comparison)}")
    n_runs = comparison.protocol["n_runs"]
    mean = "the score of the one run" if n_runs == 1 else f"mean (± sd) over {n_runs} runs"
    text = f"mean: {mean}; difference: to {visible_text(comparison.baseline)}"
    judged = [
        comparison.judgement(name, metric)
        for name in comparison.strategies[1:]
        for metric in comparison.verdict_metrics
    ]
    if any(np.isfinite(one.p_value) for one in judged):
        text += "; p: corrected for the number of strategies"
        if any(comparison.chosen[name].name in REFERENCES for name in comparison.strategies[1:]):
            text += ", among which references do not count"
    notes.append(text)
    if getattr(comparison, "deployment", None) is not None:
        notes.append(AS_THEY_ARE)
    if not is_whole:
        left_out = [short_label(metric) for metric in comparison.other_metrics]
        notes.append(
            f"{', '.join([*left_out, 'seconds'])}: in the JSON file and the report, or on a wider "
            "terminal"
        )
    return notes


def _filled(notes, width):
    return [textwrap.fill(note, width, subsequent_indent="  ") for note in notes]
