"""Make samples of the rare ranges of a continuous target: between neighbours, or by noise."""

from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np

from skimb._distances import half_medians
from skimb._params import HasMethods, Interval, StrOptions
from skimb._points import Points
from skimb._range_sizes import EVEN
from skimb._relevance_sampler_base import RelevanceResampler
from skimb.over_sampling._range_neighbors import RangeNeighbors, refuse_metric
from skimb.over_sampling._range_plans import plan_synthesis
from skimb.over_sampling._row_makers import read_rows

__all__ = ["SMOGN", "SMOTER", "GaussianNoiseOverSampler"]


class SMOTER(RelevanceResampler):
    r"""Make samples of the rare ranges of a continuous target on the segments between neighbours.

    The target is cut into rare and normal ranges (UBL calls them *bumps*) where its relevance
    crosses `threshold`. In a range that grows, a new sample lies between a sample :math:`x_i` and
    one of its k nearest neighbours in the range, :math:`x_i + g (x_j - x_i)` with g drawn from [0,
    1]; its target is :math:`y_i + g (y_j - y_i)`, and each category is copied from one of the two
    at random. In a range that shrinks, random samples stay [1]_.

    A blend of two images seldom looks like an image, unless the two are aligned. With `embedder`,
    the neighbours are at least images that look similar to a network.

    Parameters
    ----------
    relevance : Relevance, callable or None, default=None
        Maps values of the target to their relevance in [0, 1]. It is fitted to y, see
        `skimb.relevance.fit_relevance`. None: ``Relevance()``, which takes the box plot of y.
    threshold : float, default=0.5
        Samples whose relevance is at least this are rare.
    sampling_strategy : {"balance", "extreme"}, float or list of float, default="balance"
        The number of samples that each range has afterwards. ``"balance"``: the same for all.
        ``"extreme"``: inversely proportional to the number before. Both keep the total number of
        samples, up to rounding. A float: the ratio of the sizes after and before, for the rare
        ranges; the others stay as they are. A list: one such ratio for each range, by increasing y.
    random_state : int, RandomState instance or None, default=None
        It determines which samples stay, and the pairs and interpolation factors of the synthetic
        ones.
    k_neighbors : int, default=5
        Number of neighbours to choose from. A range of fewer samples uses all that it has, with a
        warning; a range of a single sample repeats it.
    embedder : transformer, default=None
        The space in which neighbours are found. A clone is fitted on X and y and transforms the
        samples of the range; wrap a fitted embedder in `sklearn.frozen.FrozenEstimator`. An
        embedder that does not read images gets flattened samples. None: neighbours are found among
        the samples themselves. The samples themselves are interpolated in any case.
    metric : {"auto", "euclidean", "heom"}, default="auto"
        The distance. ``"heom"``: Euclidean, with each number divided by its span within the range
        of the target, and 1 between two categories that differ [2]_. ``"auto"``: ``"heom"`` for
        frames and categories, else Euclidean.
    categorical_features : "auto" or array-like, default="auto"
        The columns of a table that hold categories: a mask, positions, or names. ``"auto"``: the
        columns of a frame that hold no numbers; one with paths of images is refused. A missing
        value in a column of categories counts as a category.
    lazy : bool, default=False
        Whether to return a view over X whose samples are made when they are asked for, if X is an
        array or tensor.

    Attributes
    ----------
    relevance_ : Relevance or callable
        The relevance, fitted on y.
    bumps_ : DataFrame
        One row per range of the target: its bounds ``low`` and ``high``, whether it ``is_rare``,
        and its number of samples ``before`` and ``after``.
    sample_indices_ : ndarray of shape (n_samples_new,)
        For each returned sample its index in X or, if it is synthetic, the index of its first
        parent. The samples that stay come first, then the synthetic ones.
    parents_ : ndarray of shape (m, 2)
        The two samples of X between which each synthetic sample lies.
    gaps_ : ndarray of shape (m,)
        The interpolation factor of each: 0 at its first parent, 1 at its second.
    embedder_ : transformer
        The fitted embedder, where one is given.
    n_features_in_ : int
        Number of values in a sample.

    See Also
    --------
    SMOGN : Adds noise if neighbours are far.
    RelevanceOverSampler : Copies samples instead.

    Notes
    -----
    Sizes are rounded, whereas the R package UBL truncates them. The target is interpolated by the
    same factor as the sample; without categories, UBL's weights by distance are the same.

    References
    ----------
    .. [1] Torgo, Ribeiro, Pfahringer and Branco, SMOTE for Regression, EPIA 2013,
       doi:10.1007/978-3-642-40669-0_33.
    .. [2] Wilson and Martinez, Improved Heterogeneous Distance Functions, JAIR 1997,
       doi:10.1613/jair.346.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.over_sampling import SMOTER
    >>> rng = np.random.RandomState(0)
    >>> X = rng.randn(500, 4)
    >>> y = np.exp(X[:, 0] + 0.3 * X[:, 1])
    >>> smoter = SMOTER(random_state=0)
    >>> X_res, y_res = smoter.fit_resample(X, y)
    >>> X_res.shape, int(np.sum(y > 5)), int(np.sum(y_res > 5))
    ((500, 4), 24, 79)
    >>> smoter.bumps_.round(2)
           low   high  is_rare  before  after
    bump
    0     0.09   2.62    False     422    250
    1     2.66  20.03     True      78    250
    """

    _makes_rows = True
    _sizes = EVEN

    _parameter_constraints: dict = {
        **RelevanceResampler._parameter_constraints,
        "k_neighbors": [Interval(Integral, 1, None, closed="left")],
        "embedder": [HasMethods(["fit", "transform"]), None],
        "metric": [StrOptions({"auto", "euclidean", "heom"})],
        "categorical_features": [StrOptions({"auto"}), "array-like"],
    }

    def __init__(
        self,
        *,
        relevance=None,
        threshold=0.5,
        sampling_strategy: Any = "balance",
        random_state=None,
        k_neighbors=5,
        embedder=None,
        metric="auto",
        categorical_features: Any = "auto",
        lazy=False,
    ):
        self.relevance = relevance
        self.threshold = threshold
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.k_neighbors = k_neighbors
        self.embedder = embedder
        self.metric = metric
        self.categorical_features = categorical_features
        self.lazy = lazy

    def _check_rows(self, X, target):
        rows = read_rows(self, X, target, check_numbers=super()._check_rows)
        refuse_metric(self.metric, self.embedder, rows)
        return rows

    def _plan(self, rows, target, learned):
        return plan_synthesis(
            target,
            learned,
            self.bumps_["after"].to_numpy(),
            partial(self._fit_recipe, rows, target),
            random_state=self.random_state,
            name=type(self).__name__,
            k_neighbors=self.k_neighbors,
        )

    def _fit_recipe(self, rows, target):
        points = Points.fit(rows.values, target, self.embedder, self.random_state)
        if points.embedder is not None:
            self.embedder_ = points.embedder
        neighbors = RangeNeighbors(rows, points, metric=self.metric, k_neighbors=self.k_neighbors)
        return partial(_between_neighbors, neighbors)


class SMOGN(RelevanceResampler):
    """Make samples of the rare ranges of a continuous target between near neighbours, or by noise.

    It differs from `SMOTER` in pairs that are far apart. Two samples are interpolated if their
    distance is less than half the median distance of the first, the seed, to the samples of its
    range. Otherwise Gaussian noise is added to the seed and to its target. Its scale is
    min(`perturbation`, half the median distance) times the standard deviation within the range. The
    categories of a sample with noise are drawn by their frequencies in the range [1]_.

    Integers are rounded and clipped to their range; floats are not clipped.

    Parameters
    ----------
    relevance, threshold, sampling_strategy
        See `SMOTER`.
    random_state : int, RandomState instance or None, default=None
        It determines which samples stay, and the pairs, interpolation factors and noise of the
        synthetic ones.
    k_neighbors
        See `SMOTER`.
    perturbation : float, default=0.02
        The largest scale of the noise, in standard deviations within the range.
    embedder, metric, categorical_features
        See `SMOTER`.
    lazy : bool, default=False
        Whether to return a view over X, if X is an array or tensor. The view holds the samples with
        noise, and makes those between two samples when they are asked for.

    Attributes
    ----------
    relevance_, bumps_, sample_indices_, embedder_, n_features_in_
        See `SMOTER`.
    parents_ : ndarray of shape (m, 2)
        The two samples of X between which each synthetic sample lies; the seed twice, if it has
        noise.
    gaps_ : ndarray of shape (m,)
        The interpolation factor of each: 0 at its first parent, 1 at its second; 0 if it has noise.

    See Also
    --------
    SMOTER : Interpolates at any distance.
    GaussianNoiseOverSampler : Adds noise to every sample that it copies.

    References
    ----------
    .. [1] Branco, Torgo and Ribeiro, SMOGN: a Pre-processing Approach for Imbalanced Regression,
       PMLR 74, 2017, https://proceedings.mlr.press/v74/branco17a.html.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.over_sampling import SMOGN
    >>> rng = np.random.RandomState(0)
    >>> X = rng.randn(500, 4)
    >>> y = np.exp(X[:, 0] + 0.3 * X[:, 1])
    >>> smogn = SMOGN(random_state=0)
    >>> X_res, y_res = smogn.fit_resample(X, y)
    >>> has_noise = smogn.parents_[:, 0] == smogn.parents_[:, 1]
    >>> len(has_noise), int(has_noise.sum())
    (172, 44)
    """

    _makes_rows = True
    _sizes = EVEN

    _parameter_constraints: dict = {
        **SMOTER._parameter_constraints,
        "perturbation": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        *,
        relevance=None,
        threshold=0.5,
        sampling_strategy: Any = "balance",
        random_state=None,
        k_neighbors=5,
        perturbation=0.02,
        embedder=None,
        metric="auto",
        categorical_features: Any = "auto",
        lazy=False,
    ):
        self.relevance = relevance
        self.threshold = threshold
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.k_neighbors = k_neighbors
        self.perturbation = perturbation
        self.embedder = embedder
        self.metric = metric
        self.categorical_features = categorical_features
        self.lazy = lazy

    def _check_rows(self, X, target):
        rows = read_rows(self, X, target, check_numbers=super()._check_rows)
        refuse_metric(self.metric, self.embedder, rows)
        return rows

    def _plan(self, rows, target, learned):
        return plan_synthesis(
            target,
            learned,
            self.bumps_["after"].to_numpy(),
            partial(self._fit_recipe, rows, target),
            random_state=self.random_state,
            name=type(self).__name__,
            k_neighbors=self.k_neighbors,
        )

    def _fit_recipe(self, rows, target):
        points = Points.fit(rows.values, target, self.embedder, self.random_state)
        if points.embedder is not None:
            self.embedder_ = points.embedder
        neighbors = RangeNeighbors(rows, points, metric=self.metric, k_neighbors=self.k_neighbors)
        return partial(_between_near_neighbors, neighbors, self.perturbation)


class GaussianNoiseOverSampler(RelevanceResampler):
    """Make samples of the rare ranges of a continuous target by normal noise.

    In a range that grows, a new sample is an existing one with noise on each of its values and on
    its target. The scale of the noise is `perturbation` times their standard deviation in the
    range. Categories are drawn by their frequencies in the range. In a range that shrinks, random
    samples stay [1]_.

    Integers are rounded and clipped to their range; floats are not clipped.

    Parameters
    ----------
    relevance, threshold, sampling_strategy
        See `SMOTER`.
    random_state : int, RandomState instance or None, default=None
        It determines which samples stay, which get noise, and the noise.
    perturbation : float, default=0.1
        The scale of the noise, in standard deviations within the range. If a range has one sample
        only, its standard deviation is taken as 0: the sample is repeated, with a warning.
    categorical_features
        See `SMOTER`.
    lazy : bool, default=False
        Whether to return a view over X, which holds the new samples, if X is an array or tensor.

    Attributes
    ----------
    relevance_, bumps_, sample_indices_, n_features_in_
        See `SMOTER`.
    parents_ : ndarray of shape (m, 2)
        The sample of X to which noise was added, twice, for each new sample.
    gaps_ : ndarray of shape (m,)
        Zeros, because a new sample has one parent only.

    See Also
    --------
    RelevanceOverSampler : Copies samples as they are.

    References
    ----------
    .. [1] Branco, Torgo and Ribeiro, Pre-processing approaches for imbalanced distributions in
       regression, Neurocomputing 2019, doi:10.1016/j.neucom.2018.11.100.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.over_sampling import GaussianNoiseOverSampler
    >>> rng = np.random.RandomState(0)
    >>> X = rng.randn(500, 4)
    >>> y = np.exp(X[:, 0] + 0.3 * X[:, 1])
    >>> noise = GaussianNoiseOverSampler(sampling_strategy=3.0, random_state=0)
    >>> X_res, y_res = noise.fit_resample(X, y)
    >>> X_res.shape, noise.bumps_["after"].tolist()
    ((656, 4), [422, 234])
    """

    _makes_rows = True
    _sizes = EVEN

    _parameter_constraints: dict = {
        **RelevanceResampler._parameter_constraints,
        "categorical_features": [StrOptions({"auto"}), "array-like"],
        "perturbation": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        *,
        relevance=None,
        threshold=0.5,
        sampling_strategy: Any = "balance",
        random_state=None,
        perturbation=0.1,
        categorical_features: Any = "auto",
        lazy=False,
    ):
        self.relevance = relevance
        self.threshold = threshold
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.perturbation = perturbation
        self.categorical_features = categorical_features
        self.lazy = lazy

    def _check_rows(self, X, target):
        return read_rows(self, X, target, check_numbers=super()._check_rows)

    def _plan(self, rows, target, learned):
        return plan_synthesis(
            target,
            learned,
            self.bumps_["after"].to_numpy(),
            lambda: partial(_with_noise, self.perturbation),
            random_state=self.random_state,
            name=type(self).__name__,
        )


def _between_neighbors(neighbors, members, seeds, rng):
    """Return neighbours, interpolation factors, and noise levels of 0."""
    second, _ = neighbors.drawn(*neighbors.measured(members), seeds, rng)
    return second, rng.uniform(size=len(seeds)), np.zeros(len(seeds))


def _between_near_neighbors(neighbors, perturbation, members, seeds, rng):
    """Return the same where the neighbour is near; elsewhere the seed itself, and a noise level."""
    points, codes = neighbors.measured(members)
    second, distance = neighbors.drawn(points, codes, seeds, rng)
    reach = half_medians(points, codes)[seeds]
    is_near = distance < reach
    gaps = np.where(is_near, rng.uniform(size=len(seeds)), 0.0)
    spreads = np.where(is_near, 0.0, np.minimum(reach, perturbation))
    return np.where(is_near, second, seeds), gaps, spreads


def _with_noise(perturbation, members, seeds, rng):
    """Return the seeds themselves, factors of 0, and the noise level."""
    zeros = np.zeros(len(seeds))
    return seeds, zeros, zeros + perturbation
