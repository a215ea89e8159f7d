"""How a model that is fitted decides: by costs at a deployment, or with a guaranteed recall."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skimb._command_line._deployment import deployment_options, given_options, refuse_deployment

__all__ = ["FittedDecisions", "decisions_of_fit", "rule_in_words"]

#: Parts of the images, of which one is held out for the threshold of a guarantee; and the folds
#: that its scores come from where one part holds too few.
N_PARTS, N_FOLDS = 3, 5

#: The confidence of a guarantee.
CONFIDENCE = 0.95


@dataclass
class FittedDecisions:
    """How a fitted model decides, other than for the most probable class.

    Parameters
    ----------
    deploy : dict
        Label to its fraction where the model will be used.
    cost_matrix : ndarray of shape (n_classes, n_classes)
    recall : float or None
        The recall of the minority class that must be kept. None: costs decide.
    minority : label
        The class whose recall it is.
    source : str
        What says so, for the terminal.
    is_of_file : bool
        Whether a comparison says so, and not an option.
    """

    deploy: dict
    cost_matrix: np.ndarray
    recall: Any
    minority: Any
    source: str
    is_of_file: bool

    def training_part(self, data, seed):
        """Return the images to train on, and those that are held out for a threshold.

        Parameters
        ----------
        data : Inputs
        seed : int

        Returns
        -------
        train, held_out : ndarray of int, or None
            Both None: all are trained on, as costs decide, or too few would be held out.

        Raises
        ------
        ValueError
            If there are too few images for the recall, even if all of them count.
        """
        if self.recall is None:
            return None, None
        from skimb._groups import checked_groups, held_out_folds
        from skimb.model_selection import recall_rank, recall_refusal

        groups = checked_groups(data.X, data.groups)
        train, held_out = held_out_folds(data.y, groups, seed, n_folds=N_PARTS)[0]

        def count(rows):
            own = rows[data.y[rows] == self.minority]
            return len(own if groups is None else np.unique(groups[own]))

        n_all = count(np.arange(len(data.y)))
        if recall_rank(n_all, self.recall, CONFIDENCE) < 1:
            kind = f"images of class {self.minority}"
            raise ValueError(recall_refusal(n_all, self.recall, CONFIDENCE, kind))
        if recall_rank(count(held_out), self.recall, CONFIDENCE) < 1:
            return None, None
        return train, held_out

    def with_folds(self, estimator, seed) -> Any:
        """Return an estimator, not fitted, whose threshold comes from cross-validation.

        Parameters
        ----------
        estimator : classifier
            Not fitted.
        seed : int

        Returns
        -------
        GuaranteedRecallClassifier
        """
        from skimb.model_selection import GuaranteedRecallClassifier

        return GuaranteedRecallClassifier(
            self._moved(estimator),
            label=self.minority,
            recall=self.recall,
            confidence_level=CONFIDENCE,
            cv=N_FOLDS,
            random_state=seed,
        )

    def wrapped(self, fitted, X, y, groups=None) -> Any:
        """Return a fitted classifier that decides in this way.

        Parameters
        ----------
        fitted : classifier
        X, y, groups : array-like
            The images that it was trained on, or for a recall those that were held out.

        Returns
        -------
        classifier
            The same one, where its probabilities hold for no class fractions that are known.
        """
        from sklearn.frozen import FrozenEstimator

        from skimb.model_selection import GuaranteedRecallClassifier, MinimumCostClassifier

        frozen = FrozenEstimator(fitted)
        if self.recall is not None:
            if len(self.deploy) > 2 and self.can_move(fitted, y):
                frozen = FrozenEstimator(self._moved(frozen).fit(X, y))
            made = GuaranteedRecallClassifier(
                frozen,
                label=self.minority,
                recall=self.recall,
                confidence_level=CONFIDENCE,
                random_state=0,
            )
            return made.fit(X, y, groups=groups)
        if not self.can_move(fitted, y):
            return fitted
        made = MinimumCostClassifier(frozen, cost_matrix=self.cost_matrix, target_prior=self.deploy)
        return made.fit(X, y)

    def _moved(self, estimator) -> Any:
        """Return a classifier whose probabilities are those at the deployment.

        With two classes the order of images is the same there, and so is the threshold's effect.
        """
        from skimb.model_selection import PriorCorrectedClassifier

        if len(self.deploy) == 2:
            return estimator
        return PriorCorrectedClassifier(estimator, target_prior=self.deploy, calibration=None)

    @staticmethod
    def can_move(fitted, y):
        """Tell whether the class fractions are known for which probabilities hold.

        Parameters
        ----------
        fitted : classifier
        y : ndarray of shape (n,)
            The labels that it was trained on.

        Returns
        -------
        bool
        """
        from skimb.model_selection import at_train_prior, prior_of_probabilities

        positions = np.searchsorted(fitted.classes_, y)
        return prior_of_probabilities(at_train_prior(fitted), positions).can_move

    def words(self, fitted):
        """Say in lines how a fitted model decides.

        Parameters
        ----------
        fitted : classifier
            What `wrapped` returned.

        Returns
        -------
        list of str
        """
        from skimb.model_selection import GuaranteedRecallClassifier, MinimumCostClassifier

        if isinstance(fitted, GuaranteedRecallClassifier):
            low, high = fitted.false_alarm_interval_
            return [
                f"decisions: {fitted.label_} from a probability of {fitted.threshold_:.3g} on "
                f"({self.source}), which finds at least {100 * fitted.guaranteed_recall_:.4g} % of "
                "it with a confidence of 95 %",
                f"false alarms: {100 * fitted.false_alarm_rate_:.3g} % of the other images, with a "
                f"95 % interval from {100 * low:.3g} % to {100 * high:.3g} %",
                f"the threshold rests on {fitted.n_calibration_} images or groups of "
                f"{fitted.label_}, "
                + (
                    "which were held out, as a third of all images were"
                    if fitted.is_exact_
                    else f"by networks of {N_FOLDS} folds, so that the confidence is approximate"
                ),
            ]
        if isinstance(fitted, MinimumCostClassifier):
            rule = "the class of the least expected cost"
            named = ", ".join(f"{100 * part:.3g} % {label}" for label, part in self.deploy.items())
            return [f"decisions: {rule}, where there are {named} ({self.source})"]
        return [
            "decisions: its own, as its probabilities hold for no class fractions that are known, "
            "so that they cannot be moved to those of the deployment"
        ]

    def to_dict(self):
        """Return the facts to store with a model, as plain values."""
        return {
            "prior": {str(label): value for label, value in self.deploy.items()},
            "cost_matrix": self.cost_matrix.tolist(),
            "recall": self.recall,
        }


def rule_in_words(fitted, decisions):
    """Say in one phrase how a fitted classifier decides, for its file.

    Parameters
    ----------
    fitted : classifier
    decisions : FittedDecisions or None
        None: as its strategy decides.

    Returns
    -------
    str
    """
    from skimb.model_selection import TunedOffsetsClassifierCV

    if decisions is not None:
        return decisions.words(fitted)[0].removeprefix("decisions: ")
    if isinstance(fitted, TunedOffsetsClassifierCV):
        return "by offsets of the log-probabilities, which were tuned on the training images"
    return "the most probable class"


def decisions_of_fit(arguments, comparison, data, strategy):
    """Return how a model that is fitted will decide.

    Parameters
    ----------
    arguments : Namespace
    comparison : ComparisonFile or None
    data : Inputs
    strategy : str
        The built-in strategy.

    Returns
    -------
    FittedDecisions or None
        None: for the most probable class, or as its strategy decides.

    Raises
    ------
    ValueError
        If the options do not fit the data, or the strategy.
    """
    if data.is_regression:
        refuse_deployment(arguments)
        return None
    given = given_options(arguments)
    if strategy == "threshold" and given and arguments.require is None:
        raise ValueError(
            f"{given[0]} moves the probabilities of a strategy to where the model will be used, "
            "but threshold decides by offsets, and its probabilities hold for no class fractions "
            "that are known. Give --strategy none, which trains the same network."
        )
    from skimb.class_weight import minority_class
    from skimb.study import deployment_of

    classes, counts = np.unique(data.y, return_counts=True)
    of_file, path = None, ""
    if comparison is not None:
        of_file, path = comparison.deployment(), str(comparison.path)
    if not given and of_file is None:
        return None
    use: dict[str, Any] = {"deploy": None, "costs": None, "recall": None}
    if of_file is not None:
        known = {str(label): label for label in classes.tolist()}
        use["deploy"] = {known[label]: part for label, part in of_file["deploy"].items()}
        use["costs"] = {
            known[label]: {known[other]: cost for other, cost in row.items()}
            for label, row in of_file["costs"].items()
        }
        use["recall"] = of_file["recall"]
    options = deployment_options(arguments, classes.tolist())
    if "costs" in options:
        # Costs decide then, and no recall that a file asks for.
        use["recall"] = None
    if "require" in options:
        use["recall"] = options.pop("require")["recall"]
    use |= options
    made = deployment_of(classes, counts, deploy=use["deploy"], costs=use["costs"])
    sources = [*given, *([] if of_file is None else [path])]
    deploy = dict(zip(classes.tolist(), made.prior.tolist(), strict=True))
    return FittedDecisions(
        deploy,
        made.cost_matrix,
        use["recall"],
        np.asarray(minority_class(data.y)).tolist(),
        " and ".join(sources),
        not given,
    )
