"""The search for the slope and the centre by which predictions are spread, on held-out samples."""

from dataclasses import replace

import numpy as np

__all__ = ["absolute_error", "best_slope", "find_spread"]

#: Centres that are tried first: evenly over the range of the target, and as many quantiles of it;
#: slopes that are tried first, where each calls a scorer.
N_CENTRES, N_SLOPES = 17, 11
#: How often a finer grid follows between the neighbours of the best value, and its size.
N_ROUNDS, N_FINER = 2, 9
#: Errors that differ by less, relative to the error itself, count as equal.
SAME = 1e-9


def find_spread(correction, predicted, y, slope_range, error, *, weight=None):
    """Find the slope and the centre of the least error.

    Centres are tried on a grid, which becomes finer around the best one. For a weighted absolute
    error the slope of each is exact: the error is piecewise linear in the slope, and has its least
    value at a slope that brings one prediction to its value or to a bound. For other errors slopes
    are tried on grids, too.

    Parameters
    ----------
    correction : SpreadCorrection
        Its bounds are used.
    predicted, y : ndarray of shape (n,), float64
        Predictions of samples for which the regressor was not trained, and their values.
    slope_range : (float, float)
        The least and the largest slope.
    error : callable
        ``error(predicted)`` returns the error of corrected predictions.
    weight : ndarray of shape (n,), default=None
        The weights of the absolute errors that `error` adds up; None: it is another one.

    Returns
    -------
    SpreadCorrection
        Of slopes of equal errors that which is nearest to 1.
    """
    first, last = map(float, slope_range)

    def error_at(slope, centre):
        found = error(replace(correction, slope=slope, centre=centre)(predicted))
        return np.inf if np.isnan(found) else found

    def slope_at(centre):
        if weight is not None:
            spread = replace(correction, centre=centre)
            return best_slope(spread, predicted, y, slope_range, weight)
        slopes = np.append(np.linspace(first, last, N_SLOPES), _nearest_to_one(slope_range))
        return _least(lambda slope: error_at(slope, centre), slopes, near=1.0)

    def error_of(centre):
        return error_at(slope_at(centre), centre)

    middle = float(np.median(y))
    evenly = np.linspace(y.min(), y.max(), N_CENTRES)
    ranks = np.quantile(y, np.linspace(0, 1, N_CENTRES))
    centre = _least(error_of, np.concatenate([evenly, ranks]), near=middle)
    slope = slope_at(centre)
    plain = _nearest_to_one(slope_range)
    if not _is_less(error_at(slope, centre), error_at(plain, middle)):
        slope, centre = plain, middle
    return replace(correction, slope=float(slope), centre=float(centre))


def absolute_error(y, weight):
    """Return the weighted absolute error as a function of predictions.

    Parameters
    ----------
    y, weight : ndarray of shape (n,)

    Returns
    -------
    callable
    """
    return lambda predicted: float(weight @ np.abs(predicted - y))


def best_slope(correction, predicted, y, slope_range, weight):
    """Return the slope of the least weighted absolute error for a centre, by one sort.

    Parameters
    ----------
    correction : SpreadCorrection
        Its centre and its bounds are used.
    predicted, y : ndarray of shape (n,), float64
    slope_range : (float, float)
    weight : ndarray of shape (n,)

    Returns
    -------
    float
        Of slopes of equal errors that which is nearest to 1.

    Examples
    --------
    Predictions of 4 and 7 become 3 and 9 by a slope of 2 around 5:

    >>> import numpy as np
    >>> from skimb._spread_correction import SpreadCorrection
    >>> from skimb.model_selection._spread_search import best_slope
    >>> spread = SpreadCorrection(1.0, 5.0)
    >>> best_slope(spread, np.array([4.0, 7.0]), np.array([3.0, 9.0]), (1.0, 3.0), np.ones(2))
    2.0
    """
    first, last = map(float, slope_range)
    low, high = correction.limits(predicted)
    distance = predicted - correction.centre
    # The slopes at which a prediction meets its value or a bound; one at the centre never moves.
    with np.errstate(divide="ignore", invalid="ignore"):
        meets = (np.column_stack([y, low, high]) - correction.centre) / distance[:, None]
    meets = np.sort(np.clip(np.nan_to_num(meets, nan=first), first, last), axis=1)
    ends = np.full((len(y), 1), first), np.full((len(y), 1), last)
    at = np.hstack([ends[0], meets, ends[1]])
    moved = correction.centre + at * distance[:, None]
    errors = weight[:, None] * np.abs(np.clip(moved, low[:, None], high[:, None]) - y[:, None])
    length = np.diff(at)
    rise = np.divide(np.diff(errors), length, out=np.zeros_like(length), where=length > 0)
    # The error of all: at each place, its rise changes by that of one prediction.
    order = np.argsort(meets, axis=None, kind="stable")
    places = np.concatenate([[first], meets.ravel()[order], [last]])
    rises = rise[:, 0].sum() + np.append(0.0, np.diff(rise).ravel()[order].cumsum())
    totals = errors[:, 0].sum() + np.append(0.0, (rises * np.diff(places)).cumsum())
    plain = _nearest_to_one(slope_range)
    totals = np.append(np.interp(plain, places, totals), totals)
    places = np.append(plain, places)
    ties = places[totals <= totals.min() + SAME * np.abs(totals).max()]
    return float(ties[np.abs(ties - 1).argmin()])


def _least(error, grid, *, near):
    """Return the place of the least error on a grid, and on finer ones around it."""
    known: dict[float, float] = {}
    best = near
    for _ in range(N_ROUNDS + 1):
        known |= {float(place): error(float(place)) for place in grid if float(place) not in known}
        places = np.array(sorted(known))
        errors = np.array([known[place] for place in places])
        ties = np.flatnonzero(~_is_less(errors.min(), errors))
        k = ties[np.abs(places[ties] - near).argmin()]
        best = float(places[k])
        grid = np.linspace(places[max(k - 1, 0)], places[min(k + 1, len(places) - 1)], N_FINER)
    return best


def _is_less(one, other):
    with np.errstate(invalid="ignore"):
        return one < other - SAME * np.abs(other)


def _nearest_to_one(slope_range):
    return float(np.clip(1.0, *slope_range))
