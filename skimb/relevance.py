"""Rare values of continuous targets, by a relevance or by their density."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import convolve1d, gaussian_filter1d
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_array

from skimb._messages import told_apart
from skimb._params import Interval, StrOptions, check_parameters
from skimb._quantities import refuse_times
from skimb._unpacking import plain_vector

__all__ = [
    "LabelDensity",
    "Relevance",
    "compute_target_weight",
    "fit_relevance",
    "fit_target_weight",
    "relevance_bumps",
]

#: Bounds of the number of bins, if it follows from the data.
FEWEST_BINS, MOST_BINS = 10, 100


def check_target(y: ArrayLike, *, name: str = "y") -> NDArray[np.float64]:
    """Return the values of a continuous target as a checked array.

    Parameters
    ----------
    y : array-like of shape (n,)
        Values.
    name : str, default="y"
        Their name in errors.

    Returns
    -------
    ndarray of shape (n,), float64

    Raises
    ------
    ValueError
        If they are of another shape, no numbers, or not finite.
    """
    values = plain_vector(y, name)
    refuse_times(values, name)
    return check_array(values, ensure_2d=False, dtype=np.float64, input_name=name)


class Relevance(BaseEstimator):
    r"""Map the values of a continuous target to their relevance, from 0 to 1.

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
        The end of the box plot that is relevant.
    coef : float, default=1.5
        The largest length of the whiskers, in lengths of the box.

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

    def fit(self, y: ArrayLike) -> Self:
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
            ends = ", ".join(told_apart(low, high))
            raise ValueError(
                f"No value of y lies beyond the whiskers of its box plot, [{ends}] "
                f"(extremes={self.extremes!r}, coef={self.coef:g}), so none would be relevant. "
                "Say which values are relevant: relevance=Relevance(points=[(value, relevance), "
                "...]); or make the whiskers shorter: relevance=Relevance(coef=...)."
            )
        median = np.median(y)
        # If a whisker has shrunk to the median, the first extreme value replaces it.
        if has_low and low == median:
            low = y[y < low][-1]
        if has_high and high == median:
            high = y[y > high][0]
        # If an end has no extreme value, it is as irrelevant as the median.
        points = {
            y[0] if not has_low else low: float(has_low),
            y[-1] if not has_high else high: float(has_high),
            median: 0.0,
        }
        return np.array(sorted(points.items()))

    def __call__(self, y: ArrayLike) -> NDArray[np.float64]:
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
        values, levels = np.transpose(points)
        if len(values) == 1:
            return np.full(len(y), levels[0])
        # The interval of each value, its position there, and the curve at that position.
        first = np.clip(np.searchsorted(values, y, side="right") - 1, 0, len(values) - 2)
        width = np.diff(values)[first]
        u = np.clip(y - values[first], 0.0, width) / width
        return levels[first] + np.diff(levels)[first] * u**2 * (3 - 2 * u)


def fit_relevance(relevance: Any, y: ArrayLike) -> Callable[..., NDArray[np.float64]]:
    """Return a relevance that is ready for the values of a target.

    Parameters
    ----------
    relevance : Relevance, callable or None
        None: ``Relevance()``. A relevance with a method `fit` is cloned and fitted on y, even if it
        was fitted before; to keep the points of a fitted one, pass
        ``Relevance(points=phi.points_)``. Any other callable maps values of shape (n,) to their
        relevance and is used as it is.
    y : array-like of shape (n,)
        Values of the target.

    Returns
    -------
    callable
        A function from values of shape (n,) to their relevance, float64 of shape (n,), which is
        checked to lie in [0, 1]. The relevance that it calls is its attribute ``relevance``.

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


def relevance_bumps(y: Any, *, relevance: Any = None, threshold: float = 0.5) -> Any:
    """Cut the range of a target where its relevance crosses a threshold.

    Each piece, a *bump* in the R package UBL, holds the samples between two crossings, all rare or
    all normal [1]_. Resamplers of continuous targets balance these ranges, as other resamplers
    balance classes.

    Parameters
    ----------
    y : array-like of shape (n,)
        Values of the target.
    relevance : Relevance, callable or None, default=None
        As in `fit_relevance`.
    threshold : float, default=0.5
        Samples whose relevance is at least this are rare.

    Returns
    -------
    bump : ndarray of shape (n,), int
        The range of each sample, counted from 0 by increasing y.
    is_rare : ndarray of shape (n_bumps,), bool
        Whether each range is rare.

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

    The target may be any float, also negative. Values beyond the bins belong to the outermost ones.

    Parameters
    ----------
    bins : "auto", int or array-like of shape (n_bins + 1,), default="auto"
        The edges, or the number of bins of equal width. ``"auto"``: the rule of Freedman and
        Diaconis gives the number, at least 10 and at most 100.
    kernel : {"gaussian", "triangular", "laplace", "dir"} or None, default="gaussian"
        The kernel that smooths the counts, 1 at its centre. ``"dir"``: the one that the code of
        deep imbalanced regression [1]_ calls Gaussian, to compare with its figures; its flanks are
        reflected at its ends, so that it is flatter. None: counts are not smoothed.
    kernel_size : int, default=5
        Number of bins that it spans, odd.
    sigma : float, default=2.0
        The width of the kernel, in bins; it does not apply to ``"triangular"``.

    Attributes
    ----------
    edges_ : ndarray of shape (n_bins + 1,)
        Edges of the bins.
    counts_ : ndarray of shape (n_bins,)
        Number of samples in each bin.

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
        "kernel": [StrOptions({"gaussian", "triangular", "laplace", "dir"}), None],
        "kernel_size": [Interval(Integral, 1, None, closed="left")],
        "sigma": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, *, bins: Any = "auto", kernel: Any = "gaussian", kernel_size=5, sigma=2.0):
        self.bins = bins
        self.kernel = kernel
        self.kernel_size = kernel_size
        self.sigma = sigma

    def fit(self, y: ArrayLike) -> Self:
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
            # If numbers are too large for such a small difference, edges coincide.
            self.edges_ = np.unique(np.linspace(low, high, n_bins + 1))
            if len(self.edges_) == 1:
                self.edges_ = np.append(self.edges_, np.inf)
        self.counts_ = np.bincount(self.bin_of(y), minlength=len(self.edges_) - 1)
        return self

    def bin_of(self, y: ArrayLike) -> NDArray[np.intp]:
        """Return the bin of each value, ndarray of int of shape (n,)."""
        places = np.searchsorted(self.edges_, check_target(y), side="right") - 1
        return np.clip(places, 0, len(self.edges_) - 2)

    def means(
        self, y: ArrayLike, values: NDArray[Any], *, sample_weight: NDArray[Any] | None = None
    ) -> NDArray[np.float64]:
        """Return the mean of values over the samples of each bin.

        Parameters
        ----------
        y : array-like of shape (m,)
            Values of the target.
        values : ndarray of shape (m,)
            The values to average, for example errors.
        sample_weight : ndarray of shape (m,), default=None
            The weight of each sample. None: 1 for every sample.

        Returns
        -------
        ndarray of shape (n_bins,), float64
            NaN if there is no sample of positive weight.
        """
        weight = np.ones(len(values)) if sample_weight is None else sample_weight
        place, n_bins = self.bin_of(y), len(self.counts_)
        total = np.bincount(place, weights=weight, minlength=n_bins)
        sums = np.bincount(place, weights=weight * values, minlength=n_bins)
        return np.divide(sums, total, out=np.full(n_bins, np.nan), where=total > 0)

    def smoothed(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return values, one per bin, smoothed by the kernel; beyond the bins they are 0.

        Parameters
        ----------
        values : array-like of shape (n_bins,)
            Counts, or values that were computed from them.

        Returns
        -------
        ndarray of shape (n_bins,), float64
        """
        values = np.asarray(values, dtype=np.float64)
        if self.kernel is None:
            return values
        return convolve1d(values, self._kernel(), mode="constant")

    def _kernel(self):
        half, sigma = int(self.kernel_size) // 2, float(self.sigma)
        distance = np.abs(np.arange(-half, half + 1))
        if self.kernel == "gaussian":
            return np.exp(-(distance**2) / (2 * sigma**2))
        if self.kernel == "triangular":
            return 1 - distance / (half + 1)
        if self.kernel == "laplace":
            return np.exp(-distance / sigma)
        reflected = gaussian_filter1d((distance == 0).astype(np.float64), sigma)
        return reflected / reflected.max()


def _number_of_bins(y):
    """Return the number of bins by the rule of Freedman and Diaconis, within bounds."""
    width = 2 * np.subtract(*np.percentile(y, [75, 25])) / np.cbrt(len(y))
    if width * MOST_BINS <= np.ptp(y):
        return MOST_BINS if width > 0 else FEWEST_BINS
    return max(FEWEST_BINS, int(np.ceil(np.ptp(y) / width)))


def compute_target_weight(
    scheme: Any, y: ArrayLike, *, density: Any = None, clip: Any = (0.1, 10.0)
) -> NDArray[np.float64]:
    r"""Weight the samples of a continuous target by how rare their values are.

    Parameters
    ----------
    scheme : {"inverse", "sqrt", "lds"} or None
        ``"inverse"``: one over the count of the bin; ``"sqrt"``: one over its root; ``"lds"``: one
        over the smoothed roots (label distribution smoothing [1]_). None: 1 for every sample.
    y : array-like of shape (n,)
        Values of the target.
    density : LabelDensity, default=None
        It defines bins and kernel. A clone is fitted to y. None: ``LabelDensity()``.
    clip : (float, float) or None, default=(0.1, 10.0)
        The smallest and the largest weight of a sample, relative to the mean weight before
        clipping. None: no bounds.

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


def fit_target_weight(
    scheme: Any, y: ArrayLike, *, density: Any = None, clip: Any = (0.1, 10.0)
) -> Callable[[ArrayLike], NDArray[np.float64]]:
    """Return the weights of `compute_target_weight` as a function of the target.

    Parameters
    ----------
    scheme, y, density, clip
        As in `compute_target_weight`.

    Returns
    -------
    callable
        A function from values of shape (m,) to weights of shape (m,), of mean 1 over y.

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
    # Bins without a sample have no weight: values that fall there get the largest one.
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
