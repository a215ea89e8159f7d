"""The false alarms of each strategy at a recall that is guaranteed."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from skimb._frames import with_any_text
from skimb._groups import are_shared, one_of_each
from skimb._messages import shown
from skimb._warnings import warn
from skimb.model_selection import (
    lower_bound,
    recall_bound,
    recall_rank,
    recall_refusal,
    upper_bound,
)
from skimb.study._bootstrap import interval_and_p_value
from skimb.study._judging import adjusted_p_values, verdict_of

__all__ = ["RequiredRecall", "check_required", "required_recall"]

#: The confidence of the guarantee.
CONFIDENCE = 0.95

#: Resamples of the test samples, and those that are made at once.
N_RESAMPLES, AT_ONCE = 2000, 50


@dataclass(frozen=True, eq=False)
class RequiredRecall:
    """The false alarms of each strategy at a recall of the minority class that is guaranteed.

    For each strategy, the threshold is the score of one of the minority samples of the test set:
    the largest that guarantees the recall on new samples [1]_. The false alarms are counted on the
    other test samples, which had no part in it.

    Parameters
    ----------
    recall : float
        The recall that was asked for.
    n_samples : int
        The minority samples, or groups with some, that a threshold rests on.
    guaranteed : float
        The recall that is guaranteed with a confidence of 95 %: at least `recall`.
    is_exact : bool
        Whether the confidence is exact: on a test set. By cross-validation the scores come from
        several networks, and it is approximate.
    table : DataFrame
        A row for each strategy that has probabilities, the fewest alarms first: ``false_alarms``
        among 1000 images of the deployment at the threshold that was found, with the interval of
        Clopper and Pearson (``low``, ``high``); ``difference`` to the baseline, with
        ``difference_low``, ``difference_high``, ``p_value``, ``adjusted_p_value`` and ``verdict``
        (``"better"``, ``"worse"`` or ``"within noise"``) from resamples of the test samples, in
        which thresholds are found again; and ``threshold``, the probability of the
        minority class at the class fractions of the deployment from which on it is called.

    References
    ----------
    .. [1] S. S. Wilks, "Determination of sample sizes for setting tolerance limits", Annals of
       Mathematical Statistics 12 (1941), doi:10.1214/aoms/1177731788.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.study import compare
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> own = {"prior": DummyClassifier(), "coin": DummyClassifier(strategy="uniform")}
    >>> result = compare(X, y, strategies=own, cv=2, require={"recall": 0.9}, random_state=0)
    >>> found = result.deployment.required
    >>> found.n_samples, round(found.guaranteed, 3), found.is_exact
    (81, 0.907, False)
    """

    recall: float
    n_samples: int
    guaranteed: float
    is_exact: bool
    table: pd.DataFrame

    def to_dict(self) -> dict[str, Any]:
        """Return what holds for all strategies as plain objects, in the schema of the JSON file."""
        return {
            "recall": self.recall,
            "confidence_level": CONFIDENCE,
            "n_samples": self.n_samples,
            "guaranteed_recall": self.guaranteed,
            "is_exact": self.is_exact,
        }

    def entry(self, name: str) -> dict[str, Any]:
        """Return what the JSON file holds of a strategy, in the form of the other metrics.

        Parameters
        ----------
        name : str
            The strategy.

        Returns
        -------
        dict
        """
        row = {
            key: None if isinstance(value, float) and not np.isfinite(value) else value
            for key, value in self.table.loc[name].to_dict().items()
        }
        return {
            "mean": row["false_alarms"],
            "own_interval": [row["low"], row["high"]],
            "difference": row["difference"],
            "interval": [row["difference_low"], row["difference_high"]],
            "verdict": row["verdict"],
            "p_value": row["p_value"],
            "adjusted_p_value": row["adjusted_p_value"],
            "threshold": row["threshold"],
        }


def check_required(require, n_samples, label, *, kind="test samples"):
    """Check what is required, before any training.

    Parameters
    ----------
    require : dict
        ``{"recall": 0.95}``.
    n_samples : int
        The minority samples that a threshold can rest on.
    label : label
        The minority class.
    kind : str, default="test samples"
        The word for them.

    Returns
    -------
    float
        The recall.

    Raises
    ------
    ValueError
        If it is no recall between 0 and 1, or there are too few samples for it.

    Examples
    --------
    >>> from skimb.study._required_recall import check_required
    >>> check_required({"recall": 0.9}, 30, "crack")
    0.9
    """
    if not isinstance(require, Mapping) or set(require) != {"recall"}:
        raise ValueError(
            f"`require` must be a dict with a recall, such as {{'recall': 0.95}}. Got "
            f"{shown(require)}."
        )
    recall = require["recall"]
    if isinstance(recall, bool) or not isinstance(recall, Real) or not 0 < float(recall) < 1:
        raise ValueError(f"`require` must hold a recall between 0 and 1. Got {shown(recall)}.")
    recall = float(recall)
    if recall_rank(n_samples, recall, CONFIDENCE) < 1:
        raise ValueError(
            recall_refusal(n_samples, recall, CONFIDENCE, f"{kind} of class {shown(label)}")
        )
    return recall


def required_recall(comparison, deployment, require):
    """Find the false alarms of each strategy at a guaranteed recall.

    Parameters
    ----------
    comparison : Comparison
    deployment : Deployment
    require : dict
        ``{"recall": 0.95}``.

    Returns
    -------
    RequiredRecall or None
        None: no strategy has probabilities.

    Raises
    ------
    ValueError
        As `check_required`.
    """
    minority = comparison.minority_position
    names = [
        name
        for name in comparison.strategies
        if all(one.log_proba is not None for one in comparison.predictions(name))
    ]
    if not names:
        warn("No strategy has probabilities, so that no threshold can keep a recall.")
        return None
    parts = parts_of_runs([one.rows for one in comparison.predictions(comparison.baseline)])
    scored = [_scored(comparison, names, part, deployment, minority) for part in parts]
    n_own = min(int(one.is_own.sum()) for one in scored)
    kind = "groups of test samples" if scored[0].units is not None else "test samples"
    recall = check_required(require, n_own, comparison.minority, kind=kind)
    told, thresholds = np.zeros((2, len(names)))
    drawn = np.zeros((len(names), N_RESAMPLES))
    for one in scored:
        rank = recall_rank(int(one.is_own.sum()), recall, CONFIDENCE)
        alarms, threshold = one.at(rank)
        told += alarms / len(parts)
        thresholds += 1 / (1 + np.exp(-threshold)) / len(parts)
        # Parts that test the same samples get the same resamples: a network with another seed
        # brings no further test samples.
        rng = np.random.default_rng(comparison.protocol["seeds"][0])
        drawn += one.resampled(rank, rng) / len(parts)
    others = 1000 * (1 - deployment.prior[minority])
    n_others = min(one.n_others for one in scored)
    n_alarms = told / others * n_others
    limits = [others * bound(n_alarms, n_others, 0.975) for bound in (lower_bound, upper_bound)]
    base = names.index(comparison.baseline) if comparison.baseline in names else None
    table = _table(comparison, names, told, limits, drawn, base, n_own)
    is_moved = [
        all(one.prior is not None for one in comparison.predictions(name)) for name in names
    ]
    table["threshold"] = np.where(is_moved, thresholds, np.nan)
    rank = recall_rank(n_own, recall, CONFIDENCE)
    return RequiredRecall(
        recall,
        n_own,
        float(recall_bound(n_own, rank, CONFIDENCE)),
        all(len(part) == 1 for part in parts),
        table.sort_values("false_alarms", kind="stable"),
    )


def _scored(comparison, names, part, deployment, minority):
    """Return the scores of all strategies for the samples of a part, in the order of samples."""
    first = [comparison.predictions(names[0])[i] for i in part]
    rows, truth = (
        np.concatenate([getattr(one, key) for one in first]) for key in ("rows", "truth")
    )
    scores = np.stack(
        [
            np.concatenate(
                [scores_at(comparison.predictions(name)[i], deployment, minority) for i in part]
            )
            for name in names
        ]
    )
    order = np.argsort(rows, kind="stable")
    units = None if comparison.groups is None else np.asarray(comparison.groups)[rows[order]]
    units = units if are_shared(units) else None
    truth = truth[order]
    is_own = truth == minority
    if units is not None:
        # One sample of each group: several resemble each other.
        own = np.flatnonzero(is_own)
        rng = np.random.RandomState(comparison.protocol["seeds"][0])
        is_own = np.zeros(len(truth), dtype=bool)
        is_own[own[one_of_each(units[own], None, rng)]] = True
    return Alarms(scores[:, order], truth, is_own, minority, deployment.prior, units)


def parts_of_runs(rows):
    """Return the runs that together test each sample at most once, as lists of their numbers.

    Parameters
    ----------
    rows : list of ndarray of int
        The samples of each run.

    Returns
    -------
    list of list of int

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study._required_recall import parts_of_runs
    >>> parts_of_runs([np.array([0, 1]), np.array([2]), np.array([1, 2]), np.array([0])])
    [[0, 1], [2, 3]]
    """
    parts: list[list[int]] = []
    known = np.array([], dtype=int)
    for i, one in enumerate(rows):
        if not parts or np.isin(one, known).any():
            parts.append([])
            known = np.array([], dtype=int)
        parts[-1].append(i)
        known = np.concatenate([known, one])
    return parts


def scores_at(predictions, deployment, minority):
    """Return the log-odds of the minority class at a deployment, of shape (n_test,)."""
    log_proba = np.asarray(predictions.movable_log_proba, dtype=np.float64)
    if predictions.prior is not None:
        log_proba = log_proba + np.log(deployment.prior) - np.log(predictions.prior)
    others = np.delete(log_proba, minority, axis=1)
    return log_proba[:, minority] - np.logaddexp.reduce(others, axis=1)


class Alarms:
    """The scores of test samples, from which thresholds and false alarms are counted.

    Parameters
    ----------
    scores : ndarray of shape (n_strategies, n)
        Log-odds of the minority class.
    truth : ndarray of shape (n,), int
    is_own : ndarray of shape (n,), bool
        The samples of the minority class that thresholds rest on.
    minority : int
    prior : ndarray of shape (n_classes,)
        The class fractions of the deployment.
    units : ndarray of shape (n,), int, or None
        The group of each sample; None: each is its own.
    """

    def __init__(self, scores, truth, is_own, minority, prior, units):
        self.is_own = is_own
        self.own = scores[:, is_own]
        is_other = truth != minority
        self.others, truth = scores[:, is_other], truth[is_other]
        self.units = None if units is None else np.unique(units[is_other], return_inverse=True)[1]
        self.n_others = int(is_other.sum()) if self.units is None else int(self.units.max()) + 1
        labels = np.unique(truth)
        self.is_class = truth == labels[:, None]
        self.prior = prior[labels]

    def at(self, rank):
        """Return the false alarms of 1000 images and the thresholds, by strategy."""
        threshold = np.partition(self.own, rank - 1, axis=1)[:, rank - 1]
        is_alarm = self.others >= threshold[:, None]
        rates = (is_alarm @ self.is_class.T.astype(np.float64)) / self.is_class.sum(axis=1)
        return 1000 * rates @ self.prior, threshold

    def resampled(self, rank, rng):
        """Return false alarms of resamples of all samples, of shape (n_strategies, N_RESAMPLES)."""
        n_own = self.own.shape[1]
        n_units = self.n_others
        found = []
        for start in range(0, N_RESAMPLES, AT_ONCE):
            size = min(AT_ONCE, N_RESAMPLES - start)
            drawn = rng.integers(n_own, size=(size, n_own))
            threshold = np.partition(self.own[:, drawn], rank - 1, axis=2)[:, :, rank - 1]
            times = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=size)
            if self.units is not None:
                times = times[:, self.units]
            mass = times @ self.is_class.T
            weight = np.divide(self.prior, mass, out=np.zeros(mass.shape), where=mass > 0)
            of_sample = times * (weight @ self.is_class)
            found.append(
                np.stack(
                    [
                        (of_sample * (scores >= one[:, None])).sum(axis=1)
                        for scores, one in zip(self.others, threshold, strict=True)
                    ]
                )
            )
        return 1000 * np.concatenate(found, axis=1)


@with_any_text
def _table(comparison, names, told, limits, drawn, base, n_own):
    low, high = limits
    rows = []
    for i in range(len(names)):
        row = {"false_alarms": told[i], "low": low[i], "high": high[i]}
        bounds = (np.nan, np.nan, np.nan)
        difference = np.nan
        if base is not None:
            difference = told[i] - told[base]
            if i != base:
                bounds = interval_and_p_value(drawn[i] - drawn[base], n_own)
        row |= {"difference": difference, "difference_low": bounds[0]}
        rows.append(row | {"difference_high": bounds[1], "p_value": bounds[2]})
    table = pd.DataFrame(rows, index=pd.Index(names, name="strategy"))
    adjusted = adjusted_p_values(comparison, table["p_value"].to_dict())
    table["adjusted_p_value"] = [adjusted.get(name, np.nan) for name in names]
    table["verdict"] = [
        verdict_of(adjusted[name], table.loc[name, "difference"], is_error=True)
        if name in adjusted
        else None
        for name in names
    ]
    return table
