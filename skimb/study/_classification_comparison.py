"""Comparison: the result of compare() for labels."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skimb._frames import with_any_text
from skimb.study._calibration import CALIBRATION_MEASURES, EVENTS, calibration_of, reliability_of
from skimb.study._calibration_text import calibration_text
from skimb.study._classification_report import classification_report
from skimb.study._comparison import BaseComparison
from skimb.study._cost_scores import COST, FALSE_ALARMS
from skimb.study._count_scores import OF_ALL_CLASSES, OF_ONE_CLASS, LabelScores
from skimb.study._deployment_evaluation import DeploymentEvaluation, evaluate_deployment
from skimb.study._listed_mistakes import listed_mistakes
from skimb.study._predictions import Predictions, decision_facts

__all__ = ["Comparison"]


class Comparison(BaseComparison):
    """The result of `compare`, for labels.

    Parameters
    ----------
    outcomes : dict of str to list of ClassificationOutcome
        Strategy to its result in each run; the baseline first.
    chosen : dict of str to Strategy
        The strategies by name.
    classes : ndarray of shape (n_classes,)
        Labels.
    counts : ndarray of shape (n_classes,)
        Samples of each class.
    minority : label
        The minority class.
    protocol : dict
        Folds, repeats, training and versions.
    samples : dict
        Label to a few images, uint8.
    mistakes : dict of str to Gallery
        Strategy to the most confident mistakes of each true class, over all runs.
    groups : ndarray of int, default=None
        The group of each sample in X or in the fixed test set. None: none are known.

    Attributes
    ----------
    protocol : dict
        Folds, repeats, samples, gradient steps, and warnings that were raised.
    search : Search or None
        The search that chose the strategies, as `skimb.study.find_strategy` sets it.
    more_images : MoreImages or None
        A learning curve of one class that belongs to the comparison, as `skimb.study.more_images`
        returns it: whoever has one sets it, and texts, files and reports then show it.
    deployment : DeploymentEvaluation or None
        What decisions cost where the strategies will be used, as `at` returns it: whoever knows
        that sets it, and texts, files and reports then begin with it.
    near_copies : NearCopies or None
        Test images that are copies of training images, as `skimb.study.near_copies_worth` returns
        them: whoever has them sets them.
    """

    _verdict_metrics = ("f1_minority", "balanced_accuracy")
    _other_metrics = ("precision_minority", "recall_minority")

    def __init__(
        self,
        outcomes,
        *,
        chosen,
        classes,
        counts,
        minority,
        protocol,
        samples,
        mistakes,
        groups=None,
    ):
        self.outcomes = outcomes
        self.groups = groups
        self.chosen = chosen
        self.samples = samples
        self.mistakes = mistakes
        self.classes = classes
        self.counts = counts
        self.protocol = protocol
        self.minority = minority
        self.more_images = self.search = self.near_copies = self.deployment = None

    def against(self, name: str) -> Self:
        """Return the same comparison with another strategy as its baseline.

        Parameters
        ----------
        name : str
            The strategy.

        Returns
        -------
        Comparison

        Raises
        ------
        ValueError
            If there is no such strategy.
        """
        other = super().against(name)
        if self.deployment is not None:
            other.deployment = other.at(**self.deployment.asked)
        return other

    def at(
        self, *, deploy: Any = None, costs: Any = None, require: Any = None
    ) -> DeploymentEvaluation:
        """Evaluate the strategies where they will be used; nothing is trained.

        Parameters
        ----------
        deploy, costs, require : dict, default=None
            As in `compare`; at least one of them.

        Returns
        -------
        DeploymentEvaluation
            With the cost of 1000 images of each strategy.

        Raises
        ------
        ValueError
            If they do not fit the classes, or there are too few test samples for them.
        """
        return evaluate_deployment(self, deploy=deploy, costs=costs, require=require)

    def confusion_matrix(self, name: str) -> NDArray[Any]:
        """Return the confusion matrix of a strategy, summed over all runs.

        Parameters
        ----------
        name : str
            The strategy.

        Returns
        -------
        ndarray of shape (n_classes, n_classes)
            True classes in rows.
        """
        return np.sum([outcome.confusion_matrix for outcome in self.outcomes[name]], axis=0)

    def predictions(self, name: str) -> list[Predictions]:
        """Return the predictions of a strategy for the test samples of each run.

        Parameters
        ----------
        name : str
            The strategy.

        Returns
        -------
        list of Predictions
        """
        return [outcome.predictions for outcome in self.outcomes[name]]

    def tested(self, outcome: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return the indices, the classes and the decisions of the test samples of a run.

        Parameters
        ----------
        outcome : ClassificationOutcome

        Returns
        -------
        rows, truth, predicted : ndarray of shape (n_test,)
        """
        predictions = outcome.predictions
        return predictions.rows, predictions.truth, predictions.predicted

    def scores_of_images(self, metrics: Sequence[str]) -> LabelScores:
        """Return those metrics that need labels alone, as a function of sums over test images.

        Parameters
        ----------
        metrics : list of str

        Returns
        -------
        LabelScores
        """
        return LabelScores(metrics, self.classes, self.minority)

    def metric_range(self, metric: str) -> tuple[float, float] | None:
        """Return the least and the largest possible value of a metric; None: not known.

        Parameters
        ----------
        metric : str

        Returns
        -------
        (float, float) or None
        """
        if metric == "mcc":
            return -1.0, 1.0
        kind = metric.removesuffix("_minority").split("[")[0]
        return (0.0, 1.0) if kind in (*OF_ALL_CLASSES, *OF_ONE_CLASS, "average_precision") else None

    @property
    def minority_position(self) -> int:
        """The position of the minority class in `classes`."""
        return self.classes.tolist().index(self.minority)

    @property
    def n_decisive_images(self) -> int:
        """How many test images of the minority class there are."""
        place = self.minority_position
        found = [self.tested(outcome)[:2] for outcome in self.outcomes[self.baseline]]
        return len(np.unique(np.concatenate([rows[truth == place] for rows, truth in found])))

    @property
    @with_any_text
    def calibration(self) -> pd.DataFrame:
        """The errors of the probabilities of every strategy, as means over its runs.

        A DataFrame with one row for each strategy, and the columns ``brier``, ``log_loss`` and
        ``expected_calibration_error``: the lower, the better, and NaN without probabilities. The
        probabilities are taken as they are, so that those for another class prior than that of the
        test samples, as of ``prior_shift``, have larger errors.
        """
        errors = [calibration_of(self.predictions(name)) for name in self.strategies]
        return pd.DataFrame(errors, index=self.strategies, columns=list(CALIBRATION_MEASURES))

    def reliability(self, name: str, event: str = "minority") -> pd.DataFrame:
        """Return how often a strategy's probabilities come true: its reliability curve.

        Parameters
        ----------
        name : str
            The strategy.
        event : {"minority", "predicted"}, default="minority"
            Whose probability it is: that of the minority class, or of the class that was decided
            for.

        Returns
        -------
        DataFrame
            One row for each bin of probabilities, with the columns ``probability`` (its mean),
            ``fraction`` (how often it came true), ``low`` and ``high`` (the 95 % interval of this
            fraction, for independent images) and ``n_images``. Without rows, where the strategy
            tells no probabilities.

        Raises
        ------
        ValueError
            If there is no such strategy, or no such event.

        Examples
        --------
        >>> from sklearn.dummy import DummyClassifier
        >>> from skimb.datasets import load_imbalanced_digits
        >>> from skimb.study import compare
        >>> X, y = load_imbalanced_digits(return_X_y=True)
        >>> own = {"prior": DummyClassifier(), "coin": DummyClassifier(strategy="uniform")}
        >>> result = compare(X, y, strategies=own, X_test=1 + X, y_test=y, random_state=0)
        >>> result.reliability("coin")[["probability", "fraction", "n_images"]].round(2)
           probability  fraction  n_images
        0          0.5      0.05      1704
        """
        if name not in self.outcomes:
            raise ValueError(f"`name` must be one of {self.strategies}. Got {name!r}.")
        if event not in EVENTS:
            raise ValueError(f"`event` must be 'minority' or 'predicted'. Got {event!r}.")
        predictions = self.predictions(name)
        if any(one.log_proba is None for one in predictions):
            return pd.DataFrame(columns=["probability", "fraction", "low", "high", "n_images"])
        place = self.minority_position if event == "minority" else None
        return reliability_of(predictions, place)

    def _details(self, name):
        curves = {event: self.reliability(name, event).to_dict("records") for event in EVENTS}
        errors = calibration_of(self.predictions(name))
        found = {} if self.deployment is None else self.deployment.entries(name)
        return found | {
            **decision_facts(self.predictions(name)),
            "confusion_matrix": self.confusion_matrix(name).tolist(),
            **{key: value if np.isfinite(value) else None for key, value in errors.items()},
            "reliability": curves if any(curves.values()) else None,
            "mistakes": listed_mistakes(
                self.outcomes[name], self.classes.tolist(), self.files, self.test_rows
            ),
        }

    def _target(self):
        found = {"minority": self.minority, "classes": self.classes.tolist()}
        if self.deployment is not None:
            found["deployment"] = self.deployment.to_dict()
            # Metrics of which the lower value is the better one.
            found["errors"] = [COST, FALSE_ALARMS]
        if self.more_images is not None:
            found["more_images"] = self.more_images.to_dict()
        if self.search is not None:
            found["search"] = self.search.to_dict()
        if self.near_copies is not None:
            found["near_copies"] = self.near_copies.to_dict()
        return found

    def __str__(self) -> str:
        """Return the costs, the tables, the search, and whether more images would help, as text."""
        own = super().__str__()
        first = [] if self.deployment is None else [self.deployment]
        further = (calibration_text(self), self.search, self.near_copies, self.more_images)
        parts = [*first, own, *(each for each in further if each is not None)]
        return "\n\n".join(map(str, parts))

    def _report(self):
        return classification_report(self)
