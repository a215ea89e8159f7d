"""DeploymentEvaluation: what the decisions of each strategy cost where it is used."""

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier

from skimb._frames import with_any_text
from skimb.study._cost_intervals import cost_intervals
from skimb.study._cost_scores import COST, FALSE_ALARMS
from skimb.study._cost_tables import cost_text
from skimb.study._deployment import Deployment, deployment_of, plain_fractions
from skimb.study._deployment_checks import check_names, check_tested
from skimb.study._deployment_decisions import Decisions, decisions_at
from skimb.study._judgement import Judgement
from skimb.study._judging import REFERENCES, judgements_of
from skimb.study._required_recall import RequiredRecall, required_recall
from skimb.study._result_file import judged_entry

__all__ = ["DeploymentEvaluation", "evaluate_deployment"]

#: By how much dearer, or cheaper, errors on the minority class are on the curve of cost ratios.
FACTORS = 2.0 ** np.linspace(-6, 6, 49)


@dataclass(frozen=True, eq=False)
class DeploymentEvaluation:
    """What the strategies of a comparison cost where they are used, as `Comparison.at` returns it.

    Nothing is trained: the probabilities of each strategy for the test samples are moved from the
    class fractions for which they hold to those of the deployment, and cut where the expected cost
    is least (Bayes' rule [1]_). A strategy whose probabilities hold for no fractions that are
    known, such as ``"threshold"``, decides as it does in the comparison.

    Parameters
    ----------
    comparison : Comparison
    deployment : Deployment
        The class fractions and the costs.
    asked : dict
        Which of ``deploy``, ``costs`` and ``require`` were given, as they were given.
    required : RequiredRecall or None
        The false alarms of each strategy at a recall that is guaranteed.

    References
    ----------
    .. [1] C. Elkan, "The foundations of cost-sensitive learning", IJCAI 2001.

    Examples
    --------
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.neural_network import CNNClassifier
    >>> from skimb.study import compare
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> result = compare(
    ...     X, y, strategies=["over"], estimator=CNNClassifier(max_epochs=2), cv=2, random_state=0
    ... )
    >>> use = result.at(deploy={1: 0.02}, costs={"miss": 10, "alarm": 1})
    >>> use.constant_costs.round().tolist()
    [200.0, 980.0]
    >>> use.table.index.tolist()
    ['none', 'over']
    """

    comparison: Any
    deployment: Deployment
    asked: dict[str, Any]
    required: RequiredRecall | None = None

    @cached_property
    def decisions(self) -> Decisions:
        """The decisions of each strategy in each run, as `Decisions`."""
        return Decisions(self.comparison, self.deployment)

    @property
    @with_any_text
    def prior(self) -> pd.Series:
        """The class fractions of the deployment, a Series by label."""
        return pd.Series(self.deployment.prior, index=self.comparison.classes.tolist())

    @property
    @with_any_text
    def cost_matrix(self) -> pd.DataFrame:
        """The costs, a DataFrame: true classes in rows, decisions in columns."""
        labels = self.comparison.classes.tolist()
        return pd.DataFrame(self.deployment.cost_matrix, index=labels, columns=labels)

    @property
    @with_any_text
    def constant_costs(self) -> pd.Series:
        """The cost of 1000 images where each is called the same class, a Series by that class."""
        return pd.Series(
            self.deployment.constant_costs(), index=self.comparison.classes.tolist(), dtype=float
        )

    @property
    def threshold(self) -> float | None:
        """From which probability on the minority class is decided for; None: no single one."""
        return self.deployment.threshold(self.comparison.minority_position)

    def is_moved(self, name: str) -> bool:
        """Tell whether the probabilities of a strategy are moved, or it decides as it is.

        Parameters
        ----------
        name : str
            The strategy.

        Returns
        -------
        bool
        """
        return all(one.prior is not None for one in self.comparison.predictions(name))

    def judgement(self, name: str) -> Judgement:
        """Return the cost of a strategy, its difference to the baseline, and how sure that is.

        Parameters
        ----------
        name : str
            The strategy.

        Returns
        -------
        Judgement
        """
        return self._judgements[name, COST]

    @cached_property
    def _judgements(self):
        return judgements_of(self.decisions)

    @cached_property
    @with_any_text
    def table(self) -> pd.DataFrame:
        """The cost of 1000 images of each strategy: a DataFrame with a row for each.

        ``cost`` and its 95 % interval, ``low`` and ``high``, which contains the choice of the test
        images alone; ``difference`` to the baseline, with ``difference_low``, ``difference_high``,
        ``adjusted_p_value`` and ``verdict`` as in `Judgement`; and ``cost_as_is``, of the decisions
        that the strategy makes in the comparison. ``missed`` and ``false_alarms`` count, among the
        1000 images, those of the minority class that are not found, and others that are called so.
        """
        intervals = cost_intervals(self.decisions)
        rows = []
        for name, (low, high) in zip(self.comparison.strategies, intervals.T, strict=True):
            judged = self.judgement(name)
            as_is = [
                self.deployment.cost(one.truth, one.predicted)
                for one in self.comparison.predictions(name)
            ]
            rows.append(
                {
                    "cost": judged.mean,
                    "low": low,
                    "high": high,
                    "difference": judged.difference,
                    "difference_low": judged.low,
                    "difference_high": judged.high,
                    "adjusted_p_value": judged.adjusted_p_value,
                    "verdict": judged.verdict,
                    "cost_as_is": float(np.mean(as_is)),
                    **self._errors(name),
                }
            )
        return pd.DataFrame(rows, index=pd.Index(self.comparison.strategies, name="strategy"))

    def _errors(self, name):
        """Return the errors about the minority class among 1000 images, as means over the runs."""
        prior, minority = self.deployment.prior, self.comparison.minority_position
        missed, alarms = [], []
        for one in self.decisions.outcomes[name]:
            is_called = one.predicted == minority
            rates = [is_called[one.truth == k].mean() for k in range(len(prior))]
            called = 1000 * prior * rates
            missed.append(1000 * prior[minority] - called[minority])
            alarms.append(called.sum() - called[minority])
        return {"missed": float(np.mean(missed)), "false_alarms": float(np.mean(alarms))}

    @property
    def has_costs(self) -> bool:
        """Whether costs were asked for: without them, a recall that must be kept is all."""
        return self.required is None or "costs" in self.asked

    @property
    def candidates(self) -> list[str]:
        """The strategies that may be chosen: all but the references and dummies."""
        chosen = self.comparison.chosen
        return [
            name
            for name in self.comparison.strategies
            if chosen[name].name not in REFERENCES
            and not isinstance(chosen[name].estimator, DummyClassifier)
        ]

    @property
    def metric(self) -> str:
        """The metric that decides: ``"false_alarms"`` where a recall is required, or ``"cost"``."""
        return COST if self.required is None else FALSE_ALARMS

    @property
    def best(self) -> str:
        """The strategy to take: the best of those shown to be better, or else of all."""
        if self.required is None:
            return self.cheapest
        return self._first(self.required.table["false_alarms"], self.required.table["verdict"])

    @property
    def cheapest(self) -> str:
        """The cheapest of the strategies that are shown to be cheaper, or else of all."""
        return self._first(self.table["cost"], self.table["verdict"])

    def _first(self, values, verdicts):
        known = [name for name in self.candidates if name in values.index]
        better = [name for name in known if verdicts[name] == "better"]
        # The first one of equals: the baseline, where it is among them.
        return min(better or known or values.index, key=lambda name: values[name])

    @cached_property
    def cost_ratios(self) -> pd.DataFrame:
        """What each strategy costs if errors on the minority class cost more, or less.

        A DataFrame: its index is the factor by which they cost more, its columns are strategies.
        """
        costs = {
            name: [
                np.mean(
                    [
                        dearer.cost(one.truth, decisions_at(one, dearer))
                        for one in self.comparison.predictions(name)
                    ]
                )
                for dearer in self._dearer
            ]
            for name in self.comparison.strategies
        }
        return pd.DataFrame(costs, index=pd.Index(FACTORS, name="factor"))

    @property
    def constant_cost_ratios(self) -> pd.Series:
        """What the cheapest of the constant decisions costs then: a Series by factor."""
        costs = [dearer.constant_costs().min() for dearer in self._dearer]
        return pd.Series(costs, index=pd.Index(FACTORS, name="factor"))

    @property
    def _dearer(self):
        return [
            self.deployment.with_dearer(self.comparison.minority_position, factor)
            for factor in FACTORS
        ]

    @property
    def stays_best(self) -> tuple[float, float] | None:
        """Between which factors of the costs of misses the best strategy stays the cheapest.

        Returns
        -------
        (float, float) or None
            None: it is not the cheapest of all at the costs that were given.
        """
        ratios = self.cost_ratios[[*self.candidates]].to_numpy()
        least = np.minimum(ratios.min(axis=1), self.constant_cost_ratios.to_numpy())
        # Equal costs, as of decisions that are equal, leave it among the cheapest.
        is_best = self.cost_ratios[self.cheapest].to_numpy() <= least + 1e-9 * np.abs(least)
        now = int(np.argmin(np.abs(np.log(FACTORS))))
        if not is_best[now]:
            return None
        low = high = now
        while low > 0 and is_best[low - 1]:
            low -= 1
        while high < len(FACTORS) - 1 and is_best[high + 1]:
            high += 1
        # The true end lies between the last factor that was tried and the next one.
        ends = (
            FACTORS[i] if j in (-1, len(FACTORS)) else np.sqrt(FACTORS[i] * FACTORS[j])
            for i, j in ((low, low - 1), (high, high + 1))
        )
        low, high = ends
        return float(low), float(high)

    def is_inner(self, factor: float) -> bool:
        """Tell whether a factor of `stays_best` is a true end, and not that of the curve.

        Parameters
        ----------
        factor : float

        Returns
        -------
        bool
        """
        return bool(FACTORS[0] < factor < FACTORS[-1])

    def confusion_matrix(self, name: str) -> NDArray[np.int_]:
        """Return the confusion matrix of the decisions of a strategy, summed over all runs.

        Parameters
        ----------
        name : str
            The strategy.

        Returns
        -------
        ndarray of shape (n_classes, n_classes)
            True classes in rows. Of the test samples as they are: their class fractions are not
            those of the deployment.
        """
        n_classes = len(self.deployment.prior)
        found = np.zeros((n_classes, n_classes), dtype=int)
        for one in self.decisions.outcomes[name]:
            np.add.at(found, (one.truth, one.predicted), 1)
        return found

    def entries(self, name: str) -> dict[str, Any]:
        """Return what the JSON file holds of a strategy.

        Parameters
        ----------
        name : str
            The strategy.

        Returns
        -------
        dict
            Its ``cost``, and its ``false_alarms`` where a recall is required.
        """
        row = self.table.loc[name]
        cost = judged_entry(self.judgement(name), self.decisions.values(name, COST))
        # An accuracy: it says nothing about costs.
        del cost["mcnemar_p_value"]
        found = {
            COST: cost
            | {
                "own_interval": [float(row["low"]), float(row["high"])],
                "as_is": row["cost_as_is"],
                "missed": row["missed"],
                "false_alarms": row["false_alarms"],
                "confusion_matrix": self.confusion_matrix(name).tolist(),
            }
        }
        if self.required is not None and name in self.required.table.index:
            found[FALSE_ALARMS] = self.required.entry(name)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python objects, in the schema of the JSON file.

        Returns
        -------
        dict
        """
        labels = self.comparison.classes.tolist()
        ratios, stays = self.cost_ratios, self.stays_best
        return {
            "prior": dict(zip(map(str, labels), self.deployment.prior.tolist(), strict=True)),
            "cost_matrix": self.deployment.cost_matrix.tolist(),
            "threshold": self.threshold,
            "constant_costs": dict(
                zip(map(str, labels), self.constant_costs.tolist(), strict=True)
            ),
            "metric": self.metric,
            "best": self.best,
            "candidates": self.candidates,
            "decides_as_it_is": [
                name for name in self.comparison.strategies if not self.is_moved(name)
            ],
            "stays_best": None if stays is None else list(stays),
            "cost_ratios": {
                "factor": ratios.index.tolist(),
                "constant": self.constant_cost_ratios.tolist(),
                "strategies": {name: ratios[name].tolist() for name in self.comparison.strategies},
            },
            "require": None if self.required is None else self.required.to_dict(),
        }

    def __str__(self) -> str:
        """Return the costs for a terminal."""
        return cost_text(self)


def evaluate_deployment(comparison, *, deploy=None, costs=None, require=None):
    """Evaluate a comparison where its strategies will be used.

    Parameters
    ----------
    comparison : Comparison
    deploy, costs, require
        As in `skimb.study.compare`.

    Returns
    -------
    DeploymentEvaluation

    Raises
    ------
    ValueError
        If they do not fit the classes, or the test samples are too few for them.
    """
    asked = {"deploy": plain_fractions(deploy), "costs": costs, "require": require}
    asked = {name: value for name, value in asked.items() if value is not None}
    if not asked:
        raise ValueError(
            "Nothing says where the strategies will be used. Give `deploy`, the class fractions "
            "there, `costs` or `require`."
        )
    check_names(comparison.metrics)
    truth = [one.truth for one in comparison.predictions(comparison.baseline)]
    deployment = deployment_of(comparison.classes, comparison.counts, deploy=deploy, costs=costs)
    check_tested(comparison.classes, truth)
    required = None
    if require is not None:
        required = required_recall(comparison, deployment, require)
    return DeploymentEvaluation(comparison, deployment, copy.deepcopy(asked), required)
