"""The costs of a deployment in sentences: which strategy to take there, and how sure that is."""

from collections.abc import Mapping

import numpy as np

from skimb._drawn_text import visible_text
from skimb.study._verdict_text import p_value_text

__all__ = [
    "cost_number",
    "cost_sentences",
    "described",
    "held_for",
    "lead_sentences",
    "own_cut",
    "ratio_scale",
    "signed_cost",
]


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


def signed_cost(value):
    """Write a difference of costs with its sign.

    Parameters
    ----------
    value : float

    Returns
    -------
    str
    """
    return f"{'+' if value >= 0 else '-'}{cost_number(abs(value))}"


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
    parts = [
        f"{100 * prior[label]:.3g} % of the images are {visible_text(label)}" for label in named
    ]
    fractions = " and ".join(parts) + (", as in training" if deploy is None else "")
    costs = asked.get("costs")
    if costs is None:
        return fractions, "every error costs 1"
    if _has_miss(costs):
        return fractions, (
            f"a missed {visible_text(minority)} costs {costs['miss']:g} and a false alarm "
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
    return [text for text, _ in _marked_sentences(evaluation)]


def lead_sentences(evaluation):
    """Return the sentences that name the best strategy, and say whether it is shown to be better.

    Parameters
    ----------
    evaluation : DeploymentEvaluation

    Returns
    -------
    list of str
    """
    return [text for text, is_lead in _marked_sentences(evaluation) if is_lead]


def _marked_sentences(evaluation):
    """Return all sentences, each with whether it names the best strategy, or judges it."""
    alarms = [] if evaluation.required is None else _alarm_sentences(evaluation)
    return [*alarms, *(_cost_sentences(evaluation) if evaluation.has_costs else [])]


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
    calls = f"calling every image {visible_text(common)} costs {cost_number(constant[common])}"
    least = constant.idxmin()
    if least != common:
        calls += f", and calling every image {visible_text(least)} {cost_number(constant[least])}"
    if best == base:
        # A reference may be cheaper, which nobody would choose.
        is_least = table.loc[base, "cost"] <= table["cost"].min()
        but = "" if is_least else "but a reference "
        first = (
            f"1000 images cost {told(base)} by the baseline {visible_text(base)}, and no strategy "
            f"{but}costs less; {calls}."
        )
    else:
        first = (
            f"1000 images cost {told(best)} by {visible_text(best)}, and {told(base)} by the "
            f"baseline {visible_text(base)}; {calls}."
        )
    marked = [(f"Where {fractions}, and {costs}: {first}", True)]
    row = table.loc[best]
    if constant.min() <= row["cost"]:
        text = (
            f"No strategy costs less than calling every image {visible_text(least)}: at these "
            "costs none of them is worth its errors."
        )
        marked.append((text, False))
    elif constant.min() < row["high"]:
        text = (
            f"That {visible_text(best)} costs less than calling every image {visible_text(least)} "
            "is not shown: the interval of its cost reaches there."
        )
        marked.append((text, False))
    if best != base:
        marked.append((_compared(row, best, "costs less than the baseline"), True))
    if (stays := _stays(evaluation, best)) is not None:
        marked.append((stays, False))
    return marked


def _compared(row, name, what):
    p_value = row["adjusted_p_value"]
    if row["verdict"] == "better":
        return f"That {visible_text(name)} {what} is shown ({p_value_text(p_value)})."
    known = f" ({p_value_text(p_value)})" if np.isfinite(p_value) else ""
    return f"That {visible_text(name)} {what} is not shown{known}: it is within noise."


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
    minority = visible_text(evaluation.comparison.minority)
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
    return f"{visible_text(best)} stays the cheapest where {what} {span}."


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
    minority = visible_text(evaluation.comparison.minority)
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
    minority = visible_text(evaluation.comparison.minority)

    def told(name):
        row = table.loc[name]
        return (
            f"{cost_number(row['false_alarms'])} false alarms (95 % interval "
            f"{cost_number(row['low'])} to {cost_number(row['high'])})"
        )

    about = "" if required.is_exact else "about "
    first = (
        f"To find {100 * required.recall:g} % of {minority} with a confidence of {about}95 %, "
        f"{visible_text(best)} takes {told(best)} in 1000 images"
    )
    marked = []
    if best == base:
        marked.append((f"{first}; no strategy takes fewer.", True))
    elif base not in table.index:
        marked.append((f"{first}; the baseline has no probabilities.", True))
    else:
        compared = _compared(table.loc[best], best, "takes fewer false alarms than the baseline")
        marked.append((f"{first}, and the baseline {visible_text(base)} {told(base)}.", True))
        marked.append((compared, True))
    if (both := _of_both(evaluation, table.loc[best, "false_alarms"])) is not None:
        marked.append((both, False))
    return marked


def _of_both(evaluation, alarms):
    """Say what a recall that must be kept costs, where costs were given too."""
    if "costs" not in evaluation.asked:
        return None
    text = "A model that is fitted from this keeps the recall, and its decisions ignore the costs"
    if not _is_ratio(evaluation):
        return f"{text}."
    costs, recall = evaluation.asked["costs"], evaluation.required.recall
    fraction = evaluation.prior[evaluation.comparison.minority]
    cost = costs["alarm"] * alarms + costs["miss"] * 1000 * fraction * (1 - recall)
    least = evaluation.constant_costs.min()
    more = ", more than calling every image the same class" if cost > least else ""
    return f"{text}: 1000 images then cost about {cost_number(cost)}{more}."


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
    place = comparison.minority_position
    return float(np.mean([one.prior[place] for one in comparison.predictions(name)]))


def _has_miss(costs):
    return isinstance(costs, Mapping) and set(costs) == {"miss", "alarm"}
