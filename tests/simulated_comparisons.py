"""Comparisons of given decisions, without any training."""

import numpy as np

from skimb.study import Comparison, RegressionComparison
from skimb.study._count_scores import LabelScores
from skimb.study._error_scores import ErrorScores
from skimb.study._outcomes import ClassificationOutcome, RegressionOutcome
from skimb.study._predictions import Predictions
from skimb.study._strategies import Strategy

METRICS = (
    *("f1_minority", "balanced_accuracy", "precision_minority", "recall_minority", "f1_macro"),
    *("geometric_mean", "worst_recall", "mcc"),
)


def protocol(n_runs, n_test, *, test_share=0.0, n_repeats=None, **more):
    return {
        "test_share": test_share,
        "n_runs": n_runs,
        "n_repeats": n_runs if n_repeats is None else n_repeats,
        "n_test_rows": n_test,
        "seeds": list(range(n_runs)),
        "recipe": {"module": "small"},
        "epochs": 10,
        "steps_per_epoch": 50,
        "gradient_steps": 500,
        **more,
    }


def comparison_of(
    truth, decisions, *, rows=None, built_in=(), metrics=METRICS, losses=(), classes=None, **more
):
    """Make a comparison: strategy to its decisions in each run; the first one is the baseline.

    Classes are numbers from 0, and the last one is the minority class.
    """
    truth = np.asarray(truth)
    n_runs = len(next(iter(decisions.values())))
    rows = [np.arange(len(truth))] * n_runs if rows is None else rows
    n_classes = truth.max() + 1
    classes = np.array([f"c{i}" for i in range(n_classes)]) if classes is None else classes
    scores = LabelScores(metrics, classes, classes[-1])
    outcomes = {}
    for name, runs in decisions.items():
        outcomes[name] = []
        for tested, predicted in zip(rows, map(np.asarray, runs), strict=True):
            part = truth[tested]
            values = scores(np.asarray(scores.parts(part, predicted).sum(axis=1)).ravel())
            matrix = np.bincount(n_classes * part + predicted, minlength=n_classes**2)
            outcomes[name].append(
                ClassificationOutcome(
                    name,
                    dict(zip(scores.names, values.tolist(), strict=True)),
                    1.0,
                    list(losses),
                    500,
                    matrix.reshape(n_classes, n_classes),
                    {},
                    Predictions(tested, part, predicted),
                )
            )
    built_in = {name: name for name in decisions} | dict(built_in)
    return Comparison(
        outcomes,
        chosen={name: Strategy(name, built_in[name]) for name in decisions},
        classes=classes,
        counts=np.bincount(truth),
        minority=classes[-1],
        protocol=protocol(n_runs, len(rows[0]), **more),
        samples={},
        mistakes={},
    )


def regression_comparison_of(truth, predictions, *, relevance=None, **more):
    """Make a comparison of one run: strategy to its predictions; the first one is the baseline."""
    metrics = ["balanced_mean_absolute_error", "mean_absolute_error"]
    scores = ErrorScores(metrics, truth, relevance)
    outcomes = {}
    for name, predicted in predictions.items():
        values = scores(np.asarray(scores.parts(truth, predicted).sum(axis=1)).ravel())
        told = dict(zip(scores.names, values.tolist(), strict=True))
        rows = np.arange(len(truth))
        outcomes[name] = [RegressionOutcome(name, told, 1.0, [], 500, rows, truth, predicted)]
    return RegressionComparison(
        outcomes,
        chosen={name: Strategy(name, name) for name in predictions},
        y=truth,
        relevance=relevance,
        has_errors=True,
        protocol=protocol(1, len(truth), **more),
        samples={},
        mistakes={},
    )


def noisy(truth, error_rates, rng):
    """Return decisions for two classes, wrong with the probability that each class has."""
    wrong = rng.random(len(truth)) < np.asarray(error_rates)[truth]
    return np.where(wrong, 1 - truth, truth)
