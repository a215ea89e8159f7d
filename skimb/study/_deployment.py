"""What decisions cost where a classifier is used: its class fractions, and the cost of an error."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skimb._cost_matrix import read_cost_matrix
from skimb._decision_rule import DecisionRule
from skimb._messages import shown
from skimb.study._cost_scores import CostScores

__all__ = ["Deployment", "deployment_of", "plain_fractions"]


@dataclass(frozen=True, eq=False)
class Deployment:
    """The class fractions where a classifier is used, and the cost of each decision there.

    Parameters
    ----------
    prior : ndarray of shape (n_classes,)
        Positive fractions that sum to 1.
    cost_matrix : ndarray of shape (n_classes, n_classes)
        The cost of each decision (column) for each true class (row).

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study._deployment import Deployment
    >>> rare = Deployment(np.array([0.9, 0.1]), np.array([[0.0, 1.0], [10.0, 0.0]]))
    >>> round(rare.cost([0, 0, 1, 1], [0, 1, 1, 1]))
    450
    >>> rare.decide(np.log([[0.8, 0.2]]), prior=[0.5, 0.5])
    array([0])
    """

    prior: np.ndarray
    cost_matrix: np.ndarray

    def decide(self, log_proba: ArrayLike, prior: ArrayLike) -> NDArray[np.intp]:
        """Move probabilities to the class fractions of the deployment, and cut by Bayes' rule.

        Parameters
        ----------
        log_proba : ndarray of shape (n, n_classes)
        prior : array-like of shape (n_classes,)
            The positive fractions for which they hold.

        Returns
        -------
        ndarray of shape (n,), int
            The position of the class of the least expected cost.
        """
        rule = DecisionRule(
            log_offsets=np.log(self.prior) - np.log(prior), cost_matrix=self.cost_matrix
        )
        return rule.decide(np.asarray(log_proba, dtype=np.float64))

    def cost(self, truth: ArrayLike, predicted: ArrayLike) -> float:
        """Return the cost of 1000 images of the deployment.

        The mean cost of the samples of each class is weighted by the fraction of that class.

        Parameters
        ----------
        truth, predicted : array-like of shape (n,), int
            Positions of classes; every class must be among the true ones.

        Returns
        -------
        float
        """
        scores = CostScores(self.prior, self.cost_matrix)
        return float(scores(scores.parts(np.asarray(truth), np.asarray(predicted)).sum(axis=1))[0])

    def threshold(self, minority: int) -> float | None:
        """Return the probability of one of two classes from which on it is decided for.

        Parameters
        ----------
        minority : int
            The position of the class.

        Returns
        -------
        float or None
            None: there are more classes than two, or one decision is always the cheaper one.
        """
        if len(self.prior) != 2:
            return None
        other = 1 - minority
        miss = self.cost_matrix[minority, other] - self.cost_matrix[minority, minority]
        alarm = self.cost_matrix[other, minority] - self.cost_matrix[other, other]
        return float(alarm / (alarm + miss)) if alarm > 0 and miss > 0 else None

    def with_dearer(self, label: int, factor: float) -> "Deployment":
        """Return the deployment in which errors on a class cost more.

        Parameters
        ----------
        label : int
            The position of the class.
        factor : float
            How many times as much, compared with the right decision.

        Returns
        -------
        Deployment
        """
        costs = self.cost_matrix.copy()
        right = costs[label, label]
        costs[label] = right + factor * (costs[label] - right)
        return replace(self, cost_matrix=costs)

    def constant_costs(self) -> NDArray[np.float64]:
        """Return the cost of 1000 images where every image is called the same class.

        Returns
        -------
        ndarray of shape (n_classes,)
        """
        return 1000 * self.prior @ self.cost_matrix


def deployment_of(
    classes: ArrayLike, counts: ArrayLike, *, deploy: Any = None, costs: Any = None
) -> Deployment:
    """Check a deployment, before any training.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Labels, sorted.
    counts : ndarray of shape (n_classes,)
        Training samples of each class.
    deploy : dict or Series, default=None
        Label to its fraction where the classifier is used. Classes that are not named share the
        remainder in proportion to their training samples. None: the fractions of training.
    costs : dict, array-like or DataFrame, default=None
        ``{"miss": 10, "alarm": 1}`` for two classes, where a miss is a sample of the minority class
        that is not found; or a cost matrix as in `MinimumCostClassifier`. None: an error costs 1.

    Returns
    -------
    Deployment

    Raises
    ------
    ValueError
        If labels are unknown, fractions do not fit together, or costs do not fit the classes.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study._deployment import deployment_of
    >>> made = deployment_of(np.array(["cat", "dog"]), np.array([10, 90]), deploy={"cat": 0.08},
    ...                      costs={"miss": 10, "alarm": 1})
    >>> made.prior, made.constant_costs()
    (array([0.08, 0.92]), array([920., 800.]))
    """
    classes, counts = np.asarray(classes), np.asarray(counts, dtype=np.float64)
    return Deployment(_prior(deploy, classes, counts), _cost_matrix(costs, classes, counts))


def plain_fractions(deploy):
    """Return class fractions as a dict, where they are a Series.

    Parameters
    ----------
    deploy : dict, Series or None

    Returns
    -------
    dict or None
        Anything else is left as it is.
    """
    return deploy.to_dict() if isinstance(deploy, pd.Series) else deploy


def _prior(deploy, classes, counts):
    if deploy is None:
        return counts / counts.sum()
    deploy = plain_fractions(deploy)
    labels = classes.tolist()
    if not isinstance(deploy, Mapping) or not deploy:
        raise ValueError(
            f"`deploy` must be a dict, or a Series, of labels to fractions, such as "
            f"{{{labels[0]!r}: 0.08}}. Got {shown(deploy)}."
        )
    unknown = [label for label in deploy if label not in labels]
    if unknown:
        raise ValueError(
            f"`deploy` names labels that y does not hold: {shown(unknown)}. The labels are "
            f"{shown(labels)}."
        )
    for label, value in deploy.items():
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < 1:
            raise ValueError(
                f"`deploy` must hold fractions between 0 and 1. Got {shown(value)} for "
                f"{shown(label)}."
            )
    named = np.array([label in deploy for label in labels])
    prior = np.array([float(deploy.get(label, 0)) for label in labels])
    rest = 1 - prior.sum()
    if named.all():
        if abs(rest) > 1e-6:
            raise ValueError(
                f"`deploy` names all classes, so its fractions must sum to 1. Got "
                f"{prior.sum():.6g}. Leave one class out, and it gets the remainder."
            )
        return prior / prior.sum()
    if rest <= 1e-12:
        raise ValueError(
            f"The fractions of `deploy` sum to {prior.sum():.6g}, which leaves nothing for "
            f"{shown(classes[~named])}. Give smaller fractions."
        )
    prior[~named] = rest * counts[~named] / counts[~named].sum()
    return prior


def _cost_matrix(costs, classes, counts):
    is_short = (
        isinstance(costs, Mapping)
        and bool({"miss", "alarm"} & set(costs))
        and not any(isinstance(value, Mapping) for value in costs.values())
    )
    if not is_short:
        return read_cost_matrix(costs, classes)
    if len(classes) != 2:
        raise ValueError(
            f"`costs` with 'miss' and 'alarm' are for two classes. Got {len(classes)}: give a cost "
            "matrix."
        )
    if set(costs) != {"miss", "alarm"}:
        raise ValueError(f"`costs` must have 'miss' and 'alarm', and no more. Got {shown(costs)}.")
    for name, value in costs.items():
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < np.inf:
            raise ValueError(f"`costs` must be positive numbers. Got {shown(value)} for {name!r}.")
    made = np.zeros((2, 2))
    minority = int(counts.argmin())
    made[minority, 1 - minority], made[1 - minority, minority] = costs["miss"], costs["alarm"]
    return made
