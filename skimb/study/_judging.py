"""The judgements of a comparison: all strategies by all metrics, computed once."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import stats
from scipy.sparse import vstack

from skimb.study._bootstrap import (
    Images,
    effective_number,
    influences,
    interval_and_p_value,
    number_of_resamples,
    slopes_of,
    sums_by,
)
from skimb.study._judgement import FOLDS, IMAGES, IMAGES_AND_SEEDS, SEEDS, Judgement
from skimb.study._statistics import (
    corrected_interval,
    corrected_p_value,
    holm,
    mcnemar,
    needed_factor,
    repeats_can_settle,
)
from skimb.study._strategies import CONSTANT

__all__ = ["LEVEL", "REFERENCES", "adjusted_p_values", "judgements_of", "verdict_of"]

#: The level of all tests: intervals hold with a probability of 95 %.
LEVEL = 0.05

#: Yardsticks, which nobody would choose: they are no hypotheses, and would cost the others power.
REFERENCES = (CONSTANT, "linear")

#: With two runs, Student's t has one degree of freedom, and intervals say nothing.
LEAST_RUNS = 3


@dataclass
class FixedEvidence:
    """What resamples of a fixed test set say of the differences to the baseline.

    Parameters
    ----------
    names : list of str
        The metrics.
    n_resamples : int
    by_resamples : dict of str to ndarray of shape (n_metrics, 4)
        Strategy to the ends of the interval, the p-value and the variance of each difference.
    n_effective : dict of str to ndarray of shape (n_metrics,)
        Strategy to the number of images that the differences rest on.
    """

    names: list
    n_resamples: int
    by_resamples: dict
    n_effective: dict


@dataclass
class FoldsEvidence:
    """What the test images of all folds say of a difference.

    Parameters
    ----------
    names : list of str
        The metrics.
    variance : dict of str to ndarray of shape (n_metrics,)
        Strategy to the variance of its mean differences under another draw of images.
    run_variance : dict of str to ndarray of shape (n_metrics,)
        The same variance for the difference of one run, on average.
    """

    names: list
    variance: dict
    run_variance: dict


def judgements_of(comparison):
    """Judge all strategies of a comparison by all of its metrics.

    Parameters
    ----------
    comparison : BaseComparison

    Returns
    -------
    dict of (str, str) to Judgement
        For each pair of a strategy and a metric.
    """
    tested = _tested(comparison)
    is_fixed = tested is not None and all(
        np.array_equal(rows, tested[0][0][0]) for runs in tested for rows, _, _ in runs
    )
    evidence = None
    if tested is not None:
        evidence = _fixed_evidence(comparison, tested) if is_fixed else None
        if not is_fixed:
            evidence = _folds_evidence(comparison, tested)
    found = {}
    for metric in comparison.metrics:
        base = comparison.values(comparison.baseline, metric)
        for name in comparison.strategies:
            found[name, metric] = _judged(comparison, evidence, name, metric, base)
        _adjust(comparison, found, metric)
    if is_fixed and tested is not None and evidence is not None:
        _add_mcnemar(comparison, tested, found)
    return found


def _tested(comparison):
    """Return rows, truth and predictions of each strategy and run; None: they are not known."""
    try:
        return [
            [comparison.tested(outcome) for outcome in comparison.outcomes[name]]
            for name in comparison.strategies
        ]
    except AttributeError:
        return None


def _checked(comparison, tested, scores):
    """Keep the metrics whose values are those that sums over images give: a name may deceive."""
    is_same = np.ones(len(scores.names), dtype=bool)
    if len(scores.names) == 0:
        return []
    for name, runs in zip(comparison.strategies, tested, strict=True):
        for outcome, (_, truth, predicted) in zip(comparison.outcomes[name], runs, strict=True):
            values = scores(np.asarray(scores.parts(truth, predicted).sum(axis=1)).ravel())
            told = np.array([outcome.scores[metric] for metric in scores.names])
            is_same &= np.isclose(values, told, rtol=1e-6, atol=1e-9)
    return [metric for metric, same in zip(scores.names, is_same, strict=True) if same]


def _groups(comparison, rows):
    groups = comparison.groups
    return None if groups is None else np.asarray(groups)[rows]


def _fixed_evidence(comparison, tested):
    """Resample the images of a fixed test set; scores are means over the seeds."""
    scores = comparison.scores_of_images(comparison.metrics)
    if scores is None:
        return None
    known = _checked(comparison, tested, scores)
    if not known:
        return None
    scores = comparison.scores_of_images(known)
    groups = _groups(comparison, tested[0][0][0])
    names = comparison.strategies[1:]
    found = FixedEvidence(known, 0, {}, {})
    if not names:
        return found
    # A pair of strategies has few kinds of images, which are drawn as counts, and its interval does
    # not depend on the others; where that would take too long, a resample serves all strategies.
    sets = [_images_of(scores, tested, groups)]
    found.n_resamples = number_of_resamples(sets, len(names) * len(known))
    if is_in_pairs := scores.is_merged and len(names) > 1:
        pairs = [_images_of(scores, [tested[0], runs], groups) for runs in tested[1:]]
        n_in_pairs = number_of_resamples(pairs, len(names) * len(known))
        if is_in_pairs := n_in_pairs >= found.n_resamples:
            sets, found.n_resamples = pairs, n_in_pairs
    per_set = 1 if is_in_pairs else len(names)
    for i, images in enumerate(sets):
        those, shape = names[i * per_set : (i + 1) * per_set], (per_set + 1, len(tested[0]))
        blocks = []
        for sums in images.resampled_sums(
            found.n_resamples, random_state=comparison.protocol["seeds"]
        ):
            means = _mean_scores(scores, sums, shape)
            blocks.append(means[:, 1:] - means[:, :1])
        drawn = np.concatenate(blocks)
        for k, (name, share) in enumerate(zip(those, _shares(scores, images, shape), strict=True)):
            n_effective = effective_number(share, images.times)
            found.n_effective[name] = n_effective
            found.by_resamples[name] = np.array(
                [
                    [*interval_and_p_value(own, number), own.var()]
                    for own, number in zip(drawn[:, k].T.copy(), n_effective, strict=True)
                ]
            )
    return found


def _images_of(scores, tested, groups):
    """Return the images of a test set with what the decisions of some strategies add to sums."""
    truth = tested[0][0][1]
    decisions = [predicted for runs in tested for _, _, predicted in runs]
    parts = vstack([scores.parts(truth, predicted) for predicted in decisions]).tocsr()
    cells = None
    if scores.is_merged:
        cells = truth
        for predicted in decisions:
            cells = np.unique(cells * scores.n_classes + predicted, return_inverse=True)[1]
    return Images(parts, groups, cells=cells)


def _mean_scores(scores, sums, shape):
    """Return the mean over seeds of the scores of each strategy, (n_block, n_strategies, ...)."""
    values = scores(sums.reshape(len(sums), *shape, -1))
    return values.mean(axis=2)


def _shares(scores, images, shape):
    """Yield the share of each kind of images in the differences, for all but the baseline.

    Only images that two strategies decide differently have a share: the change of their sums, by
    the mean slope of both.
    """
    sums = images.sums.reshape(*shape, -1)
    n_rows = sums.shape[-1]
    slopes = [[slopes_of(scores, one) for one in seeds] for seeds in sums]
    for i in range(1, shape[0]):
        share = 0
        for j in range(shape[1]):
            own, base = (
                images.parts[(k * shape[1] + j) * n_rows : (k * shape[1] + j + 1) * n_rows]
                for k in (i, 0)
            )
            share = share + (own - base).T @ (slopes[i][j] + slopes[0][j]) / (2 * shape[1])
        yield share


def _folds_evidence(comparison, tested):
    """Add up over the folds what each image does to the mean difference."""
    scores = comparison.scores_of_images(comparison.verdict_metrics)
    if scores is None:
        return None
    known = _checked(comparison, tested, scores)
    if not known:
        return None
    scores = comparison.scores_of_images(known)
    every = np.unique(np.concatenate([rows for rows, _, _ in tested[0]]))
    groups = _groups(comparison, every)
    unit = np.arange(len(every)) if groups is None else np.unique(groups, return_inverse=True)[1]
    variance, run_variance = {}, {}
    by_run = [[_moved(scores, every, unit, one) for one in runs] for runs in tested]
    for name, runs in zip(comparison.strategies[1:], by_run[1:], strict=True):
        moved = np.zeros((unit.max() + 1, len(known)))
        of_runs = np.zeros(len(known))
        for (units, own), (_, base) in zip(runs, by_run[0], strict=True):
            moved[units] += (own - base) / len(runs)
            of_runs += np.square(own - base).sum(axis=0) / len(runs)
        variance[name] = np.square(moved).sum(axis=0)
        run_variance[name] = of_runs
    return FoldsEvidence(known, variance, run_variance)


def _moved(scores, every, unit, tested):
    """Return the units of one test part, and their influences on its scores."""
    rows, truth, predicted = tested
    units, place = np.unique(unit[np.searchsorted(every, rows)], return_inverse=True)
    parts = scores.parts(truth, predicted)
    sums = np.asarray(parts.sum(axis=1)).ravel()
    sizes = np.bincount(place)
    return units, influences(scores, sums_by(parts, place), sums, sizes)


def _judged(comparison, evidence, name, metric, base):
    """Judge a strategy by a metric, before the correction for the number of strategies."""
    values = comparison.values(name, metric)
    n_runs = len(values)
    with np.errstate(invalid="ignore"):
        differences = values - base
    plain = Judgement(
        mean=float(values.mean()),
        sd=float(values.std(ddof=1)) if n_runs > 1 else float("nan"),
        difference=float(differences.mean()),
        low=0.0,
        high=0.0,
        verdict=None,
    )
    if name == comparison.baseline:
        return plain
    nothing = replace(plain, low=np.nan, high=np.nan, verdict="undefined")
    if not np.isfinite(differences).all():
        return nothing
    share = comparison.protocol["test_share"]
    place = None
    if evidence is not None and metric in evidence.names:
        place = evidence.names.index(metric)
    if place is not None and isinstance(evidence, FixedEvidence):
        judged = _by_resamples(plain, evidence, name, place, differences)
    elif n_runs < LEAST_RUNS:
        return replace(nothing, verdict="one run" if n_runs == 1 else "too few runs")
    else:
        judged = _by_runs(plain, evidence, name, place, differences, share)
    if not np.isfinite(judged.p_value):
        return nothing
    judged = _bounded(judged, comparison.metric_range(metric), float(base.mean()))
    if judged.difference == 0 or judged.p_value < LEVEL or not np.isfinite(judged.more_images):
        hopeless = judged.more_images == np.inf and judged.p_value >= LEVEL
        more = np.inf if hopeless and judged.difference else np.nan
        return replace(judged, more_images=more)
    more = float(np.ceil(comparison.n_decisive_images * (judged.more_images - 1)))
    # Where those at hand had the power already, their number is not what a difference lacks.
    return replace(judged, more_images=more or np.nan)


def _by_resamples(plain, evidence, name, place, differences):
    """Judge by resamples of the test images, and by the seeds where there are several."""
    low, high, p_value, variance = evidence.by_resamples[name][place].tolist()
    n_effective, n_seeds, d = evidence.n_effective[name][place], len(differences), plain.difference
    plain = replace(plain, n_resamples=evidence.n_resamples)
    if n_seeds == 1:
        more = needed_factor(d, variance) if d else np.nan
        return replace(plain, low=low, high=high, p_value=p_value, source=IMAGES, more_images=more)
    if not np.isfinite(variance):
        return plain
    of_seeds = float(differences.var(ddof=1)) / n_seeds
    total = variance + of_seeds
    if total == 0:
        p_value = 1.0 if d == 0 else 0.0
        return replace(plain, low=d, high=d, p_value=p_value, source=IMAGES_AND_SEEDS)
    # Welch and Satterthwaite: degrees of freedom of a sum of two estimated variances.
    df = total**2 / (variance**2 / max(n_effective - 1, 1) + of_seeds**2 / (n_seeds - 1))
    half = float(stats.t.isf(LEVEL / 2, df) * np.sqrt(total))
    return replace(
        plain,
        low=d - half,
        high=d + half,
        p_value=float(2 * stats.t.sf(abs(d) / np.sqrt(total), df)),
        source=IMAGES_AND_SEEDS,
        more_images=needed_factor(d, variance, fixed_variance=of_seeds) if d else np.nan,
    )


def _by_runs(plain, evidence, name, place, differences, share):
    """Judge by the corrected t-test over folds, or by the t-test over seeds."""
    low, high = corrected_interval(differences, test_share=share)
    p_value = corrected_p_value(differences, test_share=share)
    source = FOLDS if share else SEEDS
    judged = replace(plain, low=low, high=high, p_value=p_value, source=source)
    if p_value < LEVEL or not share:
        return judged
    judged = replace(judged, repeats_can_settle=repeats_can_settle(differences, test_share=share))
    if place is None or not plain.difference:
        return judged
    n_runs, variance = len(differences), evidence.variance[name][place]
    if variance == 0:
        return judged
    expected = (1 / n_runs + share) * evidence.run_variance[name][place]
    critical = stats.t.isf(LEVEL / 2, n_runs - 1) * np.sqrt(expected / variance)
    factor = needed_factor(plain.difference, variance, critical=critical, df=n_runs - 1)
    return replace(judged, more_images=factor)


def _bounded(judged, limits, base):
    """Cut an interval at the differences that are possible, given the mean of the baseline."""
    if limits is None or not limits[0] <= base <= limits[1]:
        return judged
    # A difference of 0 is always possible, and rounding shall not take it away.
    least, most = min(limits[0] - base, 0.0), max(limits[1] - base, 0.0)
    return replace(judged, low=max(judged.low, least), high=min(judged.high, most))


def _adjust(comparison, found, metric):
    """Correct the p-values of a metric for the number of strategies, and put them into words."""
    p_values = {name: found[name, metric].p_value for name in comparison.strategies[1:]}
    adjusted = adjusted_p_values(comparison, p_values)
    for name, p_value in adjusted.items():
        judged = found[name, metric]
        word = verdict_of(p_value, judged.difference, is_error=comparison.is_error(metric))
        found[name, metric] = replace(judged, adjusted_p_value=p_value, verdict=word)


def adjusted_p_values(comparison, p_values):
    """Correct p-values for the number of strategies, of which references are none.

    Parameters
    ----------
    comparison : BaseComparison
    p_values : dict of str to float
        By strategy; NaN where there is none.

    Returns
    -------
    dict of str to float
        Those that are finite, corrected by Holm's method; those of references as they are.
    """
    adjusted = {name: value for name, value in p_values.items() if np.isfinite(value)}
    candidates = [name for name in adjusted if comparison.chosen[name].name not in REFERENCES]
    corrected = holm(np.array([adjusted[name] for name in candidates]))
    return adjusted | dict(zip(candidates, corrected.tolist(), strict=True))


def verdict_of(p_value, difference, *, is_error):
    """Put a corrected p-value into words.

    Parameters
    ----------
    p_value : float
    difference : float
        To the baseline.
    is_error : bool
        Whether less is better.

    Returns
    -------
    {"better", "worse", "within noise"}
    """
    if p_value >= LEVEL:
        return "within noise"
    return "better" if (difference < 0 if is_error else difference > 0) else "worse"


def _add_mcnemar(comparison, tested, found):
    """Add McNemar's test, where the images of one run are independent of each other."""
    rows, truth, base = tested[0][0]
    groups = _groups(comparison, rows)
    if len(tested[0]) > 1 or (groups is not None and len(np.unique(groups)) < len(groups)):
        return
    scores = comparison.scores_of_images(comparison.metrics)
    if not scores.is_merged:
        return
    for name, [(_, _, predicted)] in zip(comparison.strategies[1:], tested[1:], strict=True):
        own, other = predicted == truth, base == truth
        p_values = {}
        for metric in comparison.metrics:
            place = scores.class_of(metric)
            if place not in p_values:
                counted = np.ones(len(truth), bool) if place is None else truth == place
                n_own = int((own & ~other & counted).sum())
                p_values[place] = mcnemar(n_own, int((other & ~own & counted).sum()))
            judged = found[name, metric]
            found[name, metric] = replace(judged, mcnemar_p_value=p_values[place])
