"""The costs of a deployment as text: what a strategy costs there, in sentences and a table."""

import shutil
import textwrap
from collections.abc import Mapping

import numpy as np

from skimb._drawn_text import visible_text
from skimb.study._cost_scores import FALSE_ALARMS

__all__ = [
    "cost_number",
    "cost_sentences",
    "cost_text",
    "described",
    "held_for",
    "lead_sentences",
    "own_cut",
    "ratio_scale",
]

#: Columns of text, where the terminal does not say: at most, and at least.
MOST_COLUMNS, LEAST_COLUMNS = 100, 40


def cost_number(value):
    """Write a cost with as many digits as matter.

    Parameters
    ----------
    value : float

    Returns
    -------
    str

    Examples
    --------
    >>> from skimb.study._cost_text import cost_number
    >>> cost_number(1234.56), cost_number(34.56), cost_number(3.456)
    ('1,235', '34.6', '3.46')
    """
    size = abs(value)
    if size < 5e-3:
        return "0"
    return f"{value:,.{0 if size >= 100 else 1 if size >= 10 else 2}f}"


def described(evaluation):
    """Describe a deployment: its class fractions and its costs, as two phrases.

    Parameters
    ----------
    evaluation : DeploymentEvaluation

    Returns
    -------
    fractions, costs : str
    """
    prior, asked = evaluation.prior, evaluation.asked
    minority = evaluation.comparison.minority
    deploy = asked.get("deploy")
    named = [minority] if deploy is None or len(prior) == 2 else list(deploy)
    parts = [f"{100 * prior[label]:.3g} % of the images are {_label(label)}" for label in named]
    fractions = " and ".join(parts) + (", as in training" if deploy is None else "")
    costs = asked.get("costs")
    if costs is None:
        return fractions, "every error costs 1"
    if _has_miss(costs):
        return fractions, (
            f"a missed {_label(minority)} costs {costs['miss']:g} and a false alarm "
            f"{costs['alarm']:g}"
        )
    return fractions, "errors cost as in the cost matrix"


def cost_sentences(evaluation):
    """Say in sentences which strategy to take at a deployment, and how sure that is.

    Parameters
    ----------
    evaluation : DeploymentEvaluation

    Returns
    -------
    list of str
        The costs or the false alarms of the best strategy first; names are written as they can be
        seen.
    """
    if evaluation.metric == FALSE_ALARMS:
        return [*_alarm_sentences(evaluation), *_cost_sentences(evaluation)]
    return _cost_sentences(evaluation)


def lead_sentences(evaluation):
    """Return the sentence that names the best strategy by false alarms, if that, and by cost.

    Parameters
    ----------
    evaluation : DeploymentEvaluation

    Returns
    -------
    list of str
    """
    leads = [_alarm_sentences(evaluation)[0]] if evaluation.metric == FALSE_ALARMS else []
    return [*leads, _cost_sentences(evaluation)[0]]


def _cost_sentences(evaluation):
    table, base = evaluation.table, evaluation.comparison.baseline
    best = evaluation.cheapest
    fractions, costs = described(evaluation)

    def told(name):
        row = table.loc[name]
        return (
            f"{cost_number(row['cost'])} (95 % interval {cost_number(row['low'])} to "
            f"{cost_number(row['high'])})"
        )

    constant = evaluation.constant_costs
    common = evaluation.comparison.classes[evaluation.comparison.counts.argmax()]
    calls = f"calling every image {_label(common)} costs {cost_number(constant[common])}"
    least = constant.idxmin()
    if least != common:
        calls += f", and calling every image {_label(least)} {cost_number(constant[least])}"
    if best == base:
        first = (
            f"1000 images cost {told(base)} by the baseline {_name(base)}, and no strategy costs "
            f"less; {calls}."
        )
    else:
        first = (
            f"1000 images cost {told(best)} by {_name(best)}, and {told(base)} by the baseline "
            f"{_name(base)}; {calls}."
        )
    sentences = [f"Where {fractions}, and {costs}: {first}"]
    row = table.loc[best]
    if constant.min() <= row["cost"]:
        sentences.append(
            f"No strategy costs less than calling every image {_label(least)}: at these costs none "
            "of them is worth its errors."
        )
    elif constant.min() < row["high"]:
        sentences.append(
            f"That {_name(best)} costs less than calling every image {_label(least)} is not shown: "
            "the interval of its cost reaches there."
        )
    if best != base:
        sentences.append(_compared(row, best, "costs less than the baseline"))
    if (stays := _stays(evaluation, best)) is not None:
        sentences.append(stays)
    return sentences


def _compared(row, name, what):
    p_value = row["adjusted_p_value"]
    if row["verdict"] == "better":
        return f"That {_name(name)} {what} is shown ({_p_text(p_value)})."
    known = f" ({_p_text(p_value)})" if np.isfinite(p_value) else ""
    return f"That {_name(name)} {what} is not shown{known}: it is within noise."


def _stays(evaluation, best):
    stays = evaluation.stays_best
    if stays is None:
        return None
    low, high = stays
    ends = [end for end in (low, high) if evaluation.is_inner(end)]
    if not ends:
        return None
    scale, _ = ratio_scale(evaluation)
    low, high = low * scale, high * scale
    minority = _label(evaluation.comparison.minority)
    if _is_ratio(evaluation):
        what, unit = f"a missed {minority} costs", "times a false alarm"
    else:
        what, unit = f"errors on {minority} cost", "times what was given"
    if len(ends) == 2:
        span = f"{low:.2g} to {high:.2g} {unit}"
    elif evaluation.is_inner(stays[0]):
        span = f"{low:.2g} {unit} or more"
    else:
        span = f"{high:.2g} {unit} or less"
    return f"{_name(best)} stays the cheapest where {what} {span}."


def ratio_scale(evaluation):
    """Return by what factors of the costs of misses are multiplied to be shown, and what they are.

    Parameters
    ----------
    evaluation : DeploymentEvaluation

    Returns
    -------
    scale : float
    unit : str
    """
    minority = _label(evaluation.comparison.minority)
    if not _is_ratio(evaluation):
        return 1.0, f"cost of errors on {minority}, as a multiple of what was given"
    costs = evaluation.asked.get("costs")
    scale = 1.0 if costs is None else costs["miss"] / costs["alarm"]
    return scale, f"cost of a missed {minority}, as a multiple of a false alarm"


def _is_ratio(evaluation):
    """Tell whether there are misses of one class and false alarms, and nothing else."""
    costs = evaluation.asked.get("costs")
    return len(evaluation.prior) == 2 and (costs is None or _has_miss(costs))


def _alarm_sentences(evaluation):
    required = evaluation.required
    table, base, best = required.table, evaluation.comparison.baseline, evaluation.best
    minority = _label(evaluation.comparison.minority)

    def told(name):
        row = table.loc[name]
        return (
            f"{cost_number(row['false_alarms'])} false alarms (95 % interval "
            f"{cost_number(row['low'])} to {cost_number(row['high'])})"
        )

    about = "" if required.is_exact else "about "
    first = (
        f"To find {100 * required.recall:g} % of {minority} with a confidence of {about}95 %, "
        f"{_name(best)} takes {told(best)} in 1000 images"
    )
    if best == base or base not in table.index:
        return [f"{first}; no strategy takes fewer."]
    return [
        f"{first}, and the baseline {_name(base)} {told(base)}.",
        _compared(table.loc[best], best, "takes fewer false alarms than the baseline"),
    ]


def own_cut(evaluation, name):
    """Return from which of its own probabilities of the minority class on a strategy calls it.

    Parameters
    ----------
    evaluation : DeploymentEvaluation
    name : str
        The strategy.

    Returns
    -------
    float or None
        None: it decides as it is, or there are more than two classes.
    """
    held, threshold = held_for(evaluation, name), evaluation.threshold
    if held is None or threshold is None:
        return None
    wanted = evaluation.prior[evaluation.comparison.minority]
    log_odds = np.log(threshold / (1 - threshold)) + np.log(held / (1 - held))
    return float(1 / (1 + np.exp(np.log(wanted / (1 - wanted)) - log_odds)))


def held_for(evaluation, name):
    """Return the fraction of the minority class for which probabilities of a strategy hold.

    Parameters
    ----------
    evaluation : DeploymentEvaluation
    name : str
        The strategy.

    Returns
    -------
    float or None
        The mean over the runs; None: it decides as it is.
    """
    if not evaluation.is_moved(name):
        return None
    comparison = evaluation.comparison
    place = comparison.classes.tolist().index(comparison.minority)
    return float(np.mean([one.prior[place] for one in comparison.predictions(name)]))


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
    if width is None:
        width = shutil.get_terminal_size(fallback=(MOST_COLUMNS, 24)).columns
    width = min(max(width, LEAST_COLUMNS), MOST_COLUMNS)
    paragraphs = ["\n".join(textwrap.fill(text, width) for text in cost_sentences(evaluation))]
    if evaluation.required is not None:
        paragraphs.append("\n".join(_alarm_lines(evaluation, width)))
    paragraphs.append("\n".join(_cost_lines(evaluation, width)))
    notes = [textwrap.fill(note, width, subsequent_indent="  ") for note in _notes(evaluation)]
    return "\n\n".join([*paragraphs, "\n".join(notes)])


def _cost_lines(evaluation, width):
    table, base = evaluation.table, evaluation.comparison.baseline
    columns: dict[str, list] = {"cost": [], "95 % interval": [], "difference": [], "p": []}
    columns |= {"verdict": [], "fraction": [], "cut": []}
    for name, row in table.iterrows():
        held, cut = held_for(evaluation, name), own_cut(evaluation, name)
        columns["cost"].append(cost_number(row["cost"]))
        columns["95 % interval"].append(f"[{cost_number(row['low'])}, {cost_number(row['high'])}]")
        columns["difference"].append("" if name == base else _signed(row["difference"]))
        columns["p"].append(_p(row["adjusted_p_value"]))
        columns["verdict"].append("baseline" if name == base else row["verdict"])
        columns["fraction"].append("as it is" if held is None else f"{held:.3g}")
        columns["cut"].append("" if cut is None else f"{cut:.3g}")
    if not any(columns["cut"]):
        del columns["cut"]
    return _lines("cost of 1000 images", table.index, columns, width, ["cut", "fraction", "p"])


def _alarm_lines(evaluation, width):
    table, base = evaluation.required.table, evaluation.comparison.baseline
    columns: dict[str, list] = {"alarms": [], "95 % interval": [], "difference": [], "p": []}
    columns |= {"verdict": [], "P from": []}
    for name, row in table.iterrows():
        columns["alarms"].append(cost_number(row["false_alarms"]))
        columns["95 % interval"].append(f"[{cost_number(row['low'])}, {cost_number(row['high'])}]")
        columns["difference"].append("" if name == base else _signed(row["difference"]))
        columns["p"].append(_p(row["adjusted_p_value"]))
        columns["verdict"].append("baseline" if name == base else row["verdict"])
        cut = row["threshold"]
        columns["P from"].append(f"{cut:.2g}" if np.isfinite(cut) else "")
    return _lines("false alarms", table.index, columns, width, ["P from", "p"])


def _lines(label, names, columns, width, spare):
    """Lay out columns, without those that may be spared where they do not fit."""
    names = [visible_text(name) for name in names]
    space = max(len(label), max(map(len, names)))

    def widths():
        return {head: max(len(head), *map(len, cells)) for head, cells in columns.items()}

    for head in spare:
        if space + sum(2 + wide for wide in widths().values()) > width:
            columns.pop(head, None)

    def line(name, cells):
        text = f"{name:<{space}}"
        for (head, wide), cell in zip(widths().items(), cells, strict=True):
            side = "<" if head in ("verdict", "95 % interval") else ">"
            text += f"  {cell:{side}{wide}}"
        return text.rstrip()

    rows = [line(label, columns)]
    return rows + [
        line(name, [cells[i] for cells in columns.values()]) for i, name in enumerate(names)
    ]


def _notes(evaluation):
    threshold = evaluation.threshold
    minority = _label(evaluation.comparison.minority)
    notes = [
        "cost: of 1000 images; its interval contains the choice of the test images, not that of "
        "the training images; p: corrected for the number of strategies",
        f"fraction: of {minority}, for which the probabilities of a strategy hold; they are moved "
        "from there to the fractions above, and each image gets the class of the least expected "
        "cost"
        + (
            ""
            if threshold is None
            else f": {minority} from a probability of {threshold:.2g} on"
            f", which is the cut in the strategy's own probabilities"
        ),
    ]
    if as_it_is := [
        visible_text(name)
        for name in evaluation.comparison.strategies
        if not evaluation.is_moved(name)
    ]:
        notes.append(
            f"{', '.join(as_it_is)}: decides as it is, because its probabilities hold for no class "
            "fractions that are known"
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
            f"P from: the probability of {minority} on it is called, so that "
            f"{100 * required.recall:g} % are found; it rests on {required.n_samples} test images "
            f"or groups of {minority}{how}"
        )
    return notes


def _has_miss(costs):
    return isinstance(costs, Mapping) and set(costs) == {"miss", "alarm"}


def _label(label):
    return visible_text(label)


def _name(name):
    return visible_text(name)


def _signed(value):
    return f"{'+' if value >= 0 else '-'}{cost_number(abs(value))}"


def _p(p_value):
    if not np.isfinite(p_value):
        return ""
    return "<.001" if p_value < 0.001 else f"{p_value:.3f}".removeprefix("0")


def _p_text(p_value):
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
