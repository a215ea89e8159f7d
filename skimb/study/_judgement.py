"""The judgement of a strategy by a metric: its difference to the baseline, and how sure it is."""

from dataclasses import dataclass

__all__ = ["Judgement"]


@dataclass(frozen=True)
class Judgement:
    """The score of a strategy, its difference to the baseline, and how sure that difference is.

    Parameters
    ----------
    mean, sd : float
        Of the scores over all runs; the sd of one run is NaN.
    difference : float
        The mean difference to the baseline, in the unit of the metric.
    low, high : float
        The 95 % interval of the difference; NaN: there is none.
    verdict : {"better", "worse", "within noise", "one run", "undefined"} or None
        None: it is the baseline itself.
    """

    mean: float
    sd: float
    difference: float
    low: float
    high: float
    verdict: str | None
