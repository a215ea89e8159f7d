"""Facts that the words of a verdict need: who may be the best, by which metric."""

import numpy as np

from skimb.study._judging import REFERENCES

__all__ = ["best_of", "candidates_of", "differing", "groups_of", "n_tests_of"]


def candidates_of(comparison):
    """Return the strategies that may be called better: neither the baseline nor a reference.

    Parameters
    ----------
    comparison : BaseComparison

    Returns
    -------
    list of str
    """
    return [
        name for name in comparison.strategies[1:] if comparison.chosen[name].name not in REFERENCES
    ]


def best_of(comparison, metric, names):
    """Return the names of the best mean, all of them where several are equal.

    Parameters
    ----------
    comparison : BaseComparison
    metric : str
    names : list of str
        The strategies to choose from.

    Returns
    -------
    list of str
        Empty: no mean is defined.
    """
    sign = -1 if comparison.is_error(metric) else 1
    means = {name: sign * comparison.judgement(name, metric).mean for name in names}
    means = {name: mean for name, mean in means.items() if np.isfinite(mean)}
    if not means:
        return []
    best = max(means.values())
    return [name for name, mean in means.items() if np.isclose(mean, best, rtol=1e-9, atol=1e-12)]


def groups_of(comparison, metric, candidates):
    """Return the strategies of each verdict.

    Parameters
    ----------
    comparison : BaseComparison
    metric : str
    candidates : list of str

    Returns
    -------
    dict of str to list of str
        Verdict, such as "better", to names.
    """
    groups = {}
    for name in candidates:
        groups.setdefault(comparison.judgement(name, metric).verdict, []).append(name)
    return groups


def n_tests_of(comparison, metric):
    """Return how many strategies were tested by a metric.

    Parameters
    ----------
    comparison : BaseComparison
    metric : str

    Returns
    -------
    int
    """
    judged = [comparison.judgement(name, metric) for name in candidates_of(comparison)]
    return sum(bool(np.isfinite(judgement.p_value)) for judgement in judged)


def differing(comparison):
    """Return the strategies whose verdict is not the same by all metrics of the verdict.

    Parameters
    ----------
    comparison : BaseComparison

    Returns
    -------
    list of str
    """
    return [
        name
        for name in candidates_of(comparison)
        if len({comparison.judgement(name, m).verdict for m in comparison.verdict_metrics}) > 1
    ]
