"""The costs of a deployment in the report: a table, and a curve over the ratio of costs."""

import numpy as np

from skimb.study._charts import Axis, axis_of, line_path
from skimb.study._cost_text import (
    cost_number,
    cost_sentences,
    described,
    held_for,
    lead_sentences,
    own_cut,
    ratio_scale,
    signed_cost,
)
from skimb.study._sample_images import short_number

__all__ = ["costs_view"]

#: Size of the curve in pixels of the page on a phone.
CHART = {"width": 348, "height": 300, "left": 48, "right": 340, "top": 10, "bottom": 250}


def costs_view(evaluation):
    """Return what the report shows of a deployment.

    Parameters
    ----------
    evaluation : DeploymentEvaluation or None

    Returns
    -------
    dict or None
        None: there is none.
    """
    if evaluation is None:
        return None
    fractions, costs = described(evaluation)
    required = evaluation.required
    return {
        "leads": lead_sentences(evaluation),
        "sentences": cost_sentences(evaluation),
        "fractions": fractions,
        "costs": costs,
        "rows": [_row(evaluation, name, row) for name, row in evaluation.table.iterrows()],
        "threshold": evaluation.threshold,
        "as_it_is": [
            name for name in evaluation.comparison.strategies if not evaluation.is_moved(name)
        ],
        "constant": {
            str(label): cost_number(cost) for label, cost in evaluation.constant_costs.items()
        },
        "alarms": None
        if required is None
        else [_alarm_row(evaluation, name, row) for name, row in required.table.iterrows()],
        "required": required,
        "has_costs": evaluation.has_costs,
        "chart": _chart(evaluation) if evaluation.has_costs else None,
        "best": evaluation.cheapest,
        "thin": [
            name
            for name in evaluation.comparison.strategies
            if name not in (evaluation.cheapest, evaluation.comparison.baseline)
        ],
    }


def _row(evaluation, name, row):
    held, cut = held_for(evaluation, name), own_cut(evaluation, name)
    return _judged(row, row["cost"]) | {
        "name": name,
        "held": None if held is None else f"{held:.3g}",
        "cut": None if cut is None else f"{cut:.3g}",
        "as_is": cost_number(row["cost_as_is"]),
        "missed": cost_number(row["missed"]),
        "false_alarms": cost_number(row["false_alarms"]),
    }


def _alarm_row(evaluation, name, row):
    threshold = row["threshold"]
    return _judged(row, row["false_alarms"]) | {
        "name": name,
        "threshold": f"{threshold:.3g}" if np.isfinite(threshold) else None,
    }


def _judged(row, value):
    verdict = row["verdict"] if isinstance(row["verdict"], str) else None
    has_interval = np.isfinite(row["difference_low"]) and verdict is not None
    return {
        "value": cost_number(value),
        "low": cost_number(row["low"]),
        "high": cost_number(row["high"]),
        "verdict": verdict,
        "difference": signed_cost(row["difference"]) if np.isfinite(row["difference"]) else None,
        "interval": f"{signed_cost(row['difference_low'])} to {signed_cost(row['difference_high'])}"
        if has_interval
        else None,
        "p_value": row["adjusted_p_value"] if np.isfinite(row["adjusted_p_value"]) else None,
    }


def _chart(evaluation):
    """Return the cost of each strategy as a part of that of the cheapest constant decision."""
    ratios = evaluation.cost_ratios
    constant = evaluation.constant_cost_ratios.to_numpy()
    if not (constant > 0).all():
        # With gains there is no such part.
        return None
    scale, unit = ratio_scale(evaluation)
    places = np.log10(ratios.index.to_numpy() * scale)
    x_axis = Axis(float(places[0]), float(places[-1]), CHART["left"], CHART["right"])
    whole = np.arange(np.ceil(x_axis.low), np.floor(x_axis.high) + 1)
    x_axis.ticks = [(float(x_axis.at(one)), short_number(10.0**one)) for one in whole]
    parts = {name: ratios[name].to_numpy() / constant for name in ratios.columns}
    # What costs more than twice the constant decision is off the chart.
    seen = np.clip(np.concatenate([*parts.values(), [0.0, 1.0]]), 0, 2)
    y_axis = axis_of(seen, CHART["bottom"], CHART["top"], n_ticks=5, least=0.0, most=2.0)
    best, base = evaluation.cheapest, evaluation.comparison.baseline
    lines = []
    for name, part in parts.items():
        shown = np.where(part <= y_axis.high, part, np.nan)
        path = line_path(x_axis.at(places), y_axis.at(shown))
        lines.append({"name": name, "path": path, "is_main": name in (best, base)})
    stays = evaluation.stays_best
    band = None
    if stays is not None:
        low, high = (float(x_axis.at(np.log10(end * scale))) for end in stays)
        band = {"x": low, "width": round(max(high - low, 1.0), 1)}
    return CHART | {
        "x": x_axis,
        "y": y_axis,
        # The main lines last, so that they are above the others.
        "lines": sorted(lines, key=lambda line: line["is_main"]),
        "one": float(y_axis.at(1.0)),
        "now": float(x_axis.at(np.log10(scale))),
        "band": band,
        "unit": unit,
    }
