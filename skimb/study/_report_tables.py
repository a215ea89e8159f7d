"""The tables and the sentences that the reports of all comparisons have."""

import numpy as np

__all__ = ["next_step", "own_steps", "score_table", "verdict_groups", "versions_of"]

#: The words of a verdict in the order of the report, and what each says of a strategy.
SAID = {
    "better": "better than {}",
    "worse": "worse than {}",
    "within noise": "within noise",
    "one run": "one run: not judged",
    "too few runs": "too few runs: not judged",
    "undefined": "not defined",
}


def verdict_groups(comparison):
    """Return for each metric of the verdict the strategies that have each word.

    Parameters
    ----------
    comparison : BaseComparison

    Returns
    -------
    list of dict
        ``metric``, ``baseline_mean``, ``best`` (names of equal, best means), ``best_mean`` and
        ``groups``: pairs of the word, what it says, and names.
    """
    table, verdict = comparison.table, comparison.verdict
    found = []
    for metric in comparison.verdict_metrics:
        means = table[metric, "mean"]
        best_mean = means[comparison.best(metric)]
        shown = comparison.text(best_mean, metric)
        words = [*SAID, *(word for word in verdict[metric].unique() if word not in SAID)]
        groups = [
            (
                word,
                str(SAID.get(word, word)).format(comparison.baseline),
                list(verdict.index[verdict[metric] == word]),
            )
            for word in words
        ]
        found.append(
            {
                "metric": metric,
                "baseline_mean": means[comparison.baseline],
                # All that are written with the same digits.
                "best": [
                    name
                    for name in comparison.strategies
                    if comparison.text(means[name], metric) == shown
                ]
                if np.isfinite(best_mean)
                else [],
                "best_mean": best_mean,
                "groups": [group for group in groups if group[2]],
            }
        )
    return found


def score_table(comparison):
    """Return what the main table shows.

    Parameters
    ----------
    comparison : BaseComparison

    Returns
    -------
    dict
        ``summary``: the rows; ``has_intervals`` and ``has_p_values``: whether any has one.
    """
    summary = _summary_rows(comparison)
    judged = [cell for row in summary for cell in row["judged"]]
    return {
        "summary": summary,
        "has_intervals": any(cell["has_interval"] for cell in judged if cell["verdict"]),
        "has_p_values": any(np.isfinite(cell["p_value"]) for cell in judged),
    }


def _summary_rows(comparison):
    table = comparison.table
    rows = []
    for name in comparison.strategies:
        judged = []
        for metric in comparison.verdict_metrics:
            cell = table.loc[name, metric].to_dict()
            cell["verdict"] = (
                None if name == comparison.baseline else comparison.verdict.loc[name, metric]
            )
            cell["has_interval"] = bool(np.isfinite(cell["low"]))
            cell["metric"] = metric
            cell["p_value"] = getattr(
                comparison.judgement(name, metric), "adjusted_p_value", float("nan")
            )
            judged.append(cell)
        rows.append(
            {
                "name": name,
                "judged": judged,
                "others": [
                    table.loc[name, metric].to_dict() | {"metric": metric}
                    for metric in comparison.other_metrics
                ],
                "seconds": table.loc[name, ("seconds", "mean")],
            }
        )
    return rows


def own_steps(comparison):
    """Say for each strategy of the user's own how many gradient steps its network took.

    Parameters
    ----------
    comparison : BaseComparison

    Returns
    -------
    dict of str to str
    """
    found = {}
    for name in comparison.strategies:
        if comparison.chosen[name].is_own:
            steps = comparison.gradient_steps(name)
            found[name] = "not known" if steps is None else f"{steps:.0f}"
    return found


def next_step(figures):
    """Return the strategy to take, and whether it is better than the baseline.

    Parameters
    ----------
    figures : dict
        A comparison as its JSON file holds it.

    Returns
    -------
    dict
        ``strategy``, ``verdict`` and the ``metric`` of both; the ``command`` that trains it, or
        None where the comparison was not run on the command line; ``is_saved``, whether that wrote
        the file that the command reads.
    """
    best, protocol = figures["best"], figures["protocol"]
    return {
        "strategy": best["strategy"],
        "verdict": best["verdict"],
        "metric": best["metric"],
        "command": protocol.get("next_command"),
        "is_saved": "--json" in protocol.get("command", ""),
    }


def versions_of(protocol):
    """Return the versions of the libraries that a comparison ran with.

    Parameters
    ----------
    protocol : dict

    Returns
    -------
    dict of str to str
        Empty where they are not known.
    """
    return protocol.get("versions") or (protocol.get("recipe") or {}).get("versions") or {}
