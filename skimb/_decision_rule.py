"""How a wrapper of a classifier turns class probabilities into decisions, as plain numbers.

A wrapper tunes the decisions of a fitted classifier: by offsets, another class prior, a threshold
or costs. If it has a method ``decision_rule()`` that returns a `DecisionRule`, and holds the fitted
classifier as ``estimator_``, it can be exported with the network that it wraps.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

__all__ = ["SAME", "TINY", "DecisionRule"]

#: The least score of a positive class that reaches its threshold.
TINY = float(np.finfo(np.float64).tiny)
#: Expected costs that differ by less than this fraction are equal.
SAME = 1e-12


@dataclass(frozen=True, eq=False)
class DecisionRule:
    r"""What a wrapper does with the log-probabilities of the classifier that it wraps.

    The temperature and the offsets come first: :math:`\log p'_k = \log p_k / T + o_k`, up to a
    constant per sample, with small probabilities raised to a least one where it is given. Then the
    class is chosen: by the costs where they are given, otherwise by the threshold where it is
    given, otherwise the most probable class.

    Parameters
    ----------
    log_offsets : array-like of shape (n_classes,), default=None
        Numbers that are added to the log-probabilities, in the order of ``classes_``. Another class
        prior is an offset of ``log(new / old)``.
    changes_probabilities : bool, default=True
        Whether ``predict_proba`` of the wrapper contains the temperature and the offsets. Otherwise
        only its decisions do.
    threshold : float, default=None
        The positive class is chosen where its score is at least this number. Otherwise the most
        probable of the other classes is chosen.
    positive : int, default=1
        The position of the positive class in ``classes_``.
    score : {"probability", "log_odds"}, default="probability"
        The score that is compared with the threshold: the probability of the positive class, or
        :math:`\log(p / (1 - p))`.
    cost_matrix : array-like of shape (n_classes, n_classes), default=None
        The cost of each decision (column) for each true class (row). The class of the least
        expected cost is chosen, and of classes with equal ones the first.
    temperature : float, default=1.0
        The positive number by which the log-probabilities are divided, before the offsets are
        added.
    least_log_probability : float, default=None
        Smaller log-probabilities are raised to this number before they are divided. It says how
        small a probability of zero is, as trees and neighbours give it. None: they stay as they
        are.

    Raises
    ------
    ValueError
        If numbers are not finite, shapes do not fit, or a threshold and costs are given together.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.model_selection import DecisionRule
    >>> log_proba = np.log([[0.7, 0.3], [0.9, 0.1]])
    >>> DecisionRule(threshold=0.25).decide(log_proba)
    array([1, 0])
    >>> shifted = DecisionRule(log_offsets=[0.0, np.log(9)])
    >>> np.exp(shifted.log_probabilities(log_proba)).round(3)
    array([[0.206, 0.794],
           [0.5  , 0.5  ]])
    """

    log_offsets: Any = None
    changes_probabilities: bool = True
    threshold: float | None = None
    positive: int = 1
    score: Literal["probability", "log_odds"] = "probability"
    cost_matrix: Any = None
    temperature: float = 1.0
    least_log_probability: float | None = None

    def __post_init__(self):
        if not (np.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(f"`temperature` must be a positive number. Got {self.temperature!r}.")
        least = self.least_log_probability
        if least is not None and not (np.isfinite(least) and least <= 0):
            raise ValueError(
                "`least_log_probability` must be a finite number of at most 0, or None. "
                f"Got {least!r}."
            )
        for name, ndim in (("log_offsets", 1), ("cost_matrix", 2)):
            value = getattr(self, name)
            if value is None:
                continue
            numbers = np.array(value, dtype=np.float64)
            if numbers.ndim != ndim or len(set(numbers.shape)) != 1:
                wanted = "(n_classes,)" if ndim == 1 else "(n_classes, n_classes)"
                raise ValueError(f"`{name}` must have shape {wanted}. Got {numbers.shape}.")
            if not np.isfinite(numbers).all():
                raise ValueError(f"`{name}` must hold finite numbers. Got {numbers.tolist()}.")
            numbers.setflags(write=False)
            object.__setattr__(self, name, numbers)
        if self.threshold is not None and np.isnan(self.threshold):
            raise ValueError("`threshold` must be a number. Got nan.")
        if self.threshold is not None and self.cost_matrix is not None:
            raise ValueError(
                "`threshold` and `cost_matrix` are two ways to choose the class. Give one of them."
            )
        if self.score not in ("probability", "log_odds"):
            raise ValueError(f"`score` must be 'probability' or 'log_odds'. Got {self.score!r}.")

    @property
    def shifts(self) -> bool:
        """Whether there is a temperature, an offset or a least log-probability."""
        return (
            self.log_offsets is not None
            or self.temperature != 1
            or self.least_log_probability is not None
        )

    @property
    def relative_costs(self) -> NDArray[np.float64]:
        """The costs of each true class, counted from its cheapest decision."""
        # Sums of numbers that are not negative are exact up to a fraction, whatever large cost
        # stands for a forbidden decision.
        return self.cost_matrix - self.cost_matrix.min(axis=1, keepdims=True)

    def check(self, n_classes: int) -> None:
        """Refuse a rule for another number of classes.

        Parameters
        ----------
        n_classes : int
            The number of classes of the wrapped classifier.

        Raises
        ------
        ValueError
            If a shape, or the position of the positive class, does not fit.
        """
        for name in ("log_offsets", "cost_matrix"):
            value = getattr(self, name)
            if value is not None and len(value) != n_classes:
                raise ValueError(
                    f"`{name}` is for {len(value)} classes, but the classifier has {n_classes}."
                )
        if self.threshold is not None and not 0 <= self.positive < n_classes:
            raise ValueError(
                f"`positive` must be the position of one of {n_classes} classes, from 0 to "
                f"{n_classes - 1}. Got {self.positive}."
            )

    def log_probabilities(self, log_proba: NDArray[Any]) -> NDArray[Any]:
        """Return the log-probabilities of the wrapper.

        Parameters
        ----------
        log_proba : ndarray of shape (n, n_classes)
            Those of the wrapped classifier.

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        return self._shifted(log_proba) if self.changes_probabilities else log_proba

    def scores(self, log_proba: NDArray[Any]) -> NDArray[Any]:
        """Return one number per class, of which the largest is that of the class to choose.

        With costs, it is minus the expected cost, where the costs of each true class count from its
        cheapest decision. Decisions whose expected costs are equal up to rounding have the same
        number.

        Parameters
        ----------
        log_proba : ndarray of shape (n, n_classes)
            Those of the wrapped classifier.

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        shifted = self._shifted(log_proba)
        if self.cost_matrix is not None:
            expected = np.exp(shifted) @ self.relative_costs
            least = expected.min(axis=1, keepdims=True)
            return -np.where(expected - least <= least * SAME, least, expected)
        if self.threshold is None:
            return shifted
        own = shifted[:, self.positive]
        others = np.delete(shifted, self.positive, axis=1)
        value = np.exp(own)
        if self.score == "log_odds":
            value = own - np.logaddexp.reduce(others, axis=1)
        # The largest of the others is zero, so the positive class needs a score above zero, also
        # where it only just reaches the threshold.
        made = shifted - others.max(axis=1, keepdims=True)
        gap = value - self.threshold
        made[:, self.positive] = np.where(gap >= 0, np.maximum(gap, TINY), gap)
        return made

    def decide(self, log_proba: NDArray[Any]) -> NDArray[np.intp]:
        """Return the position of the class that the wrapper chooses.

        Parameters
        ----------
        log_proba : ndarray of shape (n, n_classes)
            Those of the wrapped classifier.

        Returns
        -------
        ndarray of int of shape (n,)
        """
        return self.scores(log_proba).argmax(axis=1)

    def _shifted(self, log_proba):
        if not self.shifts:
            return log_proba
        offsets = 0.0 if self.log_offsets is None else self.log_offsets
        if self.least_log_probability is not None:
            log_proba = np.maximum(log_proba, self.least_log_probability)
        # A division by one would change nothing but the speed.
        scaled = log_proba if self.temperature == 1 else log_proba / self.temperature
        return log_softmax(scaled + offsets, axis=1)
