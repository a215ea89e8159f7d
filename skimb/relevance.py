"""Continuous targets: which of their values are rare, by a relevance or by their density."""

from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.ndimage import convolve1d
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_array, column_or_1d

from skimb._params import Interval, StrOptions, check_parameters

__all__ = [
    "LabelDensity",
    "Relevance",
    "compute_target_weight",
    "fit_relevance",
    "fit_target_weight",
    "relevance_bumps",
]

#: Bins at least and at most, where their number follows from the data.
FEWEST_BINS, MOST_BINS = 10, 100


def check_target(y, *, name="y"):
    """Return the values of a continuous target as a checked array.

    Parameters
    ----------
    y : array-like of shape (n,)
        Values.
    name : str, default="y"
        What errors call them.

    Returns
    -------
    ndarray of shape (n,), float64

    Raises
    ------
    ValueError
        If they are of another shape, no numbers, or not finite.
    """
    return check_array(column_or_1d(y), ensure_2d=False, dtype=np.float64, input_name=name)


class Relevance(BaseEstimator):
    r"""Say how relevant the values of a continuous target are, from 0 to 1.

    Between control points the relevance rises or falls smoothly,
    :math:`\phi = a + (b - a)(3u^2 - 2u^3)`, and beyond the outermost it is constant. By default
    the points are those of a box plot: the median is of no relevance, and the values beyond a
    whisker are of full relevance [1]_ [2]_.

    Parameters
    ----------
    points : array-like of shape (m, 2), default=None
        Control points: values of the target, increasing, and their relevance in [0, 1]. None: by
        the box plot of the y that `fit` sees.
    extremes : {"both", "low", "high"}, default="both"
        Which end of the box plot is relevant.
    coef : float, default=1.5
        How far whiskers reach at most, in lengths of the box.

    Attributes
    ----------
    points_ : ndarray of shape (m, 2)
        Control points.

    References
    ----------
    .. [1] Torgo and Ribeiro, Utility-Based Regression, PKDD 2007,
       doi:10.1007/978-3-540-74976-9_63.
    .. [2] Ribeiro and Moniz, Imbalanced regression and extreme value prediction, Machine Learning
       2020, doi:10.1007/s10994-020-05900-9.

    Examples
    --------
    >>> from skimb.relevance import Relevance
    >>> phi = Relevance().fit([1, 2, 2, 3, 3, 3, 4, 4, 5, 12, 20])
    >>> phi.points_
    array([[1., 0.],
           [3., 0.],
           [5., 1.]])
    >>> phi([3.5, 4, 4.5, 20])
    array([0.15625, 0.5    , 0.84375, 1.     ])
    """

    _parameter_constraints: dict = {
        "points": ["array-like", None],
        "extremes": [StrOptions({"both", "low", "high"})],
        "coef": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, points=None, *, extremes="both", coef=1.5):
        self.points = points
        self.extremes = extremes
        self.coef = coef

    def fit(self, y):
        """Find the control points.

        Parameters
        ----------
        y : array-like of shape (n,)
            Values of the target.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If y is not finite; if it has no extreme value, so that nothing would be relevant; or
            if `points` are not as above.
        """
        check_parameters(self)
        y = check_target(y)
        self.points_ = self._box_plot(y) if self.points is None else _check_points(self.points)
        return self

    def _box_plot(self, y):
        y = np.sort(y)
        low_hinge, high_hinge = _hinges(y)
        reach = self.coef * (high_hinge - low_hinge)
        is_within = (y >= low_hinge - reach) & (y <= high_hinge + reach)
        low, high = y[is_within][[0, -1]]
        has_low = self.extremes != "high" and y[0] < low
        has_high = self.extremes != "low" and y[-1] > high
        if not has_low and not has_high:
            raise ValueError(
                f"No value of y lies beyond the whiskers of its box plot, [{low:g}, {high:g}] "
                f"(extremes={self.extremes!r}, coef={self.coef:g}), so none would be relevant. "
                "Say which are: relevance=Relevance(points=[(value, relevance), ...]); or let "
                "whiskers be shorter: relevance=Relevance(coef=...)."
            )
        median = np.median(y)
        # Where a whisker has shrunk to the median, the first extreme value stands for it.
        if has_low and low == median:
            low = y[y < low][-1]
        if has_high and high == median:
            high = y[y > high][0]
        # Where an end has no extreme value, it is as irrelevant as the median.
        points = {
            y[0] if not has_low else low: float(has_low),
            y[-1] if not has_high else high: float(has_high),
            median: 0.0,
        }
        return np.array(sorted(points.items()))

    def __call__(self, y):
        """Return the relevance of values.

        Parameters
        ----------
        y : array-like of shape (n,)
            Values of the target.

        Returns
        -------
        ndarray of shape (n,), float64
            In [0, 1].

        Raises
        ------
        ValueError
            If y is not finite, or neither `points` are given nor `fit` was called.
        """
        if hasattr(self, "points_"):
            points = self.points_
        elif self.points is not None:
            points = _check_points(self.points)
        else:
            raise ValueError("This Relevance has not seen a target yet. Call fit(y) first.")
        y = check_target(y)
        values, shares = np.transpose(points)
        if len(values) == 1:
            return np.full(len(y), shares[0])
        # Between which points, how far along, and what the curve makes of it.
        first = np.clip(np.searchsorted(values, y, side="right") - 1, 0, len(values) - 2)
        width = np.diff(values)[first]
        u = np.clip(y - values[first], 0.0, width) / width
        return shares[first] + np.diff(shares)[first] * u**2 * (3 - 2 * u)


def fit_relevance(relevance, y):
    """Return a relevance that is ready for the values of a target.

    Parameters
    ----------
    relevance : Relevance, callable or None
        None: ``Relevance()``. One with a method `fit` is cloned and fitted on y, though it was
        fitted before: what a fitted one has learnt is kept by ``Relevance(points=phi.points_)``.
        Any other callable turns values of shape (n,) into their relevance and is taken as it is.
    y : array-like of shape (n,)
        Values of the target.

    Returns
    -------
    callable
        Values of shape (n,) to their relevance, float64 of shape (n,), which is checked to lie in
        [0, 1]. What it calls is its ``relevance``.

    Raises
    ------
    ValueError
        If it cannot be fitted on y, or, when called, gives anything else.
    TypeError
        If it is not callable.

    Examples
    --------
    >>> from skimb.relevance import fit_relevance
    >>> phi = fit_relevance(lambda y: (y > 10).astype(float), [1.0, 12.0])
    >>> phi([9.0, 11.0])
    array([0., 1.])
    """
    if relevance is None:
        relevance = Relevance()
    if not callable(relevance):
        raise TypeError(
            "`relevance` must be a Relevance, a function from values to their relevance, or None. "
            f"Got {relevance!r}."
        )
    if hasattr(relevance, "fit"):
        relevance = clone(relevance)
        relevance.fit(y)
    return _CheckedRelevance(relevance)


@dataclass(frozen=True)
class _CheckedRelevance:
    """A relevance whose values are checked."""

    relevance: Any

    def __call__(self, y):
        values = check_target(y)
        found = np.asarray(self.relevance(values), dtype=np.float64)
        if found.shape != values.shape or not np.all((found >= 0) & (found <= 1)):
            raise ValueError(
                "`relevance` must give a number in [0, 1] for each value of the target. For "
                f"{len(values)} values it gave an array of shape {found.shape}"
                + (f" between {found.min():g} and {found.max():g}." if found.size else ".")
            )
        return found


def relevance_bumps(y, *, relevance=None, threshold=0.5):
    """Cut the range of a target where its relevance crosses a threshold.

    The pieces, *bumps*, are what resamplers of continuous targets even out, as those of classes
    even out classes: each holds the rows between two crossings, all rare or all normal [1]_.

    Parameters
    ----------
    y : array-like of shape (n,)
        Values of the target.
    relevance : Relevance, callable or None, default=None
        As in `fit_relevance`.
    threshold : float, default=0.5
        Rows at least so relevant are rare.

    Returns
    -------
    bump : ndarray of shape (n,), int
        Of each row, counted from 0 by increasing y.
    is_rare : ndarray of shape (n_bumps,), bool
        Of each bump.

    References
    ----------
    .. [1] Torgo et al., SMOTE for Regression, EPIA 2013, doi:10.1007/978-3-642-40669-0_33.

    Examples
    --------
    >>> from skimb.relevance import relevance_bumps
    >>> bump, is_rare = relevance_bumps([1, 2, 2, 3, 3, 3, 4, 4, 5, 12, 20])
    >>> bump.tolist(), is_rare.tolist()
    ([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1], [False, True])
    """
    y = check_target(y)
    rare = fit_relevance(relevance, y)(y) >= threshold
    order = np.argsort(y, kind="stable")
    crossings = np.diff(rare[order].astype(np.int8), prepend=rare[order][:1].astype(np.int8)) != 0
    bump = np.empty(len(y), dtype=np.intp)
    bump[order] = np.cumsum(crossings)
    is_rare = rare[order][np.append(0, np.flatnonzero(crossings))]
    return bump, is_rare


def _hinges(y):
    """Return Tukey's hinges of sorted values, as R's fivenum does."""
    n = len(y)
    depth = ((n + 3) // 2) / 2
    positions = np.array([depth, n + 1 - depth])
    lower, upper = np.floor(positions).astype(int), np.ceil(positions).astype(int)
    return (y[lower - 1] + y[upper - 1]) / 2


def _check_points(points) -> Any:
    found: Any
    try:
        found = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.empty(0)
    is_sound = (
        found.ndim == 2
        and found.shape[1] == 2
        and len(found) > 0
        and np.isfinite(found).all()
        and np.all(np.diff(found[:, 0]) > 0)
        and np.all((found[:, 1] >= 0) & (found[:, 1] <= 1))
    )
    if not is_sound:
        raise ValueError(
            "`points` must be pairs (value, relevance): values increasing, relevance in [0, 1]. "
            f"Got {points!r}."
        )
    return found


class LabelDensity(BaseEstimator):
    """Count a continuous target in bins, smoothed over neighbouring bins.

    Any float target, negative ones too; values beyond the bins belong to the outermost.

    Parameters
    ----------
    bins : "auto", int or array-like of shape (n_bins + 1,), default="auto"
        Edges, or how many bins of equal width. ``"auto"``: by the rule of Freedman and Diaconis,
        10 at least and 100 at most.
    kernel : {"gaussian", "triangular", "laplace"} or None, default="gaussian"
        What smooths the counts, 1 at its centre; None: nothing.
    kernel_size : int, default=5
        Bins that it spans, an odd number.
    sigma : float, default=2.0
        Its width, in bins; the triangle has none.

    Attributes
    ----------
    edges_ : ndarray of shape (n_bins + 1,)
        Edges of the bins.
    counts_ : ndarray of shape (n_bins,)
        Rows in each.

    References
    ----------
    .. [1] Yang et al., Delving into Deep Imbalanced Regression, ICML 2021, arXiv:2102.09554.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.relevance import LabelDensity
    >>> density = LabelDensity(bins=[0, 1, 2, 3], kernel="triangular", kernel_size=3)
    >>> density.fit([0.5, 0.5, 0.6, 2.5]).smoothed(density.counts_)
    array([3., 2., 1.])
    """

    _parameter_constraints: dict = {
        "bins": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left"), "array-like"],
        "kernel": [StrOptions({"gaussian", "triangular", "laplace"}), None],
        "kernel_size": [Interval(Integral, 1, None, closed="left")],
        "sigma": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, *, bins: Any = "auto", kernel: Any = "gaussian", kernel_size=5, sigma=2.0):
        self.bins = bins
        self.kernel = kernel
        self.kernel_size = kernel_size
        self.sigma = sigma

    def fit(self, y):
        """Count the values.

        Parameters
        ----------
        y : array-like of shape (n,)
            Values of the target.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If y is not finite, the edges do not increase, or `kernel_size` is even.
        """
        check_parameters(self)
        if self.kernel_size % 2 == 0:
            raise ValueError(f"`kernel_size` must be odd. Got {self.kernel_size}.")
        y = check_target(y)
        if not isinstance(self.bins, str | Integral):
            self.edges_ = np.asarray(self.bins, dtype=np.float64)
            is_line = self.edges_.ndim == 1 and len(self.edges_) > 1
            if not is_line or not np.all(np.diff(self.edges_) > 0):
                raise ValueError(f"`bins` must be edges that increase. Got {self.bins!r}.")
        else:
            n_bins = _number_of_bins(y) if isinstance(self.bins, str) else int(self.bins)
            low, high = (y.min(), y.max()) if np.ptp(y) > 0 else (y[0] - 0.5, y[0] + 0.5)
            # Where numbers are too large for so fine a difference, edges fall together.
            self.edges_ = np.unique(np.linspace(low, high, n_bins + 1))
            if len(self.edges_) == 1:
                self.edges_ = np.append(self.edges_, np.inf)
        self.counts_ = np.bincount(self.bin_of(y), minlength=len(self.edges_) - 1)
        return self

    def bin_of(self, y):
        """Return the bin of each value, ndarray of int of shape (n,)."""
        places = np.searchsorted(self.edges_, check_target(y), side="right") - 1
        return np.clip(places, 0, len(self.edges_) - 2)

    def means(self, y, values, *, sample_weight=None):
        """Return the mean of values over the rows of each bin.

        Parameters
        ----------
        y : array-like of shape (m,)
            Values of the target.
        values : ndarray of shape (m,)
            What is averaged: errors, say.
        sample_weight : ndarray of shape (m,), default=None
            How much each row counts; None: all alike.

        Returns
        -------
        ndarray of shape (n_bins,), float64
            NaN where there is no row, or none that counts.
        """
        weight = np.ones(len(values)) if sample_weight is None else sample_weight
        place, n_bins = self.bin_of(y), len(self.counts_)
        total = np.bincount(place, weights=weight, minlength=n_bins)
        sums = np.bincount(place, weights=weight * values, minlength=n_bins)
        return np.divide(sums, total, out=np.full(n_bins, np.nan), where=total > 0)

    def smoothed(self, values):
        """Return values, one a bin, smoothed by the kernel; beyond the bins there is nothing.

        Parameters
        ----------
        values : array-like of shape (n_bins,)
            Counts, or what was made of them.

        Returns
        -------
        ndarray of shape (n_bins,), float64
        """
        values = np.asarray(values, dtype=np.float64)
        if self.kernel is None:
            return values
        half = int(self.kernel_size) // 2
        distance = np.abs(np.arange(-half, half + 1))
        kernel = {
            "gaussian": np.exp(-(distance**2) / (2 * float(self.sigma) ** 2)),
            "triangular": 1 - distance / (half + 1),
            "laplace": np.exp(-distance / float(self.sigma)),
        }[self.kernel]
        return convolve1d(values, kernel, mode="constant")


def _number_of_bins(y):
    """Return how many bins the rule of Freedman and Diaconis wants, within bounds."""
    width = 2 * np.subtract(*np.percentile(y, [75, 25])) / np.cbrt(len(y))
    if width * MOST_BINS <= np.ptp(y):
        return MOST_BINS if width > 0 else FEWEST_BINS
    return max(FEWEST_BINS, int(np.ceil(np.ptp(y) / width)))


def compute_target_weight(scheme, y, *, density=None, clip=(0.1, 10.0)):
    r"""Weight the rows of a continuous target by how rare their values are.

    Parameters
    ----------
    scheme : {"inverse", "sqrt", "lds"} or None
        ``"inverse"``: one over the count of the bin; ``"sqrt"``: one over its root; ``"lds"``: one
        over the smoothed roots (label distribution smoothing [1]_). None: all alike.
    y : array-like of shape (n,)
        Values of the target.
    density : LabelDensity, default=None
        Bins and kernel; None: those of ``LabelDensity()``. A clone is fitted to y.
    clip : (float, float) or None, default=(0.1, 10.0)
        The least and the most that a row may weigh, where the average row weighs 1 before. None:
        no bounds.

    Returns
    -------
    ndarray of shape (n,), float64
        Weights of mean 1.

    Raises
    ------
    ValueError
        If the scheme is unknown, y is not finite, or `clip` is no interval of positive numbers.

    References
    ----------
    .. [1] Yang et al., Delving into Deep Imbalanced Regression, ICML 2021, arXiv:2102.09554.

    Examples
    --------
    >>> from skimb.relevance import LabelDensity, compute_target_weight
    >>> compute_target_weight("inverse", [0.5, 0.5, 0.6, 2.5], density=LabelDensity(bins=[0, 1, 3]))
    array([0.66666667, 0.66666667, 0.66666667, 2.        ])
    """
    return fit_target_weight(scheme, y, density=density, clip=clip)(y)


def fit_target_weight(scheme, y, *, density=None, clip=(0.1, 10.0)):
    """Return the weights of `compute_target_weight` as a function of the target.

    Parameters
    ----------
    scheme, y, density, clip
        As in `compute_target_weight`.

    Returns
    -------
    callable
        Values of shape (m,) to weights of shape (m,), of mean 1 over y.

    Raises
    ------
    ValueError
        If the scheme is unknown, y is not finite, or `clip` is no interval of positive numbers.

    Examples
    --------
    >>> from skimb.relevance import LabelDensity, fit_target_weight
    >>> seen = [0.5, 0.5, 0.6, 2.5]
    >>> weight = fit_target_weight("inverse", seen, density=LabelDensity(bins=[0, 1, 3]))
    >>> weight([0.1, 2.0]).round(4)
    array([0.6667, 2.    ])
    """
    y = check_target(y)
    low, high = _check_clip(clip)
    if scheme is None:
        return _ones
    if scheme not in ("inverse", "sqrt", "lds"):
        raise ValueError(f"`scheme` must be 'inverse', 'sqrt', 'lds' or None. Got {scheme!r}.")
    density = (LabelDensity() if density is None else clone(density)).fit(y)
    mass = density.counts_ if scheme == "inverse" else np.sqrt(density.counts_)
    if scheme == "lds":
        mass = density.smoothed(mass)
    # Bins without a row have no weight of their own: values that fall there get the most.
    with np.errstate(divide="ignore"):
        by_bin = 1 / mass
    rows = density.bin_of(y)
    by_bin = np.clip(by_bin / by_bin[rows].mean(), low, high)
    by_bin[np.isinf(by_bin)] = by_bin[rows].max()
    by_bin /= by_bin[rows].mean()
    return partial(_weight_by_bin, density, by_bin)


def _ones(values):
    return np.ones(len(values))


def _weight_by_bin(density, by_bin, values):
    return by_bin[density.bin_of(values)]


def _check_clip(clip):
    if clip is None:
        return 0.0, np.inf
    try:
        low, high = map(float, clip)
    except (TypeError, ValueError):
        low, high = np.nan, np.nan
    if not 0 <= low <= high or high == 0:
        raise ValueError(
            f"`clip` must be None or two numbers, the least and the most weight. Got {clip!r}."
        )
    return low, high
