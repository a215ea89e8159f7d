"""What compare() knows of labels: folds, scores, outcomes."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import check_scoring, confusion_matrix
from sklearn.model_selection import StratifiedKFold

from skimb.class_weight import minority_class
from skimb.inspection import confident_mistakes, predictions_with_confidence
from skimb.metrics import imbalance_scoring
from skimb.model_selection._offsets import MEASURES, held_out_folds, reads_labels
from skimb.neural_network import CNNClassifier
from skimb.study._comparison import Comparison
from skimb.study._pictures import MOST_MISTAKES_SHOWN, pooled_mistakes, samples
from skimb.study._splits import grouped_folds, groups_by_class
from skimb.study._strategies import (
    CONSTANT,
    NEEDED_ROWS,
    STRATEGIES,
    Remembering,
    fit_strategies,
    group_strategies,
    strategy_estimator,
)

__all__ = ["ClassificationTask"]


#: Classes beyond which numbers that are rare look like a quantity.
MOST_CLASSES = 20


@dataclass
class Outcome:
    """What one strategy reached in one run.

    Parameters
    ----------
    strategy : str
    scores : dict of str to float
    seconds : float
    train_loss : list of float
    confusion_matrix : ndarray of shape (n_classes, n_classes)
    mistakes : dict
        True label to a list of its most confident mistakes, each ``(confidence, row, predicted)``;
        rows are those of X or of the fixed test set.
    """

    strategy: str
    scores: dict
    seconds: float
    train_loss: list
    confusion_matrix: np.ndarray
    mistakes: dict


class ClassificationTask:
    """Remedies for rare classes.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels.
    """

    estimator_class = CNNClassifier
    #: What a plain estimator has: the strategies set it.
    plain = {"loss": "cross_entropy"} | dict.fromkeys(
        ("class_weight", "batch_sampling", "sampler", "target_prior")
    )
    strategies = STRATEGIES

    def __init__(self, y):
        self.y = y
        self.classes, self.counts = np.unique(y, return_counts=True)
        self.minority = minority_class(y)
        self.measure = self.measure_name = None

    def why_impossible(self, name):
        """Return why a strategy cannot run on this target, or None."""
        return None

    def default_scoring(self):
        """Return the scorers that matter."""
        return imbalance_scoring(self.y)

    def choose_measure(self, scoring):
        """Choose what decisions are tuned for: the first of the scores that labels tell.

        Of more than two classes, macro F1 stands for that of one, where it is scored.
        """
        several = len(self.classes) > 2
        main = next((name for name in scoring if reads_labels(scoring[name], self.y)), None)
        if main is None:
            self.measure_name = self.measure = "f1_macro" if several else "f1_minority"
            return
        if main == "f1_minority" and several and "f1_macro" in scoring:
            main = "f1_macro"
        own = imbalance_scoring(self.y).get(main)
        rarest, other = np.sort(self.counts)[:2]
        # By name it is quicker; but which class is the minority, a fold might see otherwise.
        is_known = main in MEASURES and (main != "f1_minority" or rarest < 0.9 * other)
        self.measure_name = main
        self.measure = main if is_known and str(scoring[main]) == str(own) else scoring[main]

    def splits(self, n_folds, seed, tied=None):
        """Return folds of all rows, which keep together what is tied, and hold every class each.

        Raises
        ------
        ValueError
            If a class has fewer rows than there are folds, or groups cannot be shared out so.
        """
        if self.counts.min() < n_folds:
            label = self.classes.tolist()[self.counts.argmin()]
            mend = f"Give more rows{_fewer_folds(self.counts.min())}."
            if len(self.classes) > MOST_CLASSES and isinstance(label, int | float):
                mend = (
                    f"With {len(self.classes)} different numbers y looks like a quantity: then "
                    "give estimator=CNNRegressor(), or --task regression on the command line."
                )
            raise ValueError(
                f"Class {label!r} has {self.counts.min()} rows, fewer than "
                f"the {n_folds} folds. {mend}"
            )
        if tied is None:
            folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
            return list(folds.split(np.empty(len(self.y)), self.y))
        n_groups = groups_by_class(self.y, tied, self.classes)
        if n_groups.min() < n_folds:
            raise ValueError(
                f"Class {self.classes.tolist()[n_groups.argmin()]!r} is in {n_groups.min()} groups "
                f"(or kinds of equal images) only, fewer than the {n_folds} folds. Give more"
                f"{_fewer_folds(n_groups.min())}."
            )
        splits = grouped_folds(self.y, tied, n_folds, seed)
        if splits is None:
            raise ValueError(
                f"The groups cannot be shared out to {n_folds} folds that hold rows of every class "
                f"each. Give more groups{_fewer_folds(n_folds - 1)}."
            )
        return splits

    def check_rows(self, names, y, y_test, runs, tied=None):
        """Refuse, before any training, splits on which a strategy would fail."""
        unseen = sorted(set(np.unique(y_test).tolist()) - set(self.classes.tolist()))
        if unseen:
            raise ValueError(f"`y_test` holds labels that y does not: {unseen}.")
        if self.minority not in y_test:
            raise ValueError(
                f"`y_test` holds no row of the minority, {self.minority!r}: nothing could be said "
                "of it."
            )
        for run in runs:
            counts = (y[run.train] == self.classes[:, None]).sum(axis=1)
            label, smallest = self.classes.tolist()[counts.argmin()], counts.min()
            for name in names:
                needed = NEEDED_ROWS.get(name, 1)
                if smallest < needed:
                    raise ValueError(
                        f"Strategy {name!r} needs {needed} training rows of every class, but a "
                        f"training part holds class {label!r} only {smallest} times. Give more "
                        "rows, fewer folds, or leave the strategy out."
                    )
            if tied is not None and "threshold" in names:
                # It must find groups to hold out.
                seed = np.random.RandomState(run.seed).randint(np.iinfo(np.int32).max)
                held_out_folds(y[run.train], tied[run.train], seed)

    def few_samples(self, y):
        """Return a few rows that a network can be fitted on."""
        return np.unique(y, return_index=True)[1]

    def group(self, names):
        """Group strategies so that each group needs one network."""
        return group_strategies(names)

    def fit(self, names, estimator, X, y, tied=None, *, seed, steps=None):
        """Fit the strategies of one group, and yield each when it is ready."""
        return fit_strategies(
            names, estimator, X, y, tied, seed=seed, scoring=self.measure, steps=steps
        )

    def made(self, name, estimator):
        """Return the estimator that a strategy is, not fitted."""
        return strategy_estimator(name, estimator, scoring=self._named_measure())

    def _named_measure(self):
        """Return the measure that is tuned for, or None where it is the one by default."""
        by_default = "f1_macro" if len(self.classes) > 2 else "f1_minority"
        return None if self.measure == by_default else self.measure

    def outcome(self, name, fitted, X, y, *, rows, scoring, seconds):
        """Score a fitted strategy on a test part, whose rows are these."""
        remembering = Remembering(fitted)
        scores = check_scoring(remembering, scoring=scoring)(remembering, X, y)
        predicted, confidence = predictions_with_confidence(remembering, X)
        mistakes = {
            label: [(float(confidence[i]), int(rows[i]), predicted[i]) for i in wrong]
            for label, wrong in confident_mistakes(
                y, predicted, confidence, n_images=MOST_MISTAKES_SHOWN
            ).items()
        }
        if name == CONSTANT:
            # It is equally sure of all, so there is no most confident mistake.
            mistakes = {}
        return Outcome(
            name,
            {metric: float(value) for metric, value in scores.items()},
            seconds,
            [epoch["train_loss"] for epoch in getattr(fitted, "history_", [])],
            confusion_matrix(y, predicted, labels=self.classes),
            mistakes,
        )

    def describe(self):
        """Return what the protocol says of the target."""
        return {
            "tuned_for": self.measure_name,
            "class_counts": {
                str(c): int(n) for c, n in zip(self.classes, self.counts, strict=True)
            },
        }

    def comparison(self, outcomes, data, X_test, *, protocol, **shape):
        """Return the result."""
        X, y = data
        rarest_first = self.classes[np.argsort(self.counts, kind="stable")].tolist()
        return Comparison(
            outcomes,
            classes=self.classes,
            counts=self.counts,
            minority=self.minority,
            protocol=protocol,
            samples=samples(X, y, rarest_first, **shape),
            mistakes={
                name: pooled_mistakes(X_test, found, rarest_first, **shape)
                for name, found in outcomes.items()
            },
        )


def _fewer_folds(n_possible):
    """Return the number of folds that would do, as words."""
    return f", or cv={n_possible}" if n_possible > 1 else ""
