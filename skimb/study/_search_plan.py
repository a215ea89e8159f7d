"""SearchPlan and Search: how much a search of strategies does, and what it found."""

from dataclasses import asdict, dataclass
from numbers import Integral
from typing import Any

import numpy as np

from skimb._messages import counted

__all__ = ["MOST_FOLDS", "PLANS", "Search", "SearchPlan"]

#: Folds of the search part, of which a search takes as many as it has time for.
MOST_FOLDS = 5

#: Trainings end to end that the verdict takes in addition to those of the finalists: the baseline,
#: and the two halves that its threshold is tuned on.
FURTHER_TRAININGS = 2


@dataclass(frozen=True)
class SearchPlan:
    """How much a search does.

    Parameters
    ----------
    n_folds : int
        Folds of the search part, each with a network of its own, whose last layer is trained for
        the candidates; from 1 to 5.
    n_finalists : int, default=2
        Candidates that are trained end to end; from 1 to 4.

    Examples
    --------
    >>> from skimb.study import SearchPlan
    >>> SearchPlan(2).seconds(of_fold=10, of_verdict=20)
    90
    """

    n_folds: int
    n_finalists: int = 2

    def __post_init__(self):
        for name, most in (("n_folds", MOST_FOLDS), ("n_finalists", 4)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or not 1 <= int(value) <= most:
                raise ValueError(f"`{name}` must be from 1 to {most}. Got {value!r}.")

    def seconds(self, of_fold: float, of_verdict: float) -> float:
        """Return the time that is left to do after the first fold, roughly.

        Parameters
        ----------
        of_fold : float
            Seconds of a fold of the search.
        of_verdict : float
            Seconds of a training end to end.
        """
        trainings = self.n_finalists + FURTHER_TRAININGS
        return (self.n_folds - 1) * of_fold + trainings * of_verdict


#: Plans from the most thorough to the least.
PLANS = (*(SearchPlan(n) for n in range(MOST_FOLDS, 0, -1)), SearchPlan(1, 1))


@dataclass(frozen=True, eq=False)
class Search:
    """The search that chose the finalists of a comparison.

    Parameters
    ----------
    plan : SearchPlan
    measure : str
        The measure that candidates were ranked by.
    candidates : list of Candidate
    scores : ndarray of shape (n_folds, n_candidates)
        NaN where a candidate was not scored any more.
    baseline : ndarray of shape (n_folds,)
        The score of the baseline in each fold: the last layer is trained again for as many steps
        as that of a candidate, without a remedy.
    finalists : list of str
        Labels, the best of the search first.
    winner : str or None
        The strategy that is better than the baseline, and than calling every image the minority
        class, on images that the search never saw; None: there is none.
    seconds : float

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study import Candidate, Search, SearchPlan
    >>> over = [Candidate("over")]
    >>> scores = np.array([[0.9]])
    >>> search = Search(
    ...     SearchPlan(1, 1), "f1_minority", over, scores, np.array([0.8]), ["over"], "over", 60.0
    ... )
    >>> str(search).endswith("There, over is better than the baseline by more than noise.")
    True
    """

    plan: SearchPlan
    measure: str
    candidates: list[Any]
    scores: np.ndarray
    baseline: np.ndarray
    finalists: list[str]
    winner: Any
    seconds: float

    def __str__(self) -> str:
        """Say in words what was searched, and what came out."""
        text = (
            f"Search: {len(self.candidates)} strategies with their strengths on shared features of "
            f"{counted(len(self.scores), 'fold')}, ranked by "
            f"{self.measure}; the best, {' and '.join(self.finalists)}, trained end to end and "
            f"tested on images that the search never saw."
        )
        if self.winner is None:
            return (
                f"{text} Neither they nor a moved threshold are better than the baseline by more "
                "than noise: keep the baseline, and move its threshold by the costs of errors."
            )
        return f"{text} There, {self.winner} is better than the baseline by more than noise."

    def to_dict(self) -> dict[str, Any]:
        """Return the search as plain Python objects.

        Returns
        -------
        dict
        """
        return {
            "plan": asdict(self.plan),
            "measure": self.measure,
            "baseline": [None if np.isnan(score) else float(score) for score in self.baseline],
            "candidates": [
                {
                    "label": candidate.label,
                    "strategy": candidate.strategy,
                    "settings": candidate.settings,
                    "scores": [None if np.isnan(score) else float(score) for score in scores],
                }
                for candidate, scores in zip(self.candidates, self.scores.T, strict=True)
            ],
            "finalists": self.finalists,
            "winner": self.winner,
            "seconds": self.seconds,
        }
