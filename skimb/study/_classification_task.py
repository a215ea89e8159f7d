"""The task of classification in a comparison: folds, checks, scores and outcomes."""

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics import check_scoring, confusion_matrix
from sklearn.model_selection import StratifiedKFold
from sklearn.utils.validation import column_or_1d

from skimb._groups import are_shared, grouped_folds, groups_by_class, held_out_folds
from skimb._known_predictions import RememberingClassifier
from skimb._label_measures import MEASURES, reads_labels
from skimb._messages import counted, shown
from skimb._quantities import MOST_LABELS
from skimb._warnings import warn
from skimb.class_weight import minority_class
from skimb.inspection import confident_mistakes, predictions_with_confidence
from skimb.metrics import imbalance_scoring
from skimb.model_selection import check_divisible
from skimb.neural_network import CNNClassifier, training_length
from skimb.neural_network.joint_training import predicting_once
from skimb.study._classification_comparison import Comparison
from skimb.study._classification_strategies import (
    ALL_STRATEGIES,
    BUILT_ON_BASELINE,
    FROM_PIXELS,
    NEEDED_SAMPLES,
    NEW_LAYER,
    OWN_STEPS,
    STRATEGIES,
    unfitted_classifier,
)
from skimb.study._outcomes import ClassificationOutcome
from skimb.study._predictions import predictions_of
from skimb.study._sample_images import MOST_MISTAKES_SHOWN, pooled_mistakes, samples
from skimb.study._shared_features import ON_HEADS, head_classifier, shared_heads
from skimb.study._splits import dividing_for
from skimb.study._strategies import BASELINE, CONSTANT
from skimb.study._strategy_fits import training_losses
from skimb.study._training_steps import (
    FOLDS_OF_AUTOBALANCE,
    FOLDS_OF_HEADS,
    FOLDS_OF_THRESHOLD,
    gradient_steps,
    search_steps,
)

__all__ = ["ClassificationTask"]


class ClassificationTask:
    """The comparison of strategies for imbalanced classes.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels.
    has_array : bool, default=True
        Whether X is an array of images, not of files or a source that is read on demand.
    """

    estimator_class = CNNClassifier
    #: Parameters that the strategies set, with the values that a baseline has for them.
    baseline_params = {"loss": "cross_entropy"} | dict.fromkeys(
        ("class_weight", "batch_sampling", "sampler", "target_prior")
    )
    strategies = ALL_STRATEGIES
    #: Those that run where none are named.
    by_default = STRATEGIES
    built_on_baseline = BUILT_ON_BASELINE
    #: Further strategies that are no network with other parameters.
    without_settings = ("autobalance", *OWN_STEPS)
    kind = "classifier"
    why_this_kind = "y is taken for labels."
    other_kind = "estimator=CNNRegressor() takes it for a quantity"

    def __init__(self, y, *, has_array=True):
        self.y = y
        self.has_array = has_array
        # It refuses labels that cannot be sorted.
        self.minority = minority_class(y)
        self.classes, self.counts = np.unique(y, return_counts=True)
        self.measure = self.measure_name = self.asked_measure = None
        #: The length of the training of last layers, where strategies share features.
        self.head_length: Any = None

    def share_features(self, n_samples, *, batch_size="auto", max_epochs="auto"):
        """Let strategies act on the last layer of one network, where they can.

        The baseline is then this network, its last layer trained again without a remedy.

        Parameters
        ----------
        n_samples : int
            Samples of a training part: they fix the steps of each last layer.
        batch_size, max_epochs : int or "auto"
            Of each last layer; by the usual rule where they are ``"auto"``.
        """
        self.head_length = training_length(n_samples, batch_size=batch_size, max_epochs=max_epochs)

    @property
    def on_heads(self):
        """The built-in strategies that are last layers of one network."""
        return () if self.head_length is None else ON_HEADS

    @property
    def from_baseline(self):
        """The built-in strategies that start from the baseline's network."""
        return (*self.built_on_baseline, *self.on_heads)

    def why_impossible(self, name):
        """Return why a built-in strategy cannot run on these samples, or None."""
        if name in FROM_PIXELS and not self.has_array:
            return (
                "It makes images from pixels, and X is no array. Read them first: "
                "skimb.datasets.read_images(paths)."
            )
        return None

    def default_scoring(self):
        """Return the scorers that are used where none are given."""
        return imbalance_scoring(self.y)

    def choose_measure(self, scoring, asked=None):
        """Choose the measure that decisions are tuned for: the first that needs labels alone.

        With more than two classes, macro F1 replaces the F1 of one class, where it is scored and
        nobody has asked for the other.
        """
        self.asked_measure = asked
        several = len(self.classes) > 2
        main = next((name for name in scoring if reads_labels(scoring[name], self.y)), None)
        if main is None:
            self.measure_name = self.measure = "f1_macro" if several else "f1_minority"
            return
        if main == "f1_minority" and asked is None and several and "f1_macro" in scoring:
            main = "f1_macro"
        own = imbalance_scoring(self.y).get(main)
        rarest, other = np.sort(self.counts)[:2]
        # By name it is quicker; but which class is the minority, a fold might see otherwise.
        is_known = main in MEASURES and (main != "f1_minority" or rarest < 0.9 * other)
        self.measure_name = main
        self.measure = main if is_known and str(scoring[main]) == str(own) else scoring[main]

    def splits(self, n_folds, seed, groups=None):
        """Return folds of all samples that keep groups together and hold every class each.

        Raises
        ------
        ValueError
            If a class has fewer samples than there are folds, or groups cannot be divided so.
        """
        if self.counts.min() < n_folds:
            label = self.classes.tolist()[self.counts.argmin()]
            fix = f"Give more samples{_fewer_folds(self.counts.min())}."
            if len(self.classes) > MOST_LABELS and isinstance(label, int | float):
                fix = (
                    f"With {len(self.classes)} different numbers y looks like a quantity: then "
                    "give estimator=CNNRegressor(), or --task regression on the command line."
                )
            raise ValueError(
                f"Class {shown(label)} has {counted(self.counts.min(), 'sample')}, fewer than "
                f"the {n_folds} folds. {fix}"
            )
        if not are_shared(groups):
            folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
            return list(folds.split(np.empty(len(self.y)), self.y))
        n_groups = groups_by_class(self.y, groups, self.classes)
        if n_groups.min() < n_folds:
            raise ValueError(
                f"Class {shown(self.classes[n_groups.argmin()])} is in "
                f"{counted(n_groups.min(), 'group')} (or sets of equal images) only, fewer than "
                f"the {n_folds} folds. Give more{_fewer_folds(n_groups.min())}."
            )
        splits = grouped_folds(self.y, groups, n_folds, seed)
        if splits is None:
            raise ValueError(
                f"The groups cannot be divided into {n_folds} folds that hold samples of every "
                f"class each. Give more groups{_fewer_folds(n_folds - 1)}."
            )
        return splits

    def check_samples(self, strategies, y, y_test, runs, groups=None):
        """Refuse, before any training, splits on which a strategy would fail."""
        unseen = sorted(set(np.unique(y_test).tolist()) - set(self.classes.tolist()))
        if unseen:
            raise ValueError(f"`y_test` holds labels that y does not: {shown(unseen)}.")
        if self.minority not in y_test:
            raise ValueError(
                f"`y_test` holds no sample of the minority class, {shown(self.minority)}: its "
                "scores would not be defined. Give a test set that has some."
            )
        names = [strategy.name for strategy in strategies]
        labels = {strategy.name: strategy.label for strategy in strategies}
        for run in runs:
            counts = (y[run.train] == self.classes[:, None]).sum(axis=1)
            label, smallest = self.classes.tolist()[counts.argmin()], counts.min()
            for name in names:
                needed = NEEDED_SAMPLES.get(name, 1)
                if smallest < needed:
                    # The more folds, the larger the training parts are.
                    more_folds = ", more folds" if self.counts[counts.argmin()] > needed else ""
                    raise ValueError(
                        f"Strategy {labels[name]!r} needs {needed} training samples of every "
                        f"class, but a training part holds {counted(smallest, 'sample')} of class "
                        f"{shown(label)}. Give more samples{more_folds}, or leave the strategy out."
                    )
            # Those that hold samples out must find groups to hold out.
            if groups is not None and are_shared(groups):
                part = y[run.train], groups[run.train]
                for name in names:
                    with dividing_for(labels[name]):
                        _check_groups(name, *part, run.seed, shares=name in self.on_heads)

    def check_training(self, name, groups=None):
        """Refuse, before any training, samples on which a built-in strategy would fail."""
        smallest, needed = self.counts.min(), NEEDED_SAMPLES.get(name, 1)
        if smallest < needed:
            label = self.classes.tolist()[self.counts.argmin()]
            raise ValueError(
                f"Strategy {name!r} needs {needed} training samples of every class, but there is "
                f"{counted(smallest, 'sample')} of class {shown(label)}. Give more, or take "
                "another strategy."
            )
        if are_shared(groups):
            with dividing_for(name):
                _check_groups(name, self.y, groups, 0, shares=name in self.on_heads)

    def few_samples(self, y):
        """Return the indices of a few samples that a network can be fitted on."""
        return np.unique(y, return_index=True)[1]

    def unfitted(self, name, estimator, settings=None):
        """Return the estimator that a built-in strategy is with some settings, not fitted."""
        scoring = self._named_measure()
        if name == "tuned_baseline":
            # A search of scikit-learn does not know the names of skimb.
            scoring = self.measure
            if isinstance(scoring, str):
                scoring = imbalance_scoring(self.y)[scoring]
        made = unfitted_classifier(name, estimator, scoring=scoring)
        if settings:
            # A clone: setting loss__gamma must not change the loss of other estimators.
            made = clone(made).set_params(**clone(settings, safe=False))
        if name in self.on_heads:
            return head_classifier(estimator, made, self.head_length)
        return made

    def head_training(self, name, y):
        """Return how the last layer is trained that a strategy trains after its network.

        Parameters
        ----------
        name : str
            A built-in strategy.
        y : ndarray of shape (n,)
            The labels of the largest training part.

        Returns
        -------
        dict or None
            With ``batch_size`` and ``max_epochs``; None: it trains none.
        """
        if name in self.on_heads:
            length = self.head_length
        elif name in NEW_LAYER:
            n_samples = len(y)
            if name == "smote_embedding":
                # SMOTE makes every class as large as the largest.
                counts = np.unique(y, return_counts=True)[1]
                n_samples = len(counts) * int(counts.max())
            length = training_length(n_samples)
        else:
            return None
        return {"batch_size": length.batch_size, "max_epochs": length.max_epochs}

    def built_on(self, name, network, X, y, groups=None, *, seed):
        """Fit a strategy that starts from the baseline's network."""
        return BUILT_ON_BASELINE[name](network, X, y, groups, seed=seed, scoring=self.measure)

    def heads(self, strategies, network, X, y, groups=None, *, seed):
        """Fit strategies as last layers of a fitted network."""
        return shared_heads(self, strategies, network, X, y, groups, seed=seed)

    def _named_measure(self):
        """Return the measure that is tuned for, or None where it is the one by default."""
        by_default = "f1_macro" if len(self.classes) > 2 else "f1_minority"
        return None if self.measure == by_default else self.measure

    def outcome(self, strategy, fitted, X, y, *, rows, scoring, seconds, y_train):
        """Score a fitted strategy on a test part; ``rows`` are the indices of its samples."""
        remembering = RememberingClassifier(*predicting_once([fitted]))
        scores = _scores(remembering, X, y, scoring, strategy)
        if hasattr(fitted, "predict_proba"):
            predicted, confidence = predictions_with_confidence(remembering, X)
        else:
            predicted, confidence = column_or_1d(remembering.predict(X)), None
        mistakes = {
            label: [
                (None if confidence is None else float(confidence[i]), int(rows[i]), predicted[i])
                for i in wrong
            ]
            for label, wrong in confident_mistakes(
                y,
                predicted,
                np.zeros(len(y)) if confidence is None else confidence,
                n_images=MOST_MISTAKES_SHOWN,
            ).items()
        }
        if strategy.name == CONSTANT:
            # It is equally sure of every image, so there is no most confident mistake.
            mistakes = {}
        # The other strategies train no network, or start from the baseline's.
        is_trained = strategy.is_own or strategy.name not in self.from_baseline
        trained = fitted
        if strategy.name == BASELINE and BASELINE in self.on_heads:
            is_trained, trained = True, fitted.estimator_
        return ClassificationOutcome(
            strategy.label,
            {metric: float(value) for metric, value in scores.items()},
            seconds,
            training_losses(trained) if is_trained else [],
            gradient_steps(fitted),
            confusion_matrix(y, predicted, labels=self.classes),
            mistakes,
            predictions_of(
                remembering, X, y, self.classes, rows=rows, fitted=fitted, y_train=y_train
            ),
            search_steps=None if strategy.is_own else search_steps(fitted),
        )

    def describe(self):
        """Return the target as the protocol describes it."""
        return {
            "tuned_for": self.measure_name,
            "measure": self.asked_measure,
            "class_counts": {
                str(c): int(n) for c, n in zip(self.classes, self.counts, strict=True)
            },
        }

    def first_metric(self, metrics):
        """Return the metric that the verdict names first."""
        return Comparison._verdict_metrics_of(metrics, self.asked_measure)[0]

    def comparison(self, outcomes, data, X_test, *, chosen, protocol, groups=None, **shape):
        """Return the result."""
        X, y = data
        rarest_first = self.classes[np.argsort(self.counts, kind="stable")].tolist()
        return Comparison(
            outcomes,
            chosen=chosen,
            classes=self.classes,
            counts=self.counts,
            minority=self.minority,
            protocol=protocol,
            groups=groups,
            samples=samples(X, y, rarest_first, **shape),
            mistakes={
                name: pooled_mistakes(X_test, found, rarest_first, **shape)
                for name, found in outcomes.items()
            },
        )


def _check_groups(name, y, groups, seed, *, shares):
    """Refuse groups of a training part that a strategy cannot divide."""
    if name == "threshold":
        check_divisible(y, groups, FOLDS_OF_HEADS if shares else FOLDS_OF_THRESHOLD)
    elif name == "autobalance" and groups_by_class(y, groups, np.unique(y)).max() > 1:
        check_divisible(y, groups, FOLDS_OF_AUTOBALANCE, n_classes=1)
    elif name == "tuned_baseline":
        held_out_folds(y, groups, seed)


def _scores(classifier, X, y, scoring, strategy):
    """Return the scores; NaN, with a warning, for those that the classifier gives no values for."""
    if any(hasattr(classifier, method) for method in ("predict_proba", "decision_function")):
        return check_scoring(classifier, scoring=scoring)(classifier, X, y)
    scores, undefined = {}, []
    for metric, scorer in scoring.items():
        try:
            scores[metric] = check_scoring(classifier, scoring=scorer)(classifier, X, y)
        except AttributeError:
            scores[metric] = np.nan
            undefined.append(metric)
    if undefined:
        warn(
            f"Strategy {strategy.label!r} has neither predict_proba nor decision_function, so that "
            f"{', '.join(undefined)} is not defined for it."
        )
    return scores


def _fewer_folds(n_possible):
    """Return the number of folds that would do, as words."""
    return f", or cv={n_possible} (--folds {n_possible})" if n_possible > 1 else ""
