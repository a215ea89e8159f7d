"""The JSON file of a comparison: everything as plain Python objects."""

import json

import numpy as np

from skimb._drawn_text import visible_text
from skimb._files import write_text
from skimb.study._origin import written
from skimb.study._verdict_text import verdict_sentences
from skimb.study._winner import winner_of

__all__ = ["figures_of", "judged_entry", "write_figures"]


def judged_entry(judged, values):
    """Return what the JSON file holds of a strategy and a metric.

    Parameters
    ----------
    judged : Judgement
    values : iterable of float
        The score of each run.

    Returns
    -------
    dict
    """
    return {
        "mean": _number(judged.mean),
        "sd": _number(judged.sd),
        "values": [_number(value) for value in values],
        "difference": _number(judged.difference),
        "interval": [_number(judged.low), _number(judged.high)],
        "verdict": judged.verdict,
        "p_value": _number(judged.p_value),
        "adjusted_p_value": _number(judged.adjusted_p_value),
        "mcnemar_p_value": _number(judged.mcnemar_p_value),
        "uncertainty": judged.source,
        "more_images": _number(judged.more_images),
        "repeats_can_settle": judged.repeats_can_settle,
    }


def figures_of(comparison, target, details):
    """Return everything about a comparison as plain Python objects, in the schema of the JSON file.

    Parameters
    ----------
    comparison : BaseComparison
    target : dict
        Facts about the target.
    details : callable
        A function of a strategy's name, which returns further facts about it.

    Returns
    -------
    dict
    """
    strategies = {}
    for name in comparison.strategies:
        entry = {}
        for metric in comparison.metrics:
            judged = comparison.judgement(name, metric)
            entry[metric] = judged_entry(judged, comparison.values(name, metric))
        entry["seconds"] = float(
            np.mean([outcome.seconds for outcome in comparison.outcomes[name]])
        )
        entry["gradient_steps"] = comparison.gradient_steps(name)
        if (searched := comparison.search_steps(name)) is not None:
            entry["search_steps"] = searched
        strategies[name] = entry | details(name)
    counts = {
        comparison.judgement(name, metric).n_resamples
        for name in comparison.strategies
        for metric in comparison.metrics
    }
    n_resamples = max(counts - {None}, default=None)
    figures = {
        "schema": 1,
        # It grows with each key that is added: docs/guide/result_file.md.
        "schema_minor": 2,
        "baseline": comparison.baseline,
        **target,
        "verdict_metrics": comparison.verdict_metrics,
        "built_in": {name: comparison.chosen[name].name for name in comparison.strategies},
        "verdict_sentences": verdict_sentences(comparison),
        "protocol": comparison.protocol | {"n_resamples": n_resamples},
        "strategies": strategies,
    }
    settings = {
        name: {key: written(value) for key, value in comparison.chosen[name].settings.items()}
        for name in comparison.strategies
        if comparison.chosen[name].settings
    }
    if settings:
        figures["settings"] = settings
    return figures | {"best": winner_of(figures)}


def write_figures(path, figures):
    """Write a dict of plain objects to a JSON file, whole or not at all."""
    write_text(path, json.dumps(_writable(figures), indent=1, allow_nan=False) + "\n")


def _writable(value):
    """Return plain objects with escapes for halves of surrogate pairs, which are no Unicode."""
    if isinstance(value, dict):
        return {_writable(key): _writable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(part) for part in value]
    if isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
        return visible_text(value)
    return value


def _number(value):
    """Return a float, or None for numbers that JSON cannot write."""
    return float(value) if np.isfinite(value) else None
