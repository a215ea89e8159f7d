"""How often the verdict of a comparison is right, on simulated predictions whose truth is known.

Each image has a latent score for each strategy, and the scores of one image are correlated; a
strategy calls an image minority where its score is above its cut. The same decisions, judged by
`Comparison`, give intervals and verdicts. Three tables are printed:

1. the coverage of the 95 % intervals on a fixed test set, by one run and by several seeds (each
   seed moves the cut of its network), and by cross-validation;
2. the fraction of comparisons of ten strategies, none of which differs from the baseline, that call
   any of them better or worse, with Holm's correction and without;
3. the fraction of test sets with the predicted number of further minority images whose interval
   excludes zero; it should be 0.8.

    python benchmarks/quality/verdict_coverage.py [--quick] [--json FILE]
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.stats import norm

from skimb.study import Comparison
from skimb.study._count_scores import LabelScores
from skimb.study._outcomes import ClassificationOutcome
from skimb.study._predictions import Predictions
from skimb.study._strategies import Strategy

METRICS = ["f1_minority", "balanced_accuracy", "recall_minority", "precision_minority", "mcc"]
CLASSES = np.array(["common", "rare"])
#: Distance of the classes in the latent score, and the correlation of two strategies.
DISTANCE, CORRELATION = 2.5, 0.7


def comparison_of(truth, decisions, *, rows=None, test_share=0.0, n_repeats=None):
    """Make a comparison of decisions: strategy to those of each run, the baseline first.

    ``truth`` holds 1 for rare images; ``rows`` has the tested images of each run, None: all.
    """
    n_runs = len(next(iter(decisions.values())))
    rows = [np.arange(len(truth))] * n_runs if rows is None else rows
    scores = LabelScores(METRICS, CLASSES, "rare")
    outcomes = {}
    for name, runs in decisions.items():
        outcomes[name] = []
        for tested, predicted in zip(rows, runs, strict=True):
            sums = scores.parts(truth[tested], predicted).sum(axis=1)
            matrix = np.bincount(2 * truth[tested] + predicted, minlength=4).reshape(2, 2)
            outcomes[name].append(
                ClassificationOutcome(
                    name,
                    dict(zip(METRICS, scores(sums).tolist(), strict=True)),
                    1.0,
                    [],
                    500,
                    matrix,
                    {},
                    Predictions(tested, truth[tested], predicted),
                )
            )
    return Comparison(
        outcomes,
        chosen={name: Strategy(name, None) for name in decisions},
        classes=CLASSES,
        counts=np.bincount(truth, minlength=2),
        minority="rare",
        protocol={
            "test_share": test_share,
            "n_runs": n_runs,
            "n_repeats": n_runs if n_repeats is None else n_repeats,
            "n_test_rows": len(rows[0]),
            "seeds": list(range(n_runs)),
            "recipe": None,
            "gradient_steps": None,
        },
        samples={},
        mistakes={},
    )


def drawn_truth(n, n_rare):
    """Return the truth of n images, of which so many are rare."""
    return np.r_[np.ones(n_rare, int), np.zeros(n - n_rare, int)]


def drawn_decisions(truth, cuts, rng):
    """Return the decisions of strategies whose cuts are these: an array (n_strategies, n)."""
    common = rng.normal(size=len(truth))
    own = rng.normal(size=(len(cuts), len(truth)))
    latent = DISTANCE * truth + np.sqrt(CORRELATION) * common + np.sqrt(1 - CORRELATION) * own
    return (latent > np.asarray(cuts)[:, None]).astype(int)


def true_scores(cut, fraction, seed_spread=0.0):
    """Return the scores of a strategy on all images in the world, averaged over seeds."""
    scores = LabelScores(METRICS, CLASSES, "rare")
    points, weights = np.polynomial.hermite_e.hermegauss(21)
    shifts, weights = points * seed_spread, weights / weights.sum()
    found = np.zeros(len(METRICS))
    for shift, weight in zip(shifts, weights, strict=True):
        hit = fraction * norm.sf(cut + shift - DISTANCE)
        alarm = (1 - fraction) * norm.sf(cut + shift)
        sums = np.array([1 - fraction - alarm, hit])
        predicted = np.array([1 - hit - alarm, hit + alarm])
        found = found + weight * scores(np.r_[sums, predicted, 1 - fraction, fraction])
    return dict(zip(METRICS, found.tolist(), strict=True))


def coverage_of_test_sets(n, n_rare, n_seeds, seed_spread, n_trials, rng):
    """Return the coverage of the interval of each metric, by resamples of a fixed test set."""
    cuts, fraction = (1.8, 1.4), n_rare / n
    base, other = (true_scores(cut, fraction, seed_spread) for cut in cuts)
    inside = dict.fromkeys(METRICS, 0)
    for _ in range(n_trials):
        # The number of rare images is drawn too, as in a sample of the world.
        truth = drawn_truth(n, max(2, rng.binomial(n, fraction)))
        decisions = {"none": [], "other": []}
        common = rng.normal(size=len(truth))
        for _ in range(n_seeds):
            own = rng.normal(size=(2, len(truth)))
            latent = DISTANCE * truth + np.sqrt(CORRELATION) * common
            latent = latent + np.sqrt(1 - CORRELATION) * own
            moved = np.array(cuts) + seed_spread * rng.normal(size=2)
            for name, called in zip(decisions, latent > moved[:, None], strict=True):
                decisions[name].append(called.astype(int))
        result = comparison_of(truth, decisions)
        for metric in METRICS:
            judged = result.judgement("other", metric)
            inside[metric] += judged.low <= other[metric] - base[metric] <= judged.high
    return {metric: count / n_trials for metric, count in inside.items()}


def coverage_of_folds(n, n_rare, seed_spread, n_trials, rng, n_folds=5):
    """Return the coverage of the interval of each metric, by cross-validation."""
    cuts, fraction = (1.8, 1.4), n_rare / n
    base, other = (true_scores(cut, fraction, seed_spread) for cut in cuts)
    inside = dict.fromkeys(METRICS, 0)
    for _ in range(n_trials):
        truth = drawn_truth(n, n_rare)
        rows = [np.arange(fold, n, n_folds) for fold in range(n_folds)]
        decisions = {"none": [], "other": []}
        for tested in rows:
            moved = np.array(cuts) + seed_spread * rng.normal(size=2)
            for name, called in zip(
                decisions, drawn_decisions(truth[tested], moved, rng), strict=True
            ):
                decisions[name].append(called)
        result = comparison_of(
            truth, decisions, rows=rows, test_share=1 / (n_folds - 1), n_repeats=1
        )
        for metric in METRICS:
            judged = result.judgement("other", metric)
            inside[metric] += judged.low <= other[metric] - base[metric] <= judged.high
    return {metric: count / n_trials for metric, count in inside.items()}


def false_verdicts(n, n_rare, n_strategies, n_trials, rng):
    """Return how often any of several equal strategies is called another, with Holm and without."""
    wrong = {kind: dict.fromkeys(METRICS, 0) for kind in ("adjusted", "single")}
    for _ in range(n_trials):
        truth = drawn_truth(n, n_rare)
        called = drawn_decisions(truth, [1.6] * (n_strategies + 1), rng)
        names = ["none", *(f"strategy {i}" for i in range(n_strategies))]
        result = comparison_of(
            truth, {name: [one] for name, one in zip(names, called, strict=True)}
        )
        for metric in METRICS:
            judged = [result.judgement(name, metric) for name in names[1:]]
            wrong["adjusted"][metric] += any(one.adjusted_p_value < 0.05 for one in judged)
            wrong["single"][metric] += any(one.p_value < 0.05 for one in judged)
    return {
        kind: {metric: count / n_trials for metric, count in found.items()}
        for kind, found in wrong.items()
    }


def power_of_more_images(n, n_rare, cuts, n_trials, rng, metric, folds=None):
    """Return the predicted number of further images, and how often the interval then tells.

    The prediction is for the difference that was observed, so it is taken from samples whose
    difference is close to the true one.
    """
    fraction = n_rare / n
    base, other = (true_scores(cut, fraction)[metric] for cut in cuts)

    def judged(n_images):
        # Shuffled, so that the folds differ; the classes are spread over them.
        truth = drawn_truth(n_images, round(n_images * fraction))
        called = drawn_decisions(truth, cuts, rng)
        if folds is None:
            decisions = {"none": [called[0]], "other": [called[1]]}
            return comparison_of(truth, decisions).judgement("other", metric)
        rows = [np.arange(fold, n_images, folds) for fold in range(folds)]
        pairs = zip(("none", "other"), called, strict=True)
        decisions = {name: [one[tested] for tested in rows] for name, one in pairs}
        result = comparison_of(truth, decisions, rows=rows, test_share=1 / (folds - 1), n_repeats=1)
        return result.judgement("other", metric)

    pilots = [judged(n) for _ in range(max(100, n_trials // 2))]
    pilots = [one for one in pilots if np.isfinite(one.more_images)]
    pilots = sorted(pilots, key=lambda one: abs(one.difference - (other - base)))[:10]
    more = float(np.median([one.more_images for one in pilots]))
    n_more = round(n * (n_rare + more) / n_rare)
    found = np.mean([judged(n_more).p_value < 0.05 for _ in range(n_trials)])
    return {"more_images": more, "power": float(found)}


def main():
    """Run the simulations, and print their tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few trials")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    arguments = parser.parse_args()
    n_trials = 40 if arguments.quick else 300
    rng = np.random.default_rng(0)
    results = {"coverage": {}, "false verdicts": {}, "more images": {}}
    for title, numbers in (
        ("500 images, 25 rare, one run", (500, 25, 1, 0.0)),
        ("1000 images, 100 rare, one run", (1000, 100, 1, 0.0)),
        ("5000 images, 250 rare, one run", (5000, 250, 1, 0.0)),
        ("1000 images, 100 rare, one run, seeds differ", (1000, 100, 1, 0.15)),
        ("1000 images, 100 rare, 3 seeds that differ", (1000, 100, 3, 0.15)),
        ("1000 images, 100 rare, 5 seeds that differ", (1000, 100, 5, 0.15)),
    ):
        results["coverage"][title] = coverage_of_test_sets(*numbers, n_trials, rng)
    for title, numbers in (
        ("1000 images, 100 rare, 5 folds", (1000, 100, 0.0)),
        ("1000 images, 100 rare, 5 folds, seeds differ", (1000, 100, 0.15)),
    ):
        results["coverage"][title] = coverage_of_folds(*numbers, n_trials, rng)
    for n, n_rare in ((500, 25), (1000, 100), (5000, 250)):
        title = f"{n} images, {n_rare} rare, 10 equal strategies"
        for kind, found in false_verdicts(n, n_rare, 10, n_trials, rng).items():
            results["false verdicts"][f"{title}, {kind}"] = found
    for what, found in list(results.items())[:2]:
        print(f"{what:<52}" + "".join(f"{metric:>20}" for metric in METRICS))
        for title, values in found.items():
            print(f"{title:<52}" + "".join(f"{values[metric]:>20.3f}" for metric in METRICS))
    print(f"{'further images':<52}{'predicted':>20}{'power':>20}")
    for title, metric, cuts, folds in (
        ("f1_minority, 500 images, 50 rare, one run", "f1_minority", (2.5, 2.2), None),
        ("recall_minority, 500 images, 50 rare, one run", "recall_minority", (1.8, 1.6), None),
        ("f1_minority, 500 images, 50 rare, 5 folds", "f1_minority", (2.5, 2.1), 5),
    ):
        found = power_of_more_images(500, 50, cuts, n_trials, rng, metric, folds)
        results["more images"][title] = found
        print(f"{title:<52}{found['more_images']:>20.0f}{found['power']:>20.3f}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
