"""The verdict of a comparison in a few sentences, for those who have to act on it."""

import re
from typing import Any

import numpy as np

from skimb._drawn_text import visible_text
from skimb._messages import counted
from skimb.study._baseline_trouble import baseline_trouble, short_trainings
from skimb.study._judging import LEVEL
from skimb.study._report_labels import metric_label
from skimb.study._uncertainty_text import uncertainty, what_settles
from skimb.study._verdict_facts import best_of, candidates_of, groups_of, n_tests_of

__all__ = ["headline_sentences", "p_value_text", "verdict_sentences"]

#: Sentences of a headline, at most.
MOST_SENTENCES = 3


def verdict_sentences(comparison: Any) -> list[str]:
    """Say in a few sentences what a comparison has shown, and what it has not.

    Parameters
    ----------
    comparison : Comparison or RegressionComparison

    Returns
    -------
    list of str
        In this order: what is wrong with the baseline, if anything; for each metric of the verdict
        which strategies are better, worse and within noise; which trainings were short, where the
        baseline is in order; what the uncertainty contains; what would settle a difference that is
        within noise. Names are written as they can be seen.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.study import compare, verdict_sentences
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> own = {"never": DummyClassifier(), "coin": DummyClassifier(strategy="uniform")}
    >>> result = compare(X, y, strategies=own, cv=3, random_state=0)
    >>> print(verdict_sentences(result)[0])  # doctest: +ELLIPSIS
    The baseline never finds no image of the minority class 1 (its F1 is 0): ...
    """
    trouble = baseline_trouble(comparison)
    first, *others = comparison.verdict_metrics
    sentences = [] if trouble is None else [trouble]
    candidates = candidates_of(comparison)
    if not candidates:
        return [*sentences, "There is no strategy but the baseline and the references."]
    sentences.append(_main(comparison, first, candidates))
    sentences += [_short(comparison, metric, candidates) for metric in others]
    short = short_trainings(comparison)
    sentences += [short] if short is not None and trouble is None else []
    sentences += uncertainty(comparison, candidates)
    return sentences + what_settles(comparison, first, candidates)


def headline_sentences(comparison):
    """Say in three sentences what a comparison has shown, without the tests behind it.

    Parameters
    ----------
    comparison : Comparison or RegressionComparison

    Returns
    -------
    list of str
        At most three: what is wrong with the baseline, if anything; the verdict for each metric;
        what would settle a difference, or what the intervals contain.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.study import compare
    >>> from skimb.study._verdict_text import headline_sentences
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> own = {"never": DummyClassifier(), "coin": DummyClassifier(strategy="uniform")}
    >>> result = compare(X, y, strategies=own, cv=3, random_state=0)
    >>> len(headline_sentences(result))
    3
    """
    trouble = baseline_trouble(comparison)
    sentences = [] if trouble is None else [_joined(trouble)]
    candidates = candidates_of(comparison)
    if not candidates:
        return [*sentences, "There is no strategy but the baseline and the references."]
    first, *others = comparison.verdict_metrics
    sentences.append(_headline(comparison, first, candidates))
    sentences += [_short(comparison, metric, candidates) for metric in others]
    settling = what_settles(comparison, first, candidates)
    if settling:
        first, *others = (text.removesuffix(".") for text in settling)
        lower = (text[:1].lower() + text[1:] for text in others)
        sentences.append("; ".join([first, *lower]) + ".")
    sentences += [_joined(text) for text in uncertainty(comparison, candidates)]
    return sentences[:MOST_SENTENCES]


def p_value_text(p_value):
    """Write a p-value as people read it.

    Parameters
    ----------
    p_value : float

    Returns
    -------
    str
    """
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


# ------------------------------------------------------------------------- the strategies


def _minority(comparison):
    return f"class {visible_text(comparison.minority)}"


def _names(names):
    texts = [visible_text(name) for name in names]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def _joined(text):
    """Write two sentences of this package as one; names within them stay as they are."""
    return re.sub(r"\. (The|Train|What) ", lambda found: f"; {found[1].lower()} ", text)


def _headline(comparison, metric, candidates):
    """Say in one sentence which strategy is better, or that none is shown to be."""
    base_name, label = visible_text(comparison.baseline), metric_label(metric)
    kind = "lowest" if comparison.is_error(metric) else "highest"

    def mean_of(name):
        return comparison.text(comparison.judgement(name, metric).mean, metric)

    better = groups_of(comparison, metric, candidates).get("better", [])
    best = best_of(comparison, metric, better or [comparison.baseline, *candidates])
    if not best:
        return f"By {label}, nothing can be said: it is not defined."
    judged = comparison.judgement(best[0], metric)
    base = mean_of(comparison.baseline)
    if better:
        verb = "is" if len(better) == 1 else "are"
        low, high = (comparison.text(end, metric, sign=True) for end in (judged.low, judged.high))
        which = "" if len(better) == len(best) else f"the {kind} mean is that of {_names(best)}, "
        return (
            f"By {label}, {_names(better)} {verb} better than the baseline {base_name}: "
            f"{which}{mean_of(best[0])} against {base} (a difference of "
            f"{comparison.text(judged.difference, metric, sign=True)}, with a 95 % interval from "
            f"{low} to {high})."
        )
    if comparison.baseline in best:
        comparative = kind.replace("est", "er")
        return (
            f"By {label}, no strategy has a {comparative} mean than the baseline {base_name} "
            f"({base})."
        )
    why = "it is within noise"
    if not np.isfinite(judged.p_value):
        why = _no_interval(judged.verdict, comparison).removesuffix(".").split(":")[0]
        why = f"{why[0].lower()}{why[1:]}"
    return (
        f"By {label}, no strategy is shown to be better than the baseline {base_name} ({base}); "
        f"the {kind} mean is that of {_names(best)} ({mean_of(best[0])}), and {why}."
    )


def _evidence(comparison, judged, metric):
    """Write the interval and the p-values of a difference."""
    low, high = (comparison.text(bound, metric, sign=True) for bound in (judged.low, judged.high))
    parts = [f"95 % interval from {low} to {high}", p_value_text(judged.p_value)]
    n_tests = n_tests_of(comparison, metric)
    if n_tests > 1:
        adjusted = p_value_text(judged.adjusted_p_value)
        parts.append(f"{adjusted} corrected for {n_tests} strategies")
    if np.isfinite(judged.mcnemar_p_value):
        of = "their images" if metric.startswith("recall") else "all decisions"
        parts.append(f"McNemar's test of {of}: {p_value_text(judged.mcnemar_p_value)}")
    return "; ".join(parts)


def _main(comparison, metric, candidates):
    """Say which strategy is better, by how much, and which are not."""
    groups = groups_of(comparison, metric, candidates)
    base_name, label = visible_text(comparison.baseline), metric_label(metric)
    base = comparison.text(comparison.judgement(comparison.baseline, metric).mean, metric)
    better = groups.get("better", [])
    if better:
        best = best_of(comparison, metric, better)
        judged = comparison.judgement(best[0], metric)
        text = (
            f"By {label}, {_names(best)} {'is' if len(best) == 1 else 'are'} better than the "
            f"baseline {base_name}: {comparison.text(judged.mean, metric)} against {base}, a "
            f"difference of {comparison.text(judged.difference, metric, sign=True)} "
            f"({_evidence(comparison, judged, metric)}).{_found(comparison, best[0])}"
        )
        others = [name for name in better if name not in best]
        if others:
            text += (
                f" Better than the baseline too: {_names(others)}; which of them is the best was "
                "not tested."
            )
        return text + _rest(comparison, metric, groups)
    best = best_of(comparison, metric, [comparison.baseline, *candidates])
    kind = "lower" if comparison.is_error(metric) else "higher"
    if not best:
        return f"By {label}, nothing can be said: it is not defined."
    if comparison.baseline in best:
        equal = [name for name in best if name != comparison.baseline]
        also = f"; that of {_names(equal)} is equal" if equal else ""
        text = f"By {label}, no strategy has a {kind} mean than the baseline {base_name} ({base})"
        return f"{text}{also}.{_rest(comparison, metric, groups)}"
    judged = comparison.judgement(best[0], metric)
    mean = comparison.text(judged.mean, metric)
    difference = comparison.text(judged.difference, metric, sign=True)
    text = (
        f"By {label}, no strategy is shown to be better than the baseline {base_name} ({base}). "
        f"The {kind.removesuffix('er')}est mean is that of {_names(best)}: {mean}, a difference of "
        f"{difference}"
    )
    if not np.isfinite(judged.p_value):
        return (
            f"{text}. {_no_interval(judged.verdict, comparison)}{_rest(comparison, metric, groups)}"
        )
    text += f", which is within noise ({_evidence(comparison, judged, metric)})."
    if judged.p_value < LEVEL:
        text += (
            " Its interval alone excludes zero, but with so many strategies one of them does so by "
            "chance in more than one of 20 comparisons."
        )
    return text + _rest(comparison, metric, groups)


def _no_interval(verdict, comparison):
    n_runs = comparison.protocol["n_runs"]
    if verdict == "one run":
        return "One run cannot tell whether it is more than noise."
    if verdict == "too few runs":
        return (
            f"{'Two' if n_runs == 2 else n_runs} runs cannot tell whether it is more than noise: "
            "five folds, or --repeats, can."
        )
    return "Its interval is not defined."


def _rest(comparison, metric, groups):
    """List the strategies that are worse, and those that are within noise."""
    text = ""
    if "worse" in groups:
        worse = ", ".join(
            f"{visible_text(name)} "
            f"({comparison.text(comparison.judgement(name, metric).difference, metric, sign=True)})"
            for name in groups["worse"]
        )
        text += f" Worse than the baseline: {worse}."
    if len(groups.get("within noise", [])) > 0 and len(groups) > 1:
        text += f" Within noise: {_names(groups['within noise'])}."
    return text


def _short(comparison, metric, candidates):
    """Say for a further metric which strategies are better and worse."""
    groups = groups_of(comparison, metric, candidates)
    label = metric_label(metric)
    parts = []
    for word in ("better", "worse"):
        if word in groups:
            verb = "is" if len(groups[word]) == 1 else "are"
            parts.append(f"{_names(groups[word])} {verb} {word} than the baseline")
    if "within noise" in groups:
        everyone = "every difference" if len(groups) == 1 else _names(groups["within noise"])
        verb = "is" if len(groups) == 1 or len(groups["within noise"]) == 1 else "are"
        parts.append(f"{everyone} {verb} within noise")
    if not parts:
        return (
            f"By {label}, {_no_interval(next(iter(groups)), comparison)[0].lower()}"
            + (_no_interval(next(iter(groups)), comparison)[1:])
        )
    return f"By {label}, {'; '.join(parts)}."


def _found(comparison, name):
    """Say what a better score means for the minority class; nothing for a continuous target."""
    if not hasattr(comparison, "confusion_matrix"):
        return ""
    place = comparison.minority_position
    n_repeats = comparison.protocol["n_repeats"]
    own, base = (
        comparison.confusion_matrix(each) / n_repeats for each in (name, comparison.baseline)
    )
    label = _minority(comparison)
    alarms = [matrix[:, place].sum() - matrix[place, place] for matrix in (own, base)]
    on_average = "" if n_repeats == 1 else ", on average over the repeats"
    return (
        f" Of the {counted(own[place].sum(), 'test image')} of {label} it finds "
        f"{own[place, place]:.0f} (the baseline {base[place, place]:.0f}), and it takes "
        f"{counted(alarms[0], 'other image')} for {label} (the baseline "
        f"{alarms[1]:.0f}){on_average}."
    )
