"""The winner of a comparison, by the figures that its JSON file holds."""

from typing import Any

import numpy as np

from skimb.study._cost_scores import FALSE_ALARMS
from skimb.study._statistics import judge
from skimb.study._strategies import CONSTANT

__all__ = ["winner_of"]

#: A score that is not defined.
NOTHING = {"mean": None, "interval": [None, None], "values": []}


def winner_of(figures: dict[str, Any], metric: str | None = None) -> dict[str, Any]:
    """Return the best strategy of a comparison, and whether it is better than the baseline.

    It has the best mean of those that are better than the baseline by the verdict, which is
    corrected for the number of strategies; where none is, the best mean of all.

    The reference ``"constant"``, which has no network, cannot win.

    Parameters
    ----------
    figures : dict
        A comparison as `Comparison.to_dict` returns it, or as its JSON file holds it.
    metric : str, default=None
        The metric. None: that of the deployment, where the figures have one, or else the first one
        of the verdict.

    Returns
    -------
    dict
        ``strategy``, its name in the figures; ``built_in``, the built-in strategy that it is, or
        None for an estimator of the user's own; ``metric``; ``mean``; ``baseline``, its name;
        ``baseline_mean``; ``interval`` of the difference; ``p_value`` and ``adjusted_p_value``,
        None where the file has none; ``verdict``: ``"better"``, ``"worse"``, ``"within noise"``,
        ``"one run"``, ``"too few runs"``, ``"undefined"``, or ``"baseline"`` where the baseline
        itself is the best; ``equal``, the names of further strategies of the same mean.

    Raises
    ------
    KeyError, TypeError
        If the figures are not those of a comparison.

    Examples
    --------
    >>> from skimb.study import winner_of
    >>> def entry(mean, interval):
    ...     return {"f1_minority": {"mean": mean, "interval": interval, "values": [mean] * 5}}
    >>> figures = {
    ...     "baseline": "none",
    ...     "strategies": {"none": entry(0.8, [0, 0]), "over": entry(0.9, [-0.1, 0.3])},
    ... }
    >>> winner = winner_of(figures)
    >>> winner["strategy"], winner["verdict"]
    ('over', 'within noise')
    """
    entries, baseline = figures["strategies"], figures["baseline"]
    may_win = None
    if metric is None and "deployment" in figures:
        metric = figures["deployment"]["metric"]
        # Dummies and references are yardsticks.
        may_win = figures["deployment"]["candidates"]
    elif metric is None:
        metric = figures.get("verdict_metrics", _metrics_of(entries[baseline]))[0]
    built_in = figures.get("built_in") or {name: name for name in entries}
    sign = -1 if metric in figures.get("errors", ()) else 1
    means = {
        name: sign * entry[metric]["mean"]
        for name, entry in entries.items()
        if built_in.get(name) != CONSTANT
        and (may_win is None or name in may_win)
        and _of(entry, metric)["mean"] is not None
    }
    verdicts = {name: _verdict(entries[name][metric], sign) for name in means if name != baseline}
    verdicts[baseline] = "baseline"
    better = [name for name, verdict in verdicts.items() if verdict == "better"]
    # The first one of equals: the baseline, where it is among them.
    name = max(better or means or [baseline], key=lambda key: means.get(key, 0))
    entry, verdict = _of(entries[name], metric), verdicts[name]
    return {
        "strategy": name,
        "built_in": built_in.get(name),
        "metric": metric,
        "mean": entry["mean"],
        "baseline": baseline,
        "baseline_mean": _of(entries[baseline], metric)["mean"],
        "interval": entry["interval"],
        "p_value": entry.get("p_value"),
        "adjusted_p_value": entry.get("adjusted_p_value"),
        "verdict": verdict,
        "equal": [
            other
            for other in means
            if other != name
            and np.isclose(means[other], means.get(name, np.nan), rtol=1e-9, atol=0)
        ],
    }


def _of(entry, metric):
    """Return a metric; without probabilities there are no false alarms at a required recall."""
    return entry.get(metric, NOTHING) if metric == FALSE_ALARMS else entry[metric]


def _verdict(entry, sign):
    """Return the verdict of the file, or where it is of an older version, that of the interval."""
    if "adjusted_p_value" in entry:
        return entry["verdict"]
    low, high = sorted(sign * (np.nan if bound is None else bound) for bound in entry["interval"])
    return judge(low, high, n_runs=len(entry["values"]))


def _metrics_of(entry):
    """Return the metrics of a strategy in the order of a file without ``verdict_metrics``."""
    known = ("f1_minority", "balanced_mean_absolute_error")
    names = [name for name, value in entry.items() if isinstance(value, dict) and "mean" in value]
    return [name for name in known if name in names] or names
