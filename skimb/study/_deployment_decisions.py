"""The decisions of the strategies of a comparison at a deployment, as they are judged."""

from dataclasses import dataclass

import numpy as np

from skimb.study._cost_scores import COST, CostScores

__all__ = ["Decisions", "decisions_at"]


@dataclass(frozen=True)
class Decided:
    """The decisions of a strategy in one run, and what they cost.

    Parameters
    ----------
    rows, truth, predicted : ndarray of shape (n_test,), int
    scores : dict of str to float
    """

    rows: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    scores: dict


class Decisions:
    """The decisions of all strategies at a deployment, as they are judged.

    Parameters
    ----------
    comparison : Comparison
    deployment : Deployment
    """

    metrics = verdict_metrics = [COST]

    def __init__(self, comparison, deployment):
        self.chosen = comparison.chosen
        self.groups = comparison.groups
        self.protocol = comparison.protocol
        self.n_decisive_images = comparison.n_decisive_images
        self.strategies, self.baseline = comparison.strategies, comparison.baseline
        self.deployment = deployment
        self.outcomes = {
            name: [self._decided(one) for one in comparison.predictions(name)]
            for name in self.strategies
        }

    def _decided(self, predictions):
        decided = decisions_at(predictions, self.deployment)
        cost = self.deployment.cost(predictions.truth, decided)
        return Decided(predictions.rows, predictions.truth, decided, {COST: cost})

    def tested(self, outcome):
        """Return the indices, the classes and the decisions of the test samples of a run."""
        return outcome.rows, outcome.truth, outcome.predicted

    def values(self, name, metric):
        """Return the cost of a strategy in each run."""
        return np.array([outcome.scores[metric] for outcome in self.outcomes[name]])

    def scores_of_images(self, metrics):
        """Return the cost as a function of sums over test images."""
        return CostScores(self.deployment.prior, self.deployment.cost_matrix)

    def metric_range(self, metric):
        """Return the least and the largest possible cost."""
        prior, costs = self.deployment.prior, self.deployment.cost_matrix
        return 1000 * float(prior @ costs.min(axis=1)), 1000 * float(prior @ costs.max(axis=1))

    def is_error(self, metric):
        """Return True: the lower, the better."""
        return True


def decisions_at(predictions, deployment):
    """Return the decisions of a strategy at a deployment.

    Probabilities are moved from the class fractions for which they hold to those of the deployment,
    and cut by Bayes' rule. Where these fractions are not known, the decisions stay as they are.

    Parameters
    ----------
    predictions : Predictions
    deployment : Deployment

    Returns
    -------
    ndarray of shape (n_test,), int
    """
    if predictions.prior is None:
        return predictions.predicted
    return deployment.decide(predictions.movable_log_proba, predictions.prior)
